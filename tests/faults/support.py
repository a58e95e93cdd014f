"""What the fault tests share: a policy, requests, gates on a store, and the settings that make a run longer."""

from __future__ import annotations

import copy
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from lumyn import DecisionRecord, Gate, Policy, Verdict, load_policy
from lumyn.documents.schema import problems

HERE = Path(__file__).resolve().parent
POLICY_FILE = HERE.parents[1] / "policies" / "lumyn-support.v0.yml"

# Read when the tests are collected: while they run, the environment holds no setting of Lumyn.
KILLS = int(os.environ.get("LUMYN_KILLS", "60"))
FLIPS = int(os.environ.get("LUMYN_FLIPS", "500"))
DECISIONS = int(os.environ.get("LUMYN_DECISIONS", "2000"))

# SPEC 6 and the acceptance of the fault suite: a storage fault is answered within the busy time-out and this much.
SLACK_S = 0.5

REFUND: dict[str, Any] = {
    "schema_version": "decision_request.v0",
    "subject": {"type": "agent", "id": "agent-1", "tenant_id": "acme"},
    "action": {
        "type": "support.refund",
        "intent": "Refund duplicate charge",
        "amount": {"value": 12.0, "currency": "USD"},
        "tags": ["duplicate_charge"],
    },
    "evidence": {
        "ticket_id": "ZD-1001",
        "order_id": "82731",
        "customer_id": "C-9",
        "customer_age_days": 180,
        "previous_refund_count_90d": 0,
        "chargeback_risk": 0.05,
        "payment_instrument_risk": "low",
    },
    "context": {"mode": "digest_only", "digest": "sha256:" + "1" * 64},
}


@cache
def policy() -> Policy:
    """Return the support policy; it trusts `refund()` as long as nothing like it has failed."""
    return load_policy(POLICY_FILE)


def refund(request_id: str | None = None, *, amount: float = 12.0) -> dict[str, Any]:
    """Return a small refund that the policy trusts."""
    request = copy.deepcopy(REFUND)
    request["action"]["amount"]["value"] = amount
    if request_id is not None:
        request["request_id"] = request_id
    return request


def open_gate(path: Path, **options: Any) -> Gate:
    """Return a gate on the store at `path`; not durable against power loss, which no test here can cause."""
    return Gate.open(policy=policy(), store=path, **{"synchronous": "NORMAL", **options})


def make_store(path: Path, *, decisions: int = 0, failures: int = 0) -> None:
    """Create a store with decisions `seed-0`, `seed-1`, ..., the first of them labelled as failures, and close it."""
    with open_gate(path, create=True) as gate:
        for number in range(decisions):
            record = gate.decide(refund(f"seed-{number}"))
            assert record.persisted
            if number < failures:
                gate.label(record.decision_id, "failure", note="INC-1", actor="ops")


def connection_of(gate: Gate) -> sqlite3.Connection:
    """Return the open connection of a gate."""
    gate.store.check()
    connection = gate.store._connection  # type: ignore[attr-defined]
    assert isinstance(connection, sqlite3.Connection)
    return connection


def storage_error(record: DecisionRecord) -> object:
    """Return the finer code of a record that could not be stored."""
    return record.to_dict()["extensions"]["lumyn"].get("storage_error")  # type: ignore[index,call-overload,union-attr]


def assert_unavailable(record: DecisionRecord, *details: str) -> None:
    """The record abstains because of storage, is valid, permits nothing and does not claim to be stored."""
    assert (Verdict.ABSTAIN, ("STORAGE_UNAVAILABLE",)) == (record.verdict, record.reason_codes)
    assert (False, False) == (record.persisted, record.permits)
    assert [] == problems("decision_record.v0.schema.json", record.to_dict())
    if details:
        assert storage_error(record) in details


def environment() -> dict[str, str]:
    """Return the environment in which an interpreter finds these modules, and whatever this one finds."""
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run_child(
    function: Callable[..., Any], *arguments: Any, timeout_s: float = 120, wrapper: tuple[str, ...] = ()
) -> Any:
    """
    Return what a function of `children` returns in a fresh interpreter: JSON in, JSON out.

    A test process has threads, limits and users that must stay as they are; a child of its own may fork, change
    user and run out of space.
    """
    command = [*wrapper, sys.executable, "-X", "faulthandler", str(HERE / "children.py"), function.__name__]
    done = subprocess.run(
        [*command, json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment(),
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def start_child(function: Callable[..., Any], *arguments: Any) -> subprocess.Popen[str]:
    """Start a function of `children` that says `ready` on a line, and goes on when it is sent a line."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "children.py"), function.__name__, json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def release(children: list[subprocess.Popen[str]], *, timeout_s: float = 120) -> list[Any]:
    """Let started children go on at the same moment; return what each returned."""
    try:
        for child in children:
            assert child.stdout is not None
            assert "ready\n" == child.stdout.readline()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        outputs = [child.communicate(timeout=timeout_s)[0] for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert [0] * len(children) == [child.returncode for child in children]
    return [json.loads(output.splitlines()[-1]) for output in outputs]
