"""
The traced evaluator: a plain interpreter of the policy language that reports every step it takes.
Must not know how the compiled evaluator works; the two are held equal by property tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from lumyn.engine.normalize import derive_facts
from lumyn.engine.outcome import Findings, conclude, field_to_ask
from lumyn.model import DecisionRequest, Evaluation, Facts
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import Block, BlockKind, Condition, Policy, Rule

__all__ = [
    "NULL_TRACER",
    "ConditionTrace",
    "Fact",
    "RuleTrace",
    "Trace",
    "Tracer",
    "Truth",
    "all_of",
    "any_of",
    "read_attribute",
    "trace",
    "trace_facts",
]

Fact: TypeAlias = "bool | Decimal | str | tuple[str, ...] | None"
"""What a condition looked at; None when it is not known."""


class Truth(StrEnum):
    """A value of Kleene's three-valued logic."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionTrace:
    """
    One comparison as it was made.

    Attributes:
        condition: The comparison; its `operand` and `threshold` say with what.
        fact: What was compared; None when the attribute is missing or unusable. For evidence under `_present`
            it may be None although the key is present with an unusable value.
    """

    condition: Condition
    fact: Fact
    outcome: Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTrace:
    """
    One applicable rule as it was evaluated.

    Attributes:
        conditions: In the order of `rule.conditions`; empty for an unconditional rule.
        missing: The required keys that were missing, for the rule that checks them; otherwise empty.
    """

    rule: Rule
    truth: Truth
    conditions: tuple[ConditionTrace, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """
    A whole evaluation, explained.

    Attributes:
        similarity: The failure similarity the rules saw.
        rules: Every applicable rule, in stage order, then file order.
        evaluation: The outcome, equal to that of the compiled evaluator.
    """

    policy: Policy
    facts: Facts
    similarity: Decimal
    rules: tuple[RuleTrace, ...]
    evaluation: Evaluation

    def rule(self, rule_id: str) -> RuleTrace | None:
        """Return the trace of one rule, or None when it does not apply to the action."""
        return next((traced for traced in self.rules if traced.rule.rule_id == rule_id), None)


class Tracer(Protocol):
    """Listens to the traced evaluator; what it does cannot change an outcome."""

    def rule(self, traced: RuleTrace) -> None:
        """Called once for every applicable rule, in stage order, then file order."""

    def finish(self, trace: Trace) -> None:
        """Called once, after the last rule."""


class _NullTracer:
    def rule(self, traced: RuleTrace) -> None:
        return

    def finish(self, trace: Trace) -> None:
        return


NULL_TRACER: Final[Tracer] = _NullTracer()


def trace(policy: Policy, request: DecisionRequest, *, similarity: Decimal, tracer: Tracer = NULL_TRACER) -> Trace:
    """
    Evaluate `request` and explain the result.

    Args:
        similarity: The failure similarity, 0 to 1, as a record reports it.
    """
    return trace_facts(policy, derive_facts(policy, request), similarity=similarity, tracer=tracer)


def trace_facts(policy: Policy, facts: Facts, *, similarity: Decimal, tracer: Tracer = NULL_TRACER) -> Trace:
    """
    Evaluate facts that were derived under `policy`, and explain the result.

    Args:
        similarity: The failure similarity, 0 to 1, as a record reports it.
    """
    required = policy.required_evidence.get(facts.action_type, ())
    missing_required = tuple(key for key in required if key in facts.missing)
    rules: list[RuleTrace] = []
    for rule in policy.rules_for(facts.action_type):
        traced = _trace_rule(rule, facts, similarity, missing_required)
        tracer.rule(traced)
        rules.append(traced)
    findings = Findings(
        fired=[traced.rule for traced in rules if traced.truth is Truth.TRUE],
        undetermined=[traced.rule for traced in rules if traced.truth is Truth.UNKNOWN],
        missing_required=missing_required,
        invalid_codes=set(facts.invalid.values()),
        fx_out_of_bounds=facts.fx_out_of_bounds,
        ask=_ask(policy, facts, rules),
    )
    result = Trace(
        policy=policy,
        facts=facts,
        similarity=similarity,
        rules=tuple(rules),
        evaluation=conclude(policy, findings),
    )
    tracer.finish(result)
    return result


def _ask(policy: Policy, facts: Facts, rules: Iterable[RuleTrace]) -> dict[str, str]:
    unknown = {traced.condition.fact for rule in rules for traced in rule.conditions if traced.outcome is Truth.UNKNOWN}
    return {attribute: field_to_ask(policy, facts, attribute) for attribute in unknown}


def _trace_rule(rule: Rule, facts: Facts, similarity: Decimal, missing_required: tuple[str, ...]) -> RuleTrace:
    if rule.is_requirements_check:
        truth = Truth.TRUE if missing_required else Truth.FALSE
        return RuleTrace(rule=rule, truth=truth, conditions=(), missing=missing_required)
    conditions: list[ConditionTrace] = []
    blocks: list[Truth] = []
    for block in rule.blocks:
        truth, traced = _trace_block(block, facts, similarity)
        blocks.append(truth)
        conditions.extend(traced)
    return RuleTrace(rule=rule, truth=all_of(blocks), conditions=tuple(conditions))


def _trace_block(block: Block, facts: Facts, similarity: Decimal) -> tuple[Truth, list[ConditionTrace]]:
    conditions: list[ConditionTrace] = []
    groups: list[Truth] = []
    for group in block.groups:
        traced = [_trace_condition(condition, facts, similarity) for condition in group]
        groups.append(all_of(condition.outcome for condition in traced))
        conditions.extend(traced)
    return (any_of(groups) if block.kind is BlockKind.IF_ANY else all_of(groups)), conditions


def _trace_condition(condition: Condition, facts: Facts, similarity: Decimal) -> ConditionTrace:
    fact = read_attribute(condition.fact, facts, similarity)
    if condition.operator.name == "present":
        seen = fact is not None or condition.evidence_key in facts.invalid
        outcome = Truth.TRUE if seen == condition.operand else Truth.FALSE
    elif fact is None:
        outcome = Truth.UNKNOWN
    else:
        outcome = Truth.TRUE if condition.operator.holds(fact, condition.operand) else Truth.FALSE
    return ConditionTrace(condition=condition, fact=fact, outcome=outcome)


def read_attribute(attribute: str, facts: Facts, similarity: Decimal) -> Fact:
    """Return what a condition on `attribute` looks at, or None when it is not known."""
    match attribute:
        case "amount_usd":
            return facts.amount_usd
        case "amount_currency":
            return facts.amount_currency
        case "risk.failure_similarity":
            return similarity
        case "risk.uncertainty":
            return facts.uncertainty
        case "subject.type":
            return facts.subject_type
        case "tenant.environment":
            return facts.environment
        case "subject.roles":
            return facts.roles
        case "action.tags":
            return facts.tags
    if not attribute.startswith(EVIDENCE_PREFIX):
        raise ValueError(f"no such attribute: `{attribute}`")
    return facts.evidence.get(attribute.removeprefix(EVIDENCE_PREFIX))


def all_of(parts: Iterable[Truth]) -> Truth:
    """Kleene conjunction: false if any part is false, else unknown if any is, else true."""
    seen = set(parts)
    return next((truth for truth in (Truth.FALSE, Truth.UNKNOWN) if truth in seen), Truth.TRUE)


def any_of(parts: Iterable[Truth]) -> Truth:
    """Kleene disjunction: true if any part is true, else unknown if any is, else false."""
    seen = set(parts)
    return next((truth for truth in (Truth.TRUE, Truth.UNKNOWN) if truth in seen), Truth.FALSE)
