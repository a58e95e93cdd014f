"""
The application: routes, errors and guard put together around one service.
Must not know how it is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from lumyn._version import __version__
from lumyn.api import routes_service, routes_v0
from lumyn.api.desk import BusyError
from lumyn.api.guard import DECIDE_PATH, Guard
from lumyn.api.problems import problem, problem_of
from lumyn.api.routes_v0 import MediaTypeError, respond, service_of
from lumyn.api.service import WATCHED, Service
from lumyn.errors import LumynError, StoreUnavailableError
from lumyn.model import Verdict

if TYPE_CHECKING:
    from lumyn.config import Config

__all__ = ["create_app"]

_CODES = {HTTPStatus.NOT_FOUND: "ROUTE_NOT_FOUND", HTTPStatus.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED"}
_DETAILS = {
    "DECISION_NOT_FOUND": "no stored decision has this id",
    "METHOD_NOT_ALLOWED": "the route has no such method",
    "ROUTE_NOT_FOUND": "there is no such route",
}
_DECISIONS = "/v0/decisions/"


def create_app(config: Config, *, service: Service | None = None) -> FastAPI:
    """
    Return the ASGI application. It takes its service with it when it ends.

    Args:
        service: The service to put behind it; one made from `config` when None.

    Raises:
        InvalidConfigError: The configuration is not usable, or names no policy.
        InvalidPolicyError: The policy is not usable.
    """
    held = service or Service(config)
    app = FastAPI(
        title="Lumyn",
        version=__version__,
        lifespan=_lifespan,
        openapi_url=None,  # made from the schemas, not from signatures of functions: see `openapi`
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = held
    app.include_router(routes_v0.router)
    app.include_router(routes_service.router)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(RequestValidationError, _not_readable)
    app.add_exception_handler(LumynError, _failed)
    app.add_middleware(Guard, service=held)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    every = service.config.service.watch_s
    watch = asyncio.create_task(_watch(service, every)) if every else None
    yield
    if watch is not None:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
    await asyncio.to_thread(service.close)


async def _watch(service: Service, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        with suppress(BusyError):
            if await service.watching.run(service.changed):
                await service.watching.run(lambda: service.reload(because=WATCHED))


async def _no_route(request: Request, error: Exception) -> Response:
    """Answer for paths and methods there are not."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    code = _CODES.get(HTTPStatus(status), "HTTP_INVALID")
    if status == HTTPStatus.NOT_FOUND and request.scope["path"].startswith(_DECISIONS):
        code = "DECISION_NOT_FOUND"  # what has a slash in it names no decision, and is no route either
    headers = {name.lower(): value for name, value in (getattr(error, "headers", None) or {}).items()}
    detail = _DETAILS.get(code, "the request cannot be read")
    return respond(problem(status, code, detail, headers=headers, verdict=_verdict(request)))


async def _not_readable(request: Request, error: Exception) -> Response:
    """Answer for what the framework itself could not read."""
    detail = "the request cannot be read"
    return respond(problem(HTTPStatus.UNPROCESSABLE_ENTITY, "HTTP_INVALID", detail, verdict=_verdict(request)))


async def _failed(request: Request, error: Exception) -> Response:
    """Answer for errors that were raised on purpose."""
    metrics = service_of(request).metrics
    match error:
        case MediaTypeError():
            status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            answer = problem(status, error.reason_code, error.message, hint=error.hint, verdict=_verdict(request))
            return respond(answer)
        case StoreUnavailableError():
            metrics.storage_failed()
        case BusyError():
            metrics.turned_away()
        case LumynError():
            pass
        case _:
            raise error
    return respond(problem_of(error, deciding=_verdict(request) is not None))


def _verdict(request: Request) -> str | None:
    return Verdict.ABSTAIN.value if request.scope["path"] == DECIDE_PATH else None
