"""
The exact quotient of what a request can hold: each attribute's domain split into cells that no condition tells apart.
Reads values with the engine's own functions, so a cell means what the engine sees; must not know rules or verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import TypeAlias

from lumyn.analysis.boxes import BUDGET, Corner, Search
from lumyn.analysis.candidates import SpaceTooLargeError, evidence_candidates, plain_candidates
from lumyn.analysis.counting import Counted, Counter
from lumyn.analysis.dimension import (
    MISSING,
    MONEY,
    MONEY_FACTS,
    Atom,
    Cells,
    Dimension,
    Point,
    atom_of,
    bits,
    lowest,
    truth_of,
    truths_of,
)
from lumyn.analysis.money_block import MoneyBlock
from lumyn.analysis.rates import RateBook
from lumyn.engine.normalize import read_evidence, spec_for
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import FX_RATE_KEY, Condition, EvidenceSpec, Policy

__all__ = ["MISSING", "MONEY", "Point", "Space", "SpaceTooLargeError", "reads_alike"]

Counts: TypeAlias = "tuple[tuple[int, int], ...]"
"""How many keys are unusable and how many matter, for each uncertainty that is told apart."""


class Space:
    """
    Every request of one action, as far as some policies can tell requests apart.

    Attributes:
        action: The action type.
        complete: False when a combination of amount and rate could be neither reached nor ruled out; then nothing that
            is absent from the space may be called impossible.
    """

    def __init__(
        self,
        action: str,
        policies: Sequence[Policy],
        *,
        extra: Iterable[Condition] = (),
        limit: int = BUDGET,
        book: RateBook | None = None,
    ) -> None:
        """
        Args:
            extra: Conditions to tell apart besides those of the policies; read as the first policy declares.
            book: The rates that other spaces of these policies looked at.
        """
        self.action = action
        self._book = RateBook() if book is None else book
        self.complete = True
        self._policies: list[Policy] = []
        self._conditions: dict[str, dict[Atom, Condition]] = {}
        self._keys: dict[str, None] = {}
        self.counters: dict[Counter, int] = {}
        self._ratios: dict[Atom, Condition] = {}
        for policy in policies:
            reading = self.reading(policy, add=True)
            self._keys.update(dict.fromkeys(policy.keys_for(action)))
            for rule in policy.rules_for(action):
                for condition in rule.conditions:
                    self._note(reading, condition)
        for condition in extra:
            self._note(0, condition)
        self.dimensions: tuple[Dimension, ...] = tuple(self._build())
        self.index = {dimension.name: place for place, dimension in enumerate(self.dimensions)}
        self._counted: list[Counted] = []
        if self._ratios:
            for policy in policies:
                self._count(policy)
        full = [dimension.full for dimension in self.dimensions] + [counted.full for counted in self._counted]
        self.search = Search(
            full=tuple(full), consistent=self._consistent if self._counted else None, limit=limit, budget=limit
        )

    # Which conditions and keys there are

    def reading(self, policy: Policy, *, add: bool = False) -> int:
        """Return the number of the way a policy reads values: its declarations."""
        for place, known in enumerate(self._policies):
            if known is policy or reads_alike(known, policy):
                return place
        if not add:
            raise ValueError("a space answers for the policies it was made for")
        self._policies.append(policy)
        return len(self._policies) - 1

    def _note(self, reading: int, condition: Condition) -> None:
        atom = atom_of(reading, condition)
        if condition.fact == "risk.uncertainty":
            self._ratios[atom] = condition
            return
        key = condition.evidence_key
        if key is not None:
            self._keys[key] = None
        name = MONEY if condition.fact in MONEY_FACTS else condition.fact
        self._conditions.setdefault(name, {})[atom] = condition

    # Masks

    def masks(self, reading: int, condition: Condition, counter: Counter) -> tuple[int, int, int]:
        """Return the dimension a condition looks at, the cells in which it holds, and those in which it is unknown."""
        atom = atom_of(reading, condition)
        if condition.fact == "risk.uncertainty":
            place = self.counters[counter]
            return len(self.dimensions) + place, self._counted[place].holds(condition), 0
        place = self.index[MONEY if condition.fact in MONEY_FACTS else condition.fact]
        dimension = self.dimensions[place]
        return place, dimension.true[atom], dimension.unknown[atom]

    def state(self, reading: int, key: str, state: str) -> tuple[int, int]:
        """Return the dimension of a key and the cells in which it is `missing`, or unusable with a reason code."""
        place = self.index[MONEY if key == FX_RATE_KEY else EVIDENCE_PREFIX + key]
        return place, self.dimensions[place].states[reading, key].get(state, 0)

    def note(self, reading: int, name: str) -> tuple[int, int]:
        """Return the cells of money in a situation: `fx_out_of_bounds`, or `ask:<field>` where dollars are unknown."""
        place = self.index.get(MONEY)
        return (0, 0) if place is None else (place, self.dimensions[place].notes.get((reading, name), 0))

    def counter(self, policy: Policy) -> Counter:
        """Return what a policy counts for its uncertainty."""
        required = FX_RATE_KEY in policy.required_evidence.get(self.action, ())
        return Counter(self.reading(policy), policy.keys_for(self.action), required)

    # Building

    def _build(self) -> Iterator[Dimension]:
        bounded = any(policy.fx_bounds is not None for policy in self._policies)
        if MONEY in self._conditions or FX_RATE_KEY in self._keys or bounded:
            yield self._money()
        for key in self._keys:
            if key != FX_RATE_KEY:
                yield self._evidence(key)
        for name, atoms in self._conditions.items():
            if name != MONEY and not name.startswith(EVIDENCE_PREFIX):
                yield self._plain(name, atoms)

    def _evidence(self, key: str) -> Dimension:
        name = EVIDENCE_PREFIX + key
        atoms = self._conditions.get(name, {})
        specs = [spec_for(policy, key) for policy in self._policies]
        raws = [*evidence_candidates(specs, atoms.values())]
        reads = [[read_evidence(raw, spec) for raw in raws] for spec in specs]
        rows = _rows([truths_of(condition, reads[atom[0]]) for atom, condition in atoms.items()])
        states = ([code or (MISSING if value is None else None) for value, code in read] for read in reads)
        cells = Cells(name, atoms, [(place, key) for place in range(len(specs))])
        for raw, row, wrong in zip(raws, rows, zip(*states, strict=True), strict=False):
            cells.add(raw, row, wrong)
        return cells.dimension()

    def _plain(self, name: str, atoms: Mapping[Atom, Condition]) -> Dimension:
        cells = Cells(name, atoms)
        for raw in plain_candidates(name, atoms.values()):
            cells.add(raw, tuple(truth_of(condition, raw, seen=True) for condition in atoms.values()))
        return cells.dimension()

    def _money(self) -> Dimension:
        atoms = self._conditions.get(MONEY, {})
        block = MoneyBlock(self._policies, atoms, self._book)
        dimension = block.dimension()
        self.complete = self.complete and block.complete
        return dimension

    # Uncertainty, which other dimensions determine

    def _count(self, policy: Policy) -> None:
        counter = self.counter(policy)
        if counter not in self.counters:
            self.counters[counter] = len(self._counted)
            atoms = {atom: condition for atom, condition in self._ratios.items() if atom[0] == counter.reading}
            self._counted.append(Counted(counter, atoms))

    def _consistent(self, corner: Corner) -> bool:
        """Narrow the counted dimensions to what the others allow, and return whether anything is left."""
        reachable = self._reachable(corner)
        first = len(self.dimensions)
        for place in range(len(self._counted)):
            mask = 0
            for classes in reachable:
                mask |= 1 << classes[place]
            corner[first + place] &= mask
        return any(
            all(corner[first + place] >> cell & 1 for place, cell in enumerate(classes)) for classes in reachable
        )

    def _reachable(self, corner: Sequence[int]) -> set[tuple[int, ...]]:
        return {self._classes(total) for total in self._totals(corner)}

    def _totals(self, corner: Sequence[int], *, but: int | None = None) -> set[Counts]:
        """Return what the dimensions can count together, one of them left out."""
        totals: set[Counts] = {tuple((0, 0) for _ in self._counted)}
        for place, dimension in enumerate(self.dimensions):
            if place != but:
                parts = {self._part(dimension, cell) for cell in bits(corner[place])}
                totals = {_sum(total, part) for total in totals for part in parts}
        return totals

    def _part(self, dimension: Dimension, cell: int) -> Counts:
        return tuple(counted.part(dimension, cell) for counted in self._counted)

    def _classes(self, total: Counts) -> tuple[int, ...]:
        return tuple(counted.class_of(pair) for counted, pair in zip(self._counted, total, strict=True))

    def counts_of_two(self, corner: Sequence[int], place: int, cells: tuple[int, int]) -> set[tuple[int, ...]]:
        """
        Return the counted classes of two requests that lie in a part of the space and differ in one dimension.

        Args:
            cells: Where each of the two lies in the dimension that tells them apart.

        Returns:
            The classes of the first, then those of the second.
        """
        parts = [self._part(self.dimensions[place], cell) for cell in cells]
        return {
            tuple(each for part in parts for each in self._classes(_sum(total, part)))
            for total in self._totals(corner, but=place)
        }

    # Points

    def point(self, corner: Sequence[int]) -> Point:
        """Return the plainest request in a part of the space that `Search.find` returned."""
        chosen = list(corner)
        if self._counted:
            for place in range(len(self.dimensions)):
                for cell in bits(chosen[place]):
                    trial = chosen.copy()
                    trial[place] = 1 << cell
                    if self._consistent(trial):
                        chosen[place] = 1 << cell
                        break
        return {
            dimension.name: dimension.values[lowest(chosen[place])] for place, dimension in enumerate(self.dimensions)
        }


def _rows(columns: list[list[bool | None]]) -> Iterator[tuple[bool | None, ...]]:
    """Return columns as rows; of no columns any number of empty ones."""
    return zip(*columns, strict=True) if columns else repeat(())


def _sum(one: Counts, other: Counts) -> Counts:
    return tuple((bad + more, all_ + added) for (bad, all_), (more, added) in zip(one, other, strict=True))


def reads_alike(one: Policy, other: Policy) -> bool:
    """Return whether two policies make the same of every value; where they declare it does not matter."""
    if one.evidence is other.evidence and one.fx_bounds is other.fx_bounds:
        return True
    return one.fx_bounds == other.fx_bounds and _declared(one) == _declared(other)


def _declared(policy: Policy) -> Mapping[str, EvidenceSpec]:
    return {key: replace(spec, span=None, step=None, declared=True) for key, spec in policy.evidence.items()}
