"""
What a decision leaves in the store, and what one with the same `request_id` left there before.
Works inside transactions that others begin and end; must not know how a verdict is reached.
"""

from __future__ import annotations

from lumyn.core.drafts import Draft
from lumyn.core.records import DecisionRecord, record_from_json
from lumyn.core.requests import ParsedRequest
from lumyn.errors import IdempotencyConflictError, NotFoundError, StoreUnavailableError
from lumyn.model import DecisionRequest
from lumyn.policy.spec import Policy
from lumyn.store.base import Store, StoredDecision, StoredPolicy, Transaction

__all__ = ["append_decided", "committed", "earlier_record", "row_of"]


def earlier_record(transaction: Transaction, parsed: ParsedRequest) -> DecisionRecord | None:
    """
    Return the record of an earlier request with the same tenant and `request_id`; None when there is none.

    Raises:
        IdempotencyConflictError: That was a different request.
        StoreIntegrityError: The record cannot be read back.
    """
    request = parsed.request
    if request.request_id is None or request.dry_run:
        return None
    key = transaction.find_key(request.tenant_id, request.request_id)
    if key is None:
        return None
    if key.request_digest != parsed.digest:
        raise IdempotencyConflictError(
            f"`request_id` `{request.request_id}` was used before for a different request",
            hint="send the request that was decided, or a new `request_id`",
        )
    return record_from_json(key.record_json)


def append_decided(transaction: Transaction, policy: Policy, draft: Draft, record: DecisionRecord) -> None:
    """Append a record with its idempotency key, and the text of its policy where that is not known to be kept."""
    request = draft.parsed.request
    if not transaction.knows_policy(policy.policy_hash):
        transaction.append_policy(
            StoredPolicy(
                policy_hash=policy.policy_hash,
                policy_id=policy.policy_id,
                policy_version=policy.policy_version,
                source=policy.source,
                saved_at=draft.created_at,
            )
        )
    transaction.append_decision(
        row_of(record, request),
        request_id=request.request_id,
        request_digest=record.request_digest,
    )


def row_of(record: DecisionRecord, request: DecisionRequest) -> StoredDecision:
    """Return the row that a record is kept in, without its place."""
    return StoredDecision(
        seq=0,
        decision_id=record.decision_id,
        created_at=record.created_at,
        tenant_id=request.tenant_id,
        action_type=request.action_type,
        verdict=record.verdict.value,
        policy_hash=record.policy_hash,
        record_json=record.to_json(),
    )


def committed(store: Store, decision_id: str) -> DecisionRecord | None:
    """Return the record when a commit that failed did happen: it must not be answered with `ABSTAIN`."""
    try:
        return record_from_json(store.decision(decision_id).record_json)
    except (StoreUnavailableError, NotFoundError):
        return None
