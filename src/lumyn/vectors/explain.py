"""
Why a decision came out as it did, as data: the rules that decided, the rule that nearly fired, the memory consulted.
Reads traces of the engine; must not know how an explanation is laid out or shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from lumyn.core.alternatives import Situation, WhatIf, what_if
from lumyn.core.deciding import DecidingRule, deciding_rules
from lumyn.core.records import NO_SNAPSHOT, DecisionRecord
from lumyn.core.requests import request_from_document
from lumyn.digest import freeze
from lumyn.engine.evaluator import compile_policy, trace
from lumyn.engine.nearest import NearMiss, nearest_miss
from lumyn.engine.similarity import MemorySnapshot
from lumyn.engine.trace import Trace
from lumyn.model import Match, Verdict
from lumyn.vectors.drift import DriftKind
from lumyn.vectors.format import DecideStep
from lumyn.vectors.runner import StepResult, VectorResult

__all__ = ["Explanation", "MemoryNote", "explain", "trace_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryNote:
    """
    The experience that was consulted.

    Attributes:
        items: How many items the tenant and action had; None when memory could not be read.
        matches: The best ones, best first; may be empty.
    """

    items: int | None
    failure_similarity: Decimal
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """
    Why a vector failed.

    Attributes:
        step: The step that failed, or the decision of a vector that passed.
        expected: The expected verdict or error in words; empty when neither is expected or both agree.
        got: The verdict or error that came out.
        lost: Reason codes that were expected and did not come.
        gained: Reason codes that came and were not expected.
        deciding: At least one rule when a record came out; empty after an error.
        nearest: The rule that one more comparison would have fired, or None.
        what_if: What the engine answers when that comparison holds; None where that cannot be told.
        memory: None after an error.
        rerun: The command that runs this vector again.
    """

    step: StepResult
    expected: str
    got: str
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    deciding: tuple[DecidingRule, ...]
    nearest: NearMiss | None
    what_if: WhatIf | None
    memory: MemoryNote | None
    rerun: str


def explain(result: VectorResult) -> Explanation | None:
    """Return why `result` is what it is, or None when nothing was decided in it."""
    step = result.last_decision
    if step is None:
        return None
    expected, lost, gained = "", tuple[str, ...](), tuple[str, ...]()
    for drift in step.drifts:
        if drift.kind is DriftKind.VERDICT:
            expected = _verdict_text(drift.expected)
        elif drift.kind is DriftKind.ERROR and drift.path == "error":
            expected = _expected_instead(step) if drift.expected is None else str(drift.expected)
        elif drift.kind is DriftKind.REASON_CODES:
            lost, gained = drift.lost, drift.gained
    traced = trace_of(step)
    record = step.record
    near = None if traced is None else nearest_miss(traced, wanted=_wanted(expected), lost=lost)
    return Explanation(
        step=step,
        expected=expected,
        got=_got(step),
        lost=lost,
        gained=gained,
        deciding=() if record is None else deciding_rules(record, step.policy, traced),
        nearest=near,
        what_if=None if traced is None or near is None else _what_if(step, traced, near),
        memory=None if record is None else _memory(record),
        rerun=f'pytest "{result.vector.node_id}" --lumyn-vectors',
    )


def trace_of(step: StepResult) -> Trace | None:
    """Return how every rule came out in a decide step; None when no rule was evaluated."""
    record = step.record
    if record is None or step.request is None or record.memory_snapshot == NO_SNAPSHOT:
        return None
    document = freeze(step.request)
    if not isinstance(document, dict):
        return None
    return trace(step.policy, request_from_document(document), similarity=record.failure_similarity)


def _what_if(step: StepResult, traced: Trace, near: NearMiss) -> WhatIf | None:
    """Return what the engine answers when the comparison holds, with the memory that the decision saw."""
    record = step.record
    document = freeze(step.request)
    memory = step.memory or MemorySnapshot()
    if record is None or not isinstance(document, dict) or memory.digest != record.memory_snapshot:
        return None
    situation = Situation(
        plan=compile_policy(step.policy).plan(traced.facts.action_type),
        document=document,
        memory=memory,
        evaluation=traced.evaluation,
        similarity=record.failure_similarity,
    )
    return what_if(situation, near.condition, near.rule_id)


def _memory(record: DecisionRecord) -> MemoryNote:
    parts = record.memory_snapshot.split(":")
    return MemoryNote(
        items=int(parts[1]) if len(parts) == 3 else None,
        failure_similarity=record.failure_similarity,
        matches=record.similarity.top_k,
    )


def _expected_instead(step: StepResult) -> str:
    """Return the verdict a step expected where an error was raised, or empty when it names none."""
    verdict = step.step.expect.record.get("verdict") if isinstance(step.step, DecideStep) else None
    return "" if verdict is None else _verdict_text(verdict)


def _got(step: StepResult) -> str:
    if step.record is not None:
        return step.record.verdict.value
    return "" if step.error is None else step.error.reason_code


def _verdict_text(expected: object) -> str:
    choices = expected.get("in") if isinstance(expected, dict) else None
    return " or ".join(str(choice) for choice in choices) if isinstance(choices, list) else str(expected)


def _wanted(expected: str) -> frozenset[Verdict]:
    return frozenset(Verdict(name) for name in expected.split(" or ") if name in set(Verdict))
