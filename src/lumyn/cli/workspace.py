"""
Which workspace a command works in, and which decision an id on the command line means.
Must not print results or know what commands do with them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lumyn.config import Config, load_config
from lumyn.errors import NotFoundError

if TYPE_CHECKING:
    from lumyn.core.decide import Gate
    from lumyn.store import Store
    from lumyn.store.journal import InspectableStore

__all__ = [
    "DEMO_CONFIG",
    "LAST",
    "find_config",
    "is_file",
    "open_reading",
    "open_store_only",
    "open_stored",
    "open_workspace",
    "resolve_experience",
    "resolve_id",
    "resolve_stored",
]

LAST: Final = "@last"
STDIN: Final = "-"
WORKSPACE_FOLDER: Final = ".lumyn"
DEMO_CONFIG: Final = Path(WORKSPACE_FOLDER, "demo", "lumyn.toml")

_ULID_START: Final = re.compile("[0-9A-HJKMNP-TV-Z]{1,26}")
_ULID_CHARS: Final = 26
_SHOWN_CANDIDATES: Final = 3
_MOST_BYTES: Final = 2_048


def is_file(path: Path) -> bool:
    """Return whether a file is there; in a folder that may not be searched none is."""
    try:
        return path.is_file()
    except OSError:
        return False


def find_config(config_file: Path | None, *, demo: bool = False, quiet: bool = False) -> Config:
    """
    Return the configuration a command works with.

    Args:
        config_file: `--config`, or None to search from the working directory upwards.
        demo: Whether the folder's demo workspace will do when nothing is configured. Never for a command that
            decides: an application whose configuration is missing must not be judged by the demo's policy.
        quiet: Whether to use it without saying so.

    Raises:
        InvalidConfigError: It is not usable.
    """
    config = load_config(file=config_file)
    if demo and config.file is None and config.policy.path is None and is_file(DEMO_CONFIG):
        from lumyn.cli.console import write

        if not quiet and sys.stderr is not None and sys.stderr.isatty():
            write(sys.stderr, f"note: this is the demo's workspace, {DEMO_CONFIG.parent}\n")
        return load_config(file=DEMO_CONFIG)
    return config


def open_workspace(config_file: Path | None) -> Gate:
    """
    Open the gate of a workspace whose store is there and usable.

    Raises:
        InvalidConfigError, InvalidPolicyError: The workspace is not usable.
        StoreUnavailableError: Its store is not.
    """
    from lumyn.discovery import open_configured

    gate = open_configured(find_config(config_file, demo=True))
    gate.store.check()
    return gate


def open_reading(config_file: Path | None) -> tuple[InspectableStore, Config]:
    """
    Open the store of a workspace to look at what it holds; its policy need not be there or be valid.

    Raises:
        InvalidConfigError: There is no workspace, or its configuration is not usable.
        StoreUnavailableError: Its store is not.
    """
    from lumyn.discovery import policy_path
    from lumyn.store import open_store

    config = find_config(config_file, demo=True)
    if config.file is None:
        policy_path(config)  # says how to make a workspace where there is none
    store = open_store(config.store.url, busy_timeout_s=config.store.busy_timeout_s, store_id=config.store.id)
    store.check()
    return store, config


def open_stored(config_file: Path | None, url: str | None) -> InspectableStore:
    """
    Open the store at `url`, or that of the workspace, to look at what it holds; as `open_reading`.

    Raises:
        InvalidConfigError: There is no workspace, or its configuration or the URL is not usable.
        StoreUnavailableError: The store is not.
    """
    from lumyn.store import open_store

    if url is None:
        return open_reading(config_file)[0]
    store = open_store(url)
    store.check()
    return store


def open_store_only(config_file: Path | None, url: str | None) -> tuple[InspectableStore, str | None]:
    """
    Return the store at `url`, or the configured one with the identity it must have; no policy is needed.

    Nothing is opened before it is used, and nothing is created.

    Raises:
        InvalidConfigError: The configuration is not usable, or the URL is not.
    """
    from lumyn.store import open_store

    if url is not None:
        return open_store(url), None
    config = find_config(config_file, demo=True).store
    return open_store(config.url, busy_timeout_s=config.busy_timeout_s), config.id


def resolve_id(gate: Gate, text: str) -> str:
    """Return the decision that `text` means; as `resolve_stored`."""
    return resolve_stored(gate.store, text)


def resolve_stored(store: Store, text: str) -> str:
    """
    Return the decision that `text` means: a whole id, the beginning of exactly one, `@last`, or `-` to read one of
    these from standard input.

    Raises:
        NotFoundError: It means no decision, or several.
        StoreUnavailableError: The store cannot be read.
    """
    text = _given(text)
    if text == LAST:
        newest = next(iter(store.decisions(limit=1)), None)
        if newest is None:
            raise NotFoundError("there are no decisions yet", hint="`lumyn decide FILE` makes one")
        return newest.decision_id
    return _meant(text, lambda start: store.decision_ids(start, limit=_SHOWN_CANDIDATES + 1))


def resolve_experience(gate: Gate, text: str) -> str:
    """
    Return the decision or experience that `text` means; as `resolve_id`, and an experience by its own id as well.

    Raises:
        NotFoundError: It means none, or several.
        StoreUnavailableError: The store cannot be read.
    """
    text = _given(text)
    if text == LAST:
        return resolve_id(gate, text)
    if text.isprintable():  # undecodable bytes of an argument are not, and no store can be asked for them
        with suppress(NotFoundError):
            return gate.store.memory_item(text).memory_id  # an imported one need not look like one of ours

    def starting(start: str) -> list[str]:
        limit = _SHOWN_CANDIDATES + 1
        return [*gate.store.decision_ids(start, limit=limit), *gate.store.memory_ids(start, limit=limit)]

    return _meant(text, starting, "decision or experience")


def _given(text: str) -> str:
    """Return what was given on the command line or, for `-`, the first line of standard input."""
    if text != STDIN:
        return text
    line = b"" if sys.stdin is None else sys.stdin.buffer.readline(_MOST_BYTES)
    return line.decode(errors="backslashreplace").strip()


def _meant(text: str, starting: Callable[[str], list[str]], noun: str = "decision") -> str:
    text = text.strip()  # as it comes out of a ticket
    if not text:
        raise NotFoundError(
            "an empty id names no decision",
            reason_code="DECISION_NOT_FOUND",
            hint="`lumyn show` lists recent decisions; `@last` is the newest",
        )
    wanted = text.upper()
    found = starting(wanted) if _ULID_START.fullmatch(wanted) else []
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(found[:_SHOWN_CANDIDATES]) + (", ..." if len(found) > _SHOWN_CANDIDATES else "")
        raise NotFoundError(f"`{text}` is the beginning of several ids: {shown}", hint="give more of it")
    hint = "`lumyn show` lists recent decisions" if len(wanted) <= _ULID_CHARS else "an id has 26 characters"
    if is_file(DEMO_CONFIG):
        hint += f"; `lumyn --config {DEMO_CONFIG} show` lists those of the demo"
    raise NotFoundError(f"there is no {noun} `{text[:64]}`", reason_code="DECISION_NOT_FOUND", hint=hint)
