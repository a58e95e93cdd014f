"""
The routes about the service itself: probes, counters, and the description of all routes.
Must not know decisions.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from lumyn.api.openapi import openapi_document
from lumyn.api.problems import Answer
from lumyn.api.routes_v0 import respond, service_of

__all__ = ["router"]

router = APIRouter()


@router.api_route("/healthz", methods=["GET", "HEAD"])
async def healthz() -> Response:
    """Say that the process answers. Asks nothing else, so that a store that is down restarts nobody."""
    return respond(Answer.of({"status": "ok"}))


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def readyz(request: Request) -> Response:
    """Say whether decisions can be made and kept."""
    service = service_of(request)
    return respond(await service.probes.run(service.ready))


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return the counters, for Prometheus."""
    counters = service_of(request).metrics
    return respond(Answer.text(counters.text(), media_type=counters.media_type))


@router.get("/openapi.json")
async def openapi() -> Response:
    """Describe the routes (OpenAPI 3.1)."""
    return respond(Answer.of(openapi_document()))
