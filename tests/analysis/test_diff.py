"""
Differences between two policies: none is missed, none is made up, and a new layout is no difference.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace

import golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich_policies import edited_documents, load
from strategies import ACTIONS, Document, examples, policies

from lumyn.analysis.cells import Space
from lumyn.analysis.diff import diff
from lumyn.analysis.mutants import Scope, mutants
from lumyn.analysis.observations import observe
from lumyn.analysis.pairs import Pair
from lumyn.analysis.scale import Severity
from lumyn.analysis.witness import case_at, evaluate, outcome_of
from lumyn.model import Verdict
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy

SUPPORT = "policies/lumyn-support.v0.yml"


def edited(*edits: tuple[str, str]) -> Policy:
    text = golden.policy(SUPPORT).source
    for old, new in edits:
        assert 1 == text.count(old)
        text = text.replace(old, new)
    return parse_policy(text)


@given(policy=policies(), other=policies(), edits=st.integers(0, 3), seed=st.integers(0, 2**32))
@examples(60)
def test_every_change_of_verdict_is_found(policy: Policy, other: Policy, edits: int, seed: int) -> None:
    """Wherever two policies give another verdict for some cells, the diff has a change from the one to the other."""
    chance = random.Random(seed)
    for number in range(edits):  # a few edits of one policy; without any, two policies that have nothing in common
        other = other if number else policy
        made = mutants(other, Scope.FULL)
        other = chance.choice(made).policy if made else policy
    found = diff(policy, other)
    for change in found.changes:
        assert change.difference.before != change.difference.after
    for action in (*ACTIONS, "unheard.of"):
        space = Space(action, [policy, other])
        seen = {(c.difference.before.verdict, c.difference.after.verdict) for c in found.changes if c.action == action}
        named = action in policy.action_types or action in other.action_types
        for _ in range(10):
            corner = [1 << chance.randrange(len(dimension.values)) for dimension in space.dimensions]
            corner += space.search.full[len(corner) :]
            if space.search.consistent is not None:
                assert space.search.consistent(corner)
            case = case_at(action, space.point(corner))
            before, after = (outcome_of(evaluate(each, case)) for each in (policy, other))
            if before.verdict is not after.verdict and named:
                assert (before.verdict, after.verdict) in seen
            if before != after:
                assert not found.empty


@given(documents=edited_documents())
@examples(25)
def test_nothing_is_left_out_where_only_guards_are_looked_at(documents: tuple[Document, Document]) -> None:
    """Once changed rules are told, a search where guards differ finds what a search everywhere does."""
    old, new = (load(document) for document in documents)
    told = diff(old, new)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pair, "unsettled", lambda _: None)
        assert diff(old, new) == told


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_another_layout_is_no_change(file: str) -> None:
    """Rules sorted by id, keys in another order, thresholds written out, JSON for YAML: every request is alike."""
    policy = golden.policy(file)
    document = json.loads(json.dumps(policy.document))
    rules = document["rules"]
    for rule in rules:
        for group in (rule.get("if", {}), *rule.get("if_all", ()), *rule.get("if_any", ())):
            for text, constant in [*group.items()]:
                group[text] = document["thresholds"][constant["threshold"]] if isinstance(constant, dict) else constant
    order = ["TRUST_PATHS", "ESCALATIONS", "HARD_BLOCKS", "REQUIREMENTS"]
    document["rules"] = sorted(rules, key=lambda rule: order.index(rule["stage"]))
    other = parse_policy(json.dumps(dict(reversed(document.items()))))
    found = diff(policy, other)
    assert found.empty
    assert other.policy_hash != policy.policy_hash


def test_a_limit_and_who_sees_it() -> None:
    """A higher limit is one new path to TRUST, shown at the old limit's far side, and the vectors there see it."""
    policy = golden.policy(SUPPORT)
    rows = observe(golden.of_policy(SUPPORT), policy)
    found = diff(policy, edited(("refund_trust_max_usd: 25", "refund_trust_max_usd: 40")), rows)
    (first,) = found.of(Severity.NEW_TRUST)
    verdicts = first.difference.before.verdict, first.difference.after.verdict
    assert ("R310", (Verdict.ESCALATE, Verdict.TRUST)) == (first.rule, verdicts)
    assert "vectors/v0/money/us_dollars.yaml::usd_refund_limit[one_cent_above]" in first.seen_by
    assert [] == [*diff(policy, policy, rows).changes]
    unseen = diff(policy, edited(("refund_trust_max_usd: 25", "refund_trust_max_usd: 40")), [])
    assert (len(unseen.changes), 0) == (len(unseen.uncovered), unseen.observed)


def test_two_edits_that_open_what_neither_opens_alone() -> None:
    """The threshold that escalates and the one that trusts are read by two rules; only together they trust more."""
    policy = golden.policy(SUPPORT)
    escalate = "    if: { evidence.chargeback_risk_gte: { threshold: chargeback_risk_escalate } }"
    trust = "      evidence.chargeback_risk_lt: { threshold: chargeback_risk_escalate }"
    first = (escalate, "    if: { evidence.chargeback_risk_gte: 0.4 }")
    second = (trust, "      evidence.chargeback_risk_lt: 0.4")
    assert () == diff(policy, edited(first)).of(Severity.NEW_TRUST)
    assert () == diff(policy, edited(second)).of(Severity.NEW_TRUST)
    both = diff(policy, edited(first, second)).of(Severity.NEW_TRUST)
    risks = {str(change.difference.case.request["evidence"]["chargeback_risk"]) for change in both}  # type: ignore[index,call-overload]
    assert {"0.35"} == risks


def test_declarations_and_defaults_count_too() -> None:
    """What is refused as evidence, and what happens when no rule fires, are part of a policy."""
    policy = golden.policy(SUPPORT)
    old = "customer_age_days: { type: integer, min: 0, step: 1 }"
    narrower = diff(policy, edited((old, old.replace("min: 0", "min: 1"))))
    assert {Severity.TIGHTER, Severity.CODES} == {change.severity for change in narrower.changes}
    wider = diff(policy, edited(("  AUD: [0.45, 1.15]", "  AUD: [0.45, 2.15]")))
    assert Severity.NEW_TRUST in {change.severity for change in wider.changes}
    other = diff(policy, replace(policy, default_verdict=Verdict.QUERY))
    assert {(Verdict.ESCALATE, Verdict.QUERY)} == {
        (change.difference.before.verdict, change.difference.after.verdict) for change in other.changes
    }


def test_over_budget_is_unknown_and_not_empty() -> None:
    """A diff that was given up proves nothing."""
    found = diff(golden.policy(SUPPORT), edited(("refund_trust_max_usd: 25", "refund_trust_max_usd: 40")), limit=0)
    assert not found.empty
    assert ("support.refund",) == found.unknown
