"""
The body of an event as a caller sends it, and which of the gate's methods it means.
One of the places where raw JSON exists; must not know HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lumyn.core.experience import LABEL_EVENT, RETRACTION_EVENT
from lumyn.documents import Limits, join_pointer, parse_json
from lumyn.errors import InvalidRequestError, NotFoundError, Problem
from lumyn.model import JsonObject, JsonValue, MemoryItem

if TYPE_CHECKING:
    from lumyn.core.decide import Gate
    from lumyn.store.base import Event

__all__ = ["append"]

_TEXT: Final = "a text"
_MEMBERS: Final = {"type": _TEXT, "data": "an object", "actor": _TEXT, "reason": _TEXT}
_LABEL: Final = {"label": _TEXT, "note": _TEXT}
_RETRACTION: Final = {"label": _TEXT, "retracts": _TEXT}


def append(gate: Gate, decision_id: str, body: bytes, *, limits: Limits) -> Event:
    """
    Append the event that `body` describes to a decision and return it, durable.

    A body is an object with `type` and, as the type wants them, `data`, `actor` and `reason`:
    `label` has `data.label` and may have `data.note`; `retraction` may have `data.label`, to name the kind, or
    `data.retracts`, to name the experience; any other type has what data it likes.

    Raises:
        InvalidRequestError: It does not describe one.
        NotFoundError: There is no such decision, or no such label.
        StoreUnavailableError: Nothing was written.
    """
    document = parse_json(body, error=InvalidRequestError, limits=limits)
    event = _members(document, "", _MEMBERS, needed=("type",))
    kind, actor, reason = _text(event, "type"), _text(event, "actor"), _text(event, "reason")
    data = event.get("data", {})
    if kind == LABEL_EVENT:
        _without(event, "reason", "a label has `data.note`")
        given = _members(data, "/data", _LABEL, needed=("label",))
        with _in_data():
            item = gate.label(decision_id, _text(given, "label") or "", note=_text(given, "note"), actor=actor)
        return _event_of(gate, decision_id, item)
    if kind == RETRACTION_EVENT:
        given = _members(data, "/data", _RETRACTION)
        return _retract(gate, decision_id, given, actor=actor, reason=reason)
    free: JsonObject = data if isinstance(data, dict) else {}
    return gate.append_event(decision_id, kind or "", free, actor=actor, reason=reason)


def _retract(
    gate: Gate, decision_id: str, given: Mapping[str, JsonValue], *, actor: str | None, reason: str | None
) -> Event:
    target = _text(given, "retracts") or decision_id
    if target != decision_id:
        # The right to change what happened to one decision must not reach the experience of another.
        owner = gate.store.memory_item(target).source_decision_id
        if owner != decision_id:
            raise NotFoundError("the decision has no such label", reason_code="MEMORY_NOT_FOUND")
    with _in_data():
        item = gate.retract(target, label=_text(given, "label"), actor=actor, reason=reason)
    return _event_of(gate, decision_id, item)


@contextmanager
def _in_data() -> Iterator[None]:
    """Say where in the body a label is wrong: the gate is given it by itself."""
    try:
        yield
    except InvalidRequestError as error:
        moved = {"/label": "/data/label", "/note": "/data/note"}
        raise InvalidRequestError(
            replace(each, pointer=moved.get(each.pointer, each.pointer)) for each in error.problems
        ) from None


def _event_of(gate: Gate, decision_id: str, item: MemoryItem) -> Event:
    """Return the event that came with an experience."""
    for event in reversed(gate.events(decision_id)):
        if event.data.get("memory_id") == item.memory_id:
            return event
    raise NotFoundError("the event that was appended is not there")


def _members(
    value: JsonValue, pointer: str, known: Mapping[str, str], *, needed: tuple[str, ...] = ()
) -> Mapping[str, JsonValue]:
    """Return `value` as an object that has the needed members, and none but the known ones, each of its type."""
    if not isinstance(value, dict):
        raise InvalidRequestError([Problem(code="TYPE_INVALID", message="must be an object", pointer=pointer)])
    problems = [
        Problem(code="FIELD_MISSING", message=f"`{name}` is missing", pointer=pointer)
        for name in needed
        if name not in value
    ]
    for name, member in value.items():
        place = join_pointer(pointer, name)
        if name not in known:
            hint = f"known members: {', '.join(known)}"
            problems.append(Problem(code="FIELD_UNKNOWN", message="unknown member", pointer=place, hint=hint))
        elif not isinstance(member, str if known[name] == _TEXT else dict):
            problems.append(Problem(code="TYPE_INVALID", message=f"must be {known[name]}", pointer=place))
    if problems:
        raise InvalidRequestError(problems)
    return value


def _text(members: Mapping[str, JsonValue], name: str) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) else None


def _without(members: Mapping[str, JsonValue], name: str, hint: str) -> None:
    if name in members:
        problem = Problem(
            code="FIELD_CONFLICT", message=f"`{name}` is not for this type", pointer=f"/{name}", hint=hint
        )
        raise InvalidRequestError([problem])
