"""
The sections of a configuration, as values that passed every check.
Must not know where a value came from, nor what it is used for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lumyn.config.values import ServiceKey
from lumyn.model import Mode

__all__ = ["LimitsConfig", "PolicyConfig", "RedactionConfig", "ServiceConfig", "StoreConfig", "TelemetryConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """
    Section `store`.

    Attributes:
        url: Relative SQLite paths are made absolute. May hold a password, so it is never shown.
        synchronous: `FULL` or `NORMAL`.
        busy_timeout_s: Seconds to wait for a locked store, 0 to 60.
        id: The only `store_id` that is accepted, or None for any.
    """

    url: str
    synchronous: str
    busy_timeout_s: float
    id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """Section `policy`: an absolute path, or None when not set; the operator's mode, or None for the policy's own."""

    path: Path | None
    mode: Mode | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionConfig:
    """
    Section `redaction`: what of a request is not stored.

    Attributes:
        profile: Name of the profile.
        remove: JSON Pointers to what is removed beyond the profile; whether they can be is not checked here.
    """

    profile: str
    remove: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Section `limits`: the greatest size of a request, in bytes."""

    request_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    """
    Section `telemetry`: what is told of decisions besides their records.

    Attributes:
        log: `off`; `stderr`, a line of JSON for each decision; or `logger`, the standard library's, for an
            application that sets that up itself.
        otel: Whether spans and measures go to OpenTelemetry.
    """

    log: str
    otel: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """
    Section `service`: how `lumyn serve` listens.

    Attributes:
        bind_port: 0 takes any free port.
        keys: The secrets that sign requests; none leaves the service unsigned, on this machine only.
        header_timeout_s, body_timeout_s: Longest time a caller may take to send a header, and a body.
        drain_timeout_s: Longest wait for requests under way when the service is told to stop.
        watch_s: How often the policy file is looked at; 0 never.
        max_waiting: How many requests may wait for the store before more are turned away.
    """

    bind_host: str
    bind_port: int
    keys: tuple[ServiceKey, ...]
    header_timeout_s: float
    body_timeout_s: float
    drain_timeout_s: float
    watch_s: float
    max_waiting: int
