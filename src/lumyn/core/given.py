"""
What callers give beside a request: ids to look up, texts to keep, labels and verdicts by name.
Refuses what could be neither kept nor looked up, before a store sees it; must not know what any of it is for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from lumyn.documents.text import is_encodable
from lumyn.errors import InvalidRequestError, Problem
from lumyn.model import Label, Verdict

__all__ = ["check_needed", "check_texts", "known_count", "known_label", "known_verdict"]

E = TypeVar("E", bound=StrEnum)

_MOST_CHARACTERS: Final = 4_096
"""Of a note and the like: records tell the nearest experiences, so that a long one is stored again and again."""


def known_label(value: Label | str) -> Label:
    """Return the label called `value`. Raises `InvalidRequestError`."""
    return _member(Label, value, "LABEL_UNKNOWN", "label")


def known_verdict(value: Verdict | str) -> Verdict:
    """Return the verdict called `value`. Raises `InvalidRequestError`."""
    return _member(Verdict, value, "VALUE_INVALID", "verdict")


def known_count(value: object, *, name: str) -> int:
    """Return a number of things to return at most. Raises `InvalidRequestError`, with the name of the argument."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = "must be a whole number, 0 or more"
        raise InvalidRequestError([Problem(code="VALUE_INVALID", message=message, pointer=f"/{name}")])
    return min(value, sys.maxsize)


def check_needed(**texts: object) -> None:
    """
    Return when each of these is a text that a store can be asked for.

    Storage does not fail for a text that has no UTF-8 form: whoever gave it is told, and need not try again.

    Raises:
        InvalidRequestError: `TYPE_INVALID` or `UNICODE_INVALID`, each with the name of the argument.
    """
    _check(texts, _problem)


def check_texts(**texts: object) -> None:
    """
    Return when each of these is a text that can be kept, or None.

    What is appended stays. A number in place of a name would be stored, and could not be read back ever after.

    Raises:
        InvalidRequestError: `TYPE_INVALID`, `SIZE_INVALID` or `UNICODE_INVALID`, each with the name of the argument.
    """
    _check({name: text for name, text in texts.items() if text is not None}, _problem_of_kept)


def _check(texts: Mapping[str, object], problem_of: Callable[[str, object], Problem | None]) -> None:
    if problems := [found for name, text in texts.items() if (found := problem_of(f"/{name}", text)) is not None]:
        raise InvalidRequestError(problems)


def _problem(pointer: str, text: object) -> Problem | None:
    if not isinstance(text, str):
        return Problem(code="TYPE_INVALID", message="must be a text", pointer=pointer)
    if not is_encodable(text):
        return Problem(code="UNICODE_INVALID", message="not UTF-8 text, or a lone surrogate in it", pointer=pointer)
    return None


def _problem_of_kept(pointer: str, text: object) -> Problem | None:
    if isinstance(text, str) and len(text) > _MOST_CHARACTERS:
        message = f"longer than {_MOST_CHARACTERS} characters"
        hint = "keep the rest where people work on it"
        return Problem(code="SIZE_INVALID", message=message, pointer=pointer, hint=hint)
    return _problem(pointer, text)


def _member(kind: type[E], value: E | str, code: str, noun: str) -> E:
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(f"`{each}`" for each in kind)
        problem = Problem(
            code=code, message=f"the {noun} is not known", pointer=f"/{noun}", hint=f"use one of {choices}"
        )
        raise InvalidRequestError([problem]) from None
