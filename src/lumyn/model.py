"""
The values that cross module borders: verdicts, stages, requests, facts, memory, evaluations.
Everything here is immutable and does no I/O; it must not know how a document, policy or store is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from lumyn.errors import Span

__all__ = [
    "DecisionRequest",
    "EVALUATION_ORDER",
    "Evaluation",
    "Facts",
    "JsonObject",
    "JsonValue",
    "Label",
    "MatchedRule",
    "Match",
    "MemoryItem",
    "Mode",
    "Query",
    "Similarity",
    "Span",
    "Stage",
    "Verdict",
]

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"
JsonObject: TypeAlias = "dict[str, JsonValue]"


class Verdict(StrEnum):
    """What the caller may do. Strictness: `ABSTAIN > QUERY > ESCALATE > TRUST`."""

    TRUST = "TRUST"
    ESCALATE = "ESCALATE"
    QUERY = "QUERY"
    ABSTAIN = "ABSTAIN"

    @property
    def strictness(self) -> int:
        """0 for `TRUST`, the most permissive, up to 3 for `ABSTAIN`."""
        return _STRICTNESS[self]

    @classmethod
    def strictest(cls, verdicts: Iterable[Verdict]) -> Verdict | None:
        """Return the strictest of `verdicts`, or None when there are none."""
        return max(verdicts, key=lambda verdict: _STRICTNESS[verdict], default=None)


_STRICTNESS: Final = {verdict: place for place, verdict in enumerate(Verdict)}


class Stage(StrEnum):
    """The five stages, in the order in which they run."""

    REQUIREMENTS = "REQUIREMENTS"
    HARD_BLOCKS = "HARD_BLOCKS"
    ESCALATIONS = "ESCALATIONS"
    TRUST_PATHS = "TRUST_PATHS"
    DEFAULT = "DEFAULT"


EVALUATION_ORDER: Final[tuple[Stage, ...]] = tuple(Stage)


class Mode(StrEnum):
    """`enforce`: the verdict binds the caller. `advisory`: it is recorded and the action may proceed."""

    ENFORCE = "enforce"
    ADVISORY = "advisory"


class Label(StrEnum):
    """What became of a decision, as told by a person or a downstream system."""

    FAILURE = "failure"
    NEAR_MISS = "near_miss"
    SUCCESS = "success"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequest:
    """
    A request that passed every check, in the form the engine reads.

    Attributes:
        document: The request as received, as plain JSON data in canonical number form; never changed after parsing.
        tenant_id: `tenant.tenant_id`, else `subject.tenant_id`, else None.
        amount_value: Exact decimal of `action.amount.value`; None together with `amount_currency`.
        evidence: The caller's signals, as received.
        roles: `subject.roles`, or None when absent (an empty list is present and empty).
        tags: `action.tags`, or None when absent.
    """

    document: JsonObject
    request_id: str | None
    tenant_id: str | None
    environment: str | None
    subject_type: str
    roles: tuple[str, ...] | None
    action_type: str
    target_system: str | None
    resource_type: str | None
    amount_value: Decimal | None
    amount_currency: str | None
    tags: tuple[str, ...] | None
    evidence: Mapping[str, JsonValue]
    mode: Mode | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedRule:
    """A rule that fired: the policy's own, or one of the engine's (its id begins with `LUMYN_`)."""

    rule_id: str
    stage: Stage
    effect: Verdict
    reason_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One thing to ask for: `field` is an evidence key or a dotted path of the request."""

    field: str
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryItem:
    """
    One labelled experience.

    Attributes:
        seq: Place in the store's journal; grows, never repeats.
        features: The raw, normalised features of the request that was labelled: `action_type`, and where present
            `target_system`, `resource_type`, `currency`, `amount_usd` (decimal text), `tags` and `evidence` (keys the
            policy compares). Tokens are derived from them under the policy in force when a decision is made.
        leaf: 32-byte leaf hash of the stored item; the memory snapshot is a running hash over these.
        source_decision_id: The decision that was labelled, if there was one. Of several items from one decision
            only the gravest counts, the newest of equals.
        retracts: The `memory_id` this item takes back; such an item carries no experience of its own.
    """

    memory_id: str
    seq: int
    label: Label
    tenant_id: str | None
    action_type: str
    features: JsonObject
    summary: str
    created_at: str
    leaf: bytes
    source_decision_id: str | None = None
    retracts: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One experience that resembles the request; `score` is a decimal in [0, 1], rounded half-even to 6 places."""

    memory_id: str
    label: Label
    score: Decimal
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """
    How much the request looks like labelled experience.

    Attributes:
        score: The failure similarity in [0, 1]: best `failure` item, or half the best `near_miss` when greater.
        top_k: The best matches of any label, by score (high first), ties by memory id.
    """

    score: Decimal = Decimal(0)
    top_k: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    What one policy reads from one request, decided once; memory is not part of it.

    Attributes:
        amount_usd: Exact decimal, or None when there is no amount, no usable rate, or the currency is not listed.
        fx_rate_present: Whether the evidence holds a usable `fx_rate_to_usd`.
        fx_out_of_bounds: Whether the caller's rate lies outside the policy's `fx_bounds`.
        evidence: The keys that matter to this action and hold a usable value; defaults of the policy are applied,
            numbers are exact decimals.
        missing: Keys that matter to this action and are missing, sorted.
        invalid: Keys that matter and hold an unusable value -> reason code (`EVIDENCE_TYPE_INVALID`,
            `EVIDENCE_OUT_OF_RANGE`, `EVIDENCE_VALUE_UNKNOWN`), sorted by key.
        defaulted: Keys that matter whose value is the policy's default, because the request has none; sorted.
        uncertainty: Share of the keys that matter which are missing or invalid, rounded half-even to 6 places.
    """

    action_type: str
    tenant_id: str | None
    environment: str | None
    subject_type: str
    roles: tuple[str, ...] | None
    tags: tuple[str, ...] | None
    target_system: str | None
    resource_type: str | None
    amount_value: Decimal | None
    amount_currency: str | None
    amount_usd: Decimal | None
    fx_rate_present: bool
    fx_out_of_bounds: bool
    evidence: Mapping[str, bool | Decimal | str]
    missing: tuple[str, ...]
    invalid: Mapping[str, str]
    defaulted: tuple[str, ...]
    uncertainty: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """
    The outcome of a policy for one set of facts.

    Attributes:
        reason_codes: In stage order, then rule order, each once, at its first occurrence.
        queries: What to ask for; empty unless the verdict is `QUERY`.
        obligations: Those of every fired rule, each with its `source`.
        undetermined: Ids of applicable rules that are neither true nor false for want of a fact, in policy order. Not
            part of a record, so empty in one that was read back.
    """

    verdict: Verdict
    reason_codes: tuple[str, ...]
    matched_rules: tuple[MatchedRule, ...]
    queries: tuple[Query, ...] = ()
    obligations: tuple[JsonObject, ...] = field(default=())
    undetermined: tuple[str, ...] = ()
