"""
Two policies over one space: whether any request tells them apart, and which one is more permissive where.
Exact at the level of the record: verdict, reason codes, matched rules, queries, obligations; must not know vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from lumyn.analysis.boxes import EVERYWHERE, Box, BudgetExceededError
from lumyn.analysis.cells import Space
from lumyn.analysis.difference import Difference
from lumyn.analysis.outline import says_the_same
from lumyn.analysis.regions import Region, RuleBoxes, View
from lumyn.analysis.scale import Severity
from lumyn.analysis.tally import GUARDED
from lumyn.analysis.witness import AnalysisDefectError, case_at, evaluate, outcome_of
from lumyn.model import Verdict
from lumyn.policy.spec import Policy

__all__ = ["Pair"]

_MOST_PATTERNS = 512


class Pair:
    """
    An old and a new policy for one action.

    Every method that searches may raise `BudgetExceededError`: then the answer is unknown.

    """

    def __init__(self, space: Space, old: Policy | View, new: Policy) -> None:
        """
        Args:
            space: Made for both policies.
            old: The policy, or its view of this very space, where many are compared with it.
        """
        self.space = space
        self.old = old if isinstance(old, View) else View(space, old)
        self.new = View(space, new, like=self.old)
        self._rules = {each.rule.rule_id: each for each in self.old.rules}
        self._new_rules = {each.rule.rule_id: each for each in self.new.rules}
        self._transitions: dict[tuple[Verdict, Verdict], list[tuple[list[tuple[Box, ...]], tuple[Box, ...]]]] = {}

    def differences(self) -> Iterator[Difference]:
        """Yield differing requests, at least one for every rule whose effect on some request changed."""
        for corner, rule_id in self.corners():
            yield self._difference(corner, rule_id)
        yield from self.queries()

    def corners(self) -> Iterator[tuple[tuple[int, ...], str | None]]:
        """Yield parts of the space whose records differ, each with the changed rule behind it; `queries` has more."""
        yield from self._firing()
        yield from self._engine()
        yield from self._order()
        yield from self._defaults()
        yield from self._asking()

    def gravest(self) -> tuple[Severity, tuple[int, ...]] | None:
        """Return the gravest change of a verdict there is, with where it happens, or None: no verdict changes."""
        where = self._telling()
        for severity in (Severity.NEW_TRUST, Severity.LOOSER, Severity.TIGHTER) if where else ():
            for before, after in _transitions(severity):
                for must, shun in self._joined(before, after):
                    for box in where:
                        found = self.space.search.find(box, must=must, avoid=shun)
                        if found is not None:
                            return severity, found
        return None

    def transition(
        self,
        before: Verdict,
        after: Verdict,
        *,
        start: Sequence[Box] = (EVERYWHERE,),
        avoid: Sequence[Box] = (),
        within: tuple[Box, ...] | None = None,
    ) -> Difference | None:
        """
        Return a request whose verdict goes from one to another, or None.

        Args:
            within: Boxes in one of which all such requests are known to lie; None: they may lie anywhere.
        """
        for must, shun in self._joined(before, after):
            for box in start:
                shunned = (*shun, *avoid)
                # That there are none is far sooner proved where they could be; what is shown does not depend on it.
                if within is not None and (
                    not within or self.space.search.find(box, must=(within, *must), avoid=shunned) is None
                ):
                    continue
                found = self.space.search.find(box, must=must, avoid=shunned)
                if found is not None:
                    return self._difference(found)
        return None

    def _joined(self, before: Verdict, after: Verdict) -> list[tuple[list[tuple[Box, ...]], tuple[Box, ...]]]:
        """Return where the old policy gives one verdict and the new one another: boxes to lie in, and to avoid."""
        found = self._transitions.get((before, after))
        if found is None:
            found = self._transitions[before, after] = []
            for old in self.old.regions(before):
                for new in self.new.regions(after):
                    must = [*old.must, *new.must]
                    if all(must):
                        found.append((must, (*dict.fromkeys((*old.avoid, *new.avoid)),)))
        return found

    def unsettled(self) -> tuple[Box, ...] | None:
        """
        Return boxes in one of which verdicts differ wherever they do though the same rules fire under both policies.

        Returns:
            Where a guard may be undetermined under one of them only; None: anywhere, for more than rules changed.
        """
        old, new = self.old.policy, self.new.policy
        if set(self.old.engine) != set(self.new.engine) or old.default_verdict is not new.default_verdict:
            return None
        found: dict[Box, None] = {}
        for rule_id in dict.fromkeys((*self._rules, *self._new_rules)):
            before, after = _possible(self._rules.get(rule_id)), _possible(self._new_rules.get(rule_id))
            if set(before) != set(after):
                found.update(dict.fromkeys((*before, *after)))
        return (*found,)

    def _telling(self) -> tuple[Box, ...]:
        """Return boxes in one of which every request lies whose verdict differs; none: no verdict does."""
        if self.old.policy.default_verdict is not self.new.policy.default_verdict:
            return (EVERYWHERE,)
        found = dict.fromkeys({*self.old.engine} ^ {*self.new.engine})
        for rule_id in dict.fromkeys((*self._rules, *self._new_rules)):
            old, new = self._rules.get(rule_id), self._new_rules.get(rule_id)
            if old is new:
                continue
            weighs_alike = old is not None and new is not None and _weight(old) == _weight(new)
            for before, after in ((_true(old), _true(new)), (_possible(old), _possible(new))):
                known, other = set(before), set(after)
                found.update(dict.fromkeys(b for b in before if not weighs_alike or b not in other))
                found.update(dict.fromkeys(b for b in after if not weighs_alike or b not in known))
        return (*found,)

    def changed_rules(self) -> Iterator[tuple[str, tuple[Box, ...], tuple[Box, ...]]]:
        """Yield rules by id with boxes to start from and to avoid: together, where the rule's effect may differ."""
        for rule_id in dict.fromkeys((*self._rules, *self._new_rules)):
            old, new = self._rules.get(rule_id), self._new_rules.get(rule_id)
            before, after = _true(old), _true(new)
            if old is not None and new is not None and says_the_same(old.rule, new.rule):
                if set(before) != set(after):
                    yield rule_id, before, after
                    yield rule_id, after, before
            else:
                yield rule_id, (*before, *after), ()

    def _find(self, start: Box, *regions: Region, avoid: Sequence[Box] = ()) -> tuple[int, ...] | None:
        must = [boxes for region in regions for boxes in region.must]
        if not all(must):
            return None
        shun = {box: None for region in regions for box in region.avoid}
        return self.space.search.find(start, must=must, avoid=(*shun, *avoid))

    def _difference(self, corner: tuple[int, ...], rule: str | None = None) -> Difference:
        """Return a found difference, decided by the engine; raises AnalysisDefectError when the engine sees none."""
        found = self._tell(corner, rule)
        if found is None:
            raise AnalysisDefectError("the engine decides a request alike that the analysis told apart")
        return found

    def _tell(self, corner: tuple[int, ...], rule: str | None = None) -> Difference | None:
        case = case_at(self.space.action, self.space.point(corner))
        before, after = (outcome_of(evaluate(view.policy, case)) for view in (self.old, self.new))
        return None if before == after else Difference(case=case, before=before, after=after, rule=rule)

    # Parts of the record

    def _firing(self) -> Iterator[tuple[tuple[int, ...], str | None]]:
        for rule_id, starts, avoid in self.changed_rules():
            for box in starts:
                corner = self.space.search.find(box, avoid=avoid)
                if corner is not None:
                    yield corner, rule_id
                    break

    def _engine(self) -> Iterator[tuple[tuple[int, ...], str | None]]:
        for one, other in ((self.old, self.new), (self.new, self.old)):
            pairs = [(one.invalid[code], other.invalid[code]) for code in one.invalid]
            for here, there in (*pairs, (one.fx_out_of_bounds, other.fx_out_of_bounds)):
                for box in set(here) - set(there):
                    corner = self.space.search.find(box, avoid=there)
                    if corner is not None:
                        yield corner, None

    def _order(self) -> Iterator[tuple[tuple[int, ...], str | None]]:
        places = {rule_id: place for place, rule_id in enumerate(self._new_rules)}
        common = [each for each in self.old.rules if each.rule.rule_id in places]
        ranks = [places[each.rule.rule_id] for each in common]
        if ranks == sorted(ranks):
            return
        for first, second in combinations(common, 2):
            if places[first.rule.rule_id] > places[second.rule.rule_id]:
                for box in first.true:
                    corner = self._find(box, Region((second.true,)))
                    if corner is not None:
                        yield corner, second.rule.rule_id
                        break

    def _defaults(self) -> Iterator[tuple[tuple[int, ...], str | None]]:
        old, new = self.old.policy, self.new.policy
        if (old.default_verdict, old.default_reason_code) != (new.default_verdict, new.default_reason_code):
            corner = self._find(EVERYWHERE, self.old.default(), self.new.default())
            if corner is not None:
                yield corner, None

    def _asking(self) -> Iterator[tuple[tuple[int, ...], str | None]]:
        """Yield differences in what is asked for where `TRUST` is withheld for want of a fact."""
        before, after = self.old.asks(), self.new.asks()
        if before == after:
            return
        both = (self.old.would_trust(), self.new.would_trust())
        for one, other in ((before, after), (after, before)):
            for field, boxes in one.items():
                there = other.get(field, ())
                for box in set(boxes) - set(there):
                    corner = self._find(box, *both, avoid=there)
                    if corner is not None:
                        yield corner, None
                        break

    def queries(self) -> Iterator[Difference]:
        """Yield differences in what rules ask for; which of two rules asks first makes this depend on all that fire."""
        asking = [each for each in self.old.rules if each.rule.verdict is Verdict.QUERY]
        required = [view.policy.required_evidence.get(self.space.action, ()) for view in (self.old, self.new)]
        for each in asking:
            new = self._new_rules.get(each.rule.rule_id)
            if new is None or (
                each.rule.queries == new.rule.queries
                and not (each.rule.is_requirements_check and required[0] != required[1])
            ):
                continue
            patterns = [other.true for other in asking if other is not each]
            for view in (self.old, self.new):
                patterns += list(view.missing.values())
            budget = [_MOST_PATTERNS]
            for box in each.true:
                found = self._explore(box, list(self.old.at_most(Verdict.QUERY).avoid), [], patterns, budget)
                if found is not None:
                    yield found
                    break

    def _explore(
        self,
        start: Box,
        avoid: list[Box],
        must: list[Sequence[Box]],
        patterns: list[tuple[Box, ...]],
        budget: list[int],
    ) -> Difference | None:
        """Search all combinations of what else fires, one after the other."""
        budget[0] -= 1
        if budget[0] < 0:
            raise BudgetExceededError
        corner = self.space.search.find(start, must=must, avoid=avoid)
        if corner is None:
            return None
        found = self._tell(corner)
        if found is not None or not patterns:
            return found
        boxes, rest = patterns[0], patterns[1:]
        inside = self._explore(start, avoid, [*must, boxes], rest, budget) if boxes else None
        return inside or self._explore(start, [*avoid, *boxes], must, rest, budget)


def _transitions(severity: Severity) -> Iterator[tuple[Verdict, Verdict]]:
    for before in Verdict:
        for after in Verdict:
            if before is after:
                continue
            trusted = after is Verdict.TRUST
            looser = after.strictness < before.strictness
            if severity is (Severity.NEW_TRUST if trusted else Severity.LOOSER if looser else Severity.TIGHTER):
                yield before, after


def _true(boxes: RuleBoxes | None) -> tuple[Box, ...]:
    return () if boxes is None else boxes.true


def _weight(boxes: RuleBoxes) -> tuple[Verdict, bool]:
    """Return how a rule bears on verdicts: its own, and whether it guards."""
    return boxes.rule.verdict, boxes.rule.stage in GUARDED


def _possible(boxes: RuleBoxes | None) -> tuple[Box, ...]:
    """Return where a guard fires or is undetermined; of any other rule, and of none: nowhere."""
    return () if boxes is None or boxes.rule.stage not in GUARDED else boxes.possible
