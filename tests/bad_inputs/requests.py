"""The requests that the catalogue spoils, and what it expects of the result."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumyn.documents.pointers import pointer_tokens

__all__ = ["CHANGE_EMAIL", "CREDIT", "DELETE", "POLICY_FILE", "REFUND", "TEXT", "Decided", "Refused", "changed", "text"]

POLICY_FILE = Path(__file__).with_name("policy.yml")

REFUND: dict[str, Any] = {
    "schema_version": "decision_request.v0",
    "request_id": "case-1",
    "subject": {"type": "agent", "id": "desk-7", "tenant_id": "acme"},
    "action": {
        "type": "support.refund",
        "intent": "Refund a duplicate charge",
        "amount": {"value": 12.0, "currency": "USD"},
        "tags": ["duplicate_charge"],
    },
    "evidence": {
        "ticket_id": "T-1001",
        "order_id": "82731",
        "customer_id": "C-9",
        "customer_age_days": 180,
        "previous_refund_count_90d": 0,
        "chargeback_risk": 0.05,
        "payment_instrument_risk": "low",
    },
    "context": {"mode": "digest_only", "digest": "sha256:" + "1" * 64},
}
"""Trusted as it is."""

CREDIT: dict[str, Any] = {
    **REFUND,
    "action": {**REFUND["action"], "type": "support.issue_credit"},
    "evidence": {
        "ticket_id": "T-1001",
        "customer_id": "C-9",
        "reason_code": "late",
        "payment_instrument_risk": "low",
    },
}
"""Trusted as it is; the trust path does not repeat what the block asks."""

CHANGE_EMAIL: dict[str, Any] = {
    **REFUND,
    "action": {"type": "account.change_email", "intent": "Change the address"},
    "evidence": {
        "user_id": "U-1",
        "new_email": "a@example.com",
        "verification_method": "otp",
        "account_takeover_risk": 0.1,
    },
}
"""Trusted as it is, without any condition."""

TEXT = json.dumps(REFUND).replace("12.0", "12.00")

DELETE = object()


@dataclass(frozen=True)
class Refused:
    """An invalid request; `pointer` None where there is no one place."""

    code: str
    pointer: str | None = None


@dataclass(frozen=True)
class Decided:
    """A record with this verdict, and exactly these reason codes from the rules that decided."""

    verdict: str
    codes: tuple[str, ...]


def changed(changes: dict[str, Any], base: dict[str, Any] = REFUND) -> dict[str, Any]:
    """Return a copy of `base` with new values at JSON Pointers; `DELETE` takes one away."""
    request = copy.deepcopy(base)
    for pointer, value in changes.items():
        *parents, last = pointer_tokens(pointer)
        node = request
        for parent in parents:
            node = node[parent]
        if value is DELETE:
            del node[last]
        else:
            node[last] = value
    return request


def text(old: str, new: str) -> str:
    """Return the refund as JSON text with one thing in it written otherwise."""
    if TEXT.count(old) != 1:
        raise ValueError(f"{old!r} occurs {TEXT.count(old)} times")
    return TEXT.replace(old, new)
