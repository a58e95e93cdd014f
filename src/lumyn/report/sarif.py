"""
A run of vectors as SARIF 2.1.0 (OASIS), for code scanning.
Must not know who reads it; two runs with the same outcome give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from lumyn.digest import sha256_text
from lumyn.model import JsonObject, JsonValue
from lumyn.report.run import RunReport, SuiteError, VectorReport, error_identities
from lumyn.report.text import printable

__all__ = ["MOST_RESULTS", "kind_of", "render"]

MOST_RESULTS: Final = 5000
"""GitHub shows no more results of one run than this."""

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT: Final = "SRCROOT"

_KINDS: Final = {
    "vector-looser": "The verdict is more permissive than the vector expects.",
    "vector-tighter": "The verdict is stricter than the vector expects.",
    "vector-drift": "The decision differs from what the vector expects.",
    "vector-invalid": "The vector cannot run.",
    "suite-invalid": "The file holds no usable vectors.",
}


def kind_of(vector: VectorReport) -> str:
    """Return which of the documented kinds a failed vector is."""
    if vector.direction in ("looser", "tighter"):
        return f"vector-{vector.direction}"
    return "vector-drift" if vector.cause is not None else "vector-invalid"


def render(report: RunReport) -> str:
    """Return a log of one run: a result for each vector that failed and each file that could not be read."""
    results = [
        *map(_error, report.errors, error_identities(report.errors)),
        *(_result(vector) for vector in report.failed),
    ]
    run: JsonObject = {
        "tool": {
            "driver": {
                "name": "Lumyn",
                "version": report.version,
                "rules": [
                    {"id": kind, "shortDescription": {"text": text}, "defaultConfiguration": {"level": "error"}}
                    for kind, text in _KINDS.items()
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        **({"invocations": [_invocation(report)]} if report.failures else {}),
        "results": list(results[:MOST_RESULTS]),
        "properties": {"vectors": len(report.vectors), "results": len(results)},
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _invocation(report: RunReport) -> JsonObject:
    """Return what says that results that are not there are no good news."""
    notes: list[JsonValue] = [{"level": "error", "message": {"text": printable(each)}} for each in report.failures]
    return {"executionSuccessful": False, "toolExecutionNotifications": notes}


def _result(vector: VectorReport) -> JsonObject:
    related: list[JsonValue] = list(_related(vector))
    return {
        "ruleId": kind_of(vector),
        "level": "error",
        "message": {"text": printable(f"{vector.vector}: {vector.summary}")},
        "locations": [_location(vector.path, vector.line)],
        **({"relatedLocations": related} if related else {}),
        "partialFingerprints": {"lumynVector/v1": sha256_text(vector.identity)},
    }


def _related(vector: VectorReport) -> Iterator[JsonObject]:
    cause = vector.cause
    if cause is None or not cause.place:
        return
    path, _, line = cause.place.rpartition(":")
    if path and line.isdecimal():
        text = f"decided by {printable(cause.rule)}"
        yield {"id": 0, "message": {"text": text}, **_location(path, int(line))}


def _error(error: SuiteError, identity: str) -> JsonObject:
    return {
        "ruleId": "suite-invalid",
        "level": "error",
        "message": {"text": printable(error.message)},
        "locations": [_location(error.path, error.line)],
        "partialFingerprints": {"lumynVector/v1": sha256_text(identity)},
    }


def _location(path: str, line: int) -> JsonObject:
    artifact: JsonObject = {"uri": quote(path)}
    if not path.startswith("/"):
        artifact["uriBaseId"] = _ROOT
    region: JsonObject = {"region": {"startLine": line}} if line else {}
    return {"physicalLocation": {"artifactLocation": artifact, **region}}
