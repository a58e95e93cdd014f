"""
The embedded store: one SQLite file in WAL mode, one connection per process behind a lock.
Raises `StoreUnavailableError` for every storage failure; must not know what a verdict means.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn

from lumyn.errors import NotFoundError, StoreIntegrityError, StoreUnavailableError
from lumyn.model import MemoryItem
from lumyn.store.base import Event, StoredDecision, StoredPolicy
from lumyn.store.failures import unavailable, unreachable
from lumyn.store.files import FileIdentity, create_store, initialise, open_existing
from lumyn.store.forking import watch
from lumyn.store.probing import probe
from lumyn.store.rows import (
    decision_from_rows,
    decision_from_stored,
    event_from_stored,
    memory_from_rows,
    memory_from_stored,
    policy_from_row,
    require_leaf,
)
from lumyn.store.transaction import (
    DECISION_BY_ID,
    DECISION_COLUMNS,
    EVENTS_OF,
    MEMORY_AFTER,
    MEMORY_BY_ID,
    SqliteTransaction,
)
from lumyn.store.waiting import DRIVER_ERRORS, patiently

if TYPE_CHECKING:
    from lumyn.store.base import Transaction
    from lumyn.store.journal import Journal

__all__ = ["SqliteStore"]

MEMORY_PATH: Final = ":memory:"

# Failures after which the connection itself is still good.
_TRANSIENT: Final = frozenset({"STORE_LOCKED", "STORE_FULL", "STORE_READ_ONLY"})

_ABANDONED: list[sqlite3.Connection] = []


class SqliteStore:
    """
    A store in one SQLite file, or in memory.

    Args:
        path: The file, or `:memory:`.
        synchronous: `FULL` or `NORMAL`.
        busy_timeout_s: Longest wait for another writer, in seconds.
        store_id: The identity the file must have; None accepts the one found first and keeps to it.
    """

    def __init__(
        self, path: str, *, synchronous: str = "FULL", busy_timeout_s: float = 2.0, store_id: str | None = None
    ) -> None:
        self._path = path
        self._synchronous = synchronous
        self._busy_timeout_s = busy_timeout_s
        self._store_id = store_id
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: FileIdentity | None = None
        self._transaction = SqliteTransaction(self)
        watch(self)

    @property
    def url(self) -> str:
        """Where it is, as a URL."""
        return f"sqlite:///{self._path}"

    @property
    def path(self) -> Path | None:
        """The file, or None for a store in memory."""
        return None if self._path == MEMORY_PATH else Path(self._path)

    @property
    def store_id(self) -> str:
        """Its identity; opens the store when that is not known yet."""
        if self._store_id is None:
            self.check()
        if self._store_id is None:
            raise StoreIntegrityError("the store has no identity", detail="STORE_IDENTITY_MISMATCH")
        return self._store_id

    def create(self) -> None:
        """
        Create the store if there is none; an existing file is only checked, never replaced.

        Raises:
            StoreUnavailableError: It cannot be created, or what is there is not a usable store.
        """
        path = self.path
        if path is not None:
            try:
                create_store(path)
            except DRIVER_ERRORS as error:
                raise unavailable(error) from error
            except OSError as error:
                raise StoreUnavailableError(
                    f"the store cannot be created: {error.strerror or 'i/o error'}", detail="STORE_NOT_CREATED"
                ) from error
        self.check()

    def check(self) -> None:
        """Open the store if it is not open, and raise `StoreUnavailableError` when it cannot be used."""
        with self._exclusively() as until:
            self._open(until)

    def probe(self) -> None:
        """Raise `StoreUnavailableError` unless a decision could be kept now; leaves nothing behind."""
        with self.write():
            pass
        path = self.path
        if path is not None:
            with self._exclusively() as until:
                try:
                    probe(path, until=until)
                except DRIVER_ERRORS as error:
                    raise unavailable(error) from error

    def close(self) -> None:
        """Close the connection; a later call reopens the file. A store in memory is lost."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def write(self) -> AbstractContextManager[Transaction]:
        """Begin a write transaction; it commits when the block ends and rolls back when it raises."""
        return self._transaction

    def decision(self, decision_id: str) -> StoredDecision:
        """Return one decision. Raises `NotFoundError`."""
        return decision_from_rows(self._read(DECISION_BY_ID, (decision_id,)), decision_id)

    def decision_ids(self, prefix: str, *, limit: int) -> list[str]:
        """Return ids that begin with `prefix`, oldest first, at most `limit`."""
        sql = "SELECT decision_id FROM decisions WHERE decision_id >= ? AND decision_id < ? ORDER BY seq LIMIT ?"
        return self._ids(sql, prefix, limit)

    def decisions(
        self,
        *,
        limit: int,
        before_seq: int | None = None,
        verdict: str | None = None,
        action_type: str | None = None,
        tenant_id: str | None = None,
        since: str | None = None,
    ) -> Iterator[StoredDecision]:
        """Return decisions newest first, read in pages; filters are exact, `since` compares `created_at`."""
        filters: list[tuple[str, str | int]] = []
        if verdict is not None:
            filters.append(("verdict = ?", verdict))
        if action_type is not None:
            filters.append(("action_type = ?", action_type))
        if tenant_id is not None:
            filters.append(("tenant_id = ?", tenant_id))
        if since is not None:
            filters.append(("created_at >= ?", since))
        left = limit
        while left > 0:
            page = filters if before_seq is None else [*filters, ("seq < ?", before_seq)]
            where = f"WHERE {' AND '.join(clause for clause, _ in page)}" if page else ""
            sql = f"SELECT {DECISION_COLUMNS} FROM decisions {where} ORDER BY seq DESC LIMIT ?"  # noqa: S608
            rows = self._read(sql, (*(value for _, value in page), min(left, 500)))
            for row in rows:
                found = decision_from_stored(row)
                before_seq = found.seq
                yield found
            if len(rows) < min(left, 500):
                return
            left -= len(rows)

    def events(self, decision_id: str) -> list[Event]:
        """Return the events of a decision in the order they were appended; may be empty."""
        return [event_from_stored(*row) for row in self._read(EVENTS_OF, (decision_id,))]

    def memory_items(
        self, tenant_id: str | None, action_type: str, *, after_seq: int = 0, limit: int | None = None
    ) -> list[MemoryItem]:
        """Return items of one tenant and action in `seq` order."""
        rows = self._read(MEMORY_AFTER, (tenant_id or "", action_type, after_seq, -1 if limit is None else limit))
        return [memory_from_stored(*row) for row in rows]

    def memory_item(self, memory_id: str) -> MemoryItem:
        """Return one item. Raises `NotFoundError`."""
        return memory_from_rows(self._read(MEMORY_BY_ID, (memory_id,)), memory_id)

    def memory_ids(self, prefix: str, *, limit: int) -> list[str]:
        """Return ids of items that begin with `prefix`, oldest first, at most `limit`."""
        sql = "SELECT memory_id FROM memory_items WHERE memory_id >= ? AND memory_id < ? ORDER BY seq LIMIT ?"
        return self._ids(sql, prefix, limit)

    def policy_hashes(self, prefix: str, *, limit: int) -> list[str]:
        """Return hashes of policies kept that begin with `prefix`, oldest policy first, at most `limit`."""
        sql = "SELECT policy_hash FROM policy_snapshots WHERE policy_hash >= ? AND policy_hash < ? ORDER BY seq LIMIT ?"
        return self._ids(sql, prefix, limit)

    def policy(self, policy_hash: str) -> StoredPolicy:
        """Return the policy text kept under `policy_hash`. Raises `NotFoundError`."""
        rows = self._read("SELECT body, leaf FROM policy_snapshots WHERE policy_hash = ?", (policy_hash,))
        if not rows:
            raise NotFoundError("no policy with this hash is in the store", reason_code="POLICY_NOT_FOUND")
        body, leaf = rows[0]
        require_leaf("policy", body, leaf)
        return policy_from_row(body)

    @contextmanager
    def journal(self, *, locked: bool = False) -> Iterator[Journal]:
        """
        Open what is stored for reading only, apart from the connection that writes; see `lumyn.store.journal`.

        Raises:
            StoreUnavailableError: There is nothing that can be opened.
        """
        from lumyn.store.inspection import SqliteJournal, open_journal

        path = self.path
        with ExitStack() as stack:
            try:
                if path is not None:
                    opened = open_journal(path, locked=locked, busy_timeout_s=self._busy_timeout_s)
                    journal = stack.enter_context(opened)
                else:
                    copy = stack.enter_context(closing(sqlite3.connect(MEMORY_PATH, isolation_level=None)))
                    with self._exclusively() as until:
                        self._open(until).backup(copy)
                    journal = SqliteJournal(copy)
            except OSError as error:
                raise unreachable(error) from error
            except DRIVER_ERRORS as error:
                raise unavailable(error) from error
            try:
                yield journal
            except DRIVER_ERRORS as error:
                raise unavailable(error) from error

    def begin(self) -> sqlite3.Connection:
        """Take the lock and begin a write transaction, both within the time-out; return the connection."""
        until = self._take()
        try:
            db = self._open(until)
            if db.in_transaction:
                raise StoreUnavailableError("a write transaction is already open", detail="STORE_LOCKED")
            try:
                patiently(partial(db.execute, "BEGIN IMMEDIATE"), until=until)
            except BaseException as error:  # an interrupt too must not leave a transaction that nobody ends
                if _has_begun(db):
                    self.drop()
                if isinstance(error, DRIVER_ERRORS):
                    self.fail(error)
                raise
            return db
        except BaseException:  # an interrupt too must give the lock back
            self._lock.release()
            raise

    def end(self) -> None:
        """Release the lock that `begin` took."""
        self._lock.release()

    def drop(self) -> None:
        """Give up a connection that cannot be relied on any more. A store in memory has no other and keeps it."""
        if self._path != MEMORY_PATH:
            with suppress(*DRIVER_ERRORS):
                self.close()

    def data_version(self, db: sqlite3.Connection) -> int:
        """Return a number that stays the same while only this connection writes."""
        version: int = db.execute("PRAGMA data_version").fetchone()[0]
        return version

    def fail(self, error: Exception) -> NoReturn:
        """Raise what a failure of the driver stands for, and drop a connection that cannot be relied on any more."""
        problem = unavailable(error)
        if problem.detail not in _TRANSIENT:
            self.drop()
        raise problem from error

    def _ids(self, sql: str, prefix: str, limit: int) -> list[str]:
        return [str(row[0]) for row in self._read(sql, (prefix, prefix + "\U0010ffff", limit))]

    def _read(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[object, ...]]:
        with self._exclusively() as until:
            db = self._open(until)
            try:
                return patiently(lambda: db.execute(sql, parameters).fetchall(), until=until)
            except DRIVER_ERRORS as error:
                self.fail(error)

    def _take(self) -> float:
        """Take the lock and return when the time-out ends: waiting for threads and for processes is one wait."""
        until = monotonic() + self._busy_timeout_s
        if not self._lock.acquire(timeout=self._busy_timeout_s):
            raise StoreUnavailableError("the store is busy", detail="STORE_LOCKED")
        return until

    @contextmanager
    def _exclusively(self) -> Iterator[float]:
        until = self._take()
        try:
            yield until
        finally:
            self._lock.release()

    def _open(self, until: float) -> sqlite3.Connection:
        """Return the open connection; wait for other processes no longer than `until`. The caller holds the lock."""
        connection = self._connection
        if connection is not None:
            if self._file is None or self._file.is_current():
                return connection
            # The file was moved, replaced or emptied under us: writing on would fill a file nobody sees.
            self.drop()
        try:
            return self._connect(until)
        except DRIVER_ERRORS as error:
            raise unavailable(error) from error
        except OSError as error:
            raise unreachable(error) from error

    def _connect(self, until: float) -> sqlite3.Connection:
        if self._path == MEMORY_PATH:
            connection, self._store_id = memory_connection()
            self._file = None
        else:
            connection, self._file, found_id = open_existing(
                Path(self._path), synchronous=self._synchronous, busy_timeout_s=max(0.0, until - monotonic())
            )
            if self._store_id is not None and found_id != self._store_id:
                connection.close()
                raise StoreUnavailableError(
                    "the store is not the one that was here before",
                    detail="STORE_IDENTITY_MISMATCH",
                    hint="restore the original file, or correct the pinned store id",
                )
            self._store_id = found_id
        self._connection = connection
        self._transaction.forget()
        return connection

    def before_fork(self) -> None:
        """
        Take the lock, so that no transaction is under way, and close the connection.

        SQLite keeps a table of the file locks its process holds. A child inherits the table but not the locks: its own
        connection would rely on locks that nobody holds, and the next process to close the file would remove the log
        from under it, with every record in it.
        """
        self._lock.acquire()
        if self._connection is not None and not self._connection.in_transaction:
            self.drop()

    def after_fork_in_parent(self) -> None:
        """Release the lock that `before_fork` took."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Give a forked child its own lock and connection: SQLite connections must not cross a fork."""
        self._lock = threading.RLock()
        if self._path != MEMORY_PATH and self._connection is not None:
            # Left open by a fork within a transaction. The child keeps the object and never uses or closes it.
            _ABANDONED.append(self._connection)
            self._connection = None
        # Kept, not made anew: its memory version must never come back to a number that a cache has seen.
        self._transaction.forget()


def memory_connection() -> tuple[sqlite3.Connection, str]:
    """Return a connection to a fresh store in memory, and the store's identity."""
    connection = sqlite3.connect(MEMORY_PATH, isolation_level=None, check_same_thread=False)
    return connection, initialise(connection)


def _has_begun(connection: sqlite3.Connection) -> bool:
    """Return whether a transaction is open now: an interrupted BEGIN may have happened."""
    return connection.in_transaction
