"""
One policy on the HTML page of a run: its rules against verdicts, its goals, the edits nobody notices, its source.
Must not know how any of it was measured; whatever stands in the data is shown as text and never as markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from lumyn.report.page_parts import Links, anchor, code, counted, rule_link, text, verdict
from lumyn.report.page_source import edit_items, goal_words, source
from lumyn.report.run import Edit, Mark, PolicyReport, RuleRow, Strength, Table

__all__ = ["policy_part"]

_MOST_GOALS: Final = 20
"""More open goals than these are folded away."""


def policy_part(policy: PolicyReport, strength: Strength | None, links: Links) -> Iterator[str]:
    """Yield the part of the page that is about one policy."""
    here = anchor(policy)
    name = f"{policy.policy_id} {policy.policy_version}"
    yield f'<section aria-labelledby="{here}"><h2 id="{here}">Policy {text(name)}</h2>'
    yield f'<p class="quiet">{code(policy.path)} {code(policy.policy_hash)}</p>'
    yield from _matrix(policy, here, links)
    if strength is not None:
        if strength.coverage is not None:
            yield from _coverage(strength.coverage, strength.marks, policy, links)
        yield from _mutation(strength.mutation, strength.edits, policy, links)
    yield from source(policy, strength, links)
    yield "</section>"


def _matrix(policy: PolicyReport, here: str, links: Links) -> Iterator[str]:
    yield f'<h3 id="{here}-rules">Rules against verdicts</h3>'
    yield (
        f'<p id="{here}-what" class="quiet">Of the vectors in which a rule fired, how many ended in each verdict; '
        "and in how many its effect was the verdict.</p>"
    )
    yield (
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{here}-rules">'
        f'<table class="pinned" aria-labelledby="{here}-rules" aria-describedby="{here}-what">'
    )
    heads = "".join(f'<th scope="col" class="number">{verdict(name)}</th>' for name in policy.verdicts)
    yield (
        '<thead><tr><th scope="col">rule</th><th scope="col">stage</th><th scope="col">effect</th>'
        f'{heads}<th scope="col" class="number">decides</th></tr></thead><tbody>'
    )
    for rule in policy.rules:
        yield _row(policy, rule, links)
    total = "".join(f'<td class="number">{count}</td>' for count in policy.verdicts.values())
    yield f'</tbody><tfoot><tr><th scope="row">vectors</th><td></td><td></td>{total}<td></td></tr></tfoot>'
    yield "</table></div>"


def _row(policy: PolicyReport, rule: RuleRow, links: Links) -> str:
    counts = "".join(f'<td class="number">{rule.fired[name] or ""}</td>' for name in policy.verdicts)
    silent = bool(rule.line) and not rule.total
    return (
        f"<tr{' class=' + chr(34) + 'silent' + chr(34) if silent else ''}>"
        f'<th scope="row">{rule_link(links, policy.policy_hash, rule.rule_id)}{" (never fired)" if silent else ""}</th>'
        f"<td>{text(rule.stage)}</td><td>{verdict(rule.effect)}</td>"
        f'{counts}<td class="number">{rule.decided or ""}</td></tr>'
    )


def _coverage(table: Table, marks: Sequence[Mark], policy: PolicyReport, links: Links) -> Iterator[str]:
    here = f"{anchor(policy)}-goals"
    yield f'<h3 id="{here}">Coverage</h3><p class="quiet">{text(table.note)}</p>'
    yield f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{here}"><table aria-labelledby="{here}">'
    numbers = "".join(f'<th scope="col" class="number">{text(column)}</th>' for column in table.columns[1:4])
    yield f'<thead><tr><th scope="col">{text(table.columns[0])}</th>{numbers}</tr></thead><tbody>'
    for name, *counts in (row[:4] for row in table.rows):
        cells = "".join(f'<td class="number">{text(count)}</td>' for count in counts)
        short = ' <b class="miss">open</b>' if counts[0] != counts[1] else ""
        yield f'<tr><th scope="row">{text(name)}{short}</th>{cells}</tr>'
    yield "</tbody></table></div>"
    missing = [mark for mark in marks if mark.state in ("open", "unknown")]
    if not missing:
        yield "<p>Every goal that a request can meet is met.</p>"
        return
    opened = " open" if len(missing) <= _MOST_GOALS else ""
    yield f'<details{opened}><summary>{counted(len(missing), "open goal")}</summary><ul class="goals">'
    for mark in missing:
        shown = links.to_lines(policy.policy_hash, mark.about[0], text(mark.missing))
        yield f'<li class="{mark.state}">{shown}{goal_words(mark)}</li>'
    yield "</ul></details>"


def _mutation(table: Table, edits: Sequence[Edit], policy: PolicyReport, links: Links) -> Iterator[str]:
    here = f"{anchor(policy)}-edits"
    yield f'<h3 id="{here}">Edits nobody would notice</h3><p class="quiet">{text(table.note)}</p>'
    if not edits:
        yield "<p>Every edit that a request can tell fails a vector.</p>"
    kinds = Counter(edit.kind for edit in edits)
    for place, (kind, count) in enumerate(kinds.items()):
        shown = " open" if place == 0 else ""  # the gravest
        yield f'<details{shown}><summary>{text(kind)}: {counted(count, "edit")}</summary><ul class="edits">'
        yield from edit_items([edit for edit in edits if edit.kind == kind], policy, links)
        yield "</ul></details>"
