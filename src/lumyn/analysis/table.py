"""
The observed requests as columns of bits: how each condition comes out for them, which keys are missing or unusable.
Each column is made once, when it is first asked for; must not know rules, verdicts or mutants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from lumyn.analysis.observations import Observation
from lumyn.engine.normalize import LIST_VALUE, amount_usd, derive_facts, fx_rate_matters, ratio, read_evidence, spec_for
from lumyn.model import Facts
from lumyn.policy.scalars import Scalar
from lumyn.policy.spec import FX_RATE_KEY, Condition, Policy

__all__ = ["Table", "Truths", "any_of", "mask_of"]

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
        money = [amount_usd(row.request, policy) for row in self.rows]
        self._dollars = [amount for amount, _, _ in money]
        self._facts: dict[int, Facts] = {}
        self._values: dict[tuple[str, bool], list[tuple[object, int]]] = {}
        self._read: dict[str, list[tuple[Scalar | None, str | None]]] = {}
        self._missing: dict[str, int] = {}
        self._invalid: dict[str, int] = {}
        self._columns: dict[tuple[str, str, type, object], Truths] = {}
        self.out_of_bounds = mask_of(out_of_bounds for _, _, out_of_bounds in money)

    def read(self, key: str) -> list[tuple[Scalar | None, str | None]]:
        """Return the value and the reason code of one evidence key, a row each, whether or not it matters."""
        found = self._read.get(key)
        if found is None:
            spec = spec_for(self.policy, key)
            known: dict[tuple[type, object], tuple[Scalar | None, str | None]] = {}
            found = self._read[key] = []
            for row in self.rows:
                raw = row.request.evidence.get(key)
                if isinstance(raw, (list, dict)):
                    found.append(read_evidence(raw, spec))
                    continue
                name = type(raw), raw
                if name not in known:
                    known[name] = read_evidence(raw, spec)
                found.append(known[name])
        return found

    def missing(self, key: str) -> int:
        """Return the rows in which a key is missing."""
        found = self._missing.get(key)
        if found is None:
            found = self._missing[key] = mask_of([read == (None, None) for read in self.read(key)])
        return found

    def invalid(self, key: str) -> int:
        """Return the rows in which a key is unusable."""
        found = self._invalid.get(key)
        if found is None:
            found = self._invalid[key] = mask_of([code is not None for _, code in self.read(key)])
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
        operand = condition.operand
        name = (condition.fact, condition.operator.name, type(operand), operand)
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = _compare(condition, self._distinct_values(condition))
        return found

    def _distinct_values(self, condition: Condition) -> list[tuple[object, int]]:
        name = condition.fact, condition.operator.name == "present"
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = _distinct(self._values_of(condition))
        return found

    def _values_of(self, condition: Condition) -> Iterable[object]:
        key = condition.evidence_key
        if key is not None:
            if condition.operator.name == "present":
                return (LIST_VALUE if code is not None else value for value, code in self.read(key))
            return (value for value, _ in self.read(key))
        if condition.fact == "amount_usd":
            return self._dollars
        look = _FACTS[condition.fact]
        return (look(row) for row in self.rows)

    def _uncertainties(self, policy: Policy) -> Iterator[Decimal]:
        for place, row in enumerate(self.rows):
            request = row.request
            bad = good = 0
            for key in policy.keys_for(request.action_type):
                value, code = self.read(key)[place]
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
