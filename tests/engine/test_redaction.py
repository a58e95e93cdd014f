"""Redaction as a function: what a profile and pointers take out of a request, and which pointers are refused."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumyn import InvalidConfigError, _resources
from lumyn.engine.redaction import Redacted, RedactionPolicy, RedactionProfile, redact
from lumyn.policy.loader import parse_policy

OFF, DEFAULT, STRICT = RedactionProfile.OFF, RedactionProfile.DEFAULT, RedactionProfile.STRICT

REQUEST: dict[str, Any] = {
    "schema_version": "decision_request.v0",
    "request_id": "r-1",
    "trace": {"correlation_id": "c-1", "span_id": "s-1"},
    "tenant": {"tenant_id": "acme"},
    "subject": {"type": "agent", "id": "agent-1", "ip": "10.0.0.1", "user_agent": "curl", "roles": ["lead"]},
    "action": {
        "type": "support.refund",
        "intent": "Refund",
        "target": {"system": "shop", "resource_type": "order", "resource_id": "82731"},
        "amount": {"value": 12, "currency": "EUR"},
        "tags": ["duplicate_charge"],
    },
    "evidence": {"risk": 0.1, "email": "a@example.com", "fx_rate_to_usd": 1.1, "empty": None},
    "context": {
        "mode": "inline",
        "digest": "sha256:" + "1" * 64,
        "ref": {"kind": "ticket", "id": "T-1", "uri": "https://example.com/T-1"},
        "inline": {"card": {"number": "4111", "name": "A"}, "items": [{"sku": 1}, {"sku": 2}, {"sku": 3}], "a/b~c": 1},
    },
    "extensions": {"acme": {"notes": "n", "list": [[1, 2], 3]}, "other": True},
}

POLICY = """\
schema_version: policy.v0
policy_id: acme
policy_version: "1"
required_evidence: { support.refund: [ticket_id] }
rules:
  - { id: R1, stage: REQUIREMENTS, when: { action_type: support.refund },
      then: { verdict: QUERY, reason_codes: [EVIDENCE_MISSING] } }
  - { id: R2, stage: HARD_BLOCKS, when: { action_type: support.refund }, if: { evidence.risk_gt: 0.5 },
      then: { verdict: ABSTAIN, reason_codes: [CHARGEBACK_RISK_BLOCK] } }
  - { id: R3, stage: ESCALATIONS, when: { action_type: support.other }, if: { evidence.manual_approval_present: true },
      then: { verdict: ESCALATE, reason_codes: [MANUAL_APPROVAL_REQUESTED] } }
"""
READS_ROLES = """\
  - { id: R4, stage: ESCALATIONS, if: { subject.roles_contains: trainee },
      then: { verdict: ESCALATE, reason_codes: [MANUAL_APPROVAL_REQUESTED] } }
"""


def apply(profile: RedactionProfile, *pointers: str, keys_read: tuple[str, ...] = ("risk",)) -> dict[str, Any]:
    """Return the request as it is kept, and hold what the result says of itself against it."""
    before = copy.deepcopy(REQUEST)
    redacted = redact(REQUEST, RedactionPolicy(profile=profile, remove=pointers), keys_read=keys_read)
    assert before == REQUEST, "the request must not be changed"
    kept = {**REQUEST, **redacted.replaced}
    if redacted.fields_removed:
        note = kept["context"].pop("redaction")
        assert {"profile": profile.value, "fields_removed": list(redacted.fields_removed)} == note
    else:
        assert Redacted(replaced={}, fields_removed=()) == redacted
    kept["removed"] = redacted.fields_removed
    return kept


def test_off_keeps_everything() -> None:
    assert {**REQUEST, "removed": ()} == apply(OFF)


def test_default_drops_inline_context_and_keeps_its_digest() -> None:
    kept = apply(DEFAULT)
    assert ("/context/inline",) == kept["removed"]
    assert {"mode", "digest", "ref"} == kept["context"].keys()
    assert REQUEST["evidence"] == kept["evidence"]


def test_strict_drops_evidence_nobody_reads_and_where_the_subject_called_from() -> None:
    kept = apply(STRICT)
    expected = ("/context/inline", "/evidence/email", "/evidence/empty", "/subject/ip", "/subject/user_agent")
    assert expected == kept["removed"]
    assert {"type", "id", "roles"} == kept["subject"].keys()


def test_strict_keeps_the_rate_that_converts_the_amount() -> None:
    """The amount in US dollars is part of every record, also where no rule reads it."""
    assert {"fx_rate_to_usd": 1.1} == apply(STRICT, keys_read=())["evidence"]


@pytest.mark.parametrize(
    ("pointer", "path"),
    [
        ("/subject/id", "subject id"),
        ("/subject/ip", "subject ip"),
        ("/subject/roles", "subject roles"),
        ("/action/intent", "action intent"),
        ("/action/target/resource_id", "action target resource_id"),
        ("/evidence/email", "evidence email"),
        ("/evidence/empty", "evidence empty"),
        ("/context/inline/card", "context inline card"),
        ("/context/inline/card/number", "context inline card number"),
        ("/context/inline/a~1b~0c", "context inline a/b~c"),
        ("/context/ref", "context ref"),
        ("/context/ref/uri", "context ref uri"),
        ("/trace/span_id", "trace span_id"),
        ("/extensions/acme/notes", "extensions acme notes"),
    ],
)
def test_pointer_removes_exactly_what_it_names(pointer: str, path: str) -> None:
    """Nothing beside it changes."""
    expected = copy.deepcopy(REQUEST)
    *parents, last = path.split()
    node = expected
    for parent in parents:
        node = node[parent]
    del node[last]
    assert {**expected, "removed": (pointer,)} == apply(OFF, pointer)


@pytest.mark.parametrize("member", ["trace", "extensions"])
def test_whole_member_leaves_an_empty_object(member: str) -> None:
    """So a record keeps its shape."""
    kept = apply(OFF, f"/{member}")
    assert ({}, (f"/{member}",)) == (kept[member], kept["removed"])


@pytest.mark.parametrize(
    ("pointers", "items"),
    [
        (["0"], [2, 3]),
        (["2"], [1, 2]),
        (["0", "1"], [3]),
        (["0", "2"], [2]),
        (["0", "1", "2"], []),
    ],
)
def test_list_items_are_counted_as_they_were_received(pointers: list[str], items: list[int]) -> None:
    """Taking out the first must not move the second out of reach."""
    kept = apply(OFF, *(f"/context/inline/items/{index}" for index in pointers))
    assert [{"sku": sku} for sku in items] == kept["context"]["inline"]["items"]
    nested = apply(OFF, "/extensions/acme/list/0/1", "/extensions/acme/list/1")
    assert [[1]] == nested["extensions"]["acme"]["list"]


@pytest.mark.parametrize(
    "pointer",
    [
        "/evidence/absent",
        "/context/inline/absent",
        "/context/inline/card/number/deeper",
        "/context/inline/items/3",
        "/context/inline/items/-",
        "/context/inline/items/00",
        "/context/inline/items/٠",
        "/context/inline/items/" + "9" * 5000,
        "/context/inline/items/sku",
        "/extensions/",
    ],
)
def test_what_is_not_there_is_not_listed(pointer: str) -> None:
    """`fields_removed` says what was taken out, not what would have been."""
    assert {**REQUEST, "removed": ()} == apply(OFF, pointer)


def test_empty_member_is_not_listed() -> None:
    document = {**REQUEST, "trace": {}, "extensions": {}}
    policy = RedactionPolicy(profile=OFF, remove=("/trace", "/extensions"))
    assert () == redact(document, policy, keys_read=()).fields_removed


def test_of_two_pointers_the_upper_one_is_named() -> None:
    """What goes with its container is not listed once more."""
    below = ("/context/inline/card/number", "/context/inline/card", "/context/ref/uri")
    assert ("/context/inline/card", "/context/ref/uri") == apply(OFF, *below)["removed"]
    assert ("/context/inline", "/context/ref/uri") == apply(DEFAULT, *below)["removed"]


@given(st.permutations(["/trace/span_id", "/subject/ip", "/evidence/email", "/context/inline/items/0"]))
def test_order_of_pointers_changes_nothing(pointers: list[str]) -> None:
    """One configuration, one result; a pointer written twice is one."""
    assert apply(OFF, *sorted(pointers)) == apply(OFF, *pointers, pointers[0])
    assert RedactionPolicy(remove=tuple(pointers)) == RedactionPolicy(remove=tuple(sorted(pointers)))


def test_note_keeps_what_the_caller_removed_before() -> None:
    """The caller's list and ours become one, sorted, each pointer once."""
    note = {"profile": "default", "fields_removed": ["/z", "/context/inline", "/a"]}
    document = {**REQUEST, "context": {**REQUEST["context"], "redaction": note}}
    kept = redact(document, RedactionPolicy(profile=STRICT), keys_read=("email", "empty", "risk")).replaced["context"]
    expected = ["/a", "/context/inline", "/subject/ip", "/subject/user_agent", "/z"]
    assert {"profile": "strict", "fields_removed": expected} == kept["redaction"]  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("pointer", "code"),
    [
        ("", "REMOVAL_FORBIDDEN"),
        ("/schema_version", "REMOVAL_FORBIDDEN"),
        ("/request_id", "REMOVAL_FORBIDDEN"),
        ("/tenant", "REMOVAL_FORBIDDEN"),
        ("/tenant/tenant_id", "REMOVAL_FORBIDDEN"),
        ("/subject", "REMOVAL_FORBIDDEN"),
        ("/subject/type", "REMOVAL_FORBIDDEN"),
        ("/subject/tenant_id", "REMOVAL_FORBIDDEN"),
        ("/action", "REMOVAL_FORBIDDEN"),
        ("/action/type", "REMOVAL_FORBIDDEN"),
        ("/action/amount", "REMOVAL_FORBIDDEN"),
        ("/action/amount/value", "REMOVAL_FORBIDDEN"),
        ("/action/amount/currency", "REMOVAL_FORBIDDEN"),
        ("/action/tags", "REMOVAL_FORBIDDEN"),
        ("/action/target", "REMOVAL_FORBIDDEN"),
        ("/action/target/system", "REMOVAL_FORBIDDEN"),
        ("/evidence", "REMOVAL_FORBIDDEN"),
        ("/evidence/fx_rate_to_usd", "REMOVAL_FORBIDDEN"),
        ("/context", "REMOVAL_FORBIDDEN"),
        ("/context/mode", "REMOVAL_FORBIDDEN"),
        ("/context/digest", "REMOVAL_FORBIDDEN"),
        ("/context/redaction", "REMOVAL_FORBIDDEN"),
        ("/policy", "REMOVAL_FORBIDDEN"),
        ("/hints", "REMOVAL_FORBIDDEN"),
        ("/subject/ipp", "FIELD_UNKNOWN"),
        ("/subject/roles/0", "FIELD_UNKNOWN"),
        ("/Subject/ip", "FIELD_UNKNOWN"),
        ("/subject/ip/", "FIELD_UNKNOWN"),
        ("/action/tags/0", "FIELD_UNKNOWN"),
        ("/evidence/e-mail", "FIELD_UNKNOWN"),
        ("/evidence/email/0", "FIELD_UNKNOWN"),
        ("/evidence/", "FIELD_UNKNOWN"),
        ("/evidence/lumyn_x", "FIELD_UNKNOWN"),
        ("/evidence/failure_similarity_score", "FIELD_UNKNOWN"),
        ("/evidence/" + "e" * 129, "FIELD_UNKNOWN"),
        ("/trace/span_id/x", "FIELD_UNKNOWN"),
        ("/context/inlin", "FIELD_UNKNOWN"),
        ("/", "FIELD_UNKNOWN"),
        ("subject/ip", "POINTER_INVALID"),
        ("#/subject/ip", "POINTER_INVALID"),
        ("$.subject.ip", "POINTER_INVALID"),
        ("/extensions/a~2", "POINTER_INVALID"),
        ("/extensions/a~", "POINTER_INVALID"),
        ("/subject/ip\n", "POINTER_INVALID"),
        ("/extensions/\ud800", "POINTER_INVALID"),
        (None, "POINTER_INVALID"),
        (1, "POINTER_INVALID"),
        (["/subject/ip"], "POINTER_INVALID"),
    ],
)
def test_pointer_that_cannot_be_followed_is_a_configuration_error(pointer: Any, code: str) -> None:
    """A pointer to what decides is refused, and so is one that would never remove anything."""
    with pytest.raises(InvalidConfigError) as caught:
        RedactionPolicy(remove=("/subject/ip", pointer))
    assert [(code, "/redaction/remove/1")] == [(problem.code, problem.pointer) for problem in caught.value.problems]


def described(schema: dict[str, Any], part: dict[str, Any], pointer: str = "") -> Iterator[str]:
    """Yield a pointer to every member that the contract of requests describes."""
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].removeprefix("#/$defs/")]
    for name, below in part.get("properties", {}).items():
        yield f"{pointer}/{name}"
        yield from described(schema, below, f"{pointer}/{name}")


def test_every_member_of_a_request_can_be_removed_or_is_kept_on_purpose() -> None:
    """A member that is added to the contract has to be put on one side or the other."""
    schema = _resources.schema("decision_request.v0.schema.json")
    codes: dict[str, str] = {}
    for pointer in described(schema, schema):
        try:
            RedactionPolicy(remove=(pointer,))
        except InvalidConfigError as error:
            codes[pointer] = error.problems[0].code
    assert {"/policy", "/hints", "/context/redaction"} == {
        pointer.rpartition("/")[0] for pointer, code in codes.items() if code == "FIELD_UNKNOWN"
    }


def test_every_bad_pointer_is_reported_at_once() -> None:
    with pytest.raises(InvalidConfigError) as caught:
        RedactionPolicy(remove=("/action/type", "/subject/user_agnet", "x"))
    assert ["REMOVAL_FORBIDDEN", "FIELD_UNKNOWN", "POINTER_INVALID"] == [p.code for p in caught.value.problems]
    assert "did you mean `/subject/user_agent`?" == caught.value.problems[1].hint


@pytest.mark.parametrize("key", ["risk", "ticket_id", "manual_approval"])
def test_evidence_that_a_policy_reads_cannot_be_removed(key: str) -> None:
    """Compared, required or asked for, for whatever action."""
    policy = parse_policy(POLICY)
    RedactionPolicy(remove=("/evidence/email", "/subject/roles")).check(policy)
    with pytest.raises(InvalidConfigError) as caught:
        RedactionPolicy(remove=("/evidence/email", f"/evidence/{key}")).check(policy)
    assert ["REMOVAL_FORBIDDEN"] == [problem.code for problem in caught.value.problems]
    assert f"`/evidence/{key}`" in str(caught.value)


def test_roles_that_a_policy_reads_cannot_be_removed() -> None:
    with pytest.raises(InvalidConfigError):
        RedactionPolicy(remove=("/subject/roles",)).check(parse_policy(POLICY + READS_ROLES))


def test_stricter_profile_keeps_the_pointers() -> None:
    """What a request may ask for never takes a pointer off the operator's list."""
    policy = RedactionPolicy(profile=OFF, remove=("/subject/id",)).with_profile(STRICT)
    assert RedactionPolicy(profile=STRICT, remove=("/subject/id",)) == policy
