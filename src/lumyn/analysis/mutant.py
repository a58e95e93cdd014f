"""
One small edit of a policy, and the pieces edits are made of: conditions replaced, constants moved, texts shown.
Edits typed rules, never text; must not know which edits there are, nor vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

from lumyn.errors import Span
from lumyn.model import Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX, OPERATORS
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import Block, Condition, EvidenceType, Policy, Rule, keys_of

__all__ = [
    "Maker",
    "Mutant",
    "allowed",
    "closed_values",
    "conditions_of",
    "operand_text",
    "other_reads",
    "readers_of",
    "renamed",
    "share_an_action",
    "shown",
    "step_of",
    "with_conditions",
]

_HUNDREDTH: Final = Decimal("0.01")
_TOLD: Final = frozenset(
    "drop rule required action every_action order query obligation member code verdict stage".split()
)
"""Operators whose edits say themselves what becomes of their place; those of the others are what stands there then."""

Reads: TypeAlias = "list[tuple[tuple[str, ...] | None, set[str]]]"
"""For each of some rules the actions it applies to, None for every one, and the evidence keys it reads."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """
    One edit of a policy.

    Attributes:
        mutant_id: Stable across edits elsewhere, such as `R310/drop/chargeback_risk_lt`.
        operator: What kind of edit it is, a key of `OPERATORS_OF`.
        place: What is edited, such as `R310 amount_usd <= 25`.
        edit: What becomes of it, such as `25.01` or `dropped`.
        base: The policy that is edited.
        rules: Index of a rule -> the rule in its place, None when it is dropped.
        swap: Two rules that change places, by index.
        required: Action type -> its required keys, for those that change.
        default: The default verdict and reason code, or None.
    """

    mutant_id: str
    operator: str
    place: str
    edit: str
    span: Span | None
    base: Policy
    rules: Mapping[int, Rule | None] | None = None
    swap: tuple[int, int] | None = None
    required: Mapping[str, tuple[str, ...]] | None = None
    default: tuple[Verdict, str] | None = None

    @cached_property
    def policy(self) -> Policy:
        """The edited policy; its hash and document are still those of the base."""
        base = self.base
        verdict, code = self.default or (base.default_verdict, base.default_reason_code)
        return replace(
            base,
            rules=self._rules(),
            required_evidence={**base.required_evidence, **(self.required or {})},
            default_verdict=verdict,
            default_reason_code=code,
        )

    @property
    def became(self) -> str:
        """What becomes of the place, to be read after it: `dropped`, `-> 25.01`, `ABSTAIN -> QUERY`."""
        return self.edit if self.operator in _TOLD else f"-> {self.edit}"

    @property
    def edited(self) -> tuple[Rule, ...]:
        """The rules of the base that are edited or change places."""
        places = [*(self.rules or ()), *(self.swap or ())]
        return tuple(self.base.rules[place] for place in places)

    @property
    def changed(self) -> tuple[Condition, ...]:
        """The conditions of edited rules that are not kept as they are."""
        found: list[Condition] = []
        for rule in self.edited:
            new = (self.rules or {}).get(rule.index, rule)
            kept = {id(condition) for condition in (() if new is None else new.conditions)}
            found += (each for each in rule.conditions if id(each) not in kept)
        return tuple(found)

    @property
    def come(self) -> tuple[Rule, ...]:
        """The rules that the edited policy has and the base does not."""
        new = tuple(rule for rule in (self.rules or {}).values() if rule is not None)
        return (*new, *(self.policy.rules[place] for place in self.swap or ()))

    @property
    def gone(self) -> tuple[Rule, ...]:
        """The rules that only the base has."""
        return self.edited

    @cached_property
    def rereads(self) -> tuple[Reads, Reads]:
        """What the rules that go read, and what those that come do, where that differs; two empty lists: nowhere."""
        return other_reads(self.gone, self.come) if self.rules else ([], [])

    def keys_for(self, action: str) -> tuple[str, ...]:
        """Return what `policy.keys_for` does, without making the policy."""
        base = self.base
        read, required = base.reads_for(action), base.required_evidence.get(action, ())
        more: dict[str, int] = {}
        for sign, reads in zip((-1, 1), self.rereads, strict=True):
            for actions, keys in reads:
                if actions is None or action in actions:
                    for key in keys:
                        more[key] = more.get(key, 0) + sign
        come = {key for key, count in more.items() if count > 0 and not read[key]}
        gone = {key for key, count in more.items() if count < 0 and read[key] + count <= 0}
        left = required if self.required is None else self.required.get(action, required)
        if not come and not gone and left == required:
            return base.keys_for(action)
        return tuple(sorted({*left, *((read.keys() | come) - gone)}))

    def _rules(self) -> tuple[Rule, ...]:
        rules = list(self.base.rules)
        if self.swap is not None:
            first, second = self.swap
            rules[first], rules[second] = replace(rules[second], index=first), replace(rules[first], index=second)
        edited = self.rules
        if edited is not None:
            rules = [rule for each in rules if (rule := edited.get(each.index, each)) is not None]
        return tuple(rules)


def step_of(policy: Policy, fact: str) -> Decimal:
    """Return the distance between neighbouring values of an attribute: declared, a whole number, else a hundredth."""
    if not fact.startswith(EVIDENCE_PREFIX):
        return _HUNDREDTH
    spec = policy.evidence.get(fact.removeprefix(EVIDENCE_PREFIX))
    if spec is not None and spec.step is not None:
        return spec.step
    return Decimal(1) if spec is not None and spec.type is EvidenceType.INTEGER else _HUNDREDTH


class Maker(NamedTuple):
    """Makes the mutants of one operator."""

    policy: Policy
    operator: str

    def of_rule(self, rule: Rule, new: Rule | None, where: str, edit: str, *, tail: str = "") -> Mutant:
        return self._of(rule, new, (where, tail), rule.rule_id, edit, rule.span)

    def of_condition(self, rule: Rule, old: Condition, new: Condition | None, edit: str, *, tail: str = "") -> Mutant:
        names = _called(rule, old), tail
        place = f"{rule.rule_id} {shown(old)}"
        return self._of(rule, with_conditions(rule, {id(old): new}), names, place, edit, old.span)

    def _of(
        self, rule: Rule, new: Rule | None, names: tuple[str, str], place: str, edit: str, span: Span | None
    ) -> Mutant:
        return Mutant(
            mutant_id="/".join(part for part in (rule.rule_id, self.operator, *names) if part),
            operator=self.operator,
            place=place,
            edit=edit,
            span=span,
            base=self.policy,
            rules={rule.index: new},
        )

    def of_policy(self, place: str, edit: str, *, tail: str, span: str = "", **members: object) -> Mutant:
        return Mutant(
            mutant_id=f"{tail}/{self.operator}" if not edit else f"{tail}/{self.operator}/{edit}",
            operator=self.operator,
            place=place,
            edit=edit,
            span=self.policy.spans.get(span),
            base=self.policy,
            **members,  # type: ignore[arg-type]
        )


def _called(rule: Rule, condition: Condition) -> str:
    """Return what a condition is called in ids; one of several on one key by its constant, never by its place."""
    text = condition.text.removeprefix(EVIDENCE_PREFIX)
    if sum(each.text == condition.text for each in rule.conditions) == 1:
        return text
    return f"{text}={condition.threshold or operand_text(condition.operand)}"


def conditions_of(policy: Policy) -> Iterator[tuple[Rule, Condition]]:
    """Yield every condition of a policy with its rule, in file order."""
    return ((rule, condition) for rule in policy.rules for condition in rule.conditions)


def other_reads(gone: Sequence[Rule], come: Sequence[Rule]) -> tuple[Reads, Reads]:
    """Return what rules that go read, and what those that come in their places do, where it is not the same."""
    if len(gone) != len(come):
        return [(rule.actions, keys_of(rule)) for rule in gone], [(rule.actions, keys_of(rule)) for rule in come]
    less, more = [], []
    for old, new in zip(gone, come, strict=True):
        if old.blocks is not new.blocks or old.actions is not new.actions:
            before, after = (old.actions, keys_of(old)), (new.actions, keys_of(new))
            if before != after:
                less.append(before)
                more.append(after)
    return less, more


def with_conditions(rule: Rule, new: Mapping[int, Condition | None]) -> Rule:
    """Return a rule with some conditions replaced, None: dropped; a group, list or block left empty goes too."""
    blocks: list[Block] = []
    for block in rule.blocks:
        groups = [tuple(each for old in group if (each := new.get(id(old), old)) is not None) for group in block.groups]
        left = tuple(group for group in groups if group)
        if left:
            blocks.append(replace(block, groups=left))
    return replace(rule, blocks=tuple(blocks))


def renamed(condition: Condition, name: str) -> Condition:
    """Return a condition with another operator."""
    text = condition.text.removesuffix(condition.operator.name) + name
    return replace(condition, text=text, operator=OPERATORS[name])


def readers_of(policy: Policy, condition: Condition) -> int:
    """Return how many conditions take their constant from the same threshold."""
    return sum(1 for _, each in conditions_of(policy) if each.threshold == condition.threshold)


def allowed(policy: Policy, condition: Condition, value: Decimal) -> bool:
    """Return whether the loader accepts a number as the constant of a condition."""
    subject = condition.subject
    low, high = subject.minimum, subject.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        return False
    spec = policy.evidence.get(condition.evidence_key or "")
    if spec is None:
        return True
    return not (spec.minimum is not None and value < spec.minimum) and not (
        spec.maximum is not None and value > spec.maximum
    )


def closed_values(policy: Policy, condition: Condition) -> tuple[str, ...]:
    """Return the closed list of texts an attribute can hold, empty when it is open."""
    spec = policy.evidence.get(condition.evidence_key or "")
    if spec is not None:
        return spec.values
    return condition.subject.values or ()


def share_an_action(first: Rule, second: Rule) -> bool:
    """Return whether some action has both rules."""
    if first.actions is None or second.actions is None:
        return True
    return not set(first.actions).isdisjoint(second.actions)


def shown(condition: Condition) -> str:
    """Return a condition as reports write it, such as `amount_usd <= 25`."""
    fact = condition.fact.removeprefix(EVIDENCE_PREFIX)
    return f"{fact} {condition.operator.symbol} {operand_text(condition.operand)}"


def operand_text(value: object) -> str:
    """Return a constant as a policy would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, tuple):
        return f"[{', '.join(operand_text(each) for each in value)}]"
    return str(value)
