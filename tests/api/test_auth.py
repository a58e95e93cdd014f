"""Signed services: what is accepted, what is refused and with which code, in which order, and that nothing is a 500."""

from __future__ import annotations

import dataclasses
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api.harness import JSON, KEYS, NOW, OTHER_SECRET, SECRET, Client, configured, request_document
from api.test_routes_v0 import stored

from lumyn.api.signing import signature, signed_text
from lumyn.config import load_config
from lumyn.errors import InvalidConfigError

DECIDE = ("POST", "/v0/decide")
ROUTES = [
    ("POST", "/v0/decide", "decide"),
    ("GET", "/v0/decisions", "read"),
    ("GET", "/v0/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV", "read"),
    ("POST", "/v0/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV/events", "label"),
    ("GET", "/v0/policy", "read"),
    ("GET", "/metrics", "read"),
    ("GET", "/openapi.json", "read"),
    ("GET", "/nowhere", "read"),
    ("PUT", "/v0/decide", "label"),
    ("DELETE", "/v0/policy", "label"),
]


def test_a_signed_request_is_decided(signed: Client, tmp_path: Path) -> None:
    assert 200 == signed.signed(*DECIDE, request_document()).status
    assert 1 == len(stored(tmp_path))


def test_the_signed_text_is_written_down() -> None:
    """The example of docs/service.md, so that clients in other languages can be held against it."""
    text = signed_text(
        method=b"POST", target=b"/v0/decide?x=1", timestamp=b"1768478400", request_id=b"r-1", body=b'{"a":1}'
    )
    assert text == (
        b"lumyn.v1\nPOST\n/v0/decide?x=1\n1768478400\nr-1\n"
        b"015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    )
    assert hmac.new(SECRET.encode(), text, "sha256").digest() == signature(SECRET.encode(), text)


def test_every_route_needs_a_signature(signed: Client) -> None:
    """Also those that do not exist: a stranger learns nothing about routes."""
    for method, target, _ in ROUTES:
        reply = signed.call(method, target)
        assert (401, "AUTH_REQUIRED") == (reply.status, reply.code), target
        assert "Lumyn-HMAC-SHA256" == reply.headers["www-authenticate"]


def test_probes_need_none(signed: Client) -> None:
    assert 200 == signed.call("GET", "/healthz").status
    ready = signed.call("GET", "/readyz")
    assert 200 == ready.status
    assert 405 == signed.call("POST", "/healthz").status


def test_every_route_there_is_stands_above(signed: Client) -> None:
    """So that a new one is given its scope."""
    import re

    from lumyn.api.openapi import openapi_document

    paths = {re.sub(r"\{[^}]+\}", "01ARZ3NDEKTSV4RRFFQ69G5FAV", path) for path in openapi_document()["paths"]}
    assert paths == {target for _, target, _ in ROUTES if target != "/nowhere"} | {"/healthz", "/readyz"}


@pytest.mark.parametrize("given", ["decide", "label", "read"])
def test_a_key_is_good_for_its_scopes_only(tmp_path: Path, given: str) -> None:
    with Client(configured(tmp_path, keys=[{"id": "k", "secret": SECRET, "scopes": [given]}])) as client:
        for method, target, scope in ROUTES:
            reply = client.signed(method, target, request_document())
            if given == scope:
                assert reply.status not in {401, 403}, target
            else:
                assert (403, "AUTH_SCOPE") == (reply.status, reply.code), target


TAMPERED: list[tuple[str, dict[str, Any]]] = [
    ("no timestamp", {"lumyn_timestamp": ""}),
    ("no request id", {"lumyn_request_id": ""}),
    ("no signature", {"lumyn_signature": ""}),
]


@pytest.mark.parametrize(("name", "changed"), TAMPERED, ids=[name for name, _ in TAMPERED])
def test_half_a_signature_is_none(signed: Client, name: str, changed: dict[str, str]) -> None:
    reply = signed.signed(*DECIDE, request_document(), **changed)
    assert (401, "AUTH_REQUIRED", "ABSTAIN") == (reply.status, reply.code, reply.data["verdict"])


FORGED = [
    ("lumyn_signature", "v1=" + "00" * 32),
    ("lumyn_signature", "v1=" + "00" * 31),
    ("lumyn_signature", "v1=" + "zz" * 32),
    ("lumyn_signature", "v2=" + "00" * 32),
    ("lumyn_signature", "00" * 32),
    ("lumyn_signature", "v1="),
    ("lumyn_signature", ",".join(["v1=" + "00" * 32] * 9)),
    ("lumyn_signature", "é" * 8),
    ("lumyn_timestamp", str(NOW + 1)),
    ("lumyn_timestamp", f"0{NOW}"),
    ("lumyn_timestamp", f"+{NOW}"),
    ("lumyn_timestamp", f"{NOW}.0"),
    ("lumyn_timestamp", "-1"),
    ("lumyn_timestamp", "9" * 5_000),
    ("lumyn_timestamp", "١٧٦٨٤٧٨٤٠٠"),
    ("lumyn_timestamp", " "),
    ("lumyn_request_id", "another"),
    ("lumyn_request_id", "x" * 129),
    ("lumyn_request_id", "a b"),
    ("lumyn_request_id", "a\x7f"),
    ("lumyn_key_id", "not a name"),
    ("lumyn_key_id", "x" * 65),
]


def test_a_header_that_is_not_what_was_signed(signed: Client, tmp_path: Path) -> None:
    for field, value in FORGED:
        reply = signed.signed(*DECIDE, request_document(), **{field: value})
        assert (401, "AUTH_INVALID_SIGNATURE") == (reply.status, reply.code), (field, value)
    assert [] == stored(tmp_path)


def test_a_field_that_comes_twice_is_ambiguous(signed: Client) -> None:
    body = request_document()
    headers = [(name.encode(), value.encode()) for name, value in signed.headers(*DECIDE, body).items()]
    for name in (b"lumyn-signature", b"lumyn-timestamp", b"lumyn-request-id"):
        value = dict(headers)[name]
        reply = signed.call(*DECIDE, body, headers=[*headers, (name, value)])
        assert (401, "AUTH_INVALID_SIGNATURE") == (reply.status, reply.code)


def test_method_path_query_and_body_are_signed(signed: Client, tmp_path: Path) -> None:
    body = request_document()
    good = signed.headers(*DECIDE, body)
    for method, target, sent in (
        ("PUT", "/v0/decide", body),
        ("POST", "/v0/decide?x=1", body),
        ("POST", "/v0/%64ecide", body),
        ("POST", "/v0/decide", request_document(request_id="other")),
        ("POST", "/v0/decide", json.dumps(body, indent=1).encode()),
    ):
        reply = signed.call(method, target, sent, headers=good)
        assert (401, "AUTH_INVALID_SIGNATURE") == (reply.status, reply.code), (method, target)
    assert [] == stored(tmp_path)
    assert 200 == signed.call(*DECIDE, body, headers=good).status


def test_the_path_is_signed_as_it_is_sent(signed: Client) -> None:
    """Not as it is read: what is escaped stays escaped, and is no route."""
    for target in ("/v0/%64ecide", "/v0%2Fdecide", "/%76%30/decide"):
        assert 404 == signed.signed("POST", target, request_document()).status
        assert 401 == signed.call("POST", target, request_document()).status
    assert 401 == signed.call("GET", "/%68ealthz").status
    assert 200 == signed.signed("GET", "/v0/decisions?limit=1&verdict=TRUST").status


@pytest.mark.parametrize("off", [-300, -1, 0, 1, 300])
def test_a_clock_may_be_a_little_off(signed: Client, off: int) -> None:
    assert 200 == signed.signed(*DECIDE, request_document(), at=NOW + off).status


@pytest.mark.parametrize("off", [-10_000_000, -301, 301, 10_000_000, -NOW])
def test_a_clock_may_not_be_far_off(signed: Client, tmp_path: Path, off: int) -> None:
    """Either way: a signature that becomes good later is as stale as one that was."""
    reply = signed.signed(*DECIDE, request_document(), at=NOW + off)
    assert (401, "AUTH_STALE") == (reply.status, reply.code)
    assert [] == stored(tmp_path)


def test_the_signature_is_checked_before_the_time(signed: Client) -> None:
    """A stranger is not told how late it is."""
    reply = signed.signed(*DECIDE, request_document(), at=NOW - 1_000, lumyn_signature="v1=" + "00" * 32)
    assert "AUTH_INVALID_SIGNATURE" == reply.code


def test_the_same_request_twice_is_a_replay(signed: Client, tmp_path: Path) -> None:
    body = request_document()
    headers = signed.headers(*DECIDE, body)
    assert 200 == signed.call(*DECIDE, body, headers=headers).status
    again = signed.call(*DECIDE, body, headers=headers)
    assert (401, "AUTH_REPLAYED", "ABSTAIN") == (again.status, again.code, again.data["verdict"])
    assert 1 == len(stored(tmp_path))


def test_a_replay_is_refused_whatever_the_unsigned_fields_say(tmp_path: Path) -> None:
    """The key's name is no part of what is signed, and of two signatures one can be taken away."""
    keys = [*KEYS, {"id": "old", "secret": OTHER_SECRET, "scopes": ["decide"]}]
    with Client(configured(tmp_path, keys=keys)) as client:
        body = request_document()
        one = client.headers(*DECIDE, body, name="same")
        other = client.headers(*DECIDE, body, secret=OTHER_SECRET, name="same")
        both = {**one, "lumyn-signature": f"{one['lumyn-signature']},{other['lumyn-signature']}"}
        assert 200 == client.call(*DECIDE, body, headers=both).status
        for headers in (one, other, {**one, "lumyn-key-id": "old"}):
            assert "AUTH_REPLAYED" == client.call(*DECIDE, body, headers=headers).code
    assert 1 == len(stored(tmp_path))


def test_a_replay_is_refused_after_a_restart_and_by_another_process(tmp_path: Path) -> None:
    config = configured(tmp_path, keys=KEYS)
    body = request_document()
    with Client(config) as first:
        headers = first.headers(*DECIDE, body)
        with Client(config) as beside:
            assert 200 == first.call(*DECIDE, body, headers=headers).status
            assert "AUTH_REPLAYED" == beside.call(*DECIDE, body, headers=headers).code
    with Client(config) as later:
        assert "AUTH_REPLAYED" == later.call(*DECIDE, body, headers=headers).code
    assert 0o600 == (tmp_path / "lumyn.db.requests").stat().st_mode & 0o777


def test_ids_are_forgotten_when_they_are_stale(signed: Client, tmp_path: Path) -> None:
    """So the file stays small, and a replay of then is stale by now."""
    import sqlite3

    body = request_document()
    headers = signed.headers(*DECIDE, body)
    signed.call(*DECIDE, body, headers=headers)
    signed.now += 1_000
    signed.signed(*DECIDE, body)
    assert "AUTH_STALE" == signed.call(*DECIDE, body, headers=headers).code
    with sqlite3.connect(tmp_path / "lumyn.db.requests") as db:
        assert [(1,)] == db.execute("SELECT count(*) FROM seen").fetchall()
    db.close()


def test_what_cannot_be_remembered_is_not_taken(signed: Client, tmp_path: Path) -> None:
    (tmp_path / "lumyn.db.requests").mkdir()
    reply = signed.signed(*DECIDE, request_document())
    assert (503, "STORAGE_UNAVAILABLE", "ABSTAIN") == (reply.status, reply.code, reply.data["verdict"])
    assert [] == stored(tmp_path)
    ready = signed.call("GET", "/readyz")
    assert (503, "STORAGE_UNAVAILABLE") == (ready.status, ready.data["store"])


def test_secrets_are_changed_without_a_gap(tmp_path: Path) -> None:
    """Both are good while both are configured; the one that is taken out is not."""
    body = request_document()
    both = [*KEYS, {"id": "new", "secret": OTHER_SECRET, "scopes": ["decide"]}]
    with Client(configured(tmp_path, keys=both)) as client:
        assert 200 == client.signed(*DECIDE, body, secret=SECRET).status
        assert 200 == client.signed(*DECIDE, body, secret=OTHER_SECRET).status
        bad = client.headers(*DECIDE, body, secret="x" * 32)["lumyn-signature"]
        good = client.headers(*DECIDE, body, name="two")
        good["lumyn-signature"] = f"{bad},{good['lumyn-signature']}"
        assert 200 == client.call(*DECIDE, body, headers=good).status
    with Client(configured(tmp_path, keys=both[1:])) as client:
        assert "AUTH_INVALID_SIGNATURE" == client.signed(*DECIDE, body, secret=SECRET, name="late").code


def test_who_may_only_list_keeps_no_decision_waiting(signed: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a probe: checking who asks has a thread of its own."""
    import asyncio
    import threading

    let_go = threading.Event()
    real = signed.service.decisions

    def slowly(*arguments: Any, **options: Any) -> Any:
        let_go.wait(20)
        return real(*arguments, **options)

    monkeypatch.setattr(signed.service, "decisions", slowly)
    body = request_document()

    async def all_of_them() -> list[Any]:
        lists = []
        for _ in range(6):
            target = "/v0/decisions"
            call = signed.send("GET", target, headers=signed.headers("GET", target))
            lists.append(asyncio.create_task(call))
        await asyncio.sleep(0.05)
        try:
            decided = await asyncio.wait_for(signed.send(*DECIDE, body, headers=signed.headers(*DECIDE, body)), 10)
            ready = await asyncio.wait_for(signed.send("GET", "/readyz"), 10)
            assert not any(each.done() for each in lists)
        finally:
            let_go.set()
        return [decided, ready, *await asyncio.gather(*lists)]

    assert {200} == {reply.status for reply in signed.run(all_of_them())}


def test_the_key_that_signed_is_logged(signed: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Not the one the caller names, and nothing of the secret or the signature."""
    caplog.set_level("INFO")
    reply = signed.signed(*DECIDE, request_document(), lumyn_key_id="somebody")
    assert 200 == reply.status
    line = next(json.loads(record.message) for record in caplog.records if "decision" in record.message)
    assert "all" == line["key_id"]
    assert SECRET not in caplog.text
    assert "lumyn_auth" not in caplog.text


def test_size_is_looked_at_before_the_signature_and_json_after_it(tmp_path: Path) -> None:
    config = configured(tmp_path, keys=KEYS)
    small = dataclasses.replace(config, limits=dataclasses.replace(config.limits, request_bytes=1_000))
    with Client(small) as client:
        assert 413 == client.call(*DECIDE, b" " * 1_001, headers={}).status
        assert "AUTH_REQUIRED" == client.call(*DECIDE, b"{", headers=JSON).code
        assert "INVALID_REQUEST_SCHEMA" == client.signed(*DECIDE, b"{").code
        assert 415 == client.signed(*DECIDE, b"{", content_type="text/plain").status


def test_refusals_are_counted_by_code(signed: Client) -> None:
    signed.call(*DECIDE)
    signed.signed(*DECIDE, request_document(), lumyn_signature="v1=" + "00" * 32)
    counted = signed.signed("GET", "/metrics").body.decode()
    for code in ("AUTH_REQUIRED", "AUTH_INVALID_SIGNATURE"):
        assert f'lumyn_auth_failures_total{{reason_code="{code}"}} 1.0' in counted


def test_a_signed_service_may_have_any_name(signed: Client) -> None:
    headers = {**signed.headers("GET", "/v0/policy"), "host": "gate.example"}
    assert 200 == signed.call("GET", "/v0/policy", headers=headers).status


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("LOCALHOST:8350", True),
        ("127.0.0.1:80", True),
        ("127.8.9.1", True),
        ("[::1]:8350", True),
        ("[::ffff:127.0.0.1]", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("localhost:x", False),
        ("user@localhost", False),
        ("", False),
        ("é", False),
    ],
)
def test_an_unsigned_service_answers_to_names_of_this_machine(client: Client, host: str, local: bool) -> None:
    """A page in a browser can have a name of its own lead here; it cannot have the browser say another one."""
    reply = client.call("GET", "/v0/policy", headers=[(b"host", host.encode())])
    assert local is (reply.status == 200)
    if not local:
        assert (421, "HOST_NOT_LOCAL") == (reply.status, reply.code)


@pytest.mark.parametrize("hosts", [[b"localhost", b"evil.example"], [b"localhost", b"localhost"]])
def test_two_hosts_are_none(client: Client, hosts: list[bytes]) -> None:
    assert 421 == client.call("GET", "/v0/policy", headers=[(b"host", host) for host in hosts]).status


def test_no_page_of_another_origin_is_let_in(client: Client) -> None:
    for method in ("OPTIONS", "POST", "GET"):
        reply = client.call(method, "/v0/decide", request_document(), headers={**JSON, "origin": "http://evil.example"})
        assert [] == [name for name in reply.headers if name.startswith("access-control")]


def keys(*given: object) -> Iterator[str]:
    for value in given:
        yield json.dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        *keys(
            [],
            {},
            [1],
            "secret-canary-0123456789012345",
            [{"id": "a", "secret": "secret-canary"}],
            [{"id": "a", "secret": "secret-canary-too-short", "scopes": ["read"]}],
            [{"id": "a", "secret": "secret-canary-0123456789012345", "scopes": []}],
            [{"id": "a", "secret": "secret-canary-0123456789012345", "scopes": ["all"]}],
            [{"id": "a", "secret": "secret-canary-0123456789012345", "scopes": ["read", "read"]}],
            [{"id": "a", "secret": "secret-canary-0123456789012345", "scopes": "read"}],
            [{"id": "a b", "secret": "secret-canary-0123456789012345", "scopes": ["read"]}],
            [{"id": "a", "secret": "secret-canary-0123456789012345 ", "scopes": ["read"]}],
            [{"id": "a", "secret": "secret-canary-0123456789012345", "scopes": ["read"], "x": 1}],
            [{"id": "a", "secret": "secret-canary-0123456789012345", "scopes": ["read"]}] * 2,
            [
                {"id": str(number), "secret": f"secret-canary-0123456789012345-{number}", "scopes": ["read"]}
                for number in range(5)
            ],
        ),
        "secret-canary",
    ],
)
def test_keys_that_protect_nothing_are_refused(tmp_path: Path, value: str) -> None:
    """Without a word of them in the message."""
    with pytest.raises(InvalidConfigError) as caught:
        load_config(start=tmp_path, environ={"LUMYN_SERVICE_KEYS": value})
    assert "secret-canary" not in str(caught.value) + json.dumps(caught.value.to_dict())
    assert ["VALUE_INVALID"] == [problem.code for problem in caught.value.problems]


def test_a_configuration_does_not_show_its_secrets(tmp_path: Path) -> None:
    config = configured(tmp_path, keys=KEYS)
    assert SECRET not in repr(config) + str(config) + "".join(map(str, config.service.keys))
