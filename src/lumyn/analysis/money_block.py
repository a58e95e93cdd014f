"""
The joint dimension of money: currency, rate and US dollars, each combination with an amount that makes it.
Must not know how rates are read, nor rules or verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from lumyn.analysis.candidates import numbers
from lumyn.analysis.dimension import MONEY, MONEY_FACTS, RATE, Atom, Cells, Dimension, listed, truth_of
from lumyn.analysis.money import Dollars, Money, Rate, currencies, dollar_stretches
from lumyn.analysis.rates import RateBook, Rates
from lumyn.engine.normalize import USD
from lumyn.policy.spec import FX_RATE_KEY, Condition, Policy

__all__ = ["CONVERTS", "MoneyBlock"]

CONVERTS = (-1, "converts")
"""The note on cells whose amount needs a rate."""


class MoneyBlock:
    """
    Builds the dimension.

    Attributes:
        complete: False when some combination could be neither reached nor ruled out.
    """

    def __init__(self, policies: Sequence[Policy], atoms: Mapping[Atom, Condition], book: RateBook) -> None:
        self.complete = True
        self._policies = policies
        self._atoms: dict[str, dict[Atom, Condition]] = {fact: {} for fact in MONEY_FACTS}
        for atom, condition in atoms.items():
            self._atoms[condition.fact][atom] = condition
        self._rates = book.rates(policies, self._atoms[RATE])
        self._currencies: dict[str | None, tuple[bool | None, ...]] = {}

    def dimension(self) -> Dimension:
        """Return the cells of money for the readings and conditions it was made for."""
        places = [(place, FX_RATE_KEY) for place in range(len(self._policies))]
        cells = Cells(MONEY, (atom for fact in MONEY_FACTS for atom in self._atoms[fact]), places)
        dollars = dollar_stretches(numbers(self._atoms["amount_usd"].values()))
        known = [(each, self._truths("amount_usd", _middle(each))) for each in dollars]
        for rates in self._rates.alike(None).values():
            self._kind(None, rates[0]).add(cells, None)
        classes: dict[tuple[object, ...], list[tuple[str, list[Rate]]]] = {}
        for currency in currencies(self._named()):
            truths = self._in_currency(currency)
            for signature, rates in self._rates.alike(currency).items():
                classes.setdefault((truths, currency == USD, *signature), []).append((currency, rates))
        for members in classes.values():
            currency, rates = members[0]
            kind = self._kind(currency, rates[0])
            if not kind.known:
                kind.add(cells, Money(Decimal(1), currency, rates[0].raw))
                continue
            kinds = {currency: kind}
            for stretch, truths_there in known:
                self._settle(cells, stretch, truths_there, members, kinds)
        return cells.dimension()

    def _settle(
        self,
        cells: Cells,
        stretch: Dollars,
        truths: tuple[bool | None, ...],
        members: Sequence[tuple[str, list[Rate]]],
        kinds: dict[str, _Kind],
    ) -> None:
        """Add the cell of some dollars in some currency at some rate, if a request can state it."""
        certain = True
        for currency, rates in members:
            found, sure = self._rates.amount(stretch, currency, rates)
            if found is not None:
                kind = kinds.get(currency)
                if kind is None:
                    kind = kinds[currency] = self._kind(currency, rates[0])
                kind.add(cells, Money(found[0], currency, found[1]), truths)
                return
            certain = certain and sure
        self.complete = self.complete and certain

    def _kind(self, currency: str | None, rate: Rate) -> _Kind:
        return _Kind(self._rates, self._atoms["amount_usd"], self._in_currency(currency), currency, rate)

    def _in_currency(self, currency: str | None) -> tuple[bool | None, ...]:
        """Return how comparisons of the currency come out, worked out once for all rates."""
        found = self._currencies.get(currency)
        if found is None:
            found = self._currencies[currency] = self._truths("amount_currency", currency)
        return found

    def _truths(self, fact: str, value: object) -> tuple[bool | None, ...]:
        seen = value is not None
        return tuple(truth_of(condition, value, seen=seen) for condition in self._atoms[fact].values())

    def _named(self) -> Iterator[str]:
        for condition in self._atoms["amount_currency"].values():
            operand = condition.operand
            yield from (each for each in listed(operand) if isinstance(each, str))
        for policy in self._policies:
            yield from policy.fx_bounds or ()


class _Kind:
    """
    What all amounts of one currency have in common at rates that count alike.

    Attributes:
        known: Whether the dollars are known in any reading.
    """

    def __init__(
        self,
        rates: Rates,
        atoms: Mapping[Atom, Condition],
        truths: tuple[bool | None, ...],
        currency: str | None,
        rate: Rate,
    ) -> None:
        """
        Args:
            atoms: Comparisons of the dollars.
            truths: How comparisons of the currency come out.
        """
        situations = rates.situations(currency, rate)
        read, self._states = rates.read(rate)
        self.known = any(each is None for each in situations)
        self._everywhere = all(each is None for each in situations)
        self._rate = rate
        self._rest = (*truths, *read.values())
        self._usd = [(condition, situations[atom[0]] is None) for atom, condition in atoms.items()]
        notes = [(place, each) for place, each in enumerate(situations) if each is not None]
        self._notes = (*notes, CONVERTS) if currency is not None and currency != USD else (*notes,)

    def add(self, cells: Cells, money: Money | None, dollars: tuple[bool | None, ...] | None = None) -> None:
        """Add the cell of an amount; None: no amount at all."""
        if dollars is None:
            dollars = (None,) * len(self._usd)
        if not self._everywhere:
            dollars = tuple(
                (known == condition.operand if condition.operator.name == "present" else truth if known else None)
                for (condition, known), truth in zip(self._usd, dollars, strict=True)
            )
        money = Money(None, None, self._rate.raw) if money is None else money
        cells.add(money, dollars + self._rest, self._states, self._notes)


def _middle(dollars: Dollars) -> Decimal:
    if dollars.point:
        return dollars.low
    return dollars.low + 1 if dollars.high is None else (dollars.low + dollars.high) / 2
