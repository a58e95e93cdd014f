"""
Finds vector files among what pytest visits, and turns them into items.
Must not know how a vector is run or how a drift is shown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lumyn.documents import load_json, read_bytes
from lumyn.errors import InvalidDocumentError, InvalidPolicyError, InvalidVectorError, LumynError, Problem
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.report.text import printable
from lumyn.vectors.discovery import SUFFIXES, is_support, misnamed
from lumyn.vectors.format import Suite, Vector
from lumyn.vectors.loader import load_suite, parse_suite
from lumyn.vectors.packing import PackedSuite, PackedVector
from lumyn.vectors.sources import LIMITS, display_name
from pytest_lumyn.asked import absolute
from pytest_lumyn.cache import Cache
from pytest_lumyn.calling import HookFailedError, call
from pytest_lumyn.item import VectorItem
from pytest_lumyn.settings import Settings
from pytest_lumyn.shelf import Shelf
from pytest_lumyn.tally import LEFT_OUT_BY, Tally, judge, judge_taken, left_out, matches, taken_out
from pytest_lumyn.xdist import is_controller, is_worker

if TYPE_CHECKING:
    from pluggy import HookRelay

__all__ = ["PROBLEMS", "Collection", "Gatekeeper", "VectorFile"]

PROBLEMS = "lumyn_problems"
"""Name of the attribute of a collection report that holds [file, line from 1 or 0, message] of each problem."""

MOST_PROBLEMS = 50
TOPIC_NAMES = frozenset({"build", "dist"})
"""Folder names pytest skips as build output by default; below a root of vectors they are topics like any other."""


class VectorFile(pytest.File):
    """A file of vectors."""

    collection: Collection
    policy: Policy | None = None
    digest: str = ""
    problems: Sequence[Problem] = ()
    shown_path: str | None = None
    _hooks: HookRelay | None = None

    @property
    def ihook(self) -> HookRelay:
        """The hooks that hold for this file, and for all of its items; looked up once no conftest can follow."""
        if self._hooks is not None:
            return self._hooks
        hooks = super().ihook
        if self.collection.is_finished:
            self._hooks = hooks
        return hooks

    def collect(self) -> Iterator[VectorItem]:
        """Return the items in file order; a file with a problem has none, and says all that is wrong with it."""
        if self.problems:
            raise self._refused()
        try:
            suite = self.collection.load(self)
        except InvalidDocumentError as error:
            self.problems = error.problems
            raise self._refused() from None
        except LumynError as error:
            raise self.CollectError(str(error)) from None
        if isinstance(suite, Suite) and suite.problems:
            self.problems = suite.problems
            raise self._refused()
        self.digest = suite.digest
        self.collection.tally.add(self.path, suite)
        for vector in suite.vectors:
            yield self._item(vector)

    def ready(self, packed: PackedVector) -> Vector:
        """Return a vector of this file to run."""
        return self.collection.shelf.ready(packed, self.path, self.policy)

    def whole(self, packed: PackedVector) -> Vector:
        """Return a vector of this file with all that explains it; raises LumynError if the file has changed."""
        suite = self.collection.shelf.whole(self.path, self.policy, digest=self.digest)
        return next(vector for vector in suite.vectors if vector.vector_id == packed.vector_id)

    def policy_of(self, packed: PackedVector) -> Policy:
        """Return the policy that decides a vector of this file first."""
        return self.collection.shelf.policy(packed.policy_file, self.policy)

    def _refused(self) -> Exception:
        lines = [str(problem) for problem in self.problems[:MOST_PROBLEMS]]
        if len(self.problems) > MOST_PROBLEMS:
            lines.append(f"and {len(self.problems) - MOST_PROBLEMS} more problems")
        return self.CollectError("\n".join(lines))

    def _item(self, vector: Vector | PackedVector) -> VectorItem:
        try:
            item: VectorItem = VectorItem.from_parent(self, name=vector.vector_id, vector=vector)
        except pytest.fail.Exception as error:  # a mark that strict markers do not know
            place = f"{vector.file}:{vector.span.line}"
            raise self.CollectError(f"{place}: vector {vector.vector_id}: {error.msg}") from None
        return item


class Collection:
    """The part of the plugin that collects; registered only when vectors were asked for."""

    def __init__(self, settings: Settings, cache: Cache | None) -> None:
        self.settings = settings
        self.tally = Tally()
        self.shelf = Shelf(settings.base, cache)
        self.is_finished = False
        self._policies: dict[Path, Policy] = {}
        self._roots = tuple(str(root.path) for root in settings.roots)
        self._below = tuple(root + os.sep for root in self._roots)

    def add_roots(self, config: pytest.Config) -> None:
        """Have pytest visit the roots too, unless the command line named what to visit."""
        if self.settings.arguments:
            return
        start = config.invocation_params.dir
        visited = [absolute(argument, start) for argument in config.args]
        for root in self.settings.roots:
            # Of two arguments of which one lies in the other, pytest 8 leaves tests out without a word.
            if root.path.exists() and not any(root.path.is_relative_to(path) for path in visited):
                path = root.path.relative_to(start) if root.path.is_relative_to(start) else root.path
                config.args.append(str(path))
                visited.append(root.path)

    @pytest.hookimpl(wrapper=True)
    def pytest_ignore_collect(
        self, collection_path: Path, config: pytest.Config
    ) -> Generator[None, bool | None, bool | None]:
        ignored = yield
        if not ignored or config.getoption("ignore") or config.getoption("ignore_glob"):
            return ignored
        path = str(collection_path)
        topic = collection_path.name in TOPIC_NAMES and path.startswith(self._below)
        leads_to_root = any(root == path or root.startswith(path + os.sep) for root in self._roots)
        return None if topic or leads_to_root else ignored

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> VectorFile | None:
        problem = self._misnamed(file_path)
        if problem is None and not self._holds_vectors(file_path, parent):
            return None
        if self._asked_for(file_path):
            self.tally.files.add(file_path.as_posix())
        file: VectorFile = VectorFile.from_parent(parent, path=file_path)
        file.collection = self
        file.problems = () if problem is None else (problem,)
        return file

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, VectorFile):
            vars(report)[PROBLEMS] = [_placed(problem) for problem in collector.problems]
        return report

    def load(self, file: VectorFile) -> Suite | PackedSuite:
        """
        Return the suite of a file, against the policy this run chose for it.

        Raises:
            LumynError: The file, or the policy chosen for it, cannot be used.
        """
        path, base = file.path, self.settings.base
        policy = file.policy = self._policy_for(file)
        new, revising = self.settings.takes_new, self.settings.revises
        document = self._ask(file, "pytest_lumyn_load_suite")
        if document is None and (new or revising):
            return load_suite(path, root=base, policy_override=policy, open_expectations=new, revising=revising)
        if document is None:
            return self.shelf.read(path, policy)
        try:
            data = json.dumps(document).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise LumynError(
                f"hook pytest_lumyn_load_suite must return plain data for `{path.name}`: {error}"
            ) from None
        name = display_name(path, base)
        parsed = load_json(data, file=name, error=InvalidVectorError, limits=LIMITS)
        return parse_suite(parsed, path=path, root=base, policy_override=policy)

    def _policy_for(self, file: VectorFile) -> Policy | None:
        path = self.settings.policy
        if path is None:
            answer = self._ask(file, "pytest_lumyn_policy")
            if answer is None:
                return None
            if not isinstance(answer, (str, Path)):
                raise LumynError(f"hook pytest_lumyn_policy must return a path, not {type(answer).__name__}")
            path = self.settings.base / answer
        return self.policy(path)

    def _ask(self, file: VectorFile, name: str) -> Any:  # noqa: ANN401 (whatever an implementation answers)
        try:
            return call(getattr(file.ihook, name), path=file.path, config=file.config)
        except HookFailedError as error:
            if file.config.getoption("fulltrace", False):
                raise
            raise LumynError(error.located(self.settings.base)) from None

    def policy(self, path: Path) -> Policy:
        """Return the policy at `path`, read once in a run; raises InvalidPolicyError."""
        if path not in self._policies:
            data = read_bytes(path, error=InvalidPolicyError)
            self._policies[path] = parse_policy(data, file=display_name(path, self.settings.base))
        return self._policies[path]

    def pytest_collection_finish(self) -> None:
        self.is_finished = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config) -> None:
        if self.settings.everywhere:
            self.tally.close()
        if not is_worker(config):
            self.tally.complaint = judge(self.settings, self.tally)
            if self.tally.complaint:
                raise pytest.UsageError(self.tally.complaint)

    def _holds_vectors(self, path: Path, parent: pytest.Collector) -> bool:
        name = path.name
        if is_support(name):
            return False
        return self.is_vector_path(path) or (name.endswith(SUFFIXES) and parent.session.isinitpath(path))

    def _misnamed(self, path: Path) -> Problem | None:
        """Return what is wrong with the name of a file that looks as if it held vectors, or served them."""
        if self._in_roots(str(path)):
            return misnamed(path.name)
        lower = path.with_name(path.name.lower())
        meant = not is_support(path.name) and any(matches(lower, pattern) for pattern in self.settings.patterns)
        return misnamed(path.name) if meant else None

    def is_vector_path(self, path: Path) -> bool:
        """Whether a file of this name is one of vectors, by the roots and patterns; it need not be there."""
        name = path.name
        if is_support(name):
            return False
        if name.endswith(SUFFIXES) and self._in_roots(str(path)):
            return True
        return any(matches(path, pattern) for pattern in self.settings.patterns)

    def _in_roots(self, path: str) -> bool:
        return path.startswith(self._below) or path in self._roots

    def _asked_for(self, path: Path) -> bool:
        """Whether `path` is among the arguments: pytest also visits the neighbours of what was asked for."""
        arguments = self.settings.arguments
        return not arguments or any(path == argument or argument in path.parents for argument in arguments)


def _placed(problem: Problem) -> list[object]:
    span = problem.span
    text = str(problem if span is None else replace(problem, span=None, pointer=""))
    return ["", 0, text] if span is None else [span.file, span.line, text]


class Gatekeeper:
    """Judges a run that workers collected for the controller, and tells what any run passed by without a word."""

    def __init__(self, settings: Settings, tally: Tally) -> None:
        self._settings = settings
        self._tally = tally
        self._deselected: set[int] = set()
        self._left_out: list[str] = []

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._deselected.update(map(id, items))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        before = [item for item in items if isinstance(item, VectorItem)]
        answer = yield
        after = {id(item) for item in items if isinstance(item, VectorItem)}
        if len(after) < len(before):
            kept = after | self._deselected
            self._tally.taken.update(item.nodeid for item in before if id(item) not in kept)
            self._tally.all_taken = len(self._tally.taken) == len(before)
            if not is_worker(config):
                self._tally.complaint = judge_taken(self._settings, self._tally)
                if self._tally.complaint:
                    raise pytest.UsageError(self._tally.complaint)
        self._deselected.clear()
        return answer

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        ended = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
        if is_worker(session.config) or session.exitstatus in ended:  # then workers told nothing, or not all
            return
        if is_controller(session.config):
            self._tally.complaint = judge(self._settings, self._tally) or judge_taken(self._settings, self._tally)
            if self._tally.complaint and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if not self._tally.complaint and not self._settings.strict:  # a strict run fails for each of them
            self._left_out = left_out(self._settings, self._tally)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if is_controller(terminalreporter.config) and self._tally.complaint:
            terminalreporter.write_line(f"ERROR: {self._tally.complaint}", red=True)
        if self._left_out:
            count = f"{len(self._left_out)} vector file{'s' if len(self._left_out) > 1 else ''}"
            terminalreporter.write_line(
                f"lumyn: {count} left out of this run, first {printable(self._left_out[0])}: {LEFT_OUT_BY}", bold=True
            )
        judged = self._settings.strict and self._settings.complete
        if self._tally.taken and not self._tally.complaint and not judged:
            terminalreporter.write_line(f"lumyn: {taken_out(self._tally)}", bold=True)
