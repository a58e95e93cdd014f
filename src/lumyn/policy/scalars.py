"""
Scalars as the engine compares them: booleans, exact decimals and text.
Turns JSON values into them; must not know where a value came from.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final, TypeAlias

__all__ = ["EXACT", "Scalar", "decimal_text", "is_blank", "to_decimal", "to_scalar"]

Scalar: TypeAlias = "bool | Decimal | str"

EXACT: Final = Context(prec=2_000, Emin=-999_999, Emax=999_999, traps=[Inexact, InvalidOperation, Overflow])
"""Decimal arithmetic that raises rather than rounds; 2,000 digits hold any product of two checked inputs."""

# White_Space and Default_Ignorable_Code_Point (Unicode 16, PropList and DerivedCoreProperties), control characters and
# the blank Braille pattern: a text of nothing but these shows a reader nothing, so it counts as missing.
_BLANK: Final = re.compile(
    "[\u0000-\u0020\u007f-\u00a0\u2800\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)


def is_blank(text: str) -> bool:
    """Return whether `text` holds nothing a reader could see."""
    return _BLANK.fullmatch(text) is not None


def to_decimal(number: float | Decimal) -> Decimal:
    """Return the exact decimal that `number` is written as: for a float, its shortest round-trip form."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def to_scalar(value: object) -> Scalar | None:
    """Return `value` as the engine compares it, or None when it is missing: null or blank text."""
    if isinstance(value, str):
        return None if is_blank(value) else value
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, Decimal)):
        return to_decimal(value)
    if value is None:
        return None
    raise TypeError(f"not a scalar: {type(value).__name__}")


def decimal_text(number: Decimal) -> str:
    """Return the canonical plain form: no exponent, no trailing zeros, no negative zero (`201`, `12.5`)."""
    text = str(number)
    if "E" in text:
        text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", "", "-"} else text
