"""
`decide()` against the least it could cost: one INSERT and COMMIT of the same bytes, at the same durability.

    python benchmarks/bench_decide.py [--rounds 20] [--check]
"""

from __future__ import annotations

import hashlib
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rfc8785
from common import SUPPORT_POLICY, arguments, interleaved, microseconds, report, requests

from lumyn import Gate, UlidSource, load_policy
from lumyn.digest import canonical_text, freeze, sha256_text
from lumyn.store.base import StoredDecision

BATCH = 250
WARM_UP = 6 * BATCH
"""Decisions before the timed ones: enough for the log to have reached its full size and begun anew."""


class NoStore:
    """A store that keeps nothing: what is left is the CPU of everything but storage."""

    url = "none:"
    store_id = "0" * 32
    memory_version = 0

    def write(self) -> Any:
        return self._open()

    @contextmanager
    def _open(self) -> Any:
        yield self

    def find_key(self, tenant_id: str | None, request_id: str) -> None:
        return None

    def memory_items(self, tenant_id: str | None, action_type: str, *, after_seq: int = 0) -> list[Any]:
        return []

    def knows_policy(self, policy_hash: str) -> bool:
        return True

    def append_policy(self, policy: object) -> None:
        return None

    def append_decision(self, decision: StoredDecision, **key: object) -> int:
        return 1

    def close(self) -> None:
        return None


def floor(path: Path, synchronous: str) -> sqlite3.Connection:
    """Return a connection to a table that holds a record under its id, and nothing else."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("CREATE TABLE records (decision_id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT")
    return connection


def durable(synchronous: str, rounds: int, folder: Path) -> bool:
    """
    Time decide() beside the floor, in turn, and report the ratio.

    At `FULL` every commit waits for the disk itself, so the contenders take turns call by call and see the disk in the
    same state. At `NORMAL` only every thousandth page or so does, when SQLite moves its log into the file: there a
    batch is timed, so that each commit bears its share. A `request_id` adds a row of its own, the idempotency key, so
    both are timed, and the goal is for the record alone: the bytes that the floor writes.
    """
    batch = 1 if synchronous == "FULL" else BATCH
    rounds = rounds * BATCH // batch if batch == 1 else rounds
    keyed = requests(WARM_UP + rounds * batch)
    plain = [{name: value for name, value in request.items() if name != "request_id"} for request in keyed]
    policy = load_policy(SUPPORT_POLICY)
    connection = floor(folder / f"floor-{synchronous}.db", synchronous)
    ids = UlidSource()
    with (
        Gate.open(policy=policy, store=folder / f"{synchronous}.db", create=True, synchronous=synchronous) as gate,
        Gate.open(policy=policy, store=folder / f"{synchronous}-k.db", create=True, synchronous=synchronous) as second,
    ):
        records = [gate.decide(request).to_json() for request in plain[:BATCH]]

        def insert(place: int) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO records VALUES (?, ?)", (ids.new(place), records[place % BATCH]))
            connection.execute("COMMIT")

        calls: dict[str, Callable[[int], object]] = {
            "bare insert": insert,
            "decide": lambda place: gate.decide(plain[place]),
            "decide with request_id": lambda place: second.decide(keyed[place]),
        }
        for place in range(WARM_UP):
            for call in calls.values():
                call(place)

        def batched(call: Callable[[int], object]) -> Callable[[int], None]:
            def run(number: int) -> None:
                for place in range(WARM_UP + number * batch, WARM_UP + (number + 1) * batch):
                    call(place)

            return run

        times = interleaved({name: batched(call) for name, call in calls.items()}, rounds=rounds)
    print(f"synchronous={synchronous}, medians of {rounds} times {batch} calls:")
    for name, seconds in times.items():
        paired = statistics.median(b / a for a, b in zip(times["bare insert"], seconds, strict=True))
        print(f"  {name:24}{microseconds(seconds, per=batch):8.0f} us {paired:6.2f} x")
    paired = statistics.median(b / a for a, b in zip(times["bare insert"], times["decide"], strict=True))
    return report(f"decide / bare INSERT+COMMIT at {synchronous}", paired, 2.0 if synchronous == "FULL" else 2.5)


def cpu(rounds: int) -> bool:
    """Time decide() without storage beside RFC 8785 + sha256 of the same request."""
    asked = requests(200)
    gate = Gate.open(policy=load_policy(SUPPORT_POLICY), store=NoStore())  # type: ignore[arg-type]
    for request in asked:
        gate.decide(request)
    contenders = {
        "own canonical form + sha256": lambda n: [sha256_text(canonical_text(freeze(r))) for r in asked],
        "rfc8785 package + sha256": lambda n: [hashlib.sha256(rfc8785.dumps(r)).hexdigest() for r in asked],
        "decide, no storage": lambda n: [gate.decide(r) for r in asked],
    }
    times = interleaved(contenders, rounds=max(5, rounds), clock=time.process_time)
    for name, seconds in times.items():
        print(f"{name}: {microseconds(seconds, per=len(asked)):.1f} us CPU")
    decide = statistics.median(times["decide, no storage"])
    own = decide / statistics.median(times["own canonical form + sha256"])
    package = decide / statistics.median(times["rfc8785 package + sha256"])
    met = report("decide without storage / (RFC 8785 + sha256 of the request, own fast path)", own, 6)
    print(f"       the same against the rfc8785 package: {package:.2f}")
    return met


def nothing_read() -> bool:
    """Count files opened and code compiled after the first decision of an action."""
    events: list[str] = []
    gate = Gate.open(policy=load_policy(SUPPORT_POLICY), store="sqlite:///:memory:", create=True)
    asked = requests(208)
    for request in asked[:8]:
        gate.decide(request)
    sys.addaudithook(lambda event, _: events.append(event) if event in {"open", "compile", "exec", "import"} else None)
    for request in asked[8:]:
        gate.decide(request)
    count = len(events)
    print(f"files opened, code compiled, modules imported in 200 further decisions: {count}")
    return report("reads and compilations after the first decision", count, 0)


def main() -> int:
    options = arguments("decide() against a bare durable insert", rounds=20)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        met = [durable("FULL", options.rounds, Path(folder)), durable("NORMAL", options.rounds, Path(folder))]
    met += [cpu(options.rounds), nothing_read()]
    return 1 if options.check and not all(met) else 0


if __name__ == "__main__":
    raise SystemExit(main())
