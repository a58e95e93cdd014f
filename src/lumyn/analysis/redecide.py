"""
Has a real gate decide what analysis found, on a store of its own, before anybody is shown it.
Must not know why a request was wanted, nor how it was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Self

from lumyn.analysis.difference import Difference
from lumyn.analysis.experience import Experience, Likeness
from lumyn.analysis.witness import AnalysisDefectError, Case, evaluate, outcome_of
from lumyn.core.clock import FixedClock, SeededIds
from lumyn.core.decide import Gate
from lumyn.core.records import DecisionRecord
from lumyn.model import Evaluation, JsonObject, Mode
from lumyn.policy.spec import Policy
from lumyn.store.scratch import ScratchStore

__all__ = ["LIKE_IT", "Decider", "confirm", "confirmed", "redecide"]

_START: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)
LIKE_IT: Final = "a request like it"
"""What is said of an experience that is seeded."""


def redecide(policy: Policy, request: JsonObject, *, memory: Iterable[Experience] = ()) -> DecisionRecord:
    """
    Return the record of a request as a gate decided it and the store kept it, memory seeded as `lumyn label` would.

    Args:
        memory: What the store holds before the decision.

    Raises:
        InvalidRequestError: No gate accepts the request, or one of an experience.
        AnalysisDefectError: The record did not reach the store.
    """
    with _gate(policy) as gate:
        for item in memory:
            gate.seed(item.label, item.request, summary=LIKE_IT)
        return _recorded(gate, request)


def _gate(policy: Policy) -> Gate:
    return Gate.open(
        policy=policy, store=ScratchStore(), mode=Mode.ENFORCE, clock=FixedClock(_START), ids=SeededIds("witness")
    )


def _recorded(gate: Gate, request: JsonObject) -> DecisionRecord:
    record = gate.decide(request)
    if record.dry_run:
        return record
    if not record.persisted:
        raise AnalysisDefectError("a request that the analysis found could not be decided: the store failed")
    return gate.record(record.decision_id)


def _compare(record: DecisionRecord, said: Evaluation) -> None:
    if outcome_of(record.evaluation) != outcome_of(said):
        raise AnalysisDefectError("a gate decides a request otherwise than the analysis says")


def confirm(policy: Policy, case: Case, said: Evaluation, *, experience: Experience | None = None) -> bool:
    """
    Have a gate decide a case and compare its record with what the analysis says comes out.

    Args:
        said: The outcome to be shown.
        experience: What memory holds. Where the case needs some and none is given, one that will do is looked for.

    Returns:
        False when no experience that was tried makes the request look like a failure by as much as the case says: then
        no gate decided it, and whoever shows it says what memory would have to hold.

    Raises:
        AnalysisDefectError: The record says otherwise.
    """
    if case.similarity and experience is None:
        wanted = outcome_of(said)
        experience = Likeness(policy, case.request).experience(
            lambda score: outcome_of(evaluate(policy, replace(case, similarity=score))) == wanted
        )
        if experience is None:
            return False
    _compare(redecide(policy, case.request, memory=() if experience is None else (experience,)), said)
    return True


def confirmed(difference: Difference, old: Policy, new: Policy) -> Difference:
    """
    Return a difference whose request a gate decided as it says under both policies; else it is marked.

    Raises:
        AnalysisDefectError: A gate decides the request otherwise.
    """
    case = difference.case
    by_gate = confirm(old, case, difference.before) and confirm(new, case, difference.after)
    return replace(difference, by_gate=by_gate)


class Decider:
    """A gate over one policy that decides many cases, for as long as it is entered; none becomes memory of another."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._gate: Gate | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._gate is not None:
            self._gate.close()

    def confirm(self, case: Case, said: Evaluation) -> bool:
        """Do what `confirm` does; raises what it raises."""
        if case.similarity:
            return confirm(self._policy, case, said)
        if self._gate is None:
            self._gate = _gate(self._policy)
        _compare(_recorded(self._gate, case.request), said)
        return True
