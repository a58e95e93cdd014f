"""The short ways past Typer, for `--version` and a plain `decide`: one grammar, so each does what Typer would do."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from cli.harness import Lumyn, Result, refund, write

from lumyn.cli import entry, main, running

WORDS = ("r.json", "-", "--", "--json", "--jso", "-h", "")
LINES = [["decide", *rest] for length in range(4) for rest in itertools.product(WORDS, repeat=length)]
VERSIONS = [["--version"], ["-V"], ["--version", "--json"], ["-V", "-V"], ["--version", "decide"], ["--versio"]]


def comparable(result: Result) -> tuple[object, ...]:
    """Return what a run did, but for the time of a decision, which is stored anew each run."""
    volatile = r"\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9A-HJKMNP-TV-Z]{26}|sha256:[0-9a-f]{64}"
    return result.code, re.sub(volatile, "_", result.out), result.err


def run_both(
    lumyn: Lumyn, monkeypatch: pytest.MonkeyPatch, line: list[str], stdin: bytes
) -> tuple[Result, Result, bool]:
    """Return what the command line does by itself and through Typer, and whether Typer was asked at first."""
    asked: list[object] = []
    run_app = main.run_app

    def noted(argv: list[str]) -> int:
        asked.append(argv)
        return run_app(argv)

    monkeypatch.setattr(main, "run_app", noted)
    early = lumyn(*line, stdin=stdin)
    short = not asked
    monkeypatch.setattr(running, "_plain_decide", lambda _: None)
    # `--version` is answered before anything is imported, so the variable that asks for completions closes that way.
    monkeypatch.setattr(entry, "_version", lambda: running.run_guarded(line))
    late = lumyn(*line, stdin=stdin)
    assert asked
    return early, late, short


def test_every_spelling_of_decide_does_the_same_either_way(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workspace / "r.json", refund())
    stdin = json.dumps(refund(chargeback_risk=0.9)).encode()
    short = []
    for line in LINES:
        with monkeypatch.context() as patch:
            early, late, is_short = run_both(lumyn, patch, line, stdin)
        assert comparable(early) == comparable(late), line
        if is_short:
            short.append(line)
    assert ["decide", "r.json"] in short
    assert ["decide", "--json", "-"] in short
    # Whatever needs reading is Typer's.
    assert not [line for line in short if {"--", "-h", "", "--jso"} & set(line)]


@pytest.mark.parametrize("line", VERSIONS)
def test_every_spelling_of_version_does_the_same_either_way(
    lumyn: Lumyn, monkeypatch: pytest.MonkeyPatch, line: list[str]
) -> None:
    early, late, is_short = run_both(lumyn, monkeypatch, line, b"")
    assert comparable(early) == comparable(late)
    assert is_short == (line in (["--version"], ["-V"]))
