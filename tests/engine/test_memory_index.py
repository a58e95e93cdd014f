"""The memory index: pages, removals, ids out of order, and what a search looks at."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from lumyn.engine import memory_index
from lumyn.engine.memory_index import MemoryIndex
from lumyn.engine.memory_pages import Page, Sums
from lumyn.engine.profiles import Bands, Feature, FeaturePlan
from lumyn.model import Label

TEXTS = Bands.cut([(Decimal(10), 0), (Decimal(20), 1)])
PLAN = FeaturePlan(
    features=(
        Feature(name="action_type", weight=1),
        Feature(name="target_system", weight=2, free=True),
        Feature(name="resource_type", weight=1, free=True),
        Feature(name="currency", weight=3),
        Feature(name="amount_band", weight=1, bands=TEXTS),
        Feature(name="level", weight=5, evidence=True),
    ),
    tag_weight=2,
)
TAGS_ONLY = FeaturePlan(features=(), tag_weight=1)


def drawn(rng):
    """Return features of which any may be absent."""
    found = {
        "action_type": "a",
        "target_system": rng.choice(("s", "t")),
        "resource_type": rng.choice(("r", "q")),
        "currency": rng.choice(("USD", "EUR", "GBP")),
        "amount_usd": rng.choice(("1", "10", "20", "21")),
    }
    found = {name: value for name, value in found.items() if rng.random() < 0.7}
    tags = {f"tag-{int(rng.random() ** 3 * 40)}" for _ in range(rng.randint(0, 4))}
    return {**found, "tags": sorted(tags), "evidence": {"level": rng.choice(("low", "high", 3))}}


def scanned(plan, held, asked, k):
    """Return the failure score and the best matches by comparing the request with everything."""
    scored = []
    for memory_id, (label, features) in held.items():
        shared, union = plan.compare(asked, plan.of_features(features))
        if shared:
            scored.append((-Fraction(shared, union), memory_id, label))
    failure = max((-score for score, _, label in scored if label is Label.FAILURE), default=Fraction(0))
    near_miss = max((-score / 2 for score, _, label in scored if label is Label.NEAR_MISS), default=Fraction(0))
    return max(failure, near_miss), [(memory_id, label, -score) for score, memory_id, label in sorted(scored)[:k]]


def agrees(plan, index, held, asked, k):
    """Hold a search against the scan."""
    found = index.search(asked, k=k, min_score=Decimal(0))
    score, matches = scanned(plan, held, asked, k)
    rounded = [(memory_id, label, Decimal(round(value * 10**6)).scaleb(-6)) for memory_id, label, value in matches]
    assert rounded == [(match.memory_id, match.label, match.score) for match in found.top_k]
    assert Decimal(round(score * 10**6)).scaleb(-6) == found.score
    assert [memory_id.upper() for memory_id, _, _ in matches] == [match.summary for match in found.top_k]


@pytest.mark.parametrize("plan", [PLAN, TAGS_ONLY], ids=["features", "tags-only"])
@pytest.mark.parametrize("order", ["ascending", "random"])
@pytest.mark.parametrize("pages", [(2, 3), (64, 64), (4_096, 16_384)], ids=str)
def test_search_equals_the_scan_at_any_page_size(monkeypatch, plan, order, pages):
    """Through additions and removals, whatever the order of ids; pages are an arrangement, never a limit."""
    monkeypatch.setattr(memory_index, "_ITEMS_ON_A_PAGE", pages[0])
    monkeypatch.setattr(memory_index, "_ROWS_ON_A_PAGE", pages[1])
    rng = random.Random(f"{order}{pages}")
    index, held = MemoryIndex(plan, str.upper), {}
    for place in range(500):
        number = place if order == "ascending" else rng.randrange(10**6)
        memory_id = f"m{number:06d}"
        if memory_id not in held:
            held[memory_id] = (rng.choice(tuple(Label)), drawn(rng))
            index.add(memory_id, *held[memory_id])
        if rng.random() < 0.3:
            gone = rng.choice(sorted(held))
            label, features = held.pop(gone)
            index.remove(gone, label, features)
            if rng.random() < 0.3:
                held[gone] = (label, features)
                index.add(gone, label, features)
        if place % 5 == 0:
            agrees(plan, index, held, plan.of_features(drawn(rng)), rng.choice((1, 3, 8)))


def test_the_better_of_a_failure_and_half_a_near_miss_counts():
    """Also where a near miss is only just more than twice as like, and where better successes fill the list."""
    rng = random.Random(5)
    near_misses = 0
    for _ in range(400):
        index, held = MemoryIndex(PLAN, str.upper), {}
        asked = drawn(rng)
        told = [(Label.FAILURE, drawn(rng)), (Label.NEAR_MISS, drawn(rng)), (Label.SUCCESS, asked)]
        for place, (label, features) in enumerate(told):
            held[f"m{place}"] = (label, features)
            index.add(f"m{place}", label, features)
        agrees(PLAN, index, held, PLAN.of_features(asked), 1)
        failure, near_miss = (Fraction(*compared(asked, features)) for _, features in told[:2])
        near_misses += 2 * failure < near_miss < 4 * failure
    assert near_misses > 10


def compared(asked, features):
    """Return the shared and the united weight, the latter never 0."""
    shared, union = PLAN.compare(PLAN.of_features(asked), PLAN.of_features(features))
    return shared, max(union, 1)


def test_an_item_that_is_not_there_cannot_be_removed():
    """Nor can one be removed twice; a mistake here would hide a failure without a trace."""
    index = MemoryIndex(PLAN, str)
    index.add("b", Label.FAILURE, {"currency": "USD"})
    for memory_id in ("a", "c"):
        with pytest.raises(KeyError):
            index.remove(memory_id, Label.FAILURE, {"currency": "USD"})
    with pytest.raises(KeyError):
        index.remove("b", Label.SUCCESS, {"currency": "USD"})
    index.remove("b", Label.FAILURE, {"currency": "USD"})
    with pytest.raises(KeyError):
        index.remove("b", Label.FAILURE, {"currency": "USD"})
    assert Decimal(0) == index.search(PLAN.of_features({"currency": "USD"}), k=1, min_score=Decimal(0)).score


def test_an_answer_is_forgotten_when_memory_changes():
    """Kept answers are for one state of the index."""
    index = MemoryIndex(PLAN, str)
    asked = PLAN.of_features({"currency": "USD"})
    seen = [index.search(asked, k=1, min_score=Decimal(0)).score]
    index.add("a", Label.FAILURE, {"currency": "USD"})
    seen.append(index.search(asked, k=1, min_score=Decimal(0)).score)
    index.remove("a", Label.FAILURE, {"currency": "USD"})
    seen.append(index.search(asked, k=1, min_score=Decimal(0)).score)
    assert [Decimal(0), Decimal(1), Decimal(0)] == seen


@pytest.mark.parametrize("tag", [None, "only"])
def test_a_search_looks_at_few_of_many_items(monkeypatch, tag):
    """Its work does not grow with the number of items of one fixed part, unique tags or not."""
    steps = []
    admits = memory_index._Search.admits
    monkeypatch.setattr(memory_index._Search, "admits", lambda *found: (steps.append(1), admits(*found))[1])
    looked = []
    for count in (200, 20_000):
        index = MemoryIndex(PLAN, str)
        for place in range(count):
            features = {"currency": "USD", "tags": ["x", f"{tag}-{place}"] if tag else ["x"]}
            index.add(f"m{place:06d}", Label.FAILURE, features)
        for currency in ("USD", "EUR"):
            asked = PLAN.of_features({"currency": currency, "amount_usd": "1", "tags": ["x", "only-7"]})
            assert 3 == len(index.search(asked, k=3, min_score=Decimal(0)).top_k)
        looked.append(len(steps))
        steps.clear()
    assert looked[1] <= 2 * looked[0]


def test_weights_of_any_size_are_summed_at_every_place():
    """Sums are exact, and their levels come in order with all their places."""
    rng = random.Random(7)
    every = (1 << 90) - 1
    sums, expected = Sums(every), [0] * 90
    for _ in range(30):
        weight, chosen = rng.choice((1, 2, 3, 7, 1_000_003)), rng.choice((0, every, rng.getrandbits(95)))
        sums.add(weight, chosen)
        expected = [held + weight * (chosen >> place & 1) for place, held in enumerate(expected)]
    for falling in (False, True):
        found = list(sums.levels(every, falling=falling))
        assert sorted(set(expected), reverse=falling) == [value for value, _ in found]
        assert all(expected[place] == value for value, held in found for place in range(90) if held >> place & 1)


def test_a_token_is_on_the_places_it_was_put_on():
    """On one, a few or many, put once or again."""
    page = Page()
    for count in (1, 2, 16, 17, 40):
        for _ in range(2):
            for place in range(count):
                page.put(f"token {count}", place)
        assert (1 << count) - 1 == page.bits(f"token {count}")
    assert 0 == page.bits("another")
