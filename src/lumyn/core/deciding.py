"""
Which rules decided a record: those whose effect is the verdict, with what they compared.
Reads a record and a trace of the engine; must not know where either came from or how a rule is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lumyn.core.records import DecisionRecord
from lumyn.engine.nearest import condition_text
from lumyn.engine.outcome import LUMYN_EVIDENCE_INVALID, LUMYN_EVIDENCE_UNKNOWN, LUMYN_FX_OUT_OF_BOUNDS
from lumyn.engine.trace import RuleTrace, Trace, Truth
from lumyn.errors import Span
from lumyn.model import MatchedRule, Stage, Verdict
from lumyn.policy.spec import Policy

__all__ = ["DEFAULT_RULE", "DecidingRule", "deciding_rules"]

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
