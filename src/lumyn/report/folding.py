"""
Pieces of plain text with named styles, made printable, and folded to a number of columns.
Must not know what is told, nor how a terminal writes a style.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, takewhile
from typing import Final, TypeAlias

__all__ = [
    "GAP",
    "Line",
    "Segment",
    "Style",
    "Word",
    "fold",
    "folded",
    "plain",
    "printable",
    "terminal_markup",
    "words_of",
]


class Style(StrEnum):
    """What a piece of text is; how that looks is the face's business."""

    PLAIN = "plain"
    PLACE = "place"
    NAME = "name"
    LABEL = "label"
    TRUST = "trust"
    ESCALATE = "escalate"
    QUERY = "query"
    ABSTAIN = "abstain"
    LOST = "lost"
    GAINED = "gained"
    DIM = "dim"
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of one line, printable, without line ends."""

    text: str
    style: Style = Style.PLAIN


Line: TypeAlias = "list[Segment]"

_MARKUP: Final[dict[Style, dict[str, bool]]] = {
    Style.PLACE: {"bold": True},
    Style.NAME: {"bold": True},
    Style.TRUST: {"green": True, "bold": True},
    Style.ESCALATE: {"purple": True, "bold": True},
    Style.QUERY: {"bold": True},
    Style.ABSTAIN: {"red": True, "bold": True},
    Style.LOST: {"red": True},
    Style.GAINED: {"green": True},
    Style.ERROR: {"red": True},
    Style.WARNING: {"red": True, "bold": True},
}
"""Yellow, cyan and blue are left out: each is next to invisible on a white or on a black background."""

Word: TypeAlias = "list[Segment]"
GAP: Final[Word] = []
"""Stands between groups of words that belong apart; nothing at a line's end."""


def terminal_markup(style: Style) -> dict[str, bool]:
    """Return the keyword arguments that `pytest.TerminalReporter` and its writer take for a style."""
    return _MARKUP.get(style, {})


def printable(text: str) -> str:
    r"""
    Return `text` with everything a terminal would obey, or a reader would not see, written as an escape.

    Control characters (C0, DEL, C1), bidirectional and other format controls, line separators, surrogates and
    unassigned code points become `\x1b`, `\u202e` and the like.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def plain(lines: Iterable[Line]) -> str:
    """Return lines as one text, without styles and without a final line end."""
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def words_of(text: str, style: Style = Style.PLAIN, *, lead: int = 0) -> list[Word]:
    """Return the words of a text, the first one behind `lead` spaces."""
    words: list[Word] = [[Segment(word, style)] for word in text.split(" ") if word]
    if words and lead:
        words[0].insert(0, Segment(" " * lead))
    return words


def fold(words: Sequence[Word], width: int, *, indent: int) -> list[Line]:
    """
    Return words as lines of at most `width` columns where that is possible, all but the first indented.

    A group behind a gap that fits a line of its own is not torn: it begins a line rather than ending in the next.
    """
    lines: list[Line] = []
    line: Line = []
    used, gap = 0, 0
    for place, word in enumerate(words):
        if not word:
            gap = 2
            continue
        size = sum(_columns(segment.text) for segment in word)
        whole = _group_columns(words, place) if gap else size
        if line and used + 1 + gap + (whole if indent + whole <= width else size) > width:
            lines.append(line)
            line, used = [Segment(" " * indent)], indent
        elif line:
            line.append(Segment(" " * (1 + gap)))
            used += 1 + gap
        line += word
        used += size
        gap = 0
    lines.append(line)
    return lines


def folded(line: str, width: int) -> list[str]:
    """Return a line as lines of at most `width` columns where that is possible, further ones indented by two more."""
    indent = len(line) - len(line.lstrip())
    if _columns(line) <= width:
        return [line]
    words = [[Segment(word)] for word in line[indent:].split(" ")]
    words[0].insert(0, Segment(line[:indent]))
    return [plain([each]) for each in fold(words, width, indent=indent + 2)]


def _group_columns(words: Sequence[Word], start: int) -> int:
    """Return the columns of the words from `start` to the next gap, with a space between each two."""
    group = takewhile(bool, islice(words, start, None))
    return sum(1 + sum(_columns(segment.text) for segment in word) for word in group) - 1


def _columns(text: str) -> int:
    """Return how many columns `text` takes; wide East Asian characters take two (Unicode annex 11)."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
