"""
What is odd about a policy whatever anybody asks: rules that cannot fire or never matter, and absence that is rewarded.
Every claim is about all requests and exact, or says that it is unknown; must not know files or output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from lumyn.analysis.boxes import BUDGET, Box, BudgetExceededError
from lumyn.analysis.candidates import SpaceTooLargeError
from lumyn.analysis.cells import Space
from lumyn.analysis.copies import ascending
from lumyn.analysis.mutant import conditions_of, shown
from lumyn.analysis.prove import open_keys
from lumyn.analysis.regions import RuleBoxes, View, actions_of
from lumyn.analysis.witness import AnalysisDefectError, Case, case_at, evaluate
from lumyn.errors import Span
from lumyn.model import JsonObject, Verdict
from lumyn.policy.spec import FX_RATE_KEY, Policy, Rule

__all__ = ["Finding", "Level", "check"]


class Level(StrEnum):
    """How bad a finding is: `ERROR` fails the command, `WARNING` where it is asked to, `NOTE` never."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One thing that is odd.

    Attributes:
        code: Stable, such as `RULE_DEAD`; `docs/errors.md` lists all of them.
        case: A request that shows it, decided by the engine as `message` says.
    """

    code: str
    level: Level
    message: str
    span: Span | None = None
    case: Case | None = None

    def to_dict(self) -> JsonObject:
        """Return the finding as plain JSON data."""
        return {
            "code": self.code,
            "level": self.level.value,
            "message": self.message,
            "line": None if self.span is None else self.span.line,
            "request": None if self.case is None else self.case.request,
        }


_ORDER = {level: place for place, level in enumerate(Level)}


def check(policy: Policy, *, limit: int = BUDGET) -> list[Finding]:
    """Return everything that is odd about a policy, errors first, then by place."""
    found = [*_of_requests(policy, limit), *_of_text(policy)]
    return sorted(found, key=lambda each: (_ORDER[each.level], each.span is None, each.span or Span("", 0, 0)))


@dataclass(slots=True)
class _Fate:
    """What a rule does in all of its actions together."""

    fires: bool = False
    unmasked: bool = False
    decides: bool = False
    covers: set[str] | None = None
    redundant: set[int] | None = None


def _of_requests(policy: Policy, limit: int) -> Iterator[Finding]:
    fates = {rule.rule_id: _Fate() for rule in policy.rules}
    complete = True
    for action in actions_of(policy):
        try:
            view = View(Space(action, [policy], limit=limit), policy)
            for boxes in view.rules:
                _follow(view, boxes, fates[boxes.rule.rule_id])
            yield from _of_action(view)
            complete = complete and view.space.complete
        except (BudgetExceededError, SpaceTooLargeError):
            message = f"{action}: too many steps; nothing is known of its requests"
            yield Finding(code="ANALYSIS_UNKNOWN", level=Level.ERROR, message=message)
            complete = False
    if complete:
        for rule in policy.rules:
            yield from _of_rule(rule, fates[rule.rule_id])


def _follow(view: View, boxes: RuleBoxes, fate: _Fate) -> None:
    rule = boxes.rule
    lively = [box for box in boxes.true if view.space.search.find(box) is not None]
    if not lively:
        return
    fate.fires = True
    _follow_conditions(view, boxes, fate)
    if not fate.decides:
        rivals = view.rivals(rule)
        fate.decides = any(view.space.search.find(box, avoid=rivals) is not None for box in lively)
    if not fate.decides:
        stricter = view.firing(*(each for each in Verdict if each.strictness > rule.verdict.strictness))
        fate.unmasked = fate.unmasked or any(view.space.search.find(box, avoid=stricter) is not None for box in lively)
        same = {
            other.rule.rule_id
            for other in view.rules
            if other.rule.verdict is rule.verdict
            and other is not boxes
            and all(view.space.search.find(box, avoid=other.true) is None for box in lively)
        }
        fate.covers = same if fate.covers is None else fate.covers & same


def _follow_conditions(view: View, boxes: RuleBoxes, fate: _Fate) -> None:
    """Note which conditions of a rule could be left out without changing where it fires or is undetermined."""
    rule = boxes.rule
    conditions = rule.conditions
    idle: set[int] = set()
    for place, condition in enumerate(conditions if len(conditions) > 1 else ()):
        if fate.redundant is not None and place not in fate.redundant:
            continue
        true, possible = view.without(rule, condition)
        grown = [(box, boxes.true) for box in true] + [(box, boxes.possible) for box in possible]
        if all(view.space.search.find(box, avoid=avoid) is None for box, avoid in grown):
            idle.add(place)
    fate.redundant = idle if fate.redundant is None else fate.redundant & idle


def _of_rule(rule: Rule, fate: _Fate) -> Iterator[Finding]:
    if not fate.fires:
        if not rule.is_requirements_check:
            message = f"{rule.rule_id} can never fire: its conditions exclude one another"
            yield Finding(code="RULE_DEAD", level=Level.ERROR, message=message, span=rule.span)
        return
    if not fate.decides and not fate.unmasked:
        message = f"{rule.rule_id} never decides: wherever it fires, a stricter rule does too; it only adds its codes"
        yield Finding(code="RULE_MASKED", level=Level.WARNING, message=message, span=rule.span)
    elif not fate.decides:
        covers = sorted(fate.covers or ())
        why = f"{covers[0]} gives the same verdict" if covers else "other rules give the same verdict"
        message = f"{rule.rule_id} never decides: wherever it fires, {why}"
        yield Finding(code="RULE_SUBSUMED", level=Level.WARNING, message=message, span=rule.span)
    for place in sorted(fate.redundant or ()):
        condition = rule.conditions[place]
        message = f"{rule.rule_id}: `{shown(condition)}` follows from the rule's other conditions"
        yield Finding(code="CONDITION_REDUNDANT", level=Level.WARNING, message=message, span=condition.span)


def _of_action(view: View) -> Iterator[Finding]:
    policy, action = view.policy, view.space.action
    if action in policy.action_types:
        gap = view.default()
        corner = view.space.search.find((), avoid=gap.avoid)
        if corner is not None:
            case = case_at(action, view.space.point(corner))
            message = f"{action}: some requests match no rule and get the default {policy.default_verdict}"
            yield Finding(code="DEFAULT_REACHED", level=Level.NOTE, message=message, case=_sure(policy, case, None))
    region = view.trusting()
    if not region.must[0]:
        return
    for key, twins in open_keys(view, tuple(policy.keys_for(action))):
        if twins.after is Verdict.TRUST:
            raise AnalysisDefectError("the engine trusts a request that the analysis took for another")
        spec = policy.evidence.get(key)
        chosen = spec is not None and spec.default is not None
        message = f"{action}: leaving `{key}` out earns TRUST where a value of it gets {twins.after}" + (
            ", by the default the policy gives it" if chosen else ""
        )
        span = next((each.span for _, each in conditions_of(policy) if each.evidence_key == key), None)
        yield Finding(
            code="FAIL_OPEN",
            level=Level.WARNING if chosen else Level.ERROR,
            message=message,
            span=span,
            case=_sure(policy, twins.first, Verdict.TRUST),
        )
    yield from _unbounded(view)


def _unbounded(view: View) -> Iterator[Finding]:
    """Find `TRUST` for any amount, however large, among the actions whose rules look at the amount at all."""
    rules = [each.rule for each in view.rules if any(c.fact == "amount_usd" for c in each.rule.conditions)]
    if not rules:
        return
    region = view.trusting()
    dimension, kinds = ascending(view.space, view.policy, "amount_usd")
    place = view.space.index[dimension]
    for cells in kinds:
        start: Box = ((place, 1 << cells[-1]),)
        corner = view.space.search.find(start, must=region.must, avoid=region.avoid)
        if corner is not None:
            case = _sure(view.policy, case_at(view.space.action, view.space.point(corner)), Verdict.TRUST)
            message = f"{view.space.action}: TRUST has no upper limit, although rules look at the amount"
            yield Finding(code="AMOUNT_UNBOUNDED", level=Level.ERROR, message=message, span=rules[0].span, case=case)
            return


def _sure(policy: Policy, case: Case, verdict: Verdict | None) -> Case:
    """Return a case the engine decides as is said of it; raises AnalysisDefectError for any other."""
    found = evaluate(policy, case)
    if (verdict is not None and found.verdict is not verdict) or (verdict is None and found.matched_rules):
        raise AnalysisDefectError(f"the engine says {found.verdict} of a request the analysis took for another")
    return case


# What the text alone shows


def _of_text(policy: Policy) -> Iterator[Finding]:
    read = {condition.threshold for _, condition in conditions_of(policy)}
    for name in policy.thresholds:
        if name not in read:
            message = f"threshold `{name}` is never used: changing it changes nothing"
            span = policy.spans.get(f"/thresholds/{name}")
            yield Finding(code="THRESHOLD_UNUSED", level=Level.WARNING, message=message, span=span)
    yield from _repeated(policy)
    for code in policy.reason_codes:
        if code not in policy.may_emit():
            message = f"reason code `{code}` is declared and never given"
            span = policy.spans.get(f"/reason_codes/{code}")
            yield Finding(code="REASON_CODE_UNUSED", level=Level.WARNING, message=message, span=span)
    if policy.fx_bounds is None and any(c.fact == "amount_usd" for _, c in conditions_of(policy)):
        message = f"amounts in other currencies are converted at any `{FX_RATE_KEY}` the caller names; add `fx_bounds`"
        yield Finding(code="FX_UNBOUNDED", level=Level.WARNING, message=message)


def _repeated(policy: Policy) -> Iterator[Finding]:
    facts: dict[str, set[str]] = {}
    for _, condition in conditions_of(policy):
        if condition.threshold is not None:
            facts.setdefault(condition.fact, set()).add(condition.threshold)
    for rule, condition in conditions_of(policy):
        value = condition.operand
        if condition.threshold is None and isinstance(value, Decimal):
            for name in sorted(facts.get(condition.fact, ())):
                if policy.thresholds[name] == value:
                    message = f"{rule.rule_id}: `{shown(condition)}` repeats threshold `{name}`; name it, or they part"
                    yield Finding(code="THRESHOLD_REPEATED", level=Level.WARNING, message=message, span=condition.span)
