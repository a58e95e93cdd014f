"""Work off the event loop: bounded, finished once begun, and given up when it waited too long."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from lumyn.api import desk
from lumyn.api.desk import BusyError, Desk


def test_there_is_room_for_so_much_and_no_more() -> None:
    async def work() -> None:
        let_go = threading.Event()
        held = Desk(threads=1, max_waiting=2, name="test")
        tasks = [asyncio.create_task(held.run(let_go.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        assert 3 == held.held
        with pytest.raises(BusyError):
            await held.run(lambda: None)
        let_go.set()
        assert [True, True, True] == await asyncio.gather(*tasks)
        await asyncio.sleep(0)
        assert 0 == held.held
        assert 7 == await held.run(lambda: 7)
        held.close()

    asyncio.run(work())


def test_what_was_begun_is_finished_although_nobody_waits() -> None:
    """And keeps its place until then: otherwise who hangs up would make room for more work than there is room for."""

    async def work() -> None:
        let_go, done = threading.Event(), threading.Event()
        held = Desk(threads=1, max_waiting=0, name="test")

        def slowly() -> None:
            let_go.wait()
            done.set()

        task = asyncio.create_task(held.run(slowly))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(BusyError):
            await held.run(lambda: None)
        let_go.set()
        assert await asyncio.to_thread(done.wait, 5)
        held.close()

    asyncio.run(work())


def test_what_waited_too_long_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "LONGEST_WAIT_S", 0.02)
    begun: list[int] = []

    async def work() -> None:
        held = Desk(threads=1, max_waiting=5, name="test")
        first = asyncio.create_task(held.run(lambda: time.sleep(0.1)))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await held.run(lambda: begun.append(1))
        await first
        held.close()

    asyncio.run(work())
    assert [] == begun


def test_an_error_reaches_who_waits() -> None:
    async def work() -> None:
        held = Desk(threads=1, max_waiting=0, name="test")

        def broken() -> None:
            raise ValueError("x")

        with pytest.raises(ValueError, match="x"):
            await held.run(broken)
        held.close()

    asyncio.run(work())
