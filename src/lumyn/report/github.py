"""
A run of vectors as workflow commands of GitHub Actions, which mark lines of a pull request.
Must not know what else a log holds; whatever stands in the data is escaped, so that it cannot become a command.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lumyn.report.run import RunReport, VectorReport
from lumyn.report.text import printable

__all__ = ["MOST_ANNOTATIONS", "workflow_commands"]

MOST_ANNOTATIONS: Final = 10
"""GitHub shows no more errors of one step than this."""


def workflow_commands(report: RunReport) -> Iterator[str]:
    """
    Yield commands, one a line: what failed the run, unreadable files, then looser vectors, then the others.

    A deciding rule is marked once, as a notice, with how many vectors it made fail; notices have a limit of their own.
    """
    errors = [("error", error.path, error.line, "Lumyn: file cannot be read", error.message) for error in report.errors]
    errors += [
        ("error", vector.path, vector.line, f"Lumyn: {vector.vector}", vector.summary) for vector in report.failed
    ]
    failures = report.failures[:MOST_ANNOTATIONS]
    for failure in failures:
        yield f"::error title=Lumyn: the run failed::{_data(failure)}"
    notices = [("notice", path, line, "Lumyn: rule behind drift", text) for path, line, text in _rules(report)]
    for kind, path, line, title, text in [*errors[: MOST_ANNOTATIONS - len(failures)], *notices[:MOST_ANNOTATIONS]]:
        place = f"file={_path(path)}" + (f",line={line}" if line else "")
        yield f"::{kind} {place},title={_property(title)}::{_data(text)}"


def _rules(report: RunReport) -> Iterator[tuple[str, int, str]]:
    failed: dict[tuple[str, str], list[VectorReport]] = {}
    for vector in report.failed:
        if vector.cause is not None and vector.cause.place:
            failed.setdefault((vector.cause.place, vector.cause.rule), []).append(vector)
    for (place, rule), vectors in failed.items():
        path, _, line = place.rpartition(":")
        if line.isdecimal():
            noun = "vector" if len(vectors) == 1 else "vectors"
            yield path, int(line), f"{rule} decides {len(vectors)} failing {noun}, such as {vectors[0].vector}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _path(text: str) -> str:
    """Return the name of a file as the runner reads it back; what nobody could see in a log is shown instead."""
    exact = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return printable(exact.replace(":", "%3A").replace(",", "%2C"))
