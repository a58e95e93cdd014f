"""
Deciding stored decisions again: how much of each can be, and that nothing is claimed that is not known.
Records of every kind, profile and memory; candidates that read more; records that were tampered with.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from lumyn import (
    FixedClock,
    Gate,
    Policy,
    RedactionPolicy,
    RedactionProfile,
    ReplayStatus,
    SeededIds,
)
from lumyn.core.records import DecisionRecord, record_from_json
from lumyn.core.replay import replay_record
from lumyn.core.verify import verify
from lumyn.digest import canonical_text, freeze
from lumyn.policy.loader import parse_policy

Refund = Callable[..., dict[str, Any]]

SETTINGS = {
    "off": RedactionPolicy(profile=RedactionProfile.OFF),
    "default": RedactionPolicy(),
    "strict": RedactionPolicy(profile=RedactionProfile.STRICT),
    "custom": RedactionPolicy(remove=("/evidence/note", "/subject/roles", "/subject/id", "/extensions")),
}
KINDS: dict[str, dict[str, Any]] = {
    "trusted": {},
    "escalated": {"action__amount__value": 201},
    "asked": {"evidence__ticket_id": None},
    "undetermined": {"evidence__chargeback_risk": None},
    "wrong type": {"evidence__chargeback_risk": "0.9"},
    "unusable and missing": {"evidence__chargeback_risk": 7, "evidence__customer_age_days": " "},
    "converted": {"action__amount": {"value": "10.50", "currency": "EUR"}, "evidence__fx_rate_to_usd": 1.1},
    "rate out of bounds": {"action__amount": {"value": 10, "currency": "EUR"}, "evidence__fx_rate_to_usd": 9},
    "no rate": {"action__amount": {"value": 10, "currency": "EUR"}},
    "no amount": {"action__amount": None},
    "no evidence": {"evidence": {}},
    "unknown action": {"action__type": "support.close_ticket"},
    "with much else": {
        "tenant": {"tenant_id": "acme", "environment": "prod"},
        "subject__roles": ["lead"],
        "evidence__note": "n",
        "action__target": {"system": "shop", "resource_type": "order", "resource_id": "1"},
        "trace": {"correlation_id": "c"},
        "extensions": {"acme": {"note": 1}},
    },
    "what the caller took out": {
        "evidence__chargeback_risk": None,
        "evidence__ticket_id": None,
        "context__redaction": {
            "profile": "strict",
            "fields_removed": ["", "/action/amount", "/evidence", "/evidence/chargeback_risk", "/subject/roles"],
        },
    },
}


def open_gate(policy: Policy, redaction: RedactionPolicy, store: Any = "sqlite:///:memory:") -> Gate:
    return Gate.open(
        policy=policy,
        store=store,
        create=True,
        redaction=redaction,
        clock=FixedClock("2026-01-15T12:00:00Z"),
        ids=SeededIds("replay"),
    )


@pytest.fixture(params=list(SETTINGS))
def redaction(request: pytest.FixtureRequest) -> RedactionPolicy:
    return SETTINGS[request.param]


def edited(record: DecisionRecord, edit: Callable[[dict[str, Any]], object]) -> DecisionRecord:
    """Return the record with its document changed, as canonical text."""
    document = copy.deepcopy(record.to_dict())
    edit(document)
    return record_from_json(canonical_text(freeze(document)))


def facts_of(document: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = document["extensions"]["lumyn"]["facts"]
    return facts


def outcome(record: DecisionRecord | None) -> tuple[Any, ...]:
    assert record is not None
    return record.verdict, record.reason_codes, record.matched_rules


def candidate(policy: Policy, *rules: dict[str, Any], **members: Any) -> Policy:
    """Return the policy with more rules in front, and other members."""
    document = copy.deepcopy(policy.document)
    for place, rule in enumerate(rules):
        then = {"verdict": "ESCALATE", "reason_codes": ["NO_MATCH_DEFAULT_ESCALATE"]}
        document["rules"].insert(0, {"id": f"NEW{place}", "stage": "ESCALATIONS", "then": then, **rule})
    return parse_policy(json.dumps({**document, **members}), file="candidate.json")


# ---------------------------------------------------------------------------------------------------------------------
# Every kind of record, under the policy that decided


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_record_is_decided_again_as_it_was(
    policy: Policy, refund: Refund, redaction: RedactionPolicy, kind: str
) -> None:
    """In full and identically; with the facts in place of memory, the same outcome."""
    with open_gate(policy, redaction) as gate:
        first = gate.decide(refund(**KINDS[kind]))
        gate.label(first.decision_id, "failure")
        second = gate.decide(refund(**KINDS[kind], request_id="r-2"))
        gate.label(second.decision_id, "near_miss")
        for record in (first, second):
            replay = gate.replay(record.decision_id)
            assert (ReplayStatus.FULL, "", ()) == (replay.status, replay.reason, replay.differences)
            assert replay.identical
            assert record == replay.stored
            assert record.normalised() == (replay.record and replay.record.normalised())
        assert verify(gate.store, full=True).ok
    alone = replay_record(first, deciding=policy)
    assert alone.identical, "memory that saw nothing is always at hand"
    alone = replay_record(second, deciding=policy)
    assert (ReplayStatus.FACTS, (), False) == (alone.status, alone.differences, alone.identical)
    assert outcome(second) == outcome(alone.record)


@pytest.mark.parametrize("kind", list(KINDS))
def test_facts_hold_nothing_that_the_stored_request_does_not(
    policy: Policy, refund: Refund, redaction: RedactionPolicy, kind: str
) -> None:
    """So no redaction can be undone by looking at the facts."""
    with open_gate(policy, redaction) as gate:
        document = gate.decide(refund(**KINDS[kind])).to_dict()
    kept, facts = document["request"]["evidence"], facts_of(document)
    assert {key: kept[key] for key in facts["evidence"]} == facts["evidence"]
    assert kept.keys() >= {*facts.get("present", ()), *facts.get("invalid", ())}
    assert not any(key in kept and str(kept[key]).strip() for key in facts.get("missing", ()))


def test_a_decision_that_was_not_stored_has_no_facts_and_no_replay(policy: Policy, refund: Refund) -> None:
    """Storage had failed, so no rule was asked."""
    with Gate.open(policy=policy, store="sqlite:///nowhere/lumyn.db") as gate:
        record = gate.decide(refund())
    assert "facts" not in record.to_dict()["extensions"]["lumyn"]
    replay = replay_record(record, deciding=policy)
    assert (ReplayStatus.NO, None, False) == (replay.status, replay.record, replay.identical)
    assert "memory could not be read" in replay.reason
