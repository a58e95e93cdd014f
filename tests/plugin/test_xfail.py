"""`xfail` excuses a drift and nothing else, is strict, and ends on its day."""

from __future__ import annotations

import pytest
from plugin.shop import PASSING

from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"


def expecting_failure(repo: Repo, until: str | None = None) -> Repo:
    day = f', until: "{until}"' if until else ""
    repo.replace(FILE, "  - name: small\n", f"  - name: small\n    xfail: {{reason: INC-7{day}}}\n")
    return repo


def make_it_drift(repo: Repo) -> Repo:
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 1")
    return repo


def test_an_expected_drift_is_no_failure(repo: Repo) -> None:
    make_it_drift(expecting_failure(repo))
    run = repo.run_pytest("--lumyn-vectors", "-k", "small", "-rx")
    run.assert_outcomes(xfailed=1, deselected=PASSING - 1)
    run.match(f"XFAIL {FILE}::small - INC-7")


def test_runxfail_shows_the_drift(repo: Repo) -> None:
    make_it_drift(expecting_failure(repo))
    run = repo.run_pytest("--lumyn-vectors", "-k", "small", "--runxfail")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)


def test_an_expected_drift_that_does_not_come_is_a_failure(repo: Repo) -> None:
    run = expecting_failure(repo).run_pytest("--lumyn-vectors")
    run.assert_outcomes(failed=1, passed=PASSING - 1)
    run.match("[XPASS(strict)] INC-7")


def test_it_holds_until_its_day(repo: Repo) -> None:
    make_it_drift(expecting_failure(repo, "2999-12-31"))
    repo.run_pytest("--lumyn-vectors", "-k", "small").assert_outcomes(xfailed=1, deselected=PASSING - 1)


@pytest.mark.parametrize("drifts", [False, True])
def test_past_its_day_it_fails_whatever_comes_out(repo: Repo, drifts: bool) -> None:
    expecting_failure(repo, "2026-01-01")
    if drifts:
        make_it_drift(repo)
    run = repo.run_pytest("--lumyn-vectors", "-k", "small")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match("expected to fail until 2026-01-01, which has passed: INC-7")
    if drifts:
        run.match("*verdict TRUST -> ESCALATE*")


def test_it_does_not_excuse_a_vector_that_cannot_run(repo: Repo) -> None:
    """Here the request of its memory turns out not to be one; without `xfail` it fails just so."""
    broken = "known_fraud: {label: failure, request: {$use: refund, $with: {action.type: Refund}}, summary: INC-42}"
    repo.replace(FILE, "known_fraud: {label: failure, request: {$use: refund}, summary: INC-42}", broken)
    run = repo.run_pytest("--lumyn-vectors", "-k", "fraud")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match("*cannot run*", "*memory item `known_fraud`*", "FAILED *::like_a_known_fraud - vectors/shop/refund.yml:*")
    repo.replace(FILE, "  - name: like_a_known_fraud\n", "  - name: like_a_known_fraud\n    xfail: {reason: INC-7}\n")
    repo.run_pytest("--lumyn-vectors", "-k", "fraud").assert_outcomes(failed=1, deselected=PASSING - 1)


def test_it_does_not_excuse_an_error_of_a_hook(repo: Repo) -> None:
    """Only the drift is expected; everything else is news."""
    make_it_drift(expecting_failure(repo))
    repo.write("conftest.py", "def pytest_lumyn_request(item, request):\n    raise OSError('no such table')\n")
    run = repo.run_pytest("--lumyn-vectors", "-k", "small")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match("*raised OSError: no such table")


def test_an_expected_drift_is_not_told_to_hooks_as_one(repo: Repo) -> None:
    make_it_drift(expecting_failure(repo))
    repo.write("conftest.py", "def pytest_lumyn_drift(item, drift):\n    raise SystemExit('told')\n")
    repo.run_pytest("--lumyn-vectors", "-k", "small").assert_outcomes(xfailed=1, deselected=PASSING - 1)
