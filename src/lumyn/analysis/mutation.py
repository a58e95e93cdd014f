"""
How many small edits of a policy its vectors notice, which edits nobody could notice, and which would ship green.
Every claim is exact or says that it is unknown; must not know how it is shown or gated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from time import process_time
from typing import Final

from lumyn.analysis.boxes import BUDGET
from lumyn.analysis.difference import Difference
from lumyn.analysis.knowledge import Answer, Knowledge
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.mutants import Scope, mutants, reach_of
from lumyn.analysis.observations import Observation
from lumyn.analysis.opinions import Opinions
from lumyn.analysis.scale import Severity
from lumyn.analysis.witness import AnalysisDefectError
from lumyn.model import JsonObject
from lumyn.policy.spec import Policy

__all__ = ["MutationReport", "Survivor", "assess"]

PATIENCE_S: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Survivor:
    """
    An edit that no vector notices although some request tells it from the policy.

    Attributes:
        show: Returns what `difference` is.
        unnoticed: Name of a vector that comes out otherwise and does not say what it expects there, or None.
        reason: Why it is suppressed, or None.
    """

    mutant: Mutant
    severity: Severity
    show: Callable[[], Difference] = field(repr=False, compare=False)
    unnoticed: str | None = None
    reason: str | None = None

    @cached_property
    def difference(self) -> Difference:
        """The gravest request there is, decided by the engine and by a gate under both when it is first asked for."""
        return self.show()


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationReport:
    """
    What became of every mutant of one policy.

    Attributes:
        killed: Id of a mutant -> name of the vector that notices it.
        survivors: Gravest first, then the widest edits, then in the order of the mutants; without suppressed ones.
        suppressed: Survivors that the baseline accepts.
        equivalent: Ids of mutants that no request tells apart: proved, and not counted.
        unknown: Ids of survivors for which neither a request nor a proof was found within the budget.
        stale: Ids the baseline accepts that are killed, equivalent or no mutants at all; mutants that only a wider
            scope makes are not judged.
        observed: How many decisions were looked at.
    """

    policy: Policy
    scope: Scope
    killed: Mapping[str, str]
    survivors: tuple[Survivor, ...]
    suppressed: tuple[Survivor, ...]
    equivalent: tuple[str, ...]
    unknown: tuple[str, ...]
    stale: tuple[str, ...]
    observed: int

    @property
    def killable(self) -> int:
        """How many mutants count: those that are not proved equivalent."""
        return len(self.killed) + len(self.survivors) + len(self.suppressed) + len(self.unknown)

    @property
    def total(self) -> int:
        """How many mutants were made."""
        return self.killable + len(self.equivalent)

    def count(self, severity: Severity) -> int:
        """Return how many survivors are of a kind; one that is unknown counts as the worst."""
        unknown = len(self.unknown) if severity is Severity.NEW_TRUST else 0
        return unknown + sum(1 for survivor in self.survivors if survivor.severity is severity)

    def to_dict(self) -> JsonObject:
        """Return the report as plain JSON data."""
        return {
            "policy": {
                "policy_id": self.policy.policy_id,
                "policy_version": self.policy.policy_version,
                "policy_hash": self.policy.policy_hash,
            },
            "scope": self.scope.value,
            "mutants": self.total,
            "equivalent": [*self.equivalent],
            "killable": self.killable,
            "killed": dict(self.killed),
            "survivors": [_survivor(each) for each in self.survivors],
            "suppressed": [_survivor(each) for each in self.suppressed],
            "unknown": [*self.unknown],
            "stale": [*self.stale],
            "observed": self.observed,
        }


def _survivor(survivor: Survivor) -> JsonObject:
    mutant, difference = survivor.mutant, survivor.difference
    return {
        "id": mutant.mutant_id,
        "place": mutant.place,
        "edit": mutant.edit,
        "file": None if mutant.span is None else mutant.span.file,
        "line": None if mutant.span is None else mutant.span.line,
        "severity": survivor.severity.name.lower(),
        "request": difference.case.request,
        "failure_similarity": str(difference.case.similarity),
        "before": {"verdict": difference.before.verdict.value, "reason_codes": [*difference.before.reason_codes]},
        "after": {"verdict": difference.after.verdict.value, "reason_codes": [*difference.after.reason_codes]},
        "by_gate": difference.by_gate,
        "unnoticed": survivor.unnoticed,
        "reason": survivor.reason,
    }


def assess(
    policy: Policy,
    observations: Iterable[Observation] | Matrix,
    *,
    scope: Scope = Scope.CORE,
    whole_record: bool = False,
    accepted: Mapping[str, str] | None = None,
    known: Knowledge | None = None,
    patience_s: float = PATIENCE_S,
    limit: int = BUDGET,
) -> MutationReport:
    """
    Return what becomes of every mutant of a policy.

    That a vector notices a mutant which is proved equivalent is a contradiction. It is looked for among the survivors,
    among all that is known, and among further killed mutants, which are judged for as long again as it took to find
    out what is killed.

    Args:
        observations: The decisions of the vectors that count, or the matrix of them.
        whole_record: Count every change of the record as noticed, whatever the vectors expect of it.
        accepted: Id of a survivor that may stay -> why.
        known: What was found out about the policy with the same `limit`; what is found out now is noted there.
        patience_s: Seconds of the processor that judging killed mutants may take in any case.
        limit: Work one question may take.

    Raises:
        AnalysisDefectError: The analysis contradicts the engine, or itself.
    """
    began = process_time()
    matrix = Matrix.of(policy, observations)
    made = mutants(policy, scope)
    killed: dict[str, str] = {}
    noticed: list[tuple[Mutant, str]] = []
    left: list[tuple[Mutant, int | None]] = []
    for mutant in made:
        place, unnoticed = matrix.killed_by(mutant, whole_record=whole_record)
        if place is None:
            left.append((mutant, unnoticed))
        else:
            killed[mutant.mutant_id] = matrix.rows[place].name
            noticed.append((mutant, matrix.rows[place].name))
    patience_s = max(patience_s, process_time() - began)
    opinions = Opinions(matrix, made, Knowledge() if known is None else known, limit=limit)
    accepted = accepted or {}
    survivors: list[Survivor] = []
    equivalent: list[str] = []
    unknown: list[str] = []
    for mutant, unnoticed in left:
        severity = opinions.of(mutant)
        if severity is Answer.UNKNOWN:
            unknown.append(mutant.mutant_id)
            continue
        if not isinstance(severity, Severity):
            if unnoticed is not None:
                raise _contradicted(mutant, matrix.rows[unnoticed].name)
            equivalent.append(mutant.mutant_id)
            continue
        survivors.append(
            Survivor(
                mutant=mutant,
                severity=severity,
                show=partial(opinions.show, mutant),
                unnoticed=None if unnoticed is None else matrix.rows[unnoticed].name,
                reason=accepted.get(mutant.mutant_id),
            )
        )
    _verify(opinions, noticed, patience_s)
    survivors.sort(key=lambda survivor: (survivor.severity, reach_of(survivor.mutant)))
    open_ = {survivor.mutant.mutant_id for survivor in survivors} | set(unknown)
    return MutationReport(
        policy=policy,
        scope=scope,
        killed=killed,
        survivors=tuple(each for each in survivors if each.reason is None),
        suppressed=tuple(each for each in survivors if each.reason is not None),
        equivalent=tuple(equivalent),
        unknown=tuple(unknown),
        stale=_stale(policy, scope, [name for name in accepted if name not in open_], {*killed, *equivalent}),
        observed=len(matrix.rows),
    )


def _stale(policy: Policy, scope: Scope, names: Sequence[str], settled: set[str]) -> tuple[str, ...]:
    """Return those of some accepted ids that are accepted for nothing."""
    unmade = {name for name in names if name not in settled}
    if unmade and scope is not Scope.FULL:
        unmade -= {mutant.mutant_id for mutant in mutants(policy, Scope.FULL)}
    return tuple(name for name in names if name in settled or name in unmade)


def _verify(opinions: Opinions, noticed: Sequence[tuple[Mutant, str]], patience_s: float) -> None:
    """Look for a killed mutant that is proved equivalent: among all that is known, and as long as patience lasts."""
    until = process_time() + patience_s
    for mutant, vector in noticed:
        if not opinions.has(mutant) and process_time() > until:
            continue
        if opinions.of(mutant) is Answer.NONE:
            raise _contradicted(mutant, vector)


def _contradicted(mutant: Mutant, vector: str) -> AnalysisDefectError:
    return AnalysisDefectError(f"mutant {mutant.mutant_id} is proved equivalent, and changes what {vector} gets")
