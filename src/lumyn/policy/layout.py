"""
The canonical layout of a policy file: indentation, spacing, line width; what it says stays what it says.
Built on the round trip of ruamel.yaml, which is not taken at its word: meaning and comments are compared afterwards.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lumyn.documents import Document, load, load_yaml
from lumyn.documents.layout import with_line_ends_of
from lumyn.documents.nodes import Node, is_json, nodes
from lumyn.errors import InvalidPolicyError, Problem, Span
from lumyn.policy.loader import parse_policy

if TYPE_CHECKING:
    from ruamel.yaml import YAML

__all__ = ["formatted_policy"]

_WIDTH: Final = 120
_NEVER_FOLDED: Final = 1_000_000
_ROUNDS: Final = 3
_COMMENT: Final = re.compile(r"#[^\n]*")
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t]*\n){2,}")
_END_SPACE: Final = re.compile(r"[ \t]+(?=\n)")


def formatted_policy(data: bytes | str, *, file: str) -> str:
    """
    Return a policy in its canonical layout, with its comments, quotes and order. Lines end as the first one does.

    Args:
        file: What messages call it; a suffix says how to read it, as in `load_policy`.

    Raises:
        InvalidPolicyError: It is not a valid policy; or, `LAYOUT_REFUSED`, a layout would lose one of its comments.
    """
    policy = parse_policy(data, file=file)
    before = _document(policy.source, file)
    text = policy.source.replace("\r\n", "\n").replace("\r", "\n")
    for _ in range(_ROUNDS):
        again = _laid_out(_document(text, file))
        if again == text:
            break
        text = again
    else:
        raise _refused(file, "no layout of it is final")
    text = with_line_ends_of(policy.source, text)
    after = _document(text, file)
    if parse_policy(text, file=file).policy_hash != policy.policy_hash:
        raise _refused(file, "it would mean something else")
    if not is_json(before) and list(_comments(before)) != list(_comments(after)):
        raise _refused(file, "a comment of it would be lost or moved")
    return text


def _document(text: str, file: str) -> Document:
    read = load if "." in file else load_yaml
    return read(text.encode("utf-8", "surrogatepass"), file=file, error=InvalidPolicyError)


def _laid_out(document: Document) -> str:
    if is_json(document):
        return json.dumps(document.value, indent=2, ensure_ascii=False) + "\n"
    from ruamel.yaml.error import YAMLError

    try:
        return _tidied(_round_trip(document))
    except (YAMLError, ValueError):
        raise _refused(document.file, "it cannot be written back") from None


def _round_trip(document: Document) -> Document:
    """Return the document written anew; a collection in brackets that fits no line is written without them."""
    yaml = _yaml()
    data = yaml.load(document.text)
    while True:
        written = io.StringIO()
        yaml.dump(data, written)
        found = _document(written.getvalue(), document.file)
        paths = list(_too_wide(nodes(found), found.text, ()))
        if not paths:
            return found
        for path in paths:
            below = data
            for step in path:
                below = below[step]
            below.fa.set_block_style()


def _too_wide(node: Node, text: str, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Yield the ways to the outermost collections in brackets on lines that are too long."""
    if not node.entries:
        return
    if node.flow:
        line_end = text.find("\n", node.start)
        if (line_end if line_end >= 0 else len(text)) - (text.rfind("\n", 0, node.start) + 1) > _WIDTH:
            yield path
        return
    for place, entry in enumerate(node.entries):
        yield from _too_wide(entry.value, text, (*path, place if entry.key is None else entry.key.text))


def _tidied(document: Document) -> str:
    """
    Return the text tidied around its scalars.

    No blanks at line ends, at most one empty line, two blanks before a comment behind something, and comments on
    lines of their own in line with what they stand before, unless they are in line with what they stand behind.
    """
    text = document.text
    found: list[str] = []
    at = 0
    for node in _scalars(nodes(document)):
        found += [_between(text, at, node.start), text[node.start : node.end]]
        at = node.end
    tidy = "".join([*found, _between(text, at, len(text))]).strip("\n") + "\n"
    return _with_comments_in_line(_document(tidy, document.file))


def _between(text: str, start: int, end: int) -> str:
    gap = _BLANK_LINES.sub("\n\n", _END_SPACE.sub("", text[start:end]))
    first, line_end, rest = gap.partition("\n")
    if start and text[start - 1] != "\n":
        first = re.sub(r"[ \t]+#", "  #", first, count=1)
    return f"{first}{line_end}{rest}"


def _with_comments_in_line(document: Document) -> str:
    inside = {
        number
        for node in _scalars(nodes(document))
        for number in range(document.text.count("\n", 0, node.start) + 1, document.text.count("\n", 0, node.end) + 1)
    }
    lines = document.text.split("\n")
    behind = 0
    for number, line in enumerate(lines):
        if number in inside or not line.strip():
            continue
        if not line.lstrip().startswith("#"):
            dashes = re.match(r" *(?:- )*", line)
            behind = dashes.end() if dashes else 0
            continue
        ahead = next((_indent(each) for each in lines[number:] if each.strip() and each.lstrip()[0] != "#"), 0)
        if _indent(line) not in {ahead, behind}:
            lines[number] = " " * ahead + line.lstrip()
    return "\n".join(lines)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _comments(document: Document) -> Iterator[str]:
    """Yield the comments of a document, in order, without blanks at their ends."""
    masked = list(document.text)
    for node in _scalars(nodes(document)):
        masked[node.start : node.end] = " " * (node.end - node.start)
    return (match.group().rstrip() for match in _COMMENT.finditer("".join(masked)))


def _scalars(node: Node) -> Iterator[Node]:
    """Yield the scalars of a document in the order of its text, keys included."""
    if node.entries is None:
        yield node
        return
    for entry in node.entries:
        if entry.key is not None:
            yield entry.key
        yield from _scalars(entry.value)


def _refused(file: str, why: str) -> InvalidPolicyError:
    problem = Problem(
        code="LAYOUT_REFUSED",
        message=f"the file is left as it is: {why}",
        span=Span(file, 1, 1),
        hint="put comments on lines of their own",
    )
    return InvalidPolicyError([problem])


def _yaml() -> YAML:
    from ruamel.yaml import YAML
    from ruamel.yaml.emitter import Emitter
    from ruamel.yaml.events import MappingEndEvent

    class Spaced(Emitter):
        """Writes `{ a: b }` where the library writes `{a: b}`."""

        def expect_first_flow_mapping_key(self) -> None:
            if self.flow_context[-1] == "{" and not isinstance(self.event, MappingEndEvent):
                self._pad()
            super().expect_first_flow_mapping_key()

        def expect_flow_mapping_key(self) -> None:
            if self.flow_context[-1] == "{" and isinstance(self.event, MappingEndEvent):
                self._pad()
            super().expect_flow_mapping_key()

        def _pad(self) -> None:
            self.stream.write(" ")
            self.column += 1
            self.whitespace = True

    yaml = YAML(typ="rt", pure=True)
    yaml.Emitter = Spaced
    yaml.preserve_quotes = True
    yaml.width = _NEVER_FOLDED
    yaml.allow_unicode = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
