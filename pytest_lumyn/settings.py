"""
What the options of a run that asked for vectors amount to.
Must not know how a vector is read or run.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from pytest_lumyn.asked import absolute, policy_override
from pytest_lumyn.options import DEFAULT_PATTERNS, DEFAULT_ROOT, ini

__all__ = ["Root", "Settings", "Update", "read_settings"]

CI_VARIABLES = ("CI", "BUILD_NUMBER")
"""Set, and not empty, by systems that run tests on their own; pytest looks at the same ones."""


class Update(StrEnum):
    """Which expectations a run rewrites: those that drifted, those that say nothing yet, or both."""

    FAILING = "failing"
    NEW = "new"
    ALL = "all"


GIT = "git:"
"""How a base begins that is a revision."""


@dataclass(frozen=True)
class Root:
    """
    A folder of vectors, or a single vector file.

    Attributes:
        path: Absolute, normalised.
        name: As the user wrote it, for messages.
        configured: Whether somebody named it; the default folder may be absent, a named one may not.
    """

    path: Path
    name: str
    configured: bool


@dataclass(frozen=True)
class Settings:
    """
    What one run was asked to do with vectors.

    Attributes:
        base: The suite root: policies named in vectors, and node ids, are relative to it.
        roots: Folders whose files are vectors, sorted by path.
        patterns: File name patterns of vectors and scenarios outside the roots.
        patterns_configured: Whether `lumyn_patterns` was set; each such pattern must match a file.
        arguments: Paths given on the command line; empty when pytest chose what to collect.
        complete: Whether every root is visited as a whole: only then can the suite be judged.
        everywhere: Whether the command line also leaves what lies outside the roots to pytest.
        explicit: Whether the command line itself, not an ini file, asked for vectors.
        allow_empty: Whether a run without any vector file is accepted.
        min_vectors: Fewest vectors a complete run may hold.
        strict: Whether what weakens the suite without a word fails a complete run.
        since: Revision to compare the vectors with, or None.
        max_diffs: How many drifts are printed in full; more are grouped by cause.
        policy: The policy to run every vector against, or None for the one its file names.
        update: Which expectations to rewrite, or None.
        accept_looser: Whether to rewrite also what permits more than before.
        review: Whether to ask about each vector that failed.
    """

    base: Path
    roots: tuple[Root, ...]
    patterns: tuple[str, ...]
    patterns_configured: bool
    arguments: tuple[Path, ...]
    complete: bool
    everywhere: bool
    explicit: bool
    allow_empty: bool
    min_vectors: int
    max_diffs: int
    policy: Path | None
    update: Update | None = None
    accept_looser: bool = False
    review: bool = False
    strict: bool = False
    since: str | None = None

    @property
    def takes_new(self) -> bool:
        """Whether a vector may expect nothing yet, since this run writes what it expects."""
        return self.update in (Update.NEW, Update.ALL)

    @property
    def revises(self) -> bool:
        """Whether a vector may expect what its policy no longer says, since this run rewrites what it expects."""
        return self.review or self.update in (Update.FAILING, Update.ALL)


def read_settings(config: pytest.Config) -> Settings:
    """Read the options; raises UsageError for a path that does not exist and for a value that cannot be used."""
    given = config.args_source is config.ArgsSource.ARGS
    patterns = tuple(config.getini("lumyn_patterns"))
    roots = _roots(config)
    ignores = bool(config.getoption("ignore") or config.getoption("ignore_glob"))
    wide = [_argument_path(config, each) for each in config.args if "::" not in each] if given else []
    everywhere = not ignores and (not given or any(config.rootpath.is_relative_to(path) for path in wide))
    return Settings(
        base=config.rootpath,
        roots=roots,
        patterns=patterns or DEFAULT_PATTERNS,
        patterns_configured=bool(patterns),
        arguments=tuple(_argument_path(config, argument) for argument in config.args) if given else (),
        complete=everywhere or (not ignores and _covered(roots, wide)),
        everywhere=everywhere,
        explicit="--lumyn-vectors" in config.invocation_params.args,
        allow_empty=bool(config.getoption("lumyn_allow_empty")),
        min_vectors=_min_vectors(config),
        strict=bool(config.getoption("lumyn_strict") or ini(config, "lumyn_strict")),
        since=_since(config),
        max_diffs=config.getoption("lumyn_max_diffs"),
        policy=policy_override(config),
        update=_update(config),
        accept_looser=bool(config.getoption("lumyn_accept_looser")),
        review=bool(config.getoption("lumyn_review")),
    )


def _update(config: pytest.Config) -> Update | None:
    """Return which expectations to rewrite; raises UsageError where nobody would look at what was."""
    scope, review = config.getoption("lumyn_update"), config.getoption("lumyn_review")
    if scope and review:
        raise pytest.UsageError("lumyn: --lumyn-review asks about each change, --lumyn-update about none: choose one")
    name = "--lumyn-update" if scope else "--lumyn-review" if review else ""
    if not name:
        if config.getoption("lumyn_accept_looser"):
            raise pytest.UsageError("lumyn: --lumyn-accept-looser has no effect without --lumyn-update")
        return None
    if any(os.environ.get(variable) for variable in CI_VARIABLES):
        raise pytest.UsageError(
            f"lumyn: {name} is refused where {' or '.join(CI_VARIABLES)} is set: a drift is accepted by whoever "
            "reviews the change, not by the machine that found it"
        )
    if config.getoption("lumyn_policy"):
        raise pytest.UsageError(
            f"lumyn: {name} with --lumyn-policy would have vectors expect what a policy they do not name decides; "
            "change the policy they name, or set ini lumyn_policy"
        )
    return Update(scope) if scope else None


def _roots(config: pytest.Config) -> tuple[Root, ...]:
    option: list[str] = config.getoption("lumyn_path")
    names = option or config.getini("lumyn_paths")
    if not names:
        return (Root(absolute(DEFAULT_ROOT, config.rootpath), DEFAULT_ROOT, False),)
    source = "--lumyn-path" if option else "ini lumyn_paths"
    start = config.invocation_params.dir if option else config.rootpath
    roots: dict[Path, Root] = {}
    for name in names:
        if not name:
            raise pytest.UsageError(f"lumyn: {source}: a path is empty")
        literal = absolute(name, start)
        found = [literal] if literal.exists() else [Path(match) for match in glob.glob(str(literal), recursive=True)]
        if not found:
            raise pytest.UsageError(f"lumyn: {source}: no such file or directory: {name}")
        for path in found:
            if not path.is_relative_to(config.rootpath):
                raise pytest.UsageError(
                    f"lumyn: {source}: {name} lies outside the rootdir {config.rootpath}; policies are named relative "
                    "to the rootdir, so choose one that holds both with --rootdir"
                )
            roots.setdefault(path, Root(path, name, True))
    return tuple(roots[path] for path in sorted(roots))


def _covered(roots: Sequence[Root], paths: Sequence[Path]) -> bool:
    """Whether there are roots, and each lies below one of the paths."""
    there = [root for root in roots if root.path.exists()]
    return bool(there) and all(any(root.path.is_relative_to(path) for path in paths) for root in there)


def _argument_path(config: pytest.Config, argument: str) -> Path:
    return absolute(argument.partition("::")[0], config.invocation_params.dir)


def _since(config: pytest.Config) -> str | None:
    option = config.getoption("lumyn_base")
    name = config.getini("lumyn_base") if option is None else option
    if not name and option is None:
        return None
    if not name.startswith(GIT) or not name.removeprefix(GIT):
        source = "ini lumyn_base" if option is None else "--lumyn-base"
        raise pytest.UsageError(f"lumyn: {source}: name a revision as in git:origin/main, not {name!r}")
    return str(name).removeprefix(GIT)


def _min_vectors(config: pytest.Config) -> int:
    option: int | None = config.getoption("lumyn_min_vectors")
    if option is not None:
        return option
    least = int(ini(config, "lumyn_min_vectors"))
    if least < 0:
        raise pytest.UsageError(f"lumyn: ini lumyn_min_vectors: less than no vector: {least}")
    return least
