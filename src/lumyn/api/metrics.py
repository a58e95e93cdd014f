"""
What the service counts, as Prometheus reads it. Holds verdicts, codes and times, never an id or evidence.
Must not know requests or stores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from lumyn._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumyn.core.decide import Gate

__all__ = ["Metrics"]

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The counters of one service; none is shared with other libraries of the process."""

    media_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._decisions = Counter(
            "lumyn_decisions", "Decisions that were made and stored.", ["verdict"], registry=registry
        )
        self._repeated = Counter(
            "lumyn_decisions_repeated",
            "Stored decisions that were given again for their request_id.",
            registry=registry,
        )
        self._seconds = Histogram(
            "lumyn_decide_seconds",
            "From having read a request to decide to having its answer.",
            registry=registry,
            buckets=_SECONDS,
        )
        self._events = Counter("lumyn_events", "Events appended to decisions.", ["type"], registry=registry)
        self._responses = Counter(
            "lumyn_http_responses", "Answers, by route and status.", ["method", "route", "status"], registry=registry
        )
        self._auth = Counter(
            "lumyn_auth_failures", "Requests refused by signature.", ["reason_code"], registry=registry
        )
        self._storage = Counter("lumyn_storage_failures", "Requests that the store failed.", registry=registry)
        self._busy = Counter("lumyn_turned_away", "Requests there was no room for.", registry=registry)
        self._reloads = Counter(
            "lumyn_policy_reloads", "Attempts to reload the policy.", ["outcome"], registry=registry
        )
        self._policy = Gauge(
            "lumyn_policy_info",
            "The policy in force.",
            ["policy_id", "policy_version", "policy_hash", "mode"],
            registry=registry,
        )
        self._stale = Gauge(
            "lumyn_policy_stale",
            "1 while the policy file cannot be used and an older one is in force.",
            registry=registry,
        )
        self._waiting = Gauge("lumyn_waiting", "Requests waiting for the store, or with it.", registry=registry)
        Gauge("lumyn_build_info", "The version.", ["version"], registry=registry).labels(version=__version__).set(1)
        for outcome in ("ok", "failed"):
            self._reloads.labels(outcome=outcome)
        for verdict in ("TRUST", "ESCALATE", "QUERY", "ABSTAIN"):
            self._decisions.labels(verdict=verdict)

    def decided(self, verdict: str, *, repeated: bool) -> None:
        """Count a decision that is stored."""
        if repeated:
            self._repeated.inc()
        else:
            self._decisions.labels(verdict=verdict).inc()

    def took(self, seconds: float) -> None:
        """Count the time of one decision."""
        self._seconds.observe(seconds)

    def appended(self, event_type: str) -> None:
        """Count an event; its type is free text, so that only those with a meaning of their own are told apart."""
        self._events.labels(type=event_type if event_type in {"label", "retraction"} else "other").inc()

    def answered(self, method: str, route: str, status: int) -> None:
        """Count an answer. `route` is a pattern, not a path."""
        known = method if method in _METHODS else "other"
        self._responses.labels(method=known, route=route, status=str(status)).inc()

    def refused(self, reason_code: str) -> None:
        """Count a request that was not signed as it should be."""
        self._auth.labels(reason_code=reason_code).inc()

    def storage_failed(self) -> None:
        """Count a request that the store failed."""
        self._storage.inc()

    def turned_away(self) -> None:
        """Count a request there was no room for."""
        self._busy.inc()

    def reloaded(self, *, ok: bool) -> None:
        """Count an attempt to reload the policy."""
        self._reloads.labels(outcome="ok" if ok else "failed").inc()
        self._stale.set(0 if ok else 1)

    def in_force(self, gate: Gate) -> None:
        """Say which policy is in force now."""
        policy = gate.policy
        self._policy.clear()
        self._policy.labels(
            policy_id=policy.policy_id,
            policy_version=policy.policy_version,
            policy_hash=policy.policy_hash,
            mode=gate.mode.value,
        ).set(1)

    def watch_waiting(self, held: Callable[[], int]) -> None:
        """Report what `held` returns whenever the counters are read."""
        self._waiting.set_function(held)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
