"""
Where decisions, events, memory and policies are kept, append-only.
Opens a store by its URL; must not know what a verdict means or how a policy is evaluated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lumyn.errors import InvalidConfigError, Problem
from lumyn.store.base import Event, Store, StoredDecision, StoredKey, Transaction

if TYPE_CHECKING:
    from lumyn.store.journal import InspectableStore

__all__ = ["Event", "Store", "StoredDecision", "StoredKey", "Transaction", "open_store"]

_SQLITE = "sqlite:///"


def open_store(
    url: str,
    *,
    create: bool = False,
    synchronous: str = "FULL",
    busy_timeout_s: float = 2.0,
    store_id: str | None = None,
) -> InspectableStore:
    """
    Return the store at `url`. Nothing is opened until the store is first used, unless it has to be created.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or `sqlite:///:memory:`; a plain path is SQLite.
        create: Whether to create a store that does not exist. An existing file is never replaced.
        synchronous: `FULL` (committed records survive power failure) or `NORMAL` (they survive a process crash).
        busy_timeout_s: How long to wait for another writer, in seconds, 0 to 60.
        store_id: The identity the store must have; any when None.

    Raises:
        InvalidConfigError: The URL or an option is not usable.
        StoreUnavailableError: The store could not be created.
    """
    if "://" in url and not url.startswith(_SQLITE):
        raise _invalid("STORE_URL_INVALID", "unsupported store URL", "use `sqlite:///path/to/lumyn.db`")
    path = url.removeprefix(_SQLITE)
    if not path:
        raise _invalid("STORE_URL_INVALID", "the store URL names no file", "use `sqlite:///path/to/lumyn.db`")
    if "\0" in path:
        raise _invalid("PATH_INVALID", "the store path holds a NUL character", "take it out")
    if synchronous not in {"FULL", "NORMAL"}:
        raise _invalid("VALUE_INVALID", "`synchronous` is not known", "use `FULL` or `NORMAL`")
    if not 0 <= busy_timeout_s <= 60:
        raise _invalid("VALUE_INVALID", "`busy_timeout_s` is out of range", "use seconds between 0 and 60")

    from lumyn.store.sqlite import SqliteStore

    store = SqliteStore(path, synchronous=synchronous, busy_timeout_s=busy_timeout_s, store_id=store_id)
    if create:
        store.create()
    return store


def _invalid(code: str, message: str, hint: str) -> InvalidConfigError:
    return InvalidConfigError([Problem(code=code, message=message, hint=hint)])
