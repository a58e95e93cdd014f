"""
Decides stored decisions again while the journal is walked, each with the memory that stood before it.
Hands the rows read so far to the replay; must not know how rows are linked or compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lumyn.core.records import NO_SNAPSHOT, record_from_json
from lumyn.core.replay import ReplayStatus, replay_record
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import InvalidPolicyError, StoreIntegrityError
from lumyn.policy.loader import parse_policy
from lumyn.store.journal import TABLES, Finding, JournalRow
from lumyn.store.rows import decision_from_row, memory_from_row

if TYPE_CHECKING:
    from lumyn.policy.spec import Policy

__all__ = ["Replayer"]

INPUTS_DIGEST: Final = "determinism.inputs_digest"

_SHOWN_PATHS: Final = 3
_NO_MEMORY: Final = MemorySnapshot()


class Replayer:
    """
    Decides decisions again.

    Attributes:
        replayed: How many were.
        impossible: How many could not be: their memory was not available, or their policy is not valid any more.

    Args:
        report: Called with each finding.
    """

    def __init__(self, report: Callable[[Finding], None]) -> None:
        self.replayed = 0
        self.impossible = 0
        self._report = report
        self._policies: dict[str, Policy | None] = {}
        self._memory: dict[tuple[str | None, str], MemorySnapshot] = {}

    def learn_policy(self, policy_hash: str, source: str) -> None:
        """Take over a policy text that has the hash it is kept under."""
        try:
            self._policies[policy_hash] = parse_policy(source)
        except InvalidPolicyError:
            self._policies[policy_hash] = None

    def learn_item(self, row: JournalRow) -> None:
        """Take over an intact memory row."""
        item = memory_from_row(row.seq, _text(row.body), row.leaf)
        self._memory.setdefault((item.tenant_id, item.action_type), MemorySnapshot()).add(item)

    def check(self, row: JournalRow) -> None:
        """Decide an intact decision row again, and report how it differs."""
        texts = [_text(value) for value in row.projections]
        try:
            stored = decision_from_row((row.seq, *texts, _text(row.body)))
            policy = self._policies.get(stored.policy_hash)
            record = record_from_json(stored.record_json)
        except StoreIntegrityError as error:
            self._differs("REPLAY_MISMATCH", row, f"the decision cannot be decided again: {error.message}")
            return
        if policy is None or record.memory_snapshot == NO_SNAPSHOT:
            self.impossible += 1
            return
        memory = self._memory.get((stored.tenant_id, stored.action_type), _NO_MEMORY)
        replay = replay_record(record, deciding=policy, memory=memory)
        if replay.status is not ReplayStatus.FULL:
            # Nothing that the deciding policy reads is ever removed, and the journal holds the memory.
            self._differs("REPLAY_MISMATCH", row, f"the decision cannot be decided again: {replay.reason}")
            return
        self.replayed += 1
        paths = [difference.path for difference in replay.differences]
        if paths == [INPUTS_DIGEST]:
            self._differs("DIGEST_MISMATCH", row, f"`{INPUTS_DIGEST}` is not that of the stored request")
        elif paths:
            shown = ", ".join(f"`{path}`" for path in paths[:_SHOWN_PATHS])
            more = f" and {len(paths) - _SHOWN_PATHS} more" if len(paths) > _SHOWN_PATHS else ""
            self._differs("REPLAY_MISMATCH", row, f"decided again, the record differs in {shown}{more}")

    def _differs(self, code: str, row: JournalRow, message: str) -> None:
        table = TABLES[row.kind].name
        self._report(Finding(code=code, message=message, table=table, seq=row.seq, row_id=_text(row.projections[0])))


def _text(value: object) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None
