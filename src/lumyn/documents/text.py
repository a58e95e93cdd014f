"""
Decoding bytes and finding characters that must not be in a file people review.
Knows UTF-8 and Unicode only; must not know JSON or YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lumyn.documents.document import Document
from lumyn.documents.pointers import join_pointer
from lumyn.errors import Problem
from lumyn.model import JsonValue

__all__ = ["CONTROL", "CONTROL_CLASS", "UNPAIRED_SURROGATE", "control_characters", "describe_character", "is_encodable"]

CONTROL_CLASS: Final = (
    "\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"
)
"""Inside of a character class: C0 but tab and line feed, DEL, C1, and the bidirectional controls of UAX #9."""

CONTROL: Final = re.compile(f"[{CONTROL_CLASS}]")

UNPAIRED_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def is_encodable(text: str) -> bool:
    """Return whether `text` has a UTF-8 form: it holds no lone surrogate."""
    return text.isascii() or UNPAIRED_SURROGATE.search(text) is None


def describe_character(character: str) -> str:
    """Return `U+202E` for a character that must not be shown itself."""
    return f"U+{ord(character):04X}"


def control_characters(document: Document) -> list[Problem]:
    """
    Return a `CONTROL_CHARACTER` problem for every key and text that holds one, written raw or as an escape.

    YAML files are refused for it when loaded.  JSON files are not, since requests may carry such characters in free
    text: whoever reads a JSON file that people review, such as a policy, asks here.
    """
    return [
        Problem(
            code="CONTROL_CHARACTER",
            message=f"holds the control character {describe_character(found)}",
            pointer=pointer,
            span=document.key_span(pointer) if in_key else document.span(pointer),
        )
        for pointer, found, in_key in _controls(document.value, "")
    ]


def _controls(value: JsonValue, pointer: str) -> Iterator[tuple[str, str, bool]]:
    if isinstance(value, str):
        if match := CONTROL.search(value):
            yield pointer, match.group(), False
    elif isinstance(value, dict):
        for key, item in value.items():
            below = join_pointer(pointer, key)
            if match := CONTROL.search(key):
                yield below, match.group(), True
            yield from _controls(item, below)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _controls(item, join_pointer(pointer, index))
