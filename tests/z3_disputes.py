"""
Where the exact analysis and z3 say different things of a policy, in words; nothing where they agree.
What either of them leaves open is counted, and never read as agreement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from z3_goals import edges, goals
from z3_questions import (
    Asker,
    Tally,
    UnsureError,
    actions,
    broken,
    gravest,
    of_severity,
    reached,
    redundant,
    transitions,
    violates,
)
from z3_record import differs

from lumyn.analysis.boxes import BudgetExceededError
from lumyn.analysis.cells import Space
from lumyn.analysis.check import check
from lumyn.analysis.coverage import cover
from lumyn.analysis.diff import diff
from lumyn.analysis.judge import Judge
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.prove import Proof, Status, prove
from lumyn.analysis.regions import View
from lumyn.analysis.witness import AnalysisDefectError
from lumyn.model import Verdict
from lumyn.policy.invariants import InvariantKind
from lumyn.policy.spec import Policy

OPEN = (UnsureError, BudgetExceededError)
OF_RULES = ("RULE_DEAD", "RULE_MASKED", "RULE_SUBSUMED", "CONDITION_REDUNDANT")


def about_reach(policy: Policy, tally: Tally) -> Iterator[str]:
    """Compare which rules fire, decide and are seen, which verdicts are given, and what `check` makes of it."""
    everywhere: dict[tuple[str, str], bool] = {}
    idle: dict[tuple[str, int], bool] = {}
    for action in actions(policy):
        try:
            said, mine = reached(policy, action, tally), by_boxes(policy, action)
            for place, found in redundant(policy, action, tally).items():
                idle[place] = idle.get(place, True) and found
        except OPEN:
            tally.add("reachability left open")
            return
        tally.settle("reachability", len(said))
        for claim in {*said, *mine}:
            if said.get(claim) != mine.get(claim):
                yield f"{action} {claim}: z3 {said.get(claim)}, boxes {mine.get(claim)}"
            everywhere[claim] = everywhere.get(claim, False) or said.get(claim, False)
        if action in policy.action_types:
            everywhere["default", action] = said["default", ""]
    yield from _findings(policy, everywhere, idle, tally)


def by_boxes(policy: Policy, action: str) -> dict[tuple[str, str], bool]:
    """Return what the box search says is reached."""
    view = View(Space(action, [policy]), policy)
    find = view.space.search.find
    found: dict[tuple[str, str], bool] = {}
    for boxes in view.rules:
        rule = boxes.rule
        stricter = view.firing(*(each for each in Verdict if each.strictness > rule.verdict.strictness))
        for name, avoid in (("fires", ()), ("decides", view.rivals(rule)), ("seen", stricter)):
            found[name, rule.rule_id] = any(find(box, avoid=avoid) is not None for box in boxes.true)
    for verdict in Verdict:
        regions = [region for region in view.regions(verdict) if all(region.must)]
        found["given", verdict] = any(find((), must=each.must, avoid=each.avoid) is not None for each in regions)
    found["default", ""] = find((), avoid=view.default().avoid) is not None
    return found


def _findings(
    policy: Policy, found: dict[tuple[str, str], bool], idle: dict[tuple[str, int], bool], tally: Tally
) -> Iterator[str]:
    wanted: set[tuple[str, str]] = set()
    for rule in policy.rules:
        fires, decides, seen = (found.get((name, rule.rule_id), False) for name in ("fires", "decides", "seen"))
        if not fires and not rule.is_requirements_check:
            wanted.add(("RULE_DEAD", rule.rule_id))
        if fires and not decides:
            wanted.add(("RULE_SUBSUMED" if seen else "RULE_MASKED", rule.rule_id))
    wanted |= {("CONDITION_REDUNDANT", rule_id) for (rule_id, _), same in idle.items() if same}
    wanted |= {("DEFAULT_REACHED", action) for (name, action), here in found.items() if name == "default" and here}
    wanted.discard(("DEFAULT_REACHED", ""))
    said = {(each.code, each.message.split()[0].rstrip(":")) for each in check(policy)}
    if "ANALYSIS_UNKNOWN" in {code for code, _ in said}:
        tally.add("findings left open")
        return
    said = {each for each in said if each[0] in (*OF_RULES, "DEFAULT_REACHED")}
    tally.settle("findings", len(said))
    yield from (f"only check says {each}" for each in said - wanted)
    yield from (f"only z3 says {each}" for each in wanted - said)


def about_goals(policy: Policy, tally: Tally) -> Iterator[str]:
    """Compare the coverage goals there are, and which of them no request can meet."""
    found = {(goal.criterion, goal.name): goal for goal in cover(policy, ()).goals}
    wanted = {(criterion, name): (actions, where) for criterion, name, actions, where in goals(policy)}
    yield from (f"goal {name} of {criterion} is known to one only" for criterion, name in found.keys() ^ wanted.keys())
    extra = edges(policy)
    askers = {action: Asker(action, [policy], tally, extra) for action in actions(policy)}
    for name in found.keys() & wanted.keys():
        goal, (those, where) = found[name], wanted[name]
        concerned = [action for action in askers if those is None or action in those]
        try:
            met = any(askers[action].find(where(askers[action].model(policy))) for action in concerned)
        except OPEN:
            met = None
        if goal.unknown or met is None:
            tally.add("goals left open")
            continue
        tally.settle("goals that can be met" if met else "goals that cannot")
        if goal.infeasible is met:
            yield f"goal {name}: infeasible {goal.infeasible}, z3 meets it {met}"
        elif goal.case is not None:
            asker = askers[goal.case.request["action"]["type"]]  # type: ignore[index, call-overload]
            if not asker.confirms(policy, goal.case, where(asker.model(policy))):
                yield f"goal {name}: z3 does not see it met by {goal.case}"


def about_promises(policy: Policy, tally: Tally) -> Iterator[str]:
    """Compare what is proved of the policy's invariants."""
    for invariant in policy.promises:
        try:
            found = prove(policy, invariant)
            action = broken(policy, invariant, tally)
        except OPEN:
            tally.add("invariants left open")
            continue
        except AnalysisDefectError as defect:
            yield f"{invariant.name}: {defect}"
            continue
        if found.status is Status.UNKNOWN:
            tally.add("invariants left open")
            continue
        tally.settle(f"{invariant.kind} {found.status}")
        if (found.status is Status.VIOLATED) != (action is not None):
            yield f"{invariant.name}: analysis {found.status}, z3 breaks it for {action}"
        elif not _shown(policy, found, tally):
            yield f"{invariant.name}: z3 does not see it broken by {found.case}"


def _shown(policy: Policy, proof: Proof, tally: Tally) -> bool:
    """Return whether z3 agrees with the request that breaks a promise."""
    invariant, case = proof.invariant, proof.case
    if case is None or proof.evaluation is None:
        return True
    asker = Asker(case.request["action"]["type"], [policy], tally, invariant.conditions)  # type: ignore[index, call-overload]
    model = asker.model(policy)
    where = model.verdicts[proof.evaluation.verdict]
    about_verdicts = invariant.kind in {InvariantKind.NEVER, InvariantKind.REQUIRES}
    return asker.confirms(policy, case, violates(model, invariant) if about_verdicts else where)


def about_diff(old: Policy, new: Policy, tally: Tally) -> Iterator[str]:
    """Compare the changes of verdict, and whether anything changes at all, for every action."""
    try:
        found = diff(old, new)
    except AnalysisDefectError as defect:
        yield f"diff: {defect}"
        return
    for action in actions(old, new):
        if action in found.unknown:
            tally.add("diffs left open")
            continue
        try:
            asker, moves, differ = transitions(old, new, action, tally)
        except OPEN:
            tally.add("diffs left open")
            continue
        changes = [change.difference for change in found.changes if change.action == action]
        mine = {(each.before.verdict, each.after.verdict) for each in changes}
        mine = {move for move in mine if move[0] is not move[1]}
        tally.add("transitions", len(moves))
        tally.settle("actions that differ" if differ else "actions that do not differ")
        if mine != moves or bool(changes) != differ:
            yield f"{action}: analysis {sorted(mine)} {bool(changes)}, z3 {sorted(moves)} {differ}"
        before, after = asker.model(old), asker.model(new)
        for each in changes:
            shown = before.verdicts[each.before.verdict], after.verdicts[each.after.verdict], differs(before, after)
            if not asker.confirms(new, each.case, *shown):
                yield f"{action}: z3 does not see the change in {each.case}"


def about_mutants(policy: Policy, chosen: Sequence[Mutant], tally: Tally) -> Iterator[str]:
    """Compare the gravest change that each mutant makes, which is none where it is equivalent."""
    opinions, askers = gravest(policy, chosen, tally)
    judge = Judge(policy, chosen)
    for mutant in chosen:
        try:
            worst = judge.worst(mutant)
        except BudgetExceededError:
            tally.add("mutants left open")
            continue
        except AnalysisDefectError as defect:
            yield f"{mutant.mutant_id}: {defect}"
            continue
        if mutant.mutant_id not in opinions:
            tally.add("mutants left open")
            continue
        severity = opinions[mutant.mutant_id]
        tally.settle("mutants that differ" if worst else "equivalent mutants")
        if (worst and worst.severity) != severity:
            yield f"{mutant.mutant_id}: analysis {worst and worst.severity}, z3 {severity}"
        elif worst is not None:
            asker = askers[worst.case.request["action"]["type"]]  # type: ignore[index, call-overload]
            shown = of_severity(asker.model(policy), asker.model(mutant.policy, like=policy), worst.severity)
            if not asker.confirms(policy, worst.case, shown):
                yield f"{mutant.mutant_id}: z3 does not see the change in {worst.case}"
