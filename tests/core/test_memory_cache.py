"""The memory at hand: loaded when needed, in step with the store, never half updated."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import spec_memory
from core.conftest import POLICY_FILE

from lumyn import Gate, Policy, StoreUnavailableError, Verdict
from lumyn.core import memory
from lumyn.core.memory import CATCH_UPS, MemoryCache
from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import Label, MemoryItem
from lumyn.store.base import Store

Refund = Callable[..., dict[str, Any]]

KEY = ("acme", "support.refund")
MANY = 3_000


def item(seq, action="a"):
    return MemoryItem(
        memory_id=f"M{seq}",
        seq=seq,
        label=Label.FAILURE,
        tenant_id="t",
        action_type=action,
        features={"action_type": action},
        summary="",
        created_at="2026-01-15T12:00:00.000Z",
        leaf=seq.to_bytes(32, "big"),
    )


class Journal:
    """A transaction that only remembers what was read."""

    def __init__(self, *items):
        self.items = list(items)
        self.memory_version = 0
        self.read = []

    def memory_items(self, tenant_id, action_type, *, after_seq=0, limit=None):
        self.read.append((action_type, after_seq))
        return [one for one in self.items if one.action_type == action_type and one.seq > after_seq][:limit]

    def append(self, *items):
        self.items += items
        self.memory_version += 1


def test_only_the_partition_asked_for_is_loaded_and_only_what_is_new():
    """Once when it is first needed, then what was appended since, and nothing while nothing changed."""
    journal, cache = Journal(item(1), item(2, "b"), item(3)), MemoryCache()
    assert 2 == cache.snapshot(journal, "t", "a").n
    assert 2 == cache.snapshot(journal, "t", "a").n
    journal.append(item(4), item(5, "b"))
    assert 3 == cache.snapshot(journal, "t", "a").n
    assert [("a", 0), ("a", 2)] == journal.read, "the last known item is read again, to see that it is still there"


def test_the_least_recently_used_partition_goes(monkeypatch):
    """What callers may invent cannot fill the memory."""
    monkeypatch.setattr(memory, "_PARTITIONS_KEPT", 2)
    journal, cache = Journal(), MemoryCache()
    for action in ("a", "b", "a", "c", "a", "b"):
        cache.snapshot(journal, "t", action)
    assert ["a", "b", "c", "b"] == [action for action, _ in journal.read]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_update_leaves_nothing_half_done(monkeypatch, interruption):
    """The next call sees all items, each once; a missing one could make a verdict looser."""
    journal, cache = Journal(item(1)), MemoryCache()
    whole = memory.MemorySnapshot([item(1), item(2), item(3)]).digest
    cache.snapshot(journal, "t", "a")
    journal.append(item(2), item(3))
    with monkeypatch.context() as patch:
        add = memory.MemorySnapshot.add

        def interrupted(snapshot, one):
            add(snapshot, one)
            raise interruption

        patch.setattr(memory.MemorySnapshot, "add", interrupted)
        with pytest.raises(interruption):
            cache.snapshot(journal, "t", "a")
    assert whole == cache.snapshot(journal, "t", "a").digest


@pytest.mark.parametrize(
    "now",
    [
        [item(1), item(2)],
        [],
        [item(1), item(2), item(3), replace(item(4), leaf=b"x" * 32), item(5)],
        [item(1), item(3), item(5), item(6)],
        [item(8), item(9)],
    ],
    ids=["shorter", "empty", "rewritten", "renumbered", "begun anew"],
)
def test_a_table_that_is_not_the_one_that_was_read_is_read_anew(now: list[MemoryItem]) -> None:
    """A store put back from a copy must not be decided with what was written since, nor without what it holds."""
    journal, cache = Journal(item(1), item(2), item(3), item(4)), MemoryCache()
    if now and now[-1].seq == 6:
        journal.items[-1] = item(7)
    cache.snapshot(journal, "t", "a")
    journal.items = now
    journal.memory_version += 1
    found = cache.snapshot(journal, "t", "a")
    assert found is not None
    assert MemorySnapshot(now).digest == found.digest


def test_more_than_a_page_is_left_to_be_loaded_and_then_caught_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one attempt may take in is bounded; what was loaded is not read again."""
    monkeypatch.setattr(memory, "_PAGE", 4)
    journal, cache = Journal(*(item(seq) for seq in range(1, 11))), MemoryCache()
    policy = Gate.open(policy=POLICY_FILE, store="sqlite:///:memory:").policy
    assert cache.snapshot(journal, "t", "a", most=4) is None
    cache.load(journal, policy, "t", "a")  # type: ignore[arg-type]
    assert [after for _, after in journal.read] == sorted(after for _, after in journal.read)
    journal.append(*(item(seq) for seq in range(11, 14)))
    journal.read.clear()
    found = cache.snapshot(journal, "t", "a", most=4)
    assert found is not None
    assert (MemorySnapshot(journal.items).digest, [("a", 9)]) == (found.digest, journal.read)
    journal.append(*(item(seq) for seq in range(14, 20)))
    assert cache.snapshot(journal, "t", "a", most=4) is None
    whole = cache.snapshot(journal, "t", "a", most=None)
    assert whole is not None
    assert MemorySnapshot(journal.items).digest == whole.digest


# ---------------------------------------------------------------------------------------------------------------------
# A large memory


class Slow:
    """A store that does something between the pages of memory that are read outside of a transaction."""

    def __init__(self, store: Store, between: Callable[[int], object]) -> None:
        self._store = store
        self._between = between
        self.pages = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def memory_items(self, *arguments: Any, **options: Any) -> list[MemoryItem]:
        found = self._store.memory_items(*arguments, **options)
        self.pages += 1
        self._between(self.pages)
        return found


@pytest.fixture
def large(gate: Gate, refund: Refund) -> Iterator[Gate]:
    """A gate on a store with many experiences, none of which it has read yet."""
    first = gate.seed("near_miss", refund(), summary="first")
    with gate.store.write() as transaction:
        for number in range(1, MANY):
            amount = {**first.features, "amount_usd": str(number % 40)}
            transaction.append_memory(replace(first, memory_id=f"M{number:05}", features=amount, label=Label.SUCCESS))
    return gate


def opened(gate: Gate, store: object = None, **options: Any) -> Gate:
    path = gate.store.url.removeprefix("sqlite:///")
    return Gate.open(policy=gate.policy, store=store or path, busy_timeout_s=0.5, **options)  # type: ignore[arg-type]


def test_another_process_writes_while_a_large_memory_is_loaded(large: Gate, refund: Refund) -> None:
    """Pages are read without the write lock: a process with half a second of patience decides between any two."""
    script = """
import json, sys
from lumyn import Gate
with Gate.open(policy=sys.argv[1], store=sys.argv[2], busy_timeout_s=0.5) as gate:
    record = gate.decide(json.loads(sys.argv[3]))
    gate.label(record.decision_id, "failure")
    print(record.persisted)
"""
    path = large.store.url.removeprefix("sqlite:///")
    answers: list[str] = []

    def between(page: int) -> None:
        asked = json.dumps(refund(request_id=f"other-{page}", action__type="support.account_credit"))
        command = [sys.executable, "-c", script, str(POLICY_FILE), path, asked]
        answers.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())

    slow = Slow(large.store, between)
    record = opened(large, slow).decide(refund(request_id="mine"))
    assert (True, Verdict.TRUST) == (record.persisted, record.verdict)
    assert ["True"] * slow.pages == answers
    assert slow.pages >= MANY // 1024


def test_what_is_learnt_while_loading_counts(large: Gate, refund: Refund) -> None:
    """The transaction that decides catches up: a failure written after the last page still turns the verdict."""
    with opened(large) as other:
        seeded: list[MemoryItem] = []

        def between(page: int) -> None:
            seeded.append(other.seed("failure", refund(), summary=f"page {page}"))

        with opened(large, Slow(large.store, between)) as gate:
            record = gate.decide(refund(request_id="mine"))
    assert Verdict.ESCALATE is record.verdict
    assert f"mem0:{MANY + len(seeded)}:" in record.memory_snapshot
    items = large.store.memory_items(*KEY)
    assert MemorySnapshot(items).digest == record.memory_snapshot
    expected, matches = spec_memory.naive_top_k(gate.policy, items[0].features, items, 5)
    assert expected == record.failure_similarity
    assert [match[0] for match in matches] == [match.memory_id for match in record.similarity.top_k]


def test_who_writes_faster_than_it_is_read_does_not_keep_it_from_deciding(
    large: Gate, refund: Refund, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few attempts the rest is read inside the transaction, whatever its size."""
    monkeypatch.setattr("lumyn.core.decider.CATCH_UPS", (1, 1, None))
    first = large.store.memory_items(*KEY, limit=1)[0]
    with opened(large) as other:

        def between(page: int) -> None:
            with other.store.write() as transaction:
                for number in range(5):
                    transaction.append_memory(replace(first, memory_id=f"N{page:05}{number}"))

        slow = Slow(large.store, between)
        with opened(large, slow) as gate:
            assert gate.decide(refund(request_id="mine")).persisted
    assert slow.pages > len(CATCH_UPS) - 2


def test_threads_share_one_load(large: Gate, refund: Refund) -> None:
    """The memory is read once, however many need it at the same time, and all of them decide with all of it."""
    slow = Slow(large.store, lambda _: None)
    records: list[Any] = []
    with opened(large, slow) as gate:
        threads = [
            threading.Thread(target=lambda n=n: records.append(gate.decide(refund(request_id=f"t{n}"))))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    whole = MemorySnapshot(large.store.memory_items(*KEY)).digest
    assert [(True, whole)] * 8 == [(record.persisted, record.memory_snapshot) for record in records]
    assert slow.pages <= 2 * (MANY // 1024 + 1)


@pytest.mark.parametrize("page", [1, 2])
def test_a_load_that_fails_is_an_abstention_and_the_next_one_is_whole(large: Gate, refund: Refund, page: int) -> None:
    broken = [True]

    def between(number: int) -> None:
        if broken[0] and number == page:
            raise StoreUnavailableError("gone", detail="STORE_IO_ERROR")

    with opened(large, Slow(large.store, between)) as gate:
        record = gate.decide(refund(request_id="mine"))
        assert (Verdict.ABSTAIN, ("STORAGE_UNAVAILABLE",), False) == (
            record.verdict,
            record.reason_codes,
            record.persisted,
        )
        broken[0] = False
        record = gate.decide(refund(request_id="mine"))
    assert MemorySnapshot(large.store.memory_items(*KEY)).digest == record.memory_snapshot


def test_a_store_put_back_from_a_copy_is_noticed(policy: Policy, refund: Refund, tmp_path: Path) -> None:
    """An open gate does not go on deciding with experience that the store does not hold any more."""
    path, kept = tmp_path / "lumyn.db", tmp_path / "kept.db"
    with Gate.open(policy=policy, store=path, create=True) as gate:
        gate.seed("near_miss", refund(), summary="kept")
    kept.write_bytes(path.read_bytes())
    with Gate.open(policy=policy, store=path) as gate:
        gate.seed("failure", refund(), summary="lost")
        assert Verdict.ESCALATE is gate.decide(refund(request_id="r1")).verdict
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        kept.replace(path)
        path.chmod(0o600)
        record = gate.decide(refund(request_id="r2"))
        assert (Verdict.TRUST, True) == (record.verdict, record.persisted)
        assert gate.replay(record.decision_id).identical
