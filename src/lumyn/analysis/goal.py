"""
What coverage comes to: each thing some vector should do, and whether one does, or no request can.
Must not know how either is found out, nor how it is shown or gated.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumyn.analysis.scale import Criterion
from lumyn.analysis.witness import Case
from lumyn.errors import Span
from lumyn.model import JsonObject
from lumyn.policy.spec import Policy

__all__ = ["CoverageReport", "Goal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """
    One thing some vector should do.

    Attributes:
        name: Stable and unique within its criterion, such as `R210/amount_usd_gt/past`, or `.../past#2` for the second
            comparison of a rule with that key.
        title: For people, what is missing, such as `R210 amount_usd > 200: no request at 200.01 that it decides`.
        aim: For people, what is to be done, its rule or action left out, such as `amount_usd > 200 at 200.01`.
        covered_by: Name of a vector that does it, or None.
        infeasible: No request can: proved.
        unknown: It is not covered, and whether any request can was given up.
        case: A request that would, for goals that are not covered and can be.
        by_gate: Whether a gate decided that request; False where no memory that was tried gives its similarity, None
            before it was asked.
    """

    criterion: Criterion
    name: str
    title: str
    aim: str
    span: Span | None = None
    covered_by: str | None = None
    infeasible: bool = False
    unknown: bool = False
    case: Case | None = None
    by_gate: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """The goals of one policy, in the order of its file within each criterion."""

    policy: Policy
    goals: tuple[Goal, ...]
    observed: int

    def of(self, criterion: Criterion) -> tuple[Goal, ...]:
        """Return the goals of one criterion that some request can meet, or that nobody could rule out."""
        return tuple(goal for goal in self.goals if goal.criterion is criterion and not goal.infeasible)

    def covered(self, criterion: Criterion) -> int:
        """Return how many of them are covered."""
        return sum(1 for goal in self.of(criterion) if goal.covered_by is not None)

    def missing(self, criterion: Criterion) -> tuple[Goal, ...]:
        """Return those that are not."""
        return tuple(goal for goal in self.of(criterion) if goal.covered_by is None)

    def infeasible(self, criterion: Criterion) -> int:
        """Return how many goals of a criterion no request can meet."""
        return sum(1 for goal in self.goals if goal.criterion is criterion and goal.infeasible)

    def to_dict(self) -> JsonObject:
        """Return the report as plain JSON data."""
        return {
            "policy": {
                "policy_id": self.policy.policy_id,
                "policy_version": self.policy.policy_version,
                "policy_hash": self.policy.policy_hash,
            },
            "observed": self.observed,
            "criteria": {
                criterion.value: {
                    "covered": self.covered(criterion),
                    "goals": len(self.of(criterion)),
                    "infeasible": self.infeasible(criterion),
                }
                for criterion in Criterion
            },
            "goals": [_goal(goal) for goal in self.goals],
        }


def _goal(goal: Goal) -> JsonObject:
    return {
        "criterion": goal.criterion.value,
        "name": goal.name,
        "title": goal.title,
        "file": None if goal.span is None else goal.span.file,
        "line": None if goal.span is None else goal.span.line,
        "covered_by": goal.covered_by,
        "infeasible": goal.infeasible,
        "unknown": goal.unknown,
        "request": None if goal.case is None else goal.case.request,
        "failure_similarity": None if goal.case is None else str(goal.case.similarity),
        "by_gate": goal.by_gate,
    }
