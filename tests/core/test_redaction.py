"""
What redaction leaves behind: a canary in each free field of a request, looked for in files, records and errors.

Also: what must not depend on redaction does not, and what a record says of itself can be recomputed from it.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lumyn import (
    FixedClock,
    Gate,
    IdempotencyConflictError,
    InvalidConfigError,
    InvalidRequestError,
    Policy,
    RedactionPolicy,
    RedactionProfile,
    ReplayStatus,
    SeededIds,
    Verdict,
    _resources,
    load_policy,
)
from lumyn.cli.entry import run
from lumyn.core.requests import request_from_document
from lumyn.core.verify import verify
from lumyn.digest import digest, freeze
from lumyn.documents.pointers import pointer_tokens
from lumyn.documents.schema import problems
from lumyn.engine.normalize import derive_facts, derived_document
from lumyn.policy.loader import parse_policy

Refund = Callable[..., dict[str, Any]]

CANARY = "zq7canary5f"
"""Lower case and without blanks, so that it is a valid value of every field."""

KEEP, INLINE, STRICT = "keep", "inline", "strict"

# Every field of a request that can hold text of the caller's, and from which profile on it is not kept.
FIELDS: dict[str, str] = {
    "/request_id": KEEP,
    "/trace/correlation_id": KEEP,
    "/trace/span_id": KEEP,
    "/tenant/tenant_id": KEEP,
    "/subject/id": KEEP,
    "/subject/tenant_id": KEEP,
    "/subject/ip": STRICT,
    "/subject/user_agent": STRICT,
    "/subject/roles/0": KEEP,
    "/action/intent": KEEP,
    "/action/target/system": KEEP,
    "/action/target/resource_type": KEEP,
    "/action/target/resource_id": KEEP,
    "/action/tags/0": KEEP,
    "/evidence/ticket_id": KEEP,
    "/evidence/note": STRICT,
    "/evidence/notes/1": STRICT,
    "/context/ref/kind": KEEP,
    "/context/ref/id": KEEP,
    "/context/ref/uri": KEEP,
    "/context/inline/note": INLINE,
    "/context/inline/deep/list/0/note": INLINE,
    f"/context/inline/{CANARY}": INLINE,
    "/context/redaction/fields_removed/0": KEEP,
    "/extensions/acme/note": KEEP,
    f"/extensions/{CANARY}": KEEP,
}
# Fields with a fixed set of values, or values that have to match something else.
FIXED = {
    "/schema_version",
    "/tenant/environment",
    "/subject/type",
    "/action/type",
    "/action/amount/value",
    "/action/amount/currency",
    "/context/mode",
    "/context/digest",
    "/context/redaction/profile",
    "/policy/policy_id",
    "/policy/policy_version",
    "/policy/mode",
    "/hints/mode",
    "/hints/dry_run",
}

POINTERS = (
    "/subject/id",
    "/subject/ip",
    "/subject/user_agent",
    "/subject/roles",
    "/action/intent",
    "/action/target/resource_id",
    "/evidence/note",
    "/evidence/notes",
    "/context/ref/uri",
    "/context/ref",
    "/context/inline/note",
    "/context/inline/deep/list/0",
    "/trace/span_id",
    "/trace",
    "/extensions/acme/note",
    "/extensions",
)
SETTINGS = {
    "off": RedactionPolicy(profile=RedactionProfile.OFF),
    "default": RedactionPolicy(),
    "strict": RedactionPolicy(profile=RedactionProfile.STRICT),
    "off and pointers": RedactionPolicy(profile=RedactionProfile.OFF, remove=POINTERS),
    "default and pointers": RedactionPolicy(remove=POINTERS),
    "strict and pointers": RedactionPolicy(profile=RedactionProfile.STRICT, remove=POINTERS),
}


def put(request: dict[str, Any], pointer: str, value: object) -> dict[str, Any]:
    """Return the request with `value` at `pointer`; objects and lists on the way are made, and context fits it."""
    request = copy.deepcopy(request)
    tokens = pointer_tokens(pointer)
    last = tokens[-1]
    node: Any = request
    for parent, following in pairwise(tokens):
        empty: Any = [] if following.isdigit() else {}
        if isinstance(node, list):
            node += [copy.deepcopy(empty)] * (int(parent) + 1 - len(node))
            node = node[int(parent)]
        else:
            node = node.setdefault(parent, empty)
    if isinstance(node, list):
        node += ["x"] * (int(last) + 1 - len(node))
        node[int(last)] = value
    else:
        node[last] = value
    context = request["context"]
    if "inline" in context:
        context["mode"] = "inline"
        context.pop("digest", None)
    if "ref" in context:
        context["mode"] = "reference"
        context["ref"] = {"kind": "ticket", "id": "T-1", **context["ref"]}
    if "redaction" in context:
        context["redaction"].setdefault("profile", "strict")
    return request


def with_canary(refund: Refund, pointer: str) -> dict[str, Any]:
    """Return a valid request that holds the canary at `pointer`."""
    return put(refund(subject__tenant_id=None) if pointer == "/tenant/tenant_id" else refund(), pointer, CANARY)


def is_kept(pointer: str, redaction: RedactionPolicy) -> bool:
    """Say it a second time, plainly: whether the value at `pointer` may be stored."""
    if redaction.profile is not RedactionProfile.OFF and FIELDS[pointer] == INLINE:
        return False
    if redaction.profile is RedactionProfile.STRICT and FIELDS[pointer] == STRICT:
        return False
    return not any(pointer == each or pointer.startswith(f"{each}/") for each in redaction.remove)


def stored_bytes(folder: Path) -> bytes:
    """Return everything below a folder: the database, its log and whatever else is there."""
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.fixture(params=list(SETTINGS))
def redaction(request: pytest.FixtureRequest) -> RedactionPolicy:
    return SETTINGS[request.param]


def open_gate(policy: Policy, store: Path | str, redaction: RedactionPolicy) -> Gate:
    return Gate.open(
        policy=policy,
        store=store,
        create=True,
        clock=FixedClock("2026-01-15T12:00:00Z"),
        ids=SeededIds("redaction"),
        redaction=redaction,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Canaries in what is stored


def texts(schema: dict[str, Any], part: dict[str, Any], pointer: str = "") -> Iterator[str]:
    """Yield a pointer to each member of a request that is not an object or a list itself."""
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].removeprefix("#/$defs/")]
    if part.get("type") == "array":
        yield f"{pointer}/0"
    elif "properties" in part:
        for name, below in part["properties"].items():
            yield from texts(schema, below, f"{pointer}/{name}")
    elif part.get("type") != "object":
        yield pointer


def test_every_field_of_a_request_carries_a_canary_or_has_a_reason_not_to() -> None:
    """A field that is added to the contract fails here until somebody says what becomes of it."""
    schema = _resources.schema("decision_request.v0.schema.json")
    assert FIXED | set(FIELDS) >= set(texts(schema, schema))


@pytest.mark.parametrize("pointer", list(FIELDS))
def test_canary_is_stored_exactly_where_the_settings_allow_it(
    policy: Policy, refund: Refund, tmp_path: Path, redaction: RedactionPolicy, pointer: str
) -> None:
    """Looked for in the record, its exports, the files of the store, and what a label makes of the decision."""
    request = with_canary(refund, pointer)
    kept = is_kept(pointer, redaction)
    with open_gate(policy, tmp_path / "s" / "lumyn.db", redaction) as gate:
        record = gate.decide(request)
        gate.label(record.decision_id, "failure")
        again = gate.decide({**request, "request_id": "r-2"})
        assert kept == (CANARY in record.to_json())
        assert kept == (CANARY in json.dumps(record.to_dict()))
        assert kept == (CANARY in gate.record(record.decision_id).to_json())
        if not kept:
            assert CANARY not in repr(record) + repr(again) + repr(gate.events(record.decision_id))
    assert kept == (CANARY.encode() in stored_bytes(tmp_path / "s"))


@pytest.mark.parametrize("pointer", list(FIELDS))
def test_facts_hold_no_text_that_no_rule_compares(
    policy: Policy, refund: Refund, redaction: RedactionPolicy, pointer: str
) -> None:
    """Not even an identifier that the policy requires, under a profile that keeps it in the request."""
    with open_gate(policy, "sqlite:///:memory:", redaction) as gate:
        document = gate.decide(with_canary(refund, pointer)).to_dict()
    assert CANARY not in json.dumps(document["extensions"]["lumyn"])


def test_a_compared_text_is_in_the_facts_and_cannot_be_removed(policy: Policy, refund: Refund) -> None:
    """An operator who wants it gone is told that the policy reads it; no record then holds it in another place."""
    rule = {
        "id": "R_CITY",
        "stage": "ESCALATIONS",
        "if": {"evidence.city_is": CANARY},
        "then": {"verdict": "ESCALATE", "reason_codes": ["NO_MATCH_DEFAULT_ESCALATE"]},
    }
    document = json.dumps({**policy.document, "rules": [*policy.document["rules"], rule]})  # type: ignore[misc]
    reader = parse_policy(document, file="reader.json")
    for profile in RedactionProfile:
        with open_gate(reader, "sqlite:///:memory:", RedactionPolicy(profile=profile)) as gate:
            record = gate.decide(refund(evidence__city=CANARY)).to_dict()
        kept: Any = record["request"]
        facts: Any = record["extensions"]
        assert CANARY == kept["evidence"]["city"] == facts["lumyn"]["facts"]["evidence"]["city"]
    removing = RedactionPolicy(remove=("/evidence/city",))
    with pytest.raises(InvalidConfigError):
        open_gate(reader, "sqlite:///:memory:", removing)
    with open_gate(policy, "sqlite:///:memory:", removing) as gate:
        decided = gate.decide(refund(evidence__city=CANARY))
        replay = gate.replay(decided.decision_id, policy=reader)
    assert CANARY not in decided.to_json()
    assert (ReplayStatus.VERDICT_ONLY, ("/evidence/city",)) == (replay.status, replay.unknown)


def test_storage_failure_keeps_no_more_than_storage_does(policy: Policy, refund: Refund, tmp_path: Path) -> None:
    """A record that could not be stored may be logged by the caller; it is redacted like any other."""
    redaction = SETTINGS["strict and pointers"]
    with Gate.open(policy=policy, store=tmp_path / "missing.db", redaction=redaction) as gate:
        for pointer in FIELDS:
            record = gate.decide(with_canary(refund, pointer))
            assert Verdict.ABSTAIN is record.verdict
            assert is_kept(pointer, redaction) == (CANARY in record.to_json()), pointer


def test_command_line_shows_no_more_than_the_store_holds(
    refund: Refund, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of `lumyn.toml` hold for what `decide` and `show` print, in either form."""
    monkeypatch.chdir(tmp_path)
    assert 0 == cli("init")[0]
    config = tmp_path / "lumyn.toml"
    text = config.read_text(encoding="utf-8")
    pointers = ", ".join(f'"{pointer}"' for pointer in POINTERS)
    config.write_text(text.replace("[redaction]\n", f"[redaction]\nremove = [{pointers}]\n"), encoding="utf-8")
    redaction = SETTINGS["default and pointers"]
    hidden = [pointer for pointer in FIELDS if not is_kept(pointer, redaction)]
    assert len(hidden) > 10
    for place, pointer in enumerate(hidden):
        request = {**with_canary(refund, pointer), "request_id": f"r-{place}"}
        (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
        shown = [cli("decide", "request.json"), cli("decide", "request.json", "--json"), cli("show", "@last")]
        shown += [cli("show", "--json"), cli("show", "@last", "--json"), cli("show")]
        assert {0} == {code for code, _ in shown}, shown
        assert CANARY not in "".join(output for _, output in shown), pointer
    assert CANARY.encode() not in stored_bytes(tmp_path / ".lumyn")


def cli(*arguments: str) -> tuple[int, str]:
    """Run `lumyn` in this process and return its exit code and everything it printed."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(output), redirect_stderr(output):
        code = run(list(arguments))
        sys.stdout.flush()
    output.seek(0)
    return code, output.read()


# ---------------------------------------------------------------------------------------------------------------------
# Canaries in errors


def spoilt() -> Iterator[tuple[str, Any]]:
    """Yield values that hold the canary and are wrong almost everywhere."""
    yield "control character", f"{CANARY}\x1b[2J"
    yield "line feed", f"{CANARY}\n"
    yield "padded", f" {CANARY} "
    yield "too long", CANARY * 2_000
    yield "surrogate", f"{CANARY}\ud800"
    yield "object", {"a": CANARY}
    yield "list", [[CANARY]]
    yield "bytes", CANARY.encode()
    yield "set", {CANARY}
    yield "subclass", type("Text", (str,), {})(f"{CANARY}\0")
    yield "deep", json.loads("[" * 70 + f'"{CANARY}"' + "]" * 70)


def texts_of(error: BaseException) -> str:
    """Return everything that an application could log about an error."""
    parts = [str(error), repr(error), repr(error.args), "".join(traceback.format_exception(error))]
    if isinstance(error, InvalidRequestError):
        parts += [json.dumps(error.to_dict()), *(str(problem) + repr(problem) for problem in error.problems)]
    if error.__context__ is not None:
        # Left out of tracebacks, and yet some collectors of errors follow it.
        parts += [str(error.__context__), repr(error.__context__), repr(vars(error.__context__))]
    return "\n".join(parts)


@pytest.mark.parametrize("pointer", [field for field in [*FIELDS, *sorted(FIXED)] if CANARY not in field])
def test_no_error_repeats_a_value(
    policy: Policy, refund: Refund, pointer: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong value is named by its pointer, whatever is wrong with it, and so is the rest of the request."""
    caplog.set_level(logging.DEBUG)
    refused = []
    with Gate.open(policy=policy, store="sqlite:///:memory:", create=True, redaction="off") as gate:
        for what, value in spoilt():
            for version in (None, "no"):
                base = refund(request_id=None) | ({} if version is None else {"schema_version": version})
                request = put(base, pointer, value)
                for form in (request, as_json(request)):
                    error = refusal(gate, form)
                    if error is not None:
                        refused.append(what)
                        assert CANARY not in texts_of(error), what
    assert len(refused) >= 10
    assert CANARY not in caplog.text + "".join(capsys.readouterr())


def refusal(gate: Gate, form: Any) -> InvalidRequestError | None:
    """Return the error with which a request is refused, or None when it is decided or has no such form."""
    try:
        if form is not None:
            gate.decide(form)
    except InvalidRequestError as error:
        return error
    return None


def as_json(request: dict[str, Any]) -> str | None:
    """Return the request as JSON text, or None where Python's values have no such form."""
    try:
        return json.dumps(request)
    except TypeError:
        return None


@pytest.mark.parametrize("pointer", [field for field in FIELDS if CANARY not in field and field != "/request_id"])
def test_neighbour_of_a_wrong_field_is_not_repeated(policy: Policy, refund: Refund, pointer: str) -> None:
    """A right value beside a wrong one is nobody's business either."""
    wrong = [
        {"action__amount__value": -1},
        {"action__type": "Support.Refund"},
        {"evidence__risk": {"a": 1}},
        {"policy": {"policy_id": "other"}},
        {"hints": {"mode": "advisory"}},
        {"unknown": 1},
    ]
    with Gate.open(policy=policy, store="sqlite:///:memory:", create=True) as gate:
        for changes in wrong:
            with pytest.raises(InvalidRequestError) as caught:
                gate.decide(put(refund(**changes), pointer, CANARY))
            assert CANARY not in texts_of(caught.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: text.replace('"evidence"', '"subject"'),
        lambda text: text.replace(CANARY, CANARY + "\n"),
        lambda text: text.replace(CANARY, CANARY + "\\ud800"),
        lambda text: text.replace(CANARY, CANARY + "\\x"),
        lambda text: text.replace(f'"{CANARY}"', f"'{CANARY}'"),
        lambda text: text.replace(f'"{CANARY}"', CANARY),
        lambda text: text.replace(f'"{CANARY}"', f'"{CANARY}'),
        lambda text: text.replace("12.0", "1e999"),
        lambda text: text.replace("12.0", "12.00000000000000001"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode().replace(CANARY.encode(), CANARY.encode() + b"\xff"),
        lambda text: "\ufeff" + text,
        lambda text: json.dumps([text]),
        json.dumps,
        lambda text: text.replace('"evidence": {', '"evidence": {"n":' + "[" * 200 + "]" * 200 + ","),
    ],
)
def test_broken_text_is_not_repeated(policy: Policy, refund: Refund, spoil: Callable[[str], Any]) -> None:
    """A syntax error says where, not what."""
    text = json.dumps(refund(evidence__note=CANARY, action__intent=CANARY))
    gate = Gate.open(policy=policy, store="sqlite:///:memory:", create=True)
    with gate, pytest.raises(InvalidRequestError) as caught:
        gate.decide(spoil(text))
    assert CANARY not in texts_of(caught.value)


@pytest.mark.parametrize(
    "key", ["x\nERROR forged", "x\x1b[2J", "x\u202egnp", "x\u2028y", "x" * 500_000, "\u00e9" * 500_000]
)
@pytest.mark.parametrize("place", ["", "evidence", "subject"])
def test_name_of_a_field_is_shown_on_one_line_of_bounded_length(
    policy: Policy, refund: Refund, key: str, place: str
) -> None:
    """Names are the caller's too: they forge no line of a log and fill none; the pointer itself stays exact."""
    request = refund()
    (request[place] if place else request)[key] = 1
    gate = Gate.open(policy=policy, store="sqlite:///:memory:", create=True)
    with gate, pytest.raises(InvalidRequestError) as caught:
        gate.decide(request)
    assert f"{'/' if place else ''}{place}/{key}" == caught.value.problems[0].pointer
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 2_000


def test_conflict_names_the_key_and_nothing_else(policy: Policy, refund: Refund) -> None:
    """The key is an identifier the caller chose for this purpose; what differs is not told."""
    with Gate.open(policy=policy, store="sqlite:///:memory:", create=True) as gate:
        gate.decide(refund(action__intent=CANARY))
        with pytest.raises(IdempotencyConflictError) as caught:
            gate.decide(refund(evidence__note=CANARY))
    assert CANARY not in texts_of(caught.value) + json.dumps(caught.value.to_dict())


def test_command_line_repeats_no_value_of_a_refused_request(
    refund: Refund, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert 0 == cli("init")[0]
    for pointer in FIELDS:
        if CANARY in pointer:
            continue
        request = put(refund(schema_version="no", policy={"policy_id": "x"}), pointer, CANARY + "\u0007")
        (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
        for arguments in (("decide", "request.json"), ("decide", "request.json", "--json")):
            code, output = cli(*arguments)
            assert 3 == code
            assert CANARY not in output, pointer
    assert CANARY.encode() not in stored_bytes(tmp_path / ".lumyn")


# ---------------------------------------------------------------------------------------------------------------------
# What does not depend on redaction, and what can be recomputed

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "with what nobody reads": {
        "evidence__note": "n",
        "evidence__notes": ["a", "b"],
        "extensions": {"acme": {"note": 1}},
    },
    "inline": {"context": {"mode": "inline", "inline": {"note": "n", "deep": {"list": [{"note": 1}, 2]}}}},
    "reference": {
        "context": {
            "mode": "reference",
            "digest": "sha256:" + "2" * 64,
            "ref": {"kind": "ticket", "id": "T-1", "uri": "https://example.com/?token=1"},
        }
    },
    "other currency": {"action__amount": {"value": "10.50", "currency": "EUR"}, "evidence__fx_rate_to_usd": 1.1},
    "rate for an action that reads none": {
        "action__type": "support.close_ticket",
        "action__amount": {"value": 10, "currency": "EUR"},
        "evidence__fx_rate_to_usd": 1.1,
        "evidence__resolution": "sent again",
    },
    "missing": {"evidence__ticket_id": None, "evidence__chargeback_risk": None},
    "wrong types": {"evidence__chargeback_risk": "0.9", "evidence__customer_age_days": [1]},
    "no evidence": {"evidence": {}},
    "everything": {
        "tenant": {"tenant_id": "acme", "environment": "prod"},
        "trace": {"correlation_id": "c", "span_id": "s"},
        "hints": {"mode": "enforce"},
        "subject__ip": "10.0.0.1",
        "subject__user_agent": "curl",
        "subject__roles": ["lead"],
        "action__target": {"system": "shop", "resource_type": "order", "resource_id": "1"},
    },
}


@pytest.mark.parametrize("case", list(CASES))
def test_inputs_digest_can_be_recomputed_from_the_record(
    policy: Policy, refund: Refund, redaction: RedactionPolicy, case: str
) -> None:
    """From the stored text alone, with the policy it names, by the words of the specification."""
    with open_gate(policy, "sqlite:///:memory:", redaction) as gate:
        record = gate.decide(refund(**CASES[case]))
        stored = json.loads(gate.record(record.decision_id).to_json())
        replay = gate.replay(record.decision_id)
    kept = stored["request"]
    reduced = {key: value for key, value in kept.items() if key not in {"request_id", "trace", "hints", "extensions"}}
    reduced["context"] = {k: v for k, v in kept["context"].items() if k in {"mode", "digest", "ref"}}
    document = freeze(kept)
    assert isinstance(document, dict)
    derived = derived_document(derive_facts(policy, request_from_document(document)))
    assert digest({"request": reduced, "derived": derived}) == stored["determinism"]["inputs_digest"]
    assert replay.identical, replay.differences


@pytest.mark.parametrize("case", list(CASES))
def test_verdict_and_request_digest_do_not_depend_on_redaction(policy: Policy, refund: Refund, case: str) -> None:
    """What is kept is decided after everything else."""
    found = set()
    for redaction in SETTINGS.values():
        with open_gate(policy, "sqlite:///:memory:", redaction) as gate:
            request = refund(**CASES[case])
            record = gate.decide(request)
            assert record.concerns(request)
            assert record.to_json() == gate.decide(request).to_json()
            found.add((record.verdict, record.reason_codes, record.request_digest, record.memory_snapshot))
    assert 1 == len(found)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pointers=st.sets(st.sampled_from(POINTERS)),
    profile=st.sampled_from(RedactionProfile),
    case=st.sampled_from(list(CASES)),
)
def test_any_settings_keep_records_replayable(
    policy: Policy, refund: Refund, pointers: set[str], profile: RedactionProfile, case: str
) -> None:
    """Whatever may be removed, a decision comes out again as it was, from what is left."""
    redaction = RedactionPolicy(profile=profile, remove=tuple(pointers))
    with open_gate(policy, "sqlite:///:memory:", redaction) as gate:
        record = gate.decide(refund(**CASES[case]))
        gate.label(record.decision_id, "failure")
        second = gate.decide(refund(**CASES[case], request_id="r-2"))
        assert gate.replay(second.decision_id).identical
        assert [] == problems("decision_record.v0.schema.json", record.to_dict())
        assert verify(gate.store, full=True).ok
        removed = json.loads(record.to_json())["request"]["context"].get("redaction", {}).get("fields_removed", [])
    assert sorted(removed) == removed
    assert not any(one != two and two.startswith(f"{one}/") for one in removed for two in removed)
    if "/context/inline" not in removed and profile is not RedactionProfile.STRICT:
        assert set(removed) <= pointers


def test_redaction_does_not_weaken_experience(policy: Policy, refund: Refund) -> None:
    """A labelled failure resembles the next request as much as it would unredacted."""
    scores = set()
    for redaction in SETTINGS.values():
        with open_gate(policy, "sqlite:///:memory:", redaction) as gate:
            request = refund(**CASES["everything"], evidence__note="n")
            gate.label(gate.decide(request).decision_id, "failure")
            scores.add(gate.decide({**request, "request_id": "r-2"}).failure_similarity)
    assert {1} == scores


# ---------------------------------------------------------------------------------------------------------------------
# Who may ask for what


@pytest.mark.parametrize("asked", list(RedactionProfile))
def test_request_may_ask_for_more_and_never_for_less(
    policy: Policy, refund: Refund, redaction: RedactionPolicy, asked: RedactionProfile
) -> None:
    """A stricter profile is honoured with the operator's pointers; a looser one is an invalid request."""
    request = refund(
        evidence__note=CANARY,
        context={"mode": "inline", "inline": {"note": CANARY}, "redaction": {"profile": asked.value}},
    )
    with open_gate(policy, "sqlite:///:memory:", redaction) as gate:
        if asked.strictness < redaction.profile.strictness:
            with pytest.raises(InvalidRequestError) as caught:
                gate.decide(request)
            assert [("REDACTION_OVERRIDE_FORBIDDEN", "/context/redaction/profile")] == [
                (problem.code, problem.pointer) for problem in caught.value.problems
            ]
            return
        record = gate.decide(request)
    effective = redaction.with_profile(asked)
    for pointer, kept in (("/evidence/note", "note"), ("/context/inline/note", "inline")):
        stored = json.loads(record.to_json())["request"]
        held = stored["evidence"] if kept == "note" else stored["context"].get("inline", {})
        assert is_kept(pointer, effective) == ("note" in held)


def test_pointer_to_what_the_policy_reads_opens_no_gate(policy: Policy, tmp_path: Path) -> None:
    """Refused before a store is made, and again when another policy takes over."""
    redaction = RedactionPolicy(remove=("/evidence/chargeback_risk",))
    with pytest.raises(InvalidConfigError) as caught:
        Gate.open(policy=policy, store=tmp_path / "lumyn.db", create=True, redaction=redaction)
    assert ["REMOVAL_FORBIDDEN"] == [problem.code for problem in caught.value.problems]
    assert not (tmp_path / "lumyn.db").exists()
    account = load_policy(Path(__file__).parents[2] / "policies" / "packs" / "lumyn-account.v0.yml")
    gate = Gate.open(policy=account, store="sqlite:///:memory:", create=True, redaction=redaction)
    with gate, pytest.raises(InvalidConfigError):
        gate.with_policy(policy)


def test_configuration_hands_pointers_to_the_gate(
    refund: Refund, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set in the environment, checked when the gate is opened; a pointer that is refused ends the command."""
    monkeypatch.chdir(tmp_path)
    assert 0 == cli("init")[0]
    (tmp_path / "request.json").write_text(json.dumps(refund(subject__ip=CANARY)), encoding="utf-8")
    monkeypatch.setenv("LUMYN_REDACTION_REMOVE", '["/subject/ipp"]')
    code, output = cli("decide", "request.json")
    assert 3 == code
    assert "did you mean `/subject/ip`?" in output
    monkeypatch.setenv("LUMYN_REDACTION_REMOVE", '["/action/amount/value"]')
    code, output = cli("decide", "request.json")
    assert 3 == code
    assert "REMOVAL_FORBIDDEN" in output
    assert b"decision_record.v0" not in stored_bytes(tmp_path / ".lumyn")
    monkeypatch.setenv("LUMYN_REDACTION_REMOVE", '["/subject/ip"]')
    code, output = cli("decide", "request.json", "--json")
    assert 0 == code
    assert CANARY not in output
    assert '"/subject/ip"' in output
