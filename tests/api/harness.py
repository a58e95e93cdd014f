"""What the tests of the service share: an application without a network, and a server in a process of its own."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from cli.harness import refund

from lumyn.api.app import create_app
from lumyn.api.service import Service
from lumyn.api.signing import signed_headers
from lumyn.config import Config, load_config
from lumyn.store import open_store

ROOT = Path(__file__).resolve().parents[2]
POLICY = Path(__file__).with_name("policy.yml")
SECRET = "0123456789abcdef0123456789abcdef"  # of no use anywhere else
OTHER_SECRET = "fedcba9876543210fedcba9876543210"
KEYS = [{"id": "all", "secret": SECRET, "scopes": ["decide", "label", "read"]}]
NOW = 1_768_478_400  # 2026-01-15T12:00:00Z
JSON = {"content-type": "application/json"}

Result = TypeVar("Result")
Headers = Mapping[str, str] | Sequence[tuple[bytes, bytes]]


def as_bytes(document: object) -> bytes:
    """Return a document as JSON."""
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def request_document(**changes: object) -> dict[str, Any]:
    """Return a request that is trusted; `changes` are members, None removes one."""
    document = refund()
    document["context"] = {"mode": "digest_only", "digest": "sha256:" + "1" * 64}
    return {key: value for key, value in {**document, **changes}.items() if value is not None}


def configured(folder: Path, *, policy: Path | None = None, create: bool = True, **service: object) -> Config:
    """Return the configuration of a workspace in `folder`, with the policy in a file of its own."""
    file = policy or folder / "policy.yml"
    if not file.exists():
        shutil.copy(POLICY, file)
    store = folder / "lumyn.db"
    if create and not store.exists():
        opened = open_store(f"sqlite:///{store}")
        opened.create()
        opened.close()
    arguments = {f"service.{key}": value for key, value in {"watch_s": 0, **service}.items()}
    arguments |= {"policy.path": file, "store.url": f"sqlite:///{store}", "store.busy_timeout_s": 0.2}
    return load_config(start=folder, arguments=arguments, environ={})


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The reason code of a problem, which the answer has to be."""
        assert "application/problem+json" == self.headers["content-type"], self
        assert self.status == self.data["status"]
        assert {"type", "title", "detail"} <= set(self.data)
        code: str = self.data["reason_code"]
        return code


class Client:
    """Calls an application as a server would, byte for byte."""

    def __init__(self, config: Config, **options: Any) -> None:
        self.service = Service(config, **{"now": lambda: self.now, **options})
        self.now: float = NOW
        self._app = create_app(config, service=self.service)
        self._runner = asyncio.Runner()
        self._exit = self._app.router.lifespan_context(self._app)

    def __enter__(self) -> Client:
        self._runner.run(self._exit.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._exit.__aexit__(None, None, None))
        self._runner.close()

    def call(self, method: str, target: str, body: object = b"", **how: Any) -> Reply:
        """Send one request, as `send` does."""
        return self.run(self.send(method, target, body, **how))

    def together(self, calls: Sequence[tuple[Any, ...]]) -> list[Reply]:
        """Send requests at the same time."""

        async def all_of_them() -> list[Reply]:
            return await asyncio.gather(*(self.send(*each) for each in calls))

        return self.run(all_of_them())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the loop of the application."""
        return self._runner.run(work)

    async def send(
        self,
        method: str,
        target: str,
        body: object = b"",
        *,
        headers: Headers | None = None,
        parts: Sequence[bytes] | None = None,
        gone: bool = False,
    ) -> Reply:
        """Send one request; `parts` is a body that comes in pieces, `gone` hangs up after them."""
        path, _, query = target.partition("?")
        pieces = [as_bytes(body)] if parts is None else list(parts)
        given = JSON if headers is None else headers
        fields = list(given) if not isinstance(given, Mapping) else [(k.encode(), v.encode()) for k, v in given.items()]
        if not any(name == b"host" for name, _ in fields):
            fields.insert(0, (b"host", b"localhost"))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in fields],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        sent: list[Any] = []
        waiting = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if pieces:
                piece = pieces.pop(0)
                more = bool(pieces) or gone
                return {"type": "http.request", "body": piece, "more_body": more}
            if gone:
                return {"type": "http.disconnect"}
            await waiting.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        if not sent:
            return Reply(0, {}, b"")
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], found, b"".join(each.get("body", b"") for each in sent[1:]))

    def decide(self, **changes: object) -> Reply:
        """Decide a request that is trusted but for `changes`."""
        return self.call("POST", "/v0/decide", request_document(**changes))

    def signed(self, method: str, target: str, body: object = b"", **how: Any) -> Reply:
        """
        Send a signed request: `secret`, `at` and `name` as for `headers`.

        Others are header fields replaced after signing, with `_` for `-`; an empty one is left out.
        """
        options = {option: how.pop(option) for option in ("secret", "at", "name") if option in how}
        headers = self.headers(method, target, body, **options)
        headers |= {field.replace("_", "-"): value for field, value in how.items()}
        return self.call(method, target, body, headers={key: value for key, value in headers.items() if value})

    def headers(
        self,
        method: str,
        target: str,
        body: object = b"",
        *,
        secret: str = SECRET,
        at: float | None = None,
        name: str | None = None,
    ) -> dict[str, str]:
        """Return the fields of a signed request."""
        self._count = getattr(self, "_count", 0) + 1
        fields = signed_headers(
            secret.encode(),
            method=method,
            target=target,
            timestamp=int(self.now if at is None else at),
            request_id=name or f"r-{self._count}",
            body=as_bytes(body),
        )
        return {**JSON, **{key.lower(): value for key, value in fields.items()}}


@dataclass
class Server:
    """`lumyn serve` in a process of its own, at a free port."""

    process: subprocess.Popen[str]
    port: int
    said: dict[str, Any]
    log: Path

    def call(
        self, method: str, target: str, body: object = b"", *, headers: Mapping[str, str] = JSON, timeout: float = 30
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, target, as_bytes(body), dict(headers))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def lines(self) -> list[dict[str, Any]]:
        """Return what was logged so far; every line is JSON."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def wait_for(self, event: str, *, count: int = 1, timeout_s: float = 15) -> dict[str, Any]:
        """Return the `count`th line about `event`, once there is one."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            found = [line for line in self.lines() if line["event"] == event]
            if len(found) >= count:
                return found[count - 1]
            time.sleep(0.02)
        raise AssertionError(f"no {event} in {self.lines()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return how the process ended."""
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


@contextmanager
def serving(folder: Path, *options: str, toml: str = "", keys: object = None) -> Iterator[Server]:
    """Run a server in `folder`, whose store and policy are made when they are not there."""
    configured(folder)
    (folder / "lumyn.toml").write_text(
        f'[policy]\npath = "policy.yml"\n[store]\nurl = "sqlite:///lumyn.db"\n[service]\n{toml}\n', encoding="utf-8"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LUMYN_", "COV_"))}
    if keys is not None:
        environ["LUMYN_SERVICE_KEYS"] = json.dumps(keys)
    log = folder / "log"
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "lumyn", "serve", "--port", "0", "--json", *options],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
        )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, log.read_text(encoding="utf-8")
        said = json.loads(first)
        yield Server(process, said["port"], said, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=20)
        assert process.stdout is not None
        process.stdout.close()
