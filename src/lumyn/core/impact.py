"""
What one experience does: what memory holds with it, and which recent decisions would come out otherwise.
Decides nothing for anyone and stores nothing; bounded in number and time, because memory may be large.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Final

from lumyn.core.judge import judge
from lumyn.core.records import DecisionRecord, record_from_json
from lumyn.core.replay import reread
from lumyn.engine.evaluator import ActionPlan, compile_policy
from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import DecisionRequest, Label, MemoryItem, Verdict

if TYPE_CHECKING:
    from lumyn.core.decide import Gate

__all__ = ["Change", "Impact", "impact_of"]

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    A recent decision that would come out otherwise, if its request were decided again.

    Attributes:
        record: As it is stored.
        before: What it would be without the experience, under the policy in force.
        after: What it would be with it.
    """

    record: DecisionRecord
    before: Verdict
    after: Verdict
    reason_codes_before: tuple[str, ...]
    reason_codes_after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """
    What one experience does.

    Attributes:
        held: How many experiences of the same tenant and action count, by label; None when time ran out before.
        compared: How many recent decisions were decided again, before and after.
        skipped: How many could not be, because what the policy reads of them was removed.
        complete: Whether time sufficed for as many as were asked for.
        changes: Newest first; may be empty.
    """

    held: Mapping[Label, int] | None
    compared: int
    skipped: int
    complete: bool
    changes: tuple[Change, ...]


def impact_of(gate: Gate, item: MemoryItem, *, limit: int = 100, budget_s: float = 3.0) -> Impact:
    """
    Return what an item that was just appended does, to later decisions and to recent ones if they came again.

    Args:
        item: As it is stored; one that takes another back as well.
        limit: How many recent decisions of the same tenant and action are looked at.
        budget_s: About how long it may take; what is not reached by then is left out.

    Raises:
        StoreUnavailableError: The store cannot be read.
    """
    until = monotonic() + budget_s
    memory = MemorySnapshot()
    for page in _pages(gate, item):
        if monotonic() >= until:
            return Impact(held=None, compared=0, skipped=0, complete=False, changes=())
        for each in page:
            memory.add(each)
    plan = compile_policy(gate.policy).plan(item.action_type)
    asked: list[tuple[DecisionRecord, DecisionRequest, Verdict, tuple[str, ...]]] = []
    skipped, complete = 0, True
    for record in islice(_recent(gate, item, until), limit):
        request = _request(record, plan)
        if request is None:
            skipped += 1
            continue
        evaluation = judge(plan, request, memory).evaluation
        asked.append((record, request, evaluation.verdict, evaluation.reason_codes))
    memory.add(item)
    changes: list[Change] = []
    compared = 0
    for record, request, verdict, codes in asked:
        if monotonic() >= until:
            complete = False
            break
        after = judge(plan, request, memory).evaluation
        compared += 1
        if (after.verdict, after.reason_codes) != (verdict, codes):
            changes.append(
                Change(
                    record=record,
                    before=verdict,
                    after=after.verdict,
                    reason_codes_before=codes,
                    reason_codes_after=after.reason_codes,
                )
            )
    complete = complete and monotonic() < until
    return Impact(held=memory.counts(), compared=compared, skipped=skipped, complete=complete, changes=tuple(changes))


def _pages(gate: Gate, item: MemoryItem) -> Iterator[Iterable[MemoryItem]]:
    """Yield the memory that stood before an item, in pieces."""
    after_seq = 0
    while True:
        page = gate.store.memory_items(item.tenant_id, item.action_type, after_seq=after_seq, limit=_PAGE)
        yield [each for each in page if each.seq < item.seq]
        if len(page) < _PAGE or page[-1].seq >= item.seq:
            return
        after_seq = page[-1].seq


def _recent(gate: Gate, item: MemoryItem, until: float) -> Iterator[DecisionRecord]:
    """Yield the decisions of the item's tenant and action, newest first, for as long as there is time."""
    rows = gate.store.decisions(limit=2**62, action_type=item.action_type, tenant_id=item.tenant_id)
    for row in rows:
        if monotonic() >= until:
            return
        # Without a tenant the store does not filter by one, and what belongs to a tenant is not compared with it.
        if row.tenant_id == item.tenant_id:
            yield record_from_json(row.record_json)


def _request(record: DecisionRecord, plan: ActionPlan) -> DecisionRequest | None:
    """Return the request of a record as far as the policy reads it; None when part of that is not known any more."""
    known = reread(record, plan)
    return None if known.unknown else known.request
