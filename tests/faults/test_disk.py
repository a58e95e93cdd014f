"""The disk is full, or nothing on it may be written: the decision is `ABSTAIN`, and what was there stays."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.acts import ACTS, Act, Stage
from faults.children import (
    create_on_small_file_systems,
    decide_unprivileged,
    fill,
    fill_small_file_system,
    run_out_of_descriptors,
)
from faults.support import assert_unavailable, connection_of, make_store, open_gate, refund, run_child
from faults.walker import read

pytestmark = [pytest.mark.faults, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX limits and users")]

IN_A_NAMESPACE = ("unshare", "--mount")


def test_file_that_may_not_grow_abstains_and_keeps_what_was_there(scratch: Path) -> None:
    """`RLIMIT_FSIZE`: every write beyond a size fails with an I/O error; rows are exactly what was acknowledged."""
    seen = run_child(fill, str(scratch / "lumyn.db"), "rlimit")
    assert seen["unstored"] >= 1
    assert {"STORE_IO_ERROR", "STORE_FULL"} >= set(seen["errors"])


def test_file_system_without_room_abstains_and_keeps_what_was_there(tmp_path: Path) -> None:
    """`ENOSPC` from a file system of one megabyte; when there is room again, the same gate goes on."""
    if shutil.which("unshare") is None or subprocess.run([*IN_A_NAMESPACE, "true"], check=False).returncode != 0:
        pytest.skip("needs the right to mount a file system")
    seen = run_child(fill_small_file_system, str(tmp_path), wrapper=IN_A_NAMESPACE)
    assert seen["unstored"] >= 1
    assert {"STORE_IO_ERROR", "STORE_FULL"} >= set(seen["errors"])


def test_store_that_found_no_room_is_not_there(tmp_path: Path) -> None:
    """However little room there was: never half a store, which more room would not mend."""
    if shutil.which("unshare") is None or subprocess.run([*IN_A_NAMESPACE, "true"], check=False).returncode != 0:
        pytest.skip("needs the right to mount a file system")
    seen = run_child(create_on_small_file_systems, str(tmp_path), wrapper=IN_A_NAMESPACE)
    assert {"damaged": [], "whole": True} == {name: seen[name] for name in ("damaged", "whole")}
    assert seen["failed"] >= 5


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_each_page_too_few_leaves_all_or_nothing(act: Act, scratch: Path) -> None:
    """`SQLITE_FULL` at the first new page, the second, and so on, until there are enough."""
    stage = Stage(act, scratch / "stage")
    for spare in range(30):
        path = stage.copy()
        with stage.gate(path) as gate:
            connection = connection_of(gate)
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + spare}")
            result = stage.perform(gate)
            if stage.came_of(result, path):
                assert spare > 0 or not act.cold
                return
    pytest.fail("the act never found room")


def test_no_descriptor_left_abstains(scratch: Path) -> None:
    """A process out of file descriptors cannot open its store, and can go on with one that is open."""
    assert "STORE_NOT_FOUND" == run_child(run_out_of_descriptors, str(scratch / "lumyn.db"))["error"]


def open_to_all(folder: Path) -> bool:
    """Return whether any user can reach a folder."""
    return all(stat.S_IMODE(each.stat().st_mode) & 0o001 for each in (folder, *folder.parents))


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users can reach; a temporary folder of pytest's is closed to them."""
    with tempfile.TemporaryDirectory(prefix="lumyn-faults-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        if not open_to_all(path):
            pytest.skip("needs a temporary folder that other users can reach")
        store = path / "store"
        store.mkdir()
        yield store
        store.chmod(0o700)


@pytest.mark.parametrize(
    ("mode", "folder_mode", "details"),
    [
        (0o444, 0o555, {"STORE_READ_ONLY", "STORE_NOT_FOUND"}),
        (0o444, 0o777, {"STORE_READ_ONLY"}),
        (0o000, 0o755, {"STORE_NOT_FOUND"}),
        (0o644, 0o000, {"STORE_NOT_FOUND"}),
    ],
    ids=["file and folder", "file", "not even readable", "folder closed"],
)
def test_store_that_may_not_be_written_abstains(
    public_folder: Path, mode: int, folder_mode: int, details: set[str]
) -> None:
    """As another user, for the modes of a file mean nothing to root. Nothing is added, whatever can still be read."""
    path = public_folder / "lumyn.db"
    seen = run_child(decide_unprivileged, str(path), mode, folder_mode)
    assert seen["error"] in details
    if os.getuid() == 0:
        found = read(path)
        assert (True, 2, 1) == (found.sound, len(found.records), len(found.memory))


def test_connection_that_may_only_read_abstains(scratch: Path) -> None:
    """`SQLITE_READONLY`, wherever it comes from, and the gate works again when it is gone."""
    path = scratch / "lumyn.db"
    make_store(path, decisions=1)
    with open_gate(path) as gate:
        connection_of(gate).execute("PRAGMA query_only = ON")
        assert_unavailable(gate.decide(refund("new")), "STORE_READ_ONLY")
        connection_of(gate).execute("PRAGMA query_only = OFF")
        assert gate.decide(refund("new")).persisted
    assert 2 == len(read(path).records)
