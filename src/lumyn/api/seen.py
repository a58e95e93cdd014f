"""
The ids of signed requests that came lately, so that none is taken twice: not after a restart, nor by another process.
A small SQLite file beside the store; must not know signatures, decisions or the store itself.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lumyn.errors import StoreUnavailableError

__all__ = ["SeenRequests"]

_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS seen (id BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID"
_INDEX: Final = "CREATE INDEX IF NOT EXISTS seen_by_time ON seen (expires_at)"
_INSERT: Final = "INSERT OR IGNORE INTO seen (id, expires_at) VALUES (?, ?)"
_FORGET: Final = "DELETE FROM seen WHERE expires_at < ?"
_SLACK_S: Final = 60
"""Longer than a signature is good for, should the clock be set back."""
_EVERY_S: Final = 60
_BUSY_TIMEOUT_S: Final = 2.0
_MEMORY: Final = ":memory:"


class SeenRequests:
    """
    Remembers ids until the time at which their signatures are too old to be accepted anyway.

    What it remembers survives the process and is shared with every other that uses the file. It is written without
    waiting for the disk: a power failure can lose the last of it.

    Args:
        path: The file, made when it is needed; None keeps the ids in this process only.
        now: Returns the seconds since 1970-01-01T00:00:00Z.
    """

    def __init__(self, path: Path | None, *, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._forget_at = 0.0

    def add(self, request_id: bytes, *, expires_at: int) -> bool:
        """
        Remember an id; return whether it is new.

        Raises:
            StoreUnavailableError: It cannot be remembered, so the request must not be taken.
        """
        with self._opened() as db:
            new = db.execute(_INSERT, (request_id, expires_at + _SLACK_S)).rowcount == 1
            now = self._now()
            if now >= self._forget_at:
                self._forget_at = now + _EVERY_S
                db.execute(_FORGET, (int(now),))
        return new

    def probe(self) -> None:
        """Raise `StoreUnavailableError` unless an id could be remembered now; leaves nothing behind."""
        with self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._drop()

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection or self._open()
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise StoreUnavailableError(
                    "the ids of signed requests cannot be kept",
                    hint="the file is beside the store; it and its folder must be writable",
                ) from error

    def _open(self) -> sqlite3.Connection:
        if self._path is not None:
            # SQLite gives the files it makes beside this one the same rights.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
        db = sqlite3.connect(
            _MEMORY if self._path is None else self._path,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        self._connection = db
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(_SCHEMA)
        db.execute(_INDEX)
        return db

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
