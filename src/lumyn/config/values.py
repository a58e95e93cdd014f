"""
What a configuration value must be, key by key, and where one came from.
Must not know files, the search for them or the order of precedence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from lumyn.documents import join_pointer, parse_json
from lumyn.errors import InvalidConfigError, Problem, Span
from lumyn.model import Mode

SYNCHRONOUS: Final = ("FULL", "NORMAL")
PROFILES: Final = ("default", "strict", "off")
LOGS: Final = ("off", "stderr", "logger")
_SQLITE: Final = "sqlite:///"


class Source(StrEnum):
    """Where a value came from, strongest first."""

    ARGUMENT = "argument"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """
    Where one value came from.

    Attributes:
        variable: Name of the environment variable, for `ENVIRONMENT`.
        span: Place of the key, for `FILE`.
    """

    source: Source
    variable: str | None = None
    span: Span | None = None

    def __str__(self) -> str:
        return self.variable or (str(self.span) if self.span else self.source.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A value before any check; `base` is the folder from which a relative path in it starts."""

    value: object
    origin: Origin
    base: Path


class _RefusedError(Exception):
    def __init__(self, requirement: str, *, code: str = "VALUE_INVALID", hint: str | None = None) -> None:
        super().__init__(requirement)
        self.requirement = requirement
        self.code = code
        self.hint = hint


def checked(key: str, raw: Raw, problems: list[Problem]) -> object:
    """Return the value in the form the program uses, or None after adding what is wrong with it to `problems`."""
    try:
        return CHECKS[key](raw)
    except _RefusedError as refused:
        name = f"`{raw.origin.variable}`" if raw.origin.variable else f"`{key}`"
        problems.append(
            Problem(
                code=refused.code,
                message=f"{name} {refused.requirement}",
                span=raw.origin.span,
                pointer=join_pointer("", *key.split(".")),
                hint=refused.hint,
            )
        )
        return None


def _text(raw: Raw) -> str:
    value = raw.value
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise _RefusedError("must be text that is not blank")
    if "\0" in value:
        raise _RefusedError("holds a NUL character", code="PATH_INVALID")
    return value


def _number(raw: Raw, requirement: str) -> float:
    value = raw.value
    if raw.origin.source is Source.ENVIRONMENT and isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", value):
            raise _RefusedError(requirement)
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) > 10**12:
        raise _RefusedError(requirement)
    return float(value)


def _one_of(raw: Raw, allowed: tuple[str, ...], *, code: str = "VALUE_INVALID") -> str:
    value = raw.value
    if isinstance(value, str) and value in allowed:
        return str(value)
    choices = " or ".join(f"`{choice}`" for choice in allowed)
    meant = [choice for choice in allowed if isinstance(value, str) and value.strip().lower() == choice.lower()]
    raise _RefusedError(f"must be {choices}", code=code, hint=f"did you mean `{meant[0]}`?" if meant else None)


def _store_url(raw: Raw) -> str:
    text = _text(raw)
    path = text.removeprefix(_SQLITE)
    if "://" in path or path in {"", ":memory:"}:
        return text
    return _SQLITE + os.path.normpath(raw.base / path)


def _path(raw: Raw) -> Path:
    return raw.base / _text(raw)


def _store_id(raw: Raw) -> str:
    text = _text(raw)
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", text):
        raise _RefusedError("must be 1 to 128 letters, digits or `.`, `_`, `:`, `-`")
    return text


def _busy_timeout(raw: Raw) -> float:
    requirement = "must be a number of seconds from 0 to 60"
    seconds = _number(raw, requirement)
    if not 0 <= seconds <= 60:
        raise _RefusedError(requirement)
    return seconds


def _pointers(raw: Raw) -> tuple[str, ...]:
    value = raw.value
    if raw.origin.source is Source.ENVIRONMENT and isinstance(value, str):
        try:
            value = parse_json(value, error=InvalidConfigError)
        except InvalidConfigError:
            value = None
    texts = tuple(str(item) for item in value if isinstance(item, str)) if isinstance(value, (list, tuple)) else None
    if texts is None or not isinstance(value, (list, tuple)) or len(texts) != len(value):
        raise _RefusedError("must be a list of JSON Pointers", hint='write `["/subject/ip"]`, in the environment too')
    return texts


def _request_bytes(raw: Raw) -> int:
    requirement = "must be a whole number of bytes from 1 to 67108864"
    count = _number(raw, requirement)
    if count != int(count) or not 1 <= count <= 67_108_864:
        raise _RefusedError(requirement)
    return int(count)


def _switch(raw: Raw) -> bool:
    value = raw.value
    if raw.origin.source is Source.ENVIRONMENT and isinstance(value, str):
        value = {"true": True, "false": False}.get(value, value)
    if not isinstance(value, bool):
        raise _RefusedError("must be `true` or `false`")
    return value


CHECKS: Final[Mapping[str, Callable[[Raw], object]]] = {
    "store.url": _store_url,
    "store.synchronous": lambda raw: _one_of(raw, SYNCHRONOUS),
    "store.busy_timeout_s": _busy_timeout,
    "store.id": _store_id,
    "policy.path": _path,
    "policy.mode": lambda raw: Mode(_one_of(raw, tuple(Mode), code="MODE_INVALID")),
    "redaction.profile": lambda raw: _one_of(raw, PROFILES),
    "redaction.remove": _pointers,
    "limits.request_bytes": _request_bytes,
    "telemetry.log": lambda raw: _one_of(raw, LOGS),
    "telemetry.otel": _switch,
}
