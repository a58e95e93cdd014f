"""
Fits text to a number of terminal columns: lines folded at spaces, tables whose columns share the width.
Pure text; must not know colours, streams or what the text is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["GAP", "cells", "column_widths", "fold"]

GAP: Final = 2
"""Spaces between the columns of a table."""

_LEAST_COLUMN: Final = 4
_NO_CELL: Final = frozenset({"Mn", "Me", "Cf"})


def cells(text: str) -> int:
    """Return how many terminal columns `text` takes (UAX #11: wide characters take two, combining ones none)."""
    return len(text) if text.isascii() else sum(map(_char_cells, text))


def _char_cells(char: str) -> int:
    import unicodedata

    if unicodedata.category(char) in _NO_CELL:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fold(text: str, first: int, rest: int) -> Iterator[tuple[int, int]]:
    """
    Yield start and end of each line of `text`: at most `first` columns, then `rest`; both at least 2.

    Breaks at spaces, which then belong to neither line, and inside a word only when it fits no line.
    """
    start, room = 0, first
    while True:
        end = _reach(text, start, room)
        if end == len(text):
            yield start, end
            return
        space = text.rfind(" ", start, end + 1)
        if space > start and text[start:space].strip():
            yield start, space
            start = space + 1
        else:
            yield start, end
            start = end
        while start < len(text) and text[start] == " ":
            start += 1
        room = rest


def _reach(text: str, start: int, room: int) -> int:
    """Return the end of the longest piece from `start` that takes at most `room` columns."""
    if text.isascii():
        return min(len(text), start + room)
    used = 0
    for place in range(start, len(text)):
        used += _char_cells(text[place])
        if used > room:
            return max(place, start + 1)
    return len(text)


def column_widths(columns: Sequence[Sequence[str]], *, room: int) -> list[int]:
    """Return a width for each column so that their sum fits `room`, breaking words only when nothing else helps."""
    widths = [min(max(1, *map(cells, column)), room) for column in columns]
    # A code or an id is copied and searched for, so the columns with the longest sentences give way first.
    floors = [max((cells(word) for text in column for word in text.split()), default=1) for column in columns]
    while sum(widths) > room and max(widths) > _LEAST_COLUMN:
        loose = [place for place, width in enumerate(widths) if width > floors[place]]
        widest = max(loose or range(len(widths)), key=lambda place: widths[place])
        widths[widest] -= 1
    return widths
