"""
A run of vectors as one HTML page that needs no network and no server.
Must not know where it is opened; whatever stands in the data is shown as text and never as markup.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Final

from lumyn.report.markdown import headline
from lumyn.report.page_parts import Links, anchor, code, counted, links_of, prose, rule_link, text, verdict, words
from lumyn.report.page_policy import policy_part
from lumyn.report.run import Group, RunReport, VectorReport

__all__ = ["render"]

_MOST_CAUSES: Final = 50
_MOST_OPENED: Final = 5
"""Causes whose first vector is explained without being unfolded."""

_INDENT: Final = " " * 8
"""How a line begins that goes on with what the one above it said; narrow screens leave these blanks out."""

_CONTINUES: Final = ' class="on"'
_SHOWN_IN_FULL: Final = 10
"""How many vectors of one cause are explained; the others are in the table below."""


def render(report: RunReport) -> str:
    """
    Return the page: what drifted first, then each policy with its rules, goals, edits and source, then every vector.

    It works without scripts (the filters then stay away), follows the reader's light or dark setting, and its content
    security policy admits nothing but its own style and script.
    """
    style, script = _asset("page.css"), _asset("page.js")
    allowed = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'"
    links = links_of(report)
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
            *_contents(report),
            "<main>",
            *_causes(report.groups, links),
            *_errors(report),
            *(
                line
                for policy in report.policies
                for line in policy_part(policy, report.strengths.get(policy.policy_hash), links)
            ),
            *_vectors(report.vectors, links),
            "</main>",
            f"<footer><p>Lumyn {text(report.version)}</p></footer>",
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _asset(name: str) -> str:
    return files("lumyn.report").joinpath(name).read_text(encoding="utf-8")


def _hash(asset: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(asset.encode('utf-8')).digest()).decode('ascii')}'"


def _header(report: RunReport) -> Iterator[str]:
    sign = report.status
    yield "<header>"
    yield "<h1>Lumyn vectors</h1>"
    yield f'<p><span class="status {sign}">{sign}</span> {text(headline(report))}</p>'
    if report.failures:
        yield f'<ul class="failures">{"".join(f"<li>{text(failure)}</li>" for failure in report.failures)}</ul>'
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


def _contents(report: RunReport) -> Iterator[str]:
    """Yield where to go on the page, where there is more than one place."""
    places: list[tuple[str, str]] = []
    if report.groups:
        places.append(("drift", "What changed"))
    if report.errors:
        places.append(("errors", "Files that could not be read"))
    for policy in report.policies:
        here = anchor(policy)
        places.append((here, f"Policy {policy.policy_id} {policy.policy_version}"))
        if policy.source:
            places.append((f"{here}-source", "source"))
    if report.vectors:
        places.append(("all", "Every vector"))
    if len(places) > 1:
        shown = "".join(f'<li><a href="#{target}">{text(name)}</a></li>' for target, name in places)
        yield f'<nav aria-label="On this page"><ul>{shown}</ul></nav>'


def _causes(groups: Sequence[Group], links: Links) -> Iterator[str]:
    if not groups:
        return
    yield '<section aria-labelledby="drift"><h2 id="drift">What changed</h2>'
    for place, group in enumerate(groups[:_MOST_CAUSES]):
        count, cause = len(group.vectors), group.cause
        yield f'<article class="cause {text(group.direction)}">'
        yield f"<h3>{counted(count, 'vector')}: {words(cause.change)}</h3>"
        if group.direction == "looser":
            yield '<p class="loose">More permissive than expected.</p>'
        if cause.rule:
            rule = rule_link(links, group.vectors[0].policy_hash, cause.rule)
            yield f'<p class="quiet">decided by {rule} {code(cause.place)}</p>'
        for number, vector in enumerate(group.vectors[:_SHOWN_IN_FULL]):
            yield from _failure(vector, opened=number == 0 and place < _MOST_OPENED)
        if count > _SHOWN_IN_FULL:
            yield f"<p>and {count - _SHOWN_IN_FULL} more, in the table of every vector</p>"
        yield "</article>"
    if len(groups) > _MOST_CAUSES:
        yield f"<p>and {counted(len(groups) - _MOST_CAUSES, 'cause')} more, in the table of every vector</p>"
    yield "</section>"


def _failure(vector: VectorReport, *, opened: bool) -> Iterator[str]:
    lines = vector.explanation or (vector.summary,)
    yield f"<details{' open' if opened else ''}><summary>{code(vector.node_id)}</summary>"
    said = "".join(f"<div{_CONTINUES if line.startswith(_INDENT) else ''}>{prose(line)}</div>" for line in lines)
    yield f'<div class="said">{said}</div></details>'


def _errors(report: RunReport) -> Iterator[str]:
    if not report.errors:
        return
    yield '<section aria-labelledby="errors"><h2 id="errors">Files that could not be read</h2>'
    for error in report.errors:
        place = f"{error.path}:{error.line}" if error.line else error.path
        yield f'<article class="cause looser"><h3>{code(place)}</h3><p>{text(error.message)}</p></article>'
    yield "</section>"


def _vectors(vectors: Sequence[VectorReport], links: Links) -> Iterator[str]:
    if not vectors:
        return
    yield '<section aria-labelledby="all"><h2 id="all">Every vector</h2>'
    yield '<form id="filters" class="filters" hidden>'
    yield '<label class="wide">Words<input name="words" type="search" autocomplete="off"></label>'
    yield from _select("outcome", "Outcome", {vector.outcome: None for vector in vectors})
    yield from _select("verdict", "Verdict", {vector.verdict: None for vector in vectors if vector.verdict})
    yield "</form>"
    yield f'<p id="count" class="quiet" role="status">{counted(len(vectors), "vector")}</p>'
    yield (
        '<div class="scroll" tabindex="0" role="region" aria-labelledby="all">'
        '<table id="vectors" aria-labelledby="all">'
    )
    yield (
        '<thead><tr><th scope="col">outcome</th><th scope="col">vector</th><th scope="col">verdict</th>'
        '<th scope="col">reason codes</th><th scope="col">decided by</th></tr></thead><tbody>'
    )
    yield from (_row(vector, links) for vector in vectors)
    yield "</tbody></table></div></section>"


def _row(vector: VectorReport, links: Links) -> str:
    codes = "<br>".join(code(each) for each in vector.reason_codes) or code(vector.error)
    failed = vector.outcome == "failed"
    rules = (rule_link(links, vector.policy_hash, rule) if failed else code(rule) for rule in vector.decided_by)
    expected = f' <span class="quiet">expected {text(vector.expected)}</span>' if vector.expected else ""
    outcome, here = text(vector.outcome), links.rows.get(vector.node_id)
    return (
        f"<tr{f' id={chr(34)}{here}{chr(34)}' if here else ''} "
        f'data-outcome="{outcome}" data-verdict="{text(vector.verdict)}">'
        f'<td class="{outcome}">{outcome}</td><th scope="row">{code(vector.node_id)}</th>'
        f"<td>{verdict(vector.verdict)}{expected}</td><td>{codes}</td><td>{'<br>'.join(rules)}</td></tr>"
    )


def _select(name: str, label: str, values: Mapping[str, None]) -> Iterator[str]:
    options = "".join(f'<option value="{text(value)}">{text(value)}</option>' for value in sorted(values))
    yield f'<label>{label}<select name="{name}"><option value="">all</option>{options}</select></label>'
