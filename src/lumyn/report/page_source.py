"""
The source of a policy on an HTML page, with what vectors do, should do and would not notice beside the lines.
Must not know how that was measured; whatever stands in the data is shown as text and never as markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lumyn.report.page_parts import Links, anchor, code, counted, prose, text
from lumyn.report.run import Edit, Mark, PolicyReport, RuleRow, Strength
from lumyn.report.source import Piece, rule_name, threshold_name

__all__ = ["edit_items", "goal_words", "source"]

_GRAVE: Final = ("unknown", "new TRUST", "looser")
"""Kinds of edits that are shown beside the lines; the others can be unfolded there."""

_MOST: Final = 5
"""How many of these are shown before they are folded away too."""


def source(policy: PolicyReport, strength: Strength | None, links: Links) -> Iterator[str]:
    """Yield a policy's text, each rule with what it did, its goals, and the edits of it that nobody notices."""
    if not policy.source:
        return
    here = anchor(policy)
    notes = _Notes.of(policy, strength, links)
    yield f'<h3 id="{here}-source">Source</h3>'
    if strength is not None and strength.coverage is not None:
        yield '<p class="quiet">A goal that is met leads to a vector that meets it.</p>'
    yield '<div class="source">'
    begins = {piece.line for piece in policy.source if piece.about}
    for piece in _joined(policy.source, notes):
        lines = "".join(
            f"<li{f' id={chr(34)}{here}-{number}{chr(34)}' if number in begins else ''}>{text(line)}</li>"
            for number, line in enumerate(piece.lines, start=piece.line)
        )
        shown = f'<ol start="{piece.line}">{lines}</ol>'
        beside = "".join(notes.beside(piece))
        yield f'<div class="noted">{shown}<div class="beside">{beside}</div></div>' if beside else shown
    yield "</div>"


def goal_words(mark: Mark) -> str:
    """Return what else to say of a goal that is not met."""
    said = []
    if mark.state == "unknown":
        said.append("may be impossible: given up over budget")
    if mark.example:
        said.append(f"such as {mark.example}")
    return f' <span class="quiet">{text("; ".join(said))}</span>' if said else ""


def edit_items(edits: Sequence[Edit], policy: PolicyReport, links: Links | None) -> Iterator[str]:
    """Yield edits as items of a list; with links to their lines where the list stands elsewhere."""
    for edit in edits:
        shown = prose(edit.text)
        if links is not None:
            shown = links.to_lines(policy.policy_hash, edit.about, shown)
        name = f" {code(edit.mutant_id)}" if edit.mutant_id != edit.text else ""
        request = f" <span>{prose(edit.request)}{name}</span>"
        reason = f" <span>accepted: {text(edit.reason)}</span>" if edit.reason else ""
        grave = ' class="grave"' if edit.kind in _GRAVE[:2] else ""
        yield f"<li{grave}><b>{text(edit.kind)}</b> {shown}{request}{reason}</li>"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notes:
    """What stands beside the lines of one policy, by what the lines are about."""

    policy: PolicyReport
    links: Links
    rules: Mapping[str, RuleRow]
    marks: Mapping[str, Sequence[Mark]]
    edits: Mapping[str, Sequence[Edit]]
    reads: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, policy: PolicyReport, strength: Strength | None, links: Links) -> _Notes:
        marks: dict[str, list[Mark]] = {}
        edits: dict[str, list[Edit]] = {}
        for mark in () if strength is None else strength.marks:
            for about in mark.about:
                marks.setdefault(about, []).append(mark)
        for edit in () if strength is None else strength.edits:
            edits.setdefault(edit.about, []).append(edit)
        return cls(
            policy=policy,
            links=links,
            rules={rule_name(rule.rule_id): rule for rule in policy.rules if rule.line},
            marks=marks,
            edits=edits,
            reads={rule_name(name): reads for name, reads in ({} if strength is None else strength.reads).items()},
        )

    def has(self, about: str) -> bool:
        return about in self.rules or about in self.marks or about in self.edits

    def beside(self, piece: Piece) -> Iterator[str]:
        for about in piece.about:
            if self.has(about):
                yield f"<p><strong>{text(about)}</strong>{self._did(about)}</p>"
                yield from self._goals(self.marks.get(about, ()))
                yield from self._edits(about)

    def _did(self, about: str) -> str:
        rule = self.rules.get(about)
        if rule is None:
            return ""
        if not rule.total:
            return ' <b class="miss">never fired</b>'
        return f" fired in {counted(rule.total, 'vector')}, decides {rule.decided}"

    def _goals(self, marks: Sequence[Mark]) -> Iterator[str]:
        if not marks:
            return
        yield '<ul class="goals">'
        for mark in marks:
            if mark.state in ("open", "unknown"):
                yield f'<li class="open"><b>{mark.state}</b> {text(mark.aim)}{goal_words(mark)}</li>'
        for state, said in (("met", "met"), ("impossible", "impossible (proved)")):
            aims = [self.links.to_row(mark.vector, text(mark.aim)) for mark in marks if mark.state == state]
            if aims:
                yield f'<li class="{state}"><b>{said}</b> {", ".join(aims)}</li>'
        yield "</ul>"

    def _edits(self, about: str) -> Iterator[str]:
        edits = self.edits.get(about, ())
        grave = [edit for edit in edits if edit.kind in _GRAVE][:_MOST]
        left = [edit for edit in edits if edit not in grave]
        if grave:
            yield '<ul class="edits">'
            yield from edit_items(grave, self.policy, None)
            yield "</ul>"
        if left:
            kinds = Counter(edit.kind for edit in left)
            said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
            more = "further edits" if grave else "edits"
            yield f"<details><summary>{more} nobody would notice: {text(said)}</summary>"
            yield '<ul class="edits">'
            yield from edit_items(left, self.policy, None)
            yield "</ul></details>"
        for name in self.reads.get(about, ()):
            moved = self.edits.get(threshold_name(name), ())
            if moved:
                kinds = Counter(edit.kind for edit in moved)
                said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
                link = self.links.to_lines(self.policy.policy_hash, threshold_name(name), code(name))
                yield f"<p>reads {link}: {text(said)}</p>"


def _joined(pieces: Sequence[Piece], notes: _Notes) -> Iterator[Piece]:
    """Yield pieces, those next to each other that have nothing beside them as one."""
    waiting: Piece | None = None
    for piece in pieces:
        if any(notes.has(about) for about in piece.about):
            if waiting is not None:
                yield waiting
            waiting = None
            yield piece
        elif waiting is None:
            waiting = Piece(line=piece.line, lines=piece.lines)
        else:
            waiting = Piece(line=waiting.line, lines=(*waiting.lines, *piece.lines))
    if waiting is not None:
        yield waiting
