"""
Canonical JSON (RFC 8785) and the SHA-256 digests over it.
Turns Python data into one text per meaning; must not know which documents are digested.
"""

from __future__ import annotations

import hashlib
import json
import json.encoder
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn

from lumyn.documents.document import DEFAULT_LIMITS, Limits
from lumyn.documents.numbers import MAX_SAFE, exact_float
from lumyn.documents.pointers import join_pointer
from lumyn.documents.text import is_encodable
from lumyn.errors import InvalidDocumentError, Problem
from lumyn.model import JsonObject, JsonValue

__all__ = [
    "FreezeError",
    "canonical_bytes",
    "canonical_members",
    "canonical_text",
    "digest",
    "freeze",
    "join_members",
    "sha256_text",
]

# A record holds a whole request a few levels down, so what Lumyn itself digests may be larger than a request.
_OWN_LIMITS: Final = Limits(max_bytes=16_777_216, max_depth=96, max_nodes=4_000_000)
_MAX_PROBLEMS: Final = 50
_ONLY_TEXT: Final = frozenset({str})


class FreezeError(InvalidDocumentError):
    """A Python value has no canonical JSON form."""

    reason_code = "INVALID_VALUE"
    noun = "value"


def freeze(value: object, *, limits: Limits = DEFAULT_LIMITS) -> JsonValue:
    """
    Return a private deep copy of `value` as plain JSON data in canonical number form.

    Integral numbers become ints (`12.0` is `12`, `-0.0` is `0`), decimals the number they are; tuples become lists.
    Mappings and subclasses of the JSON types are read once and copied to the plain type.  The copy shares no
    container with `value`, so nothing its owner does later can change it.

    Raises:
        FreezeError: With the problems found, each with its pointer: `TYPE_INVALID`, `NUMBER_NOT_FINITE`,
            `NUMBER_OUT_OF_RANGE`, `NUMBER_PRECISION`, `UNICODE_INVALID`, `JSON_TOO_DEEP`, and `REQUEST_TOO_LARGE`
            (more than `limits.max_nodes` values, or `limits.max_bytes` characters of text).
    """
    try:
        if type(value) is dict:
            return _freeze_object(value, limits.max_depth, [limits.max_nodes, limits.max_bytes])
    except _NotPlainError:
        pass
    return _Freezer(limits).freeze(value)


def canonical_text(frozen: JsonValue) -> str:
    """
    Return the RFC 8785 text of a value that `freeze` returned.

    The C encoder of the standard library writes the same text as RFC 8785 except for doubles below 1e-4, which it
    gives a two-digit exponent, and for objects with keys beyond U+D7FF, which it sorts by code point instead of
    UTF-16 unit (RFC 8785, 3.2.2.3 and 3.2.3).  Both show in its output; such values go through `rfc8785`.
    """
    text = _encode(frozen)
    if "e-" in text and _SMALL_NUMBER.search(text):
        return _rfc8785_text(frozen)
    if not text.isascii() and _BEYOND_D7FF.search(text) and _has_key_beyond_d7ff(frozen):
        return _rfc8785_text(frozen)
    return text


def canonical_members(frozen: JsonObject) -> dict[str, str]:
    """Return the canonical text of each member's value, for `join_members` to assemble."""
    return {key: _quote(item) if type(item) is str else canonical_text(item) for key, item in frozen.items()}


def join_members(members: Mapping[str, str], keys: Iterable[str]) -> str:
    """
    Return the canonical text of the object that has the members named by `keys`, in canonical order.

    Args:
        members: Key -> canonical text of its value; from `canonical_members`, or assembled from several.
        keys: In any order, each once; a KeyError names one that `members` lacks.
    """
    ordered = sorted(keys)
    if not all(map(str.isascii, ordered)):
        ordered.sort(key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join([f"{_quote(key)}:{members[key]}" for key in ordered]) + "}"


def canonical_bytes(value: object) -> bytes:
    """
    Return the RFC 8785 form of `value`.

    Raises:
        FreezeError: It has none; see `freeze`.
    """
    return canonical_text(freeze(value, limits=_OWN_LIMITS)).encode()


def sha256_text(text: str) -> str:
    """Return `sha256:` and the hex digest of the UTF-8 form of `text`."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def digest(value: object) -> str:
    """
    Return `sha256:` and the hex digest of the canonical form of `value`.

    Raises:
        FreezeError: It has no canonical form; see `freeze`.
    """
    return "sha256:" + hashlib.sha256(canonical_bytes(value)).hexdigest()


class _NotPlainError(Exception):
    """The fast walk met something that only the careful walk may judge."""


def _freeze_object(value: dict[str, Any], depth: int, budget: list[int]) -> JsonObject:
    """
    Copy a dict of plain JSON data; `depth` counts the levels left, `budget` the values and characters left.

    Runs for every object of every request: what is not needed here is felt in each decision.
    """
    copy = value.copy()
    budget[0] -= len(copy)
    if depth <= 0 or budget[0] < 0:
        raise _NotPlainError
    if not _ONLY_TEXT.issuperset(map(type, copy)):
        raise _NotPlainError
    keys = "".join(copy)
    if not (keys.isascii() or is_encodable(keys)):
        raise _NotPlainError
    characters = len(keys)
    for key, item in copy.items():
        kind = type(item)
        if kind is str:
            if not (item.isascii() or is_encodable(item)):
                raise _NotPlainError
            characters += len(item)
        elif kind is dict:
            copy[key] = _freeze_object(item, depth - 1, budget)
        elif kind is float:
            copy[key] = _freeze_float(item)
        elif kind is list:
            copy[key] = _freeze_list(item, depth - 1, budget)
        elif not (item is None or kind is bool or (kind is int and -MAX_SAFE <= item <= MAX_SAFE)):
            raise _NotPlainError
    budget[1] -= characters
    if budget[1] < 0:
        raise _NotPlainError
    return copy


def _freeze_list(value: list[Any], depth: int, budget: list[int]) -> list[JsonValue]:
    copy = value.copy()
    budget[0] -= len(copy)
    if depth <= 0 or budget[0] < 0:
        raise _NotPlainError
    for index, item in enumerate(copy):
        kind = type(item)
        if kind is str:
            if not (item.isascii() or is_encodable(item)):
                raise _NotPlainError
            budget[1] -= len(item)
        elif kind is dict:
            copy[index] = _freeze_object(item, depth - 1, budget)
        elif kind is float:
            copy[index] = _freeze_float(item)
        elif kind is list:
            copy[index] = _freeze_list(item, depth - 1, budget)
        elif not (item is None or kind is bool or (kind is int and -MAX_SAFE <= item <= MAX_SAFE)):
            raise _NotPlainError
    if budget[1] < 0:
        raise _NotPlainError
    return copy


def _freeze_float(number: float) -> int | float:
    # A number that is not finite fails the comparison.
    if -MAX_SAFE <= number <= MAX_SAFE:
        return int(number) if number.is_integer() else number
    raise _NotPlainError


class _Freezer:
    """The careful walk: knows pointers, reads subclasses and mappings, and collects every problem."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._nodes = 0
        self._characters = 0
        self._problems: list[Problem] = []

    def freeze(self, value: object) -> JsonValue:
        """Return the copy, or raise every problem found."""
        copy = self._value(value, "", 0)
        if self._problems:
            raise FreezeError(self._problems)
        return copy

    def _value(self, value: object, pointer: str, depth: int) -> JsonValue:
        self._count(1, 0)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, pointer)
        if isinstance(value, (int, float, Decimal)):
            return self._number(value, pointer)
        if not isinstance(value, (Mapping, list, tuple)):
            self._add("TYPE_INVALID", f"a {type(value).__name__} has no JSON form", pointer)
            return None
        if depth >= self._limits.max_depth:
            self._add("JSON_TOO_DEEP", f"nested deeper than {self._limits.max_depth} levels", pointer)
            raise FreezeError(self._problems)
        if isinstance(value, Mapping):
            return self._object(value, pointer, depth + 1)
        return [self._value(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(list(value))]

    def _object(self, value: Mapping[object, object], pointer: str, depth: int) -> JsonObject:
        copy: JsonObject = {}
        for key, item in list(value.items()):
            if not isinstance(key, str):
                self._add("TYPE_INVALID", f"a key must be a string, not a {type(key).__name__}", pointer)
                continue
            text = self._text(key, pointer)
            if text in copy:
                self._add("JSON_DUPLICATE_KEY", "the key stands twice in one object", join_pointer(pointer, text))
            copy[text] = self._value(item, join_pointer(pointer, text), depth)
        return copy

    def _text(self, value: str, pointer: str) -> str:
        text = str.__str__(value)
        self._count(0, len(text))
        if not is_encodable(text):
            self._add("UNICODE_INVALID", "the text holds a lone surrogate", pointer)
            # Kept out of pointers, so that the problems themselves can be written as UTF-8.
            return text.encode("utf-8", "replace").decode()
        return text

    def _number(self, value: float | Decimal, pointer: str) -> int | float:
        if isinstance(value, int):
            number: int | float = int.__int__(value)
        elif isinstance(value, float):
            number = float.__float__(value)
        elif value.is_finite():
            number = float(value) if -MAX_SAFE <= value <= MAX_SAFE else MAX_SAFE + 1
            if number <= MAX_SAFE and not exact_float(value, float(number)):
                message = "a number must be exactly what a double can carry"
                self._add("NUMBER_PRECISION", message, pointer, hint="write it as a string")
                return 0
        else:
            number = float("nan")
        if isinstance(number, float) and number - number != 0:
            self._add("NUMBER_NOT_FINITE", "a number must be finite", pointer)
            return 0
        if not -MAX_SAFE <= number <= MAX_SAFE:
            message = "a number must be within plus or minus (2^53 - 1)"
            self._add("NUMBER_OUT_OF_RANGE", message, pointer, hint="write it as a string")
            return 0
        return int(number) if isinstance(number, float) and number.is_integer() else number

    def _count(self, nodes: int, characters: int) -> None:
        self._nodes += nodes
        self._characters += characters
        # The root is a value that the fast walk does not count.
        if self._nodes > self._limits.max_nodes + 1 or self._characters > self._limits.max_bytes:
            message = f"larger than {self._limits.max_bytes} bytes or {self._limits.max_nodes} values"
            self._add("REQUEST_TOO_LARGE", message, "")
            raise FreezeError(self._problems)

    def _add(self, code: str, message: str, pointer: str, *, hint: str | None = None) -> None:
        self._problems.append(Problem(code=code, message=message, pointer=pointer, hint=hint))
        if len(self._problems) >= _MAX_PROBLEMS:
            raise FreezeError(self._problems)


_SMALL_NUMBER: Final = re.compile(r"[0-9]e-[0-9]")
_BEYOND_D7FF: Final = re.compile("[\ue000-\U0010ffff]")
_quote: Final[Callable[[str], str]] = json.encoder.encode_basestring


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"not frozen: {type(value).__name__}")


def _make_encoder() -> Callable[[JsonValue], str]:
    """Return the fastest encoder there is; `JSONEncoder.encode` builds a C encoder on every call, this keeps one."""
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined]  # absent from the stubs
    if make is not None:
        try:
            encode = make(None, _refuse, _quote, None, ":", ",", True, False, False)
            if "".join(encode({"b": [1, 0.5, "\u20ac"], "a": None}, 0)) == '{"a":null,"b":[1,0.5,"\u20ac"]}':
                return lambda value: "".join(encode(value, 0))
        except TypeError:
            # An implementation detail of CPython: another interpreter may want other arguments.
            pass
    return json.JSONEncoder(
        check_circular=False,
        allow_nan=False,
        sort_keys=True,
        ensure_ascii=False,
        separators=(",", ":"),
        default=_refuse,
    ).encode


_encode: Final = _make_encoder()


def _has_key_beyond_d7ff(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return any(_BEYOND_D7FF.search(key) or _has_key_beyond_d7ff(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_key_beyond_d7ff, value))


def _rfc8785_text(frozen: JsonValue) -> str:
    import rfc8785

    return rfc8785.dumps(frozen).decode()
