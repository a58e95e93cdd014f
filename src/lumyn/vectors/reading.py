"""
Reads a merged case into a `Vector`: clock, memory, steps, marks, each value checked where it was written.
Must not know whether what is expected can come true; that is asked of the finished vector.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from lumyn.core.clock import parse_rfc3339
from lumyn.core.records import normalised
from lumyn.documents import join_pointer
from lumyn.model import JsonObject, JsonValue, Label, Mode
from lumyn.policy.checks import quoted
from lumyn.policy.spec import Policy
from lumyn.vectors.cases import VECTOR_KEYS, Base, Case
from lumyn.vectors.checks import Situation, action_of
from lumyn.vectors.expectations import read_expectation
from lumyn.vectors.findings import FREE_PREFIX, Findings, Reader
from lumyn.vectors.fixtures import Scope, Written, finish_request
from lumyn.vectors.format import ID_PATTERN, Expectation, MemorySeed, Vector, XFail
from lumyn.vectors.origins import Layer, Origins, VectorPath
from lumyn.vectors.sources import Sources

__all__ = ["FileContext", "VectorReader", "duration"]

_CLOCK: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,3})?Z")
_MARK: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_BUILT_IN_MARKS: Final = frozenset({"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "lumyn"})
_PROPOSED: Final = "proposed"
PROPOSED: Final = "proposed, and approved by nobody yet"
"""Why a proposed vector is not run."""

_MEMORY_KEYS: Final = ("label", "request", "summary")
_DURATION: Final = re.compile(
    "P(?=[0-9T])(?:(?P<weeks>[0-9]+)W)?(?:(?P<days>[0-9]+)D)?"
    "(?:T(?=[0-9])(?:(?P<hours>[0-9]+)H)?(?:(?P<minutes>[0-9]+)M)?(?:(?P<seconds>[0-9]+(?:[.][0-9]{1,3})?)S)?)?"
)
_LONGEST: Final = timedelta(days=36_525)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContext:
    """
    What the vectors of one file share.

    Attributes:
        override: The policy that decides in place of the one each vector names, or None.
        open_expectations: Whether a decision may expect nothing yet.
        revising: Whether a decision may expect what cannot come out.
    """

    file: str
    path: Path
    suite: str
    base: Base
    scope: Scope
    sources: Sources
    override: Policy | None
    open_expectations: bool = False
    revising: bool = False


def duration(text: str) -> timedelta | None:
    """Return an ISO 8601 duration of weeks, days, hours, minutes and seconds, or None when it is not one."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    parts = {unit: float(value) for unit, value in match.groupdict().items() if value is not None}
    try:
        found = timedelta(**parts)
    except OverflowError:
        return None
    return found if timedelta(0) < found <= _LONGEST else None


class VectorReader(Reader):
    """Reads one case."""

    def __init__(self, case: Case, context: FileContext) -> None:
        super().__init__(case.origins, case.findings)
        self.case = case
        self.context = context

    def read(self) -> Vector:
        """Return the vector; whatever is wrong with it stands in its `problems`."""
        from lumyn.vectors.steps import read_steps

        case, context = self.case, self.context
        value = self.mapping(case.value, (), keys=VECTOR_KEYS) or {}
        policy, policy_file = self._policy(value)
        clock = self._clock(value)
        mode = self._mode(value)
        memory = self._memory(value)
        marks, tags = self._marks(value), self._tags(value)
        proposed = self._proposed(value)
        skip, xfail = self._skip(value) or (PROPOSED if proposed else None), self._xfail(value)
        why = self.text(value["why"], ("why",)) if "why" in value else None
        steps = read_steps(value, self, policy)
        return Vector(
            vector_id=case.vector_id,
            name=case.name,
            row=case.row,
            suite=context.suite,
            why=why or "",
            file=context.file,
            path=context.path,
            span=case.span,
            clock=clock,
            policy=policy,
            policy_file=policy_file,
            mode=mode,
            memory=memory,
            steps=steps,
            is_scenario="steps" in value,
            marks=marks,
            tags=tags,
            skip=skip,
            xfail=xfail,
            document=value,
            origins=self.origins,
            proposed=proposed,
            problems=tuple(self.findings.problems),
        )

    def at_case(self, code: str, message: str, *, hint: str | None = None) -> None:
        """Record a problem of the vector as a whole, at its own line."""
        self.findings.add(code, message, self.case.span, hint=hint)

    def is_open(self, holder: JsonObject) -> bool:
        """Return whether a vector or step expects nothing yet, and may."""
        written = holder.get("expect")
        says = (
            any(not key.startswith(FREE_PREFIX) for key in written)
            if isinstance(written, dict)
            else written is not None
        )
        return self.context.open_expectations and not says

    def expectation(self, value: JsonObject, path: VectorPath) -> Expectation:
        """Return the expectation of a vector or step, at `path`."""
        if self.is_open(value):
            written = value.get("expect")
            return Expectation(
                path=path, document=written if isinstance(written, dict) else {}, record={}, missing=True
            )
        return read_expectation(value["expect"], path, self, self._golden)

    def policy_named(self, value: JsonValue, path: VectorPath) -> Policy | None:
        """Return the policy whose file is named at `path`."""
        name = self.text(value, path)
        if name is None:
            return None
        return self.context.sources.policy(name, self.origins.span(path), self.findings)

    def situation(self, policy: Policy | None, request: JsonObject, *, faulty: bool = False) -> Situation:
        """
        Return what can come out when `policy` decides `request`.

        Against another policy than the one named, what the named one can say counts too: a code out of reach is then
        drift to report, not a mistake in the vector.
        """
        policies = () if policy is None else (policy,)
        named = self.case.value.get("policy")
        if policy is not None and policy is self.context.override and isinstance(named, str):
            other = self.context.sources.policy(named, self.case.span, Findings())
            policies = policies if other is None else (*policies, other)
        return Situation(policies=policies, action_type=action_of(request), faulty=faulty)

    def _policy(self, value: JsonObject) -> tuple[Policy | None, str]:
        override = self.context.override
        if override is not None:
            return override, ""
        if "policy" not in value:
            hint = "write `policy: policies/...` in the vector, its file or `_defaults.yaml`"
            self.at_case("POLICY_MISSING", "no policy is named for this vector", hint=hint)
            return None, ""
        name = value["policy"]
        return self.policy_named(name, ("policy",)), name if isinstance(name, str) else ""

    def _clock(self, value: JsonObject) -> str:
        if "clock" not in value:
            hint = 'write `clock: "2026-01-15T12:00:00Z"` in the vector, its file or `_defaults.yaml`'
            self.at_case("CLOCK_UNPINNED", "the clock of this vector is not pinned", hint=hint)
            return ""
        text = self.text(value["clock"], ("clock",))
        if text is None:
            return ""
        try:
            valid = _CLOCK.fullmatch(text) is not None and parse_rfc3339(text) is not None
        except ValueError:
            valid = False
        if not valid:
            message = f"{quoted(text)} is not a time in UTC"
            self.add("VALUE_INVALID", message, ("clock",), hint="write it as `2026-01-15T12:00:00Z`")
        return text

    def _mode(self, value: JsonObject) -> Mode | None:
        if "mode" not in value:
            return None
        mode = self.choice(value["mode"], tuple(Mode), ("mode",), code="MODE_UNKNOWN", what="mode")
        return None if mode is None else Mode(mode)

    def _marks(self, value: JsonObject) -> tuple[str, ...]:
        if "marks" not in value:
            return ()
        marks = self.texts(value["marks"], ("marks",), _MARK, "a mark")
        for place, mark in enumerate(marks):
            if mark in _BUILT_IN_MARKS:
                hint = f"use the key `{mark}`" if mark in VECTOR_KEYS else None
                self.add("VALUE_INVALID", f"mark {quoted(mark)} has a meaning of its own", ("marks", place), hint=hint)
        return marks

    def _tags(self, value: JsonObject) -> tuple[str, ...]:
        return self.texts(value["tags"], ("tags",), ID_PATTERN, "a tag") if "tags" in value else ()

    def _proposed(self, value: JsonObject) -> bool:
        if "status" not in value:
            return False
        choice = self.choice(value["status"], (_PROPOSED,), ("status",), code="VALUE_INVALID", what="status")
        return choice is not None

    def _skip(self, value: JsonObject) -> str | None:
        if "skip" not in value:
            return None
        return self._reason(value["skip"], ("skip",), "a skipped vector says why: `skip: reason`")

    def _xfail(self, value: JsonObject) -> XFail | None:
        if "xfail" not in value:
            return None
        xfail = self.mapping(value["xfail"], ("xfail",), keys=("reason", "until"))
        if xfail is None:
            return None
        message = "an expected failure says why: `xfail: {reason: ...}`"
        if "reason" not in xfail:
            self.add("SKIP_WITHOUT_REASON", message, ("xfail",))
            return None
        reason = self._reason(xfail["reason"], ("xfail", "reason"), message)
        until = self._day(xfail["until"], ("xfail", "until")) if "until" in xfail else None
        return None if reason is None else XFail(reason=reason, until=until)

    def _reason(self, value: JsonValue, path: VectorPath, message: str) -> str | None:
        if isinstance(value, str) and value.strip():
            return value
        self.add("SKIP_WITHOUT_REASON", message, path)
        return None

    def _day(self, value: JsonValue, path: VectorPath) -> date | None:
        text = self.text(value, path)
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self.add("VALUE_INVALID", f"{quoted(text)} is not a day", path, hint="write it as `2026-12-31`, quoted")
            return None

    def _memory(self, value: JsonObject) -> tuple[MemorySeed, ...]:
        if "memory" not in value:
            return ()
        items = self.listing(value["memory"], ("memory",)) or []
        found = [self._memory_item(item, place) for place, item in enumerate(items)]
        return tuple(item for item in found if item is not None)

    def _memory_item(self, item: JsonValue, place: int) -> MemorySeed | None:
        path: VectorPath = ("memory", place)
        document, pointer = self.origins.find(path)
        if not isinstance(item, str):
            return read_memory(Written(item, document, pointer), None, self.context, self.findings)
        scope = self.context.scope
        fixture = scope.memory(item)
        if fixture is None:
            hint = self.findings.near(item, scope.names("memory"))
            self.add("FIXTURE_UNKNOWN", f"no memory fixture is called {quoted(item)}", path, hint=hint)
            return None
        return read_memory(fixture.written, item, self.context, self.findings)

    def _golden(self, name: str, path: VectorPath) -> JsonObject | None:
        document = self.context.sources.golden(name, self.origins.span(path), self.findings)
        if document is None:
            return None
        if not isinstance(document.value, dict) or "verdict" not in document.value:
            self.add("VALUE_INVALID", f"{quoted(name)} does not hold a decision record", path)
            return None
        return normalised(document.value)


def read_memory(written: Written, name: str | None, context: FileContext, findings: Findings) -> MemorySeed | None:
    """Return the memory item written at one place; its problems go to `findings`."""
    document, pointer = written.document, written.pointer
    layer = Layer(document, pointer, (), written.value)
    reader = Reader(Origins((layer,)), findings)
    item = reader.mapping(written.value, (), keys=_MEMORY_KEYS, required=("label", "request"))
    if item is None or "label" not in item or "request" not in item:
        return None
    label = reader.choice(item["label"], tuple(Label), ("label",), code="LABEL_UNKNOWN", what="label")
    summary = reader.text(item["summary"], ("summary",)) if "summary" in item else name
    place = Written(item["request"], document, join_pointer(pointer, "request"))
    request = context.scope.request(place, findings).over(context.base.request)
    if label is None or ("summary" in item and summary is None):
        return None
    return MemorySeed(
        name=name,
        label=Label(label),
        request=finish_request(request.value),
        summary=summary or label,
        span=document.span(pointer),
    )
