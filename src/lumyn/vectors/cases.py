"""
Builds each vector of a file out of its written pieces: defaults, file, case, fixtures and table rows.
Returns plain merged data and where every value came from; must not know what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lumyn.documents import Document, join_pointer
from lumyn.errors import Span
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.checks import kind_of, quoted
from lumyn.vectors.findings import FREE_PREFIX, Findings, usable_id
from lumyn.vectors.fixtures import Piece, Scope, Written, finish_request
from lumyn.vectors.format import ID_PATTERN
from lumyn.vectors.merge import PathError, dotted, literal, merge, parse_path, put
from lumyn.vectors.origins import Layer, Origins, VectorPath

__all__ = ["VECTOR_KEYS", "Base", "Case", "Column", "expand"]

VECTOR_KEYS: Final = (
    "name",
    "why",
    "policy",
    "clock",
    "mode",
    "marks",
    "tags",
    "skip",
    "status",
    "xfail",
    "memory",
    "request",
    "expect",
    "steps",
    "table",
)
_ROW_ID: Final = "id"
_TABLE_KEYS: Final = ("columns", "rows")
# A row cannot change which case it belongs to, nor hold a table of its own.
_NOT_COLUMNS: Final = frozenset({"name", "table"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """
    What every vector of a file starts from.

    Attributes:
        value: Merged keys of the file and the `_defaults` files above it, without `request` and `expect`.
        request: What every request starts from.
        expect: What every expectation starts from.
        layers: Where the keys were written, nearest first.
    """

    value: JsonObject
    request: Piece
    expect: Piece
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: a path into the vector, and where it is named."""

    path: VectorPath
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One vector, merged.

    Attributes:
        value: Plain data: requests complete, `memory` as written.
        row: Id of the table row, or None.
        span: The case, or the row.
        columns: The columns of its table; empty without one.
        findings: Receives what is wrong with this vector alone.
    """

    name: str
    row: str | None
    value: JsonObject
    origins: Origins
    span: Span
    columns: tuple[Column, ...]
    document: Document
    findings: Findings

    @property
    def vector_id(self) -> str:
        """`name`, or `name[row]`."""
        return self.name if self.row is None else f"{self.name}[{self.row}]"


def expand(written: Written, name: str, base: Base, scope: Scope, findings: Findings) -> Iterator[Case]:
    """
    Yield the vectors of one case: itself, or one for each row of its table.

    Args:
        written: The case, an object.
        findings: Receives problems that leave no vector to blame, such as a table without rows.
    """
    case = written.value if isinstance(written.value, dict) else {}
    document = written.document
    shared = Findings()
    value, layers = _merged(case, written, base, scope, shared)
    if "table" not in value:
        origins = Origins(layers)
        span = document.span(written.pointer)
        yield _case(name, None, value, origins, span, (), document, shared)
        return
    table = value.pop("table")
    columns, id_column, rows = _table(table, Written(table, document, join_pointer(written.pointer, "table")), findings)
    if not rows:
        findings.problems.extend(shared.problems)
    seen: dict[str, int] = {}
    for place, row in enumerate(rows):
        pointer = join_pointer(written.pointer, "table", "rows", place)
        row_id = _row_id(row, columns, id_column, Written(row, document, pointer), findings, seen)
        if row_id is None or not isinstance(row, list):
            continue
        own = Findings()
        own.problems.extend(shared.problems)
        filled, cells = value, list[Layer]()
        for index, column in enumerate(columns):
            if index != id_column:
                cell = Written(row[index], document, join_pointer(pointer, index))
                filled, added = _fill(filled, column, cell, base, scope, own)
                cells[:0] = added
        span = document.span(pointer)
        named = tuple(column for index, column in enumerate(columns) if index != id_column)
        yield _case(name, row_id, filled, Origins((*cells, *layers)), span, named, document, own)


def _case(
    name: str,
    row: str | None,
    value: JsonObject,
    origins: Origins,
    span: Span,
    columns: tuple[Column, ...],
    document: Document,
    findings: Findings,
) -> Case:
    finished = dict(value)
    request = finished.get("request")
    if isinstance(request, dict):
        finished["request"] = finish_request(request)
    steps = finished.get("steps")
    if isinstance(steps, list):
        finished["steps"] = [_finish_step(step) for step in steps]
    return Case(
        name=name,
        row=row,
        value=finished,
        origins=origins,
        span=span,
        columns=columns,
        document=document,
        findings=findings,
    )


def _finish_step(step: JsonValue) -> JsonValue:
    decide = step.get("decide") if isinstance(step, dict) else None
    request = decide.get("request") if isinstance(decide, dict) else None
    if not isinstance(step, dict) or not isinstance(decide, dict) or not isinstance(request, dict):
        return step
    return {**step, "decide": {**decide, "request": finish_request(request)}}


def _merged(
    case: JsonObject, written: Written, base: Base, scope: Scope, findings: Findings
) -> tuple[dict[str, JsonValue], tuple[Layer, ...]]:
    own = {key: value for key, value in case.items() if key not in {"request", "expect", "steps", "table"}}
    value: dict[str, JsonValue] = dict(merge(base.value, own))
    layers = [Layer(written.document, written.pointer, (), case)]
    if "table" in case:
        value["table"] = case["table"]
    if "steps" in case:
        value["steps"] = _steps(case["steps"], written, base, scope, findings, layers)
        for key in ("request", "expect"):
            if key in case:
                pointer = join_pointer(written.pointer, key)
                message = f"a scenario decides in its steps: move `{key}` into one of them"
                findings.add("FIELD_CONFLICT", message, written.document.key_span(pointer), pointer=pointer)
    else:
        piece = _request(case, written, base, scope, findings)
        if piece is not None:
            value["request"] = piece.value
            layers += piece.mounted(("request",))
        expect, expect_layers = _expect(case, ("expect",), base)
        if expect is not None:
            value["expect"] = expect
            layers += expect_layers
    return value, (*layers, *base.layers)


def _request(holder: JsonObject, written: Written, base: Base, scope: Scope, findings: Findings) -> Piece | None:
    """Return the request of a case or decide step over the base request; None when nobody wrote one."""
    if "request" not in holder:
        return base.request if base.request.layers else None
    place = Written(holder["request"], written.document, join_pointer(written.pointer, "request"))
    return scope.request(place, findings).over(base.request)


def _expect(holder: JsonObject, mount: VectorPath, base: Base) -> tuple[JsonValue, tuple[Layer, ...]]:
    own = holder.get("expect")
    if "expect" not in holder:
        return (base.expect.value, base.expect.mounted(mount)) if base.expect.layers else (None, ())
    if not isinstance(own, dict):
        return own, ()
    # A null that deletes nothing stays, and is then refused or compared: an expectation never vanishes by itself.
    return merge(base.expect.value, own, keep_null=True), base.expect.mounted(mount)


def _steps(
    steps: JsonValue, written: Written, base: Base, scope: Scope, findings: Findings, layers: list[Layer]
) -> JsonValue:
    if not isinstance(steps, list):
        return steps
    resolved: list[JsonValue] = []
    for place, step in enumerate(steps):
        decide = step.get("decide") if isinstance(step, dict) else None
        if not isinstance(step, dict) or not isinstance(decide, dict):
            resolved.append(step)
            continue
        where = Written(decide, written.document, join_pointer(written.pointer, "steps", place, "decide"))
        piece = _request(decide, where, base, scope, findings)
        filled: dict[str, JsonValue] = dict(step)
        if piece is not None:
            filled["decide"] = {**decide, "request": piece.value}
            layers += piece.mounted(("steps", place, "decide", "request"))
        expect, expect_layers = _expect(step, ("steps", place, "expect"), base)
        if expect is not None:
            filled["expect"] = expect
            layers += expect_layers
        resolved.append(filled)
    return resolved


def _fill(
    value: JsonObject, column: Column, cell: Written, base: Base, scope: Scope, findings: Findings
) -> tuple[JsonObject, tuple[Layer, ...]]:
    """Return `value` with one cell of a row put in place, and the layers it brings."""
    path = column.path
    put_value = cell.value
    layers: tuple[Layer, ...] = (Layer(cell.document, cell.pointer, path, cell.value),)
    if path[-1] == "request" and isinstance(cell.value, dict):
        piece = scope.request(cell, findings).over(base.request)
        put_value, layers = {"$value": piece.value}, piece.mounted(path)
    elif cell.value is None and len(path) > 1 and path[-2] == "request":
        # Leaves the member out for good: a built-in default must not come back in its place.
        put_value = {"$value": None}
    try:
        return put(value, path, put_value), layers
    except PathError as error:
        message = f"column {quoted(dotted(path))} cannot be set: {error}"
        findings.add("PATH_INVALID", message, cell.document.span(column.pointer), pointer=column.pointer)
        return value, ()


def _table(table: JsonValue, written: Written, findings: Findings) -> tuple[tuple[Column, ...], int, list[JsonValue]]:
    """Return the columns, which of them holds the ids, and the rows; nothing after a problem."""
    document, pointer = written.document, written.pointer
    nothing: tuple[tuple[Column, ...], int, list[JsonValue]] = ((), 0, [])
    if not isinstance(table, dict):
        message = f"a table must be an object, not {kind_of(table)}"
        findings.add("TYPE_INVALID", message, document.span(pointer), pointer=pointer)
        return nothing
    for key in table:
        if key not in _TABLE_KEYS and not key.startswith(FREE_PREFIX):
            where = join_pointer(pointer, key)
            hint = findings.near(key, _TABLE_KEYS)
            findings.add("FIELD_UNKNOWN", f"unknown key {quoted(key)} in `table`", document.key_span(where), hint=hint)
    lists: dict[str, list[JsonValue]] = {}
    for key in _TABLE_KEYS:
        where = join_pointer(pointer, key)
        below = table.get(key)
        if not isinstance(below, list):
            code = "FIELD_MISSING" if key not in table else "TYPE_INVALID"
            findings.add(code, f"`table.{key}` must be a list", document.span(where), pointer=where)
        elif not below:
            findings.add("TABLE_EMPTY", f"`table.{key}` is empty: it makes no vector", document.span(where))
        else:
            lists[key] = below
    if len(lists) < len(_TABLE_KEYS):
        return nothing
    columns = _columns(lists["columns"], document, join_pointer(pointer, "columns"), findings)
    if columns is None:
        return nothing
    id_column = next((index for index, column in enumerate(columns) if column.path == (_ROW_ID,)), None)
    if id_column is None:
        where = join_pointer(pointer, "columns")
        hint = "name each row: ids stay when rows move"
        findings.add("TABLE_ID_MISSING", "a table needs a column `id`", document.span(where), pointer=where, hint=hint)
        return nothing
    return columns, id_column, lists["rows"]


def _columns(names: list[JsonValue], document: Document, pointer: str, findings: Findings) -> tuple[Column, ...] | None:
    columns: list[Column] = []
    before = len(findings.problems)
    for place, name in enumerate(names):
        where = join_pointer(pointer, place)
        span = document.span(where)
        if not isinstance(name, str):
            findings.add("TYPE_INVALID", f"a column is a path, not {kind_of(name)}", span, pointer=where)
            continue
        try:
            path = parse_path(name)
        except PathError as error:
            findings.add("PATH_INVALID", f"{quoted(name)} is not a column: {error}", span, pointer=where)
            continue
        known = [key for key in VECTOR_KEYS if key not in _NOT_COLUMNS]
        head = str(path[0])
        if path != (_ROW_ID,) and head not in known and not head.startswith(FREE_PREFIX):
            hint = findings.near(head, known) or "a column is a path into the vector"
            message = f"nothing uses column {quoted(name)}: a vector has no key {quoted(head)}"
            findings.add("COLUMN_UNUSED", message, span, pointer=where, hint=hint)
        for other in columns:
            shorter = min(len(other.path), len(path))
            if other.path[:shorter] == path[:shorter]:
                message = f"columns {quoted(dotted(other.path))} and {quoted(name)} set the same place"
                findings.add("COLUMN_CONFLICT", message, span, pointer=where)
        columns.append(Column(path, where))
    return tuple(columns) if len(findings.problems) == before else None


def _row_id(
    row: JsonValue,
    columns: tuple[Column, ...],
    id_column: int,
    written: Written,
    findings: Findings,
    seen: dict[str, int],
) -> str | None:
    span, pointer = written.document.span(written.pointer), written.pointer
    if not isinstance(row, list) or len(row) != len(columns):
        given = f"{len(row)} values" if isinstance(row, list) else kind_of(row)
        message = f"a row of this table has {len(columns)} values, not {given}"
        findings.add("TABLE_ROW_LENGTH", message, span, pointer=pointer)
        return None
    # A row whose id is no use is read all the same, for what else is wrong with it and what it uses.
    cell, where = literal(row[id_column]), join_pointer(pointer, id_column)
    span = written.document.span(where)
    if not isinstance(cell, str):
        message = f"a row id must be a string, not {kind_of(cell)}"
        findings.add("TYPE_INVALID", message, span, pointer=where, hint="quote it")
        return ""
    if not ID_PATTERN.fullmatch(cell):
        message = f"{quoted(cell)} is not a row id: it does not match `^{ID_PATTERN.pattern}$`"
        findings.add("FIELD_PATTERN", message, span, pointer=where, hint=usable_id(cell))
    elif cell in seen:
        message = f"two rows are called {quoted(cell)}; the first is on line {seen[cell]}"
        findings.add("CASE_ID_DUPLICATE", message, span, pointer=where)
    seen.setdefault(cell, span.line)
    return cell
