"""
The cells of money: amount, currency and the caller's rate as one joint block, each with an amount that lands in it.
Exact in decimals, never a product of variables; must not know which rules read the block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, DecimalException
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from lumyn.analysis.numbers import GREATEST, WIDE, carried, double_between, gaps, grid_between
from lumyn.core.requests import minor_digits
from lumyn.engine.normalize import USD
from lumyn.model import JsonValue
from lumyn.policy.scalars import EXACT

__all__ = ["Dollars", "Money", "Rate", "amount_for", "currencies", "dollar_stretches", "rate_stretches"]

_OTHER_CURRENCIES: Final = ("SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "TRY")
_FINER_CURRENCIES: Final = (("KWD", "BHD", "JOD", "OMR", "TND", "IQD", "LYD"), ("CLF", "UYW"))
"""Those of three digits after the point, and of four: at one rate they make dollars that cents cannot."""
_MOST_DIGITS: Final = 17
_FEW: Final = 400
"""So many amounts are tried one by one, which makes a failure certain."""
_TOO_MUCH: Final = Decimal(10**18)
"""The least amount that no request can state, not even as a text."""


class Dollars(NamedTuple):
    """US dollars: exactly `low`, or anything strictly between `low` and `high`."""

    low: Decimal
    high: Decimal | None = None
    point: bool = True


class Rate(NamedTuple):
    """
    What stands under the rate's key: `raw` itself, or when `span` is given any number strictly inside it.

    Attributes:
        whole: Only the whole numbers inside count, of which `raw` alone is tried.
    """

    raw: JsonValue | Decimal
    span: tuple[Decimal, Decimal] | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Money:
    """One amount as a request states it; `currency` None: no amount at all."""

    value: Decimal | None
    currency: str | None
    rate: JsonValue | Decimal


Found: TypeAlias = "tuple[Decimal, JsonValue | Decimal]"


def currencies(named: Iterable[str]) -> list[str]:
    """Return every currency that is named, US dollars first, and of those that are not one for each finer unit."""
    known = sorted(set(named) - {USD})
    other = next(code for code in chain(_OTHER_CURRENCIES, _invented()) if code not in known)
    finer = (next((code for code in codes if code not in known), None) for codes in _FINER_CURRENCIES)
    return [USD, *known, other, *(code for code in finer if code is not None)]


def _invented() -> Iterator[str]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return (f"X{first}{second}" for first in letters for second in letters)


def dollar_stretches(points: Iterable[Decimal]) -> list[Dollars]:
    """Return the points an amount can be, the stretches between and above them, and 0: the plainest first."""
    zero = Decimal(0)
    known = sorted({zero, *(point for point in points if point >= 0)})
    stretches = [Dollars(point) for point in known if point]
    stretches += [Dollars(low, high, point=False) for low, high in gaps(known) if low is not None]
    return [*stretches, Dollars(zero)]


def rate_stretches(points: Iterable[Decimal], *, whole: bool = False) -> list[Rate]:
    """
    Return what a rate can be: missing, of a wrong type, every point, and the stretches around the points.

    Args:
        whole: Whether whole numbers may count otherwise than broken ones.
    """
    known = sorted(set(points))
    rates = [Rate(None), *(Rate(point) for point in known if carried(point))]
    for low, high in gaps([Decimal(0), *known]):
        bottom = -GREATEST if low is None else low
        top = GREATEST if high is None else high
        one = Decimal(1) if bottom < 1 < top and not whole else double_between(low, high)
        if one is not None:
            rates.append(Rate(one, (bottom, top)))
        if one is None or whole:
            one = Decimal(1) if bottom < 1 < top else double_between(low, high, whole=True)
            if one is not None:
                rates.append(Rate(one, (bottom, top), whole=True))
    return [*rates, Rate(Decimal(0)), Rate(True)]


def amount_for(dollars: Dollars, currency: str, rates: Sequence[Rate]) -> tuple[Found | None, bool]:
    """
    Return an amount and a rate that make these dollars, and whether that is certain when there is none.

    Args:
        rates: Usable rates that count alike; the first that will do is taken.
    """
    digits = minor_digits(currency)
    if currency == USD:
        raw: JsonValue | Decimal = rates[0].raw if rates else None
        value = _on_grid(dollars, digits)
        return (None if value is None else (value, raw)), True
    certain = True
    for rate in rates:
        found, sure = _converted(dollars, rate, digits)
        if found is not None:
            return found, True
        certain = certain and sure
    return None, certain


def _on_grid(dollars: Dollars, digits: int) -> Decimal | None:
    if dollars.point:
        return dollars.low if _fits(dollars.low, digits) else None
    return grid_between(dollars.low, dollars.high, digits=digits, reach=_TOO_MUCH - Decimal(1).scaleb(-digits))


def _fits(value: Decimal, digits: int) -> bool:
    return 0 <= value < _TOO_MUCH and value == value.quantize(Decimal(1).scaleb(-digits), context=WIDE)


def _converted(dollars: Dollars, rate: Rate, digits: int) -> tuple[Found | None, bool]:
    factor = rate.raw
    if not isinstance(factor, Decimal) or factor <= 0:
        return None, True
    value = _value_at(dollars, factor, digits)
    if value is not None:
        return (value, factor), True
    if rate.span is None or rate.whole:
        return None, not rate.whole
    low, high = max(rate.span[0], Decimal(0)), rate.span[1]
    return _with_free_rate(dollars, low, high, digits)


def _value_at(dollars: Dollars, factor: Decimal, digits: int) -> Decimal | None:
    """Return an amount that times `factor` makes the dollars, or None: exact."""
    if dollars.point:
        try:
            value = EXACT.divide(dollars.low, factor)
        except DecimalException:
            return None  # no finite decimal times the rate is that amount
        return value if _fits(value, digits) else None
    unit = Decimal(1).scaleb(-digits)
    value = WIDE.divide(dollars.low, factor).quantize(unit, rounding=ROUND_FLOOR, context=WIDE)
    for _ in range(3):
        if value < _TOO_MUCH and _lands(dollars, value, factor):
            return value
        value = WIDE.add(value, unit)
    return None


def _with_free_rate(dollars: Dollars, low: Decimal, high: Decimal, digits: int) -> tuple[Found | None, bool]:
    unit = Decimal(1).scaleb(-digits)
    if dollars.point:
        return _exact_with_free_rate(dollars.low, low, high, unit)
    least = WIDE.divide(dollars.low, high).quantize(unit, rounding=ROUND_FLOOR, context=WIDE)
    if least >= _TOO_MUCH:
        return None, True
    certain = True
    for value in (least, least + unit, least + 2 * unit, least + 3 * unit):
        if value <= 0 or value * high <= dollars.low:
            continue
        if value >= _TOO_MUCH or (dollars.high is not None and value * low >= dollars.high):
            break
        top = high if dollars.high is None else min(high, dollars.high / value)
        factor = double_between(max(low, dollars.low / value), top)
        if factor is not None and _lands(dollars, value, factor):
            return (value, factor), True
        certain = False
    return None, certain


def _exact_with_free_rate(target: Decimal, low: Decimal, high: Decimal, unit: Decimal) -> tuple[Found | None, bool]:
    if target == 0:
        return None, False
    most = EXACT.divide(_TOO_MUCH, unit) - 1
    first = WIDE.divide(WIDE.divide(target, high), unit).to_integral_value(rounding=ROUND_FLOOR)
    last = WIDE.divide(WIDE.divide(target, low), unit).to_integral_value(rounding=ROUND_CEILING) if low else most
    first, last = max(first, Decimal(1)), min(last, most)
    if first > last:
        return None, True
    few = last - first <= _FEW
    counts = (first + place for place in range(int(last - first) + 1)) if few else _round_counts(first, last)
    for count in counts:
        try:
            factor = EXACT.divide(target, count * unit)
        except DecimalException:
            continue
        if low < factor < high and carried(factor):
            return (count * unit, factor), True
    return None, few


def _lands(dollars: Dollars, value: Decimal, factor: Decimal) -> bool:
    made = EXACT.multiply(value, factor)
    return made > dollars.low and (dollars.high is None or made < dollars.high)


def _round_counts(first: Decimal, last: Decimal) -> Iterator[Decimal]:
    """Yield counts within the bounds that divide most numbers without remainder: products of twos and fives."""
    for fives in range(_MOST_DIGITS):
        for twos in range(_MOST_DIGITS * 3):
            count = Decimal(5**fives * 2**twos)
            if count > last:
                break
            if count >= first:
                yield count
