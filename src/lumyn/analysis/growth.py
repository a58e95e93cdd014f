"""
How verdicts move as one number grows and nothing else changes: whether they ever loosen or tighten, with two requests.
Exact for every request; must not know why growth is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from lumyn.analysis.boxes import Box
from lumyn.analysis.copies import Sections, Twins, apart, ascending, twins_of
from lumyn.analysis.dimension import RATE
from lumyn.analysis.regions import View
from lumyn.analysis.tally import GUARDED
from lumyn.model import Verdict
from lumyn.policy.spec import EvidenceType, Policy

__all__ = ["Growth", "asks_in_reach", "growth_of", "loosened", "numbers_of"]

_NUMBERS: Final = (EvidenceType.NUMBER, EvidenceType.INTEGER)
# From the most permissive on: what becomes TRUST is told before anything else.
_LOOSER: Final = [
    (before, after)
    for after in sorted(Verdict, key=lambda each: each.strictness)
    for before in Verdict
    if after.strictness < before.strictness
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """
    What the growth of one number does to the verdicts of one action.

    Attributes:
        loosens: Two requests, of which the one with the greater number gets the more permissive verdict; None: there
            are no such requests.
        tightens: Two requests, of which the one with the greater number gets the stricter verdict; None likewise.
    """

    fact: str
    loosens: Twins | None
    tightens: Twins | None


def asks_in_reach(view: View) -> bool:
    """Return whether some question is asked only because `TRUST` is in reach: it goes when the `TRUST` does."""
    region = view.withholding()
    return all(region.must) and view.space.search.find((), must=region.must, avoid=region.avoid) is not None


def growth_of(view: View, fact: str) -> Growth:
    """
    Return what the growth of a number does; questions asked only because `TRUST` is in reach do not count.

    Raises:
        BudgetExceededError: That could not be told.
    """
    ways = _Ways(view, fact, questions=False)
    loosens = next(ways.loosened(falling=False), None)
    found = next(ways.loosened(falling=True), None)
    tightens = None if found is None else Twins(found.second, found.first, found.after, found.before)
    return Growth(fact=fact, loosens=loosens, tightens=tightens)


def numbers_of(policy: Policy, action: str) -> list[str]:
    """Return the numbers that the rules of an action compare and that can grow by themselves, in file order."""
    found: dict[str, None] = {}
    for rule in policy.rules_for(action):
        for condition in rule.conditions:
            key = condition.evidence_key
            spec = None if key is None else policy.evidence.get(key)
            number = spec is not None and spec.type in _NUMBERS and condition.fact != RATE
            if number or condition.fact in ("amount_usd", "risk.failure_similarity"):
                found[condition.fact] = None
    return [*found]


def loosened(view: View, fact: str, *, falling: bool, questions: bool = True) -> Iterator[Twins]:
    """
    Yield pairs of requests, the second with the greater number (falling: the smaller) and the more permissive verdict.

    Args:
        questions: Whether a question counts that is asked only while `TRUST` is in reach, and not where a person
            decides anyway.

    Raises:
        BudgetExceededError: Whether there is such a pair could not be told.
    """
    yield from _Ways(view, fact, questions=questions).loosened(falling=falling)


class _Ways:
    """The ways from each cell of a number to the next."""

    def __init__(self, view: View, fact: str, *, questions: bool) -> None:
        dimension, rows = ascending(view.space, view.policy, fact)
        self._questions = questions
        self._rows = rows if any(len(cells) > 1 for cells in rows) else []
        if self._rows:
            self._sections = Sections(view, dimension)
            self._causes = _Causes(self._sections, questions=questions and asks_in_reach(view))

    def loosened(self, *, falling: bool) -> Iterator[Twins]:
        """Yield what the function of the same name does."""
        for cells in self._rows:
            for pair in pairwise(reversed(cells) if falling else cells):
                lost = self._causes.between(*pair)
                for before, after in _LOOSER if lost else ():
                    causes = lost.get(before)
                    if causes is None:
                        continue
                    withheld = self._questions or after is Verdict.TRUST
                    twins = twins_of(self._sections, pair, (before, after), withheld=withheld, causes=causes)
                    if twins is not None:
                        yield twins


class _Causes:
    """
    What has to happen on the way from one cell to the next for a verdict to loosen.

    A verdict stricter than `TRUST` can only go where what gave it no longer holds: a rule that gave it, a guard that
    withheld `TRUST`, a block of the engine; or, where no rule gave it but the default did, where a looser rule holds.
    """

    def __init__(self, sections: Sections, *, questions: bool) -> None:
        view = sections.view
        default = view.policy.default_verdict
        self._leaving: list[tuple[int, Box, Verdict]] = []
        self._entering: list[tuple[int, Box, Verdict]] = []
        self._place = sections.place
        self._note(self._leaving, view.engine, Verdict.ABSTAIN)
        for each in view.rules:
            verdict = each.rule.verdict
            if verdict is not Verdict.TRUST:
                self._note(self._leaving, each.true, verdict)
            if verdict.strictness < default.strictness:
                self._note(self._entering, each.true, default)
            if each.rule.stage in GUARDED:
                self._note(self._leaving, set(each.possible) - set(each.true), Verdict.QUERY)
            if questions and verdict is Verdict.TRUST:
                self._note(self._leaving, each.true, Verdict.QUERY)
            if questions and verdict is Verdict.ESCALATE:
                self._note(self._entering, each.true, Verdict.QUERY)

    def _note(self, causes: list[tuple[int, Box, Verdict]], boxes: Iterable[Box], before: Verdict) -> None:
        for box in boxes:
            mask, rest = apart(box, self._place)
            if mask >= 0:
                causes.append((mask, rest, before))

    def between(self, first: int, second: int) -> dict[Verdict, list[Box]]:
        """
        Return what may make a verdict more permissive on the way from one cell to another.

        Returns:
            Verdict -> where a cause of it is, in the other dimensions; the verdicts left out stay.
        """
        found: dict[Verdict, list[Box]] = {}
        for mask, box, before in self._leaving:
            if mask >> first & 1 and not mask >> second & 1:
                found.setdefault(before, []).append(box)
        for mask, box, before in self._entering:
            if mask >> second & 1 and not mask >> first & 1:
                found.setdefault(before, []).append(box)
        return found
