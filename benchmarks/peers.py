"""
The same 26 rules given to other policy and rule engines, each as a whole policy that it has parsed beforehand.
Every peer gets flat facts, made outside the timed part, and answers with the rules that fire.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from lumyn import Policy
from lumyn.model import Facts
from lumyn.policy.spec import Condition, Rule

Flat = dict[str, Any]
Peer = Callable[[Flat], frozenset[str]]

SCALE = 10_000
NO_TEXT = ""


def flat_facts(policy: Policy, facts: Facts, similarity: Decimal) -> Flat:
    """Return every attribute that some rule reads, as plain values; text that is missing is empty."""
    flat: Flat = {
        "action_type": facts.action_type,
        "missing_required": any(key in facts.missing for key in policy.required_evidence[facts.action_type]),
        "amount_usd": float(facts.amount_usd or 0),
        "amount_currency": facts.amount_currency or NO_TEXT,
        "failure_similarity": float(similarity),
    }
    for rule in policy.rules:
        for condition in rule.conditions:
            key = condition.evidence_key
            if key is None or f"e_{key}" in flat:
                continue
            value = facts.evidence.get(key)
            if condition.operator.ordering:
                flat[f"e_{key}"] = float(value) if isinstance(value, Decimal) else 0.0
            elif condition.operator.name == "present":
                flat[f"e_{key}"] = NO_TEXT if value is None else str(value)
            else:
                flat[f"e_{key}"] = value if value is not None else NO_TEXT
    return flat


def attribute(condition: Condition) -> str:
    if condition.evidence_key is not None:
        return f"e_{condition.evidence_key}"
    return {"risk.failure_similarity": "failure_similarity"}.get(condition.fact, condition.fact)


def actions_of(policy: Policy, rule: Rule) -> list[str]:
    return list(rule.actions or policy.action_types)


def literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, Decimal) else json.dumps(value)


SYMBOLS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "is": "==", "ne": "!="}


def infix(condition: Condition, *, listed: str, negate: str, prefix: str = "") -> str:
    """Return a condition in the infix syntax most engines share."""
    name, operand = prefix + attribute(condition), condition.operand
    operator = condition.operator.name
    if operator == "present":
        return f'{name} {"!=" if operand else "=="} ""'
    if operator in {"in", "not_in"} and isinstance(operand, tuple):
        text = listed.format(name=name, items=", ".join(literal(item) for item in operand))
        return text if operator == "in" else negate.format(text)
    return f"{name} {SYMBOLS[operator]} {literal(operand)}"


def rule_engine(policy: Policy) -> Peer:
    from rule_engine import Rule as Parsed

    rules = []
    for rule in policy.rules:
        parts = [f"action_type in [{', '.join(map(json.dumps, actions_of(policy, rule)))}]"]
        if rule.is_requirements_check:
            parts.append("missing_required")
        parts += [infix(c, listed="{name} in [{items}]", negate="not ({})") for c in rule.conditions]
        rules.append((rule.rule_id, Parsed(" and ".join(parts))))
    return lambda flat: frozenset(rule_id for rule_id, rule in rules if rule.matches(flat))


def zen(policy: Policy) -> Peer:
    from zen import ZenEngine

    rows = []
    for rule in policy.rules:
        parts = [f"(action_type in [{', '.join(map(json.dumps, actions_of(policy, rule)))}])"]
        if rule.is_requirements_check:
            parts.append("missing_required == true")
        parts += [f"({infix(c, listed='{name} in [{items}]', negate='not ({})')})" for c in rule.conditions]
        rows.append({"_id": rule.rule_id, "when": " and ".join(parts), "rule": json.dumps(rule.rule_id)})
    table = {
        "hitPolicy": "collect",
        "inputs": [{"id": "when", "name": "when"}],
        "outputs": [{"id": "rule", "name": "rule", "field": "rule"}],
        "rules": rows,
    }
    nodes = [
        {"id": "in", "name": "in", "type": "inputNode"},
        {"id": "table", "name": "table", "type": "decisionTableNode", "content": table},
        {"id": "out", "name": "out", "type": "outputNode"},
    ]
    edges = [{"id": "a", "sourceId": "in", "targetId": "table"}, {"id": "b", "sourceId": "table", "targetId": "out"}]
    decision = ZenEngine().create_decision(json.dumps({"nodes": nodes, "edges": edges}))
    return lambda flat: frozenset(row["rule"] for row in decision.evaluate(flat)["result"])


def cedar(policy: Policy) -> Peer:
    from cedarpy import Entities, PolicySet, is_authorized

    def scaled(condition: Condition) -> str:
        if condition.operator.ordering and isinstance(condition.operand, Decimal):
            return f"context.{attribute(condition)} {SYMBOLS[condition.operator.name]} {int(condition.operand * SCALE)}"
        return infix(condition, listed="[{items}].contains({name})", negate="!({})", prefix="context.")

    texts = []
    for rule in policy.rules:
        listed = ", ".join(f'Action::"{action}"' for action in actions_of(policy, rule))
        parts = ["context.missing_required"] if rule.is_requirements_check else []
        parts += [f"({scaled(condition)})" for condition in rule.conditions]
        texts.append(
            f'@id("{rule.rule_id}")\npermit(principal, action in [{listed}], resource) when {{ {" && ".join(parts)} }};'
        )
    # Every rule is a permit: with a forbid among them Cedar names only the forbids.
    policies, entities = PolicySet.from_str("\n".join(texts)), Entities.from_json_str("[]")
    names = {f"policy{place}": rule.rule_id for place, rule in enumerate(policy.rules)}

    def run(flat: Flat) -> frozenset[str]:
        context = {
            name: int(Decimal(repr(value)) * SCALE) if type(value) is float else value for name, value in flat.items()
        }
        request = {
            "principal": {"type": "Agent", "id": "a"},
            "action": {"type": "Action", "id": flat["action_type"]},
            "resource": {"type": "Thing", "id": "t"},
            "context": context,
        }
        answer = is_authorized(request, policies, entities)
        return frozenset(names.get(reason, reason) for reason in answer.diagnostics.reasons)

    return run


def rego(policy: Policy) -> Peer:
    from regopy import Input, Interpreter

    listed = "{name} in {{{items}}}"
    lines = ["package gate", "import rego.v1", ""]
    for rule in policy.rules:
        members = ", ".join(map(json.dumps, actions_of(policy, rule)))
        lines += [f'fired contains "{rule.rule_id}" if {{', f"  input.action_type in {{{members}}}"]
        if rule.is_requirements_check:
            lines.append("  input.missing_required")
        lines += [f"  {infix(c, listed=listed, negate='not {}', prefix='input.')}" for c in rule.conditions]
        lines.append("}")
    interpreter = Interpreter()
    interpreter.add_module("gate", "\n".join(lines))
    bundle = interpreter.build("x := data.gate.fired")

    def run(flat: Flat) -> frozenset[str]:
        interpreter.set_input(Input(flat))
        answer = json.loads(str(interpreter.query_bundle(bundle)))
        return frozenset(answer["bindings"]["x"])

    return run


def casbin(policy: Policy) -> Peer:
    from casbin import Enforcer, Model

    model = Model()
    model.load_model_from_text(
        "[request_definition]\nr = f\n[policy_definition]\np = rule, eft\n"
        "[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = eval(p.rule)\n"
    )
    enforcer = Enforcer(model)
    # Casbin stops at the first row that matches, so the strictest rules come first; it names that row alone.
    order = ("ABSTAIN", "QUERY", "ESCALATE", "TRUST")
    for rule in sorted(policy.rules, key=lambda rule: order.index(rule.verdict)):
        parts = [f"r.f.action_type in ({', '.join(map(json.dumps, actions_of(policy, rule)))},)"]
        if rule.is_requirements_check:
            parts.append("r.f.missing_required")
        parts += [
            infix(c, listed="{name} in ({items},)", negate="not ({})", prefix="r.f.")
            .replace("true", "True")
            .replace("false", "False")
            for c in rule.conditions
        ]
        enforcer.add_policy(" && ".join(parts), "allow")
        enforcer_rules[" && ".join(parts)] = rule.rule_id

    class Attributes:
        def __init__(self, values: Flat) -> None:
            self.__dict__.update(values)

    def run(flat: Flat) -> frozenset[str]:
        allowed, row = enforcer.enforce_ex(Attributes(flat))
        return frozenset([enforcer_rules[row[0]]] if allowed else [])

    return run


enforcer_rules: dict[str, str] = {}

PEERS: dict[str, Callable[[Policy], Peer]] = {
    "cedarpy": cedar,
    "zen-engine, decision table": zen,
    "regopy": rego,
    "casbin (first match only)": casbin,
    "rule-engine": rule_engine,
}
