"""
`lumyn verify` on stores of 25,000 and 100,000 records of 2 KB, and what leaf and chain hashes add to an insert.
CPU time, since a verification runs beside the service it verifies; the stores are made by raw inserts.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from common import SUPPORT_POLICY, arguments, interleaved, microseconds, report, requests

from lumyn import Gate
from lumyn.core.records import DecisionRecord
from lumyn.core.verify import Verification, verify
from lumyn.policy.loader import load_policy
from lumyn.store import open_store, transaction
from lumyn.store.base import StoredDecision, chain_hash, leaf_hash
from lumyn.store.inspection import open_journal
from lumyn.store.journal import checkpoint, read_journal

SMALL, LARGE = 25_000, 100_000
DIFFERENT = 64
RECORD_BYTES = 2000
AT_ONCE = 50


def records(path: Path) -> list[DecisionRecord]:
    """Decide some different requests into a new store at `path`; their records have about 2 KB."""
    with Gate.open(policy=load_policy(SUPPORT_POLICY), store=path, create=True, synchronous="NORMAL") as gate:
        asked = requests(DIFFERENT)
        padding = "x" * max(0, RECORD_BYTES - len(gate.decide(asked[0] | {"request_id": "sample"}).to_json()))
        for request in asked:
            request["action"]["intent"] += padding
        return [gate.decide(request) for request in asked]


def fill(path: Path, rows: int) -> None:
    """Make a store of `rows` decisions, each with an id and an idempotency key of its own."""
    made = records(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        seq, chain = db.execute("SELECT seq, chain FROM decisions ORDER BY seq DESC LIMIT 1").fetchone()
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        (count,) = db.execute("SELECT count(*) FROM decisions").fetchone()
        for number in range(count, rows):
            record = made[number % DIFFERENT]
            decision_id, request_id = f"{number:026}", f"filled-{number}"
            text = record.to_json().replace(record.decision_id, decision_id)
            text = text.replace(f'"request_id":"bench-{number % DIFFERENT}"', f'"request_id":"{request_id}"')
            seq += 1
            leaf = leaf_hash("decision", text.encode())
            chain = chain_hash(seq, chain, leaf)
            columns = (decision_id, record.created_at, "acme", "support.refund", record.verdict.value)
            values = (seq, *columns, record.policy_hash, text, leaf, chain)
            db.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            key = ("acme", request_id, record.request_digest, seq)
            db.execute("INSERT INTO idempotency_keys VALUES (?, ?, ?, ?)", key)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def read_and_parse(path: Path) -> None:
    """Do the least that any verification does: read every body, hash it and parse it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as db:
        for (body,) in db.execute("SELECT CAST(record AS BLOB) FROM decisions ORDER BY seq"):
            hashlib.sha256(body).digest()
            json.loads(body)


def structure(path: Path) -> None:
    """Do what concerns the database below the rows, alone."""
    with open_journal(path) as journal:
        list(journal.structure())


def clean(found: Verification) -> None:
    """Stop when a verification that is timed finds something."""
    if not found.ok:
        raise SystemExit(f"the benchmark's own store is not clean: {found.findings[:3]}")


def verification(folder: Path, rounds: int) -> list[bool]:
    """Time verifying two stores, step by step."""
    paths = {rows: folder / f"{rows}.db" for rows in (SMALL, LARGE)}
    for rows, path in paths.items():
        fill(path, rows)
    large = open_store(str(paths[LARGE]))
    small = open_store(str(paths[SMALL]))
    anchor = read_journal(large, checkpoint)
    contenders: dict[str, Callable[[int], object]] = {
        "read, hash and parse every record": lambda _: read_and_parse(paths[LARGE]),
        "integrity check and schema": lambda _: structure(paths[LARGE]),
        "checkpoint": lambda _: read_journal(large, checkpoint),
        "verify": lambda _: clean(verify(large)),
        "verify --against": lambda _: clean(verify(large, against=anchor)),
        f"verify, {SMALL} records": lambda _: clean(verify(small)),
    }
    times = interleaved(contenders, rounds=rounds, clock=time.process_time)
    for name, seconds in times.items():
        rows = SMALL if str(SMALL) in name else LARGE
        print(f"{name}: {statistics.median(seconds):.2f} s CPU, {microseconds(seconds, per=rows):.1f} us a record")
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    least = medians["read, hash and parse every record"]
    growth = medians["verify"] / medians[f"verify, {SMALL} records"] / (LARGE / SMALL)
    return [
        report(f"verify of {LARGE} records of 2 KB, seconds of CPU", medians["verify"], 2.0),
        report("verify / (read, hash and parse every record)", medians["verify"] / least, 2.5),
        report("verify --against / verify", medians["verify --against"] / medians["verify"], 1.25),
        report(f"time a record at {LARGE} / at {SMALL}", growth, 1.25),
    ]


@contextmanager
def without_hashes() -> Iterator[None]:
    """Append rows that are linked to nothing."""
    kept = transaction.leaf_hash, transaction.chain_hash
    transaction.leaf_hash, transaction.chain_hash = lambda kind, body: b"", lambda seq, previous, leaf: b""
    try:
        yield
    finally:
        transaction.leaf_hash, transaction.chain_hash = kept


def insertion(folder: Path, rounds: int) -> bool:
    """Time durable inserts of 2 KB with their key, with hashes and without."""
    body = records(folder / "sample.db")[0].to_json()
    linked = open_store(str(folder / "linked.db"), create=True, synchronous="NORMAL")
    plain = open_store(str(folder / "plain.db"), create=True, synchronous="NORMAL")

    def append(number: int, *, chained: bool) -> None:
        store = linked if chained else plain
        for each in range(number * AT_ONCE, (number + 1) * AT_ONCE):
            made = StoredDecision(
                seq=0,
                decision_id=f"{each:026}",
                created_at="2026-01-15T12:00:00.000Z",
                tenant_id="acme",
                action_type="support.refund",
                verdict="TRUST",
                policy_hash="sha256:" + "0" * 64,
                record_json=body,
            )
            with store.write() as writing:
                writing.find_key("acme", f"request-{each}")
                writing.append_decision(made, request_id=f"request-{each}", request_digest="sha256:" + "0" * 64)

    def unlinked(number: int) -> None:
        with without_hashes():
            append(number, chained=False)

    contenders = {"insert, unlinked": unlinked, "insert, linked": lambda number: append(number, chained=True)}
    times = interleaved(contenders, rounds=rounds, clock=time.process_time)
    for name, seconds in times.items():
        print(f"{name}: {microseconds(seconds, per=AT_ONCE):.1f} us CPU")
    paired = [mine / base for base, mine in zip(*times.values(), strict=True)]
    return report("insert with leaf and chain / without, CPU, median of pairs", statistics.median(paired), 1.25)


def main() -> int:
    options = arguments("verifying a store", rounds=5)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        met = [*verification(Path(folder), options.rounds), insertion(Path(folder), options.rounds * 10)]
    return 1 if options.check and not all(met) else 0


if __name__ == "__main__":
    raise SystemExit(main())
