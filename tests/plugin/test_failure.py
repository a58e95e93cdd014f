"""What a drift looks like: in the terminal at every verbosity, in the short summary, in JUnit files, in colour."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from plugin.shop import PASSING

from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def drifted(repo: Repo) -> Repo:
    """The limit was raised: `over_limit` drifts."""
    repo.replace("policies/shop.yml", "escalate_over_usd: 200", "escalate_over_usd: 300")
    return repo


@pytest.fixture
def looser(repo: Repo) -> Repo:
    """The small refund became a large one: `limit[at_limit]` is trusted."""
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    return repo


def test_a_drift_is_shown_with_its_cause(looser: Repo) -> None:
    """Place, what was expected and came out, the deciding rule, the nearest miss, how to run it again."""
    run = looser.run_pytest("--lumyn-vectors")
    assert 1 == run.exit_code
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    run.match(
        "*_ vector limit[at_limit] _*",
        f"{FILE}:26 limit[at_limit] *verdict ESCALATE -> TRUST*",
        "*-NO_MATCH_DEFAULT_ESCALATE*+REFUND_SMALL*",
        "decided by *R050 (TRUST_PATHS) policies/shop.yml:37 *amount_usd 200 <= 200",
        "nearest miss *R030 (ESCALATIONS) amount_usd 200 > 200 is false; *",
        "memory *0 items, failure_similarity 0",
        f'rerun *pytest "{FILE}::limit[at_limit]" --lumyn-vectors*',
        "FAILED vectors/shop/refund.yml::limit[at_limit] - verdict ESCALATE -> TRUST *",
    )


def test_no_line_of_python_is_shown(looser: Repo) -> None:
    run = looser.run_pytest("--lumyn-vectors", "--showlocals")
    run.no_match("*.py:*", "*Traceback*", "*runtest*", "*VectorDrift*")


def test_a_scenario_names_the_step_and_its_line(repo: Repo) -> None:
    repo.replace("policies/shop.yml", "failure_similarity_gte: 0.8", "failure_similarity_gt: 1")
    run = repo.run_pytest("--lumyn-vectors", "-k", "compounding")
    run.match(
        "*_ scenario compounding _*",
        f"{FILE}:33 compounding *step decide *verdict ESCALATE -> TRUST*",
        "steps *first TRUST, label, decide TRUST",
    )


def test_quiet_shows_one_line_of_a_drift(looser: Repo) -> None:
    run = looser.run_pytest("--lumyn-vectors", "-q", env={"COLUMNS": "200"})
    run.match(f"{FILE}:26 limit[at_limit] *verdict ESCALATE -> TRUST *", "*short test summary info*")
    run.no_match("decided by*", "memory*")


def test_verbose_shows_every_difference_and_very_verbose_the_record(looser: Repo) -> None:
    run = looser.run_pytest("--lumyn-vectors", "-v")
    run.match('reason_codes.0 "NO_MATCH_DEFAULT_ESCALATE" -> "REFUND_SMALL"')
    run.no_match('"inputs_digest": *')
    run = looser.run_pytest("--lumyn-vectors", "-vv")
    run.match("differences *", '"inputs_digest": *')


def test_tb_line_is_one_line_and_tb_no_is_none(looser: Repo) -> None:
    run = looser.run_pytest("--lumyn-vectors", "--tb=line", "-rN")
    assert 1 == sum("TRUST" in line for line in run.lines)
    run.match(f"{FILE}:26: verdict ESCALATE -> TRUST *")
    run = looser.run_pytest("--lumyn-vectors", "--tb=no", "-rN")
    assert 0 == sum("TRUST" in line for line in run.lines)
    assert 1 == run.exit_code


@pytest.mark.parametrize("style", ["auto", "short", "long", "native", "line", "no"])
@pytest.mark.parametrize("extra", [(), ("--full-trace",), ("--runxfail",), ("-l", "--assert=plain")])
def test_every_style_of_traceback_works(looser: Repo, style: str, extra: tuple[str, ...]) -> None:
    run = looser.run_pytest("--lumyn-vectors", f"--tb={style}", *extra)
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    run.no_match("INTERNALERROR*")


@pytest.mark.parametrize("raised", ["lost({})", "pytest.fail('no EUR')"])
@pytest.mark.parametrize("when", ["setup", "teardown"])
def test_what_another_plugin_raises_is_shown_without_the_frames_of_pytest(repo: Repo, when: str, raised: str) -> None:
    """pytest asks items for their own words about the call alone."""
    repo.write(
        "conftest.py",
        "import pytest\n\n\ndef lost(table):\n    return table['EUR']\n\n\n"
        f"def pytest_runtest_{when}(item):\n    {raised}\n",
    )
    run = repo.run_pytest("--lumyn-vectors", "-k", "small")
    error = "KeyError: 'EUR'" if "lost" in raised else "Failed: no EUR"
    run.match(
        f"*_ ERROR at {when} of vector small _*",
        f"{FILE}:12 small raised {error}",
        f"*conftest.py*, line 9, in pytest_runtest_{when}",
        error,
        f"ERROR {FILE}::small - raised {error}",
    )
    run.no_match("*/pluggy/*", "*/_pytest/*", "*runner.py*", "*outcomes.py*")
    assert 1 == run.exit_code
    full = repo.run_pytest("--lumyn-vectors", "-k", "small", "--full-trace")
    assert "/pluggy/" in full.text


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_lines_fit_the_terminal(looser: Repo, columns: int) -> None:
    """But for the command to copy, which stays in one piece."""
    looser.replace("policies/shop.yml", "failure_similarity_gte: 0.8", "failure_similarity_gt: 1")
    run = looser.run_pytest("--lumyn-vectors", env={"COLUMNS": str(columns)})
    block = run.text.partition("= FAILURES =")[2].partition("= short test summary")[0]
    lines = [line for line in block.splitlines()[1:] if not line.strip().startswith(("rerun", "accept"))]
    assert len(lines) > 10
    assert max(map(len, lines)) <= columns


def test_colours_are_pytests_own_and_change_no_text(looser: Repo) -> None:
    plain = looser.run_pytest("--lumyn-vectors", "--color=no", "-rN")
    coloured = looser.run_pytest("--lumyn-vectors", "--color=yes", "-rN", env={"PY_COLORS": "1"})
    assert "\x1b[" not in plain.stdout
    line = next(line for line in coloured.stdout.splitlines() if "limit[at_limit]" in line and "TRUST" in line)
    assert "\x1b[35m\x1b[1mESCALATE\x1b[0m" in line
    assert "\x1b[32m\x1b[1mTRUST\x1b[0m" in line

    def failures(text: str) -> str:
        return COLOUR.sub("", text).partition("FAILURES")[2].partition(" passed")[0]

    assert failures(plain.stdout) == failures(coloured.stdout)


def test_in_continuous_integration_the_short_summary_stays_one_line(looser: Repo) -> None:
    """There pytest prints the whole text of a failure that is a plain string."""
    run = looser.run_pytest("--lumyn-vectors", env={"CI": "true"})
    summary = run.text.partition("short test summary info")[2].splitlines()[1:]
    assert 2 == len([line for line in summary if line.strip()])
    assert summary[0].endswith("-NO_MATCH_DEFAULT_ESCALATE +REFUND_SMALL")


def test_control_characters_never_reach_the_terminal(repo: Repo) -> None:
    """A policy or a vector can come from anybody."""
    repo.replace("vectors/shop/refund.yml", "summary: INC-42", 'summary: "INC-\\x1b[2J42"')
    repo.replace("policies/shop.yml", "failure_similarity_gte: 0.8", "failure_similarity_gt: 1")
    run = repo.run_pytest("--lumyn-vectors")
    assert "\x1b" not in run.stdout + run.stderr


def junit(repo: Repo, *arguments: str, **kwargs: bool) -> dict[str, ET.Element]:
    repo.run_pytest("--lumyn-vectors", "--junitxml=junit.xml", *arguments, **kwargs)
    cases = ET.fromstring(repo.read("junit.xml")).iter("testcase")
    return {case.attrib["name"]: case for case in cases}


def properties(case: ET.Element) -> dict[str, str]:
    return {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}


def test_junit_holds_the_decision(repo: Repo) -> None:
    cases = junit(repo)
    assert {"small", "like_a_known_fraud", "limit[at_limit]", "limit[over_limit]", "compounding"} == cases.keys()
    assert "vectors.shop.refund.yml" == cases["small"].attrib["classname"]
    found = properties(cases["limit[over_limit]"])
    assert found.pop("lumyn_policy_hash").startswith("sha256:")
    assert found == {"lumyn_verdict": "ESCALATE", "lumyn_reason_codes": "REFUND_OVER_LIMIT", "lumyn_rule": "R030"}
    found = properties(cases["like_a_known_fraud"])
    assert "REFUND_LIKE_A_FAILURE, REFUND_SMALL" == found["lumyn_reason_codes"]
    assert "R040" == found["lumyn_rule"]
    assert "default" == properties(cases["limit[at_limit]"])["lumyn_rule"]


def test_junit_holds_the_drift(looser: Repo) -> None:
    failure = junit(looser)["limit[at_limit]"].find("failure")
    assert failure is not None
    assert (
        "verdict ESCALATE -> TRUST reason_codes -NO_MATCH_DEFAULT_ESCALATE +REFUND_SMALL" == failure.attrib["message"]
    )
    assert "policies/shop.yml:37" in (failure.text or "")
    assert "\x1b" not in (failure.text or "")


def test_a_request_that_is_refused_is_reported_by_its_reason_code(repo: Repo) -> None:
    repo.write(
        "vectors/invalid.yml",
        "schema_version: vector.v0\npolicy: policies/shop.yml\nclock: '2026-01-15T12:00:00Z'\nname: no_action\n"
        "request: {action: {type: support.refund}}\nexpect: {error: INVALID_REQUEST_SCHEMA}\n",
    )
    found = properties(junit(repo)["no_action"])
    assert "INVALID_REQUEST_SCHEMA" == found["lumyn_error"]
    assert "lumyn_verdict" not in found
