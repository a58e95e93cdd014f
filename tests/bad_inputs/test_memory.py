"""Experience that is crowded out, contradicted, damaged or too good: none of it makes a verdict looser."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from bad_inputs.catalogue import case
from bad_inputs.requests import DELETE, POLICY_FILE, REFUND, changed

from lumyn import Gate, Label, NotFoundError, Policy, Verdict
from lumyn.cli.exit_codes import ExitCode
from lumyn.policy.loader import parse_policy

SIMILAR = "FAILURE_MEMORY_SIMILAR_ESCALATE"


@case("mem-001")
@pytest.mark.parametrize("failure_at", range(6))
def test_failure_counts_among_equal_successes(gate: Gate, case: str, failure_at: int) -> None:
    """The score is the best failure of all, wherever it stands, and not the best of the few that are listed."""
    for number in range(6):
        gate.seed("failure" if number == failure_at else "success", REFUND, summary=f"item {number}")
    record = gate.decide(REFUND)
    assert (Decimal(1), 5) == (record.failure_similarity, len(record.top_k))
    assert (Verdict.ESCALATE, True) == (record.verdict, SIMILAR in record.reason_codes)


@case("mem-002")
def test_old_failure_is_not_crowded_out(gate: Gate, case: str) -> None:
    """500 newer experiences, and the oldest still speaks."""
    gate.seed("failure", REFUND, summary="the one")
    for number in range(500):
        gate.seed("success", REFUND, summary=f"success {number}")
    record = gate.decide(REFUND)
    assert (Verdict.ESCALATE, Decimal(1)) == (record.verdict, record.failure_similarity)
    assert record.memory_snapshot.startswith("mem0:501:")


@case("mem-004")
@pytest.mark.parametrize(
    "damage", ["{", "null", '{"features": {}}', '{"label": "success"}', "\udce9".encode("utf-8", "surrogatepass")]
)
def test_experience_that_cannot_be_read_back_stops_decisions(
    policy: Policy, store_path: Path, case: str, damage: str | bytes
) -> None:
    """Memory that is damaged is not memory that is empty."""
    with Gate.open(policy=policy, store=store_path, create=True) as gate:
        gate.label(gate.decide(REFUND).decision_id, "failure")
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER memory_no_update")
        connection.execute("UPDATE memory_items SET body = CAST(? AS TEXT)", (damage,))
    with Gate.open(policy=policy, store=store_path) as gate:
        record = gate.decide({**REFUND, "request_id": "case-2"})
        assert (Verdict.ABSTAIN, ("STORAGE_UNAVAILABLE",)) == (record.verdict, record.reason_codes)
        assert not record.persisted
        own = record.to_dict()["extensions"]["lumyn"]  # type: ignore[index,call-overload]
        # Text that is not UTF-8 is refused by the driver, before anything can be said about its content.
        expected = "STORE_INTEGRITY_FAILED" if isinstance(damage, str) else "STORAGE_UNAVAILABLE"
        assert own["storage_error"] in {expected, "STORE_INTEGRITY_FAILED"}  # type: ignore[index,call-overload]


@case("mem-007")
@pytest.mark.parametrize(
    "labels", [("failure", "success"), ("success", "failure"), ("near_miss", "failure", "success")]
)
def test_of_opposite_labels_the_gravest_counts_and_all_are_kept(gate: Gate, case: str, labels: tuple[str, ...]) -> None:
    """Events and experience are appended; a failure is not taken back by being contradicted, before or after."""
    first = gate.decide(REFUND)
    for label in labels:
        gate.label(first.decision_id, label)
    after = gate.decide({**REFUND, "request_id": "case-2"})
    assert (Verdict.ESCALATE, Decimal(1)) == (after.verdict, after.failure_similarity)
    assert [Label.FAILURE] == [match.label for match in after.top_k]
    assert after.memory_snapshot.startswith(f"mem0:{len(labels)}:")
    assert list(labels) == [event.data["label"] for event in gate.events(first.decision_id)]


@case("mem-008")
def test_label_needs_a_decision(gate: Gate, case: str) -> None:
    """An id that is not there, or that is none, is said to be so, and nothing is written."""
    gate.decide(REFUND)
    for decision_id in ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "", "x' OR 1=1 --", "../../etc/passwd", "\0"):
        with pytest.raises(NotFoundError) as caught:
            gate.label(decision_id, "failure")
        assert "DECISION_NOT_FOUND" == caught.value.reason_code
    assert gate.decide({**REFUND, "request_id": "case-2"}).memory_snapshot.startswith("mem0:0:")


@case("mem-008")
def test_label_needs_a_decision_on_the_command_line(
    lumyn: Callable[..., tuple[int, str]], workspace: Path, case: str
) -> None:
    """The code is told, and the exit code is not that of success."""
    code, output = lumyn("label", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--failure")
    assert ExitCode.OK != code
    assert "DECISION_NOT_FOUND" in output


@case("mem-009")
@pytest.mark.parametrize(("weight", "score", "fires"), [(13, "0.35", True), (14, "0.333333", False)])
def test_resemblance_of_exactly_the_limit_fires(case: str, weight: int, score: str, fires: bool) -> None:
    """7 of 20 is 0.35, to the last digit."""
    memory = (
        "memory: { features: [action_type, payment_instrument_risk],"
        f" weights: {{ action_type: 7, payment_instrument_risk: {weight} }} }}\n"
    )
    policy = parse_policy(memory + POLICY_FILE.read_text(encoding="utf-8"))
    with Gate.open(policy=policy, store="sqlite:///:memory:", create=True) as gate:
        # What the experience lacks and the request has enters the union once.
        gate.seed("failure", changed({"/evidence/payment_instrument_risk": DELETE}), summary="seeded")
        record = gate.decide(REFUND)
    assert (Decimal(score), fires) == (record.failure_similarity, SIMILAR in record.reason_codes)


@case("mem-010")
def test_success_never_loosens_a_verdict(gate: Gate, case: str) -> None:
    """However many, and however like the request; also beside a failure."""
    escalated = changed({"/action/amount/value": 500})
    for number in range(20):
        gate.seed(Label.SUCCESS, escalated, summary=f"approved {number}")
        gate.seed(Label.SUCCESS, REFUND, summary=f"approved {number}")
    record = gate.decide(escalated)
    assert (Verdict.ESCALATE, Decimal(0), Decimal(1)) == (
        record.verdict,
        record.failure_similarity,
        record.top_k[0].score,
    )
    gate.seed(Label.FAILURE, REFUND, summary="failed")
    assert Verdict.ESCALATE is gate.decide({**REFUND, "request_id": "case-2"}).verdict
