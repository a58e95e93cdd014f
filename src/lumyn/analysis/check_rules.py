"""
Rules that cannot fire or never matter, and conditions that cannot hold or never bite, whatever anybody asks.
Exact for every request; must not know what else is odd about a policy, nor how findings are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

from lumyn.analysis.boxes import Box, meet
from lumyn.analysis.finding import Example, Finding, Level, example_of
from lumyn.analysis.mutant import shown
from lumyn.analysis.regions import RuleBoxes, View
from lumyn.analysis.witness import case_at
from lumyn.model import Verdict
from lumyn.policy.spec import Block, BlockKind, Condition, Policy, Rule

__all__ = ["Fate", "findings_of_rule", "follow"]


@dataclass(slots=True)
class Fate:
    """
    What a rule does in all of its actions together; what holds in every action alike is None until the first one.

    Attributes:
        unmasked: Whether it fires where no stricter rule does.
        hidden_by: Ids of the stricter rules of which each fires wherever it does.
        covered_by: Ids of the rules with its verdict of which each fires wherever it does.
        redundant: Places of the conditions that could be left out.
        idle_groups: Groups of `if_any` that never hold, by block and place.
        clash: Conditions that exclude one another, if so few of them do.
        seen: A request for which it fires.
    """

    fires: bool = False
    unmasked: bool = False
    decides: bool = False
    hidden_by: set[str] | None = None
    covered_by: set[str] | None = None
    redundant: set[int] | None = None
    idle_groups: set[tuple[int, int]] | None = None
    clash: tuple[Condition, ...] = field(default_factory=tuple)
    seen: Example | None = None


def follow(view: View, boxes: RuleBoxes, fate: Fate) -> None:
    """
    Note what a rule does in one action.

    Raises:
        BudgetExceededError: That could not be told.
    """
    rule, find = boxes.rule, view.space.search.find
    lively = [box for box in boxes.true if find(box) is not None]
    _follow_groups(view, rule, fate)
    if not lively:
        fate.clash = fate.clash or _clash(view, rule)
        return
    fate.fires = True
    _follow_conditions(view, boxes, fate)
    if fate.decides:
        return
    rivals = view.rivals(rule)
    fate.decides = any(find(box, avoid=rivals) is not None for box in lively)
    if fate.decides:
        return
    stricter = [each for each in view.rules if each.rule.verdict.strictness > rule.verdict.strictness]
    blocks = () if rule.verdict is Verdict.ABSTAIN else view.engine
    avoid = [*blocks, *(box for each in stricter for box in each.true)]
    if not fate.unmasked:
        fate.unmasked = any(find(box, avoid=avoid) is not None for box in lively)
    same = [each for each in view.rules if each.rule.verdict is rule.verdict and each is not boxes]
    fate.covered_by = _common(fate.covered_by, {e.rule.rule_id for e in same if _covers(view, e, lively)})
    fate.hidden_by = _common(fate.hidden_by, {e.rule.rule_id for e in stricter if _covers(view, e, lively)})
    if fate.seen is None:
        corner = find(lively[0])
        if corner is not None:
            fate.seen = example_of(view.policy, case_at(view.space.action, view.space.point(corner)))


def _common(known: set[str] | None, found: set[str]) -> set[str]:
    return found if known is None else known & found


def _covers(view: View, other: RuleBoxes, lively: list[Box]) -> bool:
    return all(view.space.search.covered(box, other.true) for box in lively)


def _follow_conditions(view: View, boxes: RuleBoxes, fate: Fate) -> None:
    """Note which conditions of a rule could be left out without changing where it fires or is undetermined."""
    rule = boxes.rule
    conditions = rule.conditions
    idle: set[int] = set()
    for place, condition in enumerate(conditions if len(conditions) > 1 else ()):
        if (fate.redundant is not None and place not in fate.redundant) or _alone_in_a_choice(rule, condition):
            continue
        true, possible = view.without(rule, condition)
        grown = [(box, boxes.true) for box in true] + [(box, boxes.possible) for box in possible]
        if all(view.space.search.covered(box, avoid) for box, avoid in grown):
            idle.add(place)
    fate.redundant = idle if fate.redundant is None else fate.redundant & idle


def _alone_in_a_choice(rule: Rule, condition: Condition) -> bool:
    """Return whether a condition is a whole group of `if_any`: to leave it out is to leave the choice out."""
    return any(
        block.kind is BlockKind.IF_ANY and len(group) == 1 and group[0] is condition
        for block in rule.blocks
        for group in block.groups
    )


def _follow_groups(view: View, rule: Rule, fate: Fate) -> None:
    """Note which groups of `if_any` never hold: a rule that fires hides them."""
    choices = [(at, block) for at, block in enumerate(rule.blocks) if block.kind is BlockKind.IF_ANY]
    if not choices:
        return
    idle: set[tuple[int, int]] = set()
    for at, block in choices:
        for place, group in enumerate(block.groups):
            box = view.box_of(group)
            if box is None or view.space.search.find(box) is None:
                idle.add((at, place))
    fate.idle_groups = idle if fate.idle_groups is None else fate.idle_groups & idle


def _clash(view: View, rule: Rule) -> tuple[Condition, ...]:
    """Return one condition that never holds, or two that exclude one another, of those a rule needs; else none."""
    needed = [c for block in rule.blocks for group in _needed(block) for c in group]
    boxes = [(condition, view.box_of([condition])) for condition in needed]
    for condition, box in boxes:
        if box is None or view.space.search.find(box) is None:
            return (condition,)
    for (first, here), (second, there) in combinations(boxes, 2):
        both = None if here is None or there is None else meet(here, there)
        if both is None or view.space.search.find(both) is None:
            return first, second
    return ()


def _needed(block: Block) -> tuple[tuple[Condition, ...], ...]:
    return () if block.kind is BlockKind.IF_ANY and len(block.groups) > 1 else block.groups


def findings_of_rule(rule: Rule, fate: Fate, policy: Policy) -> Iterator[Finding]:
    """Yield what is odd about a rule, its fate in all of its actions known."""
    if not fate.fires:
        if not rule.is_requirements_check:
            yield Finding(
                code="RULE_DEAD",
                level=Level.ERROR,
                message=f"{rule.rule_id} can never fire: {_why_dead(fate, policy)}",
                advice="mend the conditions, or take the rule out: whoever reads it believes in it",
                span=fate.clash[-1].span if fate.clash else rule.span,
            )
        return
    if not fate.decides:
        yield _idle(rule, fate)
    for at, place in sorted(fate.idle_groups or ()):
        group = rule.blocks[at].groups[place]
        said = " and ".join(f"`{shown(condition)}`" for condition in group)
        yield Finding(
            code="CONDITION_DEAD",
            level=Level.WARNING,
            message=f"{rule.rule_id}: {said} can never hold, so this choice of `if_any` is none",
            advice="mend it, or take it out",
            span=group[0].span,
        )
    for place in sorted(fate.redundant or ()):
        condition = rule.conditions[place]
        yield Finding(
            code="CONDITION_REDUNDANT",
            level=Level.WARNING,
            message=f"{rule.rule_id}: `{shown(condition)}` follows from the rule's other conditions",
            advice="take it out, or mend the one that makes it idle: a limit that never bites misleads",
            span=condition.span,
        )


def _idle(rule: Rule, fate: Fate) -> Finding:
    examples = () if fate.seen is None else (fate.seen,)
    others = sorted(fate.covered_by or ())
    if not fate.unmasked:
        hiding = sorted(fate.hidden_by or ())
        which = hiding[0] if hiding else "some stricter rule"
        message = f"{rule.rule_id} never decides: wherever it fires, {which} does too and is stricter"
        advice = "take it out, narrow the stricter one, or keep it for the reason codes it adds"
        code = "RULE_MASKED"
    else:
        which = f"{others[0]} does too" if others else "other rules do too"
        message = f"{rule.rule_id} never decides: wherever it fires, {which}, with the same verdict or a stricter one"
        advice = "take it out, or narrow the others; keep it if its reason codes are wanted"
        code = "RULE_SUBSUMED"
    if rule.verdict is Verdict.TRUST:
        advice = "take it out, or mend what keeps it from deciding: nothing is trusted because of it"
    return Finding(code=code, level=Level.WARNING, message=message, advice=advice, span=rule.span, examples=examples)


def _why_dead(fate: Fate, policy: Policy) -> str:
    if len(fate.clash) == 2:
        first, second = fate.clash
        return f"`{shown(first)}` and `{shown(second)}` exclude one another"
    if len(fate.clash) == 1:
        (only,) = fate.clash
        spec = policy.evidence.get(only.evidence_key or "")
        declared = spec is not None and spec.declared
        return f"`{shown(only)}` holds for no value" + (
            f" that `{only.evidence_key}` is declared to take" if declared else ""
        )
    return "its conditions exclude one another"
