"""The memory at hand: loaded when needed, in step with the store, never half updated."""

from __future__ import annotations

import pytest

from lumyn.core import memory
from lumyn.core.memory import MemoryCache
from lumyn.model import Label, MemoryItem


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
        leaf=bytes(32),
    )


class Journal:
    """A transaction that only remembers what was read."""

    def __init__(self, *items):
        self.items = list(items)
        self.memory_version = 0
        self.read = []

    def memory_items(self, tenant_id, action_type, *, after_seq=0):
        self.read.append((action_type, after_seq))
        return [one for one in self.items if one.action_type == action_type and one.seq > after_seq]

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
    assert [("a", 0), ("a", 3)] == journal.read


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
