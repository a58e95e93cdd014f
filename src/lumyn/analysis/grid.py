"""
Every request of one action as bits, one for each combination of cells: a whole policy is judged by a few operations.
Exact where it answers; must not know mutants, nor what a question is for.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import prod

from lumyn.analysis.cells import MISSING, Point, Space
from lumyn.analysis.dimension import MONEY, MONEY_FACTS, Atom, Dimension, Raw, atom_of, bits, listed, lowest
from lumyn.analysis.money import Money
from lumyn.analysis.rates import FX_OUT_OF_BOUNDS
from lumyn.analysis.table import Truths
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import FX_RATE_KEY, Condition, Policy

__all__ = ["Grid", "Slices"]

_READING = 0
"""The grid is of the one policy its space was made for."""


class Slices:
    """
    The cells of one space, joined as far as a policy and some edits of it cannot tell them apart.

    Where evidence that matters is unusable, or the rate is refused, the engine itself blocks, whatever rules say. So
    those cells are left out, except in the dimensions an edit is about.
    """

    def __init__(self, space: Space, policy: Policy) -> None:
        self.space = space
        self.policy = policy
        self.known = frozenset(
            atom_of(_READING, condition) for rule in policy.rules_for(space.action) for condition in rule.conditions
        )
        operands = [
            each for rule in policy.rules_for(space.action) for c in rule.conditions for each in listed(c.operand)
        ]
        self._named = frozenset(each for each in operands if isinstance(each, Decimal))
        self._keys = frozenset(policy.keys_for(space.action))
        self._required = frozenset(policy.required_evidence.get(space.action, ()))
        self._cells: dict[tuple[int, bool], tuple[int, ...]] = {}

    def place(self, fact: str) -> int:
        """Return the dimension that holds a fact."""
        return self.space.index[MONEY if fact in MONEY_FACTS else fact]

    def cells(self, place: int, *, fine: bool) -> tuple[int, ...]:
        """
        Return sets of cells of a dimension that nothing tells apart, the plainest first.

        Args:
            fine: Told apart by every condition of the space and by what is unusable, not by those of the policy only.
        """
        found = self._cells.get((place, fine))
        if found is None:
            found = self._cells[place, fine] = tuple(self._split(self.space.dimensions[place], fine=fine))
        return found

    def _split(self, dimension: Dimension, *, fine: bool) -> list[int]:
        key = FX_RATE_KEY if dimension.name == MONEY else dimension.name.removeprefix(EVIDENCE_PREFIX)
        evidence = dimension.name == MONEY or dimension.name.startswith(EVIDENCE_PREFIX)
        unusable = invalid_cells(dimension, key) if evidence else 0
        within = dimension.full & ~dimension.notes.get((_READING, FX_OUT_OF_BOUNDS), 0)
        if key in self._keys and not fine:
            within &= ~unusable
        tell: dict[int, None] = {}
        for atom in dimension.true:
            if fine or atom in self.known:
                tell[dimension.true[atom]] = None
                tell[dimension.unknown[atom]] = None
        if evidence and (fine or key in self._required):
            tell[dimension.states[_READING, key].get(MISSING, 0)] = None
        if fine:
            tell[unusable] = None
        parts = [within] if within else []
        for mask in tell:
            parts = [part for each in parts for part in (each & mask, each & ~mask) if part]
        return sorted(parts, key=lowest)

    def plainest(self, place: int, cells: int) -> int:
        """Return the cell that shows best what some cells stand for: a number the policy names, where there is one."""
        values = self.space.dimensions[place].values
        first = lowest(cells)
        if _number(values[first]) in (None, *self._named):
            return first
        alike = (cell for cell in bits(cells) if _kind(values[cell]) == _kind(values[first]))
        return next((cell for cell in alike if _number(values[cell]) in self._named), first)

    def size(self, fine: frozenset[int]) -> int:
        """Return how many combinations there are."""
        return prod(len(self.cells(place, fine=place in fine)) for place in range(len(self.space.dimensions)))


class Grid:
    """
    The combinations as columns of bits, in the form in which a `Sheet` reads requests.

    Attributes:
        full: All of them.
    """

    def __init__(self, slices: Slices, fine: frozenset[int] = frozenset()) -> None:
        space = slices.space
        self._slices = slices
        self.policy = slices.policy
        self._space = space
        self._cells = [slices.cells(place, fine=place in fine) for place in range(len(space.dimensions))]
        self._strides: list[int] = []
        size = 1
        for cells in self._cells:
            self._strides.append(size)
            size *= len(cells)
        self._size = size
        self.full = (1 << size) - 1
        self.acts = {space.action: self.full}
        self.out_of_bounds = 0
        self._columns: dict[Atom, Truths] = {}
        self._states: dict[tuple[str, bool], int] = {}

    def column(self, condition: Condition, policy: Policy) -> Truths:
        """Return how a condition comes out, whether or not its rule applies."""
        atom = atom_of(_READING, condition)
        found = self._columns.get(atom)
        if found is None:
            fact = condition.fact
            place = self._space.index[MONEY if fact in MONEY_FACTS else fact]
            dimension = self._space.dimensions[place]
            found = self._spread(place, dimension.true[atom]), self._spread(place, dimension.unknown[atom])
            self._columns[atom] = found
        return found

    def missing(self, key: str) -> int:
        """Return the combinations in which a key is missing."""
        return self._state(key, missing=True)

    def invalid(self, key: str) -> int:
        """Return the combinations in which a key is unusable."""
        return self._state(key, missing=False)

    def point(self, place: int) -> Point:
        """Return the plainest request of one combination."""
        found = {}
        parts = zip(self._space.dimensions, self._cells, self._strides, strict=True)
        for number, (dimension, cells, stride) in enumerate(parts):
            plainest = self._slices.plainest(number, cells[place // stride % len(cells)])
            found[dimension.name] = dimension.values[plainest]
        return found

    def _state(self, key: str, *, missing: bool) -> int:
        found = self._states.get((key, missing))
        if found is None:
            place = self._space.index[MONEY if key == FX_RATE_KEY else EVIDENCE_PREFIX + key]
            dimension = self._space.dimensions[place]
            mask = dimension.states[_READING, key].get(MISSING, 0) if missing else invalid_cells(dimension, key)
            found = self._states[key, missing] = self._spread(place, mask)
        return found

    def _spread(self, place: int, mask: int) -> int:
        """Return the combinations whose part in one dimension lies in some cells."""
        stride, cells = self._strides[place], self._cells[place]
        unit = (1 << stride) - 1
        made = 0
        for number, cell in enumerate(cells):
            if cell & mask:
                made |= unit << number * stride
        width = stride * len(cells)
        while made and width < self._size:
            made |= made << width
            width *= 2
        return made & self.full


def _number(value: Raw) -> Decimal | None:
    number = value.value if isinstance(value, Money) else value
    return number if isinstance(number, Decimal) else None


def _kind(value: Raw) -> object:
    return (value.currency, value.rate) if isinstance(value, Money) else type(value)


def invalid_cells(dimension: Dimension, key: str) -> int:
    """Return the cells in which a key is unusable."""
    return any_cell(mask for state, mask in dimension.states[_READING, key].items() if state != MISSING)


def any_cell(masks: Iterable[int]) -> int:
    """Return the cells in any of some sets."""
    found = 0
    for mask in masks:
        found |= mask
    return found
