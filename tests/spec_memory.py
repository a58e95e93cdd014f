"""
An executable specification of experience memory (SPEC 5): token sets, fractions, a scan over everything.
Slow on purpose, and sharing no code with the engine it is held against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from lumyn.model import MemoryItem
from lumyn.policy.spec import Policy

FREE = ("target_system", "resource_type", "tags")
BUILT_IN = ("action_type", "target_system", "resource_type", "currency", "amount_band", "tags")
TYPES: Mapping[str, Any] = {"string": str, "enum": str, "boolean": bool}

Token = tuple[str, Any]


def live(items: Sequence[MemoryItem]) -> list[MemoryItem]:
    """Items that count: not taken back by a later one, and the gravest, then newest, of what is left of a decision."""
    told = [item for item in items if item.retracts is None]
    back = {item.retracts: item.seq for item in items if item.retracts is not None}
    kept = [item for item in told if back.get(item.memory_id, -1) < item.seq]
    gravity = ("success", "near_miss", "failure")
    chosen = {item.source_decision_id: item for item in sorted(kept, key=lambda item: gravity.index(item.label))}
    return [item for item in kept if item.source_decision_id is None or chosen[item.source_decision_id] is item]


def tokens(policy: Policy, features: Mapping[str, Any]) -> set[Token]:
    """The token set of stored features under a policy."""
    conditions = [c for rule in policy.rules for c in rule.conditions if c.operator.name != "present"]
    found: set[Token] = {(name, features[name]) for name in BUILT_IN if isinstance(features.get(name), str)}
    found |= {("tags", tag) for tag in features.get("tags", [])}
    if "amount_usd" in features:
        found.add(("amount_band", band(policy, "amount_usd", "amount_usd", Decimal(features["amount_usd"]))))
    for key in {c.evidence_key for c in conditions if c.evidence_key is not None}:
        kind, value = policy.evidence[key].type, features.get("evidence", {}).get(key)
        if kind in TYPES and isinstance(value, TYPES[kind]):
            found.add((f"evidence.{key}", value))
        elif kind not in TYPES and isinstance(value, (int, float)) and not isinstance(value, bool):
            found.add((f"evidence.{key}", band(policy, key, f"evidence.{key}", Decimal(repr(value)))))
    return {(name, value) for name, value in found if weight(policy, name)}


def band(policy: Policy, name: str, fact: str, number: Decimal) -> tuple[bool, ...]:
    """On which side of every cut point of the policy a number lies."""
    if name in policy.memory.bands:
        return tuple(number >= cut for cut in policy.memory.bands[name])
    sides: list[bool] = []
    for condition in (c for rule in policy.rules for c in rule.conditions if c.fact == fact):
        members = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
        for member in members:
            if condition.operator.name in {"gt", "lte"}:
                sides.append(number > member)
            elif condition.operator.name in {"gte", "lt"}:
                sides.append(number >= member)
            elif condition.operator.name != "present":
                sides += [number > member, number >= member]
    return tuple(sides)


def weight(policy: Policy, name: str) -> int:
    """The weight of a feature; 0 when the policy leaves it out."""
    listed, name = policy.memory.features, name.removeprefix("evidence.")
    return policy.memory.weights.get(name, 1) if listed is None or name in listed else 0


def untold(policy: Policy, features: Mapping[str, Any]) -> set[str]:
    """Features of which an experience says nothing: keys not named, or of a type that the policy does not compare."""
    held = features.get("evidence", {})
    conditions = [c for rule in policy.rules for c in rule.conditions if c.operator.name != "present"]
    keys = {c.evidence_key for c in conditions if c.evidence_key is not None}
    told = {name.removeprefix("evidence.") for name, _ in tokens(policy, features) if name.startswith("evidence.")}
    return {f"evidence.{key}" for key in keys - told if held.get(key, "not named") is not None}


def score(policy: Policy, asked: set[Token], held: set[Token], untold: set[str]) -> Fraction:
    """Weighted Jaccard; what a caller adds freely or leaves out, or nobody noted, does not dilute it."""

    def total(some: set[Token]) -> int:
        return sum(weight(policy, name) for name, _ in some)

    given = {name for name, _ in asked}
    fixed = {token for token in held if token[0] not in FREE}
    same = {token for token in held - fixed if token in asked}
    shared = same | {token for token in fixed if token in asked or token[0] not in given}
    union = same | fixed | {token for token in asked if token[0] not in FREE and token[0] not in untold}
    return Fraction(total(shared), total(union)) if union else Fraction(0)


def reported(fraction: Fraction) -> Decimal:
    return Decimal(round(fraction * 10**6)).scaleb(-6)


def naive_top_k(
    policy: Policy, features: Mapping[str, Any], items: Sequence[MemoryItem], k: int
) -> tuple[Decimal, list[tuple[str, str, Decimal, str]]]:
    """Return the failure score and the best matches as (memory id, label, score, summary)."""
    asked = tokens(policy, features)
    scored = [
        (score(policy, asked, tokens(policy, item.features), untold(policy, item.features)), item)
        for item in live(items)
    ]
    scored.sort(key=lambda pair: (-pair[0], pair[1].memory_id))
    failure = max((value for value, item in scored if item.label == "failure"), default=Fraction(0))
    near_miss = max((value / 2 for value, item in scored if item.label == "near_miss"), default=Fraction(0))
    shown = [
        (item.memory_id, item.label.value, reported(value), item.summary)
        for value, item in scored
        if value > 0 and reported(value) >= policy.memory.min_score
    ]
    return reported(max(failure, near_miss)), shown[:k]
