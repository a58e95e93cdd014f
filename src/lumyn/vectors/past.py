"""
The vectors of an earlier revision, read out of git into a folder that is thrown away.
Changes nothing in the repository; must not know what has become of the vectors since.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from lumyn.documents import load
from lumyn.errors import InvalidDocumentError, InvalidVectorError, NotFoundError
from lumyn.model import JsonValue
from lumyn.vectors.discovery import SUFFIXES
from lumyn.vectors.format import Suite
from lumyn.vectors.loader import load_suite
from lumyn.vectors.sources import LIMITS

__all__ = ["Past", "find_commit", "ownership_hint", "suites_at"]

_REVISION: Final = re.compile(r"[A-Za-z0-9_@^~./{}+#%=,:!-]+")
_REGULAR: Final = ("100644", "100755")
_TIMEOUT_S: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """
    The vectors of a revision.

    Attributes:
        commit: Its full name.
        suites: By path relative to the suite root, with forward slashes.
        unreadable: Files that cannot be used as they were then -> why.
    """

    commit: str
    suites: Mapping[str, Suite]
    unreadable: Mapping[str, str]


def find_commit(root: Path, revision: str) -> str:
    """
    Return the full name of the commit that a revision is, in the repository that `root` is in.

    Raises:
        NotFoundError: There is no git, no repository, or no such revision in it.
    """
    return _Git(root).commit(revision)


@contextmanager
def suites_at(root: Path, revision: str, *, holds_vectors: Callable[[PurePosixPath], bool]) -> Iterator[Past]:
    """
    Yield the vectors that a revision holds below `root`; their files are there until the block ends.

    Args:
        revision: As git names them; never taken for an option.
        holds_vectors: Whether a path, relative to the root, is one of a vector file.

    Raises:
        NotFoundError: There is no git, no repository, or no such revision in it.
    """
    git = _Git(root)
    commit = git.commit(revision)
    blobs = git.files(commit)
    wanted = {path for path in blobs if holds_vectors(path)}
    support = {path for path in blobs if path.name in {f"_defaults{suffix}" for suffix in SUFFIXES}}
    with tempfile.TemporaryDirectory(prefix="lumyn-base-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        git.write({path: blobs[path] for path in wanted | support}, folder)
        named = {path for each in wanted | support for path in _named(folder / each)} & blobs.keys()
        git.write({path: blobs[path] for path in named - wanted - support}, folder)
        suites: dict[str, Suite] = {}
        unreadable: dict[str, str] = {}
        for path in sorted(wanted):
            try:
                suites[str(path)] = load_suite(folder / path, root=folder, open_expectations=True, revising=True)
            except InvalidDocumentError as error:
                unreadable[str(path)] = str(error.problems[0])
        yield Past(commit=commit, suites=suites, unreadable=unreadable)


class _Git:
    """Asks git about the repository that a folder is in; every argument is a word of its own, and no shell is used."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prefix = self._text("rev-parse", "--show-prefix").strip("\n")

    def commit(self, revision: str) -> str:
        """Return the full name of a commit."""
        hint = "name a branch, tag or commit that is here; a shallow clone has no history: fetch it (`fetch-depth: 0`)"
        if revision.startswith("-") or not _REVISION.fullmatch(revision):
            raise NotFoundError(f"`{revision[:80]!a}` is not a revision", reason_code="REVISION_NOT_FOUND")
        try:
            return self._text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
        except NotFoundError:
            message = f"git knows no commit `{revision[:80]}`"
            raise NotFoundError(message, reason_code="REVISION_NOT_FOUND", hint=hint) from None

    def files(self, commit: str) -> dict[PurePosixPath, str]:
        """Return the regular files of a commit below the root: path relative to it -> name of the content."""
        listed = self._run(
            "ls-tree", "-r", "-z", "--full-tree", commit, "--", *([self._prefix] if self._prefix else [])
        )
        found: dict[PurePosixPath, str] = {}
        for entry in listed.split(b"\0"):
            head, tab, name = entry.partition(b"\t")
            words = head.decode("ascii", "replace").split()
            if not tab or len(words) != len(("mode", "type", "object")) or words[0] not in _REGULAR:
                continue
            path = PurePosixPath(os.fsdecode(name).removeprefix(self._prefix))
            if ".." not in path.parts and not path.is_absolute():
                found[path] = words[2]
        return found

    def write(self, blobs: Mapping[PurePosixPath, str], folder: Path) -> None:
        """Write contents below `folder`; what is too large to be a vector file is left out."""
        asked = "".join(f"{name}\n" for name in blobs.values()).encode()
        answered = self._run("cat-file", "--batch", given=asked)
        place = 0
        for path in blobs:
            end = answered.index(b"\n", place)
            size = answered[place:end].rsplit(b" ", 1)[-1]
            if not size.isdigit():
                message = "git does not have the whole commit"
                raise NotFoundError(message, reason_code="REVISION_NOT_FOUND", hint="fetch it without a filter")
            length = int(size)
            content = answered[end + 1 : end + 1 + length]
            place = end + 1 + length + 1
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content[: LIMITS.max_bytes + 1])

    def _text(self, *arguments: str) -> str:
        return self._run(*arguments).decode("utf-8", "surrogateescape")

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["git", "--no-replace-objects", "--literal-pathspecs", *arguments]
        # Variables that a hook of git sets would lead to another repository or index.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            done = subprocess.run(  # noqa: S603 - a list of words, checked above
                command,
                cwd=self._root,
                env=kept | {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"},
                input=given,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            raise NotFoundError("git did not answer", reason_code="GIT_NOT_FOUND", hint="is git installed?") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = said[0].removeprefix("fatal: ") if said else "it failed"
            raise NotFoundError(f"git cannot tell: {reason}", reason_code="GIT_NOT_FOUND", hint=ownership_hint(reason))
        return done.stdout


def ownership_hint(reason: str) -> str | None:
    """Return what to do where git refuses a repository that belongs to another user, as in a container; else None."""
    if "dubious ownership" not in reason:
        return None
    return "another user owns it: `git config --global --add safe.directory FOLDER` lets git read it all the same"


def _named(path: Path) -> Iterator[PurePosixPath]:
    """Yield whatever a vector file may name: policies and golden records are among it."""
    try:
        value = load(path.read_bytes(), file=path.name, error=InvalidVectorError, limits=LIMITS).value
    except InvalidDocumentError:
        return
    for text in _texts(value):
        yield PurePosixPath(os.path.normpath(text))


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _texts(below)
