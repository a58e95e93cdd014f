"""Callers of the service who forge, replay, overload or hang up: each refused with its code, nothing stored."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from api.harness import KEYS, NOW, OTHER_SECRET, SECRET, Client, Reply, configured, serving
from bad_inputs.catalogue import case
from bad_inputs.requests import POLICY_FILE, REFUND

from lumyn.store import open_store

DECIDE = ("POST", "/v0/decide")
FRESH: dict[str, Any] = {name: value for name, value in REFUND.items() if name != "request_id"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Client]:
    """A signed service with the catalogue's policy."""
    with Client(configured(tmp_path, policy=POLICY_FILE, keys=KEYS)) as opened:
        yield opened


@pytest.fixture
def unsigned(tmp_path: Path) -> Iterator[Client]:
    with Client(configured(tmp_path, policy=POLICY_FILE)) as opened:
        yield opened


def count(folder: Path) -> int:
    """Return how many decisions and events are stored, as somebody else reads it."""
    store = open_store(f"sqlite:///{folder / 'lumyn.db'}")
    rows = list(store.decisions(limit=1_000))
    found = len(rows) + sum(len(store.events(row.decision_id)) for row in rows)
    store.close()
    return found


def assert_refused(reply: Reply, status: int, code: str, folder: Path) -> None:
    """Assert the problem, the verdict in it, and that nothing is stored."""
    assert (status, code, "ABSTAIN") == (reply.status, reply.code, reply.data["verdict"])
    assert 0 == count(folder)


@case("htp-002", "htp-003", "htp-006")
def test_a_signature_that_does_not_fit(service: Client, tmp_path: Path, case: str) -> None:
    changed = {
        "htp-002": {"lumyn_signature": "v1=" + "00" * 32},
        "htp-003": {"lumyn_signature": "é"},
        "htp-006": {"lumyn_timestamp": str(NOW + 1)},
    }[case]
    assert_refused(service.signed(*DECIDE, FRESH, **changed), 401, "AUTH_INVALID_SIGNATURE", tmp_path)
    assert 200 == service.signed(*DECIDE, FRESH).status


@case("htp-004")
def test_a_stale_signature(service: Client, tmp_path: Path, case: str) -> None:
    assert_refused(service.signed(*DECIDE, FRESH, at=NOW - 301), 401, "AUTH_STALE", tmp_path)
    assert 200 == service.signed(*DECIDE, FRESH, at=NOW - 300).status


@case("htp-007")
def test_a_replay(service: Client, tmp_path: Path, case: str) -> None:
    """A request that is signed anew gets the stored record again; the very same one gets nothing."""
    headers = service.headers(*DECIDE, REFUND)
    first = service.call(*DECIDE, REFUND, headers=headers)
    again = service.call(*DECIDE, REFUND, headers=headers)
    assert (200, 401, "AUTH_REPLAYED") == (first.status, again.status, again.code)
    anew = service.signed(*DECIDE, REFUND)
    assert (first.body, "true") == (anew.body, anew.headers["lumyn-replayed"])
    assert 1 == count(tmp_path)


@case("htp-008", "htp-009")
def test_a_signature_of_something_else(service: Client, tmp_path: Path, case: str) -> None:
    elsewhere = {
        "htp-008": [("POST", "/v0/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV/events")],
        "htp-009": [("PUT", "/v0/decide"), ("POST", "/v0/decide?dry_run=0")],
    }[case]
    for target in elsewhere:
        reply = service.call(*target, FRESH, headers=service.headers(*DECIDE, FRESH))
        assert (401, "AUTH_INVALID_SIGNATURE") == (reply.status, reply.code)
    assert 0 == count(tmp_path)


@case("htp-011", "htp-013")
def test_secrets_while_they_are_changed(tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture) -> None:
    both = [*KEYS, {"id": "new", "secret": OTHER_SECRET, "scopes": ["decide"]}]
    caplog.set_level("INFO")
    with Client(configured(tmp_path, policy=POLICY_FILE, keys=both)) as client:
        if case == "htp-011":
            headers = client.headers(*DECIDE, FRESH)
            headers["lumyn-signature"] = f"v1={'00' * 32},{headers['lumyn-signature']}"
            assert 200 == client.call(*DECIDE, FRESH, headers=headers).status
            return
        for secret in (SECRET, OTHER_SECRET):
            assert 200 == client.signed(*DECIDE, FRESH, secret=secret).status
    logged = [json.loads(each.message) for each in caplog.records if each.name == "lumyn.service"]
    assert ["all", "new"] == [line["key_id"] for line in logged if line["event"] == "decision"]
    with Client(configured(tmp_path, policy=POLICY_FILE, keys=both[1:])) as client:
        assert "AUTH_INVALID_SIGNATURE" == client.signed(*DECIDE, FRESH, secret=SECRET, name="late").code


@case("htp-016")
def test_an_unsigned_label(service: Client, tmp_path: Path, case: str) -> None:
    """Labels steer later verdicts."""
    decision_id = service.signed(*DECIDE, FRESH).data["decision_id"]
    event = {"type": "label", "data": {"label": "success"}}
    reply = service.call("POST", f"/v0/decisions/{decision_id}/events", event)
    assert (401, "AUTH_REQUIRED") == (reply.status, reply.code)
    assert 1 == count(tmp_path)


@case("htp-019")
def test_chunks_over_the_limit(unsigned: Client, tmp_path: Path, case: str) -> None:
    body = json.dumps(FRESH).encode()
    parts = [body, *[b" " * 65_536] * 16]
    assert_refused(unsigned.call(*DECIDE, parts=parts), 413, "REQUEST_TOO_LARGE", tmp_path)


@case("htp-020")
def test_a_header_that_does_not_end(tmp_path: Path, case: str) -> None:
    """The time is the operator's; by default it is ten seconds."""
    assert configured(tmp_path).service.header_timeout_s <= 10
    with (
        serving(tmp_path, toml="header_timeout_s = 0.3") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as caller,
    ):
        caller.sendall(b"POST /v0/decide HTTP/1.1\r\nHost: localhost\r\nX-Left: open")
        started = time.monotonic()
        assert b"" == caller.recv(10)
        assert time.monotonic() - started < 9


@case("htp-022", "htp-023")
def test_a_body_of_another_kind(unsigned: Client, tmp_path: Path, case: str) -> None:
    headers = {
        "htp-022": {"content-type": "text/plain"},
        "htp-023": {"content-type": "application/json", "content-encoding": "gzip"},
    }[case]
    body = gzip.compress(b" " * 10_000_000) if case == "htp-023" else FRESH
    assert_refused(unsigned.call(*DECIDE, body, headers=headers), 415, "MEDIA_TYPE_UNSUPPORTED", tmp_path)


@case("htp-024")
def test_a_refusal_repeats_nothing(unsigned: Client, tmp_path: Path, case: str) -> None:
    canary = "canary-7f3a"
    for change in ({"schema_version": canary}, {"action": canary}, {"evidence": {"k": {"x": canary}}}, {"x": canary}):
        reply = unsigned.call(*DECIDE, {**FRESH, **change})
        assert_refused(reply, 422, "INVALID_REQUEST_SCHEMA", tmp_path)
        assert all(each["pointer"] for each in reply.data["problems"])
        assert canary not in reply.body.decode()


@case("htp-026")
def test_an_id_that_is_a_path(unsigned: Client, case: str) -> None:
    for decision_id in ("..%2f..%2fetc%2fpasswd", "%27%20OR%201=1--", "x" * 5_000, "%00", "%ff", "@last", "-", "01ARZ"):
        reply = unsigned.call("GET", f"/v0/decisions/{decision_id}")
        assert (404, "DECISION_NOT_FOUND") == (reply.status, reply.code)


@case("htp-027")
def test_a_page_in_a_browser(unsigned: Client, tmp_path: Path, case: str) -> None:
    """It may send what it likes to a name of its own that leads here; it is not answered, nor told that it may read."""
    page = {"origin": "http://evil.example", "content-type": "application/json"}
    assert_refused(
        unsigned.call(*DECIDE, FRESH, headers={**page, "host": "evil.example"}), 421, "HOST_NOT_LOCAL", tmp_path
    )
    asked = unsigned.call("OPTIONS", "/v0/decide", headers={**page, "access-control-request-method": "POST"})
    assert 405 == asked.status
    assert [] == [name for name in asked.headers if name.startswith("access-control")]
    assert "127.0.0.1" == configured(tmp_path).service.bind_host


@case("htp-029", "htp-030")
def test_the_end_of_one_side(tmp_path: Path, case: str) -> None:
    """The caller hangs up, or the service is killed: what was answered is stored, and a retry is safe."""
    acknowledged: list[bytes] = []
    with serving(tmp_path) as server:
        body = json.dumps(FRESH).encode()
        if case == "htp-029":
            head = b"POST /v0/decide HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            retried = json.dumps(REFUND).encode()
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", server.port)) as caller:
                    caller.sendall(head + b"Content-Length: %d\r\n\r\n" % len(retried) + retried)
            replies = [server.call(*DECIDE, retried) for _ in range(2)]
            assert {200} == {reply.status for reply in replies}
            assert 1 == len({reply.body for reply in replies}) == count(tmp_path)
            return

        def ask() -> None:
            while True:
                try:
                    acknowledged.append(server.call(*DECIDE, body).body)
                except (OSError, HTTPException):
                    return

        callers = [threading.Thread(target=ask) for _ in range(8)]
        for caller in callers:
            caller.start()
        while len(acknowledged) < 40:
            time.sleep(0.005)
        server.process.kill()
        for caller in callers:
            caller.join(timeout=30)
    store = open_store(f"sqlite:///{tmp_path / 'lumyn.db'}")
    kept = {row.record_json.encode() for row in store.decisions(limit=100_000)}
    store.close()
    assert set() == set(acknowledged) - kept
