"""
Small edits of a policy that a good suite of vectors must notice: the operators, as data, and what each one makes.
Makes only policies the loader would accept; must not know vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, TypeAlias

from lumyn.analysis.mutant import (
    Maker,
    Mutant,
    allowed,
    closed_values,
    conditions_of,
    operand_text,
    readers_of,
    renamed,
    share_an_action,
    step_of,
    with_conditions,
)
from lumyn.analysis.scale import Scope
from lumyn.model import Stage, Verdict
from lumyn.policy.operators import Operand
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import Policy, Rule

__all__ = ["OPERATORS_OF", "Scope", "mutants", "reach_of"]

GUARDS: Final = (Stage.REQUIREMENTS, Stage.HARD_BLOCKS, Stage.ESCALATIONS)
_OTHER_BOUND: Final = {"gt": "gte", "gte": "gt", "lt": "lte", "lte": "lt"}
_REVERSED: Final = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt", "is": "ne", "ne": "is"}
_NEGATED: Final = {**_REVERSED, "in": "not_in", "not_in": "in"}


Edits: TypeAlias = "Iterator[Mutant]"


def mutants(policy: Policy, scope: Scope = Scope.CORE) -> list[Mutant]:
    """Return every mutant of a policy, in the order of the operators and of the file; ids are unique."""
    found: list[Mutant] = []
    known: dict[str, int] = {}
    for name, (operator, core) in OPERATORS_OF.items():
        if not core and scope is Scope.CORE:
            continue
        for mutant in operator(Maker(policy, name)):
            count = known[mutant.mutant_id] = known.get(mutant.mutant_id, 0) + 1
            if not _says_twice(mutant):
                found.append(mutant if count == 1 else replace(mutant, mutant_id=f"{mutant.mutant_id}#{count}"))
    return found


def _says_twice(mutant: Mutant) -> bool:
    """Return whether a rule comes to say a condition twice, or to write a key twice in a group: both are refused."""
    for rule in (mutant.rules or {}).values():
        conditions = () if rule is None else rule.conditions
        if rule is None or len({condition.fact for condition in conditions}) == len(conditions):
            continue
        groups = (group for block in rule.blocks for group in block.groups)
        if len({condition.claim for condition in conditions}) < len(conditions) or any(
            len({condition.text for condition in group}) < len(group) for group in groups
        ):
            return True
    return False


# Conditions


def _bounds(make: Maker) -> Edits:
    for rule, condition in conditions_of(make.policy):
        other = _OTHER_BOUND.get(condition.operator.name)
        if other is not None:
            new = renamed(condition, other)
            yield make.of_condition(rule, condition, new, f"{new.operator.symbol} {operand_text(new.operand)}")


def _reversals(make: Maker) -> Edits:
    for rule, condition in conditions_of(make.policy):
        other = _NEGATED.get(condition.operator.name)
        if other is not None and other in condition.subject.operators:
            new = renamed(condition, other)
            yield make.of_condition(rule, condition, new, f"{new.operator.symbol} {operand_text(new.operand)}")


def _steps(make: Maker) -> Edits:
    policy = make.policy
    for rule, condition in conditions_of(policy):
        value = condition.operand
        if not isinstance(value, Decimal) or (condition.threshold is not None and readers_of(policy, condition) == 1):
            continue
        step = step_of(policy, condition.fact)
        for tail, other in (("up", value + step), ("down", value - step)):
            if allowed(policy, condition, other):
                new = replace(condition, operand=other, threshold=None)
                yield make.of_condition(rule, condition, new, operand_text(other), tail=tail)


def _thresholds(make: Maker) -> Edits:
    yield from _moved_thresholds(make, lambda value, step: (("up", value + step), ("down", value - step)))


def _tenfold(make: Maker) -> Edits:
    yield from _moved_thresholds(make, lambda value, step: (("tenfold", value * 10),))


def _moved_thresholds(make: Maker, moves: Callable[[Decimal, Decimal], Sequence[tuple[str, Decimal]]]) -> Edits:
    policy = make.policy
    for name, value in policy.thresholds.items():
        readers = [(rule, each) for rule, each in conditions_of(policy) if each.threshold == name]
        if not readers or not isinstance(value, Decimal):
            continue
        for tail, other in moves(value, step_of(policy, readers[0][1].fact)):
            if not all(allowed(policy, condition, other) for _, condition in readers):
                continue
            new = {id(condition): replace(condition, operand=other) for _, condition in readers}
            rules: dict[int, Rule | None] = {rule.index: with_conditions(rule, new) for rule, _ in readers}
            yield replace(
                make.of_policy(f"threshold {name} {decimal_text(value)}", "", tail=name, span=f"/thresholds/{name}"),
                mutant_id=f"thresholds/{name}/{tail}",
                edit=decimal_text(other),
                rules=rules,
            )


def _dropped_conditions(make: Maker) -> Edits:
    for rule, condition in conditions_of(make.policy):
        if len(rule.conditions) > 1 or rule.stage is not Stage.REQUIREMENTS:
            yield make.of_condition(rule, condition, None, "dropped")


def _members(make: Maker) -> Edits:
    for rule, condition in conditions_of(make.policy):
        members = condition.operand
        if not isinstance(members, tuple):
            continue
        for member in members if len(members) > 1 else ():
            left = tuple(each for each in members if each != member)
            new = replace(condition, operand=left)
            yield make.of_condition(
                rule, condition, new, f"without {operand_text(member)}", tail=f"-{operand_text(member)}"
            )
        for member in closed_values(make.policy, condition):
            if member not in members:
                new = replace(condition, operand=(*members, member))
                yield make.of_condition(
                    rule, condition, new, f"with {operand_text(member)}", tail=f"+{operand_text(member)}"
                )


def _constants(make: Maker) -> Edits:
    for rule, condition in conditions_of(make.policy):
        value = condition.operand
        others: Sequence[Operand] = ()
        if isinstance(value, bool):
            others = (not value,)
        elif isinstance(value, str):
            others = [each for each in closed_values(make.policy, condition) if each != value]
        for other in others:
            new = replace(condition, operand=other, threshold=None)
            yield make.of_condition(rule, condition, new, operand_text(other), tail=operand_text(other))


# Rules


def _verdicts(make: Maker) -> Edits:
    for rule in make.policy.rules:
        for verdict in (Verdict.ESCALATE, Verdict.QUERY, Verdict.ABSTAIN):
            if rule.stage in GUARDS and verdict is not rule.verdict:
                queries = rule.queries if verdict is Verdict.QUERY else ()
                new = replace(rule, verdict=verdict, queries=queries)
                yield make.of_rule(rule, new, verdict.value, f"{rule.verdict} -> {verdict}")


def _dropped_rules(make: Maker) -> Edits:
    policy = make.policy
    for rule in policy.rules:
        mutant = make.of_rule(rule, None, "", "dropped")
        checks = [each for each in policy.rules if each.is_requirements_check and each is not rule]
        # Required keys without a rule that asks for them are refused by the loader, so they go with it.
        gone = {a: () for a in policy.required_evidence if not any(check.applies_to(a) for check in checks)}
        yield replace(mutant, required=gone) if gone and rule.is_requirements_check else mutant


def _codes(make: Maker) -> Edits:
    every = sorted(make.policy.may_emit())
    for rule in make.policy.rules:
        codes = rule.reason_codes
        for place, code in enumerate(codes):
            other = next((each for each in every if each not in codes), None)
            if other is not None:
                new = replace(rule, reason_codes=(*codes[:place], other, *codes[place + 1 :]))
                yield make.of_rule(rule, new, code, f"{code} -> {other}")
            if len(codes) > 1:
                new = replace(rule, reason_codes=(*codes[:place], *codes[place + 1 :]))
                yield make.of_rule(rule, new, code, f"{code} dropped", tail="dropped")


def _actions(make: Maker) -> Edits:
    for rule in make.policy.rules:
        actions = rule.actions or ()
        for action in actions if len(actions) > 1 else ():
            left = tuple(each for each in actions if each != action)
            if not rule.is_requirements_check or action not in make.policy.required_evidence:
                yield make.of_rule(rule, replace(rule, actions=left), action, f"not for {action}")


def _widened(make: Maker) -> Edits:
    for rule in make.policy.rules:
        if rule.actions is not None:
            yield make.of_rule(rule, replace(rule, actions=None), "", "for every action")


def _stages(make: Maker) -> Edits:
    for rule in make.policy.rules:
        for stage in GUARDS:
            check = rule.is_requirements_check  # elsewhere it would fire always
            if rule.stage in GUARDS and stage is not rule.stage and not check:
                if rule.blocks or stage is not Stage.REQUIREMENTS:
                    new = replace(rule, stage=stage)
                    yield make.of_rule(rule, new, stage.value, f"{rule.stage} -> {stage}")


def _swaps(make: Maker) -> Edits:
    for stage in Stage:
        rules = [rule for rule in make.policy.rules if rule.stage is stage]
        for place, second in enumerate(rules[1:], start=1):
            first = next((each for each in reversed(rules[:place]) if share_an_action(each, second)), None)
            if first is not None:
                made = make.of_rule(second, second, first.rule_id, f"before {first.rule_id}")
                yield replace(made, rules=None, swap=(first.index, second.index))


def _queries(make: Maker) -> Edits:
    for rule in make.policy.rules:
        for query in rule.queries:
            left = tuple(each for each in rule.queries if each is not query)
            yield make.of_rule(rule, replace(rule, queries=left), query.field, f"query {query.field} dropped")


def _obligations(make: Maker) -> Edits:
    for rule in make.policy.rules:
        for place in range(len(rule.obligations)):
            left = (*rule.obligations[:place], *rule.obligations[place + 1 :])
            yield make.of_rule(rule, replace(rule, obligations=left), str(place), f"obligation {place + 1} dropped")


# The policy


def _required(make: Maker) -> Edits:
    for action, keys in make.policy.required_evidence.items():
        for key in keys:
            left = tuple(each for each in keys if each != key)
            place = f"{action} requires {key}"
            span = f"/required_evidence/{action}"
            made = make.of_policy(place, "", tail=f"required/{action}", span=span, required={action: left})
            yield replace(made, mutant_id=f"required/{action}/drop/{key}", edit="dropped")


def _default_verdicts(make: Maker) -> Edits:
    policy = make.policy
    for verdict in (Verdict.ESCALATE, Verdict.QUERY, Verdict.ABSTAIN):
        if verdict is not policy.default_verdict:
            new = (verdict, policy.default_reason_code)
            span = "/defaults/default_verdict"
            yield make.of_policy(
                f"default verdict {policy.default_verdict}", verdict, tail="default", span=span, default=new
            )


def _default_codes(make: Maker) -> Edits:
    policy = make.policy
    other = next((code for code in sorted(policy.may_emit()) if code != policy.default_reason_code), None)
    if other is not None:
        new, span = (policy.default_verdict, other), "/defaults/default_reason_code"
        place = f"default reason code {policy.default_reason_code}"
        yield make.of_policy(place, other, tail="default", span=span, default=new)


OPERATORS_OF: Final[Mapping[str, tuple[Callable[[Maker], Edits], bool]]] = {
    "bound": (_bounds, True),
    "step": (_steps, True),
    "threshold": (_thresholds, True),
    "drop": (_dropped_conditions, True),
    "member": (_members, True),
    "constant": (_constants, True),
    "verdict": (_verdicts, True),
    "rule": (_dropped_rules, True),
    "code": (_codes, True),
    "action": (_actions, True),
    "required": (_required, True),
    "stage": (_stages, True),
    "order": (_swaps, True),
    "default": (_default_verdicts, True),
    "default_code": (_default_codes, True),
    "tenfold": (_tenfold, False),
    "reverse": (_reversals, False),
    "every_action": (_widened, False),
    "query": (_queries, False),
    "obligation": (_obligations, False),
}
"""Name of an operator -> what makes its mutants, and whether it is one of the core."""

_WIDEST: Final = (
    ("rule",),
    ("drop", "every_action", "reverse", "constant"),
    ("action", "verdict", "default", "tenfold"),
    ("member", "required"),
    ("threshold", "step", "bound"),
)
"""Operators by how wide their edits reach: a rule that is gone, a condition, an action, a limit that moves."""
_LIMITS: Final = ("threshold", "step")
_MONEY_LIMIT: Final = 2


def reach_of(mutant: Mutant) -> tuple[int, bool]:
    """Return how wide an edit reaches, 0 the widest; of two that reach alike one about money is first."""
    money = any(condition.fact == "amount_usd" for condition in mutant.changed)
    if money and mutant.operator in _LIMITS:  # where a cent more goes unnoticed, so do a hundred dollars
        return _MONEY_LIMIT, False
    tiers = (place for place, names in enumerate(_WIDEST) if mutant.operator in names)
    return next(tiers, len(_WIDEST)), not money
