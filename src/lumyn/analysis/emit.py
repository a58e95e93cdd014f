"""
Writes a case that analysis found as a vector somebody can keep: the request without what defaults fill in.
Must not know files; what it writes pins today's outcome, which is for people to confirm.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Final

from lumyn.analysis.experience import Experience
from lumyn.analysis.observations import outcome_document
from lumyn.analysis.suggest import Suggestion
from lumyn.analysis.witness import Case
from lumyn.digest import canonical_text, freeze, sha256_text
from lumyn.model import Evaluation, JsonObject, JsonValue
from lumyn.vectors.writing import comment, yaml_text

__all__ = ["partial_request", "suggestion_document", "suggestions_text", "vector_document", "vectors_text"]

_CLOCK: Final = "2026-01-15T12:00:00Z"
_WORDS: Final = re.compile("[^A-Za-z0-9]+")
_HEAD: Final = (
    "Proposed by `lumyn vectors suggest`: each expects what the policy says today, bugs included. Is it right? "
    "`lumyn vectors approve ID` makes it count."
)
_FILLED_IN: Final = ("schema_version", "context")


def partial_request(case: Case) -> JsonObject:
    """Return the request of a case without the members that every vector gets by default."""
    request = {key: copy.deepcopy(value) for key, value in case.request.items() if key not in _FILLED_IN}
    if request.get("subject") == {"type": "agent", "id": "agent-1"}:
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
    return {"label": experience.label.value, "request": seed, "summary": "looks like the request"}


def suggestion_document(suggestion: Suggestion) -> JsonObject:
    """Return a suggestion as a vector: named after what it asks, its outcome as a question."""
    digest = sha256_text(canonical_text(freeze(suggestion.case.request)) + str(suggestion.case.similarity))
    action = suggestion.case.request["action"]
    said = str(action["type"]) if isinstance(action, dict) else "request"
    parts = [said.rpartition(".")[2], suggestion.changed.removeprefix("evidence."), digest.partition(":")[2][:8]]
    document: JsonObject = {
        "name": _WORDS.sub("_", "_".join(part for part in parts if part)),
        "why": _why(suggestion),
        "status": "proposed",
        "request": partial_request(suggestion.case),
    }
    experience = suggestion.experience
    if experience is not None:
        document["memory"] = [_seed(experience)]
    document["expect"] = suggestion.expectation()
    return document


def suggestions_text(suggestions: Sequence[Suggestion], *, policy_file: str) -> str:
    """Return a file of suggested vectors."""
    vectors = [suggestion_document(suggestion) for suggestion in suggestions]
    return comment(_HEAD) + vectors_text(vectors, policy_file=policy_file)


def _why(suggestion: Suggestion) -> str:
    base = f"{suggestion.base} with another {suggestion.changed.removeprefix('evidence.')}" if suggestion.base else ""
    closes = [*suggestion.kills[:2], *(name.partition(":")[2] for name in suggestion.goals[:1])]
    left = len(suggestion.kills) + len(suggestion.goals) - len(closes)
    told = f"closes {', '.join(closes)}" + (f" and {left} more" if left else "")
    return f"{base}; {told}" if base else told
