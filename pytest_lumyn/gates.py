"""
Judges a suite as a whole: what it lost since a revision, and what in it does not count without anybody saying so.
Must not know how vectors are collected or run; judges complete runs only.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from lumyn.errors import InvalidDocumentError, NotFoundError
from lumyn.report.text import printable
from lumyn.vectors.discovery import SUFFIXES
from lumyn.vectors.format import Vector
from lumyn.vectors.past import find_commit, suites_at
from lumyn.vectors.sources import display_name
from lumyn.vectors.weakening import DELETED, WEAKENED, Loss, losses
from pytest_lumyn.collect import Collection
from pytest_lumyn.item import VectorItem
from pytest_lumyn.settings import GIT, Settings
from pytest_lumyn.tally import left_out, taken_out
from pytest_lumyn.xdist import is_worker

__all__ = ["Gates"]

MOST_LINES: Final = 50
_NO_REASON: Final = ("", "unconditional skip")


class Gates:
    """
    The part of the plugin that judges; registered where `--lumyn-strict` or `--lumyn-base` asks for it.

    Attributes:
        failures: What failed the run, once it was judged.
    """

    def __init__(self, config: pytest.Config, settings: Settings, collection: Collection) -> None:
        self._config = config
        self._settings = settings
        self._collection = collection
        self._unexplained: list[str] = []
        self._excused: list[str] = []
        self._lines: list[str] = []
        self.failures: list[str] = []
        self._note = ""
        if settings.since is not None and not is_worker(config):
            try:
                find_commit(settings.base, settings.since)
            except NotFoundError as error:
                hint = f"; {error.hint}" if error.hint else ""
                raise pytest.UsageError(f"lumyn: --lumyn-base: {printable(error.message)}{hint}") from None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not isinstance(item, VectorItem):
            return report
        if hasattr(report, "wasxfail"):
            if item.short.xfail is None:
                vars(report)["lumyn_excused"] = True
        elif report.skipped and isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped").removeprefix(":").strip()
            vars(report)["lumyn_unexplained"] = reason in _NO_REASON
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if getattr(report, "lumyn_unexplained", False):
            self._unexplained.append(report.nodeid)
        if getattr(report, "lumyn_excused", False):
            self._excused.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        config = self._config
        if is_worker(config) or config.getoption("collectonly"):
            return
        self._note = self._why_not_judged(session)
        if self._note:
            return
        if self._settings.since is not None:
            self._compare(self._settings.since)
        if self._settings.strict:
            self._judge()
            if self.failures and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._note:
            terminalreporter.write_line(f"lumyn: suite not judged: {self._note}", bold=True)
        if self._lines:
            terminalreporter.write_sep("-", f"lumyn: since {printable(GIT + (self._settings.since or ''))}")
        for line in self._lines:
            terminalreporter.write_line(line)
        for failure in self.failures:
            terminalreporter.write_line(f"FAILED lumyn gate: {failure}", red=True)

    def _why_not_judged(self, session: pytest.Session) -> str:
        """Return why nothing can be said of the suite as a whole, or nothing."""
        if not self._settings.complete:
            return "part of the files was asked for"
        if session.shouldstop or session.shouldfail or session.exitstatus == pytest.ExitCode.INTERRUPTED:
            return "the run was stopped"
        return ""

    def _judge(self) -> None:
        proposed = self._collection.tally.proposed
        for file, count in sorted(proposed.items()):
            name = printable(display_name(Path(file), self._settings.base))
            self.failures.append(f"{name}: {_counted(count, 'vector')} proposed and not approved")
        passed_by = left_out(self._settings, self._collection.tally)
        self.failures += [f"{printable(name)}: left out of the run" for name in passed_by[:MOST_LINES]]
        if len(passed_by) > MOST_LINES:
            self.failures.append(f"and {_counted(len(passed_by) - MOST_LINES, 'file')} more left out of the run")
        if self._collection.tally.taken:
            self.failures.append(taken_out(self._collection.tally))
        self.failures += [
            f"{printable(node_id)}: skipped without a reason" for node_id in sorted(set(self._unexplained))
        ]
        self.failures += [
            f"{printable(node_id)}: expected to fail by a mark that its file does not hold"
            for node_id in sorted(set(self._excused))
        ]

    def _compare(self, revision: str) -> None:
        base = self._settings.base
        try:
            with suites_at(base, revision, holds_vectors=self._held_vectors) as past:
                before = [
                    vector for path, suite in past.suites.items() if self._judges(path) for vector in suite.vectors
                ]
                found = losses(before, self._now())
        except NotFoundError as error:
            self.failures.append(f"{GIT}{printable(revision)}: {printable(error.message)}")
            return
        name = f"{GIT}{printable(revision)}"
        unreadable = [f"unreadable  {printable(path)}  {printable(why)}" for path, why in past.unreadable.items()]
        lines = [*unreadable, *(_line(loss) for loss in found)]
        self._lines = lines[:MOST_LINES]
        if len(lines) > MOST_LINES:
            self._lines.append(f"and {len(lines) - MOST_LINES} more")
        if not self._settings.strict:
            return
        for kind in (DELETED, WEAKENED):
            count = sum(loss.kind == kind for loss in found)
            if count:
                self.failures.append(f"{_counted(count, 'vector')} {kind} since {name}")
        if unreadable:
            self.failures.append(f"{_counted(len(unreadable), 'file')} of {name} cannot be compared")

    def _now(self) -> Iterator[Vector]:
        """Yield every vector there is; a file that cannot be read has none, and is an error of its own."""
        for file in sorted(self._collection.tally.files):
            try:
                yield from self._collection.shelf.suite(Path(file)).vectors
            except InvalidDocumentError:
                continue

    def _judges(self, path: str) -> bool:
        """Whether what a file held can be missed: one that is there and was passed by is not deleted."""
        now = self._settings.base / path
        return now.as_posix() in self._collection.tally.files or not now.exists()

    def _held_vectors(self, path: PurePosixPath) -> bool:
        # Files of other formats are read by plugins, from where they are.
        return path.name.endswith(SUFFIXES) and self._collection.is_vector_path(
            Path(os.path.normpath(self._settings.base / path))
        )


def _line(loss: Loss) -> str:
    what = f"  {printable(loss.what)}" if loss.what else ""
    return f"{loss.kind:<10}  {printable(loss.node_id)}{what}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
