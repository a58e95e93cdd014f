"""Stored history decided again under another policy: what would have come out, and how often; changes nothing."""

from lumyn.backtest.effects import Effect, Group, Tally, Unplayable
from lumyn.backtest.history import Past, read_lines, read_store
from lumyn.backtest.redeciding import MemoryChoice, backtest, redecide

__all__ = [
    "Effect",
    "Group",
    "MemoryChoice",
    "Past",
    "Tally",
    "Unplayable",
    "backtest",
    "read_lines",
    "read_store",
    "redecide",
]
