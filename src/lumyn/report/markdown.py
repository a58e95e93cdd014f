"""
A run of vectors as Markdown for a pull request, a job summary or a ticket.
Must not know where it is posted; whatever stands in the data is shown as text and never as markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from lumyn.report.run import Group, PolicyReport, RunReport, Table
from lumyn.report.text import printable

__all__ = ["code", "headline", "render", "table"]

MOST_GROUPS: Final = 50
MOST_VECTORS: Final = 200
_EXAMPLES: Final = 3
_LONGEST_CELL: Final = 300
_LONGEST_LINE: Final = 1000
"""Characters of one name or message: a single long one must not push the others out of a place with a limit."""
_CUT: Final = "\nThe rest does not fit in here; `--lumyn-report=FILE.html` holds everything.\n"


def render(report: RunReport, *, most_bytes: int | None = None) -> str:
    """
    Return the report: one line that says it all, drift by cause, then the details folded away.

    Args:
        most_bytes: What the place it goes to takes; the first part that does not fit is left out with all after it,
            and a last line says so.
    """
    kept: list[str] = []
    left = None if most_bytes is None else most_bytes - len(_CUT.encode())
    for part in _parts(report):
        text = "\n".join(part) + "\n"
        if left is not None:
            left -= len(text.encode())
            if left < 0:
                kept.append(_CUT)
                break
        kept.append(text)
    return "".join(kept)


def headline(report: RunReport) -> str:
    """Return the run in one line of plain text: `3 of 456 vectors failed, 1 more permissive than expected`."""
    total, failed = len(report.vectors), len(report.failed)
    words = [f"{failed} of {_count(total, 'vector')} failed" if failed else f"{_count(total, 'vector')}, none failed"]
    if not total:
        words = ["no vector was found" if report.complete else "no vector ran"]
    if report.failures:
        words.insert(0, "the run failed")
    if report.looser:
        words.append(f"{report.looser} more permissive than expected")
    if report.errors:
        words.append(f"{_count(len({error.path for error in report.errors}), 'file')} could not be read")
    left = [f"{report.counts[name]} {name}" for name in ("skipped", "xfailed", "updated") if report.counts.get(name)]
    text = ", ".join([*words, *left])
    return text if report.complete else f"{text} (not every vector ran)"


def code(text: str, *, cell: bool = False) -> str:
    """Return text as a code span that shows exactly it; `cell` for use inside a table."""
    shown = printable(text)
    if not shown:
        return ""
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    gap = " " if shown[0] in "` " or shown[-1] in "` " else ""
    span = f"{fence}{gap}{shown}{gap}{fence}"
    return span.replace("|", "\\|") if cell else span


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> Iterator[str]:
    """Yield the lines of a table; cells are Markdown already, and `numbers` are the columns set to the right."""
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---:' if place in numbers else '---' for place in range(len(columns)))} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _parts(report: RunReport) -> Iterator[Iterable[str]]:
    yield _head(report)
    if report.groups:
        yield _groups(report.groups)
        yield _failed(report)
    if report.errors:
        yield _errors(report)
    for policy in report.policies:
        yield _policy(policy)
    for strength in report.strengths.values():
        yield from (_table(each) for each in strength.tables)


def _head(report: RunReport) -> Iterator[str]:
    yield f"## Lumyn vectors: {report.status}"
    yield ""
    yield headline(report)
    if report.failures:
        yield ""
        yield from (f"- {code(_short(failure, _LONGEST_LINE))}" for failure in report.failures[:MOST_GROUPS])


def _errors(report: RunReport) -> Iterator[str]:
    yield from ["", "### Files that could not be read", ""]
    for error in report.errors[:MOST_GROUPS]:
        place = f"{error.path}:{error.line}" if error.line else error.path
        yield f"- {code(_short(place, _LONGEST_CELL))} {code(_short(error.message, _LONGEST_LINE))}"
    if len(report.errors) > MOST_GROUPS:
        yield f"- and {_count(len(report.errors) - MOST_GROUPS, 'problem')} more"


def _groups(groups: Sequence[Group]) -> Iterator[str]:
    yield from ["", "### What changed", ""]
    rows = []
    for group in groups[:MOST_GROUPS]:
        examples = [_short_code(vector.node_id) for vector in group.vectors[:_EXAMPLES]]
        if len(group.vectors) > _EXAMPLES:
            examples.append(f"and {len(group.vectors) - _EXAMPLES} more")
        change = _short_code(group.cause.change)
        decided = " ".join(_short_code(part) for part in (group.cause.rule, group.cause.place) if part)
        warned = f"**more permissive** {change}" if group.direction == "looser" else change
        rows.append((str(len(group.vectors)), warned, decided, "<br>".join(examples)))
    yield from table(("vectors", "change", "decided by", "which"), rows, numbers=(0,))
    if len(groups) > MOST_GROUPS:
        yield from ["", f"and {_count(len(groups) - MOST_GROUPS, 'cause')} more"]


def _failed(report: RunReport) -> Iterator[str]:
    failed = report.failed
    yield from ["", "<details>", f"<summary>Vectors that failed ({len(failed)})</summary>", ""]
    shown = ((f"{vector.path}:{vector.line}", vector.vector, vector.summary) for vector in failed[:MOST_VECTORS])
    rows = ([_short_code(cell) for cell in row] for row in shown)
    yield from table(("where", "vector", "what"), rows)
    if len(failed) > MOST_VECTORS:
        yield from ["", f"and {len(failed) - MOST_VECTORS} more"]
    yield from ["", "</details>"]


def _policy(policy: PolicyReport) -> Iterator[str]:
    verdicts = tuple(policy.verdicts)
    title = f"{policy.policy_id} {policy.policy_version}"
    yield from ["", "<details>", f"<summary>Rules against verdicts: {_html(title)}</summary>", ""]
    rows = (
        (
            code(rule.rule_id, cell=True),
            rule.stage,
            rule.effect,
            *(str(rule.fired[verdict] or "") for verdict in verdicts),
            str(rule.decided or ""),
        )
        for rule in policy.rules
    )
    columns = ("rule", "stage", "effect", *verdicts, "decides")
    yield from table(columns, rows, numbers=tuple(range(3, len(columns))))
    silent = [rule.rule_id for rule in policy.rules if rule.line and not rule.total]
    if silent:
        yield from ["", f"Never fired: {', '.join(code(name) for name in silent)}"]
    yield from ["", f"Policy hash {code(policy.policy_hash)}", "", "</details>"]


def _table(extra: Table) -> Iterator[str]:
    yield from ["", "<details>", f"<summary>{_html(f'{extra.title}. {extra.note}'.strip())}</summary>"]
    if extra.rows:
        yield ""
        cells = ([_cell(cell) for cell in row] for row in extra.rows[:MOST_VECTORS])
        yield from table([_text(column) for column in extra.columns], cells)
        if len(extra.rows) > MOST_VECTORS:
            yield from ["", f"and {len(extra.rows) - MOST_VECTORS} more"]
    yield from ["", "</details>"]


def _cell(shown: str) -> str:
    """Return a cell: plain words and numbers as they are, anything else as code."""
    return shown if re.fullmatch(r"[A-Za-z0-9]+( [A-Za-z0-9]+)*", shown) else code(shown, cell=True)


def _short_code(text: str) -> str:
    return code(_short(text, _LONGEST_CELL), cell=True)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _text(text: str) -> str:
    """Return text in which nothing is markup, a mention or a reference."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~>@:$-])", r"\\\1", printable(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def _html(text: str) -> str:
    """Return text for within a tag, where backslashes are not Markdown's."""
    return escape(printable(text))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
