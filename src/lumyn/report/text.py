"""
Results of vectors as lines of plain text with named styles, for a terminal, a log or a test report.
Must not know how a terminal writes a style; whatever stands in the data is made printable here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from lumyn.core.alternatives import WhatIf
from lumyn.core.deciding import DecidingRule
from lumyn.engine.nearest import NearMiss
from lumyn.errors import InvalidDocumentError
from lumyn.model import JsonValue, Stage, Verdict
from lumyn.policy.scalars import decimal_text
from lumyn.report.folding import GAP, Line, Segment, Style, Word, fold, plain, printable, terminal_markup, words_of
from lumyn.vectors.drift import Drift, DriftKind, itemise
from lumyn.vectors.expect import is_operators
from lumyn.vectors.explain import Explanation, MemoryNote, explain
from lumyn.vectors.format import AdvanceStep
from lumyn.vectors.runner import Outcome, StepOutcome, StepResult, VectorResult
from lumyn.vectors.transition import Direction, direction

__all__ = ["Line", "Segment", "Style", "headline", "plain", "printable", "render", "terminal_markup"]

_LABEL_WIDTH: Final = 14
_NARROWEST: Final = 40
_SHOWN_CHARACTERS: Final = 120
_SHOWN_DIFFERENCES: Final = 20
_SHOWN_MATCHES: Final = 3
_ARROW: Final = "->"
_OPERATOR_TEXTS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "any_order": "in any order"}
_VERDICT_STYLES: Final = {verdict.value: Style(verdict.value.lower()) for verdict in Verdict}


def headline(result: VectorResult) -> str:
    """Return a result in one line of any length: place, name, what was expected and what came out."""
    return plain(fold(_headline(result, _explained(result)), sys.maxsize, indent=0))


def render(
    result: VectorResult, *, width: int = 80, verbosity: int = 0, rerun: str | None = None, accept: str | None = None
) -> list[Line]:
    """
    Return a result as lines.

    Args:
        width: Columns; lines are folded between words, a word that is longer stands alone.
        verbosity: Below 0 one line; 0 about ten for a failure; 1 with every difference by path; 2 with the request
            and the record too.
        rerun: The command that runs the vector again, in place of the one that pytest takes at the suite root.
        accept: How to accept what came out: a command, or why there is none; left out when None.

    Returns:
        At least one line. All text is printable.
    """
    explanation = _explained(result)
    columns = max(width, _NARROWEST)
    lines = fold(_headline(result, explanation), columns, indent=2)
    if verbosity < 0 or (result.outcome is Outcome.PASSED and verbosity < 1):
        return lines
    if result.outcome is Outcome.INVALID:
        for problem in result.problems:
            lines += fold(words_of(printable(str(problem)), Style.ERROR, lead=2), columns, indent=4)
        return lines
    if explanation is not None:
        if result.outcome is Outcome.FAILED and direction(result) is Direction.LOOSER:
            lines += _entry("looser", words_of("more permissive than expected", Style.WARNING), columns)
        for label, words in _entries(result, explanation, rerun or explanation.rerun):
            lines += _entry(label, words, columns)
        if accept is not None and result.outcome is Outcome.FAILED:
            command = accept.startswith("pytest ")  # to be copied, so it stays in one piece
            words = [[Segment(printable(accept))]] if command else words_of(printable(accept))
            lines += _entry("accept", words, columns)
        if verbosity >= 1:
            lines += _itemised(explanation.step.drifts, columns)
        if verbosity >= 2:
            lines += _documents(explanation.step)
    return lines


def _explained(result: VectorResult) -> Explanation | None:
    return None if result.outcome is Outcome.INVALID else explain(result)


def _headline(result: VectorResult, explanation: Explanation | None) -> list[Word]:
    vector = result.vector
    step = None if explanation is None else explanation.step
    span = vector.span if step is None or not vector.is_scenario else step.step.span
    words: list[Word] = [
        [Segment(printable(f"{span.file}:{span.line}"), Style.PLACE)],
        [Segment(printable(vector.vector_id), Style.NAME)],
    ]
    if result.outcome is Outcome.INVALID:
        count = len(result.problems)
        return [*words, *words_of(f"cannot run: {count} problem{'s' if count != 1 else ''}", Style.ERROR)]
    if vector.is_scenario and step is not None and step.outcome is StepOutcome.FAILED:
        words += [[Segment("step")], [Segment(printable(step.name), Style.NAME)]]
    if explanation is None:
        return words
    if result.outcome is Outcome.PASSED:
        codes = () if explanation.step.record is None else explanation.step.record.reason_codes
        return [*words, *_verdict(explanation.got), *([[Segment(f"({', '.join(codes)})")]] if codes else [])]
    return [*words, GAP, *_summary(explanation)]


def _summary(explanation: Explanation) -> list[Word]:
    """Return what differs, in few words: the verdict, the reason codes, else the first other difference."""
    words: list[Word] = []
    if explanation.expected and explanation.expected != explanation.got:
        named = {*explanation.expected.split(" or "), explanation.got}
        kind = "verdict" if named <= _VERDICT_STYLES.keys() else "outcome"
        words += [[Segment(kind)], *_verdict(explanation.expected), [Segment(_ARROW)], *_verdict(explanation.got)]
    elif explanation.got:
        words += _verdict(explanation.got)
    if explanation.lost or explanation.gained:
        words += [GAP, [Segment("reason_codes")], *_lost_gained(explanation.lost, explanation.gained)]
    if len(words) <= 1:
        for drift in explanation.step.drifts[:1]:
            words += [GAP, *_driftwords_of(drift, drift.path)]
    return words


def _entries(result: VectorResult, explanation: Explanation, rerun: str) -> Iterator[tuple[str, list[Word]]]:
    step = explanation.step
    if result.vector.is_scenario:
        yield "steps", _strip(result)
    for drift in step.drifts:
        if drift.kind is DriftKind.VERDICT:
            continue
        if drift.kind is DriftKind.REASON_CODES and (drift.lost or drift.gained):
            continue
        if drift.kind is DriftKind.ERROR and isinstance(step.error, InvalidDocumentError):
            for place, problem in enumerate(step.error.problems):
                yield ("error" if place == 0 else "and"), words_of(printable(str(problem)))
            continue
        yield drift.kind.value, _driftwords_of(drift, drift.path.removeprefix(drift.kind.value).removeprefix("."))
    for place, rule in enumerate(explanation.deciding):
        yield ("decided by" if place == 0 else "and"), _deciding(rule)
    if explanation.nearest is not None:
        yield "nearest miss", _nearest(explanation.nearest, explanation.what_if)
    if explanation.memory is not None:
        yield "memory", _memory(explanation.memory)
    yield "rerun", [[Segment(printable(rerun))]]


def _strip(result: VectorResult) -> list[Word]:
    words: list[Word] = []
    ran = [step for step in result.steps if step.outcome is not StepOutcome.NOT_RUN]
    for step in ran:
        if words:
            words[-1].append(Segment(","))
        name = printable(step.name)
        if isinstance(step.step, AdvanceStep):
            name = f"{name} {step.step.text}"
        words.append([Segment(name, Style.ERROR if step.outcome is StepOutcome.FAILED else Style.PLAIN)])
        if step.record is not None:
            words += _verdict(step.record.verdict.value)
        elif step.error is not None:
            words.append([Segment(step.error.reason_code, Style.ERROR)])
    left = len(result.steps) - len(ran)
    if left:
        words += words_of(f"({left} not run)", Style.DIM)
    return words


def _driftwords_of(drift: Drift, path: str) -> list[Word]:
    words: list[Word] = [[Segment(printable(path), Style.NAME)]] if path else []
    if drift.lost or drift.gained:
        return [*words, *_lost_gained(drift.lost, drift.gained)]
    if drift.message and drift.message != "absent":
        return [*words, *words_of(printable(drift.message))]
    actual = drift.message or _value(drift.actual)
    return [*words, *words_of(f"expected {_expected(drift.expected)}, got {actual}")]


def _deciding(rule: DecidingRule) -> list[Word]:
    words: list[Word] = [[Segment(printable(rule.rule_id), Style.NAME)]]
    if rule.stage is not Stage.DEFAULT:
        words.append([Segment(f"({rule.stage})")])
    if rule.span is not None:
        words.append([Segment(printable(f"{rule.span.file}:{rule.span.line}"), Style.PLACE)])
    if rule.operands:
        words.append(GAP)
    for place, operand in enumerate(rule.operands):
        words += words_of(("and " if place else "") + printable(operand))
    return words


def _nearest(miss: NearMiss, found: WhatIf | None) -> list[Word]:
    outcome = "is false" if miss.known else "is unknown"
    change = miss.change if found is None else found.words or miss.change
    words: list[Word] = [[Segment(printable(miss.rule_id), Style.NAME)], [Segment(f"({miss.stage})")]]
    words += words_of(f"{printable(miss.comparison)} {outcome}; {printable(change)} would")
    if found is not None and found.verdict is miss.effect:
        return [*words, *_verdict(found.verdict.value)]
    words += words_of("fire it" if found is not None and found.fires else "make it true")
    return words if found is None else [*words, *words_of("and give"), *_verdict(found.verdict.value)]


def _memory(memory: MemoryNote) -> list[Word]:
    if memory.items is None:
        return words_of("could not be read")
    noun = "item" if memory.items == 1 else "items"
    words = words_of(f"{memory.items} {noun}, failure_similarity {decimal_text(memory.failure_similarity)}")
    for place, match in enumerate(memory.matches[:_SHOWN_MATCHES]):
        text = f"{match.label} {decimal_text(match.score)} {_cut(printable(match.summary))}"
        words += [[Segment("(best:" if place == 0 else "then:", Style.DIM)], *words_of(text, Style.DIM)]
        words[-1].append(Segment(")" if place == len(memory.matches[:_SHOWN_MATCHES]) - 1 else ";", Style.DIM))
    return words


def _itemised(drifts: Sequence[Drift], columns: int) -> list[Line]:
    found = [
        (".".join(part for part in (drift.path, difference.path) if part), difference.expected, difference.actual)
        for drift in drifts
        if isinstance(drift.expected, list | dict) and isinstance(drift.actual, list | dict)
        if not is_operators(drift.expected)
        for difference in itemise(drift.expected, drift.actual)
    ]
    if not found:
        return []
    lines = _entry("differences", words_of(f"{len(found)}, expected {_ARROW} got"), columns)
    for path, expected, actual in found[:_SHOWN_DIFFERENCES]:
        words: list[Word] = [[Segment(printable(path), Style.NAME)], *words_of(_value(expected), Style.LOST)]
        words += [[Segment(_ARROW)], *words_of(_value(actual), Style.GAINED)]
        words[0].insert(0, Segment(" " * 4))
        lines += fold(words, columns, indent=6)
    if len(found) > _SHOWN_DIFFERENCES:
        lines.append([Segment(f"    and {len(found) - _SHOWN_DIFFERENCES} more", Style.DIM)])
    return lines


def _documents(step: StepResult) -> list[Line]:
    documents: list[tuple[str, JsonValue]] = []
    if step.request is not None:
        documents.append(("request", step.request))
    if step.record is not None:
        documents.append(("record", step.record.to_dict()))
    lines: list[Line] = []
    for label, document in documents:
        lines.append([Segment(f"  {label}", Style.LABEL)])
        text = json.dumps(document, indent=2, ensure_ascii=False)
        lines += [[Segment(f"    {printable(line)}")] for line in text.split("\n")]
    return lines


def _lost_gained(lost: Sequence[str], gained: Sequence[str]) -> list[Word]:
    return [
        *([Segment(printable(f"-{name}"), Style.LOST)] for name in lost),
        *([Segment(printable(f"+{name}"), Style.GAINED)] for name in gained),
    ]


def _verdict(text: str) -> list[Word]:
    return [[Segment(word, _VERDICT_STYLES.get(word, Style.PLAIN))] for word in printable(text).split(" ")]


def _value(value: JsonValue) -> str:
    if value is None:
        return "nothing"
    return _cut(printable(json.dumps(value, ensure_ascii=False)))


def _expected(value: JsonValue) -> str:
    """Return an expected value; operators as they would be said."""
    if not is_operators(value):
        return _value(value)
    if value.get("is_empty") is not None:
        return "nothing" if value["is_empty"] else "something"
    return " and ".join(f"{_OPERATOR_TEXTS.get(name, name)} {_value(operand)}" for name, operand in value.items())


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _entry(label: str, words: list[Word], columns: int) -> list[Line]:
    width = _LABEL_WIDTH if columns >= 60 else len(label) + 2
    lead = Segment(f"  {label.ljust(width)}" if len(label) < width else f"  {label}  ", Style.LABEL)
    if not words:
        return [[lead]]
    return fold([[lead, *words[0]], *words[1:]], columns, indent=2 + width if columns >= 60 else 4)
