"""
What the fixtures of `plugin` hand to Python tests: a gate of one's own, seeded memory, one vector by id. Imported when
a test asks for one of them, whether or not vectors are collected; must not know how vectors are collected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lumyn import FixedClock, Gate, SeededIds
from lumyn.errors import InvalidVectorError
from lumyn.model import MemoryItem
from lumyn.vectors import Vector, load_suite
from pytest_lumyn.asked import policy_override

__all__ = ["PINNED_CLOCK", "open_gate", "seeder", "vector_loader"]

_MARKED = ("policy", "suite", "tag")
PINNED_CLOCK = "2026-01-15T12:00:00Z"


def open_gate(request: pytest.FixtureRequest, folder: Path) -> Gate:
    """Return an open gate on a store of its own in `folder`; raises UsageError when no policy is named."""
    return Gate.open(
        policy=_policy(request),
        store=f"sqlite:///{folder / 'lumyn.db'}",
        create=True,
        clock=FixedClock(PINNED_CLOCK),
        ids=SeededIds(request.node.nodeid),
    )


def seeder(gate: Gate) -> Callable[..., MemoryItem]:
    """Return a function that seeds the memory of `gate`."""

    def seed(label: str, request: Mapping[str, object], *, summary: str = "seeded by a test") -> MemoryItem:
        return gate.seed(label, request, summary=summary)

    return seed


def vector_loader(root: Path) -> Callable[[str], Vector]:
    """Return a function that loads one vector by its node id below `root`."""

    def load(node_id: str) -> Vector:
        file, _, vector_id = node_id.partition("::")
        suite = load_suite(root / file, root=root)
        for vector in suite.vectors:
            if vector.vector_id == vector_id:
                if vector.problems:
                    raise InvalidVectorError(vector.problems)
                return vector
        known = ", ".join(vector.vector_id for vector in suite.vectors)
        raise LookupError(f"no vector `{vector_id}` in {file}; it has {known}")

    return load


def _policy(request: pytest.FixtureRequest) -> Path:
    for marker in request.node.iter_markers("lumyn"):
        unknown = [*map(repr, marker.args), *(name for name in marker.kwargs if name not in _MARKED)]
        if unknown:
            raise pytest.UsageError(f"@pytest.mark.lumyn takes {', '.join(_MARKED)} by name, not {', '.join(unknown)}")
        if "policy" in marker.kwargs:
            return Path(request.config.rootpath, marker.kwargs["policy"])
    path = policy_override(request.config)
    if path is None:
        raise pytest.UsageError(
            "lumyn_gate needs a policy: set ini `lumyn_policy`, pass --lumyn-policy=PATH, or mark the test "
            '@pytest.mark.lumyn(policy="PATH")'
        )
    return path
