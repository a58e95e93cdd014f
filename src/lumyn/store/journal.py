"""
The history of a store as it is kept: every row in order, linked by hashes, and what can be proved about it.
Trusts nothing but stored bytes; must not know SQL, nor what a decision says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeVar

from lumyn.errors import NotFoundError, StoreIntegrityError
from lumyn.store.base import Store, chain_hash, leaf_hash
from lumyn.store.checkpoint import Checkpoint, origin_of
from lumyn.store.merkle import Frontier, inclusion_proof, verify_inclusion

__all__ = [
    "BROKEN_LEAF",
    "KEYS_TABLE",
    "TABLES",
    "Finding",
    "Inclusion",
    "Inspectable",
    "InspectableStore",
    "Journal",
    "JournalRow",
    "JournalTable",
    "KeyRow",
    "checkpoint",
    "inclusion",
    "inclusion_when_written",
    "read_journal",
    "row_id_of",
    "walk",
]

T = TypeVar("T")

KEYS_TABLE: Final = "idempotency_keys"

BROKEN_LEAF: Final = "LEAF_MISMATCH"
"""The code of a row whose body is not what its leaf hash covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    Something about a store that is not as it was written.

    Attributes:
        code: Stable upper-case code, such as `LEAF_MISMATCH`; `docs/integrity.md` lists all of them.
        message: What is wrong; holds no value of a request.
        table: The table concerned, or None.
        seq: The place in the journal, or None.
        row_id: The id that stands in the row, as far as it can be read, or None.
        hint: What to do, or None.
    """

    code: str
    message: str
    table: str | None = None
    seq: int | None = None
    row_id: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalTable:
    """
    Where one kind of row is kept.

    Attributes:
        name: The table.
        body: The column that the leaf hash covers.
        projections: The columns that repeat something the body says; the first is the row's id.
    """

    name: str
    body: str
    projections: tuple[str, ...]


TABLES: Final[Mapping[str, JournalTable]] = {
    "decision": JournalTable(
        name="decisions",
        body="record",
        projections=("decision_id", "created_at", "tenant_id", "action_type", "verdict", "policy_hash"),
    ),
    "event": JournalTable(name="decision_events", body="body", projections=("event_id", "decision_id")),
    "memory": JournalTable(name="memory_items", body="body", projections=("memory_id", "tenant_key", "action_type")),
    "policy": JournalTable(name="policy_snapshots", body="body", projections=("policy_hash",)),
}
"""Kind of row -> its table."""


class JournalRow(NamedTuple):
    """
    One row as it is stored: text as the bytes that are there, whether or not they are text; anything may be damaged.

    Attributes:
        projections: Values of the columns that `TABLES` names for the kind, in that order.
    """

    seq: int
    kind: str
    body: object
    leaf: object
    chain: object
    projections: tuple[object, ...]


class KeyRow(NamedTuple):
    """One idempotency key as it is stored; anything may be damaged."""

    decision_seq: object
    tenant_key: object
    request_id: object
    request_digest: object


class Journal(Protocol):
    """
    What a store holds, as it is at one moment, for reading only.

    Attributes:
        store_id: Its identity as it says itself; empty when it says none.
        genesis: What the first row is linked to; empty when it is not there.
        readable: Whether it is a store of this version, so that its rows can be read at all.
    """

    store_id: str
    genesis: bytes
    readable: bool

    def identity(self) -> Iterator[Finding]:
        """Yield what is wrong with what the store says it is, and with who may touch it."""

    def structure(self) -> Iterator[Finding]:
        """Yield what is wrong with the database below the rows: damage, and tables and triggers that differ."""

    def count(self) -> int:
        """Return about how many rows there are, for showing progress."""

    def rows(self) -> Iterator[JournalRow]:
        """Yield all rows by `seq`. Raises `StoreIntegrityError` where the database is too damaged to go on."""

    def keys(self) -> Iterator[KeyRow]:
        """Yield all idempotency keys by `decision_seq`. Raises `StoreIntegrityError` like `rows`."""

    def disturbed(self) -> bool:
        """Return whether somebody may have written while this was read, so that findings may be mistaken."""


class Inspectable(Protocol):
    """A store whose journal can be read."""

    def journal(self, *, locked: bool = False) -> AbstractContextManager[Journal]:
        """
        Open what is stored, for reading only.

        Args:
            locked: Whether to hold off what could disturb the reading, even where that leaves traces beside the store.

        Raises:
            StoreUnavailableError: There is nothing that can be opened.
        """


class InspectableStore(Store, Inspectable, Protocol):
    """A complete store: one that can be used and inspected."""


def read_journal(store: Inspectable, read: Callable[[Journal], T]) -> T:
    """Return what `read` makes of a store's journal; read again, locked, when somebody wrote meanwhile."""
    with store.journal() as journal:
        try:
            result = read(journal)
        except StoreIntegrityError:
            if not journal.disturbed():
                raise
        else:
            if not journal.disturbed():
                return result
    with store.journal(locked=True) as journal:
        return read(journal)


def walk(journal: Journal) -> Iterator[tuple[JournalRow, bytes, Sequence[Finding]]]:
    """
    Yield every row with its leaf hash, recomputed from the stored bytes, and what breaks the chain there.

    A row is judged by its neighbours as they are stored, so that one broken row is reported once. After a gap the chain
    cannot be checked for one row, and goes on from there.

    Raises:
        StoreIntegrityError: The database is too damaged to go on.
    """
    expected = 1
    links: Sequence[bytes] = (journal.genesis,)
    for row in journal.rows():
        seq, kind, body, stored_leaf, stored_chain, _ = row
        leaf = leaf_hash(kind, body if type(body) is bytes else b"")
        if seq == expected and leaf == stored_leaf:
            chain = chain_hash(seq, links[0], leaf)
            if chain == stored_chain and type(body) is bytes:
                links = (chain,)
                expected += 1
                yield row, leaf, ()
                continue
        found, links = _broken(row, leaf, expected, links)
        expected = max(expected, seq + 1)
        yield row, leaf, found


def _broken(
    row: JournalRow, leaf: bytes, expected: int, links: Sequence[bytes]
) -> tuple[Sequence[Finding], Sequence[bytes]]:
    """Return what is wrong with a row that is not as expected, and what the next row may be linked to."""
    found: list[Finding] = []
    stored = [row.chain] if type(row.chain) is bytes else []
    if row.seq != expected:
        found.append(_finding("SEQ_GAP", row, _gap(row.seq, expected)))
        links = ()
    if leaf != row.leaf or type(row.body) is not bytes:
        found.append(_finding(BROKEN_LEAF, row, "the row is not what was written: its leaf hash differs"))
    leaves = [leaf, row.leaf] if type(row.leaf) is bytes else [leaf]
    possible = [chain_hash(row.seq, link, each) for link in links for each in leaves]
    if not links or row.chain in possible:
        return found, stored or possible or [b""]
    found.append(_finding("CHAIN_MISMATCH", row, "the row is not linked to the one before it"))
    # Either this row's hash was changed, and the next one is linked to what it was, or the row does not belong here.
    return found, [*stored, *possible]


def _gap(seq: int, expected: int) -> str:
    if seq < expected:
        return f"the row is out of order: `seq` {expected} or more is due here"
    if seq == expected + 1:
        return f"the row with `seq` {expected} is missing before this one"
    return f"{seq - expected} rows are missing before this one, from `seq` {expected}"


def _finding(code: str, row: JournalRow, message: str) -> Finding:
    return Finding(code=code, message=message, table=TABLES[row.kind].name, seq=row.seq, row_id=row_id_of(row))


def row_id_of(row: JournalRow) -> str | None:
    """Return the id that stands in a row, or None when it cannot be read."""
    value = row.projections[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None


def checkpoint(journal: Journal) -> Checkpoint:
    """
    Return the checkpoint of a journal as it is now.

    Raises:
        StoreIntegrityError: A row is broken; a checkpoint would vouch for it.
    """
    tree = Frontier()
    for leaf in _whole(journal):
        tree.add(leaf)
    return Checkpoint(origin=origin_of(journal.store_id), size=tree.size, root=tree.root())


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """
    The proof that one row is in a journal.

    Attributes:
        leaf: Its leaf hash: `leaf_hash(kind, body)` of what is stored.
        index: Its place in the tree: `seq - 1`.
        proof: Audit path, nearest sibling first (RFC 6962, 2.1.1); empty in a journal of one row.
        checkpoint: Of the journal it is in.
    """

    leaf: bytes
    index: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint

    def holds(self) -> bool:
        """Return whether the proof leads from the leaf to the root of the checkpoint."""
        return verify_inclusion(self.leaf, self.index, self.checkpoint.size, self.proof, self.checkpoint.root)


def inclusion_when_written(journal: Journal, decision_id: str) -> Inclusion:
    """
    Return the proof that a decision is in the journal, under the checkpoint of the moment it was written.

    That checkpoint ends with the decision's own row, so the proof never changes, whatever is written afterwards. Rows
    after it are not read.

    Raises:
        NotFoundError: No such decision.
        StoreIntegrityError: A row up to it is broken.
    """
    wanted = decision_id.encode("utf-8", "surrogatepass")
    tree = Frontier()
    for row, leaf in _whole_rows(journal):
        if row.kind != "decision" or row.projections[0] != wanted:
            tree.add(leaf)
            continue
        index, before = tree.size, tree.peaks
        tree.add(leaf)
        return Inclusion(
            leaf=leaf,
            index=index,
            # All that stands left of the last leaf are complete subtrees: their roots, nearest first, are its path.
            proof=before[::-1],
            checkpoint=Checkpoint(origin=origin_of(journal.store_id), size=tree.size, root=tree.root()),
        )
    raise NotFoundError(f"no decision `{decision_id}` in the store", reason_code="DECISION_NOT_FOUND")


def inclusion(journal: Journal, decision_id: str) -> Inclusion:
    """
    Return the proof that a decision is in the journal, under the journal's checkpoint of this moment.

    Raises:
        NotFoundError: No such decision.
        StoreIntegrityError: A row is broken.
    """
    wanted = decision_id.encode("utf-8", "surrogatepass")
    leaves: list[bytes] = []
    tree = Frontier()
    index = -1
    for row, leaf in _whole_rows(journal):
        if row.kind == "decision" and row.projections[0] == wanted:
            index = len(leaves)
        leaves.append(leaf)
        tree.add(leaf)
    if index < 0:
        raise NotFoundError(f"no decision `{decision_id}` in the store", reason_code="DECISION_NOT_FOUND")
    return Inclusion(
        leaf=leaves[index],
        index=index,
        proof=inclusion_proof(leaves, index),
        checkpoint=Checkpoint(origin=origin_of(journal.store_id), size=tree.size, root=tree.root()),
    )


def _whole(journal: Journal) -> Iterator[bytes]:
    return (leaf for _, leaf in _whole_rows(journal))


def _whole_rows(journal: Journal) -> Iterator[tuple[JournalRow, bytes]]:
    if not journal.readable:
        raise StoreIntegrityError("the journal cannot be read", hint="`lumyn verify` says why")
    for row, leaf, found in walk(journal):
        if found:
            first = found[0]
            raise StoreIntegrityError(
                f"the journal is broken at `seq` {first.seq} of `{first.table}`: {first.code}",
                hint="`lumyn verify` names every broken row",
            )
        yield row, leaf
