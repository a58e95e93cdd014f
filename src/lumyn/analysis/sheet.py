"""
How the observed requests come out under one policy: verdicts as bits, single outcomes concluded by the engine itself.
Must not know what expects an outcome.
"""

from __future__ import annotations

from lumyn.analysis.mutant import Mutant
from lumyn.analysis.outline import Outline
from lumyn.analysis.table import Table
from lumyn.analysis.witness import outcome_of
from lumyn.engine.outcome import Findings, conclude, field_to_ask
from lumyn.model import Evaluation
from lumyn.policy.spec import Policy, Rule

__all__ = ["Sheet"]


class Sheet(Outline):
    """The outline of observed requests, with the outcome of each."""

    def __init__(self, table: Table, policy: Policy | Mutant, *, like: Sheet | None = None) -> None:
        super().__init__(table, policy, like=like)
        self._rows = table
        self._base = like
        self._orders: dict[str, tuple[Rule, ...]] = {}

    def _ordered(self, action: str) -> tuple[Rule, ...]:
        found = self._orders.get(action)
        if found is None:
            found = self._orders[action] = self._like_base(action) or self.policy.rules_for(action)
        return found

    def _like_base(self, action: str) -> tuple[Rule, ...] | None:
        """Return the rules in the order of the base, or None where an edit may move one."""
        if self._base is None or len(self.come) > len(self.gone):
            return None
        edited = {rule.rule_id: rule for rule in self.come}
        for old in self.gone:
            new = edited.get(old.rule_id)
            if new is not None and (new.stage, new.index, new.actions) != (old.stage, old.index, old.actions):
                return None
        gone = {rule.rule_id for rule in self.gone}
        kept = (
            edited.get(rule.rule_id) if rule.rule_id in gone else rule
            for rule in self._base._ordered(action)  # noqa: SLF001
        )
        return tuple(rule for rule in kept if rule is not None) if gone.issuperset(edited) else None

    def outcome(self, place: int) -> Evaluation:
        """Return the outcome of a row as a record tells it, concluded by the engine."""
        table, policy = self._rows, self.policy
        row = table.rows[place]
        action = row.request.action_type
        bit = 1 << place
        fired: list[Rule] = []
        undetermined: list[Rule] = []
        for rule in self._ordered(action):
            true, unknown = self.truth(rule)
            if true & bit:
                fired.append(rule)
            elif unknown & bit:
                undetermined.append(rule)
        codes = []
        if self.invalid & bit:
            codes = [code for key in self.keys(action) if (code := table.read(key)[place][1]) is not None]
        required = policy.required_evidence.get(action, ())
        findings = Findings(
            fired=fired,
            undetermined=undetermined,
            missing_required=[key for key in required if table.read(key)[place] == (None, None)],
            invalid_codes=codes,
            fx_out_of_bounds=bool(table.out_of_bounds & bit),
            ask={
                condition.fact: field_to_ask(policy, table.facts(place), condition.fact)
                for rule in undetermined
                for condition in rule.conditions
                if table.column(condition, policy)[1] & bit
            },
        )
        return outcome_of(conclude(policy, findings))
