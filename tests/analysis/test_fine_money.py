"""
Money that is easily overlooked: units finer than cents, rates only whole numbers meet, amounts only a text can carry.
Each request is decided by the engine first; what the analysis then calls impossible would be a false proof.
"""

from __future__ import annotations

from typing import Any

import pytest
from strategies import build_policy

from lumyn.analysis.check import check
from lumyn.analysis.diff import diff
from lumyn.analysis.money import currencies
from lumyn.analysis.witness import Case, evaluate
from lumyn.core.requests import minor_digits
from lumyn.policy.spec import Policy

DEFAULTS: dict[str, Any] = {
    "schema_version": "policy.v0",
    "policy_id": "p",
    "policy_version": "1",
    "defaults": {"default_verdict": "ESCALATE", "default_reason_code": "NOTHING_MATCHED"},
}


def policy_of(*rules: dict[str, Any], **members: Any) -> Policy:
    return build_policy({**DEFAULTS, **members, "rules": [{"id": f"R{n}", **rule} for n, rule in enumerate(rules)]})


def rule(stage: str, verdict: str, conditions: dict[str, Any]) -> dict[str, Any]:
    return {"stage": stage, "if": conditions, "then": {"verdict": verdict, "reason_codes": [f"C_{verdict}"]}}


TRUSTED = rule("TRUST_PATHS", "TRUST", {"amount_usd_lte": 500})
INTEGER: dict[str, Any] = {"evidence": {"fx_rate_to_usd": {"type": "integer"}}}


def guarded(conditions: dict[str, Any], **members: Any) -> tuple[Policy, Policy]:
    """Return a policy with a guard, R0, and the same without it."""
    guard = rule("ESCALATIONS", "ESCALATE", conditions)
    return policy_of(guard, TRUSTED, **members), policy_of(TRUSTED, **members)


def paid(value: float | str, currency: str, rate: float | None = None) -> Case:
    return Case(
        request={
            "schema_version": "decision_request.v0",
            "subject": {"type": "agent", "id": "a"},
            "action": {"type": "x.y", "intent": "test", "amount": {"value": value, "currency": currency}},
            "evidence": {} if rate is None else {"fx_rate_to_usd": rate},
            "context": {"mode": "digest_only", "digest": "sha256:" + "0" * 64},
        }
    )


BETWEEN_CENTS = {"amount_usd_gt": 25, "amount_usd_lt": 25.01}
FIRED = {
    "three_digits": ({**BETWEEN_CENTS, "evidence.fx_rate_to_usd_is": 1}, {}, paid(25.005, "KWD", 1)),
    "four_digits": (
        {"amount_usd_gt": 25, "amount_usd_lt": 25.001, "evidence.fx_rate_to_usd_is": 1},
        {},
        paid(25.0005, "CLF", 1),
    ),
    "three_digits_where_four_are_named": (
        {**BETWEEN_CENTS, "evidence.fx_rate_to_usd_is": 1, "amount_currency_not_in": ["CLF", "UYW"]},
        {},
        paid(25.005, "KWD", 1),
    ),
    "whole_rates": ({"evidence.fx_rate_to_usd_gt": 100, "amount_usd_lt": 200}, INTEGER, paid(1, "SEK", 150)),
    "great_rates": ({"evidence.fx_rate_to_usd_gt": 9e15}, {}, paid(1, "SEK", 9000000000000001)),
    "one_whole_rate_in_a_gap": (
        {"evidence.fx_rate_to_usd_gt": 2.9999999999999996, "evidence.fx_rate_to_usd_lt": 3.0000000000000004},
        {},
        paid(1, "SEK", 3),
    ),
    "tiny_rates": ({"evidence.fx_rate_to_usd_lt": 1e-16, "amount_usd_gte": 25}, {}, paid("9" * 18, "SEK", 9.9e-17)),
    "text_amounts": ({"amount_usd_gt": 9007199254740991}, {}, paid("9007199254740992", "USD")),
}


@pytest.mark.parametrize("name", FIRED)
def test_a_rule_that_a_request_fires_is_not_called_dead(name: str) -> None:
    """The engine fires the rule, so `check` does not say that it can never fire, nor `diff` that it makes no change."""
    conditions, members, case = FIRED[name]
    policy, without = guarded(conditions, **members)
    assert "R0" in [each.rule_id for each in evaluate(policy, case).matched_rules]
    assert not [each for each in check(policy) if each.code == "RULE_DEAD"]
    found = diff(policy, without)
    assert found.changes or found.unknown


@pytest.mark.parametrize(
    ("conditions", "dead"),
    [
        ({"evidence.fx_rate_to_usd_is": 1e-30, "amount_usd_gte": 25}, True),
        ({"evidence.fx_rate_to_usd_lt": 1e-30, "amount_usd_gte": 25}, True),
        ({"evidence.fx_rate_to_usd_is": 1e-200, "amount_usd_lte": 25}, False),
        ({"evidence.fx_rate_to_usd_gt": 1e-30, "evidence.fx_rate_to_usd_lt": 3e-18, "amount_usd_lt": 1}, False),
    ],
)
def test_rates_beyond_all_use_are_counted_with(conditions: dict[str, Any], dead: bool) -> None:
    """At such a rate no amount a request can state makes 25 dollars; smaller ones are made."""
    policy, _ = guarded({**conditions, "amount_currency_ne": "USD"})
    assert bool([each for each in check(policy) if each.code == "RULE_DEAD"]) is dead


def test_one_currency_for_each_finer_unit_stands_for_those_that_are_not_named() -> None:
    """Cents, then thousandths, then ten-thousandths; where a finer unit's currencies are all named, none is made up."""
    assert [minor_digits(code) for code in currencies([])] == [2, 2, 3, 4]
    assert "KWD" not in currencies(["KWD", "CLF"])[3:]
    assert [minor_digits(code) for code in currencies(["CLF", "UYW"])] == [2, 4, 4, 2, 3]
