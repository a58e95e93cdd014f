"""Invariants of a policy run as items of their own, and a broken one prints a request that breaks it."""

from __future__ import annotations

import pytest
from plugin.shop import PASSING, POLICY

from lumyn.testing import Repo

PROMISES = """\
invariants:
  - never: {verdict: TRUST, where: {amount_usd_gt: 25}}
  - monotone: evidence.risk
"""
BROKEN = "  - {name: nothing large, never: {verdict: TRUST, where: {amount_usd_gt: 10}}}\n"


def test_each_invariant_is_an_item(repo: Repo) -> None:
    """Beside the vectors, with a node id below the policy's file; selectable with -k."""
    repo.write("policies/shop.yml", POLICY + PROMISES)
    run = repo.run_pytest("--lumyn-vectors", "-v")
    run.assert_outcomes(passed=PASSING + 2)
    run.match(
        "policies/shop.yml::never_TRUST_where_amount_usd_gt_25 PASSED*", "policies/shop.yml::monotone_evidence_risk *"
    )
    repo.run_pytest("--lumyn-vectors", "-k", "monotone").assert_outcomes(passed=1, deselected=PASSING + 1)


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2")], ids=["alone", "workers"])
def test_a_broken_one_fails_with_a_vector(repo: Repo, workers: tuple[str, ...]) -> None:
    """The request is one a gate accepts, in the form of a vector; the rest goes on."""
    if workers:
        pytest.importorskip("xdist")
    repo.write("policies/shop.yml", POLICY + PROMISES + BROKEN)
    run = repo.run_pytest("--lumyn-vectors", *workers, own_process=bool(workers))
    run.assert_outcomes(passed=PASSING + 2, failed=1)
    assert 1 == run.exit_code
    run.match("violated: nothing large (policies/shop.yml:*)")
    run.match("- name: nothing_large", "*amount: { value: *, currency: USD }*")


def test_a_single_vector_brings_no_invariants(repo: Repo) -> None:
    """Who names one vector wants that vector."""
    repo.write("policies/shop.yml", POLICY + PROMISES)
    repo.run_pytest("vectors/shop/refund.yml::small", "--lumyn-vectors").assert_outcomes(passed=1)


def test_a_single_python_test_beside_all_the_vectors_takes_no_invariant_away(repo: Repo) -> None:
    repo.write("policies/shop.yml", POLICY + PROMISES + BROKEN)
    repo.write("tests/test_app.py", "def test_app():\n    pass\n")
    run = repo.run_pytest("vectors", "tests/test_app.py::test_app", "--lumyn-vectors")
    run.assert_outcomes(passed=PASSING + 3, failed=1)


def test_those_of_the_policy_that_was_chosen_are_run(repo: Repo) -> None:
    """In place of the one that vectors name, whose promises are not about what decides."""
    repo.write("policies/next.yml", POLICY + PROMISES)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-policy=policies/next.yml", "-v")
    run.assert_outcomes(passed=PASSING + 2)
    run.match("policies/next.yml::never_TRUST_where_amount_usd_gt_25 PASSED*")


def test_a_policy_that_promises_nothing_loads_no_proofs(repo: Repo) -> None:
    repo.write(
        "conftest.py",
        "import sys\n\n\ndef pytest_unconfigure():\n    print('PROOFS', 'pytest_lumyn.invariants' in sys.modules)\n",
    )
    repo.run_pytest("--lumyn-vectors", own_process=True).match("PROOFS False")
    repo.write("policies/shop.yml", POLICY + PROMISES)
    repo.run_pytest("--lumyn-vectors", own_process=True).match("PROOFS True")


def test_an_invariant_that_cannot_be_read_is_a_collection_error(repo: Repo) -> None:
    """Like anything else that is wrong with a policy."""
    repo.write("policies/shop.yml", POLICY + "invariants:\n  - never: {verdict: TRUTS}\n")
    run = repo.run_pytest("--lumyn-vectors")
    assert run.exit_code not in (0, 5)
    run.match("*TRUTS*")
