"""
Where the process starts: answers `--version` at once and hands every other command line on.
Imports next to nothing; must not know any command.
"""

from __future__ import annotations

import os
import sys

__all__ = ["COMPLETION_VARIABLE", "run"]

COMPLETION_VARIABLE = "_LUMYN_COMPLETE"
"""Set by a shell that asks for completions instead of running a command."""

INTERRUPTED = 130
"""`ExitCode.INTERRUPTED`, which would have to be imported."""


def run(argv: list[str]) -> int:
    """Run one command line and return its exit code. Raises nothing but `SystemExit`, for shell completion."""
    if argv in (["--version"], ["-V"]) and COMPLETION_VARIABLE not in os.environ and sys.stdout is not None:
        return _version()
    try:
        from lumyn.cli.running import run_guarded

        return run_guarded(argv)
    except KeyboardInterrupt:  # while modules are still being imported
        return INTERRUPTED


def _version() -> int:
    from lumyn._version import __version__

    try:
        sys.stdout.write(f"lumyn {__version__}\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        # The long way says what is wrong with the stream, and closes it quietly.
        from lumyn.cli.running import run_guarded

        return run_guarded(["--version"])
    return 0
