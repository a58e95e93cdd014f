"""
Invariants: what is proved holds for every request that is tried, what is broken is broken by the request shown.
"""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ACTIONS, SPAN, build_condition, build_policy, examples, policies

from lumyn.analysis.cells import Space
from lumyn.analysis.prove import Status, prove
from lumyn.analysis.witness import case_at, evaluate
from lumyn.model import Verdict
from lumyn.policy.invariants import Invariant, InvariantKind
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy

SUPPORT = "policies/lumyn-support.v0.yml"


def invariant(kind: InvariantKind, **members: Any) -> Invariant:
    return Invariant(kind=kind, name="x", span=SPAN, **members)


def awkward(policy: Policy) -> bool:
    """Return whether an amount is compared with so many digits that whether it can be asked for is left open."""
    conditions = [each for rule in policy.rules for each in rule.conditions if each.fact == "amount_usd"]
    return Decimal("0.30000000000000004") in [each.operand for each in conditions]


def points(policy: Policy, seed: int, **extra: Any) -> list[tuple[Space, list[int]]]:
    """Return random cells of every action."""
    chance = random.Random(seed)
    found = []
    for action in (*ACTIONS, "unheard.of"):
        space = Space(action, [policy], **extra)
        for _ in range(12):
            corner = [1 << chance.randrange(len(dimension.values)) for dimension in space.dimensions]
            corner += space.search.full[len(corner) :]
            found.append((space, corner))
    return found


WHERE = ("amount_usd_gt", 25), ("evidence.risk_gte", 0.3), ("subject.type_is", "user"), ("amount_currency_is", "EUR")


@given(
    policy=policies(),
    verdict=st.sampled_from(Verdict),
    where=st.sampled_from(WHERE),
    kind=st.sampled_from((InvariantKind.NEVER, InvariantKind.REQUIRES)),
    seed=st.integers(0, 2**32),
)
@examples(60)
def test_proofs_about_verdicts_hold(
    policy: Policy, verdict: Verdict, where: tuple[str, Any], kind: InvariantKind, seed: int
) -> None:
    """No cell breaks what is proved, and what is broken is decided so by the engine."""
    condition = build_condition(*where)
    if condition.evidence_key is not None and condition.evidence_key not in policy.evidence:
        return  # the loader refuses a promise about a key that has no type
    proof = prove(policy, invariant(kind, verdicts=(verdict,), conditions=(condition,)))
    assert proof.status is not Status.UNKNOWN or awkward(policy)
    if proof.status is Status.VIOLATED:
        assert proof.case is not None
        assert verdict is evaluate(policy, proof.case).verdict
    if proof.status is not Status.PROVED:
        return
    for space, corner in points(policy, seed, extra=[condition]):
        if space.search.consistent is not None and not space.search.consistent(corner):
            continue
        dimension, true, _ = space.masks(0, condition, space.counter(policy))
        holds = bool(corner[dimension] & true)
        if evaluate(policy, case_at(space.action, space.point(corner))).verdict is verdict:
            assert holds is (kind is InvariantKind.REQUIRES)


@given(
    policy=policies(),
    fact=st.sampled_from(("amount_usd", "evidence.risk", "evidence.days", "risk.failure_similarity")),
    falling=st.booleans(),
    seed=st.integers(0, 2**32),
)
@examples(60)
def test_proofs_about_growth_hold(policy: Policy, fact: str, falling: bool, seed: int) -> None:
    """Where growth is proved harmless, no two values in that order loosen any verdict that is tried."""
    proof = prove(policy, invariant(InvariantKind.MONOTONE, facts=(fact,), falling=falling))
    if proof.status is Status.VIOLATED:
        assert proof.case is not None
        assert proof.other is not None
        after, before = evaluate(policy, proof.case).verdict, evaluate(policy, proof.other).verdict
        assert after.strictness < before.strictness
    if proof.status is not Status.PROVED:
        return
    chance = random.Random(seed)
    numbers = {"evidence.risk": (0, 0.1, 0.3, 0.31, 0.5, 0.7, 1), "evidence.days": (0, 1, 2, 3, 25, 26)}
    for space, corner in points(policy, seed):
        if space.search.consistent is not None and not space.search.consistent(corner):
            continue
        case = case_at(space.action, space.point(corner))
        verdicts = []
        if fact == "risk.failure_similarity":
            scores = sorted(chance.choice(("0", "0.2", "0.333333", "0.5", "0.8", "0.9", "1")) for _ in range(2))
            verdicts = [evaluate(policy, replace(case, similarity=Decimal(score))).verdict for score in scores]
        else:
            for value in sorted(chance.sample(numbers.get(fact, (0, 0.3, 12, 25, 25.01, 200, 300)), 2)):
                request: Any = {**case.request, "action": {**case.request["action"]}}  # type: ignore[dict-item]
                if fact == "amount_usd":
                    request["action"]["amount"] = {"value": value, "currency": "USD"}
                else:
                    request["evidence"] = {**request["evidence"], fact.removeprefix("evidence."): value}
                verdicts.append(evaluate(policy, replace(case, request=request)).verdict)
        low, high = reversed(verdicts) if falling else verdicts
        if Verdict.ABSTAIN not in verdicts:  # a number out of its range is blocked, and grows no further
            assert high.strictness >= low.strictness


def test_what_the_support_policy_promises() -> None:
    """A few things its readers will believe, and one that is not so."""
    text = golden.policy(SUPPORT).source + (
        "invariants:\n"
        "  - never: { verdict: TRUST, when: { action_type: support.refund }, where: { amount_usd_gt: 25 } }\n"
        "  - never: { verdict: TRUST, when: { action_type_in: [support.change_plan, support.reset_password] } }\n"
        "  - monotone: { fact: amount_usd, when: { action_type: support.refund } }\n"
        "  - monotone: evidence.chargeback_risk\n"
        "  - monotone: { fact: evidence.customer_age_days, as_it: falls }\n"
        "  - fail_closed: all\n"
        "  - never: { verdict: TRUST, where: { amount_usd_gt: 500 } }\n"
    )
    policy = parse_policy(text)
    proofs = [prove(policy, each) for each in policy.promises]
    assert [*["proved"] * 6, "violated"] == [proof.status.value for proof in proofs]
    assert proofs[-1].case is not None
    action = proofs[-1].case.request["action"]
    assert isinstance(action, dict)
    assert "support.close_ticket" == action["type"]  # a ticket may be closed whatever amount is named


DEFAULTS: dict[str, Any] = {
    "policy_id": "p",
    "policy_version": "1",
    "defaults": {"default_verdict": "ESCALATE", "default_reason_code": "NOTHING_MATCHED"},
}


def ruled(stage: str, verdict: str, conditions: dict[str, Any]) -> dict[str, Any]:
    return {"stage": stage, "if": conditions, "then": {"verdict": verdict, "reason_codes": ["CODE_A"]}}


@pytest.mark.parametrize(
    ("conditions", "evidence", "open_"),
    [
        ({"evidence.flag_is": True}, {"flag": {"type": "boolean"}}, False),
        ({"evidence.flag_is": True}, {"flag": {"type": "boolean", "default": False}}, True),
        ({"evidence.flag_present": True}, {}, True),
    ],
    ids=["unknown never trusts", "a default", "present"],
)
def test_facts_whose_absence_is_rewarded(conditions: dict[str, Any], evidence: dict[str, Any], open_: bool) -> None:
    """A flag that blocks when it is set, and that a caller can simply leave out."""
    rules = [
        {"id": "R1", **ruled("ESCALATIONS", "ESCALATE", conditions)},
        {"id": "R2", **ruled("TRUST_PATHS", "TRUST", {"amount_usd_lte": 25})},
    ]
    policy = build_policy({**DEFAULTS, "evidence": evidence, "rules": rules})
    proof = prove(policy, invariant(InvariantKind.FAIL_CLOSED))
    assert (Status.VIOLATED if open_ else Status.PROVED) is proof.status
    if open_:
        assert proof.case is not None
        assert proof.other is not None
        assert "flag" not in proof.case.request["evidence"]  # type: ignore[operator]
        assert (Verdict.TRUST, Verdict.ESCALATE) == (
            evaluate(policy, proof.case).verdict,
            evaluate(policy, proof.other).verdict,
        )


@pytest.mark.parametrize("limit", [0.5, 1])
def test_a_fact_whose_absence_is_rewarded_by_the_uncertainty_it_makes(limit: float) -> None:
    """One of two keys left out is half of them: enough for a rule that trusts doubt, unless it asks more."""
    doubt = {"risk.uncertainty_gte": limit, "evidence.order_present": True, "subject.type_is": "user"}
    rules = [
        {"id": "R1", **ruled("TRUST_PATHS", "TRUST", doubt)},
        {"id": "R2", **ruled("TRUST_PATHS", "TRUST", {"evidence.days_gt": 99})},
    ]
    policy = build_policy({**DEFAULTS, "evidence": {"days": {"type": "integer", "max": 50}}, "rules": rules})
    proof = prove(policy, invariant(InvariantKind.FAIL_CLOSED, facts=("days",)))
    assert (Status.VIOLATED if limit == 0.5 else Status.PROVED) is proof.status
    if proof.case is not None and proof.other is not None:
        assert "days" not in proof.case.request["evidence"]  # type: ignore[operator]
        assert (Verdict.TRUST, Verdict.ESCALATE) == (
            evaluate(policy, proof.case).verdict,
            evaluate(policy, proof.other).verdict,
        )


def test_a_hole_in_the_middle_is_no_growth() -> None:
    """A rule about one value alone: from it to the next greater one the verdict loosens, though both ends trust."""
    rules = [
        {"id": "R1", **ruled("ESCALATIONS", "ESCALATE", {"evidence.days_is": 5})},
        {"id": "R2", **ruled("TRUST_PATHS", "TRUST", {"evidence.days_gte": 0})},
    ]
    policy = build_policy({**DEFAULTS, "evidence": {"days": {"type": "integer"}}, "rules": rules})
    proof = prove(policy, invariant(InvariantKind.MONOTONE, facts=("evidence.days",)))
    assert proof.status is Status.VIOLATED


def test_over_budget_nothing_is_proved() -> None:
    """The answer is unknown."""
    proof = prove(golden.policy(SUPPORT), invariant(InvariantKind.NEVER, verdicts=(Verdict.TRUST,)), limit=0)
    assert proof.status is Status.UNKNOWN


VACUOUS: dict[str, dict[str, Any]] = {
    "no request meets its conditions": {
        "kind": InvariantKind.NEVER,
        "verdicts": (Verdict.TRUST,),
        "conditions": (build_condition("amount_usd_gt", 5), build_condition("amount_usd_lt", 3)),
    },
    "no request gets the verdict": {
        "kind": InvariantKind.REQUIRES,
        "verdicts": (Verdict.TRUST,),
        "actions": ("support.change_plan",),
        "conditions": (build_condition("amount_usd_lt", 3),),
    },
    "no rule compares the number": {
        "kind": InvariantKind.MONOTONE,
        "facts": ("amount_usd",),
        "actions": ("support.close_ticket",),
    },
    "no rule reads such a key, and none is required": {"kind": InvariantKind.FAIL_CLOSED, "facts": ("weather",)},
}


@pytest.mark.parametrize("reason", VACUOUS)
def test_what_nothing_could_break_is_vacuous(reason: str) -> None:
    """A promise about no request is no proof, and says what is wrong with it."""
    proof = prove(golden.policy(SUPPORT), invariant(**VACUOUS[reason]))
    assert (Status.VACUOUS, reason) == (proof.status, proof.reason)


def test_what_a_rate_does_is_not_claimed() -> None:
    """More US dollars for one unit makes the amount greater as well: the two are one block, so nothing is proved."""
    proof = prove(golden.policy(SUPPORT), invariant(InvariantKind.MONOTONE, facts=("evidence.fx_rate_to_usd",)))
    assert (Status.UNKNOWN, True) == (proof.status, "amount" in proof.reason)
