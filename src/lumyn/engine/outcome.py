"""
Draws the conclusion from which rules fired and which are undetermined: verdict, codes, matched rules, queries.
Shared by both evaluators; must not know how the truth of a rule was found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lumyn.engine.normalize import EVIDENCE_OUT_OF_RANGE, EVIDENCE_TYPE_INVALID, EVIDENCE_VALUE_UNKNOWN, USD
from lumyn.model import Evaluation, Facts, JsonObject, MatchedRule, Query, Stage, Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import FX_RATE_KEY, Policy, Rule

__all__ = [
    "EVIDENCE_MISSING",
    "FX_RATE_OUT_OF_BOUNDS",
    "LUMYN_EVIDENCE_INVALID",
    "LUMYN_EVIDENCE_UNKNOWN",
    "LUMYN_FX_OUT_OF_BOUNDS",
    "Findings",
    "conclude",
    "field_to_ask",
]

LUMYN_EVIDENCE_INVALID: Final = "LUMYN_EVIDENCE_INVALID"
LUMYN_EVIDENCE_UNKNOWN: Final = "LUMYN_EVIDENCE_UNKNOWN"
LUMYN_FX_OUT_OF_BOUNDS: Final = "LUMYN_FX_OUT_OF_BOUNDS"
EVIDENCE_MISSING: Final = "EVIDENCE_MISSING"
FX_RATE_OUT_OF_BOUNDS: Final = "FX_RATE_OUT_OF_BOUNDS"

_CODE_ORDER: Final = (EVIDENCE_TYPE_INVALID, EVIDENCE_OUT_OF_RANGE, EVIDENCE_VALUE_UNKNOWN)
_GUARDED: Final = frozenset({Stage.REQUIREMENTS, Stage.HARD_BLOCKS, Stage.ESCALATIONS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """
    What the rules made of the facts.

    Attributes:
        fired: Rules that are true, in stage order, then file order.
        undetermined: Rules that are unknown, in the same order.
        missing_required: Required keys of the action that are missing, in the order of the policy.
        invalid_codes: Reason codes of unusable evidence; any order, may repeat.
        ask: Attribute that is not known -> what a query asks for, for every attribute an undetermined rule reads.
    """

    fired: Sequence[Rule]
    undetermined: Sequence[Rule]
    missing_required: Sequence[str]
    invalid_codes: Collection[str]
    fx_out_of_bounds: bool
    ask: Mapping[str, str] = field(default_factory=dict)


def conclude(policy: Policy, findings: Findings) -> Evaluation:
    """
    Return the outcome: the strictest effect among the policy's fired rules and the engine's own.

    `TRUST` survives only when no guarding rule is undetermined: otherwise the engine's requirement
    `LUMYN_EVIDENCE_UNKNOWN` fires and the verdict is `QUERY`.
    """
    matched = _matched(findings)
    verdict = Verdict.strictest(rule.effect for rule in matched) or policy.default_verdict
    queries: Iterable[Query] = ()
    unsettled = [rule for rule in findings.undetermined if rule.stage in _GUARDED]
    if verdict is Verdict.TRUST and unsettled:
        verdict = Verdict.QUERY
        matched.insert(0, _engine_rule(LUMYN_EVIDENCE_UNKNOWN, Stage.REQUIREMENTS, verdict, (EVIDENCE_MISSING,)))
        queries = _queries_for(unsettled, findings.ask)
    elif verdict is Verdict.QUERY:
        queries = _queries_of(findings)
    codes = dict.fromkeys(code for rule in matched for code in rule.reason_codes)
    return Evaluation(
        verdict=verdict,
        reason_codes=tuple(codes) if matched else (policy.default_reason_code,),
        matched_rules=tuple(matched),
        queries=_one_per_field(queries),
        obligations=tuple(_obligation(rule, duty) for rule in findings.fired for duty in rule.obligations),
        undetermined=tuple(rule.rule_id for rule in findings.undetermined),
    )


def field_to_ask(policy: Policy, facts: Facts, attribute: str) -> str:
    """Return what a query asks for when `attribute`, as a condition names it, is not known."""
    if attribute.startswith(EVIDENCE_PREFIX):
        return attribute.removeprefix(EVIDENCE_PREFIX)
    if attribute == "amount_currency" or (attribute == "amount_usd" and facts.amount_value is None):
        return "action.amount"
    if attribute == "amount_usd":
        currency = facts.amount_currency
        if policy.fx_bounds is not None and currency != USD and currency not in policy.fx_bounds:
            return "action.amount.currency"
        return "action.amount" if facts.fx_rate_present and not facts.fx_out_of_bounds else FX_RATE_KEY
    return attribute


def _matched(findings: Findings) -> list[MatchedRule]:
    matched = [_matched_rule(rule) for rule in findings.fired if rule.stage is Stage.REQUIREMENTS]
    if findings.invalid_codes:
        codes = tuple(code for code in _CODE_ORDER if code in findings.invalid_codes)
        matched.append(_engine_rule(LUMYN_EVIDENCE_INVALID, Stage.HARD_BLOCKS, Verdict.ABSTAIN, codes))
    if findings.fx_out_of_bounds:
        codes = (FX_RATE_OUT_OF_BOUNDS,)
        matched.append(_engine_rule(LUMYN_FX_OUT_OF_BOUNDS, Stage.HARD_BLOCKS, Verdict.ABSTAIN, codes))
    matched.extend(_matched_rule(rule) for rule in findings.fired if rule.stage is not Stage.REQUIREMENTS)
    return matched


def _matched_rule(rule: Rule) -> MatchedRule:
    return MatchedRule(rule_id=rule.rule_id, stage=rule.stage, effect=rule.verdict, reason_codes=rule.reason_codes)


def _engine_rule(rule_id: str, stage: Stage, effect: Verdict, codes: tuple[str, ...]) -> MatchedRule:
    return MatchedRule(rule_id=rule_id, stage=stage, effect=effect, reason_codes=codes)


def _queries_for(rules: Sequence[Rule], ask: Mapping[str, str]) -> list[Query]:
    compared = {
        condition.fact for rule in rules for condition in rule.conditions if condition.operator.name != "present"
    }
    return [_generated_query(name) for name in sorted({ask[fact] for fact in compared if fact in ask})]


def _queries_of(findings: Findings) -> list[Query]:
    queries: list[Query] = []
    for rule in findings.fired:
        if rule.verdict is not Verdict.QUERY:
            continue
        if rule.is_requirements_check:
            written = {query.field: query for query in reversed(rule.queries)}
            queries.extend(written.get(key) or _generated_query(key) for key in findings.missing_required)
        else:
            queries.extend(rule.queries)
    return queries


def _generated_query(name: str) -> Query:
    return Query(field=name, question=f"Please provide `{name}`.")


def _one_per_field(queries: Iterable[Query]) -> tuple[Query, ...]:
    first: dict[str, Query] = {}
    for query in queries:
        first.setdefault(query.field, query)
    return tuple(first.values())


def _obligation(rule: Rule, duty: JsonObject) -> JsonObject:
    return {**duty, "source": {"rule_id": rule.rule_id, "stage": rule.stage.value}}
