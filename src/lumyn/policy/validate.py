"""
Turns a policy document into a `Policy`, or refuses it with every problem at once, each with its place and a hint.
Must not know where the document came from, nor how a request is judged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from lumyn.digest import FreezeError, canonical_text, freeze, sha256_text
from lumyn.documents import Document, join_pointer
from lumyn.errors import InvalidPolicyError, Span
from lumyn.model import JsonObject, JsonValue, Mode, Verdict
from lumyn.policy.checks import Checks, quoted
from lumyn.policy.invariants import InvariantReader
from lumyn.policy.registry import engine_codes, registry
from lumyn.policy.scalars import Scalar
from lumyn.policy.spec import EvidenceSpec, MemorySpec, Policy
from lumyn.policy.validate_conditions import ConditionReader
from lumyn.policy.validate_evidence import evidence_key, read_evidence, settle_types
from lumyn.policy.validate_memory import read_memory
from lumyn.policy.validate_rules import ACTION_TYPE, RuleReader, check_requirements

__all__ = ["SCHEMA_VERSION", "validate_document"]

SCHEMA_VERSION: Final = "policy.v0"

_REQUIRED: Final = ("policy_id", "policy_version", "rules")
_FIELDS: Final = (
    "schema_version",
    "policy_id",
    "policy_version",
    "defaults",
    "reason_codes",
    "thresholds",
    "required_evidence",
    "evidence",
    "fx_bounds",
    "memory",
    "invariants",
    "rules",
)
_DEFAULTS_FIELDS: Final = ("mode", "default_verdict", "default_reason_code")
_DEFAULT_REASON_CODE: Final = "NO_MATCH_DEFAULT_ESCALATE"
_POLICY_ID: Final = "[A-Za-z0-9][A-Za-z0-9._/-]{0,127}"
_POLICY_VERSION: Final = "[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}"
_THRESHOLD: Final = "[A-Za-z][A-Za-z0-9_]{0,63}"
_REASON_CODE: Final = "[A-Z][A-Z0-9_]{2,63}"
_CURRENCY: Final = "[A-Z]{3}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Defaults:
    mode: Mode = Mode.ENFORCE
    verdict: Verdict = Verdict.ESCALATE
    reason_code: str = _DEFAULT_REASON_CODE


def validate_document(document: Document) -> Policy:
    """
    Return the policy that `document` holds; its numbers are exact decimals and its thresholds are substituted.

    Raises:
        InvalidPolicyError: With every problem found, sorted by position.
        InstallationError: The reason code registry is missing from the installation.
    """
    checks = Checks(document)
    root = _root(checks, _frozen(document))
    checks.control_characters()
    checks.mapping(root, "", "the policy", keys=_FIELDS, required=_REQUIRED)
    own_codes = _reason_codes(checks, root)
    codes = registry().keys() | own_codes.keys()
    defaults = _defaults(checks, root, codes)
    thresholds = _thresholds(checks, root)
    required = _required_evidence(checks, root)
    declared = read_evidence(checks, root.get("evidence", {}))
    fx_bounds = _fx_bounds(checks, root)
    keys = {*declared, *(key for keys in required.values() for key in keys)}
    conditions = ConditionReader(checks, thresholds=thresholds, evidence_keys=keys)
    rules = RuleReader(checks, conditions, reason_codes=codes).read_all(root.get("rules", []))
    types = settle_types(checks, declared, conditions.found)
    compared = _compared(checks, types, conditions)
    memory = read_memory(checks, root["memory"], types, compared) if "memory" in root else MemorySpec()
    invariants = _invariants(checks, root)
    own = ConditionReader(checks, thresholds=thresholds, evidence_keys=keys)
    actions = frozenset(required) | {action for rule in rules for action in rule.actions or ()}
    read = {condition.evidence_key for condition, _ in conditions.found}
    every = {*types, *keys, *(key for key in read if key is not None)}
    promises = InvariantReader(checks, own, types, actions, keys=every).read_all([*invariants])
    settle_types(checks, dict(types), own.found)
    check_requirements(checks, root.get("rules"), required)
    _refuse_required_defaults(checks, required, types)
    policy_id = _matching(checks, root, "policy_id", _POLICY_ID)
    policy_version = _matching(checks, root, "policy_version", _POLICY_VERSION)
    checks.finish()
    return Policy(
        policy_id=policy_id,
        policy_version=policy_version,
        policy_hash=sha256_text(canonical_text(root)),
        source=document.text,
        document=root,
        mode=defaults.mode,
        default_verdict=defaults.verdict,
        default_reason_code=defaults.reason_code,
        reason_codes=own_codes,
        thresholds={name: value for name, value in thresholds.items() if value is not None},
        required_evidence=required,
        evidence=types,
        fx_bounds=fx_bounds,
        memory=memory,
        rules=rules,
        invariants=invariants,
        promises=promises,
        spans=_spans(checks, root),
    )


def _frozen(document: Document) -> JsonValue:
    """Return a private copy in canonical number form, so that equal policies are equal data (2.0 is 2)."""
    try:
        return freeze(document.value)
    except FreezeError as refused:
        placed = [replace(problem, span=document.span(problem.pointer)) for problem in refused.problems]
        raise InvalidPolicyError(placed) from None


def _root(checks: Checks, value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        checks.add("POLICY_NOT_OBJECT", "a policy is an object: it begins with `schema_version: policy.v0`", "")
        checks.finish()
        return {}
    version = value.get("schema_version")
    if version == SCHEMA_VERSION:
        return value
    given = f", not {quoted(version)}" if isinstance(version, str) else ""
    message = f"`schema_version` must be `{SCHEMA_VERSION}`{given}"
    checks.add("SCHEMA_VERSION_UNSUPPORTED", message, "/schema_version")
    if isinstance(version, str) and version.startswith("policy."):
        checks.finish()  # another version of the language: held to the rules of this one, all of it would look wrong
    return value


def _matching(checks: Checks, root: JsonObject, field: str, pattern: str) -> str:
    if field not in root:
        return ""
    return checks.matching(root[field], pattern, f"/{field}", f"`{field}`") or ""


def _defaults(checks: Checks, root: JsonObject, codes: Collection[str]) -> _Defaults:
    block = checks.mapping(root.get("defaults", {}), "/defaults", "`defaults`", keys=_DEFAULTS_FIELDS) or {}
    mode: str | None = Mode.ENFORCE
    verdict: str | None = Verdict.ESCALATE
    code: str | None = _DEFAULT_REASON_CODE
    if "mode" in block:
        mode = checks.choice(block["mode"], tuple(Mode), "MODE_UNKNOWN", "/defaults/mode", "mode")
    if "default_verdict" in block:
        pointer = "/defaults/default_verdict"
        verdict = checks.choice(block["default_verdict"], tuple(Verdict), "VERDICT_UNKNOWN", pointer, "verdict")
        if verdict == Verdict.TRUST:
            message = "the default verdict must not be `TRUST`: an action no rule knows would proceed"
            hint = "use `ESCALATE`, `QUERY` or `ABSTAIN`"
            checks.add("DEFAULT_VERDICT_FORBIDDEN", message, pointer, hint=hint)
    if "default_reason_code" in block:
        pointer = "/defaults/default_reason_code"
        what = "reason code"
        code = checks.choice(block["default_reason_code"], codes, "REASON_CODE_UNKNOWN", pointer, what)
    return _Defaults(
        mode=Mode(mode or Mode.ENFORCE),
        verdict=Verdict(verdict or Verdict.ESCALATE),
        reason_code=code or _DEFAULT_REASON_CODE,
    )


def _reason_codes(checks: Checks, root: JsonObject) -> dict[str, str]:
    block = checks.mapping(root.get("reason_codes", {}), "/reason_codes", "`reason_codes`") or {}
    codes: dict[str, str] = {}
    for code, value in block.items():
        pointer = join_pointer("/reason_codes", code)
        checks.name(code, _REASON_CODE, pointer, "reason code")
        if code in engine_codes():
            message = f"reason code {quoted(code)} belongs to the engine and keeps its meaning"
            checks.add("REASON_CODE_RESERVED", message, pointer, on_key=True)
        # A code whose meaning is wrong still counts as declared, so that its uses are not reported as well.
        codes[code] = checks.text(value, pointer, f"the meaning of {quoted(code)}") or ""
    return codes


def _thresholds(checks: Checks, root: JsonObject) -> dict[str, Scalar | None]:
    block = checks.mapping(root.get("thresholds", {}), "/thresholds", "`thresholds`") or {}
    thresholds: dict[str, Scalar | None] = {}
    for name, value in block.items():
        pointer = join_pointer("/thresholds", name)
        checks.name(name, _THRESHOLD, pointer, "threshold")
        thresholds[name] = _constant(checks, value, pointer, f"threshold {quoted(name)}")
    return thresholds


def _constant(checks: Checks, value: JsonValue, pointer: str, what: str) -> Scalar | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return checks.text(value, pointer, what)
    if isinstance(value, (int, float)):
        return checks.number(value, pointer, what)
    checks.wrong_type(value, "a number, a string or a boolean", pointer, what)
    return None


def _required_evidence(checks: Checks, root: JsonObject) -> dict[str, tuple[str, ...]]:
    what = "`required_evidence`"
    block = checks.mapping(root.get("required_evidence", {}), "/required_evidence", what) or {}
    required: dict[str, tuple[str, ...]] = {}
    for action, value in block.items():
        pointer = join_pointer("/required_evidence", action)
        checks.name(action, ACTION_TYPE, pointer, "action type")
        items = checks.listing(value, pointer, f"the evidence required for {quoted(action)}")
        label = f"an evidence key required for {quoted(action)}"
        keys = checks.texts(items or [], pointer, label)
        for place, item in enumerate(items or []):
            if isinstance(item, str) and item in keys:
                evidence_key(checks, item, join_pointer(pointer, place), label)
        required[action] = keys
    return required


def _compared(checks: Checks, types: Mapping[str, EvidenceSpec], conditions: ConditionReader) -> set[str]:
    """Return the keys whose value a rule compares; all of them while a broken condition may be the one that does."""
    if checks.problems:
        return set(types)
    found = (condition for condition, _ in conditions.found if condition.operator.name != "present")
    return {condition.evidence_key for condition in found if condition.evidence_key is not None}


def _refuse_required_defaults(
    checks: Checks, required: Mapping[str, tuple[str, ...]], types: Mapping[str, EvidenceSpec]
) -> None:
    """Record required keys that have a default: they would never be missing, and never be asked for."""
    for action, keys in required.items():
        for place, key in enumerate(keys):
            spec = types.get(key)
            if spec is not None and spec.default is not None:
                message = f"`{key}` is required for {quoted(action)} and has a default ({spec.span})"
                hint = "drop the default, or do not require the key"
                checks.add("DEFAULT_FORBIDDEN", message, join_pointer("/required_evidence", action, place), hint=hint)


def _fx_bounds(checks: Checks, root: JsonObject) -> dict[str, tuple[Decimal, Decimal]] | None:
    if "fx_bounds" not in root:
        return None
    block = checks.mapping(root["fx_bounds"], "/fx_bounds", "`fx_bounds`") or {}
    bounds: dict[str, tuple[Decimal, Decimal]] = {}
    for currency, value in block.items():
        pointer = join_pointer("/fx_bounds", currency)
        checks.name(currency, _CURRENCY, pointer, "currency")
        if currency == "USD":
            message = "`USD` has no rate: an amount in US dollars is never converted"
            checks.add("VALUE_INVALID", message, pointer, on_key=True)
        pair = checks.listing(value, pointer, f"the bounds of {quoted(currency)}")
        if pair is None:
            continue
        what = f"a bound of {quoted(currency)}"
        numbers = [checks.number(item, join_pointer(pointer, place), what) for place, item in enumerate(pair)]
        low, high = (numbers[0], numbers[1]) if len(numbers) == 2 else (None, None)
        if len(pair) != 2 or (low is not None and high is not None and not 0 < low <= high):
            message = f"the bounds of {quoted(currency)} must be `[low, high]` with 0 < low <= high"
            checks.add("VALUE_INVALID", message, pointer)
        elif low is not None and high is not None:
            bounds[currency] = (low, high)
    return bounds


def _invariants(checks: Checks, root: JsonObject) -> tuple[JsonObject, ...]:
    items = checks.listing(root.get("invariants", []), "/invariants", "`invariants`") or []
    found = [
        checks.mapping(item, join_pointer("/invariants", place), "an invariant") for place, item in enumerate(items)
    ]
    return tuple(invariant for invariant in found if invariant is not None)


def _spans(checks: Checks, root: JsonObject) -> dict[str, Span]:
    """Return pointer -> position of the key, for everything but the inside of rules, which carry their own."""
    head = {field: value for field, value in root.items() if field != "rules"}
    return {pointer: checks.key_span(pointer) for pointer in _pointers(head, "")}


def _pointers(value: JsonValue, pointer: str) -> Iterator[str]:
    children: Collection[tuple[str | int, JsonValue]] = ()
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for name, child in children:
        below = join_pointer(pointer, name)
        yield below
        yield from _pointers(child, below)
