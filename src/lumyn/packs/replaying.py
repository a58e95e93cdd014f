"""
Decides the request in a pack again and compares: a verdict that was forged does not come out.
Pure but for the vector, which runs in a store of its own; must not know how packs are read or results are shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumyn.core.replay import Difference, Replay, ReplayStatus, replay_record
from lumyn.errors import InvalidPackError, Problem, StoreIntegrityError
from lumyn.packs.container import invalid_pack
from lumyn.packs.pack import VECTOR, Pack
from lumyn.vectors.runner import Outcome, VectorResult, run

__all__ = ["PackReplay", "replay_pack"]

_REPLAYED = (ReplayStatus.FULL, ReplayStatus.FACTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReplay:
    """
    What came of deciding the request in a pack again.

    Attributes:
        replay: Of the record: its status, and where it differs. `facts` when the memory is not in the pack, so that
            the resemblance to failures was taken from the record.
        vector: Of the vector, or None when the pack says that it does not reproduce the decision.
    """

    pack: Pack
    replay: Replay
    vector: VectorResult | None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where the record, and then its vector, come out differently; empty when all matches."""
        drifts = () if self.vector is None else self.vector.drifts
        told = (
            Difference(path=f"{VECTOR}: {each.path}", stored=each.expected, replayed=each.actual) for each in drifts
        )
        return (*self.replay.differences, *told)

    @property
    def matches(self) -> bool:
        """Whether the decision comes out as the pack says."""
        ran = self.vector is None or self.vector.outcome is Outcome.PASSED
        return self.replay.status in _REPLAYED and ran and not self.differences

    def check(self) -> None:
        """
        Return when the decision comes out as the pack says.

        Raises:
            InvalidPackError: `PACK_REPLAY_MISMATCH`, a problem for each difference, which it names and does not quote.
        """
        if self.matches:
            return
        reasons = [f"decided again, `{each.path}` differs" for each in self.differences]
        reasons = reasons or [self.replay.reason or f"`{VECTOR}` cannot be run"]
        raise InvalidPackError([Problem(code="PACK_REPLAY_MISMATCH", message=reason) for reason in reasons])


def replay_pack(pack: Pack) -> PackReplay:
    """
    Return what comes of deciding the request in a pack again, with the policy and the memory in it.

    Raises:
        InvalidPackError: `PACK_MEMBER_INVALID`: the record cannot be decided again by any Lumyn.
    """
    try:
        replay = replay_record(pack.record, deciding=pack.policy, memory=pack.memory)
    except StoreIntegrityError as error:
        invalid_pack("PACK_MEMBER_INVALID", f"the record cannot be decided again: {error.message}")
    return PackReplay(pack=pack, replay=replay, vector=None if pack.vector.skip else run(pack.vector))
