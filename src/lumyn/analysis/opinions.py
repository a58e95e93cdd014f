"""
What is said of a policy's mutants: what is known already, and else what the judge finds, who is asked only then.
Shows no request that a gate has not decided; must not know vectors.
"""

from __future__ import annotations

from lumyn.analysis.boxes import BudgetExceededError
from lumyn.analysis.candidates import SpaceTooLargeError
from lumyn.analysis.judge import Finding, Judge, told
from lumyn.analysis.knowledge import Answer, Knowledge
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.pairs import Difference, Severity
from lumyn.analysis.redecide import confirmed
from lumyn.analysis.witness import AnalysisDefectError

__all__ = ["Opinions"]


class Opinions:
    """What is known of the mutants of one policy, and whoever can find out more."""

    def __init__(self, judge: Judge, known: Knowledge) -> None:
        self._judge = judge
        self._known = known
        self._findings: dict[str, Finding] = {}

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
        Return that request, decided by the engine and by a gate under both policies.

        Raises:
            AnalysisDefectError: One of them does not see what the analysis said.
        """
        severity, case = self.of(mutant), self._known.cases.get(mutant.mutant_id)
        if not isinstance(severity, Severity):
            raise AnalysisDefectError(f"mutant {mutant.mutant_id}: no request is known that tells it")
        difference = self._shown(mutant) if case is None else told(mutant, case, severity)
        if difference.severity is not severity:
            raise AnalysisDefectError(f"mutant {mutant.mutant_id}: judged again, it is another kind of change")
        found = confirmed(difference, mutant.base, mutant.policy)
        self._known.cases[mutant.mutant_id] = found.case
        return found

    def _shown(self, mutant: Mutant) -> Difference:
        finding = self._findings.get(mutant.mutant_id) or self._judge.finding(mutant)
        if finding is None:
            raise AnalysisDefectError(f"mutant {mutant.mutant_id}: judged again, no request tells it")
        return finding.show()

    def _find(self, mutant: Mutant) -> Severity | Answer:
        try:
            finding = self._judge.finding(mutant)
        except (BudgetExceededError, SpaceTooLargeError):
            return Answer.UNKNOWN
        if finding is None:
            return Answer.NONE
        self._findings[mutant.mutant_id] = finding
        return finding.severity
