"""
What the vectors of a policy leave open: edits that none notices and goals that none meets, each a bit of one number.
Must not know what could close a hole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lumyn.analysis.coverage import Criterion, Goals
from lumyn.analysis.dimension import bits
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.mutants import Scope, mutants
from lumyn.analysis.observations import Observation
from lumyn.analysis.scale import Severity
from lumyn.policy.spec import Condition, Policy, Rule

__all__ = ["SHOWN_GOALS", "Holes", "Left", "left_open"]

SHOWN_GOALS: Final = (Criterion.FIRED, Criterion.DECIDES, Criterion.CODES, Criterion.REQUIRED, Criterion.BOUNDARIES)
_WEIGHTS: Final = {Severity.NEW_TRUST: 1000, Severity.LOOSER: 100, Severity.TIGHTER: 10, Severity.CODES: 2}
_SHOWN: Final = 5
_FURTHER: Final = 1
_MORE: Final = "more suggestions are needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """
    Something that stays open.

    Attributes:
        name: Id of a mutant, or a goal as `criterion:name`.
        title: The edit, or the goal, in words.
        reason: Why nothing closes it.
    """

    name: str
    title: str
    reason: str


class Holes:
    """
    The open edits and goals of one policy: the edits are the lower bits, the goals those above.

    Attributes:
        mutants: The edits that no observed decision notices; equivalent ones among them until they are `settle`d.
        every_goal: The goals of the policy, met ones among them.
        goals: Names of the goals that none meets; infeasible ones among them until they are settled.
    """

    def __init__(
        self, policy: Policy, rows: Sequence[Observation], *, scope: Scope, criteria: Sequence[Criterion]
    ) -> None:
        matrix = Matrix(policy, rows)
        self.policy = policy
        self.mutants = tuple(each for each in mutants(policy, scope) if matrix.killed_by(each)[0] is None)
        wanted = {criterion.value for criterion in criteria}
        self.every_goal = Goals(policy)
        met = self.every_goal.met(matrix)
        self.goals = tuple(name for name, where in met.items() if not where and name.partition(":")[0] in wanted)
        self._first_goal = len(self.mutants)
        self._goal_at = {name: self._first_goal + place for place, name in enumerate(self.goals)}
        self._severities: dict[int, Severity] = {}
        self._reasons: dict[int, str] = {}
        self._shut = 0
        self._actions: dict[int, frozenset[str] | None] = {}
        self._by_action: dict[str | None, int] | None = None

    def __bool__(self) -> bool:
        return bool(self.mutants or self.goals)

    def conditions(self, action: str) -> list[Condition]:
        """Return the conditions of the open edits that apply to an action."""
        rules = (rule for mutant in self.mutants for rule in (mutant.rules or {}).values())
        return [each for rule in rules if rule is not None and rule.applies_to(action) for each in rule.conditions]

    def actions(self, place: int) -> frozenset[str] | None:
        """Return the actions that an edit bears on, None for all of them."""
        if place not in self._actions:
            self._actions[place] = _actions(self.mutants[place])
        return self._actions[place]

    def concerning(self, actions: Iterable[str]) -> int:
        """Return the edits that bear on any of some actions, as bits."""
        if self._by_action is None:
            self._by_action = {}
            for place in range(self._first_goal):
                for action in self.actions(place) or (None,):
                    self._by_action[action] = self._by_action.get(action, 0) | 1 << place
        found = self._by_action.get(None, 0)
        for action in actions:
            found |= self._by_action.get(action, 0)
        return found

    @property
    def edits(self) -> int:
        """All edits, settled ones among them."""
        return (1 << self._first_goal) - 1

    @property
    def open(self) -> int:
        """All that is not settled to be no hole."""
        return ((1 << (self._first_goal + len(self.goals))) - 1) & ~self._shut

    def bit_of(self, goal: str) -> int:
        """Return the bit of a goal, 0 for one that is not open."""
        place = self._goal_at.get(goal)
        return 0 if place is None else 1 << place

    def seen(self, place: int, severity: Severity) -> None:
        """Note what an edit was seen to do to a verdict; the gravest counts."""
        self._severities[place] = min(severity, self._severities.get(place, severity))

    def shut(self, place: int) -> None:
        """Note that no request tells an edit from the policy, or that none meets a goal: proved."""
        self._shut |= 1 << place

    def explain(self, place: int, reason: str) -> None:
        """Note why nothing closes a hole."""
        self._reasons[place] = reason

    def weights(self) -> list[tuple[int, int]]:
        """Return sets of holes with the worth of closing each of their members."""
        sets = dict.fromkeys(Severity, 0)
        for place in bits(self.open & self.edits):
            sets[self._severities.get(place, Severity.CODES)] |= 1 << place
        shown = further = 0
        for name, place in self._goal_at.items():
            if Criterion(name.partition(":")[0]) in SHOWN_GOALS:
                shown |= 1 << place
            else:
                further |= 1 << place
        return [*((sets[each], _WEIGHTS[each]) for each in Severity), (shown, _SHOWN), (further, _FURTHER)]

    def named(self, members: int) -> tuple[tuple[Mutant, ...], tuple[str, ...]]:
        """Return the edits and the goals of a set, the gravest edits first."""
        places = [*bits(members)]
        edits = [place for place in places if place < self._first_goal]
        edits.sort(key=lambda place: self._severities.get(place, Severity.CODES))
        goals = (self.goals[place - self._first_goal] for place in places if place >= self._first_goal)
        return tuple(self.mutants[place] for place in edits), tuple(goals)

    def left(self, closed: int, *, limited: bool) -> tuple[Left, ...]:
        """
        Return what stays open.

        Args:
            closed: What is closed.
            limited: Whether more could have been chosen.
        """
        found = []
        for place in bits(self.open & ~closed):
            told = self._reasons.get(place, _MORE if limited else "no request was found")
            hole = self.mutants[place] if place < self._first_goal else self.goals[place - self._first_goal]
            found.append(left_open(hole, told))
        return tuple(found)


def left_open(hole: Mutant | str, reason: str = _MORE) -> Left:
    """Return an edit, or a goal as `criterion:name`, that stays open for a reason."""
    if isinstance(hole, str):
        return Left(name=hole, title=hole.partition(":")[2], reason=reason)
    return Left(name=hole.mutant_id, title=f"{hole.place} -> {hole.edit}", reason=reason)


def _actions(mutant: Mutant) -> frozenset[str] | None:
    rules: list[Rule] = [*mutant.edited, *(rule for rule in (mutant.rules or {}).values() if rule is not None)]
    if mutant.default is not None or any(rule.actions is None for rule in rules):
        return None
    return frozenset((*(mutant.required or ()), *(action for rule in rules for action in rule.actions or ())))
