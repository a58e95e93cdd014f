"""
Boxes over cells, and the search for a point in one of them that lies in none of others.
Exact within a budget of work; must not know what a cell or a box stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["BUDGET", "EVERYWHERE", "Box", "BudgetExceededError", "Search", "meet"]

Box: TypeAlias = "tuple[tuple[int, int], ...]"
"""Dimension -> the cells allowed there, as bits; by dimension, ascending. A dimension left out is free."""

Corner: TypeAlias = "list[int]"
"""One mask a dimension: the part of the space under consideration."""

EVERYWHERE: Final[Box] = ()
Part: TypeAlias = "tuple[Corner, Sequence[Sequence[Box]], Sequence[Box]]"
"""A part of the space still to be looked at, with the boxes to lie in and those to avoid there."""

BUDGET: Final = 6_000_000
"""
Work one question may take: dimensions of boxes held against a part of the space. Some hundred times what the hardest
question about a policy of 1,000 rules takes, about a second; counted and not measured, so that answers are the same on
every machine.
"""
_STEP: Final = 16
"""What a step costs besides the boxes it looks at."""


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
        limit: The work one question may take.
        budget: What is left of it for the question at hand.
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
        found = self._search(corner, must, (*avoid,))
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

    def _search(self, corner: Corner, must: Sequence[Sequence[Box]], avoid: Sequence[Box]) -> Corner | None:
        """Look at parts of the space, depth first; how deep that goes is bounded by memory, not by Python's stack."""
        part: Part | None = corner, must, avoid
        pending: list[Iterator[Part]] = []
        while True:
            if part is None:
                if not pending:
                    return None
                part = next(pending[-1], None)
                if part is None:
                    pending.pop()
                continue
            corner = part[0]
            settled = self._settle(*part)
            part = None
            if settled is None:
                continue
            left, shun, shortest = settled
            if shortest is None:
                if not left:
                    return corner
                pending.append(_within(corner, left, shun))
            elif left and len(left[0]) < _open(corner, shortest):
                pending.append(_within(corner, left, shun))
            else:
                pending.append(_outside(corner, left, shun, shortest))

    def _settle(
        self, corner: Corner, must: Sequence[Sequence[Box]], avoid: Sequence[Box]
    ) -> tuple[list[list[Box]], list[Box], Box | None] | None:
        """Return what `_propagate` does, with what depends on other dimensions taken into account."""
        settled = _propagate(corner, must, avoid, self._spend)
        if settled is None or self.consistent is None:
            return settled
        self._spend(_STEP * len(corner))
        if not self.consistent(corner):
            return None
        left, shun, _ = settled
        return left, shun, min(shun, key=lambda box: _open(corner, box), default=None)

    def _spend(self, work: int) -> None:
        self.budget -= work
        if self.budget < 0:
            raise BudgetExceededError


def _within(corner: Corner, must: Sequence[Sequence[Box]], avoid: Sequence[Box]) -> Iterator[Part]:
    """Yield the parts of a corner that lie in one of the boxes of the first of `must`."""
    for box in must[0]:
        part = corner.copy()
        for dimension, mask in box:
            part[dimension] &= mask
        yield part, must[1:], avoid


def _outside(corner: Corner, must: Sequence[Sequence[Box]], avoid: Sequence[Box], box: Box) -> Iterator[Part]:
    """Yield the parts of a corner that lie outside a box, which overlap nowhere."""
    rest = [each for each in avoid if each is not box]
    inside = corner.copy()
    for dimension, mask in box:
        if not inside[dimension] & ~mask:
            continue
        part = inside.copy()
        part[dimension] &= ~mask
        yield part, must, rest
        inside[dimension] &= mask


def _propagate(
    corner: Corner, must: Sequence[Sequence[Box]], avoid: Sequence[Box], spend: Callable[[int], None]
) -> tuple[list[list[Box]], list[Box], Box | None] | None:
    """
    Narrow `corner` by all that follows at once.

    Args:
        spend: Told how much work every round is, before it is done.

    Returns:
        What is still open of `must`, the fewest first, and of `avoid`, and the first box of the latter that can be left
        in the fewest dimensions; None when nothing can be left.
    """
    while True:
        spend(_STEP + sum(map(len, avoid)) + sum(sum(map(len, boxes)) for boxes in must))
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
