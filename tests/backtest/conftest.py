"""A history of two tenants with labels in between, and policies to try on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lumyn import FixedClock, Gate, Policy, SeededIds
from lumyn.policy.loader import parse_policy
from lumyn.store.base import Store

POLICY = """
schema_version: policy.v0
policy_id: backtested
policy_version: "1"
defaults: { default_verdict: ESCALATE, default_reason_code: NO_MATCH_DEFAULT_ESCALATE }
thresholds: { trust_up_to_usd: 25, similar: 0.8 }
evidence:
  risk: { type: number, min: 0, max: 1 }
  city: { type: string }
rules:
  - id: R10
    stage: ESCALATIONS
    when: { action_type_in: [support.refund] }
    if_all: [{ risk.failure_similarity_gte: { threshold: similar } }]
    then: { verdict: ESCALATE, reason_codes: [FAILURE_MEMORY_SIMILAR_ESCALATE] }
  - id: R20
    stage: TRUST_PATHS
    when: { action_type_in: [support.refund] }
    if_all: [{ amount_usd_lte: { threshold: trust_up_to_usd } }, { evidence.risk_lt: 0.5 }]
    then: { verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK], obligations: [{ type: log }] }
"""


def policy(**edits: str) -> Policy:
    """The policy with each `old=new` text replaced; names stand for the texts in `EDITS`."""
    text = POLICY
    for name, new in edits.items():
        old = EDITS[name]
        text = text.replace(old, new.replace("\\n", "\n"))
    return parse_policy(text)


EDITS = {
    "limit": "trust_up_to_usd: 25",
    "similar": "similar: 0.8",
    "risk": "{ evidence.risk_lt: 0.5 }",
    "code": "REFUND_SMALL_LOW_RISK",
    "obligation": ", obligations: [{ type: log }]",
}


def request(amount: float, risk: float = 0.1, *, tenant: str = "acme", **evidence: Any) -> dict[str, Any]:
    return {
        "schema_version": "decision_request.v0",
        "subject": {"type": "agent", "id": "a"},
        "tenant": {"tenant_id": tenant},
        "action": {"type": "support.refund", "intent": "Refund", "amount": {"value": amount, "currency": "USD"}},
        "evidence": {"risk": risk, **evidence},
        "context": {"mode": "inline", "inline": {}},
    }


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with Gate.open(
        policy=policy(),
        store=tmp_path / "lumyn.db",
        create=True,
        clock=FixedClock("2026-01-15T12:00:00Z"),
        ids=SeededIds("backtest"),
    ) as opened:
        yield opened


@pytest.fixture
def store(gate: Gate) -> Store:
    """
    Six decisions. Of `acme`: trusted at 12, labelled a failure, so that 12 escalates; 200 does by default. Of `other`,
    where nothing is known of failures: 12 and 24 are trusted, 30 escalates by default.
    """
    first = gate.decide(request(12))
    gate.decide(request(12, tenant="other"))
    gate.label(first.decision_id, "failure")
    gate.decide(request(12))
    gate.decide(request(30, 0.2, tenant="other"))
    gate.decide(request(200, 0.9))
    gate.decide(request(24, 0.3, tenant="other"))
    return gate.store
