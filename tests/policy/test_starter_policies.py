"""The starter policies say what their table promises, row by row, and repeat themselves nowhere that can drift."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from lumyn.model import Stage, Verdict
from lumyn.policy.loader import load_policy
from lumyn.policy.registry import registry
from lumyn.policy.spec import FX_RATE_KEY, Condition, EvidenceType, Policy, Rule

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "policies").rglob("*.yml"))
POLICIES = {path.name.removesuffix(".v0.yml"): load_policy(path) for path in FILES}
SUPPORT, ACCOUNT, BILLING = (POLICIES[f"lumyn-{name}"] for name in ("support", "account", "billing"))

# Action -> everything that can become of it, as the table of the starter policies has it: stage, verdict, conditions.
# A rule without conditions asks for required evidence.
AMOUNT = "QUERY when amount_currency present is false"
RATE = "QUERY when amount_currency is not USD and evidence.fx_rate_to_usd present is false"
CURRENCY = "ESCALATE when amount_currency not in [USD AUD CAD CHF EUR GBP JPY]"
SIMILAR = "ESCALATE when risk.failure_similarity >= 0.8"
HIGH_RISK = "ABSTAIN when evidence.payment_instrument_risk is high"
LOW_RISK = "evidence.payment_instrument_risk in [low medium]"
ESTABLISHED = (
    "evidence.chargeback_risk < 0.35 and evidence.previous_refund_count_90d < 2 and evidence.customer_age_days >= 14"
)
APPROVAL = "ESCALATE when evidence.manual_approval is true"
TABLE: dict[str, tuple[Policy, list[str], list[str]]] = {
    "support.refund": (
        SUPPORT,
        ["ticket_id", "order_id", "customer_id"],
        [
            AMOUNT,
            RATE,
            HIGH_RISK,
            "ABSTAIN when evidence.chargeback_risk >= 0.7",
            "ESCALATE when amount_usd > 200",
            "ESCALATE when evidence.previous_refund_count_90d >= 2",
            "ESCALATE when evidence.chargeback_risk >= 0.35",
            "ESCALATE when evidence.customer_age_days < 14",
            SIMILAR,
            CURRENCY,
            f"TRUST when amount_usd <= 25 and {LOW_RISK} and {ESTABLISHED}",
        ],
    ),
    "support.issue_credit": (
        SUPPORT,
        ["ticket_id", "customer_id", "reason_code"],
        [AMOUNT, RATE, HIGH_RISK, SIMILAR, CURRENCY, f"TRUST when amount_usd <= 15 and {LOW_RISK}"],
    ),
    "support.close_ticket": (
        SUPPORT,
        ["ticket_id", "resolution"],
        ["TRUST when evidence.resolution present is true"],
    ),
    "support.update_ticket": (SUPPORT, ["ticket_id"], ["TRUST when evidence.ticket_id present is true"]),
    "support.change_plan": (SUPPORT, ["customer_id"], [APPROVAL]),
    "support.reset_password": (
        SUPPORT,
        ["customer_id"],
        ["ABSTAIN when evidence.account_takeover_risk >= 0.7", APPROVAL],
    ),
    "account.change_email": (
        ACCOUNT,
        ["user_id", "new_email", "verification_method"],
        [
            "ABSTAIN when evidence.account_takeover_risk >= 0.7",
            "ESCALATE when evidence.account_takeover_risk >= 0.35",
            APPROVAL,
            "TRUST when evidence.verification_method in [reauth magic_link] and evidence.account_takeover_risk < 0.35",
        ],
    ),
    "billing.approve_spend": (
        BILLING,
        ["invoice_id", "vendor_id", "requester_id"],
        [
            AMOUNT,
            RATE,
            "ABSTAIN when evidence.vendor_sanctioned is true",
            "ESCALATE when amount_usd > 1000",
            "ESCALATE when evidence.vendor_known is false",
            SIMILAR,
            CURRENCY,
            "TRUST when amount_usd <= 100 and evidence.vendor_known is true",
        ],
    ),
}

CODES = {
    "PAYMENT_INSTRUMENT_HIGH_RISK": "evidence.payment_instrument_risk",
    "CHARGEBACK_RISK_BLOCK": "evidence.chargeback_risk",
    "CHARGEBACK_RISK_ESCALATE": "evidence.chargeback_risk",
    "REFUND_OVER_ESCALATION_LIMIT": "amount_usd",
    "REFUND_REPEAT_CUSTOMER": "evidence.previous_refund_count_90d",
    "NEW_CUSTOMER_REFUND_ESCALATE": "evidence.customer_age_days",
    "FAILURE_MEMORY_SIMILAR_ESCALATE": "risk.failure_similarity",
    "FX_RATE_MISSING": "evidence.fx_rate_to_usd",
    "AMOUNT_MISSING": "amount_currency",
    "CURRENCY_UNSUPPORTED": "amount_currency",
    "MANUAL_APPROVAL_REQUESTED": "evidence.manual_approval",
    "ACCOUNT_TAKEOVER_RISK_BLOCK": "evidence.account_takeover_risk",
    "ACCOUNT_TAKEOVER_RISK_ESCALATE": "evidence.account_takeover_risk",
    "VENDOR_SANCTIONED": "evidence.vendor_sanctioned",
    "VENDOR_NEW": "evidence.vendor_known",
    "SPEND_OVER_ESCALATION_LIMIT": "amount_usd",
}


def described(condition: Condition) -> str:
    """Return a condition as the table writes it."""
    operand = condition.operand
    members = operand if isinstance(operand, tuple) else (operand,)
    shown = " ".join(str(member).lower() if isinstance(member, bool) else str(member) for member in members)
    return f"{condition.fact} {condition.operator.symbol} " + (f"[{shown}]" if isinstance(operand, tuple) else shown)


def outcome(rule: Rule) -> str:
    """Return what a rule does as the table writes it; the rules of the starters only ever use `if`."""
    (block,) = rule.blocks
    (group,) = block.groups
    return f"{rule.verdict} when " + " and ".join(described(condition) for condition in group)


@pytest.mark.parametrize("action", TABLE)
def test_action_has_exactly_the_rules_of_its_row(action: str) -> None:
    """Limits, operators and verdicts are those of the table, and there is nothing besides."""
    policy, required, outcomes = TABLE[action]
    checks = [rule for rule in policy.rules_for(action) if rule.is_requirements_check]
    assert required == list(policy.required_evidence[action])
    assert [(Verdict.QUERY, ("EVIDENCE_MISSING",))] == [(rule.verdict, rule.reason_codes) for rule in checks]
    assert outcomes == [outcome(rule) for rule in policy.rules_for(action) if not rule.is_requirements_check]


def test_table_names_every_action() -> None:
    """No policy holds an action that the table does not know."""
    actions = {action for policy in POLICIES.values() for action in policy.action_types}
    assert set(TABLE) == actions


@pytest.mark.parametrize("name", POLICIES)
class TestEach:
    """What holds for every starter policy."""

    def test_default_is_to_escalate(self, name: str) -> None:
        """What no rule knows goes to a person, and the verdict binds."""
        policy = POLICIES[name]
        assert (name, "enforce", "ESCALATE", "NO_MATCH_DEFAULT_ESCALATE") == (
            policy.policy_id,
            policy.mode,
            policy.default_verdict,
            policy.default_reason_code,
        )

    def test_every_number_has_a_name_and_every_name_is_used(self, name: str) -> None:
        """Whoever copies the policy finds every limit under `thresholds`."""
        policy = POLICIES[name]
        conditions = [condition for rule in policy.rules for condition in rule.conditions]
        unnamed = [c.text for c in conditions if isinstance(c.operand, Decimal) and c.threshold is None]
        assert [] == unnamed
        assert set(policy.thresholds) == {condition.threshold for condition in conditions} - {None}

    def test_every_key_is_declared_and_every_declaration_is_used(self, name: str) -> None:
        """Nothing that a rule reads is left to be guessed from its operators."""
        policy = POLICIES[name]
        read = {key for action in policy.action_types for key in policy.keys_for(action)}
        declared = {key for key, spec in policy.evidence.items() if spec.declared}
        assert read == declared
        assert set(policy.evidence) <= declared | {FX_RATE_KEY}

    def test_numbers_have_a_range_and_a_step(self, name: str) -> None:
        """A percentage where a fraction is due is refused, and analysis knows the next value."""
        for key, spec in POLICIES[name].evidence.items():
            if spec.declared and spec.type in {EvidenceType.NUMBER, EvidenceType.INTEGER}:
                assert spec.minimum is not None, key
                assert spec.step is not None, key
                assert not key.endswith("_risk") or (Decimal(0), Decimal(1)) == (spec.minimum, spec.maximum)

    def test_only_requests_for_approval_have_a_default(self, name: str) -> None:
        """A signal that can block or be trusted must be there; a flag nobody set is not set."""
        defaults = {key: spec.default for key, spec in POLICIES[name].evidence.items() if spec.default is not None}
        assert {} == {key: value for key, value in defaults.items() if (key, value) != ("manual_approval", False)}

    def test_rules_stand_in_stage_order_and_ids_ascend(self, name: str) -> None:
        """The file reads in the order in which it is evaluated, with room between the ids."""
        stages = list(Stage)
        rules = POLICIES[name].rules
        assert sorted(stages.index(rule.stage) for rule in rules) == [stages.index(rule.stage) for rule in rules]
        assert sorted(rule.rule_id for rule in rules) == [rule.rule_id for rule in rules]
        assert all(re.fullmatch("R[0-9]{2}0", rule.rule_id) for rule in rules)
        assert {str(stages.index(rule.stage)) for rule in rules} == {rule.rule_id[1] for rule in rules}

    def test_each_code_has_one_cause_and_its_registered_verdict(self, name: str) -> None:
        """A code names one reason, so that reports which count codes count reasons."""
        policy = POLICIES[name]
        rules = [rule for rule in policy.rules if not rule.is_requirements_check]
        codes = [code for rule in rules for code in rule.reason_codes]
        assert sorted(set(codes)) == sorted(codes)
        for rule in rules:
            (code,) = rule.reason_codes
            assert code not in CODES or CODES[code] in {condition.fact for condition in rule.conditions}
            assert code in registry() or code in policy.reason_codes
            assert code not in policy.reason_codes or code not in registry()
        assert set(policy.reason_codes) <= set(codes)

    def test_every_question_is_a_question_about_a_missing_field(self, name: str) -> None:
        """Each required key has its own text, and texts say what is wanted."""
        policy = POLICIES[name]
        for rule in policy.rules:
            assert all(re.fullmatch(r"[A-Z][^?]+\?", query.question) for query in rule.queries)
            if rule.is_requirements_check:
                (action,) = rule.actions or ()
                assert list(policy.required_evidence[action]) == [query.field for query in rule.queries]

    def test_currencies_are_listed_alike(self, name: str) -> None:
        """The list of supported currencies is the list of rate bounds, and US dollars."""
        policy = POLICIES[name]
        lists = [c.operand for rule in policy.rules for c in rule.conditions if c.text == "amount_currency_not_in"]
        assert bool(lists) == (policy.fx_bounds is not None)
        for operand in lists:
            assert ("USD", *(policy.fx_bounds or ())) == operand

    def test_money_is_only_compared_where_a_missing_amount_is_asked_for(self, name: str) -> None:
        """An action with a limit asks for its amount and its rate."""
        policy = POLICIES[name]
        for action in policy.action_types:
            facts = {condition.fact for rule in policy.rules_for(action) for condition in rule.conditions}
            codes = {code for rule in policy.rules_for(action) for code in rule.reason_codes}
            money = {"AMOUNT_MISSING", "FX_RATE_MISSING", "CURRENCY_UNSUPPORTED"}
            assert (money if "amount_usd" in facts else set()) == money & codes

    def test_file_leads_editors_to_the_schema(self, name: str) -> None:
        """The first line gives completion in every editor that knows YAML schemas."""
        (path,) = [path for path in FILES if path.name == f"{name}.v0.yml"]
        head, _, _ = path.read_text(encoding="utf-8").partition("\n")
        target = head.removeprefix("# yaml-language-server: $schema=")
        assert (path.parent / target).resolve() == ROOT / "schemas" / "policy.v0.schema.json"
