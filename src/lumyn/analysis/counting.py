"""
Uncertainty as a dimension that the others determine: how many of the keys that matter are missing or unusable.
Exact for every combination of cells; must not know rules or verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lumyn.analysis.dimension import MISSING, MONEY, Atom, Dimension, atom_of, truth_of
from lumyn.analysis.money_block import CONVERTS
from lumyn.engine.normalize import ratio
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import FX_RATE_KEY, Condition

__all__ = ["Counted", "Counter"]


class Counter(NamedTuple):
    """What a policy counts for its uncertainty: the keys that matter to the action; the rate always, or when used."""

    reading: int
    keys: tuple[str, ...]
    rate_required: bool


class Counted:
    """One policy's uncertainty: the classes of (unusable, all) counts that no condition tells apart."""

    def __init__(self, counter: Counter, atoms: Mapping[Atom, Condition]) -> None:
        self._counter = counter
        self._atoms = atoms
        self._keys = {(MONEY if key == FX_RATE_KEY else EVIDENCE_PREFIX + key): key for key in counter.keys}
        self._classes: dict[tuple[int, int], int] = {}
        self._masks: dict[Atom, int] = dict.fromkeys(atoms, 0)
        known: dict[tuple[bool | None, ...], int] = {}
        most = len(counter.keys)
        for whole in range(max(most - 1, 0), most + 1):
            for bad in range(whole + 1):
                truths = tuple(truth_of(each, ratio(bad, whole), seen=True) for each in atoms.values())
                cell = known.setdefault(truths, len(known))
                self._classes[bad, whole] = cell
                for atom, truth in zip(atoms, truths, strict=True):
                    self._masks[atom] |= (1 << cell) if truth else 0
        self.full = (1 << len(known)) - 1

    def holds(self, condition: Condition) -> int:
        """Return the classes in which a comparison of the uncertainty holds."""
        return self._masks[atom_of(self._counter.reading, condition)]

    def class_of(self, pair: tuple[int, int]) -> int:
        """Return the class of a count of unusable keys and of all keys that matter."""
        return self._classes[pair]

    def part(self, dimension: Dimension, cell: int) -> tuple[int, int]:
        """Return what one cell adds to the counts of unusable and of all keys that matter."""
        key = self._keys.get(dimension.name)
        if key is None:
            return 0, 0
        states = dimension.states[self._counter.reading, key]
        state = next((name for name, mask in states.items() if mask >> cell & 1), None)
        if key == FX_RATE_KEY and not self._counter.rate_required:
            converts = dimension.notes.get(CONVERTS, 0) >> cell & 1
            if not converts and state in (None, MISSING):
                return 0, 0
        return int(state is not None), 1
