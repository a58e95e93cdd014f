"""The description of the routes says what the routes do, with the schemas that are checked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api.harness import Client, request_document
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator

from lumyn.api import routes_service, routes_v0
from lumyn.api.openapi import openapi_document


def schema(name: str) -> Draft202012Validator:
    """Return a validator of one of the document's schemas, references and all."""
    return Draft202012Validator({**openapi_document(), "$ref": f"#/components/schemas/{name}"})


def test_it_describes_every_route_and_no_other() -> None:
    routes = [each for router in (routes_v0.router, routes_service.router) for each in router.routes]
    there = {(each.path, method) for each in routes if isinstance(each, APIRoute) for method in each.methods}
    told = {(path, method.upper()) for path, item in openapi_document()["paths"].items() for method in item}
    assert there - {("/healthz", "HEAD"), ("/readyz", "HEAD")} == told


def test_it_is_served(client: Client) -> None:
    found = client.call("GET", "/openapi.json")
    assert (200, openapi_document()) == (found.status, found.data)
    assert found.data["openapi"].startswith("3.1.")


def test_its_references_lead_somewhere() -> None:
    document: Any = openapi_document()

    def references(value: Any) -> Any:
        if isinstance(value, dict):
            yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    found = list(references(document))
    assert len(found) > 50
    for reference in found:
        place: Any = document
        assert reference.startswith("#/"), reference
        for token in reference[2:].split("/"):
            place = place[token.replace("~1", "/").replace("~0", "~")]
    assert "$id" not in json.dumps(document)
    assert "http" not in json.dumps(document["paths"]).replace("https://lumyn.dev", "")


def test_what_is_sent_and_answered_is_what_it_describes(client: Client) -> None:
    reply = client.decide()
    decision_id = reply.data["decision_id"]
    event = {"type": "label", "data": {"label": "failure"}, "actor": "ann"}
    answers = {
        "DecisionRecord": reply.data,
        "Event": client.call("POST", f"/v0/decisions/{decision_id}/events", event).data,
        "Page": client.call("GET", "/v0/decisions").data,
        "PolicyInForce": client.call("GET", "/v0/policy").data,
        "Problem": client.call("POST", "/v0/decide", b"{").data,
        "NewEvent": event,
        "DecisionRequest": request_document(),
    }
    assert {name: [] for name in answers} == {
        name: [error.message for error in schema(name).iter_errors(value)] for name, value in answers.items()
    }
    viewed = client.call("GET", f"/v0/decisions/{decision_id}").data
    assert viewed["decision_event_log"]
    assert [] == [error.message for error in schema("DecisionRecord").iter_errors(viewed)]


@pytest.mark.parametrize("change", [{"subject": None}, {"surprise": 1}, {"action": {"type": "x"}}])
def test_what_it_refuses_is_refused(client: Client, change: dict[str, object]) -> None:
    document = request_document(**change)
    assert not schema("DecisionRequest").is_valid(document)
    assert 422 == client.call("POST", "/v0/decide", document).status
