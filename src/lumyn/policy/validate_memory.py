"""
Reads the memory block of a policy: which features count, how much, and where numbers are cut into bands.
Must not know how similarity is computed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from lumyn.documents import join_pointer
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.checks import Checks, quoted
from lumyn.policy.spec import EvidenceSpec, EvidenceType, MemorySpec

__all__ = ["BUILT_IN_FEATURES", "read_memory"]

BUILT_IN_FEATURES: Final = ("action_type", "target_system", "resource_type", "currency", "amount_band", "tags")

_FIELDS: Final = ("features", "weights", "bands", "top_k", "min_score")
_MAX_WEIGHT: Final = 1_000_000
_MAX_TOP_K: Final = 100
_AMOUNT: Final = "amount_usd"
_NUMERIC: Final = (EvidenceType.NUMBER, EvidenceType.INTEGER)


def read_memory(
    checks: Checks, value: JsonValue, types: Mapping[str, EvidenceSpec], compared: Collection[str]
) -> MemorySpec:
    """
    Return how experience is compared.

    Args:
        types: Every evidence key that is declared or compared.
        compared: The keys whose value a rule compares. Experience keeps no other, so that no other can be a feature.
    """
    block = checks.mapping(value, "/memory", "`memory`", keys=_FIELDS)
    if block is None:
        return MemorySpec()
    top_k = _top_k(checks, block)
    known = _Known(types=types, compared=compared)
    return MemorySpec(
        features=_features(checks, block, known),
        weights=_weights(checks, block, known),
        bands=_bands(checks, block, known),
        top_k=MemorySpec().top_k if top_k is None else top_k,
        min_score=_min_score(checks, block),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The evidence keys of the policy: all, and those whose value a rule compares."""

    types: Mapping[str, EvidenceSpec]
    compared: Collection[str]

    def names(self, *, numbers: bool = False) -> list[str]:
        """Return the keys that can be a feature, in the order of the policy."""
        keys = [key for key in self.types if key in self.compared]
        return [key for key in keys if self.types[key].type in _NUMERIC] if numbers else keys


def _features(checks: Checks, block: JsonObject, known: _Known) -> tuple[str, ...] | None:
    if "features" not in block:
        return None
    pointer = "/memory/features"
    items = checks.listing(block["features"], pointer, "`features`")
    if items is None:
        return None
    if not items:
        checks.add("VALUE_INVALID", "`features` is empty: every experience would look alike", pointer)
    names = checks.texts(items, pointer, "feature")
    for place, item in enumerate(items):
        if isinstance(item, str) and item in names:
            _refuse_unknown(checks, item, known, join_pointer(pointer, place), on_key=False)
    return names


def _weights(checks: Checks, block: JsonObject, known: _Known) -> dict[str, int]:
    weights: dict[str, int] = {}
    for name, value in (checks.mapping(block.get("weights", {}), "/memory/weights", "`weights`") or {}).items():
        pointer = join_pointer("/memory/weights", name)
        _refuse_unknown(checks, name, known, pointer, on_key=True)
        weight = checks.integer(value, pointer, f"the weight of {quoted(name)}", least=1, most=_MAX_WEIGHT)
        if weight is not None:
            weights[name] = weight
    return weights


def _bands(checks: Checks, block: JsonObject, known: _Known) -> dict[str, tuple[Decimal, ...]]:
    bands: dict[str, tuple[Decimal, ...]] = {}
    names = [_AMOUNT, *known.names(numbers=True)]
    for name, value in (checks.mapping(block.get("bands", {}), "/memory/bands", "`bands`") or {}).items():
        pointer = join_pointer("/memory/bands", name)
        if name not in names:
            message = f"bands are for numbers, and {quoted(name)} is not a number that a rule compares"
            checks.add("FEATURE_UNKNOWN", message, pointer, hint=checks.near(name, names), on_key=True)
        cuts = _cuts(checks, value, pointer, f"the bands of {quoted(name)}")
        if cuts is not None:
            bands[name] = cuts
    return bands


def _cuts(checks: Checks, value: JsonValue, pointer: str, what: str) -> tuple[Decimal, ...] | None:
    items = checks.listing(value, pointer, what)
    if items is None:
        return None
    if not items:
        checks.add("VALUE_INVALID", f"{what} must hold at least one cut point", pointer)
    numbers = [
        checks.number(item, join_pointer(pointer, place), f"a cut point of {what}") for place, item in enumerate(items)
    ]
    cuts = tuple(number for number in numbers if number is not None)
    for place in range(1, len(cuts)):
        if len(cuts) == len(items) and cuts[place] <= cuts[place - 1]:
            checks.add("VALUE_INVALID", f"{what} must ascend", join_pointer(pointer, place))
    return cuts


def _top_k(checks: Checks, block: JsonObject) -> int | None:
    if "top_k" not in block:
        return None
    return checks.integer(block["top_k"], "/memory/top_k", "`top_k`", least=1, most=_MAX_TOP_K)


def _min_score(checks: Checks, block: JsonObject) -> Decimal:
    if "min_score" not in block:
        return Decimal(0)
    score = checks.number(block["min_score"], "/memory/min_score", "`min_score`")
    if score is None:
        return Decimal(0)
    if not 0 <= score <= 1:
        checks.add("VALUE_INVALID", "`min_score` must lie between 0 and 1", "/memory/min_score")
    return score


def _refuse_unknown(checks: Checks, name: str, known: _Known, pointer: str, *, on_key: bool) -> None:
    names = known.names()
    if name in BUILT_IN_FEATURES or name in names:
        return
    if name in known.types:
        # It would never be part of an experience: the weight given to it would count for nothing, and say so nowhere.
        message = f"no rule compares {quoted(name)}, so that it is no feature"
        near = None
    else:
        message = f"unknown feature {quoted(name)}"
        near = checks.near(name, [*BUILT_IN_FEATURES, *names])
    hint = near or "a feature is built in, or an evidence key whose value a rule compares"
    checks.add("FEATURE_UNKNOWN", message, pointer, hint=hint, on_key=on_key)
