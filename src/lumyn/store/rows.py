"""
The canonical JSON bodies of journal rows, written and read back.
A body that cannot be read back is an integrity failure; must not know how rows are stored.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TypeVar, cast

from lumyn.digest import canonical_text, freeze
from lumyn.errors import NotFoundError, StoreIntegrityError
from lumyn.model import JsonObject, JsonValue, Label, MemoryItem
from lumyn.store.base import Event, StoredDecision, StoredPolicy, leaf_hash

__all__ = [
    "decision_from_row",
    "decision_from_rows",
    "decision_from_stored",
    "event_body",
    "event_from_row",
    "event_from_stored",
    "memory_body",
    "memory_from_row",
    "memory_from_rows",
    "memory_from_stored",
    "policy_from_row",
    "policy_row",
    "require_leaf",
    "unknown_decision",
]

T = TypeVar("T")


def require_leaf(kind: str, body: object, leaf: object) -> None:
    """Raise `StoreIntegrityError` unless the body of a row is what was written: damage must not read as data."""
    if not isinstance(body, str) or leaf != leaf_hash(kind, body.encode()):
        raise _damaged()


def decision_from_stored(row: tuple[object, ...]) -> StoredDecision:
    """Return the decision of a row, its leaf after the columns of the table. Raises `StoreIntegrityError`."""
    *columns, leaf = row
    require_leaf("decision", columns[-1], leaf)
    return decision_from_row(tuple(columns))


def decision_from_row(row: tuple[object, ...]) -> StoredDecision:
    """Return the decision of a row, its columns in the order of the table. Raises `StoreIntegrityError`."""
    seq, decision_id, created_at, tenant_id, action_type, verdict, policy_hash, record = row
    return StoredDecision(
        seq=_typed(seq, int),
        decision_id=_typed(decision_id, str),
        created_at=_typed(created_at, str),
        tenant_id=_optional(tenant_id),
        action_type=_typed(action_type, str),
        verdict=_typed(verdict, str),
        policy_hash=_typed(policy_hash, str),
        record_json=_typed(record, str),
    )


def decision_from_rows(rows: list[tuple[object, ...]], decision_id: str) -> StoredDecision:
    """Return the one decision found. Raises `NotFoundError` when there is none."""
    if not rows:
        raise unknown_decision(decision_id)
    return decision_from_stored(rows[0])


def unknown_decision(decision_id: str) -> NotFoundError:
    """Return the error for a decision that is not there."""
    return NotFoundError(
        f"no decision `{decision_id[:64]}` in the store",
        reason_code="DECISION_NOT_FOUND",
        hint="`lumyn show` lists the recent ones",
    )


def event_body(event: Event) -> str:
    """Return the canonical body of an event row."""
    return _body(
        {
            "event_id": event.event_id,
            "decision_id": event.decision_id,
            "at": event.at,
            "type": event.type,
            "data": event.data,
            "actor": event.actor,
        }
    )


def event_from_row(seq: object, body: object) -> Event:
    """Return the event of a row. Raises `StoreIntegrityError`."""
    data = _parsed(body)
    return Event(
        seq=_typed(seq, int),
        event_id=_typed(data.get("event_id"), str),
        decision_id=_typed(data.get("decision_id"), str),
        at=_typed(data.get("at"), str),
        type=_typed(data.get("type"), str),
        data=cast("JsonObject", _typed(data.get("data"), dict)),
        actor=_optional(data.get("actor")),
    )


def event_from_stored(seq: object, body: object, leaf: object) -> Event:
    """Return the event of a row, its body held against its leaf. Raises `StoreIntegrityError`."""
    require_leaf("event", body, leaf)
    return event_from_row(seq, body)


def memory_body(item: MemoryItem) -> str:
    """Return the canonical body of a memory row."""
    return _body(
        {
            "memory_id": item.memory_id,
            "label": item.label.value,
            "tenant_id": item.tenant_id,
            "action_type": item.action_type,
            "features": item.features,
            "summary": item.summary,
            "source_decision_id": item.source_decision_id,
            "retracts": item.retracts,
            "created_at": item.created_at,
        }
    )


def memory_from_row(seq: object, body: object, leaf: object) -> MemoryItem:
    """Return the memory item of a row. Raises `StoreIntegrityError`."""
    data = _parsed(body)
    try:
        label = Label(_typed(data.get("label"), str))
    except ValueError:
        raise _damaged() from None
    return MemoryItem(
        memory_id=_typed(data.get("memory_id"), str),
        seq=_typed(seq, int),
        label=label,
        tenant_id=_optional(data.get("tenant_id")),
        action_type=_typed(data.get("action_type"), str),
        features=cast("JsonObject", _typed(data.get("features"), dict)),
        summary=_typed(data.get("summary"), str),
        created_at=_typed(data.get("created_at"), str),
        leaf=_typed(leaf, bytes),
        source_decision_id=_optional(data.get("source_decision_id")),
        retracts=_optional(data.get("retracts")),
    )


def memory_from_stored(seq: object, body: object, leaf: object) -> MemoryItem:
    """Return the memory item of a row, its body held against its leaf. Raises `StoreIntegrityError`."""
    require_leaf("memory", body, leaf)
    return memory_from_row(seq, body, leaf)


def memory_from_rows(rows: list[tuple[object, ...]], memory_id: str) -> MemoryItem:
    """Return the one memory item found. Raises `NotFoundError` when there is none."""
    if not rows:
        raise NotFoundError(f"no experience `{memory_id[:64]}` in the store", reason_code="MEMORY_NOT_FOUND")
    return memory_from_stored(*rows[0])


@lru_cache(maxsize=4)
def policy_row(policy: StoredPolicy) -> tuple[str, bytes]:
    """Return the canonical body of a policy row and its leaf; kept, for many throw-away stores begin with the same."""
    body = _body(
        {
            "policy_hash": policy.policy_hash,
            "policy_id": policy.policy_id,
            "policy_version": policy.policy_version,
            "source": policy.source,
            "saved_at": policy.saved_at,
        }
    )
    return body, leaf_hash("policy", body.encode())


def policy_from_row(body: object) -> StoredPolicy:
    """Return the policy snapshot of a row. Raises `StoreIntegrityError`."""
    data = _parsed(body)
    return StoredPolicy(
        policy_hash=_typed(data.get("policy_hash"), str),
        policy_id=_typed(data.get("policy_id"), str),
        policy_version=_typed(data.get("policy_version"), str),
        source=_typed(data.get("source"), str),
        saved_at=_typed(data.get("saved_at"), str),
    )


def _body(data: JsonObject) -> str:
    return canonical_text(freeze(data))


def _parsed(body: object) -> dict[str, JsonValue]:
    try:
        data = json.loads(_typed(body, str))
    except (ValueError, RecursionError):
        raise _damaged() from None
    return cast("dict[str, JsonValue]", _typed(data, dict))


def _typed(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise _damaged()
    return value


def _optional(value: object) -> str | None:
    return None if value is None else _typed(value, str)


def _damaged() -> StoreIntegrityError:
    return StoreIntegrityError("a stored row cannot be read back", hint="`lumyn verify` names the damaged rows")
