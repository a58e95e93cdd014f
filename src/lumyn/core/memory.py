"""
Keeps the experience of the tenants and actions in use at hand, in step with the store.
Loads each partition when it is first needed; must not know how resemblance is measured.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import MemoryItem
from lumyn.policy.spec import Policy
from lumyn.store.base import Store, Transaction

__all__ = ["CATCH_UPS", "MemoryCache"]

_PARTITIONS_KEPT: Final = 1024
_PAGE: Final = 1024

CATCH_UPS: Final = (_PAGE, _PAGE, _PAGE, None)
"""
How many items one attempt to decide takes in while it holds the write lock.

More are loaded without it first, so that no other writer waits for a large memory to be read. The last attempt takes
all: whoever writes faster than this process reads must not keep it from deciding.
"""

_Key = tuple[str | None, str]


class _Partition:
    """
    The memory of one tenant and action as far as it was read.

    Attributes:
        version: The memory version of the transaction that found it complete; None before one has.
        last_seq: Place of the last item; 0 before the first.
    """

    __slots__ = ("_last_leaf", "last_seq", "memory", "version")

    def __init__(self) -> None:
        self.version: int | None = None
        self._restart()

    def _restart(self) -> None:
        self.memory = MemorySnapshot()
        self.last_seq = 0
        self._last_leaf = b""

    @property
    def after_seq(self) -> int:
        """From where on to read: the last known item is read again, to see that it is still there."""
        return max(0, self.last_seq - 1)

    def follow(self, items: Iterable[MemoryItem], *, most: int | None) -> bool | None:
        """
        Take in the items after `after_seq`, at most `most` new ones.

        Returns:
            True when that was all; False when there are more; None when the last known item is not the first of them:
            the store is not the one that was read, and all of it has to be read anew.
        """
        known = self.last_seq > 0
        taken = 0
        for item in items:
            if known:
                known = False
                if (item.seq, item.leaf) != (self.last_seq, self._last_leaf):
                    self._restart()
                    return None
                continue
            if taken == most:
                return False
            self.memory.add(item)
            self.last_seq, self._last_leaf = item.seq, item.leaf
            taken += 1
        if known:
            self._restart()
            return None
        return True


class MemoryCache:
    """
    The memory of recently used (tenant, action type) pairs.

    A snapshot is used inside the write transaction that it was asked for in, and a store has one of those at a time.
    A partition that is being loaded belongs to the thread that loads it, and is not to be found meanwhile.
    """

    def __init__(self) -> None:
        self._partitions: OrderedDict[_Key, _Partition] = OrderedDict()
        self._loading: dict[_Key, threading.Event] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()

    def snapshot(
        self, transaction: Transaction, tenant_id: str | None, action_type: str, *, most: int | None = None
    ) -> MemorySnapshot | None:
        """
        Return the memory of a tenant and action as the transaction sees it.

        Args:
            most: How many items may be read for that. None for as many as there are.

        Returns:
            None when there are more than `most`: then leave the transaction, call `load`, and try again.

        Raises:
            StoreUnavailableError: Memory cannot be read.
        """
        key = (tenant_id, action_type)
        partition = self._take(key, unless_loading=most is not None)
        if partition is None:
            return None
        version = transaction.memory_version
        while partition.version != version:
            # Whatever interrupts this, what was half done is not there to be used: the next call loads it again.
            items = transaction.memory_items(tenant_id, action_type, after_seq=partition.after_seq)
            followed = partition.follow(items, most=most)
            if followed is False:
                partition.version = None
                self._keep(key, partition)
                return None
            if followed:
                partition.version = version
        self._keep(key, partition)
        return partition.memory

    def load(self, store: Store, policy: Policy, tenant_id: str | None, action_type: str) -> None:
        """
        Read the memory of a tenant and action page by page, outside of any transaction, and index it for a policy.

        One thread does so while the others that need the same memory wait for it.

        Raises:
            StoreUnavailableError: Memory cannot be read.
        """
        key = (tenant_id, action_type)
        done = threading.Event()
        with self._in_this_process():
            under_way = self._loading.setdefault(key, done)
        if under_way is not done:
            under_way.wait()
            return
        try:
            partition = self._take(key) or _Partition()
            followed: bool | None = False
            while not followed:
                page = store.memory_items(tenant_id, action_type, after_seq=partition.after_seq, limit=_PAGE)
                followed = partition.follow(page, most=None)
                if len(page) == _PAGE:
                    followed = False
            partition.memory.prepare(policy)
            partition.version = None
            self._keep(key, partition)
        finally:
            with self._in_this_process():
                self._loading.pop(key, None)
            done.set()

    def _take(self, key: _Key, *, unless_loading: bool = False) -> _Partition | None:
        """Return a partition that is nobody else's now; None when another thread loads it and that matters."""
        with self._in_this_process():
            if unless_loading and key in self._loading:
                return None
            return self._partitions.pop(key, None) or _Partition()

    def _keep(self, key: _Key, partition: _Partition) -> None:
        with self._in_this_process():
            other = self._partitions.pop(key, None)
            if other is not None and other.last_seq > partition.last_seq and partition.version is None:
                partition = other
            # Callers choose tenant and action, so the number kept is bounded and the least recently used one goes.
            if len(self._partitions) >= _PARTITIONS_KEPT:
                self._partitions.popitem(last=False)
            self._partitions[key] = partition

    def _in_this_process(self) -> threading.Lock:
        """Return the lock. A fork can catch other threads halfway: the child starts from the store, with a new lock."""
        if self._process != os.getpid():
            self._lock = threading.Lock()
            self._partitions.clear()
            self._loading.clear()
            self._process = os.getpid()
        return self._lock
