"""
The fact projection: what the generated code writes is what the definition says, and it says all that a rule read.
Policies and requests are random; `tests/strategies.py` says how.
"""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from strategies import build_policy, build_request, examples, policy_documents, request_documents, similarities

from lumyn.core.record_text import derived_text, projection_text
from lumyn.digest import canonical_text, freeze
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.normalize import derive_facts
from lumyn.engine.projection import project, projected_keys
from lumyn.model import DecisionRequest, Similarity
from lumyn.policy.spec import FX_RATE_KEY, Policy

pytestmark = pytest.mark.property

ACTION = "support.refund"


def checked(document: dict) -> DecisionRequest:
    """Return the request of a document whose numbers went through the door that every request goes through."""
    evidence = {key: value for key, value in document["evidence"].items() if value != 1e300}
    return build_request(freeze({**document, "evidence": evidence}))


def written(policy: Policy, request: DecisionRequest, score: Decimal = Decimal(0)) -> str:
    """Return what the plan writes; the plain road has to write the same."""
    plan = compile_policy(policy).plan(request.action_type)
    texts = set()
    for facts in (plan.facts(request), derive_facts(policy, request)):
        texts.add(projection_text(plan, facts, derived_text(facts), Similarity(score=score)))
    (text,) = texts
    return text


@examples(400)
@given(policy_documents(), request_documents(), similarities())
def test_the_generated_projection_is_the_one_defined(policy_document, request_document, score):
    """Byte for byte, and in canonical form."""
    policy, request = build_policy(policy_document), checked(request_document)
    expected = project(policy, derive_facts(policy, request), score)
    text = written(policy, request, score)
    assert canonical_text(freeze(expected)) == text
    assert canonical_text(freeze(json.loads(text))) == text


@examples(300)
@given(policy_documents(), request_documents(), similarities())
def test_a_projection_accounts_for_every_key_that_matters_and_no_other(policy_document, request_document, score):
    """Each is known by value, by presence, as missing, or as unusable; only compared ones by value."""
    policy, request = build_policy(policy_document), checked(request_document)
    found = json.loads(written(policy, request, score))
    keys = set(policy.keys_for(request.action_type))
    missing, invalid, present = found.get("missing", []), found.get("invalid", {}), found.get("present", [])
    parts = [set(found["evidence"]), set(missing), set(invalid), set(present)]
    assert keys - {FX_RATE_KEY} <= set().union(*parts) <= keys
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert set(found["evidence"]) <= projected_keys(policy, request.action_type)
    assert set(found.get("policy_defaults", ())) <= set(found["evidence"]) | set(present)
    for key, value in found["evidence"].items():
        if key in found.get("policy_defaults", ()):
            assert request.evidence.get(key) is None or not str(request.evidence[key]).strip(" \u200b\t\n")
        else:
            assert request.evidence[key] == value
            assert isinstance(request.evidence[key], bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    "value",
    [0, 1e-7, 1e-5, 0.0001, 0.1, 12.5, 9007199254740991, -9007199254740991, 123456789.125, 5e-324, 0.30000000000000004],
)
def test_numbers_are_written_as_rfc_8785_writes_them(value):
    """Python's own form differs for small ones."""
    policy = _comparing({"evidence.risk_lt": 1})
    request = checked(_asked(risk=value))
    assert f'"risk":{canonical_text(value)}' in written(policy, request)


@pytest.mark.parametrize("value", ["low", 'a"b\\c', "\x01\u2028é\U0001f600", "{x}", "%s", "{0!r}", "e-"])
def test_texts_are_data_to_the_generated_code(value):
    """Whatever a caller or a policy writes, it is quoted and nothing else."""
    policy = _comparing({"evidence.level_in": [value, "other"]})
    text = written(policy, checked(_asked(level=value)))
    assert {"level": value} == json.loads(text)["evidence"]


def test_a_default_is_told_apart_from_a_value_of_the_request():
    """Another policy has another default, so which it was must be known."""
    policy = _comparing({"evidence.risk_lt": 1}, evidence={"risk": {"type": "number", "default": 0.3}})
    given_it, left_out = (json.loads(written(policy, checked(_asked(**each)))) for each in ({"risk": 0.3}, {}))
    assert {"risk": 0.3} == given_it["evidence"] == left_out["evidence"]
    assert "policy_defaults" not in given_it
    assert ["risk"] == left_out["policy_defaults"]


def test_identifiers_are_known_by_name_alone():
    """A key that is only required, or only asked to be present, is listed; its value is not."""
    policy = _comparing({"evidence.order_present": True}, required_evidence={ACTION: ["ticket"]})
    text = written(policy, checked(_asked(ticket="SECRET-1", order=["SECRET-2"], other="SECRET-3")))
    assert ["order", "ticket"] == json.loads(text)["present"]
    assert "SECRET" not in text


def _comparing(conditions, **document):
    rule = {"id": "R", "stage": "ESCALATIONS", "then": {"verdict": "ESCALATE", "reason_codes": ["X"]}}
    return build_policy(
        {
            "policy_id": "p",
            "policy_version": "1",
            "defaults": {"default_verdict": "ABSTAIN", "default_reason_code": "NO_MATCH"},
            "rules": [{**rule, "if": conditions}],
            **document,
        }
    )


def _asked(**evidence):
    return {
        "action": {"type": ACTION, "intent": "test"},
        "subject": {"type": "agent", "id": "a"},
        "tenant": {"tenant_id": "t"},
        "evidence": evidence,
    }
