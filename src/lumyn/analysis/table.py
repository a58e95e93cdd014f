"""
The observed requests as columns of bits: how each condition comes out for them, which keys are missing or unusable.
Each column is made once, when it is first asked for; must not know rules, verdicts or mutants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from lumyn.analysis.observations import Observation
from lumyn.engine.normalize import LIST_VALUE, derive_facts, fx_rate_matters, ratio, read_evidence, spec_for
from lumyn.model import Facts
from lumyn.policy.scalars import Scalar
from lumyn.policy.spec import FX_RATE_KEY, Condition, Policy

__all__ = ["Table", "Truths", "any_of", "mask_of"]

Truths: TypeAlias = "tuple[int, int]"
"""Rows in which something is true, and rows in which it is unknown."""

_FACTS: Final[Mapping[str, Callable[[Facts], object]]] = {
    "amount_usd": lambda facts: facts.amount_usd,
    "amount_currency": lambda facts: facts.amount_currency,
    "subject.type": lambda facts: facts.subject_type,
    "tenant.environment": lambda facts: facts.environment,
    "subject.roles": lambda facts: facts.roles,
    "action.tags": lambda facts: facts.tags,
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
        self._facts: Sequence[Facts] = [derive_facts(policy, row.request) for row in self.rows]
        self._read: dict[str, list[tuple[Scalar | None, str | None]]] = {}
        self._missing: dict[str, int] = {}
        self._invalid: dict[str, int] = {}
        self._columns: dict[tuple[str, str, type, object], Truths] = {}
        self._keys: dict[str, tuple[str, ...]] = {action: policy.keys_for(action) for action in self.acts}
        self.out_of_bounds = mask_of(facts.fx_out_of_bounds for facts in self._facts)

    def read(self, key: str) -> list[tuple[Scalar | None, str | None]]:
        """Return the value and the reason code of one evidence key, a row each, whether or not it matters."""
        found = self._read.get(key)
        if found is None:
            spec = spec_for(self.policy, key)
            found = self._read[key] = [read_evidence(row.request.evidence.get(key), spec) for row in self.rows]
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
        return self._facts[place]

    def keys(self, policy: Policy, action: str) -> tuple[str, ...]:
        """Return the keys that matter to an action under a policy."""
        return self._keys[action] if policy is self.policy else policy.keys_for(action)

    def column(self, condition: Condition, policy: Policy) -> Truths:
        """Return how a condition comes out, whether or not its rule applies."""
        if condition.fact == "risk.uncertainty":
            return self._compare(condition, self._uncertainties(policy))
        operand = condition.operand
        name = (condition.fact, condition.operator.name, type(operand), operand)
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = self._compare(condition, self._values(condition))
        return found

    def _values(self, condition: Condition) -> Iterable[object]:
        key = condition.evidence_key
        if key is not None:
            if condition.operator.name == "present":
                return (LIST_VALUE if code is not None else value for value, code in self.read(key))
            return (value for value, _ in self.read(key))
        if condition.fact == "risk.failure_similarity":
            return (row.similarity for row in self.rows)
        look = _FACTS[condition.fact]
        return (look(facts) for facts in self._facts)

    @staticmethod
    def _compare(condition: Condition, values: Iterable[object]) -> Truths:
        true = unknown = 0
        bit = 1
        holds, operand = condition.operator.holds, condition.operand
        present = condition.operator.name == "present"
        for value in values:
            if value is None and not present:
                unknown |= bit
            elif holds(value, operand):
                true |= bit
            bit <<= 1
        return true, unknown

    def _uncertainties(self, policy: Policy) -> Iterator[Decimal]:
        for place, row in enumerate(self.rows):
            request = row.request
            bad = good = 0
            for key in self.keys(policy, request.action_type):
                value, code = self.read(key)[place]
                matters = key != FX_RATE_KEY or fx_rate_matters(policy, request.action_type, request.amount_currency)
                bad += code is not None or (value is None and matters)
                good += value is not None and code is None and matters
            yield ratio(bad, bad + good)


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
