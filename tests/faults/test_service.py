"""The service is stopped, or killed, under the hands of 200 callers; what it answered is in the store, whole."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from api.harness import JSON, Server, as_bytes, request_document, serving
from api.test_routes_v0 import stored

from lumyn.core.verify import verify
from lumyn.store import open_store

pytestmark = pytest.mark.faults


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
