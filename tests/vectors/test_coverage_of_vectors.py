"""
What the golden vectors cover, computed from how the traced evaluator decides their requests, never asserted by hand:
rules, conditions, thresholds at their value and one step past it, required keys, reason codes, verdicts that meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import combinations

import golden
import pytest
from policy_mutants import step_of

from lumyn.engine.evaluator import trace
from lumyn.engine.trace import ConditionTrace, RuleTrace, Trace, Truth
from lumyn.model import Label, Stage, Verdict
from lumyn.policy.registry import engine_codes
from lumyn.policy.spec import FX_RATE_KEY, Condition, Policy, Rule
from lumyn.vectors.format import Cause, DecideStep, LabelStep, StorageFault
from lumyn.vectors.runner import StepResult
from lumyn.vectors.steps import VERBS

SUPPORT = "policies/lumyn-support.v0.yml"
ACCOUNT = "policies/packs/lumyn-account.v0.yml"
BILLING = "policies/packs/lumyn-billing.v0.yml"


@cache
def traces(file: str) -> tuple[Trace, ...]:
    """Return how one starter policy decides each request that a golden vector asks of it, with the memory it saw."""
    return tuple(_traces(file))


def _traces(file: str) -> Iterator[Trace]:
    for step in golden.decisions(golden.of_policy(file)):
        assert step.record is not None
        request = golden.parsed(step)
        assert request is not None
        if step.record.persisted and step.policy.policy_hash == golden.policy(file).policy_hash:
            yield trace(golden.policy(file), request, similarity=step.record.failure_similarity)


@cache
def steps(file: str) -> tuple[StepResult, ...]:
    """Return the decisions of the vectors of one policy that made a record."""
    return tuple(golden.decisions(golden.of_policy(file)))


def rule_traces(file: str, rule_id: str) -> list[RuleTrace]:
    """Return how one rule came out, wherever it applied."""
    return [found for each in traces(file) if (found := each.rule(rule_id)) is not None]


def condition_traces(file: str, condition: Condition) -> list[ConditionTrace]:
    """Return how one condition came out, wherever its rule applied."""
    return [
        found
        for each in traces(file)
        for rule in each.rules
        for found in rule.conditions
        if found.condition is condition
    ]


def rules() -> list[tuple[str, Rule]]:
    """Return every rule of every starter policy."""
    return [(file, rule) for file in golden.POLICY_FILES for rule in golden.policy(file).rules]


def conditions() -> list[tuple[str, Rule, Condition]]:
    """Return every condition of every rule."""
    return [(file, rule, condition) for file, rule in rules() for condition in rule.conditions]


def name_of(value: object) -> str | None:
    """Return how a parameter shows in a test id."""
    match value:
        case Rule():
            return value.rule_id
        case Condition():
            return value.text
        case _:
            return None


EVERY_RULE = pytest.mark.parametrize(("file", "rule"), rules(), ids=name_of)


def test_the_traces_agree_with_the_records() -> None:
    """What is computed below is about the decisions that were made: the traced evaluator reaches the same ones."""
    for file in golden.POLICY_FILES:
        recorded = [
            step.record.evaluation
            for step in steps(file)
            if step.record is not None
            and step.record.persisted
            and step.policy.policy_hash == golden.policy(file).policy_hash
        ]
        assert recorded == [each.evaluation for each in traces(file)]
        assert 30 < len(recorded)


# ---------------------------------------------------------------------------------------------------------------------
# Rules and conditions


@EVERY_RULE
def test_rule_fires_and_stays_silent(file: str, rule: Rule) -> None:
    """In some vector it is true, in another it applies and is false."""
    assert {Truth.TRUE, Truth.FALSE} <= {each.truth for each in rule_traces(file, rule.rule_id)}


@EVERY_RULE
def test_rule_applies_to_no_other_action(file: str, rule: Rule) -> None:
    """Each action the rule names is asked about, and so is one it does not name."""
    asked = {each.facts.action_type for each in traces(file)}
    assert rule.actions is not None
    assert set(rule.actions) <= asked
    assert asked - set(rule.actions)


@pytest.mark.parametrize(("file", "rule", "condition"), conditions(), ids=name_of)
def test_condition_is_true_and_false(file: str, rule: Rule, condition: Condition) -> None:
    """Each comparison is seen to hold and not to hold, and each that reads evidence or money to be unknown."""
    expected = {Truth.TRUE, Truth.FALSE}
    if condition.operator.name != "present" and (condition.evidence_key or condition.fact == "amount_usd"):
        expected.add(Truth.UNKNOWN)
    spec = golden.policy(file).evidence.get(condition.evidence_key or "")
    if spec is not None and spec.default is not None:
        expected.add(Truth.UNKNOWN)  # unusable, for it is never missing
    assert expected <= {each.outcome for each in condition_traces(file, condition)}


@pytest.mark.parametrize(
    ("file", "rule", "condition"), [each for each in conditions() if each[1].stage is Stage.TRUST_PATHS], ids=name_of
)
def test_condition_of_a_trust_rule_fails_alone(file: str, rule: Rule, condition: Condition) -> None:
    """Some request meets every condition of the trust path but this one."""
    alone = [
        each
        for each in rule_traces(file, rule.rule_id)
        if {found.condition.text for found in each.conditions if found.outcome is Truth.FALSE} == {condition.text}
        and all(found.outcome is not Truth.UNKNOWN for found in each.conditions)
    ]
    assert alone


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_default_decides(file: str) -> None:
    """Some request that a rule of the policy applies to is decided by none of them."""
    unmatched = [each for each in traces(file) if not each.evaluation.matched_rules and each.rules]
    assert unmatched
    policy = golden.policy(file)
    for each in unmatched:
        assert (policy.default_verdict, (policy.default_reason_code,)) == (
            each.evaluation.verdict,
            each.evaluation.reason_codes,
        )


# ---------------------------------------------------------------------------------------------------------------------
# Thresholds and bounds


@pytest.mark.parametrize(
    ("file", "rule", "condition"), [each for each in conditions() if each[2].operator.ordering], ids=name_of
)
def test_threshold_is_met_and_missed_by_a_step(file: str, rule: Rule, condition: Condition) -> None:
    """Decided at its very value, and within one step on the side where the comparison comes out the other way."""
    assert isinstance(condition.operand, Decimal)
    step = step_of(golden.policy(file), condition.fact)
    found = {each.fact: each.outcome for each in condition_traces(file, condition) if isinstance(each.fact, Decimal)}
    assert condition.operand in found, "no vector at the value itself"
    at = found[condition.operand]
    near = {outcome for fact, outcome in found.items() if 0 < abs(fact - condition.operand) <= step}
    assert ({Truth.TRUE, Truth.FALSE} - {at}) <= near, "no vector one step past it"


def test_every_threshold_is_read() -> None:
    """Each named threshold belongs to a comparison that the test above looks at."""
    for file in golden.POLICY_FILES:
        read = {condition.threshold for each, _, condition in conditions() if each == file}
        assert set(golden.policy(file).thresholds) <= read


@pytest.mark.parametrize(
    ("file", "currency", "place"),
    [
        (file, currency, place)
        for file in golden.POLICY_FILES
        for currency in golden.policy(file).fx_bounds or ()
        for place in (0, 1)
    ],
)
def test_rate_bound_is_met_and_missed_by_a_step(file: str, currency: str, place: int) -> None:
    """The rate at the bound is accepted, the next one outside is not."""
    policy = golden.policy(file)
    assert policy.fx_bounds is not None
    bound = policy.fx_bounds[currency][place]
    outside = bound + step_of(policy, f"evidence.{FX_RATE_KEY}") * (1 if place else -1)
    seen = {
        each.facts.evidence.get(FX_RATE_KEY): each.facts.fx_out_of_bounds
        for each in traces(file)
        if each.facts.amount_currency == currency
    }
    assert (False, True) == (seen.get(bound), seen.get(outside))


@pytest.mark.parametrize(
    ("file", "key", "bound", "inward"),
    [
        (file, key, bound, inward)
        for file in golden.POLICY_FILES
        for key, spec in golden.policy(file).evidence.items()
        for bound, inward in ((spec.minimum, 1), (spec.maximum, -1))
        if bound is not None and key != FX_RATE_KEY
    ],
)
def test_range_of_evidence_is_met_and_missed_by_a_step(file: str, key: str, bound: Decimal, inward: int) -> None:
    """The least and the greatest value are usable, the next one outside is not."""
    outside = bound - step_of(golden.policy(file), f"evidence.{key}") * inward
    seen = {}
    for step in steps(file):
        request = golden.parsed(step)
        raw = request.evidence.get(key) if request is not None else None
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            assert step.record is not None
            seen[Decimal(repr(raw))] = "EVIDENCE_OUT_OF_RANGE" in step.record.reason_codes
    assert (False, True) == (seen.get(bound), seen.get(outside))


# ---------------------------------------------------------------------------------------------------------------------
# Required keys, codes, verdicts


@pytest.mark.parametrize(
    ("file", "action", "key"),
    [
        (file, action, key)
        for file in golden.POLICY_FILES
        for action, keys in golden.policy(file).required_evidence.items()
        for key in keys
    ],
)
def test_required_key_is_missing_alone(file: str, action: str, key: str) -> None:
    """Some request of the action lacks this key and no other; the answer asks for it and for nothing else."""
    alone = [each for each in traces(file) if each.facts.action_type == action and set(each.facts.missing) == {key}]
    assert alone
    asked = [[query.field for query in each.evaluation.queries] for each in alone]
    assert [key] in asked


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (file, code)
        for file in golden.POLICY_FILES
        for code in sorted(golden.policy(file).may_emit() | (engine_codes() & {"EVIDENCE_MISSING"}))
    ],
)
def test_reason_code_of_the_policy_appears(file: str, code: str) -> None:
    """Every code the policy can give is given, and a vector expects it."""
    expecting = [
        step
        for step in steps(file)
        if isinstance(step.step, DecideStep)
        and code in (step.step.expect.reason_codes or ())
        and step.record is not None
        and code in step.record.reason_codes
    ]
    assert expecting


@pytest.mark.parametrize("code", sorted(engine_codes()))
def test_reason_code_of_the_engine_appears(code: str) -> None:
    """Every code of the engine's own is given."""
    records = [step.record for file in golden.POLICY_FILES for step in steps(file)]
    assert [record for record in records if record is not None and code in record.reason_codes]


@pytest.mark.parametrize(("looser", "stricter"), [*combinations(Verdict, 2)])
def test_every_two_verdicts_meet(looser: Verdict, stricter: Verdict) -> None:
    """Some request fires rules of both effects and of no other, and the stricter one wins."""
    met = [
        each.evaluation.verdict
        for file in golden.POLICY_FILES
        for each in traces(file)
        if {rule.effect for rule in each.evaluation.matched_rules} == {looser, stricter}
    ]
    assert {stricter} == set(met)


def test_all_four_verdicts_meet() -> None:
    """Some request fires a rule of every effect."""
    assert [
        each
        for file in golden.POLICY_FILES
        for each in traces(file)
        if {rule.effect for rule in each.evaluation.matched_rules} == set(Verdict)
    ]


@pytest.mark.parametrize("first", list(Stage)[:3])
@pytest.mark.parametrize("file", [SUPPORT, BILLING])
def test_neighbouring_stages_meet(file: str, first: Stage) -> None:
    """Rules of each stage and the next one fire together, so that their order shows."""
    second = list(Stage)[list(Stage).index(first) + 1]
    assert [each for each in traces(file) if {first, second} <= {rule.stage for rule in each.evaluation.matched_rules}]


# The promise of the starter policies: action, verdict, what the record says for it.
PROMISES = [
    (SUPPORT, "support.refund", Verdict.TRUST, "REFUND_SMALL_LOW_RISK"),
    (SUPPORT, "support.refund", Verdict.ESCALATE, "REFUND_OVER_ESCALATION_LIMIT"),
    (SUPPORT, "support.refund", Verdict.ESCALATE, "REFUND_REPEAT_CUSTOMER"),
    (SUPPORT, "support.refund", Verdict.ESCALATE, "CHARGEBACK_RISK_ESCALATE"),
    (SUPPORT, "support.refund", Verdict.ESCALATE, "NEW_CUSTOMER_REFUND_ESCALATE"),
    (SUPPORT, "support.refund", Verdict.ESCALATE, "FAILURE_MEMORY_SIMILAR_ESCALATE"),
    (SUPPORT, "support.refund", Verdict.ESCALATE, "CURRENCY_UNSUPPORTED"),
    (SUPPORT, "support.refund", Verdict.ESCALATE, "NO_MATCH_DEFAULT_ESCALATE"),
    (SUPPORT, "support.refund", Verdict.ABSTAIN, "PAYMENT_INSTRUMENT_HIGH_RISK"),
    (SUPPORT, "support.refund", Verdict.ABSTAIN, "CHARGEBACK_RISK_BLOCK"),
    (SUPPORT, "support.refund", Verdict.QUERY, "EVIDENCE_MISSING"),
    (SUPPORT, "support.refund", Verdict.QUERY, "AMOUNT_MISSING"),
    (SUPPORT, "support.refund", Verdict.QUERY, "FX_RATE_MISSING"),
    (SUPPORT, "support.issue_credit", Verdict.TRUST, "CREDIT_SMALL_LOW_RISK"),
    (SUPPORT, "support.issue_credit", Verdict.ESCALATE, "FAILURE_MEMORY_SIMILAR_ESCALATE"),
    (SUPPORT, "support.issue_credit", Verdict.ESCALATE, "CURRENCY_UNSUPPORTED"),
    (SUPPORT, "support.issue_credit", Verdict.ABSTAIN, "PAYMENT_INSTRUMENT_HIGH_RISK"),
    (SUPPORT, "support.issue_credit", Verdict.QUERY, "EVIDENCE_MISSING"),
    (SUPPORT, "support.issue_credit", Verdict.QUERY, "AMOUNT_MISSING"),
    (SUPPORT, "support.issue_credit", Verdict.QUERY, "FX_RATE_MISSING"),
    (SUPPORT, "support.close_ticket", Verdict.TRUST, "CLOSE_TICKET_RESOLUTION_GIVEN"),
    (SUPPORT, "support.close_ticket", Verdict.QUERY, "EVIDENCE_MISSING"),
    (SUPPORT, "support.update_ticket", Verdict.TRUST, "UPDATE_TICKET_TICKET_GIVEN"),
    (SUPPORT, "support.update_ticket", Verdict.QUERY, "EVIDENCE_MISSING"),
    (SUPPORT, "support.change_plan", Verdict.ESCALATE, "MANUAL_APPROVAL_REQUESTED"),
    (SUPPORT, "support.change_plan", Verdict.ESCALATE, "NO_MATCH_DEFAULT_ESCALATE"),
    (SUPPORT, "support.change_plan", Verdict.QUERY, "EVIDENCE_MISSING"),
    (SUPPORT, "support.reset_password", Verdict.ESCALATE, "MANUAL_APPROVAL_REQUESTED"),
    (SUPPORT, "support.reset_password", Verdict.ESCALATE, "NO_MATCH_DEFAULT_ESCALATE"),
    (SUPPORT, "support.reset_password", Verdict.ABSTAIN, "ACCOUNT_TAKEOVER_RISK_BLOCK"),
    (SUPPORT, "support.reset_password", Verdict.QUERY, "EVIDENCE_MISSING"),
    (ACCOUNT, "account.change_email", Verdict.TRUST, "EMAIL_CHANGE_VERIFIED"),
    (ACCOUNT, "account.change_email", Verdict.ESCALATE, "MANUAL_APPROVAL_REQUESTED"),
    (ACCOUNT, "account.change_email", Verdict.ESCALATE, "ACCOUNT_TAKEOVER_RISK_ESCALATE"),
    (ACCOUNT, "account.change_email", Verdict.ABSTAIN, "ACCOUNT_TAKEOVER_RISK_BLOCK"),
    (ACCOUNT, "account.change_email", Verdict.QUERY, "EVIDENCE_MISSING"),
    (BILLING, "billing.approve_spend", Verdict.TRUST, "SPEND_SMALL_KNOWN_VENDOR"),
    (BILLING, "billing.approve_spend", Verdict.ESCALATE, "SPEND_OVER_ESCALATION_LIMIT"),
    (BILLING, "billing.approve_spend", Verdict.ESCALATE, "VENDOR_NEW"),
    (BILLING, "billing.approve_spend", Verdict.ESCALATE, "FAILURE_MEMORY_SIMILAR_ESCALATE"),
    (BILLING, "billing.approve_spend", Verdict.ABSTAIN, "VENDOR_SANCTIONED"),
    (BILLING, "billing.approve_spend", Verdict.QUERY, "EVIDENCE_MISSING"),
    (BILLING, "billing.approve_spend", Verdict.QUERY, "FX_RATE_MISSING"),
]


@pytest.mark.parametrize(("file", "action", "verdict", "code"), PROMISES)
def test_promise_of_the_starter_policies(file: str, action: str, verdict: Verdict, code: str) -> None:
    """Each verdict an action can get, and each reason for it, is what comes out of some vector."""
    assert [
        each
        for each in traces(file)
        if each.facts.action_type == action
        and each.evaluation.verdict is verdict
        and code in each.evaluation.reason_codes
    ]


@pytest.mark.parametrize("action", ["support.change_plan", "support.reset_password"])
def test_what_is_never_trusted_is_never_trusted(action: str) -> None:
    """These actions have no trust path; no vector trusts one."""
    found = {each.evaluation.verdict for each in traces(SUPPORT) if each.facts.action_type == action}
    assert found
    assert Verdict.TRUST not in found


# ---------------------------------------------------------------------------------------------------------------------
# Scenarios and memory


def test_scenarios_use_every_verb() -> None:
    """Every step a scenario can take is taken."""
    scenarios = [vector for vector in golden.vectors() if vector.is_scenario]
    assert set(VERBS) == {step.verb for vector in scenarios for step in vector.steps}


def test_scenarios_use_every_fault_and_label() -> None:
    """Storage goes away, turns read-only and comes back; decisions are labelled in every way."""
    all_steps = [step for vector in golden.vectors() for step in vector.steps]
    assert set(StorageFault) == {step.storage for step in all_steps if hasattr(step, "storage")}
    labels = {step.label for step in all_steps if isinstance(step, LabelStep)}
    labels |= {seed.label for vector in golden.vectors() for seed in vector.memory}
    assert set(Label) == labels


def test_scenarios_show_why_a_verdict_changed() -> None:
    """Memory and policy are each shown to change a verdict by themselves."""
    causes = {
        step.expect.changed_from.because
        for vector in golden.vectors()
        for step in vector.decisions
        if step.expect.changed_from is not None
    }
    assert {Cause.MEMORY, Cause.POLICY} <= causes


def test_memory_is_full_empty_tied_and_elsewhere() -> None:
    """Similarity 0, in between and 1; ties among the matches; experience of another tenant that is not seen."""
    scores = {each.similarity for file in golden.POLICY_FILES for each in traces(file)}
    assert {Decimal(0), Decimal("0.8"), Decimal(1)} <= scores
    assert 5 <= len(scores)
    records = [step.record for file in golden.POLICY_FILES for step in steps(file)]
    tops = [[match.score for match in record.top_k] for record in records if record is not None]
    assert any(len(top) != len(set(top)) for top in tops)
    unseen = [
        result.vector
        for result in golden.results()
        if result.vector.memory and result.record is not None and not result.record.top_k
    ]
    assert unseen


def test_money_comes_in_every_form() -> None:
    """US dollars, other listed currencies, unlisted ones; numbers and text; with and without a usable rate."""
    requests = [request for step in steps(SUPPORT) if (request := golden.parsed(step)) is not None]
    values = [request.document["action"]["amount"]["value"] for request in requests if request.amount_value is not None]  # type: ignore[index,call-overload]
    assert {int, float, str} <= {type(value) for value in values}
    facts = [each.facts for each in traces(SUPPORT)]
    policy: Policy = golden.policy(SUPPORT)
    listed = set(policy.fx_bounds or ())
    assert listed <= {each.amount_currency for each in facts}
    assert [each for each in facts if each.amount_currency == "USD" and each.fx_rate_present]
    assert [each for each in facts if each.amount_currency not in {*listed, "USD", None}]
    assert [each for each in facts if each.amount_currency in listed and each.amount_usd is None]
    assert [each for each in facts if each.amount_currency in listed and each.amount_usd == 25]
