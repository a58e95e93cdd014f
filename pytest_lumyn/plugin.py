"""
Entry point of the plugin: what pytest has to know of in every run, which is options, hooks, the marker and fixtures.
Must not import Lumyn, read a file or print until vectors or a fixture are asked for. PYTEST_DONT_REWRITE

Every run of every project that has Lumyn installed pays for this module and for `options`: pytest looks at each name in
here, and reads both through its import hook. What only some runs need is imported where it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_lumyn import options

if TYPE_CHECKING:
    import warnings
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lumyn import Gate
    from lumyn.model import MemoryItem
    from lumyn.vectors import Vector

__all__ = ["lumyn_gate", "lumyn_memory", "lumyn_vector"]

MARKER = (
    "lumyn(tag=..., suite=..., policy=...): set on vectors by their file, so that `-m \"lumyn(tag='refund')\"` selects "
    "them; on a Python test, `policy` names the policy of its `lumyn_gate`."
)

HOOKS = frozenset(
    {
        "pytest_lumyn_compare",
        "pytest_lumyn_drift",
        "pytest_lumyn_load_suite",
        "pytest_lumyn_policy",
        "pytest_lumyn_report",
        "pytest_lumyn_request",
        "pytest_lumyn_seed_memory",
    }
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_plugin_registered(manager: pytest.PytestPluginManager) -> None:
    """Specify the hooks as soon as a plugin or a `conftest.py` implements one of them; else nobody can tell."""
    if not HOOKS.isdisjoint(vars(manager.hook)):
        specify_hooks(manager)


def pytest_warning_recorded(warning_message: warnings.WarningMessage) -> None:
    if isinstance(warning_message.message, pytest.PytestConfigWarning):
        from pytest_lumyn.asked import refuse_unknown_key

        refuse_unknown_key(warning_message.message)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    overrides = config.getoption("override_ini")
    if overrides:
        from pytest_lumyn.asked import refuse_unknown_override

        refuse_unknown_override(overrides)
    if options.wanted(config):
        from pytest_lumyn.activation import activate

        specify_hooks(config.pluginmanager)
        activate(config)


def specify_hooks(manager: pytest.PytestPluginManager) -> None:
    """Have pytest know the hooks of `hookspecs`, and check whoever implements them; once is enough."""
    from pytest_lumyn import hookspecs

    known = getattr(manager.hook, "pytest_lumyn_report", None)
    if known is None or not known.has_spec():
        manager.add_hookspecs(hookspecs)


@pytest.fixture
def lumyn_gate(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gate]:
    """
    A fresh gate on a temporary store, with the clock pinned to 2026-01-15T12:00:00Z and repeatable ids.

    Its policy is the one of `@pytest.mark.lumyn(policy="policies/refunds.yml")`, relative to the rootdir, else of
    `--lumyn-policy`, else of ini `lumyn_policy`.
    """
    from pytest_lumyn.fixtures import open_gate

    with open_gate(request, tmp_path) as gate:
        yield gate


@pytest.fixture
def lumyn_memory(lumyn_gate: Gate) -> Callable[..., MemoryItem]:
    """
    A function that puts a labelled experience into the memory of `lumyn_gate`, as `lumyn label` would.

        def test_a_known_fraud_is_escalated(lumyn_gate, lumyn_memory):
            lumyn_memory("failure", REQUEST, summary="INC-42")
            assert lumyn_gate.decide(REQUEST).verdict == "ESCALATE"
    """
    from pytest_lumyn.fixtures import seeder

    return seeder(lumyn_gate)


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
    from pytest_lumyn.fixtures import vector_loader

    return vector_loader(pytestconfig.rootpath)
