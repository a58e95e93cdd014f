"""
What reaches the command line: escapes in what is stored, files in the way, secrets, and bugs of Lumyn itself.

`tests/cli/test_every_command.py` walks every command through every situation; these are the cases of the catalogue.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_inputs.catalogue import case
from bad_inputs.requests import REFUND

from lumyn.cli.exit_codes import ExitCode

Lumyn = Callable[..., tuple[int, str]]

SECRET = "4111-1111-1111-1111"
# C0, DEL, C1, a bidi override, a bidi isolate, a line separator, an invisible tag character.
STEERING = "\x1b[2J\x1b]0;owned\x07\r\x7f\x9b31m\u202egnp.exe\u2066\u2028\U000e0041"


def everything_raw(text: str) -> set[str]:
    """Return the characters of `STEERING` that stand in a text as they are, spaces and printable ones aside."""
    return {char for char in set(STEERING) if not char.isprintable()} & set(text) - {"\n"}


@case("cli-002")
@pytest.mark.parametrize("command", [("show",), ("decide", "-"), ("verify",), ("doctor",), ("policy", "validate")])
def test_unexpected_exception_is_one_line(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, case: str, command: tuple[str, ...]
) -> None:
    """No local variable and not its own text, which may quote a request; the traceback is for who sets LUMYN_DEBUG."""

    def fail(*_: object, **__: object) -> None:
        card = SECRET
        raise RuntimeError(f"cannot handle {card}")

    for place in ("lumyn.discovery.load_config", "lumyn.cli.workspace.load_config", "lumyn.config.load_config"):
        monkeypatch.setattr(place, fail)
    code, output = lumyn(*command)
    assert ExitCode.INTERNAL == code
    (line,) = output.splitlines()
    assert "INTERNAL_ERROR" in line
    assert "LUMYN_DEBUG=1" in line
    assert SECRET not in output


@case("cli-003")
def test_escapes_in_what_is_stored_are_shown_as_codes(lumyn: Lumyn, workspace: Path, case: str) -> None:
    """Wherever a stored text comes out: a record, its events, the memory it saw, and where it is looked for."""
    request = {**REFUND, "action": {**REFUND["action"], "intent": f"refund {STEERING}"}}
    assert ExitCode.OK == lumyn("decide", "-", stdin=json.dumps(request).encode())[0]
    code, output = lumyn("label", "@last", "--failure", "--note", STEERING, "--actor", STEERING)
    assert ExitCode.OK == code, output
    assert set() == everything_raw(output)
    assert "\\x1b[2J" in output
    lumyn("decide", "-", stdin=json.dumps(REFUND).encode())
    for command in (("show", "@last"), ("explain", "@last"), ("show",), ("verify",), ("show", "--tenant", STEERING)):
        for flags in ((), ("--json",)):
            _, output = lumyn(*command, *flags)
            assert set() == everything_raw(output), command


@case("cli-006")
def test_cell_of_a_table_that_begins_a_formula(case: str) -> None:
    """A spreadsheet must not run it."""


@case("cli-007")
def test_links_and_files_in_the_way_stay(lumyn: Lumyn, tmp_path: Path, case: str) -> None:
    """Not without --force; with it a link is replaced and what it leads to stays. What cannot be read is said."""
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    for text, code in (("# theirs\n", ExitCode.OK), ("theirs", ExitCode.INVALID)):
        outside.write_text(text)
        (tmp_path / "lumyn.toml").unlink(missing_ok=True)
        (tmp_path / "lumyn.toml").symlink_to(outside)
        assert code == lumyn("init")[0], text
        assert (tmp_path / "lumyn.toml").is_symlink()
        assert ExitCode.OK == lumyn("init", "--force")[0]
        assert not (tmp_path / "lumyn.toml").is_symlink()
        assert text == outside.read_text()


@case("cli-009")
def test_decide_at_a_terminal_without_a_file_explains_itself(case: str, tmp_path: Path) -> None:
    """On a real terminal, where waiting for input would look like hanging."""
    controller, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lumyn", "decide"],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
        )
    finally:
        os.close(controller)
        os.close(terminal)
    assert ExitCode.USAGE == done.returncode
    assert "FILE" in done.stderr
    assert "lumyn decide --help" in done.stderr


@case("cli-010")
@pytest.mark.parametrize("template", ["support", "minimal"])
def test_init_over_a_workspace_changes_nothing(lumyn: Lumyn, workspace: Path, case: str, template: str) -> None:
    """Neither policy nor store nor configuration; of another template it adds what is not there."""
    lumyn("decide", "-", stdin=json.dumps(REFUND).encode())
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    assert ExitCode.OK == lumyn("init", "--template", template)[0]
    assert ExitCode.NOTHING_TO_DO == lumyn("init", "--template", template)[0]
    assert before == {path: path.read_bytes() for path in before}


@case("cli-011")
def test_doctor_shows_no_secret(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """Of a variable its name, of a URL neither user nor password nor token."""
    monkeypatch.setenv("LUMYN_SIGNING_SECRET", SECRET)
    monkeypatch.setenv("LUMYN_STORE_URL", f"postgresql://{SECRET}:{SECRET}@db/lumyn?password={SECRET}")
    for flags in ((), ("--json",), ("--fix",)):
        _, output = lumyn("doctor", *flags)
        assert SECRET not in output
        assert ("LUMYN_SIGNING_SECRET" in output) == ("--json" in flags)
