"""
Finds the vector files of a suite: folders, files and globs below one root, in an order that never varies.
Reads names only; must not know what a vector file holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from lumyn.errors import InvalidVectorError, Problem
from lumyn.policy.checks import quoted
from lumyn.vectors.findings import did_you_mean

__all__ = [
    "DEFAULT_PATTERNS",
    "SKIPPED_FOLDERS",
    "SUFFIXES",
    "discover",
    "is_skipped",
    "is_support",
    "is_vector_name",
    "misnamed",
]

SUFFIXES: Final = (".yaml", ".yml", ".json")
DEFAULT_PATTERNS: Final = ("vectors", "**/*.lumyn.yaml", "**/*.lumyn.yml", "**/*.lumyn.json")
"""Where vectors are when nothing is configured; a pattern of these may match nothing as long as one matches."""

_SUPPORT_PREFIX: Final = "_"
_DEFAULTS: Final = "_defaults"
_CLOSE: Final = 0.8
SKIPPED_FOLDERS: Final = frozenset({"node_modules", "__pycache__"})
_MAGIC: Final = re.compile(r"[*?\[]")


def is_support(name: str) -> bool:
    """Return whether a file of this name serves vectors without being one, such as `_defaults.yaml`."""
    return name.startswith(_SUPPORT_PREFIX)


def is_vector_name(name: str) -> bool:
    """Return whether a file of this name, in a folder of vectors, holds vectors."""
    return name.endswith(SUFFIXES) and not is_support(name)


def misnamed(name: str) -> Problem | None:
    """
    Return what is wrong with the name of a file, in a folder of vectors, that is all but one that would be read.

    Nobody would miss the vectors of `refund.YML`, nor what `_default.yaml` was meant to say.
    """
    lower = name.lower()
    if not lower.endswith(SUFFIXES):
        return None
    stem, dot, suffix = lower.rpartition(".")
    if is_support(name) and get_close_matches(stem, [_DEFAULTS], cutoff=_CLOSE):
        meant = f"{_DEFAULTS}{dot}{suffix}"
    else:
        meant = f"{name[: len(stem)]}{dot}{suffix}"
    if meant == name:
        return None
    message = f"{quoted(name)} would be passed over: it is not read under this name"
    return Problem(code="FILE_NAME_NEAR_MISS", message=message, hint=f"name it {quoted(meant)}")


def discover(root: Path, patterns: Iterable[str] = DEFAULT_PATTERNS, *, allow_empty: bool = False) -> list[Path]:
    """
    Return the vector files that `patterns` name, each once, sorted by path.

    Args:
        root: The suite root; nothing outside it is read.
        patterns: Folders (everything below them), files, or globs with `*`, `?`, `[...]` and `**`; relative to the
            root, or absolute and below it. Empty is as if nothing was found.
        allow_empty: Accept that nothing is found at all, as the default patterns may.

    Raises:
        InvalidVectorError: `VECTORS_EMPTY` when a pattern matches nothing, so that a misspelt folder is never a
            passing run; `FILE_NAME_NEAR_MISS` for a file in a folder that all but bears a name that is read;
            `PATH_OUTSIDE_ROOT` when a pattern or a symbolic link leads out of the root.
    """
    base = Path(os.path.abspath(root))
    given = tuple(patterns)
    found: dict[Path, None] = {}
    problems: list[Problem] = []
    for pattern in given:
        try:
            matched = list(_matches(base, pattern))
        except _RefusedError as refused:
            problems.append(refused.problem)
            continue
        if not matched and given != DEFAULT_PATTERNS and not allow_empty:
            problems.append(_nothing(base, pattern))
        found.update(dict.fromkeys(matched))
    if not found and not problems and not allow_empty:
        what = ", ".join(quoted(pattern) for pattern in given) or "no pattern"
        problems.append(
            Problem(
                code="VECTORS_EMPTY",
                message=f"no vector file found: {what} under {quoted(str(root))}",
                hint="`lumyn init` writes a first one",
            )
        )
    if problems:
        raise InvalidVectorError(problems)
    return sorted(found, key=lambda path: path.parts)


class _RefusedError(Exception):
    """A path cannot be used; caught in this module."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _outside(name: str) -> _RefusedError:
    message = f"{quoted(name)} leads outside the suite root"
    hint = "copy the file, or choose a root that holds both"
    return _RefusedError(Problem(code="PATH_OUTSIDE_ROOT", message=message, hint=hint))


def _matches(base: Path, pattern: str) -> Iterator[Path]:
    if "\0" in pattern:
        raise _RefusedError(Problem(code="PATH_INVALID", message="a path of vectors holds a NUL character"))
    relative = _relative(base, pattern)
    magic = _MAGIC.search(relative)
    if magic is None:
        path = base / relative
        _require_inside(base, path)
        if path.is_dir():
            yield from (file for file in _walk(base, path, strict=True) if _is_read(base, file))
        elif path.exists() and misnamed(path.name) is not None:
            _is_read(base, path)
        elif path.exists() and is_vector_name(path.name):
            yield path
        return
    folder = relative[: magic.start()].rpartition("/")[0]
    accept = _translate(relative)
    for file in _walk(base, base / folder, strict=bool(folder)):
        name = file.relative_to(base).as_posix()
        if is_vector_name(file.name) and accept.fullmatch(name):
            _require_inside(base, file)
            yield file
        elif not is_support(file.name) and accept.fullmatch(name.lower()):
            _is_read(base, file)


def _is_read(base: Path, file: Path) -> bool:
    """Return whether a file in a folder of vectors holds some; refuse one whose name only looks as if it did."""
    problem = misnamed(file.name)
    if problem is not None:
        place = file.relative_to(base).as_posix()
        message = problem.message.replace(quoted(file.name), quoted(place), 1)
        raise _RefusedError(Problem(code=problem.code, message=message, hint=problem.hint))
    return is_vector_name(file.name)


def _relative(base: Path, pattern: str) -> str:
    path = Path(os.path.abspath(base / pattern))
    if not path.is_relative_to(base):
        raise _outside(pattern)
    return path.relative_to(base).as_posix()


def _require_inside(base: Path, path: Path) -> None:
    if not path.resolve().is_relative_to(base.resolve()):
        raise _outside(path.relative_to(base).as_posix())


def _walk(base: Path, folder: Path, *, strict: bool, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """
    Yield every file below `folder`, symbolic links to folders followed, circles left out.

    Args:
        strict: Whether a link that leads outside and a folder that cannot be read are errors; under a glob that
            begins at the root they may be anybody's.
    """
    real = folder.resolve()
    if real in above:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        if not strict:
            return
        name = quoted(folder.relative_to(base).as_posix())
        message = f"cannot read the folder {name}: {(error.strerror or 'i/o error').lower()}"
        raise _RefusedError(Problem(code="PATH_NOT_READABLE", message=message)) from None
    for entry in entries:
        path = folder / entry.name
        if not entry.is_dir():
            if strict and entry.is_symlink():
                _require_inside(base, path)
            yield path
        elif not is_skipped(path):
            if entry.is_symlink() and not path.resolve().is_relative_to(base.resolve()):
                if strict:
                    raise _outside(path.relative_to(base).as_posix())
                continue
            yield from _walk(base, path, strict=strict, above=above | {real})


def is_skipped(folder: Path) -> bool:
    """Return whether a folder below one of vectors is passed over, and all that it holds."""
    name = folder.name
    if name.startswith(".") or name in SKIPPED_FOLDERS:
        return True
    try:
        return (folder / "pyvenv.cfg").exists()
    except PermissionError:  # whoever reads the folder is told so
        return False


def _translate(pattern: str) -> re.Pattern[str]:
    """Return the expression of a glob: `**/` any folders, `*` and `?` within one name."""
    parts: list[str] = []
    place = 0
    while place < len(pattern):
        rest = pattern[place:]
        group = re.match(r"\[[!^]?\]?[^]/]*\]", rest)
        if rest.startswith("**/"):
            parts.append("(?:[^/]+/)*")
            place += 3
        elif rest == "**":
            parts.append(".*")
            place += 2
        elif rest[0] in "*?":
            parts.append("[^/]*" if rest[0] == "*" else "[^/]")
            place += 1
        elif group:
            inner = group.group()[1:-1].replace("\\", "\\\\")
            parts.append(f"[^{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]")
            place += group.end()
        else:
            parts.append(re.escape(rest[0]))
            place += 1
    return re.compile("".join(parts))


def _nothing(base: Path, pattern: str) -> Problem:
    path = base / pattern
    hint = None
    if path.is_file():
        hint = f"vector files end in {', '.join(SUFFIXES)} and do not begin with `{_SUPPORT_PREFIX}`"
    elif not path.exists() and not _MAGIC.search(pattern) and path.parent.is_dir():
        hint = did_you_mean(path.name, (entry.name for entry in os.scandir(path.parent) if entry.name[0] != "."))
    message = f"{quoted(pattern)} matches no vector file"
    return Problem(code="VECTORS_EMPTY", message=message, hint=hint)
