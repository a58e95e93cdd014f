"""
What was asked for of coverage and mutation, and what of it was missed.
Imported before anything is measured, so it stays light; must not know how anything is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from lumyn.analysis.scale import Criterion, Scope
from lumyn.errors import InvalidConfigError
from pytest_lumyn.asked import absolute
from pytest_lumyn.measures import Measured

__all__ = ["Thresholds", "read_thresholds"]

PERCENT = 100


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """
    What was asked for.

    Attributes:
        coverage: Whether coverage is computed and shown.
        scope: Which mutants are made.
        least: Criterion -> least share of its goals, in percent.
        least_killed: Least share of killed mutants, in percent, or None.
        most_new_trust: Most survivors that open a path to `TRUST`, or None.
        accepted: Policy id -> mutant id -> why it may survive.
    """

    coverage: bool = False
    scope: Scope = Scope.CORE
    least: Mapping[Criterion, int] = field(default_factory=dict)
    least_killed: int | None = None
    most_new_trust: int | None = None
    accepted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def gated(self) -> bool:
        """Whether anything can fail the run."""
        return bool(self.least) or self.least_killed is not None or self.most_new_trust is not None

    def missed(self, found: Measured) -> Iterator[str]:
        """Yield what fails a run in which this was measured."""
        for criterion, least in self.least.items():
            words, done, goals = found.goals.get(criterion.value, (criterion.value, 0, 1))
            if done * PERCENT < least * goals:
                yield f"{words} {done} of {goals} goals, wanted {least} %"
        if self.least_killed is not None and found.killed * PERCENT < self.least_killed * found.killable:
            yield f"{found.killed} of {found.killable} mutants killed, wanted {self.least_killed} %"
        most = self.most_new_trust
        if most is not None and found.new_trust > most:
            yield f"{found.new_trust} edits open a new path to TRUST unnoticed, at most {most} may"
        if found.stale and self.gated:
            yield f"the baseline accepts {found.stale[0]}"


def read_thresholds(config: pytest.Config) -> Thresholds:
    """Return what the options ask for; raises UsageError for values that cannot be used."""
    asked = config.getoption("lumyn_coverage_fail_under")
    least = config.getini("lumyn_coverage_fail_under") if asked is None else asked
    killed, new_trust = config.getoption("lumyn_mutate_fail_under"), config.getoption("lumyn_mutate_max_new_trust")
    coverage = bool(config.getoption("lumyn_coverage") or config.getini("lumyn_coverage") or asked or least)
    scope = config.getoption("lumyn_mutate") or Scope.CORE.value
    return Thresholds(
        coverage=coverage,
        scope=Scope(scope),
        least=_read_least(least, given=asked is not None),
        least_killed=killed,
        most_new_trust=new_trust,
        accepted=_read_accepted(config),
    )


def _read_least(text: str, *, given: bool) -> Mapping[Criterion, int]:
    least: dict[Criterion, int] = {}
    parts = [part.strip() for part in text.split(",")] if given or text.strip() else []
    for part in parts:
        name, colon, number = (piece.strip() for piece in part.partition(":"))
        if name not in set(Criterion) or not colon or not number.isdecimal() or int(number) > PERCENT:
            raise pytest.UsageError(
                f"lumyn: coverage-fail-under: {part!r} is not a criterion with a percentage, as in fired:100; "
                f"criteria are {', '.join(Criterion)}"
            )
        if Criterion(name) in least:
            raise pytest.UsageError(f"lumyn: coverage-fail-under: {name} is given twice; leave one of them out")
        least[Criterion(name)] = int(number)
    return least


def _read_accepted(config: pytest.Config) -> Mapping[str, Mapping[str, str]]:
    name = config.getini("lumyn_mutants")
    if not name:
        return {}
    from lumyn.analysis.baseline import read_baseline

    try:
        return read_baseline(absolute(name, config.rootpath), name=name)
    except InvalidConfigError as error:
        raise pytest.UsageError(f"lumyn: ini lumyn_mutants: {error}") from None
