"""One layout for every document: the same value, order and comments, and the same text when laid out again."""

from __future__ import annotations

import json

import pytest
from awkward import AWKWARD, awkward_files

from lumyn.documents import Document, load
from lumyn.documents.layout import LayoutRefusedError, laid_out

FILES = [file for file in awkward_files() if file.name != "explicit-keys.yml"]


def document(text: str | bytes, file: str = "a.yml") -> Document:
    return load(text if isinstance(text, bytes) else text.encode(), file=file)


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_awkward_files_keep_their_meaning(file) -> None:
    """And a second time changes nothing."""
    before = document(file.after, file.name)
    text = laid_out(before)
    after = document(text, file.name)
    assert json.dumps(before.value) == json.dumps(after.value)
    assert text == laid_out(after)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    first = file.after.find(b"\n")
    crlf = first > 0 and file.after[first - 1 : first] == b"\r"
    assert (text.count("\n") if crlf else 0) == text.count("\r\n") == text.count("\r")
    assert "\t" not in text or "tab-in" in file.name
    if file.name.endswith("yml"):
        lines = [line.split("#", 1)[1].strip() for line in file.after.decode().splitlines() if " # " in line]
        assert all(comment in text for comment in lines)


def test_there_are_awkward_files() -> None:
    assert AWKWARD.is_dir()
    assert len(FILES) >= 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:   1   # one\n", "a: 1  # one\n"),
        ("\n\n# head\n\n\na: 1\n\n\n\nb: 2\n\n", "# head\n\na: 1\n\nb: 2\n"),
        ("a:\n- x\n-   k: v\n    l: w\n", "a:\n  - x\n  - k: v\n    l: w\n"),
        ("a: {k:   v,l: [ 1,2 ]}\n", "a: { k: v, l: [1, 2] }\n"),
        ("a: {k: v,\n  l: w}\n", "a: { k: v, l: w }\n"),
        ("a: {k: v, # why\n  l: w}\n", "a: {\n  k: v,  # why\n  l: w\n}\n"),
        ("a: {}\nb: [ ]\n", "a: {}\nb: []\n"),
        ("a:    'q'\nb:  \"w\"\n", "a: 'q'\nb: \"w\"\n"),
        ("a: |\n      text\n        in\n\n      end\nb: 1", "a: |\n  text\n    in\n\n  end\nb: 1\n"),
        ("a: x\n   y\n   z\n", "a: x\n  y\n  z\n"),
        ("a:\n    # deep\n    b: 1\n    # last\nc: 2\n", "a:\n  # deep\n  b: 1\n  # last\nc: 2\n"),
        ("a: # k\n  b: 1\n", "a:  # k\n  b: 1\n"),
        ("---\na: 1\n", "---\na: 1\n"),
        ("a:\nb: 1\n", "a:\nb: 1\n"),
    ],
)
def test_yaml(text: str, expected: str) -> None:
    assert expected == laid_out(document(text))


def test_brackets_that_do_not_fit_go_to_the_next_line_or_over_several() -> None:
    words = ", ".join(["word" * 4] * 6)
    assert f"key: [{words}]\n" == laid_out(document(f"key: [{words}]"))
    name = "k" * 20
    assert f"{name}:\n  [{words}]\n" == laid_out(document(f"{name}: [{words}]"))
    items = ["word" * 4] * 8
    expected = "key: [\n" + ",\n".join(f"  {item}" for item in items) + "\n]\n"
    assert expected == laid_out(document(f"key: [{', '.join(items)}]"))


def test_json() -> None:
    expected = '{\n  "a": { "b": [1, 2.50, "\\u00e9"] },\n  "c": []\n}\n'
    assert expected == laid_out(document('{"a":{"b":[1,2.50,"\\u00e9"]},"c":[ ]}', "a.json"))


@pytest.mark.parametrize("text", ["x: 1\n? a\n: b\n", "", "a: |2\n    x\n", "a: [b: c]\n", "a: {b: , c: d}\n"])
def test_what_cannot_be_kept_is_refused(text: str) -> None:
    with pytest.raises(LayoutRefusedError):
        laid_out(document(text))
