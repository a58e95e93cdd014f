"""
What every store must do, as checks that any implementation can be put through: `for check in CHECKS: check(provider)`.
Knows the protocol only; must not know how a store keeps anything.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol, TypeAlias

from lumyn.errors import LumynError, NotFoundError, StoreUnavailableError
from lumyn.store.base import StoredKey, leaf_hash
from lumyn.store.journal import InspectableStore, inclusion, read_journal, walk
from lumyn.store.journal import checkpoint as checkpoint_of
from lumyn.store.samples import ACTION, AT, LATER, POLICY, TEXT, decision, event, fill, item

__all__ = ["CHECKS", "Check", "NonConformanceError", "Provider"]


class NonConformanceError(Exception):
    """A store does not do what every store must."""


class Provider(Protocol):
    """Makes the stores that are checked."""

    def new(self) -> InspectableStore:
        """Return a created, empty store that nobody else uses."""

    def again(self, store: InspectableStore) -> InspectableStore | None:
        """Return the same store as another process would open it, or None where no other can."""


Check: TypeAlias = Callable[[Provider], None]


def _expect(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise NonConformanceError(f"{what}: expected {expected!r}, found {found!r}")


@contextmanager
def _refused(what: str, error: type[LumynError]) -> Iterator[None]:
    try:
        yield
    except error:
        return
    raise NonConformanceError(f"{what}: expected {error.__name__}")


def rows_come_back_as_they_went_in(provider: Provider) -> None:
    """Every kind of row is read back exactly, from one sequence that begins at 1."""
    store = provider.new()
    whole = decision(1, record_json=TEXT, tenant_id=None)
    with store.write() as transaction:
        transaction.append_policy(POLICY)
        _expect("seq of the decision", 2, transaction.append_decision(whole))
        _expect("seq of the event", 3, transaction.append_event(event(1)))
        kept = transaction.append_memory(item(1))
        _expect("the decision inside the transaction", replace(whole, seq=2), transaction.decision("D0001"))
        _expect("the events inside the transaction", [replace(event(1), seq=3)], transaction.events("D0001"))
        _expect("memory inside the transaction", [kept], list(transaction.memory_items("acme", ACTION)))
        _expect("the item inside the transaction", kept, transaction.memory_item("M0001"))
    _expect("the memory item", replace(item(1), seq=4, leaf=kept.leaf), kept)
    _expect("the decision", replace(whole, seq=2), store.decision("D0001"))
    _expect("the events", [replace(event(1), seq=3)], store.events("D0001"))
    _expect("the memory", [kept], store.memory_items("acme", ACTION))
    _expect("the item by its id", kept, store.memory_item("M0001"))
    _expect("the policy", POLICY, store.policy("sha256:0"))


def unknown_ids_are_not_found(provider: Provider) -> None:
    """What is not there is an error or nothing, never something else."""
    store = provider.new()
    fill(store)
    for text in ("D0002", "d0001", "D0001 ", "", "%", "D000_"):
        with _refused("an unknown decision", NotFoundError):
            store.decision(text)
    with _refused("an unknown decision in a transaction", NotFoundError), store.write() as transaction:
        transaction.decision("D0002")
    with _refused("an unknown policy", NotFoundError):
        store.policy("sha256:1")
    for text in ("M0002", "m0001", "D0001", "", "%"):
        with _refused("an unknown memory item", NotFoundError):
            store.memory_item(text)
    with _refused("an unknown memory item in a transaction", NotFoundError), store.write() as transaction:
        transaction.memory_item("M0002")
    _expect("events of an unknown decision", [], store.events("D0002"))
    _expect("memory of another action", [], store.memory_items("acme", "support.other"))


def a_transaction_that_raises_leaves_nothing(provider: Provider) -> None:
    """All of it or none of it; the sequence goes on without a gap, and the exception is the caller's own."""
    store = provider.new()
    try:
        with store.write() as transaction:
            transaction.append_policy(POLICY)
            transaction.append_decision(decision(1), request_id="r", request_digest="sha256:1")
            transaction.append_event(event(1))
            transaction.append_memory(item(1))
            raise KeyError("mine")
    except KeyError:
        pass
    with _refused("a decision that was rolled back", NotFoundError):
        store.decision("D0001")
    with store.write() as transaction:
        _expect("a policy that was rolled back is known", False, transaction.knows_policy("sha256:0"))
        _expect("a key that was rolled back", None, transaction.find_key("acme", "r"))
        _expect("the next seq", 1, transaction.append_decision(decision(2)))
    _expect("memory that was rolled back", [], store.memory_items("acme", ACTION))


def ids_are_used_once(provider: Provider) -> None:
    """A second row with the same id is refused, and what came with it is not kept."""
    store = provider.new()
    fill(store)
    with _refused("a decision id used twice", StoreUnavailableError), store.write() as transaction:
        transaction.append_decision(decision(2))
        transaction.append_decision(decision(1))
    with _refused("an event id used twice", StoreUnavailableError), store.write() as transaction:
        transaction.append_event(event(1))
    with _refused("a memory id used twice", StoreUnavailableError), store.write() as transaction:
        transaction.append_memory(item(1))
    _expect("decisions", ["D0001"], store.decision_ids("", limit=9))
    _expect("rows", 4, read_journal(store, checkpoint_of).size)


def idempotency_keys_belong_to_a_tenant(provider: Provider) -> None:
    """A key leads to its decision within its tenant; no tenant is apart from every tenant; it is used once."""
    store = provider.new()
    with store.write() as transaction:
        _expect("a new key", None, transaction.find_key("acme", "r"))
        transaction.append_decision(decision(1), request_id="r", request_digest="sha256:1")
        transaction.append_decision(decision(2, tenant_id=None), request_id="r", request_digest="sha256:2")
        transaction.append_decision(decision(3))
    with store.write() as transaction:
        _expect("the key of a tenant", StoredKey("sha256:1", '{"n":1}'), transaction.find_key("acme", "r"))
        _expect("the key without a tenant", StoredKey("sha256:2", '{"n":2}'), transaction.find_key(None, "r"))
        _expect("the key of another tenant", None, transaction.find_key("other", "r"))
        _expect("the key in another case", None, transaction.find_key("acme", "R"))
    with _refused("a key used twice", StoreUnavailableError), store.write() as transaction:
        transaction.append_decision(decision(4), request_id="r", request_digest="sha256:4")


def memory_is_apart_by_tenant_and_action(provider: Provider) -> None:
    """Items come in the order they were appended, of one tenant and action only, from any point on."""
    store = provider.new()
    partitions: list[tuple[str | None, str]] = [("acme", ACTION), (None, ACTION), ("acme", "support.credit")]
    with store.write() as transaction:
        for number in range(9):
            transaction.append_memory(item(number, *partitions[number % 3]))
    for place, (tenant_id, action_type) in enumerate(partitions):
        found = store.memory_items(tenant_id, action_type)
        _expect("items of a partition", [place + 1, place + 4, place + 7], [item.seq for item in found])
        _expect("items after a seq", found[1:], store.memory_items(tenant_id, action_type, after_seq=place + 1))
        _expect("the first items", found[:2], store.memory_items(tenant_id, action_type, limit=2))
        _expect("no items", [], store.memory_items(tenant_id, action_type, limit=0))
        with store.write() as transaction:
            after = list(transaction.memory_items(tenant_id, action_type, after_seq=place + 4))
        _expect("items after a seq, in a transaction", found[2:], after)


def a_policy_is_kept_once(provider: Provider) -> None:
    """The first text under a hash stays; the store says that it knows one only when it is kept."""
    store = provider.new()
    for source in ("first", "second"):
        with store.write() as transaction:
            transaction.append_policy(replace(POLICY, source=source))
    _expect("the text", "first", store.policy("sha256:0").source)
    _expect("rows", 1, read_journal(store, checkpoint_of).size)
    with store.write() as transaction:
        _expect("an unknown policy is known", False, transaction.knows_policy("sha256:1"))


def decisions_are_listed_newest_first(provider: Provider) -> None:
    """Filters are exact and combine; limits and pages hold however many there are."""
    store = provider.new()
    with store.write() as transaction:
        for number in range(1, 1205):
            changes = {
                "verdict": "QUERY" if number % 2 else "TRUST",
                "tenant_id": None if number % 3 else "acme",
                "action_type": "support.credit" if number % 5 else ACTION,
                "created_at": LATER if number > 1200 else AT,
            }
            transaction.append_decision(decision(number, **changes))
    everything = list(range(1204, 0, -1))
    _expect("all decisions", everything, [row.seq for row in store.decisions(limit=10_000)])
    _expect("the newest", [1204, 1203], [row.seq for row in store.decisions(limit=2)])
    _expect("none", [], list(store.decisions(limit=0)))
    _expect("before a seq", [2, 1], [row.seq for row in store.decisions(limit=9, before_seq=3)])
    _expect("since", [1204, 1203, 1202, 1201], [row.seq for row in store.decisions(limit=9, since=LATER)])
    wanted = [number for number in everything if number % 2 and not number % 3 and not number % 5]
    filtered = store.decisions(limit=10_000, verdict="QUERY", tenant_id="acme", action_type=ACTION)
    _expect("all filters", wanted, [row.seq for row in filtered])


def ids_are_found_by_their_beginning(provider: Provider) -> None:
    """A prefix is plain text, whatever it means to a database; ids come oldest first."""
    store = provider.new()
    ids = ["AB1", "AA2", "AB3", "B4", "A%5", "A_6"]
    with store.write() as transaction:
        for decision_id in ids:
            transaction.append_decision(decision(1, decision_id=decision_id))
            transaction.append_memory(replace(item(1), memory_id=decision_id))
    for prefix in ("", "A", "AB", "AB1", "A%", "A_", "C", "ab"):
        expected = [each for each in ids if each.startswith(prefix)]
        _expect(f"ids that begin with {prefix!r}", expected, store.decision_ids(prefix, limit=9))
        _expect(f"ids of items that begin with {prefix!r}", expected, store.memory_ids(prefix, limit=9))
    hashes = ["sha256:ab1", "sha256:aa2", "sha256:ab3"]
    with store.write() as transaction:
        for policy_hash in hashes:
            transaction.append_policy(replace(POLICY, policy_hash=policy_hash))
    for prefix in ("", "sha256:a", "sha256:ab", "sha256:ab1", "sha256:b"):
        expected = [each for each in hashes if each.startswith(prefix)]
        _expect(f"hashes that begin with {prefix!r}", expected, store.policy_hashes(prefix, limit=9))
    _expect("the first hashes", hashes[:2], store.policy_hashes("", limit=2))
    _expect("the first ids", ids[:2], store.decision_ids("", limit=2))
    _expect("the first ids of items", ids[:2], store.memory_ids("", limit=2))


def a_probe_leaves_nothing(provider: Provider) -> None:
    """However often; and it is refused while a write is under way, as that of a decision would be."""
    store = provider.new()
    fill(store)
    with store.write() as transaction:
        before = transaction.memory_version
        with _refused("a probe within a write", StoreUnavailableError):
            store.probe()
    for _ in range(3):
        store.probe()
    _expect("rows", 4, read_journal(store, checkpoint_of).size)
    with store.write() as transaction:
        _expect("the memory version", before, transaction.memory_version)
        _expect("the next seq", 5, transaction.append_decision(decision(2)))
    with store.journal() as journal:
        _expect("what is wrong", [], [*journal.identity(), *journal.structure()])


def one_transaction_at_a_time(provider: Provider) -> None:
    """A write within a write is refused and does no harm; threads take turns; a transaction that ended is over."""
    store = provider.new()
    with store.write() as transaction:
        with _refused("a write within a write", StoreUnavailableError), store.write():
            pass
        transaction.append_decision(decision(1000))
    with _refused("writing after the end", StoreUnavailableError):
        transaction.append_decision(decision(1001))
    failures: list[LumynError] = []

    def append(start: int) -> None:
        try:
            for number in range(start, start + 10):
                with store.write() as each:
                    each.append_decision(decision(number))
        except LumynError as error:
            failures.append(error)

    threads = [threading.Thread(target=append, args=(start,)) for start in range(0, 80, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _expect("failures of threads", [], failures)
    _expect("decisions of all threads", list(range(81, 0, -1)), [row.seq for row in store.decisions(limit=100)])


def several_writers_share_one_history(provider: Provider) -> None:
    """Another connection's rows are seen and linked to by the next write; a cache of memory can tell that it is old."""
    store = provider.new()
    other = provider.again(store)
    if other is None:
        return
    _expect("the identity", store.store_id, other.store_id)
    for number in range(1, 9):
        with (store if number % 2 else other).write() as transaction:
            _expect("seq", number, transaction.append_decision(decision(number)))
    with store.write() as transaction:
        before = transaction.memory_version
    with other.write() as transaction:
        transaction.append_memory(item(1))
    with store.write() as transaction:
        _expect("the memory version is as before", False, transaction.memory_version == before)
        _expect("memory of another writer", 1, len(list(transaction.memory_items("acme", ACTION))))
    _expect("rows", 9, read_journal(other, checkpoint_of).size)
    other.close()


def memory_version_changes_with_memory(provider: Provider) -> None:
    """It stays while nothing is learned, changes when something is, and never goes back."""
    store = provider.new()
    seen: list[int] = []
    for number in range(3):
        for _ in range(2):
            with store.write() as transaction:
                seen.append(transaction.memory_version)
        with store.write() as transaction:
            transaction.append_memory(item(number))
    _expect("versions while nothing was learned", seen[::2], seen[1::2])
    _expect("versions after something was learned", sorted(set(seen)), seen[::2])


def rows_are_linked_from_the_first_to_the_last(provider: Provider) -> None:
    """Leaves and chain can be recomputed from what is stored; each row can be proved to be in the journal."""
    store = provider.new()
    fill(store)
    with store.write() as transaction:
        transaction.append_decision(decision(2))

    def found(store: InspectableStore) -> None:
        with store.journal() as journal:
            _expect("what is wrong", [], [*journal.identity(), *journal.structure()])
            walked = list(walk(journal))
            _expect("the identity in the journal", store.store_id, journal.store_id)
        _expect("broken rows", [], [problem for _, _, problems in walked for problem in problems])
        kinds = [(row.seq, row.kind) for row, _, _ in walked]
        expected = [(1, "policy"), (2, "decision"), (3, "event"), (4, "memory"), (5, "decision")]
        _expect("the rows", expected, kinds)
        _expect("the leaf of a record", leaf_hash("decision", b'{"n":2}'), walked[-1][1])

    found(store)
    proof = read_journal(store, lambda journal: inclusion(journal, "D0002"))
    _expect("the proof of a decision", (True, 4), (proof.holds(), proof.index))
    other = provider.again(store)
    if other is not None:
        found(other)
        other.close()


def a_store_keeps_its_identity(provider: Provider) -> None:
    """Creating again changes nothing; two stores are never the same one."""
    store = provider.new()
    fill(store)
    first = store.store_id
    _expect("an identity of 32 hex digits", True, re.fullmatch("[0-9a-f]{32}", first) is not None)
    store.create()
    store.check()
    _expect("the identity", first, store.store_id)
    _expect("the decisions", ["D0001"], store.decision_ids("", limit=9))
    _expect("another store is the same one", False, provider.new().store_id == first)


def a_closed_store_opens_again(provider: Provider) -> None:
    """Closing loses nothing that others can still open; closing twice is fine."""
    store = provider.new()
    other = provider.again(store)
    if other is None:
        return
    fill(store)
    for _ in range(2):
        store.close()
    _expect("the decisions", ["D0001"], store.decision_ids("", limit=9))
    other.close()


CHECKS: Final[tuple[Check, ...]] = (
    rows_come_back_as_they_went_in,
    unknown_ids_are_not_found,
    a_transaction_that_raises_leaves_nothing,
    ids_are_used_once,
    idempotency_keys_belong_to_a_tenant,
    memory_is_apart_by_tenant_and_action,
    a_policy_is_kept_once,
    decisions_are_listed_newest_first,
    ids_are_found_by_their_beginning,
    a_probe_leaves_nothing,
    one_transaction_at_a_time,
    several_writers_share_one_history,
    memory_version_changes_with_memory,
    rows_are_linked_from_the_first_to_the_last,
    a_store_keeps_its_identity,
    a_closed_store_opens_again,
)
"""Every check; each has a name and a docstring, takes a `Provider` and raises `NonConformanceError`."""
