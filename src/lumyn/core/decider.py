"""
Decides a request that was checked, and returns its record once it is durable.
Holds the one place where a storage failure becomes `ABSTAIN`; must not know how rules are evaluated.
"""

from __future__ import annotations

from lumyn.core.appending import append_decided, committed, earlier_record
from lumyn.core.clock import Clock, IdSource, rfc3339
from lumyn.core.drafts import Draft, record_writer
from lumyn.core.judge import judge
from lumyn.core.memory import CATCH_UPS, MemoryCache
from lumyn.core.records import DecisionRecord
from lumyn.core.requests import ParsedRequest
from lumyn.engine.compiled import CompiledPolicy, compile_policy
from lumyn.engine.redaction import RedactionPolicy
from lumyn.errors import StoreUnavailableError
from lumyn.model import Mode
from lumyn.policy.spec import Policy
from lumyn.store.base import Store

__all__ = ["Decider"]


class Decider:
    """One policy in front of one store. Thread-safe, and as fork-safe as its store."""

    def __init__(
        self, policy: Policy, *, store: Store, mode: Mode, clock: Clock, ids: IdSource, redaction: RedactionPolicy
    ) -> None:
        self._policy = policy
        self._compiled: CompiledPolicy = compile_policy(policy)
        self._store = store
        self._clock = clock
        self._ids = ids
        self._memory = MemoryCache()
        self._writer = record_writer(policy, mode=mode, redaction=redaction)

    def decide(self, parsed: ParsedRequest) -> tuple[DecisionRecord, bool]:
        """
        Return the record, and whether it is that of an earlier request with the same `request_id`.

        Whatever the store does, there is a record: one that it did not keep says `ABSTAIN`.

        Raises:
            IdempotencyConflictError: That was a different request.
        """
        asked = parsed.request
        now_ms = self._clock.now_ms()
        draft = Draft(
            parsed=parsed,
            plan=self._compiled.plan(asked.action_type),
            decision_id=self._ids.new(now_ms),
            created_at=rfc3339(now_ms),
        )
        committing = False
        try:
            for most in CATCH_UPS:
                with self._store.write() as transaction:
                    earlier = earlier_record(transaction, parsed)
                    if earlier is not None:
                        return earlier, True
                    memory = self._memory.snapshot(transaction, asked.tenant_id, asked.action_type, most=most)
                    if memory is not None:
                        record = self._writer.decided(draft, judge(draft.plan, asked, memory))
                        if not record.dry_run:
                            append_decided(transaction, self._policy, draft, record)
                        committing = True
                if memory is not None:
                    return record, False
                self._memory.load(self._store, self._policy, asked.tenant_id, asked.action_type)
            raise StoreUnavailableError("memory cannot be read")
        except StoreUnavailableError as error:
            found = committed(self._store, draft.decision_id) if committing else None
            return found or self._writer.unavailable(draft, error), False
