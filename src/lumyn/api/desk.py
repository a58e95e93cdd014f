"""
Threads for work that blocks, with room for so much of it and no more: whoever finds it full is turned away at once.
Keeps the event loop free; must not know what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Final, TypeVar

from lumyn.errors import LumynError

__all__ = ["BusyError", "Desk"]

LONGEST_WAIT_S: Final = 5.0
"""What waited this long is not begun: whoever asked has probably gone, and others wait behind it."""

Result = TypeVar("Result")


class BusyError(LumynError):
    """There is more work than can be done in time; nothing of this request was."""

    reason_code = "SERVICE_BUSY"


class Desk:
    """
    A few threads and a bounded queue before them.

    Args:
        threads: How much is done at a time. One for what writes: a store has one writer, and waiting for it in a
            queue, unlike waiting for its lock, does not use up the time a decision is given.
        max_waiting: How much may wait.
    """

    def __init__(self, *, threads: int, max_waiting: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._most = threads + max_waiting
        self._held = 0

    @property
    def held(self) -> int:
        """How much is waiting or being done."""
        return self._held

    async def run(self, work: Callable[[], Result]) -> Result:
        """
        Return what `work` returns, or raise what it raises. Work that was begun is finished, whoever stops waiting.

        Raises:
            BusyError: It was not begun.
        """
        if self._held >= self._most:
            raise _too_much()
        until = monotonic() + LONGEST_WAIT_S
        future = asyncio.get_running_loop().run_in_executor(self._executor, _in_time, work, until)
        self._held += 1
        future.add_done_callback(self._done)
        # A caller that is cancelled must not free the place of work that goes on.
        return await asyncio.shield(future)

    def close(self) -> None:
        """Finish what was begun, and end the threads. What waits is not begun: whoever asked was waited for already."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _done(self, future: asyncio.Future[Result]) -> None:
        self._held -= 1
        if not future.cancelled():
            future.exception()  # somebody has looked at it: nobody may be waiting any more


def _in_time(work: Callable[[], Result], until: float) -> Result:
    if monotonic() > until:
        raise _too_much()
    return work()


def _too_much() -> BusyError:
    return BusyError("too many requests are waiting", hint="send it again after a moment")
