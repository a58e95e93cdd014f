"""
Tells mutants from their policy: proved equivalent, or how grave the gravest request is that shows the edit.
Over all requests of an action at once where they fit into a grid, else by search; must not know vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from lumyn.analysis.boxes import BUDGET, BudgetExceededError
from lumyn.analysis.cells import Space
from lumyn.analysis.difference import Difference, severity_of
from lumyn.analysis.dimension import atom_of, lowest
from lumyn.analysis.grid import Grid, Slices
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.outline import Outline, says_the_same
from lumyn.analysis.pairs import Pair
from lumyn.analysis.rates import RateBook
from lumyn.analysis.regions import View, actions_of
from lumyn.analysis.scale import Severity
from lumyn.analysis.witness import AnalysisDefectError, Case, case_at, evaluate, outcome_of
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import Condition, Policy, Rule

__all__ = ["Finding", "Judge", "telling", "told"]

_A_POINT: Final = 18
"""So much of the budget of a question goes for one combination of cells in a grid."""
_KINDS: Final = (Severity.NEW_TRUST, Severity.LOOSER, Severity.TIGHTER, Severity.CODES)


class Finding(NamedTuple):
    """
    What tells a mutant from its policy.

    Attributes:
        show: Returns the gravest request there is, decided by the engine under both; AnalysisDefectError when the
            engine does not see what is said here.
    """

    severity: Severity
    show: Callable[[], Difference]


class Judge:
    """Tells mutants of one policy from it, with the spaces of its actions built once for all of them."""

    def __init__(
        self, policy: Policy, made: Sequence[Mutant], *, limit: int = BUDGET, book: RateBook | None = None
    ) -> None:
        """
        Args:
            made: The mutants that may be asked about.
            book: The rates that other spaces of the policy looked at.
        """
        self._policy = policy
        self._made = made
        self._book = book
        self._limit = limit
        self._spaces: dict[str, Space] = {}
        self._views: dict[str, View] = {}
        self._slices: dict[str, Slices] = {}
        self._bases: dict[tuple[str, frozenset[int]], tuple[Grid, Outline] | None] = {}
        self._actions = actions_of(policy)
        self._counting = any(each.fact == "risk.uncertainty" for rule in policy.rules for each in rule.conditions)

    def worst(self, mutant: Mutant) -> Difference | None:
        """
        Return the gravest request that tells a mutant from its policy, or None: it is proved that there is none.

        Raises:
            BudgetExceededError: Neither was found.
            SpaceTooLargeError: The action reads too many members of a list.
        """
        found = self.finding(mutant)
        return None if found is None else found.show()

    def finding(self, mutant: Mutant) -> Finding | None:
        """Return how a mutant can be told from its policy, as `worst` does, without making the request yet."""
        found: Finding | None = None
        for action in self._concerned(mutant):
            here = self._at(action, mutant)
            if here is not None and (found is None or here.severity < found.severity):
                found = here
                if found.severity is Severity.NEW_TRUST:
                    break
        return found

    def _at(self, action: str, mutant: Mutant) -> Finding | None:
        space = self._space(action, mutant)
        made = None if self._counting else self._base(action, mutant)
        if made is not None:
            grid, base = made
            finding = _on(grid, base, mutant, action)
            if finding is not None:
                return finding
        finding = self._by_search(space, mutant)
        if finding is not None and made is not None and finding.severity is not Severity.CODES:
            raise AnalysisDefectError(f"mutant {mutant.mutant_id}: the search finds another verdict, the grid none")
        return finding

    def _by_search(self, space: Space, mutant: Mutant) -> Finding | None:
        view = self._views.get(space.action)
        if view is None or view.space is not space:
            view = self._views[space.action] = View(space, self._policy)
        pair = Pair(space, view, mutant.policy)
        try:
            gravest = pair.gravest()
        except BudgetExceededError:
            # The gravest kind of all may be met at the first difference there is.
            first = next(pair.differences(), None)
            if first is None or first.severity is Severity.NEW_TRUST:
                return _settled(space, first)
            raise
        if gravest is not None:
            severity, corner = gravest
            return Finding(severity, partial(_at_corner, space, corner, mutant, severity))
        found = next(pair.corners(), None)
        if found is not None:
            return Finding(Severity.CODES, partial(_at_corner, space, found[0], mutant, Severity.CODES))
        return _settled(space, next(pair.queries(), None))

    def _base(self, action: str, mutant: Mutant) -> tuple[Grid, Outline] | None:
        """Return the policy on a grid that tells apart what a mutant does, or None where that would be too large."""
        slices = self._slices.get(action)
        if slices is None:
            slices = self._slices[action] = Slices(self._spaces[action], self._policy)
        fine = frozenset(self._told(slices, action, mutant))
        if (action, fine) not in self._bases:
            fits = slices.size(fine) * _A_POINT <= self._limit
            grid = Grid(slices, fine) if fits else None
            self._bases[action, fine] = None if grid is None else (grid, Outline(grid, self._policy))
        return self._bases[action, fine]

    def _told(self, slices: Slices, action: str, mutant: Mutant) -> set[int]:
        """Return the dimensions a mutant cuts finer than its policy, or that only one of them reads."""
        found: set[int] = set()
        new = [rule for rule in (mutant.rules or {}).values() if rule is not None and rule.applies_to(action)]
        for rule in new:
            for condition in rule.conditions:
                if atom_of(0, condition) not in slices.known:
                    found.add(slices.place(condition.fact))
        if any(mutant.rereads) or mutant.required:
            for key in set(self._policy.keys_for(action)) ^ set(mutant.keys_for(action)):
                found.add(slices.place(EVIDENCE_PREFIX + key))
        return found

    def _concerned(self, mutant: Mutant) -> list[str]:
        """Return the actions for which a mutant may come to something else."""
        if mutant.default is not None:
            return self._actions
        named = set(mutant.required or ())
        for place, new in (mutant.rules or {}).items():
            old = self._policy.rules[place]
            here, there = self._actions_of(old), set() if new is None else self._actions_of(new)
            unmoved = new is not None and new.blocks is old.blocks and says_the_same(old, new)
            named |= here ^ there if unmoved and here != there else here | there
        for place in mutant.swap or ():
            named |= self._actions_of(self._policy.rules[place])
        return [action for action in self._actions if action in named]

    def _actions_of(self, rule: Rule) -> set[str]:
        return set(self._actions if rule.actions is None else rule.actions)

    def _space(self, action: str, mutant: Mutant) -> Space:
        if self._counting:  # what a mutant counts for its uncertainty is its own
            return Space(action, [self._policy, mutant.policy], limit=self._limit)
        space = self._spaces.get(action)
        if space is None:
            space = self._spaces[action] = Space(
                action, [self._policy], extra=self._extra(action), limit=self._limit, book=self._book
            )
        return space

    def _extra(self, action: str) -> list[Condition]:
        return [
            condition
            for mutant in self._made
            for rule in (mutant.rules or {}).values()
            if rule is not None and rule.applies_to(action)
            for condition in rule.conditions
        ]


def _on(grid: Grid, base: Outline, mutant: Mutant, action: str) -> Finding | None:
    """Return what a grid shows of a mutant; None: no other verdict, and nothing else that is certain."""
    severity, _ = _gravest(grid, base, mutant)
    return None if severity is None else Finding(severity, partial(_shown, grid, base, mutant, action))


def _gravest(grid: Grid, base: Outline, mutant: Mutant) -> tuple[Severity | None, int]:
    """Return how grave the gravest requests of a grid are, and which those are."""
    other = Outline(grid, mutant, like=base)
    found = zip(_KINDS, (*base.moved(other), base.tells(other)), strict=True)
    return next(((severity, rows) for severity, rows in found if rows), (None, 0))


def _known(grid: Grid, rows: int, mutant: Mutant, action: str) -> int:
    """Return those of some requests in which what an edit is about is known, then what else its rules read, if any."""
    here = [each for rule in (*mutant.edited, *mutant.come) if rule.applies_to(action) for each in rule.conditions]
    changed = {id(condition) for condition in mutant.changed}
    for condition in sorted(here, key=lambda each: id(each) not in changed):
        if condition.operator.name != "present":
            _, unknown = grid.column(condition, mutant.base)
            rows = rows & ~unknown or rows
    return rows


def _settled(space: Space, found: Difference | None) -> Finding | None:
    """Return what was found, or None: it is proved that there is nothing."""
    if found is None:
        if not space.complete:
            raise BudgetExceededError
        return None
    return Finding(found.severity, lambda: found)


def _at_corner(space: Space, corner: tuple[int, ...], mutant: Mutant, severity: Severity) -> Difference:
    """Return the plainest request of a part of the space, decided by the engine under the policy and its mutant."""
    return told(mutant, case_at(space.action, space.point(corner)), severity)


def _shown(grid: Grid, base: Outline, mutant: Mutant, action: str) -> Difference:
    """Return the plainest of the gravest requests of a grid, decided by the engine under the policy and its mutant."""
    severity, rows = _gravest(grid, base, mutant)
    if severity is None:
        raise AnalysisDefectError(f"mutant {mutant.mutant_id}: judged again, no request tells it")
    return told(mutant, case_at(action, grid.point(lowest(_known(grid, rows, mutant, action)))), severity)


def told(mutant: Mutant, case: Case, severity: Severity) -> Difference:
    """
    Return a request that tells a mutant from its policy, decided by the engine under both.

    Raises:
        AnalysisDefectError: The engine does not see a difference of that kind.
    """
    before, after = (outcome_of(evaluate(policy, case)) for policy in (mutant.base, mutant.policy))
    if before == after or severity_of(before, after) is not severity:
        raise AnalysisDefectError(f"mutant {mutant.mutant_id}: the engine does not see what the analysis said")
    return Difference(case=case, before=before, after=after)


def telling(mutant: Mutant) -> Callable[[Case], bool]:
    """Return what tells whether a case is decided otherwise under a mutant."""

    def tells(case: Case) -> bool:
        return outcome_of(evaluate(mutant.base, case)) != outcome_of(evaluate(mutant.policy, case))

    return tells
