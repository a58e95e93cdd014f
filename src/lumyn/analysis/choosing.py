"""
Chooses few of many things that together close what is open: the most valuable first, none that the rest makes idle.
Sets are bits of one number; must not know what is open, nor what closes it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

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
    kept = list(chosen)
    for place in reversed(chosen):
        rest = 0
        for other in kept:
            rest |= 0 if other == place else sets[other]
        if not sets[place] & open_ & ~rest:
            kept.remove(place)
    return kept


def _exchanged(
    sets: Sequence[int], tiers: Sequence[int], chosen: Sequence[int], open_: int, *, enough: int = 0
) -> list[int]:
    """Return those chosen with one in the place of several, wherever one that is no dearer closes all they do."""
    kept = list(chosen)
    place = 0
    while place < len(sets) and len(kept) > enough:
        alone = _alone(sets, kept, open_)
        idle = [each for each in kept if not alone[each] & ~sets[place] and tiers[place] <= tiers[each]]
        if place not in kept and len(idle) > 1:
            rest = _needed(sets, [place, *(each for each in kept if each not in idle), *reversed(idle)], open_)
            if len(rest) < len(kept):
                kept = [*(each for each in kept if each in rest), place] if place in rest else rest
                place = 0
                continue
        place += 1
    return kept


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
