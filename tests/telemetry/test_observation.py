"""Who watches a gate is told of every record, after it is durable, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from telemetry.conftest import request

from lumyn import Gate, IdempotencyConflictError, InvalidRequestError, NotFoundError, Verdict
from lumyn.policy.loader import parse_policy
from lumyn.telemetry import Observation

Watched = Callable[..., Gate]


def test_each_record_is_told_after_it_is_durable(watched: Watched) -> None:
    stored: list[bool] = []

    def look(observation: Observation) -> None:
        with gate.store.write() as transaction:
            stored.append(transaction.decision(observation.record.decision_id).verdict == "TRUST")

    gate = watched(look)
    gate.decide(request())
    assert [True] == stored


def test_a_repeat_is_told_as_one(watched: Watched) -> None:
    seen: list[Observation] = []
    gate = watched(seen.append)
    first, again = gate.decide(request()), gate.decide(request())
    assert first == again
    assert [False, True] == [each.repeated for each in seen]
    assert [first.decision_id] * 2 == [each.record.decision_id for each in seen]
    assert all(each.elapsed_ns > 0 for each in seen)


def test_a_store_that_cannot_be_used_is_told(watched: Watched) -> None:
    seen: list[Observation] = []
    watched(seen.append, create=False).decide(request())
    assert [(Verdict.ABSTAIN, False, False)] == [
        (each.record.verdict, each.record.persisted, each.repeated) for each in seen
    ]


def test_what_came_to_no_record_is_not_told(watched: Watched) -> None:
    seen: list[Observation] = []
    gate = watched(seen.append)
    gate.decide(request())
    with pytest.raises(InvalidRequestError):
        gate.decide({})
    with pytest.raises(IdempotencyConflictError):
        gate.decide(request(evidence={}))
    assert 1 == len(seen)


def test_another_policy_keeps_who_watches(watched: Watched, tmp_path: Path) -> None:
    seen: list[Observation] = []
    gate = watched(seen.append)
    text = (tmp_path / "policy.yml").read_text(encoding="utf-8").replace("1.0.0", "1.0.1")
    gate.with_policy(parse_policy(text)).decide(request())
    assert ["1.0.1"] == [each.record.policy_version for each in seen]


def test_who_raises_keeps_the_caller_from_acting_and_loses_no_record(watched: Watched) -> None:
    """Never a looser answer: there is none. The record stands, and the next gate gives it."""

    def refuse(observation: Observation) -> None:
        raise NotFoundError(observation.record.decision_id)

    with pytest.raises(NotFoundError) as raised:
        watched(refuse).decide(request())
    assert str(raised.value) == watched().decide(request()).decision_id
