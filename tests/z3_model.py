"""
A policy as formulas for z3, written from SPEC 2.3, 3 and 4: what every request there is gets from it.
A second opinion on the exact analysis: it shares no cell, box or candidate value with it, and no evaluator.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from lumyn.core.requests import minor_digits
from lumyn.model import Stage, Verdict
from lumyn.policy.spec import BlockKind, Condition, EvidenceSpec, EvidenceType, Policy, Rule

try:
    import z3
except ImportError:  # a development extra: the tests that want it say so when they skip
    z3 = None  # type: ignore[assignment]

WHY_NOT = "z3-solver is not installed: `tox -e oracle`, or install the dependency group `oracle`"
RATE = "fx_rate_to_usd"
USD = "USD"
STRICTEST_FIRST = (Verdict.ABSTAIN, Verdict.QUERY, Verdict.ESCALATE, Verdict.TRUST)
GUARDS = (Stage.REQUIREMENTS, Stage.HARD_BLOCKS, Stage.ESCALATIONS)
STAGES = (*GUARDS, Stage.TRUST_PATHS)
SUBJECT_TYPES = ("service", "agent", "user", "job")
ENVIRONMENTS = ("dev", "staging", "prod")
CODES = ("EVIDENCE_TYPE_INVALID", "EVIDENCE_OUT_OF_RANGE", "EVIDENCE_VALUE_UNKNOWN")
GREATEST = 2**53 - 1
ABSENT, TEXT, NUMBER, BOOLEAN, LIST, BLANK_LIST = range(6)
"""What stands under a key. A list of nothing but blanks is no value where the key has no type, and a wrong one else."""


def real(value: Decimal | Fraction | int) -> Any:
    fraction = Fraction(value)
    return z3.Q(fraction.numerator, fraction.denominator)


def members(operand: object) -> tuple[Any, ...]:
    return operand if isinstance(operand, tuple) else (operand,)


def rules_of(policy: Policy, action: str) -> list[Rule]:
    applicable = [rule for rule in policy.rules if rule.actions is None or action in rule.actions]
    return [rule for stage in STAGES for rule in applicable if rule.stage is stage]


# What a request holds


@dataclass(frozen=True)
class Raw:
    """One evidence key as it was received: a kind, and a value of that kind."""

    kind: Any
    text: Any
    number: Any
    flag: Any


@dataclass(frozen=True)
class Symbols:
    """One request nothing is known of."""

    raw: Mapping[str, Raw]
    currency: Any
    units: Any
    usd: Any
    similarity: Any
    subject: Any
    environment: Any
    lists: Mapping[str, tuple[Any, Mapping[str, Any]]]


class World:
    """Every request of one action, as far as some policies and conditions can tell requests apart."""

    def __init__(self, action: str, policies: Sequence[Policy], extra: Iterable[Condition] = ()) -> None:
        self.action = action
        conditions = [each for policy in policies for rule in policy.rules for each in rule.conditions] + [*extra]
        keys = {each.evidence_key for each in conditions if each.evidence_key is not None} | {RATE}
        keys |= {key for policy in policies for key in policy.required_evidence.get(action, ())}
        self.texts: dict[str, list[str]] = {key: [] for key in keys}
        self.points: dict[str, list[Decimal]] = {key: [] for key in keys}
        named: dict[str, set[str]] = {"subject.roles": set(), "action.tags": set(), "amount_currency": set()}
        for each in conditions:
            for member in members(each.operand):
                if each.evidence_key is not None:
                    self._note(each.evidence_key, member)
                elif each.fact in named and isinstance(member, str):
                    named[each.fact].add(member)
        for policy in policies:
            named["amount_currency"] |= set(policy.fx_bounds or {})
            for key in keys & set(policy.evidence):
                spec = policy.evidence[key]
                for value in (*spec.values, spec.minimum, spec.maximum, spec.default):
                    self._note(key, value)
        self.bounds = [policy.fx_bounds for policy in policies if policy.fx_bounds is not None]
        self.points = {key: sorted(set(points)) for key, points in self.points.items()}
        listed = sorted(named["amount_currency"] - {USD})
        # A currency nobody names: one with four decimals can make every amount that others can.
        other = next(code for code in ("CLF", "UYW", "XYZ") if code not in listed)
        self.currencies = (None, USD, *listed, other)
        self.members = {fact: sorted(named[fact]) for fact in ("subject.roles", "action.tags")}
        self.whole_keys = {
            key
            for key in keys
            if any(key in p.evidence and p.evidence[key].type is EvidenceType.INTEGER for p in policies)
        }
        self.dollars = {c.operand for c in conditions if c.fact == "amount_usd" and isinstance(c.operand, Decimal)}
        self.reads_money = any(each.fact == "amount_usd" for each in conditions)
        self.axioms: list[Any] = []
        self.request = self._symbols()

    def _note(self, key: str, value: object) -> None:
        if isinstance(value, str) and value not in self.texts[key]:
            self.texts[key].append(value)
        elif isinstance(value, Decimal):
            self.points[key].append(value)

    def _symbols(self) -> Symbols:
        similarity, subject, environment = z3.Ints("similarity subject environment")
        self.axioms += [similarity >= 0, similarity <= 1_000_000, subject >= 0, subject < len(SUBJECT_TYPES)]
        self.axioms += [environment >= -1, environment < len(ENVIRONMENTS)]
        lists = {
            fact: (z3.Bool(fact), {name: z3.Bool(f"{fact}:{name}") for name in names})
            for fact, names in self.members.items()
        }
        raw = {key: self.key(key) for key in sorted(self.texts)}
        currency, units, usd = self.money(raw[RATE])
        return Symbols(raw, currency, units, usd, similarity, subject, environment, lists)

    def key(self, key: str, copy: str = "") -> Raw:
        """Return what may stand under a key; numbers are those a double carries."""
        name = f"{key}{copy}"
        kind, text = z3.Ints(f"{name}.kind {name}.text")
        number, flag = z3.Real(f"{name}.number"), z3.Bool(f"{name}.flag")
        self.axioms += [kind >= ABSENT, kind <= BLANK_LIST, text >= 0, text <= len(self.texts[key])]
        self.axioms += [number >= -GREATEST, number <= GREATEST]
        bounds = [bound for each in self.bounds for pair in each.values() for bound in pair] if key == RATE else []
        points = sorted({*self.points[key], *bounds})
        self.axioms += [number != real(point) for point in points if not carried(point)]
        self.axioms += [
            z3.Not(z3.And(number > real(low), number < real(high)))
            for low, high in pairwise(points)
            if double_between(low, high) is None
        ]
        return Raw(kind, text, number, flag)

    def money(self, rate: Raw, copy: str = "") -> tuple[Any, Any, Any]:
        """
        Return an amount: its currency, its count of minor units, and the dollars it makes at a rate.

        A product of two unknowns is never written down. Where the rate is a constant, or the count is small, it is
        linear; of greater counts the multiples of a stretch of rates overlap, so that any dollars above can be made.
        """
        currency, units, usd = z3.Int(f"currency{copy}"), z3.Int(f"units{copy}"), z3.Real(f"usd{copy}")
        self.axioms += [currency >= 0, currency < len(self.currencies), units >= 0, units <= 10**16]
        for place, code in enumerate(self.currencies if self.reads_money else ()):
            if code is None:
                continue
            unit = Fraction(1, 10 ** minor_digits(code))
            here = currency == place
            if code == USD:
                self.axioms.append(z3.Implies(here, usd == z3.ToReal(units) * real(unit)))
                continue
            points = [point for point in self.rates(code) if point > 0]
            few = overlap(points)
            made = [z3.Implies(units == count, usd == real(count * unit) * rate.number) for count in range(few + 1)]
            made += [z3.Implies(rate.number == real(p), usd == real(Fraction(p) * unit) * units) for p in points]
            made.append(z3.Implies(units > few, usd >= real((few + 1) * unit) * rate.number))
            self.axioms.append(z3.Implies(z3.And(here, rate.number > 0), z3.And(made)))
        return currency, units, usd

    def rates(self, currency: str | None) -> list[Decimal]:
        """Return the numbers rates of a currency are compared with."""
        bounds = (bound for each in self.bounds for bound in each.get(currency or "", ()))
        return sorted({*self.points[RATE], *bounds})

    def with_key(self, key: str, copy: str = "'") -> Symbols:
        """Return the same request but for one evidence key."""
        return replace(self.request, raw={**self.request.raw, key: self.key(key, copy)})

    def solver(self, milliseconds: int = 20_000) -> Any:
        """Return a solver that knows what a request can be."""
        found = z3.Solver()
        found.set("timeout", milliseconds)
        found.add(*self.axioms)
        return found


def carried(point: Decimal) -> bool:
    return Decimal(repr(float(point))) == point


def double_between(low: Decimal, high: Decimal) -> Decimal | None:
    """Return a double strictly between two decimals, by its shortest form, or None: there is none."""
    start = float(low)
    for near in (math.nextafter(start, -math.inf), start, math.nextafter(start, math.inf)):
        if low < Decimal(repr(near)) < high:
            return Decimal(repr(near))
    return None


def overlap(points: Sequence[Decimal]) -> int:
    """Return a count above which the multiples of every stretch between two rates overlap those of the next count."""
    return max((int(low / (high - low)) + 2 for low, high in pairwise(points)), default=1)


# What a policy makes of it


@dataclass(frozen=True)
class Read:
    """An evidence key under a type: how it is unusable, by reason code, and the value that counts if it is known."""

    missing: Any
    known: Any
    codes: Mapping[str, Any]
    number: Any
    text: Any
    flag: Any
    kind: EvidenceType | None

    @property
    def invalid(self) -> Any:
        return z3.Or(*self.codes.values())


class Facts:
    """A request read with one set of declarations: evidence types and bounds of rates."""

    def __init__(self, world: World, policy: Policy, request: Symbols | None = None) -> None:
        self.world = world
        self.request = world.request if request is None else request
        self.policy = policy
        self.keys = {key: self._read(key, self._spec(key)) for key in self.request.raw}
        currency, rate = self.request.currency, self.keys[RATE]
        bounds = policy.fx_bounds
        inside, listed = [currency > 1], [currency > 1]
        if bounds is not None:
            places = {place: bounds.get(code or "") for place, code in enumerate(world.currencies)}
            listed = [z3.Or([currency == place for place, pair in places.items() if pair is not None])]
            inside = [
                z3.Or(
                    [
                        z3.And(currency == place, rate.number >= real(pair[0]), rate.number <= real(pair[1]))
                        for place, pair in places.items()
                        if pair is not None
                    ]
                )
            ]
        usable = z3.And(rate.known, rate.number > 0)
        self.converts = currency > 1
        self.unlisted = z3.And(currency > 1, z3.Not(*listed))
        self.out_of_bounds = z3.And(currency > 1, *listed, usable, z3.Not(*inside))
        self.usd_known = z3.Or(currency == 1, z3.And(currency > 1, usable, *inside))
        self._kept: dict[tuple[object, ...], tuple[Any, Any]] = {}

    def _spec(self, key: str) -> EvidenceSpec | None:
        spec = self.policy.evidence.get(key)
        if spec is None and key == RATE:
            return EvidenceSpec(key=RATE, type=EvidenceType.NUMBER, minimum=Decimal(0), exclusive_minimum=True)
        return spec

    def _read(self, key: str, spec: EvidenceSpec | None) -> Read:
        raw = self.request.raw[key]
        no = z3.BoolVal(False)
        if spec is None:
            nothing = z3.Or(raw.kind == ABSENT, raw.kind == BLANK_LIST)
            return Read(nothing, z3.Not(nothing), {}, None, None, None, None)
        fits = {
            EvidenceType.NUMBER: raw.kind == NUMBER,
            EvidenceType.INTEGER: z3.And(raw.kind == NUMBER, z3.IsInt(raw.number)),
            EvidenceType.BOOLEAN: raw.kind == BOOLEAN,
        }.get(spec.type, raw.kind == TEXT)
        outside, strange = no, no
        if spec.type in {EvidenceType.NUMBER, EvidenceType.INTEGER}:
            limits = []
            if spec.minimum is not None:
                low = real(spec.minimum)
                limits.append(raw.number <= low if spec.exclusive_minimum else raw.number < low)
            if spec.maximum is not None:
                limits.append(raw.number > real(spec.maximum))
            outside = z3.And(fits, z3.Or(limits))
        if spec.type is EvidenceType.ENUM:
            codes = [self._code(key, value) for value in spec.values]
            strange = z3.And(fits, z3.Not(z3.Or([raw.text == code for code in codes])))
        absent = raw.kind == ABSENT
        codes = dict(zip(CODES, (z3.And(z3.Not(absent), z3.Not(fits)), outside, strange), strict=True))
        usable = z3.And(fits, z3.Not(outside), z3.Not(strange))
        if spec.default is None:
            return Read(absent, usable, codes, raw.number, raw.text, raw.flag, spec.type)
        number, text, flag = raw.number, raw.text, raw.flag
        if isinstance(spec.default, bool):
            flag = z3.If(absent, z3.BoolVal(spec.default), raw.flag)
        elif isinstance(spec.default, Decimal):
            number = z3.If(absent, real(spec.default), raw.number)
        else:
            text = z3.If(absent, z3.IntVal(self._code(key, spec.default)), raw.text)
        return Read(no, z3.Or(absent, usable), codes, number, text, flag, spec.type)

    def _code(self, key: str, text: str) -> int:
        return self.world.texts[key].index(text) + 1

    def condition(self, condition: Condition) -> tuple[Any, Any]:
        """Return where a comparison holds and where it fails; elsewhere it is unknown."""
        key = (condition.fact, condition.operator.name, type(condition.operand), condition.operand)
        if key not in self._kept:
            self._kept[key] = self._condition(condition)
        return self._kept[key]

    def known(self, fact: str) -> Any:
        """Return where an attribute is known."""
        request = self.request
        match fact:
            case "amount_usd":
                return self.usd_known
            case "amount_currency":
                return request.currency > 0
            case "tenant.environment":
                return request.environment >= 0
            case "subject.roles" | "action.tags":
                return request.lists[fact][0]
            case "subject.type" | "risk.failure_similarity" | "risk.uncertainty":
                return z3.BoolVal(True)
        return self.keys[fact.removeprefix("evidence.")].known

    def _condition(self, condition: Condition) -> tuple[Any, Any]:
        known = self.known(condition.fact)
        name, operand = condition.operator.name, condition.operand
        if name == "present":
            key = condition.evidence_key
            seen = known if key is None else z3.Or(known, self.keys[key].invalid)
            return (seen, z3.Not(seen)) if operand else (z3.Not(seen), seen)
        if name in {"contains", "contains_any"}:
            held = self.request.lists[condition.fact][1]
            holds = z3.Or([held[member] for member in members(operand)])
        elif condition.operator.ordering:
            holds = ordered(self._number(condition.fact), name, real(Decimal(str(operand))))
        else:
            holds = z3.Or([self._equals(condition, member) for member in members(operand)])
            holds = z3.Not(holds) if name in {"ne", "not_in"} else holds
        return z3.And(known, holds), z3.And(known, z3.Not(holds))

    def _number(self, fact: str) -> Any:
        if fact == "amount_usd":
            return self.request.usd
        if fact == "risk.failure_similarity":
            return z3.ToReal(self.request.similarity) / 1_000_000
        return self.keys[fact.removeprefix("evidence.")].number

    def _equals(self, condition: Condition, member: Any) -> Any:
        request = self.request
        match condition.fact:
            case "amount_currency":
                return request.currency == self.world.currencies.index(member)
            case "subject.type":
                return request.subject == SUBJECT_TYPES.index(member)
            case "tenant.environment":
                return request.environment == ENVIRONMENTS.index(member)
        key = condition.fact.removeprefix("evidence.")
        read = self.keys[key]
        if isinstance(member, bool):
            return read.flag == member if read.kind is EvidenceType.BOOLEAN else z3.BoolVal(False)
        if isinstance(member, Decimal):
            numeric = read.kind in {EvidenceType.NUMBER, EvidenceType.INTEGER}
            return read.number == real(member) if numeric else z3.BoolVal(False)
        textual = read.kind in {EvidenceType.STRING, EvidenceType.ENUM}
        return read.text == self._code(key, member) if textual else z3.BoolVal(False)


def ordered(left: Any, name: str, right: Any) -> Any:
    return {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[name]


class Model:
    """What one policy makes of every request of one action: where each rule fires, and where each verdict is given."""

    def __init__(self, facts: Facts, policy: Policy) -> None:
        self.facts = facts
        self.policy = policy
        self.rules = rules_of(policy, facts.world.action)
        self.required = policy.required_evidence.get(facts.world.action, ())
        read = {each.fact for rule in self.rules for each in rule.conditions}
        keys = {fact.removeprefix("evidence.") for fact in read if fact.startswith("evidence.")} | {*self.required}
        self.keys = sorted(keys | ({RATE} if "amount_usd" in read else set()))
        self.truths = {rule.rule_id: self._rule(rule) for rule in self.rules}
        self.invalid = {
            code: z3.Or([facts.keys[key].codes[code] for key in self.keys if code in facts.keys[key].codes])
            for code in CODES
        }
        self.engine = z3.Or(*self.invalid.values(), facts.out_of_bounds)
        self.unknown = {name: z3.Not(z3.Or(true, false)) for name, (true, false) in self.truths.items()}
        guards = [rule for rule in self.rules if rule.stage in GUARDS]
        self.blind = z3.Or([self.unknown[rule.rule_id] for rule in guards])
        stricter: list[Any] = []
        self.strictest: dict[Verdict, Any] = {}
        for verdict in STRICTEST_FIRST:
            here = z3.Or(self.firing(verdict), self.engine) if verdict is Verdict.ABSTAIN else self.firing(verdict)
            self.strictest[verdict] = z3.And(here, z3.Not(z3.Or(stricter)))
            stricter.append(here)
        self.default = z3.Not(z3.Or(stricter))
        self.withheld = z3.And(self.strictest[Verdict.TRUST], self.blind)
        self.verdicts = {
            verdict: z3.Or(found, self.default) if verdict is policy.default_verdict else found
            for verdict, found in {
                **self.strictest,
                Verdict.TRUST: z3.And(self.strictest[Verdict.TRUST], z3.Not(self.blind)),
                Verdict.QUERY: z3.Or(self.strictest[Verdict.QUERY], self.withheld),
            }.items()
        }

    def fires(self, rule: Rule) -> Any:
        return self.truths[rule.rule_id][0]

    def possible(self, rule: Rule) -> Any:
        return z3.Not(self.truths[rule.rule_id][1])

    def firing(self, verdict: Verdict) -> Any:
        return z3.Or([self.fires(rule) for rule in self.rules if rule.verdict is verdict])

    def missing(self, key: str) -> Any:
        """Return where a required key is missing."""
        return self.facts.keys[key].missing

    def truth(self, rule: Rule) -> tuple[Any, Any]:
        """Return where a rule with conditions is true and where it is false."""
        blocks = []
        for block in rule.blocks:
            groups = [both([self.condition(each) for each in group]) for group in block.groups]
            if block.kind is BlockKind.IF_ANY:
                blocks.append((z3.Or([true for true, _ in groups]), z3.And([false for _, false in groups])))
            else:
                blocks.append(both(groups))
        return both(blocks)

    def _rule(self, rule: Rule) -> tuple[Any, Any]:
        if rule.stage is Stage.REQUIREMENTS and not rule.blocks:
            lacks = z3.Or([self.missing(key) for key in self.required])
            return lacks, z3.Not(lacks)
        return self.truth(rule)

    def condition(self, condition: Condition) -> tuple[Any, Any]:
        """Return where a comparison holds and where it fails; elsewhere it is unknown."""
        if condition.fact != "risk.uncertainty":
            return self.facts.condition(condition)
        constant = Fraction(str(condition.operand))
        holds = z3.Or(
            [
                z3.And(self._bad == bad, self._whole == whole)
                for whole in range(len(self.keys) + 1)
                for bad in range(whole + 1)
                if ordered(share(bad, whole), condition.operator.name, constant)
            ]
        )
        return holds, z3.Not(holds)

    @property
    def _bad(self) -> Any:
        return z3.Sum([z3.If(self._unusable(key), 1, 0) for key in self.keys] or [z3.IntVal(0)])

    @property
    def _whole(self) -> Any:
        counted = [z3.Or(self._matters(key), self.facts.keys[key].invalid) for key in self.keys]
        return z3.Sum([z3.If(each, 1, 0) for each in counted] or [z3.IntVal(0)])

    def _unusable(self, key: str) -> Any:
        read = self.facts.keys[key]
        return z3.Or(z3.And(self._matters(key), read.missing), read.invalid)

    def _matters(self, key: str) -> Any:
        return self.facts.converts if key == RATE and RATE not in self.required else z3.BoolVal(True)


def both(parts: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    return z3.And([true for true, _ in parts]), z3.Or([false for _, false in parts])


def share(part: int, whole: int) -> Fraction:
    """Return a share as a record reports it: six places, half to even."""
    return Fraction(round(Fraction(part, whole) * 10**6), 10**6) if whole else Fraction(0)
