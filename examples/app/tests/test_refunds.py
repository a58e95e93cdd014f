"""The refund tool moves money for a decision that allows it, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from shop_agent.refunds import Outcome, RefundTool, Request, Status

from lumyn import DecisionRecord, Gate

pytestmark = pytest.mark.lumyn(policy="policies/shop.yml")


@dataclass
class Shop:
    """The surroundings of the tool: what was paid, what was asked, what is known of each order."""

    paid: list[dict[str, str]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    known: dict[str, Any] = field(default_factory=lambda: {"order_refunded_before": False, "fraud_score": 0.1})

    def refund(self, **payment: str) -> None:
        if payment not in self.paid:
            self.paid.append(payment)

    def ask(self, **question: Any) -> None:
        self.asked.append(question)

    def of_order(self, order_id: str) -> dict[str, Any]:
        return self.known

    def tool(self, decide: Callable[[Request], DecisionRecord]) -> RefundTool:
        return RefundTool(payments=self, approvals=self, signals=self, decide=decide)


def refund(tool: RefundTool, **changes: str) -> Outcome:
    usual = {
        "ticket_id": "T-1",
        "order_id": "A-100",
        "amount": "25.00",
        "currency": "USD",
        "reason": "the parcel was damaged",
    }
    return tool(**(usual | changes))


def test_a_small_refund_is_paid_as_decided(lumyn_gate: Gate) -> None:
    shop = Shop()
    outcome = refund(shop.tool(lumyn_gate.decide))
    assert outcome.status is Status.PAID
    assert outcome.decision_id is not None
    assert shop.paid == [
        {"order_id": "A-100", "amount": "25.00", "currency": "USD", "idempotency_key": outcome.decision_id}
    ]


def test_a_retry_pays_once(lumyn_gate: Gate) -> None:
    shop = Shop()
    tool = shop.tool(lumyn_gate.decide)
    assert refund(tool) == refund(tool)
    assert len(shop.paid) == 1


def test_a_large_refund_waits_for_a_person(lumyn_gate: Gate) -> None:
    shop = Shop()
    outcome = refund(shop.tool(lumyn_gate.decide), amount="180.00")
    assert outcome.status is Status.NEEDS_APPROVAL
    assert shop.paid == []
    assert shop.asked[0]["decision_id"] == outcome.decision_id
    assert shop.asked[0]["reasons"] == ("SHOP_REFUND_LARGE",)


def test_a_refund_without_its_order_is_asked_about(lumyn_gate: Gate) -> None:
    shop = Shop()
    outcome = refund(shop.tool(lumyn_gate.decide), ticket_id="")
    assert outcome.status is Status.NEEDS_ANSWERS
    assert outcome.message == "Which ticket asks for the refund?"
    assert shop.paid == []


@pytest.mark.parametrize(
    "signals",
    [
        {"order_refunded_before": True, "fraud_score": 0.1},
        {"order_refunded_before": False, "fraud_score": 0.9},
        {"order_refunded_before": False, "fraud_score": "0.1"},
    ],
)
def test_a_blocked_refund_is_not_paid(lumyn_gate: Gate, signals: dict[str, Any]) -> None:
    shop = Shop(known=signals)
    assert refund(shop.tool(lumyn_gate.decide)).status is Status.REFUSED
    assert shop.paid == []


@pytest.mark.parametrize("amount", ["-25.00", "NaN", "25,00", "", "1e1"])
def test_what_is_no_amount_is_not_paid(lumyn_gate: Gate, amount: str) -> None:
    shop = Shop()
    assert refund(shop.tool(lumyn_gate.decide), amount=amount).status is Status.REFUSED
    assert shop.paid == []


def test_a_decision_about_another_refund_pays_nothing(lumyn_gate: Gate) -> None:
    shop = Shop()
    earlier: list[DecisionRecord] = []

    def stale(request: Request) -> DecisionRecord:
        earlier.append(lumyn_gate.decide(request))
        return earlier[0]

    tool = shop.tool(stale)
    assert refund(tool).status is Status.PAID
    assert refund(tool, order_id="A-101").status is Status.REFUSED
    assert [payment["order_id"] for payment in shop.paid] == ["A-100"]


def test_a_second_refund_under_the_same_ticket_and_order_is_refused(lumyn_gate: Gate) -> None:
    shop = Shop()
    tool = shop.tool(lumyn_gate.decide)
    assert refund(tool).status is Status.PAID
    outcome = refund(tool, amount="30.00")
    assert outcome.status is Status.REFUSED
    assert "IDEMPOTENCY_CONFLICT" in outcome.message
    assert len(shop.paid) == 1


def test_a_refund_like_one_that_was_charged_back_waits_for_a_person(lumyn_gate: Gate) -> None:
    shop = Shop()
    tool = shop.tool(lumyn_gate.decide)
    paid = refund(tool)
    assert paid.decision_id is not None
    lumyn_gate.label(paid.decision_id, "failure", note="charged back by the bank")
    assert refund(tool, ticket_id="T-2", order_id="A-101").status is Status.NEEDS_APPROVAL
    assert len(shop.paid) == 1


def test_without_a_store_nothing_is_paid(lumyn_gate: Gate) -> None:
    shop = Shop()
    with Gate.open(policy=lumyn_gate.policy, store="sqlite:///missing/lumyn.db") as gate:
        assert refund(shop.tool(gate.decide)).status is Status.REFUSED
    assert shop.paid == []
