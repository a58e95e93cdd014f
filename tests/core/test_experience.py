"""What people say of a decision stays for ever, so what could not be read back or used again is refused first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lumyn import Gate, Verdict
from lumyn.core.verify import verify
from lumyn.documents.schema import check
from lumyn.errors import InvalidRequestError, NotFoundError
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.store.base import Store

Refund = Callable[..., dict[str, Any]]

LONGEST = 4_096
NOT_TEXTS = [
    (7, "TYPE_INVALID"),
    (b"ann", "TYPE_INVALID"),
    ({"name": "ann"}, "TYPE_INVALID"),
    ("x" * (LONGEST + 1), "SIZE_INVALID"),
    ("ann\udcff", "UNICODE_INVALID"),
]


def rows(store: Store, decision_id: str) -> tuple[int, int]:
    """Return how many events and experiences there are."""
    stored = store.decision(decision_id)
    return len(store.events(decision_id)), len(store.memory_items(stored.tenant_id, stored.action_type))


def problem_of(call: Callable[[], object]) -> tuple[str, str | None]:
    """Return code and pointer of the one problem that a call is refused for."""
    with pytest.raises(InvalidRequestError) as caught:
        call()
    (problem,) = caught.value.problems
    return problem.code, problem.pointer


@pytest.mark.parametrize(("value", "code"), NOT_TEXTS)
@pytest.mark.parametrize("name", ["note", "actor"])
def test_a_label_takes_short_texts_only(gate: Gate, refund: Refund, name: str, value: Any, code: str) -> None:
    decision_id = gate.decide(refund()).decision_id
    assert (code, f"/{name}") == problem_of(lambda: gate.label(decision_id, "failure", **{name: value}))
    assert (0, 0) == rows(gate.store, decision_id)


@pytest.mark.parametrize(("value", "code"), NOT_TEXTS)
@pytest.mark.parametrize("name", ["reason", "actor"])
def test_a_retraction_takes_short_texts_only(gate: Gate, refund: Refund, name: str, value: Any, code: str) -> None:
    decision_id = gate.decide(refund()).decision_id
    gate.label(decision_id, "failure")
    assert (code, f"/{name}") == problem_of(lambda: gate.retract(decision_id, **{name: value}))
    assert (1, 1) == rows(gate.store, decision_id)
    assert Verdict.ESCALATE is gate.decide(refund(request_id="again")).verdict


@pytest.mark.parametrize(("value", "code"), NOT_TEXTS)
@pytest.mark.parametrize("name", ["reason", "actor"])
def test_an_event_takes_short_texts_only(gate: Gate, refund: Refund, name: str, value: Any, code: str) -> None:
    decision_id = gate.decide(refund()).decision_id
    assert (code, f"/{name}") == problem_of(lambda: gate.append_event(decision_id, "override", **{name: value}))
    assert (0, 0) == rows(gate.store, decision_id)


@pytest.mark.parametrize("data", [["by", "lead"], "lead", 1])
def test_the_data_of_an_event_is_an_object(gate: Gate, refund: Refund, data: Any) -> None:
    decision_id = gate.decide(refund()).decision_id
    assert ("TYPE_INVALID", "/data") == problem_of(lambda: gate.append_event(decision_id, "override", data))
    assert () == gate.events(decision_id)


def test_another_tenant_is_told_nothing(gate: Gate, refund: Refund) -> None:
    """Its decisions answer as if they were not there, and nothing is written to them."""
    decision_id = gate.decide(refund()).decision_id
    unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    calls: list[Callable[[str, str], object]] = [
        lambda target, tenant: gate.label(target, "failure", tenant_id=tenant),
        lambda target, tenant: gate.append_event(target, "override", tenant_id=tenant),
    ]
    for call in calls:
        told = set()
        for target, tenant in ((decision_id, "other"), (unknown, "acme"), (unknown, "other")):
            with pytest.raises(NotFoundError) as caught:
                call(target, tenant)
            told.add((caught.value.reason_code, str(caught.value).replace(target, "ID")))
        assert 1 == len(told)
    assert (0, 0) == rows(gate.store, decision_id)
    for call in calls:
        call(decision_id, "acme")
    assert (2, 1) == rows(gate.store, decision_id)


@pytest.mark.parametrize(("value", "code"), NOT_TEXTS)
def test_the_type_of_an_event_is_a_text(gate: Gate, refund: Refund, value: Any, code: str) -> None:
    decision_id = gate.decide(refund()).decision_id
    assert (code, "/type") == problem_of(lambda: gate.append_event(decision_id, value))


def test_the_longest_note_can_be_told_in_every_record(gate: Gate, refund: Refund) -> None:
    decision_id = gate.decide(refund()).decision_id
    gate.label(decision_id, "failure", note="\U0001f9fe" * LONGEST, actor="a" * LONGEST)
    record = gate.decide(refund(request_id="again"))
    assert LONGEST == len(record.top_k[0].summary)
    assert gate.replay(record.decision_id).identical


@pytest.mark.parametrize("memory_id", ["", "m" * 257, " x", "x\n", "a\x1b[2J", "a\u202eb"])
def test_the_id_of_an_imported_experience_is_one_that_records_can_hold(
    gate: Gate, refund: Refund, memory_id: str
) -> None:
    """A record that breaks its own schema could not be decided again."""
    seeded = lambda: gate.seed("failure", refund(), summary="INC-1", memory_id=memory_id)  # noqa: E731
    assert ("FIELD_PATTERN", "/memory_id") == problem_of(seeded)
    gate.seed("failure", refund(), summary="INC-1", memory_id="INC 1/\u00e9")
    record = gate.decide(refund())
    assert "INC 1/\u00e9" == record.top_k[0].memory_id
    assert check("decision_record.v0.schema.json", record.to_dict())


def test_the_id_of_an_experience_is_given_once(gate: Gate, refund: Refund) -> None:
    gate.seed("failure", refund(), summary="INC-1", memory_id="INC-1")
    again = lambda: gate.seed("success", refund(), summary="INC-1 again", memory_id="INC-1")  # noqa: E731
    assert ("VALUE_DUPLICATE", "/memory_id") == problem_of(again)
    assert ["INC-1"] == [item.summary for item in gate.store.memory_items("acme", "support.refund")]


@pytest.mark.parametrize("change", [{"actor": 7}, {"data": ["by"]}, {"at": None}])
def test_an_event_that_cannot_be_read_back_is_found(
    gate: Gate, refund: Refund, store_path: Path, change: dict[str, Any]
) -> None:
    """`verify` names what reading an event refuses, whoever wrote it."""
    decision_id = gate.decide(refund()).decision_id
    event = gate.append_event(decision_id, "override", {"by": "lead"}, actor="ann")
    assert verify(gate.store).ok
    with gate.store.write() as transaction:
        transaction.append_event(replace(event, event_id="0" * 26, **change))
    assert {"PROJECTION_MISMATCH": 1} == verify(gate.store).counts


WIDER = """
  - id: X1
    stage: HARD_BLOCKS
    when: { action_type: support.refund }
    if_any:
      - { evidence.country_is: XX }
      - { evidence.velocity_gte: 50 }
    then: { verdict: ABSTAIN, reason_codes: [CHARGEBACK_RISK_BLOCK] }
"""


def test_a_policy_that_compares_more_resembles_no_less(gate: Gate, refund: Refund) -> None:
    """What it did not compare before does not count: stricter rules must not trust what earlier ones escalated."""
    asked = refund(evidence__country="DE", evidence__velocity=3)
    gate.label(gate.decide(asked).decision_id, "failure")
    del asked["request_id"]
    assert 1 == gate.decide(asked).failure_similarity
    wider = gate.with_policy(parse_policy(gate.policy.source.rstrip("\n") + WIDER)).decide(asked)
    assert (1, Verdict.ESCALATE) == (wider.failure_similarity, wider.verdict)


def test_a_compared_key_that_a_request_lacked_counts_as_lacking(gate: Gate, refund: Refund) -> None:
    """A request that holds it is another one; it is told apart from a key that nobody compared."""
    wider = gate.with_policy(parse_policy(gate.policy.source.rstrip("\n") + WIDER))
    item = wider.label(wider.decide(refund()).decision_id, "failure")
    held = item.features["evidence"]
    assert isinstance(held, dict)
    assert {"country": None, "velocity": None}.items() <= held.items()
    asked = refund(evidence__country="DE", evidence__velocity=3)
    del asked["request_id"]
    assert wider.decide(asked).failure_similarity < 1


def test_a_key_that_redaction_took_is_not_taken_for_lacking(policy: Policy, refund: Refund, store_path: Path) -> None:
    """Labelled under a policy that compares more, a redacted record does not tell whether the key was there."""
    asked = refund(evidence__country="DE", evidence__velocity=3)
    with Gate.open(policy=policy, store=store_path, create=True, redaction="strict") as gate:
        decided = gate.decide(asked)
        wider = gate.with_policy(parse_policy(policy.source.rstrip("\n") + WIDER))
        held = wider.label(decided.decision_id, "failure").features["evidence"]
        assert isinstance(held, dict)
        assert not {"country", "velocity"} & held.keys()
        del asked["request_id"]
        assert 1 == wider.decide(asked).failure_similarity
