"""Control characters in files that people review."""

from __future__ import annotations

import pytest

from lumyn.documents import control_characters, load_json
from lumyn.documents.text import CONTROL
from lumyn.errors import Span


@pytest.mark.parametrize("escape", ["\\u0000", "\\u001b", "\\u007f", "\\u009b", "\\u202e", "\\u2066", "\\u200f", "\\r"])
def test_control_character_is_found_in_keys_and_values(escape: str) -> None:
    """A JSON escape hides nothing: the problem has code, pointer and position, and the character only by name."""
    document = load_json(f'{{"a": ["ok", "x{escape}"], "k{escape}": 1}}'.encode(), file="p.json")
    value, key = control_characters(document)
    assert ("CONTROL_CHARACTER", "/a/1", Span("p.json", 1, 14)) == (value.code, value.pointer, value.span)
    assert "CONTROL_CHARACTER" == key.code
    assert Span("p.json", 1, 14 + len(escape) + 6) == key.span
    assert CONTROL.search(value.message + key.message) is None


def test_ordinary_text_is_fine() -> None:
    """Tabs, line feeds and every script are text."""
    assert [] == control_characters(load_json('{"é": "\\t\\n😀\u4e2d"}'.encode(), file="p.json"))
