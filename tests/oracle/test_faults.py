"""
Faults put into the exact analysis on purpose: z3 disagrees with each of them, and with nothing where there is none.
An oracle that agrees with whatever it is shown would be worth nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from rich_policies import Document, load
from z3_disputes import about_diff, about_goals, about_mutants, about_promises, about_reach
from z3_model import WHY_NOT, z3
from z3_questions import Tally

from lumyn.analysis import candidates, cells, money_block, rates
from lumyn.analysis.boxes import Search
from lumyn.analysis.counting import Counted
from lumyn.analysis.judge import Judge
from lumyn.analysis.money import Rate
from lumyn.analysis.mutants import Scope, mutants
from lumyn.analysis.pairs import Pair
from lumyn.analysis.regions import View
from lumyn.analysis.witness import AnalysisDefectError
from lumyn.engine.normalize import EVIDENCE_TYPE_INVALID, read_evidence
from lumyn.policy.operators import EVIDENCE_PREFIX

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(z3 is None, reason=WHY_NOT),
    pytest.mark.xdist_group("oracle"),
]

Patch = pytest.MonkeyPatch


CD = {"action_type": "c.d"}
ASK = {"queries": [{"field": "ticket", "question": "Which ticket?"}]}


def rule(name: str, verdict: str, conditions: Document | None = None, **more: Any) -> Document:
    """Return a rule, its place in its name: `C3` is the third about `c.d` and gives `CODE_C`."""
    stages = {"TRUST": "TRUST_PATHS", "ABSTAIN": "HARD_BLOCKS", "ESCALATE": "ESCALATIONS", "QUERY": "REQUIREMENTS"}
    then = {
        "verdict": verdict,
        "reason_codes": [f"CODE_{name}"],
        **{key: more.pop(key) for key in [*more] if key in ASK},
    }
    when = {"action_type": "a.b" if name.startswith("A") else "c.d"}
    blocks = {**({"if": conditions} if conditions else {}), **more}
    return {"id": name, "stage": stages[verdict], "when": when, **blocks, "then": then}


RULES = [
    rule("A1", "QUERY", **ASK),
    rule("A2", "ABSTAIN", {"evidence.risk_gte": 0.7, "evidence.level_is": "high"}),
    rule("A3", "ESCALATE", {"amount_usd_gt": {"threshold": "limit"}}),
    rule("A4", "ESCALATE", {"subject.roles_contains": "a"}, if_all=[{"subject.roles_contains_any": ["b"]}]),
    rule("A5", "QUERY", {"risk.uncertainty_gt": 0.3, "evidence.days_is": 2}),
    rule("A6", "TRUST", {"amount_usd_lte": {"threshold": "limit"}, "evidence.days_gte": 2, "evidence.risk_lt": 0.7}),
    rule("C1", "ESCALATE", {"amount_usd_gt": 100}),
    rule("C2", "ESCALATE", {"amount_usd_gt": 200}),
    # It never fires, and being undetermined it asks for the level.
    rule("C3", "ESCALATE", {"evidence.risk_gte": 0.7, "evidence.risk_lt": 0.5, "evidence.level_is": "high"}),
    rule("C4", "TRUST", {"subject.type_is": "user"}),
]
OLD: Document = {
    "schema_version": "policy.v0",
    "policy_id": "everything",
    "policy_version": "1",
    "defaults": {"default_verdict": "ESCALATE", "default_reason_code": "CODE_Z"},
    "reason_codes": {f"CODE_{name}": "what it means" for name in ("Z", *(each["id"] for each in RULES))},
    "required_evidence": {"a.b": ["ticket"]},
    "evidence": {
        "risk": {"type": "number", "min": 0, "max": 1},
        "days": {"type": "integer", "default": 2},
        "level": {"type": "enum", "values": ["low", "high"]},
    },
    "fx_bounds": {"EUR": [0.8, 1.6]},
    "thresholds": {"limit": 25},
    "rules": RULES,
    "invariants": [
        {"never": {"verdict": "TRUST", "where": {"evidence.risk_gte": 0.7}}},
        {"requires": {"verdict": "ESCALATE", "where": {"evidence.risk_lte": 1}}},
        {"never": {"verdict": "QUERY", "where": {"amount_currency_is": "EUR", "evidence.risk_lte": 1}, "when": CD}},
        {
            "never": {
                "verdict": "QUERY",
                "where": {"amount_currency_not_in": ["EUR", "USD"], "evidence.risk_lte": 1},
                "when": CD,
            }
        },
        {"monotone": "amount_usd"},
        {"monotone": {"fact": "evidence.days", "as_it": "falls"}},
        {"fail_closed": "all"},
    ],
}

# At 0.7 and past it the second choice holds, too: no request is decided there by the first.
CHOICE = rule("C5", "ESCALATE", if_any=[{"evidence.risk_gte": 0.7}, {"evidence.risk_gte": 0.5}])
CHOOSING: Document = {
    **OLD, "rules": [*RULES, CHOICE], "reason_codes": {**OLD["reason_codes"], "CODE_C5": "what it means"}
}  # fmt: skip

# Undetermined wherever C3 is, and reads what that reads: without that one, all that changes is what is asked for.
EITHER = [{"evidence.level_present": True}, {"evidence.level_present": False}]
UNTOLD = rule("C6", "ESCALATE", {"evidence.risk_gte": 0.7, "evidence.risk_lt": 0.5}, if_any=EITHER)
ASKING: Document = {
    **OLD, "rules": [*RULES, UNTOLD], "reason_codes": {**OLD["reason_codes"], "CODE_C6": "what it means"}
}  # fmt: skip
ASKING_LESS: Document = {**ASKING, "rules": [each for each in ASKING["rules"] if each["id"] != "C3"]}


def edits() -> Iterator[Document]:
    """Yield policies that differ from it in one place each."""

    def changed(*path: Any, to: Any) -> Document:
        new: Any = copy.deepcopy(OLD)
        inner = new
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to
        return new  # type: ignore[no-any-return]

    yield changed("thresholds", "limit", to=25.01)
    yield changed("fx_bounds", "EUR", to=[0.8, 1.7])
    yield changed("rules", 1, "if", to={"evidence.risk_gt": 0.7, "evidence.level_is": "high"})
    yield changed("evidence", "level", "values", to=["low", "high", "odd"])
    yield changed("evidence", "days", "type", to="number")
    yield changed("rules", 0, "then", "queries", 0, "question", to="Which one?")
    yield changed("rules", to=[RULES[0], RULES[1], RULES[3], RULES[2], *RULES[4:]])
    yield changed("rules", to=[each for each in RULES if each["id"] != "C3"])
    yield changed("defaults", "default_reason_code", to="CODE_A1")


def disputes() -> Iterator[str]:
    """Yield what the two disagree about; a defect that the analysis sees in itself counts."""
    old, tally = load(OLD), Tally()
    asked: list[Callable[[], Iterator[str]]] = [lambda: about_promises(old, tally), lambda: about_reach(old, tally)]
    asked.append(lambda: about_goals(load(CHOOSING), tally))
    asked.append(lambda: about_diff(load(ASKING), load(ASKING_LESS), tally))
    asked += [partial(about_diff, old, load(document), tally) for document in edits()]
    asked.append(lambda: about_mutants(old, mutants(old, Scope.FULL), tally))
    for ask in asked:
        try:
            yield from ask()
        except AnalysisDefectError as defect:
            yield str(defect)


def no_boundaries(patch: Patch) -> None:
    """The values that constants name are left out; only what lies between them is tried."""
    every = candidates.number_candidates
    patch.setattr(candidates, "number_candidates", lambda points: (n for n in every(points) if n not in {*points}))


def no_wrong_types(patch: Patch) -> None:
    """Every value is taken to be of the type the policy gives its key."""
    every = cells.evidence_candidates

    def fitting(specs: Any, conditions: Any) -> Iterator[Any]:
        for raw in every(specs, conditions):
            if EVIDENCE_TYPE_INVALID not in {read_evidence(raw, spec)[1] for spec in specs}:
                yield raw

    patch.setattr(cells, "evidence_candidates", fitting)


def unknown_is_false(patch: Patch) -> None:
    """A comparison with a missing value fails rather than being unknown."""
    truth = cells.truth_of
    patch.setattr(cells, "truth_of", lambda *given, **more: bool(truth(*given, **more)))


def no_defaults(patch: Patch) -> None:
    """The default of a missing value is overlooked."""
    read = cells.read_evidence
    patch.setattr(cells, "read_evidence", lambda raw, spec: (None, None) if raw is None else read(raw, spec))


def no_missing_rate(patch: Patch) -> None:
    """Foreign money always comes with a rate."""
    every = rates.rate_stretches

    def with_rate(points: Iterable[Decimal], *, whole: bool = False) -> list[Rate]:
        return [rate for rate in every(points, whole=whole) if rate.raw is not None]

    patch.setattr(rates, "rate_stretches", with_rate)


def no_other_currency(patch: Patch) -> None:
    """Nobody pays in a currency the policy does not name."""
    every = money_block.currencies
    patch.setattr(money_block, "currencies", lambda named: [*(every(named := {*named})[: 1 + len(named - {"USD"})])])


def one_member_at_a_time(patch: Patch) -> None:
    """Lists hold one text at most."""
    every = candidates.combinations
    patch.setattr(candidates, "combinations", lambda members, size: every(members, size) if size == 0 else iter(()))


def engine_forgotten(patch: Patch) -> None:
    """The engine's own blocks are overlooked."""
    patch.setattr(View, "engine", ())


def rivals_only_if_stricter(patch: Patch) -> None:
    """A rule of the same verdict does not take from a rule that it decides."""
    every = View.rivals
    patch.setattr(
        View,
        "rivals",
        lambda view, rule: [
            box
            for box in every(view, rule)
            if not any(box in each.true and each.rule.verdict is rule.verdict for each in view.rules)
        ],
    )


def lacking_only_if_false(patch: Patch) -> None:
    """A required condition that is unknown is taken to hold."""
    patch.setattr(View, "lacking", lambda view, condition: view.outcome_box(condition, "false"))


def search_gives_up_early(patch: Patch) -> None:
    """The last box to stay out of is overlooked."""
    find = Search.find
    patch.setattr(
        Search, "find", lambda search, start, *, must=(), avoid=(): find(search, start, must=must, avoid=[*avoid][:-1])
    )


def proof_without(part: str) -> Callable[[Patch], None]:
    def fault(patch: Patch) -> None:
        patch.setattr(Pair, part, lambda pair: iter(()))

    fault.__name__ = f"proof_without{part}"
    return fault


def nothing_is_uncertain(patch: Patch) -> None:
    """Keys that are missing are not counted."""
    part = Counted.part
    patch.setattr(
        Counted,
        "part",
        lambda counted, dimension, cell: (
            (0, 1) if dimension.name.startswith(EVIDENCE_PREFIX) and part(counted, dimension, cell)[1] else (0, 0)
        ),
    )


def everything_is_equivalent(patch: Patch) -> None:
    """No mutant is told from its policy."""
    patch.setattr(Judge, "finding", lambda judge, mutant: None)


def one_action_is_enough(patch: Patch) -> None:
    """Of the actions a mutant concerns, only the first is looked at."""
    every = Judge._concerned
    patch.setattr(Judge, "_concerned", lambda judge, mutant: every(judge, mutant)[:1])


def firing_anyway_is_decisive(patch: Patch) -> None:
    """A boundary counts where its rule fires whatever the comparison says."""
    around = View.around
    patch.setattr(View, "around", lambda view, *given: (around(view, *given)[0], ()))


FAULTS = [
    firing_anyway_is_decisive,
    no_boundaries,
    no_wrong_types,
    unknown_is_false,
    no_defaults,
    no_missing_rate,
    no_other_currency,
    one_member_at_a_time,
    engine_forgotten,
    rivals_only_if_stricter,
    lacking_only_if_false,
    search_gives_up_early,
    proof_without("_firing"),
    proof_without("queries"),
    proof_without("_asking"),
    proof_without("_order"),
    proof_without("_defaults"),
    everything_is_equivalent,
    one_action_is_enough,
    nothing_is_uncertain,
]


def test_of_a_sound_analysis_nothing_is_disputed() -> None:
    """What the faults below are found by finds nothing without them."""
    assert [] == [*disputes()]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_is_found(fault: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first dispute is enough."""
    fault(monkeypatch)
    assert next(disputes(), None) is not None
