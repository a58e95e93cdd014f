"""`--lumyn-accept-looser`: what permits more, or demands less, is accepted by nobody in passing."""

from __future__ import annotations

import pytest
from plugin.shop import PASSING, VECTORS

from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"
POLICY_FILE = "policies/shop.yml"


def update(repo: Repo, *arguments: str):
    return repo.run_pytest("--lumyn-vectors", "--lumyn-update=failing", *arguments)


def test_a_more_permissive_verdict_is_refused(repo: Repo) -> None:
    repo.replace(POLICY_FILE, "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    run = update(repo)
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    run.match(
        f'*accept  *pytest "{FILE}::limit[at_limit]" --lumyn-vectors --lumyn-update=failing --lumyn-accept-looser',
        "ESCALATE -> TRUST     1  (refused, looser: TRUST is more permissive than ESCALATE)",
        f"*{FILE}::limit[at_limit]",
        "--lumyn-accept-looser accepts what is looser",
    )
    assert (1, VECTORS) == (run.exit_code, repo.read(FILE))


def test_it_is_accepted_when_asked_for(repo: Repo) -> None:
    repo.replace(POLICY_FILE, "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    run = update(repo, "--lumyn-accept-looser")
    run.assert_outcomes(passed=PASSING - 1, updated=1)
    run.match("ESCALATE -> TRUST     1")
    changed = VECTORS.replace("200, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]", "200, TRUST, [REFUND_SMALL]")
    assert (0, changed) == (run.exit_code, repo.read(FILE))


def test_a_guard_that_no_longer_fires_is_looser(repo: Repo) -> None:
    """The verdict is the same, held up by one rule less."""
    repo.replace(
        FILE,
        "refund}\n    memory: [known_fraud]",
        "refund, $with: {action.amount.value: 300}}\n    memory: [known_fraud]",
    )
    repo.replace(POLICY_FILE, "failure_similarity_gte: 0.8", "failure_similarity_gte: 0.3")
    run = update(repo, "-k", "fraud")
    run.assert_outcomes(updated=1, deselected=PASSING - 1)
    assert "[REFUND_OVER_LIMIT, REFUND_LIKE_A_FAILURE]" in repo.read(FILE)
    repo.replace(POLICY_FILE, "escalate_over_usd: 200", "escalate_over_usd: 400")
    run = update(repo, "-k", "fraud")
    run.assert_outcomes(failed=1, deselected=PASSING - 1)
    run.match("*(refused, looser: fewer reason codes than before: REFUND_OVER_LIMIT no longer among them)")


def test_a_trust_that_was_not_expected_by_name_is_looser(repo: Repo) -> None:
    """The vector names reasons only, so nothing tells what verdict it held."""
    repo.replace(
        FILE,
        "columns: [id, request.action.amount.value, expect.verdict, expect.reason_codes]",
        "columns: [id, request.action.amount.value, expect.reason_codes]",
    )
    repo.replace(FILE, "200, ESCALATE, ", "200, ")
    repo.replace(FILE, "200.01, ESCALATE, ", "200.01, ")
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)
    repo.replace(POLICY_FILE, "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    run = update(repo)
    run.match("*the vector does not say what was expected before)")
    assert 1 == run.exit_code


def test_a_trust_is_looser_whatever_else_was_expected(repo: Repo) -> None:
    """A vector that names a score alone held a verdict too, and nobody knows which."""
    repo.replace(
        FILE,
        "expect: {verdict: ESCALATE, reason_codes: [REFUND_LIKE_A_FAILURE, REFUND_SMALL]}\n  - name: limit",
        "expect: {risk_signals: {failure_similarity: {score: 0.9}}}\n  - name: limit",
    )
    repo.replace(POLICY_FILE, "failure_similarity_gte: 0.8}", "failure_similarity_gte: 0.8, evidence.risk_gte: 0.5}")
    before = repo.read(FILE)
    run = update(repo, "-k", "fraud")
    run.match("*the vector does not say what was expected before)")
    assert (1, before) == (run.exit_code, repo.read(FILE))
    assert 0 == update(repo, "-k", "fraud", "--lumyn-accept-looser").exit_code
    assert "{score: 1}" in repo.read(FILE)


@pytest.mark.parametrize("written", ["[{type: notify}, {type: log}]", "{any_order: [{type: notify}, {type: log}]}"])
def test_fewer_obligations_are_looser(repo: Repo, written: str) -> None:
    """In whichever way they are listed."""
    due = "obligations: [{type: log, detail: keep it}]"
    repo.replace(POLICY_FILE, "reason_codes: [REFUND_SMALL]}", f"reason_codes: [REFUND_SMALL], {due}}}")
    repo.replace(FILE, "reason_codes: [REFUND_SMALL]}\n  - name", f"obligations: {written}}}\n  - name")
    before = repo.read(FILE)
    run = update(repo, "-k", "small")
    run.match("*(refused, looser: fewer obligations than before)")
    assert (1, before) == (run.exit_code, repo.read(FILE))


def test_it_has_no_effect_alone(repo: Repo) -> None:
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-accept-looser")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: --lumyn-accept-looser has no effect without --lumyn-update")
