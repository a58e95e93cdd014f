"""
No request that was not trusted becomes trusted because a fact is taken away or spoilt.
Every golden decision but `TRUST`, with the memory it saw, against every evidence key and every part of the amount.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import golden
import pytest

from lumyn import Gate
from lumyn.errors import IdempotencyConflictError, LumynError
from lumyn.model import JsonObject, Label, Verdict
from lumyn.policy.spec import FX_RATE_KEY, EvidenceSpec, EvidenceType, Policy
from lumyn.vectors.format import DecideStep, FaultStep, LabelStep, PolicyStep, RetractStep, StorageFault, Vector
from lumyn.vectors.merge import value_at

pytestmark = [pytest.mark.slow, pytest.mark.property]

Request = dict[str, Any]


class _Drop:
    """Stands for taking the fact away."""


DROP: Final = _Drop()
NAN: Final = float("nan")

# What a fact may be spoilt with: (what it is called, value).
SPOILT: Final[tuple[tuple[str, object], ...]] = (
    ("drop", DROP),
    ("null", None),
    ("blank", ""),
    ("blank", " \t"),
    ("blank", "\u200b"),
    ("string", "spoilt"),
    ("string", "0.1"),
    ("string", "low"),
    ("bool", True),
    ("bool", False),
    ("list", []),
    ("list", [0.1]),
    ("list", ["low"]),
    ("list", [None, True]),
    ("out of range", -1),
    ("out of range", 1_000_000_000),
    ("out of range", 0.5000000001e-300),
    ("NaN", NAN),
    ("NaN", float("inf")),
    ("NaN", float("-inf")),
    ("object", {"value": 0.1}),
)
AMOUNT: Final = (("action", "amount"), ("action", "amount", "value"), ("action", "amount", "currency"))


# How many requests there are to spoil under each starter policy, at least.
FEWEST: Final = {
    "policies/lumyn-support.v0.yml": 50_000,
    "policies/packs/lumyn-account.v0.yml": 2_000,
    "policies/packs/lumyn-billing.v0.yml": 8_000,
}


@dataclass(frozen=True)
class Case:
    """A decision that was not `TRUST`: its request and the experience that memory held."""

    name: str
    vector: Vector
    policy: Policy
    memory: tuple[tuple[Label, JsonObject], ...]
    request: JsonObject


def cases(file: str) -> Iterator[Case]:
    """
    Yield every golden decision under one policy that was not `TRUST`; failures of storage and conflicts of ids aside.

    The labels a scenario gave become memory. Its request ids are left out, or the record of an earlier step would
    answer for another request.
    """
    for result in golden.of_policy(file):
        vector = result.vector
        policy, broken = vector.policy, False
        labels: list[tuple[str, Label]] = []
        asked: dict[str, JsonObject] = {}
        assert policy is not None
        for step in result.steps:
            match step.step:
                case PolicyStep():
                    policy = step.step.policy
                case FaultStep():
                    broken = step.step.storage is not StorageFault.OK
                case LabelStep():
                    labels.append((step.step.decision, step.step.label))
                case RetractStep():
                    decision, label = step.step.decision, step.step.label
                    labels = [told for told in labels if told[0] != decision or label not in (None, told[1])]
                case DecideStep():
                    request = step.request or {}
                    if step.step.step_id is not None:
                        asked[step.step.step_id] = request
                    trusted = step.record is not None and step.record.verdict is Verdict.TRUST
                    if not trusted and not broken and not isinstance(step.error, IdempotencyConflictError):
                        if vector.is_scenario:
                            request = {key: value for key, value in request.items() if key != "request_id"}
                        seeds = tuple((seed.label, seed.request) for seed in vector.memory)
                        given = tuple((label, asked[decision]) for decision, label in labels)
                        name = f"{vector.node_id}#{step.index}"
                        yield Case(name, vector, policy, (*seeds, *given), request)


def spoils(spec: EvidenceSpec | None, value: object, *, needless: bool) -> bool:
    """
    Return whether putting `value` under a key takes a fact away or spoils it.

    A usable value of the declared type is another fact, not a spoilt one. Nothing is taken away by leaving out a key
    that the policy gives a default, which says what leaving it out means, nor a rate that the amount does not need.
    """
    if spec is None:
        return True
    missing = value is DROP or value is None or (isinstance(value, str) and not value.strip(" \t\u200b"))
    if missing:
        return spec.default is None and not needless
    if isinstance(value, bool):
        return spec.type is not EvidenceType.BOOLEAN
    if isinstance(value, (int, float)):
        return spec.type not in (EvidenceType.NUMBER, EvidenceType.INTEGER) or not _usable(spec, value)
    if isinstance(value, str):
        return spec.type is not EvidenceType.STRING and value not in spec.values
    return True


def _usable(spec: EvidenceSpec, value: float) -> bool:
    if value != value or value in (float("inf"), float("-inf")):
        return False
    if spec.type is EvidenceType.INTEGER and value != int(value):
        return False
    above = spec.minimum is None or value > spec.minimum or (value == spec.minimum and not spec.exclusive_minimum)
    return above and (spec.maximum is None or value <= spec.maximum)


def changed(request: JsonObject, path: tuple[str, ...], value: object) -> Request | None:
    """Return the request with one place spoilt, or None when there is no such place to spoil."""
    copied: Request = copy.deepcopy(request)
    node: Any = copied
    for key in path[:-1]:
        if not isinstance(node.get(key, {}), dict):
            return None
        node = node.setdefault(key, {})
    if value is DROP:
        if path[-1] not in node:
            return None
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return copied


def spoilt(case: Case) -> Iterator[tuple[str, Request]]:
    """Yield every spoilt form of a request, with what was done to it."""
    policy = case.policy
    keys = set(policy.evidence) | {key for required in policy.required_evidence.values() for key in required}
    in_dollars = value_at(case.request, ("action", "amount", "currency")) == "USD"
    for key in sorted(keys):
        for what, value in SPOILT:
            if spoils(policy.evidence.get(key), value, needless=in_dollars and key == FX_RATE_KEY):
                request = changed(case.request, ("evidence", key), value)
                if request is not None:
                    yield f"{key}: {what}", request
    for path in AMOUNT:
        for what, value in SPOILT:
            # Text that spells a number is an amount of its own.
            if value != "0.1" and not (path[-1] == "value" and value == 1_000_000_000):
                request = changed(case.request, path, value)
                if request is not None:
                    yield f"{'.'.join(path)}: {what}", request


def verdict_of(gate: Gate, request: Request) -> Verdict | None:
    """Return the verdict, or None for a request that is refused."""
    try:
        return gate.decide(request).verdict
    except LumynError:
        return None


@pytest.mark.parametrize(("file", "fewest"), FEWEST.items())
def test_spoiling_a_fact_never_earns_trust(file: str, fewest: int) -> None:
    """Zero flips to `TRUST`, over every golden decision that was not `TRUST` and every way to spoil it."""
    flips: list[str] = []
    tried: Counter[str] = Counter()
    refused = 0
    for case in cases(file):
        with Gate.open(
            policy=case.policy, store="sqlite:///:memory:", create=True, mode=case.vector.mode, synchronous="NORMAL"
        ) as gate:
            for label, experience in case.memory:
                gate.seed(label, experience, summary="seeded")
            assert verdict_of(gate, case.request) is not Verdict.TRUST, case.name
            for what, request in spoilt(case):
                verdict = verdict_of(gate, request)
                tried[what.rpartition(": ")[2]] += 1
                refused += verdict is None
                if verdict is Verdict.TRUST:
                    flips.append(f"{case.name} {what}")
    assert [] == flips
    assert fewest < sum(tried.values()), "too few cases to show anything"
    assert {what for what, _ in SPOILT} == set(tried)
    assert 0 < refused < 0.6 * sum(tried.values()), "most cases must reach the rules"


def test_every_policy_is_spoilt() -> None:
    """A policy that is added gets its number above."""
    assert set(golden.POLICY_FILES) == set(FEWEST)
