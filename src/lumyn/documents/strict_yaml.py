"""
YAML as data in JSON's model: no directives, tags, anchors, merge keys, duplicate keys or second documents.
Built on the parsing events of ruamel.yaml with scalar rules of our own; must not know what a document means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from lumyn.documents.document import DEFAULT_LIMITS, Document, Limits, line_starts, span_at, too_large
from lumyn.documents.numbers import NumberRefusedError
from lumyn.documents.pointers import join_pointer
from lumyn.documents.text import CONTROL, describe_character, is_encodable
from lumyn.documents.yaml_scalars import AmbiguousScalarError, plain_value
from lumyn.errors import InvalidDocumentError, Problem
from lumyn.model import JsonValue

if TYPE_CHECKING:
    from ruamel.yaml.events import Event, NodeEvent, ScalarEvent

__all__ = ["load_yaml"]

_Error: TypeAlias = type[InvalidDocumentError]

_MAX_PROBLEMS: Final = 50
# A directive can only follow blank lines and comments.
_DIRECTIVE: Final = re.compile(r"(?:[ \t]*+(?:#[^\r\n]*+)?+\r?+\n)*+%")

# Raw characters that change how a file looks or how YAML versions split it into lines: the controls of
# `text.CONTROL` and a carriage return outside of CRLF, the line separators of YAML 1.1, a byte order mark inside.
_RAW_CONTROL: Final = re.compile(f"(?!\r\n)(?:{CONTROL.pattern}|[\u2028\u2029\ufeff])")


def load_yaml(
    data: bytes, *, file: str, error: _Error = InvalidDocumentError, limits: Limits = DEFAULT_LIMITS
) -> Document:
    """
    Parse a YAML file that holds one document. A byte order mark and CRLF are accepted and change no value.

    An empty document is null.  Plain scalars: see `yaml_scalars`.

    Raises:
        InvalidDocumentError: As `error`, each problem with file, line and column: `YAML_SYNTAX`, `YAML_ENCODING`,
            `YAML_DUPLICATE_KEY`, `YAML_MULTI_DOCUMENT`, `YAML_AMBIGUOUS_SCALAR`, `YAML_ALIAS` (also for anchors),
            `YAML_MERGE_KEY`, `YAML_TAG`, `YAML_DIRECTIVE`, `YAML_KEY_NOT_STRING`, `YAML_TOO_DEEP`,
            `CONTROL_CHARACTER`, `UNICODE_INVALID`, `NUMBER_OUT_OF_RANGE`, `NUMBER_PRECISION`, and `TOO_LARGE` or
            `REQUEST_TOO_LARGE`.
    """
    if len(data) > limits.max_bytes or data.count(b"\n") > limits.max_nodes:
        raise error([too_large(limits, error=error)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        before = data[: cause.start].decode("utf-8-sig")
        span = span_at(file, line_starts(before), len(before))
        raise error([Problem(code="YAML_ENCODING", message="not UTF-8", span=span)]) from None
    if "\0" in text[:4]:
        # UTF-16 or UTF-32 without a byte order mark.
        span = span_at(file, (0,), 0)
        raise error([Problem(code="YAML_ENCODING", message="not UTF-8", span=span)])
    return _Builder(text, file=file, error=error, limits=limits).build()


class _FatalError(Exception):
    """The file cannot be read any further."""


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence whose end has not been seen; in a mapping, `key` is set between key and value."""

    value: dict[str, JsonValue] | list[JsonValue]
    pointer: str
    key: str | None = None
    key_at: int = 0


class _Builder:
    """Builds the value from parsing events, one open container a frame: nothing here recurses."""

    def __init__(self, text: str, *, file: str, error: _Error, limits: Limits) -> None:
        self._text = text
        self._file = file
        self._error = error
        self._limits = limits
        self._starts = line_starts(text)
        self._offsets: dict[str, tuple[int, int]] = {}
        self._problems: list[Problem] = []
        self._frames: list[_Frame] = []
        self._root: JsonValue = None
        self._documents = 0
        self._nodes = 0

    def build(self) -> Document:
        """Return the document, or raise every problem found."""
        try:
            self._check_characters()
            self._run()
        except _FatalError:
            pass
        if self._problems:
            raise self._error(self._problems)
        return Document(value=self._root, file=self._file, text=self._text, offsets=self._offsets, starts=self._starts)

    def _check_characters(self) -> None:
        for match in _RAW_CONTROL.finditer(self._text):
            message = f"the file holds the control character {describe_character(match.group())}"
            self._add("CONTROL_CHARACTER", message, "", match.start(), hint="remove it, or write it as an escape")
        if self._problems:
            raise _FatalError
        # Looked for in the text, since the library drops directives it does not know without an event.
        if directive := _DIRECTIVE.match(self._text):
            self._fatal("YAML_DIRECTIVE", "directives are not accepted", directive.end() - 1, hint="remove the line")

    def _run(self) -> None:
        from ruamel.yaml import events

        for event in self._events():
            at = event.start_mark.index
            if isinstance(event, events.NodeEvent):
                self._open(event, at, is_alias=isinstance(event, events.AliasEvent))
            if isinstance(event, events.ScalarEvent):
                self._scalar(event, at)
            elif isinstance(event, (events.MappingStartEvent, events.SequenceStartEvent)):
                self._start({} if isinstance(event, events.MappingStartEvent) else [], at)
            elif isinstance(event, events.CollectionEndEvent):
                self._frames.pop()
            elif isinstance(event, events.AliasEvent):
                self._place(None, at, key=f"*{event.anchor}")
            elif isinstance(event, events.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    self._fatal("YAML_MULTI_DOCUMENT", "a file holds one document", at)

    def _events(self) -> Iterator[Event]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        # The library reads a block scalar that ends with the file differently without a final line end.
        text = self._text if self._text.endswith("\n") else self._text + "\n"
        try:
            yield from YAML(typ="safe", pure=True).parse(text)
        except MarkedYAMLError as cause:
            mark = cause.problem_mark or cause.context_mark
            problem = str(cause.problem or cause.context or "not YAML").partition("\n")[0]
            self._fatal("YAML_SYNTAX", problem, mark.index if mark else 0)
        except (YAMLError, ValueError, OverflowError):
            # Such as an escape beyond U+10FFFF, which the library does not report itself.
            self._fatal("YAML_SYNTAX", "not YAML", 0)

    def _open(self, event: NodeEvent, at: int, *, is_alias: bool) -> None:
        self._nodes += 1
        if self._nodes > self._limits.max_nodes:
            self._problems.append(too_large(self._limits, error=self._error))
            raise _FatalError
        if self._text[at - 1 : at] == "?" and not self._text[at : at + 1].isspace():
            # The library takes `{?a: b}` for an explicit key, YAML 1.2 for the text `?a`.
            self._fatal("YAML_SYNTAX", "`?` must be followed by a space, or quoted with its text", at - 1)
        if is_alias:
            self._add("YAML_ALIAS", "aliases are not accepted", self._pointer(), at, hint="write the value out")
        elif event.anchor is not None:
            self._add("YAML_ALIAS", "anchors are not accepted", self._pointer(), at, hint="remove the anchor")
        if getattr(event, "ctag", None) is not None:
            self._add("YAML_TAG", "tags are not accepted", self._pointer(), at, hint="remove the tag")

    def _start(self, value: dict[str, JsonValue] | list[JsonValue], at: int) -> None:
        if len(self._frames) >= self._limits.max_depth:
            message = f"nested deeper than {self._limits.max_depth} levels"
            self._fatal("YAML_TOO_DEEP", message, at)
        if self._wants_key():
            self._fatal("YAML_KEY_NOT_STRING", "a key must be a string", at)
        pointer = self._pointer()
        self._place(value, at)
        self._frames.append(_Frame(value, pointer))

    def _scalar(self, event: ScalarEvent, at: int) -> None:
        text = self._encodable(str(event.value), at)
        if self._wants_key():
            self._key(text, at, plain=event.style is None)
            return
        value: JsonValue = text
        if event.style is None:
            value = self._plain(text, at, self._pointer())
        self._check_text(text, self._pointer(), at)
        self._place(value, at)

    def _key(self, text: str, at: int, *, plain: bool) -> None:
        frame = self._frames[-1]
        pointer = join_pointer(frame.pointer, text)
        self._check_text(text, pointer, at)
        if plain and text == "<<":
            self._add("YAML_MERGE_KEY", "merge keys are not accepted", pointer, at, hint="write the members out")
        elif plain and not isinstance(self._plain(text, at, pointer), str):
            self._add("YAML_KEY_NOT_STRING", "a key must be a string", pointer, at, hint="quote it")
        if text in frame.value:
            self._add("YAML_DUPLICATE_KEY", f"the key `{_shown(text)}` stands twice in one mapping", pointer, at)
        frame.key, frame.key_at = text, at

    def _plain(self, text: str, at: int, pointer: str) -> JsonValue:
        try:
            return plain_value(text)
        except AmbiguousScalarError:
            message = f"YAML versions read `{_shown(text)}` differently"
            self._add("YAML_AMBIGUOUS_SCALAR", message, pointer, at, hint="quote it, or write it as JSON does")
        except NumberRefusedError as refused:
            self._add(refused.code, refused.message, pointer, at, hint=refused.hint)
        return text

    def _check_text(self, text: str, pointer: str, at: int) -> None:
        if match := CONTROL.search(text):
            message = f"holds the control character {describe_character(match.group())}"
            self._add("CONTROL_CHARACTER", message, pointer, at)

    def _encodable(self, text: str, at: int) -> str:
        if is_encodable(text):
            return text
        self._add("UNICODE_INVALID", "the text holds a lone surrogate", self._pointer(), at)
        # Kept out of pointers, so that the problems themselves can be written as UTF-8.
        return text.encode("utf-8", "replace").decode()

    def _wants_key(self) -> bool:
        return bool(self._frames) and isinstance(self._frames[-1].value, dict) and self._frames[-1].key is None

    def _pointer(self) -> str:
        """The pointer of the value that comes next; of the mapping itself where a key is due."""
        if not self._frames:
            return ""
        frame = self._frames[-1]
        if isinstance(frame.value, list):
            return f"{frame.pointer}/{len(frame.value)}"
        return frame.pointer if frame.key is None else join_pointer(frame.pointer, frame.key)

    def _place(self, value: JsonValue, at: int, *, key: str | None = None) -> None:
        if self._wants_key():
            self._frames[-1].key = key
            return
        pointer = self._pointer()
        if not self._frames:
            self._root = value
            self._offsets[pointer] = (at, at)
            return
        frame = self._frames[-1]
        if isinstance(frame.value, list):
            self._offsets[pointer] = (at, at)
            frame.value.append(value)
        elif frame.key is not None:
            self._offsets[pointer] = (at, frame.key_at)
            frame.value[frame.key] = value
            frame.key = None

    def _fatal(self, code: str, message: str, at: int, *, hint: str | None = None) -> NoReturn:
        self._add(code, message, self._pointer(), at, hint=hint)
        raise _FatalError

    def _add(self, code: str, message: str, pointer: str, at: int, *, hint: str | None = None) -> None:
        span = span_at(self._file, self._starts, min(at, len(self._text)))
        self._problems.append(Problem(code=code, message=message, pointer=pointer, span=span, hint=hint))
        if len(self._problems) >= _MAX_PROBLEMS:
            raise _FatalError


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
