"""
What of a request is kept: profiles and lists of JSON Pointers, applied before anything is stored.
Removes whole values and says which, never what a verdict is computed from; must not know stores or records.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from lumyn.documents import join_pointer
from lumyn.documents.pointers import pointer_tokens
from lumyn.errors import InvalidConfigError, Problem
from lumyn.model import JsonObject, JsonValue
from lumyn.policy.spec import FX_RATE_KEY, Policy

__all__ = ["Redacted", "RedactionPolicy", "RedactionProfile", "redact"]

_Path: TypeAlias = tuple[str, ...]
_Place: TypeAlias = tuple[str | int, ...]

_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_EVIDENCE_KEY: Final = re.compile(r"(?!lumyn_|failure_similarity_score\Z)[A-Za-z][A-Za-z0-9_]{0,127}")

_INLINE: Final = "/context/inline"
_ROLES: Final = "/subject/roles"

_REMOVABLE: Final = (
    "/subject/id",
    "/subject/ip",
    "/subject/user_agent",
    _ROLES,
    "/action/intent",
    "/action/target/resource_id",
    _INLINE,
    "/context/ref",
    "/context/ref/kind",
    "/context/ref/id",
    "/context/ref/uri",
    "/trace",
    "/trace/correlation_id",
    "/trace/span_id",
    "/extensions",
)
"""What can be removed, single evidence keys apart."""

_OPEN: Final = (f"{_INLINE}/", "/extensions/")
"""Objects whose members no contract names: anything below them can be removed."""

_KEPT: Final = frozenset(
    {
        "",
        "/schema_version",
        "/request_id",
        "/tenant",
        "/tenant/tenant_id",
        "/tenant/environment",
        "/subject",
        "/subject/type",
        "/subject/tenant_id",
        "/action",
        "/action/type",
        "/action/target",
        "/action/target/system",
        "/action/target/resource_type",
        "/action/amount",
        "/action/amount/value",
        "/action/amount/currency",
        "/action/tags",
        "/evidence",
        f"/evidence/{FX_RATE_KEY}",
        "/context",
        "/context/mode",
        "/context/digest",
        "/context/redaction",
        "/policy",
        "/hints",
    }
)
"""What a verdict is computed from under any policy, what experience is compared by, and what a record is found by."""


class RedactionProfile(StrEnum):
    """
    How much of a request is kept, loosest first.

    `off` keeps everything. `default` drops inline context and keeps its digest. `strict` also drops evidence that no
    rule reads, and the address and user agent of the subject.
    """

    OFF = "off"
    DEFAULT = "default"
    STRICT = "strict"

    @property
    def strictness(self) -> int:
        """0 for `off` up to 2 for `strict`."""
        return tuple(RedactionProfile).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionPolicy:
    """
    What of a request is not kept: all that a profile drops, and what the pointers lead to.

    Attributes:
        profile: The least that is dropped; a request may ask for a stricter one.
        remove: RFC 6901 JSON Pointers into a request, such as `/context/inline/card`; kept sorted, each once.
        paths: Their tokens, in the same order.

    Raises:
        InvalidConfigError: `POINTER_INVALID`; `FIELD_UNKNOWN` for a pointer that no request can hold anything at, so
            that a misspelt one is never passed over; `REMOVAL_FORBIDDEN` for one to what a decision is made of.
    """

    profile: RedactionProfile = RedactionProfile.DEFAULT
    remove: tuple[str, ...] = ()
    paths: tuple[_Path, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = (_problem(pointer, index) for index, pointer in enumerate(self.remove))
        if problems := [problem for problem in found if problem is not None]:
            raise InvalidConfigError(problems)
        object.__setattr__(self, "remove", tuple(sorted(set(self.remove))))
        object.__setattr__(self, "paths", tuple(pointer_tokens(pointer) for pointer in self.remove))

    def with_profile(self, profile: RedactionProfile) -> RedactionPolicy:
        """Return the same pointers under another profile."""
        return RedactionPolicy(profile=profile, remove=self.remove)

    def check(self, policy: Policy) -> None:
        """
        Return when nothing that `policy` reads would be removed.

        Without it a decision could not be made again from its record, and a labelled failure would count for less.

        Raises:
            InvalidConfigError: `REMOVAL_FORBIDDEN`, once for each such pointer.
        """
        read = _read_by(policy) if self.remove else ()
        if problems := [
            _forbidden(pointer, f"a rule of the policy `{policy.policy_id}` reads it", "/redaction/remove")
            for pointer in self.remove
            if pointer in read
        ]:
            raise InvalidConfigError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """
    A request as it is kept.

    Attributes:
        replaced: Top-level members that differ from the request as received; empty when nothing was removed. A member
            that was removed itself stays as an empty object.
        fields_removed: JSON Pointers of what was removed, sorted. Of two that lie one below the other, the upper one.
    """

    replaced: JsonObject
    fields_removed: tuple[str, ...]


_NOTHING: Final = Redacted(replaced={}, fields_removed=())


def redact(document: JsonObject, redaction: RedactionPolicy, *, keys_read: Collection[str]) -> Redacted:
    """
    Return what has to change in a request before it is kept.

    Args:
        document: A valid request; not changed.
        redaction: The operator's pointers, under the operator's profile or the stricter one a request asked for.
        keys_read: Evidence keys that matter to the action under the policy in force; only `strict` looks at them.

    Returns:
        The members to replace. Pure: equal inputs give equal output.
    """
    profile, context = redaction.profile, document["context"]
    drops_inline = profile is not RedactionProfile.OFF and isinstance(context, dict) and "inline" in context
    if not drops_inline and not redaction.paths and profile is not RedactionProfile.STRICT:
        return _NOTHING
    found = {place for path in redaction.paths if (place := _find(document, path)) is not None}
    if drops_inline:
        found.add(("context", "inline"))
    if profile is RedactionProfile.STRICT:
        found.update(_strict_places(document, keys_read))
    places = [place for place in found if not any(place[:length] in found for length in range(1, len(place)))]
    if not places:
        return _NOTHING
    removed = sorted(join_pointer("", *place) for place in places)
    replaced: JsonObject = {}
    for member, below in _by_first(places).items():
        replaced[str(member)] = {} if () in below else _without(document[str(member)], below)
    kept = replaced.get("context", context)
    if isinstance(kept, dict):
        replaced["context"] = {**kept, "redaction": _note(kept.get("redaction"), profile, removed)}
    return Redacted(replaced=replaced, fields_removed=tuple(removed))


def _strict_places(document: JsonObject, keys_read: Collection[str]) -> Iterable[_Place]:
    evidence, subject = document.get("evidence"), document["subject"]
    if isinstance(evidence, dict):
        # The rate converts the amount, which a record always states in US dollars too.
        yield from (("evidence", key) for key in evidence if key not in keys_read and key != FX_RATE_KEY)
    if isinstance(subject, dict):
        yield from (("subject", key) for key in ("ip", "user_agent") if key in subject)


def _find(document: JsonObject, path: _Path) -> _Place | None:
    """Return the keys and indices that lead to what `path` names, or None when nothing is there."""
    value: JsonValue = document
    place: list[str | int] = []
    for token in path:
        if isinstance(value, dict) and token in value:
            place.append(token)
            value = value[token]
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            place.append(int(token))
            value = value[int(token)]
        else:
            return None
    # Of a top-level object the members are removed, so an empty one has nothing to remove.
    return None if len(place) == 1 and not value else tuple(place)


def _by_first(places: Iterable[_Place]) -> dict[str | int, list[_Place]]:
    grouped: dict[str | int, list[_Place]] = {}
    for first, *rest in places:
        grouped.setdefault(first, []).append(tuple(rest))
    return grouped


def _without(value: JsonValue, places: Sequence[_Place]) -> JsonValue:
    """Return a copy of an object or list without what `places` lead to; indices are those of the original."""
    below = _by_first(places)

    def kept(key: str | int, item: JsonValue) -> JsonValue:
        return _without(item, below[key]) if key in below else item

    if isinstance(value, dict):
        return {key: kept(key, item) for key, item in value.items() if () not in below.get(key, ())}
    if isinstance(value, list):
        return [kept(index, item) for index, item in enumerate(value) if () not in below.get(index, ())]
    return value


def _note(given: JsonValue, profile: RedactionProfile, removed: list[str]) -> JsonObject:
    """Return the redaction note: what the caller already took out, and what was taken out here."""
    before = given.get("fields_removed", []) if isinstance(given, dict) else []
    fields = sorted({*removed, *(str(each) for each in (before if isinstance(before, list) else []))})
    return {"profile": profile.value, "fields_removed": list(fields)}


def _problem(pointer: object, index: int) -> Problem | None:
    where = f"/redaction/remove/{index}"
    if not isinstance(pointer, str) or not _POINTER.fullmatch(pointer) or not pointer.isprintable():
        message, hint = "not an RFC 6901 JSON Pointer", "write it as `/context/inline/card`"
        return Problem(code="POINTER_INVALID", message=message, pointer=where, hint=hint)
    if pointer in _KEPT:
        return _forbidden(pointer, "decisions are made or found by it", where)
    if pointer in _REMOVABLE or pointer.startswith(_OPEN):
        return None
    parent, _, key = pointer.rpartition("/")
    if parent == "/evidence" and _EVIDENCE_KEY.fullmatch(key):
        return None
    message = f"`{pointer}` leads to nothing that a request can hold and a record can do without"
    return Problem(code="FIELD_UNKNOWN", message=message, pointer=where, hint=_nearest(pointer))


def _forbidden(pointer: str, why: str, where: str) -> Problem:
    return Problem(code="REMOVAL_FORBIDDEN", message=f"`{pointer}` cannot be removed: {why}", pointer=where)


def _nearest(pointer: str) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(pointer, _REMOVABLE, n=1)
    return f"did you mean `{close[0]}`?" if close else None


def _read_by(policy: Policy) -> set[str]:
    """Return pointers to the removable members that a rule of the policy reads or requires."""
    conditions = [condition for rule in policy.rules for condition in rule.conditions]
    keys = {key for required in policy.required_evidence.values() for key in required}
    keys |= {condition.evidence_key for condition in conditions if condition.evidence_key is not None}
    read = {join_pointer("/evidence", key) for key in keys}
    return read | {_ROLES} if any(condition.fact == "subject.roles" for condition in conditions) else read
