"""
What an observer is told of a decision, once that is durable.
Must not know where it goes, nor anything that a request held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from lumyn.model import Verdict

__all__ = ["Decided", "Observation", "Observer"]


class Decided(Protocol):
    """The part of a record that may leave it: names that the operator chose, digests and the outcome."""

    @property
    def decision_id(self) -> str: ...

    @property
    def created_at(self) -> str: ...

    @property
    def verdict(self) -> Verdict: ...

    @property
    def reason_codes(self) -> tuple[str, ...]: ...

    @property
    def policy_id(self) -> str: ...

    @property
    def policy_version(self) -> str: ...

    @property
    def policy_hash(self) -> str: ...

    @property
    def persisted(self) -> bool: ...

    @property
    def dry_run(self) -> bool: ...

    @property
    def permits(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """
    One call of `decide` that came to a record.

    Attributes:
        record: Durable by now, unless its `persisted` says otherwise.
        elapsed_ns: From the call to the record, in nanoseconds.
        repeated: Whether the `request_id` had been decided before, and this is that record again.
    """

    record: Decided
    elapsed_ns: int
    repeated: bool


Observer: TypeAlias = Callable[[Observation], object]
"""
Told of each record after it is durable, before `decide` returns, in the caller's thread. It must not raise: the record
stands, and the caller of `decide` would get the exception in its place, and so not act.
"""
