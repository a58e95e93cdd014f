"""Distributions built from a copy of the tree, and clean environments that hold them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from installations import Installation, succeed

ROOT = Path(__file__).resolve().parents[2]

# What a checkout holds besides its sources; none of it may reach a distribution.
_NOT_SOURCES = shutil.ignore_patterns(
    ".git", ".venv", "venv", ".tox", ".nox", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis",
    ".lumyn", ".benchmarks", "uv.lock",
)  # fmt: skip


@pytest.fixture(scope="session")
def source_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree without version control, as it would be in a clean clone."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(ROOT, copy, ignore=_NOT_SOURCES)
    return copy


@pytest.fixture(scope="session")
def distributions(source_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist built from the tree and the wheel built from that sdist; the tree they came from is gone afterwards."""
    tree = tmp_path_factory.mktemp("build") / "tree"
    shutil.copytree(source_copy, tree)
    out = tmp_path_factory.mktemp("dist")
    succeed(sys.executable, "-m", "build", "--outdir", out, tree, cwd=tree)
    shutil.rmtree(tree)
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


@pytest.fixture(scope="session", params=["wheel", "sdist", "editable"])
def installation(
    request: pytest.FixtureRequest, source_copy: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """Lumyn in a clean environment, one for each way of installing it."""
    kind: str = request.param
    home = tmp_path_factory.mktemp(f"venv-{kind}")
    away = tmp_path_factory.mktemp("away")
    what = ["-e", source_copy] if kind == "editable" else [request.getfixturevalue("distributions")[kind]]
    succeed(sys.executable, "-m", "venv", home, cwd=away)
    made = Installation(kind, home)
    succeed(made.python, "-m", "pip", "install", "--quiet", "--no-compile", *what, cwd=away)
    return made
