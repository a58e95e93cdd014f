"""
Survivors that a team decided to live with: a file of mutant ids, each with a reason, a block for each policy.
Must not know mutants: whether an id still means one is for the report to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lumyn.documents import Document, join_pointer, load, read_bytes
from lumyn.errors import InvalidConfigError, Problem

__all__ = ["SCHEMA_VERSION", "read_baseline"]

SCHEMA_VERSION: Final = "mutants.v0"


def read_baseline(path: Path, *, name: str | None = None) -> Mapping[str, Mapping[str, str]]:
    """
    Return policy id -> mutant id -> reason.

    Args:
        name: What messages call the file.

    Raises:
        InvalidConfigError: The file cannot be read, or says anything but ids with a reason.
    """
    document = load(read_bytes(path, error=InvalidConfigError), file=name or str(path), error=InvalidConfigError)
    problems: list[Problem] = []
    value = document.value
    if not isinstance(value, dict) or value.get("schema_version") != SCHEMA_VERSION:
        message = f"a baseline of mutants begins with `schema_version: {SCHEMA_VERSION}`"
        raise InvalidConfigError([_problem(document, "SCHEMA_VERSION_UNSUPPORTED", message, "/schema_version")])
    for key in value.keys() - {"schema_version", "accepted"}:
        problems.append(_problem(document, "FIELD_UNKNOWN", f"unknown field `{key}`", join_pointer("", key)))
    found: dict[str, dict[str, str]] = {}
    accepted = value.get("accepted", {})
    blocks = accepted.items() if isinstance(accepted, dict) else ()
    if not isinstance(accepted, dict):
        problems.append(_problem(document, "TYPE_INVALID", "`accepted` must be an object of policy ids", "/accepted"))
    for policy_id, block in blocks:
        pointer = join_pointer("/accepted", policy_id)
        if not isinstance(block, dict):
            message = f"`{policy_id}` must be an object: mutant id, reason"
            problems.append(_problem(document, "TYPE_INVALID", message, pointer))
            continue
        for mutant_id, reason in block.items():
            if isinstance(reason, str) and reason.strip():
                found.setdefault(policy_id, {})[mutant_id] = reason
            else:
                message = f"`{mutant_id}` needs a reason in words"
                problems.append(_problem(document, "TYPE_INVALID", message, join_pointer(pointer, mutant_id)))
    if problems:
        raise InvalidConfigError(problems)
    return found


def _problem(document: Document, code: str, message: str, pointer: str) -> Problem:
    return Problem(code=code, message=message, pointer=pointer, span=document.key_span(pointer))
