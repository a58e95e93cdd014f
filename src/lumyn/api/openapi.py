"""
The description of the routes (OpenAPI 3.1), around the schemas that ship with Lumyn: what is checked is what is told.
Must not know how a route is answered.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from lumyn import _resources
from lumyn._version import __version__
from lumyn.core.records import RECORD_VERSION
from lumyn.core.requests import REQUEST_SCHEMA
from lumyn.model import JsonObject, JsonValue, Label, Verdict

__all__ = ["openapi_document"]

_RECORD_SCHEMA: Final = f"{RECORD_VERSION}.schema.json"
_NAMES: Final = {REQUEST_SCHEMA: "DecisionRequest", _RECORD_SCHEMA: "DecisionRecord"}
_TEXT: Final[JsonObject] = {"type": "string"}
_AT: Final[JsonObject] = {"type": "string", "format": "date-time"}


@cache
def openapi_document() -> JsonObject:
    """Return the whole document. It is shared: nobody may change it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lumyn",
            "version": __version__,
            "description": "A deterministic gate in front of the write actions of AI systems.",
        },
        "paths": _paths(),
        "security": [{"signature": []}, {}],
        "components": {"schemas": {**_contracts(), **_own_schemas()}, "securitySchemes": _security()},
    }


def _paths() -> JsonObject:
    record, event = _json_answer("The record, durable.", "DecisionRecord"), _reference("Event")
    decision: list[JsonValue] = [_parameter("decision_id", "path", {"$ref": "#/components/schemas/DecisionId"})]
    return {
        "/v0/decide": {
            "post": _route("Decide a request.", {"200": record}, (400, 409, 413, 415, 422, 503), body="DecisionRequest")
        },
        "/v0/decisions": {
            "get": {
                **_route("List stored decisions, newest first.", {"200": _json_answer("A page.", "Page")}, (422, 503)),
                "parameters": _filters(),
            }
        },
        "/v0/decisions/{decision_id}": {
            "get": {
                **_route(
                    "One stored decision, with its events.",
                    {"200": _json_answer("The record, with `decision_event_log`.", "DecisionRecord")},
                    (404, 503),
                ),
                "parameters": decision,
            }
        },
        "/v0/decisions/{decision_id}/events": {
            "post": {
                **_route(
                    "Append an event to a decision.",
                    {"201": {"description": "The event, durable.", "content": {"application/json": {"schema": event}}}},
                    (400, 404, 409, 413, 415, 422, 503),
                    body="NewEvent",
                ),
                "parameters": decision,
            }
        },
        "/v0/policy": {
            "get": _route("Which policy is in force.", {"200": _json_answer("The policy.", "PolicyInForce")}, ())
        },
        "/healthz": {"get": _open("Whether the process answers.", {"200": _plain("It does.")})},
        "/readyz": {
            "get": _open(
                "Whether decisions can be made and kept.", {"200": _plain("They can."), "503": _plain("They cannot.")}
            )
        },
        "/metrics": {
            "get": _route(
                "Counters, for Prometheus.",
                {"200": {"description": "The counters.", "content": {"text/plain": {"schema": _TEXT}}}},
                (),
            )
        },
        "/openapi.json": {"get": _route("This document.", {"200": _plain("This document.")}, ())},
    }


def _route(summary: str, answers: JsonObject, problems: tuple[int, ...], *, body: str | None = None) -> JsonObject:
    """Return one operation. Any may be refused for want of a signature, or of room."""
    statuses = sorted({401, 403, *problems})
    route: JsonObject = {
        "summary": summary,
        "responses": {**answers, **{str(status): _reference_answer() for status in statuses}},
    }
    if body is not None:
        route["requestBody"] = {"required": True, "content": {"application/json": {"schema": _reference(body)}}}
    return route


def _open(summary: str, answers: JsonObject) -> JsonObject:
    return {"summary": summary, "responses": answers, "security": []}


def _filters() -> list[JsonValue]:
    return [
        _parameter("verdict", "query", {"enum": [each.value for each in Verdict]}),
        _parameter("reason_code", "query", _TEXT),
        _parameter("action_type", "query", _TEXT),
        _parameter("tenant_id", "query", _TEXT),
        _parameter("since", "query", _AT),
        _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        _parameter("cursor", "query", {"$ref": "#/components/schemas/DecisionId"}),
    ]


def _parameter(name: str, place: str, schema: JsonObject) -> JsonValue:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _json_answer(description: str, name: str) -> JsonObject:
    return {"description": description, "content": {"application/json": {"schema": _reference(name)}}}


def _plain(description: str) -> JsonObject:
    return {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}}


def _reference_answer() -> JsonObject:
    content: JsonObject = {"application/problem+json": {"schema": _reference("Problem")}}
    return {"description": "A problem; `reason_code` says which.", "content": content}


def _reference(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def _contracts() -> JsonObject:
    """Return the schemas of requests and records, under one roof: their references lead to each other."""
    return {name: _moved(_resources.schema(file), file) for file, name in _NAMES.items()}


def _moved(value: JsonValue, file: str) -> JsonValue:
    if isinstance(value, list):
        return [_moved(each, file) for each in value]
    if not isinstance(value, dict):
        return value
    moved: JsonObject = {}
    for key, member in value.items():
        if key == "$ref" and isinstance(member, str):
            target, _, pointer = member.partition("#")
            moved[key] = f"#/components/schemas/{_NAMES[target or file]}{pointer}"
        elif key not in {"$id", "$schema"}:
            moved[key] = _moved(member, file)
    return moved


def _own_schemas() -> JsonObject:
    labels: list[JsonValue] = [each.value for each in Label]
    event: JsonObject = {"type": _TEXT, "data": {"type": "object"}, "actor": {"type": ["string", "null"]}}
    return {
        "DecisionId": {"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"},
        "NewEvent": {
            "description": "A `label` has `data.label`, and may have `data.note`. A `retraction` may have `data.label` "
            "or `data.retracts`, to name one of several. Other types have what data they like.",
            "type": "object",
            "additionalProperties": False,
            "required": ["type"],
            "properties": {
                "type": {"type": "string", "pattern": "^[a-z][a-z0-9_.]{0,63}$"},
                "data": {"type": "object", "properties": {"label": {"type": "string", "examples": labels}}},
                "actor": {"type": "string", "maxLength": 4096},
                "reason": {"type": "string", "maxLength": 4096},
            },
        },
        "Event": {
            "type": "object",
            "required": ["event_id", "decision_id", "at", "type", "data", "actor"],
            "properties": {"event_id": _TEXT, "decision_id": _TEXT, "at": _AT, **event},
        },
        "Page": {
            "type": "object",
            "required": ["decisions", "next_cursor"],
            "properties": {
                "decisions": {"type": "array", "items": _reference("DecisionRecord")},
                "next_cursor": {"type": ["string", "null"]},
            },
        },
        "PolicyInForce": {
            "type": "object",
            "required": ["policy_id", "policy_version", "policy_hash", "mode", "rules", "loaded_at", "reload"],
            "properties": {
                **dict.fromkeys(("policy_id", "policy_version", "policy_hash", "mode"), _TEXT),
                "rules": {"type": "integer"},
                "loaded_at": _AT,
                "reload": {"type": "object", "required": ["status", "attempted_at"]},
            },
        },
        "Problem": {
            "description": "RFC 9457, with the codes of docs/errors.md.",
            "type": "object",
            "required": ["type", "title", "status", "detail", "reason_code"],
            "properties": {
                **dict.fromkeys(("type", "title", "detail", "reason_code", "hint", "pointer"), _TEXT),
                "status": {"type": "integer"},
                "verdict": {"const": Verdict.ABSTAIN.value},
                "problems": {"type": "array", "items": {"type": "object"}},
                "record": _reference("DecisionRecord"),
            },
        },
    }


def _security() -> JsonObject:
    return {
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "Lumyn-Signature",
            "description": "HMAC-SHA256 over the raw request, with `Lumyn-Timestamp` and `Lumyn-Request-Id`.",
        }
    }
