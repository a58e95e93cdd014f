"""
What the caller's exchange rate can be, how each rate counts under some declarations, and which amounts it makes.
Worked out once for all actions that read rates alike; must not know cells or rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

from lumyn.analysis.candidates import numbers, spec_numbers
from lumyn.analysis.dimension import MISSING, Atom, State, truth_of
from lumyn.analysis.money import Dollars, Found, Rate, amount_for, rate_stretches
from lumyn.engine.normalize import USD, read_evidence, spec_for
from lumyn.policy.spec import FX_RATE_KEY, Condition, EvidenceSpec, EvidenceType, Policy

__all__ = ["ASK", "FX_OUT_OF_BOUNDS", "RateBook", "Rates"]

FX_OUT_OF_BOUNDS = "fx_out_of_bounds"
ASK = "ask:"
"""Begins the notes that say what a query asks for where the dollars are unknown."""

Alike: TypeAlias = "Mapping[tuple[object, ...], list[Rate]]"
"""How rates count -> the rates that count so; the last part says, for each reading, why dollars are unknown."""


class Rates:
    """The rates under the declarations of some policies, told apart by some comparisons."""

    def __init__(self, policies: Sequence[Policy], atoms: Mapping[Atom, Condition]) -> None:
        self.policies = tuple(policies)
        self.atoms = dict(atoms)
        self._specs = [spec_for(policy, FX_RATE_KEY) for policy in policies]
        self._reads: dict[tuple[type, object], tuple[Mapping[Atom, bool | None], tuple[State, ...]]] = {}
        self._known: dict[tuple[str | None, type, object], tuple[str | None, ...]] = {}
        self._alike: dict[str | None, Alike] = {}
        self._amounts: dict[tuple[object, ...], tuple[Found | None, bool]] = {}

    def alike(self, currency: str | None) -> Alike:
        """Return the rates that count alike for a currency, by how they count; None: for no amount at all."""
        found = self._alike.get(currency)
        if found is None:
            found = self._alike[currency] = self._sorted(currency)
        return found

    def _sorted(self, currency: str | None) -> Alike:
        points = set(numbers(self.atoms.values()))
        for policy, spec in zip(self.policies, self._specs, strict=True):
            points |= set(spec_numbers(spec))
            if policy.fx_bounds is not None and currency is not None:
                points |= set(policy.fx_bounds.get(currency, ()))
        found: dict[tuple[object, ...], list[Rate]] = {}
        whole = any(spec is not None and spec.type is EvidenceType.INTEGER for spec in self._specs)
        for rate in rate_stretches(points, whole=whole):
            truths, states = self.read(rate)
            key = *truths.values(), states, self.situations(currency, rate)
            found.setdefault(key, []).append(rate)
        # Where a stretch of rates counts like a point, the stretch gives more freedom to the amount.
        return {key: sorted(rates, key=lambda rate: rate.span is None or rate.whole) for key, rates in found.items()}

    def read(self, rate: Rate) -> tuple[Mapping[Atom, bool | None], tuple[State, ...]]:
        """Return how comparisons of the rate come out, and for each reading what is wrong with it."""
        name = type(rate.raw), rate.raw
        found = self._reads.get(name)
        if found is None:
            reads = [read_evidence(rate.raw, spec) for spec in self._specs]
            truths = {
                atom: truth_of(condition, reads[atom[0]][0], seen=reads[atom[0]] != (None, None))
                for atom, condition in self.atoms.items()
            }
            states = tuple(code or (MISSING if value is None else None) for value, code in reads)
            found = self._reads[name] = truths, states
        return found

    def situations(self, currency: str | None, rate: Rate) -> tuple[str | None, ...]:
        """Return, for each reading, None where the dollars are known, else why they are not."""
        name = currency, type(rate.raw), rate.raw
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = tuple(
                _situation(policy, spec, currency, rate.raw)
                for policy, spec in zip(self.policies, self._specs, strict=True)
            )
        return found

    def amount(self, dollars: Dollars, currency: str, rates: Sequence[Rate]) -> tuple[Found | None, bool]:
        """Do what `amount_for` does, for rates that `alike` returned."""
        name = dollars.low, dollars.high, dollars.point, currency, id(rates)  # these lists are kept as long as this is
        found = self._amounts.get(name)
        if found is None:
            found = self._amounts[name] = amount_for(dollars, currency, rates)
        return found


class RateBook:
    """The rates of every set of policies and comparisons that was asked for; whose policies it keeps."""

    def __init__(self) -> None:
        self._made: list[Rates] = []

    def rates(self, policies: Sequence[Policy], atoms: Mapping[Atom, Condition]) -> Rates:
        """Return the rates under the declarations of some policies, told apart by some comparisons."""
        for known in self._made:
            same = len(known.policies) == len(policies) and all(map(_is, known.policies, policies))
            if same and [*known.atoms] == [*atoms]:
                return known
        made = Rates(policies, atoms)
        self._made.append(made)
        return made


def _is(one: Policy, other: Policy) -> bool:
    return one is other


def _situation(policy: Policy, spec: EvidenceSpec | None, currency: str | None, raw: object) -> str | None:
    rate, _ = read_evidence(raw, spec)
    usable = rate if isinstance(rate, Decimal) and rate > 0 else None
    if currency is None:
        return ASK + "action.amount"
    if currency == USD:
        return None
    if policy.fx_bounds is not None:
        bounds = policy.fx_bounds.get(currency)
        if bounds is None:
            return ASK + "action.amount.currency"
        if usable is not None and not bounds[0] <= usable <= bounds[1]:
            return FX_OUT_OF_BOUNDS
    return ASK + FX_RATE_KEY if usable is None else None
