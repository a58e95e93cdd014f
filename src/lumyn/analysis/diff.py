"""
What changes between two versions of a policy: the kinds of requests that are decided differently, one of each shown.
Complete for verdicts, and for records up to one request a changed rule; must not know files, git or output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from lumyn.analysis.beside import Beside, besides
from lumyn.analysis.boxes import BUDGET, Box, BudgetExceededError
from lumyn.analysis.candidates import SpaceTooLargeError
from lumyn.analysis.cells import Space, reads_alike
from lumyn.analysis.difference import Difference
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.observations import Observation
from lumyn.analysis.pairs import Pair
from lumyn.analysis.rates import RateBook
from lumyn.analysis.regions import actions_of
from lumyn.analysis.scale import Severity
from lumyn.analysis.sheet import Sheet
from lumyn.model import JsonObject, Stage, Verdict
from lumyn.policy.spec import Policy, Rule

__all__ = ["Change", "PolicyDiff", "diff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One kind of request that is decided differently.

    Attributes:
        rule: Id of the changed rule behind it, or None: declarations, required keys or the default.
        difference: A request of the kind, decided by the engine under both policies.
        seen_by: Names of vectors that fail by it.
        facts: What the changed rule looks at, for showing, what changed first.
        by_gate: Whether a gate decided the request so under both policies; False where no memory that was tried gives
            its similarity, None before one was asked.
    """

    action: str
    rule: str | None
    difference: Difference
    seen_by: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    by_gate: bool | None = None

    @property
    def severity(self) -> Severity:
        """What kind of change it is."""
        return self.difference.severity

    def to_dict(self) -> JsonObject:
        """Return the change as plain JSON data."""
        found = self.difference
        return {
            "kind": self.severity.name.lower(),
            "action": self.action,
            "rule": self.rule,
            "before": {"verdict": found.before.verdict.value, "reason_codes": [*found.before.reason_codes]},
            "after": {"verdict": found.after.verdict.value, "reason_codes": [*found.after.reason_codes]},
            "request": found.case.request,
            "failure_similarity": float(found.case.similarity),
            "seen_by": [*self.seen_by],
            "by_gate": self.by_gate,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDiff:
    """
    What changes between two policies.

    Attributes:
        changes: Gravest first, then by action.
        unknown: Actions about which a question was given up: nothing is claimed of them beyond `changes`.
        amounts: Those of them of which all is told but some amounts at some rates, neither reached nor ruled out.
        actions: How many actions were compared, one that no rule names among them.
        beside: What differs beside decisions, and what may change them without a rule: mode and memory.
        observed: How many decisions of vectors were looked at; None when none were asked for.
    """

    changes: tuple[Change, ...]
    unknown: tuple[str, ...]
    actions: int
    beside: tuple[Beside, ...] = ()
    observed: int | None = None
    amounts: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it is proved that every request is decided alike."""
        return not self.changes and not self.unknown and not any(each.decides for each in self.beside)

    def of(self, *kinds: Severity) -> tuple[Change, ...]:
        """Return the changes of some kinds."""
        return tuple(change for change in self.changes if change.severity in kinds)

    @property
    def untold(self) -> bool:
        """Whether something may be decided otherwise of which nothing is claimed."""
        return bool(self.unknown) or any(each.unknown for each in self.beside)

    @property
    def uncovered(self) -> tuple[Change, ...]:
        """The changes that fail no vector."""
        return tuple(change for change in self.changes if not change.seen_by)


def diff(
    old: Policy, new: Policy, observations: Iterable[Observation] | None = None, *, limit: int = BUDGET
) -> PolicyDiff:
    """
    Return what changes from `old` to `new`.

    Args:
        observations: Decisions of vectors under either policy, to tell which vectors see which change.
        limit: Work one question may take.
    """
    changes: list[Change] = []
    unknown: list[str] = []
    amounts: list[str] = []
    actions = actions_of(old, new)
    everywhere = not reads_alike(old, new) or _default(old) != _default(new)
    before, after = _Said(old), _Said(new)
    book = RateBook()
    for action in actions:
        if not everywhere and before.of(action) == after.of(action):
            continue
        try:
            space = Space(action, [old, new], limit=limit, book=book)
            found, complete = _of_action(Pair(space, old, new))
            if complete and not space.complete:
                amounts.append(action)
                complete = False
        except SpaceTooLargeError:
            found, complete = [], False
        changes += found
        if not complete:
            unknown.append(action)
    changes.sort(key=lambda change: (change.severity, change.action))
    observed: int | None = None
    if observations is not None:
        rows = tuple(observations)
        observed = len(rows)
        changes = _seen(old, new, changes, rows)
    return PolicyDiff(
        changes=tuple(changes),
        unknown=tuple(unknown),
        actions=len(actions),
        beside=besides(old, new),
        observed=observed,
        amounts=tuple(amounts),
    )


Walk: TypeAlias = "Iterator[tuple[str | None, Difference]]"
"""Differences, each with the changed rule that it was looked for at, if any."""


def _default(policy: Policy) -> tuple[Verdict, str]:
    return policy.default_verdict, policy.default_reason_code


class _Said:
    """What a policy says of each action, spans and names of thresholds apart: equal text decides alike."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        order = {stage: place for place, stage in enumerate(Stage)}
        rules = sorted(policy.rules, key=lambda rule: (order[rule.stage], rule.index))
        self._texts = [_text(rule) for rule in rules]
        self._everywhere = [place for place, rule in enumerate(rules) if rule.actions is None]
        self._named: dict[str, list[int]] = {}
        for place, rule in enumerate(rules):
            for action in dict.fromkeys(rule.actions or ()):
                self._named.setdefault(action, []).append(place)

    def of(self, action: str) -> tuple[object, object]:
        places = sorted([*self._everywhere, *self._named.get(action, ())])
        return [self._texts[place] for place in places], self._policy.required_evidence.get(action, ())


def _text(rule: Rule) -> tuple[object, ...]:
    blocks = [
        (
            block.kind,
            [[(each.fact, each.operator.name, type(each.operand), each.operand) for each in g] for g in block.groups],
        )
        for block in rule.blocks
    ]
    return (rule.rule_id, rule.stage, rule.verdict, rule.reason_codes, rule.queries, rule.obligations, blocks)


def _of_action(pair: Pair) -> tuple[list[Change], bool]:
    """Return the changes of one action, and whether nothing was given up."""
    found: dict[tuple[object, ...], Change] = {}
    told = _collect(pair, _by_rule(pair), found)
    walks = (_by_verdict(pair, found, told=told), ((None, each) for each in pair.differences()))
    complete = [_collect(pair, walk, found) for walk in walks]
    return [*found.values()], told and all(complete)


def _collect(pair: Pair, walk: Walk, found: dict[tuple[object, ...], Change]) -> bool:
    """Keep the first change of every kind, and return whether nothing was given up."""
    try:
        for rule, difference in walk:
            rule_id = rule or difference.rule
            facts = _facts(pair, rule_id)
            change = Change(action=pair.space.action, rule=rule_id, difference=difference, facts=facts)
            found.setdefault(_kind(change), change)
    except BudgetExceededError:
        return False
    return True


def _facts(pair: Pair, rule_id: str | None) -> tuple[str, ...]:
    """Return what the conditions of a rule look at, first those that changed."""
    if rule_id is None:
        return ()
    sides = [boxes.rule for view in (pair.new, pair.old) if (boxes := view.boxes(rule_id)) is not None]
    said = [{(each.fact, each.operator.name, str(each.operand)) for each in rule.conditions} for rule in sides]
    changed = {fact for fact, *_ in said[0] ^ said[-1]}
    facts = dict.fromkeys(each.fact for rule in sides for each in rule.conditions)
    return tuple(sorted(facts, key=lambda fact: fact not in changed))


def _kind(change: Change) -> tuple[object, ...]:
    verdicts = change.difference.before.verdict, change.difference.after.verdict
    # What a rule does to the record without a change of verdict is one kind, whatever the verdict is.
    return (change.rule, *(verdicts if verdicts[0] is not verdicts[1] else ()))


def _by_rule(pair: Pair) -> Walk:
    for rule_id, starts, avoid in pair.changed_rules():
        inside: list[Box] = []
        for box in starts:
            if pair.space.search.find(box, avoid=avoid) is not None:
                inside.append(box)
        if not inside:
            continue
        for before in Verdict:
            for after in Verdict:
                difference = pair.transition(before, after, start=inside, avoid=avoid)
                if difference is not None:
                    yield rule_id, difference


def _by_verdict(pair: Pair, found: dict[tuple[object, ...], Change], *, told: bool) -> Walk:
    """
    Yield changes of verdict that no changed rule accounts for: declarations, unsettled guards, the default.

    Args:
        told: Whether `found` has every change of verdict where a rule fires under one policy only.
    """
    known = {(change.difference.before.verdict, change.difference.after.verdict) for change in found.values()}
    within = pair.unsettled() if told else None
    for before in Verdict:
        for after in Verdict:
            if before is not after and (before, after) not in known:
                difference = pair.transition(before, after, within=within)
                if difference is not None:
                    yield None, difference


def _seen(old: Policy, new: Policy, changes: Sequence[Change], rows: Sequence[Observation]) -> list[Change]:
    matrix = Matrix(old, rows)
    other = Matrix(new, rows) if not reads_alike(old, new) else None
    sheet = other.base if other is not None else Sheet(matrix.table, new, like=matrix.base)
    seen: dict[int, list[str]] = {}
    for place, row in enumerate(rows):
        before, after = matrix.outcomes[place], sheet.outcome(place)
        if before == after:
            continue
        # A vector that was changed along with the policy expects what the new one says.
        if row.pins is not None and not row.pins.notice(after) and not row.pins.notice(before):
            continue
        named = row.request.action_type in old.action_types or row.request.action_type in new.action_types
        action = row.request.action_type if named else actions_of(old, new)[-1]
        fired = {each.rule_id for each in before.matched_rules} ^ {each.rule_id for each in after.matched_rules}
        both = {each.rule_id: each for each in before.matched_rules}
        fired |= {each.rule_id for each in after.matched_rules if both.get(each.rule_id, each) != each}
        for number, change in enumerate(changes):
            found = change.difference
            kind = (before.verdict, after.verdict) == (found.before.verdict, found.after.verdict)
            alike = kind or (before.verdict is after.verdict and found.before.verdict is found.after.verdict)
            if change.action == action and alike and (change.rule is None or change.rule in fired):
                seen.setdefault(number, []).append(row.name)
    return [
        replace(change, seen_by=tuple(dict.fromkeys(seen.get(number, ())))) for number, change in enumerate(changes)
    ]
