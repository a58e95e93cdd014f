"""
What each coverage goal asks of a request, as a formula, written from what the goals are said to mean.
The list is made here once more, names and all, so that a goal the analysis forgets is noticed, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from z3_model import Model, z3

from lumyn.analysis.mutant import step_of
from lumyn.analysis.scale import Criterion
from lumyn.model import Verdict
from lumyn.policy.operators import OPERATORS
from lumyn.policy.spec import BlockKind, Condition, Policy, Rule

Where = Callable[[Model], Any]
Wanted = tuple[Criterion, str, frozenset[str] | None, Where]
"""A criterion, a name, the actions that can meet it or None for all, and where a request does."""

RISING = ("gt", "lte")
"""Comparisons that come out otherwise above their constant; the other two do below."""


def goals(policy: Policy) -> Iterator[Wanted]:
    """Yield every goal of a policy; those of one criterion that would be called alike are numbered from the second."""
    known: Counter[tuple[Criterion, str]] = Counter()
    for criterion, name, actions, where in _every(policy):
        known[criterion, name] += 1
        count = known[criterion, name]
        yield criterion, name if count == 1 else f"{name}#{count}", actions, where


def edges(policy: Policy) -> list[Condition]:
    """Return comparisons with the constants that goals name, for a world to know of them."""
    return [edge for rule in policy.rules for each in rule.conditions for edge in _span(policy, each) or ()]


def _every(policy: Policy) -> Iterator[Wanted]:
    for rule in policy.rules:
        here = None if rule.actions is None else frozenset(rule.actions)
        yield Criterion.FIRED, rule.rule_id, here, lambda m, r=rule: m.fires(r)
        yield Criterion.DECIDES, rule.rule_id, here, lambda m, r=rule: decides(m, r)
        for condition in rule.conditions:
            name = f"{rule.rule_id}/{condition.text.removeprefix('evidence.')}"
            for outcome in ("true", "false", "unknown"):
                kind = Criterion.UNKNOWN_INPUTS if outcome == "unknown" else Criterion.CONDITIONS
                yield kind, f"{name}/{outcome}", here, lambda m, c=condition, o=outcome: _outcome(m, c, o)
            span = _span(policy, condition)
            for tail in ("at", "past") if span else ():
                yield (
                    Criterion.BOUNDARIES,
                    f"{name}/{tail}",
                    here,
                    lambda m, r=rule, c=condition, s=span, t=tail: z3.And(_edge(m, s, t), _decisive(m, r, c)),
                )
    yield Criterion.FIRED, "DEFAULT", None, lambda m: m.default
    for code in sorted({code for rule in policy.rules for code in rule.reason_codes} | {policy.default_reason_code}):
        yield Criterion.CODES, code, None, lambda m, c=code: _says(m, c)
    for action, keys in policy.required_evidence.items():
        for key in keys:
            yield Criterion.REQUIRED, f"{action}/{key}", frozenset({action}), lambda m, k=key: _alone_missing(m, k)
    for action in policy.action_types:
        for verdict in Verdict:
            name = f"{action}/{verdict}"
            yield Criterion.VERDICTS, name, frozenset({action}), lambda m, v=verdict: m.verdicts[v]


def decides(model: Model, rule: Rule) -> Any:
    """Return where a rule alone is what the verdict comes from."""
    rivals = [
        model.possible(other) if rule.verdict is Verdict.TRUST and other.verdict is not Verdict.TRUST
        else model.fires(other)
        for other in model.rules
        if other is not rule and other.verdict.strictness >= rule.verdict.strictness
    ]  # fmt: skip
    return z3.And(model.fires(rule), z3.Not(z3.Or(model.engine, *rivals)))


def _outcome(model: Model, condition: Condition, outcome: str) -> Any:
    true, false = model.condition(condition)
    return {"true": true, "false": false, "unknown": z3.Not(z3.Or(true, false))}[outcome]


def _says(model: Model, code: str) -> Any:
    firing = [model.fires(rule) for rule in model.rules if code in rule.reason_codes]
    return z3.Or(*firing, model.default if code == model.policy.default_reason_code else z3.BoolVal(False))


def _alone_missing(model: Model, key: str) -> Any:
    return z3.And([model.missing(each) if each == key else z3.Not(model.missing(each)) for each in model.required])


def _span(policy: Policy, condition: Condition) -> tuple[Condition, Condition] | None:
    """Return comparisons with the constant and with the value a step past it, lower first; None: there is no edge."""
    name, value = condition.operator.name, condition.operand
    if not condition.operator.ordering or not isinstance(value, Decimal):
        return None
    low, high = value, value + step_of(policy, condition.fact)
    if name not in RISING:
        low, high = value - step_of(policy, condition.fact), value
    return (
        replace(condition, operator=OPERATORS["gte"], operand=low, threshold=None),
        replace(condition, operator=OPERATORS["lte"], operand=high, threshold=None),
    )


def _edge(model: Model, span: tuple[Condition, Condition], tail: str) -> Any:
    """Return where an attribute has the value of a boundary, or one on its other side that is a step away at most."""
    low, high = span
    within = [model.condition(each)[0] for each in span]
    value = low if span[0].text.endswith(("_gt", "_lte")) else high
    at = [model.condition(replace(value, operator=OPERATORS[name]))[0] for name in ("gte", "lte")]
    return z3.And(at) if tail == "at" else z3.And(*within, z3.Not(z3.And(at)))


def _decisive(model: Model, rule: Rule, condition: Condition) -> Any:
    """Return where a rule fires if one of its conditions holds, and does not if it fails."""
    return z3.And(_fires_if(model, rule, condition, True), z3.Not(_fires_if(model, rule, condition, False)))


def _fires_if(model: Model, rule: Rule, condition: Condition, holds: bool) -> Any:
    blocks = []
    for block in rule.blocks:
        groups = [
            z3.And([z3.BoolVal(holds) if each is condition else model.condition(each)[0] for each in group])
            for group in block.groups
        ]
        blocks.append(z3.Or(groups) if block.kind is BlockKind.IF_ANY else z3.And(groups))
    return z3.And(blocks)
