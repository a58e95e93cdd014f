"""The schema compiler: each keyword as jsonschema reads it, and nothing it does not know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from lumyn import _resources
from lumyn.documents.schema_compiler import UnsupportedSchemaError, compile_schema

OTHER = {"$id": "https://lumyn.dev/schemas/other.json", "$defs": {"name": {"type": "string", "minLength": 2}}}
REGISTRY: Registry[Any] = Registry().with_resource(
    OTHER["$id"], Resource.from_contents({**OTHER, "$schema": "https://json-schema.org/draft/2020-12/schema"})
)  # type: ignore[arg-type]


def compiled(schema: Any) -> Any:
    """Return the checker of a schema that may refer to `other.json`."""
    return compile_schema("main.json", {"main.json": schema, "other.json": OTHER}.__getitem__)


VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    1.0,
    1.5,
    -3,
    5,
    "",
    "a",
    "ab",
    "ab\n",
    "é😀",
    [],
    [1],
    [1, 1.0],
    [True, 1],
    ["a", "b"],
    ["a", "a"],
    [[1], [1.0]],
    [None, 0, False],
    {},
    {"a": 1},
    {"a": "x"},
    {"a": 1, "b": 2},
    {"b": 2},
    {"ab": 1},
    {"a": {"a": {"a": 1}}},
    {"a": [1, "x"], "c": None},
]
SCHEMAS: list[Any] = [
    True,
    False,
    {},
    {"type": "integer"},
    {"type": "number"},
    {"type": ["integer", "string"]},
    {"type": ["boolean", "null"]},
    {"type": "object"},
    {"type": "array", "uniqueItems": True},
    {"type": "array", "uniqueItems": False},
    {"uniqueItems": True, "minItems": 1, "maxItems": 2},
    {"items": {"type": "number"}},
    {"items": False},
    {"const": 1},
    {"const": True},
    {"const": "ab"},
    {"const": [1]},
    {"const": {"a": 1.0}},
    {"enum": [0, "a", None]},
    {"enum": ["a", "ab"]},
    {"enum": [False, [1, 1]]},
    {"minimum": 1},
    {"maximum": 1, "type": ["number", "string"]},
    {"exclusiveMinimum": 1},
    {"exclusiveMaximum": 1.5, "type": "integer"},
    {"minLength": 2},
    {"maxLength": 1, "pattern": "^[a-z]*$(?!\\n)"},
    {"pattern": "b"},
    {"required": ["a"]},
    {"properties": {"a": {"type": "integer"}}},
    {"properties": {"a": True, "b": {}}, "required": ["b"], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "number"}},
    {"additionalProperties": False},
    {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
    {"patternProperties": {"^a$(?!\\n)": {"type": "integer"}}, "properties": {"b": {"const": 2}}},
    {"propertyNames": {"pattern": "^[ab]$(?!\\n)"}},
    {"propertyNames": {"enum": ["a"]}},
    {"propertyNames": {"not": {"const": "b"}}},
    {"minProperties": 1, "maxProperties": 1},
    {"dependentRequired": {"a": ["b"]}},
    {"dependentRequired": {"a": []}},
    {"allOf": [{"type": "string"}, {"minLength": 1}]},
    {"anyOf": [{"type": "string"}, {"required": ["a"]}]},
    {"oneOf": [{"type": "number"}, {"type": "integer"}, {"type": "string", "pattern": "a"}]},
    {"not": {"type": "string", "pattern": "a"}},
    {"not": {"required": ["a"]}},
    {"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"type": "object"}},
    {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
    {"if": {"type": "number"}, "else": False},
    {"$ref": "other.json#/$defs/name"},
    {"properties": {"a": {"$ref": "https://lumyn.dev/schemas/other.json#/$defs/name"}}},
    {"anyOf": [{"$ref": "other.json#/$defs/name"}, {"type": "null"}]},
    {
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {"type": ["object", "integer"], "additionalProperties": {"$ref": "#/$defs/tree"}}},
    },
    {"$ref": "#/$defs/x", "minLength": 2, "$defs": {"x": {"type": "string"}}},
    {"title": "t", "description": "d", "default": 1, "examples": [1], "format": "date", "$comment": "c"},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_keyword_means_what_jsonschema_means(schema: Any) -> None:
    """For every keyword, alone and combined, both give the same answer on values of every type."""
    identified = {"$id": "https://lumyn.dev/schemas/main.json", **schema} if isinstance(schema, dict) else schema
    reference = Draft202012Validator(identified, registry=REGISTRY)
    check = compiled(schema)
    assert [reference.is_valid(value) for value in VALUES] == [check(value) for value in VALUES]


leaf_schemas = st.sampled_from([schema for schema in SCHEMAS if "$ref" not in str(schema)])
schemas = st.recursive(
    leaf_schemas,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), inner)}),
        st.fixed_dictionaries({"additionalProperties": inner, "patternProperties": st.just({"b": True})}),
        st.fixed_dictionaries({"propertyNames": inner}),
    ),
    max_leaves=4,
)


@given(schemas)
def test_combined_keywords_mean_what_jsonschema_means(schema: Any) -> None:
    """Nesting changes nothing."""
    reference = Draft202012Validator(schema)
    check = compiled(schema)
    assert [reference.is_valid(value) for value in VALUES] == [check(value) for value in VALUES]


@pytest.mark.parametrize(
    "schema",
    [
        {"multipleOf": 2},
        {"unevaluatedProperties": False},
        {"contains": {}},
        {"prefixItems": [{}]},
        {"additionalPropertes": False},
        {"properties": {"a": {"requird": ["b"]}}},
        {"$dynamicRef": "#x"},
        {"type": "strin"},
        {"minLength": "2"},
        {"required": "a"},
        {"$ref": "#/$defs/none"},
    ],
    ids=str,
)
def test_unknown_meaning_is_refused(schema: Any) -> None:
    """A checker that skipped a keyword would let everything pass that the keyword forbids."""
    with pytest.raises(UnsupportedSchemaError):
        compiled(schema)


@pytest.mark.parametrize("pattern", ["^a$", "^(a|b$)$(?!\\n)", "a\\\\$", "^\\d+$(?!\\n)", "\\w", "^a\\Z", "\\bx"])
def test_pattern_that_dialects_read_differently_is_refused(pattern: str) -> None:
    """`$` lets a final line feed pass in Python, and a digit class takes those of any script."""
    with pytest.raises(UnsupportedSchemaError):
        compiled({"pattern": pattern})


@pytest.mark.parametrize("pattern", ["^a\\$", "^\\\\$(?!\\n)", "^[0-9]+$(?!\\n)", "x\\.y"])
def test_pattern_that_means_one_thing_is_accepted(pattern: str) -> None:
    """An escaped dollar sign and a guarded one are fine."""
    assert compiled({"pattern": pattern})("zzz") is False


def test_final_line_feed_is_refused() -> None:
    """The guard does what it is for."""
    check = compiled({"type": "string", "pattern": "^a$(?!\\n)"})
    assert [True, False, False] == [check(text) for text in ("a", "a\n", "a\n\n")]


def test_remembered_names_stay_few() -> None:
    """A caller who sends ever new names fills no memory, and is judged as at first."""
    check = compiled({"propertyNames": {"pattern": "^k"}})
    for number in range(5_000):
        assert check({f"k{number}": 1})
        assert not check({f"x{number}": 1})
    kept = [value for value in check.__globals__.values() if isinstance(value, set)]
    assert [1024] == [len(names) for names in kept]


def test_names_and_values_of_a_schema_are_never_code() -> None:
    """A schema cannot smuggle Python into the generated function."""
    evil = '"]; import os #'
    check = compiled({"properties": {evil: {"const": evil}}, "required": [evil], "additionalProperties": False})
    assert check({evil: evil})
    assert not check({evil: 1})


@pytest.mark.parametrize("name", ["decision_request.v0.schema.json", "decision_record.v0.schema.json"])
def test_shipped_schemas_compile(name: str) -> None:
    """The schemas that are checked on the way in use only what is known."""
    assert compile_schema(name, _resources.schema)({}) is False
