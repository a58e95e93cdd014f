"""
Requests with something else in them: parts replaced or taken out, and where two requests differ.
Works on plain JSON data and copies what it changes; must not know why anything is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from lumyn.model import JsonObject, JsonValue

__all__ = ["Change", "Place", "apart", "changed", "value_at"]

Place: TypeAlias = "tuple[str, ...]"
"""Names from the outside in, such as `("action", "amount", "value")`."""

Change: TypeAlias = "tuple[Place, JsonValue]"
"""A place and its new value; None takes it out."""

_PARTS = ("subject", "tenant", "action", "evidence")


def changed(request: JsonObject, changes: Iterable[Change]) -> JsonObject:
    """Return a request with changes made; what they do not touch is shared with it."""
    for place, value in changes:
        request = _put(request, place, value)
    return request


def _put(holder: JsonObject, place: Place, value: JsonValue) -> JsonObject:
    name, *rest = place
    made = dict(holder)
    if rest:
        inner = made.get(name)
        made[name] = _put(inner if isinstance(inner, dict) else {}, tuple(rest), value)
    elif value is None:
        made.pop(name, None)
    else:
        made[name] = value
    return made


def value_at(request: JsonObject, place: Place) -> JsonValue:
    """Return what stands at a place, or None."""
    value: JsonValue = request
    for name in place:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def apart(one: JsonObject, other: JsonObject) -> tuple[Place, ...]:
    """
    Return the places in which two requests differ, of what a policy can read.

    An object that only one of them has is one difference.
    """
    found: list[Place] = []
    for part in _PARTS:
        if part == "tenant" and (part in one) is not (part in other):
            found.append((part,))
        else:
            found += _apart(one.get(part, {}), other.get(part, {}), (part,))
    return tuple(found)


def _apart(one: JsonValue, other: JsonValue, place: Place) -> Iterator[Place]:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        if one != other or isinstance(one, bool) is not isinstance(other, bool):
            yield place
        return
    for name in dict.fromkeys((*one, *other)):
        yield from _apart(one.get(name), other.get(name), (*place, name))
