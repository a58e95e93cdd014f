"""Writers are killed with SIGKILL at random moments; what they acknowledged is in the store, whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faults import crashes
from faults.support import KILLS, environment

pytestmark = [pytest.mark.faults, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


def run_loop(folder: Path, *options: str) -> dict[str, Any]:
    """Return what a loop of kills did, in an interpreter of its own: what forks writers should have no threads."""
    done = subprocess.run(
        [sys.executable, crashes.__file__, "--folder", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=60 + 5 * KILLS,
        env=environment(),
        check=False,
    )
    assert done.stdout, done.stderr
    outcome = json.loads(done.stdout)
    print(outcome)
    return dict(outcome)


def assert_nothing_missing(outcome: dict[str, Any]) -> None:
    """Nothing acknowledged is lost, nothing is in halves, and there was something to lose."""
    counts = {name: outcome[name] for name in ("lost", "torn", "broken", "unavailable", "renamed")}
    assert dict.fromkeys(counts, 0) == counts, outcome["examples"]
    assert outcome["acks"] > outcome["kills"] / 2
    assert outcome["labels"] > 0


def test_killed_writers_lose_nothing_they_acknowledged(tmp_path: Path) -> None:
    """At the default durability, on the disk; a request that had no answer is answered from the store when it is."""
    outcome = run_loop(tmp_path, "--kills", str(KILLS))
    assert_nothing_missing(outcome)
    assert KILLS == outcome["kills"]


@pytest.mark.parametrize("options", [["--synchronous", "NORMAL"], ["--writers", "3"]], ids=["normal", "three writers"])
def test_killed_writers_lose_nothing_in_other_settings(tmp_path: Path, options: list[str]) -> None:
    """`NORMAL` promises as much for a process that dies, and a writer that dies takes nothing from its neighbours."""
    assert_nothing_missing(run_loop(tmp_path, "--kills", str(max(KILLS // 3, 3)), "--seed", "1", *options))


def test_loop_of_kills_finds_a_split_transaction(tmp_path: Path) -> None:
    """The control: with decision and key in two transactions, the same loop finds decisions without their key."""
    outcome = run_loop(tmp_path, "--kills", str(max(KILLS // 3, 20)), "--split")
    assert outcome["torn"] > 0
