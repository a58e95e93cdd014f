"""
The refund tool the support agent may call. No money moves unless a decision allows exactly this refund.
Knows the shop and the gate in front of it; must not know the limits, which are the policy's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import lumyn
from lumyn import DecisionRecord, LumynError, Verdict

Request = dict[str, Any]


class Status(StrEnum):
    """What became of a call."""

    PAID = "paid"
    NEEDS_APPROVAL = "needs approval"
    NEEDS_ANSWERS = "needs answers"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the agent is told: enough to answer the customer, and the decision anyone can look up."""

    status: Status
    message: str
    decision_id: str | None = None


class Payments(Protocol):
    """The payment provider."""

    def refund(self, *, order_id: str, amount: str, currency: str, idempotency_key: str) -> None: ...


class Approvals(Protocol):
    """Where people find what waits for them."""

    def ask(self, *, decision_id: str, request: Request, reasons: tuple[str, ...]) -> None: ...


class Signals(Protocol):
    """What the shop knows about an order, looked up by the shop and never taken from the agent."""

    def of_order(self, order_id: str) -> dict[str, Any]: ...


class RefundTool:
    """
    Refund an order, if the policy lets the agent do so.

    Args:
        decide: `lumyn.decide`, or the `decide` of a gate; tests pass one of their own.
    """

    def __init__(
        self,
        *,
        payments: Payments,
        approvals: Approvals,
        signals: Signals,
        decide: Callable[[Request], DecisionRecord] = lumyn.decide,
    ) -> None:
        self._payments = payments
        self._approvals = approvals
        self._signals = signals
        self._decide = decide

    def __call__(self, *, ticket_id: str, order_id: str, amount: str, currency: str, reason: str) -> Outcome:
        request = self._request(ticket_id, order_id, amount, currency, reason)
        try:
            record = self._decide(request)
        except LumynError as error:
            # What cannot be decided is not done.
            return Outcome(status=Status.REFUSED, message=f"The refund could not be decided: {error.reason_code}.")
        match record.verdict:
            case Verdict.TRUST:
                return self._pay(record, request)
            case Verdict.ESCALATE:
                self._approvals.ask(decision_id=record.decision_id, request=request, reasons=record.reason_codes)
                return _outcome(record, Status.NEEDS_APPROVAL, "A colleague will look at the refund.")
            case Verdict.QUERY:
                questions = " ".join(query.question for query in record.queries)
                return _outcome(record, Status.NEEDS_ANSWERS, questions)
            case Verdict.ABSTAIN:
                return _outcome(record, Status.REFUSED, "This refund cannot be paid.")

    def _request(self, ticket_id: str, order_id: str, amount: str, currency: str, reason: str) -> Request:
        return {
            "schema_version": "decision_request.v0",
            "request_id": f"refund-{ticket_id}-{order_id}",
            "subject": {"type": "agent", "id": "support-agent"},
            "action": {
                "type": "shop.refund",
                "intent": reason,
                "target": {"system": "payments", "resource_type": "order", "resource_id": order_id},
                "amount": {"value": amount, "currency": currency},
            },
            "evidence": {"ticket_id": ticket_id, "order_id": order_id, **self._signals.of_order(order_id)},
            "context": {"mode": "inline", "inline": {"tool": "refund", "reason": reason}},
        }

    def _pay(self, record: DecisionRecord, request: Request) -> Outcome:
        # Asked at the last moment, of the very request the payment is made from: a decision for something else, or
        # one that does not bind, pays nothing.
        if not record.authorizes(request):
            return _outcome(record, Status.REFUSED, "The decision is not about this refund.")
        action = request["action"]
        self._payments.refund(
            order_id=action["target"]["resource_id"],
            amount=action["amount"]["value"],
            currency=action["amount"]["currency"],
            # A retry of the same refund gets the same decision, and the provider pays it once.
            idempotency_key=record.decision_id,
        )
        return _outcome(record, Status.PAID, "The refund is on its way.")


def _outcome(record: DecisionRecord, status: Status, message: str) -> Outcome:
    return Outcome(status=status, message=message, decision_id=record.decision_id)
