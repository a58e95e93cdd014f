"""
What a plain YAML scalar means: null, true, false and JSON numbers are themselves, everything else is text.
Refuses texts that YAML versions or libraries read as different things; must not know where a scalar stands.
"""

from __future__ import annotations

import re
from typing import Final

from lumyn.documents.numbers import NUMBER, read_number
from lumyn.model import JsonValue

__all__ = ["AmbiguousScalarError", "plain_value"]

_WORDS: Final[dict[str, JsonValue]] = {"": None, "null": None, "true": True, "false": False}

# YAML 1.1 types bool, null, value and merge (yaml.org/type), and the capitalised forms of the 1.2 core schema.
_AMBIGUOUS_WORDS: Final = frozenset(
    {"~", "=", "<<"}
    | {form for word in ("null", "true", "false", "yes", "no", "on", "off") for form in (word, word.upper())}
    | {word.capitalize() for word in ("null", "true", "false", "yes", "no", "on", "off")}
    | {"y", "Y", "n", "N"}
) - {"null", "true", "false"}

# YAML 1.1 types int, float and timestamp, the 1.2 core schema, and what ruamel.yaml and PyYAML read beyond them.
_AMBIGUOUS_FORMS: Final = re.compile(
    r"""
      [-+]?0[xX][0-9a-fA-F_]+                                  # hexadecimal
    | [-+]?0[oO]?[0-7_]+                                       # octal, 1.2 and 1.1
    | [-+]?0[bB][01_]+                                         # binary
    | [-+]?[0-9][0-9_]*                                        # leading zero or sign, underscores
    | [-+]?(?:[0-9][0-9_]*)?\.[0-9_]*(?:[eE][-+]?[0-9_]+)?     # .5, 5., +1.5, 1_000.5, a lone dot
    | [-+]?[0-9][0-9_]*[eE][-+]?[0-9_]+                        # 1_0e3, +1e3, 01e3
    | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?         # sexagesimal: 12:30, 12:30:00
    | [-+]?\.(?:inf|Inf|INF)
    | \.(?:nan|NaN|NAN)
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9].*)?  # dates and timestamps
    """,
    re.VERBOSE,
)


class AmbiguousScalarError(ValueError):
    """A plain scalar that YAML versions read differently."""


def plain_value(text: str) -> JsonValue:
    """
    Return the value of a plain scalar; the empty one is null.

    Raises:
        AmbiguousScalarError: It must be quoted, or written as JSON would.
        NumberRefusedError: It is a JSON number that a double cannot carry.
    """
    if text in _WORDS:
        return _WORDS[text]
    if NUMBER.fullmatch(text):
        return read_number(text)
    # `[a:, b]` holds a mapping in YAML 1.2 and the text `a:` for the library; only in brackets can a colon come last.
    if text in _AMBIGUOUS_WORDS or text.endswith(":") or _AMBIGUOUS_FORMS.fullmatch(text):
        raise AmbiguousScalarError(text)
    return text
