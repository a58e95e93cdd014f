"""
The nearest miss: the rule that one more comparison would have fired, and the value that would have done it.
Exact, from a trace: a strict bound is named as one; must not know records, stores or how anything is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from lumyn.engine.trace import ConditionTrace, Fact, RuleTrace, Trace, Truth
from lumyn.errors import Span
from lumyn.model import Stage, Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import BlockKind, Condition, EvidenceType, Policy

__all__ = ["NearMiss", "condition_text", "nearest_miss", "value_text"]

# The values an attribute of the request itself can take; evidence has its own ranges in the policy.
_RANGES: Final = {
    "amount_usd": (Decimal(0), None),
    "risk.failure_similarity": (Decimal(0), Decimal(1)),
    "risk.uncertainty": (Decimal(0), Decimal(1)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """
    A rule that did not fire for want of one comparison.

    Attributes:
        comparison: As it was made, such as `amount_usd 200 > 200`.
        known: False when the comparison had nothing to compare; then it was unknown rather than false.
        condition: What was compared.
        change: What would make it hold, in words, such as `more than 200`. What would come of that, no trace can tell:
            other rules may read the same value.
    """

    rule_id: str
    stage: Stage
    effect: Verdict
    span: Span
    comparison: str
    known: bool
    condition: Condition
    change: str


def nearest_miss(
    traced: Trace, *, wanted: frozenset[Verdict] = frozenset(), lost: tuple[str, ...] = ()
) -> NearMiss | None:
    """
    Return the rule that one more comparison would have fired, or None when every rule that did not is further away.

    Args:
        wanted: Verdicts that were expected; rules with such an effect come first.
        lost: Reason codes that were expected; rules that emit one come before all others.

    Returns:
        Of several, the one that emits a lost code, then the one with a wanted effect, then the one whose number is
        relatively nearest, then the first in stage order.
    """
    candidates: list[tuple[bool, bool, Decimal, int, NearMiss]] = []
    for place, rule in enumerate(traced.rules):
        short = _short_of(rule)
        if short is None:
            continue
        change = _change(short, traced.policy)
        if change is None:
            continue
        emits_lost = not set(lost).isdisjoint(rule.rule.reason_codes)
        effect_wanted = rule.rule.verdict in wanted
        found = _near_miss(rule, short, change)
        candidates.append((not emits_lost, not effect_wanted, _distance(short), place, found))
    return min(candidates, key=lambda candidate: candidate[:4])[4] if candidates else None


def condition_text(traced: ConditionTrace) -> str:
    """Return a comparison as it was made, such as `amount_usd 200 <= 250` or `chargeback_risk missing >= 0.7`."""
    condition = traced.condition
    name = condition.fact.removeprefix(EVIDENCE_PREFIX)
    if condition.operator.name == "present":
        return f"{name} {condition.operator.symbol} {value_text(condition.operand)}"
    fact = "missing" if traced.fact is None else value_text(traced.fact)
    return f"{name} {fact} {condition.operator.symbol} {value_text(condition.operand)}"


def value_text(value: object) -> str:
    """Return a fact or operand as a policy would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, tuple):
        return f"[{', '.join(value_text(member) for member in value)}]"
    return str(value)


def _short_of(traced: RuleTrace) -> ConditionTrace | None:
    """Return the one comparison that keeps a rule from firing, or None when there is none or more than one."""
    if traced.truth is Truth.TRUE or not traced.conditions:
        return None
    conditions = iter(traced.conditions)
    short: list[ConditionTrace] = []
    for block in traced.rule.blocks:
        groups: list[list[ConditionTrace]] = [_failing(group, conditions) for group in block.groups]
        if block.kind is BlockKind.IF_ANY:
            fewest: list[ConditionTrace] = min(groups, key=len)
            short += fewest
        else:
            short += [condition for group in groups for condition in group]
    return short[0] if len(short) == 1 else None


def _failing(group: tuple[Condition, ...], conditions: Iterator[ConditionTrace]) -> list[ConditionTrace]:
    traced = [next(conditions) for _ in group]
    return [condition for condition in traced if condition.outcome is not Truth.TRUE]


def _near_miss(rule: RuleTrace, short: ConditionTrace, change: str) -> NearMiss:
    return NearMiss(
        rule_id=rule.rule.rule_id,
        stage=rule.rule.stage,
        effect=rule.rule.verdict,
        span=rule.rule.span,
        comparison=condition_text(short),
        known=short.outcome is not Truth.UNKNOWN,
        condition=short.condition,
        change=change,
    )


def _change(traced: ConditionTrace, policy: Policy) -> str | None:
    """Return what would make a comparison hold, or None when no allowed value would."""
    condition, operand = traced.condition, traced.condition.operand
    text = value_text(operand)
    low, high = _range(condition, policy)
    match condition.operator.name:
        case "gt" if isinstance(operand, Decimal):
            return None if high is not None and operand >= high else f"more than {text}"
        case "gte" if isinstance(operand, Decimal):
            return None if high is not None and operand > high else text
        case "lt" if isinstance(operand, Decimal):
            return None if low is not None and operand <= low else f"less than {text}"
        case "lte" if isinstance(operand, Decimal):
            return None if low is not None and operand < low else text
        case "is":
            return text
        case "ne":
            return f"anything but {text}"
        case "in":
            return _one_of(operand)
        case "not_in":
            return f"none of {text}"
        case "present":
            return "a value" if operand is True else "no value"
        case "contains":
            return f"with {text}"
        case "contains_any":
            return f"with {_one_of(operand)}"
        case _:
            return None


def _one_of(operand: object) -> str:
    members = operand if isinstance(operand, tuple) else (operand,)
    return value_text(members[0]) if len(members) == 1 else f"one of {value_text(members)}"


def _range(condition: Condition, policy: Policy) -> tuple[Decimal | None, Decimal | None]:
    key = condition.evidence_key
    if key is None:
        return _RANGES.get(condition.fact, (None, None))
    spec = policy.evidence.get(key)
    if spec is None or spec.type not in {EvidenceType.NUMBER, EvidenceType.INTEGER}:
        return None, None
    return spec.minimum, spec.maximum


def _distance(traced: ConditionTrace) -> Decimal:
    """Return how far a number is from its bound, relative to it; 1 for what has no distance."""
    fact: Fact = traced.fact
    operand = traced.condition.operand
    if isinstance(fact, bool) or not isinstance(fact, Decimal) or not isinstance(operand, Decimal):
        return Decimal(1)
    return abs(fact - operand) / max(abs(operand), Decimal(1))
