"""Applications without a network: one unsigned, one signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api.harness import KEYS, Client, configured


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """An unsigned service."""
    with Client(configured(tmp_path)) as opened:
        yield opened


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[Client]:
    """A service with one key for everything."""
    with Client(configured(tmp_path, keys=KEYS)) as opened:
        yield opened
