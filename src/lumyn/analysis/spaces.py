"""
The spaces of a policy's actions, with all that its coverage and its mutants tell apart; each made when first asked for.
Must not know what is asked of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lumyn.analysis.boxes import BUDGET
from lumyn.analysis.cells import Space
from lumyn.policy.spec import Condition, Policy, Rule

__all__ = ["Spaces"]


class Spaces:
    """
    One space for each action.

    Attributes:
        limit: Steps one question may take.
    """

    def __init__(
        self, policy: Policy, extra: Iterable[tuple[Rule, Sequence[Condition]]] = (), *, limit: int = BUDGET
    ) -> None:
        """
        Args:
            extra: Conditions to tell apart besides those of the policy, in the actions a rule applies to.
        """
        self.policy = policy
        self.limit = limit
        self._extra = list(extra)
        self._made: dict[str, Space] = {}

    def of(self, action: str) -> Space:
        """Return the space of an action; raises SpaceTooLargeError where it reads too many members of a list."""
        found = self._made.get(action)
        if found is None:
            extra = [each for rule, conditions in self._extra if rule.applies_to(action) for each in conditions]
            found = self._made[action] = Space(action, [self.policy], extra=extra, limit=self.limit)
        return found
