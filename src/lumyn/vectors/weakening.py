"""
What a suite no longer checks that it checked before: vectors that are gone, and expectations that ask for less.
Compares what is written, not what comes out; must not know where the earlier suite is from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from lumyn.model import JsonValue, Verdict
from lumyn.vectors.format import DecideStep, Expectation, ReplayStep, Vector
from lumyn.vectors.transition import allowed_verdicts

__all__ = ["DELETED", "WEAKENED", "Loss", "losses"]

DELETED: Final = "deleted"
WEAKENED: Final = "weakened"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Loss:
    """
    One vector that checks less than it did.

    Attributes:
        node_id: Of the vector as it was.
        kind: `deleted` or `weakened`.
        what: What it no longer says; empty for one that is gone.
    """

    node_id: str
    kind: str
    what: str = ""


def losses(before: Iterable[Vector], now: Iterable[Vector]) -> list[Loss]:
    """
    Return what is lost between two states of a suite, sorted by node id.

    A vector that moved to another file, with its name and its requests, is not lost. One that did not count before,
    being skipped or proposed, cannot be.
    """
    current = {vector.node_id: vector for vector in now}
    earlier = list(before)
    known = {vector.node_id for vector in earlier}
    moved = {_signature(vector): vector for node_id, vector in current.items() if node_id not in known}
    found: list[Loss] = []
    for vector in earlier:
        if vector.skip is not None:
            continue
        successor = current.get(vector.node_id) or moved.get(_signature(vector))
        if successor is None:
            found.append(Loss(node_id=vector.node_id, kind=DELETED))
            continue
        what = "; ".join(dict.fromkeys(_weaker(vector, successor)))
        if what:
            found.append(Loss(node_id=vector.node_id, kind=WEAKENED, what=what))
    return sorted(found)


def _signature(vector: Vector) -> str:
    return repr((vector.vector_id, [step.request for step in vector.decisions]))


def _weaker(before: Vector, now: Vector) -> Iterator[str]:
    if now.skip is not None:
        yield "is proposed only" if now.proposed else "is skipped"
    if now.xfail is not None and before.xfail is None:
        yield "is expected to fail"
    replays = [sum(isinstance(step, ReplayStep) for step in vector.steps) for vector in (before, now)]
    if replays[1] < replays[0]:
        yield "replays less"
    for was, step in zip_longest(before.decisions, now.decisions):
        if step is None:
            yield "decides less"
        elif was is not None:
            yield from _expects_less(was, step)


def _expects_less(was: DecideStep, step: DecideStep) -> Iterator[str]:
    before, now = was.expect, step.expect
    place = f" in step `{was.step_id}`" if was.step_id else ""
    if before.error is not None and now.error is None:
        yield f"accepts a decision where {before.error} was due{place}"
        return
    if now.exact is not None or now.error is not None:
        return
    old, new = allowed_verdicts(_verdict(before)), allowed_verdicts(_verdict(now))
    if old and new and (new > old or _strictness(new) < _strictness(old)):
        yield f"accepts {_names(new)} where it accepted {_names(old)}{place}"
    for key, value in before.document.items():
        written = now.document.get(key)
        if key.startswith("x-") or (key == "verdict" and new):
            continue
        if written is None and not (key == "reason_codes_includes" and "reason_codes" in now.document):
            yield f"no longer expects `{key}`{place}"
        elif isinstance(value, list) and isinstance(written, dict):
            yield f"no longer expects `{key}` exactly{place}"


def _verdict(expect: Expectation) -> JsonValue:
    return expect.record.get("verdict", (expect.subset or {}).get("verdict"))


def _strictness(verdicts: frozenset[Verdict]) -> int:
    return min(verdict.strictness for verdict in verdicts)


def _names(verdicts: frozenset[Verdict]) -> str:
    return " or ".join(verdict.value for verdict in Verdict if verdict in verdicts)
