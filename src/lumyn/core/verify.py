"""
Says whether a store still holds what was written: whole, in order, unedited, and, on request, decided again.
Reads only, and names every row it doubts; must not know which database it reads or how findings are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lumyn.core.verify_rows import Bodies
from lumyn.errors import StoreIntegrityError
from lumyn.store.checkpoint import Checkpoint, origin_of
from lumyn.store.journal import BROKEN_LEAF, TABLES, Finding, Inspectable, Journal, read_journal, walk
from lumyn.store.merkle import Frontier

__all__ = ["UNANCHORED", "Finding", "Progress", "Verification", "verify"]

Progress = Callable[[int, int], None]
"""Called now and then with the rows read so far and about how many there are."""

UNANCHORED: Final = Finding(
    code="UNANCHORED",
    message="no checkpoint was given, so rows cut from the end, and a journal written anew as a whole, cannot be seen",
    hint="keep what `lumyn checkpoint` prints outside the store, and give it to `lumyn verify --against FILE`",
)
"""The note of a verification without a checkpoint: what it cannot know."""

_PROGRESS_STEP: Final = 4096
_FINDINGS_KEPT: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """
    What came of verifying a store.

    Attributes:
        store_id: The identity the store says it has; empty when it says none.
        rows: Kind of row -> how many were read: `decision`, `event`, `memory`, `policy`.
        findings: What is wrong, in the order in which it was found, at most some of each code; empty when all is well.
        counts: Code -> how many findings there were in all.
        notes: What could not be verified; `UNANCHORED` unless a checkpoint was given.
        against: The checkpoint it was held against, or None.
        replayed: How many decisions were decided again; None when that was not asked for.
        not_replayable: How many of them could not be.
    """

    store_id: str
    rows: Mapping[str, int]
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    notes: tuple[Finding, ...]
    against: Checkpoint | None
    replayed: int | None
    not_replayable: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.counts


def verify(
    store: Inspectable,
    *,
    against: Checkpoint | None = None,
    full: bool = False,
    store_id: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """
    Verify a store: what it is, the database below, every row and link, what repeats the rows, and the digests in them.

    Linear in the number of rows; memory stays small unless `full`. One moment of the store is read, whoever writes.

    Args:
        against: A checkpoint kept outside: the journal must begin with exactly what it vouches for.
        full: Whether to decide every decision again, from its request, its policy and the memory it saw.
        store_id: The identity it must have; any when None.

    Raises:
        StoreUnavailableError: There is no store that can be opened, or it cannot be read.
    """
    return read_journal(
        store, lambda journal: _verify(journal, against=against, full=full, store_id=store_id, progress=progress)
    )


@dataclass(slots=True)
class _Found:
    """Findings so far: all counted, the first of each code kept."""

    kept: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        self.counts[finding.code] += 1
        if self.counts[finding.code] <= _FINDINGS_KEPT:
            self.kept.append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.add(finding)


def _verify(
    journal: Journal, *, against: Checkpoint | None, full: bool, store_id: str | None, progress: Progress | None
) -> Verification:
    found = _Found()
    found.extend(journal.identity())
    if journal.store_id and store_id is not None and journal.store_id != store_id:
        message = "the store is not the one that the configuration names"
        hint = "restore the original file, or correct the pinned store id"
        found.add(Finding(code="STORE_IDENTITY_MISMATCH", message=message, hint=hint))
    comparable = against
    if journal.store_id and against is not None and against.origin != origin_of(journal.store_id):
        found.add(Finding(code="STORE_IDENTITY_MISMATCH", message="the checkpoint is that of another store"))
        comparable = None
    found.extend(journal.structure())
    bodies = Bodies(journal, found.add, full=full)
    rows: Mapping[str, int] = dict.fromkeys(TABLES, 0)
    if journal.readable:
        rows = _walk(journal, found, bodies, comparable, progress)
    return Verification(
        store_id=journal.store_id,
        rows=rows,
        findings=tuple(found.kept),
        counts=dict(found.counts),
        notes=() if against is not None else (UNANCHORED,),
        against=against,
        replayed=bodies.replayed,
        not_replayable=bodies.not_replayable,
    )


def _walk(
    journal: Journal, found: _Found, bodies: Bodies, against: Checkpoint | None, progress: Progress | None
) -> Mapping[str, int]:
    """Read every row once; return how many there are of each kind."""
    rows = dict.fromkeys(TABLES, 0)
    total = journal.count() if progress is not None else 0
    comparison = None if against is None else _Comparison(against)
    seq = 0
    try:
        for number, (row, leaf, broken) in enumerate(walk(journal), 1):
            seq = row.seq
            rows[row.kind] += 1
            if broken:
                found.extend(broken)
            bodies.check(row, leaf, intact=not broken or all(each.code != BROKEN_LEAF for each in broken))
            if comparison is not None:
                comparison.add(seq, leaf)
            if progress is not None and not number % _PROGRESS_STEP:
                progress(number, max(total, number))
        bodies.finish()
    except StoreIntegrityError as error:
        message = f"reading stopped after `seq` {seq}: {error.message}"
        found.add(Finding(code="DB_CORRUPT", message=message, seq=seq or None, hint=error.hint))
    else:
        if comparison is not None:
            found.extend(comparison.findings())
    return rows


class _Comparison:
    """What tells the journal from the one that a checkpoint vouches for."""

    def __init__(self, against: Checkpoint) -> None:
        self._against = against
        self._tree = Frontier()
        self._last_seq = 0

    def add(self, seq: int, leaf: bytes) -> None:
        """Take over the next row."""
        if seq <= self._against.size:
            self._tree.add(leaf)
        self._last_seq = max(self._last_seq, seq)

    def findings(self) -> Iterable[Finding]:
        """Yield what is wrong, after the last row."""
        size = self._against.size
        if self._last_seq < size:
            message = f"the journal ends at `seq` {self._last_seq}; when the checkpoint was made it had {size} rows"
            yield Finding(code="TRUNCATED", message=message, hint="rows were cut off; restore the store from a copy")
        elif self._tree.root() != self._against.root:
            message = f"the first {size} rows are not those that the checkpoint vouches for"
            yield Finding(code="ROOT_MISMATCH", message=message, hint="history was written anew, or rows are missing")
