"""
Reading a JSON number literal without losing any of it.
Accepts exactly the literals an IEEE-754 double carries (RFC 7493, 2.2); must not know where the literal stood.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final

__all__ = ["MAX_SAFE", "NUMBER", "NumberRefusedError", "exact_float", "read_float", "read_integer", "read_number"]

MAX_SAFE: Final = 2**53 - 1
"""The greatest magnitude at which every integer is a double (RFC 7493, 2.2)."""

NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
"""The number grammar of RFC 8259; either group is present when the literal is not an integer."""

# Sixteen digits and a sign; a longer literal is out of range and is never converted (int() takes quadratic time).
_LONGEST_INTEGER: Final = 17
_SHOWN: Final = "a number must be within plus or minus (2^53 - 1)"
_HINT: Final = "write it as a string"


class NumberRefusedError(ValueError):
    """A literal that a double cannot carry; `code` is `NUMBER_OUT_OF_RANGE` or `NUMBER_PRECISION`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = _HINT


def read_number(text: str) -> int | float:
    """
    Return the value of a literal that matches `NUMBER`: an int when it has neither fraction nor exponent.

    Raises:
        NumberRefusedError: The magnitude exceeds `MAX_SAFE`, or the nearest double is another number.
    """
    if text.isdigit() or (text[0] == "-" and text[1:].isdigit()):
        return read_integer(text)
    return read_float(text)


def read_integer(text: str) -> int:
    """Return the integer, or raise `NumberRefusedError` beyond `MAX_SAFE`, however long the literal is."""
    if len(text) > _LONGEST_INTEGER or not -MAX_SAFE <= (value := int(text)) <= MAX_SAFE:
        raise NumberRefusedError("NUMBER_OUT_OF_RANGE", _SHOWN)
    return value


def read_float(text: str) -> float:
    """Return the double whose shortest form equals the number written, or raise `NumberRefusedError`."""
    value = float(text)
    if not -MAX_SAFE <= value <= MAX_SAFE:
        raise NumberRefusedError("NUMBER_OUT_OF_RANGE", _SHOWN)
    if repr(value) != text:
        try:
            written = Decimal(text)
        except InvalidOperation:
            written = None
        if written is None or not exact_float(written, value):
            raise NumberRefusedError("NUMBER_PRECISION", "a number must be exactly what a double can carry")
    return value


def exact_float(written: Decimal, value: float) -> bool:
    """Return whether the shortest round-trip form of `value` is the number `written`."""
    return Decimal(repr(value)) == written
