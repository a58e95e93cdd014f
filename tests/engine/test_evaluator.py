"""What the two evaluators answer, case by case: each is written once and asked of both."""

from __future__ import annotations

from decimal import Decimal

import pytest
from strategies import build_policy, build_request

from lumyn.engine.evaluator import compile_policy, trace
from lumyn.engine.trace import Truth
from lumyn.model import Evaluation

ACTION = "support.refund"
TRUSTING = {
    "id": "OK",
    "stage": "TRUST_PATHS",
    "if": {"subject.type_is": "agent"},
    "then": {"verdict": "TRUST", "reason_codes": ["FINE"]},
}


def rule(rule_id, stage, verdict="ESCALATE", codes=("X",), **parts):
    """Return one rule; `parts` are its blocks, `when`, and what its `then` holds besides verdict and codes."""
    then = {name: parts.pop(name) for name in ("queries", "obligations") if name in parts}
    return {"id": rule_id, "stage": stage, "then": {"verdict": verdict, "reason_codes": [*codes], **then}, **parts}


def policy(*rules, default="ESCALATE", **document):
    return build_policy(
        {
            "policy_id": "p",
            "policy_version": "1",
            "defaults": {"default_verdict": default, "default_reason_code": "NO_MATCH"},
            "rules": [*rules],
            **document,
        }
    )


def request(amount=None, currency="USD", *, action_type=ACTION, roles=None, tags=None, environment=None, **evidence):
    action = {"type": action_type, "intent": "test"}
    if amount is not None:
        action["amount"] = {"value": amount, "currency": currency}
    if tags is not None:
        action["tags"] = tags
    subject = {"type": "agent", "id": "a"} | ({} if roles is None else {"roles": roles})
    tenant = {"tenant_id": "t"} | ({} if environment is None else {"environment": environment})
    return build_request({"action": action, "subject": subject, "tenant": tenant, "evidence": evidence})


def decide(rules, asked, similarity="0") -> Evaluation:
    """Return what both evaluators say, which must be the same."""
    plan = compile_policy(rules).plan(asked.action_type)
    outcome = plan.evaluate(plan.facts(asked), Decimal(similarity))
    assert trace(rules, asked, similarity=Decimal(similarity)).evaluation == outcome
    return outcome


def fired(outcome):
    return [matched.rule_id for matched in outcome.matched_rules]


def truth_of(asked, **blocks):
    """Return the truth of one escalation rule."""
    rules = policy(rule("R", "ESCALATIONS", **blocks), TRUSTING)
    outcome = decide(rules, asked)
    traced = trace(rules, asked, similarity=Decimal(0)).rule("R")
    assert traced is not None
    assert (traced.truth is Truth.TRUE) == ("R" in fired(outcome))
    assert (traced.truth is Truth.UNKNOWN) == ("R" in outcome.undetermined)
    return traced.truth.value


@pytest.mark.parametrize(
    ("conditions", "asked", "expected"),
    [
        ({"evidence.level_ne": "low"}, request(), "unknown"),
        ({"evidence.level_not_in": ["low"]}, request(), "unknown"),
        ({"evidence.level_ne": "low"}, request(level="high"), "true"),
        ({"evidence.level_not_in": ["low"]}, request(level="low"), "false"),
        ({"evidence.level_is": "low"}, request(level=" "), "unknown"),
        ({"evidence.level_is": "low"}, request(level=5), "unknown"),
        ({"evidence.level_present": True}, request(), "false"),
        ({"evidence.level_present": False}, request(), "true"),
        ({"evidence.level_present": True}, request(level="x"), "true"),
        ({"evidence.level_present": False}, request(level=""), "true"),
        ({"evidence.level_present": True}, request(level=["x"]), "true"),
        ({"evidence.flag_is": True}, request(flag=1), "unknown"),
        ({"evidence.flag_present": True, "evidence.flag_ne": True}, request(flag=1), "unknown"),
        ({"evidence.flag_present": False, "evidence.flag_ne": True}, request(flag=1), "false"),
        ({"evidence.risk_is": 1}, request(risk=True), "unknown"),
        ({"evidence.risk_is": 1}, request(risk=1.0), "true"),
        ({"evidence.risk_in": [0.1, 0.3]}, request(risk=0.30000000000000004), "false"),
        ({"evidence.risk_gt": 0.3}, request(risk=0.30000000000000004), "true"),
        ({"evidence.risk_gte": 0.3}, request(risk=0.3), "true"),
        ({"evidence.risk_lt": 0.3}, request(risk=0.3), "false"),
        ({"evidence.risk_lte": 0.3}, request(risk=0.3), "true"),
        ({"amount_usd_gt": 200}, request("200.00"), "false"),
        ({"amount_usd_gte": 200}, request("200.00"), "true"),
        ({"amount_usd_gt": 200}, request("200.0000000000000000000000000000000001"), "true"),
        ({"amount_usd_gt": 200}, request(), "unknown"),
        ({"amount_usd_present": False}, request(1, "EUR"), "true"),
        ({"amount_usd_present": True}, request(1), "true"),
        ({"amount_currency_ne": "USD"}, request(), "unknown"),
        ({"amount_currency_not_in": ["EUR"]}, request(1), "true"),
        ({"amount_currency_present": False}, request(), "true"),
        ({"tenant.environment_not_in": ["prod"]}, request(), "unknown"),
        ({"tenant.environment_is": "prod"}, request(environment="prod"), "true"),
        ({"subject.type_ne": "user"}, request(), "true"),
        ({"subject.type_not_in": ["user", "agent"]}, request(), "false"),
        ({"subject.roles_contains": "admin"}, request(), "unknown"),
        ({"subject.roles_contains": "admin"}, request(roles=[]), "false"),
        ({"subject.roles_contains_any": ["admin", "lead"]}, request(roles=["x", "lead"]), "true"),
        ({"action.tags_contains_any": ["a"]}, request(tags=["b"]), "false"),
        ({"action.tags_contains": "ab"}, request(tags=["abc"]), "false"),
        ({"risk.uncertainty_gt": 0, "evidence.note_present": False}, request(), "true"),
        ({"evidence.level_is": "low", "evidence.risk_gt": 1}, request(level="high"), "false"),
        ({"evidence.level_is": "low", "evidence.risk_gt": 1}, request(level="low"), "unknown"),
    ],
)
def test_conditions_are_true_false_or_unknown(conditions, asked, expected):
    """A comparison on a missing or unusable fact is unknown, whatever its direction; `_present` is always known."""
    assert expected == truth_of(asked, **{"if": conditions})


@pytest.mark.parametrize(
    ("blocks", "asked", "expected"),
    [
        ({"if_any": [{"evidence.risk_gt": 1}, {"evidence.level_is": "low"}]}, request(level="low"), "true"),
        ({"if_any": [{"evidence.risk_gt": 1}, {"evidence.level_is": "low"}]}, request(level="high"), "unknown"),
        ({"if_any": [{"evidence.risk_gt": 1}, {"evidence.level_is": "low"}]}, request(risk=0, level="high"), "false"),
        ({"if_all": [{"evidence.risk_gt": 1}, {"evidence.level_is": "low"}]}, request(level="high"), "false"),
        ({"if_all": [{"evidence.risk_gt": 1}, {"evidence.level_is": "low"}]}, request(level="low"), "unknown"),
        ({"if_any": [{"evidence.risk_gt": 1, "evidence.level_is": "low"}]}, request(level="high"), "false"),
        ({"if": {"subject.type_is": "user"}, "if_any": [{"evidence.risk_gt": 1}]}, request(), "false"),
        ({"if": {"subject.type_is": "agent"}, "if_any": [{"evidence.risk_gt": 1}]}, request(), "unknown"),
        (
            {"if": {"subject.type_is": "agent"}, "if_all": [{"evidence.risk_gt": 1}], "if_any": [{"amount_usd_gt": 1}]},
            request(5, risk=2),
            "true",
        ),
    ],
)
def test_blocks_combine_by_kleene_logic(blocks, asked, expected):
    """One true alternative settles an `if_any`, one false part settles the rest, whatever is unknown beside it."""
    assert expected == truth_of(asked, **blocks)


def test_a_default_counts_as_the_value():
    """Declared by the policy, it makes a missing key known and present."""
    rules = policy(
        rule("FLAGGED", "ESCALATIONS", **{"if": {"evidence.flag_is": True}}),
        rule("THERE", "ESCALATIONS", **{"if": {"evidence.flag_present": True}}),
        evidence={"flag": {"type": "boolean", "default": False}},
    )
    assert ["THERE"] == fired(decide(rules, request()))
    assert ["FLAGGED", "THERE"] == fired(decide(rules, request(flag=True)))


def test_trust_gives_way_to_a_question_while_a_guard_is_undetermined():
    """`LUMYN_EVIDENCE_UNKNOWN` comes first, asks for every unknown field once, sorted, and keeps what fired."""
    guards = [
        rule("A", "HARD_BLOCKS", "ABSTAIN", **{"if": {"evidence.risk_gt": 0.5, "evidence.level_is": "high"}}),
        rule("B", "ESCALATIONS", if_any=[{"amount_usd_gt": 200}, {"evidence.level_is": "high"}]),
        rule("C", "REQUIREMENTS", **{"if": {"subject.roles_contains": "x", "evidence.note_present": False}}),
        rule("D", "TRUST_PATHS", "TRUST", **{"if": {"evidence.flag_is": True}}),
    ]
    outcome = decide(policy(*guards, TRUSTING), request())
    assert "QUERY" == outcome.verdict
    assert ["LUMYN_EVIDENCE_UNKNOWN", "OK"] == fired(outcome)
    assert "REQUIREMENTS" == outcome.matched_rules[0].stage
    assert ("EVIDENCE_MISSING", "FINE") == outcome.reason_codes
    asked = ["action.amount", "level", "risk", "subject.roles"]
    assert asked == [query.field for query in outcome.queries]
    assert "Please provide `level`." == outcome.queries[1].question
    assert ("C", "A", "B", "D") == outcome.undetermined


def test_an_undetermined_trust_path_asks_nothing():
    """What could only have trusted more is no reason to ask."""
    other = rule("D", "TRUST_PATHS", "TRUST", **{"if": {"evidence.flag_is": True}})
    outcome = decide(policy(TRUSTING, other), request())
    assert ("TRUST", ("D",), ()) == (outcome.verdict, outcome.undetermined, outcome.queries)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (request(), "action.amount"),
        (request(1, "EUR"), "fx_rate_to_usd"),
        (request(1, "GBP"), "action.amount.currency"),
        (request(1, "GBP", fx_rate_to_usd=1.2), "action.amount.currency"),
    ],
)
def test_the_question_names_what_is_missing_from_the_amount(asked, field):
    """No amount, no rate, or a currency that the policy does not list."""
    rules = policy(rule("A", "ESCALATIONS", **{"if": {"amount_usd_gt": 200}}), TRUSTING, fx_bounds={"EUR": [0.8, 1.6]})
    assert [field] == [query.field for query in decide(rules, asked).queries]


def test_unusable_evidence_abstains_ahead_of_the_policy_s_own_blocks():
    """Its reason codes stand in their fixed order, after the requirements and before every other block."""
    rules = policy(
        rule("BLOCK", "HARD_BLOCKS", "ABSTAIN", ["BLOCKED"], **{"if": {"subject.type_is": "agent"}}),
        rule("NEED", "REQUIREMENTS", "QUERY", ["NEEDED"]),
        rule(
            "READ", "ESCALATIONS", **{"if": {"evidence.risk_gt": 0, "evidence.level_is": "low", "evidence.days_gt": 0}}
        ),
        evidence={"risk": {"type": "number", "max": 1}, "level": {"type": "enum", "values": ["low"]}},
        required_evidence={ACTION: ["ticket"]},
        fx_bounds={"EUR": [0.8, 1.6]},
    )
    asked = request(1, "EUR", risk=7, level="HIGH", days="3", fx_rate_to_usd=5)
    outcome = decide(rules, asked)
    assert ["NEED", "LUMYN_EVIDENCE_INVALID", "LUMYN_FX_OUT_OF_BOUNDS", "BLOCK"] == fired(outcome)
    assert "ABSTAIN" == outcome.verdict
    assert () == outcome.queries
    codes = ["NEEDED", "EVIDENCE_TYPE_INVALID", "EVIDENCE_OUT_OF_RANGE", "EVIDENCE_VALUE_UNKNOWN"]
    assert (*codes, "FX_RATE_OUT_OF_BOUNDS", "BLOCKED") == outcome.reason_codes


@pytest.mark.parametrize("rate", [0, -0.0, -1.1, "1.1", True, [1.1], float("nan")])
@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_an_unusable_rate_abstains(rate, currency):
    """Wherever a rule reads money, in whatever currency the amount is."""
    rules = policy(rule("A", "ESCALATIONS", **{"if": {"amount_usd_gt": 200}}), TRUSTING)
    assert "ABSTAIN" == decide(rules, request(1, currency, fx_rate_to_usd=rate)).verdict
    assert "TRUST" == decide(rules, request(1, currency, fx_rate_to_usd=1.1)).verdict


def test_evidence_of_other_actions_is_not_judged():
    """A key that only rules of another action read may hold anything."""
    reading = rule("READ", "ESCALATIONS", **{"when": {"action_type": "other.thing"}, "if": {"evidence.risk_gt": 0}})
    assert "TRUST" == decide(policy(reading, TRUSTING), request(risk="x")).verdict
    assert "ABSTAIN" == decide(policy(reading, TRUSTING), request(risk="x", action_type="other.thing")).verdict


def test_a_requirements_check_asks_for_the_missing_keys_only():
    """In the order of the policy, with its own words where it has some; the first question about a field stays."""
    rules = policy(
        rule(
            "NEED",
            "REQUIREMENTS",
            "QUERY",
            queries=[{"field": "order", "question": "Which?"}, {"field": "ticket", "question": "T?"}],
        ),
        rule(
            "ALSO",
            "ESCALATIONS",
            "QUERY",
            queries=[{"field": "order", "question": "Again?"}, {"field": "z", "question": "Z?"}],
            **{"if": {"subject.type_is": "agent"}},
        ),
        rule(
            "LOUD",
            "ESCALATIONS",
            "ESCALATE",
            queries=[{"field": "no", "question": "No?"}],
            **{"if": {"subject.type_is": "agent"}},
        ),
        required_evidence={ACTION: ["zip", "order", "ticket"]},
    )
    outcome = decide(rules, request(ticket="T-1"))
    expected = [("zip", "Please provide `zip`."), ("order", "Which?"), ("z", "Z?")]
    assert expected == [(query.field, query.question) for query in outcome.queries]
    assert ["ALSO", "LOUD"] == fired(decide(rules, request(ticket="T", order="O", zip="Z")))


def test_nothing_fired_means_the_default():
    """Which carries its own reason code and no rule."""
    outcome = decide(policy(default="QUERY"), request())
    assert ("QUERY", ("NO_MATCH",), (), ()) == (
        outcome.verdict, outcome.reason_codes, outcome.matched_rules, outcome.queries,
    )  # fmt: skip


def test_codes_are_listed_once_in_stage_order_and_obligations_name_their_rule():
    """Stage order first, then file order; the obligations of every fired rule are kept."""
    always = {"if": {"subject.type_is": "agent"}}
    rules = policy(
        rule("E", "ESCALATIONS", "ESCALATE", ["B", "A"], obligations=[{"type": "log", "source": "mine"}], **always),
        rule("H", "HARD_BLOCKS", "ABSTAIN", ["A"], **always),
        TRUSTING | {"then": TRUSTING["then"] | {"obligations": [{"type": "notify"}]}},
    )
    outcome = decide(rules, request())
    assert ["H", "E", "OK"] == fired(outcome)
    assert ("A", "B", "FINE") == outcome.reason_codes
    expected = [
        {"type": "log", "source": {"rule_id": "E", "stage": "ESCALATIONS"}},
        {"type": "notify", "source": {"rule_id": "OK", "stage": "TRUST_PATHS"}},
    ]
    assert expected == [*outcome.obligations]


def test_memory_and_uncertainty_are_compared_as_reported():
    """Six places, half-even: what a record shows is what the rules saw."""
    rules = policy(
        rule("SIM", "ESCALATIONS", **{"if": {"risk.failure_similarity_gte": 0.8}}),
        rule("UNSURE", "ESCALATIONS", **{"if": {"risk.uncertainty_lte": 0.333333}}),
        required_evidence={ACTION: ["ticket", "order", "zip"]},
    )
    assert ["SIM"] == fired(decide(rules, request(), similarity="0.8"))
    assert ["UNSURE"] == fired(decide(rules, request(ticket="T", order="O"), similarity="0.799999"))


def test_a_trace_holds_facts_operands_and_outcomes():
    """Everything an explanation needs, in the order of the rule."""
    rules = policy(rule("R", "ESCALATIONS", **{"if": {"amount_usd_gt": 200, "evidence.level_is": "low"}}))
    traced = trace(rules, request(250), similarity=Decimal(0)).rule("R")
    assert traced is not None
    seen = [(c.condition.text, c.fact, c.condition.operand, c.outcome) for c in traced.conditions]
    expected = [
        ("amount_usd_gt", Decimal(250), Decimal(200), Truth.TRUE),
        ("evidence.level_is", None, "low", Truth.UNKNOWN),
    ]
    assert expected == seen
    assert trace(rules, request(), similarity=Decimal(0)).rule("NONE") is None
