"""
Storage that fails, lies or is somebody else's: `ABSTAIN` in bounded time, and a record that says so.

Cheap forms of each fault; the long loops are in `tests/faults`.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from bad_inputs.catalogue import case
from bad_inputs.requests import POLICY_FILE, REFUND

from lumyn import DecisionRecord, FixedClock, Gate, InvalidConfigError, Policy, SeededIds, UlidSource, Verdict
from lumyn.cli.exit_codes import ExitCode
from lumyn.config import load_config
from lumyn.core.verify import verify
from lumyn.documents.schema import problems
from lumyn.store.journal import checkpoint, read_journal

BUSY_TIMEOUT_S = 0.3


def assert_unavailable(record: DecisionRecord, *details: str) -> None:
    """The record abstains, is valid, permits nothing and says what is wrong with the store."""
    assert (Verdict.ABSTAIN, ("STORAGE_UNAVAILABLE",)) == (record.verdict, record.reason_codes)
    assert not record.persisted
    assert not record.permits
    own = record.to_dict()["extensions"]["lumyn"]  # type: ignore[index,call-overload]
    assert own["persisted"] is False  # type: ignore[index,call-overload]
    assert own["storage_error"] in details  # type: ignore[index,call-overload]
    assert [] == problems("decision_record.v0.schema.json", record.to_dict())


def filled(policy: Policy, path: Path) -> Path:
    """Make a store with two decisions and a label in it, all in the file itself."""
    with Gate.open(policy=policy, store=path, create=True) as gate:
        gate.label(gate.decide({**REFUND, "request_id": "old-1"}).decision_id, "success")
        gate.decide({**REFUND, "request_id": "old-2"})
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def decided(policy: Policy, path: Path, **options: object) -> DecisionRecord:
    """Return what a gate that is opened now decides, within the time-out."""
    start = time.monotonic()
    with Gate.open(policy=policy, store=path, busy_timeout_s=BUSY_TIMEOUT_S, **options) as gate:  # type: ignore[arg-type]
        record = gate.decide(REFUND)
    assert time.monotonic() - start < BUSY_TIMEOUT_S + 0.5
    return record


def rows(path: Path) -> tuple[int, int]:
    """Count decisions and idempotency keys."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tables = ("decisions", "idempotency_keys")
        one, two = (connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    return one, two


def overwrite_root_page(path: Path, table: str) -> None:
    """Put garbage where a table begins."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def overwrite_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\0" * 16)


def set_pragma(path: Path, pragma: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    connection.close()


FAULTS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "sto-008": (lambda path: os.truncate(path, 0), ("STORE_NOT_INITIALISED",)),
    "sto-010": (overwrite_header, ("STORE_CORRUPT",)),
    "sto-011": (lambda path: os.truncate(path, path.stat().st_size // 2), ("STORE_CORRUPT",)),
    "sto-012": (lambda path: overwrite_root_page(path, "memory_items"), ("STORE_CORRUPT",)),
    "sto-013": (lambda path: overwrite_root_page(path, "idempotency_keys"), ("STORE_CORRUPT",)),
    "sto-016": (lambda path: set_pragma(path, "user_version = 99"), ("STORE_SCHEMA_UNSUPPORTED",)),
    "sto-018": (lambda path: set_pragma(path, "application_id = 7"), ("STORE_IDENTITY_MISMATCH",)),
}


@pytest.mark.parametrize(
    ("case", "fault", "details"), [pytest.param(case, *row, id=case) for case, row in FAULTS.items()]
)
@pytest.mark.parametrize("was_open", [False, True])
def test_damaged_file_abstains(
    policy: Policy,
    store_path: Path,
    case: str,
    fault: Callable[[Path], object],
    details: tuple[str, ...],
    was_open: bool,
) -> None:
    """Opened before or after the damage; and the damage is not made worse."""
    filled(policy, store_path)
    with Gate.open(policy=policy, store=store_path, busy_timeout_s=BUSY_TIMEOUT_S) as gate:
        if was_open:
            gate.store.check()
            gate.close()
        fault(store_path)
        before = store_path.read_bytes()
        assert_unavailable(gate.decide(REFUND), *details)
        assert_unavailable(gate.decide({**REFUND, "request_id": "case-2"}), *details)
    assert before == store_path.read_bytes()


@pytest.mark.parametrize(
    ("case", "fault", "details"), [pytest.param(case, *row, id=case) for case, row in FAULTS.items()]
)
def test_damaged_file_on_the_command_line(
    lumyn: Callable[..., tuple[int, str]],
    workspace: Path,
    policy: Policy,
    case: str,
    fault: Callable[[Path], object],
    details: tuple[str, ...],
) -> None:
    """A decision is still given: 12, with the reason; nothing that reads finds anything."""
    path = workspace / ".lumyn" / "lumyn.db"
    path.unlink()
    fault(filled(policy, path))
    code, output = lumyn("decide", "-", stdin=json.dumps(REFUND).encode())
    assert ExitCode.ABSTAIN == code
    assert details[0] in output
    code, output = lumyn("show", "@last")
    assert code in {ExitCode.STORAGE, ExitCode.OK}
    assert (code == ExitCode.OK) == (case in {"sto-012", "sto-013"})


@case("sto-003")
def test_full_database_abstains_and_keeps_what_it_has(policy: Policy, store_path: Path, case: str) -> None:
    """Every decision that was given as stored is there."""
    filled(policy, store_path)
    with Gate.open(policy=policy, store=store_path) as gate:
        gate.store.check()
        connection = gate.store._connection  # type: ignore[attr-defined]  # the limit belongs to the connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        records = [gate.decide({**REFUND, "request_id": f"r-{number}"}) for number in range(40)]
        assert_unavailable(records[-1], "STORE_FULL")
        kept = {record.decision_id for record in records if record.persisted}
        assert kept == {record.decision_id for record in gate.records(limit=100)} & {r.decision_id for r in records}
    assert (len(kept) + 2,) * 2 == rows(store_path)


@case("sto-005")
def test_path_that_cannot_hold_a_store_abstains(policy: Policy, tmp_path: Path, case: str) -> None:
    """Also where the gate was told to create one."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "folder", tmp_path / "file" / "lumyn.db", tmp_path / "pipe", tmp_path / ("x" * 300)):
        for create in (False, True):
            details = ("STORE_NOT_FOUND", "STORE_NOT_CREATED", "STORE_IO_ERROR")
            assert_unavailable(decided(policy, path, create=create), *details)
    assert ["file", "folder", "pipe"] == sorted(path.name for path in tmp_path.iterdir())


@case("sto-006")
def test_path_with_a_nul_is_a_configuration_error(policy: Policy, tmp_path: Path, case: str) -> None:
    """From code, a file or the environment; nothing is opened by half of it."""
    with pytest.raises(InvalidConfigError) as caught:
        Gate.open(policy=policy, store="sqlite:///a\0b", create=True)
    assert ["PATH_INVALID"] == [problem.code for problem in caught.value.problems]
    (tmp_path / "lumyn.toml").write_text('[store]\nurl = "sqlite:///a\\u0000b"\n', encoding="utf-8")
    with pytest.raises(InvalidConfigError) as caught:
        load_config(start=tmp_path, environ={})
    assert ["PATH_INVALID"] == [problem.code for problem in caught.value.problems]


@case("sto-009")
def test_another_store_in_its_place_abstains(policy: Policy, store_path: Path, tmp_path: Path, case: str) -> None:
    """Whether its identity is pinned, or known from having been open; it stays so until the right one is back."""
    filled(policy, store_path)
    other = filled(policy, tmp_path / "other.db")
    with Gate.open(policy=policy, store=other) as gate:
        others_id = gate.store.store_id
    assert_unavailable(decided(policy, store_path, store_id=others_id), "STORE_IDENTITY_MISMATCH")
    with Gate.open(policy=policy, store=store_path) as gate:
        own_id = gate.store.store_id
        assert gate.decide({**REFUND, "request_id": "before"}).persisted
        shutil.move(store_path, tmp_path / "aside.db")
        shutil.copy(other, store_path)
        for number in range(3):
            record = gate.decide({**REFUND, "request_id": f"during-{number}"})
            assert_unavailable(record, "STORE_IDENTITY_MISMATCH", "STORE_NOT_FOUND")
        gate.close()
        for leftover in ("-wal", "-shm"):
            Path(f"{store_path}{leftover}").unlink(missing_ok=True)
        shutil.move(tmp_path / "aside.db", store_path)
        assert gate.store.store_id == own_id
        assert gate.decide({**REFUND, "request_id": "after"}).persisted


@case("sto-014")
def test_lock_of_another_process_is_waited_for_and_no_longer(policy: Policy, store_path: Path, case: str) -> None:
    """`ABSTAIN` when the time is up, and a decision as soon as the lock is gone."""
    filled(policy, store_path)
    other = sqlite3.connect(store_path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    assert_unavailable(decided(policy, store_path), "STORE_LOCKED")
    other.execute("ROLLBACK")
    other.close()
    assert decided(policy, store_path).persisted


@case("sto-015")
def test_nobody_writes_between_look_up_and_insert(policy: Policy, store_path: Path, case: str) -> None:
    """The look-up is inside the write transaction, so another writer waits; a reader does not."""
    filled(policy, store_path)
    other = sqlite3.connect(store_path, isolation_level=None, timeout=0)
    seen: list[str] = []
    with Gate.open(policy=policy, store=store_path) as gate:
        transaction_type = type(gate.store.write())
        find_key = transaction_type.find_key

        def look_up(self: object, *arguments: object) -> object:
            found = find_key(self, *arguments)  # type: ignore[arg-type]
            assert 2 == other.execute("SELECT count(*) FROM decisions").fetchone()[0]
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                seen.append(str(error))
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transaction_type, "find_key", look_up)
            assert gate.decide(REFUND).persisted
    other.close()
    assert ["database is locked"] == seen


DECIDES_UNTIL_KILLED = """
import json, sys
from lumyn import Gate

gate = Gate.open(policy=sys.argv[1], store=sys.argv[2])
request = json.loads(sys.argv[3])
for number in range(1_000_000):
    record = gate.decide({**request, "request_id": f"{sys.argv[4]}-{number}"})
    print(record.decision_id if record.persisted else "", flush=True)
"""


@case("sto-019")
def test_killed_process_loses_nothing_it_acknowledged(policy: Policy, store_path: Path, case: str) -> None:
    """Three kills; the loop of hundreds is in `tests/faults`."""
    Gate.open(policy=policy, store=store_path, create=True).close()
    acknowledged: set[str] = set()
    for attempt in range(3):
        arguments = [str(POLICY_FILE), str(store_path), json.dumps(REFUND), str(attempt)]
        child = subprocess.Popen([sys.executable, "-c", DECIDES_UNTIL_KILLED, *arguments], stdout=subprocess.PIPE)
        assert child.stdout is not None
        first = [child.stdout.readline() for _ in range(5 + 7 * attempt)]
        child.kill()
        lines = [*first, *child.stdout.read().split(b"\n")]
        child.wait()
        child.stdout.close()
        acknowledged.update(line.strip().decode() for line in lines if len(line.strip()) == 26)
    with Gate.open(policy=policy, store=store_path) as gate:
        assert acknowledged <= {record.decision_id for record in gate.records(limit=100_000)}
        assert gate.decide(REFUND).persisted
    decisions, keys = rows(store_path)
    assert decisions == keys
    assert len(acknowledged) >= 36
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        assert "ok" == connection.execute("PRAGMA integrity_check").fetchone()[0]


@case("sto-020")
def test_interrupted_at_any_step_a_decision_is_stored_or_not(policy: Policy, store_path: Path, case: str) -> None:
    """What is said to be stored is; what is said not to be is not. Each step of SQLite's machine is tried."""
    filled(policy, store_path)
    unavailable = 0
    with Gate.open(policy=policy, store=store_path, busy_timeout_s=0) as gate:
        for step in range(1, 2_000):
            gate.store.check()
            connection = gate.store._connection  # type: ignore[attr-defined]  # the handler belongs to the connection
            left = iter([0] * (step - 1))
            connection.set_progress_handler(lambda: next(left, 1), 1)  # noqa: B023 - used before the next turn
            record = gate.decide({**REFUND, "request_id": f"step-{step}"})
            connection = gate.store._connection  # type: ignore[attr-defined]  # it may be another one by now
            if connection is not None:
                connection.set_progress_handler(None, 0)
            stored = gate.store.decision_ids(record.decision_id, limit=1)
            assert record.persisted == (stored == [record.decision_id]), step
            assert record.verdict is (Verdict.TRUST if record.persisted else Verdict.ABSTAIN)
            unavailable += not record.persisted
            if record.persisted and next(left, None) is not None:
                break
        else:
            pytest.fail("no decision ran to its end")
    assert unavailable > 20
    decisions, keys = rows(store_path)
    assert decisions == keys


@case("sto-022")
def test_copy_without_its_log_is_found_against_a_checkpoint(
    policy: Policy, store_path: Path, tmp_path: Path, case: str
) -> None:
    """The file alone is a whole, older store; only what was kept outside can tell."""
    filled(policy, store_path)
    with Gate.open(policy=policy, store=store_path) as gate:
        gate.decide(REFUND)
        kept = read_journal(gate.store, checkpoint)
        shutil.copy(store_path, tmp_path / "copy.db")
        assert verify(gate.store, against=kept).ok
    with Gate.open(policy=policy, store=tmp_path / "copy.db") as copy:
        assert verify(copy.store).ok
        assert {"TRUNCATED"} == set(verify(copy.store, against=kept).counts)


@case("sto-024")
def test_deleted_row_is_found(policy: Policy, store_path: Path, case: str) -> None:
    """A gap in the sequence, by its number; the chain does not fit over it either."""
    filled(policy, store_path)
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        trigger = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'decisions_no_delete'").fetchone()[0]
        seq = connection.execute("SELECT min(seq) FROM decisions").fetchone()[0]
        connection.execute("DROP TRIGGER decisions_no_delete")
        connection.execute("DELETE FROM decisions WHERE seq = ?", (seq,))
        connection.execute(trigger)
    connection.close()
    with Gate.open(policy=policy, store=store_path) as gate:
        found = verify(gate.store)
    assert not found.ok
    (gap,) = [finding for finding in found.findings if finding.code == "SEQ_GAP"]
    assert str(seq) in gap.message


@case("sto-027")
def test_clock_that_goes_back_changes_no_order(policy: Policy, store_path: Path, case: str) -> None:
    """Order is that of the journal; times are recorded as the clock gave them; ids still grow."""
    clock = FixedClock("2026-01-15T12:00:00Z")
    with Gate.open(policy=policy, store=store_path, create=True, clock=clock, ids=UlidSource()) as gate:
        first = gate.decide({**REFUND, "request_id": "r-1"})
        gate.label(first.decision_id, "success")
        clock.advance(timedelta(hours=-1))
        gate.label(first.decision_id, "failure")
        second = gate.decide({**REFUND, "request_id": "r-2"})
        assert ["2026-01-15T12:00:00.000Z", "2026-01-15T11:00:00.000Z"] == [first.created_at, second.created_at]
        assert first.decision_id < second.decision_id
        assert [second.decision_id, first.decision_id] == [record.decision_id for record in gate.records()]
        assert (Verdict.ESCALATE, 1) == (second.verdict, second.failure_similarity)
        assert gate.replay(second.decision_id).identical


@case("sto-028")
@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00.000Z",
        "1969-07-20T20:17:40.000Z",
        "1970-01-01T00:00:00.000Z",
        "2038-01-19T03:14:08.000Z",
        "9999-12-31T23:59:59.999Z",
    ],
)
@pytest.mark.parametrize("ids", [UlidSource, lambda: SeededIds("clock")])
def test_any_year_is_recorded(
    policy: Policy, store_path: Path, case: str, moment: str, ids: Callable[[], UlidSource | SeededIds]
) -> None:
    """RFC 3339, UTC, milliseconds, and ids that are ULIDs and all different."""
    with Gate.open(policy=policy, store=store_path, create=True, clock=FixedClock(moment), ids=ids()) as gate:
        records = [gate.decide({**REFUND, "request_id": f"r-{number}"}) for number in range(3)]
        gate.label(records[0].decision_id, "success")
        assert {moment} == {record.created_at for record in gate.records()}
        assert 3 == len({record.decision_id for record in records})
        assert gate.replay(records[2].decision_id).identical
    for record in records:
        assert [] == problems("decision_record.v0.schema.json", record.to_dict())


@case("sto-029")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_nobody_else_may_read_the_files(policy: Policy, tmp_path: Path, case: str, mask: int) -> None:
    """Whatever the umask: 0700 for the folder, 0600 for what is in it, the log of an open store included."""
    before = os.umask(mask)
    try:
        with Gate.open(policy=policy, store=tmp_path / ".lumyn" / "lumyn.db", create=True) as gate:
            gate.decide(REFUND)
            files = list((tmp_path / ".lumyn").iterdir())
            assert {"lumyn.db", "lumyn.db-shm", "lumyn.db-wal"} <= {path.name for path in files}
            assert {0o600} == {path.stat().st_mode & 0o777 for path in files}
        assert 0o700 == (tmp_path / ".lumyn").stat().st_mode & 0o777
    finally:
        os.umask(before)


@case("sto-032")
@pytest.mark.parametrize(("version", "warned"), [((3, 51, 2), True), ((3, 51, 3), False)])
def test_defective_sqlite_is_warned_of(
    lumyn: Callable[..., tuple[int, str]],
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    version: tuple[int, ...],
    warned: bool,
) -> None:
    """A version that can damage a file when several processes write."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    code, output = lumyn("doctor")
    assert (ExitCode.OK, warned) == (code, "WAL_RESET_BUG" in output)


@case("sto-035")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors through /proc")
def test_descriptors_do_not_grow(policy: Policy, store_path: Path, case: str) -> None:
    """Neither by deciding, nor by opening and closing, nor by failing."""

    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with Gate.open(policy=policy, store=store_path, create=True, synchronous="NORMAL") as gate:
        gate.decide({**REFUND, "request_id": "first"})
        before = count()
        for number in range(500):
            gate.decide({**REFUND, "request_id": f"r-{number}"})
        assert before == count()
        for _ in range(50):
            gate.close()
            gate.decide(REFUND)
        assert before == count()
    closed = count()
    with Gate.open(policy=policy, store=store_path.with_name("missing.db")) as gate:
        for _ in range(50):
            gate.decide(REFUND)
    assert closed == count()
