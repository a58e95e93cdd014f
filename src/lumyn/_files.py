"""
Writes and replaces files whole or not at all.
Must not know what a file says or who wants it written.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

__all__ = ["create_file", "replace_file"]

_NEW: Final = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def replace_file(path: Path, data: bytes, *, mode: int = 0o666, edited: bool = False) -> None:
    """
    Put a whole new file in place of whatever is there; a symbolic link is replaced, not followed.

    Args:
        mode: Permissions, less what the process's umask takes away.
        edited: Whether it is somebody's file with a change in it: it keeps the permissions it has, and reaches the disk
            before it takes the place of the old one.

    Raises:
        OSError: Nothing was changed.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    create_file(draft, data, mode=0o600 if edited else mode, sync=edited)
    try:
        if edited:
            draft.chmod(path.stat().st_mode & 0o7777)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def create_file(path: Path, data: bytes, *, mode: int = 0o666, sync: bool = False) -> None:
    """
    Write a new file; with `sync` it has reached the disk on return.

    Raises:
        FileExistsError: Something is there.
        OSError: It could not be written; no part of it is left.
    """
    with open(os.open(path, _NEW, mode), "wb") as stream:
        try:
            stream.write(data)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
