"""
What an expectation would have to say for a decision to meet it, and whether that asks less of the policy than before.
Works on values; must not know files or texts, nor whether anybody wants the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from lumyn.core.records import DecisionRecord, normalised
from lumyn.errors import InvalidDocumentError
from lumyn.model import JsonObject, JsonValue, Mode, Verdict
from lumyn.policy.spec import Policy
from lumyn.vectors.drift import DriftKind
from lumyn.vectors.expect import ABSENT, Actual, equal, holds, is_operators
from lumyn.vectors.expectations import EXACT
from lumyn.vectors.findings import FREE_PREFIX
from lumyn.vectors.format import DecideStep, Expectation
from lumyn.vectors.merge import dotted
from lumyn.vectors.origins import VectorPath
from lumyn.vectors.runner import StepResult

__all__ = ["Revision", "RevisionRefusedError", "revise"]

_FIXED: Final = {
    DriftKind.CHANGED_FROM: "`changed_from` claims a cause, and the cause is another one",
    DriftKind.REPLAY: "a replay that differs is a defect, not an expectation",
    DriftKind.STEP: "a step could not be taken",
    DriftKind.CONTRACT: "the record breaks its contract",
    DriftKind.CUSTOM: "a hook of this project found it wrong",
}
_NAMES: Final = {"matched_rules": "rule_id", "queries": "field"}
_LISTS: Final = ("reason_codes", "matched_rules", "queries", "obligations")
_GUARDS: Final = ("reason_codes", "matched_rules", "queries")
_OPTIONAL: Final = frozenset({"queries", "obligations"})
"""Members a record leaves out when there is nothing to say."""
_UNSAID: Final = "unsaid"


class RevisionRefusedError(ValueError):
    """An expectation cannot be rewritten without a person; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """
    An expectation that a decision meets.

    Attributes:
        document: In place of the whole resolved expectation.
        golden: File name and record for `record: {$exact: file}`, or None when that stays.
        before: The verdict or error that was expected, `nothing` for none, `unsaid` where only other things were.
        after: The verdict or error that came out.
        looser: Why the new expectation permits more or demands less than the old one; empty when it does not.
    """

    document: JsonObject
    golden: tuple[str, JsonObject] | None = None
    before: str
    after: str
    looser: str


def revise(step: StepResult) -> Revision:
    """
    Return what the expectation of a failed step has to say to be met.

    A value gives way to what came out. An operator states a bound that no run can tell: it is left to a person, except
    `any_order`, which names every member.

    Raises:
        RevisionRefusedError: It takes a person.
    """
    for drift in step.drifts:
        if drift.kind in _FIXED:
            raise RevisionRefusedError(_FIXED[drift.kind])
    if not isinstance(step.step, DecideStep):
        raise RevisionRefusedError("this step expects nothing that could be rewritten")
    expect, record = step.step.expect, step.record
    if record is None:
        return _to_error(expect, step)
    codes = cast("list[JsonValue]", list(record.reason_codes))
    verdict = record.verdict.value
    if expect.missing or expect.error is not None:
        free = {key: value for key, value in expect.document.items() if key.startswith(FREE_PREFIX)}
        looser = "" if expect.missing else f"the error {expect.error} was expected, and a decision comes out"
        document: JsonObject = {"verdict": verdict, "reason_codes": codes, **free}
        return Revision(document=document, before=expect.error or "nothing", after=verdict, looser=looser)
    return _to_record(expect, record, step.policy)


def _to_error(expect: Expectation, step: StepResult) -> Revision:
    error = step.error
    if error is None:
        raise RevisionRefusedError("nothing came out")
    code = error.reason_code
    codes: list[JsonValue] = []
    if isinstance(error, InvalidDocumentError):
        codes = [problem.code for problem in error.problems]
    before = expect.error or ("nothing" if expect.missing else _before(_claims(expect)))
    written: JsonValue = expect.document.get("error")
    if not isinstance(written, dict):
        written = code
    else:
        written = {**written, "reason_code": code}
        if "problems" in written:
            written["problems"] = _value(written["problems"], codes, ("error", "problems"))
    free = {key: value for key, value in expect.document.items() if key.startswith(FREE_PREFIX)}
    return Revision(document={"error": written, **free}, before=before, after=code, looser="")


def _to_record(expect: Expectation, record: DecisionRecord, policy: Policy) -> Revision:
    actual = normalised(record.to_dict())
    document: dict[str, JsonValue] = {}
    golden: tuple[str, JsonObject] | None = None
    for key, written in expect.document.items():
        if key.startswith(FREE_PREFIX) or key == "changed_from":
            document[key] = written
        elif key == "reason_codes_includes":
            document[key] = written
            if not holds({"contains": written}, actual["reason_codes"]):
                raise RevisionRefusedError(_by_hand((key,)))
        elif key == "record" and isinstance(written, dict) and EXACT in written:
            document[key] = written
            if expect.exact is not None and not equal(expect.exact, actual):
                golden = (str(written[EXACT]), actual)
        elif key == "record":
            document[key] = _value(written, actual, (key,))
        else:
            document[key] = _member(key, written, actual)
    claims = _claims(expect)
    if record.verdict is not Verdict.TRUST and expect.changed_from is None and not _reasons_named(document):
        document["reason_codes"] = list(record.reason_codes)
    return Revision(
        document=document,
        golden=golden,
        before=_before(claims),
        after=record.verdict.value,
        looser=_loosest(expect, record, actual, policy),
    )


def _member(key: str, written: JsonValue, record: JsonObject) -> JsonValue:
    found: Actual = record.get(key, [] if key in _OPTIONAL else ABSENT)
    if key in _LISTS:
        return _value(written, found, (key,), name=_NAMES.get(key))
    return _value(written, found, (key,))


def _value(written: JsonValue, found: Actual, path: VectorPath, *, name: str | None = None) -> JsonValue:
    """Return `written` with what does not hold replaced by what was found, innermost values only."""
    if holds(_read(written, name), found):
        return written
    if is_operators(written):
        operand = written.get("any_order")
        if len(written) == 1 and isinstance(operand, list) and isinstance(found, list) and found:
            return {"any_order": _items(operand, found, (*path, "any_order"), name)}
        raise RevisionRefusedError(_by_hand((*path, *list(written)[:1])))
    if found is ABSENT or not isinstance(found, (str, int, float, list, dict, type(None))):
        raise RevisionRefusedError(f"`{dotted(path)}` is expected and did not come out: take it out by hand")
    if isinstance(written, dict) and isinstance(found, dict):
        return {key: _below(key, value, found, path) for key, value in written.items()}
    if isinstance(written, list) and isinstance(found, list):
        return _items(written, found, path, name)
    return found


def _below(key: str, value: JsonValue, found: JsonObject, path: VectorPath) -> JsonValue:
    if key.startswith(FREE_PREFIX) and key not in found:
        return value
    return _value(value, found.get(key, ABSENT), (*path, key))


def _items(
    written: Sequence[JsonValue], found: Sequence[JsonValue], path: VectorPath, name: str | None
) -> list[JsonValue]:
    """Return an expected list that `found` meets, made of the items that still hold and of what came instead."""
    left = list(range(len(written)))
    chosen: list[int | None] = []
    for item in found:
        place = next((each for each in left if holds(_one(written[each], name), item)), None)
        chosen.append(place)
        if place is not None:
            left.remove(place)
    result: list[JsonValue] = []
    for number, (item, place) in enumerate(zip(found, chosen, strict=True)):
        if place is None:
            place = next((each for each in left if _alike(written[each], item, name, each == number)), None)
            if place is None:
                result.append(item[name] if name is not None and isinstance(item, dict) else item)
                continue
            left.remove(place)
        result.append(
            _value(written[place], item, (*path, place)) if isinstance(written[place], dict) else written[place]
        )
    return result


def _alike(written: JsonValue, item: JsonValue, name: str | None, same_place: bool) -> bool:
    """Whether an expected item that does not hold speaks of the same thing as one that came out."""
    if not isinstance(written, dict) or not isinstance(item, dict) or is_operators(written):
        return False
    return same_place if name is None else written.get(name) == item.get(name)


def _read(written: JsonValue, name: str | None) -> JsonValue:
    """Return an expected list with the items written by name as objects."""
    if name is None:
        return written
    if isinstance(written, list):
        return [_one(item, name) for item in written]
    if isinstance(written, dict):
        return {operator: _read(operand, name) for operator, operand in written.items()}
    return written


def _one(item: JsonValue, name: str | None) -> JsonValue:
    if name is not None and isinstance(item, str):
        return {name: item}
    if name is not None and isinstance(item, dict):
        return {key: value for key, value in item.items() if not key.startswith(FREE_PREFIX)}
    return item


def _by_hand(path: VectorPath) -> str:
    return f"`{dotted(path)}` states a condition: what it should be now is for a person to say"


def _claims(expect: Expectation) -> JsonObject:
    """Return everything the expectation says of a record, whichever way it is written."""
    return {**(expect.exact or {}), **(expect.subset or {}), **expect.record}


def _reasons_named(document: JsonObject) -> bool:
    record = document.get("record")
    inside = record if isinstance(record, dict) else {}
    return bool({"reason_codes", "reason_codes_includes"} & document.keys()) or bool(
        {"reason_codes", EXACT} & inside.keys()
    )


def _before(claims: JsonObject) -> str:
    verdict = claims.get("verdict")
    if isinstance(verdict, dict):
        choices = verdict.get("in")
        return " or ".join(str(each) for each in choices) if isinstance(choices, list) else _UNSAID
    return str(verdict) if verdict is not None else _UNSAID


def _loosest(expect: Expectation, record: DecisionRecord, actual: JsonObject, policy: Policy) -> str:
    """Return why a record is looser than an expectation, or than any part of it that names a verdict of its own."""
    parts = [each for each in (expect.exact, expect.subset) if each is not None and "verdict" in each]
    return next(filter(None, (_looser(each, record, actual, policy) for each in (_claims(expect), *parts))), "")


def _looser(claims: JsonObject, record: DecisionRecord, actual: JsonObject, policy: Policy) -> str:
    """Return why a record permits more, or demands less, than was claimed of it; empty when it does not."""
    now, before = record.verdict, claims.get("verdict")
    if isinstance(before, str) and Verdict(before).strictness > now.strictness:
        return f"{now} is more permissive than {before}"
    if isinstance(before, dict) and not holds(before, now.value):
        return f"{now} is none of the verdicts accepted so far"
    lost = {key: _lost(claims.get(key), actual.get(key, []), _NAMES.get(key)) for key in _GUARDS}
    if before is None and now is Verdict.TRUST:
        return "it comes out TRUST, and the vector does not say what was expected before"
    if now is not Verdict.TRUST:
        permissive = _permissive(policy)
        for key, (names, gained) in lost.items():
            guards = [name for name in names if name not in permissive]
            if guards and not gained:
                return f"fewer {key.replace('_', ' ')} than before: {', '.join(guards)} no longer among them"
    obligations, due = claims.get("obligations"), actual.get("obligations", [])
    if is_operators(obligations):
        obligations = obligations.get("any_order")
    if isinstance(obligations, list) and isinstance(due, list) and len(due) < len(obligations):
        return "fewer obligations than before"
    mode = claims.get("policy")
    if isinstance(mode, dict) and mode.get("mode") == Mode.ENFORCE and record.policy.mode is Mode.ADVISORY:
        return "an advisory mode permits every action"
    return ""


def _permissive(policy: Policy) -> set[str]:
    """Return the rules that only ever trust and the reason codes only they give: to lose one makes nothing looser."""
    trusting = [rule for rule in policy.rules if rule.verdict is Verdict.TRUST]
    others = {code for rule in policy.rules if rule.verdict is not Verdict.TRUST for code in rule.reason_codes}
    codes = {code for rule in trusting for code in rule.reason_codes}
    return {rule.rule_id for rule in trusting} | (codes - others - {policy.default_reason_code})


def _lost(written: JsonValue, found: JsonValue, name: str | None) -> tuple[list[str], bool]:
    """Return what a list was to name and does not, and whether it names anything new."""
    if isinstance(written, dict):
        written = written.get("any_order")  # a list it is to contain gives way to nobody but a person
    if not isinstance(written, list) or not isinstance(found, list):
        return [], False
    was = [_name(item, name) for item in written]
    now = [_name(item, name) for item in found]
    return [each for each in was if each not in now], any(each not in was for each in now)


def _name(item: JsonValue, name: str | None) -> str:
    return str(item.get(name or "", "")) if isinstance(item, dict) else str(item)
