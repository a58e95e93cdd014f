"""
Kills writers with SIGKILL and counts what is missing afterwards. Run it for as long as you like:

    PYTHONPATH=tests python tests/faults/crashes.py --kills 1000 --folder /path/on/the/disk/in/question

One process forks a writer for each kill, before it has opened anything itself. The writer acknowledges over a pipe, and
only what `decide()` and `label()` have returned; the pipe is drained after the kill. Checks run in a child too, and
every other one ends without closing the file, so that some writers find a log to recover and some do not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from faults.support import connection_of, open_gate, policy, refund
from faults.walker import Found, read, read_open

from lumyn.store.base import StoredDecision
from lumyn.store.transaction import SqliteTransaction

# A new store every so often: the first decision of a store, and its creation, are killed too.
KILLS_A_STORE = 20
# SQLite's default is 1,000 pages and Lumyn's more; few, so that many kills hit a checkpoint.
CHECKPOINT_PAGES = 50
LABEL_EVERY = 7


@dataclass
class Outcome:
    """
    What a loop of kills did.

    Attributes:
        acks: Decisions that were acknowledged.
        labels: Labels that were acknowledged.
        retried: Requests that were stored but not acknowledged, sent again, and answered from the store.
        lost: Acknowledged and not in the store, or not as acknowledged.
        torn: Halves of transactions.
        broken: Damage to the chain or the file.
        unavailable: Decisions that were answered with `ABSTAIN` although nothing but kills happened.
        renamed: Stored requests that were decided anew when they were sent again.
        examples: Some of what went wrong.
    """

    kills: int = 0
    acks: int = 0
    labels: int = 0
    retried: int = 0
    lost: int = 0
    torn: int = 0
    broken: int = 0
    unavailable: int = 0
    renamed: int = 0
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)


def in_child(work: Callable[[], Any], *, how: Callable[[], None] = lambda: None) -> Any:
    """Return what `work` returns in a forked child, as JSON; `how` runs in it last."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writer, json.dumps(work()).encode())
            how()
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    text = drain(reader)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeError(f"the child ended with {status}")
    return json.loads(text)


def drain(descriptor: int) -> bytes:
    """Return everything up to the end of a pipe, and close it."""
    parts = []
    while part := os.read(descriptor, 1 << 16):
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts)


def text_digest(text: str) -> str:
    """Return what an acknowledgement says of a record."""
    return sha256(text.encode()).hexdigest()


def writer(path: Path, name: int, first: int, acknowledge: int, synchronous: str) -> None:
    """Decide request after request until killed; label some; acknowledge what was returned."""
    gate = open_gate(path, create=True, synchronous=synchronous)
    connection_of(gate).execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    number = first
    while True:
        record = gate.decide(refund(f"w{name}-{number}", amount=1 + number % 20))
        kind = "decision" if record.persisted else "unavailable"
        line = f"{kind} {name} {number} {record.decision_id} {text_digest(record.to_json())}\n"
        os.write(acknowledge, line.encode())
        if number % LABEL_EVERY == 0:
            item = gate.label(record.decision_id, "near_miss", note=f"n{number}")
            os.write(acknowledge, f"label {name} {number} {item.memory_id} -\n".encode())
        number += 1


def killed_writers(path: Path, firsts: list[int], pause: random.Random, synchronous: str) -> list[list[str]]:
    """
    Start writers, kill them one by one 2 to 120 ms later, and return their acknowledgements.

    Args:
        firsts: The number of the first request of each writer.
    """
    reader, acknowledge = os.pipe()
    children = []
    for name, first in enumerate(firsts):
        child = os.fork()
        if child == 0:
            try:
                os.close(reader)
                writer(path, name, first, acknowledge, synchronous)
            finally:
                os._exit(1)
        children.append(child)
    os.close(acknowledge)
    if pause.random() < 0.75:
        # Mostly counted from the first acknowledgement, else from the fork: opening and creating are killed too.
        select.select([reader], [], [], 30)
    pause.shuffle(children)
    for child in children:
        time.sleep(pause.uniform(0.002, 0.120))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return [line.split(" ") for line in drain(reader).decode().splitlines()]


class Ledger:
    """What one store has acknowledged, held against what it turns out to hold."""

    def __init__(self, outcome: Outcome, writers: int) -> None:
        self.outcome = outcome
        self.firsts = [0] * writers
        self.decisions: dict[str, str] = {}
        self.memory: set[str] = set()
        self.stored: dict[str, str] = {}

    def take(self, lines: list[list[str]]) -> None:
        """Count the acknowledgements of one round; a writer goes on with the request it had no answer to."""
        outcome = self.outcome
        for kind, name, number, item_id, digest in lines:
            self.firsts[int(name)] = int(number) + 1
            if kind == "label":
                outcome.labels += 1
                self.memory.add(item_id)
                continue
            if kind == "unavailable":
                self._wrong("unavailable", f"request {number} of writer {name} was not stored")
                continue
            outcome.acks += 1
            self.decisions[item_id] = digest
            earlier = self.stored.get(f"w{name}-{number}")
            if earlier is not None:
                outcome.retried += 1
                if earlier != item_id:
                    self._wrong("renamed", f"request {number} of writer {name} was decided twice")

    def check(self, found: dict[str, Any]) -> None:
        """Count what is missing; `found` is what `survey` returned."""
        for decision_id, digest in self.decisions.items():
            if found["records"].get(decision_id) != digest:
                self._wrong("lost", f"decision {decision_id}")
        for memory_id in self.memory - set(found["memory"]):
            self._wrong("lost", f"label {memory_id}")
        for name in ("torn", "broken"):
            for problem in found[name]:
                self._wrong(name, problem)
        # What is counted once is not counted again at the next check of the same store.
        self.decisions = {key: value for key, value in self.decisions.items() if key in found["records"]}
        self.memory &= set(found["memory"])
        self.stored = found["keys"]

    def _wrong(self, what: str, example: str) -> None:
        setattr(self.outcome, what, getattr(self.outcome, what) + 1)
        if len(self.outcome.examples) < 20:
            self.outcome.examples.append(f"{what}: {example}")


def survey(found: Found) -> dict[str, Any]:
    """Return what a ledger is held against, as plain data."""
    return {
        "records": {key: text_digest(record) for key, record in found.records.items()},
        "memory": found.memory,
        "keys": {request_id: decision for (_, request_id), decision in found.keys.items()},
        "torn": found.torn,
        "broken": found.broken,
    }


def survey_and_crash(path: Path) -> dict[str, Any]:
    """Survey the store at `path` over a connection that stays open: the process ends without closing it."""
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    kept.append(connection)
    return survey(read_open(connection))


kept: list[Any] = []


def loop(kills: int, folder: Path, *, seed: int = 0, synchronous: str = "FULL", writers: int = 1) -> Outcome:
    """Kill `kills` writers, so many of them at a time, and return what was lost."""
    started = time.monotonic()
    pause = random.Random(seed)
    outcome = Outcome()
    policy()
    for number in range(-(-kills // writers)):
        if number % KILLS_A_STORE == 0:
            path = folder / f"store-{number}" / "lumyn.db"
            ledger = Ledger(outcome, writers)
        ledger.take(killed_writers(path, ledger.firsts, pause, synchronous))
        outcome.kills += writers
        if path.exists():
            look = (lambda path=path: survey_and_crash(path)) if number % 2 else (lambda path=path: survey(read(path)))
            torn_before = outcome.torn
            ledger.check(in_child(look))
            if outcome.torn > torn_before:
                # A torn store stays torn: a fresh one, so that each tear is counted once.
                path = folder / f"store-after-{number}" / "lumyn.db"
                ledger = Ledger(outcome, writers)
        elif ledger.decisions:
            outcome.lost += len(ledger.decisions)
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def split_transactions() -> None:
    """
    Write the idempotency key in a transaction of its own, as a careless store would.

    A loop that does not find the difference would find nothing else either.
    """
    append = SqliteTransaction.append_decision

    def split(
        self: SqliteTransaction, decision: StoredDecision, *, request_id: str | None = None, request_digest: str = ""
    ) -> int:
        seq = append(self, decision)
        db = self._connected()
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")
        if request_id is not None:
            values = (decision.tenant_id or "", request_id, request_digest, seq)
            db.execute("INSERT INTO idempotency_keys VALUES (?, ?, ?, ?)", values)
        return seq

    SqliteTransaction.append_decision = split  # type: ignore[method-assign]


def main() -> int:
    """Run a loop and print what it did as JSON; exit 1 when something was lost or torn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=None, help="where the stores go; a temporary folder by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--writers", type=int, default=1, help="how many write at once")
    parser.add_argument("--synchronous", choices=["FULL", "NORMAL"], default="FULL")
    parser.add_argument("--split", action="store_true", help="the control: decision and key in two transactions")
    options = parser.parse_args()
    if options.split:
        split_transactions()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        outcome = loop(
            options.kills, Path(folder), seed=options.seed, synchronous=options.synchronous, writers=options.writers
        )
    print(json.dumps(asdict(outcome)))
    return 1 if outcome.lost or outcome.torn or outcome.broken or outcome.unavailable or outcome.renamed else 0


if __name__ == "__main__":
    sys.exit(main())
