"""
The joint dimension of money: currency, rate and US dollars, each combination with an amount that makes it.
Reads rates with the engine's own functions; must not know rules or verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from lumyn.analysis.candidates import numbers, spec_numbers
from lumyn.analysis.dimension import (
    MISSING,
    MONEY,
    MONEY_FACTS,
    RATE,
    Atom,
    Cells,
    Dimension,
    State,
    listed,
    truth_of,
)
from lumyn.analysis.money import Dollars, Money, Rate, amount_for, currencies, dollar_stretches, rate_stretches
from lumyn.engine.normalize import USD, read_evidence, spec_for
from lumyn.policy.spec import FX_RATE_KEY, Condition, EvidenceSpec, Policy

__all__ = ["CONVERTS", "FX_OUT_OF_BOUNDS", "MoneyBlock"]

CONVERTS = (-1, "converts")
"""The note on cells whose amount needs a rate."""
FX_OUT_OF_BOUNDS = "fx_out_of_bounds"
ASK = "ask:"
"""Begins the notes that say what a query asks for where the dollars are unknown."""


class MoneyBlock:
    """
    Builds the dimension.

    Attributes:
        complete: False when some combination could be neither reached nor ruled out.
    """

    def __init__(self, policies: Sequence[Policy], atoms: Mapping[Atom, Condition]) -> None:
        self.complete = True
        self._policies = policies
        self._atoms: dict[str, dict[Atom, Condition]] = {fact: {} for fact in MONEY_FACTS}
        for atom, condition in atoms.items():
            self._atoms[condition.fact][atom] = condition
        self._reads: dict[tuple[type, object], tuple[Mapping[Atom, bool | None], tuple[State, ...]]] = {}
        self._known: dict[tuple[str | None, type, object], tuple[str | None, ...]] = {}
        self._specs = [spec_for(policy, FX_RATE_KEY) for policy in policies]

    def dimension(self) -> Dimension:
        """Return the cells of money for the readings and conditions it was made for."""
        cells = Cells(MONEY)
        dollars = dollar_stretches(numbers(self._atoms["amount_usd"].values()))
        usd_truths = [self._truths("amount_usd", _middle(each)) for each in dollars]
        for rates in self._rates(()).values():
            self._add(cells, None, rates[0], None)
        classes: dict[tuple[object, ...], list[tuple[str, list[Rate]]]] = {}
        for currency in currencies(self._named()):
            for signature, rates in self._rates((currency,)).items():
                key = (tuple(self._truths("amount_currency", currency).values()), currency == USD, *signature)
                classes.setdefault(key, []).append((currency, rates))
        for key, members in classes.items():
            known = [situation is None for situation in key[-1]]  # type: ignore[attr-defined]
            if not any(known):
                self._add(
                    cells, Money(Decimal(1), members[0][0], members[0][1][0].raw), members[0][1][0], members[0][0]
                )
                continue
            for stretch, truths in zip(dollars, usd_truths, strict=True):
                self._settle(cells, stretch, truths, members)
        return cells.dimension()

    def _settle(
        self,
        cells: Cells,
        stretch: Dollars,
        truths: Mapping[Atom, bool | None],
        members: Sequence[tuple[str, list[Rate]]],
    ) -> None:
        """Add the cell of some dollars in some currency at some rate, if a request can state it."""
        certain = True
        for currency, rates in members:
            found, sure = amount_for(stretch, currency, rates)
            if found is not None:
                self._add(cells, Money(found[0], currency, found[1]), rates[0], currency, truths)
                return
            certain = certain and sure
        self.complete = self.complete and certain

    def _add(
        self,
        cells: Cells,
        money: Money | None,
        rate: Rate,
        currency: str | None,
        dollars: Mapping[Atom, bool | None] | None = None,
    ) -> None:
        money = Money(None, None, rate.raw) if money is None else money
        situations = self._situations(currency, rate)
        rate_truths, rate_states = self._read(rate)
        truths: dict[Atom, bool | None] = {}
        for atom, condition in self._atoms["amount_usd"].items():
            known = situations[atom[0]] is None
            if condition.operator.name == "present":
                truths[atom] = known == condition.operand
            else:
                truths[atom] = dollars[atom] if known and dollars is not None else None
        for atom, condition in self._atoms["amount_currency"].items():
            truths[atom] = truth_of(condition, currency, seen=currency is not None)
        truths.update(rate_truths)
        states: dict[tuple[int, str], State] = {(place, FX_RATE_KEY): state for place, state in enumerate(rate_states)}
        notes = [(place, situation) for place, situation in enumerate(situations) if situation is not None]
        converts = currency is not None and currency != USD
        cells.add(money, truths, states, [*notes, *([CONVERTS] if converts else [])])

    def _rates(self, currency: tuple[str, ...]) -> dict[tuple[object, ...], list[Rate]]:
        """Return the rates that count alike for a currency, by how they count."""
        named = currency[0] if currency else None
        points = set(numbers(self._atoms[RATE].values()))
        for policy, spec in zip(self._policies, self._specs, strict=True):
            points |= set(spec_numbers(spec))
            if policy.fx_bounds is not None and named is not None:
                points |= set(policy.fx_bounds.get(named, ()))
        found: dict[tuple[object, ...], list[Rate]] = {}
        for rate in rate_stretches(points):
            truths, states = self._read(rate)
            key = *truths.values(), states, self._situations(named, rate)
            found.setdefault(key, []).append(rate)
        # Where a stretch of rates counts like a point, the stretch gives more freedom to the amount.
        return {key: sorted(rates, key=lambda rate: rate.span is None) for key, rates in found.items()}

    def _read(self, rate: Rate) -> tuple[Mapping[Atom, bool | None], tuple[State, ...]]:
        """Return how comparisons of the rate come out, and for each reading what is wrong with it."""
        name = type(rate.raw), rate.raw
        found = self._reads.get(name)
        if found is None:
            reads = [read_evidence(rate.raw, spec) for spec in self._specs]
            truths = {
                atom: truth_of(condition, reads[atom[0]][0], seen=reads[atom[0]] != (None, None))
                for atom, condition in self._atoms[RATE].items()
            }
            states = tuple(code or (MISSING if value is None else None) for value, code in reads)
            found = self._reads[name] = truths, states
        return found

    def _situations(self, currency: str | None, rate: Rate) -> tuple[str | None, ...]:
        """Return, for each reading, None where the dollars are known, else why they are not."""
        name = currency, type(rate.raw), rate.raw
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = tuple(
                _situation(policy, spec, currency, rate.raw)
                for policy, spec in zip(self._policies, self._specs, strict=True)
            )
        return found

    def _truths(self, fact: str, value: object) -> dict[Atom, bool | None]:
        return {
            atom: truth_of(condition, value, seen=value is not None) for atom, condition in self._atoms[fact].items()
        }

    def _named(self) -> Iterator[str]:
        for condition in self._atoms["amount_currency"].values():
            operand = condition.operand
            yield from (each for each in listed(operand) if isinstance(each, str))
        for policy in self._policies:
            yield from policy.fx_bounds or ()


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


def _middle(dollars: Dollars) -> Decimal:
    if dollars.point:
        return dollars.low
    return dollars.low + 1 if dollars.high is None else (dollars.low + dollars.high) / 2
