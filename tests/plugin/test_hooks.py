"""Each hook is called where its specification says, and none can take away from what is checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plugin.shop import PASSING, POLICY

from lumyn.testing import Repo
from pytest_lumyn import hookspecs

FILE = "vectors/shop/refund.yml"


def test_load_suite_reads_a_format_of_ones_own(repo: Repo) -> None:
    """A table somebody keeps in CSV becomes a suite; the rest stays Lumyn's."""
    repo.write("pytest.ini", "[pytest]\nlumyn_patterns = *.refunds.csv\n")
    repo.write(
        "team/limits.refunds.csv",
        "id,amount,verdict,code\nsmall,20,TRUST,REFUND_SMALL\nlarge,500,ESCALATE,REFUND_OVER_LIMIT\n",
    )
    repo.write(
        "conftest.py",
        """
import csv

def pytest_lumyn_load_suite(path, config):
    if path.suffix != ".csv":
        return None
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "schema_version": "vector.v0",
        "policy": "policies/shop.yml",
        "clock": "2026-01-15T12:00:00Z",
        "vectors": [
            {
                "name": row["id"],
                "request": {
                    "action": {
                        "type": "support.refund",
                        "intent": "refund",
                        "amount": {"value": float(row["amount"]), "currency": "USD"},
                    },
                    "evidence": {"ticket_id": "ZD-1", "risk": 0.1},
                },
                "expect": {"verdict": row["verdict"], "reason_codes": [row["code"]]},
            }
            for row in rows
        ],
    }
""",
    )
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING + 2)
    repo.replace("team/limits.refunds.csv", "large,500,ESCALATE", "large,500,TRUST")
    run = repo.run_pytest("--lumyn-vectors")
    run.assert_outcomes(passed=PASSING + 1, failed=1)
    run.match("team/limits.refunds.csv:1 large *verdict TRUST -> ESCALATE*")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("{'schema_version': 'vector.v0', 'vectrs': []}", "*unknown key `vectrs`*"),
        ("[object()]", "*must return plain data*"),
        ("float('nan')", "*"),
        ("[[]] * 0 or __import__('functools').reduce(lambda inner, _: [inner], range(10**5), [])", "*plain data*"),
        ("''", "*[VECTORS_NOT_OBJECT]*"),
    ],
)
def test_what_load_suite_returns_is_checked_like_any_file(repo: Repo, answer: str, problem: str) -> None:
    repo.write("conftest.py", f"def pytest_lumyn_load_suite(path, config):\n    return {answer}\n")
    run = repo.run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match(problem)
    run.no_match("*INTERNALERROR*")


def test_policy_chooses_by_file_and_the_option_overrules_it(repo: Repo) -> None:
    repo.write("policies/eu.yml", POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 200"))
    repo.write("vectors/eu/refund.yml", repo.read(FILE))
    repo.write(
        "conftest.py",
        "def pytest_lumyn_policy(path, config):\n    if 'eu' in path.parts:\n        return 'policies/eu.yml'\n",
    )
    run = repo.run_pytest("--lumyn-vectors")
    run.assert_outcomes(passed=2 * PASSING - 1, failed=1)
    run.match("FAILED vectors/eu/refund.yml::limit[at_limit] *")
    repo.run_pytest("--lumyn-vectors", "--lumyn-policy=policies/shop.yml").assert_outcomes(passed=2 * PASSING)


def test_a_policy_that_a_hook_names_and_that_does_not_exist_is_an_error(repo: Repo) -> None:
    repo.write("conftest.py", "def pytest_lumyn_policy(path, config):\n    return 'policies/none.yml'\n")
    run = repo.run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match("*PATH_NOT_FOUND*")


def test_seed_memory_adds_experience_before_the_first_decision(repo: Repo) -> None:
    """The team's own labelled failures make the small refund look risky; a store is used once."""
    repo.write(
        "conftest.py",
        """
SEEN = []

def pytest_lumyn_seed_memory(item, gate):
    SEEN.append(gate.store.store_id)
    assert len(set(SEEN)) == len(SEEN)
    request = next(item.vector.decisions).request
    gate.seed("failure", request, summary="INC-99")
""",
    )
    run = repo.run_pytest("--lumyn-vectors", "-k", "small")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match("*TRUST -> ESCALATE*", "memory *1 item, failure_similarity 1 *INC-99*")


def test_request_edits_the_copy_that_is_decided(repo: Repo) -> None:
    """And only this copy: the next vector and the next run see the file."""
    repo.write("conftest.py", "def pytest_lumyn_request(item, request):\n    request['evidence']['risk'] += 0.8\n")
    run = repo.run_pytest("--lumyn-vectors")
    run.assert_outcomes(failed=PASSING)
    run.match("*decided by *R020 (HARD_BLOCKS) *risk 0.9 >= 0.7*")
    run.no_match("*risk 1.7*")


def test_hooks_get_copies(repo: Repo) -> None:
    """What they do to them changes no vector."""
    repo.write(
        "conftest.py",
        """
def pytest_lumyn_request(item, request):
    request["evidence"]["more"] = 1

def pytest_lumyn_compare(item, expected, record):
    expected.clear()

def pytest_runtest_teardown(item):
    for decision in item.vector.decisions:
        assert "more" not in decision.request["evidence"]
        assert decision.expect.document
""",
    )
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)


def test_compare_adds_to_a_drift(repo: Repo) -> None:
    repo.write(
        "conftest.py",
        """
def pytest_lumyn_compare(item, expected, record):
    if record.verdict == "ESCALATE" and not record.obligations:
        return [f"an escalation without an obligation, expected {expected['verdict']}"]
""",
    )
    run = repo.run_pytest("--lumyn-vectors")
    run.assert_outcomes(passed=1, failed=PASSING - 1)
    run.match("*custom *an escalation without an obligation, expected ESCALATE")


@pytest.mark.parametrize("answer", ["[]", "None", "True and []", "expected.clear()"])
def test_compare_cannot_make_a_drift_pass(repo: Repo, answer: str) -> None:
    repo.write("conftest.py", f"def pytest_lumyn_compare(item, expected, record):\n    return {answer}\n")
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING - 1, failed=1)


@pytest.mark.parametrize("answer", ["False", "0", "True"])
def test_compare_that_answers_yes_or_no_is_an_error(repo: Repo, answer: str) -> None:
    """`return record.verdict == expected["verdict"]` is no list of lines; taken for one, False would say nothing."""
    repo.write("conftest.py", f"def pytest_lumyn_compare(item, expected, record):\n    return {answer}\n")
    run = repo.run_pytest("--lumyn-vectors")
    run.assert_outcomes(failed=PASSING)
    run.match(f"FAILED {FILE}::small - hook pytest_lumyn_compare raised TypeError: *")


RAISING = {  # hook: (one of its arguments, exit code)
    "pytest_lumyn_load_suite": ("path", 2),
    "pytest_lumyn_policy": ("path", 2),
    "pytest_lumyn_seed_memory": ("gate", 1),
    "pytest_lumyn_request": ("request", 1),
    "pytest_lumyn_compare": ("record", 1),
    "pytest_lumyn_drift": ("drift", 1),
    "pytest_lumyn_report": ("results", 1),
}


def test_every_hook_is_among_those_that_raise_here() -> None:
    assert set(hookspecs.__all__) == set(RAISING)


@pytest.mark.parametrize(
    ("hook", "workers"),
    [(hook, ()) for hook in RAISING] + [(hook, ("-p", "xdist", "-n2")) for hook in list(RAISING)[-2:]],
)
def test_a_hook_that_raises_fails_the_run_in_one_line_that_names_it(
    repo: Repo, hook: str, workers: tuple[str, ...]
) -> None:
    """Never an internal error, which would take the outcomes of all vectors with it."""
    argument, code = RAISING[hook]
    repo.write("conftest.py", f"def {hook}({argument}):\n    raise LookupError('first\\nsecond \\x1b[31m')\n")
    if hook == "pytest_lumyn_drift":
        repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    options = ("--lumyn-report=r.json", *workers)
    run = repo.run_pytest("--lumyn-vectors", *options, own_process=bool(workers))
    assert (1 if workers else code) == run.exit_code
    run.match(f"*hook {hook} raised LookupError: first second *")
    run.no_match("*INTERNALERROR*", "*/pluggy/*", "*/calling.py*")
    assert "\x1b" not in run.stdout + run.stderr
    content = json.loads(repo.read("r.json"))
    assert not content["summary"]["ok"]
    assert f"hook {hook} raised LookupError: first second " in repo.read("r.json")


@pytest.mark.parametrize("hook", ["pytest_lumyn_drift", "pytest_lumyn_report"])
def test_a_hook_that_is_told_and_raises_leaves_outcomes_as_they_are(repo: Repo, hook: str) -> None:
    """One line with the place, and a run that would have passed fails: here an update that is done all the same."""
    argument, _ = RAISING[hook]
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 10")
    repo.write("conftest.py", f"def {hook}({argument}):\n    raise LookupError('lost')\n")
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-update=failing", "-k", "small")
    run.assert_outcomes(updated=1, deselected=PASSING - 1)
    assert 1 == run.exit_code
    run.match(f"ERROR: lumyn: hook {hook} raised LookupError: lost (conftest.py:2)")
    assert (FILE,) == run.changed


@pytest.mark.parametrize("hook", ["pytest_lumyn_load_suite", "pytest_lumyn_policy"])
def test_a_hook_that_raises_while_files_are_read_says_where(repo: Repo, hook: str) -> None:
    repo.write("conftest.py", f"def {hook}(path):\n    raise LookupError('lost')\n")
    run = repo.run_pytest("--lumyn-vectors")
    run.match(f"hook {hook} raised LookupError: lost (conftest.py:2)")
    repo.run_pytest("--lumyn-vectors", "--full-trace").match("*pluggy/*")


@pytest.mark.parametrize("said", ["pytest.skip('not here')", "pytest.exit('enough')"])
def test_what_a_hook_says_to_pytest_itself_is_passed_on(repo: Repo, said: str) -> None:
    repo.write("conftest.py", f"import pytest\n\n\ndef pytest_lumyn_request(request):\n    {said}\n")
    run = repo.run_pytest("--lumyn-vectors", "-k", "small")
    if "exit" in said:
        assert 2 == run.exit_code
        run.match("*enough*")
    else:
        run.assert_outcomes(skipped=1, deselected=PASSING - 1)


@pytest.mark.parametrize("said", ["pytest.skip('not here')", "pytest.xfail('later')"])
def test_a_comparison_hides_no_drift(repo: Repo, said: str) -> None:
    """It is asked once the vector has come out, so it can add to that and not take it back."""
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    repo.write("conftest.py", f"import pytest\n\n\ndef pytest_lumyn_compare():\n    {said}\n")
    run = repo.run_pytest("--lumyn-vectors", "-k", "at_limit")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match("*hook pytest_lumyn_compare raised *")


def test_a_hook_that_is_told_of_a_drift_cannot_change_it(repo: Repo) -> None:
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    repo.write("conftest.py", "def pytest_lumyn_drift(drift):\n    drift['policy'].clear()\n    drift.clear()\n")
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-report=r.json")
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    assert '"ok": false' in repo.read("r.json")


@pytest.mark.parametrize("answer", ["3", "['policies/shop.yml']"])
def test_a_policy_that_is_no_path_is_an_error(repo: Repo, answer: str) -> None:
    repo.write("conftest.py", f"def pytest_lumyn_policy(path):\n    return {answer}\n")
    run = repo.run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match("hook pytest_lumyn_policy must return a path, not *")
    run.no_match("*Traceback*")


def test_a_hook_that_raises_when_a_change_is_tried_refuses_the_update(repo: Repo) -> None:
    """An update runs the vector again with its changes; a hook that fails then leaves the file as it was."""
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 10")
    repo.write(
        "conftest.py",
        "SEEN = []\n\n\ndef pytest_lumyn_request(item, request):\n    SEEN.append(item)\n"
        "    if len(SEEN) > 1:\n        raise LookupError('only once')\n",
    )
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-update=failing", "-k", "small")
    assert (1, ()) == (run.exit_code, run.changed)
    run.match("*(refused, hook pytest_lumyn_request raised LookupError: only once*")
    run.no_match("*INTERNALERROR*")


def test_drift_is_told_of_each_vector_that_drifted(repo: Repo) -> None:
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    repo.write(
        "conftest.py",
        """
import json, pathlib

def pytest_lumyn_drift(item, drift):
    with pathlib.Path("told.jsonl").open("a") as file:
        file.write(json.dumps([item.name, drift]) + "\\n")
""",
    )
    run = repo.run_pytest("--lumyn-vectors")
    (line,) = repo.read("told.jsonl").splitlines()
    name, drift = json.loads(line)
    assert "limit[at_limit]" == name
    assert f"{FILE}::limit[at_limit]" == drift["nodeid"]
    assert {
        "change": "ESCALATE -> TRUST -NO_MATCH_DEFAULT_ESCALATE +REFUND_SMALL",
        "rule": "R050",
        "place": "policies/shop.yml:37",
    } == drift["cause"]
    assert {"verdict", "reason_codes"} == {each["kind"] for each in drift["drifts"]}
    assert ("told.jsonl",) == run.changed


REPORT = """
import json, pathlib

def pytest_lumyn_report(config, results):
    path = pathlib.Path(str(config.rootpath), "report.json")
    assert not path.exists(), "called twice"
    path.write_text(json.dumps(results, sort_keys=True, indent=1))
"""


def reported(repo: Repo, *options: str, own_process: bool = False) -> list[dict[str, object]]:
    Path(repo.path, "report.json").unlink(missing_ok=True)
    repo.run_pytest("--lumyn-vectors", *options, own_process=own_process)
    results: list[dict[str, object]] = json.loads(repo.read("report.json"))
    return results


def test_report_is_told_everything_once(repo: Repo) -> None:
    repo.write("conftest.py", REPORT)
    repo.replace(FILE, "  - name: small\n", "  - name: small\n    skip: later\n")
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    results = reported(repo)
    assert ["passed", "passed", "failed", "passed", "skipped"] == [result["outcome"] for result in results]
    assert sorted(str(result["nodeid"]) for result in results) == [result["nodeid"] for result in results]
    passed = results[1]
    policy = passed.pop("policy")
    assert isinstance(policy, dict)
    assert ("shop", "1.0.0") == (policy["policy_id"], policy["policy_version"])
    assert policy["policy_hash"].startswith("sha256:")
    assert passed == {
        "nodeid": f"{FILE}::like_a_known_fraud",
        "file": FILE,
        "line": 17,
        "vector": "like_a_known_fraud",
        "suite": "refund",
        "tags": [],
        "outcome": "passed",
        "verdict": "ESCALATE",
        "reason_codes": ["REFUND_LIKE_A_FAILURE", "REFUND_SMALL"],
        "matched_rules": ["R040", "R050"],
        "decided_by": ["R040"],
    }


def test_report_is_the_same_from_workers(repo: Repo) -> None:
    """Byte for byte, and called on the controller only."""
    pytest.importorskip("xdist")
    repo.write("conftest.py", REPORT)
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    alone = reported(repo)
    assert PASSING == len(alone)
    assert alone == reported(repo, "-p", "xdist", "-n2", own_process=True)


def test_an_error_of_a_hook_is_shown_without_the_frames_of_pytest(repo: Repo) -> None:
    repo.write(
        "conftest.py",
        "def rate(table):\n    return table['EUR']\n\n\ndef pytest_lumyn_request(item, request):\n    rate({})\n",
    )
    run = repo.run_pytest("--lumyn-vectors", "-k", "small")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match(
        f"{FILE}:12 small hook pytest_lumyn_request raised KeyError: 'EUR'",
        "Traceback (most recent call last):",
        "*conftest.py*, line 6, in pytest_lumyn_request",
        "*conftest.py*, line 2, in rate",
        "KeyError: 'EUR'",
        f"FAILED {FILE}::small - hook pytest_lumyn_request raised KeyError: 'EUR'",
    )
    run.no_match("*/pluggy/*", "*/_pytest/*", "*/item.py*", "*/runner.py*")
    quiet = repo.run_pytest("--lumyn-vectors", "-k", "small", "-q")
    quiet.no_match("Traceback*")
    everything = repo.run_pytest("--lumyn-vectors", "-k", "small", "--full-trace")
    everything.match("*item.py*")


def test_a_hook_nobody_specified_is_refused(repo: Repo) -> None:
    """Also with vectors off: a misspelt hook would never be called."""
    repo.write("conftest.py", "def pytest_lumyn_drfit(item, drift):\n    pass\n")
    assert 0 != repo.run_pytest().exit_code


def test_hooks_may_be_implemented_with_vectors_off(repo: Repo) -> None:
    repo.write("conftest.py", REPORT)
    repo.write("tests/test_app.py", "def test_app():\n    pass\n")
    repo.run_pytest().assert_outcomes(passed=1)
