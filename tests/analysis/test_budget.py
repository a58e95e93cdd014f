"""
What an exact answer may cost: work is counted, the same on every machine, and what is given up is unknown, never "no".
Policies too hard to settle, wide ones that are not, and every way in which a user meets the end of a budget.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from lumyn.analysis.boxes import BUDGET, Box, BudgetExceededError, Search
from lumyn.analysis.check import check
from lumyn.analysis.coverage import cover
from lumyn.analysis.diff import diff
from lumyn.analysis.judge import Judge
from lumyn.analysis.mutants import mutants
from lumyn.analysis.prove import Status, prove
from lumyn.errors import Span
from lumyn.model import Verdict
from lumyn.policy.invariants import Invariant, InvariantKind
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy

LESS = 30_000
"""Below what the hard policy takes, by far."""


def policy_of(document: dict[str, Any]) -> Policy:
    return parse_policy(json.dumps(document))


def blocking(names: list[str], clauses: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return rules that block three values together each: to be trusted is to satisfy all of them at once."""
    chance = random.Random(seed)
    return [
        {
            "id": f"C{number}",
            "stage": "HARD_BLOCKS",
            "when": {"action_type": "a.b"},
            "if": {f"evidence.{name}_is": chance.random() < 0.5 for name in chance.sample(names, 3)},
            "then": {"verdict": "ABSTAIN", "reason_codes": ["CURRENCY_UNSUPPORTED"]},
        }
        for number in range(clauses)
    ]


def hard(*, keys: int = 50, clauses: int = 250, **more: Any) -> Policy:
    """Return a policy that trusts nothing, which takes a long search to prove."""
    names = [f"k{number}" for number in range(keys)]
    trusting = {
        "id": "T",
        "stage": "TRUST_PATHS",
        "when": {"action_type": "a.b"},
        "if": {"evidence.k0_present": True},
        "then": {"verdict": "TRUST", "reason_codes": ["REFUND_SMALL_LOW_RISK"]},
    }
    return policy_of(
        {
            "schema_version": "policy.v0",
            "policy_id": "hard",
            "policy_version": "1",
            "evidence": {name: {"type": "boolean"} for name in names},
            "rules": [*blocking(names, clauses), trusting],
            **more,
        }
    )


NEVER = Invariant(kind=InvariantKind.NEVER, name="x", span=Span("p.yml", 1, 1), verdicts=(Verdict.TRUST,))


def formula(chance: random.Random, names: int, clauses: int) -> list[Box]:
    made = []
    for _ in range(clauses):
        places = sorted(chance.sample(range(names), 3))
        made.append(tuple((place, 1 << chance.randrange(2)) for place in places))
    return made


@pytest.mark.parametrize("seed", range(12))
def test_a_smaller_budget_gives_no_other_answer(seed: int) -> None:
    """Whatever the budget, an answer that is given is the right one: what is cut is never read as "no"."""
    boxes = formula(random.Random(seed), 12, 52)
    full = tuple([0b11] * 12)
    whole = Search(full=full)
    right = whole.find((), avoid=boxes)
    spent = whole.limit - whole.budget
    given_up = 0
    for limit in range(0, 2 * spent, max(spent // 40, 1)):
        try:
            assert right == Search(full=full, limit=limit).find((), avoid=boxes)
            assert limit >= spent
        except BudgetExceededError:
            given_up += 1
            assert limit < spent
    assert given_up >= 20


def test_the_budget_counts_boxes_and_not_steps() -> None:
    """One step that looks at many boxes costs as much as many that look at few."""
    full = tuple([0b11] * 4)
    far = [((0, 0b100), (1, 1), (2, 1))] * 1_000
    search = Search(full=full, limit=1_000)
    assert search.find((), avoid=far[:100]) == full
    with pytest.raises(BudgetExceededError):
        search.find((), avoid=far)
    with pytest.raises(BudgetExceededError):
        search.find((), must=[[*far, ((0, 1),), ((1, 1),)]])
    assert search.find((), avoid=far[:100]) == full


def test_what_a_search_costs_is_the_same_every_time() -> None:
    """It is counted, so that no machine comes to another answer than a faster one."""
    boxes = formula(random.Random(3), 40, 180)
    searches = [Search(full=tuple([0b11] * 40)) for _ in range(2)]
    found = [search.find((), avoid=boxes) for search in searches]
    assert found[0] == found[1]
    assert 0 < searches[0].budget == searches[1].budget < BUDGET


def test_a_search_goes_as_deep_as_it_has_to() -> None:
    """A thousand rules about attributes of their own are settled one below the other."""
    count = 1_000
    boxes = [((2 * number, 1), (2 * number + 1, 1)) for number in range(count)]
    found = Search(full=tuple([0b11] * (2 * count))).find((), avoid=boxes)
    assert found is not None
    assert all(any(found[dimension] & mask == 0 for dimension, mask in box) for box in boxes)


def test_a_hard_policy_is_proved_within_the_budget_and_unknown_below_it() -> None:
    """The same question: `proved` where the search came to its end, `unknown` where it did not."""
    policy = hard()
    assert prove(policy, NEVER).status is Status.PROVED
    assert prove(policy, NEVER, limit=LESS).status is Status.UNKNOWN


def test_nothing_is_called_dead_or_impossible_of_a_hard_policy() -> None:
    """Over budget a check claims nothing of rules, coverage nothing of goals, a diff nothing of the action."""
    policy = hard()
    found = check(policy, limit=LESS)
    assert [each.code for each in found if each.level == "error"] == ["ANALYSIS_UNKNOWN"]
    assert not [each.code for each in found if each.code.startswith(("RULE_", "CONDITION_"))]
    deciding = next(g for g in cover(policy, [], limit=LESS).goals if g.criterion == "decides" and g.name == "T")
    assert deciding.unknown
    assert not deciding.infeasible
    changed = hard(defaults={"default_verdict": "QUERY", "default_reason_code": "NO_MATCH_DEFAULT_ESCALATE"})
    assert diff(policy, policy, limit=LESS).empty
    assert diff(policy, changed, limit=LESS).unknown


def test_an_edit_of_a_hard_policy_is_unknown_rather_than_harmless() -> None:
    """Whether a block less trusts something takes a search: given up, it is unknown, not merely other reason codes."""
    policy = hard()
    made = mutants(policy)
    (dropped,) = (each for each in made if each.operator == "rule" and each.place.split()[0] == "C0")
    settled = Judge(policy, [dropped]).finding(dropped)
    assert settled is not None
    with pytest.raises(BudgetExceededError):
        Judge(policy, [dropped], limit=LESS // 3).finding(dropped)
