"""
The fact projection: what a policy read of a request, as a record keeps it beside the request.
Must not know records, redaction or stores; never holds a value that no rule for the action compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeAlias

from lumyn.digest import canonical_text, freeze
from lumyn.engine.normalize import json_scalar
from lumyn.engine.packed import NOT_KNOWN, Layout
from lumyn.model import Facts, JsonObject, JsonValue
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import FX_RATE_KEY, Policy, Rule

__all__ = ["Project", "StateText", "project", "projected_keys"]

Project: TypeAlias = Callable[[Facts, str, str, str], str]
"""
`projection(facts, amount_usd, fx_rate_present, failure_similarity)`: the projection as canonical JSON.

The last three are canonical texts, which a record holds elsewhere too: a decimal in quotes or `null`, a boolean, and
a number.
"""

_STATES_KEPT: Final = 1_024


def project(policy: Policy, facts: Facts, similarity: Decimal) -> JsonObject:
    """
    Return the fact projection: everything but the request's own members that the rules for its action read.

    Args:
        facts: Derived under `policy`.
        similarity: The failure similarity that the rules were given.

    Returns:
        `evidence` holds the keys that a rule compares with a constant. Of keys that are only required, or only asked
        to be present, `present` holds the names. Empty `invalid`, `missing`, `policy_defaults` and `present` are left
        out.
    """
    compared = projected_keys(policy, facts.action_type)
    known = {key: json_scalar(value) for key, value in sorted(facts.evidence.items())}
    found: JsonObject = {
        "amount_usd": None if facts.amount_usd is None else decimal_text(facts.amount_usd),
        "evidence": {key: value for key, value in known.items() if key in compared},
        "failure_similarity": json_scalar(similarity),
        "fx_rate_present": facts.fx_rate_present,
    }
    present = [key for key in known if key not in compared]
    return found | _rest(dict(facts.invalid), facts.missing, facts.defaulted, present, facts.uncertainty)


def projected_keys(policy: Policy, action_type: str) -> frozenset[str]:
    """Return the evidence keys whose values the projection of an action holds."""
    return _compared(policy.rules_for(action_type))


class StateText:
    """
    The parts of a projection that do not depend on values alone, for one plan.

    Attributes:
        compared: The keys whose values are held, sorted.
        rest: State -> the members after `fx_rate_present`, as canonical text without its opening brace.
    """

    __slots__ = ("_layout", "compared", "rest")

    def __init__(self, layout: Layout, rules: Iterable[Rule]) -> None:
        compared = _compared(rules)
        self._layout = layout
        self.compared = tuple(key for key in layout.keys if key in compared)
        # A state stands for many requests.
        self.rest: Callable[[int], str] = lru_cache(maxsize=_STATES_KEPT)(self._rest)

    def evidence(self, facts: Facts) -> str:
        """Return the members of `evidence`, whatever they are, as canonical text without braces."""
        known = facts.evidence
        values: JsonObject = {key: json_scalar(known[key]) for key in self.compared if key in known}
        return canonical_text(freeze(values))[1:-1]

    def _rest(self, state: int) -> str:
        layout = self._layout
        named = [key for key in layout.keys if key not in self.compared]
        present = [key for key in named if not state >> layout.shift[key] & NOT_KNOWN]
        members = _rest(
            dict(layout.invalid(state)),
            layout.missing(state),
            layout.defaulted(state),
            present,
            layout.uncertainty(state),
        )
        return canonical_text(freeze(members))[1:]


def _rest(
    invalid: JsonObject, missing: Iterable[str], defaulted: Iterable[str], present: Iterable[str], uncertainty: Decimal
) -> JsonObject:
    lists: dict[str, list[JsonValue]] = {
        "missing": [*missing],
        "policy_defaults": [*defaulted],
        "present": [*present],
    }
    found: JsonObject = {"invalid": invalid} if invalid else {}
    found |= {name: keys for name, keys in lists.items() if keys}
    return {**found, "uncertainty": json_scalar(uncertainty)}


def _compared(rules: Iterable[Rule]) -> frozenset[str]:
    keys: set[str] = set()
    for condition in (condition for rule in rules for condition in rule.conditions):
        if condition.fact == "amount_usd":
            keys.add(FX_RATE_KEY)
        elif condition.evidence_key is not None and condition.operator.name != "present":
            keys.add(condition.evidence_key)
    return frozenset(keys)
