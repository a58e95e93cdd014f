"""
Compiles a JSON Schema (draft 2020-12) into one Python function that answers yes or no.
Knows the keywords Lumyn's schemas use and refuses every other; must not know what the documents mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, cast

from lumyn.documents.plain_names import blank_ends
from lumyn.documents.pointers import pointer_tokens
from lumyn.model import JsonObject, JsonValue

__all__ = ["Checker", "UnsupportedSchemaError", "compile_schema", "resolve"]

Checker: TypeAlias = Callable[[JsonValue], bool]
Load: TypeAlias = Callable[[str], JsonObject]

_ID_PREFIX: Final = "https://lumyn.dev/schemas/"
_ANNOTATIONS: Final = frozenset(
    {"$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples", "deprecated", "format"}
)
_BY_TYPE: Final[dict[str, frozenset[str]]] = {
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems"}),
    "object": frozenset(
        {
            "additionalProperties",
            "dependentRequired",
            "maxProperties",
            "minProperties",
            "patternProperties",
            "properties",
            "propertyNames",
            "required",
        }
    ),
}
_ANY_TYPE: Final = frozenset({"type", "const", "enum", "$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"})
_KNOWN: Final = _ANNOTATIONS | _ANY_TYPE | frozenset().union(*_BY_TYPE.values())

# A referred schema without these is a few lines, written in place; one with these may lead back to itself.
_NESTING: Final = (_BY_TYPE["object"] | _BY_TYPE["array"] | _ANY_TYPE) - {"type", "const", "enum", "not"}

_IS_TYPE: Final = {
    "null": "{0} is None",
    "boolean": "type({0}) is bool",
    "integer": "type({0}) is int or type({0}) is float and {0}.is_integer()",
    "number": "type({0}) is int or type({0}) is float",
    "string": "type({0}) is str",
    "array": "type({0}) is list",
    "object": "type({0}) is dict",
}
_BOUNDS: Final = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}

# An end anchor that a final line feed slips past, and classes that Python and ECMA-262 read differently.
_LOOSE_END: Final = re.compile(r"(?<!\\)(?:\\\\)*\$(?!\(\?!\\n\))")
_UNICODE_CLASS: Final = re.compile(r"(?<!\\)(?:\\\\)*\\[dDwWsSbBAZ]")
_NAMES_KEPT: Final = 1024
_SUBSCRIPT: Final = re.compile(r"^ *v[0-9]+ = v[0-9]*\[")


class UnsupportedSchemaError(ValueError):
    """A schema uses something whose meaning this compiler does not know, or does not trust."""


def compile_schema(name: str, load: Load) -> Checker:
    """
    Return a function that says whether a value of plain JSON data is valid.

    Args:
        name: File name of the schema.
        load: Returns the schema of a file name; called for `name` and for every file a `$ref` names.

    Raises:
        UnsupportedSchemaError: A keyword is unknown; a pattern has a `$` that lets a final line feed pass, or a class
            that regular expression dialects read differently.
    """
    return _Compiler(load).compile(name)


def resolve(reference: str, file: str, load: Load) -> tuple[str, str, JsonValue]:
    """Return file name, JSON Pointer and content of what a `$ref` inside of `file` names."""
    target, _, pointer = reference.partition("#")
    name = target.removeprefix(_ID_PREFIX) or file
    schema: JsonValue = load(name)
    for token in pointer_tokens(pointer):
        if not isinstance(schema, dict) or token not in schema:
            raise UnsupportedSchemaError(f"`{reference}` leads nowhere")
        schema = schema[token]
    return name, pointer, schema


class _Compiler:
    """Writes one Python function a schema that needs one; constants reach the code through its namespace only."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._lines: list[str] = []
        self._namespace: dict[str, object] = {
            "__builtins__": {"bool": bool, "dict": dict, "float": float, "int": int, "len": len, "list": list}
            | {"str": str, "type": type, "KeyError": KeyError},
            "equal": equal,
            "unique": _unique,
        }
        self._references: dict[tuple[str, str], str] = {}
        self._counter = 0

    def compile(self, name: str) -> Checker:
        """Return the function for the whole schema of a file."""
        entry = self._reference("#", name)
        exec(compile("\n".join(self._lines), f"<{name}>", "exec"), self._namespace)  # noqa: S102 - generated above
        return cast("Checker", self._namespace[entry])

    def _fresh(self, prefix: str) -> str:
        self._counter += 1
        return f"{prefix}{self._counter}"

    def _constant(self, value: object) -> str:
        name = self._fresh("K")
        self._namespace[name] = value
        return name

    def _reference(self, reference: str, file: str) -> str:
        """Return the name of the function for a `$ref`, compiling it when it is new; recursion is fine."""
        target_file, pointer, schema = resolve(reference, file, self._load)
        known = self._references.get((target_file, pointer))
        if known is None:
            known = self._references[target_file, pointer] = self._fresh("f")
            self._function(known, schema, target_file)
        return known

    def _function(self, name: str, schema: JsonValue, file: str) -> str:
        body = [*self._check(schema, "v", file), "return True"]
        if any(_SUBSCRIPT.search(line) for line in body):
            # A required member that is not there: an exception that does not come costs nothing.
            body = ["try:", *_block(body), "except KeyError: return False"]
        self._lines += [f"def {name}(v):", *_block(body)]
        return name

    def _holds(self, schema: JsonValue, var: str, file: str) -> str:
        """Return an expression for a subschema whose outcome is needed as a value."""
        if isinstance(schema, dict) and schema.keys() - _ANNOTATIONS == {"type", "pattern"}:
            if schema["type"] == "string":
                return f"(type({var}) is str and {self._pattern(str(schema['pattern']))}({var}) is not None)"
        if isinstance(schema, dict) and schema.keys() - _ANNOTATIONS == {"$ref"}:
            return f"{self._reference(str(schema['$ref']), file)}({var})"
        return f"{self._function(self._fresh('f'), schema, file)}({var})"

    def _check(self, schema: JsonValue, var: str, file: str) -> Iterator[str]:
        """Yield lines that return False from the function around them unless `var` is valid."""
        if schema is True:
            return
        if not isinstance(schema, dict):
            yield "return False"
            return
        if unknown := set(schema) - _KNOWN:
            raise UnsupportedSchemaError(f"unknown keywords in `{file}`: {', '.join(sorted(unknown))}")
        ends = blank_ends(schema, _ANNOTATIONS)
        if ends is not None:
            yield from self._name(schema, var, ends)
            return
        if "const" in schema:
            yield from self._enum([schema["const"]], var)
        if "enum" in schema:
            yield from self._enum(_list(schema["enum"]), var)
        yield from self._typed(schema, var, file)
        if "$ref" in schema:
            yield from self._referred(str(schema["$ref"]), var, file)
        yield from self._combined(schema, var, file)

    def _referred(self, reference: str, var: str, file: str) -> Iterator[str]:
        target_file, _, schema = resolve(reference, file, self._load)
        if isinstance(schema, dict) and not set(schema) & _NESTING:
            yield from self._check(schema, var, target_file)
        else:
            yield f"if not {self._reference(reference, file)}({var}): return False"

    def _enum(self, values: list[JsonValue], var: str) -> Iterator[str]:
        if all(type(value) is str for value in values):
            yield f"if type({var}) is not str or {var} not in {self._constant(frozenset(cast('list[str]', values)))}:"
        else:
            members = [self._equals(value, var) for value in values]
            yield f"if not ({' or '.join(members)}):"
        yield "    return False"

    def _equals(self, value: JsonValue, var: str) -> str:
        known = self._constant(value)
        if isinstance(value, list) and all(type(item) is str for item in value):
            return f"{var} == {known}"  # nothing else is equal to a text
        return f"equal({var}, {known})"

    def _combined(self, schema: JsonObject, var: str, file: str) -> Iterator[str]:
        for part in _list(schema.get("allOf", [])):
            yield from self._check(part, var, file)
        if "anyOf" in schema:
            calls = [self._holds(part, var, file) for part in _list(schema["anyOf"])]
            yield f"if not ({' or '.join(calls)}): return False"
        if "oneOf" in schema:
            calls = [self._holds(part, var, file) for part in _list(schema["oneOf"])]
            yield f"if {' + '.join(calls)} != 1: return False"
        if "not" in schema:
            yield f"if {self._holds(schema['not'], var, file)}: return False"
        if "if" in schema:
            yield f"if {self._holds(schema['if'], var, file)}:"
            yield from _block(self._check(schema.get("then", True), var, file))
            yield "else:"
            yield from _block(self._check(schema.get("else", True), var, file))

    def _typed(self, schema: JsonObject, var: str, file: str) -> Iterator[str]:
        """Yield the check of `type` and, for each type, of the keywords that concern it."""
        given = schema.get("type")
        types = None if given is None else [str(name) for name in (given if isinstance(given, list) else [given])]
        if types is not None and (unknown := set(types) - set(_IS_TYPE)):
            raise UnsupportedSchemaError(f"unknown types in `{file}`: {', '.join(sorted(unknown))}")
        branches: list[tuple[str, list[str]]] = []
        for name in types if types is not None else list(_BY_TYPE):
            lines = list(self._keywords("number" if name == "integer" else name, schema, var, file))
            if lines or types is not None:
                branches.append((_IS_TYPE[name].format(var), lines))
        if types is not None and len(branches) == 1:
            condition, lines = branches[0]
            yield f"if not ({condition}): return False"
            yield from lines
            return
        kind = self._fresh("t")
        yield f"{kind} = type({var})"
        for place, (condition, lines) in enumerate(branches):
            yield f"{'elif' if place else 'if'} {condition.replace(f'type({var})', kind)}:"
            yield from _block(lines)
        if types is not None:
            yield "else: return False"

    def _keywords(self, name: str, schema: JsonObject, var: str, file: str) -> Iterator[str]:
        if not _BY_TYPE.get(name, frozenset()) & set(schema):
            return
        if name == "string":
            yield from self._string(schema, var)
        elif name == "number":
            for keyword, operator in _BOUNDS.items():
                if keyword in schema:
                    # Written so that a number that is not finite fails.
                    yield f"if not {var} {operator} {_number(schema[keyword])!r}: return False"
        elif name == "array":
            yield from self._array(schema, var, file)
        else:
            yield from self._object(schema, var, file)

    def _string(self, schema: JsonObject, var: str) -> Iterator[str]:
        yield from _length(schema, var, "minLength", "maxLength")
        if "pattern" in schema:
            yield f"if {self._pattern(str(schema['pattern']))}({var}) is None: return False"

    def _name(self, schema: JsonObject, var: str, ends: str) -> Iterator[str]:
        refused = self._pattern(str(_dict(schema["not"])["pattern"]))
        yield f"if type({var}) is not str: return False"
        yield from _length(schema, var, "minLength", "maxLength")
        yield f"if not ({var}.isascii() and {var}.isprintable()) or {var}[:1] in {ends!r} or {var}[-1:] in {ends!r}:"
        yield f"    if {self._pattern(str(schema['pattern']))}({var}) is None: return False"
        yield f"    if {refused}({var}) is not None: return False"

    def _pattern(self, pattern: str) -> str:
        """Return the name of the search function of a pattern, which must mean the same in every dialect."""
        if _LOOSE_END.search(pattern):
            raise UnsupportedSchemaError(f"write `$(?!\\n)` for `$` in `{pattern}`: `$` lets a final line feed pass")
        if _UNICODE_CLASS.search(pattern):
            raise UnsupportedSchemaError(f"spell out the classes in `{pattern}`: dialects read them differently")
        return self._constant(re.compile(pattern).search)

    def _array(self, schema: JsonObject, var: str, file: str) -> Iterator[str]:
        yield from _length(schema, var, "minItems", "maxItems")
        if schema.get("uniqueItems") is True:
            yield f"if not unique({var}): return False"
        item = self._fresh("v")
        lines = list(self._check(schema.get("items", True), item, file))
        if lines:
            yield f"for {item} in {var}:"
            yield from _block(lines)

    def _object(self, schema: JsonObject, var: str, file: str) -> Iterator[str]:
        yield from _length(schema, var, "minProperties", "maxProperties")
        properties = _dict(schema.get("properties", {}))
        required = [str(name) for name in _list(schema.get("required", []))]
        for name in required:
            if name not in properties:
                yield f"if {name!r} not in {var}: return False"
        for name, needed in _dict(schema.get("dependentRequired", {})).items():
            absent = " or ".join(f"{other!r} not in {var}" for other in _list(needed)) or "False"
            yield f"if {name!r} in {var} and ({absent}): return False"
        closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
        count = self._fresh("n")
        if closed:
            yield f"{count} = {sum(name in required for name in properties)}"
        for name, part in properties.items():
            yield from self._property(name, part, var, file, required=name in required, count=count if closed else "")
        if closed:
            yield f"if {count} != len({var}): return False"
        else:
            yield from self._members(schema, var, file)
        if "propertyNames" in schema:
            yield from self._names(schema["propertyNames"], var, file)

    def _property(
        self, name: str, schema: JsonValue, var: str, file: str, *, required: bool, count: str
    ) -> Iterator[str]:
        member = self._fresh("v")
        lines = list(self._check(schema, member, file))
        if lines or required:
            lines.insert(0, f"{member} = {var}[{name!r}]")
        if required:
            yield from lines
            return
        if count:
            lines.insert(0, f"{count} += 1")
        if lines:
            yield f"if {name!r} in {var}:"
            yield from _block(lines)

    def _members(self, schema: JsonObject, var: str, file: str) -> Iterator[str]:
        """Yield the check of members that `properties` does not name."""
        additional = schema.get("additionalProperties", True)
        patterns = _dict(schema.get("patternProperties", {}))
        if additional is True and not patterns:
            return
        key, item = self._fresh("k"), self._fresh("v")
        body: list[str] = []
        named = frozenset(_dict(schema.get("properties", {})))
        others = [f"{key} in {self._constant(named)}"] if named else []
        for pattern, part in patterns.items():
            search = self._pattern(pattern)
            body.append(f"if {search}({key}) is not None:")
            body += _block(self._check(part, item, file))
            others.append(f"{search}({key}) is not None")
        lines = list(self._check(additional, item, file))
        if lines and others:
            body.append(f"if not ({' or '.join(others)}):")
            lines = _block(lines)
        body += lines
        yield f"for {key}, {item} in {var}.items():"
        yield from _block(body)

    def _names(self, schema: JsonValue, var: str, file: str) -> Iterator[str]:
        # Whether a name is valid depends on the name alone, and callers send the same names again and again.
        known, key = self._constant(set()), self._fresh("k")
        holds = self._holds(schema, key, file)
        yield f"if not {known}.issuperset({var}):"
        yield f"    for {key} in {var}:"
        yield f"        if {key} not in {known}:"
        yield f"            if not {holds}: return False"
        yield f"            if len({known}) < {_NAMES_KEPT}: {known}.add({key})"


def equal(left: JsonValue, right: JsonValue) -> bool:
    """Return whether two values are equal as JSON: `1` is `1.0`, `true` is not `1`."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(item, right[key]) for key, item in left.items())
    return left == right


def _unique(items: list[JsonValue]) -> bool:
    if all(type(item) is str for item in items):
        return len(set(cast("list[str]", items))) == len(items)
    return not any(equal(item, other) for place, item in enumerate(items) for other in items[:place])


def _block(lines: Iterator[str] | list[str]) -> list[str]:
    return [f"    {line}" for line in lines] or ["    pass"]


def _length(schema: JsonObject, var: str, least: str, most: str) -> Iterator[str]:
    if least in schema:
        yield f"if len({var}) < {_number(schema[least])!r}: return False"
    if most in schema:
        yield f"if len({var}) > {_number(schema[most])!r}: return False"


def _number(value: JsonValue) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnsupportedSchemaError("a bound must be a number")
    return value


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise UnsupportedSchemaError("a list was expected")
    return value


def _dict(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise UnsupportedSchemaError("an object was expected")
    return value
