"""
Collects what is wrong with vectors, each problem with its position, and reads values that must have one type.
Knows shapes and spelling only; must not know what a vector means.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from lumyn.errors import InvalidVectorError, Problem, Span
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.checks import kind_of, quoted
from lumyn.policy.scalars import is_blank
from lumyn.vectors.merge import dotted
from lumyn.vectors.origins import Origins, VectorPath

__all__ = ["FREE_PREFIX", "Findings", "Reader", "did_you_mean", "usable_id"]

FREE_PREFIX: Final = "x-"
"""Keys that begin with it are the user's own, everywhere in a vector file."""

_NEAR_LENGTH: Final = 80
_ID_CHARS: Final = 40
_LISTED_CANDIDATES: Final = 8
_HINTED_PROBLEMS: Final = 200
"""Looking for a near miss is quadratic; a file with more mistakes than this gets the rest without hints."""


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """Return a hint that names the nearest candidate, letter case aside, else all when they are few, else None."""
    known = sorted(set(candidates))
    folded = {candidate.casefold(): candidate for candidate in reversed(known)}
    near = difflib.get_close_matches(word.casefold(), folded, n=1) if len(word) <= _NEAR_LENGTH else []
    if near:
        return f"did you mean {quoted(folded[near[0]])}?"
    if 0 < len(known) <= _LISTED_CANDIDATES:
        return "one of " + ", ".join(quoted(candidate) for candidate in known)
    return None


def usable_id(text: str) -> str | None:
    """Return a hint that names what a vector or row could be called instead of `text`, or None when nothing is left."""
    found = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:_ID_CHARS]
    return f"for example {quoted(found)}" if found else None


class Findings:
    """The problems of one file or one vector, in the order they were found."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, code: str, message: str, span: Span, *, pointer: str = "", hint: str | None = None) -> None:
        """Record a problem."""
        problem = Problem(code=code, message=message, pointer=pointer, span=span, hint=hint)
        if problem not in self.problems[-_HINTED_PROBLEMS:]:
            self.problems.append(problem)

    def near(self, word: str, candidates: Iterable[str]) -> str | None:
        """Return a did-you-mean hint, or None when there is none to give."""
        return did_you_mean(word, candidates) if len(self.problems) < _HINTED_PROBLEMS else None

    def finish(self) -> None:
        """
        Return when nothing is wrong.

        Raises:
            InvalidVectorError: With every problem recorded.
        """
        if self.problems:
            raise InvalidVectorError(self.problems)


class Reader:
    """
    Reads the values of one resolved vector; every method returns None after recording a problem.

    Args:
        origins: Tells where a value was written, so that a problem points into the file it came from.
    """

    def __init__(self, origins: Origins, findings: Findings) -> None:
        self.origins = origins
        self.findings = findings

    def add(self, code: str, message: str, path: VectorPath, *, hint: str | None = None, on_key: bool = False) -> None:
        """Record a problem at the value of `path`, or at its key."""
        document, pointer = self.origins.find(path)
        span = document.key_span(pointer) if on_key else document.span(pointer)
        self.findings.add(code, message, span, pointer=pointer, hint=hint)

    def mapping(
        self, value: JsonValue, path: VectorPath, *, keys: Sequence[str], required: Sequence[str] = ()
    ) -> JsonObject | None:
        """Return `value` as an object that holds no other keys than `keys` and `x-` ones."""
        if not isinstance(value, dict):
            self.wrong_type(value, "an object", path)
            return None
        for key in value:
            if key not in keys and not key.startswith(FREE_PREFIX):
                what = f" in `{dotted(path)}`" if path else ""
                hint = self.findings.near(key, keys)
                self.add("FIELD_UNKNOWN", f"unknown key {quoted(key)}{what}", (*path, key), hint=hint, on_key=True)
        for key in required:
            if key not in value:
                self.add("FIELD_MISSING", f"`{dotted((*path, key))}` is missing", (*path, key))
        return value

    def listing(self, value: JsonValue, path: VectorPath) -> list[JsonValue] | None:
        """Return `value` as a list; it may be empty."""
        if isinstance(value, list):
            return value
        hint = "write it in brackets: `[...]`" if isinstance(value, (str, int, float)) else None
        self.wrong_type(value, "a list", path, hint=hint)
        return None

    def text(self, value: JsonValue, path: VectorPath) -> str | None:
        """Return `value` as text that a reader can see."""
        if not isinstance(value, str):
            hint = "quote it" if isinstance(value, (bool, int, float)) else None
            self.wrong_type(value, "a string", path, hint=hint)
            return None
        if is_blank(value):
            self.add("VALUE_INVALID", f"`{dotted(path)}` is blank", path)
            return None
        return value

    def matching(self, value: JsonValue, pattern: re.Pattern[str], path: VectorPath, what: str) -> str | None:
        """Return `value` as text that meets `pattern` from end to end."""
        text = self.text(value, path)
        if text is None or pattern.fullmatch(text):
            return text
        self.add("FIELD_PATTERN", f"{quoted(text)} is not {what}: it does not match `^{pattern.pattern}$`", path)
        return None

    def choice(self, value: JsonValue, choices: Iterable[str], path: VectorPath, *, code: str, what: str) -> str | None:
        """Return `value` as one of `choices`; anything else is a problem of `code`."""
        known = tuple(choices)
        if not isinstance(value, str):
            self.wrong_type(value, "a string", path)
            return None
        if value in known:
            return value
        self.add(code, f"unknown {what} {quoted(value)}", path, hint=self.findings.near(value, known))
        return None

    def texts(self, value: JsonValue, path: VectorPath, pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
        """Return `value` as a list of texts that meet `pattern`; those that do not are left out."""
        items = self.listing(value, path) or []
        read = [self.matching(item, pattern, (*path, place), what) for place, item in enumerate(items)]
        return tuple(item for item in read if item is not None)

    def wrong_type(self, value: JsonValue, due: str, path: VectorPath, *, hint: str | None = None) -> None:
        """Record that the value at `path` is not `due`."""
        what = f"`{dotted(path)}`" if path else "it"
        self.add("TYPE_INVALID", f"{what} must be {due}, not {kind_of(value)}", path, hint=hint)
