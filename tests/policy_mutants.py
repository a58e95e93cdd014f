"""
Every small change of a policy that must not go unnoticed: one edit of its document at a time, generated from the
document, so that a rule, key or threshold that is added later is covered without anybody thinking of it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from lumyn.model import Stage, Verdict
from lumyn.policy.loader import parse_policy
from lumyn.policy.operators import split_condition
from lumyn.policy.spec import FX_RATE_KEY, BlockKind, Condition, EvidenceType, Policy, Rule

__all__ = ["EDITS", "Mutant", "dropped", "edited", "mutants", "renamed", "step_of", "without"]

Document: TypeAlias = "dict[str, Any]"
Edits: TypeAlias = "Iterator[tuple[str, Document]]"
Place: TypeAlias = "tuple[str | int, ...]"

STRICTNESS = {"gt": "gte", "gte": "gt", "lt": "lte", "lte": "lt"}
OPPOSITE = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt", "is": "ne", "ne": "is", "in": "not_in", "not_in": "in"}
GUARDS = (Stage.REQUIREMENTS, Stage.HARD_BLOCKS, Stage.ESCALATIONS)


@dataclass(frozen=True)
class Mutant:
    """One changed policy: `kind` is what sort of change it is, `name` says which."""

    kind: str
    name: str
    document: Document

    def load(self) -> Policy:
        """Return the policy; raises InvalidPolicyError when the change makes it one that cannot be used."""
        return parse_policy(json.dumps(self.document))


def mutants(policy: Policy) -> Iterator[Mutant]:
    """Yield every mutant of `policy`, each different from it and from one another."""
    seen = {json.dumps(policy.document)}
    for kind, edits in EDITS.items():
        for name, document in edits(policy):
            text = json.dumps(document)
            if text not in seen:
                seen.add(text)
                yield Mutant(kind, name, document)


def edited(policy: Policy, *place: str | int, to: object) -> Document:
    """Return the policy's document with another value at a place."""
    document, holder, key = _copied(policy, place)
    holder[key] = to
    return document


def dropped(policy: Policy, *place: str | int) -> Document:
    """Return the policy's document without what stands at a place; a list or block it leaves empty goes with it."""
    document, holder, key = _copied(policy, place)
    del holder[key]
    if not holder and len(place) > 3:
        *above, last = place[:-1]
        parent: Any = document
        for token in above:
            parent = parent[token]
        del parent[last]
    return document


def without(policy: Policy, rule_id: str, text: str) -> Document:
    """Return the document without one condition of a rule."""
    rule = next(rule for rule in policy.rules if rule.rule_id == rule_id)
    return next(dropped(policy, *place) for place, condition in _conditions(rule) if condition.text == text)


def renamed(policy: Policy, rule_id: str, old: str, new: str) -> Document:
    """Return the document with another operator in one condition of a rule; its place among them stays."""
    rule = next(rule for rule in policy.rules if rule.rule_id == rule_id)
    place = next(place[:-1] for place, condition in _conditions(rule) if condition.text == old)
    _, group, _ = _copied(policy, (*place, old))
    return edited(policy, *place, to={new if key == old else key: value for key, value in group.items()})


def step_of(policy: Policy, fact: str) -> Decimal:
    """Return the distance between neighbouring values of an attribute: declared, a whole number, else a hundredth."""
    spec = policy.evidence.get(fact.removeprefix("evidence."))
    if spec is not None and spec.step is not None:
        return spec.step
    return Decimal(1) if spec is not None and spec.type is EvidenceType.INTEGER else Decimal("0.01")


# The edits, by kind


def _rules_deleted(policy: Policy) -> Edits:
    for rule in policy.rules:
        document = dropped(policy, "rules", rule.index)
        checks = [each for each in policy.rules if each.is_requirements_check and each is not rule]
        for action in policy.required_evidence:
            # Without a rule that asks for them, required keys are an error of their own.
            if not any(check.applies_to(action) for check in checks):
                del document["required_evidence"][action]
        yield rule.rule_id, document


def _conditions_removed(policy: Policy) -> Edits:
    for rule in policy.rules:
        for place, condition in _conditions(rule):
            yield f"{rule.rule_id} {condition.text}", dropped(policy, *place)


def _strictness(policy: Policy) -> Edits:
    yield from _operators(policy, STRICTNESS)


def _negations(policy: Policy) -> Edits:
    yield from _operators(policy, OPPOSITE)


def _operators(policy: Policy, other: dict[str, str]) -> Edits:
    for rule in policy.rules:
        for condition in rule.conditions:
            subject, name = split_condition(condition.text) or ("", "")
            if name in other:
                new = f"{subject}_{other[name]}"
                yield f"{rule.rule_id} {condition.text} -> {new}", renamed(policy, rule.rule_id, condition.text, new)


def _thresholds(policy: Policy) -> Edits:
    read = {condition.threshold: condition for rule in policy.rules for condition in rule.conditions}
    for name, value in policy.thresholds.items():
        if isinstance(value, Decimal):
            for other in _neighbours(value, step_of(policy, read[name].fact)):
                yield f"{name} {value} -> {other}", edited(policy, "thresholds", name, to=_json(other))


def _operands(policy: Policy) -> Edits:
    for rule in policy.rules:
        for place, condition in _conditions(rule):
            if condition.threshold is None:
                for operand in _other_operands(policy, condition):
                    yield f"{rule.rule_id} {condition.text}: {operand}", edited(policy, *place, to=operand)


def _other_operands(policy: Policy, condition: Condition) -> Iterator[object]:
    operand = condition.operand
    match operand:
        case bool():
            yield not operand
        case Decimal():
            yield from (_json(value) for value in _neighbours(operand, step_of(policy, condition.fact)))
        case tuple() if len(operand) > 1:
            for place in range(len(operand)):
                yield [_json(value) for value in (*operand[:place], *operand[place + 1 :])]
        case str():
            spec = policy.evidence.get(condition.evidence_key or "")
            yield from (value for value in (spec.values if spec else ("EUR",)) if value != operand)


def _defaults(policy: Policy) -> Edits:
    for verdict in Verdict:
        if verdict not in (Verdict.TRUST, policy.default_verdict):
            yield f"verdict {verdict}", edited(policy, "defaults", "default_verdict", to=verdict.value)
    for code in sorted(policy.may_emit() - {policy.default_reason_code}):
        yield f"reason code {code}", edited(policy, "defaults", "default_reason_code", to=code)
    yield "mode", edited(policy, "defaults", "mode", to="advisory")


def _required_keys(policy: Policy) -> Edits:
    for action, keys in policy.required_evidence.items():
        for key in keys:
            left = [each for each in keys if each != key]
            yield f"{action} {key} dropped", edited(policy, "required_evidence", action, to=left)
        yield f"{action} reversed", edited(policy, "required_evidence", action, to=[*reversed(keys)])


def _reason_codes(policy: Policy) -> Edits:
    codes = sorted(policy.may_emit() - {policy.default_reason_code})
    for rule in policy.rules:
        for place, code in enumerate(rule.reason_codes):
            other = next(each for each in codes if each not in rule.reason_codes)
            document = edited(policy, "rules", rule.index, "then", "reason_codes", place, to=other)
            yield f"{rule.rule_id} {code} -> {other}", document


def _effects(policy: Policy) -> Edits:
    for rule in policy.rules:
        for verdict in Verdict:
            if rule.stage in GUARDS and verdict not in (rule.verdict, Verdict.TRUST):
                document = edited(policy, "rules", rule.index, "then", "verdict", to=verdict.value)
                document["rules"][rule.index]["then"].pop("queries", None)
                yield f"{rule.rule_id} {rule.verdict} -> {verdict}", document


def _stages(policy: Policy) -> Edits:
    for rule in policy.rules:
        for stage in GUARDS:
            if rule.stage in GUARDS and rule.stage is not stage:
                document = edited(policy, "rules", rule.index, "stage", to=stage.value)
                yield f"{rule.rule_id} {rule.stage} -> {stage}", document


def _order(policy: Policy) -> Edits:
    for first, second in zip(policy.rules, policy.rules[1:], strict=False):
        together = any(first.applies_to(action) and second.applies_to(action) for action in policy.action_types)
        if first.stage is second.stage and together:
            document: Document = copy.deepcopy(policy.document)
            document["rules"].insert(first.index, document["rules"].pop(second.index))
            yield f"{first.rule_id} and {second.rule_id}", document


def _actions(policy: Policy) -> Edits:
    for rule in policy.rules:
        if rule.actions is not None:
            yield f"{rule.rule_id} for every action", dropped(policy, "rules", rule.index, "when")
            for action in rule.actions if len(rule.actions) > 1 else ():
                left = [each for each in rule.actions if each != action]
                document = edited(policy, "rules", rule.index, "when", to={"action_type_in": left})
                yield f"{rule.rule_id} not for {action}", document


def _queries(policy: Policy) -> Edits:
    for rule in policy.rules:
        for place, query in enumerate(rule.queries):
            document = dropped(policy, "rules", rule.index, "then", "queries", place)
            yield f"{rule.rule_id} {query.field} dropped", document


def _evidence(policy: Policy) -> Edits:
    declared: Document = policy.document.get("evidence", {})  # type: ignore[assignment]
    for key, members in declared.items():
        yield f"{key} not declared", dropped(policy, "evidence", key)
        for member, value in members.items():
            if member not in ("type", "step"):  # a step is read by analysis, never by a decision
                yield f"{key} {member} dropped", dropped(policy, "evidence", key, member)
            for other in _other_members(member, value, step_of(policy, key)):
                yield f"{key} {member}: {other}", edited(policy, "evidence", key, member, to=other)


def _other_members(member: str, value: Any, step: Decimal) -> Iterator[object]:
    match member:
        case "min" | "max":
            yield from (_json(number) for number in _neighbours(Decimal(str(value)), step))
        case "default":
            yield not value
        case "type":
            yield from ("number", "string")
        case "values":
            yield from ([each for each in value if each != gone] for gone in value)
            yield [*value, "unknown"]


def _fx_bounds(policy: Policy) -> Edits:
    step = step_of(policy, FX_RATE_KEY)
    for currency, bounds in (policy.fx_bounds or {}).items():
        yield f"{currency} dropped", dropped(policy, "fx_bounds", currency)
        for place, bound in enumerate(bounds):
            for other in _neighbours(bound, step):
                yield f"{currency} {bound} -> {other}", edited(policy, "fx_bounds", currency, place, to=_json(other))
    if policy.fx_bounds is not None:
        yield "all dropped", dropped(policy, "fx_bounds")


EDITS: dict[str, Callable[[Policy], Edits]] = {
    "rule deleted": _rules_deleted,
    "condition removed": _conditions_removed,
    "comparison made strict or non-strict": _strictness,
    "comparison reversed": _negations,
    "threshold one step off": _thresholds,
    "operand changed": _operands,
    "default changed": _defaults,
    "required key changed": _required_keys,
    "reason code changed": _reason_codes,
    "effect changed": _effects,
    "stage changed": _stages,
    "order changed": _order,
    "actions changed": _actions,
    "query dropped": _queries,
    "evidence declaration changed": _evidence,
    "rate bound changed": _fx_bounds,
}


# Places in the document


def _conditions(rule: Rule) -> Iterator[tuple[Place, Condition]]:
    """Yield each condition of a rule with its place."""
    for block in rule.blocks:
        for number, group in enumerate(block.groups):
            inner = () if block.kind is BlockKind.IF else (number,)
            for condition in group:
                yield ("rules", rule.index, block.kind.value, *inner, condition.text), condition


def _copied(policy: Policy, place: Place) -> tuple[Document, Any, Any]:
    """Return a copy of the document, what holds the place in it, and the place's last token."""
    document: Document = copy.deepcopy(policy.document)
    holder: Any = document
    for token in place[:-1]:
        holder = holder[token]
    return document, holder, place[-1]


def _neighbours(value: Decimal, step: Decimal) -> tuple[Decimal, Decimal]:
    return value - step, value + step


def _json(value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)
