"""A gate on the support policy with a pinned clock, and the small refund that it trusts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lumyn import FixedClock, Gate, Policy, SeededIds, load_policy

POLICY_FILE = Path(__file__).parents[2] / "policies" / "lumyn-support.v0.yml"

REFUND: dict[str, Any] = {
    "schema_version": "decision_request.v0",
    "request_id": "req-0001",
    "subject": {"type": "agent", "id": "agent-1", "tenant_id": "acme"},
    "action": {
        "type": "support.refund",
        "intent": "Refund duplicate charge",
        "amount": {"value": 12.0, "currency": "USD"},
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


def refund(**changes: Any) -> dict[str, Any]:
    """The small refund; a keyword is a path with `__` for the dots, None deletes."""
    request = copy.deepcopy(REFUND)
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = request
        for parent in parents:
            node = node.setdefault(parent, {})
        if value is None:
            node.pop(last, None)
        else:
            node[last] = value
    return request


@pytest.fixture(scope="session")
def policy() -> Policy:
    return load_policy(POLICY_FILE)


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / ".lumyn" / "lumyn.db"


@pytest.fixture
def gate(policy: Policy, store_path: Path) -> Iterator[Gate]:
    with Gate.open(
        policy=policy,
        store=store_path,
        create=True,
        clock=FixedClock("2026-01-15T12:00:00Z"),
        ids=SeededIds("core"),
    ) as opened:
        yield opened


@pytest.fixture(name="refund")
def refund_fixture() -> Callable[..., dict[str, Any]]:
    return refund
