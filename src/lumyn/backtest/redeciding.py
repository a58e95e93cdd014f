"""
One stored decision under another policy, and a whole history of them.
Pure but for what the history reads; must not know stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from lumyn.backtest.effects import Tally
from lumyn.backtest.history import Past
from lumyn.core.judge import judge
from lumyn.core.replay import replay_record, reread
from lumyn.core.requests import parsed_from_stored
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import StoreIntegrityError
from lumyn.model import Evaluation
from lumyn.policy.spec import Policy

__all__ = ["MemoryChoice", "backtest", "redecide"]


class MemoryChoice(StrEnum):
    """What experience a decision is compared with: what it saw, all there is today, or nothing."""

    AS_OF = "as-of"
    NOW = "now"
    NONE = "none"


def backtest(
    history: Iterable[Past],
    candidate: Policy,
    *,
    memory: MemoryChoice = MemoryChoice.AS_OF,
    progress: Callable[[int], object] | None = None,
) -> Tally:
    """
    Count what would have come of a history under another policy.

    Tallies of the parts of a history, such as its tenants, add up to that of the whole, wherever each was made.

    Args:
        progress: Told how many are done, after each.
    """
    tally = Tally()
    for done, past in enumerate(history, start=1):
        outcome = redecide(past, candidate, memory=memory)
        if isinstance(outcome, str):
            tally.unplayable(past.record.decision_id, outcome)
        else:
            tally.moved(past.record.decision_id, past.record.evaluation, outcome)
        if progress is not None:
            progress(done)
    return tally


def redecide(past: Past, candidate: Policy, *, memory: MemoryChoice = MemoryChoice.AS_OF) -> Evaluation | str:
    """
    Return what a policy says of a stored decision, or why that cannot be told.

    Never a guess: where the policy reads what redaction removed, or experience that is not at hand, there is no answer.
    """
    if memory is MemoryChoice.AS_OF:
        found = replay_record(past.record, deciding=past.deciding, policy=candidate, memory=past.then)
        return found.reason if found.record is None else found.record.evaluation
    seen = MemorySnapshot() if memory is MemoryChoice.NONE else past.now
    if seen is None:
        return "today's experience is not at hand"
    try:
        parsed = parsed_from_stored(past.record.to_dict(), digest=past.record.request_digest)
        plan = compile_policy(candidate).plan(parsed.request.action_type)
        known = reread(past.record, plan, deciding=past.deciding)
    except StoreIntegrityError as error:
        return error.message
    if known.unknown:
        named = ", ".join(f"`{pointer}`" for pointer in known.unknown)
        return f"what the policy reads was removed, and is not known any more: {named}"
    return judge(plan, known.request, seen).evaluation
