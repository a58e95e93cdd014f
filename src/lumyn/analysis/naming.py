"""
Suggestions in words: what each is called, what it changes, and what it would notice.
Names depend on nothing but the suggestion itself, so they stay from run to run; must not know files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from lumyn.analysis.changes import Place, value_at
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.suggest import Suggestion
from lumyn.digest import canonical_text, freeze, sha256_text
from lumyn.model import JsonObject, JsonValue, Label

__all__ = ["change_texts", "names", "notice_text", "short_name"]

_WORDS: Final = re.compile("[^A-Za-z0-9]+")
_LONGEST: Final = 72
_LONGEST_VALUE: Final = 24
_DIGITS: Final = 6
_SHOWN_VALUE: Final = 40


def short_name(base: str) -> str:
    """Return the part of a vector's id that its file calls it, as one word."""
    return _word(base.rpartition("::")[2]) or "base"


def names(suggestions: Sequence[Suggestion]) -> list[str]:
    """Return a name for each, none of them twice."""
    plain = [_name(each) for each in suggestions]
    return [
        name if plain.count(name) == 1 and len(name) <= _LONGEST else f"{name[:_LONGEST]}_{_digest(each)}"
        for name, each in zip(plain, suggestions, strict=True)
    ]


def change_texts(suggestion: Suggestion) -> list[str]:
    """Return what differs from the base, such as `amount 25.01 instead of 10`, a change each."""
    return [*_changes(suggestion)]


def notice_text(suggestion: Suggestion, *, most: int = 1) -> str:
    """Return what it would notice, or else exercise, that nothing does: the gravest first."""
    edits = list(dict.fromkeys(_edit(mutant) for mutant in suggestion.kills))
    goals = [goal.partition(":")[2] for goal in suggestion.goals]
    verb, told = ("notices", edits) if edits else ("exercises", goals)
    more = len(suggestion.kills) + len(suggestion.goals) - min(most, len(told))
    return f"{verb} {', '.join(told[:most])}" + (f", and {more} more" if more else "")


def _edit(mutant: Mutant) -> str:
    """Return an edit in words, such as `R310 amount_usd <= 25 -> 25.01` or `R310 dropped`."""
    return f"{mutant.place} {mutant.became}"


def _name(suggestion: Suggestion) -> str:
    if suggestion.base is None:
        action = suggestion.case.request["action"]
        said = str(action["type"]) if isinstance(action, dict) else "request"
        return _word(f"{said.rpartition('.')[2]} {suggestion.evaluation.verdict.value.lower()}")
    parts = [short_name(suggestion.base.name)]
    for text in suggestion.changed:
        place = tuple(text.split("."))
        if text == "memory" and suggestion.experience is None:
            parts.append("nothing_known")
        elif text == "memory":
            parts.append("near_miss_known" if _label(suggestion) is Label.NEAR_MISS else "failure_known")
        elif place == ("action", "tags"):
            parts.append("tags")
        else:
            value = value_at(suggestion.case.request, place)
            shown = str(value).rpartition(".")[2] if place == ("action", "type") else value
            parts.append(f"{_field(place)}_{_value_word(shown)}")
    return _word("_".join(parts))


def _changes(suggestion: Suggestion) -> Iterator[str]:
    if suggestion.base is None:
        return
    if not suggestion.changed:
        yield "as it is, its matched rules expected as well"
    for text in suggestion.changed:
        place = tuple(text.split("."))
        if text == "memory" and suggestion.experience is None:
            yield "with nothing in memory"
            continue
        if text == "memory":
            score = suggestion.case.similarity
            what = "near miss" if _label(suggestion) is Label.NEAR_MISS else "failure"
            yield f"after a {what} that resembles it (failure similarity {score})"
            continue
        before, after = value_at(suggestion.base.request, place), value_at(suggestion.case.request, place)
        field = _field(place)
        if after is None:
            yield f"without {field}"
        elif before is None:
            yield f"with {field} {_shown(after)}"
        else:
            yield f"with {field} {_shown(after)} instead of {_shown(before)}"


def _label(suggestion: Suggestion) -> Label | None:
    return None if suggestion.experience is None else suggestion.experience.label


def _field(place: Place) -> str:
    known = {
        ("action", "amount", "value"): "amount",
        ("action", "amount", "currency"): "currency",
        ("action", "type"): "action",
        ("subject", "type"): "subject",
        ("tenant", "environment"): "environment",
    }
    return known.get(place) or "_".join(place[1:] or place)


def _shown(value: JsonValue) -> str:
    if isinstance(value, dict) and value.keys() == {"value", "currency"}:
        return f"{value['value']} {value['currency']}"
    text = value if isinstance(value, str) else canonical_text(freeze(value))
    return text if len(text) <= _SHOWN_VALUE else f"{text[:_SHOWN_VALUE]}..."


def _value_word(value: JsonValue) -> str:
    if value is None:
        return "missing"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
        return f"minus_{_value_word(-value)}"
    if isinstance(value, list):
        return "_".join(_value_word(each) for each in value)[:_LONGEST_VALUE] or "none"
    return _word(_shown(value))[:_LONGEST_VALUE].strip("_") or "other"


def _word(text: str) -> str:
    return _WORDS.sub("_", text).strip("_")


def _digest(suggestion: Suggestion) -> str:
    asked: JsonObject = {"request": suggestion.case.request, "score": str(suggestion.case.similarity)}
    return sha256_text(canonical_text(freeze(asked))).partition(":")[2][:_DIGITS]
