"""Finding the files that ship with Lumyn: in a wheel, in a checkout, and never in the working directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumyn import _resources
from lumyn.errors import InstallationError

FOLDERS = ("schemas", "policies", "vectors")


@pytest.fixture
def fresh() -> Iterator[None]:
    """Forget what was found, before and after."""
    for function in (_resources.data_root, _resources.schema):
        function.cache_clear()
    yield
    for function in (_resources.data_root, _resources.schema):
        function.cache_clear()


def package(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Pretend that the package is installed in `folder`."""
    folder.mkdir(parents=True)
    monkeypatch.setattr(_resources, "_PACKAGE", folder)
    return folder


def test_schemas_policies_and_vectors_are_found() -> None:
    """Everything the package promises is there."""
    assert _resources.schema_path("decision_request.v0.schema.json").is_file()
    assert _resources.policies_dir().is_dir()
    assert _resources.vectors_dir().is_dir()
    assert (
        "https://lumyn.dev/schemas/decision_record.v0.schema.json"
        == (_resources.schema("decision_record.v0.schema.json")["$id"])
    )


def test_schema_is_read_once() -> None:
    """The content of a schema is kept."""
    name = "decision_request.v0.schema.json"
    assert _resources.schema(name) is _resources.schema(name)


@pytest.mark.usefixtures("fresh")
def test_data_inside_of_the_package_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed package uses its own copy, even when its folder looks like a checkout."""
    installed = package(monkeypatch, tmp_path / "src" / "lumyn")
    for folder in FOLDERS:
        (installed / "_data" / folder).mkdir(parents=True)
        (tmp_path / folder).mkdir()
    assert installed / "_data" == _resources.data_root()


@pytest.mark.usefixtures("fresh")
def test_checkout_is_used_when_the_package_holds_no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An editable installation reads the top-level folders."""
    package(monkeypatch, tmp_path / "src" / "lumyn")
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    assert tmp_path == _resources.data_root()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("place", ["site-packages", "src"])
def test_working_directory_never_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    """Folders of the user's repository, or beside site-packages, do not replace the contract."""
    package(monkeypatch, tmp_path / "lib" / place / "lumyn")
    beside = tmp_path / "lib" if place == "site-packages" else tmp_path
    for root in (beside, tmp_path / "work"):
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(InstallationError) as caught:
        _resources.data_root()
    assert "INSTALLATION_BROKEN" == caught.value.reason_code


@pytest.mark.parametrize("name", ["missing.json", "../pyproject.toml", "", ".", "/etc/passwd"])
def test_unknown_schema_is_an_installation_error(name: str) -> None:
    """A name that is not a file of the schemas folder finds nothing, whatever is there on disk."""
    with pytest.raises(InstallationError):
        _resources.schema_path(name)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("content", ["[]", "{", json.dumps("x")])
def test_damaged_schema_is_an_installation_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    """A schema file that is not a JSON object is reported as a broken installation."""
    installed = package(monkeypatch, tmp_path / "lumyn")
    for folder in FOLDERS:
        (installed / "_data" / folder).mkdir(parents=True)
    (installed / "_data" / "schemas" / "x.json").write_text(content)
    with pytest.raises(InstallationError):
        _resources.schema("x.json")
