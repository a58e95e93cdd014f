"""
Experience memory against its executable specification, and what memory may never do to a verdict.
Every policy, request and journal is random; `tests/strategies.py` says how.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import spec_memory
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, feature_documents, journals, policies, requests

from lumyn.engine.evaluator import compile_policy
from lumyn.engine.normalize import derive_facts, features
from lumyn.engine.profiles import feature_plan
from lumyn.engine.similarity import MemorySnapshot, top_k
from lumyn.model import Label, MemoryItem, Similarity

pytestmark = pytest.mark.property


def shown(similarity: Similarity):
    """Return a similarity as the specification writes it."""
    matches = [(match.memory_id, match.label.value, match.score, match.summary) for match in similarity.top_k]
    return similarity.score, matches


@examples(300)
@given(policies(), journals(), feature_documents(), st.integers(1, 6))
def test_search_equals_the_scan_over_exact_fractions(policy, items, asked, k):
    """Failure score, matches and their order are those of the naive definition."""
    expected = spec_memory.naive_top_k(policy, asked, items, k)
    assert expected == shown(top_k(policy, asked, MemorySnapshot(items), k=k))


@examples(150)
@given(
    st.lists(policies(), min_size=1, max_size=3),
    journals(size=20),
    st.lists(feature_documents(), min_size=1, max_size=3),
)
def test_a_growing_snapshot_equals_one_built_at_once(several, items, asked):
    """Searches between additions, under changing policies, leave nothing behind."""
    growing = MemorySnapshot()
    for n, item in enumerate(items):
        for policy in several:
            top_k(policy, asked[n % len(asked)], growing)
        growing.add(item)
    whole = MemorySnapshot(items)
    assert whole.digest == growing.digest
    for policy in several:
        for one in asked:
            assert top_k(policy, one, whole) == top_k(policy, one, growing)


@examples(100)
@given(policies(), journals(), feature_documents(), st.data())
def test_a_prefix_is_the_memory_of_that_moment(policy, items, asked, data):
    """Whatever was added since, the first n items answer as they did, under the same snapshot id."""
    n = data.draw(st.integers(0, len(items)))
    then, now = MemorySnapshot(items[:n]), MemorySnapshot(items).prefix(n)
    assert then.digest == now.digest
    assert n == now.n
    assert top_k(policy, asked, then) == top_k(policy, asked, now)


@examples(50)
@given(journals())
def test_the_digest_chains_the_leaves_in_journal_order(items):
    """`mem0:<n>:<hex>` over the leaf hashes; anyone can recompute it."""
    running = hashlib.sha256(b"lumyn.mem0").digest()
    for item in items:
        running = hashlib.sha256(running + item.leaf).digest()
    assert f"mem0:{len(items)}:{running.hex()}" == MemorySnapshot(items).digest


@examples(150)
@given(policies(), journals(), feature_documents(), feature_documents(), st.sampled_from(Label))
def test_a_new_experience_never_lowers_the_failure_score(policy, items, asked, new, label):
    """A failure or near miss can only raise it; a success leaves it as it is."""
    before = top_k(policy, asked, MemorySnapshot(items)).score
    seq = items[-1].seq + 1 if items else 1
    item = replace(item_with(new), seq=seq, label=label)
    after = top_k(policy, asked, MemorySnapshot([*items, item])).score
    if label is Label.SUCCESS:
        assert before == after
    else:
        assert after >= before


@examples(200)
@given(policies(), journals(), feature_documents(), st.data())
def test_leaving_features_out_never_lowers_the_failure_score(policy, items, asked, data):
    """A caller cannot slip past what is remembered by saying less of what the policy weighs."""
    places = [
        name for name in asked if name not in {"evidence", "action_type", "target_system", "resource_type", "tags"}
    ]
    dropped = data.draw(st.sets(st.sampled_from(places))) if places else set()
    evidence = asked.get("evidence", {})
    kept = data.draw(st.sets(st.sampled_from(sorted(evidence)))) if evidence else set()
    poorer = {name: value for name, value in asked.items() if name not in dropped and name != "evidence"}
    poorer["evidence"] = {key: evidence[key] for key in kept}
    memory = MemorySnapshot(items)
    assert top_k(policy, poorer, memory).score >= top_k(policy, asked, memory).score


@examples(150)
@given(
    policies(),
    journals(),
    feature_documents(),
    st.lists(st.sampled_from(("x", "y", "z")), unique=True),
    st.sampled_from(("crm", "erp")),
)
def test_adding_free_features_never_lowers_the_failure_score(policy, items, asked, tags, system):
    """Tags and targets are the caller's to invent: one that no experience has changes nothing, not even the first."""
    memory = MemorySnapshot(items)
    richer = {"target_system": system, **asked, "tags": [*asked.get("tags", []), *tags]}
    assert top_k(policy, richer, memory).score >= top_k(policy, asked, memory).score


@examples(200)
@given(policies(), requests())
def test_a_request_is_compared_as_it_would_be_remembered(policy, request):
    """The profile of the facts, however they were made, is the profile of the features that would be stored."""
    plain = derive_facts(policy, request)
    packed = compile_policy(policy).plan(request.action_type).facts(request)
    plan = feature_plan(policy)
    stored = features(policy, plain)
    assert stored == features(policy, packed)
    assert plan.of_features(stored) == plan.of_facts(plain) == plan.of_facts(packed)


def item_with(found):
    """Return a failure with these features."""
    return MemoryItem(
        memory_id="5new",
        seq=1,
        label=Label.FAILURE,
        tenant_id="t",
        action_type="support.refund",
        features=found,
        summary="new",
        created_at="2026-01-15T12:00:00.000Z",
        leaf=b"\x05" * 32,
    )
