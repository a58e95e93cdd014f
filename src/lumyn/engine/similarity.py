"""
The experience memory of one tenant and action type, as it was at some moment, and how much a request resembles it.
Must not know where the items are stored; every answer is a pure function of the items, the policy and the facts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from lumyn.engine.memory_index import MemoryIndex
from lumyn.engine.profiles import FeaturePlan, Profile, feature_plan
from lumyn.model import JsonObject, MemoryItem, Similarity
from lumyn.policy.spec import Policy

if TYPE_CHECKING:
    from lumyn.engine.compiled import ActionPlan
    from lumyn.model import Facts

__all__ = ["MemorySnapshot", "top_k"]

_EMPTY_HASH: Final = hashlib.sha256(b"lumyn.mem0").digest()
_NOTHING: Final = Similarity()
_INDEXES_KEPT: Final = 4


class MemorySnapshot:
    """
    The first `n` items of one tenant and action type, searchable; `add` moves it on to the next item.

    Not locked: one thread at a time uses it.

    Attributes:
        n: How many items it holds, retracted and superseded ones included.
    """

    def __init__(self, items: Iterable[MemoryItem] = ()) -> None:
        self.n = 0
        self._hash = _EMPTY_HASH
        self._items: list[MemoryItem] = []
        self._experience = _Experience()
        self._indexes: list[MemoryIndex] = []
        for item in items:
            self.add(item)

    @property
    def digest(self) -> str:
        """`mem0:<n>:<hex>`: the number of items and a running SHA-256 over their leaf hashes in `seq` order."""
        return f"mem0:{self.n}:{self._hash.hex()}"

    @property
    def items(self) -> Sequence[MemoryItem]:
        """All items, in `seq` order; not to be changed."""
        return self._items

    def add(self, item: MemoryItem) -> None:
        """
        Add the next item.

        Raises:
            ValueError: Its `seq` does not follow that of the last item.
        """
        if self._items and item.seq <= self._items[-1].seq:
            raise ValueError(f"memory item {item.seq} does not follow item {self._items[-1].seq}")
        self._items.append(item)
        self.n += 1
        self._hash = hashlib.sha256(self._hash + item.leaf).digest()
        gone, come = self._experience.learn(item)
        for index in self._indexes:
            if gone is not None:
                index.remove(gone)
            if come is not None:
                index.add(come)

    def prefix(self, n: int) -> MemorySnapshot:
        """
        Return the snapshot of the first `n` items, as a decision made then saw it.

        Raises:
            ValueError: There are fewer items.
        """
        if not 0 <= n <= self.n:
            raise ValueError(f"no snapshot of {n} items: there are {self.n}")
        return MemorySnapshot(islice(self._items, n))

    def similarity(self, plan: ActionPlan, facts: Facts) -> Similarity:
        """Return how much a request looks like what is remembered, under the plan's policy."""
        return self.search(plan.policy, feature_plan(plan.policy).of_facts(facts)) if self.n else _NOTHING

    def search(self, policy: Policy, asked: Profile, *, k: int | None = None) -> Similarity:
        """
        Return how much a profile looks like what is remembered, under `policy`.

        Args:
            asked: Of the request, under the feature plan of the same policy.
            k: How many matches to keep, at least 1; the policy's own number when left out.
        """
        memory = policy.memory
        index = self._index(feature_plan(policy))
        return index.search(asked, k=memory.top_k if k is None else k, min_score=memory.min_score)

    def _index(self, plan: FeaturePlan) -> MemoryIndex:
        # Hashing a plan would cost more than the search, so the few kept ones are looked through.
        for index in self._indexes:
            if index.plan is plan:
                return index
        for index in self._indexes:
            if index.plan == plan:
                return index
        index = MemoryIndex(plan)
        for item in self._experience.live():
            index.add(item)
        self._indexes = [*self._indexes[1 - _INDEXES_KEPT :], index]
        return index


def top_k(policy: Policy, features: JsonObject, snapshot: MemorySnapshot, *, k: int | None = None) -> Similarity:
    """
    Rank the labelled experiences that look most like a request.

    Args:
        features: Of the request, as `lumyn.engine.normalize.features` returns them.
        snapshot: Items of one tenant and action type; may be empty (score 0).
        k: How many matches to keep, at least 1; the policy's own number when left out.

    Returns:
        Matches by score (0 to 1, high first), ties by memory id. Pure: equal inputs give equal output, bit for bit.
    """
    return snapshot.search(policy, feature_plan(policy).of_features(features), k=k)


class _Experience:
    """Which items count: not those taken back, and of several from one decision only the newest."""

    def __init__(self) -> None:
        self._by_id: dict[str, MemoryItem] = {}
        self._by_source: dict[str, list[MemoryItem]] = {}

    def learn(self, item: MemoryItem) -> tuple[MemoryItem | None, MemoryItem | None]:
        """Take in the next item; return the one that ceases to count and the one that begins to, if any."""
        if item.retracts is not None:
            return self._retract(item.retracts)
        self._by_id[item.memory_id] = item
        if item.source_decision_id is None:
            return None, item
        told = self._by_source.setdefault(item.source_decision_id, [])
        told.append(item)
        return (told[-2] if len(told) > 1 else None), item

    def _retract(self, memory_id: str) -> tuple[MemoryItem | None, MemoryItem | None]:
        item = self._by_id.pop(memory_id, None)
        if item is None:
            return None, None
        if item.source_decision_id is None:
            return item, None
        told = self._by_source[item.source_decision_id]
        newest = told[-1] is item
        told.remove(item)
        if not newest:
            return None, None
        return item, (told[-1] if told else None)

    def live(self) -> list[MemoryItem]:
        """Return the items that count, in `seq` order."""
        return [
            item
            for item in self._by_id.values()
            if item.source_decision_id is None or self._by_source[item.source_decision_id][-1] is item
        ]
