"""
Requests that differ from a known one in one field, and those few fields of a found one that matter.
Must not know what a request is wanted for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lumyn.analysis.candidates import numbers
from lumyn.analysis.cells import MONEY, Space
from lumyn.analysis.changes import Change, Place, apart, changed, value_at
from lumyn.analysis.dimension import Raw
from lumyn.analysis.experience import Experience
from lumyn.analysis.money import Dollars, Money, Rate, amount_for, dollar_stretches
from lumyn.analysis.witness import amount_value, json_value
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.scalars import to_decimal
from lumyn.policy.spec import FX_RATE_KEY, Condition

__all__ = ["AMOUNT", "RATE", "Base", "edits", "reduced"]

AMOUNT: Final[Place] = ("action", "amount")
RATE: Final[Place] = ("evidence", FX_RATE_KEY)
_VALUE: Final[Place] = (*AMOUNT, "value")
_CURRENCY: Final[Place] = (*AMOUNT, "currency")
_TENANT: Final[Place] = ("tenant",)
_LOOKED_AT: Final = (("subject", "type"), ("subject", "roles"), ("action", "tags"), (*_TENANT, "environment"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """
    A request that others are edits of.

    Attributes:
        name: The vector that asks it, or will.
        proposed: Whether that vector is itself a proposal.
        experience: What its memory holds, where that is one experience that matters.
        remembers: Whether its memory holds anything; an edit that has none of it differs in its memory too.
    """

    name: str
    request: JsonObject
    proposed: bool = False
    experience: Experience | None = None
    remembers: bool = False


def edits(space: Space, conditions: Iterable[Condition], request: JsonObject) -> Iterator[Change]:
    """
    Yield changes of one field of a request, at least one for each cell of the space that one field can reach.

    Args:
        conditions: Those that the space tells apart, for amounts in the currency the request has.
    """
    for dimension in space.dimensions:
        if dimension.name == MONEY:
            yield from _money(dimension.values, conditions, request)
        elif not dimension.name.startswith("risk."):
            place = _place(dimension.name, request)
            for value in dimension.values:
                change = (place, _json(value, place))
                if change[1] != value_at(request, place) or type(change[1]) is not type(value_at(request, place)):
                    yield change


def reduced(
    base: JsonObject, request: JsonObject, works: Callable[[JsonObject], bool], *, most: int = 40
) -> JsonObject | None:
    """
    Return a request that works and differs from `base` in few fields, each of which it needs; None: none was found.

    Args:
        request: Works.
        works: Whether a request does what it is wanted for.
        most: How many requests to try.
    """
    # What no policy reads of a request, such as its intent, is the base's.
    values = [(place, value_at(request, place)) for place in _read(base, request)]
    start = changed(base, values)
    if not works(start):
        return None
    needed = values
    for change in values:
        most -= 1
        if most < 0:
            break
        less = [each for each in needed if each is not change]
        if works(changed(base, less)):
            needed = less
    return changed(base, needed)


def _read(base: JsonObject, request: JsonObject) -> Iterator[Place]:
    """Yield the places in which requests differ and which conditions can look at."""
    for place in apart(base, request):
        if place[0] == "evidence" or place[:2] == AMOUNT or place in _LOOKED_AT:
            yield place
        elif place == _TENANT:
            yield (*_TENANT, "environment") if place[0] in base else place


def _place(name: str, request: JsonObject) -> Place:
    if name == "tenant.environment":
        return ("tenant", "environment") if isinstance(request.get("tenant"), dict) else _TENANT
    if name.startswith(EVIDENCE_PREFIX):
        return ("evidence", name.removeprefix(EVIDENCE_PREFIX))
    return tuple(name.split("."))


def _json(value: Raw, place: Place) -> JsonValue:
    if place == _TENANT:
        return None if value is None else {"tenant_id": "acme", "environment": json_value(value)}
    return [*value] if isinstance(value, tuple) else json_value(value)


# Money


def _money(values: Iterable[Raw], conditions: Iterable[Condition], request: JsonObject) -> Iterator[Change]:
    cells = [value for value in values if isinstance(value, Money)]
    amount, rate = value_at(request, AMOUNT), value_at(request, RATE)
    found: dict[str, Change] = {}

    def put(place: Place, value: JsonValue) -> None:
        if value != value_at(request, place) or isinstance(value, bool):
            found[repr((place, value))] = (place, value)

    for cell in cells:
        put(RATE, json_value(cell.rate))
    if not isinstance(amount, dict):
        for cell in cells:
            if cell.value is not None and cell.currency is not None and json_value(cell.rate) == rate:
                put(AMOUNT, {"value": amount_value(cell.value), "currency": cell.currency})
        yield from found.values()
        return
    put(AMOUNT, None)
    currency = str(amount["currency"])
    for cell in cells:
        if cell.currency is not None and cell.currency != currency:
            put(_CURRENCY, cell.currency)
    known = Rate(to_decimal(rate) if isinstance(rate, (int, float)) and not isinstance(rate, bool) else None)
    for stretch in _stretches(conditions):
        landed, _ = amount_for(stretch, currency, [known])
        if landed is not None:
            put(_VALUE, amount_value(landed[0]))
    yield from found.values()


def _stretches(conditions: Iterable[Condition]) -> list[Dollars]:
    return dollar_stretches(numbers(each for each in conditions if each.fact == "amount_usd"))
