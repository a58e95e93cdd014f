"""
Calls the hooks of `hookspecs`, and says which of them raised.
Must not know what an implementation is asked for, nor what its failure means for the run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import pytest

from lumyn.report.text import printable
from pytest_lumyn.failure import raised_at

__all__ = ["Hook", "HookFailedError", "call", "guarded"]

_ENDING: Final = (KeyboardInterrupt, pytest.exit.Exception)
_PASSED_ON: Final = (*_ENDING, pytest.skip.Exception, pytest.xfail.Exception)
"""What an implementation says to pytest itself."""

T = TypeVar("T")


class Hook(Protocol):
    """A hook as pluggy hands it out."""

    @property
    def name(self) -> str: ...

    def __call__(self, **arguments: object) -> Any: ...  # noqa: ANN401


class HookFailedError(Exception):
    """
    An implementation of a hook raised, or answered with what cannot be read.

    Attributes:
        cause: What was raised.
    """

    def __init__(self, name: str, cause: BaseException) -> None:
        said = " ".join(str(cause).split())
        super().__init__(printable(f"hook {name} raised {type(cause).__name__}: {said}".rstrip(": ")))
        self.cause = cause

    def located(self, base: Path) -> str:
        """Return the message with the line that raised, whose file is relative to `base` where it lies below."""
        place = raised_at(self.cause, base)
        return f"{self} ({place})" if place else str(self)


def call(hook: Hook, **arguments: object) -> Any:  # noqa: ANN401 (every hook answers something else)
    """Return what the implementations of a hook answer; raises HookFailedError where one of them raises."""
    return guarded(hook.name, partial(hook, **arguments))


def guarded(name: str, ask: Callable[[], T], *, may_skip: bool = True) -> T:
    """
    Return what `ask` returns, which asks the hook `name`; raises HookFailedError where that raises.

    Args:
        may_skip: Whether an implementation may skip the vector, or expect it to fail: not once it has come out.
    """
    done = pytest.CallInfo.from_call(ask, when="call", reraise=_PASSED_ON if may_skip else _ENDING)
    if done.excinfo is not None:
        raise HookFailedError(name, done.excinfo.value) from done.excinfo.value
    return done.result
