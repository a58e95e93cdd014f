"""
What a stored record still says of the request it decided, to a policy that wants to read it again.
Pure; must not know stores, memory or how a verdict is reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Final, cast

from lumyn.documents import join_pointer
from lumyn.engine.normalize import EVIDENCE_TYPE_INVALID, spec_for
from lumyn.model import DecisionRequest, JsonObject, JsonValue
from lumyn.policy.spec import FX_RATE_KEY, Policy

__all__ = ["Known", "StoredFacts", "is_removed", "known_request", "removed_from"]

_AMOUNT: Final = ("/action/amount/value", "/action/amount/currency")
_POINTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "amount_usd": _AMOUNT,
    "amount_currency": ("/action/amount/currency",),
    "tenant.environment": ("/tenant/environment",),
    "subject.roles": ("/subject/roles",),
    "action.tags": ("/action/tags",),
    "risk.failure_similarity": (
        *_AMOUNT,
        "/action/tags",
        "/action/target/resource_type",
        "/action/target/system",
    ),
}
"""What a condition reads, evidence and members that every record holds apart -> where a request has it."""

_ABSENT: Final = object()
_PRESENT: Final = True
"""Stands for a value of which no more is known than that there was one; only where nothing compares it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFacts:
    """
    The fact projection of a record; see `lumyn.engine.projection.project`.

    Attributes:
        missing: Keys that the request did not have, or where it had a list of nothing and no type was asked for.
        defaulted: Keys that it did not have, for which a default of the policy stood in.
        present: Keys that held something, and whose value the projection does not hold.
    """

    evidence: Mapping[str, JsonValue]
    missing: frozenset[str]
    defaulted: frozenset[str]
    present: frozenset[str]
    fx_rate_present: bool
    failure_similarity: Decimal

    @classmethod
    def of(cls, record: JsonObject) -> StoredFacts | None:
        """Return the projection of a record; None when it has none, or none of the form this version writes."""
        facts = _object(_object(_object(record.get("extensions")).get("lumyn")).get("facts"))
        score, rate = facts.get("failure_similarity"), facts.get("fx_rate_present")
        lists = [facts.get(name, []) for name in ("missing", "policy_defaults", "present")]
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not isinstance(rate, bool):
            return None
        if not isinstance(facts.get("evidence"), dict) or not all(_is_texts(names) for names in lists):
            return None
        try:
            similarity = Decimal(repr(score))
        except InvalidOperation:
            return None
        missing, defaulted, present = (frozenset(cast("list[str]", names)) for names in lists)
        return cls(
            evidence={k: v for k, v in _object(facts["evidence"]).items() if k not in defaulted},
            missing=missing,
            defaulted=defaulted,
            present=(present | _scalars(facts.get("invalid"))) - defaulted,
            fx_rate_present=rate,
            failure_similarity=similarity,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """
    As much of a request as a policy can read again.

    Attributes:
        request: The stored one, completed from the facts.
        from_facts: Pointers to what the facts completed, sorted.
        unknown: Pointers to what the policy reads and nobody can tell any more, sorted. While there are any, `request`
            is not what was decided.
    """

    request: DecisionRequest
    from_facts: tuple[str, ...]
    unknown: tuple[str, ...]


def known_request(
    request: DecisionRequest,
    policy: Policy,
    *,
    facts: StoredFacts | None,
    removed: Iterable[str],
    own: bool,
    deciding: Policy | None = None,
) -> Known:
    """
    Return what `policy` can still read of a stored request.

    Args:
        request: As it is kept.
        facts: The projection beside it, if there is one.
        removed: The pointers that the record says were removed.
        own: Whether `policy` is the one that decided, and `request` what it left to be kept. Redaction removes nothing
            that it reads, so what is not there was not there.
        deciding: The policy that decided, where it is at hand.
    """
    removed = tuple(removed)
    keys = set(policy.keys_for(request.action_type))
    facts_read = {condition.fact for rule in policy.rules_for(request.action_type) for condition in rule.conditions}
    if policy.fx_bounds is not None:
        # A rate out of bounds blocks whatever the rules read.
        keys.add(FX_RATE_KEY)
        facts_read.add("amount_usd")
    from_facts: list[str] = []
    unknown: list[str] = []
    evidence = dict(request.evidence)
    for key in sorted(keys):
        pointer = join_pointer("/evidence", key)
        if key in evidence or not is_removed(pointer, removed):
            continue
        value = _from_facts(key, policy, deciding, facts, own=own)
        if value is None:
            unknown.append(pointer)
        elif value is not _ABSENT:
            evidence[key] = cast("JsonValue", value)
            from_facts.append(pointer)
    if not own:
        pointers = {pointer for fact in facts_read for pointer in _POINTERS.get(fact, ())}
        unknown.extend(pointer for pointer in pointers if is_removed(pointer, removed) and not _holds(request, pointer))
    whole = replace(request, evidence=evidence) if from_facts else request
    return Known(request=whole, from_facts=tuple(from_facts), unknown=tuple(sorted(unknown)))


def removed_from(record: JsonObject) -> tuple[str, ...]:
    """Return the pointers that a record says were removed from its request, by redaction or by the caller."""
    context = _object(_object(record.get("request")).get("context"))
    pointers = _object(context.get("redaction")).get("fields_removed", [])
    return tuple(cast("list[str]", pointers)) if _is_texts(pointers) else ("",)


def is_removed(pointer: str, removed: Iterable[str]) -> bool:
    """Return whether a value that is not there may have been: it, something around it or within it was removed."""
    return any(
        pointer == other or pointer.startswith(f"{other}/") or other.startswith(f"{pointer}/") for other in removed
    )


def _from_facts(
    key: str, policy: Policy, deciding: Policy | None, facts: StoredFacts | None, *, own: bool
) -> object | None:
    """Return the value that the facts know for a key, `_ABSENT` when they know that there was none, else None."""
    if facts is None:
        return _ABSENT if own else None
    untyped = spec_for(policy, key) is None
    if key in facts.defaulted:
        return _ABSENT
    if key in facts.missing:
        # A list of nothing is missing where no type is asked for, and of the wrong type where one is.
        typed_before = deciding is not None and spec_for(deciding, key) is not None
        return _ABSENT if own or untyped or typed_before else None
    if key in facts.evidence:
        return facts.evidence[key]
    if key in facts.present and untyped:
        return _PRESENT
    # A rate that no amount needed is not listed as missing.
    return _ABSENT if own and key == FX_RATE_KEY and not facts.fx_rate_present and key not in facts.present else None


def _holds(request: DecisionRequest, pointer: str) -> bool:
    value: object = request.document
    for name in pointer.split("/")[1:]:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _scalars(invalid: JsonValue) -> frozenset[str]:
    """Return the keys whose value was refused for what it is: one of the wrong type may be a list of nothing."""
    return frozenset(key for key, code in _object(invalid).items() if code != EVIDENCE_TYPE_INVALID)


def _is_texts(value: JsonValue) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
