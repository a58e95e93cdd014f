"""
Compares what each journal row says with everything that repeats it: columns, keys, memory snapshots, policy texts.
Keeps little more than one row at a time; must not know how rows are linked or read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final, NotRequired, TypeAlias, TypedDict

from lumyn.core.verify_replay import Replayer
from lumyn.digest import digest
from lumyn.documents import load_yaml
from lumyn.errors import InvalidDocumentError, StoreIntegrityError
from lumyn.model import JsonValue
from lumyn.store.journal import KEYS_TABLE, TABLES, Finding, Journal, JournalRow, KeyRow, row_id_of
from lumyn.store.rows import event_from_row

__all__ = ["Bodies", "Report"]

Report: TypeAlias = Callable[[Finding], None]

_decode: Final = json.JSONDecoder().raw_decode
_NO_KEY: Final = KeyRow(None, None, None, None)
# What reading a body can raise that is not what `decide`, `label` or `append_event` write.
_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError, StoreIntegrityError)


# The members of bodies that are repeated elsewhere. Read without checking, in a loop over every row: a body that is not
# of this shape raises one of `_UNREADABLE`.
class _Identified(TypedDict):
    tenant_id: NotRequired[str]


class _Action(TypedDict):
    type: str


class _Redaction(TypedDict):
    fields_removed: NotRequired[list[str]]


class _Context(TypedDict):
    inline: NotRequired[JsonValue]
    digest: NotRequired[str]
    redaction: NotRequired[_Redaction]


class _Request(TypedDict):
    action: _Action
    context: _Context
    subject: _Identified
    tenant: NotRequired[_Identified]
    request_id: NotRequired[str]


class _Policy(TypedDict):
    policy_hash: str


class _Determinism(TypedDict):
    memory_snapshot: str


class _Own(TypedDict):
    request_digest: str


class _Extensions(TypedDict):
    lumyn: _Own


class _Record(TypedDict):
    decision_id: str
    created_at: str
    determinism: _Determinism
    extensions: _Extensions
    policy: _Policy
    request: _Request
    verdict: str


class Bodies:
    """
    Checks rows one by one, in `seq` order.

    Attributes:
        replayed: How many decisions were decided again; None when that was not asked for.
        not_replayable: How many could not be.

    Args:
        report: Called with each finding.
        full: Whether to decide every decision again.
    """

    def __init__(self, journal: Journal, report: Report, *, full: bool) -> None:
        self._report = report
        self._keys = _Keys(journal, report)
        self._partitions: dict[tuple[str | None, str], _Partition] = {}
        self._policies: set[str] = set()
        self._replayer = Replayer(report) if full else None

    @property
    def replayed(self) -> int | None:
        """How many decisions were decided again; None when that was not asked for."""
        return None if self._replayer is None else self._replayer.replayed

    @property
    def not_replayable(self) -> int:
        """How many decisions could not be decided again."""
        return 0 if self._replayer is None else self._replayer.impossible

    def check(self, row: JournalRow, leaf: bytes, *, intact: bool) -> None:
        """
        Compare a row with what repeats it.

        Args:
            leaf: The row's leaf hash, recomputed.
            intact: Whether the stored leaf hash is that of the body. If not, that is reported already, and what the
                body says now is no measure for anything.
        """
        kind, body = row.kind, row.body
        if not intact or not isinstance(body, bytes):
            self._pass_over(row)
            return
        try:
            data, end = _decode(text := body.decode())
            if end != len(text):
                raise ValueError("text after the body")
            if kind == "decision":
                self._check_decision(row, data)
            elif kind == "memory":
                self._check_memory(row, leaf, data)
            elif kind == "policy":
                self._check_policy(row, data)
            else:
                event_from_row(row.seq, text)
                self._compare(row, (data["event_id"], data["decision_id"]))
        except _UNREADABLE:
            self._report(_mismatch(row, "the body cannot be read back"))
            return
        if kind == "decision" and self._replayer is not None:
            self._replayer.check(row)

    def finish(self) -> None:
        """Report what is left over after the last row."""
        self._keys.take(None)

    def _pass_over(self, row: JournalRow) -> None:
        """Keep one broken row from casting doubt on those that depend on it."""
        said = [value.decode("utf-8", "replace") if isinstance(value, bytes) else "" for value in row.projections]
        if row.kind == "decision":
            self._keys.take(row.seq)
        elif row.kind == "memory":
            self._partition(said[1] or None, said[2]).doubted = True
        elif row.kind == "policy":
            self._policies.add(said[0])

    def _check_decision(self, row: JournalRow, record: _Record) -> None:
        request = record["request"]
        action_type = request["action"]["type"]
        tenant_id = request["tenant"].get("tenant_id") if "tenant" in request else None
        tenant_id = tenant_id or request["subject"].get("tenant_id")
        policy_hash = record["policy"]["policy_hash"]
        said = (record["decision_id"], record["created_at"], tenant_id, action_type, record["verdict"], policy_hash)
        self._compare(row, said)
        self._check_key(row, tenant_id, request.get("request_id"), record["extensions"]["lumyn"]["request_digest"])
        if policy_hash not in self._policies:
            self._policies.add(policy_hash)  # said once, not for every decision it made
            message = "the policy that decided is not in the store before this row"
            self._report(_finding("POLICY_SNAPSHOT_MISMATCH", row, message))
        partition = self._partitions.get((tenant_id, action_type), _NO_MEMORY)
        if partition.digest != record["determinism"]["memory_snapshot"] and not partition.doubted:
            # Every later decision that saw this memory would differ in the same way.
            self._partition(tenant_id, action_type).doubted = True
            message = "the memory before this row is not the memory that the decision saw"
            self._report(_finding("DIGEST_MISMATCH", row, message))
        context = request["context"]
        if "inline" in context and not _is_partial(context) and digest(context["inline"]) != context.get("digest"):
            self._report(_finding("DIGEST_MISMATCH", row, "`context.digest` is not that of the inline content"))

    def _check_memory(self, row: JournalRow, leaf: bytes, data: dict[str, str]) -> None:
        self._compare(row, (data["memory_id"], data["tenant_id"] or "", data["action_type"]))
        self._partition(data["tenant_id"], data["action_type"]).add(leaf)
        if self._replayer is not None:
            self._replayer.learn_item(row)

    def _check_policy(self, row: JournalRow, data: dict[str, str]) -> None:
        policy_hash = data["policy_hash"]
        self._policies.add(policy_hash)
        self._compare(row, (policy_hash,))
        try:
            found = digest(load_yaml(data["source"].encode(), file="<policy>").value)
        except InvalidDocumentError:
            found = ""
        if found != policy_hash:
            message = "the policy text does not have the hash it is kept under"
            self._report(_finding("POLICY_SNAPSHOT_MISMATCH", row, message))
        elif self._replayer is not None:
            self._replayer.learn_policy(policy_hash, data["source"])

    def _compare(self, row: JournalRow, said: tuple[str | None, ...]) -> None:
        """Report the columns that do not repeat what the body says."""
        expected = tuple([None if value is None else value.encode() for value in said])
        if expected == row.projections:
            return
        names = zip(TABLES[row.kind].projections, expected, row.projections, strict=True)
        columns = ", ".join(f"`{name}`" for name, value, kept in names if value != kept)
        self._report(_mismatch(row, f"columns that do not repeat what the body says: {columns}"))

    def _check_key(self, row: JournalRow, tenant_id: str | None, request_id: str | None, request_digest: str) -> None:
        key = self._keys.take(row.seq)
        if request_id is None:
            if key is not None:
                self._report(_key_mismatch(row.seq, "an idempotency key stands for a decision that has none", row))
        elif key is None:
            self._report(_key_mismatch(row.seq, "the idempotency key of the decision is missing", row))
        elif key[1:] != ((tenant_id or "").encode(), request_id.encode(), request_digest.encode()):
            self._report(_key_mismatch(row.seq, "the idempotency key does not repeat what the decision says", row))

    def _partition(self, tenant_id: str | None, action_type: str) -> _Partition:
        return self._partitions.setdefault((tenant_id, action_type), _Partition())


class _Partition:
    """The memory of one tenant and action so far: as many items, and their running hash (SPEC of `memory_snapshot`)."""

    __slots__ = ("_hash", "_n", "digest", "doubted")

    def __init__(self) -> None:
        self._n = 0
        self._hash = sha256(b"lumyn.mem0").digest()
        self.digest = f"mem0:0:{self._hash.hex()}"
        self.doubted = False

    def add(self, leaf: bytes) -> None:
        """Add the next item by its leaf hash."""
        self._n += 1
        self._hash = sha256(self._hash + leaf).digest()
        self.digest = f"mem0:{self._n}:{self._hash.hex()}"


_NO_MEMORY: Final = _Partition()


class _Keys:
    """The idempotency keys in the order of the decisions they stand for, each handed out once."""

    def __init__(self, journal: Journal, report: Report) -> None:
        self._journal = journal
        self._report = report
        self._rows: Iterator[KeyRow] | None = None
        self._next: KeyRow | None = _NO_KEY

    def take(self, seq: int | None) -> KeyRow | None:
        """Return the key of the decision at `seq`, or None; report those of no decision. After the last: `seq` None."""
        if self._rows is None:
            self._rows = self._journal.keys()
            self._next = next(self._rows, None)
        taken: KeyRow | None = None
        while (key := self._next) is not None:
            owner = key.decision_seq
            if isinstance(owner, int) and seq is not None:
                if owner > seq:
                    break
                if owner == seq and taken is None:
                    taken = key
                    self._next = next(self._rows, None)
                    continue
            place = owner if isinstance(owner, int) else None
            self._report(_key_mismatch(place, "an idempotency key stands for no decision, or for one that has another"))
            self._next = next(self._rows, None)
        return taken


def _is_partial(context: _Context) -> bool:
    """Return whether something was removed from the inline content, so that its digest is that of more."""
    removed = context["redaction"].get("fields_removed", []) if "redaction" in context else []
    return any(pointer.startswith("/context/inline/") for pointer in removed)


def _finding(code: str, row: JournalRow, message: str) -> Finding:
    return Finding(code=code, message=message, table=TABLES[row.kind].name, seq=row.seq, row_id=row_id_of(row))


def _mismatch(row: JournalRow, message: str) -> Finding:
    return _finding("PROJECTION_MISMATCH", row, message)


def _key_mismatch(seq: int | None, message: str, row: JournalRow | None = None) -> Finding:
    row_id = None if row is None else row_id_of(row)
    return Finding(code="PROJECTION_MISMATCH", message=message, table=KEYS_TABLE, seq=seq, row_id=row_id)
