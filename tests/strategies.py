"""
Random policies, requests and memories for the property tests, small enough that boundaries are hit often.
Policies are generated as documents and built without the loader, so that neither can hide a fault of the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from lumyn.errors import Span
from lumyn.model import DecisionRequest, Label, MemoryItem, Mode, Query, Stage, Verdict
from lumyn.policy.operators import OPERATORS, find_subject, split_condition
from lumyn.policy.scalars import to_decimal
from lumyn.policy.spec import (
    FX_RATE_KEY,
    Block,
    BlockKind,
    Condition,
    EvidenceSpec,
    EvidenceType,
    MemorySpec,
    Policy,
    Rule,
)

T = TypeVar("T")
Document = dict[str, Any]

SPAN = Span("policy.yml", 1, 1)
ACTIONS = ("support.refund", "support.credit", "other.thing")
GUARDS = ("REQUIREMENTS", "HARD_BLOCKS", "ESCALATIONS")
CODES = ("CODE_A", "CODE_B", "CODE_C", "CODE_D")
NUMBERS = (0, 1, 2, 0.1, 0.3, 0.30000000000000004, 0.35, 0.7, 1.5, 25, 200, -1, 1e-7)
SCORES = (0, 0.2, 0.333333, 0.5, 0.8, 1)
BLANKS = (None, "", " ", "\u200b", "\t\n")
TEXTS = ("low", "medium", "high", "other", "HIGH", "h\u0456gh", "é")
ODD_VALUES = (
    *BLANKS, True, False, "0.9", "1", [], [None, " "], [1], ["low"], 1e300, 2.0, 2.5, -0.0, 9007199254740991, "NaN",
)  # fmt: skip


def examples(usual: int) -> settings:
    """Return settings for `usual` examples; `LUMYN_PROPERTY_EXAMPLES` or a larger Hypothesis profile raises them."""
    asked = int(os.environ.get("LUMYN_PROPERTY_EXAMPLES", "0"))
    thorough = settings.default.max_examples if settings.default is not None else 0
    return settings(max_examples=asked or (thorough if thorough > 100 else usual))


# Evidence: one key of every type, declared with and without ranges and defaults.

DECLARATIONS: Mapping[str, tuple[Document | None, ...]] = {
    "risk": (
        {"type": "number", "min": 0, "max": 1},
        {"type": "number", "min": 0, "max": 1, "default": 0.3},
        {"type": "number"},
        None,
    ),
    "days": ({"type": "integer", "min": 0}, {"type": "integer", "default": 2}, {"type": "integer", "max": 25}),
    "level": ({"type": "enum", "values": ["low", "medium", "high"]}, {"type": "string"}, None),
    "flag": ({"type": "boolean"}, {"type": "boolean", "default": False}, None),
    FX_RATE_KEY: (None, {"type": "number", "min": 0.1}),
}
UNTYPED = ("ticket", "order")


def operand_for(name: str, operator: str, draw: Callable[[st.SearchStrategy[T]], T]) -> Any:
    """Draw a constant that fits a subject and an operator."""
    one: st.SearchStrategy[Any]
    if operator == "present":
        return draw(st.booleans())
    if name.startswith("risk."):
        one = st.sampled_from(SCORES)
    elif name == "amount_currency":
        one = st.sampled_from(("USD", "EUR", "JPY"))
    elif name == "subject.type":
        one = st.sampled_from(("user", "agent"))
    elif name == "tenant.environment":
        one = st.sampled_from(("dev", "prod"))
    elif name in {"subject.roles", "action.tags"}:
        one = st.sampled_from(("a", "b", "c"))
    elif name == "evidence.level":
        one = st.sampled_from(("low", "medium", "high"))
    elif name == "evidence.flag":
        one = st.booleans()
    elif name == "evidence.risk":
        one = st.sampled_from([number for number in NUMBERS if 0 <= number <= 1])
    elif name == "evidence.days":
        one = st.sampled_from((0, 1, 2, 25))
    elif name == f"evidence.{FX_RATE_KEY}":
        one = st.sampled_from((0.1, 0.7, 1, 1.5))
    else:
        one = st.sampled_from(NUMBERS)
    if operator in {"in", "not_in", "contains_any"}:
        return draw(st.lists(one, min_size=1, max_size=3, unique=True))
    return draw(one)


def subjects(*, guarded: bool) -> list[tuple[str, str]]:
    """Return every (attribute, operator); `guarded` leaves out what can tell an absent fact from a present one."""
    ordering, equality = ("gt", "gte", "lt", "lte"), ("is", "ne", "in", "not_in")
    table: dict[str, tuple[str, ...]] = {
        "amount_usd": (*ordering, "present"),
        "amount_currency": (*equality, "present"),
        "evidence.risk": (*equality, *ordering, "present"),
        "evidence.days": (*equality, *ordering, "present"),
        "evidence.level": (*equality, "present"),
        "evidence.flag": ("is", "ne", "present"),
        "evidence.ticket": ("present",),
        f"evidence.{FX_RATE_KEY}": (*ordering, "present"),
        "risk.failure_similarity": ordering,
        "risk.uncertainty": ordering,
        "subject.type": equality,
        "tenant.environment": equality,
        "subject.roles": ("contains", "contains_any"),
        "action.tags": ("contains", "contains_any"),
    }
    every = [(name, operator) for name, operators in table.items() for operator in operators]
    return [(n, o) for n, o in every if not guarded or (o != "present" and not n.startswith("risk."))]


@st.composite
def groups(draw: Any, stage: str, *, guarded: bool) -> Document:
    """Draw one object of conditions."""
    allowed = subjects(guarded=guarded)
    if guarded:
        # Rules that fire the more, or trust the less, the more the request looks like a failure or lacks evidence.
        rising = ("lt", "lte") if stage == "TRUST_PATHS" else ("gt", "gte")
        allowed += [(n, o) for n in ("risk.failure_similarity", "risk.uncertainty") for o in rising]
    chosen = draw(st.lists(st.sampled_from(allowed), min_size=1, max_size=3, unique=True))
    return {f"{name}_{operator}": operand_for(name, operator, draw) for name, operator in chosen}


@st.composite
def rules(draw: Any, place: int, *, guarded: bool) -> Document:
    """Draw one rule of any stage, conditional or not, with any of the three blocks."""
    stage = draw(st.sampled_from((*GUARDS, *["TRUST_PATHS"] * 4)))
    rule: Document = {"id": f"R{place}", "stage": stage}
    action = draw(st.sampled_from((None, None, ACTIONS[0], *ACTIONS)))
    if action is not None:
        several = draw(st.booleans())
        rule["when"] = {"action_type_in": sorted({action, ACTIONS[0]})} if several else {"action_type": action}
    kinds = draw(
        st.sets(st.sampled_from(("if", "if_all", "if_any")), min_size=0 if stage == "REQUIREMENTS" else 1, max_size=2)
    )
    for kind in sorted(kinds):
        group = groups(stage, guarded=guarded)
        rule[kind] = draw(group if kind == "if" else st.lists(group, min_size=1, max_size=3))
    verdicts = ("TRUST",) if stage == "TRUST_PATHS" else ("ESCALATE", "QUERY", "ABSTAIN")
    rule["then"] = {
        "verdict": draw(st.sampled_from(verdicts)),
        "reason_codes": draw(st.lists(st.sampled_from(CODES), min_size=1, max_size=2, unique=True)),
    }
    if rule["then"]["verdict"] == "QUERY" and draw(st.booleans()):
        asked = draw(
            st.lists(st.sampled_from(("ticket", "order", "risk", "else")), min_size=1, max_size=3, unique=True)
        )
        rule["then"]["queries"] = [{"field": name, "question": f"{name}, says R{place}?"} for name in asked]
    if draw(st.integers(0, 4)) == 0:
        rule["then"]["obligations"] = [{"type": "log", "of": f"R{place}"}]
    return rule


@st.composite
def policy_documents(draw: Any, *, guarded: bool = False) -> Document:
    """
    Draw a policy document.

    Args:
        guarded: Only policies that cannot reward a missing fact: no `_present`, no defaults, risk signals compared
            in the safe direction, and the default verdict that any rule is at least as strict as.
    """
    evidence = {key: draw(st.sampled_from(declared)) for key, declared in DECLARATIONS.items()}
    evidence = {key: spec for key, spec in evidence.items() if spec is not None and not (guarded and "default" in spec)}
    if "days" not in evidence:
        evidence["days"] = {"type": "integer"}
    required = draw(
        st.dictionaries(
            st.sampled_from(ACTIONS),
            st.lists(st.sampled_from((*UNTYPED, "risk", FX_RATE_KEY)), min_size=1, max_size=3, unique=True),
            max_size=2,
        )
    )
    if "default" in evidence.get("risk", {}):
        required = {action: [key for key in keys if key != "risk"] or ["order"] for action, keys in required.items()}
    document: Document = {
        "schema_version": "policy.v0",
        "policy_id": "random",
        "policy_version": "1",
        "defaults": {
            "default_verdict": "ESCALATE" if guarded else draw(st.sampled_from(("ESCALATE", "QUERY", "ABSTAIN"))),
            "default_reason_code": "NOTHING_MATCHED",
        },
        "required_evidence": required,
        "evidence": evidence,
        "rules": [draw(rules(place, guarded=guarded)) for place in range(draw(st.integers(1, 7)))],
    }
    if required:
        check = {"verdict": draw(st.sampled_from(("QUERY", "ESCALATE"))), "reason_codes": ["CODE_A"]}
        document["rules"].append({"id": "R9", "stage": "REQUIREMENTS", "then": check})
    if draw(st.booleans()):
        document["fx_bounds"] = draw(st.sampled_from(({"EUR": [0.8, 1.6]}, {"EUR": [0.8, 1.6], "JPY": [0.004, 0.01]})))
    if draw(st.booleans()):
        document["memory"] = draw(memory_blocks())
    return document


@st.composite
def memory_blocks(draw: Any) -> Document:
    """Draw how experience is compared."""
    names = ("action_type", "target_system", "resource_type", "currency", "amount_band", "tags", "risk", "level")
    block: Document = {
        "weights": draw(st.dictionaries(st.sampled_from(names), st.integers(1, 4), max_size=4)),
        "top_k": draw(st.integers(1, 4)),
        "min_score": draw(st.sampled_from((0, 0.5, 0.8, 1))),
    }
    if draw(st.booleans()):
        block["features"] = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    if draw(st.booleans()):
        block["bands"] = {"amount_usd": [1, 25, 200], "risk": [0.3, 0.7]}
    return block


# Building policies


def build_policy(document: Document) -> Policy:
    """Return the policy a well-formed document means; its constants may be any decimals, unlike the loader's."""
    built = tuple(build_rule(document, place) for place in range(len(document["rules"])))
    declared = {FX_RATE_KEY: {"type": "number"}} | document.get("evidence", {})
    specs = {key: build_spec(key, spec) for key, spec in declared.items()}
    for rule in built:
        for condition in rule.conditions:
            key, members = condition.evidence_key, condition.operand
            one = members[0] if isinstance(members, tuple) else members
            if key is not None and key not in specs and condition.operator.name != "present":
                kind = {bool: EvidenceType.BOOLEAN, str: EvidenceType.STRING}.get(type(one), EvidenceType.NUMBER)
                specs[key] = EvidenceSpec(key=key, type=kind, declared=False)
    memory = document.get("memory", {})
    bounds = document.get("fx_bounds")
    return Policy(
        policy_id=document["policy_id"],
        policy_version=document["policy_version"],
        policy_hash="sha256:" + sha256(repr(document).encode()).hexdigest(),
        source="",
        document=document,
        mode=Mode.ENFORCE,
        default_verdict=Verdict(document["defaults"]["default_verdict"]),
        default_reason_code=document["defaults"]["default_reason_code"],
        reason_codes={},
        thresholds={},
        required_evidence={key: tuple(keys) for key, keys in document.get("required_evidence", {}).items()},
        evidence=specs,
        fx_bounds=None
        if bounds is None
        else {key: (decimal(low), decimal(high)) for key, (low, high) in bounds.items()},
        memory=MemorySpec(
            features=tuple(memory["features"]) if "features" in memory else None,
            weights=memory.get("weights", {}),
            bands={key: tuple(map(decimal, cuts)) for key, cuts in memory.get("bands", {}).items()},
            top_k=memory.get("top_k", 5),
            min_score=decimal(memory.get("min_score", 0)),
        ),
        rules=built,
        invariants=(),
        spans={},
    )


def build_spec(key: str, spec: Document) -> EvidenceSpec:
    """Return one declared evidence type."""
    exclusive = key == FX_RATE_KEY and "min" not in spec
    return EvidenceSpec(
        key=key,
        type=EvidenceType(spec["type"]),
        minimum=Decimal(0) if exclusive else optional(spec.get("min")),
        maximum=optional(spec.get("max")),
        exclusive_minimum=exclusive,
        values=tuple(spec.get("values", ())),
        default=scalar(spec["default"]) if "default" in spec else None,
    )


def build_rule(document: Document, place: int) -> Rule:
    """Return one rule of a document."""
    rule = document["rules"][place]
    when, then = rule.get("when", {}), rule["then"]
    actions = when.get("action_type_in", [when["action_type"]] if "action_type" in when else None)
    blocks = []
    for kind in BlockKind:
        if kind.value in rule:
            listed = [rule["if"]] if kind is BlockKind.IF else rule[kind.value]
            built = tuple(tuple(build_condition(*entry) for entry in group.items()) for group in listed)
            blocks.append(Block(kind=kind, groups=built, span=SPAN))
    return Rule(
        rule_id=rule["id"],
        stage=Stage(rule["stage"]),
        actions=None if actions is None else tuple(actions),
        blocks=tuple(blocks),
        verdict=Verdict(then["verdict"]),
        reason_codes=tuple(then["reason_codes"]),
        queries=tuple(Query(**query) for query in then.get("queries", ())),
        obligations=tuple(then.get("obligations", ())),
        index=place,
        span=SPAN,
    )


def build_condition(text: str, constant: Any) -> Condition:
    """Return one condition."""
    split = split_condition(text)
    assert split is not None
    fact, operator = split
    subject = find_subject(fact)
    assert subject is not None
    assert operator in subject.operators
    operand = tuple(map(scalar, constant)) if isinstance(constant, list) else scalar(constant)
    return Condition(
        text=text,
        fact=fact,
        subject=subject,
        operator=OPERATORS[operator],
        operand=operand,
        threshold=None,
        span=SPAN,
    )


def scalar(value: Any) -> Any:
    return value if isinstance(value, (bool, str)) else to_decimal(value)


def decimal(value: float | Decimal) -> Decimal:
    return to_decimal(value)


def optional(value: float | None) -> Decimal | None:
    return None if value is None else to_decimal(value)


def policies(*, guarded: bool = False) -> st.SearchStrategy[Policy]:
    """Random policies; see `policy_documents`."""
    return policy_documents(guarded=guarded).map(build_policy)


# Requests

GOOD: Mapping[str, st.SearchStrategy[Any]] = {
    "risk": st.sampled_from((0, 0.1, 0.3, 0.30000000000000004, 0.35, 0.7, 1, 1.0, 1e-7)),
    "days": st.sampled_from((0, 1, 2, 2.0, 25)),
    "level": st.sampled_from(("low", "medium", "high")),
    "flag": st.booleans(),
    FX_RATE_KEY: st.sampled_from((0.9, 1.1, 0.005, 1.5)),
    "ticket": st.sampled_from(("T-1", 7, ["a"])),
    "order": st.sampled_from(("O-1", "é")),
}


@st.composite
def request_documents(draw: Any, *, good: bool = False) -> Document:
    """
    Draw a request document, as plain data.

    Args:
        good: Only evidence that is usable under every declaration.
    """
    odd = st.sampled_from((*ODD_VALUES, *TEXTS, *NUMBERS))
    # Whole requests differ in how clean they are: were every key odd now and then, nearly all would be blocked.
    kinds = draw(
        st.sampled_from(("good", "good absent", "good absent") if good else ("good", "good absent", "good odd"))
    )
    evidence: Document = {}
    for key, values in GOOD.items():
        kind = draw(st.sampled_from(("good", "good", *kinds.split())))
        if kind != "absent":
            evidence[key] = draw(values if kind == "good" else odd)
    action: Document = {"type": draw(st.sampled_from((*ACTIONS[:1] * 4, *ACTIONS, "unheard.of"))), "intent": "test"}
    if draw(st.integers(0, 5)):
        action["amount"] = {
            "value": draw(st.sampled_from((0, 0.3, 12.5, 25, 25.005, 25.01, 200, "0.30", "200.00", "1e-7"))),
            "currency": draw(st.sampled_from(("USD", "USD", "EUR", "JPY", "GBP", "KWD"))),
        }
    names = st.lists(st.sampled_from(("a", "b", "c", "d")), max_size=3)
    for name, values in (("tags", names), ("target", st.just({"system": "crm", "resource_type": "order"}))):
        if draw(st.booleans()):
            action[name] = draw(values)
    subject: Document = {"type": draw(st.sampled_from(("user", "agent", "job"))), "id": "u"}
    if draw(st.booleans()):
        subject["roles"] = draw(names)
    tenant = {"tenant_id": "t", "environment": draw(st.sampled_from(("dev", "prod", "staging")))}
    if draw(st.booleans()):
        del tenant["environment"]
    return {"action": action, "subject": subject, "tenant": tenant, "evidence": evidence}


def build_request(document: Document) -> DecisionRequest:
    """Return the request a document means."""
    action, subject, tenant = document["action"], document["subject"], document["tenant"]
    amount, target = action.get("amount", {}), action.get("target", {})
    value = amount.get("value")
    return DecisionRequest(
        document=document,
        request_id=None,
        tenant_id=tenant["tenant_id"],
        environment=tenant.get("environment"),
        subject_type=subject["type"],
        roles=tuple(subject["roles"]) if "roles" in subject else None,
        action_type=action["type"],
        target_system=target.get("system"),
        resource_type=target.get("resource_type"),
        amount_value=None if value is None else Decimal(value) if isinstance(value, str) else to_decimal(value),
        amount_currency=amount.get("currency"),
        tags=tuple(action["tags"]) if "tags" in action else None,
        evidence=document["evidence"],
    )


def requests(*, good: bool = False) -> st.SearchStrategy[DecisionRequest]:
    """Random requests; see `request_documents`."""
    return request_documents(good=good).map(build_request)


def similarities() -> st.SearchStrategy[Decimal]:
    """Failure scores, mostly on the cut points of the policies."""
    return st.one_of(
        st.sampled_from(SCORES).map(to_decimal),
        st.integers(0, 1_000_000).map(lambda millionths: Decimal(millionths).scaleb(-6)),
    )


# Memory


@st.composite
def journals(draw: Any, *, size: int = 12) -> list[MemoryItem]:
    """Draw the items of one tenant and action, in journal order: corrections and retractions included."""
    items: list[MemoryItem] = []
    for place in range(draw(st.integers(0, size))):
        # Ids are not in journal order: two processes may draw them out of step.
        memory_id = f"{draw(st.integers(0, 9))}{place:03d}"
        kind = draw(st.integers(0, 9))
        retracts = draw(st.sampled_from([item.memory_id for item in items])) if kind == 0 and items else None
        source = f"D{draw(st.integers(0, 2))}" if 1 <= kind <= 3 else None
        items.append(
            MemoryItem(
                memory_id=memory_id,
                seq=2 * place + 1,
                label=draw(st.sampled_from(Label)),
                tenant_id="t",
                action_type=ACTIONS[0],
                features=draw(feature_documents()),
                summary=f"item {place}",
                created_at="2026-01-15T12:00:00.000Z",
                leaf=sha256(memory_id.encode()).digest(),
                source_decision_id=source,
                retracts=retracts,
            )
        )
    return items


@st.composite
def feature_documents(draw: Any) -> Document:
    """Draw the stored features of an experience, now and then of another type than the policy gives the key."""
    found: Document = {"action_type": ACTIONS[0]}
    optional_features: Mapping[str, st.SearchStrategy[Any]] = {
        "target_system": st.sampled_from(("crm", "erp")),
        "resource_type": st.sampled_from(("order", "case")),
        "currency": st.sampled_from(("USD", "EUR")),
        "amount_usd": st.sampled_from(("0.3", "25", "25.01", "200", "1000")),
        "tags": st.lists(st.sampled_from(("a", "b", "c")), min_size=1, max_size=3, unique=True).map(sorted),
    }
    for name, values in optional_features.items():
        if draw(st.booleans()):
            found[name] = draw(values)
    evidence = {
        key: draw(st.one_of(GOOD[key], st.sampled_from(("low", 3, True))) if draw(st.booleans()) else GOOD[key])
        for key in ("risk", "days", "level", "flag")
        if draw(st.booleans())
    }
    return {**found, "evidence": evidence} if evidence else found
