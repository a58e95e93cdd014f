"""
Where the schemas, policies and vectors that ship with Lumyn are: one copy, in the wheel or in the checkout.
Never looks at the working directory; must not know what the files mean beyond that schemas are JSON.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

from lumyn.errors import InstallationError
from lumyn.model import JsonObject

__all__ = ["data_root", "policies_dir", "schema", "schema_path", "vectors_dir"]

# Not through `importlib.resources`, which costs a short command more than everything it reads.
_PACKAGE: Final = Path(__file__).parent
_FOLDERS: Final = ("schemas", "policies", "vectors")


@cache
def data_root() -> Path:
    """
    Return the folder that holds `schemas/`, `policies/` and `vectors/`.

    It is `_data` inside of the installed package, else, for an editable installation, the checkout around it.

    Raises:
        InstallationError: Neither is there.
    """
    roots = [_PACKAGE / "_data"]
    if _PACKAGE.parent.name == "src":
        roots.append(_PACKAGE.parent.parent)
    for root in roots:
        if all((root / folder).is_dir() for folder in _FOLDERS):
            return root
    raise InstallationError(
        "the schemas, policies and vectors that ship with lumyn are missing",
        hint="install lumyn again from its checkout or a wheel; a zipped package cannot be used",
    )


def schema_path(name: str) -> Path:
    """
    Return the path of the schema file called `name`, such as `decision_request.v0.schema.json`.

    Raises:
        InstallationError: There is no such file; a name with a folder in it never names one.
    """
    path = data_root() / "schemas" / name
    if path.name != name or not path.is_file():
        raise InstallationError(f"no schema called `{name}` ships with lumyn")
    return path


@cache
def schema(name: str) -> JsonObject:
    """
    Return the content of a schema or registry file. It is kept and shared: do not change it.

    Raises:
        InstallationError: There is no such file, or it was damaged.
    """
    try:
        # The strict parser reads what users send; this file is ours, and that parser's package reads schemas from here.
        value = json.loads(schema_path(name).read_bytes())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InstallationError(f"the schema `{name}` is not a JSON object")
    return value


def policies_dir() -> Path:
    """Return the folder of the starter policies, with `packs/` inside."""
    return data_root() / "policies"


def vectors_dir() -> Path:
    """Return the folder of the golden vectors."""
    return data_root() / "vectors"
