"""
What differs between an expectation and what came out, as typed values.
Compares by hand; deepdiff is loaded only to itemise a difference that somebody wants to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lumyn.core.records import DecisionRecord
from lumyn.documents.schema import check, problems
from lumyn.errors import InvalidDocumentError, LumynError
from lumyn.model import JsonObject, JsonValue
from lumyn.vectors.expect import ABSENT, Absent, Actual, differences, equal, holds
from lumyn.vectors.format import Expectation
from lumyn.vectors.merge import dotted
from lumyn.vectors.origins import VectorPath

__all__ = [
    "Difference",
    "Drift",
    "DriftKind",
    "compare",
    "compare_error",
    "itemise",
    "malformed",
]

RECORD_SCHEMA: Final = "decision_record.v0.schema.json"

_ULID: Final = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
_DIGEST: Final = re.compile("sha256:[0-9a-f]{64}")
_SNAPSHOT: Final = re.compile("mem0:(0|[1-9][0-9]*):[0-9a-f]{64}")
_NO_SNAPSHOT: Final = "unavailable"
# Members a record leaves out when there is nothing to say.
_LISTS: Final = frozenset({"queries", "obligations"})
_NAMED_BY: Final = {"matched_rules": "rule_id", "queries": "field"}


class DriftKind(StrEnum):
    """What part of the outcome differs; `MISSING`: nothing is expected yet."""

    VERDICT = "verdict"
    REASON_CODES = "reason_codes"
    MATCHED_RULES = "matched_rules"
    QUERIES = "queries"
    OBLIGATIONS = "obligations"
    RISK_SIGNALS = "risk_signals"
    RECORD = "record"
    ERROR = "error"
    CHANGED_FROM = "changed_from"
    REPLAY = "replay"
    STEP = "step"
    CONTRACT = "contract"
    CUSTOM = "custom"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One innermost place where two values differ; None stands for an absent value."""

    path: str
    expected: JsonValue
    actual: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """
    One expectation that did not come true.

    Attributes:
        path: Dotted path into the record, such as `risk_signals.failure_similarity.score`.
        expected: As the vector writes it.
        actual: What came out; None also for an absent value.
        message: What is wrong, where expected and actual do not say it; else empty.
        lost: Names that were expected and are not there: reason codes, rule ids, fields of queries.
        gained: Names that are there and were not expected.
        origin: Where the expectation stands in the vector.
        step: Index of the step.
    """

    kind: DriftKind
    path: str
    expected: JsonValue = None
    actual: JsonValue = None
    message: str = ""
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    origin: VectorPath = ()
    step: int = 0

    def to_dict(self) -> JsonObject:
        """Return the drift as plain JSON data."""
        return {
            "kind": self.kind.value,
            "path": self.path,
            "expected": self.expected,
            "actual": self.actual,
            "message": self.message,
            "lost": list(self.lost),
            "gained": list(self.gained),
            "step": self.step,
        }


def compare(expect: Expectation, record: JsonObject, *, step: int = 0) -> list[Drift]:
    """
    Return how a normalised record differs from what is expected; empty when it does not.

    Args:
        record: Not changed.
        step: Index of the step, for the drifts.
    """
    found: list[Drift] = []
    if expect.missing:
        message = "nothing is expected of this decision yet"
        verdict = record.get("verdict")
        return [Drift(kind=DriftKind.MISSING, path="", actual=verdict, message=message, origin=expect.path, step=step)]
    if expect.error is not None:
        verdict = record.get("verdict")
        message = f"expected the error {expect.error}, and a record came out"
        found.append(
            Drift(
                kind=DriftKind.ERROR,
                path="error",
                expected=expect.error,
                actual=verdict,
                message=message,
                origin=(*expect.path, "error"),
                step=step,
            )
        )
        return found
    for key, expected in expect.record.items():
        actual = record.get(key, [] if key in _LISTS else ABSENT)
        if not holds(expected, actual):
            found += _member(key, expected, actual, (*expect.path, key), step)
    origin = (*expect.path, "record")
    if expect.subset is not None:
        places = differences(expect.subset, record)
        found += [_place(DriftKind.RECORD, (), place, origin, step) for place in places]
    if expect.exact is not None and not equal(expect.exact, record):
        found.append(
            Drift(kind=DriftKind.RECORD, path="", expected=expect.exact, actual=record, origin=origin, step=step)
        )
    return found


def compare_error(expect: Expectation, error: LumynError, *, step: int = 0) -> list[Drift]:
    """Return how an error that was raised differs from what is expected; empty when it was expected."""
    codes: list[JsonValue] = []
    if isinstance(error, InvalidDocumentError):
        codes = [problem.code for problem in error.problems]
    if expect.error == error.reason_code:
        wanted = expect.error_problems
        if wanted is None or holds(wanted, codes):
            return []
        lost, gained = _lost_and_gained(wanted, codes, "")
        return [
            Drift(
                kind=DriftKind.ERROR,
                path="error.problems",
                expected=wanted,
                actual=codes,
                lost=lost,
                gained=gained,
                origin=(*expect.path, "error", "problems"),
                step=step,
            )
        ]
    return [
        Drift(
            kind=DriftKind.ERROR,
            path="error",
            expected=expect.error,
            actual=error.reason_code,
            message=str(error),
            gained=tuple(dict.fromkeys(str(code) for code in codes)),
            origin=expect.path,
            step=step,
        )
    ]


def malformed(record: DecisionRecord, document: JsonObject, created_at: str, *, step: int = 0) -> list[Drift]:
    """
    Return what is wrong with the parts of a record that expectations leave out, and with its shape as a whole.

    Args:
        document: `record.to_dict()`.
        created_at: The pinned time at which it must have been made.
    """
    found: list[tuple[str, JsonValue, JsonValue]] = []
    if not _ULID.fullmatch(record.decision_id):
        found.append(("decision_id", "a ULID", record.decision_id))
    if record.created_at != created_at:
        found.append(("created_at", created_at, record.created_at))
    if not _DIGEST.fullmatch(record.policy.policy_hash):
        found.append(("policy.policy_hash", "a digest", record.policy.policy_hash))
    if not _DIGEST.fullmatch(record.inputs_digest):
        found.append(("determinism.inputs_digest", "a digest", record.inputs_digest))
    snapshot = record.memory_snapshot
    if not _SNAPSHOT.fullmatch(snapshot) and (snapshot != _NO_SNAPSHOT or record.persisted):
        found.append(("determinism.memory_snapshot", "a memory snapshot", snapshot))
    drifts = [
        Drift(kind=DriftKind.CONTRACT, path=path, expected=expected, actual=actual, step=step)
        for path, expected, actual in found
    ]
    if not check(RECORD_SCHEMA, document):
        drifts += [
            Drift(
                kind=DriftKind.CONTRACT,
                path=problem.pointer.removeprefix("/").replace("/", "."),
                message=f"the record breaks its schema: {problem.message}",
                step=step,
            )
            for problem in problems(RECORD_SCHEMA, document)
        ]
    return drifts


def itemise(expected: JsonValue, actual: JsonValue) -> tuple[Difference, ...]:
    """Return the innermost places where two values differ, by path; loads deepdiff."""
    from deepdiff import DeepDiff

    report = DeepDiff(expected, actual, view="tree", ignore_numeric_type_changes=True, verbose_level=2)
    found = [
        Difference(
            path=_path_text(change.path(output_format="list")), expected=_plain(change.t1), actual=_plain(change.t2)
        )
        for changes in report.values()
        for change in changes
    ]
    return tuple(sorted(found, key=lambda difference: difference.path))


def _member(key: str, expected: JsonValue, actual: Actual, origin: VectorPath, step: int) -> Iterator[Drift]:
    kind = DriftKind(key)
    if kind is DriftKind.RISK_SIGNALS:
        for place in differences(expected, actual):
            yield _place(kind, (key,), place, origin, step)
        return
    lost, gained = _lost_and_gained(expected, actual, _NAMED_BY.get(key, ""))
    yield Drift(
        kind=kind,
        path=key,
        expected=expected,
        actual=_present(actual),
        lost=lost,
        gained=gained,
        origin=origin,
        step=step,
    )


def _place(
    kind: DriftKind, above: VectorPath, place: tuple[VectorPath, JsonValue, Actual], origin: VectorPath, step: int
) -> Drift:
    path, expected, actual = place
    return Drift(
        kind=kind,
        path=dotted((*above, *path)),
        expected=expected,
        actual=_present(actual),
        message="absent" if isinstance(actual, Absent) else "",
        origin=(*origin, *path),
        step=step,
    )


def _lost_and_gained(expected: JsonValue, actual: Actual, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of a list that should be there and are not, and those that should not be there and are."""
    held = _names(actual if isinstance(actual, list) else [], name)
    if isinstance(expected, list):
        wanted, unwanted, exact = _names(expected, name), list[str](), True
    elif isinstance(expected, dict):
        wanted = [text for operator in ("contains", "any_order") for text in _operand(expected, operator, name)]
        unwanted, exact = _operand(expected, "excludes", name), "any_order" in expected
        if expected.get("is_empty") is True:
            exact = True
    else:
        return (), ()
    lost = tuple(text for text in wanted if text not in held)
    gained = tuple(text for text in held if text in unwanted or (exact and text not in wanted))
    return lost, gained


def _operand(operators: JsonObject, operator: str, name: str) -> list[str]:
    operand = operators.get(operator)
    return _names(operand, name) if isinstance(operand, list) else []


def _names(items: Sequence[JsonValue], name: str) -> list[str]:
    named = [item.get(name) if isinstance(item, dict) else item for item in items]
    return [text for text in named if isinstance(text, str)]


def _present(value: Actual) -> JsonValue:
    return None if isinstance(value, Absent) else value


def _plain(value: object) -> JsonValue:
    return value if isinstance(value, (str, int, float, bool, list, dict)) else None


def _path_text(path: object) -> str:
    return dotted(tuple(path)) if isinstance(path, list) else str(path)
