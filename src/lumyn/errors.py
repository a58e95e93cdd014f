"""
Every error Lumyn raises on purpose, and the pieces they carry. Knows nothing of policies, requests or stores.

    LumynError
      InvalidDocumentError          a file or body cannot be used; carries every problem found
        InvalidRequestError         INVALID_REQUEST_SCHEMA
        InvalidPolicyError          INVALID_POLICY
        InvalidVectorError          INVALID_VECTOR
        InvalidPackError            INVALID_PACK
        InvalidConfigError          INVALID_CONFIG
      IdempotencyConflictError      IDEMPOTENCY_CONFLICT
      StoreUnavailableError         STORAGE_UNAVAILABLE
        StoreIntegrityError         STORE_INTEGRITY_FAILED
      NotFoundError                 NOT_FOUND
      AuthError                     AUTH_REQUIRED
      InstallationError             INSTALLATION_BROKEN

Messages follow one style: lower case, no full stop, user values in backticks, the cause after a colon, the hint
apart.  No error repeats a value of the request: values can be personal data, names of fields are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = [
    "AuthError",
    "IdempotencyConflictError",
    "InstallationError",
    "InvalidConfigError",
    "InvalidDocumentError",
    "InvalidPackError",
    "InvalidPolicyError",
    "InvalidRequestError",
    "InvalidVectorError",
    "LumynError",
    "NotFoundError",
    "Problem",
    "Span",
    "StoreIntegrityError",
    "StoreUnavailableError",
]

_SHOWN_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file: `line` and `column` count from 1; `file` is as the user named it."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """
    One thing wrong with a document.

    Attributes:
        code: Stable upper-case code, such as `FIELD_UNKNOWN`; `docs/errors.md` lists all of them.
        message: What is wrong, without the position; holds no value of a request.
        pointer: RFC 6901 JSON Pointer to the offending value; empty for the document itself.
        span: Position in the file, where there is a file.
        hint: What to do about it, if something more than the message can be said.
    """

    code: str
    message: str
    pointer: str = ""
    span: Span | None = None
    hint: str | None = None

    def __str__(self) -> str:
        where = str(self.span) if self.span else _shown(self.pointer)
        text = f"{where}: {self.message}" if where else self.message
        text = f"{text} [{self.code}]"
        return f"{text}; {self.hint}" if self.hint else text


class LumynError(Exception):
    """
    Base of every error Lumyn raises on purpose.

    Attributes:
        reason_code: Stable code, documented in `docs/errors.md`.
        hint: What to do, or None when the message says it.
    """

    reason_code: str = "LUMYN_ERROR"

    def __init__(self, message: str, *, reason_code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if reason_code is not None:
            self.reason_code = reason_code

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, object]:
        """Return the error as JSON-ready data: `reason_code`, `message` and, where there is one, `hint`."""
        data: dict[str, object] = {"reason_code": self.reason_code, "message": self.message}
        if self.hint:
            data["hint"] = self.hint
        return data


class InvalidDocumentError(LumynError):
    """
    A document cannot be used. All problems are reported at once, in the order of their positions.

    Attributes:
        problems: At least one `Problem`, sorted by position.
    """

    noun = "document"

    def __init__(self, problems: Iterable[Problem], *, message: str | None = None) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=_position))
        super().__init__(message or _summary(self.noun, self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.problems, self.message)

    def to_dict(self) -> dict[str, object]:
        data = super().to_dict()
        data["problems"] = [_problem_dict(problem) for problem in self.problems]
        return data


class InvalidRequestError(InvalidDocumentError):
    """A decision request breaks its contract; nothing was evaluated or stored."""

    reason_code = "INVALID_REQUEST_SCHEMA"
    noun = "request"


class InvalidPolicyError(InvalidDocumentError):
    """A policy cannot be used; nothing is ever decided with part of a policy."""

    reason_code = "INVALID_POLICY"
    noun = "policy"


class InvalidVectorError(InvalidDocumentError):
    """A vector file is malformed, or holds a vector that cannot fail."""

    reason_code = "INVALID_VECTOR"
    noun = "vector file"


class InvalidPackError(InvalidDocumentError):
    """A decision pack is malformed, too large, or does not match its own digests."""

    reason_code = "INVALID_PACK"
    noun = "pack"


class InvalidConfigError(InvalidDocumentError):
    """The configuration holds an unknown key or an unusable value."""

    reason_code = "INVALID_CONFIG"
    noun = "configuration"


class IdempotencyConflictError(LumynError):
    """A `request_id` was used before, in the same tenant, for a different request; nothing was stored."""

    reason_code = "IDEMPOTENCY_CONFLICT"


class StoreUnavailableError(LumynError):
    """
    The store cannot be opened, read or written. `decide()` turns it into an `ABSTAIN` record.

    Attributes:
        detail: Finer code, such as `STORE_NOT_INITIALISED` or `STORE_SCHEMA_UNSUPPORTED`.
    """

    reason_code = "STORAGE_UNAVAILABLE"

    def __init__(self, message: str, *, detail: str = "STORAGE_UNAVAILABLE", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.detail = detail

    def to_dict(self) -> dict[str, object]:
        return {**super().to_dict(), "detail": self.detail}


class StoreIntegrityError(StoreUnavailableError):
    """The store can be read, and what it holds cannot be what was written."""

    reason_code = "STORE_INTEGRITY_FAILED"

    def __init__(self, message: str, *, detail: str = "STORE_INTEGRITY_FAILED", hint: str | None = None) -> None:
        super().__init__(message, detail=detail, hint=hint)


class NotFoundError(LumynError):
    """What was asked for by id is not in the store."""

    reason_code = "NOT_FOUND"


class AuthError(LumynError):
    """A signed service refused the caller."""

    reason_code = "AUTH_REQUIRED"


class InstallationError(LumynError):
    """Files that ship with Lumyn are missing or an optional dependency is not installed."""

    reason_code = "INSTALLATION_BROKEN"


def _shown(pointer: str) -> str:
    """Return a pointer as one line of bounded length: the names in it are whatever a caller made them."""
    short = pointer if len(pointer) <= _SHOWN_CHARACTERS else f"{pointer[:_SHOWN_CHARACTERS]}..."
    return short if short.isprintable() else short.encode("unicode_escape").decode("ascii")


def _position(problem: Problem) -> tuple[str, int, int, str, str]:
    span = problem.span
    if span is None:
        return ("", 0, 0, problem.pointer, problem.code)
    return (span.file, span.line, span.column, problem.pointer, problem.code)


def _summary(noun: str, problems: Sequence[Problem]) -> str:
    shown = [str(problem) for problem in problems[:8]]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    if len(shown) == 1:
        return f"invalid {noun}: {shown[0]}"
    return "\n  ".join([f"invalid {noun}: {len(problems)} problems", *shown])


def _problem_dict(problem: Problem) -> dict[str, object]:
    data: dict[str, object] = {"code": problem.code, "pointer": problem.pointer, "message": problem.message}
    if problem.span is not None:
        data |= {"file": problem.span.file, "line": problem.span.line, "column": problem.span.column}
    if problem.hint:
        data["hint"] = problem.hint
    return data


def _rebuild(cls: type[InvalidDocumentError], problems: tuple[Problem, ...], message: str) -> InvalidDocumentError:
    return cls(problems, message=message)
