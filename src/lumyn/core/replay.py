"""
Decides a stored request again, with exactly the memory it saw, and says how much of it could be and what differs.
Reads the store and writes nothing; must not know how records are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from lumyn.core.judge import Judgement, judge, judge_by_score
from lumyn.core.known import Known, StoredFacts, known_request, removed_from
from lumyn.core.record_text import derived_text, inputs_digest_of, outcome_text, projection_text
from lumyn.core.records import NO_SNAPSHOT, DecisionRecord, PolicyRef, record_from_json, write_record
from lumyn.core.requests import ParsedRequest, parsed_from_stored
from lumyn.digest import canonical_text
from lumyn.documents.schema import check
from lumyn.engine.evaluator import ActionPlan, compile_policy
from lumyn.engine.profiles import feature_plan
from lumyn.engine.redaction import Redacted
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import InvalidPolicyError, NotFoundError, StoreIntegrityError
from lumyn.model import DecisionRequest, JsonObject, JsonValue
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.store.base import Store

__all__ = [
    "Difference",
    "Replay",
    "ReplayStatus",
    "memory_seen",
    "policy_kept",
    "RECORD_SCHEMA",
    "replay_decision",
    "replay_record",
    "reread",
    "stored_policy",
]

RECORD_SCHEMA: Final = "decision_record.v0.schema.json"
SCORE: Final = "/risk_signals/failure_similarity/score"
"""Pointer into a record: what stands for the memory that a decision saw."""

_FAILURE_SIMILARITY: Final = "risk.failure_similarity"
_SNAPSHOT: Final = re.compile(r"mem0:(0|[1-9][0-9]{0,15}):[0-9a-f]{64}")
_OUTCOME: Final = ("verdict", "reason_codes", "matched_rules")
_POLICIES_KEPT: Final = 16
_NOTHING_REMOVED: Final = Redacted(replaced={}, fields_removed=())


class ReplayStatus(StrEnum):
    """
    How much of a stored decision can be decided again, under one policy.

    `full`: all of it, with the memory it saw. `facts`: the outcome, because the facts of the record stand in for what
    is not at hand. `verdict_only`: something that the policy reads is not known any more, so all there is is what was
    decided. `no`: nothing.
    """

    FULL = "full"
    FACTS = "facts"
    VERDICT_ONLY = "verdict_only"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where the replay differs: `path` is dotted; None stands for an absent value."""

    path: str
    stored: JsonValue
    replayed: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """
    What came of deciding a stored request again.

    Attributes:
        status: How much could be decided again.
        reason: Why not all of it; empty when `full`.
        stored: The record as it is kept; None when it cannot be read.
        record: The record as it comes out now; None unless `full` or `facts`. In the latter, risk signals that could
            not be measured again are those of the stored record.
        differences: Sorted by path. Of the whole normalised records when `full`; of verdict, reason codes and fired
            rules when `facts`, and for the policy that decided also of the facts and the risk signals.
        unknown: JSON Pointers to what the policy reads and is not known any more, sorted: into the request, or, for
            the memory, to the score in the record. Empty unless `verdict_only`.
    """

    status: ReplayStatus
    reason: str
    stored: DecisionRecord | None
    record: DecisionRecord | None
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether all of the decision came out exactly as it is stored."""
        return self.status is ReplayStatus.FULL and not self.differences


def replay_decision(store: Store, decision_id: str, *, policy: Policy | None = None) -> Replay:
    """
    Decide a stored request again, with the memory it saw; see `Gate.replay`.

    Raises:
        NotFoundError: No such decision.
        StoreUnavailableError: The store cannot be read.
    """
    try:
        row = store.decision(decision_id)
        stored = record_from_json(row.record_json)
    except StoreIntegrityError as error:
        return _impossible(None, error.message)
    memory = memory_seen(store, row.tenant_id, row.action_type, stored.memory_snapshot)
    deciding = policy_kept(store, stored.policy.policy_hash)
    if isinstance(deciding, str):
        if policy is None:
            return _impossible(stored, deciding)
        return replay_record(stored, policy=policy, memory=memory)
    return replay_record(stored, deciding=deciding, policy=policy, memory=memory)


def replay_record(
    stored: DecisionRecord,
    *,
    deciding: Policy | None = None,
    policy: Policy | None = None,
    memory: MemorySnapshot | None = None,
) -> Replay:
    """
    Decide the request inside a record again, without a store. Pure.

    Args:
        deciding: The policy that decided, where it is at hand.
        policy: The policy to use; the one that decided when None.
        memory: The memory that the decision saw, where it is at hand; memory that saw nothing always is.
    """
    if stored.memory_snapshot == NO_SNAPSHOT:
        return _impossible(stored, "memory could not be read when it was decided")
    document = stored.to_dict()
    if _SNAPSHOT.fullmatch(stored.memory_snapshot) is None or not check(RECORD_SCHEMA, document):
        return _impossible(stored, "the record does not meet its schema")
    if deciding is not None and deciding.policy_hash != stored.policy.policy_hash:
        return _impossible(stored, "the policy at hand is not the one that decided")
    policy = policy or deciding
    if policy is None:
        return _impossible(stored, "the policy that decided is not at hand")
    try:
        parsed = parsed_from_stored(document, digest=stored.request_digest)
    except StoreIntegrityError as error:
        return _impossible(stored, error.message)
    own = policy.policy_hash == stored.policy.policy_hash
    facts = StoredFacts.of(document)
    plan = compile_policy(policy).plan(parsed.request.action_type)
    known = _reread(stored, document, parsed, plan, deciding=deciding)
    if known.unknown:
        return _unknown(stored, known.unknown, "what the policy reads was removed")
    memory = memory or MemorySnapshot()
    if memory.digest == stored.memory_snapshot:
        judgement = judge(plan, known.request, memory)
        reason = "the facts stand in for what was removed" if known.from_facts else ""
    else:
        score = stored.similarity.score if facts is None else facts.failure_similarity
        alike = facts is not None and (own or _compare_alike(policy, deciding, known.request))
        if _reads_memory(plan) and not alike:
            return _unknown(stored, (SCORE,), "the policy reads the memory the decision saw")
        similarity = replace(stored.similarity, score=score)
        judgement = judge_by_score(plan, known.request, similarity, memory_snapshot=stored.memory_snapshot)
        reason = "the experience it saw is not at hand as it was"
    whole = not reason
    record = _record(stored, parsed, plan, judgement, with_facts="facts" in _own_members(document))
    found = _differences("", *(_compared(each, whole=whole, own=own) for each in (stored, record)))
    return Replay(
        status=ReplayStatus.FULL if whole else ReplayStatus.FACTS,
        reason=reason,
        stored=stored,
        record=record,
        differences=tuple(found),
    )


def memory_seen(store: Store, tenant_id: str | None, action_type: str, snapshot: str) -> MemorySnapshot | None:
    """Return the first n items, as many as the decision saw; None when they cannot be read back."""
    shape = _SNAPSHOT.fullmatch(snapshot)
    if shape is None:
        return None
    count, memory = int(shape[1]), MemorySnapshot()
    try:
        for item in store.memory_items(tenant_id, action_type, limit=count) if count else ():
            memory.add(item)
    except (StoreIntegrityError, ValueError):
        return None
    return memory if memory.digest == snapshot else None


def stored_policy(store: Store, policy_hash: str) -> Policy:
    """
    Return the policy kept under a hash; its spans are places in the stored text.

    Raises:
        NotFoundError: It is not in the store.
        InvalidPolicyError: This version does not accept it.
        StoreIntegrityError: What is kept is not that policy.
        StoreUnavailableError: The store cannot be read.
    """
    kept = store.policy(policy_hash)
    policy = _parsed(kept.source, file=f"<policy {kept.policy_hash}>")
    if policy.policy_hash != policy_hash:
        raise StoreIntegrityError("the policy that decided does not have the hash it is kept under")
    return policy


# Decisions are replayed by the thousand, and few policies made them.
_parsed: Final = lru_cache(maxsize=_POLICIES_KEPT)(parse_policy)


def policy_kept(store: Store, policy_hash: str) -> Policy | str:
    """Return the policy kept under a hash, or why there is none. Raises `StoreUnavailableError`."""
    try:
        return stored_policy(store, policy_hash)
    except NotFoundError:
        return "the policy that decided is not in the store"
    except InvalidPolicyError:
        return "the policy that decided is not valid any more"
    except StoreIntegrityError as error:
        return error.message


def _record(
    stored: DecisionRecord, parsed: ParsedRequest, plan: ActionPlan, judgement: Judgement, *, with_facts: bool
) -> DecisionRecord:
    policy = plan.policy
    derived = derived_text(judgement.facts)
    projection = projection_text(plan, judgement.facts, derived, judgement.similarity) if with_facts else None
    return write_record(
        parsed,
        redacted=_NOTHING_REMOVED,
        derived=derived,
        projection=projection,
        policy=PolicyRef(
            policy_id=policy.policy_id,
            policy_version=policy.policy_version,
            policy_hash=policy.policy_hash,
            mode=stored.policy.mode,
        ),
        evaluation=judgement.evaluation,
        outcome=outcome_text(judgement.evaluation),
        similarity=judgement.similarity,
        uncertainty=judgement.facts.uncertainty,
        memory_snapshot=judgement.memory_snapshot,
        decision_id=stored.decision_id,
        created_at=stored.created_at,
    )


def reread(stored: DecisionRecord, plan: ActionPlan, *, deciding: Policy | None = None) -> Known:
    """
    Return the request of a record as the plan's policy can read it again, completed from the facts of the record.

    Args:
        deciding: The policy that decided, where it is at hand.

    Raises:
        StoreIntegrityError: The record holds no request that can be read.
    """
    document = stored.to_dict()
    parsed = parsed_from_stored(document, digest=stored.request_digest)
    return _reread(stored, document, parsed, plan, deciding=deciding)


def _reread(
    stored: DecisionRecord, document: JsonObject, parsed: ParsedRequest, plan: ActionPlan, *, deciding: Policy | None
) -> Known:
    own = plan.policy.policy_hash == stored.policy.policy_hash
    return known_request(
        parsed.request,
        plan.policy,
        facts=StoredFacts.of(document),
        removed=removed_from(document),
        own=own and _is_as_kept(stored, parsed, plan),
        deciding=deciding,
    )


def _is_as_kept(stored: DecisionRecord, parsed: ParsedRequest, plan: ActionPlan) -> bool:
    """Return whether nothing was taken out of the request after the policy that decided had it kept."""
    return inputs_digest_of(parsed, derived_text(plan.facts(parsed.request))) == stored.inputs_digest


def _reads_memory(plan: ActionPlan) -> bool:
    return any(condition.fact == _FAILURE_SIMILARITY for rule in plan.rules for condition in rule.conditions)


def _compare_alike(policy: Policy, deciding: Policy | None, request: DecisionRequest) -> bool:
    """Return whether both policies compare a request by the same, so that the score of one is that of both."""
    if deciding is None or feature_plan(policy) != feature_plan(deciding):
        return False
    one, other = (compile_policy(each).plan(request.action_type).facts(request) for each in (policy, deciding))
    return feature_plan(policy).of_facts(one) == feature_plan(deciding).of_facts(other)


def _compared(record: DecisionRecord, *, whole: bool, own: bool) -> JsonObject:
    """Return the part of a normalised record that a replay is held to."""
    document = record.normalised()
    if whole:
        return document
    held: JsonObject = {name: document[name] for name in _OUTCOME}
    if own:
        held |= {name: document[name] for name in ("extensions", "risk_signals")}
    return held


def _own_members(document: JsonObject) -> JsonObject:
    extensions = document["extensions"]
    own = extensions.get("lumyn") if isinstance(extensions, dict) else None
    return own if isinstance(own, dict) else {}


def _impossible(stored: DecisionRecord | None, reason: str) -> Replay:
    return Replay(status=ReplayStatus.NO, reason=reason, stored=stored, record=None, differences=())


def _unknown(stored: DecisionRecord, pointers: Iterable[str], why: str) -> Replay:
    unknown = tuple(pointers)
    named = ", ".join(f"`{pointer}`" for pointer in unknown)
    return Replay(
        status=ReplayStatus.VERDICT_ONLY,
        reason=f"{why}, and is not known any more: {named}",
        stored=stored,
        record=None,
        differences=(),
        unknown=unknown,
    )


def _differences(path: str, stored: JsonValue, replayed: JsonValue) -> list[Difference]:
    if isinstance(stored, dict) and isinstance(replayed, dict):
        found: list[Difference] = []
        for key in sorted(stored.keys() | replayed.keys()):
            found += _differences(f"{path}.{key}" if path else key, stored.get(key), replayed.get(key))
        return found
    if canonical_text(stored) == canonical_text(replayed):
        return []
    return [Difference(path=path, stored=stored, replayed=replayed)]
