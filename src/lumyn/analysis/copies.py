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

__all__ = ["Twins", "ascending", "cuts", "forfeited", "twins_of"]


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


def twins_of(
    view: View, dimension: str, pair: tuple[int, int], verdicts: tuple[Verdict, Verdict], *, withheld: bool = True
) -> Twins | None:
    """
    Return two requests that lie in two cells of one dimension, agree in all others, and get two given verdicts.

    Args:
        pair: The cells.
        withheld: Whether the first may be one whose `TRUST` is withheld for want of a fact.

    Raises:
        BudgetExceededError: Neither such requests nor a proof that there are none was found.
    """
    space = view.space
    place = space.index[dimension]
    for first in view.regions(verdicts[0]):
        if first.withheld and not withheld:
            continue
        for second in view.regions(verdicts[1]):
            there = _at(second, place, pair[1])
            here = _at(first, place, pair[0])
            if here is None or there is None:
                continue
            must = [boxes for region in (here, there) for boxes in region.must]
            start: Box = ((place, 1 << pair[0]),)
            corner = space.search.find(start, must=must, avoid=(*here.avoid, *there.avoid))
            if corner is not None:
                point = dict(space.point(corner))
                other = {**point, dimension: space.dimensions[place].values[pair[1]]}
                cases = case_at(space.action, point), case_at(space.action, other)
                return Twins(*cases, *verdicts)
    return None


def forfeited(view: View, dimension: str, absent: int, cell: int) -> tuple[Case, Case] | None:
    """
    Return two requests that agree but for one dimension: trusted in the cell `absent`, and not in another cell.

    Raises:
        BudgetExceededError: Neither such requests nor a proof that there are none was found.
    """
    space = view.space
    place = space.index[dimension]
    here = _at(view.trusting(), place, absent)
    if here is None:
        return None
    twins = _Apart(space, place, (absent, cell))
    telling = [box for box in (*view.engine, *view.guards) if twins.counts(box) or not _holds_at(box, place, absent)]
    guarded = twins.second(_boxes_at(telling, place, cell))
    corner = None
    if guarded:
        corner = twins.find(must=[*here.must, guarded], avoid=here.avoid)
    if corner is None:
        trusted = twins.second(_boxes_at(view.firing(Verdict.TRUST), place, cell))
        if set(here.must[0]) - set(trusted):
            corner = twins.find(must=here.must, avoid=(*here.avoid, *trusted))
    if corner is None:
        return None
    point = twins.point(corner)
    other = {**point, dimension: space.dimensions[place].values[cell]}
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

    def counts(self, box: Box) -> bool:
        """Return whether a box is about what is counted."""
        return any(dimension >= self._free for dimension, _ in box)

    def second(self, boxes: Iterable[Box]) -> tuple[Box, ...]:
        """Return boxes of a space as they are about the second request."""
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


def _holds_at(box: Box, place: int, cell: int) -> bool:
    return all(dimension != place or mask >> cell & 1 for dimension, mask in box)


def _at(region: Region, place: int, cell: int) -> Region | None:
    """Return a region as it is in one cell of a dimension, that dimension left out; None when it is empty there."""
    must = [_boxes_at(boxes, place, cell) for boxes in region.must]
    if not all(must):
        return None
    return Region(tuple(must), _boxes_at(region.avoid, place, cell))


def _boxes_at(boxes: Sequence[Box], place: int, cell: int) -> tuple[Box, ...]:
    found: dict[Box, None] = {}
    for box in boxes:
        mask = next((mask for dimension, mask in box if dimension == place), None)
        if mask is None:
            found[box] = None
        elif mask >> cell & 1:
            found[tuple(entry for entry in box if entry[0] != place)] = None
    return tuple(found)


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
    kinds: dict[tuple[object, ...], list[tuple[Decimal, int]]] = {}
    for cell, money in enumerate(dimension.values):
        if not isinstance(money, Money) or money.value is None:
            continue
        rate = money.rate if money.currency != "USD" and isinstance(money.rate, Decimal) else Decimal(1)
        said = (
            *(mask >> cell & 1 for atom, mask in dimension.true.items() if atom[1] != "amount_usd"),
            *(mask >> cell & 1 for atom, mask in dimension.unknown.items() if atom[1] != "amount_usd"),
            *(mask >> cell & 1 for states in dimension.states.values() for mask in states.values()),
            *(mask >> cell & 1 for mask in dimension.notes.values()),
        )
        kinds.setdefault(said, []).append((money.value * rate, cell))
    return [[cell for _, cell in sorted(numbers)] for numbers in kinds.values()]
