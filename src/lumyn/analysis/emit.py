"""
Writes a case that analysis found as a vector somebody can keep: the request without what defaults fill in.
Must not know files; what it writes pins today's outcome, which is for people to confirm.
"""

from __future__ import annotations

import copy
from typing import Final

from lumyn.analysis.observations import outcome_document
from lumyn.analysis.witness import Case
from lumyn.model import Evaluation, JsonObject
from lumyn.vectors.writing import yaml_text

__all__ = ["partial_request", "vector_document", "vector_text"]

_FILLED_IN: Final = ("schema_version", "context")


def partial_request(case: Case) -> JsonObject:
    """Return the request of a case without the members that every vector gets by default."""
    request = {key: copy.deepcopy(value) for key, value in case.request.items() if key not in _FILLED_IN}
    if request.get("subject") == {"type": "agent", "id": "agent-1"}:
        del request["subject"]
    if request.get("evidence") == {}:
        del request["evidence"]
    return request


def vector_document(name: str, why: str, case: Case, evaluation: Evaluation) -> JsonObject:
    """Return a vector that expects what the engine says of a case."""
    said = outcome_document(evaluation)
    return {
        "name": name,
        "why": why,
        "request": partial_request(case),
        "expect": {"verdict": said["verdict"], "reason_codes": said["reason_codes"]},
    }


def vector_text(name: str, why: str, case: Case, evaluation: Evaluation) -> str:
    """Return such a vector as the YAML of one item of `vectors`."""
    return yaml_text({"vectors": [vector_document(name, why, case, evaluation)]})
