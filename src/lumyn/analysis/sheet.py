"""
How the observed requests come out under one policy: verdicts as bits, single outcomes concluded by the engine itself.
Must not know what expects an outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from lumyn.analysis.mutant import Mutant
from lumyn.analysis.outline import Outline
from lumyn.analysis.table import Table
from lumyn.analysis.witness import outcome_of
from lumyn.engine.outcome import Findings, conclude, field_to_ask
from lumyn.model import Evaluation, Stage
from lumyn.policy.spec import Policy, Rule

__all__ = ["Sheet"]


_PLACES: Final = {stage: place for place, stage in enumerate(Stage)}

Told: TypeAlias = "tuple[Rule, int, int]"
"""A rule, the rows in which it fires, and those in which it is undetermined."""


class Sheet(Outline):
    """The outline of observed requests, with the outcome of each."""

    def __init__(self, table: Table, policy: Policy | Mutant, *, like: Sheet | None = None) -> None:
        super().__init__(table, policy, like=like)
        self._rows = table
        self._base = like
        self._orders: dict[str, Sequence[Told]] = {}

    def _ordered(self, action: str) -> Sequence[Told]:
        """Return the rules `policy.rules_for` does with what they say of the rows, without making a mutant's policy."""
        found = self._orders.get(action)
        if found is None:
            found = self._edited(action)
            if found is None:
                found = [(rule, *self.truth(rule)) for rule in self.policy.rules_for(action)]
            self._orders[action] = found
        return found

    def _edited(self, action: str) -> list[Told] | None:
        """Return the rules of the base with the edits of a mutant; None where more than those is to be told anew."""
        if self._base is None or not self.shares or not isinstance(self._source, Mutant):
            return None
        gone = {id(rule) for rule in self.gone}
        kept = [told for told in self._base._ordered(action) if id(told[0]) not in gone]  # noqa: SLF001
        come = [(rule, *self.truth(rule)) for rule in self.come if rule.applies_to(action)]
        return sorted((*kept, *come), key=_place) if come else kept

    def outcome(self, place: int) -> Evaluation:
        """Return the outcome of a row as a record tells it, concluded by the engine."""
        table = self._rows
        row = table.rows[place]
        action = row.request.action_type
        bit = 1 << place
        fired: list[Rule] = []
        undetermined: list[Rule] = []
        for rule, true, unknown in self._ordered(action):
            if true & bit:
                fired.append(rule)
            elif unknown & bit:
                undetermined.append(rule)
        codes = []
        if self.invalid & bit:
            codes = [code for key in self.keys(action) if (code := table.read_at(key, place)[1]) is not None]
        findings = Findings(
            fired=fired,
            undetermined=undetermined,
            missing_required=[key for key in self.required.get(action, ()) if table.missing(key) & bit],
            invalid_codes=codes,
            fx_out_of_bounds=bool(table.out_of_bounds & bit),
            ask={
                condition.fact: field_to_ask(table.policy, table.facts(place), condition.fact)
                for rule in undetermined
                for condition in rule.conditions
                if table.column(condition, self._reader(condition))[1] & bit
            },
        )
        source = self._source
        plain = isinstance(source, Mutant) and source.default is None  # no other edit changes what is concluded from
        return outcome_of(conclude(table.policy if plain else self.policy, findings))


def _place(told: Told) -> tuple[int, int]:
    return _PLACES[told[0].stage], told[0].index
