"""The first things anyone does with a fresh installation."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import lumyn
from lumyn._version import __version__


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run this Python away from the checkout."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False
    )


def test_import(tmp_path: Path) -> None:
    """`import lumyn` works from any folder and prints nothing."""
    done = run("-W", "error", "-c", "import lumyn", cwd=tmp_path)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_version_is_written_once() -> None:
    """The package, its metadata and the command agree on the version."""
    assert __version__ == lumyn.__version__ == importlib.metadata.version("lumyn")


def test_version_option(tmp_path: Path) -> None:
    """`python -m lumyn --version` prints the version."""
    done = run("-m", "lumyn", "--version", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert __version__ in done.stdout


def test_help_names_the_first_commands(tmp_path: Path) -> None:
    """`python -m lumyn --help` lists what a newcomer needs."""
    done = run("-m", "lumyn", "--help", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    for command in ("init", "demo", "decide", "label", "show", "policy", "vectors"):
        assert command in done.stdout


def test_typer_runner_reaches_the_same_application() -> None:
    """The application object is what the console script runs."""
    from typer.testing import CliRunner

    from lumyn.cli.main import build_app

    result = CliRunner().invoke(build_app(), ["--version"])
    assert 0 == result.exit_code
    assert __version__ in result.output


def test_console_script_and_plugin_are_registered() -> None:
    """The distribution declares its command and its pytest plugin."""
    points = importlib.metadata.distribution("lumyn").entry_points
    found = {(point.group, point.name, point.value) for point in points}
    assert {
        ("console_scripts", "lumyn", "lumyn.__main__:main"),
        ("pytest11", "lumyn", "pytest_lumyn.plugin"),
    } <= found


def test_unknown_option_is_a_usage_error(tmp_path: Path) -> None:
    """A mistyped option exits 2 and shows no traceback."""
    done = run("-m", "lumyn", "--no-such-option", cwd=tmp_path)
    assert 2 == done.returncode
    assert "Traceback" not in done.stderr + done.stdout
