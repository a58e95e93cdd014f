"""Suggestions close the holes they are for, and each comes out as it says."""

from __future__ import annotations

import random
import re
import time
from decimal import Decimal
from functools import cache

import golden
import pytest

import lumyn.analysis.suggest as suggest_module
from lumyn.analysis.changes import apart
from lumyn.analysis.choosing import choose
from lumyn.analysis.coverage import Criterion, cover
from lumyn.analysis.emit import suggestions_text
from lumyn.analysis.mutants import Scope
from lumyn.analysis.mutation import assess
from lumyn.analysis.naming import names
from lumyn.analysis.observations import Observation, observe
from lumyn.analysis.suggest import Suggestion, Suggestions, suggest
from lumyn.analysis.witness import parsed
from lumyn.documents import load
from lumyn.errors import InvalidVectorError
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.vectors.format import DecideStep, Vector
from lumyn.vectors.loader import parse_suite
from lumyn.vectors.runner import Outcome, run


@cache
def observed(file: str) -> tuple[Observation, ...]:
    return tuple(observe(golden.of_policy(file), golden.policy(file)))


def half(file: str, seed: int = 3) -> list[Observation]:
    rows = observed(file)
    return random.Random(seed).sample(rows, len(rows) // 2)


def written(file: str, found: tuple[Suggestion, ...]) -> list[Vector]:
    """Return suggestions as vectors, read back from the text that would be written."""
    text = suggestions_text(found, policy_file=file)
    document = load(text.encode(), file="s.yml", error=InvalidVectorError)
    suite = parse_suite(document, path=golden.ROOT / "s.yml", root=golden.ROOT)
    assert () == suite.problems
    return list(suite.vectors)


def nothing_left(file: str, rows: list[Observation], scope: Scope) -> None:
    policy = golden.policy(file)
    after = assess(policy, rows, scope=scope)
    assert ([], ()) == ([each.mutant.mutant_id for each in after.survivors], after.unknown)
    covered = cover(policy, rows)
    assert [] == [goal.name for criterion in Criterion for goal in covered.missing(criterion)]


@pytest.mark.parametrize("scope", Scope)
def test_half_of_the_vectors_are_made_up_for(scope: Scope) -> None:
    """With the suggestions, written and run, nothing survives and no goal is missing; most edit one field."""
    found: list[Suggestion] = []
    for file in golden.POLICY_FILES:
        rows = half(file)
        assert assess(golden.policy(file), rows).survivors
        suggestions = suggest(golden.policy(file), rows, scope=scope)
        assert () == suggestions.left
        results = [run(vector) for vector in written(file, suggestions.found)]
        assert {Outcome.PASSED} == {result.outcome for result in results}
        nothing_left(file, [*rows, *observe(results, golden.policy(file))], scope)
        found += suggestions.found
    one_field = [each for each in found if each.base and not each.base.proposed and len(each.changed) == 1]
    assert 10 * len(one_field) >= 9 * len(found)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_what_is_said_to_be_changed_is_all_that_is(file: str, seed: int) -> None:
    """Beside a decision of the vector that each is an edit of: other places, and other memory, are told."""
    rows = half(file, seed)
    for each in suggest(golden.policy(file), rows, scope=Scope.FULL).found:
        if each.base is None or each.base.proposed:
            continue
        memory = [] if each.experience is None else [(each.experience.label, each.experience.request)]
        changes = [
            {".".join(place) for place in apart(row.document, each.case.request)}
            | ({"memory"} if memory != [(seed.label, seed.request) for seed in row.memory] else set())
            for row in rows
            if row.name == each.base.name
        ]
        assert {*each.changed} in changes


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_nothing_is_suggested_where_nothing_is_missing(file: str) -> None:
    suggestions = suggest(golden.policy(file), observed(file), scope=Scope.FULL)
    assert ((), ()) == (suggestions.found, suggestions.left)


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_from_scratch_everything_is_closed(file: str, scope: Scope) -> None:
    """Without any vector: few of them, each run as it is written, leave no edit and no goal open."""
    suggestions = suggest(golden.policy(file), [], scope=scope)
    assert () == suggestions.left
    assert len(suggestions.found) <= 60
    vectors = written(file, suggestions.found)
    results = [run(vector) for vector in vectors]
    assert {Outcome.PASSED} == {result.outcome for result in results}
    nothing_left(file, observe(results, golden.policy(file)), scope)
    for vector, each in zip(vectors, suggestions.found, strict=True):
        step = vector.steps[0]
        assert isinstance(step, DecideStep)
        assert () == apart(step.request, each.case.request)
        assert vector.proposed


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_minimal_are_fewer_and_close_as_much(file: str) -> None:
    few, more = suggest(golden.policy(file), [], minimal=True), suggest(golden.policy(file), [])
    assert () == few.left
    assert len(few.found) < len(more.found)


def test_a_vector_of_another_action_is_an_edit_away() -> None:
    """Of the order of two rules only a request that both fire for tells: the one there is asks for another action."""
    policy = parse_policy(
        '{"schema_version": "policy.v0", "policy_id": "p", "policy_version": "1", '
        '"reason_codes": {"CODE_A": "a", "CODE_B": "b"},'
        '"evidence": {"a": {"type": "boolean"}, "b": {"type": "boolean"}}, "rules": ['
        '{"id": "R1", "stage": "ESCALATIONS", "when": {"action_type": "x.y"}, "if": {"evidence.a_is": true},'
        ' "then": {"verdict": "ESCALATE", "reason_codes": ["CODE_A"]}},'
        '{"id": "R2", "stage": "ESCALATIONS", "when": {"action_type": "x.y"}, "if": {"evidence.b_is": true},'
        ' "then": {"verdict": "ESCALATE", "reason_codes": ["CODE_B"]}}]}'
    )
    rows = [asked(policy, "neither", "x.y", {}), asked(policy, "both", "x.other", {"a": True, "b": True})]
    suggestions = suggest(policy, rows)
    assert () == suggestions.left
    assert [("action.type",)] == [each.changed for each in suggestions.found if "R2/order/R1" in ids(each)]


def asked(policy: Policy, name: str, action: str, evidence: dict[str, JsonValue]) -> Observation:
    request: JsonObject = {
        "schema_version": "decision_request.v0",
        "subject": {"type": "service", "id": "s"},
        "action": {"type": action, "intent": "i"},
        "evidence": evidence,
        "context": {"mode": "digest_only", "digest": "sha256:" + "0" * 64},
    }
    return Observation(
        name=name, step=0, document=request, request=parsed(policy, request), similarity=Decimal(0), pins=None
    )


def ids(suggestion: Suggestion) -> list[str]:
    return [mutant.mutant_id for mutant in suggestion.kills]


def test_from_scratch_takes_no_longer_than_it_may() -> None:
    """A second of the processor, three times what it takes: the goal itself is the benchmark's."""
    policy = golden.policy("policies/lumyn-support.v0.yml")
    began = time.process_time()
    suggest(policy, [])
    assert time.process_time() - began < 3


def test_the_most_valuable_come_first() -> None:
    """What a few close is worth more than what the same number of others does."""
    file = golden.POLICY_FILES[-1]
    every = suggest(golden.policy(file), half(file))
    first = suggest(golden.policy(file), half(file), most=2)
    assert 2 == len(first.found)
    assert all(each.kills or each.goals for each in first.found)
    assert {"more suggestions are needed"} == {each.reason for each in first.left}
    closed = sum(len(each.kills) + len(each.goals) for each in every.found)
    assert closed == len(first.left) + sum(len(each.kills) + len(each.goals) for each in first.found)


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_names_say_what_is_changed_and_stay(file: str) -> None:
    """A name holds its base, the field and the value; two runs agree on it, and no two are the same."""
    found = suggest(golden.policy(file), []).found
    called = names(found)
    assert called == names(suggest(golden.policy(file), []).found)
    assert len(set(called)) == len(called)
    for name, each in zip(called, found, strict=True):
        assert re.fullmatch(r"[A-Za-z0-9_]{3,80}", name)
        if each.base is not None:
            assert name.startswith(each.base.name.replace(".", "_")[:40])


def test_an_everyday_request_is_one_that_somebody_would_send() -> None:
    """From scratch: dollars, whole counts, identifiers that look like some, and nothing at a limit."""
    suggestions = suggest(golden.policy("policies/lumyn-support.v0.yml"), [])
    bases = {each.base.name: each.base.request for each in suggestions.found if each.base is not None}
    refund = bases["refund_trusted"]
    assert {"type": "support.refund", "intent": "refund", "amount": {"value": 10, "currency": "USD"}} == refund[
        "action"
    ]
    assert {
        "ticket_id": "T-1",
        "order_id": "O-1",
        "customer_id": "C-1",
        "payment_instrument_risk": "low",
        "chargeback_risk": 0.1,
        "previous_refund_count_90d": 0,
        "customer_age_days": 30,
    } == refund["evidence"]


def test_what_cannot_be_asked_is_left_with_its_reason() -> None:
    """A threshold between two scores that are a hair apart: no experience tells it from its neighbour."""
    rules = (
        '[{"id": "R1", "stage": "ESCALATIONS", "if": {"risk.failure_similarity_gte": 0.9812}, "then": {"verdict": '
        '"ESCALATE", "reason_codes": ["FAILURE_MEMORY_SIMILAR_ESCALATE"]}}]'
    )
    policy = parse_policy(
        f'{{"schema_version": "policy.v0", "policy_id": "p", "policy_version": "1", "rules": {rules}}}'
    )
    suggestions = suggest(policy, [])
    assert suggestions.found
    assert suggestions.left
    assert all("no single experience" in each.reason for each in suggestions.left)


def test_few_are_chosen_and_none_is_idle() -> None:
    """Three that overlap: the greedy first choice is dropped when the other two close all that it does."""
    sets = [0b0110, 0b0011, 0b1100]
    assert [(1, 0b0011), (2, 0b1100)] == choose(sets, [0, 1, 1], [(0b1111, 1)])
    assert [(0, 0b0110)] == choose(sets, [0, 1, 1], [(0b1111, 1)], most=1)
    assert [(2, 0b1100)] == choose(sets, [0, 0, 0], [(0b0011, 1), (0b1100, 5)], most=1)
    cheap, dear = [0b01, 0b10], 0b11
    assert [0, 1] == [place for place, _ in choose([*cheap, dear], [1, 1, 2], [(0b11, 1)], many=2)]
    assert [2] == [place for place, _ in choose([*cheap, dear], [1, 1, 2], [(0b11, 1)], many=1)]


def test_what_is_too_much_at_once_is_left_open_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first few of those there would be, searched for or not; whatever else they would close is told."""
    policy = golden.policy(golden.POLICY_FILES[0])
    whole = suggest(policy, [])
    assert not whole.more
    for at_once in (5, len(whole.found) - 1):  # enough are there before a search; too many are after it
        monkeypatch.setattr(suggest_module, "_AT_ONCE", at_once)
        some = suggest(policy, [])
        assert some.more
        assert len(some.found) == at_once
        left = {each.name for each in some.left}
        assert closed_by(whole) <= closed_by(some) | left
        assert not closed_by(some) & left
    monkeypatch.setattr(suggest_module, "_AT_ONCE", len(whole.found))
    assert suggest(policy, []).found == whole.found
    assert len(suggest(policy, [], most=len(whole.found) + 9).found) >= len(whole.found)


def test_the_first_of_some_suggestions_leave_open_what_only_the_others_close() -> None:
    """Nothing is dropped without a word."""
    whole = suggest(golden.policy(golden.POLICY_FILES[0]), [])
    some = whole.first(3)
    assert some.more
    assert some.found == whole.found[:3]
    assert closed_by(some) | {each.name for each in some.left} == closed_by(whole) | {e.name for e in whole.left}
    assert whole.first(len(whole.found)) == whole


def closed_by(suggestions: Suggestions) -> set[str]:
    return {name for e in suggestions.found for name in (*(mutant.mutant_id for mutant in e.kills), *e.goals)}


def test_long_work_tells_how_far_it_is() -> None:
    """A policy of a thousand rules takes a while; each step counts up to what it holds."""
    told: list[tuple[int, int]] = []
    suggest(golden.policy(golden.POLICY_FILES[0]), [], most=1, advance=lambda done, total: told.append((done, total)))
    assert told
    assert all(0 <= done < total for done, total in told)
