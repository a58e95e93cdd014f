"""
Finds the experiences most like a request, exactly, among those of one tenant and action type.
Must not know policies, requests or stores: it is given profiles and the plan that compares them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import merge, nlargest
from itertools import islice
from typing import Final

from lumyn.engine.normalize import ratio
from lumyn.engine.profiles import FeaturePlan, Profile
from lumyn.model import Label, Match, MemoryItem, Similarity

__all__ = ["MemoryIndex"]

_ANSWERS_KEPT: Final = 1_024


@dataclass(slots=True)
class _Group:
    """Experiences with one profile: memory ids by label, ascending."""

    profile: Profile
    ids: dict[Label, list[str]] = field(default_factory=dict)


class MemoryIndex:
    """
    Experiences grouped by profile, compared under one plan.

    Cost grows with the number of different profiles, not with the number of experiences. Not locked: one thread
    at a time uses it.
    """

    def __init__(self, plan: FeaturePlan) -> None:
        self.plan = plan
        self._groups: dict[Profile, _Group] = {}
        self._items: dict[str, MemoryItem] = {}
        self._answers: dict[tuple[Profile, int, Decimal], Similarity] = {}

    def add(self, item: MemoryItem) -> None:
        """Add an experience that is not in the index."""
        profile = self.plan.of_features(item.features)
        group = self._groups.get(profile)
        if group is None:
            group = self._groups[profile] = _Group(profile)
        insort(group.ids.setdefault(item.label, []), item.memory_id)
        self._items[item.memory_id] = item
        self._answers.clear()

    def remove(self, item: MemoryItem) -> None:
        """Remove an experience that is in the index."""
        profile = self.plan.of_features(item.features)
        group = self._groups[profile]
        ids = group.ids[item.label]
        del ids[bisect_left(ids, item.memory_id)]
        if not ids:
            del group.ids[item.label]
        if not group.ids:
            del self._groups[profile]
        del self._items[item.memory_id]
        self._answers.clear()

    def search(self, asked: Profile, *, k: int, min_score: Decimal) -> Similarity:
        """
        Return the failure score over all experiences, and the `k` best matches of any label.

        Matches are ordered by exact score, high first, then by memory id. One that shares nothing, or whose reported
        score is below `min_score`, is not listed; the failure score is never truncated.
        """
        key = (asked, k, min_score)
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= _ANSWERS_KEPT:
                self._answers.clear()
            answer = self._answers[key] = self._search(asked, k, min_score)
        return answer

    def _search(self, asked: Profile, k: int, min_score: Decimal) -> Similarity:
        by_rank: dict[int, list[_Group]] = {}
        scores: dict[int, tuple[int, int]] = {}
        failure = near_miss = -1
        compared = [(self.plan.compare(asked, group.profile), group) for group in self._groups.values()]
        # Two different fractions with denominators up to d differ by at least 1 / d^2, so scaling by more than d^2
        # before the integer division keeps them apart and in order; equal fractions stay equal.
        scale = max((union for (_, union), _ in compared), default=0) ** 2 + 1
        for (shared, union), group in compared:
            if not shared:
                continue
            rank = shared * scale // union
            by_rank.setdefault(rank, []).append(group)
            scores[rank] = (shared, union)
            if rank > failure and Label.FAILURE in group.ids:
                failure = rank
            if rank > near_miss and Label.NEAR_MISS in group.ids:
                near_miss = rank
        return Similarity(
            score=_failure_score(scores.get(failure), scores.get(near_miss)),
            top_k=tuple(islice(self._matches(by_rank, scores, k, min_score), k)),
        )

    def _matches(
        self, by_rank: dict[int, list[_Group]], scores: dict[int, tuple[int, int]], k: int, min_score: Decimal
    ) -> Iterator[Match]:
        for rank in nlargest(k, by_rank):
            score = ratio(*scores[rank])
            if score < min_score:
                return
            for memory_id in merge(*(ids for group in by_rank[rank] for ids in group.ids.values())):
                item = self._items[memory_id]
                yield Match(memory_id=memory_id, label=item.label, score=score, summary=item.summary)


def _failure_score(failure: tuple[int, int] | None, near_miss: tuple[int, int] | None) -> Decimal:
    """Return the better of the best failure and half the best near miss, compared as exact fractions."""
    if near_miss is None:
        return Decimal(0) if failure is None else ratio(*failure)
    if failure is not None and failure[0] * near_miss[1] * 2 >= near_miss[0] * failure[1]:
        return ratio(*failure)
    return ratio(*near_miss, half=True)
