"""
The canonical layout of a YAML or JSON text: two spaces, one blank line at most, brackets on one line where they fit.
Comments, quoting, order and the choice between block and brackets stay; must not know what the document means.
"""

from __future__ import annotations

import json
import re
from typing import Final

from lumyn.documents.document import DEFAULT_LIMITS, Document, Limits
from lumyn.documents.files import load
from lumyn.documents.nodes import Entry, Node, is_json, nodes
from lumyn.errors import InvalidDocumentError

__all__ = ["LayoutRefusedError", "laid_out", "with_line_ends_of"]

_WIDTH: Final = 120
_STEP: Final = 2
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_COMMENT: Final = re.compile(r"(?:(?<=[ \t\r\n,\[{:-])|\A)#[^\r\n]*")
_BLOCK_HEADER: Final = re.compile(r"[|>][-+]?(?=[ \t]*(?:#|\r|\n|\Z))")


class LayoutRefusedError(ValueError):
    """A text cannot be laid out without losing something; the text says why."""


def laid_out(document: Document, *, limits: Limits = DEFAULT_LIMITS) -> str:
    """
    Return the text of a document in canonical layout, with a line end at its end.

    Lines end as the first one does: git may have written the file with the line ends of its system.

    Raises:
        LayoutRefusedError: The text would not read as exactly the same value, order and comments included.
    """
    if document.value is None:
        raise LayoutRefusedError("the document is empty")
    text = with_line_ends_of(document.text, _Printer(document).text())
    try:
        found = load(text.encode("utf-8", "surrogatepass"), file=document.file, limits=limits)
    except InvalidDocumentError as error:
        raise LayoutRefusedError(f"cannot be laid out: {error.problems[0].message}") from None
    if json.dumps(found.value) != json.dumps(document.value) or _comments(found) != _comments(document):
        raise LayoutRefusedError("cannot be laid out: it would say something else")
    return text


def with_line_ends_of(source: str, text: str) -> str:
    """Return `text`, whose lines end with LF, with CRLF instead if the first line of `source` ends so."""
    found = _LINE_END.search(source)
    return text.replace("\n", "\r\n") if found is not None and found.group() == "\r\n" else text


class _Printer:
    def __init__(self, document: Document) -> None:
        self._source = document.text
        self._root = nodes(document)
        self._json = is_json(document)
        self._lines: list[str] = []

    def text(self) -> str:
        root, source = self._root, self._source
        if source[: root.start] and not source[: root.start].endswith(("\n", "\r")) and source[: root.start].strip():
            raise LayoutRefusedError("cannot be laid out: the document begins on a line of something else")
        self._around(source[: root.start])
        if root.entries is not None and not root.flow:
            self._block(root, 0)
        else:
            self._lines.append("")
            self._inline(root, 0)
        self._gap(root.end, len(source), 0)
        while self._lines and not self._lines[-1]:
            self._lines.pop()
        return "\n".join(line.rstrip() for line in self._lines) + "\n"

    def _around(self, text: str) -> None:
        """Write what stands before the document: comments, a marker, at most one blank line in a row."""
        for line in text.splitlines():
            if line.strip() or (self._lines and self._lines[-1]):
                self._lines.append(line.strip())

    def _block(self, node: Node, indent: int) -> None:
        previous: Entry | None = None
        for entry in node.entries or []:
            if previous is not None:
                self._gap(previous.value.end, entry.start, indent)
            if entry.key is None:
                self._item(entry, indent)
            else:
                self._member(entry, entry.key, indent)
            previous = entry
        if previous is not None:
            self._gap(previous.value.end, node.end, indent)

    def _member(self, entry: Entry, key: Node, indent: int) -> None:
        between = self._source[key.end : entry.value.start]
        if "\n" in self._source[key.start : key.end]:
            raise LayoutRefusedError("cannot be laid out: a key is written over several lines")
        name = " " * indent + self._source[key.start : key.end] + ":"
        self._value(name, between, entry.value, indent)

    def _item(self, entry: Entry, indent: int) -> None:
        between = self._source[entry.start + 1 : entry.value.start]
        node = entry.value
        if node.entries is not None and not node.flow and "#" not in between:
            first = len(self._lines)
            self._block(node, indent + _STEP)
            self._lines[first] = " " * indent + "- " + self._lines[first].lstrip()
            return
        self._value(" " * indent + "-", between, node, indent)

    def _value(self, name: str, between: str, node: Node, indent: int) -> None:
        """Write a value behind its key or dash."""
        if node.entries is not None and not node.flow:
            self._lines.append(name)
            self._comments_of(between, indent + _STEP)
            self._block(node, indent + _STEP)
            return
        # A comment between a key and a value on the next line: it goes above both.
        self._lines += [" " * indent + comment for comment in _COMMENT.findall(between)]
        self._lines.append(name)
        if node.start == node.end:
            return
        flat = self._flat(node) if node.entries is not None else None
        if flat is not None and len(name) + 1 + len(flat) > _WIDTH >= indent + _STEP + len(flat):
            self._lines.append(" " * (indent + _STEP) + flat)
            return
        self._lines[-1] += " "
        self._inline(node, indent)

    def _inline(self, node: Node, indent: int) -> None:
        """Write a scalar or a collection in brackets at the end of the last line."""
        source = self._source
        if node.entries is not None:
            self._flow(node, indent)
        elif node.style in {"|", ">"} and node.style:
            self._literal(node, indent + _STEP)
        else:
            first, *rest = source[node.start : node.end].splitlines() or [""]
            self._lines[-1] += first.rstrip() if rest else first
            self._lines += [" " * (indent + _STEP) + line.strip() if line.strip() else "" for line in rest]

    def _literal(self, node: Node, indent: int) -> None:
        header, *content = self._source[node.start : node.end].splitlines()
        if not _BLOCK_HEADER.match(header + "\n"):
            raise LayoutRefusedError("cannot be laid out: a block text states its own indentation")
        margin = min((len(line) - len(line.lstrip(" ")) for line in content if line.strip(" ")), default=0)
        self._lines[-1] += header.rstrip()
        self._lines += [" " * indent + line[margin:] if line.strip(" ") else "" for line in content]

    def _flow(self, node: Node, indent: int) -> None:
        flat = self._flat(node)
        if flat is not None and len(self._lines[-1]) + len(flat) <= _WIDTH and not (self._json and node is self._root):
            self._lines[-1] += flat
            return
        entries, inner = node.entries or [], indent + _STEP
        self._lines[-1] += self._source[node.start]
        at = node.start + 1
        for place, entry in enumerate(entries):
            self._comments_of(self._source[at : entry.start], inner)
            self._lines.append(" " * inner)
            if entry.key is not None:
                between = self._source[entry.key.end : entry.value.start]
                if "#" in between:
                    raise LayoutRefusedError("cannot be laid out: a comment stands between a key and its value")
                self._lines[-1] += self._source[entry.key.start : entry.key.end] + ": "
            self._inline(entry.value, inner)
            if place < len(entries) - 1:
                self._lines[-1] += ","
            at = entry.value.end
        self._comments_of(self._source[at : node.end - 1], inner)
        self._lines.append(" " * indent + self._source[node.end - 1])

    def _flat(self, node: Node) -> str | None:
        """Return a value on one line; None where a comment or a line end inside of it forbids that."""
        if node.entries is None:
            text = self._source[node.start : node.end]
            if not text:
                raise LayoutRefusedError("cannot be laid out: a value in brackets is left out; write `null`")
            return None if "\n" in text or "\r" in text else text
        opening, closing = self._source[node.start], self._source[node.end - 1]
        if opening not in "{[":
            raise LayoutRefusedError("cannot be laid out: a pair stands in brackets without braces")
        parts: list[str] = []
        at = node.start
        for entry in node.entries:
            value = self._flat(entry.value)
            if value is None or "#" in self._source[at : entry.start]:
                return None
            if entry.key is not None:
                if "#" in self._source[entry.key.end : entry.value.start]:
                    return None
                value = f"{self._source[entry.key.start : entry.key.end]}: {value}"
            parts.append(value)
            at = entry.value.end
        if "#" in self._source[at : node.end]:
            return None
        pad = " " if opening == "{" and parts else ""
        return f"{opening}{pad}{', '.join(parts)}{pad}{closing}"

    def _comments_of(self, gap: str, indent: int) -> None:
        """Write the comments of a gap: the first at the end of the last line where it stood so, others alone."""
        for match in _COMMENT.finditer(gap):
            if "\n" in gap[: match.start()] or "\r" in gap[: match.start()] or self._lines[-1].strip() == "":
                self._lines.append(" " * indent + match.group().rstrip())
            else:
                self._lines[-1] += "  " + match.group().rstrip()

    def _gap(self, start: int, end: int, indent: int) -> None:
        """Write what stands between two members: a comment at the end of a line, lines of comments, a blank line."""
        first, *lines = _LINE_END.split(self._source[start:end])
        if first.strip():
            self._lines[-1] += "  " + first.strip()
        column = len(lines[-1]) if lines and not lines[-1].strip() else 0
        for line in lines[:-1] if lines and not lines[-1].strip() else lines:
            if line.strip():
                # Further in than what follows: it belongs to what stands above.
                above = self._lines[-1] if self._lines else ""
                deeper = len(line) - len(line.lstrip(" ")) > column and above.strip()
                margin = len(above) - len(above.lstrip(" ")) if deeper else indent
                self._lines.append(" " * max(margin, indent) + line.strip())
            elif self._lines and self._lines[-1]:
                self._lines.append("")


def _comments(document: Document) -> list[str]:
    """Return every comment of a document in order."""
    if is_json(document):
        return []
    text, found, at = document.text, "", 0
    for start, end in _scalars(nodes(document)):
        found += text[at:start] + "\n"
        at = end
    return [match.group().rstrip() for match in _COMMENT.finditer(found + text[at:])]


def _scalars(node: Node) -> list[tuple[int, int]]:
    if node.entries is None:
        return [(node.start, node.end)]
    spans: list[tuple[int, int]] = []
    for entry in node.entries:
        if entry.key is not None:
            spans.append((entry.key.start, entry.key.end))
        spans += _scalars(entry.value)
    return spans
