"""
What a loaded golden vector is: its request, the memory it starts from, its steps and what must come out.
Immutable values; must not know YAML, how a file is found or how a vector is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from lumyn.documents import Document
from lumyn.errors import Problem, Span
from lumyn.model import JsonObject, JsonValue, Label, Mode, Verdict
from lumyn.policy.spec import Policy
from lumyn.vectors.origins import Origins, VectorPath

__all__ = [
    "ID_PATTERN",
    "SCHEMA_VERSION",
    "AdvanceStep",
    "ChangedFrom",
    "Cause",
    "DecideStep",
    "Expectation",
    "FaultStep",
    "LabelStep",
    "MemorySeed",
    "PolicyStep",
    "ReplayStep",
    "RestartStep",
    "RetractStep",
    "Step",
    "StorageFault",
    "Suite",
    "Vector",
    "XFail",
]

SCHEMA_VERSION: Final = "vector.v0"

ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
"""What a vector, row or step may be called (full match): it stands in a pytest node id, a file name and a shell."""


class StorageFault(StrEnum):
    """What a scenario can do to the store: `UNAVAILABLE` fails every call, `READ_ONLY` every write, `OK` none."""

    OK = "ok"
    READ_ONLY = "read_only"
    UNAVAILABLE = "unavailable"


class Cause(StrEnum):
    """Why a decision of a scenario may differ from an earlier one."""

    MEMORY = "memory"
    POLICY = "policy"
    REQUEST = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFrom:
    """An asserted change: the verdict differs from that of `step`, and `because` alone accounts for it."""

    step: str
    because: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """
    What must come out of one decision.

    Attributes:
        path: Where the expectation stands in the resolved vector.
        document: As written, after merging; for whoever rewrites or prints it.
        record: What the normalised record must hold -> expected value, in the forms of `vectors.expect`; keys are
            `verdict`, `reason_codes`, `matched_rules`, `queries`, `obligations`, `risk_signals`.
        subset: What else the normalised record must hold, or None.
        exact: The whole normalised record, read from the file that `record: {$exact: ...}` names, or None.
        error: Reason code of the Lumyn error that must be raised, or None; then nothing else is expected.
        error_problems: What the codes of the error's problems must be, or None.
        changed_from: The earlier step this decision must differ from, or None.
        verdict: The one expected verdict, or None when none or several are accepted.
        reason_codes: The exact reason codes, or None when they are not written as a bare list.
        missing: Nothing is expected yet, which no outcome meets; only where whoever loads the file allows it.
    """

    path: VectorPath
    document: JsonObject
    record: JsonObject
    subset: JsonObject | None = None
    exact: JsonObject | None = None
    error: str | None = None
    error_problems: JsonValue = None
    changed_from: ChangedFrom | None = None
    verdict: Verdict | None = None
    reason_codes: tuple[str, ...] | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideStep:
    """Ask for a decision on `request`; `step_id` names it for later steps."""

    step_id: str | None
    request: JsonObject
    expect: Expectation
    span: Span
    verb: str = "decide"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStep:
    """Label an earlier decision; the label becomes memory."""

    decision: str
    label: Label
    note: str | None
    actor: str | None
    span: Span
    verb: str = "label"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetractStep:
    """Take back the one label of an earlier decision that stands, or the one of this kind."""

    decision: str
    label: Label | None
    reason: str | None
    actor: str | None
    span: Span
    verb: str = "retract"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceStep:
    """Move the pinned clock forward; `text` is the duration as written."""

    by: timedelta
    text: str
    span: Span
    verb: str = "advance"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartStep:
    """Close the store and open it again from its file, as a new process would."""

    span: Span
    verb: str = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStep:
    """Re-evaluate an earlier decision against the memory and policy it saw; it must come out identical."""

    decision: str
    span: Span
    verb: str = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStep:
    """Put another policy in force from here on."""

    policy: Policy
    policy_file: str
    span: Span
    verb: str = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultStep:
    """Break the store, or heal it, from here on."""

    storage: StorageFault
    span: Span
    verb: str = "fault"


Step: TypeAlias = (
    "DecideStep | LabelStep | RetractStep | AdvanceStep | RestartStep | ReplayStep | PolicyStep | FaultStep"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySeed:
    """
    An experience that memory holds before the first step.

    Attributes:
        name: Name of the memory fixture, or None for an item written in place.
        request: The request that was labelled, complete.
    """

    name: str | None
    label: Label
    request: JsonObject
    summary: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class XFail:
    """A known drift: the vector must fail, for `reason`, and after the day `until` it counts as a failure again."""

    reason: str
    until: date | None = None

    def expired(self, today: date) -> bool:
        """Return whether `today` is past `until`."""
        return self.until is not None and today > self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """
    One test: a single decision, or a scenario of several steps that share a store.

    Attributes:
        vector_id: `name`, or `name[row]` for a row of a table; unique in its file.
        suite: Name of the suite: as written, else the file's name without its suffixes.
        file: The file as users name it: relative to the suite root, with forward slashes.
        span: The case, or its row of the table.
        path: The file itself.
        clock: The pinned time as written: RFC 3339 in UTC.
        policy: What decides first; None only in a vector with `problems`.
        policy_file: As the vector names it, or empty when another one was put in its place.
        memory: Seeded in this order before the first step.
        steps: At least one; exactly one `DecideStep` unless it is a scenario. Empty only with `problems`.
        marks: Names of pytest marks.
        tags: Words to select by.
        skip: Why it is not run, or None.
        proposed: Whether it only asks what should come out; such a vector is skipped and does not count.
        problems: What is wrong with it; such a vector cannot run and never passes.
        document: The vector after merging, as plain JSON data; never changed.
        origins: Where each value of `document` was written.
    """

    vector_id: str
    name: str
    row: str | None
    suite: str
    why: str
    file: str
    path: Path
    span: Span
    clock: str
    policy: Policy | None
    policy_file: str
    mode: Mode | None
    memory: tuple[MemorySeed, ...]
    steps: tuple[Step, ...]
    is_scenario: bool
    marks: tuple[str, ...]
    tags: tuple[str, ...]
    skip: str | None
    xfail: XFail | None
    document: JsonObject
    origins: Origins
    proposed: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def node_id(self) -> str:
        """`file::id`, as pytest prints it when the suite root is its root directory."""
        return f"{self.file}::{self.vector_id}"

    @property
    def decisions(self) -> Iterator[DecideStep]:
        """The steps that ask for a decision, in order."""
        return (step for step in self.steps if isinstance(step, DecideStep))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """
    The vectors of one file.

    Attributes:
        file: As users name it.
        digest: `sha256:` + hex of the file's bytes, to notice that it changed since.
        inputs: This file, and every `_defaults` file, policy and golden record that had a say, by its name in messages
            -> `sha256:` + hex of its bytes, or nothing where it could not be read.
        vectors: In file order, a table's rows in row order; those with problems included. At least one.
        shared: Fixtures declared in `_defaults` files above -> where; keys are (file, kind, name).
        shared_used: Those of `shared` that this file uses.
    """

    file: str
    path: Path
    name: str
    digest: str
    inputs: Mapping[str, str]
    document: Document
    vectors: tuple[Vector, ...]
    shared: dict[tuple[str, str, str], Span]
    shared_used: frozenset[tuple[str, str, str]]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything wrong with single vectors, each problem once, in the order of the vectors."""
        return tuple(dict.fromkeys(problem for vector in self.vectors for problem in vector.problems))
