"""A gate with the starter policy, a decision that memory bears on, and its pack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from cli.harness import refund

from lumyn import DecisionRecord, FixedClock, Gate, Policy, SeededIds, load_policy
from lumyn._resources import policies_dir
from lumyn.packs import pack_decision
from lumyn.store.journal import InspectableStore

POLICY_FILE = policies_dir() / "lumyn-support.v0.yml"


@pytest.fixture(scope="session")
def policy() -> Policy:
    return load_policy(POLICY_FILE)


def new_gate(policy: Policy, redaction: str = "default") -> Gate:
    """Return a gate on a store in memory, with pinned time and ids."""
    return Gate.open(
        policy=policy,
        store="sqlite:///:memory:",
        create=True,
        clock=FixedClock("2026-01-15T12:00:00Z"),
        ids=SeededIds("packs"),
        redaction=redaction,
    )


@pytest.fixture
def gate(policy: Policy) -> Iterator[Gate]:
    with new_gate(policy) as opened:
        yield opened


@pytest.fixture
def escalated(gate: Gate) -> DecisionRecord:
    """A refund that is escalated because one like it was labelled a failure; another label is a success."""
    first = gate.decide(refund(ticket_id="T-1"))
    gate.label(first.decision_id, "failure", note="duplicate charge")
    other = gate.decide(refund(ticket_id="T-2", customer_age_days=20))
    gate.label(other.decision_id, "success")
    return gate.decide(refund(ticket_id="T-3"))


def packed(gate: Gate, decision_id: str) -> bytes:
    """Return the pack of a decision."""
    return pack_decision(cast("InspectableStore", gate.store), decision_id)


@pytest.fixture
def pack(gate: Gate, escalated: DecisionRecord) -> bytes:
    return packed(gate, escalated.decision_id)
