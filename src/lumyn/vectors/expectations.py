"""
Reads the `expect` object of a vector or step: closed keys, operators and operands, shorthands written out.
Must not know policies or records: whether an expectation can come true is another module's question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast

from lumyn.errors import IdempotencyConflictError, InvalidRequestError
from lumyn.model import JsonObject, JsonValue, Stage, Verdict
from lumyn.vectors.expect import LIST_OPERATORS, SCALAR_OPERATORS
from lumyn.vectors.findings import FREE_PREFIX, Reader
from lumyn.vectors.format import ID_PATTERN, Cause, ChangedFrom, Expectation
from lumyn.vectors.merge import dotted
from lumyn.vectors.operands import check_operators, check_value, read_boolean
from lumyn.vectors.origins import VectorPath

__all__ = ["EXACT", "EXPECT_KEYS", "REASON_CODE", "VOLATILE", "ExactReader", "read_expectation"]

_RECORD_KEYS: Final = (
    "created_at",
    "decision_id",
    "determinism",
    "explanation",
    "extensions",
    "links",
    "matched_rules",
    "obligations",
    "policy",
    "queries",
    "reason_codes",
    "request",
    "risk_signals",
    "schema_version",
    "trace",
    "verdict",
)
EXPECT_KEYS: Final = (
    "verdict",
    "reason_codes",
    "reason_codes_includes",
    "matched_rules",
    "queries",
    "obligations",
    "risk_signals",
    "record",
    "error",
    "changed_from",
)
EXACT: Final = "$exact"
VOLATILE: Final = ("decision_id", "created_at", "trace", "decision_event_log")
"""Members of a record that differ between runs: checked for every vector, then left out of what is compared."""

_ERROR_CODES: Final = (InvalidRequestError.reason_code, IdempotencyConflictError.reason_code)
"""The errors `decide()` raises; a storage failure is a record, not an error."""
REASON_CODE: Final = re.compile("[A-Z][A-Z0-9_]{2,63}")
_RISK_KEYS: Final = ("uncertainty_score", "failure_similarity", "ood_score", "drift_flag")
_SIMILARITY_KEYS: Final = ("score", "top_k")
_MATCH_KEYS: Final = ("memory_id", "label", "score", "summary")
_RULE_KEYS: Final = ("rule_id", "stage", "effect", "reason_codes")
_QUERY_KEYS: Final = ("field", "question")
_ALWAYS: Final[dict[str, Callable[[float], bool]]] = {
    "gt": lambda bound: bound < 0,
    "gte": lambda bound: bound <= 0,
    "lt": lambda bound: bound > 1,
    "lte": lambda bound: bound >= 1,
}
"""Bounds that every number between 0 and 1 keeps."""

ExactReader: TypeAlias = "Callable[[str, VectorPath], JsonObject | None]"
"""Returns the normalised record in the file that `$exact` names, or records a problem and returns None."""


def read_expectation(value: JsonValue, path: VectorPath, reader: Reader, exact: ExactReader) -> Expectation:
    """Return the expectation written at `path`; what is wrong with it becomes problems of `reader`."""
    document = reader.mapping(value, path, keys=EXPECT_KEYS) or {}
    written = [key for key in document if not key.startswith(FREE_PREFIX)]
    if not written and isinstance(value, dict):
        hint = "say what must come out, for instance its `verdict` and `reason_codes`"
        reader.add("EXPECT_EMPTY", f"`{dotted(path)}` expects nothing", path, hint=hint)
    error, problems = _error(document, path, reader, others=[key for key in written if key != "error"])
    record = _record_members(document, path, reader)
    subset, whole = _record(document.get("record"), (*path, "record"), reader, exact)
    codes = record.get("reason_codes")
    verdict = record.get("verdict")
    return Expectation(
        path=path,
        document=document,
        record=record,
        subset=subset,
        exact=whole,
        error=error,
        error_problems=problems,
        changed_from=_changed_from(document, path, reader),
        verdict=Verdict(verdict) if isinstance(verdict, str) else None,
        reason_codes=tuple(str(code) for code in codes) if isinstance(codes, list) else None,
    )


def _record_members(document: JsonObject, path: VectorPath, reader: Reader) -> JsonObject:
    read: dict[str, JsonValue] = {}
    if "verdict" in document:
        read["verdict"] = _verdict(document["verdict"], (*path, "verdict"), reader)
    if "reason_codes" in document:
        below = (*path, "reason_codes")
        read["reason_codes"] = _list(document["reason_codes"], below, reader, _reason_code)
        if read["reason_codes"] == []:
            reader.add("VALUE_INVALID", "every decision has a reason code: the list cannot be empty", below)
    if "reason_codes_includes" in document:
        _includes(document, path, reader, read)
    if "matched_rules" in document:
        read["matched_rules"] = _list(document["matched_rules"], (*path, "matched_rules"), reader, _rule)
    if "queries" in document:
        read["queries"] = _list(document["queries"], (*path, "queries"), reader, _query)
    if "obligations" in document:
        read["obligations"] = _list(document["obligations"], (*path, "obligations"), reader, _obligation)
    if "risk_signals" in document:
        read["risk_signals"] = _risk_signals(document["risk_signals"], (*path, "risk_signals"), reader)
    return {key: value for key, value in read.items() if value is not None}


def _includes(document: JsonObject, path: VectorPath, reader: Reader, read: dict[str, JsonValue]) -> None:
    below = (*path, "reason_codes_includes")
    if "reason_codes" in document:
        message = "`reason_codes_includes` is another spelling of `reason_codes: {contains: [...]}`: use one of them"
        reader.add("EXPECT_CONFLICT", message, below, on_key=True)
        return
    codes = _members(document["reason_codes_includes"], below, reader, _reason_code)
    if codes is not None:
        read["reason_codes"] = {"contains": codes}


def _verdict(value: JsonValue, path: VectorPath, reader: Reader) -> JsonValue:
    if isinstance(value, dict):
        operators = reader.mapping(value, path, keys=("in",), required=("in",)) or {}
        if "in" not in operators:
            return None
        choices = _members(operators["in"], (*path, "in"), reader, _one_verdict)
        if choices is not None and set(choices) >= set(Verdict):
            reader.add("EXPECT_VACUOUS", "every verdict is accepted here", path)
        return None if choices is None else {"in": choices}
    return _one_verdict(value, path, reader)


def _one_verdict(value: JsonValue, path: VectorPath, reader: Reader) -> JsonValue:
    return reader.choice(value, tuple(Verdict), path, code="VERDICT_UNKNOWN", what="verdict")


_ItemReader: TypeAlias = "Callable[[JsonValue, VectorPath, Reader], JsonValue]"


def _list(value: JsonValue, path: VectorPath, reader: Reader, item: _ItemReader) -> JsonValue:
    """Return an expected list, bare or as operators, its items read by `item`; None after a problem."""
    if isinstance(value, list):
        read = [item(each, (*path, place), reader) for place, each in enumerate(value)]
        return None if None in read else read
    if not isinstance(value, dict):
        reader.wrong_type(value, "a list, or an object of list operators", path)
        return None
    operators = reader.mapping(value, path, keys=LIST_OPERATORS) or {}
    if not operators:
        reader.add("EXPECT_EMPTY", f"`{dotted(path)}` expects nothing", path)
        return None
    result: dict[str, JsonValue] = {}
    for name, operand in operators.items():
        if name == "is_empty":
            result[name] = read_boolean(operand, (*path, name), reader)
            if operand is False and path[-1] == "reason_codes":
                _vacuous(reader, (*path, name), "every record has a reason code")
        elif name in LIST_OPERATORS:
            result[name] = _members(operand, (*path, name), reader, item)
    return None if None in result.values() else result


def _members(value: JsonValue, path: VectorPath, reader: Reader, item: _ItemReader) -> list[JsonValue] | None:
    items = reader.listing(value, path)
    if items is None:
        return None
    if not items:
        hint = "use `is_empty: true` for a list that must be empty" if path[-1] == "any_order" else None
        reader.add("EXPECT_EMPTY", f"`{dotted(path)}` is empty, so it expects nothing", path, hint=hint)
        return None
    read = [item(each, (*path, place), reader) for place, each in enumerate(items)]
    return None if None in read else read


def _reason_code(value: JsonValue, path: VectorPath, reader: Reader) -> JsonValue:
    return reader.matching(value, REASON_CODE, path, "a reason code")


def _rule(value: JsonValue, path: VectorPath, reader: Reader) -> JsonValue:
    if not isinstance(value, dict):
        rule_id = reader.text(value, path)
        return None if rule_id is None else {"rule_id": rule_id}
    rule = reader.mapping(value, path, keys=_RULE_KEYS, required=("rule_id",)) or {}
    if "rule_id" in rule and reader.text(rule["rule_id"], (*path, "rule_id")) is None:
        return None
    if "stage" in rule:
        reader.choice(rule["stage"], tuple(Stage), (*path, "stage"), code="STAGE_UNKNOWN", what="stage")
    if "effect" in rule:
        _one_verdict(rule["effect"], (*path, "effect"), reader)
    if "reason_codes" in rule:
        _list(rule["reason_codes"], (*path, "reason_codes"), reader, _reason_code)
    return _without_free(rule)


def _query(value: JsonValue, path: VectorPath, reader: Reader) -> JsonValue:
    if not isinstance(value, dict):
        name = reader.text(value, path)
        return None if name is None else {"field": name}
    query = reader.mapping(value, path, keys=_QUERY_KEYS, required=("field",)) or {}
    for key in _QUERY_KEYS:
        if key in query:
            check_value(query[key], (*path, key), reader)
    return _without_free(query)


def _obligation(value: JsonValue, path: VectorPath, reader: Reader) -> JsonValue:
    if not isinstance(value, dict):
        reader.wrong_type(value, "an object", path)
        return None
    if not value:
        reader.add("EXPECT_EMPTY", "an obligation without members matches any", path)
        return None
    for key, below in value.items():
        check_value(below, (*path, key), reader)
    return value


def _risk_signals(value: JsonValue, path: VectorPath, reader: Reader) -> JsonValue:
    signals: dict[str, JsonValue] = dict(_closed(value, path, reader, _RISK_KEYS))
    for key, below in signals.items():
        where = (*path, key)
        if key == "failure_similarity":
            signals[key] = _similarity(below, where, reader)
        elif key == "uncertainty_score":
            _share(below, where, reader)
        else:
            check_value(below, where, reader)
    return signals or None


def _similarity(value: JsonValue, path: VectorPath, reader: Reader) -> JsonObject:
    similarity: dict[str, JsonValue] = dict(_closed(value, path, reader, _SIMILARITY_KEYS))
    if "score" in similarity:
        _share(similarity["score"], (*path, "score"), reader)
    if "top_k" in similarity:
        similarity["top_k"] = _list(similarity["top_k"], (*path, "top_k"), reader, _match)
    return similarity


def _match(value: JsonValue, path: VectorPath, reader: Reader) -> JsonValue:
    match = _closed(value, path, reader, _MATCH_KEYS)
    for key, below in match.items():
        check_value(below, (*path, key), reader)
    return match or None


def _closed(value: JsonValue, path: VectorPath, reader: Reader, keys: Sequence[str]) -> JsonObject:
    found = reader.mapping(value, path, keys=keys)
    if found is None:
        return {}
    kept = _without_free(found)
    if not kept:
        reader.add("EXPECT_EMPTY", f"`{dotted(path)}` expects nothing", path)
    return kept


def _share(value: JsonValue, path: VectorPath, reader: Reader) -> None:
    """Read an expected number between 0 and 1, and refuse bounds that every such number keeps."""
    if not isinstance(value, dict):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            reader.wrong_type(value, "a number or an object of scalar operators", path)
        return
    if reader.mapping(value, path, keys=SCALAR_OPERATORS) is None or not check_operators(value, path, reader):
        return
    for name, always in _ALWAYS.items():
        operand = value.get(name)
        if isinstance(operand, (int, float)) and always(operand):
            _vacuous(reader, (*path, name), "a score lies between 0 and 1")
    bounds = value.get("between")
    if isinstance(bounds, list) and len(bounds) == 2 and all(isinstance(bound, (int, float)) for bound in bounds):
        low, high = cast("list[float]", bounds)
        if low <= 0 and high >= 1:
            _vacuous(reader, (*path, "between"), "a score lies between 0 and 1")


def _vacuous(reader: Reader, path: VectorPath, why: str) -> None:
    reader.add("EXPECT_VACUOUS", f"`{dotted(path)}` always holds: {why}", path)


def _record(
    value: JsonValue, path: VectorPath, reader: Reader, exact: ExactReader
) -> tuple[JsonObject | None, JsonObject | None]:
    if value is None:
        return None, None
    if not isinstance(value, dict):
        reader.wrong_type(value, "an object", path)
        return None, None
    if EXACT in value:
        reader.mapping(value, path, keys=(EXACT,))
        name = reader.text(value[EXACT], (*path, EXACT))
        return None, None if name is None else exact(name, (*path, EXACT))
    if not value:
        reader.add("EXPECT_EMPTY", f"`{dotted(path)}` expects nothing", path)
    for key in VOLATILE:
        if key in value:
            message = f"`{key}` differs between runs; it is checked for every vector"
            reader.add("FIELD_VOLATILE", message, (*path, key), hint="take it out", on_key=True)
    reader.mapping({key: each for key, each in value.items() if key not in VOLATILE}, path, keys=_RECORD_KEYS)
    for key, below in value.items():
        where = (*path, key)
        if key == "schema_version":
            _vacuous(reader, where, "it is the same in every record")
        elif key in _RECORD_READERS:
            _RECORD_READERS[key](below, where, reader)
        else:
            check_value(below, where, reader)
    return value, None


# What the dedicated keys of an expectation refuse, `record` refuses too.
_RECORD_READERS: Final[Mapping[str, _ItemReader]] = {
    "verdict": _verdict,
    "reason_codes": lambda value, path, reader: _list(value, path, reader, _reason_code),
    "risk_signals": _risk_signals,
}


def _error(
    document: JsonObject, path: VectorPath, reader: Reader, *, others: Sequence[str]
) -> tuple[str | None, JsonValue]:
    if "error" not in document:
        return None, None
    below = (*path, "error")
    if others:
        names = ", ".join(f"`{key}`" for key in others)
        message = f"an error leaves no record to compare: drop {names} or `error`"
        reader.add("EXPECT_CONFLICT", message, below, on_key=True)
    value, problems = document["error"], None
    where: VectorPath = below
    if isinstance(value, dict):
        found = reader.mapping(value, below, keys=("reason_code", "problems"), required=("reason_code",)) or {}
        if "problems" in found:
            problems = _list(found["problems"], (*below, "problems"), reader, _reason_code)
        if "reason_code" not in found:
            return None, problems
        value, where = found["reason_code"], (*below, "reason_code")
    return reader.choice(value, _ERROR_CODES, where, code="REASON_CODE_UNKNOWN", what="error code"), problems


def _changed_from(document: JsonObject, path: VectorPath, reader: Reader) -> ChangedFrom | None:
    if "changed_from" not in document:
        return None
    below = (*path, "changed_from")
    found = reader.mapping(document["changed_from"], below, keys=("step", "because"), required=("step", "because"))
    if found is None or "step" not in found or "because" not in found:
        return None
    step = reader.matching(found["step"], ID_PATTERN, (*below, "step"), "a step id")
    because = reader.choice(found["because"], tuple(Cause), (*below, "because"), code="VALUE_INVALID", what="cause")
    return None if step is None or because is None else ChangedFrom(step=step, because=Cause(because))


def _without_free(value: JsonObject) -> JsonObject:
    return {key: below for key, below in value.items() if not key.startswith(FREE_PREFIX)}
