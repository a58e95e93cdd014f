"""Experience memory: bands, scores, order, corrections, snapshots."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256

import pytest
from strategies import build_policy

from lumyn.engine.profiles import Bands, feature_plan
from lumyn.engine.similarity import MemorySnapshot, top_k
from lumyn.model import Label, MemoryItem

ACTION = "support.refund"
FULL = {
    "action_type": ACTION,
    "target_system": "crm",
    "resource_type": "order",
    "currency": "USD",
    "amount_usd": "12",
    "tags": ["vip"],
    "evidence": {"risk": 0.1, "level": "low"},
}


def policy(*conditions, **memory):
    rules = [
        {
            "id": f"R{place}",
            "stage": "ESCALATIONS",
            "if": group,
            "then": {"verdict": "ESCALATE", "reason_codes": ["X"]},
        }
        for place, group in enumerate(conditions)
    ]
    return build_policy(
        {
            "policy_id": "p",
            "policy_version": "1",
            "defaults": {"default_verdict": "ESCALATE", "default_reason_code": "NO_MATCH"},
            "rules": rules,
            "memory": memory,
        }
    )


# Eight features of weight 1 in `FULL`: action, system, resource, currency, amount, tag, risk, level.
POLICY = policy({"amount_usd_gt": 25, "evidence.risk_gte": 0.5, "evidence.level_is": "high"})


def items(*told):
    """Return memory items from (label, features[, changes]) in journal order."""
    return [
        MemoryItem(
            **{
                "memory_id": f"M{place}",
                "seq": place + 1,
                "label": Label(label),
                "tenant_id": "t",
                "action_type": ACTION,
                "features": features,
                "summary": f"summary {place}",
                "created_at": "2026-01-15T12:00:00.000Z",
                "leaf": sha256(str(place).encode()).digest(),
            }
            | dict(*changes)
        )
        for place, (label, features, *changes) in enumerate(told)
    ]


def without(*names, **changes):
    return {name: value for name, value in FULL.items() if name not in names} | changes


def score(asked, *told, rules=POLICY):
    return str(top_k(rules, asked, MemorySnapshot(items(*told))).score)


@pytest.mark.parametrize(
    ("asked", "held", "expected"),
    [
        (FULL, FULL, "1"),
        (without(amount_usd="13"), FULL, "1"),
        (without(amount_usd="25.01"), FULL, "0.777778"),
        (without(amount_usd="25"), FULL, "1"),
        (without(currency="EUR"), FULL, "0.777778"),
        (without(evidence={"risk": 0.5, "level": "low"}), FULL, "0.777778"),
        (without(evidence={"risk": 0.49, "level": "low"}), FULL, "1"),
        (without(tags=["vip", "made", "up"]), FULL, "1"),
        (without(tags=["other"]), FULL, "1"),
        (without(target_system="erp"), FULL, "1"),
        (FULL, without("target_system", "tags"), "1"),
        (FULL, without("currency"), "0.875"),
        (without("tags"), FULL, "1"),
        (without(tags=[]), FULL, "1"),
        (without("target_system", "amount_usd", "evidence"), FULL, "1"),
        (without("evidence", "currency", amount_usd="100"), FULL, "0.777778"),
        ({"action_type": ACTION}, {"action_type": ACTION}, "1"),
        (FULL, {"action_type": ACTION}, "0.333333"),
        (FULL, {"action_type": ACTION, "evidence": {"risk": None, "level": None}}, "0.2"),
        (FULL, without(evidence={"risk": FULL["evidence"]["risk"]}), "1"),
        (FULL, without(evidence={"risk": FULL["evidence"]["risk"], "level": None}), "0.875"),
        (FULL, without("evidence"), "1"),
    ],
)
def test_score_is_the_weighted_share_of_common_features(asked, held, expected):
    """What callers add freely or leave out, or was not compared then, does not dilute it; what differs counts twice."""
    assert expected == score(asked, ("failure", held))


def test_weights_features_and_bands_are_the_policy_s():
    """Each changes the score the way the policy says."""
    conditions = {"amount_usd_gt": 25, "evidence.risk_gte": 0.5, "evidence.level_is": "high"}
    other = without(currency="EUR", amount_usd="30")
    assert "0.6" == score(other, ("failure", FULL))
    assert "0.8" == score(other, ("failure", FULL), rules=policy(conditions, weights={"level": 6, "tags": 6}))
    assert "1" == score(other, ("failure", FULL), rules=policy(conditions, features=["tags", "level"]))
    assert "0.777778" == score(other, ("failure", FULL), rules=policy(conditions, bands={"amount_usd": [10, 100]}))
    assert "0.6" == score(other, ("failure", FULL), rules=policy(conditions, bands={"amount_usd": [12, 30]}))


def test_a_number_on_a_cut_point_lies_where_the_rules_put_it():
    """`gt` and `lte` cut after their point, `gte` and `lt` before it, equality on both sides."""
    bands = feature_plan(
        policy(
            {"evidence.risk_gt": 1, "evidence.days_gte": 1, "evidence.level_is": "x"},
            {"evidence.risk_lte": 3, "evidence.days_lt": 3, "evidence.age_in": [1, 3]},
        )
    )
    by_name = {feature.name: feature.bands for feature in bands.features}
    numbers = [0, 1, 1.5, 3, 4]
    seen = {key: [by_name[key].of(number) for number in numbers] for key in ("risk", "days", "age")}
    assert {"risk": [0, 0, 1, 1, 2], "days": [0, 1, 1, 2, 2], "age": [0, 1, 2, 3, 4]} == seen
    assert seen["risk"] == [by_name["risk"].of(Decimal(str(number))) for number in numbers]


def test_bands_of_constants_no_double_carries_are_exact():
    """A native number is compared as its decimal."""
    bands = Bands.cut([(Decimal("0.3000000000000000000001"), 0)])
    assert [0, 1] == [bands.of(0.3), bands.of(0.30000000000000004)]


def test_failures_count_fully_near_misses_half_and_successes_never():
    """The score is the better of the two; a success is listed and changes nothing."""
    assert "0.5" == score(FULL, ("near_miss", FULL))
    assert "0" == score(FULL, ("success", FULL))
    near = without("currency", amount_usd="100")
    assert "0.666667" == score(FULL, ("failure", near), ("near_miss", FULL))
    assert "0.5" == score(FULL, ("failure", {"action_type": ACTION}), ("near_miss", FULL), ("success", FULL))


def test_matches_are_ordered_by_score_then_memory_id():
    """Over all labels, ids ascending where scores are equal, whatever the order of the journal."""
    told = [
        ("success", FULL, {"memory_id": "C"}),
        ("failure", without(currency="EUR"), {"memory_id": "A"}),
        ("near_miss", FULL, {"memory_id": "B"}),
        ("failure", without(tags=["vip"], amount_usd="3"), {"memory_id": "D"}),
    ]
    found = top_k(POLICY, FULL, MemorySnapshot(items(*told)), k=3)
    assert [("B", "1"), ("C", "1"), ("D", "1")] == [(match.memory_id, str(match.score)) for match in found.top_k]
    assert (Label.NEAR_MISS, "summary 2") == (found.top_k[0].label, found.top_k[0].summary)
    assert Decimal(1) == found.score


def test_min_score_hides_matches_and_never_the_score():
    """The failure score is over all items, listed or not."""
    conditions = {"amount_usd_gt": 25, "evidence.risk_gte": 0.5, "evidence.level_is": "high"}
    rules = policy(conditions, min_score=0.8, top_k=1)
    found = top_k(rules, FULL, MemorySnapshot(items(("failure", without(currency="EUR")))))
    assert ("0.777778", ()) == (str(found.score), found.top_k)


def test_the_failure_score_is_over_all_items_not_the_listed_ones():
    """Many better successes cannot push a failure out of the score."""
    told = [("success", FULL)] * 20 + [("failure", without(currency="EUR"))]
    assert "0.777778" == score(FULL, *told)


def test_corrections_and_retractions():
    """Of one decision the gravest label counts, the newest of equals; only a retraction takes one back."""
    one = {"source_decision_id": "D1"}
    assert "1" == score(FULL, ("failure", FULL, one), ("success", FULL, one))
    assert "1" == score(FULL, ("success", FULL, one), ("failure", FULL, one))
    assert "0.5" == score(FULL, ("near_miss", FULL, one), ("success", FULL, one))
    assert "0" == score(FULL, ("failure", FULL), ("failure", FULL, {"retracts": "M0"}))
    back = [("failure", FULL, one), ("success", FULL, one), ("success", FULL, {"retracts": "M0"})]
    assert "0" == score(FULL, *back)
    assert "1" == score(FULL, *back[:2], ("success", FULL, {"retracts": "M1"}))
    assert "1" == score(FULL, ("failure", FULL, {"retracts": "M1"}), ("failure", FULL))


def test_snapshots_count_and_chain_everything_that_was_written():
    """Retractions and superseded items included; the empty snapshot has an id of its own."""
    told = items(("failure", FULL), ("failure", FULL, {"retracts": "M0"}))
    running = sha256(b"lumyn.mem0").digest()
    assert f"mem0:0:{running.hex()}" == MemorySnapshot().digest
    for item in told:
        running = sha256(running + item.leaf).digest()
    snapshot = MemorySnapshot(told)
    assert f"mem0:2:{running.hex()}" == snapshot.digest
    assert "1" == str(top_k(POLICY, FULL, snapshot.prefix(1)).score)
    assert "0" == str(top_k(POLICY, FULL, snapshot).score)


def test_items_must_come_in_journal_order():
    """A snapshot is a prefix of the journal; anything else would be another memory under the same id."""
    first, second = items(("failure", FULL), ("failure", FULL))
    with pytest.raises(ValueError, match="does not follow"):
        MemorySnapshot([second, first])
    with pytest.raises(ValueError, match="no snapshot"):
        MemorySnapshot([first]).prefix(2)


def test_features_of_another_type_than_the_policy_s_do_not_count():
    """Stored under an older policy, they neither match, nor dilute, nor break the comparison."""
    odd = without(evidence={"risk": "high", "level": 3}, amount_usd="12")
    assert "1" == score(FULL, ("failure", odd))
