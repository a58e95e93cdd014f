"""
The slow end of `decide()`: its 95th percentile beside that of a bare durable insert, in the same run.
Ratios only, as machines differ; `tox -e perf` runs it, `tox -e check` does not.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lumyn import Gate, load_policy

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CALLS = 1_500
WARM_UP = 200
MOST_TIMES_THE_INSERT = 4.0
MOST_GROWTH = 2.0

pytestmark = [pytest.mark.perf, pytest.mark.xdist_group("perf")]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[dict[str, object]]]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import common

    return common.requests


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    policy = load_policy(BENCHMARKS.parent / "policies" / "lumyn-support.v0.yml")
    with Gate.open(policy=policy, store=tmp_path / "lumyn.db", create=True) as opened:
        yield opened


def p95(seconds: list[float]) -> float:
    """The 95th percentile."""
    return sorted(seconds)[int(len(seconds) * 0.95)]


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def test_p95_is_a_small_multiple_of_a_bare_insert(
    gate: Gate, tmp_path: Path, requests: Callable[[int], list[dict[str, object]]]
) -> None:
    """Both wait for the same disk, call by call in turn."""
    asked = requests(CALLS + WARM_UP)
    text = gate.decide(asked[0]).to_json()
    inserts, decisions = [], []
    with closing(sqlite3.connect(tmp_path / "floor.db", isolation_level=None)) as floor:
        floor.execute("PRAGMA journal_mode = WAL")
        floor.execute("PRAGMA synchronous = FULL")
        floor.execute("CREATE TABLE records (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT")
        for place, request in enumerate(asked[1:]):
            inserts.append(timed(lambda: floor.execute("INSERT INTO records VALUES (?, ?)", (place, text))))  # noqa: B023
            decisions.append(timed(lambda: gate.decide(request)))  # noqa: B023
    ratio = p95(decisions[WARM_UP:]) / p95(inserts[WARM_UP:])
    print(f"p95 of decide over p95 of a bare durable insert: {ratio:.2f}", file=sys.stderr)
    assert ratio <= MOST_TIMES_THE_INSERT


def test_p95_does_not_grow_with_what_is_stored(gate: Gate, requests: Callable[[int], list[dict[str, object]]]) -> None:
    """The last third of a long run against the first."""
    asked = requests(3 * CALLS + WARM_UP)
    seconds = [timed(lambda: gate.decide(request)) for request in asked][WARM_UP:]  # noqa: B023
    growth = p95(seconds[-CALLS:]) / p95(seconds[:CALLS])
    print(f"p95 of the last {CALLS} of {len(asked)} decisions over that of the first: {growth:.2f}", file=sys.stderr)
    assert growth <= MOST_GROWTH
