"""
The observed requests as columns of bits: how each condition comes out for them, which keys are missing or unusable.
Each column is made once, when it is first asked for; must not know rules, verdicts or mutants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Final, NamedTuple, Protocol, TypeAlias

from lumyn.analysis.observations import Observation
from lumyn.engine.normalize import LIST_VALUE, amount_usd, derive_facts, fx_rate_matters, ratio, read_evidence, spec_for
from lumyn.model import Facts
from lumyn.policy.scalars import Scalar
from lumyn.policy.spec import FX_RATE_KEY, Condition, Policy

__all__ = ["Columns", "Table", "Truths", "any_of", "mask_of"]

Truths: TypeAlias = "tuple[int, int]"
"""Rows in which something is true, and rows in which it is unknown."""

_FACTS: Final[Mapping[str, Callable[[Observation], object]]] = {
    "amount_currency": lambda row: row.request.amount_currency,
    "subject.type": lambda row: row.request.subject_type,
    "tenant.environment": lambda row: row.request.environment,
    "subject.roles": lambda row: row.request.roles,
    "action.tags": lambda row: row.request.tags,
    "risk.failure_similarity": lambda row: row.similarity,
}


class Columns(Protocol):
    """Many requests, a column of bits for each thing there is to know of them."""

    policy: Policy
    acts: dict[str, int]
    full: int
    out_of_bounds: int

    def column(self, condition: Condition, policy: Policy) -> Truths:
        """Return how a condition comes out, whether or not its rule applies."""

    def missing(self, key: str) -> int:
        """Return the rows in which a key is missing."""

    def invalid(self, key: str) -> int:
        """Return the rows in which a key is unusable."""


class Read(NamedTuple):
    """What the engine reads of one raw value of an evidence key: the value, or a reason code, or neither."""

    value: Scalar | None
    code: str | None
    rows: int


class Table:
    """
    The observed requests, a row each, as one policy's declarations read them.

    Attributes:
        rows: The observations.
        acts: Action type -> the rows that ask for it.
        full: All rows.
        out_of_bounds: The rows whose rate is refused.
    """

    def __init__(self, policy: Policy, observations: Iterable[Observation]) -> None:
        self.policy = policy
        self.rows: Sequence[Observation] = tuple(observations)
        self.full = (1 << len(self.rows)) - 1
        self.acts: dict[str, int] = {}
        for place, row in enumerate(self.rows):
            self.acts[row.request.action_type] = self.acts.get(row.request.action_type, 0) | 1 << place
        money = self._money()
        self._dollars = [amount for amount, _, _ in money]
        self._facts: dict[int, Facts] = {}
        self._values: dict[tuple[str, bool], list[tuple[object, int]]] = {}
        self._read: dict[str, list[Read]] = {}
        self._missing: dict[str, int] = {}
        self._invalid: dict[str, int] = {}
        self._columns: dict[tuple[str, str, type, object], Truths] = {}
        self._known: dict[int, tuple[Condition, Truths]] = {}
        self.out_of_bounds = mask_of(out_of_bounds for _, _, out_of_bounds in money)

    def _money(self) -> list[tuple[Decimal | None, bool, bool]]:
        """Return what `amount_usd` does, a row each: once for every amount at every rate."""
        known: dict[tuple[object, ...], tuple[Decimal | None, bool, bool]] = {}
        found = []
        for row in self.rows:
            request = row.request
            raw = request.evidence.get(FX_RATE_KEY)
            hashable = not isinstance(raw, (list, dict))
            name = request.amount_value, request.amount_currency, type(raw), raw if hashable else id(raw)
            money = known.get(name)
            if money is None:
                money = known[name] = amount_usd(request, self.policy)
            found.append(money)
        return found

    def read(self, key: str) -> list[Read]:
        """Return the different values of one evidence key, each with its rows, whether or not it matters."""
        found = self._read.get(key)
        if found is None:
            spec = spec_for(self.policy, key)
            raws = self._raws.get(key, [])
            absent = self.full & ~any_of(rows for _, rows in raws)
            given: list[tuple[object, int]] = [*raws, (None, absent)] if absent else raws
            found = self._read[key] = [Read(*read_evidence(raw, spec), rows) for raw, rows in given]
        return found

    @cached_property
    def _raws(self) -> dict[str, list[tuple[object, int]]]:
        """The different values of every evidence key that was given, each with its rows."""
        rows: dict[tuple[str, type, object], int] = {}  # 1 and True are equal in Python and never here
        found: dict[str, list[tuple[object, int]]] = {}
        bit = 1
        for row in self.rows:
            for key, raw in row.request.evidence.items():
                if isinstance(raw, (list, dict)):
                    found.setdefault(key, []).append((raw, bit))
                else:
                    name = key, type(raw), raw
                    rows[name] = rows.get(name, 0) | bit
            bit <<= 1
        for (key, _, value), mask in rows.items():
            found.setdefault(key, []).append((value, mask))
        return found

    def read_at(self, key: str, place: int) -> tuple[Scalar | None, str | None]:
        """Return the value and the reason code of one evidence key in a row, whether or not it matters."""
        return next((value, code) for value, code, rows in self.read(key) if rows >> place & 1)

    def missing(self, key: str) -> int:
        """Return the rows in which a key is missing."""
        found = self._missing.get(key)
        if found is None:
            lacking = (rows for value, code, rows in self.read(key) if value is None and code is None)
            found = self._missing[key] = any_of(lacking)
        return found

    def invalid(self, key: str) -> int:
        """Return the rows in which a key is unusable."""
        found = self._invalid.get(key)
        if found is None:
            found = self._invalid[key] = any_of(rows for _, code, rows in self.read(key) if code is not None)
        return found

    def facts(self, place: int) -> Facts:
        """Return the facts of a row under the policy itself."""
        found = self._facts.get(place)
        if found is None:
            found = self._facts[place] = derive_facts(self.policy, self.rows[place].request)
        return found

    def column(self, condition: Condition, policy: Policy) -> Truths:
        """Return how a condition comes out, whether or not its rule applies."""
        if condition.fact == "risk.uncertainty":
            return _compare(condition, _distinct(self._uncertainties(policy)))
        known = self._known.get(id(condition))
        if known is not None:
            return known[1]
        operand = condition.operand
        name = (condition.fact, condition.operator.name, type(operand), operand)
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = _compare(condition, self._distinct_values(condition))
        self._known[id(condition)] = condition, found  # which keeps the condition, and so its id
        return found

    def _distinct_values(self, condition: Condition) -> list[tuple[object, int]]:
        name = condition.fact, condition.operator.name == "present"
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = self._values_of(condition)
        return found

    def _values_of(self, condition: Condition) -> list[tuple[object, int]]:
        key = condition.evidence_key
        if key is not None:
            if condition.operator.name == "present":
                return [(LIST_VALUE if code is not None else value, rows) for value, code, rows in self.read(key)]
            return [(value, rows) for value, _, rows in self.read(key)]
        if condition.fact == "amount_usd":
            return _distinct(self._dollars)
        look = _FACTS[condition.fact]
        return _distinct(look(row) for row in self.rows)

    def _uncertainties(self, policy: Policy) -> Iterator[Decimal]:
        for place, row in enumerate(self.rows):
            request = row.request
            bad = good = 0
            for key in policy.keys_for(request.action_type):
                value, code = self.read_at(key, place)
                matters = key != FX_RATE_KEY or fx_rate_matters(policy, request.action_type, request.amount_currency)
                bad += code is not None or (value is None and matters)
                good += value is not None and code is None and matters
            yield ratio(bad, bad + good)


def _distinct(values: Iterable[object]) -> list[tuple[object, int]]:
    """Return the different values, each with the rows that have it; True and 1 are equal in Python and never here."""
    found: dict[tuple[type, object], int] = {}
    bit = 1
    for value in values:
        name = type(value), value
        found[name] = found.get(name, 0) | bit
        bit <<= 1
    return [(value, rows) for (_, value), rows in found.items()]


def _compare(condition: Condition, values: Iterable[tuple[object, int]]) -> Truths:
    true = unknown = 0
    holds, operand = condition.operator.holds, condition.operand
    present = condition.operator.name == "present"
    for value, rows in values:
        if value is None and not present:
            unknown |= rows
        elif holds(value, operand):
            true |= rows
    return true, unknown


def any_of(masks: Iterable[int]) -> int:
    """Return the rows in any of some sets."""
    found = 0
    for mask in masks:
        found |= mask
    return found


def mask_of(flags: Iterable[bool]) -> int:
    """Return the places of the flags that are set, as bits."""
    found = 0
    bit = 1
    for flag in flags:
        if flag:
            found |= bit
        bit <<= 1
    return found
