"""What `policy check` finds: each kind in a policy that has it, and nothing of the kind in one that does not."""

from __future__ import annotations

from typing import Any

import golden
import pytest
from hypothesis import given
from strategies import examples, policies

from lumyn.analysis.check import Finding, Level, check
from lumyn.analysis.coverage import Criterion, cover
from lumyn.analysis.witness import evaluate
from lumyn.model import Verdict
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy

HEAD = """\
schema_version: policy.v0
policy_id: p
policy_version: "1"
reason_codes: { CODE_A: A., CODE_B: B. }
fx_bounds: { EUR: [0.8, 1.6] }
"""


def policy(rules: str, head: str = HEAD) -> Policy:
    return parse_policy(head + "rules:\n" + rules)


def rule(rule_id: str, stage: str, verdict: str, conditions: str, code: str = "CODE_A") -> str:
    return (
        f"  - {{ id: {rule_id}, stage: {stage}, when: {{ action_type: a.b }}, if: {{ {conditions} }}, "
        f"then: {{ verdict: {verdict}, reason_codes: [{code}] }} }}\n"
    )


BOTH = rule("R8", "ESCALATIONS", "ESCALATE", "evidence.x_is: 1", "CODE_B")
TRUST = rule("R9", "TRUST_PATHS", "TRUST", "amount_usd_lte: 25")


def found(given_policy: Policy, code: str) -> list[Finding]:
    return [finding for finding in check(given_policy) if finding.code == code]


def block(rule_id: str, conditions: str) -> str:
    return rule(rule_id, "HARD_BLOCKS", "ABSTAIN", conditions)


def escalate(rule_id: str, conditions: str) -> str:
    return rule(rule_id, "ESCALATIONS", "ESCALATE", conditions, "CODE_B")


ODD: dict[str, tuple[str, Level, str]] = {
    "RULE_DEAD": (
        block("R1", "amount_usd_gt: 5, amount_usd_lt: 3") + escalate("R2", "evidence.x_gt: 1"),
        Level.ERROR,
        "R1",
    ),
    "RULE_MASKED": (block("R1", "amount_usd_gt: 5") + escalate("R2", "amount_usd_gt: 9"), Level.WARNING, "R2"),
    "RULE_SUBSUMED": (escalate("R1", "amount_usd_gt: 5") + escalate("R2", "amount_usd_gt: 9"), Level.WARNING, "R2"),
    "CONDITION_REDUNDANT": (block("R1", "amount_usd_gt: 5, amount_usd_gte: 3"), Level.WARNING, "amount_usd >= 3"),
    "FAIL_OPEN": (TRUST + block("R1", "evidence.flag_present: true"), Level.ERROR, "flag"),
    "AMOUNT_UNBOUNDED": (rule("R1", "TRUST_PATHS", "TRUST", "amount_usd_gte: 5"), Level.ERROR, "a.b"),
    "DEFAULT_REACHED": (TRUST, Level.NOTE, "a.b"),
    "REASON_CODE_UNUSED": (TRUST, Level.WARNING, "CODE_B"),
}


@pytest.mark.parametrize("code", ODD)
def test_what_is_odd_is_found(code: str) -> None:
    """Once, at its level, with what it is about, and at its place where there is one."""
    rules, level, words = ODD[code]
    (finding,) = found(policy(rules), code)
    assert (level, True) == (finding.level, words in finding.message)
    if finding.case is not None:
        evaluate(policy(rules), finding.case)


def test_a_sound_policy_has_no_such_finding() -> None:
    """A limit above, a guard that abstains when in doubt, every code used."""
    sound = policy(TRUST + BOTH + block("R1", "evidence.risk_gte: 0.7"))
    assert [Level.NOTE] == [finding.level for finding in check(sound)]


def test_thresholds() -> None:
    """One nobody reads, and one whose number stands in a rule again."""
    head = HEAD + "thresholds: { most: 25, unread: 7 }\n"
    rules = rule("R1", "TRUST_PATHS", "TRUST", "amount_usd_lte: { threshold: most }") + escalate(
        "R2", "amount_usd_gt: 25"
    )
    codes = {finding.code: finding for finding in check(policy(rules, head))}
    assert "`unread`" in codes["THRESHOLD_UNUSED"].message
    assert "repeats threshold `most`" in codes["THRESHOLD_REPEATED"].message
    assert (codes["THRESHOLD_UNUSED"].span or codes["THRESHOLD_REPEATED"].span) is not None


def test_rates_without_bounds() -> None:
    """Amounts are compared, and the caller names the rate."""
    head = HEAD.replace("fx_bounds: { EUR: [0.8, 1.6] }\n", "")
    assert found(policy(TRUST, head), "FX_UNBOUNDED")
    assert not found(policy(TRUST), "FX_UNBOUNDED")


def test_a_default_is_a_choice() -> None:
    """Absence that a declared default rewards is a warning: somebody wrote down what it counts as."""
    head = HEAD + "evidence: { flag: { type: boolean, default: false } }\n"
    (finding,) = found(policy(TRUST + block("R1", "evidence.flag_is: true"), head), "FAIL_OPEN")
    assert (Level.WARNING, True) == (finding.level, "by the default" in finding.message)
    assert finding.case is not None
    assert evaluate(policy(TRUST + block("R1", "evidence.flag_is: true"), head), finding.case).verdict is Verdict.TRUST


def test_over_budget_is_an_error() -> None:
    """Nothing is said of rules then, for they might be alive where the budget ended."""
    findings = check(golden.policy("policies/lumyn-support.v0.yml"), limit=0)
    assert {"ANALYSIS_UNKNOWN"} == {finding.code for finding in findings}
    assert all(finding.level is Level.ERROR for finding in findings)


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_the_policies_that_ship_have_no_errors(file: str) -> None:
    assert [] == [finding for finding in check(golden.policy(file)) if finding.level is Level.ERROR]


@given(given_policy=policies())
@examples(40)
def test_dead_rules_are_those_coverage_leaves_out(given_policy: Policy) -> None:
    """Two ways to ask the same of every request agree: what can never fire, and what never decides alone."""
    findings = check(given_policy)
    if any(finding.code == "ANALYSIS_UNKNOWN" for finding in findings):
        return
    goals: Any = cover(given_policy, []).goals
    checks = {r.rule_id for r in given_policy.rules if r.is_requirements_check}
    dead = {goal.name for goal in goals if goal.criterion is Criterion.FIRED and goal.infeasible} - checks
    idle = {goal.name for goal in goals if goal.criterion is Criterion.DECIDES and goal.infeasible} - checks
    named = {code: {f.message.split(" ")[0] for f in findings if f.code == code} for code in ("RULE_DEAD",)}
    never = {f.message.split(" ")[0] for f in findings if f.code in ("RULE_MASKED", "RULE_SUBSUMED")} - checks
    if all(not goal.unknown for goal in goals):
        assert (dead - {"DEFAULT"}, idle) == (named["RULE_DEAD"], never | named["RULE_DEAD"])
