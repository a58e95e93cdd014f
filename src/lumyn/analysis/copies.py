"""
Two requests that differ in one attribute only, and what the policy says of each: growth and absence compared exactly.
Must not know why they are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from lumyn.analysis.boxes import Box
from lumyn.analysis.cells import MONEY, Space
from lumyn.analysis.dimension import MONEY_FACTS, Dimension
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
    view: View,
    dimension: str,
    pair: tuple[int, int],
    verdicts: tuple[Verdict, Verdict],
    *,
    inside: Sequence[Box],
    withheld: bool = True,
) -> Twins | None:
    """
    Return two requests that lie in two cells of one dimension, agree in all others, and get two given verdicts.

    Args:
        pair: The cells.
        inside: Boxes that do not mention the dimension; the requests lie in one of them.
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
            there = _kept(view, second, place, pair[1])
            here = _kept(view, first, place, pair[0])
            if here is None or there is None:
                continue
            must = [inside, *(boxes for region in (here, there) for boxes in region.must)]
            start: Box = ((place, 1 << pair[0]),)
            corner = space.search.find(start, must=must, avoid=dict.fromkeys((*here.avoid, *there.avoid)))
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
    start: Box = ((place, 1 << absent),)
    telling = [box for box in (*view.engine, *view.guards) if not _holds_at(box, place, absent)]
    guarded = _boxes_at(telling, place, cell)
    corner = None
    if guarded:
        corner = space.search.find(start, must=[*here.must, guarded], avoid=here.avoid)
    if corner is None:
        trusted = _boxes_at(view.firing(Verdict.TRUST), place, cell)
        if set(here.must[0]) - set(trusted):
            corner = space.search.find(start, must=here.must, avoid=(*here.avoid, *trusted))
    if corner is None:
        return None
    point = space.point(corner)
    other = {**point, dimension: space.dimensions[place].values[cell]}
    return case_at(space.action, point), case_at(space.action, other)


def _holds_at(box: Box, place: int, cell: int) -> bool:
    return all(dimension != place or mask >> cell & 1 for dimension, mask in box)


def _kept(view: View, region: Region, place: int, cell: int) -> Region | None:
    """Return what `_at` does, of a region that the view keeps: neighbouring cells ask for the same."""
    key = (id(region), place, cell)
    if key not in view.slices:
        view.slices[key] = _at(region, place, cell)
    return view.slices[key]


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
