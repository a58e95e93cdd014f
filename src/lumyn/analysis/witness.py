"""
Turns a point of a space into a request, and has the real engine decide it before anybody is shown the point.
Must not know why the point was wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from lumyn.analysis.dimension import MONEY, Point
from lumyn.analysis.money import Money
from lumyn.analysis.numbers import GREATEST
from lumyn.core.requests import parse_request
from lumyn.documents import Limits
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.redaction import RedactionProfile
from lumyn.model import DecisionRequest, Evaluation, JsonObject, JsonValue, Mode, Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import FX_RATE_KEY, Policy

__all__ = [
    "NOBODY",
    "AnalysisDefectError",
    "Case",
    "amount_value",
    "case_at",
    "evaluate",
    "json_value",
    "outcome_of",
    "parsed",
    "request_at",
]

_DIGEST: Final = "sha256:" + "0" * 64
_LIMITS: Final = Limits()

NOBODY: Final[JsonObject] = {"type": "service", "id": "lumyn-vectors"}
"""Who asks where no policy looks: the subject that a vector has when it names none."""


class AnalysisDefectError(Exception):
    """The analysis and the engine disagree about a request: a defect of Lumyn, and nothing it says can be relied on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One request somebody could send, and what memory would have to say of it.

    Attributes:
        request: A whole `decision_request.v0` document.
        similarity: The failure similarity it is decided with.
    """

    request: JsonObject
    similarity: Decimal = Decimal(0)


def case_at(action: str, point: Point) -> Case:
    """Return the request a point stands for."""
    score = point.get("risk.failure_similarity")
    return Case(request=request_at(action, point), similarity=score if isinstance(score, Decimal) else Decimal(0))


def request_at(action: str, point: Point) -> JsonObject:
    """Return a request document with the values of a point and nothing else."""
    evidence: JsonObject = {
        name.removeprefix(EVIDENCE_PREFIX): json_value(value)
        for name, value in point.items()
        if name.startswith(EVIDENCE_PREFIX) and value is not None
    }
    acted: JsonObject = {"type": action, "intent": "Found by analysis"}
    money = point.get(MONEY)
    if isinstance(money, Money):
        if money.value is not None and money.currency is not None:
            acted["amount"] = {"value": amount_value(money.value), "currency": money.currency}
        if money.rate is not None:
            evidence[FX_RATE_KEY] = json_value(money.rate)
    kind = _text(point, "subject.type")
    subject: JsonObject = dict(NOBODY) if kind is None else {"type": kind, "id": "agent-1"}
    for holder, name, key in ((subject, "subject.roles", "roles"), (acted, "action.tags", "tags")):
        members = point.get(name)
        if isinstance(members, tuple):
            holder[key] = [*members]
    document: JsonObject = {
        "schema_version": "decision_request.v0",
        "subject": subject,
        "action": acted,
        "evidence": evidence,
        "context": {"mode": "digest_only", "digest": _DIGEST},
    }
    environment = _text(point, "tenant.environment")
    if environment is not None:
        document["tenant"] = {"tenant_id": "acme", "environment": environment}
    return document


def parsed(policy: Policy, request: Mapping[str, object]) -> DecisionRequest:
    """
    Return a request as the engine reads it, after every check a gate makes.

    Raises:
        InvalidRequestError: No gate would accept it.
    """
    found = parse_request(request, policy=policy, mode=Mode.ENFORCE, redaction=RedactionProfile.OFF, limits=_LIMITS)
    return found.request


def evaluate(policy: Policy, case: Case) -> Evaluation:
    """Return what the engine makes of a case, through the same plan that `decide()` runs."""
    request = parsed(policy, case.request)
    plan = compile_policy(policy).plan(request.action_type)
    return plan.evaluate(plan.facts(request), case.similarity)


def outcome_of(evaluation: Evaluation) -> Evaluation:
    """Return an evaluation as a record tells it: which rules stayed undetermined is not part of one."""
    return replace(evaluation, undetermined=()) if evaluation.undetermined else evaluation


def verdict_of(policy: Policy, case: Case) -> Verdict:
    """Return the verdict of a case."""
    return evaluate(policy, case).verdict


def amount_value(value: Decimal) -> JsonValue:
    """Return an amount as JSON data: a text where no number carries it exactly."""
    whole = value == value.to_integral_value()
    if value > GREATEST or (not whole and Decimal(repr(float(value))) != value):
        return decimal_text(value)
    return int(value) if whole else float(value)


def json_value(value: object) -> JsonValue:
    """Return a value of a point as JSON data."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, list):
        return [*value]
    raise TypeError(f"not a value of a request: {type(value).__name__}")


def _text(point: Point, name: str) -> str | None:
    value = point.get(name)
    return value if isinstance(value, str) else None
