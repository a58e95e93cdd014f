"""A folder in memory, for faults that no disk has a part in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system in memory where there is one: a thousand stores make ten thousand syncs."""
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="lumyn-faults-", dir=MEMORY) as folder:
        yield Path(folder)
