"""
Titles with labelled lines below them: the form in which decisions and policies are told.
Plain values; must not know what they tell nor who writes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumyn.model import Verdict

__all__ = ["Row", "Section"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One line of a section. Texts are as the data has them: whoever writes them makes them safe.

    Attributes:
        label: A word or two, or an id; may be empty.
        verdict: Stands before the text of a rule, after that of a sentence that ends in it.
        ends: Whether the text ends in the verdict.
        below: Further lines that belong to it.
        strong: Whether it stands out among its neighbours.
    """

    label: str
    text: str
    verdict: Verdict | None = None
    ends: bool = False
    below: tuple[str, ...] = ()
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A title and at least one row."""

    title: str
    rows: tuple[Row, ...]
