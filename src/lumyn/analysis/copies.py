"""
Two requests that differ in one attribute only, and what the policy says of each: growth and absence compared exactly.
Must not know why they are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from lumyn.analysis.boxes import Box, Search
from lumyn.analysis.cells import MONEY, Point, Space
from lumyn.analysis.dimension import MONEY_FACTS, Dimension, bits
from lumyn.analysis.money import Money
from lumyn.analysis.regions import Region, View
from lumyn.analysis.witness import Case, case_at
from lumyn.engine.normalize import read_evidence, spec_for
from lumyn.model import Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX, OPERATORS
from lumyn.policy.spec import Condition, Policy

__all__ = ["Sections", "Trusted", "Twins", "apart", "ascending", "cuts", "twins_of"]


@dataclass(frozen=True, slots=True)
class Twins:
    """Two requests, and the verdicts the model expects of them."""

    first: Case
    second: Case
    before: Verdict
    after: Verdict


def cuts(policy: Policy, fact: str) -> Iterator[Condition]:
    """Yield comparisons that make every cell of a number a stretch without holes, so that cells have an order."""
    for rule in policy.rules:
        for condition in rule.conditions:
            if condition.fact != fact or condition.operator.name == "present":
                continue
            operand = condition.operand
            for constant in operand if isinstance(operand, tuple) else (operand,):
                if isinstance(constant, Decimal):
                    for name in ("gte", "lte"):
                        yield replace(condition, operator=OPERATORS[name], operand=constant, threshold=None)


class Sections:
    """The regions of a view as they are in single cells of one dimension, that dimension left out."""

    def __init__(self, view: View, dimension: str) -> None:
        self.view = view
        self.dimension = dimension
        self.place = view.space.index[dimension]
        self._told: dict[int, tuple[Sequence[Box], list[tuple[int, Box]]]] = {}
        self._cut: dict[tuple[int, int], tuple[Box, ...]] = {}

    def at(self, region: Region, cell: int) -> Region | None:
        """Return a region of the view as it is in a cell, or None when it is empty there."""
        must = [self.boxes(boxes, cell) for boxes in region.must]
        return Region(tuple(must), self.boxes(region.avoid, cell)) if all(must) else None

    def boxes(self, boxes: Sequence[Box], cell: int) -> tuple[Box, ...]:
        """Return boxes as they are in a cell, without those that are not there."""
        found = self._cut.get((id(boxes), cell))
        if found is None:
            there = (box for mask, box in self._split(boxes) if mask >> cell & 1)
            found = self._cut[id(boxes), cell] = (*dict.fromkeys(there),)
        return found

    def _split(self, boxes: Sequence[Box]) -> list[tuple[int, Box]]:
        """Return the cells boxes hold in the dimension, and what is left of each without it."""
        found = self._told.get(id(boxes))
        if found is None:
            split = [apart(box, self.place) for box in boxes]
            found = self._told[id(boxes)] = boxes, split  # which keeps the boxes, and so their id
        return found[1]


def apart(box: Box, place: int) -> tuple[int, Box]:
    """Return the cells a box holds in a dimension, -1 for all of them, and what is left of it without that."""
    for number, (dimension, mask) in enumerate(box):
        if dimension == place:
            return mask, box[:number] + box[number + 1 :]
    return -1, box


def twins_of(
    sections: Sections,
    pair: tuple[int, int],
    verdicts: tuple[Verdict, Verdict],
    *,
    withheld: bool = True,
    causes: Sequence[Box] | None = None,
) -> Twins | None:
    """
    Return two requests that lie in two cells of one dimension, agree in all others, and get two given verdicts.

    Args:
        pair: The cells.
        withheld: Whether the first may be one whose `TRUST` is withheld for want of a fact.
        causes: Boxes in the other dimensions, in one of which all such requests lie; None: they may lie anywhere.

    Raises:
        BudgetExceededError: Neither such requests nor a proof that there are none was found.
    """
    view, space, place = sections.view, sections.view.space, sections.place
    for first in view.regions(verdicts[0]):
        here = None if first.withheld and not withheld else sections.at(first, pair[0])
        if here is None:
            continue
        for second in view.regions(verdicts[1]):
            there = sections.at(second, pair[1])
            if there is None:
                continue
            start: Box = ((place, 1 << pair[0]),)
            must = (*here.must, *there.must)
            avoid = (*dict.fromkeys((*here.avoid, *there.avoid)),)
            # That there are none is far sooner proved where they could be; what is shown does not depend on it.
            if causes is not None and space.search.find(start, must=(causes, *must), avoid=avoid) is None:
                continue
            corner = space.search.find(start, must=must, avoid=avoid)
            if corner is not None:
                point = dict(space.point(corner))
                other = {**point, sections.dimension: space.dimensions[place].values[pair[1]]}
                cases = case_at(space.action, point), case_at(space.action, other)
                return Twins(*cases, *verdicts)
    return None


class Trusted:
    """Requests that are trusted in one cell of a dimension, such as that of an absent key, and what forfeits it."""

    def __init__(self, view: View, dimension: str, cell: int) -> None:
        self._view = view
        self._cell = cell
        self._sections = Sections(view, dimension)
        self._here = self._sections.at(view.trusting(), cell)
        place, free = self._sections.place, len(view.space.dimensions)
        self._telling = [
            box
            for box in (*view.engine, *view.guards)
            if any(dimension >= free for dimension, _ in box) or not apart(box, place)[0] >> cell & 1
        ]
        self._trusting = view.trusting().must[0]

    def forfeited(self, cell: int) -> tuple[Case, Case] | None:
        """
        Return two requests that agree but for the dimension: trusted in the one cell, and not in another.

        Raises:
            BudgetExceededError: Neither such requests nor a proof that there are none was found.
        """
        here, sections, space = self._here, self._sections, self._view.space
        if here is None:
            return None
        twins = _Apart(space, sections.place, (self._cell, cell))
        guarded = twins.second(sections.boxes(self._telling, cell))
        corner = None
        if guarded:
            corner = twins.find(must=[*here.must, guarded], avoid=here.avoid)
        if corner is None:
            trusted = twins.second(sections.boxes(self._trusting, cell))
            if set(here.must[0]) - set(trusted):
                corner = twins.find(must=here.must, avoid=(*here.avoid, *trusted))
        if corner is None:
            return None
        point = twins.point(corner)
        other = {**point, sections.dimension: space.dimensions[sections.place].values[cell]}
        return case_at(space.action, point), case_at(space.action, other)


class _Apart:
    """
    Two requests that lie in two cells of one dimension and agree in all others.

    What is counted over all dimensions, such as the uncertainty, is not the same for both: it stands twice in a corner,
    for the first and then for the second.
    """

    def __init__(self, space: Space, place: int, cells: tuple[int, int]) -> None:
        self._space = space
        self._place = place
        self._cells = cells
        self._free = len(space.dimensions)
        full = space.search.full
        self._counted = len(full) - self._free
        self._search = Search(
            full=(*full, *full[self._free :]),
            consistent=self._consistent if self._counted else None,
            limit=space.search.limit,
        )

    def second(self, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
        """Return boxes of a space as they are about the second request."""
        if not self._counted:
            return boxes
        return tuple(
            tuple((dimension + (self._counted if dimension >= self._free else 0), mask) for dimension, mask in box)
            for box in boxes
        )

    def find(self, *, must: Sequence[Sequence[Box]], avoid: Iterable[Box]) -> tuple[int, ...] | None:
        """Return where both requests can lie, or None; what is about neither cell has been left out of the boxes."""
        return self._search.find(((self._place, 1 << self._cells[0]),), must=must, avoid=avoid)

    def point(self, corner: Sequence[int]) -> Point:
        """Return the plainest first request of a part that `find` returned."""
        chosen = list(corner)
        for place in range(self._free if self._counted else 0):
            for cell in bits(chosen[place]):
                trial = chosen.copy()
                trial[place] = 1 << cell
                if self._consistent(trial):
                    chosen[place] = 1 << cell
                    break
        return self._space.point([*chosen[: self._free], *self._space.search.full[self._free :]])

    def _consistent(self, corner: list[int]) -> bool:
        both = self._space.counts_of_two(corner, self._place, self._cells)
        for place in range(2 * self._counted):
            mask = 0
            for classes in both:
                mask |= 1 << classes[place]
            corner[self._free + place] &= mask
        return any(all(corner[self._free + place] >> each & 1 for place, each in enumerate(c)) for c in both)


def ascending(space: Space, policy: Policy, fact: str) -> tuple[str, list[list[int]]]:
    """Return the dimension of a number and its cells in ascending order, a list for each kind of the rest of money."""
    if fact in MONEY_FACTS:
        return MONEY, _dollars(space.dimensions[space.index[MONEY]]) if MONEY in space.index else []
    if fact not in space.index:
        return fact, []
    dimension = space.dimensions[space.index[fact]]
    numbers: list[tuple[Decimal, int]] = []
    spec = spec_for(policy, fact.removeprefix(EVIDENCE_PREFIX)) if fact.startswith(EVIDENCE_PREFIX) else None
    for cell, raw in enumerate(dimension.values):
        value = read_evidence(raw, spec)[0] if fact.startswith(EVIDENCE_PREFIX) else raw
        if isinstance(value, Decimal):
            numbers.append((value, cell))
    return fact, [[cell for _, cell in sorted(numbers)]]


def _dollars(dimension: Dimension) -> list[list[int]]:
    """Return cells that differ in dollars only, ascending; one list for each way to name an amount."""
    told = [
        *(mask for atom, mask in dimension.true.items() if atom[1] != "amount_usd"),
        *(mask for atom, mask in dimension.unknown.items() if atom[1] != "amount_usd"),
        *(mask for states in dimension.states.values() for mask in states.values()),
        *dimension.notes.values(),
    ]
    kinds: dict[tuple[int, ...], list[tuple[Decimal, int]]] = {}
    for cell, money in enumerate(dimension.values):
        if not isinstance(money, Money) or money.value is None:
            continue
        rate = money.rate if money.currency != "USD" and isinstance(money.rate, Decimal) else Decimal(1)
        said = tuple([mask >> cell & 1 for mask in told])
        kinds.setdefault(said, []).append((money.value * rate, cell))
    return [[cell for _, cell in sorted(numbers)] for numbers in kinds.values()]
