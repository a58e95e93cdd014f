"""
Checking documents against the schemas that ship with Lumyn: fast yes or no, and explained problems.
A generated function says yes; `jsonschema`, imported only then, says what is wrong. Must not know what fields mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from lumyn import _resources
from lumyn.documents.pointers import join_pointer
from lumyn.documents.schema_codes import BY_KEYWORD, BY_PLACE
from lumyn.documents.schema_compiler import Checker, compile_schema
from lumyn.errors import Problem
from lumyn.model import JsonObject, JsonValue

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

__all__ = ["check", "checker", "problems"]

_MAX_PROBLEMS: Final = 50
_TYPE_NAMES: Final = {
    "array": "a list",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


@cache
def checker(schema_file: str) -> Checker:
    """
    Return the function that says whether a value is valid, compiled once for each schema.

    Raises:
        InstallationError: No such schema ships with Lumyn.
        UnsupportedSchemaError: The schema uses a keyword whose meaning the compiler does not know.
    """
    return compile_schema(schema_file, _resources.schema)


def check(schema_file: str, value: JsonValue) -> bool:
    """Return whether `value` is valid; see `checker` for what can be raised."""
    return checker(schema_file)(value)


def problems(schema_file: str, value: JsonValue) -> list[Problem]:
    """
    Return what is wrong with `value`, at most 50 problems; none exactly when `check` says yes.

    Every problem has a code and the pointer of the offending, missing or unknown field. Messages name fields and what
    the schema demands; they never repeat a value.
    """
    if check(schema_file, value):
        return []
    found: dict[tuple[str, str], Problem] = {}
    for error in islice(_validator(schema_file).iter_errors(value), _MAX_PROBLEMS):
        for problem in _explain(error):
            found.setdefault((problem.code, problem.pointer), problem)
    if not found:
        # The two must agree; where they do not, the strict answer stands.
        return [Problem(code="VALUE_INVALID", message="does not match the schema")]
    return list(found.values())[:_MAX_PROBLEMS]


@cache
def _validator(schema_file: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    def retrieve(uri: str) -> Resource[Any]:
        # Never the network: every schema that a `$ref` can name ships with Lumyn.
        return Resource.from_contents(_resources.schema(uri.rpartition("/")[2]))

    registry = Registry(retrieve=retrieve)  # type: ignore[call-arg]  # attrs renames it, which mypy does not see
    return Draft202012Validator(_resources.schema(schema_file), registry=registry)


@cache
def _places() -> Mapping[int, str]:
    """Identity of each subschema -> `<file>#<pointer>`; the schemas are kept for good, so identities stay theirs."""
    places: dict[int, str] = {}

    def visit(part: JsonValue, place: str) -> None:
        if isinstance(part, dict):
            places[id(part)] = place
            for key, item in part.items():
                visit(item, join_pointer(place, key))
        elif isinstance(part, list):
            for index, item in enumerate(part):
                visit(item, join_pointer(place, index))

    for path in sorted((_resources.data_root() / "schemas").glob("*.schema.json")):
        visit(_resources.schema(path.name), f"{path.name}#")
    return places


def _explain(error: ValidationError) -> Iterator[Problem]:
    """Yield the problems behind one violation, in our codes and words."""
    if error.context and (chosen := _closest(list(error.context))):
        for inner in chosen:
            yield from _explain(inner)
        return
    keyword = str(error.validator)
    pointer = join_pointer("", *error.absolute_path)
    if keyword == "required":
        for name in cast("list[str]", error.validator_value):
            if name not in cast("JsonObject", error.instance):
                yield _problem(error, keyword, join_pointer(pointer, name))
    elif keyword == "additionalProperties":
        from difflib import get_close_matches

        schema = cast("dict[str, dict[str, object]]", error.schema)
        known, patterns = list(schema.get("properties", {})), list(schema.get("patternProperties", {}))
        for name in cast("JsonObject", error.instance):
            if name not in known and not any(re.search(pattern, name) for pattern in patterns):
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean `{close[0]}`?" if close else None
                yield _problem(error, keyword, join_pointer(pointer, name), hint=hint)
    elif "propertyNames" in error.absolute_schema_path:
        yield _problem(error, keyword, join_pointer(pointer, str(error.instance)))
    else:
        yield _problem(error, keyword, pointer)


def _closest(context: list[ValidationError]) -> list[ValidationError]:
    """Return the violations of the one alternative of an `anyOf` that the value seems to mean, or nothing."""
    branches: dict[object, list[ValidationError]] = {}
    for error in context:
        branches.setdefault(error.schema_path[0], []).append(error)
    # An alternative whose type or tag already differs is not what was meant.
    meant = [
        errors
        for errors in branches.values()
        if not any(error.validator in {"type", "const", "enum"} and len(error.path) <= 1 for error in errors)
    ]
    return meant[0] if len(meant) == 1 else []


def _problem(error: ValidationError, keyword: str, pointer: str, *, hint: str | None = None) -> Problem:
    place = f"{_places().get(id(error.schema), '')}/{keyword}"
    code, message = BY_PLACE.get(place) or BY_KEYWORD.get(keyword, ("VALUE_INVALID", "is not valid"))
    return Problem(
        code=code, message=message.replace("{}", _demand(keyword, error.validator_value)), pointer=pointer, hint=hint
    )


def _demand(keyword: str, value: object) -> str:
    if keyword == "type":
        names = value if isinstance(value, list) else [value]
        return " or ".join(_TYPE_NAMES.get(str(name), str(name)) for name in names)
    if keyword == "enum" and isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return _shown(value) if keyword == "const" else str(value)


def _shown(value: object) -> str:
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"
