"""Positions: where each value and key of a parsed file stands."""

from __future__ import annotations

import pytest

from lumyn.documents import Document, load_json, load_yaml
from lumyn.errors import Span

YAML = load_yaml(b"# c\na:\n  - id: x\n    if: {b/c: [1, 2]}\n", file="f.yml")
JSON = load_json(b'{\n "a": [\n  {"id": "x", "if": {"b/c": [1, 2]}}\n ]\n}\n', file="f.json")


@pytest.mark.parametrize(
    ("document", "pointer", "value", "key"),
    [
        (YAML, "", (2, 1), (2, 1)),
        (YAML, "/a", (3, 3), (2, 1)),
        (YAML, "/a/0", (3, 5), (3, 5)),
        (YAML, "/a/0/id", (3, 9), (3, 5)),
        (YAML, "/a/0/if", (4, 9), (4, 5)),
        (YAML, "/a/0/if/b~1c", (4, 15), (4, 10)),
        (YAML, "/a/0/if/b~1c/1", (4, 19), (4, 19)),
        (JSON, "", (1, 1), (1, 1)),
        (JSON, "/a", (2, 7), (2, 2)),
        (JSON, "/a/0", (3, 3), (3, 3)),
        (JSON, "/a/0/id", (3, 10), (3, 4)),
        (JSON, "/a/0/if/b~1c", (3, 29), (3, 22)),
        (JSON, "/a/0/if/b~1c/1", (3, 33), (3, 33)),
    ],
)
def test_positions(document: Document, pointer: str, value: tuple[int, int], key: tuple[int, int]) -> None:
    """A value begins at its first character, a key at its own; a list item is its own key."""
    assert Span(document.file, *value) == document.span(pointer)
    assert Span(document.file, *key) == document.key_span(pointer)


@pytest.mark.parametrize(
    ("pointer", "nearest"), [("/a/0/nope", "/a/0"), ("/a/9/x/y", "/a"), ("/nope", ""), ("/a/0/if/b/c", "/a/0/if")]
)
def test_absent_pointer_is_placed_at_its_nearest_ancestor(pointer: str, nearest: str) -> None:
    """A missing field is reported at the object that lacks it."""
    for document in (YAML, JSON):
        assert document.span(nearest) == document.span(pointer)
        assert document.span(nearest) == document.key_span(pointer)


def test_empty_document_has_a_position() -> None:
    """Even a file without a value can be pointed at."""
    assert Span("f.yml", 1, 1) == load_yaml(b"", file="f.yml").span("/a")


def test_text_is_kept_as_decoded() -> None:
    """The text keeps its line ends and loses only the byte order mark."""
    assert "a: 1\r\n" == load_yaml(b"\xef\xbb\xbfa: 1\r\n", file="f.yml").text
