"""
Runs one vector through the same `decide()` that production runs, and says what drifted.
Every vector has a world of its own; must not know pytest, files of vectors or how results are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lumyn.core.clock import rfc3339
from lumyn.core.judge import judge
from lumyn.core.records import DecisionRecord, normalised
from lumyn.core.replay import ReplayStatus
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import InvalidVectorError, LumynError, Problem, StoreUnavailableError
from lumyn.model import DecisionRequest, JsonObject, Verdict
from lumyn.policy.spec import Policy
from lumyn.vectors.drift import Drift, DriftKind, compare, compare_error, malformed
from lumyn.vectors.format import (
    AdvanceStep,
    Cause,
    ChangedFrom,
    DecideStep,
    Expectation,
    FaultStep,
    LabelStep,
    PolicyStep,
    ReplayStep,
    RestartStep,
    RetractStep,
    Step,
    Vector,
)
from lumyn.vectors.seed import World

if TYPE_CHECKING:
    from lumyn.core.decide import Gate

__all__ = ["NO_HOOKS", "Outcome", "RunHooks", "StepOutcome", "StepResult", "VectorResult", "run", "settle"]


_KEPT_ITEMS: Final = 1_000
"""How many items of memory are kept of a decision that drifted."""


class Outcome(StrEnum):
    """
    How a vector came out.

    `PASSED`, `FAILED`: it ran. `INVALID`: it cannot run, and counts as failed. `SKIPPED`, `XFAILED`: as the file says.
    """

    PASSED = "passed"
    FAILED = "failed"
    INVALID = "invalid"
    SKIPPED = "skipped"
    XFAILED = "xfailed"


class StepOutcome(StrEnum):
    """How a step came out."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHooks:
    """
    What may take part in a run besides the vector itself.

    Attributes:
        seed: Called with the gate after the vector's own memory is in place; may put more into its store.
        request: Called with each request before it is decided; returns the one to decide.
        compare: Called with each expectation and record; returns further drifts.
    """

    seed: Callable[[Gate], None] | None = None
    request: Callable[[JsonObject], JsonObject] | None = None
    compare: Callable[[Expectation, DecisionRecord], Iterable[Drift]] | None = None


NO_HOOKS: Final = RunHooks()


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """
    What came of one step.

    Attributes:
        policy: In force when the step ran.
        request: What was asked, for a decide step.
        record: What came out of a decide or replay step, or None.
        error: The Lumyn error that was raised, expected or not, or None.
        labels: How many labels the scenario had given or taken back by then.
        memory: What a decision that drifted saw; None when it saw nothing, or too much to keep.
    """

    index: int
    step: Step
    outcome: StepOutcome
    policy: Policy
    request: JsonObject | None = None
    record: DecisionRecord | None = None
    error: LumynError | None = None
    drifts: tuple[Drift, ...] = ()
    labels: int = 0
    memory: MemorySnapshot | None = None

    @property
    def name(self) -> str:
        """The step's id, else its verb."""
        step_id = self.step.step_id if isinstance(self.step, DecideStep) else None
        return step_id or self.step.verb


@dataclass(frozen=True, kw_only=True)
class VectorResult:
    """
    What came of one vector.

    Attributes:
        steps: One for each step of the vector, those that were not run included; empty when it is invalid.
        problems: Why it cannot run; empty unless `outcome` is `INVALID`.
    """

    vector: Vector
    outcome: Outcome
    steps: tuple[StepResult, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """Every drift, in the order of the steps."""
        return tuple(drift for step in self.steps for drift in step.drifts)

    @property
    def failed_step(self) -> StepResult | None:
        """The step that drifted, or None."""
        return next((step for step in self.steps if step.outcome is StepOutcome.FAILED), None)

    @property
    def last_decision(self) -> StepResult | None:
        """The step to show: the one that drifted, else the last decision that was made."""
        decided = [step for step in self.steps if step.record is not None]
        return self.failed_step or (decided[-1] if decided else None)

    @property
    def record(self) -> DecisionRecord | None:
        """The record of `last_decision`, or None when an error was raised instead."""
        shown = self.last_decision
        return None if shown is None else shown.record


def run(vector: Vector, *, policy: Policy | None = None, hooks: RunHooks = NO_HOOKS) -> VectorResult:
    """
    Return what comes of `vector`: passed, failed with its drifts, or invalid with its problems.

    Args:
        policy: Decides first, in place of the one the vector was loaded with.
        hooks: What else takes part.

    Returns:
        Never raises for what the vector or its policy does; an exception is a defect or comes from a hook.
    """
    first = policy or vector.policy
    problems = vector.problems
    if not problems and (first is None or not vector.steps):
        problems = (Problem(code="POLICY_MISSING", message="no policy is named for this vector", span=vector.span),)
    if problems or first is None:
        return VectorResult(vector=vector, outcome=Outcome.INVALID, problems=problems)
    try:
        with World(vector, first) as world:
            world.seed()
            if hooks.seed is not None:
                hooks.seed(world.gate)
            results = _Run(vector, world, hooks).steps()
    except InvalidVectorError as error:
        return VectorResult(vector=vector, outcome=Outcome.INVALID, problems=error.problems)
    failed = any(result.outcome is not StepOutcome.PASSED for result in results)
    return VectorResult(vector=vector, outcome=Outcome.FAILED if failed else Outcome.PASSED, steps=tuple(results))


def settle(result: VectorResult, *, today: date) -> tuple[Outcome, str]:
    """
    Return how a result counts once `xfail` is considered, and the reason in words; empty where there is none.

    Strict: a vector that is expected to fail and passes has failed, and past its day it fails whatever comes out.
    An invalid vector never counts as an expected failure.
    """
    xfail = result.vector.xfail
    if xfail is None or result.outcome is Outcome.INVALID:
        return result.outcome, ""
    if xfail.expired(today):
        return Outcome.FAILED, f"expected to fail until {xfail.until}, which has passed: {xfail.reason}"
    if result.outcome is Outcome.PASSED:
        return Outcome.FAILED, f"expected to fail, and passes: {xfail.reason}"
    return Outcome.XFAILED, xfail.reason


@dataclass(slots=True)
class _Run:
    """The steps of one vector, one after the other; the first that drifts ends it."""

    vector: Vector
    world: World
    hooks: RunHooks
    decided: dict[str, StepResult] = field(default_factory=dict)
    made_at: dict[str, str] = field(default_factory=dict)

    def steps(self) -> list[StepResult]:
        results: list[StepResult] = []
        ended = False
        for index, step in enumerate(self.vector.steps):
            if ended:
                results.append(self._result(index, step, (), outcome=StepOutcome.NOT_RUN))
                continue
            result = self._step(index, step)
            results.append(result)
            ended = result.outcome is StepOutcome.FAILED
        return results

    def _step(self, index: int, step: Step) -> StepResult:
        if isinstance(step, DecideStep):
            return self._decide(index, step)
        try:
            drifts = self._act(index, step)
        except LumynError as error:
            message = f"`{step.verb}` raised {error.reason_code}: {error.message}"
            drifts = [Drift(kind=DriftKind.STEP, path=step.verb, message=message, step=index)]
            return self._result(index, step, drifts, error=error)
        return self._result(index, step, drifts)

    def _act(self, index: int, step: Step) -> Sequence[Drift]:
        world = self.world
        match step:
            case LabelStep():
                decision_id = self._decision_id(step.decision)
                item = world.gate.label(decision_id, step.label, note=step.note, actor=step.actor)
                world.labelled.append(item.seq)
            case RetractStep():
                target = self._decision_id(step.decision)
                item = world.gate.retract(target, label=step.label, reason=step.reason, actor=step.actor)
                world.labelled.append(item.seq)
            case AdvanceStep():
                world.clock.advance(step.by)
            case RestartStep():
                world.restart()
            case PolicyStep():
                world.swap(step.policy)
            case FaultStep():
                world.fault(step.storage)
            case ReplayStep():
                return list(self._replay(index, step))
            case DecideStep():
                raise TypeError("a decide step is not an act")
        return ()

    def _decide(self, index: int, step: DecideStep) -> StepResult:
        request = step.request if self.hooks.request is None else self.hooks.request(step.request)
        try:
            record = self.world.gate.decide(request)
        except LumynError as error:
            drifts = compare_error(step.expect, error, step=index)
            return self._result(index, step, drifts, request=request, error=error)
        created_at = self.made_at.setdefault(record.decision_id, rfc3339(self.world.clock.now_ms()))
        document = record.to_dict()
        found = malformed(record, document, created_at, step=index)
        found += compare(step.expect, normalised(document), step=index)
        if self.hooks.compare is not None:
            found += self.hooks.compare(step.expect, record)
        result = self._result(index, step, found, request=request, record=record)
        if step.expect.changed_from is not None:
            drift = self._changed_from(step.expect, step.expect.changed_from, result)
            result = (
                result if drift is None else self._result(index, step, [*found, drift], request=request, record=record)
            )
        if step.step_id is not None:
            self.decided[step.step_id] = result
        return result

    def _replay(self, index: int, step: ReplayStep) -> Iterator[Drift]:
        replay = self.world.gate.replay(self._decision_id(step.decision))
        if replay.status is not ReplayStatus.FULL:
            message = f"`{step.decision}` cannot be decided again: {replay.reason}"
            yield Drift(kind=DriftKind.REPLAY, path="replay", message=message, step=index)
        for difference in replay.differences:
            yield Drift(
                kind=DriftKind.REPLAY,
                path=difference.path,
                expected=difference.stored,
                actual=difference.replayed,
                step=index,
            )

    def _decision_id(self, step_id: str) -> str:
        record = self.decided[step_id].record if step_id in self.decided else None
        if record is None:
            raise StoreUnavailableError(f"step `{step_id}` made no record", detail="DECISION_MISSING")
        return record.decision_id

    def _changed_from(self, expect: Expectation, change: ChangedFrom, now: StepResult) -> Drift | None:
        """Return None when the verdict differs from the earlier one for exactly the reason that is claimed."""
        earlier = self.decided.get(change.step)
        if earlier is None or earlier.record is None or now.record is None:
            return _not_changed(expect, now.index, f"step `{change.step}` made no record")
        before, after = earlier.record.verdict, now.record.verdict
        if before is after:
            return _not_changed(expect, now.index, f"the verdict is {after}, as in step `{change.step}`")
        try:
            without = self._counterfactual(change.because, earlier, now)
        except LumynError as error:
            return _not_changed(expect, now.index, f"why it changed cannot be told: {error.message}")
        if without is before:
            return None
        message = f"without the change of {change.because} the verdict would be {without}, not {before} as before"
        return _not_changed(expect, now.index, message)

    def _counterfactual(self, cause: Cause, earlier: StepResult, now: StepResult) -> Verdict:
        """Return the verdict of `now` with one of policy, memory and request put back to what it was in `earlier`."""
        policy = earlier.policy if cause is Cause.POLICY else now.policy
        source = earlier if cause is Cause.REQUEST else now
        labelled_since = set(self.world.labelled[earlier.labels :]) if cause is Cause.MEMORY else set[int]()
        request = self._parsed(source)
        items = self.world.store.memory_items(request.tenant_id, request.action_type)
        memory = MemorySnapshot(item for item in items if item.seq not in labelled_since)
        plan = compile_policy(policy).plan(request.action_type)
        return judge(plan, request, memory).evaluation.verdict

    def _parsed(self, result: StepResult) -> DecisionRequest:
        return self.world.gate.parse(result.request or {}).request

    def _result(
        self,
        index: int,
        step: Step,
        drifts: Sequence[Drift],
        *,
        outcome: StepOutcome | None = None,
        request: JsonObject | None = None,
        record: DecisionRecord | None = None,
        error: LumynError | None = None,
    ) -> StepResult:
        return StepResult(
            index=index,
            step=step,
            outcome=outcome or (StepOutcome.FAILED if drifts else StepOutcome.PASSED),
            policy=self.world.policy,
            request=request,
            record=record,
            error=error,
            drifts=tuple(drifts),
            labels=len(self.world.labelled),
            memory=None if request is None or record is None or not drifts else self._memory(request, record),
        )

    def _memory(self, request: JsonObject, record: DecisionRecord) -> MemorySnapshot | None:
        """Return what a decision that was just made saw; None when it saw nothing, or too much to keep."""
        _, _, rest = record.memory_snapshot.partition(":")
        count, _, _ = rest.partition(":")
        if not count.isdecimal() or not 0 < int(count) <= _KEPT_ITEMS:
            return None
        try:
            asked = self.world.gate.parse(request).request
            return MemorySnapshot(self.world.store.memory_items(asked.tenant_id, asked.action_type))
        except LumynError:
            return None


def _not_changed(expect: Expectation, index: int, message: str) -> Drift:
    return Drift(
        kind=DriftKind.CHANGED_FROM,
        path="changed_from",
        message=message,
        origin=(*expect.path, "changed_from"),
        step=index,
    )
