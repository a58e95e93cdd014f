"""
Puts what came of each vector on pytest's reports, carries it to the controller, and tells the report hook.
Must not know how vectors are found or compared, nor how many failures a terminal shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from copy import deepcopy
from typing import Any

import pytest

from lumyn.model import Verdict
from lumyn.policy.spec import Policy
from lumyn.vectors.drift import DriftKind
from lumyn.vectors.explain import explain
from lumyn.vectors.runner import Outcome, VectorResult
from lumyn.vectors.transition import allowed_verdicts, direction
from pytest_lumyn.calling import Hook, HookFailedError, call
from pytest_lumyn.failure import Failure, failure_from_data, summary
from pytest_lumyn.item import VectorItem, deciding_ids, shown_step
from pytest_lumyn.settings import Settings
from pytest_lumyn.xdist import is_worker, terminal_width

__all__ = ["ATTRIBUTE", "IN_FULL", "Reporter", "cause_of", "describe", "named_policy", "position", "said_of", "where"]

ATTRIBUTE = "lumyn"
"""Name of the attribute of a test report that holds what `describe` returns."""

IN_FULL = 2
"""How many vectors of one cause are shown in full where many fail: the rest would say the same, page after page."""

_COMPLAINT = "complaint"
"""Key under which stands what a hook raised that was told of a drift; taken out on arrival."""
_FAILURE = "lumyn_failure"
"""Key under which a worker sends what to show; taken out on arrival."""


class Reporter:
    """
    The part of the plugin that reports.

    Args:
        policy: The one every vector runs against, or None for the one each file names.
        explain: Put the lines that explain a failure on each result, for reports that show them.

    Attributes:
        results: Node id -> what came of it, in the order of arrival; of several runs of a vector the last.
        drifted: Reports of vectors that failed, in the order of arrival.
    """

    def __init__(
        self, config: pytest.Config, settings: Settings, policy: Policy | None, *, explain: bool = False
    ) -> None:
        self._config = config
        self._settings = settings
        self._policy = policy
        self._explain = explain
        self._sent = 0
        self._sent_of: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
        self.results: dict[str, dict[str, Any]] = {}
        self.drifted: list[pytest.TestReport] = []
        self._complaints: Counter[str] = Counter()

    @property
    def complaints(self) -> list[str]:
        """What hooks raised that were told of results, which says nothing of any vector."""
        return [f"{said}{f', {count} times' if count > 1 else ''}" for said, count in sorted(self._complaints.items())]

    def pytest_report_header(self) -> str:
        roots = ", ".join(dict.fromkeys(root.name for root in self._settings.roots))
        policy = self._policy
        if policy is None:
            return f"lumyn: vectors in {roots}; policy as each file names it"
        return f"lumyn: vectors in {roots}; policy {policy.policy_id} {policy.policy_version} {policy.policy_hash[:19]}"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not isinstance(item, VectorItem):
            return report
        if report.failed and call.when != "call" and call.excinfo is not None:
            # pytest asks items for their own words about the call alone; of the rest it shows every frame of its own.
            said = report.longrepr = item.repr_failure(call.excinfo)
            if call.when == "teardown" and is_worker(self._config) and isinstance(said, Failure):
                vars(report)[_FAILURE] = said.to_data(terminal_width(self._config))
        if call.when != "call" and (call.when != "setup" or report.passed):
            return report
        data = describe(item, report)
        if self._explain and report.failed:
            data["explanation"] = item.explain() or str(report.longrepr).splitlines()
        vars(report)[ATTRIBUTE] = data
        if report.failed and "drifts" in data:
            hook = item.ihook.pytest_lumyn_drift
            said = self._tell(hook, item=item, drift=deepcopy(data)) if hook.get_hookimpls() else ""
            if said:
                data[_COMPLAINT] = said
        shown: object = report.longrepr
        if is_worker(self._config) and isinstance(shown, Failure) and self._may_be_shown(data):
            data[_FAILURE] = shown.to_data(terminal_width(self._config))
        return report

    def _may_be_shown(self, data: dict[str, Any]) -> bool:
        """
        Whether the controller may want to show a worker's failure in full.

        It shows all of them if they are few, and else the first of each cause: of those a worker knows its own only.
        """
        if not self._settings.max_diffs:
            return False
        first = self._sent_of.setdefault(cause_of(data), [])
        first.append(position(data))
        first.sort()
        among_first = position(data) in first[:IN_FULL]
        del first[IN_FULL:]
        self._sent += 1
        return among_first or self._sent <= self._settings.max_diffs

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, ATTRIBUTE, None)
        if is_worker(self._config):
            return
        if data is None:
            _restore(report, vars(report).pop(_FAILURE, None))
            self._spoil(report)
            return
        said = data.pop(_COMPLAINT, None)
        if said is not None:
            self._complaints[said] += 1
        _restore(report, data.pop(_FAILURE, None))
        self.results[data["nodeid"]] = data
        if report.failed:
            self.drifted.append(report)

    def _spoil(self, report: pytest.TestReport) -> None:
        """Take back that a vector passed where its teardown failed, or its worker died, afterwards."""
        data = self.results.get(report.nodeid)
        if report.failed and data is not None and data["outcome"] != "failed":
            self.results[report.nodeid] = {**data, "outcome": "failed", "summary": f"after it ran: {said_of(report)}"}

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Print the verdict, or the error in its place, beside `PASSED` under `-v`; a failure says it anyway."""
        data = getattr(report, ATTRIBUTE, None)
        got = data and (data.get("verdict") or data.get("error"))
        if not got or hasattr(report, "wasxfail") or report.when != "call" or not report.passed:
            return None
        return "passed", ".", (f"PASSED {got}", {"green": True})

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        config = self._config
        if is_worker(config) or config.getoption("collectonly"):
            return
        results = [self.results[node_id] for node_id in sorted(self.results)]
        said = self._tell(config.hook.pytest_lumyn_report, config=config, results=results)
        if said:
            self._complaints[said] += 1
        if self._complaints and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _tell(self, hook: Hook, **arguments: object) -> str:
        """Call a hook that answers nothing; return what it raised, or nothing."""
        try:
            call(hook, **arguments)
        except HookFailedError as error:
            return error.located(self._config.rootpath)
        return ""

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.complaints:
            terminalreporter.write_line(f"ERROR: lumyn: {line}", red=True)


def position(result: dict[str, Any]) -> tuple[str, int, str]:
    """Return what sorts results as their files have them."""
    return result["file"], result["line"], result["nodeid"]


def where(report: pytest.TestReport) -> tuple[str, int, str]:
    """Return what sorts reports of vectors as their files have them, whichever worker told of one first."""
    return position(vars(report)[ATTRIBUTE])


def cause_of(result: dict[str, Any]) -> tuple[str, str]:
    """Return what changed and the rule that now decides, of what `describe` returned."""
    cause = result.get("cause") or {"change": result.get("summary", "error"), "rule": "", "place": ""}
    return cause["change"], f"{cause['rule']} {cause['place']}".strip()


def _restore(report: pytest.TestReport, sent: dict[str, Any] | None) -> None:
    """Make the failure of a report again what it was on the worker that sent it as text."""
    if sent is not None and isinstance(report.longrepr, str):
        vars(report)["longrepr"] = failure_from_data(sent, report.longrepr)


def said_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return what went wrong, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    # The text of a report begins with the worker it came from; of a worker that died there is only the message.
    text = report.longrepr if isinstance(report.longrepr, str) else report.longreprtext
    lines = str(text if crash is None else crash.message).strip().splitlines()
    return lines[0].strip() if lines else "no reason given"


def describe(item: VectorItem, report: pytest.TestReport) -> dict[str, Any]:
    """
    Return what came of a vector as plain JSON data: this is `report.lumyn`, and what the hooks are given.

    Returns:
        `nodeid`, `file`, `line` (from 1), `vector`, `suite`, `tags`, and `outcome`: `passed`, `failed`, `skipped`,
        `xfailed`; `failed` also where it passed and its teardown failed then. Where something was decided also
        `verdict`, `reason_codes`, `matched_rules` (ids), `decided_by` (ids), `error` (a reason code) and `policy`
        (`policy_id`, `policy_version`, `policy_hash`) of the last decision; `file` of the policy too. Where it drifted
        also `summary`, `expected` (the verdict, if that drifted), `direction` (`looser`, `tighter`, `other`), `drifts`
        and `cause` (`change`, `rule`, `place`); where it cannot run, `summary` and `problems`. Where a report was asked
        for, a failure has `explanation` (lines).
    """
    vector, result = item.short, item.result
    data: dict[str, Any] = {
        "nodeid": item.nodeid,
        "file": vector.file,
        "line": vector.span.line,
        "vector": vector.vector_id,
        "suite": vector.suite,
        "tags": list(vector.tags),
        "outcome": "xfailed" if report.skipped and hasattr(report, "wasxfail") else report.outcome,
    }
    if result is None:
        return data
    data |= _decided(result)
    if result.outcome is Outcome.FAILED:
        data |= {
            "summary": summary(result),
            "expected": _expected(result),
            "direction": direction(result).value,
            "drifts": [drift.to_dict() for drift in result.drifts],
            "cause": _cause(result),
        }
    elif result.outcome is Outcome.INVALID:
        data |= {"summary": summary(result), "problems": [str(problem) for problem in result.problems]}
    return data


def _decided(result: VectorResult) -> dict[str, Any]:
    step = shown_step(result)
    if step is None:
        return {}
    record = step.record
    data: dict[str, Any] = {"policy": named_policy(step.policy)}
    if record is not None:
        data["verdict"] = record.verdict.value
        data["reason_codes"] = list(record.reason_codes)
        data["matched_rules"] = [rule.rule_id for rule in record.matched_rules]
        data["decided_by"] = deciding_ids(record)
    if step.error is not None:
        data["error"] = step.error.reason_code
    return data


def named_policy(policy: Policy) -> dict[str, str]:
    """Return which policy it is, as `describe` says it."""
    return {
        "policy_id": policy.policy_id,
        "policy_version": policy.policy_version,
        "policy_hash": policy.policy_hash,
        "file": policy.spans["/policy_id"].file,
    }


def _expected(result: VectorResult) -> str:
    """Return the verdicts that were expected in place of the one that came, or nothing where the verdict is right."""
    for drift in result.drifts:
        if drift.kind is DriftKind.VERDICT:
            return " or ".join(verdict.value for verdict in Verdict if verdict in allowed_verdicts(drift.expected))
    return ""


def _cause(result: VectorResult) -> dict[str, str]:
    """Return what drifts of one root have in common: what changed, and the rule that now decides."""
    explanation = explain(result)
    if explanation is None:
        return {"change": summary(result), "rule": "", "place": ""}
    change = [f"{explanation.expected} -> {explanation.got}"] if explanation.expected else [explanation.got]
    change += [f"-{code}" for code in explanation.lost] + [f"+{code}" for code in explanation.gained]
    if len(change) == 1 and not explanation.expected:
        change += dict.fromkeys(drift.path or drift.message for drift in result.drifts)
    rule = next(iter(explanation.deciding), None)
    return {
        "change": " ".join(change),
        "rule": "" if rule is None else rule.rule_id,
        "place": "" if rule is None or rule.span is None else f"{rule.span.file}:{rule.span.line}",
    }
