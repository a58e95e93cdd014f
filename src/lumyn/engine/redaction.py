"""
What of a request is kept: redaction profiles, applied before anything is stored.
Removes whole values and says which; must not know policies, stores or records.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from lumyn.documents import join_pointer
from lumyn.model import JsonObject, JsonValue

__all__ = ["Redacted", "RedactionProfile", "redact"]


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
class Redacted:
    """
    A request as it is kept.

    Attributes:
        replaced: Top-level members that differ from the request as received; empty when nothing was removed.
        fields_removed: JSON Pointers of what was removed, sorted.
    """

    replaced: JsonObject
    fields_removed: tuple[str, ...]


_NOTHING = Redacted(replaced={}, fields_removed=())


def redact(document: JsonObject, profile: RedactionProfile, *, keys_read: Collection[str]) -> Redacted:
    """
    Return what has to change in a request before it is kept.

    Args:
        document: A valid request; not changed.
        keys_read: Evidence keys that matter to the action under the policy in force; only `strict` looks at them.

    Returns:
        The members to replace. Pure: equal inputs give equal output.
    """
    if profile is RedactionProfile.OFF:
        return _NOTHING
    replaced: JsonObject = {}
    removed: list[str] = []
    context = document["context"]
    if isinstance(context, dict) and "inline" in context:
        context = {key: value for key, value in context.items() if key != "inline"}
        removed.append("/context/inline")
    if profile is RedactionProfile.STRICT:
        removed += _drop(document, "evidence", replaced, lambda key: key not in keys_read)
        removed += _drop(document, "subject", replaced, lambda key: key in {"ip", "user_agent"})
    if not removed:
        return _NOTHING
    removed.sort()
    if isinstance(context, dict):
        replaced["context"] = {**context, "redaction": _note(context.get("redaction"), profile, removed)}
    return Redacted(replaced=replaced, fields_removed=tuple(removed))


def _drop(document: JsonObject, member: str, replaced: JsonObject, drop: Callable[[str], bool]) -> list[str]:
    value = document.get(member)
    if not isinstance(value, dict):
        return []
    dropped = [key for key in value if drop(key)]
    if dropped:
        replaced[member] = {key: kept for key, kept in value.items() if key not in dropped}
    return [join_pointer("", member, key) for key in dropped]


def _note(given: JsonValue, profile: RedactionProfile, removed: list[str]) -> JsonObject:
    """Return the redaction note: what the caller already took out, and what was taken out here."""
    before = given.get("fields_removed", []) if isinstance(given, dict) else []
    fields = sorted({*removed, *(str(field) for field in (before if isinstance(before, list) else []))})
    return {"profile": profile.value, "fields_removed": list(fields)}
