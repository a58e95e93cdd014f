"""A storage failure tells its kind and a next step, and neither a file name nor a value."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lumyn.errors import StoreUnavailableError
from lumyn.store import open_store
from lumyn.store.failures import unavailable, unreachable


def failure(code: int, name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("cannot open /home/ann/refunds.db near 'secret'")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


@pytest.mark.parametrize(
    ("name", "detail", "word"),
    [
        ("SQLITE_BUSY", "STORE_LOCKED", "busy_timeout_s"),
        ("SQLITE_BUSY_SNAPSHOT", "STORE_LOCKED", "busy_timeout_s"),
        ("SQLITE_FULL", "STORE_FULL", "room"),
        ("SQLITE_READONLY", "STORE_READ_ONLY", "copy"),
        ("SQLITE_READONLY_DIRECTORY", "STORE_READ_ONLY", "copy"),
        ("SQLITE_CANTOPEN", "STORE_NOT_FOUND", "folder"),
        ("SQLITE_CORRUPT", "STORE_CORRUPT", "lumyn verify"),
        ("SQLITE_NOTADB", "STORE_CORRUPT", "lumyn verify"),
        ("SQLITE_IOERR_SHMSIZE", "STORE_IO_ERROR", "full"),
        ("SQLITE_IOERR_FSYNC", "STORE_IO_ERROR", "full"),
    ],
)
def test_each_kind_has_a_next_step(name: str, detail: str, word: str) -> None:
    found = unavailable(failure(getattr(sqlite3, name), name))
    assert (detail, f"the store failed: {name}") == (found.detail, found.message)
    assert word in str(found.hint)
    assert "refunds" not in str(found)
    assert "secret" not in str(found)


def test_what_is_of_no_kind_is_told_by_its_name() -> None:
    found = unavailable(OverflowError("9" * 30))
    assert ("STORAGE_UNAVAILABLE", "the store failed: OverflowError") == (found.detail, found.message)


def test_a_file_that_cannot_be_reached_has_a_next_step() -> None:
    found = unreachable(PermissionError(13, "Permission denied", "/home/ann/refunds.db"))
    assert "the store cannot be opened: Permission denied" == found.message
    assert "who may read" in str(found.hint)
    assert "refunds" not in str(found)


def test_a_locked_store_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "lumyn.db"
    with (
        closing(open_store(str(path), create=True, busy_timeout_s=0.05)) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError) as caught:
            store.write().__enter__()
    assert "STORE_LOCKED" == caught.value.detail
    assert "fuser" in str(caught.value.hint)
