"""
Why a stored decision came out as it did: its rules one by one, what would have changed it, the experience it saw.
Reads the store and writes nothing; must not know how an explanation is laid out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lumyn.core.alternatives import Alternative, Situation, alternatives
from lumyn.core.deciding import DecidingRule, deciding_rules
from lumyn.core.known import Known, removed_from
from lumyn.core.records import NO_SNAPSHOT, DecisionRecord, record_from_json
from lumyn.core.replay import Replay, memory_seen, policy_kept, replay_record, reread
from lumyn.engine.evaluator import compile_policy, trace
from lumyn.engine.resemblance import Resemblance, resemblance
from lumyn.engine.similarity import MemorySnapshot
from lumyn.engine.trace import Trace
from lumyn.model import Match, MemoryItem
from lumyn.policy.spec import Policy
from lumyn.store.base import Event, Store

__all__ = ["Consulted", "Explanation", "explain_decision"]

_SIMILARITY: Final = "risk.failure_similarity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consulted:
    """
    One experience that a decision was compared with.

    Attributes:
        item: None when it is not in the store any more.
        resemblance: What it shares with the request; None without the item or the policy.
    """

    match: Match
    item: MemoryItem | None
    resemblance: Resemblance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """
    Everything that can be said about one stored decision.

    Attributes:
        events: What happened to it since, oldest first.
        policy: As it was in force, from the store; None when it is not there.
        policy_problem: Why there is none; else empty.
        traced: How every rule that applies came out; None without the policy, or when no rule was evaluated.
        deciding: The rules whose effect is the verdict; empty when nothing is known of the rules.
        alternatives: What would have changed the verdict, nearest first; each was decided by the engine.
        not_searched: Why no alternatives were looked for; empty when they were.
        memory_items: How many experiences the tenant and action had; None when memory could not be read.
        consulted: The best matches, best first.
        removed: JSON Pointers to what of the request was not kept.
        from_facts: JSON Pointers to values that the facts of the record stood in for.
        unknown: JSON Pointers to what the policy reads and the record does not hold; then no rule is evaluated.
        replay: What came of deciding it again.
    """

    record: DecisionRecord
    events: tuple[Event, ...]
    policy: Policy | None
    policy_problem: str
    traced: Trace | None
    deciding: tuple[DecidingRule, ...]
    alternatives: tuple[Alternative, ...]
    not_searched: str
    memory_items: int | None
    consulted: tuple[Consulted, ...]
    removed: tuple[str, ...]
    from_facts: tuple[str, ...]
    unknown: tuple[str, ...]
    replay: Replay


def explain_decision(store: Store, decision_id: str) -> Explanation:
    """
    Explain a stored decision by the policy and the memory it was made with.

    Raises:
        NotFoundError: No such decision.
        StoreIntegrityError: The record cannot be read back.
        StoreUnavailableError: The store cannot be read.
    """
    row = store.decision(decision_id)
    record = record_from_json(row.record_json)
    document = record.to_dict()
    kept = policy_kept(store, record.policy.policy_hash)
    policy, policy_problem = (None, kept) if isinstance(kept, str) else (kept, "")
    memory = memory_seen(store, row.tenant_id, row.action_type, record.memory_snapshot)
    known = None if policy is None else reread(record, compile_policy(policy).plan(row.action_type))
    traced = None
    if policy is not None and known is not None and not known.unknown and record.memory_snapshot != NO_SNAPSHOT:
        traced = trace(policy, known.request, similarity=record.failure_similarity)
    found, not_searched = _alternatives(record, traced, known, memory)
    return Explanation(
        record=record,
        events=tuple(store.events(decision_id)),
        policy=policy,
        policy_problem=policy_problem,
        traced=traced,
        deciding=() if policy is None else deciding_rules(record, policy, traced),
        alternatives=found,
        not_searched=not_searched,
        memory_items=_count(record),
        consulted=tuple(_consulted(record, memory, policy, traced)),
        removed=removed_from(document),
        from_facts=() if known is None else known.from_facts,
        unknown=() if known is None else known.unknown,
        replay=replay_record(record, deciding=policy, memory=memory),
    )


def _count(record: DecisionRecord) -> int | None:
    parts = record.memory_snapshot.split(":")
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else None


def _alternatives(
    record: DecisionRecord, traced: Trace | None, known: Known | None, memory: MemorySnapshot | None
) -> tuple[tuple[Alternative, ...], str]:
    if traced is None or known is None:
        return (), "no rule can be evaluated again"
    if (traced.evaluation.verdict, traced.evaluation.reason_codes) != (record.verdict, record.reason_codes):
        return (), "deciding it again gives something else"
    if memory is None:
        conditions = (condition for rule in traced.rules for condition in rule.rule.conditions)
        if any(condition.fact == _SIMILARITY for condition in conditions):
            return (), "the experience it saw is not in the store as it was"
        memory = MemorySnapshot()
    request = known.request
    document = {**request.document, "evidence": {**request.evidence}} if known.from_facts else request.document
    situation = Situation(
        plan=compile_policy(traced.policy).plan(request.action_type),
        document=document,
        memory=memory,
        evaluation=traced.evaluation,
        similarity=record.failure_similarity,
    )
    return alternatives(situation), ""


def _consulted(
    record: DecisionRecord, memory: MemorySnapshot | None, policy: Policy | None, traced: Trace | None
) -> Iterable[Consulted]:
    matches = record.similarity.top_k
    wanted = {match.memory_id for match in matches}
    items = memory.items if memory is not None and wanted else ()
    known = {item.memory_id: item for item in items if item.memory_id in wanted}
    for match in matches:
        item = known.get(match.memory_id)
        shared = None
        if item is not None and policy is not None and traced is not None:
            shared = resemblance(policy, traced.facts, item.features)
        yield Consulted(match=match, item=item, resemblance=shared)
