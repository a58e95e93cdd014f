"""
What the vectors of a policy exercised: goals as sets of decisions, and a proof for each goal that no request can meet.
Computed from what was decided, never by hooks in the evaluator; must not know how it is shown or gated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
from lumyn.analysis.table import any_of
from lumyn.analysis.witness import AnalysisDefectError, Case, case_at
from lumyn.model import Verdict
from lumyn.policy.operators import OPERATORS
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import Condition, Policy, Rule

if TYPE_CHECKING:
    from lumyn.analysis.cells import Space
    from lumyn.analysis.regions import RuleBoxes, View

__all__ = ["CoverageReport", "Criterion", "Goal", "Goals", "boundaries", "cover"]

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
        limit: Work one question of feasibility may take.

    Raises:
        AnalysisDefectError: A vector meets a goal that no request can: the analysis contradicts the engine.
    """
    matrix = Matrix.of(policy, observations)
    model = _Model(policy, matrix, limit)
    known = Knowledge() if known is None else known
    goals = tuple(_settled(matrix, model, wanted, known) for wanted in _wanted(policy))
    return CoverageReport(policy=policy, goals=goals, observed=len(matrix.rows))


class Goals:
    """Every goal of a policy, as `criterion:name`, to be held against any decisions and against all requests."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._parts: dict[str, Policy] = {}
        self._wanted = {f"{each.goal.criterion}:{each.goal.name}": each for each in _wanted(policy)}

    def met(self, matrix: Matrix) -> dict[str, int]:
        """Return every goal -> the rows that meet it."""
        asked = matrix.table.acts.keys()
        return {
            name: 0 if wanted.actions is not None and asked.isdisjoint(wanted.actions) else wanted.rows(matrix)
            for name, wanted in self._wanted.items()
        }

    def meets(self, name: str, row: Observation) -> bool:
        """Return whether a decision meets one goal."""
        action = row.request.action_type
        if action not in self._parts:  # nothing about it depends on rules that do not apply
            rules = tuple(rule for rule in self._policy.rules if rule.applies_to(action))
            self._parts[action] = replace(self._policy, rules=rules)
        return bool(self._wanted[name].rows(Matrix(self._parts[action], [row])))

    def settled(self, names: Iterable[str], spaces: Mapping[str, Space]) -> Iterator[tuple[str, Goal]]:
        """
        Yield goals that nothing meets yet, each with a request, or infeasible, or unknown.

        Args:
            spaces: Of the policy's actions, `boundaries` told apart.
        """
        model = _Model(self._policy, Matrix(self._policy, ()), BUDGET, spaces)
        for name in names:
            yield name, _unmet(model, self._wanted[name])


def boundaries(policy: Policy, action: str) -> list[Condition]:
    """Return comparisons that tell the boundaries of an action's rules, and the step past each, from the rest."""
    return [edge for rule in policy.rules_for(action) for each in rule.conditions for edge in _edges(policy, each)]


class _Wanted(NamedTuple):
    """
    A goal before it is judged.

    Attributes:
        rows: Returns the decisions of a matrix that meet it.
        actions: The only actions whose decisions can meet it, or None.
        questions: Action, start boxes and boxes to avoid: where a request would meet it.
    """

    goal: Goal
    rows: Callable[[Matrix], int]
    questions: Callable[[_Model], Iterator[tuple[str, Iterable[Box], Iterable[Box]]]]
    actions: tuple[str, ...] | None = None


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
    rows = wanted.rows(matrix)
    if rows:
        met_by = matrix.rows[lowest(rows)].name
        if found is Answer.NONE:
            raise AnalysisDefectError(f"goal {name} is proved impossible, and {met_by} meets it")
        return replace(wanted.goal, covered_by=met_by)
    if found is None:
        goal = _unmet(model, wanted)
        known.goals[name] = goal.case or (Answer.UNKNOWN if goal.unknown else Answer.NONE)
        return goal
    if isinstance(found, Case):
        return replace(wanted.goal, case=found)
    return replace(wanted.goal, unknown=found is Answer.UNKNOWN, infeasible=found is Answer.NONE)


def _unmet(model: _Model, wanted: _Wanted) -> Goal:
    """Return a goal that nothing meets with a request that would, or as infeasible, or as unknown."""
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


def _wanted(policy: Policy) -> Iterator[_Wanted]:
    """Yield every goal of a policy; of those that would be called alike, the second ends in `#2`."""
    known: dict[tuple[Criterion, str], int] = {}
    for wanted in _every(policy):
        goal = wanted.goal
        count = known[goal.criterion, goal.name] = known.get((goal.criterion, goal.name), 0) + 1
        yield wanted if count == 1 else wanted._replace(goal=replace(goal, name=f"{goal.name}#{count}"))


def _every(policy: Policy) -> Iterator[_Wanted]:
    for rule in policy.rules:
        yield from _of_rule(rule)
    yield _default(policy)
    yield from _codes(policy)
    yield from _required(policy)
    for rule in policy.rules:
        for condition in rule.conditions:
            yield from _boundary(policy, rule, condition)
            yield from _outcomes(rule, condition)
    yield from _verdicts(policy)


def _of_rule(rule: Rule) -> Iterator[_Wanted]:
    goal = Goal(criterion=Criterion.FIRED, name=rule.rule_id, title=rule.rule_id, aim="fires", span=rule.span)

    def firing(model: _Model) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
        for view, boxes in model.applying(rule):
            yield view.space.action, boxes.true, ()

    def deciding_alone(matrix: Matrix) -> int:
        sheet = matrix.base
        rivalled = sheet.rivalled(rule.verdict)
        return sheet.truth(rule)[0] & ~rivalled & ~sheet.blocked & sheet.given(rule.verdict)

    yield _Wanted(goal, lambda matrix: matrix.base.truth(rule)[0], firing, rule.actions)

    def deciding(model: _Model) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
        for view, boxes in model.applying(rule):
            yield view.space.action, boxes.true, view.rivals(rule)

    yield _Wanted(replace(goal, criterion=Criterion.DECIDES, aim="decides"), deciding_alone, deciding, rule.actions)


def _default(policy: Policy) -> _Wanted:
    title = f"default {policy.default_verdict}"
    span = policy.spans.get("/defaults")
    goal = Goal(criterion=Criterion.FIRED, name=DEFAULT, title=title, aim="no rule fires", span=span)

    def silent(model: _Model) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
        for action in model.actions:
            yield action, ((),), model.view(action).default().avoid

    return _Wanted(goal, lambda matrix: matrix.base.unmatched, silent)


def _codes(policy: Policy) -> Iterator[_Wanted]:
    for code in sorted(policy.may_emit()):
        emitting = [rule for rule in policy.rules if code in rule.reason_codes]
        by_default = code == policy.default_reason_code

        def rows(matrix: Matrix, emitting: list[Rule] = emitting, by_default: bool = by_default) -> int:
            given = any_of(matrix.base.truth(rule)[0] for rule in emitting)
            return given | (matrix.base.unmatched if by_default else 0)

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


def _required(policy: Policy) -> Iterator[_Wanted]:
    for action, keys in policy.required_evidence.items():
        for key in keys:

            def rows(matrix: Matrix, action: str = action, keys: tuple[str, ...] = tuple(keys), key: str = key) -> int:
                table = matrix.table
                found = table.acts.get(action, 0) & table.missing(key)
                return found & ~any_of(table.missing(other) for other in keys if other != key)

            def alone(
                model: _Model, action: str = action, key: str = key
            ) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
                missing = model.view(action).missing
                yield action, missing[key], [box for other in missing if other != key for box in missing[other]]

            title = f"{action}: {key} never missing alone"
            span = policy.spans.get(f"/required_evidence/{action}")
            aim = f"only {key} missing"
            goal = Goal(criterion=Criterion.REQUIRED, name=f"{action}/{key}", title=title, aim=aim, span=span)
            yield _Wanted(goal, rows, alone, (action,))


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


def _boundary(policy: Policy, rule: Rule, condition: Condition) -> Iterator[_Wanted]:
    edges = list(_edges(policy, condition))
    if not edges or not isinstance(condition.operand, Decimal):
        return
    at_least, at_least_past, at_most, at_most_past = edges
    value, past = condition.operand, at_least_past.operand
    sign = _FLIPPED[condition.operator.name]
    low, high = (at_least, at_most_past) if sign > 0 else (at_least_past, at_most)
    name = condition.text.removeprefix("evidence.")
    for tail, edge, number in (("at", (at_least, at_most), value), ("past", (low, high), past)):

        def rows(matrix: Matrix, edge: tuple[Condition, Condition] = edge, tail: str = tail) -> int:
            def holding(pair: tuple[Condition, Condition]) -> int:
                return matrix.table.column(pair[0], policy)[0] & matrix.table.column(pair[1], policy)[0]

            found = holding(edge) & matrix.decisive(rule, condition)
            return found & ~holding((at_least, at_most)) if tail == "past" else found

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
        yield _Wanted(goal, rows, decided, rule.actions)


def _outcomes(rule: Rule, condition: Condition) -> Iterator[_Wanted]:
    name = f"{rule.rule_id}/{condition.text.removeprefix('evidence.')}"
    for outcome in ("true", "false", "unknown"):
        criterion = Criterion.UNKNOWN_INPUTS if outcome == "unknown" else Criterion.CONDITIONS

        def rows(matrix: Matrix, outcome: str = outcome) -> int:
            true, unknown = matrix.table.column(condition, matrix.base.policy)
            found = {"true": true, "unknown": unknown}.get(outcome, matrix.table.full & ~true & ~unknown)
            return found & matrix.base.applicable(rule)

        def coming_out(model: _Model, outcome: str = outcome) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
            for view, _ in model.applying(rule):
                box = view.outcome_box(condition, outcome)
                if box is not None:
                    yield view.space.action, (box,), ()

        title = f"{rule.rule_id} {shown(condition)}: never {outcome}"
        aim = f"{shown(condition)} {outcome}"
        goal = Goal(criterion=criterion, name=f"{name}/{outcome}", title=title, aim=aim, span=condition.span)
        yield _Wanted(goal, rows, coming_out, rule.actions)


def _verdicts(policy: Policy) -> Iterator[_Wanted]:
    for action in policy.action_types:
        for verdict in Verdict:

            def rows(matrix: Matrix, action: str = action, verdict: Verdict = verdict) -> int:
                return matrix.table.acts.get(action, 0) & matrix.base.given(verdict)

            def given(
                model: _Model, action: str = action, verdict: Verdict = verdict
            ) -> Iterator[tuple[str, Iterable[Box], Iterable[Box]]]:
                view = model.view(action)
                for region in view.regions(verdict):
                    starts = view.starts(region)
                    yield action, starts, region.avoid

            name, title = f"{action}/{verdict}", f"{action}: never {verdict}"
            goal = Goal(criterion=Criterion.VERDICTS, name=name, title=title, aim=verdict.value)
            yield _Wanted(goal, rows, given, (action,))
