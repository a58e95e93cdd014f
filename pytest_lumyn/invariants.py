"""
The invariants of the policies that vectors name, as pytest items: each is proved for every request, or fails.
Must not know how anything is proved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lumyn.analysis.prove import Proof, Status, prove
from lumyn.analysis.shown import confirmed_proof
from lumyn.policy.invariants import Invariant
from lumyn.policy.spec import Policy
from lumyn.report.broken import broken_lines
from lumyn.report.text import printable

__all__ = ["InvariantError", "InvariantItem", "items_of"]

_LONGEST = 80


class InvariantError(Exception):
    """An invariant is broken, or could not be proved."""

    def __init__(self, proof: Proof) -> None:
        super().__init__(proof.invariant.name)
        self.proof = proof


class PolicyFile(pytest.File):
    """The file of a policy that has invariants; its items are added where vectors name it."""

    def collect(self) -> list[pytest.Item]:
        """Return nothing: the file is not searched for by its name."""
        return []


class InvariantItem(pytest.Item):
    """One invariant of one policy."""

    def __init__(
        self,
        *,
        name: str,
        parent: pytest.Collector,
        policy: Policy,
        invariant: Invariant,
        file: str,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(name=name, parent=parent, **kwargs)
        self.policy = policy
        self.invariant = invariant
        self.file = file

    def runtest(self) -> None:
        """Prove it; raises InvariantError unless it holds for every request."""
        proof = prove(self.policy, self.invariant)
        if proof.status is not Status.PROVED:
            raise InvariantError(confirmed_proof(self.policy, proof))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, the 0-based line of the invariant, and a name."""
        return self.path, self.invariant.span.line - 1, f"invariant {self.invariant.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None) -> Any:  # noqa: ANN401
        """Return the request that breaks it, as a vector."""
        error = excinfo.value
        if not isinstance(error, InvariantError):
            return super().repr_failure(excinfo)
        proof = error.proof
        file = self.nodeid.partition("::")[0]
        head = f"{proof.status.value}: {proof.invariant.name} ({file}:{proof.invariant.span.line})"
        said = broken_lines(proof, policy_file=self.file)
        return "\n".join(printable(line) for line in (head, *said))


def items_of(session: pytest.Session, path: Path, policy: Policy, *, file: str) -> Iterator[InvariantItem]:
    """
    Yield an item for each invariant of a policy, in file order; names are unique.

    Args:
        file: The policy, as vectors name it.
    """
    parent = PolicyFile.from_parent(session, path=path)
    known: dict[str, int] = {}
    for invariant in policy.promises:
        name = re.sub(r"[^A-Za-z0-9]+", "_", invariant.name).strip("_")[:_LONGEST] or "invariant"
        known[name] = known.get(name, 0) + 1
        name = name if known[name] == 1 else f"{name}_{known[name]}"
        item: InvariantItem = InvariantItem.from_parent(
            parent, name=name, policy=policy, invariant=invariant, file=file
        )
        yield item
