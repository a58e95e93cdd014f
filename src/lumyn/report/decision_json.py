"""
The explanation of a stored decision as plain JSON data, for programs.
The form is documented in docs/cli.md and only grows; must not know how it is written.
"""

from __future__ import annotations

from lumyn.core.alternatives import Alternative
from lumyn.core.deciding import DecidingRule
from lumyn.core.explain import Consulted, Explanation
from lumyn.engine.trace import ConditionTrace, Fact, RuleTrace, Truth
from lumyn.errors import Span
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.operators import Operand
from lumyn.policy.scalars import decimal_text
from lumyn.report.decision import PolicyPlace

__all__ = ["explanation_document"]

_OUTCOMES = {Truth.TRUE: "fired", Truth.FALSE: "not_fired", Truth.UNKNOWN: "unknown"}


def explanation_document(explanation: Explanation, place: PolicyPlace) -> dict[str, object]:
    """Return the explanation as JSON data; numbers that rules compare are decimal text, exact."""
    record, replay = explanation.record, explanation.replay
    facts = None if explanation.traced is None else explanation.traced.facts
    return {
        "decision_id": record.decision_id,
        "created_at": record.created_at,
        "verdict": record.verdict.value,
        "reason_codes": list(record.reason_codes),
        "policy": {
            "policy_id": record.policy.policy_id,
            "policy_version": record.policy.policy_version,
            "policy_hash": record.policy.policy_hash,
            "mode": record.policy.mode.value,
            "file": place.file or None,
            "file_is_same": place.same,
            "problem": explanation.policy_problem or None,
        },
        "deciding": [_deciding(rule) for rule in explanation.deciding],
        "rules": None if explanation.traced is None else [_rule(rule) for rule in explanation.traced.rules],
        "alternatives": [_alternative(each) for each in explanation.alternatives],
        "not_searched": explanation.not_searched or None,
        "evidence": {
            "missing": None if facts is None else list(facts.missing),
            "invalid": None if facts is None else dict(facts.invalid),
            "amount_usd": None if facts is None or facts.amount_usd is None else decimal_text(facts.amount_usd),
            "uncertainty": decimal_text(record.uncertainty),
            "not_stored": list(explanation.removed),
            "from_facts": list(explanation.from_facts),
            "not_known": list(explanation.unknown),
        },
        "memory": {
            "items": explanation.memory_items,
            "failure_similarity": decimal_text(record.failure_similarity),
            "matches": [_consulted(each) for each in explanation.consulted],
        },
        "queries": [{"field": query.field, "question": query.question} for query in record.queries],
        "obligations": list(record.obligations),
        "digests": {
            "inputs": record.inputs_digest,
            "request": record.request_digest,
            "policy": record.policy.policy_hash,
            "memory": record.memory_snapshot,
        },
        "replay": {
            "status": replay.status.value,
            "reason": replay.reason or None,
            "differences": [
                {"path": each.path, "stored": each.stored, "replayed": each.replayed} for each in replay.differences
            ],
        },
    }


def _deciding(rule: DecidingRule) -> JsonObject:
    return {
        "rule_id": rule.rule_id,
        "stage": rule.stage.value,
        "effect": rule.effect.value,
        **_place(rule.span),
        "operands": list(rule.operands),
    }


def _rule(traced: RuleTrace) -> JsonObject:
    rule = traced.rule
    return {
        "rule_id": rule.rule_id,
        "stage": rule.stage.value,
        "effect": rule.verdict.value,
        "reason_codes": list(rule.reason_codes),
        "outcome": _OUTCOMES[traced.truth],
        **_place(rule.span),
        "missing": list(traced.missing),
        "conditions": [_condition(condition) for condition in traced.conditions],
    }


def _condition(traced: ConditionTrace) -> JsonObject:
    condition = traced.condition
    return {
        "fact": condition.fact,
        "operator": condition.operator.name,
        "operand": _value(condition.operand),
        "threshold": condition.threshold,
        "value": _value(traced.fact),
        "outcome": traced.outcome.value,
    }


def _alternative(found: Alternative) -> JsonObject:
    return {
        "words": found.words,
        "verdict": found.verdict.value,
        "reason_codes": list(found.reason_codes),
        "distance": decimal_text(round(found.distance, 6)),
        "changes": [
            {"name": each.name, "pointer": each.pointer, "words": each.words, "value": each.value}
            for each in found.changes
        ],
    }


def _consulted(consulted: Consulted) -> JsonObject:
    match, item, found = consulted.match, consulted.item, consulted.resemblance
    return {
        "memory_id": match.memory_id,
        "label": match.label.value,
        "score": decimal_text(match.score),
        "summary": match.summary,
        "created_at": None if item is None else item.created_at,
        "source_decision_id": None if item is None else item.source_decision_id,
        "shared": None if found is None else list(found.shared),
        "left_out": None if found is None else list(found.unsaid),
        "different": None if found is None else list(found.differing),
    }


def _place(span: Span | None) -> JsonObject:
    return {"line": None if span is None else span.line, "column": None if span is None else span.column}


def _value(value: Fact | Operand) -> JsonValue:
    if isinstance(value, tuple):
        return [_value(member) for member in value]
    return value if value is None or isinstance(value, (bool, str)) else decimal_text(value)
