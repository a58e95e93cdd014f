"""
Stored decisions in the order in which they were made, each with what it takes to decide it again.
Reads stores and exported lines and writes nothing; must not know the policy that is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Final

from lumyn.core.appending import row_of
from lumyn.core.listing import Wanted, newest_seq
from lumyn.core.records import DecisionRecord, record_from_json
from lumyn.core.replay import RECORD_SCHEMA, policy_kept
from lumyn.core.requests import parsed_from_stored
from lumyn.documents import Limits, parse_json
from lumyn.documents.schema import check
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import InvalidDocumentError, Problem, Span, StoreIntegrityError
from lumyn.model import DecisionRequest, MemoryItem
from lumyn.policy.spec import Policy
from lumyn.store.base import Store, StoredDecision

__all__ = ["Past", "read_lines", "read_store"]

_PAGE: Final = 1_000
_LINE: Final = Limits(max_bytes=16_777_216)
_ALL: Final = Wanted()


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """
    One stored decision.

    Attributes:
        deciding: The policy that decided, where it is at hand.
        then: The experience that the decision saw; None where it is not at hand.
        now: All that there is today; None where it was not asked for.
    """

    record: DecisionRecord
    deciding: Policy | None
    then: MemorySnapshot | None
    now: MemorySnapshot | None


def read_store(store: Store, wanted: Wanted, *, limit: int | None = None, with_now: bool = False) -> Iterator[Past]:
    """
    Yield the decisions of a store that are wanted, oldest first.

    Each `then` is the same object as that of the decision before, moved on: use it before the next one is asked for.

    Args:
        limit: At most so many, the newest ones.
        with_now: Whether today's experience is asked for.

    Raises:
        StoreIntegrityError: A record cannot be read back.
        StoreUnavailableError: The store cannot be read.
    """
    memories = _Memories(store)
    policies: dict[str, Policy | None] = {}
    for row in _ascending(store, after_seq=_beginning(store, wanted, limit)):
        record = record_from_json(row.record_json)
        if not wanted.met(row, record):
            continue
        policy_hash = record.policy.policy_hash
        if policy_hash not in policies:
            kept = policy_kept(store, policy_hash)
            policies[policy_hash] = None if isinstance(kept, str) else kept
        yield Past(
            record=record,
            deciding=policies[policy_hash],
            then=memories.as_of(row, record),
            now=memories.today(row) if with_now else None,
        )


def read_lines(stream: BinaryIO, *, file: str, wanted: Wanted = _ALL) -> Iterator[Past]:
    """
    Yield the wanted records of exported lines in their order; neither policies nor experience are at hand.

    Blank lines are passed by.

    Raises:
        InvalidDocumentError: `RECORD_INVALID`, with file and line: a line is not a record.
    """
    lines = iter(partial(stream.readline, _LINE.max_bytes + 1), b"")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            if not check(RECORD_SCHEMA, parse_json(line, error=InvalidDocumentError, limits=_LINE)):
                raise StoreIntegrityError("not a record")
            record = record_from_json(line.decode().strip("\r\n"))
            is_wanted = wanted == _ALL or wanted.met(row_of(record, _request(record)), record)
        except (StoreIntegrityError, InvalidDocumentError):
            problem = Problem(
                code="RECORD_INVALID",
                message="this line is not a decision record",
                span=Span(file=file, line=number, column=1),
                hint="`lumyn export --jsonl` writes one record a line",
            )
            raise InvalidDocumentError([problem]) from None
        if is_wanted:
            yield Past(record=record, deciding=None, then=None, now=None)


def _request(record: DecisionRecord) -> DecisionRequest:
    return parsed_from_stored(record.to_dict(), digest=record.request_digest).request


def _beginning(store: Store, wanted: Wanted, limit: int | None) -> int:
    """Return the place after which the newest `limit` wanted decisions begin."""
    if limit is None:
        return 0
    before_seq: int | None = None
    left = limit
    while left > 0:
        page = list(store.decisions(limit=_PAGE, before_seq=before_seq))
        for row in page:
            before_seq = row.seq
            left -= wanted.met(row, record_from_json(row.record_json))
            if left == 0:
                return row.seq - 1
        if len(page) < _PAGE:
            return 0
    return newest_seq(store)


def _ascending(store: Store, *, after_seq: int) -> Iterator[StoredDecision]:
    """Yield rows oldest first, up to the newest there is now; reads a page of places at a time."""
    newest = newest_seq(store)
    while after_seq < newest:
        end = after_seq + _PAGE
        page = [row for row in store.decisions(limit=_PAGE, before_seq=end + 1) if row.seq > after_seq]
        yield from (row for row in reversed(page) if row.seq <= newest)
        after_seq = end


class _Memories:
    """The experience of each tenant and action, as far as the history has come."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._growing: dict[tuple[str | None, str], tuple[MemorySnapshot, Iterator[MemoryItem]]] = {}
        self._whole: dict[tuple[str | None, str], MemorySnapshot] = {}

    def as_of(self, row: StoredDecision, record: DecisionRecord) -> MemorySnapshot | None:
        """Return what the decision saw; None when that cannot be read back."""
        key = (row.tenant_id, row.action_type)
        if key not in self._growing:
            self._growing[key] = (MemorySnapshot(), self._items(*key))
        memory, items = self._growing[key]
        count = _items_seen(record)
        while memory.n < count:
            item = next(items, None)
            if item is None:
                break
            memory.add(item)
        return memory if memory.digest == record.memory_snapshot else None

    def today(self, row: StoredDecision) -> MemorySnapshot:
        """Return all that there is."""
        key = (row.tenant_id, row.action_type)
        if key not in self._whole:
            self._whole[key] = MemorySnapshot(self._items(*key))
        return self._whole[key]

    def _items(self, tenant_id: str | None, action_type: str) -> Iterator[MemoryItem]:
        after_seq = 0
        while page := self._store.memory_items(tenant_id, action_type, after_seq=after_seq, limit=_PAGE):
            yield from page
            after_seq = page[-1].seq


def _items_seen(record: DecisionRecord) -> int:
    _, _, rest = record.memory_snapshot.partition(":")
    count = rest.partition(":")[0]
    return int(count) if count.isdecimal() else 0
