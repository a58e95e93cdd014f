"""
Finds the schemas of names that plain ASCII text satisfies at a glance, so that two searches are spared for most names.
Reads patterns only; must not know which fields are names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lumyn.model import JsonObject, JsonValue

__all__ = ["blank_ends"]

# All characters but some, from beginning to end; and some at either end.
_NONE_OF: Final = re.compile(r"\^\[\^([^\[\]]+)\]\*\$\(\?!\\n\)")
_AT_AN_END: Final = re.compile(r"\^\[([^\[\]^][^\[\]]*)\]\|\[\1\]\$\(\?!\\n\)")
_PRINTABLE: Final = [chr(code) for code in range(0x20, 0x7F)]
_KEYWORDS: Final = {"type", "minLength", "maxLength", "pattern", "not"}


def blank_ends(schema: JsonObject, annotations: frozenset[str]) -> str | None:
    """
    Return the characters that a printable ASCII text must not begin or end with to satisfy `pattern` and `not`.

    Returns:
        None where the schema asks for anything else: then nothing is known of such texts.
    """
    pattern, refused = schema.get("pattern"), schema.get("not")
    if schema.keys() - annotations != _KEYWORDS or schema["type"] != "string" or not isinstance(refused, dict):
        return None
    if refused.keys() - annotations != {"type", "pattern"} or refused["type"] != "string":
        return None
    within, at_ends = _search(_NONE_OF, pattern), _search(_AT_AN_END, refused["pattern"])
    # Both speak of single characters, so trying each of them alone says it of every text made of them.
    if within is None or at_ends is None or not all(map(within, _PRINTABLE)):
        return None
    return "".join(filter(at_ends, _PRINTABLE))


def _search(form: re.Pattern[str], pattern: JsonValue) -> Callable[[str], re.Match[str] | None] | None:
    """Return the search function of a pattern that has this form, else None."""
    return re.compile(pattern).search if isinstance(pattern, str) and form.fullmatch(pattern) else None
