"""
Stored decisions in bulk: the recent ones that meet some wishes, and those that came since.
Reads the store and writes nothing; must not know how a decision is shown.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import islice
from typing import Final

from lumyn.core.given import check_needed
from lumyn.core.records import DecisionRecord, record_from_json
from lumyn.model import Verdict
from lumyn.store.base import Store, StoredDecision

__all__ = ["Page", "Wanted", "newest_seq", "page", "recent", "since_seq"]

_MOST_LOOKED_AT: Final = 2_000
"""Of a page: how many rows are read for it, so that a rare reason code holds the store up no longer than others."""
_LARGE_BYTES: Final = 8 * 1_048_576
"""A page of so much holds no more: its records may be as large as requests are allowed to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    Which decisions are meant; None stands for any. All wishes are exact and hold together.

    Attributes:
        since: RFC 3339 in UTC with milliseconds, the earliest `created_at`.

    Raises:
        InvalidRequestError: One of the texts is none that a store can be asked for.
    """

    verdict: Verdict | None = None
    reason_code: str | None = None
    action_type: str | None = None
    tenant_id: str | None = None
    since: str | None = None

    def __post_init__(self) -> None:
        asked = {name: getattr(self, name) for name in ("reason_code", "action_type", "tenant_id", "since")}
        check_needed(**{name: text for name, text in asked.items() if text is not None})

    def met(self, row: StoredDecision, record: DecisionRecord) -> bool:
        """Return whether a decision is one of those meant."""
        return (
            self.verdict in {None, record.verdict}
            and self.reason_code in {None, *record.reason_codes}
            and self.action_type in {None, row.action_type}
            and self.tenant_id in {None, row.tenant_id}
            and (self.since is None or row.created_at >= self.since)
        )


def recent(store: Store, wanted: Wanted, *, limit: int, up_to_seq: int | None = None) -> list[DecisionRecord]:
    """
    Return stored records, newest first, at most `limit`.

    Args:
        up_to_seq: Leave out those that were appended after this place of the journal.

    Raises:
        StoreIntegrityError: A record cannot be read back.
        StoreUnavailableError: The store cannot be read.
    """
    rows = store.decisions(
        limit=limit if wanted.reason_code is None else sys.maxsize,
        before_seq=None if up_to_seq is None else up_to_seq + 1,
        verdict=None if wanted.verdict is None else wanted.verdict.value,
        action_type=wanted.action_type,
        tenant_id=wanted.tenant_id,
        since=wanted.since,
    )
    found = (record for row in rows if wanted.met(row, record := record_from_json(row.record_json)))
    return list(islice(found, limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    Part of a list of decisions.

    Attributes:
        records: Newest first; may be empty although there are more.
        next: The decision to go on after, or None when there are no more.
    """

    records: tuple[DecisionRecord, ...]
    next: str | None


def page(store: Store, wanted: Wanted, *, limit: int, after: str | None = None) -> Page:
    """
    Return stored records, newest first, at most `limit`, and where to go on.

    Decisions that are made meanwhile shift nothing: a page begins after a decision, not at a number.

    Args:
        after: The decision that `next` of the page before named; from the newest when None.

    Raises:
        NotFoundError: There is no such decision.
        StoreIntegrityError: A record cannot be read back.
        StoreUnavailableError: The store cannot be read.
    """
    rows = store.decisions(
        limit=_MOST_LOOKED_AT,
        before_seq=None if after is None else store.decision(after).seq,
        verdict=None if wanted.verdict is None else wanted.verdict.value,
        action_type=wanted.action_type,
        tenant_id=wanted.tenant_id,
        since=wanted.since,
    )
    found: list[DecisionRecord] = []
    last = None
    size = 0
    for count, row in enumerate(rows, start=1):
        if len(found) == limit or size >= _LARGE_BYTES:
            return Page(records=tuple(found), next=last)
        record = record_from_json(row.record_json)
        if wanted.met(row, record):
            found.append(record)
            size += len(row.record_json)
        last = row.decision_id
        if count == _MOST_LOOKED_AT:
            return Page(records=tuple(found), next=last)
    return Page(records=tuple(found), next=None)


def newest_seq(store: Store) -> int:
    """Return the place of the newest decision in the journal, 0 when there is none. Raises `StoreUnavailableError`."""
    return next((row.seq for row in store.decisions(limit=1)), 0)


def since_seq(store: Store, wanted: Wanted, *, after_seq: int) -> tuple[list[DecisionRecord], int]:
    """
    Return the decisions that were appended after a place of the journal, oldest first, and the newest place.

    Reads one row when nothing came. Raises as `recent`.
    """
    newest = newest_seq(store)
    if newest <= after_seq:
        return [], after_seq
    # Other rows of the journal take places too, so there are at most this many new decisions.
    rows = store.decisions(limit=newest - after_seq, before_seq=newest + 1)
    found: list[DecisionRecord] = []
    for row in rows:
        if row.seq <= after_seq:
            break
        record = record_from_json(row.record_json)
        if wanted.met(row, record):
            found.append(record)
    return found[::-1], newest
