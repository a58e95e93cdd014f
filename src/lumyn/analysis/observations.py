"""
What vectors asked and what came out: one observation for each decision, with what its expectation pins down.
Taken from results of runs, never from hooks in the evaluator; must not know what is computed from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from lumyn.analysis.witness import parsed
from lumyn.errors import InvalidRequestError
from lumyn.model import DecisionRequest, Evaluation, JsonObject, JsonValue
from lumyn.policy.spec import Policy
from lumyn.vectors.decided import Decided, decided
from lumyn.vectors.expect import differences, holds
from lumyn.vectors.format import MemorySeed
from lumyn.vectors.runner import Outcome, StepResult, VectorResult

__all__ = ["Observation", "Pins", "observation", "observe", "observe_step", "outcome_document"]


@dataclass(frozen=True, slots=True)
class Pins:
    """
    What an expectation says of the parts of a record that a policy decides.

    Attributes:
        fields: Field of the record -> what is expected of it.
        subset: What else the record must hold, limited to those fields.
        everything: Whether a whole record is expected.
    """

    fields: JsonObject
    subset: JsonObject
    everything: bool = False

    @classmethod
    def of(cls, found: Decided) -> Pins:
        """Return what was expected of a decision."""
        fields = {key: value for key, value in found.record.items() if key in _SHOWN}
        subset = {key: value for key, value in (found.subset or {}).items() if key in _SHOWN}
        return cls(fields, subset, found.whole)

    @property
    def verdict(self) -> bool:
        """Whether any other verdict is noticed."""
        return self.everything or isinstance(self.fields.get("verdict"), str)

    @property
    def verdict_only(self) -> bool:
        """Whether nothing but another verdict can be noticed."""
        return not self.everything and not self.subset and self.fields.keys() <= {"verdict"}

    def notice(self, after: Evaluation) -> bool:
        """Return whether an outcome that is not the recorded one fails the vector."""
        if self.everything:
            return True
        for key, expected in self.fields.items():
            if not holds(expected, _SHOWN[key](after)):
                return True
        return bool(self.subset) and any(True for _ in differences(self.subset, outcome_document(after)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """
    One decision of a vector.

    Attributes:
        name: The vector's node id.
        step: Index of the step.
        document: The request as it was asked.
        similarity: The failure similarity the rules saw.
        pins: None: the whole record counts as expected.
        memory: What the store held before the vector's first step; empty for later ones.
    """

    name: str
    step: int
    document: JsonObject
    request: DecisionRequest
    similarity: Decimal
    pins: Pins | None = None
    memory: tuple[MemorySeed, ...] = ()


def observe(results: Iterable[VectorResult], policy: Policy) -> list[Observation]:
    """Return the decisions that passing vectors made under a policy; one that failed or was skipped does not count."""
    return list(_observed(results, policy))


def _observed(results: Iterable[VectorResult], policy: Policy) -> Iterator[Observation]:
    for result in results:
        if result.outcome is not Outcome.PASSED:
            continue
        for step in result.steps:
            found = observe_step(result.vector.node_id, step, policy)
            if found is not None:
                yield found if step.index else replace(found, memory=result.vector.memory)


def observe_step(name: str, step: StepResult, policy: Policy) -> Observation | None:
    """Return the decision of a step; None when it made none, or not from the policy's rules."""
    found = decided(name, step, policy)
    return None if found is None else observation(found, policy)


def observation(found: Decided, policy: Policy) -> Observation | None:
    """Return a decision as it is looked at; None when it was about more than an enforcing gate allows to ask for."""
    try:
        request = parsed(policy, found.request)
    except InvalidRequestError:
        return None
    return Observation(
        name=found.name,
        step=found.step,
        document=found.request,
        request=request,
        similarity=Decimal(found.similarity),
        pins=Pins.of(found),
    )


def outcome_document(evaluation: Evaluation) -> dict[str, JsonValue]:
    """Return the parts of a record that a policy decides, as a record tells them."""
    return {name: show(evaluation) for name, show in _SHOWN.items()}


def _matched(evaluation: Evaluation) -> JsonValue:
    return [
        {
            "rule_id": rule.rule_id,
            "stage": rule.stage.value,
            "effect": rule.effect.value,
            "reason_codes": [*rule.reason_codes],
        }
        for rule in evaluation.matched_rules
    ]


_SHOWN: Final[Mapping[str, Callable[[Evaluation], JsonValue]]] = {
    "verdict": lambda evaluation: evaluation.verdict.value,
    "reason_codes": lambda evaluation: [*evaluation.reason_codes],
    "matched_rules": _matched,
    "queries": lambda evaluation: [{"field": query.field, "question": query.question} for query in evaluation.queries],
    "obligations": lambda evaluation: [*evaluation.obligations],
}
"""Part of the record that a policy decides -> how the record tells it."""
