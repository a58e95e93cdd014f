"""What the vector writer writes is read back as the same data, and looks as a person would write it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from lumyn.documents import load_yaml
from lumyn.documents.text import CONTROL
from lumyn.model import JsonObject
from lumyn.vectors.writing import comment, printable, yaml_text

TEXTS = st.text(max_size=24) | st.sampled_from(
    ["no", "on", "12", "1_000", "2026-01-01", "12:30", "~", "<<", "- a", "a: b", "a #b", "a:", "'", '"', "\\", "[x]"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXTS, below, max_size=4),
    max_leaves=12,
)


@examples(200)
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_is_written_is_read_back(document: JsonObject) -> None:
    """Once characters that no file may hold are replaced."""
    clean = printable(document)
    assert isinstance(clean, dict)
    assert (clean or None) == load_yaml(yaml_text(clean).encode(), file="x").value
    assert CONTROL.search(yaml_text(clean).replace("\n", "")) is None


def test_short_things_stand_on_one_line_and_long_ones_do_not() -> None:
    document: JsonObject = {
        "expect": {"verdict": "TRUST", "reason_codes": ["A_B"]},
        "action": {"type": "a.b", "target": {"system": "x"}},
        "amount": {"value": "12.00", "currency": "USD"},
        "steps": [{"label": "failure", "request": {"action": {"type": "a.b"}}}],
        "when": "2026-01-15T12:00:00Z",
        "empty": {},
        "codes": [f"A_RATHER_LONG_REASON_CODE_{number}" for number in range(4)],
    }
    assert (
        yaml_text(document)
        == """expect: { verdict: TRUST, reason_codes: [A_B] }
action:
  type: a.b
  target: { system: x }
amount: { value: "12.00", currency: USD }
steps:
  - label: failure
    request:
      action: { type: a.b }
when: "2026-01-15T12:00:00Z"
empty: {}
codes:
  - A_RATHER_LONG_REASON_CODE_0
  - A_RATHER_LONG_REASON_CODE_1
  - A_RATHER_LONG_REASON_CODE_2
  - A_RATHER_LONG_REASON_CODE_3
"""
    )


def test_control_characters_are_never_written() -> None:
    with pytest.raises(ValueError, match="control"):
        yaml_text({"a": "\u202e"})
    assert {"a": "\ufffd", "\ufffd": ["\ufffdx"]} == printable({"a": "\u202e", "\x9b": ["\x00x"]})


@pytest.mark.parametrize("text", ["", "one", "two\nlines", "\u202e\x1b[2J\u2028", "word " * 60, "x" * 300])
def test_a_comment_is_one_whatever_it_says(text: str) -> None:
    written = comment(text)
    assert all(re.fullmatch(r"# [^\n\x1b\u202e\u2028]*", line) for line in written.splitlines())
    assert {"a": 1} == load_yaml(f"{written}a: 1\n".encode(), file="x").value
