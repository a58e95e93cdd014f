"""Starts the command line, as `lumyn` and as `python -m lumyn`. Must not know any command."""

from __future__ import annotations

import sys

from lumyn.cli.entry import run

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
