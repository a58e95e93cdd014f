"""
Chooses few of many things that together close what is open: the most valuable first, none that the rest makes idle.
Sets are bits of one number; must not know what is open, nor what closes it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import accumulate
from operator import or_

__all__ = ["choose"]


def choose(
    sets: Sequence[int],
    tiers: Sequence[int],
    weights: Sequence[tuple[int, int]],
    *,
    most: int | None = None,
    many: int | None = None,
) -> list[tuple[int, int]]:
    """
    Return places in `sets`, in the order chosen, each with what it closes that those before it do not.

    Args:
        sets: What each closes.
        tiers: How dear each is: one of a higher tier is taken only when no lower one closes anything more.
        weights: Sets of what is open with the worth of each member; they do not overlap.
        most: How many at most.
        many: While there are more, a dearer one may take the place of several that are cheaper.
    """
    open_ = 0
    for members, _ in weights:
        open_ |= members

    def worth(closed: int) -> int:
        return sum(value * (closed & members).bit_count() for members, value in weights)

    # Worth only ever falls, so an entry whose worth still stands is the best there is.
    heap = [(tiers[place], -worth(closed), place) for place, closed in enumerate(sets) if closed]
    heapq.heapify(heap)
    chosen: list[int] = []
    left = open_
    while heap and left and (most is None or len(chosen) < most):
        tier, value, place = heapq.heappop(heap)
        now = -worth(sets[place] & left)
        if not now:
            continue
        if now != value:
            heapq.heappush(heap, (tier, now, place))
            continue
        chosen.append(place)
        left &= ~sets[place]
    if most is None:
        chosen = _exchanged(sets, tiers, _needed(sets, chosen, open_), open_)
        if many is not None and len(chosen) > many:
            chosen = _exchanged(sets, [0] * len(sets), chosen, open_, enough=many)
    return _credited(sets, chosen, open_)


def _needed(sets: Sequence[int], chosen: Sequence[int], open_: int) -> list[int]:
    """Return those chosen without any whose members the others close, the last chosen dropped first."""
    before = [0, *accumulate((sets[place] for place in chosen), or_)]
    after, kept = 0, []
    for number in range(len(chosen) - 1, -1, -1):
        members = sets[chosen[number]]
        if members & open_ & ~(before[number] | after):
            kept.append(chosen[number])
            after |= members
    return kept[::-1]


def _exchanged(
    sets: Sequence[int], tiers: Sequence[int], chosen: Sequence[int], open_: int, *, enough: int = 0
) -> list[int]:
    """Return those chosen with one in the place of several, wherever one that is no dearer closes all they do."""
    kept = _Kept(sets, chosen, open_)
    place = 0
    while place < len(sets) and len(kept.places) > enough:
        idle = kept.idle_beside(place)
        if len(idle) > 1:
            idle = [each for each in idle if tiers[place] <= tiers[each]]
        if len(idle) > 1 and place not in kept.places:
            gone = {*idle}
            rest = _needed(sets, [place, *(each for each in kept.places if each not in gone), *reversed(idle)], open_)
            if len(rest) < len(kept.places):
                still = {*rest}
                ordered = [*(each for each in kept.places if each in still), place] if place in still else rest
                kept = _Kept(sets, ordered, open_)
                place = 0
                continue
        place += 1
    return kept.places


class _Kept:
    """Those that are chosen at the moment, by what each closes that no other does."""

    def __init__(self, sets: Sequence[int], places: Sequence[int], open_: int) -> None:
        self.places = list(places)
        self._sets = sets
        self._alone = _alone(sets, places, open_)
        self._signs: dict[int, int] = {}
        self._any = 0
        for number, place in enumerate(places):
            sign = self._alone[place] & -self._alone[place]
            self._signs[sign] = number
            self._any |= sign

    def idle_beside(self, place: int) -> list[int]:
        """Return those, in order, of which one more closes all that no other does; none where it is only one."""
        members = self._sets[place]
        told = members & self._any
        if told & (told - 1) == 0:
            return []
        found = []
        while told:
            sign = told & -told
            told ^= sign
            found.append(self._signs[sign])
        there = (self.places[number] for number in sorted(found))
        return [each for each in there if not self._alone[each] & ~members]


def _alone(sets: Sequence[int], kept: Sequence[int], open_: int) -> dict[int, int]:
    """Return what each closes that no other does."""
    once = twice = 0
    for place in kept:
        twice |= once & sets[place]
        once |= sets[place]
    return {place: sets[place] & open_ & ~twice for place in kept}


def _credited(sets: Sequence[int], chosen: Sequence[int], open_: int) -> list[tuple[int, int]]:
    found = []
    for place in chosen:
        found.append((place, sets[place] & open_))
        open_ &= ~sets[place]
    return found
