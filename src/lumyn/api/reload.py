"""
The policy file of a running service: whether it changed, what it holds, and how the last look at it went.
Must not know gates or decisions.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lumyn.core.clock import SystemClock, rfc3339
from lumyn.documents import read_bytes
from lumyn.errors import InvalidPolicyError, LumynError, Problem
from lumyn.policy.loader import parse_policy

if TYPE_CHECKING:
    from lumyn.policy.spec import Policy

__all__ = ["PolicyFile"]

Look: TypeAlias = "tuple[int, ...] | None"
"""What tells one state of a file from another without reading it; None when it cannot be told."""


class PolicyFile:
    """
    A policy file that may be replaced while its policy is in force.

    Not safe to share between threads, `state` and `loaded_at` apart: one thread at a time may look.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Look = self._look()
        self._moving: Look = self._seen
        self._error: LumynError | None = None
        self._attempted_at = self.loaded_at = _now()

    def changed(self) -> bool:
        """
        Return whether the file is another than when it was read, and lies still since the last call.

        Half of a policy may be a valid one, and a looser one: what is being written must be let be.
        """
        look = self._look()
        still, self._moving = look == self._moving, look
        return still and look != self._seen

    def read(self) -> Policy:
        """
        Return the policy in the file.

        Raises:
            InvalidPolicyError: It cannot be read, holds no valid policy, or was written to meanwhile.
        """
        self._attempted_at = _now()
        self._seen = before = self._look()
        try:
            data = read_bytes(self._path, error=InvalidPolicyError)
        except InvalidPolicyError:
            # What keeps a file from being read can end without a trace in it, such as too many files being open.
            self._seen = None
            raise
        if self._look() != before:
            self._seen = None  # look again
            problem = Problem(code="POLICY_CHANGING", message=f"`{self._path}` is being written to")
            raise InvalidPolicyError([problem])
        return parse_policy(data, file=str(self._path))

    def loaded(self) -> None:
        """Note that the policy of the file is in force."""
        self._error = None
        self.loaded_at = _now()

    def failed(self, error: LumynError) -> bool:
        """Note that the policy of the file could not be put in force; return whether that was so before, and why."""
        before, self._error = self._error, error
        return before is not None and before.to_dict() == error.to_dict()

    def state(self) -> dict[str, object]:
        """Return how the last look went, for people: `status` is `ok` or `failed`, then with the error."""
        error = self._error
        if error is None:
            return {"status": "ok", "attempted_at": self._attempted_at}
        return {"status": "failed", "attempted_at": self._attempted_at, "error": error.to_dict()}

    def _look(self) -> Look:
        try:
            found = self._path.stat()
        except (OSError, ValueError):
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _now() -> str:
    return rfc3339(SystemClock().now_ms())
