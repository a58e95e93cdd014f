"""Where two policies make different records of one request, as a formula: verdict, rules, codes, queries, duties."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from z3_model import CODES, GUARDS, Model, z3

from lumyn.model import Stage, Verdict
from lumyn.policy.spec import Rule


def differs(old: Model, new: Model) -> Any:
    """Return where the two records differ in anything but digests and risk signals."""
    return z3.Or(verdict_differs(old, new), *_matched(old, new), *_default(old, new), *_queries(old, new))


def verdict_differs(old: Model, new: Model) -> Any:
    return z3.Or([z3.Xor(old.verdicts[verdict], new.verdicts[verdict]) for verdict in Verdict])


def _said(rule: Rule) -> tuple[object, ...]:
    return rule.stage, rule.verdict, rule.reason_codes, rule.obligations


def _matched(old: Model, new: Model) -> list[Any]:
    before, after = ({rule.rule_id: rule for rule in model.rules} for model in (old, new))
    parts = [z3.Xor(old.withheld, new.withheld), z3.Xor(old.facts.out_of_bounds, new.facts.out_of_bounds)]
    parts += [z3.Xor(old.invalid[code], new.invalid[code]) for code in CODES]
    for name in {*before, *after}:
        fires = [model.fires(rules[name]) for model, rules in ((old, before), (new, after)) if name in rules]
        same = len(fires) == 2 and _said(before[name]) == _said(after[name])
        parts.append(z3.Xor(*fires) if same else z3.Or(fires))
    places = {name: place for place, name in enumerate(after)}
    common = [name for name in before if name in places]
    for first, second in combinations(common, 2):
        if places[first] > places[second]:
            parts.append(z3.And(old.fires(before[first]), old.fires(before[second])))
    return parts


def _default(old: Model, new: Model) -> list[Any]:
    same = old.policy.default_reason_code == new.policy.default_reason_code
    return [] if same else [z3.And(old.default, new.default)]


def _queries(old: Model, new: Model) -> list[Any]:
    one, other = asked(old), asked(new)
    fields = {*one, *other}
    no = z3.BoolVal(False)
    blind = [z3.Xor(one.get(field, no), other.get(field, no)) for field in fields]
    here, there = questions(old), questions(new)
    listed = [z3.Xor(here.get(key, no), there.get(key, no)) for key in {*here, *there}]
    return [
        z3.And(old.withheld, new.withheld, z3.Or(blind)),
        z3.And(old.strictest[Verdict.QUERY], new.strictest[Verdict.QUERY], z3.Or(listed)),
    ]


def asked(model: Model) -> dict[str, Any]:
    """Return what is asked for where `TRUST` is withheld -> where."""
    found: dict[str, list[Any]] = {}
    facts = model.facts
    for rule in model.rules:
        if rule.stage not in GUARDS:
            continue
        for fact in {each.fact for each in rule.conditions if each.operator.name != "present"}:
            if fact == "risk.uncertainty":
                continue
            here = z3.And(model.unknown[rule.rule_id], z3.Not(facts.known(fact)))
            if fact == "amount_usd":
                none = facts.request.currency == 0
                found.setdefault("action.amount", []).append(z3.And(here, none))
                found.setdefault("action.amount.currency", []).append(z3.And(here, facts.unlisted))
                rate = z3.And(here, z3.Not(none), z3.Not(facts.unlisted))
                found.setdefault("fx_rate_to_usd", []).append(rate)
            else:
                field = "action.amount" if fact == "amount_currency" else fact.removeprefix("evidence.")
                found.setdefault(field, []).append(here)
    return {field: z3.Or(places) for field, places in found.items()}


def questions(model: Model) -> dict[tuple[str, ...], Any]:
    """Return each question that is asked, and each two fields that are asked one after the other -> where."""
    entries: list[tuple[str, str, Any]] = []
    for rule in model.rules:
        if rule.verdict is not Verdict.QUERY:
            continue
        fires = model.fires(rule)
        if rule.stage is Stage.REQUIREMENTS and not rule.blocks:
            written = {query.field: query.question for query in reversed(rule.queries)}
            for key in model.required:
                text = written.get(key, f"Please provide `{key}`.")
                entries.append((key, text, z3.And(fires, model.missing(key))))
        else:
            entries += [(query.field, query.question, fires) for query in rule.queries]
    shown: list[tuple[str, str, Any]] = []
    for place, (field, text, where) in enumerate(entries):
        earlier = [other for name, _, other in entries[:place] if name == field]
        shown.append((field, text, z3.And(where, z3.Not(z3.Or(earlier)))))
    found: dict[tuple[str, ...], list[Any]] = {}
    for field, text, where in shown:
        found.setdefault((field, "says", text), []).append(where)
    for (first, _, one), (second, _, other) in combinations(shown, 2):
        if first != second:
            found.setdefault((first, "before", second), []).append(z3.And(one, other))
    return {key: z3.Or(places) for key, places in found.items()}
