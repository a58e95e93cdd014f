"""Where the store should be is something else, or its name is an odd one: the answer is `ABSTAIN`, never an error."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.support import assert_unavailable, make_store, open_gate, refund
from faults.walker import read

pytestmark = pytest.mark.faults


def parent_is_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "lumyn.db"


def named_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.db")
    return folder / "pipe.db"


def loop_of_links(folder: Path) -> Path:
    (folder / "a.db").symlink_to(folder / "b.db")
    (folder / "b.db").symlink_to(folder / "a.db")
    return folder / "a.db"


def dangling_link(folder: Path) -> Path:
    (folder / "link.db").symlink_to(folder / "nowhere.db")
    return folder / "link.db"


def name_too_long(folder: Path) -> Path:
    return folder / ("x" * 300 + ".db")


def device(folder: Path) -> Path:
    return Path("/dev/zero")


@pytest.mark.parametrize(
    "make",
    [parent_is_a_file, named_pipe, loop_of_links, dangling_link, name_too_long, device],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("create", [False, True], ids=["open", "create"])
def test_path_that_leads_to_no_store_abstains(tmp_path: Path, make: Callable[[Path], Path], create: bool) -> None:
    """Nothing hangs, nothing is overwritten, and no decision is made without a store."""
    path = make(tmp_path)
    with open_gate(path, create=create) as gate:
        record = gate.decide(refund("r"))
        if create and make is dangling_link:
            # A link that leads nowhere yet is a place like another, or is refused; either way the record says so.
            assert record.persisted == path.exists()
        else:
            assert_unavailable(record)


@pytest.mark.parametrize(
    "name", ["a b.db", "100%.db", "q?mode=ro.db", "h#ash.db", "ümlaut.db", os.fsdecode(b"latin-\xe9.db"), "'quote\".db"]
)
def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    """The name is a name: no part of it is read as an option, and it need not be text in any encoding."""
    path = tmp_path / name
    make_store(path)
    with open_gate(path) as gate:
        assert gate.decide(refund("r")).persisted
        assert {os.fsencode(name), os.fsencode(f"{name}-wal"), os.fsencode(f"{name}-shm")} == {
            os.fsencode(entry.name) for entry in tmp_path.iterdir()
        }
    assert 1 == len(read(path).records)


def test_working_folder_that_is_gone_abstains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means nothing then."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with open_gate(Path("lumyn.db"), create=True) as gate:
        assert gate.decide(refund("r")).persisted
        gate.close()
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        assert_unavailable(gate.decide(refund("r2")), "STORE_NOT_FOUND")
