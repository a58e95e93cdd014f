"""A gate that is watched, and requests whose every value is a secret that must not be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumyn import FixedClock, Gate, SeededIds
from lumyn.telemetry import Observer

POLICY = """
schema_version: policy.v0
policy_id: watched
policy_version: 1.0.0
defaults: { default_verdict: ESCALATE, default_reason_code: NO_MATCH_DEFAULT_ESCALATE }
evidence:
  note: { type: string }
rules:
  - id: R10
    stage: TRUST_PATHS
    when: { action_type_in: [support.refund] }
    if_all: [{ amount_usd_lte: 25 }, { evidence.note_present: true }]
    then: { verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK] }
"""
SECRET = "hush-4711"


def request(**changes: Any) -> dict[str, Any]:
    """A refund that is trusted; whatever the caller chose freely holds the secret."""
    return {
        "schema_version": "decision_request.v0",
        "request_id": f"r-{SECRET}",
        "tenant": {"tenant_id": f"t-{SECRET}"},
        "subject": {"type": "service", "id": f"s-{SECRET}", "ip": "192.0.2.1"},
        "action": {
            "type": "support.refund",
            "intent": f"pay {SECRET}",
            "target": {"system": "stripe", "resource_id": f"ch-{SECRET}"},
            "amount": {"value": 12.5, "currency": "USD"},
        },
        "evidence": {"note": SECRET},
        "context": {"mode": "inline", "inline": {"text": SECRET}},
        **changes,
    }


@pytest.fixture
def watched(tmp_path: Path) -> Callable[..., Gate]:
    def open_gate(*observers: Observer, create: bool = True) -> Gate:
        path = tmp_path / "policy.yml"
        path.write_text(POLICY, encoding="utf-8")
        return Gate.open(
            policy=path,
            store=tmp_path / "lumyn.db",
            create=create,
            clock=FixedClock("2026-01-15T12:00:00Z"),
            ids=SeededIds("telemetry"),
            observers=observers,
        )

    return open_gate
