"""Folding text to terminal columns loses nothing and exceeds nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumyn.cli.layout import cells, column_widths, fold

TEXT = st.text(st.sampled_from("ab ABC_ 日本é\u0301🙂-"), max_size=80)


@given(TEXT, st.integers(2, 30), st.integers(2, 30))
def test_every_line_fits_and_only_spaces_are_lost(text: str, first: int, rest: int) -> None:
    lines = [text[start:end] for start, end in fold(text, first, rest)]
    assert text.replace(" ", "") == "".join(lines).replace(" ", "")
    assert all(cells(line) <= (rest if number else first) for number, line in enumerate(lines))


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [
        ("", 5, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("one two three", 6, ["one", "two", "three"]),
        ("exactly", 7, ["exactly"]),
        ("unbreakable", 5, ["unbre", "akabl", "e"]),
        ("日本語です", 4, ["日本", "語で", "す"]),
    ],
)
def test_lines_break_at_spaces_and_inside_words_only_where_they_must(text: str, room: int, expected: list[str]) -> None:
    assert expected == [text[start:end] for start, end in fold(text, room, room)]


@given(st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=4), st.integers(20, 100))
def test_columns_share_the_room(columns: list[list[str]], room: int) -> None:
    widths = column_widths(columns, room=room)
    assert sum(widths) <= max(room, 4 * len(columns))
    assert min(widths) >= 1


def test_a_column_of_codes_keeps_its_width_before_a_column_of_sentences() -> None:
    assert [12, 8] == column_widths([["several words of it"], ["ONE_CODE"]], room=20)
