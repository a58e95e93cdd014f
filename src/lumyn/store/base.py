"""
What a store promises: append, look up, list, and one write transaction around a decision.
Protocols and row values only; must not know SQL, policies or verdicts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol

from lumyn.model import JsonObject, MemoryItem

__all__ = [
    "Event",
    "Store",
    "StoredDecision",
    "StoredKey",
    "StoredPolicy",
    "Transaction",
    "chain_hash",
    "leaf_hash",
]

_LEAF_DOMAINS: Final = {kind: f"\0{kind}\0".encode() for kind in ("decision", "event", "memory", "policy")}
_CHAIN_DOMAIN: Final = b"lumyn.chain.v1\x00"


def leaf_hash(kind: str, body: bytes) -> bytes:
    """
    Return the 32-byte RFC 6962 leaf hash of a stored row: its kind and its canonical bytes, domain-separated.

    Args:
        kind: `decision`, `event`, `memory` or `policy`.
    """
    return hashlib.sha256(_LEAF_DOMAINS[kind] + body).digest()


def chain_hash(seq: int, previous: bytes, leaf: bytes) -> bytes:
    """Return the 32-byte hash that binds the row at `seq` to everything written before it."""
    return hashlib.sha256(_CHAIN_DOMAIN + seq.to_bytes(8, "big") + previous + leaf).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """
    One decision as it is kept.

    Attributes:
        seq: Place in the store's journal; 0 before it is stored.
        record_json: Canonical JSON, exactly the bytes that were written.
    """

    seq: int
    decision_id: str
    created_at: str
    tenant_id: str | None
    action_type: str
    verdict: str
    policy_hash: str
    record_json: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An idempotency key that was used before: the digest of its request and the decision it was given."""

    request_digest: str
    record_json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPolicy:
    """The exact text of a policy that was in force."""

    policy_hash: str
    policy_id: str
    policy_version: str
    source: str
    saved_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    Something that happened to a decision after it was made.

    Attributes:
        seq: Place in the store's journal.
        at: RFC 3339, UTC, milliseconds.
        type: Lower-case name, such as `label` or `override`.
        data: What happened; plain JSON.
        actor: Who says so, or None.
    """

    seq: int
    event_id: str
    decision_id: str
    at: str
    type: str
    data: JsonObject
    actor: str | None


class Transaction(Protocol):
    """
    One write transaction: everything appended in it is durable when it ends without an exception, or nothing is.

    Every method raises `StoreUnavailableError` when storage fails.
    """

    @property
    def memory_version(self) -> int:
        """A number that changes whenever memory items may have been added, here or by another process."""

    def find_key(self, tenant_id: str | None, request_id: str) -> StoredKey | None:
        """Return what the tenant's `request_id` was used for, or None when it is new."""

    def memory_items(self, tenant_id: str | None, action_type: str, *, after_seq: int = 0) -> Iterator[MemoryItem]:
        """Yield the items of one tenant and action with `seq > after_seq`, in `seq` order; few are held at a time."""

    def memory_item(self, memory_id: str) -> MemoryItem:
        """Return one item. Raises `NotFoundError`."""

    def decision(self, decision_id: str) -> StoredDecision:
        """Return a stored decision. Raises `NotFoundError`."""

    def events(self, decision_id: str) -> list[Event]:
        """Return the events of a decision in the order they were appended; may be empty."""

    def append_decision(
        self, decision: StoredDecision, *, request_id: str | None = None, request_digest: str = ""
    ) -> int:
        """Append a decision, and its idempotency key when `request_id` is given; return its `seq`."""

    def append_event(self, event: Event) -> int:
        """Append an event; its own `seq` is ignored; return the one given to it."""

    def append_memory(self, item: MemoryItem) -> MemoryItem:
        """Append an item; its own `seq` and `leaf` are ignored; return it as stored."""

    def knows_policy(self, policy_hash: str) -> bool:
        """Return whether the text of this policy is known to be kept; False may mean that nobody has looked."""

    def append_policy(self, policy: StoredPolicy) -> None:
        """Keep the text of a policy, once for each hash."""


class WriteContext(Protocol):
    """What `Store.write()` returns: a context manager whose exit commits."""

    def __enter__(self) -> Transaction: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Store(Protocol):
    """
    An append-only store. Thread-safe and fork-safe; reopens by itself after a failure.

    Every method raises `StoreUnavailableError` when storage fails, and `StoreIntegrityError` when what it holds
    cannot be what was written.
    """

    @property
    def url(self) -> str:
        """Where it is, as given."""

    @property
    def store_id(self) -> str:
        """Its identity: 32 hex digits made at creation."""

    def create(self) -> None:
        """Create the store if there is none; what exists is only checked, never replaced."""

    def check(self) -> None:
        """Open the store if it is not open, and raise when it cannot be used."""

    def probe(self) -> None:
        """Raise unless a decision could be written and kept now; leaves nothing behind."""

    def write(self) -> AbstractContextManager[Transaction]:
        """Begin a write transaction; it commits when the block ends and rolls back when it raises."""

    def decision(self, decision_id: str) -> StoredDecision:
        """Return one decision. Raises `NotFoundError`."""

    def decision_ids(self, prefix: str, *, limit: int) -> list[str]:
        """Return ids that begin with `prefix`, oldest first, at most `limit`."""

    def decisions(
        self,
        *,
        limit: int,
        before_seq: int | None = None,
        verdict: str | None = None,
        action_type: str | None = None,
        tenant_id: str | None = None,
        since: str | None = None,
    ) -> Iterator[StoredDecision]:
        """Return decisions newest first; filters are exact, `since` compares `created_at`."""

    def events(self, decision_id: str) -> list[Event]:
        """Return the events of a decision in the order they were appended; may be empty."""

    def memory_items(
        self, tenant_id: str | None, action_type: str, *, after_seq: int = 0, limit: int | None = None
    ) -> list[MemoryItem]:
        """Return items of one tenant and action in `seq` order."""

    def memory_item(self, memory_id: str) -> MemoryItem:
        """Return one item. Raises `NotFoundError`."""

    def memory_ids(self, prefix: str, *, limit: int) -> list[str]:
        """Return ids of items that begin with `prefix`, oldest first, at most `limit`."""

    def policy_hashes(self, prefix: str, *, limit: int) -> list[str]:
        """Return hashes of policies kept that begin with `prefix`, oldest policy first, at most `limit`."""

    def policy(self, policy_hash: str) -> StoredPolicy:
        """Return the policy text kept under `policy_hash`. Raises `NotFoundError`."""

    def close(self) -> None:
        """Close it; it may be used again, and then reopens."""
