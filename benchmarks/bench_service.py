"""
`lumyn serve` against a bare FastAPI route that inserts one row durably: requests a second, and the CPU of the server.

    python benchmarks/bench_service.py [--rounds 5] [--check]

Both servers run all the time, on the same event loop and parser; bursts of requests over 16 connections take turns.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from common import SUPPORT_POLICY, arguments, report, requests
from fastapi import FastAPI

from lumyn.store import open_store

CONNECTIONS = 16
BURST = 800
WARM_UP = 200

SERVICE_GOAL = 0.4
CPU_GOAL = 2.5


def bare(database: str) -> FastAPI:
    """Return the application to compare with: parse the body, insert it, commit, answer with it."""
    db = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS rows (body TEXT)")
    lock = threading.Lock()
    app = FastAPI(openapi_url=None)

    @app.post("/v0/decide")
    def insert(request: dict[str, object]) -> dict[str, object]:
        with lock:
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO rows VALUES (?)", (json.dumps(request),))
            db.execute("COMMIT")
        return request

    return app


class Contender:
    """A server in a process of its own."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if self._process.stdout is None:
            raise RuntimeError("no output")
        self._port = json.loads(self._process.stdout.readline())["port"]
        self._sent = 0
        self.rates: list[float] = []

    def burst(self, count: int, *, measured: bool = True) -> None:
        """Send so many requests over all connections."""
        bodies = [
            json.dumps({**each, "request_id": f"bench-{self._sent + i}"}) for i, each in enumerate(requests(count))
        ]
        self._sent += count
        began = time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._send, [bodies[start::CONNECTIONS] for start in range(CONNECTIONS)]))
        if measured:
            self.rates.append(count / (time.perf_counter() - began))

    def _send(self, bodies: list[str]) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        for body in bodies:
            connection.request("POST", "/v0/decide", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}")
        connection.close()

    def end(self) -> float:
        """Stop it and return the milliseconds of CPU it took for a request, start and end included."""
        self._process.send_signal(signal.SIGTERM)
        _, _, used = os.wait4(self._process.pid, 0)
        self._process.returncode = 0
        return (used.ru_utime + used.ru_stime) / self._sent * 1e3


def main() -> int:
    options = arguments("the service against a bare durable insert", rounds=5)
    with tempfile.TemporaryDirectory(prefix="lumyn-bench-") as name:
        folder = Path(name)
        store = open_store(f"sqlite:///{folder / 'lumyn.db'}")
        store.create()
        store.close()
        serve = ["-m", "lumyn", "serve", "--port", "0", "--json", "--policy", str(SUPPORT_POLICY)]
        contenders = {
            "bare route": Contender([__file__, "--bare", str(folder / "bare.db")], folder),
            "lumyn serve": Contender([*serve, "--store", f"sqlite:///{folder / 'lumyn.db'}"], folder),
        }
        for contender in contenders.values():
            contender.burst(WARM_UP, measured=False)
        for _ in range(options.rounds):
            for contender in contenders.values():
                contender.burst(BURST)
        cpu = {each: contender.end() for each, contender in contenders.items()}
    rates = {each: statistics.median(contender.rates) for each, contender in contenders.items()}
    for each in contenders:
        print(f"{each:<12} {rates[each]:8.0f} requests/s  {cpu[each]:6.2f} ms of CPU a request")
    met = [
        report("requests/s of the bare route", rates["lumyn serve"] / rates["bare route"], SERVICE_GOAL, at_least=True),
        report("server CPU of the bare route", cpu["lumyn serve"] / cpu["bare route"], CPU_GOAL),
    ]
    return 1 if options.check and not all(met) else 0


def run_bare(database: str) -> None:
    """Serve the bare route at a free port, as the other contender does."""
    import asyncio
    import socket

    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    config = uvicorn.Config(bare(database), loop="asyncio", http="h11", log_config=None, access_log=False)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        run_bare(sys.argv[2])
    else:
        raise SystemExit(main())
