"""Suggestions close the holes they are for, and each comes out as it says."""

from __future__ import annotations

import random
from functools import cache

import golden
import pytest

from lumyn.analysis.coverage import cover
from lumyn.analysis.emit import suggestions_text
from lumyn.analysis.mutation import assess
from lumyn.analysis.observations import Observation, observe
from lumyn.analysis.suggest import SHOWN_GOALS, Suggestion, suggest
from lumyn.documents import load
from lumyn.errors import InvalidVectorError
from lumyn.vectors.format import Vector
from lumyn.vectors.loader import parse_suite
from lumyn.vectors.runner import Outcome, run


@cache
def observed(file: str) -> tuple[Observation, ...]:
    return tuple(observe(golden.of_policy(file), golden.policy(file)))


def half(file: str) -> list[Observation]:
    rows = observed(file)
    return random.Random(3).sample(rows, len(rows) // 2)


def written(file: str, found: list[Suggestion]) -> list[Vector]:
    """Return suggestions as vectors, read back from the text that would be written."""
    text = suggestions_text(found, policy_file=file)
    document = load(text.encode(), file="s.yml", error=InvalidVectorError)
    suite = parse_suite(document, path=golden.ROOT / "s.yml", root=golden.ROOT)
    assert () == suite.problems
    return list(suite.vectors)


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_half_of_the_vectors_are_made_up_for(file: str) -> None:
    """With the suggestions, written and run, nothing survives and no goal is missing; most edit one field."""
    policy, rows = golden.policy(file), half(file)
    before = assess(policy, rows)
    assert before.survivors
    found = suggest(policy, rows)
    results = [run(vector) for vector in written(file, found)]
    assert {Outcome.PASSED} == {result.outcome for result in results}
    with_them = [*rows, *observe(results, policy)]
    after = assess(policy, with_them)
    assert ([], ()) == ([each.mutant.mutant_id for each in after.survivors], after.unknown)
    covered = cover(policy, with_them)
    assert [] == [goal.name for criterion in SHOWN_GOALS for goal in covered.missing(criterion)]
    assert 10 * sum(each.base is not None for each in found) >= 8 * len(found)


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_nothing_is_suggested_where_nothing_is_missing(file: str) -> None:
    assert [] == suggest(golden.policy(file), observed(file))


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_from_scratch_nearly_all_is_closed(file: str) -> None:
    """Without any vector: what is left are a few edits about memory that no experience tried here reaches."""
    policy = golden.policy(file)
    found = suggest(policy, [])
    results = [run(vector) for vector in written(file, found)]
    assert {Outcome.PASSED} == {result.outcome for result in results}
    after = assess(policy, observe(results, policy))
    assert 100 * len(after.killed) >= 95 * after.killable


def test_the_most_valuable_come_first() -> None:
    """Each is worth no more than the one before, so that a few of them close most of what is open."""
    file = golden.POLICY_FILES[-1]
    first = suggest(golden.policy(file), half(file), most=2)
    assert 2 == len(first)
    assert all(each.kills or each.goals for each in first)
