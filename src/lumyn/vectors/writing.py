"""
Writes plain data as the YAML a person would write: short things on one line, text quoted only where it has to be.
What it writes is read back as the same data by the strict loader; must not know what any key means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from lumyn.digest import canonical_text
from lumyn.documents.text import CONTROL
from lumyn.documents.yaml_scalars import AmbiguousScalarError, plain_value
from lumyn.model import JsonObject, JsonValue

__all__ = ["comment", "printable", "yaml_text"]

_WIDTH: Final = 100
_MOST_IN_A_LINE: Final = 6
_WORD: Final = r"[A-Za-z0-9_./+@()-]+"
_PLAIN: Final = re.compile(rf"[A-Za-z_]{_WORD[:-1]}*(?: {_WORD})*")
# Written raw they would end a line in YAML 1.1, or vanish; inside of double quotes an escape means the same.
_ESCAPED: Final = re.compile("[\u0085\u2028\u2029\ufeff]")
_REPLACEMENT: Final = "\ufffd"


def yaml_text(document: JsonObject) -> str:
    """
    Return `document` as block style YAML, keys in their order; it ends with a line end.

    Raises:
        ValueError: A text holds a character that no vector file may hold; see `printable`.
    """
    return "".join(f"{line}\n" for line in _mapping(document))


def comment(text: str) -> str:
    """Return text as lines of comment, folded; what a file may not hold is replaced."""
    import textwrap

    clean = _ESCAPED.sub(_REPLACEMENT, CONTROL.sub(_REPLACEMENT, text.replace("\n", " ").replace("\t", " ")))
    lines = textwrap.wrap(clean, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def printable(value: JsonValue) -> JsonValue:
    """Return `value` with every character that a vector file may not hold replaced by U+FFFD."""
    if isinstance(value, str):
        return CONTROL.sub(_REPLACEMENT, value)
    if isinstance(value, list):
        return [printable(item) for item in value]
    if isinstance(value, dict):
        return {str(printable(key)): printable(item) for key, item in value.items()}
    return value


def _mapping(value: JsonObject) -> Iterator[str]:
    for key, item in value.items():
        name = f"{_scalar(key)}:"
        line = _one_line(item, room=_WIDTH - len(name) - 1)
        if line is not None:
            yield f"{name} {line}"
        elif isinstance(item, dict):
            yield name
            yield from (f"  {below}" for below in _mapping(item))
        elif isinstance(item, list):
            yield name
            yield from (f"  {below}" for below in _items(item))


def _items(value: list[JsonValue]) -> Iterator[str]:
    for item in value:
        line = _one_line(item, room=_WIDTH - 4)
        if line is not None:
            yield f"- {line}"
        elif isinstance(item, (dict, list)):
            first, *rest = _mapping(item) if isinstance(item, dict) else _items(item)
            yield f"- {first}"
            yield from (f"  {below}" for below in rest)


def _one_line(value: JsonValue, *, room: int) -> str | None:
    """Return a value on one line, or None for one that reads better, or only fits, on several."""
    if isinstance(value, dict) and value:
        if len(value) > _MOST_IN_A_LINE or any(isinstance(item, dict) and item for item in value.values()):
            return None
        parts = [f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()]
        text = f"{{ {', '.join(parts)} }}"
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) and item for item in value):
        return None
    else:
        text = _flow(value)
    return text if len(text) <= room or not isinstance(value, (dict, list)) else None


def _flow(value: JsonValue) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_scalar(key)}: {_flow(item)}' for key, item in value.items())} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_flow(item) for item in value)}]"
    return _scalar(value)


def _scalar(value: JsonValue) -> str:
    if not isinstance(value, str):
        return canonical_text(value)
    if CONTROL.search(value):
        raise ValueError("a vector file cannot hold control characters")
    if _PLAIN.fullmatch(value) and _is_plain(value):
        return value
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _is_plain(text: str) -> bool:
    try:
        return plain_value(text) == text
    except AmbiguousScalarError:
        return False
