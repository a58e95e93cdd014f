"""
How the observed requests come out under one policy: rules and verdicts as bits, single outcomes by the engine itself.
A mutant's sheet shares what its edit does not touch with that of the base; must not know what expects an outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final

from lumyn.analysis.table import Table, Truths, any_of
from lumyn.analysis.witness import outcome_of
from lumyn.engine.outcome import Findings, conclude, field_to_ask
from lumyn.model import Evaluation, Stage, Verdict
from lumyn.policy.spec import BlockKind, Condition, Policy, Rule

__all__ = ["Sheet"]

_GUARDED: Final = frozenset({Stage.REQUIREMENTS, Stage.HARD_BLOCKS, Stage.ESCALATIONS})


class Sheet:
    """
    The rows under one policy: the base, or a mutant.

    Attributes:
        truths: `id` of a rule object -> the rows in which it fires, and in which it is undetermined.
        invalid: The rows in which evidence that matters is unusable.
    """

    def __init__(self, table: Table, policy: Policy, *, like: Sheet | None = None) -> None:
        self._table = table
        self.policy = policy
        self._like = like
        known = {} if like is None else like.truths
        self._come: list[Rule] = [rule for rule in policy.rules if id(rule) not in known]
        self._gone: list[Rule] = []
        if like is not None and (self._come or len(policy.rules) != len(like.policy.rules)):
            kept = {id(rule) for rule in policy.rules}
            self._gone = [rule for rule in like.policy.rules if id(rule) not in kept]
        self._counting: bool = (like is not None and like._counting) or _counts(self._come)  # noqa: SLF001
        self._affected = frozenset(table.acts) if like is None else self._touched(like)
        alike = like is not None and policy.required_evidence == like.policy.required_evidence
        # What a rule says of the rows does not depend on the others, but for what they count and require.
        self._shares = alike and not self._counting
        self._orders: dict[str, tuple[Rule, ...]] = {}
        new = self._come if self._shares else policy.rules
        self.truths: dict[int, Truths] = {**known, **{id(rule): self._truth(rule) for rule in new}}
        self.invalid = self._invalid()

    # Rules

    def _truth(self, rule: Rule) -> Truths:
        table = self._table
        where = self.applicable(rule)
        if not where:
            return 0, 0
        if rule.is_requirements_check:
            true = 0
            for action, rows in table.acts.items():
                if rows & where:
                    for key in self.policy.required_evidence.get(action, ()):
                        true |= rows & table.missing(key)
            return true & where, 0
        true, possible = where, where
        for block in rule.blocks:
            groups = [self._group(group) for group in block.groups]
            if block.kind is BlockKind.IF_ANY:
                true &= any_of(group[0] for group in groups)
                possible &= any_of(group[1] for group in groups)
            else:
                for sure, open_ in groups:
                    true &= sure
                    possible &= open_
        return true, possible & ~true

    def applicable(self, rule: Rule) -> int:
        """Return the rows whose action a rule applies to."""
        if rule.actions is None:
            return self._table.full
        return any_of(self._table.acts.get(action, 0) for action in rule.actions)

    def decisive(self, rule: Rule, condition: Condition) -> int:
        """Return the rows in which a rule fires exactly if one of its conditions holds: all its siblings do."""
        held = lacking = self.applicable(rule)
        for block in rule.blocks:
            with_it: list[int] = []
            without: list[int] = []
            for group in block.groups:
                true, _ = self._group(tuple(each for each in group if each is not condition))
                with_it.append(true)
                without.append(0 if any(each is condition for each in group) else true)
            if block.kind is BlockKind.IF_ANY:
                held, lacking = held & any_of(with_it), lacking & any_of(without)
            else:
                for true, less in zip(with_it, without, strict=True):
                    held, lacking = held & true, lacking & less
        return held & ~lacking

    @property
    def blocked(self) -> int:
        """The rows in which a block of the engine itself fires."""
        return self.invalid | self._table.out_of_bounds

    def _group(self, group: Iterable[Condition]) -> Truths:
        true = possible = self._table.full
        for condition in group:
            sure, unknown = self._table.column(condition, self.policy)
            true &= sure
            possible &= sure | unknown
        return true, possible

    def _touched(self, like: Sheet) -> frozenset[str]:
        """Return the actions for which other keys may matter than under the base."""
        old, new = like.policy, self.policy
        gone, come = self._gone, self._come
        found: set[str] = set()
        if _reads(gone) != _reads(come):
            for rule in (*gone, *come):
                found.update(self._table.acts if rule.actions is None else rule.actions)
        for action in old.required_evidence.keys() | new.required_evidence.keys():
            if old.required_evidence.get(action) != new.required_evidence.get(action):
                found.add(action)
        return frozenset(found & self._table.acts.keys())

    def _invalid(self) -> int:
        """Return the rows in which evidence that matters is unusable."""
        table = self._table
        found = 0 if self._like is None else self._like.invalid
        for action in self._affected:
            found &= ~table.acts[action]
            for key in self.keys(action):
                found |= table.acts[action] & table.invalid(key)
        return found

    def keys(self, action: str) -> tuple[str, ...]:
        """Return the keys that matter to an action."""
        return self._table.keys(self.policy if action in self._affected else self._table.policy, action)

    # Verdicts, all rows at once

    @cached_property
    def verdicts(self) -> Mapping[Verdict, int]:
        """Verdict -> the rows that get it."""
        fired = dict.fromkeys(Verdict, 0)
        fired[Verdict.ABSTAIN] = self.invalid | self._table.out_of_bounds
        blind = 0
        for rule in self.policy.rules:
            true, unknown = self.truths[id(rule)]
            fired[rule.verdict] |= true
            if rule.stage in _GUARDED:
                blind |= unknown
        left = self._table.full
        found: dict[Verdict, int] = {}
        for verdict in sorted(Verdict, key=lambda each: -each.strictness):
            found[verdict] = fired[verdict] & left
            left &= ~fired[verdict]
        withheld = found[Verdict.TRUST] & blind
        found[Verdict.TRUST] &= ~withheld
        found[Verdict.QUERY] |= withheld
        found[self.policy.default_verdict] |= left
        self._unmatched, self._withheld = left, withheld
        return found

    @property
    def unmatched(self) -> int:
        """The rows in which no rule fires."""
        _ = self.verdicts
        return self._unmatched

    @property
    def trusting(self) -> int:
        """The rows that are trusted, or would be if every guard were settled."""
        return self.verdicts[Verdict.TRUST] | self._withheld

    def other_verdict(self, other: Sheet) -> int:
        """Return the rows that get another verdict from `other`."""
        return any_of(self.verdicts[verdict] ^ other.verdicts[verdict] for verdict in Verdict)

    def suspects(self, other: Sheet) -> int:
        """Return rows among which are all that come out otherwise under `other`, the sheet of a mutant of this one."""
        table = self._table
        found = 0
        for action in other._affected:
            required = self.policy.required_evidence.get(action, ()), other.policy.required_evidence.get(action, ())
            asked = (
                set(required[0]) ^ set(required[1]) if sorted(required[0]) != sorted(required[1]) else set(required[0])
            )
            if required[0] != required[1]:
                found |= table.acts[action] & any_of(table.missing(key) for key in asked)
            found |= table.acts[action] & any_of(
                table.invalid(key) for key in set(self.keys(action)) ^ set(other.keys(action))
            )
        trusting = self.trusting | other.trusting
        for sheet, rules in ((self, other._gone), (other, other._come)):
            for rule in rules:
                true, unknown = sheet.truths[id(rule)]
                found |= true | (unknown & trusting)
        if not other._shares:
            for name, (true, unknown) in self.truths.items():  # the same rule: it asks for other keys, or counts others
                now, open_ = other.truths[name]
                found |= (true ^ now) | ((unknown ^ open_) & trusting)
        old, new = self.policy, other.policy
        if (old.default_verdict, old.default_reason_code) != (new.default_verdict, new.default_reason_code):
            found |= self.unmatched
        return found

    # One row

    def _ordered(self, action: str) -> tuple[Rule, ...]:
        found = self._orders.get(action)
        if found is None:
            found = self._orders[action] = self.policy.rules_for(action)
        return found

    def outcome(self, place: int) -> Evaluation:
        """Return the outcome of a row as a record tells it, concluded by the engine."""
        table, policy = self._table, self.policy
        row = table.rows[place]
        action = row.request.action_type
        bit = 1 << place
        fired: list[Rule] = []
        undetermined: list[Rule] = []
        for rule in self._ordered(action):
            true, unknown = self.truths[id(rule)]
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


def _reads(rules: Iterable[Rule]) -> set[tuple[tuple[str, ...] | None, str]]:
    """Return what rules read, with the actions they read it for."""
    return {(rule.actions, condition.evidence_key or condition.fact) for rule in rules for condition in rule.conditions}


def _counts(rules: Iterable[Rule]) -> bool:
    """Return whether some rule looks at how much of the evidence is missing."""
    return any(condition.fact == "risk.uncertainty" for rule in rules for condition in rule.conditions)
