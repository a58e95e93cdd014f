"""
Reads an edit as reports print it, and makes it in the document, as somebody would who tries whether it is true.
Knows the words of reports and the document alone, never how a mutant is made.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeAlias

from lumyn.analysis.mutant import Mutant
from lumyn.policy.operators import EVIDENCE_PREFIX, OPERATORS, split_condition

__all__ = ["by_hand"]

Document: TypeAlias = "dict[str, Any]"

BLOCKS = ("if", "if_all", "if_any")
OPERATOR_OF = {operator.symbol: name for name, operator in OPERATORS.items()}


def by_hand(document: Document, mutant: Mutant) -> list[Document]:
    """Return a document with the edit made; several where what is printed means more than one place of a rule."""
    edited = copy.deepcopy(document)
    words = mutant.place.split(" ")
    if mutant.place.startswith("threshold "):
        edited["thresholds"][words[1]] = number(mutant.edit)
    elif words[1:2] == ["requires"]:
        edited["required_evidence"][words[0]].remove(words[2])
    elif mutant.place.startswith("default "):
        member = "default_verdict" if words[1] == "verdict" else "default_reason_code"
        edited.setdefault("defaults", {})[member] = mutant.edit
    elif len(words) > 1:
        return [*conditions_edited(document, mutant, words[0], " ".join(words[1:]))]
    else:
        edit_rule(edited, mutant, words[0])
    return [edited]


def edit_rule(document: Document, mutant: Mutant, rule_id: str) -> None:
    """Make an edit of a whole rule in place."""
    rules, words = document["rules"], mutant.edit.split(" ")
    at = next(place for place, rule in enumerate(rules) if rule["id"] == rule_id)
    rule = rules[at]
    match mutant.operator:
        case "rule":
            del rules[at]
            if rule["stage"] == "REQUIREMENTS" and not [*groups(rule)]:
                del document["required_evidence"]  # the loader refuses keys that nobody asks for
        case "verdict":
            rule["then"]["verdict"] = words[2]
            if words[2] != "QUERY":
                rule["then"].pop("queries", None)
        case "code":
            codes = rule["then"]["reason_codes"]
            codes[codes.index(words[0])] = words[-1]
            if words[-1] == "dropped":
                codes.remove("dropped")
        case "action":
            rule["when"]["action_type_in"].remove(words[2])
        case "every_action":
            del rule["when"]
        case "stage":
            rule["stage"] = words[2]
        case "order":
            before = next(place for place, each in enumerate(rules) if each["id"] == words[1])
            rules.insert(before, rules.pop(at))
        case "query":
            rule["then"]["queries"] = [each for each in rule["then"]["queries"] if each["field"] != words[1]]
        case "obligation":
            del rule["then"]["obligations"][int(words[1]) - 1]
        case other:
            raise ValueError(other)


def conditions_edited(document: Document, mutant: Mutant, rule_id: str, said: str) -> Iterator[Document]:
    """Yield the document with the edit made to a condition that reads like `said`, one for each of them."""
    at = next(place for place, rule in enumerate(document["rules"]) if rule["id"] == rule_id)
    for place, (_, _, group) in enumerate(groups(document["rules"][at])):
        for text in group:
            if said == shown(document, text, group[text]):
                edited = copy.deepcopy(document)
                rule = edited["rules"][at]
                kind, listed, edited_group = [*groups(rule)][place]
                edit_condition(edited, edited_group, text, mutant)
                if not edited_group:
                    listed.remove(edited_group)
                if not edited_group and (kind == "if" or not listed):
                    del rule[kind]
                yield edited


def edit_condition(document: Document, group: Document, text: str, mutant: Mutant) -> None:
    """Make the edit of one condition in place."""
    constant = meant(document, group[text])
    word, _, rest = mutant.edit.partition(" ")
    if mutant.edit == "dropped":
        del group[text]
    elif mutant.operator == "member":
        left = [each for each in constant if spelt(each) != rest]
        group[text] = left if word == "without" else [*constant, rest]
    elif mutant.operator in ("bound", "reverse"):
        symbol = max((each for each in OPERATOR_OF if mutant.edit.startswith(f"{each} ")), key=len)
        fact, operator = split_condition(text) or ("", "")
        group[f"{text.removesuffix(operator)}{OPERATOR_OF[symbol]}"] = group.pop(text)
        assert fact
    elif isinstance(constant, bool):
        group[text] = mutant.edit == "true"
    else:
        group[text] = mutant.edit if isinstance(constant, str) else number(mutant.edit)


def groups(rule: Document) -> Iterator[tuple[str, list[Document], Document]]:
    """Yield the groups of conditions of a rule, each with the name of its block and the list it stands in."""
    for kind in BLOCKS:
        if kind in rule:
            listed = [rule[kind]] if kind == "if" else rule[kind]
            for group in [*listed]:
                yield kind, listed, group


def shown(document: Document, text: str, constant: Any) -> str:
    """Return a condition as reports write it."""
    fact, operator = split_condition(text) or ("", "")
    value = meant(document, constant)
    return f"{fact.removeprefix(EVIDENCE_PREFIX)} {OPERATORS[operator].symbol} {spelt(value)}"


def meant(document: Document, constant: Any) -> Any:
    return document["thresholds"][constant["threshold"]] if isinstance(constant, dict) else constant


def spelt(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(spelt, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def number(text: str) -> int | float:
    value = Decimal(text)
    return int(value) if value == value.to_integral_value() else float(value)
