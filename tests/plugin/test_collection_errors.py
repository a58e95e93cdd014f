"""A file that cannot be used is an error of collection: file, line and column of everything wrong, no traceback."""

from __future__ import annotations

import pytest
from plugin.shop import PASSING, PYTHON_TEST, VECTORS

from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"
LOCKS = """
import os

def pytest_sessionstart():
    os.chmod("vectors/locked", %d)
    if os.access("vectors/locked/refund.yml", os.F_OK) and os.access("vectors/locked", os.R_OK):
        print("may read everything")

def pytest_unconfigure():
    os.chmod("vectors/locked", 0o700)
"""
UNUSED = "schema_version: vector.v0\nfixtures:\n  requests:\n    old: {action: {type: support.refund}}\n"


def test_every_problem_of_a_file_is_listed_with_its_place(repo: Repo) -> None:
    repo.replace(
        FILE, "expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n  - name: like", "expct: {}\n  - name: like"
    )
    repo.replace(FILE, "memory: [known_fraud]", "memory: [known_frod]")
    run = repo.run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.assert_outcomes(error=1)
    run.match(
        f"*_ ERROR collecting {FILE} _*",
        f"{FILE}:15:5: unknown key `expct`*[FIELD_UNKNOWN]; did you mean `expect`*",
        f"{FILE}:18:14: *`known_frod`*did you mean `known_fraud`*",
        f"ERROR {FILE}*",
    )
    run.no_match("*Traceback*", "*.py:*")


def test_other_tests_run_when_asked_to_go_on(repo: Repo) -> None:
    repo.write("vectors/broken.yml", "vectors: [\n")
    repo.write("tests/test_app.py", PYTHON_TEST)
    run = repo.run_pytest("--lumyn-vectors", "--continue-on-collection-errors")
    assert 1 == run.exit_code
    run.assert_outcomes(passed=PASSING + 1, error=1)
    run.match("vectors/broken.yml:*[YAML_SYNTAX]*")


def test_collect_only_finds_the_same_errors(repo: Repo) -> None:
    repo.write("vectors/empty.yml", "schema_version: vector.v0\nvectors: []\n")
    run = repo.run_pytest("--lumyn-vectors", "--collect-only", "-q")
    assert 2 == run.exit_code
    run.match("vectors/empty.yml:2:10: *[VECTORS_EMPTY]*")


def test_a_vector_that_cannot_fail_is_an_error(repo: Repo) -> None:
    """Here: it expects a reason code that no rule can emit."""
    repo.replace(FILE, "[at_limit, 200, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]", "[at_limit, 200, ESCALATE, [TYPO]]")
    run = repo.run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match(f"{FILE}:26:*TYPO*")


def test_a_broken_policy_is_named_with_its_own_place(repo: Repo) -> None:
    repo.replace("policies/shop.yml", "evidence.risk_gte", "evidence.risk_gtee")
    run = repo.run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match("policies/shop.yml:25:*")


def test_a_shared_fixture_nobody_uses_is_an_error_of_a_complete_run(repo: Repo) -> None:
    repo.write("vectors/_defaults.yaml", UNUSED)
    run = repo.run_pytest("--lumyn-vectors")
    assert 4 == run.exit_code
    run.match(
        "ERROR: lumyn: shared fixtures that no vector uses", "vectors/_defaults.yaml:4:5: *`old` [FIXTURE_UNUSED]"
    )
    repo.run_pytest("--lumyn-vectors", FILE).assert_outcomes(passed=PASSING)


def test_workers_report_a_shared_fixture_nobody_uses(repo: Repo) -> None:
    pytest.importorskip("xdist")
    repo.write("vectors/_defaults.yaml", UNUSED)
    run = repo.run_pytest("--lumyn-vectors", "-p", "xdist", "-n1", own_process=True)
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: shared fixtures that no vector uses", "vectors/_defaults.yaml:4:5: *")


def test_a_file_below_the_root_that_holds_no_vectors_is_an_error(repo: Repo) -> None:
    """A typo must not drop a suite."""
    repo.write("vectors/settings.yml", "retries: 3\n")
    run = repo.run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match("vectors/settings.yml:*")


def test_many_problems_end_in_a_count(repo: Repo) -> None:
    cases = "".join(f"  - {{name: v{place}, request: {{}}, expct: 1}}\n" for place in range(80))
    repo.write("vectors/many.yml", VECTORS.partition("fixtures:")[0] + "vectors:\n" + cases)
    run = repo.run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match("and * more problems")
    assert 50 == sum(line.startswith("vectors/many.yml:") for line in run.lines)


@pytest.mark.parametrize("mode", [0o000, 0o444], ids=oct)
@pytest.mark.parametrize("strict", [(), ("--lumyn-strict",)], ids=["plain", "strict"])
def test_a_folder_that_cannot_be_read_is_an_error_of_collection(repo: Repo, mode: int, strict: tuple[str, ...]) -> None:
    """Neither an internal error, nor a run without its vectors."""
    repo.write("vectors/locked/refund.yml", VECTORS)
    repo.write("conftest.py", LOCKS % mode)
    run = repo.run_pytest("--lumyn-vectors", "-p", "no:cacheprovider", *strict, own_process=True)
    if "may read everything" in run.text:
        pytest.skip("this user may read everything")
    assert 2 == run.exit_code, run.text
    run.no_match("*INTERNALERROR*", "*pyvenv.cfg*")
