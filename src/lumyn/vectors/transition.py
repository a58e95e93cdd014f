"""
Whether what a vector got lets more happen than what it expected.
Must not know how a vector is run, nor how a drift is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from lumyn.model import JsonValue, Verdict
from lumyn.vectors.drift import Drift, DriftKind
from lumyn.vectors.expect import is_operators
from lumyn.vectors.runner import VectorResult

__all__ = ["Direction", "allowed_verdicts", "direction"]

_VERDICTS: Final = {verdict.value: verdict for verdict in Verdict}
_KINDS: Final = (DriftKind.VERDICT, DriftKind.ERROR)
_PATHS: Final = ("verdict", "record.verdict")
"""Where the verdict stands in the drift of a whole record."""


class Direction(StrEnum):
    """How the verdict moved; `OTHER` where it did not, or where nothing can be said of it."""

    LOOSER = "looser"
    TIGHTER = "tighter"
    OTHER = "other"


def allowed_verdicts(expected: JsonValue) -> frozenset[Verdict]:
    """Return the verdicts that an expectation of `verdict` admits: one, those of `in`, or none where it names none."""
    if isinstance(expected, str):
        expected = [expected]
    elif is_operators(expected):
        expected = expected.get("in")
    if not isinstance(expected, list):
        return frozenset()
    return frozenset(_VERDICTS[name] for name in expected if isinstance(name, str) and name in _VERDICTS)


def direction(result: VectorResult) -> Direction:
    """
    Return how the verdict moved; of several steps that drifted the loosest counts.

    Looser is a verdict less strict than every one that was expected, and a decision that permits where an error was
    expected.
    """
    moves = {_move(drift, got) for drift, got in _verdict_drifts(result)}
    for each in (Direction.LOOSER, Direction.TIGHTER):
        if each in moves:
            return each
    return Direction.OTHER


def _verdict_drifts(result: VectorResult) -> Iterable[tuple[Drift, Verdict]]:
    for step in result.steps:
        for drift in step.drifts:
            if step.record is not None and (drift.kind in _KINDS or drift.path in _PATHS):
                yield drift, step.record.verdict


def _move(drift: Drift, got: Verdict) -> Direction:
    if drift.kind is DriftKind.ERROR:
        return Direction.LOOSER if got is Verdict.TRUST else Direction.OTHER
    allowed = allowed_verdicts(drift.expected)
    if not allowed:
        return Direction.OTHER
    if got.strictness < min(verdict.strictness for verdict in allowed):
        return Direction.LOOSER
    if got.strictness > max(verdict.strictness for verdict in allowed):
        return Direction.TIGHTER
    return Direction.OTHER
