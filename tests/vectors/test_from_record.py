"""A record becomes a vector: what bore on it is in it, and it gives what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.harness import refund

from lumyn import DecisionRecord, FixedClock, Gate, Policy, SeededIds, load_policy
from lumyn._resources import policies_dir
from lumyn.engine.similarity import MemorySnapshot
from lumyn.policy.loader import parse_policy
from lumyn.vectors.from_record import consulted, request_of, seed_of, vector_from_record
from lumyn.vectors.incident import load_vector
from lumyn.vectors.runner import Outcome, run
from lumyn.vectors.writing import yaml_text

ROOT = policies_dir()


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(ROOT / "lumyn-support.v0.yml")


@pytest.fixture
def gate(policy: Policy) -> Iterator[Gate]:
    with new_gate(policy) as opened:
        yield opened


def new_gate(policy: Policy, redaction: str = "default") -> Gate:
    return Gate.open(
        policy=policy,
        store="sqlite:///:memory:",
        create=True,
        clock=FixedClock("2026-01-15T12:00:00Z"),
        ids=SeededIds("incident"),
        redaction=redaction,
    )


def seen(gate: Gate, record: DecisionRecord) -> MemorySnapshot:
    """Return the memory that a decision saw; the tests label nothing after it."""
    tenant = gate.store.decision(record.decision_id).tenant_id
    memory = MemorySnapshot(gate.store.memory_items(tenant, "support.refund"))
    assert memory.digest == record.memory_snapshot
    return memory


def rerun(gate: Gate, record: DecisionRecord) -> DecisionRecord:
    """Make a vector of a record, run it, and return what came out of it."""
    made = vector_from_record(
        record,
        policies=(gate.policy,),
        policy_file="lumyn-support.v0.yml",
        memory=seen(gate, record),
        name="incident",
        why="a test",
    )
    vector = load_vector(yaml_text(made.document), path=Path(ROOT, "incident.yml"), root=ROOT, policy=gate.policy)
    assert () == vector.problems
    result = run(vector)
    assert Outcome.PASSED is result.outcome, result.drifts
    assert result.record is not None
    return result.record


def similar(record: DecisionRecord) -> list[tuple[Any, ...]]:
    return [(match.label, match.score, match.summary) for match in record.top_k]


REQUESTS = {
    "trusted": refund(),
    "asked": refund(order_id=None),
    "blocked": refund(chargeback_risk=0.9),
    "mistyped": refund(chargeback_risk="0.9"),
    "tenant": refund() | {"tenant": {"tenant_id": "acme", "environment": "prod"}},
    "subject": refund() | {"subject": {"type": "user", "id": "u", "tenant_id": "acme", "roles": ["x"], "ip": "::1"}},
    "euro": refund(fx_rate_to_usd=1.1)
    | {"action": {"type": "support.refund", "intent": "x", "amount": {"value": 10, "currency": "EUR"}}},
    "no rate": refund()
    | {"action": {"type": "support.refund", "intent": "x", "amount": {"value": 10, "currency": "EUR"}}},
    "no amount": refund() | {"action": {"type": "support.refund", "intent": "x", "tags": ["a", "b"]}},
    "pinned": refund()
    | {"policy": {"policy_id": "lumyn-support"}, "hints": {"mode": "enforce"}, "request_id": "r", "trace": {}},
    "extended": refund() | {"extensions": {"x.y": {"deep": [1, {"a": None}]}}},
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("redaction", ["off", "strict"])
def test_whatever_was_decided_comes_out_again(policy: Policy, name: str, redaction: str) -> None:
    """With experience of every label in memory, made of every request."""
    with new_gate(policy, redaction) as gate:
        for label, request in zip(["failure", "near_miss", "success"] * 4, REQUESTS.values(), strict=False):
            gate.label(gate.decide(request).decision_id, label)
        request = {key: value for key, value in REQUESTS[name].items() if key != "request_id"}
        record = gate.decide(request)
        again = rerun(gate, record)
    assert (record.verdict, record.reason_codes) == (again.verdict, again.reason_codes)
    assert (record.matched_rules, record.queries) == (again.matched_rules, again.queries)
    assert (record.failure_similarity, similar(record)) == (again.failure_similarity, similar(again))


def test_only_what_bore_on_it_is_taken_over(gate: Gate) -> None:
    """Of a hundred experiences: the five that are listed, and the failure that gives the score though none lists it."""
    gate.label(gate.decide(refund(chargeback_risk=0.5, customer_age_days=3)).decision_id, "failure", note="the one")
    for number in range(100):
        gate.label(gate.decide(refund(ticket_id=f"T-{number}")).decision_id, "success")
    record = gate.decide(refund(ticket_id="last"))
    assert all(match.summary != "the one" for match in record.top_k)
    assert 0 < record.failure_similarity < 1
    items = consulted(record, (gate.policy,), seen(gate, record))
    assert 6 == len(items)
    assert "the one" in {item.summary for item in items}
    assert record.failure_similarity == rerun(gate, record).failure_similarity


def test_a_score_below_what_is_listed_still_has_its_item(policy: Policy) -> None:
    text = (ROOT / "lumyn-support.v0.yml").read_text(encoding="utf-8") + "\nmemory: { min_score: 0.9, top_k: 1 }\n"
    strict = parse_policy(text)
    with new_gate(strict) as gate:
        gate.label(gate.decide(refund(chargeback_risk=0.5, customer_age_days=3)).decision_id, "failure")
        record = gate.decide(refund())
        assert () == record.top_k
        assert 0 < record.failure_similarity
        assert 1 == len(consulted(record, (strict,), seen(gate, record)))


def test_a_near_miss_gives_half_its_score(gate: Gate) -> None:
    gate.label(gate.decide(refund(chargeback_risk=0.5)).decision_id, "near_miss")
    record = gate.decide(refund())
    assert 0 < record.failure_similarity < 1
    assert record.failure_similarity == rerun(gate, record).failure_similarity


def test_taken_back_and_superseded_labels_are_not_in_it(gate: Gate) -> None:
    first = gate.decide(refund(ticket_id="T-1"))
    gate.label(first.decision_id, "success", note="milder")
    gate.label(first.decision_id, "failure", note="graver")
    record = gate.decide(refund(ticket_id="T-2"))
    (item,) = consulted(record, (gate.policy,), seen(gate, record))
    assert "graver" == item.summary


@pytest.mark.parametrize("rate", [1.1, 0.8, 1.6, 1.0931])
@pytest.mark.parametrize("value", ["0.01", "19.99", "200.00", "181.83"])
def test_amounts_in_other_currencies_are_compared_alike(gate: Gate, value: str, rate: float) -> None:
    amount = {"value": value, "currency": "EUR"}
    request = refund(fx_rate_to_usd=rate) | {
        "action": {"type": "support.refund", "intent": "x", "amount": amount, "target": {"system": "payments"}}
    }
    item = gate.label(gate.decide(request).decision_id, "failure")
    seed, rebuilt = seed_of(item, (gate.policy,))
    assert rebuilt
    assert "EUR" == seed["request"]["action"]["amount"]["currency"]  # type: ignore[index,call-overload]


def test_what_no_rule_reads_is_left_out(gate: Gate) -> None:
    record = gate.decide(REQUESTS["pinned"] | {"extensions": {"a.b": {}}})
    request, notes = request_of(record)
    assert {"subject", "action", "evidence"} == request.keys()
    assert [] == notes


def test_what_redaction_took_is_noted(policy: Policy) -> None:
    with new_gate(policy, "strict") as gate:
        record = gate.decide(refund(note="x", other=1) | {"subject": {"type": "user", "id": "u", "ip": "::1"}})
    _, notes = request_of(record)
    assert ["redacted before it was stored, so not in here: /evidence/note, /evidence/other, /subject/ip"] == notes


def test_no_memory_that_it_saw_means_none(gate: Gate) -> None:
    record = gate.decide(refund())
    assert () == consulted(record, (gate.policy,), MemorySnapshot())
