"""What is appended to decisions over HTTP: labels that become experience, retractions, and everything else."""

from __future__ import annotations

from typing import Any

import pytest
from api.harness import Client


def appended(client: Client, decision_id: str, **event: object) -> Any:
    return client.call("POST", f"/v0/decisions/{decision_id}/events", event)


@pytest.fixture
def decision_id(client: Client) -> str:
    found: str = client.decide().data["decision_id"]
    return found


def test_a_label_changes_the_next_verdict(client: Client, decision_id: str) -> None:
    reply = appended(client, decision_id, type="label", data={"label": "failure", "note": "charged twice"}, actor="ann")
    assert 201 == reply.status
    assert ("label", decision_id, "ann") == tuple(reply.data[name] for name in ("type", "decision_id", "actor"))
    assert ("failure", "charged twice") == (reply.data["data"]["label"], reply.data["data"]["note"])
    assert "ESCALATE" == client.decide().data["verdict"]


def test_a_retraction_takes_it_back_once(client: Client, decision_id: str) -> None:
    label = appended(client, decision_id, type="label", data={"label": "failure"}).data
    reply = appended(client, decision_id, type="retraction", actor="ann", reason="the charge was right")
    assert 201 == reply.status
    assert label["data"]["memory_id"] == reply.data["data"]["retracts"]
    assert "TRUST" == client.decide().data["verdict"]
    again = appended(client, decision_id, type="retraction")
    assert (409, "ALREADY_RETRACTED") == (again.status, again.code)


def test_one_of_several_labels_is_named(client: Client, decision_id: str) -> None:
    first = appended(client, decision_id, type="label", data={"label": "failure"}).data["data"]["memory_id"]
    appended(client, decision_id, type="label", data={"label": "failure"})
    assert (409, "RETRACTION_AMBIGUOUS") == (
        (reply := appended(client, decision_id, type="retraction")).status,
        reply.code,
    )
    reply = appended(client, decision_id, type="retraction", data={"retracts": first})
    assert (201, first) == (reply.status, reply.data["data"]["retracts"])


def test_the_label_of_another_decision_is_out_of_reach(client: Client, decision_id: str) -> None:
    """Whoever may speak of one decision does not reach the experience of another."""
    other = client.decide().data["decision_id"]
    memory_id = appended(client, other, type="label", data={"label": "failure"}).data["data"]["memory_id"]
    reply = appended(client, decision_id, type="retraction", data={"retracts": memory_id})
    assert (404, "MEMORY_NOT_FOUND") == (reply.status, reply.code)
    reply = appended(client, decision_id, type="retraction", data={"retracts": other})
    assert 404 == reply.status
    assert "ESCALATE" == client.decide().data["verdict"]


def test_any_other_event_has_what_data_it_likes(client: Client, decision_id: str) -> None:
    reply = appended(client, decision_id, type="override.manual", data={"by": "lead", "n": [1, None]}, reason="asked")
    assert (201, {"by": "lead", "n": [1, None], "reason": "asked"}) == (reply.status, reply.data["data"])


@pytest.mark.parametrize(
    ("event", "code", "pointer"),
    [
        ({}, "FIELD_MISSING", ""),
        ({"type": 1}, "TYPE_INVALID", "/type"),
        ({"type": "Override"}, "FIELD_PATTERN", "/type"),
        ({"type": "override", "data": []}, "TYPE_INVALID", "/data"),
        ({"type": "override", "x": 1}, "FIELD_UNKNOWN", "/x"),
        ({"type": "override", "actor": None}, "TYPE_INVALID", "/actor"),
        ({"type": "label"}, "FIELD_MISSING", "/data"),
        ({"type": "label", "data": {"label": "good"}}, "LABEL_UNKNOWN", "/data/label"),
        ({"type": "label", "data": {"label": "failure", "x": 1}}, "FIELD_UNKNOWN", "/data/x"),
        ({"type": "label", "data": {"label": "failure"}, "reason": "x"}, "FIELD_CONFLICT", "/reason"),
        ({"type": "label", "data": {"label": "failure", "note": "x" * 5_000}}, "SIZE_INVALID", "/data/note"),
        ({"type": "retraction", "data": {"memory_id": "x"}}, "FIELD_UNKNOWN", "/data/memory_id"),
    ],
)
def test_an_event_that_cannot_be_appended(
    client: Client, decision_id: str, event: object, code: str, pointer: str
) -> None:
    reply = client.call("POST", f"/v0/decisions/{decision_id}/events", event)
    assert (422, "INVALID_REQUEST_SCHEMA") == (reply.status, reply.code)
    assert [(code, pointer)] == [(each["code"], each["pointer"]) for each in reply.data["problems"]]
    assert "verdict" not in reply.data
    assert [] == client.call("GET", f"/v0/decisions/{decision_id}").data["decision_event_log"]


def test_a_label_that_is_not_there_is_not_named(client: Client, decision_id: str) -> None:
    reply = appended(client, decision_id, type="retraction", data={"retracts": "hush-4711"})
    assert (404, "MEMORY_NOT_FOUND") == (reply.status, reply.code)
    assert b"hush" not in reply.body


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"type": "a", "type": "b"}', b"\xff", b'{"type": NaN}'])
def test_a_body_that_is_no_event(client: Client, decision_id: str, body: bytes) -> None:
    reply = client.call("POST", f"/v0/decisions/{decision_id}/events", body)
    assert reply.status in {400, 422}
    assert "INVALID_REQUEST_SCHEMA" == reply.code


def test_events_are_counted_without_their_free_text(client: Client, decision_id: str) -> None:
    appended(client, decision_id, type="label", data={"label": "success"})
    appended(client, decision_id, type="canary")
    counted = client.call("GET", "/metrics").body.decode()
    assert 'lumyn_events_total{type="label"} 1.0' in counted
    assert 'lumyn_events_total{type="other"} 1.0' in counted
    assert "canary" not in counted
