"""
Mutants of a policy: the bits agree with the engine about each of them, and what is called equivalent is equivalent.
The policies that ship are held to the whole scale: nothing survives their golden vectors.
"""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from functools import cache
from math import inf
from typing import Any

import golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ACTIONS, build_policy, examples, policies, requests, similarities

from lumyn.analysis.boxes import BudgetExceededError
from lumyn.analysis.cells import Space
from lumyn.analysis.judge import Judge
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.mutants import OPERATORS_OF, Scope, mutants
from lumyn.analysis.mutation import MutationReport, assess
from lumyn.analysis.observations import Observation, observe
from lumyn.analysis.pairs import Pair
from lumyn.analysis.scale import Severity
from lumyn.analysis.witness import AnalysisDefectError, case_at, evaluate, outcome_of
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.normalize import derive_facts
from lumyn.model import DecisionRequest, Evaluation, Stage, Verdict
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.report.strength import stale_text

SUPPORT = "policies/lumyn-support.v0.yml"


def by_engine(policy: Policy, request: DecisionRequest, similarity: Decimal) -> Evaluation:
    """Return an outcome as a record tells it, from a plan compiled for this very policy."""
    plan = compile_policy(policy).plan(request.action_type)
    return outcome_of(plan.evaluate(plan.facts(request), similarity))


def row(request: DecisionRequest, similarity: Decimal) -> Observation:
    return Observation(name="v", step=0, document=request.document, request=request, similarity=similarity)


@cache
def observed(file: str) -> tuple[Observation, ...]:
    return tuple(observe(golden.of_policy(file), golden.policy(file)))


@cache
def report(file: str, scope: Scope = Scope.FULL) -> MutationReport:
    return assess(golden.policy(file), observed(file), scope=scope)


# ---------------------------------------------------------------------------------------------------------------------
# Bits and engine


@given(policy=policies(), asked=st.lists(st.tuples(requests(), similarities()), min_size=1, max_size=6))
@examples(20)
def test_bits_agree_with_the_engine(policy: Policy, asked: list[tuple[DecisionRequest, Decimal]]) -> None:
    """Under the policy and under each mutant, every row comes out as the engine decides it."""
    matrix = Matrix(policy, [row(*each) for each in asked])
    assert [by_engine(policy, *each) for each in asked] == [*matrix.outcomes]
    for mutant in mutants(policy, Scope.FULL):
        changed = dict(matrix.changed(mutant))
        after = [changed.get(place, matrix.outcomes[place]) for place in range(len(asked))]
        assert [by_engine(mutant.policy, *each) for each in asked] == after, mutant.mutant_id


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_bits_agree_with_the_engine_about_golden_vectors(file: str) -> None:
    """The same holds for the policies and vectors that ship."""
    rows = observed(file)
    matrix = Matrix(golden.policy(file), rows)
    for mutant in mutants(golden.policy(file))[::3]:
        changed = dict(matrix.changed(mutant))
        for place, each in enumerate(rows):
            expected = by_engine(mutant.policy, each.request, each.similarity)
            assert expected == changed.get(place, matrix.outcomes[place]), mutant.mutant_id


# ---------------------------------------------------------------------------------------------------------------------
# Mutants


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_ids_are_unique_and_outlive_edits_elsewhere(file: str) -> None:
    """Another rule less leaves the ids of all that is not about it or its neighbours."""
    policy = golden.policy(file)
    ids = [mutant.mutant_id for mutant in mutants(policy, Scope.FULL)]
    assert len(ids) == len(set(ids))
    gone = policy.rules[3]
    rules = tuple(rule for rule in policy.rules if rule is not gone)
    fewer = replace(policy, rules=tuple(replace(rule, index=place) for place, rule in enumerate(rules)))
    kept = {mutant.mutant_id for mutant in mutants(fewer, Scope.FULL)}
    lost = [name for name in ids if name not in kept and gone.rule_id not in name and "/order/" not in name]
    assert [name for name in lost if "/code/" not in name] == []


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_every_operator_makes_mutants_that_change_the_policy(file: str) -> None:
    """No mutant is the policy itself, and guards never trust: the loader would refuse such a policy."""
    policy = golden.policy(file)
    made = mutants(policy, Scope.FULL)
    for mutant in made:
        changed = mutant.policy
        assert replace(changed, document={}) != replace(policy, document={}), mutant.mutant_id
        assert changed.default_verdict is not Verdict.TRUST
        for rule in changed.rules:
            assert (rule.verdict is Verdict.TRUST) == (rule.stage is Stage.TRUST_PATHS)
    assert {mutant.operator for mutant in made} <= set(OPERATORS_OF)


def test_every_operator_is_used_by_the_policies_that_ship_or_one_like_them() -> None:
    """An operator that never makes anything is not one."""
    more = parse_policy(EVERYTHING)
    made = {mutant.operator for file in golden.POLICY_FILES for mutant in mutants(golden.policy(file), Scope.FULL)}
    assert set(OPERATORS_OF) == made | {mutant.operator for mutant in mutants(more, Scope.FULL)}


EVERYTHING = """
schema_version: policy.v0
policy_id: everything
policy_version: "1"
rules:
  - id: R1
    stage: ESCALATIONS
    if: { evidence.count_gte: 3 }
    then: { verdict: ESCALATE, reason_codes: [CURRENCY_UNSUPPORTED], obligations: [{ type: log }] }
"""


# ---------------------------------------------------------------------------------------------------------------------
# Equivalence and severity


def one_mutant(policy: Policy, seed: int) -> Mutant | None:
    made = mutants(policy, Scope.FULL)
    return random.Random(seed).choice(made) if made else None


@given(policy=policies(), seed=st.integers(0, 2**32), data=st.data())
@examples(80)
def test_what_is_called_equivalent_is_and_what_is_worst_is(policy: Policy, seed: int, data: st.DataObject) -> None:
    """No cell of any action tells an equivalent mutant apart, or shows a graver change than the worst one found."""
    mutant = one_mutant(policy, seed)
    if mutant is None:
        return
    try:
        worst = Judge(policy, [mutant]).worst(mutant)  # decided by the engine under both, or it would raise
    except BudgetExceededError:  # an amount of 17 digits: whether it can be asked for is left open
        return
    action = data.draw(st.sampled_from((*ACTIONS, "unheard.of")))
    space = Space(action, [policy, mutant.policy])
    chance = random.Random(seed)
    for _ in range(25):
        corner = [1 << chance.randrange(len(dimension.values)) for dimension in space.dimensions]
        corner += space.search.full[len(corner) :]
        if space.search.consistent is not None:
            assert space.search.consistent(corner)
        case = case_at(action, space.point(corner))
        before, after = (outcome_of(evaluate(each, case)) for each in (policy, mutant.policy))
        if before != after:
            assert worst is not None, mutant.mutant_id
            seen = Pair(space, policy, mutant.policy)._tell(tuple(corner))
            assert seen is not None
            assert worst.severity <= seen.severity, mutant.mutant_id


def test_a_budget_that_is_used_up_reads_as_unknown() -> None:
    """A mutant about which nothing was found out counts as one that opens a path to TRUST, never as equivalent."""
    found = assess(golden.policy(SUPPORT), [], limit=0)
    assert (len(mutants(golden.policy(SUPPORT))), ()) == (len(found.unknown), found.equivalent)
    assert len(found.unknown) == found.count(Severity.NEW_TRUST)
    with pytest.raises(BudgetExceededError):
        first = mutants(golden.policy(SUPPORT))[0]
        Judge(golden.policy(SUPPORT), [first], limit=0).worst(first)


# ---------------------------------------------------------------------------------------------------------------------
# The policies that ship


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_nothing_survives_the_golden_vectors(file: str) -> None:
    """Every mutant some request can tell from the policy is noticed by a vector, by what that vector expects."""
    found = report(file)
    assert [] == [survivor.mutant.mutant_id for survivor in found.survivors]
    assert ((), ()) == (found.unknown, found.suppressed)
    assert found.killable == len(found.killed)
    assert len(found.equivalent) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_no_killed_mutant_is_proved_equivalent(file: str) -> None:
    """The proof and the vectors never contradict each other, however long all of them are judged."""
    assess(golden.policy(file), observed(file), scope=Scope.FULL, patience_s=inf)


@pytest.mark.parametrize("noticed", [True, False], ids=["killed", "unnoticed"])
def test_a_wrong_proof_is_caught_by_any_vector_that_knows_better(
    noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof of equivalence that is wrong stops the run, where a vector comes out otherwise under the mutant."""
    monkeypatch.setattr(Judge, "finding", lambda judge, mutant: None)
    rows = [*observed(SUPPORT)]
    if not noticed:
        rows = [each if each.pins is None else replace(each, pins=replace(each.pins, fields={})) for each in rows]
    with pytest.raises(AnalysisDefectError, match=r"is proved equivalent, and changes what .+ gets"):
        assess(golden.policy(SUPPORT), rows)


@pytest.mark.slow
@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_killed_mutants_fail_the_vector_that_is_named(file: str) -> None:
    """The vector that is said to notice a mutant is red when it is run against the edited policy."""
    by_name = {result.vector.node_id: result.vector for result in golden.of_policy(file)}
    made = {mutant.mutant_id: mutant for mutant in mutants(golden.policy(file), Scope.FULL)}
    for mutant_id, name in [*report(file).killed.items()][::7]:
        assert not golden.passes(by_name[name], made[mutant_id].policy), mutant_id


def far_from_the_limit() -> list[Observation]:
    """Return the observations but those of 25 to 26 dollars, in whatever currency."""
    policy = golden.policy(SUPPORT)
    return [each for each in observed(SUPPORT) if not 25 <= (derive_facts(policy, each.request).amount_usd or 0) <= 26]


def test_without_the_vectors_of_a_limit_its_edits_survive() -> None:
    """Take away whatever asks for 25 to 26 dollars, and a higher limit is a new path to TRUST, first in the list."""
    far = far_from_the_limit()
    found = assess(golden.policy(SUPPORT), far)
    first = found.survivors[0]
    assert (Severity.NEW_TRUST, Verdict.TRUST) == (first.severity, first.difference.after.verdict)
    ids = [survivor.mutant.mutant_id for survivor in found.survivors]
    assert {"thresholds/refund_trust_max_usd/up", "R310/bound/amount_usd_lte"} <= set(ids)
    assert [*found.survivors] == sorted(found.survivors, key=lambda survivor: survivor.severity)


def test_an_accepted_survivor_is_counted_apart_and_a_stale_one_is_named() -> None:
    """The baseline takes a survivor out of the list, and does not rot unseen."""
    far = far_from_the_limit()
    name = "thresholds/refund_trust_max_usd/up"
    accepted = {name: "a cent more is ours to give", "R310/rule": "long gone"}
    found = assess(golden.policy(SUPPORT), far, accepted=accepted)
    assert [name] == [survivor.mutant.mutant_id for survivor in found.suppressed]
    assert name not in [survivor.mutant.mutant_id for survivor in found.survivors]
    assert ("R310/rule",) == found.stale


def test_a_stale_entry_of_the_baseline_is_told_why() -> None:
    """Noticed, proved equivalent, or no edit at all; one that only the wider set of edits makes is not judged."""
    policy, far = golden.policy(SUPPORT), far_from_the_limit()
    plain = assess(policy, far)
    noticed, vector = next(iter(plain.killed.items()))
    made = {each.mutant_id for each in mutants(policy, Scope.CORE)}
    wider = next(each.mutant_id for each in mutants(policy, Scope.FULL) if each.mutant_id not in made)
    accepted = dict.fromkeys((noticed, plain.equivalent[0], "thresholds/refund_trust_max_us/up", "what", wider), "so")
    found = assess(policy, far, accepted=accepted)
    assert [*accepted][:-1] == [*found.stale]
    meant = "thresholds/refund_trust_max_usd/up"
    assert [
        f"{noticed}, which {vector} notices: take it out",
        f"{plain.equivalent[0]}, which no request can tell from the policy: take it out",
        f"thresholds/refund_trust_max_us/up, which is no edit of this policy: is {meant} meant?",
        "what, which is no edit of this policy: take it out",
    ] == [stale_text(found, name) for name in found.stale]


def test_an_expectation_that_says_little_notices_little() -> None:
    """A vector that pins the verdict only does not notice another reason code; it is named as one that saw it."""
    rows = [
        each if each.pins is None else replace(each, pins=replace(each.pins, fields=verdict_only(each.pins.fields)))
        for each in observed(SUPPORT)
    ]
    found = assess(golden.policy(SUPPORT), rows)
    codes = [survivor for survivor in found.survivors if survivor.mutant.operator == "code"]
    assert codes
    assert all(survivor.severity is Severity.CODES and survivor.unnoticed for survivor in codes)
    assert [] == [*assess(golden.policy(SUPPORT), rows, whole_record=True).survivors]


def verdict_only(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key == "verdict"}


def test_uncertainty_that_only_a_mutant_reads_is_still_exact() -> None:
    """A condition on uncertainty is judged with what the edited policy itself counts."""
    policy = build_policy(
        {
            "policy_id": "p",
            "policy_version": "1",
            "defaults": {"default_verdict": "ESCALATE", "default_reason_code": "NOTHING_MATCHED"},
            "rules": [
                {
                    "id": "R1",
                    "stage": "ESCALATIONS",
                    "if": {"risk.uncertainty_gte": 0.5, "evidence.ticket_present": True},
                    "then": {"verdict": "ESCALATE", "reason_codes": ["CODE_A"]},
                }
            ],
        }
    )
    (drop,) = [each for each in mutants(policy) if each.mutant_id == "R1/drop/ticket_present"]
    # With no key left that matters nothing is uncertain, and with the one key present nothing was: neither ever fires.
    assert Judge(policy, [drop]).worst(drop) is None
