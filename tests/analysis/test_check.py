"""What `policy check` finds: each kind in a policy that has it, and nothing of the kind in one that does not."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import golden
import pytest
from hypothesis import given
from strategies import examples, policies

from lumyn.analysis.boxes import BudgetExceededError
from lumyn.analysis.cells import Space
from lumyn.analysis.check import Finding, Level, check
from lumyn.analysis.copies import Sections, ascending, cuts, twins_of
from lumyn.analysis.coverage import Criterion, cover
from lumyn.analysis.finding import CODES
from lumyn.analysis.growth import growth_of, numbers_of
from lumyn.analysis.regions import View
from lumyn.analysis.witness import evaluate, parsed
from lumyn.errors import InvalidRequestError
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


BOTH = rule("R8", "ESCALATIONS", "ESCALATE", "evidence.x_gte: 1", "CODE_B")
TRUST = rule("R9", "TRUST_PATHS", "TRUST", "amount_usd_lte: 25")


def found(given_policy: Policy, code: str) -> list[Finding]:
    return [finding for finding in check(given_policy) if finding.code == code]


def block(rule_id: str, conditions: str) -> str:
    return rule(rule_id, "HARD_BLOCKS", "ABSTAIN", conditions)


def escalate(rule_id: str, conditions: str) -> str:
    return rule(rule_id, "ESCALATIONS", "ESCALATE", conditions, "CODE_B")


def choice(rule_id: str, *groups: str) -> str:
    items = ", ".join(f"{{ {group} }}" for group in groups)
    return (
        f"  - {{ id: {rule_id}, stage: HARD_BLOCKS, when: {{ action_type: a.b }}, if_any: [{items}], "
        "then: { verdict: ABSTAIN, reason_codes: [CODE_B] } }\n"
    )


ANYWHERE = (
    "  - { id: R1, stage: TRUST_PATHS, if: { amount_usd_lte: 5 }, then: { verdict: TRUST, reason_codes: [CODE_A] } }\n"
)
OTHER = TRUST + rule("R2", "TRUST_PATHS", "TRUST", "evidence.done_is: true", "CODE_B").replace("a.b", "c.d")

ODD: dict[str, tuple[str, Level, str]] = {
    "RULE_DEAD": (
        block("R1", "amount_usd_gt: 5, amount_usd_lt: 3") + escalate("R2", "evidence.x_gt: 1"),
        Level.ERROR,
        "R1 can never fire: `amount_usd > 5` and `amount_usd < 3` exclude one another",
    ),
    "RULE_MASKED": (
        block("R1", "amount_usd_gt: 5") + escalate("R2", "amount_usd_gt: 9"),
        Level.WARNING,
        "R2 never decides: wherever it fires, R1 does too",
    ),
    "RULE_SUBSUMED": (
        escalate("R1", "amount_usd_gt: 5") + escalate("R2", "amount_usd_gt: 9"),
        Level.WARNING,
        "R2 never decides: wherever it fires, R1 does too",
    ),
    "CONDITION_REDUNDANT": (block("R1", "amount_usd_gt: 5, amount_usd_gte: 3"), Level.WARNING, "amount_usd >= 3"),
    "CONDITION_DEAD": (
        choice("R1", "evidence.x_gt: 5", "evidence.y_gt: 5, evidence.y_lt: 3"),
        Level.WARNING,
        "`y > 5` and `y < 3` can never hold",
    ),
    "FAIL_OPEN": (TRUST + block("R1", "evidence.flag_present: true"), Level.ERROR, "leaving `flag` out earns TRUST"),
    "AMOUNT_UNBOUNDED": (rule("R1", "TRUST_PATHS", "TRUST", "amount_usd_gte: 5"), Level.ERROR, "a.b"),
    "AMOUNT_ZERO": (TRUST, Level.NOTE, "a.b: TRUST at an amount of 0"),
    "AMOUNT_UNREAD": (OTHER, Level.NOTE, "c.d: TRUST whatever amount"),
    "ACTION_UNKNOWN_TRUSTED": (ANYWHERE + block("R2", "evidence.x_gt: 1"), Level.ERROR, "does not name can get TRUST"),
    "EVIDENCE_NEGATIVE": (
        rule("R1", "TRUST_PATHS", "TRUST", "amount_usd_lte: 5, evidence.score_lt: 3"),
        Level.WARNING,
        "`score` below 0",
    ),
    "NUMBER_REPEATED": (
        escalate("R1", "evidence.score_gte: 0.35")
        + rule("R2", "TRUST_PATHS", "TRUST", "amount_usd_lte: 5, evidence.score_lt: 0.35"),
        Level.WARNING,
        "R1 and R2 both write 0.35: `score >= 0.35` and `score < 0.35`",
    ),
    "DEFAULT_REACHED": (TRUST, Level.NOTE, "a.b"),
    "GROWTH": (TRUST, Level.NOTE, "verdicts never loosen with amount_usd"),
    "GROWTH_BOTH_WAYS": (
        escalate("R1", "evidence.days_is: 5") + rule("R2", "TRUST_PATHS", "TRUST", "evidence.days_gte: 0"),
        Level.NOTE,
        "as `days` grows",
    ),
    "REASON_CODE_UNUSED": (TRUST, Level.WARNING, "CODE_B"),
}


@pytest.mark.parametrize("code", ODD)
def test_what_is_odd_is_found(code: str) -> None:
    """Once, at its level, with what it is about, where it is, and what to do; examples come out as they say."""
    rules, level, words = ODD[code]
    (finding,) = found(policy(rules), code)
    assert (level, True) == (finding.level, words in finding.message), finding.message
    assert finding.span is not None
    assert finding.advice
    for example in finding.examples:
        assert example.evaluation == evaluate(policy(rules), example.case)
    told = {"RULE_DEAD", "CONDITION_REDUNDANT", "CONDITION_DEAD", "NUMBER_REPEATED", "GROWTH", "REASON_CODE_UNUSED"}
    assert (code in told) is (not finding.examples)


def test_every_finding_has_a_meaning() -> None:
    """The table of codes and the page that explains them name the same."""
    page = (golden.ROOT / "docs/errors.md").read_text(encoding="utf-8")
    section = page.partition("## Findings of `lumyn policy check`")[2].partition("\n## ")[0]
    assert set(CODES) == set(re.findall(r"^\| `([A-Z_]+)`", section, re.MULTILINE))
    assert set(ODD) < set(CODES)


def test_growth_is_shown_by_requests_that_differ_in_the_number_only() -> None:
    """Two pairs: in the first the greater number is more permissive, in the second stricter."""
    (finding,) = found(policy(ODD["GROWTH_BOTH_WAYS"][0]), "GROWTH_BOTH_WAYS")
    days = [int(str(example.case.request["evidence"]["days"])) for example in finding.examples]  # type: ignore[index,call-overload]
    strict = [example.evaluation.verdict.strictness for example in finding.examples]
    assert (True, True) == (days[0] < days[1], days[2] < days[3])
    assert (True, True) == (strict[0] > strict[1], strict[2] < strict[3])


def test_questions_asked_while_trust_is_in_reach_are_no_tightening() -> None:
    """A guard whose fact is unknown asks only while something would be trusted; the note says that it left that out."""
    rules = TRUST + block("R1", "evidence.bad_is: true")
    (finding,) = found(policy(rules), "GROWTH")
    assert "never loosen with amount_usd (but for questions" in finding.message


def test_a_dead_rule_names_what_no_value_meets() -> None:
    """One condition alone can be it: the declaration leaves no such value."""
    head = HEAD + "evidence: { score: { type: number, min: 0, max: 1 } }\n"
    (finding,) = found(policy(block("R1", "evidence.score_gt: 1, amount_usd_gt: 3"), head), "RULE_DEAD")
    assert "`score > 1` holds for no value that `score` is declared to take" in finding.message


def test_a_choice_of_its_own_is_not_redundant() -> None:
    """A group of one condition cannot be left out of `if_any` without a change."""
    assert not found(policy(choice("R1", "evidence.x_gt: 5", "evidence.y_gt: 5")), "CONDITION_REDUNDANT")
    twice = choice("R1", "evidence.x_gt: 5, evidence.x_gte: 3", "evidence.y_gt: 5")
    assert ["x >= 3"] == [finding.message.split("`")[1] for finding in found(policy(twice), "CONDITION_REDUNDANT")]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (escalate("R0", "evidence.score_gt: 3") + TRUST, True),
        (rule("R0", "TRUST_PATHS", "TRUST", "amount_usd_lte: 2, evidence.score_gte: 3") + TRUST, False),
        (rule("R0", "TRUST_PATHS", "TRUST", "amount_usd_lte: 5, evidence.score_gte: 3"), False),
    ],
)
def test_a_number_below_zero_is_odd_only_where_a_greater_one_is_not_trusted(rules: str, told: bool) -> None:
    """Another rule trusts whatever the number is, or the number must be great: a negative one gains nothing."""
    assert told is bool(found(policy(rules), "EVIDENCE_NEGATIVE"))


def test_negative_amounts_need_no_finding() -> None:
    """The request schema refuses them, so no policy can trust one."""
    with pytest.raises(InvalidRequestError):
        request = dict(found(policy(TRUST), "AMOUNT_ZERO")[0].examples[0].case.request)
        request["action"] = {**request["action"], "amount": {"value": -1, "currency": "USD"}}  # type: ignore[dict-item]
        parsed(policy(TRUST), request)


@given(given_policy=policies())
@examples(40)
def test_no_growth_is_reported_that_is_not_so(given_policy: Policy) -> None:
    """What the report says of a number agrees with a search that leaves nothing out, questions apart."""
    for action in given_policy.action_types:
        try:
            extra = [cut for fact in numbers_of(given_policy, action) for cut in cuts(given_policy, fact)]
            view = View(Space(action, [given_policy], extra=extra), given_policy)
            for fact in numbers_of(given_policy, action):
                told = growth_of(view, fact)
                assert (told.loosens is not None, told.tightens is not None) == (
                    plainly(view, fact, falling=False),
                    plainly(view, fact, falling=True),
                )
        except BudgetExceededError:
            return


def plainly(view: View, fact: str, *, falling: bool) -> bool:
    """Return whether a verdict loosens between any two neighbouring cells, each pair of verdicts looked at."""
    dimension, rows = ascending(view.space, view.policy, fact)
    if not rows:
        return False
    sections = Sections(view, dimension)
    return any(
        twins_of(sections, pair, (before, after), withheld=after is Verdict.TRUST) is not None
        for cells in rows
        for pair in pairwise(reversed(cells) if falling else cells)
        for before in Verdict
        for after in Verdict
        if after.strictness < before.strictness
    )


ACCEPTED = (
    TRUST
    + "  # lumyn: accept RULE_DEAD: kept until the audit has seen it\n"
    + block("R1", "amount_usd_gt: 5, amount_usd_lt: 3")
)


def test_a_comment_accepts_a_finding() -> None:
    """With the reason; on the line itself or above it. Nothing else of the policy changes, its hash neither."""
    (finding,) = found(policy(ACCEPTED), "RULE_DEAD")
    assert "kept until the audit has seen it" == finding.accepted
    assert finding == check(policy(ACCEPTED))[-1]
    above = ACCEPTED.replace("  # lumyn: accept RULE_DEAD: kept until the audit has seen it\n", "")
    beside = above.rstrip("\n") + "  # lumyn: accept RULE_DEAD: because\n"
    assert "because" == found(policy(beside), "RULE_DEAD")[0].accepted
    assert policy(above).policy_hash == policy(ACCEPTED).policy_hash
    assert not found(policy(ACCEPTED), "ACCEPT_STALE")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("accept RULE_DEAD", "ACCEPT_INVALID"),
        ("accept RULE_DAED: why", "ACCEPT_INVALID"),
        ("accept ANALYSIS_UNKNOWN: why", "ACCEPT_INVALID"),
        ("ignore everything", "ACCEPT_INVALID"),
        ("accept RULE_MASKED: why", "ACCEPT_STALE"),
    ],
)
def test_a_comment_that_accepts_nothing_is_a_finding(said: str, code: str) -> None:
    """Nor does it hide what it stands beside."""
    odd = policy(ACCEPTED.replace("accept RULE_DEAD: kept until the audit has seen it", said))
    (finding,) = found(odd, code)
    assert finding.span is not None
    assert "lumyn:" in odd.source.splitlines()[finding.span.line - 1][finding.span.column :]
    assert None is found(odd, "RULE_DEAD")[0].accepted


def test_a_sound_policy_has_no_such_finding() -> None:
    """A limit above, a guard that abstains when in doubt, every code used."""
    head = HEAD + "evidence: { x: { type: number, min: 0 }, risk: { type: number, min: 0, max: 1 } }\n"
    sound = policy(TRUST + BOTH + block("R1", "evidence.risk_gte: 0.7"), head)
    assert ["AMOUNT_ZERO", "DEFAULT_REACHED", "GROWTH"] == sorted(finding.code for finding in check(sound))


def test_thresholds() -> None:
    """One nobody reads, and one whose number stands in a rule again."""
    head = HEAD + "thresholds: { most: 25, unread: 7 }\n"
    rules = rule("R1", "TRUST_PATHS", "TRUST", "amount_usd_lte: { threshold: most }") + escalate(
        "R2", "amount_usd_gt: 25"
    )
    codes = {finding.code: finding for finding in check(policy(rules, head))}
    assert "`unread`" in codes["THRESHOLD_UNUSED"].message
    assert "repeats threshold `most`" in codes["THRESHOLD_REPEATED"].message
    assert None not in (codes["THRESHOLD_UNUSED"].span, codes["THRESHOLD_REPEATED"].span)


def test_thresholds_with_one_value() -> None:
    """Two names for one number that one attribute is compared with in one action; of another attribute it is chance."""
    head = HEAD + "thresholds: { most: 25, limit: 25, days: 25 }\n"
    rules = rule("R1", "TRUST_PATHS", "TRUST", "amount_usd_lte: { threshold: most }") + escalate(
        "R2", "amount_usd_gt: { threshold: limit }, evidence.days_lt: { threshold: days }"
    )
    (finding,) = found(policy(rules, head), "THRESHOLD_TWICE")
    assert "thresholds `most` and `limit` are both 25" in finding.message


def test_a_threshold_that_an_invariant_reads_is_used() -> None:
    """Changing it changes what is promised."""
    head = HEAD + "thresholds: { most: 25, promised: 500 }\n"
    rules = rule("R1", "TRUST_PATHS", "TRUST", "amount_usd_lte: { threshold: most }")
    tail = "invariants: [{ never: { verdict: TRUST, where: { amount_usd_gt: { threshold: promised } } } }]\n"
    assert not found(policy(rules + tail, head), "THRESHOLD_UNUSED")


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
    assert [Verdict.TRUST, Verdict.ABSTAIN] == [example.evaluation.verdict for example in finding.examples]


def test_over_budget_is_an_error() -> None:
    """Nothing is said of rules then, for they might be alive where the budget ended."""
    findings = check(golden.policy("policies/lumyn-support.v0.yml"), limit=0)
    assert {"ANALYSIS_UNKNOWN"} == {finding.code for finding in findings}
    assert all(finding.level is Level.ERROR and finding.span is not None for finding in findings[:-1])


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
