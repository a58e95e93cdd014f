"""
How a SQLite store file is made, recognised and opened.
A file is created whole or not at all; must not know what the tables hold.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lumyn.errors import StoreUnavailableError

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "FileIdentity",
    "companion",
    "create_store",
    "genesis_hash",
    "initialise",
    "open_existing",
    "regular_file",
]

APPLICATION_ID: Final = 0x4C554D59
"""`LUMY` in ASCII: SQLite's header field that tells whose file this is."""

SCHEMA_VERSION: Final = 1
"""SQLite's `user_version`; a file with a greater one was written by a newer Lumyn."""

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Which file a connection has open."""

    path: str
    device: int
    inode: int
    log_path: str
    log_inode: int | None

    def is_current(self) -> bool:
        """
        Return whether the path still leads to this file and this write-ahead log, and the file is not empty.

        While a connection is open its log is neither removed nor replaced, unless by someone who should not: what is
        appended to a log that lost its name is seen by nobody and gone with the process.
        """
        try:
            found = os.stat(self.path)  # noqa: PTH116 - on the path of every decision
            if found.st_ino != self.inode or found.st_dev != self.device or found.st_size == 0:
                return False
            return self.log_inode is None or os.stat(self.log_path).st_ino == self.log_inode  # noqa: PTH116
        except (OSError, ValueError):
            return False


def create_store(path: Path) -> None:
    """
    Create a store at `path` unless a file is there.

    The file is built beside its place and linked into it, so that a crash or a second process leaves a whole store
    or none.

    Raises:
        OSError: The folder or file cannot be made.
        sqlite3.Error: The tables cannot be made.
    """
    import secrets

    if path.exists():
        return
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, _FILE_MODE))
    try:
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            initialise(connection)
            # Closing would do it too, and say nothing of a disk that is full; the log is not kept.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError:
            # Some file systems have no hard links; there a rename is as whole, if less careful about a race.
            if path.exists():
                return
            draft.rename(path)
    finally:
        for leftover in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
            leftover.unlink(missing_ok=True)


def initialise(connection: sqlite3.Connection) -> str:
    """Make the tables in an empty database and return the new store's identity."""
    import secrets

    store_id = secrets.token_hex(16)
    genesis = genesis_hash(store_id).hex()
    schema = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    connection.executescript(
        f"BEGIN IMMEDIATE; {schema} "
        f"INSERT INTO meta VALUES ('store_id', '{store_id}'), ('genesis', '{genesis}'); "
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )
    _configure(connection, synchronous="FULL")
    return store_id


def genesis_hash(store_id: str) -> bytes:
    """Return the 32-byte hash that the first row of a store is linked to."""
    return sha256(f"lumyn.genesis\0{store_id}".encode()).digest()


def open_existing(
    path: Path, *, synchronous: str, busy_timeout_s: float
) -> tuple[sqlite3.Connection, FileIdentity, str]:
    """
    Open an existing store; one of an earlier schema version is brought to the current one first.

    Returns:
        The connection, which file it has open, and the store's identity.

    Raises:
        StoreUnavailableError: The file is missing, empty, not a Lumyn store, or newer than this version.
        OSError: The file cannot be reached.
        sqlite3.Error: SQLite cannot open it.
    """
    found = regular_file(path)
    # Bytes, for a name need not be text in any encoding.
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=busy_timeout_s)
    try:
        version = _recognise(connection)
        _configure(connection, synchronous=synchronous)
        if version != SCHEMA_VERSION:
            from lumyn.store.migrations import migrate

            migrate(connection, SCHEMA_VERSION)
        row = connection.execute("SELECT value FROM meta WHERE key = 'store_id'").fetchone()
        if row is None:
            raise StoreUnavailableError("the store has no identity", detail="STORE_IDENTITY_MISMATCH")
        identity = _identity(path, found)
        # From here on the store itself waits; see `lumyn.store.waiting`.
        connection.execute("PRAGMA busy_timeout = 0")
    except BaseException:  # an interrupt too must not leave the connection open
        connection.close()
        raise
    return connection, identity, str(row[0])


def _identity(path: Path, found: os.stat_result) -> FileIdentity:
    """Return the identity of a file that a connection has just read, so that its write-ahead log exists."""
    log_path = companion(path, "-wal")
    try:
        log_inode = os.stat(log_path).st_ino
    except FileNotFoundError:
        log_inode = None
    return FileIdentity(str(path), found.st_dev, found.st_ino, log_path, log_inode)


def companion(path: Path, ending: str) -> str:
    """Return where SQLite keeps a store's log (`-wal`) or its index (`-shm`): beside the file, not beside a link."""
    return os.path.realpath(path) + ending


def regular_file(path: Path) -> os.stat_result:
    """
    Return what is at `path`, which must be a file with content.

    Raises:
        StoreUnavailableError: It is missing, empty, or something else.
        OSError: It cannot be reached.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise StoreUnavailableError(
            "there is no store here",
            detail="STORE_NOT_FOUND",
            hint="`lumyn init` creates one; restore the file if there was one before",
        ) from None
    if not stat.S_ISREG(found.st_mode):
        raise StoreUnavailableError("the store is not a regular file", detail="STORE_NOT_FOUND")
    if found.st_size == 0:
        raise StoreUnavailableError(
            "the store file is empty",
            detail="STORE_NOT_INITIALISED",
            hint="restore the file: a store that lost its memory must not decide",
        )
    return found


def _recognise(connection: sqlite3.Connection) -> int:
    """Return the schema version of a store that this version of Lumyn can work with."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StoreUnavailableError("the file is not a Lumyn store", detail="STORE_IDENTITY_MISMATCH")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        from lumyn.store.migrations import can_migrate

        if not can_migrate(version, SCHEMA_VERSION):
            raise StoreUnavailableError(
                f"the store has schema version {version}, this version of Lumyn reads {SCHEMA_VERSION}",
                detail="STORE_SCHEMA_UNSUPPORTED",
                hint="use the version of Lumyn that wrote it",
            )
    return version


def _configure(connection: sqlite3.Connection, *, synchronous: str) -> None:
    # trusted_schema and cell_size_check: SQLite's advice for files that others can write (sqlite.org/security.html).
    # wal_autocheckpoint: the two syncs of a checkpoint are shared by four times as many commits as by default, for a
    # log of up to about 16 MiB.
    for pragma in (
        f"synchronous = {synchronous}",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "wal_autocheckpoint = 4000",
    ):
        connection.execute(f"PRAGMA {pragma}")
