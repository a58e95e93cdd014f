"""
Numbers that stand for the stretches between constants: decimals a request can carry, short ones first.
Exact: a stretch that is said to hold no number holds none; must not know what the constants are for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Final, TypeAlias

from lumyn.policy.scalars import EXACT, to_decimal

__all__ = ["GREATEST", "WIDE", "carried", "double_between", "gaps", "grid_between", "number_candidates"]

GREATEST: Final = Decimal(2**53 - 1)
"""The greatest magnitude of a number in a request."""

_DIGITS: Final = 18
WIDE: Final = Context(prec=2_000, Emin=-999_999, Emax=999_999, traps=[])
"""Decimal arithmetic for bounds: so many digits that rounding steps over nothing a request can state."""

Bound: TypeAlias = "Decimal | None"


def carried(number: Decimal) -> bool:
    """Return whether a JSON number can be exactly this decimal: an IEEE-754 double whose shortest form it is."""
    return abs(number) <= GREATEST and to_decimal(float(number)) == number


def gaps(points: Iterable[Decimal]) -> Iterator[tuple[Bound, Bound]]:
    """Yield the open stretches below, between and above the points; None is open-ended."""
    low: Bound = None
    for point in sorted(set(points)):
        yield low, point
        low = point
    yield low, None


def grid_between(low: Bound, high: Bound, *, digits: int, reach: Decimal = GREATEST) -> Decimal | None:
    """
    Return a number strictly between the bounds with at most `digits` decimals, the fewest that do, or None.

    Args:
        reach: How far the stretch goes where it is open-ended.
    """
    floor = -reach - 1 if low is None else low
    ceiling = reach + 1 if high is None else high
    for places in range(digits + 1):
        unit = Decimal(1).scaleb(-places)
        if low is None and high is not None:
            found = EXACT.subtract(_rounded(ceiling, unit, ROUND_CEILING), unit)
        else:
            found = EXACT.add(_rounded(Decimal(0) if low is None else floor, unit, ROUND_FLOOR), unit)
            found = Decimal(0) if low is None else found
        if floor < found < ceiling and abs(found) <= reach:
            return found
    return None


def double_between(low: Bound, high: Bound, *, whole: bool = False) -> Decimal | None:
    """
    Return a number strictly between the bounds that a JSON number can be, a short one, or None when there is none.

    Args:
        whole: Whether it must be a whole number; otherwise it is not one.
    """
    if whole:
        return grid_between(low, high, digits=0)
    floor = -GREATEST if low is None else max(low, -GREATEST)
    ceiling = GREATEST if high is None else min(high, GREATEST)
    if low is None:
        floor = max(floor, EXACT.subtract(_rounded(ceiling, Decimal(1), ROUND_FLOOR), Decimal(2)))
    for places in range(1, _DIGITS):
        unit = Decimal(1).scaleb(-places)
        found = EXACT.add(_rounded(floor, unit, ROUND_FLOOR), unit)
        if not floor < found < ceiling:
            continue
        if found == found.to_integral_value():
            found = EXACT.add(found, unit)
        if floor < found < ceiling and carried(found):
            return found
    return _next_double(floor, ceiling)


def number_candidates(points: Iterable[Decimal]) -> Iterator[Decimal]:
    """Yield the points a JSON number can be, and a whole and a broken number of every stretch that holds one."""
    known = sorted(set(points))
    yield from (point for point in known if carried(point))
    for low, high in gaps(known):
        for whole in (True, False):
            found = double_between(low, high, whole=whole)
            if found is not None:
                yield found


def _next_double(low: Decimal, high: Decimal) -> Decimal | None:
    near = float(low)
    for _ in range(4):
        found = to_decimal(near)
        if low < found < high and found != found.to_integral_value():
            return found
        near = math.nextafter(near, math.inf)
    return None


def _rounded(number: Decimal, unit: Decimal, rounding: str) -> Decimal:
    return number.quantize(unit, rounding=rounding, context=WIDE)
