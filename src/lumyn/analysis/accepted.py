"""
Findings that a policy's author accepts, in a comment beside what they are about, with the reason.
A comment that accepts nothing, or says not why, is a finding itself; must not know how findings are made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lumyn.analysis.finding import CODES, Finding, Level
from lumyn.errors import Span
from lumyn.policy.spec import Policy

__all__ = ["settle"]

_BEGINS: Final = re.compile(r"(?:^|\s)#\s*lumyn:(.*)$")
_SAYS: Final = re.compile(r"\s*accept\s+([A-Z][A-Z_]*(?:\s*,\s*[A-Z][A-Z_]*)*)\s*:\s*(\S.*?)\s*$")
_NEVER: Final = frozenset({"ANALYSIS_UNKNOWN", "ACCEPT_INVALID", "ACCEPT_STALE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Acceptance:
    """What a comment accepts: findings with one of the codes, on one line."""

    codes: tuple[str, ...]
    reason: str
    line: int
    span: Span


def settle(policy: Policy, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, those that a comment accepts marked so, and what is wrong with the comments."""
    if "lumyn:" not in policy.source:
        return [*findings]
    known: list[_Acceptance] = []
    odd: list[Finding] = []
    for each in _read(policy):
        if isinstance(each, _Acceptance):
            known.append(each)
        else:
            odd.append(each)
    accepted = {(each.line, code): each.reason for each in known for code in each.codes}
    used: set[tuple[int, str]] = set()
    settled: list[Finding] = []
    for finding in findings:
        place = (0 if finding.span is None else finding.span.line, finding.code)
        if place in accepted:
            used.add(place)
            settled.append(replace(finding, accepted=accepted[place]))
        else:
            settled.append(finding)
    return [*settled, *odd, *_stale(known, used)]


def _read(policy: Policy) -> Iterator[_Acceptance | Finding]:
    """Yield what the comments accept, and findings about comments that cannot be read."""
    file = next((rule.span.file for rule in policy.rules), "")
    lines = policy.source.splitlines()
    for place, line in enumerate(lines):
        begun = _BEGINS.search(line)
        if begun is None:
            continue
        span = Span(file, place + 1, begun.start() + 1 + (line[begun.start()] != "#"))
        said = _SAYS.fullmatch(begun[1])
        codes = tuple(re.split(r"\s*,\s*", said[1])) if said is not None else ()
        wrong = [code for code in codes if code not in CODES or code in _NEVER]
        if said is None:
            yield _invalid(span, "this comment does not say which finding is accepted, and why")
        elif wrong:
            yield _invalid(span, f"`{wrong[0]}` is no finding that can be accepted")
        else:
            yield _Acceptance(codes=codes, reason=said[2], line=_about(lines, place, begun.start()), span=span)


def _about(lines: Sequence[str], place: int, start: int) -> int:
    """Return the line a comment is about: its own if anything stands before it, else the next that says something."""
    if lines[place][:start].strip():
        return place + 1
    for after in range(place + 1, len(lines)):
        text = lines[after].strip()
        if text and not text.startswith("#"):
            return after + 1
    return place + 1


def _invalid(span: Span, message: str) -> Finding:
    return Finding(
        code="ACCEPT_INVALID",
        level=Level.ERROR,
        message=message,
        advice="write `# lumyn: accept CODE: reason`, on the line of the finding or above it",
        span=span,
    )


def _stale(known: Sequence[_Acceptance], used: set[tuple[int, str]]) -> Iterator[Finding]:
    for each in known:
        for code in each.codes:
            if (each.line, code) not in used:
                yield Finding(
                    code="ACCEPT_STALE",
                    level=Level.WARNING,
                    message=f"this comment accepts `{code}`, which is not found on line {each.line}",
                    advice="take the comment out, or move it to the line of the finding",
                    span=each.span,
                )
