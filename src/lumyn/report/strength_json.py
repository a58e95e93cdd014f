"""
How strong vectors are as plain data and back, for whoever keeps it from run to run.
The policy is not part of it; must not know where it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lumyn.model import JsonObject
from lumyn.policy.spec import Policy
from lumyn.report.run import Edit, Mark, Strength, Table

__all__ = ["pack", "unpack"]


def pack(strength: Strength) -> JsonObject:
    """Return all but the policy as plain JSON data."""
    return {
        "coverage": None if strength.coverage is None else asdict(strength.coverage),
        "mutation": asdict(strength.mutation),
        "marks": [asdict(mark) for mark in strength.marks],
        "edits": [asdict(edit) for edit in strength.edits],
        "reads": {rule_id: [*names] for rule_id, names in strength.reads.items()},
    }


def unpack(data: Mapping[str, Any], policy: Policy) -> Strength:
    """Return what `pack` was called for, with the policy it was made for."""
    return Strength(
        policy=policy,
        coverage=None if data["coverage"] is None else _table(data["coverage"]),
        mutation=_table(data["mutation"]),
        marks=tuple(Mark(**{**mark, "about": tuple(mark["about"])}) for mark in data["marks"]),
        edits=tuple(Edit(**edit) for edit in data["edits"]),
        reads={rule_id: tuple(names) for rule_id, names in data["reads"].items()},
    )


def _table(data: Mapping[str, Any]) -> Table:
    rows = tuple(tuple(row) for row in data["rows"])
    return Table(title=data["title"], note=data["note"], columns=tuple(data["columns"]), rows=rows)
