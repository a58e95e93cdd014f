"""
Whether one version of a JSON Schema still accepts everything an earlier one accepted. Must not import lumyn.

The comparison is structural and errs on the strict side: a change it cannot judge counts as breaking. The rules are
those of docs/schema-evolution.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

JsonSchema = Any

# Words for readers and editors; they accept and refuse nothing.
_ANNOTATIONS = {"$comment", "$id", "$schema", "deprecated", "description", "examples", "markdownDescription", "title"}
# Keyword -> whether the new bound is at least as wide as the old one.
_BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "minimum": lambda old, new: new <= old,
    "exclusiveMinimum": lambda old, new: new <= old,
    "minLength": lambda old, new: new <= old,
    "minItems": lambda old, new: new <= old,
    "minProperties": lambda old, new: new <= old,
    "maximum": lambda old, new: new >= old,
    "exclusiveMaximum": lambda old, new: new >= old,
    "maxLength": lambda old, new: new >= old,
    "maxItems": lambda old, new: new >= old,
    "maxProperties": lambda old, new: new >= old,
}
_NESTED = {"additionalProperties", "items", "propertyNames", "contains", "unevaluatedProperties", "unevaluatedItems"}
_MAPS = {"$defs", "patternProperties", "dependentSchemas"}
_LISTS = {"anyOf", "oneOf", "allOf", "prefixItems"}
_HANDLED = _ANNOTATIONS | set(_BOUNDS) | _NESTED | _MAPS | _LISTS | {"type", "enum", "const", "properties", "required"}
_EVERY_TYPE = {"null", "boolean", "integer", "number", "string", "array", "object"}


def breaking_changes(old: JsonSchema, new: JsonSchema, *, promised: bool = False, place: str = "#") -> Iterator[str]:
    """
    Yield what was removed or narrowed between two schemas, one line each; nothing when the change is additive.

    Args:
        promised: Whether readers rely on required members, as in documents that Lumyn writes: then a required member
            may not become optional either.
    """
    if old == new or old is False or new is True:
        return
    if old is True:
        old = {}
    if new is False:
        yield f"{place}: nothing is accepted any more"
        return
    yield from _types(old, new, place)
    yield from _values(old, new, place)
    yield from _members(old, new, place, promised=promised)
    for keyword, wider in _BOUNDS.items():
        if keyword in new and (keyword not in old or not wider(old[keyword], new[keyword])):
            yield f"{place}: `{keyword}` is narrower"
    for keyword in _NESTED & (set(old) | set(new)):
        yield from breaking_changes(
            old.get(keyword, True), new.get(keyword, True), promised=promised, place=f"{place}/{keyword}"
        )
    for keyword in _MAPS & (set(old) | set(new)):
        yield from _map(old.get(keyword, {}), new.get(keyword, {}), keyword, f"{place}/{keyword}", promised=promised)
    for keyword in _LISTS & (set(old) | set(new)):
        yield from _list(old.get(keyword), new.get(keyword), keyword, f"{place}/{keyword}", promised=promised)
    for keyword in (set(old) | set(new)) - _HANDLED:
        if old.get(keyword) != new.get(keyword):
            yield f"{place}: `{keyword}` changed, which nothing shows to be additive"


def _types(old: JsonSchema, new: JsonSchema, place: str) -> Iterator[str]:
    lost = _type_set(old) - _type_set(new)
    if lost:
        yield f"{place}: type {', '.join(sorted(lost))} is not accepted any more"


def _type_set(schema: JsonSchema) -> set[str]:
    given = schema.get("type")
    types = _EVERY_TYPE if given is None else {given} if isinstance(given, str) else set(given)
    return types | {"integer"} if "number" in types else types


def _values(old: JsonSchema, new: JsonSchema, place: str) -> Iterator[str]:
    before, after = _value_list(old), _value_list(new)
    if after is None:
        return
    if before is None:
        yield f"{place}: only listed values are accepted"
        return
    for value in before:
        if not any(value == other and type(value) is type(other) for other in after):
            yield f"{place}: value {value!r} is not accepted any more"


def _value_list(schema: JsonSchema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _members(old: JsonSchema, new: JsonSchema, place: str, *, promised: bool) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, schema in before.items():
        if name in after:
            yield from breaking_changes(schema, after[name], promised=promised, place=f"{place}/properties/{name}")
        else:
            yield f"{place}: member `{name}` was removed"
    if old.get("additionalProperties", True) is not False:
        for name in after.keys() - before.keys():
            yield f"{place}: member `{name}` was free and is now described"
    required, still = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(still - required):
        yield f"{place}: member `{name}` became required"
    if promised:
        for name in sorted(required - still):
            yield f"{place}: member `{name}` is not promised any more"


def _map(old: JsonSchema, new: JsonSchema, keyword: str, place: str, *, promised: bool) -> Iterator[str]:
    for name, schema in old.items():
        if name in new:
            yield from breaking_changes(schema, new[name], promised=promised, place=f"{place}/{name}")
        elif keyword == "$defs":
            yield f"{place}: definition `{name}` was removed"
    if keyword != "$defs":
        for name in new.keys() - old.keys():
            yield f"{place}: `{name}` is a new constraint"


def _list(
    old: list[JsonSchema] | None, new: list[JsonSchema] | None, keyword: str, place: str, *, promised: bool
) -> Iterator[str]:
    if new is None:
        return
    if old is None:
        yield f"{place}: a new constraint"
        return
    for index, (before, after) in enumerate(zip(old, new, strict=False)):
        yield from breaking_changes(before, after, promised=promised, place=f"{place}/{index}")
    if keyword == "allOf" and len(new) > len(old):
        yield f"{place}: a new constraint"
    if keyword in {"anyOf", "oneOf"} and len(new) < len(old):
        yield f"{place}: an alternative was removed"
    if keyword in {"prefixItems", "oneOf"} and len(new) > len(old):
        yield f"{place}: grew, which nothing shows to be additive"
