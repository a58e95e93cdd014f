"""
What a configuration value must be, key by key, and where one came from.
Must not know files, the search for them or the order of precedence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from lumyn.documents import join_pointer, parse_json
from lumyn.errors import InvalidConfigError, Problem, Span
from lumyn.model import Mode

SYNCHRONOUS: Final = ("FULL", "NORMAL")
SCOPES: Final = ("decide", "label", "read")
PROFILES: Final = ("default", "strict", "off")
LOGS: Final = ("off", "stderr", "logger")
_SQLITE: Final = "sqlite:///"
_MOST_KEYS: Final = 4
_LEAST_SECRET_BYTES: Final = 24


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
class ServiceKey:
    """
    A secret that callers of the service share with it.

    Attributes:
        id: What records and logs call it.
        secret: 24 bytes or more; never shown.
        scopes: What it may be used for: `decide`, `label`, `read`.
    """

    id: str
    secret: bytes = field(repr=False)
    scopes: frozenset[str]

    def __str__(self) -> str:
        return f"{self.id}: {', '.join(sorted(self.scopes))}"


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


def _bind_host(raw: Raw) -> str:
    text = _text(raw)
    if not re.fullmatch(r"[A-Za-z0-9._:%-]{1,253}", text):
        raise _RefusedError("must be the name or address of an interface", hint="`127.0.0.1` is this machine only")
    return text


def _whole(raw: Raw, least: int, most: int, noun: str) -> int:
    requirement = f"must be a whole number {noun} from {least} to {most}"
    count = _number(raw, requirement)
    if count != int(count) or not least <= count <= most:
        raise _RefusedError(requirement)
    return int(count)


def _switch(raw: Raw) -> bool:
    value = raw.value
    if raw.origin.source is Source.ENVIRONMENT and isinstance(value, str):
        value = {"true": True, "false": False}.get(value, value)
    if not isinstance(value, bool):
        raise _RefusedError("must be `true` or `false`")
    return value


def _seconds(raw: Raw, least: float, most: float) -> float:
    requirement = f"must be a number of seconds from {least:g} to {most:g}"
    seconds = _number(raw, requirement)
    if not least <= seconds <= most:
        raise _RefusedError(requirement)
    return seconds


def _service_keys(raw: Raw) -> tuple[ServiceKey, ...]:
    value = raw.value
    if raw.origin.source is Source.ENVIRONMENT and isinstance(value, str):
        try:
            value = parse_json(value, error=InvalidConfigError)
        except InvalidConfigError:
            value = None
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= _MOST_KEYS:
        raise _RefusedError(
            f"must be a list of 1 to {_MOST_KEYS} keys",
            hint='each is `{id = "...", secret = "...", scopes = ["decide"]}`; in the environment a list in JSON',
        )
    keys = tuple(_service_key(item, place) for place, item in enumerate(value, start=1))
    if len({key.id for key in keys}) < len(keys) or len({key.secret for key in keys}) < len(keys):
        raise _RefusedError("holds an id or a secret twice")
    return keys


def _service_key(item: object, place: int) -> ServiceKey:
    """Return one key. What is refused is told by its place: nothing of a secret reaches a message."""
    if not isinstance(item, dict) or set(item) != {"id", "secret", "scopes"}:
        raise _RefusedError(f"must hold `id`, `secret` and `scopes`, and nothing else, in key {place}")
    name, secret, scopes = item["id"], item["secret"], item["scopes"]
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise _RefusedError(f"must hold an id of 1 to 64 letters, digits or `.`, `_`, `-` in key {place}")
    if not isinstance(secret, str) or len(secret.encode(errors="replace")) < _LEAST_SECRET_BYTES:
        raise _RefusedError(
            f"must hold a secret of at least {_LEAST_SECRET_BYTES} bytes in key {place}",
            hint="`openssl rand -hex 32` makes one",
        )
    if not secret.isprintable() or secret.strip() != secret:
        raise _RefusedError(f"must hold a secret of printable characters without blanks at its ends in key {place}")
    known = isinstance(scopes, (list, tuple)) and all(isinstance(scope, str) and scope in SCOPES for scope in scopes)
    if not known or not scopes or len(set(scopes)) < len(scopes):
        choices = ", ".join(f"`{scope}`" for scope in SCOPES)
        raise _RefusedError(f"must hold a list of scopes, each one of {choices} and once, in key {place}")
    return ServiceKey(id=name, secret=secret.encode(), scopes=frozenset(scopes))


CHECKS: Final[Mapping[str, Callable[[Raw], object]]] = {
    "store.url": _store_url,
    "store.synchronous": lambda raw: _one_of(raw, SYNCHRONOUS),
    "store.busy_timeout_s": lambda raw: _seconds(raw, 0, 60),
    "store.id": _store_id,
    "policy.path": _path,
    "policy.mode": lambda raw: Mode(_one_of(raw, tuple(Mode), code="MODE_INVALID")),
    "redaction.profile": lambda raw: _one_of(raw, PROFILES),
    "redaction.remove": _pointers,
    "limits.request_bytes": lambda raw: _whole(raw, 1, 67_108_864, "of bytes"),
    "telemetry.log": lambda raw: _one_of(raw, LOGS),
    "telemetry.otel": _switch,
    "service.bind_host": _bind_host,
    "service.bind_port": lambda raw: _whole(raw, 0, 65_535, "of a port"),
    "service.keys": _service_keys,
    "service.header_timeout_s": lambda raw: _seconds(raw, 0.1, 300),
    "service.body_timeout_s": lambda raw: _seconds(raw, 0.1, 300),
    "service.drain_timeout_s": lambda raw: _seconds(raw, 0, 3600),
    "service.watch_s": lambda raw: _seconds(raw, 0, 3600),
    "service.max_waiting": lambda raw: _whole(raw, 1, 100_000, "of requests"),
}
