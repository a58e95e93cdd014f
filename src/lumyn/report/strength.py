"""
How strong vectors are, in words: the five lines of coverage, and the edits that would ship green, gravest first.
Must not know where the figures came from, nor what a gate makes of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from lumyn.analysis.coverage import CoverageReport, Criterion, Goal
from lumyn.analysis.difference import Difference
from lumyn.analysis.dimension import RATE
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.mutation import MutationReport, Survivor
from lumyn.analysis.scale import Severity
from lumyn.analysis.witness import Case
from lumyn.engine.normalize import USD
from lumyn.model import Evaluation, JsonValue
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import FX_RATE_KEY
from lumyn.report.run import Table
from lumyn.report.words import UNSHOWN

__all__ = [
    "SHOWN",
    "case_text",
    "coverage_lines",
    "coverage_table",
    "difference_text",
    "edit_text",
    "mutation_lines",
    "mutation_table",
    "stale_text",
    "survivor_text",
]

SHOWN: Final = {
    Criterion.FIRED: "rules fired",
    Criterion.DECIDES: "rules that decide",
    Criterion.CODES: "reason codes",
    Criterion.REQUIRED: "required keys",
    Criterion.BOUNDARIES: "boundaries",
}
"""The criteria a terminal shows, with their names."""

_MOST_SURVIVORS: Final = 5
_MOST_EDITS: Final = 3
_MOST_NAMES: Final = 4
_MOST_TITLES: Final = 20
_MOST_FACTS: Final = 2
_LISTS: Final = {"subject.roles": ("subject", "roles"), "action.tags": ("action", "tags")}
"""Attributes that hold a list -> where a request has it."""
_TEXTS: Final = {"subject.type": ("subject", "type"), "tenant.environment": ("tenant", "environment")}
"""Attributes that hold one word -> where a request has it."""
_CALLED: Final = {
    "subject.type": "subject",
    "tenant.environment": "environment",
    "subject.roles": "roles",
    "action.tags": "tags",
}
"""Attributes that are no evidence -> what readers call them."""


def coverage_lines(report: CoverageReport) -> Iterator[str]:
    """Yield the lines a terminal shows: a row for each criterion, and what is missing under it."""
    yield f"{'':20}{'covered':>8}{'goals':>7}{'infeasible':>12}"
    for criterion, name in SHOWN.items():
        total = len(report.of(criterion))
        yield f"{name:20}{report.covered(criterion):>8}{total:>7}{report.infeasible(criterion):>12}"
        missing = report.missing(criterion)
        if missing:
            yield f"  missing: {_listed(criterion, missing)}"


def _listed(criterion: Criterion, missing: Sequence[Goal]) -> str:
    if criterion in (Criterion.FIRED, Criterion.DECIDES, Criterion.CODES):
        names = [goal.name + (" (unknown: budget)" if goal.unknown else "") for goal in missing]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        return ", ".join(names[:_MOST_NAMES]) + more
    more = f"  (+{len(missing) - 1})" if len(missing) > 1 else ""
    return missing[0].title + more


def mutation_lines(report: MutationReport) -> Iterator[str]:
    """Yield the lines a terminal shows: the score, the gravest survivors one a place, and counts of the rest."""
    score = f"{len(report.killed)}/{report.killable} killed"
    yield f"{report.total} mutants, {len(report.equivalent)} equivalent (proved), {score}"
    if report.unknown:
        yield f"unknown     {len(report.unknown):>4}  given up over budget, counted as surviving: {report.unknown[0]}"
    if not report.survivors:
        if not report.unknown:
            yield "every edit that any request can tell apart fails a vector"
    else:
        yield from _survivors(report)
    if report.suppressed:
        yield f"accepted    {len(report.suppressed):>4}  by the baseline, each with its reason"
    for name in report.stale:
        yield f"stale             the baseline accepts {stale_text(report, name)}"


def stale_text(report: MutationReport, name: str) -> str:
    """Return an id that the baseline accepts for nothing, and why there is nothing to accept."""
    vector = report.killed.get(name)
    if vector is not None:
        return f"{name}, which {vector} notices: take it out"
    if name in report.equivalent:
        return f"{name}, which no request can tell from the policy: take it out"
    from difflib import get_close_matches

    near = get_close_matches(name, [each.mutant.mutant_id for each in report.survivors], n=1)
    return f"{name}, which is no edit of this policy: {f'is {near[0]} meant?' if near else 'take it out'}"


def _survivors(report: MutationReport) -> Iterator[str]:
    worst = report.survivors[0].severity
    count = sum(1 for survivor in report.survivors if survivor.severity is worst)
    said = "survives: this edit would" if count == 1 else "survive: these edits would"
    yield f"{worst.label:12}{count:>4}  {said} ship green"
    places: dict[str, list[Survivor]] = {}
    for survivor in report.survivors:
        if survivor.severity is worst:
            places.setdefault(survivor.mutant.place, []).append(survivor)
    for survivors in [*places.values()][:_MOST_SURVIVORS]:
        first, *others = (survivor.mutant for survivor in survivors[:_MOST_EDITS])
        more = [f"{len(survivors) - _MOST_EDITS} more"] if len(survivors) > _MOST_EDITS else []
        yield f"  {' | '.join([edit_text(first), *(mutant.became for mutant in others), *more])}"
        yield f"      {survivor_text(survivors[0])}"
        if survivors[0].unnoticed is not None:
            yield f"      {survivors[0].unnoticed} comes out otherwise and does not say so"
    if len(places) > _MOST_SURVIVORS:
        left = len(places) - _MOST_SURVIVORS
        yield f"  and {left} {'place' if left == 1 else 'places'} more"
    rest = [f"{severity.label} {report.count(severity)}" for severity in Severity if severity > worst]
    if rest:
        yield "also        " + ", ".join(rest)


def difference_text(difference: Difference, facts: Sequence[str] = ()) -> str:
    """
    Return a differing request and its two outcomes in a line, such as `support.refund 25.01 USD: ESCALATE -> TRUST`.

    Args:
        facts: Attributes worth naming.
    """
    said = case_text(difference.case, facts)
    before, after = difference.before, difference.after
    if before.verdict is not after.verdict:
        asked = [query.field for query in after.queries]
        more = f" and {len(asked) - _MOST_FACTS} more" if len(asked) > _MOST_FACTS else ""
        wanted = f" for {', '.join(asked[:_MOST_FACTS])}{more}" if asked else ""
        return f"{said}: {before.verdict} -> {after.verdict}{wanted}"
    return f"{said}: {before.verdict}, {_apart(before.reason_codes, after.reason_codes) or _moved(before, after)}"


def _apart(before: Sequence[str], after: Sequence[str]) -> str:
    """Return what goes and what comes between two lists, nothing where they hold the same."""
    gone = [f"-{each}" for each in before if each not in after]
    come = [f"+{each}" for each in after if each not in before]
    return " ".join([*gone, *come])


def _moved(before: Evaluation, after: Evaluation) -> str:
    """Return how two records differ that have one verdict and the same reason codes."""
    if before.reason_codes != after.reason_codes:
        return "reason codes in another order"
    rules, others = ([each.rule_id for each in said.matched_rules] for said in (before, after))
    if rules != others:
        apart = _apart(rules, others)
        return f"matched rules {apart}" if apart else "matched rules in another order"
    if before.matched_rules != after.matched_rules:
        return "a matched rule of another stage, verdict or code"
    return "other questions" if before.queries != after.queries else "other obligations"


def case_text(case: Case, facts: Sequence[str] = ()) -> str:
    """Return a request in a few words: its action, its amount, and some attributes."""
    action, evidence = case.request["action"], case.request["evidence"]
    said = "a request"
    if isinstance(action, dict):
        said = str(action["type"])
        amount = action.get("amount")
        if isinstance(amount, dict):
            said += f" {amount['value']} {amount['currency']}"
            if amount["currency"] != USD and isinstance(evidence, dict) and FX_RATE_KEY in evidence:
                said += f" at {evidence[FX_RATE_KEY]}"
                facts = [name for name in facts if name != RATE]
    for name in facts:
        if name == "risk.failure_similarity":
            said += f", failure similarity {case.similarity}"
        elif name in ("amount_usd", "amount_currency") and isinstance(action, dict) and action.get("amount") is None:
            said += ", amount missing"
        elif name in _TEXTS:
            said += f", {_CALLED[name]} {_held(case, name) or 'missing'}"
        elif name in _LISTS:
            members = _held(case, name)
            told = ", ".join(map(str, members)) if isinstance(members, list) else ""
            said += f", {_CALLED[name]} {told or 'missing'}"
        elif isinstance(evidence, dict) and name.startswith(EVIDENCE_PREFIX):
            key = name.removeprefix(EVIDENCE_PREFIX)
            said += f", {key} {_plain(evidence[key]) if key in evidence else 'missing'}"
    return said


def _held(case: Case, name: str) -> JsonValue:
    """Return what a request holds of an attribute that is no evidence, None: nothing."""
    part, key = (_TEXTS if name in _TEXTS else _LISTS)[name]
    held = case.request.get(part)
    return held.get(key) if isinstance(held, dict) else None


def _plain(value: JsonValue) -> str:
    return value if isinstance(value, str) and value.strip() else json.dumps(value, ensure_ascii=False)


def edit_text(mutant: Mutant) -> str:
    """Return an edit in a line, such as `R030 amount_usd > 200 -> >= 200` or `R020: ABSTAIN -> QUERY`."""
    became = mutant.became
    return f"{mutant.place}: {became}" if " -> " in became else f"{mutant.place} {became}"


def survivor_text(survivor: Survivor) -> str:
    """Return a request that tells a surviving edit, and how it is decided before and after, in a line."""
    difference = survivor.difference
    return difference_text(difference, _facts(survivor.mutant)) + (UNSHOWN if difference.by_gate is False else "")


def _facts(mutant: Mutant) -> list[str]:
    """Return the facts the edited conditions look at, or few of those that the edited rules look at; keys let go."""
    required = mutant.required or {}
    gone = (
        key for action, keys in required.items() for key in mutant.base.required_evidence[action] if key not in keys
    )
    facts = dict.fromkeys(EVIDENCE_PREFIX + key for key in gone)
    every = (condition for rule in mutant.edited for condition in rule.conditions)
    facts.update(dict.fromkeys(each.fact for each in mutant.changed or every))
    return [*facts][:_MOST_FACTS]


def coverage_table(report: CoverageReport) -> Table:
    """Return coverage as a table for files and pages."""
    policy = report.policy
    rows = [
        (
            name,
            str(report.covered(criterion)),
            str(len(report.of(criterion))),
            str(report.infeasible(criterion)),
            _some([goal.title for goal in report.missing(criterion)]),
        )
        for criterion, name in SHOWN.items()
    ]
    return Table(
        title=f"Policy coverage: {policy.policy_id} {policy.policy_version}",
        note=f"{report.observed} decisions of passing vectors. Goals no request can meet are proved and left out.",
        columns=("criterion", "covered", "goals", "infeasible", "missing"),
        rows=tuple(rows),
    )


def _some(titles: Sequence[str]) -> str:
    more = [f"and {len(titles) - _MOST_TITLES} more"] if len(titles) > _MOST_TITLES else []
    return "; ".join([*titles[:_MOST_TITLES], *more])


def mutation_table(report: MutationReport) -> Table:
    """Return the surviving mutants as a table for files and pages."""
    policy = report.policy
    rows = [
        (
            survivor.severity.label,
            survivor.mutant.mutant_id,
            edit_text(survivor.mutant),
            survivor_text(survivor),
        )
        for survivor in report.survivors
    ]
    rows += [("unknown", name, "", "given up over budget") for name in report.unknown]
    count = report.count(Severity.NEW_TRUST)
    grave = f" {count} unnoticed {'edit opens' if count == 1 else 'edits open'} a new path to TRUST." if count else ""
    return Table(
        title=f"Mutation: {policy.policy_id} {policy.policy_version}",
        note=f"{report.total} mutants, {len(report.equivalent)} equivalent (proved), "
        f"{len(report.killed)} of {report.killable} killed.{grave}",
        columns=("kind", "mutant", "edit", "a request that tells"),
        rows=tuple(rows),
    )
