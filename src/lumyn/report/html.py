"""
A run of vectors as one HTML page that needs no network and no server.
Must not know where it is opened; whatever stands in the data is shown as text and never as markup.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from lumyn.report.markdown import headline
from lumyn.report.run import Group, PolicyReport, RuleRow, RunReport, Table, VectorReport
from lumyn.report.text import printable

__all__ = ["render"]

_SHOWN_IN_FULL: Final = 10
"""How many vectors of one cause are explained; the others are in the table below."""


def render(report: RunReport) -> str:
    """
    Return the page: what drifted first, then rules against verdicts, then every vector, with filters.

    It works without scripts (the filters then stay away), follows the reader's light or dark setting, and its content
    security policy admits nothing but its own style and script.
    """
    style, script = _asset("page.css"), _asset("page.js")
    allowed = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{allowed}; form-action \'none\'">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{report.status.capitalize()}: Lumyn vectors</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            *_header(report),
            "<main>",
            *_causes(report.groups),
            *_errors(report),
            *(line for policy in report.policies for line in _policy(policy)),
            *(line for table in report.tables for line in _extra(table)),
            *_vectors(report.vectors),
            *(line for place, policy in enumerate(report.policies) for line in _source(policy, place)),
            "</main>",
            f"<footer><p>Lumyn {_text(report.version)}</p></footer>",
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _asset(name: str) -> str:
    return files("lumyn.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _text(text: str) -> str:
    return escape(printable(text))


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>" if text else ""


def _words(text: str) -> str:
    """Return text as code whose words stay whole where a line has room for them."""
    words = (f'<span class="word">{_text(word)}</span>' for word in text.split())
    return f"<code>{' '.join(words)}</code>"


def _verdict(name: str) -> str:
    return f'<span class="{_text(name)}">{_text(name)}</span>' if name else ""


def _header(report: RunReport) -> Iterator[str]:
    sign = report.status
    yield "<header>"
    yield "<h1>Lumyn vectors</h1>"
    yield f'<p><span class="status {sign}">{sign}</span> {_text(headline(report))}</p>'
    if report.failures:
        yield f'<ul class="failures">{"".join(f"<li>{_text(failure)}</li>" for failure in report.failures)}</ul>'
    yield '<ul class="tiles">'
    for name, count in report.counts.items():
        yield f"<li><strong>{count}</strong> {name}</li>"
    if report.failed:
        yield f"<li><strong>{report.looser}</strong> more permissive</li>"
        yield f"<li><strong>{report.tighter}</strong> stricter</li>"
    if report.errors:
        yield f"<li><strong>{len({error.path for error in report.errors})}</strong> unreadable</li>"
    yield "</ul>"
    yield "</header>"


def _causes(groups: Sequence[Group]) -> Iterator[str]:
    if not groups:
        return
    yield '<section aria-labelledby="drift"><h2 id="drift">What changed</h2>'
    for group in groups:
        count = len(group.vectors)
        yield f'<article class="cause {_text(group.direction)}">'
        yield f"<h3>{count} {'vector' if count == 1 else 'vectors'}: {_words(group.cause.change)}</h3>"
        if group.direction == "looser":
            yield '<p class="loose">More permissive than expected.</p>'
        if group.cause.rule:
            yield f'<p class="quiet">decided by {_code(group.cause.rule)} {_code(group.cause.place)}</p>'
        for vector in group.vectors[:_SHOWN_IN_FULL]:
            yield from _failure(vector, opened=count == 1)
        if count > _SHOWN_IN_FULL:
            yield f"<p>and {count - _SHOWN_IN_FULL} more, in the table below</p>"
        yield "</article>"
    yield "</section>"


def _failure(vector: VectorReport, *, opened: bool) -> Iterator[str]:
    lines = vector.explanation or (vector.summary,)
    yield f"<details{' open' if opened else ''}><summary>{_code(vector.node_id)}</summary>"
    yield f'<pre tabindex="0">{escape(chr(10).join(printable(line) for line in lines))}</pre></details>'


def _errors(report: RunReport) -> Iterator[str]:
    if not report.errors:
        return
    yield '<section aria-labelledby="errors"><h2 id="errors">Files that could not be read</h2>'
    for error in report.errors:
        place = f"{error.path}:{error.line}" if error.line else error.path
        yield f'<article class="cause looser"><h3>{_code(place)}</h3><p>{_text(error.message)}</p></article>'
    yield "</section>"


def _policy(policy: PolicyReport) -> Iterator[str]:
    name = f"{policy.policy_id} {policy.policy_version}"
    anchor = _anchor(policy)
    yield f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">Rules against verdicts: {_text(name)}</h2>'
    yield '<div class="scroll" tabindex="0" role="region" aria-label="rules against verdicts"><table>'
    yield (
        "<caption>Of the vectors in which a rule fired, how many ended in each verdict; "
        "and in how many its effect was the verdict.</caption>"
    )
    heads = "".join(f'<th scope="col" class="number">{_verdict(verdict)}</th>' for verdict in policy.verdicts)
    yield (
        '<thead><tr><th scope="col">rule</th><th scope="col">stage</th><th scope="col">effect</th>'
        f'{heads}<th scope="col" class="number">decides</th></tr></thead><tbody>'
    )
    for rule in policy.rules:
        counts = "".join(f'<td class="number">{rule.fired[verdict] or ""}</td>' for verdict in policy.verdicts)
        silent = bool(rule.line) and not rule.total
        yield (
            f'<tr{" class=" + chr(34) + "silent" + chr(34) if silent else ""}><th scope="row">{_rule(policy, rule)}'
            f"{' (never fired)' if silent else ''}</th><td>{_text(rule.stage)}</td><td>{_verdict(rule.effect)}</td>"
            f'{counts}<td class="number">{rule.decided or ""}</td></tr>'
        )
    total = "".join(f'<td class="number">{count}</td>' for count in policy.verdicts.values())
    yield f'</tbody><tfoot><tr><th scope="row" colspan="3">vectors</th>{total}<td></td></tr></tfoot></table></div>'
    yield f'<p class="quiet">{_code(policy.path)} {_code(policy.policy_hash)}</p></section>'


def _anchor(policy: PolicyReport) -> str:
    return f"policy-{policy.policy_hash.removeprefix('sha256:')[:12]}"


def _rule(policy: PolicyReport, rule: RuleRow) -> str:
    if policy.source and rule.line:
        return f'<a href="#{_anchor(policy)}-{rule.line}">{_code(rule.rule_id)}</a>'
    return _code(rule.rule_id)


def _extra(table: Table) -> Iterator[str]:
    yield f"<section><h2>{_text(table.title)}</h2>"
    if table.note:
        yield f"<p>{_text(table.note)}</p>"
    if table.rows:
        heads = "".join(f'<th scope="col">{_text(column)}</th>' for column in table.columns)
        yield (
            f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(table.title)}"><table>'
            f"<thead><tr>{heads}</tr></thead><tbody>"
        )
        for row in table.rows:
            yield f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>"
        yield "</tbody></table></div>"
    yield "</section>"


def _vectors(vectors: Sequence[VectorReport]) -> Iterator[str]:
    if not vectors:
        return
    yield '<section aria-labelledby="all"><h2 id="all">Every vector</h2>'
    yield '<form id="filters" class="filters" hidden>'
    yield '<label class="wide">Words<input name="words" type="search" autocomplete="off"></label>'
    yield from _select("outcome", "Outcome", {vector.outcome: None for vector in vectors})
    yield from _select("verdict", "Verdict", {vector.verdict: None for vector in vectors if vector.verdict})
    yield "</form>"
    yield f'<p id="count" class="quiet" role="status">{len(vectors)} vectors</p>'
    yield '<div class="scroll" tabindex="0" role="region" aria-labelledby="all"><table id="vectors">'
    yield (
        '<thead><tr><th scope="col">outcome</th><th scope="col">vector</th><th scope="col">verdict</th>'
        '<th scope="col">reason codes</th><th scope="col">decided by</th></tr></thead><tbody>'
    )
    for vector in vectors:
        codes = "<br>".join(_code(code) for code in vector.reason_codes) or _code(vector.error)
        decided = "<br>".join(_code(rule) for rule in vector.decided_by)
        expected = f' <span class="quiet">expected {_text(vector.expected)}</span>' if vector.expected else ""
        outcome = _text(vector.outcome)
        yield (
            f'<tr data-outcome="{outcome}" data-verdict="{_text(vector.verdict)}">'
            f'<td class="{outcome}">{outcome}</td><th scope="row">{_code(vector.node_id)}</th>'
            f"<td>{_verdict(vector.verdict)}{expected}</td><td>{codes}</td><td>{decided}</td></tr>"
        )
    yield "</tbody></table></div></section>"


def _select(name: str, label: str, values: Mapping[str, None]) -> Iterator[str]:
    options = "".join(f'<option value="{_text(value)}">{_text(value)}</option>' for value in sorted(values))
    yield f'<label>{label}<select name="{name}"><option value="">all</option>{options}</select></label>'


def _source(policy: PolicyReport, place: int) -> Iterator[str]:
    """Yield a policy's text with what each rule did beside the line where it begins."""
    if not policy.source:
        return
    anchor = _anchor(policy)
    notes = {rule.line: rule for rule in policy.rules if rule.line}
    yield f'<section aria-labelledby="source-{place}"><h2 id="source-{place}">Source: {_code(policy.path)}</h2>'
    yield '<ol class="source" tabindex="0">'
    for number, line in enumerate(policy.source.splitlines(), start=1):
        note = ""
        if number in notes:
            rule = notes[number]
            said = f"fired in {rule.total}, decides {rule.decided}" if rule.total else "never fired"
            note = f'<span class="note{"" if rule.total else " none"}">{said}</span>'
        here = f"{anchor}-{number}"
        yield f'<li id="{here}"><a href="#{here}">{number}</a><span>{_text(line)}</span>{note}</li>'
    yield "</ol></section>"
