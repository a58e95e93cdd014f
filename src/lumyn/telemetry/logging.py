"""
One structured line for each decision, through the standard library's logging.
Writes names, digests and the outcome; never evidence, context, a tenant or a secret.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from typing import Final, TextIO

from lumyn.telemetry.observation import Observation

__all__ = ["LOGGER", "line", "log_decision", "log_to"]

LOGGER: Final = "lumyn.decisions"
"""The logger of decisions: `INFO`, `ERROR` where the store could not be used, `DEBUG` for a record given again."""

_logger: Final = logging.getLogger(LOGGER)


def log_decision(observation: Observation) -> None:
    """Log one decision: an observer of a gate. The fields are also on the log record, as its attribute `lumyn`."""
    level = _level(observation)
    if _logger.isEnabledFor(level):
        fields = _fields(observation)
        _logger.log(level, "%s", _text(fields), extra={"lumyn": fields})


def log_to(stream: TextIO | None = None) -> None:
    """
    Write the lines to a stream, bare, one JSON document a line, and nowhere else.

    For programs that are Lumyn's own. An application gives the logger its own handler instead.

    Args:
        stream: Default standard error.
    """
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _logger.handlers[:] = [handler]
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Goes on when nothing can be written any more: a decision must not fail for its line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        with suppress(OSError, ValueError):  # it tells of the failure on standard error, which may be closed itself
            super().handleError(record)


def line(observation: Observation) -> str:
    """Return the line of a decision: ASCII, so that nothing in it can end it or colour a terminal."""
    return _text(_fields(observation))


def _level(observation: Observation) -> int:
    if observation.repeated:
        return logging.DEBUG
    record = observation.record
    return logging.INFO if record.persisted or record.dry_run else logging.ERROR


def _fields(observation: Observation) -> dict[str, object]:
    record = observation.record
    return {
        "event": "decision",
        "at": record.created_at,
        "decision_id": record.decision_id,
        "verdict": record.verdict.value,
        "reason_codes": list(record.reason_codes),
        "permits": record.permits,
        "policy_id": record.policy_id,
        "policy_version": record.policy_version,
        "policy_hash": record.policy_hash,
        "persisted": record.persisted,
        "dry_run": record.dry_run,
        "repeated": observation.repeated,
        "elapsed_us": observation.elapsed_ns // 1_000,
    }


def _text(fields: dict[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":"))
