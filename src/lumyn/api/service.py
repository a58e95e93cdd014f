"""
The gate as a service holds it: decides, lists and appends on threads of their own, and changes its policy on the way.
Every method that returns an `Answer` runs off the event loop; must not know connections, headers or signatures.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lumyn.api.desk import Desk
from lumyn.api.events import append
from lumyn.api.log import Log
from lumyn.api.metrics import Metrics
from lumyn.api.problems import JSON, Answer, located, problem
from lumyn.api.reload import PolicyFile
from lumyn.api.seen import SeenRequests
from lumyn.core.listing import Wanted, page
from lumyn.core.records import DecisionRecord, record_from_json
from lumyn.discovery import open_configured, policy_path
from lumyn.documents import Limits
from lumyn.errors import InvalidRequestError, LumynError, StoreUnavailableError
from lumyn.model import Verdict

if TYPE_CHECKING:
    from lumyn.config import Config
    from lumyn.core.clock import Clock, IdSource
    from lumyn.core.decide import Gate
    from lumyn.policy.spec import Policy
    from lumyn.store.base import Event
    from lumyn.telemetry import Observation

__all__ = ["WATCHED", "Service", "event_document"]

WATCHED: Final = "file"
"""Why a policy is reloaded that nobody asked to be: its file is another one."""

_READERS: Final = 2
_MOST_PROBES: Final = 16
_CHECK_AGAIN_S: Final = 1.0
_SQLITE_FILE: Final = "sqlite:///"
_SEEN_SUFFIX: Final = ".requests"


class Service:
    """
    One gate behind HTTP.

    Args:
        config: What holds; names policy, store and service.
        now: Returns the seconds since 1970, by which signatures are judged.

    Raises:
        InvalidConfigError: The configuration is not usable, or names no policy.
        InvalidPolicyError: The policy is not usable.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        now: Callable[[], float] = time.time,
        log: Log | None = None,
    ) -> None:
        self.config = config
        self.now = now
        self.log = log or Log()
        self.metrics = Metrics()
        self._last = _Last()
        self.limits = Limits(max_bytes=config.limits.request_bytes)
        self.file = PolicyFile(policy_path(config))
        self._gate = open_configured(config, clock=clock, ids=ids, observers=[self._last])
        self.file.loaded()
        self.seen = SeenRequests(_beside(config.store.url), now=now)
        waiting = config.service.max_waiting
        self.writes = Desk(threads=1, max_waiting=waiting, name="lumyn-write")
        self.reads = Desk(threads=_READERS, max_waiting=waiting, name="lumyn-read")
        # Of their own: whoever may only list, or probe, must not keep those waiting who may decide.
        self.checks = Desk(threads=1, max_waiting=waiting, name="lumyn-check")
        self.probes = Desk(threads=1, max_waiting=_MOST_PROBES, name="lumyn-probe")
        # Whoever probes all the time, unsigned, must not keep a stricter policy from coming into force.
        self.watching = Desk(threads=1, max_waiting=1, name="lumyn-watch")
        self._reloading = threading.Lock()
        self._store_checked: tuple[float, str | None] = (float("-inf"), None)
        self.metrics.in_force(self._gate)
        self.metrics.watch_waiting(lambda: self.writes.held + self.reads.held)

    @property
    def gate(self) -> Gate:
        """The gate in force. Whoever decides takes it once: it never changes, another one takes its place."""
        return self._gate

    def close(self) -> None:
        """Finish what was begun and close the store."""
        for desk in (self.writes, self.reads, self.checks, self.probes, self.watching):
            desk.close()
        self.seen.close()
        self._gate.close()

    # --- decisions -----------------------------------------------------------------------------------------------

    def decide(self, body: bytes, *, key_id: str | None = None) -> Answer:
        """Decide a request and return its record, durable by then; a problem when it is not."""
        gate = self._gate
        try:
            record = gate.decide(body)
        except InvalidRequestError as error:
            raise located(error, body, self.limits) from None
        observed = self._last.of(record)
        repeated = observed.repeated
        failure = _storage_error(record)
        self.metrics.took(observed.elapsed_ns / 1_000_000_000)
        if self.config.telemetry.log != "stderr":  # where the lines of the gate itself go
            self._say(record, observed, failure=failure, key_id=key_id)
        if failure is not None:
            self.metrics.storage_failed()
            return _undecided(record, failure)
        if record.persisted:
            self.metrics.decided(record.verdict.value, repeated=repeated)
        headers = {"lumyn-replayed": "true"} if repeated else {}
        if record.dry_run:
            headers["lumyn-dry-run"] = "true"
        return Answer.text(record.to_json().encode(), media_type=JSON, headers=headers)

    def _say(self, record: DecisionRecord, observed: Observation, *, failure: str | None, key_id: str | None) -> None:
        self.log.info(
            "decision",
            decision_id=record.decision_id,
            policy_hash=record.policy_hash,
            mode=record.mode.value,
            verdict=record.verdict.value,
            reason_codes=record.reason_codes,
            persisted=record.persisted,
            repeated=observed.repeated or None,
            dry_run=record.dry_run or None,
            storage_error=failure,
            key_id=key_id,
            elapsed_us=observed.elapsed_ns // 1_000,
        )

    def decision(self, decision_id: str) -> Answer:
        """Return a stored record, with what happened to it since."""
        store = self._gate.store
        found = store.decision(decision_id)
        document = record_from_json(found.record_json).to_dict()
        document["decision_event_log"] = [
            {"event_id": event.event_id, "at": event.at, "type": event.type, "data": event.data}
            for event in store.events(found.decision_id)
        ]
        return Answer.of(document)

    def decisions(self, wanted: Wanted, *, limit: int, after: str | None) -> Answer:
        """Return a page of stored records, newest first."""
        found = page(self._gate.store, wanted, limit=limit, after=after)
        records = ",".join(record.to_json() for record in found.records)
        cursor = "null" if found.next is None else f'"{found.next}"'
        return Answer.text(f'{{"decisions":[{records}],"next_cursor":{cursor}}}'.encode(), media_type=JSON)

    def append(self, decision_id: str, body: bytes, *, key_id: str | None = None) -> Answer:
        """Append an event to a decision and return it, durable by then."""
        try:
            event = append(self._gate, decision_id, body, limits=self.limits)
        except InvalidRequestError as error:
            raise located(error, body, self.limits) from None
        self.metrics.appended(event.type)
        self.log.info("event", decision_id=event.decision_id, event_id=event.event_id, type=event.type, key_id=key_id)
        return Answer.of(event_document(event), status=HTTPStatus.CREATED)

    # --- the policy ----------------------------------------------------------------------------------------------

    def policy(self) -> Answer:
        """Return which policy is in force, and whether the file still holds it."""
        gate = self._gate
        policy = gate.policy
        return Answer.of(
            {
                "policy_id": policy.policy_id,
                "policy_version": policy.policy_version,
                "policy_hash": policy.policy_hash,
                "mode": gate.mode.value,
                "rules": len(policy.rules),
                "loaded_at": self.file.loaded_at,
                "reload": self.file.state(),
            }
        )

    def changed(self) -> bool:
        """Return whether the policy file is another than when it was last read, and lies still."""
        with self._reloading:
            return self.file.changed()

    def reload(self, *, because: str) -> bool:
        """
        Put the policy of the file in force, or keep the one that is when it cannot be used; return which.

        A decision that is under way is finished with the gate it began with.
        """
        with self._reloading:
            try:
                policy = self.file.read()
                self._put_in_force(policy, because=because)
            except LumynError as error:
                self._keep(error, because=because)
                return False
            except Exception as error:  # noqa: BLE001 - nobody stands behind a signal or a watch to answer for it
                unexpected = LumynError(f"reading failed with {type(error).__name__}", reason_code="INTERNAL_ERROR")
                self._keep(unexpected, because=because)
                return False
            return True

    def _put_in_force(self, policy: Policy, *, because: str) -> None:
        old = self._gate
        if policy.policy_hash == old.policy.policy_hash:
            self.file.loaded()
            self.metrics.reloaded(ok=True)
            self.log.info("policy_unchanged", because=because, policy_hash=policy.policy_hash)
            return
        # Unless the operator set a mode it is the policy's own, which may be another one now.
        new = old.with_policy(policy, mode=self.config.policy.mode or policy.mode)
        self._gate = new
        self.file.loaded()
        self.metrics.reloaded(ok=True)
        self.metrics.in_force(new)
        self.log.info(
            "policy_reloaded",
            because=because,
            policy_id=policy.policy_id,
            policy_version=policy.policy_version,
            policy_hash=policy.policy_hash,
            mode=new.mode.value,
            before=old.policy.policy_hash,
        )

    def _keep(self, error: LumynError, *, because: str) -> None:
        told_before = self.file.failed(error)
        self.metrics.reloaded(ok=False)
        if told_before and because == WATCHED:
            return
        self.log.error(
            "policy_not_reloaded",
            because=because,
            in_force=self._gate.policy.policy_hash,
            reason_code=error.reason_code,
            message=str(error),
        )

    # --- probes --------------------------------------------------------------------------------------------------

    def probe(self) -> None:
        """
        Return when a decision could be made and kept now.

        Raises:
            StoreUnavailableError: It could not: the store, or the ids of signed requests, cannot be written.
        """
        self._gate.store.probe()
        if self.config.service.keys:
            self.seen.probe()

    def ready(self) -> Answer:
        """Return whether decisions can be made and kept now: 200, or 503."""
        failure = self._store_failure()
        document = {
            "status": "ready" if failure is None else "unavailable",
            "store": failure or "ok",
            "policy": {"policy_hash": self._gate.policy.policy_hash, "reload": self.file.state()["status"]},
        }
        status = HTTPStatus.OK if failure is None else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer.of(document, status=status, headers={} if failure is None else {"retry-after": "1"})

    def _store_failure(self) -> str | None:
        checked_at, failure = self._store_checked
        # Whoever asks is not signed: however often that is, the store is troubled once in a while.
        if time.monotonic() - checked_at < _CHECK_AGAIN_S:
            return failure
        try:
            self.probe()
            failure = None
        except StoreUnavailableError as error:
            failure = error.detail
        self._store_checked = (time.monotonic(), failure)
        return failure


class _Last:
    """An observer that keeps the last decision of each thread, for the call that made it."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __call__(self, observation: Observation) -> None:
        self._local.observation = observation

    def of(self, record: DecisionRecord) -> Observation:
        """Return what was observed of a decision that this thread has just made."""
        found: Observation = self._local.observation
        if found.record.decision_id != record.decision_id:
            raise RuntimeError("the last decision of this thread is another one")
        return found


def event_document(event: Event) -> dict[str, object]:
    """Return an event as callers see it."""
    return {
        "event_id": event.event_id,
        "decision_id": event.decision_id,
        "at": event.at,
        "type": event.type,
        "data": event.data,
        "actor": event.actor,
    }


def _storage_error(record: DecisionRecord) -> str | None:
    """Return why the store failed a decision, None when it did not."""
    if record.persisted or record.verdict is not Verdict.ABSTAIN:
        return None
    extensions = record.to_dict()["extensions"]
    own = extensions.get("lumyn") if isinstance(extensions, dict) else None
    failure = own.get("storage_error") if isinstance(own, dict) else None
    return failure if isinstance(failure, str) else None


def _undecided(record: DecisionRecord, failure: str) -> Answer:
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "STORAGE_UNAVAILABLE",
        "the store could not be read or written, so nothing was decided or kept",
        hint="take no action, and send the same request again later",
        verdict=record.verdict.value,
        storage_error=failure,
        record=record.to_dict(),
    )


def _beside(store_url: str) -> Path | None:
    """Return the file for the ids of requests: beside the store's own, None where the store is no file."""
    path = store_url.removeprefix(_SQLITE_FILE)
    if not store_url.startswith(_SQLITE_FILE) or path in {"", ":memory:"}:
        return None
    return Path(path + _SEEN_SUFFIX)
