"""
Where a command's words go: text for people, JSON for programs, errors in at most ten lines.
Nothing reaches a terminal raw, whatever it holds; must not know commands, records or policies.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO, TypeAlias

from lumyn.cli.layout import GAP, cells, column_widths, fold
from lumyn.errors import InvalidDocumentError, LumynError

__all__ = [
    "Console",
    "OutputError",
    "Part",
    "PipeClosedError",
    "counted_noun",
    "error_lines",
    "print_error",
    "safe",
    "safe_json",
    "write",
    "write_bytes",
    "write_document",
]

Part: TypeAlias = "str | tuple[str, str]"
"""A piece of a line: text, or text and a style such as `bold red`."""

Piece: TypeAlias = "tuple[str, str]"

_MAX_ERROR_LINES: Final = 10
_MAX_LINE_CHARS: Final = 500
_LEAST_ROOM: Final = 10

# C0, DEL, C1, line and paragraph separators, bidi controls (UAX #9), invisible tag characters, and the lone
# surrogates that stand for undecodable bytes of file names.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


class PipeClosedError(Exception):
    """Whoever read the output has stopped reading."""


class OutputError(Exception):
    """The output cannot be written; the message says why, `hint` what is true all the same."""

    reason_code = "OUTPUT_NOT_WRITTEN"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def safe(text: str) -> str:
    r"""Return `text` with everything that could steer a terminal shown as `\xNN` or `\u{NN}`."""
    return _UNSAFE.sub(_shown_code, text)


def safe_json(text: str) -> str:
    """Return JSON text, its line ends apart, with everything that could steer a terminal escaped: it means the same."""
    # What safe() guards against occurs in JSON only inside strings.
    return re.sub(r"[^\n]+", lambda line: _UNSAFE.sub(_json_escape, line[0]), text)


def counted_noun(count: int, noun: str) -> str:
    """Return `1 rule`, `2 rules`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _shown_code(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


class Console:
    """
    Writes one command's output.

    On a terminal, or where `COLUMNS` is set, lines are wrapped and tables fitted to the width; into a pipe every line
    and every row stays whole, so that it can be searched.

    Args:
        stream: Where to write; default standard output as it is now.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.is_terminal = _is_terminal(self._stream)
        self.width = _width(self._stream, is_terminal=self.is_terminal)
        self.has_colour = _has_colour(is_terminal=self.is_terminal)

    def line(self, *parts: Part, indent: int = 0, hang: int | None = None) -> None:
        """Write one line; what does not fit continues below it, indented by `hang` (default `indent`)."""
        pieces = _pieces(parts)
        if self.width is None:
            self._write_lines([[(" " * indent, ""), *pieces]])
            return
        text = "".join(piece[0] for piece in pieces)
        # A digest is copied: it starts further left where it then stays in one piece.
        longest = max((cells(word) for word in text.split()), default=0)
        rest = min(indent if hang is None else hang, self.width // 2)
        if self.width - rest < longest <= self.width:
            rest = self.width - longest
            indent = rest if " " not in text else indent
        rooms = max(_LEAST_ROOM, self.width - indent), max(_LEAST_ROOM, self.width - rest)
        lines = [
            [(" " * (rest if number else indent), ""), *_cut(pieces, start, end)]
            for number, (start, end) in enumerate(fold(text, *rooms))
        ]
        self._write_lines(lines)

    def laid_out(self, lines: Sequence[Sequence[Piece]]) -> None:
        """Write lines that were fitted to the width already."""
        self._write_lines([[(safe(text), style) for text, style in line] for line in lines])

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Part]]) -> None:
        """Write a table; a cell that does not fit is folded, never cut."""
        grid = [[[(column, "dim")] for column in columns], *([_pieces([cell]) for cell in row] for row in rows)]
        texts = [["".join(piece[0] for piece in row[place]) for row in grid] for place in range(len(columns))]
        room = 1_000_000 if self.width is None else self.width - GAP * (len(columns) - 1)
        widths = column_widths(texts, room=room)
        for row in grid:
            self._write_lines(_row_lines(row, widths))

    def json(self, command: str, data: dict[str, object], *, one_line: bool = False) -> None:
        """Write `data` as JSON, under the schema name of the command."""
        document = {"schema": f"lumyn.cli.{command}.v0", **data}
        text = json.dumps(document, indent=None if one_line else 2, ensure_ascii=False, allow_nan=False)
        write_document(self._stream, safe_json(text) + "\n")

    def _write_lines(self, lines: Sequence[Sequence[Piece]]) -> None:
        if self.has_colour:
            texts = self._painted(lines)
        else:
            texts = ["".join(piece[0] for piece in line) for line in lines]
        self._write("".join(f"{text.rstrip()}\n" for text in texts))

    def _painted(self, lines: Sequence[Sequence[Piece]]) -> list[str]:
        from rich.console import Console as RichConsole
        from rich.text import Text

        rich = RichConsole(
            file=self._stream, force_terminal=True, width=100_000, markup=False, emoji=False, highlight=False
        )
        texts = []
        for line in lines:
            with rich.capture() as capture:
                rich.print(Text.assemble(*line), end="")
            texts.append(capture.get())
        return texts

    def _write(self, text: str) -> None:
        write(self._stream, text)


def write(stream: TextIO | None, text: str) -> None:
    """
    Write and flush.

    Raises:
        PipeClosedError: Nobody reads any more.
        OutputError: The text cannot be written for another reason.
    """
    if stream is None:  # closed before the process started, as by `>&-`
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise PipeClosedError from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the stream is closed"
        raise OutputError(f"cannot write the output: {reason or 'i/o error'}") from None


def write_bytes(stream: TextIO | None, data: bytes) -> None:
    """
    Write bytes as they are and flush.

    Raises:
        PipeClosedError: Nobody reads any more.
        OutputError: They cannot be written for another reason.
    """
    if stream is None:
        return
    try:
        stream.flush()
        stream.buffer.write(data)
        stream.buffer.flush()
    except BrokenPipeError:
        raise PipeClosedError from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the stream is closed"
        raise OutputError(f"cannot write the output: {reason or 'i/o error'}") from None


def write_document(stream: TextIO | None, text: str) -> None:
    """
    Write a text that is read elsewhere, such as JSON, YAML or Markdown: never folded, and always in UTF-8.

    A terminal gets it in its own encoding, with nothing in it that could steer one.

    Raises:
        PipeClosedError: Nobody reads any more.
        OutputError: It cannot be written for another reason.
    """
    if _is_terminal(stream) or getattr(stream, "buffer", None) is None:
        write(stream, "\n".join(map(safe, text.replace("\r\n", "\n").split("\n"))))
    else:
        write_bytes(stream, text.encode(errors="backslashreplace"))


def print_error(error: LumynError) -> None:
    """Write an expected error to standard error, in at most ten lines."""
    write(sys.stderr, "".join(f"{line}\n" for line in error_lines(error)))


def error_lines(error: LumynError) -> list[str]:
    """Return an error as at most ten lines: what and code, each problem with its place, a hint."""
    lines = list(_problem_lines(error)) if isinstance(error, InvalidDocumentError) else _message_lines(error)
    if error.hint:
        lines = [*lines[: _MAX_ERROR_LINES - 1], f"hint: {error.hint}"]
    return [_cropped(safe(line)) for line in lines[:_MAX_ERROR_LINES]]


def _message_lines(error: LumynError) -> list[str]:
    first, *rest = error.message.splitlines() or [type(error).__name__]
    return [f"error: {first} [{error.reason_code}]", *(f"  {line.strip()}" for line in rest)]


def _problem_lines(error: InvalidDocumentError) -> Iterable[str]:
    problems = error.problems
    if len(problems) == 1:
        problem = problems[0]
        where = f"{problem.span or problem.pointer}: " if problem.span or problem.pointer else ""
        yield f"error: invalid {error.noun}: {where}{problem.message} [{problem.code}]"
        if problem.hint:
            yield f"hint: {problem.hint}"
        return
    yield f"error: invalid {error.noun}: {len(problems)} problems [{error.reason_code}]"
    shown = problems[:8] if len(problems) <= 9 else problems[:7]
    for problem in problems if len(problems) <= 9 else shown:
        yield f"  {problem}"
    if len(problems) > 9:
        yield f"  and {len(problems) - len(shown)} more; `--json` lists all"


def _cropped(line: str) -> str:
    return line if len(line) <= _MAX_LINE_CHARS else f"{line[:_MAX_LINE_CHARS]}..."


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0], ensure_ascii=True)[1:-1] if found[0] != "\x7f" else "\\u007f"


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _width(stream: TextIO | None, *, is_terminal: bool) -> int | None:
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return max(20, int(columns))
    if not is_terminal or stream is None:
        return None
    try:
        # A terminal that does not know its size says 0.
        return max(20, os.get_terminal_size(stream.fileno()).columns or 80)
    except (OSError, ValueError):
        return 80


def _has_colour(*, is_terminal: bool) -> bool:
    """Return whether to use colours: no-color.org, force-color.org, and terminals that have none."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") in {"dumb", "unknown"}:
        return False
    return is_terminal or bool(os.environ.get("FORCE_COLOR"))


def _pieces(parts: Sequence[Part]) -> list[Piece]:
    return [(safe(part), "") if isinstance(part, str) else (safe(part[0]), part[1]) for part in parts]


def _cut(pieces: Sequence[Piece], start: int, end: int) -> list[Piece]:
    """Return the pieces between two places of their joined text."""
    kept: list[Piece] = []
    place = 0
    for text, style in pieces:
        kept.append((text[max(0, start - place) : max(0, end - place)], style))
        place += len(text)
    return kept


def _row_lines(row: Sequence[Sequence[Piece]], widths: Sequence[int]) -> list[list[Piece]]:
    """Return the lines of one row of a table: each cell folded to its width, padded up to the next column."""
    folded = []
    for cell, width in zip(row, widths, strict=True):
        text = "".join(piece[0] for piece in cell)
        folded.append([_cut(cell, start, end) for start, end in fold(text, width, width)])
    lines: list[list[Piece]] = []
    for number in range(max(map(len, folded))):
        line: list[Piece] = []
        for cell_lines, width in zip(folded, widths, strict=True):
            pieces = cell_lines[number] if number < len(cell_lines) else []
            used = sum(cells(text) for text, _ in pieces)
            line += [*pieces, (" " * (width - used + GAP), "")]
        lines.append(line)
    return lines
