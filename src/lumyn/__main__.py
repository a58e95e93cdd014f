"""Starts the command line, as `lumyn` and as `python -m lumyn`. Must not know any command."""

from __future__ import annotations

import gc
import sys

from lumyn.cli.entry import run

__all__ = ["main"]

_COLLECT_AFTER = 100_000
"""Objects made and not yet freed before the youngest are looked through; Python's own 700 costs a tenth of a run."""


def main() -> None:
    """Run the command line of this process and exit with its code."""
    # Most commands are over before the first collection pays off, and what is left at the end the system reclaims.
    gc.set_threshold(_COLLECT_AFTER)
    code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
