"""
Writes values as YAML flow or JSON text in the manner of a given document.
Must not know where a value will stand; whoever puts it there reads it back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lumyn.documents.nodes import Entry, Node
from lumyn.documents.numbers import NumberRefusedError
from lumyn.documents.yaml_scalars import AmbiguousScalarError, plain_value
from lumyn.model import JsonValue

__all__ = ["Style", "canonical_key", "double_quoted", "render", "render_key", "same", "style_of"]

# What stands without quotes in brackets and outside of them, for every YAML version.
_PLAIN: Final = re.compile(r"[A-Za-z_$](?:[A-Za-z0-9_./$-]|[ ](?=[A-Za-z0-9_.(]))*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """
    How a document writes its collections.

    Attributes:
        separator: Between two members in brackets.
        colon: Between key and value in brackets.
        mapping_pad: Inside of braces.
        list_pad: Inside of brackets.
    """

    json: bool
    separator: str
    colon: str
    mapping_pad: str
    list_pad: str


def same(one: JsonValue, other: JsonValue) -> bool:
    """Return whether two values are the same data in the same types; `1`, `1.0` and `true` are three."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def canonical_key(value: JsonValue) -> str:
    """Return a text that two values share just when they are `same`."""
    return json.dumps(value, sort_keys=True)


def style_of(root: Node, text: str, *, json: bool) -> Style:
    """Return how a document writes collections, told from the first that says so."""
    separator = colon = mapping_pad = list_pad = None
    for node in _flow(root):
        entries = node.entries or []
        if not entries:
            continue
        key, head = entries[0].key, text[node.start + 1 : entries[0].start]
        if key is not None:
            mapping_pad = _first(mapping_pad, head)
            colon = _first(colon, text[key.end : entries[0].value.start])
        else:
            list_pad = _first(list_pad, head)
        if len(entries) > 1:
            separator = _first(separator, text[entries[0].value.end : entries[1].start])
    return Style(
        json=json,
        separator=", " if separator is None else separator,
        colon=": " if colon is None or not colon.strip() else colon,
        mapping_pad=mapping_pad or "",
        list_pad=list_pad or "",
    )


def render_key(key: str, style: Style, *, like: Node | None = None) -> str:
    """Return a key, quoted where its neighbours are or where it has to be."""
    return _text(key, style, like.style if like is not None else "")


def render(value: JsonValue, style: Style, *, like: Node | None = None) -> str:
    """Return a value on one line; a text is quoted as `like` is, or where it has to be."""
    if isinstance(value, str):
        return _text(value, style, like.style if like is not None and like.entries is None else "")
    if isinstance(value, dict):
        members = [f"{render_key(key, style)}{style.colon}{render(below, style)}" for key, below in value.items()]
        pad = style.mapping_pad if members else ""
        return "{" + pad + style.separator.join(members) + pad + "}"
    if isinstance(value, list):
        pad = style.list_pad if value else ""
        return "[" + pad + style.separator.join(render(item, style, like=like) for item in value) + pad + "]"
    return json.dumps(value)


def double_quoted(text: str, *, json: bool) -> str:
    """Return `text` in double quotes, with an escape for whatever a reader would not see."""
    return '"' + "".join(_escaped(character, json=json) for character in text) + '"'


def _flow(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        each = waiting.pop()
        entries: list[Entry] = each.entries or []
        if each.entries is not None and each.flow:
            yield each
        waiting.extend(entry.value for entry in reversed(entries))


def _first(known: str | None, found: str) -> str | None:
    return found if known is None and not set(found) & set("\r\n#") else known


def _text(text: str, style: Style, quote: str) -> str:
    if style.json or quote == '"':
        return double_quoted(text, json=style.json)
    if quote == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return text if _is_plain(text) else double_quoted(text, json=False)


def _is_plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text):
        return False
    try:
        return plain_value(text) == text
    except (AmbiguousScalarError, NumberRefusedError):
        return False


def _escaped(character: str, *, json: bool) -> str:
    known = _ESCAPES.get(character)
    if known is not None:
        return known
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    if not json:
        return f"\\U{code:08x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
