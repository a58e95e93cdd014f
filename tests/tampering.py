"""
A populated store, and the ways in which somebody with the file can change it.
Works on copies through SQL without triggers, or on the bytes of the file; must not know how verification works.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from lumyn import FixedClock, Gate, SeededIds
from lumyn.engine.redaction import RedactionPolicy
from lumyn.policy.loader import parse_policy
from lumyn.store.base import chain_hash, leaf_hash
from lumyn.store.journal import TABLES

POLICY = """\
schema_version: policy.v0
policy_id: acme
policy_version: "{version}"
defaults: {{ mode: enforce, default_verdict: ESCALATE, default_reason_code: NO_MATCH_DEFAULT_ESCALATE }}
reason_codes: {{ SMALL: Small., SIMILAR: Similar to a failure. }}
evidence: {{ risk: {{ type: number, min: 0, max: 1 }} }}
rules:
  - id: R1
    stage: ESCALATIONS
    if: {{ risk.failure_similarity_gte: 0.8 }}
    then: {{ verdict: ESCALATE, reason_codes: [SIMILAR] }}
  - id: R2
    stage: TRUST_PATHS
    if: {{ evidence.risk_lt: 0.5, amount_usd_lte: {limit} }}
    then: {{ verdict: TRUST, reason_codes: [SMALL] }}
"""


def request(number: int, **changes: Any) -> dict[str, Any]:
    """A request; every third has no tenant, every fourth no `request_id`."""
    made: dict[str, Any] = {
        "schema_version": "decision_request.v0",
        "request_id": f"request-{number}",
        "tenant": {"tenant_id": "acme"},
        "subject": {"type": "agent", "id": "agent-1"},
        "action": {
            "type": "support.refund" if number % 5 else "support.credit",
            "intent": "Refund",
            "amount": {"value": number, "currency": "USD"},
        },
        "evidence": {"risk": (number % 10) / 10, "note": "caf\u00e9 \U0001f9fe"},
        "context": {"mode": "inline", "inline": {"n": number}},
    }
    if number % 3 == 0:
        del made["tenant"]
    if number % 4 == 0:
        del made["request_id"]
    return made | changes


def build(path: Path, *, decisions: int = 24, redaction: str | RedactionPolicy = "off") -> Path:
    """Make a store with rows of every kind, two policies, labels, events and an experience without a decision."""
    clock, ids = FixedClock("2026-01-15T12:00:00Z"), SeededIds("tampering")
    options: dict[str, Any] = {"clock": clock, "ids": ids, "redaction": redaction, "synchronous": "NORMAL"}
    policies = [parse_policy(POLICY.format(version=n, limit=20 * n)) for n in (1, 2)]
    with Gate.open(policy=policies[0], store=path, create=True, **options) as gate:
        for number in range(1, decisions + 1):
            current = gate if number <= decisions // 2 else gate.with_policy(policies[1])
            record = current.decide(request(number))
            if number % 4 == 1:
                gate.label(record.decision_id, "failure" if number % 8 == 1 else "success", note="why", actor="ann")
            if number % 6 == 2:
                gate.append_event(record.decision_id, "override", {"by": "lead"}, actor="bob")
        gate.seed("near_miss", request(99), summary="INC-1")
        gate.decide(request(decisions + 1))
    return path


def copy(path: Path, to: Path) -> Path:
    """Return a copy of a store that nobody has open."""
    shutil.copyfile(path, to)
    to.chmod(0o600)
    return to


def tamper(path: Path, change: str | Callable[[sqlite3.Connection], object], *values: object) -> Path:
    """Change a store behind its back: triggers and foreign keys are put aside and back again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        if callable(change):
            change(db)
        else:
            db.execute(change, values)
        for _, sql in triggers:
            db.execute(sql)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA journal_mode = WAL")
    return path


def rechain(db: sqlite3.Connection) -> None:
    """Number all rows anew and make every leaf and chain hash fit: what an attacker with patience does."""
    rows = sorted(
        (seq, kind, body)
        for kind, table in TABLES.items()
        for seq, body in db.execute(f"SELECT seq, {table.body} FROM {table.name}")
    )
    chain = bytes.fromhex(db.execute("SELECT value FROM meta WHERE key = 'genesis'").fetchone()[0])
    for number, (seq, kind, body) in enumerate(rows, 1):
        leaf = leaf_hash(kind, body.encode())
        chain = chain_hash(number, chain, leaf)
        db.execute(
            f"UPDATE {TABLES[kind].name} SET seq = ?, leaf = ?, chain = ? WHERE seq = ?", (number, leaf, chain, seq)
        )
        db.execute("UPDATE idempotency_keys SET decision_seq = ? WHERE decision_seq = ?", (number, seq))


def payload_bytes(path: Path) -> Iterator[tuple[int, str]]:
    """
    Yield the place in the file of every payload byte of the journal tables and keys, with the table.

    The byte that says how `seq` is stored in a rowid table is left out: SQLite keeps nothing there and never reads it,
    so no row changes with it (sqlite.org/fileformat2.html, 2.3).
    """
    with closing(sqlite3.connect(path)) as db:
        names = [table.name for table in TABLES.values()]
        roots = dict(db.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"))
        size: int = db.execute("PRAGMA page_size").fetchone()[0]
    data = path.read_bytes()
    for name in names:
        yield from ((place, name) for place in _payloads(data, size, roots[name]))
    yield from ((place, "idempotency_keys") for place in _payloads(data, size, roots["idempotency_keys"]))


def _payloads(data: bytes, size: int, page: int) -> Iterator[int]:
    start = (page - 1) * size
    kind = data[start]
    header = 12 if kind in {2, 5} else 8
    count = int.from_bytes(data[start + 3 : start + 5], "big")
    for number in range(count):
        pointer = start + header + 2 * number
        cell = start + int.from_bytes(data[pointer : pointer + 2], "big")
        if kind in {2, 5}:
            yield from _payloads(data, size, int.from_bytes(data[cell : cell + 4], "big"))
            cell += 4
        if kind == 5:
            continue
        length, cell = _varint(data, cell)
        if kind == 13:
            _, cell = _varint(data, cell)
        unread = {cell + 1} if kind == 13 else set()
        yield from (place for place in _pieces(data, size, cell, length, kind) if place not in unread)
    if kind in {2, 5}:
        yield from _payloads(data, size, int.from_bytes(data[start + 8 : start + 12], "big"))


def _pieces(data: bytes, size: int, cell: int, length: int, kind: int) -> Iterator[int]:
    """Yield the places of a payload of `length` bytes, on its page and on overflow pages."""
    most = size - 35 if kind == 13 else (size - 12) * 64 // 255 - 23
    least = (size - 12) * 32 // 255 - 23
    local = length
    if length > most:
        local = least + (length - least) % (size - 4)
        local = local if local <= most else least
    yield from range(cell, cell + local)
    left = length - local
    following = int.from_bytes(data[cell + local : cell + local + 4], "big") if left else 0
    while left > 0:
        start = (following - 1) * size
        here = min(left, size - 4)
        yield from range(start + 4, start + 4 + here)
        left -= here
        following = int.from_bytes(data[start : start + 4], "big")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for number in range(9):
        byte = data[place + number]
        if number == 8:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + number + 1
    raise AssertionError


def listing(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return every file of a folder with its mode, time and content."""
    return {
        file.name: (file.stat().st_mode, file.stat().st_mtime_ns, file.read_bytes())
        for file in sorted(folder.iterdir())
    }


def thorough() -> bool:
    """Return whether the long form of a test was asked for, as `tox -e property` does."""
    return os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
