"""The published schema of policies says nothing that the loader does not hold, and follows the operator table."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lumyn import documents
from lumyn.errors import InvalidPolicyError
from lumyn.model import Mode, Stage, Verdict
from lumyn.policy.loader import parse_policy
from lumyn.policy.operators import (
    EVIDENCE_PREFIX,
    OPERATORS,
    SUBJECTS,
    OperandKind,
    Operator,
    Subject,
    ValueKind,
)
from lumyn.policy.spec import EvidenceType

ROOT = Path(__file__).resolve().parents[2]
SCHEMA_FILE = ROOT / "schemas" / "policy.v0.schema.json"
KEY_PATTERN = "[A-Za-z][A-Za-z0-9_]*"
THRESHOLD = {"$ref": "#/$defs/threshold"}


def text_schema(subject: Subject) -> dict[str, Any]:
    """Return the schema of one text that the subject may be compared with."""
    if subject.values is not None:
        return {"enum": list(subject.values)}
    if subject.pattern is not None:
        return {"type": "string", "pattern": f"^{subject.pattern}$(?!\\n)"}
    return {"type": "string", "minLength": 1}


def number_schema(subject: Subject) -> dict[str, Any]:
    """Return the schema of one number that the subject may be compared with."""
    bounds = {"minimum": subject.minimum, "maximum": subject.maximum}
    return {"type": "number"} | {name: bound for name, bound in bounds.items() if bound is not None}


def list_schema(items: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list of constants."""
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": items}


def constant_schema(subject: Subject, operator: Operator) -> dict[str, Any]:
    """Return what the operator table implies for the constant of one condition."""
    description = f"Compares with `{operator.symbol}`: {subject.meaning}."
    text_only = subject.kind is not ValueKind.EVIDENCE
    choices: list[dict[str, Any]]
    match operator.operand:
        case OperandKind.BOOLEAN:
            choices = [{"type": "boolean"}, THRESHOLD]
        case OperandKind.NUMBER:
            choices = [number_schema(subject), THRESHOLD]
        case OperandKind.TEXT:
            choices = [text_schema(subject), THRESHOLD]
        case OperandKind.SCALAR:
            others = [] if text_only else [{"type": "number"}, {"type": "boolean"}]
            choices = [text_schema(subject), *others, THRESHOLD]
        case OperandKind.TEXT_LIST:
            choices = [list_schema(text_schema(subject))]
        case OperandKind.LIST:
            others = [] if text_only else [list_schema({"type": "number"})]
            choices = [list_schema(text_schema(subject)), *others]
    return {"description": description, "anyOf": choices}


def implied_conditions() -> dict[str, Any]:
    """Return the schema of a group of conditions as the operator table implies it."""
    closed: dict[str, Any] = {}
    patterns: dict[str, Any] = {}
    for subject in SUBJECTS.values():
        for name in subject.operators:
            schema = constant_schema(subject, OPERATORS[name])
            if subject.kind is ValueKind.EVIDENCE:
                patterns[f"^{EVIDENCE_PREFIX.replace('.', chr(92) + '.')}{KEY_PATTERN}_{name}$(?!\\n)"] = schema
            else:
                closed[f"{subject.name}_{name}"] = schema
    return {
        "description": "Conditions that all hold: subject, underscore, operator. Evidence is written `evidence.<key>`.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": closed,
        "patternProperties": patterns,
    }


def test_conditions_are_those_of_the_operator_table() -> None:
    """Editors offer exactly the subjects and operators that the engine evaluates."""
    assert implied_conditions() == schema()["$defs"]["conditions"]


def test_every_closed_list_is_that_of_the_code() -> None:
    """Stages, verdicts, modes and evidence types are spelt as the model spells them."""
    rule = schema()["$defs"]["rule"]["properties"]
    defaults = schema()["properties"]["defaults"]["properties"]
    types = [branch["properties"]["type"]["const"] for branch in schema()["$defs"]["evidence"]["anyOf"]]
    assert [stage for stage in Stage if stage is not Stage.DEFAULT] == rule["stage"]["enum"]
    assert set(Verdict) == set(rule["then"]["properties"]["verdict"]["enum"])
    assert set(Verdict) - {Verdict.TRUST} == set(defaults["default_verdict"]["enum"])
    assert set(Mode) == set(defaults["mode"]["enum"])
    assert list(EvidenceType) == types


def schema() -> dict[str, Any]:
    """Return the published schema."""
    loaded: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return loaded


VALIDATOR = Draft202012Validator(schema())

FULL: dict[str, Any] = {
    "schema_version": "policy.v0",
    "policy_id": "acme",
    "policy_version": "1.2.0",
    "defaults": {"mode": "advisory", "default_verdict": "QUERY", "default_reason_code": "OWN_CODE"},
    "reason_codes": {"OWN_CODE": "Ours."},
    "thresholds": {"limit": 200, "word": "low", "flag": True},
    "required_evidence": {"support.refund": ["ticket_id"]},
    "evidence": {
        "ticket_id": {"type": "string"},
        "risk": {"type": "enum", "values": ["low", "high"], "default": "high"},
        "score": {"type": "number", "min": 0, "max": 1, "step": 0.01},
        "count": {"type": "integer", "min": 0, "default": 0},
        "approval": {"type": "boolean", "default": False},
    },
    "fx_bounds": {"EUR": [0.8, 1.6]},
    "memory": {
        "features": ["currency", "risk"],
        "weights": {"risk": 2},
        "bands": {"amount_usd": [10, 100]},
        "top_k": 3,
        "min_score": 0.5,
    },
    "invariants": [{"never": {"verdict": "TRUST"}}],
    "rules": [
        {
            "id": "R1",
            "stage": "REQUIREMENTS",
            "then": {
                "verdict": "QUERY",
                "reason_codes": ["EVIDENCE_MISSING"],
                "queries": [{"field": "ticket_id", "question": "Which ticket?"}],
            },
        },
        {
            "id": "R2",
            "stage": "HARD_BLOCKS",
            "when": {"action_type_in": ["support.refund", "support.issue_credit"]},
            "if": {"evidence.score_gte": 0.5, "evidence.approval_is": {"threshold": "flag"}},
            "if_any": [{"evidence.risk_in": ["low"]}, {"subject.type_is": "agent", "amount_currency_ne": "USD"}],
            "then": {"verdict": "ABSTAIN", "reason_codes": ["OWN_CODE"], "obligations": [{"type": "notify"}]},
        },
        {
            "id": "R3",
            "stage": "TRUST_PATHS",
            "when": {"action_type": "support.refund"},
            "if_all": [
                {"amount_usd_lte": {"threshold": "limit"}, "risk.failure_similarity_lt": 0.5},
                {"subject.roles_contains_any": ["lead"], "evidence.count_in": [1, 2]},
            ],
            "then": {"verdict": "TRUST", "reason_codes": ["REFUND_SMALL_LOW_RISK"]},
        },
    ],
}

SCALARS = st.sampled_from(
    [None, True, False, 0, 1, 2.0, 0.5, -1, 101, "", " ", "low", "USD", "R1", "TRUST", "DEFAULT", "LUMYN_X", "x\n"]
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(
        st.sampled_from(["threshold", "type", "limit", "USD", "evidence.risk_is", "x"]), SCALARS, max_size=2
    ),
)
NAMES = (
    "x-note if if_any evidence.score_gtt amount_usd evidence.risk_is risk_is lumyn_a USD usd default values source "
    "memory action_type action_type_in"
)
KEYS = st.sampled_from([*NAMES.split(), "evidence.risk_is\n"])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value below the root."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, child in children for place in [(*path, key), *places(child, (*path, key))]]


@st.composite
def edited(draw: st.DrawFn) -> dict[str, Any]:
    """Return the full policy with one to three values removed, replaced, added or renamed."""
    document = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(document)))
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        match draw(st.sampled_from(["remove", "replace", "add", "rename"])):
            case "remove":
                del parent[path[-1]]
            case "add" if isinstance(parent[path[-1]], dict):
                parent[path[-1]][draw(KEYS)] = draw(VALUES)
            case "rename" if isinstance(parent, dict):
                parent[draw(KEYS)] = parent.pop(path[-1])
            case _:
                parent[path[-1]] = draw(VALUES)
    return document


def loads(document: dict[str, Any]) -> bool:
    """Return whether the loader takes the document."""
    try:
        parse_policy(json.dumps(document), file="policy.json")
    except InvalidPolicyError:
        return False
    return True


def test_full_example_is_accepted_by_both() -> None:
    """The document that the property below edits is fine to begin with."""
    assert [] == [error.message for error in VALIDATOR.iter_errors(FULL)]
    assert loads(FULL)


@settings(max_examples=400)
@given(document=edited())
def test_what_the_schema_refuses_the_loader_refuses(document: dict[str, Any]) -> None:
    """An editor never marks as wrong what Lumyn would load."""
    assert not loads(document) or VALIDATOR.is_valid(document)


@pytest.mark.parametrize("path", sorted((ROOT / "policies").rglob("*.yml")), ids=lambda path: path.name)
def test_starter_policies_obey_the_schema(path: Path) -> None:
    """What we ship is not underlined in anybody's editor."""
    document = documents.load(path.read_bytes(), file=str(path)).value
    assert [] == [error.message for error in VALIDATOR.iter_errors(document)]
