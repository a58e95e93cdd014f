"""
Writing the files of a workspace: new ones never over what is there, replaced ones whole or not at all.
Must not know what the files say.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from lumyn import _files
from lumyn.errors import StoreUnavailableError

__all__ = ["Written", "make_folder", "new_file", "replace_file", "write_file"]


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


@contextlib.contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """
    Write a file of any size whole or not at all: it is at `path` only once the block has ended without an error.

    Raises:
        StoreUnavailableError: `PATH_NOT_WRITABLE`; `PATH_EXISTS` when something is there and `force` is not given.
    """
    if not force and os.path.lexists(path):
        raise _exists(path)
    with _reported(path):
        make_folder(path.parent)
        draft = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")
        try:
            with draft.open("xb") as stream:
                yield stream
            _put_in_place(draft, path, force=force)
        finally:
            draft.unlink(missing_ok=True)


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


def _put_in_place(draft: Path, path: Path, *, force: bool) -> None:
    if force:
        draft.replace(path)
        return
    try:
        os.link(draft, path)  # unlike a rename, never over what somebody has put there meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise _exists(path) from None
        draft.rename(path)


def _exists(path: Path) -> StoreUnavailableError:
    message = f"`{path}` is there already"
    return StoreUnavailableError(message, detail="PATH_EXISTS", hint="choose another name, or replace it with --force")


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "i/o error").lower()
        message = f"cannot write `{path}`: {reason}"
        raise StoreUnavailableError(message, detail="PATH_NOT_WRITABLE") from None
