"""Every command wherever something goes wrong: never a traceback, at most ten lines, and an exit code that says so."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli.harness import Lumyn, Result, refund, write

from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.main import build_app

UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

LINES: dict[str, list[str]] = {
    "init": [],
    "demo": [],
    "decide": ["r.json"],
    "show": ["@last"],
    "explain": ["@last"],
    "export": ["@last"],
    "replay": ["@last"],
    "label": ["@last", "--failure"],
    "verify": [],
    "checkpoint": [],
    "policy validate": ["policies/support.yml"],
    "policy show": ["policies/support.yml"],
    "policy fmt": ["policies/support.yml", "--check"],
    "policy check": ["policies/support.yml"],
    "policy prove": ["policies/support.yml"],
    "policy diff": ["policies/support.yml", "policies/support.yml"],
    "backtest": ["policies/support.yml"],
    "vectors run": ["vectors"],
    "vectors suggest": ["--max", "1", "--policy", "policies/support.yml"],
    "vectors approve": ["vectors/support.yml"],
    "vectors add": ["@last"],
    "vectors show": ["vectors/support.yml::small_refund"],
    "vectors fmt": ["--check", "vectors/support.yml"],
    "doctor": [],
}
"""Each command with arguments that work in a workspace with one decision and `r.json`."""

NOTHING = {"init", "policy prove", "vectors approve"}
"""What finds nothing to do in such a workspace: it is there, its policy promises nothing, no vector is proposed."""

OUTSIDE = {"init", "demo"}
"""What works without a workspace."""

SILENT = {"policy fmt"}
"""What has nothing to say when all is well, so that no reader can be missing."""

GARBAGE = {
    "empty": b"",
    "binary": bytes(range(256)),
    "not text": b"\xff\xfe\xfa" * 100,
    "half": b'{"schema_version": "decision_request.v0", "subject": {',
    "deep": b"[" * 100_000,
    "escapes": b'{"\x1b[2J\\u001b[2J": "\\u202e"}',
    "scalar": b"12",
    "large": b"{" + b" " * 3_000_000,
    "other": b"a: [b, {c: d}]\n",
}


def commands() -> Iterator[str]:
    """Yield every command there is, as one types it."""

    def walk(command: Any, prefix: str) -> Iterator[str]:
        for name, child in command.commands.items():
            if hasattr(child, "commands"):
                yield from walk(child, f"{prefix}{name} ")
            elif not child.hidden:
                yield f"{prefix}{name}"

    return walk(typer.main.get_command(build_app()), "")


RUN_ON = {"serve"}
"""What runs until it is told to stop; it has tests of its own."""

PRESENT = sorted(set(commands()) - RUN_ON)
TAKE_ID = [name for name in PRESENT if "@last" in LINES.get(name, [])]
TAKE_FILE = [name for name in PRESENT if any("/" in word or word.endswith(".json") for word in LINES.get(name, []))]


def typed(name: str, **changes: str) -> list[str]:
    """Return a command line; `changes` replace arguments that contain the key."""
    words = LINES[name]
    for old, new in changes.items():
        words = [new if old in word else word for word in words]
    return [*name.split(), *words]


def assert_refused(result: Result, *codes: int) -> None:
    """Assert one of the exit codes, with a message; the fixture sees to tracebacks and length."""
    assert result.code in codes, result
    assert result.err or result.out
    assert "\x1b" not in result.err + result.out
    assert "INTERNAL_ERROR" not in result.err


@pytest.fixture
def used(lumyn: Lumyn, workspace: Path) -> Path:
    """A workspace with one decision."""
    assert 0 == lumyn("decide", write(workspace / "r.json", refund())).code
    return workspace


def test_every_command_is_walked() -> None:
    """A new command needs a line above."""
    assert set() == set(PRESENT) - set(LINES)


@pytest.mark.parametrize("name", PRESENT)
def test_it_works(lumyn: Lumyn, used: Path, name: str) -> None:
    """So that what goes wrong below is the doing of the situation."""
    result = lumyn(*typed(name))
    assert result.code in ({5} if name in NOTHING else {0}), result
    assert "" == result.err


@pytest.mark.parametrize("name", PRESENT)
def test_its_json_is_json(lumyn: Lumyn, used: Path, name: str) -> None:
    """One document, whose `schema` names its form; also when it fails."""
    line = typed(name)
    if "--json" not in lumyn(*name.split(), "--help").out:
        pytest.skip("prints a format of its own")
    assert lumyn(*line, "--json").data["schema"].startswith("lumyn.cli.")
    bad = lumyn(*line, "--json", "--no-such-option")
    assert (2, "lumyn.cli.error.v0") == (bad.code, bad.data["schema"])


@pytest.mark.parametrize("name", [name for name in PRESENT if name not in OUTSIDE])
def test_without_a_workspace(lumyn: Lumyn, tmp_path: Path, name: str) -> None:
    assert_refused(lumyn(*typed(name)), ExitCode.FAILED, ExitCode.INVALID, ExitCode.STORAGE, ExitCode.NOTHING_TO_DO)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", TAKE_ID)
def test_an_unknown_id(lumyn: Lumyn, used: Path, name: str) -> None:
    for unknown in (UNKNOWN_ID, "@first", "", "x" * 5_000, "\x1b[2J", "%", "' OR 1=1 --"):
        result = lumyn(*typed(name, **{"@last": unknown}))
        assert_refused(result, ExitCode.USAGE, ExitCode.INVALID, ExitCode.NOTHING_TO_DO)


@pytest.mark.parametrize("name", TAKE_ID)
def test_no_decision_yet(lumyn: Lumyn, workspace: Path, name: str) -> None:
    assert_refused(lumyn(*typed(name)), ExitCode.NOTHING_TO_DO)


@pytest.mark.parametrize("name", TAKE_FILE)
def test_a_malformed_file(lumyn: Lumyn, used: Path, name: str) -> None:
    for garbage in GARBAGE.values():
        for bad in ("bad.yml", "bad.json"):
            (used / bad).write_bytes(garbage)
            result = lumyn(*typed(name, **{"/": bad, ".json": bad}))
            if name != "vectors fmt" or result.code:  # it lays out whatever can be parsed
                assert_refused(result, ExitCode.FAILED, ExitCode.USAGE, ExitCode.INVALID, ExitCode.NOTHING_TO_DO)


@pytest.mark.parametrize("name", TAKE_FILE)
def test_a_file_that_is_none(lumyn: Lumyn, used: Path, name: str) -> None:
    for path in ("missing.json", "\x1b[2J", "a\0b", "x" * 5_000, "/dev/null", "", "/"):
        result = lumyn(*typed(name, **{"/": path, ".json": path}))
        if path or name != "vectors fmt":  # whose paths may be folders, and nothing at all is the one it is in
            assert_refused(result, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("name", [name for name in PRESENT if name not in OUTSIDE])
def test_a_malformed_configuration(lumyn: Lumyn, used: Path, name: str) -> None:
    """Whatever it needs of it; what is told by its arguments what to look at may go on."""
    for kind, garbage in GARBAGE.items():
        (used / "lumyn.toml").write_bytes(garbage)
        result = lumyn(*typed(name))
        # An empty file is a configuration; it names no policy, which not every command needs.
        if "policies/" not in " ".join(LINES[name]) and kind != "empty":
            assert_refused(result, ExitCode.FAILED, ExitCode.INVALID)


@pytest.mark.parametrize("name", [name for name in PRESENT if name not in OUTSIDE])
def test_a_store_that_is_garbage(lumyn: Lumyn, used: Path, name: str) -> None:
    store = used / ".lumyn" / "lumyn.db"
    for path in store.parent.glob("lumyn.db*"):
        path.unlink()
    needs_store = name == "vectors add" or not name.startswith(("policy", "vectors"))
    for garbage in GARBAGE.values():
        store.write_bytes(garbage)
        store.chmod(0o600)
        result = lumyn(*typed(name))
        if needs_store:
            assert_refused(result, ExitCode.FAILED, ExitCode.STORAGE, ExitCode.ABSTAIN)
        assert garbage == store.read_bytes()


@pytest.mark.parametrize("name", PRESENT)
def test_a_reader_that_stops(used: Path, name: str) -> None:
    """Its exit code is not 0, so a pipeline that looks at it goes no further; and nothing is said."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lumyn", *typed(name)], cwd=used, stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)
    assert b"" == done.stderr
    assert (name in SILENT) == (0 == done.returncode)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write to")
@pytest.mark.parametrize("name", PRESENT)
def test_a_folder_nobody_can_write_to(lumyn: Lumyn, used: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Without a workspace in it, or with one elsewhere that is named."""
    monkeypatch.chdir("/proc/self")
    config = str(used / "lumyn.toml")
    assert_refused(lumyn(*typed(name)), 1, 3, 4, 5)
    result = lumyn("--config", config, *typed(name, **{"r.json": str(used / "r.json")}))
    assert result.code in {0, 1, 3, 4, 5}
    assert "INTERNAL_ERROR" not in result.err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("name", PRESENT)
def test_a_workspace_that_may_only_be_read(lumyn: Lumyn, used: Path, name: str) -> None:
    folders = [used, *(path for path in used.rglob("*") if path.is_dir())]
    files = [path for path in used.rglob("*") if path.is_file()]
    for path in [*files, *reversed(folders)]:
        path.chmod(0o400 if path.is_file() else 0o500)
    try:
        result = lumyn(*typed(name))
    finally:
        for path in [*folders, *files]:
            path.chmod(0o700 if path.is_dir() else 0o600)
    assert result.code in {0, 1, 4, 5, 12}
    assert "INTERNAL_ERROR" not in result.err


WORDS = (
    *(word for name in LINES for word in name.split()),
    *("@last", UNKNOWN_ID, "r.json", "policies/support.yml", "vectors", "-", "--", "", ".", "/", "\0", "\x1b[31m"),
    *("--json", "--help", "-h", "--version", "--config", "lumyn.toml", "--limit", "0", "-1", "9" * 400, "nan"),
    *("--verdict", "TRUST", "trust", "--failure", "--success", "--note", "x" * 3_000, "\u202e", "\ud800", "--store"),
    *("sqlite:///:memory:", "sqlite://", "postgresql://u:p@h/d", "--against", "--full", "--fix", "--template"),
    *("minimal", "--force", "--story", "--policy", "--markdown", "--pack", "--jsonl", "--out", "o.zip", "--expect"),
)


@pytest.mark.parametrize("name", PRESENT)
def test_any_words_in_any_order(lumyn: Lumyn, used: Path, name: str) -> None:
    """Usage errors, mostly; never a traceback, never a hang, always a code of the table."""
    chosen = random.Random(name)
    for _ in range(15):
        words = [*name.split(), *chosen.choices(WORDS, k=chosen.randint(0, 5))]
        result = lumyn(*words, stdin=chosen.choice(list(GARBAGE.values())))
        assert result.code in {int(code) for code in ExitCode}, words
        assert "INTERNAL_ERROR" not in result.err, words
        assert "\x1b" not in result.out + result.err, words
