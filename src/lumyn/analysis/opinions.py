"""
What is said of a policy's mutants: what is known already, and else what the judge finds, who is called only then.
Shows no request that a gate has not decided; must not know what vectors expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from lumyn.analysis.boxes import BudgetExceededError
from lumyn.analysis.difference import Difference
from lumyn.analysis.knowledge import Answer, Knowledge
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.scale import Severity
from lumyn.analysis.witness import AnalysisDefectError

if TYPE_CHECKING:
    from lumyn.analysis.judge import Finding, Judge

__all__ = ["Opinions"]


class Opinions:
    """What is known of the mutants of one policy, and whoever can find out more."""

    def __init__(self, matrix: Matrix, made: Sequence[Mutant], known: Knowledge, *, limit: int) -> None:
        """
        Args:
            matrix: The requests that were looked at under the policy.
            made: The mutants that may be asked about.
            limit: Steps one question may take.
        """
        self._matrix = matrix
        self._made = made
        self._limit = limit
        self._known = known
        self._findings: dict[str, Finding] = {}

    @cached_property
    def _judge(self) -> Judge:
        from lumyn.analysis.judge import Judge

        matrix = self._matrix
        return Judge(matrix.table.policy, self._made, limit=self._limit, book=matrix.book)

    def has(self, mutant: Mutant) -> bool:
        """Return whether a mutant was judged."""
        return mutant.mutant_id in self._known.mutants

    def of(self, mutant: Mutant) -> Severity | Answer:
        """
        Return how grave the gravest request is that tells a mutant from its policy.

        Raises:
            AnalysisDefectError: The analysis contradicts itself.
        """
        found = self._known.mutants.get(mutant.mutant_id)
        if found is None:
            found = self._known.mutants[mutant.mutant_id] = self._find(mutant)
        return found

    def show(self, mutant: Mutant) -> Difference:
        """
        Return that request, decided by the engine and by a gate under both policies, once for all that ask.

        Raises:
            AnalysisDefectError: One of them does not see what the analysis said.
        """
        severity, found = self.of(mutant), self._known.shown.get(mutant.mutant_id)
        if not isinstance(severity, Severity):
            raise AnalysisDefectError(f"mutant {mutant.mutant_id}: no request is known that tells it")
        difference = self._shown(mutant) if found is None else found
        if difference.severity is not severity:
            raise AnalysisDefectError(f"mutant {mutant.mutant_id}: judged again, it is another kind of change")
        if found is None:
            from lumyn.analysis.redecide import confirmed

            found = self._known.shown[mutant.mutant_id] = confirmed(difference, mutant.base, mutant.policy)
        return found

    def _shown(self, mutant: Mutant) -> Difference:
        finding = self._findings.get(mutant.mutant_id) or self._judge.finding(mutant)
        if finding is None:
            raise AnalysisDefectError(f"mutant {mutant.mutant_id}: judged again, no request tells it")
        return finding.show()

    def _find(self, mutant: Mutant) -> Severity | Answer:
        from lumyn.analysis.candidates import SpaceTooLargeError

        try:
            finding = self._judge.finding(mutant)
        except (BudgetExceededError, SpaceTooLargeError):
            return Answer.UNKNOWN
        if finding is None:
            return Answer.NONE
        self._findings[mutant.mutant_id] = finding
        return finding.severity
