"""
How labels become experience, and how events are appended to decisions.
Each is one transaction: event and memory item are written together or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from lumyn.core.clock import rfc3339
from lumyn.core.given import check_needed, check_texts, known_label
from lumyn.core.known import is_removed, removed_from
from lumyn.core.records import record_from_json
from lumyn.core.requests import request_from_document
from lumyn.digest import FreezeError, freeze
from lumyn.documents import join_pointer
from lumyn.engine.compiled import compile_policy
from lumyn.engine.normalize import compared_keys, features
from lumyn.errors import InvalidRequestError, NotFoundError, Problem, StoreUnavailableError
from lumyn.model import DecisionRequest, JsonObject, Label, MemoryItem
from lumyn.store.base import Event, Store, StoredDecision, Transaction
from lumyn.store.rows import unknown_decision

if TYPE_CHECKING:
    from lumyn.core.decide import Gate

__all__ = [
    "LABEL_EVENT",
    "RETRACTION_EVENT",
    "append_event",
    "has_item",
    "label",
    "seed",
    "writing",
]

LABEL_EVENT: Final = "label"
RETRACTION_EVENT: Final = "retraction"

_OWN_EVENTS: Final = {LABEL_EVENT: "Gate.label", RETRACTION_EVENT: "Gate.retract"}
_EVENT_TYPE: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_MOST_ID_CHARACTERS: Final = 256


def label(
    gate: Gate, decision_id: str, name: Label | str, *, tenant_id: str | None, note: str | None, actor: str | None
) -> MemoryItem:
    """Append a label event and the memory item it makes; see `Gate.label`."""
    value = known_label(name)
    check_needed(decision_id=decision_id)
    check_texts(tenant_id=tenant_id, note=note, actor=actor)
    now_ms = gate.clock.now_ms()
    at = rfc3339(now_ms)
    memory_id, event_id = gate.ids.new(now_ms), gate.ids.new(now_ms)
    with writing(gate.store, lambda: has_item(gate.store, item)) as transaction:
        stored = _decision(transaction, decision_id, tenant_id)
        kept = record_from_json(stored.record_json).to_dict()
        document = kept["request"]
        if not isinstance(document, dict):
            raise TypeError("a record's request is an object")
        item = _item(
            gate,
            request_from_document(document),
            value,
            note or value.value,
            memory_id=memory_id,
            at=at,
            source=decision_id,
            removed=removed_from(kept),
        )
        data: JsonObject = {"label": value.value, "memory_id": memory_id}
        if note is not None:
            data["note"] = note
        transaction.append_event(
            Event(seq=0, event_id=event_id, decision_id=decision_id, at=at, type=LABEL_EVENT, data=data, actor=actor)
        )
        item = transaction.append_memory(item)
    return item


def seed(
    gate: Gate,
    name: Label | str,
    request: Mapping[str, object] | str | bytes,
    *,
    summary: str,
    memory_id: str | None,
) -> MemoryItem:
    """Append a memory item that no decision stands for; see `Gate.seed`."""
    value = known_label(name)
    check_needed(summary=summary)
    check_texts(summary=summary, memory_id=memory_id)
    if memory_id is not None and not (
        0 < len(memory_id) <= _MOST_ID_CHARACTERS and memory_id.isprintable() and memory_id.strip() == memory_id
    ):
        message = f"an id is 1 to {_MOST_ID_CHARACTERS} printable characters without blanks at its ends"
        raise InvalidRequestError([Problem(code="FIELD_PATTERN", message=message, pointer="/memory_id")])
    parsed = gate.parse(request)
    now_ms = gate.clock.now_ms()
    new_id = gate.ids.new(now_ms) if memory_id is None else memory_id
    item = _item(gate, parsed.request, value, summary, memory_id=new_id, at=rfc3339(now_ms), source=None)
    with writing(gate.store, lambda: has_item(gate.store, item)) as transaction:
        if memory_id is not None and _is_taken(transaction, memory_id):
            message = "an experience with this id is in the store"
            raise InvalidRequestError([Problem(code="VALUE_DUPLICATE", message=message, pointer="/memory_id")])
        item = transaction.append_memory(item)
    return item


def append_event(
    gate: Gate,
    decision_id: str,
    event_type: str,
    data: JsonObject,
    *,
    tenant_id: str | None,
    actor: str | None,
    reason: str | None,
) -> Event:
    """Append an event to a stored decision; see `Gate.append_event`."""
    check_needed(decision_id=decision_id, type=event_type)
    check_texts(type=event_type, tenant_id=tenant_id, actor=actor, reason=reason)
    if not isinstance(data, dict):
        raise InvalidRequestError([Problem(code="TYPE_INVALID", message="must be an object", pointer="/data")])
    data = _frozen(data)
    if _EVENT_TYPE.fullmatch(event_type) is None:
        message = "an event type is lower-case letters, digits, `_` and `.`"
        raise InvalidRequestError([Problem(code="FIELD_PATTERN", message=message, pointer="/type")])
    if event_type in _OWN_EVENTS:
        # Such an event without its experience would tell people of a memory that no decision is compared with.
        message = f"an event of type `{event_type}` comes with the experience it tells of"
        hint = f"call `{_OWN_EVENTS[event_type]}`"
        raise InvalidRequestError([Problem(code="VALUE_INVALID", message=message, pointer="/type", hint=hint)])
    if reason is not None:
        if "reason" in data:
            message = "a reason is given twice: in the data of the event, and apart from it"
            raise InvalidRequestError([Problem(code="FIELD_CONFLICT", message=message, pointer="/data/reason")])
        data = {**data, "reason": reason}
    now_ms = gate.clock.now_ms()
    event = Event(
        seq=0,
        event_id=gate.ids.new(now_ms),
        decision_id=decision_id,
        at=rfc3339(now_ms),
        type=event_type,
        data=data,
        actor=actor,
    )
    with writing(gate.store, lambda: _has_event(gate.store, event)) as transaction:
        _decision(transaction, decision_id, tenant_id)
        seq = transaction.append_event(event)
    return replace(event, seq=seq)


def _frozen(data: JsonObject) -> JsonObject:
    """Return a copy of the data of an event that can be kept."""
    try:
        frozen = freeze({"data": data})
    except FreezeError as error:
        raise InvalidRequestError(error.problems) from None
    return cast("dict[str, JsonObject]", frozen)["data"]


@contextmanager
def writing(store: Store, happened: Callable[[], bool]) -> Iterator[Transaction]:
    """Begin a write transaction; when its commit fails, which leaves open whether it happened, `happened` tells."""
    committing = False
    try:
        with store.write() as transaction:
            yield transaction
            committing = True
    except StoreUnavailableError:
        if not (committing and happened()):
            raise


def has_item(store: Store, item: MemoryItem) -> bool:
    """Return whether the store is known to hold exactly this item."""
    try:
        found = store.memory_items(item.tenant_id, item.action_type, after_seq=item.seq - 1, limit=1)
    except StoreUnavailableError:
        return False
    return [item.leaf] == [each.leaf for each in found]


def _decision(transaction: Transaction, decision_id: str, tenant_id: str | None) -> StoredDecision:
    """Return a decision, of the tenant where one is named; that of another is as if it were not there."""
    stored = transaction.decision(decision_id)
    if tenant_id is not None and stored.tenant_id != tenant_id:
        raise unknown_decision(decision_id)
    return stored


def _is_taken(transaction: Transaction, memory_id: str) -> bool:
    try:
        transaction.memory_item(memory_id)
    except NotFoundError:
        return False
    return True


def _has_event(store: Store, event: Event) -> bool:
    try:
        return any(each.event_id == event.event_id for each in store.events(event.decision_id))
    except StoreUnavailableError:
        return False


def _item(
    gate: Gate,
    request: DecisionRequest,
    value: Label,
    summary: str,
    *,
    memory_id: str,
    at: str,
    source: str | None,
    removed: Sequence[str] = (),
) -> MemoryItem:
    policy = gate.policy
    facts = compile_policy(policy).plan(request.action_type).facts(request)
    # Redaction spares what the policy that decided compares; this one may compare more.
    unknown: Sequence[str] = ()
    if removed:
        unknown = [key for key in compared_keys(policy) if is_removed(join_pointer("/evidence", key), removed)]
    return MemoryItem(
        memory_id=memory_id,
        seq=0,
        label=value,
        tenant_id=request.tenant_id,
        action_type=request.action_type,
        features=features(policy, facts, unknown=unknown),
        summary=summary,
        created_at=at,
        leaf=b"",
        source_decision_id=source,
    )
