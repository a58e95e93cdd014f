"""The service under faults: what it answered is in the store, whole, and a full disk is told before anybody decides."""

from __future__ import annotations

import http.client
import importlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from api.harness import JSON, Server, as_bytes, request_document, serving
from api.test_routes_v0 import stored

from lumyn.core.verify import verify
from lumyn.store import open_store

pytestmark = pytest.mark.faults
resource: Any = None if os.name == "nt" else importlib.import_module("resource")


def sent_by(server: Server, count: int, acknowledged: list[bytes], stop: threading.Event) -> None:
    """Decide until told to stop, on connections of its own; note every answer that arrived whole."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        for _ in range(count):
            if stop.is_set():
                return
            connection.request("POST", "/v0/decide", as_bytes(request_document()), dict(JSON))
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                acknowledged.append(body)
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
def test_every_answer_is_in_the_store(tmp_path: Path, number: int) -> None:
    """200 callers at once, and the end in the middle of it: told to stop, or killed."""
    acknowledged: list[bytes] = []
    stop = threading.Event()
    with serving(tmp_path) as server, ThreadPoolExecutor(max_workers=200) as pool:
        callers = [pool.submit(sent_by, server, 3, acknowledged, stop) for _ in range(200)]
        while len(acknowledged) < 200:
            time.sleep(0.005)
        code = server.stop(number)
        stop.set()
        for caller in callers:
            caller.result(timeout=30)
    assert (0 if number == signal.SIGTERM else -signal.SIGKILL) == code
    kept = set(stored(tmp_path))
    assert 200 <= len(acknowledged)
    assert set() == {body.decode() for body in acknowledged} - kept
    store = open_store(f"sqlite:///{tmp_path / 'lumyn.db'}")
    assert verify(store).ok
    store.close()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
def test_a_disk_that_is_full_is_not_ready(tmp_path: Path) -> None:
    """As soon as no decision would find room, not when the first did not; and ready again when there is room."""
    with serving(tmp_path) as server:
        assert 200 == server.call("GET", "/readyz").status
        assert 200 == server.call("POST", "/v0/decide", request_document()).status
        log = (tmp_path / "lumyn.db-wal").stat().st_size
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (log - 4_096, resource.RLIM_INFINITY))
        time.sleep(1.1)  # for so long what was found counts
        full = server.call("GET", "/readyz")
        assert (503, "unavailable") == (full.status, full.data["status"])
        assert full.data["store"] in {"STORE_FULL", "STORE_IO_ERROR"}
        assert "1" == full.headers["retry-after"]
        answers = [server.call("POST", "/v0/decide", request_document()).status for _ in range(20)]
        assert 503 == answers[-1]
        assert 200 == server.call("GET", "/healthz").status
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
        time.sleep(1.1)
        assert 200 == server.call("GET", "/readyz").status
        assert 1 + answers.count(200) == len(stored(tmp_path))
        assert 200 == server.call("POST", "/v0/decide", request_document()).status
