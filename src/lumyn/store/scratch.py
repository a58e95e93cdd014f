"""
Stores in memory for work that is thrown away: each begins empty, whatever the one before it held.
Spares the making of tables; must not know what the work is.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from lumyn.store.failures import unavailable
from lumyn.store.files import genesis_hash, initialise
from lumyn.store.inspection import SqliteJournal
from lumyn.store.sqlite import MEMORY_PATH, SqliteStore
from lumyn.store.waiting import DRIVER_ERRORS

if TYPE_CHECKING:
    from lumyn.store.journal import Journal

__all__ = ["ScratchStore"]

_MOST_SPARE: Final = 4
_ONLY_VERSION: Final = 0
_TABLES: Final = ("decisions", "decision_events", "memory_items", "policy_snapshots", "idempotency_keys")
_IS_EMPTY: Final = f"SELECT NOT ({' OR '.join(f'EXISTS (SELECT 1 FROM {table})' for table in _TABLES)})"  # noqa: S608
_WITHIN: Final = {
    "BEGIN IMMEDIATE": "SAVEPOINT work",
    "COMMIT": "RELEASE work",
    "ROLLBACK": "ROLLBACK TO work",
}
"""What a store says to its connection, and what that is inside the transaction that is never committed."""


class ScratchStore(SqliteStore):
    """
    A store in memory that has its tables already.

    All that is written stands in one transaction that is never committed, so that rolling it back leaves an empty
    store. A connection serves one store at a time and is handed on only after `close`, when it was found to be as it
    was made; else it is closed and another is made.
    """

    def __init__(self) -> None:
        super().__init__(MEMORY_PATH)

    def close(self) -> None:
        """Close the store; what it held is lost. A later call finds an empty one."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                _POOL.give(connection)

    def __del__(self) -> None:
        # Whoever did not close it may still hold a cursor: its connection serves nobody else.
        connection = getattr(self, "_connection", None)
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    @contextmanager
    def journal(self, *, locked: bool = False) -> Iterator[Journal]:
        """Open what is stored for reading only; a copy, for SQLite's backup waits for open transactions."""
        with closing(sqlite3.connect(MEMORY_PATH, isolation_level=None)) as copy:
            try:
                with self._exclusively() as until:
                    copy.deserialize(self._open(until).serialize())
            except DRIVER_ERRORS as error:
                raise unavailable(error) from error
            yield SqliteJournal(copy)

    def data_version(self, db: sqlite3.Connection) -> int:
        """Return a constant: a database in memory has one connection."""
        return _ONLY_VERSION

    def _connect(self, until: float) -> sqlite3.Connection:
        connection = self._connection = _POOL.take()
        self._store_id = connection.store_id
        self._file = None
        self._transaction.forget()
        self._transaction.begin_empty(connection.genesis, _ONLY_VERSION)
        return connection


class _Connection(sqlite3.Connection):
    """A connection inside one long transaction; transactions of its user are savepoints in it."""

    store_id = ""
    genesis = b""
    _working = False

    def __del__(self) -> None:
        # One that is used again is older than its store, so that it can go first; Python 3.13 warns of open ones.
        with suppress(sqlite3.Error):
            self.close()

    @property
    def in_transaction(self) -> bool:
        """Whether its user has a transaction open."""
        return self._working

    @property
    def is_whole(self) -> bool:
        """Whether the long transaction is still open: SQLite ends it by itself after some failures."""
        return super().in_transaction

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:  # noqa: ANN401 (as the driver declares it)
        within = _WITHIN.get(sql)
        if within is None:
            return super().execute(sql, *arguments)
        cursor = super().execute(within)
        if sql == "ROLLBACK":
            super().execute("RELEASE work")
        self._working = sql == "BEGIN IMMEDIATE"
        return cursor

    def renew(self) -> bool:
        """Undo everything and begin again; return whether the store is empty then."""
        if self._working or not self.is_whole:
            return False
        super().execute("ROLLBACK")
        self.begin()
        return bool(super().execute(_IS_EMPTY).fetchone()[0])

    def begin(self) -> None:
        """Begin the long transaction."""
        super().execute("BEGIN IMMEDIATE")


class _Pool:
    """Connections that nobody uses, each with an empty store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: list[_Connection] = []

    def take(self) -> _Connection:
        """Return a connection to an empty store."""
        with self._lock:
            if self._spare:
                return self._spare.pop()
        connection = sqlite3.connect(MEMORY_PATH, isolation_level=None, check_same_thread=False, factory=_Connection)
        connection.store_id = initialise(connection)
        connection.genesis = genesis_hash(connection.store_id)
        connection.begin()
        return connection

    def give(self, connection: sqlite3.Connection) -> None:
        """Take a connection back; one that is not as it was made is closed."""
        try:
            if isinstance(connection, _Connection) and connection.renew():
                with self._lock:
                    if len(self._spare) < _MOST_SPARE:
                        self._spare.append(connection)
                        return
        except sqlite3.Error:
            pass  # closed below
        connection.close()


_POOL: Final = _Pool()
