"""
Keeps a run readable when one edit makes hundreds of vectors drift: the first few in full, all of them by cause.
Must not know what a drift is beyond the data on its report; every count and exit code stays pytest's own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import zip_longest
from typing import Any

import pytest

from lumyn.report.text import printable
from pytest_lumyn.report import ATTRIBUTE, IN_FULL, Reporter, cause_of, where

__all__ = ["Curtain", "Groups"]

EXAMPLES = 3
MOST_GROUPS = 20
FAILED = "failed"


class Curtain:
    """
    Takes the reports beyond the limit out of what the terminal prints, and back in for everybody else.

    The terminal prints failures before, and its short summary after, the summaries of other plugins, which see all
    reports: hence two hooks, around the terminal's own (this class) and around those plugins (`Window`).
    """

    def __init__(self, reporter: Reporter, limit: int) -> None:
        self._reporter = reporter
        self._limit = limit
        self._all: list[Any] | None = None
        self.window = Window(self)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        self.close(terminalreporter)
        try:
            return (yield)
        finally:
            self.open(terminalreporter)

    def close(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Hide what is beyond the limit, and put what is left behind the other tests in the order of its files."""
        if FAILED not in terminalreporter.stats:
            return
        drifted = self._reporter.drifted
        self._all = terminalreporter.stats[FAILED]
        failed, vectors = ({id(report) for report in reports} for reports in (self._all, drifted))
        shown = in_full(drifted, self._limit) if len(drifted) > self._limit else sorted(drifted, key=where)
        others = [report for report in self._all if id(report) not in vectors]
        terminalreporter.stats[FAILED] = [*others, *(report for report in shown if id(report) in failed)]

    def open(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show everything again."""
        if self._all is not None:
            terminalreporter.stats[FAILED] = self._all
            self._all = None


class Window:
    """The inner half of `Curtain`."""

    def __init__(self, curtain: Curtain) -> None:
        self._curtain = curtain

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        self._curtain.open(terminalreporter)
        try:
            return (yield)
        finally:
            self._curtain.close(terminalreporter)


class Groups:
    """Prints drifts by cause when there are more than the limit, the most frequent cause first."""

    def __init__(self, reporter: Reporter, limit: int) -> None:
        self._reporter = reporter
        self._limit = limit

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        drifted = self._reporter.drifted
        if len(drifted) <= self._limit:
            return
        groups = by_cause([getattr(report, ATTRIBUTE) for report in drifted])
        vectors, causes = "vector" if len(drifted) == 1 else "vectors", "cause" if len(groups) == 1 else "causes"
        title = f"lumyn: {len(drifted)} {vectors} failed, {len(groups)} {causes}"
        terminalreporter.section(title, red=True, bold=True)
        for (change, decided_by), members in groups[:MOST_GROUPS]:
            terminalreporter.write(f"{len(members):6}  ", bold=True)
            terminalreporter.write_line(printable(change), red=True)
            if decided_by:
                terminalreporter.write_line(f"        decided by {printable(decided_by)}")
            for node_id in members[:EXAMPLES]:
                terminalreporter.write_line(f"        {printable(node_id)}")
            if len(members) > EXAMPLES:
                terminalreporter.write_line(f"        and {len(members) - EXAMPLES} more")
        if len(groups) > MOST_GROUPS:
            terminalreporter.write_line(f"        and {len(groups) - MOST_GROUPS} causes more")
        shown = len(in_full(drifted, self._limit))
        more = f"--lumyn-max-diffs={len(drifted)} shows all"
        terminalreporter.write_line(f"{shown or 'none'} shown in full, at most {IN_FULL} of a cause; {more}")


def in_full(drifted: Sequence[Any], limit: int) -> list[Any]:
    """
    Return the reports to print in full where there are more than `limit`, at most `IN_FULL` of each cause.

    The first of every cause is taken before the second of any, that of the largest cause first. What is chosen, and its
    order, follow from what drifted, not from the order in which workers told of it. What failed before it ran is
    nowhere hidden, among the errors that pytest shows.
    """
    causes: dict[tuple[str, str], list[Any]] = {}
    for report in sorted((each for each in drifted if each.when == "call"), key=where):
        causes.setdefault(cause_of(getattr(report, ATTRIBUTE)), []).append(report)
    groups = [causes[cause] for cause in sorted(causes, key=lambda cause: (-len(causes[cause]), cause))]
    turns = zip_longest(*(members[:IN_FULL] for members in groups))
    chosen = [report for turn in turns for report in turn if report is not None]
    return sorted(chosen[:limit], key=where)


def by_cause(results: Sequence[dict[str, Any]]) -> list[tuple[tuple[str, str], list[str]]]:
    """Return (what changed, the rule that now decides) -> node ids, sorted; the largest group first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for result in results:
        groups.setdefault(cause_of(result), []).append(result["nodeid"])
    for members in groups.values():
        members.sort()
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
