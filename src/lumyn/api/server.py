"""
Runs the service in this process until it is told to stop: one process, one listening socket, four signals.
Says every mistake of the operator before it listens; must not print, which is left to whoever starts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn

from lumyn.api.app import create_app
from lumyn.api.guard import is_loopback
from lumyn.api.log import Log, quiet_libraries
from lumyn.api.protocol import protocol_with
from lumyn.api.service import Service
from lumyn.errors import InvalidConfigError, Problem

if TYPE_CHECKING:
    from lumyn.config import Config

__all__ = ["Listening", "serve"]

_BACKLOG: Final = 512
_MOST_HEADER_BYTES: Final = 32_768
_KEEP_ALIVE_S: Final = 5
_UNREAD_MS: Final = 30_000
"""How long an answer may wait to be read by the other side before its connection is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """
    What a service that has begun to listen says of itself.

    Attributes:
        keys: Ids of the keys, each with its scopes; empty for an unsigned service.
    """

    host: str
    port: int
    store_id: str
    policy_id: str
    policy_version: str
    policy_hash: str
    mode: str
    keys: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def serve(config: Config, *, announce: Callable[[Listening], None]) -> None:
    """
    Serve until `SIGTERM` or `SIGINT`; then answer what was begun, and return.

    `SIGHUP` reloads the policy. A second `SIGINT` ends without waiting.

    Args:
        announce: Called once, when the service listens.

    Raises:
        InvalidConfigError: The address cannot be listened at, or must not be without signatures; or as `create_app`.
        InvalidPolicyError: The policy is not usable.
        StoreUnavailableError: No decision could be kept.
    """
    log = Log().to_stderr()
    quiet_libraries()
    service = Service(config, log=log)
    try:
        service.probe()  # a service that could keep nothing does not begin
        listener = _listener(config)
    except BaseException:  # an interrupt too must not leave the store and its threads open
        service.close()
        raise
    app = create_app(config, service=service)
    server = _Server(
        uvicorn.Config(
            app,
            http=protocol_with(header_timeout_s=config.service.header_timeout_s),
            ws="none",
            loop="asyncio",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # who is in front of us is nobody's word for who is behind it
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(config.service.drain_timeout_s)),
            h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        ),
        service=service,
        ready=lambda: announce(_listening(service, listener)),
    )
    with listener:
        asyncio.run(server.serve(sockets=[listener]))
    log.info("stopped")


class _Server(uvicorn.Server):
    """uvicorn's server with our signals: it would end the process by the signal it was stopped with."""

    def __init__(self, config: uvicorn.Config, *, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready
        self._tasks: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def stop(number: int, frame: FrameType | None) -> None:
            self.force_exit = self.should_exit and number == signal.SIGINT
            self.should_exit = True
            # A handler runs in the middle of anything, so that it must not write a line itself.
            loop.call_soon_threadsafe(self._say_stopping, signal.Signals(number).name)

        def reload(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._reload)

        old = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
        hangup = getattr(signal, "SIGHUP", None)  # there is none on Windows
        if hangup is not None:
            old[hangup] = signal.signal(hangup, reload)
        try:
            yield
        finally:
            for each, handler in old.items():
                signal.signal(each, handler)

    def _say_stopping(self, name: str) -> None:
        self._service.log.info("stopping", signal=name)

    def _reload(self) -> None:
        service = self._service
        task: asyncio.Task[object] = asyncio.ensure_future(
            asyncio.to_thread(service.reload, because="SIGHUP")
        )  # not behind other work: an operator waits for it
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _listening(service: Service, listener: socket.socket) -> Listening:
    gate = service.gate
    host, port = listener.getsockname()[:2]
    return Listening(
        host=host,
        port=port,
        store_id=gate.store.store_id,
        policy_id=gate.policy.policy_id,
        policy_version=gate.policy.policy_version,
        policy_hash=gate.policy.policy_hash,
        mode=gate.mode.value,
        keys=tuple((key.id, tuple(sorted(key.scopes))) for key in service.config.service.keys),
    )


def _listener(config: Config) -> socket.socket:
    """
    Return the socket to listen at, bound.

    Raises:
        InvalidConfigError: It cannot be had: `ADDRESS_UNKNOWN`, `ADDRESS_IN_USE`, `ADDRESS_FORBIDDEN`, or
            `SERVICE_UNSIGNED` for one that others reach and no key protects.
    """
    host, port = config.service.bind_host, config.service.bind_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise _cannot_listen("ADDRESS_UNKNOWN", f"there is no interface `{host}` on this machine") from None
    family, kind, protocol, _, address = found[0]
    if not config.service.keys and not is_loopback(str(address[0])):
        raise _cannot_listen(
            "SERVICE_UNSIGNED",
            f"without keys the service listens on this machine only, and `{host}` is reached from others",
            hint="set `service.keys`, or bind to 127.0.0.1",
        )
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        with contextlib.suppress(AttributeError, OSError):  # where the system has it; connections take it over
            # Who reads no answers must not keep one of the connections for ever.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _not_bound(error, host, port) from None
    return listener


def _not_bound(error: OSError, host: str, port: int) -> InvalidConfigError:
    match error.errno:
        case errno.EADDRINUSE:
            hint = "another process listens there; `--port 0` takes any free port"
            return _cannot_listen("ADDRESS_IN_USE", f"port {port} of `{host}` is in use", hint=hint)
        case errno.EACCES | errno.EPERM:
            hint = "ports below 1024 take rights of their own; choose another one"
            return _cannot_listen("ADDRESS_FORBIDDEN", f"port {port} of `{host}` may not be used", hint=hint)
        case _:
            reason = (error.strerror or "i/o error").lower()
            return _cannot_listen("ADDRESS_UNKNOWN", f"cannot listen at `{host}`: {reason}")


def _cannot_listen(code: str, message: str, *, hint: str | None = None) -> InvalidConfigError:
    return InvalidConfigError([Problem(code=code, message=message, pointer="/service", hint=hint)])
