"""
Boxes over cells, and the search for a point in one of them that lies in none of others.
Exact within a budget of steps; must not know what a cell or a box stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["BUDGET", "EVERYWHERE", "Box", "BudgetExceededError", "Search", "meet"]

Box: TypeAlias = "tuple[tuple[int, int], ...]"
"""Dimension -> the cells allowed there, as bits; by dimension, ascending. A dimension left out is free."""

Corner: TypeAlias = "list[int]"
"""One mask a dimension: the part of the space under consideration."""

EVERYWHERE: Final[Box] = ()
BUDGET: Final = 20_000
"""Steps one question may take; far above what any policy written by people needs."""


class BudgetExceededError(Exception):
    """A question was given up: its answer is unknown, which must never read as a proof."""


def meet(*boxes: Box) -> Box | None:
    """Return the box that lies in all of them, or None when it is empty."""
    merged: dict[int, int] = {}
    for box in boxes:
        for dimension, mask in box:
            held = merged.get(dimension, mask) & mask
            if not held:
                return None
            merged[dimension] = held
    return tuple(sorted(merged.items()))


@dataclass(slots=True)
class Search:
    """
    Questions about one space.

    Attributes:
        full: The mask of all cells, a dimension each.
        consistent: Told a part of the space, returns whether it holds a real point and may narrow it in place; for
            dimensions that others determine. None when all of them are free.
        budget: Steps left for the question at hand.
    """

    full: tuple[int, ...]
    consistent: Callable[[Corner], bool] | None = None
    limit: int = BUDGET
    budget: int = BUDGET

    def find(
        self, start: Box, *, must: Sequence[Sequence[Box]] = (), avoid: Iterable[Box] = ()
    ) -> tuple[int, ...] | None:
        """
        Return a part of `start` that lies in a box of each of `must` and in none of `avoid`; None when there is none.

        Returns:
            One mask a dimension; every point of it will do.

        Raises:
            BudgetExceededError: The question is too hard.
        """
        corner = list(self.full)
        for dimension, mask in start:
            corner[dimension] &= mask
            if not corner[dimension]:
                return None
        self.budget = self.limit
        found = self._search(corner, must, avoid)
        return None if found is None else tuple(found)

    def covered(self, box: Box, others: Sequence[Box]) -> bool:
        """
        Return whether every real point of a box lies in one of some others.

        Raises:
            BudgetExceededError: The question is too hard.
        """
        if self.consistent is None and len(others) == 1:  # each point is real, and one box has to hold them all
            held = dict(box)
            outside = any(held.get(dimension, self.full[dimension]) & ~mask for dimension, mask in others[0])
            return not (outside and all(held.values()))
        return self.find(box, avoid=others) is None

    def _search(self, corner: Corner, must: Sequence[Sequence[Box]], avoid: Iterable[Box]) -> Corner | None:
        self.budget -= 1
        if self.budget < 0:
            raise BudgetExceededError
        settled = _propagate(corner, must, avoid)
        if settled is None:
            return None
        left, shun, shortest = settled
        if self.consistent is not None:
            if not self.consistent(corner):
                return None
            shortest = min(shun, key=lambda box: _open(corner, box), default=None)
        if shortest is None:
            return self._within(corner, left, shun) if left else corner
        if left and len(left[0]) < _open(corner, shortest):
            return self._within(corner, left, shun)
        return self._outside(corner, left, shun, shortest)

    def _within(self, corner: Corner, must: Sequence[Sequence[Box]], avoid: list[Box]) -> Corner | None:
        for box in must[0]:
            part = corner.copy()
            for dimension, mask in box:
                part[dimension] &= mask
            found = self._search(part, must[1:], avoid)
            if found is not None:
                return found
        return None

    def _outside(self, corner: Corner, must: Sequence[Sequence[Box]], avoid: list[Box], box: Box) -> Corner | None:
        rest = [each for each in avoid if each is not box]
        inside = corner.copy()
        for dimension, mask in box:
            if not inside[dimension] & ~mask:
                continue
            part = inside.copy()
            part[dimension] &= ~mask
            found = self._search(part, must, rest)
            if found is not None:
                return found
            inside[dimension] &= mask
        return None


def _propagate(
    corner: Corner, must: Sequence[Sequence[Box]], avoid: Iterable[Box]
) -> tuple[list[list[Box]], list[Box], Box | None] | None:
    """
    Narrow `corner` by all that follows at once.

    Returns:
        What is still open of `must`, the fewest first, and of `avoid`, and the first box of the latter that can be left
        in the fewest dimensions; None when nothing can be left.
    """
    while True:
        shun: list[Box] = []
        shortest: Box | None = None
        least = 0
        narrowed = False
        for box in avoid:
            outs = way = out = 0
            for dimension, mask in box:
                held = corner[dimension]
                both = held & mask
                if not both:
                    break
                if both != held:
                    outs += 1
                    way, out = dimension, held ^ both
            else:
                if outs > 1:
                    shun.append(box)
                    if outs < least or not least:
                        shortest, least = box, outs
                elif outs:
                    corner[way] = out
                    narrowed = True
                else:
                    return None
        left: list[list[Box]] = []
        for boxes in must:
            possible = _possible(corner, boxes)
            if possible is None:
                continue
            if not possible:
                return None
            if len(possible) == 1:
                for dimension, mask in possible[0]:
                    corner[dimension] &= mask
                narrowed = True
            else:
                left.append(possible)
        if not narrowed:
            left.sort(key=len)
            return left, shun, shortest
        must, avoid = left, shun


def _possible(corner: Corner, boxes: Sequence[Box]) -> list[Box] | None:
    """Return the boxes that some of `corner` lies in, or None: all of it lies in one."""
    possible: list[Box] = []
    for box in boxes:
        whole = True
        for dimension, mask in box:
            held = corner[dimension]
            both = held & mask
            if not both:
                break
            if both != held:
                whole = False
        else:
            if whole:
                return None
            possible.append(box)
    return possible


def _open(corner: Corner, box: Box) -> int:
    """Return in how many dimensions `corner` sticks out of a box."""
    return sum(1 for dimension, mask in box if corner[dimension] & ~mask)
