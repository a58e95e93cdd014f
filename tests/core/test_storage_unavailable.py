"""Every storage failure ends in `ABSTAIN`, in bounded time; never in an exception, never in `TRUST`."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lumyn import DecisionRecord, Gate, Policy, StoreUnavailableError, Verdict
from lumyn.documents.schema import problems

Refund = Callable[..., dict[str, Any]]


def storage_error(record: DecisionRecord) -> object:
    """The finer code a record carries when it could not be stored."""
    return record.to_dict()["extensions"]["lumyn"].get("storage_error")  # type: ignore[index,call-overload,union-attr]


def assert_unavailable(record: DecisionRecord, detail: str) -> None:
    """The record abstains, says why, is valid, and does not claim to be stored."""
    assert (Verdict.ABSTAIN, ("STORAGE_UNAVAILABLE",)) == (record.verdict, record.reason_codes)
    assert (False, False, detail) == (record.persisted, record.permits, storage_error(record))
    assert [] == problems("decision_record.v0.schema.json", record.to_dict())


def make_store(policy: Policy, path: Path) -> None:
    """Create a store and leave it closed."""
    Gate.open(policy=policy, store=path, create=True).close()


def damage_header(path: Path) -> None:
    path.write_bytes(b"not a database, sorry" + path.read_bytes()[21:])


def set_pragma(path: Path, pragma: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA {pragma}")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("break_it", "detail"),
    [
        (Path.unlink, "STORE_NOT_FOUND"),
        (lambda path: path.write_bytes(b""), "STORE_NOT_INITIALISED"),
        (make_folder, "STORE_NOT_FOUND"),
        (damage_header, "STORE_CORRUPT"),
        (lambda path: os.truncate(path, 5000), "STORE_CORRUPT"),
        (lambda path: set_pragma(path, "user_version = 99"), "STORE_SCHEMA_UNSUPPORTED"),
        (lambda path: set_pragma(path, "application_id = 7"), "STORE_IDENTITY_MISMATCH"),
    ],
)
@pytest.mark.parametrize("opened_before", [False, True])
def test_broken_file_abstains(
    policy: Policy,
    store_path: Path,
    refund: Refund,
    break_it: Callable[[Path], object],
    detail: str,
    opened_before: bool,
) -> None:
    """Whether the file broke before or after it was opened, nothing is decided without it."""
    make_store(policy, store_path)
    with Gate.open(policy=policy, store=store_path, busy_timeout_s=0.1) as gate:
        if opened_before:
            assert gate.decide(refund()).persisted
            gate.close()
        for leftover in ("-wal", "-shm"):
            Path(f"{store_path}{leftover}").unlink(missing_ok=True)
        break_it(store_path)
        assert_unavailable(gate.decide(refund(request_id="after")), detail)


def test_missing_store_is_never_created_by_deciding(policy: Policy, store_path: Path, refund: Refund) -> None:
    """A store that is gone takes its memory with it; an empty one in its place would trust what it should not."""
    with Gate.open(policy=policy, store=store_path) as gate:
        assert_unavailable(gate.decide(refund()), "STORE_NOT_FOUND")
        with pytest.raises(StoreUnavailableError):
            gate.store.check()
    assert not store_path.exists()


def test_create_never_replaces_an_empty_file(policy: Policy, store_path: Path, refund: Refund) -> None:
    """An application that always passes `create=True` must not turn an emptied store into a new one."""
    store_path.parent.mkdir()
    store_path.touch()
    with Gate.open(policy=policy, store=store_path, create=True) as gate:
        assert_unavailable(gate.decide(refund()), "STORE_NOT_INITIALISED")


@pytest.mark.parametrize("how", ["deleted", "replaced", "emptied"])
def test_file_that_changes_under_an_open_gate_abstains(
    policy: Policy, store_path: Path, refund: Refund, tmp_path: Path, how: str
) -> None:
    """An open connection keeps writing to a file nobody sees; that must not count as durable."""
    make_store(policy, store_path)
    make_store(policy, tmp_path / "other.db")
    with Gate.open(policy=policy, store=store_path) as gate:
        assert gate.decide(refund()).persisted
        if how == "deleted":
            store_path.unlink()
        elif how == "replaced":
            shutil.move(tmp_path / "other.db", store_path)
        else:
            os.truncate(store_path, 0)
        record = gate.decide(refund(request_id="r2"))
        assert (Verdict.ABSTAIN, False) == (record.verdict, record.persisted)


def test_pinned_store_id_refuses_another_store(policy: Policy, store_path: Path, refund: Refund) -> None:
    """The workspace says which store is its own."""
    make_store(policy, store_path)
    with Gate.open(policy=policy, store=store_path, store_id="0" * 32) as gate:
        assert_unavailable(gate.decide(refund()), "STORE_IDENTITY_MISMATCH")


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_lock_of_another_process_abstains_within_the_time_out(
    policy: Policy, store_path: Path, refund: Refund, lock: str
) -> None:
    """Waiting is bounded, and the gate works again when the lock is gone."""
    make_store(policy, store_path)
    other = sqlite3.connect(store_path, isolation_level=None)
    other.execute(f"BEGIN {lock}")
    with Gate.open(policy=policy, store=store_path, busy_timeout_s=0.2) as gate:
        start = time.monotonic()
        record = gate.decide(refund())
        assert time.monotonic() - start < 0.2 + 0.5
        assert_unavailable(record, "STORE_LOCKED")
        other.execute("ROLLBACK")
        other.close()
        assert Verdict.TRUST is gate.decide(refund()).verdict


def test_full_disk_abstains_and_keeps_what_was_there(policy: Policy, store_path: Path, refund: Refund) -> None:
    """SQLITE_FULL on the insert is a storage failure like any other."""
    make_store(policy, store_path)
    with Gate.open(policy=policy, store=store_path) as gate:
        first = gate.decide(refund())
        connection = gate.store._connection  # type: ignore[attr-defined]  # the limit belongs to the connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        records = [gate.decide(refund(request_id=f"r{n}")) for n in range(30)]
        assert_unavailable(records[-1], "STORE_FULL")
        stored = [record.decision_id for record in records if record.persisted]
        assert [first.decision_id, *stored] == [r.decision_id for r in reversed(gate.records(limit=100))]


def test_commit_that_failed_after_it_happened_returns_the_stored_record(
    policy: Policy, store_path: Path, refund: Refund
) -> None:
    """An exception out of COMMIT does not say whether the row is there; the store does."""
    make_store(policy, store_path)
    gate = Gate.open(policy=policy, store=store_path)
    transaction_type = type(gate.store.write())
    original = transaction_type.__exit__

    def commit_then_fail(self: Any, *details: Any) -> None:
        original(self, *details)
        raise StoreUnavailableError("interrupted")

    with pytest.MonkeyPatch.context() as patch, gate:
        patch.setattr(transaction_type, "__exit__", commit_then_fail)
        record = gate.decide(refund())
        assert (Verdict.TRUST, True) == (record.verdict, record.persisted)
        assert record == gate.record(record.decision_id)


def test_damaged_memory_row_abstains(policy: Policy, store_path: Path, refund: Refund) -> None:
    """Memory that cannot be read back is not empty memory."""
    make_store(policy, store_path)
    with Gate.open(policy=policy, store=store_path) as gate:
        gate.label(gate.decide(refund()).decision_id, "failure")
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER memory_no_update")
        connection.execute("UPDATE memory_items SET body = '{'")
    with Gate.open(policy=policy, store=store_path) as gate:
        assert_unavailable(gate.decide(refund(request_id="r2")), "STORE_INTEGRITY_FAILED")


def test_damaged_record_behind_a_used_request_id_abstains(policy: Policy, store_path: Path, refund: Refund) -> None:
    """A retry whose stored answer cannot be read is not decided anew."""
    make_store(policy, store_path)
    with Gate.open(policy=policy, store=store_path) as gate:
        gate.decide(refund())
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER decisions_no_update")
        connection.execute("UPDATE decisions SET record = 'x'")
    with Gate.open(policy=policy, store=store_path) as gate:
        assert_unavailable(gate.decide(refund()), "STORE_INTEGRITY_FAILED")
