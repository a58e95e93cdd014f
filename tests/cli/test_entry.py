"""The command line as a whole: start-up, usage errors, signals, pipes, and what an unexpected exception shows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write

import lumyn.cli.deciding
from lumyn._version import __version__
from lumyn.cli.commands import COMMANDS
from lumyn.cli.entry import INTERRUPTED, run
from lumyn.cli.exit_codes import ExitCode, for_error
from lumyn.errors import (
    IdempotencyConflictError,
    InstallationError,
    InvalidPolicyError,
    LumynError,
    NotFoundError,
    Problem,
    StoreIntegrityError,
    StoreUnavailableError,
)

LUMYN = [sys.executable, "-m", "lumyn"]
SECRET = "customer-4711"


def start(arguments: list[str], folder: Path, **options: object) -> subprocess.Popen[bytes]:
    """Start `lumyn` as a process of its own."""
    return subprocess.Popen(
        [*LUMYN, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("arguments", [["--version"], ["-V"], ["--version", "--json"]])
def test_version(lumyn: Lumyn, arguments: list[str]) -> None:
    result = lumyn(*arguments[:1])
    assert (0, f"lumyn {__version__}\n", "") == (result.code, result.out, result.err)


def test_help_lists_every_command(lumyn: Lumyn) -> None:
    result = lumyn("--help")
    assert 0 == result.code
    assert all(name in result.out for name in COMMANDS)


def test_without_arguments_the_help_is_shown_and_nothing_counts_as_done(lumyn: Lumyn) -> None:
    result = lumyn()
    assert 2 == result.code
    assert "Usage" in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(lumyn: Lumyn, command: str) -> None:
    result = lumyn(command, "--help")
    assert 0 == result.code
    if command not in {"policy", "vectors"}:
        assert "--json" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["decid"], "did you mean"),
        (["nonsense"], "no such command"),
        (["decide"], "missing argument"),
        (["decide", "a", "b"], "unexpected extra argument"),
        (["decide", "--jsn", "a"], "no such option"),
        (["demo", "--stori"], "--story"),
        (["show", "--limit", "x"], "--limit"),
        (["show", "--verdict", "MAYBE"], "--verdict"),
        (["init", "--template", "nope"], "'support'"),
        (["policy", "validat"], "did you mean"),
        (["--nope"], "no such option"),
    ],
)
def test_a_usage_error_is_exit_2_in_two_lines(lumyn: Lumyn, arguments: list[str], message: str) -> None:
    """cli-009 among them: `decide` without a file explains itself instead of waiting for a terminal."""
    result = lumyn(*arguments)
    assert (2, "") == (result.code, result.out)
    assert message in result.err.lower()
    assert ["error:", "hint:"] == [line.split()[0] for line in result.err.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["show", "--config", "x"], "hint: it goes before the command: `lumyn --config FILE show`"),
        (["--json", "show"], "hint: it goes behind the command: `lumyn show --json`"),
        (["--config"], "hint: `lumyn --help` lists what it takes"),
    ],
)
def test_an_option_in_the_wrong_place_is_told_its_own(lumyn: Lumyn, arguments: list[str], hint: str) -> None:
    result = lumyn(*arguments)
    assert 2 == result.code
    assert hint == result.err.splitlines()[1]


@pytest.mark.parametrize("option", [["export", "--jsonl", "--verdict"], ["vectors", "add", "@last", "--expect"]])
def test_a_wrong_choice_lists_the_right_ones_in_plain_words(lumyn: Lumyn, workspace: Path, option: list[str]) -> None:
    lumyn("decide", write(workspace / "r.json", refund()))
    result = lumyn(*option, "maybe")
    assert 2 == result.code
    assert "'maybe' is not one of" in result.err
    assert "value error" not in result.err.lower()
    assert 0 == lumyn(*option, "trust").code


def test_help_wraps_where_the_terminal_ends(lumyn: Lumyn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where the source does: no line is short while the first word of the next would have fitted."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    for command in (["vectors", "show"], ["policy", "fmt"], ["show"]):
        prose = lumyn(*command, "--help").out.split("\u256d")[0].splitlines()
        for line, after in pairwise(prose):
            if line.strip() and after.strip() and "Usage" not in line:
                assert 80 < len(f"{line.rstrip()} {after.split()[0]} "), (command, line)


def test_optional_arguments_are_bracketed_once(lumyn: Lumyn) -> None:
    for command in ("show", "export", "policy validate", "policy show", "policy fmt", "vectors run", "vectors show"):
        usage = lumyn(*command.split(), "--help").out.splitlines()[1]
        assert "[[" not in usage
        assert "......" not in usage.replace(" ", "")


def test_a_reader_that_stops_in_the_help_is_141(root: Path) -> None:
    process = start(["--help"], root, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert ExitCode.PIPE_CLOSED == process.wait(30)
    assert process.stderr is not None
    assert b"" == process.stderr.read()
    process.stderr.close()


def test_a_usage_error_is_json_where_json_was_asked_for(lumyn: Lumyn) -> None:
    result = lumyn("show", "--nope", "--json")
    assert ("lumyn.cli.error.v0", "USAGE") == (result.data["schema"], result.data["error"]["reason_code"])


def test_a_usage_error_shows_no_control_characters(lumyn: Lumyn) -> None:
    assert "\x1b" not in lumyn("\x1b[2J").err


def test_an_expected_error_is_json_where_json_was_asked_for(lumyn: Lumyn) -> None:
    result = lumyn("show", "--json")
    assert 3 == result.code
    assert ("lumyn.cli.error.v0", "INVALID_CONFIG") == (result.data["schema"], result.data["error"]["reason_code"])
    assert result.err


@pytest.mark.parametrize("arguments", [["decide", "x.json"], ["decide", "x.json", "--json"], ["show"]])
def test_an_unexpected_exception_is_one_line_without_its_text(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """cli-002: the text of an exception may quote a request."""

    def fail(*_: object, **__: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr("lumyn.discovery.open_configured", fail)
    monkeypatch.setattr("lumyn.cli.commands.show.open_reading", fail)
    result = lumyn(*arguments)
    assert (70, "") == (result.code, result.out)
    assert "error: unexpected KeyError [INTERNAL_ERROR]; set LUMYN_DEBUG=1 to see the traceback\n" == result.err


def test_the_traceback_is_there_for_who_asks(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("lumyn.discovery.open_configured", fail)
    monkeypatch.setattr("lumyn.cli.commands.show.open_reading", fail)
    monkeypatch.setenv("LUMYN_DEBUG", "1")
    assert 70 == run(["show"])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailableError("x"), 4),
        (StoreIntegrityError("x"), 4),
        (NotFoundError("x"), 5),
        (InvalidPolicyError([Problem(code="X", message="x")]), 3),
        (IdempotencyConflictError("x"), 3),
        (InstallationError("x"), 70),
        (LumynError("x"), 3),
    ],
)
def test_every_expected_error_has_its_exit_code(error: LumynError, code: int) -> None:
    assert code == for_error(error)


def test_no_exit_code_but_one_says_that_the_action_may_proceed() -> None:
    assert [ExitCode.OK] == [code for code in ExitCode if not code]


@pytest.mark.parametrize(
    ("arguments", "banned"),
    [
        (["--version"], {"typing", "typer", "rich", "ruamel", "sqlite3", "lumyn.core", "lumyn.engine", "lumyn.policy"}),
        (["--help"], {"ruamel", "sqlite3", "lumyn.core", "lumyn.engine", "lumyn.store", "jsonschema", "deepdiff"}),
        (["decide", "r.json"], {"typer", "rich", "jsonschema", "deepdiff", "sqlite_utils", "lumyn.vectors"}),
        (["decide", "r.json", "--json"], {"typer", "rich", "jsonschema", "deepdiff", "sqlite_utils"}),
        (
            ["decide", "r.json"],
            {"importlib.resources", "tempfile", "difflib", "lumyn.core.replay", "lumyn.engine.trace"},
        ),
    ],
)
def test_a_command_loads_only_what_it_needs(
    lumyn: Lumyn, workspace: Path, arguments: list[str], banned: set[str]
) -> None:
    write(workspace / "r.json", refund())
    script = f"import sys\nfrom lumyn.cli.entry import run\nrun({arguments!r})\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], cwd=workspace, capture_output=True, text=True, check=True)
    assert set() == banned & set(done.stderr.split())


def test_a_reader_that_stops_ends_the_command_quietly(lumyn: Lumyn, workspace: Path) -> None:
    path = write(workspace / "r.json", refund())
    for arguments in (["decide", path], ["decide", path, "--json"], ["show"], ["--help"], ["--version"]):
        reader, writer = os.pipe()
        os.close(reader)
        process = start(arguments, workspace, stdout=writer)
        os.close(writer)
        _, err = process.communicate(timeout=60)
        assert b"" == err, arguments
        assert 0 != process.returncode, arguments


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_full_disk_is_reported_and_never_reads_as_permission(lumyn: Lumyn, workspace: Path, flags: list[str]) -> None:
    """Whoever reads the record did not get it, whatever the verdict; the decision is stored, and can be found."""
    path = write(workspace / "r.json", refund())
    with Path("/dev/full").open("wb") as full:
        process = start(["decide", path, *flags], workspace, stdout=full)
        _, err = process.communicate(timeout=60)
    assert ExitCode.STORAGE == process.returncode
    error, hint = err.decode().splitlines()
    assert "error: cannot write the output: No space left on device [OUTPUT_NOT_WRITTEN]" == error
    stored = lumyn("show", "@last", "--json").data["record"]
    assert "TRUST" == stored["verdict"]
    assert f"hint: the decision is stored all the same: `lumyn show {stored['decision_id']}`" == hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["show"], ["doctor"], ["policy", "validate"]])
def test_a_full_disk_is_no_success_of_any_command(workspace: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(arguments, workspace, stdout=full)
        _, err = process.communicate(timeout=60)
    assert (ExitCode.STORAGE, 1) == (process.returncode, len(err.splitlines()))
    assert b"OUTPUT_NOT_WRITTEN" in err


def test_closed_standard_streams_are_survived(lumyn: Lumyn, workspace: Path) -> None:
    path = write(workspace / "r.json", refund())
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m lumyn decide '{path}' >&- 2>&- <&-"], cwd=workspace, check=False
    )
    assert 0 == done.returncode


def test_ctrl_c_ends_with_130_and_no_traceback(lumyn: Lumyn, workspace: Path) -> None:
    process = start(["decide", "-"], workspace, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    # More than a pipe holds: when this returns, the command is reading.
    process.stdin.write(b" " * 200_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (130, b"", b"") == (process.returncode, out, err)


def test_ctrl_c_during_start_up_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lumyn.cli.running.run_guarded", interrupt)
    assert ExitCode.INTERRUPTED == run(["show"]) == INTERRUPTED


def test_shell_completion_knows_the_commands(tmp_path: Path) -> None:
    done = subprocess.run(
        LUMYN,
        cwd=tmp_path,
        env={**os.environ, "_LUMYN_COMPLETE": "complete_bash", "COMP_WORDS": "lumyn d", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert {"demo", "decide", "doctor"} == set(done.stdout.split())


@pytest.mark.parametrize("command", ["show", "explain"])
def test_shell_completion_knows_recent_decisions(lumyn: Lumyn, workspace: Path, command: str) -> None:
    """`@last` and ids, by their beginning; where there is no workspace, nothing and no word."""

    def completed(word: str, *before: str) -> tuple[str, list[str]]:
        words = ["lumyn", *before, command, word]
        environ = {"_LUMYN_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        done = subprocess.run(
            LUMYN, cwd=workspace, env=os.environ | environ, capture_output=True, text=True, check=False
        )
        return done.stderr, done.stdout.split()

    assert ("", []) == completed("")
    lumyn("decide", write(workspace / "r.json", refund()))
    decision = lumyn("show", "@last", "--json").data["record"]["decision_id"]
    assert ("", ["@last", decision]) == completed("")
    assert ("", [decision]) == completed(decision[:12])
    assert ("", ["@last"]) == completed("@")
    (workspace / "lumyn.toml").write_text("broken")
    assert ("", []) == completed("")


def run_at_home(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `lumyn` for a user whose home is `home`, from a shell that Typer is told rather than left to look for."""
    script = (
        "import sys, shellingham\nshellingham.detect_shell = lambda: ('bash', '/bin/bash')\n"
        "from lumyn.cli.entry import run\nsys.exit(run(sys.argv[1:]))"
    )
    environ = {**os.environ, "HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], env=environ, capture_output=True, text=True, check=False
    )


def test_shell_completion_is_shown_and_installed(tmp_path: Path) -> None:
    shown = run_at_home(tmp_path, "--show-completion")
    assert (0, True) == (shown.returncode, "_LUMYN_COMPLETE=complete_bash" in shown.stdout)
    assert [] == list(tmp_path.iterdir())
    assert 0 == run_at_home(tmp_path, "--install-completion").returncode
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert shown.stdout.strip() == script.read_text().strip()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write to")
def test_completion_that_cannot_be_installed_is_exit_4() -> None:
    done = run_at_home(Path("/proc/self/home"), "--install-completion")
    assert (4, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "cannot write" in done.stderr


def test_an_interrupted_command_is_130(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lumyn_deciding(), "read_input", interrupt)
    assert 130 == lumyn("decide", "x").code
    monkeypatch.setattr("lumyn.cli.commands.show.open_reading", interrupt)
    assert 130 == lumyn("show").code


def lumyn_deciding() -> object:
    """The module under the fixture's name."""
    return lumyn.cli.deciding


def test_an_encoding_that_lacks_a_character_is_survived(lumyn: Lumyn, workspace: Path) -> None:
    path = write(workspace / "r.json", refund())
    assert 0 == lumyn("decide", path).code
    assert 0 == lumyn("label", "@last", "--failure", "--note", "naïve 日本").code
    done = subprocess.run(
        [*LUMYN, "show", "@last"],
        cwd=workspace,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode
    assert b"\\u65e5" in done.stdout
