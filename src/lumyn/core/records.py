"""
Decision Records: the value an application gets, written once as canonical JSON and read back from it.
One of the places where raw JSON exists; must not know how a verdict was reached or where records are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, cast

from lumyn._version import __version__
from lumyn.core.record_text import ORDER_TEXT, DerivedText, OutcomeText, inputs_digest, own_extension, risk_text
from lumyn.core.requests import ParsedRequest, digest_of_request, persisted_text
from lumyn.digest import canonical_text
from lumyn.documents import Limits
from lumyn.engine.redaction import Redacted
from lumyn.errors import InvalidRequestError, StoreIntegrityError
from lumyn.model import (
    Evaluation,
    JsonObject,
    JsonValue,
    Label,
    Match,
    MatchedRule,
    Mode,
    Query,
    Similarity,
    Stage,
    Verdict,
)

__all__ = [
    "RECORD_VERSION",
    "DecisionRecord",
    "PolicyRef",
    "evaluation_of",
    "normalised",
    "permits",
    "record_from_json",
    "write_record",
]

RECORD_VERSION: Final = "decision_record.v0"
NO_SNAPSHOT: Final = "unavailable"
"""The `memory_snapshot` of a record whose memory could not be read."""

_DECODER: Final = json.JSONDecoder()
_VOLATILE: Final = ("decision_id", "created_at", "trace", "decision_event_log")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRef:
    """
    Which policy decided, and in which mode.

    Attributes:
        text: Canonical JSON of the four, as a record holds them.
    """

    policy_id: str
    policy_version: str
    policy_hash: str
    mode: Mode
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = ("policy_id", "policy_version", "policy_hash", "mode")
        object.__setattr__(self, "text", canonical_text({name: str(getattr(self, name)) for name in names}))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecisionRecord:
    """
    What was decided, why, and the digests that let anyone re-run it.

    Two records are equal when their JSON is: one that was read back equals the one that was decided.

    Attributes:
        created_at: RFC 3339, UTC, milliseconds.
        memory_snapshot: `mem0:<n>:<sha256>`, or `unavailable` when memory could not be read.
        inputs_digest: Digest of the request as stored and the facts derived from it.
        request_digest: Digest of the request as received, without `request_id` and `trace`.
        persisted: Whether the record is durable in the store; False for `STORAGE_UNAVAILABLE` and for dry runs.
        dry_run: Whether it was only asked what would be decided; such a record permits nothing.
    """

    decision_id: str
    created_at: str
    policy: PolicyRef
    evaluation: Evaluation
    similarity: Similarity
    uncertainty: Decimal
    memory_snapshot: str
    inputs_digest: str
    request_digest: str
    persisted: bool
    dry_run: bool
    _json: str = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return self._json == other._json if isinstance(other, DecisionRecord) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._json)

    @property
    def verdict(self) -> Verdict:
        """What the caller may do."""
        return self.evaluation.verdict

    @property
    def reason_codes(self) -> tuple[str, ...]:
        """Why: at least one stable code, in stage order, then rule order."""
        return self.evaluation.reason_codes

    @property
    def matched_rules(self) -> tuple[MatchedRule, ...]:
        """The rules that fired, in stage order, then rule order; empty when the policy's default decided."""
        return self.evaluation.matched_rules

    @property
    def queries(self) -> tuple[Query, ...]:
        """What to ask for; empty unless the verdict is `QUERY`."""
        return self.evaluation.queries

    @property
    def obligations(self) -> tuple[JsonObject, ...]:
        """What the caller must also do; may be empty."""
        return self.evaluation.obligations

    @property
    def failure_similarity(self) -> Decimal:
        """Resemblance to labelled failures, 0 to 1."""
        return self.similarity.score

    @property
    def top_k(self) -> tuple[Match, ...]:
        """The experiences that look most like the request, best first; may be empty."""
        return self.similarity.top_k

    @property
    def policy_id(self) -> str:
        """Which policy decided."""
        return self.policy.policy_id

    @property
    def policy_version(self) -> str:
        """Its version, as it calls itself."""
        return self.policy.policy_version

    @property
    def policy_hash(self) -> str:
        """Digest of the policy document that decided."""
        return self.policy.policy_hash

    @property
    def mode(self) -> Mode:
        """Whether the verdict binds the caller."""
        return self.policy.mode

    @property
    def permits(self) -> bool:
        """Whether the action may proceed: `TRUST`, or an advisory mode; never a dry run."""
        return permits(self)

    def authorizes(self, request: Mapping[str, object] | str | bytes) -> bool:
        """
        Return whether this record lets exactly this request proceed. Call it just before acting.

        True only when the record permits its action and `request` has the digest of the request that was decided
        (`request_id` and `trace` aside). What cannot be read as a request is not authorised.
        """
        return permits(self) and self.concerns(request)

    def concerns(self, request: Mapping[str, object] | str | bytes) -> bool:
        """Return whether `request` is the one that was decided, whatever the verdict."""
        try:
            return digest_of_request(request, limits=Limits()) == self.request_digest
        except InvalidRequestError:
            return False

    def to_json(self) -> str:
        """Return the record as canonical JSON (RFC 8785): exactly what is stored."""
        return self._json

    def to_dict(self) -> JsonObject:
        """Return the record as plain data; a fresh copy each time."""
        return cast("JsonObject", _DECODER.raw_decode(self._json)[0])

    def normalised(self) -> JsonObject:
        """Return the record without what differs between two runs; equality of these is what no drift means."""
        return normalised(self.to_dict())


def permits(record: DecisionRecord) -> bool:
    """Return whether the action may proceed: `TRUST`, or an advisory mode; never a dry run."""
    return not record.dry_run and (record.verdict is Verdict.TRUST or record.policy.mode is Mode.ADVISORY)


def normalised(document: JsonObject) -> JsonObject:
    """Return a record's document without its volatile parts (SPEC 2.2); the argument is not changed."""
    kept = document.copy()
    for name in _VOLATILE:
        kept.pop(name, None)
    determinism = kept.get("determinism")
    if isinstance(determinism, dict):
        kept["determinism"] = lasting = determinism.copy()
        lasting.pop("engine_version", None)
    return kept


def write_record(
    parsed: ParsedRequest,
    *,
    redacted: Redacted,
    derived: DerivedText,
    projection: str | None,
    policy: PolicyRef,
    evaluation: Evaluation,
    outcome: OutcomeText,
    similarity: Similarity,
    uncertainty: Decimal,
    memory_snapshot: str,
    decision_id: str,
    created_at: str,
    storage_error: str | None = None,
    request_digest: str | None = None,
) -> DecisionRecord:
    """
    Return the record of one decision, its canonical JSON spliced from parts that are canonical already.

    Args:
        projection: What `projection_text` returned for the judgement; None leaves it out.
        outcome: What `outcome_text` returned for `evaluation`.
        storage_error: Finer code of the storage failure that made this record one that is not stored.
        request_digest: Replaces the digest of the request, where a replay starts from a redacted one.
    """
    kept = persisted_text(parsed, redacted.replaced)
    inputs = inputs_digest(kept.inputs, derived)
    digest = request_digest or parsed.digest
    dry_run = parsed.request.dry_run
    trace = "" if kept.trace is None else f'"trace":{kept.trace},'
    text = (
        f'{{"created_at":"{created_at}","decision_id":"{decision_id}",'
        f'"determinism":{{"engine_version":"{__version__}","evaluation_order":{ORDER_TEXT},'
        f'"inputs_digest":"{inputs}","memory_snapshot":"{memory_snapshot}"}},'
        f"{outcome.explanation},"
        f'"extensions":{{"lumyn":{own_extension(digest, projection, dry_run=dry_run, storage_error=storage_error)}}},'
        f'{outcome.rules},"policy":{policy.text},{outcome.codes},"request":{kept.request},'
        f'"risk_signals":{risk_text(similarity, uncertainty)},"schema_version":"{RECORD_VERSION}",'
        f"{trace}{outcome.verdict}}}"
    )
    return DecisionRecord(
        decision_id=decision_id,
        created_at=created_at,
        policy=policy,
        evaluation=evaluation,
        similarity=similarity,
        uncertainty=uncertainty,
        memory_snapshot=memory_snapshot,
        inputs_digest=inputs,
        request_digest=digest,
        persisted=storage_error is None and not dry_run,
        dry_run=dry_run,
        _json=text,
    )


def record_from_json(text: str) -> DecisionRecord:
    """
    Return the record of its stored JSON.

    Raises:
        StoreIntegrityError: The text is not a record this version can have written.
    """
    try:
        data = json.loads(text)
        return _record(data, text)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise StoreIntegrityError("a stored record cannot be read back") from None


def _record(data: JsonObject, text: str) -> DecisionRecord:
    policy = cast("dict[str, str]", data["policy"])
    own = cast("dict[str, JsonValue]", cast("dict[str, JsonValue]", data["extensions"])["lumyn"])
    signals = cast("dict[str, JsonValue]", data["risk_signals"])
    failure = cast("dict[str, JsonValue]", signals["failure_similarity"])
    determinism = cast("dict[str, str]", data["determinism"])
    return DecisionRecord(
        decision_id=str(data["decision_id"]),
        created_at=str(data["created_at"]),
        policy=PolicyRef(
            policy_id=policy["policy_id"],
            policy_version=policy["policy_version"],
            policy_hash=policy["policy_hash"],
            mode=Mode(policy["mode"]),
        ),
        evaluation=evaluation_of(data),
        similarity=Similarity(
            score=_decimal(failure["score"]),
            top_k=tuple(_match(match) for match in cast("list[dict[str, JsonValue]]", failure["top_k"])),
        ),
        uncertainty=_decimal(signals["uncertainty_score"]),
        memory_snapshot=determinism["memory_snapshot"],
        inputs_digest=determinism["inputs_digest"],
        request_digest=str(own["request_digest"]),
        persisted=own.get("persisted") is not False and own.get("dry_run") is not True,
        dry_run=own.get("dry_run") is True,
        _json=text,
    )


def evaluation_of(data: JsonObject) -> Evaluation:
    """Return what a policy decided, as a record or a part of one tells it."""
    rules = cast("list[dict[str, JsonValue]]", data["matched_rules"])
    queries = cast("list[dict[str, str]]", data.get("queries", []))
    return Evaluation(
        verdict=Verdict(str(data["verdict"])),
        reason_codes=_texts(data["reason_codes"]),
        matched_rules=tuple(
            MatchedRule(
                rule_id=str(rule["rule_id"]),
                stage=Stage(str(rule["stage"])),
                effect=Verdict(str(rule["effect"])),
                reason_codes=_texts(rule["reason_codes"]),
            )
            for rule in rules
        ),
        queries=tuple(Query(field=query["field"], question=query["question"]) for query in queries),
        obligations=tuple(cast("list[JsonObject]", data.get("obligations", []))),
    )


def _match(data: dict[str, JsonValue]) -> Match:
    return Match(
        memory_id=str(data["memory_id"]),
        label=Label(str(data["label"])),
        score=_decimal(data["score"]),
        summary=str(data["summary"]),
    )


def _decimal(value: JsonValue) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("a score is a number")
    return Decimal(repr(value))


def _texts(value: JsonValue) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("reason codes are a list of strings")
    return tuple(cast("list[str]", value))
