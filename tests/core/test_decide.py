"""The gate: what it answers, what it refuses, and what is in the store when it has answered."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lumyn import (
    FixedClock,
    Gate,
    IdempotencyConflictError,
    InvalidConfigError,
    InvalidRequestError,
    NotFoundError,
    Policy,
    SeededIds,
    Verdict,
    permits,
)
from lumyn.documents.schema import check, problems

RECORD_SCHEMA = "decision_record.v0.schema.json"
Refund = Callable[..., dict[str, Any]]


def rows(path: Path, table: str = "decisions") -> int:
    """Count rows through a connection of our own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_small_low_risk_refund_is_trusted(gate: Gate, refund: Refund) -> None:
    """The trust path of the support policy holds for the base refund."""
    record = gate.decide(refund())
    assert (Verdict.TRUST, ("REFUND_SMALL_LOW_RISK",)) == (record.verdict, record.reason_codes)
    assert record.permits
    assert record.persisted


def test_record_is_in_the_store_when_it_is_returned(gate: Gate, refund: Refund, store_path: Path) -> None:
    """Another connection reads exactly the bytes that the caller was given."""
    record = gate.decide(refund())
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        stored = connection.execute("SELECT record FROM decisions WHERE decision_id = ?", (record.decision_id,))
        assert record.to_json() == stored.fetchone()[0]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"evidence__chargeback_risk": "0.9"},
        {"evidence__ticket_id": None},
        {"action__amount__value": 201},
        {"action__amount": {"value": "10.50", "currency": "EUR"}, "evidence__fx_rate_to_usd": 1.1},
        {"trace": {"correlation_id": "c-1"}, "tenant": {"tenant_id": "acme", "environment": "prod"}},
        {"context": {"mode": "inline", "inline": {"note": "hello"}}},
        {"hints": {"dry_run": True}},
        {"extensions": {"acme": {"x": 1.0}}},
        {"request_id": None},
    ],
)
def test_record_meets_its_schema_and_is_canonical(gate: Gate, refund: Refund, changes: dict[str, Any]) -> None:
    """Whatever the verdict, the record is valid, and its text is the RFC 8785 form of its data."""
    rfc8785 = pytest.importorskip("rfc8785")
    record = gate.decide(refund(**changes))
    assert [] == problems(RECORD_SCHEMA, record.to_dict())
    assert check(RECORD_SCHEMA, record.to_dict())
    assert rfc8785.dumps(json.loads(record.to_json())).decode() == record.to_json()


def test_record_read_back_equals_the_one_returned(gate: Gate, refund: Refund) -> None:
    """Every field of the record survives the store."""
    first = gate.decide(refund())
    gate.label(first.decision_id, "failure", note="INC-42")
    record = gate.decide(refund(request_id="req-2", action__amount__value=13))
    assert record.top_k
    assert record == gate.record(record.decision_id)


def test_inputs_digest_can_be_recomputed_from_the_stored_record(gate: Gate, refund: Refund) -> None:
    """The digest covers the persisted request, reduced as the specification says, and the derived facts."""
    from lumyn.digest import digest

    record = gate.decide(refund(trace={"span_id": "s"}, extensions={"a": 1}, hints={"mode": "enforce"}))
    request = record.to_dict()["request"]
    assert isinstance(request, dict)
    reduced = {k: v for k, v in request.items() if k not in {"request_id", "trace", "hints", "extensions"}}
    derived = {
        "action_type": "support.refund",
        "tenant_id": "acme",
        "amount_value": "12",
        "amount_currency": "USD",
        "amount_usd": "12",
        "fx_rate_present": False,
        "missing_evidence": [],
        "mistyped_evidence": [],
    }
    assert digest({"request": reduced, "derived": derived}) == record.inputs_digest


def test_same_request_id_and_request_gives_the_stored_record(gate: Gate, refund: Refund, store_path: Path) -> None:
    """A retry is answered byte for byte, also by a process that was not there the first time."""
    first = gate.decide(refund())
    assert first.to_json() == gate.decide(refund()).to_json()
    with Gate.open(policy=gate.policy, store=store_path) as other:
        assert first.to_json() == other.decide(refund(trace={"span_id": "retry"})).to_json()
    assert 1 == rows(store_path)


def test_same_request_id_with_other_amount_conflicts(gate: Gate, refund: Refund, store_path: Path) -> None:
    """An approval for 12 dollars is never the answer to a request for 99,999."""
    gate.decide(refund())
    with pytest.raises(IdempotencyConflictError) as caught:
        gate.decide(refund(action__amount__value=99999))
    assert "IDEMPOTENCY_CONFLICT" == caught.value.reason_code
    assert 1 == rows(store_path)


def test_same_request_id_in_two_tenants_is_two_decisions(gate: Gate, refund: Refund, store_path: Path) -> None:
    """Tenants do not share keys, and no tenant is not a tenant."""
    ids = {gate.decide(refund(subject__tenant_id=tenant)).decision_id for tenant in ("a", "b", "__global__", None)}
    assert (4, 4) == (len(ids), rows(store_path))


def test_dry_run_stores_nothing_and_permits_nothing(gate: Gate, refund: Refund, store_path: Path) -> None:
    """What would be decided is told, and cannot be used as an approval."""
    request = refund(hints={"dry_run": True})
    record = gate.decide(request)
    assert Verdict.TRUST is record.verdict
    assert (False, False, False) == (record.persisted, record.permits, record.authorizes(request))
    assert 0 == rows(store_path)


def test_record_authorizes_only_the_request_that_was_decided(gate: Gate, refund: Refund) -> None:
    """Approve 12, run 99,999 is refused; a retry with another trace is not another action."""
    record = gate.decide(refund())
    assert record.authorizes(refund())
    assert record.authorizes(refund(request_id="other", trace={"span_id": "x"}))
    assert not record.authorizes(refund(action__amount__value=99999))
    assert not record.authorizes("{")
    escalated = gate.decide(refund(request_id="r2", action__amount__value=201))
    assert escalated.concerns(refund(action__amount__value=201))
    assert not escalated.authorizes(refund(action__amount__value=201))


def test_returned_record_does_not_change_with_the_callers_request(gate: Gate, refund: Refund) -> None:
    """The request was copied: what the caller does to it later changes nothing."""
    request = refund()
    record = gate.decide(request)
    before = record.to_json()
    request["action"]["amount"]["value"] = 99999
    record.to_dict()["verdict"] = "ABSTAIN"
    assert before == record.to_json() == gate.record(record.decision_id).to_json()


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"action__amount__value": -5000}, "NUMBER_OUT_OF_RANGE", "/action/amount/value"),
        ({"action__amount__value": float("nan")}, "NUMBER_NOT_FINITE", "/action/amount/value"),
        ({"action__amount__value": float("-inf")}, "NUMBER_NOT_FINITE", "/action/amount/value"),
        ({"action__amount__value": True}, "TYPE_INVALID", "/action/amount/value"),
        ({"action__amount__value": 12.345}, "NUMBER_PRECISION", "/action/amount/value"),
        ({"action__amount__value": 0.30000000000000004}, "NUMBER_PRECISION", "/action/amount/value"),
        ({"action__amount": {"value": 12.5, "currency": "JPY"}}, "NUMBER_PRECISION", "/action/amount/value"),
        ({"evidence__failure_similarity_score": 0}, "EVIDENCE_RESERVED", "/evidence/failure_similarity_score"),
        ({"evidence__lumyn_x": 0}, "EVIDENCE_RESERVED", "/evidence/lumyn_x"),
        ({"policy": {"policy_id": "someone-else"}}, "POLICY_PIN_MISMATCH", "/policy/policy_id"),
        ({"policy": {"mode": "advisory"}}, "MODE_OVERRIDE_FORBIDDEN", "/policy/mode"),
        ({"hints": {"mode": "advisory"}}, "MODE_OVERRIDE_FORBIDDEN", "/hints/mode"),
        ({"tenant": {"tenant_id": "other"}}, "TENANT_CONFLICT", "/subject/tenant_id"),
        (
            {"context__redaction": {"profile": "off", "fields_removed": []}},
            "REDACTION_OVERRIDE_FORBIDDEN",
            "/context/redaction/profile",
        ),
        (
            {"context": {"mode": "inline", "inline": {"a": 1}, "digest": "sha256:" + "0" * 64}},
            "DIGEST_MISMATCH",
            "/context/digest",
        ),
    ],
)
def test_invalid_request_is_refused_and_nothing_is_stored(
    gate: Gate, refund: Refund, store_path: Path, changes: dict[str, Any], code: str, pointer: str
) -> None:
    """Each problem has its own code and pointer, and no value of the request is repeated."""
    with pytest.raises(InvalidRequestError) as caught:
        gate.decide(refund(**changes))
    assert "INVALID_REQUEST_SCHEMA" == caught.value.reason_code
    assert (code, pointer) in {(problem.code, problem.pointer) for problem in caught.value.problems}
    assert "5000" not in str(caught.value)
    assert 0 == rows(store_path)


def test_duplicate_key_in_json_text_is_refused(gate: Gate, refund: Refund) -> None:
    """Two parsers must not be able to read two different requests."""
    text = json.dumps(refund()).replace('"value": 12.0', '"value": 99999, "value": 12.0')
    with pytest.raises(InvalidRequestError) as caught:
        gate.decide(text)
    assert ["JSON_DUPLICATE_KEY"] == [problem.code for problem in caught.value.problems]


def test_json_text_and_mapping_are_one_request(gate: Gate, refund: Refund) -> None:
    """Number spelling and key order do not make another request; a Decimal is the number it writes."""
    first = gate.decide(refund())
    text = json.dumps(dict(reversed(refund().items()))).replace("12.0", "12.00")
    assert first.to_json() == gate.decide(text).to_json()
    assert first.to_json() == gate.decide(refund(action__amount__value=Decimal("12.00"))).to_json()


def test_mapping_that_changes_between_reads_is_read_once(gate: Gate, refund: Refund) -> None:
    """Check-then-use: the verdict and the record come from one copy."""

    class Shifty(dict[str, Any]):
        reads = 0

        def __getitem__(self, key: str) -> Any:
            Shifty.reads += 1
            return {"value": 12 if Shifty.reads < 3 else 99999, "currency": "USD"}[key]

        def items(self) -> Any:
            Shifty.reads += 1
            return {"value": 12 if Shifty.reads < 3 else 99999, "currency": "USD"}.items()

    request = refund()
    request["action"]["amount"] = Shifty(value=12, currency="USD")
    try:
        record = gate.decide(request)
    except InvalidRequestError:
        return
    stored = json.loads(record.to_json())["request"]["action"]["amount"]["value"]
    assert (Verdict.TRUST, 12) == (record.verdict, stored)


def test_request_larger_than_the_limit_is_refused(policy: Policy, refund: Refund) -> None:
    """The limit holds for mappings as for text."""
    with Gate.open(policy=policy, store="sqlite:///:memory:", create=True, max_request_bytes=2000) as gate:
        gate.decide(refund())
        with pytest.raises(InvalidRequestError) as caught:
            gate.decide(refund(action__intent="x" * 2000, request_id="r2"))
    assert ["REQUEST_TOO_LARGE"] == [problem.code for problem in caught.value.problems]


def test_advisory_mode_permits_and_keeps_the_verdict(policy: Policy, refund: Refund) -> None:
    """The verdict is the same; the mode says that it does not bind, unless the request asks to be bound."""
    with Gate.open(policy=policy, store="sqlite:///:memory:", create=True, mode="advisory") as gate:
        advised = gate.decide(refund(action__amount__value=201))
        bound = gate.decide(refund(action__amount__value=201, request_id="r2", hints={"mode": "enforce"}))
    assert (Verdict.ESCALATE, "advisory", True) == (advised.verdict, advised.policy.mode, permits(advised))
    assert (Verdict.ESCALATE, "enforce", False) == (bound.verdict, bound.policy.mode, permits(bound))


def test_unknown_mode_or_profile_is_a_configuration_error(policy: Policy) -> None:
    """A typo never falls back to a default."""
    for option in ({"mode": "off"}, {"redaction": "none"}, {"synchronous": "OFF"}, {"busy_timeout_s": -1}):
        with pytest.raises(InvalidConfigError):
            Gate.open(policy=policy, store="sqlite:///:memory:", **option)  # type: ignore[arg-type]


def test_inline_context_is_not_stored_by_default(gate: Gate, refund: Refund, store_path: Path) -> None:
    """The digest stays, the content goes, and the record says so; `request_digest` is of what was received."""
    request = refund(context={"mode": "inline", "inline": {"secret": "canary-7f3a"}})
    record = gate.decide(request)
    context = record.to_dict()["request"]["context"]  # type: ignore[index,call-overload]
    assert {"mode", "digest", "redaction"} == set(context)  # type: ignore[arg-type]
    assert ["/context/inline"] == context["redaction"]["fields_removed"]  # type: ignore[index,call-overload]
    assert record.authorizes(request)
    gate.close()
    for file in store_path.parent.iterdir():
        assert b"canary-7f3a" not in file.read_bytes()


def test_strict_redaction_keeps_what_rules_read(policy: Policy, refund: Refund) -> None:
    """Evidence no rule reads is dropped before it is stored; the verdict is the same."""
    with Gate.open(policy=policy, store="sqlite:///:memory:", create=True, redaction="strict") as gate:
        record = gate.decide(refund(evidence__note="canary", subject__ip="10.0.0.1"))
    assert Verdict.TRUST is record.verdict
    assert "canary" not in record.to_json()
    assert '"/evidence/note","/subject/ip"' in record.to_json()


def test_labelled_failure_makes_the_next_similar_request_escalate(gate: Gate, refund: Refund) -> None:
    """The heart of memory: what went wrong once is not trusted again."""
    first = gate.decide(refund())
    item = gate.label(first.decision_id, "failure", note="duplicate charge", actor="ana")
    second = gate.decide(refund(request_id="req-2", action__amount__value=13))
    assert Verdict.ESCALATE is second.verdict
    assert "FAILURE_MEMORY_SIMILAR_ESCALATE" in second.reason_codes
    assert item.memory_id == second.top_k[0].memory_id
    (event,) = gate.events(first.decision_id)
    assert ("label", "ana", "failure") == (event.type, event.actor, event.data["label"])


def test_label_does_not_cross_tenants_or_actions(gate: Gate, refund: Refund) -> None:
    """Experience belongs to one tenant and one action type."""
    gate.label(gate.decide(refund()).decision_id, "failure")
    other = gate.decide(refund(subject__tenant_id="other"))
    assert (Verdict.TRUST, 0) == (other.verdict, other.failure_similarity)


def test_success_label_never_loosens(gate: Gate, refund: Refund) -> None:
    """A success is shown and changes nothing; the gravest label of one decision counts."""
    first = gate.decide(refund())
    gate.label(first.decision_id, "success")
    trusted = gate.decide(refund(request_id="r2"))
    assert (Verdict.TRUST, 0, "success") == (trusted.verdict, trusted.failure_similarity, trusted.top_k[0].label)
    gate.label(trusted.decision_id, "failure")
    gate.label(trusted.decision_id, "success")
    assert Verdict.ESCALATE is gate.decide(refund(request_id="r3")).verdict


def test_unknown_label_is_refused_with_a_code(gate: Gate, refund: Refund) -> None:
    """A misspelt label is an error that says what to write, and nothing is learnt from it."""
    record = gate.decide(refund())
    with pytest.raises(InvalidRequestError) as caught:
        gate.label(record.decision_id, "Failure")
    assert ["LABEL_UNKNOWN"] == [problem.code for problem in caught.value.problems]


def test_label_of_another_process_is_seen_by_the_next_decision(gate: Gate, refund: Refund, store_path: Path) -> None:
    """Memory is not a cache of what this process knows."""
    first = gate.decide(refund())
    assert Verdict.TRUST is gate.decide(refund(request_id="r2")).verdict
    with Gate.open(policy=gate.policy, store=store_path) as other:
        other.label(first.decision_id, "failure")
    assert Verdict.ESCALATE is gate.decide(refund(request_id="r3")).verdict


def test_label_of_unknown_decision_is_not_found(gate: Gate, store_path: Path) -> None:
    """Nothing is written for an id that is not there."""
    with pytest.raises(NotFoundError) as caught:
        gate.label("01ARZ3NDEKTSV4RRFFQ69G5FAV", "failure")
    assert "DECISION_NOT_FOUND" == caught.value.reason_code
    assert 0 == rows(store_path, "memory_items")


def test_event_is_appended_and_the_decision_stays(gate: Gate, refund: Refund) -> None:
    """Events live beside the record."""
    record = gate.decide(refund())
    event = gate.append_event(record.decision_id, "override", {"by": "lead"}, actor="lead")
    assert (event,) == gate.events(record.decision_id)
    assert record.to_json() == gate.record(record.decision_id).to_json()


def test_records_lists_newest_first_and_filters(gate: Gate, refund: Refund) -> None:
    """Filters are exact and combine."""
    trusted = gate.decide(refund())
    escalated = gate.decide(refund(request_id="r2", action__amount__value=201))
    assert [escalated, trusted] == gate.records()
    assert [trusted] == gate.records(verdict="TRUST")
    assert [escalated] == gate.records(reason_code="REFUND_OVER_ESCALATION_LIMIT")
    assert [] == gate.records(tenant_id="nobody")
    assert [escalated] == gate.records(limit=1)


def test_a_record_read_back_equals_the_one_decided(gate: Gate, refund: Refund) -> None:
    """Also where a rule was undetermined, which no record says; and it can be kept in a set, obligations and all."""
    asked = gate.decide(refund(evidence__chargeback_risk=None, evidence__customer_age_days=None))
    assert asked.evaluation.undetermined
    read = gate.record(asked.decision_id)
    assert asked == read
    assert {asked} == {read}
    other = gate.decide(refund(request_id="r-2", evidence__chargeback_risk=None))
    assert asked != other
    assert asked != asked.to_json()


def test_replay_uses_the_memory_the_decision_saw(gate: Gate, refund: Refund) -> None:
    """Labels that came later do not change what an old decision replays to."""
    first = gate.decide(refund())
    gate.label(first.decision_id, "failure")
    second = gate.decide(refund(request_id="r2"))
    for record in (first, second):
        replayed = gate.replay(record.decision_id)
        assert ((), True) == (replayed.differences, replayed.identical)


def test_replay_under_another_policy_names_the_differences(gate: Gate, refund: Refund, policy: Policy) -> None:
    """A candidate policy's answer is compared path by path."""
    from lumyn.policy.loader import parse_policy

    record = gate.decide(refund())
    candidate = parse_policy(policy.source.replace("REFUND_SMALL_LOW_RISK", "CREDIT_SMALL_LOW_RISK"))
    replayed = gate.replay(record.decision_id, policy=candidate)
    paths = {difference.path for difference in replayed.differences}
    assert {"policy.policy_hash", "reason_codes"} <= paths
    assert not replayed.identical


def test_two_runs_give_byte_identical_records(policy: Policy, refund: Refund) -> None:
    """With clock and ids pinned nothing else can differ."""

    def run() -> list[str]:
        with Gate.open(
            policy=policy,
            store="sqlite:///:memory:",
            create=True,
            clock=FixedClock("2026-01-15T12:00:00Z"),
            ids=SeededIds("x"),
        ) as gate:
            first = gate.decide(refund())
            gate.label(first.decision_id, "failure")
            return [first.to_json(), gate.decide(refund(request_id="r2")).to_json()]

    assert run() == run()


def test_threads_with_one_request_id_get_one_decision(gate: Gate, refund: Refund, store_path: Path) -> None:
    """Exactly one is stored and all get it."""
    answers: list[str] = []
    barrier = threading.Barrier(16)

    def ask() -> None:
        barrier.wait()
        answers.append(gate.decide(refund()).to_json())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (16, 1, 1) == (len(answers), len(set(answers)), rows(store_path))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_decides_with_memory_and_connection_of_its_own(
    policy: Policy, refund: Refund, store_path: Path
) -> None:
    """Parent and child both write, nothing is lost, and the child sees what was learnt after the fork."""
    with Gate.open(policy=policy, store=store_path, create=True) as gate:
        first = gate.decide(refund())
        ready, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(ready, 1)
            record = gate.decide(refund(request_id="child"))
            os._exit(0 if record.persisted and record.verdict is Verdict.ESCALATE else 1)
        gate.label(first.decision_id, "failure")
        assert gate.decide(refund(request_id="parent")).persisted
        os.write(go, b"x")
        assert 0 == os.waitpid(child, 0)[1]
    assert 3 == rows(store_path)


def test_a_retry_gets_the_mode_of_its_time(policy: Policy, refund: Refund, store_path: Path) -> None:
    """The stored record again, whatever the operator chose since; what comes anew is decided anew."""
    asked = refund(action__amount__value=201)
    with Gate.open(policy=policy, store=store_path, create=True, mode="advisory") as advisory:
        first = advisory.decide(asked)
    with Gate.open(policy=policy, store=store_path, mode="enforce", redaction="strict") as enforcing:
        assert first == enforcing.decide(asked)
        anew = enforcing.decide(asked | {"request_id": "anew"})
    assert (Verdict.ESCALATE, True) == (first.verdict, first.permits)
    assert (Verdict.ESCALATE, False) == (anew.verdict, anew.permits)
