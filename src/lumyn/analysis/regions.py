"""
One policy over the cells of one action: where each rule fires or may fire, and where each verdict is given.
Mirrors the conclusion the engine draws; must not know mutants, other policies or how answers are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, product
from typing import Final, NamedTuple, TypeAlias

from lumyn.analysis.boxes import Box, meet
from lumyn.analysis.cells import MISSING, Space
from lumyn.analysis.rates import ASK, FX_OUT_OF_BOUNDS
from lumyn.analysis.tally import GUARDED
from lumyn.engine.normalize import EVIDENCE_OUT_OF_RANGE, EVIDENCE_TYPE_INVALID, EVIDENCE_VALUE_UNKNOWN
from lumyn.engine.outcome import LUMYN_EVIDENCE_INVALID, LUMYN_FX_OUT_OF_BOUNDS
from lumyn.model import Verdict
from lumyn.policy.spec import BlockKind, Condition, Policy, Rule

__all__ = ["INVALID_CODES", "Region", "RuleBoxes", "View", "actions_of"]

INVALID_CODES: Final = (EVIDENCE_TYPE_INVALID, EVIDENCE_OUT_OF_RANGE, EVIDENCE_VALUE_UNKNOWN)
_UNNAMED: Final = "some.other_action"

Choice: TypeAlias = "tuple[BlockKind, Sequence[Sequence[Condition]]]"
"""How some groups of conditions combine, and the groups."""


def actions_of(*policies: Policy) -> list[str]:
    """Return every action type the policies name, sorted, and one that none of them does."""
    named = {action for policy in policies for action in policy.action_types}
    other = _UNNAMED
    while other in named:
        other += "_"
    return [*sorted(named), other]


class RuleBoxes(NamedTuple):
    """
    One applicable rule.

    Attributes:
        true: Where it fires.
        possible: Where it fires or is undetermined.
    """

    rule: Rule
    true: tuple[Box, ...]
    possible: tuple[Box, ...]


class Region(NamedTuple):
    """
    Part of a space: inside one box of each of `must`, outside all of `avoid`.

    Attributes:
        default: Whether it is where no rule fires.
        withheld: Whether it is where `TRUST` is withheld for want of a fact.
    """

    must: tuple[tuple[Box, ...], ...] = ()
    avoid: tuple[Box, ...] = ()
    default: bool = False
    withheld: bool = False


class View:
    """
    A policy over a space.

    Attributes:
        rules: The applicable rules, in stage order, then file order.
        invalid: Reason code of unusable evidence -> where it is given.
        fx_out_of_bounds: Where the caller's rate is refused.
        missing: Required key -> where it is missing.
    """

    def __init__(self, space: Space, policy: Policy, *, like: View | None = None) -> None:
        """
        Args:
            like: The view of another policy over the same space, to share the boxes of rules that both have.
        """
        self.space = space
        self.policy = policy
        self._reading = space.reading(policy)
        self._counter = space.counter(policy)
        self._regions: dict[Verdict, tuple[Region, ...]] = {}
        self._masks: dict[int, tuple[Condition, tuple[int, int, int]]] = {}
        required = policy.required_evidence.get(space.action, ())
        self.missing: Mapping[str, tuple[Box, ...]] = {
            key: _boxes([space.state(self._reading, key, MISSING)]) for key in required
        }
        known = {} if like is None else self._shared(like)
        self.rules = tuple(known.get(id(rule)) or self._rule(rule) for rule in policy.rules_for(space.action))
        self.invalid: Mapping[str, tuple[Box, ...]] = {
            code: _boxes(space.state(self._reading, key, code) for key in policy.keys_for(space.action))
            for code in INVALID_CODES
        }
        self.fx_out_of_bounds = _boxes([space.note(self._reading, FX_OUT_OF_BOUNDS)])

    def _shared(self, like: View) -> dict[int, RuleBoxes]:
        """Return the rules of another view whose boxes are the same here, by the identity of the rule."""
        if like.space is not self.space or like._reading != self._reading or like._counter != self._counter:
            return {}
        unmoved = like.missing == self.missing
        return {id(each.rule): each for each in like.rules if unmoved or not each.rule.is_requirements_check}

    def boxes(self, rule_id: str) -> RuleBoxes | None:
        """Return one rule, or None when it does not apply to the action."""
        return next((each for each in self.rules if each.rule.rule_id == rule_id), None)

    def firing(self, *verdicts: Verdict) -> tuple[Box, ...]:
        """Return where some rule with one of these effects fires, the engine's blocks included."""
        found = [box for each in self.rules if each.rule.verdict in verdicts for box in each.true]
        return (*self.engine, *found) if Verdict.ABSTAIN in verdicts else tuple(found)

    @cached_property
    def engine(self) -> tuple[Box, ...]:
        """Where a block of the engine itself fires."""
        return (*(box for boxes in self.invalid.values() for box in boxes), *self.fx_out_of_bounds)

    @cached_property
    def guards(self) -> tuple[Box, ...]:
        """Where some guarding rule fires or is undetermined: `TRUST` is not given there."""
        return tuple(box for each in self.rules if each.rule.stage in GUARDED for box in each.possible)

    def trusting(self) -> Region:
        """Return where `TRUST` is given."""
        return self._trusting

    @cached_property
    def _trusting(self) -> Region:
        return Region((self.firing(Verdict.TRUST),), (*self.engine, *self.guards))

    def regions(self, verdict: Verdict) -> tuple[Region, ...]:
        """Return the parts in which a verdict is given; together they are all of it."""
        found = self._regions.get(verdict)
        if found is None:
            found = self._regions[verdict] = tuple(self._parts(verdict))
        return found

    def _parts(self, verdict: Verdict) -> Iterator[Region]:
        stricter = [other for other in Verdict if other.strictness > verdict.strictness]
        if verdict is Verdict.TRUST:
            yield self.trusting()
        else:
            yield Region((self.firing(verdict),), self.firing(*stricter))
        if verdict is Verdict.QUERY:
            yield self.withholding()
        if verdict is self.policy.default_verdict:
            yield self.default()

    def withholding(self) -> Region:
        """Return where `TRUST` is withheld because a guard is undetermined."""
        stricter = self.firing(Verdict.ABSTAIN, Verdict.QUERY, Verdict.ESCALATE)
        return Region((self.firing(Verdict.TRUST), self.guards), stricter, withheld=True)

    def default(self) -> Region:
        """Return where no rule fires."""
        return Region((), self.firing(*Verdict), default=True)

    def at_most(self, verdict: Verdict) -> Region:
        """Return where no rule stricter than `verdict` fires; undetermined guards do not count."""
        return Region((), self.firing(*(other for other in Verdict if other.strictness > verdict.strictness)))

    def would_trust(self) -> Region:
        """Return where `TRUST` would be given if every guard were settled."""
        return Region((self.firing(Verdict.TRUST),), self.firing(Verdict.ABSTAIN, Verdict.QUERY, Verdict.ESCALATE))

    def asks(self) -> Mapping[str, tuple[Box, ...]]:
        """Return what `LUMYN_EVIDENCE_UNKNOWN` asks for -> where, within `would_trust`."""
        found: dict[str, dict[Box, None]] = {}
        for each in self.rules:
            if each.rule.stage not in GUARDED:
                continue
            for condition in each.rule.conditions:
                for field, box in self._unknown(condition):
                    for possible in each.possible:
                        met = meet(box, possible)
                        if met is not None:
                            found.setdefault(field, {})[met] = None
        return {field: tuple(boxes) for field, boxes in found.items()}

    def fires(self, corner: tuple[int, ...]) -> list[str]:
        """Return the ids of the rules that fire in a part of the space, the engine's blocks included, any order."""
        fired = [each.rule.rule_id for each in self.rules if any(holds(box, corner) for box in each.true)]
        if any(holds(box, corner) for boxes in self.invalid.values() for box in boxes):
            fired.append(LUMYN_EVIDENCE_INVALID)
        if any(holds(box, corner) for box in self.fx_out_of_bounds):
            fired.append(LUMYN_FX_OUT_OF_BOUNDS)
        return fired

    def around(
        self, rule: Rule, condition: Condition, instead: Iterable[Condition]
    ) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
        """
        Return where a rule fires exactly if one of its conditions holds, and others hold in its place.

        Returns:
            Boxes to start from, and boxes to avoid: where the rule fires whatever the condition says.
        """
        edge = self.box_of(instead)
        if edge is None:
            return (), ()
        held = self._blocks_without(rule, condition, keep=True)
        found = (meet(box, edge) for box in held)
        return tuple(box for box in found if box is not None), self._blocks_without(rule, condition, keep=False)

    def rivals(self, rule: Rule) -> list[Box]:
        """Return where another rule's effect is at least as strict as a rule's, or the engine blocks or withholds."""
        found = [*self.engine]
        for each in self.rules:
            if each.rule.rule_id == rule.rule_id:
                continue
            if rule.verdict is Verdict.TRUST and each.rule.stage in GUARDED:
                found += each.possible
            elif each.rule.verdict.strictness >= rule.verdict.strictness:
                found += each.true
        return found

    def without(self, rule: Rule, condition: Condition) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
        """Return where a rule would fire, and might, if one of its conditions were left out."""
        blocks: list[Choice] = []
        for block in rule.blocks:
            groups = [tuple(each for each in group if each is not condition) for group in block.groups]
            left = [group for group in groups if group]
            if left:
                blocks.append((block.kind, left))
        return self._met(blocks, unknown=False), self._met(blocks, unknown=True)

    def _blocks_without(self, rule: Rule, condition: Condition, *, keep: bool) -> tuple[Box, ...]:
        """Return the boxes of a rule whose one condition is taken for true, or for false."""
        blocks: list[Choice] = []
        for block in rule.blocks:
            groups = []
            for group in block.groups:
                inside = any(each is condition for each in group)
                if keep or not inside:
                    groups.append(tuple(each for each in group if each is not condition))
                elif block.kind is not BlockKind.IF_ANY:
                    return ()
            if not groups:
                return ()
            blocks.append((block.kind, groups))
        return self._met(blocks, unknown=False)

    def box_of(self, conditions: Iterable[Condition]) -> Box | None:
        """Return where some conditions all hold, or None: nowhere."""
        return self._group(conditions, unknown=False)

    def lacking(self, condition: Condition) -> Box | None:
        """Return where a condition is not known to hold, or None: nowhere."""
        dimension, true, _ = self._cells(condition)
        mask = self.space.search.full[dimension] & ~true
        return ((dimension, mask),) if mask else None

    def outcome_box(self, condition: Condition, outcome: str) -> Box | None:
        """Return where a condition is `true`, `false` or `unknown`, or None: nowhere."""
        dimension, true, unknown = self._cells(condition)
        rest = self.space.search.full[dimension] & ~true & ~unknown
        mask = {"true": true, "unknown": unknown}.get(outcome, rest)
        return ((dimension, mask),) if mask else None

    @staticmethod
    def starts(region: Region) -> Iterator[Box]:
        """Yield the boxes of a region, before what it avoids is taken away."""
        for boxes in product(*region.must):
            met = meet(*boxes)
            if met is not None:
                yield met

    def _rule(self, rule: Rule) -> RuleBoxes:
        if rule.is_requirements_check:
            boxes = tuple(box for found in self.missing.values() for box in found)
            return RuleBoxes(rule, boxes, boxes)
        blocks = [(block.kind, block.groups) for block in rule.blocks]
        return RuleBoxes(rule, self._met(blocks, unknown=False), self._met(blocks, unknown=True))

    def _met(self, blocks: Sequence[Choice], *, unknown: bool) -> tuple[Box, ...]:
        """Return where blocks are all met, or might be."""
        choices: list[Sequence[Box]] = []
        for kind, groups in blocks:
            if kind is BlockKind.IF_ANY:
                boxes = (self._group(group, unknown=unknown) for group in groups)
                choices.append([box for box in boxes if box is not None])
            else:
                box = self._group(chain.from_iterable(groups), unknown=unknown)
                choices.append([] if box is None else [box])
        if len(choices) == 1:
            return tuple(dict.fromkeys(choices[0]))
        found = (meet(*boxes) for boxes in product(*choices))
        return tuple(dict.fromkeys(box for box in found if box is not None))

    def _group(self, group: Iterable[Condition], *, unknown: bool) -> Box | None:
        merged: dict[int, int] = {}
        for condition in group:
            dimension, true, open_ = self._cells(condition)
            mask = true | open_ if unknown else true
            held = merged[dimension] = merged.get(dimension, mask) & mask
            if not held:
                return None
        return tuple(sorted(merged.items()))

    def _cells(self, condition: Condition) -> tuple[int, int, int]:
        """Return the dimension a condition looks at, the cells in which it holds, and those in which it is unknown."""
        found = self._masks.get(id(condition))
        if found is None:
            found = condition, self.space.masks(self._reading, condition, self._counter)
            self._masks[id(condition)] = found  # which keeps the condition, and so its id
        return found[1]

    def _unknown(self, condition: Condition) -> Iterator[tuple[str, Box]]:
        """Yield what is asked for when the fact of a condition is unknown, with where that is."""
        if condition.operator.name == "present" or condition.fact.startswith("risk."):
            return
        dimension, _, unknown = self._cells(condition)
        if not unknown:
            return
        if condition.fact == "amount_usd":
            for (reading, name), mask in self.space.dimensions[dimension].notes.items():
                if reading == self._reading and name.startswith(ASK):
                    yield name.removeprefix(ASK), ((dimension, mask),)
        elif condition.fact == "amount_currency":
            yield "action.amount", ((dimension, unknown),)
        else:
            yield condition.evidence_key or condition.fact, ((dimension, unknown),)


def holds(box: Box, corner: tuple[int, ...]) -> bool:
    """Return whether a part of the space lies in a box; of a part that straddles it, no more than that it does not."""
    return all(corner[dimension] and not corner[dimension] & ~mask for dimension, mask in box)


def _boxes(places: Iterable[tuple[int, int]]) -> tuple[Box, ...]:
    return tuple(((dimension, mask),) for dimension, mask in places if mask)
