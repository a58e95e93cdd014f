"""Runs command lines in this process, as a user would see them: exit code, standard output, standard error."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from cli.harness import Lumyn, Result

from lumyn.cli.entry import run


@pytest.fixture
def lumyn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lumyn:
    """Return a function that runs `lumyn ARGUMENTS` in an empty folder, `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)

    def call(*arguments: str, stdin: bytes | None = None) -> Result:
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        result = Result(code, captured.out, captured.err)
        # Whatever a test is about: no expected error takes more than ten lines, and no traceback is ever shown.
        assert len(result.err.splitlines()) <= 10, result.err
        assert "Traceback" not in result.err + result.out
        return result

    return call


@pytest.fixture
def workspace(lumyn: Lumyn, tmp_path: Path) -> Path:
    """A folder where `lumyn init` was run; the working directory."""
    assert 0 == lumyn("init").code
    return tmp_path
