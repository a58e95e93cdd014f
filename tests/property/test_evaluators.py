"""
Both evaluators against the executable specification, and the theorems of the policy language.
Every policy and request is random; `tests/strategies.py` says how.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import spec_model
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from strategies import (
    BLANKS,
    CODES,
    build_policy,
    build_request,
    examples,
    policy_documents,
    request_documents,
    similarities,
)

from lumyn.engine.evaluator import compile_policy, trace
from lumyn.engine.trace import RuleTrace, Trace, Truth
from lumyn.errors import InvalidPolicyError
from lumyn.model import EVALUATION_ORDER, Evaluation, Facts, Stage, Verdict
from lumyn.policy.loader import parse_policy

pytestmark = pytest.mark.property


def summary(evaluation: Evaluation, facts: Facts) -> dict[str, Any]:
    """Return an evaluation as the specification writes it."""
    return {
        "verdict": evaluation.verdict,
        "reason_codes": list(evaluation.reason_codes),
        "matched_rules": [(rule.rule_id, rule.stage, rule.effect) for rule in evaluation.matched_rules],
        "queries": [(query.field, query.question) for query in evaluation.queries],
        "obligations": list(evaluation.obligations),
        "undetermined": list(evaluation.undetermined),
        "missing": list(facts.missing),
        "invalid": list(facts.invalid),
    }


def plain(facts: Facts) -> dict[str, Any]:
    """Return every attribute of facts."""
    return {name: getattr(facts, name) for name in Facts.__dataclass_fields__}


@examples(400)
@given(policy_documents(), request_documents(), similarities())
def test_both_evaluators_equal_the_specification(policy_document, request_document, similarity):
    """Verdict, codes, rules, queries, obligations, undetermined rules and facts all agree."""
    policy, request = build_policy(policy_document), build_request(request_document)
    traced = trace(policy, request, similarity=similarity)
    expected = spec_model.decide(policy_document, request_document, similarity)
    assert expected == summary(traced.evaluation, traced.facts)

    plan = compile_policy(policy).plan(request.action_type)
    facts = plan.facts(request)
    assert plain(traced.facts) == plain(facts)
    assert traced.evaluation == plan.evaluate(facts, similarity)
    assert traced.evaluation == plan.evaluate(traced.facts, similarity)
    assert traced.evaluation == plan.evaluate(facts, similarity)


@examples(100)
@given(policy_documents(), request_documents(), similarities())
def test_a_trace_explains_its_own_outcome(policy_document, request_document, similarity):
    """The rules that fired are those traced as true, and a listener hears every rule once, in order."""
    policy, request = build_policy(policy_document), build_request(request_document)
    listener = Listener()
    traced = trace(policy, request, similarity=similarity, tracer=listener)
    own = [rule for rule in traced.evaluation.matched_rules if not rule.rule_id.startswith("LUMYN_")]
    assert [rule.rule.rule_id for rule in traced.rules if rule.truth is Truth.TRUE] == [rule.rule_id for rule in own]
    assert [*policy.rules_for(request.action_type)] == [rule.rule for rule in traced.rules]
    assert [*traced.rules] == listener.rules
    assert [traced] == listener.traces
    for rule in traced.rules:
        assert [condition.condition for condition in rule.conditions] == [*rule.rule.conditions]
        if rule.truth is Truth.UNKNOWN:
            assert any(condition.outcome is Truth.UNKNOWN for condition in rule.conditions)


class Listener:
    """Keeps what the traced evaluator tells."""

    def __init__(self) -> None:
        self.rules: list[RuleTrace] = []
        self.traces: list[Trace] = []

    def rule(self, traced: RuleTrace) -> None:
        self.rules.append(traced)

    def finish(self, trace: Trace) -> None:
        self.traces.append(trace)


def evaluate(policy_document, request_document, similarity) -> Evaluation:
    """Return what the compiled evaluator says."""
    request = build_request(request_document)
    plan = compile_policy(build_policy(policy_document)).plan(request.action_type)
    return plan.evaluate(plan.facts(request), similarity)


@examples(200)
@given(policy_documents(), request_documents(), similarities())
def test_the_strictest_effect_wins_and_only_a_trusting_rule_trusts(policy_document, request_document, similarity):
    """The verdict is the strictest matched effect; nothing matched means the default; queries only with `QUERY`."""
    outcome = evaluate(policy_document, request_document, similarity)
    effects = [rule.effect for rule in outcome.matched_rules]
    assert outcome.verdict == (Verdict.strictest(effects) or policy_document["defaults"]["default_verdict"])
    if outcome.verdict is Verdict.TRUST:
        stages = {rule["id"]: rule["stage"] for rule in policy_document["rules"]}
        assert {Stage.TRUST_PATHS} == {rule.stage for rule in outcome.matched_rules}
        assert {"TRUST_PATHS"} >= {stages[rule_id] for rule_id in outcome.undetermined}
    assert outcome.verdict is Verdict.QUERY or not outcome.queries
    assert len(set(outcome.reason_codes)) == len(outcome.reason_codes) > 0
    places = [EVALUATION_ORDER.index(rule.stage) for rule in outcome.matched_rules]
    assert sorted(places) == places


@examples(100)
@given(policy_documents(), request_documents(), similarities(), st.randoms(use_true_random=False))
def test_the_order_of_rules_changes_no_verdict(policy_document, request_document, similarity, random):
    """Shuffled, the same rules fire and the verdict is the same."""
    shuffled = {**policy_document, "rules": random.sample(policy_document["rules"], k=len(policy_document["rules"]))}
    before = evaluate(policy_document, request_document, similarity)
    after = evaluate(shuffled, request_document, similarity)
    assert before.verdict is after.verdict
    assert set(before.matched_rules) == set(after.matched_rules)
    assert set(before.reason_codes) == set(after.reason_codes)


@examples(200)
@given(policy_documents(guarded=True), request_documents(), similarities(), similarities())
def test_more_resemblance_to_failures_never_loosens(policy_document, request_document, one, other):
    """
    Of two failure scores, the higher one never gives the more permissive verdict.

    Where evidence is missing, the engine's own question stands in for `TRUST` only: a rule that memory fires, or a
    trusting one that it silences, takes the question's place, and what comes of it is never `TRUST`.
    """
    low, high = sorted((one, other))
    before = evaluate(policy_document, request_document, low)
    after = evaluate(policy_document, request_document, high)
    if any(rule.rule_id == "LUMYN_EVIDENCE_UNKNOWN" for rule in before.matched_rules):
        assert after.verdict is not Verdict.TRUST
    else:
        assert after.verdict.strictness >= before.verdict.strictness


@examples(300)
@given(st.data(), policy_documents(guarded=True), request_documents(good=True), similarities())
def test_leaving_anything_out_never_turns_a_verdict_into_trust(data, policy_document, request_document, similarity):
    """
    Evidence, amount, environment, roles, tags: what is dropped or blanked never makes `TRUST`.

    Told of usable requests: one that is blocked for a corrupt value may be fine without it, where no rule needs it.
    """
    before = evaluate(policy_document, request_document, similarity)
    assume(not UNUSABLE & {rule.rule_id for rule in before.matched_rules})
    places = [("evidence", key) for key in request_document["evidence"]]
    places += [(part, name) for part, name in OPTIONAL if name in request_document[part]]
    dropped = data.draw(st.sets(st.sampled_from(places))) if places else set()
    poorer = {part: dict(value) for part, value in request_document.items()}
    for part, name in dropped:
        blank = data.draw(st.sampled_from(("absent", *BLANKS))) if part == "evidence" else "absent"
        if blank == "absent":
            del poorer[part][name]
        else:
            poorer[part][name] = blank
    if evaluate(policy_document, poorer, similarity).verdict is Verdict.TRUST:
        assert before.verdict is Verdict.TRUST


UNUSABLE = {"LUMYN_EVIDENCE_INVALID", "LUMYN_FX_OUT_OF_BOUNDS"}
OPTIONAL = (("action", "amount"), ("action", "tags"), ("subject", "roles"), ("tenant", "environment"))


@examples(150)
@given(st.data(), policy_documents(), request_documents(), similarities())
def test_corrupting_evidence_that_is_read_always_abstains(data, policy_document, request_document, similarity):
    """A list, a number too large or a text where a typed key is read: never anything but `ABSTAIN`."""
    policy = build_policy(policy_document)
    keys = [key for key in policy.keys_for(request_document["action"]["type"]) if key in policy.evidence]
    assume(keys)
    key = data.draw(st.sampled_from(keys))
    wrong = {"number": "0.9", "integer": 2.5, "boolean": 1, "string": 7, "enum": "h\u0456gh"}
    corrupt = data.draw(
        st.sampled_from((wrong[policy.evidence[key].type], [0.9], float("nan") if key == "risk" else []))
    )
    evidence = {**request_document["evidence"], key: corrupt}
    outcome = evaluate(policy_document, {**request_document, "evidence": evidence}, similarity)
    assert outcome.verdict is Verdict.ABSTAIN
    assert any(rule.rule_id == "LUMYN_EVIDENCE_INVALID" for rule in outcome.matched_rules)


@examples(100)
@given(policy_documents(), request_documents(), similarities())
def test_evidence_no_rule_reads_changes_nothing(policy_document, request_document, similarity):
    """Keys outside the policy, whatever they hold, leave the whole evaluation as it is."""
    noise = {"unread": "x", "lists": [1], "empty": None, "huge": 1e300}
    noisy = {**request_document, "evidence": {**noise, **request_document["evidence"], **noise}}
    before = evaluate(policy_document, request_document, similarity)
    assert before == evaluate(policy_document, noisy, similarity)


@examples(150)
@given(policy_documents(), request_documents(), similarities())
def test_loaded_and_built_policies_decide_alike(policy_document, request_document, similarity):
    """What the loader makes of a document means what the document means."""
    codes = {code: code.lower() for code in (*CODES, "NOTHING_MATCHED")}
    try:
        policy = parse_policy(json.dumps({**policy_document, "reason_codes": codes}), file="policy.json")
    except InvalidPolicyError:
        reject()
    request = build_request(request_document)
    outcome = trace(policy, request, similarity=similarity).evaluation
    assert trace(build_policy(policy_document), request, similarity=similarity).evaluation == outcome
