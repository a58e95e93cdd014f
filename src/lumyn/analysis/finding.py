"""
What a finding about a policy is: what, where, why, a request that shows it, and what to do about it.
Must not know how findings are made or shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lumyn.analysis.copies import Twins
from lumyn.analysis.witness import AnalysisDefectError, Case, evaluate
from lumyn.errors import Span
from lumyn.model import Evaluation, JsonObject, Verdict
from lumyn.policy.spec import Policy

__all__ = ["CODES", "Example", "Finding", "Level", "example_of", "examples_of"]

CODES: Final[Mapping[str, str]] = {
    "ACCEPT_INVALID": "A comment that accepts a finding cannot be read.",
    "ACCEPT_STALE": "A comment accepts what is not found.",
    "ACTION_UNKNOWN_TRUSTED": "An action that the policy does not name can get TRUST.",
    "AMOUNT_UNBOUNDED": "Any amount, however large, is trusted.",
    "AMOUNT_UNREAD": "An action is trusted whatever its amount, and no rule looks at it.",
    "AMOUNT_ZERO": "An amount of 0 is trusted.",
    "ANALYSIS_UNKNOWN": "Too many steps: nothing is claimed.",
    "CONDITION_DEAD": "A choice of a rule can never hold.",
    "CONDITION_REDUNDANT": "A condition follows from the others of its rule.",
    "DEFAULT_REACHED": "Some requests of an action match no rule.",
    "EVIDENCE_NEGATIVE": "A number below zero that nobody declared possible is trusted.",
    "FAIL_OPEN": "Leaving a key out earns a TRUST that a value of it would forfeit.",
    "FX_UNBOUNDED": "Callers name any exchange rate.",
    "GROWTH": "How verdicts move as numbers grow.",
    "GROWTH_BOTH_WAYS": "As a number grows, verdicts both loosen and tighten.",
    "NUMBER_REPEATED": "Rules of one action write the same number without a name for it.",
    "REASON_CODE_UNUSED": "A reason code is declared and never given.",
    "RULE_DEAD": "No request fires the rule.",
    "RULE_MASKED": "Wherever a rule fires, a stricter one does too.",
    "RULE_SUBSUMED": "Wherever a rule fires, rules with the same verdict do too.",
    "THRESHOLD_REPEATED": "A number in a rule repeats a threshold.",
    "THRESHOLD_TWICE": "Two thresholds for one attribute have one value.",
    "THRESHOLD_UNUSED": "No condition reads the threshold.",
}
"""Every finding there is, with what it says in general."""


class Level(StrEnum):
    """How bad a finding is: `ERROR` fails the command, `WARNING` where it is asked to, `NOTE` never."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """
    A request that shows a finding, and what the engine makes of it.

    Attributes:
        by_gate: Whether a gate decided it so; False where no memory that was tried gives its similarity, None before
            one was asked.
    """

    case: Case
    evaluation: Evaluation
    by_gate: bool | None = None

    def to_dict(self) -> JsonObject:
        """Return the example as plain JSON data."""
        return {
            "verdict": self.evaluation.verdict.value,
            "reason_codes": [*self.evaluation.reason_codes],
            "request": self.case.request,
            "failure_similarity": float(self.case.similarity),
            "by_gate": self.by_gate,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One thing that is odd, or worth knowing.

    Attributes:
        code: Stable, such as `RULE_DEAD`; `docs/errors.md` lists all of them.
        advice: What to do about it.
        examples: Requests that show it, decided by the engine; where there are two, they differ in one attribute.
        accepted: Why the policy's author wants it so, or None.
    """

    code: str
    level: Level
    message: str
    advice: str
    span: Span | None = None
    examples: tuple[Example, ...] = ()
    accepted: str | None = None

    def to_dict(self) -> JsonObject:
        """Return the finding as plain JSON data."""
        return {
            "code": self.code,
            "level": self.level.value,
            "message": self.message,
            "advice": self.advice,
            "line": None if self.span is None else self.span.line,
            "column": None if self.span is None else self.span.column,
            "request": self.examples[0].case.request if self.examples else None,
            "examples": [example.to_dict() for example in self.examples],
            "accepted": self.accepted,
        }


def example_of(policy: Policy, case: Case, verdict: Verdict | None = None) -> Example:
    """
    Return a case with what the engine makes of it.

    Args:
        verdict: What the analysis takes it for.

    Raises:
        AnalysisDefectError: The engine says otherwise.
    """
    found = evaluate(policy, case)
    if verdict is not None and found.verdict is not verdict:
        raise AnalysisDefectError(f"the engine says {found.verdict} of a request the analysis took for {verdict}")
    return Example(case=case, evaluation=found)


def examples_of(policy: Policy, twins: Twins) -> tuple[Example, Example]:
    """Return two requests that differ in one attribute, each with what the engine makes of it."""
    return example_of(policy, twins.first, twins.before), example_of(policy, twins.second, twins.after)
