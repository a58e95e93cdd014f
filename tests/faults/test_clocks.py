"""Clocks go back, stand still and point at other centuries; nothing depends on them but the time that is shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from faults.support import assert_unavailable, make_store, open_gate, policy, refund
from faults.walker import read

from lumyn import FixedClock, Gate, Verdict
from lumyn.documents.schema import problems

pytestmark = pytest.mark.faults


class Wandering:
    """A clock that does what a list says, in milliseconds, and then stands still."""

    def __init__(self, *moments_ms: int) -> None:
        self._moments = list(moments_ms)

    def now_ms(self) -> int:
        return self._moments.pop(0) if len(self._moments) > 1 else self._moments[0]


NOON_MS = 1_768_478_400_000
HOUR_MS = 3_600_000


def test_clock_that_goes_back_changes_no_order(scratch: Path) -> None:
    """History is the order of the journal. Times are kept as they were told, and ids stay unique and ascending."""
    path = scratch / "lumyn.db"
    make_store(path)
    moments = [NOON_MS, NOON_MS - HOUR_MS, NOON_MS - 24 * HOUR_MS, NOON_MS - HOUR_MS, NOON_MS + HOUR_MS, 0]
    with open_gate(path, clock=Wandering(*moments)) as gate:
        records = [gate.decide(refund(f"r{number}")) for number in range(len(moments))]
        assert [record.decision_id for record in reversed(records)] == [r.decision_id for r in gate.records()]
    assert sorted(record.decision_id for record in records) == [record.decision_id for record in records]
    assert "2026-01-15T11:00:00.000Z" == records[1].created_at
    assert "1970-01-01T00:00:00.000Z" == records[5].created_at
    found = read(path)
    assert found.sound
    assert [record.decision_id for record in records] == list(found.records)


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(0)], ids=["back", "still"])
def test_experience_counts_whenever_it_is_dated(scratch: Path, step: timedelta) -> None:
    """A label dated before the decisions it is about, and after those it governs, still governs them."""
    path = scratch / "lumyn.db"
    make_store(path)
    clock = FixedClock("2026-01-15T12:00:00Z")
    with open_gate(path, clock=clock) as gate:
        first = gate.decide(refund("first"))
        clock.advance(step)
        gate.label(first.decision_id, "failure")
        clock.advance(step)
        later = gate.decide(refund("later"))
        assert (Verdict.TRUST, Verdict.ESCALATE) == (first.verdict, later.verdict)
        assert gate.replay(first.decision_id).identical
        assert gate.replay(later.decision_id).identical


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ("1901-02-03T04:05:06Z", "1901-02-03T04:05:06.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("2038-01-19T03:14:08Z", "2038-01-19T03:14:08.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_far_moments_are_stored_and_read_back(scratch: Path, moment: str, shown: str) -> None:
    """A wrong clock is no reason to decide differently, or not at all."""
    path = scratch / "lumyn.db"
    make_store(path)
    with open_gate(path, clock=FixedClock(moment)) as gate:
        record = gate.decide(refund("r"))
        assert (Verdict.TRUST, True, shown) == (record.verdict, record.persisted, record.created_at)
        assert [] == problems("decision_record.v0.schema.json", record.to_dict())
        gate.label(record.decision_id, "near_miss")
        assert record == gate.record(record.decision_id) == gate.decide(refund("r"))
        assert gate.replay(record.decision_id).identical
        assert 26 == len(record.decision_id)
    assert read(path).sound


def test_storage_failure_is_answered_by_any_clock(tmp_path: Path) -> None:
    """The time-out runs on the monotonic clock, not on the one that is asked for the date."""
    with Gate.open(policy=policy(), store=tmp_path / "none.db", clock=Wandering(NOON_MS, -(10**13), 0)) as gate:
        for _ in range(3):
            assert_unavailable(gate.decide(refund()), "STORE_NOT_FOUND")
