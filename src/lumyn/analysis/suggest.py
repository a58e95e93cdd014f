"""
Vectors that would close the holes of a suite: one-field edits of what it asks already, then of requests found exactly.
Each pins today's outcome, which is a question for people; must not know files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lumyn.analysis.candidate import Candidate
from lumyn.analysis.choosing import choose
from lumyn.analysis.coverage import Criterion
from lumyn.analysis.edits import Base
from lumyn.analysis.experience import Experience
from lumyn.analysis.holes import Holes, Left, left_open
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.mutants import Scope
from lumyn.analysis.observations import Observation, Pins, outcome_document
from lumyn.analysis.pool import Pool
from lumyn.analysis.redecide import confirm
from lumyn.analysis.witness import Case
from lumyn.model import Evaluation, JsonObject
from lumyn.policy.spec import Policy

__all__ = ["Suggestion", "Suggestions", "suggest"]

_MANY: Final = 60
"""Nobody answers more questions than that gladly: beyond it, one request that changes two fields may do for two."""
_AT_ONCE: Final = 500
"""More are never proposed at once unless more are asked for: a file has to hold them, and people have to read it."""
_EVER: Final = 2
"""So many times as many are no longer searched for; some of those taken one by one are idle beside the others."""
_REST: Final = (("matched_rules",), ("queries",), ("obligations",), ("matched_rules", "queries", "obligations"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """
    One vector that is proposed.

    Attributes:
        base: What it is an edit of, or None: a request of its own.
        changed: Dotted places in which it differs from its base, `memory` for an experience; empty without a base.
        evaluation: Today's outcome, which a gate came to.
        experience: What memory must hold, or None.
        fields: Members of the record that the expectation pins besides verdict and reason codes.
        kills: The mutants it notices that nothing did, not even the suggestions before it.
        goals: Names of the coverage goals it meets that nothing did.
    """

    case: Case
    evaluation: Evaluation
    base: Base | None = None
    changed: tuple[str, ...] = ()
    experience: Experience | None = None
    fields: tuple[str, ...] = ()
    kills: tuple[Mutant, ...] = ()
    goals: tuple[str, ...] = ()

    def expectation(self) -> JsonObject:
        """Return what the vector expects: today's outcome."""
        said = outcome_document(self.evaluation)
        return {key: said[key] for key in ("verdict", "reason_codes", *self.fields)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """
    What is suggested, the most valuable first, and what is open still when all of it is taken.

    Attributes:
        left: Edits and goals that no suggestion closes, each with the reason.
        more: Whether there is more to suggest, which nobody asked to leave out: once these count.
    """

    found: tuple[Suggestion, ...]
    left: tuple[Left, ...] = ()
    more: bool = False

    def first(self, count: int) -> Suggestions:
        """Return the most valuable ones; what only the others close is left open."""
        gone = self.found[count:]
        left = [left_open(mutant) for each in gone for mutant in each.kills]
        left += [left_open(goal) for each in gone for goal in each.goals]
        return replace(self, found=self.found[:count], left=(*self.left, *left), more=self.more or bool(gone))


def suggest(
    policy: Policy,
    observations: Iterable[Observation],
    *,
    scope: Scope = Scope.CORE,
    most: int | None = None,
    criteria: Sequence[Criterion] = tuple(Criterion),
    minimal: bool = False,
    advance: Callable[[int, int], None] | None = None,
) -> Suggestions:
    """
    Return vectors that notice what survives and meet what is missing.

    Args:
        observations: What the vectors at hand decide.
        most: How many at most; None: as many as are needed, within what can be read at once.
        criteria: Which goals are to be met.
        minimal: Whether fewer that change several fields are preferred to more that change one.
        advance: Called now and then with how much of a step is done, and how much there is.

    Raises:
        AnalysisDefectError: A gate decides a suggestion otherwise than the analysis says.
    """
    rows = tuple(observations)
    holes = Holes(policy, rows, scope=scope, criteria=criteria)
    if not holes:
        return Suggestions(found=())
    pool = Pool(policy, rows, holes, minimal=minimal, advance=advance, enough=_EVER * max(most or 0, _AT_ONCE))
    whole = pool.fill()
    sets, tiers = [each.closes for each in pool.candidates], [0 if minimal else each.tier for each in pool.candidates]
    chosen = choose(sets, tiers, holes.weights(), most=most if whole or most else _AT_ONCE, many=_MANY)
    more = most is None and (not whole or len(chosen) > _AT_ONCE)
    chosen = chosen[:_AT_ONCE] if more else chosen
    found = tuple(_made(holes, pool.candidates[place], closed) for place, closed in chosen)
    for each in found:
        confirm(policy, each.case, each.evaluation, experience=each.experience)
    closed = 0
    for _, members in chosen:
        closed |= members
    return Suggestions(found=found, left=holes.left(closed, limited=most is not None or more), more=more)


def _made(holes: Holes, candidate: Candidate, closed: int) -> Suggestion:
    """Return the vector of a candidate; it expects no more of the record than what it closes needs."""
    kills, goals = holes.named(closed)
    found = candidate.outcome
    said = outcome_document(found)
    after = [candidate.under(mutant) for mutant in kills]
    fields: tuple[str, ...] = ()
    for wanted in ((), *_REST):
        fields = tuple(key for key in wanted if said[key] or len(wanted) == 1)
        pins = Pins({key: said[key] for key in ("verdict", "reason_codes", *fields)}, {})
        if all(pins.notice(each) for each in after):
            break
    return Suggestion(
        case=candidate.case,
        evaluation=found,
        base=candidate.base,
        changed=candidate.changed,
        experience=candidate.experience,
        fields=fields,
        kills=kills,
        goals=goals,
    )
