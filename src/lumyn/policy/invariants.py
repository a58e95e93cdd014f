"""
Reads the invariants of a policy: what its author promises of every request, for `lumyn policy prove` to hold it to.
Their conditions read only what the rules compare, so that a promise never changes a decision.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lumyn.documents import join_pointer
from lumyn.errors import Span
from lumyn.model import JsonObject, JsonValue, Verdict
from lumyn.policy.checks import Checks, quoted
from lumyn.policy.operators import EVIDENCE_PREFIX, ValueKind, find_subject
from lumyn.policy.spec import Condition, EvidenceSpec, EvidenceType
from lumyn.policy.validate_conditions import ConditionReader

__all__ = ["Invariant", "InvariantKind", "InvariantReader"]

ALL: Final = "all"
_WHEN: Final = ("action_type", "action_type_in")
_NUMBERS: Final = (EvidenceType.NUMBER, EvidenceType.INTEGER)


class InvariantKind(StrEnum):
    """
    What is promised.

    `NEVER`: no request of a kind gets some verdict. `REQUIRES`: whoever gets a verdict meets some conditions.
    `MONOTONE`: as a number grows, all else equal, the verdict never becomes more permissive (or, falling, as it falls).
    `FAIL_CLOSED`: leaving a key out never earns a `TRUST` that some value of the key would forfeit.
    """

    NEVER = "never"
    REQUIRES = "requires"
    MONOTONE = "monotone"
    FAIL_CLOSED = "fail_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """
    One promise.

    Attributes:
        name: As the author calls it, else what it says, such as `never TRUST where amount_usd_gt 500`.
        verdicts: For `NEVER` and `REQUIRES`.
        actions: The action types it is about, or None for all.
        conditions: For `NEVER` those of the requests meant, for `REQUIRES` those that must hold; and-ed.
        facts: For `MONOTONE` one attribute; for `FAIL_CLOSED` evidence keys, none: every key.
        falling: Whether `MONOTONE` is about the number getting smaller.
    """

    kind: InvariantKind
    name: str
    span: Span
    verdicts: tuple[Verdict, ...] = ()
    actions: tuple[str, ...] | None = None
    conditions: tuple[Condition, ...] = ()
    facts: tuple[str, ...] = ()
    falling: bool = False


class InvariantReader:
    """Reads the block `invariants`; what is wrong with it goes to the checks."""

    def __init__(
        self,
        checks: Checks,
        conditions: ConditionReader,
        types: Mapping[str, EvidenceSpec],
        actions: frozenset[str],
        *,
        keys: Collection[str],
    ) -> None:
        """
        Args:
            conditions: A reader of its own, so that the rules' types stay the rules'.
            types: Key -> type, as declared or as the rules imply.
            keys: Every evidence key that is declared, required or read by a rule, those without a type too.
            actions: The action types the policy names.
        """
        self._checks = checks
        self._conditions = conditions
        self._types = types
        self._keys = keys
        self._actions = actions

    def read_all(self, items: list[JsonValue]) -> tuple[Invariant, ...]:
        """Return the invariants that could be read, in file order."""
        found = [self._read(item, join_pointer("/invariants", place)) for place, item in enumerate(items)]
        return tuple(invariant for invariant in found if invariant is not None)

    def _read(self, value: JsonValue, pointer: str) -> Invariant | None:
        fields = self._checks.mapping(value, pointer, "an invariant", keys=(*InvariantKind, "name", "why"))
        if fields is None:
            return None
        kinds = [kind for kind in InvariantKind if kind in fields]
        if len(kinds) != 1:
            message = f"an invariant says one thing, not {len(kinds)}"
            hint = f"write one of {', '.join(InvariantKind)}; more of them as items of their own"
            self._checks.add("INVARIANT_INVALID", message, pointer, hint=hint)
            return None
        for text in ("name", "why"):
            if text in fields:
                self._checks.text(fields[text], join_pointer(pointer, text), f"`{text}` of an invariant")
        kind = kinds[0]
        before = len(self._checks.problems)
        below = join_pointer(pointer, kind.value)
        name = fields.get("name")
        made = self._of_kind(kind, fields[kind.value], below, name if isinstance(name, str) else None)
        return made if len(self._checks.problems) == before else None

    def _of_kind(self, kind: InvariantKind, value: JsonValue, pointer: str, name: str | None) -> Invariant | None:
        match kind:
            case InvariantKind.NEVER | InvariantKind.REQUIRES:
                return self._about_verdicts(kind, value, pointer, name)
            case InvariantKind.MONOTONE:
                return self._monotone(value, pointer, name)
            case InvariantKind.FAIL_CLOSED:
                return self._fail_closed(value, pointer, name)

    def _about_verdicts(
        self, kind: InvariantKind, value: JsonValue, pointer: str, name: str | None
    ) -> Invariant | None:
        required = ("verdict",) if kind is InvariantKind.NEVER else ("verdict", "where")
        fields = self._checks.mapping(value, pointer, f"`{kind}`", keys=("verdict", "where", "when"), required=required)
        if fields is None:
            return None
        verdicts = self._verdicts(fields.get("verdict", []), join_pointer(pointer, "verdict"))
        conditions = self._where(fields, pointer, f"`{kind}`")
        actions = self._when(fields, pointer)
        said = f"{kind} {'|'.join(verdicts)}" + (f" for {', '.join(actions)}" if actions else "")
        where = fields.get("where")
        if isinstance(where, dict) and where:
            said += " where " + ", ".join(f"{text} {_short(value)}" for text, value in where.items())
        return Invariant(
            kind=kind,
            name=name or said,
            span=self._checks.key_span(pointer),
            verdicts=verdicts,
            actions=actions,
            conditions=conditions,
        )

    def _monotone(self, value: JsonValue, pointer: str, name: str | None) -> Invariant | None:
        actions: tuple[str, ...] | None = None
        falling = False
        fact: JsonValue = value
        below = pointer
        if isinstance(value, dict):
            fields = self._checks.mapping(
                value, pointer, "`monotone`", keys=("fact", "as_it", "when"), required=("fact",)
            )
            if fields is None or "fact" not in fields:
                return None
            fact, below = fields["fact"], join_pointer(pointer, "fact")
            actions = self._when(fields, pointer)
            if "as_it" in fields:
                place = join_pointer(pointer, "as_it")
                way = self._checks.choice(fields["as_it"], ("grows", "falls"), "INVARIANT_INVALID", place, "direction")
                falling = way == "falls"
        text = self._checks.text(fact, below, "the attribute of `monotone`")
        if text is None or not self._is_number(text, below):
            return None
        said = f"monotone {text}{' falling' if falling else ''}"
        return Invariant(
            kind=InvariantKind.MONOTONE,
            name=name or said,
            span=self._checks.key_span(pointer),
            actions=actions,
            facts=(text,),
            falling=falling,
        )

    def _is_number(self, fact: str, pointer: str) -> bool:
        subject = find_subject(fact)
        key = fact.removeprefix(EVIDENCE_PREFIX)
        spec = self._types.get(key) if fact.startswith(EVIDENCE_PREFIX) else None
        if subject is not None and (
            (subject.kind is ValueKind.NUMBER and fact != "risk.uncertainty")
            or (spec is not None and spec.type in _NUMBERS)
        ):
            return True
        message = f"{quoted(fact)} is no number that grows or falls by itself"
        hint = "name `amount_usd`, `risk.failure_similarity`, or `evidence.<key>` of a number"
        self._checks.add("INVARIANT_INVALID", message, pointer, hint=hint)
        return False

    def _fail_closed(self, value: JsonValue, pointer: str, name: str | None) -> Invariant | None:
        keys: tuple[str, ...] = ()
        if value != ALL:
            items = [value] if isinstance(value, str) else self._checks.listing(value, pointer, "`fail_closed`")
            keys = self._checks.texts(items or [], pointer, "an evidence key of `fail_closed`")
            for key in keys:
                if key.removeprefix(EVIDENCE_PREFIX) not in self._keys:
                    message = f"{quoted(key)} is no evidence key that a rule reads or the policy declares or requires"
                    self._checks.add("INVARIANT_INVALID", message, pointer, hint=self._checks.near(key, self._keys))
            if not keys:
                self._checks.add("INVARIANT_INVALID", "`fail_closed` names no key", pointer, hint="write `all`")
        facts = tuple(key.removeprefix(EVIDENCE_PREFIX) for key in keys)
        said = f"fail_closed {', '.join(facts) or ALL}"
        return Invariant(
            kind=InvariantKind.FAIL_CLOSED, name=name or said, span=self._checks.key_span(pointer), facts=facts
        )

    # Members

    def _verdicts(self, value: JsonValue, pointer: str) -> tuple[Verdict, ...]:
        items = value if isinstance(value, list) else [value]
        found = [self._checks.choice(item, tuple(Verdict), "VERDICT_UNKNOWN", pointer, "verdict") for item in items]
        if not items:
            self._checks.add("INVARIANT_INVALID", "no verdict is named", pointer)
        return tuple(Verdict(each) for each in found if each is not None)

    def _when(self, fields: JsonObject, pointer: str) -> tuple[str, ...] | None:
        if "when" not in fields:
            return None
        below = join_pointer(pointer, "when")
        when = self._checks.mapping(fields["when"], below, "`when` of an invariant", keys=_WHEN)
        if when is None or len(when) != 1:
            if when is not None:
                self._checks.add("INVARIANT_INVALID", "`when` names one of `action_type`, `action_type_in`", below)
            return None
        (key, value), *_ = when.items()
        place = join_pointer(below, key)
        items = [value] if key == "action_type" else self._checks.listing(value, place, f"`{key}`")
        names = self._checks.texts(items or [], place, "an action type")
        for name in names:
            if name not in self._actions:
                message = f"no rule is about {quoted(name)}"
                hint = self._checks.near(name, self._actions)
                self._checks.add("INVARIANT_INVALID", message, place, hint=hint)
        return names

    def _where(self, fields: JsonObject, pointer: str, label: str) -> tuple[Condition, ...]:
        if "where" not in fields:
            return ()
        below = join_pointer(pointer, "where")
        where = self._checks.mapping(fields["where"], below, f"`where` of {label}")
        if where is not None and not where:
            self._checks.add("CONDITION_EMPTY", f"`where` of {label} has no condition", below)
        found: list[Condition] = []
        for text, value in (where or {}).items():
            place = join_pointer(below, text)
            condition = self._conditions.read(text, value, place, label)
            if condition is None:
                continue
            key = condition.evidence_key
            if key is not None and condition.operator.name != "present" and key not in self._types:
                message = f"no rule compares {quoted(key)}, so a promise about its value says nothing"
                self._checks.add("INVARIANT_INVALID", message, place, hint=self._checks.near(key, self._types))
                continue
            found.append(condition)
        return tuple(found)


def _short(value: JsonValue) -> str:
    """Return the constant of a condition as the policy writes it."""
    if isinstance(value, dict):
        return str(value.get("threshold", ""))
    return json.dumps(value, ensure_ascii=False).replace('"', "")
