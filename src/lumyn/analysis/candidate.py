"""
A request that could be suggested: what it is an edit of, which holes it closes, and how it comes out.
Must not know how it was found, nor whether it is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumyn.analysis.edits import Base
from lumyn.analysis.experience import Experience
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.witness import Case
from lumyn.model import DecisionRequest, Evaluation

__all__ = ["Candidate"]


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
