"""
What a gate is opened with, as callers give it: a policy by its file, a store by its address, modes by their names.
Returns the parts, checked; must not know what a gate does with them.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from lumyn.engine.redaction import RedactionPolicy, RedactionProfile
from lumyn.errors import InvalidConfigError, Problem, StoreUnavailableError
from lumyn.model import Mode
from lumyn.policy.spec import Policy
from lumyn.store import open_store
from lumyn.store.base import Store

__all__ = ["known_mode", "known_policy", "known_redaction", "known_store"]

E = TypeVar("E", bound=StrEnum)


def known_policy(given: str | Path | Policy) -> Policy:
    """Return a policy, read from its file where a path is given. Raises `InvalidPolicyError`."""
    if isinstance(given, Policy):
        return given
    from lumyn.policy.loader import load_policy

    return load_policy(Path(given))


def known_mode(given: Mode | str) -> Mode:
    """Return a mode. Raises `InvalidConfigError`."""
    return _member(Mode, given, "MODE_INVALID", "mode")


def known_redaction(given: RedactionPolicy | RedactionProfile | str) -> RedactionPolicy:
    """Return what is removed. Raises `InvalidConfigError`."""
    if isinstance(given, RedactionPolicy):
        return given
    return RedactionPolicy(profile=_member(RedactionProfile, given, "VALUE_INVALID", "redaction profile"))


def known_store(
    given: str | Path | Store, *, create: bool, synchronous: str, busy_timeout_s: float, store_id: str | None
) -> Store:
    """
    Return a store, made first where that is asked for; one that cannot be used is returned all the same.

    Opening a gate never fails for the store's sake: each decision reports it, as `ABSTAIN`, until it is mended.

    Raises:
        InvalidConfigError: The address or an option is not usable.
    """
    store: Store
    if isinstance(given, (str, Path)):
        store = open_store(str(given), synchronous=synchronous, busy_timeout_s=busy_timeout_s, store_id=store_id)
    else:
        store = given
    if create:
        try:
            store.create()
        except StoreUnavailableError:
            return store
    return store


def _member(kind: type[E], value: E | str, code: str, noun: str) -> E:
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(f"`{member.value}`" for member in kind)
        raise InvalidConfigError(
            [Problem(code=code, message=f"unknown {noun}", hint=f"use one of {choices}")]
        ) from None
