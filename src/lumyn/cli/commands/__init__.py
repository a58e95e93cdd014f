"""One module for each command; each has `register(app)` and imports nothing heavy before it is run."""

from __future__ import annotations

from typing import Final

__all__ = ["COMMANDS"]

COMMANDS: Final = (
    "init",
    "demo",
    "decide",
    "show",
    "explain",
    "export",
    "replay",
    "label",
    "verify",
    "checkpoint",
    "policy",
    "backtest",
    "vectors",
    "doctor",
    "serve",
)
"""Every command, in the order in which `lumyn --help` lists them; also the names of their modules."""
