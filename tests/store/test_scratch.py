"""Throw-away stores: each begins empty on a connection that others have used, or on one of its own."""

from __future__ import annotations

import gc
import sqlite3
import warnings
import weakref
from contextlib import closing
from dataclasses import replace

import pytest

from lumyn.errors import StoreUnavailableError
from lumyn.store.base import StoredPolicy
from lumyn.store.journal import checkpoint
from lumyn.store.samples import fill
from lumyn.store.scratch import _POOL, ScratchStore

POLICY = StoredPolicy(policy_hash="sha256:" + "0" * 64, policy_id="p", policy_version="1", source="x", saved_at="now")


@pytest.fixture(autouse=True)
def _own_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_POOL, "_spare", [])


def connection_of(store: ScratchStore) -> sqlite3.Connection:
    store.check()
    assert store._connection is not None
    return store._connection


def rows(store: ScratchStore) -> int:
    with store.journal() as journal:
        return len(list(journal.rows())) + len(list(journal.keys()))


def used() -> tuple[ScratchStore, sqlite3.Connection]:
    store = ScratchStore()
    fill(store)
    return store, connection_of(store)


def test_a_connection_is_handed_on_empty() -> None:
    """Nothing of the store before is there: no row, no key, no counter."""
    first, connection = used()
    assert rows(first) > 0
    first.close()
    second = ScratchStore()
    assert connection is connection_of(second)
    assert 0 == rows(second)
    with second.write() as transaction:
        assert not transaction.knows_policy(POLICY.policy_hash)
        transaction.append_policy(POLICY)
    with second.journal() as journal:
        assert [1] == [row.seq for row in journal.rows()]
        assert 1 == checkpoint(journal).size


def test_two_open_stores_share_nothing() -> None:
    first, _ = used()
    with closing(ScratchStore()) as second:
        assert connection_of(first) is not connection_of(second)
        assert 0 == rows(second)
    first.close()


def test_a_closed_store_does_not_reach_the_store_after_it() -> None:
    """Whoever kept a store beyond its end writes into one of his own."""
    first, _ = used()
    first.close()
    with closing(ScratchStore()) as second:
        second.check()
        with first.write() as transaction:
            transaction.append_policy(POLICY)
        assert 0 == rows(second)
        assert 1 == rows(first)
    first.close()


def test_a_failed_transaction_leaves_nothing() -> None:
    with closing(ScratchStore()) as store:
        with pytest.raises(ZeroDivisionError), store.write() as transaction:
            transaction.append_policy(POLICY)
            raise ZeroDivisionError
        assert 0 == rows(store)
        with store.write() as transaction:
            transaction.append_policy(POLICY)
        assert 1 == rows(store)


def test_a_transaction_that_is_open_already_is_refused() -> None:
    with closing(ScratchStore()) as store, store.write(), pytest.raises(StoreUnavailableError), store.write():
        pass


@pytest.mark.parametrize("harm", ["COMMIT TRANSACTION", "ROLLBACK TRANSACTION", "COMMIT TRANSACTION;BEGIN TRANSACTION"])
def test_a_connection_that_is_not_as_it_was_made_serves_nobody_else(harm: str) -> None:
    """SQLite ends transactions by itself after some failures; what was written then stays."""
    store, connection = used()
    for statement in harm.split(";"):
        connection.execute(statement)
    store.close()
    with closing(ScratchStore()) as after:
        assert connection is not connection_of(after)
        assert 0 == rows(after)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_a_connection_in_the_middle_of_a_transaction_serves_nobody_else() -> None:
    store, connection = used()
    transaction = store.write()
    transaction.__enter__().append_policy(replace(POLICY, policy_id="q"))
    store.close()
    with closing(ScratchStore()) as after:
        assert connection is not connection_of(after)
        assert 0 == rows(after)


def test_few_connections_are_kept() -> None:
    stores = [ScratchStore() for _ in range(12)]
    for store in stores:
        store.check()
    for store in stores:
        store.close()
    assert 4 == len(_POOL._spare)


def test_a_store_that_nobody_closed_is_closed_with_its_last_user() -> None:
    """Python 3.13 warns of connections that are not, and stores hold on to themselves."""
    store, connection = used()
    store.close()
    store = ScratchStore()
    assert connection is connection_of(store)
    gone = weakref.ref(connection)
    del connection
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del store
        gc.collect()
    assert gone() is None
    assert [] == [each for each in caught if each.category is ResourceWarning]
