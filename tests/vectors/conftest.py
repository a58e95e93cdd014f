"""A suite root for every test that asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from vector_suites import POLICY, Root


@pytest.fixture
def suite_root(tmp_path: Path) -> Root:
    """A suite root with a policy at `policies/p.yml`."""
    root = Root(tmp_path)
    root.write("policies/p.yml", POLICY)
    return root
