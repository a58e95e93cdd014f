"""
What the command line's exit codes mean, in one place.
Must not know commands or output.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from lumyn.errors import (
    IdempotencyConflictError,
    InstallationError,
    InvalidDocumentError,
    InvalidPackError,
    InvalidVectorError,
    LumynError,
    NotFoundError,
    StoreUnavailableError,
)
from lumyn.model import Verdict

if TYPE_CHECKING:
    from lumyn.core.records import DecisionRecord

__all__ = ["ExitCode", "for_error", "for_record"]


class ExitCode(IntEnum):
    """
    Every code a command can end with.

    `lumyn decide` ends with `OK` only when the action may proceed, so `lumyn decide r.json && refund` is safe.
    """

    OK = 0
    FAILED = 1
    """Drift, or a gate or a verification failed."""
    USAGE = 2
    INVALID = 3
    """A policy, request, vector file, pack or configuration is invalid."""
    STORAGE = 4
    """The store, a file or folder that was to be written, or the output itself is unavailable."""
    NOTHING_TO_DO = 5
    """What was named does not exist, or there is nothing left to do."""
    ESCALATE = 10
    QUERY = 11
    ABSTAIN = 12
    INTERNAL = 70
    INTERRUPTED = 130
    """128 + SIGINT, as shells report it."""
    PIPE_CLOSED = 141
    """128 + SIGPIPE: whoever read the output stopped reading."""


_FALSE_PACK = frozenset({"PACK_DIGEST_MISMATCH", "PACK_REPLAY_MISMATCH"})
"""A pack that can be read, and says what is not true: a verification that failed."""


def for_error(error: LumynError) -> ExitCode:
    """Return the code of an expected error."""
    match error:
        case StoreUnavailableError():
            return ExitCode.STORAGE
        case NotFoundError():
            return ExitCode.NOTHING_TO_DO
        case InstallationError():
            return ExitCode.INTERNAL
        case InvalidVectorError() if all(problem.code == "VECTORS_EMPTY" for problem in error.problems):
            return ExitCode.NOTHING_TO_DO
        case InvalidPackError() if all(problem.code in _FALSE_PACK for problem in error.problems):
            return ExitCode.FAILED
        case InvalidDocumentError() | IdempotencyConflictError():
            return ExitCode.INVALID
        case _:
            return ExitCode.INVALID


_REFUSALS = {Verdict.ESCALATE: ExitCode.ESCALATE, Verdict.QUERY: ExitCode.QUERY, Verdict.ABSTAIN: ExitCode.ABSTAIN}


def for_record(record: DecisionRecord) -> ExitCode:
    """Return `OK` when the record permits its action, else the code of its verdict."""
    if record.permits:
        return ExitCode.OK
    # A dry run permits nothing whatever its verdict, and `OK` would let the action run.
    return _REFUSALS.get(record.verdict, ExitCode.NOTHING_TO_DO)
