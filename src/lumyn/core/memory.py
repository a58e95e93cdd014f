"""
Keeps the experience of the tenants and actions in use at hand, in step with the store.
Loads each partition when it is first needed; must not know how resemblance is measured.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from lumyn.engine.similarity import MemorySnapshot
from lumyn.store.base import Transaction

__all__ = ["MemoryCache"]

_PARTITIONS_KEPT: Final = 1024


@dataclass(slots=True)
class _Partition:
    memory: MemorySnapshot
    version: int | None
    last_seq: int


class MemoryCache:
    """
    The memory of recently used (tenant, action type) pairs.

    Not locked by itself: it is used inside a write transaction, and a store has one of those at a time.
    """

    def __init__(self) -> None:
        self._partitions: OrderedDict[tuple[str | None, str], _Partition] = OrderedDict()
        self._process = os.getpid()

    def snapshot(self, transaction: Transaction, tenant_id: str | None, action_type: str) -> MemorySnapshot:
        """
        Return the memory of a tenant and action as the transaction sees it.

        Raises:
            StoreUnavailableError: Memory cannot be read.
        """
        if self._process != os.getpid():
            # A fork can catch another thread halfway through an update; the child starts from the store.
            self._partitions.clear()
            self._process = os.getpid()
        key = (tenant_id, action_type)
        version = transaction.memory_version
        # Whatever interrupts an update, what was half done is not there to be used: the next call loads it again.
        partition = self._partitions.pop(key, None) or _Partition(MemorySnapshot(), None, 0)
        if partition.version != version:
            for item in transaction.memory_items(tenant_id, action_type, after_seq=partition.last_seq):
                partition.memory.add(item)
                partition.last_seq = item.seq
            partition.version = version
        # Callers choose tenant and action, so the number kept is bounded and the least recently used one goes.
        if len(self._partitions) >= _PARTITIONS_KEPT:
            self._partitions.popitem(last=False)
        self._partitions[key] = partition
        return partition.memory
