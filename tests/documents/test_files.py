"""Reading files: regular ones only, inside of a root, bounded, and never by hanging."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lumyn.documents import Limits, load, read_bytes
from lumyn.errors import InvalidConfigError, InvalidDocumentError


def code(path: Path, **options: Any) -> str:
    """Return the code of the one problem with reading `path`."""
    with pytest.raises(InvalidDocumentError) as caught:
        read_bytes(path, **options)
    (problem,) = caught.value.problems
    return problem.code


def test_regular_file(tmp_path: Path) -> None:
    """A file is returned byte for byte, also through a link and below its root."""
    (tmp_path / "a").write_bytes(b"x\r\n\x00")
    (tmp_path / "b").symlink_to("a")
    assert b"x\r\n\x00" == read_bytes(tmp_path / "a")
    assert b"x\r\n\x00" == read_bytes(tmp_path / "b", root=tmp_path)
    assert b"x\r\n\x00" == read_bytes(tmp_path / "c" / ".." / "a", root=tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    """A name that leads nowhere is not found."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("x", "x/y", "file/y", "dangling"):
        assert "PATH_NOT_FOUND" == code(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_fifo_directory_and_device_are_not_files(tmp_path: Path) -> None:
    """Nothing is opened that could block or stream for ever."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for path in (tmp_path / "fifo", tmp_path / "link", tmp_path, Path("/dev/zero")):
        assert "PATH_NOT_FILE" == code(path)


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="needs /dev/fd")
def test_a_pipe_that_has_no_path_of_its_own_is_not_a_file() -> None:
    """`<(command)` of a shell is one; it is there, but nothing that could be read twice or bounded."""
    ends = os.pipe()
    try:
        assert "PATH_NOT_FILE" == code(Path(f"/dev/fd/{ends[0]}"))
    finally:
        for end in ends:
            os.close(end)


def test_unusable_path(tmp_path: Path) -> None:
    """A loop of links or a NUL in the name is a problem, not a traceback."""
    (tmp_path / "loop").symlink_to("loop")
    assert "PATH_NOT_READABLE" == code(tmp_path / "loop")
    assert "PATH_NOT_READABLE" == code(tmp_path / "a\0b")


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root reads everything")
def test_forbidden_file(tmp_path: Path) -> None:
    """A file without read permission is a problem, not a traceback."""
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    assert "PATH_NOT_READABLE" == code(tmp_path / "secret")


def test_outside_root(tmp_path: Path) -> None:
    """Dots, absolute paths and links cannot leave the root; nothing is said about what is outside."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.yml").write_bytes(b"x")
    (root / "link.yml").symlink_to(tmp_path / "secret.yml")
    (tmp_path / "root-2").mkdir()
    for path in (
        root / ".." / "secret.yml",
        root / ".." / "missing.yml",
        root / "link.yml",
        tmp_path / "secret.yml",
        tmp_path / "root-2" / "x",
    ):
        assert "PATH_OUTSIDE_ROOT" == code(path, root=root)


def test_too_large(tmp_path: Path) -> None:
    """No more than the limit is read."""
    (tmp_path / "a").write_bytes(b"12345")
    assert b"12345" == read_bytes(tmp_path / "a", limits=Limits(max_bytes=5))
    assert "TOO_LARGE" == code(tmp_path / "a", limits=Limits(max_bytes=4))


def test_error_class_is_the_callers(tmp_path: Path) -> None:
    """The caller chooses which error carries the problem."""
    with pytest.raises(InvalidConfigError):
        read_bytes(tmp_path / "x", error=InvalidConfigError)


@pytest.mark.parametrize("file", ["a.json", "a.yaml", "a.yml", "dir.json/A.YML"])
def test_format_follows_the_suffix(file: str) -> None:
    """JSON and YAML are told apart by name, never by content."""
    assert {"a": 1} == load(b'{"a": 1}', file=file).value


def test_json_file_is_not_read_as_yaml() -> None:
    """A `.json` file gets the strict JSON rules."""
    with pytest.raises(InvalidDocumentError):
        load(b"a: 1", file="a.json")


def test_unknown_suffix() -> None:
    """A name that tells no format is refused."""
    with pytest.raises(InvalidDocumentError) as caught:
        load(b"{}", file="a.toml")
    assert ["FILE_TYPE_UNKNOWN"] == [problem.code for problem in caught.value.problems]
