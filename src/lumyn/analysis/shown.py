"""
What analysis is about to show, decided once more by a real gate: findings, broken invariants, differences and goals.
What no memory can bring about is marked so; must not know how anything was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from lumyn.analysis.coverage import Goals
from lumyn.analysis.diff import PolicyDiff
from lumyn.analysis.experience import Experience, Likeness
from lumyn.analysis.finding import Finding
from lumyn.analysis.goal import CoverageReport, Goal
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.observations import Observation
from lumyn.analysis.prove import Proof
from lumyn.analysis.redecide import Decider, confirm
from lumyn.analysis.witness import AnalysisDefectError, Case, evaluate, parsed
from lumyn.model import Evaluation
from lumyn.policy.spec import Policy

__all__ = ["confirmed_coverage", "confirmed_diff", "confirmed_findings", "confirmed_proof"]

_SIMILARITY: Final = "risk.failure_similarity"


def confirmed_findings(policy: Policy, findings: Sequence[Finding]) -> list[Finding]:
    """
    Return findings whose examples a gate decided as they say; the others are marked.

    Raises:
        AnalysisDefectError: A gate decides an example otherwise.
    """
    with Decider(policy) as decider:
        return [
            replace(
                finding,
                examples=tuple(
                    replace(example, by_gate=decider.confirm(example.case, example.evaluation))
                    for example in finding.examples
                ),
            )
            for finding in findings
        ]


def confirmed_coverage(report: CoverageReport) -> CoverageReport:
    """
    Return coverage whose requests meet the goals they are shown for, as a gate decides them; the others are marked.

    Raises:
        AnalysisDefectError: A request does not meet its goal, or a gate decides it otherwise than the engine.
    """
    policy = report.policy
    shown = [(goal, goal.case) for goal in report.goals if goal.case is not None]
    rows = [
        Observation(
            name=goal.name,
            step=0,
            document=case.request,
            request=parsed(policy, case.request),
            similarity=case.similarity,
        )
        for goal, case in shown
    ]
    met = Goals(policy).met(Matrix(policy, rows))
    decided: dict[int, Goal] = {}
    with Decider(policy) as decider:
        for place, (goal, case) in enumerate(shown):
            if not met[f"{goal.criterion}:{goal.name}"] >> place & 1:
                raise AnalysisDefectError(f"goal {goal.name}: the request that is shown does not meet it")
            by_gate = decider.confirm(case, evaluate(policy, case))
            decided[id(goal)] = replace(goal, by_gate=by_gate)
    return replace(report, goals=tuple(decided.get(id(goal), goal) for goal in report.goals))


def confirmed_diff(old: Policy, new: Policy, found: PolicyDiff) -> PolicyDiff:
    """
    Return a diff whose requests a gate decided as it says, under both policies; the others are marked.

    Raises:
        AnalysisDefectError: A gate decides a request otherwise.
    """
    with Decider(old) as before, Decider(new) as after:
        changes = tuple(
            replace(
                change,
                by_gate=before.confirm(change.difference.case, change.difference.before)
                and after.confirm(change.difference.case, change.difference.after),
            )
            for change in found.changes
        )
    return replace(found, changes=changes)


def confirmed_proof(policy: Policy, proof: Proof) -> Proof:
    """
    Return a proof whose requests a gate decided as it says, with the memory that takes; else it is marked.

    Raises:
        AnalysisDefectError: A gate decides a request otherwise.
    """
    if proof.case is None or proof.evaluation is None:
        return proof
    memory, by_gate = _decided(policy, proof, proof.case, proof.evaluation)
    if proof.other is None or proof.other_evaluation is None:
        return replace(proof, memory=memory, by_gate=by_gate)
    other_memory, other_by_gate = _decided(policy, proof, proof.other, proof.other_evaluation)
    return replace(proof, memory=memory, other_memory=other_memory, by_gate=by_gate and other_by_gate)


def _decided(policy: Policy, proof: Proof, case: Case, said: Evaluation) -> tuple[Experience | None, bool]:
    """Return the experience a gate needs to decide a case as said, None: none; and whether a gate did."""
    memory: Experience | None = None
    if case.similarity:
        said_of = [
            each
            for each in (*(c for rule in policy.rules for c in rule.conditions), *proof.invariant.conditions)
            if each.fact == _SIMILARITY
        ]
        # A score that no comparison tells from the one that was found is as good.
        memory = Likeness(policy, case.request).experience(
            lambda score: all(
                each.operator.holds(score, each.operand) == each.operator.holds(case.similarity, each.operand)
                for each in said_of
            )
        )
        if memory is None:
            return None, False
    return memory, confirm(policy, case, said, experience=memory)
