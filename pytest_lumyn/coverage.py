"""
Says how strong the vectors of a run are: coverage and mutation of every policy they name, and what of it was asked for.
Collects decisions where vectors run and judges once, where the run ends; must not know how either is computed.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

import pytest

from lumyn.analysis.scale import Scope
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.report.folding import folded
from lumyn.report.text import printable
from lumyn.vectors.decided import Decided, decided
from lumyn.vectors.runner import Outcome, VectorResult
from pytest_lumyn.cache import Cache
from pytest_lumyn.item import VectorItem
from pytest_lumyn.measures import DefectError, Measured, Measures, Subject, Told
from pytest_lumyn.report import Reporter
from pytest_lumyn.reports import Reports
from pytest_lumyn.settings import Settings
from pytest_lumyn.tally import Tally
from pytest_lumyn.thresholds import Thresholds
from pytest_lumyn.xdist import is_worker, terminal_width

__all__ = ["Strength"]

ATTRIBUTE = "lumyn_decided"
"""Name of the attribute of a test report that carries a vector's decisions from a worker to the controller."""

NAMED = "lumyn_named"
"""The same, for the policy that a vector names."""


class Strength:
    """
    The part of the plugin that measures; registered where coverage or mutation was asked for.

    Attributes:
        failures: What failed the run, once it was judged.
    """

    def __init__(
        self,
        config: pytest.Config,
        thresholds: Thresholds,
        settings: Settings,
        tally: Tally,
        reporter: Reporter,
        cache: Cache | None,
    ) -> None:
        self._config = config
        self._thresholds = thresholds
        self._settings = settings
        self._tally = tally
        self._reporter = reporter
        self._cache = cache
        self._decided: dict[str, list[tuple[str, Decided]]] = {}
        self._policies: dict[str, Policy] = {}
        self._subjects: dict[str, Subject] = {}
        self._shipped: set[Subject] = set()
        self._found: dict[str, tuple[Measured, Told | None]] = {}
        self._named: dict[str, str] = {}
        self.failures: list[str] = []
        self._note = ""
        self._unmeasured = ""

    # Where vectors run

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "setup" and isinstance(item, VectorItem) and item.policy is not None:
            self._name(item.policy, report)
        if call.when == "call" and isinstance(item, VectorItem) and item.result is not None:
            found = list(self._of(item.result))
            if is_worker(self._config):
                vars(report)[ATTRIBUTE] = self._pack(found, item.result)
            else:
                self._decided[item.nodeid] = found
        return report

    def _name(self, policy: Policy, report: pytest.TestReport) -> None:
        """Note the policy a vector names, whether or not the vector comes to decide anything."""
        if policy.policy_hash not in self._named:
            self._named[policy.policy_hash] = f"{policy.policy_id} {policy.policy_version}"
            if is_worker(self._config):
                vars(report)[NAMED] = [policy.policy_hash, self._named[policy.policy_hash]]

    def _of(self, result: VectorResult) -> Iterator[tuple[str, Decided]]:
        """Yield the decisions a passing vector made under the policy it names, not under one a scenario puts in."""
        if result.outcome is not Outcome.PASSED or not result.steps:
            return
        policy = result.steps[0].policy
        for step in result.steps:
            found = decided(result.vector.node_id, step, policy)
            if found is not None:
                self._keep(Subject.of(policy), policy)
                yield policy.policy_hash, found

    def _keep(self, subject: Subject, policy: Policy | None) -> None:
        """Keep a policy to measure: where several files hold it the first by name, not the one that came first."""
        known = self._subjects.get(subject.policy_hash)
        if known is None or subject.file < known.file:
            self._subjects[subject.policy_hash] = subject
            if policy is not None:
                self._policies[subject.policy_hash] = policy

    def _pack(self, found: list[tuple[str, Decided]], result: VectorResult) -> dict[str, Any]:
        new = {Subject.of(result.steps[0].policy)} - self._shipped if found else set[Subject]()
        self._shipped |= new
        return {
            "policies": [[*subject] for subject in new],
            "decisions": [[policy_hash, [*each]] for policy_hash, each in found],
        }

    # Where the run ends

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if is_worker(self._config):
            return
        named, data = vars(report).pop(NAMED, None), vars(report).pop(ATTRIBUTE, None)
        if named is not None:
            self._named.setdefault(*named)
        if data is None:
            return
        for each in data["policies"]:
            self._keep(Subject(*each), None)
        self._decided[report.nodeid] = [(policy_hash, Decided(*each)) for policy_hash, each in data["decisions"]]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        config = self._config
        if is_worker(config) or config.getoption("collectonly"):
            return
        try:
            self._measure_all()
        except DefectError as error:
            self._unmeasured = f"a defect of Lumyn, nothing was measured: {error}"
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            return
        except KeyboardInterrupt:  # pytest has no eye on it any more, and would end in a traceback
            self._unmeasured = "interrupted, nothing was measured"
            self.failures.clear()
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            return
        gated = self._thresholds.gated
        if gated:
            self._note_unmeasured()
        self._note = self._why_not_judged()
        if self._note:
            self.failures.clear()
        elif gated:
            if not self._found and not self.failures:
                self.failures.append("no vector decided anything, so nothing was measured")
            if self.failures and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _measure_all(self) -> None:
        by_policy: dict[str, list[Decided]] = {}
        for node_id in sorted(self._decided):
            for policy_hash, each in self._decided[node_id]:
                by_policy.setdefault(policy_hash, []).append(each)
        reports = self._config.pluginmanager.get_plugin("lumyn-reports")
        asked = self._thresholds
        measures = Measures(
            self._cache, coverage=asked.coverage, scope=asked.scope.value, reporting=isinstance(reports, Reports)
        )
        for policy_hash in sorted(by_policy, key=lambda name: (self._subjects[name].policy_id, name)):
            subject = self._subjects[policy_hash]
            accepted = asked.accepted.get(subject.policy_id, {})
            found = measures.of(subject, partial(self._policy, policy_hash), by_policy[policy_hash], accepted)
            if found is not None:
                self._found[policy_hash] = found
                self.failures += [f"{subject.name}: {missed}" for missed in asked.missed(found[0])]
        if isinstance(reports, Reports):
            self._hand_over(reports)

    def _closing(self, subject: Subject) -> str:
        """Return the command that suggests vectors for what is open, about the policy and the vectors of this run."""
        base, here = self._settings.base, self._config.invocation_params.dir
        words = ["lumyn", "vectors", "suggest", "--max", "10"]
        words += ["--full"] if self._thresholds.scope is Scope.FULL else []
        words += ["--policy", subject.file]  # without it the configured one is looked at, whichever that is
        for root in self._settings.roots:
            words += ["--vectors", root.path.relative_to(base).as_posix()] if root.configured else []
        there = [] if here == base else ["cd", os.path.relpath(base, here), "&&"]
        return " ".join(word if word == "&&" else shlex.quote(word) for word in (*there, *words))

    def _policy(self, policy_hash: str) -> Policy:
        """Return a policy; one that only workers have seen is read again."""
        if policy_hash not in self._policies:
            subject = self._subjects[policy_hash]
            self._policies[policy_hash] = parse_policy(subject.source, file=subject.file)
        return self._policies[policy_hash]

    def _note_unmeasured(self) -> None:
        """Note what was to be measured and could not be: it must not read as measured and fine."""
        for policy_hash, name in sorted(self._named.items(), key=lambda each: each[1]):
            if policy_hash not in self._found:
                self.failures.append(f"{name}: no vector decided anything, so nothing was measured")
        measured = {self._subjects[policy_hash].policy_id for policy_hash in self._found}
        for policy_id in () if self._settings.policy else self._thresholds.accepted:
            if policy_id not in measured:
                self.failures.append(f"the baseline accepts edits of {policy_id}, under which no vector decided")

    def _why_not_judged(self) -> str:
        """Return why gates are not judged, or nothing: thresholds on part of the vectors would say nothing."""
        if self._reporter.drifted:
            return "vectors failed"
        found, seen = sum(self._tally.vectors.values()), len(self._reporter.results)
        arguments = self._settings.arguments
        outside = [
            root
            for root in self._settings.roots
            if arguments and root.path.exists() and not any(root.path.is_relative_to(path) for path in arguments)
        ]
        if not self._tally.complete or found != seen or outside:
            return "not every vector ran"
        return ""

    def _hand_over(self, reports: Reports) -> None:
        from lumyn.report import strength_json

        for policy_hash, (_, told) in self._found.items():
            if told is not None:
                reports.strengths[policy_hash] = strength_json.unpack(told.strength, self._policy(policy_hash))
                if told.coverage is not None:
                    reports.extra.setdefault("coverage", {})[policy_hash] = told.coverage
                reports.extra.setdefault("mutation", {})[policy_hash] = told.mutation

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._unmeasured:
            terminalreporter.write_line(f"ERROR lumyn: {printable(self._unmeasured)}", red=True)
            return
        for policy_hash, (found, _) in self._found.items():
            name = printable(f"{self._subjects[policy_hash].name} ({policy_hash[:19]})")
            if found.coverage is not None:
                terminalreporter.write_sep("-", f"lumyn policy coverage: {name}")
                for line in found.coverage:
                    for part in folded(printable(line), terminal_width(self._config)):
                        terminalreporter.write_line(part)
            terminalreporter.write_sep("-", f"lumyn mutation: {name}")
            for place, line in enumerate(found.mutation):
                worst = found.grave and place == 1
                for part in folded(printable(line), terminal_width(self._config)):
                    terminalreporter.write_line(part, red=worst, bold=worst)
            if found.open and not self._reporter.drifted:
                terminalreporter.write_line(f"close them  {printable(self._closing(self._subjects[policy_hash]))}")
        if not self._thresholds.gated:
            return
        if self._note:
            terminalreporter.write_line(f"lumyn: gates not judged: {self._note}", bold=True)
        for line in self.failures:
            terminalreporter.write_line(f"FAILED lumyn gate: {printable(line)}", red=True)
