"""
`--lumyn-update`: rewrites the expectations of vectors that drifted, once, when the run is over.
Must not know how a text is edited, nor what makes one outcome looser than another.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence

import pytest

from lumyn.report.text import printable
from lumyn.vectors.drift import DriftKind
from lumyn.vectors.rewrite import Rewritten, rewrite
from lumyn.vectors.runner import Outcome, VectorResult
from lumyn.vectors.update import preview
from pytest_lumyn.correcting import LateFailures
from pytest_lumyn.item import VectorItem
from pytest_lumyn.proposing import Proposals, Proposed, transition_text
from pytest_lumyn.report import ATTRIBUTE, Reporter, where
from pytest_lumyn.settings import Settings, Update
from pytest_lumyn.xdist import is_worker

__all__ = ["UPDATED", "Updater", "ended_by_interrupt", "move", "print_files", "was_interrupted"]

UPDATED = "updated"
FAILED = "failed"
INTERRUPTED = "lumyn: the update was interrupted: a file has all of its changes or none; run it again for the rest"
UNLABELLED = "drift"
EXAMPLES = 3
MOST_NAMES = 10
_UNTOLD = "its worker ended before it could say what to change"


class Updater:
    """
    Rewrites expectations in the process that leads the run.

    A drift that can be rewritten is no failure of the run: it is reported as `updated`. Should its file turn out not
    to be rewritten after all, it becomes one again.
    """

    def __init__(self, config: pytest.Config, settings: Settings, scope: Update, reporter: Reporter) -> None:
        self._config = config
        self._settings = settings
        self._scope = scope
        self._reporter = reporter
        self.proposals = Proposals(config, settings.base, accept_looser=settings.accept_looser)
        self._expected: dict[str, pytest.TestReport] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self._counts: Counter[str] = Counter()
        self._written: Rewritten | None = None
        self._reason = _UNTOLD
        self.late = LateFailures(config)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when != "call" or not isinstance(item, VectorItem):
            return report
        self.proposals.drop(item)
        result = item.result
        if not report.failed or result is None or result.outcome is not Outcome.FAILED:
            return report
        data = vars(report)[ATTRIBUTE]
        data["update"] = self._judged(result)
        if not data["update"]["refused"]:
            self.proposals.add(item)
            data["outcome"] = UPDATED
            report.outcome = "passed"
        return report

    def _judged(self, result: VectorResult) -> dict[str, str]:
        """Return what an update would do to a verdict, and why it is refused; empty where it is not."""
        step = result.failed_step
        missing = step is not None and any(drift.kind is DriftKind.MISSING for drift in step.drifts)
        if self._scope is not Update.ALL and missing is not (self._scope is Update.NEW):
            return {"transition": "", "refused": f"--lumyn-update={self._scope} leaves it alone"}
        revision = preview(result)
        if isinstance(revision, str):
            return {"transition": "", "refused": revision}
        transition = transition_text(revision.before, revision.after)
        if revision.looser and not self._settings.accept_looser:
            return {"transition": transition, "refused": f"looser: {revision.looser}"}
        return {"transition": transition, "refused": ""}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, ATTRIBUTE, None)
        if data is None or is_worker(self._config):
            return
        self._expected.pop(report.nodeid, None)
        self._refused.pop(report.nodeid, None)
        if "update" in data and data["update"]["refused"]:
            self._refused[report.nodeid] = data["update"]
        elif "update" in data:
            self._expected[report.nodeid] = report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        data = getattr(report, ATTRIBUTE, None)
        if data is None or data["outcome"] != UPDATED or report.when != "call":
            return None
        return UPDATED, "U", "UPDATED"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        with ended_by_interrupt():
            proposed = self.proposals.finish()
            if proposed is None:
                return
            wanted = [each for each in proposed if each.nodeid in self._expected]
            if was_interrupted(session):
                self._reason, wanted = "the run was interrupted", []
            self._written = rewrite([each.accept for each in wanted], root=self._settings.base)
        self._settle(session, wanted, self._written)

    def _settle(self, session: pytest.Session, wanted: Sequence[Proposed], written: Rewritten) -> None:
        """Count what was rewritten, and turn into failures what was not."""
        done = {(each.file, each.vector_id) for each in written.done}
        why = {(each.file, each.vector_id): reason for each, reason in written.refused}
        proposals = {each.nodeid: each.accept for each in wanted}
        for report in sorted(self._expected.values(), key=where):
            node_id = report.nodeid
            proposal = proposals.get(node_id)
            key = None if proposal is None else (proposal.file, proposal.vector_id)
            if proposal is not None and key in done:
                self._counts.update({transition_text(*each) for each in proposal.transitions})
                continue
            reason = self._reason if key is None else why.get(key, self._reason)
            data = vars(report)[ATTRIBUTE]
            data["update"] = self._refused[node_id] = {**data["update"], "refused": reason}
            data["outcome"] = report.outcome = "failed"
            self._reporter.drifted.append(report)
            move(self._config, report, UPDATED, FAILED)
            self.late.tell(session, report)
            if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        written = self._written
        if written is None or not (self._counts or self._refused):
            return
        done = "1 vector" if len(written.done) == 1 else f"{len(written.done)} vectors"
        terminalreporter.write_sep("=", f"lumyn update: {done}, {len(self._refused)} refused")
        # A refusal may come before anybody knows what would become of the verdict.
        lines = [(transition, count, "") for transition, count in self._counts.items()]
        reasons: dict[tuple[str, str], list[str]] = {}
        for node_id in sorted(self._refused):
            data = self._refused[node_id]
            reasons.setdefault((data["transition"] or UNLABELLED, data["refused"]), []).append(node_id)
        lines += [(transition, len(members), why) for (transition, why), members in reasons.items()]
        width = max(len(transition) for transition, _, _ in lines)
        for transition, count, why in sorted(lines):
            note = f"  (refused, {printable(why)})" if why else ""
            terminalreporter.write_line(f"{transition.ljust(width)} {count:5}{note}", bold=bool(why))
            for node_id in reasons[transition, why][:EXAMPLES] if why else ():
                terminalreporter.write_line(f"{'':{width}}        {printable(node_id)}")
        print_files(terminalreporter, written)
        if any(why.startswith("looser: ") for _, why in reasons):
            terminalreporter.write_line("--lumyn-accept-looser accepts what is looser")


@contextlib.contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """End the run with a line, not with a traceback, where it is interrupted while changes are proved and written."""
    try:
        yield
    except KeyboardInterrupt:
        pytest.exit(INTERRUPTED, returncode=pytest.ExitCode.INTERRUPTED)


def move(config: pytest.Config, report: pytest.TestReport, source: str, target: str) -> None:
    """Count a report in another category of the terminal."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None:
        return
    stats: dict[str, list[object]] = terminal.stats
    if report in stats.get(source, []):
        stats[source] = [each for each in stats[source] if each is not report]
        if not stats[source]:
            del stats[source]
        stats.setdefault(target, []).append(report)


def was_interrupted(session: pytest.Session) -> bool:
    """Return whether a run ended before its end: nothing is written then."""
    return session.exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)


def print_files(terminalreporter: pytest.TerminalReporter, written: Rewritten) -> None:
    """Say which files changed."""
    count = len(written.files)
    if count:
        names = ", ".join(printable(name) for name in written.files[:MOST_NAMES])
        more = f" and {count - MOST_NAMES} more" if count > MOST_NAMES else ""
        terminalreporter.write_line(f"{count} file{'s' if count > 1 else ''} changed: {names}{more}")
