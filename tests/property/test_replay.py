"""
Soundness of replays: what is said of a record with holes is what the whole request would have led to, or nothing.
Policies, candidates, requests, memories and holes are random; `tests/strategies.py` says how.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import event, given, reject
from hypothesis import strategies as st
from strategies import build_policy, examples, policy_documents, request_documents

from lumyn import FixedClock, Gate, InvalidRequestError, RedactionPolicy, RedactionProfile, ReplayStatus, SeededIds
from lumyn.core.judge import judge
from lumyn.core.records import DecisionRecord, record_from_json
from lumyn.core.replay import Replay, replay_record
from lumyn.core.requests import request_from_document
from lumyn.digest import canonical_text, freeze
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import Evaluation
from lumyn.policy.spec import Policy

pytestmark = pytest.mark.property

DECIDED = (ReplayStatus.FULL, ReplayStatus.FACTS)
REMOVABLE = ("/subject/roles", "/tenant/environment", "/action/tags", "/action/amount", "/action/target", "/subject/id")


def complete(document: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a drawn request with what its schema asks for, and without numbers that no request can hold."""
    evidence = {key: value for key, value in document["evidence"].items() if value != 1e300}
    context = {"mode": "digest_only", "digest": f"sha256:{number:064d}"}
    return {**document, "schema_version": "decision_request.v0", "evidence": evidence, "context": context}


class History:
    """One decision that saw some memory, under one policy."""

    def __init__(self, policy: Policy, redaction: RedactionPolicy, requests: list[dict[str, Any]]) -> None:
        *earlier, self.request = requests
        self.policy = policy
        self.gate = Gate.open(
            policy=policy,
            store="sqlite:///:memory:",
            create=True,
            redaction=redaction,
            clock=FixedClock("2026-01-15T12:00:00Z"),
            ids=SeededIds("history"),
        )
        try:
            for place, request in enumerate(earlier):
                label = ("failure", "near_miss", "success")[place % 3]
                self.gate.label(self.gate.decide(request).decision_id, label)
            self.record = self.gate.decide(self.request)
        except InvalidRequestError:
            self.gate.close()
            reject()
        self.asked = request_from_document(freeze(self.request))
        items = self.gate.store.memory_items(self.asked.tenant_id, self.asked.action_type)
        self.memory = MemorySnapshot(items)
        assert self.memory.digest == self.record.memory_snapshot

    def truth(self, policy: Policy) -> Evaluation:
        """Return what a policy makes of the request as it was received, with the memory of its time."""
        return judge(compile_policy(policy).plan(self.asked.action_type), self.asked, self.memory).evaluation

    def say_more(self) -> None:
        """Write on: what comes later is no business of a decision."""
        for label in ("failure", "near_miss"):
            self.gate.label(self.gate.decide(self.request).decision_id, label)


def with_holes(record: DecisionRecord, holes: set[str]) -> DecisionRecord:
    """Return a record from whose request more was removed, as it says itself."""
    document = copy.deepcopy(record.to_dict())
    request: Any = document["request"]
    removed = set(request["context"].get("redaction", {}).get("fields_removed", []))
    for pointer in holes:
        *parents, last = pointer.split("/")[1:]
        value = request
        for name in parents:
            value = value.get(name, {})
        if value.pop(last, None) is not None:
            removed.add(pointer)
    request["context"]["redaction"] = {"profile": "default", "fields_removed": sorted(removed)}
    return record_from_json(canonical_text(freeze(document)))


def holds(replay: Replay, truth: Evaluation) -> None:
    """A replay that has an outcome has the true one; any other has none and says why."""
    event(replay.status)
    if replay.status in DECIDED:
        assert replay.record is not None
        found = replay.record.evaluation
        assert (truth.verdict, truth.reason_codes) == (found.verdict, found.reason_codes)
        assert truth.matched_rules == found.matched_rules
        assert bool(replay.reason) == (replay.status is ReplayStatus.FACTS)
    else:
        assert ReplayStatus.VERDICT_ONLY is replay.status
        assert (None, ()) == (replay.record, replay.differences)
        assert replay.unknown
        assert all(pointer in replay.reason for pointer in replay.unknown)
    assert not replay.identical or replay.status is ReplayStatus.FULL


histories = st.lists(request_documents(), min_size=1, max_size=4).map(
    lambda documents: [complete(document, place) for place, document in enumerate(documents)]
)
redactions = st.sampled_from(
    [
        *(RedactionPolicy(profile=profile) for profile in RedactionProfile),
        RedactionPolicy(remove=("/evidence/note", "/subject/id", "/trace")),
    ]
)


@examples(120)
@given(policy_documents(), histories, redactions)
def test_every_record_replays_to_what_was_decided(document, requests, redaction):
    """Under every profile, in full and identically, whatever was written since; without memory, to the same outcome."""
    history = History(build_policy(document), redaction, requests)
    history.say_more()
    with history.gate:
        items = history.gate.store.memory_items(
            history.asked.tenant_id, history.asked.action_type, limit=history.memory.n
        )
    replay = replay_record(history.record, deciding=history.policy, memory=MemorySnapshot(items))
    assert replay.identical, (replay.status, replay.reason, replay.differences)
    alone = replay_record(history.record, deciding=history.policy)
    assert (ReplayStatus.FACTS if history.memory.n else ReplayStatus.FULL) is alone.status
    assert () == alone.differences
    holds(alone, history.truth(history.policy))


@examples(250)
@given(st.data(), policy_documents(), policy_documents(), histories, redactions)
def test_a_replay_never_says_what_the_whole_request_would_not(data, document, other, requests, redaction):
    """Under any candidate, with any holes, with and without memory and the deciding policy."""
    history = History(build_policy(document), redaction, requests)
    history.gate.close()
    alike = {**document, **{name: other[name] for name in ("memory", "evidence", "fx_bounds") if name in other}}
    candidate = build_policy(data.draw(st.sampled_from((other, alike, {**document, "policy_version": "2"}))))
    pointers = [*REMOVABLE, *(f"/evidence/{key}" for key in history.request["evidence"])]
    record = with_holes(history.record, data.draw(st.sets(st.sampled_from(pointers))))
    truth = history.truth(candidate)
    for deciding in (history.policy, None):
        for memory in (history.memory, None):
            holds(replay_record(record, deciding=deciding, policy=candidate, memory=memory), truth)


@examples(120)
@given(st.data(), policy_documents(), histories)
def test_holes_in_the_evidence_are_closed_by_the_facts_or_named(data, document, requests):
    """Under the policy that decided too, should anything ever take out more than redaction may."""
    history = History(build_policy(document), RedactionPolicy(profile=RedactionProfile.OFF), requests)
    history.gate.close()
    pointers = [f"/evidence/{key}" for key in history.request["evidence"]] or ["/evidence/none"]
    record = with_holes(history.record, data.draw(st.sets(st.sampled_from(pointers))))
    for memory in (history.memory, None):
        holds(replay_record(record, deciding=history.policy, memory=memory), history.truth(history.policy))
