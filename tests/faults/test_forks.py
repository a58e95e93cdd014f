"""A process forks while its gate is open: parent and children go on deciding, and nothing acknowledged is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faults.children import (
    decide_across_forks,
    fork_under_load,
    fork_while_an_id_is_made,
    leave_by_the_front_door,
)
from faults.support import run_child

pytestmark = [pytest.mark.faults, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


def test_parent_and_children_decide_at_once_and_lose_nothing(tmp_path: Path) -> None:
    """The parent closes first, as a server does that forks its workers; the children's records are in the store."""
    seen = run_child(decide_across_forks, str(tmp_path / "lumyn.db"), 4, 15)
    assert {"acknowledged": 1 + 15 + 4 * 30, "unavailable": 0, "lost": 0, "broken": [], "torn": []} == seen


def test_fork_while_threads_decide_stops_nobody(scratch: Path) -> None:
    """A fork can fall into a transaction of another thread; the child must not wait for it to end."""
    seen = run_child(fork_under_load, str(scratch / "lumyn.db"), 25)
    assert {"stuck": 0, "failed": 0, "abstained": 0, "lost": 0, "sound": True} == seen


def test_fork_while_an_id_is_made_leaves_the_child_its_ids() -> None:
    """A lock that another thread held at the fork is held for ever in the child, unless it is made anew."""
    assert run_child(fork_while_an_id_is_made)


def test_child_that_ends_in_good_order_takes_nothing_with_it(scratch: Path) -> None:
    """Whatever the child closes when its interpreter ends, the parent's store stays open and whole."""
    seen = run_child(leave_by_the_front_door, str(scratch / "lumyn.db"))
    assert {"status": 0, "persisted": True, "records": 3, "log": True} == seen
