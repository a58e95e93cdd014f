"""The routes of v0: what they answer, what they refuse, and that no answer is given before it is durable."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from api.harness import JSON, Client, configured, request_document

from lumyn import Gate
from lumyn.store import open_store

UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def stored(folder: Path) -> list[str]:
    """Return the records of the store as they are written, oldest first, read by somebody else."""
    store = open_store(f"sqlite:///{folder / 'lumyn.db'}")
    found = [row.record_json for row in store.decisions(limit=100_000)]
    store.close()
    return found[::-1]


def test_a_decision_is_the_record_that_is_stored(client: Client, tmp_path: Path) -> None:
    """Byte for byte, and there before the answer is."""
    reply = client.decide()
    assert (200, "application/json") == (reply.status, reply.headers["content-type"])
    assert "TRUST" == reply.data["verdict"]
    assert [reply.body.decode()] == stored(tmp_path)


def test_every_verdict_is_200(client: Client) -> None:
    """A verdict is an answer, not an error."""
    from cli.harness import refund

    cases = {
        "TRUST": {},
        "ESCALATE": {"action": {**refund()["action"], "amount": {"value": 900, "currency": "USD"}}},
        "QUERY": {"evidence": refund(order_id=None)["evidence"]},
        "ABSTAIN": {"evidence": refund(payment_instrument_risk="high")["evidence"]},
    }
    replies = {verdict: client.decide(**changes) for verdict, changes in cases.items()}
    assert {verdict: (200, verdict) for verdict in cases} == {
        verdict: (reply.status, reply.data["verdict"]) for verdict, reply in replies.items()
    }


def test_a_dry_run_is_not_stored(client: Client, tmp_path: Path) -> None:
    reply = client.decide(hints={"dry_run": True})
    assert (200, True) == (reply.status, reply.data["extensions"]["lumyn"]["dry_run"])
    assert "true" == reply.headers["lumyn-dry-run"]
    assert "lumyn-dry-run" not in client.decide(hints={"dry_run": False}, request_id="kept").headers
    assert 1 == len(stored(tmp_path))


def test_a_retry_gets_the_stored_record_and_is_told_so(client: Client, tmp_path: Path) -> None:
    first, second = client.decide(request_id="once"), client.decide(request_id="once")
    assert (200, first.body) == (second.status, second.body)
    assert "lumyn-replayed" not in first.headers
    assert "true" == second.headers["lumyn-replayed"]
    assert 1 == len(stored(tmp_path))
    counted = client.call("GET", "/metrics").body.decode()
    assert 'lumyn_decisions_total{verdict="TRUST"} 1.0' in counted
    assert "lumyn_decisions_repeated_total 1.0" in counted


def test_another_request_under_the_same_request_id_conflicts(client: Client, tmp_path: Path) -> None:
    client.decide(request_id="once-hush-4711")
    reply = client.decide(request_id="once-hush-4711", extensions={"x": 1})
    assert (409, "IDEMPOTENCY_CONFLICT", "ABSTAIN") == (reply.status, reply.code, reply.data["verdict"])
    assert b"hush-4711" not in reply.body
    assert 1 == len(stored(tmp_path))


def test_many_at_once_are_each_decided_once(client: Client, tmp_path: Path) -> None:
    calls = [("POST", "/v0/decide", request_document(request_id=f"r-{number % 20}")) for number in range(60)]
    replies = client.together(calls)
    assert {200} == {reply.status for reply in replies}
    assert sorted(stored(tmp_path)) == sorted({reply.body.decode() for reply in replies})
    assert 20 == len(stored(tmp_path))


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b"", 400, "JSON_INVALID", ""),
        (b"{", 400, "JSON_INVALID", ""),
        (b"\xff\xfe", 400, "JSON_INVALID", ""),
        (b'{"a": 1, "a": 2}', 400, "JSON_DUPLICATE_KEY", "/a"),
        (b'{"a": NaN}', 400, "JSON_INVALID", None),
        (b"[" * 100 + b"]" * 100, 400, "JSON_TOO_DEEP", None),
        (b'{"a": "\\ud800"}', 400, "UNICODE_INVALID", "/a"),
        (b"[]", 422, "TYPE_INVALID", ""),
        (b"null", 422, "TYPE_INVALID", ""),
        (b"{}", 422, "FIELD_MISSING", None),
    ],
)
def test_a_body_that_is_no_request(client: Client, body: bytes, status: int, code: str, pointer: str | None) -> None:
    reply = client.call("POST", "/v0/decide", body)
    assert (status, "INVALID_REQUEST_SCHEMA", "ABSTAIN") == (reply.status, reply.code, reply.data["verdict"])
    problem = next(each for each in reply.data["problems"] if each["code"] == code)
    assert pointer in {None, problem["pointer"]}
    assert "file" not in problem


def test_a_problem_has_its_place_in_the_body(client: Client) -> None:
    body = json.dumps(request_document(), indent=2).replace('"support.refund"', '"Support Refund"').encode()
    problem = client.call("POST", "/v0/decide", body).data["problems"][0]
    line = next(number for number, text in enumerate(body.decode().splitlines(), 1) if "Support Refund" in text)
    assert ("/action/type", line, 13) == (problem["pointer"], problem["line"], problem["column"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json, text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {**JSON, "content-encoding": "gzip"},
    ],
)
def test_only_plain_json_is_taken(client: Client, tmp_path: Path, headers: dict[str, str]) -> None:
    """A page in a browser can send text to a service on the same machine without asking; JSON it cannot."""
    reply = client.call("POST", "/v0/decide", request_document(), headers=headers)
    assert (415, "MEDIA_TYPE_UNSUPPORTED", "ABSTAIN") == (reply.status, reply.code, reply.data["verdict"])
    assert [] == stored(tmp_path)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_by_any_of_its_names(client: Client, kind: str) -> None:
    assert 200 == client.call("POST", "/v0/decide", request_document(), headers={"content-type": kind}).status


def test_what_is_not_there(client: Client) -> None:
    for method, target, status, code in (
        ("GET", "/", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/docs", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/redoc", 404, "ROUTE_NOT_FOUND"),
        ("POST", "/v0/decide/", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/v0/decide", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", f"/v0/decisions/{UNKNOWN}", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/v0/decide", 405, "METHOD_NOT_ALLOWED"),
        ("GET", f"/v0/decisions/{UNKNOWN}", 404, "DECISION_NOT_FOUND"),
        ("GET", "/v0/decisions/x%00", 404, "DECISION_NOT_FOUND"),
        ("GET", "/v0/decisions/..%2f..%2fetc%2fpasswd", 404, "DECISION_NOT_FOUND"),
        ("POST", f"/v0/decisions/{UNKNOWN}/events", 404, "DECISION_NOT_FOUND"),
    ):
        reply = client.call(method, target, {"type": "override"})
        assert (status, code) == (reply.status, reply.code), target
    assert "POST" == client.call("GET", "/v0/decide").headers["allow"]


def test_one_decision_with_what_happened_since(client: Client) -> None:
    decision_id = client.decide().data["decision_id"]
    event = client.call("POST", f"/v0/decisions/{decision_id}/events", {"type": "override", "data": {"by": "lead"}})
    assert 201 == event.status
    found = client.call("GET", f"/v0/decisions/{decision_id}").data
    assert [event.data["event_id"]] == [each["event_id"] for each in found.pop("decision_event_log")]
    assert client.decide(hints={"dry_run": True}).data["verdict"] == found["verdict"]


def test_a_page_goes_on_where_the_last_one_ended(client: Client) -> None:
    """New decisions in between shift nothing."""
    made = [client.decide().data["decision_id"] for _ in range(5)]
    first = client.call("GET", "/v0/decisions?limit=2").data
    client.decide()
    second = client.call("GET", f"/v0/decisions?limit=2&cursor={first['next_cursor']}").data
    third = client.call("GET", f"/v0/decisions?limit=2&cursor={second['next_cursor']}").data
    listed = [record["decision_id"] for page in (first, second, third) for record in page["decisions"]]
    assert made[::-1] == listed
    assert None is third["next_cursor"]


def test_a_list_is_filtered(client: Client) -> None:
    from cli.harness import refund

    trusted = client.decide(tenant={"tenant_id": "acme"}).data
    blocked = client.decide(evidence=refund(payment_instrument_risk="high")["evidence"]).data
    for query, expected in (
        ("", [blocked, trusted]),
        ("verdict=TRUST", [trusted]),
        ("tenant_id=acme", [trusted]),
        (f"reason_code={blocked['reason_codes'][0]}", [blocked]),
        ("action_type=support.refund&verdict=ABSTAIN", [blocked]),
        ("since=2999-01-01T00:00:00Z", []),
        (f"since={trusted['created_at']}", [blocked, trusted]),
    ):
        assert expected == client.call("GET", f"/v0/decisions?{query}").data["decisions"], query


@pytest.mark.parametrize(
    ("query", "code", "pointer"),
    [
        ("verdict=MAYBE", "VALUE_INVALID", "/verdict"),
        ("limit=0", "VALUE_INVALID", "/limit"),
        ("limit=101", "VALUE_INVALID", "/limit"),
        ("limit=1e1", "VALUE_INVALID", "/limit"),
        ("limit=١", "VALUE_INVALID", "/limit"),
        ("limit=1&limit=2", "VALUE_DUPLICATE", "/limit"),
        ("limt=1", "FIELD_UNKNOWN", ""),
        ("since=yesterday", "VALUE_INVALID", "/since"),
        ("since=9999-12-31T23:59:59-23:59", "VALUE_INVALID", "/since"),
        ("cursor=x", "VALUE_INVALID", "/cursor"),
        ("tenant_id=", "VALUE_INVALID", "/tenant_id"),
        ("reason_code='", "VALUE_INVALID", "/reason_code"),
        ("action_type=x", "VALUE_INVALID", "/action_type"),
    ],
)
def test_a_query_that_cannot_be_meant(client: Client, query: str, code: str, pointer: str) -> None:
    reply = client.call("GET", f"/v0/decisions?{query}")
    assert (422, "INVALID_REQUEST_SCHEMA") == (reply.status, reply.code)
    assert [(code, pointer)] == [(each["code"], each["pointer"]) for each in reply.data["problems"]]


def test_a_cursor_of_no_decision(client: Client) -> None:
    assert 404 == client.call("GET", f"/v0/decisions?cursor={UNKNOWN}").status


def test_the_policy_in_force(client: Client) -> None:
    decided = client.decide().data["policy"]
    found = client.call("GET", "/v0/policy").data
    assert decided == {name: found[name] for name in decided}
    assert "ok" == found["reload"]["status"]
    assert "document" not in found


def test_a_store_that_is_gone_is_an_abstention(client: Client, tmp_path: Path) -> None:
    """With the verdict, and the record that was not kept, and a time to try again; and it recovers."""
    (tmp_path / "lumyn.db").rename(tmp_path / "away.db")
    reply = client.decide()
    assert (503, "STORAGE_UNAVAILABLE", "ABSTAIN") == (reply.status, reply.code, reply.data["verdict"])
    assert "1" == reply.headers["retry-after"]
    assert ["STORAGE_UNAVAILABLE"] == reply.data["record"]["reason_codes"]
    assert False is reply.data["record"]["extensions"]["lumyn"]["persisted"]
    assert 503 == client.call("GET", "/readyz").status
    assert 200 == client.call("GET", "/healthz").status
    for method, target in (("GET", "/v0/decisions"), ("GET", f"/v0/decisions/{UNKNOWN}")):
        listed = client.call(method, target)
        assert (503, "STORAGE_UNAVAILABLE") == (listed.status, listed.code)
        assert "retry-after" in listed.headers
    assert "lumyn_storage_failures_total 3.0" in client.call("GET", "/metrics").body.decode()
    (tmp_path / "away.db").rename(tmp_path / "lumyn.db")
    assert 200 == client.decide().status


def test_probing_all_the_time_troubles_the_store_once(client: Client, tmp_path: Path) -> None:
    """It is not signed: what it finds counts for a while, and none of it stays."""
    client.decide()
    before = stored(tmp_path), (tmp_path / "lumyn.db").read_bytes()
    probe = client.service.gate.store.probe
    asked = []
    client.service.probe = lambda: asked.append(probe())  # type: ignore[method-assign]
    replies = client.together([("GET", "/readyz")] * 10)
    assert {200} == {reply.status for reply in replies}
    assert 1 == len(asked)
    assert before == (stored(tmp_path), (tmp_path / "lumyn.db").read_bytes())


def test_a_locked_store_is_an_abstention_even_for_a_dry_run(client: Client, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "lumyn.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    for hints in ({}, {"dry_run": True}):
        reply = client.decide(hints=hints)
        assert (503, "ABSTAIN", "STORE_LOCKED") == (reply.status, reply.data["verdict"], reply.data["storage_error"])
    holder.execute("ROLLBACK")
    holder.close()
    assert 200 == client.decide().status


def test_more_than_can_wait_is_turned_away(tmp_path: Path) -> None:
    """At once, undecided, and told to come back."""
    with Client(configured(tmp_path, max_waiting=3)) as client:
        replies = client.together([("POST", "/v0/decide", request_document())] * 20)
        turned_away = [reply for reply in replies if reply.status != 200]
        assert 4 == len(replies) - len(turned_away) == len(stored(tmp_path))
        assert {(503, "SERVICE_BUSY", "ABSTAIN")} == {(r.status, r.code, r.data["verdict"]) for r in turned_away}
        assert all("retry-after" in reply.headers for reply in turned_away)
        assert "lumyn_turned_away_total 16.0" in client.call("GET", "/metrics").body.decode()
        assert 200 == client.decide().status


def test_advisory_mode_is_the_operators(tmp_path: Path) -> None:
    import dataclasses

    from lumyn.model import Mode

    config = configured(tmp_path)
    advisory = dataclasses.replace(config, policy=dataclasses.replace(config.policy, mode=Mode.ADVISORY))
    with Client(advisory) as client:
        assert "advisory" == client.decide().data["policy"]["mode"]
    with Client(config) as client:
        reply = client.decide(policy={"mode": "advisory"})
        assert (422, "MODE_OVERRIDE_FORBIDDEN") == (reply.status, reply.data["problems"][0]["code"])


def test_nothing_of_a_request_is_echoed_or_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Values can be personal data: errors name places, logs name decisions."""
    caplog.set_level("DEBUG")
    canary = "canary-7f3a"
    bodies: list[Any] = [
        request_document(evidence={"card": {"number": canary}}),
        request_document(subject={"type": canary, "id": "x"}),
        request_document(schema_version=canary),
        json.dumps(request_document()).replace("USD", canary).encode(),
        f'{{"a": "{canary}'.encode(),
        f'"{canary}"'.encode(),
    ]
    for body in bodies:
        reply = client.call("POST", "/v0/decide", body)
        assert reply.status in {400, 422}
        assert canary not in reply.body.decode()
    client.decide(evidence={"ticket_id": canary}, subject={"type": "agent", "id": canary})
    for target in (
        f"/v0/decisions/{canary}",
        f"/v0/decisions?verdict={canary}",
        f"/{canary}",
        f"/v0/decisions?{canary}",
    ):
        assert canary not in client.call("GET", target).body.decode()
    assert canary not in client.call("GET", "/metrics").body.decode()
    assert canary not in caplog.text


def test_what_is_decided_here_is_what_the_library_decides(client: Client, tmp_path: Path) -> None:
    """One engine: the same request to a gate of its own gives the same normalised record."""
    from lumyn.core.records import normalised

    with Gate.open(policy=tmp_path / "policy.yml", store="sqlite:///:memory:") as gate:
        assert gate.decide(request_document()).normalised() == normalised(client.decide().data)
