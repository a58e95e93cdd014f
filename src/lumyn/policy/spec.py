"""
What a loaded policy is: rules, conditions, thresholds and evidence types, each with its place in the file.
Immutable values without behaviour of their own; must not know YAML, requests or how rules are evaluated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from lumyn.errors import Span
from lumyn.model import JsonObject, Mode, Query, Stage, Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX, Operand, Operator, Subject
from lumyn.policy.scalars import Scalar

if TYPE_CHECKING:
    from lumyn.policy.invariants import Invariant

__all__ = [
    "FX_RATE_KEY",
    "Block",
    "BlockKind",
    "Condition",
    "EvidenceSpec",
    "EvidenceType",
    "MemorySpec",
    "Policy",
    "Rule",
]

FX_RATE_KEY: Final = "fx_rate_to_usd"
"""The one evidence key the engine itself reads: US dollars for one unit of the amount's currency."""


class EvidenceType(StrEnum):
    """What a value of an evidence key must be. `ENUM` is a text out of a closed list."""

    NUMBER = "number"
    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"
    ENUM = "enum"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSpec:
    """
    The type and range of one evidence key, declared by the policy or implied by its operators.

    Attributes:
        minimum: Least allowed number, or None.
        maximum: Greatest allowed number, or None.
        exclusive_minimum: Whether `minimum` itself is refused.
        step: Distance between neighbouring values, for analysis; not checked on requests.
        values: The allowed texts of an enum; empty for other types.
        default: What a missing value counts as, or None.
        declared: False when implied by the operators applied to the key.
        span: Where it is declared, or the first condition that implies it.
    """

    key: str
    type: EvidenceType
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    exclusive_minimum: bool = False
    step: Decimal | None = None
    values: tuple[str, ...] = ()
    default: Scalar | None = None
    declared: bool = True
    span: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """
    One comparison of one attribute with a constant.

    Attributes:
        text: The key as the policy writes it, such as `evidence.chargeback_risk_gte`.
        fact: The attribute, such as `evidence.chargeback_risk` or `amount_usd`.
        operand: The constant, thresholds substituted.
        threshold: Name of the threshold the constant came from, or None.
    """

    text: str
    fact: str
    subject: Subject
    operator: Operator
    operand: Operand
    threshold: str | None
    span: Span

    @property
    def claim(self) -> tuple[str, str, Operand | frozenset[object]]:
        """What it says, however it is written; a rule may say it once."""
        operand = self.operand
        constant = frozenset(operand) if isinstance(operand, tuple) else operand
        # A boolean equals a number in Python and never here, so the type is part of what is compared.
        return self.fact, f"{self.operator.name}:{type(operand).__name__}", constant

    @property
    def evidence_key(self) -> str | None:
        """The evidence key it reads, or None for any other attribute."""
        return self.fact.removeprefix(EVIDENCE_PREFIX) if self.fact.startswith(EVIDENCE_PREFIX) else None


class BlockKind(StrEnum):
    """How the groups of a block combine."""

    IF = "if"
    IF_ALL = "if_all"
    IF_ANY = "if_any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """
    One of `if`, `if_all`, `if_any`.

    Attributes:
        groups: At least one; the conditions of a group are and-ed. `IF` has one group, the groups of `IF_ALL` are
            and-ed, those of `IF_ANY` or-ed.
    """

    kind: BlockKind
    groups: tuple[tuple[Condition, ...], ...]
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One rule of the policy.

    Attributes:
        actions: The action types it applies to, or None for every action.
        blocks: Present blocks are and-ed. Empty: an unconditional rule; in `REQUIREMENTS` that means it fires when a
            required key of the action is missing.
        obligations: As written; the engine adds `source` to each.
        index: Its place in the file, from 0.
    """

    rule_id: str
    stage: Stage
    actions: tuple[str, ...] | None
    blocks: tuple[Block, ...]
    verdict: Verdict
    reason_codes: tuple[str, ...]
    queries: tuple[Query, ...]
    obligations: tuple[JsonObject, ...]
    index: int
    span: Span

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions, in file order."""
        return tuple(condition for block in self.blocks for group in block.groups for condition in group)

    @property
    def is_requirements_check(self) -> bool:
        """Whether it fires on missing required keys rather than on conditions."""
        return self.stage is Stage.REQUIREMENTS and not self.blocks

    def applies_to(self, action_type: str) -> bool:
        """Return whether the rule is evaluated for this action."""
        return self.actions is None or action_type in self.actions


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySpec:
    """
    How experience is compared.

    Attributes:
        features: Names of the features used, or None for all: `action_type`, `target_system`, `resource_type`,
            `currency`, `amount_band`, `tags` and evidence keys.
        weights: Feature name -> positive integer; 1 for those not named.
        bands: Evidence key or `amount_usd` -> ascending cut points that replace the policy's own.
        top_k: How many matches a record lists, at least 1.
        min_score: Matches below it are not listed; the failure score itself is never truncated.
    """

    features: tuple[str, ...] | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    bands: Mapping[str, tuple[Decimal, ...]] = field(default_factory=dict)
    top_k: int = 5
    min_score: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """
    A policy that passed every check.

    Attributes:
        policy_hash: `sha256:` + 64 hex over the RFC 8785 form of the document; comments, white space, key order and
            quoting do not change it.
        source: The exact text it was loaded from.
        document: The policy as plain JSON data, thresholds not substituted.
        reason_codes: Codes the policy adds to the registry -> their meaning.
        thresholds: Name -> constant.
        required_evidence: Action type -> keys, in file order.
        evidence: Key -> its type, declared ones and those implied by the operators.
        fx_bounds: Currency -> (least, greatest) US dollars for one unit; None when the policy has no such block.
        invariants: As written.
        promises: The same, read; `lumyn policy prove` holds the policy to them.
    """

    policy_id: str
    policy_version: str
    policy_hash: str
    source: str
    document: JsonObject
    mode: Mode
    default_verdict: Verdict
    default_reason_code: str
    reason_codes: Mapping[str, str]
    thresholds: Mapping[str, Scalar]
    required_evidence: Mapping[str, tuple[str, ...]]
    evidence: Mapping[str, EvidenceSpec]
    fx_bounds: Mapping[str, tuple[Decimal, Decimal]] | None
    memory: MemorySpec
    rules: tuple[Rule, ...]
    invariants: tuple[JsonObject, ...]
    spans: Mapping[str, Span]
    promises: tuple[Invariant, ...] = ()

    @cached_property
    def action_types(self) -> tuple[str, ...]:
        """Every action type the policy names, sorted."""
        named = {action for rule in self.rules for action in rule.actions or ()}
        return tuple(sorted(named | set(self.required_evidence)))

    def rules_for(self, action_type: str) -> tuple[Rule, ...]:
        """Return the rules that apply to the action, in stage order, then file order."""
        order = {stage: place for place, stage in enumerate(Stage)}
        everywhere, named = self._applicable
        applicable = [*everywhere, *named.get(action_type, ())]
        return tuple(sorted(applicable, key=lambda rule: (order[rule.stage], rule.index)))

    @cached_property
    def _applicable(self) -> tuple[list[Rule], dict[str, list[Rule]]]:
        """The rules for every action, and those for each action that rules name."""
        everywhere = [rule for rule in self.rules if rule.actions is None]
        named: dict[str, list[Rule]] = {}
        for rule in self.rules:
            for action in dict.fromkeys(rule.actions or ()):
                named.setdefault(action, []).append(rule)
        return everywhere, named

    def keys_for(self, action_type: str) -> tuple[str, ...]:
        """Return the evidence keys that matter to the action, sorted: required, or read by an applicable rule."""
        named = action_type if action_type in self.action_types else None  # all others have the same keys
        found = self._keys.get(named)
        if found is None:
            keys = {*self.required_evidence.get(action_type, ()), *self.reads_for(action_type)}
            found = self._keys[named] = tuple(sorted(keys))
        return found

    def reads_for(self, action_type: str) -> Counter[str]:
        """Return the evidence keys that rules read for the action, with how many applicable rules read each."""
        named = action_type if action_type in self.action_types else None
        found = self._reads.get(named)
        if found is None:
            found = self._reads[named] = keys_read(self.rules, action_type)
        return found

    @cached_property
    def _keys(self) -> dict[str | None, tuple[str, ...]]:
        return {}

    @cached_property
    def _reads(self) -> dict[str | None, Counter[str]]:
        return {}

    def may_emit(self) -> frozenset[str]:
        """Return every reason code a rule of this policy, or its default, can put into a record."""
        codes = {code for rule in self.rules for code in rule.reason_codes}
        return frozenset(codes | {self.default_reason_code})


def keys_read(rules: Iterable[Rule], action_type: str) -> Counter[str]:
    """Return the evidence keys that rules read for an action, with how many of the rules read each."""
    found: Counter[str] = Counter()
    for rule in rules:
        if rule.applies_to(action_type):
            found.update(keys_of(rule))
    return found


def keys_of(rule: Rule) -> set[str]:
    """Return the evidence keys that a rule reads."""
    facts = {condition.fact for block in rule.blocks for group in block.groups for condition in group}
    keys = {fact.removeprefix(EVIDENCE_PREFIX) for fact in facts if fact.startswith(EVIDENCE_PREFIX)}
    return keys | {FX_RATE_KEY} if "amount_usd" in facts else keys
