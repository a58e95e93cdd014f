"""
Evaluating a 26-rule policy, against the same rules typed by hand and given to other engines in one run.

    python benchmarks/bench_evaluate.py [--rounds 15] [--check]

Peers that are not installed are named and left out; `pip install --group bench` brings them.
"""

from __future__ import annotations

import copy
import statistics
from decimal import Decimal
from importlib import import_module

import by_hand
from common import REFUND, ROOT, arguments, interleaved, microseconds, report
from peers import PEERS, flat_facts

from lumyn import load_policy
from lumyn.core.requests import request_from_document
from lumyn.digest import freeze
from lumyn.engine.evaluator import compile_policy, trace_facts
from lumyn.model import DecisionRequest, Facts

REPEATS = 20
NOTHING = Decimal(0)
MODULES = {
    "cedarpy": "cedarpy",
    "zen-engine, decision table": "zen",
    "regopy": "regopy",
    "casbin (first match only)": "casbin",
    "rule-engine": "rule_engine",
}


def asked() -> list[DecisionRequest]:
    """Return 26 well-formed requests over all seven actions and all four verdicts."""
    low: dict[str, object] = {"payment_instrument_risk": "low", "chargeback_risk": 0.05}
    refund = REFUND["evidence"]
    credit = {**low, "ticket_id": "t", "customer_id": "c", "reason_code": "late"}
    email = {"user_id": "u", "new_email": "a@b", "verification_method": "reauth", "account_takeover_risk": 0.1}
    reset = {"customer_id": "c", "account_takeover_risk": 0.2}
    cases: list[tuple[str, float | None, str, dict[str, object]]] = [
        *(("support.refund", value, "USD", refund) for value in (5, 12.5, 25, 25.01, 60, 200, 200.01)),
        ("support.refund", 10, "EUR", {**refund, "fx_rate_to_usd": 1.1}),
        ("support.refund", 12.5, "USD", {**refund, "payment_instrument_risk": "high"}),
        ("support.refund", 12.5, "USD", {**refund, "chargeback_risk": 0.5}),
        ("support.refund", 12.5, "USD", {**refund, "chargeback_risk": 0.7}),
        ("support.refund", 12.5, "USD", {**refund, "previous_refund_count_90d": 2}),
        ("support.refund", 12.5, "USD", {**refund, "customer_age_days": 3}),
        ("support.refund", 12.5, "USD", {k: v for k, v in refund.items() if k != "order_id"}),
        ("support.issue_credit", 10, "USD", credit),
        ("support.issue_credit", 15.01, "USD", credit),
        ("support.issue_credit", 10, "USD", {**credit, "payment_instrument_risk": "high"}),
        ("support.close_ticket", None, "", {"ticket_id": "t", "resolution": "done"}),
        ("support.update_ticket", None, "", {"ticket_id": "t"}),
        ("support.change_plan", None, "", {"customer_id": "c", "manual_approval": True}),
        ("support.change_plan", None, "", {"customer_id": "c", "manual_approval": False}),
        ("support.reset_password", None, "", {**reset, "manual_approval": True}),
        ("support.reset_password", None, "", {**reset, "account_takeover_risk": 0.8, "manual_approval": False}),
        ("account.change_email", None, "", email),
        ("account.change_email", None, "", {**email, "account_takeover_risk": 0.4}),
        ("account.change_email", None, "", {**email, "account_takeover_risk": 0.9}),
    ]
    made = []
    for action, value, currency, evidence in cases:
        document = copy.deepcopy(REFUND)
        document["action"] |= {"type": action, "amount": {"value": value, "currency": currency}}
        if value is None:
            del document["action"]["amount"]
        document["evidence"] = evidence
        made.append(request_from_document(freeze(document)))  # type: ignore[arg-type]
    return made


def main() -> int:
    options = arguments("evaluating a 26-rule policy", rounds=15)
    policy = load_policy(ROOT / "benchmarks" / "policy.yml")
    compiled = compile_policy(policy)
    requests = asked()
    plans = [compiled.plan(request.action_type) for request in requests]
    pairs = list(zip(plans, requests, strict=True))
    facts: list[Facts] = [plan.facts(request) for plan, request in pairs]
    print(f"{len(policy.rules)} rules, {len(policy.action_types)} actions, {len(requests)} requests")

    for (plan, request), known in zip(pairs, facts, strict=True):
        evaluation = plan.evaluate(known, NOTHING)
        rules = tuple(rule.rule_id for rule in evaluation.matched_rules)
        if by_hand.evaluate(request, 0.0) != (evaluation.verdict, evaluation.reason_codes, rules):
            raise SystemExit(f"by_hand.py and the policy differ on {request.action_type} {request.document}")

    def engine(_: int) -> None:
        for _ in range(REPEATS):
            for plan, request in pairs:
                plan.evaluate(plan.facts(request), NOTHING)

    def hand(_: int) -> None:
        for _ in range(REPEATS):
            for request in requests:
                by_hand.evaluate(request, 0.0)

    contenders = {"lumyn, compiled": engine, "typed by hand": hand}
    flats = [flat_facts(policy, known, NOTHING) for known in facts]
    for name, build in PEERS.items():
        try:
            import_module(MODULES[name])
        except ImportError:
            print(f"  -- {name}: not installed")
            continue
        peer = build(policy)
        for flat, known, (plan, _) in zip(flats, facts, pairs, strict=True):
            fired = {rule.rule_id for rule in plan.evaluate(known, NOTHING).matched_rules}
            found = peer(flat)
            alike = found <= fired and bool(found) == bool(fired) if "first match" in name else found == fired
            if not alike:
                raise SystemExit(f"{name} and the policy differ: {sorted(found)} and {sorted(fired)} for {flat}")
        contenders[name] = lambda _, peer=peer: [peer(flat) for flat in flats]  # type: ignore[misc]

    times = interleaved(contenders, rounds=options.rounds)
    per = {name: len(requests) * (REPEATS if name in {"lumyn, compiled", "typed by hand"} else 1) for name in times}
    ours = microseconds(times["lumyn, compiled"], per=per["lumyn, compiled"])
    for name, seconds in times.items():
        one = microseconds(seconds, per=per[name])
        print(f"{name:32}{one:9.2f} us  {one / ours:8.1f} x")
    traced = interleaved({"traced": lambda _: [trace_facts(policy, f, similarity=NOTHING) for f in facts]}, rounds=3)
    print(f"{'lumyn, traced (explanations)':32}{statistics.median(traced['traced']) / len(facts) * 1e6:9.2f} us")
    met = [report("lumyn / typed by hand", ours / microseconds(times["typed by hand"], per=per["typed by hand"]), 3)]
    met += [
        report(f"{name} / lumyn", microseconds(seconds, per=per[name]) / ours, 10, at_least=True)
        for name, seconds in times.items()
        if name in PEERS
    ]
    return 1 if options.check and not all(met) else 0


if __name__ == "__main__":
    raise SystemExit(main())
