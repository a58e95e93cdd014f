"""
A throw-away repository in which to run pytest, for tests of vectors, policies and plugins of one's own. Must not be
imported by any other module: it is a tool for test suites, not part of a decision.

    from lumyn.testing import Repo

    def test_a_looser_limit_is_caught(tmp_path):
        repo = Repo({"policy.yml": POLICY, "vectors/refund.yml": VECTORS}, path=tmp_path)
        repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=3)
        repo.replace("policy.yml", "limit: 25", "limit: 199")
        run = repo.run_pytest("--lumyn-vectors")
        run.assert_outcomes(passed=2, failed=1)
        run.match("vectors/refund.yml:14 limit[over_limit] *verdict ESCALATE -> TRUST*")
"""

from __future__ import annotations

import contextlib
import fnmatch
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Repo", "Run"]

_SUMMARY = re.compile(r"^(?:=+ )?(?P<counts>(?:\d+ [a-z]+(?:, )?)+|no tests (?:ran|collected)[^=]*) in [\d.]+s")
_COUNT = re.compile(r"(\d+) ([a-z]+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NOT_INHERITED = (
    "CI",
    "BUILD_NUMBER",
    "GITHUB_ACTIONS",
    "PYTEST_ADDOPTS",
    "PYTEST_CURRENT_TEST",
    "PYTEST_PLUGINS",
    "PYTEST_XDIST_TESTRUNUID",
    "PYTEST_XDIST_WORKER",
    "PYTEST_XDIST_WORKER_COUNT",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """
    What one run of pytest did.

    Attributes:
        exit_code: As the process returned it: 0 passed, 1 failed, 2 interrupted, 4 usage, 5 nothing collected.
        stdout: What was printed, colours included where they were asked for.
        outcomes: Counts of pytest's last line by noun: `passed`, `failed`, `error`, `xfailed`, `deselected` ...
        changed: Files the run created, changed or deleted, relative to the repository, sorted; caches are left out.
    """

    exit_code: int
    stdout: str
    stderr: str
    outcomes: Mapping[str, int] = field(default_factory=dict)
    changed: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Everything that was printed, without colours."""
        return _COLOUR.sub("", self.stdout + self.stderr)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def assert_outcomes(self, **expected: int) -> None:
        """Raise AssertionError with the whole output unless the counts are exactly these; warnings do not count."""
        actual = {noun: count for noun, count in self.outcomes.items() if noun != "warnings"}
        if actual != expected:
            raise AssertionError(f"expected outcomes {expected}, got {actual}, exit code {self.exit_code}\n{self.text}")

    def match(self, *patterns: str) -> None:
        """Raise AssertionError unless, in this order, some line matches each pattern (`*` and `?`; `[` is itself)."""
        rest = iter(self.lines)
        for pattern in patterns:
            shell = pattern.replace("[", "[[]")
            if not any(fnmatch.fnmatchcase(line.strip(), shell) for line in rest):
                raise AssertionError(f"no line matches {pattern!r} where it is due\n{self.text}")

    def no_match(self, *patterns: str) -> None:
        """Raise AssertionError if any line matches one of the patterns."""
        for pattern in patterns:
            shell = pattern.replace("[", "[[]")
            for line in self.lines:
                if fnmatch.fnmatchcase(line.strip(), shell):
                    raise AssertionError(f"{pattern!r} matches {line!r}\n{self.text}")


class Repo:
    """
    A repository of text files in a folder of its own.

    Args:
        files: Path relative to the repository -> content; folders are made as needed.
        path: Where to put it; a temporary folder, removed with the object, by default.
    """

    def __init__(self, files: Mapping[str, str] | None = None, *, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="lumyn-repo-") if path is None else path).resolve()
        if path is None:
            weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        for name, content in (files or {}).items():
            self.write(name, content)

    def write(self, name: str, content: str) -> Path:
        """Create or overwrite a file; line endings are kept as given."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")
        return path

    def read(self, name: str) -> str:
        """Return a file's text, line endings as they are."""
        return (self.path / name).read_bytes().decode("utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace text that must occur exactly once; raises ValueError otherwise, so that no edit is silently lost."""
        text = self.read(name)
        if text.count(old) != 1:
            raise ValueError(f"{old!r} occurs {text.count(old)} times in {name}")
        self.write(name, text.replace(old, new))

    def run_pytest(
        self,
        *arguments: str,
        own_process: bool = False,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        autoload: bool = False,
        python: tuple[str, ...] = (),
    ) -> Run:
        """
        Run pytest here and return what it did.

        Args:
            arguments: Command line of pytest.
            own_process: Run a process of its own: needed for xdist, start-up, plugins that import at the start.
            cwd: Folder to run in, relative to the repository.
            env: Environment variables on top of those of this process.
            autoload: Load every installed plugin; by default only Lumyn's, so that neighbours cannot interfere.
            python: Options of the interpreter, such as `-O`; implies a process of its own.
        """
        environment = {"COLUMNS": "100", "PY_COLORS": "0", **(env or {})}
        command = list(arguments)
        if not autoload:
            environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            command = ["-p", "lumyn", *command]
        before = self._contents()
        if own_process or python:
            code, stdout, stderr = _in_subprocess(command, self.path / cwd, environment, python)
        else:
            code, stdout, stderr = _in_process(command, self.path, cwd, environment)
        after = self._contents()
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        return Run(exit_code=code, stdout=stdout, stderr=stderr, outcomes=_outcomes(stdout), changed=tuple(changed))

    def _contents(self) -> dict[str, bytes]:
        caches = {"__pycache__", ".pytest_cache"}
        return {
            path.relative_to(self.path).as_posix(): path.read_bytes()
            for path in self.path.rglob("*")
            if path.is_file() and not caches.intersection(path.relative_to(self.path).parts)
        }


def _in_subprocess(
    command: list[str], cwd: Path, environment: Mapping[str, str], python: tuple[str, ...]
) -> tuple[int, str, str]:
    env = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED} | dict(environment)
    done = subprocess.run(
        [sys.executable, *python, "-m", "pytest", *command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def _in_process(command: list[str], path: Path, cwd: str, environment: Mapping[str, str]) -> tuple[int, str, str]:
    import pytest

    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        _borrowed_process(path, cwd, environment),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        code = int(pytest.main(command))
    return code, stdout.getvalue(), stderr.getvalue()


@contextlib.contextmanager
def _borrowed_process(repository: Path, cwd: str, environment: Mapping[str, str]) -> Iterator[None]:
    """Lend this process to a run: its folder, environment, import path and modules are put back afterwards."""
    folder, variables = Path.cwd(), dict(os.environ)
    path, meta_path, modules = list(sys.path), list(sys.meta_path), dict(sys.modules)
    for name in _NOT_INHERITED:
        os.environ.pop(name, None)
    os.environ.update(environment)
    os.chdir(repository / cwd)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        sys.path[:], sys.meta_path[:] = path, meta_path
        for name in _borrowed_modules(modules, repository):
            del sys.modules[name]


def _borrowed_modules(before: Mapping[str, object], folder: Path) -> list[str]:
    """Modules of the repository itself, such as its conftest: the next repository has others of the same name."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name not in before and isinstance(file, str) and Path(file).is_relative_to(folder):
            found.append(name)
    return found


def _outcomes(stdout: str) -> dict[str, int]:
    for line in reversed(_COLOUR.sub("", stdout).splitlines()):
        match = _SUMMARY.match(line)
        if match is not None:
            counts = {noun: int(count) for count, noun in _COUNT.findall(match["counts"])}
            return {{"errors": "error", "warning": "warnings"}.get(noun, noun): n for noun, n in counts.items()}
    return {}
