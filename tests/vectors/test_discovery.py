"""Which files are vectors, in which order, and that a misspelt folder is never a passing run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumyn.errors import InvalidVectorError
from lumyn.vectors.discovery import DEFAULT_PATTERNS, discover, is_skipped, is_support, is_vector_name


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files of every kind."""
    for name in (
        "vectors/b.yaml",
        "vectors/a.yml",
        "vectors/a/z.json",
        "vectors/a/_defaults.yaml",
        "vectors/_golden.json",
        "vectors/notes.md",
        "vectors/.hidden/x.yaml",
        "src/pay.lumyn.yaml",
        "src/deep/pay.lumyn.json",
        "src/_pay.lumyn.yml",
        "src/other.yaml",
        ".venv/lib/x.lumyn.yaml",
        "env/pyvenv.cfg",
        "env/x.lumyn.yaml",
        "node_modules/x/x.lumyn.yaml",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    return tmp_path


def names(root: Path, *patterns: str) -> list[str]:
    """Return what is found, relative to the root."""
    return [path.relative_to(root).as_posix() for path in discover(root, patterns or DEFAULT_PATTERNS)]


def code(root: Path, *patterns: str) -> str:
    """Return the one code with which discovery refuses."""
    with pytest.raises(InvalidVectorError) as raised:
        discover(root, patterns)
    (problem,) = raised.value.problems
    return problem.code


def test_defaults(tree: Path) -> None:
    """The folder `vectors`, and scenario files anywhere but in hidden folders and other people's packages."""
    expected = ["src/deep/pay.lumyn.json", "src/pay.lumyn.yaml", "vectors/a/z.json", "vectors/a.yml", "vectors/b.yaml"]
    assert expected == names(tree)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("vectors", ["vectors/a/z.json", "vectors/a.yml", "vectors/b.yaml"]),
        ("vectors/", ["vectors/a/z.json", "vectors/a.yml", "vectors/b.yaml"]),
        ("vectors/*.yaml", ["vectors/b.yaml"]),
        ("vectors/**/*.json", ["vectors/a/z.json"]),
        ("vectors/**", ["vectors/a/z.json", "vectors/a.yml", "vectors/b.yaml"]),
        ("**/*.lumyn.*", ["src/deep/pay.lumyn.json", "src/pay.lumyn.yaml"]),
        ("vectors/?.y[am]*", ["vectors/a.yml", "vectors/b.yaml"]),
        ("vectors/[!a].yaml", ["vectors/b.yaml"]),
        ("src/other.yaml", ["src/other.yaml"]),
        ("./vectors/../src/other.yaml", ["src/other.yaml"]),
    ],
)
def test_patterns(tree: Path, pattern: str, expected: list[str]) -> None:
    """Folders, files and globs; support files never."""
    assert expected == names(tree, pattern)


def test_absolute_patterns_and_repetition(tree: Path) -> None:
    """A file is found once, however it is named."""
    assert ["vectors/b.yaml"] == names(tree, str(tree / "vectors/b.yaml"), "vectors/*.yaml", "vectors/b.yaml")


@pytest.mark.parametrize("pattern", ["vektors", "vectors/*.toml", "vectors/_golden.json", "vectors/notes.md", "x/**"])
def test_what_matches_nothing_is_an_error(tree: Path, pattern: str) -> None:
    """Also beside a pattern that matches."""
    assert "VECTORS_EMPTY" == code(tree, pattern)
    assert "VECTORS_EMPTY" == code(tree, "vectors", pattern)


def test_an_empty_folder_and_an_empty_root_are_errors(tmp_path: Path) -> None:
    """A gate that collects nothing must be red."""
    (tmp_path / "vectors").mkdir()
    assert "VECTORS_EMPTY" == code(tmp_path, "vectors")
    assert "VECTORS_EMPTY" == code(tmp_path, *DEFAULT_PATTERNS)
    assert "VECTORS_EMPTY" == code(tmp_path)
    assert [] == discover(tmp_path, ["vectors"], allow_empty=True)


def test_a_misspelt_folder_gets_a_suggestion(tree: Path) -> None:
    """The nearest name beside it."""
    with pytest.raises(InvalidVectorError, match="did you mean `vectors`"):
        discover(tree, ["vectrs"])


def test_one_of_the_default_patterns_is_enough(tmp_path: Path) -> None:
    """A project may have a folder of vectors, or scenario files, or both."""
    (tmp_path / "a.lumyn.yml").write_text("", encoding="utf-8")
    assert ["a.lumyn.yml"] == names(tmp_path)


def test_outside_the_root(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """By path, by link to a file and by link to a folder."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.yaml").write_text("", encoding="utf-8")
    assert "PATH_OUTSIDE_ROOT" == code(tree, "../x")
    assert "PATH_OUTSIDE_ROOT" == code(tree, str(outside))
    link = tree / "vectors" / "x.yaml"
    link.symlink_to(outside / "x.yaml")
    assert "PATH_OUTSIDE_ROOT" == code(tree, "vectors")
    assert "PATH_OUTSIDE_ROOT" == code(tree, "vectors/*.yaml")
    assert "PATH_OUTSIDE_ROOT" == code(tree, "vectors/x.yaml")
    link.unlink()
    (tree / "vectors" / "folder").symlink_to(outside)
    assert "PATH_OUTSIDE_ROOT" == code(tree, "vectors")
    assert "PATH_OUTSIDE_ROOT" == code(tree, "vectors/**/*.yaml")


def test_links_of_others_are_none_of_our_business(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A glob from the root passes folders and files that have nothing to do with vectors."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.lumyn.yaml").write_text("", encoding="utf-8")
    (tree / "notes.txt").symlink_to(outside / "x.lumyn.yaml")
    (tree / "elsewhere").symlink_to(outside)
    assert "src/pay.lumyn.yaml" in names(tree)
    assert "elsewhere/x.lumyn.yaml" not in names(tree)
    (tree / "ours.lumyn.yaml").symlink_to(outside / "x.lumyn.yaml")
    assert "PATH_OUTSIDE_ROOT" == code(tree, "**/*.lumyn.yaml")


def test_links_inside_the_root_are_followed_and_circles_are_not(tree: Path) -> None:
    """A linked folder of vectors must not be dropped in silence."""
    (tree / "more").mkdir()
    (tree / "more" / "c.yaml").write_text("", encoding="utf-8")
    (tree / "vectors" / "linked").symlink_to(tree / "more")
    (tree / "more" / "back").symlink_to(tree / "vectors")
    found = names(tree, "vectors")
    assert "vectors/linked/c.yaml" in found
    assert len(found) < 12


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that cannot be read")
def test_a_folder_that_cannot_be_read(tree: Path) -> None:
    """What is in it was asked for."""
    folder = tree / "vectors" / "a"
    folder.chmod(0)
    try:
        assert "PATH_NOT_READABLE" == code(tree, "vectors")
    finally:
        folder.chmod(0o700)


def test_a_folder_that_refuses_even_the_superuser(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network drive that is gone: named it is an error, beside a glob it is anybody's."""
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert "PATH_NOT_READABLE" == code(tree, "vectors")
    assert ["vectors/a.yml", "vectors/b.yaml"] == [name for name in names(tree, "**/*.y*ml") if name[:8] == "vectors/"]


@pytest.mark.parametrize(
    ("name", "vector", "support"),
    [
        ("a.yaml", True, False),
        ("a.lumyn.json", True, False),
        ("_a.yaml", False, True),
        ("a.toml", False, False),
        ("a.YAML", False, False),
    ],
)
def test_names(name: str, vector: bool, support: bool) -> None:
    """Suffix and first character decide."""
    assert (vector, support) == (is_vector_name(name), is_support(name))


def test_a_path_with_a_nul_is_refused(tmp_path: Path) -> None:
    """Which a configuration file can hold; no file system can."""
    with pytest.raises(InvalidVectorError) as caught:
        discover(tmp_path, ["a\0b"])
    assert ["PATH_INVALID"] == [problem.code for problem in caught.value.problems]


def test_a_folder_that_may_not_be_entered_is_not_passed_over(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is a virtual environment cannot be told; whoever reads it is told that it cannot be read."""

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    assert not is_skipped(tree / "vectors" / "a")
