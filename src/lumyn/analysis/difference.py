"""
A request that two policies decide differently, and what kind of change it shows.
Must not know how such a request is found, nor which policies those are.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumyn.analysis.scale import Severity
from lumyn.analysis.witness import Case
from lumyn.model import Evaluation, Verdict

__all__ = ["Difference", "severity_between", "severity_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """
    A request that two policies decide differently, as the engine itself decided it under both.

    Attributes:
        rule: Id of the rule whose change it shows, or None.
        by_gate: Whether a gate decided the request so under both policies; False where no memory that was tried gives
            the similarity, None before it was asked.
    """

    case: Case
    before: Evaluation
    after: Evaluation
    rule: str | None = None
    by_gate: bool | None = None

    @property
    def severity(self) -> Severity:
        """What kind of change the request shows."""
        return severity_of(self.before, self.after)


def severity_of(before: Evaluation, after: Evaluation) -> Severity:
    """Return what kind of change lies between two outcomes of one request."""
    return severity_between(before.verdict, after.verdict)


def severity_between(before: Verdict, after: Verdict) -> Severity:
    """Return what kind of change lies between two verdicts; where they are one, only codes can differ."""
    if after is Verdict.TRUST and before is not Verdict.TRUST:
        return Severity.NEW_TRUST
    if after.strictness < before.strictness:
        return Severity.LOOSER
    return Severity.TIGHTER if after is not before else Severity.CODES
