"""Clean environments for tests: running commands away from the checkout, and Lumyn installed somewhere else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest


def clean_environment() -> dict[str, str]:
    """Return the environment without what could point a child at this checkout or interpreter."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "CI", "BUILD_NUMBER"}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith(("LUMYN_", "TOX_", "COV_", "PYTEST_"))
    }


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its output is part of the failure when a test asserts on it."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean_environment(), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def succeed(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command that has to succeed and return what it printed."""
    done = run(*command, cwd=cwd, env=env)
    if done.returncode != 0:
        pytest.fail(
            f"{' '.join(map(str, command))} exited {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False
        )
    return done.stdout


@dataclass(frozen=True)
class Installation:
    """One clean virtual environment with Lumyn in it."""

    kind: str
    home: Path

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return self.home / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / "python"

    def evaluate(self, expression: str, *, cwd: Path) -> str:
        """Return what printing `expression` gives, with `lumyn` and its `resources` imported."""
        script = f"import lumyn, lumyn._resources as resources\nprint({expression})"
        return succeed(self.python, "-W", "error", "-c", script, cwd=cwd).strip()
