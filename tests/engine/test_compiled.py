"""What the compiled evaluator promises beyond its answers: bounds, safety of constants, facts of other plans."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from strategies import build_policy, build_request

from lumyn.engine.compiled import OUTCOMES_KEPT
from lumyn.engine.evaluator import compile_policy, trace
from lumyn.engine.normalize import derive_facts

ACTION = "support.refund"


def policy(conditions, **document):
    return build_policy(
        {
            "policy_id": "p",
            "policy_version": "1",
            "defaults": {"default_verdict": "ABSTAIN", "default_reason_code": "NO_MATCH"},
            "rules": [
                {
                    "id": "R",
                    "stage": "ESCALATIONS",
                    "when": {"action_type": ACTION},
                    "if": conditions,
                    "then": {"verdict": "ESCALATE", "reason_codes": ["X"]},
                }
            ],
            **document,
        }
    )


def request(action_type=ACTION, **evidence):
    return build_request(
        {
            "action": {"type": action_type, "intent": "test"},
            "subject": {"type": "agent", "id": "a"},
            "tenant": {"tenant_id": "t"},
            "evidence": evidence,
        }
    )


def test_action_types_the_policy_does_not_name_share_one_plan():
    """Callers choose the action type, so it must not decide how much memory is used."""
    compiled = compile_policy(policy({"evidence.risk_gt": 1}))
    plans = {id(compiled.plan(f"made.up_{number}")) for number in range(1_000)}
    assert 1 == len(plans)
    assert compiled.plan(ACTION) is compiled.plan(ACTION)
    assert compiled.plan(ACTION) is not compiled.plan("made.up_1")
    plan = compiled.plan("made.up_2")
    assert "made.up_2" == plan.facts(request("made.up_2")).action_type


def test_a_policy_is_compiled_once_and_never_mistaken_for_another():
    """A policy changed in memory keeps its hash; its rules must be its own all the same."""
    strict = policy({"evidence.risk_gt": 1})
    assert compile_policy(strict) is compile_policy(strict)
    lax = replace(strict, rules=())
    assert strict.policy_hash == lax.policy_hash
    asked = request(risk=2)
    for rules, expected in ((strict, "ESCALATE"), (lax, "ABSTAIN")):
        plan = compile_policy(rules).plan(ACTION)
        assert expected == plan.evaluate(plan.facts(asked), Decimal(0)).verdict


def test_facts_of_another_plan_are_read_by_name_not_by_place():
    """Packed facts lie in the order of their own policy; another plan must not take one key for another."""
    one, other = policy({"evidence.risk_gt": 1}), policy({"evidence.risk_gt": 1, "evidence.age_lt": 1})
    asked = request(risk=2, age=0.5)
    facts = compile_policy(other).plan(ACTION).facts(asked)
    plan = compile_policy(one).plan(ACTION)
    assert "ESCALATE" == plan.evaluate(facts, Decimal(0)).verdict
    assert plan.evaluate(facts, Decimal(0)) == plan.evaluate(derive_facts(one, asked), Decimal(0))


def test_outcomes_are_remembered_and_shared():
    """The same rules and gaps give the very same evaluation; their number is bounded."""
    plan = compile_policy(policy({"evidence.risk_gt": 1})).plan(ACTION)
    assert plan.evaluate(plan.facts(request(risk=2)), Decimal(0)) is plan.evaluate(
        plan.facts(request(risk=3)), Decimal(0)
    )
    assert 0 < OUTCOMES_KEPT < 10_000


def test_no_text_of_a_policy_reaches_the_generated_code():
    """Names and constants that look like code are only ever data."""
    evil = "x') or True or ('"
    rules = policy({"evidence.k_in": [evil, "'''", "\\", "\n"]})
    assert "ABSTAIN" == trace(rules, request(k="x"), similarity=Decimal(0)).evaluation.verdict
    plan = compile_policy(rules).plan(ACTION)
    assert "ABSTAIN" == plan.evaluate(plan.facts(request(k="x")), Decimal(0)).verdict
    assert "ESCALATE" == plan.evaluate(plan.facts(request(k=evil)), Decimal(0)).verdict


@pytest.mark.parametrize("constant", [Decimal("0.3000000000000000000001"), Decimal("1E-400"), Decimal(2**53 + 1)])
def test_constants_no_double_carries_are_compared_exactly(constant):
    """Such a key falls back to decimals; a double next to the constant must not pass for it."""
    rules = policy({"evidence.risk_gte": constant})
    plan = compile_policy(rules).plan(ACTION)
    for risk in (0, 5e-324, 0.3, 0.30000000000000004, 9007199254740991, 1e300):
        asked = request(risk=risk)
        expected = "ESCALATE" if Decimal(repr(risk)) >= constant else "ABSTAIN"
        assert expected == plan.evaluate(plan.facts(asked), Decimal(0)).verdict
        assert expected == trace(rules, asked, similarity=Decimal(0)).evaluation.verdict


def test_facts_can_be_made_plain():
    """As a value that compares, prints and pickles like any other."""
    rules = policy({"evidence.risk_gt": 1, "evidence.level_is": "low"}, required_evidence={ACTION: ["ticket"]})
    asked = request(risk=2.5, level=["low"])
    facts = compile_policy(rules).plan(ACTION).facts(asked)
    assert derive_facts(rules, asked) == facts.plain()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        facts.missing = ()  # type: ignore[misc]


def test_a_compared_key_without_a_type_is_refused():
    """The loader gives every compared key a type; a policy built otherwise must not be guessed at."""
    rules = policy({"evidence.risk_gt": 1})
    with pytest.raises(ValueError, match="no type"):
        compile_policy(replace(rules, evidence={})).plan(ACTION)


def test_thousands_of_keys_and_rules_compile():
    """Masks grow with the policy, and Python limits the decimal digits of a literal."""
    many = {f"evidence.k{place}_gt": place for place in range(6_000)}
    plan = compile_policy(policy(many)).plan(ACTION)
    high = {f"k{place}": place + 1 for place in range(6_000)}
    assert "ESCALATE" == plan.evaluate(plan.facts(request(**high)), Decimal(0)).verdict
    assert ("R",) == plan.evaluate(plan.facts(request(**high | {"k5999": None})), Decimal(0)).undetermined
    assert () == plan.evaluate(plan.facts(request(**high | {"k5999": 0})), Decimal(0)).undetermined
