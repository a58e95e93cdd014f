"""Checking requests and records: codes and pointers of what is wrong, and agreement of checker and jsonschema."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumyn import _resources
from lumyn.documents import schema as module
from lumyn.documents.schema import check, problems
from lumyn.documents.schema_codes import BY_KEYWORD, BY_PLACE
from lumyn.documents.schema_compiler import resolve
from lumyn.model import JsonValue

REQUEST = "decision_request.v0.schema.json"
RECORD = "decision_record.v0.schema.json"
DIGEST = "sha256:" + "1" * 64
DELETE = object()

SMALL: dict[str, Any] = {
    "schema_version": "decision_request.v0",
    "request_id": "req-0001",
    "subject": {"type": "agent", "id": "agent-1", "tenant_id": "acme"},
    "action": {
        "type": "support.refund",
        "intent": "Refund duplicate charge",
        "amount": {"value": 12, "currency": "USD"},
        "tags": ["duplicate_charge"],
    },
    "evidence": {"ticket_id": "ZD-1001", "customer_age_days": 180, "chargeback_risk": 0.05, "flags": ["a", None]},
    "context": {"mode": "digest_only", "digest": DIGEST},
}
FULL: dict[str, Any] = {
    **SMALL,
    "trace": {"correlation_id": "c-1", "span_id": "s-1"},
    "tenant": {"tenant_id": "acme", "environment": "prod"},
    "subject": {
        "type": "service",
        "id": "billing worker",
        "tenant_id": "acme",
        "ip": "2001:db8::1",
        "user_agent": "x" * 300,
        "roles": ["support", "lead"],
    },
    "action": {
        **SMALL["action"],
        "target": {"system": "stripe", "resource_type": "charge", "resource_id": "ch_1"},
        "amount": {"value": "25.10", "currency": "EUR"},
    },
    "context": {
        "mode": "reference",
        "digest": DIGEST,
        "ref": {"kind": "ticket", "id": "ZD-1", "uri": "https://example.com/ZD-1"},
        "redaction": {"profile": "strict", "fields_removed": ["/context/inline"]},
    },
    "policy": {"policy_id": "acme-support", "policy_version": "1.2.0", "mode": "enforce"},
    "hints": {"mode": "enforce", "dry_run": True},
    "extensions": {"acme.note": {"any": ["thing"]}},
}
INLINE: dict[str, Any] = {**SMALL, "context": {"mode": "inline", "inline": {"messages": [{"text": "hi"}]}}}
RULE = {"rule_id": "R1", "stage": "ESCALATIONS", "effect": "ESCALATE", "reason_codes": ["REFUND_LARGE"]}
RECORD_VALUE: dict[str, Any] = {
    "schema_version": "decision_record.v0",
    "decision_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "created_at": "2026-01-15T12:00:00.000Z",
    "trace": {"correlation_id": "c-1"},
    "request": SMALL,
    "policy": {"policy_id": "p", "policy_version": "1", "policy_hash": DIGEST, "mode": "enforce"},
    "verdict": "QUERY",
    "reason_codes": ["EVIDENCE_MISSING", "REFUND_LARGE"],
    "matched_rules": [RULE],
    "queries": [{"field": "ticket_id", "question": "Which ticket?"}],
    "obligations": [{"notify": "ops", "source": {"rule_id": "R1", "stage": "ESCALATIONS"}}],
    "risk_signals": {
        "uncertainty_score": 0.5,
        "failure_similarity": {
            "score": 1,
            "top_k": [{"memory_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "label": "failure", "score": 1, "summary": ""}],
        },
    },
    "explanation": {"summary": "why"},
    "determinism": {
        "engine_version": "0.1.0",
        "evaluation_order": ["REQUIREMENTS", "HARD_BLOCKS", "ESCALATIONS", "TRUST_PATHS", "DEFAULT"],
        "inputs_digest": DIGEST,
        "memory_snapshot": "mem0:0:" + "0" * 64,
    },
    "extensions": {"lumyn": {"persisted": True}},
}


def patched(base: dict[str, Any], pointer: str, value: object) -> dict[str, Any]:
    """Return a copy of `base` with the value at `pointer` set or, for `DELETE`, removed."""
    changed = copy.deepcopy(base)
    *above, last = pointer.split("/")[1:]
    holder: Any = changed
    for token in above:
        holder = holder[int(token)] if isinstance(holder, list) else holder[token]
    if value is DELETE:
        del holder[last]
    else:
        holder[int(last) if isinstance(holder, list) else last] = value
    return changed


def found(schema: str, value: JsonValue) -> list[tuple[str, str]]:
    """Return code and pointer of every problem."""
    return [(problem.code, problem.pointer) for problem in problems(schema, value)]


@pytest.mark.parametrize("request_value", [SMALL, FULL, INLINE], ids=["small", "full", "inline"])
def test_valid_request(request_value: dict[str, Any]) -> None:
    """Requests of every shape SPEC 2.1 describes are valid."""
    assert check(REQUEST, request_value)
    assert [] == problems(REQUEST, request_value)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/evidence", DELETE),
        ("/request_id", DELETE),
        ("/action/amount", DELETE),
        ("/action/amount/value", 0),
        ("/action/amount/value", 5e-324),
        ("/action/amount/value", "0.000000000000000001"),
        ("/action/amount/value", "999999999999999999.5"),
        ("/action/intent", "x\x9b31my\n\u202e"),
        ("/action/intent", "x" * 16384),
        ("/action/tags", []),
        ("/action/tags", ["a_b.c:d-9"] * 64),
        ("/subject/id", "agent 1/é😀#"),
        ("/subject/id", "x" * 256),
        ("/subject/tenant_id", "__global__"),
        ("/request_id", "a b~!"),
        ("/request_id", "x" * 128),
        ("/evidence/x", None),
        ("/evidence/x", []),
        ("/evidence/x", [True, 1.5, "s", None]),
        ("/evidence/paymentInstrumentRisk", "high"),
        ("/evidence/lumynx", 1),
        ("/evidence/failure_similarity_scores", 1),
        ("/evidence/" + "x" * 128, 1),
        ("/evidence", {f"k{number}": number for number in range(256)}),
        ("/action/type", "a.b"),
        ("/context/redaction", {"profile": "off"}),
        ("/hints", {"dry_run": False}),
    ],
)
def test_request_that_must_be_accepted(pointer: str, value: object) -> None:
    """The schema refuses nothing that SPEC 2.1 allows."""
    assert [] == found(REQUEST, patched(SMALL, pointer, value))


@pytest.mark.parametrize(
    ("pointer", "value", "code", "at"),
    [
        ("/schema_version", "decision_request.v9", "SCHEMA_VERSION_UNSUPPORTED", None),
        ("/schema_version", 1, "SCHEMA_VERSION_UNSUPPORTED", None),
        ("/schema_version", "decision_request.v0\n", "SCHEMA_VERSION_UNSUPPORTED", None),
        ("/schema_version", DELETE, "FIELD_MISSING", None),
        ("/subject", DELETE, "FIELD_MISSING", None),
        ("/action", DELETE, "FIELD_MISSING", None),
        ("/context", DELETE, "FIELD_MISSING", None),
        ("/action/amount/value", "12.00 ", "TYPE_INVALID", None),
        ("/action/amount/value", "12.00\n", "TYPE_INVALID", None),
        ("/action/amount/value", "-5", "TYPE_INVALID", None),
        ("/action/amount/value", "1e3", "TYPE_INVALID", None),
        ("/action/amount/value", "012", "TYPE_INVALID", None),
        ("/action/amount/value", "1234567890123456789", "TYPE_INVALID", None),
        ("/action/amount/value", "1.", "TYPE_INVALID", None),
        ("/action/amount/value", "\u0661", "TYPE_INVALID", None),
        ("/action/amount/value", "", "TYPE_INVALID", None),
        ("/action/amount/value", True, "TYPE_INVALID", None),
        ("/action/amount/value", None, "TYPE_INVALID", None),
        ("/action/amount/value", [12], "TYPE_INVALID", None),
        ("/action/amount/value", -500, "NUMBER_OUT_OF_RANGE", None),
        ("/action/amount/value", -0.01, "NUMBER_OUT_OF_RANGE", None),
        ("/action/amount/value", DELETE, "FIELD_MISSING", None),
        ("/action/amount/currency", DELETE, "FIELD_MISSING", None),
        ("/action/amount/currency", "usd", "CURRENCY_INVALID", None),
        ("/action/amount/currency", "US$", "CURRENCY_INVALID", None),
        ("/action/amount/currency", "USD\n", "CURRENCY_INVALID", None),
        ("/action/amount/currency", "ＵＳＤ", "CURRENCY_INVALID", None),
        ("/action/amount/currency", "", "CURRENCY_INVALID", None),
        ("/action/amount/rate", 1, "FIELD_UNKNOWN", None),
        ("/action/type", "support.refund\n", "FIELD_PATTERN", None),
        ("/action/type", "Support.Refund", "FIELD_PATTERN", None),
        ("/action/type", "refund", "FIELD_PATTERN", None),
        ("/action/type", "a.", "FIELD_PATTERN", None),
        ("/action/type", "a." + "b" * 200, "FIELD_PATTERN", None),
        ("/action/intent", "", "SIZE_INVALID", None),
        ("/action/intent", "x" * 16385, "SIZE_INVALID", None),
        ("/action/tags", ["Duplicate_Charge"], "FIELD_PATTERN", "/action/tags/0"),
        ("/action/tags", ["a", "b\n"], "FIELD_PATTERN", "/action/tags/1"),
        ("/action/tags", ["a" * 129], "FIELD_PATTERN", "/action/tags/0"),
        ("/action/tags", ["a"] * 65, "SIZE_INVALID", None),
        ("/action/tags", "a", "TYPE_INVALID", None),
        ("/evidence", None, "TYPE_INVALID", None),
        ("/evidence", [], "TYPE_INVALID", None),
        ("/evidence/x", {}, "TYPE_INVALID", None),
        ("/evidence/x", [[1]], "TYPE_INVALID", "/evidence/x/0"),
        ("/evidence/x", "x" * 16385, "SIZE_INVALID", None),
        ("/evidence/x", ["x" * 16385], "SIZE_INVALID", "/evidence/x/0"),
        ("/evidence", {f"k{number}": number for number in range(257)}, "SIZE_INVALID", None),
        ("/evidence/failure_similarity_score", 0.99, "EVIDENCE_RESERVED", None),
        ("/evidence/lumyn_", 1, "EVIDENCE_RESERVED", None),
        ("/evidence/lumyn_evidence_unknown", 1, "EVIDENCE_RESERVED", None),
        ("/evidence/risk\n", 1, "FIELD_PATTERN", None),
        ("/evidence/9x", 1, "FIELD_PATTERN", None),
        ("/evidence/_x", 1, "FIELD_PATTERN", None),
        ("/evidence/", 1, "FIELD_PATTERN", None),
        ("/evidence/риск", 1, "FIELD_PATTERN", None),
        ("/evidence/" + "x" * 129, 1, "FIELD_PATTERN", None),
        ("/subject/id", "a\0b", "CONTROL_CHARACTER", None),
        ("/subject/id", "evil\x1b[2J\x1b]0;x\x07", "CONTROL_CHARACTER", None),
        ("/subject/id", "a\n", "CONTROL_CHARACTER", None),
        ("/subject/id", "\u202eabc", "CONTROL_CHARACTER", None),
        ("/subject/id", "a\x9bb", "CONTROL_CHARACTER", None),
        ("/subject/id", "", "FIELD_PATTERN", None),
        ("/subject/id", "x" * 257, "FIELD_PATTERN", None),
        ("/subject/id", 7, "TYPE_INVALID", None),
        ("/subject/tenant_id", "acme ", "FIELD_PATTERN", None),
        ("/subject/tenant_id", "\u00a0acme", "FIELD_PATTERN", None),
        ("/subject/tenant_id", "acme\u200b", "FIELD_PATTERN", None),
        ("/subject/type", "robot", "VALUE_INVALID", None),
        ("/subject/type", ["agent"], "VALUE_INVALID", None),
        ("/subject/typ", "agent", "FIELD_UNKNOWN", None),
        ("/subject/roles", ["a", 1], "TYPE_INVALID", "/subject/roles/1"),
        ("/tenant", {}, "FIELD_MISSING", "/tenant/tenant_id"),
        ("/tenant", {"tenant_id": "a", "environment": "production"}, "VALUE_INVALID", "/tenant/environment"),
        ("/trace", {"correlation_id": "a\tb"}, "CONTROL_CHARACTER", "/trace/correlation_id"),
        ("/request_id", "x" * 10_000, "FIELD_PATTERN", None),
        ("/request_id", "", "FIELD_PATTERN", None),
        ("/request_id", "req ", "FIELD_PATTERN", None),
        ("/request_id", "req\n", "FIELD_PATTERN", None),
        ("/request_id", "réq", "FIELD_PATTERN", None),
        ("/request_id", None, "TYPE_INVALID", None),
        ("/context/digest", DIGEST + "\n", "FIELD_PATTERN", None),
        ("/context/digest", DIGEST.upper(), "FIELD_PATTERN", None),
        ("/context/digest", DELETE, "FIELD_MISSING", None),
        ("/context/mode", DELETE, "FIELD_MISSING", None),
        ("/context/mode", "inline", "FIELD_MISSING", "/context/inline"),
        ("/context/mode", "reference", "FIELD_MISSING", "/context/ref"),
        ("/context/mode", "none", "VALUE_INVALID", None),
        ("/context/inline", [], "TYPE_INVALID", None),
        ("/context/ref", {"kind": "k"}, "FIELD_MISSING", "/context/ref/id"),
        ("/context/ref", {"kind": "k", "id": "i", "uri": "a\nb"}, "CONTROL_CHARACTER", "/context/ref/uri"),
        ("/context/redaction", {}, "FIELD_MISSING", "/context/redaction/profile"),
        ("/policy", {"mode": "off"}, "VALUE_INVALID", "/policy/mode"),
        ("/policy", {"id": "x"}, "FIELD_UNKNOWN", "/policy/id"),
        ("/hints", {"dry_run": 1}, "TYPE_INVALID", "/hints/dry_run"),
        ("/extensions", None, "TYPE_INVALID", None),
        ("/a~1b", 1, "FIELD_UNKNOWN", "/a~01b"),
    ],
)
def test_invalid_request(pointer: str, value: object, code: str, at: str | None) -> None:
    """One wrong field gives one problem, with its code, at its pointer."""
    changed = patched(SMALL, pointer, value)
    assert not check(REQUEST, changed)
    assert [(code, at if at is not None else pointer)] == found(REQUEST, changed)


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_request_that_is_no_object(value: JsonValue) -> None:
    """Anything but an object is the wrong type."""
    assert [("TYPE_INVALID", "")] == found(REQUEST, value)


def test_all_problems_are_reported_at_once() -> None:
    """Several wrong fields give several problems, the same one only once."""
    value = patched(patched(SMALL, "/action/amount", {}), "/evidenc", {})
    assert {
        ("FIELD_MISSING", "/action/amount/value"),
        ("FIELD_MISSING", "/action/amount/currency"),
        ("FIELD_UNKNOWN", "/evidenc"),
    } == set(found(REQUEST, value))
    assert 3 == len(found(REQUEST, value))


def test_number_of_problems_is_bounded() -> None:
    """A request of nothing but errors gives a readable report."""
    assert 50 == len(problems(REQUEST, {**SMALL, **{f"x{number}": 1 for number in range(5_000)}}))


def test_unknown_field_gets_a_suggestion() -> None:
    """A likely typo is named, an unlikely one is not."""
    (typo,) = problems(REQUEST, patched(SMALL, "/subject/tenantid", "x"))
    assert "did you mean `tenant_id`?" == typo.hint
    (other,) = problems(REQUEST, patched(SMALL, "/subject/zzz", "x"))
    assert other.hint is None


@given(st.sampled_from([SMALL, FULL, INLINE]), st.randoms(use_true_random=False))
def test_messages_repeat_no_value(base: dict[str, Any], rng: random.Random) -> None:
    """A value of the request never shows in a problem, whatever is wrong with it."""
    value = copy.deepcopy(base)
    for _ in range(3):
        holder, key = rng.choice(places(value))
        holder[key] = rng.choice(["s3cret-5355", ["s3cret-5355"], {"k": "s3cret-5355"}])
    for problem in problems(REQUEST, value):
        assert "s3cret-5355" not in str(problem)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every container of a document with each of its keys or indices."""
    result: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        holder = stack.pop()
        for key in holder if isinstance(holder, dict) else range(len(holder)):
            result.append((holder, key))
            if isinstance(holder[key], (dict, list)) and holder[key]:
                stack.append(holder[key])
    return result


ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.0,
    2.5,
    -0.0,
    2**53 - 1,
    "",
    " ",
    "a",
    "a.b",
    "USD",
    "12.5",
    "x\n",
    "\u202e",
    "inline",
    "reference",
    "decision_request.v0\n",
    DIGEST,
    DIGEST + "\n",
    [],
    {},
    ["a"],
    [None],
    [[]],
    {"a": 1},
    {"mode": "inline"},
]
KEYS = ["x", "lumyn_x", "failure_similarity_score", "mode", "inline", "ref", "digest", "a\n", "", "type", "value"]


def mutated(base: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return a copy of `base` with a few members replaced, removed, added or given a final line feed."""
    value = copy.deepcopy(base)
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(places(value))
        match rng.randrange(5):
            case 0:
                holder[key] = copy.deepcopy(rng.choice(ODD))
            case 1 if isinstance(holder, dict):
                del holder[key]
            case 2 if isinstance(holder, dict):
                holder[rng.choice(KEYS)] = copy.deepcopy(rng.choice(ODD))
            case 3 if isinstance(holder[key], str):
                holder[key] += rng.choice(["\n", "\r", " ", "\u2028", "x"])
            case _ if isinstance(holder, dict):
                holder[str(key) + rng.choice(["\n", "_"])] = holder.pop(key)
        if not value:
            break
    return value


@settings(max_examples=500)
@given(
    st.sampled_from([(REQUEST, SMALL), (REQUEST, FULL), (REQUEST, INLINE), (RECORD, RECORD_VALUE)]),
    st.randoms(use_true_random=False),
)
def test_checker_and_jsonschema_agree(case: tuple[str, dict[str, Any]], rng: random.Random) -> None:
    """The generated checker and jsonschema give the same answer, final line feeds included."""
    schema, base = case
    value = mutated(base, rng)
    assert module._validator(schema).is_valid(value) == check(schema, value)
    assert check(schema, value) == (problems(schema, value) == [])


def test_valid_record() -> None:
    """A record with every optional part is valid, as is one of a request that redaction emptied."""
    assert [] == found(RECORD, RECORD_VALUE)
    kept = {
        "schema_version": "decision_request.v0",
        "subject": {"type": "agent"},
        "action": {"type": "support.refund"},
        "evidence": {},
        "context": {
            "mode": "inline",
            "digest": DIGEST,
            "redaction": {"profile": "default", "fields_removed": ["/context/inline"]},
        },
    }
    assert [] == found(RECORD, patched(RECORD_VALUE, "/request", kept))
    assert [] == found(RECORD, patched(RECORD_VALUE, "/determinism/memory_snapshot", "unavailable"))
    for optional in ("trace", "queries", "obligations", "explanation", "extensions"):
        assert [] == found(RECORD, patched(RECORD_VALUE, f"/{optional}", DELETE))


@pytest.mark.parametrize(
    ("pointer", "value", "code", "at"),
    [
        ("/schema_version", "decision_record.v1", "SCHEMA_VERSION_UNSUPPORTED", None),
        ("/verdict", "ALLOW", "VALUE_INVALID", None),
        ("/reason_codes", [], "SIZE_INVALID", None),
        ("/reason_codes", ["A_B", "A_B"], "VALUE_INVALID", None),
        ("/reason_codes/0", "lower", "FIELD_PATTERN", None),
        ("/reason_codes/0", "CODE\n", "FIELD_PATTERN", None),
        ("/decision_id", "01ARZ3NDEKTSV4RRFFQ69G5FAI", "FIELD_PATTERN", None),
        ("/decision_id", "01ARZ3NDEKTSV4RRFFQ69G5FAV\n", "FIELD_PATTERN", None),
        ("/created_at", "2026-01-15T12:00:00Z", "FIELD_PATTERN", None),
        ("/created_at", "2026-01-15T12:00:00.000+00:00", "FIELD_PATTERN", None),
        ("/created_at", "2026-13-15T12:00:00.000Z", "FIELD_PATTERN", None),
        ("/matched_rules/0/stage", "HARD_BLOCK", "VALUE_INVALID", None),
        ("/matched_rules/0/why", "x", "FIELD_UNKNOWN", None),
        ("/obligations/0/source", DELETE, "FIELD_MISSING", None),
        ("/risk_signals/uncertainty_score", 1.1, "NUMBER_OUT_OF_RANGE", None),
        ("/risk_signals/failure_similarity/top_k/0/label", "bad", "VALUE_INVALID", None),
        ("/determinism/evaluation_order", ["DEFAULT"], "VALUE_INVALID", None),
        ("/determinism/memory_snapshot", "mem0:01:" + "0" * 64, "FIELD_PATTERN", None),
        ("/determinism/inputs_digest", DELETE, "FIELD_MISSING", None),
        ("/policy/policy_hash", "abc", "FIELD_PATTERN", None),
        ("/request/evidence/lumyn_x", 1, "EVIDENCE_RESERVED", None),
        ("/request/extra", 1, "FIELD_UNKNOWN", None),
        ("/queries", [], "SIZE_INVALID", None),
        ("/extra", 1, "FIELD_UNKNOWN", None),
    ],
)
def test_invalid_record(pointer: str, value: object, code: str, at: str | None) -> None:
    """A record is closed: one wrong field gives one problem."""
    assert [(code, at or pointer)] == found(RECORD, patched(RECORD_VALUE, pointer, value))


@pytest.mark.parametrize("place", sorted(BY_PLACE))
def test_every_code_belongs_to_a_constraint(place: str) -> None:
    """The table of codes names constraints that exist, so that none can be renamed away unseen."""
    file, _, pointer = place.partition("#")
    _, _, constraint = resolve(f"#{pointer}", file, _resources.schema)
    assert constraint is not None
    assert place.rpartition("/")[2] in BY_KEYWORD


def test_explanation_never_contradicts_the_checker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the explainer find nothing, the value is refused all the same."""

    class Content:
        def iter_errors(self, value: object) -> list[object]:
            return []

    monkeypatch.setattr(module, "_validator", lambda schema_file: Content())
    assert [("VALUE_INVALID", "")] == found(REQUEST, {})


def test_saying_yes_loads_no_schema_library() -> None:
    """A valid request costs no import of jsonschema; neither do the parsers cost one of ruamel."""
    code = (
        "import sys, json\n"
        "from lumyn.documents import parse_json\n"
        "from lumyn.documents.schema import check\n"
        f"assert check({REQUEST!r}, parse_json(sys.stdin.read()))\n"
        "print([name for name in ('jsonschema', 'referencing', 'ruamel.yaml') if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(SMALL), capture_output=True, text=True, check=True
    )
    assert "[]" == result.stdout.strip()
