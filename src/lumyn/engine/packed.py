"""
Facts in packed form: the values a plan compares, and one integer that says which facts are not known and why.
Must not know rules or outcomes; `lumyn.engine.normalize.derive_facts` defines what every attribute is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final, cast

from lumyn.engine.normalize import (
    EVIDENCE_OUT_OF_RANGE,
    EVIDENCE_TYPE_INVALID,
    EVIDENCE_VALUE_UNKNOWN,
    amount_usd,
    fx_rate_matters,
    is_defaulted,
    ratio,
    read_evidence,
    spec_for,
)
from lumyn.model import DecisionRequest, Facts
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.scalars import Scalar, to_decimal
from lumyn.policy.spec import FX_RATE_KEY, Condition, EvidenceSpec, EvidenceType, Policy

__all__ = ["Layout", "Native", "PackedFacts", "to_native"]

Native = bool | int | float | str | Decimal
"""An evidence value as a plan compares it: the caller's own number where that is provably the same as a decimal."""

NO_AMOUNT: Final = 1
NO_RATE: Final = 2
UNLISTED: Final = 4
AMOUNT_UNKNOWN: Final = NO_AMOUNT | NO_RATE | UNLISTED
FX_OUT_OF_BOUNDS: Final = 8
FX_MATTERS: Final = 16
NO_ENVIRONMENT: Final = 32
NO_ROLES: Final = 64
NO_TAGS: Final = 128
NO_CURRENCY: Final = 256

_STATES_KEPT: Final = 1_024

_EVIDENCE: Final = 9
"""Where the evidence begins in a state: `WIDTH` bits a key, `ABSENT`, `DEFAULTED` or one of the codes."""

WIDTH: Final = 4
ABSENT: Final = 1
NOT_KNOWN: Final = 7
DEFAULTED: Final = 8
"""The value is known: it is the policy's default, because the request has none."""

CODES: Final[Mapping[str, int]] = {EVIDENCE_TYPE_INVALID: 2, EVIDENCE_OUT_OF_RANGE: 4, EVIDENCE_VALUE_UNKNOWN: 6}
_CODE_OF: Final = {bits: code for code, bits in CODES.items()}

GREATEST: Final = 2**53
"""Up to here every integer is a double, so comparing native numbers equals comparing their shortest decimals."""

ABSENCE: Final[Mapping[str, int]] = {
    "amount_usd": AMOUNT_UNKNOWN,
    "amount_currency": NO_CURRENCY,
    "tenant.environment": NO_ENVIRONMENT,
    "subject.roles": NO_ROLES,
    "action.tags": NO_TAGS,
}
"""Attribute that may be unknown, evidence apart -> the bits of a state that say so."""


def to_native(number: Decimal) -> int | float | None:
    """Return the native number with exactly this shortest decimal form, or None when there is none within 2^53."""
    if abs(number) > GREATEST:
        return None
    if number == number.to_integral_value():
        return int(number)
    native = float(number)
    return native if to_decimal(native) == number else None


class Layout:
    """
    Where the facts of one policy and action type lie in packed facts.

    Attributes:
        keys: The evidence keys that matter, sorted.
        required: Those the policy requires, in its order.
        shift: Key -> position of its bits in a state.
        specs: Key -> its type, or None for a key that is not compared.
        natives: Numeric keys whose values are kept as native numbers, because every constant they meet has one.
        rate_place: Where the caller's rate is among the packed values, or None when it is not.
        reads_money: Whether the amount in US dollars is among the packed values.
        missing: State -> the keys that matter and are missing, sorted.
        invalid: State -> the keys with an unusable value and their reason code, sorted by key.
        defaulted: State -> the keys whose value is the policy's default, sorted.
        uncertainty: State -> the share of the keys that matter which are missing or unusable.
    """

    __slots__ = (
        "defaulted",
        "invalid",
        "keys",
        "missing",
        "natives",
        "policy",
        "rate_place",
        "reads_money",
        "required",
        "shift",
        "specs",
        "uncertainty",
    )

    def __init__(self, policy: Policy, action_type: str) -> None:
        rules = policy.rules_for(action_type)
        conditions = [condition for rule in rules for condition in rule.conditions]
        self.policy = policy
        self.keys = policy.keys_for(action_type)
        self.required = policy.required_evidence.get(action_type, ())
        self.shift = {key: _EVIDENCE + WIDTH * place for place, key in enumerate(self.keys)}
        self.specs: dict[str, EvidenceSpec | None] = {key: spec_for(policy, key) for key in self.keys}
        self.reads_money = any(condition.fact == "amount_usd" for condition in conditions)
        constants = _constants(conditions)
        self.natives = frozenset(
            key for key, spec in self.specs.items() if spec and _is_native(spec, constants.get(key, ()))
        )
        self.rate_place = 1 + self.keys.index(FX_RATE_KEY) if FX_RATE_KEY in self.keys else None
        # A state stands for many requests; what it means is worked out once.
        self.missing = lru_cache(maxsize=_STATES_KEPT)(self._missing)
        self.invalid = lru_cache(maxsize=_STATES_KEPT)(self._invalid)
        self.defaulted = lru_cache(maxsize=_STATES_KEPT)(self._defaulted)
        self.uncertainty = lru_cache(maxsize=_STATES_KEPT)(self._count)

    def is_unknown(self, attribute: str, state: int) -> bool:
        """Return whether a comparison on `attribute` is unknown in this state."""
        if attribute.startswith(EVIDENCE_PREFIX):
            return bool(state >> self.shift[attribute.removeprefix(EVIDENCE_PREFIX)] & NOT_KNOWN)
        return bool(state & ABSENCE.get(attribute, 0))

    def ask(self, attribute: str, state: int) -> str:
        """Return what a query asks for when `attribute` is unknown in this state."""
        if attribute.startswith(EVIDENCE_PREFIX):
            return attribute.removeprefix(EVIDENCE_PREFIX)
        if attribute == "amount_currency" or (attribute == "amount_usd" and state & NO_AMOUNT):
            return "action.amount"
        if attribute == "amount_usd":
            return "action.amount.currency" if state & UNLISTED else FX_RATE_KEY
        return attribute

    def _missing(self, state: int) -> tuple[str, ...]:
        absent = tuple(key for key in self.keys if state >> self.shift[key] & ABSENT)
        return absent if self._counts_rate(state) else tuple(key for key in absent if key != FX_RATE_KEY)

    def _invalid(self, state: int) -> Mapping[str, str]:
        bits = ((key, state >> self.shift[key] & NOT_KNOWN) for key in self.keys)
        return MappingProxyType({key: _CODE_OF[code] for key, code in bits if code > ABSENT})

    def _defaulted(self, state: int) -> tuple[str, ...]:
        return tuple(key for key in self.keys if state >> self.shift[key] & DEFAULTED)

    def _count(self, state: int) -> Decimal:
        invalid = self.invalid(state)
        matter = len(self.keys)
        if FX_RATE_KEY in self.shift and FX_RATE_KEY not in invalid and not self._counts_rate(state):
            matter -= 1
        return ratio(len(self.missing(state)) + len(invalid), matter)

    def _counts_rate(self, state: int) -> bool:
        return bool(state & FX_MATTERS) or FX_RATE_KEY in self.required

    def convert(self, request: DecisionRequest) -> tuple[Decimal | None, int]:
        """Return the US dollars of an amount in another currency, and the bits of the state this settles."""
        amount, rate_present, out_of_bounds = amount_usd(request, self.policy)
        bits = FX_MATTERS if fx_rate_matters(self.policy, request.action_type, request.amount_currency) else 0
        if amount is not None:
            return amount, bits
        if out_of_bounds:
            return None, bits | NO_RATE | FX_OUT_OF_BOUNDS
        bounds = self.policy.fx_bounds
        if bounds is not None and request.amount_currency not in bounds:
            return None, bits | UNLISTED
        return None, bits | (NO_AMOUNT if rate_present else NO_RATE)

    def read(self, key: str, raw: object) -> tuple[Native | None, int]:
        """Return the packed value of one evidence key and its bits; defined by `read_evidence`."""
        value, code = read_evidence(raw, self.specs[key])
        if code is not None:
            return None, CODES[code]
        if value is None:
            return None, ABSENT
        bits = DEFAULTED if is_defaulted(raw, self.specs[key]) else 0
        if key in self.natives and isinstance(value, Decimal):
            native = to_native(value)
            return (value if native is None else native), bits
        return value, bits


def _constants(conditions: Iterable[Condition]) -> dict[str, list[object]]:
    """Return every constant the conditions compare with, by evidence key."""
    constants: dict[str, list[object]] = {}
    for condition in conditions:
        key, operand = condition.evidence_key, condition.operand
        if key is not None:
            constants.setdefault(key, []).extend(operand if isinstance(operand, tuple) else [operand])
    return constants


def _is_native(spec: EvidenceSpec, constants: Iterable[object]) -> bool:
    if spec.type not in {EvidenceType.NUMBER, EvidenceType.INTEGER}:
        return False
    numbers = [spec.minimum, spec.maximum, spec.default, *constants]
    return all(to_native(number) is not None for number in numbers if isinstance(number, Decimal))


class PackedFacts(Facts):
    """
    Facts whose attributes are worked out when they are looked at.

    Equal, attribute by attribute, to what `derive_facts` returns for the same policy and request; `plain()` gives
    that value. Made by a plan only, which fills in the four private slots.
    """

    __slots__ = ("_layout", "_request", "_state", "_values")

    _layout: Layout
    _request: DecisionRequest
    _values: tuple[Decimal | Native | None, ...]
    _state: int

    # Slots are filled without the frozen base class's check; every public attribute is a property without setter.
    __setattr__ = object.__setattr__

    def __init__(
        self, layout: Layout, request: DecisionRequest, values: tuple[Decimal | Native | None, ...], state: int
    ) -> None:
        self._layout = layout
        self._request = request
        self._values = values
        self._state = state

    def plain(self) -> Facts:
        """Return the same facts as an ordinary `Facts` value."""
        return Facts(**{name: getattr(self, name) for name in Facts.__dataclass_fields__})

    @property
    def action_type(self) -> str:
        return self._request.action_type

    @property
    def tenant_id(self) -> str | None:
        return self._request.tenant_id

    @property
    def environment(self) -> str | None:
        return self._request.environment

    @property
    def subject_type(self) -> str:
        return self._request.subject_type

    @property
    def roles(self) -> tuple[str, ...] | None:
        return self._request.roles

    @property
    def tags(self) -> tuple[str, ...] | None:
        return self._request.tags

    @property
    def target_system(self) -> str | None:
        return self._request.target_system

    @property
    def resource_type(self) -> str | None:
        return self._request.resource_type

    @property
    def amount_value(self) -> Decimal | None:
        return self._request.amount_value

    @property
    def amount_currency(self) -> str | None:
        return self._request.amount_currency

    @property
    def amount_usd(self) -> Decimal | None:
        if self._layout.reads_money:
            return cast("Decimal | None", self._values[0])
        return amount_usd(self._request, self._layout.policy)[0]

    @property
    def fx_rate_present(self) -> bool:
        place = self._layout.rate_place
        if place is None:
            return amount_usd(self._request, self._layout.policy)[1]
        rate = self._values[place]
        return rate is not None and cast("Decimal", rate) > 0

    @property
    def fx_out_of_bounds(self) -> bool:
        return bool(self._state & FX_OUT_OF_BOUNDS)

    @property
    def natives(self) -> Mapping[str, Native | None]:
        """The evidence as the plan compares it; None for what is missing or unusable."""
        return dict(zip(self._layout.keys, self._values[1:], strict=True))

    @property
    def evidence(self) -> Mapping[str, Scalar]:
        keys = self._layout.keys
        return {key: _scalar(value) for key, value in zip(keys, self._values[1:], strict=True) if value is not None}

    @property
    def missing(self) -> tuple[str, ...]:
        return self._layout.missing(self._state)

    @property
    def invalid(self) -> Mapping[str, str]:
        return self._layout.invalid(self._state)

    @property
    def defaulted(self) -> tuple[str, ...]:
        return self._layout.defaulted(self._state)

    @property
    def uncertainty(self) -> Decimal:
        return self._layout.uncertainty(self._state)


def _scalar(value: Decimal | Native) -> Scalar:
    return value if isinstance(value, (bool, str)) else to_decimal(value)
