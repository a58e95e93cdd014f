"""
How records look in a terminal: one decision in full, or many as a table.
Must not know where records come from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lumyn.cli.console import Console, Part
from lumyn.model import JsonObject, JsonValue, Match, Mode, Verdict
from lumyn.policy.scalars import decimal_text
from lumyn.report.words import action_words

if TYPE_CHECKING:
    from lumyn.core.records import DecisionRecord
    from lumyn.store import Event

__all__ = ["VERDICT_STYLES", "print_events", "print_record", "print_record_line", "print_records", "verdict_part"]

VERDICT_STYLES: Final = {
    Verdict.TRUST: "bold green",
    Verdict.ESCALATE: "bold magenta",
    Verdict.QUERY: "bold",
    Verdict.ABSTAIN: "bold red",
}
_WIDE: Final = 110
_LABEL_CHARS: Final = 12


def verdict_part(verdict: Verdict) -> Part:
    """Return the verdict as a word in its colour."""
    return (verdict.value, VERDICT_STYLES[verdict])


def print_record(console: Console, record: DecisionRecord) -> None:
    """Write one decision: the verdict first, then why, what is missing, and how to refer to it."""
    console.line(verdict_part(record.verdict), "  ", action_words(record.to_dict()), hang=2)
    for code in record.reason_codes:
        _field(console, "reason", code)
    for rule in record.matched_rules:
        _field(console, "rule", f"{rule.rule_id} ({rule.stage.value}: {rule.effect.value})")
    if not record.matched_rules:
        _field(console, "rule", "none fired; the policy's default decided")
    for query in record.queries:
        _field(console, "ask", f"{query.field}: {query.question}")
    for obligation in record.obligations:
        _field(console, "obligation", _compact(obligation))
    if record.failure_similarity or record.similarity.top_k:
        _field(console, "memory", f"failure similarity {decimal_text(record.failure_similarity)}")
    for match in record.similarity.top_k:
        _field(console, "", match_text(match))
    _field(console, "policy", f"{record.policy.policy_id} {record.policy.policy_version} ({record.policy.mode.value})")
    _field(console, "at", record.created_at)
    _field(console, "decision", record.decision_id)
    _notes(console, record)


def match_text(match: Match) -> str:
    """Return one experience as `similarity 0.92 to the failure 01K...: duplicate charge`."""
    label = match.label.value.replace("_", " ")
    return f"similarity {decimal_text(match.score)} to the {label} {match.memory_id}: {match.summary}"


def _notes(console: Console, record: DecisionRecord) -> None:
    if record.dry_run:
        _field(console, "note", "a dry run: not stored, and it permits nothing")
    elif not record.persisted:
        own = _object(_object(record.to_dict().get("extensions")).get("lumyn"))
        detail = own.get("storage_error", own.get("detail"))
        why = f"not stored: {detail}" if isinstance(detail, str) else "not stored"
        _field(console, "note", f"{why}; `lumyn doctor` says what to do")
    if record.policy.mode is Mode.ADVISORY and record.permits and record.verdict is not Verdict.TRUST:
        _field(console, "note", "the mode is advisory: the action may proceed all the same")


def _field(console: Console, label: str, text: str) -> None:
    console.line((label.ljust(_LABEL_CHARS), "dim"), text, indent=2, hang=2 + _LABEL_CHARS)


def print_events(console: Console, events: Sequence[Event]) -> None:
    """Write what happened to a decision after it was made, oldest first."""
    for event in events:
        by = f" by {event.actor}" if event.actor else ""
        _field(console, "event", f"{event.at} {event.type}{by} {_compact(event.data)}")


def print_records(console: Console, records: Sequence[DecisionRecord]) -> None:
    """Write decisions, newest first: as a table where it fits, else each in two lines."""
    if console.width is None or console.width >= _WIDE:
        rows = [
            (
                record.decision_id,
                record.created_at[:19],
                verdict_part(record.verdict),
                action_words(record.to_dict()),
                _why(record),
            )
            for record in records
        ]
        console.table(["decision", "at (UTC)", "verdict", "action", "reasons"], rows)
        return
    for record in records:
        verdict = record.verdict
        padding = " " * (max(len(each) for each in Verdict) - len(verdict.value))
        console.line(verdict_part(verdict), padding, "  ", record.decision_id, "  ", (record.created_at[:19], "dim"))
        console.line(action_words(record.to_dict()), ("  " + _why(record), "dim"), indent=10, hang=10)


def print_record_line(console: Console, record: DecisionRecord) -> None:
    """Write a decision in one line, as it comes: when, verdict, id, what for, why."""
    verdict = record.verdict
    padding = " " * (max(len(each) for each in Verdict) - len(verdict.value))
    when = (record.created_at[:19], "dim")
    told = f"  {record.decision_id}  {action_words(record.to_dict())}  "
    console.line(when, "  ", verdict_part(verdict), padding, told, (_why(record), "dim"), hang=4)


def _why(record: DecisionRecord) -> str:
    return ", ".join(record.reason_codes)


def _compact(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
