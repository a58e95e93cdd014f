"""
Named requests and memory items of a suite, and how a vector uses them with `$use` and `$with`.
Returns plain requests with the places they were written; must not know what is expected of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from lumyn.documents import Document, join_pointer
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.checks import kind_of, quoted
from lumyn.vectors.findings import FREE_PREFIX, Findings
from lumyn.vectors.format import ID_PATTERN
from lumyn.vectors.merge import PathError, literal, merge_request, parse_path, put
from lumyn.vectors.origins import Layer, VectorPath

__all__ = ["KINDS", "Fixture", "Piece", "Scope", "Written", "finish_request", "put_request"]

KINDS: Final = ("requests", "memory")

_USE: Final = "$use"
_WITH: Final = "$with"

# What every request needs and no rule of a policy decides by: a vector that leaves one out means these. The digest is
# that of an empty object (RFC 8785, sha256).
_BUILT_IN: Final[JsonObject] = {
    "schema_version": "decision_request.v0",
    "subject": {"type": "service", "id": "lumyn-vectors"},
    "context": {
        "mode": "digest_only",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    },
}


@dataclass(frozen=True, slots=True)
class Written:
    """A value where it stands in a file."""

    value: JsonValue
    document: Document
    pointer: str


@dataclass(frozen=True, slots=True)
class Fixture:
    """A named request or memory item; `shared` when it comes from a `_defaults` file."""

    kind: str
    name: str
    written: Written
    shared: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A resolved part of a vector; the mounts of its layers are relative to the part, nearest layer first."""

    value: JsonObject
    layers: tuple[Layer, ...]

    def mounted(self, at: VectorPath) -> tuple[Layer, ...]:
        """Return the layers as parts of a whole in which this piece stands at `at`."""
        return tuple(Layer(layer.document, layer.pointer, at + layer.mount, layer.value) for layer in self.layers)

    def over(self, base: Piece) -> Piece:
        """Return this piece laid over `base`, as layers of a request are."""
        return Piece(merge_request(base.value, self.value), self.layers + base.layers)


_EMPTY: Final = Piece({}, ())
_Key: TypeAlias = "tuple[str, str]"


def put_request(request: JsonObject, path: VectorPath, value: JsonValue) -> JsonObject:
    """Return `request` with `value` at `path`; a null at the top level leaves the member out for good."""
    if value is None and len(path) == 1:
        return {**request, str(path[0]): None}
    return put(request, path, value)


def finish_request(request: JsonObject) -> JsonObject:
    """Return a merged request with the built-in defaults for what nobody wrote, and without what a null left out."""
    finished: JsonObject = {key: value for key, value in request.items() if value is not None}
    for key, value in _BUILT_IN.items():
        if key not in request:
            finished[key] = value
    return finished


class Scope:
    """
    The fixtures a file can use: its own, and those of the `_defaults` files above it; nearer names win.

    Attributes:
        used: Kind and name of every fixture something refers to.
        findings: Receives the problems of the fixtures themselves.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.used: set[_Key] = set()
        self.fixtures: dict[_Key, Fixture] = {}
        self._requests: dict[str, Piece] = {}
        self._open: list[str] = []

    def declare(self, written: Written, *, shared: bool) -> None:
        """Add the fixtures of one file; call it for the nearest file first."""
        block = self._mapping(written)
        if block is None:
            return
        for kind, below in block.items():
            pointer = join_pointer(written.pointer, kind)
            if kind.startswith(FREE_PREFIX):
                continue
            if kind not in KINDS:
                span = written.document.key_span(pointer)
                hint = self.findings.near(kind, KINDS)
                message = f"unknown key {quoted(kind)} in `fixtures`"
                self.findings.add("FIELD_UNKNOWN", message, span, pointer=pointer, hint=hint)
                continue
            for name, value in (self._mapping(Written(below, written.document, pointer)) or {}).items():
                self._declare_one(kind, name, Written(value, written.document, join_pointer(pointer, name)), shared)

    def _declare_one(self, kind: str, name: str, written: Written, shared: bool) -> None:
        if not ID_PATTERN.fullmatch(name):
            message = f"{quoted(name)} is not a fixture name: it does not match `^{ID_PATTERN.pattern}$`"
            span = written.document.key_span(written.pointer)
            self.findings.add("FIELD_PATTERN", message, span, pointer=written.pointer)
        self.fixtures.setdefault((kind, name), Fixture(kind, name, written, shared))

    def resolve_all(self) -> None:
        """Resolve every request fixture once, so that a broken one is reported however it is used."""
        for kind, name in list(self.fixtures):
            if kind == "requests":
                self._request(name)

    def memory(self, name: str) -> Fixture | None:
        """Return a memory fixture and count it as used, or None when there is none of that name."""
        self.used.add(("memory", name))
        return self.fixtures.get(("memory", name))

    def names(self, kind: str) -> list[str]:
        """Return the names of all fixtures of a kind."""
        return [name for each, name in self.fixtures if each == kind]

    def request(self, written: Written, findings: Findings) -> Piece:
        """Return the request written at one place, with what it uses; problems go to `findings`."""
        value = written.value
        if not isinstance(value, dict):
            _add(findings, "TYPE_INVALID", f"a request must be an object, not {kind_of(value)}", written)
            return _EMPTY
        if _USE not in value and _WITH not in value:
            _refuse_nested(value, written, findings)
            return Piece(merge_request({}, value), (Layer(written.document, written.pointer, (), value),))
        return self._used_request(value, written, findings)

    def _used_request(self, value: JsonObject, written: Written, findings: Findings) -> Piece:
        for key in value:
            if key not in {_USE, _WITH}:
                hint = f"write it as `{_WITH}: {{{key}: ...}}`" if ID_PATTERN.fullmatch(key) else None
                _add(findings, "FIELD_UNKNOWN", f"unknown key {quoted(key)} beside `{_USE}`", written, key, hint=hint)
        name = value.get(_USE)
        if not isinstance(name, str):
            message = f"`{_USE}` must name a request fixture"
            _add(findings, "FIELD_MISSING" if _USE not in value else "TYPE_INVALID", message, written, _USE)
            return _EMPTY
        self.used.add(("requests", name))
        if ("requests", name) not in self.fixtures:
            hint = findings.near(name, self.names("requests"))
            _add(findings, "FIXTURE_UNKNOWN", f"no request fixture is called {quoted(name)}", written, _USE, hint=hint)
            return _EMPTY
        if name in self._open:
            path = " -> ".join(quoted(each) for each in (*self._open[self._open.index(name) :], name))
            _add(findings, "FIXTURE_CYCLE", f"request fixtures use one another in a circle: {path}", written, _USE)
            return _EMPTY
        return self._with(self._request(name), value.get(_WITH, {}), written, findings)

    def _with(self, used: Piece, changes: JsonValue, written: Written, findings: Findings) -> Piece:
        pointer = join_pointer(written.pointer, _WITH)
        if not isinstance(changes, dict):
            message = f"`{_WITH}` must be an object, not {kind_of(changes)}"
            _add(findings, "TYPE_INVALID", message, written, _WITH)
            return used
        _refuse_nested(changes, Written(changes, written.document, pointer), findings)
        request, layers = used.value, list(used.layers)
        for text, value in changes.items():
            try:
                path = parse_path(text)
                request = put_request(request, path, value)
            except PathError as error:
                message = f"{quoted(text)} cannot be set: {error}"
                _add(findings, "PATH_INVALID", message, Written(None, written.document, pointer), text)
            else:
                layers.insert(0, Layer(written.document, join_pointer(pointer, text), path, value))
        return Piece(request, tuple(layers))

    def _request(self, name: str) -> Piece:
        known = self._requests.get(name)
        if known is None:
            self._open.append(name)
            known = self.request(self.fixtures["requests", name].written, self.findings)
            self._open.pop()
            self._requests[name] = known
        return known

    def _mapping(self, written: Written) -> JsonObject | None:
        if isinstance(written.value, dict):
            return written.value
        _add(self.findings, "TYPE_INVALID", f"fixtures must be an object, not {kind_of(written.value)}", written)
        return None


def _refuse_nested(value: JsonObject | list[JsonValue], written: Written, findings: Findings) -> None:
    """Record a `$use` that stands inside a request, where it would be sent as data; `{$value: x}` says that x is."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in items:
        held = Written(below, written.document, join_pointer(written.pointer, str(key)))
        if not isinstance(below, (dict, list)) or literal(below) is not below:
            continue
        if isinstance(below, dict) and _USE in below:
            message = f"`{_USE}` stands for a whole request, not for a part of one"
            _add(findings, "FIELD_UNKNOWN", message, held, _USE)
        _refuse_nested(below, held, findings)


def _add(
    findings: Findings, code: str, message: str, written: Written, key: str | None = None, *, hint: str | None = None
) -> None:
    document = written.document
    if key is None:
        span, pointer = document.span(written.pointer), written.pointer
    else:
        pointer = join_pointer(written.pointer, key)
        span = document.key_span(pointer)
    findings.add(code, message, span, pointer=pointer, hint=hint)
