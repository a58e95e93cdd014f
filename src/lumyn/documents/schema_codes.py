"""
Which problem code, and which words, a violated constraint of a schema gets.
One table by place in a schema, one by keyword for every other place; must not know how schemas are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["BY_KEYWORD", "BY_PLACE"]

_REQUEST: Final = "decision_request.v0.schema.json"
_RECORD: Final = "decision_record.v0.schema.json"

_ID_LENGTH: Final = ("FIELD_PATTERN", "must be 1 to 256 characters long")
_URI_LENGTH: Final = ("FIELD_PATTERN", "must be 1 to 2048 characters long")
_CONTROL: Final = ("CONTROL_CHARACTER", "must not hold control or bidirectional characters")
_ACTION_TYPE: Final = (
    "FIELD_PATTERN",
    "must be lower-case words joined by dots, such as `support.refund`, at most 128 characters",
)
_EVIDENCE_KEY: Final = ("FIELD_PATTERN", "must be a letter, then letters, digits or `_`, at most 128 characters")

BY_PLACE: Final[Mapping[str, tuple[str, str]]] = {
    f"{_REQUEST}#/properties/schema_version/const": (
        "SCHEMA_VERSION_UNSUPPORTED",
        "must be `decision_request.v0`",
    ),
    f"{_REQUEST}#/properties/request_id/pattern": (
        "FIELD_PATTERN",
        "must be 1 to 128 printable ASCII characters without a blank at either end",
    ),
    f"{_REQUEST}#/$defs/identifier/minLength": _ID_LENGTH,
    f"{_REQUEST}#/$defs/identifier/maxLength": _ID_LENGTH,
    f"{_REQUEST}#/$defs/identifier/pattern": _CONTROL,
    f"{_REQUEST}#/$defs/identifier/not": ("FIELD_PATTERN", "must not begin or end with a blank"),
    f"{_REQUEST}#/$defs/context_ref/properties/uri/minLength": _URI_LENGTH,
    f"{_REQUEST}#/$defs/context_ref/properties/uri/maxLength": _URI_LENGTH,
    f"{_REQUEST}#/$defs/context_ref/properties/uri/pattern": _CONTROL,
    f"{_REQUEST}#/$defs/action_type/pattern": _ACTION_TYPE,
    f"{_REQUEST}#/$defs/action_type/maxLength": _ACTION_TYPE,
    f"{_REQUEST}#/$defs/amount_value/pattern": (
        "TYPE_INVALID",
        "must be a number, or a plain decimal as a string, such as `25.10`",
    ),
    f"{_REQUEST}#/$defs/currency/pattern": ("CURRENCY_INVALID", "must be three capital letters, such as `USD`"),
    f"{_REQUEST}#/$defs/tags/items/pattern": (
        "FIELD_PATTERN",
        "must be 1 to 128 of a-z, 0-9, `_`, `.`, `:` and `-`",
    ),
    f"{_REQUEST}#/$defs/digest/pattern": ("FIELD_PATTERN", "must be `sha256:` and 64 lower-case hexadecimal digits"),
    f"{_REQUEST}#/$defs/evidence/propertyNames/pattern": _EVIDENCE_KEY,
    f"{_REQUEST}#/$defs/evidence/propertyNames/maxLength": _EVIDENCE_KEY,
    f"{_REQUEST}#/$defs/evidence/propertyNames/not": (
        "EVIDENCE_RESERVED",
        "is reserved to the engine; callers do not supply it",
    ),
    f"{_RECORD}#/properties/schema_version/const": ("SCHEMA_VERSION_UNSUPPORTED", "must be `decision_record.v0`"),
}
"""`<file>#<pointer>/<keyword>` -> problem code and message."""

BY_KEYWORD: Final[Mapping[str, tuple[str, str]]] = {
    "additionalProperties": ("FIELD_UNKNOWN", "unknown field"),
    "anyOf": ("VALUE_INVALID", "matches none of the allowed forms"),
    "const": ("VALUE_INVALID", "must be {}"),
    "dependentRequired": ("FIELD_MISSING", "lacks a field that goes with another one"),
    "enum": ("VALUE_INVALID", "must be one of {}"),
    "exclusiveMaximum": ("NUMBER_OUT_OF_RANGE", "must be less than {}"),
    "exclusiveMinimum": ("NUMBER_OUT_OF_RANGE", "must be greater than {}"),
    "maximum": ("NUMBER_OUT_OF_RANGE", "must be at most {}"),
    "maxItems": ("SIZE_INVALID", "must have at most {} items"),
    "maxLength": ("SIZE_INVALID", "must be at most {} characters long"),
    "maxProperties": ("SIZE_INVALID", "must have at most {} fields"),
    "minimum": ("NUMBER_OUT_OF_RANGE", "must be at least {}"),
    "minItems": ("SIZE_INVALID", "must have at least {} items"),
    "minLength": ("SIZE_INVALID", "must be at least {} characters long"),
    "minProperties": ("SIZE_INVALID", "must have at least {} fields"),
    "not": ("VALUE_INVALID", "has a form that is not allowed"),
    "oneOf": ("VALUE_INVALID", "matches none, or more than one, of the allowed forms"),
    "pattern": ("FIELD_PATTERN", "does not have the required form"),
    "required": ("FIELD_MISSING", "required field is missing"),
    "type": ("TYPE_INVALID", "must be {}"),
    "uniqueItems": ("VALUE_INVALID", "must not hold an item twice"),
}
"""Keyword -> problem code and message; `{}` stands for what the schema demands, never for the value."""
