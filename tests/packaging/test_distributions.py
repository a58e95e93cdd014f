"""What the wheel and the sdist hold: everything that ships, byte for byte, and nothing else."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = {
    "src/lumyn": "lumyn",
    "pytest_lumyn": "pytest_lumyn",
    "schemas": "lumyn/_data/schemas",
    "policies": "lumyn/_data/policies",
    "vectors": "lumyn/_data/vectors",
}

pytestmark = [pytest.mark.packaging, pytest.mark.slow, pytest.mark.xdist_group("packaging")]


def files(folder: Path) -> Iterator[Path]:
    """Yield the source files below a folder."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def sha256(data: bytes) -> str:
    """Return the hex digest."""
    return hashlib.sha256(data).hexdigest()


def test_wheel_holds_every_shipped_file_byte_for_byte(distributions: dict[str, Path], source_copy: Path) -> None:
    """Schemas, policies, vectors and code are the top-level ones; besides them there is only metadata."""
    expected = {
        f"{target}/{path.relative_to(source_copy / source).as_posix()}": sha256(path.read_bytes())
        for source, target in SHIPPED.items()
        for path in files(source_copy / source)
    }
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        held = {name: sha256(wheel.read(name)) for name in wheel.namelist() if ".dist-info/" not in name}
    assert expected == held


def test_wheel_metadata(distributions: dict[str, Path]) -> None:
    """Licence, typing marker, entry points and the Python floor are declared."""
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        names = {name.split(".dist-info/")[1]: name for name in wheel.namelist() if ".dist-info/" in name}
        metadata = Parser().parsestr(wheel.read(names["METADATA"]).decode("utf-8"))
        entry_points = wheel.read(names["entry_points.txt"]).decode("utf-8")
        licence = wheel.read(names["licenses/LICENSE"])
        assert "lumyn/py.typed" in wheel.namelist()
    assert ("lumyn", ">=3.11", "Apache-2.0") == (
        metadata["Name"],
        metadata["Requires-Python"],
        metadata["License-Expression"],
    )
    assert "Framework :: Pytest" in metadata.get_all("Classifier", [])
    assert (ROOT / "LICENSE").read_bytes() == licence
    assert "lumyn = lumyn.__main__:main" in entry_points
    assert "[pytest11]\nlumyn = pytest_lumyn.plugin" in entry_points


def test_sdist_holds_the_sources_and_no_leftovers(distributions: dict[str, Path], source_copy: Path) -> None:
    """The sdist can be built, tested and read on its own."""
    with tarfile.open(distributions["sdist"]) as sdist:
        names = {member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()}
    expected = {
        path.relative_to(source_copy).as_posix()
        for source in (*SHIPPED, "tests", "docs", "examples")
        for path in files(source_copy / source)
    }
    expected |= {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tox.ini"}
    assert set() == expected - names
    assert [] == [
        name
        for name in names
        if name.startswith((".git/", ".tox/", ".venv/", ".ci/", "dist/")) or "__pycache__" in name
    ]
