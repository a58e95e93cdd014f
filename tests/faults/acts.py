"""What is done to a store while it fails, and what may have come of it: all of it, and the caller knows, or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faults.support import assert_unavailable, make_store, open_gate, refund
from faults.walker import Found, read

from lumyn import DecisionRecord, Gate, NotFoundError, StoreUnavailableError
from lumyn.model import MemoryItem
from lumyn.store.base import Event

Result = DecisionRecord | MemoryItem | Event | StoreUnavailableError

KEY = ("acme", "the-one")


@dataclass(frozen=True)
class Act:
    """
    One call on a gate.

    Attributes:
        run: The call, given the gate and the id of a stored decision. Of what it raises only `StoreUnavailableError`
            is documented.
        cold: Whether the store is empty, and not opened before the call.
        decides: Whether it is a decision, which must not raise at all.
    """

    name: str
    run: Callable[[Gate, str], Result]
    cold: bool = False
    decides: bool = False


def _decide(gate: Gate, _: str) -> Result:
    return gate.decide(refund(KEY[1]))


def _retract(gate: Gate, decision: str) -> Result:
    """Take back the one label of a decision; once it is, the item that did so is the answer."""
    try:
        return gate.retract(decision, actor="ops", reason="a mistake")
    except NotFoundError as error:
        if error.reason_code != "ALREADY_RETRACTED":
            raise
        return gate.store.memory_items("acme", "support.refund")[-1]


ACTS = (
    Act("first decision", _decide, cold=True, decides=True),
    Act("decision", _decide, decides=True),
    Act("label", lambda gate, decision: gate.label(decision, "near_miss", note="INC-2")),
    Act("seed", lambda gate, _: gate.seed("failure", refund(), summary="INC-3")),
    Act("retraction", _retract),
    Act("event", lambda gate, decision: gate.append_event(decision, "override", {"why": "asked"}, actor="ops")),
)


class Stage:
    """Copies of one store, each the scene of one failure."""

    def __init__(self, act: Act, folder: Path) -> None:
        self.act = act
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.template = folder / "template.db"
        labelled = 2 if act.name == "retraction" else 1
        make_store(self.template, decisions=0 if act.cold else 3, failures=0 if act.cold else labelled)
        self.before = read(self.template)
        self.subject = self.before.keys.get(("acme", "seed-1"), "")
        self._copies = 0

    def copy(self) -> Path:
        """Return a fresh copy of the store; the one before is gone."""
        self._remove(self._copies)
        self._copies += 1
        path = self.folder / f"{self._copies}.db"
        shutil.copyfile(self.template, path)
        return path

    def _remove(self, number: int) -> None:
        for suffix in ("", "-wal", "-shm"):
            (self.folder / f"{number}.db{suffix}").unlink(missing_ok=True)

    def gate(self, path: Path) -> Gate:
        """Return a gate on a copy, warm unless the act is to find it cold."""
        gate = open_gate(path, busy_timeout_s=0.2)
        if not self.act.cold:
            assert gate.decide(refund("seed-0")).persisted
        return gate

    def perform(self, gate: Gate) -> Result:
        """Return what the act returned; a storage failure of what is not a decision is an answer like another."""
        if self.act.decides:
            return self.act.run(gate, self.subject)
        try:
            return self.act.run(gate, self.subject)
        except StoreUnavailableError as error:
            return error

    def came_of(self, result: Result, path: Path) -> bool:
        """Return whether the act is stored; fail unless that is what its caller was told, and the store is sound."""
        found = read(path)
        assert ([], []) == (found.broken, found.torn)
        if isinstance(result, DecisionRecord):
            return self._decided(result, found)
        if isinstance(result, StoreUnavailableError):
            assert (self.before.memory, self.before.events) == (found.memory, found.events)
            return False
        added = {*found.memory, *found.events} - {*self.before.memory, *self.before.events}
        assert (result.memory_id if isinstance(result, MemoryItem) else result.event_id) in added
        assert (2 if self.act.name in {"label", "retraction"} else 1) == len(added)
        return True

    def _decided(self, record: DecisionRecord, found: Found) -> bool:
        if record.persisted:
            assert record.to_json() == found.records[record.decision_id]
            assert record.decision_id == found.keys[KEY]
            return True
        assert_unavailable(record)
        assert record.decision_id not in found.records
        assert KEY not in found.keys
        return False

    def mends(self, gate: Gate, path: Path, result: Result | None) -> None:
        """The same gate works again when the fault is over; a decision is made at most once."""
        again = self.perform(gate)
        assert not isinstance(again, StoreUnavailableError)
        assert self.came_of(again, path) if isinstance(again, DecisionRecord) else read(path).sound
        if isinstance(result, DecisionRecord) and isinstance(again, DecisionRecord) and result.persisted:
            assert result.to_json() == again.to_json()
