"""
Changes single values of a YAML or JSON text and leaves every other character as it is.
The caller gives the value the document should have; must not know what it means or where the text is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final

from lumyn.documents.document import DEFAULT_LIMITS, Document, Limits
from lumyn.documents.files import load
from lumyn.documents.nodes import Entry, Node, is_json, nodes
from lumyn.documents.writing import Style, canonical_key, render, render_key, same, style_of
from lumyn.errors import InvalidDocumentError
from lumyn.model import JsonObject, JsonValue

__all__ = ["EditRefusedError", "edited"]

_NEWLINE: Final = re.compile(r"\r\n|\n|\r")
_WIDEST: Final = 100
_NO_ENTRIES: Final[tuple[Entry, ...]] = ()


class EditRefusedError(ValueError):
    """A text cannot be changed in place without touching more than what changes; the text says why."""


def edited(document: Document, value: JsonValue, *, limits: Limits = DEFAULT_LIMITS) -> Document:
    """
    Return the document with its text changed where `value` differs from its own, and nowhere else.

    Comments, quoting, order, brackets, indentation and line ends stay. A comment on the line of a list item or member
    that goes, goes with it. What comes new is written like its neighbours.

    Raises:
        EditRefusedError: The edited text would not read as exactly `value`.
    """
    if same(document.value, value):
        return document
    editor = _Editor(document)
    text = editor.text()
    root = editor.root
    text = f"{text[: root.start]}{editor.value(root, document.value, value)}{text[root.end :]}"
    try:
        found = load(text.encode("utf-8", "surrogatepass"), file=document.file, limits=limits)
    except InvalidDocumentError as error:
        raise EditRefusedError(f"the text cannot be changed in place: {error.problems[0].message}") from None
    if not same(found.value, value):
        raise EditRefusedError("the text cannot be changed in place: it would say something else")
    return found


@dataclass(frozen=True, slots=True)
class _Written:
    """One member of an edited collection: what stands before it on lines of its own, itself, the rest of its line."""

    lead: str
    body: str
    trail: str
    place: int | None


class _Editor:
    def __init__(self, document: Document) -> None:
        self._text = document.text
        self.root = nodes(document)
        self._style: Style = style_of(self.root, self._text, json=is_json(document))
        found = _NEWLINE.search(self._text)
        self._newline = found.group() if found else "\n"

    def text(self) -> str:
        return self._text

    def value(self, node: Node, old: JsonValue, new: JsonValue) -> str:
        """Return the text of `node` once it says `new`."""
        if same(old, new):
            return self._text[node.start : node.end]
        if node.entries is not None and isinstance(old, dict) and isinstance(new, dict):
            return self._mapping(node, old, new)
        if node.entries is not None and isinstance(old, list) and isinstance(new, list):
            return self._list(node, old, new)
        return render(new, self._style, like=node)

    def _mapping(self, node: Node, old: JsonObject, new: JsonObject) -> str:
        entries = node.entries or []
        kept: list[tuple[int | None, str]] = []
        first = entries[0].key if entries else None
        for place, entry in enumerate(entries):
            key = "" if entry.key is None else entry.key.text
            if key in new:
                kept.append((place, self._entry(entry, old[key], new[key], flow=node.flow)))
        for key, value in new.items():
            if key not in old:
                kept.append((None, self._new_member(node, key, value, like=first)))
        return self._joined(node, kept)

    def _list(self, node: Node, old: list[JsonValue], new: list[JsonValue]) -> str:
        entries = node.entries or []
        like = entries[0].value if entries else None
        dash = "" if node.flow else "- "
        kept: list[tuple[int | None, str]] = []
        matcher = SequenceMatcher(a=[canonical_key(v) for v in old], b=[canonical_key(v) for v in new], autojunk=False)
        for _, low, high, start, end in matcher.get_opcodes():
            both = min(high - low, end - start)
            for step in range(both):
                entry = entries[low + step]
                kept.append((low + step, self._entry(entry, old[low + step], new[start + step], flow=node.flow)))
            kept += [(None, dash + render(value, self._style, like=like)) for value in new[start + both : end]]
        return self._joined(node, kept)

    def _entry(self, entry: Entry, old: JsonValue, new: JsonValue, *, flow: bool) -> str:
        node, text = entry.value, self._text
        before = text[entry.start : node.start]
        if same(old, new):
            return before + text[node.start : node.end]
        written = self.value(node, old, new)
        if node.start == node.end:  # nothing was written for null
            mark = entry.start + 1 if entry.key is None else text.find(":", entry.key.end, node.start) + 1
            return f"{text[entry.start : mark]} {written}{text[mark : node.start]}" if mark else f"{before}: {written}"
        block = node.entries is not None and not node.flow
        if block and (not isinstance(new, list | dict) or not new or type(old) is not type(new)):
            if "#" in text[node.start : node.end] or "#" in before:
                raise EditRefusedError("the text cannot be changed in place: comments stand inside of what goes")
            return f"{before.rstrip()} {written}"
        return before + written

    def _new_member(self, node: Node, key: str, value: JsonValue, *, like: Node | None) -> str:
        name = render_key(key, self._style, like=like)
        if node.flow:
            return name + self._style.colon + render(value, self._style)
        column = self._column(node.start)
        flat = f"{name}: {render(value, self._style)}"
        if len(flat) + column <= _WIDEST or not isinstance(value, dict) or not value:
            return flat
        indent = self._newline + " " * (column + 2)
        style = self._style
        members = [f"{render_key(below, style, like=like)}: {render(each, style)}" for below, each in value.items()]
        return f"{name}:{indent}{indent.join(members)}"

    def _joined(self, node: Node, kept: Sequence[tuple[int | None, str]]) -> str:
        return self._joined_flow(node, kept) if node.flow else self._joined_block(node, kept)

    def _joined_flow(self, node: Node, kept: Sequence[tuple[int | None, str]]) -> str:
        text, entries = self._text, node.entries or []
        opening, closing = text[node.start], text[node.end - 1]
        if not kept:
            if "#" in self._gaps(node):
                raise EditRefusedError("the text cannot be changed in place: comments stand inside of what goes")
            return opening + closing
        if not entries:
            pad = self._style.mapping_pad if opening == "{" else self._style.list_pad
            inside = self._style.separator.join(body for _, body in kept)
            return f"{opening}{pad}{inside}{pad}{closing}"
        out, previous = text[node.start : entries[0].start], -1
        gaps = [text[a.value.end : b.start] for a, b in pairwise(entries)]
        usual = self._separator(node, gaps, out)
        for number, (place, body) in enumerate(kept):
            # Comments between this member and the last one that stayed are kept, with the comma that stands there.
            between = gaps[max(previous, 0) : place] if place is not None else []
            if number == 0:
                out += "".join(gap.lstrip(" ,") for gap in gaps[: place or 0] if "#" in gap)
            elif place is not None and 0 <= previous == place - 1:
                out += gaps[previous]
            else:
                told = [gap for gap in between if "#" in gap]
                out += "".join([*told[:1], *(gap.lstrip(" \t,") for gap in told[1:])]) or usual
            out += body
            previous = previous if place is None else place
        dropped = "".join(gap for gap in gaps[max(previous, 0) :] if "#" in gap)
        return out + dropped + text[entries[-1].value.end : node.end]

    def _joined_block(self, node: Node, kept: Sequence[tuple[int | None, str]]) -> str:
        if not kept:
            return "{}" if (node.entries or _NO_ENTRIES)[0].key is not None else "[]"
        indent = " " * self._column(node.start)
        written = self._block_members(node, kept, indent)
        out, newline = "", self._newline
        for number, member in enumerate(written):
            lead = member.lead.lstrip(" ") if number == 0 else member.lead
            out += lead + member.body + member.trail
            if number < len(written) - 1:
                out += newline if not member.trail.endswith(("\n", "\r")) else ""
        return out

    def _block_members(self, node: Node, kept: Sequence[tuple[int | None, str]], indent: str) -> list[_Written]:
        entries, text = node.entries or [], self._text
        heads: list[str] = []
        leads = [""]
        for place, entry in enumerate(entries):
            last = place == len(entries) - 1
            gap = text[entry.value.end : node.end if last else entries[place + 1].start]
            match = None if last else _NEWLINE.search(gap)
            cut = match.end() if match else len(gap)
            heads.append(gap[:cut])
            leads.append(gap[cut:])
        stay = {place: body for place, body in kept if place is not None}
        final = max(stay, default=-1)
        members: list[_Written] = []
        new = [(number, body) for number, (place, body) in enumerate(kept) if place is None]
        carried = ""
        position = {place: number for number, (place, _) in enumerate(kept) if place is not None}
        for place in range(len(entries)):
            if place not in stay:
                carried += _comment_lines(leads[place])
                continue
            while new and new[0][0] < position[place]:
                members.append(_Written(indent, new.pop(0)[1], "", None))
            trail = heads[place]
            members.append(_Written(carried + leads[place], stay[place], trail, place))
            carried = ""
        members += [_Written(indent, body, "", None) for _, body in new]
        # The line end behind the last member belongs to whoever stands around this collection.
        if members[-1].place == final and members[-1].trail:
            last_member = members[-1]
            members[-1] = _Written(last_member.lead, last_member.body, last_member.trail.rstrip("\r\n"), final)
        if carried:
            end = members[-1]
            members[-1] = _Written(end.lead, end.body, end.trail + self._newline + carried.rstrip(), end.place)
        return members

    def _gaps(self, node: Node) -> str:
        entries, at, found = node.entries or [], node.start, ""
        for entry in entries:
            found += self._text[at : entry.start]
            at = entry.value.end
        return found + self._text[at : node.end]

    def _separator(self, node: Node, gaps: Sequence[str], head: str) -> str:
        plain = next((gap for gap in gaps if "#" not in gap), None)
        if plain is not None:
            return plain
        return "," + head[1:] if _NEWLINE.search(head) and "#" not in head else self._style.separator

    def _column(self, at: int) -> int:
        line = max(self._text.rfind("\n", 0, at), self._text.rfind("\r", 0, at))
        return at - line - 1


def _comment_lines(lead: str) -> str:
    lines = lead.rpartition("\n")[0]
    return lines + "\n" if "#" in lines else ""
