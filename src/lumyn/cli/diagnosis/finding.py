"""
One thing that `lumyn doctor` looked at and what it found, with the repair where there is a safe one.
Must not know what is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

__all__ = ["Finding", "Repair", "Status", "ok", "problem", "warning"]

Repair: TypeAlias = "Callable[[], str]"
"""Mends what was found and returns what it did; raises `OSError` or `LumynError` when it cannot."""


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What was found.

    Attributes:
        check: What was looked at, such as `store modes`.
        message: What was found; holds no secret and no value of a request.
        code: Stable upper-case code, or None when all is well.
        hint: What to do, or None.
        repair: What `--fix` does about it, or None when that is for a person to decide.
    """

    check: str
    status: Status
    message: str
    code: str | None = None
    hint: str | None = None
    repair: Repair | None = None


def ok(check: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(check=check, status=Status.OK, message=message)


def warning(check: str, message: str, *, code: str, hint: str | None = None, repair: Repair | None = None) -> Finding:
    """Return something that works and deserves attention."""
    return Finding(check=check, status=Status.WARNING, message=message, code=code, hint=hint, repair=repair)


def problem(check: str, message: str, *, code: str, hint: str | None = None, repair: Repair | None = None) -> Finding:
    """Return something that does not work, or lets others in."""
    return Finding(check=check, status=Status.PROBLEM, message=message, code=code, hint=hint, repair=repair)
