"""
What is said to have changed a decision is true, for every value that the sentence covers.
The sentences are read back from their words, and each value is decided by the traced evaluator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from strategies import examples, journals, policies, request_documents

from lumyn.core.alternatives import Alternative, Change, Situation, alternatives
from lumyn.core.judge import judge
from lumyn.core.requests import minor_digits, request_from_document
from lumyn.engine.evaluator import compile_policy, trace
from lumyn.engine.profiles import feature_plan
from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import Verdict
from lumyn.policy.scalars import to_decimal
from lumyn.policy.spec import EvidenceType, Policy

pytestmark = pytest.mark.property

NEAR = [Decimal(text) for text in ("0", "0.3", "0.35", "0.7", "1", "1.5", "2", "12.5", "25", "200", "-1")]
STEPS = [Decimal(text) for text in ("0", "0.01", "-0.01", "1", "-1", "0.000001", "-0.000001", "0.5", "1000")]


def decided(policy: Policy, document: dict[str, Any], memory: MemorySnapshot, score: Decimal | None = None) -> Verdict:
    """Return the verdict by way of the evaluator that is not the one under test."""
    request = request_from_document(document)
    if score is None:
        plan = compile_policy(policy).plan(request.action_type)
        score = memory.search(policy, feature_plan(policy).of_facts(plan.facts(request))).score
    return trace(policy, request, similarity=score).evaluation.verdict


def covers(words: str, number: Decimal) -> bool:
    """Return whether the words of a range are true of a number."""
    text = re.sub(r" \([-\d.]+ USD\)| [A-Z]{3}\b", "", words)
    least_and_most = re.fullmatch(r".*?from (-?[\d.]+) to (-?[\d.]+)", text)
    if least_and_most:
        return Decimal(least_and_most[1]) <= number <= Decimal(least_and_most[2])
    exact = re.fullmatch(r".*exactly (-?[\d.]+)", text)
    if exact:
        return number == Decimal(exact[1])
    if re.fullmatch(r".*any (?:amount|number)", text):
        return True
    said = False
    for bound, how in re.findall(r"(-?[\d.]+) or (more|less)", text):
        said = True
        if number < Decimal(bound) if how == "more" else number > Decimal(bound):
            return False
    for how, bound in re.findall(r"(more|less) than (-?[\d.]+)", text):
        said = True
        if number <= Decimal(bound) if how == "more" else number >= Decimal(bound):
            return False
    assert said, words
    return True


def values(policy: Policy, change: Change) -> Iterator[Any]:
    """Yield the value that was decided, and others that the words cover and a request can hold."""
    yield change.value
    spec = policy.evidence.get(change.name)
    numbers = sorted({near + step for near in NEAR for step in STEPS})
    if change.name == "amount" and isinstance(change.value, dict):
        currency = change.value["currency"]
        for number in numbers:
            if number >= 0 and number == round(number, minor_digits(currency)) and covers(change.words, number):
                yield {"value": format(number, "f"), "currency": currency}
    elif change.pointer.startswith("/evidence/") and isinstance(change.value, (int, float)) and spec is not None:
        for number in numbers:
            whole = spec.type is not EvidenceType.INTEGER or number == int(number)
            low = (
                spec.minimum is None or number > spec.minimum or (number == spec.minimum and not spec.exclusive_minimum)
            )
            if spec.type is EvidenceType.BOOLEAN or not whole or not low:
                continue
            if (spec.maximum is None or number <= spec.maximum) and covers(change.words, number):
                yield int(number) if number == int(number) else float(number)
    elif not change.pointer:
        yield from (float(number) for number in numbers if 0 <= number <= 1 and covers(change.words, number))


def changed(document: dict[str, Any], change: Change, value: Any) -> dict[str, Any]:
    """Return a copy of the request with one change."""
    copy = deepcopy(document)
    *parents, name = change.pointer.split("/")[1:]
    below = copy
    for parent in parents:
        below = below.setdefault(parent, {})
    if value is None:
        below.pop(name, None)
    else:
        below[name] = value
    return copy


def claims(policy: Policy, document: dict[str, Any], found: Alternative) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield the requests that an alternative speaks of, each with the failure similarity it assumes."""
    first, *more = found.changes
    for one in values(policy, first):
        start = changed(document, first, one) if first.pointer else document
        score = None if first.pointer else to_decimal(one)
        for other in values(policy, more[0]) if more else [None]:
            if not more:
                yield start, score
            elif more[0].pointer:
                yield changed(start, more[0], other), score
            else:
                yield start, to_decimal(other)


@examples(250)
@given(policies(), request_documents(), journals(size=6), st.booleans())
def test_every_value_that_the_words_cover_gives_the_verdict(policy, document, items, with_memory):
    """Ranges, closed lists and pairs, with and without memory; nothing that changes nothing is named."""
    memory = MemorySnapshot(items if with_memory else ())
    request = request_from_document(document)
    plan = compile_policy(policy).plan(request.action_type)
    judgement = judge(plan, request, memory)
    found = alternatives(
        Situation(
            plan=plan,
            document=document,
            memory=memory,
            evaluation=judgement.evaluation,
            similarity=judgement.similarity.score,
        )
    )
    now = judgement.evaluation.verdict
    for each in found:
        event(f"{len(each.changes)} changes, {now} -> {each.verdict}")
        assert now is not each.verdict
        for other, score in claims(policy, document, each):
            assert each.verdict is decided(policy, other, memory, score), (each.words, other)


@examples(150)
@given(policies(), request_documents(good=True))
def test_looser_verdicts_come_first_and_nearer_ones_before_others(policy, document):
    """The order in which they are told is the order in which they help."""
    memory = MemorySnapshot()
    request = request_from_document(document)
    plan = compile_policy(policy).plan(request.action_type)
    evaluation = judge(plan, request, memory).evaluation
    found = alternatives(
        Situation(plan=plan, document=document, memory=memory, evaluation=evaluation, similarity=Decimal(0))
    )
    order = [(each.verdict.strictness > evaluation.verdict.strictness, each.distance) for each in found]
    assert sorted(order) == order
    looser = [each for each in found if each.verdict.strictness < evaluation.verdict.strictness]
    assert {1} >= {len(each.changes) for each in looser} or [2] == [len(each.changes) for each in looser]
