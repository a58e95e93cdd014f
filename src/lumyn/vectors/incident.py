"""
Writes the vector file of an incident, and never one that is not true: it is run before anybody sees it.
Returns the text and what came of running it; must not know the command line, nor write a file itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lumyn.core.records import DecisionRecord
from lumyn.core.requests import request_from_document
from lumyn.documents import load
from lumyn.engine.evaluator import trace
from lumyn.engine.nearest import nearest_miss
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import InvalidVectorError, Problem
from lumyn.model import JsonObject, JsonValue, Verdict
from lumyn.policy.spec import Policy
from lumyn.vectors.drift import Drift
from lumyn.vectors.fixtures import finish_request
from lumyn.vectors.format import Vector
from lumyn.vectors.from_record import expectation_of, request_of, vector_from_record
from lumyn.vectors.loader import parse_suite
from lumyn.vectors.merge import value_at
from lumyn.vectors.runner import VectorResult, run
from lumyn.vectors.sources import LIMITS, display_name
from lumyn.vectors.writing import comment, yaml_text

__all__ = ["Incident", "expected_outcome", "incident_name", "incident_vector", "load_vector"]

_ID_CHARS_SHOWN: Final = 10
_MERGED: Final = ("marks", "tags", "memory", "mode", "skip", "xfail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """
    A vector file that is ready to be written.

    Attributes:
        text: What to write.
        vector: As it is loaded from that text, `_defaults` above it included.
        result: What came of running it against the policy it names.
        notes: What is not in it, or not as it was, a sentence each; they stand in the file too.
    """

    path: Path
    text: str
    vector: Vector
    result: VectorResult
    notes: tuple[str, ...]


def incident_name(record: DecisionRecord) -> str:
    """Return what the vector of a decision is called: its action and the end of its id."""
    action = str(value_at(record.to_dict(), ("request", "action", "type"))).replace(".", "_")
    return f"{action[:60]}_{record.decision_id[-_ID_CHARS_SHOWN:].lower()}"


def incident_vector(
    record: DecisionRecord,
    *,
    path: Path,
    root: Path,
    policy: Policy,
    policy_file: Path,
    decided_by: Policy,
    memory: MemorySnapshot,
    expect: Verdict | None = None,
    reason_codes: Sequence[str] = (),
    modeline: str = "",
) -> Incident:
    """
    Return the vector file of a stored decision.

    It is run twice: against the policy that decided, where exactly what was recorded must come out, and against the
    policy it names, where what comes out is for the caller to tell.

    Args:
        path: Where the file will stand, below `root`.
        policy: The policy the vector names, as it is now, in `policy_file` below `root`.
        decided_by: The policy that decided.
        memory: The experience the decision saw.
        expect: The verdict it should have had; what it got when None.
        reason_codes: With which codes; found when empty, see `expected_outcome`.
        modeline: First line of the file, for editors; may be empty.

    Raises:
        InvalidVectorError: `VECTOR_NOT_REPRODUCED` when the vector does not give what was recorded, `REASON_MISSING`
            when no reason codes can be found, `PATH_OUTSIDE_ROOT`, or another problem of the vector.
    """
    for each in (path, policy_file):
        if not Path(os.path.abspath(each)).is_relative_to(os.path.abspath(root)):
            message = f"`{each}` is not below `{root}`"
            raise InvalidVectorError([Problem(code="PATH_OUTSIDE_ROOT", message=message)])
    expected, found = expected_outcome(record, policy, expect, reason_codes)
    should = "" if expect in (None, record.verdict) else f", and should have been {expect}"
    made = vector_from_record(
        record,
        policies=(decided_by, policy),
        policy_file=display_name(policy_file, root),
        memory=memory,
        name=incident_name(record),
        why=f"decided {record.verdict} on {record.created_at[:10]}{should}: decision {record.decision_id}",
        expect=expected,
    )
    notes = (*made.notes, *found)
    document = _undo_defaults(made.document, path, root)
    notes += _reproduce(record, document, path, root, decided_by)
    text = modeline + _header(record, notes) + yaml_text(document)
    vector = load_vector(text, path=path, root=root)
    if vector.problems:
        raise InvalidVectorError(vector.problems)
    return Incident(path=path, text=text, vector=vector, result=run(vector), notes=notes)


def expected_outcome(
    record: DecisionRecord, policy: Policy, expect: Verdict | None, reason_codes: Sequence[str]
) -> tuple[JsonObject, tuple[str, ...]]:
    """
    Return what a vector of the record is to expect, and how the reason codes were found if nobody gave them.

    A verdict that is not the recorded one needs the code of a rule that is to decide: that of the nearest rule with
    such an effect, else the default of a policy whose default it is.

    Raises:
        InvalidVectorError: `REASON_MISSING`: there is none.
    """
    if expect is None or expect is record.verdict:
        codes = reason_codes or record.reason_codes
        return expectation_of(record.verdict, codes, exact=True), ()
    if reason_codes or expect is Verdict.TRUST:
        return expectation_of(expect, reason_codes, exact=False), ()
    request = request_from_document(finish_request(request_of(record)[0]))
    traced = trace(policy, request, similarity=record.failure_similarity)
    near = nearest_miss(traced, wanted=frozenset({expect}))
    if near is not None and near.effect is expect:
        rule = next(rule for rule in policy.rules if rule.rule_id == near.rule_id)
        verb = _VERBS[expect]
        note = f"the reason code is that of {near.rule_id}, the nearest rule that would {verb}; another may be due"
        return expectation_of(expect, rule.reason_codes[:1], exact=False), (note,)
    if expect is policy.default_verdict:
        note = "the reason code is that of the policy's default; that of a rule may be due"
        return expectation_of(expect, (policy.default_reason_code,), exact=False), (note,)
    raise InvalidVectorError(
        [
            Problem(
                code="REASON_MISSING",
                message=f"no rule of the policy is near to `{expect}`, so nothing says with which reason code",
                hint="name it with --reason CODE",
            )
        ]
    )


_VERBS: Final = {Verdict.ESCALATE: "escalate", Verdict.QUERY: "ask", Verdict.ABSTAIN: "abstain", Verdict.TRUST: "trust"}


def load_vector(text: str, *, path: Path, root: Path, policy: Policy | None = None) -> Vector:
    """
    Return the one vector of a file that is not written yet, with its problems.

    Args:
        policy: Decides in place of the one it names.

    Raises:
        InvalidVectorError: The file cannot be used.
    """
    document = load(text.encode(), file=display_name(path, root), error=InvalidVectorError, limits=LIMITS)
    suite = parse_suite(document, path=path, root=root, policy_override=policy)
    return suite.vectors[0]


def _reproduce(
    record: DecisionRecord, document: JsonObject, path: Path, root: Path, decided_by: Policy
) -> tuple[str, ...]:
    """Refuse a vector that does not give the recorded outcome under the policy that decided; tell what else differs."""
    expect = expectation_of(record.verdict, record.reason_codes, exact=True)
    score = value_at(record.to_dict(), ("risk_signals", "failure_similarity", "score"))
    signals: JsonObject = {"failure_similarity": {"score": score}}
    nulls: JsonObject = {key: value for key, value in _object(document["expect"]).items() if value is None}
    told: JsonObject = {**document, "expect": {**nulls, **expect, "risk_signals": signals}}
    vector = load_vector(yaml_text(told), path=path, root=root, policy=decided_by)
    if vector.problems:
        raise InvalidVectorError(vector.problems)
    result = run(vector)
    problems = [*result.problems, *(_not_reproduced(drift) for drift in result.drifts if not _is_signal(drift))]
    if problems:
        raise InvalidVectorError(problems)
    return ("the resemblance to failures does not come out exactly as it was",) if result.drifts else ()


def _is_signal(drift: Drift) -> bool:
    return drift.path.startswith("risk_signals.")


def _not_reproduced(drift: Drift) -> Problem:
    detail = f": {drift.message}" if drift.message else ""
    return Problem(
        code="VECTOR_NOT_REPRODUCED",
        message=f"as a vector, the decision does not come out as it is recorded: `{drift.path}` differs{detail}",
        hint="`lumyn replay ID` says whether the record itself still comes out the same",
    )


def _undo_defaults(document: JsonObject, path: Path, root: Path) -> JsonObject:
    """Return a document to which `_defaults` files above its place add nothing: nulls delete what they would."""
    vector = load_vector(yaml_text(document), path=path, root=root)
    wanted = {**document, "request": finish_request(_object(document["request"]))}
    undone: JsonObject = {}
    for key, value in document.items():
        undone[key] = value
    for key in _MERGED:
        if key in vector.document and key not in document:
            undone[key] = None
    for part in ("request", "expect"):
        undone[part] = _without(_object(document[part]), _object(wanted[part]), _object(vector.document.get(part)))
    return undone


def _without(written: JsonObject, wanted: JsonObject, merged: JsonObject) -> JsonObject:
    """Return `written` with a null for each member that is merged in and not wanted."""
    result: JsonObject = dict(written)
    for key, value in merged.items():
        if key not in wanted:
            result[key] = None
        elif isinstance(value, dict) and isinstance(wanted[key], dict) and key in written:
            result[key] = _without(_object(written[key]), _object(wanted[key]), value)
    return result


def _header(record: DecisionRecord, notes: Sequence[str]) -> str:
    policy = record.policy
    first = (
        f"Decision {record.decision_id} of {record.created_at}: {record.verdict} by {policy.policy_id} "
        f"{policy.policy_version}, {policy.policy_hash}."
    )
    return "".join(comment(line) for line in (first, *(f"{note[:1].upper()}{note[1:]}." for note in notes)))


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
