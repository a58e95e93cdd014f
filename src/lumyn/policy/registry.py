"""
The registry of reason codes that ships with Lumyn: what each code means and whether the engine itself emits it.
Must not know policies; a policy adds codes of its own beside these.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from lumyn import _resources
from lumyn.errors import InstallationError
from lumyn.model import JsonObject

__all__ = ["engine_codes", "registry"]

_FILE: Final = "reason_codes.v0.json"


@cache
def registry() -> Mapping[str, str]:
    """
    Return every registered reason code with its meaning.

    Raises:
        InstallationError: The registry is missing from the installation or unreadable.
    """
    return MappingProxyType({code: _text(entry, "meaning") for code, entry in _entries().items()})


@cache
def engine_codes() -> frozenset[str]:
    """
    Return the codes the engine emits on its own; a policy may use them and cannot redefine them.

    Raises:
        InstallationError: The registry is missing from the installation or unreadable.
    """
    return frozenset(code for code, entry in _entries().items() if _text(entry, "kind") == "engine")


def _entries() -> dict[str, JsonObject]:
    codes = _resources.schema(_FILE).get("codes")
    entries = codes.items() if isinstance(codes, dict) else ()
    found = {code: entry for code, entry in entries if isinstance(entry, dict)}
    if not found:
        raise InstallationError(f"the reason code registry `{_FILE}` is not usable", hint="install Lumyn again")
    return found


def _text(entry: JsonObject, field: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str):
        raise InstallationError(f"the reason code registry `{_FILE}` is not usable", hint="install Lumyn again")
    return value
