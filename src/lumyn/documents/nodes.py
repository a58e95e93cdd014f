"""
Where each value of a document begins and ends in its text, and in which style it was written.
Reads only texts that were parsed without a problem before; must not know what an edit or a layout is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from lumyn.documents.document import Document
from lumyn.documents.numbers import NUMBER

if TYPE_CHECKING:
    from ruamel.yaml.events import ScalarEvent

__all__ = ["Entry", "Node", "is_json", "nodes"]

_BLOCK_STYLES: Final = "|>"
_LAST_BLANK_LINES: Final = re.compile(r"(?:\r?\n[ \t]*)*\Z")
_LINE_END: Final = re.compile(r"\r\n|\n|\r|\Z")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_WORD: Final = re.compile(r"[a-z]+")
_scan_string = json.decoder.scanstring  # type: ignore[attr-defined]  # absent from the stubs


@dataclass(slots=True)
class Node:
    """
    One value in a text.

    Attributes:
        start: Offset of its first character.
        end: Offset behind its last one. A block collection ends where its last line does, a comment there included.
        flow: Whether a collection stands in brackets; all of JSON does.
        style: Of a scalar: `"`, `'`, `|`, `>`, or empty for a plain one.
        text: Of a scalar: what it says, quotes and escapes undone.
        entries: The members of a collection, in order; None for a scalar.
    """

    start: int
    end: int
    flow: bool = True
    style: str = ""
    text: str = ""
    entries: list[Entry] | None = None


@dataclass(slots=True)
class Entry:
    """A member of a collection; `key` is None in a list. It starts with its key, or with the dash of a block list."""

    start: int
    key: Node | None
    value: Node


def is_json(document: Document) -> bool:
    """Return whether a document was read as JSON."""
    return PurePath(document.file).suffix.lower() == ".json"


def nodes(document: Document) -> Node:
    """Return the root of a document's values."""
    text = document.text
    if is_json(document):
        match = _SPACE.match(text)
        return _json(text, match.end() if match else 0)
    return _Yaml(text).root()


def _json(text: str, at: int) -> Node:
    first = text[at]
    if first == '"':
        said, end = _scan_string(text, at + 1, True)
        return Node(at, end, style='"', text=said)
    if first not in "{[":
        match = NUMBER.match(text, at) or _WORD.match(text, at)
        end = match.end() if match else at
        return Node(at, end, text=text[at:end])
    entries: list[Entry] = []
    closing = "}" if first == "{" else "]"
    place = _skip(text, at + 1)
    while text[place] != closing:
        start, key = place, None
        if first == "{":
            key = _json(text, place)
            place = _skip(text, _skip(text, key.end) + 1)
        value = _json(text, place)
        entries.append(Entry(start, key, value))
        place = _skip(text, value.end)
        if text[place] == ",":
            place = _skip(text, place + 1)
    return Node(at, place + 1, entries=entries)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


@dataclass(slots=True)
class _Yaml:
    text: str
    open: list[tuple[Node, bool]] = field(default_factory=list)
    keys: list[Node | None] = field(default_factory=list)
    top: Node | None = None

    def root(self) -> Node:
        from ruamel.yaml import YAML, events

        text = self.text if self.text.endswith("\n") else self.text + "\n"
        for event in YAML(typ="safe", pure=True).parse(text):
            start, end = event.start_mark.index, event.end_mark.index
            if isinstance(event, events.ScalarEvent):
                self._add(self._scalar(event, start, end))
            elif isinstance(event, (events.MappingStartEvent, events.SequenceStartEvent)):
                node = Node(start, start, flow=bool(event.flow_style), entries=[])
                self._add(node)
                self.open.append((node, isinstance(event, events.MappingStartEvent)))
                self.keys.append(None)
            elif isinstance(event, events.CollectionEndEvent):
                self._close(end)
        return self.top or Node(0, 0)

    def _scalar(self, event: ScalarEvent, start: int, end: int) -> Node:
        style = event.style or ""
        start, end = min(start, len(self.text)), min(end, len(self.text))
        if not style and not event.value:
            end = start  # nothing is written: null
        if style and style in _BLOCK_STYLES:
            match = _LAST_BLANK_LINES.search(self.text, start, end)
            end = match.start() if match else end
        return Node(start, end, style=style, text=str(event.value))

    def _add(self, node: Node) -> None:
        if not self.open:
            self.top = node
            return
        parent, is_mapping = self.open[-1]
        if is_mapping and self.keys[-1] is None:
            self.keys[-1] = node
            return
        key, self.keys[-1] = self.keys[-1], None
        start = node.start if key is None else key.start
        if key is None and not parent.flow:
            start = self._dash(parent, node)
        if node.entries is None and node.start == node.end:
            # The library puts a null that is not written behind the comments that follow; it belongs to its mark.
            mark = start if key is None else self.text.find(":", key.end, node.start)
            if mark >= 0 and not (key is None and parent.flow):
                node.start = node.end = mark + 1
        if parent.entries is not None:
            parent.entries.append(Entry(start, key, node))

    def _dash(self, parent: Node, node: Node) -> int:
        """Return where the dash of a block list's item stands: only space and comments lie between it and the item."""
        entries = parent.entries or []
        if not entries:
            return parent.start
        match = re.compile(r"(?:[ \t]+#[^\r\n]*|[ \t\r\n]|(?<=\n)#[^\r\n]*)*").match(self.text, entries[-1].value.end)
        return match.end() if match else node.start

    def _close(self, end: int) -> None:
        node, _ = self.open.pop()
        self.keys.pop()
        if node.flow:
            node.end = end
            return
        last = (node.entries or [])[-1].value
        if last.entries is not None and not last.flow:
            node.end = last.end
        else:
            match = _LINE_END.search(self.text, last.end)
            node.end = match.start() if match else last.end
