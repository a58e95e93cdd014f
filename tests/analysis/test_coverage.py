"""
Coverage of a policy by its vectors: what counts, what is proved to be out of reach, and what would close a gap.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import golden
import pytest
from strategies import build_policy

from lumyn.analysis.boxes import BUDGET
from lumyn.analysis.coverage import CoverageReport, Criterion, Goal, cover
from lumyn.analysis.knowledge import Knowledge
from lumyn.analysis.observations import Observation, observe
from lumyn.analysis.shown import confirmed_coverage
from lumyn.analysis.witness import Case, evaluate, parsed
from lumyn.policy.spec import Policy

SUPPORT = "policies/lumyn-support.v0.yml"
DEFAULTS: dict[str, Any] = {
    "policy_id": "p",
    "policy_version": "1",
    "defaults": {"default_verdict": "ESCALATE", "default_reason_code": "NOTHING_MATCHED"},
}


@cache
def report(file: str) -> CoverageReport:
    return cover(golden.policy(file), observe(golden.of_policy(file), golden.policy(file)))


def policy_of(*rules: tuple[str, str, dict[str, Any]]) -> Policy:
    built = [
        {"id": f"R{n}", "stage": stage, "if": conditions, "then": {"verdict": verdict, "reason_codes": [f"CODE_{n}"]}}
        for n, (stage, verdict, conditions) in enumerate(rules)
    ]
    return build_policy({**DEFAULTS, "rules": built})


def asking(policy: Policy, case: Case) -> Observation:
    request = parsed(policy, case.request)
    return Observation(name="v", step=0, document=case.request, request=request, similarity=case.similarity)


def goals(found: CoverageReport, criterion: Criterion) -> dict[str, Goal]:
    return {goal.name: goal for goal in found.goals if goal.criterion is criterion}


def test_a_rule_that_compares_a_fact_twice_has_goals_for_both() -> None:
    """Neither is answered for the other: what no request meets of the one is still wanted of the other."""
    groups = [{"evidence.risk_gte": 2, "evidence.size_gte": 3}, {"evidence.risk_gte": 0.5, "evidence.size_gte": 5}]
    rule = {"id": "R0", "stage": "HARD_BLOCKS", "if_any": groups}
    policy = build_policy(
        {
            **DEFAULTS,
            "evidence": {"risk": {"type": "number", "min": 0, "max": 1}, "size": {"type": "number"}},
            "rules": [{**rule, "then": {"verdict": "ABSTAIN", "reason_codes": ["CODE_0"]}}],
        }
    )
    known = Knowledge()
    empty = cover(policy, [], known=known)
    true = [goal for goal in empty.goals if goal.name.startswith("R0/risk_gte/true")]
    assert [("R0/risk_gte/true", True), ("R0/risk_gte/true#2", False)] == [(g.name, g.infeasible) for g in true]
    assert len(empty.goals) == len({(goal.criterion, goal.name) for goal in empty.goals}) == len(known.goals)
    assert all(goal.by_gate for goal in confirmed_coverage(empty).goals if goal.case is not None)
    case = true[1].case
    assert case is not None
    again = goals(cover(policy, [asking(policy, case)], known=known), Criterion.CONDITIONS)
    assert "v" == again["R0/risk_gte/true#2"].covered_by


@pytest.mark.parametrize("criterion", Criterion)
@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_the_golden_vectors_reach_every_goal(file: str, criterion: Criterion) -> None:
    """Whatever some request can do with a policy that ships, a vector does."""
    found = report(file)
    assert [] == [goal.name for goal in found.missing(criterion)]
    assert found.covered(criterion) == len(found.of(criterion)) > 0


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_the_case_of_a_gap_closes_it(file: str) -> None:
    """Without any vector each goal offers a request, and that request, once asked, covers the goal."""
    policy = golden.policy(file)
    empty = cover(policy, [])
    assert 0 == sum(empty.covered(criterion) for criterion in Criterion)
    for goal in empty.goals:
        if goal.infeasible:
            continue
        assert goal.case is not None
        again = cover(policy, [asking(policy, goal.case)], limit=BUDGET)
        assert goals(again, goal.criterion)[goal.name].covered_by == "v", goal.name


def test_a_rule_that_can_never_fire_does_not_count() -> None:
    """It is named as out of reach, not as a gap in the vectors."""
    policy = policy_of(("ESCALATIONS", "ESCALATE", {"amount_usd_gt": 5, "amount_usd_lt": 3}))
    found = cover(policy, [])
    assert ([], 1) == ([goal.name for goal in found.missing(Criterion.DECIDES)], found.infeasible(Criterion.DECIDES))
    assert goals(found, Criterion.FIRED)["R0"].infeasible
    assert goals(found, Criterion.CODES)["CODE_0"].infeasible


def test_a_rule_below_a_stricter_one_fires_and_never_decides() -> None:
    """Whoever is over 200 is over 100: the escalation is always outdone by the block."""
    policy = policy_of(
        ("HARD_BLOCKS", "ABSTAIN", {"amount_usd_gt": 100}), ("ESCALATIONS", "ESCALATE", {"amount_usd_gt": 200})
    )
    found = cover(policy, [])
    assert [False, True] == [goal.infeasible for goal in goals(found, Criterion.DECIDES).values()]
    assert not any(goal.infeasible for goal in goals(found, Criterion.FIRED).values())


def test_a_boundary_counts_only_where_it_decides() -> None:
    """At 200 dollars the comparison decides nothing while its sibling fails."""
    policy = policy_of(("ESCALATIONS", "ESCALATE", {"amount_usd_gt": 200, "evidence.flag_is": True}))

    def ask(value: float, flag: bool) -> Observation:
        request = {
            "schema_version": "decision_request.v0",
            "subject": {"type": "agent", "id": "a"},
            "action": {"type": "a.b", "intent": "x", "amount": {"value": value, "currency": "USD"}},
            "evidence": {"flag": flag},
            "context": {"mode": "digest_only", "digest": "sha256:" + "0" * 64},
        }
        return asking(policy, Case(request=request))

    def covered(*rows: Observation) -> list[str]:
        found = goals(cover(policy, rows), Criterion.BOUNDARIES)
        return [name.rsplit("/", 1)[1] for name, goal in found.items() if goal.covered_by]

    assert [] == covered(ask(200, False), ask(200.01, False))
    assert ["at"] == covered(ask(200, True), ask(201, True))
    assert ["at", "past"] == covered(ask(200, True), ask(200.01, True))


def test_what_was_given_up_is_neither_covered_nor_out_of_reach() -> None:
    """Over budget a goal stays open: a gate that wants all of them fails."""
    found = cover(golden.policy(SUPPORT), [], limit=0)
    assert all(goal.unknown and not goal.infeasible for goal in found.of(Criterion.DECIDES))
    assert 0 == found.covered(Criterion.DECIDES) < len(found.of(Criterion.DECIDES))


def test_cases_are_decided_by_the_engine_as_the_goal_says() -> None:
    """A request offered for a reason code brings that code."""
    policy = golden.policy(SUPPORT)
    for goal in cover(policy, []).of(Criterion.CODES):
        assert goal.case is not None
        assert goal.name in evaluate(policy, goal.case).reason_codes
