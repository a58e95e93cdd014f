"""
Which verdicts the rules of a policy call for, and where one of them more has to when a rule is left out.
Must not know requests, nor how the truth of a rule was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lumyn.model import Stage, Verdict
from lumyn.policy.spec import Rule

__all__ = ["GUARDED", "Tally", "once_and_twice"]

GUARDED: Final = frozenset({Stage.REQUIREMENTS, Stage.HARD_BLOCKS, Stage.ESCALATIONS})
"""The stages of guards: one that is undetermined keeps anything from being trusted."""


class Tally:
    """
    Some rules, all rows at once.

    Attributes:
        fired: The rows in which rules fire, by the strictness of their verdict.
        blind: The rows in which a guard is undetermined.
    """

    def __init__(self, rules: Iterable[tuple[Rule, int, int]]) -> None:
        """
        Args:
            rules: Each with the rows in which it fires, and in which it is undetermined.
        """
        self.fired = [0] * len(Verdict)
        self.blind = 0
        self._twice = [0] * len(Verdict)
        self._blinder = 0
        for rule, true, unknown in rules:
            place = rule.verdict.strictness
            self._twice[place] |= self.fired[place] & true
            self.fired[place] |= true
            if rule.stage in GUARDED:
                self._blinder |= self.blind & unknown
                self.blind |= unknown

    def without(self, rule: Rule, true: int, unknown: int) -> tuple[list[int], int]:
        """Return `fired` and `blind` as they are without one of the rules: where it was alone, nothing is left."""
        fired, place = self.fired.copy(), rule.verdict.strictness
        fired[place] = (fired[place] & ~true) | self._twice[place]
        blind = (self.blind & ~unknown) | self._blinder if rule.stage in GUARDED else self.blind
        return fired, blind


def once_and_twice(pairs: Iterable[tuple[object, int]]) -> dict[object, tuple[int, int]]:
    """Return for each kind of some sets the members that are in one of them or more, and those in two or more."""
    found: dict[object, tuple[int, int]] = {}
    for kind, members in pairs:
        once, twice = found.get(kind, (0, 0))
        found[kind] = once | members, twice | once & members
    return found
