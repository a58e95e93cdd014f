"""What the engine reads from a request: money, typed evidence, what is missing or unusable."""

from __future__ import annotations

from decimal import Decimal

import pytest
from strategies import build_policy, build_request

from lumyn.engine.evaluator import compile_policy
from lumyn.engine.normalize import amount_usd, derive_facts, derived_document, features, ratio, read_evidence
from lumyn.policy.spec import EvidenceSpec, EvidenceType

ACTION = "support.refund"


def policy(*rules, **document):
    """Return a policy of these rules, each a dict of conditions for an escalation."""
    return build_policy(
        {
            "policy_id": "p",
            "policy_version": "1",
            "defaults": {"default_verdict": "ESCALATE", "default_reason_code": "NO_MATCH"},
            "rules": [
                {
                    "id": f"R{place}",
                    "stage": "ESCALATIONS",
                    "if": conditions,
                    "then": {"verdict": "ESCALATE", "reason_codes": ["X"]},
                }
                for place, conditions in enumerate(rules)
            ],
            **document,
        }
    )


def request(amount=None, currency="USD", tags=None, target=None, **evidence):
    """Return a refund request."""
    action = {"type": ACTION, "intent": "test"}
    if amount is not None:
        action["amount"] = {"value": amount, "currency": currency}
    if tags is not None:
        action["tags"] = tags
    if target is not None:
        action["target"] = target
    return build_request(
        {
            "action": action,
            "subject": {"type": "agent", "id": "a"},
            "tenant": {"tenant_id": "t", "environment": "prod"},
            "evidence": evidence,
        }
    )


MONEY = policy({"amount_usd_gt": 200})
SIGNED = policy({"amount_usd_gt": 200}, evidence={"fx_rate_to_usd": {"type": "number", "min": -5}})
BOUNDED = policy({"amount_usd_gt": 200}, fx_bounds={"EUR": [0.8, 1.6]})


@pytest.mark.parametrize(
    ("rules", "asked", "expected"),
    [
        (MONEY, request(), (None, False, False)),
        (MONEY, request(12.5), (Decimal("12.5"), False, False)),
        (MONEY, request(12.5, fx_rate_to_usd=2), (Decimal("12.5"), True, False)),
        (MONEY, request(0.1, "EUR", fx_rate_to_usd=1.1), (Decimal("0.11"), True, False)),
        (
            MONEY,
            request("0.10", "EUR", fx_rate_to_usd=0.30000000000000004),
            (Decimal("0.030000000000000004"), True, False),
        ),
        (MONEY, request(1, "EUR"), (None, False, False)),
        (MONEY, request(1, "EUR", fx_rate_to_usd="1.1"), (None, False, False)),
        (MONEY, request(1, "EUR", fx_rate_to_usd=0), (None, False, False)),
        (MONEY, request(1, "EUR", fx_rate_to_usd=-1), (None, False, False)),
        (MONEY, request(1, "EUR", fx_rate_to_usd=True), (None, False, False)),
        (MONEY, request(1, "EUR", fx_rate_to_usd=[1.1]), (None, False, False)),
        (SIGNED, request(1, "EUR", fx_rate_to_usd=-1), (None, False, False)),
        (BOUNDED, request(1, "EUR", fx_rate_to_usd=0.8), (Decimal("0.8"), True, False)),
        (BOUNDED, request(1, "EUR", fx_rate_to_usd=1.6), (Decimal("1.6"), True, False)),
        (BOUNDED, request(1, "EUR", fx_rate_to_usd=1.61), (None, True, True)),
        (BOUNDED, request(1, "EUR", fx_rate_to_usd=0.79), (None, True, True)),
        (BOUNDED, request(1, "GBP", fx_rate_to_usd=1.2), (None, True, False)),
        (BOUNDED, request(1, "USD", fx_rate_to_usd=9), (Decimal(1), True, False)),
    ],
)
def test_money_is_exact_or_unknown(rules, asked, expected):
    """A rate is used once it is a usable number within bounds, and never on US dollars."""
    assert expected == amount_usd(asked, rules)


def test_a_product_that_cannot_be_exact_is_unknown():
    """Rather than a rounded amount that might slip under a limit."""
    assert (None, True, False) == amount_usd(request("1." + "1" * 1995, "EUR", fx_rate_to_usd=1.123456), MONEY)


def spec(kind, **range_):
    return EvidenceSpec(key="k", type=EvidenceType(kind), **range_)


UNIT = spec("number", minimum=Decimal(0), maximum=Decimal(1))
LEVEL = spec("enum", values=("low", "high"))
TYPE, RANGE, UNKNOWN = "EVIDENCE_TYPE_INVALID", "EVIDENCE_OUT_OF_RANGE", "EVIDENCE_VALUE_UNKNOWN"


@pytest.mark.parametrize(
    ("raw", "kind", "expected"),
    [
        (None, UNIT, (None, None)),
        ("", UNIT, (None, None)),
        (" \u200b\u2060", LEVEL, (None, None)),
        (0.5, UNIT, (Decimal("0.5"), None)),
        (1, UNIT, (Decimal(1), None)),
        (1.0, UNIT, (Decimal(1), None)),
        (-0.0, UNIT, (Decimal(0), None)),
        (1.0000000000000002, UNIT, (None, RANGE)),
        (-1e-300, UNIT, (None, RANGE)),
        (35, UNIT, (None, RANGE)),
        (float("nan"), UNIT, (None, RANGE)),
        (float("inf"), spec("number"), (None, RANGE)),
        ("0.9", UNIT, (None, TYPE)),
        (True, UNIT, (None, TYPE)),
        ([0.5], UNIT, (None, TYPE)),
        ([], UNIT, (None, TYPE)),
        ({"a": 1}, UNIT, (None, TYPE)),
        (2.0, spec("integer"), (Decimal(2), None)),
        (2.5, spec("integer"), (None, TYPE)),
        (False, spec("integer"), (None, TYPE)),
        (True, spec("boolean"), (True, None)),
        (1, spec("boolean"), (None, TYPE)),
        ("true", spec("boolean"), (None, TYPE)),
        ("low", LEVEL, ("low", None)),
        ("LOW", LEVEL, (None, UNKNOWN)),
        ("l\u043ew", LEVEL, (None, UNKNOWN)),
        (1, LEVEL, (None, TYPE)),
        (7, spec("string"), (None, TYPE)),
        (None, spec("boolean", default=False), (False, None)),
        ("  ", spec("number", default=Decimal(3)), (Decimal(3), None)),
        ("x", spec("number", default=Decimal(3)), (None, TYPE)),
        ("x", None, ("x", None)),
        ([], None, (None, None)),
        ([None, " "], None, (None, None)),
        ([None, "x"], None, ("[list]", None)),
        ({"a": 1}, None, (None, TYPE)),
        (0, spec("number", minimum=Decimal(0), exclusive_minimum=True), (None, RANGE)),
    ],
)
def test_evidence_is_usable_missing_or_unusable(raw, kind, expected):
    """One road for every value: nothing is coerced, and a blank value is a missing one."""
    assert expected == read_evidence(raw, kind)


def test_every_key_that_matters_is_counted_once():
    """Missing and unusable keys both raise the uncertainty; keys of other actions do not matter."""
    rules = policy(
        {"evidence.risk_gt": 0.5, "evidence.level_is": "high"},
        evidence={"risk": {"type": "number", "max": 1}},
        required_evidence={ACTION: ["ticket"], "other.thing": ["order"]},
    )
    facts = derive_facts(rules, request(level=7))
    assert ("risk", "ticket") == facts.missing
    assert {"level": TYPE} == facts.invalid
    assert Decimal(1) == facts.uncertainty
    assert Decimal("0.333333") == derive_facts(rules, request(level="low", ticket="T")).uncertainty
    assert Decimal(0) == derive_facts(policy(), request()).uncertainty


def test_the_rate_matters_only_where_it_converts():
    """A missing rate is no gap in a request in US dollars, unless the policy requires it by name."""
    assert ("fx_rate_to_usd",) == derive_facts(MONEY, request(1, "EUR")).missing
    assert () == derive_facts(MONEY, request(1, "USD")).missing
    assert () == derive_facts(MONEY, request()).missing
    assert Decimal(0) == derive_facts(MONEY, request(1, "USD", fx_rate_to_usd=1)).uncertainty
    required = policy({"amount_usd_gt": 200}, required_evidence={ACTION: ["fx_rate_to_usd"]})
    assert ("fx_rate_to_usd",) == derive_facts(required, request(1, "USD")).missing
    assert {"fx_rate_to_usd": RANGE} == derive_facts(MONEY, request(1, "USD", fx_rate_to_usd=0)).invalid


def test_derived_document_writes_plain_decimals():
    """It enters the inputs digest, so `201.00` and `2.01E+2` must not be different inputs."""
    rules = policy({"amount_usd_gt": 200, "evidence.risk_gt": 0.5, "evidence.level_is": "low"})
    facts = derive_facts(rules, request("2010E-1", "EUR", fx_rate_to_usd=1.5, level=3))
    expected = {
        "action_type": ACTION,
        "tenant_id": "t",
        "amount_value": "201",
        "amount_currency": "EUR",
        "amount_usd": "301.5",
        "fx_rate_present": True,
        "missing_evidence": ["risk"],
        "mistyped_evidence": ["level"],
    }
    assert expected == derived_document(facts)
    assert expected == derived_document(
        compile_policy(rules).plan(ACTION).facts(request("201", "EUR", fx_rate_to_usd=1.5, level=3))
    )


def test_only_compared_evidence_becomes_a_feature():
    """Identifiers that are required or asked to be present say nothing about resemblance, and stay out of memory."""
    rules = policy({"evidence.risk_gt": 0.5, "evidence.note_present": True}, required_evidence={ACTION: ["ticket"]})
    target = {"system": "crm", "resource_type": "order", "resource_id": "42"}
    asked = request(25, "EUR", ["b", "a", "b"], target, risk=1.0, note="n", ticket="T-1", unread=1, fx_rate_to_usd=2)
    expected = {
        "action_type": ACTION,
        "target_system": "crm",
        "resource_type": "order",
        "currency": "EUR",
        "amount_usd": "50",
        "tags": ["a", "b"],
        "evidence": {"risk": 1},
    }
    assert expected == features(rules, derive_facts(rules, asked))
    nothing = derive_facts(rules, request())
    assert {"action_type": ACTION, "evidence": {"risk": None}} == features(rules, nothing)
    assert {"action_type": ACTION} == features(rules, nothing, unknown=["risk"])


@pytest.mark.parametrize(
    ("part", "whole", "half", "expected"),
    [
        (0, 0, False, "0"),
        (1, 3, False, "0.333333"),
        (2, 3, False, "0.666667"),
        (1, 2_000_000, False, "0"),
        (3, 2_000_000, False, "0.000002"),
        (1, 1, False, "1"),
        (1, 1, True, "0.5"),
        (1, 1_000_000, True, "0"),
    ],
)
def test_ratios_round_half_even_to_six_places(part, whole, half, expected):
    """In integers, so that no decimal context or platform can change a digit."""
    assert expected == str(ratio(part, whole, half=half))
