"""
How many requests come out under one policy, all at once: rules and verdicts as columns of bits.
A mutant's outline shares what its edit does not touch with that of the base; must not know whose requests they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from operator import xor
from typing import Final

from lumyn.analysis.mutant import Mutant, other_reads
from lumyn.analysis.table import Columns, Truths, any_of
from lumyn.analysis.tally import GUARDED, Tally, once_and_twice
from lumyn.model import Verdict
from lumyn.policy.spec import BlockKind, Condition, Policy, Rule

__all__ = ["Outline", "says_the_same"]

_TRUST, _QUERY, _BLOCK = (each.strictness for each in (Verdict.TRUST, Verdict.QUERY, Verdict.ABSTAIN))
_TWO: Final = 2


class Outline:
    """
    The rows under one policy: the base, or a mutant.

    Attributes:
        invalid: The rows in which evidence that matters is unusable.
        required: Action type -> the keys it must have.
        default: What comes out where no rule fires.
        come: The rules that the base does not have.
        gone: The rules that only the base has.
        affected: The actions for which other keys matter than under the base, to some row.
        counting: Whether it matters how much of the evidence is missing.
        shares: Whether what an unchanged rule says of the rows is what it says under the base.
    """

    def __init__(self, table: Columns, policy: Policy | Mutant, *, like: Outline | None = None) -> None:
        """
        Args:
            like: The outline of the policy that this one is an edit of.
        """
        self._table = table
        self._source = policy
        self._like = like
        self._own: dict[int, Truths] = {}
        self._rivalled: dict[Verdict, int] = {}
        self._without: dict[tuple[int, ...], tuple[list[int], int]] = {}
        if isinstance(policy, Mutant):
            self.come, self.gone, self._rereads = policy.come, policy.gone, policy.rereads
        else:
            known = () if like is None else [id(rule) for rule in like.policy.rules]
            kept = {id(rule) for rule in policy.rules}
            self.come = tuple(rule for rule in policy.rules if id(rule) not in known)
            self.gone = tuple(rule for rule in (() if like is None else like.policy.rules) if id(rule) not in kept)
            self._rereads = other_reads(self.gone, self.come)
        edited = policy.default if isinstance(policy, Mutant) else None
        base = policy.base if isinstance(policy, Mutant) else policy
        self.default: tuple[Verdict, str] = edited or (base.default_verdict, base.default_reason_code)
        left = {rule.rule_id: rule for rule in self.gone}
        self._edits = [(left.pop(rule.rule_id, None), rule) for rule in self.come]
        self._dropped = [*left.values()]
        unmoved = isinstance(policy, Mutant) and not policy.required
        self.required = (policy.base if isinstance(policy, Mutant) and unmoved else self.policy).required_evidence
        mutated = like is not None and isinstance(policy, Mutant)  # which reads no attribute its policy does not
        self.counting: bool = (like is not None and like.counting) or (not mutated and _counts(self.come))
        self.affected = frozenset(table.acts) if like is None else self._touched(like)
        alike = like is not None and (self.required is like.required or self.required == like.required)
        # What a rule says of the rows does not depend on the others, but for what they count and require.
        self.shares = alike and not self.counting
        if like is not None and self.shares:
            for old, rule in self._edits:
                same = old is not None and _fires_alike(old, rule)
                self._own[id(rule)] = like.truth(old) if old is not None and same else self._truth(rule)
        else:
            for rule in self.policy.rules:
                self._own[id(rule)] = self._truth(rule)
        self.invalid = self._invalid()

    @cached_property
    def policy(self) -> Policy:
        """The policy the rows are judged by."""
        return self._source.policy if isinstance(self._source, Mutant) else self._source

    def truth(self, rule: Rule) -> Truths:
        """Return the rows in which a rule fires, and in which it is undetermined."""
        found = self._own.get(id(rule))
        if found is None:
            return (0, 0) if self._like is None else self._like.truth(rule)
        return found

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
                    for key in self.required.get(action, ()):
                        true |= rows & table.missing(key)
            return true & where, 0
        true, possible = where, where
        for block in rule.blocks:
            if block.kind is BlockKind.IF_ANY:
                groups = [self._group(group) for group in block.groups]
                true &= any_of(group[0] for group in groups)
                possible &= any_of(group[1] for group in groups)
            else:
                for group in block.groups:
                    sure, open_ = self._group(group)
                    true &= sure
                    possible &= open_
        return true, possible & ~true

    def applicable(self, rule: Rule) -> int:
        """Return the rows whose action a rule applies to."""
        actions = rule.actions
        if actions is None:
            return self._table.full
        if len(actions) == 1:
            return self._table.acts.get(actions[0], 0)
        return any_of(self._table.acts.get(action, 0) for action in actions)

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
            sure, unknown = self._table.column(condition, self._reader(condition))
            true &= sure
            possible &= sure | unknown
        return true, possible

    def _reader(self, condition: Condition) -> Policy:
        """Return the policy whose keys count for a condition; it matters to uncertainty alone."""
        return self.policy if condition.fact == "risk.uncertainty" else self._table.policy

    def _touched(self, like: Outline) -> frozenset[str]:
        """Return the actions for which other keys matter than under the base, to some row."""
        old, new = like.required, self.required
        if not any(self._rereads) and old is new:
            return frozenset()
        table = self._table
        found: set[str] = set()
        for actions, keys in (*self._rereads[0], *self._rereads[1]):
            where = table.acts.keys() if actions is None else table.acts.keys() & {*actions}
            if where and any(table.invalid(key) for key in keys):
                found.update(where)
        if old is not new:
            found.update(action for action in old.keys() | new.keys() if old.get(action) != new.get(action))
        return frozenset(
            action
            for action in found & table.acts.keys()
            if old.get(action) != new.get(action) or self._source.keys_for(action) != like.keys(action)
        )

    def _invalid(self) -> int:
        """Return the rows in which evidence that matters is unusable."""
        table = self._table
        found = 0 if self._like is None else self._like.invalid
        for action in self.affected:
            found &= ~table.acts[action]
            for key in self.keys(action):
                found |= table.acts[action] & table.invalid(key)
        return found

    def keys(self, action: str) -> tuple[str, ...]:
        """Return the keys that matter to an action."""
        return self._source.keys_for(action) if action in self.affected else self._table.policy.keys_for(action)

    # Verdicts, all rows at once

    @cached_property
    def _parts(self) -> tuple[list[int], int, int]:
        """The rows by strictness of their verdict, those in which no rule fires, and those where trust is withheld."""
        if self._like is not None and self._judges_alike(self._like):
            return self._like._parts  # noqa: SLF001
        if self._like is not None and self.shares:
            fired, blind = self._like._fired(self.gone)  # noqa: SLF001
            fired = fired.copy()
            for rule in self.come:
                true, unknown = self._own[id(rule)]
                fired[rule.verdict.strictness] |= true
                if rule.stage in GUARDED:
                    blind |= unknown
        else:
            fired, blind = self._fired(())
            fired = fired.copy()
        fired[_BLOCK] |= self.blocked
        left = self._table.full
        for place in range(_BLOCK, -1, -1):
            fired[place] &= left
            left &= ~fired[place]
        withheld = fired[_TRUST] & blind
        fired[_TRUST] &= ~withheld
        fired[_QUERY] |= withheld
        fired[self.default[0].strictness] |= left
        return fired, left, withheld

    def _judges_alike(self, like: Outline) -> bool:
        """Return whether every row certainly gets the verdict of the base: the edit touches none and no guard."""
        if not self.shares or len(self.come) != len(self.gone) or self.invalid != like.invalid:
            return False
        for old, rule in self._edits:
            if old is None or old.verdict is not rule.verdict or (old.stage in GUARDED) != (rule.stage in GUARDED):
                return False
            if self.truth(rule) != like.truth(old):
                return False
        return self.default[0] is like.default[0]

    def _fired(self, gone: tuple[Rule, ...]) -> tuple[list[int], int]:
        """Return the rows in which rules of each strictness fire, and where a guard is undetermined, without some."""
        names = (*map(id, gone),)
        found = self._without.get(names)
        if found is None:
            if len(gone) == 1:
                found = self._tally.without(gone[0], *self.truth(gone[0]))
            else:
                left = Tally((rule, *self.truth(rule)) for rule in self.policy.rules if id(rule) not in names)
                found = left.fired, left.blind
            self._without[names] = found
        return found

    @cached_property
    def _tally(self) -> Tally:
        return Tally((rule, *self.truth(rule)) for rule in self.policy.rules)

    def given(self, verdict: Verdict) -> int:
        """Return the rows that get a verdict."""
        return self._parts[0][verdict.strictness]

    @property
    def verdicts(self) -> Mapping[Verdict, int]:
        """Verdict -> the rows that get it."""
        return {verdict: self.given(verdict) for verdict in Verdict}

    def rivalled(self, verdict: Verdict) -> int:
        """Return the rows in which two rules or more give a verdict or a stricter one."""
        found = self._rivalled.get(verdict)
        if found is None:
            rules = (rule for rule in self.policy.rules if rule.verdict.strictness >= verdict.strictness)
            _, found = once_and_twice((None, self.truth(rule)[0]) for rule in rules).get(None, (0, 0))
            self._rivalled[verdict] = found
        return found

    @property
    def unmatched(self) -> int:
        """The rows in which no rule fires."""
        return self._parts[1]

    @property
    def trusting(self) -> int:
        """The rows that are trusted, or would be if every guard were settled."""
        parts = self._parts
        return parts[0][_TRUST] | parts[2]

    def other_verdict(self, other: Outline) -> int:
        """Return the rows that get another verdict from `other`."""
        old, new = self._parts[0], other._parts[0]
        return 0 if old is new else any_of(map(xor, old, new))

    def moved(self, other: Outline) -> tuple[int, int, int]:
        """Return the rows that `other` trusts and this does not, those it judges less strictly otherwise, and more."""
        old, new = self._parts[0], other._parts[0]
        if old is new:
            return 0, 0, 0
        trusted = new[_TRUST] & ~old[_TRUST]
        looser = stricter = tighter = milder = 0
        for place in range(_BLOCK, _TRUST, -1):
            looser |= new[place] & stricter
            stricter |= old[place]
        for before, after in zip(old, new, strict=True):
            tighter |= after & milder
            milder |= before
        return trusted, looser, tighter

    def tells(self, other: Outline) -> int:
        """
        Return rows whose record certainly differs under `other`, the outline of a mutant of this one.

        Returns:
            0: where rules fire, and what firing ones put into the record, is the same in every row; what is asked for
            may still differ.
        """
        found, exchanged, moves = 0, self._table.full, 0
        for old, rule in other._edits:
            now = other.truth(rule)[0]
            before = 0 if old is None else self.truth(old)[0]
            found |= now ^ before if old is not None and says_the_same(old, rule) else now | before
            if old is not None and old.index != rule.index:
                exchanged &= now
                moves += 1
        for rule in other._dropped:
            found |= self.truth(rule)[0]
        if moves == _TWO:
            found |= exchanged
        if not other.shares:
            left_out = {id(rule) for rule in other.gone}
            for rule in self.policy.rules:
                if id(rule) not in left_out:
                    found |= self.truth(rule)[0] ^ other.truth(rule)[0]
        if self.default != other.default:
            found |= self.unmatched & other.unmatched
        return found

    def _beside(self, rule: Rule) -> int:
        """Return the rows in which another rule of the same stage fires."""
        once, twice = self._by_stage[rule.stage]
        return twice | once & ~self.truth(rule)[0]

    @cached_property
    def _by_stage(self) -> Mapping[object, tuple[int, int]]:
        return once_and_twice((rule.stage, self.truth(rule)[0]) for rule in self.policy.rules)

    def suspects(self, other: Outline) -> int:
        """Return rows among which are all that come out otherwise under `other`, an edit of this one."""
        table = self._table
        found = 0
        for action in other.affected:
            required = self.required.get(action, ()), other.required.get(action, ())
            asked = (
                set(required[0]) ^ set(required[1]) if sorted(required[0]) != sorted(required[1]) else set(required[0])
            )
            if required[0] != required[1]:
                found |= table.acts[action] & any_of(table.missing(key) for key in asked)
            found |= table.acts[action] & any_of(
                table.invalid(key) for key in set(self.keys(action)) ^ set(other.keys(action))
            )
        trusting = self.trusting | other.trusting
        for old, new in other._edits:
            now, open_ = other.truth(new)
            true, unknown = (0, 0) if old is None else self.truth(old)
            if old is None or not says_the_same(old, new) or old.queries != new.queries:
                true |= now
            elif old.index == new.index:
                true ^= now
            else:  # it comes earlier or later among those of its stage that fire
                true = (true ^ now) | (true & self._beside(old))
            found |= true | ((unknown | open_) & trusting)
        for old in other._dropped:
            true, unknown = self.truth(old)
            found |= true | (unknown & trusting)
        if not other.shares:
            for rule in self.policy.rules:  # the same rule: it asks for other keys, or counts others
                (true, unknown), (now, open_) = self.truth(rule), other.truth(rule)
                found |= (true ^ now) | ((unknown ^ open_) & trusting)
        if self.default != other.default:
            found |= self.unmatched
        return found


def _fires_alike(old: Rule, new: Rule) -> bool:
    """Return whether two rules certainly fire for the same requests, as long as the same keys are required."""
    unedited = old.blocks is new.blocks and old.actions is new.actions
    return unedited and old.is_requirements_check == new.is_requirements_check


def says_the_same(old: Rule, new: Rule) -> bool:
    """Return whether two rules put the same into a record when they fire, queries apart."""
    return (old.stage, old.verdict, old.reason_codes, old.obligations) == (
        new.stage,
        new.verdict,
        new.reason_codes,
        new.obligations,
    )


def _counts(rules: Iterable[Rule]) -> bool:
    """Return whether some rule looks at how much of the evidence is missing."""
    return any(condition.fact == "risk.uncertainty" for rule in rules for condition in rule.conditions)
