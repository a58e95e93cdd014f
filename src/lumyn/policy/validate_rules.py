"""
Reads the rules of a policy: scope, stage, blocks of conditions, verdict, reason codes, queries and obligations.
Must not know how a condition is read or how a rule is evaluated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from lumyn.documents import join_pointer
from lumyn.errors import Span
from lumyn.model import JsonObject, JsonValue, Query, Stage, Verdict
from lumyn.policy.checks import Checks, quoted
from lumyn.policy.operators import Operand
from lumyn.policy.spec import Block, BlockKind, Condition, Rule
from lumyn.policy.validate_conditions import ConditionReader

__all__ = ["ACTION_TYPE", "MAX_RULES", "RuleReader", "check_requirements"]

MAX_RULES: Final = 2_000
ACTION_TYPE: Final = r"[a-z0-9_]+(\.[a-z0-9_]+)+"

_RULE_ID: Final = "[A-Za-z][A-Za-z0-9_.-]{0,63}"
_RESERVED_ID: Final = "LUMYN_"
_QUERY_FIELD: Final = r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*"
_RULE_FIELDS: Final = ("id", "stage", "when", "if", "if_all", "if_any", "then")
_THEN_FIELDS: Final = ("verdict", "reason_codes", "queries", "obligations")
_WHEN_FIELDS: Final = ("action_type", "action_type_in")
_STAGES: Final = tuple(stage for stage in Stage if stage is not Stage.DEFAULT)


class RuleReader:
    """Reads rules one by one, and sees to it that no two share an id."""

    def __init__(self, checks: Checks, conditions: ConditionReader, *, reason_codes: Collection[str]) -> None:
        """
        Args:
            conditions: Reads the conditions; it keeps those it found.
            reason_codes: Every code a rule may use.
        """
        self._checks = checks
        self._conditions = conditions
        self._codes = reason_codes
        self._ids: dict[str, Span] = {}

    def read_all(self, value: JsonValue) -> tuple[Rule, ...]:
        """Return the rules that could be read, in file order."""
        items = self._checks.listing(value, "/rules", "`rules`")
        if items is None:
            return ()
        if len(items) > MAX_RULES:
            message = f"a policy holds at most {MAX_RULES} rules, not {len(items)}"
            self._checks.add("POLICY_TOO_LARGE", message, "/rules", hint="split it by action type")
            return ()
        rules = [self._read(item, index) for index, item in enumerate(items)]
        return tuple(rule for rule in rules if rule is not None)

    def _read(self, value: JsonValue, index: int) -> Rule | None:
        pointer = join_pointer("/rules", index)
        label = _label(value, index)
        before = len(self._checks.problems)
        fields = self._checks.mapping(value, pointer, label, keys=_RULE_FIELDS, required=("id", "stage", "then"))
        if fields is None:
            return None
        rule_id = self._rule_id(fields, pointer)
        stage = self._stage(fields, pointer, label)
        actions = self._actions(fields, pointer, label)
        blocks = self._blocks(fields, pointer, label)
        then = self._then(fields, pointer, label)
        verdict = self._verdict(then, stage, join_pointer(pointer, "then", "verdict"), label)
        codes = self._reason_codes(then, join_pointer(pointer, "then", "reason_codes"), label)
        queries = self._queries(then, verdict, join_pointer(pointer, "then", "queries"), label)
        obligations = self._obligations(then, join_pointer(pointer, "then", "obligations"), label)
        if len(self._checks.problems) > before or rule_id is None or stage is None or verdict is None:
            return None
        return Rule(
            rule_id=rule_id,
            stage=stage,
            actions=actions,
            blocks=blocks,
            verdict=verdict,
            reason_codes=codes,
            queries=queries,
            obligations=obligations,
            index=index,
            span=self._checks.span(pointer),
        )

    def _rule_id(self, fields: JsonObject, pointer: str) -> str | None:
        if "id" not in fields:
            return None
        below = join_pointer(pointer, "id")
        rule_id = self._checks.matching(fields["id"], _RULE_ID, below, "rule id")
        if rule_id is None:
            return None
        if rule_id.startswith(_RESERVED_ID):
            message = f"rule id {quoted(rule_id)} begins with `{_RESERVED_ID}`, which names the engine's own rules"
            self._checks.add("RULE_ID_RESERVED", message, below)
        if rule_id in self._ids:
            message = f"rule id {quoted(rule_id)} is taken by the rule at {self._ids[rule_id]}"
            self._checks.add("RULE_ID_DUPLICATE", message, below)
        else:
            self._ids[rule_id] = self._checks.span(below)
        return rule_id

    def _stage(self, fields: JsonObject, pointer: str, label: str) -> Stage | None:
        if "stage" not in fields:
            return None
        below = join_pointer(pointer, "stage")
        if fields["stage"] == Stage.DEFAULT:
            message = f"{label} stands in stage `DEFAULT`, which applies when no rule fired and holds none"
            hint = "write `defaults.default_verdict` and `defaults.default_reason_code` instead"
            self._checks.add("STAGE_FORBIDDEN", message, below, hint=hint)
            return None
        stage = self._checks.choice(fields["stage"], _STAGES, "STAGE_UNKNOWN", below, "stage")
        return None if stage is None else Stage(stage)

    def _actions(self, fields: JsonObject, pointer: str, label: str) -> tuple[str, ...] | None:
        if "when" not in fields:
            return None
        below = join_pointer(pointer, "when")
        when = self._checks.mapping(fields["when"], below, f"`when` of {label}", keys=_WHEN_FIELDS)
        if when is None:
            return None
        given = [name for name in _WHEN_FIELDS if name in when]
        if len(given) > 1:
            message = f"`when` of {label} holds both `action_type` and `action_type_in`"
            self._checks.add("FIELD_CONFLICT", message, below, hint="keep `action_type_in` with every action type")
        if not given and not when:
            message = f"`when` of {label} names no action"
            self._checks.add("CONDITION_EMPTY", message, below, hint="leave `when` out: the rule then applies to all")
        if "action_type" in when:
            action = self._action(when["action_type"], join_pointer(below, "action_type"))
            return None if action is None else (action,)
        if "action_type_in" not in when:
            return None
        return self._action_list(when["action_type_in"], join_pointer(below, "action_type_in"), label)

    def _action_list(self, value: JsonValue, pointer: str, label: str) -> tuple[str, ...]:
        items = self._checks.listing(value, pointer, f"`action_type_in` of {label}")
        if items is None:
            return ()
        if not items:
            self._checks.add("CONDITION_EMPTY", f"`action_type_in` of {label} is empty", pointer)
        for place, item in enumerate(items):
            self._action(item, join_pointer(pointer, place))
        texts = [item for item in items if isinstance(item, str)]
        return self._checks.texts(texts, pointer, "action type") if len(texts) == len(items) else ()

    def _action(self, value: JsonValue, pointer: str) -> str | None:
        return self._checks.matching(value, ACTION_TYPE, pointer, "action type")

    def _blocks(self, fields: JsonObject, pointer: str, label: str) -> tuple[Block, ...]:
        blocks: list[Block] = []
        seen: dict[tuple[str, str, Operand | frozenset[object]], Span] = {}
        for kind in BlockKind:
            if kind.value not in fields:
                continue
            below = join_pointer(pointer, kind.value)
            groups = self._groups(kind, fields[kind.value], below, label)
            for condition, place in (found for group in groups for found in group):
                self._refuse_repeated(condition, place, seen, label)
            shaped = tuple(tuple(condition for condition, _ in group) for group in groups if group)
            if shaped:
                blocks.append(Block(kind=kind, groups=shaped, span=self._checks.key_span(below)))
        return tuple(blocks)

    def _groups(self, kind: BlockKind, value: JsonValue, pointer: str, label: str) -> list[list[tuple[Condition, str]]]:
        """Return the groups of a block: its conditions, each with its pointer."""
        what = f"`{kind}` of {label}"
        if kind is BlockKind.IF:
            return [self._group(value, pointer, what, label)]
        items = self._checks.listing(value, pointer, what)
        if items is None:
            return []
        if not items:
            self._checks.add("CONDITION_EMPTY", f"{what} holds no condition", pointer)
        member = f"a member of {what}"
        return [self._group(item, join_pointer(pointer, place), member, label) for place, item in enumerate(items)]

    def _group(self, value: JsonValue, pointer: str, what: str, label: str) -> list[tuple[Condition, str]]:
        group = self._checks.mapping(value, pointer, what)
        if group is None:
            return []
        if not group:
            self._checks.add("CONDITION_EMPTY", f"{what} holds no condition", pointer)
        found: list[tuple[Condition, str]] = []
        for text, constant in group.items():
            below = join_pointer(pointer, text)
            condition = self._conditions.read(text, constant, below, label)
            if condition is not None:
                found.append((condition, below))
        return found

    def _refuse_repeated(
        self,
        condition: Condition,
        pointer: str,
        seen: dict[tuple[str, str, Operand | frozenset[object]], Span],
        label: str,
    ) -> None:
        first = seen.setdefault(condition.claim, condition.span)
        if first is not condition.span:
            message = f"{quoted(condition.text)} in {label} repeats the condition at {first}"
            hint = "write it once; a condition that every group of `if_any` needs belongs in `if`"
            self._checks.add("CONDITION_DUPLICATE", message, pointer, hint=hint, on_key=True)

    def _then(self, fields: JsonObject, pointer: str, label: str) -> JsonObject:
        if "then" not in fields:
            return {}
        below = join_pointer(pointer, "then")
        what = f"`then` of {label}"
        required = ("verdict", "reason_codes")
        return self._checks.mapping(fields["then"], below, what, keys=_THEN_FIELDS, required=required) or {}

    def _verdict(self, then: JsonObject, stage: Stage | None, pointer: str, label: str) -> Verdict | None:
        if "verdict" not in then:
            return None
        chosen = self._checks.choice(then["verdict"], tuple(Verdict), "VERDICT_UNKNOWN", pointer, "verdict")
        if chosen is None:
            return None
        verdict = Verdict(chosen)
        if stage is not None and (verdict is Verdict.TRUST) != (stage is Stage.TRUST_PATHS):
            message = f"{label} answers `{verdict}` in stage `{stage}`"
            hint = "`TRUST` belongs in `TRUST_PATHS`, and nothing else does"
            self._checks.add("STAGE_VERDICT_FORBIDDEN", message, pointer, hint=hint)
        return verdict

    def _reason_codes(self, then: JsonObject, pointer: str, label: str) -> tuple[str, ...]:
        if "reason_codes" not in then:
            return ()
        items = self._checks.listing(then["reason_codes"], pointer, f"`reason_codes` of {label}")
        if items is None:
            return ()
        if not items:
            self._checks.add("VALUE_INVALID", f"`reason_codes` of {label} is empty", pointer)
        codes = self._checks.texts(items, pointer, "reason code")
        for place, item in enumerate(items):
            if isinstance(item, str) and item in codes and item not in self._codes:
                message = f"unknown reason code {quoted(item)} in {label}"
                near = self._checks.near(item, self._codes)
                hint = near or "declare it under `reason_codes:` with its meaning"
                self._checks.add("REASON_CODE_UNKNOWN", message, join_pointer(pointer, place), hint=hint)
        return codes

    def _queries(self, then: JsonObject, verdict: Verdict | None, pointer: str, label: str) -> tuple[Query, ...]:
        if "queries" not in then:
            return ()
        if verdict is not None and verdict is not Verdict.QUERY:
            message = f"{label} answers `{verdict}` and asks queries, which only `QUERY` does"
            self._checks.add("QUERIES_FORBIDDEN", message, pointer, on_key=True)
        items = self._checks.listing(then["queries"], pointer, f"`queries` of {label}")
        queries: list[Query] = []
        for place, item in enumerate(items or ()):
            query = self._query(item, join_pointer(pointer, place), label)
            if query is None:
                continue
            if any(query.field == other.field for other in queries):
                message = f"{label} asks for {quoted(query.field)} twice"
                self._checks.add("VALUE_DUPLICATE", message, join_pointer(pointer, place, "field"))
            queries.append(query)
        return tuple(queries)

    def _query(self, value: JsonValue, pointer: str, label: str) -> Query | None:
        fields = ("field", "question")
        what = f"a query of {label}"
        query = self._checks.mapping(value, pointer, what, keys=fields, required=fields)
        if query is None or not all(name in query for name in fields):
            return None
        asked = self._checks.matching(query["field"], _QUERY_FIELD, join_pointer(pointer, "field"), f"field of {what}")
        question = self._checks.text(query["question"], join_pointer(pointer, "question"), f"question of {what}")
        return None if asked is None or question is None else Query(field=asked, question=question)

    def _obligations(self, then: JsonObject, pointer: str, label: str) -> tuple[JsonObject, ...]:
        if "obligations" not in then:
            return ()
        items = self._checks.listing(then["obligations"], pointer, f"`obligations` of {label}")
        obligations: list[JsonObject] = []
        for place, item in enumerate(items or ()):
            below = join_pointer(pointer, place)
            obligation = self._checks.mapping(item, below, f"an obligation of {label}")
            if obligation is None:
                continue
            if "source" in obligation:
                message = f"an obligation of {label} holds `source`, which the engine adds"
                self._checks.add("FIELD_RESERVED", message, join_pointer(below, "source"), on_key=True)
            if not obligation:
                self._checks.add("VALUE_INVALID", f"an obligation of {label} is empty", below)
            obligations.append(obligation)
        return tuple(obligations)


def check_requirements(checks: Checks, rules: JsonValue, required: Mapping[str, tuple[str, ...]]) -> None:
    """
    Record every action with required evidence that no unconditional `REQUIREMENTS` rule covers.

    Args:
        rules: As the file has them: a fault elsewhere in a rule must neither hide nor invent this one.
    """
    if not isinstance(rules, list):
        return
    scopes = [rule.get("when") for rule in rules if isinstance(rule, dict) and _asks_for_evidence(rule)]
    for action in required:
        if any(_covers(scope, action) for scope in scopes):
            continue
        message = f"evidence is required for {quoted(action)}, and no rule asks for it"
        hint = "add a rule of stage `REQUIREMENTS` without conditions that applies to the action"
        pointer = join_pointer("/required_evidence", action)
        checks.add("REQUIREMENTS_RULE_MISSING", message, pointer, hint=hint, on_key=True)


def _asks_for_evidence(rule: JsonObject) -> bool:
    return rule.get("stage") == Stage.REQUIREMENTS and not any(kind.value in rule for kind in BlockKind)


def _covers(scope: JsonValue, action: str) -> bool:
    if scope is None:
        return True
    if not isinstance(scope, dict):
        return False
    several = scope.get("action_type_in")
    return scope.get("action_type") == action or (isinstance(several, list) and action in several)


def _label(value: JsonValue, index: int) -> str:
    if isinstance(value, dict) and isinstance(value.get("id"), str):
        return f"rule {quoted(str(value['id']))}"
    return f"rule {index + 1}"
