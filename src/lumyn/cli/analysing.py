"""
What the analysing commands share: policies named by file or by git revision, and what the vectors at hand decided.
Must not know what is made of either.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.progress import progress_bar
from lumyn.errors import InvalidPolicyError, InvalidVectorError, NotFoundError, Problem

if TYPE_CHECKING:
    from lumyn.analysis.observations import Observation
    from lumyn.policy.spec import Policy
    from lumyn.vectors.format import Vector

__all__ = [
    "GIT",
    "Loaded",
    "Observed",
    "Unusable",
    "load_vectors",
    "named_from",
    "observed",
    "policy_at",
    "print_failing",
    "print_unusable",
]

GIT: Final = "git:"
_PATIENCE_S: Final = 60
_MOST_UNUSABLE: Final = 3


def policy_at(text: str) -> Policy:
    """
    Return the policy in a file, or in a commit: `git:REV:PATH`, the path relative to the working directory.

    In a bare repository, where hooks of servers run, it is relative to the root.

    Raises:
        InvalidPolicyError: It cannot be read, or is not valid.
        NotFoundError: git does not know the revision or the path, or there is no git.
    """
    from lumyn.policy.loader import load_policy, parse_policy

    if not text.startswith(GIT):
        return load_policy(Path(text))
    revision, colon, path = text.removeprefix(GIT).partition(":")
    if not revision or not colon or not path or revision.startswith("-"):
        problem = Problem(code="PATH_NOT_FOUND", message=f"`{text}` is not of the form `git:REV:PATH`")
        raise InvalidPolicyError([problem])
    return parse_policy(_show(revision, path, text), file=f"{revision}:{path}")


def named_from(folder: Path, text: str) -> str:
    """Return a policy as vectors of a workspace name it: its path from the workspace's folder."""
    path = text.removeprefix(GIT).partition(":")[2] if text.startswith(GIT) else text
    return Path(os.path.relpath(Path(path).absolute(), folder.absolute())).as_posix()


def _show(revision: str, path: str, text: str) -> bytes:
    relative = not Path(path).is_absolute()
    if relative and _git("rev-parse", "--is-bare-repository") == "true\n":
        relative = False  # nothing is checked out there, so paths start from the root
    place = f"./{path}" if relative else path
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "show", f"{revision}:{place}"],  # noqa: S607
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        raise NotFoundError(f"`{text}` cannot be read: git did not answer", hint="is git installed?") from None
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = words[0].removeprefix("fatal: ") if words else "git failed"
        raise NotFoundError(f"`{text}` cannot be read: {reason}", hint=_hint(reason, revision, path))
    return done.stdout


def _hint(reason: str, revision: str, path: str) -> str | None:
    """Return what to do when git does not have it."""
    from lumyn.vectors.past import ownership_hint

    if "not a git repository" in reason:
        return None
    if (owned := ownership_hint(reason)) is not None:
        return owned
    if _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") is None:
        shallow = _git("rev-parse", "--is-shallow-repository") == "true\n"
        return (
            "this clone is shallow: fetch the revision first"
            if shallow
            else "is the revision fetched, and spelt right?"
        )
    moved = _git("diff", "--relative", "--name-status", "--diff-filter=R", "-M", revision) or ""
    for line in moved.splitlines():
        _, _, names = line.partition("\t")
        old, _, new = names.partition("\t")
        if new == path:
            return f"it was renamed since: `{GIT}{revision}:{old}`"
    return "the path starts from the working directory; where a revision has no policy yet, there is nothing to compare"


def _git(*arguments: str) -> str | None:
    """Return what git prints, or None: it fails."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return None if done.returncode else done.stdout.decode("utf-8", "replace")


class Unusable(NamedTuple):
    """A file, or one vector in it, that cannot be run; `more` counts its problems beside the first."""

    file: str
    problem: Problem
    more: int


class Loaded(NamedTuple):
    """The vectors that can run, and what cannot, by file."""

    vectors: list[Vector]
    unusable: list[Unusable]


def load_vectors(folder: Path, paths: list[str] | None) -> Loaded:
    """
    Return every vector that can run, and which files cannot be used.

    Args:
        paths: Files or folders, all of which must be usable; default every vector below `folder`, and then having
            none is fine.

    Raises:
        InvalidVectorError: A file that was named cannot be used, or which files there are cannot be told.
    """
    from lumyn.vectors.discovery import DEFAULT_PATTERNS, discover
    from lumyn.vectors.loader import load_suite

    patterns = DEFAULT_PATTERNS if not paths else [str(Path(path).absolute()) for path in paths]
    found: list[Vector] = []
    unusable: list[Unusable] = []
    files = discover(folder, patterns, allow_empty=not paths)
    for file in files:
        try:
            suite = load_suite(file, root=folder)
            if suite.problems:
                raise InvalidVectorError(suite.problems)
        except (InvalidVectorError, InvalidPolicyError) as error:
            if paths:
                raise
            unusable.append(Unusable(_shown(file, folder), error.problems[0], len(error.problems) - 1))
            continue
        broken = [problem for vector in suite.vectors for problem in vector.problems]
        if broken and paths:
            raise InvalidVectorError(broken)
        if broken:
            unusable.append(Unusable(_shown(file, folder), broken[0], len(broken) - 1))
        found += [each for each in suite.vectors if each.skip is None and each.xfail is None and not each.problems]
    return Loaded(found, unusable)


def _shown(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file.absolute(), folder.absolute())).as_posix()


def print_unusable(console: Console, unusable: list[Unusable]) -> None:
    """Say which vector files take no part, and why."""
    for each in unusable[:_MOST_UNUSABLE]:
        where = "" if each.problem.span is not None else f"{each.file}: "
        more = f", and {counted_noun(each.more, 'problem')} more" if each.more else ""
        console.line(("left out ", "yellow"), f"{where}{each.problem}{more}", hang=9)
    if len(unusable) > _MOST_UNUSABLE:
        files = counted_noun(len(unusable) - _MOST_UNUSABLE, "vector file")
        console.line(("left out ", "yellow"), f"{files} more; `lumyn vectors run` says why", hang=9)


def print_failing(console: Console, failing: list[str]) -> None:
    """Say which vectors take no part because they fail."""
    if failing:
        more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
        said = "fails and counts" if len(failing) == 1 else "fail and count"
        console.line(
            ("left out ", "yellow"), f"{failing[0]}{more} {said} for nothing; `lumyn vectors run` says why", hang=9
        )


class Observed(NamedTuple):
    """What vectors decided, and the ids of those that pass under none of the policies."""

    rows: list[Observation]
    failing: list[str]


def observed(vectors: list[Vector], *policies: Policy) -> Observed:
    """Return what vectors about policies of the same name decide, each under the first policy under which it passes."""
    about = [vector for vector in vectors if vector.policy is None or vector.policy.policy_id == policies[0].policy_id]
    found = Observed([], [])
    with progress_bar("running vectors") as progress:
        for place, vector in enumerate(about):
            rows = _decisions(vector, policies)
            if rows is None:
                found.failing.append(vector.node_id)
            else:
                found.rows.extend(rows)
            if progress is not None:
                progress(place + 1, len(about))
    return found


def _decisions(vector: Vector, policies: tuple[Policy, ...]) -> list[Observation] | None:
    """Return what a vector decides, None when it passes under no policy."""
    from lumyn.analysis.observations import observe
    from lumyn.vectors.runner import Outcome, run

    for policy in policies:
        result = run(vector, policy=policy)
        if result.outcome is Outcome.PASSED:
            return observe([result], policy)
    return None
