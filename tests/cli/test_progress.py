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


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in place of standard error."""
    found = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", found)
    return found


def test_somebody_watches(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is done shows on standard error; standard output stays for results."""
    terminal = watched(monkeypatch)
    clock = iter([0.0, 1.5])
    monkeypatch.setattr("lumyn.cli.progress.monotonic", lambda: next(clock))
    with progress_bar("verifying") as advance:
        assert advance is not None
        advance(40, 100)
        advance(50, 100)
    assert "verifying" in terminal.getvalue()
    assert "" == capsys.readouterr().out


def test_what_takes_less_than_a_second_is_not_worth_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with progress_bar("verifying") as advance:
        assert advance is not None
        advance(1, 2)
    assert "" == terminal.getvalue()


def test_a_bar_is_gone_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor, which a bar hides, is back."""
    terminal = watched(monkeypatch)
    clock = iter([0.0, 1.5])
    monkeypatch.setattr("lumyn.cli.progress.monotonic", lambda: next(clock))
    with pytest.raises(KeyboardInterrupt), progress_bar("verifying") as advance:
        assert advance is not None
        advance(40, 100)
        raise KeyboardInterrupt
    assert "\x1b[?25h" in terminal.getvalue()
