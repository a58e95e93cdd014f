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

_NEW: Final = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)


def replace_file(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """
    Put a whole new file in place of whatever is there; a symbolic link is replaced, not followed.

    Args:
        mode: Permissions, less what the process's umask takes away.

    Raises:
        OSError: Nothing was changed.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    create_file(draft, data, mode=mode)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def create_file(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """
    Write a new file.

    Raises:
        FileExistsError: Something is there.
        OSError: It could not be written; no part of it is left.
    """
    with open(os.open(path, _NEW, mode), "wb") as stream:
        try:
            stream.write(data)
            stream.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise
