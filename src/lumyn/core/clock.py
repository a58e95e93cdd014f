"""
Where time and identity come from: a clock and a source of ULIDs, both replaceable.
Verdicts never depend on either; must not know what is being timed or named.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import weakref
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

__all__ = ["Clock", "FixedClock", "IdSource", "SeededIds", "SystemClock", "UlidSource", "parse_rfc3339", "rfc3339"]

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_RANDOM_BITS: Final = 80
_RANDOM_LIMIT: Final = 1 << _RANDOM_BITS
_HALF_BITS: Final = _RANDOM_BITS // 2
_HALF_MASK: Final = (1 << _HALF_BITS) - 1
_TIME_LIMIT: Final = 1 << 48
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""


class IdSource(Protocol):
    """Makes identifiers."""

    def new(self, now_ms: int) -> str:
        """Return a fresh ULID (https://github.com/ulid/spec): 26 characters of Crockford base 32."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000


class FixedClock:
    """
    A clock that stands still until it is advanced.

    Args:
        start: An aware datetime, or RFC 3339 text such as `2026-01-15T12:00:00Z`.
    """

    def __init__(self, start: datetime | str) -> None:
        self._now_ms = _ms_of_text(start) if isinstance(start, str) else _ms_of(start)

    def now_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        return self._now_ms

    def now(self) -> datetime:
        """Return the time as an aware datetime in UTC."""
        return _EPOCH + timedelta(milliseconds=self._now_ms)

    def advance(self, by: timedelta) -> None:
        """Move the clock; a negative `by` moves it back."""
        self._now_ms += by // timedelta(milliseconds=1)


class UlidSource:
    """
    Random ULIDs that grow within a process, also when the clock stands still or goes back.

    The random part holds 80 bits of the operating system's randomness, new for each millisecond.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = -1
        self._last_random = 0
        self._pid = os.getpid()
        _SOURCES.add(self)

    def new(self, now_ms: int) -> str:
        """Return a fresh ULID, greater than the one before."""
        with self._lock:
            if now_ms > self._last_ms or self._pid != os.getpid():
                self._pid = os.getpid()
                self._last_ms = max(now_ms, self._last_ms)
                self._last_random = self._random()
            else:
                self._last_random += 1
                if self._last_random >= _RANDOM_LIMIT:
                    self._last_ms += 1
                    self._last_random = self._random()
            return ulid(self._last_ms, self._last_random)

    def renew_lock(self) -> None:
        """Replace the lock in a forked child: a thread that held it stayed behind and would never release it."""
        self._lock = threading.Lock()

    def _random(self) -> int:
        return int.from_bytes(os.urandom(10), "big")


_SOURCES: Final[weakref.WeakSet[UlidSource]] = weakref.WeakSet()


def _after_fork() -> None:
    for source in list(_SOURCES):
        source.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _ms_of(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=64)
def _ms_of_text(text: str) -> int:
    return _ms_of(parse_rfc3339(text))


class SeededIds:
    """
    ULIDs that are the same in every run: the random part counts up from a hash of `seed`.

    For vectors, replays and tests; two sources with one seed give one sequence.
    """

    def __init__(self, seed: str) -> None:
        digest = hashlib.sha256(b"lumyn.ids\0" + seed.encode()).digest()
        # Half of the range is left free, so that counting never overflows.
        self._next = int.from_bytes(digest[:10], "big") >> 1

    def new(self, now_ms: int) -> str:
        """Return the next ULID of the sequence."""
        self._next += 1
        return ulid(now_ms, self._next)


_last_time: tuple[int, str] = (0, "0" * 10)


def ulid(now_ms: int, random: int) -> str:
    """Return the ULID of a time (clamped to 0..2^48-1 milliseconds) and 80 random bits."""
    global _last_time  # noqa: PLW0603 - one time's text serves a burst of decisions, and all of a clock that stands
    pairs = _PAIRS
    known, text = _last_time
    if known != now_ms:
        at = min(max(now_ms, 0), _TIME_LIMIT - 1)
        text = (
            pairs[at >> 40]
            + pairs[at >> 30 & 1023]
            + pairs[at >> 20 & 1023]
            + pairs[at >> 10 & 1023]
            + pairs[at & 1023]
        )
        _last_time = (now_ms, text)
    # Halves fit into a machine word; shifting all of the bits at once costs a long number each time.
    high, low = random >> _HALF_BITS, random & _HALF_MASK
    return (
        text
        + pairs[high >> 30]
        + pairs[high >> 20 & 1023]
        + pairs[high >> 10 & 1023]
        + pairs[high & 1023]
        + pairs[low >> 30]
        + pairs[low >> 20 & 1023]
        + pairs[low >> 10 & 1023]
        + pairs[low & 1023]
    )


_last_second: tuple[int, str] = (0, "1970-01-01T00:00:00")


def rfc3339(now_ms: int) -> str:
    """Return a time as RFC 3339 text in UTC with milliseconds, such as `2026-01-15T12:00:00.000Z`."""
    global _last_second  # noqa: PLW0603 - one second's text serves thousands of decisions
    second, millisecond = divmod(now_ms, 1000)
    known, text = _last_second
    if known != second:
        text = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
        _last_second = (second, text)
    return f"{text}.{millisecond:03d}Z"


def parse_rfc3339(text: str) -> datetime:
    """
    Return RFC 3339 text as an aware datetime in UTC.

    Raises:
        ValueError: It is not a date and time with an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or len(text) <= len("2026-01-15"):
        raise ValueError("not an RFC 3339 date and time with an offset")
    return moment.astimezone(UTC)
