"""
What was found of vectors in a run, and whether that is enough.
Judged by the files found, not by what `-k` or `--lf` left of them; must not know how a file is read or run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from lumyn.errors import Span
from lumyn.report.text import printable
from lumyn.vectors.discovery import is_skipped, is_vector_name
from lumyn.vectors.format import Suite
from lumyn.vectors.loader import unused_shared_fixtures
from lumyn.vectors.packing import PackedSuite
from lumyn.vectors.sources import display_name
from pytest_lumyn.options import DEFAULT_ROOT
from pytest_lumyn.settings import Root, Settings

__all__ = ["LEFT_OUT_BY", "Tally", "judge", "judge_taken", "left_out", "matches", "taken_out"]


class Shares(NamedTuple):
    """What a suite says of fixtures that others may use too."""

    shared: Mapping[tuple[str, str, str], Span]
    shared_used: frozenset[tuple[str, str, str]]


class Tally:
    """
    What was found, whatever `-k`, `-m` or `--lf` leave of it.

    Attributes:
        files: Every vector file pytest visited within the paths asked for, as posix paths.
        vectors: Number of vectors in each file that was read; `--lf` leaves whole files unread.
        proposed: How many of them only propose what should come out, where there are any.
        taken: Node ids of vectors that were collected, and then taken out by somebody who did not deselect them.
        all_taken: Whether those are all there were.
        unused: Fixtures of `_defaults` files that no vector uses, as messages; known on complete runs.
        complaint: What `judge` found wrong where the run is led, or None.
    """

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.vectors: dict[str, int] = {}
        self.proposed: dict[str, int] = {}
        self.taken: set[str] = set()
        self.all_taken = False
        self.unused: list[str] = []
        self.complaint: str | None = None
        self._shares: list[Shares] = []

    def add(self, path: Path, suite: Suite | PackedSuite) -> None:
        """Count the vectors of a file that was read."""
        self.vectors[path.as_posix()] = len(suite.vectors)
        proposed = sum(vector.proposed for vector in suite.vectors)
        if proposed:
            self.proposed[path.as_posix()] = proposed
        self._shares.append(Shares(suite.shared, suite.shared_used))

    @property
    def complete(self) -> bool:
        """Whether every file that was found was read."""
        return self.vectors.keys() == self.files

    def close(self) -> None:
        """Note which shared fixtures nobody uses; to be called once all files were read."""
        if self.complete:
            self.unused = [str(problem) for problem in unused_shared_fixtures(self._shares)]
        self._shares.clear()

    def pack(self) -> dict[str, object]:
        return {
            "files": sorted(self.files),
            "vectors": dict(self.vectors),
            "proposed": dict(self.proposed),
            "taken": sorted(self.taken),
            "all_taken": self.all_taken,
            "unused": list(self.unused),
        }

    def unpack(self, content: Mapping[str, Any]) -> None:
        self.files.update(content["files"])
        self.vectors.update(content["vectors"])
        self.proposed.update(content["proposed"])
        self.taken.update(content["taken"])
        self.all_taken = content["all_taken"]
        self.unused = list(content["unused"])


def judge(settings: Settings, tally: Tally) -> str | None:
    """
    Return what is wrong with the files that were found, or None.

    Where the command line itself asked for vectors, paths on it must hold some; where an ini file did, paths are a
    selection like any other. The roots and patterns one by one, and the least number, are judged on complete runs.
    """
    if not tally.files:
        selected = bool(settings.arguments) and not settings.explicit and not settings.complete
        return None if selected or settings.allow_empty else _nothing_found(settings)
    passed_by = _passed_by(settings, tally.files)
    if passed_by:
        return f"lumyn: nothing of {_listed(passed_by)} was collected: {_ELSEWHERE}"
    if not settings.complete:
        return None
    if not settings.allow_empty:
        unmatched = _unmatched(settings, tally.files)
        if unmatched:
            return f"lumyn: no vector file found under {_listed(unmatched)}; {_ACCEPT}"
    dangling = _dangling(settings)
    if dangling:
        return f"lumyn: links to vector files that are not there: {_listed(dangling)}; mend or delete them"
    count = sum(tally.vectors.values()) - sum(tally.proposed.values())
    if tally.complete and count < settings.min_vectors and not _others(settings, tally.files):
        return f"lumyn: {count} vectors found, at least {settings.min_vectors} are due (lumyn_min_vectors)"
    if tally.unused:
        return "\n".join(["lumyn: shared fixtures that no vector uses", *tally.unused])
    return None


def judge_taken(settings: Settings, tally: Tally) -> str | None:
    """Return what is wrong with what is left of the vectors that were collected, or None."""
    if not tally.all_taken or settings.allow_empty:
        return None
    return f"lumyn: {taken_out(tally)}, and no vector is left; mend that, or {_ACCEPT}"


def taken_out(tally: Tally) -> str:
    """Return how many vectors were taken out, and by whom as far as one can tell."""
    count = f"{len(tally.taken)} vector{'s' if len(tally.taken) > 1 else ''}"
    return f"{count} taken out of this run, first {printable(min(tally.taken))}: {_TAKEN_BY}"


def left_out(settings: Settings, tally: Tally) -> list[str]:
    """
    Return the vector files below the roots that a complete run passed by, as names in messages.

    A plugin, `collect_ignore` or `norecursedirs` keeps them from pytest, which says nothing of it.
    """
    if not settings.complete or not tally.files:
        return []
    passed = [path for path in _on_disk(settings) if path.as_posix() not in tally.files and _is_there(path)]
    if not passed:
        return []
    visited = {os.path.realpath(file) for file in tally.files}
    return sorted(display_name(path, settings.base) for path in passed if os.path.realpath(path) not in visited)


_ELSEWHERE = "what it holds is no vector of this rootdir; run it by itself, or name it with --lumyn-path"


def _passed_by(settings: Settings, files: Iterable[str]) -> list[str]:
    """Return the folders on the command line that are named like a root and whose files are none of this run."""
    if not settings.explicit or settings.allow_empty:
        return []
    names = {root.path.name for root in settings.roots}
    return [
        display_name(path, settings.base)
        for path in settings.arguments
        if names.intersection(path.parts)
        and not any(path in Path(file).parents for file in files)
        and any(is_vector_name(each) for _, _, found in os.walk(path) for each in found)
    ]


def _dangling(settings: Settings) -> list[str]:
    """Return the links below the roots that lead nowhere; pytest passes them by, and their vectors with them."""
    return sorted(display_name(path, settings.base) for path in _on_disk(settings) if not _is_there(path))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # in a folder that may be listed and not entered; pytest says so
        return True


def _on_disk(settings: Settings) -> Iterator[Path]:
    """Yield what bears the name of a vector file below the roots, whether pytest visited it or not."""
    for root in settings.roots:
        for folder, below, names in os.walk(root.path):
            below[:] = [each for each in below if not is_skipped(Path(folder, each))]
            yield from (Path(folder, name) for name in names if is_vector_name(name))


def _others(settings: Settings, files: Iterable[str]) -> bool:
    """Whether there are vector files that the paths on the command line leave out: they may be what is missing."""
    if settings.everywhere:
        return False
    seen = set(files)
    for folder, below, names in os.walk(settings.base):
        below[:] = [each for each in below if not is_skipped(Path(folder, each))]
        paths = (Path(folder, name) for name in names if is_vector_name(name))
        if any(_is_named(settings, path) and path.as_posix() not in seen for path in paths):
            return True
    return False


def _is_named(settings: Settings, path: Path) -> bool:
    return any(matches(path, pattern) for pattern in settings.patterns)


LEFT_OUT_BY = (
    "collect_ignore, norecursedirs, or a plugin that selects tests by the Python code that changed (such as "
    "pytest-testmon)"
)
_TAKEN_BY = "a conftest.py or a plugin drops what was collected, without deselecting it"
_ACCEPT = "use --lumyn-allow-empty to accept that"


def _nothing_found(settings: Settings) -> str:
    roots = _listed(root.name for root in settings.roots)
    patterns = _listed(settings.patterns)
    nested = _nested(settings)
    if nested is not None:
        return (
            f"lumyn: no vector file found under {roots} of the rootdir `{settings.base}`; `{nested / DEFAULT_ROOT}` is "
            f"of a project in it: run that with --rootdir={nested}, or put an ini file of pytest there"
        )
    if settings.arguments:
        return (
            f"lumyn: no vector file found at the paths given: vectors are *.yaml, *.yml and *.json under {roots}, or "
            f"named {patterns}; name one of those, give no path, or {_ACCEPT}"
        )
    there = sum(1 for _ in _on_disk(settings)) if settings.complete else 0
    if there:
        return (
            f"lumyn: nothing under {roots} was collected, where {there} vector file{'s are' if there > 1 else ' is'}: "
            f"{LEFT_OUT_BY} leaves them out; take that away, or {_ACCEPT}"
        )
    above = _above(settings)
    if above is not None:
        return (
            f"lumyn: no vector file found under {roots} of the rootdir `{settings.base}`; there are some above it: run "
            f"pytest in `{above}`, or put an ini file of pytest there"
        )
    return f"lumyn: no vector file found under {roots} (*.yaml, *.yml, *.json) or named {patterns}; {_ACCEPT}"


def _above(settings: Settings) -> Path | None:
    """Return the workspace or repository around the rootdir that has vectors: pytest was started too far below."""
    marks = ("lumyn.toml", ".git")
    found = (each for each in settings.base.parents if (each / DEFAULT_ROOT).is_dir())
    return next((each for each in found if any((each / mark).exists() for mark in marks)), None)


def _nested(settings: Settings) -> Path | None:
    """Return the folder of a project within the rootdir that has vectors, where the run was about that project."""
    start = Path.cwd()
    asked = [each.parent if each.name == DEFAULT_ROOT else each for each in settings.arguments]
    for folder in (start, *asked):
        if folder == settings.base or not folder.is_relative_to(settings.base):
            continue
        if any(is_vector_name(name) for _, _, names in os.walk(folder / DEFAULT_ROOT) for name in names):
            return Path(os.path.relpath(folder, start))
    return None


def _unmatched(settings: Settings, files: Iterable[str]) -> list[str]:
    paths = [Path(file) for file in files]
    reached = {root.name for root in settings.roots if _any_below(root, paths)}
    configured = dict.fromkeys(root.name for root in settings.roots if root.configured)
    names = [name for name in configured if name not in reached]
    if settings.patterns_configured and settings.everywhere:
        matched = {pattern for pattern in settings.patterns for path in paths if matches(path, pattern)}
        names += [pattern for pattern in settings.patterns if pattern not in matched]
    return names


def matches(path: PurePath, pattern: str) -> bool:
    """Whether a file bears a name of the pattern: of the file, or of its last folders too where it holds a `/`."""
    return path.match(pattern.removeprefix("**/"))


def _any_below(root: Root, paths: Iterable[Path]) -> bool:
    return any(path == root.path or root.path in path.parents for path in paths)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
