"""
Holds a policy to its invariants: each is proved for every request, or broken by one the engine decides so.
Must not know files or output; what cannot be told within the budget is unknown, never proved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lumyn.analysis.boxes import BUDGET, EVERYWHERE, Box, BudgetExceededError
from lumyn.analysis.candidates import SpaceTooLargeError
from lumyn.analysis.cells import Space
from lumyn.analysis.copies import Trusted, Twins, cuts
from lumyn.analysis.dimension import RATE
from lumyn.analysis.experience import Experience
from lumyn.analysis.growth import loosened, numbers_of
from lumyn.analysis.rates import RateBook
from lumyn.analysis.regions import View, actions_of
from lumyn.analysis.witness import AnalysisDefectError, Case, case_at, evaluate
from lumyn.model import Evaluation, Verdict
from lumyn.policy.invariants import Invariant, InvariantKind
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import FX_RATE_KEY, Condition, Policy

__all__ = ["Proof", "Status", "open_keys", "prove"]

_STEPS: Final = "too many steps"
_AMOUNTS: Final = "some amounts at some rates could be neither reached nor ruled out"
_RATE: Final = "what a rate does cannot be told apart from what the amount does; `monotone: amount_usd` can be proved"
_IDLE: Final = {
    InvariantKind.NEVER: "no request meets its conditions",
    InvariantKind.REQUIRES: "no request gets the verdict",
    InvariantKind.MONOTONE: "no rule compares the number",
    InvariantKind.FAIL_CLOSED: "no rule reads such a key, and none is required",
}


class Status(StrEnum):
    """What became of an invariant. `VACUOUS`: it is about no request at all, so that it could not be broken."""

    PROVED = "proved"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
    VACUOUS = "vacuous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """
    One invariant, held against every request.

    Attributes:
        case: A request that breaks it.
        evaluation: What the engine says of that request.
        other: For what compares two requests, the one it is compared with: `case` but for one attribute.
        other_evaluation: What the engine says of that one.
        reason: Why nothing is proved, where nothing is and no case is given; empty otherwise.
        memory: What a gate's memory has to hold for `case` to be decided so, where it has to hold something.
        other_memory: The same for `other`.
        by_gate: Whether a gate decided both so; False where no memory that was tried gives the similarity, None before
            one was asked.
    """

    invariant: Invariant
    status: Status
    case: Case | None = None
    evaluation: Evaluation | None = None
    other: Case | None = None
    other_evaluation: Evaluation | None = None
    reason: str = ""
    memory: Experience | None = None
    other_memory: Experience | None = None
    by_gate: bool | None = None


def prove(policy: Policy, invariant: Invariant, *, limit: int = BUDGET) -> Proof:
    """Return whether an invariant holds for every request a gate would accept, with one that breaks it if not."""
    if invariant.kind is InvariantKind.MONOTONE and RATE in invariant.facts:
        return Proof(invariant=invariant, status=Status.UNKNOWN, reason=_RATE)
    unknown, reason, meant = False, "", False
    book = RateBook()
    for action in actions_of(policy):
        if invariant.actions is not None and action not in invariant.actions:
            continue
        try:
            space = Space(action, [policy], extra=_extra(policy, invariant), limit=limit, book=book)
            view = View(space, policy)
            found = next(_broken(view, invariant), None)
            meant = meant or found is not None or _about(view, invariant)
            if not space.complete:
                unknown, reason = True, _AMOUNTS
        except (BudgetExceededError, SpaceTooLargeError):
            unknown, reason = True, _STEPS
            continue
        if found is not None:
            return found
    if unknown:
        return Proof(invariant=invariant, status=Status.UNKNOWN, reason=reason)
    if not meant:
        return Proof(invariant=invariant, status=Status.VACUOUS, reason=_IDLE[invariant.kind])
    return Proof(invariant=invariant, status=Status.PROVED)


def _about(view: View, invariant: Invariant) -> bool:
    """Return whether some request of an action could break an invariant if the policy decided it otherwise."""
    match invariant.kind:
        case InvariantKind.NEVER:
            where = view.box_of(invariant.conditions) if invariant.conditions else EVERYWHERE
            return where is not None and view.space.search.find(where) is not None
        case InvariantKind.REQUIRES:
            regions = [region for verdict in invariant.verdicts for region in view.regions(verdict)]
            return any(
                all(region.must) and view.space.search.find((), must=region.must, avoid=region.avoid) is not None
                for region in regions
            )
        case InvariantKind.MONOTONE:
            return invariant.facts[0] in numbers_of(view.policy, view.space.action)
        case InvariantKind.FAIL_CLOSED:
            keys = view.policy.keys_for(view.space.action)
            return not invariant.facts or any(key in keys for key in invariant.facts)


def _extra(policy: Policy, invariant: Invariant) -> list[Condition]:
    if invariant.kind is InvariantKind.MONOTONE:
        return [condition for fact in invariant.facts for condition in cuts(policy, fact)]
    return list(invariant.conditions)


def _broken(view: View, invariant: Invariant) -> Iterator[Proof]:
    match invariant.kind:
        case InvariantKind.NEVER:
            where = view.box_of(invariant.conditions) if invariant.conditions else EVERYWHERE
            if where is not None:
                yield from _given(view, invariant, [where])
        case InvariantKind.REQUIRES:
            boxes = [view.lacking(condition) for condition in invariant.conditions]
            yield from _given(view, invariant, [box for box in boxes if box is not None])
        case InvariantKind.MONOTONE:
            for twins in loosened(view, invariant.facts[0], falling=invariant.falling):
                yield _two(view, invariant, twins)
        case InvariantKind.FAIL_CLOSED:
            keys = invariant.facts or view.policy.keys_for(view.space.action)
            for _, twins in open_keys(view, keys):
                yield _two(view, invariant, twins)


def _given(view: View, invariant: Invariant, starts: list[Box]) -> Iterator[Proof]:
    """Yield requests that get one of the invariant's verdicts in some part of the space."""
    for verdict in invariant.verdicts:
        for region in view.regions(verdict):
            if not all(region.must):
                continue
            for start in starts:
                corner = view.space.search.find(start, must=region.must, avoid=region.avoid)
                if corner is not None:
                    case = case_at(view.space.action, view.space.point(corner))
                    found = _decided(view.policy, case, verdict)
                    yield Proof(invariant=invariant, status=Status.VIOLATED, case=case, evaluation=found)


def open_keys(view: View, keys: tuple[str, ...]) -> Iterator[tuple[str, Twins]]:
    """Yield evidence keys whose absence earns a `TRUST` that some value of theirs forfeits, with two such requests."""
    for key in keys:
        name = EVIDENCE_PREFIX + key
        if key == FX_RATE_KEY or name not in view.space.index:
            continue
        place = view.space.index[name]
        dimension = view.space.dimensions[place]
        region = view.trusting()
        # The first candidate of every key is its absence, whatever default stands in for it.
        if view.space.search.find(((place, 1),), must=region.must, avoid=region.avoid) is None:
            continue
        unusable = 0
        for states in dimension.states.values():
            for mask in states.values():
                unusable |= mask
        # Values the engine itself blocks forfeit everything, which is no news.
        usable = (cell for cell in range(1, len(dimension.values)) if not unusable >> cell & 1)
        without = Trusted(view, name, 0)
        pairs = (without.forfeited(cell) for cell in usable)
        found = next((pair for pair in pairs if pair is not None), None)
        if found is not None:
            absent, present = found
            yield key, Twins(absent, present, Verdict.TRUST, evaluate(view.policy, present).verdict)


def _two(view: View, invariant: Invariant, twins: Twins) -> Proof:
    return Proof(
        invariant=invariant,
        status=Status.VIOLATED,
        case=twins.second if invariant.kind is InvariantKind.MONOTONE else twins.first,
        evaluation=_decided(
            view.policy, *((twins.second, twins.after) if _monotone(invariant) else (twins.first, twins.before))
        ),
        other=twins.first if _monotone(invariant) else twins.second,
        other_evaluation=_decided(
            view.policy, *((twins.first, twins.before) if _monotone(invariant) else (twins.second, twins.after))
        ),
    )


def _monotone(invariant: Invariant) -> bool:
    return invariant.kind is InvariantKind.MONOTONE


def _decided(policy: Policy, case: Case, verdict: Verdict) -> Evaluation:
    """Return what the engine says of a case; raises AnalysisDefectError when it is not what the model says."""
    found = evaluate(policy, case)
    if found.verdict is not verdict:
        raise AnalysisDefectError(f"the engine says {found.verdict} where the analysis says {verdict}")
    return found
