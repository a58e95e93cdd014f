"""Running vectors: every verb, isolation, repeatability, hooks, and what counts as passed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from vector_suites import HEAD, Root

from lumyn.core.decide import Gate
from lumyn.core.records import DecisionRecord
from lumyn.model import JsonObject
from lumyn.policy.loader import load_policy
from lumyn.store import Store
from lumyn.vectors import (
    Drift,
    DriftKind,
    Expectation,
    Outcome,
    RunHooks,
    StepOutcome,
    VectorResult,
    load_suite,
    run,
    seed,
    settle,
)

USE = "request: { $use: small }"
TRUST = "expect: { verdict: TRUST, reason_codes: [ACME_SMALL] }"


def scenario(*steps: str) -> str:
    """Return a suite of one scenario."""
    return "- name: story\n  steps:\n" + "".join(f"    - {step}\n" for step in steps)


def decide(expect: str, *, step_id: str = "", changes: str = "") -> str:
    """Return a decide step."""
    with_ = f", $with: {{ {changes} }}" if changes else ""
    name = f"id: {step_id}, " if step_id else ""
    return f"{{ decide: {{ {name}request: {{ $use: small{with_} }} }}, expect: {{ {expect} }} }}"


def kinds(result: VectorResult) -> list[str]:
    """Return the kinds of all drifts."""
    return [drift.kind.value for drift in result.drifts]


EXPECTATIONS = [
    ("verdict: TRUST", ""),
    ("verdict: { in: [TRUST, ESCALATE] }, reason_codes: [ACME_SMALL]", ""),
    ("verdict: { in: [QUERY, ESCALATE] }, reason_codes: [ACME_SMALL]", "verdict"),
    ("verdict: ESCALATE, reason_codes: [ACME_SMALL]", "verdict"),
    ("reason_codes: [ACME_SMALL]", ""),
    ("reason_codes: [ACME_LARGE]", "reason_codes"),
    ("reason_codes: [ACME_SMALL, ACME_LARGE]", "reason_codes"),
    ("reason_codes: { contains: [ACME_SMALL] }", ""),
    ("reason_codes: { contains: [ACME_LARGE] }", "reason_codes"),
    ("reason_codes: { excludes: [ACME_LARGE] }", ""),
    ("reason_codes: { excludes: [ACME_SMALL] }", "reason_codes"),
    ("reason_codes: { any_order: [ACME_SMALL] }", ""),
    ("reason_codes: { is_empty: true }", "reason_codes"),
    ("reason_codes_includes: [ACME_SMALL]", ""),
    ("reason_codes_includes: [ACME_LARGE]", "reason_codes"),
    ("matched_rules: [R050]", ""),
    ("matched_rules: [R030]", "matched_rules"),
    ("matched_rules: [{ rule_id: R050, stage: TRUST_PATHS, effect: TRUST, reason_codes: [ACME_SMALL] }]", ""),
    ("matched_rules: [{ rule_id: R050, stage: ESCALATIONS }]", "matched_rules"),
    ("matched_rules: { excludes: [R030] }", ""),
    ("queries: []", ""),
    ("queries: { is_empty: true }", ""),
    ("queries: [ticket_id]", "queries"),
    ("obligations: []", ""),
    ("obligations: { is_empty: false }", "obligations"),
    ("risk_signals: { uncertainty_score: 0 }", ""),
    ("risk_signals: { uncertainty_score: { gt: 0 } }", "risk_signals"),
    ("risk_signals: { failure_similarity: { score: 0, top_k: [] } }", ""),
    ("risk_signals: { failure_similarity: { top_k: { is_empty: false } } }", "risk_signals"),
    ("risk_signals: { drift_flag: true }", "risk_signals"),
    ("record: { policy: { policy_id: acme-refunds, policy_version: { matches: '1[.].*' } } }", ""),
    ("record: { policy: { policy_id: other } }", "record"),
    ("record: { request: { action: { amount: { value: { between: [10, 12] } } } } }", ""),
    ("record: { request: { action: { amount: { value: { lt: 12 } } } } }", "record"),
    ("record: { links: { is_empty: true } }", ""),
    ("record: { links: null }", "record"),
    ("error: INVALID_REQUEST_SCHEMA", "error"),
]


@pytest.mark.parametrize(("expect", "drift"), EXPECTATIONS)
def test_expectations(suite_root: Root, expect: str, drift: str) -> None:
    """Every key holds, or is the only drift."""
    result = suite_root.run(f"- name: one\n  {USE}\n  expect: {{ {expect} }}\n")
    assert drift.split() == kinds(result)
    assert (Outcome.FAILED if drift else Outcome.PASSED) is result.outcome


def test_queries_and_obligations(suite_root: Root) -> None:
    """By name, as objects, with the source the engine adds."""
    text = """\
    - name: asks
      request: { $use: small, $with: { evidence.ticket_id: null } }
      expect:
        verdict: QUERY
        reason_codes: [ACME_ASK, ACME_SMALL]
        queries: [{ field: ticket_id, question: { matches: "Which.*" } }]
    - name: notifies
      request: { $use: small, $with: { action.amount.value: 500 } }
      expect:
        verdict: ESCALATE
        reason_codes: [ACME_LARGE]
        obligations: [{ to: finance, source: { rule_id: R030 } }]
    - name: asks_for_another_field
      request: { $use: small, $with: { evidence.ticket_id: null } }
      expect: { verdict: QUERY, reason_codes: [ACME_ASK, ACME_SMALL], queries: [order_id] }
    """
    asks, notifies, other = map(run, suite_root.suite(text).vectors)
    assert (Outcome.PASSED, Outcome.PASSED) == (asks.outcome, notifies.outcome)
    (drift,) = other.drifts
    assert (("order_id",), ("ticket_id",)) == (drift.lost, drift.gained)


ERRORS = [
    ("error: INVALID_REQUEST_SCHEMA", ""),
    ("error: { reason_code: INVALID_REQUEST_SCHEMA, problems: [NUMBER_OUT_OF_RANGE] }", ""),
    ("error: { reason_code: INVALID_REQUEST_SCHEMA, problems: { contains: [FIELD_UNKNOWN] } }", "error"),
    ("error: IDEMPOTENCY_CONFLICT", "error"),
    ("verdict: ABSTAIN, reason_codes: [ACME_RISKY]", "error"),
]


@pytest.mark.parametrize(("expect", "drift"), ERRORS)
def test_errors(suite_root: Root, expect: str, drift: str) -> None:
    """An error that was not expected is drift, and so is one for another reason."""
    text = (
        f"- name: one\n  request: {{ $use: small, $with: {{ action.amount.value: -1 }} }}\n  expect: {{ {expect} }}\n"
    )
    result = suite_root.run(text)
    assert drift.split() == kinds(result)
    assert result.record is None


def test_a_golden_record(suite_root: Root) -> None:
    """The whole normalised record, from a file; what is volatile in the file does not matter."""
    (result,) = map(run, suite_root.suite(f"- name: one\n  {USE}\n  {TRUST}\n").vectors)
    assert result.record is not None
    golden = result.record.to_json().replace(result.record.decision_id, "0" * 26)
    suite_root.write("vectors/_golden.json", golden)
    text = f"- name: one\n  {USE}\n  expect: {{ record: {{ $exact: vectors/_golden.json }} }}\n"
    assert Outcome.PASSED is suite_root.run(text).outcome
    for spoilt in (
        golden.replace('"intent":"refund"', '"intent":"steal"'),
        golden.replace('"intent":"refund"', '"intent":{"matches":".*"}'),
        golden.replace('"intent":"refund",', ""),
    ):
        assert golden != spoilt
        suite_root.write("vectors/_golden.json", spoilt)
        changed = suite_root.run(text)
        assert ["record"] == kinds(changed)


class TestScenarios:
    """The verbs, and that each of them does something."""

    def test_a_label_changes_the_next_verdict(self, suite_root: Root) -> None:
        """Through memory, and the scenario can say so."""
        text = scenario(
            decide("verdict: TRUST", step_id="first"),
            "{ label: { decision: first, label: failure, note: fraud } }",
            decide("verdict: ESCALATE, changed_from: { step: first, because: memory }"),
        )
        assert [] == kinds(suite_root.run(text))

    @pytest.mark.parametrize("because", ["policy", "request"])
    def test_another_cause_is_refused(self, suite_root: Root, because: str) -> None:
        """The change must be owed to what is claimed."""
        text = scenario(
            decide("verdict: TRUST", step_id="first"),
            "{ label: { decision: first, label: failure } }",
            decide(f"verdict: ESCALATE, changed_from: {{ step: first, because: {because} }}"),
        )
        result = suite_root.run(text)
        assert ["changed_from"] == kinds(result)
        assert f"without the change of {because}" in result.drifts[0].message

    def test_changed_by_policy(self, suite_root: Root) -> None:
        """And not by memory or request."""
        text = (suite_root.path / "policies/p.yml").read_text().replace("trust_max: 25", "trust_max: 5")
        suite_root.write("policies/next.yml", text)
        steps = [decide("verdict: TRUST", step_id="first"), "{ policy: policies/next.yml }"]
        changed = "verdict: ESCALATE, changed_from: {{ step: first, because: {} }}"
        assert [] == kinds(suite_root.run(scenario(*steps, decide(changed.format("policy")))))
        assert ["changed_from"] == kinds(suite_root.run(scenario(*steps, decide(changed.format("memory")))))

    def test_changed_by_request(self, suite_root: Root) -> None:
        """And not by memory or policy."""
        first = decide("verdict: TRUST", step_id="first")
        changed = "verdict: ESCALATE, changed_from: {{ step: first, because: {} }}"
        larger = "action.amount.value: 300"
        assert [] == kinds(suite_root.run(scenario(first, decide(changed.format("request"), changes=larger))))
        assert ["changed_from"] == kinds(
            suite_root.run(scenario(first, decide(changed.format("memory"), changes=larger)))
        )

    def test_two_causes_at_once_are_no_single_cause(self, suite_root: Root) -> None:
        """Where either alone would have done it, neither accounts for it."""
        text = scenario(
            decide("verdict: TRUST", step_id="first"),
            "{ label: { decision: first, label: failure } }",
            decide("changed_from: { step: first, because: memory }", changes="action.amount.value: 300"),
        )
        assert ["changed_from"] == kinds(suite_root.run(text))

    def test_no_change_is_no_change(self, suite_root: Root) -> None:
        """The verdict has to differ."""
        text = scenario(
            decide("verdict: TRUST", step_id="first"),
            decide("changed_from: { step: first, because: memory }"),
        )
        result = suite_root.run(text)
        assert "the verdict is TRUST, as in step `first`" == result.drifts[0].message

    def test_a_step_that_raised_cannot_be_compared_with(self, suite_root: Root) -> None:
        """It made no record."""
        text = scenario(
            decide("error: INVALID_REQUEST_SCHEMA", step_id="first", changes="action.amount.value: -1"),
            decide("changed_from: { step: first, because: request }"),
        )
        result = suite_root.run(text)
        assert ["changed_from"] == kinds(result)
        assert "step `first` made no record" == result.drifts[0].message

    def test_seeded_memory_is_no_change(self, suite_root: Root) -> None:
        """What memory held from the start is there in both."""
        text = (
            "- name: story\n"
            "  memory: [{ label: failure, request: { $use: small, $with: { action.amount.value: 300 } } }]\n"
            "  steps:\n"
            f"    - {decide('verdict: TRUST', step_id='first')}\n"
            "    - { label: { decision: first, label: failure } }\n"
            f"    - {decide('changed_from: { step: first, because: memory }')}\n"
        )
        assert [] == kinds(suite_root.run(text))

    def test_a_retraction_is_a_change_of_memory(self, suite_root: Root) -> None:
        """As a label is: what it took away is put back to tell what it changed."""
        text = scenario(
            decide("verdict: TRUST", step_id="first"),
            "{ label: { decision: first, label: failure } }",
            decide("verdict: ESCALATE, reason_codes: [ACME_SIMILAR, ACME_SMALL]", step_id="second"),
            "{ retract: { decision: first } }",
            decide("verdict: TRUST, changed_from: { step: second, because: memory }"),
        )
        assert [] == kinds(suite_root.run(text))

    def test_advance_moves_the_clock(self, suite_root: Root) -> None:
        """Records carry the time at which they were made; ids grow with it."""
        text = scenario(decide("verdict: TRUST"), "{ advance: P1DT1S }", decide("verdict: TRUST"))
        first, _, second = suite_root.run(text).steps
        assert first.record is not None
        assert second.record is not None
        assert "2026-01-15T12:00:00.000Z" == first.record.created_at
        assert "2026-01-16T12:00:01.000Z" == second.record.created_at
        assert first.record.decision_id < second.record.decision_id

    def test_restart_keeps_what_was_stored(self, suite_root: Root) -> None:
        """Decisions and memory survive; the store is a file."""
        text = scenario(
            decide("verdict: TRUST", step_id="first"),
            "{ label: { decision: first, label: failure } }",
            "{ restart: {} }",
            "{ replay: { decision: first, expect: identical } }",
            decide("verdict: ESCALATE, reason_codes: [ACME_SIMILAR, ACME_SMALL]"),
        )
        assert [] == kinds(suite_root.run(text))

    def test_restart_opens_the_store_again(self, suite_root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        """A gate that goes on in memory would show nothing about what survives."""
        opened: list[bool] = []
        real = seed.open_store

        def opens(url: str, *, create: bool, synchronous: str) -> Store:
            opened.append(create)
            return real(url, create=create, synchronous=synchronous)

        monkeypatch.setattr(seed, "open_store", opens)
        text = scenario(decide("verdict: TRUST"), "{ restart: {} }", decide("verdict: TRUST"))
        assert [] == kinds(suite_root.run(text))
        assert [True, False] == opened

    def test_replay_under_another_policy_uses_the_one_that_decided(self, suite_root: Root) -> None:
        """History does not change when the policy does."""
        text = (suite_root.path / "policies/p.yml").read_text().replace("trust_max: 25", "trust_max: 5")
        suite_root.write("policies/next.yml", text)
        steps = scenario(
            decide("verdict: TRUST", step_id="first"),
            "{ policy: policies/next.yml }",
            "{ replay: { decision: first, expect: identical } }",
        )
        assert [] == kinds(suite_root.run(steps))

    def test_a_replay_that_comes_out_otherwise_is_drift(
        self, suite_root: Root, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each place that differs is named."""
        from lumyn.core.replay import Difference, Replay, ReplayStatus

        def replay(self: Gate, decision_id: str) -> Replay:
            stored = self.record(decision_id)
            return Replay(
                status=ReplayStatus.FULL,
                reason="",
                stored=stored,
                record=stored,
                differences=(Difference(path="verdict", stored="TRUST", replayed="ESCALATE"),),
            )

        monkeypatch.setattr(Gate, "replay", replay)
        text = scenario(decide("verdict: TRUST", step_id="first"), "{ replay: { decision: first, expect: identical } }")
        (drift,) = suite_root.run(text).drifts
        assert (DriftKind.REPLAY, "verdict", "TRUST", "ESCALATE") == (
            drift.kind,
            drift.path,
            drift.expected,
            drift.actual,
        )

    @pytest.mark.parametrize("status", ["facts", "verdict_only", "no"])
    def test_a_replay_that_is_not_full_is_never_identical(
        self, suite_root: Root, monkeypatch: pytest.MonkeyPatch, status: str
    ) -> None:
        """Not even when nothing that could be compared differs."""
        from lumyn.core.replay import Replay, ReplayStatus

        def replay(self: Gate, decision_id: str) -> Replay:
            stored = self.record(decision_id)
            return Replay(
                status=ReplayStatus(status), reason="not at hand", stored=stored, record=stored, differences=()
            )

        monkeypatch.setattr(Gate, "replay", replay)
        text = scenario(decide("verdict: TRUST", step_id="first"), "{ replay: { decision: first, expect: identical } }")
        (drift,) = suite_root.run(text).drifts
        assert DriftKind.REPLAY is drift.kind
        assert "not at hand" in drift.message

    @pytest.mark.parametrize("storage", ["unavailable", "read_only"])
    def test_faults_and_healing(self, suite_root: Root, storage: str) -> None:
        """A broken store abstains, through a restart too; a healed one decides."""
        text = scenario(
            f"{{ fault: {{ storage: {storage} }} }}",
            decide("verdict: ABSTAIN, reason_codes: [STORAGE_UNAVAILABLE], matched_rules: [LUMYN_STORAGE_UNAVAILABLE]"),
            "{ restart: {} }",
            decide("verdict: ABSTAIN, reason_codes: [STORAGE_UNAVAILABLE]"),
            "{ fault: { storage: ok } }",
            decide("verdict: TRUST"),
        )
        assert [] == kinds(suite_root.run(text))

    def test_a_read_only_store_can_be_read(self, suite_root: Root) -> None:
        """An unavailable one cannot."""
        steps = [
            decide("verdict: TRUST", step_id="first"),
            "{ fault: { storage: $F } }",
            "{ replay: { decision: first, expect: identical } }",
        ]
        assert [] == kinds(suite_root.run(scenario(*steps).replace("$F", "read_only")))
        broken = suite_root.run(scenario(*steps).replace("$F", "unavailable"))
        assert ["step"] == kinds(broken)
        assert "`replay` raised STORAGE_UNAVAILABLE" in broken.drifts[0].message

    def test_a_label_that_cannot_be_stored_is_drift(self, suite_root: Root) -> None:
        """A step that fails is never passed over."""
        text = scenario(
            decide("verdict: TRUST", step_id="first"),
            "{ fault: { storage: unavailable } }",
            "{ label: { decision: first, label: failure } }",
        )
        assert ["step"] == kinds(suite_root.run(text))

    def test_the_first_drift_ends_it(self, suite_root: Root) -> None:
        """Later steps are reported as not run."""
        text = scenario(
            decide("verdict: TRUST", step_id="first"),
            decide("verdict: ESCALATE, reason_codes: [ACME_LARGE]"),
            "{ label: { decision: first, label: failure } }",
            decide("verdict: TRUST"),
        )
        result = suite_root.run(text)
        assert Outcome.FAILED is result.outcome
        assert ["passed", "failed", "not run", "not run"] == [step.outcome for step in result.steps]
        assert result.failed_step is result.steps[1]
        assert result.last_decision is result.steps[1]
        assert {1} == {drift.step for drift in result.drifts}

    def test_an_idempotent_answer_is_the_first_one(self, suite_root: Root) -> None:
        """The same request id gives the stored record, with the time at which it was made."""
        same = "request_id: r-1"
        text = scenario(
            decide("verdict: TRUST", step_id="first", changes=same),
            "{ advance: P1D }",
            decide("verdict: TRUST", changes=same),
            decide("error: IDEMPOTENCY_CONFLICT", changes=f"{same}, action.amount.value: 13"),
        )
        result = suite_root.run(text)
        assert [] == kinds(result)
        assert result.steps[0].record == result.steps[2].record

    def test_labelling_a_decision_that_raised_is_drift(self, suite_root: Root) -> None:
        """There is nothing to label."""
        text = scenario(
            decide("error: INVALID_REQUEST_SCHEMA", step_id="first", changes="action.amount.value: -1"),
            "{ label: { decision: first, label: failure } }",
        )
        assert ["step"] == kinds(suite_root.run(text))


class TestIsolation:
    """No vector sees another, the clock of the machine, or chance."""

    MEMORY = """\
    - name: remembers
      request: { $use: small }
      memory: [{ label: failure, request: { $use: small } }]
      expect: { verdict: ESCALATE, reason_codes: [ACME_SIMILAR, ACME_SMALL] }
    - name: knows_nothing
      request: { $use: small }
      expect: { verdict: TRUST, record: { determinism: { memory_snapshot: { matches: "mem0:0:.*" } } } }
    """

    def test_memory_does_not_leak(self, suite_root: Root) -> None:
        """In either order, and again."""
        remembers, knows_nothing = suite_root.suite(self.MEMORY).vectors
        for vector in (remembers, knows_nothing, remembers, knows_nothing, knows_nothing):
            assert Outcome.PASSED is run(vector).outcome

    def test_runs_are_equal_to_the_byte(self, suite_root: Root) -> None:
        """Ids, times and digests included."""
        vectors = suite_root.suite(self.MEMORY).vectors
        first = [run(vector).record.to_json() for vector in vectors]
        second = [run(vector).record.to_json() for vector in reversed(vectors)]
        assert first == second[::-1]

    def test_runs_are_equal_in_another_process(self, suite_root: Root) -> None:
        """Whatever the hash seed, the time zone and the locale are."""
        path = suite_root.suite(self.MEMORY).path
        script = (
            "import sys; from pathlib import Path; from lumyn.vectors import load_suite, run\n"
            "suite = load_suite(Path(sys.argv[1]), root=Path(sys.argv[2]))\n"
            "print('\\n'.join(run(vector).record.to_json() for vector in suite.vectors))\n"
        )
        outputs = {
            subprocess.run(
                [sys.executable, "-c", script, str(path), str(suite_root.path)],
                env={"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C", "PATH": ""},
                capture_output=True,
                text=True,
                check=True,
                encoding="utf-8",
            ).stdout
            for seed, zone in (("1", "UTC"), ("2", "Asia/Kathmandu"))
        }
        assert 1 == len(outputs)

    def test_nothing_is_left_behind(self, suite_root: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """The folder of a scenario that restarts is gone when it is over, drift or not."""
        import tempfile

        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        for expect in ("verdict: TRUST", "verdict: ESCALATE, reason_codes: [ACME_LARGE]"):
            suite_root.run(scenario("{ restart: {} }", decide(expect)))
            assert [] == list(scratch.iterdir())

    def test_the_request_of_a_vector_is_not_changed(self, suite_root: Root) -> None:
        """A run leaves its vector as it was."""
        import copy

        vector = suite_root.vector(f"- name: one\n  {USE}\n  {TRUST}\n")
        before = copy.deepcopy(vector.document)
        run(vector)
        assert before == vector.document


class TestInvalid:
    """A vector that cannot run never passes."""

    def test_problems(self, suite_root: Root) -> None:
        """They are the result."""
        vector = suite_root.suite(f"- name: one\n  {USE}\n  expect: {{}}\n").vectors[0]
        result = run(vector)
        assert Outcome.INVALID is result.outcome
        assert vector.problems == result.problems
        assert () == result.steps

    def test_memory_that_is_no_request(self, suite_root: Root) -> None:
        """It is found when memory is seeded, and named."""
        text = """\
        - name: one
          request: { $use: small }
          memory: [{ label: failure, request: { $use: small, $with: { action.amount.value: -1 } } }]
          expect: { verdict: TRUST }
        """
        result = suite_root.run(text)
        assert Outcome.INVALID is result.outcome
        (problem,) = result.problems
        assert "the request of an item of `memory` is not valid" in problem.message
        assert problem.span is not None
        assert "vectors/a.yaml" == problem.span.file

    def test_without_a_policy(self, suite_root: Root) -> None:
        """Unless one is given when it is run."""
        vector = dataclasses.replace(suite_root.vector(f"- name: one\n  {USE}\n  {TRUST}\n"), policy=None)
        assert Outcome.INVALID is run(vector).outcome
        policy = load_policy(suite_root.path / "policies/p.yml")
        assert Outcome.PASSED is run(vector, policy=policy).outcome

    def test_without_a_step(self, suite_root: Root) -> None:
        """Nothing is decided, so nothing came out as expected."""
        vector = suite_root.vector(f"- name: one\n  {USE}\n  {TRUST}\n")
        assert Outcome.INVALID is run(dataclasses.replace(vector, steps=())).outcome


def test_another_policy_can_decide(suite_root: Root) -> None:
    """The question of a pull request: what would this edit change?"""
    text = (suite_root.path / "policies/p.yml").read_text().replace("trust_max: 25", "trust_max: 5")
    candidate = load_policy(suite_root.write("candidate.yml", text))
    result = run(suite_root.vector(f"- name: one\n  {USE}\n  {TRUST}\n"), policy=candidate)
    assert ["verdict", "reason_codes"] == kinds(result)
    assert candidate is result.steps[0].policy


class TestMode:
    """The operator's mode is part of the vector."""

    def test_advisory(self, suite_root: Root) -> None:
        """It stands in the record."""
        text = f"- name: one\n  mode: advisory\n  {USE}\n  expect: {{ record: {{ policy: {{ mode: advisory }} }} }}\n"
        assert Outcome.PASSED is suite_root.run(text).outcome


class TestHooks:
    """What plugins can add."""

    def test_seed(self, suite_root: Root) -> None:
        """More memory, in the vector's own store; a later label still counts as the change."""
        vector = suite_root.vector(f"- name: one\n  {USE}\n  {TRUST}\n")
        request = next(vector.decisions).request
        result = run(vector, hooks=RunHooks(seed=lambda gate: gate.seed("failure", request, summary="x") and None))
        assert ["verdict", "reason_codes"] == kinds(result)
        story = suite_root.vector(
            scenario(
                decide("verdict: TRUST", step_id="first"),
                "{ label: { decision: first, label: failure } }",
                decide("changed_from: { step: first, because: memory }"),
            )
        )

        def seed(gate: Gate) -> None:
            other = {**request, "action": {**request["action"], "amount": {"value": 300, "currency": "USD"}}}
            gate.seed("failure", other, summary="x")

        assert [] == kinds(run(story, hooks=RunHooks(seed=seed)))

    def test_request(self, suite_root: Root) -> None:
        """The request as it is sent."""

        def larger(request: JsonObject) -> JsonObject:
            return {**request, "action": {**request["action"], "amount": {"value": 300, "currency": "USD"}}}

        vector = suite_root.vector(f"- name: one\n  {USE}\n  {TRUST}\n")
        result = run(vector, hooks=RunHooks(request=larger))
        assert result.record is not None
        assert ("ACME_LARGE",) == result.record.reason_codes
        assert 300 == result.steps[0].request["action"]["amount"]["value"]

    def test_compare(self, suite_root: Root) -> None:
        """Further drifts."""

        def compare(expect: Expectation, record: DecisionRecord) -> list[Drift]:
            return [Drift(kind=DriftKind.CUSTOM, path="x", message=f"{expect.verdict} {record.verdict}")]

        vector = suite_root.vector(f"- name: one\n  {USE}\n  {TRUST}\n")
        result = run(vector, hooks=RunHooks(compare=compare))
        assert ["custom"] == kinds(result)
        assert "TRUST TRUST" == result.drifts[0].message


class TestSettle:
    """How a result counts once `xfail` is considered."""

    TODAY = date(2026, 3, 1)

    def settled(self, suite_root: Root, xfail: str, expect: str) -> Outcome:
        """Return the outcome."""
        text = f"- name: one\n  {xfail}\n  {USE}\n  {expect}\n"
        return settle(run(suite_root.suite(text).vectors[0]), today=self.TODAY)[0]

    @pytest.mark.parametrize(
        ("xfail", "expect", "outcome"),
        [
            ("why: plain", TRUST, Outcome.PASSED),
            ("why: plain", "expect: { reason_codes: [ACME_LARGE] }", Outcome.FAILED),
            ("xfail: { reason: known }", "expect: { reason_codes: [ACME_LARGE] }", Outcome.XFAILED),
            ("xfail: { reason: known }", TRUST, Outcome.FAILED),
            (
                "xfail: { reason: known, until: '2026-03-01' }",
                "expect: { reason_codes: [ACME_LARGE] }",
                Outcome.XFAILED,
            ),
            ("xfail: { reason: known, until: '2026-02-28' }", "expect: { reason_codes: [ACME_LARGE] }", Outcome.FAILED),
            ("xfail: { reason: known, until: '2026-02-28' }", TRUST, Outcome.FAILED),
            ("xfail: { reason: known }", "expect: {}", Outcome.INVALID),
        ],
    )
    def test_settle(self, suite_root: Root, xfail: str, expect: str, outcome: Outcome) -> None:
        """Strict, and never for ever."""
        assert outcome is self.settled(suite_root, xfail, expect)


class TestContract:
    """Every record a vector produces is held against its contract."""

    @pytest.mark.parametrize(
        ("field", "value", "path"),
        [
            ("decision_id", "not-a-ulid", "decision_id"),
            ("created_at", "2026-01-15T12:00:00.001Z", "created_at"),
            ("inputs_digest", "sha256:short", "determinism.inputs_digest"),
            ("memory_snapshot", "mem0:x", "determinism.memory_snapshot"),
            ("memory_snapshot", "unavailable", "determinism.memory_snapshot"),
        ],
    )
    def test_volatile_fields(
        self, suite_root: Root, monkeypatch: pytest.MonkeyPatch, field: str, value: str, path: str
    ) -> None:
        """Left out of comparisons, never out of checks."""
        real = Gate.decide
        changed = {field: value}
        monkeypatch.setattr(Gate, "decide", lambda gate, request: dataclasses.replace(real(gate, request), **changed))
        result = suite_root.run(f"- name: one\n  {USE}\n  {TRUST}\n")
        assert [("contract", path)] == [(drift.kind, drift.path) for drift in result.drifts]

    def test_the_hash_of_the_policy(self, suite_root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        """It says what decided, so it is looked at where no vector expects it."""
        real = Gate.decide

        def spoilt(gate: Gate, request: JsonObject) -> DecisionRecord:
            record = real(gate, request)
            return dataclasses.replace(record, policy=dataclasses.replace(record.policy, policy_hash="sha256:short"))

        monkeypatch.setattr(Gate, "decide", spoilt)
        result = suite_root.run(f"- name: one\n  {USE}\n  {TRUST}\n")
        assert ("contract", "policy.policy_hash") in [(drift.kind, drift.path) for drift in result.drifts]

    def test_the_schema(self, suite_root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        """A record that breaks it is drift, whatever the vector expects."""
        real = DecisionRecord.to_dict
        monkeypatch.setattr(DecisionRecord, "to_dict", lambda record: {**real(record), "surprise": 1})
        result = suite_root.run(f"- name: one\n  {USE}\n  {TRUST}\n")
        assert ["contract"] == kinds(result)
        assert "the record breaks its schema" in result.drifts[0].message


def test_a_passing_run_loads_nothing_heavy(suite_root: Root) -> None:
    """deepdiff, jsonschema and rich are for those who read about a failure."""
    path = suite_root.write("vectors/a.json", "{}")
    text = f"{HEAD}vectors:\n  - {{ name: one, {USE}, {TRUST} }}\n"
    yaml = suite_root.write("vectors/b.yaml", text)
    path.unlink()
    script = (
        "import sys; from pathlib import Path; from lumyn.vectors import load_suite, run\n"
        "(vector,) = load_suite(Path(sys.argv[1]), root=Path(sys.argv[2])).vectors\n"
        "assert run(vector).outcome == 'passed'\n"
        "print(*sorted({'deepdiff', 'jsonschema', 'rich', 'typer', 'sqlite_utils', 'pytest'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(yaml), str(suite_root.path)],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert "" == done.stdout.strip()


def test_step_outcomes_and_names(suite_root: Root) -> None:
    """A step is called by its id, else by its verb."""
    result = suite_root.run(scenario(decide("verdict: TRUST", step_id="first"), "{ advance: P1D }"))
    assert ["first", "advance"] == [step.name for step in result.steps]
    assert {StepOutcome.PASSED} == {step.outcome for step in result.steps}


def test_an_unexpected_exception_is_not_swallowed(suite_root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect is not drift, and no vector passes over it."""

    def broken(gate: Gate, request: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Gate, "decide", broken)
    vector = suite_root.vector(f"- name: one\n  {USE}\n  {TRUST}\n")
    with pytest.raises(RuntimeError):
        run(vector)


def test_loading_with_a_relative_root(suite_root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are resolved once, when the file is read."""
    suite_root.write("vectors/a.yaml", f"{HEAD}vectors:\n  - {{ name: one, {USE}, {TRUST} }}\n")
    monkeypatch.chdir(suite_root.path)
    suite = load_suite(Path("vectors/a.yaml"), root=Path())
    assert "vectors/a.yaml" == suite.file
    assert Outcome.PASSED is run(suite.vectors[0]).outcome
