"""
The write transaction of the SQLite store: one `BEGIN IMMEDIATE` around look-up, memory read and insert.
Links every row into the store's sequence and hash chain; must not know how a file is opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from operator import itemgetter
from types import TracebackType
from typing import Final, NoReturn, Protocol

from lumyn.errors import StoreIntegrityError, StoreUnavailableError
from lumyn.model import MemoryItem
from lumyn.store.base import Event, StoredDecision, StoredKey, StoredPolicy, chain_hash, leaf_hash
from lumyn.store.merkle import HASH_BYTES
from lumyn.store.rows import (
    decision_from_rows,
    event_body,
    event_from_stored,
    memory_body,
    memory_from_row,
    memory_from_rows,
    memory_from_stored,
    policy_row,
    require_leaf,
)
from lumyn.store.waiting import DRIVER_ERRORS

__all__ = [
    "DECISION_BY_ID",
    "DECISION_COLUMNS",
    "EVENTS_OF",
    "MEMORY_AFTER",
    "MEMORY_BY_ID",
    "Host",
    "SqliteTransaction",
]

DECISION_COLUMNS: Final = "seq, decision_id, created_at, tenant_id, action_type, verdict, policy_hash, record, leaf"
DECISION_BY_ID: Final = f"SELECT {DECISION_COLUMNS} FROM decisions WHERE decision_id = ?"  # noqa: S608 - a constant
MEMORY_AFTER: Final = (
    "SELECT seq, body, leaf FROM memory_items WHERE tenant_key = ? AND action_type = ? AND seq > ? ORDER BY seq LIMIT ?"
)
MEMORY_BY_ID: Final = "SELECT seq, body, leaf FROM memory_items WHERE memory_id = ?"
EVENTS_OF: Final = "SELECT seq, body, leaf FROM decision_events WHERE decision_id = ? ORDER BY seq"

_PAGE: Final = 1024
_JOURNAL_TABLES: Final = ("decisions", "decision_events", "memory_items", "policy_snapshots")
_HEAD_SQL: Final = " UNION ALL ".join(
    f"SELECT * FROM (SELECT seq, chain FROM {table} ORDER BY seq DESC LIMIT 1)"  # noqa: S608 - names above
    for table in _JOURNAL_TABLES
)
_KEY_SQL: Final = (
    "SELECT k.request_digest, d.record, d.leaf FROM idempotency_keys k LEFT JOIN decisions d ON d.seq = k.decision_seq "
    "WHERE k.tenant_key = ? AND k.request_id = ?"
)


def _insert(table: str, columns: str) -> str:
    # Every column by its name: where a damaged schema would not let a row be read, it must not let one be written.
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * (columns.count(',') + 1))})"


_INSERT_DECISION: Final = _insert("decisions", f"{DECISION_COLUMNS}, chain")
_INSERT_KEY: Final = _insert("idempotency_keys", "tenant_key, request_id, request_digest, decision_seq")
_INSERT_EVENT: Final = _insert("decision_events", "seq, event_id, decision_id, body, leaf, chain")
_INSERT_MEMORY: Final = _insert("memory_items", "seq, memory_id, tenant_key, action_type, body, leaf, chain")
_INSERT_POLICY: Final = _insert("policy_snapshots", "seq, policy_hash, body, leaf, chain")


class Host(Protocol):
    """The store a transaction runs in."""

    def begin(self) -> sqlite3.Connection:
        """
        Take the store's lock and begin a write transaction; return the connection.

        Raises:
            StoreUnavailableError: It cannot be begun within the store's time-out; the lock is released.
        """

    def end(self) -> None:
        """Release the lock."""

    def drop(self) -> None:
        """Give up a connection that cannot be relied on any more."""

    def data_version(self, db: sqlite3.Connection) -> int:
        """Return a number that changes whenever another connection has written, and is never negative."""

    def fail(self, error: Exception) -> NoReturn:
        """Raise the `StoreUnavailableError` that a failure of the driver stands for."""


class SqliteTransaction:
    """The write transaction of one store; there is one at a time, so the object is reused."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._memory_version = 0
        self._data_version = -1
        self._seq = 0
        self._chain = b""
        self._known_policies: set[str] = set()
        self._pending_policies: list[str] = []
        self._db: sqlite3.Connection | None = None

    def forget(self) -> None:
        """Drop what was remembered of the file: the connection is a new one, or the process is."""
        self._db = None
        self._data_version = -1
        self._memory_version += 1
        self._known_policies.clear()

    def begin_empty(self, genesis: bytes, data_version: int) -> None:
        """Take over that the connection, a new one, was found to hold no row; see `data_version` of the host."""
        self._seq, self._chain = 0, genesis
        self._data_version = data_version

    def __enter__(self) -> SqliteTransaction:
        db = self._host.begin()
        try:
            self._synchronise(db)
        except BaseException as error:  # an interrupt too must roll back and give the lock back
            self._abandon(db, error)
            raise
        self._db = db
        self._pending_policies.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        db = self._connected()
        self._db = None
        try:
            if error is None:
                try:
                    db.execute("COMMIT")
                except BaseException as failure:
                    self._undo(db, failure)
                    raise
                self._known_policies.update(self._pending_policies)
                return
            self._undo(db, error)
        finally:
            self._host.end()

    @property
    def memory_version(self) -> int:
        """A number that changes whenever memory items may have been added."""
        return self._memory_version

    def find_key(self, tenant_id: str | None, request_id: str) -> StoredKey | None:
        """Return what the tenant's `request_id` was used for, or None when it is new."""
        row = self._connected().execute(_KEY_SQL, (tenant_id or "", request_id)).fetchone()
        if row is None:
            return None
        request_digest, record, leaf = row
        if record is None:
            raise StoreIntegrityError("an idempotency key points at no decision")
        require_leaf("decision", record, leaf)
        return StoredKey(request_digest, record)

    def memory_items(self, tenant_id: str | None, action_type: str, *, after_seq: int = 0) -> Iterator[MemoryItem]:
        """Yield the items of one tenant and action with `seq > after_seq`, in `seq` order; few are held at a time."""
        while True:
            # Whole pages: a query left open by whoever stops early would outlive the transaction.
            query = (tenant_id or "", action_type, after_seq, _PAGE)
            rows = self._connected().execute(MEMORY_AFTER, query).fetchall()
            for row in rows:
                item = memory_from_stored(*row)
                after_seq = item.seq
                yield item
            if len(rows) < _PAGE:
                return

    def memory_item(self, memory_id: str) -> MemoryItem:
        """Return one item. Raises `NotFoundError`."""
        return memory_from_rows(self._connected().execute(MEMORY_BY_ID, (memory_id,)).fetchall(), memory_id)

    def decision(self, decision_id: str) -> StoredDecision:
        """Return a stored decision. Raises `NotFoundError`."""
        return decision_from_rows(self._connected().execute(DECISION_BY_ID, (decision_id,)).fetchall(), decision_id)

    def events(self, decision_id: str) -> list[Event]:
        """Return the events of a decision in the order they were appended; may be empty."""
        return [event_from_stored(*row) for row in self._connected().execute(EVENTS_OF, (decision_id,))]

    def append_decision(
        self, decision: StoredDecision, *, request_id: str | None = None, request_digest: str = ""
    ) -> int:
        """Append a decision, and its idempotency key when `request_id` is given; return its `seq`."""
        db = self._connected()
        seq, leaf, chain = self._link(leaf_hash("decision", decision.record_json.encode()))
        db.execute(
            _INSERT_DECISION,
            (
                seq,
                decision.decision_id,
                decision.created_at,
                decision.tenant_id,
                decision.action_type,
                decision.verdict,
                decision.policy_hash,
                decision.record_json,
                leaf,
                chain,
            ),
        )
        if request_id is not None:
            db.execute(_INSERT_KEY, (decision.tenant_id or "", request_id, request_digest, seq))
        return seq

    def append_event(self, event: Event) -> int:
        """Append an event; return the `seq` given to it."""
        body = event_body(event)
        seq, leaf, chain = self._link(leaf_hash("event", body.encode()))
        self._connected().execute(_INSERT_EVENT, (seq, event.event_id, event.decision_id, body, leaf, chain))
        return seq

    def append_memory(self, item: MemoryItem) -> MemoryItem:
        """Append an item; return it as stored."""
        body = memory_body(item)
        seq, leaf, chain = self._link(leaf_hash("memory", body.encode()))
        values = (seq, item.memory_id, item.tenant_id or "", item.action_type, body, leaf, chain)
        self._connected().execute(_INSERT_MEMORY, values)
        self._memory_version += 1
        return memory_from_row(seq, body, leaf)

    def knows_policy(self, policy_hash: str) -> bool:
        """Return whether the text of this policy is known to be kept; False may mean that nobody has looked."""
        return policy_hash in self._known_policies

    def append_policy(self, policy: StoredPolicy) -> None:
        """Keep the text of a policy, once for each hash."""
        db = self._connected()
        known = db.execute("SELECT 1 FROM policy_snapshots WHERE policy_hash = ?", (policy.policy_hash,)).fetchone()
        if known is None:
            body, leaf = policy_row(policy)
            seq, leaf, chain = self._link(leaf)
            db.execute(_INSERT_POLICY, (seq, policy.policy_hash, body, leaf, chain))
        self._pending_policies.append(policy.policy_hash)

    def _link(self, leaf: bytes) -> tuple[int, bytes, bytes]:
        self._seq += 1
        self._chain = chain_hash(self._seq, self._chain, leaf)
        return self._seq, leaf, self._chain

    def _synchronise(self, db: sqlite3.Connection) -> None:
        """Take over what other connections wrote."""
        version = self._host.data_version(db)
        if version == self._data_version:
            return
        seq, chain = max(db.execute(_HEAD_SQL), key=itemgetter(0), default=(0, None))
        if chain is None:
            chain = _genesis(db)
        if not isinstance(chain, bytes) or len(chain) != HASH_BYTES:
            raise StoreIntegrityError("the last row cannot be read back", hint="`lumyn verify` names the damaged rows")
        self._seq, self._chain = seq, chain
        self._memory_version += 1
        self._data_version = version

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreUnavailableError("no write transaction is open")
        return self._db

    def _abandon(self, db: sqlite3.Connection, error: BaseException) -> None:
        try:
            self._undo(db, error)
        finally:
            self._host.end()

    def _undo(self, db: sqlite3.Connection, error: BaseException) -> None:
        """Roll back, and raise the storage failure that `error` stands for when it is one of the driver."""
        self._data_version = -1
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except DRIVER_ERRORS:
            self._host.drop()
        if isinstance(error, DRIVER_ERRORS):
            self._host.fail(error)


def _genesis(db: sqlite3.Connection) -> object:
    row = db.execute("SELECT value FROM meta WHERE key = 'genesis'").fetchone()
    try:
        return bytes.fromhex(row[0])
    except (TypeError, ValueError):
        return None
