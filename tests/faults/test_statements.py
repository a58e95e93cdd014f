"""Every statement that the store sends to SQLite fails once, or the process dies there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from faults import seam
from faults.acts import ACTS, Act, Stage
from faults.children import kill_at_every_statement
from faults.support import make_store, open_gate, refund, run_child
from faults.walker import read

from lumyn import IdempotencyConflictError

pytestmark = pytest.mark.faults

EVERY_ACT = pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)


@pytest.mark.parametrize("failure", [seam.io_error, seam.full, seam.corrupt, seam.busy], ids=lambda make: make.__name__)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@EVERY_ACT
def test_statement_that_fails_leaves_all_or_nothing(
    act: Act, after: bool, failure: Callable[[], Exception], scratch: Path
) -> None:
    """Whether a statement failed before it ran or after, COMMIT among them, the caller knows what is stored."""
    sweep(Stage(act, scratch / "stage"), after=after, failure=failure, times=1)


@pytest.mark.parametrize("failure", [seam.io_error, seam.full], ids=lambda make: make.__name__)
@EVERY_ACT
def test_roll_back_that_fails_too_leaves_all_or_nothing(
    act: Act, failure: Callable[[], Exception], scratch: Path
) -> None:
    """A disk that fails a statement fails the next one as well, which is the ROLLBACK."""
    sweep(Stage(act, scratch / "stage"), after=False, failure=failure, times=2)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@EVERY_ACT
def test_call_that_is_interrupted_leaves_a_gate_that_works(act: Act, after: bool, scratch: Path) -> None:
    """Ctrl-C, or an exception out of a signal handler, goes to the caller; the store is not left in a transaction."""
    stage = Stage(act, scratch / "stage")
    for nth in range(1, 200):
        plan = seam.Plan(nth=nth, after=after, failure=KeyboardInterrupt)
        path = stage.copy()
        with seam.statements(plan), stage.gate(path) as gate:
            plan.armed = True
            try:
                stage.perform(gate)
            except KeyboardInterrupt:
                plan.armed = False
                assert read(path).sound
                stage.mends(gate, path, None)
            else:
                assert not plan.fired
                return
    pytest.fail("the act never came to its end")


def sweep(stage: Stage, *, after: bool, failure: Callable[[], Exception], times: int) -> None:
    """Let the act fail at its first statement, its second, and so on, until there is none left to fail."""
    for nth in range(1, 200):
        plan = seam.Plan(nth=nth, after=after, failure=failure, times=times)
        path = stage.copy()
        with seam.statements(plan), stage.gate(path) as gate:
            plan.armed = True
            result = stage.perform(gate)
            plan.armed = False
            stored = stage.came_of(result, path)
            if not plan.fired:
                assert stored
                assert "COMMIT" in plan.seen
                return
            stage.mends(gate, path, result)
    pytest.fail("the act never came to its end")


def test_roll_back_that_fails_after_a_conflict_does_not_spoil_the_gate(scratch: Path) -> None:
    """Nothing was written, so nothing is lost; the connection is given up, and the next decision opens another."""
    make_store(scratch / "lumyn.db", decisions=1)
    plan = seam.Plan(failure=seam.io_error)
    with (
        # Somebody else has the store open, so that a connection that is closed does not take the log with it.
        closing(sqlite3.connect(scratch / "lumyn.db")) as other,
        seam.statements(plan),
        open_gate(scratch / "lumyn.db") as gate,
    ):
        other.execute("SELECT count(*) FROM meta").fetchall()
        for armed in (False, True):
            plan.armed = armed
            with pytest.raises(IdempotencyConflictError):
                gate.decide(refund("seed-0", amount=99))
        plan.nth, plan.seen = plan.seen.index("ROLLBACK") + 1, []
        with pytest.raises(IdempotencyConflictError):
            gate.decide(refund("seed-0", amount=99))
        assert plan.fired
        plan.armed = False
        assert gate.decide(refund("next")).persisted


@EVERY_ACT
def test_process_killed_at_a_statement_leaves_all_or_nothing(act: Act, scratch: Path) -> None:
    """The next process finds the act whole or not at all; a retry after the COMMIT is given the stored decision."""
    report = run_child(kill_at_every_statement, act.name, str(scratch))
    assert report["points"] >= 8
    # Killed before COMMIT ran, nothing is there; killed after it, everything is.
    assert 1 == report["stored"]
    assert report["points"] - 1 == report["absent"]
