"""
An executable specification of verdicts, policies and evaluation (SPEC 1, 3, 4) over plain documents and fractions.
Written to be read beside the specification, and to share no code with the engine it is held against.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

STAGES = ["REQUIREMENTS", "HARD_BLOCKS", "ESCALATIONS", "TRUST_PATHS"]
STRICTNESS = ["TRUST", "ESCALATE", "QUERY", "ABSTAIN"]
INVALID_CODES = ["EVIDENCE_TYPE_INVALID", "EVIDENCE_OUT_OF_RANGE", "EVIDENCE_VALUE_UNKNOWN"]
RATE = "fx_rate_to_usd"


def decide(policy: dict[str, Any], request: dict[str, Any], similarity: Decimal) -> dict[str, Any]:
    action = request["action"]["type"]
    rules = [rule for stage in STAGES for rule in policy["rules"] if rule["stage"] == stage and applies(rule, action)]
    required = policy.get("required_evidence", {}).get(action, [])
    read = {fact for rule in rules for fact, _, _ in conditions(rule)}
    keys = {fact[9:] for fact in read if fact.startswith("evidence.")} | set(required)
    keys |= {RATE} if "amount_usd" in read else set()
    values = {key: read_key(policy, key, request["evidence"].get(key)) for key in keys | {RATE}}
    currency = request["action"].get("amount", {}).get("currency", "USD")
    matters = {key for key in keys if key != RATE or currency != "USD" or RATE in required}
    missing = {key for key in matters if values[key] is None}
    invalid = {key for key in keys if values[key] in INVALID_CODES}
    usd, out_of_bounds, ask_usd = dollars(policy, request, values[RATE])
    known: dict[str, Any] = {f"evidence.{key}": None if key in invalid else values[key] for key in keys}
    known |= {
        "amount_usd": usd,
        "amount_currency": request["action"].get("amount", {}).get("currency"),
        "risk.failure_similarity": Fraction(similarity),
        "risk.uncertainty": rounded(len(missing | invalid), len(matters | invalid)),
        "subject.type": request["subject"]["type"],
        "tenant.environment": request["tenant"].get("environment"),
        "subject.roles": request["subject"].get("roles"),
        "action.tags": request["action"].get("tags"),
    }

    def holds(fact: str, operator: str, constant: Any) -> bool | None:
        value = known[fact]
        if operator == "present":
            return constant is (value is not None or fact[9:] in invalid)
        return None if value is None else COMPARE[operator](value, constant)

    def truth(rule: dict[str, Any]) -> bool | None:
        if rule["stage"] == "REQUIREMENTS" and not {"if", "if_all", "if_any"} & rule.keys():
            return bool(missing & set(required))
        groups = {
            kind: [both(holds(*part) for part in parts(group)) for group in listed(rule, kind)]
            for kind in ("if", "if_all", "if_any")
        }
        return both([*groups["if"], *groups["if_all"], either(groups["if_any"]) if groups["if_any"] else True])

    outcomes = [(rule, truth(rule)) for rule in rules]
    fired = [rule for rule, outcome in outcomes if outcome is True]
    matched = [(rule["id"], rule["stage"], rule["then"]["verdict"], rule["then"]["reason_codes"]) for rule in fired]
    if invalid:
        codes = [code for code in INVALID_CODES if code in {values[key] for key in invalid}]
        matched.append(("LUMYN_EVIDENCE_INVALID", "HARD_BLOCKS", "ABSTAIN", codes))
    if out_of_bounds:
        matched.append(("LUMYN_FX_OUT_OF_BOUNDS", "HARD_BLOCKS", "ABSTAIN", ["FX_RATE_OUT_OF_BOUNDS"]))
    verdict = max((effect for _, _, effect, _ in matched), key=STRICTNESS.index, default=None)
    blind = [rule for rule, outcome in outcomes if outcome is None and rule["stage"] != "TRUST_PATHS"]
    facts = {fact for rule in blind for fact, operator, _ in conditions(rule) if operator != "present"}
    paths = {"amount_usd": ask_usd, "amount_currency": "action.amount"}
    unknown = sorted({paths.get(fact, fact.removeprefix("evidence.")) for fact in facts if known[fact] is None})
    queries = [(field, f"Please provide `{field}`.") for field in unknown]
    if verdict == "TRUST" and blind:
        verdict = "QUERY"
        matched.append(("LUMYN_EVIDENCE_UNKNOWN", "REQUIREMENTS", "QUERY", ["EVIDENCE_MISSING"]))
    else:
        queries = questions(fired, [key for key in required if key in missing]) if verdict == "QUERY" else []
    matched.sort(key=lambda rule: (STAGES.index(rule[1]), not rule[0].startswith("LUMYN_")))
    codes = [code for *_, codes in matched for code in codes]
    first = dict(reversed(queries))
    return {
        "verdict": verdict or policy["defaults"]["default_verdict"],
        "reason_codes": list(dict.fromkeys(codes)) or [policy["defaults"]["default_reason_code"]],
        "matched_rules": [(rule_id, stage, effect) for rule_id, stage, effect, _ in matched],
        "queries": [(field, first[field]) for field in dict.fromkeys(field for field, _ in queries)],
        "obligations": [
            {**duty, "source": {"rule_id": rule["id"], "stage": rule["stage"]}}
            for rule in fired
            for duty in rule["then"].get("obligations", [])
        ],
        "undetermined": [rule["id"] for rule, outcome in outcomes if outcome is None],
        "missing": sorted(missing),
        "invalid": sorted(invalid),
    }


def applies(rule: dict[str, Any], action: str) -> bool:
    when = rule.get("when", {"action_type": action})
    return action == when.get("action_type") or action in when.get("action_type_in", [])


def listed(rule: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [rule["if"]] if kind == "if" and "if" in rule else rule.get(kind, []) if kind != "if" else []


def parts(group: dict[str, Any]) -> list[tuple[str, str, Any]]:
    suffixes = sorted(COMPARE, key=len, reverse=True)
    split = [(text, next(name for name in suffixes if text.endswith("_" + name)), group[text]) for text in group]
    return [(text.removesuffix("_" + name), name, constant) for text, name, constant in split]


def conditions(rule: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [part for kind in ("if", "if_all", "if_any") for group in listed(rule, kind) for part in parts(group)]


def both(truths: Any) -> bool | None:
    seen = list(truths)
    return False if False in seen else None if None in seen else True


def either(truths: Any) -> bool | None:
    seen = list(truths)
    return True if True in seen else None if None in seen else False


def exact(value: Any) -> Any:
    return Fraction(str(value)) if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else value


def same(value: Any, constant: Any) -> bool:
    return type(value) is type(exact(constant)) and value == exact(constant)


COMPARE: dict[str, Any] = {
    "is": same,
    "ne": lambda value, constant: not same(value, constant),
    "in": lambda value, constant: any(same(value, member) for member in constant),
    "not_in": lambda value, constant: not any(same(value, member) for member in constant),
    "gt": lambda value, constant: value > exact(constant),
    "gte": lambda value, constant: value >= exact(constant),
    "lt": lambda value, constant: value < exact(constant),
    "lte": lambda value, constant: value <= exact(constant),
    "contains": lambda value, constant: constant in value,
    "contains_any": lambda value, constant: bool(set(value) & set(constant)),
    "present": None,
}


def spec_of(policy: dict[str, Any], key: str) -> dict[str, Any] | None:
    if key in policy.get("evidence", {}):
        return {**({"above": 0} if key == RATE else {}), **policy["evidence"][key]}
    if key == RATE:
        return {"type": "number", "above": 0}
    for rule in policy["rules"]:
        for fact, operator, constant in conditions(rule):
            if fact == f"evidence.{key}" and operator != "present":
                one = constant[0] if isinstance(constant, list) else constant
                return {"type": {bool: "boolean", str: "string"}.get(type(one), "number")}
    return None


def read_key(policy: dict[str, Any], key: str, raw: Any) -> Any:
    spec = spec_of(policy, key)
    blank = [None, "", " ", "\u200b", "\t\n"]
    if isinstance(raw, list):
        present = any(member not in blank for member in raw)
        return INVALID_CODES[0] if spec else "a list" if present else None
    if raw in blank:
        return exact((spec or {}).get("default"))
    if spec is None:
        return exact(raw)
    value, kind = exact(raw), spec["type"]
    types = {"number": Fraction, "integer": Fraction, "boolean": bool}
    if not isinstance(value, types.get(kind, str)) or (kind == "integer" and value.denominator != 1):
        return INVALID_CODES[0]
    if kind == "enum":
        return value if value in spec["values"] else INVALID_CODES[2]
    low, above, high = (spec.get(name) for name in ("min", "above", "max"))
    outside = (low is not None and value < exact(low)) or (above is not None and value <= above)
    return INVALID_CODES[1] if outside or (high is not None and value > exact(high)) else value


def dollars(policy: dict[str, Any], request: dict[str, Any], rate: Any) -> tuple[Fraction | None, bool, str]:
    """Return the amount in US dollars, whether the rate is out of bounds, and what to ask for when it is unknown."""
    amount = request["action"].get("amount")
    if amount is None:
        return None, False, "action.amount"
    value, currency = Fraction(str(amount["value"])), amount["currency"]
    if currency == "USD":
        return value, False, ""
    bounds = policy.get("fx_bounds")
    if bounds is not None and currency not in bounds:
        return None, False, "action.amount.currency"
    if not isinstance(rate, Fraction):
        return None, False, RATE
    if bounds is not None and not exact(bounds[currency][0]) <= rate <= exact(bounds[currency][1]):
        return None, True, RATE
    return value * rate, False, ""


def rounded(part: int, whole: int) -> Fraction:
    return Fraction(round(Fraction(part, whole) * 10**6), 10**6) if whole else Fraction(0)


def questions(fired: list[dict[str, Any]], missing: list[str]) -> list[tuple[str, str]]:
    asked: list[tuple[str, str]] = []
    for rule in fired:
        if rule["then"]["verdict"] != "QUERY":
            continue
        written = [(query["field"], query["question"]) for query in rule["then"].get("queries", [])]
        if rule["stage"] == "REQUIREMENTS" and not conditions(rule):
            texts = dict(reversed(written))
            written = [(key, texts.get(key, f"Please provide `{key}`.")) for key in missing]
        asked += written
    return asked
