"""
How the written pieces of a vector become one: deep merge, and values put at dotted paths.
Works on plain JSON data and copies what it changes; must not know what any key means.
"""

from __future__ import annotations

import re
from typing import Final, cast

from lumyn.model import JsonObject, JsonValue
from lumyn.vectors.origins import VectorPath

__all__ = ["PathError", "dotted", "literal", "merge", "merge_request", "parse_path", "put", "value_at"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9_$-]+")
_VERBATIM: Final = "$value"


class PathError(ValueError):
    """A dotted path is malformed, or leads through something that is neither an object nor a list."""


def parse_path(text: str) -> VectorPath:
    """
    Return the tokens of a dotted path such as `request.action.amount.value`; digits alone are a list index.

    Raises:
        PathError: A token is empty or holds other characters than letters, digits, `_`, `-` and `$`.
    """
    tokens = text.split(".")
    for token in tokens:
        if not _TOKEN.fullmatch(token):
            raise PathError("a path is names joined by dots, such as `request.evidence.ticket_id`")
    return tuple(int(token) if token.isdecimal() else token for token in tokens)


def dotted(path: VectorPath) -> str:
    """Return a path as messages write it."""
    return ".".join(str(token) for token in path)


def value_at(value: JsonValue, path: VectorPath) -> JsonValue:
    """Return the value at `path`, or None when there is none."""
    for token in path:
        if isinstance(value, dict):
            value = value.get(str(token))
        elif isinstance(value, list) and isinstance(token, int) and token < len(value):
            value = value[token]
        else:
            return None
    return value


def literal(value: JsonValue) -> JsonValue:
    """Return what `{$value: x}` stands for, x as it is written; any other value is returned unchanged."""
    if isinstance(value, dict) and len(value) == 1 and _VERBATIM in value:
        return value[_VERBATIM]
    return value


def merge(base: JsonObject, over: JsonObject, *, keep_null: bool = False) -> JsonObject:
    """
    Return `base` with `over` laid on top: maps merge, anything else replaces, null deletes.

    Args:
        keep_null: Keep a null where there is nothing to delete, because there a null is data.

    Returns:
        A new object; neither argument is changed, parts may be shared. `{$value: x}` puts x as it is written.
    """
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            if merged.pop(key, None) is None and keep_null:
                merged[key] = None
        elif isinstance(value, dict):
            if len(value) == 1 and _VERBATIM in value:
                merged[key] = value[_VERBATIM]
            else:
                below = merged.get(key)
                merged[key] = merge(below if isinstance(below, dict) else {}, value, keep_null=keep_null)
        else:
            merged[key] = value
    return merged


def merge_request(base: JsonObject, over: JsonObject) -> JsonObject:
    """
    Return two layers of a request merged.

    A null of `over` at the top level stays: it says that the member is left out, built-in defaults included.
    """
    merged = merge(base, over, keep_null=True)
    for key, value in over.items():
        if value is None:
            merged[key] = None
    return merged


def put(root: JsonObject, path: VectorPath, value: JsonValue) -> JsonObject:
    """
    Return `root` with `value` at `path`; null deletes what is there.

    Missing objects on the way are made. `{$value: x}` puts x as it is written, null included.

    Raises:
        PathError: The path leads through a scalar, or to a list item that does not exist.
    """
    return cast("JsonObject", _put(root, path, value, 0))


def _put(node: JsonValue, path: VectorPath, value: JsonValue, depth: int) -> JsonValue:
    if depth == len(path):
        return literal(value)
    token = path[depth]
    if isinstance(node, list):
        if not isinstance(token, int) or token >= len(node):
            raise PathError(f"`{dotted(path[: depth + 1])}` is not in the list")
        items = list(node)
        items[token] = _put(items[token], path, value, depth + 1)
        return items
    if node is not None and not isinstance(node, dict):
        raise PathError(f"`{dotted(path[:depth])}` is not an object")
    copy = {} if node is None else dict(node)
    key = str(token)
    if value is None and depth == len(path) - 1:
        copy.pop(key, None)
    elif value is None and copy.get(key) is None:
        # Nothing below to delete.
        return node
    else:
        copy[key] = _put(copy.get(key), path, value, depth + 1)
    return copy
