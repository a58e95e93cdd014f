"""
From a model of z3 to a request a gate would accept, and from a request to the formula that it and no other meets.
Both directions go through nothing but the document, so that the engine can be asked about what z3 found.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from z3_model import (
    ABSENT,
    BLANK_LIST,
    BOOLEAN,
    ENVIRONMENTS,
    LIST,
    NUMBER,
    RATE,
    SUBJECT_TYPES,
    TEXT,
    USD,
    Raw,
    Symbols,
    World,
    carried,
    double_between,
    real,
    z3,
)

from lumyn.core.requests import minor_digits
from lumyn.model import DecisionRequest
from lumyn.policy.scalars import is_blank, to_decimal

_DIGEST = "sha256:" + "0" * 64
_SHORT = Context(prec=12)
_GREATEST_TRIED = 1_000_000
"""The greatest factor that is looked for: enough for all below a million times as much again."""


class UnrepresentableError(Exception):
    """
    Numbers that no request carries together: the formulas take any dollars for a product of an amount and a rate.

    Attributes:
        lemma: Rules the whole stretch of rates out for these dollars, where that is certain; else None.
    """

    def __init__(self, lemma: Any = None) -> None:
        super().__init__()
        self.lemma = lemma


# From a request


def pinned(world: World, request: DecisionRequest, similarity: Decimal) -> list[Any]:
    """Return formulas that only this request meets."""
    symbols = world.request
    found = [formula for key, raw in symbols.raw.items() for formula in _pinned(world, key, raw, request.evidence)]
    found.append(symbols.similarity == int(similarity * 1_000_000))
    found.append(symbols.subject == SUBJECT_TYPES.index(request.subject_type))
    environment = request.environment
    found.append(symbols.environment == (-1 if environment is None else ENVIRONMENTS.index(environment)))
    for fact, held in (("subject.roles", request.roles), ("action.tags", request.tags)):
        known, flags = symbols.lists[fact]
        found.append(known == (held is not None))
        found += [flag == (name in (held or ())) for name, flag in flags.items()]
    return [*found, *_amount_pinned(world, request)]


def _amount_pinned(world: World, request: DecisionRequest) -> list[Any]:
    symbols, value, currency = world.request, request.amount_value, request.amount_currency
    if value is None or currency is None:
        return [symbols.currency == 0]
    place = world.currencies.index(currency) if currency in world.currencies else len(world.currencies) - 1
    digits = minor_digits(world.currencies[place] or USD)
    found = [symbols.currency == place, symbols.units == int(value.scaleb(digits))]
    rate = request.evidence.get(RATE)
    if currency != USD and isinstance(rate, (int, float)) and not isinstance(rate, bool):
        found.append(symbols.usd == real(Fraction(value) * Fraction(to_decimal(rate))))
    return found


def _pinned(world: World, key: str, raw: Raw, evidence: Any) -> list[Any]:
    value = evidence.get(key)
    if isinstance(value, (list, tuple)):
        blank = all(each is None or (isinstance(each, str) and is_blank(each)) for each in value)
        return [raw.kind == (BLANK_LIST if blank else LIST)]
    if value is None or (isinstance(value, str) and is_blank(value)):
        return [raw.kind == ABSENT]
    if isinstance(value, bool):
        return [raw.kind == BOOLEAN, raw.flag == value]
    if isinstance(value, str):
        known = world.texts[key]
        return [raw.kind == TEXT, raw.text == (known.index(value) + 1 if value in known else 0)]
    return [raw.kind == NUMBER, raw.number == real(to_decimal(value))]


# From a model


def request_of(world: World, model: Any, symbols: Symbols | None = None) -> tuple[dict[str, Any], Decimal]:
    """
    Return the request a model stands for, and the similarity it is to be decided with.

    Raises:
        UnrepresentableError: No request carries such numbers.
    """
    symbols = world.request if symbols is None else symbols
    currency = world.currencies[_int(model, symbols.currency)]
    points = {**world.points, RATE: world.rates(currency)}
    evidence = {key: _value(world, key, raw, model, points[key]) for key, raw in symbols.raw.items()}
    action: dict[str, Any] = {"type": world.action, "intent": "found by z3"}
    if currency is not None:
        value, rate = _amount(world, model, symbols, currency)
        action["amount"] = {"value": format(value, "f"), "currency": currency}
        if rate is not None:
            evidence[RATE] = rate
    subject: dict[str, Any] = {"type": SUBJECT_TYPES[_int(model, symbols.subject)], "id": "someone"}
    for fact, holder in (("subject.roles", subject), ("action.tags", action)):
        known, flags = symbols.lists[fact]
        if _true(model, known):
            holder[fact.partition(".")[2]] = [name for name, flag in flags.items() if _true(model, flag)]
    document: dict[str, Any] = {
        "schema_version": "decision_request.v0",
        "subject": subject,
        "action": action,
        "evidence": {key: _json(value) for key, value in evidence.items() if value is not None},
        "context": {"mode": "digest_only", "digest": _DIGEST},
    }
    environment = _int(model, symbols.environment)
    if environment >= 0:
        document["tenant"] = {"tenant_id": "acme", "environment": ENVIRONMENTS[environment]}
    return document, Decimal(_int(model, symbols.similarity)).scaleb(-6)


def _value(world: World, key: str, raw: Raw, model: Any, points: Sequence[Decimal]) -> Any:
    kind = _int(model, raw.kind)
    if kind == ABSENT:
        return None
    if kind == TEXT:
        place = _int(model, raw.text)
        known = world.texts[key]
        return known[place - 1] if place else next(text for text in ("other", "o2", "o3") if text not in known)
    if kind == NUMBER:
        return nearby(_fraction(model, raw.number), points, whole=key in world.whole_keys)
    if kind == BOOLEAN:
        return _true(model, raw.flag)
    return ["A"] if kind == LIST else [None, " "]


def nearby(value: Fraction, points: Sequence[Decimal], *, whole: bool) -> Decimal:
    """Return a number a request can carry that lies as `value` does to every point, whole if and only if it is."""
    low, high = _around(value, points)
    if low is not None and low == high:
        return low
    for digits in range(25):
        for rounded in (round(value, digits), round(value, digits) + Fraction(1, 10**digits)):
            near = Decimal(rounded.numerator) / Decimal(rounded.denominator)
            inside = (low is None or near > low) and (high is None or near < high)
            if inside and carried(near) and (not whole or (rounded.denominator == 1) == (value.denominator == 1)):
                return near
    found = None if low is None or high is None or whole else double_between(low, high)
    if found is None:
        raise UnrepresentableError
    return found


def _around(value: Fraction, points: Sequence[Decimal]) -> tuple[Decimal | None, Decimal | None]:
    place = bisect_left([Fraction(point) for point in points], value)
    above = points[place] if place < len(points) else None
    if above is not None and Fraction(above) == value:
        return above, above
    return (points[place - 1] if place else None), above


def _amount(world: World, model: Any, symbols: Symbols, currency: str) -> tuple[Decimal, Decimal | None]:
    """Return an amount and, where it is converted, a rate, whose product lies as the model's dollars do."""
    digits = minor_digits(currency)
    units = _int(model, symbols.units)
    value = Decimal(units).scaleb(-digits)
    if currency == USD or not world.reads_money or _int(model, symbols.raw[RATE].kind) != NUMBER:
        return value, None
    rate, usd = _fraction(model, symbols.raw[RATE].number), _fraction(model, symbols.usd)
    if rate <= 0:
        return value, None
    known = {Fraction(point) for point in world.rates(currency)}
    below = max((point for point in known if point < rate), default=Fraction(0))
    above = min((point for point in known if point > rate), default=Fraction(2**53))
    if rate in known:
        return value, Decimal(rate.numerator) / Decimal(rate.denominator)
    points = sorted(world.dollars)
    exactly = _around(usd, points)[0] == _around(usd, points)[1]
    counts, all_of_them = _counts(usd, (below, above), digits) if exactly else (_near(usd, rate, digits), False)
    for count in [units, *counts]:
        for wanted in [usd] if exactly else _wanted(usd, points):
            found = _factor(wanted * 10**digits / count if count else rate)
            made = Fraction(count, 10**digits) * Fraction(found)
            if below < Fraction(found) < above and carried(found) and _around(made, points) == _around(usd, points):
                return Decimal(count).scaleb(-digits), found
    here = symbols.currency == world.currencies.index(currency)
    stretch = z3.And(symbols.raw[RATE].number > real(below), symbols.raw[RATE].number < real(above))
    raise UnrepresentableError(z3.Not(z3.And(here, stretch, symbols.usd == real(usd))) if all_of_them else None)


def _wanted(usd: Fraction, points: Sequence[Decimal]) -> list[Fraction]:
    low, high = _around(usd, points)
    return [usd] if low is None or high is None else [usd, (Fraction(low) + Fraction(high)) / 2]


def _near(usd: Fraction, rate: Fraction, digits: int) -> list[int]:
    """Return counts of minor units around dollars at a rate."""
    near = int(usd * 10**digits / rate)
    return [count for count in range(near - 100, near + 100) if count >= 0]


def _counts(usd: Fraction, span: tuple[Fraction, Fraction], digits: int) -> tuple[list[int], bool]:
    """
    Return the counts of minor units of which some decimal rate makes exactly these dollars, and whether that is all.

    A quotient is a decimal only if the count, but for twos and fives, divides the dollars.
    """
    low, high = max(span[0], Fraction(1, 10**9)), span[1]
    first, last = usd * 10**digits / high, usd * 10**digits / low
    odd, whole = divisors(usd.numerator)
    found = [count for divisor in odd for count in _times_twos_and_fives(divisor, last) if count > first]
    return sorted(found), whole and span[0] > 0


def _times_twos_and_fives(number: int, limit: Fraction) -> Iterator[int]:
    """Yield a number times every two and five, below a limit."""
    fives = number
    while fives < limit:
        both = fives
        while both < limit:
            yield both
            both *= 2
        fives *= 5


@cache
def divisors(number: int) -> tuple[list[int], bool]:
    """Return divisors of a number but for twos and fives, and whether they are all: two great primes stay together."""
    for small in (2, 5):
        while number and number % small == 0:
            number //= small
    divisors, tried = [1] if number else [], 3
    while number > 1:
        while number % tried and tried <= _GREATEST_TRIED and tried * tried <= number:
            tried += 2
        prime = tried if number % tried == 0 else number
        power, grown = 1, divisors
        while number % prime == 0:
            number, power = number // prime, power * prime
            grown = grown + [each * power for each in divisors]
        if number == 1 and prime > _GREATEST_TRIED**2:
            return grown, False
        divisors = grown
    return divisors, True


def _factor(rate: Fraction) -> Decimal:
    exact = Context(prec=40).divide(Decimal(rate.numerator), Decimal(rate.denominator))
    if Fraction(exact) == rate and carried(exact):
        return exact
    return _SHORT.plus(exact)


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _int(model: Any, symbol: Any) -> int:
    return model.eval(symbol, model_completion=True).as_long()  # type: ignore[no-any-return]


def _fraction(model: Any, symbol: Any) -> Fraction:
    value = model.eval(symbol, model_completion=True)
    return Fraction(value.numerator_as_long(), value.denominator_as_long())


def _true(model: Any, symbol: Any) -> bool:
    return bool(z3.is_true(model.eval(symbol, model_completion=True)))
