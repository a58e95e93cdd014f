"""
A parsed file: its value, its text, and where in the text each value stands.
Knows positions only; must not know how JSON or YAML is read.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lumyn.documents.pointers import parent_pointer
from lumyn.errors import InvalidDocumentError, InvalidPackError, InvalidRequestError, Problem, Span
from lumyn.model import JsonValue

__all__ = ["DEFAULT_LIMITS", "Document", "Limits", "Offsets", "line_starts", "span_at", "too_large"]

Offsets = Mapping[str, tuple[int, int]]
"""JSON Pointer -> (offset of the value, offset of the key or list item that leads to it), in characters."""

_LINE_END: Final = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    How large a document may be.

    Attributes:
        max_bytes: Length of the UTF-8 form.
        max_depth: Levels of nested objects and lists; a scalar alone has depth 0.
        max_nodes: Values of any kind, containers and scalars; also the lines of a YAML file.
    """

    max_bytes: int = 1_048_576
    max_depth: int = 64
    max_nodes: int = 500_000


DEFAULT_LIMITS: Final = Limits()


def too_large(limits: Limits, *, error: type[InvalidDocumentError]) -> Problem:
    """Return the problem of a document beyond `limits`; requests and packs have a code of their own for it."""
    code = "TOO_LARGE"
    if issubclass(error, InvalidRequestError):
        code = "REQUEST_TOO_LARGE"
    elif issubclass(error, InvalidPackError):
        code = "PACK_TOO_LARGE"
    return Problem(code=code, message=f"larger than {limits.max_bytes} bytes or {limits.max_nodes} values")


def line_starts(text: str) -> tuple[int, ...]:
    """Return the offset of the first character of every line; lines end with LF, CRLF or CR."""
    return (0, *(match.end() for match in _LINE_END.finditer(text)))


def span_at(file: str, starts: tuple[int, ...], offset: int) -> Span:
    """Return line and column, both from 1, of the character at `offset`."""
    line = bisect_right(starts, offset)
    return Span(file, line, offset - starts[line - 1] + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """
    A file that was parsed without a problem.

    Attributes:
        value: Plain JSON data. Integral floats stay floats here (`12.0`); `lumyn.digest.freeze` gives the
            canonical form.
        file: As the user named it.
        text: As decoded, without a byte order mark, line ends as they are.
    """

    value: JsonValue
    file: str
    text: str
    offsets: Offsets = field(repr=False, compare=False)
    starts: tuple[int, ...] = field(repr=False, compare=False)

    def span(self, pointer: str) -> Span:
        """Return where the value at `pointer` begins; where nothing is there, its nearest existing ancestor."""
        return span_at(self.file, self.starts, self._nearest(pointer)[0])

    def key_span(self, pointer: str) -> Span:
        """Return where the key that leads to `pointer` begins; for list items the value, else as `span`."""
        value, key = self._nearest(pointer)
        return span_at(self.file, self.starts, key if pointer in self.offsets else value)

    def _nearest(self, pointer: str) -> tuple[int, int]:
        while pointer and pointer not in self.offsets:
            pointer = parent_pointer(pointer)
        return self.offsets.get(pointer, (0, 0))
