"""
Profiles: what of a request or an experience counts when two of them are compared, numbers cut into bands.
Must not know which experiences there are, nor how they are searched.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final, TypeAlias

from lumyn.engine._per_policy import PerPolicy
from lumyn.engine.normalize import compared_keys, spec_for
from lumyn.engine.packed import Native, PackedFacts, to_native
from lumyn.model import Facts, JsonObject, JsonValue
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.scalars import to_decimal
from lumyn.policy.spec import Condition, EvidenceType, Policy

__all__ = ["UNKNOWN", "Bands", "Feature", "FeaturePlan", "Profile", "Unknown", "feature_plan"]


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""
An experience does not say whether it has the feature: the policy it was labelled under did not compare the key, or gave
it another type. Such a feature does not count; else a rule that a policy gains would thin out every resemblance.
"""

Value: TypeAlias = "str | bool | int | Unknown | None"
"""A text, a boolean or the number of a band; None when the feature is absent. Requests have no `UNKNOWN`."""

Profile: TypeAlias = "tuple[tuple[Value, ...], frozenset[str]]"
"""The values of the features of a plan, in its order, and the tags."""

_STORED_TEXTS: Final = ("target_system", "resource_type", "currency")
_NO_TAGS: Final[frozenset[str]] = frozenset()

_BEFORE: Final = 0
_AFTER: Final = 1
_SIDES: Final[Mapping[str, tuple[int, ...]]] = {
    "gt": (_AFTER,),
    "gte": (_BEFORE,),
    "lt": (_BEFORE,),
    "lte": (_AFTER,),
    "is": (_BEFORE, _AFTER),
    "ne": (_BEFORE, _AFTER),
    "in": (_BEFORE, _AFTER),
    "not_in": (_BEFORE, _AFTER),
}


@dataclass(frozen=True, slots=True)
class Bands:
    """
    A cut of the number line on which every comparison of a policy is constant within a band.

    A point cuts before itself where a policy writes `gte` or `lt`, after itself where it writes `gt` or `lte`, and
    on both sides where it tests for equality; so a number equal to a cut point lies in the band the rules put it in.

    Attributes:
        points: Ascending, distinct.
        at: Band of each point itself.
        below: Band of the numbers below each point and above the one before; one more than there are points.
        natives: The points as native numbers, where every one has its own; see `lumyn.engine.packed.to_native`.
    """

    points: tuple[Decimal, ...]
    at: tuple[int, ...]
    below: tuple[int, ...]
    natives: tuple[int | float, ...] | None

    @classmethod
    def cut(cls, cuts: Iterable[tuple[Decimal, int]]) -> Bands:
        """Return the bands between `(point, side)` cuts; no cuts give one band."""
        distinct = set(cuts)
        points = sorted({point for point, _ in distinct})
        at: list[int] = []
        below = [0]
        for point in points:
            at.append(below[-1] + ((point, _BEFORE) in distinct))
            below.append(at[-1] + ((point, _AFTER) in distinct))
        natives = [native for native in map(to_native, points) if native is not None]
        every = tuple(natives) if len(natives) == len(points) else None
        return cls(tuple(points), tuple(at), tuple(below), every)

    def of(self, number: Decimal | float) -> int:
        """Return the band of a number; a native one stands for its shortest decimal."""
        points: Sequence[Decimal | float] = self.points
        if not isinstance(number, Decimal):
            if self.natives is None:
                number = to_decimal(number)
            else:
                points = self.natives
        place = bisect_left(points, number)
        if place < len(points) and points[place] == number:
            return self.at[place]
        return self.below[place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """
    One thing by which experiences are compared.

    Attributes:
        name: A built-in feature, or the evidence key.
        evidence: Whether it is an evidence key.
        weight: At least 1.
        free: Whether a caller can set it at will: then it counts only where both hold the same value.
        bands: For numbers, else None.
        boolean: Whether its values are booleans; otherwise, without bands, they are texts.
    """

    name: str
    weight: int
    evidence: bool = False
    free: bool = False
    bands: Bands | None = None
    boolean: bool = False

    def value(self, raw: Native | None) -> Value:
        """Return the value of the feature for a raw one; None for a value of another type than the policy's."""
        if raw is None:
            return None
        if self.bands is not None:
            return None if isinstance(raw, (bool, str)) else self.bands.of(raw)
        return raw if isinstance(raw, bool if self.boolean else str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturePlan:
    """
    How one policy compares experiences. Policies that compare alike have equal plans.

    Attributes:
        features: In a fixed order; tags apart.
        tag_weight: Weight of each tag; 0 when the policy does not look at tags.
    """

    features: tuple[Feature, ...]
    tag_weight: int

    def of_facts(self, facts: Facts) -> Profile:
        """Return the profile of a request."""
        built_in: dict[str, Native | None] = {
            "action_type": facts.action_type,
            "target_system": facts.target_system,
            "resource_type": facts.resource_type,
            "currency": facts.amount_currency,
            "amount_band": facts.amount_usd,
        }
        evidence = facts.natives if isinstance(facts, PackedFacts) else facts.evidence
        return self._profile(built_in, evidence, facts.tags or ())

    def of_features(self, features: JsonObject) -> Profile:
        """Return the profile of a stored experience: evidence of another type, or not named at all, is `UNKNOWN`."""
        amount = features.get("amount_usd")
        built_in = {name: _native(features.get(name)) for name in ("action_type", *_STORED_TEXTS)}
        built_in["amount_band"] = Decimal(amount) if isinstance(amount, str) else None
        evidence = features.get("evidence")
        held = {key: _native(value) for key, value in evidence.items()} if isinstance(evidence, dict) else {}
        tags = features.get("tags")
        texts = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else ()
        values, found = self._profile(built_in, held, texts)
        named = evidence if isinstance(evidence, dict) else {}
        told = [
            UNKNOWN if value is None and feature.evidence and named.get(feature.name, UNKNOWN) is not None else value
            for feature, value in zip(self.features, values, strict=True)
        ]
        return tuple(told), found

    def of_asked(self, features: JsonObject) -> Profile:
        """Return the profile of a request by its features, as `lumyn.engine.normalize.features` returns them."""
        values, tags = self.of_features(features)
        return tuple([None if value is UNKNOWN else value for value in values]), tags

    def _profile(
        self, built_in: Mapping[str, Native | None], evidence: Mapping[str, Native | None], tags: Iterable[str]
    ) -> Profile:
        values = [
            feature.value(evidence.get(feature.name) if feature.evidence else built_in[feature.name])
            for feature in self.features
        ]
        return tuple(values), frozenset(tags) if self.tag_weight else _NO_TAGS

    def compare(self, asked: Profile, held: Profile) -> tuple[int, int]:
        """
        Return the shared weight and the united weight of a request and an experience.

        Weighted Jaccard, with two corrections, so that what a caller may add or leave out cannot dilute a resemblance:
        free values count only where both hold the same, and any other feature that the request leaves out counts as
        shared. What is `UNKNOWN` of the experience does not count.
        """
        shared = union = 0
        for feature, ours, theirs in zip(self.features, asked[0], held[0], strict=True):
            if feature.free:
                if ours is not None and ours == theirs:
                    shared += feature.weight
                    union += feature.weight
            elif theirs is UNKNOWN:
                continue
            elif theirs is None:
                union += 0 if ours is None else feature.weight
            else:
                union += feature.weight
                if ours is None or ours == theirs:
                    shared += feature.weight
                else:
                    union += feature.weight
        same_tags = self.tag_weight * len(held[1] & asked[1])
        return shared + same_tags, union + same_tags


def _build(policy: Policy) -> FeaturePlan:
    wanted, weights = policy.memory.features, policy.memory.weights

    def weight(name: str) -> int:
        return weights.get(name, 1) if wanted is None or name in wanted else 0

    conditions: dict[str, list[Condition]] = {}
    for condition in (condition for rule in policy.rules for condition in rule.conditions):
        conditions.setdefault(condition.fact, []).append(condition)
    features = [
        Feature(name="action_type", weight=weight("action_type")),
        Feature(name="target_system", weight=weight("target_system"), free=True),
        Feature(name="resource_type", weight=weight("resource_type"), free=True),
        Feature(name="currency", weight=weight("currency")),
        Feature(
            name="amount_band",
            weight=weight("amount_band"),
            bands=_bands(policy, "amount_usd", conditions.get("amount_usd", ())),
        ),
    ]
    for key in sorted(compared_keys(policy)):
        spec = spec_for(policy, key)
        if spec is None:
            raise ValueError(f"the policy compares `{key}`, which has no type")
        numeric = spec.type in {EvidenceType.NUMBER, EvidenceType.INTEGER}
        features.append(
            Feature(
                name=key,
                weight=weight(key),
                evidence=True,
                bands=_bands(policy, key, conditions[EVIDENCE_PREFIX + key]) if numeric else None,
                boolean=spec.type is EvidenceType.BOOLEAN,
            )
        )
    return FeaturePlan(features=tuple(feature for feature in features if feature.weight), tag_weight=weight("tags"))


def _bands(policy: Policy, name: str, conditions: Iterable[Condition]) -> Bands:
    own = policy.memory.bands.get(name)
    if own is not None:
        return Bands.cut((point, _BEFORE) for point in own)
    cuts: list[tuple[Decimal, int]] = []
    for condition in conditions:
        operands = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
        sides = _SIDES.get(condition.operator.name, ())
        cuts.extend((point, side) for point in operands if isinstance(point, Decimal) for side in sides)
    return Bands.cut(cuts)


feature_plan: Final[Callable[[Policy], FeaturePlan]] = PerPolicy(_build)
"""Return how `policy` compares experiences; built once while the policy object is in use."""


def _native(raw: JsonValue) -> Native | None:
    return raw if isinstance(raw, (bool, int, float, str)) else None
