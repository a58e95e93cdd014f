"""What would make drifted vectors pass, and which of them a person has to look at: one refusal after the other."""

from __future__ import annotations

import json

import pytest
from vector_suites import POLICY, Root

from lumyn.vectors import VectorResult, run
from lumyn.vectors.changes import Proposal
from lumyn.vectors.update import propose

SMALL = "request: { $use: small }"
LARGE = "request: { $use: small, $with: { action.amount.value: 300 } }"


def drifted(suite_root: Root, text: str) -> list[VectorResult]:
    return [each for each in map(run, suite_root.suite(text, revising=True).vectors) if each.outcome != "passed"]


def proposed(suite_root: Root, text: str, **options: bool) -> list[Proposal]:
    return propose(drifted(suite_root, text), root=suite_root.path, **options)


ROWS = """\
- name: shared
  request: { $use: small }
  expect: { verdict: TRUST, reason_codes: [ACME_SMALL] }
  table:
    columns: [id, request.action.amount.value]
    rows: [[a, 300], [b, 350], [c, 100]]
"""


@pytest.mark.parametrize("turned", [False, True])
def test_all_who_share_a_place_are_told_that_they_do_not_agree(suite_root: Root, turned: bool) -> None:
    """Two rows came out the same, the third another way, and in whichever order they are looked at none is changed."""
    results = drifted(suite_root, ROWS)
    assert 3 == len(results)
    found = propose(results[::-1] if turned else results, root=suite_root.path)
    why = "`/vectors/0/expect/reason_codes` stands for several vectors, which came out differently"
    assert [why] * 3 == [each.refused for each in found]
    assert [()] * 3 == [each.changes for each in found]


def test_what_could_not_be_read_afterwards_says_what_is_wrong_with_it(suite_root: Root) -> None:
    """The verdict comes from a file of defaults, so the vector cannot take it back and expect an error."""
    suite_root.write("vectors/_defaults.yaml", "schema_version: vector.v0\nexpect: { verdict: TRUST }\n")
    broken = "request: { $use: small, $with: { action.colour: red } }"
    (made,) = proposed(suite_root, f"- name: one\n  {broken}\n  expect: {{ reason_codes: [ACME_SMALL] }}\n")
    assert "an error leaves no record to compare: drop `verdict` or `error`" in made.refused
    assert () == made.changes


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "then: { verdict: ABSTAIN, reason_codes: [ACME_RISKY] }",
            "then: { verdict: ABSTAIN, reason_codes: [ACME_SMALL] }",
        ),
        ("default_reason_code: NO_MATCH_DEFAULT_ESCALATE", "default_reason_code: ACME_SMALL"),
    ],
    ids=["of a rule that blocks", "of the default"],
)
def test_a_code_of_a_trusting_rule_is_a_guard_where_others_give_it_too(suite_root: Root, old: str, new: str) -> None:
    """Nobody can tell which of them gave it before, so to lose it counts."""
    expect = "expect: { verdict: ESCALATE, reason_codes: [ACME_LARGE, ACME_SMALL] }"
    text = f"- name: one\n  {LARGE}\n  {expect}\n"
    (made,) = proposed(suite_root, text)
    assert ("", "") == (made.refused, made.looser)
    assert POLICY.count(old) == 1
    suite_root.write("policies/p.yml", POLICY.replace(old, new))
    (made,) = proposed(suite_root, text)
    assert "looser: fewer reason codes than before: ACME_SMALL no longer among them" == made.refused


BROKEN = "request: { $use: small, $with: { action.colour: red } }"


@pytest.mark.parametrize(
    ("request_", "expect", "pointer", "value"),
    [
        (
            BROKEN,
            "{ error: { reason_code: INVALID_REQUEST_SCHEMA, problems: [FIELD_MISSING] } }",
            "error/problems",
            ["FIELD_UNKNOWN"],
        ),
        (
            LARGE,
            "{ reason_codes: [ACME_RISKY], matched_rules: { contains: [{ rule_id: R030, x-n: 1 }] } }",
            "reason_codes",
            ["ACME_LARGE"],
        ),
        (
            SMALL,
            "{ verdict: TRUST, reason_codes: [ACME_SMALL], record: { policy: { policy_version: '0.9' } } }",
            "record/policy/policy_version",
            "1.0.0",
        ),
        (
            SMALL,
            "{ verdict: TRUST, reason_codes: [ACME_SMALL, ACME_LARGE], matched_rules: [R050] }",
            "reason_codes",
            ["ACME_SMALL"],
        ),
        (
            SMALL,
            "{ verdict: TRUST, record: { matched_rules: [{ in: [R030] }] } }",
            "record/matched_rules",
            [{"effect": "TRUST", "reason_codes": ["ACME_SMALL"], "rule_id": "R050", "stage": "TRUST_PATHS"}],
        ),
    ],
    ids=[
        "problems of an error",
        "notes within a condition that holds",
        "a part without a verdict",
        "still trusted",
        "an item",
    ],
)
def test_one_value_gives_way_and_is_no_looser(
    suite_root: Root, request_: str, expect: str, pointer: str, value: object
) -> None:
    (made,) = proposed(suite_root, f"- name: one\n  {request_}\n  expect: {expect}\n")
    assert ("", "") == (made.refused, made.looser)
    assert [(f"/vectors/0/expect/{pointer}", value)] == [(each.pointer, each.value) for each in made.changes]


@pytest.mark.parametrize(
    ("expect", "why"),
    [
        (
            "{ verdict: TRUST, reason_codes: { any_order: [ACME_LARGE], excludes: [ACME_RISKY] } }",
            "`reason_codes.any_order` states a condition",
        ),
        (
            "{ verdict: QUERY, reason_codes: [ACME_ASK], queries: { any_order: [ticket_id] } }",
            "`queries.any_order` states a condition",
        ),
    ],
    ids=["beside another condition", "and nothing came"],
)
def test_a_list_in_any_order_that_takes_a_person(suite_root: Root, expect: str, why: str) -> None:
    """No run can tell what the rest of the condition should be, and an empty list is no list in any order."""
    (made,) = proposed(suite_root, f"- name: one\n  {SMALL}\n  expect: {expect}\n", accept_looser=True)
    assert made.refused.startswith(why)
    assert () == made.changes


CHANGED = """\
- name: one
  steps:
    - decide: { id: first, request: { $use: small } }
      expect: { verdict: TRUST, reason_codes: [ACME_SMALL] }
    - label: { decision: first, label: failure }
    - decide: { request: { $use: small } }
      expect: { verdict: ABSTAIN, changed_from: { step: first, because: memory } }
"""


def test_a_cause_that_is_claimed_stays_in_place_of_reasons(suite_root: Root) -> None:
    """Who says why a verdict changed has named a reason: none is added."""
    (made,) = proposed(suite_root, CHANGED, accept_looser=True)
    assert "" == made.refused
    assert [("/vectors/0/steps/2/expect/verdict", "ESCALATE")] == [(each.pointer, each.value) for each in made.changes]


def test_a_golden_record_keeps_what_is_not_compared_and_how_numbers_are_written(suite_root: Root) -> None:
    """The version of the engine that made it, and lists that got longer beside those that did not."""
    name = "vectors/_golden.json"
    text = f"- name: one\n  {LARGE}\n  expect: {{ record: {{ $exact: {name} }} }}\n"
    first = run(
        suite_root.vector(f"- name: one\n  {LARGE}\n  expect: {{ verdict: ESCALATE, reason_codes: [ACME_LARGE] }}\n")
    )
    record = json.loads(json.dumps(first.steps[0].record.normalised()))
    determinism = {"engine_version": "0.0.9", **record["determinism"], "evaluation_order": ["REQUIREMENTS"]}
    old = {**record, "determinism": determinism, "reason_codes": ["ACME_LARGE", "ACME_RISKY"]}
    suite_root.write(name, json.dumps(old))
    (made,) = proposed(suite_root, text, accept_looser=True)
    assert "" == made.refused
    ((changed, value),) = [(each.file, each.value) for each in made.changes]
    assert name == changed
    assert {**record, "determinism": {"engine_version": "0.0.9", **record["determinism"]}} == value
