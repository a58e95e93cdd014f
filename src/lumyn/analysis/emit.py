"""
Writes a case that analysis found as a vector somebody can keep: the request without what defaults fill in.
Must not know files; what it writes pins today's outcome, which is for people to confirm.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Final

from lumyn.analysis.changes import apart, value_at
from lumyn.analysis.edits import Base
from lumyn.analysis.experience import Experience
from lumyn.analysis.naming import change_texts, names, notice_text, short_name
from lumyn.analysis.observations import outcome_document
from lumyn.analysis.redecide import LIKE_IT
from lumyn.analysis.suggest import Suggestion
from lumyn.analysis.witness import NOBODY, Case
from lumyn.model import Evaluation, JsonObject, JsonValue
from lumyn.vectors.writing import comment, yaml_text

__all__ = [
    "partial_request",
    "suggestion_document",
    "suggestions_text",
    "vector_document",
    "vectors_text",
    "why_text",
]

_CLOCK: Final = "2026-01-15T12:00:00Z"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST: Final = 72
_HEAD: Final = (
    "Proposed by `lumyn vectors suggest`: each expects what the policy says today, bugs included. Is it right? "
    "`lumyn vectors approve FILE::NAME` makes it count."
)
_FILLED_IN: Final = ("schema_version", "context")


def partial_request(case: Case) -> JsonObject:
    """Return the request of a case without the members that every vector gets by default."""
    request = {key: copy.deepcopy(value) for key, value in case.request.items() if key not in _FILLED_IN}
    if request.get("subject") == NOBODY:
        del request["subject"]
    if request.get("evidence") == {}:
        del request["evidence"]
    return request


def vector_document(
    name: str, why: str, case: Case, evaluation: Evaluation, *, memory: Experience | None = None
) -> JsonObject:
    """
    Return a vector that expects what the engine says of a case.

    Args:
        memory: What memory has to hold, where it has to hold something.
    """
    said = outcome_document(evaluation)
    return {
        "name": name,
        "why": why,
        "request": partial_request(case),
        **({} if memory is None else {"memory": [_seed(memory)]}),
        "expect": {"verdict": said["verdict"], "reason_codes": said["reason_codes"]},
    }


def vectors_text(vectors: Sequence[JsonObject], *, policy_file: str) -> str:
    """Return a whole file of vectors, ready to run."""
    items: list[JsonValue] = [*vectors]
    return yaml_text({"schema_version": "vector.v0", "policy": policy_file, "clock": _CLOCK, "vectors": items})


def _seed(experience: Experience) -> JsonObject:
    seed = partial_request(Case(request=experience.request))
    return {"label": experience.label.value, "request": seed, "summary": LIKE_IT}


@dataclass(frozen=True, slots=True)
class _Fixtures:
    """The requests that proposals are edits of, by their names in the file."""

    held: dict[str, JsonObject] = field(default_factory=dict)

    def name(self, base: Base) -> str:
        """Return the name of a base, which is in the file from now on."""
        plain = short_name(base.name)[:_LONGEST]
        spare = (f"{plain}_{number}" for number in count(2))
        return next(name for name in chain([plain], spare) if self.held.setdefault(name, base.request) == base.request)

    def edit(self, base: Base, request: JsonObject) -> JsonObject:
        """Return a request as an edit of a base, or as a whole where that cannot be written."""
        places = apart(base.request, request)
        if base.request.get("subject") == NOBODY:  # the file says nothing of it, so a part of it has nothing to go into
            places = tuple(dict.fromkeys(place[:1] if place[0] == "subject" else place for place in places))
        if any(not _TOKEN.fullmatch(name) or name.isdecimal() for place in places for name in place):
            return _whole(request)
        used: JsonObject = {"$use": self.name(base)}
        if places:
            used["$with"] = {".".join(place): value_at(request, place) for place in places}
        return used


def suggestion_document(name: str, suggestion: Suggestion) -> JsonObject:
    """Return a suggestion as a vector that stands for itself, its outcome as a question."""
    return _document(name, suggestion, lambda _, request: _whole(request))


def suggestions_text(suggestions: Sequence[Suggestion], *, policy_file: str, modeline: str = "") -> str:
    """Return a file of suggested vectors, as edits of the requests they begin from."""
    fixtures = _Fixtures()
    vectors: list[JsonValue] = [
        _document(name, each, fixtures.edit) for name, each in zip(names(suggestions), suggestions, strict=True)
    ]
    document: JsonObject = {"schema_version": "vector.v0", "policy": policy_file, "clock": _CLOCK}
    if fixtures.held:
        document["fixtures"] = {"requests": {name: _whole(request) for name, request in fixtures.held.items()}}
    return f"{modeline}{comment(_HEAD)}{yaml_text({**document, 'vectors': vectors})}"


def _document(name: str, suggestion: Suggestion, written: Callable[[Base, JsonObject], JsonObject]) -> JsonObject:
    def asked(request: JsonObject) -> JsonObject:
        return _whole(request) if suggestion.base is None else written(suggestion.base, request)

    document: JsonObject = {
        "name": name,
        "why": why_text(suggestion),
        "status": "proposed",
        "request": asked(suggestion.case.request),
    }
    experience = suggestion.experience
    if experience is not None:
        document["memory"] = [
            {"label": experience.label.value, "request": asked(experience.request), "summary": LIKE_IT}
        ]
    expected = suggestion.expectation()
    document["expect"] = {key: {"is_empty": True} if value == [] else value for key, value in expected.items()}
    return document


def why_text(suggestion: Suggestion) -> str:
    """Return why a vector is worth having: what it changes, and what nothing else notices."""
    told = notice_text(suggestion)
    if suggestion.base is None:
        return f"a plain request; {told}"
    return f"{short_name(suggestion.base.name)} {', '.join(change_texts(suggestion))}; {told}"


def _whole(request: JsonObject) -> JsonObject:
    return partial_request(Case(request=request))
