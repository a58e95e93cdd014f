"""
Reads a SQLite store for inspection: opened for reading only, its text as bytes, and nothing in it taken on trust.
Says what is wrong below the rows; must not know how rows are linked or what they mean.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lumyn.errors import StoreIntegrityError
from lumyn.store.files import APPLICATION_ID, SCHEMA_VERSION, companion, genesis_hash, initialise, regular_file
from lumyn.store.journal import KEYS_TABLE, TABLES, Finding, JournalRow, KeyRow

__all__ = ["SqliteJournal", "open_journal", "schema_of"]

_MAX_DAMAGES: Final = 20
_STORE_ID: Final = re.compile(rb"[0-9a-f]{32}")
_META_KEYS: Final = {b"store_id", b"genesis"}
# What SQLite reports for content that cannot be what was written, as opposed to a file that cannot be reached.
_DAMAGE_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_NOTADB,
    }
)
# UnicodeError: the driver cannot decode a message that quotes damaged names.
_READ_ERRORS: Final = (sqlite3.Error, UnicodeError)
_DAMAGE_EXTENDED: Final = frozenset({sqlite3.SQLITE_IOERR_SHORT_READ})

Schema = dict[tuple[str, str], str]
"""Kind and name of each object of a schema -> its SQL, without regard to white space."""


@contextmanager
def open_journal(path: Path, *, locked: bool = False, busy_timeout_s: float = 2.0) -> Iterator[SqliteJournal]:
    """
    Open the store file at `path` for inspection, as it is at this moment.

    Nothing is written, and no file is made beside one that was closed. A store with a write-ahead log, because it is
    in use or was not closed, is read through the log, in one read transaction; SQLite makes the log's index, `-shm`, if
    it is missing.

    Args:
        locked: Whether to take SQLite's locks in any case, which can leave an empty log beside the file.

    Raises:
        StoreUnavailableError: The file is missing or empty.
        OSError: The file cannot be reached.
        sqlite3.Error: SQLite cannot open it.
    """
    regular_file(path)
    # Without a log nobody has the store open. SQLite would make one even for reading; `immutable` keeps it from that.
    immutable = not locked and not os.path.lexists(companion(path, "-wal"))
    options = "mode=ro&immutable=1" if immutable else "mode=ro"
    before = _signature(path)
    with closing(
        sqlite3.connect(
            f"file:{quote(os.fsencode(path.absolute()))}?{options}",
            uri=True,
            isolation_level=None,
            timeout=busy_timeout_s,
        )
    ) as connection:
        yield SqliteJournal(connection, path=path, unlocked_signature=before if immutable else None)


class SqliteJournal:
    """
    The journal of one SQLite database; see `lumyn.store.journal.Journal`.

    Args:
        connection: Used by nobody else; its settings are changed, and a read transaction is left open on it.
        path: The file, or None for a database in memory.
        unlocked_signature: What the file was when it was opened without locks, or None when locks are held.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        path: Path | None = None,
        unlocked_signature: tuple[int, ...] | None = None,
    ) -> None:
        self.store_id = ""
        self.genesis = b""
        self.readable = False
        self._connection = connection
        self._path = path
        self._signature = unlocked_signature
        self._wrong: list[Finding] = []
        connection.text_factory = bytes
        try:
            for pragma in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN")
            self._recognise()
        except _READ_ERRORS as error:
            if not _is_damage(error):
                raise
            self.readable = False
            self._wrong.append(_damage(str(error)))

    def identity(self) -> Iterator[Finding]:
        """Yield what is wrong with what the store says it is, and with who may touch it."""
        yield from self._wrong
        if self._path is not None and os.name == "posix":
            yield from _weak_modes(self._path)

    def structure(self) -> Iterator[Finding]:
        """Yield what is wrong with the database below the rows: damage, and tables and triggers that differ."""
        if not self.readable:
            return
        try:
            for (text,) in self._connection.execute(f"PRAGMA integrity_check({_MAX_DAMAGES})"):
                if text != b"ok":
                    yield from (_damage(line) for line in text.decode("utf-8", "replace").splitlines())
            yield from _schema_changes(schema_of(self._connection))
        except _READ_ERRORS as error:
            if not _is_damage(error):
                raise
            yield _damage(str(error))

    def count(self) -> int:
        """Return about how many rows there are."""
        heads = " UNION ALL ".join(f"SELECT max(seq) FROM {table.name}" for table in TABLES.values())
        try:
            return max((row[0] for row in self._connection.execute(heads) if row[0] is not None), default=0)
        except _READ_ERRORS:
            return 0

    def rows(self) -> Iterator[JournalRow]:
        """Yield all rows by `seq`. Raises `StoreIntegrityError` where the database is too damaged to go on."""
        with _damage_as_error():
            yield from merge(*(self._rows_of(kind) for kind in TABLES), key=itemgetter(0))

    def keys(self) -> Iterator[KeyRow]:
        """Yield all idempotency keys by `decision_seq`. Raises `StoreIntegrityError` like `rows`."""
        sql = f"SELECT {', '.join(KeyRow._fields)} FROM {KEYS_TABLE} ORDER BY decision_seq"
        with _damage_as_error():
            # Through `map`: a cursor that is delegated to is closed by a reader that stops early, maybe too late.
            yield from map(KeyRow._make, self._connection.execute(sql))

    def disturbed(self) -> bool:
        """Return whether somebody may have written while this was read, so that findings may be mistaken."""
        if self._signature is None or self._path is None:
            return False
        return os.path.lexists(companion(self._path, "-wal")) or _signature(self._path) != self._signature

    def _rows_of(self, kind: str) -> sqlite3.Cursor:
        table = TABLES[kind]
        cursor = self._connection.cursor()
        cursor.row_factory = lambda _, row: JournalRow(row[0], kind, row[1], row[2], row[3], row[4:])
        columns = ", ".join(table.projections)
        return cursor.execute(f"SELECT seq, {table.body}, leaf, chain, {columns} FROM {table.name} ORDER BY seq")

    def _recognise(self) -> None:
        """Find out what the database says it is."""
        application_id = self._connection.execute("PRAGMA application_id").fetchone()[0]
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if application_id != APPLICATION_ID:
            self._wrong.append(_mismatch("the file is not a Lumyn store"))
            return
        if version != SCHEMA_VERSION:
            message = f"the store has schema version {version}, this version of Lumyn verifies {SCHEMA_VERSION}"
            hint = "verify it with the version of Lumyn that wrote it"
            self._wrong.append(Finding(code="STORE_SCHEMA_UNSUPPORTED", message=message, hint=hint))
            return
        known = schema_of(self._connection)
        missing = [name for kind, name in _expected_schema() if kind == "table" and (kind, name) not in known]
        for name in missing:
            self._wrong.append(Finding(code="SCHEMA_CHANGED", message="the table is missing", table=name))
        if missing:
            return
        self.readable = True
        meta = dict(self._connection.execute("SELECT key, value FROM meta"))
        store_id, genesis = meta.get(b"store_id"), meta.get(b"genesis")
        if isinstance(store_id, bytes) and _STORE_ID.fullmatch(store_id):
            self.store_id = store_id.decode()
        else:
            self._wrong.append(_mismatch("the store has no identity"))
        if genesis != genesis_hash(self.store_id).hex().encode():
            self._wrong.append(_mismatch("the start of the chain is not that of this store"))
        if meta.keys() - _META_KEYS:
            self._wrong.append(_mismatch("`meta` holds more than this version writes"))
        with suppress(ValueError):
            self.genesis = bytes.fromhex(genesis.decode("ascii")) if isinstance(genesis, bytes) else b""


def schema_of(connection: sqlite3.Connection) -> Schema:
    """Return the tables, indexes and triggers of a database; SQLite's own statistics aside."""
    rows = connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema")
    found: Schema = {}
    for row in rows:
        kind, name, table, sql = (
            value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in row
        )
        if not name.startswith("sqlite_stat"):
            # `ALTER TABLE ADD COLUMN` leaves other white space behind than `CREATE TABLE` has.
            text = re.sub(r"\s*([(),;])\s*", r"\1", " ".join(sql.split()))
            found[kind, name] = f"{table}: {text}"
    return found


@lru_cache(maxsize=1)
def _expected_schema() -> Schema:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        initialise(connection)
        return schema_of(connection)


def _schema_changes(found: Schema) -> Iterator[Finding]:
    expected = _expected_schema()
    hint = "restore the store from a copy; triggers and indexes alone can be made again from `store/schema.sql`"
    for kind, name in sorted(expected.keys() | found.keys()):
        key = (kind, name)
        if key not in found:
            code = "TRIGGER_MISSING" if kind == "trigger" else "SCHEMA_CHANGED"
            yield Finding(code=code, message=f"the {kind} `{name}` is missing", table=_table(expected[key]), hint=hint)
        elif key not in expected:
            message = f"the {kind} `{name}` does not belong here"
            yield Finding(code="SCHEMA_CHANGED", message=message, table=_table(found[key]))
        elif expected[key] != found[key]:
            message = f"the {kind} `{name}` is not as this version makes it"
            yield Finding(code="SCHEMA_CHANGED", message=message, table=_table(expected[key]), hint=hint)


def _table(entry: str) -> str:
    return entry.partition(":")[0]


def _weak_modes(path: Path) -> Iterator[Finding]:
    for file in (path, *(Path(companion(path, ending)) for ending in ("-wal", "-shm"))):
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            message = f"`{file.name}` has mode {mode:04o}: others than its owner may read or write it"
            yield Finding(code="FILE_MODE_WEAK", message=message, hint=f"`chmod 600 {file.name}`")
    folder = path.absolute().parent
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        message = f"the folder of the store has mode {mode:04o}: anybody may put another file in its place"
        yield Finding(code="FILE_MODE_WEAK", message=message, hint="`chmod 700` the folder")


def _signature(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _damage_as_error() -> Iterator[None]:
    try:
        yield
    except _READ_ERRORS as error:
        if not _is_damage(error):
            raise
        raise StoreIntegrityError(f"the database is damaged: {error}", detail="STORE_CORRUPT") from None


def _is_damage(error: Exception) -> bool:
    if isinstance(error, UnicodeError):
        return True
    code = getattr(error, "sqlite_errorcode", 0) or 0
    return code & 0xFF in _DAMAGE_CODES or code in _DAMAGE_EXTENDED


def _damage(text: str) -> Finding:
    hint = "restore the store from a copy, and keep this file: `sqlite3 FILE .recover` may still read it"
    return Finding(code="DB_CORRUPT", message=f"the database is damaged: {text}", hint=hint)


def _mismatch(message: str) -> Finding:
    hint = "the file was changed or swapped; restore the original"
    return Finding(code="STORE_IDENTITY_MISMATCH", message=message, hint=hint)
