"""
Takes back labels and other experience: one new item that says so, and an event where there is a decision.
Decides what exactly is taken back, and refuses to guess; must not know how memory is searched.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from lumyn.core.clock import rfc3339, ulid
from lumyn.core.experience import LABEL_EVENT, RETRACTION_EVENT, has_item, writing
from lumyn.core.given import check_needed, check_texts, known_label
from lumyn.errors import NotFoundError
from lumyn.model import JsonObject, Label, MemoryItem
from lumyn.store.base import Event, Transaction

if TYPE_CHECKING:
    from lumyn.core.decide import Gate

__all__ = ["retract", "standing"]

_SHOWN_CHARACTERS: Final = 64
_SHOWN_LABELS: Final = 4


def retract(
    gate: Gate, target: str, *, label: Label | str | None, tenant_id: str | None, actor: str | None, reason: str | None
) -> MemoryItem:
    """Append the item that takes back another, with its event; see `Gate.retract`."""
    kind = None if label is None else known_label(label)
    check_needed(target=target)
    check_texts(tenant_id=tenant_id, actor=actor, reason=reason)
    now_ms = gate.clock.now_ms()
    at, event_id = rfc3339(now_ms), gate.ids.new(now_ms)
    with writing(gate.store, lambda: has_item(gate.store, item)) as transaction:
        taken = _target(transaction, target, label=kind, tenant_id=tenant_id)
        data: JsonObject = {"retracts": taken.memory_id, "memory_id": _retraction_id(taken.memory_id)}
        data["label"] = taken.label.value
        if reason is not None:
            data["reason"] = reason
        if taken.source_decision_id is not None:
            transaction.append_event(
                Event(
                    seq=0,
                    event_id=event_id,
                    decision_id=taken.source_decision_id,
                    at=at,
                    type=RETRACTION_EVENT,
                    data=data,
                    actor=actor,
                )
            )
        item = transaction.append_memory(
            MemoryItem(
                memory_id=_retraction_id(taken.memory_id),
                seq=0,
                label=taken.label,
                tenant_id=taken.tenant_id,
                action_type=taken.action_type,
                features={},
                summary=_summary(actor, reason),
                created_at=at,
                leaf=b"",
                source_decision_id=taken.source_decision_id,
                retracts=taken.memory_id,
            )
        )
    return item


def standing(transaction: Transaction, decision_id: str) -> list[MemoryItem]:
    """Return the labels of a decision that nobody took back, in the order in which they were given; may be empty."""
    found = []
    for event in transaction.events(decision_id):
        memory_id = event.data.get("memory_id")
        if event.type != LABEL_EVENT or not isinstance(memory_id, str):
            continue
        item = _item(transaction, memory_id)
        # An event only says where to look: what counts as experience is the item, and whose it is.
        if item is not None and item.source_decision_id == decision_id and not _is_retracted(transaction, item):
            found.append(item)
    return found


def _target(transaction: Transaction, target: str, *, label: Label | None, tenant_id: str | None) -> MemoryItem:
    """Return the one item that is meant. Raises `NotFoundError` where there is none, or more than one."""
    item = _item(transaction, target)
    if item is None:
        return _label_of(transaction, target, label=label, tenant_id=tenant_id)
    shown = item.memory_id[:_SHOWN_CHARACTERS]
    if tenant_id is not None and item.tenant_id != tenant_id:
        raise _unknown(target)
    if _decision_tenant(transaction, target) is not None:
        message = f"`{shown}` is the id of a decision and of an experience: nothing is taken back"
        raise NotFoundError(message, reason_code="RETRACTION_AMBIGUOUS")
    if item.retracts is not None:
        message = f"`{shown}` takes another experience back, and holds none itself"
        raise NotFoundError(message, reason_code="NOTHING_TO_RETRACT", hint="label the decision again")
    if label is not None and item.label is not label:
        message = f"`{shown}` is labelled {item.label.value}, not {label.value}"
        raise NotFoundError(message, reason_code="NOTHING_TO_RETRACT")
    if _is_retracted(transaction, item):
        raise NotFoundError(f"`{shown}` was taken back before", reason_code="ALREADY_RETRACTED")
    return item


def _label_of(transaction: Transaction, decision_id: str, *, label: Label | None, tenant_id: str | None) -> MemoryItem:
    owner = _decision_tenant(transaction, decision_id)
    if owner is None or (tenant_id is not None and owner[0] != tenant_id):
        raise _unknown(decision_id)
    items = [item for item in standing(transaction, decision_id) if label is None or item.label is label]
    if len(items) == 1:
        return items[0]
    wanted = "label" if label is None else f"label {label.value}"
    if items:
        named = ", ".join(f"{item.label.value} {item.memory_id}" for item in items[:_SHOWN_LABELS])
        more = ", ..." if len(items) > _SHOWN_LABELS else ""
        raise NotFoundError(
            f"decision `{decision_id}` has several labels: {named}{more}",
            reason_code="RETRACTION_AMBIGUOUS",
            hint="name the one to take back by its own id",
        )
    events = transaction.events(decision_id)
    told = [event for event in events if event.type == RETRACTION_EVENT and label in (None, event.data.get("label"))]
    if told:
        message = f"every {wanted} of decision `{decision_id}` was taken back before"
        raise NotFoundError(message, reason_code="ALREADY_RETRACTED")
    raise NotFoundError(f"decision `{decision_id}` has no {wanted}", reason_code="NOTHING_TO_RETRACT")


def _decision_tenant(transaction: Transaction, decision_id: str) -> tuple[str | None] | None:
    """Return the tenant of a decision in a tuple, or None when there is no such decision."""
    try:
        return (transaction.decision(decision_id).tenant_id,)
    except NotFoundError:
        return None


def _item(transaction: Transaction, memory_id: str) -> MemoryItem | None:
    try:
        return transaction.memory_item(memory_id)
    except NotFoundError:
        return None


def _is_retracted(transaction: Transaction, item: MemoryItem) -> bool:
    return _item(transaction, _retraction_id(item.memory_id)) is not None


def _retraction_id(memory_id: str) -> str:
    """
    Return the id of the item that takes back another: one for each, so that no store can hold two.

    A ULID in form, of a hash in place of time and randomness.
    """
    number = int.from_bytes(hashlib.sha256(b"lumyn.retracts\0" + memory_id.encode()).digest()[:16], "big")
    return ulid(number >> 80, number & ((1 << 80) - 1))


def _summary(actor: str | None, reason: str | None) -> str:
    by = f"taken back by {actor}" if actor else "taken back"
    return f"{by}: {reason}" if reason else by


def _unknown(target: str) -> NotFoundError:
    return NotFoundError(
        f"no decision or experience `{target[:_SHOWN_CHARACTERS]}` in the store",
        reason_code="MEMORY_NOT_FOUND",
        hint="`lumyn show` lists the recent decisions",
    )
