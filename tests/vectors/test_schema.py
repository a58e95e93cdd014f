"""`vector.v0.schema.json`: what editors complete from, and the shape that the loader accepts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from vector_suites import HEAD, Root

from lumyn import _resources
from lumyn.documents.schema import check
from lumyn.model import JsonValue, Label, Mode, Stage, Verdict
from lumyn.vectors.cases import VECTOR_KEYS
from lumyn.vectors.expect import LIST_OPERATORS, SCALAR_OPERATORS
from lumyn.vectors.expectations import EXPECT_KEYS
from lumyn.vectors.format import Cause, StorageFault
from lumyn.vectors.loader import _SINGLE_KEYS, _SUITE_KEYS
from lumyn.vectors.steps import VERBS

FILE = "vector.v0.schema.json"


@pytest.fixture(scope="module")
def definitions() -> dict:
    """The definitions of the schema."""
    return _resources.schema(FILE)["$defs"]


def objects(schema: JsonValue, place: str = "") -> Iterator[tuple[str, dict]]:
    """Yield every subschema that names properties."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield place, schema
        for key, below in schema.items():
            yield from objects(below, f"{place}/{key}")
    elif isinstance(schema, list):
        for index, below in enumerate(schema):
            yield from objects(below, f"{place}/{index}")


def test_every_property_is_described(definitions: dict) -> None:
    """An editor shows it while the file is written."""
    bare = [
        f"{place}/{name}"
        for place, schema in objects(definitions)
        for name, below in schema["properties"].items()
        if "description" not in below and "$ref" not in below
    ]
    assert [] == bare


def test_it_is_closed_everywhere_but_for_free_keys(definitions: dict) -> None:
    """Requests and records are checked elsewhere; everything else has no room for a misspelt key."""
    open_ones = [place for place, schema in objects(definitions) if schema.get("additionalProperties") is not False]
    assert ["/request", "/expect/properties/record"] == [place.removesuffix("/anyOf/0") for place in open_ones]


def test_it_names_what_the_loader_reads(definitions: dict) -> None:
    """One table of keys each; the schema and the code agree."""
    assert set(_SUITE_KEYS) == set(definitions["suite"]["properties"])
    assert set(_SINGLE_KEYS) == set(definitions["single"]["properties"])
    assert set(VECTOR_KEYS) == set(definitions["case"]["properties"])
    assert set(EXPECT_KEYS) == set(definitions["expect"]["properties"])
    assert {*VERBS, "expect"} == set(definitions["step"]["properties"])
    assert set(SCALAR_OPERATORS) == set(definitions["number"]["anyOf"][1]["properties"])
    lists = definitions["expect"]["properties"]["queries"]["anyOf"][1]
    assert set(LIST_OPERATORS) == set(lists["properties"])


def test_it_names_the_same_values(definitions: dict) -> None:
    """Enumerations of the code and of the schema agree."""
    assert [*Verdict] == definitions["verdict"]["enum"]
    assert [*Stage] == definitions["stage"]["enum"]
    assert [*Label] == definitions["label"]["enum"]
    assert [*Mode, None] == definitions["case"]["properties"]["mode"]["enum"]
    assert {*StorageFault} == set(definitions["step"]["properties"]["fault"]["properties"]["storage"]["enum"])
    causes = definitions["expect"]["properties"]["changed_from"]["properties"]["because"]["enum"]
    assert {*Cause} == set(causes)


GOOD = {
    "plain": "- { name: one, request: { $use: small }, expect: { verdict: TRUST } }",
    "nulls": (
        "- { name: one, skip: null, xfail: null, mode: null, tags: null, request: { $use: small }, "
        "expect: { verdict: TRUST } }"
    ),
    "free keys": "- { name: one, x-ticket: 7, request: { $use: small }, expect: { verdict: TRUST, x-why: [a] } }",
    "operators": (
        "- { name: one, request: { $use: small }, expect: { verdict: { in: [TRUST, ESCALATE] }, "
        "reason_codes: { contains: [ACME_SMALL], excludes: [ACME_LARGE] }, matched_rules: { any_order: [R050] }, "
        "queries: { is_empty: true }, risk_signals: { uncertainty_score: { between: [0, 0.5] } } } }"
    ),
    "errors": (
        "- { name: one, request: { $use: small }, "
        "expect: { error: { reason_code: INVALID_REQUEST_SCHEMA, problems: { contains: [TYPE_INVALID] } } } }"
    ),
    "memory": (
        "- { name: one, request: { $use: small }, memory: [{ label: near_miss, request: { $use: small } }], "
        "marks: [slow], tags: [a.b], xfail: { reason: x, until: '2026-01-01' }, expect: { verdict: TRUST } }"
    ),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_what_the_loader_accepts_the_schema_accepts(suite_root: Root, text: str) -> None:
    """The reverse is tested beside each error."""
    assert [] == suite_root.problems(text)
    assert suite_root.valid(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (HEAD, True),
        ("schema_version: vector.v0\nrequest: { tenant: { tenant_id: a } }\n", True),
        ("policy: policies/p.yml\n", False),
        ("schema_version: vector.v0\ntable: { columns: [id], rows: [[a]] }\n", True),
        ("schema_version: vector.v0\nvectors: []\n", False),
        ("schema_version: vector.v0\nvectors: [{ name: a }]\nrequest: {}\n", False),
        ("schema_version: vector.v0\nkind: x\n", False),
        ("[]", False),
    ],
)
def test_files(suite_root: Root, text: str, valid: bool) -> None:
    """A suite, one vector, and the defaults of a folder."""
    assert valid is suite_root.valid(text, head="")


def test_a_final_line_feed_is_not_part_of_a_name() -> None:
    """Regular expressions of some dialects let one pass."""
    vector = {"name": "one\n", "request": {}, "expect": {"verdict": "TRUST"}}
    assert not check(FILE, {"schema_version": "vector.v0", "vectors": [vector]})


def test_every_file_of_the_shipped_vectors_is_valid(root: Path) -> None:
    """Defaults included."""
    from lumyn.documents import load

    files = [path for path in sorted((root / "vectors").rglob("*")) if path.suffix in {".yaml", ".yml", ".json"}]
    documents = {path: load(path.read_bytes(), file=path.name).value for path in files}
    ours = {
        path: value
        for path, value in documents.items()
        if isinstance(value, dict) and value.get("schema_version") == "vector.v0"
    }
    assert ours
    assert [] == [path.name for path, value in ours.items() if not check(FILE, value)]
