"""
Whether Lumyn is installed as it should be: interpreter, shipped files, SQLite, and the plugin that pytest loads.
Must not know any workspace.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from lumyn._version import __version__
from lumyn.cli.diagnosis.finding import Finding, ok, problem, warning
from lumyn.errors import InstallationError

__all__ = ["SOUND_SQLITE", "installation"]

SOUND_SQLITE: Final = (3, 51, 3)
"""The first release in which a write and a checkpoint of another process cannot damage a log that is being reset."""

_PLUGIN: Final = "pytest_lumyn.plugin"


def installation() -> Iterator[Finding]:
    """Yield what there is to say about the program itself."""
    yield ok("python", f"{platform.python_version()}, {sys.executable}")
    yield _lumyn()
    yield from _environment()
    yield _sqlite()
    yield _plugin()


def _lumyn() -> Finding:
    from lumyn import _resources

    try:
        root = _resources.data_root()
    except InstallationError as error:
        return problem("lumyn", error.message, code=error.reason_code, hint=error.hint)
    return ok("lumyn", f"{__version__}, schemas and policies from {root}")


def _environment() -> Iterator[Finding]:
    active = os.environ.get("VIRTUAL_ENV")
    if active and Path(active).resolve() != Path(sys.prefix).resolve():
        message = f"this lumyn is not the one of the active environment, {active}: pytest may use another"
        yield warning("lumyn", message, code="ENVIRONMENT_DIFFERS", hint="run `python -m lumyn doctor` in it")


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info >= SOUND_SQLITE:
        return ok("sqlite", sqlite3.sqlite_version)
    sound = ".".join(map(str, SOUND_SQLITE))
    message = (
        f"{sqlite3.sqlite_version} has the WAL-reset bug, mended in {sound}: when one process writes while another"
        " checkpoints, the log can, very rarely, be damaged"
    )
    hint = f"one deciding process is safe; for several, use a Python built with SQLite {sound} or later"
    return warning("sqlite", message, code="WAL_RESET_BUG", hint=hint)


def _plugin() -> Finding:
    found = [point for point in metadata.entry_points(group="pytest11") if point.value.partition(":")[0] == _PLUGIN]
    try:
        pytest_version = metadata.version("pytest")
    except metadata.PackageNotFoundError:
        pytest_version = ""
    if not found or not pytest_version:
        missing = "pytest does not know the plugin" if pytest_version else "pytest is not installed here"
        hint = "install lumyn again with pip or uv: its entry point is what pytest finds"
        return problem("pytest", missing, code="PLUGIN_NOT_REGISTERED", hint=hint)
    options = os.environ.get("PYTEST_ADDOPTS", "")
    if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") or f"no:{found[0].name}" in options.replace("-p", " ").split():
        message = (
            "the environment keeps pytest from loading the plugin: PYTEST_DISABLE_PLUGIN_AUTOLOAD or PYTEST_ADDOPTS"
        )
        return warning("pytest", message, code="PLUGIN_DISABLED", hint=f"unset it, or run `pytest -p {_PLUGIN}`")
    return ok("pytest", f"{pytest_version}, plugin `{found[0].name}` registered")
