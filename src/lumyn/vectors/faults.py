"""
A store that fails on command, around one that works: what a scenario's `fault` step turns on and off.
Raises what a real failure raises; must not know what the store holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NoReturn

from lumyn.errors import StoreUnavailableError
from lumyn.model import MemoryItem
from lumyn.store.base import Event, Store, StoredDecision, StoredPolicy, Transaction
from lumyn.vectors.format import StorageFault

__all__ = ["FaultStore"]


class FaultStore:
    """
    A `Store` that behaves like `inner` until `fault` says otherwise.

    Attributes:
        fault: What is wrong with storage now.
    """

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.fault = StorageFault.OK

    @property
    def url(self) -> str:
        """Where the inner store is."""
        return self._inner.url

    @property
    def store_id(self) -> str:
        """Its identity."""
        return self._reading().store_id

    def create(self) -> None:
        """Create the inner store if there is none."""
        self._writing().create()

    def check(self) -> None:
        """Open it, and raise when it cannot be used."""
        self._reading().check()

    def probe(self) -> None:
        """Raise unless a decision could be kept."""
        self._writing().probe()

    def write(self) -> AbstractContextManager[Transaction]:
        """Begin a write transaction."""
        return self._writing().write()

    def decision(self, decision_id: str) -> StoredDecision:
        """Return one decision."""
        return self._reading().decision(decision_id)

    def decision_ids(self, prefix: str, *, limit: int) -> list[str]:
        """Return ids that begin with `prefix`."""
        return self._reading().decision_ids(prefix, limit=limit)

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
        """Return decisions newest first."""
        return self._reading().decisions(
            limit=limit,
            before_seq=before_seq,
            verdict=verdict,
            action_type=action_type,
            tenant_id=tenant_id,
            since=since,
        )

    def events(self, decision_id: str) -> list[Event]:
        """Return the events of a decision."""
        return self._reading().events(decision_id)

    def memory_items(
        self, tenant_id: str | None, action_type: str, *, after_seq: int = 0, limit: int | None = None
    ) -> list[MemoryItem]:
        """Return items of one tenant and action."""
        return self._reading().memory_items(tenant_id, action_type, after_seq=after_seq, limit=limit)

    def memory_item(self, memory_id: str) -> MemoryItem:
        """Return one item."""
        return self._reading().memory_item(memory_id)

    def memory_ids(self, prefix: str, *, limit: int) -> list[str]:
        """Return ids of items that begin with `prefix`."""
        return self._reading().memory_ids(prefix, limit=limit)

    def policy_hashes(self, prefix: str, *, limit: int) -> list[str]:
        """Return hashes of policies kept that begin with `prefix`."""
        return self._reading().policy_hashes(prefix, limit=limit)

    def policy(self, policy_hash: str) -> StoredPolicy:
        """Return the policy text kept under `policy_hash`."""
        return self._reading().policy(policy_hash)

    def close(self) -> None:
        """Close the inner store."""
        self._inner.close()

    def _reading(self) -> Store:
        if self.fault is StorageFault.UNAVAILABLE:
            _fail("the scenario made storage unavailable", "STORAGE_UNAVAILABLE")
        return self._inner

    def _writing(self) -> Store:
        if self.fault is StorageFault.READ_ONLY:
            _fail("the scenario made storage read-only", "STORE_READ_ONLY")
        return self._reading()


def _fail(message: str, detail: str) -> NoReturn:
    raise StoreUnavailableError(message, detail=detail)
