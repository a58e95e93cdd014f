"""
Words that every face uses for the same thing.
Imports next to nothing; must not know how words are shown.
"""

from __future__ import annotations

import json
from typing import Final

from lumyn.model import JsonObject

__all__ = ["UNSHOWN", "action_words"]

UNSHOWN: Final = ", though no labelled request that was tried gives that similarity"
"""What is said after a request that no gate decided."""


def action_words(record: JsonObject) -> str:
    """Return what a decision record says was asked for, as `support.refund 18.40 USD`."""
    action = _object(_object(record.get("request")).get("action"))
    amount = _object(action.get("amount"))
    text = str(action.get("type", "?"))
    if not amount:
        return text
    value = amount.get("value")
    return f"{text} {value if isinstance(value, str) else json.dumps(value)} {amount.get('currency', '')}".rstrip()


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
