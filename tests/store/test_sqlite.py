"""The SQLite file: its modes, its triggers, its chain, its transactions."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from lumyn.errors import InvalidConfigError, NotFoundError, StoreUnavailableError
from lumyn.model import Label, MemoryItem
from lumyn.store import open_store
from lumyn.store.base import Event, Store, StoredDecision, StoredPolicy, chain_hash, leaf_hash


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "work" / "lumyn.db"


@pytest.fixture
def store(path: Path) -> Store:
    return open_store(f"sqlite:///{path}", create=True)


def decision(number: int = 1, **changes: object) -> StoredDecision:
    values = {
        "seq": 0,
        "decision_id": f"D{number}",
        "created_at": "2026-01-15T12:00:00.000Z",
        "tenant_id": "acme",
        "action_type": "support.refund",
        "verdict": "TRUST",
        "policy_hash": "sha256:0",
        "record_json": json.dumps({"n": number}),
    }
    return StoredDecision(**{**values, **changes})  # type: ignore[arg-type]


def item(number: int = 1, tenant_id: str | None = "acme") -> MemoryItem:
    return MemoryItem(
        memory_id=f"M{number}",
        seq=0,
        label=Label.FAILURE,
        tenant_id=tenant_id,
        action_type="support.refund",
        features={"action_type": "support.refund", "evidence": {"risk": 0.5}},
        summary="INC-42",
        created_at="2026-01-15T12:00:00.000Z",
        leaf=b"",
    )


def event(number: int = 1) -> Event:
    return Event(
        seq=0,
        event_id=f"E{number}",
        decision_id="D1",
        at="2026-01-15T12:00:00.000Z",
        type="note",
        data={"n": 1},
        actor=None,
    )


POLICY = StoredPolicy(
    policy_hash="sha256:0", policy_id="p", policy_version="1", source="rules: []", saved_at="2026-01-15T12:00:00.000Z"
)


def test_store_and_folder_are_private(store: Store, path: Path) -> None:
    """0600 for the files, 0700 for the folder, whatever the umask."""
    with store.write() as transaction:
        transaction.append_decision(decision())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert {0o600} == set(modes.values())


def test_what_was_appended_is_read_back(store: Store) -> None:
    """Each kind of row comes back as it went in, with a place in one shared sequence."""
    with store.write() as transaction:
        transaction.append_policy(POLICY)
        assert 2 == transaction.append_decision(decision(), request_id="r", request_digest="sha256:1")
        assert 3 == transaction.append_event(event())
        kept = transaction.append_memory(item())
    assert (4, item().features) == (kept.seq, kept.features)
    assert ("D1", 2) == (store.decision("D1").decision_id, store.decision("D1").seq)
    assert [3] == [found.seq for found in store.events("D1")]
    assert [kept] == store.memory_items("acme", "support.refund")
    assert POLICY == store.policy("sha256:0")


def test_transaction_that_raises_leaves_nothing(store: Store) -> None:
    """All of it or none of it, and the sequence goes on without a gap."""
    with pytest.raises(RuntimeError), store.write() as transaction:
        transaction.append_decision(decision())
        transaction.append_event(event())
        raise RuntimeError
    with pytest.raises(NotFoundError):
        store.decision("D1")
    with store.write() as transaction:
        assert 1 == transaction.append_decision(decision())


@pytest.mark.parametrize(
    "table", ["decisions", "decision_events", "memory_items", "policy_snapshots", "idempotency_keys", "meta"]
)
@pytest.mark.parametrize("statement", ["UPDATE {table} SET rowid = rowid", "DELETE FROM {table}"])
def test_rows_cannot_be_changed_or_deleted(store: Store, path: Path, table: str, statement: str) -> None:
    """Triggers stop accidents on every append-only table."""
    with store.write() as transaction:
        transaction.append_policy(POLICY)
        transaction.append_decision(decision(), request_id="r", request_digest="d")
        transaction.append_event(event())
        transaction.append_memory(item())
    column = {"idempotency_keys": "request_id", "meta": "value"}.get(table, "leaf")
    sql = statement.format(table=table).replace("rowid", column)
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        other.execute(sql)


def test_chain_binds_every_row_to_its_predecessor(store: Store, path: Path) -> None:
    """Leaves and chain hashes can be recomputed from the stored bytes alone, across all tables."""
    with store.write() as transaction:
        transaction.append_policy(POLICY)
        transaction.append_decision(decision())
        transaction.append_event(event())
        transaction.append_memory(item())
    with store.write() as transaction:
        transaction.append_decision(decision(2))
    sources = {
        "policy": ("policy_snapshots", "body"),
        "decision": ("decisions", "record"),
        "event": ("decision_events", "body"),
        "memory": ("memory_items", "body"),
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        rows = sorted(
            (seq, kind, body, leaf, chain)
            for kind, (table, column) in sources.items()
            for seq, body, leaf, chain in other.execute(f"SELECT seq, {column}, leaf, chain FROM {table}")
        )
        previous = bytes.fromhex(other.execute("SELECT value FROM meta WHERE key = 'genesis'").fetchone()[0])
    assert [1, 2, 3, 4, 5] == [row[0] for row in rows]
    for seq, kind, body, leaf, chain in rows:
        assert leaf == leaf_hash(kind, body.encode())
        previous = chain_hash(seq, previous, leaf)
        assert chain == previous


def test_two_connections_share_one_sequence(store: Store, path: Path) -> None:
    """Another writer's rows are taken over before the next one is linked."""
    other = open_store(str(path))
    for number in range(1, 7):
        with (store if number % 2 else other).write() as transaction:
            assert number == transaction.append_decision(decision(number))


def test_memory_version_changes_with_other_writers(store: Store, path: Path) -> None:
    """A reader of memory can tell that it has to look again."""
    with store.write() as transaction:
        before = transaction.memory_version
    with store.write() as transaction:
        assert before == transaction.memory_version
    with open_store(str(path)).write() as transaction:
        transaction.append_memory(item())
    with store.write() as transaction:
        assert before != transaction.memory_version


def test_no_tenant_is_not_a_tenant(store: Store) -> None:
    """Items without a tenant are apart from those of any tenant."""
    with store.write() as transaction:
        transaction.append_memory(item(1, tenant_id=None))
        transaction.append_memory(item(2, tenant_id="acme"))
    assert ["M1"] == [found.memory_id for found in store.memory_items(None, "support.refund")]


def test_write_inside_a_write_is_refused(store: Store) -> None:
    """The lock is re-entrant for one thread, the transaction is not."""
    with store.write(), pytest.raises(StoreUnavailableError), store.write():
        pass
    with store.write() as transaction:
        transaction.append_decision(decision())


def test_threads_write_one_after_the_other(store: Store) -> None:
    """One connection behind a lock loses nothing."""

    def append(start: int) -> None:
        for number in range(start, start + 20):
            with store.write() as transaction:
                transaction.append_decision(decision(number))

    threads = [threading.Thread(target=append, args=(n * 100,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(range(160, 0, -1)) == [found.seq for found in store.decisions(limit=1000)]


def test_decisions_are_paged_newest_first(store: Store) -> None:
    """Filters and limits hold over page borders."""
    with store.write() as transaction:
        for number in range(1, 1203):
            transaction.append_decision(decision(number, verdict="TRUST" if number % 2 else "QUERY"))
    listed = [found.seq for found in store.decisions(limit=10_000, verdict="TRUST")]
    assert list(range(1201, 0, -2)) == listed
    assert [1202, 1201] == [found.seq for found in store.decisions(limit=2)]


@pytest.mark.parametrize("url", ["postgres://x", "sqlite:///", "sqlite:///a\0b"])
def test_unusable_url_is_a_configuration_error(url: str) -> None:
    """A URL that names nothing usable never becomes a store somewhere else."""
    with pytest.raises(InvalidConfigError):
        open_store(url)


def test_pragmas_are_as_promised(store: Store) -> None:
    """Durability and safety settings hold on the connection that writes."""
    store.check()
    connection = store._connection  # type: ignore[attr-defined]
    found = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "cell_size_check")
    }
    assert {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
    } == found
