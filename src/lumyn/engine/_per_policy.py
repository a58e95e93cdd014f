"""
A bounded cache of values derived from policies.
Must not know what is derived.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from lumyn.policy.spec import Policy

T = TypeVar("T")


class PerPolicy(Generic[T]):
    """
    Derives a value from a policy once and keeps it while the policy is in use.

    The key is the policy object itself, not its hash: a policy changed in memory (a mutant, a candidate) keeps the
    hash of its origin, and an answer for the wrong rules must be impossible.
    """

    def __init__(self, derive: Callable[[Policy], T], *, limit: int = 64) -> None:
        self._derive = derive
        self._limit = limit
        self._kept: dict[int, tuple[Policy, T]] = {}
        self._lock = Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        # Another thread may have held the lock when the process was forked; nobody in the child would release it.
        self._lock = Lock()

    def __call__(self, policy: Policy) -> T:
        kept = self._kept.get(id(policy))
        if kept is not None and kept[0] is policy:
            return kept[1]
        value = self._derive(policy)
        with self._lock:
            while len(self._kept) >= self._limit:
                del self._kept[next(iter(self._kept))]
            self._kept[id(policy)] = (policy, value)
        return value
