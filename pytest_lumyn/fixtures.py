"""
Fixtures for Python tests: a gate of one's own, seeded memory, one vector by id. Available whether or not vectors are
collected; Lumyn is imported only when a test asks for one of them. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lumyn import Gate
    from lumyn.model import MemoryItem
    from lumyn.vectors import Vector

__all__ = ["PINNED_CLOCK", "lumyn_gate", "lumyn_memory", "lumyn_vector"]

PINNED_CLOCK = "2026-01-15T12:00:00Z"


@pytest.fixture
def lumyn_gate(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gate]:
    """
    A fresh gate on a temporary store, with the clock pinned to 2026-01-15T12:00:00Z and repeatable ids.

    Its policy is the one of `@pytest.mark.lumyn(policy="policies/refunds.yml")`, relative to the rootdir, else of
    `--lumyn-policy`, else of ini `lumyn_policy`.
    """
    from lumyn import FixedClock, Gate, SeededIds

    gate = Gate.open(
        policy=_policy(request),
        store=f"sqlite:///{tmp_path / 'lumyn.db'}",
        create=True,
        clock=FixedClock(PINNED_CLOCK),
        ids=SeededIds(request.node.nodeid),
    )
    with gate:
        yield gate


@pytest.fixture
def lumyn_memory(lumyn_gate: Gate) -> Callable[..., MemoryItem]:
    """
    A function that puts a labelled experience into the memory of `lumyn_gate`, as `lumyn label` would.

        def test_a_known_fraud_is_escalated(lumyn_gate, lumyn_memory):
            lumyn_memory("failure", REQUEST, summary="INC-42")
            assert lumyn_gate.decide(REQUEST).verdict == "ESCALATE"
    """

    def seed(label: str, request: Mapping[str, object], *, summary: str = "seeded by a test") -> MemoryItem:
        return lumyn_gate.seed(label, request, summary=summary)

    return seed


@pytest.fixture
def lumyn_vector(pytestconfig: pytest.Config) -> Callable[[str], Vector]:
    """
    A function that loads one vector by the id pytest prints for it, `vectors/refund.yml::limit[over_limit]`.

    The path is relative to the rootdir, and `lumyn.vectors.run` runs what comes back.

    Raises LookupError, naming the ids the file has, when there is no such vector, and InvalidVectorError when the file
    or the vector cannot be used.

        def test_the_limit_is_loud(lumyn_vector):
            result = lumyn.vectors.run(lumyn_vector("vectors/refund.yml::limit[over_limit]"))
            assert result.record.obligations
    """

    def load(node_id: str) -> Vector:
        from lumyn.errors import InvalidVectorError
        from lumyn.vectors import load_suite

        file, _, vector_id = node_id.partition("::")
        suite = load_suite(pytestconfig.rootpath / file, root=pytestconfig.rootpath)
        for vector in suite.vectors:
            if vector.vector_id == vector_id:
                if vector.problems:
                    raise InvalidVectorError(vector.problems)
                return vector
        known = ", ".join(vector.vector_id for vector in suite.vectors)
        raise LookupError(f"no vector `{vector_id}` in {file}; it has {known}")

    return load


def _policy(request: pytest.FixtureRequest) -> Path:
    from pytest_lumyn.options import policy_override

    for marker in request.node.iter_markers("lumyn"):
        if "policy" in marker.kwargs:
            return Path(request.config.rootpath, marker.kwargs["policy"])
    path = policy_override(request.config)
    if path is None:
        raise pytest.UsageError(
            "lumyn_gate needs a policy: set ini `lumyn_policy`, pass --lumyn-policy=PATH, or mark the test "
            '@pytest.mark.lumyn(policy="PATH")'
        )
    return path
