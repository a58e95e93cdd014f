"""
What would have changed a decision: the nearest values of a request under which the engine answers something else.
Every answer was decided by the engine before it is given; must not know stores or how an answer is laid out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, groupby
from typing import Final, TypeAlias

from lumyn.core.judge import judge
from lumyn.core.levers import SIMILARITY, Lever, Option, levers, with_value
from lumyn.core.requests import REQUEST_SCHEMA, minor_digits, request_from_document
from lumyn.core.stretches import Stretch, merged
from lumyn.documents import join_pointer
from lumyn.documents.schema import check
from lumyn.engine.compiled import ActionPlan
from lumyn.engine.similarity import MemorySnapshot
from lumyn.engine.trace import Fact, read_attribute
from lumyn.model import Evaluation, JsonObject, JsonValue, Verdict
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.scalars import EXACT, decimal_text
from lumyn.policy.spec import Condition, EvidenceType

__all__ = ["Alternative", "Change", "Situation", "WhatIf", "alternatives", "what_if"]

_TRIED: Final = 1_000
"""How many pairs of changes are decided at most."""

_PAIRED: Final = 12
"""How many options of one thing are paired with those of another."""

_FEW_WORDS: Final = 4

_Choice: TypeAlias = "tuple[tuple[int, int], ...]"
"""Places of levers and of the option chosen of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One thing that would have been different.

    Attributes:
        name: The evidence key or attribute.
        pointer: RFC 6901 pointer into the request; empty for the failure similarity.
        words: All the values it is true of, such as `at 25 USD or less`.
        value: One of them, which was decided; None stands for nothing.
    """

    name: str
    pointer: str
    words: str
    value: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """
    A decision that nearly was.

    Attributes:
        changes: One, or two that are needed together; everything else as it was.
        verdict: What the engine answers then.
        reason_codes: With which codes, for the `value` of each change.
        distance: Of all changes together; small is near.
    """

    changes: tuple[Change, ...]
    verdict: Verdict
    reason_codes: tuple[str, ...]
    distance: Decimal

    @property
    def words(self) -> str:
        """The changes in words, such as `at 25 USD or less`."""
        return " and ".join(change.words for change in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """
    A decision as it was made, ready to be made again.

    Attributes:
        document: The request as it is stored.
        memory: What the decision saw.
        evaluation: What came of it.
        similarity: The failure similarity of the request.
    """

    plan: ActionPlan
    document: JsonObject
    memory: MemorySnapshot
    evaluation: Evaluation
    similarity: Decimal


def alternatives(situation: Situation) -> tuple[Alternative, ...]:
    """
    Return what would have changed the verdict, nearest first.

    One change at a time; pairs of changes only where no single one would have loosened the verdict, and then only of
    the values nearest to those that were. Looser verdicts
    come before stricter ones. For each thing that could have been different, the nearest values for each verdict.
    """
    bench = _Bench(situation)
    found = [each for place in range(len(bench.levers)) for each in _single(bench, place)]
    now = situation.evaluation.verdict
    if now is not Verdict.TRUST and all(each.verdict.strictness > now.strictness for each in found):
        found += _pairs(bench)
    return tuple(sorted(found, key=lambda each: (each.verdict.strictness > now.strictness, each.distance)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """
    What would have come of it, had one comparison held that did not.

    Attributes:
        words: The values this is true of, such as `with risk 0.5 or more and less than 0.7`; empty where it is true of
            every value that makes the comparison hold, or of the one value that it names.
        verdict: What the engine answers then.
        fires: Whether the rule fires then.
    """

    words: str
    verdict: Verdict
    fires: bool


def what_if(situation: Situation, condition: Condition, rule_id: str) -> WhatIf | None:
    """
    Return what would have come of it, had `condition` of the rule held; of several outcomes, the nearest.

    Returns:
        None where that cannot be told: nothing that a request could hold makes the condition true, or what it reads
        is not looked at one by one, such as currencies.
    """
    bench = _Bench(situation)
    place = next((place for place, lever in enumerate(bench.levers) if _attribute(lever) == condition.fact), None)
    if place is None or not _all_looked_at(situation, condition):
        return None
    outcomes: dict[int, tuple[Verdict, bool]] = {}
    named: int | None = None
    for at in range(len(bench.levers[place].options)):
        evaluation, value = bench.decided(((place, at),)), bench.value_of(((place, at),), condition.fact)
        if evaluation is not None and _holds(condition, value):
            outcomes[at] = evaluation.verdict, any(rule.rule_id == rule_id for rule in evaluation.matched_rules)
            if value == condition.operand and condition.operator.name in _NAMING_ONE:
                named = at
    if not outcomes:
        return None
    options = bench.levers[place].options
    nearest = min(outcomes, key=lambda at: options[at].distance) if named is None else named
    verdict, fires = outcomes[nearest]
    if named is not None or len(set(outcomes.values())) == 1:
        return WhatIf(words="", verdict=verdict, fires=fires)
    alike = [options[at] for at in _alike(options, outcomes, nearest)]
    return WhatIf(words=_words(bench.levers[place], alike), verdict=verdict, fires=fires)


def _alike(options: Sequence[Option], outcomes: dict[int, tuple[Verdict, bool]], nearest: int) -> range:
    """Return the neighbouring stretches around one that come out like it."""
    low = high = nearest
    while options[low].stretch and options[low - 1].stretch and outcomes.get(low - 1) == outcomes[nearest]:
        low -= 1
    while options[high].stretch and outcomes.get(high + 1) == outcomes[nearest] and options[high + 1].stretch:
        high += 1
    return range(low, high + 1)


_NAMING_ONE: Final = {"gte", "lte", "is"}
"""Operators of which the operand itself is the value to name."""


def _attribute(lever: Lever) -> str:
    """Return what a condition that reads the lever calls it."""
    if not lever.path:
        return SIMILARITY
    if lever.path[0] == "evidence":
        return EVIDENCE_PREFIX + lever.name
    return "amount_usd" if lever.name == "amount" else lever.name


def _all_looked_at(situation: Situation, condition: Condition) -> bool:
    """Return False where more makes the condition true than the options: texts that only memory tells apart."""
    policy, request = situation.plan.policy, request_from_document(situation.document)
    if condition.fact == "amount_usd":
        # What is not there could come in any currency.
        return situation.plan.facts(request).amount_usd is not None
    if condition.operator.name not in {"ne", "not_in", "present"} or condition.evidence_key is None:
        return True
    spec = policy.evidence.get(condition.evidence_key)
    rules = policy.rules_for(request.action_type)
    remembers = any(each.fact == SIMILARITY for rule in rules for each in rule.conditions)
    return not remembers or (spec is not None and spec.type in _CLOSED)


_CLOSED: Final = {EvidenceType.NUMBER, EvidenceType.INTEGER, EvidenceType.BOOLEAN, EvidenceType.ENUM}


def _holds(condition: Condition, value: Fact) -> bool:
    if condition.operator.name == "present":
        return (value is not None) == condition.operand
    return value is not None and condition.operator.holds(value, condition.operand)


class _Bench:
    """Decides changed requests, each once."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        request = request_from_document(situation.document)
        plan = situation.plan
        self.levers = levers(plan.policy, request, plan.facts(request), situation.similarity)
        self.verdict = situation.evaluation.verdict
        # A request that was kept in part need not meet the schema that the whole one met.
        self._checks = check(REQUEST_SCHEMA, situation.document)
        self._known: dict[_Choice, Evaluation | None] = {}

    def decided(self, choice: _Choice) -> Evaluation | None:
        """Return what comes of the changed request; None when no such request can be sent."""
        if choice not in self._known:
            self._known[choice] = self._decide(choice)
        return self._known[choice]

    def verdict_of(self, choice: _Choice) -> Verdict | None:
        """Return the verdict of the changed request; None when no such request can be sent."""
        evaluation = self.decided(choice)
        return None if evaluation is None else evaluation.verdict

    def value_of(self, choice: _Choice, attribute: str) -> Fact:
        """Return what a condition on the attribute would look at in the changed request."""
        document, similarity = self._changed(choice)
        facts = self._situation.plan.facts(request_from_document(document))
        return read_attribute(attribute, facts, self._situation.similarity if similarity is None else similarity)

    def _changed(self, choice: _Choice) -> tuple[JsonObject, Decimal | None]:
        document, similarity = self._situation.document, None
        for place, at in choice:
            lever = self.levers[place]
            value = lever.options[at].value
            if lever.path:
                document = with_value(document, lever.path, value)
            elif isinstance(value, float):
                similarity = Decimal(repr(value))
        return document, similarity

    def _decide(self, choice: _Choice) -> Evaluation | None:
        situation = self._situation
        document, similarity = self._changed(choice)
        if self._checks and not check(REQUEST_SCHEMA, document):
            return None
        request = request_from_document(document)
        if similarity is None:
            return judge(situation.plan, request, situation.memory).evaluation
        return situation.plan.evaluate(situation.plan.facts(request), similarity)


def _single(bench: _Bench, place: int) -> Iterator[Alternative]:
    """Yield the nearest values of one lever for each other verdict."""
    lever = bench.levers[place]
    runs: list[list[int]] = []
    numbers = [at for at, option in enumerate(lever.options) if option.stretch is not None]
    for _, alike in groupby(numbers, key=lambda at: bench.verdict_of(((place, at),))):
        runs.append(list(alike))
    words: dict[Verdict | None, list[int]] = {}
    for at, option in enumerate(lever.options):
        if option.stretch is None:
            words.setdefault(bench.verdict_of(((place, at),)), []).append(at)
    runs += words.values()
    nearest: dict[Verdict, list[int]] = {}
    for run in sorted(runs, key=lambda run: _distance(lever, run)):
        verdict = bench.verdict_of(((place, run[0]),))
        if verdict is not None and verdict is not bench.verdict:
            nearest.setdefault(verdict, run)
    for run in nearest.values():
        yield _alternative(bench, [(place, run)])


def _pairs(bench: _Bench) -> Iterator[Alternative]:
    """Yield the nearest two changes that loosen the verdict together, each as widely as it is true."""
    near = [_nearest_options(lever) for lever in bench.levers]
    choices = [
        (bench.levers[one].options[first].distance + bench.levers[other].options[second].distance, place)
        for one, other in combinations(range(len(near)), 2)
        for first in near[one]
        for second in near[other]
        for place in [((one, first), (other, second))]
    ]
    for _, choice in sorted(choices)[:_TRIED]:
        verdict = bench.verdict_of(choice)
        if verdict is not None and verdict.strictness < bench.verdict.strictness:
            (one, first), (other, second) = choice
            firsts = _run(bench, one, first, [((other, second),)], verdict)
            seconds = _run(bench, other, second, [((one, at),) for at in firsts], verdict)
            yield _alternative(bench, [(one, firsts), (other, seconds)])
            return


def _nearest_options(lever: Lever) -> list[int]:
    """Return the places of the few options of a lever that are nearest, so that pairs of them stay few."""
    return sorted(range(len(lever.options)), key=lambda at: lever.options[at].distance)[:_PAIRED]


def _run(bench: _Bench, place: int, at: int, beside: Sequence[_Choice], verdict: Verdict) -> list[int]:
    """Return the neighbouring stretches around one for which the verdict holds, whatever is chosen `beside` them."""

    def holds(other: int) -> bool:
        return all(bench.verdict_of(tuple(sorted((*rest, (place, other))))) is verdict for rest in beside)

    options = bench.levers[place].options
    low = high = at
    while low > 0 and options[at].stretch and options[low - 1].stretch and holds(low - 1):
        low -= 1
    while high + 1 < len(options) and options[at].stretch and options[high + 1].stretch and holds(high + 1):
        high += 1
    return list(range(low, high + 1))


def _distance(lever: Lever, run: Sequence[int]) -> Decimal:
    return min(lever.options[at].distance for at in run)


def _alternative(bench: _Bench, runs: Sequence[tuple[int, Sequence[int]]]) -> Alternative:
    changes: list[Change] = []
    chosen: list[tuple[int, int]] = []
    for place, run in runs:
        lever = bench.levers[place]
        nearest = min(run, key=lambda at: lever.options[at].distance)
        chosen.append((place, nearest))
        changes.append(
            Change(
                name=lever.name,
                pointer=join_pointer("", *lever.path),
                words=_words(lever, [lever.options[at] for at in run]),
                value=lever.options[nearest].value,
            )
        )
    evaluation = bench.decided(tuple(chosen))
    if evaluation is None:
        raise ValueError("an alternative is one that was decided")
    return Alternative(
        changes=tuple(changes),
        verdict=evaluation.verdict,
        reason_codes=evaluation.reason_codes,
        distance=sum((_distance(bench.levers[place], run) for place, run in runs), Decimal(0)),
    )


def _words(lever: Lever, options: Sequence[Option]) -> str:
    stretches = [option.stretch for option in options if option.stretch is not None]
    if stretches:
        return _range_words(lever, merged(stretches))
    words = [f"{lever.saying}{option.words}" if place == 0 else option.words for place, option in enumerate(options)]
    if len(words) > _FEW_WORDS:
        words = [*words[: _FEW_WORDS - 1], f"one of {len(words) - _FEW_WORDS + 1} others"]
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _range_words(lever: Lever, run: Stretch) -> str:
    low = "" if run.low is None else _number_words(lever, run.low)
    high = "" if run.high is None else _number_words(lever, run.high)
    if run.from_least and run.to_greatest:
        return "with any amount" if lever.unit else f"{lever.saying}any number"
    if run.low is not None and run.low == run.high:
        text = f"exactly {low}"
    elif run.from_least:
        text = f"{high} or less" if run.high_included else f"less than {high}"
    elif run.to_greatest:
        text = f"{low} or more" if run.low_included else f"more than {low}"
    elif run.low_included and run.high_included:
        text = f"from {low} to {high}"
        return text if lever.unit else f"{lever.saying}{text}"
    else:
        least = f"{low} or more" if run.low_included else f"more than {low}"
        most = f"{high} or less" if run.high_included else f"less than {high}"
        text = f"{least} and {most}"
    return f"at {text}" if lever.unit else f"{lever.saying}{text}"


def _number_words(lever: Lever, number: Decimal) -> str:
    if not lever.unit:
        return decimal_text(number)
    amount = format(number.quantize(Decimal(1).scaleb(-minor_digits(lever.unit)), context=EXACT), "f")
    if lever.rate is None or lever.rate == 1:
        return f"{amount} {lever.unit}"
    return f"{amount} {lever.unit} ({decimal_text(EXACT.multiply(number, lever.rate))} USD)"
