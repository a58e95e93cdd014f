"""
Decides a stored request again, with exactly the memory it saw, and says what differs.
Reads the store and writes nothing; must not know how records are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lumyn.core.judge import judge
from lumyn.core.records import (
    NO_SNAPSHOT,
    DecisionRecord,
    PolicyRef,
    derived_text,
    outcome_text,
    projection_text,
    record_from_json,
    write_record,
)
from lumyn.core.requests import parsed_from_stored
from lumyn.digest import canonical_text
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.redaction import Redacted
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import StoreIntegrityError
from lumyn.model import JsonValue
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.store.base import Store

__all__ = ["Difference", "Replay", "ReplayStatus", "replay_decision"]


class ReplayStatus(StrEnum):
    """How much of a stored decision can be decided again."""

    FULL = "full"
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
        status: `full` when it could be decided again, else `no`.
        reason: Why not; empty when it could.
        stored: The record as it is kept.
        record: The record as it comes out now, or None.
        differences: Where the normalised records differ, sorted by path; empty when they are identical.
    """

    status: ReplayStatus
    reason: str
    stored: DecisionRecord
    record: DecisionRecord | None
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        """Whether the decision came out exactly as it is stored."""
        return self.status is ReplayStatus.FULL and not self.differences


def replay_decision(
    store: Store, decision_id: str, *, policy: Policy | None = None, memory: MemorySnapshot | None = None
) -> Replay:
    """
    Decide a stored request again, with the memory it saw; see `Gate.replay`.

    Args:
        memory: The memory that stood before the decision, when it is at hand; read from the store when None.

    Raises:
        NotFoundError: No such decision, or the policy that decided is not in the store.
        StoreIntegrityError: The memory it saw is not there any more.
        StoreUnavailableError: The store cannot be read.
    """
    row = store.decision(decision_id)
    stored = record_from_json(row.record_json)
    if stored.memory_snapshot == NO_SNAPSHOT:
        return _impossible(stored, "memory could not be read when it was decided")
    if policy is None:
        kept = store.policy(stored.policy.policy_hash)
        policy = parse_policy(kept.source, file=f"<policy {kept.policy_hash}>")
        if policy.policy_hash != stored.policy.policy_hash:
            raise StoreIntegrityError("a stored policy does not have the hash it is stored under")
    parsed = parsed_from_stored(stored.to_dict(), digest=stored.request_digest)
    if memory is None:
        memory = _memory(store, row.tenant_id, row.action_type, stored.memory_snapshot)
    if memory.digest != stored.memory_snapshot:
        raise StoreIntegrityError(
            "the experience this decision saw is not in the store as it was", hint="`lumyn verify` names what changed"
        )
    plan = compile_policy(policy).plan(row.action_type)
    judgement = judge(plan, parsed.request, memory)
    derived = derived_text(judgement.facts)
    record = write_record(
        parsed,
        redacted=Redacted(replaced={}, fields_removed=()),
        derived=derived,
        projection=projection_text(plan, judgement.facts, derived, judgement.similarity),
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
    return Replay(
        status=ReplayStatus.FULL,
        reason="",
        stored=stored,
        record=record,
        differences=tuple(_differences("", stored.normalised(), record.normalised())),
    )


def _memory(store: Store, tenant_id: str | None, action_type: str, snapshot: str) -> MemorySnapshot:
    count = int(snapshot.split(":")[1])
    memory = MemorySnapshot()
    for item in store.memory_items(tenant_id, action_type, limit=count):
        memory.add(item)
    return memory


def _impossible(stored: DecisionRecord, reason: str) -> Replay:
    return Replay(status=ReplayStatus.NO, reason=reason, stored=stored, record=None, differences=())


def _differences(path: str, stored: JsonValue, replayed: JsonValue) -> list[Difference]:
    if isinstance(stored, dict) and isinstance(replayed, dict):
        found: list[Difference] = []
        for key in sorted(stored.keys() | replayed.keys()):
            found += _differences(f"{path}.{key}" if path else key, stored.get(key), replayed.get(key))
        return found
    if canonical_text(stored) == canonical_text(replayed):
        return []
    return [Difference(path=path, stored=stored, replayed=replayed)]
