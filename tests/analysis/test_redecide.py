"""A real gate decides what analysis found, on a store that holds the experience it needs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import golden
import pytest

from lumyn.analysis import redecide as redeciding
from lumyn.analysis.coverage import cover
from lumyn.analysis.experience import Likeness
from lumyn.analysis.mutation import assess
from lumyn.analysis.redecide import confirm, redecide
from lumyn.analysis.shown import confirmed_coverage
from lumyn.analysis.witness import AnalysisDefectError, Case, evaluate
from lumyn.model import JsonObject, Verdict
from lumyn.policy.loader import parse_policy
from lumyn.report.strength import survivor_text

REFUND: JsonObject = {
    "schema_version": "decision_request.v0",
    "subject": {"type": "agent", "id": "agent-1"},
    "action": {"type": "support.refund", "intent": "x", "amount": {"value": 20, "currency": "USD"}},
    "evidence": {
        "ticket_id": "T-1",
        "order_id": "O-1",
        "customer_id": "C-1",
        "customer_age_days": 100,
        "previous_refund_count_90d": 0,
        "chargeback_risk": 0.1,
        "payment_instrument_risk": "low",
    },
    "context": {"mode": "digest_only", "digest": "sha256:" + "0" * 64},
}
SUPPORT = "policies/lumyn-support.v0.yml"
NOTHING: JsonObject = {"evidence": {}}


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_every_survivor_was_decided_before_it_is_shown(file: str) -> None:
    """Without any vector every edit survives: all their requests are decided by a gate, under both policies."""
    survivors = assess(golden.policy(file), []).survivors
    assert len(survivors) > 40
    assert all(each.difference.by_gate for each in survivors)


def test_a_survivor_that_a_gate_decides_otherwise_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is shown on the word of the engine alone."""
    survivors = assess(golden.policy(SUPPORT), []).survivors
    decide = redeciding.redecide
    monkeypatch.setattr(
        redeciding, "redecide", lambda policy, request, *, memory=(): decide(policy, {**request, **NOTHING})
    )
    with pytest.raises(AnalysisDefectError, match="a gate decides a request otherwise"):
        [each.difference for each in survivors]


NARROW = """
schema_version: policy.v0
policy_id: narrow
policy_version: "1"
rules:
  - id: R1
    stage: ESCALATIONS
    if: {risk.failure_similarity_gte: 0.97, risk.failure_similarity_lt: 0.975}
    then: {verdict: ESCALATE, reason_codes: [FAILURE_MEMORY_SIMILAR_ESCALATE]}
"""


def test_what_no_memory_brings_about_is_marked_and_said() -> None:
    """An edit and a goal that take a similarity which no experience gives: shown, and nobody claims a gate saw it."""
    policy = parse_policy(NARROW)
    marked = [each for each in assess(policy, []).survivors if not each.difference.by_gate]
    assert marked
    assert all(
        survivor_text(each).endswith("though no labelled request that was tried gives that similarity")
        for each in marked
    )
    goals = [goal for goal in confirmed_coverage(cover(policy, [])).goals if goal.case is not None]
    assert {True, False} == {goal.by_gate for goal in goals}


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_every_goal_is_met_by_the_request_that_is_shown(file: str) -> None:
    """And a gate decides that request as the engine does."""
    covered = cover(golden.policy(file), [])
    goals = [goal for goal in confirmed_coverage(covered).goals if goal.case is not None]
    assert len(goals) > 40
    assert all(goal.by_gate for goal in goals)


def test_a_request_that_does_not_meet_its_goal_is_a_defect() -> None:
    covered = cover(golden.policy(SUPPORT), [])
    first, *_, last = (goal for goal in covered.goals if goal.case is not None)
    swapped = replace(covered, goals=(replace(first, case=last.case), last))
    with pytest.raises(AnalysisDefectError, match="does not meet it"):
        confirmed_coverage(swapped)


def test_what_a_gate_decides_otherwise_is_a_defect() -> None:
    case, policy = Case(request=REFUND), golden.policy(SUPPORT)
    said = evaluate(policy, case)
    assert confirm(policy, case, said)
    with pytest.raises(AnalysisDefectError):
        confirm(policy, case, replace(said, verdict=Verdict.ABSTAIN))


def test_the_experience_a_case_needs_is_seeded() -> None:
    """A score that no copy of the request can have is nobody's to confirm."""
    policy = golden.policy(SUPPORT)
    case = Case(request=REFUND, similarity=Decimal("0.9"))
    assert "FAILURE_MEMORY_SIMILAR_ESCALATE" in evaluate(policy, case).reason_codes
    assert confirm(policy, case, evaluate(policy, case))
    experience = Likeness(policy, REFUND).experience(lambda score: score >= Decimal("0.8"))
    assert experience is not None
    record = redecide(policy, REFUND, memory=[experience])
    assert (Verdict.ESCALATE, experience.score) == (record.verdict, record.failure_similarity)
    assert record.persisted


def test_a_score_that_no_experience_gives_is_not_confirmed() -> None:
    policy = parse_policy(
        '{"schema_version": "policy.v0", "policy_id": "p", "policy_version": "1", "rules": [{"id": "R1", '
        '"stage": "ESCALATIONS", "if": {"risk.failure_similarity_gte": 0.97, "risk.failure_similarity_lt": 0.98}, '
        '"then": {"verdict": "ESCALATE", "reason_codes": ["FAILURE_MEMORY_SIMILAR_ESCALATE"]}}]}'
    )
    case = Case(request=REFUND, similarity=Decimal("0.975"))
    said = evaluate(policy, case)
    assert said.matched_rules
    assert not confirm(policy, case, said)


@pytest.mark.parametrize(
    ("low", "high"), [("0.8", "0.81"), ("0.79", "0.8"), ("0.3", "0.4"), ("0.5", "0.6"), ("0.995", "1")]
)
def test_any_score_is_reached_with_tags(low: str, high: str) -> None:
    """What no copy of a request gives, a copy of it with tags does, by the engine's own account."""
    policy = golden.policy(SUPPORT)

    def wanted(score: Decimal) -> bool:
        return Decimal(low) <= score < Decimal(high)

    likeness = Likeness(policy, REFUND)
    experience = likeness.experience(wanted)
    request = REFUND
    if experience is None:
        found = likeness.tagged(wanted)
        if high == "1":
            assert found is None  # 64 tags are not enough
            return
        assert found is not None
        request, experience = found
    record = redecide(policy, request, memory=[experience])
    assert wanted(record.failure_similarity)
