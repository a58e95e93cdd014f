"""What is given beside a request and is no text, or none with a UTF-8 form, is bad input and no failure of storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lumyn import Gate
from lumyn.errors import InvalidRequestError
from lumyn.store.base import Store

Refund = Callable[..., dict[str, Any]]

NO_IDS = [("acme\ud800", "UNICODE_INVALID"), ("\udcff", "UNICODE_INVALID"), (7, "TYPE_INVALID"), (None, "TYPE_INVALID")]
NO_IDS += [(b"acme", "TYPE_INVALID"), (object(), "TYPE_INVALID")]

CALLS: dict[str, tuple[str, Callable[[Gate, Any], object]]] = {
    "label": ("/decision_id", lambda gate, value: gate.label(value, "failure")),
    "retract": ("/target", lambda gate, value: gate.retract(value)),
    "append_event": ("/decision_id", lambda gate, value: gate.append_event(value, "override")),
    "type of an event": ("/type", lambda gate, value: gate.append_event("01ARZ3NDEKTSV4RRFFQ69G5FAV", value)),
    "record": ("/decision_id", lambda gate, value: gate.record(value)),
    "events": ("/decision_id", lambda gate, value: gate.events(value)),
    "replay": ("/decision_id", lambda gate, value: gate.replay(value)),
    "summary": ("/summary", lambda gate, value: gate.seed("failure", {}, summary=value)),
}
FILTERS = ("reason_code", "action_type", "tenant_id", "since")


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Return code and pointer of the one problem that a call is refused for; they can be written as UTF-8."""
    with pytest.raises(InvalidRequestError) as caught:
        call()
    assert str(caught.value).encode()
    (problem,) = caught.value.problems
    return problem.code, problem.pointer


def size(store: Store) -> int:
    """Return how many rows the journal has."""
    with store.write() as transaction:
        return transaction._seq  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(("value", "code"), NO_IDS)
@pytest.mark.parametrize("name", CALLS)
def test_what_cannot_be_an_id_is_bad_input(gate: Gate, name: str, value: Any, code: str) -> None:
    pointer, call = CALLS[name]
    assert (code, pointer) == refusal(lambda: call(gate, value))
    assert 0 == size(gate.store)


@pytest.mark.parametrize(("value", "code"), [each for each in NO_IDS if each[0] is not None])
@pytest.mark.parametrize("name", FILTERS)
def test_what_cannot_be_a_filter_is_bad_input(gate: Gate, refund: Refund, name: str, value: Any, code: str) -> None:
    gate.decide(refund())
    assert (code, f"/{name}") == refusal(lambda: gate.records(**{name: value}))


@pytest.mark.parametrize("value", ["trust", "\ud800", "", 7])
def test_an_unknown_verdict_is_bad_input(gate: Gate, value: Any) -> None:
    assert ("VALUE_INVALID", "/verdict") == refusal(lambda: gate.records(verdict=value))


@pytest.mark.parametrize("value", [-1, None, "5", 2.5, True])
def test_a_limit_is_a_whole_number(gate: Gate, refund: Refund, value: Any) -> None:
    gate.decide(refund())
    assert ("VALUE_INVALID", "/limit") == refusal(lambda: gate.records(limit=value))
    assert [0, 1, 1] == [len(gate.records(limit=limit)) for limit in (0, 1, 2**70)]


@pytest.mark.parametrize("name", ["request_id", "tenant_id"])
def test_an_id_of_a_request_is_bad_input(gate: Gate, refund: Refund, name: str) -> None:
    """Never a verdict, and nothing is kept."""
    request = refund(request_id="a\ud800") if name == "request_id" else {**refund(), "tenant": {name: "a\ud800"}}
    pointer = "/request_id" if name == "request_id" else "/tenant/tenant_id"
    assert ("UNICODE_INVALID", pointer) == refusal(lambda: gate.decide(request))
    assert 0 == size(gate.store)


@pytest.mark.parametrize(
    ("value", "code"), [("\ud800", "UNICODE_INVALID"), (object(), "TYPE_INVALID"), (float("nan"), "NUMBER_NOT_FINITE")]
)
def test_data_of_an_event_that_has_no_json_form_is_bad_input(gate: Gate, refund: Refund, value: Any, code: str) -> None:
    decision_id = gate.decide(refund()).decision_id
    data: Any = {"by": [value]}
    assert (code, "/data/by/0") == refusal(lambda: gate.append_event(decision_id, "override", data))
    assert () == gate.events(decision_id)
