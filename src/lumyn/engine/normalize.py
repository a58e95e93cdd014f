"""
Turns a request into the facts one policy reads from it: exact money, typed evidence, what is missing or unusable.
Must not know what any rule makes of them, nor anything about memory, stores or records.
"""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal, DecimalException
from typing import Final

from lumyn.engine._per_policy import PerPolicy
from lumyn.model import DecisionRequest, Facts, JsonObject, JsonValue
from lumyn.policy.scalars import EXACT, Scalar, decimal_text, is_blank, to_scalar
from lumyn.policy.spec import FX_RATE_KEY, EvidenceSpec, EvidenceType, Policy

__all__ = [
    "EVIDENCE_OUT_OF_RANGE",
    "EVIDENCE_TYPE_INVALID",
    "EVIDENCE_VALUE_UNKNOWN",
    "LIST_VALUE",
    "amount_usd",
    "compared_keys",
    "derive_facts",
    "derived_document",
    "features",
    "fx_rate_matters",
    "is_defaulted",
    "json_scalar",
    "ratio",
    "read_evidence",
    "spec_for",
]

EVIDENCE_TYPE_INVALID: Final = "EVIDENCE_TYPE_INVALID"
EVIDENCE_OUT_OF_RANGE: Final = "EVIDENCE_OUT_OF_RANGE"
EVIDENCE_VALUE_UNKNOWN: Final = "EVIDENCE_VALUE_UNKNOWN"

LIST_VALUE: Final = "[list]"
"""Stands in `Facts.evidence` for a list under a key that no condition compares: present, and nothing more."""

USD: Final = "USD"

_FX_SPEC: Final = EvidenceSpec(
    key=FX_RATE_KEY, type=EvidenceType.NUMBER, minimum=Decimal(0), exclusive_minimum=True, declared=False
)


def derive_facts(policy: Policy, request: DecisionRequest) -> Facts:
    """
    Return what `policy` reads from `request`.

    Pure and total for requests that passed their checks: evidence that cannot be used is listed in `missing` or
    `invalid`, never guessed at.
    """
    evidence: dict[str, Scalar] = {}
    missing: list[str] = []
    invalid: dict[str, str] = {}
    defaulted: list[str] = []
    for key in policy.keys_for(request.action_type):
        raw, spec = request.evidence.get(key), spec_for(policy, key)
        value, code = read_evidence(raw, spec)
        if code is not None:
            invalid[key] = code
        elif value is not None:
            evidence[key] = value
            if is_defaulted(raw, spec):
                defaulted.append(key)
        elif key != FX_RATE_KEY or fx_rate_matters(policy, request.action_type, request.amount_currency):
            missing.append(key)
    usable = len(evidence)
    if FX_RATE_KEY in evidence and not fx_rate_matters(policy, request.action_type, request.amount_currency):
        usable -= 1
    unusable = len(missing) + len(invalid)
    amount, fx_rate_present, fx_out_of_bounds = amount_usd(request, policy)
    return Facts(
        action_type=request.action_type,
        tenant_id=request.tenant_id,
        environment=request.environment,
        subject_type=request.subject_type,
        roles=request.roles,
        tags=request.tags,
        target_system=request.target_system,
        resource_type=request.resource_type,
        amount_value=request.amount_value,
        amount_currency=request.amount_currency,
        amount_usd=amount,
        fx_rate_present=fx_rate_present,
        fx_out_of_bounds=fx_out_of_bounds,
        evidence=evidence,
        missing=tuple(missing),
        invalid=invalid,
        defaulted=tuple(defaulted),
        uncertainty=ratio(unusable, unusable + usable),
    )


def amount_usd(request: DecisionRequest, policy: Policy) -> tuple[Decimal | None, bool, bool]:
    """
    Return the amount in US dollars, whether a usable rate is there, and whether it lies outside the policy's bounds.

    The amount is exact, or None: without an amount, without a usable rate, or, where the policy bounds rates, for a
    currency it does not list or a rate outside its bounds. A rate is never applied to US dollars.
    """
    rate = _fx_rate(policy, request)
    value, currency = request.amount_value, request.amount_currency
    if value is None or currency is None or currency == USD:
        return (value if currency == USD else None), rate is not None, False
    if policy.fx_bounds is not None:
        bounds = policy.fx_bounds.get(currency)
        if bounds is None:
            return None, rate is not None, False
        if rate is not None and not bounds[0] <= rate <= bounds[1]:
            return None, True, True
    if rate is None:
        return None, False, False
    try:
        return EXACT.multiply(value, rate), True, False
    except DecimalException:
        # A product that cannot be exact is not known.
        return None, True, False


def _fx_rate(policy: Policy, request: DecisionRequest) -> Decimal | None:
    rate, _ = read_evidence(request.evidence.get(FX_RATE_KEY), spec_for(policy, FX_RATE_KEY))
    return rate if isinstance(rate, Decimal) and rate > 0 else None


def fx_rate_matters(policy: Policy, action_type: str, currency: str | None) -> bool:
    """Return whether the rate counts as evidence: the amount needs converting, or the policy requires the rate."""
    if currency is not None and currency != USD:
        return True
    return FX_RATE_KEY in policy.required_evidence.get(action_type, ())


def spec_for(policy: Policy, key: str) -> EvidenceSpec | None:
    """Return the type of an evidence key, or None for a key that is only required or asked to be present."""
    spec = policy.evidence.get(key)
    return _FX_SPEC if spec is None and key == FX_RATE_KEY else spec


def read_evidence(raw: object, spec: EvidenceSpec | None) -> tuple[Scalar | None, str | None]:
    """
    Read one evidence value under its type.

    Args:
        raw: The value as received; None when the key is absent.

    Returns:
        `(value, None)` when usable, `(None, None)` when missing, `(None, reason code)` when unusable. A missing
        value counts as the default of its type, if there is one.
    """
    if isinstance(raw, (list, tuple)):
        if spec is not None:
            return None, EVIDENCE_TYPE_INVALID
        # A list in which nothing can be read holds as little as blank text.
        return (LIST_VALUE, None) if any(not _is_missing(member) for member in raw) else (None, None)
    if _is_missing(raw):
        return (None if spec is None else spec.default), None
    if not isinstance(raw, (bool, int, float, Decimal, str)):
        return None, EVIDENCE_TYPE_INVALID
    value = to_scalar(raw)
    if isinstance(value, Decimal) and not value.is_finite():
        return None, EVIDENCE_OUT_OF_RANGE
    code = None if value is None or spec is None else _unusable(value, spec)
    return (value, None) if code is None else (None, code)


def is_defaulted(raw: object, spec: EvidenceSpec | None) -> bool:
    """Return whether a raw value is missing and the default of its type stands in for it."""
    return spec is not None and spec.default is not None and _is_missing(raw)


def _is_missing(raw: object) -> bool:
    return raw is None or (isinstance(raw, str) and is_blank(raw))


def _unusable(value: Scalar, spec: EvidenceSpec) -> str | None:
    match spec.type:
        case EvidenceType.NUMBER | EvidenceType.INTEGER:
            if not isinstance(value, Decimal):
                return EVIDENCE_TYPE_INVALID
            if spec.type is EvidenceType.INTEGER and value != value.to_integral_value():
                return EVIDENCE_TYPE_INVALID
            return None if _in_range(value, spec) else EVIDENCE_OUT_OF_RANGE
        case EvidenceType.BOOLEAN:
            return None if isinstance(value, bool) else EVIDENCE_TYPE_INVALID
        case EvidenceType.STRING:
            return None if isinstance(value, str) else EVIDENCE_TYPE_INVALID
        case EvidenceType.ENUM:
            if not isinstance(value, str):
                return EVIDENCE_TYPE_INVALID
            return None if value in spec.values else EVIDENCE_VALUE_UNKNOWN


def _in_range(value: Decimal, spec: EvidenceSpec) -> bool:
    if spec.minimum is not None and (value < spec.minimum or (spec.exclusive_minimum and value == spec.minimum)):
        return False
    return spec.maximum is None or value <= spec.maximum


def ratio(part: int, whole: int, *, half: bool = False) -> Decimal:
    """
    Return `part / whole` (halved on request) as a decimal rounded half-even to 6 places; 0 when `whole` is 0.

    Integer arithmetic throughout, so that every platform and decimal context gives the same digits.
    """
    if whole == 0:
        return Decimal(0)
    if half:
        whole *= 2
    quotient, remainder = divmod(part * 1_000_000, whole)
    if 2 * remainder > whole or (2 * remainder == whole and quotient % 2):
        quotient += 1
    return Decimal(f"{quotient}E-6").normalize(EXACT)


def derived_document(facts: Facts) -> JsonObject:
    """Return the derived features that enter the inputs digest; decimals as canonical plain text, absent ones null."""
    missing: list[JsonValue] = [*facts.missing]
    mistyped: list[JsonValue] = [*sorted(facts.invalid)]
    return {
        "action_type": facts.action_type,
        "tenant_id": facts.tenant_id,
        "amount_value": _text(facts.amount_value),
        "amount_currency": facts.amount_currency,
        "amount_usd": _text(facts.amount_usd),
        "fx_rate_present": facts.fx_rate_present,
        "missing_evidence": missing,
        "mistyped_evidence": mistyped,
    }


def features(policy: Policy, facts: Facts, *, unknown: Container[str] = ()) -> JsonObject:
    """
    Return the raw, normalised features that a memory item stores; absent ones are left out.

    Evidence is limited to keys that a condition compares with a constant: an identifier that is only required or
    asked to be present is never a feature. A compared key that the request lacked is there as null, so that it can be
    told from one that the policy did not compare.

    Args:
        unknown: Keys of which nobody knows any more whether the request had them; they are left out.
    """
    found: JsonObject = {"action_type": facts.action_type}
    if facts.target_system is not None:
        found["target_system"] = facts.target_system
    if facts.resource_type is not None:
        found["resource_type"] = facts.resource_type
    if facts.amount_currency is not None:
        found["currency"] = facts.amount_currency
    if facts.amount_usd is not None:
        found["amount_usd"] = decimal_text(facts.amount_usd)
    if facts.tags:
        found["tags"] = [*sorted(set(facts.tags))]
    compared = compared_keys(policy)
    held = facts.evidence
    evidence: JsonObject = {
        key: json_scalar(held[key]) if key in held else None
        for key in sorted(compared)
        if key in held or key not in unknown
    }
    if evidence:
        found["evidence"] = evidence
    return found


def _compared_keys(policy: Policy) -> frozenset[str]:
    conditions = (condition for rule in policy.rules for condition in rule.conditions)
    return frozenset(
        condition.evidence_key
        for condition in conditions
        if condition.evidence_key is not None and condition.operator.name != "present"
    )


_kept_compared_keys: Final = PerPolicy(_compared_keys)


def compared_keys(policy: Policy) -> frozenset[str]:
    """Return the evidence keys that some condition of the policy compares with a constant."""
    return _kept_compared_keys(policy)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else decimal_text(number)


def json_scalar(value: Scalar) -> JsonValue:
    """Return a scalar as JSON data; a decimal as the number that a double carries it as."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
