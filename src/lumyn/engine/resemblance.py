"""
In words, what a request and an experience have in common: the features that count as shared and those that differ.
Reads profiles; how much the features weigh together is the similarity's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lumyn.engine.profiles import UNKNOWN, Bands, Feature, Value, feature_plan
from lumyn.model import Facts, JsonObject
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import Policy

__all__ = ["Resemblance", "resemblance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resemblance:
    """
    What an experience shares with a request.

    Attributes:
        shared: Such as `currency USD` or `chargeback_risk < 0.35`; in the order of the policy's features, tags last.
        unsaid: Features of the experience that the request left out: they count as shared.
        differing: Such as `amount_band > 25, not <= 25`: the experience first.
    """

    shared: tuple[str, ...]
    unsaid: tuple[str, ...]
    differing: tuple[str, ...]


def resemblance(policy: Policy, facts: Facts, held: JsonObject) -> Resemblance:
    """
    Compare a request with one experience, as the similarity of `policy` does.

    Args:
        held: The features of the experience, as a memory item stores them.
    """
    plan = feature_plan(policy)
    asked, known = plan.of_facts(facts), plan.of_features(held)
    shared: list[str] = []
    unsaid: list[str] = []
    differing: list[str] = []
    for feature, ours, theirs in zip(plan.features, asked[0], known[0], strict=True):
        if theirs is not None and ours == theirs:
            shared.append(f"{feature.name} {_text(feature, ours)}")
        elif feature.free:
            continue  # values that a caller can set at will count only where both are the same
        elif theirs is UNKNOWN:
            continue  # the policy of that time did not compare it, so it does not count
        elif theirs is None:
            if ours is not None:
                differing.append(f"{feature.name} unknown there, {_text(feature, ours)} here")
        elif ours is None:
            unsaid.append(f"{feature.name} {_text(feature, theirs)}")
        else:
            differing.append(f"{feature.name} {_text(feature, theirs)} there, {_text(feature, ours)} here")
    shared += [f"tag {tag}" for tag in sorted(asked[1] & known[1])]
    return Resemblance(shared=tuple(shared), unsaid=tuple(unsaid), differing=tuple(differing))


def _text(feature: Feature, value: Value) -> str:
    if feature.bands is not None and isinstance(value, int):
        return _band(feature.bands, value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _band(bands: Bands, number: int) -> str:
    """Return the numbers of a band, such as `> 25 and <= 200`; `any` when there is only one band."""
    return " and ".join(_bounds(bands, number)) or "any"


def _bounds(bands: Bands, number: int) -> Iterator[str]:
    lower: str | None = None
    upper: str | None = None
    for place, point in enumerate(bands.points):
        text = decimal_text(point)
        below, at, above = bands.below[place], bands.at[place], bands.below[place + 1]
        if at == number and below != number and above != number:
            yield f"= {text}"
            return
        if below < number <= at:
            lower = f">= {text}"
        elif at < number <= above:
            lower = f"> {text}"
        if upper is None and below <= number < at:
            upper = f"< {text}"
        elif upper is None and at <= number < above:
            upper = f"<= {text}"
    yield from (bound for bound in (lower, upper) if bound is not None)
