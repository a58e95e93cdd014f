"""Many callers, one `request_id`: one decision, one key, one answer; a different request is refused, every time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from faults.children import ask_at_once
from faults.support import make_store, open_gate, refund, release, start_child
from faults.walker import read

from lumyn import DecisionRecord, Gate, IdempotencyConflictError

pytestmark = pytest.mark.faults

THREADS = 32
PROCESSES = 8


@pytest.fixture
def path(scratch: Path) -> Path:
    make_store(scratch / "lumyn.db")
    return scratch / "lumyn.db"


def ask_in_threads(gate: Gate, amounts: list[float]) -> list[DecisionRecord | IdempotencyConflictError]:
    """Return the answer to each amount under one request id, asked for at the same moment."""
    answers: list[DecisionRecord | IdempotencyConflictError] = []
    barrier = threading.Barrier(len(amounts))

    def ask(amount: float) -> None:
        barrier.wait()
        try:
            answers.append(gate.decide(refund("one", amount=amount)))
        except IdempotencyConflictError as error:
            answers.append(error)

    threads = [threading.Thread(target=ask, args=(amount,)) for amount in amounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_threads_with_one_request_get_one_answer(path: Path) -> None:
    """32 threads, one gate: one row, one key, 32 times the same bytes."""
    with open_gate(path) as gate:
        answers = ask_in_threads(gate, [12.0] * THREADS)
    found = read(path)
    assert (True, 1, 1) == (found.sound, len(found.records), len(found.keys))
    assert THREADS == len(answers)
    assert set(found.records.values()) == {answer.to_json() for answer in answers if isinstance(answer, DecisionRecord)}
    assert not any(isinstance(answer, IdempotencyConflictError) for answer in answers)


def test_threads_with_different_requests_all_conflict_but_one(path: Path) -> None:
    """32 amounts under one id: one is decided; no executor runs another with its approval."""
    with open_gate(path) as gate:
        answers = ask_in_threads(gate, [1.0 + n for n in range(THREADS)])
        decided = [answer for answer in answers if isinstance(answer, DecisionRecord)]
        assert (1, THREADS - 1) == (len(decided), len(answers) - len(decided))
        # Later, too; and a conflict stores nothing.
        assert THREADS - 1 == sum(
            isinstance(answer, IdempotencyConflictError)
            for answer in ask_in_threads(gate, [1.0 + n for n in range(THREADS)])
        )
    found = read(path)
    assert (True, 1, 1) == (found.sound, len(found.records), len(found.keys))
    assert [decided[0].to_json()] == list(found.records.values())


def test_processes_with_one_request_get_one_answer(path: Path) -> None:
    """8 processes of 4 threads: one row, one key, 32 times the same bytes."""
    children = [start_child(ask_at_once, str(path), "one", [12.0] * 4) for _ in range(PROCESSES)]
    answers = [tuple(answer) for result in release(children) for answer in result]
    found = read(path)
    assert (True, 1, 1) == (found.sound, len(found.records), len(found.keys))
    assert list(found.records.items()) * 32 == answers


def test_processes_with_different_requests_all_conflict_but_one(path: Path) -> None:
    """8 processes, 8 amounts: one decision, seven refusals."""
    children = [start_child(ask_at_once, str(path), "one", [1.0 + n]) for n in range(PROCESSES)]
    answers = [answer[0] for result in release(children) for answer in result]
    found = read(path)
    assert (True, 1, 1) == (found.sound, len(found.records), len(found.keys))
    assert sorted([*found.records, *["IDEMPOTENCY_CONFLICT"] * (PROCESSES - 1)]) == sorted(answers)


def test_one_request_id_in_two_tenants_is_two_requests(path: Path) -> None:
    """Ids are a tenant's own, also for callers that race; and they are told apart by case."""
    with open_gate(path) as gate:
        other = refund("one", amount=99)
        other["subject"]["tenant_id"] = "globex"
        records = [gate.decide(refund("one")), gate.decide(other), gate.decide(refund("ONE", amount=7))]
        assert records == [gate.decide(refund("one")), gate.decide(other), gate.decide(refund("ONE", amount=7))]
    assert {("acme", "one"), ("globex", "one"), ("acme", "ONE")} == set(read(path).keys)
