"""
A policy in words: its stages in the order in which they run, each rule as a sentence, and what the rules rest on.
Must not know where a policy comes from nor how words are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lumyn.engine.nearest import value_text
from lumyn.model import EVALUATION_ORDER, JsonValue, Stage
from lumyn.policy.operators import EVIDENCE_PREFIX, Operand
from lumyn.policy.registry import registry
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import Block, BlockKind, Condition, EvidenceSpec, EvidenceType, Policy, Rule
from lumyn.report.sections import Row, Section

__all__ = ["condition_words", "policy_sections", "rule_sentence", "stage_documents"]

_TITLES: Final = {
    Stage.REQUIREMENTS: "1. REQUIREMENTS: what has to be known",
    Stage.HARD_BLOCKS: "2. HARD_BLOCKS: what must not happen",
    Stage.ESCALATIONS: "3. ESCALATIONS: what a person must approve",
    Stage.TRUST_PATHS: "4. TRUST_PATHS: what may proceed, unless a rule above says otherwise",
    Stage.DEFAULT: "5. DEFAULT: when no rule fires",
}
_COMPARED: Final = {
    "is": "is {}",
    "ne": "is not {}",
    "in": "is {}",
    "not_in": "is none of {}",
    "gt": "is more than {}",
    "gte": "is {} or more",
    "lt": "is less than {}",
    "lte": "is {} or less",
    "contains": "contains {}",
    "contains_any": "contains {}",
}


def policy_sections(policy: Policy) -> list[Section]:
    """Return a policy in words; empty sections are left out."""
    rows: dict[str, list[Row]] = {
        "Required evidence": [
            Row(label=action, text=", ".join(keys)) for action, keys in policy.required_evidence.items()
        ],
        "Evidence": [Row(label=key, text=_type_words(spec)) for key, spec in policy.evidence.items() if spec.declared],
        "Thresholds": [Row(label=name, text=value_text(value)) for name, value in policy.thresholds.items()],
        "Exchange rates, US dollars for one unit": [
            Row(label=currency, text=f"from {decimal_text(low)} to {decimal_text(high)}")
            for currency, (low, high) in (policy.fx_bounds or {}).items()
        ],
    }
    for stage in EVALUATION_ORDER:
        rows[_TITLES[stage]] = [_rule_row(rule, policy) for rule in policy.rules if rule.stage is stage]
    default = f"{policy.default_reason_code}{_meaning(policy.default_reason_code, policy)}"
    rows[_TITLES[Stage.DEFAULT]].append(Row(label="default", text="", verdict=policy.default_verdict, below=(default,)))
    return [Section(title=title, rows=tuple(each)) for title, each in rows.items() if each]


def stage_documents(policy: Policy) -> list[JsonValue]:
    """Return the stages in order, each with its rules as sentences, as JSON data."""
    return [
        {
            "stage": stage.value,
            "rules": [
                {
                    "rule_id": rule.rule_id,
                    "verdict": rule.verdict.value,
                    "sentence": rule_sentence(rule),
                    "reason_codes": list(rule.reason_codes),
                    "line": rule.span.line,
                }
                for rule in policy.rules
                if rule.stage is stage
            ],
        }
        for stage in EVALUATION_ORDER
        if stage is not Stage.DEFAULT
    ]


def rule_sentence(rule: Rule) -> str:
    """Return when a rule fires, such as `support.refund, when chargeback_risk is 0.7 or more`."""
    actions = "any action" if rule.actions is None else " or ".join(rule.actions)
    if rule.is_requirements_check:
        return f"{actions}, when something required is missing"
    if not rule.blocks:
        return f"{actions}, always"
    several = len(rule.blocks) > 1
    return f"{actions}, when {' and '.join(_block_words(block, several=several) for block in rule.blocks)}"


def condition_words(condition: Condition) -> str:
    """Return one condition, such as `chargeback_risk is 0.7 or more (chargeback_risk_block)`."""
    name = condition.fact.removeprefix(EVIDENCE_PREFIX)
    if condition.operator.name == "present":
        return f"{name} is {'given' if condition.operand is True else 'missing'}"
    threshold = f" ({condition.threshold})" if condition.threshold else ""
    return f"{name} {_COMPARED[condition.operator.name].format(_operand_words(condition.operand))}{threshold}"


def _block_words(block: Block, *, several: bool) -> str:
    any_of = block.kind is BlockKind.IF_ANY and len(block.groups) > 1
    groups = [" and ".join(condition_words(condition) for condition in group) for group in block.groups]
    if not any_of:
        return " and ".join(groups)
    shown = [f"({words})" if len(group) > 1 else words for words, group in zip(groups, block.groups, strict=True)]
    text = " or ".join(shown)
    return f"({text})" if several else text


def _operand_words(operand: Operand) -> str:
    if not isinstance(operand, tuple):
        return value_text(operand)
    words = [value_text(member) for member in operand]
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _type_words(spec: EvidenceSpec) -> str:
    words = spec.type.value
    if spec.type is EvidenceType.ENUM:
        words = f"one of {', '.join(spec.values)}"
    elif spec.minimum is not None and spec.maximum is not None and not spec.exclusive_minimum:
        words += f" from {decimal_text(spec.minimum)} to {decimal_text(spec.maximum)}"
    else:
        if spec.minimum is not None:
            bound = decimal_text(spec.minimum)
            words += f", more than {bound}" if spec.exclusive_minimum else f", {bound} or more"
        if spec.maximum is not None:
            words += f", {decimal_text(spec.maximum)} or less"
    return words if spec.default is None else f"{words}; {value_text(spec.default)} when missing"


def _rule_row(rule: Rule, policy: Policy) -> Row:
    return Row(label=rule.rule_id, text=rule_sentence(rule), verdict=rule.verdict, below=tuple(_below(rule, policy)))


def _below(rule: Rule, policy: Policy) -> Iterator[str]:
    for code in rule.reason_codes:
        yield f"{code}{_meaning(code, policy)}"
    for query in rule.queries:
        yield f"asks for {query.field}: {query.question}"
    for obligation in rule.obligations:
        yield f"obliges to {obligation.get('type', 'something')}"


def _meaning(code: str, policy: Policy) -> str:
    meaning = policy.reason_codes.get(code) or registry().get(code)
    return f": {meaning}" if meaning else ""
