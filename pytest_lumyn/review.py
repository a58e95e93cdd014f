"""
`--lumyn-review`: walks through the vectors that failed and asks about each; what was accepted is written at the end.
Must not know how a text is edited, nor how a failure is drawn.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

import pytest

from lumyn.report.text import printable
from lumyn.vectors.changes import Proposal
from lumyn.vectors.rewrite import Rewritten, rewrite
from lumyn.vectors.runner import Outcome
from pytest_lumyn.item import VectorItem
from pytest_lumyn.proposing import Proposals, Proposed, transition_text
from pytest_lumyn.report import ATTRIBUTE, Reporter, where
from pytest_lumyn.settings import Settings
from pytest_lumyn.update import UPDATED, ended_by_interrupt, move, print_files, was_interrupted
from pytest_lumyn.xdist import is_worker

__all__ = ["Ask", "Reviewer", "require_terminal"]

Ask: TypeAlias = "Callable[[str], str]"
"""Puts a question and returns the answer; raises EOFError when there is nobody left to answer."""

_IN_FULL = "accept"
"""What has to be typed out where a change permits more than before."""


class Answer(Enum):
    """What may be done about a vector."""

    ACCEPT = "a"
    SKIP = "s"
    XFAIL = "x"
    QUIT = "q"


@dataclass(frozen=True)
class _Choice:
    report: pytest.TestReport
    proposal: Proposal
    answer: Answer


class Reviewer:
    """
    Asks in the process that leads the run, once everything has run.

    Args:
        ask: Asks in the terminal when None.
    """

    def __init__(self, config: pytest.Config, settings: Settings, reporter: Reporter, ask: Ask | None = None) -> None:
        self._config = config
        self._settings = settings
        self._reporter = reporter
        self._ask = ask or input
        self.proposals = Proposals(config, settings.base, accept_looser=True)
        self._written: Rewritten | None = None
        self._lines: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" and isinstance(item, VectorItem):
            self.proposals.drop(item)
            if report.failed and item.result is not None and item.result.outcome is Outcome.FAILED:
                self.proposals.add(item)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        with ended_by_interrupt():
            proposed = self.proposals.finish()
        if not proposed or was_interrupted(session):
            return
        chosen = self._walk({each.nodeid: each for each in proposed})
        with ended_by_interrupt():
            self._written = rewrite([choice.proposal for choice in chosen], root=self._settings.base)
        self._settle(session, chosen, self._written)

    def _walk(self, proposed: dict[str, Proposed]) -> list[_Choice]:
        """Return what was chosen, in the order of the files; nothing when the walk is interrupted."""
        reports = sorted((each for each in self._reporter.drifted if each.nodeid in proposed), key=where)
        chosen: list[_Choice] = []
        with _uncaptured(self._config):
            try:
                for number, report in enumerate(reports, 1):
                    choice = self._choose(report, proposed[report.nodeid], f"{number} of {len(reports)}")
                    if choice.answer is Answer.QUIT:
                        break
                    if choice.answer is not Answer.SKIP:
                        chosen.append(choice)
            except (EOFError, KeyboardInterrupt):
                self._lines.append("interrupted: nothing was changed")
                return []
        return chosen

    def _choose(self, report: pytest.TestReport, proposed: Proposed, place: str) -> _Choice:
        self._show(report, place)
        accept, xfail = proposed.accept, proposed.xfail
        if accept.refused:
            self._say(f"  cannot be accepted: {accept.refused}")
        else:
            self._say(f"  accepting: {', '.join(dict.fromkeys(transition_text(*each) for each in accept.transitions))}")
        if accept.looser:
            self._say(f"  looser: {accept.looser}; to accept that, type `{_IN_FULL}` in full")
        while True:
            answer = self._ask("  [a]ccept  [s]kip  e[x]pect the failure  [q]uit > ").strip().lower()
            if answer in {"s", ""}:
                return _Choice(report, accept, Answer.SKIP)
            if answer == "q":
                return _Choice(report, accept, Answer.QUIT)
            if answer == _IN_FULL or (answer == "a" and not accept.looser):
                if not accept.refused:
                    return _Choice(report, accept, Answer.ACCEPT)
                self._say(f"  cannot be accepted: {accept.refused}")
            elif answer == "a":
                self._say(f"  looser: type `{_IN_FULL}` in full")
            elif answer == "x":
                marked = self._expected_failure(xfail)
                if marked is not None:
                    return _Choice(report, marked, Answer.XFAIL)

    def _expected_failure(self, proposal: Proposal) -> Proposal | None:
        if proposal.refused:
            self._say(f"  {proposal.refused}")
            return None
        reason = self._ask("  why is the failure expected? > ").strip()
        if not reason or not reason.isprintable():
            self._say("  a reason is due")
            return None
        return replace(proposal, changes=tuple(replace(each, value={"reason": reason}) for each in proposal.changes))

    def _settle(self, session: pytest.Session, chosen: list[_Choice], written: Rewritten) -> None:
        done = {(each.file, each.vector_id) for each in written.done}
        why = {(each.file, each.vector_id): reason for each, reason in written.refused}
        for choice in chosen:
            report, key = choice.report, (choice.proposal.file, choice.proposal.vector_id)
            name = printable(report.nodeid)
            if key not in done:
                self._lines.append(f"left    {name}: {printable(why.get(key, ''))}")
                continue
            category = UPDATED if choice.answer is Answer.ACCEPT else "xfailed"
            self._lines.append(f"{category:7} {name}")
            vars(report)[ATTRIBUTE]["outcome"] = category
            move(self._config, report, "failed", category)
            self._reporter.drifted.remove(report)
            session.testsfailed -= 1
        if session.shouldfail or session.shouldstop:
            self._lines.append("stopped before its end, so the run has not passed: run it again")
        elif session.testsfailed == 0 and session.exitstatus == pytest.ExitCode.TESTS_FAILED:
            session.exitstatus = pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._lines:
            return
        terminalreporter.write_sep("=", "lumyn review")
        for line in self._lines:
            terminalreporter.write_line(line)
        if self._written is not None:
            print_files(terminalreporter, self._written)

    def _show(self, report: pytest.TestReport, place: str) -> None:
        writer = self._config.get_terminal_writer()
        writer.line()
        writer.sep("-", f"{place}: {printable(report.nodeid)}")
        report.toterminal(writer)

    def _say(self, text: str) -> None:
        self._config.get_terminal_writer().line(printable(text))


def require_terminal(config: pytest.Config) -> None:
    """Raise UsageError where nobody could answer; a worker asks nothing."""
    if is_worker(config):
        return
    with _uncaptured(config):
        answers = sys.stdin is not None and sys.stdin.isatty()
    if not answers:
        raise pytest.UsageError("lumyn: --lumyn-review asks questions: run it in a terminal")


@contextlib.contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    """Give the terminal back to whoever asks and answers."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        yield
        return
    capture.suspend_global_capture(in_=True)
    try:
        yield
    finally:
        capture.resume_global_capture()  # the input, too
        capture.suspend_global_capture()  # as pytest leaves the output between the phases of tests
