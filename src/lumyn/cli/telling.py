"""
Writes sections to a terminal: a bold title, labelled lines, verdicts in their colours.
Must not know what the sections are about.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lumyn.cli.console import Console, Part
from lumyn.cli.rendering import verdict_part
from lumyn.report.sections import Row, Section

__all__ = ["print_sections"]

_INDENT: Final = 2
_LEAST_LABEL: Final = 11
_MOST_LABEL: Final = 28


def print_sections(console: Console, sections: Iterable[Section]) -> None:
    """Write sections, a blank line before each."""
    for section in sections:
        console.line("")
        console.line((section.title, "bold"), hang=_INDENT)
        longest = max(len(row.label) for row in section.rows)
        width = 0 if longest == 0 else min(max(longest, _LEAST_LABEL), _MOST_LABEL)
        for row in section.rows:
            _print_row(console, row, width)


def _print_row(console: Console, row: Row, width: int) -> None:
    hang = _INDENT + width + 1 if row.label else 2 * _INDENT
    if console.width is not None and hang > console.width // 3:
        hang = 2 * _INDENT
    parts: list[Part] = [(row.label.ljust(width), "dim"), " "] if row.label else []
    if row.verdict is None:
        parts.append((row.text, "bold" if row.strong else ""))
    elif row.ends:
        parts += [row.text, " ", verdict_part(row.verdict)]
    else:
        parts += [verdict_part(row.verdict), " ", row.text]
    console.line(*parts, indent=_INDENT, hang=hang)
    for text in row.below:
        console.line(text, indent=hang, hang=hang + _INDENT)
