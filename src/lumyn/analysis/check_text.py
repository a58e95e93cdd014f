"""
What the text of a policy alone shows: constants that nobody reads or that stand in several places, codes never given.
Must not know requests, nor how findings are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from lumyn.analysis.finding import Finding, Level
from lumyn.analysis.mutant import conditions_of, operand_text, share_an_action, shown
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import FX_RATE_KEY, Condition, Policy, Rule

__all__ = ["findings_of_text"]


def findings_of_text(policy: Policy) -> Iterator[Finding]:
    """Yield what is odd about the text of a policy."""
    yield from _unused(policy)
    yield from _twice(policy)
    yield from _repeated(policy)
    yield from _unnamed(policy)
    money = next((c for _, c in conditions_of(policy) if c.fact == "amount_usd"), None)
    if policy.fx_bounds is None and money is not None:
        yield Finding(
            code="FX_UNBOUNDED",
            level=Level.WARNING,
            message=f"amounts in other currencies are converted at any `{FX_RATE_KEY}` the caller names",
            advice="add `fx_bounds`: the least and the greatest rate believed for each currency",
            span=money.span,
        )


def _unused(policy: Policy) -> Iterator[Finding]:
    read = {condition.threshold for _, condition in conditions_of(policy)}
    read |= {condition.threshold for promise in policy.promises for condition in promise.conditions}
    for name in policy.thresholds:
        if name not in read:
            yield Finding(
                code="THRESHOLD_UNUSED",
                level=Level.WARNING,
                message=f"threshold `{name}` is never used: changing it changes nothing",
                advice=f"read it with `{{ threshold: {name} }}` where it belongs, or take it out",
                span=policy.spans.get(f"/thresholds/{name}"),
            )
    given = policy.may_emit()
    for code in policy.reason_codes:
        if code not in given:
            yield Finding(
                code="REASON_CODE_UNUSED",
                level=Level.WARNING,
                message=f"reason code `{code}` is declared and never given",
                advice="give it in the rule it was meant for, or take it out",
                span=policy.spans.get(f"/reason_codes/{code}"),
            )


def _twice(policy: Policy) -> Iterator[Finding]:
    """Find thresholds with one value that are compared with one attribute: one of them will be forgotten."""
    known: dict[tuple[str, object, object], str] = {}
    told: set[tuple[str, str]] = set()
    for rule, condition in conditions_of(policy):
        name = condition.threshold
        if name is None:
            continue
        for action in rule.actions or ("",):
            first = known.setdefault((condition.fact, action, condition.operand), name)
            if first != name and (first, name) not in told:
                told.add((first, name))
                yield Finding(
                    code="THRESHOLD_TWICE",
                    level=Level.WARNING,
                    message=f"thresholds `{first}` and `{name}` are both {operand_text(condition.operand)}, "
                    f"for `{condition.fact.removeprefix(EVIDENCE_PREFIX)}` of the same action",
                    advice="use one of them in both places, unless they are meant to part",
                    span=policy.spans.get(f"/thresholds/{name}"),
                )


def _repeated(policy: Policy) -> Iterator[Finding]:
    """Find numbers that stand in a rule though a threshold for the same attribute has that value."""
    facts: dict[str, set[str]] = {}
    for _, condition in conditions_of(policy):
        if condition.threshold is not None:
            facts.setdefault(condition.fact, set()).add(condition.threshold)
    for rule, condition in conditions_of(policy):
        value = condition.operand
        if condition.threshold is None and isinstance(value, Decimal):
            for name in sorted(facts.get(condition.fact, ())):
                if policy.thresholds[name] == value:
                    yield Finding(
                        code="THRESHOLD_REPEATED",
                        level=Level.WARNING,
                        message=f"{rule.rule_id}: `{shown(condition)}` repeats threshold `{name}`; they will part",
                        advice=f"write `{{ threshold: {name} }}`",
                        span=condition.span,
                    )


def _unnamed(policy: Policy) -> Iterator[Finding]:
    """Find one number that several rules of an action compare one attribute with, and that has no name."""
    named = {(c.fact, c.operand) for _, c in conditions_of(policy) if c.threshold is not None}
    first: dict[tuple[str, Decimal], list[tuple[Rule, Condition]]] = {}
    told: set[tuple[str, Decimal]] = set()
    for rule, condition in conditions_of(policy):
        value = condition.operand
        if condition.threshold is not None or not isinstance(value, Decimal) or not condition.operator.ordering:
            continue
        key = (condition.fact, value)
        if key in named or key in told:
            continue
        others = first.setdefault(key, [])
        other = next((each for each in others if each[0] is not rule and share_an_action(each[0], rule)), None)
        others.append((rule, condition))
        if other is not None:
            told.add(key)
            yield Finding(
                code="NUMBER_REPEATED",
                level=Level.WARNING,
                message=f"{other[0].rule_id} and {rule.rule_id} both write {operand_text(value)}: "
                f"`{shown(other[1])}` and `{shown(condition)}` will part when one is edited",
                advice="name the number under `thresholds` and let both read it",
                span=condition.span,
            )
