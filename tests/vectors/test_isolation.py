"""No vector sees what another one left: neither memory nor ids, keys or clock, in whatever order they run."""

from __future__ import annotations

import contextlib
import itertools

from vector_suites import Root

from lumyn.store.scratch import _POOL
from lumyn.vectors import Outcome, RunHooks, Vector, VectorResult, run

SEEN = "expect: { verdict: ESCALATE, reason_codes: { contains: [ACME_SIMILAR] } }"
NOT_SEEN = "expect: { verdict: TRUST, reason_codes: [ACME_SMALL] }"
KEYED = "{ $use: small, $with: { request_id: once } }"

SUITE = f"""\
- name: seeded
  memory: [{{ label: failure, request: {{ $use: small }} }}]
  request: {{ $use: small }}
  {SEEN}
- name: labels
  steps:
    - decide: {{ id: first, request: {KEYED} }}
      {NOT_SEEN}
    - label: {{ decision: first, label: failure }}
    - advance: P3D
    - decide: {{ request: {{ $use: small }} }}
      {SEEN}
- name: breaks
  memory: [{{ label: failure, request: {{ $use: small }} }}]
  steps:
    - decide: {{ request: {KEYED} }}
      {SEEN}
    - fault: {{ storage: unavailable }}
    - decide: {{ request: {{ $use: small }} }}
      expect: {{ verdict: ABSTAIN, reason_codes: [STORAGE_UNAVAILABLE] }}
- name: read_only
  steps:
    - fault: {{ storage: read_only }}
    - decide: {{ request: {{ $use: small }} }}
      expect: {{ verdict: ABSTAIN, reason_codes: [STORAGE_UNAVAILABLE] }}
- name: keyed
  request: {{ $use: small, $with: {{ request_id: once, evidence.risk: 0.2 }} }}
  {NOT_SEEN}
- name: restarts
  steps:
    - decide: {{ id: first, request: {KEYED} }}
      {NOT_SEEN}
    - restart: {{}}
    - replay: {{ decision: first, expect: identical }}
- name: plain
  request: {{ $use: small }}
  {NOT_SEEN}
"""


def vectors(root: Root) -> list[Vector]:
    return list(root.suite(SUITE).vectors)


def records(result: VectorResult) -> list[str]:
    """Return every record of a vector as it was stored: ids, times, keys and snapshots included."""
    assert Outcome.PASSED is result.outcome, result.drifts
    return [step.record.to_json() for step in result.steps if step.record is not None]


def test_a_vector_comes_out_alike_after_every_other(suite_root: Root) -> None:
    """Each pair in each order, the records compared byte by byte with those of a process that ran nothing before."""
    suite = vectors(suite_root)
    alone = {}
    for vector in suite:
        _POOL._spare.clear()
        alone[vector.vector_id] = records(run(vector))
    for first, second in itertools.product(suite, repeat=2):
        records(run(first))
        assert alone[second.vector_id] == records(run(second)), f"{second.vector_id} after {first.vector_id}"


def test_a_vector_comes_out_alike_after_a_hook_that_fails(suite_root: Root) -> None:
    """Whatever a hook has written by then goes with the vector."""
    suite = {vector.vector_id: vector for vector in vectors(suite_root)}

    def fail(gate):
        gate.seed("failure", {**suite["plain"].steps[0].request}, summary="left behind")
        raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        run(suite["plain"], hooks=RunHooks(seed=fail))
    assert "mem0:0:" in records(run(suite["plain"]))[0]


def test_a_gate_that_outlives_its_vector_reaches_no_other(suite_root: Root) -> None:
    """A hook may keep the gate it was given: what it writes later goes nowhere."""
    suite = {vector.vector_id: vector for vector in vectors(suite_root)}
    kept = []

    def keep(gate):
        if kept:
            kept[0].seed("failure", suite["plain"].steps[0].request, summary="written by a gate of another vector")
        kept.append(gate)

    records(run(suite["plain"], hooks=RunHooks(seed=keep)))
    assert "mem0:0:" in records(run(suite["plain"], hooks=RunHooks(seed=keep)))[0]
    for gate in kept:
        gate.close()
