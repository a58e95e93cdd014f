"""A gate that decides for days opens nothing that it does not close, and its settings are those that were promised."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from faults import seam
from faults.support import DECISIONS, connection_of, make_store, open_gate, refund

from lumyn import Gate, IdempotencyConflictError

pytestmark = pytest.mark.faults

DESCRIPTORS = Path("/proc/self/fd")
needs_proc = pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="needs /proc")


def open_files(folder: Path) -> list[str]:
    """Return the files below `folder` that this process has open, each as often as it has."""
    found = []
    for entry in DESCRIPTORS.iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return sorted(found)


@needs_proc
def test_decisions_leave_no_descriptor_open(scratch: Path) -> None:
    """Thousands of decisions, retries, conflicts and labels later, the same three files are open, once each."""
    path = scratch / "lumyn.db"
    make_store(path)
    with open_gate(path) as gate:
        gate.decide(refund("first"))
        before = open_files(scratch)
        for number in range(DECISIONS):
            record = gate.decide(refund(f"r{number}"))
            if number % 50 == 0:
                gate.decide(refund(f"r{number}"))
                gate.label(record.decision_id, "near_miss")
                gate.records(limit=3)
                with pytest.raises(IdempotencyConflictError):
                    gate.decide(refund(f"r{number}", amount=999))
        assert before == open_files(scratch)
        assert 3 == len(before)
    assert [] == open_files(scratch)


@needs_proc
def test_failures_leave_no_descriptor_open(scratch: Path) -> None:
    """Connections that are given up are closed: after failing I/O, a lost file, and a store that is no store."""
    path = scratch / "lumyn.db"
    make_store(path)
    plan = seam.Plan(nth=3, armed=True)
    with seam.statements(plan), open_gate(path, busy_timeout_s=0.1) as gate:
        for number in range(50):
            plan.seen.clear()
            gate.decide(refund(f"r{number}"))
        plan.armed = False
        path.rename(scratch / "elsewhere.db")
        for number in range(50):
            assert not gate.decide(refund(f"s{number}")).persisted
        path.write_bytes(b"no database" * 1000)
        for number in range(50):
            assert not gate.decide(refund(f"t{number}")).persisted
        assert [] == open_files(scratch)


@needs_proc
def test_threads_share_one_connection(scratch: Path) -> None:
    """A connection for each thread would be a leak in a server that makes a thread for each request."""
    path = scratch / "lumyn.db"
    make_store(path)
    with open_gate(path) as gate:
        for round_number in range(3):
            requests = [refund(f"r{round_number}-{number}") for number in range(20)]
            threads = [threading.Thread(target=gate.decide, args=(request,)) for request in requests]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert 3 == len(open_files(scratch))


def settings(gate: Gate) -> dict[str, object]:
    """Return the settings of a gate's connection that durability and safety rest on."""
    names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "cell_size_check")
    connection = connection_of(gate)
    return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}


def test_settings_hold_on_every_connection_a_gate_opens(scratch: Path) -> None:
    """Not only on the first one: after an error, after closing, after the file was away."""
    path = scratch / "lumyn.db"
    make_store(path)
    promised = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "cell_size_check": 1}
    plan = seam.Plan(nth=2)
    with seam.statements(plan), open_gate(path, synchronous="FULL") as gate:
        assert promised == settings(gate)
        plan.armed = True
        gate.decide(refund("fails"))
        plan.armed = False
        assert promised == settings(gate)
        gate.close()
        assert promised == settings(gate)
        path.rename(scratch / "away.db")
        gate.decide(refund("away"))
        (scratch / "away.db").rename(path)
        assert promised == settings(gate)
