"""
Reads a vector file into a `Suite`, with everything wrong in it said at once.
Must not know how vectors are run or reported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final, Protocol

from lumyn.documents import Document, join_pointer, load
from lumyn.errors import InvalidVectorError, Problem, Span
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.checks import kind_of, quoted
from lumyn.policy.loader import load_policy
from lumyn.policy.spec import Policy
from lumyn.vectors.cases import VECTOR_KEYS, Base, Case, expand
from lumyn.vectors.checks import check_columns
from lumyn.vectors.findings import FREE_PREFIX, Findings, usable_id
from lumyn.vectors.fixtures import Fixture, Piece, Scope, Written
from lumyn.vectors.format import ID_PATTERN, SCHEMA_VERSION, Suite, Vector
from lumyn.vectors.merge import merge
from lumyn.vectors.origins import Layer
from lumyn.vectors.reading import FileContext, VectorReader
from lumyn.vectors.sources import Parse, Sources, bytes_digest, display_name

__all__ = ["load_suite", "parse_suite", "unused_shared_fixtures"]

_INHERITED: Final = ("policy", "clock", "mode", "marks", "tags")
_SUITE_KEYS: Final = ("schema_version", "suite", "why", *_INHERITED, "fixtures", "vectors")
_SINGLE_KEYS: Final = ("schema_version", "suite", "fixtures", *VECTOR_KEYS)
_DEFAULTS_KEYS: Final = (
    "schema_version",
    "fixtures",
    *(key for key in VECTOR_KEYS if key not in {"name", "status", "steps", "table"}),
)
_MERGED: Final = tuple(
    key for key in _DEFAULTS_KEYS if key not in {"schema_version", "fixtures", "why", "request", "expect"}
)
_UNNAMED: Final = "unnamed"
"""What a vector without a usable name is read as; its file is refused, so that nobody sees it."""

_NOT_IN_VECTOR: Final = frozenset({"schema_version", "suite", "fixtures"})


def load_suite(
    path: Path,
    *,
    root: Path,
    policy_override: Policy | Path | None = None,
    file: str | None = None,
    parse: Parse = load,
    open_expectations: bool = False,
    revising: bool = False,
) -> Suite:
    """
    Return the vectors of the file at `path`.

    A vector that is wrong by itself is returned with its `problems` and fails when it is run; the others stay usable.

    Args:
        root: The suite root: policies and golden records are named relative to it, and nothing outside is read.
        policy_override: Decides every vector in place of the policy it names.
        file: What messages and node ids call the file; its path below the root when None.
        parse: Parses the file and the `_defaults` files above it; a cache can stand here.
        open_expectations: Let a decision stand that expects nothing yet. It drifts whatever comes out.
        revising: Let an expectation stand that no decision can meet any more, to be rewritten. It drifts as well.

    Raises:
        InvalidVectorError: The file cannot be used: it is not strict YAML or JSON, not of this schema, leads outside
            the root, names two vectors alike, declares what nobody uses. Carries the problems of all its vectors too.
        InvalidPolicyError: `policy_override` is a path to a policy that cannot be used.
    """
    sources = Sources(root, parse)
    name = file or display_name(path, sources.root)
    data = sources.read(path)
    document = sources.parse(data, file=name)
    digest = bytes_digest(data)
    loader = _Loader(document, Path(os.path.abspath(path)), sources, _override(policy_override), digest)
    return loader.load(open_expectations=open_expectations, revising=revising)


def parse_suite(
    document: Document,
    *,
    path: Path,
    root: Path,
    policy_override: Policy | Path | None = None,
    parse: Parse = load,
    open_expectations: bool = False,
    revising: bool = False,
) -> Suite:
    """
    Return the vectors of a document that something else has read, as `load_suite` does; `path` is where it stands.

    Raises:
        InvalidVectorError: As `load_suite`.
        InvalidPolicyError: As `load_suite`.
    """
    digest = bytes_digest(document.text.encode("utf-8", "surrogatepass"))
    place = Path(os.path.abspath(path))
    loader = _Loader(document, place, Sources(root, parse), _override(policy_override), digest)
    return loader.load(open_expectations=open_expectations, revising=revising)


class SharesFixtures(Protocol):
    """What a suite says of fixtures that others may use too; see `Suite`."""

    @property
    def shared(self) -> Mapping[tuple[str, str, str], Span]: ...

    @property
    def shared_used(self) -> frozenset[tuple[str, str, str]]: ...


def unused_shared_fixtures(suites: Iterable[SharesFixtures]) -> tuple[Problem, ...]:
    """
    Return a problem for each fixture of a `_defaults` file that no suite uses, sorted by position.

    Ask it of all suites below the folder of the `_defaults` file; a part of them cannot tell.
    """
    declared: dict[tuple[str, str, str], Span] = {}
    used: set[tuple[str, str, str]] = set()
    for suite in suites:
        declared.update(suite.shared)
        used |= suite.shared_used
    left = {key: span for key, span in declared.items() if key not in used}
    return tuple(_unused(kind, name, span) for (_, kind, name), span in sorted(left.items(), key=lambda item: item[1]))


def _override(policy: Policy | Path | None) -> Policy | None:
    return policy if policy is None or isinstance(policy, Policy) else load_policy(policy)


def _unused(kind: str, name: str, span: Span, pointer: str = "") -> Problem:
    what = "request" if kind == "requests" else "memory"
    message = f"nothing uses the {what} fixture {quoted(name)}"
    return Problem(code="FIXTURE_UNUSED", message=message, span=span, pointer=pointer)


class _Loader:
    """Reads one file."""

    def __init__(self, document: Document, path: Path, sources: Sources, override: Policy | None, digest: str) -> None:
        self._document = document
        self._path = path
        self._sources = sources
        self._override = override
        self._digest = digest
        self._findings = Findings()
        self._scope = Scope(self._findings)
        self._shared: dict[tuple[str, str, str], Span] = {}

    def load(self, *, open_expectations: bool, revising: bool) -> Suite:
        head = self._head()
        defaults = self._sources.defaults(self._path)
        base = self._base(head, defaults)
        suite = self._suite_name(head)
        context = FileContext(
            file=self._document.file,
            path=self._path,
            suite=suite,
            base=base,
            scope=self._scope,
            sources=self._sources,
            override=self._override,
            open_expectations=open_expectations,
            revising=revising,
        )
        vectors = self._vectors(head, base, context)
        self._check_fixtures_used()
        self._check_policy(base)
        if self._findings.problems:
            own = (problem for vector in vectors for problem in vector.problems)
            raise InvalidVectorError(dict.fromkeys((*self._findings.problems, *own)))
        return Suite(
            file=self._document.file,
            path=self._path,
            name=suite,
            digest=self._digest,
            inputs=dict(self._sources.inputs),
            document=self._document,
            vectors=tuple(vectors),
            shared=self._shared,
            shared_used=frozenset(self._key(fixture) for fixture in self._used_fixtures() if fixture.shared),
        )

    def _head(self) -> JsonObject:
        document, value = self._document, self._document.value
        if not isinstance(value, dict):
            message = f"a vector file is an object: it begins with `schema_version: {SCHEMA_VERSION}`"
            raise InvalidVectorError([Problem(code="VECTORS_NOT_OBJECT", message=message, span=document.span(""))])
        self._check_version(value, document)
        keys = _SUITE_KEYS if "vectors" in value else _SINGLE_KEYS
        self._check_keys(value, keys, document)
        if "vectors" not in value and not value.keys() & {"request", "steps", "expect"}:
            message = "this file holds no vectors: it has neither `vectors` nor a `request`"
            hint = "name it with a leading `_` if it is not meant to"
            self._findings.add("VECTORS_EMPTY", message, document.span(""), hint=hint)
            self._findings.finish()
        return value

    def _check_version(self, value: JsonObject, document: Document) -> None:
        version = value.get("schema_version")
        if version != SCHEMA_VERSION:
            given = f", not {quoted(version)}" if isinstance(version, str) else ""
            message = f"`schema_version` must be `{SCHEMA_VERSION}`{given}"
            self._findings.add("SCHEMA_VERSION_UNSUPPORTED", message, document.span("/schema_version"))
        if isinstance(version, str) and version != SCHEMA_VERSION:
            self._findings.finish()  # held to the rules of another version, all of it would look wrong

    def _check_keys(self, value: JsonObject, keys: tuple[str, ...], document: Document) -> None:
        for key in value:
            if key not in keys and not key.startswith(FREE_PREFIX):
                pointer = join_pointer("", key)
                hint = self._findings.near(key, keys)
                if key in _SINGLE_KEYS:
                    hint = f"`{key}` belongs into a vector"
                span = document.key_span(pointer)
                self._findings.add("FIELD_UNKNOWN", f"unknown key {quoted(key)}", span, pointer=pointer, hint=hint)

    def _base(self, head: JsonObject, defaults: list[Document]) -> Base:
        """Return what every vector starts from; declares the fixtures on the way."""
        document = self._document
        if "fixtures" in head:
            self._scope.declare(Written(head["fixtures"], document, "/fixtures"), shared=False)
        values: list[tuple[Document, JsonObject]] = []
        for each in defaults:
            value = self._defaults_value(each)
            values.append((each, value))
            if "fixtures" in value:
                self._scope.declare(Written(value["fixtures"], each, "/fixtures"), shared=True)
        self._note_shared()
        self._scope.resolve_all()
        merged: JsonObject = {}
        request, expect = Piece({}, ()), Piece({}, ())
        for each, value in reversed(values):
            merged = merge(merged, {key: value[key] for key in _MERGED if key in value})
            if "request" in value:
                place = Written(value["request"], each, "/request")
                request = self._scope.request(place, self._findings).over(request)
            below = value.get("expect")
            if isinstance(below, dict):
                layers = (Layer(each, "/expect", (), below), *expect.layers)
                expect = Piece(merge(expect.value, below, keep_null=True), layers)
        layers = tuple(Layer(each, "", (), value) for each, value in values)
        if "vectors" in head:
            merged = merge(merged, {key: head[key] for key in _INHERITED if key in head})
            layers = (Layer(document, "", (), head), *layers)
        return Base(value=merged, request=request, expect=expect, layers=layers)

    def _defaults_value(self, document: Document) -> JsonObject:
        value = document.value
        if not isinstance(value, dict):
            message = f"defaults must be an object, not {kind_of(value)}"
            self._findings.add("TYPE_INVALID", message, document.span(""))
            return {}
        self._check_version(value, document)
        self._check_keys(value, _DEFAULTS_KEYS, document)
        return value

    def _suite_name(self, head: JsonObject) -> str:
        name = head.get("suite")
        if name is None and "suite" not in head:
            return self._path.name.partition(".")[0]
        if isinstance(name, str) and name.strip():
            return name
        self._findings.add("TYPE_INVALID", "`suite` must be a name", self._document.span("/suite"), pointer="/suite")
        return ""

    def _vectors(self, head: JsonObject, base: Base, context: FileContext) -> list[Vector]:
        read: list[tuple[Case, Vector]] = []
        for written, name in self._cases(head):
            for case in expand(written, name, base, self._scope, self._findings):
                read.append((case, VectorReader(case, context).read()))
        for _, rows in groupby(read, key=lambda pair: pair[0].name):
            check_columns(list(rows), self._findings)
        return [vector for _, vector in read]

    def _cases(self, head: JsonObject) -> Iterator[tuple[Written, str]]:
        document = self._document
        if "vectors" not in head:
            value = {key: below for key, below in head.items() if key not in _NOT_IN_VECTOR}
            name = self._name(head.get("name", self._path.name.partition(".")[0]), "/name")
            yield Written(value, document, ""), name or _UNNAMED
            return
        cases = head["vectors"]
        if not isinstance(cases, list) or not cases:
            code = "VECTORS_EMPTY" if cases == [] else "TYPE_INVALID"
            message = "`vectors` must be a list of at least one vector"
            self._findings.add(code, message, document.span("/vectors"), pointer="/vectors")
            return
        seen: dict[str, int] = {}
        for place, case in enumerate(cases):
            pointer = join_pointer("/vectors", place)
            if not isinstance(case, dict):
                message = f"a vector must be an object, not {kind_of(case)}"
                self._findings.add("TYPE_INVALID", message, document.span(pointer), pointer=pointer)
                continue
            # One without a usable name is read all the same, for what else is wrong with it and what it uses.
            name = self._case_name(case, pointer, seen)
            yield Written(case, document, pointer), name or f"{_UNNAMED}-{place}"

    def _case_name(self, case: JsonObject, pointer: str, seen: dict[str, int]) -> str | None:
        span = self._document.span(pointer)
        if "name" not in case:
            message = "this vector has no name"
            hint = "a name stays when vectors move; numbers would not"
            self._findings.add("FIELD_MISSING", message, span, pointer=pointer, hint=hint)
            return None
        where = join_pointer(pointer, "name")
        name = self._name(case["name"], where)
        if name is None:
            return None
        span = self._document.span(where)
        if name in seen:
            message = f"two vectors are called {quoted(name)}; the first is on line {seen[name]}"
            self._findings.add("CASE_ID_DUPLICATE", message, span, pointer=where)
            return None
        seen[name] = span.line
        return name

    def _name(self, name: JsonValue, pointer: str) -> str | None:
        if isinstance(name, str) and ID_PATTERN.fullmatch(name):
            return name
        span = self._document.span(pointer)
        if not isinstance(name, str):
            message = f"a name must be a string, not {kind_of(name)}"
            self._findings.add("TYPE_INVALID", message, span, pointer=pointer, hint="quote it")
            return None
        message = f"{quoted(name)} is not a vector name: it does not match `^{ID_PATTERN.pattern}$`"
        self._findings.add("FIELD_PATTERN", message, span, pointer=pointer, hint=usable_id(name))
        return None

    def _note_shared(self) -> None:
        for fixture in self._scope.fixtures.values():
            if fixture.shared:
                written = fixture.written
                self._shared[self._key(fixture)] = written.document.key_span(written.pointer)

    def _key(self, fixture: Fixture) -> tuple[str, str, str]:
        return fixture.written.document.file, fixture.kind, fixture.name

    def _used_fixtures(self) -> list[Fixture]:
        fixtures = self._scope.fixtures
        return [fixtures[key] for key in self._scope.used if key in fixtures]

    def _check_fixtures_used(self) -> None:
        for key, fixture in self._scope.fixtures.items():
            if not fixture.shared and key not in self._scope.used:
                written = fixture.written
                span = written.document.key_span(written.pointer)
                self._findings.problems.append(_unused(fixture.kind, fixture.name, span, written.pointer))

    def _check_policy(self, base: Base) -> None:
        """A policy that the whole file rests on and that cannot be used is a problem of the file."""
        name = base.value.get("policy")
        if self._override is None and isinstance(name, str) and name.strip():
            span = next((layer for layer in base.layers if "policy" in _keys(layer.value)), None)
            if span is not None:
                self._sources.policy(name, span.document.span("/policy"), self._findings)


def _keys(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
