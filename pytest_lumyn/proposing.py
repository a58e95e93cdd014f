"""
Has the changes proposed that drifted vectors of a run would need, and brings them to the process that leads the run.
Must not decide which of them are wanted, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lumyn.vectors.changes import Proposal
from lumyn.vectors.format import Vector
from lumyn.vectors.runner import Outcome, VectorResult
from lumyn.vectors.update import propose, propose_xfail
from pytest_lumyn.calling import HookFailedError
from pytest_lumyn.item import VectorItem
from pytest_lumyn.xdist import is_controller, is_worker

__all__ = ["Proposals", "Proposed", "transition_text"]

KEY = "lumyn_proposals"


@dataclass(frozen=True)
class Proposed:
    """
    What could be done about one drifted vector.

    Attributes:
        accept: What makes it pass, or why nothing does.
        xfail: What marks it as an expected failure; its reason is a placeholder.
    """

    nodeid: str
    accept: Proposal
    xfail: Proposal


class Proposals:
    """
    Keeps what drifted in this process until the run is over.

    Args:
        base: The suite root.
        accept_looser: Propose also what permits more than before.
    """

    def __init__(self, config: pytest.Config, base: Path, *, accept_looser: bool) -> None:
        self._config = config
        self._base = base
        self._accept_looser = accept_looser
        self._items: dict[str, VectorItem] = {}
        self._received: list[dict[str, Any]] = []

    def add(self, item: VectorItem) -> None:
        """Keep an item that drifted; of several runs of it the last counts."""
        self._items[item.nodeid] = item

    def drop(self, item: VectorItem) -> None:
        """Forget an item that came out otherwise this time."""
        self._items.pop(item.nodeid, None)

    def finish(self) -> list[Proposed] | None:
        """Return everything proposed, sorted by node id; None on a worker, which hands over what it has."""
        config = self._config
        own = [] if is_controller(config) else self._propose()
        if is_worker(config):
            output: dict[str, object] = vars(config)["workeroutput"]
            output[KEY] = own
            return None
        every = {data["nodeid"]: data for data in (*self._received, *own)}
        return [_read(every[node_id]) for node_id in sorted(every)]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        self._received += (getattr(node, "workeroutput", None) or {}).get(KEY, [])

    def _propose(self) -> list[dict[str, Any]]:
        files: dict[Path, list[VectorItem]] = {}
        for node_id in sorted(self._items):
            item = self._items[node_id]
            files.setdefault(item.path, []).append(item)
        return [data for path in sorted(files) for data in self._of_file(files[path])]

    def _of_file(self, items: Sequence[VectorItem]) -> list[dict[str, Any]]:
        by_id = {item.vector.vector_id: item for item in items}

        raised: dict[str, str] = {}

        def rerun(vector: Vector) -> VectorResult:
            try:
                return by_id[vector.vector_id].run_again(vector)
            except HookFailedError as error:
                raised[vector.vector_id] = error.located(self._base)
                return VectorResult(vector=vector, outcome=Outcome.INVALID)

        results = [item.result for item in items if item.result is not None]
        found = propose(results, root=self._base, accept_looser=self._accept_looser, rerun=rerun)
        found = [replace(each, refused=raised.get(each.vector_id) or each.refused) for each in found]
        return [
            {
                "nodeid": item.nodeid,
                "accept": accept.to_dict(),
                "xfail": propose_xfail(item.vector, "").to_dict(),
            }
            for item, accept in zip(items, found, strict=True)
        ]


def transition_text(before: str, after: str) -> str:
    """Return what an accepted change does to a verdict, in words."""
    return f"{before} -> {after}" if before != after else f"{after}, for other reasons"


def _read(data: Mapping[str, Any]) -> Proposed:
    return Proposed(data["nodeid"], Proposal.from_dict(data["accept"]), Proposal.from_dict(data["xfail"]))
