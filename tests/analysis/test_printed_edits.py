"""
An edit that a report prints, made by hand in the file, is an edit the loader takes, and does what was said of it.
Of the policies that ship, and of one whose rules look at one thing twice.
"""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import golden
import pytest
from printed_edits import by_hand
from strategies import build_request

from lumyn.analysis.mutants import Scope, mutants
from lumyn.analysis.mutation import assess
from lumyn.analysis.witness import evaluate, outcome_of
from lumyn.engine.evaluator import compile_policy
from lumyn.model import DecisionRequest, Evaluation, JsonObject, Verdict
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.report.strength import edit_text

TWICE = """
schema_version: policy.v0
policy_id: changes
policy_version: "1"
reason_codes:
  FROZEN: Nothing is changed.
  LARGE: Many hosts would change.
  LATE: Nobody is awake.
  FINE: A small change.
thresholds: { few: 5, many: 50 }
required_evidence: { infra.scale: [ticket] }
evidence:
  freeze: { type: enum, values: [none, soft, hard] }
  host_count: { type: integer, min: 0 }
  hour: { type: integer, min: 0, max: 23 }
  load: { type: number, step: 0.1 }
rules:
  - id: ASK
    stage: REQUIREMENTS
    when: { action_type: infra.scale }
    then: { verdict: QUERY, reason_codes: [EVIDENCE_MISSING] }
  - id: FREEZE
    stage: HARD_BLOCKS
    if_any:
      - { evidence.freeze_is: hard }
      - { evidence.freeze_is: soft, tenant.environment_is: prod }
    then: { verdict: ABSTAIN, reason_codes: [FROZEN] }
  - id: MANY
    stage: ESCALATIONS
    if_any:
      - { evidence.host_count_gt: { threshold: many } }
      - { evidence.host_count_gt: { threshold: few }, tenant.environment_ne: dev }
    then: { verdict: ESCALATE, reason_codes: [LARGE], obligations: [{ type: review }] }
  - id: NIGHT
    stage: ESCALATIONS
    when: { action_type_in: [infra.scale, infra.restart] }
    if_any:
      - { evidence.hour_lt: 7 }
      - { evidence.hour_gte: 21 }
      - { evidence.hour_gt: 21, evidence.load_gt: 0.8 }
    then: { verdict: ESCALATE, reason_codes: [LATE, LARGE] }
  - id: CALM
    stage: TRUST_PATHS
    when: { action_type: infra.scale }
    if_all:
      - { evidence.load_gte: 0.2, evidence.load_gt: 0.1, evidence.load_lt: 0.8, amount_usd_lte: 40 }
      - { evidence.load_lt: 0.7, subject.type_in: [agent, user] }
    if_any:
      - { subject.roles_contains: operator }
      - { action.tags_contains_any: [canary, drill] }
    then: { verdict: TRUST, reason_codes: [FINE] }
"""

VALUES: dict[str, tuple[Any, ...]] = {
    "ticket": ("T-1", "T-1", "T-1", None),
    "freeze": ("none", "none", "none", "none", "soft", "hard", None),
    "host_count": (1, 1, 5, 5, 6, 7, 49, 50, 51, 52, None),
    "hour": (6, 7, 8, 12, 20, 20, 21, 22, 23, None),
    "load": (0.1, 0.2, 0.3, 0.6, 0.6, 0.7, 0.71, 0.8, 0.9, None, "much"),
}


def asked(count: int) -> list[DecisionRequest]:
    """Return requests on both sides of every constant."""
    chance = random.Random(6)
    found: list[DecisionRequest] = []
    for _ in range(count):
        evidence = {key: chance.choice(values) for key, values in VALUES.items()}
        action: dict[str, Any] = {"type": chance.choice(("infra.scale", "infra.scale", "infra.restart", "infra.stop"))}
        action["amount"] = {
            "value": chance.choice((0, 39.99, 40, 40.01)),
            "currency": chance.choice(("USD", "USD", "USD", "EUR")),
        }
        action["tags"] = chance.choice(([], ["canary"], ["drill", "else"]))
        subject = {"type": chance.choice(("agent", "user", "job")), "roles": chance.choice(([], ["operator"], ["a"]))}
        tenant = {"tenant_id": "t", "environment": chance.choice(("dev", "prod", "staging"))}
        given = {key: value for key, value in evidence.items() if value is not None}
        found.append(build_request({"action": action, "subject": subject, "tenant": tenant, "evidence": given}))
    return found


def decided(policy: Policy, requests: list[DecisionRequest]) -> list[Evaluation]:
    """Return what the engine makes of requests, as records tell it."""
    compiled = compile_policy(policy)
    plans = {request.action_type: compiled.plan(request.action_type) for request in requests}
    told = ((plans[request.action_type], request) for request in requests)
    return [outcome_of(plan.evaluate(plan.facts(request), Decimal(0))) for plan, request in told]


def loaded(document: JsonObject) -> Policy:
    return parse_policy(json.dumps(document), file="by_hand.json")


@pytest.mark.parametrize("file", ["", *golden.POLICY_FILES[1:]])
def test_an_edit_that_is_printed_can_be_made_and_does_what_is_said(file: str) -> None:
    """Whoever makes it in the file gets the outcome that was printed for the request beside it."""
    policy = golden.policy(file) if file else parse_policy(TWICE)
    report = assess(policy, [], scope=Scope.FULL)
    told = {survivor.mutant.mutant_id: survivor.difference for survivor in report.survivors}
    assert len(told) + len(report.equivalent) == len(mutants(policy, Scope.FULL)) > 20
    for mutant in mutants(policy, Scope.FULL):
        edited = [loaded(document) for document in by_hand(policy.document, mutant)]
        assert edited, mutant.mutant_id
        difference = told.get(mutant.mutant_id)
        if difference is not None:
            after = [outcome_of(evaluate(each, difference.case)) for each in edited]
            assert difference.after in after, mutant.mutant_id
            assert difference.before == outcome_of(evaluate(policy, difference.case)) != difference.after


def test_an_edit_made_by_hand_decides_as_its_mutant_does() -> None:
    """On both sides of every constant; one that is proved equivalent changes nothing there."""
    policy = parse_policy(TWICE)
    requests = asked(600)
    before = decided(policy, requests)
    assert {each.verdict for each in before} == {*Verdict}
    equivalent = {*assess(policy, [], scope=Scope.FULL).equivalent}
    assert equivalent
    for mutant in mutants(policy, Scope.FULL):
        after = decided(mutant.policy, requests)
        by_hands = [decided(loaded(document), requests) for document in by_hand(policy.document, mutant)]
        assert after in by_hands, mutant.mutant_id
        assert mutant.mutant_id not in equivalent or after == before, mutant.mutant_id


def test_a_condition_that_would_be_said_twice_is_no_edit() -> None:
    """`freeze is soft` beside `freeze is hard`: neither becomes the other, which the loader refuses; ids stay."""
    ids = [mutant.mutant_id for mutant in mutants(parse_policy(TWICE), Scope.FULL)]
    assert [each for each in ids if each.startswith("FREEZE/constant/freeze_is")] == [
        "FREEZE/constant/freeze_is=hard/none",
        "FREEZE/constant/freeze_is=soft/none",
    ]
    assert "thresholds/few/tenfold" not in ids
    assert "NIGHT/bound/hour_gte" not in ids
    assert "NIGHT/bound/hour_gt" not in ids
    assert "CALM/bound/load_gt" not in ids
    assert "CALM/bound/load_gte" not in ids
    assert "CALM/drop/load_gt" in ids


def test_an_id_means_one_edit_in_whatever_order_a_rule_says_things() -> None:
    """A baseline that accepts an edit of one of two conditions on a key must never come to accept that of the other."""
    document = parse_policy(TWICE).document
    turned = json.loads(json.dumps(document))
    for rule in turned["rules"]:
        for kind in ("if_any", "if_all"):
            rule.get(kind, []).reverse()
    first, second = (
        {mutant.mutant_id: edit_text(mutant) for mutant in mutants(loaded(each), Scope.FULL)}
        for each in (document, turned)
    )
    assert first == second
    assert "MANY/drop/host_count_gt=many" in first
