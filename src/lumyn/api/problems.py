"""
Errors as HTTP answers: problem documents (RFC 9457), each with the reason code that the library would raise.
Repeats nothing that a caller sent; must not know routes, stores or policies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from lumyn.api.desk import BusyError
from lumyn.documents import Limits, load_json
from lumyn.errors import (
    AuthError,
    IdempotencyConflictError,
    InvalidDocumentError,
    InvalidRequestError,
    LumynError,
    NotFoundError,
    Problem,
    StoreUnavailableError,
)
from lumyn.model import Verdict

__all__ = ["JSON", "PROBLEM_JSON", "Answer", "located", "problem", "problem_of"]

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1

_BODY: Final = "body"
_NOT_JSON: Final = frozenset({"JSON_INVALID", "JSON_DUPLICATE_KEY", "JSON_TOO_DEEP", "UNICODE_INVALID"})
_CONFLICTS: Final = frozenset({"ALREADY_RETRACTED", "NOTHING_TO_RETRACT", "RETRACTION_AMBIGUOUS"})
_UNSAID: Final = {
    "DECISION_NOT_FOUND": "no stored decision has this id",
    "IDEMPOTENCY_CONFLICT": "this `request_id` was used before for a different request",
    "MEMORY_NOT_FOUND": "the decision has no such label",
}
"""What is said where the library names what it was given: that may have come from somebody else's request."""
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back to a caller: made wherever it is known, sent by whoever holds the connection."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, document: object, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Answer:
        """Return `document` as JSON."""
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return cls.text(body, media_type=JSON, status=status, headers=headers)

    @classmethod
    def text(
        cls,
        body: bytes,
        *,
        media_type: str,
        status: int = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return bytes as they are."""
        return cls(status=int(status), body=body, media_type=media_type, headers={**_HEADERS, **(headers or {})})

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the header fields as ASGI wants them, those of the body included."""
        fields = {"content-type": self.media_type, "content-length": str(len(self.body)), **self.headers}
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]


def problem(
    status: int,
    reason_code: str,
    detail: str,
    *,
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
    **members: object,
) -> Answer:
    """
    Return a problem document.

    Args:
        detail: What is wrong, in words; repeats nothing that the caller sent.
        members: More of the document; None is left out.
    """
    return _document(status, reason_code, detail, hint, headers or {}, members)


def problem_of(error: LumynError, *, deciding: bool = False) -> Answer:
    """
    Return the problem document of an error.

    Args:
        deciding: Whether a verdict was asked for. It then says `ABSTAIN`, for whoever looks at nothing else.
    """
    members: dict[str, object] = {"verdict": Verdict.ABSTAIN.value} if deciding else {}
    detail = _UNSAID.get(error.reason_code, error.message)
    if isinstance(error, InvalidDocumentError):
        members |= {"pointer": error.problems[0].pointer, "problems": [_problem(each) for each in error.problems]}
        detail = f"the {error.noun} breaks its contract"
    elif isinstance(error, StoreUnavailableError):
        members["storage_error"] = error.detail
    return _document(_status(error), error.reason_code, detail, error.hint, {}, members)


def _document(
    status: int,
    reason_code: str,
    detail: str,
    hint: str | None,
    headers: Mapping[str, str],
    members: Mapping[str, object],
) -> Answer:
    document: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "reason_code": reason_code,
        "detail": detail,
        **({"hint": hint} if hint else {}),
        **{name: value for name, value in members.items() if value is not None},
    }
    extra = dict(headers)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("retry-after", str(RETRY_AFTER_S))
    if status == HTTPStatus.UNAUTHORIZED:
        extra.setdefault("www-authenticate", "Lumyn-HMAC-SHA256")
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    return Answer.text(body, media_type=PROBLEM_JSON, status=status, headers=extra)


def located(error: InvalidRequestError, body: bytes, limits: Limits) -> InvalidRequestError:
    """Return the error with the line and column of each problem in `body`, where they can be told."""
    try:
        document = load_json(body, file=_BODY, error=InvalidRequestError, limits=limits)
    except InvalidRequestError as unreadable:
        return unreadable
    return InvalidRequestError(replace(each, span=document.span(each.pointer)) for each in error.problems)


def _problem(each: Problem) -> dict[str, object]:
    document: dict[str, object] = {"code": each.code, "pointer": each.pointer, "message": each.message}
    if each.span is not None:
        document |= {"line": each.span.line, "column": each.span.column}
    if each.hint:
        document["hint"] = each.hint
    return document


def _status(error: LumynError) -> int:
    match error:
        case AuthError():
            return HTTPStatus.FORBIDDEN if error.reason_code == "AUTH_SCOPE" else HTTPStatus.UNAUTHORIZED
        case IdempotencyConflictError():
            return HTTPStatus.CONFLICT
        case NotFoundError():
            return HTTPStatus.CONFLICT if error.reason_code in _CONFLICTS else HTTPStatus.NOT_FOUND
        case StoreUnavailableError() | BusyError():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case InvalidRequestError():
            codes = {each.code for each in error.problems}
            if "REQUEST_TOO_LARGE" in codes:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            return HTTPStatus.BAD_REQUEST if codes & _NOT_JSON else HTTPStatus.UNPROCESSABLE_ENTITY
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR
