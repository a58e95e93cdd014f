"""
Writing the files of a workspace: new ones never over what is there, replaced ones whole or not at all.
Must not know what the files say.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from lumyn import _files
from lumyn.errors import StoreUnavailableError

__all__ = ["Written", "make_folder", "replace_file", "write_file"]


class Written(StrEnum):
    """What became of a file that was to be written."""

    CREATED = "created"
    KEPT = "kept"
    REPLACED = "replaced"


def write_file(path: Path, text: str, *, force: bool = False) -> Written:
    """
    Write a file unless something is there; with `force`, replace what differs.

    Raises:
        StoreUnavailableError: `PATH_NOT_WRITABLE`.
    """
    with _reported(path):
        make_folder(path.parent)
        if not os.path.lexists(path):
            try:
                _files.create_file(path, text.encode())
            except FileExistsError:  # somebody else was faster
                return Written.KEPT
            return Written.CREATED
        if not force or path.read_bytes() == text.encode():
            return Written.KEPT
        replace_file(path, text)
        return Written.REPLACED


def replace_file(path: Path, text: str, *, mode: int = 0o666) -> None:
    """
    Put a whole new file in place of whatever is there; a symbolic link is replaced, not followed.

    Args:
        mode: Permissions, less what the process's umask takes away.

    Raises:
        StoreUnavailableError: `PATH_NOT_WRITABLE`.
    """
    with _reported(path):
        _files.replace_file(path, text.encode(), mode=mode)


def make_folder(path: Path, *, private: bool = False) -> None:
    """
    Make a folder and those above it, unless they are there; `private` is for its owner only.

    Raises:
        StoreUnavailableError: `PATH_NOT_WRITABLE`.
    """
    with _reported(path):
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700 if private else 0o777, exist_ok=True)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "i/o error").lower()
        message = f"cannot write `{path}`: {reason}"
        raise StoreUnavailableError(message, detail="PATH_NOT_WRITABLE") from None
