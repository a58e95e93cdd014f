"""
The text of a policy cut into pieces, each with what it is about: a rule, a threshold, required keys, the defaults.
Works from the places the loader found; must not know YAML, nor what stands beside a piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lumyn.documents.pointers import pointer_tokens
from lumyn.policy.spec import Policy

__all__ = ["DEFAULTS", "Piece", "pieces", "required_name", "rule_name", "threshold_name"]

DEFAULTS = "defaults"
"""What the lines of the default verdict and reason code are about."""

_LINE_ENDS = re.compile("\r\n|[\r\n]")
"""As places in documents are counted."""


def rule_name(rule_id: str) -> str:
    """Return what the lines of a rule are about."""
    return f"rule {rule_id}"


def threshold_name(name: str) -> str:
    """Return what the line of a threshold is about."""
    return f"threshold {name}"


def required_name(action: str) -> str:
    """Return what the lines that list an action's required keys are about."""
    return f"required for {action}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """
    Consecutive lines of a policy file.

    Attributes:
        line: Of the first one, from 1.
        lines: At least one, without line ends.
        about: What they hold, such as `rule R050`; several where a line holds several; empty for anything else.
    """

    line: int
    lines: tuple[str, ...]
    about: tuple[str, ...] = ()


def pieces(policy: Policy) -> tuple[Piece, ...]:
    """Return the whole text of a policy in order; white space and comments at the end of a piece go to the next."""
    text = _LINE_ENDS.split(policy.source)
    if not text[-1]:
        text.pop()
    about = _about(policy, text)
    found: list[Piece] = []
    begin = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or about[place] != about[begin]:
            found.append(Piece(line=begin + 1, lines=tuple(text[begin:place]), about=about[begin]))
            begin = place
    return tuple(found)


def _about(policy: Policy, text: Sequence[str]) -> list[tuple[str, ...]]:
    """Return for each line what it is about: what begins on it, else what went on to there."""
    begun: dict[int, dict[str, int]] = {}
    for name, line, column in _begins(policy):
        begun.setdefault(line, {}).setdefault(name, column)
    about: list[tuple[str, ...]] = []
    current: tuple[str, ...] = ()
    column = 0
    for number, shown in enumerate(text, start=1):
        starting = begun.get(number)
        if starting is not None:
            current, column = tuple(name for name in starting if name), min(starting.values())
        elif shown.strip() and len(shown) - len(shown.lstrip()) < column - 1:
            current = ()
        about.append(current)
    for place in range(len(text) - 2, -1, -1):
        idle = not text[place].strip() or text[place].lstrip().startswith("#")
        if idle and about[place] != about[place + 1]:
            about[place] = ()
    return about


def _begins(policy: Policy) -> Iterator[tuple[str, int, int]]:
    """Yield what begins where; nothing in particular for sections that have no notes."""
    for pointer, span in policy.spans.items():
        section, *rest = pointer_tokens(pointer) or ("",)
        if section == "defaults":
            yield DEFAULTS, span.line, span.column
        elif section == "thresholds" and len(rest) == 1:
            yield threshold_name(rest[0]), span.line, span.column
        elif section == "required_evidence" and len(rest) == 1:
            yield required_name(rest[0]), span.line, span.column
        elif not rest:
            yield "", span.line, span.column
    for rule in policy.rules:
        yield rule_name(rule.rule_id), rule.span.line, rule.span.column
