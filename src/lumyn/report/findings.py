"""
Findings about a policy for code hosts: SARIF 2.1.0 (OASIS) and GitHub workflow commands.
Must not know how anything was found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

from lumyn._version import __version__
from lumyn.analysis.check import Finding, Level
from lumyn.digest import sha256_text
from lumyn.model import JsonObject
from lumyn.report.text import printable

__all__ = ["sarif", "workflow_commands"]

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_COMMANDS: Final = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def sarif(findings: Sequence[Finding], path: str) -> str:
    """
    Return a log of one run with a result for each finding.

    Args:
        path: The policy, relative to the repository.
    """
    run: JsonObject = {
        "tool": {
            "driver": {
                "name": "Lumyn",
                "version": __version__,
                "rules": [{"id": code} for code in sorted({finding.code for finding in findings})],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, path) for finding in findings],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _result(finding: Finding, path: str) -> JsonObject:
    line = 1 if finding.span is None else finding.span.line
    message = printable(finding.message)
    return {
        "ruleId": finding.code,
        "level": finding.level.value,
        "message": {"text": message},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": quote(path)}, "region": {"startLine": line}}}],
        "partialFingerprints": {"lumynPolicy/v1": sha256_text(f"{finding.code}\n{message}")},
    }


def workflow_commands(findings: Sequence[Finding], path: str) -> Iterator[str]:
    """Yield one command a finding, notes included; they mark lines in a pull request."""
    for finding in findings:
        line = 1 if finding.span is None else finding.span.line
        place = f"file={_property(path)},line={line},title={_property('Lumyn: ' + finding.code)}"
        yield f"::{_COMMANDS[finding.level]} {place}::{_data(finding.message)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
