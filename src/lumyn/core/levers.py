"""
What else a request could have held: for each thing that a rule reads, the values worth trying, in words.
Reads policies and facts; must not know what any of the values would lead to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Final

from lumyn.core.requests import minor_digits
from lumyn.core.stretches import LARGEST, Stretch, distance, on_grid, on_line
from lumyn.engine.normalize import USD, amount_usd, spec_for
from lumyn.model import DecisionRequest, Facts, JsonObject, JsonValue
from lumyn.policy.operators import EVIDENCE_PREFIX, SUBJECTS
from lumyn.policy.scalars import EXACT, Scalar, decimal_text
from lumyn.policy.spec import FX_RATE_KEY, Condition, EvidenceSpec, EvidenceType, Policy

__all__ = ["SIMILARITY", "Lever", "Option", "levers", "with_value"]

SIMILARITY: Final = "risk.failure_similarity"

_FAR: Final = Decimal(1)
_FURTHER: Final = Decimal(2)
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """
    Something a request could hold instead.

    Attributes:
        value: What it would hold; None for nothing.
        words: For a value of its own, how it is said after the lever's `saying`; empty for a stretch.
        stretch: For numbers.
        distance: From what it does hold; about 1 is far.
    """

    value: JsonValue
    words: str = ""
    stretch: Stretch | None = None
    distance: Decimal = _FAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """
    One thing that a request could hold differently.

    Attributes:
        name: As an evidence key or attribute is called.
        path: Where it is in a request; empty for the failure similarity, which comes from memory.
        saying: What comes before the words of an option, such as `with country `.
        options: Numbers ascending.
        unit: The currency of an amount, else empty.
        rate: US dollars for one unit of the amount, else None.
    """

    name: str
    path: tuple[str, ...]
    saying: str
    options: tuple[Option, ...]
    unit: str = ""
    rate: Decimal | None = None


def levers(policy: Policy, request: DecisionRequest, facts: Facts, similarity: Decimal) -> list[Lever]:
    """
    Return what bears on the decision and could have been different, in the order of the rules that read it.

    Left out is what would not be the same request otherwise, its currency and exchange rate, and what cannot be said
    exactly: texts that no rule names, where memory compares them too.
    """
    read: dict[str, list[Condition]] = {}
    for rule in policy.rules_for(request.action_type):
        for condition in rule.conditions:
            read.setdefault(condition.fact, []).append(condition)
    for key in policy.required_evidence.get(request.action_type, ()):
        read.setdefault(EVIDENCE_PREFIX + key, [])
    found: list[Lever] = []
    for attribute, conditions in read.items():
        match attribute:
            case "amount_currency":
                continue
            case "amount_usd":
                found += _amount(policy, request, conditions)
            case "subject.type" | "tenant.environment":
                now = facts.subject_type if attribute == "subject.type" else facts.environment
                path = tuple(attribute.split("."))
                options = tuple(_texts(SUBJECTS[attribute].values or (), now))
                found.append(Lever(name=attribute, path=path, saying=f"with {attribute} ", options=options))
            case "subject.roles" | "action.tags":
                held = facts.roles if attribute == "subject.roles" else facts.tags
                found.append(_members(attribute, held or (), conditions))
            case "risk.failure_similarity":
                found.append(_similarity(conditions, similarity))
            case _ if attribute.startswith(EVIDENCE_PREFIX) and attribute != EVIDENCE_PREFIX + FX_RATE_KEY:
                key = attribute.removeprefix(EVIDENCE_PREFIX)
                found.append(_evidence(policy, key, facts, conditions, compares_memory=SIMILARITY in read))
    return [lever for lever in found if lever.options]


def with_value(document: JsonObject, path: Sequence[str], value: JsonValue) -> JsonObject:
    """Return a copy of a document with another value at `path`; None takes away what is there."""
    first, *rest = path
    below = document.get(first)
    if rest:
        changed: JsonValue = with_value(below if isinstance(below, dict) else {}, rest, value)
    else:
        changed = value
    kept = {name: each for name, each in document.items() if name != first}
    return kept if changed is None else {**kept, first: changed}


def _amount(policy: Policy, request: DecisionRequest, conditions: list[Condition]) -> Iterator[Lever]:
    currency = request.amount_currency or USD
    rate = Decimal(1) if currency == USD else _rate(policy, request)
    if rate is None:
        return
    digits = minor_digits(currency)
    unit = Decimal(1).scaleb(-digits)
    step = Fraction(unit) * Fraction(rate)
    cuts = [Fraction(cut) / step for cut in _cuts(policy, "amount_usd", "amount_usd")]
    stretches = on_grid(cuts, unit=unit, first=0, last=LARGEST * 10**digits, near=request.amount_value)
    options = [
        Option(
            value={"value": _fixed(each.witness, digits), "currency": currency},
            stretch=each,
            distance=distance(each, request.amount_value, whole=None),
        )
        for each in stretches
        if each.witness is not None
    ]
    if request.amount_value is not None and _asks_presence(conditions):
        options.append(Option(value=None, words="without an amount", distance=_FURTHER))
    path = ("action", "amount")
    yield Lever(name="amount", path=path, saying="", options=tuple(options), unit=currency, rate=rate)


def _rate(policy: Policy, request: DecisionRequest) -> Decimal | None:
    """Return the rate by which the request's amount was converted, or None when it was not."""
    converted, _, _ = amount_usd(request, policy)
    if converted is None:
        return None
    rate = request.evidence.get(FX_RATE_KEY)
    spec = spec_for(policy, FX_RATE_KEY)
    if rate is None and spec is not None and isinstance(spec.default, Decimal):
        return spec.default
    return Decimal(repr(rate)) if isinstance(rate, (int, float)) and not isinstance(rate, bool) else None


def _members(attribute: str, held: tuple[str, ...], conditions: list[Condition]) -> Lever:
    noun = "role" if attribute == "subject.roles" else "tag"
    options = []
    for member in _operands(conditions):
        if not isinstance(member, str):
            continue
        rest: list[JsonValue] = [each for each in held if each != member]
        if member in held:
            options.append(Option(value=rest, words=f"without the {noun} {member}"))
        else:
            options.append(Option(value=[*held, member], words=f"with the {noun} {member}"))
    return Lever(name=attribute, path=tuple(attribute.split(".")), saying="", options=tuple(options))


def _similarity(conditions: list[Condition], now: Decimal) -> Lever:
    cuts = [each for each in _operands(conditions) if isinstance(each, Decimal)]
    stretches = on_line(cuts, least=Decimal(0), greatest=Decimal(1))
    options = tuple(
        Option(value=float(each.witness), stretch=each, distance=distance(each, now, whole=_FAR))
        for each in stretches
        if each.witness is not None
    )
    return Lever(name="failure_similarity", path=(), saying="with a failure similarity of ", options=options)


def _evidence(policy: Policy, key: str, facts: Facts, conditions: list[Condition], *, compares_memory: bool) -> Lever:
    spec = spec_for(policy, key)
    now = facts.evidence.get(key)
    options: list[Option] = []
    match None if spec is None else spec.type:
        case EvidenceType.NUMBER | EvidenceType.INTEGER if spec is not None:
            options += _numbers(policy, spec, now if isinstance(now, Decimal) else None)
        case EvidenceType.BOOLEAN:
            options += [Option(value=each, words="true" if each else "false") for each in (True, False) if each != now]
        case EvidenceType.ENUM if spec is not None:
            options += _texts(spec.values, now)
        case _:
            options += _open_texts(policy, key, now, exact=not compares_memory)
    if _asks_presence(conditions) and key not in facts.missing:
        options.append(Option(value=None, words="missing", distance=_FURTHER))
    return Lever(name=key, path=("evidence", key), saying=f"with {key} ", options=tuple(options))


def _numbers(policy: Policy, spec: EvidenceSpec, now: Decimal | None) -> Iterator[Option]:
    cuts = _cuts(policy, EVIDENCE_PREFIX + spec.key, spec.key)
    whole = None if spec.minimum is None or spec.maximum is None else spec.maximum - spec.minimum
    if spec.type is EvidenceType.INTEGER:
        first = -LARGEST if spec.minimum is None else ceil(spec.minimum)
        if spec.exclusive_minimum and first == spec.minimum:
            first += 1
        last = LARGEST if spec.maximum is None else floor(spec.maximum)
        stretches = on_grid(map(Fraction, cuts), unit=Decimal(1), first=first, last=last, near=now)
    else:
        included = not spec.exclusive_minimum
        stretches = on_line(cuts, least=spec.minimum, greatest=spec.maximum, least_included=included)
    for each in stretches:
        if each.witness is not None:
            yield Option(value=_number(each.witness), stretch=each, distance=distance(each, now, whole=whole))


def _texts(values: Iterable[str], now: Scalar | None) -> Iterator[Option]:
    return (Option(value=each, words=each) for each in values if each != now)


def _open_texts(policy: Policy, key: str, now: Scalar | None, *, exact: bool) -> Iterator[Option]:
    """Yield the texts that rules name, and one for all that they do not, unless memory would tell those apart."""
    conditions = [each for rule in policy.rules for each in rule.conditions if each.evidence_key == key]
    named = dict.fromkeys(each for each in _operands(conditions) if isinstance(each, str))
    yield from _texts(named, now)
    if named and (not exact or now not in {None, *named}):
        return
    if not named and now is not None:
        return
    value = _OTHER
    while value in named:
        value += "_"
    yield Option(value=value, words="anything else" if named else "given")


def _cuts(policy: Policy, attribute: str, band: str) -> list[Decimal]:
    """Return every number that a rule compares the attribute with or that bounds a band of it in memory."""
    conditions = [each for rule in policy.rules for each in rule.conditions if each.fact == attribute]
    cuts = [each for each in _operands(conditions) if isinstance(each, Decimal)]
    return [*cuts, *policy.memory.bands.get(band, ())]


def _operands(conditions: Iterable[Condition]) -> list[Scalar]:
    found: dict[Scalar, None] = {}
    for condition in conditions:
        operand = condition.operand
        if condition.operator.name != "present":
            found.update(dict.fromkeys(operand if isinstance(operand, tuple) else (operand,)))
    return list(found)


def _asks_presence(conditions: Iterable[Condition]) -> bool:
    return any(condition.operator.name == "present" for condition in conditions)


def _fixed(number: Decimal | None, digits: int) -> str:
    return "" if number is None else format(number.quantize(Decimal(1).scaleb(-digits), context=EXACT), "f")


def _number(number: Decimal) -> JsonValue:
    return int(number) if number == number.to_integral_value() else float(decimal_text(number))
