"""
Requests among which suggestions are chosen: edits of one field first, then what only an exact search finds.
Knows of each which holes it closes; must not know which are chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import combinations, islice, product
from typing import Final

from lumyn.analysis.boxes import BudgetExceededError
from lumyn.analysis.candidate import Candidate, changed_places, unreached
from lumyn.analysis.candidates import SpaceTooLargeError
from lumyn.analysis.cells import Space
from lumyn.analysis.changes import apart, changed, value_at
from lumyn.analysis.choosing import choose
from lumyn.analysis.coverage import boundaries
from lumyn.analysis.difference import severity_between
from lumyn.analysis.dimension import bits
from lumyn.analysis.edits import Base, edits, reduced
from lumyn.analysis.everyday import everyday, name_of
from lumyn.analysis.experience import Experience, Likeness, alike, scored
from lumyn.analysis.holes import Holes
from lumyn.analysis.judge import Judge, telling
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.observations import Observation
from lumyn.analysis.regions import actions_of
from lumyn.analysis.starts import Starts, to_remember
from lumyn.analysis.witness import Case, parsed
from lumyn.errors import InvalidRequestError
from lumyn.model import DecisionRequest, JsonObject
from lumyn.policy.spec import Condition, Policy

__all__ = ["Pool"]

_MOST_BASES: Final = 12
_MOST_FURTHER: Final = 40
_MOST_RENAMED: Final = 160
_MOST_PAIRS: Final = 2_000
_MOST_CLOSE: Final = 200
_OWN: Final = 2
_TOGETHER: Final = 12
_TYPE: Final = ("action", "type")
_SCORE: Final = "risk.failure_similarity"


@dataclass(slots=True)
class Pool:
    """
    The candidates for one policy.

    Attributes:
        minimal: Whether requests that change two fields are wanted even where two that change one would do.
        enough: So many suggestions are all that anybody wants.
        advance: Called with how much of a step is done, and how much there is.
    """

    policy: Policy
    rows: Sequence[Observation]
    holes: Holes
    minimal: bool = False
    enough: int = sys.maxsize
    advance: Callable[[int, int], None] | None = None
    candidates: list[Candidate] = field(default_factory=list)
    _spaces: dict[str, Space] = field(default_factory=dict)
    _conditions: dict[str, list[Condition]] = field(default_factory=dict)
    _bases: dict[str, list[Base]] = field(default_factory=dict)
    _known: dict[str, Candidate] = field(default_factory=dict)
    _closed: int = 0
    _starts: Starts = field(init=False)

    def __post_init__(self) -> None:
        *_, unnamed = actions_of(self.policy)
        self._starts = Starts(self.policy, self.rows, unnamed)

    def fill(self) -> bool:
        """Find candidates until every hole has one or says why not; return False where `enough` are there before."""
        self._span()
        found: list[Candidate] = []
        for number, action in enumerate(self._spaces):
            self._step(number, len(self._spaces))
            observed = self._starts.of(action)
            self._bases[action] = observed[:_MOST_BASES] or [*self._everyday(action, found)]
            for base in self._bases[action]:
                found += self._edits(action, base)
            found += self._memories(action, observed or self._bases[action])
        found += self._others()
        self._look(found)
        if self.minimal or not self.rows:
            self._look([*self._pairs()])
        self._look([*self._further()])
        if self._enough():
            return False
        self._search()
        self._look([*self._for_goals()])
        return True

    def _enough(self) -> bool:
        """Return whether so many would be chosen already that what a search finds would come behind all of them."""
        if len(self.candidates) < self.enough:
            return False
        sets, tiers = [each.closes for each in self.candidates], [each.tier for each in self.candidates]
        if len(choose(sets, tiers, self.holes.weights(), most=self.enough)) < self.enough:
            return False
        for place in bits(self._open):
            self.holes.explain(place, "not searched for as long as so much else is suggested")
        return True

    def _search(self) -> None:
        """Find what only a search does for edits: some of an action at a time, for what is found may do for others."""
        judge = Judge(self.policy, self.holes.mutants)
        groups: dict[frozenset[str] | None, list[int]] = {}
        for place in bits(self._open & self.holes.edits):
            groups.setdefault(self.holes.actions(place), []).append(place)
        done, total = 0, sum(map(len, groups.values()))
        for places in groups.values():
            for first in range(0, len(places), _TOGETHER):
                self._step(done, total)
                here = [place for place in places[first : first + _TOGETHER] if self._open >> place & 1]
                self._look([*self._for_edits(judge, here)], few=True)
                done += len(places[first : first + _TOGETHER])

    def _step(self, done: int, total: int) -> None:
        if self.advance is not None:
            self.advance(done, total)

    @property
    def _open(self) -> int:
        return self.holes.open & ~self._closed

    def _span(self) -> None:
        for action in actions_of(self.policy):
            conditions = [*self.holes.conditions(action), *boundaries(self.policy, action)]
            try:
                self._spaces[action] = Space(action, [self.policy], extra=conditions)
            except SpaceTooLargeError:
                continue
            own = (each for rule in self.policy.rules_for(action) for each in rule.conditions)
            self._conditions[action] = [*conditions, *own]

    # Where to start from

    def _everyday(self, action: str, found: list[Candidate]) -> Iterator[Base]:
        plain = everyday(self.policy, self._spaces[action], self._conditions[action])
        if plain is not None:
            verdict, request = plain
            base = Base(name=name_of(action, verdict), request=request, proposed=True)
            made = self._candidate(Case(request=request), None)
            if made is not None:
                found.append(made)
            yield base

    def _edits(self, action: str, base: Base) -> Iterator[Candidate]:
        for change in edits(self._spaces[action], self._conditions[action], base.request):
            request = changed(base.request, [change])
            made = self._candidate(Case(request=request), base)
            if made is not None:
                yield made
            if base.experience is not None:
                yield from self._keeping(request, base, base.experience)

    def _keeping(self, request: JsonObject, base: Base, held: Experience) -> Iterator[Candidate]:
        """Yield an edited request with the experience that its base has."""
        try:
            experience = scored(self.policy, request, held.label, held.request)
        except InvalidRequestError:
            return
        made = self._candidate(Case(request=request, similarity=experience.score), base, experience)
        if made is not None:
            yield made

    def _pairs(self) -> Iterator[Candidate]:
        """Yield requests with both changes of two edits of one request, of those edits that would be chosen."""
        edits_ = [each for each in self.candidates if each.tier == 1 and each.experience is None]
        chosen = choose([each.closes for each in edits_], [0] * len(edits_), self.holes.weights())
        for one, other in islice(combinations([edits_[place] for place, _ in chosen], 2), _MOST_PAIRS):
            base = one.base
            if base is not None and base is other.base and one.changed != other.changed:
                places = [tuple(text.split(".")) for text in other.changed]
                changes = [(place, value_at(other.case.request, place)) for place in places]
                made = self._candidate(Case(request=changed(one.case.request, changes)), base)
                if made is not None:
                    yield made

    def _further(self) -> Iterator[Candidate]:
        """Yield edits of more vectors, for actions that edits bear on which no change of one field notices yet."""
        near = 0
        for each in self.candidates:
            near |= each.closes if each.tier <= 1 else 0
        wanted: set[str] = set()
        for place in bits(self.holes.open & self.holes.edits & ~near):
            actions = self.holes.actions(place)
            wanted.update(self._spaces if actions is None else actions)
        for action in self._spaces:
            if action in wanted:
                for base in self._starts.of(action)[_MOST_BASES : _MOST_BASES + _MOST_FURTHER]:
                    yield from self._edits(action, base)
                others = (row for row in self.rows if not row.step and self._starts.action(row) != action)
                yield from self._renamed(islice(others, _MOST_RENAMED), action)

    # Memory

    def _memories(self, action: str, bases: Sequence[Base]) -> Iterator[Candidate]:
        """Yield what vectors of an action come to with other experience, for every stretch of resemblance."""
        space = self._spaces[action]
        if _SCORE not in space.index or not bases:
            return
        conditions = [each for each in self._conditions[action] if each.fact == _SCORE]
        scores = [each for each in space.dimensions[space.index[_SCORE]].values if isinstance(each, Decimal) and each]
        missing = dict.fromkeys(scores)
        likenesses = [(base, Likeness(self.policy, base.request)) for base in to_remember(bases)]
        for base, likeness in likenesses:
            for score in scores:
                case = Case(request=base.request, similarity=score)
                made = self._remembering(case, base, likeness, alike(score, conditions))
                if made is not None:
                    missing.pop(score, None)
                    yield made
        base, likeness = likenesses[0]
        for score in missing:
            case = Case(request=base.request, similarity=score)
            made = self._remembering(case, base, likeness, alike(score, conditions), tags=True)
            if made is not None:
                yield made

    def _others(self) -> Iterator[Candidate]:
        """Yield the vectors of other actions as requests for one that no rule names."""
        unnamed = self._starts.unnamed
        asked = {row.request.action_type for row in self.rows if self._starts.action(row) == unnamed}
        others = [row for row in self.rows if self._starts.action(row) != unnamed]
        yield from self._renamed(others[:_MOST_RENAMED], min(asked, default=unnamed))

    def _renamed(self, rows: Iterable[Observation], action: str) -> Iterator[Candidate]:
        for row in rows:
            base = self._starts.base(row)
            made = self._candidate(Case(request=changed(base.request, [(_TYPE, action)])), base)
            if made is not None:
                yield made

    def _remembering(
        self,
        case: Case,
        base: Base | None,
        likeness: Likeness,
        wanted: Callable[[Decimal], bool],
        *,
        tags: bool = False,
    ) -> Candidate | None:
        experience, request = likeness.experience(wanted), case.request
        if experience is None:
            tagged = likeness.tagged(wanted) if tags else None
            if tagged is None:
                return None
            request, experience = tagged
        return self._candidate(Case(request=request, similarity=experience.score), base, experience)

    # What only a search finds

    def _for_edits(self, judge: Judge, open_: Iterable[int]) -> Iterator[Candidate]:
        """Yield a request for each of some edits that no candidate notices, unless it is proved that there is none."""
        for place in open_:
            mutant = self.holes.mutants[place]
            try:
                difference = judge.worst(mutant)
            except (BudgetExceededError, SpaceTooLargeError):
                self.holes.explain(place, "whether any request tells them apart could not be settled within the budget")
                continue
            if difference is None:
                self.holes.shut(place)
                continue
            made = self._reduced(difference.case, telling(mutant))
            if made is None:
                self.holes.explain(place, unreached(difference.case))
            else:
                made.closes |= 1 << place
                yield made

    def _for_goals(self) -> Iterator[Candidate]:
        open_ = [name for name in self.holes.goals if self.holes.bit_of(name) & self._open]
        if not open_:
            return
        for number, (name, goal) in enumerate(self.holes.every_goal.settled(open_, self._spaces)):
            self._step(number, len(open_))
            place = self.holes.bit_of(name).bit_length() - 1
            if goal.infeasible:
                self.holes.shut(place)
            elif goal.case is None:
                self.holes.explain(place, "whether any request does could not be settled within the budget")
            else:
                made = self._reduced(goal.case, self._meeting(name))
                if made is None:
                    self.holes.explain(place, unreached(goal.case))
                else:
                    made.closes |= 1 << place
                    yield made

    def _meeting(self, name: str) -> Callable[[Case], bool]:
        def meets(case: Case) -> bool:
            return self.holes.every_goal.meets(name, self._observation(case, parsed(self.policy, case.request)))

        return meets

    def _reduced(self, case: Case, works: Callable[[Case], bool]) -> Candidate | None:
        """Return a candidate that works, with as few changes of some vector as a found request needs."""

        def accepted(request: JsonObject) -> bool:
            try:
                return works(replace(case, request=request))
            except InvalidRequestError:
                return False

        action = parsed(self.policy, case.request).action_type
        bases = self._nearest(action, case.request)
        found = [(base, reduced(base.request, case.request, accepted)) for base in bases]
        usable = [(base, request) for base, request in found if request is not None]
        base, request = min(usable, key=lambda each: len(apart(each[0].request, each[1])), default=(None, case.request))
        if not case.similarity:
            return self._candidate(Case(request=request), base)

        def wanted(score: Decimal) -> bool:
            return works(Case(request=request, similarity=score))

        return self._remembering(
            replace(case, request=request), base, Likeness(self.policy, request), wanted, tags=True
        )

    def _nearest(self, action: str, request: JsonObject) -> list[Base]:
        """Return what to start from towards a request: the usual vectors, and of the others those most like it."""
        others = self._starts.of(action)[_MOST_BASES:]
        likest = sorted(others, key=lambda base: len(apart(base.request, request)))
        return [*self._bases.get(action, ()), *likest[:_MOST_BASES]]

    # What they close

    def _candidate(self, case: Case, base: Base | None, experience: Experience | None = None) -> Candidate | None:
        try:
            request = parsed(self.policy, case.request)
        except InvalidRequestError:
            return None
        name = repr((case.request, case.similarity))
        known = self._known.get(name)
        told = () if base is None else changed_places(base, case.request, experience)
        own = base is None or base.proposed
        far = len(told) + (_OWN if own and self.rows and request.action_type == self._starts.unnamed else 0)
        if known is None:
            known = self._known[name] = Candidate(case=case, request=request, tier=far)
        elif known.tier <= far:
            return known
        known.base, known.changed, known.experience, known.tier = base, told, experience, far
        return known

    def _observation(self, case: Case, request: DecisionRequest) -> Observation:
        return Observation(name="", step=0, document=case.request, request=request, similarity=case.similarity)

    def _look(self, candidates: Sequence[Candidate], *, few: bool = False) -> None:
        """Note of each candidate which holes it closes; `few`: whoever is waiting is told how far this is elsewhere."""
        new = [*{id(each): each for each in candidates if each.matrix is None}.values()]
        if new:
            self._tell(new, few=few)
        for each in candidates:
            self._closed |= each.closes

    def _tell(self, new: Sequence[Candidate], *, few: bool) -> None:
        matrix = Matrix(self.policy, [self._observation(each.case, each.request) for each in new])
        for place, each in enumerate(new):
            each.matrix, each.place = matrix, place
        for number in bits(self.holes.concerning({each.request.action_type for each in new})):
            if not few:
                self._step(number, len(self.holes.mutants))
            for place in bits(self._noticing(matrix, number, self.holes.mutants[number])):
                new[place].closes |= 1 << number
        for name, met in self.holes.every_goal.met(matrix).items():
            bit = self.holes.bit_of(name)
            for place in bits(met) if bit else ():
                new[place].closes |= bit
        self.candidates += new

    def _noticing(self, matrix: Matrix, number: int, mutant: Mutant) -> int:
        """Return the rows that notice an edit: all that do by the verdict, and some that do by the rest."""
        sheet, base = matrix.sheet(mutant), matrix.base
        found = base.other_verdict(sheet)
        were, are = base.verdicts, sheet.verdicts if found else {}
        for before, after in product(were, are):
            if were[before] & are[after] & found:
                self.holes.seen(number, severity_between(before, after))
        for place in islice(bits(base.suspects(sheet) & ~found), _MOST_CLOSE):
            if sheet.outcome(place) != matrix.before(place):
                found |= 1 << place
        return found
