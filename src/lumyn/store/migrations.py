"""
Brings a store of an earlier schema to the current one: forward only, one transaction for each version.
Changes the layout and never the history; must not know how a store is opened or used.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lumyn.errors import StoreIntegrityError

__all__ = ["MIGRATIONS", "Migration", "can_migrate", "migrate"]

_TRANSACTION: Final = re.compile(r"\s*(BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
_HISTORY: Final = " UNION ALL ".join(
    f"SELECT '{table}', count(*), max(seq), (SELECT chain FROM {table} ORDER BY seq DESC LIMIT 1) FROM {table}"
    for table in ("decisions", "decision_events", "memory_items", "policy_snapshots")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """
    The step from one schema version to the next.

    The tables it leaves behind must have the text that `schema.sql` of the next version gives them, white space aside:
    `lumyn verify` compares. Bodies, leaves and chain hashes stay as they are.

    Attributes:
        summary: What changes, in a line.
        statements: SQL, one statement each; none begins or ends a transaction.
    """

    summary: str
    statements: tuple[str, ...]

    def __post_init__(self) -> None:
        for statement in self.statements:
            if _TRANSACTION.match(statement):
                raise ValueError("a step of a migration neither begins nor ends a transaction")


MIGRATIONS: Final[Mapping[int, Migration]] = {}
"""Schema version -> the step to the version after it. Version 1 is the first, so there is none yet."""


def can_migrate(version: int, target: int, *, migrations: Mapping[int, Migration] = MIGRATIONS) -> bool:
    """Return whether there is a step for every version from `version` up to `target`, which is greater."""
    return version < target and all(step in migrations for step in range(version, target))


def migrate(
    connection: sqlite3.Connection, target: int, *, migrations: Mapping[int, Migration] = MIGRATIONS
) -> tuple[int, ...]:
    """
    Bring the store behind `connection` to schema version `target`.

    Each step is one transaction: whatever interrupts it, the store has the old layout or the new one. Two processes may
    try at once; the second finds the work done.

    Args:
        connection: In autocommit mode, with no transaction open.

    Returns:
        The versions that were left behind, in order; empty when there was nothing to do.

    Raises:
        StoreIntegrityError: A step would change the history; it was taken back.
        sqlite3.Error: A step failed and was taken back, or the store is in use.
    """
    left: list[int] = []
    # Tables that others refer to can only be made anew while this is off, and it cannot be turned off in a transaction.
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        while (version := _version(connection)) < target:
            if _step(connection, version, migrations):
                left.append(version)
    finally:
        connection.execute("PRAGMA foreign_keys = ON")
    return tuple(left)


def _step(connection: sqlite3.Connection, version: int, migrations: Mapping[int, Migration]) -> bool:
    """Take the step from `version` and return whether it was this process that took it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) != version:
            connection.execute("ROLLBACK")
            return False
        history = connection.execute(_HISTORY).fetchall()
        for statement in migrations[version].statements:
            connection.execute(statement)
        if connection.execute(_HISTORY).fetchall() != history:
            raise StoreIntegrityError(f"migration {version} would change the history of the store")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StoreIntegrityError(f"migration {version} would leave references that lead nowhere")
        connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")
    except BaseException:  # an interrupt too must leave the old schema whole
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return True


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
