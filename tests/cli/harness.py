"""What the tests of the command line share: the result of one, and the request most of them decide."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """Its output as JSON."""
        return json.loads(self.out)


Lumyn = Callable[..., Result]


def refund(**changes: object) -> dict[str, Any]:
    """Return a request that the support policy trusts; `changes` are evidence, None removes a key."""
    evidence: dict[str, object] = {
        "ticket_id": "T-1",
        "order_id": "O-1",
        "customer_id": "C-1",
        "customer_age_days": 400,
        "previous_refund_count_90d": 0,
        "chargeback_risk": 0.05,
        "payment_instrument_risk": "low",
    }
    evidence |= changes
    return {
        "schema_version": "decision_request.v0",
        "subject": {"type": "agent", "id": "support-agent"},
        "action": {"type": "support.refund", "intent": "Refund", "amount": {"value": "12.00", "currency": "USD"}},
        "evidence": {key: value for key, value in evidence.items() if value is not None},
        "context": {"mode": "inline", "inline": {}},
    }


def write(path: Path, document: object) -> str:
    """Write a document as JSON and return its path."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)
