"""
Reading files that a user or another document names, without hanging, escaping a root or filling memory.
Returns bytes and chooses the parser by suffix; must not know what the files are for.
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from lumyn.documents.document import DEFAULT_LIMITS, Document, Limits, too_large
from lumyn.documents.strict_json import load_json
from lumyn.documents.strict_yaml import load_yaml
from lumyn.errors import InvalidDocumentError, Problem

__all__ = ["load", "read_bytes"]

# A FIFO without a writer blocks open() unless this flag is given; Windows has neither.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def load(
    data: bytes,
    *,
    file: str,
    error: type[InvalidDocumentError] = InvalidDocumentError,
    limits: Limits = DEFAULT_LIMITS,
) -> Document:
    """
    Parse `data` as the suffix of `file` says: `.json` is JSON, `.yaml` and `.yml` are YAML.

    Raises:
        InvalidDocumentError: As `error`; any problem of `load_json` or `load_yaml`, or `FILE_TYPE_UNKNOWN`.
    """
    suffix = PurePath(file).suffix.lower()
    if suffix == ".json":
        return load_json(data, file=file, error=error, limits=limits)
    if suffix in {".yaml", ".yml"}:
        return load_yaml(data, file=file, error=error, limits=limits)
    raise error(
        [
            Problem(
                code="FILE_TYPE_UNKNOWN",
                message=f"cannot tell the format of `{file}`",
                hint="name it .yaml, .yml or .json",
            )
        ]
    )


def read_bytes(
    path: Path,
    *,
    error: type[InvalidDocumentError] = InvalidDocumentError,
    limits: Limits = DEFAULT_LIMITS,
    root: Path | None = None,
) -> bytes:
    """
    Return the content of a regular file of at most `limits.max_bytes`. Never blocks on a FIFO or device.

    Args:
        root: When given, the file must lie below it after every symbolic link is followed. A path outside is
            refused before anything is said about whether it exists.

    Raises:
        InvalidDocumentError: As `error`; `PATH_OUTSIDE_ROOT`, `PATH_NOT_FOUND`, `PATH_NOT_FILE`,
            `PATH_NOT_READABLE`, or `TOO_LARGE`.
    """
    try:
        # Without a root nothing is resolved: what `/dev/fd/63` leads to, a pipe, has no path of its own to be found at.
        real = path if root is None else path.resolve()
        if root is not None and not real.is_relative_to(root.resolve()):
            raise error([Problem(code="PATH_OUTSIDE_ROOT", message=f"`{path}` leads outside `{root}`")])
        _require_regular(os.stat(real), path, error)
        descriptor = os.open(real, _FLAGS)
        with open(descriptor, "rb") as stream:
            # Asked again of the open file: the path may have been swapped since.
            _require_regular(os.fstat(descriptor), path, error)
            data = stream.read(limits.max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise error([Problem(code="PATH_NOT_FOUND", message=f"no such file: `{path}`")]) from None
    except (OSError, ValueError, RuntimeError) as cause:
        # RuntimeError: a loop of symbolic links, before Python 3.13; ValueError: a NUL in the path.
        reason = cause.strerror.lower() if isinstance(cause, OSError) and cause.strerror else "not a usable path"
        raise error([Problem(code="PATH_NOT_READABLE", message=f"cannot read `{path}`: {reason}")]) from None
    if len(data) > limits.max_bytes:
        problem = too_large(limits, error=error)
        raise error([replace(problem, message=f"`{path}` is {problem.message}")])
    return data


def _require_regular(status: os.stat_result, path: Path, error: type[InvalidDocumentError]) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise error([Problem(code="PATH_NOT_FILE", message=f"not a regular file: `{path}`")])
