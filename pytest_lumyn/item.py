"""
One vector as a pytest item: its marks, its line, running it, and what pytest shows when it fails.
Must not know how files are found or what a whole run amounts to.
"""

from __future__ import annotations

import copy
import os
import shlex
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest

from lumyn.core.deciding import DEFAULT_RULE
from lumyn.model import JsonObject
from lumyn.report.text import plain, render
from lumyn.vectors.drift import Drift, DriftKind
from lumyn.vectors.format import Expectation, Vector
from lumyn.vectors.packing import PackedVector
from lumyn.vectors.runner import NO_HOOKS, Outcome, RunHooks, StepResult, VectorResult, run, settle
from lumyn.vectors.update import acceptance
from pytest_lumyn.calling import HookFailedError, call, guarded
from pytest_lumyn.failure import TEXT_WIDTH, drift_failure, error_failure

if TYPE_CHECKING:
    from pluggy import HookRelay

    from lumyn import DecisionRecord, Gate
    from lumyn.policy.spec import Policy

__all__ = ["VectorDriftError", "VectorError", "VectorInvalidError", "VectorItem", "deciding_ids", "shown_step"]


_EXPANDED = frozenset('"$`\\!')
"""What shells read inside double quotes; where there is none of it, those work in every shell."""


class VectorSource(Protocol):
    """
    The collector of a file of vectors.

    Attributes:
        shown_path: The file as pytest shows it, once an item has asked for it.
    """

    shown_path: str | None

    @property
    def ihook(self) -> HookRelay: ...

    def ready(self, packed: PackedVector) -> Vector: ...

    def whole(self, packed: PackedVector) -> Vector: ...

    def policy_of(self, packed: PackedVector) -> Policy: ...


class VectorError(Exception):
    """
    A vector counts as failed.

    Attributes:
        result: What came of it.
        reason: Why it counts as failed although it passed, or what else to say of its drift; may be empty.
    """

    def __init__(self, result: VectorResult, reason: str = "") -> None:
        super().__init__(result.vector.node_id)
        self.result = result
        self.reason = reason


class VectorDriftError(VectorError):
    """A vector did not come out as expected; the one failure that `xfail` excuses."""


class VectorInvalidError(VectorError):
    """A vector cannot run."""


class VectorItem(pytest.Item):
    """
    A vector, a row of a table, or a scenario.

    Attributes:
        short: What was known of the vector when it was collected.
        result: What came of it; None until it has run, and again once a vector that passed was reported.
    """

    def __init__(
        self,
        *,
        name: str,
        parent: pytest.Collector,
        vector: Vector | PackedVector,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        # Left to itself pytest 9.2 takes the brackets of a row for part of its name, reads them back as parameters,
        # and `--lf` and `--sw` leave rows that failed out (pytest-dev/pytest#15045). Given as text, both agree.
        super().__init__(name=name, parent=parent, nodeid=f"{parent.nodeid}::{name}", **kwargs)
        self.short = vector
        self.result: VectorResult | None = None
        self._running: Vector
        self._mark()

    @property
    def vector(self) -> Vector:
        """The vector with all that explains it; reads its file again. Raises LumynError if that has changed since."""
        short = self.short
        return short if isinstance(short, Vector) else self._file.whole(short)

    @property
    def policy(self) -> Policy | None:
        """The policy that decides first; costs no reading of the vector's file."""
        short = self.short
        return short.policy if isinstance(short, Vector) else self._file.policy_of(short)

    @property
    def ihook(self) -> HookRelay:
        """The hooks that hold for this item: those of its file."""
        return self._file.ihook

    @cached_property
    def location(self) -> tuple[str, int | None, str]:
        """Where the item is, for reports: `reportinfo` with the path as pytest shows it, found once for a file."""
        file = self._file
        if file.shown_path is None:
            file.shown_path = super().location[0]
        _, line, name = self.reportinfo()
        return file.shown_path, line, name

    @property
    def _file(self) -> VectorSource:
        return cast("VectorSource", self.parent)

    def _mark(self) -> None:
        vector = self.short
        for tag in vector.tags or (None,):
            self.add_marker(_marker(vector.suite, tag))
        self.extra_keyword_matches.update(vector.tags)
        for name in vector.marks:
            self.add_marker(getattr(pytest.mark, name))
        if vector.skip is not None:
            self.add_marker(pytest.mark.skip(reason=vector.skip))
        xfail = vector.xfail
        if xfail is not None and not xfail.expired(_today()):
            self.add_marker(pytest.mark.xfail(reason=xfail.reason, raises=VectorDriftError, strict=True))

    def runtest(self) -> None:
        """Decide every step; raises VectorDriftError unless each came out as expected."""
        result = self.result = self._result()
        said = self.user_properties
        if said:  # by whoever marked the vector, or by an earlier run of it
            said[:] = [each for each in said if not each[0].startswith("lumyn_")]
        said += properties(result)
        if result.outcome is Outcome.INVALID:
            raise VectorInvalidError(result)
        xfail = self.short.xfail
        expired = xfail is not None and xfail.expired(_today())
        if result.outcome is not Outcome.PASSED or expired:
            raise VectorDriftError(result, settle(result, today=_today())[1] if expired else "")

    def run_again(self, vector: Vector) -> VectorResult:
        """Return what comes of this item with another reading of its vector; its own result stays as it is."""
        own, self.short = self.short, vector
        self._running = vector
        try:
            return run(vector, hooks=self._run_hooks())
        finally:
            self.short = own

    def teardown(self) -> None:
        """Let go of what nobody asks for any more: of ten thousand vectors that pass, ten thousand records."""
        if self.result is not None and self.result.outcome is Outcome.PASSED:
            self.result = None

    def _result(self) -> VectorResult:
        """
        Return what comes of the vector.

        A vector that passes was run from what was kept in short. One that does not is read from its file and run once
        more, so that what is said of it is what the file says. Hooks are called once: with them it is read at once.
        """
        short, hooks = self.short, self._run_hooks()
        if isinstance(short, PackedVector) and hooks is NO_HOOKS:
            result = run(self._file.ready(short))
            if result.outcome is Outcome.PASSED:
                return result
        self._running = self.vector
        return run(self._running, hooks=hooks)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, the 0-based line of the case or row, and a name."""
        noun = "scenario" if self.short.is_scenario else "vector"
        return self.path, self.short.span.line - 1, f"{noun} {self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None) -> Any:  # noqa: ANN401 (pytest's type has no public name)
        """Return what pytest shows: the drift, or an unexpected error with only the frames that matter."""
        error = excinfo.value
        if isinstance(error, VectorError):
            rerun, accept = self._rerun(), self._accept(error.result)
            return drift_failure(error.result, error.reason, self.config, rerun=rerun, accept=accept)
        if self.config.getoption("fulltrace", False):
            return super().repr_failure(excinfo)
        if isinstance(error, HookFailedError):
            return error_failure(self.short, error.cause, self.config, said=str(error))
        return error_failure(self.short, error, self.config)

    def explain(self) -> list[str]:
        """Return why the vector failed as lines of plain text, or nothing where it has no result."""
        if self.result is None:
            return []
        return plain(render(self.result, width=TEXT_WIDTH, rerun=self._rerun())).split("\n")

    def _rerun(self) -> str:
        """Return the command that runs this vector again, from where pytest was started."""
        policy = self.config.getoption("lumyn_policy")
        override = f" --lumyn-policy={quoted(policy)}" if policy else ""
        return f"{self._command()}{override}"

    def _accept(self, result: VectorResult) -> str | None:
        """Return the command that accepts what came out, why there is none, or None where it makes no sense to ask."""
        if result.outcome is not Outcome.FAILED or self.config.getoption("lumyn_policy"):
            return None
        return acceptance(result, self._command())

    def _command(self) -> str:
        path = Path(os.path.relpath(self.path, self.config.invocation_params.dir)).as_posix()
        return f"pytest {quoted(f'{path}::{self.name}')} --lumyn-vectors"

    def _run_hooks(self) -> RunHooks:
        hooks = self.ihook
        seed = hooks.pytest_lumyn_seed_memory.get_hookimpls()
        request = hooks.pytest_lumyn_request.get_hookimpls()
        compare = hooks.pytest_lumyn_compare.get_hookimpls()
        if not (seed or request or compare):
            return NO_HOOKS
        return RunHooks(
            seed=self._seed if seed else None,
            request=self._edit_request if request else None,
            compare=self._compare if compare else None,
        )

    def _seed(self, gate: Gate) -> None:
        call(self.ihook.pytest_lumyn_seed_memory, item=self, gate=gate)

    def _edit_request(self, request: JsonObject) -> JsonObject:
        own = copy.deepcopy(request)
        call(self.ihook.pytest_lumyn_request, item=self, request=own)
        return own

    def _compare(self, expect: Expectation, record: DecisionRecord) -> Iterator[Drift]:
        expected = copy.deepcopy(expect.document)
        vector = self._running
        decisions = vector.decisions
        step = next(vector.steps.index(decision) for decision in decisions if decision.expect is expect)
        hook = self.ihook.pytest_lumyn_compare

        def ask() -> list[str]:
            answers: list[Iterable[str] | None] = hook(item=self, expected=expected, record=record)
            found = (() if answer is None else [answer] if isinstance(answer, str) else answer for answer in answers)
            return [str(message) for each in found for message in each]

        for message in guarded(hook.name, ask, may_skip=False):
            yield Drift(kind=DriftKind.CUSTOM, path="", message=message, origin=expect.path, step=step)


@lru_cache(maxsize=1024)
def _marker(suite: str, tag: str | None) -> pytest.MarkDecorator:
    """Return the mark that many items share."""
    named = {} if tag is None else {"tag": tag}
    return pytest.mark.lumyn(suite=suite, **named)


def quoted(text: str) -> str:
    """Return `text` as one word of a shell's command line."""
    return shlex.quote(text) if _EXPANDED.intersection(text) else f'"{text}"'


def properties(result: VectorResult) -> Iterator[tuple[str, str]]:
    """Yield what a JUnit file says of a vector: the last decision, and the rules whose effect is the verdict."""
    step = shown_step(result)
    if step is None:
        return
    if step.error is not None:
        yield "lumyn_error", step.error.reason_code
    if step.record is not None:
        record = step.record
        yield "lumyn_verdict", record.verdict.value
        yield "lumyn_reason_codes", ", ".join(record.reason_codes)
        yield "lumyn_rule", ", ".join(deciding_ids(record))
    yield "lumyn_policy_hash", step.policy.policy_hash


def shown_step(result: VectorResult) -> StepResult | None:
    """Return the step that speaks for a vector: what drifted, else the last decision, else the error it ended in."""
    ended = (step for step in reversed(result.steps) if step.error is not None)
    return result.last_decision or next(ended, None)


def deciding_ids(record: DecisionRecord) -> list[str]:
    """Return the ids of the rules whose effect is the verdict; `default` where no rule fired."""
    return [rule.rule_id for rule in record.matched_rules if rule.effect is record.verdict] or [DEFAULT_RULE]


def _today() -> date:
    return datetime.now(UTC).date()
