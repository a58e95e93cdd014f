"""The block `invariants`: what it may say, and that a promise that says nothing is refused."""

from __future__ import annotations

import pytest

from lumyn.errors import InvalidPolicyError
from lumyn.model import Verdict
from lumyn.policy.invariants import InvariantKind
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy

HEAD = """\
schema_version: policy.v0
policy_id: p
policy_version: "1"
thresholds: { most: 500 }
evidence: { risk: { type: number, min: 0, max: 1 }, level: { type: enum, values: [low, high] } }
rules:
  - id: R1
    stage: TRUST_PATHS
    when: { action_type: a.b }
    if: { amount_usd_lte: { threshold: most }, evidence.risk_lt: 0.5, evidence.seen_present: true }
    then: { verdict: TRUST, reason_codes: [CURRENCY_UNSUPPORTED] }
invariants:
"""


def policy(text: str) -> Policy:
    return parse_policy(HEAD + "".join(f"  {line}\n" for line in text.splitlines()))


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("- never: { verdict: TRUST }", InvariantKind.NEVER, "never TRUST"),
        (
            "- never: { verdict: [TRUST, ESCALATE], where: { amount_usd_gt: { threshold: most } } }",
            InvariantKind.NEVER,
            "never TRUST|ESCALATE where amount_usd_gt most",
        ),
        (
            "- requires: { verdict: TRUST, when: { action_type: a.b }, where: { evidence.risk_lt: 0.5 } }",
            InvariantKind.REQUIRES,
            "requires TRUST for a.b where evidence.risk_lt 0.5",
        ),
        ("- monotone: amount_usd", InvariantKind.MONOTONE, "monotone amount_usd"),
        ("- monotone: { fact: evidence.risk, as_it: falls }", InvariantKind.MONOTONE, "monotone evidence.risk falling"),
        ("- fail_closed: all", InvariantKind.FAIL_CLOSED, "fail_closed all"),
        ("- fail_closed: [risk, evidence.level]", InvariantKind.FAIL_CLOSED, "fail_closed risk, level"),
        ("- fail_closed: seen", InvariantKind.FAIL_CLOSED, "fail_closed seen"),
        ("- { name: not much, never: { verdict: TRUST } }", InvariantKind.NEVER, "not much"),
    ],
)
def test_what_may_be_promised(text: str, kind: InvariantKind, name: str) -> None:
    """Each kind is read, and named after what it says unless its author names it."""
    (found,) = policy(text).promises
    assert (kind, name) == (found.kind, found.name)
    assert 13 == found.span.line


def test_members_are_read() -> None:
    """Verdicts, actions and conditions, thresholds substituted."""
    text = "- never: { verdict: TRUST, when: { action_type_in: [a.b] }, where: { amount_usd_gt: { threshold: most } } }"
    (found,) = policy(text).promises
    assert ((Verdict.TRUST,), ("a.b",)) == (found.verdicts, found.actions)
    assert [("amount_usd", "gt", 500)] == [(c.fact, c.operator.name, c.operand) for c in found.conditions]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("- nevr: { verdict: TRUST }", "FIELD_UNKNOWN"),
        ("- { name: nothing }", "INVARIANT_INVALID"),
        ("- { never: { verdict: TRUST }, monotone: amount_usd }", "INVARIANT_INVALID"),
        ("- never: { where: { amount_usd_gt: 5 } }", "FIELD_MISSING"),
        ("- never: { verdict: TRUTS }", "VERDICT_UNKNOWN"),
        ("- never: { verdict: [] }", "INVARIANT_INVALID"),
        ("- never: { verdict: TRUST, where: {} }", "CONDITION_EMPTY"),
        ("- never: { verdict: TRUST, where: { amount_usd_gtt: 5 } }", "OPERATOR_UNKNOWN"),
        ("- never: { verdict: TRUST, where: { evidence.rsk_gt: 0.5 } }", "INVARIANT_INVALID"),
        ("- never: { verdict: TRUST, where: { evidence.risk_is: high } }", "EVIDENCE_TYPE_CONFLICT"),
        ("- never: { verdict: TRUST, where: { evidence.level_is: middle } }", "OPERAND_INVALID"),
        ("- never: { verdict: TRUST, when: { action_type: a.c } }", "INVARIANT_INVALID"),
        ("- never: { verdict: TRUST, when: {} }", "INVARIANT_INVALID"),
        ("- requires: { verdict: TRUST }", "FIELD_MISSING"),
        ("- monotone: evidence.level", "INVARIANT_INVALID"),
        ("- monotone: risk.uncertainty", "INVARIANT_INVALID"),
        ("- monotone: { fact: amount_usd, as_it: rises }", "INVARIANT_INVALID"),
        ("- fail_closed: [rsk]", "INVARIANT_INVALID"),
        ("- fail_closed: []", "INVARIANT_INVALID"),
    ],
)
def test_what_says_nothing_is_refused(text: str, code: str) -> None:
    """A promise that is misread would be proved for ever."""
    with pytest.raises(InvalidPolicyError) as refused:
        policy(text)
    assert code in [problem.code for problem in refused.value.problems]
    assert all(problem.span is not None and problem.span.line >= 13 for problem in refused.value.problems)


def test_a_promise_gives_no_key_a_type() -> None:
    """What a rule only asks to be present stays untyped, so that a promise never changes a decision."""
    assert "seen" not in policy("- never: { verdict: TRUST, where: { evidence.seen_present: false } }").evidence
