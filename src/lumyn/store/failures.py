"""
What a failure of SQLite or of the operating system stands for, and what to do about it.
Names no file and no value; must not know what was being done.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from lumyn.errors import StoreUnavailableError

__all__ = ["unavailable", "unreachable"]

_DETAILS: Final = {
    sqlite3.SQLITE_BUSY: "STORE_LOCKED",
    sqlite3.SQLITE_LOCKED: "STORE_LOCKED",
    sqlite3.SQLITE_FULL: "STORE_FULL",
    sqlite3.SQLITE_READONLY: "STORE_READ_ONLY",
    sqlite3.SQLITE_CANTOPEN: "STORE_NOT_FOUND",
    sqlite3.SQLITE_CORRUPT: "STORE_CORRUPT",
    sqlite3.SQLITE_NOTADB: "STORE_CORRUPT",
    sqlite3.SQLITE_IOERR: "STORE_IO_ERROR",
}

_HINTS: Final[Mapping[str, str]] = {
    "STORE_LOCKED": "another process holds the store: see who with `fuser`, or raise `store.busy_timeout_s`",
    "STORE_FULL": "make room on the disk of the store",
    "STORE_READ_ONLY": "let the store and its folder be written, or copy it, with its `-wal`, to where it can be",
    # The file itself was there a moment ago.
    "STORE_NOT_FOUND": "let the file and its folder be read and written, for a log is kept beside it; or copy it",
    "STORE_CORRUPT": "`lumyn verify` names the damage; restore the store from a copy",
    "STORE_IO_ERROR": "see whether its disk is full or failing, and whether its folder can be written",
}


def unavailable(error: Exception) -> StoreUnavailableError:
    """Return the storage error that `error` of the driver stands for; names no file and no value."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    detail = _DETAILS.get(code & 0xFF, "STORAGE_UNAVAILABLE")
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return StoreUnavailableError(f"the store failed: {name}", detail=detail, hint=_HINTS.get(detail))


def unreachable(error: OSError) -> StoreUnavailableError:
    """Return the storage error for a file that the operating system does not let us reach."""
    message = f"the store cannot be opened: {error.strerror or 'i/o error'}"
    hint = "see who may read and write the store and the folders above it"
    return StoreUnavailableError(message, detail="STORE_NOT_FOUND", hint=hint)
