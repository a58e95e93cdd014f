"""
Waiting for a lock that another process holds, within a bound.
Knows what SQLite calls busy and how its driver fails; must not know what the lock protects.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["DRIVER_ERRORS", "patiently"]

T = TypeVar("T")

DRIVER_ERRORS: Final = (sqlite3.Error, UnicodeError, OverflowError)
"""What the driver raises: its messages quote damaged bytes, which need not be text, and damaged numbers overflow."""

_SHORTEST_PAUSE_S: Final = 0.0001
_LONGEST_PAUSE_S: Final = 0.0005


def patiently(attempt: Callable[[], T], *, until: float) -> T:
    """
    Return what `attempt` returns, tried again for as long as SQLite answers that it is busy.

    SQLite's own busy handler sleeps for up to 100 ms between attempts. A process that writes again at once leaves the
    lock free for a fraction of a millisecond, so that such a sleeper can miss every gap until its time is up; short
    pauses of uneven length do not.

    Args:
        until: When to give up, on the monotonic clock.

    Raises:
        sqlite3.Error: It failed, or was busy to the end.
    """
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            busy = (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= until:
                raise
        from random import uniform  # most commands never wait

        time.sleep(uniform(_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S))
