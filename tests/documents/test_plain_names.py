"""Names in plain ASCII are known at a glance, and only where the schema means what that glance sees."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lumyn import _resources
from lumyn.documents.plain_names import blank_ends
from lumyn.documents.schema_compiler import compile_schema

ANNOTATIONS = frozenset({"description"})
IDENTIFIER: dict[str, Any] = dict(_resources.schema("decision_request.v0.schema.json")["$defs"]["identifier"])  # type: ignore[arg-type, call-overload, index]
WHOLE = compile_schema(
    "names.json", {"names.json": {"$ref": "#/$defs/name", "$defs": {"name": IDENTIFIER}}}.__getitem__
)
SLOW = Draft202012Validator(IDENTIFIER)
AWKWARD = " \t\n\x00\x1f\x7f\x80\x9f\xa0\u061c\u1680\u200b\u200e\u2028\u202f\u2060\u2066\u3000\ufeffab~!]^\\é\U0001f600"


def test_a_plain_name_is_one_without_a_blank_at_its_ends() -> None:
    """Were this None, names would be searched twice again, and nobody would notice but by the clock."""
    assert " " == blank_ends(IDENTIFIER, ANNOTATIONS)


@given(st.text(alphabet=AWKWARD, max_size=5) | st.text(max_size=5))
def test_names_are_valid_as_jsonschema_says(name: str) -> None:
    assert SLOW.is_valid(name) is WHOLE(name)


@pytest.mark.parametrize(
    "name", ["", " ", "a", "a" * 256, "a" * 257, " a", "a ", "a b", "a\n", "\x7f", 1, None, True, [], {}]
)
def test_names_at_the_edges(name: Any) -> None:
    assert SLOW.is_valid(name) is WHOLE(name)


@pytest.mark.parametrize(
    "change",
    [
        {"pattern": "^[^ab]*$(?!\\n)"},
        {"pattern": "^[^\\u0000]+$(?!\\n)"},
        {"pattern": "^[a-z]*$(?!\\n)"},
        {"not": {"type": "string", "pattern": "^[ ]|[x]$(?!\\n)"}},
        {"not": {"type": "string", "pattern": "[ ]"}},
        {"not": {"type": "string", "const": "a"}},
        {"not": {"pattern": "^[ ]|[ ]$(?!\\n)"}},
        {"type": ["string", "null"]},
        {"enum": ["a"]},
        {"$ref": "#"},
    ],
)
def test_nothing_is_taken_for_known_that_another_schema_asks(change: dict[str, Any]) -> None:
    assert blank_ends(IDENTIFIER | change, ANNOTATIONS) is None, json.dumps(change)
