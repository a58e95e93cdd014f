"""
Finds the experiences most like a request, exactly, among those of one tenant and action type.
Must not know policies, requests or stores: it is given profiles and the plan that compares them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Sequence
from decimal import Decimal
from typing import Final

from lumyn.engine.memory_pages import Page, Sums
from lumyn.engine.normalize import ratio
from lumyn.engine.profiles import UNKNOWN, FeaturePlan, Profile, Value
from lumyn.model import JsonObject, Label, Match, Similarity

__all__ = ["MemoryIndex"]

_ANSWERS_KEPT: Final = 1_024
_ITEMS_ON_A_PAGE: Final = 4_096
_ROWS_ON_A_PAGE: Final = 16_384

Weighted = tuple[Hashable, int]
"""A token and its weight."""


class MemoryIndex:
    """
    Experiences by label and by the fixed part of their profile, compared under one plan.

    Under `FeaturePlan.compare`, an experience with fixed part `f` and `t` freely shared weight scores
    `(shared(f) + t) / (shared(f) + t + differing(f))`. Fixed parts are few, because numbers are cut into bands; all of
    them are weighed at once, and the experiences of one are looked at only while `t` can still get a match in. Where
    nothing differs, `t` does not matter and the smallest ids are the answer. Not locked: one thread at a time uses it.

    Args:
        summary: Tells the summary of an experience by its memory id.
    """

    def __init__(self, plan: FeaturePlan, summary: Callable[[str], str]) -> None:
        self.plan = plan
        self._summary = summary
        self._fixed = [place for place, feature in enumerate(plan.features) if not feature.free]
        self._free = [place for place, feature in enumerate(plan.features) if feature.free]
        self._shelves = {label: _Shelf() for label in Label}
        self._answers: dict[tuple[Profile, int, Decimal], Similarity] = {}

    def add(self, memory_id: str, label: Label, features: JsonObject) -> None:
        """Add an experience that is not in the index; ascending ids are found fastest."""
        fixed, free = self._split(self.plan.of_features(features))
        self._shelves[label].add(memory_id, fixed, free)
        self._answers.clear()

    def remove(self, memory_id: str, label: Label, features: JsonObject) -> None:
        """Remove an experience that is in the index."""
        fixed, _ = self._split(self.plan.of_features(features))
        self._shelves[label].remove(memory_id, fixed)
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

    def _split(self, profile: Profile) -> tuple[tuple[Value, ...], list[Hashable]]:
        values, tags = profile
        free: list[Hashable] = [(place, values[place]) for place in self._free if values[place] is not None]
        return tuple([values[place] for place in self._fixed]), free + list(tags)

    def _search(self, asked: Profile, k: int, min_score: Decimal) -> Similarity:
        weights = [feature.weight for feature in self.plan.features]
        fixed, tags = asked
        free: list[Weighted] = [((at, fixed[at]), weights[at]) for at in self._free if fixed[at] is not None]
        free += [(tag, self.plan.tag_weight) for tag in tags]
        search = _Search(tuple([fixed[at] for at in self._fixed]), [weights[at] for at in self._fixed], free, k)
        failure = search.best_of(self._shelves[Label.FAILURE], Label.FAILURE, above=0)
        # Only a near miss more than twice as like as the likest failure can raise the score.
        near_miss = search.best_of(self._shelves[Label.NEAR_MISS], Label.NEAR_MISS, above=2 * failure)
        search.best_of(self._shelves[Label.SUCCESS], Label.SUCCESS, above=search.scale)
        return Similarity(
            score=_failure_score(search.fractions.get(failure), search.fractions.get(near_miss)),
            top_k=tuple(self._matches(search, min_score)),
        )

    def _matches(self, search: _Search, min_score: Decimal) -> Iterable[Match]:
        for rank, memory_id, label in search.found:
            score = ratio(*search.fractions[-rank])
            if score < min_score:
                return
            yield Match(memory_id=memory_id, label=label, score=score, summary=self._summary(memory_id))


class _Items(Page):
    """Experiences with one fixed part: a place each, its tokens what they hold freely."""

    __slots__ = ("live",)

    def __init__(self) -> None:
        super().__init__()
        self.live = 0

    def drop(self, memory_id: str) -> bool:
        """Remove an experience; return False when it is not here."""
        if memory_id < self.floor:
            return False
        if self.strays:
            places: Iterable[int] = (place for place, held in enumerate(self.ids) if held == memory_id)
        else:
            place = bisect_left(self.ids, memory_id)
            places = [place] if self.ids[place : place + 1] == [memory_id] else []
        for place in places:
            if self.live >> place & 1:
                self.live ^= 1 << place
                return True
        return False


class _Row:
    """All experiences with one fixed part, and where that part is among the others."""

    __slots__ = ("page", "pages", "place")

    def __init__(self, page: _Rows, place: int) -> None:
        self.page = page
        self.place = place
        self.pages: list[_Items] = []

    def add(self, memory_id: str, free: Iterable[Hashable]) -> None:
        if not self.pages or len(self.pages[-1].ids) >= _ITEMS_ON_A_PAGE:
            self.pages.append(_Items())
        page = self.pages[-1]
        place = page.append(memory_id)
        page.live |= 1 << place
        for token in free:
            page.put(token, place)


class _Rows(Page):
    """
    Fixed parts: a place each.

    Its tokens are the number of each feature it holds, that number and the value, that number alone in a tuple where
    it is not known, and all that any of its experiences holds freely, or once held.
    """

    __slots__ = ("rows",)

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[_Row] = []

    def begin(self, memory_id: str, fixed: Sequence[Value]) -> _Row:
        place = self.append(memory_id)
        for feature, value in enumerate(fixed):
            if value is UNKNOWN:
                self.put((feature,), place)
            elif value is not None:
                self.put(feature, place)
                self.put((feature, value, None), place)
        row = _Row(self, place)
        self.rows.append(row)
        return row


class _Shelf:
    """The experiences with one label."""

    __slots__ = ("pages", "rows")

    def __init__(self) -> None:
        self.pages: list[_Rows] = []
        self.rows: dict[tuple[Value, ...], _Row] = {}

    def add(self, memory_id: str, fixed: tuple[Value, ...], free: Sequence[Hashable]) -> None:
        row = self.rows.get(fixed)
        if row is None:
            if not self.pages or len(self.pages[-1].ids) >= _ROWS_ON_A_PAGE:
                self.pages.append(_Rows())
            row = self.rows[fixed] = self.pages[-1].begin(memory_id, fixed)
        else:
            row.page.lower(row.place, memory_id)
        for token in free:
            row.page.put(token, row.place)
        row.add(memory_id, free)

    def remove(self, memory_id: str, fixed: tuple[Value, ...]) -> None:
        # What is gone leaves an empty place: the journal, not the index, bounds how many there can be.
        if not any(page.drop(memory_id) for page in self.rows[fixed].pages):
            raise KeyError(memory_id)


class _Search:
    """
    One request's way through the shelves.

    A score is handled as its rank: the exact fraction times `scale`, rounded down. Two different fractions with
    denominators up to d differ by at least 1 / d^2, so a scale above d^2 keeps them apart and in order.

    Args:
        fixed: The fixed part of the request's profile.
        weights: Of the fixed features.
        free: What the request holds freely.
        k: How many matches to find.

    Attributes:
        found: The best matches so far, at most `k`: negated rank, memory id, label; best first.
        fractions: Rank -> the exact fraction, shared over united weight.
    """

    def __init__(self, fixed: tuple[Value, ...], weights: Sequence[int], free: Sequence[Weighted], k: int) -> None:
        self.found: list[tuple[int, str, Label]] = []
        self.fractions: dict[int, tuple[int, int]] = {}
        self._fixed = fixed
        asked = list(zip(range(len(fixed)), fixed, weights, strict=True))
        self._given = [one for one in asked if one[1] is not None]
        self._left_out = [(feature, weight) for feature, value, weight in asked if value is None]
        self._free = free
        self._k = k
        self._label = Label.FAILURE
        self._own = 0
        self._most_given = sum(weight for _, _, weight in self._given)
        self._most_free = sum(weight for _, weight in free)
        self._most = sum(weights) + self._most_free
        self.scale = (self._most + 2 * self._most_given) ** 2 + 1

    def best_of(self, shelf: _Shelf, label: Label, *, above: int) -> int:
        """Look through a shelf; return the best rank on it when it is greater than `above`, else 0."""
        self._label = label
        self._own = above
        exact = shelf.rows.get(self._fixed)
        if exact is not None:
            self._search_row(exact, self._most_given, self._most_free, 0)
        for page in shelf.pages:
            self._search_rows(page, exact)
        return self._own if self._own > above else 0

    def admits(self, rank: int, memory_id: str) -> bool:
        """Return whether such a match would be the best of its label that is looked for, or among the best of all."""
        if rank > self._own:
            return True
        found = self.found
        return rank > 0 and (len(found) < self._k or (-rank, memory_id) < found[-1][:2])

    def _offer(self, rank: int, memory_id: str) -> None:
        if rank > self._own:
            self._own = rank
        insort(self.found, (-rank, memory_id, self._label))
        del self.found[self._k :]

    def _rank(self, shared: int, differing: int) -> int:
        if not shared:
            return 0
        union = shared + differing
        rank = shared * self.scale // union
        self.fractions[rank] = (shared, union)
        return rank

    def _search_rows(self, page: _Rows, exact: _Row | None) -> None:
        # Where nothing differs, a row is the request's own, or it holds something that the request leaves out, or does
        # not tell of something that the request holds.
        least = 1
        if any(page.bits(feature) for feature, _ in self._left_out) or any(
            page.bits((feature,)) for feature, _, _ in self._given
        ):
            least = 0
        if not self.admits(self._rank(self._most, least), page.floor):
            return
        every = (1 << len(page.ids)) - 1
        left = every
        if exact is not None and exact.page is page:
            left ^= 1 << exact.place
        sharing, differing, maybe = Sums(every), Sums(every), Sums(every)
        for feature, value, weight in self._given:
            same, held = page.bits((feature, value, None)), page.bits(feature)
            sharing.add(weight, same)
            differing.add(2 * weight, held ^ same)
            differing.add(weight, every ^ held ^ page.bits((feature,)))
        for feature, weight in self._left_out:
            sharing.add(weight, page.bits(feature))
        for token, weight in self._free:
            maybe.add(weight, page.bits(token))

        for apart, places in differing.levels(left, falling=False):
            if not self.admits(self._rank(self._most, apart), page.floor):
                return
            for shared, alike in sharing.levels(places, falling=True):
                if not self.admits(self._rank(shared + self._most_free, apart), page.floor):
                    break
                for more, likest in maybe.levels(alike, falling=True):
                    rank = self._rank(shared + more, apart)
                    if not self.admits(rank, page.floor):
                        break
                    for place in page.visit(likest, rank, self):
                        self._search_row(page.rows[place], shared, more, apart)

    def _search_row(self, row: _Row, shared: int, more: int, apart: int) -> None:
        rank = self._rank(shared + more, apart)
        for page in row.pages:
            if page.live and self.admits(rank, page.floor):
                self._search_items(page, shared, apart)

    def _search_items(self, page: _Items, shared: int, apart: int) -> None:
        sums = Sums(page.live)
        if apart or not shared:
            held = [(weight, places) for token, weight in self._free if (places := page.bits(token))]
            most = shared + sum(weight for weight, _ in held)
            if not self.admits(self._rank(most, apart), page.floor):
                return
            for weight, places in held:
                sums.add(weight, places)
        # Where nothing differs every score is 1, however much is shared freely.
        for more, places in sums.levels(page.live, falling=True):
            rank = self._rank(shared + more, apart)
            if not self.admits(rank, page.floor):
                return
            for place in page.visit(places, rank, self):
                self._offer(rank, page.ids[place])


def _failure_score(failure: tuple[int, int] | None, near_miss: tuple[int, int] | None) -> Decimal:
    """Return the better of the best failure and half the best near miss, compared as exact fractions."""
    if near_miss is None:
        return Decimal(0) if failure is None else ratio(*failure)
    if failure is not None and failure[0] * near_miss[1] * 2 >= near_miss[0] * failure[1]:
        return ratio(*failure)
    return ratio(*near_miss, half=True)
