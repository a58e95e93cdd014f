"""
A dimension: one attribute of a request, or the joint block of money, cut into cells that nothing tells apart.
Must not know which values are tried, nor what rules read the cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import compress
from typing import Final, NamedTuple, TypeAlias

from lumyn.analysis.money import Money
from lumyn.model import JsonValue
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import FX_RATE_KEY, Condition

__all__ = [
    "MISSING",
    "MONEY",
    "MONEY_FACTS",
    "RATE",
    "Atom",
    "Cells",
    "Dimension",
    "Point",
    "Raw",
    "State",
    "atom_of",
    "bits",
    "listed",
    "lowest",
    "truth_of",
    "truths_of",
]

MONEY: Final = "money"
MISSING: Final = "missing"
RATE: Final = EVIDENCE_PREFIX + FX_RATE_KEY
MONEY_FACTS: Final = ("amount_usd", "amount_currency", RATE)

Raw: TypeAlias = "JsonValue | Decimal | tuple[str, ...] | Money"
Point: TypeAlias = "Mapping[str, Raw]"
"""One value for each dimension, by name."""

Atom: TypeAlias = "tuple[int, str, str, type, object]"
"""A comparison: the reading, the fact, the operator, and the type and value of the constant."""

State: TypeAlias = "str | None"
"""What is wrong with an evidence key: `missing`, a reason code, or nothing."""


class Dimension(NamedTuple):
    """
    One attribute, or the joint block of money, cut into cells.

    Attributes:
        values: What stands for each cell, the plainest first where it matters.
        true: Atom -> cells in which the comparison holds.
        unknown: Atom -> cells in which it is unknown.
        states: `(reading, key)` -> state (`missing` or a reason code) -> cells in which the key is in that state.
        notes: Further named sets of cells, by `(reading, name)`.
    """

    name: str
    values: tuple[Raw, ...]
    true: Mapping[Atom, int]
    unknown: Mapping[Atom, int]
    states: Mapping[tuple[int, str], Mapping[str, int]]
    notes: Mapping[tuple[int, str], int]

    @property
    def full(self) -> int:
        """All of its cells."""
        return (1 << len(self.values)) - 1


def atom_of(reading: int, condition: Condition) -> Atom:
    """Return what tells two comparisons apart; True and 1 are equal in Python and never here."""
    operand = condition.operand
    return reading, condition.fact, condition.operator.name, type(operand), operand


class Cells:
    """Collects candidates; those that nothing tells apart fall into one cell."""

    def __init__(self, name: str, atoms: Iterable[Atom], places: Sequence[tuple[int, str]] = ()) -> None:
        """
        Args:
            atoms: The comparisons candidates are told apart by.
            places: Of which keys in which readings a state is given.
        """
        self._name = name
        self._atoms = (*atoms,)
        self._places = places
        self._known: set[tuple[object, ...]] = set()
        self._values: list[Raw] = []
        self._truths: list[tuple[bool | None, ...]] = []
        self._states: list[tuple[State, ...]] = []
        self._notes: dict[tuple[int, str], int] = {}

    def add(
        self,
        raw: Raw,
        truths: tuple[bool | None, ...],
        states: tuple[State, ...] = (),
        notes: tuple[tuple[int, str], ...] = (),
    ) -> None:
        """
        Add a candidate.

        Args:
            truths: How every comparison comes out for it.
            states: What is wrong with every key.
            notes: What else there is to say of it.
        """
        signature = truths, states, notes
        if signature in self._known:
            return
        self._known.add(signature)
        for note in notes:
            self._notes[note] = self._notes.get(note, 0) | 1 << len(self._values)
        self._values.append(raw)
        self._truths.append(truths)
        self._states.append(states)

    def dimension(self) -> Dimension:
        """Return what was collected."""
        bit = [1 << place for place in range(len(self._values))]
        true: dict[Atom, int] = {}
        unknown: dict[Atom, int] = {}
        for atom, column in zip(self._atoms, zip(*self._truths, strict=True), strict=True):
            true[atom] = sum(compress(bit, column))
            unknown[atom] = sum(compress(bit, [truth is None for truth in column])) if None in column else 0
        states: dict[tuple[int, str], dict[str, int]] = {}
        for place, given in zip(self._places, zip(*self._states, strict=True), strict=True):
            held = states[place] = {}
            for one, state in zip(bit, given, strict=True):
                if state is not None:
                    held[state] = held.get(state, 0) | one
        return Dimension(
            name=self._name,
            values=tuple(self._values),
            true=true,
            unknown=unknown,
            states=states,
            notes=self._notes,
        )


def listed(operand: object) -> tuple[object, ...]:
    """Return the members of a constant: its own, or itself."""
    return operand if isinstance(operand, tuple) else (operand,)


def truth_of(condition: Condition, value: object, *, seen: bool) -> bool | None:
    """Return whether a comparison holds for a value, None when that is unknown; `seen` is what `_present` asks."""
    if condition.operator.name == "present":
        return seen == condition.operand
    return None if value is None else condition.operator.holds(value, condition.operand)


def truths_of(condition: Condition, reads: Iterable[tuple[object, str | None]]) -> list[bool | None]:
    """Return how a comparison of an evidence key comes out for values of it, each with what is wrong with it."""
    if condition.operator.name == "present":
        return [(value is not None or code is not None) == condition.operand for value, code in reads]
    holds, operand = condition.operator.holds, condition.operand
    return [None if value is None else holds(value, operand) for value, _ in reads]


def bits(mask: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def lowest(mask: int) -> int:
    """Return the number of the lowest bit that is set."""
    return (mask & -mask).bit_length() - 1
