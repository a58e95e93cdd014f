"""
Reads a store file without Lumyn's store: every row in order, every hash recomputed, every pair that belongs together.
Shares nothing with the code under test but the two hash functions that define the format.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from operator import itemgetter
from pathlib import Path
from typing import Any

from lumyn.store.base import chain_hash, leaf_hash

SOURCES = {
    "policy": ("policy_snapshots", "policy_hash", "body"),
    "decision": ("decisions", "decision_id", "record"),
    "event": ("decision_events", "event_id", "body"),
    "memory": ("memory_items", "memory_id", "body"),
}


SCHEMA_SQL = "SELECT type, name, tbl_name, sql FROM sqlite_schema"


@cache
def _schema() -> list[Any]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(files("lumyn.store").joinpath("schema.sql").read_text(encoding="utf-8"))
        return sorted(connection.execute(SCHEMA_SQL), key=str)


@dataclass
class Found:
    """
    What a store file holds.

    Attributes:
        records: Decision id -> record, as stored.
        keys: (tenant, request id) -> decision id.
        memory: Memory ids in order.
        events: Event ids in order.
        broken: What contradicts the chain or SQLite's own check; empty when the file is sound.
        torn: Halves of what is written together: a decision without its key, a label without its experience, ...
    """

    records: dict[str, str] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    memory: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.broken and not self.torn


def read(path: Path) -> Found:
    """Return what the store file at `path` holds, with all that is wrong with it. Closes what it opens."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return read_open(connection)


def read_open(connection: sqlite3.Connection) -> Found:
    """Return what an open store holds, in one read transaction; damage is reported, never raised."""
    found = Found()
    # Bytes that are not text are kept as they are, so that one damaged row does not hide the others.
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    with suppress(sqlite3.Error, UnicodeError):
        connection.execute("BEGIN")
    for row in _rows(connection, "PRAGMA integrity_check", found):
        if row[0] != "ok":
            found.broken.append(f"integrity_check: {row[0]}")
    if sorted(_rows(connection, SCHEMA_SQL, found), key=str) != _schema():
        found.broken.append("schema")
    _walk(connection, found)
    with suppress(sqlite3.Error, UnicodeError):
        connection.execute("COMMIT")
    return found


def _rows(connection: sqlite3.Connection, sql: str, found: Found) -> list[Any]:
    """Return the rows of a query as far as they can be read."""
    rows = []
    try:
        for row in connection.execute(sql):
            rows.append(row)
    except (sqlite3.Error, UnicodeError) as error:
        found.broken.append(f"{type(error).__name__}: {error}")
    return rows


def _walk(connection: sqlite3.Connection, found: Found) -> None:
    rows = sorted(
        (
            (row[0], kind, *row[1:])
            for kind, (table, id_column, body_column) in SOURCES.items()
            for row in _rows(
                connection, f"SELECT seq, {id_column}, {body_column}, leaf, chain FROM {table} NOT INDEXED", found
            )
        ),
        key=itemgetter(0),
    )
    meta = dict(_rows(connection, "SELECT key, value FROM meta", found))
    previous = sha256(f"lumyn.genesis\0{meta.get('store_id')}".encode("utf-8", "surrogateescape")).digest()
    if meta.get("genesis") != previous.hex():
        found.broken.append("genesis")
    bodies: dict[str, dict[str, Any]] = {kind: {} for kind in SOURCES}
    decision_at: dict[int, str] = {}
    for expected, (seq, kind, row_id, body, leaf, chain) in enumerate(rows, 1):
        if seq != expected:
            found.broken.append(f"seq {seq} where {expected} belongs")
        if leaf != leaf_hash(kind, str(body).encode("utf-8", "surrogateescape")):
            found.broken.append(f"leaf of {seq}")
        previous = chain_hash(seq, previous, leaf if isinstance(leaf, bytes) else b"")
        if chain != previous:
            found.broken.append(f"chain of {seq}")
        try:
            bodies[kind][row_id] = json.loads(body)
        except (TypeError, ValueError):
            found.broken.append(f"body of {seq}")
            continue
        if kind == "decision":
            found.records[row_id] = body
            decision_at[seq] = row_id
    found.memory = list(bodies["memory"])
    found.events = list(bodies["event"])
    keys = "SELECT tenant_key, request_id, decision_seq FROM idempotency_keys"
    for tenant, request_id, seq in _rows(connection, keys, found):
        if seq in decision_at:
            found.keys[tenant, request_id] = decision_at[seq]
        else:
            found.torn.append(f"key `{request_id}` without its decision")
    if not found.broken:
        _pair(found, bodies)


def _pair(found: Found, bodies: dict[str, dict[str, Any]]) -> None:
    keyed = set(found.keys.values())
    for decision_id, record in bodies["decision"].items():
        if record["request"].get("request_id") is not None and decision_id not in keyed:
            found.torn.append(f"decision {decision_id} without its key")
        if record["policy"]["policy_hash"] not in bodies["policy"]:
            found.torn.append(f"decision {decision_id} without its policy")
    told = [event["data"] for event in bodies["event"].values() if event["type"] in {"label", "retraction"}]
    labelled = {data["memory_id"] for data in told}
    learnt = {key for key, item in bodies["memory"].items() if item["source_decision_id"] is not None}
    found.torn.extend(f"label without its experience {key}" for key in sorted(labelled - learnt))
    found.torn.extend(f"experience {key} without its label" for key in sorted(learnt - labelled))
    for event_id, event in bodies["event"].items():
        if event["decision_id"] not in bodies["decision"]:
            found.torn.append(f"event {event_id} without its decision")
