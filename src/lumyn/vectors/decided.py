"""
What vectors decided, as plain data: one request each, with the similarity it was decided with and what was expected.
Told by results of runs, never by hooks in the evaluator; must not know what is made of it.
"""

from __future__ import annotations

from typing import NamedTuple

from lumyn.model import JsonObject
from lumyn.policy.spec import Policy
from lumyn.vectors.format import DecideStep
from lumyn.vectors.runner import StepResult

__all__ = ["Decided", "decided"]


class Decided(NamedTuple):
    """
    One decision of a vector.

    Attributes:
        name: The vector's node id.
        step: Index of the step.
        request: As it was asked.
        similarity: The failure similarity the rules saw, as text.
        record: Field of the record -> what is expected of it.
        subset: What else the record must hold, or None.
        whole: Whether the whole record is expected.
    """

    name: str
    step: int
    request: JsonObject
    similarity: str
    record: JsonObject
    subset: JsonObject | None
    whole: bool


def decided(name: str, step: StepResult, policy: Policy) -> Decided | None:
    """Return the decision of a step; None when it made none, or not from the policy's rules."""
    record, asked = step.record, step.step
    if record is None or not isinstance(asked, DecideStep) or step.request is None:
        return None
    if record.policy_hash != policy.policy_hash or not (record.persisted or record.dry_run):
        return None
    expect = asked.expect
    return Decided(
        name=name,
        step=step.index,
        request=step.request,
        similarity=str(record.failure_similarity),
        record=expect.record,
        subset=expect.subset,
        whole=expect.exact is not None,
    )
