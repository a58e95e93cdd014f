"""
z3 says of random policies what the exact analysis says: what is reached, proved and changed, and which edits matter.
A small share of it runs where z3 is installed; LUMYN_ORACLE_POLICIES and LUMYN_ORACLE_MUTANTS make a long run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from decimal import Decimal

import golden
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich_policies import Document, edited_documents, load, promised_documents, rich_documents
from strategies import ACTIONS, requests, similarities
from z3_disputes import about_diff, about_goals, about_mutants, about_promises, about_reach
from z3_model import WHY_NOT, Facts, Model, World, z3
from z3_questions import Tally, accepted
from z3_requests import pinned

from lumyn.analysis.mutants import Scope, mutants
from lumyn.engine.trace import Truth, trace
from lumyn.errors import InvalidRequestError
from lumyn.model import DecisionRequest, Verdict

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(z3 is None, reason=WHY_NOT),
    pytest.mark.xdist_group("oracle"),
]

POLICIES = int(os.environ.get("LUMYN_ORACLE_POLICIES", "4"))
MUTANTS = int(os.environ.get("LUMYN_ORACLE_MUTANTS", "20"))
LONG = POLICIES >= 100
TALLY = Tally()

random_policies = settings(
    max_examples=POLICIES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate] if LONG else list(Phase),  # to make an example small takes hours
)


def settle(disputes: Iterable[str]) -> None:
    """Fail with everything the two disagree about."""
    found = [*disputes]
    assert [] == found


@given(
    document=rich_documents(),
    action=st.sampled_from((*ACTIONS, "unheard.of")),
    asked=st.lists(st.tuples(requests(), similarities()), min_size=8, max_size=8),
)
@random_policies
def test_the_formulas_say_what_the_engine_says(
    document: Document, action: str, asked: list[tuple[DecisionRequest, Decimal]]
) -> None:
    """Of a request that a gate accepts, each rule and the verdict come out as the traced evaluator has them."""
    policy = load(document)
    world = World(action, [policy])
    model, solver = Model(Facts(world, policy), policy), world.solver()
    for drawn, similarity in asked:
        try:
            request = accepted(policy, whole({**drawn.document["action"], "type": action}, drawn))
        except InvalidRequestError:
            continue
        said = trace(policy, request, similarity=similarity)
        solver.push()
        solver.add(*pinned(world, request, similarity))
        assert solver.check() == z3.sat, request.document
        found = solver.model()
        solver.pop()
        holds = {verdict for verdict in Verdict if z3.is_true(found.eval(model.verdicts[verdict], True))}
        assert {said.evaluation.verdict} == holds
        for traced in said.rules:
            true, false = (z3.is_true(found.eval(each, True)) for each in model.truths[traced.rule.rule_id])
            assert (traced.truth is Truth.TRUE, traced.truth is Truth.FALSE) == (true, false), traced
        TALLY.add("requests decided alike")


def whole(action: dict[str, object], drawn: DecisionRequest) -> dict[str, object]:
    context = {"mode": "digest_only", "digest": "sha256:" + "0" * 64}
    return {"schema_version": "decision_request.v0", "context": context, **drawn.document, "action": action}


@given(document=promised_documents())
@random_policies
def test_reachability(document: Document) -> None:
    """Which rules fire, decide and are seen, which verdicts are given, which conditions could go."""
    settle(about_reach(load(document), TALLY))


@given(document=rich_documents())
@random_policies
def test_goals(document: Document) -> None:
    """Which coverage goals there are, and which of them no request can meet."""
    settle(about_goals(load(document), TALLY))


@given(document=promised_documents())
@random_policies
def test_invariants(document: Document) -> None:
    """What is proved is never broken, and what is broken never proved."""
    settle(about_promises(load(document), TALLY))


@given(pair=edited_documents())
@random_policies
def test_diff(pair: tuple[Document, Document]) -> None:
    """Each change of verdict that is there is found, no other, and an empty diff means equal records."""
    settle(about_diff(load(pair[0]), load(pair[1]), TALLY))


@given(document=rich_documents(), seed=st.integers(0, 2**32))
@random_policies
def test_mutants(document: Document, seed: int) -> None:
    """Equivalent is what no request tells apart, and the gravest change of any other mutant is the one named."""
    policy = load(document)
    made = mutants(policy, Scope.FULL)
    chosen = random.Random(seed).sample(made, min(len(made), MUTANTS // POLICIES + 1))
    settle(about_mutants(policy, chosen, TALLY))


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_mutants_of_the_policies_that_ship(file: str) -> None:
    """The same holds for every mutant of the starter policies, or a few of them where time is short."""
    made = mutants(golden.policy(file), Scope.FULL)
    settle(about_mutants(golden.policy(file), made if LONG else made[:: max(len(made) // 12, 1)], TALLY))


def test_hardly_anything_is_left_open(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither z3 nor the analysis gives up so often that their agreement would mean little."""
    counts = TALLY.counts
    if not counts:
        pytest.skip("nothing was asked")
    if LONG:
        with capsys.disabled():
            print("", *(f"{number:>9,} {name}" for name, number in sorted(counts.items())), sep="\n")
    assert counts["unknown"] * 1_000 <= counts["sat"] + counts["unsat"]
    left_open = sum(number for name, number in counts.items() if name.endswith("left open"))
    goals, open_goals = counts["goals that can be met"] + counts["goals that cannot"], counts["goals left open"]
    assert (left_open - open_goals) * 50 <= TALLY.settled - goals
    assert open_goals * (50 if LONG else 5) <= goals  # a policy with odd rates leaves a dozen open, and four are few
