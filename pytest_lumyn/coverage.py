"""
Says how strong the vectors of a run are: coverage and mutation of every policy they name, and the gates on both.
Collects decisions where vectors run and judges once, where the run ends; must not know how either is computed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from lumyn.analysis.baseline import read_baseline
from lumyn.analysis.coverage import CoverageReport, Criterion, cover
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutants import Scope
from lumyn.analysis.mutation import MutationReport, assess
from lumyn.analysis.observations import Observation, Pins, observe_step
from lumyn.analysis.pairs import Severity
from lumyn.analysis.witness import AnalysisDefectError, parsed
from lumyn.errors import InvalidConfigError
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.report.beside import strength
from lumyn.report.folding import folded
from lumyn.report.strength import SHOWN, coverage_lines, mutation_lines
from lumyn.report.text import printable
from lumyn.vectors.runner import Outcome, VectorResult
from pytest_lumyn.item import VectorItem
from pytest_lumyn.options import absolute
from pytest_lumyn.report import Reporter, named_policy
from pytest_lumyn.reports import Reports
from pytest_lumyn.settings import Settings
from pytest_lumyn.tally import Tally
from pytest_lumyn.xdist import is_worker, terminal_width

__all__ = ["Gates", "Strength", "read_gates"]

ATTRIBUTE = "lumyn_observed"
"""Name of the attribute of a test report that carries a vector's decisions from a worker to the controller."""

NAMED = "lumyn_named"
"""The same, for the policy that a vector names."""

PERCENT = 100


@dataclass(frozen=True, kw_only=True)
class Gates:
    """
    What was asked for.

    Attributes:
        coverage: Whether coverage is computed and shown.
        scope: Which mutants are made.
        least: Criterion -> least share of its goals, in percent.
        least_killed: Least share of killed mutants, in percent, or None.
        most_new_trust: Most survivors that open a path to `TRUST`, or None.
        accepted: Policy id -> mutant id -> why it may survive.
    """

    coverage: bool = False
    scope: Scope = Scope.CORE
    least: Mapping[Criterion, int] = field(default_factory=dict)
    least_killed: int | None = None
    most_new_trust: int | None = None
    accepted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def gated(self) -> bool:
        """Whether anything can fail the run."""
        return bool(self.least) or self.least_killed is not None or self.most_new_trust is not None


def read_gates(config: pytest.Config) -> Gates:
    """Return what the options ask for; raises UsageError for values that cannot be used."""
    asked = config.getoption("lumyn_coverage_fail_under")
    least = config.getini("lumyn_coverage_fail_under") if asked is None else asked
    killed, new_trust = config.getoption("lumyn_mutate_fail_under"), config.getoption("lumyn_mutate_max_new_trust")
    coverage = bool(config.getoption("lumyn_coverage") or config.getini("lumyn_coverage") or asked or least)
    scope = config.getoption("lumyn_mutate") or Scope.CORE.value
    return Gates(
        coverage=coverage,
        scope=Scope(scope),
        least=_read_least(least, given=asked is not None),
        least_killed=killed,
        most_new_trust=new_trust,
        accepted=_read_accepted(config),
    )


def _read_least(text: str, *, given: bool) -> Mapping[Criterion, int]:
    least: dict[Criterion, int] = {}
    parts = [part.strip() for part in text.split(",")] if given or text.strip() else []
    for part in parts:
        name, colon, number = (piece.strip() for piece in part.partition(":"))
        if name not in set(Criterion) or not colon or not number.isdecimal() or int(number) > PERCENT:
            raise pytest.UsageError(
                f"lumyn: coverage-fail-under: {part!r} is not a criterion with a percentage, as in fired:100; "
                f"criteria are {', '.join(Criterion)}"
            )
        if Criterion(name) in least:
            raise pytest.UsageError(f"lumyn: coverage-fail-under: {name} is given twice; leave one of them out")
        least[Criterion(name)] = int(number)
    return least


def _read_accepted(config: pytest.Config) -> Mapping[str, Mapping[str, str]]:
    name = config.getini("lumyn_mutants")
    if not name:
        return {}
    try:
        return read_baseline(absolute(name, config.rootpath), name=name)
    except InvalidConfigError as error:
        raise pytest.UsageError(f"lumyn: ini lumyn_mutants: {error}") from None


class Strength:
    """
    The part of the plugin that measures; registered where coverage or mutation was asked for.

    Attributes:
        failures: What failed the run, once it was judged.
    """

    def __init__(
        self, config: pytest.Config, gates: Gates, settings: Settings, tally: Tally, reporter: Reporter
    ) -> None:
        self._config = config
        self._gates = gates
        self._settings = settings
        self._tally = tally
        self._reporter = reporter
        self._observed: dict[str, list[tuple[str, Observation]]] = {}
        self._policies: dict[str, Policy] = {}
        self._shipped: set[tuple[str, str]] = set()
        self._reports: list[tuple[CoverageReport | None, MutationReport]] = []
        self._lines: list[list[str]] = []
        self._named: dict[str, str] = {}
        self.failures: list[str] = []
        self._note = ""
        self._defect = ""

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
                self._observed[item.nodeid] = found
        return report

    def _name(self, policy: Policy, report: pytest.TestReport) -> None:
        """Note the policy a vector names, whether or not the vector comes to decide anything."""
        if policy.policy_hash not in self._named:
            self._named[policy.policy_hash] = f"{policy.policy_id} {policy.policy_version}"
            if is_worker(self._config):
                vars(report)[NAMED] = [policy.policy_hash, self._named[policy.policy_hash]]

    def _of(self, result: VectorResult) -> Iterator[tuple[str, Observation]]:
        """Yield the decisions a passing vector made under the policy it names, not under one a scenario puts in."""
        if result.outcome is not Outcome.PASSED or not result.steps:
            return
        policy = result.steps[0].policy
        for step in result.steps:
            found = observe_step(result.vector.node_id, step, policy)
            if found is not None:
                self._keep(policy)
                yield policy.policy_hash, found

    def _keep(self, policy: Policy) -> None:
        """Keep a policy to measure: where several files hold it the first by name, not the one that came first."""
        known = self._policies.get(policy.policy_hash)
        if known is None or _file(policy) < _file(known):
            self._policies[policy.policy_hash] = policy

    def _pack(self, found: list[tuple[str, Observation]], result: VectorResult) -> dict[str, Any]:
        sources = []
        policy = result.steps[0].policy if found else None
        if policy is not None and (policy.policy_hash, _file(policy)) not in self._shipped:
            self._shipped.add((policy.policy_hash, _file(policy)))
            sources.append([policy.source, _file(policy)])
        return {
            "policies": sources,
            "decisions": [
                {
                    "policy": policy_hash,
                    "name": each.name,
                    "step": each.step,
                    "request": each.document,
                    "similarity": str(each.similarity),
                    "pins": None if each.pins is None else [each.pins.fields, each.pins.subset, each.pins.everything],
                }
                for policy_hash, each in found
            ],
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
        for source, file in data["policies"]:
            self._keep(parse_policy(source, file=file))
        self._observed[report.nodeid] = [
            (each["policy"], self._unpack(each, self._policies[each["policy"]])) for each in data["decisions"]
        ]

    @staticmethod
    def _unpack(data: Mapping[str, Any], policy: Policy) -> Observation:
        return Observation(
            name=data["name"],
            step=data["step"],
            document=data["request"],
            request=parsed(policy, data["request"]),
            similarity=Decimal(data["similarity"]),
            pins=None if data["pins"] is None else Pins(*data["pins"]),
        )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        config = self._config
        if is_worker(config) or config.getoption("collectonly"):
            return
        by_policy: dict[str, list[Observation]] = {}
        for node_id in sorted(self._observed):
            for policy_hash, observation in self._observed[node_id]:
                by_policy.setdefault(policy_hash, []).append(observation)
        try:
            for policy_hash in sorted(by_policy, key=lambda each: (self._policies[each].policy_id, each)):
                self._measure(self._policies[policy_hash], by_policy[policy_hash])
            self._hand_over()
        except AnalysisDefectError as error:
            self._defect = str(error)
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            return
        if self._gates.gated:
            self._judge_all(by_policy)
        self._note = self._why_not_judged()
        if self._note:
            self.failures.clear()
        elif self._gates.gated:
            if not self._reports and not self.failures:
                self.failures.append("no vector decided anything, so nothing was measured")
            if self.failures and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _judge_all(self, by_policy: Mapping[str, list[Observation]]) -> None:
        """Note what was to be measured and could not be: it must not read as measured and fine."""
        for policy_hash, name in sorted(self._named.items(), key=lambda each: each[1]):
            if policy_hash not in by_policy:
                self.failures.append(f"{name}: no vector decided anything, so nothing was measured")
        measured = {self._policies[policy_hash].policy_id for policy_hash in by_policy}
        for policy_id in () if self._settings.policy else self._gates.accepted:
            if policy_id not in measured:
                self.failures.append(f"the baseline accepts edits of {policy_id}, under which no vector decided")

    def _measure(self, policy: Policy, observations: list[Observation]) -> None:
        gates = self._gates
        matrix = Matrix(policy, observations)
        covered = cover(policy, matrix) if gates.coverage else None
        accepted = gates.accepted.get(policy.policy_id, {})
        mutated = assess(policy, matrix, scope=gates.scope, accepted=accepted)
        self._reports.append((covered, mutated))
        self._lines.append([*mutation_lines(mutated)])
        name = f"{policy.policy_id} {policy.policy_version}"
        for criterion, least in gates.least.items():
            done, goals = (0, 1) if covered is None else (covered.covered(criterion), len(covered.of(criterion)))
            if done * PERCENT < least * goals:
                words = SHOWN.get(criterion, criterion.value)
                self.failures.append(f"{name}: {words} {done} of {goals} goals, wanted {least} %")
        killed, killable = len(mutated.killed) + len(mutated.suppressed), mutated.killable
        if gates.least_killed is not None and killed * PERCENT < gates.least_killed * killable:
            self.failures.append(f"{name}: {killed} of {killable} mutants killed, wanted {gates.least_killed} %")
        new_trust = mutated.count(Severity.NEW_TRUST)
        if gates.most_new_trust is not None and new_trust > gates.most_new_trust:
            most = gates.most_new_trust
            self.failures.append(f"{name}: {new_trust} edits open a new path to TRUST unnoticed, at most {most} may")
        if mutated.stale and gates.gated:
            self.failures.append(f"{name}: the baseline accepts {mutated.stale[0]}, which survives no more")

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

    def _hand_over(self) -> None:
        reports = self._config.pluginmanager.get_plugin("lumyn-reports")
        if not isinstance(reports, Reports):
            return
        for covered, mutated in self._reports:
            name = mutated.policy.policy_hash
            reports.strengths[name] = strength(covered, mutated)
            if covered is not None:
                reports.extra.setdefault("coverage", {})[name] = covered.to_dict()
            reports.extra.setdefault("mutation", {})[name] = mutated.to_dict()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._defect:
            said = f"ERROR lumyn: a defect of Lumyn, nothing was measured: {printable(self._defect)}"
            terminalreporter.write_line(said, red=True)
            return
        for (covered, mutated), lines in zip(self._reports, self._lines, strict=True):
            policy = mutated.policy
            name = printable(f"{policy.policy_id} {policy.policy_version} ({policy.policy_hash[:19]})")
            if covered is not None:
                terminalreporter.section(f"lumyn policy coverage: {name}", sep="-")
                for line in coverage_lines(covered):
                    for part in folded(printable(line), terminal_width(self._config)):
                        terminalreporter.write_line(part)
            terminalreporter.section(f"lumyn mutation: {name}", sep="-")
            for place, line in enumerate(lines):
                worst = bool(place == 1 and mutated.survivors and mutated.survivors[0].severity is Severity.NEW_TRUST)
                for part in folded(printable(line), terminal_width(self._config)):
                    terminalreporter.write_line(part, red=worst, bold=worst)
        if not self._gates.gated:
            return
        if self._note:
            terminalreporter.write_line(f"lumyn: gates not judged: {self._note}", bold=True)
        for line in self.failures:
            terminalreporter.write_line(f"FAILED lumyn gate: {printable(line)}", red=True)


def _file(policy: Policy) -> str:
    return named_policy(policy)["file"]
