"""
Refuses vectors that cannot fail, or cannot pass: codes no rule emits, rules that do not exist, missing reasons.
Asks the policy's rules only; must not evaluate anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lumyn.engine.evaluator import compile_policy
from lumyn.engine.outcome import (
    FX_RATE_OUT_OF_BOUNDS,
    LUMYN_EVIDENCE_INVALID,
    LUMYN_EVIDENCE_UNKNOWN,
    LUMYN_FX_OUT_OF_BOUNDS,
)
from lumyn.errors import StoreUnavailableError
from lumyn.model import JsonObject, JsonValue, Verdict
from lumyn.policy.checks import quoted
from lumyn.policy.registry import engine_codes, registry
from lumyn.policy.spec import Policy, Rule
from lumyn.vectors.expect import LIST_OPERATORS
from lumyn.vectors.expectations import REASON_CODE
from lumyn.vectors.findings import Findings, Reader
from lumyn.vectors.format import Expectation
from lumyn.vectors.merge import dotted, value_at
from lumyn.vectors.origins import VectorPath

if TYPE_CHECKING:
    from lumyn.vectors.cases import Case
    from lumyn.vectors.format import Vector

__all__ = ["Situation", "action_of", "check_columns", "check_expectation"]

_STORAGE_CODE: Final = StoreUnavailableError.reason_code
_STORAGE_RULE: Final = "LUMYN_STORAGE_UNAVAILABLE"
_POSITIVE: Final = frozenset(LIST_OPERATORS) - {"excludes", "is_empty"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """
    What can come out of one decision.

    Attributes:
        policies: Those that may be in force: the one named, and the one put in its place. None of them when a policy
            cannot be used; then nothing can be said.
        action_type: Of the request, or None when it has none that can be read.
        faulty: Whether an earlier step broke the store.
    """

    policies: tuple[Policy, ...]
    action_type: str | None
    faulty: bool = False

    @property
    def rules(self) -> list[Rule]:
        """The policies' own rules that apply to the action; all of them when the action is not known."""
        action = self.action_type
        if action is None:
            return [rule for policy in self.policies for rule in policy.rules]
        # The plan is kept for running the vector anyway, and has the rules sorted out.
        return [rule for policy in self.policies for rule in compile_policy(policy).plan(action).rules]

    @property
    def reason_codes(self) -> set[str]:
        """Every reason code that can come out."""
        codes = {code for rule in self.rules for code in rule.reason_codes}
        codes.update(policy.default_reason_code for policy in self.policies)
        out_of_reach = set[str]() if self.faulty else {_STORAGE_CODE}
        if all(policy.fx_bounds is None for policy in self.policies):
            out_of_reach.add(FX_RATE_OUT_OF_BOUNDS)
        return codes | (engine_codes() - out_of_reach)

    @property
    def engine_rules(self) -> set[str]:
        """Ids of the engine's own rules that can fire."""
        ids = {LUMYN_EVIDENCE_INVALID, LUMYN_EVIDENCE_UNKNOWN}
        if any(policy.fx_bounds is not None for policy in self.policies):
            ids.add(LUMYN_FX_OUT_OF_BOUNDS)
        return ids | {_STORAGE_RULE} if self.faulty else ids


def action_of(request: JsonObject) -> str | None:
    """Return the action type of a request that nobody has checked yet, or None."""
    action = value_at(request, ("action", "type"))
    return action if isinstance(action, str) else None


def check_expectation(expect: Expectation, situation: Situation, reader: Reader, *, reach: bool = True) -> None:
    """Record why `expect` cannot tell right from wrong in this situation; `reach`: nor ever come true in it."""
    if expect.error is not None or "error" in expect.document:
        return
    _check_reasons_given(expect, reader)
    if not situation.policies or not reach:
        return
    reachable = situation.reason_codes
    known = registry().keys() | {code for policy in situation.policies for code in policy.reason_codes} | reachable
    for code, path in _reason_codes(expect):
        if not REASON_CODE.fullmatch(code):
            continue  # reported as no reason code at all
        if code not in known:
            hint = reader.findings.near(code, reachable)
            reader.add("REASON_CODE_UNKNOWN", f"unknown reason code {quoted(code)}", path, hint=hint)
        elif code not in reachable:
            what = "this action" if situation.action_type is None else quoted(situation.action_type)
            message = f"no rule emits reason code {quoted(code)} for {what}"
            hint = reader.findings.near(code, reachable)
            reader.add("REASON_CODE_NOT_EMITTED", message, path, hint=hint)
    _check_rules(expect, situation, reader)


def check_columns(cases: Sequence[tuple[Case, Vector]], findings: Findings) -> None:
    """Record columns of one table that set evidence which no rule reads for the action of any row."""
    for column in cases[0][0].columns:
        path = column.path
        if len(path) < 3 or path[-3:-1] != ("request", "evidence"):
            continue
        key, read = str(path[-1]), set[str]()
        for case, vector in cases:
            action = value_at(case.value, (*path[:-2], "action", "type"))
            policies = _policies(vector)
            if not policies or not isinstance(action, str):
                return
            read.update(each for policy in policies for each in policy.keys_for(action))
        if key not in read:
            document = cases[0][0].document
            message = f"nothing uses column {quoted(dotted(path))}: no rule for this action reads {quoted(key)}"
            hint = findings.near(key, read)
            span = document.span(column.pointer)
            findings.add("COLUMN_UNUSED", message, span, pointer=column.pointer, hint=hint)


def _policies(vector: Vector) -> list[Policy]:
    from lumyn.vectors.format import PolicyStep

    swapped = [step.policy for step in vector.steps if isinstance(step, PolicyStep)]
    return [] if vector.policy is None else [vector.policy, *swapped]


def _check_reasons_given(expect: Expectation, reader: Reader) -> None:
    """A verdict that is not `TRUST` can come out for the wrong reason: the right one has to be named."""
    subset = expect.subset or {}
    verdict = expect.record.get("verdict", subset.get("verdict"))
    choices = verdict.get("in") if isinstance(verdict, dict) else [verdict]
    strict = [choice for choice in choices if choice in set(Verdict)] if isinstance(choices, list) else []
    if set(strict) <= {Verdict.TRUST} or expect.changed_from is not None:
        return
    if _names_reason(expect.record.get("reason_codes")) or _names_reason(subset.get("reason_codes")):
        return
    if "reason_codes" in expect.document and "reason_codes" not in expect.record:
        return  # They are written and wrong, which is reported already.
    where = "verdict" if "verdict" in expect.document else "record"
    message = f"`{strict[0]}` is expected without reason codes: it would also pass for a wrong reason"
    reader.add("EXPECT_REASON_CODES_MISSING", message, (*expect.path, where), hint="add `reason_codes: [...]`")


def _names_reason(value: JsonValue) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and not _POSITIVE.isdisjoint(value))


def _check_rules(expect: Expectation, situation: Situation, reader: Reader) -> None:
    applicable = {rule.rule_id for rule in situation.rules} | situation.engine_rules
    every = {rule.rule_id for policy in situation.policies for rule in policy.rules} | situation.engine_rules
    for rule_id, path in _rule_ids(expect):
        if rule_id not in every:
            hint = reader.findings.near(rule_id, applicable)
            reader.add("RULE_ID_UNKNOWN", f"no rule is called {quoted(rule_id)}", path, hint=hint)
        elif rule_id not in applicable:
            message = f"rule {quoted(rule_id)} does not apply to {quoted(situation.action_type or '')}"
            reader.add("RULE_NOT_APPLICABLE", message, path)


def _reason_codes(expect: Expectation) -> Iterator[tuple[str, VectorPath]]:
    document, path = expect.document, expect.path
    yield from _texts(document.get("reason_codes"), (*path, "reason_codes"))
    yield from _texts(document.get("reason_codes_includes"), (*path, "reason_codes_includes"))
    for rule, where in _items(document.get("matched_rules"), (*path, "matched_rules")):
        if isinstance(rule, dict):
            yield from _texts(rule.get("reason_codes"), (*where, "reason_codes"))
    yield from _texts((expect.subset or {}).get("reason_codes"), (*path, "record", "reason_codes"))


def _rule_ids(expect: Expectation) -> Iterator[tuple[str, VectorPath]]:
    for rule, where in _items(expect.document.get("matched_rules"), (*expect.path, "matched_rules")):
        if isinstance(rule, str):
            yield rule, where
        elif isinstance(rule, dict) and isinstance(rule.get("rule_id"), str):
            yield str(rule["rule_id"]), (*where, "rule_id")


def _texts(value: JsonValue, path: VectorPath) -> Iterator[tuple[str, VectorPath]]:
    return ((item, where) for item, where in _items(value, path) if isinstance(item, str))


def _items(value: JsonValue, path: VectorPath) -> Iterator[tuple[JsonValue, VectorPath]]:
    """Yield the items of an expected list, bare or under its operators, each with its place."""
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield item, (*path, place)
    elif isinstance(value, dict):
        for name in LIST_OPERATORS:
            yield from _items(value.get(name), (*path, name))
