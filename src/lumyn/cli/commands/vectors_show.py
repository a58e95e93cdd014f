"""`lumyn vectors show`: a vector as it is run, and where each of its values was written. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config
from lumyn.errors import InvalidVectorError, NotFoundError, Problem
from lumyn.model import JsonObject, JsonValue

if TYPE_CHECKING:
    from lumyn.vectors.format import Vector
    from lumyn.vectors.origins import VectorPath

__all__ = ["show"]

_BUILT_IN = "built in"


def show(
    context: typer.Context,
    vector: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|FILE",
            help="A file, file::name, or the name of a vector; all of them without.",
            show_default=False,
        ),
    ] = None,
    json: JsonFlag = False,
) -> int:
    """
    Show a vector as it is run: fixtures, defaults and table rows merged, and where each value was written.

    Without an argument, lists all vectors. Exits 3 when a vector is invalid, 5 when there is none.

    JSON (`lumyn.cli.vectors_show.v0`): `vectors`, each with `id`, `line`, `vector`, the merged document; `origins`,
    JSON Pointer to file:line:column, or null for what is built in; `problems`.
    """
    found = _chosen(find_config(context.obj).folder, vector)
    console = Console()
    if json:
        console.json("vectors_show", {"vectors": [_document(each) for each in found]})
    elif vector is None:
        _print_list(console, found)
    else:
        for each in found:
            _print(console, each)
    return ExitCode.INVALID if any(each.problems for each in found) else ExitCode.OK


def _chosen(folder: Path, wanted: str | None) -> list[Vector]:
    """Return the vectors that an argument means, in the order of files and of places in them."""
    from lumyn.vectors.discovery import DEFAULT_PATTERNS, discover
    from lumyn.vectors.loader import load_suite

    if wanted == "":
        raise NotFoundError("an empty name names no vector", hint="`lumyn vectors show` lists all of them")
    file, _, name = (wanted or "").rpartition("::")
    if wanted is not None and not file and os.path.lexists(wanted):
        file, name = wanted, ""
    patterns = [str(Path(file).absolute())] if file else DEFAULT_PATTERNS
    try:
        files = discover(folder, patterns)
    except OSError as error:
        message = f"cannot search for vectors: {(error.strerror or 'i/o error').lower()}"
        raise InvalidVectorError([Problem(code="PATH_NOT_READABLE", message=message)]) from None
    vectors = [each for path in files for each in load_suite(path, root=folder).vectors]
    found = [each for each in vectors if not name or name in (each.vector_id, each.name)]
    if not found:
        raise NotFoundError(f"no vector is called `{name[:80]}`", hint=_near(name, vectors))
    return found


def _near(name: str, vectors: list[Vector]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, [each.vector_id for each in vectors], n=1)
    return f"did you mean `{close[0]}`?" if close else "`lumyn vectors show` lists all of them"


def _print_list(console: Console, vectors: list[Vector]) -> None:
    for each in vectors:
        style = "red" if each.problems else "bold"
        console.line((each.node_id, style), ("  " + each.why, "dim") if each.why else "", hang=2)
    console.line(f"{counted_noun(len(vectors), 'vector')}")


def _print(console: Console, vector: Vector) -> None:
    console.line((vector.node_id, "bold"), ("  " + str(vector.span), "dim"), hang=2)
    for problem in vector.problems:
        console.line(("error", "red"), f": {problem}", indent=2, hang=4)
    rows = [
        (_dotted(path), _text(value), _where(vector, path) or _BUILT_IN) for path, value in _leaves(vector.document)
    ]
    console.table(["path", "value", "written at"], [(path, value, (where, "dim")) for path, value, where in rows])
    console.line("")


def _document(vector: Vector) -> JsonObject:
    from lumyn.documents import join_pointer

    origins: JsonObject = {join_pointer("", *path): _where(vector, path) for path, _ in _leaves(vector.document)}
    problems: list[JsonValue] = [
        {"code": each.code, "message": each.message, "at": None if each.span is None else str(each.span)}
        for each in vector.problems
    ]
    return {
        "id": vector.node_id,
        "line": vector.span.line,
        "vector": vector.document,
        "origins": origins,
        "problems": problems,
    }


def _leaves(value: JsonValue, path: VectorPath = ()) -> Iterator[tuple[VectorPath, JsonValue]]:
    """Yield every scalar and every empty container, with its path."""
    below: list[tuple[str | int, JsonValue]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    if not below:
        yield path, value
    for key, item in below:
        yield from _leaves(item, (*path, key))


def _where(vector: Vector, path: VectorPath) -> str | None:
    span = vector.origins.written_at(path)
    return None if span is None else str(span)


def _dotted(path: VectorPath) -> str:
    return ".".join(str(token) for token in path)


def _text(value: JsonValue) -> str:
    from json import dumps

    return value if isinstance(value, str) else dumps(value, ensure_ascii=False)
