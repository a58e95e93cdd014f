"""
The operator table: which subjects a condition may name, with which operators, and what each operator means.
Validator, both evaluators, analysis, schema and docs read this table; it must not know how any of them works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from lumyn.policy.scalars import Scalar

__all__ = [
    "EVIDENCE_PREFIX",
    "OPERATORS",
    "SUBJECTS",
    "Operand",
    "OperandKind",
    "Operator",
    "Subject",
    "ValueKind",
    "find_subject",
    "split_condition",
]

Operand: TypeAlias = "Scalar | tuple[Scalar, ...]"
"""A condition's constant: a boolean, exact decimal or text, or a non-empty tuple of decimals or of texts."""

EVIDENCE_PREFIX: Final = "evidence."


class OperandKind(StrEnum):
    """What the right-hand side of an operator must be."""

    BOOLEAN = "a boolean"
    NUMBER = "a number"
    SCALAR = "a boolean, a number or a string"
    TEXT = "a string"
    LIST = "a list of strings or of numbers"
    TEXT_LIST = "a list of strings"


class ValueKind(StrEnum):
    """What a subject yields when it is known."""

    NUMBER = "number"
    TEXT = "text"
    TEXTS = "texts"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """
    One comparison.

    Attributes:
        name: The suffix without its underscore, such as `gte`.
        operand: What the constant must be.
        symbol: How messages write it, as in `amount_usd > 200`.
        holds: The comparison on a known fact. Never called for a missing fact, except by `present`.
        ordering: Whether it needs numbers on both sides.
    """

    name: str
    operand: OperandKind
    symbol: str
    holds: Callable[[object, object], bool]
    ordering: bool = False

    def __reduce__(self) -> tuple[Callable[[str], Operator], tuple[str]]:
        """Pickle the name alone: a policy goes to other processes, the table is there already."""
        return _known, (self.name,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    What a condition looks at.

    Attributes:
        name: As the policy writes it; `evidence.` stands for every evidence key.
        operators: Names of the operators it takes.
        values: The closed set of texts it can yield, or None when open.
        pattern: Regular expression (full match) its text operands must meet, or None.
        minimum: Least number it can yield, or None when open; a constant below it never decides anything.
        maximum: Greatest number it can yield, or None when open.
        meaning: One line for the documentation.
    """

    name: str
    kind: ValueKind
    operators: tuple[str, ...]
    meaning: str
    values: tuple[str, ...] | None = None
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None


def _known(name: str) -> Operator:
    return OPERATORS[name]


def _is(fact: object, operand: object) -> bool:
    # True == 1 in Python and a boolean is never a number here, so the types must agree too.
    return isinstance(fact, bool) == isinstance(operand, bool) and fact == operand


def _in(fact: object, operand: object) -> bool:
    return any(_is(fact, member) for member in _members(operand))


def _contains_any(fact: object, operand: object) -> bool:
    held = _members(fact)
    return any(member in held for member in _members(operand))


def _members(value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise TypeError("a list operand or list fact is a tuple")
    return value


def _operator(
    name: str, operand: OperandKind, symbol: str, holds: Callable[..., bool], *, ordering: bool = False
) -> Operator:
    return Operator(name=name, operand=operand, symbol=symbol, holds=holds, ordering=ordering)


OPERATORS: Final[Mapping[str, Operator]] = {
    operator.name: operator
    for operator in (
        _operator("is", OperandKind.SCALAR, "is", _is),
        _operator("ne", OperandKind.SCALAR, "is not", lambda fact, operand: not _is(fact, operand)),
        _operator("in", OperandKind.LIST, "in", _in),
        _operator("not_in", OperandKind.LIST, "not in", lambda fact, operand: not _in(fact, operand)),
        _operator("gt", OperandKind.NUMBER, ">", lambda fact, operand: fact > operand, ordering=True),
        _operator("gte", OperandKind.NUMBER, ">=", lambda fact, operand: fact >= operand, ordering=True),
        _operator("lt", OperandKind.NUMBER, "<", lambda fact, operand: fact < operand, ordering=True),
        _operator("lte", OperandKind.NUMBER, "<=", lambda fact, operand: fact <= operand, ordering=True),
        _operator("present", OperandKind.BOOLEAN, "present is", lambda fact, operand: (fact is not None) == operand),
        _operator("contains", OperandKind.TEXT, "contains", lambda fact, operand: operand in _members(fact)),
        _operator("contains_any", OperandKind.TEXT_LIST, "contains any of", _contains_any),
    )
}

_ORDERING: Final = ("gt", "gte", "lt", "lte")
_EQUALITY: Final = ("is", "ne", "in", "not_in")
_CURRENCY: Final = "[A-Z]{3}"

SUBJECTS: Final[Mapping[str, Subject]] = {
    subject.name: subject
    for subject in (
        Subject(
            name="amount_usd",
            kind=ValueKind.NUMBER,
            operators=(*_ORDERING, "present"),
            meaning="the amount in US dollars, exact; unknown without an amount or a usable rate",
        ),
        Subject(
            name="amount_currency",
            kind=ValueKind.TEXT,
            operators=(*_EQUALITY, "present"),
            meaning="the ISO 4217 code of the amount",
            pattern=_CURRENCY,
        ),
        Subject(
            name=EVIDENCE_PREFIX,
            kind=ValueKind.EVIDENCE,
            operators=(*_EQUALITY, *_ORDERING, "present"),
            meaning="a signal the caller supplies",
        ),
        Subject(
            name="risk.failure_similarity",
            kind=ValueKind.NUMBER,
            operators=_ORDERING,
            meaning="resemblance to labelled failures, 0 to 1",
            minimum=0,
            maximum=1,
        ),
        Subject(
            name="risk.uncertainty",
            kind=ValueKind.NUMBER,
            operators=_ORDERING,
            meaning="share of the evidence that matters which is missing or mistyped, 0 to 1",
            minimum=0,
            maximum=1,
        ),
        Subject(
            name="subject.type",
            kind=ValueKind.TEXT,
            operators=_EQUALITY,
            meaning="who acts",
            values=("service", "agent", "user", "job"),
        ),
        Subject(
            name="tenant.environment",
            kind=ValueKind.TEXT,
            operators=_EQUALITY,
            meaning="where the action happens",
            values=("dev", "staging", "prod"),
        ),
        Subject(
            name="subject.roles",
            kind=ValueKind.TEXTS,
            operators=("contains", "contains_any"),
            meaning="the roles of whoever acts",
        ),
        Subject(
            name="action.tags",
            kind=ValueKind.TEXTS,
            operators=("contains", "contains_any"),
            meaning="the caller's tags on the action",
        ),
    )
}

_SUFFIXES: Final = tuple(sorted(OPERATORS, key=len, reverse=True))


def split_condition(text: str) -> tuple[str, str] | None:
    """
    Split a condition such as `evidence.country_not_in` into subject and operator name.

    Returns:
        `("evidence.country", "not_in")`: the operator is the longest matching suffix. None when no operator matches
        or nothing precedes it. The subject is not checked.
    """
    for name in _SUFFIXES:
        if text.endswith(f"_{name}") and len(text) > len(name) + 1:
            return text[: -len(name) - 1], name
    return None


def find_subject(name: str) -> Subject | None:
    """Return the subject called `name` (`evidence.<key>` finds the evidence subject), or None."""
    if name.startswith(EVIDENCE_PREFIX) and len(name) > len(EVIDENCE_PREFIX):
        return SUBJECTS[EVIDENCE_PREFIX]
    return SUBJECTS.get(name) if name != EVIDENCE_PREFIX else None
