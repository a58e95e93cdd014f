"""
Small pieces of an HTML page: text that cannot become markup, code, verdicts, and where links on the page lead.
Must not know which page it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from lumyn.report.run import DEFAULT_RULE, PolicyReport, RunReport
from lumyn.report.source import DEFAULTS, rule_name
from lumyn.report.text import printable

__all__ = ["Links", "anchor", "code", "counted", "links_of", "prose", "rule_link", "text", "verdict", "words"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """
    Where on the page things are.

    Attributes:
        lines: Policy hash and what lines are about -> the id of the first of these lines.
        rows: Node id -> the id of the vector's row, for vectors that something leads to.
    """

    lines: Mapping[tuple[str, str], str] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)

    def to_lines(self, policy_hash: str, about: str, shown: str) -> str:
        """Return markup as a link to the lines of a policy, or as it is where the page does not show them."""
        return _link(self.lines.get((policy_hash, about), ""), shown)

    def to_row(self, node_id: str, shown: str) -> str:
        """Return markup as a link to a vector's row, or as it is where there is none."""
        return _link(self.rows.get(node_id, ""), shown)


def links_of(report: RunReport) -> Links:
    """Return where the page of a run shows what."""
    lines: dict[tuple[str, str], str] = {}
    for policy in report.policies:
        for piece in policy.source:
            for about in piece.about:
                lines.setdefault((policy.policy_hash, about), f"{anchor(policy)}-{piece.line}")
    wanted = {mark.vector for strength in report.strengths.values() for mark in strength.marks}
    wanted |= {vector.node_id for vector in report.failed}
    rows = {
        vector.node_id: f"vector-{place}"
        for place, vector in enumerate(report.vectors, start=1)
        if vector.node_id in wanted
    }
    return Links(lines=lines, rows=rows)


def anchor(policy: PolicyReport) -> str:
    """Return the id of a policy's part of the page."""
    return f"policy-{policy.policy_hash.removeprefix('sha256:')[:12]}"


def text(shown: str) -> str:
    """Return data as text of a page or of an attribute: no markup, nothing invisible."""
    return escape(printable(shown))


def code(shown: str) -> str:
    """Return data as code; nothing for nothing."""
    return f"<code>{text(shown)}</code>" if shown else ""


def prose(shown: str) -> str:
    """Return data as text in which no line ends within `->` or between a sign and its code."""
    pieces = re.split(r"(\s+)", shown)  # words and what is between them
    return "".join(f'<span class="word">{text(piece)}</span>' if "-" in piece else text(piece) for piece in pieces)


def words(shown: str) -> str:
    """Return data as code whose words stay whole where a line has room for them."""
    pieces = (f'<span class="word">{text(word)}</span>' for word in shown.split())
    return f"<code>{' '.join(pieces)}</code>"


def verdict(name: str) -> str:
    """Return a verdict in its colour; nothing for none."""
    return f'<span class="{text(name)}">{text(name)}</span>' if name else ""


def counted(number: int, noun: str) -> str:
    """Return `1 goal`, `2 goals`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def rule_link(links: Links, policy_hash: str, rule_id: str) -> str:
    """Return a rule's id as code, leading to its lines where the page shows them."""
    about = DEFAULTS if rule_id == DEFAULT_RULE else rule_name(rule_id)
    return links.to_lines(policy_hash, about, code(rule_id))


def _link(target: str, shown: str) -> str:
    return f'<a href="#{target}">{shown}</a>' if target else shown
