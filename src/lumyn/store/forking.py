"""
Brings open stores across a fork, so that parent and child each go on with a connection of their own.
Must not know what a connection is.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

__all__ = ["Forkable", "watch"]


class Forkable(Protocol):
    """What has to be put in order around a fork."""

    def before_fork(self) -> None:
        """Take its lock and let go of what must not be inherited."""

    def after_fork_in_parent(self) -> None:
        """Release its lock."""

    def after_fork_in_child(self) -> None:
        """Make its lock anew: the thread that held it is in the parent."""


_WATCHED: weakref.WeakSet[Forkable] = weakref.WeakSet()


class _Forks:
    """The fork under way. Forks of several threads take turns, so that they never wait for each other's locks."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._held: list[Forkable] = []

    def before(self) -> None:
        self._turn.acquire()
        for each in list(_WATCHED):
            each.before_fork()
            self._held.append(each)

    def after_in_parent(self) -> None:
        while self._held:
            self._held.pop().after_fork_in_parent()
        self._turn.release()

    def after_in_child(self) -> None:
        self._turn = threading.Lock()
        self._held = []
        for each in list(_WATCHED):
            each.after_fork_in_child()


def watch(each: Forkable) -> None:
    """Call the three methods of `each` around every fork, for as long as it lives."""
    _WATCHED.add(each)


if hasattr(os, "register_at_fork"):
    _forks = _Forks()
    os.register_at_fork(
        before=_forks.before, after_in_parent=_forks.after_in_parent, after_in_child=_forks.after_in_child
    )
