"""
What an expected value says of an actual one: plain data, list operators and scalar operators.
Compares JSON data by hand and exactly; must not know records, files or how a difference is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Final, TypeAlias, TypeGuard

from lumyn.model import JsonObject, JsonValue
from lumyn.policy.scalars import to_decimal
from lumyn.vectors.origins import VectorPath

__all__ = [
    "ABSENT",
    "LIST_OPERATORS",
    "OPERATORS",
    "SCALAR_OPERATORS",
    "Absent",
    "Actual",
    "Place",
    "differences",
    "equal",
    "holds",
    "is_operators",
    "lookup",
]


class Absent:
    """Stands for a value that is not there."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = Absent()

Actual: TypeAlias = "JsonValue | Absent"
Place: TypeAlias = "tuple[VectorPath, JsonValue, Actual]"
"""Where two documents part, what was expected there and what is there."""

LIST_OPERATORS: Final = ("contains", "excludes", "any_order", "is_empty")
SCALAR_OPERATORS: Final = ("gt", "gte", "lt", "lte", "between", "in", "matches")
OPERATORS: Final = (*LIST_OPERATORS, *SCALAR_OPERATORS)
_KNOWN: Final = frozenset(OPERATORS)


def is_operators(value: JsonValue) -> TypeGuard[JsonObject]:
    """Return whether `value` is an object of operators: not empty, and every key is one."""
    return isinstance(value, dict) and bool(value) and _KNOWN.issuperset(value)


def lookup(value: Actual, key: str) -> Actual:
    """Return a member of an object, or `ABSENT`."""
    return value.get(key, ABSENT) if isinstance(value, dict) else ABSENT


def equal(expected: JsonValue, actual: Actual) -> bool:
    """Return whether two values are the same data: numbers as exact decimals, a boolean is never a number."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, (int, float)) and isinstance(actual, (int, float)):
        # Exact: two floats are equal just when their shortest decimal forms are, and Python compares int with float
        # by value.
        return expected == actual
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(expected) == len(actual)
            and all(equal(*pair) for pair in zip(expected, actual, strict=True))
        )
    if isinstance(expected, dict):
        return (
            isinstance(actual, dict)
            and expected.keys() == actual.keys()
            and all(equal(below, actual[key]) for key, below in expected.items())
        )
    return type(expected) is type(actual) and expected == actual


def holds(expected: JsonValue, actual: Actual) -> bool:
    """
    Return whether `actual` is what `expected` asks for.

    Objects: the members written are compared, others are free. Lists: the same length and order, item by item.
    Objects of operators: every operator holds. Anything else: `equal`.
    """
    if isinstance(expected, str):  # most of what is expected
        return type(expected) is type(actual) and expected == actual
    if isinstance(expected, dict):
        if is_operators(expected):
            return all(_HOLDS[name](operand, actual) for name, operand in expected.items())
        return isinstance(actual, dict) and all(
            holds(below, actual.get(key, ABSENT)) for key, below in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(expected) == len(actual)
            and all(holds(*pair) for pair in zip(expected, actual, strict=True))
        )
    return equal(expected, actual)


def differences(expected: JsonValue, actual: Actual, path: VectorPath = ()) -> Iterator[Place]:
    """Yield the innermost places where `actual` is not what `expected` asks for; none when it `holds`."""
    if holds(expected, actual):
        return
    if isinstance(expected, dict) and isinstance(actual, dict) and not is_operators(expected):
        for key, below in expected.items():
            yield from differences(below, actual.get(key, ABSENT), (*path, key))
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for place, (wanted, found) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(wanted, found, (*path, place))
    else:
        yield path, expected, actual


def _numbers(test: Callable[[Decimal, Decimal], bool]) -> Callable[[JsonValue, Actual], bool]:
    def compare(operand: JsonValue, actual: Actual) -> bool:
        fact, constant = _number(actual), _number(operand)
        return fact is not None and constant is not None and test(fact, constant)

    return compare


def _number(value: Actual) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return to_decimal(value)


def _between(operand: JsonValue, actual: Actual) -> bool:
    if not isinstance(operand, list) or len(operand) != 2:
        return False
    low, high, fact = _number(operand[0]), _number(operand[1]), _number(actual)
    return low is not None and high is not None and fact is not None and low <= fact <= high


def _in(operand: JsonValue, actual: Actual) -> bool:
    return isinstance(operand, list) and any(equal(member, actual) for member in operand)


def _matches(operand: JsonValue, actual: Actual) -> bool:
    return isinstance(operand, str) and isinstance(actual, str) and re.fullmatch(operand, actual) is not None


def _contains(operand: JsonValue, actual: Actual) -> bool:
    if not isinstance(operand, list) or not isinstance(actual, list):
        return False
    return all(any(holds(wanted, found) for found in actual) for wanted in operand)


def _excludes(operand: JsonValue, actual: Actual) -> bool:
    if not isinstance(operand, list) or not isinstance(actual, list):
        return False
    return not any(holds(unwanted, found) for unwanted in operand for found in actual)


def _any_order(operand: JsonValue, actual: Actual) -> bool:
    if not isinstance(operand, list) or not isinstance(actual, list) or len(operand) != len(actual):
        return False
    return _pairs_up([[place for place, found in enumerate(actual) if holds(item, found)] for item in operand])


def _pairs_up(choices: Sequence[Sequence[int]]) -> bool:
    """Return whether each item can have a place of its own (augmenting paths: an item may fit several places)."""
    holder: dict[int, int] = {}

    def place(item: int, tried: set[int]) -> bool:
        for choice in choices[item]:
            if choice not in tried:
                tried.add(choice)
                if choice not in holder or place(holder[choice], tried):
                    holder[choice] = item
                    return True
        return False

    return all(place(item, set()) for item in range(len(choices)))


def _is_empty(operand: JsonValue, actual: Actual) -> bool:
    empty = actual is ABSENT or actual is None or actual in ("", [], {})
    return isinstance(operand, bool) and empty is operand


_HOLDS: Final[dict[str, Callable[[JsonValue, Actual], bool]]] = {
    "contains": _contains,
    "excludes": _excludes,
    "any_order": _any_order,
    "is_empty": _is_empty,
    "gt": _numbers(lambda fact, constant: fact > constant),
    "gte": _numbers(lambda fact, constant: fact >= constant),
    "lt": _numbers(lambda fact, constant: fact < constant),
    "lte": _numbers(lambda fact, constant: fact <= constant),
    "between": _between,
    "in": _in,
    "matches": _matches,
}
