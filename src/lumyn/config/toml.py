"""
One TOML file as plain data, with the line and column of its keys for error messages.
Must not know which keys Lumyn has.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lumyn.documents import Limits, read_bytes
from lumyn.errors import InvalidConfigError, Problem, Span

_KEY_PART: Final = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')"
_KEY: Final = rf"{_KEY_PART}(?:\s*\.\s*{_KEY_PART})*"
_HEADER: Final = re.compile(rf"\s*\[\[?\s*({_KEY})\s*\]")
_ASSIGNMENT: Final = re.compile(rf"(\s*)({_KEY})\s*=")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """
    A parsed file.

    Attributes:
        positions: Path of a key -> line and column, as far as a scan of the lines finds it: `tomllib` reports none.
    """

    file: Path
    document: dict[str, object]
    positions: Mapping[tuple[str, ...], tuple[int, int]]

    def span(self, *path: str) -> Span:
        """Return the place of a key, else of the nearest table around it, else the start of the file."""
        for length in range(len(path), 0, -1):
            for known, (line, column) in self.positions.items():
                if known[:length] == path[:length]:
                    return Span(shown(self.file), line, column)
        return Span(shown(self.file), 1, 1)


def read_toml(file: Path) -> TomlFile:
    """
    Return the parsed file.

    Raises:
        InvalidConfigError: `TOML_INVALID` with its position, or the file cannot be read.
    """
    try:
        text = _read(file).decode()
        document = tomllib.loads(text)
    except RecursionError:
        raise config_error("TOML_INVALID", "nested too deeply", span=Span(shown(file), 1, 1)) from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, and integers of too many digits
        raise _syntax_error(file, error) from None
    return TomlFile(file=file, document=document, positions=_key_positions(text))


def mentions(file: Path, word: bytes) -> bool:
    """Return whether the file holds `word` at all, so that a file about other things need not be valid."""
    return word in _read(file)


def config_error(code: str, message: str, *, span: Span | None = None, hint: str | None = None) -> InvalidConfigError:
    """Return an error with one problem."""
    return InvalidConfigError([Problem(code=code, message=message, span=span, hint=hint)])


def shown(file: Path) -> str:
    """Return the path as messages show it: relative to the working directory where it lies below it."""
    try:
        return str(file.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(file)


def _read(file: Path) -> bytes:
    return read_bytes(file, error=InvalidConfigError, limits=Limits())


def _syntax_error(file: Path, error: ValueError) -> InvalidConfigError:
    if isinstance(error, UnicodeDecodeError):
        return config_error("TOML_INVALID", "not UTF-8 text", span=Span(shown(file), 1, 1))
    place = re.search(r" \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)", str(error))
    message = str(error)[: place.start()] if place else str(error)
    line, column = (int(place[1]), int(place[2])) if place and place[1] else (1, 1)
    return config_error("TOML_INVALID", message[:1].lower() + message[1:], span=Span(shown(file), line, column))


def _key_positions(text: str) -> dict[tuple[str, ...], tuple[int, int]]:
    positions: dict[tuple[str, ...], tuple[int, int]] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _key_path(header[1])
            positions.setdefault(table, (number, line.index("[") + 1))
        elif assignment := _ASSIGNMENT.match(line):
            positions.setdefault((*table, *_key_path(assignment[2])), (number, len(assignment[1]) + 1))
    return positions


def _key_path(text: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_KEY_PART, text))
