"""
What two versions of a policy say differently beside verdicts and records: mode, memory, names, thresholds, promises.
Some of it matters more than any rule; must not know how requests are compared, nor how anything is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lumyn.analysis.mutant import conditions_of, operand_text
from lumyn.analysis.scale import Severity
from lumyn.digest import canonical_text, freeze
from lumyn.model import JsonObject, Mode
from lumyn.policy.spec import MemorySpec, Policy

__all__ = ["Beside", "besides"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """
    One thing that differs.

    Attributes:
        what: Such as `mode`, `policy_version`, or `threshold refund_trust_max_usd`.
        before: What the old policy says, in words; None: nothing.
        after: What the new one says.
        severity: What kind of change of decisions it is, None: none.
        unknown: Whether it may change decisions in ways that are not looked into.
        why: What it comes to, where that is not plain.
    """

    what: str
    before: str | None
    after: str | None
    severity: Severity | None = None
    unknown: bool = False
    why: str = ""

    @property
    def decides(self) -> bool:
        """Whether requests may come out otherwise because of it."""
        return self.unknown or self.severity is not None

    def to_dict(self) -> JsonObject:
        """Return it as plain JSON data."""
        kind = "unknown" if self.unknown else None if self.severity is None else self.severity.name.lower()
        return {"what": self.what, "before": self.before, "after": self.after, "kind": kind}


def besides(old: Policy, new: Policy) -> tuple[Beside, ...]:
    """Return what differs, what may change decisions first."""
    found = [*_mode(old, new), *_memory(old, new), *_names(old, new), *_lists(old, new)]
    return tuple(sorted(found, key=lambda each: not each.decides))


def _mode(old: Policy, new: Policy) -> Iterator[Beside]:
    if old.mode is not new.mode:
        loosened = new.mode is Mode.ADVISORY
        yield Beside(
            what="mode",
            before=old.mode.value,
            after=new.mode.value,
            severity=Severity.NEW_TRUST if loosened else Severity.TIGHTER,
            why="every request is permitted, whatever its verdict" if loosened else "verdicts bind from now on",
        )


def _memory(old: Policy, new: Policy) -> Iterator[Beside]:
    if _counts(old.memory) != _counts(new.memory) and any(
        condition.fact == "risk.failure_similarity" for policy in (old, new) for _, condition in conditions_of(policy)
    ):
        yield Beside(
            what="memory",
            before="as it was",
            after="other features, weights or bands",
            unknown=True,
            why="the same labelled failures may resemble requests more, or less",
        )


def _counts(memory: MemorySpec) -> tuple[object, ...]:
    """Return what bears on a score; how many matches a record lists does not."""
    features = None if memory.features is None else frozenset(memory.features)
    weights = {name: weight for name, weight in memory.weights.items() if weight != 1}
    return features, weights, dict(memory.bands)


def _names(old: Policy, new: Policy) -> Iterator[Beside]:
    for name in ("policy_id", "policy_version"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield Beside(what=name, before=before, after=after)


def _lists(old: Policy, new: Policy) -> Iterator[Beside]:
    thresholds = [{name: operand_text(value) for name, value in each.thresholds.items()} for each in (old, new)]
    yield from _moved("threshold", *thresholds)
    actions = [dict.fromkeys(each.action_types, "") for each in (old, new)]
    yield from _moved("action", *actions)
    promises = [
        {
            promise.name: canonical_text(freeze(said))
            for promise, said in zip(each.promises, each.invariants, strict=True)
        }
        for each in (old, new)
    ]
    yield from _moved("invariant", *promises)


def _moved(noun: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Beside]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield Beside(what=f"{noun} {name}", before=before.get(name), after=after.get(name))
