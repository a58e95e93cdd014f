"""
The world one vector runs in: a fresh store, seeded memory, a pinned clock, repeatable ids and a gate.
Nothing is shared with another vector; must not know what is expected to come out.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from lumyn.core.clock import FixedClock, SeededIds
from lumyn.core.decide import Gate
from lumyn.engine.redaction import RedactionPolicy
from lumyn.errors import InvalidRequestError, InvalidVectorError, Problem
from lumyn.policy.checks import quoted
from lumyn.policy.spec import Policy
from lumyn.store import Store, open_store
from lumyn.store.scratch import ScratchStore
from lumyn.vectors.faults import FaultStore
from lumyn.vectors.format import MemorySeed, RestartStep, StorageFault, Vector

if TYPE_CHECKING:
    from typing import Self

__all__ = ["World"]

_REDACTION: Final = RedactionPolicy()
_SYNCHRONOUS: Final = "NORMAL"
"""The store does not outlive the vector, so nothing waits for the disk."""


class World:
    """
    What one vector runs in; a context manager that leaves nothing behind.

    Attributes:
        gate: In front of the store, with the policy in force.
        clock: Pinned to the vector's time.
        labelled: `seq` of the memory item of each label that a step gave or took back, in order.
    """

    gate: Gate

    def __init__(self, vector: Vector, policy: Policy) -> None:
        self._vector = vector
        self._policy = policy
        self._fault = StorageFault.OK
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._file: Path | None = None
        self._ids = SeededIds(vector.vector_id)
        self.clock = FixedClock(vector.clock)
        self.labelled: list[int] = []

    def __enter__(self) -> Self:
        if any(isinstance(step, RestartStep) for step in self._vector.steps):
            self._folder = tempfile.TemporaryDirectory(prefix="lumyn-vector-", ignore_cleanup_errors=True)
            self._file = Path(self._folder.name, "lumyn.db")
        self._open(create=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.close()
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    @property
    def store(self) -> Store:
        """The vector's own store."""
        return self.gate.store

    def seed(self) -> None:
        """
        Put the vector's experience into memory, through the path that `lumyn label` takes.

        Raises:
            InvalidVectorError: The request of an item is not a valid one.
        """
        for item in self._vector.memory:
            try:
                self.gate.seed(item.label, item.request, summary=item.summary)
            except InvalidRequestError as error:
                raise InvalidVectorError(_seed_problems(item, error)) from None

    def swap(self, policy: Policy) -> None:
        """Put another policy in force."""
        self._policy = policy
        self.gate = self.gate.with_policy(policy)

    def restart(self) -> None:
        """Close the store and open it from its file again, with a new gate, as a new process would."""
        self.gate.close()
        self._open(create=False)

    def fault(self, storage: StorageFault) -> None:
        """Break the store, or heal it; this lasts through a restart."""
        self._fault = storage
        store = self.gate.store
        if isinstance(store, FaultStore):
            store.fault = storage

    def _open(self, *, create: bool) -> None:
        store: Store
        if self._file is None:
            store = ScratchStore()
        else:
            store = open_store(f"sqlite:///{self._file}", create=create, synchronous=_SYNCHRONOUS)
        if self._vector.is_scenario:
            faulty = FaultStore(store)
            faulty.fault = self._fault
            store = faulty
        self.gate = Gate.open(
            policy=self._policy,
            store=store,
            mode=self._vector.mode,
            clock=self.clock,
            ids=self._ids,
            redaction=_REDACTION,
        )


def _seed_problems(item: MemorySeed, error: InvalidRequestError) -> list[Problem]:
    name = "an item of `memory`" if item.name is None else f"memory item {quoted(item.name)}"
    return [
        Problem(
            code=problem.code,
            message=f"the request of {name} is not valid: {quoted(problem.pointer or '/')}: {problem.message}",
            pointer=problem.pointer,
            span=item.span,
            hint=problem.hint,
        )
        for problem in error.problems
    ]
