"""`lumyn serve` as a process: what it says, slow and broken callers, signals, and what a kill leaves behind."""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from api.harness import JSON, KEYS, SECRET, Server, as_bytes, request_document, serving
from api.test_reload import rewrite
from api.test_routes_v0 import stored

from lumyn.api.signing import signed_headers

TIMEOUTS = "header_timeout_s = 0.5\nbody_timeout_s = 0.5\nwatch_s = 0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that leave it as it was."""
    with serving(tmp_path_factory.mktemp("server"), toml=TIMEOUTS) as running:
        yield running


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def answer_to(server: Server, data: bytes, *, end: bool = True) -> bytes:
    """Return everything that comes back for these bytes until the connection is closed."""
    with connected(server) as caller:
        try:
            caller.sendall(data)
            if end:
                caller.shutdown(socket.SHUT_WR)
            received = b""
            while part := caller.recv(65_536):
                received += part
        except ConnectionError:
            return b""
        return received


def post(body: bytes, *extra: str, path: str = "/v0/decide") -> bytes:
    fields = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *extra]
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + body


def test_it_says_where_and_with_what(server: Server) -> None:
    said = server.said
    assert ("lumyn.cli.serve.v0", False, []) == (said["schema"], said["signed"], said["keys"])
    assert f"http://127.0.0.1:{server.port}" == said["url"]
    assert said["policy"] == server.call("POST", "/v0/decide", request_document()).data["policy"]


def test_headers_that_do_not_end_close_the_connection(server: Server) -> None:
    """However often a byte of them arrives; also on a connection that was good before."""
    for first in (b"", post(as_bytes(request_document()), f"Content-Length: {len(as_bytes(request_document()))}")):
        with connected(server) as caller:
            caller.sendall(first)
            if first:
                assert caller.recv(65_536).startswith(b"HTTP/1.1 200")
            started = time.monotonic()
            closed = False
            for byte in b"GET /healthz HTTP/1.1\r\nX-Slow: " + b"x" * 200:
                try:
                    caller.sendall(bytes([byte]))
                    caller.settimeout(0.05)
                    if caller.recv(10) == b"":
                        closed = True
                        break
                except TimeoutError:
                    continue
                except ConnectionError:
                    closed = True
                    break
            assert closed
            assert time.monotonic() - started < 8
    assert 200 == server.call("GET", "/healthz").status


def test_a_connection_without_a_word_is_closed(server: Server) -> None:
    with connected(server) as caller:
        assert b"" == caller.recv(10)


def test_a_body_that_does_not_end_is_answered_and_closed(server: Server) -> None:
    reply = answer_to(server, post(b'{"a', "Content-Length: 100"), end=False)
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b'"reason_code":"REQUEST_TIMEOUT"' in reply


def test_chunks_over_the_limit(server: Server) -> None:
    chunk = b"%x\r\n%s\r\n" % (65_536, b" " * 65_536)
    reply = answer_to(server, post(chunk * 40 + b"0\r\n\r\n", "Transfer-Encoding: chunked"))
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b'"reason_code":"REQUEST_TOO_LARGE"' in reply


def test_a_body_in_chunks_is_decided(server: Server) -> None:
    body = as_bytes(request_document())
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7))
    reply = answer_to(server, post(chunks + b"0\r\n\r\n", "Transfer-Encoding: chunked", "Connection: close"), end=False)
    assert reply.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        post(b"", "Content-Length: x"),
        post(b"", "Content-Length: 1", "Content-Length: 2"),
        post(b"zz\r\n", "Transfer-Encoding: chunked"),
        post(b"-1\r\n", "Transfer-Encoding: chunked"),
        post(b"5\r\nabcdefgh\r\n", "Transfer-Encoding: chunked"),
        post(b"", "Transfer-Encoding: gzip"),
    ],
    ids=range(13),
)
def test_what_is_no_http_is_a_problem_too(server: Server, data: bytes) -> None:
    reply = answer_to(server, data)
    assert reply.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ", b"HTTP/1.1 501 ")), reply
    assert b"application/problem+json" in reply
    assert b'"reason_code":"HTTP_INVALID"' in reply or b'"reason_code":"HEADER_TOO_LARGE"' in reply


def test_an_upgrade_is_not_made(server: Server) -> None:
    data = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    assert answer_to(server, data, end=False).startswith(b"HTTP/1.1 200 ")


def test_random_bytes_never_make_a_500(server: Server) -> None:
    """Mutations of good requests: methods, paths, headers, bodies, cut anywhere."""
    random_ = random.Random(20)
    body = as_bytes(request_document())
    good = [
        post(body, f"Content-Length: {len(body)}"),
        post(b"{}", "Content-Length: 2", path="/v0/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV/events"),
        b"GET /v0/decisions?limit=1&verdict=TRUST HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v0/policy HTTP/1.1\r\nHost: localhost\r\nLumyn-Timestamp: 1\r\nLumyn-Signature: v1=00\r\n\r\n",
    ]
    seen: set[bytes] = set()
    for number in range(150):
        data = bytearray(good[number % len(good)])
        for _ in range(random_.randrange(1, 6)):
            at = random_.randrange(len(data))
            match random_.randrange(4):
                case 0:
                    data[at] = random_.randrange(256)
                case 1:
                    del data[at : at + random_.randrange(1, 9)]
                case 2:
                    data[at:at] = random_.randbytes(random_.randrange(1, 9))
                case 3:
                    del data[at + 1 :]
        reply = answer_to(server, bytes(data))
        if reply:
            seen.add(reply.split(b" ", 2)[1])
    assert seen <= {b"200", b"400", b"404", b"405", b"408", b"409", b"413", b"415", b"421", b"422"}, seen
    assert len(seen) > 3
    assert [] == [line for line in server.lines() if line["event"] == "internal_error"]
    assert 200 == server.call("POST", "/v0/decide", request_document()).status


def test_a_caller_that_hangs_up_does_no_harm(server: Server) -> None:
    """The decision is stored or it is not; to send it again is safe."""
    body = as_bytes(request_document(request_id="hang-up"))
    for cut in (10, len(body) // 2, len(body)):
        with connected(server) as caller:
            caller.sendall(post(body, f"Content-Length: {len(body)}")[: cut + 200])
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    first = server.call("POST", "/v0/decide", body)
    assert (200, first.body) == ((again := server.call("POST", "/v0/decide", body)).status, again.body)


def test_one_connection_serves_many_requests(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for _ in range(5):
        connection.request("POST", "/v0/decide", as_bytes(request_document()), dict(JSON))
        answer = connection.getresponse()
        assert (200, "TRUST") == (answer.status, json.loads(answer.read())["verdict"])
    connection.close()


def test_the_log_is_json_and_holds_nothing_of_requests(server: Server) -> None:
    canary = "canary-7f3a"
    server.call("POST", "/v0/decide", request_document(subject={"type": "agent", "id": canary}))
    server.call("POST", "/v0/decide", request_document(subject={"type": canary, "id": canary}))
    server.call("GET", f"/{canary}?{canary}", headers={"X-Canary": canary})
    assert server.wait_for("decision")["policy_hash"] == server.said["policy"]["policy_hash"]
    assert canary not in server.log.read_text(encoding="utf-8")


def test_a_hang_up_signal_reloads_the_policy(tmp_path: Path) -> None:
    with serving(tmp_path, toml="watch_s = 0") as server:
        rewrite(tmp_path, trust="5")
        server.process.send_signal(signal.SIGHUP)
        assert "SIGHUP" == server.wait_for("policy_reloaded")["because"]
        assert "ESCALATE" == server.call("POST", "/v0/decide", request_document()).data["verdict"]
        (tmp_path / "policy.yml").write_text("rules: [", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("policy_not_reloaded")
        assert "ESCALATE" == server.call("POST", "/v0/decide", request_document()).data["verdict"]
        assert 0 == server.stop()


def test_told_to_stop_it_answers_what_was_begun(tmp_path: Path) -> None:
    """A caller that waits for the store is answered; nobody new is."""
    import sqlite3

    with serving(tmp_path, toml="") as server:
        holder = sqlite3.connect(tmp_path / "lumyn.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(server.call, "POST", "/v0/decide", request_document())
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("stopping")
            time.sleep(0.1)
            holder.execute("ROLLBACK")
            assert 200 == waiting.result(timeout=10).status
        holder.close()
        assert 0 == server.process.wait(timeout=10)
        with pytest.raises(OSError):
            server.call("GET", "/healthz")
    assert 1 == len(stored(tmp_path))


def test_a_signed_service(tmp_path: Path) -> None:
    """Over the wire: the target as it was sent, and the keys from the environment."""
    with serving(tmp_path, "--host", "0.0.0.0", keys=KEYS) as server:
        assert [{"id": "all", "scopes": ["decide", "label", "read"]}] == server.said["keys"]
        assert 401 == server.call("GET", "/v0/policy").status

        def signed(method: str, target: str, name: str, body: bytes = b"") -> Any:
            fields = signed_headers(
                SECRET.encode(),
                method=method,
                target=target,
                timestamp=int(time.time()),
                request_id=name,
                body=body,
            )
            return server.call(method, target, body, headers={**JSON, **fields})

        assert 200 == signed("POST", "/v0/decide", "1", as_bytes(request_document())).status
        assert 200 == signed("GET", "/v0/decisions?limit=1&since=2026-01-01T00%3A00%3A00Z", "2").status
        assert "AUTH_REPLAYED" == signed("GET", "/v0/policy", "2").code
        assert "all" == server.wait_for("decision")["key_id"]
        assert SECRET not in server.log.read_text(encoding="utf-8") + json.dumps(server.said)


def test_told_to_stop_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    """A caller whose body does not end is not waited for longer than it was told."""
    with serving(tmp_path, toml="drain_timeout_s = 1\nbody_timeout_s = 60") as server, connected(server) as caller:
        caller.sendall(post(b"{", "Content-Length: 100"))
        time.sleep(0.2)
        started = time.monotonic()
        assert 0 == server.stop()
        assert time.monotonic() - started < 15
        reply = caller.recv(65_536)
        assert reply.startswith(b"HTTP/1.1 503 ")
        assert b'"reason_code":"SERVICE_BUSY"' in reply
        assert b'"verdict":"ABSTAIN"' in reply


def test_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is closed; when others go, there is room again."""
    import asyncio

    import uvicorn

    from lumyn.api import protocol

    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 2)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> list[bytes]:
        connection = protocol.protocol_with(header_timeout_s=5)
        config = uvicorn.Config(app, http=connection, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", 0))
        task = asyncio.create_task(server._serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        streams = [await asyncio.open_connection(*listener.getsockname()) for _ in range(3)]
        await asyncio.sleep(0.1)
        closed = [await streams[2][0].read(1)]
        for _, writer in streams:
            writer.close()
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        closed.append(await reader.readline())
        writer.close()
        server.should_exit = True
        await task
        return closed

    assert [b"", b"HTTP/1.1 204 No Content\r\n"] == asyncio.run(run())
