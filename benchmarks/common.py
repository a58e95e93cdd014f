"""
What the benchmarks share: requests, and timing that compares contenders inside one run.
Shared machines drift, so contenders take turns and only ratios of the same run are worth quoting.
"""

from __future__ import annotations

import argparse
import copy
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SUPPORT_POLICY = ROOT / "policies" / "lumyn-support.v0.yml"

REFUND: dict[str, Any] = {
    "schema_version": "decision_request.v0",
    "subject": {"type": "agent", "id": "agent-1", "tenant_id": "acme"},
    "action": {
        "type": "support.refund",
        "intent": "Refund a duplicate charge on the order",
        "target": {"system": "payments", "resource_type": "charge", "resource_id": "ch_1"},
        "amount": {"value": 12.5, "currency": "USD"},
        "tags": ["duplicate_charge"],
    },
    "evidence": {
        "ticket_id": "ZD-1001",
        "order_id": "82731",
        "customer_id": "C-9",
        "customer_age_days": 180,
        "previous_refund_count_90d": 0,
        "chargeback_risk": 0.05,
        "payment_instrument_risk": "low",
    },
    "context": {"mode": "digest_only", "digest": "sha256:" + "1" * 64},
}


def requests(count: int) -> list[dict[str, Any]]:
    """Return `count` support requests of mixed outcome, each with its own `request_id`."""
    changes: tuple[Callable[[dict[str, Any]], object], ...] = (
        lambda request: None,
        lambda request: request["action"]["amount"].update(value=201),
        lambda request: request["action"]["amount"].update(value=60.25),
        lambda request: request["evidence"].pop("ticket_id"),
        lambda request: request["evidence"].update(payment_instrument_risk="high"),
        lambda request: request["evidence"].update(chargeback_risk=0.5),
        lambda request: request["evidence"].update(customer_age_days=3),
        lambda request: (
            request["action"]["amount"].update(currency="EUR"),
            request["evidence"].update(fx_rate_to_usd=1.08),
        ),
    )
    made = []
    for number in range(count):
        request = copy.deepcopy(REFUND)
        changes[number % len(changes)](request)
        request["request_id"] = f"bench-{number}"
        made.append(request)
    return made


def interleaved(
    contenders: Mapping[str, Callable[[int], object]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """
    Time each contender once a round, in turn.

    Args:
        contenders: Name -> callable that takes the number of the round.

    Returns:
        Name -> seconds of each round.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    # The inputs are the benchmark's own: the collector shall not walk them on any contender's time.
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        for name, run in contenders.items():
            began = clock()
            run(number)
            times[name].append(clock() - began)
    return times


def microseconds(times: list[float], *, per: int = 1) -> float:
    """Return the median in microseconds for each of `per` repetitions."""
    return statistics.median(times) / per * 1e6


def report(goal: str, ratio: float, limit: float, *, at_least: bool = False) -> bool:
    """Print one goal with its ratio and return whether it is met."""
    met = ratio >= limit if at_least else ratio <= limit
    sign = ">=" if at_least else "<="
    print(f"  {'ok  ' if met else 'MISS'} {goal}: {ratio:.2f} (goal {sign} {limit:g})")
    return met


def arguments(description: str, *, rounds: int) -> argparse.Namespace:
    """Return the parsed command line: `--rounds N` and `--check`, which exits 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"repetitions, {rounds} unless told")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    return parser.parse_args()
