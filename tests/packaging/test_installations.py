"""Wheel, sdist and editable installations work from any folder, with the tree they were built from out of reach."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from installations import Installation, run, succeed

from lumyn._version import __version__

ROOT = Path(__file__).resolve().parents[2]
DATA = ("schemas", "policies", "vectors")

pytestmark = [pytest.mark.packaging, pytest.mark.slow, pytest.mark.xdist_group("packaging")]


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below `folder`, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_code_that_runs_is_the_installed_one(installation: Installation, tmp_path: Path) -> None:
    """Nothing in these tests reaches the checkout the test suite runs from."""
    place = Path(installation.evaluate("lumyn.__file__", cwd=tmp_path))
    assert not place.is_relative_to(ROOT)
    if installation.kind != "editable":
        assert place.is_relative_to(installation.home)


def test_command_prints_its_version(installation: Installation, tmp_path: Path) -> None:
    """The console script works and knows its version."""
    assert __version__ in succeed(installation.bin / "lumyn", "--version", cwd=tmp_path)


@pytest.mark.parametrize("name", DATA)
def test_shipped_data_is_found_and_unchanged(
    installation: Installation, source_copy: Path, tmp_path: Path, name: str
) -> None:
    """Every schema, policy and vector is there, byte for byte, wherever the process was started."""
    found = Path(installation.evaluate("resources.data_root()", cwd=tmp_path)) / name
    assert digests(source_copy / name) == digests(found)


def test_a_folder_of_the_same_name_does_not_replace_the_contract(installation: Installation, tmp_path: Path) -> None:
    """Contracts come with the package, never from the working directory."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "policy.v0.schema.json").write_text("{}", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    found = Path(installation.evaluate("resources.data_root()", cwd=tmp_path))
    assert not found.is_relative_to(tmp_path)


@pytest.mark.parametrize("name", [*DATA, "tests", "docs"])
def test_data_folders_are_not_importable(installation: Installation, tmp_path: Path, name: str) -> None:
    """The distribution claims two top-level names, `lumyn` and `pytest_lumyn`, and no others."""
    if installation.kind == "editable":
        pytest.skip("an editable installation has the whole checkout on its path")
    assert run(installation.python, "-c", f"import {name}", cwd=tmp_path).returncode != 0


def test_shipped_policies_are_valid(installation: Installation, tmp_path: Path) -> None:
    """`lumyn policy validate` accepts each policy that ships."""
    policies = Path(installation.evaluate("resources.policies_dir()", cwd=tmp_path))
    for policy in sorted(policies.rglob("*.yml")):
        succeed(installation.bin / "lumyn", "policy", "validate", policy, cwd=tmp_path)


def test_shipped_vectors_pass_under_pytest(installation: Installation) -> None:
    """The installed plugin runs the shipped vectors, with warnings as errors."""
    data = Path(installation.evaluate("resources.data_root()", cwd=installation.home))
    printed = succeed(
        installation.bin / "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-c", "/dev/null",
        "--rootdir", data, "--lumyn-vectors", "vectors", cwd=data,
    )  # fmt: skip
    assert " passed" in printed
    assert " failed" not in printed


def test_demo_runs_in_an_empty_folder(installation: Installation, tmp_path: Path) -> None:
    """The demo needs no set-up and shows all four verdicts."""
    printed = succeed(installation.bin / "lumyn", "demo", cwd=tmp_path)
    for verdict in ("TRUST", "ESCALATE", "QUERY", "ABSTAIN"):
        assert verdict in printed


def test_the_service_says_what_it_needs(installation: Installation, tmp_path: Path) -> None:
    """It is an extra, which these installations are without."""
    done = run(installation.bin / "lumyn", "serve", cwd=tmp_path)
    assert (70, "") == (done.returncode, done.stdout)
    assert "[EXTRA_NOT_INSTALLED]" in done.stderr
    assert "lumyn[service]" in done.stderr


def test_plugin_does_not_disturb_other_projects(installation: Installation, tmp_path: Path) -> None:
    """In a project that never asks for vectors, pytest stays silent about Lumyn, even where warnings are errors."""
    (tmp_path / "test_it.py").write_text("import lumyn\n\ndef test_it() -> None:\n    assert lumyn\n", encoding="utf-8")
    printed = succeed(installation.bin / "pytest", "-W", "error", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "1 passed" in printed
    header = [line for line in printed.splitlines() if not line.startswith("plugins:")]
    assert [] == [line for line in header if "lumyn" in line.lower().replace(str(tmp_path).lower(), "")]
