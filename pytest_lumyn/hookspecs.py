"""
The hooks other plugins and `conftest.py` files may implement; they are public. Must not implement or call anything.
PYTEST_DONT_REWRITE

A hook can add to what is checked, never take away from it: the comparison of a vector with its expectation always runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lumyn import DecisionRecord, Gate
    from pytest_lumyn.item import VectorItem

__all__ = [
    "pytest_lumyn_compare",
    "pytest_lumyn_drift",
    "pytest_lumyn_load_suite",
    "pytest_lumyn_policy",
    "pytest_lumyn_report",
    "pytest_lumyn_request",
    "pytest_lumyn_seed_memory",
]


@pytest.hookspec(firstresult=True)
def pytest_lumyn_load_suite(path: Path, config: pytest.Config) -> Mapping[str, Any] | None:
    """
    Return the suite held in a file of a format of your own, or None to leave the file to Lumyn.

    The suite is a `vector.v0` document as plain data; it is checked like any other, and its problems point at line 1
    of the file. Name such files in ini `lumyn_patterns`. The first answer that is not None counts.

        def pytest_lumyn_load_suite(path, config):
            if path.suffix == ".csv":
                with path.open(newline="") as file:
                    return suite_from_rows(csv.DictReader(file))
    """


@pytest.hookspec(firstresult=True)
def pytest_lumyn_policy(path: Path, config: pytest.Config) -> str | Path | None:
    """
    Return the policy to run the vectors of a file against, or None for the one each of them names.

    A path is relative to the rootdir. `--lumyn-policy` and ini `lumyn_policy` are stronger: where they are set this
    hook is not called. The first answer that is not None counts.

        def pytest_lumyn_policy(path, config):
            if "eu" in path.parts:
                return "policies/eu.yml"
    """


@pytest.hookspec
def pytest_lumyn_seed_memory(item: VectorItem, gate: Gate) -> None:
    """
    Put more labelled experiences into the memory of a vector, after its own and before its first decision.

    The gate stands on the vector's own throw-away store, and its clock is pinned.

        def pytest_lumyn_seed_memory(item, gate):
            for incident in KNOWN_FRAUD:
                gate.seed("failure", incident.request, summary=incident.id)
    """


@pytest.hookspec
def pytest_lumyn_request(item: VectorItem, request: dict[str, Any]) -> None:
    """
    Edit, in place, a request that is about to be decided; it is the vector's own copy.

        def pytest_lumyn_request(item, request):
            request["subject"].setdefault("roles", ["support"])
    """


@pytest.hookspec
def pytest_lumyn_compare(item: VectorItem, expected: Mapping[str, Any], record: DecisionRecord) -> Iterable[str] | None:
    """
    Return what else is wrong with a record, one line each; an empty answer or None means nothing is.

    Called after Lumyn's own comparison, for every decision of the vector; what it returns is added to the drift.

        def pytest_lumyn_compare(item, expected, record):
            if record.verdict == "ESCALATE" and not record.obligations:
                return ["an escalation without an obligation"]
    """


@pytest.hookspec
def pytest_lumyn_drift(item: VectorItem, drift: Mapping[str, Any]) -> None:
    """
    Told of each vector that drifted, in the process that ran it; `drift` is the data of `pytest_lumyn_report`.

        def pytest_lumyn_drift(item, drift):
            allure.attach(json.dumps(drift), name="lumyn drift")
    """


@pytest.hookspec
def pytest_lumyn_report(config: pytest.Config, results: Sequence[Mapping[str, Any]]) -> None:
    """
    Told of every vector that ran, once, when the run is over, and under pytest-xdist on the controller only.

    Each result is plain JSON data; the keys are those of `pytest_lumyn.report.describe`. Sorted by node id.

        def pytest_lumyn_report(config, results):
            Path("vectors.json").write_text(json.dumps(results))
    """
