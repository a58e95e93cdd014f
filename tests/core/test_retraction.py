"""Taking experience back: exactly what was named, once, with who and why, and never by accident."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spec_memory
from core.conftest import refund as small_refund
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples
from tampering import tamper

from lumyn import FixedClock, Gate, NotFoundError, Policy, SeededIds, StoreUnavailableError, Verdict
from lumyn.core.verify import verify
from lumyn.engine.similarity import MemorySnapshot, top_k
from lumyn.errors import InvalidRequestError
from lumyn.model import Label, MemoryItem
from lumyn.store import open_store

Refund = Callable[..., dict[str, Any]]

ACTION = ("acme", "support.refund")
LABELS = tuple(label.value for label in Label)


def code_of(call: Callable[[], object]) -> str:
    """Return the reason code that a refused retraction raises."""
    with pytest.raises(NotFoundError) as caught:
        call()
    return caught.value.reason_code


def test_a_label_taken_back_does_not_count_any_more(gate: Gate, refund: Refund) -> None:
    """The verdict it made stricter is as it was before, and so is the score."""
    first = gate.decide(refund())
    gate.label(first.decision_id, "failure")
    assert Verdict.ESCALATE is gate.decide(refund(request_id="r2")).verdict
    gate.retract(first.decision_id, actor="ann", reason="the charge was right")
    after = gate.decide(refund(request_id="r3"))
    assert (Verdict.TRUST, 0, ()) == (after.verdict, after.failure_similarity, after.top_k)


def test_a_retraction_says_what_who_and_why(gate: Gate, refund: Refund) -> None:
    """One item and one event; nothing that was there before is changed."""
    decision_id = gate.decide(refund()).decision_id
    label = gate.label(decision_id, "failure", note="charged twice")
    item = gate.retract(decision_id, actor="ann", reason="it was not")
    assert [label, item] == gate.store.memory_items(*ACTION)
    assert (label.memory_id, decision_id, {}) == (item.retracts, item.source_decision_id, item.features)
    assert "taken back by ann: it was not" == item.summary
    event = gate.events(decision_id)[-1]
    expected = {"retracts": label.memory_id, "memory_id": item.memory_id, "label": "failure", "reason": "it was not"}
    assert ("retraction", "ann", expected) == (event.type, event.actor, event.data)


def test_without_actor_and_reason(gate: Gate, refund: Refund) -> None:
    decision_id = gate.decide(refund()).decision_id
    gate.label(decision_id, "near_miss")
    item = gate.retract(decision_id)
    event = gate.events(decision_id)[-1]
    assert ("taken back", None, False) == (item.summary, event.actor, "reason" in event.data)


def test_of_several_labels_none_is_guessed(gate: Gate, refund: Refund) -> None:
    """The decision alone does not say which; its kind does, where there is one of it, and its own id always does."""
    decision_id = gate.decide(refund()).decision_id
    first, second, third = [gate.label(decision_id, label) for label in ("failure", "failure", "near_miss")]
    with pytest.raises(NotFoundError, match=first.memory_id) as caught:
        gate.retract(decision_id)
    assert "RETRACTION_AMBIGUOUS" == caught.value.reason_code
    assert "RETRACTION_AMBIGUOUS" == code_of(lambda: gate.retract(decision_id, label="failure"))
    assert "NOTHING_TO_RETRACT" == code_of(lambda: gate.retract(decision_id, label="success"))
    assert "NOTHING_TO_RETRACT" == code_of(lambda: gate.retract(first.memory_id, label="success"))
    assert [first, second, third] == gate.store.memory_items(*ACTION)
    assert third.memory_id == gate.retract(decision_id, label="near_miss").retracts
    assert first.memory_id == gate.retract(first.memory_id, label="failure").retracts
    assert Verdict.ESCALATE is gate.decide(refund(request_id="r2")).verdict, "the other failure still counts"
    assert second.memory_id == gate.retract(decision_id).retracts
    assert Verdict.TRUST is gate.decide(refund(request_id="r3")).verdict


def test_the_milder_label_counts_again(gate: Gate, refund: Refund) -> None:
    """Taking back the gravest label of a decision leaves the others standing."""
    decision_id = gate.decide(refund()).decision_id
    gate.label(decision_id, "near_miss")
    failure = gate.label(decision_id, "failure")
    gate.retract(failure.memory_id)
    after = gate.decide(refund(request_id="r2"))
    assert ["near_miss"] == [match.label.value for match in after.top_k]
    assert 0.5 == after.failure_similarity


@pytest.mark.parametrize("by", ["decision", "memory"])
def test_a_second_time_is_an_error_and_writes_nothing(gate: Gate, refund: Refund, by: str) -> None:
    decision_id = gate.decide(refund()).decision_id
    target = gate.label(decision_id, "failure").memory_id if by == "memory" else decision_id
    if by == "decision":
        gate.label(decision_id, "failure")
    gate.retract(target)
    before = gate.store.memory_items(*ACTION), gate.events(decision_id)
    assert "ALREADY_RETRACTED" == code_of(lambda: gate.retract(target))
    assert before == (gate.store.memory_items(*ACTION), gate.events(decision_id))


def test_a_label_given_again_can_be_taken_back_again(gate: Gate, refund: Refund) -> None:
    """A retraction is not undone; whoever was wrong labels the decision once more."""
    decision_id = gate.decide(refund()).decision_id
    for number in range(3):
        gate.label(decision_id, "failure")
        assert Verdict.ESCALATE is gate.decide(refund(request_id=f"a{number}")).verdict
        back = gate.retract(decision_id)
        assert Verdict.TRUST is gate.decide(refund(request_id=f"b{number}")).verdict
        assert "NOTHING_TO_RETRACT" == code_of(lambda back=back: gate.retract(back.memory_id))


def test_an_experience_without_a_decision(gate: Gate, refund: Refund) -> None:
    """It is taken back by its own id; there is no decision whose event could tell, so the item itself does."""
    seeded = gate.seed("failure", refund(), summary="INC-1")
    assert Verdict.ESCALATE is gate.decide(refund(request_id="r2")).verdict
    item = gate.retract(seeded.memory_id, actor="ann", reason="wrong import")
    assert "taken back by ann: wrong import" == item.summary
    assert Verdict.TRUST is gate.decide(refund(request_id="r3")).verdict
    assert "ALREADY_RETRACTED" == code_of(lambda: gate.retract(seeded.memory_id))


@pytest.mark.parametrize("target", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "", "@last", "x" * 10_000])
def test_what_is_not_there_is_not_found(gate: Gate, refund: Refund, target: str) -> None:
    gate.decide(refund())
    with pytest.raises(NotFoundError) as caught:
        gate.retract(target)
    assert "MEMORY_NOT_FOUND" == caught.value.reason_code
    assert len(str(caught.value)) < 200


def test_a_decision_without_a_label_has_nothing_to_take_back(gate: Gate, refund: Refund) -> None:
    decision_id = gate.decide(refund()).decision_id
    gate.append_event(decision_id, "override", {"by": "lead"})
    assert "NOTHING_TO_RETRACT" == code_of(lambda: gate.retract(decision_id))


def test_another_tenant_is_told_nothing(gate: Gate, refund: Refund) -> None:
    """Its decisions and experiences answer as if they were not there."""
    decision_id = gate.decide(refund()).decision_id
    label = gate.label(decision_id, "failure")
    for target in (decision_id, label.memory_id):
        unknown = code_of(lambda target=target: gate.retract(target, tenant_id="other"))
        assert "MEMORY_NOT_FOUND" == unknown
    assert [label] == gate.store.memory_items(*ACTION)
    assert label.memory_id == gate.retract(decision_id, tenant_id="acme").retracts


def test_an_unknown_label_is_refused(gate: Gate, refund: Refund) -> None:
    decision_id = gate.decide(refund()).decision_id
    gate.label(decision_id, "failure")
    with pytest.raises(InvalidRequestError) as caught:
        gate.retract(decision_id, label="fail")
    assert ["LABEL_UNKNOWN"] == [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize("event_type", ["label", "retraction"])
def test_an_event_cannot_claim_an_experience(gate: Gate, refund: Refund, event_type: str) -> None:
    """Only `label` and `retract` write the events that tell of one."""
    decision_id = gate.decide(refund()).decision_id
    with pytest.raises(InvalidRequestError):
        gate.append_event(decision_id, event_type, {"memory_id": "M"})
    assert () == gate.events(decision_id)


def test_an_event_keeps_actor_and_reason(gate: Gate, refund: Refund) -> None:
    """The reason is part of the data; given twice, it is refused."""
    decision_id = gate.decide(refund()).decision_id
    event = gate.append_event(decision_id, "override", {"by": "lead"}, actor="ann", reason="asked twice")
    assert (event,) == gate.events(decision_id)
    assert ("ann", {"by": "lead", "reason": "asked twice"}) == (event.actor, event.data)
    with pytest.raises(InvalidRequestError):
        gate.append_event(decision_id, "override", {"reason": "one"}, reason="two")
    assert 1 == len(gate.events(decision_id))


def test_events_that_lie_lead_nowhere(gate: Gate, refund: Refund) -> None:
    """What counts is the item: an event that names another decision's label does not make it this decision's."""
    mine, other = gate.decide(refund()), gate.decide(refund(request_id="r2"))
    label = gate.label(other.decision_id, "failure")
    for memory_id in (label.memory_id, "nobody", 5):
        with gate.store.write() as transaction:
            stored = gate.events(other.decision_id)[0]
            forged = type(stored)(
                seq=0,
                event_id=f"forged-{memory_id}",
                decision_id=mine.decision_id,
                at=stored.at,
                type="label",
                data={"memory_id": memory_id, "label": "failure"},
                actor=None,
            )
            transaction.append_event(forged)
    assert "NOTHING_TO_RETRACT" == code_of(lambda: gate.retract(mine.decision_id))


def test_an_id_that_means_two_things_is_refused(gate: Gate, refund: Refund) -> None:
    decision_id = gate.decide(refund()).decision_id
    gate.label(decision_id, "failure")
    gate.seed("failure", refund(), summary="INC-1", memory_id=decision_id)
    assert "RETRACTION_AMBIGUOUS" == code_of(lambda: gate.retract(decision_id))
    assert 2 == len(gate.store.memory_items(*ACTION))


def test_many_at_once_take_back_once(gate: Gate, refund: Refund) -> None:
    """Threads and connections that race leave one item; the others are told."""
    decision_id = gate.decide(refund()).decision_id
    gate.label(decision_id, "failure")
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def take_back(own: Gate) -> None:
        barrier.wait()
        try:
            outcomes.append(own.retract(decision_id).retracts or "")
        except NotFoundError as error:
            outcomes.append(error.reason_code)

    url = gate.store.url.removeprefix("sqlite:///")
    gates = [gate if n % 2 else Gate.open(policy=gate.policy, store=Path(url)) for n in range(8)]
    threads = [threading.Thread(target=take_back, args=(each,)) for each in gates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in gates[::2]:
        each.close()
    assert (8, 7) == (len(outcomes), outcomes.count("ALREADY_RETRACTED"))
    assert 2 == len(gate.store.memory_items(*ACTION))


def test_what_decided_before_replays_as_it_was(gate: Gate, refund: Refund) -> None:
    """Decisions that saw the label keep it, those that came after do not; both come out identical."""
    first = gate.decide(refund())
    gate.label(first.decision_id, "failure")
    second = gate.decide(refund(request_id="r2"))
    gate.retract(first.decision_id)
    third = gate.decide(refund(request_id="r3"))
    assert [True] * 3 == [gate.replay(each.decision_id).identical for each in (first, second, third)]


def test_a_journal_with_a_retraction_verifies_and_without_it_does_not(
    gate: Gate, refund: Refund, store_path: Path
) -> None:
    """Its rows are linked like all others: deciding all again finds nothing, removing the item is found."""
    decision_id = gate.decide(refund()).decision_id
    gate.label(decision_id, "failure")
    item = gate.retract(decision_id, reason="a mistake")
    gate.decide(refund(request_id="r2"))
    gate.close()
    found = verify(open_store(str(store_path)), full=True)
    assert ((), 2) == (found.findings, found.replayed)
    tamper(store_path, "DELETE FROM memory_items WHERE seq = ?", item.seq)
    assert {"SEQ_GAP", "CHAIN_MISMATCH", "DIGEST_MISMATCH"} & set(verify(open_store(str(store_path))).counts)


def test_a_store_that_fails_leaves_the_label(gate: Gate, refund: Refund, store_path: Path) -> None:
    """Nothing is taken back unless the caller is told so."""
    decision_id = gate.decide(refund()).decision_id
    gate.label(decision_id, "failure")
    with Gate.open(policy=gate.policy, store=store_path, busy_timeout_s=0.05) as other:
        with gate.store.write(), pytest.raises(StoreUnavailableError):
            other.retract(decision_id)
        assert Verdict.ESCALATE is other.decide(refund(request_id="r2")).verdict


steps = st.lists(
    st.one_of(
        st.tuples(st.just("label"), st.integers(0, 2), st.sampled_from(LABELS)),
        st.tuples(st.just("seed"), st.integers(0, 2), st.sampled_from(LABELS)),
        st.tuples(st.just("retract"), st.integers(0, 2), st.sampled_from((*LABELS, None))),
        st.tuples(st.just("retract item"), st.integers(0, 9), st.none()),
    ),
    max_size=14,
)


@pytest.mark.property
@examples(60)
@given(steps)
def test_memory_after_labels_and_retractions_is_what_the_specification_says(
    policy: Policy, acts: list[tuple[str, int, Any]]
) -> None:
    """Whatever is labelled and taken back in whatever order: the same items count, and the same score comes out."""
    clock, ids = FixedClock("2026-01-15T12:00:00Z"), SeededIds("retractions")
    with Gate.open(policy=policy, store="sqlite:///:memory:", create=True, clock=clock, ids=ids) as gate:
        made = [gate.decide(small_refund(request_id=f"r{n}", action__amount__value=5 * n + 5)) for n in range(3)]
        for name, place, label in acts:
            items = gate.store.memory_items(*ACTION)
            if name == "label":
                gate.label(made[place].decision_id, label)
            elif name == "seed":
                gate.seed(label, small_refund(action__amount__value=5 * place + 5), summary="INC")
            else:
                _take_back(gate, items, made[place].decision_id if name == "retract" else place, label)
        items = gate.store.memory_items(*ACTION)
        asked = gate.decide(small_refund(request_id="asked"))
    features = next((item.features for item in items if item.features), {"action_type": ACTION[1]})
    expected, matches = spec_memory.naive_top_k(policy, features, items, 5)
    found = top_k(policy, features, MemorySnapshot(items), k=5)
    assert (expected, [match[0] for match in matches]) == (found.score, [match.memory_id for match in found.top_k])
    assert MemorySnapshot(items).digest == asked.memory_snapshot


def _take_back(gate: Gate, items: list[MemoryItem], target: str | int, label: str | None) -> None:
    """Take back what is meant, if one thing is, and check that it is exactly that one; else that nothing happens."""
    back = {item.retracts for item in items}
    stands = [item for item in items if item.retracts is None and item.memory_id not in back]
    if isinstance(target, int):
        meant = stands[target : target + 1]
        target = meant[0].memory_id if meant else "nothing"
    else:
        meant = [item for item in stands if item.source_decision_id == target and label in (None, item.label)]
    if len(meant) == 1:
        assert meant[0].memory_id == gate.retract(target, label=label).retracts
    else:
        with pytest.raises(NotFoundError):
            gate.retract(target, label=label)
        assert items == gate.store.memory_items(*ACTION)
