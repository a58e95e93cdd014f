"""
What the requests of one action show: gaps, absence that is rewarded, odd numbers, and how verdicts move with them.
Exact for every request; must not know single rules' fates, nor how findings are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

from lumyn.analysis.boxes import Box, BudgetExceededError
from lumyn.analysis.copies import Trusted, Twins, ascending, cuts
from lumyn.analysis.dimension import MONEY_FACTS, bits
from lumyn.analysis.finding import Example, Finding, Level, example_of, examples_of
from lumyn.analysis.growth import asks_in_reach, growth_of, numbers_of
from lumyn.analysis.mutant import conditions_of
from lumyn.analysis.prove import open_keys
from lumyn.analysis.regions import View
from lumyn.analysis.witness import AnalysisDefectError, case_at
from lumyn.errors import Span
from lumyn.model import JsonObject, JsonValue, Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX, OPERATORS
from lumyn.policy.spec import Condition, Policy

__all__ = ["cuts_for", "findings_of_action"]

_ZERO: Final = Decimal(0)
_MOST_OPEN: Final = 3
"""Once it was given up for so many numbers of an action how verdicts move with them, it is not asked for the rest."""


def cuts_for(policy: Policy, action: str) -> Iterator[Condition]:
    """Yield what has to be told apart besides what the rules compare: order among values, and what is below zero."""
    for fact in numbers_of(policy, action):
        holes = {"is", "ne", "in", "not_in"}
        if any(c.operator.name in holes for r in policy.rules_for(action) for c in r.conditions if c.fact == fact):
            yield from cuts(policy, fact)
    for key in _unbounded_below(policy, action):
        known = next(c for _, c in conditions_of(policy) if c.evidence_key == key)
        yield _below_zero(known)


def findings_of_action(view: View, *, named: bool) -> Iterator[Finding]:
    """
    Yield what is odd about the requests of an action.

    Args:
        named: Whether the policy names the action; otherwise it stands for all that it does not name.

    Raises:
        BudgetExceededError: Something could not be told.
    """
    if not named:
        yield from _unnamed(view)
        return
    yield from _default(view)
    if view.trusting().must[0]:
        yield from _open(view)
        yield from _amounts(view)
        yield from _negative(view)
    yield from _growth(view)


def _trusted(view: View, start: Box) -> Example | None:
    """Return a request in some part of the space that is trusted, or None: there is none."""
    region = view.trusting()
    if not region.must[0]:
        return None
    corner = view.space.search.find(start, must=region.must, avoid=region.avoid)
    if corner is None:
        return None
    return example_of(view.policy, case_at(view.space.action, view.space.point(corner)), Verdict.TRUST)


def _place(view: View, fact: str | None = None, verdict: Verdict | None = None) -> Span | None:
    """Return where a rule of the action compares a fact, or where one with a verdict stands, or any of its rules."""
    rules = [each.rule for each in view.rules if verdict is None or each.rule.verdict is verdict]
    if fact is not None:
        return next((c.span for rule in rules for c in rule.conditions if c.fact == fact), None)
    return rules[0].span if rules else None


# Gaps


def _default(view: View) -> Iterator[Finding]:
    policy, action = view.policy, view.space.action
    corner = view.space.search.find((), avoid=view.default().avoid)
    if corner is None:
        return
    example = example_of(policy, case_at(action, view.space.point(corner)), policy.default_verdict)
    if example.evaluation.matched_rules:
        raise AnalysisDefectError("the engine fires a rule where the analysis says that none does")
    yield Finding(
        code="DEFAULT_REACHED",
        level=Level.NOTE,
        message=f"{action}: some requests match no rule and get the default {policy.default_verdict}",
        advice="fine where the default is what you want of them; otherwise say so in a rule",
        span=_place(view),
        examples=(example,),
    )


def _unnamed(view: View) -> Iterator[Finding]:
    example = _trusted(view, ())
    if example is not None:
        yield Finding(
            code="ACTION_UNKNOWN_TRUSTED",
            level=Level.ERROR,
            message="an action that the policy does not name can get TRUST: a rule for every action gives it",
            advice="name the actions of that rule under `when`",
            span=_place(view, verdict=Verdict.TRUST),
            examples=(example,),
        )


# Absence


def _open(view: View) -> Iterator[Finding]:
    policy, action = view.policy, view.space.action
    for key, twins in open_keys(view, tuple(policy.keys_for(action))):
        if twins.after is Verdict.TRUST:
            raise AnalysisDefectError("the engine trusts a request that the analysis took for another")
        spec = policy.evidence.get(key)
        chosen = spec is not None and spec.default is not None
        message = f"{action}: leaving `{key}` out earns TRUST where a value of it gets {twins.after}"
        yield Finding(
            code="FAIL_OPEN",
            level=Level.WARNING if chosen else Level.ERROR,
            message=message + (", by the default the policy gives it" if chosen else ""),
            advice="drop the `default`, or accept the finding if your application always fills the key"
            if chosen
            else "compare its value rather than its presence, or require it: what is unknown then is never trusted",
            span=_place(view, EVIDENCE_PREFIX + key),
            examples=examples_of(policy, twins),
        )


# Amounts and other numbers that nobody means


def _amounts(view: View) -> Iterator[Finding]:
    policy, action = view.policy, view.space.action
    span = _place(view, "amount_usd", Verdict.TRUST) or _place(view, verdict=Verdict.TRUST)
    if not any(c.fact == "amount_usd" for each in view.rules for c in each.rule.conditions):
        if any(c.fact == "amount_usd" for _, c in conditions_of(policy)):
            yield from _unread(view, span)
        return
    dimension, kinds = ascending(view.space, policy, "amount_usd")
    place = view.space.index[dimension]
    for cells in kinds:
        example = _trusted(view, ((place, 1 << cells[-1]),))
        if example is not None:
            yield Finding(
                code="AMOUNT_UNBOUNDED",
                level=Level.ERROR,
                message=f"{action}: TRUST has no upper limit, although rules look at the amount",
                advice="add `amount_usd_lte` to the rules that trust, or a rule that escalates above a limit",
                span=span,
                examples=(example,),
            )
            break
    for cells in kinds:
        # The least cell holds 0, whatever stands for it.
        example = _trusted(view, ((place, 1 << cells[0]),))
        if example is not None:
            yield Finding(
                code="AMOUNT_ZERO",
                level=Level.NOTE,
                message=f"{action}: TRUST at an amount of 0; one below 0 is refused with the request",
                advice="fine where it does no harm; otherwise ask for `amount_usd_gt: 0` in the rules that trust",
                span=span,
                examples=(_paying(view, example, 0),),
            )
            break


def _paying(view: View, example: Example, value: int) -> Example:
    """Return a trusted request with another amount, which is trusted too."""
    request = example.case.request
    acted = request["action"] if isinstance(request["action"], dict) else {}
    known = acted.get("amount")
    currency: JsonValue = known["currency"] if isinstance(known, dict) else "USD"
    amount: JsonObject = {"value": value, "currency": currency}
    case = replace(example.case, request={**request, "action": {**acted, "amount": amount}})
    return example_of(view.policy, case, Verdict.TRUST)


def _unread(view: View, span: Span | None) -> Iterator[Finding]:
    """Tell of an action that is trusted whatever its amount, where the policy does look at amounts of others."""
    example = _trusted(view, ())
    if example is None:
        return
    if any(c.fact in MONEY_FACTS for each in view.rules for c in each.rule.conditions):
        return  # something else of money is looked at, such as the currency
    yield Finding(
        code="AMOUNT_UNREAD",
        level=Level.NOTE,
        message=f"{view.space.action}: TRUST whatever amount a request names; no rule of the action looks at it",
        advice="fine if the action moves no money; otherwise limit it, or block requests that name an amount",
        span=span,
        examples=(_paying(view, example, 1_000_000),),
    )


def _unbounded_below(policy: Policy, action: str) -> Iterator[str]:
    """Yield numbers of an action's evidence whose type has no least value and that nothing compares below zero."""
    for fact in numbers_of(policy, action):
        key = fact.removeprefix(EVIDENCE_PREFIX)
        spec = policy.evidence.get(key) if fact.startswith(EVIDENCE_PREFIX) else None
        if spec is None or spec.minimum is not None or (isinstance(spec.default, Decimal) and spec.default < 0):
            continue
        constants = [
            each
            for _, condition in conditions_of(policy)
            if condition.fact == fact
            for each in (condition.operand if isinstance(condition.operand, tuple) else (condition.operand,))
        ]
        if not any(isinstance(each, Decimal) and each < 0 for each in constants):
            yield key


def _below_zero(condition: Condition) -> Condition:
    return replace(condition, operator=OPERATORS["lt"], operand=_ZERO, threshold=None)


def _negative(view: View) -> Iterator[Finding]:
    policy, action = view.policy, view.space.action
    for key in _unbounded_below(policy, action):
        fact = EVIDENCE_PREFIX + key
        known = next(c for _, c in conditions_of(policy) if c.fact == fact)
        box = view.box_of([_below_zero(known)])
        example = None if box is None else _trusted(view, box)
        if box is not None and example is not None and _turns_on(view, box):
            yield Finding(
                code="EVIDENCE_NEGATIVE",
                level=Level.WARNING,
                message=f"{action}: TRUST at a `{key}` below 0",
                advice=f"declare its least value, as in `{key}: {{ type: number, min: 0 }}`: less is blocked then",
                span=_place(view, fact),
                examples=(example,),
            )


def _turns_on(view: View, box: Box) -> bool:
    """Return whether some greater number, in place of one in a box below zero, forfeits a `TRUST`."""
    ((place, below),) = box
    dimension = view.space.dimensions[place]
    unusable = 0
    for states in dimension.states.values():
        for mask in states.values():
            unusable |= mask
    numbers = [cell for cell, value in enumerate(dimension.values) if isinstance(value, Decimal)]
    greater = [cell for cell in numbers if not (below | unusable) >> cell & 1]
    trusted = (Trusted(view, dimension.name, low) for low in bits(below))
    return any(each.forfeited(cell) is not None for each in trusted for cell in greater)


# Growth


def _growth(view: View) -> Iterator[Finding]:
    policy, action = view.policy, view.space.action
    said: dict[str, list[str]] = {}
    open_: list[str] = []
    for fact in numbers_of(policy, action):
        name = fact.removeprefix(EVIDENCE_PREFIX)
        try:
            found = None if len(open_) >= _MOST_OPEN else growth_of(view, fact)
        except BudgetExceededError:
            found = None
        if found is None:
            open_.append(name)
            continue
        if found.loosens is not None and found.tightens is not None:
            yield _both_ways(view, fact, found.loosens, found.tightens)
            continue
        way = (
            "never move"
            if found.loosens is found.tightens
            else "never loosen"
            if found.loosens is None
            else "never tighten"
        )
        said.setdefault(way, []).append(name)
    if open_:
        numbers = ", ".join(f"`{name}`" for name in open_[:-1]) + " or " * (len(open_) > 1) + f"`{open_[-1]}`"
        yield Finding(
            code="ANALYSIS_UNKNOWN",
            level=Level.ERROR,
            message=f"{action}: too many steps to tell how verdicts move as {numbers} grows",
            advice="split the rules of the action, or compare fewer attributes in it",
            span=_place(view, next(fact for fact in numbers_of(policy, action) if fact.endswith(open_[0]))),
        )
    if said:
        parts = [f"verdicts {way} with {', '.join(names)}" for way, names in sorted(said.items())]
        asks = asks_in_reach(view)
        yield Finding(
            code="GROWTH",
            level=Level.NOTE,
            message=f"{action}, as a number grows and nothing else changes: {'; '.join(parts)}"
            + (" (but for questions that are asked only while TRUST is in reach)" if asks else ""),
            advice="an invariant, `monotone`, keeps what you rely on"
            + (" where such questions are not asked" if asks else ""),
            span=_place(view),
        )


def _both_ways(view: View, fact: str, loosens: Twins, tightens: Twins) -> Finding:
    name = fact.removeprefix(EVIDENCE_PREFIX)
    return Finding(
        code="GROWTH_BOTH_WAYS",
        level=Level.NOTE,
        message=f"{view.space.action}: as `{name}` grows and nothing else changes, verdicts tighten here "
        f"({tightens.before} -> {tightens.after}) and loosen there ({loosens.before} -> {loosens.after})",
        advice="if greater should always be safer, or always riskier, mend the rule that turns it round",
        span=_place(view, fact),
        examples=(*examples_of(view.policy, loosens), *examples_of(view.policy, tightens)),
    )
