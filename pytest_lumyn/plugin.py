"""
Entry point of the plugin: options, hook specifications, the marker and the fixtures. Must not import Lumyn, read a
file or print until vectors are asked for. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_lumyn import hookspecs, options
from pytest_lumyn.fixtures import lumyn_gate, lumyn_memory, lumyn_vector

if TYPE_CHECKING:
    import warnings

__all__ = ["lumyn_gate", "lumyn_memory", "lumyn_vector"]

MARKER = (
    "lumyn(tag=..., suite=..., policy=...): set on vectors by their file, so that `-m \"lumyn(tag='refund')\"` selects "
    "them; on a Python test, `policy` names the policy of its `lumyn_gate`."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_warning_recorded(warning_message: warnings.WarningMessage) -> None:
    if isinstance(warning_message.message, pytest.PytestConfigWarning):
        options.refuse_unknown_key(warning_message.message)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if options.wanted(config):
        from pytest_lumyn.activation import activate

        activate(config)
