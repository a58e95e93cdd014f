"""Walking a journal from its stored bytes, its checkpoint, and proofs that a decision is in it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tampering import POLICY, build, copy, listing, rechain, request, tamper

from lumyn import FixedClock, Gate
from lumyn.errors import NotFoundError, StoreIntegrityError, StoreUnavailableError
from lumyn.policy.loader import parse_policy
from lumyn.store import open_store
from lumyn.store.base import chain_hash, leaf_hash
from lumyn.store.journal import (
    TABLES,
    Finding,
    InspectableStore,
    Journal,
    JournalRow,
    KeyRow,
    checkpoint,
    inclusion,
    read_journal,
    walk,
)
from lumyn.store.merkle import consistency_proof, root_of, verify_consistency

ROWS = 44
POLICY_TEXT = POLICY.format(version=3, limit=1)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("original") / "lumyn.db")


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    return copy(original, tmp_path / "lumyn.db")


@pytest.fixture
def store(path: Path) -> Iterator[InspectableStore]:
    with closing(open_store(str(path))) as opened:
        yield opened


def leaves(store: InspectableStore) -> list[bytes]:
    return read_journal(store, lambda journal: [leaf for _, leaf, _ in walk(journal)])


def test_rows_come_by_seq_from_all_tables_with_their_stored_bytes(store: InspectableStore, path: Path) -> None:
    """Leaf hashes are made of what is stored, and the columns come as bytes."""
    rows = read_journal(store, lambda journal: list(walk(journal)))
    assert list(range(1, ROWS + 1)) == [row.seq for row, _, _ in rows]
    assert [] == [finding for _, _, found in rows for finding in found]
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        for row, leaf, _ in rows:
            table = TABLES[row.kind]
            sql = f"SELECT {table.body}, leaf, chain, {', '.join(table.projections)} FROM {table.name} WHERE seq = ?"
            stored = db.execute(sql, (row.seq,)).fetchone()
            assert stored == (row.body, row.leaf, row.chain, *row.projections)
            assert leaf == stored[1] == leaf_hash(row.kind, stored[0])


def test_checkpoint_is_size_and_root_of_all_leaves(store: InspectableStore) -> None:
    found = read_journal(store, checkpoint)
    assert (f"lumyn/{store.store_id}", ROWS, root_of(leaves(store))) == (found.origin, found.size, found.root)


def test_later_checkpoints_extend_earlier_ones(store: InspectableStore, path: Path) -> None:
    """A consistency proof leads from the one to the other."""
    before = read_journal(store, checkpoint)
    with Gate.open(policy=parse_policy(POLICY_TEXT), store=path) as gate:
        gate.decide(request(1000))
    after = read_journal(store, checkpoint)
    proof = consistency_proof(leaves(store), before.size)
    assert verify_consistency(before.size, before.root, after.size, after.root, proof)
    assert not verify_consistency(before.size, after.root, after.size, after.root, proof)


def test_each_decision_can_be_proved_to_be_in_the_journal(store: InspectableStore) -> None:
    """From the record alone, with the proof and a checkpoint; and no other record passes for it."""
    anchor = read_journal(store, checkpoint)
    for decision_id in store.decision_ids("", limit=100):
        proof = read_journal(store, lambda journal, wanted=decision_id: inclusion(journal, wanted))
        stored = store.decision(decision_id)
        assert (anchor, stored.seq - 1) == (proof.checkpoint, proof.index)
        assert leaf_hash("decision", stored.record_json.encode()) == proof.leaf
        assert proof.holds()
        edited = leaf_hash("decision", stored.record_json.replace("ESCALATE", "TRUST").encode() + b" ")
        assert not replace(proof, leaf=edited).holds()
        assert not replace(proof, index=(proof.index + 1) % ROWS).holds()
        assert not replace(proof, checkpoint=replace(anchor, root=bytes(32))).holds()


def test_what_is_not_there_cannot_be_proved(store: InspectableStore) -> None:
    with pytest.raises(NotFoundError):
        read_journal(store, lambda journal: inclusion(journal, "01ARZ3NDEKTSV4RRFFQ69G5FAV"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE decisions SET record = record || ' ' WHERE seq = (SELECT max(seq) FROM decisions)",
        "DELETE FROM decision_events WHERE seq = (SELECT min(seq) FROM decision_events)",
        "PRAGMA application_id = 1",
        "PRAGMA user_version = 9",
    ],
)
def test_nothing_vouches_for_a_broken_journal(path: Path, change: str) -> None:
    """Neither a checkpoint nor a proof is made of one."""
    store = open_store(str(tamper(path, change)))
    with pytest.raises(StoreIntegrityError):
        read_journal(store, checkpoint)
    with pytest.raises(StoreIntegrityError):
        read_journal(store, lambda journal: inclusion(journal, "x"))


# ---------------------------------------------------------------------------------------------------------------------
# The walk, on rows made by hand


class Listed:
    """A journal that is a list."""

    def __init__(self, rows: list[JournalRow], genesis: bytes = b"genesis") -> None:
        self.store_id = "0" * 32
        self.genesis = genesis
        self.readable = True
        self._rows = rows

    def identity(self) -> Iterator[Finding]:
        return iter(())

    structure = identity

    def count(self) -> int:
        return len(self._rows)

    def rows(self) -> Iterator[JournalRow]:
        return iter(self._rows)

    def keys(self) -> Iterator[KeyRow]:
        return iter(())

    def disturbed(self) -> bool:
        return False


def chained(count: int) -> list[JournalRow]:
    rows, chain = [], b"genesis"
    for seq in range(1, count + 1):
        body = f"body {seq}".encode()
        leaf = leaf_hash("event", body)
        chain = chain_hash(seq, chain, leaf)
        rows.append(JournalRow(seq, "event", body, leaf, chain, (f"E{seq}".encode(), b"D")))
    return rows


def problems(rows: list[JournalRow]) -> list[tuple[str, int | None]]:
    return [(each.code, each.seq) for _, _, found in walk(Listed(rows)) for each in found]


def test_an_intact_list_has_no_problems() -> None:
    assert [] == problems(chained(9))


@pytest.mark.parametrize("place", range(1, 8))
@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("body", b"other", "LEAF_MISMATCH"),
        ("body", None, "LEAF_MISMATCH"),
        ("body", 7, "LEAF_MISMATCH"),
        ("body", "text", "LEAF_MISMATCH"),
        ("leaf", b"", "LEAF_MISMATCH"),
        ("leaf", None, "LEAF_MISMATCH"),
        ("leaf", bytes(32), "LEAF_MISMATCH"),
        ("chain", b"", "CHAIN_MISMATCH"),
        ("chain", None, "CHAIN_MISMATCH"),
        ("chain", bytes(32), "CHAIN_MISMATCH"),
    ],
)
def test_one_changed_value_is_one_problem(place: int, field: str, value: object, code: str) -> None:
    rows = chained(9)
    rows[place] = rows[place]._replace(**{field: value})
    assert [(code, place + 1)] == problems(rows)


def test_a_kind_is_part_of_the_leaf() -> None:
    """A row cannot be moved to another table."""
    rows = chained(3)
    rows[1] = rows[1]._replace(kind="memory")
    assert [("LEAF_MISMATCH", 2)] == problems(rows)


def test_the_start_is_part_of_the_chain() -> None:
    found = [each.code for _, _, found in walk(Listed(chained(3), genesis=b"other")) for each in found]
    assert ["CHAIN_MISMATCH"] == found


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([2, 3], [("SEQ_GAP", 2)]),
        ([1, 3, 4], [("SEQ_GAP", 3)]),
        ([1, 2, 6, 7], [("SEQ_GAP", 6)]),
        ([1, 3, 5], [("SEQ_GAP", 3), ("SEQ_GAP", 5)]),
        ([1, 2, 2, 3], [("SEQ_GAP", 2)]),
        ([1, 3, 2, 4], [("SEQ_GAP", 3), ("SEQ_GAP", 2), ("CHAIN_MISMATCH", 4)]),
    ],
)
def test_gaps_and_disorder_are_named_where_they_are(order: list[int], expected: list[tuple[str, int]]) -> None:
    rows = chained(9)
    assert expected == problems([rows[seq - 1] for seq in order])


@pytest.mark.parametrize("seq", [0, -1, -(2**63), 2**63 - 1])
def test_impossible_places_are_gaps(seq: int) -> None:
    rows = chained(3)
    assert ("SEQ_GAP", seq) in problems([rows[0], rows[1]._replace(seq=seq)])


# ---------------------------------------------------------------------------------------------------------------------
# Opening


def test_reading_leaves_no_trace_beside_a_closed_store(store: InspectableStore, path: Path) -> None:
    before = listing(path.parent)
    read_journal(store, checkpoint)
    assert before == listing(path.parent)


def test_behind_a_link_the_log_is_read_too(path: Path, tmp_path: Path) -> None:
    """SQLite keeps it beside the file, so that is where to look whether the store is in use."""
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    with Gate.open(policy=parse_policy(POLICY_TEXT), store=link, clock=FixedClock("2026-02-01T00:00:00Z")) as gate:
        gate.decide(request(1000))
        with closing(open_store(str(link))) as through, closing(open_store(str(path))) as direct:
            assert read_journal(direct, checkpoint) == read_journal(through, checkpoint)
            assert ROWS + 2 == read_journal(through, checkpoint).size


def test_behind_a_link_a_log_that_was_removed_is_missed(path: Path, tmp_path: Path) -> None:
    """What is appended to a log without a name is seen by nobody, and gone with the process."""
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    with Gate.open(policy=parse_policy(POLICY_TEXT), store=link) as gate:
        gate.decide(request(1000))
        path.with_name(f"{path.name}-wal").unlink()
        record = gate.decide(request(1001))
        with closing(open_store(str(path))) as direct:
            assert record.persisted
            assert record.decision_id == direct.decision(record.decision_id).decision_id


def test_a_store_that_was_written_meanwhile_is_read_again(path: Path) -> None:
    """What was read without locks counts only if nobody opened the store in the meantime."""
    store = open_store(str(path))
    sizes = []

    def read(journal: Journal) -> int:
        if not sizes:
            with Gate.open(
                policy=parse_policy(POLICY_TEXT), store=path, clock=FixedClock("2026-02-01T00:00:00Z")
            ) as gate:
                gate.decide(request(1000))
        sizes.append(sum(1 for _ in walk(journal)))
        return sizes[-1]

    assert ROWS + 2 == read_journal(store, read)
    assert 2 == len(sizes)


def test_errors_while_somebody_writes_are_not_believed(path: Path) -> None:
    attempts = []

    def read(journal: Journal) -> str:
        attempts.append(journal)
        if len(attempts) == 1:
            path.touch()
            raise StoreIntegrityError("torn")
        return "whole"

    assert "whole" == read_journal(open_store(str(path)), read)


def test_errors_while_nobody_writes_are(path: Path) -> None:
    def read(journal: Journal) -> str:
        raise StoreIntegrityError("torn")

    with pytest.raises(StoreIntegrityError, match="torn"):
        read_journal(open_store(str(path)), read)


def test_reading_does_not_see_what_is_written_after_it_began(store: InspectableStore, path: Path) -> None:
    with Gate.open(policy=parse_policy(POLICY_TEXT), store=path) as gate:
        gate.decide(request(1000))
        with store.journal() as journal:
            before = sum(1 for _ in walk(journal))
            thread = threading.Thread(target=lambda: gate.decide(request(1001)))
            thread.start()
            thread.join()
            assert before == sum(1 for _ in walk(journal))
        assert before + 1 == len(leaves(store))


def test_reading_cannot_write(store: InspectableStore) -> None:
    with store.journal(locked=True) as journal, pytest.raises(sqlite3.OperationalError):
        journal._connection.execute("DELETE FROM decisions")  # type: ignore[attr-defined]


def test_errors_of_the_caller_stay_what_they_are(store: InspectableStore) -> None:
    """A full disk of whoever reads is not a storage failure of the store."""

    @contextmanager
    def opened() -> Iterator[Journal]:
        with store.journal() as journal:
            yield journal

    with pytest.raises(FileNotFoundError), opened():
        raise FileNotFoundError


def test_there_is_no_journal_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError), open_store(str(tmp_path / "none.db")).journal():
        pass
    assert [] == list(tmp_path.iterdir())


def test_an_attacker_with_patience_leaves_no_broken_row(path: Path) -> None:
    """Which is why a checkpoint is kept outside: the walk alone cannot see this."""
    before = read_journal(open_store(str(path)), checkpoint)

    def change(db: sqlite3.Connection) -> None:
        db.execute("UPDATE decision_events SET body = replace(body, 'lead', 'boss')")
        rechain(db)

    after = read_journal(open_store(str(tamper(path, change))), checkpoint)
    assert (before.size, before.origin) == (after.size, after.origin)
    assert before.root != after.root
