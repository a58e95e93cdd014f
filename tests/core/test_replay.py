"""
Deciding stored decisions again: how much of each can be, and that nothing is claimed that is not known.
Records of every kind, profile and memory; candidates that read more; records that were tampered with.
"""

from __future__ import annotations

import copy
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lumyn import (
    FixedClock,
    Gate,
    Policy,
    RedactionPolicy,
    RedactionProfile,
    ReplayStatus,
    SeededIds,
    Verdict,
)
from lumyn._resources import schema
from lumyn.core.records import DecisionRecord, record_from_json
from lumyn.core.replay import SCORE, replay_record, reread
from lumyn.core.verify import verify
from lumyn.digest import canonical_text, freeze
from lumyn.engine.compiled import compile_policy
from lumyn.engine.similarity import MemorySnapshot
from lumyn.policy.loader import parse_policy
from lumyn.policy.operators import SUBJECTS

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


# ---------------------------------------------------------------------------------------------------------------------
# Other policies: what they read has to be known

UNTYPED_NOTE = {"when": {"action_type": "support.refund"}, "if": {"evidence.note_present": True}}
COMPARED_NOTE = {"when": {"action_type": "support.refund"}, "if": {"evidence.note_is": "n"}}
ROLES = {"when": {"action_type": "support.refund"}, "if": {"subject.roles_contains": "lead"}}
ELSEWHERE = {"when": {"action_type": "support.close_ticket"}, "if": {"evidence.note_is": "n"}}


@pytest.mark.parametrize(
    ("name", "rule", "unknown"),
    [
        ("off", COMPARED_NOTE, ()),
        ("default", COMPARED_NOTE, ()),
        ("strict", COMPARED_NOTE, ("/evidence/note",)),
        ("strict", UNTYPED_NOTE, ("/evidence/note",)),
        ("custom", COMPARED_NOTE, ("/evidence/note",)),
        ("custom", ROLES, ("/subject/roles",)),
        ("strict", ROLES, ()),
        ("custom", ELSEWHERE, ()),
    ],
)
def test_a_candidate_is_told_what_redaction_took_from_it(
    policy: Policy, refund: Refund, name: str, rule: dict[str, Any], unknown: tuple[str, ...]
) -> None:
    """A rule that reads what was removed cannot be evaluated; one that reads what is there, or elsewhere, can."""
    request = refund(evidence__note="n", subject__roles=["lead"])
    with open_gate(policy, SETTINGS[name]) as gate:
        record = gate.decide(request)
        replay = gate.replay(record.decision_id, policy=candidate(policy, rule))
    if unknown:
        assert (ReplayStatus.VERDICT_ONLY, unknown, None) == (replay.status, replay.unknown, replay.record)
        assert all(f"`{pointer}`" in replay.reason for pointer in unknown)
        assert not replay.identical
    else:
        assert (ReplayStatus.FULL, "") == (replay.status, replay.reason)
        fired = [each.rule_id for each in outcome(replay.record)[2]]
        assert (rule is not ELSEWHERE) == ("NEW0" in fired)
        assert not replay.identical, "another policy decided"


def test_what_is_not_there_and_was_not_removed_was_absent(policy: Policy, refund: Refund) -> None:
    """Not listed as removed means that the request did not have it."""
    with open_gate(policy, SETTINGS["strict"]) as gate:
        record = gate.decide(refund())
        replay = gate.replay(record.decision_id, policy=candidate(policy, COMPARED_NOTE))
    assert ReplayStatus.FULL is replay.status
    assert "NEW0" not in [each.rule_id for each in outcome(replay.record)[2]]


@pytest.mark.parametrize("listed", ["", "/evidence", "/evidence/note", "/evidence/note/0"])
def test_a_pointer_around_a_key_or_within_it_makes_it_unknown(policy: Policy, refund: Refund, listed: str) -> None:
    """Callers may list what they took out themselves; where the key was read by no rule, nobody knows of it."""
    note = {"profile": "default", "fields_removed": [listed]}
    with open_gate(policy, SETTINGS["default"]) as gate:
        record = gate.decide(refund(context__redaction=note))
        replay = gate.replay(record.decision_id, policy=candidate(policy, COMPARED_NOTE))
        assert "/evidence/note" in replay.unknown
        assert ReplayStatus.VERDICT_ONLY is replay.status
        assert gate.replay(record.decision_id).identical, "no caller can keep a decision from being checked"


# One condition on each subject that holds of the request below.
HOLDS: dict[str, dict[str, Any]] = {
    "amount_usd": {"amount_usd_lt": 13},
    "amount_currency": {"amount_currency_is": "EUR"},
    "evidence.": {"evidence.city_is": "Graz"},
    "risk.failure_similarity": {"risk.failure_similarity_gt": 0.1},
    "risk.uncertainty": {"risk.uncertainty_lt": 1},
    "subject.type": {"subject.type_is": "agent"},
    "tenant.environment": {"tenant.environment_is": "prod"},
    "subject.roles": {"subject.roles_contains": "lead"},
    "action.tags": {"action.tags_contains": "duplicate_charge"},
}


@pytest.mark.parametrize("subject", list(SUBJECTS))
@pytest.mark.parametrize("profile", list(RedactionProfile))
def test_whatever_a_policy_reads_it_can_read_again(
    policy: Policy, refund: Refund, subject: str, profile: RedactionProfile
) -> None:
    """Each subject of the operator table, under each profile: in the record, and known without the store."""
    reader = candidate(policy, {"if": HOLDS[subject]})
    asked = refund(
        action__amount={"value": "10.50", "currency": "EUR"},
        evidence__fx_rate_to_usd=1.1,
        evidence__city="Graz",
        evidence__note="n",
        subject__roles=["lead"],
        tenant={"tenant_id": "acme", "environment": "prod"},
    )
    with open_gate(reader, RedactionPolicy(profile=profile, remove=("/evidence/note", "/subject/id"))) as gate:
        gate.label(gate.decide(asked).decision_id, "failure")
        record = gate.decide({**asked, "request_id": "r-2"})
        replay = gate.replay(record.decision_id)
    assert "NEW0" in [rule.rule_id for rule in record.matched_rules]
    assert replay.identical
    alone = replay_record(record, deciding=reader)
    assert (ReplayStatus.FACTS, ()) == (alone.status, alone.differences)


def without(record: DecisionRecord, key: str) -> DecisionRecord:
    """Return the record with one more evidence key removed, as if a stricter hand had passed it on."""

    def edit(document: dict[str, Any]) -> None:
        del document["request"]["evidence"][key]
        document["request"]["context"]["redaction"] = {"profile": "strict", "fields_removed": [f"/evidence/{key}"]}

    return edited(record, edit)


def test_facts_stand_in_for_a_compared_value(policy: Policy, refund: Refund) -> None:
    """The outcome is the same, under a candidate too; and no more than that is said."""
    stricter = candidate(policy, {"if": {"evidence.chargeback_risk_gte": 0.05}})
    with open_gate(policy, SETTINGS["off"]) as gate:
        record = gate.decide(refund())
        expected = gate.replay(record.decision_id, policy=stricter)
    assert Verdict.ESCALATE is outcome(expected.record)[0]
    holed = without(record, "chargeback_risk")
    replay = replay_record(holed, deciding=policy, policy=stricter)
    assert ReplayStatus.FACTS is replay.status
    assert outcome(expected.record) == outcome(replay.record)
    assert {"verdict", "reason_codes", "matched_rules"} == {each.path for each in replay.differences}
    own = replay_record(holed, deciding=policy)
    assert (ReplayStatus.FACTS, (), False) == (own.status, own.differences, own.identical)


def test_presence_is_enough_only_where_nothing_compares_the_value(policy: Policy, refund: Refund) -> None:
    """Of an identifier the facts know that it was there, and neither its type nor what it equals."""
    evidence: Any = {key: spec for key, spec in policy.document["evidence"].items() if key != "ticket_id"}  # type: ignore[union-attr]
    untyped = candidate(policy, evidence=evidence)
    with open_gate(untyped, SETTINGS["off"]) as gate:
        holed = without(gate.decide(refund()), "ticket_id")
    own = replay_record(holed, deciding=untyped)
    assert (ReplayStatus.FACTS, ()) == (own.status, own.differences)
    present = replay_record(holed, policy=candidate(untyped, {"if": {"evidence.ticket_id_present": True}}))
    assert ReplayStatus.FACTS is present.status
    assert "NEW0" in [each.rule_id for each in outcome(present.record)[2]]
    for asked in (
        candidate(untyped, {"if": {"evidence.ticket_id_is": "ZD-1001"}}),
        candidate(untyped, evidence={**evidence, "ticket_id": {"type": "integer"}}),
    ):
        replay = replay_record(holed, deciding=untyped, policy=asked)
        assert (ReplayStatus.VERDICT_ONLY, ("/evidence/ticket_id",)) == (replay.status, replay.unknown)


def test_a_key_of_which_the_facts_know_nothing_is_unknown(policy: Policy, refund: Refund) -> None:
    """Taken out of the request and of the facts, it is known to nobody, the deciding policy included."""
    with open_gate(policy, SETTINGS["off"]) as gate:
        record = gate.decide(refund())

    def edit(document: dict[str, Any]) -> None:
        del facts_of(document)["evidence"]["chargeback_risk"]

    replay = replay_record(edited(without(record, "chargeback_risk"), edit), deciding=policy)
    assert (ReplayStatus.VERDICT_ONLY, ("/evidence/chargeback_risk",)) == (replay.status, replay.unknown)


def test_what_was_taken_out_later_is_unknown_to_the_policy_that_decided_too(policy: Policy, refund: Refund) -> None:
    """Redaction removes nothing it reads; the inputs digest tells whether the request is the one that was kept."""
    reader = candidate(policy, ROLES)
    with open_gate(reader, SETTINGS["off"]) as gate:
        record = gate.decide(refund(subject__roles=["lead"]))

    def edit(document: dict[str, Any]) -> None:
        del document["request"]["subject"]["roles"]
        document["request"]["context"]["redaction"] = {"profile": "off", "fields_removed": ["/subject/roles"]}

    holed = edited(record, edit)
    replay = replay_record(holed, deciding=reader)
    assert (ReplayStatus.VERDICT_ONLY, ("/subject/roles",)) == (replay.status, replay.unknown)
    # What explanations and the comparison after a label read is held to the same.
    plan = compile_policy(reader).plan("support.refund")
    assert () == reread(record, plan).unknown
    assert ("/subject/roles",) == reread(holed, plan).unknown


# ---------------------------------------------------------------------------------------------------------------------
# Memory


@pytest.fixture
def remembered(policy: Policy, refund: Refund) -> DecisionRecord:
    """A decision that saw one failure just like it."""
    with open_gate(policy, SETTINGS["default"]) as gate:
        gate.label(gate.decide(refund()).decision_id, "failure")
        return gate.decide(refund(request_id="r-2"))


def test_the_score_stands_in_for_memory_where_both_compare_alike(policy: Policy, remembered: DecisionRecord) -> None:
    """Same features, weights and bands, and the same seen of the request."""
    alike = candidate(policy, thresholds={**policy.document["thresholds"]}, policy_version="9")  # type: ignore[dict-item]
    replay = replay_record(remembered, deciding=policy, policy=alike)
    assert (ReplayStatus.FACTS, ()) == (replay.status, replay.differences)
    assert outcome(remembered) == outcome(replay.record)
    unsure = replay_record(remembered, policy=alike)
    assert (ReplayStatus.VERDICT_ONLY, (SCORE,)) == (unsure.status, unsure.unknown)


@pytest.mark.parametrize(
    "members",
    [
        {"memory": {"weights": {"tags": 2}}},
        {"memory": {"features": ["action_type"]}},
        {"memory": {"bands": {"amount_usd": [12.5]}}},
        {"evidence": {"chargeback_risk": {"type": "number", "min": 0.06, "max": 1}}},
        {"fx_bounds": {"EUR": [0.8, 1.6]}, "evidence": {"customer_age_days": {"type": "integer", "max": 100}}},
    ],
)
def test_a_candidate_that_compares_otherwise_cannot_use_the_score(
    policy: Policy, remembered: DecisionRecord, members: dict[str, Any]
) -> None:
    """Other weights, or another view of the request, would have measured something else."""
    evidence: Any = policy.document["evidence"]
    if "evidence" in members:
        members = {**members, "evidence": {**evidence, **members["evidence"]}}
    replay = replay_record(remembered, deciding=policy, policy=candidate(policy, **members))
    assert (ReplayStatus.VERDICT_ONLY, (SCORE,), None) == (replay.status, replay.unknown, replay.record)


def test_a_candidate_that_asks_no_memory_needs_none(policy: Policy, remembered: DecisionRecord) -> None:
    """What it does not read cannot be missing."""
    document = copy.deepcopy(policy.document)
    rules: Any = document["rules"]
    document["rules"] = [rule for rule in rules if "failure_similarity" not in json.dumps(rule)]
    document["memory"] = {"weights": {"tags": 2}}
    replay = replay_record(remembered, policy=parse_policy(json.dumps(document), file="candidate.json"))
    assert ReplayStatus.FACTS is replay.status
    assert outcome(remembered) != outcome(replay.record)


def test_memory_of_another_moment_is_not_the_memory_it_saw(policy: Policy, refund: Refund) -> None:
    """A store that holds other experience than the snapshot says does not speak for it."""
    with open_gate(policy, SETTINGS["default"]) as gate:
        record = gate.decide(refund())
        gate.label(record.decision_id, "failure")
        later = MemorySnapshot(gate.store.memory_items("acme", "support.refund"))
        second = gate.decide(refund(request_id="r-2"))
    forged = edited(second, lambda document: document["determinism"].update(memory_snapshot="mem0:1:" + "0" * 64))
    replay = replay_record(forged, deciding=policy, memory=later)
    assert (ReplayStatus.FACTS, False) == (replay.status, replay.identical)
    assert "not at hand" in replay.reason
    assert replay_record(second, deciding=policy, memory=later).identical
    assert ReplayStatus.FACTS is replay_record(second, deciding=policy, memory=MemorySnapshot()).status


# ---------------------------------------------------------------------------------------------------------------------
# What cannot be read, and what was tampered with


@pytest.mark.parametrize("snapshot", ["mem0:x:0", "mem1:0:" + "0" * 64, "", "mem0:99999999999999999:" + "0" * 64])
def test_an_unreadable_snapshot_is_no_replay(policy: Policy, remembered: DecisionRecord, snapshot: str) -> None:
    forged = edited(remembered, lambda document: document["determinism"].update(memory_snapshot=snapshot))
    assert ReplayStatus.NO is replay_record(forged, deciding=policy).status


def test_another_policy_is_not_taken_for_the_one_that_decided(policy: Policy, remembered: DecisionRecord) -> None:
    replay = replay_record(remembered, deciding=candidate(policy, policy_version="9"))
    assert (ReplayStatus.NO, "the policy at hand is not the one that decided") == (replay.status, replay.reason)
    assert ReplayStatus.NO is replay_record(remembered).status


def test_a_request_that_cannot_be_read_is_no_replay(policy: Policy, remembered: DecisionRecord) -> None:
    for edit in (
        lambda document: document["request"].pop("action"),
        lambda document: document["request"].update(evidence=[1]),
        lambda document: document["request"]["action"].update(amount={"value": {}, "currency": "USD"}),
    ):
        replay = replay_record(edited(remembered, edit), deciding=policy)
        assert (ReplayStatus.NO, None) == (replay.status, replay.record)


MUTATIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "amount": lambda facts: facts.update(amount_usd="13"),
    "no amount": lambda facts: facts.update(amount_usd=None),
    "value": lambda facts: facts["evidence"].update(chargeback_risk=0.06),
    "text": lambda facts: facts["evidence"].update(payment_instrument_risk="high"),
    "one more key": lambda facts: facts["evidence"].update(other=1),
    "one key less": lambda facts: facts["evidence"].pop("chargeback_risk"),
    "score": lambda facts: facts.update(failure_similarity=0.5),
    "rate": lambda facts: facts.update(fx_rate_present=True),
    "present": lambda facts: facts["present"].pop(),
    "missing": lambda facts: facts.update(missing=["order_id"]),
    "invalid": lambda facts: facts.update(invalid={"order_id": "EVIDENCE_TYPE_INVALID"}),
    "defaults": lambda facts: facts.update(policy_defaults=["chargeback_risk"]),
    "uncertainty": lambda facts: facts.update(uncertainty=0.5),
    "unknown member": lambda facts: facts.update(more=1),
    "nothing": lambda facts: facts.clear(),
}


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_mutated_facts_are_found_by_replaying_and_by_verifying(
    policy: Policy, refund: Refund, store_path: Path, name: str
) -> None:
    """They contradict the request, with memory at hand and without; and the row is not the one that was written."""
    with open_gate(policy, SETTINGS["default"], store_path) as gate:
        gate.label(gate.decide(refund()).decision_id, "failure")
        record = gate.decide(refund(request_id="r-2"))
        memory = MemorySnapshot(gate.store.memory_items("acme", "support.refund"))
    forged = edited(record, lambda document: MUTATIONS[name](facts_of(document)))
    whole = replay_record(forged, deciding=policy, memory=memory)
    assert (ReplayStatus.FULL, False) == (whole.status, whole.identical)
    assert all(each.path.startswith("extensions.lumyn.facts") for each in whole.differences)
    alone = replay_record(forged, deciding=policy)
    assert alone.differences or alone.status is ReplayStatus.VERDICT_ONLY
    connection = sqlite3.connect(store_path)
    connection.execute("DROP TRIGGER decisions_no_update")
    connection.execute("UPDATE decisions SET record = ? WHERE record = ?", (forged.to_json(), record.to_json()))
    assert 1 == connection.total_changes
    connection.commit()
    connection.close()
    with open_gate(policy, SETTINGS["default"], store_path) as gate:
        codes = {finding.code for finding in verify(gate.store).findings}
    assert "LEAF_MISMATCH" in codes


def test_a_record_from_before_there_were_facts_is_decided_again(policy: Policy, refund: Refund) -> None:
    """In full with its memory; without, there is nothing to stand in for it."""
    with open_gate(policy, SETTINGS["strict"]) as gate:
        gate.label(gate.decide(refund()).decision_id, "failure")
        record = gate.decide(refund(request_id="r-2", evidence__note="n"))
        memory = MemorySnapshot(gate.store.memory_items("acme", "support.refund"))
    older = edited(record, lambda document: document["extensions"]["lumyn"].pop("facts"))
    assert replay_record(older, deciding=policy, memory=memory).identical
    assert ReplayStatus.VERDICT_ONLY is replay_record(older, deciding=policy).status
    assert (
        ReplayStatus.VERDICT_ONLY is replay_record(older, policy=candidate(policy, COMPARED_NOTE), memory=memory).status
    )


# ---------------------------------------------------------------------------------------------------------------------
# Through the gate


def test_a_policy_that_is_not_kept_is_no_replay_and_a_candidate_still_is(
    policy: Policy, refund: Refund, store_path: Path
) -> None:
    """The candidate needs the request and the memory alone; without memory and deciding policy, no score is trusted."""
    with open_gate(policy, SETTINGS["default"], store_path) as gate:
        record = gate.decide(refund())
    connection = sqlite3.connect(store_path)
    connection.execute("DROP TRIGGER policies_no_delete")
    connection.execute("DELETE FROM policy_snapshots")
    connection.commit()
    connection.close()
    with open_gate(policy, SETTINGS["default"], store_path) as gate:
        replay = gate.replay(record.decision_id)
        assert (ReplayStatus.NO, "the policy that decided is not in the store") == (replay.status, replay.reason)
        assert gate.replay(record.decision_id, policy=policy).identical


def test_a_record_that_cannot_be_read_is_no_replay(policy: Policy, refund: Refund, store_path: Path) -> None:
    with open_gate(policy, SETTINGS["default"], store_path) as gate:
        record = gate.decide(refund())
    connection = sqlite3.connect(store_path)
    connection.execute("DROP TRIGGER decisions_no_update")
    connection.execute("UPDATE decisions SET record = '{}'")
    connection.commit()
    connection.close()
    with open_gate(policy, SETTINGS["default"], store_path) as gate:
        replay = gate.replay(record.decision_id)
    assert (ReplayStatus.NO, None, None) == (replay.status, replay.stored, replay.record)


@pytest.mark.parametrize("kind", list(KINDS))
def test_facts_obey_their_schema(policy: Policy, refund: Refund, kind: str) -> None:
    """As `#/$defs/facts` of the record's contract describes them."""
    with open_gate(policy, SETTINGS["default"]) as gate:
        facts = facts_of(gate.decide(refund(**KINDS[kind])).to_dict())
    contract = schema("decision_record.v0.schema.json")
    assert [] == list(Draft202012Validator({"$defs": contract["$defs"], "$ref": "#/$defs/facts"}).iter_errors(facts))
