"""
What another policy would have done to decisions, counted.
Adds up, so that parts of a history can be counted apart; must not know where decisions come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lumyn.digest import canonical_text
from lumyn.model import Evaluation, JsonObject, Verdict

__all__ = ["Effect", "Group", "Tally", "Unplayable", "effect_of"]

_EXAMPLES: Final = 5
"""How many decisions a group names: the first that were counted."""


class Effect(StrEnum):
    """
    How an outcome moved; the gravest first.

    `NEW_TRUST`: an action is trusted that was not. `LOOSER`: a less strict verdict, or the same without an obligation
    it had. `TIGHTER`: stricter, or the same with a further obligation. `REASONS`: the same verdict for other reasons,
    or with other questions.
    """

    NEW_TRUST = "new_trust"
    LOOSER = "looser"
    TIGHTER = "tighter"
    REASONS = "reasons"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """
    Decisions that moved alike.

    Attributes:
        decisions: Ids of some of them.
    """

    effect: Effect
    before: Verdict
    after: Verdict
    reason_codes_before: tuple[str, ...]
    reason_codes_after: tuple[str, ...]
    count: int
    decisions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplayable:
    """Decisions that could not be decided again, for one reason; `decisions` names some of them."""

    reason: str
    count: int
    decisions: tuple[str, ...]


_Moved = tuple[Effect, Verdict, Verdict, tuple[str, ...], tuple[str, ...]]


@dataclass(slots=True)
class _Counted:
    count: int = 0
    decisions: list[str] = field(default_factory=list)

    def add(self, count: int, decisions: Iterable[str]) -> None:
        self.count += count
        for decision_id in decisions:
            if len(self.decisions) < _EXAMPLES:
                self.decisions.append(decision_id)


class Tally:
    """Counts of what became of decisions. `add_all` joins that of another part of the history."""

    def __init__(self) -> None:
        self._moved: dict[_Moved, _Counted] = {}
        self._unplayable: dict[str, _Counted] = {}

    def moved(self, decision_id: str, before: Evaluation, after: Evaluation) -> None:
        """Count a decision that was decided again."""
        effect = effect_of(before, after)
        codes = ((), ()) if effect is Effect.SAME else (before.reason_codes, after.reason_codes)
        key = (effect, before.verdict, after.verdict, *codes)
        self._moved.setdefault(key, _Counted()).add(1, [decision_id])

    def unplayable(self, decision_id: str, reason: str) -> None:
        """Count a decision that could not be."""
        self._unplayable.setdefault(reason, _Counted()).add(1, [decision_id])

    def add_all(self, other: Tally) -> None:
        """Count what another tally did, as coming after this one's."""
        for moved, counted in other._moved.items():
            self._moved.setdefault(moved, _Counted()).add(counted.count, counted.decisions)
        for reason, counted in other._unplayable.items():
            self._unplayable.setdefault(reason, _Counted()).add(counted.count, counted.decisions)

    @property
    def decisions(self) -> int:
        """How many decisions were counted."""
        return sum(each.count for each in (*self._moved.values(), *self._unplayable.values()))

    @property
    def not_replayable(self) -> int:
        """How many could not be decided again."""
        return sum(each.count for each in self._unplayable.values())

    @property
    def looser(self) -> int:
        """How many would have been looser, those trusted anew among them."""
        return self.count(Effect.NEW_TRUST) + self.count(Effect.LOOSER)

    @property
    def changed(self) -> int:
        """How many would have come out otherwise in any way."""
        return sum(self.count(effect) for effect in Effect if effect is not Effect.SAME)

    def count(self, effect: Effect) -> int:
        """Return how many decisions moved so."""
        return sum(counted.count for key, counted in self._moved.items() if key[0] is effect)

    def groups(self) -> list[Group]:
        """Return what changed: the gravest effect first, then the most frequent; without what stayed the same."""
        found = [
            Group(
                effect=effect,
                before=before,
                after=after,
                reason_codes_before=codes_before,
                reason_codes_after=codes_after,
                count=counted.count,
                decisions=tuple(counted.decisions),
            )
            for (effect, before, after, codes_before, codes_after), counted in self._moved.items()
            if effect is not Effect.SAME
        ]
        order = list(Effect)
        return sorted(found, key=lambda group: (order.index(group.effect), -group.count, _text(group)))

    def reasons(self) -> list[Unplayable]:
        """Return why decisions could not be decided again, the most frequent reason first."""
        found = [
            Unplayable(reason=reason, count=counted.count, decisions=tuple(counted.decisions))
            for reason, counted in self._unplayable.items()
        ]
        return sorted(found, key=lambda each: (-each.count, each.reason))


def effect_of(before: Evaluation, after: Evaluation) -> Effect:
    """Return how an outcome moved."""
    if after.verdict is not before.verdict:
        if after.verdict is Verdict.TRUST:
            return Effect.NEW_TRUST
        return Effect.LOOSER if after.verdict.strictness < before.verdict.strictness else Effect.TIGHTER
    had, has = _obligations(before), _obligations(after)
    if had - has:
        return Effect.LOOSER
    if has - had:
        return Effect.TIGHTER
    alike = (before.reason_codes, before.queries) == (after.reason_codes, after.queries)
    return Effect.SAME if alike else Effect.REASONS


def _obligations(evaluation: Evaluation) -> set[str]:
    """Return what the caller must do, whichever rule asks for it."""
    return {canonical_text(_without_source(each)) for each in evaluation.obligations}


def _without_source(obligation: JsonObject) -> JsonObject:
    return {key: value for key, value in obligation.items() if key != "source"}


def _text(group: Group) -> str:
    return f"{group.before} {group.after} {group.reason_codes_before} {group.reason_codes_after}"
