"""
Vectors that would close the holes of a suite: one-field edits of what it asks already, then exact requests.
Each pins today's outcome, which is a question for people; must not know files.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from lumyn.analysis.candidates import SpaceTooLargeError
from lumyn.analysis.cells import MONEY, Space
from lumyn.analysis.coverage import Criterion, cover, goals_met
from lumyn.analysis.dimension import Raw, bits
from lumyn.analysis.experience import Experience, Likeness
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.mutants import Scope
from lumyn.analysis.mutation import Survivor, assess
from lumyn.analysis.observations import Observation, Pins, outcome_document
from lumyn.analysis.pairs import Severity
from lumyn.analysis.redecide import confirm
from lumyn.analysis.regions import View, actions_of
from lumyn.analysis.witness import Case, case_at, evaluate, parsed, request_at
from lumyn.model import Evaluation, JsonObject, Verdict
from lumyn.policy.spec import Condition, Policy

__all__ = ["SHOWN_GOALS", "Suggestion", "suggest"]

SHOWN_GOALS: Final = (Criterion.FIRED, Criterion.DECIDES, Criterion.CODES, Criterion.REQUIRED, Criterion.BOUNDARIES)
_MOST_BASES: Final = 8
_MOST_CLOSE: Final = 60
_MOST_TAGS: Final = 3
_GOAL: Final = 5
_REST: Final = ("matched_rules", "queries", "obligations")
_WEIGHTS: Final = {Severity.NEW_TRUST: 1000, Severity.LOOSER: 100, Severity.TIGHTER: 10, Severity.CODES: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """
    One vector that is proposed.

    Attributes:
        base: Name of the vector it edits, or None: a request of its own.
        changed: What differs from the base, such as `amount`, or empty.
        evaluation: Today's outcome.
        experience: What memory must hold, or None.
        fields: Members of the record that the expectation pins besides verdict and reason codes.
        kills: Ids of the mutants it notices that nothing did.
        goals: Names of the coverage goals it meets that nothing did.
    """

    case: Case
    evaluation: Evaluation
    base: str | None = None
    changed: str = ""
    experience: Experience | None = None
    fields: tuple[str, ...] = ()
    kills: tuple[str, ...] = ()
    goals: tuple[str, ...] = ()

    def expectation(self) -> JsonObject:
        """Return what the vector expects: today's outcome."""
        said = outcome_document(self.evaluation)
        return {key: said[key] for key in ("verdict", "reason_codes", *self.fields)}


@dataclass(slots=True)
class _Candidate:
    case: Case
    base: str | None
    changed: str
    experience: Experience | None = None
    place: int = 0
    matrix: Matrix | None = None
    kills: set[str] = field(default_factory=set)
    goals: set[str] = field(default_factory=set)


def suggest(
    policy: Policy, observations: Iterable[Observation], *, scope: Scope = Scope.CORE, most: int | None = None
) -> list[Suggestion]:
    """
    Return vectors that notice what survives and meet what is missing, the most valuable first.

    Args:
        observations: What the vectors at hand decide.
        most: How many at most.
    """
    rows = tuple(observations)
    report = assess(policy, rows, scope=scope)
    missing = {f"{goal.criterion}:{goal.name}": goal for c in SHOWN_GOALS for goal in cover(policy, rows).missing(c)}
    if not report.survivors and not missing:
        return []
    extra = [
        condition
        for survivor in report.survivors
        for rule in (survivor.mutant.rules or {}).values()
        if rule is not None
        for condition in rule.conditions
    ]
    cuts = _cuts(policy, extra)
    goals = (_Candidate(goal.case, None, "") for goal in missing.values() if goal.case is not None)
    candidates = _distinct(each for each in (*_edits(policy, rows, extra), *goals) if _realised(policy, each, cuts))
    _look(policy, candidates, report.survivors, set(missing))
    noticed = {name for each in candidates for name in each.kills}
    # Only what no edit notices needs a request of its own, which is dearer to find.
    left = [each for each in report.survivors if each.mutant.mutant_id not in noticed]
    exact = [_Candidate(survivor.difference.case, None, "") for survivor in left]
    exact = _distinct(each for each in exact if _realised(policy, each, cuts))
    _look(policy, exact, left, set(missing))
    weights = {survivor.mutant.mutant_id: _WEIGHTS[survivor.severity] for survivor in report.survivors}
    made = {survivor.mutant.mutant_id: survivor.mutant for survivor in report.survivors}
    chosen = _chosen([*candidates, *exact], weights, set(missing), most)
    found = [_made(made, each, kills, goals_) for each, kills, goals_ in chosen]
    for each in found:
        confirm(policy, each.case, each.evaluation, experience=each.experience)
    return found


def _look(policy: Policy, candidates: Sequence[_Candidate], survivors: Sequence[Survivor], missing: set[str]) -> None:
    """Note of each candidate which survivors it notices and which missing goals it meets."""
    matrix = Matrix(policy, [_observation(policy, each) for each in candidates])
    for place, each in enumerate(candidates):
        each.place, each.matrix = place, matrix
    few = len(candidates) <= _MOST_CLOSE
    for survivor in survivors:
        for place in bits(matrix.noticing(survivor.mutant, most=len(candidates) if few else _MOST_CLOSE)):
            candidates[place].kills.add(survivor.mutant.mutant_id)
    for name, met in goals_met(policy, matrix).items():
        if name in missing:
            for place in bits(met):
                candidates[place].goals.add(name)


def _distinct(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """Return candidates without those that ask what an earlier one asks already."""
    found: dict[str, _Candidate] = {}
    for each in candidates:
        found.setdefault(json.dumps([each.case.request, str(each.case.similarity)], sort_keys=True), each)
    return [*found.values()]


def _chosen(
    candidates: Sequence[_Candidate], weights: Mapping[str, int], missing: set[str], most: int | None
) -> Iterator[tuple[_Candidate, set[str], set[str]]]:
    """Yield the candidate that closes most of what is open, edits first, until none of them closes anything more."""
    open_ = _Open(weights, set(weights), missing)
    edits = [each for each in candidates if each.changed]
    others = [each for each in candidates if not each.changed]
    count = 0
    while (open_.kills or open_.goals) and (most is None or count < most):
        pools = (max(pool, key=open_.worth, default=None) for pool in (edits, others))
        best = next((each for each in pools if each is not None and open_.worth(each)), None)
        if best is None:
            return
        count += 1
        yield best, best.kills & open_.kills, best.goals & open_.goals
        open_.kills -= best.kills
        open_.goals -= best.goals


@dataclass(slots=True)
class _Open:
    """What nothing closes yet."""

    weights: Mapping[str, int]
    kills: set[str]
    goals: set[str]

    def worth(self, candidate: _Candidate) -> int:
        """Return how much of it a candidate closes."""
        gain = sum(self.weights[name] for name in candidate.kills & self.kills)
        return gain + _GOAL * len(candidate.goals & self.goals)


def _made(mutants: Mapping[str, Mutant], candidate: _Candidate, kills: set[str], goals: set[str]) -> Suggestion:
    """Return the vector of a candidate; it expects no more of the record than what it closes needs."""
    matrix = candidate.matrix
    if matrix is None:
        raise ValueError("a candidate is looked at before it is chosen")
    found = matrix.outcomes[candidate.place]
    said = outcome_document(found)
    plain = Pins({key: said[key] for key in ("verdict", "reason_codes")}, {})
    needed = any(not plain.notice(matrix.sheet(mutants[name]).outcome(candidate.place)) for name in kills)
    return Suggestion(
        case=candidate.case,
        evaluation=found,
        base=candidate.base,
        changed=candidate.changed,
        experience=candidate.experience,
        fields=tuple(key for key in _REST if said[key]) if needed else (),
        kills=tuple(sorted(kills)),
        goals=tuple(sorted(goals)),
    )


def _observation(policy: Policy, candidate: _Candidate) -> Observation:
    case = candidate.case
    request = parsed(policy, case.request)
    name = candidate.base or ""
    return Observation(name=name, step=0, document=case.request, request=request, similarity=case.similarity)


# Candidates


def _edits(policy: Policy, rows: Sequence[Observation], extra: Sequence[Condition]) -> Iterator[_Candidate]:
    """Yield every request that differs from one of a few known ones in one attribute."""
    for action in actions_of(policy):
        try:
            space = Space(action, [policy], extra=extra)
        except SpaceTooLargeError:
            continue
        bases = _bases(policy, rows, action) or list(_own_bases(policy, action))
        for number, (name, request) in enumerate(bases):
            if name is None:
                yield _Candidate(Case(request=request), None, "")
            for dimension in space.dimensions:
                for value in dimension.values:
                    edited = _with(request, action, dimension.name, value)
                    if edited is not None and edited != request:
                        yield _Candidate(Case(request=edited), name, dimension.name)
                    elif not number and dimension.name == "risk.failure_similarity" and isinstance(value, Decimal):
                        yield _Candidate(Case(request=request, similarity=value), name, "memory")


def _bases(policy: Policy, rows: Sequence[Observation], action: str) -> list[tuple[str | None, JsonObject]]:
    """Return a few vectors of an action that differ in what they come to, most permissive first."""
    found: dict[object, tuple[int, str, JsonObject]] = {}
    for row in rows:
        if row.request.action_type == action and not row.similarity:
            said = evaluate(policy, Case(request=row.document))
            key = (said.verdict, said.reason_codes)
            found.setdefault(key, (said.verdict.strictness, row.name, row.document))
    return [(name, request) for _, name, request in sorted(found.values(), key=lambda each: each[0])[:_MOST_BASES]]


def _own_bases(policy: Policy, action: str) -> Iterator[tuple[None, JsonObject]]:
    space = Space(action, [policy])
    view = View(space, policy)
    for verdict in Verdict:
        for region in view.regions(verdict):
            if all(region.must):
                corner = space.search.find((), must=region.must, avoid=region.avoid)
                if corner is not None:
                    yield None, case_at(action, space.point(corner)).request
                    break


def _with(request: JsonObject, action: str, name: str, value: Raw) -> JsonObject | None:
    """Return a request with another value of one attribute, or None for what no request holds."""
    if name.startswith("risk."):
        return None
    alone = request_at(action, {name: value})
    edited = copy.deepcopy(request)
    holders = {
        "subject.type": ("subject", "type"),
        "subject.roles": ("subject", "roles"),
        "action.tags": ("action", "tags"),
    }
    if name == MONEY:
        _put(edited, alone, "action", "amount")
        _put(edited, alone, "evidence", "fx_rate_to_usd")
    elif name == "tenant.environment":
        _put(edited, alone, "tenant", "environment")
    else:
        _put(edited, alone, *holders.get(name, ("evidence", name.removeprefix("evidence."))))
    return edited


def _put(edited: JsonObject, source: JsonObject, part: str, key: str) -> None:
    there = source.get(part, {})
    value = there.get(key) if isinstance(there, dict) else None
    here = edited.get(part)
    if not isinstance(here, dict):
        if value is None:
            return
        here = edited[part] = {"tenant_id": "acme"} if part == "tenant" else {}
    if value is None:
        here.pop(key, None)
    else:
        here[key] = value


def _cuts(policy: Policy, extra: Sequence[Condition]) -> list[Decimal]:
    """Return the failure similarities that the policy or an edit of it compares with."""
    conditions = [*extra, *(condition for rule in policy.rules for condition in rule.conditions)]
    found = {each.operand for each in conditions if each.fact == "risk.failure_similarity"}
    return sorted(each for each in found if isinstance(each, Decimal))


def _realised(policy: Policy, candidate: _Candidate, cuts: Sequence[Decimal]) -> bool:
    """Find the experience a candidate needs, adding tags to its request if need be; return False if there is none."""
    score = candidate.case.similarity
    if not score:
        return True

    def alike(found: Decimal) -> bool:
        return all((found < cut) == (score < cut) and (found > cut) == (score > cut) for cut in cuts)

    for tags in range(_MOST_TAGS):
        request = copy.deepcopy(candidate.case.request)
        if tags:
            _put(request, {"action": {"tags": [f"case-{number}" for number in range(tags)]}}, "action", "tags")
        experience = Likeness(policy, request).experience(alike)
        if experience is not None:
            candidate.case = Case(request=request, similarity=experience.score)
            candidate.experience = experience
            return True
    return False
