"""
Tells other plugins of failures that they were told had passed, and keeps one entry for each in a JUnit file.
Must not know why a test turned out to have failed; it uses public hooks and the formats of files only.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from lumyn._files import replace_file
from lumyn.report.text import printable
from pytest_lumyn.report import ATTRIBUTE
from pytest_lumyn.xdist import is_worker

__all__ = ["LateFailures"]

_NOT_TOLD: Final = ("session", "terminalreporter")
"""They count reports one by one, so that a second one of a test would count twice."""
_OWN: Final = "lumyn-"
_NOT_PASSED: Final = ("failure", "error", "skipped")


class LateFailures:
    """The part of the plugin that corrects what others were told, once the run is over."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._count = 0
        self._complaint = ""

    def tell(self, session: pytest.Session, report: pytest.TestReport) -> None:
        """Send a report that says `failed` by now to every plugin that collects outcomes; nothing may come after."""
        manager = self._config.pluginmanager
        others = [plugin for name, plugin in manager.list_name_plugin() if name in _NOT_TOLD or name.startswith(_OWN)]
        tell = manager.subset_hook_caller("pytest_runtest_logreport", [each for each in others if each is not None])
        tell(report=report)
        ended = copy.copy(report)
        vars(ended).pop(ATTRIBUTE, None)
        vars(ended).update(when="teardown", outcome="passed", longrepr=None, sections=[], duration=0.0)
        tell(report=ended)
        session.testsfailed += 1
        self._count += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Take out of a JUnit file what it says of tests that turned out to have failed since."""
        name = self._config.getoption("xmlpath", None)
        if not self._count or not name or is_worker(self._config):
            return
        path = self._config.invocation_params.dir / Path(os.path.expandvars(name)).expanduser()
        try:
            root = ET.parse(path).getroot()  # noqa: S314 (pytest has just written it)
            for suite in root.iter("testsuite"):
                _drop_earlier(suite, self._count)
            text = ET.tostring(root, encoding="unicode")
            replace_file(path.resolve(), b'<?xml version="1.0" encoding="utf-8"?>' + text.encode())
        except (OSError, ET.ParseError) as error:
            self._complaint = f"{path.name} may call vectors passed that failed: {error}"

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._complaint:
            terminalreporter.write_line(f"ERROR: lumyn: {printable(self._complaint)}", red=True)


def _drop_earlier(suite: ET.Element, count: int) -> None:
    """Drop the entries that the last ones replace: some readers count both, and others believe the first."""
    cases = suite.findall("testcase")
    earlier = [case for case in cases[:-count] if not any(case.find(name) is not None for name in _NOT_PASSED)]
    for late in cases[-count:]:
        replaced = next((case for case in earlier if _identity(case) == _identity(late)), None)
        if replaced is not None:
            earlier.remove(replaced)
            suite.remove(replaced)
            suite.set("tests", str(int(suite.get("tests", "1")) - 1))


def _identity(case: ET.Element) -> dict[str, str]:
    return {name: value for name, value in case.attrib.items() if name != "time"}
