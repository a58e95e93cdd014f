"""
Strict JSON (RFC 8259 within RFC 7493): UTF-8, unique keys, exact numbers, paired surrogates, bounded size.
One fast reader says yes; one slow reader explains with pointers and positions. Must not know what a document means.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn, TypeAlias

from lumyn.documents.document import DEFAULT_LIMITS, Document, Limits, line_starts, span_at, too_large
from lumyn.documents.numbers import MAX_SAFE, NUMBER, NumberRefusedError, read_float, read_integer, read_number
from lumyn.documents.pointers import join_pointer
from lumyn.documents.text import is_encodable
from lumyn.errors import InvalidDocumentError, Problem
from lumyn.model import JsonValue

__all__ = ["load_json", "parse_json"]

_Error: TypeAlias = type[InvalidDocumentError]

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_WORD: Final = re.compile(r"-?[A-Za-z]+")
_LITERALS: Final[dict[str, JsonValue]] = {"null": None, "true": True, "false": False}
_NOT_JSON: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_PROBLEMS: Final = 50
_scan_string = json.decoder.scanstring  # type: ignore[attr-defined]  # absent from the stubs


def parse_json(
    data: bytes | str, *, error: _Error = InvalidDocumentError, limits: Limits = DEFAULT_LIMITS
) -> JsonValue:
    """
    Return the value of a JSON text; the fast way in for request bodies.

    Raises:
        InvalidDocumentError: As `error`, with every problem that can be told, each with its pointer:
            `JSON_INVALID`, `JSON_DUPLICATE_KEY`, `JSON_TOO_DEEP`, `UNICODE_INVALID`, `NUMBER_OUT_OF_RANGE`,
            `NUMBER_PRECISION`, and `REQUEST_TOO_LARGE` or `TOO_LARGE`.
    """
    text = _decode(data, error, limits)
    try:
        value: JsonValue = _FAST.decode(text)
    except (ValueError, RecursionError):
        refused = True
    else:
        # Brackets bound the depth and commas the number of values; only a document that could exceed a limit, or
        # that spells surrogates, is looked at again.
        brackets = text.count("[") + text.count("{")
        doubtful = (
            brackets > limits.max_depth
            or brackets * 2 + text.count(",") + 1 > limits.max_nodes
            or ("\\u" in text and _SURROGATE_ESCAPE.search(text))
        )
        refused = bool(doubtful) and not _within(value, limits)
    # Outside of the handler: the error must not have the parser's own as its context, which holds the whole text.
    return _Reader(text, error=error, limits=limits).read().value if refused else value


def load_json(
    data: bytes, *, file: str, error: _Error = InvalidDocumentError, limits: Limits = DEFAULT_LIMITS
) -> Document:
    """
    Parse a JSON file and keep the position of every value.

    Raises:
        InvalidDocumentError: As `error`; the problems of `parse_json`, each with file, line and column.
    """
    return _Reader(_decode(data, error, limits, file), error=error, limits=limits, file=file).read()


def _decode(data: bytes | str, error: _Error, limits: Limits, file: str | None = None) -> str:
    if len(data) > limits.max_bytes:
        raise error([too_large(limits, error=error)])
    if isinstance(data, bytes):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as cause:
            place = cause.start
        text = data[:place].decode("utf-8")
        span = span_at(file, line_starts(text), len(text)) if file is not None else None
        raise error([Problem(code="JSON_INVALID", message=f"not UTF-8 at byte {place}", span=span)])
    if not is_encodable(data):
        raise error([Problem(code="UNICODE_INVALID", message="the text holds a lone surrogate")])
    if not data.isascii() and len(data.encode()) > limits.max_bytes:
        raise error([too_large(limits, error=error)])
    return data


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _float(text: str) -> float:
    value = float(text)
    return value if repr(value) == text and -MAX_SAFE <= value <= MAX_SAFE else read_float(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_FAST: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_float, parse_int=read_integer, parse_constant=_refuse_constant
)


def _within(value: JsonValue, limits: Limits) -> bool:
    """Return whether depth and number of values are within `limits` and every text has a UTF-8 form."""
    nodes, depth = 0, 0
    level: list[JsonValue] = [value]
    while level:
        nodes += len(level)
        below: list[JsonValue] = []
        containers = False
        for item in level:
            if isinstance(item, str):
                if not is_encodable(item):
                    return False
            elif isinstance(item, dict):
                containers = True
                if not all(map(is_encodable, item)):
                    return False
                below.extend(item.values())
            elif isinstance(item, list):
                containers = True
                below.extend(item)
        depth += containers
        if depth > limits.max_depth or nodes > limits.max_nodes:
            return False
        level = below
    return True


class _FatalError(Exception):
    """The text cannot be read any further."""


class _Reader:
    """A recursive-descent reader that knows where it is; it decides what is accepted, the fast one only agrees."""

    def __init__(self, text: str, *, error: _Error, limits: Limits, file: str | None = None) -> None:
        self._text = text
        self._error = error
        self._limits = limits
        self._file = file
        self._starts = line_starts(text)
        self._offsets: dict[str, tuple[int, int]] = {}
        self._problems: list[Problem] = []
        self._nodes = 0

    def read(self) -> Document:
        """Return the document, or raise every problem found."""
        value: JsonValue = None
        try:
            value, end = self._value(self._skip(0), "", 0)
            end = self._skip(end)
            if end != len(self._text):
                self._syntax(end, "unexpected text after the document")
        except _FatalError:
            pass
        if self._problems:
            raise self._error(self._problems)
        return Document(value=value, file=self._file or "", text=self._text, offsets=self._offsets, starts=self._starts)

    def _value(self, at: int, pointer: str, depth: int, key_at: int | None = None) -> tuple[JsonValue, int]:
        self._nodes += 1
        if self._nodes > self._limits.max_nodes:
            self._fatal(too_large(self._limits, error=self._error))
        self._offsets[pointer] = (at, at if key_at is None else key_at)
        first = self._text[at : at + 1]
        if first == '"':
            return self._string(at, pointer)
        if first in ("{", "["):
            if depth >= self._limits.max_depth:
                self._add("JSON_TOO_DEEP", f"nested deeper than {self._limits.max_depth} levels", pointer, at)
                raise _FatalError
            read = self._object if first == "{" else self._list
            return read(at, pointer, depth + 1)
        if match := NUMBER.match(self._text, at):
            return self._number(match.group(), pointer, at), match.end()
        return self._literal(at)

    def _object(self, at: int, pointer: str, depth: int) -> tuple[JsonValue, int]:
        members: dict[str, JsonValue] = {}
        at = self._skip(at + 1)
        if self._text.startswith("}", at):
            return members, at + 1
        while True:
            if not self._text.startswith('"', at):
                self._syntax(at, 'expected a key in `"`')
            key_at = at
            key, at = self._string(at, pointer)
            below = join_pointer(pointer, key)
            if key in members:
                self._add("JSON_DUPLICATE_KEY", "the key stands twice in one object", below, key_at)
            at = self._skip(at)
            if not self._text.startswith(":", at):
                self._syntax(at, "expected `:`")
            members[key], at = self._value(self._skip(at + 1), below, depth, key_at)
            at = self._skip(at)
            if self._text.startswith("}", at):
                return members, at + 1
            at = self._comma(at, "}")

    def _list(self, at: int, pointer: str, depth: int) -> tuple[JsonValue, int]:
        items: list[JsonValue] = []
        at = self._skip(at + 1)
        if self._text.startswith("]", at):
            return items, at + 1
        while True:
            item, at = self._value(at, f"{pointer}/{len(items)}", depth)
            items.append(item)
            at = self._skip(at)
            if self._text.startswith("]", at):
                return items, at + 1
            at = self._comma(at, "]")

    def _string(self, at: int, pointer: str) -> tuple[str, int]:
        try:
            text, end = _scan_string(self._text, at + 1, True)
        except json.JSONDecodeError as cause:
            # The scanner's own words: an unterminated string, a raw control character, a bad escape.
            message = cause.msg.removesuffix(" at").removesuffix(" starting").lower()
            self._syntax(cause.pos, f"bad string: {message}")
        if not is_encodable(text):
            self._add("UNICODE_INVALID", "the text holds a lone surrogate", pointer, at)
            # Kept out of pointers and values, so that the problem itself can be written as UTF-8.
            text = text.encode("utf-8", "replace").decode()
        return text, end

    def _number(self, text: str, pointer: str, at: int) -> int | float:
        try:
            return read_number(text)
        except NumberRefusedError as refused:
            self._add(refused.code, refused.message, pointer, at, hint=refused.hint)
            return 0

    def _literal(self, at: int) -> tuple[JsonValue, int]:
        word = match.group() if (match := _WORD.match(self._text, at)) else ""
        if word in _LITERALS:
            return _LITERALS[word], at + len(word)
        if word in _NOT_JSON:
            self._syntax(at, f"`{word}` is not JSON")
        if self._text.startswith("\ufeff", at):
            self._syntax(at, "a byte order mark is not JSON")
        self._syntax(at, "expected a value")

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _comma(self, at: int, closing: str) -> int:
        if not self._text.startswith(",", at):
            self._syntax(at, f"expected `,` or `{closing}`")
        return self._skip(at + 1)

    def _syntax(self, at: int, message: str) -> NoReturn:
        where = span_at("", self._starts, min(at, len(self._text)))
        if self._file is None:
            message = f"{message} at line {where.line}, column {where.column}"
        self._add("JSON_INVALID", message, "", at)
        raise _FatalError

    def _fatal(self, problem: Problem) -> NoReturn:
        self._problems.append(problem)
        raise _FatalError

    def _add(self, code: str, message: str, pointer: str, at: int, *, hint: str | None = None) -> None:
        span = span_at(self._file, self._starts, at) if self._file is not None else None
        self._problems.append(Problem(code=code, message=message, pointer=pointer, span=span, hint=hint))
        if len(self._problems) >= _MAX_PROBLEMS:
            raise _FatalError
