"""
Which goals and which unnoticed edits stand beside which lines of a policy.
Brings results of the analysis into the form that reports take; must not know how a report shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lumyn.analysis.coverage import CoverageReport, Criterion, Goal
from lumyn.analysis.mutation import MutationReport, Survivor
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import Policy
from lumyn.report.run import Edit, Mark, Strength
from lumyn.report.source import DEFAULTS, required_name, rule_name, threshold_name
from lumyn.report.strength import SHOWN, case_text, coverage_table, edit_text, mutation_table, survivor_text
from lumyn.report.words import UNSHOWN

__all__ = ["strength"]

_NEVER: Final = {Criterion.FIRED: "never fired", Criterion.DECIDES: "never decides", Criterion.CODES: "never given"}
_MOST_FACTS: Final = 3


def strength(covered: CoverageReport | None, mutated: MutationReport) -> Strength:
    """Return coverage, where there is any, and mutation of one policy as reports take them."""
    policy = mutated.policy
    return Strength(
        policy=policy,
        coverage=None if covered is None else coverage_table(covered),
        mutation=mutation_table(mutated),
        marks=() if covered is None else tuple(_marks(covered)),
        edits=tuple(_edits(mutated)),
        reads={
            rule.rule_id: tuple(dict.fromkeys(each.threshold for each in rule.conditions if each.threshold is not None))
            for rule in policy.rules
        },
    )


def _marks(covered: CoverageReport) -> Iterator[Mark]:
    for criterion in SHOWN:
        for goal in covered.goals:
            if goal.criterion is criterion:
                yield Mark(
                    aim=goal.aim,
                    missing=f"{goal.title} {_NEVER[criterion]}" if criterion in _NEVER else goal.title,
                    state=_state(goal),
                    vector=goal.covered_by or "",
                    example=_example(goal, covered.policy),
                    about=tuple(_concerned(goal, covered.policy)),
                )


def _example(goal: Goal, policy: Policy) -> str:
    """Return a request that would meet the goal, with what makes it one; nothing where its action is all there is."""
    case = goal.case
    if case is None:
        return ""
    facts: dict[str, None] = {}
    about = {*_concerned(goal, policy)}
    if goal.criterion is Criterion.REQUIRED:
        facts[f"{EVIDENCE_PREFIX}{goal.name.rpartition('/')[2]}"] = None
    for rule in policy.rules:
        if rule_name(rule.rule_id) in about:
            facts.update((each.fact, None) for each in rule.conditions)
    said = case_text(case, [*facts][:_MOST_FACTS])
    if " " not in said:
        return ""
    return said + (UNSHOWN if goal.by_gate is False else "")


def _state(goal: Goal) -> str:
    if goal.covered_by is not None:
        return "met"
    if goal.infeasible:
        return "impossible"
    return "unknown" if goal.unknown else "open"


def _concerned(goal: Goal, policy: Policy) -> Iterator[str]:
    rules = {rule.rule_id: rule for rule in policy.rules}
    if goal.criterion is Criterion.CODES:
        yield from (rule_name(rule.rule_id) for rule in policy.rules if goal.name in rule.reason_codes)
        if goal.name == policy.default_reason_code:
            yield DEFAULTS
    elif goal.criterion is Criterion.REQUIRED:
        action = goal.name.rpartition("/")[0]
        yield required_name(action)
        yield from (
            rule_name(rule.rule_id) for rule in policy.rules if rule.is_requirements_check and rule.applies_to(action)
        )
    else:
        rule_id = goal.name.partition("/")[0]
        yield rule_name(rule_id) if rule_id in rules else DEFAULTS


def _edits(mutated: MutationReport) -> Iterator[Edit]:
    policy = mutated.policy
    for name in mutated.unknown:
        yield Edit(
            kind="unknown", mutant_id=name, text=name, request="given up over budget", about=_edited(name, policy)
        )
    for survivor in mutated.survivors:
        yield _edit(survivor, survivor.severity.label, policy)
    for survivor in mutated.suppressed:
        yield _edit(survivor, "accepted", policy)


def _edit(survivor: Survivor, kind: str, policy: Policy) -> Edit:
    mutant = survivor.mutant
    return Edit(
        kind=kind,
        mutant_id=mutant.mutant_id,
        text=edit_text(mutant),
        request=survivor_text(survivor),
        about=_edited(mutant.mutant_id, policy),
        reason=survivor.reason or "",
    )


def _edited(mutant_id: str, policy: Policy) -> str:
    """Return what a mutant edits, as its id says."""
    first, _, rest = mutant_id.partition("/")
    if first == "thresholds":
        return threshold_name(rest.rpartition("/")[0])
    if first == "required":
        return required_name(rest.rpartition("/drop/")[0])
    return rule_name(first) if any(rule.rule_id == first for rule in policy.rules) else DEFAULTS
