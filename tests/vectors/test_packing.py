"""Vectors in short: they run as the whole ones do, and whatever would get lost is noticed before it is."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from vector_suites import Root

from lumyn import _resources
from lumyn.policy.spec import Policy
from lumyn.vectors import Expectation, Outcome, Suite, Vector, discover, load_suite, packing, run
from lumyn.vectors.packing import PackedVector, from_lines, pack, to_lines, unpack
from lumyn.vectors.sources import Sources

EVERYTHING = """
- name: exact
  why: every form an expectation has
  tags: [one, two]
  marks: [slow]
  xfail: { reason: known, until: "2099-12-31" }
  memory: [{ label: near_miss, request: { $use: small }, summary: a close call }]
  request: { $use: small }
  expect:
    verdict: { in: [TRUST, ESCALATE] }
    reason_codes: { contains: [ACME_SMALL], excludes: [ACME_LARGE] }
    matched_rules: [R050]
    risk_signals: { failure_similarity: { score: { between: [0, 0.9] } } }
    record: { determinism: { evaluation_order: { contains: [DEFAULT] } }, verdict: TRUST }
- name: whole
  request: { $use: small }
  expect: { record: { $exact: records/golden.json } }
- name: refused
  skip: not today
  mode: advisory
  request: { $use: small, $with: { action.amount.value: -1 } }
  expect: { error: { reason_code: INVALID_REQUEST_SCHEMA, problems: { contains: [NUMBER_OUT_OF_RANGE] } } }
- name: story
  steps:
    - decide: { id: first, request: { $use: small } }
      expect: { verdict: TRUST, reason_codes: [ACME_SMALL] }
    - label: { decision: first, label: failure, note: why, actor: somebody }
    - advance: PT90M
    - decide: { id: second, request: { $use: small } }
      expect: { verdict: ESCALATE, changed_from: { step: first, because: memory } }
    - retract: { decision: first, label: failure, reason: a mistake, actor: somebody }
    - replay: { decision: second, expect: identical }
    - policy: policies/p.yml
    - restart: {}
    - fault: { storage: read_only }
    - decide: { request: { $use: small } }
      expect: { verdict: ABSTAIN, reason_codes: [STORAGE_UNAVAILABLE] }
"""


def shipped() -> list[Suite]:
    root = _resources.vectors_dir().parent
    return [load_suite(path, root=root) for path in discover(root, ["vectors"])]


def policy_of(suite: Suite):
    root = Path(str(suite.path).removesuffix(suite.file))
    sources = Sources(root)
    return sources.policy_at


def short(suite: Suite) -> tuple[PackedVector, ...]:
    packed = pack(suite, policy_of(suite))
    assert packed is not None
    again = from_lines(to_lines(packed))
    assert packed == again
    return again.vectors


def everything(root: Root) -> Suite:
    """Load a suite that says whatever a vector can say, a whole golden record included."""
    record = root.run("- { name: golden, request: { $use: small }, expect: { verdict: TRUST } }").record
    assert record is not None
    root.write("records/golden.json", json.dumps(record.normalised()))
    return root.suite(EVERYTHING)


def told(vector: Vector) -> list[object]:
    """Return all that comes of a vector, but the places."""
    result = run(vector)
    steps = [
        (step.outcome, None if step.record is None else step.record.to_json(), str(step.error), step.drifts)
        for step in result.steps
    ]
    return [result.outcome, *steps]


def test_every_shipped_vector_runs_alike_in_short() -> None:
    suites = shipped()
    assert len(suites) > 30
    for suite in suites:
        for vector, packed in zip(suite.vectors, short(suite), strict=True):
            ready = unpack(packed, path=suite.path, policy_of=policy_of(suite))
            assert told(vector) == told(ready), vector.node_id


def test_everything_a_vector_can_say_survives(suite_root: Root) -> None:
    suite = everything(suite_root)
    assert [] == [str(problem) for problem in suite.problems]
    for vector, packed in zip(suite.vectors, short(suite), strict=True):
        ready = unpack(packed, path=suite.path, policy_of=policy_of(suite))
        for name in ("vector_id", "suite", "tags", "marks", "skip", "xfail", "span", "mode", "why", "is_scenario"):
            assert getattr(vector, name) == getattr(ready, name)
        assert [step.verb for step in vector.steps] == [step.verb for step in ready.steps]
        assert [step.expect for step in vector.decisions] == [step.expect for step in ready.decisions]


@pytest.mark.parametrize("name", [field.name for field in fields(Expectation) if field.name != "missing"])
def test_an_expectation_that_would_lose_a_member_is_not_packed(
    suite_root: Root, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever the packing forgets, nobody runs a vector that expects less than its file says."""
    suite = everything(suite_root)
    read = packing._read_expectation
    empty: dict[str, object] = {"path": ("gone",), "document": {}, "record": {}}
    decisions = [step for vector in suite.vectors for step in vector.decisions]
    assert any(getattr(step.expect, name) not in (None, False) for step in decisions), "nothing to lose here"

    def forgetful(packed):
        found = read(packed)
        rest = {each.name: getattr(found, each.name) for each in fields(Expectation)}
        return Expectation(**{**rest, name: empty.get(name)})

    monkeypatch.setattr(packing, "_read_expectation", forgetful)
    assert None is pack(suite, policy_of(suite))


def test_a_vector_that_expects_nothing_yet_is_not_packed(suite_root: Root) -> None:
    suite = suite_root.suite("- { name: a, request: { $use: small } }", open_expectations=True)
    assert () == suite.problems
    assert None is pack(suite, policy_of(suite))


def test_a_vector_with_a_problem_is_not_packed(suite_root: Root) -> None:
    suite = suite_root.suite("- { name: a, request: { $use: small }, expect: { verdict: TRUTS } }")
    assert suite.problems
    assert None is pack(suite, policy_of(suite))


def test_a_policy_put_in_place_of_the_one_named_stays_in_place(suite_root: Root) -> None:
    """The empty name stands for it."""
    text = "- { name: a, request: { $use: small }, expect: { verdict: TRUST, reason_codes: [ACME_SMALL] } }"
    override = suite_root.vector(text).policy
    assert isinstance(override, Policy)
    suite = suite_root.suite(text, policy_override=override)
    asked = []
    packed = pack(suite, lambda name: asked.append(name) or override)
    assert packed is not None
    assert {""} == set(asked)
    ready = unpack(packed.vectors[0], path=suite.path, policy_of=lambda name: override)
    assert Outcome.PASSED is run(ready).outcome
