"""
A loaded suite in short: of each vector what must be known before it runs, and the rest as one line of text.
Holds nothing of files, positions aside; must not know where packed suites are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final, assert_never

from lumyn.errors import Span
from lumyn.model import JsonValue, Label, Mode, Verdict
from lumyn.policy.spec import Policy
from lumyn.vectors.format import (
    AdvanceStep,
    Cause,
    ChangedFrom,
    DecideStep,
    Expectation,
    FaultStep,
    LabelStep,
    MemorySeed,
    PolicyStep,
    ReplayStep,
    RestartStep,
    RetractStep,
    Step,
    StorageFault,
    Suite,
    Vector,
    XFail,
)
from lumyn.vectors.origins import Origins
from lumyn.vectors.reading import duration

__all__ = ["PackedSuite", "PackedVector", "PolicyOf", "from_lines", "pack", "to_lines", "unpack"]

PolicyOf = Callable[[str], Policy]
"""Returns the policy of a name as vectors write it; of the empty name the one put in place of all."""

_DECODER: Final = json.JSONDecoder()
_NOWHERE: Final = Origins(())


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedVector:
    """
    A vector before it runs; the attributes are those of `Vector`.

    Attributes:
        body: What running it takes, as JSON text.
    """

    vector_id: str
    suite: str
    file: str
    span: Span
    is_scenario: bool
    marks: tuple[str, ...]
    tags: tuple[str, ...]
    skip: str | None
    xfail: XFail | None
    proposed: bool
    policy_file: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedSuite:
    """The vectors of one file; the attributes are those of `Suite`."""

    file: str
    digest: str
    inputs: Mapping[str, str]
    vectors: tuple[PackedVector, ...]
    shared: dict[tuple[str, str, str], Span]
    shared_used: frozenset[tuple[str, str, str]]


def pack(suite: Suite, policy_of: PolicyOf) -> PackedSuite | None:
    """
    Return a suite without problems in short, or None where that would not say the same.

    Every vector is unpacked again and compared, member by member: whatever is added to a vector and not packed shows
    here, and never as an expectation that is gone.
    """
    packed = tuple(_packed(vector) for vector in suite.vectors)
    for vector, short in zip(suite.vectors, packed, strict=True):
        if vector.problems or unpack(short, path=suite.path, policy_of=policy_of) != _bare(vector):
            return None
    return PackedSuite(
        file=suite.file,
        digest=suite.digest,
        inputs=suite.inputs,
        vectors=packed,
        shared=suite.shared,
        shared_used=suite.shared_used,
    )


def unpack(packed: PackedVector, *, path: Path, policy_of: PolicyOf) -> Vector:
    """
    Return the vector, ready to run, without what only explains it.

    Its `document` is empty, its `origins` lead nowhere, and all of its parts stand where the vector begins.
    """
    span = packed.span
    name, row, why, clock, mode, memory, steps = _DECODER.raw_decode(packed.body)[0]
    return Vector(
        vector_id=packed.vector_id,
        name=name,
        row=row,
        suite=packed.suite,
        why=why,
        file=packed.file,
        path=path,
        span=span,
        clock=clock,
        policy=policy_of(packed.policy_file),
        policy_file=packed.policy_file,
        mode=None if mode is None else Mode(mode),
        memory=tuple(
            MemorySeed(name=each, label=Label(label), request=request, summary=summary, span=span)
            for each, label, request, summary in memory
        ),
        steps=tuple(_read_step(step, span, policy_of) for step in steps),
        is_scenario=packed.is_scenario,
        marks=packed.marks,
        tags=packed.tags,
        skip=packed.skip,
        xfail=packed.xfail,
        document={},
        origins=_NOWHERE,
        proposed=packed.proposed,
    )


def _bare(vector: Vector) -> Vector:
    span = vector.span
    return replace(
        vector,
        document={},
        origins=_NOWHERE,
        memory=tuple(replace(seed, span=span) for seed in vector.memory),
        steps=tuple(replace(step, span=span) for step in vector.steps),
    )


def _packed(vector: Vector) -> PackedVector:
    body = [
        vector.name,
        vector.row,
        vector.why,
        vector.clock,
        vector.mode,
        [[seed.name, seed.label, seed.request, seed.summary] for seed in vector.memory],
        [_step(step) for step in vector.steps],
    ]
    return PackedVector(
        vector_id=vector.vector_id,
        suite=vector.suite,
        file=vector.file,
        span=vector.span,
        is_scenario=vector.is_scenario,
        marks=vector.marks,
        tags=vector.tags,
        skip=vector.skip,
        xfail=vector.xfail,
        proposed=vector.proposed,
        policy_file=vector.policy_file,
        body=json.dumps(body, separators=(",", ":")),
    )


def _step(step: Step) -> list[object]:
    match step:
        case DecideStep():
            return [step.verb, step.step_id, step.request, _expectation(step.expect)]
        case LabelStep():
            return [step.verb, step.decision, step.label, step.note, step.actor]
        case RetractStep():
            return [step.verb, step.decision, step.label, step.reason, step.actor]
        case AdvanceStep():
            return [step.verb, step.text]
        case RestartStep():
            return [step.verb]
        case ReplayStep():
            return [step.verb, step.decision]
        case PolicyStep():
            return [step.verb, step.policy_file]
        case FaultStep():
            return [step.verb, step.storage]
        case _:
            assert_never(step)


def _read_step(packed: list[Any], span: Span, policy_of: PolicyOf) -> Step:
    verb, *rest = packed
    match verb:
        case "decide":
            step_id, request, expect = rest
            return DecideStep(step_id=step_id, request=request, expect=_read_expectation(expect), span=span)
        case "label":
            decision, label, note, actor = rest
            return LabelStep(decision=decision, label=Label(label), note=note, actor=actor, span=span)
        case "retract":
            decision, label, reason, actor = rest
            kind = None if label is None else Label(label)
            return RetractStep(decision=decision, label=kind, reason=reason, actor=actor, span=span)
        case "advance":
            by = duration(rest[0])
            if by is None:
                raise ValueError("not a duration")
            return AdvanceStep(by=by, text=rest[0], span=span)
        case "restart":
            return RestartStep(span=span)
        case "replay":
            return ReplayStep(decision=rest[0], span=span)
        case "policy":
            return PolicyStep(policy=policy_of(rest[0]), policy_file=rest[0], span=span)
        case "fault":
            return FaultStep(storage=StorageFault(rest[0]), span=span)
    raise ValueError("not a step")


def _expectation(expect: Expectation) -> list[object]:
    change = expect.changed_from
    # What is compared is most often what is written, word for word.
    record = None if _same(expect.record, expect.document) else expect.record
    return [
        expect.path,
        expect.document,
        record,
        expect.subset,
        expect.exact,
        expect.error,
        expect.error_problems,
        None if change is None else [change.step, change.because],
        expect.verdict,
        expect.reason_codes,
    ]


def _read_expectation(packed: list[Any]) -> Expectation:
    path, document, record, subset, exact, error, error_problems, change, verdict, reason_codes = packed
    return Expectation(
        path=tuple(path),
        document=document,
        record=document if record is None else record,
        subset=subset,
        exact=exact,
        error=error,
        error_problems=error_problems,
        changed_from=None if change is None else ChangedFrom(step=change[0], because=Cause(change[1])),
        verdict=None if verdict is None else Verdict(verdict),
        reason_codes=None if reason_codes is None else tuple(reason_codes),
    )


def _same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are written alike; `==` alone takes 1 for true."""
    return one == other and json.dumps(one) == json.dumps(other)


def to_lines(suite: PackedSuite) -> list[str]:
    """Return a packed suite as lines of text: one of all that is known before vectors run, then one for each."""
    heads = [
        [
            each.vector_id,
            each.suite,
            [each.span.line, each.span.column],
            each.is_scenario,
            each.marks,
            each.tags,
            each.skip,
            each.proposed,
            each.policy_file,
            None if each.xfail is None else [each.xfail.reason, each.xfail.until and each.xfail.until.isoformat()],
        ]
        for each in suite.vectors
    ]
    shared = [[*key, span.file, span.line, span.column] for key, span in suite.shared.items()]
    head = [suite.file, suite.digest, suite.inputs, shared, sorted(suite.shared_used), heads]
    return [json.dumps(head, separators=(",", ":")), *(each.body for each in suite.vectors)]


def from_lines(lines: Sequence[str]) -> PackedSuite:
    """
    Return the packed suite that `to_lines` wrote.

    Raises:
        ValueError, TypeError, LookupError: It was not.
    """
    file, digest, inputs, shared, used, heads = json.loads(lines[0])
    vectors = []
    for (vector_id, suite, (line, column), is_scenario, marks, tags, skip, proposed, policy_file, xfail), body in zip(
        heads, lines[1:], strict=True
    ):
        until = xfail and xfail[1] and date.fromisoformat(xfail[1])
        vectors.append(
            PackedVector(
                vector_id=vector_id,
                suite=suite,
                file=file,
                span=Span(file, line, column),
                is_scenario=is_scenario,
                marks=tuple(marks),
                tags=tuple(tags),
                skip=skip,
                proposed=proposed,
                policy_file=policy_file,
                xfail=xfail and XFail(reason=xfail[0], until=until),
                body=body,
            )
        )
    return PackedSuite(
        file=file,
        digest=digest,
        inputs=inputs,
        vectors=tuple(vectors),
        shared={(one, kind, name): Span(*span) for one, kind, name, *span in shared},
        shared_used=frozenset((one, kind, name) for one, kind, name in used),
    )
