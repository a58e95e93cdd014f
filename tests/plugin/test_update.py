"""`--lumyn-update=failing|new|all` rewrites what drifted, proves it, and says so honestly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from plugin.shop import PASSING, VECTORS

from lumyn.documents.schema import check
from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"
POLICY_FILE = "policies/shop.yml"
TRUSTED = "    request: {$use: refund}\n    expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n"
ESCALATED = TRUSTED.replace("TRUST,", "ESCALATE,").replace("REFUND_SMALL", "NO_MATCH_DEFAULT_ESCALATE")


def tighter(repo: Repo) -> Repo:
    """Three vectors drift, none to a more permissive verdict."""
    repo.replace(POLICY_FILE, "trust_up_to_usd: 25", "trust_up_to_usd: 1")
    return repo


def update(repo: Repo, scope: str = "failing", *arguments: str, **options):
    return repo.run_pytest("--lumyn-vectors", f"--lumyn-update={scope}", *arguments, **options)


def lines_changed(before: str, after: str) -> list[tuple[str, str]]:
    old, new = before.split("\n"), after.split("\n")
    assert len(old) == len(new)
    return [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]


def test_a_word_that_changes_is_a_line_that_changes(repo: Repo) -> None:
    tighter(repo)
    run = update(repo, "failing", "-k", "small")
    run.assert_outcomes(updated=1, deselected=PASSING - 1)
    assert (0, (FILE,)) == (run.exit_code, run.changed)
    assert [TRUSTED.split("\n")[1], ESCALATED.split("\n")[1]] == list(lines_changed(VECTORS, repo.read(FILE))[0])
    assert 1 == len(lines_changed(VECTORS, repo.read(FILE)))
    run.match("*lumyn update: 1 vector, 0 refused*")


def test_everything_that_drifted_passes_afterwards(repo: Repo) -> None:
    """Scenarios too: each of their steps is rewritten in turn."""
    tighter(repo)
    run = update(repo)
    run.assert_outcomes(passed=PASSING - 3, updated=3)
    run.match(
        "*lumyn update: 3 vectors, 0 refused*",
        "ESCALATE, for other reasons     2",
        "TRUST -> ESCALATE               2",
        f"1 file changed: {FILE}",
    )
    assert 0 == run.exit_code
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)


def test_a_report_says_what_was_updated(repo: Repo) -> None:
    """The document keeps to its schema, and an expectation that was rewritten is no drift to look at."""
    tighter(repo)
    update(repo, "failing", "--lumyn-report=r.json", "--lumyn-report=r.md", "--lumyn-report=r.html")
    report = json.loads(repo.read("r.json"))
    assert check("vector_report.v0.schema.json", report)
    assert (0, 3) == (report["summary"]["failed"], report["summary"]["updated"])
    assert {"transition": "TRUST -> ESCALATE", "refused": ""} in [each.get("update") for each in report["vectors"]]
    assert "3 updated" in repo.read("r.md")
    assert "<strong>3</strong> updated" in repo.read("r.html")


def test_a_run_that_passes_changes_nothing(repo: Repo) -> None:
    run = update(repo, "all")
    run.assert_outcomes(passed=PASSING)
    run.no_match("*lumyn update*")
    assert () == run.changed


def test_a_node_id_chooses(repo: Repo) -> None:
    repo.replace(POLICY_FILE, "escalate_over_usd: 200", "escalate_over_usd: 100")
    run = repo.run_pytest(f"{FILE}::limit[at_limit]", "--lumyn-vectors", "--lumyn-update=failing")
    run.assert_outcomes(updated=1)
    changes = lines_changed(VECTORS, repo.read(FILE))
    expected = "        - [at_limit, 200, ESCALATE, [REFUND_OVER_LIMIT]]"
    assert [expected] == [after for _, after in changes]


def test_the_printed_command_does_what_it_says(repo: Repo) -> None:
    """As it stands, in a shell."""
    repo.replace(POLICY_FILE, "escalate_over_usd: 200", "escalate_over_usd: 100")
    run = repo.run_pytest("--lumyn-vectors")
    (line,) = [line for line in run.lines if line.strip().startswith("accept")]
    command = line.split("accept", 1)[1].strip()
    assert f'pytest "{FILE}::limit[at_limit]" --lumyn-vectors --lumyn-update=failing' == command
    environment = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    shell = command.replace("pytest ", f"'{sys.executable}' -m pytest ", 1)
    subprocess.run(shell, shell=True, cwd=repo.path, env=environment, check=True, capture_output=True)
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)


def test_a_path_with_a_dollar_is_quoted_for_the_shell(make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({FILE: None, "vectors/$HOME x/refund.yml": VECTORS})
    tighter(repo)
    run = repo.run_pytest("--lumyn-vectors", "-k", "small")
    run.match("accept        pytest 'vectors/$HOME x/refund.yml::small' --lumyn-vectors --lumyn-update=failing")


@pytest.mark.parametrize("variable", ["CI", "BUILD_NUMBER"])
@pytest.mark.parametrize("option", ["--lumyn-update=failing", "--lumyn-review"])
def test_it_is_refused_in_continuous_integration(repo: Repo, variable: str, option: str) -> None:
    run = tighter(repo).run_pytest("--lumyn-vectors", option, env={variable: "1"})
    assert (4, ()) == (run.exit_code, run.changed)
    run.match(f"ERROR: lumyn: {option.partition('=')[0]} is refused where CI or BUILD_NUMBER is set*")


def test_it_is_refused_against_a_policy_the_vectors_do_not_name(repo: Repo) -> None:
    run = update(tighter(repo), "failing", f"--lumyn-policy={POLICY_FILE}")
    assert (4, ()) == (run.exit_code, run.changed)
    run.match("ERROR: lumyn: --lumyn-update with --lumyn-policy*")


def test_it_needs_vectors_and_a_scope(repo: Repo) -> None:
    run = repo.run_pytest("--lumyn-update=failing")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: --lumyn-update has no effect without --lumyn-vectors")
    assert 4 == update(repo, "everything").exit_code


def test_maxfail_does_not_stop_at_what_is_updated(repo: Repo) -> None:
    tighter(repo)
    update(repo, "failing", "-x").assert_outcomes(passed=PASSING - 3, updated=3)


def test_what_fails_for_another_reason_still_fails(repo: Repo) -> None:
    tighter(repo)
    repo.write(
        "conftest.py", "def pytest_lumyn_compare(item, record):\n    return ['no'] if 'like' in item.name else []\n"
    )
    run = update(repo)
    run.assert_outcomes(passed=PASSING - 3, updated=2, failed=1)
    run.match("*lumyn update: 2 vectors, 1 refused*", "*(refused, a hook of this project found it wrong)")
    run.no_match("--lumyn-accept-looser accepts what is looser")
    assert 1 == run.exit_code


def test_a_vector_that_cannot_run_has_no_expectation_to_blame(repo: Repo) -> None:
    """It fails as ever, and the update says nothing of it."""
    broken = "known_fraud: {label: failure, request: {$use: refund, $with: {action.type: Refund}}, summary: INC-42}"
    repo.replace(FILE, "known_fraud: {label: failure, request: {$use: refund}, summary: INC-42}", broken)
    run = update(repo, "failing", "-k", "fraud", "--lumyn-report=r.json")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.no_match("*lumyn update*")
    (vector,) = json.loads(repo.read("r.json"))["vectors"]
    assert "update" not in vector


def test_an_expected_failure_is_left_alone(repo: Repo) -> None:
    tighter(repo)
    repo.replace(FILE, "  - name: small\n", "  - name: small\n    xfail: {reason: INC-7}\n")
    update(repo).assert_outcomes(passed=PASSING - 3, updated=2, xfailed=1)
    assert "expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n  - name: like" in repo.read(FILE)


def test_a_condition_is_left_to_a_person(repo: Repo) -> None:
    tighter(repo)
    repo.replace(FILE, TRUSTED, TRUSTED.replace("[REFUND_SMALL]", "{contains: [REFUND_SMALL]}"))
    before = repo.read(FILE)
    run = update(repo, "failing", "-k", "small")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match("accept        by hand: `reason_codes.contains` states a condition: *")
    assert (1, before) == (run.exit_code, repo.read(FILE))


def test_rows_that_share_an_expectation_have_to_agree(repo: Repo) -> None:
    """Chosen alone, a row cannot change what the others rest on; all of them together can."""
    shared = (
        "    expect: {verdict: ESCALATE, reason_codes: [NO_MATCH_DEFAULT_ESCALATE]}\n    table:\n"
        "      columns: [id, request.action.amount.value]\n      rows: [[one, 150], [two, 160]]\n"
    )
    text = repo.read(FILE)
    table = text[text.index("    table:\n") : text.index("  - name: compounding")]
    repo.replace(FILE, table, shared)
    repo.replace(POLICY_FILE, "escalate_over_usd: 200", "escalate_over_usd: 100")
    before = repo.read(FILE)
    run = repo.run_pytest(f"{FILE}::limit[one]", "--lumyn-vectors", "--lumyn-update=failing")
    run.assert_outcomes(failed=1)
    run.match("*stands for all 2 rows of a table, and 1 came out this way)")
    assert (1, before) == (run.exit_code, repo.read(FILE))
    update(repo, "failing", "-k", "limit").assert_outcomes(updated=2, deselected=PASSING - 2)
    assert [("NO_MATCH_DEFAULT_ESCALATE", "REFUND_OVER_LIMIT")] == [
        (old[old.index("[") + 1 : -2], new[new.index("[") + 1 : -2])
        for old, new in lines_changed(before, repo.read(FILE))
    ]


def test_what_only_defaults_say_is_written_into_the_vector(repo: Repo) -> None:
    """Nobody knows who else inherits it."""
    repo.write(
        "vectors/_defaults.yaml",
        "schema_version: vector.v0\nexpect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n",
    )
    repo.replace(FILE, TRUSTED, "    request: {$use: refund}\n")
    tighter(repo)
    run = update(repo, "failing", "-k", "small")
    run.assert_outcomes(updated=1, deselected=PASSING - 1)
    assert (FILE,) == run.changed
    assert ESCALATED in repo.read(FILE)


def test_a_golden_record_is_rewritten_too(repo: Repo) -> None:
    """Only what differs, and the record stays the record of that vector."""
    repo.write("make.py", MAKE_GOLDEN)
    subprocess.run([sys.executable, "make.py"], cwd=repo.path, check=True)
    repo.replace(FILE, TRUSTED, "    request: {$use: refund}\n    expect: {record: {$exact: vectors/_small.json}}\n")
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)
    golden = repo.read("vectors/_small.json")
    tighter(repo)
    run = update(repo, "failing", "-k", "small")
    run.assert_outcomes(updated=1, deselected=PASSING - 1)
    assert ("vectors/_small.json",) == run.changed
    assert '"verdict": "ESCALATE"' in repo.read("vectors/_small.json")
    kept = set(golden.splitlines()) & set(repo.read("vectors/_small.json").splitlines())
    assert len(kept) > len(golden.splitlines()) / 2
    repo.run_pytest("--lumyn-vectors", "-k", "small").assert_outcomes(passed=1, deselected=PASSING - 1)


def refused_in_the_end(repo: Repo) -> None:
    """One row of a table drifts, and what it expects is shared with another: that is found when the run is over."""
    repo.replace(
        FILE,
        TRUSTED,
        "    request: {$use: refund}\n    expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n"
        "    table: {columns: [id, request.action.amount.value], rows: [[six, 6], [two, 2]]}\n",
    )
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 5")


WAYS = [(), ("-p", "xdist", "-n1")]


@pytest.mark.parametrize("workers", WAYS, ids=["alone", "workers"])
def test_last_failed_knows_of_an_update_that_was_refused_in_the_end(repo: Repo, workers: tuple[str, ...]) -> None:
    refused_in_the_end(repo)
    before = repo.read(FILE)
    run = update(repo, "failing", "-k", "small", *workers)
    run.match("*stands for all 2 rows of a table, and 1 came out this way)")
    run.assert_outcomes(passed=1, failed=1, **({} if workers else {"deselected": PASSING - 1}))
    assert (1, before) == (run.exit_code, repo.read(FILE))
    again = repo.run_pytest("--lumyn-vectors", "--lf", "-k", "small")
    again.assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("workers", "family"), [((), "xunit1"), ((), "xunit2"), ((), "legacy"), (("-p", "xdist", "-n1"), "xunit2")]
)
def test_junit_says_failed_of_an_update_that_was_refused_in_the_end(
    repo: Repo, workers: tuple[str, ...], family: str
) -> None:
    """Once for each vector, and what was rewritten in the same run passed."""
    refused_in_the_end(repo)
    run = update(repo, "failing", *workers, "--junitxml=out/junit.xml", "-o", f"junit_family={family}")
    run.assert_outcomes(passed=3, updated=2, failed=1)
    (suite,) = ET.fromstring(repo.read("out/junit.xml"))
    assert ("6", "1", "0", "0") == tuple(suite.get(name) for name in ("tests", "failures", "errors", "skipped"))
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert 6 == len(cases) == len(suite.findall("testcase"))
    assert ["small[six]"] == [name for name, case in cases.items() if case.find("failure") is not None]
    failed = cases["small[six]"]
    failure = failed.find("failure")
    assert failure is not None
    assert "verdict TRUST -> ESCALATE" in (failure.get("message") or "")
    properties = {each.get("name"): each.get("value") for each in failed.iter("property")}
    assert "ESCALATE" == properties["lumyn_verdict"]


def test_of_two_files_that_junit_calls_the_same_each_keeps_its_own_failure(repo: Repo) -> None:
    """`shop/refund.yml` and `shop.refund.yml` are one class to it; a vector of each is called `small[six]`."""
    refused_in_the_end(repo)
    repo.write("vectors/shop.refund.yml", repo.read(FILE))
    repo.replace(
        FILE, "reason_codes: [REFUND_SMALL]}\n    table", "reason_codes: {contains: [REFUND_SMALL]}}\n    table"
    )
    run = update(repo, "failing", "-k", "small", "--junitxml=junit.xml")
    run.assert_outcomes(passed=2, failed=2, deselected=2 * (PASSING - 1))
    cases = [
        case for case in ET.fromstring(repo.read("junit.xml")).iter("testcase") if case.get("name") == "small[six]"
    ]
    assert 2 == len(cases)
    assert all(case.find("failure") is not None for case in cases)


def test_our_own_parts_are_not_told_twice_what_failed_in_the_end(repo: Repo) -> None:
    refused_in_the_end(repo)
    run = update(repo, "failing", "-k", "small", "--lumyn-max-diffs=0")
    run.match("*= lumyn: 1 vector failed, 1 cause =*")


def test_a_junit_file_is_looked_at_only_where_something_failed_in_the_end(repo: Repo) -> None:
    """What another plugin makes of it is no news of this run."""
    tighter(repo)
    repo.write(
        "conftest.py",
        "import pathlib, pytest\n\n\n@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish():\n"
        "    pathlib.Path('junit.xml').write_text('<')\n",
    )
    run = update(repo, "failing", "-k", "small", "--junitxml=junit.xml")
    run.no_match("ERROR: lumyn: *")
    assert 0 == run.exit_code


def test_a_hook_of_another_plugin_sees_an_update_fail_that_was_refused_in_the_end(repo: Repo) -> None:
    """And pytest counts it among what failed."""
    refused_in_the_end(repo)
    repo.write(
        "conftest.py",
        "SEEN = []\n\n\ndef pytest_runtest_logreport(report):\n    if report.when == 'call':\n"
        "        SEEN.append((report.nodeid.partition('::')[2], report.outcome))\n\n\n"
        "def pytest_terminal_summary(terminalreporter):\n    print(SEEN, terminalreporter._session.testsfailed)\n",
    )
    run = update(repo, "failing", "-k", "small")
    run.match("[('small[six]', 'passed'), ('small[two]', 'passed'), ('small[six]', 'failed')] 1")


def test_a_junit_file_that_cannot_be_mended_is_said(repo: Repo) -> None:
    refused_in_the_end(repo)
    repo.write(
        "conftest.py",
        "import pathlib, pytest\n\n\n@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish():\n"
        "    pathlib.Path('junit.xml').write_text('<')\n",
    )
    run = update(repo, "failing", "-k", "small", "--junitxml=junit.xml")
    run.match("ERROR: lumyn: junit.xml may call vectors passed that failed: *")
    assert 1 == run.exit_code


def test_a_golden_record_that_gets_looser_is_refused(repo: Repo) -> None:
    """Also where the vector beside it names the looser verdict already, which the record contradicts."""
    repo.write("make.py", MAKE_GOLDEN)
    subprocess.run([sys.executable, "make.py"], cwd=repo.path, check=True)
    small = "    request: {$use: refund}\n    expect: {record: {$exact: vectors/_small.json}}\n"
    repo.replace(FILE, TRUSTED, small.replace("{record", "{verdict: TRUST, record"))
    golden = repo.read("vectors/_small.json").replace('"verdict": "TRUST"', '"verdict": "ESCALATE"')
    repo.write("vectors/_small.json", golden)
    run = update(repo, "failing", "-k", "small")
    run.match("*(refused, looser: TRUST is more permissive than ESCALATE)")
    assert (1, golden) == (run.exit_code, repo.read("vectors/_small.json"))


def share_golden(repo: Repo, *, other: str = FILE, extra: str = "") -> None:
    """Have two vectors of one request rest on one golden record; the second is `like_small`."""
    repo.write("make.py", MAKE_GOLDEN)
    subprocess.run([sys.executable, "make.py"], cwd=repo.path, check=True)
    small = "    request: {$use: refund}\n    expect: {record: {$exact: vectors/_small.json}}\n"
    repo.replace(FILE, TRUSTED, small)
    if other == FILE:
        repo.replace(FILE, "  - name: limit\n", f"  - name: like_small\n{extra}{small}  - name: limit\n")
    else:
        head, _, _ = repo.read(FILE).partition("vectors:\n")
        fixtures = head[: head.index("  memory:")]
        repo.write(other, f"{fixtures}vectors:\n  - name: like_small\n{extra}{small}")
    repo.run_pytest("--lumyn-vectors", "--runxfail").assert_outcomes(
        **({"passed": PASSING, "skipped": 1} if "skip" in extra else {"passed": PASSING + 1})
    )


SHARED = {
    "deselected": (FILE, "", ("-k", "small and not like")),
    "in a file not visited": ("vectors/other.yaml", "", (f"{FILE}::small",)),
    "skipped": (FILE, "    skip: later\n", ()),
    "a scenario of a team": ("team/late.lumyn.yml", "", (FILE, "-k", "small")),
    "a file deselected": ("vectors/other.yaml", "", ("--deselect", "vectors/other.yaml")),
}


@pytest.mark.parametrize("case", SHARED)
def test_a_golden_record_of_several_vectors_is_not_rewritten_for_one(repo: Repo, case: str) -> None:
    """Whoever did not come out the same would expect something else without a word, and a looser verdict too."""
    other, extra, selection = SHARED[case]
    share_golden(repo, other=other, extra=extra)
    tighter(repo)
    golden = repo.read("vectors/_small.json")
    run = update(repo, "failing", *selection)
    assert (1, golden) == (run.exit_code, repo.read("vectors/_small.json"))
    name = (
        other
        if "::" in "".join(selection) or "team" in other or case == "a file deselected"
        else f"{other}::like_small"
    )
    run.match(f"*(refused, `vectors/_small.json` is shared with {name}, which did not come out the same)")
    # A record looks the same with the verdict made stricter by hand: then what comes out is looser.
    repo.replace("policies/shop.yml", "trust_up_to_usd: 1", "trust_up_to_usd: 25")
    strict = golden.replace('"verdict": "TRUST"', '"verdict": "ESCALATE"')
    repo.write("vectors/_small.json", strict)
    run = update(repo, "failing", "--lumyn-accept-looser", *selection)
    assert (1, strict) == (run.exit_code, repo.read("vectors/_small.json"))
    run.match("*is shared with *")


@pytest.mark.parametrize("workers", WAYS, ids=["alone", "workers"])
@pytest.mark.parametrize("other", [FILE, "vectors/other.yaml"])
def test_a_golden_record_is_rewritten_for_all_who_come_out_the_same(
    repo: Repo, other: str, workers: tuple[str, ...]
) -> None:
    share_golden(repo, other=other)
    tighter(repo)
    workers = (*workers[:2], "-n2") if workers else ()
    run = update(repo, "failing", "-k", "small", *workers)
    assert (0, ("vectors/_small.json",)) == (run.exit_code, run.changed)
    assert 2 == run.outcomes["updated"]
    repo.run_pytest("--lumyn-vectors", "-k", "small").assert_outcomes(passed=2, deselected=PASSING - 1)


def test_a_file_that_only_speaks_of_a_golden_record_does_not_keep_it(repo: Repo) -> None:
    """A note, a vector of another record, and a copy in a folder that pytest leaves alone."""
    share_golden(repo, other="vectors/other.yaml")
    repo.replace("vectors/other.yaml", "{$exact: vectors/_small.json}", "{verdict: TRUST}")
    repo.write("notes.yml", "note: vectors/_small.json is the $exact one\n")
    repo.write("vectors/_other.json", repo.read("vectors/_small.json"))
    repo.write("vectors/third.lumyn.yml.txt", "{$exact: vectors/_small.json}\n")
    repo.write(".tox/copy/vectors/other.yaml", "a: {$exact: vectors/_small.json}\n")
    tighter(repo)
    run = update(repo, "failing", FILE, "-k", "small")
    assert (0, ("vectors/_small.json",)) == (run.exit_code, run.changed)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("team/_defaults.yaml", "schema_version: vector.v0\nexpect: {record: {$exact: ./vectors/_small.json}}\n"),
        ("vectors/broken.yaml", "a: {$exact: vectors/_small.json\n"),
        ("a.json", '{"steps": [{"expect": {"record": {"$exact": "vectors/../vectors/_small.json"}}}]}'),
    ],
)
def test_who_may_rest_on_a_golden_record_keeps_it(repo: Repo, name: str, text: str) -> None:
    share_golden(repo, other="vectors/other.yaml")
    repo.write("vectors/other.yaml", "schema_version: vector.v0\n")
    repo.write(name, text)
    tighter(repo)
    golden = repo.read("vectors/_small.json")
    run = update(repo, "failing", f"{FILE}::small")
    run.match(f"*is shared with {name}, *")
    assert (1, golden) == (run.exit_code, repo.read("vectors/_small.json"))


MAKE_GOLDEN = """
import json
from pathlib import Path
from lumyn.vectors import load_suite, run
suite = load_suite(Path("vectors/shop/refund.yml"), root=Path.cwd())
Path("vectors/_small.json").write_text(json.dumps(run(suite.vectors[0]).record.normalised(), indent=2))
"""


def test_an_expected_error_that_does_not_come_is_looser(repo: Repo) -> None:
    repo.replace(FILE, TRUSTED, "    request: {$use: refund}\n    expect: {error: INVALID_REQUEST_SCHEMA}\n")
    run = update(repo, "failing", "-k", "small")
    run.match(
        "INVALID_REQUEST_SCHEMA -> TRUST     1  (refused, looser: the error INVALID_REQUEST_SCHEMA was expected, *"
    )
    update(repo, "failing", "-k", "small", "--lumyn-accept-looser").assert_outcomes(updated=1, deselected=PASSING - 1)
    assert "expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}" in repo.read(FILE)


def test_an_error_in_place_of_a_record(repo: Repo) -> None:
    broken = "    request: {$use: refund, $with: {action.colour: red}}\n"
    repo.replace(FILE, TRUSTED, broken + TRUSTED.split("\n")[1] + "\n")
    update(repo, "failing", "-k", "small").assert_outcomes(updated=1, deselected=PASSING - 1)
    assert f"{broken}    expect: {{error: INVALID_REQUEST_SCHEMA}}\n" in repo.read(FILE)


def without_expectations(repo: Repo) -> Repo:
    repo.replace(FILE, TRUSTED, "    request: {$use: refund}\n")
    repo.replace(FILE, "200, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]", "200, null, null")
    repo.replace(FILE, "        expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n", "        expect: {}\n")
    return repo


@pytest.mark.parametrize("scope", ["new", "all"])
def test_new_fills_what_expects_nothing_yet(repo: Repo, scope: str) -> None:
    without_expectations(repo)
    run = update(repo, scope)
    run.assert_outcomes(passed=PASSING - 3, updated=3)
    run.match("nothing -> TRUST        2")
    assert (0, VECTORS) == (run.exit_code, repo.read(FILE).replace("        expect: {}\n", ""))


def test_a_vector_without_expectation_is_an_error_otherwise(repo: Repo) -> None:
    without_expectations(repo)
    for arguments in ([], ["--lumyn-update=failing"]):
        run = repo.run_pytest("--lumyn-vectors", *arguments)
        assert (2, ()) == (run.exit_code, run.changed)
        run.match("*this vector has no `expect` [EXPECT_MISSING]*")


def test_new_leaves_drifts_alone(repo: Repo) -> None:
    tighter(repo)
    run = update(repo, "new")
    run.assert_outcomes(passed=PASSING - 3, failed=3)
    assert (1, ()) == (run.exit_code, run.changed)


def test_workers_change_each_file_once(make_repo: Callable[..., Repo]) -> None:
    files = {f"vectors/shop/more{number}.yml": VECTORS for number in range(3)}
    repo, alone = make_repo(files), Repo()
    tighter(repo)
    for name in (POLICY_FILE, FILE, *files):
        alone.write(name, repo.read(name))
    run = update(repo, "failing", "-n2", "-p", "xdist", own_process=True)
    run.assert_outcomes(passed=4 * (PASSING - 3), updated=12)
    assert (0, tuple(sorted((FILE, *files)))) == (run.exit_code, run.changed)
    update(alone)
    assert [alone.read(name) for name in (FILE, *files)] == [repo.read(name) for name in (FILE, *files)]


def test_a_file_that_changes_meanwhile_is_left_and_fails(repo: Repo) -> None:
    """What was updated in the report becomes a failure again."""
    tighter(repo)
    repo.write(
        "conftest.py",
        "def pytest_runtest_teardown(item):\n"
        f"    with open({FILE!r}, 'a') as file:\n        file.write('# edited\\n')\n",
    )
    run = update(repo, "failing", "-k", "small")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match("*verdict TRUST -> ESCALATE*", "*(refused, its file does not hold what was run: *)")
    assert (1, VECTORS + "# edited\n") == (run.exit_code, repo.read(FILE))


def test_what_is_new_and_could_not_be_written_says_how_to_accept_it(repo: Repo) -> None:
    without_expectations(repo)
    repo.write(
        "conftest.py",
        "def pytest_runtest_teardown(item):\n"
        f"    with open({FILE!r}, 'a') as file:\n        file.write('# edited\\n')\n",
    )
    run = update(repo, "new", "-k", "small")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match(f'accept *pytest "{FILE}::small" --lumyn-vectors --lumyn-update=new')


def test_a_looser_verdict_stops_a_run_that_stops_at_failures(repo: Repo) -> None:
    """It is known as a failure at once, not when the run is over."""
    repo.replace(POLICY_FILE, "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    update(repo, "failing", "-x").assert_outcomes(passed=2, failed=1)


def test_the_policy_of_a_hook_takes_part_in_the_proof(repo: Repo) -> None:
    repo.write("policies/next.yml", repo.read(POLICY_FILE).replace("trust_up_to_usd: 25", "trust_up_to_usd: 1"))
    repo.write("conftest.py", "def pytest_lumyn_policy(path):\n    return 'policies/next.yml'\n")
    run = update(repo, "failing", "-k", "small")
    run.assert_outcomes(updated=1, deselected=PASSING - 1)
    assert ESCALATED in repo.read(FILE)


def test_a_suite_made_by_a_hook_has_no_text_to_change(repo: Repo) -> None:
    tighter(repo)
    repo.write(
        "conftest.py",
        "import json\nfrom lumyn.documents import load\n"
        "def pytest_lumyn_load_suite(path):\n    return load(path.read_bytes(), file=path.name).value\n",
    )
    run = update(repo)
    assert (1, ()) == (run.exit_code, run.changed)
    run.match("*a hook made it*")


def test_hooks_take_part_in_the_proof(repo: Repo) -> None:
    repo.write(
        "conftest.py", "def pytest_lumyn_request(item, request):\n    request['action']['amount']['value'] = 150\n"
    )
    run = update(repo, "failing", "-k", "small")
    run.assert_outcomes(updated=1, deselected=PASSING - 1)
    assert ESCALATED in repo.read(FILE)


def test_links_are_not_followed(repo: Repo) -> None:
    tighter(repo)
    (repo.path / "vectors" / "linked.yml").symlink_to("shop/refund.yml")
    run = repo.run_pytest("vectors/linked.yml", "--lumyn-vectors", "--lumyn-update=failing")
    assert (1, ()) == (run.exit_code, run.changed)
    run.match("*a symbolic link leads to its file*")


def test_a_reason_code_that_was_renamed(repo: Repo) -> None:
    """Every other run calls its vectors wrong at collection; this one is there to put them right."""
    policy = repo.read(POLICY_FILE).replace("REFUND_SMALL", "REFUND_TINY")
    repo.write(POLICY_FILE, policy)
    assert 2 == repo.run_pytest("--lumyn-vectors").exit_code
    update(repo).assert_outcomes(passed=PASSING - 3, updated=3)
    assert VECTORS.replace("REFUND_SMALL", "REFUND_TINY") == repo.read(FILE)
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)


def test_an_interrupted_run_writes_nothing(repo: Repo) -> None:
    """What it would have updated fails instead."""
    tighter(repo)
    repo.write(
        "conftest.py",
        "def pytest_runtest_setup(item):\n    if 'limit' in item.name:\n        raise KeyboardInterrupt\n",
    )
    run = update(repo)
    assert (2, VECTORS) == (run.exit_code, repo.read(FILE))
    run.match("TRUST -> ESCALATE * (refused, the run was interrupted)")


def test_an_error_of_a_hook_while_proving_writes_nothing(repo: Repo) -> None:
    tighter(repo)
    repo.write(
        "conftest.py",
        "runs = []\ndef pytest_lumyn_request(item, request):\n    runs.append(item)\n"
        "    if len(runs) > 6:\n        raise OSError('no such table')\n",
    )
    run = update(repo, own_process=True)
    assert 0 != run.exit_code
    assert VECTORS == repo.read(FILE)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "no:terminal"],
        ["-p", "no:cacheprovider"],
        ["-v"],
        ["-q"],
        ["--strict-markers", "--strict-config"],
        ["--assert=plain"],
        ["--capture=no"],
        ["--junitxml=report.xml"],
    ],
)
def test_with_other_options_of_pytest(repo: Repo, arguments: list[str]) -> None:
    tighter(repo)
    run = update(repo, "failing", *arguments, own_process=True)
    assert 0 == run.exit_code, run.text
    assert ESCALATED in repo.read(FILE)
    if arguments == ["-v"]:
        run.match(f"{FILE}::small UPDATED*")


def test_lf_chooses_what_failed_before(repo: Repo) -> None:
    tighter(repo)
    repo.run_pytest("--lumyn-vectors", "-k", "small").assert_outcomes(failed=1, deselected=PASSING - 1)
    update(repo, "failing", "--lf").assert_outcomes(updated=1)
    assert 1 == len(lines_changed(VECTORS, repo.read(FILE)))


def test_a_fault_and_a_policy_in_between(repo: Repo) -> None:
    """Steps other than decisions stay as they are."""
    repo.write("policies/next.yml", repo.read(POLICY_FILE).replace("trust_up_to_usd: 25", "trust_up_to_usd: 1"))
    steps = (
        "      - policy: policies/next.yml  # stricter\n"
        "      - decide: {request: {$use: refund}}\n"
        "        expect: {verdict: TRUST}\n"
        "      - fault: {storage: unavailable}\n"
        "      - decide: {request: {$use: refund}}\n"
        "        expect: {verdict: TRUST}\n"
    )
    repo.write(FILE, VECTORS + steps)
    update(repo, "failing", "-k", "compounding").assert_outcomes(updated=1, deselected=PASSING - 1)
    expected = steps.replace("{verdict: TRUST}", "{verdict: ESCALATE, reason_codes: [REFUND_LIKE_A_FAILURE]}", 1)
    expected = expected.replace("{verdict: TRUST}", "{verdict: ABSTAIN, reason_codes: [STORAGE_UNAVAILABLE]}", 1)
    assert VECTORS + expected == repo.read(FILE)
