"""
Analysis as ratios of one evaluation, and as growth: mutants by vectors, checks, differences, proofs of large policies.
Seconds are those of the processor, so that a busy machine does not miss a goal.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from bench_vectors import forget
from bench_vectors import run as run_pytest
from common import ROOT, SUPPORT_POLICY, arguments, report
from strength_repo import all_golden, edit_policy, edit_vector, every_topic, one_thing

from lumyn.analysis.check import check
from lumyn.analysis.coverage import Criterion, cover
from lumyn.analysis.diff import diff
from lumyn.analysis.emit import suggestions_text
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.mutants import Scope, mutants
from lumyn.analysis.mutation import assess
from lumyn.analysis.observations import Observation, observe
from lumyn.analysis.prove import prove
from lumyn.analysis.suggest import Suggestion, suggest
from lumyn.analysis.witness import parsed
from lumyn.documents import load
from lumyn.engine.evaluator import compile_policy
from lumyn.errors import InvalidVectorError
from lumyn.policy.loader import load_policy, parse_policy
from lumyn.policy.spec import Policy
from lumyn.vectors.discovery import discover
from lumyn.vectors.loader import load_suite, parse_suite
from lumyn.vectors.runner import run

_ZERO = Decimal(0)
KEYS = [f"signal_{number}" for number in range(8)]


def synthetic(rules: int, *, per_action: int = 20, seed: int = 7, edits: int = 0) -> dict[str, Any]:
    """Return a policy of the shape of the starter policies, `edits` of its numbers moved."""
    chance = random.Random(seed)
    made: list[dict[str, Any]] = []
    for number in range(rules):
        action = f"work.action_{number // per_action}"
        place = number % per_action
        stage, verdict = (
            ("HARD_BLOCKS", "ABSTAIN")
            if place < per_action // 4
            else ("ESCALATIONS", "ESCALATE")
            if place < per_action * 3 // 4
            else ("TRUST_PATHS", "TRUST")
        )
        conditions: dict[str, Any] = {}
        for key in chance.sample(KEYS, chance.randint(1, 3)):
            operator = "lt" if stage == "TRUST_PATHS" else "gte"
            conditions[f"evidence.{key}_{operator}"] = chance.randint(1, 19) / 20
        if chance.random() < 0.5:
            conditions["amount_usd_lte" if stage == "TRUST_PATHS" else "amount_usd_gt"] = chance.randint(1, 40) * 10
        code = "CURRENCY_UNSUPPORTED" if verdict != "TRUST" else "REFUND_SMALL_LOW_RISK"
        made.append(
            {
                "id": f"R{number:04d}",
                "stage": stage,
                "when": {"action_type": action},
                "if": conditions,
                "then": {"verdict": verdict, "reason_codes": [code]},
            }
        )
    made.append(
        {
            "id": "LIMIT",
            "stage": "HARD_BLOCKS",
            "if": {"amount_usd_gt": 450},
            "then": {"verdict": "ABSTAIN", "reason_codes": ["CURRENCY_UNSUPPORTED"]},
        }
    )
    for rule in random.Random(seed + 1).sample(made[:-1], edits):
        text = next(iter(rule["if"]))
        rule["if"][text] = 0.975 if text.startswith("evidence") else 455
    return {
        "schema_version": "policy.v0",
        "policy_id": "synthetic",
        "policy_version": "1",
        "fx_bounds": {"EUR": [0.8, 1.6]},
        "evidence": {key: {"type": "number", "min": 0, "max": 1, "step": 0.01} for key in KEYS},
        "rules": made,
    }


def policy_of(document: dict[str, Any]) -> Policy:
    return parse_policy(json.dumps(document))


def requests_for(policy: Policy, count: int) -> list[Observation]:
    """Return random usable requests of a synthetic policy's actions."""
    chance = random.Random(11)
    rows = []
    for number in range(count):
        document = {
            "schema_version": "decision_request.v0",
            "subject": {"type": "agent", "id": "a"},
            "action": {
                "type": chance.choice(policy.action_types),
                "intent": "x",
                "amount": {"value": chance.randint(0, 500), "currency": "USD"},
            },
            "evidence": {key: chance.randint(0, 20) / 20 for key in KEYS},
            "context": {"mode": "digest_only", "digest": "sha256:" + "0" * 64},
        }
        request = parsed(policy, document)
        rows.append(Observation(name=str(number), step=0, document=document, request=request, similarity=_ZERO))
    return rows


def support() -> tuple[Policy, list[Observation]]:
    """Return the starter policy and what its golden vectors decided."""
    policy = load_policy(SUPPORT_POLICY)
    suites = [load_suite(path, root=ROOT) for path in discover(ROOT, ["vectors/v0"])]
    vectors = [v for suite in suites for v in suite.vectors if v.policy and v.policy.policy_hash == policy.policy_hash]
    return policy, observe((run(vector) for vector in vectors), policy)


def seconds(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def kill_all(policy: Policy, rows: list[Observation], most: int | None = None, *, scope: Scope = Scope.CORE) -> int:
    """Hold mutants against decisions, from nothing: what the rows hold, the mutants, and which row notices which."""
    matrix = Matrix(policy, rows)
    made = mutants(policy, scope)[:most]
    for mutant in made:
        matrix.killed_by(mutant)
    return len(made)


def suggesting(policy: Policy, rounds: int) -> bool:
    """Measure suggestions from scratch: every edit and goal of the policy closed, by few vectors, soon."""
    found = suggest(policy, [])
    took = seconds(lambda: suggest(policy, []), rounds)
    ran = [suite_of(found.found)] if not found.left else []
    rows = [row for suite in ran for row in suite]
    after, covered = assess(policy, rows), cover(policy, rows)
    open_ = len(after.survivors) + len(after.unknown) + sum(len(covered.missing(each)) for each in Criterion)
    print(f"suggestions from scratch: {len(found.found)}, each decided by a gate, in {took:.2f} s; {open_} left open")
    met = report("suggestions from scratch, in s", took, 1)
    met &= report("suggestions from scratch", len(found.found), 60)
    return report("edits and goals they leave open", open_, 0) and met


def suite_of(found: tuple[Suggestion, ...]) -> list[Observation]:
    """Return what suggestions decide, run as vectors from the text that would be written."""
    text = suggestions_text(found, policy_file=SUPPORT_POLICY.relative_to(ROOT).as_posix())
    document = load(text.encode(), file="s.yml", error=InvalidVectorError)
    vectors = parse_suite(document, path=ROOT / "s.yml", root=ROOT).vectors
    return observe((run(vector) for vector in vectors), load_policy(SUPPORT_POLICY))


def beside_a_run(write: Callable[[Path], None], rounds: int) -> dict[str, float]:
    """Return, by what was edited before it, what a run that measures its vectors takes against one that does not."""
    plain, measured = ("-p", "lumyn", "--lumyn-vectors"), ("-p", "lumyn", "--lumyn-vectors", "--lumyn-coverage")
    ratios = {}
    with tempfile.TemporaryDirectory(prefix="lumyn-bench-") as name:
        folder = Path(name)
        write(folder)
        edit_vector(folder, 0)
        for each in (plain, measured) * 3:  # what killed mutants are judged for is known from the third run on
            if run_pytest(folder, each)[0].code:
                raise SystemExit("the vectors of the benchmark do not pass")
        for number, (kind, _, edit) in enumerate(SITUATIONS):
            pairs = []
            for place in range(rounds):
                taken = {}
                for turn, each in enumerate((plain, measured) if place % 2 else (measured, plain)):
                    edit(folder, 2 * (number * rounds + place) + turn + 1)
                    taken[each] = run_pytest(folder, each)[0].cpu_s
                pairs.append((taken[plain], taken[measured]))
            usual, more = (statistics.median(each) * 1e3 for each in zip(*pairs, strict=True))
            apart = statistics.median(after - before for before, after in pairs) * 1e3
            print(f"{write.__name__}, {kind}: {usual:.0f} ms, measured {more:.0f} ms; {apart:.0f} ms apart in pairs")
            ratios[kind] = statistics.median(after / before for before, after in pairs)
    return ratios


SITUATIONS: tuple[tuple[str, float, Callable[[Path, int], None]], ...] = (
    ("nothing edited", 1.05, lambda folder, number: None),
    ("a vector edited", 1.15, edit_vector),
    ("the policy edited", 1.3, edit_policy),
    ("the first run", 1.3, lambda folder, number: forget(folder)),
)
"""What was edited since the last run, the most that measuring may take then, and the edit, another for each number."""


def main() -> int:
    options = arguments("Analysis against one evaluation, and its growth.", rounds=5)
    rounds, met = options.rounds, True
    policy, rows = support()

    def one_by_one() -> None:
        for row in rows:
            plan = compile_policy(policy).plan(row.request.action_type)
            plan.evaluate(plan.facts(row.request), row.similarity)

    evaluation = seconds(one_by_one, rounds) / len(rows)
    for scope in Scope:
        made = kill_all(policy, rows, scope=scope)
        taken = seconds(partial(kill_all, policy, rows, scope=scope), rounds)
        print(f"support policy, {made} {scope} mutants x {len(rows)} decisions: {taken * 1e3:.1f} ms")
        met &= report(f"all {scope} mutants by all decisions, in ms", taken * 1e3, 25)
        met &= report("one mutant by one decision, in evaluations", taken / made / len(rows) / evaluation, 0.1)
    whole = seconds(lambda: (assess(policy, rows), cover(policy, rows)), rounds)
    print(f"coverage and mutation of {len(rows)} decisions, proofs included: {whole * 1e3:.0f} ms")

    met &= suggesting(policy, rounds)
    large = policy_of(synthetic(1000))
    wide = policy_of(synthetic(300))
    many = requests_for(wide, 300)
    count = min(5000, len(mutants(wide)))
    bits = seconds(lambda: kill_all(wide, many, count), 1)
    print(f"{count} mutants x {len(many)} requests: {bits:.2f} s")
    met &= report("5,000 mutants by 300 vectors, in s", bits * 5000 / count, 1.5)
    checked = seconds(lambda: check(large), 1)
    smaller = policy_of(synthetic(500))
    half = seconds(lambda: check(smaller), 1)
    print(f"check of 1,000 rules: {checked:.2f} s")
    met &= report("check of 1,000 rules, in s", checked, 1)
    met &= report("check of 1,000 rules against 500", checked / half, 3)
    edited = policy_of(synthetic(1000, edits=30))
    changed = seconds(lambda: diff(large, edited), 1)
    print(f"diff of 1,000 rules with 30 edits: {changed:.2f} s, {len(diff(large, edited).changes)} kinds of changes")
    met &= report("diff of 1,000 rules with 30 edits, in s", changed, 0.5)
    promise = {"never": {"verdict": "TRUST", "where": {"amount_usd_gt": 450}}}
    promising = policy_of({**synthetic(1000), "invariants": [promise]})
    proved = seconds(lambda: prove(promising, promising.promises[0]), 1)
    print(f"one invariant over 1,000 rules: {proved:.2f} s, {prove(promising, promising.promises[0]).status}")
    met &= report("an invariant over 1,000 rules, in s", proved, 0.2)
    for write in (every_topic, one_thing, all_golden):
        ratios = beside_a_run(write, max(rounds, 9))
        for kind, most, _ in SITUATIONS:
            met &= report(f"a run with its coverage, {write.__name__}, {kind}", ratios[kind], most)
    return 0 if met or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
