"""
Random policies as an author might hand them to the loader: named thresholds, promises, rates pinned to a number.
Widens the documents of `strategies` and lets the loader have the last word.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from strategies import ACTIONS, CODES, DECLARATIONS, Document, groups, policy_documents, rules

from lumyn.errors import InvalidPolicyError
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy

BLOCKS = ("if", "if_all", "if_any")
WITHOUT_CONDITIONS = ("REQUIREMENTS",)


def load(document: Document) -> Policy:
    """Return the policy a document means to the loader."""
    return parse_policy(json.dumps(document), file="policy.json")


def loads(document: Document) -> bool:
    try:
        load(document)
    except InvalidPolicyError:
        return False
    return True


def groups_of(rule: Document) -> list[Document]:
    return [group for kind in BLOCKS if kind in rule for group in ([rule[kind]] if kind == "if" else rule[kind])]


def tidy(rule: Document) -> None:
    """Drop conditions a rule says twice, which the loader refuses; one key may be compared with several constants."""
    seen: set[tuple[str, frozenset[Any]]] = set()
    for group in groups_of(rule):
        for text, constant in [*group.items()]:
            said = text, frozenset(constant if isinstance(constant, list) else [constant])
            if said in seen:
                del group[text]
            seen.add(said)
    for kind in BLOCKS:
        if kind in rule:
            left = rule[kind] if kind == "if" else [group for group in rule[kind] if group]
            if left:
                rule[kind] = left
            else:
                del rule[kind]
    if rule["stage"] not in WITHOUT_CONDITIONS and not groups_of(rule):
        rule["if"] = {"amount_usd_present": True}


def name_thresholds(draw: Any, document: Document) -> None:
    """Give some constants a name, equal ones of one attribute now and then the same."""
    names: dict[str, Any] = {}
    for group in (group for rule in document["rules"] for group in groups_of(rule)):
        for text, constant in group.items():
            if isinstance(constant, (bool, list, dict)) or draw(st.integers(0, 3)):
                continue
            fact = text.rpartition("_")[0].removeprefix("evidence.").replace(".", "_")
            name = f"{fact}_{len(names) if draw(st.booleans()) else 0}"
            if names.setdefault(name, constant) == constant and type(names[name]) is type(constant):
                group[text] = {"threshold": name}
    if names:
        document["thresholds"] = names


@st.composite
def rich_documents(draw: Any) -> Document:
    """Draw a document the loader takes."""
    document: Document = copy.deepcopy(draw(policy_documents()))
    document.pop("memory", None)
    document["reason_codes"] = dict.fromkeys((*CODES, "NOTHING_MATCHED"), "what it means")
    for rule in document["rules"]:
        if draw(st.integers(0, 9)) == 0:
            group = {f"evidence.fx_rate_to_usd_{draw(st.sampled_from(('is', 'ne')))}": draw(st.sampled_from((1, 1.1)))}
            rule["if_all"] = [*rule.get("if_all", []), group]
        tidy(rule)
    name_thresholds(draw, document)
    assume(loads(document))
    return document


@st.composite
def promised_documents(draw: Any) -> Document:
    """Draw a document with invariants, only such as say something about its rules."""
    document: Document = draw(rich_documents())
    promises = draw(st.lists(invariants(), min_size=2, max_size=5))
    document["invariants"] = [each for each in promises if loads({**document, "invariants": [each]})]
    return document


@st.composite
def invariants(draw: Any) -> Document:
    """Draw a promise of any kind."""
    kind = draw(st.sampled_from(("never", "requires", "monotone", "fail_closed")))
    if kind == "fail_closed":
        return {kind: draw(st.sampled_from(("all", ["risk"], ["level", "flag"], ["days"])))}
    when = draw(st.sampled_from(({}, {}, {"when": {"action_type": ACTIONS[0]}})))
    if kind == "monotone":
        facts = ("amount_usd", "risk.failure_similarity", "evidence.risk", "evidence.days")
        return {
            kind: {"fact": draw(st.sampled_from(facts)), "as_it": draw(st.sampled_from(("grows", "falls"))), **when}
        }
    verdicts = draw(
        st.lists(st.sampled_from(("TRUST", "TRUST", "ESCALATE", "QUERY", "ABSTAIN")), min_size=1, max_size=2)
    )
    where = draw(groups("TRUST_PATHS", guarded=False))
    return {kind: {"verdict": sorted(set(verdicts)), "where": where, **when}}


@st.composite
def edited_documents(draw: Any) -> tuple[Document, Document]:
    """Draw a document, and the same after a few edits: rules, declarations, bounds of rates, required keys, default."""
    old: Document = draw(rich_documents())
    new = copy.deepcopy(old)
    for _ in range(draw(st.integers(1, 3))):
        before = copy.deepcopy(new)
        edit(draw, new)
        if not loads(new):
            new = before
    assume(new != old)
    return old, new


def edit(draw: Any, document: Document) -> None:
    """Make one edit in place; the loader may refuse what comes of it."""
    listed = document["rules"]
    place = draw(st.integers(0, len(listed) - 1))
    match draw(st.sampled_from(("rule", "drop", "swap", "then", "evidence", "fx", "required", "default", "constant"))):
        case "rule":
            listed[place] = {**draw(rules(place, guarded=False)), "id": listed[place]["id"]}
            tidy(listed[place])
        case "drop" if len(listed) > 1:
            del listed[place]
        case "swap":
            listed.insert(draw(st.integers(0, len(listed) - 1)), listed.pop(place))
        case "then":
            if listed[place]["stage"] != "TRUST_PATHS":
                listed[place]["then"] = {
                    **listed[place]["then"],
                    "verdict": draw(st.sampled_from(("QUERY", "ABSTAIN"))),
                }
                if listed[place]["then"]["verdict"] != "QUERY":
                    listed[place]["then"].pop("queries", None)
        case "evidence":
            key = draw(st.sampled_from(sorted(DECLARATIONS)))
            spec = draw(st.sampled_from(DECLARATIONS[key]))
            document["evidence"] = {name: each for name, each in document["evidence"].items() if name != key}
            document["evidence"] |= {} if spec is None else {key: spec}
        case "fx":
            bounds = draw(st.sampled_from((None, {"EUR": [0.8, 1.6]}, {"EUR": [0.8, 1.2], "JPY": [0.004, 0.01]})))
            document.pop("fx_bounds", None)
            document.update({} if bounds is None else {"fx_bounds": bounds})
        case "required":
            action = draw(st.sampled_from(ACTIONS))
            keys = draw(st.lists(st.sampled_from(("ticket", "order", "risk")), max_size=2, unique=True))
            document["required_evidence"] = {**document["required_evidence"], action: keys}
            if not keys:
                del document["required_evidence"][action]
        case "default":
            verdict = draw(st.sampled_from(("ESCALATE", "QUERY", "ABSTAIN")))
            document["defaults"] = {**document["defaults"], "default_verdict": verdict}
        case "constant":
            group = draw(st.sampled_from(groups_of(listed[place]) or [{}]))
            for text, constant in group.items():
                if isinstance(constant, (int, float)) and not isinstance(constant, bool):
                    group[text] = draw(st.sampled_from((constant * 10, constant + 1, 0.3)))
