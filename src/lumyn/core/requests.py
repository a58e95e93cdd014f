"""
Turns what a caller sent into a `DecisionRequest`, or says everything that is wrong with it.
One of the places where raw JSON exists; must not know how a policy is evaluated or where records go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, cast

from lumyn.digest import FreezeError, canonical_text, digest, freeze, sha256_text
from lumyn.documents import Limits, parse_json
from lumyn.documents.schema import check, problems
from lumyn.engine.redaction import RedactionProfile
from lumyn.errors import InvalidRequestError, Problem, StoreIntegrityError
from lumyn.model import DecisionRequest, JsonObject, JsonValue, Mode
from lumyn.policy.spec import Policy

__all__ = [
    "REQUEST_SCHEMA",
    "ParsedRequest",
    "digest_of_request",
    "minor_digits",
    "parse_request",
    "parsed_from_stored",
    "request_from_document",
]

REQUEST_SCHEMA: Final = "decision_request.v0.schema.json"

# ISO 4217: currencies whose minor unit is not two digits.
_MINOR_DIGITS: Final = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
# The identity of a request leaves out what may differ between two sendings of the same request.
_NOT_IDENTITY: Final = frozenset({"request_id", "trace"})
# The inputs digest also leaves out what cannot bear on the verdict (SPEC 2.3).
_NOT_INPUTS: Final = frozenset({"request_id", "trace", "hints", "extensions"})
# The members that follow `request_id` in canonical order, `trace` apart.
_AFTER_REQUEST_ID: Final = ("schema_version", "subject", "tenant")
_EMPTY: Final[JsonObject] = {}
_CONTEXT_INPUTS: Final = frozenset({"mode", "digest", "ref"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """
    A request that passed every check.

    Attributes:
        identity: Canonical text of the whole request as received, without `request_id` and `trace`.
        context: The `context` member with its digest filled in.
        digest: Digest of `identity`.
    """

    request: DecisionRequest
    identity: str
    context: JsonObject
    digest: str


def parse_request(
    raw: Mapping[str, object] | str | bytes,
    *,
    policy: Policy,
    mode: Mode,
    redaction: RedactionProfile,
    limits: Limits,
) -> ParsedRequest:
    """
    Check a request against its schema and against the gate it was sent to.

    Args:
        raw: A mapping, copied before anything is read from it twice, or JSON text.
        mode: The operator's mode; a request may ask for `enforce`, never for `advisory` where the operator enforces.
        redaction: The operator's profile; a request may ask for more, never for less.

    Raises:
        InvalidRequestError: With every problem found; no value of the request is repeated.
    """
    document = _document(raw, limits)
    if not check(REQUEST_SCHEMA, document):
        raise InvalidRequestError(problems(REQUEST_SCHEMA, document))
    identity = _identity(document)
    if len(identity) > limits.max_bytes:
        raise InvalidRequestError([too_large(limits)])
    request = request_from_document(document)
    found: list[Problem] = []
    context = _context(document, found)
    if "tenant" in document:
        _check_tenant(document, found)
    _check_amount(request, found)
    if "policy" in document or "hints" in document:
        _check_pin(document, policy, mode, found)
    if "redaction" in context:
        _check_redaction(context, redaction, found)
    if found:
        raise InvalidRequestError(found)
    return ParsedRequest(request=request, identity=identity, context=context, digest=sha256_text(identity))


def digest_of_request(raw: Mapping[str, object] | str | bytes, *, limits: Limits) -> str:
    """
    Return the digest that identifies a request, for comparing an action with the one that was decided.

    Raises:
        InvalidRequestError: It is not JSON data; the schema is not checked.
    """
    return sha256_text(_identity(_document(raw, limits)))


def parsed_from_stored(record: JsonObject, *, digest: str) -> ParsedRequest:
    """
    Return the request inside a stored record, as it was kept.

    Args:
        digest: The digest of the request as it was received, which a redacted request no longer yields.

    Raises:
        StoreIntegrityError: It is no request.
    """
    try:
        document = cast("JsonObject", freeze(_object(record["request"])))
        return ParsedRequest(
            request=request_from_document(document),
            identity=_identity(document),
            context=_object(document["context"]),
            digest=digest,
        )
    except (FreezeError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        raise StoreIntegrityError("the request of a stored record cannot be read back") from None


@dataclass(frozen=True, slots=True)
class PersistedText:
    """Canonical text of a request as it is kept: whole, reduced to what the inputs digest covers, and its trace."""

    request: str
    inputs: str
    trace: str | None


def persisted_text(parsed: ParsedRequest, replaced: JsonObject) -> PersistedText:
    """
    Return the request as it is kept.

    Args:
        replaced: Members that redaction changed; empty when there are none.
    """
    received = parsed.request.document
    context = parsed.context
    kept = received
    if replaced or context is not received["context"]:
        kept = {**received, "context": context, **replaced}
        context = _object(kept["context"])
    trace = canonical_text(kept["trace"]) if "trace" in kept else None
    if kept is not received or "hints" in kept or "extensions" in kept or not context.keys() <= _CONTEXT_INPUTS:
        reduced: JsonObject = {key: value for key, value in context.items() if key in _CONTEXT_INPUTS}
        inputs = {name: value for name, value in kept.items() if name not in _NOT_INPUTS}
        return PersistedText(canonical_text(kept), canonical_text({**inputs, "context": reduced}), trace)
    # Nothing is left out or changed, so the text that was made for the identity serves all three.
    return PersistedText(_completed(parsed.identity, received, trace), parsed.identity, trace)


def _completed(identity: str, document: JsonObject, trace: str | None) -> str:
    """Return the canonical text of a whole request, put together from the text without `request_id` and `trace`."""
    text = identity
    if "request_id" in document:
        # Canonical order puts `request_id` right before these members, and they end the text.
        tail = canonical_text({name: document[name] for name in _AFTER_REQUEST_ID if name in document})[1:]
        text = f'{text[: -len(tail)]}"request_id":{canonical_text(document["request_id"])},{tail}'
    return text if trace is None else f'{text[:-1]},"trace":{trace}}}'


def request_from_document(document: JsonObject) -> DecisionRequest:
    """Return the request of a document that is known to be valid, such as the one inside a stored record."""
    # The schema has settled the types, so this only has to be quick: it runs for every decision.
    action = cast("JsonObject", document["action"])
    subject = cast("JsonObject", document["subject"])
    tenant = cast("JsonObject", document.get("tenant", _EMPTY))
    target = cast("JsonObject", action.get("target", _EMPTY))
    amount = cast("JsonObject", action.get("amount", _EMPTY))
    hints = cast("JsonObject", document.get("hints", _EMPTY))
    value = amount.get("value")
    roles, tags = subject.get("roles"), action.get("tags")
    return DecisionRequest(
        document=document,
        request_id=cast("str | None", document.get("request_id")),
        tenant_id=cast("str | None", tenant.get("tenant_id") or subject.get("tenant_id")),
        environment=cast("str | None", tenant.get("environment")),
        subject_type=cast("str", subject["type"]),
        roles=None if roles is None else tuple(cast("list[str]", roles)),
        action_type=cast("str", action["type"]),
        target_system=cast("str | None", target.get("system")),
        resource_type=cast("str | None", target.get("resource_type")),
        amount_value=None if value is None else _amount(value),
        amount_currency=cast("str | None", amount.get("currency")),
        tags=None if tags is None else tuple(cast("list[str]", tags)),
        evidence=cast("JsonObject", document.get("evidence", _EMPTY)),
        mode=_mode(document) if "policy" in document or hints else None,
        dry_run=hints.get("dry_run") is True,
    )


def minor_digits(currency: str) -> int:
    """Return how many fraction digits an amount in `currency` may have (ISO 4217)."""
    return _MINOR_DIGITS.get(currency, 2)


def _mode(document: JsonObject) -> Mode | None:
    asked = {_object(document.get(member)).get("mode") for member in ("policy", "hints")} - {None}
    if not asked:
        return None
    return Mode.ENFORCE if Mode.ENFORCE in asked else Mode.ADVISORY


def too_large(limits: Limits) -> Problem:
    """Return the problem of a request over the size limit."""
    return Problem(
        code="REQUEST_TOO_LARGE",
        message=f"the request is larger than {limits.max_bytes} bytes",
        hint="send a digest or a reference instead of inline context",
    )


def _document(raw: Mapping[str, object] | str | bytes, limits: Limits) -> JsonObject:
    if isinstance(raw, (str, bytes)):
        value: object = parse_json(raw, error=InvalidRequestError, limits=limits)
    else:
        value = raw
    try:
        frozen = freeze(value)
    except FreezeError as error:
        raise InvalidRequestError(error.problems) from None
    if not isinstance(frozen, dict):
        raise InvalidRequestError([Problem(code="TYPE_INVALID", message="a request is a JSON object")])
    return frozen


def _identity(document: JsonObject) -> str:
    if document.keys().isdisjoint(_NOT_IDENTITY):
        return canonical_text(document)
    return canonical_text({name: value for name, value in document.items() if name not in _NOT_IDENTITY})


def _context(document: JsonObject, found: list[Problem]) -> JsonObject:
    context = _object(document["context"])
    if "inline" not in context:
        return context
    computed = digest(context["inline"])
    given = context.get("digest")
    if given is not None and given != computed:
        found.append(
            Problem(
                code="DIGEST_MISMATCH",
                message="the digest is not that of the inline content",
                pointer="/context/digest",
                hint="leave `digest` out and it is computed, or hash the RFC 8785 form of `inline`",
            )
        )
    return {**context, "digest": computed}


def _check_tenant(document: JsonObject, found: list[Problem]) -> None:
    of_tenant = _object(document.get("tenant")).get("tenant_id")
    of_subject = _object(document["subject"]).get("tenant_id")
    if of_tenant is not None and of_subject is not None and of_tenant != of_subject:
        found.append(
            Problem(
                code="TENANT_CONFLICT",
                message="`tenant.tenant_id` and `subject.tenant_id` differ",
                pointer="/subject/tenant_id",
                hint="send one of them, or the same in both",
            )
        )


def _check_amount(request: DecisionRequest, found: list[Problem]) -> None:
    value, currency = request.amount_value, request.amount_currency
    if value is None or currency is None:
        return
    digits = minor_digits(currency)
    if value != round(value, digits):
        found.append(
            Problem(
                code="NUMBER_PRECISION",
                message=f"the amount has more than the {digits} fraction digits of its currency",
                pointer="/action/amount/value",
                hint="round it as your ledger does before asking",
            )
        )


def _check_pin(document: JsonObject, policy: Policy, mode: Mode, found: list[Problem]) -> None:
    pin = _object(document.get("policy"))
    for key, loaded in (("policy_id", policy.policy_id), ("policy_version", policy.policy_version)):
        if pin.get(key) not in {None, loaded}:
            found.append(
                Problem(
                    code="POLICY_PIN_MISMATCH",
                    message=f"`policy.{key}` is not that of the loaded policy",
                    pointer=f"/policy/{key}",
                    hint="load the pinned policy, or update the pin",
                )
            )
    if mode is not Mode.ENFORCE:
        return
    for member in ("policy", "hints"):
        if _object(document.get(member)).get("mode") == Mode.ADVISORY:
            found.append(
                Problem(
                    code="MODE_OVERRIDE_FORBIDDEN",
                    message="a request may not ask for `advisory` where the operator enforces",
                    pointer=f"/{member}/mode",
                    hint="leave the mode out; it is set where the gate is opened",
                )
            )


def _check_redaction(context: JsonObject, operator: RedactionProfile, found: list[Problem]) -> None:
    asked = _object(context.get("redaction")).get("profile")
    if asked is None:
        return
    pointer = "/context/redaction/profile"
    if asked not in set(RedactionProfile):
        message, hint = "the redaction profile is not known", f"use one of {', '.join(RedactionProfile)}"
        found.append(Problem(code="VALUE_INVALID", message=message, pointer=pointer, hint=hint))
    elif RedactionProfile(str(asked)).strictness < operator.strictness:
        message = "a request may not ask for less redaction than the operator set"
        hint = "leave the profile out, or ask for a stricter one"
        found.append(Problem(code="REDACTION_OVERRIDE_FORBIDDEN", message=message, pointer=pointer, hint=hint))


def _amount(value: JsonValue) -> Decimal:
    return Decimal(value) if isinstance(value, (int, str)) else Decimal(repr(value))


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
