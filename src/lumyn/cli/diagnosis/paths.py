"""
Paths as people write them, and the repository around a workspace.
Must not read any file.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["repository_of", "shown"]


def shown(path: Path) -> str:
    """Return a path as people would write it: from the working directory when it is below, else whole."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def repository_of(folder: Path) -> Path | None:
    """Return the top of the git repository that holds `folder`, or None."""
    return next((each for each in (folder, *folder.parents) if _exists(each / ".git")), None)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # in a folder that may not be searched
