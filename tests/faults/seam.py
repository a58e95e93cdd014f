"""
A seam between the store and SQLite: connections whose n-th statement fails, before or after it ran, or that stop at a
step of SQLite's virtual machine. Nothing of Lumyn is replaced; the store opens these connections itself.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_connect = sqlite3.connect


def io_error() -> sqlite3.OperationalError:
    """Return the error that a failing disk gives."""
    return sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error")


def full() -> sqlite3.OperationalError:
    """Return the error that a full disk gives; the connection outlives it."""
    return sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full")


def busy() -> sqlite3.OperationalError:
    """Return the error that another writer gives."""
    return sqlite_error(sqlite3.SQLITE_BUSY, "database is locked")


def corrupt() -> sqlite3.DatabaseError:
    """Return the error that a damaged page gives; it is no OperationalError."""
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def sqlite_error(code: int, text: str) -> sqlite3.OperationalError:
    """Return an error as the driver raises it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    error.sqlite_errorname = text.upper()
    return error


def die() -> sqlite3.OperationalError:
    """End the process as nothing can catch it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


@dataclass
class Plan:
    """
    Which statement fails, and how.

    Attributes:
        nth: The statement that fails, counted from 1 while the plan is armed.
        after: Whether it has run by then.
        failure: Makes the error; or acts, and returns None when the statement is to go on.
        times: How many statements fail from there on.
        seen: The statements since the plan was armed.
    """

    nth: int = 0
    after: bool = False
    failure: Callable[[], BaseException | None] = io_error
    times: int = 1
    armed: bool = False
    fired: bool = False
    seen: list[str] = field(default_factory=list)

    def around(self, sql: str, run: Callable[[], Any]) -> Any:
        if not self.armed:
            return run()
        self.seen.append(sql)
        place = len(self.seen)
        due = self.nth <= place < self.nth + self.times
        if due and not self.after:
            self._fail()
        result = run()
        if due and self.after:
            self._fail()
        return result

    def _fail(self) -> None:
        self.fired = True
        error = self.failure()
        if error is not None:
            raise error


@dataclass
class Steps:
    """
    At which step of SQLite's virtual machine the statement is interrupted.

    Attributes:
        at: The step, counted from 1 over all connections while armed.
    """

    at: int = 0
    armed: bool = False
    count: int = 0

    @property
    def fired(self) -> bool:
        return self.count >= self.at

    def __call__(self) -> int:
        if not self.armed:
            return 0
        self.count += 1
        return self.count == self.at


@contextmanager
def statements(plan: Plan) -> Iterator[Plan]:
    """Have every connection that is opened meanwhile follow `plan`."""

    class Planned(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> Any:
            return plan.around(sql, lambda: super(Planned, self).execute(sql, *parameters))

        def executescript(self, sql: str) -> Any:
            return plan.around(sql, lambda: super(Planned, self).executescript(sql))

    with _connecting(lambda *args, **options: _connect(*args, **{**options, "factory": Planned})):
        yield plan


@contextmanager
def steps(plan: Steps) -> Iterator[Steps]:
    """Have every connection that is opened meanwhile ask `plan` at every step of the virtual machine."""

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = _connect(*args, **options)
        connection.set_progress_handler(plan, 1)
        return connection

    with _connecting(connect):
        yield plan


@contextmanager
def _connecting(connect: Callable[..., sqlite3.Connection]) -> Iterator[None]:
    sqlite3.connect = connect  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite3.connect = _connect
