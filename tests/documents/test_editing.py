"""Only the text of what changes is touched, and a text that cannot be changed so is left."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from lumyn.documents import load
from lumyn.documents.editing import EditRefusedError, edited

Change = Callable[[Any], Any]


def put(*path: Any) -> Change:
    """Return a function that puts the last argument at the path of the others."""

    def change(value: Any) -> None:
        for token in path[:-2]:
            value = value[token]
        value[path[-2]] = path[-1]

    return change


def drop(*path: Any) -> Change:
    def change(value: Any) -> None:
        for token in path[:-1]:
            value = value[token]
        del value[path[-1]]

    return change


def result(text: str, change: Change, file: str = "a.yml") -> str:
    document = load(text.encode(), file=file)
    value = copy.deepcopy(document.value)
    change(value)
    return edited(document, value).text


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        ("a: 1 # c", put("a", 2), "a: 2 # c"),
        ("a: x", put("a", "y: z"), 'a: "y: z"'),
        ("a: x", put("a", "no"), 'a: "no"'),
        ("a: 'x'", put("a", "it's"), "a: 'it''s'"),
        ("a:", put("a", 1), "a: 1"),
        ("a: # c\nb: 1\n", put("a", 1), "a: 1 # c\nb: 1\n"),
        ("a: # c\nb: 1\n", put("b", 2), "a: # c\nb: 2\n"),
        ("a:\n  # c\n\nb: 1\n", put("b", 2), "a:\n  # c\n\nb: 2\n"),
        ("- # c\n- 1\n", put(0, 2), "- 2 # c\n- 1\n"),
        ("- # c\n- 1\n", put(1, 2), "- # c\n- 2\n"),
        ("{a: , b: 1}", put("a", 1), "{a: 1 , b: 1}"),
        ("{a, b: 1}", put("a", 1), "{a: 1, b: 1}"),
        ("a: [1, 2, 3]", drop("a", 0), "a: [2, 3]"),
        ("a: [1, 2, 3]", drop("a", 2), "a: [1, 2]"),
        ("a: [1, # one\n  2, # two\n  3]", drop("a", 1), "a: [1, # one\n  # two\n  3]"),
        ("a:\n- 1 # one\n# two\n- 2\n", drop("a", 0), "a:\n# two\n- 2\n"),
        ("a:\n- 1 # one\n# two\n- 2\n", drop("a", 1), "a:\n- 1 # one\n# two\n"),
        ("a:\n  b: 1\n  c: 2 # c\nd: 3\n", drop("a", "c"), "a:\n  b: 1\nd: 3\n"),
        ("- a: 1\n  b: 2\n", drop(0, "a"), "- b: 2\n"),
        ("a:\n  - 1\n", put("a", []), "a: []\n"),
        ("a:\n  b: 1\n", put("a", {}), "a: {}\n"),
        ("a: {}\n", put("a", "b", 1), "a: {b: 1}\n"),
        ("a: { b: 1 }\nc: []\n", put("c", [{"d": "e"}]), "a: { b: 1 }\nc: [{ d: e }]\n"),
        ("a: |\n  text\n\n# c\n", put("a", "x"), "a: x\n\n# c\n"),
        ("a: 1\r\nb: 2\r\n", put("c", 3), "a: 1\r\nb: 2\r\nc: 3\r\n"),
        ("a: 1\nb: 2", put("c", 3), "a: 1\nb: 2\nc: 3"),
    ],
)
def test_yaml(text: str, change: Change, expected: str) -> None:
    assert expected == result(text, change)


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        ('{"a":1,"b":[]}', put("b", [1, "x"]), '{"a":1,"b":[1,"x"]}'),
        ('{"a": 1}', put("b", "é\n\u200b\U000e0001"), '{"a": 1, "b": "é\\n\\u200b\\udb40\\udc01"}'),
        ('{\n  "a": 1\n}\n', put("b", 2), '{\n  "a": 1,\n  "b": 2\n}\n'),
        ('{\n\t"a": [\n\t\t1\n\t]\n}', put("a", [1, 2]), '{\n\t"a": [\n\t\t1,\n\t\t2\n\t]\n}'),
        ('{"a": 1.00, "b": 2}', put("b", 3), '{"a": 1.00, "b": 3}'),
    ],
)
def test_json(text: str, change: Change, expected: str) -> None:
    assert expected == result(text, change, "a.json")


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("a:\n  b: |+\n    text\n\n\nc: 1\n", put("a", "d", 1)),
        ("a:\n  - 1 # why\n", put("a", [])),
        ("a: [1 # why\n  ]\n", put("a", [])),
    ],
)
def test_what_would_touch_more_is_refused(text: str, change: Change) -> None:
    """The blank lines belong to the text above; the comments would be gone."""
    with pytest.raises(EditRefusedError):
        result(text, change)


def test_types_are_told_apart() -> None:
    assert "a: true\nb: 1.0\n" == result("a: 1\nb: 1\n", lambda value: value.update(a=True, b=1.0))
