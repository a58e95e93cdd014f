"""
Finds an experience that makes a request look like a failure by a wanted score: what a vector has to seed.
Weighs copies of the request with something left out or changed, exactly; must not know why the score is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from lumyn.analysis.candidates import evidence_candidates
from lumyn.analysis.changes import Change, Place, changed
from lumyn.analysis.dimension import truth_of
from lumyn.analysis.witness import json_value, parsed
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.normalize import compared_keys, features, ratio, read_evidence, spec_for
from lumyn.engine.profiles import FeaturePlan, Profile, feature_plan
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import InvalidRequestError
from lumyn.model import Facts, JsonObject, JsonValue, Label, MemoryItem
from lumyn.policy.scalars import EXACT
from lumyn.policy.spec import FX_RATE_KEY, Condition, Policy

__all__ = ["Experience", "Likeness", "alike", "scored"]

_MOST_TAGS: Final = 64
"""What a request may hold."""
_AMOUNT: Final[Place] = ("action", "amount")
_MOST_TRIED: Final = 24
_MOST_OPTIONS: Final = 8
"""Values that differ at all differ alike; so many are sure to hold one of another band."""

Sum: TypeAlias = "tuple[int, int]"
"""Shared and united weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """A labelled request to seed, and the failure similarity it gives."""

    label: Label
    request: JsonObject
    score: Decimal


def scored(policy: Policy, request: JsonObject, label: Label, seed: JsonObject) -> Experience:
    """
    Return an experience with the failure similarity that the engine says it gives a request.

    Raises:
        InvalidRequestError: No gate accepts one of the two requests.
    """
    own, other = parsed(policy, request), parsed(policy, seed)
    plan = compile_policy(policy).plan(own.action_type)
    item = MemoryItem(
        memory_id="M",
        seq=1,
        label=label,
        tenant_id=own.tenant_id,
        action_type=own.action_type,
        features=features(policy, compile_policy(policy).plan(other.action_type).facts(other)),
        summary="",
        created_at="",
        leaf=b"",
    )
    alike = (own.tenant_id, own.action_type) == (other.tenant_id, other.action_type)
    memory = MemorySnapshot([item] if alike else [])
    return Experience(label=label, request=seed, score=memory.similarity(plan, plan.facts(own)).score)


class Likeness:
    """
    One request, and how much copies of it with something left out or changed resemble it.

    Every sum of weights is known before any copy is made; the engine itself scores those that are.
    """

    def __init__(self, policy: Policy, request: JsonObject) -> None:
        self._policy = policy
        self._request = request
        self._facts = self._read(request)
        self._plan: FeaturePlan = feature_plan(policy)
        self._asked: Profile = self._plan.of_facts(self._facts)
        self._whole: Sum = self._compare(request) or (0, 0)
        self._sums: dict[Sum, tuple[Change, ...]] = {self._whole: ()}
        for options in _options(policy, request):
            found = {self._difference(change): change for change in reversed(options[:_MOST_OPTIONS])}
            for (shared, union), changes in [*self._sums.items()]:
                for difference, change in found.items():
                    if difference is not None:
                        key = (shared + difference[0], union + difference[1])
                        if key not in self._sums or len(changes) + 1 < len(self._sums[key]):
                            self._sums[key] = (*changes, change)

    def experience(self, wanted: Callable[[Decimal], bool]) -> Experience | None:
        """Return an experience that gives the request a wanted score, or None: no copy that was weighed does."""
        for label, changes in self._giving(wanted, tags=0):
            found = self._scored(label, changes)
            if found is not None and wanted(found.score):
                return found
        return None

    def tagged(self, wanted: Callable[[Decimal], bool]) -> tuple[JsonObject, Experience] | None:
        """
        Return the request with more tags, and an experience that gives it a wanted score; None: none was found.

        Tags that both hold bring any resemblance nearer to 1, in small steps.
        """
        held = self._facts.tags or ()
        for count in range(1, _MOST_TAGS - len(held) + 1):
            if any(True for _ in self._giving(wanted, tags=count)):
                tags = [*held, *(f"tag-{number}" for number in range(1, count + 1))]
                request = changed(self._request, [(("action", "tags"), [*tags])])
                found = Likeness(self._policy, request).experience(wanted)
                if found is not None:
                    return request, found
        return None

    def _giving(self, wanted: Callable[[Decimal], bool], *, tags: int) -> Iterator[tuple[Label, tuple[Change, ...]]]:
        """Yield labels and changes of a copy that give a wanted score, the fewest changes first, `tags` more alike."""
        more = tags * self._plan.tag_weight
        tried = 0
        for label in (Label.FAILURE, Label.NEAR_MISS):
            for (shared, union), changes in sorted(self._sums.items(), key=lambda each: len(each[1])):
                if wanted(ratio(shared + more, union + more, half=label is Label.NEAR_MISS)):
                    tried += 1
                    yield label, changes
                    if tried >= _MOST_TRIED:
                        return

    def _scored(self, label: Label, changes: tuple[Change, ...]) -> Experience | None:
        """Return the copy with all changes made, scored by the engine; None when no gate accepts it."""
        try:
            return scored(self._policy, self._request, label, changed(self._request, changes))
        except InvalidRequestError:
            return None

    def _difference(self, change: Change) -> Sum | None:
        found = self._compare(changed(self._request, [change]))
        return None if found is None else (found[0] - self._whole[0], found[1] - self._whole[1])

    def _compare(self, seed: JsonObject) -> Sum | None:
        try:
            held = features(self._policy, self._read(seed))
        except InvalidRequestError:
            return None
        return self._plan.compare(self._asked, self._plan.of_features(held))

    def _read(self, request: JsonObject) -> Facts:
        read = parsed(self._policy, request)
        return compile_policy(self._policy).plan(read.action_type).facts(read)


# What can be changed in a copy


def _options(policy: Policy, request: JsonObject) -> Iterator[list[Change]]:
    """Yield what can be done to a copy: of each list one change at most, those of different lists independently."""
    action, evidence = request["action"], request.get("evidence", {})
    if isinstance(action, dict):
        yield [*_money(policy, action)]
        target = action.get("target")
        for key in ("system", "resource_type") if isinstance(target, dict) else ():
            yield [(("action", "target", key), None)]
        tags = action.get("tags")
        if isinstance(tags, list):
            yield [(("action", "tags"), tags[:count] or None) for count in range(len(tags))]
    held = evidence if isinstance(evidence, dict) else {}
    for key in sorted(compared_keys(policy)):
        if key != FX_RATE_KEY:
            yield [(("evidence", key), value) for value in _others(policy, key, held.get(key))]


def _others(policy: Policy, key: str, value: JsonValue) -> Iterator[JsonValue]:
    """Yield nothing in a key's place, where there is something, and usable values that the policy tells apart."""
    if value is not None:
        yield None
    spec = spec_for(policy, key)
    conditions = [each for each in _conditions(policy) if each.evidence_key == key]
    for raw in evidence_candidates([spec], conditions):
        read, code = read_evidence(raw, spec)
        if raw is not None and raw != value and read is not None and code is None:
            yield json_value(raw)


def _money(policy: Policy, action: JsonObject) -> Iterator[Change]:
    amount = action.get("amount")
    if not isinstance(amount, dict):
        yield _AMOUNT, {"value": 10, "currency": "USD"}
        return
    yield _AMOUNT, None
    points = {each.operand for each in _conditions(policy) if each.fact == "amount_usd"}
    known = sorted(each for each in points if isinstance(each, Decimal) and each >= 0)
    for point in (Decimal(1), *known, *(EXACT.multiply(each, Decimal(2)) for each in known)):
        if point == round(point, 2):
            yield (*_AMOUNT, "value"), json_value(point)


def _conditions(policy: Policy) -> Iterator[Condition]:
    return (condition for rule in policy.rules for condition in rule.conditions)


def alike(score: Decimal, conditions: Sequence[Condition]) -> Callable[[Decimal], bool]:
    """Return what tells whether no comparison tells a score from this one."""
    truths = [truth_of(each, score, seen=True) for each in conditions]

    def as_good(found: Decimal) -> bool:
        return truths == [truth_of(each, found, seen=True) for each in conditions]

    return as_good
