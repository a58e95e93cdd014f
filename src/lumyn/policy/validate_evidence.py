"""
Reads the evidence block of a policy and settles the type of every key: declared, or implied by the conditions on it.
Must not know rules or requests; two places that disagree about a key are a problem that names both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from lumyn.documents import join_pointer
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.checks import Checks, quoted
from lumyn.policy.scalars import Scalar, decimal_text
from lumyn.policy.spec import FX_RATE_KEY, Condition, EvidenceSpec, EvidenceType
from lumyn.policy.validate_conditions import EVIDENCE_KEY, reserved_key_hint

__all__ = ["evidence_key", "read_evidence", "settle_types"]

_FIELDS: Final = ("type", "min", "max", "step", "values", "default")
_NUMERIC: Final = (EvidenceType.NUMBER, EvidenceType.INTEGER)


def evidence_key(checks: Checks, key: JsonValue, pointer: str, what: str, *, on_key: bool = False) -> str | None:
    """Return `key` when it is an evidence key that a policy may name."""
    name = key if on_key and isinstance(key, str) else checks.text(key, pointer, what)
    if name is None:
        return None
    hint = reserved_key_hint(name)
    if hint is not None:
        message = f"evidence key {quoted(name)} is reserved to the engine"
        checks.add("EVIDENCE_KEY_RESERVED", message, pointer, hint=hint, on_key=on_key)
        return None
    if on_key:
        return name if checks.name(name, EVIDENCE_KEY, pointer, what) else None
    return checks.matching(name, EVIDENCE_KEY, pointer, what)


def read_evidence(checks: Checks, value: JsonValue) -> dict[str, EvidenceSpec | None]:
    """Return the declared keys with their types; None for a key whose declaration is wrong."""
    block = checks.mapping(value, "/evidence", "`evidence`") or {}
    return {key: _read_spec(checks, key, declared) for key, declared in block.items()}


def _read_spec(checks: Checks, key: str, value: JsonValue) -> EvidenceSpec | None:
    pointer = join_pointer("/evidence", key)
    before = len(checks.problems)
    what = f"evidence key {quoted(key)}"
    evidence_key(checks, key, pointer, "evidence key", on_key=True)
    fields = checks.mapping(value, pointer, what, keys=_FIELDS, required=("type",))
    if fields is None or "type" not in fields:
        return None
    chosen = checks.choice(
        fields["type"], tuple(EvidenceType), "EVIDENCE_TYPE_UNKNOWN", join_pointer(pointer, "type"), "evidence type"
    )
    if chosen is None:
        return None
    type_ = EvidenceType(chosen)
    _refuse_foreign_fields(checks, fields, type_, pointer, what)
    minimum, maximum, step = _read_range(checks, fields, type_, pointer, what)
    values = _read_values(checks, fields, pointer, what) if type_ is EvidenceType.ENUM else ()
    spec = EvidenceSpec(
        key=key,
        type=type_,
        minimum=minimum,
        maximum=maximum,
        step=step,
        values=values,
        span=checks.key_span(pointer),
    )
    if key == FX_RATE_KEY:
        spec = _rate_spec(checks, spec, fields, pointer)
    if len(checks.problems) > before:
        return None
    if "default" not in fields:
        return spec
    default = _read_default(checks, spec, fields["default"], join_pointer(pointer, "default"), what)
    return None if default is None else replace(spec, default=default)


def _refuse_foreign_fields(checks: Checks, fields: JsonObject, type_: EvidenceType, pointer: str, what: str) -> None:
    foreign = [] if type_ in _NUMERIC else ["min", "max", "step"]
    if type_ is not EvidenceType.ENUM:
        foreign.append("values")
    for name in foreign:
        if name in fields:
            message = f"`{name}` has no meaning for {what}, whose type is `{type_}`"
            hint = "write `type: enum`" if name == "values" and type_ is EvidenceType.STRING else None
            checks.add("FIELD_UNKNOWN", message, join_pointer(pointer, name), hint=hint, on_key=True)
    if type_ is EvidenceType.ENUM and "values" not in fields:
        checks.add("FIELD_MISSING", f"`values` is missing in {what}, an enum", join_pointer(pointer, "values"))


def _read_range(
    checks: Checks, fields: JsonObject, type_: EvidenceType, pointer: str, what: str
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    if type_ not in _NUMERIC:
        return None, None, None
    numbers: dict[str, Decimal] = {}
    for name in ("min", "max", "step"):
        if name not in fields:
            continue
        below = join_pointer(pointer, name)
        number = checks.number(fields[name], below, f"`{name}` of {what}")
        if number is None:
            continue
        if type_ is EvidenceType.INTEGER and number != number.to_integral_value():
            checks.add("VALUE_INVALID", f"`{name}` of {what} must be a whole number", below)
        elif name == "step" and number <= 0:
            checks.add("VALUE_INVALID", f"`step` of {what} must be greater than 0", below)
        else:
            numbers[name] = number
    low, high = numbers.get("min"), numbers.get("max")
    if low is not None and high is not None and low > high:
        message = f"`min` of {what} is greater than its `max`"
        checks.add("VALUE_INVALID", message, join_pointer(pointer, "min"))
    return low, high, numbers.get("step")


def _read_values(checks: Checks, fields: JsonObject, pointer: str, what: str) -> tuple[str, ...]:
    if "values" not in fields:
        return ()
    below = join_pointer(pointer, "values")
    items = checks.listing(fields["values"], below, f"`values` of {what}")
    if items is None:
        return ()
    if not items:
        checks.add("VALUE_INVALID", f"`values` of {what} is empty", below)
    return checks.texts(items, below, f"a value of {what}")


def _rate_spec(checks: Checks, spec: EvidenceSpec, fields: JsonObject, pointer: str) -> EvidenceSpec:
    """Return the rate's own type with the declared range; the engine multiplies by it, so it stays above 0."""
    if spec.type is not EvidenceType.NUMBER:
        message = f"`{FX_RATE_KEY}` is declared as `{spec.type}`, and the engine reads it as a `number` above 0"
        checks.add("EVIDENCE_TYPE_CONFLICT", message, join_pointer(pointer, "type"))
    if "default" in fields:
        message = f"`{FX_RATE_KEY}` must have no default: it would be applied to every currency"
        checks.add("VALUE_INVALID", message, join_pointer(pointer, "default"))
    if spec.maximum is not None and spec.maximum <= 0:
        message = f"`max` of `{FX_RATE_KEY}` must be greater than 0"
        checks.add("VALUE_INVALID", message, join_pointer(pointer, "max"))
    return rate_spec(declared=spec)


def rate_spec(*, declared: EvidenceSpec | None = None) -> EvidenceSpec:
    """Return the type of `fx_rate_to_usd`: a number above 0, within the declared range if there is one."""
    floor = declared.minimum if declared is not None else None
    above_zero = floor is None or floor <= 0
    return EvidenceSpec(
        key=FX_RATE_KEY,
        type=EvidenceType.NUMBER,
        minimum=Decimal(0) if above_zero else floor,
        maximum=declared.maximum if declared is not None else None,
        exclusive_minimum=above_zero,
        step=declared.step if declared is not None else None,
        declared=declared is not None,
        span=declared.span if declared is not None else None,
    )


def _read_default(checks: Checks, spec: EvidenceSpec, value: JsonValue, pointer: str, what: str) -> Scalar | None:
    label = f"the default of {what}"
    match spec.type:
        case EvidenceType.BOOLEAN:
            if isinstance(value, bool):
                return value
            checks.wrong_type(value, "a boolean", pointer, label)
            return None
        case EvidenceType.NUMBER | EvidenceType.INTEGER:
            number = checks.number(value, pointer, label)
            if number is not None and (fault := _number_fault(spec, number)) is not None:
                checks.add("VALUE_INVALID", f"{label} {fault}", pointer)
                return None
            return number
        case EvidenceType.STRING:
            return checks.text(value, pointer, label)
        case EvidenceType.ENUM:
            return checks.choice(value, spec.values, "VALUE_INVALID", pointer, label)


def settle_types(
    checks: Checks, declared: Mapping[str, EvidenceSpec | None], conditions: Sequence[tuple[Condition, str]]
) -> dict[str, EvidenceSpec]:
    """
    Return the type of every key that is declared or compared, and of `fx_rate_to_usd` always.

    Args:
        declared: As `read_evidence` returns it.
        conditions: Every condition of the policy with the pointer of its constant, in file order.
    """
    types = {key: spec for key, spec in declared.items() if spec is not None}
    if FX_RATE_KEY not in declared:
        types[FX_RATE_KEY] = rate_spec()
    for condition, pointer in conditions:
        key = condition.evidence_key
        implied = _implied(condition)
        if key is None or implied is None or (key in declared and declared[key] is None):
            continue
        spec = types.get(key)
        if spec is None:
            types[key] = EvidenceSpec(key=key, type=implied, declared=False, span=condition.span)
        elif _family(spec.type) is not _family(implied):
            message = f"{quoted(condition.text)} makes `{key}` {_a(implied)}, and {_says(spec)}"
            checks.add("EVIDENCE_TYPE_CONFLICT", message, pointer)
        else:
            _check_operands(checks, spec, condition, pointer)
    return types


def _implied(condition: Condition) -> EvidenceType | None:
    """Return the type that the constant gives the key; `_present` gives none."""
    if condition.operator.name == "present":
        return None
    sample = condition.operand[0] if isinstance(condition.operand, tuple) else condition.operand
    if isinstance(sample, bool):
        return EvidenceType.BOOLEAN
    return EvidenceType.STRING if isinstance(sample, str) else EvidenceType.NUMBER


def _family(type_: EvidenceType) -> type:
    match type_:
        case EvidenceType.BOOLEAN:
            return bool
        case EvidenceType.NUMBER | EvidenceType.INTEGER:
            return Decimal
        case EvidenceType.STRING | EvidenceType.ENUM:
            return str


def _says(spec: EvidenceSpec) -> str:
    if spec.span is None:
        return f"the engine reads it as {_a(spec.type)}"
    return f"{spec.span} {'declares' if spec.declared else 'makes'} it {_a(spec.type)}"


def _a(type_: EvidenceType) -> str:
    return f"{'an' if type_[0] in 'aeiou' else 'a'} {type_}"


def _check_operands(checks: Checks, spec: EvidenceSpec, condition: Condition, pointer: str) -> None:
    """Record constants that a usable value of the key can never meet: a block on one never fires."""
    several = isinstance(condition.operand, tuple)
    operands: Sequence[Scalar] = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
    for place, operand in enumerate(operands):
        below = join_pointer(pointer, place) if several else pointer
        if isinstance(operand, str) and spec.type is EvidenceType.ENUM and operand not in spec.values:
            message = f"{quoted(operand)} is not among the values of `{spec.key}`"
            checks.add("OPERAND_INVALID", message, below, hint=checks.near(operand, spec.values))
        elif isinstance(operand, Decimal):
            fault = _number_fault(spec, operand, whole=not condition.operator.ordering)
            if fault is not None:
                message = f"{quoted(condition.text)} compares with {decimal_text(operand)}, which {fault}"
                checks.add("OPERAND_INVALID", message, below)


def _number_fault(spec: EvidenceSpec, number: Decimal, *, whole: bool = True) -> str | None:
    if spec.minimum is not None and number < spec.minimum:
        return f"is less than the declared least value {decimal_text(spec.minimum)}"
    if spec.maximum is not None and number > spec.maximum:
        return f"is greater than the declared greatest value {decimal_text(spec.maximum)}"
    if whole and spec.type is EvidenceType.INTEGER and number != number.to_integral_value():
        return "is not a whole number"
    return None
