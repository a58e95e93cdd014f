"""
Who may call: signatures checked over the raw bytes, before anything of a request is parsed.
Says yes with the key that signed, or raises `AuthError`; must not know routes, policies or what a request means.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from lumyn.api.signing import (
    KEY_ID_HEADER,
    REQUEST_ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    signature,
    signed_text,
)
from lumyn.config import ServiceKey
from lumyn.errors import AuthError

__all__ = ["DECIDE", "LABEL", "OPEN_PATHS", "READ", "TOLERANCE_S", "Authenticator", "Caller", "Headers", "scope_of"]

DECIDE: Final = "decide"
LABEL: Final = "label"
READ: Final = "read"
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""What a probe may ask without a signature: it says next to nothing."""
TOLERANCE_S: Final = 300
"""How far the clock of a caller may be off, either way."""

Headers = Sequence[tuple[bytes, bytes]]
"""Header fields as ASGI has them: names in lower case, values as they came."""

_TIMESTAMP: Final = re.compile(rb"(0|[1-9][0-9]{0,11})")
_REQUEST_ID: Final = re.compile(rb"[!-~]{1,128}")
_KEY_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SIGNATURES: Final = re.compile(rb"v1=[0-9a-fA-F]{64}(?:,v1=[0-9a-fA-F]{64}){0,7}")
_ONE: Final = re.compile(rb"v1=([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """
    Who signed a request.

    Attributes:
        key_id: The key that the signature was made with, whatever the caller says it was.
        request_id: What makes the request differ from every other.
        expires_at: Until when it could be sent again, in seconds since 1970.
    """

    key_id: str
    scopes: frozenset[str]
    request_id: bytes
    expires_at: int


class Authenticator:
    """
    Checks signatures against one to four secrets.

    Args:
        now: Returns the seconds since 1970-01-01T00:00:00Z.
    """

    def __init__(self, keys: Sequence[ServiceKey], *, now: Callable[[], float]) -> None:
        self._keys = tuple(keys)
        self._now = now

    def caller(self, *, method: bytes, target: bytes, headers: Headers, body: bytes) -> Caller:
        """
        Return who signed exactly this request, lately.

        Args:
            target: The path with its query, as it came over the wire.

        Raises:
            AuthError: `AUTH_REQUIRED`, `AUTH_INVALID_SIGNATURE` or `AUTH_STALE`, found in this order.
        """
        timestamp = _field(headers, TIMESTAMP_HEADER, _TIMESTAMP)
        request_id = _field(headers, REQUEST_ID_HEADER, _REQUEST_ID)
        given = _field(headers, SIGNATURE_HEADER, _SIGNATURES)
        _field(headers, KEY_ID_HEADER, _KEY_ID, needed=False)  # a hint: no decision rests on it
        text = signed_text(method=method, target=target, timestamp=timestamp, request_id=request_id, body=body)
        key = self._signer(text, [bytes.fromhex(each.decode()) for each in _ONE.findall(given)])
        if key is None:
            _refuse("AUTH_INVALID_SIGNATURE")
        at = int(timestamp)
        if abs(self._now() - at) > TOLERANCE_S:
            _refuse("AUTH_STALE")
        return Caller(key_id=key.id, scopes=key.scopes, request_id=request_id, expires_at=at + TOLERANCE_S)

    def _signer(self, text: bytes, given: Sequence[bytes]) -> ServiceKey | None:
        """Return the key one of the signatures was made with. Takes as long whichever it is, and if it is none."""
        found = None
        for key in self._keys:
            expected = signature(key.secret, text)
            for each in given:
                if hmac.compare_digest(expected, each) and found is None:
                    found = key
        return found


def scope_of(method: str, path: str) -> str:
    """Return the scope a request needs. What is not known to change anything still takes the right to read."""
    if method == "POST" and path == "/v0/decide":
        return DECIDE
    return LABEL if method not in {"GET", "HEAD"} else READ


def check_scope(caller: Caller, scope: str) -> None:
    """Raise `AuthError` with `AUTH_SCOPE` when the key is not for this."""
    if scope not in caller.scopes:
        _refuse("AUTH_SCOPE")


_MESSAGES: Final = {
    "AUTH_REQUIRED": "the request is not signed",
    "AUTH_INVALID_SIGNATURE": "the signature does not fit the request",
    "AUTH_STALE": f"the request was signed more than {TOLERANCE_S} seconds ago, or hence",
    "AUTH_REPLAYED": "a request with this id came before",
    "AUTH_SCOPE": "the key is not for this route",
}


def replayed() -> AuthError:
    """Return the error for a request that came before."""
    return AuthError(_MESSAGES["AUTH_REPLAYED"], reason_code="AUTH_REPLAYED", hint="sign every request anew")


def _refuse(code: str) -> NoReturn:
    raise AuthError(_MESSAGES[code], reason_code=code)


def _field(headers: Headers, name: str, form: re.Pattern[bytes], *, needed: bool = True) -> bytes:
    """Return the one value of a field. Two of them could be read in two ways, so that is none."""
    wanted = name.lower().encode()
    found = [value for key, value in headers if key == wanted]
    if not found:
        if needed:
            _refuse("AUTH_REQUIRED")
        return b""
    if len(found) > 1 or form.fullmatch(found[0]) is None:
        _refuse("AUTH_INVALID_SIGNATURE")
    return found[0]
