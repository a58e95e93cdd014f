"""
The scales of strength: what coverage counts, which edits mutation makes, how grave it is that one goes unnoticed.
Imported by every run that asks for them, so it stays light; must not know how anything is computed.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = ["Criterion", "Scope", "Severity"]


class Criterion(StrEnum):
    """What is counted; the first five are shown and can be gated."""

    FIRED = "fired"
    DECIDES = "decides"
    CODES = "codes"
    REQUIRED = "required"
    BOUNDARIES = "boundaries"
    CONDITIONS = "conditions"
    UNKNOWN_INPUTS = "unknown_inputs"
    VERDICTS = "verdicts"


class Scope(StrEnum):
    """Which operators are used: `CORE` those that no others make superfluous, `FULL` all of them."""

    CORE = "core"
    FULL = "full"


class Severity(IntEnum):
    """How bad it is that nobody notices, worst first."""

    NEW_TRUST = 0
    LOOSER = 1
    TIGHTER = 2
    CODES = 3

    @property
    def label(self) -> str:
        """As reports write it."""
        return {0: "new TRUST", 1: "looser", 2: "tighter", 3: "reason codes only"}[self.value]
