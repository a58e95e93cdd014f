"""
An everyday request of an action, for policies that have no vectors yet: every fact there, nothing at a limit.
Must not know what the request is used for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from lumyn.analysis.boxes import BudgetExceededError
from lumyn.analysis.cells import MONEY, Space
from lumyn.analysis.changes import changed
from lumyn.analysis.dimension import Dimension, Raw, bits, truth_of
from lumyn.analysis.money import Money
from lumyn.analysis.regions import View
from lumyn.analysis.witness import Case, evaluate, request_at
from lumyn.engine.normalize import USD, read_evidence, spec_for
from lumyn.model import JsonObject, Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import Condition, EvidenceType, Policy

__all__ = ["everyday", "name_of"]

_WORDS: Final = {
    Verdict.TRUST: "trusted",
    Verdict.ESCALATE: "escalated",
    Verdict.QUERY: "asked",
    Verdict.ABSTAIN: "blocked",
}

_COUNTS: Final = tuple(Decimal(each) for each in (0, 1, 3, 5, 10, 30, 50, 90, 180, 365, 500, 1000, 5000, 100_000))
_SHARES: Final = tuple(Decimal(text) for text in ("0.1", "0.05", "0.2", "0.5", "0.3", "0.02", "0.9", "0.95", "0.98"))
_AMOUNTS: Final = tuple(Decimal(each) for each in (10, 5, 20, 12, 50, 100, 150, 300, 600, 1000, 2500, 5000, 20_000))


def everyday(policy: Policy, space: Space, conditions: Iterable[Condition]) -> tuple[Verdict, JsonObject] | None:
    """
    Return the most permissive verdict an action can get and a plain request that gets it; None: none was found.

    Args:
        space: Of the action, made for the policy.
        conditions: Those the space tells apart.
    """
    known = list(conditions)
    view = View(space, policy)
    for verdict in sorted(Verdict, key=lambda each: each.strictness):
        for region in sorted(view.regions(verdict), key=lambda each: not each.default):
            if not all(region.must):
                continue
            try:
                corner = space.search.find((), must=region.must, avoid=region.avoid)
            except BudgetExceededError:
                continue
            if corner is None:
                continue
            plain = _request(policy, space, corner, known)
            exact = request_at(space.action, space.point(corner))
            for request in (plain, exact):
                if evaluate(policy, Case(request=request)).verdict is verdict:
                    return verdict, request
    return None


def _request(policy: Policy, space: Space, corner: Sequence[int], conditions: Sequence[Condition]) -> JsonObject:
    point: dict[str, Raw] = {}
    for place, dimension in enumerate(space.dimensions):
        values = [dimension.values[cell] for cell in bits(corner[place])]
        if dimension.name == MONEY:
            point[MONEY] = _money(values, [each for each in conditions if each.fact == "amount_usd"])
        else:
            reading = [each for each in conditions if each.fact == dimension.name]
            point[dimension.name] = _value(policy, dimension, values, reading)
    request = request_at(space.action, point)
    words = space.action.rpartition(".")[2].replace("_", " ")
    return changed(request, [(("action", "intent"), words or "a request")])


def _value(policy: Policy, dimension: Dimension, values: Sequence[Raw], conditions: Sequence[Condition]) -> Raw:
    """Return the value of an attribute that most requests would have, of those that will do."""
    if not dimension.name.startswith(EVIDENCE_PREFIX):
        return values[0]
    key = dimension.name.removeprefix(EVIDENCE_PREFIX)
    spec = spec_for(policy, key)

    def unusual(raw: Raw) -> tuple[bool, bool, bool, bool]:
        read, code = read_evidence(raw, spec)
        listed = isinstance(raw, list) or (spec is None and not isinstance(raw, str))
        return code is not None, read is None, listed, raw is True

    found = min(values, key=unusual)
    if isinstance(found, Decimal):
        nice = _COUNTS if spec is not None and spec.type is EvidenceType.INTEGER else (*_SHARES, *_COUNTS)
        usable = [each for each in nice if read_evidence(each, spec)[1] is None]
        alike = [raw for raw in values if isinstance(raw, Decimal) and unusual(raw) == unusual(found)]
        return next((each for raw in alike for each in usable if _alike(each, raw, conditions)), found)
    if found == "A-1" and (spec is None or spec.type is EvidenceType.STRING):
        word = f"{key[0].upper()}-1" if key.endswith("_id") else "example"
        return word if _alike(word, found, conditions) else found
    return found


def _money(values: Sequence[Raw], conditions: Sequence[Condition]) -> Raw:
    cells = [each for each in values if isinstance(each, Money)]

    def unusual(money: Money) -> tuple[bool, bool, bool, bool]:
        dollars = money.currency == USD
        return money.currency is None, not dollars, dollars and money.rate is not None, not money.value

    found = min(cells, key=unusual)
    for money in cells:
        if money.currency == USD and unusual(money) == unusual(found):
            for value in _AMOUNTS:
                if _alike(value, money.value, conditions):
                    return replace(money, value=value)
    return found


def _alike(one: object, other: object, conditions: Iterable[Condition]) -> bool:
    """Return whether no comparison tells two values apart."""
    return all(truth_of(each, one, seen=True) == truth_of(each, other, seen=True) for each in conditions)


def name_of(action: str, verdict: Verdict) -> str:
    """Return what to call the plain request of an action."""
    return f"{action.rpartition('.')[2]}_{_WORDS[verdict]}"
