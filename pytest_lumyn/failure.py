"""
What pytest shows of a vector that failed: in a terminal, in the short summary, in reports of other plugins.
Must not decide what failed, nor how many failures are shown.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest

from lumyn.report.text import Line, Segment, Style, headline, plain, printable, render, terminal_markup
from lumyn.vectors.format import Vector
from lumyn.vectors.packing import PackedVector
from lumyn.vectors.runner import Outcome, VectorResult

__all__ = [
    "Crash",
    "Failure",
    "Writer",
    "drift_failure",
    "error_failure",
    "failure_from_data",
    "raised_at",
    "summary",
]

TEXT_WIDTH = 100
"""Columns of a failure outside a terminal, such as in a JUnit file."""

_MACHINERY = ("pluggy", "_pytest", "pytest_lumyn")

LineData: TypeAlias = "list[list[list[str]]]"
"""Lines of (text, style) pairs, as they travel from a worker to the controller."""


class Writer(Protocol):
    """The part of pytest's terminal writer that is used here."""

    fullwidth: int

    def write(self, msg: str, **markup: bool) -> None: ...

    def line(self, s: str = "") -> None: ...


@dataclass(frozen=True)
class Crash:
    """Where and in short what; pytest and its plugins read exactly these names. `lineno` counts from 1."""

    path: str
    lineno: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lineno}: {self.message}"


class Failure:
    """
    The `longrepr` of a failed vector.

    Args:
        crash: The short form.
        draw: Returns the lines for a number of columns.
        silent: Show nothing in the terminal beyond the short form, as `--tb=line` asks.
    """

    def __init__(self, *, crash: Crash, draw: Callable[[int], list[Line]], silent: bool = False) -> None:
        self.reprcrash = crash
        self._draw = draw
        self._silent = silent

    def toterminal(self, tw: Writer) -> None:
        """Write the lines, in colour where the terminal has any."""
        if self._silent:
            return
        for line in self._draw(tw.fullwidth):
            for segment in line:
                tw.write(segment.text, **terminal_markup(segment.style))
            tw.line()

    def __str__(self) -> str:
        return plain(self._draw(TEXT_WIDTH))

    def to_data(self, width: int) -> dict[str, Any]:
        """Return plain data from which `failure_from_data` makes a failure that looks the same at this width."""
        lines: LineData = [[[segment.text, segment.style.value] for segment in line] for line in self._draw(width)]
        crash = [self.reprcrash.path, self.reprcrash.lineno, self.reprcrash.message]
        return {"crash": crash, "lines": lines, "silent": self._silent}


class _Received(Failure):
    """A failure that a worker sent: the text for files is the worker's own."""

    def __init__(self, *, crash: Crash, lines: list[Line], text: str, silent: bool) -> None:
        super().__init__(crash=crash, draw=lambda width: lines, silent=silent)
        self._text = text

    def __str__(self) -> str:
        return self._text


def failure_from_data(data: Mapping[str, Any], text: str) -> Failure:
    """Return the failure a worker described with `Failure.to_data`; `text` is its `str()`."""
    path, lineno, message = data["crash"]
    lines = [[Segment(part, Style(style)) for part, style in line] for line in data["lines"]]
    crash = Crash(path=path, lineno=lineno, message=message)
    return _Received(crash=crash, lines=lines, text=text, silent=data["silent"])


def drift_failure(
    result: VectorResult, reason: str, config: pytest.Config, *, rerun: str, accept: str | None = None
) -> Failure:
    """
    Return what to show of a vector that drifted or cannot run.

    Args:
        reason: Stands beside it; may be empty.
        rerun: The command that runs it again.
        accept: The command that accepts what came out, or why there is none.
    """
    verbosity = config.get_verbosity()
    note = printable(reason)

    def draw(width: int) -> list[Line]:
        lines = render(result, width=width, verbosity=verbosity, rerun=rerun, accept=accept)
        return [*lines, [Segment(f"  {note}", Style.ERROR)]] if note else lines

    said = () if result.outcome is Outcome.PASSED else (summary(result),)
    message = "; ".join([*said, *([note] if note else [])])
    step = result.failed_step if result.vector.is_scenario else None
    span = result.vector.span if step is None else step.step.span
    return Failure(crash=Crash(path=span.file, lineno=span.line, message=message), draw=draw, silent=_silent(config))


def error_failure(
    vector: Vector | PackedVector, error: BaseException, config: pytest.Config, *, said: str = ""
) -> Failure:
    """Return what to show of an unexpected error: `said`, else its message, and the frames of whoever raised it."""
    message = said or printable(f"raised {type(error).__name__}: {error}".rstrip(": "))
    head: Line = [
        Segment(printable(f"{vector.file}:{vector.span.line}"), Style.PLACE),
        Segment(" "),
        Segment(printable(vector.vector_id), Style.NAME),
        Segment(f" {message}", Style.ERROR),
    ]
    lines = [head]
    if config.get_verbosity() >= 0:
        text = "".join(_readable(traceback.TracebackException.from_exception(error)).format())
        lines += [[Segment(f"  {printable(line)}")] for line in text.splitlines()]
    crash = Crash(path=vector.file, lineno=vector.span.line, message=message)
    return Failure(crash=crash, draw=lambda width: lines, silent=_silent(config))


def summary(result: VectorResult) -> str:
    """Return a result in a few words, without its place and name: `verdict TRUST -> ESCALATE ...`."""
    if result.outcome is Outcome.INVALID:
        return "; ".join(printable(str(problem)) for problem in result.problems)
    said = headline(result).partition(f" {printable(result.vector.vector_id)} ")[2]
    return " ".join(said.split())


def raised_at(error: BaseException, base: Path) -> str:
    """Return `FILE:LINE`, relative to `base`, of the code that raised; nothing if that was pytest or this plugin."""
    frames = _readable(traceback.TracebackException.from_exception(error)).stack
    if not frames or _is_machinery(frames[-1].filename):
        return ""
    path = Path(frames[-1].filename)
    name = path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
    return printable(f"{name}:{frames[-1].lineno}")


def _silent(config: pytest.Config) -> bool:
    return bool(config.getoption("tbstyle", "auto") == "line")


def _readable(error: traceback.TracebackException) -> traceback.TracebackException:
    """Keep the frames between those of pytest, pluggy and this plugin: of whoever raised, and of what they called."""
    for each in _chain(error):
        others = [place for place, frame in enumerate(each.stack) if not _is_machinery(frame.filename)]
        if others:  # what comes after the last of them is `pytest.fail`, which raises for others
            end = others[-1] + 1
            inside = [place for place in range(end) if place not in others]
            each.stack[:] = each.stack[inside[-1] + 1 if inside else 0 : end]
    return error


def _chain(error: traceback.TracebackException | None) -> Sequence[traceback.TracebackException]:
    return [] if error is None else [error, *_chain(error.__cause__), *_chain(error.__context__)]


def _is_machinery(filename: str) -> bool:
    return any(part in _MACHINERY for part in Path(os.path.normpath(filename)).parts)
