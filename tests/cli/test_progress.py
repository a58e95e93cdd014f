"""The bar of long work: on a terminal's standard error, gone afterwards, and nowhere else."""

from __future__ import annotations

import io

import pytest

from lumyn.cli.progress import progress_bar


class Terminal(io.StringIO):
    """Standard error that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("verifying") as advance:
        assert advance is None
    assert ("", "") == tuple(capsys.readouterr())


def test_there_is_no_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with progress_bar("verifying") as advance:
        assert advance is None


def test_somebody_watches(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is done shows on standard error; standard output stays for results."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with progress_bar("verifying") as advance:
        assert advance is not None
        advance(40, 100)
    assert "verifying" in terminal.getvalue()
    assert "" == capsys.readouterr().out
