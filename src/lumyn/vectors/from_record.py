"""
Turns a stored decision into a golden vector: its request, the experience that bore on it, and what came out.
Leaves out what decided nothing and says what redaction took; must not know files, stores or the command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from typing import Final, cast

from lumyn.core.records import DecisionRecord
from lumyn.core.requests import request_from_document
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.normalize import derive_facts, features
from lumyn.engine.profiles import feature_plan
from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import DecisionRequest, JsonObject, JsonValue, Label, Match, MemoryItem, Verdict
from lumyn.policy.scalars import decimal_text, is_blank
from lumyn.policy.spec import FX_RATE_KEY, Policy
from lumyn.vectors.fixtures import finish_request
from lumyn.vectors.format import SCHEMA_VERSION
from lumyn.vectors.writing import printable

__all__ = ["RecordedVector", "consulted", "expectation_of", "request_of", "seed_of", "vector_from_record"]

_LEFT_OUT: Final = frozenset({"schema_version", "request_id", "trace", "hints", "policy", "extensions", "context"})
"""What no rule reads. Of the context only the digest could stay, and it says nothing here."""

_ACTION: Final = ("type", "intent", "target", "amount", "tags")
"""The order in which people write an action."""

_NOT_DECISIVE: Final = ("ip", "user_agent")
_STAND_IN: Final = "redacted"
_INTENT: Final = "an experience of earlier"
_HALF: Final = Decimal(2)
_EXACT: Final = Context(prec=400)
_TARGET: Final = {"system": "target_system", "resource_type": "resource_type"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedVector:
    """
    A vector made of a record.

    Attributes:
        document: What a vector file holds, in the order in which to write it.
        notes: What is not in it, or not as it was, a sentence each; may be empty.
    """

    document: JsonObject
    notes: tuple[str, ...]


def vector_from_record(
    record: DecisionRecord,
    *,
    policies: Sequence[Policy],
    policy_file: str,
    memory: MemorySnapshot,
    name: str,
    why: str,
    expect: JsonObject | None = None,
) -> RecordedVector:
    """
    Return the vector of a stored decision.

    Args:
        policies: Those the vector will be run against, at least one; the one that decided comes first. What of memory
            bears on the decision under any of them is in the vector.
        policy_file: What the vector calls its policy.
        memory: The experience the decision saw.
        expect: What must come out; what did come out when None.
    """
    request, notes = request_of(record)
    decided_by = policies[0]
    document: JsonObject = {"schema_version": SCHEMA_VERSION, "name": name, "why": _clean(why), "policy": policy_file}
    document["clock"] = record.created_at
    if record.mode is not decided_by.mode:
        document["mode"] = record.mode.value
    document["request"] = request
    seeds: list[JsonValue] = []
    items = consulted(record, policies, memory)
    for item in items:
        seed, rebuilt = seed_of(item, policies)
        seeds.append(seed)
        if not rebuilt:
            notes.append(f"the experience {item.memory_id} could not be rebuilt exactly from what is kept of it")
    if len(items) < memory.n:
        notes.append(f"of {memory.n} items in memory, the {len(items)} that bore on the decision")
    if seeds:
        document["memory"] = seeds
    document["expect"] = expect or _came_out(record)
    return RecordedVector(document=document, notes=tuple(notes))


def request_of(record: DecisionRecord) -> tuple[JsonObject, list[str]]:
    """Return the request of a record as a vector writes it, partial, and what of it is missing or not as it was."""
    stored = cast("JsonObject", record.to_dict()["request"])
    kept: JsonObject = {key: stored[key] for key in ("tenant", "subject", "action", "evidence") if key in stored}
    kept.update((key, value) for key, value in stored.items() if key not in kept and key not in _LEFT_OUT)
    notes: list[str] = []
    subject = {key: value for key, value in cast("JsonObject", kept["subject"]).items() if key not in _NOT_DECISIVE}
    kept["subject"] = {"type": subject.pop("type"), "id": subject.pop("id", _STAND_IN), **subject}
    action: JsonObject = {"intent": _STAND_IN, **cast("JsonObject", kept["action"])}
    head: JsonObject = {key: action[key] for key in (*_ACTION, *sorted(action.keys() - set(_ACTION))) if key in action}
    amount = action.get("amount")
    if isinstance(amount, dict):
        ordered: JsonObject = {key: amount[key] for key in ("value", "currency") if key in amount}
        head = {**head, "amount": ordered}
    kept["action"] = head
    removed = _fields_removed(stored)
    if removed:
        notes.append(f"redacted before it was stored, so not in here: {', '.join(removed)}")
    request = cast("JsonObject", printable(kept))
    if request != kept:
        notes.append("control characters in the request, which no vector file may hold, stand as U+FFFD")
    return request, notes


def consulted(record: DecisionRecord, policies: Sequence[Policy], memory: MemorySnapshot) -> tuple[MemoryItem, ...]:
    """
    Return the items of memory that bore on a decision, by id: those its record lists, and one that gave the score.

    A failure score is a maximum, so no other item could change it, nor anything else that comes out.
    """
    if not memory.n:
        return ()
    wanted = {match.memory_id for match in record.top_k}
    asked = request_from_document(finish_request(request_of(record)[0]))
    for policy in policies:
        wanted.update(match.memory_id for match in _decisive(asked, policy, memory))
    return tuple(sorted((item for item in memory.items if item.memory_id in wanted), key=lambda item: item.memory_id))


def seed_of(item: MemoryItem, policies: Sequence[Policy]) -> tuple[JsonObject, bool]:
    """
    Return an item as the `memory` of a vector writes it, and whether every policy compares it as it does the item.

    Only the features of the request that was labelled are kept, so only those are in its request.
    """
    summary = cast("str", printable(item.summary)) if not is_blank(item.summary) else item.label.value
    request: JsonObject = {}
    for request in _requests(item, policies[0]):
        if all(_alike(item, request, policy) for policy in policies):
            return {"label": item.label.value, "summary": summary, "request": request}, True
    return {"label": item.label.value, "summary": summary, "request": request}, False


def expectation_of(verdict: Verdict, reason_codes: Sequence[str], *, exact: bool) -> JsonObject:
    """Return an expectation: a verdict, and its reason codes, all of them in order or among others."""
    codes: list[JsonValue] = [*reason_codes]
    if not codes:
        return {"verdict": verdict.value}
    return {"verdict": verdict.value, "reason_codes": codes if exact else {"contains": codes}}


def _came_out(record: DecisionRecord) -> JsonObject:
    return {"verdict": record.verdict.value, "reason_codes": list(record.reason_codes)}


def _clean(text: str) -> str:
    return cast("str", printable(" ".join(text.split())))


def _fields_removed(request: JsonObject) -> list[str]:
    context = request.get("context")
    redaction = context.get("redaction") if isinstance(context, dict) else None
    removed = redaction.get("fields_removed") if isinstance(redaction, dict) else None
    decisive = (str(each) for each in removed or ()) if isinstance(removed, list) else ()
    return [each for each in decisive if not each.startswith(("/context", "/trace", "/extensions"))]


def _decisive(request: DecisionRequest, policy: Policy, memory: MemorySnapshot) -> Iterator[Match]:
    """Yield the matches that a policy lists for a request, and the one that gives the failure score."""
    facts = compile_policy(policy).plan(request.action_type).facts(request)
    asked = feature_plan(policy).of_facts(facts)
    listed = memory.search(policy, asked)
    yield from listed.top_k
    if not listed.score:
        return
    # The score is never truncated, the list of matches is: look further down until the score is accounted for.
    every = replace(policy, memory=replace(policy.memory, min_score=Decimal(0)))
    k = policy.memory.top_k
    while True:
        matches = memory.search(every, asked, k=k).top_k
        found = next((match for match in matches if _gives(match, listed.score)), None)
        if found is not None:
            yield found
            return
        if len(matches) < k:
            return
        k *= 8


def _gives(match: Match, score: Decimal) -> bool:
    if match.label is Label.FAILURE:
        return match.score == score
    # Halved before it is rounded, so the two may differ in the last place.
    return match.label is Label.NEAR_MISS and abs(match.score / _HALF - score) <= Decimal("0.000001")


def _alike(item: MemoryItem, request: JsonObject, policy: Policy) -> bool:
    plan = feature_plan(policy)
    parsed = request_from_document(finish_request(request))
    return plan.of_features(item.features) == plan.of_features(features(policy, derive_facts(policy, parsed)))


def _requests(item: MemoryItem, policy: Policy) -> Iterator[JsonObject]:
    """Yield requests that have the features of an item; more than one only where a rate has to be found."""
    held = item.features
    action: JsonObject = {"type": item.action_type, "intent": _INTENT}
    target = {key: held[name] for key, name in _TARGET.items() if isinstance(held.get(name), str)}
    if target:
        action["target"] = printable(target)
    features_held = held.get("evidence")
    evidence = cast("JsonObject", printable(features_held)) if isinstance(features_held, dict) else {}
    request: JsonObject = {} if item.tenant_id is None else {"tenant": {"tenant_id": item.tenant_id}}
    for amount, rate in _amounts(held, policy):
        whole = dict(action)
        if amount is not None:
            whole["amount"] = amount
        if held.get("tags"):
            whole["tags"] = printable(held["tags"])
        signals = evidence if rate is None else {**evidence, FX_RATE_KEY: rate}
        yield {**request, "action": whole, **({"evidence": signals} if signals else {})}


def _amounts(held: JsonObject, policy: Policy) -> Iterator[tuple[JsonObject | None, JsonValue]]:
    """Yield amounts, each with the rate that makes it the one in US dollars that is kept."""
    currency, usd = held.get("currency"), held.get("amount_usd")
    if not isinstance(currency, str):
        yield None, None
        return
    if not isinstance(usd, str):
        yield {"value": 1, "currency": currency}, None
        return
    if currency == "USD":
        yield {"value": _number(Decimal(usd)), "currency": currency}, None
        return
    low, high = (policy.fx_bounds or {}).get(currency, (Decimal(1), Decimal(1)))
    for rate in dict.fromkeys((Decimal(1), low, high, (low + high) / 2)):
        for digits in (Decimal("0.01"), Decimal(1)):
            value = _EXACT.quantize(_EXACT.divide(Decimal(usd), rate), digits)
            yield {"value": _number(value), "currency": currency}, _number(rate)


def _number(value: Decimal) -> JsonValue:
    """Return a decimal as the number a person would write, or as text where no double carries it."""
    text = decimal_text(value)
    number = float(text)
    if Decimal(repr(number)) != value:
        return text
    return int(number) if number.is_integer() else number
