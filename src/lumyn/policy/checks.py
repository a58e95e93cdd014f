"""
Collects everything wrong with one policy document: typed readers, positions and did-you-mean hints.
Knows shapes and spelling only; must not know what a rule, condition or evidence key means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from lumyn.documents import Document, control_characters, join_pointer
from lumyn.errors import InvalidPolicyError, Problem, Span
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.scalars import is_blank, to_decimal

__all__ = ["Checks", "kind_of", "quoted"]

_SHOWN_CHARACTERS: Final = 80
_LISTED_CANDIDATES: Final = 8
_COMPARISONS: Final = 50_000
"""How many candidates are compared for hints in one document: a broken file must not be an expensive one."""


def quoted(text: str) -> str:
    """Return `text` in backticks, shortened, with everything that is not printable escaped."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
    return f"`{escaped}`"


def kind_of(value: JsonValue) -> str:
    """Return what messages call a JSON value: `null`, `a boolean`, `a number`, `a string`, `a list`, `an object`."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"


class Checks:
    """
    The problems of one document, and readers that record one when a value is not what is due.

    Every reader returns None after recording a problem, so that checking goes on and all problems come out at once.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._comparisons = _COMPARISONS
        self.problems: list[Problem] = []

    def span(self, pointer: str) -> Span:
        """Return the position of the value at `pointer`."""
        return self._document.span(pointer)

    def key_span(self, pointer: str) -> Span:
        """Return the position of the key that leads to `pointer`."""
        return self._document.key_span(pointer)

    def add(self, code: str, message: str, pointer: str, *, hint: str | None = None, on_key: bool = False) -> None:
        """Record a problem at the value of `pointer`, or at its key."""
        span = self.key_span(pointer) if on_key else self.span(pointer)
        self.problems.append(Problem(code=code, message=message, pointer=pointer, span=span, hint=hint))

    def nearest(self, word: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str | None:
        """Return the candidate most like `word`, letter case aside, or None when none is near or looking costs much."""
        folded = {candidate.casefold(): candidate for candidate in sorted(candidates, reverse=True)}
        self._comparisons -= len(folded)
        if self._comparisons < 0 or len(word) > _SHOWN_CHARACTERS:
            return None
        from difflib import get_close_matches

        found = get_close_matches(word.casefold(), folded, n=1, cutoff=cutoff)
        return folded[found[0]] if found else None

    def near(self, word: str, candidates: Iterable[str]) -> str | None:
        """Return a hint that names the nearest candidate, else all of them when they are few, else None."""
        known = sorted(set(candidates))
        found = self.nearest(word, known)
        if found is not None:
            return f"did you mean `{found}`?"
        if 0 < len(known) <= _LISTED_CANDIDATES:
            return "one of " + ", ".join(f"`{candidate}`" for candidate in known)
        return None

    def finish(self) -> None:
        """
        Return when nothing is wrong.

        Raises:
            InvalidPolicyError: With every problem recorded.
        """
        if self.problems:
            raise InvalidPolicyError(self.problems)

    def mapping(
        self,
        value: JsonValue,
        pointer: str,
        what: str,
        *,
        keys: Sequence[str] | None = None,
        required: Sequence[str] = (),
    ) -> JsonObject | None:
        """Return `value` as an object; `keys` closes it, `required` names the keys that must be there."""
        if not isinstance(value, dict):
            self.wrong_type(value, "an object", pointer, what)
            return None
        if keys is not None:
            for key in value:
                if key not in keys:
                    message = f"unknown key {quoted(key)} in {what}"
                    hint = self.near(key, keys)
                    self.add("FIELD_UNKNOWN", message, join_pointer(pointer, key), hint=hint, on_key=True)
        for key in required:
            if key not in value:
                self.add("FIELD_MISSING", f"`{key}` is missing in {what}", join_pointer(pointer, key))
        return value

    def listing(self, value: JsonValue, pointer: str, what: str) -> list[JsonValue] | None:
        """Return `value` as a list; it may be empty."""
        if isinstance(value, list):
            return value
        hint = "write it in brackets: `[...]`" if isinstance(value, (str, int, float)) else None
        self.wrong_type(value, "a list", pointer, what, hint=hint)
        return None

    def text(self, value: JsonValue, pointer: str, what: str) -> str | None:
        """Return `value` as text that a reader can see."""
        if not isinstance(value, str):
            hint = "quote it" if isinstance(value, (bool, int, float)) else None
            self.wrong_type(value, "a string", pointer, what, hint=hint)
            return None
        if is_blank(value):
            self.add("VALUE_INVALID", f"{what} is blank", pointer)
            return None
        return value

    def matching(self, value: JsonValue, pattern: str, pointer: str, what: str) -> str | None:
        """Return `value` as text that meets `pattern` from end to end."""
        text = self.text(value, pointer, what)
        if text is None or re.fullmatch(pattern, text):
            return text
        self.add("FIELD_PATTERN", f"{what} is {quoted(text)}, which does not match `^{pattern}$`", pointer)
        return None

    def name(self, key: str, pattern: str, pointer: str, what: str) -> bool:
        """Return whether the mapping key at `pointer` meets `pattern` from end to end."""
        if re.fullmatch(pattern, key):
            return True
        message = f"{what} {quoted(key)} does not match `^{pattern}$`"
        self.add("FIELD_PATTERN", message, pointer, on_key=True)
        return False

    def texts(self, items: Sequence[JsonValue], pointer: str, what: str) -> tuple[str, ...]:
        """Return the texts of a list, each once; a repeated one is a problem."""
        seen: dict[str, None] = {}
        for place, item in enumerate(items):
            below = join_pointer(pointer, place)
            text = self.text(item, below, what)
            if text is not None and text in seen:
                self.add("VALUE_DUPLICATE", f"{what} is listed twice: {quoted(text)}", below)
            elif text is not None:
                seen[text] = None
        return tuple(seen)

    def number(self, value: JsonValue, pointer: str, what: str) -> Decimal | None:
        """Return `value` as the exact decimal it is written as."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            hint = "write it without quotes" if isinstance(value, str) else None
            self.wrong_type(value, "a number", pointer, what, hint=hint)
            return None
        return to_decimal(value)

    def integer(self, value: JsonValue, pointer: str, what: str, *, least: int, most: int) -> int | None:
        """Return `value` as a whole number between `least` and `most`, both allowed; 2.0 is 2."""
        number = self.number(value, pointer, what)
        if number is None:
            return None
        if number != number.to_integral_value():
            self.add("TYPE_INVALID", f"{what} must be a whole number", pointer)
        elif not least <= number <= most:
            self.add("VALUE_INVALID", f"{what} must lie between {least} and {most}", pointer)
        else:
            return int(number)
        return None

    def choice(self, value: JsonValue, choices: Iterable[str], code: str, pointer: str, what: str) -> str | None:
        """Return `value` as one of `choices`; anything else is a problem of `code`."""
        known = tuple(choices)
        if not isinstance(value, str):
            self.wrong_type(value, "a string", pointer, what)
            return None
        if value in known:
            return value
        self.add(code, f"unknown {what} {quoted(value)}", pointer, hint=self.near(value, known))
        return None

    def wrong_type(self, value: JsonValue, due: str, pointer: str, what: str, *, hint: str | None = None) -> None:
        """Record that `what` is not `due`."""
        # Nothing is written where an empty YAML value stands, so its key is shown.
        message = f"{what} must be {due}, not {kind_of(value)}"
        self.add("TYPE_INVALID", message, pointer, hint=hint, on_key=value is None)

    def control_characters(self) -> None:
        """Record every key and text that holds a character which no reader of the file can see."""
        self.problems.extend(control_characters(self._document))
