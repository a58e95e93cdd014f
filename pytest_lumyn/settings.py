"""
What the options of a run that asked for vectors amount to.
Must not know how a vector is read or run.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_lumyn.options import DEFAULT_PATTERNS, DEFAULT_ROOT, absolute, policy_override

__all__ = ["Root", "Settings", "read_settings"]


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
        complete: Whether nothing narrows down which files are visited: only then can a folder be called empty.
        explicit: Whether the command line itself, not an ini file, asked for vectors.
        allow_empty: Whether a run without any vector file is accepted.
        min_vectors: Fewest vectors a complete run may hold.
        max_diffs: How many drifts are printed in full; more are grouped by cause.
        policy: The policy to run every vector against, or None for the one its file names.
    """

    base: Path
    roots: tuple[Root, ...]
    patterns: tuple[str, ...]
    patterns_configured: bool
    arguments: tuple[Path, ...]
    complete: bool
    explicit: bool
    allow_empty: bool
    min_vectors: int
    max_diffs: int
    policy: Path | None


def read_settings(config: pytest.Config) -> Settings:
    """Read the options; raises UsageError for a path that does not exist and for a value that cannot be used."""
    given = config.args_source is config.ArgsSource.ARGS
    patterns = tuple(config.getini("lumyn_patterns"))
    return Settings(
        base=config.rootpath,
        roots=_roots(config),
        patterns=patterns or DEFAULT_PATTERNS,
        patterns_configured=bool(patterns),
        arguments=tuple(_argument_path(config, argument) for argument in config.args) if given else (),
        complete=not (given or config.getoption("ignore") or config.getoption("ignore_glob")),
        explicit="--lumyn-vectors" in config.invocation_params.args,
        allow_empty=bool(config.getoption("lumyn_allow_empty")),
        min_vectors=_min_vectors(config),
        max_diffs=config.getoption("lumyn_max_diffs"),
        policy=policy_override(config),
    )


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


def _argument_path(config: pytest.Config, argument: str) -> Path:
    return absolute(argument.partition("::")[0], config.invocation_params.dir)


def _min_vectors(config: pytest.Config) -> int:
    try:
        return int(config.getini("lumyn_min_vectors"))
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"lumyn: ini lumyn_min_vectors: {error}") from None
