"""
Writes the reports of a run to files, and marks lines for GitHub, once the run is over and on the controller only.
Must not know how a report looks in any format.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pytest

from lumyn._files import replace_file
from lumyn._version import __version__
from lumyn.errors import LumynError
from lumyn.policy.loader import load_policy
from lumyn.policy.spec import Policy
from lumyn.report.run import Cause, PolicyReport, RunReport, Strength, SuiteError, VectorReport, policy_report
from lumyn.report.text import printable
from lumyn.vectors.discovery import SUFFIXES
from pytest_lumyn.asked import absolute
from pytest_lumyn.collect import PROBLEMS
from pytest_lumyn.report import ATTRIBUTE, Reporter, named_policy, said_of
from pytest_lumyn.settings import Settings
from pytest_lumyn.tally import Tally

__all__ = ["Reports", "Target", "read_targets", "refuse_sources"]

GITHUB: Final = "github"
_FORMATS: Final = {
    "json": "json",
    "md": "markdown",
    "html": "html",
    "sarif": "sarif",
    "gitlab": "gitlab",
}
_SUFFIXES: Final = {
    ".json": "json",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".sarif": "sarif",
}
_SOURCES: Final = frozenset({".yml", ".yaml", ".toml", ".ini", ".cfg", ".py"})
"""How policies, vectors and settings are called, and no report: one that stood there would be deleted first."""

_PREFIX: Final = re.compile(r"[A-Za-z]{2,}")
"""What stands before a colon as a format; one letter is a drive."""

_MOST_SUMMARY_BYTES: Final = 1_000_000
"""GitHub refuses a step summary of more than 1 MiB."""

_ENDED: Final[Mapping[int, str]] = {
    pytest.ExitCode.INTERRUPTED: "the run was interrupted",
    pytest.ExitCode.INTERNAL_ERROR: "pytest or a plugin of it failed",
    pytest.ExitCode.USAGE_ERROR: "pytest was not used as it can be",
}


@dataclass(frozen=True)
class Target:
    """A report that was asked for; `path` is None where it goes to GitHub."""

    format: str
    path: Path | None


def read_targets(config: pytest.Config) -> tuple[Target, ...]:
    """
    Return what `--lumyn-report` asks for; within GitHub Actions its annotations are always among it.

    Raises:
        pytest.UsageError: A format that is not known, a folder in place of a file, or one file twice.
    """
    targets: dict[Path | None, Target] = {}
    for text in config.getoption("lumyn_report"):
        target = _read_target(text, config.invocation_params.dir)
        if target.path in targets and target.path is not None:
            raise pytest.UsageError(f"lumyn: --lumyn-report: {text} is named twice")
        targets[target.path] = target
    if os.environ.get("GITHUB_ACTIONS") == "true":
        targets.setdefault(None, Target(GITHUB, None))
    return tuple(targets.values())


def refuse_sources(targets: Sequence[Target], is_vector_path: Callable[[Path], bool]) -> None:
    """Raise UsageError for a report that would take the place of a vector file, or be read as one by the next run."""
    for target in targets:
        if target.path is not None and is_vector_path(target.path):
            raise pytest.UsageError(
                f"lumyn: --lumyn-report: {target.path.name} would be a vector file where it is to be written; choose "
                "another folder"
            )


def _read_target(text: str, start: Path) -> Target:
    if text == GITHUB:
        return Target(GITHUB, None)
    named, colon, rest = text.partition(":")
    if colon and _PREFIX.fullmatch(named) and named not in _FORMATS:
        close = get_close_matches(named.lower(), _FORMATS, n=1)
        hint = (
            f"did you mean {close[0]}:{rest}?"
            if close
            else f"there are {', '.join(_FORMATS)}; a path may begin with ./"
        )
        raise pytest.UsageError(f"lumyn: --lumyn-report: unknown format {named!r}; {hint}")
    chosen = _FORMATS.get(named) if colon else None
    name = rest if chosen else text
    chosen = chosen or _SUFFIXES.get(Path(name).suffix.lower())
    if not chosen or not name:
        raise pytest.UsageError(
            f"lumyn: --lumyn-report: cannot tell the format of {text!r}: name a file that ends in .json, .md, .html or "
            ".sarif, or put the format before it as in gitlab:FILE, or say github"
        )
    path = absolute(name, start)
    if path.suffix.lower() in _SOURCES:
        raise pytest.UsageError(f"lumyn: --lumyn-report: {name} is called like a source, which a report would replace")
    if path.is_dir() or name.endswith("/"):
        raise pytest.UsageError(f"lumyn: --lumyn-report: {name} is a folder; name a file in it")
    return Target(chosen, path)


class Reports:
    """
    The part of the plugin that writes reports; registered where one was asked for.

    Attributes:
        strengths: Policy hash -> how strong its vectors are, to be added before the run is finished.
        extra: The same, and what else there is, as plain JSON data, by name.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        reporter: Reporter,
        tally: Tally,
        targets: Sequence[Target],
    ) -> None:
        self._config = config
        self._settings = settings
        self._reporter = reporter
        self._tally = tally
        self._targets = targets
        self._errors: dict[tuple[str, int, str], SuiteError] = {}
        self._lost: dict[str, str] = {}
        self._base = _repository(config.rootpath)
        self._lines: list[str] = []
        self._complaints: list[str] = []
        self.strengths: dict[str, Strength] = {}
        self.extra: dict[str, dict[str, Any]] = {}

    def pytest_sessionstart(self) -> None:
        """Take away the reports of an earlier run: should this one be killed, they would speak for it."""
        for target in self._targets:
            if target.path is not None and target.path.is_file() and not self._config.getoption("collectonly"):
                with contextlib.suppress(OSError):  # what cannot be deleted is complained of when it is written
                    target.path.resolve().unlink()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self._concerns_vectors(report.nodeid):
            for error in self._read_errors(report):
                self._errors[error.path, error.line, error.message] = error

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not hasattr(report, ATTRIBUTE) and self._concerns_vectors(report.nodeid):
            self._lost[report.nodeid] = said_of(report)

    def _concerns_vectors(self, node_id: str) -> bool:
        """Whether a node is a vector, a file of vectors, or a folder, which may hold some."""
        name = node_id.partition("::")[0]
        path = self._settings.base / name
        return name.endswith(SUFFIXES) or path.as_posix() in self._tally.files or path.is_dir()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._config.getoption("collectonly"):
            self._lines.append("lumyn: no report was written: nothing ran")
            return
        report = self._report(session)
        for target in self._targets:
            if target.path is None:
                self._tell_github(report)
            else:
                self._write(target.path, _render(target.format, report))
        if self._complaints and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self._complaints:
            terminalreporter.write_line(f"ERROR: lumyn: {printable(line)}", red=True)
        for line in self._lines:
            terminalreporter.write_line(line)

    def _failures(self, session: pytest.Session) -> Iterator[str]:
        """Yield what fails the run and is neither a vector that ran nor a file that cannot be read."""
        ended = _ENDED.get(int(session.exitstatus))
        if self._tally.complaint:
            yield from self._tally.complaint.removeprefix("lumyn: ").splitlines()
        elif ended and not (self._errors and session.exitstatus == pytest.ExitCode.INTERRUPTED):
            yield ended
        elif session.shouldfail or session.shouldstop:
            yield f"the run was stopped: {session.shouldfail or session.shouldstop}"
        for node_id, said in sorted(self._lost.items()):
            if self._reporter.results.get(node_id, {}).get("outcome") != "failed":
                yield f"{node_id}: {said}"
        yield from self._reporter.complaints
        for name in ("lumyn-gates", "lumyn-strength"):
            yield from getattr(self._config.pluginmanager.get_plugin(name), "failures", ())

    def _report(self, session: pytest.Session) -> RunReport:
        results = [self._reporter.results[node_id] for node_id in sorted(self._reporter.results)]
        vectors = tuple(self._vector(result) for result in results)
        found = sum(self._tally.vectors.values())
        read = self._tally.complete and not self._errors
        complete = read and found == len(results) and session.exitstatus not in _ENDED
        return RunReport(
            version=__version__,
            vectors=vectors,
            errors=tuple(self._errors[key] for key in sorted(self._errors)),
            policies=tuple(self._policies(results, vectors)),
            complete=complete,
            failures=tuple(self._failures(session)),
            strengths=dict(self.strengths),
            extra=self.extra,
        )

    def _vector(self, result: Mapping[str, Any]) -> VectorReport:
        cause = result.get("cause")
        if cause is not None:
            cause = {**cause, "place": self._place(cause["place"])}
        path = self._below(result["file"])
        document = {**result, "file": path} | ({"cause": cause} if cause is not None else {})
        policy = document.get("policy")
        if policy is not None:
            document["policy"] = {**policy, "file": self._below(policy["file"])}
        return VectorReport(
            node_id=result["nodeid"],
            path=path,
            line=result["line"],
            vector=result["vector"],
            outcome=result["outcome"],
            verdict=result.get("verdict", ""),
            expected=result.get("expected", ""),
            direction=result.get("direction", ""),
            error=result.get("error", ""),
            reason_codes=tuple(result.get("reason_codes", ())),
            matched_rules=tuple(result.get("matched_rules", ())),
            decided_by=tuple(result.get("decided_by", ())),
            policy_hash=result.get("policy", {}).get("policy_hash", ""),
            summary=result.get("summary", ""),
            explanation=tuple(result.get("explanation", ())),
            cause=None if cause is None else Cause(cause["change"], cause["rule"], cause["place"]),
            document=document,
        )

    def _policies(
        self, results: Sequence[Mapping[str, Any]], vectors: Sequence[VectorReport]
    ) -> Iterator[PolicyReport]:
        decided = [result["policy"] for result in results if "policy" in result]
        named = {each["policy_hash"]: each for each in sorted(decided, key=itemgetter("file"), reverse=True)}
        named |= {name: named_policy(strength.policy) for name, strength in self.strengths.items()}
        for policy_hash, policy in sorted(named.items(), key=lambda item: (item[1]["policy_id"], item[0])):
            yield policy_report(
                vectors,
                policy_id=policy["policy_id"],
                policy_version=policy["policy_version"],
                policy_hash=policy_hash,
                path=self._below(policy["file"]),
                policy=self._policy(policy["file"], policy_hash),
            )

    def _policy(self, file: str, policy_hash: str) -> Policy | None:
        """Return the policy as it was decided with; None where nobody kept it and the file is another one by now."""
        if policy_hash in self.strengths:
            return self.strengths[policy_hash].policy
        try:
            policy = load_policy(self._settings.base / file)
        except (LumynError, OSError):
            return None
        return policy if policy.policy_hash == policy_hash else None

    def _below(self, name: str) -> str:
        """Return the name of a file relative to the repository, as code hosts know it."""
        path = self._settings.base / name
        return path.relative_to(self._base).as_posix() if path.is_relative_to(self._base) else name

    def _place(self, place: str) -> str:
        name, colon, line = place.rpartition(":")
        return f"{self._below(name)}{colon}{line}" if name else place

    def _read_errors(self, report: pytest.CollectReport) -> Iterator[SuiteError]:
        """Yield the problems of a file, each at its own place; an error of another kind is one."""
        problems: Sequence[tuple[str, int, str]] = getattr(report, PROBLEMS, ())
        for file, line, message in problems or [("", 0, said_of(report))]:
            yield SuiteError(path=self._below(file or report.nodeid), line=line, message=message)

    def _write(self, path: Path, text: str) -> None:
        name = _shown(path, self._config.invocation_params.dir)
        try:
            if path.exists() and not path.is_file():  # a device or a pipe
                path.write_text(text, encoding="utf-8")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path.resolve(), text.encode())
        except OSError as error:
            self._complaints.append(f"cannot write {name}: {(error.strerror or 'i/o error').lower()}")
        else:
            self._lines.append(f"lumyn: wrote {printable(name)}")

    def _tell_github(self, report: RunReport) -> None:
        from lumyn.report.github import workflow_commands
        from lumyn.report.markdown import render as markdown

        self._lines += workflow_commands(report)
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if not path:
            return
        text = markdown(report, most_bytes=_MOST_SUMMARY_BYTES)
        try:
            with open(path, "a", encoding="utf-8") as summary:
                summary.write(text)
        except OSError as error:
            self._complaints.append(f"cannot write the step summary: {(error.strerror or 'i/o error').lower()}")


def _render(name: str, report: RunReport) -> str:
    render: Callable[[RunReport], str] = import_module(f"lumyn.report.{name}").render
    return render(report)


def _repository(root: Path) -> Path:
    """Return the folder that places are relative to: the checkout that holds the rootdir, else the rootdir."""
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        workspace = os.environ.get(name)
        if workspace and root.is_relative_to(workspace):
            return Path(workspace)
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)


def _shown(path: Path, start: Path) -> str:
    return str(PurePosixPath(path.relative_to(start))) if path.is_relative_to(start) else str(path)
