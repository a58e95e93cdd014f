"""
Whether the store is there, whole, private and writable. Reads it, and writes nothing that stays.
Must not know policies or requests.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lumyn.cli.console import counted_noun
from lumyn.cli.diagnosis.finding import Finding, Repair, Status, ok, problem, warning
from lumyn.cli.diagnosis.paths import shown
from lumyn.cli.progress import Advance
from lumyn.cli.workspace import WORKSPACE_FOLDER, is_file
from lumyn.config import StoreConfig
from lumyn.errors import InvalidConfigError, StoreUnavailableError
from lumyn.store.files import companion
from lumyn.store.journal import InspectableStore, Journal, read_journal

__all__ = ["QUICK_ROWS", "storage"]

QUICK_ROWS: Final = 20_000
"""Rows of a journal up to which all of it is verified; reading more takes long, and `lumyn verify` does it."""

_TRIAL_BYTES: Final = 65_536


def storage(config: StoreConfig, *, progress: Advance | None = None) -> Iterator[Finding]:
    """Yield what there is to say about the store that is configured."""
    from lumyn.store import open_store

    try:
        store = open_store(config.url, synchronous=config.synchronous, busy_timeout_s=config.busy_timeout_s)
    except InvalidConfigError as error:
        first = error.problems[0]
        yield problem("store", first.message, code=first.code, hint=first.hint)
        return
    path = getattr(store, "path", None)
    if not isinstance(path, Path):
        message = "in memory: every decision is gone when the process ends"
        yield warning("store", message, code="STORE_IN_MEMORY", hint="set `store.url` to a file")
        return
    try:
        found = list(_content(store, config.id, progress))
        yield from found
        if _is_known(store):
            yield from _modes(path)
        if all(each.status is Status.OK for each in found):
            yield _write_test(store, path)
    finally:
        store.close()


def _content(store: InspectableStore, store_id: str | None, progress: Advance | None) -> Iterator[Finding]:
    """Yield what the store is and whether it holds what was written, as `lumyn verify` would find it."""
    from lumyn.core.verify import verify

    try:
        rows, identity = read_journal(store, _size)
        if rows > QUICK_ROWS and identity:
            yield ok("store", f"{shown_store(store)}: id {identity}")
            yield ok("journal", f"about {rows} rows, not read here: `lumyn verify` reads all of them")
            return
        verified = verify(store, store_id=store_id, progress=progress)
    except StoreUnavailableError as error:
        yield problem("store", f"{shown_store(store)}: {error.message}", code=error.detail, hint=error.hint)
        return
    counts = {code: count for code, count in verified.counts.items() if code != "FILE_MODE_WEAK"}
    for code in counts:
        first = next(each for each in verified.findings if each.code == code)
        more = f" (and {counts[code] - 1} more)" if counts[code] > 1 else ""
        yield problem("store", first.message + more, code=code, hint=first.hint or "`lumyn verify` lists every finding")
    if not counts:
        yield ok("store", f"{shown_store(store)}: id {verified.store_id}")
        decisions = counted_noun(verified.rows["decision"], "decision")
        yield ok("journal", f"{counted_noun(sum(verified.rows.values()), 'row')}, {decisions}, every link holds")


def _is_known(store: InspectableStore) -> bool:
    """Return whether this is a store of Lumyn: the modes of any other file, named by mistake, are left alone."""
    try:
        return read_journal(store, lambda journal: bool(journal.store_id))
    except StoreUnavailableError:
        return False


def _size(journal: Journal) -> tuple[int, str]:
    return journal.count() if journal.readable else 0, journal.store_id


def shown_store(store: InspectableStore) -> str:
    """Return where the store is, as people would write it."""
    path = getattr(store, "path", None)
    return shown(path) if isinstance(path, Path) else "the store"


# --- who may read it -----------------------------------------------------------------------------------------------


def _modes(path: Path) -> Iterator[Finding]:
    if os.name != "posix" or not is_file(path):
        return
    wrong = [*_weak_files(path), *_weak_folder(path.absolute().parent)]
    yield from wrong
    if not wrong:
        yield ok("store modes", f"{stat.S_IMODE(path.stat().st_mode):04o}: for its owner only")


def _weak_files(path: Path) -> Iterator[Finding]:
    # SQLite follows no link in place of a log, and whoever made one chose a file of somebody else's.
    beside = (Path(companion(path, ending)) for ending in ("-wal", "-shm"))
    for file in (path, *(each for each in beside if not each.is_symlink())):
        mode = _mode(file)
        if mode is not None and mode & 0o077:
            message = f"{shown(file)} has mode {mode:04o}: others than its owner may read or write it"
            hint = f"`chmod 600 {shown(file)}`, or `lumyn doctor --fix`"
            yield problem("store modes", message, code="FILE_MODE_WEAK", hint=hint, repair=_chmod(file, 0o600))


def _weak_folder(folder: Path) -> Iterator[Finding]:
    mode = _mode(folder)
    if mode is None:
        return
    if folder.name == WORKSPACE_FOLDER and mode & 0o077:
        message = f"{shown(folder)} has mode {mode:04o}: others than its owner may look into it"
        hint = f"`chmod 700 {shown(folder)}`, or `lumyn doctor --fix`"
        # What lies in it is private by itself, unless anybody may put another file in its place.
        kind = problem if mode & 0o022 else warning
        yield kind("store modes", message, code="FILE_MODE_WEAK", hint=hint, repair=_chmod(folder, 0o700))
    elif mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        # A folder of somebody else's choosing may have a reason for its mode, so this is not repaired.
        message = f"{shown(folder)} has mode {mode:04o}: anybody may put another store in its place"
        yield problem("store modes", message, code="FILE_MODE_WEAK", hint=f"`chmod o-w {shown(folder)}`")


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _chmod(path: Path, mode: int) -> Repair:
    def repair() -> str:
        path.chmod(mode)
        return f"{shown(path)} has mode {mode:04o} now"

    return repair


# --- writing -------------------------------------------------------------------------------------------------------


class _TakenBackError(Exception):
    """Ends a write transaction without a commit."""


def _write_test(store: InspectableStore, path: Path) -> Finding:
    """Take the write lock and give it back, and write a file beside the store and remove it."""
    try:
        with store.write():
            raise _TakenBackError
    except _TakenBackError:
        pass
    except StoreUnavailableError as error:
        hint = error.hint or "until it can be written, every decision is ABSTAIN"
        return problem("write test", error.message, code=error.detail, hint=hint)
    trial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            with open(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
                stream.write(bytes(_TRIAL_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
        finally:
            trial.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or "i/o error").lower()
        message = f"cannot write beside the store, where its log goes: {reason}"
        return problem("write test", message, code="PATH_NOT_WRITABLE", hint="check the disk and the folder's mode")
    return ok("write test", "the store took a write lock, and its folder 64 KiB; both were given back")
