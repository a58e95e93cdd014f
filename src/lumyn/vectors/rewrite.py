"""
Puts proposed changes into their files: all that agree, each file at once and whole, or not at all.
Trusts no text it did not read itself; must not know why a change was proposed.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lumyn._files import replace_file
from lumyn.documents import Document, load, read_bytes
from lumyn.documents.editing import EditRefusedError, edited
from lumyn.documents.pointers import pointer_tokens
from lumyn.errors import InvalidVectorError
from lumyn.model import JsonValue
from lumyn.vectors.changes import Change, ChangeRefusedError, Proposal, agree, changed, disagreement, text_digest
from lumyn.vectors.sharing import files_resting_on
from lumyn.vectors.sources import LIMITS

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["FileRefusedError", "Rewritten", "read_document", "replace_text", "rewrite"]

_BOM: Final = b"\xef\xbb\xbf"
_ANY_WRITES: Final = 0o222
_MEANWHILE: Final = "its file changed meanwhile: run again"


class FileRefusedError(ValueError):
    """A file is left as it is; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """
    What became of proposals.

    Attributes:
        done: Those whose changes stand in their files now.
        refused: The others, each with the reason.
        files: Those that were replaced, relative to the root, sorted.
    """

    done: tuple[Proposal, ...]
    refused: tuple[tuple[Proposal, str], ...]
    files: tuple[str, ...]


def rewrite(proposals: Sequence[Proposal], *, root: Path) -> Rewritten:
    """
    Apply proposals to the files below `root`.

    A place that several vectors share, in their file or in a golden record, is changed only when each of them proposes
    the same for it, whether it ran or not. A file that changed since the proposals were made, that a symbolic link
    leads to, or that could not be changed in place is left alone.
    """
    refused: dict[int, str] = {number: each.refused for number, each in enumerate(proposals) if each.refused}
    drafts: dict[str, _Draft] = {}
    while True:
        going = [number for number in range(len(proposals)) if number not in refused]
        drafts, found = _drafts([(number, proposals[number]) for number in going], root)
        if not found:
            break
        refused |= found
    written: list[str] = []
    # Golden records first: were the run cut short in between, the vector that names one would still drift.
    for file in sorted(drafts, key=lambda name: (any(proposals[n].file == name for n in drafts[name].users), name)):
        draft = drafts[file]
        if any(number in refused for number in draft.users):
            refused |= {number: refused.get(number, _MEANWHILE) for number in draft.users}
            continue
        try:
            replace_text(root / file, draft.document, draft.text, root=root)
        except FileRefusedError as error:
            refused |= dict.fromkeys(draft.users, str(error))
        else:
            written.append(file)
    return Rewritten(
        done=tuple(each for number, each in enumerate(proposals) if number not in refused),
        refused=tuple((proposals[number], refused[number]) for number in sorted(refused)),
        files=tuple(sorted(written)),
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    document: Document
    text: str
    users: tuple[int, ...]


def _drafts(proposals: Sequence[tuple[int, Proposal]], root: Path) -> tuple[dict[str, _Draft], dict[int, str]]:
    """Return the new text of every file, and the proposals that stand in the way of it with the reason."""
    users: dict[str, list[tuple[int, Proposal]]] = {}
    for number, proposal in proposals:
        for file in dict.fromkeys(change.file for change in proposal.changes):
            users.setdefault(file, []).append((number, proposal))
    drafts: dict[str, _Draft] = {}
    refused: dict[int, str] = {}
    for file, members in users.items():
        try:
            document = read_document(root / file, file, root)
        except FileRefusedError as error:
            refused |= {number: str(error) for number, _ in members}
            continue
        digest = text_digest(document.text)
        late = {number: _MEANWHILE for number, each in members if each.digests.get(file) != digest}
        found = late or _disagreeing(document, file, members) or _unasked(file, members, root)
        if found:
            refused |= found
            continue
        changes = {change.pointer: change for _, each in members for change in each.changes if change.file == file}
        try:
            new = edited(document, changed(document.value, changes.values()), limits=LIMITS)
        except (EditRefusedError, ChangeRefusedError) as error:
            refused |= {number: str(error) for number, _ in members}
        else:
            drafts[file] = _Draft(document, new.text, tuple(number for number, _ in members))
    return drafts, refused


def _disagreeing(document: Document, file: str, members: Sequence[tuple[int, Proposal]]) -> dict[int, str]:
    """Return the proposals that change what another vector, which does not want the same, rests on too."""
    refused: dict[int, str] = {}
    wanted: dict[str, list[tuple[int, Change]]] = {}
    for number, proposal in members:
        for change in proposal.changes:
            if change.file == file:
                wanted.setdefault(change.pointer, []).append((number, change))
    for pointer, changes in wanted.items():
        rows = _rows(document.value, pointer)
        asked = Counter(number for number, _ in changes)
        if not agree([each for _, each in changes]):
            why = disagreement(file, pointer)
        elif rows is not None and len(asked) < rows:
            why = f"`{pointer}` stands for all {rows} rows of a table, and {len(asked)} came out this way"
        else:
            continue
        refused |= dict.fromkeys(asked, why)
    return refused


def _unasked(file: str, members: Sequence[tuple[int, Proposal]], root: Path) -> dict[int, str]:
    """Return the proposals that change a golden record which somebody rests on who does not propose the same."""
    asked = {(each.file, each.vector_id) for _, each in members}
    golden = [(number, each) for number, each in members if each.file != file]
    resting = {(each.file, vector_id) for _, each in golden for vector_id in each.rests.get(file, ())}
    others = [f"{vector_file}::{vector_id}" for vector_file, vector_id in sorted(resting - asked)]
    if golden and not others:
        others = list(files_resting_on(file, root, besides={file, *(each.file for _, each in golden)}))
    if not others:
        return {}
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return dict.fromkeys(
        (number for number, _ in golden), f"`{file}` is shared with {others[0]}{more}, which did not come out the same"
    )


def _rows(value: JsonValue, pointer: str) -> int | None:
    """Return how many rows of a table share the place at `pointer`; None where a vector has it for itself."""
    tokens = list(pointer_tokens(pointer))
    while tokens:
        table = value.get("table") if isinstance(value, dict) else None
        if isinstance(table, dict):
            rows = table.get("rows")
            return None if tokens[:2] == ["table", "rows"] or not isinstance(rows, list) else len(rows)
        token = tokens.pop(0)
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list) and token.isdecimal() and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return None


def read_document(path: Path, file: str, root: Path) -> Document:
    """
    Return the document in a file that may be rewritten.

    Raises:
        FileRefusedError: It may not.
    """
    try:
        if path.resolve() != root.resolve() / Path(os.path.abspath(path)).relative_to(os.path.abspath(root)):
            raise FileRefusedError("a symbolic link leads to its file: edit what the link names")
        data = read_bytes(path, error=InvalidVectorError, limits=LIMITS, root=root)
        document = load(data, file=file, error=InvalidVectorError, limits=LIMITS)
    except InvalidVectorError as error:
        raise FileRefusedError(str(error.problems[0])) from None
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, FileRefusedError):
            raise
        raise FileRefusedError("its file lies outside of the root") from None
    return document


def replace_text(path: Path, document: Document, text: str, *, root: Path) -> None:
    """
    Put `text` in place of what `document` was read from, in one step; byte order mark and mode stay.

    Of two processes that want to replace the same text the first does, and the second is told.

    Raises:
        FileRefusedError: The file says something else by now, or cannot be written.
    """
    try:
        with _locked(path):
            if text_digest(read_document(path, document.file, root).text) != text_digest(document.text):
                raise FileRefusedError(_MEANWHILE)
            if not (os.access(path, os.W_OK) and path.stat().st_mode & _ANY_WRITES):  # the superuser may write to all
                raise FileRefusedError("its file is read-only")
            mark = _BOM if path.read_bytes().startswith(_BOM) else b""
            replace_file(path, mark + text.encode(), edited=True)
    except OSError as error:
        raise FileRefusedError(f"its file cannot be written: {(error.strerror or 'i/o error').lower()}") from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """
    Hold the file's folder against other processes that replace texts this way.

    The folder, since the file itself is another one after each replacement.
    """
    locks = _locks()
    if locks is None:
        yield
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        locks.flock(folder, locks.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _locks() -> ModuleType | None:
    try:
        import fcntl
    except ImportError:  # a platform without; then a change in between is found by the digest alone
        return None
    return fcntl
