"""
Which observed request notices which mutant: only what an edit touches is computed anew.
Must not know how mutants are made or ranked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from lumyn.analysis.dimension import bits, lowest
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.observations import Observation
from lumyn.analysis.sheet import Sheet
from lumyn.analysis.table import Table, mask_of
from lumyn.model import Evaluation
from lumyn.policy.spec import Condition, Policy, Rule

if TYPE_CHECKING:
    from lumyn.analysis.rates import RateBook

__all__ = ["Matrix"]


class Matrix:
    """
    The observed requests, a row each, under one policy and its mutants.

    Attributes:
        table: The requests.
        base: How they come out under the policy.
    """

    def __init__(self, policy: Policy, observations: Iterable[Observation]) -> None:
        self.table = Table(policy, observations)
        self.base = Sheet(self.table, policy)
        self._before: dict[int, Evaluation] = {}
        self._decisive: dict[tuple[int, int], int] = {}

    @classmethod
    def of(cls, policy: Policy, observations: Iterable[Observation] | Matrix) -> Matrix:
        """Return the matrix of some observations under a policy: itself where it is one already."""
        return observations if isinstance(observations, Matrix) else cls(policy, observations)

    @property
    def rows(self) -> Sequence[Observation]:
        """The observations."""
        return self.table.rows

    @cached_property
    def book(self) -> RateBook:
        """What rates can be, for all who span what could be asked besides."""
        from lumyn.analysis.rates import RateBook

        return RateBook()

    @cached_property
    def outcomes(self) -> Sequence[Evaluation]:
        """What the policy makes of every row."""
        return [self.before(place) for place in range(len(self.rows))]

    def before(self, place: int) -> Evaluation:
        """Return what the policy makes of a row."""
        found = self._before.get(place)
        if found is None:
            found = self._before[place] = self.base.outcome(place)
        return found

    def sheet(self, mutant: Mutant) -> Sheet:
        """Return the rows under a mutant."""
        return Sheet(self.table, mutant, like=self.base)

    def changed(self, mutant: Mutant) -> Iterator[tuple[int, Evaluation]]:
        """Yield the rows whose outcome a mutant changes, with the new outcome: rows of another verdict first."""
        return self._changed(self.sheet(mutant))

    def _changed(self, sheet: Sheet) -> Iterator[tuple[int, Evaluation]]:
        verdicts = self.base.other_verdict(sheet)
        for place in bits(verdicts):
            yield place, sheet.outcome(place)
        for place in bits(self.base.suspects(sheet) & ~verdicts):
            after = sheet.outcome(place)
            if after != self.before(place):
                yield place, after

    def decisive(self, rule: Rule, condition: Condition) -> int:
        """Return the rows in which a rule fires exactly if one of its conditions holds."""
        found = self._decisive.get((id(rule), id(condition)))
        if found is None:  # the policy keeps both, and so their ids
            found = self._decisive[id(rule), id(condition)] = self.base.decisive(rule, condition)
        return found

    def killed_by(self, mutant: Mutant, *, whole_record: bool = False) -> tuple[int | None, int | None]:
        """
        Return the first row that notices a mutant, and else the first that it changes unnoticed; None where none is.

        Args:
            whole_record: Count every change of the record as noticed, whatever the vectors expect.
        """
        sheet = self.sheet(mutant)
        verdicts = self.base.other_verdict(sheet)
        sure = verdicts if whole_record else verdicts & self._pinned_verdicts
        if sure:
            return lowest(sure), None
        suspects = self.base.suspects(sheet) & ~verdicts
        telling = suspects if whole_record else suspects & ~self._verdict_only
        certain = verdicts | (self.base.tells(sheet) if telling else 0)
        for place in chain(bits(verdicts), bits(telling)):
            pins = self.rows[place].pins
            sure = certain >> place & 1
            if sure and (whole_record or pins is None or pins.everything):
                return place, None
            after = sheet.outcome(place)
            if (sure or after != self.before(place)) and (whole_record or pins is None or pins.notice(after)):
                return place, None
        return None, lowest(verdicts) if verdicts else self._first_changed(sheet, suspects)

    def _first_changed(self, sheet: Sheet, suspects: int) -> int | None:
        certain = self.base.tells(sheet)
        for place in bits(suspects):
            if certain >> place & 1 or sheet.outcome(place) != self.before(place):
                return place
        return None

    def noticing(self, mutant: Mutant, *, most: int) -> int:
        """
        Return rows that notice a mutant, as bits: all that do by the verdict, and some that do by the rest.

        Args:
            most: How many rows with an unchanged verdict are looked at.
        """
        sheet = self.sheet(mutant)
        verdicts = self.base.other_verdict(sheet)
        found = verdicts & self._pinned_verdicts
        for looked, place in enumerate(bits(self.base.suspects(sheet) & ~verdicts)):
            if looked >= most:
                break
            after, pins = sheet.outcome(place), self.rows[place].pins
            if after != self.before(place) and (pins is None or pins.notice(after)):
                found |= 1 << place
        return found

    @cached_property
    def _pinned_verdicts(self) -> int:
        return mask_of(row.pins is None or row.pins.verdict for row in self.rows)

    @cached_property
    def _verdict_only(self) -> int:
        """The rows that expect nothing of the record but its verdict."""
        return mask_of(row.pins is not None and row.pins.verdict_only for row in self.rows)
