"""
Values that stand for everything an attribute can hold: its constants, what lies between them, and what is wrong.
Must not know how they are read or grouped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, combinations
from typing import Final

from lumyn.analysis.dimension import Raw, listed
from lumyn.analysis.numbers import gaps, grid_between, number_candidates
from lumyn.model import JsonValue
from lumyn.policy.operators import SUBJECTS
from lumyn.policy.spec import Condition, EvidenceSpec, EvidenceType

__all__ = ["SpaceTooLargeError", "evidence_candidates", "numbers", "plain_candidates", "spec_numbers"]

_MOST_MEMBERS: Final = 10
_SCORE_DIGITS: Final = 6


class SpaceTooLargeError(Exception):
    """An action reads so many members of a list that its space is not worth spanning: every answer is unknown."""


def evidence_candidates(
    specs: Sequence[EvidenceSpec | None], conditions: Iterable[Condition]
) -> Iterator[JsonValue | Decimal]:
    """Yield values of an evidence key, missing first, then the constants, then the stretches and wrong types."""
    conditions = list(conditions)
    operands = [each for condition in conditions for each in listed(condition.operand)]
    types = {spec.type for spec in specs if spec is not None}
    texts = dict.fromkeys(each for each in operands if isinstance(each, str))
    for spec in specs:
        if spec is not None:
            texts.update(dict.fromkeys(spec.values))
            texts.update(dict.fromkeys([spec.default] if isinstance(spec.default, str) else []))
    yield None
    yield from texts
    yield next(word for word in chain(("A-1", "other"), _words()) if word not in texts)
    if types & {EvidenceType.NUMBER, EvidenceType.INTEGER}:
        points = {each for each in operands if isinstance(each, Decimal)}
        yield from number_candidates(points.union(*(spec_numbers(spec) for spec in specs)))
    else:
        yield Decimal(1)
    yield True
    yield False
    yield ["A-1"]


def _words() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"other-{number}"


def spec_numbers(spec: EvidenceSpec | None) -> list[Decimal]:
    """Return the numbers a declaration names."""
    if spec is None:
        return []
    return [each for each in (spec.minimum, spec.maximum, spec.default) if isinstance(each, Decimal)]


def plain_candidates(name: str, conditions: Iterable[Condition]) -> Iterator[Raw]:
    """
    Yield values of any other attribute; None where it may be absent.

    Raises:
        SpaceTooLargeError: A list is compared with too many members.
    """
    operands = [each for condition in conditions for each in listed(condition.operand)]
    if name == "risk.failure_similarity":
        yield from _scores(each for each in operands if isinstance(each, Decimal))
        return
    subject = SUBJECTS[name]
    if subject.values is not None:
        if name != "subject.type":
            yield None
        yield from subject.values
        return
    members = sorted({each for each in operands if isinstance(each, str)})
    if len(members) > _MOST_MEMBERS:
        raise SpaceTooLargeError(f"`{name}` is compared with {len(members)} texts")
    yield None
    yield from chain.from_iterable(combinations(members, size) for size in range(len(members) + 1))


def _scores(constants: Iterable[Decimal]) -> Iterator[Decimal]:
    """Yield failure scores: decimals of at most six places from 0 to 1."""
    points = {each for each in constants if 0 <= each <= 1}
    yield Decimal(0)
    for point in sorted(points):
        if point == round(point, _SCORE_DIGITS):
            yield point
    for low, high in gaps({*points, Decimal(0), Decimal(1)}):
        if low is not None and high is not None:
            found = grid_between(low, high, digits=_SCORE_DIGITS)
            if found is not None:
                yield found
    yield Decimal(1)


def numbers(conditions: Iterable[Condition]) -> list[Decimal]:
    """Return the numbers that conditions compare with."""
    return [each for condition in conditions for each in listed(condition.operand) if isinstance(each, Decimal)]
