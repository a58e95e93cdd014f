"""What is known of a policy beforehand changes nothing that is said of its vectors."""

from __future__ import annotations

import json
from decimal import Decimal
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, policies, requests, similarities

from lumyn.analysis.coverage import Goals, cover
from lumyn.analysis.knowledge import Answer, Knowledge
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutation import assess
from lumyn.analysis.observations import Observation
from lumyn.analysis.scale import Criterion, Scope
from lumyn.analysis.witness import AnalysisDefectError, parsed
from lumyn.model import DecisionRequest
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy

TWICE = """
schema_version: policy.v0
policy_id: twice
policy_version: "1"
evidence: {days: {type: integer, min: 0}}
rules:
  - id: R1
    stage: ESCALATIONS
    if: {evidence.days_lte: 0}
    if_all: [{evidence.days_lte: 1}]
    then: {verdict: ESCALATE, reason_codes: [CURRENCY_UNSUPPORTED]}
"""


def row(request: DecisionRequest, similarity: Decimal) -> Observation:
    return Observation(name="v", step=0, document=request.document, request=request, similarity=similarity)


@given(policy=policies(), asked=st.lists(st.tuples(requests(), similarities()), min_size=4, max_size=8))
@examples(8)
def test_known_or_found_out_it_is_the_same(policy: Policy, asked: list[tuple[DecisionRequest, Decimal]]) -> None:
    """And packed and unpacked it is the same; no vector contradicts a proof."""
    known = Knowledge()
    cover(policy, [], known=known)
    assess(policy, [], scope=Scope.FULL, known=known)
    kept = Knowledge.unpack(json.loads(json.dumps(known.pack())))
    assert known == kept
    rows, fresh = [row(*each) for each in asked], Knowledge()
    assert cover(policy, rows) == cover(policy, rows, known=kept)
    now = assess(policy, rows, scope=Scope.FULL, known=fresh, patience_s=inf)
    then = assess(policy, rows, scope=Scope.FULL, known=kept)
    assert fresh.mutants == kept.mutants == known.mutants
    assert (now.killed, now.equivalent, now.unknown) == (then.killed, then.equivalent, then.unknown)
    for one, other in [*zip(now.survivors, then.survivors, strict=True)][::20]:
        assert (one.mutant.mutant_id, one.difference) == (other.mutant.mutant_id, other.difference)
    assert fresh.shown == kept.shown == Knowledge.unpack(json.loads(json.dumps(fresh.pack()))).shown


def test_goals_that_would_be_called_alike_are_told_apart() -> None:
    """One comparison twice in a rule, with two limits: the second never decides, and neither answers for the other."""
    policy = parse_policy(TWICE)
    goals = cover(policy, []).goals
    names = [(goal.criterion, goal.name) for goal in goals]
    assert len(names) == len(set(names)) == len(Goals(policy).met(Matrix(policy, ())))
    assert (Criterion.BOUNDARIES, "R1/days_lte/at#2") in names
    assert {(goal.name, goal.infeasible) for goal in goals if goal.criterion is Criterion.BOUNDARIES} == {
        ("R1/days_lte/at", False),
        ("R1/days_lte/past", False),
        ("R1/days_lte/at#2", True),
        ("R1/days_lte/past#2", True),
    }


def test_a_goal_that_is_met_and_known_to_be_impossible_is_a_defect() -> None:
    policy = parse_policy(TWICE)
    case = next(goal.case for goal in cover(policy, []).goals if goal.name == "R1" and goal.case is not None)
    known = Knowledge(goals={"fired:R1": Answer.NONE})
    with pytest.raises(AnalysisDefectError, match="goal fired:R1 is proved impossible, and v meets it"):
        cover(policy, [row(parsed(policy, case.request), case.similarity)], known=known)
