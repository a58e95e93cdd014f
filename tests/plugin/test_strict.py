"""`--lumyn-strict`: what does not count without anybody saying so fails a complete run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from plugin.shop import PASSING, VECTORS

from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"
PROPOSED = """\
  - name: what_now
    status: proposed
    request: {$use: refund}
    expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}
"""
SKIPPING = """
import pytest

def pytest_collection_modifyitems(items):
    items[0].add_marker(pytest.mark.skip%s)
"""


@pytest.fixture
def proposing(make_repo: Callable[..., Repo]) -> Repo:
    return make_repo({FILE: VECTORS + PROPOSED})


def test_a_proposed_vector_is_skipped_and_says_why(proposing: Repo) -> None:
    run = proposing.run_pytest("--lumyn-vectors", "-rs")
    run.assert_outcomes(passed=PASSING, skipped=1)
    assert 0 == run.exit_code
    run.match("SKIPPED *proposed, and approved by nobody yet")


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2")], ids=["alone", "workers"])
def test_a_proposed_vector_fails_a_strict_run(proposing: Repo, workers: tuple[str, ...]) -> None:
    run = proposing.run_pytest("--lumyn-vectors", "--lumyn-strict", *workers, own_process=bool(workers))
    run.assert_outcomes(passed=PASSING, skipped=1)
    assert 1 == run.exit_code
    run.match(f"FAILED lumyn gate: {FILE}: 1 vector proposed and not approved")


def test_the_ini_key_is_as_strict(proposing: Repo) -> None:
    proposing.write("pytest.ini", "[pytest]\nlumyn_strict = true\n")
    assert 1 == proposing.run_pytest("--lumyn-vectors").exit_code


def test_proposed_vectors_do_not_count(proposing: Repo) -> None:
    """The least number is one of vectors that check something."""
    assert 0 == proposing.run_pytest("--lumyn-vectors", f"--lumyn-min-vectors={PASSING}").exit_code
    run = proposing.run_pytest("--lumyn-vectors", f"--lumyn-min-vectors={PASSING + 1}")
    assert 4 == run.exit_code
    run.match(f"ERROR: lumyn: {PASSING} vectors found, at least {PASSING + 1} are due (lumyn_min_vectors)")


def test_another_status_is_an_error(make_repo: Callable[..., Repo]) -> None:
    run = make_repo({FILE: VECTORS + PROPOSED.replace("proposed", "approved")}).run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match("*unknown status `approved`*")


def test_defaults_cannot_propose_a_whole_folder(make_repo: Callable[..., Repo]) -> None:
    defaults = "schema_version: vector.v0\nstatus: proposed\n"
    run = make_repo({"vectors/_defaults.yaml": defaults}).run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match("*unknown key `status`*")


@pytest.mark.parametrize(("reason", "code"), [("", 1), ("(reason='no store here')", 0)])
def test_a_vector_skipped_from_outside_says_why(make_repo: Callable[..., Repo], reason: str, code: int) -> None:
    repo = make_repo({"conftest.py": SKIPPING % reason})
    assert 0 == repo.run_pytest("--lumyn-vectors").exit_code
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-strict")
    assert code == run.exit_code, run.text
    if code:
        run.match(f"FAILED lumyn gate: {FILE}::small: skipped without a reason")


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["alone", "workers"])
def test_a_vector_expected_to_fail_from_outside_says_so_in_its_file(repo: Repo, workers: tuple[str, ...]) -> None:
    """A mark set by a conftest.py has no day on which it ends, and excuses a vector that passes too."""
    repo.write("conftest.py", SKIPPING.replace("skip%s", "xfail(reason='billing')"))
    assert 0 == repo.run_pytest("--lumyn-vectors").exit_code
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-strict", *workers, own_process=bool(workers))
    assert 1 == run.exit_code
    run.match("FAILED lumyn gate: *: expected to fail by a mark that its file does not hold")


def test_a_python_test_may_be_skipped_without_a_word(make_repo: Callable[..., Repo]) -> None:
    """Its suite is not this one."""
    repo = make_repo({"tests/test_a.py": "import pytest\n\n\n@pytest.mark.skip\ndef test_a():\n    pass\n"})
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-strict")
    run.assert_outcomes(passed=PASSING, skipped=1)
    assert 0 == run.exit_code, run.text


def test_a_plan_is_not_judged(proposing: Repo) -> None:
    """Nothing ran, so nothing passed by."""
    run = proposing.run_pytest("--lumyn-vectors", "--lumyn-strict", "--collect-only", "-q")
    assert 0 == run.exit_code, run.text
    run.no_match("*lumyn gate*")


def test_skipping_with_a_reason_stays_allowed(make_repo: Callable[..., Repo]) -> None:
    skipped = VECTORS.replace("  - name: small\n", "  - name: small\n    skip: until the switch\n")
    run = make_repo({FILE: skipped}).run_pytest("--lumyn-vectors", "--lumyn-strict")
    run.assert_outcomes(passed=PASSING - 1, skipped=1)
    assert 0 == run.exit_code


def test_an_expected_failure_past_its_day_fails(make_repo: Callable[..., Repo]) -> None:
    late = (
        '    xfail: {reason: known, until: "2020-01-01"}\n    expect: {verdict: ESCALATE, reason_codes: [REFUND_SMALL]}'
    )
    first = "    request: {$use: refund}\n    expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}"
    text = VECTORS.replace(first, f"    request: {{$use: refund}}\n{late}", 1)
    run = make_repo({FILE: text}).run_pytest("--lumyn-vectors", "--lumyn-strict")
    run.assert_outcomes(passed=PASSING - 1, failed=1)


@pytest.mark.parametrize("part", [("vectors/shop",), ("--ignore=vectors/other",)])
def test_part_of_a_suite_is_not_judged(proposing: Repo, part: tuple[str, ...]) -> None:
    run = proposing.run_pytest("--lumyn-vectors", "--lumyn-strict", *part)
    assert 0 == run.exit_code, run.text
    run.match("lumyn: suite not judged: part of the files was asked for")


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["alone", "workers"])
def test_paths_that_hold_the_whole_suite_are_judged(proposing: Repo, workers: tuple[str, ...]) -> None:
    run = proposing.run_pytest("--lumyn-vectors", "--lumyn-strict", "vectors", *workers, own_process=bool(workers))
    assert 1 == run.exit_code, run.text
    run.match(f"FAILED lumyn gate: {FILE}: 1 vector proposed and not approved")


def test_a_run_that_was_stopped_is_not_judged(proposing: Repo) -> None:
    proposing.replace(
        FILE,
        "expect: {verdict: ESCALATE, reason_codes: [REFUND_LIKE_A_FAILURE, REFUND_SMALL]}\n  - name: limit",
        "expect: {verdict: ESCALATE, reason_codes: [REFUND_SMALL]}\n  - name: limit",
    )
    run = proposing.run_pytest("--lumyn-vectors", "--lumyn-strict", "-x")
    assert 1 == run.exit_code
    run.match("lumyn: suite not judged: the run was stopped")
    run.no_match("FAILED lumyn gate*")


@pytest.mark.parametrize("option", ["--lumyn-strict", "--lumyn-base=git:HEAD", "--lumyn-min-vectors=3"])
def test_options_without_vectors_are_refused(repo: Repo, option: str) -> None:
    run = repo.run_pytest(option)
    assert 4 == run.exit_code
    run.match(f"ERROR: lumyn: {option.partition('=')[0]} has no effect without --lumyn-vectors")
