"""
What was found out about the mutants and goals of one policy: it rests on the policy alone, whatever its vectors are.
Must not know how anything is found out, nor where it is kept between runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from lumyn.analysis.difference import Difference
from lumyn.analysis.observations import outcome_document
from lumyn.analysis.scale import Severity
from lumyn.analysis.witness import Case
from lumyn.core.records import evaluation_of

__all__ = ["Answer", "Knowledge"]


class Answer(StrEnum):
    """What is said where there is no request to name."""

    NONE = "none"
    """Proved: no request does."""
    UNKNOWN = "unknown"
    """Given up over budget."""


Packed: TypeAlias = "dict[str, Any]"


@dataclass(slots=True)
class Knowledge:
    """
    What is known of a policy under the usual budget; whoever finds out more notes it here.

    Attributes:
        mutants: Id of a mutant -> how grave the gravest request is that tells it from the policy.
        shown: Id of a mutant -> that request as a gate decided it, where it was asked for.
        goals: Goal as `criterion:name` -> a request that meets it.
    """

    mutants: dict[str, Severity | Answer] = field(default_factory=dict)
    shown: dict[str, Difference] = field(default_factory=dict)
    goals: dict[str, Case | Answer] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How much is known: it grows with whatever is noted."""
        return len(self.mutants) + len(self.shown) + len(self.goals)

    def pack(self) -> Packed:
        """Return all of it as plain JSON data."""
        return {
            "mutants": {name: each.value for name, each in self.mutants.items()},
            "shown": {name: _pack_difference(each) for name, each in self.shown.items()},
            "goals": {name: _pack(each) if isinstance(each, Case) else each.value for name, each in self.goals.items()},
        }

    @classmethod
    def unpack(cls, data: Mapping[str, Any]) -> Knowledge:
        """Return what `pack` was called for."""
        return cls(
            mutants={
                name: Severity(each) if isinstance(each, int) else Answer(each)
                for name, each in data["mutants"].items()
            },
            shown={name: _difference(each) for name, each in data["shown"].items()},
            goals={
                name: Answer(each) if isinstance(each, str) else _case(each) for name, each in data["goals"].items()
            },
        )


def _pack(case: Case) -> list[object]:
    return [case.request, str(case.similarity)]


def _case(packed: list[Any]) -> Case:
    request, similarity = packed
    return Case(request=request, similarity=Decimal(similarity))


def _pack_difference(difference: Difference) -> list[object]:
    outcomes = (outcome_document(each) for each in (difference.before, difference.after))
    return [_pack(difference.case), *outcomes, difference.rule, difference.by_gate]


def _difference(packed: list[Any]) -> Difference:
    case, before, after, rule, by_gate = packed
    return Difference(
        case=_case(case), before=evaluation_of(before), after=evaluation_of(after), rule=rule, by_gate=by_gate
    )
