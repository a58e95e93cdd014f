"""
The gate: what a program opens, asks, and tells what became of its decisions.
Puts the parts together and hands each call to the one whose it is; must not know how any of them does its work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Self

from lumyn.core.clock import Clock, IdSource, SystemClock, UlidSource
from lumyn.core.decider import Decider
from lumyn.core.given import check_needed, known_count, known_verdict
from lumyn.core.opening import known_mode, known_policy, known_redaction, known_store
from lumyn.core.records import DecisionRecord, record_from_json
from lumyn.core.requests import ParsedRequest, parse_request
from lumyn.documents import Limits
from lumyn.engine.redaction import RedactionPolicy, RedactionProfile
from lumyn.model import JsonObject, Label, MemoryItem, Mode, Verdict
from lumyn.policy.spec import Policy
from lumyn.store.base import Event, Store

if TYPE_CHECKING:
    from lumyn.core.replay import Replay
    from lumyn.engine.trace import Trace
    from lumyn.telemetry.observation import Observer

__all__ = ["Gate"]


class Gate:
    """
    One policy in front of one store. Thread-safe, fork-safe, and a context manager.

    Open it once and keep it; `decide` reads, parses and compiles nothing after the first decision of an action.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        store: Store,
        mode: Mode,
        clock: Clock,
        ids: IdSource,
        redaction: RedactionPolicy,
        limits: Limits,
        observers: Sequence[Observer] = (),
    ) -> None:
        redaction.check(policy)
        self._policy = policy
        self._store = store
        self._mode = mode
        self._clock = clock
        self._ids = ids
        self._redaction = redaction
        self._limits = limits
        self._observers = tuple(observers)
        self._decider = Decider(policy, store=store, mode=mode, clock=clock, ids=ids, redaction=redaction)

    @classmethod
    def open(
        cls,
        *,
        policy: str | Path | Policy,
        store: str | Path | Store,
        create: bool = False,
        mode: Mode | str | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        redaction: RedactionPolicy | RedactionProfile | str = RedactionProfile.DEFAULT,
        busy_timeout_s: float = 2.0,
        synchronous: str = "FULL",
        store_id: str | None = None,
        max_request_bytes: int = 1_048_576,
        observers: Sequence[Observer] = (),
    ) -> Self:
        """
        Return a gate, its policy loaded and checked.

        A store that cannot be used does not make this fail: every decision then is `ABSTAIN`, until it can. Call
        `gate.store.check()` to be told at once.

        Args:
            policy: A policy file, or a policy that is loaded already.
            store: A URL such as `sqlite:///.lumyn/lumyn.db`, a path, or a store that is open already.
            create: Whether to create a store that does not exist. Nothing else ever creates one.
            mode: The operator's mode; the policy's own when None.
            clock: Where `created_at` comes from.
            ids: Where ids come from.
            redaction: What of a request is kept: `off`, `default` or `strict`, or a `RedactionPolicy` that also names
                what to remove.
            busy_timeout_s: Longest wait for another writer, in seconds, 0 to 60.
            synchronous: `FULL` (records survive power failure) or `NORMAL` (they survive a crash of the process).
            store_id: The identity the store must have; any when None.
            max_request_bytes: Largest request accepted.
            observers: Told of every record before `decide` returns it, such as `lumyn.telemetry.logging.log_decision`.

        Raises:
            InvalidPolicyError: The policy cannot be used; carries every problem.
            InvalidConfigError: An option is not usable.
        """
        read = known_policy(policy)
        chosen_mode = read.mode if mode is None else known_mode(mode)
        profile = known_redaction(redaction)
        if create:
            profile.check(read)  # before a store is created
        opened = known_store(
            store, create=create, synchronous=synchronous, busy_timeout_s=busy_timeout_s, store_id=store_id
        )
        return cls(
            policy=read,
            store=opened,
            mode=chosen_mode,
            clock=clock or SystemClock(),
            ids=ids or UlidSource(),
            redaction=profile,
            limits=Limits(max_bytes=max_request_bytes),
            observers=observers,
        )

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    @property
    def store(self) -> Store:
        """Where records go."""
        return self._store

    @property
    def mode(self) -> Mode:
        """The operator's mode."""
        return self._mode

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        return self._clock

    @property
    def ids(self) -> IdSource:
        """Where ids come from."""
        return self._ids

    def with_policy(self, policy: Policy, *, mode: Mode | None = None) -> Gate:
        """
        Return a gate with another policy on the same store, clock and ids.

        Args:
            mode: The operator's mode; that of this gate when None, whatever the policy says.

        Raises:
            InvalidConfigError: The redaction would remove what the policy reads.
        """
        return Gate(
            policy=policy,
            store=self._store,
            mode=self._mode if mode is None else mode,
            clock=self._clock,
            ids=self._ids,
            redaction=self._redaction,
            limits=self._limits,
            observers=self._observers,
        )

    def decide(self, request: Mapping[str, object] | str | bytes) -> DecisionRecord:
        """
        Decide a request; the record is durable before it is returned.

        Args:
            request: A `decision_request.v0` document, as a mapping or as JSON text.

        Returns:
            The record. When the store cannot be used: one with verdict `ABSTAIN`, reason `STORAGE_UNAVAILABLE` and
            `persisted` False. For a `request_id` that was decided before: the stored record again, byte for byte.

        Raises:
            InvalidRequestError: The request breaks its contract; nothing was stored.
            IdempotencyConflictError: Its `request_id` was used for a different request; nothing was stored.
        """
        if not self._observers:
            return self._decider.decide(self.parse(request))[0]
        # Only who is watched pays for loading it, and whoever watches has loaded it.
        from lumyn.telemetry.observation import Observation

        began_ns = perf_counter_ns()
        record, repeated = self._decider.decide(self.parse(request))
        observation = Observation(record=record, elapsed_ns=perf_counter_ns() - began_ns, repeated=repeated)
        for observer in self._observers:
            observer(observation)
        return record

    def label(
        self,
        decision_id: str,
        label: Label | str,
        *,
        tenant_id: str | None = None,
        note: str | None = None,
        actor: str | None = None,
    ) -> MemoryItem:
        """
        Record what became of a decision; the label becomes experience that later decisions are compared with.

        Args:
            decision_id: A stored decision.
            label: `failure`, `near_miss` or `success`. Of several labels for one decision the gravest counts.
            tenant_id: Only a decision of this tenant: of another one nothing is told. Of any when None.
            note: Why, in a line; shown wherever the experience is.
            actor: Who says so.

        Returns:
            The memory item, durable.

        Raises:
            NotFoundError: No such decision.
            StoreUnavailableError: Nothing was written.
            InvalidRequestError: The label is not known, or a text cannot be kept.
        """
        from lumyn.core import experience

        return experience.label(self, decision_id, label, tenant_id=tenant_id, note=note, actor=actor)

    def seed(
        self,
        label: Label | str,
        request: Mapping[str, object] | str | bytes,
        *,
        summary: str,
        memory_id: str | None = None,
    ) -> MemoryItem:
        """
        Add an experience that no stored decision stands for, such as an incident from before Lumyn.

        Raises:
            InvalidRequestError: The request breaks its contract, the label is not known, or a text cannot be kept.
            StoreUnavailableError: Nothing was written.
        """
        from lumyn.core import experience

        return experience.seed(self, label, request, summary=summary, memory_id=memory_id)

    def retract(
        self,
        target: str,
        *,
        label: Label | str | None = None,
        tenant_id: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> MemoryItem:
        """
        Take back one experience: later decisions are not compared with it any more, which can loosen a verdict.

        Nothing is deleted: a new item says that the other one is taken back, and an event of the decision says so too.

        Args:
            target: A memory id, or a decision with one label that stands.
            label: Only a label of this kind; tells apart the labels of one decision.
            tenant_id: Only an experience of this tenant: of another one nothing is told. Of any when None.
            actor: Who says so.
            reason: Why, in a line.

        Returns:
            The item that takes the other one back, durable.

        Raises:
            NotFoundError: Nothing was written: the id is not known (`MEMORY_NOT_FOUND`), no such label stands
                (`NOTHING_TO_RETRACT`, `ALREADY_RETRACTED`), or several do (`RETRACTION_AMBIGUOUS`).
            StoreUnavailableError: Nothing was written.
            InvalidRequestError: The label is not known, or a text cannot be kept.
        """
        from lumyn.core import retraction

        return retraction.retract(self, target, label=label, tenant_id=tenant_id, actor=actor, reason=reason)

    def append_event(
        self,
        decision_id: str,
        event_type: str,
        data: JsonObject | None = None,
        *,
        tenant_id: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Event:
        """
        Append an event to a stored decision; the decision itself never changes.

        Args:
            event_type: Lower-case name of what happened, such as `override`; not `label` or `retraction`, which
                belong to an experience.
            data: What happened; plain JSON.
            tenant_id: Only a decision of this tenant: of another one nothing is told. Of any when None.
            actor: Who says so.
            reason: Why, in a line; kept as `reason` in the data.

        Raises:
            NotFoundError: No such decision.
            StoreUnavailableError: Nothing was written.
            InvalidRequestError: The event is not one that can be appended.
        """
        from lumyn.core import experience

        return experience.append_event(
            self, decision_id, event_type, data or {}, tenant_id=tenant_id, actor=actor, reason=reason
        )

    def record(self, decision_id: str) -> DecisionRecord:
        """Return a stored record. Raises `NotFoundError`, `InvalidRequestError`, `StoreUnavailableError`."""
        check_needed(decision_id=decision_id)
        return record_from_json(self._store.decision(decision_id).record_json)

    def records(
        self,
        *,
        limit: int = 20,
        verdict: Verdict | str | None = None,
        reason_code: str | None = None,
        action_type: str | None = None,
        tenant_id: str | None = None,
        since: str | None = None,
    ) -> list[DecisionRecord]:
        """
        Return stored records, newest first, at most `limit`. Filters are exact.

        Raises:
            InvalidRequestError: A filter or the limit cannot be one.
            StoreUnavailableError: The store cannot be read.
        """
        from lumyn.core.listing import Wanted, recent

        wanted = Wanted(
            verdict=None if verdict is None else known_verdict(verdict),
            reason_code=reason_code,
            action_type=action_type,
            tenant_id=tenant_id,
            since=since,
        )
        return recent(self._store, wanted, limit=known_count(limit, name="limit"))

    def events(self, decision_id: str) -> tuple[Event, ...]:
        """Return the events of a decision in order; may be empty. Raises as `record`, but not for unknown ids."""
        check_needed(decision_id=decision_id)
        return tuple(self._store.events(decision_id))

    def replay(self, decision_id: str, *, policy: Policy | None = None) -> Replay:
        """
        Decide a stored request again, with the memory it saw, whatever was written later, and compare.

        Args:
            policy: The policy to use; the one that decided when None.

        Returns:
            How much could be decided again, why not all of it, the record that came out, and where it differs. What
            cannot be decided again at all has the status `no`.

        Raises:
            NotFoundError: No such decision.
            InvalidRequestError: The id cannot be one.
            StoreUnavailableError: The store cannot be read.
        """
        from lumyn.core.replay import replay_decision

        check_needed(decision_id=decision_id)
        return replay_decision(self._store, decision_id, policy=policy)

    def trace(self, request: Mapping[str, object] | str | bytes, *, similarity: Decimal = Decimal(0)) -> Trace:
        """
        Return how every applicable rule came out, condition by condition; nothing is stored.

        Args:
            similarity: The failure similarity to assume, 0 to 1.

        Raises:
            InvalidRequestError: The request breaks its contract.
        """
        from lumyn.engine.trace import trace

        return trace(self.policy, self.parse(request).request, similarity=similarity)

    def close(self) -> None:
        """Close the store's connection."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def parse(self, request: Mapping[str, object] | str | bytes) -> ParsedRequest:
        """Return the request checked against its schema and this gate. Raises `InvalidRequestError`."""
        return parse_request(
            request, policy=self._policy, mode=self._mode, redaction=self._redaction.profile, limits=self._limits
        )
