"""
The experience memory of one tenant and action type, as it was at some moment, and how much a request resembles it.
Must not know where the items are stored; every answer is a pure function of the items, the policy and the facts.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from lumyn.engine.memory_index import MemoryIndex
from lumyn.engine.profiles import FeaturePlan, Profile, feature_plan
from lumyn.model import JsonObject, Label, MemoryItem, Similarity
from lumyn.policy.spec import Policy

if TYPE_CHECKING:
    from lumyn.engine.compiled import ActionPlan
    from lumyn.model import Facts

__all__ = ["MemorySnapshot", "top_k"]

_EMPTY_HASH: Final = hashlib.sha256(b"lumyn.mem0").digest()
_NOTHING: Final = Similarity()
_INDEXES_KEPT: Final = 4

_FIELDS: Final = tuple(field.name for field in fields(MemoryItem) if field.name != "label")
_values_of: Final = attrgetter(*_FIELDS)


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
        self._last_seq: int | None = None
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
        """All items, in `seq` order; unpacked anew each time."""
        return self._experience.first(self.n)

    def add(self, item: MemoryItem) -> None:
        """
        Add the next item.

        Raises:
            ValueError: Its `seq` does not follow that of the last item.
        """
        if self._last_seq is not None and item.seq <= self._last_seq:
            raise ValueError(f"memory item {item.seq} does not follow item {self._last_seq}")
        gone, come = self._experience.learn(item)
        self._last_seq = item.seq
        self.n += 1
        self._hash = hashlib.sha256(self._hash + item.leaf).digest()
        for index in self._indexes:
            if gone is not None:
                index.remove(gone.memory_id, gone.label, gone.features)
            if come is not None:
                index.add(come.memory_id, come.label, come.features)

    def counts(self) -> dict[Label, int]:
        """Return how many items count, by label: not those taken back or superseded, nor those that take back."""
        found = dict.fromkeys(Label, 0)
        for item in self._experience.live():
            found[item.label] += 1
        return found

    def prefix(self, n: int) -> MemorySnapshot:
        """
        Return the snapshot of the first `n` items, as a decision made then saw it.

        Raises:
            ValueError: There are fewer items.
        """
        if not 0 <= n <= self.n:
            raise ValueError(f"no snapshot of {n} items: there are {self.n}")
        return MemorySnapshot(self._experience.first(n))

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

    def prepare(self, policy: Policy) -> None:
        """Do now what the first search under `policy` would do: index every item that counts."""
        self._index(feature_plan(policy))

    def _index(self, plan: FeaturePlan) -> MemoryIndex:
        # Hashing a plan would cost more than the search, so the few kept ones are looked through.
        for index in self._indexes:
            if index.plan is plan:
                return index
        for index in self._indexes:
            if index.plan == plan:
                return index
        index = MemoryIndex(plan, self._experience.summary)
        for item in self._experience.live():
            index.add(item.memory_id, item.label, item.features)
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
    return snapshot.search(policy, feature_plan(policy).of_asked(features), k=k)


_GRAVITY: Final = {Label.SUCCESS: 0, Label.NEAR_MISS: 1, Label.FAILURE: 2}


class _Experience:
    """
    All items, and which of them count: not those taken back, and of several from one decision only one.

    That is the gravest, the newest of equals: a later label may be graver, never milder. What was labelled a failure
    stays one until the label itself is taken back.

    A partition may hold a million items, of which few are ever looked at again: each is kept packed in one object,
    and known by its place among all of them.
    """

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._by_id: dict[str, int] = {}
        self._by_source: dict[str, tuple[int, ...]] = {}

    def learn(self, item: MemoryItem) -> tuple[MemoryItem | None, MemoryItem | None]:
        """Take in the next item; return the one that ceases to count and the one that begins to, if any."""
        place = len(self._packed)
        self._packed.append(marshal.dumps((item.label.value, *_values_of(item))))
        if item.retracts is not None:
            return self._retract(item.retracts)
        self._by_id[item.memory_id] = place
        if item.source_decision_id is None:
            return None, item
        told = self._by_source.get(item.source_decision_id, ())
        # The one that counts is kept last.
        known = tuple(sorted((*told, place), key=self._gravity))
        self._by_source[item.source_decision_id] = known
        if known[-1] != place:
            return None, None
        return (self._at(told[-1]) if told else None), item

    def _retract(self, memory_id: str) -> tuple[MemoryItem | None, MemoryItem | None]:
        place = self._by_id.pop(memory_id, None)
        if place is None:
            return None, None
        item = self._at(place)
        if item.source_decision_id is None:
            return item, None
        told = self._by_source[item.source_decision_id]
        rest = tuple(other for other in told if other != place)
        self._by_source[item.source_decision_id] = rest
        if told[-1] != place:
            return None, None
        return item, (self._at(rest[-1]) if rest else None)

    def live(self) -> Iterator[MemoryItem]:
        """Yield the items that count, ids ascending."""
        superseded = {place for told in self._by_source.values() for place in told[:-1]}
        for memory_id in sorted(self._by_id):
            place = self._by_id[memory_id]
            if place not in superseded:
                yield self._at(place)

    def first(self, n: int) -> list[MemoryItem]:
        """Return the first `n` items, in `seq` order."""
        return [self._at(place) for place in range(n)]

    def summary(self, memory_id: str) -> str:
        """Return the summary of an item that counts."""
        return self._at(self._by_id[memory_id]).summary

    def _gravity(self, place: int) -> tuple[int, int]:
        return _GRAVITY[self._at(place).label], place

    def _at(self, place: int) -> MemoryItem:
        label, *values = marshal.loads(self._packed[place])  # noqa: S302 - packed by `learn`
        return MemoryItem(label=Label(label), **dict(zip(_FIELDS, values, strict=True)))
