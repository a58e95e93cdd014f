"""
Experience memory as it grows, in one partition: the index against a scan of all items, and what a label costs.

    python benchmarks/bench_memory.py [--max 1000000] [--rounds 400] [--check]

Items of the `skewed` shape draw every feature and their tags from skewed distributions; of the `unique` shape each
also carries a tag that no other has, so that no two are alike. One request in ten has a currency that no item has:
nothing resembles it fully. No request is asked twice.
"""

from __future__ import annotations

import argparse
import bisect
import gc
import json
import random
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from heapq import nsmallest
from itertools import accumulate, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from common import SUPPORT_POLICY, interleaved, microseconds, report
from common import requests as asked_to_decide

from lumyn import Gate, load_policy
from lumyn.engine.profiles import Profile, feature_plan
from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import Label, MemoryItem

VOCABULARY = 400
SHAPES = ("skewed", "unique")
LIMIT_US = {"skewed": 1_000, "unique": 5_000}
GROWTH = {"skewed": 10, "unique": 60}
SCANNED = 20
"""Requests that are also answered by the scan; fewer of a large memory."""
ADDED = 200
"""Items that are added to a memory that was searched."""
BATCH = 50

POLICY = load_policy(SUPPORT_POLICY)
PLAN = feature_plan(POLICY)
_TAGS = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))


def _tags(rng: random.Random) -> list[str]:
    count = rng.choices((0, 1, 2, 3, 4, 5), (10, 25, 30, 20, 10, 5))[0]
    return sorted({f"tag-{bisect.bisect(_TAGS, rng.random() * _TAGS[-1])}" for _ in range(count)})


def features(rng: random.Random, shape: str, number: int) -> dict[str, Any]:
    """Return the features of an experience: most of them ordinary, a few rare."""
    found: dict[str, Any] = {
        "action_type": "support.refund",
        "target_system": rng.choices(("payments", "crm", "erp"), (90, 8, 2))[0],
        "resource_type": rng.choices(("charge", "order", "subscription"), (75, 20, 5))[0],
        "currency": rng.choices(("USD", "EUR", "GBP", "JPY", "CHF", "SEK"), (70, 18, 7, 3, 1, 1))[0],
        "amount_usd": str(round(rng.lognormvariate(3.5, 1.4), 2)),
        "tags": _tags(rng) + ([f"only-{number}"] if shape == "unique" else []),
        "evidence": {
            "customer_age_days": int(rng.lognormvariate(5, 1.5)),
            "previous_refund_count_90d": rng.choices((0, 1, 2, 3, 4, 7), (60, 20, 10, 5, 3, 2))[0],
            "chargeback_risk": round(rng.betavariate(1, 8), 3),
            "payment_instrument_risk": rng.choices(("low", "medium", "high"), (80, 15, 5))[0],
        },
    }
    if rng.random() < 0.05:
        del found["evidence"][rng.choice(sorted(found["evidence"]))]
    return found


def items(shape: str, count: int) -> Iterator[MemoryItem]:
    """Yield `count` experiences; the same in every run."""
    rng = random.Random(shape)
    for number in range(count):
        yield MemoryItem(
            memory_id=f"01KEZ{number:021d}",
            seq=number + 1,
            label=rng.choices(tuple(Label), (30, 20, 50))[0],
            tenant_id="acme",
            action_type="support.refund",
            features=features(rng, shape, number),
            summary=f"Refunded a duplicate charge, case {number}",
            created_at="2026-01-15T12:00:00.000Z",
            leaf=sha256(str(number).encode()).digest(),
            source_decision_id=f"01KEY{number:021d}",
        )


def requests(shape: str, count: int) -> list[Profile]:
    """Return the profiles of `count` different requests."""
    rng = random.Random(f"{shape}:requests")
    found: dict[Profile, None] = {}
    while len(found) < count:
        asked = features(rng, shape, -len(found) - 1)
        if len(found) % 10 == 1:
            asked["currency"] = "XTS"
        found[PLAN.of_features(asked)] = None
    return list(found)


def scan(held: list[tuple[Profile, str, Label]], asked: Profile, k: int) -> tuple[Decimal, list[str]]:
    """Compare a request with every item: the failure score, and the ids of the best matches."""
    best: dict[Label, tuple[int, int]] = dict.fromkeys(Label, (0, 1))
    matches: list[tuple[float, str]] = []
    for profile, memory_id, label in held:
        shared, union = PLAN.compare(asked, profile)
        if shared:
            matches.append((-shared / union, memory_id))
            if shared * best[label][1] > best[label][0] * union:
                best[label] = (shared, union)
    score = max(Fraction(*best[Label.FAILURE]), Fraction(*best[Label.NEAR_MISS]) / 2)
    # Fractions this small are equal as doubles only where they are equal.
    return Decimal(round(score * 10**6)).scaleb(-6), [memory_id for _, memory_id in nsmallest(k, matches)]


def percentile(times: list[float], share: float) -> float:
    """Return a percentile in microseconds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1e6


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def timed(run: Callable[[Any], object], arguments: Iterable[Any]) -> list[float]:
    """Return the seconds of CPU of each call: nothing here waits, and a shared machine counts for itself."""
    times = []
    for argument in arguments:
        start = time.thread_time()
        run(argument)
        times.append(time.thread_time() - start)
    return times


def measure(shape: str, size: int, asked: list[Profile]) -> float:
    """Print one line of the table and return the 95th percentile of a search; answers must equal the scan's."""
    source = items(shape, size)
    gc.collect()
    before = resident()
    memory = MemorySnapshot()
    build = sum(timed(memory.add, islice(source, size - ADDED)))
    build += sum(timed(lambda one: memory.search(POLICY, one), asked[:1]))
    added = timed(memory.add, source)
    gc.collect()
    kept = resident() - before
    times = timed(lambda one: memory.search(POLICY, one), asked)

    held = [(PLAN.of_features(item.features), item.memory_id, item.label) for item in items(shape, size)]
    scanned: list[float] = []
    for one in asked[: max(2, min(SCANNED, 2_000_000 // size))]:
        start = time.thread_time()
        expected = scan(held, one, POLICY.memory.top_k)
        scanned.append(time.thread_time() - start)
        found = memory.search(POLICY, one)
        if expected != (found.score, [match.memory_id for match in found.top_k]):
            raise RuntimeError(f"the index and the scan disagree on {one}")
    p50, p95 = statistics.median(times) * 1e6, percentile(times, 0.95)
    scan_p50 = statistics.median(scanned) * 1e6
    print(
        f"{shape:>8} {size:>9,} | {p50:>7.0f} {p95:>7.0f} {max(times) * 1e6:>7.0f} | {scan_p50:>11,.0f} "
        f"{scan_p50 / p50:>9,.0f}x | {microseconds(added):>7.0f} | {build:>8.1f} {kept:>9,.0f}",
        flush=True,
    )
    return p95


def growth(largest: int, rounds: int) -> list[bool]:
    """Print the growth table, then the goals."""
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= largest]
    print("microseconds of CPU of a search and of adding an item to a searched memory; seconds and MiB to load")
    print("   shape     items |     p50     p95     max |    scan p50   scan/p50 |     add |     load       MiB")
    met = []
    for shape in SHAPES:
        asked = requests(shape, rounds)
        # Each memory has a process of its own, so that what it takes can be told.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            p95 = {size: pool.submit(measure, shape, size, asked).result() for size in sizes}
        met.append(report(f"{shape}: p95 at {sizes[-1]:,} items, us", p95[sizes[-1]], LIMIT_US[shape]))
        met.append(
            report(f"{shape}: p95 at {sizes[-1]:,} / at 1,000 items", p95[sizes[-1]] / p95[1_000], GROWTH[shape])
        )
    return met


def label_cost(rounds: int, folder: Path) -> bool:
    """Time a durable label beside one bare INSERT and COMMIT of the bytes it stores, batch by batch in turn."""
    floor = sqlite3.connect(folder / "floor.db", isolation_level=None)
    floor.execute("PRAGMA journal_mode = WAL")
    floor.execute("PRAGMA synchronous = FULL")
    floor.execute("CREATE TABLE records (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT")
    with Gate.open(policy=POLICY, store=folder / "store.db", create=True) as gate:
        decided = [gate.decide(request).decision_id for request in asked_to_decide(rounds * BATCH)]
        body = json.dumps(
            {"features": features(random.Random(0), "skewed", 0), "summary": "failure", "note": "x" * 300}
        )

        def insert(number: int) -> None:
            for decision_id in decided[number * BATCH : (number + 1) * BATCH]:
                floor.execute("BEGIN IMMEDIATE")
                floor.execute("INSERT INTO records VALUES (?, ?)", (decision_id, body))
                floor.execute("COMMIT")

        def label(number: int) -> None:
            for decision_id in decided[number * BATCH : (number + 1) * BATCH]:
                gate.label(decision_id, Label.FAILURE)

        times = interleaved({"floor": insert, "label": label}, rounds=rounds)
    floor.close()
    paired = statistics.median(b / a for a, b in zip(times["floor"], times["label"], strict=True))
    print(
        f"bare insert {microseconds(times['floor'], per=BATCH):.0f} us, "
        f"label {microseconds(times['label'], per=BATCH):.0f} us (medians of {rounds} batches of {BATCH}, FULL)"
    )
    return report("label / bare INSERT+COMMIT at FULL", paired, 2)


def main() -> int:
    parser = argparse.ArgumentParser(description="experience memory as it grows")
    parser.add_argument("--max", type=int, default=100_000, help="the largest memory, 100000 unless told")
    parser.add_argument("--rounds", type=int, default=400, help="requests for each memory, 400 unless told")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    options = parser.parse_args()
    met = growth(max(options.max, 1_000), options.rounds)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        met.append(label_cost(10, Path(folder)))
    return 1 if options.check and not all(met) else 0


if __name__ == "__main__":
    raise SystemExit(main())
