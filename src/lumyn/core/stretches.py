"""
The number line as a policy sees it: stretches of numbers that none of its comparisons tells apart.
Exact arithmetic on cut points; must not know requests, rules or what a stretch is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final

from lumyn.policy.scalars import EXACT, to_decimal

__all__ = ["LARGEST", "Stretch", "distance", "merged", "on_grid", "on_line"]

LARGEST: Final = 2**53 - 1
"""The largest number a request can hold."""

_DIGITS: Final = 15
"""Decimals of this many digits survive a double (IEEE 754 binary64) unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """
    Neighbouring numbers that every comparison treats alike.

    Attributes:
        low: Its lower end; None when numbers have no least.
        high: Its upper end; None when numbers have no greatest.
        low_included: Whether `low` belongs to it.
        high_included: Whether `high` belongs to it.
        from_least: Whether there is no smaller number outside it.
        to_greatest: Whether there is no greater number outside it.
        witness: A number of it that a request can hold, or None when there is no such number.
    """

    low: Decimal | None
    high: Decimal | None
    low_included: bool = True
    high_included: bool = True
    from_least: bool = False
    to_greatest: bool = False
    witness: Decimal | None


def on_line(
    cuts: Iterable[Decimal],
    *,
    least: Decimal | None,
    greatest: Decimal | None,
    least_included: bool = True,
) -> list[Stretch]:
    """
    Cut the numbers from `least` to `greatest` at each of `cuts`: before it, at it and after it.

    Args:
        cuts: In any order, also outside the range.
        least: None for no bound; what a request can hold bounds it all the same.

    Returns:
        Ascending; a cut point is a stretch of its own. Never empty unless the range is.
    """
    inside = sorted({cut for cut in cuts if _within(cut, least, greatest)})
    found: list[Stretch] = []
    low, low_included = least, least_included
    for cut in [*inside, None]:
        high = greatest if cut is None else cut
        if low is None or high is None or low < high:
            found.append(
                Stretch(
                    low=low,
                    high=high,
                    low_included=low_included,
                    high_included=cut is None,
                    witness=_between(low, high),
                )
            )
        if cut is not None:
            if cut != least or least_included:
                found.append(Stretch(low=cut, high=cut, witness=cut if _holds(cut) else None))
            low, low_included = cut, False
    return _with_ends(found)


def on_grid(cuts: Iterable[Fraction], *, unit: Decimal, first: int, last: int, near: Decimal | None) -> list[Stretch]:
    """
    Cut the multiples of `unit` from `first` to `last` of them at each of `cuts`, which are given in units.

    Args:
        near: Witnesses are the multiples nearest to it; None for no preference.

    Returns:
        Ascending; both ends belong to each stretch.
    """
    spans: list[tuple[int, int]] = []
    at = first
    for cut in sorted(set(cuts)):
        before = min(ceil(cut) - 1, last)
        if at <= before:
            spans.append((at, before))
            at = before + 1
        if cut.denominator == 1 and at <= cut <= last:
            spans.append((at, at))
            at += 1
    if at <= last:
        spans.append((at, last))
    target = None if near is None else Fraction(near) / Fraction(unit)
    found = [
        Stretch(
            low=_times(low, unit),
            high=_times(high, unit),
            witness=_times(_nearest(target, low, high, last), unit),
        )
        for low, high in spans
    ]
    return _with_ends(found)


def merged(stretches: Iterable[Stretch]) -> Stretch:
    """Return neighbouring stretches, ascending and at least one, as one."""
    first, *rest = stretches
    last = rest[-1] if rest else first
    return Stretch(
        low=first.low,
        high=last.high,
        low_included=first.low_included,
        high_included=last.high_included,
        from_least=first.from_least,
        to_greatest=last.to_greatest,
        witness=first.witness,
    )


def distance(stretch: Stretch, actual: Decimal | None, *, whole: Decimal | None) -> Decimal:
    """
    Return how far a number is from a stretch: 0 when it lies in it.

    Args:
        actual: None for no number, which is at distance 1.
        whole: What counts as distance 1; the larger of the number and the end when None.
    """
    if actual is None:
        return Decimal(1)
    if stretch.low is not None and actual <= stretch.low:
        end = stretch.low
    elif stretch.high is not None and actual >= stretch.high:
        end = stretch.high
    else:
        return Decimal(0)
    scale = whole or max(abs(actual), abs(end), Decimal(1).scaleb(-9))
    return abs(actual - end) / scale


def _with_ends(found: list[Stretch]) -> list[Stretch]:
    if found:
        found[0] = replace(found[0], from_least=True)
        found[-1] = replace(found[-1], to_greatest=True)
    return found


def _within(cut: Decimal, least: Decimal | None, greatest: Decimal | None) -> bool:
    return (least is None or cut >= least) and (greatest is None or cut <= greatest)


def _holds(number: Decimal) -> bool:
    """Return whether a request can hold the number: one a double carries exactly, as requests are checked."""
    return abs(number) <= LARGEST and to_decimal(float(number)) == number


def _between(low: Decimal | None, high: Decimal | None) -> Decimal | None:
    """Return a short number strictly between two, or None when a request can hold none."""
    if low is None and high is None:
        return Decimal(1)
    if low is None or high is None:
        candidate = low + 1 if low is not None else (high or Decimal(0)) - 1
        return candidate if _holds(candidate) else None
    middle = (low + high) / 2
    for digits in range(_DIGITS):
        candidate = round(middle, digits)
        if low < candidate < high and _holds(candidate):
            return candidate
    return None


def _times(count: int, unit: Decimal) -> Decimal:
    return EXACT.multiply(Decimal(count), unit)


def _nearest(target: Fraction | None, low: int, high: int, last: int) -> int:
    if target is None:
        return low if high == last else high
    return max(low, min(high, round(target)))
