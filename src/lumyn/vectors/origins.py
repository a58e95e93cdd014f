"""
Where each value of a vector was written: in its own case, in what that uses, or in defaults above it.
Knows documents and places in them; must not know what a vector means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lumyn.documents import Document, join_pointer
from lumyn.errors import Span
from lumyn.model import JsonValue

__all__ = ["Layer", "Origins", "VectorPath"]

VectorPath: TypeAlias = "tuple[str | int, ...]"
"""A place in a resolved vector, such as `("request", "action", "amount", "value")`."""


@dataclass(frozen=True, slots=True)
class Layer:
    """
    One written piece of a vector: the value at `pointer` of `document` belongs at `mount` of the resolved vector.

    Attributes:
        value: The value at `pointer`, as written.
    """

    document: Document
    pointer: str
    mount: VectorPath
    value: JsonValue


@dataclass(frozen=True, slots=True)
class Origins:
    """
    Where each value of a resolved vector was written.

    Attributes:
        layers: Nearest first: table cells, the case, what it uses, the file, then `_defaults` files inside out.
    """

    layers: tuple[Layer, ...]

    def find(self, path: VectorPath) -> tuple[Document, str]:
        """
        Return the document and the JSON Pointer at which `path` was written.

        When nobody wrote it, that is the nearest written place above it: a missing key is reported at its object.
        """
        for length in range(len(path), -1, -1):
            found = self._written(path[:length])
            if found is not None:
                return found
        nearest = self.layers[0]
        return nearest.document, nearest.pointer

    def span(self, path: VectorPath) -> Span:
        """Return the position of the value at `path`."""
        document, pointer = self.find(path)
        return document.span(pointer)

    def key_span(self, path: VectorPath) -> Span:
        """Return the position of the key that leads to `path`."""
        document, pointer = self.find(path)
        return document.key_span(pointer)

    def written_at(self, path: VectorPath) -> Span | None:
        """Return the position of the value at exactly `path`, or None when nobody wrote it: it is built in."""
        found = self._written(path)
        return None if found is None else found[0].span(found[1])

    def own_place(self, path: VectorPath) -> str:
        """
        Return the JSON Pointer, in the vector's own file, at which `path` is written or would be.

        What only defaults say is not of the own file: written there, it stands for this vector alone.
        """
        own = self.layers[0].document
        for length in range(len(path), -1, -1):
            found = self._written(path[:length], within=own)
            if found is not None:
                return join_pointer(found[1], *path[length:])
        return join_pointer(self.case_pointer, *path)

    @property
    def case_pointer(self) -> str:
        """The JSON Pointer of the case in its file, for the rows of a table that of the case they share."""
        own = self.layers[0].document
        return next((each.pointer for each in self.layers if not each.mount and each.document is own), "")

    def _written(self, path: VectorPath, *, within: Document | None = None) -> tuple[Document, str] | None:
        for layer in self.layers:
            mount = layer.mount
            if path[: len(mount)] != mount or (within is not None and layer.document is not within):
                continue
            rest = path[len(mount) :]
            if _holds(layer.value, rest):
                return layer.document, join_pointer(layer.pointer, *rest)
        return None


def _holds(value: JsonValue, path: VectorPath) -> bool:
    for token in path:
        if isinstance(value, dict):
            if token not in value:
                return False
            value = value[str(token)]
        elif isinstance(value, list):
            if not isinstance(token, int) or token >= len(value):
                return False
            value = value[token]
        else:
            return False
    return True
