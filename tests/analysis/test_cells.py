"""
The analysed model of a policy agrees with the engine about every request: what fires, what is decided, what can happen.
Random policies and requests; every cell is turned into a request and decided, every request is found among the cells.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ACTIONS, build_policy, examples, policies, requests, similarities

from lumyn.analysis.boxes import BudgetExceededError, Search, meet
from lumyn.analysis.candidates import SpaceTooLargeError
from lumyn.analysis.cells import Space
from lumyn.analysis.rates import RateBook
from lumyn.analysis.regions import View, holds
from lumyn.analysis.witness import case_at, evaluate
from lumyn.core.requests import minor_digits
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.outcome import LUMYN_EVIDENCE_UNKNOWN
from lumyn.engine.trace import trace_facts
from lumyn.model import DecisionRequest, Evaluation, Verdict
from lumyn.policy.spec import Policy

DEFAULTS: dict[str, Any] = {
    "schema_version": "policy.v0",
    "policy_id": "p",
    "policy_version": "1",
    "defaults": {"default_verdict": "ESCALATE", "default_reason_code": "NOTHING_MATCHED"},
}


def policy_of(*rules: dict[str, Any], **members: Any) -> Policy:
    """Return a policy of some rules for one action."""
    return build_policy({**DEFAULTS, **members, "rules": [{"id": f"R{n}", **rule} for n, rule in enumerate(rules)]})


def rule(stage: str, verdict: str, conditions: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"stage": stage, "if": conditions, "then": {"verdict": verdict, "reason_codes": [f"C_{verdict}"]}, **members}


def some_point(space: Space, chance: random.Random) -> tuple[int, ...]:
    """Return one cell of every dimension."""
    corner = [1 << chance.randrange(len(dimension.values)) for dimension in space.dimensions]
    corner += list(space.search.full[len(corner) :])
    if space.search.consistent is not None:
        assert space.search.consistent(corner)
    return tuple(corner)


def test_spaces_that_share_their_rates_are_those_made_alone() -> None:
    """What is known of rates is kept for one set of declarations and comparisons, and changes no cell of a space."""
    bounds = {"EUR": [0.8, 1.6], "JPY": [0.005, 0.02]}
    rate = {"evidence.fx_rate_to_usd_gte": 1, "amount_usd_gt": 40}
    rules = [
        rule("ESCALATIONS", "ESCALATE", {"amount_usd_gt": 25, "amount_currency_in": ["EUR", "JPY"]}, when=of)
        for of in ({"action_type": "a.b"}, {"action_type": "a.c"})
    ]
    rules.append(rule("HARD_BLOCKS", "ABSTAIN", {"amount_usd_gte": 450.5}, when={"action_type": "a.c"}))
    rules.append(rule("HARD_BLOCKS", "ABSTAIN", rate, when={"action_type": "a.d"}))
    book = RateBook()
    bounded, free = policy_of(*rules, fx_bounds=bounds), policy_of(*rules)
    for named in ([bounded], [free], [bounded, free]):
        for action in ("a.b", "a.c", "a.d", "a.e"):
            alone, shared = Space(action, named), Space(action, named, book=book)
            assert alone.dimensions == shared.dimensions
            assert alone.complete == shared.complete


def fired_ids(found: Evaluation) -> list[str]:
    return sorted(each.rule_id for each in found.matched_rules if each.rule_id != LUMYN_EVIDENCE_UNKNOWN)


def lies_in(view: View, corner: tuple[int, ...], verdict: Verdict) -> bool:
    return any(
        all(any(holds(box, corner) for box in boxes) for boxes in region.must)
        and not any(holds(box, corner) for box in region.avoid)
        for region in view.regions(verdict)
    )


@given(policy=policies(), action=st.sampled_from((*ACTIONS, "unheard.of")), seed=st.integers(0, 2**32))
@examples(60)
def test_every_cell_is_decided_as_the_boxes_say(policy: Policy, action: str, seed: int) -> None:
    """The request that stands for some cells fires the rules whose boxes hold them, and gets that region's verdict."""
    space = Space(action, [policy])
    view = View(space, policy)
    chance = random.Random(seed)
    for _ in range(12):
        corner = some_point(space, chance)
        found = evaluate(policy, case_at(action, space.point(corner)))
        assert sorted(view.fires(corner)) == fired_ids(found)
        assert [found.verdict] == [verdict for verdict in Verdict if lies_in(view, corner, verdict)]


@given(policy=policies(), request=requests(), similarity=similarities())
@examples(80)
def test_every_request_is_in_the_space(policy: Policy, request: DecisionRequest, similarity: Decimal) -> None:
    """Whatever a request that a gate accepts makes of the rules, some cells make of them too: none is left out."""
    value, currency = request.amount_value, request.amount_currency
    if value is not None and currency is not None and value != round(value, minor_digits(currency)):
        return
    plan = compile_policy(policy).plan(request.action_type)
    facts = plan.facts(request)
    traced = trace_facts(policy, facts, similarity=similarity)
    space = Space(request.action_type, [policy])
    view = View(space, policy)
    must, avoid = [], []
    for each, seen in zip(view.rules, traced.rules, strict=True):
        match seen.truth.value:
            case "true":
                must.append(each.true)
            case "unknown":
                must.append(each.possible)
                avoid.extend(each.true)
            case _:
                avoid.extend(each.possible)
    for code, boxes in view.invalid.items():
        (must if code in facts.invalid.values() else avoid).extend([boxes] if code in facts.invalid.values() else boxes)
    if facts.fx_out_of_bounds:
        must.append(view.fx_out_of_bounds)
    else:
        avoid.extend(view.fx_out_of_bounds)
    amounts = [each.operand for rule in policy.rules for each in rule.conditions if each.fact == "amount_usd"]
    # Whether 17 digits of dollars can be asked for at some rate is left open, and nothing is claimed of such policies.
    assert space.complete or Decimal("0.30000000000000004") in amounts
    if not space.complete:
        return
    found = space.search.find((), must=must, avoid=avoid)
    assert found is not None
    again = evaluate(policy, case_at(request.action_type, space.point(found)))
    assert fired_ids(traced.evaluation) == fired_ids(again)
    assert traced.evaluation.verdict == again.verdict


def test_between_two_neighbouring_doubles_there_is_nothing() -> None:
    """No request can carry a number between 0.3 and the next double, so a rule that wants one is never reached."""
    low, high = Decimal("0.3"), Decimal("0.30000000000000004")
    conditions = {"evidence.risk_gt": low, "evidence.risk_lt": high}
    policy = policy_of(rule("ESCALATIONS", "ESCALATE", conditions))
    assert () == View(Space("a.b", [policy]), policy).rules[0].true


def test_dollars_come_in_cents_and_other_currencies_reach_between_them() -> None:
    """25.005 dollars cannot be asked for in dollars, and can in euros at some rate."""
    between = {"amount_usd_gt": 25, "amount_usd_lt": 25.01}
    here = policy_of(rule("ESCALATIONS", "ESCALATE", {**between, "amount_currency_is": "USD"}))
    there = policy_of(rule("ESCALATIONS", "ESCALATE", {**between, "amount_currency_is": "EUR"}))
    assert () == View(Space("a.b", [here]), here).rules[0].true
    space = Space("a.b", [there])
    found = space.search.find(View(space, there).rules[0].true[0])
    assert found is not None
    assert ["R0"] == fired_ids(evaluate(there, case_at("a.b", space.point(found))))


def test_a_rate_that_is_pinned_makes_only_its_multiples() -> None:
    """At exactly 3 dollars for one euro nothing makes 25 dollars: euros come in cents too."""
    pinned = {"evidence.fx_rate_to_usd_gte": 3, "evidence.fx_rate_to_usd_lte": 3, "amount_currency_is": "EUR"}
    policy = policy_of(
        rule("ESCALATIONS", "ESCALATE", {**pinned, "amount_usd_gte": 25, "amount_usd_lte": 25}),
        rule("ESCALATIONS", "ESCALATE", {**pinned, "amount_usd_gte": 27, "amount_usd_lte": 27}),
    )
    impossible, possible = View(Space("a.b", [policy]), policy).rules
    assert ((), True) == (impossible.true, bool(possible.true))


def test_uncertainty_follows_from_the_evidence() -> None:
    """Half of two keys can be missing; a third of them cannot, and neither can both be there and half missing."""
    read = {"evidence.ticket_present": True, "evidence.order_present": True}
    policy = policy_of(
        rule("ESCALATIONS", "ESCALATE", {"risk.uncertainty_gte": 0.5, "risk.uncertainty_lt": 1}),
        rule("ESCALATIONS", "ESCALATE", {"risk.uncertainty_gt": 0.3, "risk.uncertainty_lt": 0.4}),
        rule("ESCALATIONS", "ESCALATE", {"risk.uncertainty_gte": 0.5, **read}),
    )
    space = Space("a.b", [policy])
    view = View(space, policy)
    found = [[space.search.find(box) for box in each.true] for each in view.rules]
    assert [True, False, False] == [any(each) for each in found]
    first = found[0][0]
    assert first is not None
    assert "R0" in fired_ids(evaluate(policy, case_at("a.b", space.point(first))))


def test_too_many_members_of_a_list_are_refused() -> None:
    """Subsets are spanned one by one: beyond a bound the answer is unknown, and never a proof."""
    names = [f"role{n}" for n in range(11)]
    policy = policy_of(*(rule("ESCALATIONS", "ESCALATE", {"subject.roles_contains": name}) for name in names))
    with pytest.raises(SpaceTooLargeError):
        Space("a.b", [policy])


def test_a_search_gives_up_at_its_budget() -> None:
    """A question that needs more steps than it may take has no answer, rather than a wrong one."""
    chance = random.Random(7)
    full = tuple([0b11] * 60)
    clauses = []
    for _ in range(258):
        places = chance.sample(range(60), 3)
        clauses.append(tuple(sorted((place, 1 << chance.randrange(2)) for place in places)))
    with pytest.raises(BudgetExceededError):
        Search(full=full, limit=5).find((), avoid=clauses)


@given(data=st.data())
@examples(200)
def test_search_agrees_with_enumeration(data: st.DataObject) -> None:
    """A part is found exactly when some cells are in the start, in one box of each list, and in none of the rest."""
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    full = tuple((1 << size) - 1 for size in sizes)

    def boxes(most: int) -> st.SearchStrategy[list[Any]]:
        entry = st.integers(0, len(sizes) - 1).flatmap(lambda d: st.tuples(st.just(d), st.integers(1, full[d])))
        box = st.lists(entry, max_size=3, unique_by=lambda pair: pair[0]).map(lambda pairs: tuple(sorted(pairs)))
        return st.lists(box, max_size=most)

    start = data.draw(boxes(1)) or [()]
    must = data.draw(st.lists(boxes(3), max_size=2))
    avoid = data.draw(boxes(5))
    cells: list[tuple[int, ...]] = [()]
    for mask in full:
        cells = [(*cell, 1 << bit) for cell in cells for bit in range(mask.bit_length())]
    expected = [
        cell
        for cell in cells
        if holds(start[0], cell)
        and all(any(holds(box, cell) for box in group) for group in must)
        and not any(holds(box, cell) for box in avoid)
    ]
    found = Search(full=full).find(start[0], must=must, avoid=avoid)
    assert bool(expected) == (found is not None)
    if found is not None:
        within = [cell for cell in cells if all(a & b for a, b in zip(cell, found, strict=True))]
        assert set(within) <= set(expected)
    outside = [cell for cell in cells if holds(start[0], cell) and not any(holds(box, cell) for box in avoid)]
    assert Search(full=full).covered(start[0], avoid) is not bool(outside)


def test_boxes_that_do_not_meet() -> None:
    """The meeting of boxes keeps what all of them allow."""
    assert ((0, 0b10), (1, 0b1)) == meet(((0, 0b11),), ((0, 0b10), (1, 0b1)))
    assert meet(((0, 0b01),), ((0, 0b10),)) is None
