"""
Changes of single values in vector files, as plain data that can travel between processes.
Must not know why a value changes or how a text is edited.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lumyn.documents.pointers import pointer_tokens
from lumyn.documents.writing import same
from lumyn.model import JsonValue

__all__ = ["Change", "ChangeRefusedError", "Proposal", "agree", "changed", "disagreement", "text_digest"]


class ChangeRefusedError(ValueError):
    """A change cannot be made where it was meant; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One value of a file.

    Attributes:
        file: Relative to the suite root, with forward slashes.
        pointer: Where the value stands, or will; objects on the way are made.
        value: What stands there afterwards.
        delete: Take it out instead.
    """

    file: str
    pointer: str
    value: JsonValue = None
    delete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """
    What makes one vector pass, or why nothing can.

    Attributes:
        file: Of the vector, relative to the suite root.
        vector_id: Within its file.
        changes: Empty when it is refused.
        digests: File -> digest of the text each change was proposed for.
        rests: Golden record that would change -> ids of all vectors of this file that are compared with it.
        transitions: Verdict or error expected -> come out, for each decision rewritten.
        looser: Why it permits more or demands less than before; empty when it does not.
        refused: Why it cannot be done without a person; empty when it can.
    """

    file: str
    vector_id: str
    changes: tuple[Change, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    rests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    transitions: tuple[tuple[str, str], ...] = ()
    looser: str = ""
    refused: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the proposal as plain JSON data."""
        return {
            "file": self.file,
            "vector_id": self.vector_id,
            "changes": [[each.file, each.pointer, each.value, each.delete] for each in self.changes],
            "digests": dict(self.digests),
            "rests": {golden: list(ids) for golden, ids in self.rests.items()},
            "transitions": [list(each) for each in self.transitions],
            "looser": self.looser,
            "refused": self.refused,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Proposal:
        """Return the proposal that `to_dict` described."""
        changes = (
            Change(file=file, pointer=pointer, value=value, delete=delete)
            for file, pointer, value, delete in data["changes"]
        )
        return cls(
            file=data["file"],
            vector_id=data["vector_id"],
            changes=tuple(changes),
            digests=dict(data["digests"]),
            rests={golden: tuple(ids) for golden, ids in data["rests"].items()},
            transitions=tuple((before, after) for before, after in data["transitions"]),
            looser=data["looser"],
            refused=data["refused"],
        )


def text_digest(text: str) -> str:
    """Return what tells whether a file still says what it said."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def agree(changes: Sequence[Change]) -> bool:
    """Return whether changes of one place, at least one, come to the same."""
    first = changes[0]
    return all(each.delete == first.delete and same(each.value, first.value) for each in changes)


def disagreement(file: str, pointer: str) -> str:
    """Return why nobody's change of a place is made where they do not agree; a golden record is one place."""
    return f"`{pointer or file}` stands for several vectors, which came out differently"


def changed(value: JsonValue, changes: Iterable[Change]) -> JsonValue:
    """
    Return a copy of `value` with the changes made.

    Raises:
        ChangeRefusedError: One of them leads through a scalar or to a list item that is not there.
    """
    root: JsonValue = copy.deepcopy(value)
    for change in changes:
        tokens = pointer_tokens(change.pointer)
        root = _put(root, tokens, change)
    return root


def _put(node: JsonValue, tokens: tuple[str, ...], change: Change) -> JsonValue:
    if not tokens:
        return copy.deepcopy(change.value)
    token, rest = tokens[0], tokens[1:]
    if isinstance(node, list):
        place = int(token) if token.isdecimal() else len(node)
        if place >= len(node):
            raise ChangeRefusedError("the place that would change is not in its file")
        return [*node[:place], _put(node[place], rest, change), *node[place + 1 :]]
    if node is not None and not isinstance(node, dict):
        raise ChangeRefusedError("the place that would change is not an object in its file")
    members = dict(node or {})
    if change.delete and not rest:
        members.pop(token, None)
    else:
        members[token] = _put(members.get(token), rest, change)
    return members
