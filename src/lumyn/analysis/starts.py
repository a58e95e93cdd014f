"""
The requests of vectors there are, from which suggestions start: those of an action, the most telling first.
Must not know what is changed in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lumyn.analysis.changes import value_at
from lumyn.analysis.edits import Base
from lumyn.analysis.experience import scored
from lumyn.analysis.observations import Observation
from lumyn.analysis.witness import Case, evaluate
from lumyn.policy.spec import Policy

__all__ = ["Starts", "to_remember"]

_OF_ONE_CALL: Final = ("request_id", "trace")
_MOST_REMEMBERING: Final = 24
_MOST_TAGGED: Final = 4


@dataclass(slots=True)
class Starts:
    """
    Where to start from.

    Attributes:
        unnamed: One name for all actions that no rule names.
    """

    policy: Policy
    rows: Sequence[Observation]
    unnamed: str
    _known: dict[str, list[Base]] = field(default_factory=dict)

    def of(self, action: str) -> list[Base]:
        """
        Return the vectors of an action: first one for each outcome, the plainest outcome first, then the others.

        A later step of a scenario comes last. One that earlier steps left something to remember is no start: no other
        vector could be given the same memory.
        """
        if action not in self._known:
            self._known[action] = self._of(action)
        return self._known[action]

    def _of(self, action: str) -> list[Base]:
        first: dict[object, tuple[tuple[int, int], Base]] = {}
        others: list[Base] = []
        later: list[Base] = []
        for row in self.rows:
            if self.action(row) != action or (row.step and row.similarity):
                continue
            said = evaluate(self.policy, Case(request=row.document))
            key, base = (said.verdict, said.reason_codes), self.base(row)
            if row.step:
                later.append(base)
            elif key in first or row.memory or row.similarity:
                others.append(base)
            else:
                first[key] = ((len(said.reason_codes), said.verdict.strictness), base)
        return [*(base for _, base in sorted(first.values(), key=lambda each: each[0])), *others, *later]

    def base(self, row: Observation) -> Base:
        """Return a vector to start from."""
        asked = {key: value for key, value in row.document.items() if key not in _OF_ONE_CALL}
        experience = None
        if row.similarity and len(row.memory) == 1:
            experience = scored(self.policy, asked, row.memory[0].label, row.memory[0].request)
        return Base(name=row.name, request=asked, experience=experience, remembers=bool(row.memory))

    def action(self, row: Observation) -> str:
        """Return the action of a row."""
        asked = row.request.action_type
        return asked if asked in self.policy.action_types else self.unnamed


def to_remember(bases: Sequence[Base]) -> list[Base]:
    """Return those whose memory to vary: the first, and of the others those with most tags, of the finest scores."""
    tagged = sorted((base for base in bases[_MOST_REMEMBERING:] if _tags(base)), key=_tags, reverse=True)
    return [*bases[:_MOST_REMEMBERING], *tagged[:_MOST_TAGGED]]


def _tags(base: Base) -> int:
    held = value_at(base.request, ("action", "tags"))
    return len(held) if isinstance(held, list) else 0
