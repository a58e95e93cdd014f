"""
How a SQLite store file is made, recognised and opened.
A file is created whole or not at all; must not know what the tables hold.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lumyn.errors import StoreUnavailableError

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "FileIdentity",
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

    def is_current(self) -> bool:
        """Return whether the path still leads to this file, and the file is not empty."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - on the path of every decision
        except (OSError, ValueError):
            return False
        return found.st_ino == self.inode and found.st_dev == self.device and found.st_size > 0


def create_store(path: Path) -> None:
    """
    Create a store at `path` unless a file is there.

    The file is built beside its place and linked into it, so that a crash or a second process leaves a whole store
    or none.

    Raises:
        OSError: The folder or file cannot be made.
        sqlite3.Error: The tables cannot be made.
    """
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
    store_id = secrets.token_hex(16)
    genesis = genesis_hash(store_id).hex()
    schema = files("lumyn.store").joinpath("schema.sql").read_text(encoding="utf-8")
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
    Open an existing store.

    Returns:
        The connection, which file it has open, and the store's identity.

    Raises:
        StoreUnavailableError: The file is missing, empty, not a Lumyn store, or newer than this version.
        OSError: The file cannot be reached.
        sqlite3.Error: SQLite cannot open it.
    """
    found = regular_file(path)
    uri = f"file:{quote(str(path.absolute()))}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=busy_timeout_s)
    try:
        _recognise(connection)
        _configure(connection, synchronous=synchronous)
        row = connection.execute("SELECT value FROM meta WHERE key = 'store_id'").fetchone()
        if row is None:
            raise StoreUnavailableError("the store has no identity", detail="STORE_IDENTITY_MISMATCH")
    except BaseException:
        connection.close()
        raise
    return connection, FileIdentity(str(path), found.st_dev, found.st_ino), str(row[0])


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


def _recognise(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StoreUnavailableError("the file is not a Lumyn store", detail="STORE_IDENTITY_MISMATCH")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise StoreUnavailableError(
            f"the store has schema version {version}, this version of Lumyn reads {SCHEMA_VERSION}",
            detail="STORE_SCHEMA_UNSUPPORTED",
            hint="use the version of Lumyn that wrote it",
        )


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
