"""
Rows that a store is put to the test with: one of each kind, as like as can be from one call to the next.
Knows what rows hold; must not know what is tested with them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lumyn.model import Label, MemoryItem
from lumyn.store.base import Event, Store, StoredDecision, StoredPolicy

__all__ = ["ACTION", "AT", "LATER", "POLICY", "TEXT", "decision", "event", "fill", "item"]

AT: Final = "2026-01-15T12:00:00.000Z"
LATER: Final = "2026-01-15T12:00:01.000Z"
ACTION: Final = "support.refund"
# What text may hold: quotes, a line end, characters of every width in UTF-8, and one that Unicode does not decompose.
TEXT: Final = 'a "b" \\ \n \u00e9 \u20ac \U0001f9fe e\u0301'


def decision(number: int, **changes: str | None) -> StoredDecision:
    """Return a decision; `changes` are members."""
    made = StoredDecision(
        seq=0,
        decision_id=f"D{number:04}",
        created_at=AT,
        tenant_id="acme",
        action_type=ACTION,
        verdict="TRUST",
        policy_hash="sha256:0",
        record_json=f'{{"n":{number}}}',
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def event(number: int, decision_id: str = "D0001") -> Event:
    """Return an event of a decision."""
    return Event(
        seq=0, event_id=f"E{number:04}", decision_id=decision_id, at=AT, type="note", data={"n": number}, actor=None
    )


def item(number: int, tenant_id: str | None = "acme", action_type: str = ACTION) -> MemoryItem:
    """Return an experience."""
    return MemoryItem(
        memory_id=f"M{number:04}",
        seq=0,
        label=Label.FAILURE,
        tenant_id=tenant_id,
        action_type=action_type,
        features={"action_type": action_type, "evidence": {"risk": 0.5, "note": TEXT}},
        summary=TEXT,
        created_at=AT,
        leaf=b"",
        source_decision_id="D0001",
        retracts=None,
    )


POLICY: Final = StoredPolicy(
    policy_hash="sha256:0", policy_id="p", policy_version="1", source=f"# {TEXT}\n", saved_at=AT
)


def fill(store: Store) -> None:
    """Append one row of each kind, in this order: policy, decision, event, memory item."""
    with store.write() as transaction:
        transaction.append_policy(POLICY)
        transaction.append_decision(decision(1), request_id="r", request_digest="sha256:1")
        transaction.append_event(event(1))
        transaction.append_memory(item(1))
