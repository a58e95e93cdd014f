"""
What a worker process tells the controller, and the reverse, when pytest-xdist spreads a run.
Must not judge or print anything: it only carries plain data. Works without pytest-xdist installed.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any, Protocol

import pytest

__all__ = ["Courier", "Parcel", "is_controller", "is_worker", "terminal_width"]

KEY = "lumyn"


class Parcel(Protocol):
    """Something that is filled on workers and wanted on the controller."""

    def pack(self) -> dict[str, object]:
        """Return the content as plain data."""

    def unpack(self, content: Mapping[str, Any]) -> None:
        """Add what a worker packed; workers may repeat one another."""


class Node(Protocol):
    """A worker, as pytest-xdist hands it to its hooks."""

    workerinput: dict[str, object]


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker: it collects and runs, and must not write or judge."""
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    """Whether this process leads workers: it collects nothing itself."""
    return not is_worker(config) and config.pluginmanager.hasplugin("dsession")


def terminal_width(config: pytest.Config) -> int:
    """Return the columns of the terminal the run is shown in; a worker has been told by its controller."""
    told = getattr(config, "workerinput", {}).get(KEY)
    if told is not None:
        return int(told)
    if config.pluginmanager.hasplugin("terminalreporter"):
        return int(config.get_terminal_writer().fullwidth)
    return shutil.get_terminal_size().columns


class Courier:
    """Brings a worker's parcel to the controller. A worker that died brings none, which pytest reports itself."""

    def __init__(self, config: pytest.Config, parcel: Parcel) -> None:
        self._config = config
        self._parcel = parcel

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[KEY] = self._parcel.pack()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Node) -> None:
        node.workerinput[KEY] = terminal_width(self._config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        output = getattr(node, "workeroutput", None)
        if output and KEY in output:
            self._parcel.unpack(output[KEY])
