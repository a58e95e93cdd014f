"""
Whether a store's file could take a decision now, found out without leaving anything in it.
Knows what a full disk does to SQLite; must not know rows.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lumyn.store.waiting import patiently

__all__ = ["probe"]

# A write that is taken back does not reach the disk, so that it succeeds on a full one: SQLite keeps changed pages in
# memory until the commit. With no room for them there it puts them into the log, beyond what is committed, where the
# next writer overwrites them. Nothing is synchronised, no reader sees them, and the log grows by them once.
_STATEMENTS: Final = (
    "PRAGMA cache_size = 1",
    "PRAGMA cache_spill = 1",
    "BEGIN IMMEDIATE",
    "INSERT INTO meta (key, value) VALUES ('probe', hex(zeroblob(32768)))",
    "ROLLBACK",
)


def probe(path: Path, *, until: float) -> None:
    """
    Return when 64 KiB, more than an ordinary decision, found a place in the log of the store at `path`.

    Args:
        until: When to stop waiting for another writer, on the monotonic clock.

    Raises:
        sqlite3.Error: They found none, or the store cannot be written for another reason.
    """
    patiently(lambda: _attempt(path), until=until)


def _attempt(path: Path) -> None:
    # A connection of its own: the one that decides keeps its pages.
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)) as connection:
        for statement in _STATEMENTS:
            connection.execute(statement)
