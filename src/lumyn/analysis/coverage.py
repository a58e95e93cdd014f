"""
What the vectors of a policy exercised: goals as sets of decisions, and a proof for each goal that no request can meet.
Computed from what was decided, never by hooks in the evaluator; must not know how it is shown or gated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from lumyn.analysis.boxes import BUDGET, Box, BudgetExceededError
from lumyn.analysis.dimension import lowest
from lumyn.analysis.goal import CoverageReport, Goal
from lumyn.analysis.knowledge import Answer, Knowledge
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutant import shown, step_of
from lumyn.analysis.observations import Observation
from lumyn.analysis.scale import Criterion
from lumyn.analysis.sheet import Sheet
from lumyn.analysis.witness import AnalysisDefectError, Case, case_at
from lumyn.model import Verdict
from lumyn.policy.operators import OPERATORS
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import Condition, Policy, Rule

if TYPE_CHECKING:
    from lumyn.analysis.cells import Space
    from lumyn.analysis.regions import RuleBoxes, View

__all__ = ["CoverageReport", "Criterion", "Goal", "boundaries", "cover", "goals_met", "settled"]

DEFAULT = "DEFAULT"
_FLIPPED = {"gt": 1, "lte": 1, "lt": -1, "gte": -1}
"""Ordering operator -> on which side of its constant the comparison comes out otherwise than at the constant."""


def cover(
    policy: Policy,
    observations: Iterable[Observation] | Matrix,
    *,
    known: Knowledge | None = None,
    limit: int = BUDGET,
) -> CoverageReport:
    """
    Return what the observed decisions exercised of a policy.

    Args:
        known: What was found out about the policy with the same `limit`; what is found out now is noted there.
        limit: Steps one question of feasibility may take.

    Raises:
        AnalysisDefectError: A vector meets a goal that no request can: the analysis contradicts the engine.
    """
    matrix = Matrix.of(policy, observations)
    model = _Model(policy, matrix, limit)
    known = Knowledge() if known is None else known
    goals = tuple(_settled(matrix, model, wanted, known) for wanted in _wanted(policy, matrix))
    return CoverageReport(policy=policy, goals=goals, observed=len(matrix.rows))


def goals_met(policy: Policy, matrix: Matrix) -> dict[str, int]:
    """Return the goals of a policy as `criterion:name` -> the rows that meet each."""
    return {f"{w.goal.criterion}:{w.goal.name}": w.rows for w in _wanted(policy, matrix)}


def settled(policy: Policy, names: Collection[str], spaces: Mapping[str, Space]) -> dict[str, Goal]:
    """
    Return goals that nothing meets yet, by `criterion:name`: each with a request, or infeasible, or unknown.

    Args:
        names: Of the goals.
        spaces: Of the policy's actions, `boundaries` told apart.
    """
    nothing = Matrix(policy, ())
    model = _Model(policy, nothing, BUDGET, spaces)
    wanted = ((f"{each.goal.criterion}:{each.goal.name}", each) for each in _wanted(policy, nothing))
    return {name: _settle(nothing, model, each) for name, each in wanted if name in names}


def boundaries(policy: Policy, action: str) -> list[Condition]:
    """Return comparisons that tell the boundaries of an action's rules, and the step past each, from the rest."""
    return [edge for rule in policy.rules_for(action) for each in rule.conditions for edge in _edges(policy, each)]


class _Wanted(NamedTuple):
    """
    A goal before it is judged.

    Attributes:
        rows: The decisions that meet it.
        questions: Action, start boxes and boxes to avoid: where a request would meet it.
    """

    goal: Goal
    rows: int
    questions: Callable[[_Model], Iterator[tuple[str, Iterable[Box], Iterable[Box]]]]


class _Model:
    """The spaces and views of a policy's actions, made when they are first needed."""

    def __init__(self, policy: Policy, matrix: Matrix, limit: int, spaces: Mapping[str, Space] | None = None) -> None:
        self.policy = policy
        self._spaces = spaces or {}
        self._matrix = matrix
        self._limit = limit
        self._views: dict[str, View] = {}

    @cached_property
    def actions(self) -> list[str]:
        """Every action type to look at."""
        from lumyn.analysis.regions import actions_of

        return actions_of(self.policy)

    def view(self, action: str) -> View:
        """Return the policy over one action, boundaries told apart."""
        found = self._views.get(action)
        if found is None:
            from lumyn.analysis.cells import Space
            from lumyn.analysis.regions import View

            space = self._spaces.get(action) or Space(
                action,
                [self.policy],
                extra=boundaries(self.policy, action),
                limit=self._limit,
                book=self._matrix.book,
            )
            found = self._views[action] = View(space, self.policy)
        return found

    def applying(self, rule: Rule) -> Iterator[tuple[View, RuleBoxes]]:
        """Yield the views in which a rule applies, with its boxes."""
        for action in self.actions:
            if rule.applies_to(action):
                view = self.view(action)
                boxes = view.boxes(rule.rule_id)
                if boxes is not None:
                    yield view, boxes


def _settled(matrix: Matrix, model: _Model, wanted: _Wanted, known: Knowledge) -> Goal:
    """Return what became of a goal, asking only what nobody has found out."""
    name = f"{wanted.goal.criterion}:{wanted.goal.name}"
    found = known.goals.get(name)
    if wanted.rows and found is Answer.NONE:
        met_by = matrix.rows[lowest(wanted.rows)].name
        raise AnalysisDefectError(f"goal {name} is proved impossible, and {met_by} meets it")
    if wanted.rows or found is None:
        goal = _settle(matrix, model, wanted)
        if not wanted.rows:
            known.goals[name] = goal.case or (Answer.UNKNOWN if goal.unknown else Answer.NONE)
        return goal
    if isinstance(found, Case):
        return replace(wanted.goal, case=found)
    return replace(wanted.goal, unknown=found is Answer.UNKNOWN, infeasible=found is Answer.NONE)


def _settle(matrix: Matrix, model: _Model, wanted: _Wanted) -> Goal:
    if wanted.rows:
        return replace(wanted.goal, covered_by=matrix.rows[lowest(wanted.rows)].name)
    from lumyn.analysis.candidates import SpaceTooLargeError

    unknown = False
    try:
        for action, starts, avoid in wanted.questions(model):
            space = model.view(action).space
            shun = tuple(avoid)
            for box in starts:
                corner = space.search.find(box, avoid=shun)
                if corner is not None:
                    return replace(wanted.goal, case=case_at(action, space.point(corner)))
            unknown = unknown or not space.complete
    except (BudgetExceededError, SpaceTooLargeError):
        unknown = True
    return replace(wanted.goal, unknown=unknown, infeasible=not unknown)


def _wanted(policy: Policy, matrix: Matrix) -> Iterator[_Wanted]:
    """Yield every goal of a policy; of those that would be called alike, the second ends in `#2`."""
    known: dict[tuple[Criterion, str], int] = {}
    for wanted in _every(policy, matrix):
        goal = wanted.goal
        count = known[goal.criterion, goal.name] = known.get((goal.criterion, goal.name), 0) + 1
        yield wanted if count == 1 else wanted._replace(goal=replace(goal, name=f"{goal.name}#{count}"))


def _every(policy: Policy, matrix: Matrix) -> Iterator[_Wanted]:
    sheet = matrix.base
    for rule in policy.rules:
        yield from _of_rule(rule, sheet)
    yield _default(policy, sheet)
    yield from _codes(policy, matrix)
    yield from _required(policy, matrix)
    for rule in policy.rules:
        for condition in rule.conditions:
            yield from _boundary(policy, matrix, rule, condition)
            yield from _outcomes(matrix, rule, condition)
    yield from _verdicts(policy, matrix)


def _of_rule(rule: Rule, sheet: Sheet) -> Iterator[_Wanted]:
    fired = sheet.truth(rule)[0]
    goal = Goal(criterion=Criterion.FIRED, name=rule.rule_id, title=rule.rule_id, aim="fires", span=rule.span)

    def firing(model: _Model) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
        for view, boxes in model.applying(rule):
            yield view.space.action, boxes.true, ()

    yield _Wanted(goal, fired, firing)
    rivals = 0
    for other in sheet.policy.rules:
        if other is not rule and other.verdict.strictness >= rule.verdict.strictness:
            rivals |= sheet.truth(other)[0]
    alone = fired & ~rivals & ~sheet.blocked & sheet.given(rule.verdict)

    def deciding(model: _Model) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
        for view, boxes in model.applying(rule):
            yield view.space.action, boxes.true, view.rivals(rule)

    yield _Wanted(replace(goal, criterion=Criterion.DECIDES, aim="decides"), alone, deciding)


def _default(policy: Policy, sheet: Sheet) -> _Wanted:
    title = f"default {policy.default_verdict}"
    span = policy.spans.get("/defaults")
    goal = Goal(criterion=Criterion.FIRED, name=DEFAULT, title=title, aim="no rule fires", span=span)

    def silent(model: _Model) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
        for action in model.actions:
            yield action, ((),), model.view(action).default().avoid

    return _Wanted(goal, sheet.unmatched, silent)


def _codes(policy: Policy, matrix: Matrix) -> Iterator[_Wanted]:
    sheet = matrix.base
    for code in sorted(policy.may_emit()):
        emitting = [rule for rule in policy.rules if code in rule.reason_codes]
        rows = 0
        for rule in emitting:
            rows |= sheet.truth(rule)[0]
        by_default = code == policy.default_reason_code
        if by_default:
            rows |= sheet.unmatched

        def emitted(
            model: _Model, emitting: list[Rule] = emitting, by_default: bool = by_default
        ) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
            for rule in emitting:
                for view, boxes in model.applying(rule):
                    yield view.space.action, boxes.true, ()
            for action in model.actions if by_default else ():
                yield action, ((),), model.view(action).default().avoid

        span = emitting[0].span if emitting else policy.spans.get("/defaults/default_reason_code")
        yield _Wanted(Goal(criterion=Criterion.CODES, name=code, title=code, aim=code, span=span), rows, emitted)


def _required(policy: Policy, matrix: Matrix) -> Iterator[_Wanted]:
    for action, keys in policy.required_evidence.items():
        for key in keys:
            rows = matrix.table.acts.get(action, 0) & matrix.table.missing(key)
            for other in keys:
                rows &= matrix.table.full if other == key else ~matrix.table.missing(other)

            def alone(
                model: _Model, action: str = action, key: str = key
            ) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
                missing = model.view(action).missing
                yield action, missing[key], [box for other in missing if other != key for box in missing[other]]

            title = f"{action}: {key} never missing alone"
            span = policy.spans.get(f"/required_evidence/{action}")
            aim = f"only {key} missing"
            goal = Goal(criterion=Criterion.REQUIRED, name=f"{action}/{key}", title=title, aim=aim, span=span)
            yield _Wanted(goal, rows, alone)


# Boundaries and conditions


def _edges(policy: Policy, condition: Condition) -> Iterator[Condition]:
    """Yield comparisons that tell the value of a boundary, and the step past it, from the rest."""
    value = condition.operand
    if condition.operator.name not in _FLIPPED or not isinstance(value, Decimal):
        return
    step = step_of(policy, condition.fact) * _FLIPPED[condition.operator.name]
    for operator in ("gte", "lte"):
        for operand in (value, value + step):
            yield replace(condition, operator=OPERATORS[operator], operand=operand, threshold=None)


def _boundary(policy: Policy, matrix: Matrix, rule: Rule, condition: Condition) -> Iterator[_Wanted]:
    edges = list(_edges(policy, condition))
    if not edges or not isinstance(condition.operand, Decimal):
        return
    at_least, at_least_past, at_most, at_most_past = edges
    value, past = condition.operand, at_least_past.operand
    sign = _FLIPPED[condition.operator.name]
    low, high = (at_least, at_most_past) if sign > 0 else (at_least_past, at_most)
    masks = [matrix.table.column(each, policy)[0] for each in (at_least, at_most, low, high)]
    decisive = matrix.base.decisive(rule, condition)
    at = masks[0] & masks[1]
    name = condition.text.removeprefix("evidence.")
    for tail, rows, edge, number in (
        ("at", at, (at_least, at_most), value),
        ("past", masks[2] & masks[3] & ~at, (low, high), past),
    ):

        def decided(
            model: _Model, edge: tuple[Condition, Condition] = edge, tail: str = tail
        ) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
            for view, _ in model.applying(rule):
                starts, avoid = view.around(rule, condition, edge)
                at_box = view.box_of((at_least, at_most))
                yield view.space.action, starts, [*avoid, *([at_box] if tail == "past" and at_box else [])]

        text = decimal_text(number) if isinstance(number, Decimal) else ""
        goal = Goal(
            criterion=Criterion.BOUNDARIES,
            name=f"{rule.rule_id}/{name}/{tail}",
            title=f"{rule.rule_id} {shown(condition)}: no request at {text} that it decides",
            aim=f"{shown(condition)} at {text}",
            span=condition.span,
        )
        yield _Wanted(goal, rows & decisive, decided)


def _outcomes(matrix: Matrix, rule: Rule, condition: Condition) -> Iterator[_Wanted]:
    true, unknown = matrix.table.column(condition, matrix.base.policy)
    where = matrix.base.applicable(rule)
    name = f"{rule.rule_id}/{condition.text.removeprefix('evidence.')}"
    for outcome, rows in (("true", true), ("false", matrix.table.full & ~true & ~unknown), ("unknown", unknown)):
        criterion = Criterion.UNKNOWN_INPUTS if outcome == "unknown" else Criterion.CONDITIONS

        def coming_out(model: _Model, outcome: str = outcome) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
            for view, _ in model.applying(rule):
                box = view.outcome_box(condition, outcome)
                if box is not None:
                    yield view.space.action, (box,), ()

        title = f"{rule.rule_id} {shown(condition)}: never {outcome}"
        aim = f"{shown(condition)} {outcome}"
        goal = Goal(criterion=criterion, name=f"{name}/{outcome}", title=title, aim=aim, span=condition.span)
        yield _Wanted(goal, rows & where, coming_out)


def _verdicts(policy: Policy, matrix: Matrix) -> Iterator[_Wanted]:
    for action in policy.action_types:
        for verdict in Verdict:
            rows = matrix.table.acts.get(action, 0) & matrix.base.given(verdict)

            def given(
                model: _Model, action: str = action, verdict: Verdict = verdict
            ) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
                view = model.view(action)
                for region in view.regions(verdict):
                    starts = view.starts(region)
                    yield action, starts, region.avoid

            name, title = f"{action}/{verdict}", f"{action}: never {verdict}"
            goal = Goal(criterion=Criterion.VERDICTS, name=name, title=title, aim=verdict.value)
            yield _Wanted(goal, rows, given)
