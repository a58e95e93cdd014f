"""
What a signature covers and how it is made: HMAC-SHA256 over method, target, time, id and body.
Pure functions, for the service and its callers alike; must not know keys, clocks or requests.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

__all__ = [
    "KEY_ID_HEADER",
    "REQUEST_ID_HEADER",
    "SIGNATURE_HEADER",
    "TIMESTAMP_HEADER",
    "signature",
    "signed_headers",
    "signed_text",
]

TIMESTAMP_HEADER: Final = "Lumyn-Timestamp"
REQUEST_ID_HEADER: Final = "Lumyn-Request-Id"
KEY_ID_HEADER: Final = "Lumyn-Key-Id"
SIGNATURE_HEADER: Final = "Lumyn-Signature"

_VERSION: Final = b"lumyn.v1"


def signed_text(*, method: bytes, target: bytes, timestamp: bytes, request_id: bytes, body: bytes) -> bytes:
    """
    Return the bytes that a signature covers: six lines, joined by LF, without one at the end.

    Args:
        target: The path with its query, exactly as it goes over the wire.
        timestamp: Seconds since 1970-01-01T00:00:00Z, as the header has them.
    """
    digest = hashlib.sha256(body).hexdigest().encode()
    return b"\n".join((_VERSION, method, target, timestamp, request_id, digest))


def signature(secret: bytes, text: bytes) -> bytes:
    """Return the 32 bytes that sign `text`."""
    return hmac.digest(secret, text, "sha256")


def signed_headers(
    secret: bytes, *, method: str, target: str, timestamp: int, request_id: str, body: bytes = b"", key_id: str = ""
) -> dict[str, str]:
    """
    Return the header fields that sign a request.

    Args:
        target: The path with its query, exactly as it is sent, such as `/v0/decisions?limit=5`.
        request_id: 1 to 128 printable ASCII characters, new for every request.
    """
    text = signed_text(
        method=method.encode("ascii"),
        target=target.encode("ascii"),
        timestamp=str(timestamp).encode("ascii"),
        request_id=request_id.encode("ascii"),
        body=body,
    )
    headers = {
        TIMESTAMP_HEADER: str(timestamp),
        REQUEST_ID_HEADER: request_id,
        SIGNATURE_HEADER: f"v1={signature(secret, text).hex()}",
    }
    return headers | ({KEY_ID_HEADER: key_id} if key_id else {})
