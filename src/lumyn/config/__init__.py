"""
The configuration: explicit arguments, environment, `lumyn.toml` or `[tool.lumyn]`, defaults, in that order.
Checks every value and remembers where it came from; must not know policies, stores or requests, nor open what it names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from lumyn.config.sections import (
    LimitsConfig,
    PolicyConfig,
    RedactionConfig,
    ServiceConfig,
    StoreConfig,
    TelemetryConfig,
)
from lumyn.config.toml import TomlFile, config_error, mentions, read_toml
from lumyn.config.values import CHECKS, Origin, Raw, ServiceKey, Source, checked
from lumyn.documents import join_pointer
from lumyn.errors import InstallationError, InvalidConfigError, Problem, Span
from lumyn.model import Mode

__all__ = [
    "CONFIG_FILE",
    "CONFIG_PATH_VARIABLE",
    "Config",
    "LimitsConfig",
    "Origin",
    "PolicyConfig",
    "RedactionConfig",
    "ServiceConfig",
    "ServiceKey",
    "Source",
    "StoreConfig",
    "TelemetryConfig",
    "config_file_in",
    "find_config_file",
    "load_config",
    "passed_over",
    "variable_for",
]

CONFIG_FILE: Final = "lumyn.toml"
CONFIG_PATH_VARIABLE: Final = "LUMYN_CONFIG_PATH"

_SECTIONS: Final = {key.split(".")[0]: None for key in CHECKS}
_PYPROJECT: Final = "pyproject.toml"
_PREFIX: Final = "LUMYN_"
# Kubernetes gives every pod variables for each service of its namespace: a service called `lumyn-store` adds
# LUMYN_STORE_PORT and more, which are nobody's typing errors.
_SERVICE_VARIABLE: Final = re.compile(r"LUMYN_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_\w+)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """
    A configuration that passed every check.

    Attributes:
        file: The configuration file in use, or None when there is none.
        folder: Where relative paths of the file and of the defaults start: the file's folder, else the start folder.
        origins: Key such as `policy.mode` -> where its value came from; holds only keys that have a value.
    """

    file: Path | None
    folder: Path
    store: StoreConfig
    policy: PolicyConfig
    redaction: RedactionConfig
    limits: LimitsConfig
    telemetry: TelemetryConfig
    service: ServiceConfig
    origins: Mapping[str, Origin]


Value = TypeVar("Value")


def load_config(
    *,
    start: Path | None = None,
    file: Path | None = None,
    arguments: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """
    Return the configuration that holds for `start`.

    Args:
        start: Folder from which a configuration file is searched upwards; default the working directory.
        file: The configuration file to use, instead of `LUMYN_CONFIG_PATH` and the search.
        arguments: Key such as `policy.path` -> value given explicitly; None counts as not given.
        environ: The environment; default `os.environ`.

    Raises:
        InvalidConfigError: With every problem at once: `CONFIG_NOT_FOUND`, `TOML_INVALID`, `FIELD_UNKNOWN`,
            `VALUE_INVALID`, `MODE_INVALID`, `PATH_INVALID`, `ENV_BLANK`.
    """
    environ = os.environ if environ is None else environ
    start = _start_folder(start)
    problems: list[Problem] = []
    named = file or _named_file(environ, start, problems)
    found = (_existing(named) if named else find_config_file(start)) if not problems else None
    folder = found.parent if found else start
    raw = _defaults(folder)
    if found is not None:
        raw |= _file_values(found, problems)
    raw |= _environment_values(environ, start, problems)
    for key, value in (arguments or {}).items():
        if value is not None:
            raw[key] = Raw(value=value, origin=Origin(source=Source.ARGUMENT), base=start)
    values = {key: checked(key, item, problems) for key, item in raw.items()}
    if problems:
        raise InvalidConfigError(problems)
    return _config(found, folder, values, {key: item.origin for key, item in raw.items()})


def find_config_file(start: Path) -> Path | None:
    """
    Return the nearest `lumyn.toml`, or `pyproject.toml` with a `[tool.lumyn]` table, at or above `start`, or None.

    In one folder `lumyn.toml` goes before `pyproject.toml`.

    Raises:
        InvalidConfigError: A candidate on the way cannot be read or is not TOML, so what it says is not known.
    """
    return next((found for folder in (start, *start.parents) if (found := config_file_in(folder))), None)


def config_file_in(folder: Path | None = None) -> Path | None:
    """Return the configuration file of this folder itself, default the working directory; as `find_config_file`."""
    folder = _start_folder(folder)
    own = folder / CONFIG_FILE
    return own if os.path.lexists(own) else _pyproject_in(folder)


def passed_over(file: Path) -> Path | None:
    """Return the `pyproject.toml` with a `[tool.lumyn]` table that is not read, as `file` beside it goes before."""
    try:
        return _pyproject_in(file.parent) if file.name == CONFIG_FILE else None
    except InvalidConfigError:  # then nobody knows of a table
        return None


def _pyproject_in(folder: Path) -> Path | None:
    shared = folder / _PYPROJECT
    found = shared.is_file() and mentions(shared, b"lumyn") and _lumyn_table(read_toml(shared)) is not None
    return shared if found else None


def variable_for(key: str) -> str:
    """Return the environment variable of a key: `policy.mode` -> `LUMYN_POLICY_MODE`."""
    return _PREFIX + key.replace(".", "_").upper()


def _start_folder(start: Path | None) -> Path:
    try:
        return (start or Path.cwd()).absolute()
    except FileNotFoundError:
        raise config_error("CONFIG_NOT_FOUND", "the working directory no longer exists") from None


def _named_file(environ: Mapping[str, str], start: Path, problems: list[Problem]) -> Path | None:
    text = environ.get(CONFIG_PATH_VARIABLE)
    if text is None:
        return None
    if not text.strip():
        problems.append(_blank_variable(CONFIG_PATH_VARIABLE))
        return None
    return start / text


def _blank_variable(name: str) -> Problem:
    message = f"environment variable `{name}` is set but blank"
    return Problem(code="ENV_BLANK", message=message, hint="give it a value or unset it")


def _existing(file: Path) -> Path:
    if "\0" in str(file):
        raise config_error("PATH_INVALID", "the path of the configuration file holds a NUL character")
    try:
        found = file.exists()
    except OSError:  # a name too long for the file system, or a folder that may not be searched
        found = False
    if not found:
        raise config_error("CONFIG_NOT_FOUND", f"there is no configuration file `{file}`")
    return file.absolute()


# --- files ---------------------------------------------------------------------------------------------------------


def _file_values(file: Path, problems: list[Problem]) -> dict[str, Raw]:
    toml = read_toml(file)
    prefix: tuple[str, ...] = ()
    document = toml.document
    if file.name == _PYPROJECT:
        document, prefix = _lumyn_table(toml) or {}, ("tool", "lumyn")
    values: dict[str, Raw] = {}
    for section, table in document.items():
        span = toml.span(*prefix, section)
        pointer = join_pointer("", *prefix, section)
        if section not in _SECTIONS:
            problems.append(_unknown(section, _SECTIONS, span, pointer))
        elif not isinstance(table, dict):
            message = f"`{section}` must be a table"
            problems.append(Problem(code="VALUE_INVALID", message=message, span=span, pointer=pointer))
        else:
            for name, value in table.items():
                key = f"{section}.{name}"
                place = toml.span(*prefix, section, name)
                if key not in CHECKS:
                    problems.append(_unknown(key, CHECKS, place, join_pointer(pointer, name)))
                else:
                    values[key] = Raw(value=value, origin=Origin(source=Source.FILE, span=place), base=file.parent)
    return values


def _lumyn_table(toml: TomlFile) -> dict[str, object] | None:
    tool = toml.document.get("tool")
    table = tool.get("lumyn") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise config_error("VALUE_INVALID", "`tool.lumyn` must be a table", span=toml.span("tool", "lumyn"))
    return table


def _unknown(name: str, known: Mapping[str, object], span: Span | None, pointer: str) -> Problem:
    return Problem(
        code="FIELD_UNKNOWN",
        message=f"unknown key `{name}`",
        span=span,
        pointer=pointer,
        hint=_did_you_mean(name, known) or f"known keys: {', '.join(known)}",
    )


def _did_you_mean(name: str, known: Mapping[str, object]) -> str | None:
    from difflib import get_close_matches

    last = name.rpartition(".")[2]
    same = [key for key in CHECKS if last in {key.split(".")[1], key.replace(".", "_")}]
    close = same or get_close_matches(name, known, n=1) or get_close_matches(name, CHECKS, n=1)
    return f"did you mean `{close[0]}`?" if close else None


def _defaults(folder: Path) -> dict[str, Raw]:
    try:
        document = read_toml(Path(__file__).parents[1] / "config_default.toml").document
    except InvalidConfigError:
        raise InstallationError("`config_default.toml` is missing or broken", hint="reinstall lumyn") from None
    origin = Origin(source=Source.DEFAULT)
    return {
        f"{section}.{name}": Raw(value=value, origin=origin, base=folder)
        for section, table in document.items()
        if isinstance(table, dict)
        for name, value in table.items()
    }


# --- environment ---------------------------------------------------------------------------------------------------


def _environment_values(environ: Mapping[str, str], start: Path, problems: list[Problem]) -> dict[str, Raw]:
    names = {variable_for(key): key for key in CHECKS}
    values: dict[str, Raw] = {}
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or name == CONFIG_PATH_VARIABLE:
            continue
        text = environ[name]
        meant = None if name in names else _misspelt(name, names)
        if not text.strip() and (name in names or meant):
            problems.append(_blank_variable(name))
        elif name in names:
            origin = Origin(source=Source.ENVIRONMENT, variable=name)
            values[names[name]] = Raw(value=text, origin=origin, base=start)
        elif meant:
            # A misspelt variable must not fall back to a default: `LUMYN_MODE=enforce` would change nothing.
            message = f"unknown environment variable `{name}`"
            problems.append(Problem(code="FIELD_UNKNOWN", message=message, hint=f"did you mean `{meant}`?"))
    return values


def _misspelt(name: str, names: Mapping[str, str]) -> str | None:
    """Return the variable that `name` stands for, or None when it is none of this program's business."""
    from difflib import get_close_matches

    if _SERVICE_VARIABLE.fullmatch(name):
        return None
    short = {_PREFIX + key.split(".")[1].upper(): variable for variable, key in names.items()}
    in_section = any(f"{name}_".startswith(f"{_PREFIX}{section.upper()}_") for section in _SECTIONS)
    close = get_close_matches(name, [*names, CONFIG_PATH_VARIABLE], n=1, cutoff=0.0 if in_section else 0.8)
    return short.get(name) or (close[0] if close else None)


def _config(file: Path | None, folder: Path, values: Mapping[str, object], origins: Mapping[str, Origin]) -> Config:
    def value(key: str, kind: type[Value]) -> Value | None:
        found = values.get(key)
        return found if isinstance(found, kind) else None

    def needed(key: str, kind: type[Value]) -> Value:
        found = value(key, kind)
        if found is None:
            raise InstallationError(f"`config_default.toml` gives no usable `{key}`", hint="reinstall lumyn")
        return found

    return Config(
        file=file,
        folder=folder,
        store=StoreConfig(
            url=needed("store.url", str),
            synchronous=needed("store.synchronous", str),
            busy_timeout_s=needed("store.busy_timeout_s", float),
            id=value("store.id", str),
        ),
        policy=PolicyConfig(path=value("policy.path", Path), mode=value("policy.mode", Mode)),
        redaction=RedactionConfig(
            profile=needed("redaction.profile", str),
            remove=needed("redaction.remove", tuple),
        ),
        limits=LimitsConfig(request_bytes=needed("limits.request_bytes", int)),
        telemetry=TelemetryConfig(log=needed("telemetry.log", str), otel=needed("telemetry.otel", bool)),
        service=ServiceConfig(
            bind_host=needed("service.bind_host", str),
            bind_port=needed("service.bind_port", int),
            keys=value("service.keys", tuple) or (),
            header_timeout_s=needed("service.header_timeout_s", float),
            body_timeout_s=needed("service.body_timeout_s", float),
            drain_timeout_s=needed("service.drain_timeout_s", float),
            watch_s=needed("service.watch_s", float),
            max_waiting=needed("service.max_waiting", int),
        ),
        origins=origins,
    )
