"""
Reads the steps of a vector: one decision, or the verbs of a scenario in their order.
Keeps track of what earlier steps named and put in force; must not run any of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lumyn.model import JsonObject, JsonValue, Label
from lumyn.policy.checks import quoted
from lumyn.policy.spec import Policy
from lumyn.vectors.checks import check_expectation
from lumyn.vectors.format import (
    ID_PATTERN,
    AdvanceStep,
    DecideStep,
    FaultStep,
    LabelStep,
    PolicyStep,
    ReplayStep,
    RestartStep,
    RetractStep,
    Step,
    StorageFault,
)
from lumyn.vectors.merge import dotted
from lumyn.vectors.origins import VectorPath

if TYPE_CHECKING:
    from lumyn.vectors.reading import VectorReader

__all__ = ["VERBS", "read_steps"]

VERBS: Final = ("decide", "label", "retract", "advance", "restart", "replay", "policy", "fault")

_IDENTICAL: Final = "identical"


def read_steps(value: JsonObject, reader: VectorReader, policy: Policy | None) -> tuple[Step, ...]:
    """Return the steps of a vector whose first policy is `policy`; those with problems are left out."""
    if "steps" in value:
        return _Scenario(reader, policy).read(value["steps"])
    for key, code in (("request", "FIELD_MISSING"), ("expect", "EXPECT_MISSING")):
        if key not in value and (key == "request" or not reader.is_open(value)):
            reader.at_case(code, f"this vector has no `{key}`")
    if "request" not in value or ("expect" not in value and not reader.is_open(value)):
        return ()
    request = value["request"]
    if not isinstance(request, dict):
        reader.wrong_type(request, "an object", ("request",))
        return ()
    expect = reader.expectation(value, ("expect",))
    check_expectation(expect, reader.situation(policy, request), reader, reach=not reader.context.revising)
    if expect.changed_from is not None:
        message = "`changed_from` compares steps of a scenario; this vector has one decision"
        reader.add("FIELD_CONFLICT", message, ("expect", "changed_from"), on_key=True)
    return (DecideStep(step_id=None, request=request, expect=expect, span=reader.case.span),)


class _Scenario:
    def __init__(self, reader: VectorReader, policy: Policy | None) -> None:
        self._reader = reader
        self._policy = policy
        self._decisions: list[str] = []
        self._labels: set[Label] = set()
        self._faulty = False

    def read(self, value: JsonValue) -> tuple[Step, ...]:
        steps = self._reader.listing(value, ("steps",))
        if steps is None:
            return ()
        read = [self._step(step, ("steps", place)) for place, step in enumerate(steps)]
        checked = [step for step in steps if isinstance(step, dict) and ("decide" in step or "replay" in step)]
        if not checked:
            self._reader.add("EXPECT_MISSING", "no step of this scenario expects anything", ("steps",))
        return tuple(step for step in read if step is not None)

    def _step(self, value: JsonValue, path: VectorPath) -> Step | None:
        step = self._reader.mapping(value, path, keys=(*VERBS, "expect"))
        if step is None:
            return None
        verbs = [key for key in VERBS if key in step]
        if len(verbs) != 1:
            message = f"`{dotted(path)}` must have exactly one verb, not {len(verbs)}"
            self._reader.add("STEP_INVALID", message, path, hint="one of " + ", ".join(VERBS))
            return None
        verb = verbs[0]
        if verb != "decide" and "expect" in step:
            message = f"`{verb}` takes no `expect` beside it"
            self._reader.add("FIELD_UNKNOWN", message, (*path, "expect"), on_key=True)
        match verb:
            case "decide":
                return self._decide(step, path)
            case "label":
                return self._label(step["label"], (*path, "label"))
            case "retract":
                return self._retract(step["retract"], (*path, "retract"))
            case "advance":
                return self._advance(step["advance"], (*path, "advance"))
            case "restart":
                return self._restart(step["restart"], (*path, "restart"))
            case "replay":
                return self._replay(step["replay"], (*path, "replay"))
            case "policy":
                return self._swap(step["policy"], (*path, "policy"))
            case _:
                return self._fault(step["fault"], (*path, "fault"))

    def _decide(self, step: JsonObject, path: VectorPath) -> Step | None:
        reader, below = self._reader, (*path, "decide")
        decide = reader.mapping(step["decide"], below, keys=("id", "request"), required=("request",)) or {}
        step_id = self._new_id(decide, below)
        if "expect" not in step and not reader.is_open(step):
            reader.add("EXPECT_MISSING", f"`{dotted(below)}` expects nothing", below, hint="add `expect` beside it")
            return None
        expect = reader.expectation(step, (*path, "expect"))
        request = decide.get("request")
        if not isinstance(request, dict):
            if "request" in decide:
                reader.wrong_type(request, "an object", (*below, "request"))
            return None
        situation = reader.situation(self._policy, request, faulty=self._faulty)
        check_expectation(expect, situation, reader, reach=not reader.context.revising)
        if expect.changed_from is not None:
            where = (*path, "expect", "changed_from", "step")
            self._known(expect.changed_from.step, where, but=step_id)
        return DecideStep(step_id=step_id, request=request, expect=expect, span=reader.origins.span(path))

    def _new_id(self, decide: JsonObject, path: VectorPath) -> str | None:
        if "id" not in decide:
            return None
        step_id = self._reader.matching(decide["id"], ID_PATTERN, (*path, "id"), "a step id")
        if step_id is None:
            return None
        if step_id in self._decisions:
            self._reader.add("STEP_ID_DUPLICATE", f"two steps are called {quoted(step_id)}", (*path, "id"))
        self._decisions.append(step_id)
        return step_id

    def _label(self, value: JsonValue, path: VectorPath) -> Step | None:
        reader = self._reader
        found = reader.mapping(value, path, keys=("decision", "label", "note", "actor"), required=("decision", "label"))
        if found is None or "decision" not in found or "label" not in found:
            return None
        decision = self._reference(found["decision"], (*path, "decision"))
        label = reader.choice(found["label"], tuple(Label), (*path, "label"), code="LABEL_UNKNOWN", what="label")
        note = reader.text(found["note"], (*path, "note")) if "note" in found else None
        actor = reader.text(found["actor"], (*path, "actor")) if "actor" in found else None
        if label is not None:
            self._labels.add(Label(label))
        if decision is None or label is None:
            return None
        span = reader.origins.span(path[:-1])
        return LabelStep(decision=decision, label=Label(label), note=note, actor=actor, span=span)

    def _retract(self, value: JsonValue, path: VectorPath) -> Step | None:
        reader = self._reader
        found = reader.mapping(value, path, keys=("decision", "label", "reason", "actor"), required=("decision",))
        if found is None or "decision" not in found:
            return None
        decision = self._reference(found["decision"], (*path, "decision"))
        label = None
        if "label" in found:
            label = reader.choice(found["label"], tuple(Label), (*path, "label"), code="LABEL_UNKNOWN", what="label")
        reason = reader.text(found["reason"], (*path, "reason")) if "reason" in found else None
        actor = reader.text(found["actor"], (*path, "actor")) if "actor" in found else None
        if decision is None or ("label" in found and label is None):
            return None
        kind = None if label is None else Label(label)
        if not self._labels if kind is None else kind not in self._labels:
            message = f"no earlier step gives a label{'' if kind is None else f' {quoted(kind.value)}'} to take back"
            reader.add("NOTHING_TO_RETRACT", message, path)
            return None
        span = reader.origins.span(path[:-1])
        return RetractStep(decision=decision, label=kind, reason=reason, actor=actor, span=span)

    def _advance(self, value: JsonValue, path: VectorPath) -> Step | None:
        from lumyn.vectors.reading import duration

        text = self._reader.text(value, path)
        by = None if text is None else duration(text)
        if text is None or by is None:
            if text is not None:
                message = f"{quoted(text)} is not an ISO 8601 duration of at most a century"
                self._reader.add("VALUE_INVALID", message, path, hint="such as `P1D`, `PT90M` or `P2W`")
            return None
        return AdvanceStep(by=by, text=text, span=self._reader.origins.span(path[:-1]))

    def _restart(self, value: JsonValue, path: VectorPath) -> Step | None:
        found = self._reader.mapping(value, path, keys=())
        return None if found is None else RestartStep(span=self._reader.origins.span(path[:-1]))

    def _replay(self, value: JsonValue, path: VectorPath) -> Step | None:
        reader = self._reader
        found = reader.mapping(value, path, keys=("decision", "expect"), required=("decision",))
        if found is None or "decision" not in found:
            return None
        if "expect" not in found:
            hint = f"write `expect: {_IDENTICAL}`"
            reader.add("EXPECT_MISSING", f"`{dotted(path)}` expects nothing", path, hint=hint)
            return None
        expect = reader.choice(
            found["expect"], (_IDENTICAL,), (*path, "expect"), code="VALUE_INVALID", what="outcome of a replay"
        )
        decision = self._reference(found["decision"], (*path, "decision"))
        if decision is None or expect is None:
            return None
        return ReplayStep(decision=decision, span=reader.origins.span(path[:-1]))

    def _swap(self, value: JsonValue, path: VectorPath) -> Step | None:
        policy = self._reader.policy_named(value, path)
        self._policy = policy
        if policy is None:
            return None
        return PolicyStep(policy=policy, policy_file=str(value), span=self._reader.origins.span(path[:-1]))

    def _fault(self, value: JsonValue, path: VectorPath) -> Step | None:
        reader = self._reader
        found = reader.mapping(value, path, keys=("storage",), required=("storage",))
        if found is None or "storage" not in found:
            return None
        where = (*path, "storage")
        storage = reader.choice(found["storage"], tuple(StorageFault), where, code="FAULT_UNKNOWN", what="fault")
        if storage is None:
            return None
        self._faulty = self._faulty or storage != StorageFault.OK
        return FaultStep(storage=StorageFault(storage), span=reader.origins.span(path[:-1]))

    def _reference(self, value: JsonValue, path: VectorPath) -> str | None:
        decision = self._reader.matching(value, ID_PATTERN, path, "a step id")
        return decision if decision is not None and self._known(decision, path) else None

    def _known(self, step_id: str, path: VectorPath, *, but: str | None = None) -> bool:
        earlier = [known for known in self._decisions if known != but]
        if step_id in earlier:
            return True
        hint = self._reader.findings.near(step_id, earlier)
        self._reader.add("STEP_UNKNOWN", f"no earlier decision is called {quoted(step_id)}", path, hint=hint)
        return False
