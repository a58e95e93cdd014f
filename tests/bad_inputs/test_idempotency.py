"""One `request_id`, one decision: whoever asks again, however often, and whatever happened in between."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bad_inputs.catalogue import case
from bad_inputs.requests import POLICY_FILE, REFUND, changed

from lumyn import Gate, IdempotencyConflictError, InvalidRequestError, Policy, StoreUnavailableError, Verdict


def rows(path: Path, table: str = "decisions") -> int:
    """Count rows through a connection of our own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@case("idm-001")
@pytest.mark.parametrize(
    "changes",
    [
        {"/action/amount/value": 99_999},
        {"/action/type": "support.issue_credit"},
        {"/evidence/chargeback_risk": 0.06},
        {"/context/digest": "sha256:" + "2" * 64},
        {"/hints": {"mode": "enforce"}},
        {"/extensions": {"a": 1}},
    ],
)
def test_same_key_for_another_request_conflicts(
    stored_gate: Gate, store_path: Path, case: str, changes: dict[str, Any]
) -> None:
    """An approval for 12 dollars is not the answer to 99,999, nor to anything else."""
    first = stored_gate.decide(REFUND)
    with pytest.raises(IdempotencyConflictError) as caught:
        stored_gate.decide(changed(changes))
    assert "IDEMPOTENCY_CONFLICT" == caught.value.reason_code
    assert (1, 1) == (rows(store_path), rows(store_path, "idempotency_keys"))
    assert first.to_json() == stored_gate.decide(REFUND).to_json()


@case("idm-005")
def test_key_is_short_printable_ascii(gate: Gate, case: str) -> None:
    """1 to 128 characters, none of them a blank at an end."""
    for key in ("x" * 10_000, "x" * 129, "", " x", "x ", "a\nb", "a\0b", "é", "\u200b", "ａ"):
        with pytest.raises(InvalidRequestError) as caught:
            gate.decide({**REFUND, "request_id": key})
        assert [("FIELD_PATTERN", "/request_id")] == [(p.code, p.pointer) for p in caught.value.problems]
    for key in ("x" * 128, "a b", "~!@#$%^&*()'\"\\", "1"):
        assert gate.decide({**REFUND, "request_id": key}).persisted


@case("idm-006")
def test_same_key_in_two_tenants_is_two_decisions(stored_gate: Gate, store_path: Path, case: str) -> None:
    """Also where the bodies differ: tenants know nothing of each other."""
    first = stored_gate.decide(changed({"/subject/tenant_id": "a"}))
    second = stored_gate.decide(changed({"/subject/tenant_id": "b", "/action/amount/value": 300}))
    assert (Verdict.TRUST, Verdict.ESCALATE) == (first.verdict, second.verdict)
    assert (2, 2) == (rows(store_path), rows(store_path, "idempotency_keys"))


@case("idm-008")
@pytest.mark.parametrize("gates", [1, 4])
def test_threads_with_one_key_get_one_decision(policy: Policy, store_path: Path, case: str, gates: int) -> None:
    """32 at once, through one gate and through several."""
    opened = [Gate.open(policy=policy, store=store_path, create=True, busy_timeout_s=20) for _ in range(gates)]
    barrier = threading.Barrier(32)
    answers: list[str] = []

    def ask(gate: Gate) -> None:
        barrier.wait()
        answers.append(gate.decide(REFUND).to_json())

    threads = [threading.Thread(target=ask, args=(opened[number % gates],)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for gate in opened:
        gate.close()
    assert (32, 1) == (len(answers), len(set(answers)))
    assert (1, 1) == (rows(store_path), rows(store_path, "idempotency_keys"))
    assert "TRUST" == json.loads(answers[0])["verdict"]


DIES_AFTER_COMMIT = """
import json, os, sys
from lumyn import Gate

gate = Gate.open(policy=sys.argv[1], store=sys.argv[2])
transaction = type(gate.store.write())
commit = transaction.__exit__

def die(self, *details):
    commit(self, *details)
    os._exit(9)

transaction.__exit__ = die
gate.decide(json.loads(sys.argv[3]))
"""


@case("idm-010")
def test_retry_after_a_death_between_commit_and_answer_is_given_the_decision(
    policy: Policy, store_path: Path, case: str
) -> None:
    """What was committed is the answer, to whoever asks next."""
    Gate.open(policy=policy, store=store_path, create=True).close()
    arguments = [sys.executable, "-c", DIES_AFTER_COMMIT, str(POLICY_FILE), str(store_path), json.dumps(REFUND)]
    assert 9 == subprocess.run(arguments, check=False).returncode
    assert 1 == rows(store_path)
    with Gate.open(policy=policy, store=store_path) as gate:
        record = gate.decide(REFUND)
        assert [record.decision_id] == [stored.decision_id for stored in gate.records()]
        assert (Verdict.TRUST, True) == (record.verdict, record.persisted)
    assert 1 == rows(store_path)


@case("idm-011")
def test_commit_that_raised_and_happened_is_found(
    policy: Policy, store_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is asked before anybody is told that nothing was stored."""
    with Gate.open(policy=policy, store=store_path, create=True) as gate:
        transaction = type(gate.store.write())
        commit = transaction.__exit__

        def commit_and_raise(self: Any, *details: Any) -> None:
            commit(self, *details)
            raise StoreUnavailableError("interrupted")

        monkeypatch.setattr(transaction, "__exit__", commit_and_raise)
        record = gate.decide(REFUND)
        monkeypatch.undo()
        assert (Verdict.TRUST, True) == (record.verdict, record.persisted)
        assert record.to_json() == gate.record(record.decision_id).to_json() == gate.decide(REFUND).to_json()


@case("idm-012")
@pytest.mark.parametrize("damage", ["x", "{}", "null", "[" * 5_000, '{"verdict": "TRUST"}'])
def test_retry_whose_answer_is_damaged_is_not_decided_anew(
    policy: Policy, store_path: Path, case: str, damage: str
) -> None:
    """`ABSTAIN`, with the damage as the detail; nothing is written over it."""
    with Gate.open(policy=policy, store=store_path, create=True) as gate:
        gate.decide(REFUND)
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER decisions_no_update")
        connection.execute("UPDATE decisions SET record = ?", (damage,))
    with Gate.open(policy=policy, store=store_path) as gate:
        record = gate.decide(REFUND)
    assert (Verdict.ABSTAIN, ("STORAGE_UNAVAILABLE",), False) == (record.verdict, record.reason_codes, record.persisted)
    own = record.to_dict()["extensions"]["lumyn"]  # type: ignore[index,call-overload]
    assert "STORE_INTEGRITY_FAILED" == own["storage_error"]  # type: ignore[index,call-overload]
    assert 1 == rows(store_path)


@case("idm-013")
def test_keys_that_differ_in_case_are_two(gate: Gate, case: str) -> None:
    """Compared byte by byte; only ASCII is accepted, so there is nothing to normalise."""
    first, second = (gate.decide({**REFUND, "request_id": key}) for key in ("R1", "r1"))
    assert first.decision_id != second.decision_id
    for key in ("ré", "re\u0301"):
        with pytest.raises(InvalidRequestError):
            gate.decide({**REFUND, "request_id": key})
