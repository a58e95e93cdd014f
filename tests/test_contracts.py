"""Everything under examples/, vectors/ and policies/ obeys the schemas, and the schemas only ever grow."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from schema_evolution import breaking_changes

from lumyn import documents
from lumyn.errors import InvalidDocumentError

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = {
    path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "schemas").glob("*.json"))
}
CONTRACTS = {name: schema for name, schema in SCHEMAS.items() if name.endswith(".schema.json")}
RELEASED = ROOT / "tests" / "data" / "released"
# Documents that Lumyn writes and others read: a required member is a promise.
WRITTEN = {"decision_record.v0.schema.json"}
# Objects that are open on purpose, with the reason.
OPEN = {
    ("vector.v0.schema.json", "#/$defs/request"): "a partial request, or one that has to be refused",
}

REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in CONTRACTS.values()
)


def validator(name: str) -> Draft202012Validator:
    """Return the reference validator of one contract; it has no way to reach the network."""
    return Draft202012Validator(CONTRACTS[name], registry=REGISTRY)


def read(path: Path) -> Any:
    """Return the content of a JSON or YAML file, read the way Lumyn reads it."""
    return documents.load(path.read_bytes(), file=str(path.relative_to(ROOT)), error=InvalidDocumentError).value


def files(*patterns: str) -> list[str]:
    """Return files by glob, relative to the checkout, without support files."""
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(ROOT).as_posix() for path in found if not path.name.startswith("_"))


def complaints(name: str, value: Any) -> list[str]:
    """Return what one contract has against a value."""
    return [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(value)]


def subschemas(schema: Any, place: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object inside a schema that is itself a schema or a map of them, with its place."""
    if isinstance(schema, dict):
        yield place, schema
        for key, value in schema.items():
            if key not in {"enum", "const", "default", "examples"}:
                yield from subschemas(value, f"{place}/{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from subschemas(value, f"{place}/{index}")


def test_the_contracts_are_all_there() -> None:
    """The contracts of v0, by file name."""
    expected = {
        "decision_request.v0.schema.json",
        "decision_record.v0.schema.json",
        "policy.v0.schema.json",
        "vector.v0.schema.json",
        "reason_codes.v0.json",
    }
    assert set() == expected - set(SCHEMAS)


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_schema_is_sound(name: str) -> None:
    """Each schema is draft 2020-12, is called what its file is called, and refers only to what ships."""
    schema = CONTRACTS[name]
    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]
    assert f"https://lumyn.dev/schemas/{name}" == schema["$id"]
    Draft202012Validator.check_schema(schema)
    resolver = REGISTRY.resolver(base_uri=schema["$id"])
    for place, part in subschemas(schema):
        if isinstance(part.get("$ref"), str):
            assert resolver.lookup(part["$ref"]), place


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_schema_uses_what_validators_agree_on(name: str) -> None:
    """Validators differ on float `multipleOf`, on Unicode classes, and on `$` before a final newline."""
    for place, part in subschemas(CONTRACTS[name]):
        assert "multipleOf" not in part, place
        pattern = part.get("pattern")
        if isinstance(pattern, str):
            assert re.search(r"\\[dDwWsSbBpPzZA]", pattern) is None, f"{place}: spell the characters out"
            assert re.search(r"(?<!\\)\$(?!\(\?!\\n\))", pattern) is None, f"{place}: write `$(?!\\n)`"


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_described_objects_are_closed(name: str) -> None:
    """An object with named members refuses others, so that a typo is an error and never ignored."""
    for place, part in subschemas(CONTRACTS[name]):
        if isinstance(part.get("properties"), dict) and part.get("type") == "object" and (name, place) not in OPEN:
            closed = {"additionalProperties", "unevaluatedProperties"} & set(part)
            assert closed, f"{place}: says nothing about other members"


@pytest.mark.parametrize("path", files("policies/**/*.y*ml", "policies/**/*.json", "examples/**/policies/**/*.y*ml"))
def test_policy_obeys_its_schema(path: str) -> None:
    """Every policy in the tree is a valid `policy.v0`."""
    assert [] == complaints("policy.v0.schema.json", read(ROOT / path))


@pytest.mark.parametrize(
    "path",
    files(
        "vectors/**/*.y*ml",
        "vectors/**/*.json",
        "examples/**/vectors/**/*.y*ml",
        "examples/**/vectors/**/*.json",
        "examples/**/*.lumyn.y*ml",
    ),
)
def test_vector_file_obeys_its_schema(path: str) -> None:
    """Every vector file in the tree is a valid `vector.v0`."""
    assert [] == complaints("vector.v0.schema.json", read(ROOT / path))


@pytest.mark.parametrize("path", files("examples/curl/*.json"))
def test_example_request_obeys_its_schema(path: str) -> None:
    """Every example request is a valid `decision_request.v0`."""
    assert [] == complaints("decision_request.v0.schema.json", read(ROOT / path))


def test_there_is_something_to_check() -> None:
    """The tests above cannot pass because a folder is empty."""
    assert len(files("policies/**/*.yml")) >= 3
    assert len(files("vectors/**/*.y*ml", "vectors/**/*.json")) >= 10
    assert len(files("examples/curl/*.json")) >= 4


@pytest.mark.parametrize("path", sorted(RELEASED.glob("*.json")), ids=lambda path: path.name)
def test_contract_only_grew_since_the_last_release(path: Path) -> None:
    """Nothing that the last release accepted or promised is gone."""
    assert path.name in SCHEMAS, "a released contract was removed"
    old, new = json.loads(path.read_text(encoding="utf-8")), SCHEMAS[path.name]
    if path.name == "reason_codes.v0.json":
        assert _codes(old).items() <= _codes(new).items()
    else:
        assert [] == list(breaking_changes(old, new, promised=path.name in WRITTEN))


def _codes(registry: dict[str, Any]) -> dict[str, str]:
    return {code: entry["kind"] for code, entry in registry["codes"].items()}


def test_every_released_contract_has_its_copy() -> None:
    """The comparison has something to compare with."""
    assert set(SCHEMAS) == {path.name for path in RELEASED.glob("*.json")}


# ---------------------------------------------------------------------------------------------------------------------
# The comparison itself: each kind of narrowing is seen, each kind of growth is let through.

BASE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["a"],
    "properties": {
        "a": {"type": ["string", "null"], "maxLength": 5, "pattern": "^[a-z]*$"},
        "b": {"type": "number", "minimum": 0},
        "c": {"enum": ["x", "y"]},
        "d": {"type": "array", "items": {"$ref": "#/$defs/e"}},
        "f": {"type": "object"},
        "g": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "$defs": {"e": {"type": "object", "additionalProperties": False, "properties": {"x": {"type": "integer"}}}},
}


def changed(edit: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Return the base schema after an edit."""
    schema = copy.deepcopy(BASE)
    edit(schema)
    return schema


NARROWER: dict[str, Callable[[dict[str, Any]], object]] = {
    "member removed": lambda s: s["properties"].pop("b"),
    "member required": lambda s: s["required"].append("b"),
    "type removed": lambda s: s["properties"]["a"].update(type="string"),
    "number to integer": lambda s: s["properties"]["b"].update(type="integer"),
    "bound tighter": lambda s: s["properties"]["a"].update(maxLength=4),
    "bound new": lambda s: s["properties"]["b"].update(maximum=10),
    "pattern changed": lambda s: s["properties"]["a"].update(pattern="^[a-y]*$"),
    "pattern new": lambda s: s["properties"]["f"].update(pattern="^a$"),
    "value removed": lambda s: s["properties"]["c"].update(enum=["x"]),
    "values closed": lambda s: s["properties"]["b"].update(enum=[1]),
    "object closed": lambda s: s["properties"]["f"].update(additionalProperties=False),
    "free member described": lambda s: s["properties"]["f"].update(properties={"z": {"type": "string"}}),
    "nested member removed": lambda s: s["$defs"]["e"]["properties"].pop("x"),
    "definition removed": lambda s: s["$defs"].pop("e"),
    "reference changed": lambda s: s["properties"]["d"]["items"].update({"$ref": "#/$defs/other"}),
    "alternative removed": lambda s: s["properties"]["g"]["anyOf"].pop(),
    "condition added": lambda s: s.update({"if": {"required": ["b"]}, "then": {"required": ["c"]}}),
    "dependency added": lambda s: s.update(dependentRequired={"b": ["c"]}),
    "conjunction added": lambda s: s.update(allOf=[{"required": ["b"]}]),
    "default changed": lambda s: s["properties"]["b"].update(default=1),
}

WIDER: dict[str, Callable[[dict[str, Any]], object]] = {
    "optional member": lambda s: s["properties"].update(h={"type": "string"}),
    "new value": lambda s: s["properties"]["c"]["enum"].append("z"),
    "bound looser": lambda s: s["properties"]["a"].update(maxLength=6),
    "bound gone": lambda s: s["properties"]["b"].pop("minimum"),
    "type added": lambda s: s["properties"]["a"].update(type=["string", "null", "boolean"]),
    "integer to number": lambda s: s["$defs"]["e"]["properties"]["x"].update(type="number"),
    "definition added": lambda s: s["$defs"].update(i={"type": "string"}),
    "alternative added": lambda s: s["properties"]["g"]["anyOf"].append({"type": "boolean"}),
    "description": lambda s: s["properties"]["a"].update(description="words"),
}


@pytest.mark.parametrize("name", sorted(NARROWER))
def test_narrowing_is_seen(name: str) -> None:
    """A change that refuses something it accepted, or that cannot be judged, is reported."""
    assert [] != list(breaking_changes(BASE, changed(NARROWER[name])))


@pytest.mark.parametrize("name", sorted(WIDER))
def test_growth_is_let_through(name: str) -> None:
    """A change that only accepts more is not reported."""
    assert [] == list(breaking_changes(BASE, changed(WIDER[name])))


def test_a_promise_may_not_be_withdrawn() -> None:
    """A required member of a written document stays required; of a read document it may become optional."""
    weaker = changed(lambda schema: schema.update(required=[]))
    assert [] == list(breaking_changes(BASE, weaker))
    assert ["#: member `a` is not promised any more"] == list(breaking_changes(BASE, weaker, promised=True))
