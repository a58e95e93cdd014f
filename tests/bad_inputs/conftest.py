"""A gate on the catalogue's policy, with pinned time and ids, and the command line beside it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bad_inputs.requests import POLICY_FILE

from lumyn import FixedClock, Gate, Policy, SeededIds, load_policy
from lumyn.cli.entry import run


@pytest.fixture(scope="session")
def policy() -> Policy:
    return load_policy(POLICY_FILE)


@pytest.fixture
def gate(policy: Policy) -> Iterator[Gate]:
    """A gate whose store is in memory."""
    with open_gate(policy, "sqlite:///:memory:") as opened:
        yield opened


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / ".lumyn" / "lumyn.db"


@pytest.fixture
def stored_gate(policy: Policy, store_path: Path) -> Iterator[Gate]:
    """A gate whose store is a file."""
    with open_gate(policy, store_path) as opened:
        yield opened


def open_gate(policy: Policy, store: Path | str) -> Gate:
    clock = FixedClock("2026-01-15T12:00:00Z")
    return Gate.open(policy=policy, store=store, create=True, clock=clock, ids=SeededIds("cases"))


@pytest.fixture
def lumyn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return a function that runs `lumyn ARGUMENTS` in `tmp_path` and returns its exit code and output."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, stdin: bytes = b"") -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err + captured.out
        return code, captured.out + captured.err

    return call


@pytest.fixture
def workspace(lumyn: Callable[..., tuple[int, str]], tmp_path: Path) -> Path:
    """A configured folder whose policy is the catalogue's, with a store; the working directory."""
    (tmp_path / "lumyn.toml").write_text(f'[policy]\npath = "{POLICY_FILE}"\n', encoding="utf-8")
    Gate.open(policy=POLICY_FILE, store=tmp_path / ".lumyn" / "lumyn.db", create=True).close()
    return tmp_path
