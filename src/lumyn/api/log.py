"""
What the service says while it runs: one line of JSON for each thing that happened, on standard error.
Is handed ids, codes and counts, never evidence, context or secrets; must not know requests.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from typing import Final

from lumyn.core.clock import SystemClock, rfc3339

__all__ = ["Log", "quiet_libraries"]

NAME: Final = "lumyn.service"

_CLOCK: Final = SystemClock()


class Log:
    """Writes lines through the logger `lumyn.service`, so that whoever embeds the service can send them elsewhere."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(NAME)

    def to_stderr(self) -> Log:
        """Write to standard error and nowhere else; for a process of its own."""
        handler = _Handler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        self._logger.handlers = [handler]
        self._logger.propagate = False
        self._logger.setLevel(logging.INFO)
        return self

    def info(self, event: str, **fields: object) -> None:
        """Write one line; None is left out."""
        self._write(logging.INFO, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write one line about something that a person should look at."""
        self._write(logging.ERROR, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            line: dict[str, object] = {"at": rfc3339(_CLOCK.now_ms()), "level": logging.getLevelName(level).lower()}
            line |= {"event": event, **{name: value for name, value in fields.items() if value is not None}}
            # ASCII: a terminal is not steered by what a file name or a policy's id holds.
            text = json.dumps(line, default=str, separators=(",", ":"))
            # Whoever embeds the service may have a handler that raises. What the line tells of has happened: a decision
            # is stored, a policy in force. Neither may be answered for as if it were not.
            with suppress(Exception):
                self._logger.log(level, "%s", text)


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Goes on when its stream cannot be written: a decision must not fail for its log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        return


def quiet_libraries() -> None:
    """Keep the HTTP libraries from writing lines of their own, which can quote what was sent."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "asyncio", "fastapi"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
