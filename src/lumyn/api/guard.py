"""
What stands before every route: the size and time of a body, the host asked for, the signature, and the last net.
An ASGI application around another one; must not know what any route does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lumyn.api.auth import OPEN_PATHS, Authenticator, Caller, Headers, check_scope, replayed, scope_of
from lumyn.api.desk import BusyError
from lumyn.api.problems import Answer, problem, problem_of
from lumyn.errors import AuthError, LumynError, StoreUnavailableError
from lumyn.model import Verdict

if TYPE_CHECKING:
    from lumyn.api.service import Service

__all__ = ["DECIDE_PATH", "Guard", "Receive", "Scope", "Send", "is_loopback"]

Message: TypeAlias = MutableMapping[str, Any]  # ASGI's own types
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

DECIDE_PATH: Final = "/v0/decide"

_READ_AND_DROPPED_BYTES: Final = 4 * 1_048_576
"""How much of a body that is too large is read before the answer: a caller that is still sending cannot read one."""
_HELD_BYTES: Final = 64 * 1_048_576
"""How much of bodies is held at a time, whoever sends them: they are read before it is known who does."""
_MOST_HEADER_BYTES: Final = 32_768
_MOST_TARGET_BYTES: Final = 8_192
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")
_CLOSE: Final = {"connection": "close"}


class Guard:
    """
    Lets pass what may pass, its body read already.

    Without keys it listens for this machine only, and answers to no other name of it: a page in a browser must not
    reach it through a name of its own that leads here.
    """

    def __init__(self, app: App, *, service: Service) -> None:
        self._app = app
        self._service = service
        self._limit = service.limits.max_bytes
        self._timeout_s = service.config.service.body_timeout_s
        keys = service.config.service.keys
        self._authenticator = Authenticator(keys, now=service.now) if keys else None
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _Sending(send))

    async def _http(self, scope: Scope, receive: Receive, sending: _Sending) -> None:
        held = _Held(self)
        try:
            answer = await self._guarded(scope, receive, sending, held)
        except asyncio.CancelledError:  # the time to stop is over; a decision that was begun is finished
            stopping = "the service is stopping"
            status = HTTPStatus.SERVICE_UNAVAILABLE
            await sending.answer(_problem(scope, status, BusyError.reason_code, stopping, headers=_CLOSE))
            raise
        except Exception as error:  # noqa: BLE001 - the outermost handler: what nobody expected is answered, and told by its kind
            self._service.log.error("internal_error", kind=type(error).__name__)
            answer = _problem(
                scope, HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "something unexpected happened"
            )
        finally:
            held.release()
        if answer is not None:
            await sending.answer(answer)
        if sending.status is not None:
            route = getattr(scope.get("route"), "path", "none")
            self._service.metrics.answered(scope["method"], route, sending.status)

    async def _guarded(self, scope: Scope, receive: Receive, sending: _Sending, held: _Held) -> Answer | None:
        """Return the answer, or None when one was sent or nobody waits for it."""
        headers: Headers = scope["headers"]
        # A route has one spelling, the one that is signed and that a proxy sees: nothing in it is decoded.
        scope["path"] = scope["raw_path"].decode("latin-1")
        # All that arrives in one piece is a header to the parser, however long it is.
        if sum(len(name) + len(value) for name, value in headers) > _MOST_HEADER_BYTES:
            status, detail = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the header is too large"
            return _problem(scope, status, "HEADER_TOO_LARGE", detail, headers=_CLOSE)
        if len(scope["raw_path"]) + len(scope["query_string"]) > _MOST_TARGET_BYTES:
            detail = "the path and the query are too long"
            return _problem(scope, HTTPStatus.REQUEST_URI_TOO_LONG, "HEADER_TOO_LARGE", detail, headers=_CLOSE)
        try:
            body = await self._body(receive, headers, held)
        except _GoneError:
            return None
        except _NotReadError as refused:
            if refused.code == BusyError.reason_code:
                self._service.metrics.turned_away()
            return _problem(scope, refused.status, refused.code, refused.detail, headers=_CLOSE)
        try:
            if self._authenticator is None:
                if not _is_local_host(headers):
                    detail = "an unsigned service answers to names of this machine only"
                    return _problem(scope, HTTPStatus.MISDIRECTED_REQUEST, "HOST_NOT_LOCAL", detail)
            elif scope["path"] not in OPEN_PATHS:
                scope["lumyn.key_id"] = (await self._caller(scope, headers, body)).key_id
        except (AuthError, StoreUnavailableError, BusyError) as error:
            self._count(error)
            return problem_of(error, deciding=scope["path"] == DECIDE_PATH)
        await self._app(scope, _once(body, receive), sending)
        return None

    async def _caller(self, scope: Scope, headers: Headers, body: bytes) -> Caller:
        if self._authenticator is None:
            raise TypeError("there are no keys")
        target: bytes = scope["raw_path"]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        method: str = scope["method"]
        caller = self._authenticator.caller(method=method.encode("latin-1"), target=target, headers=headers, body=body)
        check_scope(caller, scope_of(method, scope["path"]))
        service = self._service
        if not await service.checks.run(lambda: service.seen.add(caller.request_id, expires_at=caller.expires_at)):
            raise replayed()
        return caller

    def _count(self, error: LumynError) -> None:
        metrics = self._service.metrics
        if isinstance(error, AuthError):
            metrics.refused(error.reason_code)
            self._service.log.info("refused", reason_code=error.reason_code)
        elif isinstance(error, BusyError):
            metrics.turned_away()
        else:
            metrics.storage_failed()

    async def _body(self, receive: Receive, headers: Headers, held: _Held) -> bytes:
        """Return the body, at most as large as allowed: measured as it arrives, whatever its header says."""
        announced = [value for name, value in headers if name == b"content-length"]
        if announced and any(name == b"transfer-encoding" for name, _ in headers):
            # A proxy may have gone by the other one, and take for the next request what was a part of this one.
            raise _NotReadError(HTTPStatus.BAD_REQUEST, "HTTP_INVALID", "the body has two lengths")
        if announced and _LENGTH.fullmatch(announced[0]) is None:
            raise _NotReadError(HTTPStatus.BAD_REQUEST, "HTTP_INVALID", "the length of the body is not a number")
        most = self._limit + _READ_AND_DROPPED_BYTES
        if announced and int(announced[0]) > most:
            raise _too_large(self._limit)
        parts: list[bytes] = []
        size = 0
        more = True
        try:
            async with asyncio.timeout(self._timeout_s):
                while more and size <= most:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise _GoneError
                    part = message.get("body", b"")
                    more = message.get("more_body", False)
                    size += len(part)
                    if size > self._limit:
                        held.release()
                        parts.clear()
                    elif part:
                        held.take(len(part))
                        parts.append(part)
        except TimeoutError:
            if size <= self._limit:
                detail = f"the body did not arrive within {self._timeout_s:g} seconds"
                raise _NotReadError(HTTPStatus.REQUEST_TIMEOUT, "REQUEST_TIMEOUT", detail) from None
        if size > self._limit:
            raise _too_large(self._limit)
        return b"".join(parts)

    def take(self, count: int) -> None:
        """Count bytes that are held; raises when there are too many of them."""
        if self._held + count > max(_HELD_BYTES, 4 * self._limit):
            raise _NotReadError(HTTPStatus.SERVICE_UNAVAILABLE, BusyError.reason_code, "too much is being sent at once")
        self._held += count

    def release(self, count: int) -> None:
        """Count bytes that are not held any more."""
        self._held -= count


class _Held:
    """What one request holds of the room for bodies."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._count = 0

    def take(self, count: int) -> None:
        self._guard.take(count)
        self._count += count

    def release(self) -> None:
        self._guard.release(self._count)
        self._count = 0


class _Sending:
    """Sends one answer, and knows whether it was begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def answer(self, answer: Answer) -> None:
        if self.status is not None:  # half of another one has gone out: nothing can be put right any more
            return
        # The caller may have gone; there is nobody else to tell.
        with suppress(OSError):
            await self({"type": "http.response.start", "status": answer.status, "headers": answer.raw_headers()})
            await self({"type": "http.response.body", "body": answer.body})


class _GoneError(Exception):
    """The caller has hung up."""


class _NotReadError(Exception):
    """The body was not read to its end, so that the connection cannot be used again."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail


def is_loopback(address: str) -> bool:
    """Return whether an address is reached from this machine only."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _is_local_host(headers: Headers) -> bool:
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not hosts[0].isascii():
        return False
    found = _HOST.fullmatch(hosts[0].decode("ascii"))
    if found is None:
        return False
    name = found["name"].strip("[]").lower()
    return name == "localhost" or is_loopback(name)


def _once(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that has the whole body at once, and then what the connection has."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _too_large(limit: int) -> _NotReadError:
    return _NotReadError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "REQUEST_TOO_LARGE", f"the body is larger than {limit} bytes"
    )


def _problem(scope: Scope, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None) -> Answer:
    verdict = Verdict.ABSTAIN.value if scope["path"] == DECIDE_PATH else None
    return problem(status, code, detail, headers=headers, verdict=verdict)
