"""
Makes what coverage and mutation of one policy come to, with the whole of the analysis.
Loaded only by a run that has something to make; must not know what is kept from run to run, nor where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lumyn.analysis.coverage import cover
from lumyn.analysis.goal import CoverageReport
from lumyn.analysis.knowledge import Knowledge
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutation import MutationReport, assess
from lumyn.analysis.observations import observation
from lumyn.analysis.scale import Criterion, Scope, Severity
from lumyn.analysis.witness import AnalysisDefectError
from lumyn.model import JsonObject
from lumyn.policy.spec import Policy
from lumyn.report.strength import SHOWN, coverage_lines, mutation_lines, stale_text
from lumyn.vectors.decided import Decided
from pytest_lumyn.measures import DefectError, Measured, Told

__all__ = ["Found", "measure"]


class Found(NamedTuple):
    """
    What was made.

    Attributes:
        measured: None where no decision can be looked at.
        told: None where nothing but a terminal is to be served.
        known: All that is known of the policy by now, as plain data; None where that is no more than before.
    """

    measured: Measured | None
    told: Told | None
    known: JsonObject | None


def measure(
    policy: Policy,
    decisions: Sequence[Decided],
    *,
    coverage: bool,
    scope: str,
    accepted: Mapping[str, str],
    reporting: bool,
    known: Any,  # noqa: ANN401 (plain data)
) -> Found:
    """
    Return what decisions under a policy amount to.

    Args:
        known: What an earlier run knew of the policy, or None.

    Raises:
        DefectError: The analysis contradicts the engine, or itself.
    """
    rows = [row for each in decisions if (row := observation(each, policy)) is not None]
    if not rows:
        return Found(None, None, None)
    knowledge = Knowledge() if known is None else Knowledge.unpack(known)
    before = knowledge.size
    matrix = Matrix(policy, rows)
    try:
        covered = cover(policy, matrix, known=knowledge) if coverage else None
        mutated = assess(policy, matrix, scope=Scope(scope), accepted=accepted, known=knowledge)
        measured = _measured(covered, mutated)
        told = _told(covered, mutated) if reporting else None
    except AnalysisDefectError as error:
        raise DefectError(str(error)) from error
    return Found(measured, told, knowledge.pack() if knowledge.size > before else None)


def _measured(covered: CoverageReport | None, mutated: MutationReport) -> Measured:
    return Measured(
        coverage=None if covered is None else [*coverage_lines(covered)],
        mutation=[*mutation_lines(mutated)],
        grave=bool(mutated.survivors and mutated.survivors[0].severity is Severity.NEW_TRUST),
        goals={}
        if covered is None
        else {
            each.value: (SHOWN.get(each, each.value), covered.covered(each), len(covered.of(each)))
            for each in Criterion
        },
        killed=len(mutated.killed) + len(mutated.suppressed),
        killable=mutated.killable,
        new_trust=mutated.count(Severity.NEW_TRUST),
        stale=[stale_text(mutated, name) for name in mutated.stale],
        open=bool(mutated.survivors or (covered is not None and any(covered.missing(each) for each in SHOWN))),
    )


def _told(covered: CoverageReport | None, mutated: MutationReport) -> Told:
    from lumyn.analysis.shown import confirmed_coverage
    from lumyn.report import strength_json
    from lumyn.report.beside import strength

    covered = None if covered is None else confirmed_coverage(covered)
    return Told(
        strength=strength_json.pack(strength(covered, mutated)),
        coverage=None if covered is None else covered.to_dict(),
        mutation=mutated.to_dict(),
    )
