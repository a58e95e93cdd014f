"""
The gate that configuration describes: one for the process behind `lumyn.decide`, others for whoever asks.
Joins configuration and core; must not evaluate anything itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lumyn.config import Config, load_config
from lumyn.errors import InvalidConfigError, Problem

if TYPE_CHECKING:
    from lumyn.core.clock import Clock, IdSource
    from lumyn.core.decide import Gate
    from lumyn.core.records import DecisionRecord
    from lumyn.model import Mode
    from lumyn.telemetry.observation import Observer

__all__ = ["close_default_gate", "decide", "default_gate", "open_configured", "open_gate", "policy_path"]


def open_gate(
    *,
    start: Path | None = None,
    create: bool = False,
    policy: str | Path | None = None,
    store: str | None = None,
    mode: Mode | str | None = None,
    clock: Clock | None = None,
    ids: IdSource | None = None,
) -> Gate:
    """
    Open the gate that holds for a folder.

    Args:
        start: Folder from which the configuration is searched; default the working directory.
        create: Whether a missing store is created. Without it, a gate without its store answers `ABSTAIN`.
        policy: Overrides `policy.path`.
        store: Overrides `store.url`.
        mode: Overrides `policy.mode`.

    Raises:
        InvalidConfigError: The configuration is not usable, or names no policy.
        InvalidPolicyError: The policy is not usable.
    """
    arguments = {"policy.path": policy, "store.url": store, "policy.mode": mode}
    return open_configured(load_config(start=start, arguments=arguments), create=create, clock=clock, ids=ids)


def open_configured(
    config: Config,
    *,
    create: bool = False,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    observers: Sequence[Observer] = (),
) -> Gate:
    """
    Open the gate that `config` describes; errors as for `open_gate`.

    Args:
        observers: Told of decisions as well as those that are configured.
    """
    from lumyn.core.decide import Gate
    from lumyn.engine.redaction import RedactionPolicy, RedactionProfile

    profile = RedactionProfile(config.redaction.profile)
    return Gate.open(
        policy=policy_path(config),
        store=config.store.url,
        create=create,
        mode=config.policy.mode,
        clock=clock,
        ids=ids,
        redaction=RedactionPolicy(profile=profile, remove=config.redaction.remove),
        busy_timeout_s=config.store.busy_timeout_s,
        synchronous=config.store.synchronous,
        store_id=config.store.id,
        max_request_bytes=config.limits.request_bytes,
        observers=[*_observers(config), *observers],
    )


def _observers(config: Config) -> list[Observer]:
    """Return what is told of decisions, as configured; loads neither logging nor OpenTelemetry for nothing."""
    observers: list[Observer] = []
    if config.telemetry.log != "off":
        from lumyn.telemetry.logging import log_decision, log_to

        if config.telemetry.log == "stderr":
            log_to()
        observers.append(log_decision)
    if config.telemetry.otel:
        from lumyn.telemetry.tracing import DecisionSpans

        observers.append(DecisionSpans())
    return observers


def policy_path(config: Config) -> Path:
    """
    Return the policy file that is configured.

    Raises:
        InvalidConfigError: None is. There is no default: a gate never decides by a policy nobody chose.
    """
    if config.policy.path is not None:
        return config.policy.path
    if config.file is None:
        code, hint = "CONFIG_NOT_FOUND", "`lumyn init` makes a workspace here"
        message = f"no `lumyn.toml` and no `[tool.lumyn]` in `{config.folder}` or any folder above it"
    else:
        code, hint = "FIELD_MISSING", "name the policy file to decide by"
        message = f"`policy.path` is not set in `{config.file}`"
    raise InvalidConfigError([Problem(code=code, message=message, hint=hint)])


class _Default:
    """This process's gate."""

    def __init__(self) -> None:
        self.gate: Gate | None = None
        self.lock = threading.Lock()

    def renew_lock(self) -> None:
        # Another thread may have held the lock when the process was forked; nobody in the child would release it.
        self.lock = threading.Lock()


_DEFAULT: Final = _Default()


def default_gate() -> Gate:
    """
    Return this process's gate, opened at the first call from the configuration found then.

    A failed opening is not kept: the next call tries again. Errors as for `open_gate`.
    """
    gate = _DEFAULT.gate
    if gate is None:
        with _DEFAULT.lock:
            gate = _DEFAULT.gate
            if gate is None:
                gate = _DEFAULT.gate = open_gate()
    return gate


def decide(request: Mapping[str, object] | str | bytes) -> DecisionRecord:
    """
    Decide a request by the gate that configuration describes; the record is durable before it is returned.

    Args:
        request: A `decision_request.v0` document, as a mapping or as JSON text.

    Returns:
        The record; see `Gate.decide`. Act only when it `authorizes` the request.

    Raises:
        InvalidRequestError: The request breaks its contract; nothing was stored.
        IdempotencyConflictError: Its `request_id` was used for a different request; nothing was stored.
        InvalidConfigError: The configuration is not usable, or names no policy.
        InvalidPolicyError: The policy is not usable.
    """
    return default_gate().decide(request)


def close_default_gate() -> None:
    """Close this process's gate; the next `decide` looks for the configuration again."""
    with _DEFAULT.lock:
        gate, _DEFAULT.gate = _DEFAULT.gate, None
    if gate is not None:
        gate.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_DEFAULT.renew_lock)
