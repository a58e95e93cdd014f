"""Bodies: how large, how slow, in how many pieces; and what happens when something unexpected does."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from api.harness import JSON, Client, as_bytes, configured, request_document
from api.test_routes_v0 import stored

from lumyn.api.guard import is_loopback

LIMIT = 4_096


@pytest.fixture
def config(tmp_path: Path) -> Any:
    made = configured(tmp_path, body_timeout_s=0.2)
    return dataclasses.replace(made, limits=dataclasses.replace(made.limits, request_bytes=LIMIT))


def padded(size: int) -> bytes:
    """Return a request of exactly this many bytes."""
    body = as_bytes(request_document())
    return body + b" " * (size - len(body))


@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunked"])
def test_the_limit_is_on_what_arrives(config: Any, tmp_path: Path, announced: bool) -> None:
    """With a length and without; the limit itself is allowed, one byte more is not."""
    with Client(config) as client:
        for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
            body = padded(size)
            parts = [body[start : start + 100] for start in range(0, size, 100)]
            headers = {**JSON, **({"content-length": str(size)} if announced else {})}
            reply = client.call("POST", "/v0/decide", headers=headers, parts=parts)
            assert status == reply.status
        assert ("REQUEST_TOO_LARGE", "ABSTAIN", "close") == (
            reply.code,
            reply.data["verdict"],
            reply.headers["connection"],
        )
    assert 1 == len(stored(tmp_path))


def test_a_length_far_too_large_is_not_even_read(config: Any) -> None:
    with Client(config) as client:
        reply = client.call(
            "POST", "/v0/decide", headers={**JSON, "content-length": "99999999999"}, parts=[], gone=True
        )
        assert (413, "REQUEST_TOO_LARGE") == (reply.status, reply.code)


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/" + "x" * 8_192, JSON, 414),
        ("/v0/decisions?" + "x" * 8_192, JSON, 414),
        ("/v0/policy", {"x": "y" * 33_000}, 431),
        ("/v0/policy", [(b"x", b"y")] * 17_000, 431),
    ],
)
def test_what_is_before_a_body_is_bounded_too(config: Any, target: str, headers: Any, status: int) -> None:
    with Client(config) as client:
        reply = client.call("GET", target, headers=headers)
        assert (status, "HEADER_TOO_LARGE") == (reply.status, reply.code)


@pytest.mark.parametrize("length", ["-1", "1e3", "", "9" * 30])
def test_a_length_that_is_none(config: Any, length: str) -> None:
    with Client(config) as client:
        reply = client.call("POST", "/v0/decide", b"{}", headers={**JSON, "content-length": length})
        assert reply.status in {400, 413}
        assert reply.code in {"HTTP_INVALID", "REQUEST_TOO_LARGE"}


def test_a_body_that_does_not_end(config: Any, tmp_path: Path) -> None:
    """However often a byte of it arrives."""
    from lumyn.api.guard import Guard

    with Client(config) as client:

        async def slowly() -> list[Any]:
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                await asyncio.sleep(0.01)
                return {"type": "http.request", "body": b" ", "more_body": True}

            async def send(message: Any) -> None:
                sent.append(message)

            async def never(*arguments: Any) -> None:
                raise AssertionError

            scope: dict[str, Any] = {
                "type": "http",
                "method": "POST",
                "path": "/v0/decide",
                "raw_path": b"/",
                "query_string": b"",
                "headers": [(b"host", b"localhost")],
            }
            await Guard(never, service=client.service)(scope, receive, send)
            return sent

        start, body = client.run(slowly())
        assert (408, True) == (start["status"], b"REQUEST_TIMEOUT" in body["body"])
    assert [] == stored(tmp_path)


def test_who_hangs_up_gets_no_answer_and_no_decision(config: Any, tmp_path: Path) -> None:
    with Client(config) as client:
        reply = client.call("POST", "/v0/decide", parts=[b'{"a":'], gone=True)
        assert 0 == reply.status
        assert 200 == client.decide().status
    assert 1 == len(stored(tmp_path))


def test_bodies_are_held_within_bounds(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all callers together: nobody is known yet while a body is read. What was held is given back."""
    monkeypatch.setattr("lumyn.api.guard._HELD_BYTES", 0)
    with Client(config) as client:
        body = padded(LIMIT)
        replies = client.together([("POST", "/v0/decide", body)] * 5)
        assert {200, 503} >= {reply.status for reply in replies}
        for _ in range(8):
            assert 200 == client.call("POST", "/v0/decide", body).status


def test_what_nobody_expected_is_answered_without_a_word_of_it(
    config: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The one 500 there is: a bug, told by its kind."""

    def broken(*arguments: object, **options: object) -> object:
        raise RuntimeError("canary-7f3a")

    caplog.set_level("INFO")
    with Client(config) as client:
        monkeypatch.setattr(client.service, "decide", broken)
        reply = client.decide()
        assert (500, "INTERNAL_ERROR", "ABSTAIN") == (reply.status, reply.code, reply.data["verdict"])
        assert "canary-7f3a" not in reply.body.decode() + caplog.text
        assert "RuntimeError" in caplog.text
        monkeypatch.undo()
        assert 200 == client.decide().status


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("::1%lo", True),
        ("::ffff:127.0.0.1", True),
        ("::", False),
        ("0.0.0.0", False),
        ("192.168.1.1", False),
        ("::ffff:10.0.0.1", False),
        ("localhost", False),
        ("", False),
        ("1270.0.1", False),
    ],
)
def test_addresses_of_this_machine(address: str, loopback: bool) -> None:
    assert loopback is is_loopback(address)


def test_two_lengths_of_a_body_are_refused(config: Any, tmp_path: Path) -> None:
    """Whoever is in front may have gone by the other one; nothing more is read from this connection."""
    with Client(config) as client:
        headers = {**JSON, "content-length": "4", "transfer-encoding": "chunked"}
        reply = client.call("POST", "/v0/decide", request_document(), headers=headers)
        assert (400, "HTTP_INVALID", "close") == (reply.status, reply.code, reply.headers["connection"])
        assert "ABSTAIN" == reply.data["verdict"]
    assert [] == stored(tmp_path)
