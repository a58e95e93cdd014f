"""What would make drifted vectors pass, and which of them a person has to look at: one refusal after the other."""

from __future__ import annotations

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
