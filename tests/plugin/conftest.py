"""Each test gets its own copy of the repository in `shop`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from plugin.shop import POLICY, VECTORS

from lumyn.testing import Repo


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    """Make a repository of the policy, the vectors, and what else is given; None leaves a file out."""

    def make(files: dict[str, str | None] | None = None) -> Repo:
        usual: dict[str, str | None] = {
            "pytest.ini": "[pytest]\n",
            "policies/shop.yml": POLICY,
            "vectors/shop/refund.yml": VECTORS,
        }
        wanted = usual | (files or {})
        return Repo({name: text for name, text in wanted.items() if text is not None}, path=tmp_path / "repo")

    return make


@pytest.fixture
def repo(make_repo: Callable[..., Repo]) -> Repo:
    return make_repo()
