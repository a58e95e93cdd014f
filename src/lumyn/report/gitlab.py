"""
A run of vectors as a code quality report of GitLab.
Must not know who reads it; two runs with the same outcome give the same bytes.
"""

from __future__ import annotations

import json
from typing import Final

from lumyn.digest import sha256_text
from lumyn.model import JsonObject
from lumyn.report.run import RunReport, error_identities
from lumyn.report.sarif import kind_of
from lumyn.report.text import printable

__all__ = ["render"]

_SEVERITIES: Final = {"vector-looser": "blocker", "vector-tighter": "major"}


def render(report: RunReport) -> str:
    """Return a JSON array: an entry for what failed the run, each unreadable file and each vector that failed."""
    entries: list[JsonObject] = [_entry("run-failed", failure, ".", 1, failure) for failure in report.failures]
    entries += [
        _entry("suite-invalid", error.message, error.path, error.line or 1, identity)
        for error, identity in zip(report.errors, error_identities(report.errors), strict=True)
    ]
    entries += [
        _entry(kind_of(vector), f"{vector.vector}: {vector.summary}", vector.path, vector.line, vector.identity)
        for vector in report.failed
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _entry(kind: str, text: str, path: str, line: int, identity: str) -> JsonObject:
    return {
        "description": printable(text),
        "check_name": f"lumyn-{kind}",
        "fingerprint": sha256_text(f"{kind}\n{identity}").removeprefix("sha256:"),
        "severity": _SEVERITIES.get(kind, "critical"),
        "location": {"path": path, "lines": {"begin": line}},
    }
