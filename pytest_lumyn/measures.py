"""
What coverage and mutation of one policy come to, as plain data: taken from an earlier run of the very same, else made.
A run that finds all of it kept loads nothing of the analysis; must not know how it is made, shown or gated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lumyn.model import JsonObject
from lumyn.vectors.decided import Decided
from pytest_lumyn.cache import Cache
from pytest_lumyn.garbage import unwalked
from pytest_lumyn.report import named_policy

if TYPE_CHECKING:
    from lumyn.policy.spec import Policy

__all__ = ["DefectError", "Measured", "Measures", "Subject", "Told"]


class DefectError(Exception):
    """A defect of Lumyn: nothing was measured."""


class Measured(NamedTuple):
    """
    What a terminal shows and thresholds are held against.

    Attributes:
        coverage: Lines; None where only mutation was asked for.
        mutation: Lines.
        grave: Whether the second of them tells of a new path to `TRUST`.
        goals: Criterion -> what terminals call it, how many goals are covered, how many there are.
        killed: Mutants that are noticed or accepted.
        stale: Ids the baseline accepts for nothing, each with why that is.
        open: Whether an edit survives, or a goal that is shown is not met.
    """

    coverage: list[str] | None
    mutation: list[str]
    grave: bool
    goals: dict[str, tuple[str, int, int]]
    killed: int
    killable: int
    new_trust: int
    stale: list[str]
    open: bool


class Told(NamedTuple):
    """What reports hold of it: `report.run.Strength` in short, and the JSON of coverage and of mutation."""

    strength: JsonObject
    coverage: JsonObject | None
    mutation: JsonObject


class Subject(NamedTuple):
    """A policy as it was read; `file` is what places in it are called by."""

    policy_hash: str
    policy_id: str
    policy_version: str
    source: str
    file: str

    @classmethod
    def of(cls, policy: Policy) -> Subject:
        """Return a policy's."""
        file = named_policy(policy)["file"]
        return cls(policy.policy_hash, policy.policy_id, policy.policy_version, policy.source, file)

    @property
    def name(self) -> str:
        """The policy for people."""
        return f"{self.policy_id} {self.policy_version}"


class Measures:
    """
    Measures policies, and keeps what came of it for the next run.

    Two things are kept. What vectors amount to counts as long as all of it is the same: the text of the policy and its
    file, every decision and what is expected of it, in order, what was asked for, what is accepted. What is known of
    the policy itself, such as which of its mutants nobody can tell from it, counts as long as the policy says the same
    in the same order: comments and white space do not count. Whatever code had a part in either is sealed with it.
    """

    def __init__(self, cache: Cache | None, *, coverage: bool, scope: str, reporting: bool) -> None:
        """
        Args:
            reporting: Whether more is wanted than a terminal shows.
        """
        self._cache = cache
        self._coverage = coverage
        self._scope = scope
        self._reporting = reporting

    def of(
        self,
        subject: Subject,
        policy: Callable[[], Policy],
        decisions: Sequence[Decided],
        accepted: Mapping[str, str],
    ) -> tuple[Measured, Told | None] | None:
        """
        Return what the decisions of a policy's vectors amount to; None where none of them can be looked at.

        Args:
            policy: Returns the policy; called only where something has to be made.

        Raises:
            DefectError: The analysis contradicts the engine, or itself.
        """
        place = f"{self._scope}:{'coverage' if self._coverage else 'mutation'}:{subject.file}"
        digest = _digest(subject, self._scope, self._coverage, [*accepted.items()], *decisions)
        kept = None if digest is None else self._kept(place, digest)
        if kept is not None:
            return kept
        loaded = policy()
        # All of a policy but the places of its parts follows from the document, in the order in which it is written.
        about, known = _digest(loaded.document, self._scope), f"known:{self._scope}:{subject.file}"
        with unwalked():
            from pytest_lumyn.measuring import measure

            found = measure(
                loaded,
                decisions,
                coverage=self._coverage,
                scope=self._scope,
                accepted=accepted,
                reporting=self._reporting,
                known=self._entry(known, about),
            )
        self._put(known, about, found.known)
        if found.measured is None:
            return None
        self._put(f"measured:{place}", digest, found.measured)
        self._put(f"told:{place}", digest, found.told)
        return found.measured, found.told

    def _kept(self, place: str, digest: str) -> tuple[Measured, Told | None] | None:
        measured = self._entry(f"measured:{place}", digest)
        told = self._entry(f"told:{place}", digest) if self._reporting and measured is not None else None
        if measured is None or (self._reporting and told is None):
            return None
        return Measured(*measured), None if told is None else Told(*told)

    def _entry(self, name: str, digest: str | None) -> JsonObject | list[object] | None:
        lines = None if self._cache is None else self._cache.get(name)
        if lines is None or lines[0] != digest:
            return None
        kept: JsonObject | list[object] = json.loads(lines[1])
        return kept

    def _put(self, name: str, digest: str | None, content: object) -> None:
        if self._cache is not None and digest is not None and content is not None:
            self._cache.put(name, [digest, json.dumps(content, separators=(",", ":"))])


def _digest(*parts: object) -> str | None:
    """Return a digest of plain data; None for what is not plain, which a hook may have put into a request."""
    taken = hashlib.sha256()
    try:
        for part in parts:
            taken.update(json.dumps(part, separators=(",", ":")).encode() + b"\n")
    except (TypeError, ValueError):
        return None
    return taken.hexdigest()
