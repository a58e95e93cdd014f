"""
A request that could be suggested: what it is an edit of, which holes it closes, and how it comes out.
Must not know how it was found, nor whether it is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumyn.analysis.changes import apart
from lumyn.analysis.edits import Base
from lumyn.analysis.experience import Experience
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.witness import Case
from lumyn.model import DecisionRequest, Evaluation, JsonObject

__all__ = ["Candidate", "changed_places", "unreached"]


@dataclass(slots=True, kw_only=True)
class Candidate:
    """
    A request that could be suggested.

    Attributes:
        changed: Dotted places in which it differs from its base.
        closes: The holes it closes.
        tier: How dear it is: in how many fields it differs from a vector there is. Without vectors, from a plain
            request, which itself comes first.
    """

    case: Case
    request: DecisionRequest
    base: Base | None = None
    changed: tuple[str, ...] = ()
    experience: Experience | None = None
    closes: int = 0
    tier: int = 0
    matrix: Matrix | None = None
    place: int = 0

    @property
    def outcome(self) -> Evaluation:
        """What comes out."""
        return self._matrix.before(self.place)

    def under(self, mutant: Mutant) -> Evaluation:
        """Return what comes out under an edit."""
        return self._matrix.sheet(mutant).outcome(self.place)

    @property
    def _matrix(self) -> Matrix:
        if self.matrix is None:
            raise ValueError("a candidate is looked at before it is asked")
        return self.matrix


def changed_places(base: Base, request: JsonObject, experience: Experience | None) -> tuple[str, ...]:
    """Return where a request and what memory holds for it differ from a base."""
    places = tuple(".".join(each) for each in apart(base.request, request))
    held = None if base.experience is None else (base.experience.label, base.experience.request)
    other = None if experience is None else (experience.label, experience.request)
    unlike = held != other or (held is None and base.remembers)
    return (*places, "memory") if unlike else places


def unreached(case: Case) -> str:
    """Return why a request that was found is not suggested."""
    if case.similarity:
        return f"no single experience makes such a request look like a failure by about {case.similarity}"
    return "no request was found that does no more than that"
