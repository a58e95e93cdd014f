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
from lumyn.analysis.finding import CODES, Example, Finding, Level
from lumyn.analysis.witness import NOBODY, Case
from lumyn.digest import sha256_text
from lumyn.model import JsonObject, JsonValue
from lumyn.report.broken import apart
from lumyn.report.github import MOST_ANNOTATIONS
from lumyn.report.text import printable
from lumyn.report.words import UNSHOWN

__all__ = ["example_lines", "request_words", "sarif", "workflow_commands"]

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_NAME: Final = "A-1"
_COMMANDS: Final = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def example_lines(finding: Finding) -> Iterator[str]:
    """Yield the requests that show a finding, one a line; what differs in one attribute is told beside the first."""
    for place in range(0, len(finding.examples), 2):
        first, *others = finding.examples[place : place + 2]
        begins = "for example" if place == 0 else "and"
        yield f"{begins} {request_words(first.case)}: {_outcome(first)}"
        for other in others:
            yield f"but with {apart(first.case, other.case)}: {_outcome(other)}"


def _outcome(example: Example) -> str:
    unshown = UNSHOWN if example.by_gate is False else ""
    return f"{example.evaluation.verdict} ({', '.join(example.evaluation.reason_codes)}){unshown}"


def request_words(case: Case) -> str:
    """Return a request in a line: its action, its amount, and what else it says; names of things by their keys."""
    action, evidence, subject = (case.request.get(part) for part in ("action", "evidence", "subject"))
    words: list[str] = []
    if isinstance(action, dict):
        amount = action.get("amount")
        paid = f" {amount['value']} {amount['currency']}" if isinstance(amount, dict) else ""
        words.append(f"{action['type']}{paid}")
        words += [f"tags {_value(tags)}" for tags in [action.get("tags")] if tags]
    if isinstance(evidence, dict):
        words += [f"{key} {_value(value)}" for key, value in evidence.items() if value != _NAME]
        named = [key for key, value in evidence.items() if value == _NAME]
        words += [f"with {' and '.join(named)}"] if named else []
    if isinstance(subject, dict) and subject.get("id") != NOBODY["id"]:
        words += [f"subject {kind}" for kind in [subject.get("type")] if kind != "agent"]
    if isinstance(subject, dict):
        words += [f"roles {_value(roles)}" for roles in [subject.get("roles")] if roles]
    tenant = case.request.get("tenant")
    if isinstance(tenant, dict):
        words.append(f"environment {tenant.get('environment')}")
    if case.similarity:
        words.append(f"failure similarity {case.similarity}")
    return ", ".join(words)


def _value(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


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
                "rules": [
                    {"id": code, "shortDescription": {"text": CODES[code]}}
                    for code in sorted({finding.code for finding in findings})
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, path) for finding in findings],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _result(finding: Finding, path: str) -> JsonObject:
    span = finding.span
    region: JsonObject = {"startLine": 1} if span is None else {"startLine": span.line, "startColumn": span.column}
    suppressions: list[JsonValue] = [{"kind": "inSource", "justification": printable(finding.accepted or "")}]
    return {
        "ruleId": finding.code,
        "level": finding.level.value,
        "message": {"text": printable(_whole(finding))},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": quote(path)}, "region": region}}],
        "partialFingerprints": {"lumynPolicy/v1": sha256_text(f"{finding.code}\n{printable(finding.message)}")},
        **({"suppressions": suppressions} if finding.accepted is not None else {}),
    }


def _whole(finding: Finding) -> str:
    shown = "; ".join(example_lines(finding))
    example = [shown[0].upper() + shown[1:]] if shown else []
    return ". ".join([finding.message, *example, f"What to do: {finding.advice}"])


def workflow_commands(findings: Sequence[Finding], path: str) -> Iterator[str]:
    """
    Yield one command a finding, notes included, accepted ones left out; they mark lines in a pull request.

    GitHub shows ten of each kind a step, so the gravest come first and the last says what is left.
    """
    shown = dict.fromkeys(Level, 0)
    for finding in findings:
        if finding.accepted is not None:
            continue
        shown[finding.level] += 1
        if shown[finding.level] > MOST_ANNOTATIONS:
            continue
        span = finding.span
        place = "line=1" if span is None else f"line={span.line},col={span.column}"
        title = _property(f"Lumyn: {finding.code}")
        yield f"::{_COMMANDS[finding.level]} file={_property(path)},{place},title={title}::{_data(_whole(finding))}"
    left = {level: count - MOST_ANNOTATIONS for level, count in shown.items() if count > MOST_ANNOTATIONS}
    if left:
        words = ", ".join(f"{count} {level.value}{'s' if count > 1 else ''}" for level, count in left.items())
        yield _data(f"GitHub marks no more of a step; not marked: {words}")


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
