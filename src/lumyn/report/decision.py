"""
The explanation of a stored decision in words: sections of labelled lines, for a terminal and for a ticket alike.
Must not know how either writes them; texts are as the data has them, so whoever writes them makes them safe.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lumyn.core.deciding import DEFAULT_RULE
from lumyn.core.explain import Consulted, Explanation
from lumyn.core.replay import ReplayStatus
from lumyn.engine.nearest import condition_text, value_text
from lumyn.engine.trace import ConditionTrace, RuleTrace, Truth
from lumyn.errors import Span
from lumyn.model import JsonObject, JsonValue, Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.registry import registry
from lumyn.policy.scalars import decimal_text
from lumyn.policy.spec import Policy
from lumyn.report.sections import Row, Section

__all__ = ["PolicyPlace", "sections"]

_SHOWN_ALTERNATIVES: Final = 3
_SHOWN_CONDITIONS: Final = 8
_SHOWN_DIFFERENCES: Final = 5
_OUTCOMES: Final = {Truth.TRUE: "fired", Truth.FALSE: "no", Truth.UNKNOWN: "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPlace:
    """
    Where the policy that decided can be read.

    Attributes:
        file: The file it was loaded from, as far as that is known; empty when it is not.
        same: Whether that file holds the same text today; None when there is no such file.
    """

    file: str = ""
    same: bool | None = None

    def where(self, span: Span) -> str:
        """Return a place in the policy: in its file while that is unchanged, else in the text that the store keeps."""
        return f"{self.file}:{span.line}:{span.column}" if self.same else f"stored policy:{span.line}:{span.column}"


def sections(explanation: Explanation, place: PolicyPlace) -> list[Section]:
    """Return the explanation, what matters most first; empty sections are left out."""
    parts: list[tuple[str, Iterable[Row]]] = [
        ("Decided by", _deciding(explanation, place)),
        ("Nearest miss", _alternatives(explanation)),
        ("Rules that apply", _rules(explanation)),
        ("Evidence", _evidence(explanation)),
        ("Memory", _memory(explanation)),
        ("Questions", (Row(label=each.field, text=each.question) for each in explanation.record.queries)),
        ("Obligations", _obligations(explanation)),
        ("Since then", _events(explanation)),
        ("Policy", _policy(explanation, place)),
        ("Digests", _digests(explanation)),
        ("Verify", _verify(explanation)),
    ]
    made = [Section(title=title, rows=tuple(rows)) for title, rows in parts]
    return [section for section in made if section.rows]


def _deciding(explanation: Explanation, place: PolicyPlace) -> Iterator[Row]:
    for code in explanation.record.reason_codes:
        yield Row(label="reason", text=f"{code}: {_meaning(code, explanation.policy)}")
    if not explanation.deciding:
        for matched in explanation.record.matched_rules:
            if matched.effect is explanation.record.verdict:
                yield Row(label=matched.rule_id, text=f"{matched.stage} (the policy is not at hand)")
    for rule in explanation.deciding:
        stage = "" if rule.rule_id == DEFAULT_RULE else f"{rule.stage} "
        where = "by the engine itself" if rule.span is None else place.where(rule.span)
        yield Row(label=rule.rule_id, text=f"{stage}{where}", below=rule.operands)


def _alternatives(explanation: Explanation) -> Iterator[Row]:
    if explanation.not_searched:
        yield Row(label="", text=f"not looked for: {explanation.not_searched}")
        return
    verdict = explanation.record.verdict
    found = explanation.alternatives
    if verdict is not Verdict.TRUST and not any(each.verdict.strictness < verdict.strictness for each in found):
        yield Row(label="", text="nothing that was tried, one value or two together, would have loosened this verdict")
    for each in found[:_SHOWN_ALTERNATIVES]:
        yield Row(label="", text=f"{each.words} this would have been", verdict=each.verdict, ends=True)
    if len(found) > _SHOWN_ALTERNATIVES:
        yield Row(label="", text=f"and {len(found) - _SHOWN_ALTERNATIVES} more; `--json` lists all")


def _rules(explanation: Explanation) -> Iterator[Row]:
    if explanation.traced is None:
        return
    for traced in explanation.traced.rules:
        rule = traced.rule
        yield Row(
            label=rule.rule_id,
            text=f"{_OUTCOMES[traced.truth]:8} {rule.stage}: {rule.verdict}, line {rule.span.line}",
            below=tuple(_why(traced)),
            strong=traced.truth is not Truth.FALSE,
        )


def _why(traced: RuleTrace) -> Iterator[str]:
    if traced.rule.is_requirements_check:
        yield f"missing {', '.join(traced.missing)}" if traced.missing else "nothing that is required is missing"
        return
    if not traced.conditions:
        yield "has no conditions"
        return
    told = [condition for condition in traced.conditions if condition.outcome is traced.truth]
    for condition in told[:_SHOWN_CONDITIONS]:
        yield _told(condition)
    if len(told) > _SHOWN_CONDITIONS:
        yield f"and {len(told) - _SHOWN_CONDITIONS} more"


def _told(traced: ConditionTrace) -> str:
    condition = traced.condition
    if condition.operator.name == "present":
        given = (traced.outcome is Truth.TRUE) == condition.operand
        return f"{condition.fact.removeprefix(EVIDENCE_PREFIX)} is {'given' if given else 'missing'}"
    name = f" ({condition.threshold})" if condition.threshold else ""
    outcome = "" if traced.outcome is Truth.TRUE else f": {traced.outcome}"
    return f"{condition_text(traced)}{name}{outcome}"


def _evidence(explanation: Explanation) -> Iterator[Row]:
    facts = None if explanation.traced is None else explanation.traced.facts
    if facts is not None:
        for key in facts.missing:
            yield Row(label="missing", text=key)
        for key, code in facts.invalid.items():
            yield Row(label="unusable", text=f"{key}: {code}")
        if facts.amount_usd is not None and facts.amount_currency != "USD":
            amount = f"{value_text(facts.amount_value)} {facts.amount_currency}"
            yield Row(label="converted", text=f"{amount} is {value_text(facts.amount_usd)} USD")
        if facts.uncertainty:
            yield Row(label="uncertainty", text=decimal_text(facts.uncertainty))
    for pointer in explanation.removed:
        told = "; its fact stands in for it" if pointer in explanation.from_facts else ""
        yield Row(label="not stored", text=f"{pointer}{told}")
    for pointer in explanation.unknown:
        yield Row(label="not known", text=f"{pointer}; a rule reads it, so no rule is told")


def _memory(explanation: Explanation) -> Iterator[Row]:
    record = explanation.record
    if explanation.memory_items is None:
        yield Row(label="", text="could not be read when this was decided")
        return
    count = explanation.memory_items
    noun = "experience" if count == 1 else "experiences"
    score = decimal_text(record.failure_similarity)
    yield Row(label="", text=f"{count} {noun} of this action and tenant, failure similarity {score}")
    for each in explanation.consulted:
        label = each.match.label.value.replace("_", " ")
        text = f"like the {label} {each.match.memory_id}: {each.match.summary}"
        yield Row(label=decimal_text(each.match.score), text=text, below=tuple(_shared(each)))


def _shared(consulted: Consulted) -> Iterator[str]:
    item, found = consulted.item, consulted.resemblance
    if item is None:
        yield "not in the store any more"
    elif item.source_decision_id is not None:
        yield f"of decision {item.source_decision_id}, labelled {item.created_at}"
    if found is None:
        return
    if found.shared:
        yield f"shared: {', '.join(found.shared)}"
    if found.unsaid:
        yield f"left out here, so shared: {', '.join(found.unsaid)}"
    if found.differing:
        yield f"different: {', '.join(found.differing)}"


def _obligations(explanation: Explanation) -> Iterator[Row]:
    for obligation in explanation.record.obligations:
        duty: JsonObject = {name: value for name, value in obligation.items() if name != "source"}
        yield Row(label=str(_object(obligation.get("source")).get("rule_id", "")), text=_compact(duty))


def _events(explanation: Explanation) -> Iterator[Row]:
    for event in explanation.events:
        by = f" by {event.actor}" if event.actor else ""
        yield Row(label=event.type, text=f"{event.at}{by} {_compact(event.data)}")


def _policy(explanation: Explanation, place: PolicyPlace) -> Iterator[Row]:
    policy = explanation.record.policy
    yield Row(label="policy", text=f"{policy.policy_id} {policy.policy_version} ({policy.mode.value})")
    if explanation.policy_problem:
        yield Row(label="", text=explanation.policy_problem)
    elif place.same:
        yield Row(label="text", text=f"{place.file} is the text that decided")
    else:
        if place.file:
            gone = "is not there any more" if place.same is None else "holds another text today"
            yield Row(label="text", text=f"{place.file} {gone}; lines are those of the stored text")
        yield Row(label="read it", text=f"lumyn policy show {policy.policy_hash}")


def _digests(explanation: Explanation) -> Iterator[Row]:
    record = explanation.record
    yield Row(label="inputs", text=record.inputs_digest)
    yield Row(label="request", text=record.request_digest)
    yield Row(label="policy", text=record.policy.policy_hash)
    yield Row(label="memory", text=record.memory_snapshot)


def _verify(explanation: Explanation) -> Iterator[Row]:
    replay = explanation.replay
    differing = replay.differences
    if replay.record is None:
        text = f"cannot be decided again: {replay.reason}"
    elif differing:
        text = "decided again just now, it comes out differently:"
    elif replay.status is ReplayStatus.FULL:
        text = "decided again just now from what is stored, it came out the same"
    else:
        text = f"decided again just now, its outcome is the same; {replay.reason}"
    below = [f"{each.path}: stored {_compact(each.stored)}, now {_compact(each.replayed)}" for each in differing]
    left = len(below) - _SHOWN_DIFFERENCES
    more = [f"and {left} more; `--json` lists all"] if left > 0 else []
    yield Row(label="", text=text, below=(*below[:_SHOWN_DIFFERENCES], *more))
    yield Row(label="", text="`lumyn verify` checks that no row of the store was changed")


def _meaning(code: str, policy: Policy | None) -> str:
    own = {} if policy is None else policy.reason_codes
    return own.get(code) or registry().get(code, "not in the registry")


def _compact(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
