"""Whatever is sent: an answer that is a verdict or a problem, never a 500, and nothing that repeats what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api.harness import KEYS, Client, configured, request_document
from hypothesis import example, given
from hypothesis import strategies as st

pytestmark = pytest.mark.property

OPEN = {200, 201, 400, 404, 405, 409, 413, 414, 415, 421, 422, 431}
CLOSED = {200, 400, 401, 413, 414, 431}
PATHS = [
    "/v0/decide",
    "/v0/decisions",
    "/v0/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "/v0/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV/events",
    "/v0/policy",
    "/metrics",
    "/healthz",
    "/readyz",
    "/openapi.json",
]

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?# "), max_size=40)
targets = st.one_of(
    st.sampled_from(PATHS),
    st.builds(lambda path, rest: f"{path}{rest}", st.sampled_from(PATHS), visible),
    st.builds(
        lambda name, value: f"/v0/decisions?{name}={value}",
        st.sampled_from(["limit", "cursor", "since", "verdict", "tenant_id", "reason_code", "action_type", "x"]),
        visible,
    ),
    st.builds(lambda path: f"/{path}", visible),
)
names = st.sampled_from(
    [
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"host",
        b"expect",
        b"lumyn-timestamp",
        b"lumyn-request-id",
        b"lumyn-key-id",
        b"lumyn-signature",
        b"transfer-encoding",
        b"x",
    ]
)
values = st.one_of(
    st.binary(max_size=40).map(lambda value: value.replace(b"\n", b"").replace(b"\r", b"").replace(b"\0", b"")),
    st.sampled_from([b"application/json", b"localhost", b"identity", b"1768478400", b"v1=" + b"00" * 32, b"10"]),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return bytes, JSON of any kind, or a request or an event with one member replaced."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(st.binary(max_size=200))
    if kind == 1:
        return json.dumps(draw(json_values)).encode()
    document: dict[str, Any] = request_document() if kind == 2 else {"type": "label", "data": {"label": "failure"}}
    place: Any = document
    while isinstance(place, dict) and place:
        name = draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or draw(st.booleans()):
            place[name] = draw(json_values)
            break
        place = place[name]
    return json.dumps(document).encode()


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Client(configured(tmp_path_factory.mktemp("unsigned"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Client(configured(tmp_path_factory.mktemp("signed"), keys=KEYS)) as opened:
        yield opened


methods = st.sampled_from(["GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "X"])


@given(methods, targets, bodies(), st.lists(st.tuples(names, values), max_size=3), st.booleans())
@example("POST", "/v0/decide", b"\xef\xbb\xbf{}", [], True)
@example("GET", "/v0/decisions?tenant_id=%ff%00", b"", [], True)
@example("GET", "/v0/decisions?since=9999-12-31T23:59:59-23:59", b"", [], True)
@example("GET", "/%", b"", [], True)
def test_an_unsigned_service(
    unsigned: Client, method: str, target: str, body: bytes, headers: list[tuple[bytes, bytes]], is_json: bool
) -> None:
    given_ = [*headers, *([(b"content-type", b"application/json")] if is_json else [])]
    reply = unsigned.call(method, target, body, headers=given_)
    assert reply.status in OPEN, reply
    if reply.status >= 400:
        assert reply.code
    elif reply.status == 200 and target == "/v0/decide":
        assert reply.data["verdict"] in {"TRUST", "ESCALATE", "QUERY", "ABSTAIN"}


@given(methods, targets, bodies(), st.lists(st.tuples(names, values), max_size=5))
def test_a_signed_service(
    signed: Client, method: str, target: str, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Nobody gets in by guessing."""
    reply = signed.call(method, target, body, headers=headers)
    if target.partition("?")[0] not in {"/healthz", "/readyz"}:
        assert reply.status in CLOSED - {200}, reply
        assert reply.code


@given(bodies())
def test_an_event_of_a_decision(unsigned: Client, body: bytes) -> None:
    decision_id = unsigned.decide(request_id="fuzzed").data["decision_id"]
    reply = unsigned.call("POST", f"/v0/decisions/{decision_id}/events", body)
    assert reply.status in {201, 400, 404, 409, 422}, reply
