"""
Checks the operands of expectation operators: numbers, bounds, lists and regular expressions.
Must not know which operators belong where, nor what is compared with them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lumyn.model import JsonObject, JsonValue
from lumyn.policy.scalars import to_decimal
from lumyn.vectors.expect import OPERATORS, is_operators
from lumyn.vectors.findings import Reader
from lumyn.vectors.merge import dotted
from lumyn.vectors.origins import VectorPath

__all__ = ["check_operators", "check_value", "read_boolean"]

_ORDERING: Final = ("gt", "gte", "lt", "lte")


def check_value(value: JsonValue, path: VectorPath, reader: Reader) -> None:
    """Check the operators inside an expected value; data without operators is free."""
    if is_operators(value):
        check_operators(value, path, reader)
    elif isinstance(value, dict):
        for key, below in value.items():
            check_value(below, (*path, key), reader)
    elif isinstance(value, list):
        for place, below in enumerate(value):
            check_value(below, (*path, place), reader)


def check_operators(value: JsonObject, path: VectorPath, reader: Reader) -> bool:
    """Check the operand of every operator; return whether all of them can be used."""
    if not value:
        reader.add("EXPECT_EMPTY", f"`{dotted(path)}` expects nothing", path)
    usable = [_operand(name, operand, (*path, name), reader) for name, operand in value.items() if name in OPERATORS]
    return bool(value) and all(usable)


def _operand(name: str, operand: JsonValue, path: VectorPath, reader: Reader) -> bool:
    if name == "is_empty":
        return read_boolean(operand, path, reader) is not None
    if name in _ORDERING:
        return _number(operand, path, reader)
    if name == "matches":
        return _pattern(operand, path, reader)
    items = reader.listing(operand, path)
    if items is None:
        return False
    if name == "between":
        return _bounds(items, path, reader)
    if not items:
        reader.add("EXPECT_EMPTY", f"`{dotted(path)}` is empty", path)
        return False
    check_value(items, path, reader)
    return True


def _number(value: JsonValue, path: VectorPath, reader: Reader) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        reader.wrong_type(value, "a number", path)
        return False
    return True


def read_boolean(value: JsonValue, path: VectorPath, reader: Reader) -> bool | None:
    """Return `value` as a boolean, or None after recording a problem."""
    if isinstance(value, bool):
        return value
    reader.wrong_type(value, "a boolean", path)
    return None


def _bounds(items: Sequence[JsonValue], path: VectorPath, reader: Reader) -> bool:
    if len(items) != 2:
        reader.add("VALUE_INVALID", "`between` takes `[low, high]`, both allowed", path)
        return False
    usable = [_number(item, (*path, place), reader) for place, item in enumerate(items)]
    if not all(usable):
        return False
    low, high = (to_decimal(item) for item in items if isinstance(item, (int, float)))
    if low > high:
        reader.add("VALUE_INVALID", "no number lies between these: the first must not be greater", path)
    return low <= high


def _pattern(value: JsonValue, path: VectorPath, reader: Reader) -> bool:
    text = reader.text(value, path)
    if text is None:
        return False
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        reader.add("VALUE_INVALID", f"not a regular expression: {error}", path)
        return False
    return True
