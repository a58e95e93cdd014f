"""
Reads one condition of a policy against the operator table: subject, operator and constant, thresholds substituted.
Must not know in which block, rule or stage a condition stands, nor what type an evidence key was declared to be.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Final

from lumyn.documents import join_pointer
from lumyn.model import JsonValue
from lumyn.policy.checks import Checks, kind_of, quoted
from lumyn.policy.operators import (
    EVIDENCE_PREFIX,
    OPERATORS,
    SUBJECTS,
    Operand,
    OperandKind,
    Operator,
    Subject,
    ValueKind,
    find_subject,
    split_condition,
)
from lumyn.policy.scalars import Scalar, decimal_text, is_blank
from lumyn.policy.spec import Condition

__all__ = ["EVIDENCE_KEY", "ConditionReader", "reserved_key_hint"]

EVIDENCE_KEY: Final = "[A-Za-z][A-Za-z0-9_]{0,127}"

_RESERVED_KEY: Final = "failure_similarity_score"
_RESERVED_PREFIX: Final = "lumyn_"
_OPERATOR_LIKENESS: Final = 0.75
"""Operators are so short that a lower bar takes the last word of a key (`risk`) for one (`is`)."""

_LISTS: Final = (OperandKind.LIST, OperandKind.TEXT_LIST)


def reserved_key_hint(key: str) -> str | None:
    """Return what to do about an evidence key that belongs to the engine, or None for any other key."""
    if key == _RESERVED_KEY:
        return "compare `risk.failure_similarity` instead: a caller must not report its own resemblance to failures"
    if key.startswith(_RESERVED_PREFIX):
        return "choose a key that does not begin with `lumyn_`: those belong to the engine"
    return None


class ConditionReader:
    """
    Reads conditions and keeps those that could be read, each with its pointer.

    Attributes:
        found: Every condition read so far, in file order, with the pointer of its constant.
    """

    def __init__(
        self, checks: Checks, *, thresholds: Mapping[str, Scalar | None], evidence_keys: Collection[str]
    ) -> None:
        """
        Args:
            thresholds: Name -> value; None for one whose own definition is wrong, so that it is reported once.
            evidence_keys: Keys the policy names elsewhere; candidates for did-you-mean hints.
        """
        self._checks = checks
        self._thresholds = thresholds
        self._keys = evidence_keys
        self.found: list[tuple[Condition, str]] = []

    def read(self, text: str, value: JsonValue, pointer: str, rule: str) -> Condition | None:
        """Return the condition `text: value`, or None after recording what is wrong with it."""
        split = split_condition(text)
        if split is None:
            self._unknown_operator(text, pointer, rule)
            return None
        fact, operator_name = split
        subject = self._subject(fact, operator_name, pointer, rule)
        if subject is None:
            return None
        operator = OPERATORS[operator_name]
        if operator_name not in subject.operators:
            message = f"operator `{operator_name}` does not apply to {quoted(fact)} in {rule}"
            self._checks.add("OPERATOR_UNKNOWN", message, pointer, hint=_takes(fact, subject), on_key=True)
            return None
        operand, threshold = self._operand(subject, operator, value, pointer, text)
        if operand is None or not self._in_domain(subject, operand, pointer, text):
            return None
        condition = Condition(
            text=text,
            fact=fact,
            subject=subject,
            operator=operator,
            operand=operand,
            threshold=threshold,
            span=self._checks.key_span(pointer),
        )
        self.found.append((condition, pointer))
        return condition

    def _subject(self, fact: str, operator: str, pointer: str, rule: str) -> Subject | None:
        subject = find_subject(fact)
        if subject is None:
            message = f"unknown subject {quoted(fact)} in {rule}"
            hint = self._subject_hint(fact, operator)
            self._checks.add("SUBJECT_UNKNOWN", message, pointer, hint=hint, on_key=True)
            return None
        if subject.kind is not ValueKind.EVIDENCE:
            return subject
        key = fact.removeprefix(EVIDENCE_PREFIX)
        if not re.fullmatch(EVIDENCE_KEY, key):
            message = f"{quoted(fact)} in {rule} is not an evidence key"
            hint = "a key is letters, digits and underscores, and begins with a letter"
            self._checks.add("SUBJECT_UNKNOWN", message, pointer, hint=hint, on_key=True)
            return None
        hint = reserved_key_hint(key)
        if hint is not None:
            message = f"evidence key {quoted(key)} in {rule} is reserved to the engine"
            self._checks.add("EVIDENCE_KEY_RESERVED", message, pointer, hint=hint, on_key=True)
            return None
        if operator == "not_in" and f"{key}_not" in self._keys:
            message = f"`{fact}_not_in` in {rule} can be read as `{key}` not in or `{key}_not` in"
            self._checks.add("SUBJECT_UNKNOWN", message, pointer, hint=f"rename the key `{key}_not`", on_key=True)
            return None
        return subject

    def _subject_hint(self, fact: str, operator: str) -> str | None:
        closed = [name for name in SUBJECTS if name != EVIDENCE_PREFIX]
        if fact in self._keys:
            return f"did you mean `{EVIDENCE_PREFIX}{fact}_{operator}`?"
        found = self._checks.nearest(fact, [*closed, *(f"{EVIDENCE_PREFIX}{key}" for key in self._keys), *self._keys])
        if found is not None:
            name = found if found in closed or found.startswith(EVIDENCE_PREFIX) else f"{EVIDENCE_PREFIX}{found}"
            return f"did you mean `{name}_{operator}`?"
        if re.fullmatch(EVIDENCE_KEY, fact):
            return f"did you mean `{EVIDENCE_PREFIX}{fact}_{operator}`?"
        return self._checks.near(fact, [*closed, f"{EVIDENCE_PREFIX}<key>"])

    def _unknown_operator(self, text: str, pointer: str, rule: str) -> None:
        fact, tail = self._guess(text)
        named = find_subject(fact)
        subject = named or SUBJECTS[EVIDENCE_PREFIX]
        full = fact if named else f"{EVIDENCE_PREFIX}{fact}"
        found = self._checks.nearest(tail, subject.operators, cutoff=_OPERATOR_LIKENESS)
        hint = None
        if found is not None:
            message = f"unknown operator {quoted(tail)} in {rule}"
            hint = f"did you mean `{found}`?" if named else f"did you mean `{found}`, as in `{full}_{found}`?"
        else:
            message = f"{quoted(text)} in {rule} ends in no operator"
            if named or re.fullmatch(EVIDENCE_KEY, fact):
                hint = _takes(full, subject)
        self._checks.add("OPERATOR_UNKNOWN", message, pointer, hint=hint, on_key=True)

    def _guess(self, text: str) -> tuple[str, str]:
        """Return subject and operator as they were probably meant; the operator is empty when there is none."""
        closed = [name for name in SUBJECTS if name != EVIDENCE_PREFIX]
        known = [*closed, *(f"{EVIDENCE_PREFIX}{key}" for key in self._keys), *self._keys]
        if text in known:
            return text, ""
        named = [name for name in known if text.startswith(f"{name}_")]
        if named:
            name = max(named, key=len)
            return name, text[len(name) + 1 :]
        words = text.split("_")
        for place in range(max(1, len(words) - 3), len(words)):
            tail = "_".join(words[place:])
            if self._checks.nearest(tail, OPERATORS, cutoff=_OPERATOR_LIKENESS) is not None:
                return "_".join(words[:place]), tail
        return text, ""

    def _operand(
        self, subject: Subject, operator: Operator, value: JsonValue, pointer: str, text: str
    ) -> tuple[Operand | None, str | None]:
        due = _due(subject, operator)
        if isinstance(value, dict):
            return self._threshold(value, due, pointer, text)
        if due in _LISTS:
            return self._members(value, due, pointer, text), None
        scalar = self._scalar(value, due, pointer, quoted(text))
        return scalar, None

    def _threshold(
        self, value: dict[str, JsonValue], due: OperandKind, pointer: str, text: str
    ) -> tuple[Operand | None, str | None]:
        what = f"the constant of {quoted(text)}"
        reference = self._checks.mapping(value, pointer, what, keys=("threshold",), required=("threshold",))
        if reference is None or "threshold" not in reference:
            return None, None
        below = join_pointer(pointer, "threshold")
        name = self._checks.choice(reference["threshold"], self._thresholds, "THRESHOLD_UNKNOWN", below, "threshold")
        if name is None or (scalar := self._thresholds[name]) is None:
            return None, None
        if not _is_due(scalar, due):
            defined = self._checks.key_span(join_pointer("/thresholds", name))
            message = f"{quoted(text)} takes {due.value}, and threshold `{name}` ({defined}) is {_name(scalar)}"
            self._checks.add("TYPE_INVALID", message, pointer)
            return None, None
        return scalar, name

    def _members(self, value: JsonValue, due: OperandKind, pointer: str, text: str) -> Operand | None:
        items = self._checks.listing(value, pointer, quoted(text))
        if items is None:
            return None
        if not items:
            self._checks.add("OPERAND_INVALID", f"{quoted(text)} has an empty list, which nothing is in", pointer)
            return None
        numbers = due is OperandKind.LIST and all(_is_number(item) for item in items)
        kind = OperandKind.NUMBER if numbers else OperandKind.TEXT
        members: list[Scalar] = []
        for place, item in enumerate(items):
            below = join_pointer(pointer, place)
            if not numbers and not isinstance(item, str):
                hint = "write either strings or numbers" if _is_number(item) and due is OperandKind.LIST else None
                message = f"{quoted(text)} takes {due.value}, and this member is {kind_of(item)}"
                self._checks.add("TYPE_INVALID", message, below, hint=hint)
                continue
            member = self._scalar(item, kind, below, f"a member of {quoted(text)}")
            if member is not None and member in members:
                self._checks.add("OPERAND_INVALID", f"{quoted(text)} has the same member twice", below)
            elif member is not None:
                members.append(member)
        return tuple(members) if len(members) == len(items) else None

    def _scalar(self, value: JsonValue, due: OperandKind, pointer: str, what: str) -> Scalar | None:
        if due is OperandKind.NUMBER or (due is OperandKind.SCALAR and _is_number(value)):
            return self._checks.number(value, pointer, what)
        if due is OperandKind.BOOLEAN or (due is OperandKind.SCALAR and isinstance(value, bool)):
            if isinstance(value, bool):
                return value
            self._checks.wrong_type(value, due.value, pointer, what)
            return None
        if not isinstance(value, str):
            self._checks.wrong_type(value, due.value, pointer, what)
        elif is_blank(value):
            message = f"{what} is blank, and a blank text counts as missing"
            self._checks.add("OPERAND_INVALID", message, pointer, hint="ask for `_present: false` instead")
        else:
            return value
        return None

    def _in_domain(self, subject: Subject, operand: Operand, pointer: str, text: str) -> bool:
        """Return whether every constant is one the subject can ever yield; a block on any other never fires."""
        several = isinstance(operand, tuple)
        fine = True
        for place, scalar in enumerate(operand if isinstance(operand, tuple) else (operand,)):
            below = join_pointer(pointer, place) if several else pointer
            if isinstance(scalar, str) and subject.values is not None and scalar not in subject.values:
                message = f"{quoted(subject.name)} is never {quoted(scalar)}"
                hint = self._checks.near(scalar, subject.values)
                self._checks.add("OPERAND_INVALID", message, below, hint=hint)
                fine = False
            elif isinstance(scalar, str) and subject.pattern and not re.fullmatch(subject.pattern, scalar):
                message = f"{quoted(subject.name)} is never {quoted(scalar)}: it matches `^{subject.pattern}$`"
                self._checks.add("OPERAND_INVALID", message, below)
                fine = False
            elif isinstance(scalar, Decimal) and not _in_range(subject, scalar):
                message = f"{quoted(text)} compares with {decimal_text(scalar)}, outside {_range(subject)}"
                self._checks.add("OPERAND_INVALID", message, below)
                fine = False
        return fine


def _due(subject: Subject, operator: Operator) -> OperandKind:
    """Return what the constant must be: what the operator takes, narrowed to what the subject yields."""
    if subject.kind is ValueKind.TEXT and operator.operand is OperandKind.SCALAR:
        return OperandKind.TEXT
    if subject.kind is ValueKind.TEXT and operator.operand is OperandKind.LIST:
        return OperandKind.TEXT_LIST
    return operator.operand


def _is_due(scalar: Scalar, due: OperandKind) -> bool:
    match due:
        case OperandKind.BOOLEAN:
            return isinstance(scalar, bool)
        case OperandKind.NUMBER:
            return isinstance(scalar, Decimal)
        case OperandKind.TEXT:
            return isinstance(scalar, str)
        case OperandKind.SCALAR:
            return True
        case OperandKind.LIST | OperandKind.TEXT_LIST:
            return False


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _name(scalar: Scalar) -> str:
    if isinstance(scalar, bool):
        return "a boolean"
    return "a string" if isinstance(scalar, str) else "a number"


def _takes(fact: str, subject: Subject) -> str:
    return f"`{fact}` takes " + ", ".join(f"`_{name}`" for name in subject.operators)


def _in_range(subject: Subject, number: Decimal) -> bool:
    low, high = subject.minimum, subject.maximum
    return (low is None or number >= low) and (high is None or number <= high)


def _range(subject: Subject) -> str:
    low, high = subject.minimum, subject.maximum
    return f"{'any' if low is None else low} to {'any' if high is None else high}"
