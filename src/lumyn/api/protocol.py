"""
uvicorn's HTTP/1.1 connection with what it lacks: a time limit for headers, a limit of connections, errors as problems.
Must not know routes.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lumyn.api.problems import problem

__all__ = ["MOST_CONNECTIONS", "protocol_with"]

MOST_CONNECTIONS: Final = 1_000


class GuardedProtocol(H11Protocol):
    """One connection. Closed when a header does not arrive in time: uvicorn itself waits for ever."""

    header_timeout_s = 10.0

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.close()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._wait()  # for the rest of a header; what came before does not give it more time
        else:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP: a problem like every other, and the end of the connection."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:  # an answer is on its way already
            self.transport.close()
            return
        answer = problem(
            HTTPStatus.BAD_REQUEST, "HTTP_INVALID", "this is no HTTP request", headers={"connection": "close"}
        )
        response = h11.Response(status_code=answer.status, headers=answer.raw_headers(), reason=b"Bad Request")
        for event in (response, h11.Data(data=answer.body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.header_timeout_s, self._too_late)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_late(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.close()


def protocol_with(*, header_timeout_s: float) -> type[GuardedProtocol]:
    """Return the connections of a server whose callers have this long for a header."""
    return type("Connection", (GuardedProtocol,), {"header_timeout_s": header_timeout_s})
