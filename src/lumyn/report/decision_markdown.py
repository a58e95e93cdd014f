"""
The explanation of a stored decision as Markdown, to be pasted into a ticket.
Whatever comes from data stands in code spans, where it can neither format, link nor mention; must not know terminals.
"""

from __future__ import annotations

from lumyn.core.explain import Explanation
from lumyn.report.decision import PolicyPlace, sections
from lumyn.report.markdown import code
from lumyn.report.sections import Row
from lumyn.report.words import action_words

__all__ = ["markdown"]


def markdown(explanation: Explanation, place: PolicyPlace) -> str:
    """Return the explanation as CommonMark, ending in a line feed."""
    record = explanation.record
    lines = [f"## {record.verdict} {code(action_words(record.to_dict()))}", ""]
    lines.append(f"- decision {code(record.decision_id)}")
    lines.append(f"- decided {code(record.created_at)}")
    for section in sections(explanation, place):
        lines += ["", f"### {section.title}", ""]
        for row in section.rows:
            lines.append(_item(row))
            lines += [f"  - {code(text)}" for text in row.below]
    return "\n".join(lines) + "\n"


def _item(row: Row) -> str:
    parts = [code(row.label)] if row.label else []
    parts.append(code(row.text))
    parts += [f"**{row.verdict}**"] if row.verdict else []
    return f"- {' '.join(parts)}"
