"""
Why a decision came out as it did, as data: the rules that decided, the rule that nearly fired, the memory consulted.
Reads traces of the engine; must not know how an explanation is laid out or shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from lumyn.core.records import NO_SNAPSHOT, DecisionRecord
from lumyn.core.requests import request_from_document
from lumyn.digest import freeze
from lumyn.engine.evaluator import trace
from lumyn.engine.outcome import LUMYN_EVIDENCE_INVALID, LUMYN_EVIDENCE_UNKNOWN, LUMYN_FX_OUT_OF_BOUNDS
from lumyn.engine.trace import RuleTrace, Trace, Truth
from lumyn.errors import Span
from lumyn.model import Match, MatchedRule, Stage, Verdict
from lumyn.policy.spec import Policy
from lumyn.vectors.drift import DriftKind
from lumyn.vectors.format import DecideStep
from lumyn.vectors.nearest import NearMiss, condition_text, nearest_miss
from lumyn.vectors.runner import StepResult, VectorResult

__all__ = ["DecidingRule", "Explanation", "MemoryNote", "deciding_rules", "explain", "trace_of"]

DEFAULT_RULE: Final = "default"

_GUARDED: Final = frozenset({Stage.REQUIREMENTS, Stage.HARD_BLOCKS, Stage.ESCALATIONS})
"""The stages whose rules must be settled before anything is trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidingRule:
    """
    A rule whose effect is the verdict.

    Attributes:
        rule_id: Of the policy, of the engine (`LUMYN_...`), or `default` when no rule fired.
        span: Where the rule is written; None for the engine's own.
        operands: What it compared, such as `amount_usd 200 <= 250`; may be empty.
    """

    rule_id: str
    stage: Stage
    effect: Verdict
    span: Span | None
    operands: tuple[str, ...]


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
    return Explanation(
        step=step,
        expected=expected,
        got=_got(step),
        lost=lost,
        gained=gained,
        deciding=() if record is None else deciding_rules(record, step.policy, traced),
        nearest=None if traced is None else nearest_miss(traced, wanted=_wanted(expected), lost=lost),
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


def deciding_rules(record: DecisionRecord, policy: Policy, traced: Trace | None) -> tuple[DecidingRule, ...]:
    """Return the rules whose effect is the verdict, in the order of the record; the default when none fired."""
    deciding = [rule for rule in record.matched_rules if rule.effect is record.verdict]
    if not deciding:
        rule = DecidingRule(
            rule_id=DEFAULT_RULE,
            stage=Stage.DEFAULT,
            effect=record.verdict,
            span=_default_span(policy),
            operands=("no rule fired",),
        )
        return (rule,)
    return tuple(_deciding_rule(rule, policy, traced) for rule in deciding)


def _deciding_rule(matched: MatchedRule, policy: Policy, traced: Trace | None) -> DecidingRule:
    rule = next((each for each in policy.rules if each.rule_id == matched.rule_id), None)
    found = None if traced is None else traced.rule(matched.rule_id)
    if found is not None:
        operands = tuple(_operands(found))
    elif traced is not None:
        operands = tuple(_engine_operands(matched.rule_id, traced))
    else:
        operands = ()
    return DecidingRule(
        rule_id=matched.rule_id,
        stage=matched.stage,
        effect=matched.effect,
        span=None if rule is None else rule.span,
        operands=operands,
    )


def _operands(traced: RuleTrace) -> Iterator[str]:
    if traced.missing:
        yield f"missing {', '.join(traced.missing)}"
    for condition in traced.conditions:
        if condition.outcome is Truth.TRUE:
            yield condition_text(condition)


def _engine_operands(rule_id: str, traced: Trace) -> Iterator[str]:
    facts = traced.facts
    if rule_id == LUMYN_EVIDENCE_INVALID:
        yield from (f"{key} {code}" for key, code in facts.invalid.items())
    elif rule_id == LUMYN_FX_OUT_OF_BOUNDS:
        yield f"fx_rate_to_usd for {facts.amount_currency}"
    elif rule_id == LUMYN_EVIDENCE_UNKNOWN:
        for rule in traced.rules:
            if rule.truth is Truth.UNKNOWN and rule.rule.stage in _GUARDED:
                unknown = [each.condition.fact for each in rule.conditions if each.outcome is Truth.UNKNOWN]
                yield f"{rule.rule.rule_id} needs {', '.join(dict.fromkeys(unknown))}"


def _default_span(policy: Policy) -> Span | None:
    for pointer in ("/defaults/default_verdict", "/defaults"):
        if pointer in policy.spans:
            return policy.spans[pointer]
    return None


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
