"""
The questions the exact analysis answers, put to z3: what fires, what is proved, what changes, what no edit changes.
Every request z3 names is decided by the traced evaluator before its answer counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

from z3_goals import decides
from z3_model import RATE, Facts, Model, Symbols, World, rules_of, z3
from z3_record import differs
from z3_requests import UnrepresentableError, pinned, request_of

from lumyn.analysis.difference import severity_of
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.scale import Severity
from lumyn.analysis.witness import Case
from lumyn.core.requests import parse_request
from lumyn.documents import Limits
from lumyn.engine.redaction import RedactionProfile
from lumyn.engine.trace import Trace, trace
from lumyn.model import DecisionRequest, JsonObject, Mode, Verdict
from lumyn.policy.invariants import Invariant, InvariantKind
from lumyn.policy.spec import Block, BlockKind, Condition, Policy, Rule

LIMITS = Limits()


class UnsureError(Exception):
    """z3 gave up, or named numbers that no request carries: nothing is known, and nothing may be claimed."""


@dataclass
class Tally:
    """What was asked and answered."""

    counts: Counter[str] = field(default_factory=Counter)
    settled: int = 0

    def add(self, name: str, number: int = 1) -> None:
        self.counts[name] += number

    def settle(self, name: str, number: int = 1) -> None:
        """Count one question that both answered, and what the answer held."""
        self.settled += 1
        self.add(name, number)


def actions(*policies: Policy) -> list[str]:
    """Return the actions that some policy names, and one that none does."""
    named = {action for policy in policies for rule in policy.rules for action in rule.actions or ()}
    return [*sorted(named.union(*(policy.required_evidence for policy in policies))), "some.other_action"]


def accepted(policy: Policy, document: JsonObject) -> DecisionRequest:
    """Return a request after every check a gate makes."""
    return parse_request(
        document, policy=policy, mode=Mode.ENFORCE, redaction=RedactionProfile.OFF, limits=LIMITS
    ).request


class Asker:
    """One action under one or more policies, and what z3 says of it."""

    def __init__(self, action: str, policies: Sequence[Policy], tally: Tally, extra: Sequence[Condition] = ()) -> None:
        self.world = World(action, policies, extra)
        self.tally = tally
        self._solver: Any = None
        self._facts: dict[int, Facts] = {}
        self._models: dict[int, Model] = {}

    def facts(self, policy: Policy, like: Policy | None = None) -> Facts:
        """Return a policy's reading; an edited policy that declares the same may share that of another."""
        source = policy if like is None else like
        if id(source) not in self._facts:
            self._facts[id(source)] = Facts(self.world, source)
        return self._facts[id(source)]

    def model(self, policy: Policy, like: Policy | None = None) -> Model:
        if id(policy) not in self._models:
            self._models[id(policy)] = Model(self.facts(policy, like), policy)
        return self._models[id(policy)]

    def find(self, *formulas: Any, check: Callable[[Any], None] | None = None) -> bool:
        """Return whether some request meets the formulas; `check` is given the model of one that does."""
        if self._solver is None:
            self._solver = self.world.solver()
        self._solver.push()
        lemma = None
        try:
            self._solver.add(*formulas)
            found = self._solver.check()
            self.tally.add(str(found))
            if found == z3.unknown:
                raise UnsureError
            if found == z3.sat:
                model = self._solver.model()
                request_of(self.world, model)
                if check is not None:
                    check(model)
        except UnrepresentableError as error:
            if error.lemma is None:
                self.tally.add("not representable")
                raise UnsureError from None
            lemma = error.lemma
        finally:
            self._solver.pop()
        if lemma is not None:
            self.tally.add("refined")
            self._solver.add(lemma)
            return self.find(*formulas, check=check)
        return bool(found == z3.sat)

    def decided(self, model: Any, *policies: Policy, symbols: Symbols | None = None) -> list[Trace]:
        """Return what the traced evaluator says of a model under some policies."""
        document, similarity = request_of(self.world, model, symbols)
        self.tally.add("confirmed by the evaluator")
        request = accepted(policies[0], document)
        return [trace(policy, request, similarity=similarity) for policy in policies]

    def confirms(self, policy: Policy, case: Case, *formulas: Any) -> bool:
        """Return whether a request that the analysis found is what it says to z3, too."""
        self.tally.add("witnesses confirmed by z3")
        request = accepted(policy, case.request)
        return self.find(*pinned(self.world, request, case.similarity), *formulas)


# Reachability


def reached(policy: Policy, action: str, tally: Tally) -> dict[tuple[str, str], bool]:
    """Return of every rule whether it fires, decides and is seen, and of every verdict whether it is given."""
    asker = Asker(action, [policy], tally)
    model = asker.model(policy)
    found: dict[tuple[str, str], bool] = {}
    for rule in model.rules:
        fires = model.fires(rule)
        stricter = [model.firing(v) for v in Verdict if v.strictness > rule.verdict.strictness]
        engine = [model.engine] if rule.verdict is not Verdict.ABSTAIN else []
        found["fires", rule.rule_id] = asker.find(fires, check=_fired(asker, policy, rule))
        found["decides", rule.rule_id] = asker.find(decides(model, rule))
        found["seen", rule.rule_id] = asker.find(fires, z3.Not(z3.Or(*engine, *stricter)))
    for verdict in Verdict:
        found["given", verdict] = asker.find(model.verdicts[verdict], check=_given(asker, policy, verdict))
    found["default", ""] = asker.find(model.default)
    return found


def _fired(asker: Asker, policy: Policy, rule: Rule) -> Callable[[Any], None]:
    def check(model: Any) -> None:
        (said,) = asker.decided(model, policy)
        assert rule.rule_id in {each.rule_id for each in said.evaluation.matched_rules}, (rule, said)

    return check


def _given(asker: Asker, policy: Policy, verdict: Verdict) -> Callable[[Any], None]:
    def check(model: Any) -> None:
        (said,) = asker.decided(model, policy)
        assert said.evaluation.verdict is verdict, said

    return check


def redundant(policy: Policy, action: str, tally: Tally) -> dict[tuple[str, int], bool]:
    """Return of every condition of a rule that fires whether the rule says the same without it."""
    asker = Asker(action, [policy], tally)
    model = asker.model(policy)
    found: dict[tuple[str, int], bool] = {}
    for rule in model.rules:
        if len(rule.conditions) < 2 or not asker.find(model.fires(rule)):
            continue
        true, false = model.truths[rule.rule_id]
        choices = [block for block in rule.blocks if block.kind is BlockKind.IF_ANY]
        alone = [group[0] for block in choices for group in block.groups if len(group) == 1]
        for place, condition in enumerate(rule.conditions):
            if any(condition is each for each in alone):
                continue  # to leave it out is to leave a choice out
            less, fails = model.truth(without(rule, condition))
            # Three-valued: where it was false it may become true or unknown, and where unknown, true.
            found[rule.rule_id, place] = not asker.find(z3.Or(z3.Xor(true, less), z3.Xor(false, fails)))
    return found


def without(rule: Rule, condition: Condition) -> Rule:
    """Return a rule with one condition left out, and the groups and blocks that leaves empty."""
    blocks: list[Block] = []
    for block in rule.blocks:
        groups = [tuple(each for each in group if each is not condition) for group in block.groups]
        if any(groups):
            blocks.append(replace(block, groups=tuple(group for group in groups if group)))
    return replace(rule, blocks=tuple(blocks))


# Invariants


def broken(policy: Policy, invariant: Invariant, tally: Tally) -> str | None:
    """Return an action of which some request breaks an invariant, or None: none does."""
    for action in actions(policy):
        if invariant.actions is None or action in invariant.actions:
            if _broken(policy, invariant, action, tally):
                return action
    return None


def _broken(policy: Policy, invariant: Invariant, action: str, tally: Tally) -> bool:
    asker = Asker(action, [policy], tally, invariant.conditions)
    if invariant.kind in {InvariantKind.NEVER, InvariantKind.REQUIRES}:
        model = asker.model(policy)
        where = violates(model, invariant)

        def check(found: Any) -> None:
            (said,) = asker.decided(found, policy)
            assert said.evaluation.verdict in invariant.verdicts, said

        return asker.find(where, check=check)
    return any(_two(asker, policy, *pair) for pair in [*pairs(asker, policy, invariant)])


def violates(model: Model, invariant: Invariant) -> Any:
    """Return where a promise about verdicts is broken."""
    given = z3.Or([model.verdicts[verdict] for verdict in invariant.verdicts])
    holds = z3.And([model.condition(each)[0] for each in invariant.conditions])
    return z3.And(given, holds if invariant.kind is InvariantKind.NEVER else z3.Not(holds))


def _two(asker: Asker, policy: Policy, other: Symbols, apart: Sequence[Any], falling: bool) -> bool:
    """Return whether the request that is kept gets a stricter verdict than the one that differs in one attribute."""
    one, second = asker.model(policy), Model(Facts(asker.world, policy, other), policy)
    looser = [
        z3.And(one.verdicts[before], second.verdicts[after])
        for before, after in permutations(Verdict, 2)
        if after.strictness < before.strictness and (not falling or after is Verdict.TRUST)
    ]

    def check(found: Any) -> None:
        (before,), (after,) = asker.decided(found, policy), asker.decided(found, policy, symbols=other)
        assert after.evaluation.verdict.strictness < before.evaluation.verdict.strictness, (before, after)

    return asker.find(*apart, z3.Or(looser), check=check)


def pairs(asker: Asker, policy: Policy, invariant: Invariant) -> Iterator[tuple[Symbols, list[Any], bool]]:
    """Yield a second request, how the two are apart, and whether only an earned `TRUST` counts as looser."""
    world = asker.world
    if invariant.kind is InvariantKind.FAIL_CLOSED:
        for key in invariant.facts or [key for key in world.request.raw if key != RATE]:
            if key in world.request.raw and key != RATE:
                absent = world.with_key(key, "''" + key)
                facts = asker.facts(policy)
                usable = z3.And(world.request.raw[key].kind != 0, facts.keys[key].known)
                yield absent, [usable, absent.raw[key].kind == 0], True
        return
    fact = invariant.facts[0]
    order = (lambda less, more: less > more) if invariant.falling else (lambda less, more: less < more)
    if fact == "risk.failure_similarity":
        similarity = z3.Int("similarity'")
        world.axioms += [similarity >= 0, similarity <= 1_000_000]
        other = replace(world.request, similarity=similarity)
        yield other, [order(world.request.similarity, similarity)], False
    elif fact == "amount_usd":
        rate = world.key(RATE, "'")
        _, units, usd = world.money(rate, "'")
        world.axioms.append(z3.Int("currency'") == world.request.currency)
        other = replace(world.request, raw={**world.request.raw, RATE: rate}, units=units, usd=usd)
        one, second = asker.facts(policy), Facts(world, policy, other)
        apart = [one.usd_known, second.usd_known, order(world.request.usd, usd), alike(policy, one, second)]
        yield other, apart, False
    elif fact.removeprefix("evidence.") in world.request.raw:
        key = fact.removeprefix("evidence.")
        other = world.with_key(key)
        one, second = asker.facts(policy), Facts(world, policy, other)
        read, again = one.keys[key], second.keys[key]
        yield other, [read.known, again.known, order(read.number, again.number)], False


def alike(policy: Policy, one: Facts, other: Facts) -> Any:
    """Return where two rates are the same to every condition and declaration of a policy."""
    read, again = one.keys[RATE], other.keys[RATE]
    parts = [read.known == again.known, read.missing == again.missing]
    parts += [read.codes[code] == again.codes[code] for code in read.codes]
    for rule in policy.rules:
        for condition in rule.conditions:
            if condition.evidence_key == RATE:
                parts += [a == b for a, b in zip(one.condition(condition), other.condition(condition), strict=True)]
    return z3.And(parts)


# Two policies


def transitions(
    old: Policy, new: Policy, action: str, tally: Tally
) -> tuple[Asker, set[tuple[Verdict, Verdict]], bool]:
    """Return every change of verdict there is, and whether any record differs at all."""
    asker = Asker(action, [old, new], tally)
    before, after = asker.model(old), asker.model(new)
    found = set()
    for one, other in permutations(Verdict, 2):

        def check(model: Any, wanted: tuple[Verdict, Verdict] = (one, other)) -> None:
            said = asker.decided(model, old, new)
            assert wanted == tuple(each.evaluation.verdict for each in said), said

        if asker.find(before.verdicts[one], after.verdicts[other], check=check):
            found.add((one, other))
    return asker, found, bool(found) or asker.find(differs(before, after), check=_differs(asker, old, new))


def _differs(asker: Asker, old: Policy, new: Policy, severity: Severity | None = None) -> Callable[[Any], None]:
    def check(model: Any) -> None:
        one, other = (replace(each.evaluation, undetermined=()) for each in asker.decided(model, old, new))
        assert one != other, one
        assert severity is None or severity_of(one, other) is severity, (one, other)

    return check


def of_severity(old: Model, new: Model, severity: Severity) -> Any:
    """Return where the records differ in one way."""
    if severity is Severity.CODES:
        return differs(old, new)
    if severity is Severity.NEW_TRUST:
        return z3.And(new.verdicts[Verdict.TRUST], z3.Not(old.verdicts[Verdict.TRUST]))
    return z3.Or(
        [
            z3.And(old.verdicts[before], new.verdicts[after])
            for before, after in permutations(Verdict, 2)
            if (after.strictness < before.strictness) == (severity is Severity.LOOSER)
        ]
    )


def gravest(
    policy: Policy, mutants: Sequence[Mutant], tally: Tally
) -> tuple[dict[str, Severity | None], dict[str, Asker]]:
    """Return the gravest change of each mutant, None where no request tells it from the policy, and who was asked."""
    askers: dict[str, Asker] = {}
    found: dict[str, Severity | None] = {mutant.mutant_id: None for mutant in mutants}
    unsure: set[str] = set()
    for action in actions(policy):
        changed = [mutant for mutant in mutants if _said(policy, action) != _said(mutant.policy, action)]
        if not changed:
            continue
        asker = askers[action] = Asker(action, [policy, *(mutant.policy for mutant in changed)], tally)
        base = asker.model(policy)
        for mutant in changed:
            new = asker.model(mutant.policy, like=policy)
            try:
                worst = _gravest(asker, base, new, found[mutant.mutant_id])
            except UnsureError:
                unsure.add(mutant.mutant_id)
                continue
            found[mutant.mutant_id] = worst
    return {name: severity for name, severity in found.items() if name not in unsure}, askers


def _gravest(asker: Asker, base: Model, new: Model, known: Severity | None) -> Severity | None:
    for severity in Severity:
        if known is not None and known <= severity:
            break
        check = _differs(asker, base.policy, new.policy, severity)
        if asker.find(of_severity(base, new, severity), check=check):
            return severity
    return known


def _said(policy: Policy, action: str) -> tuple[object, ...]:
    default = policy.default_verdict, policy.default_reason_code
    return rules_of(policy, action), policy.required_evidence.get(action, ()), default
