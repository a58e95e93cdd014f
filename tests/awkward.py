"""
Vector files written in every awkward way, each with one expectation to rewrite and the text that must come of it.
A place that changes is marked `<<before|after>>`; all else must stay to the byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["AWKWARD", "Awkward", "awkward_files", "marked"]

AWKWARD = Path(__file__).parent / "data" / "awkward"
_MARK = re.compile(r"<<(.*?)\|(.*?)>>", re.DOTALL)
_SETTINGS = re.compile(r"\A%% ([^\n]*)\n")


@dataclass(frozen=True)
class Awkward:
    """One file: its name in a repository, the bytes before and the bytes after an update."""

    name: str
    before: bytes
    after: bytes


def awkward_files(folder: Path = AWKWARD) -> list[Awkward]:
    """
    Return every file of `folder`.

    Its first line, `%% crlf bom mixed no-final-newline tabs`, says what no editor must lose by accident: line ends,
    a byte order mark, tabs for the indentation of JSON.
    """
    return [_read(path) for path in sorted(folder.iterdir())]


def _read(path: Path) -> Awkward:
    text = path.read_text(encoding="utf-8")
    match = _SETTINGS.match(text)
    settings = set(match.group(1).split()) if match else set[str]()
    return marked(path.name, text[match.end() :] if match else text, settings)


def marked(name: str, text: str, settings: set[str]) -> Awkward:
    """Return the file that a text with marks stands for."""
    before, after = _MARK.sub(r"\1", text), _MARK.sub(r"\2", text)
    return Awkward(name=name, before=_bytes(before, settings), after=_bytes(after, settings))


def _bytes(text: str, settings: set[str]) -> bytes:
    if "tabs" in settings:
        text = re.sub(r"(?m)^(?:  )+", lambda match: "\t" * (len(match.group()) // 2), text)
    if "no-final-newline" in settings:
        text = text.rstrip("\n")
    if "crlf" in settings:
        text = text.replace("\n", "\r\n")
    if "mixed" in settings:
        lines = text.split("\n")
        text = "".join(line + ("\r\n" if number % 2 else "\n") for number, line in enumerate(lines[:-1])) + lines[-1]
    return (b"\xef\xbb\xbf" if "bom" in settings else b"") + text.encode()
