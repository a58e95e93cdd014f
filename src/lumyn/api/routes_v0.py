"""
The routes of v0: which answer belongs to which method and path, and what a query may ask for.
Reads no body as anything but bytes: the strict parsers do that; must not know signatures or storage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from fastapi import APIRouter, Request, Response

from lumyn.api.problems import Answer
from lumyn.core.clock import rfc3339
from lumyn.core.listing import Wanted
from lumyn.errors import InvalidRequestError, LumynError, NotFoundError, Problem
from lumyn.model import Verdict

if TYPE_CHECKING:
    from lumyn.api.service import Service

__all__ = ["MediaTypeError", "respond", "router", "service_of"]

router = APIRouter(prefix="/v0")

Value = TypeVar("Value")

MOST_LISTED: Final = 100
_LISTED: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
_ACTION: Final = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+")
_FILTERS: Final = frozenset({"verdict", "reason_code", "action_type", "tenant_id", "since", "limit", "cursor"})
_JSON_TYPE: Final = re.compile(r"application/json(?:[ \t]*;[ \t]*charset=\"?utf-8\"?)?", re.IGNORECASE)


class MediaTypeError(LumynError):
    """The body is not what its header should say it is."""

    reason_code = "MEDIA_TYPE_UNSUPPORTED"


@router.post("/decide")
async def decide(request: Request) -> Response:
    """Decide a request. 200 with its record, once that is durable."""
    service, body, key_id = service_of(request), await _json_body(request), _key_id(request)
    return respond(await service.writes.run(lambda: service.decide(body, key_id=key_id)))


@router.get("/decisions")
async def list_decisions(request: Request) -> Response:
    """List stored decisions, newest first."""
    service = service_of(request)
    wanted, limit, after = _asked(request)
    return respond(await service.reads.run(lambda: service.decisions(wanted, limit=limit, after=after)))


@router.get("/decisions/{decision_id}")
async def show_decision(request: Request, decision_id: str) -> Response:
    """Return one stored decision, with its events."""
    service, known = service_of(request), _decision_id(decision_id)
    return respond(await service.reads.run(lambda: service.decision(known)))


@router.post("/decisions/{decision_id}/events")
async def append_event(request: Request, decision_id: str) -> Response:
    """Append an event to a decision: a label, its retraction, or another one."""
    service, body, key_id = service_of(request), await _json_body(request), _key_id(request)
    known = _decision_id(decision_id)
    return respond(await service.writes.run(lambda: service.append(known, body, key_id=key_id)))


@router.get("/policy")
async def show_policy(request: Request) -> Response:
    """Return which policy is in force."""
    return respond(service_of(request).policy())


def service_of(request: Request) -> Service:
    """Return the service behind the application."""
    found: Service = request.app.state.service
    return found


def respond(answer: Answer) -> Response:
    """Return an answer as the framework wants it."""
    headers = {**answer.headers, "content-type": answer.media_type}
    return Response(answer.body, status_code=answer.status, headers=headers)


def _key_id(request: Request) -> str | None:
    found: str | None = request.scope.get("lumyn.key_id")
    return found


async def _json_body(request: Request) -> bytes:
    """Return the body as it came, when its header says that it is JSON, in UTF-8, and not packed."""
    types = request.headers.getlist("content-type")
    if len(types) != 1 or _JSON_TYPE.fullmatch(types[0].strip()) is None:
        raise MediaTypeError("the body must be JSON", hint="send `Content-Type: application/json`")
    if any(value.strip().lower() not in {"", "identity"} for value in request.headers.getlist("content-encoding")):
        raise MediaTypeError("the body must not be compressed", hint="send it without `Content-Encoding`")
    return await request.body()


def _decision_id(text: str) -> str:
    """Return the id; what cannot be one names no decision, whatever the store would make of it."""
    if _ULID.fullmatch(text) is None:
        raise NotFoundError("no stored decision has this id", reason_code="DECISION_NOT_FOUND")
    return text


def _asked(request: Request) -> tuple[Wanted, int, str | None]:
    """Return what the query of a list asks for: filters, how many at most, and after which decision."""
    given: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in request.query_params.multi_items():
        if name not in _FILTERS:
            hint = f"known parameters: {', '.join(sorted(_FILTERS))}"
            problems.append(Problem(code="FIELD_UNKNOWN", message="unknown parameter in the query", hint=hint))
        elif name in given:
            problems.append(Problem(code="VALUE_DUPLICATE", message="given twice", pointer=f"/{name}"))
        else:
            given[name] = value
    read = _Query(given, problems)
    wanted = Wanted(
        verdict=read.one("verdict", Verdict, "a verdict"),
        reason_code=read.one("reason_code", _matching(_CODE), "a reason code"),
        action_type=read.one("action_type", _matching(_ACTION), "an action type"),
        tenant_id=read.one("tenant_id", _tenant, "the id of a tenant"),
        since=read.one("since", _moment, "a time such as 2026-01-15T12:00:00Z"),
    )
    limit = read.one("limit", _limit, f"a whole number from 1 to {MOST_LISTED}")
    after = read.one("cursor", _matching(_ULID), "the `next_cursor` of the page before")
    if problems:
        raise InvalidRequestError(problems)
    return wanted, _LISTED if limit is None else limit, after


class _Query:
    """Reads parameters one by one and collects what is wrong with them."""

    def __init__(self, given: Mapping[str, str], problems: list[Problem]) -> None:
        self._given = given
        self._problems = problems

    def one(self, name: str, read: Callable[[str], Value], due: str) -> Value | None:
        """Return the parameter as `read` reads it, None when it is not given or cannot be read."""
        if name not in self._given:
            return None
        try:
            return read(self._given[name])
        except ValueError:
            self._problems.append(Problem(code="VALUE_INVALID", message=f"must be {due}", pointer=f"/{name}"))
            return None


def _matching(form: re.Pattern[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if form.fullmatch(text) is None:
            raise ValueError
        return text

    return read


def _tenant(text: str) -> str:
    if not 1 <= len(text) <= 1_024 or not text.isprintable():
        raise ValueError
    return text


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_LISTED:
        raise ValueError
    return int(text)


def _moment(text: str) -> str:
    if len(text) > 64:
        raise ValueError
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    try:
        return rfc3339(max(0, (at - _EPOCH) // timedelta(milliseconds=1)))
    except OverflowError:  # in UTC it lies beyond the year 9999, or before the year 1
        raise ValueError from None
