"""
Writes the Python source of an action plan: it reads the facts, finds which rules hold, and writes the facts down.
Constants and names of a policy reach the code through its namespace only, never as text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Final, cast

from lumyn.digest import canonical_text, freeze
from lumyn.engine import packed
from lumyn.engine.normalize import USD
from lumyn.engine.packed import Layout, PackedFacts, to_native
from lumyn.engine.projection import Project, StateText, project
from lumyn.model import DecisionRequest, Evaluation, Facts
from lumyn.policy.operators import EVIDENCE_PREFIX
from lumyn.policy.spec import FX_RATE_KEY, Block, BlockKind, Condition, EvidenceSpec, EvidenceType, Rule

__all__ = ["generate"]

Outcome = Callable[[int, int, int], Evaluation]
"""Fired rules, undetermined rules (bit i is rule i of the plan) and state -> what the record will say."""

_ORDERING: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LOCALS: Final = {
    "amount_usd": "usd",
    "risk.failure_similarity": "similarity",
    "risk.uncertainty": "uncertainty",
}
_REQUEST_FIELDS: Final = {
    "amount_currency": "amount_currency",
    "subject.type": "subject_type",
    "tenant.environment": "environment",
    "subject.roles": "roles",
    "action.tags": "tags",
}
_ALWAYS_KNOWN: Final = frozenset({"risk.failure_similarity", "risk.uncertainty", "subject.type"})


def generate(
    layout: Layout, rules: Sequence[Rule], *, outcome: Outcome, foreign: Callable[[Facts, Decimal], Evaluation]
) -> tuple[Callable[[DecisionRequest], Facts], Callable[[Facts, Decimal], Evaluation], Project]:
    """
    Return the three functions of a plan: `facts`, `evaluate` and `projection`.

    Args:
        rules: The applicable rules, in stage order, then file order.
        outcome: Builds (and remembers) the outcome.
        foreign: Evaluates facts that another plan or `derive_facts` made.
    """
    writer = _Writer(layout, rules)
    writer.constants |= {"outcome": outcome, "foreign": foreign, "layout": layout, "PackedFacts": PackedFacts}
    source = "\n".join([*writer.facts(), *writer.evaluate(), *writer.projection(), ""])
    namespace: dict[str, object] = {"__builtins__": {"type": type, "str": str, "int": int, "float": float}}
    namespace |= writer.constants
    exec(compile(source, "<lumyn action plan>", "exec"), namespace)  # noqa: S102
    return (
        cast("Callable[[DecisionRequest], Facts]", namespace["facts"]),
        cast("Callable[[Facts, Decimal], Evaluation]", namespace["evaluate"]),
        cast("Project", namespace["projection"]),
    )


class _Writer:
    # Masks are written in hexadecimal: Python limits the digits of a decimal literal, and a state has bits for every
    # key.

    def __init__(self, layout: Layout, rules: Sequence[Rule]) -> None:
        self.layout = layout
        self.rules = rules
        self.constants: dict[str, object] = {}
        self.conditions = [condition for rule in rules for condition in rule.conditions]
        self.local = {EVIDENCE_PREFIX + key: f"e{place}" for place, key in enumerate(layout.keys)} | _LOCALS
        self.local |= {fact: name for name, fact in zip("abcde", _REQUEST_FIELDS, strict=True)}

    def constant(self, value: object) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    # Reading the facts

    def facts(self) -> list[str]:
        lines = ["def facts(request):", " get = request.evidence.get", " state = 0"]
        for key in self.layout.keys:
            lines.extend(self.evidence(key))
        lines.extend(self.money())
        compared = {condition.fact for condition in self.conditions if condition.operator.name != "present"}
        for fact, field in _REQUEST_FIELDS.items():
            if fact in compared and fact not in _ALWAYS_KNOWN:
                lines.append(f" if request.{field} is None: state |= {packed.ABSENCE[fact]:#x}")
        values = "".join(f"{self.local[EVIDENCE_PREFIX + key]}, " for key in self.layout.keys)
        return [*lines, f" return PackedFacts(layout, request, (usd, {values}), state)"]

    def evidence(self, key: str) -> list[str]:
        value, shift, spec = self.local[EVIDENCE_PREFIX + key], self.layout.shift[key], self.layout.specs[key]
        lines = [f" {value} = get({self.constant(key)})"]
        usual = self.usual(value, key, spec)
        if spec is None or spec.default is None:
            lines.append(f" if {value} is None: state |= {packed.ABSENT << shift:#x}")
            lines.append(f" elif not ({usual}):")
        else:
            lines.append(f" if not ({usual}):")
        lines.append(f"  {value}, bits = layout.read({self.constant(key)}, {value})")
        lines.append(f"  state |= bits << {shift}")
        return lines

    def usual(self, value: str, key: str, spec: EvidenceSpec | None) -> str:
        """Return a test that only usable values of their final form pass; all others take the plain, exact road."""
        # A text whose first character is a visible ASCII one is not blank.
        visible = f"type({value}) is str and '!' <= {value} < '\\x7f'"
        if spec is None or spec.type is EvidenceType.STRING:
            return visible
        match spec.type:
            case EvidenceType.BOOLEAN:
                return f"{value} is True or {value} is False"
            case EvidenceType.ENUM:
                return f"{visible} and {value} in {self.constant(frozenset(spec.values))}"
            case EvidenceType.INTEGER if key in self.layout.natives:
                return f"type({value}) is int and {self.range(value, spec)}"
            case EvidenceType.NUMBER if key in self.layout.natives:
                return f"(type({value}) is float or type({value}) is int) and {self.range(value, spec)}"
            case _:
                return "False"

    def range(self, value: str, spec: EvidenceSpec) -> str:
        least, greatest = -packed.GREATEST, packed.GREATEST
        minimum = None if spec.minimum is None else to_native(spec.minimum)
        maximum = None if spec.maximum is None else to_native(spec.maximum)
        strict = "<" if spec.exclusive_minimum and minimum is not None else "<="
        low = self.constant(least if minimum is None else minimum)
        high = self.constant(greatest if maximum is None else maximum)
        return f"{low} {strict} {value} <= {high}"

    def money(self) -> list[str]:
        bounded = self.layout.policy.fx_bounds is not None
        if not (self.layout.reads_money or bounded or FX_RATE_KEY in self.layout.keys):
            return [" usd = None"]
        return [
            " currency = request.amount_currency",
            f" if currency == {self.constant(USD)}: usd = request.amount_value",
            f" elif currency is None: usd = None; state |= {packed.NO_AMOUNT}",
            " else:",
            "  usd, bits = layout.convert(request)",
            "  state |= bits",
        ]

    # Evaluating the rules

    def evaluate(self) -> list[str]:
        values = "".join(f"{self.local[EVIDENCE_PREFIX + key]}, " for key in self.layout.keys)
        lines = [
            "def evaluate(facts, similarity):",
            " if type(facts) is not PackedFacts or facts._layout is not layout: return foreign(facts, similarity)",
            " state = facts._state",
            f" usd, {values}= facts._values",
        ]
        read = {condition.fact for condition in self.conditions}
        lines.extend(
            f" {self.local[fact]} = facts._request.{field}" for fact, field in _REQUEST_FIELDS.items() if fact in read
        )
        if "risk.uncertainty" in read:
            lines.append(" uncertainty = layout.uncertainty(state)")
        lines.append(" fired = 0")
        lines.append(f" if state & {self.unknown_bits():#x}:")
        lines.append("  undetermined = 0")
        for place, rule in enumerate(self.rules):
            lines.append(f"  if {self.rule(rule, self.certain)}: fired |= {1 << place:#x}")
            lines.append(f"  elif {self.rule(rule, self.possible)}: undetermined |= {1 << place:#x}")
        lines.append("  return outcome(fired, undetermined, state)")
        for place, rule in enumerate(self.rules):
            lines.append(f" if {self.rule(rule, self.known)}: fired |= {1 << place:#x}")
        return [*lines, " return outcome(fired, 0, state)"]

    # Writing the facts down

    def projection(self) -> list[str]:
        parts = StateText(self.layout, self.rules)
        policy = self.layout.policy

        def plain(facts: Facts, score: str) -> str:
            return canonical_text(freeze(project(policy, facts, Decimal(score))))

        self.constants |= {"plain": plain, "general": parts.evidence, "rest": parts.rest, "quoted": encode_basestring}
        usual = [key for key in parts.compared if key != FX_RATE_KEY]
        bits = sum(packed.NOT_KNOWN << self.layout.shift[key] for key in usual)
        tests = [f"state & {bits:#x}"]
        if FX_RATE_KEY in parts.compared:
            # Most amounts are in US dollars, and have no rate.
            tests.append(f"{self.local[EVIDENCE_PREFIX + FX_RATE_KEY]} is not None")
        if not all(self.is_native(key) for key in usual):
            tests = ["True"]
        values = "".join(f"{self.local[EVIDENCE_PREFIX + key]}, " for key in self.layout.keys)
        text = ",".join(self.member(key) for key in usual)
        return [
            "def projection(facts, amount_usd, fx_rate_present, score):",
            " if type(facts) is not PackedFacts or facts._layout is not layout: return plain(facts, score)",
            " state = facts._state",
            f" usd, {values}= facts._values",
            f" if {' or '.join(tests)}: evidence = general(facts)",
            " else:",
            f"  evidence = f'{text}'",
            # Python and RFC 8785 write numbers alike, but for exponents.
            "  if 'e-' in evidence: evidence = general(facts)",
            """ return (f'{{"amount_usd":{amount_usd},"evidence":{{{evidence}}},"failure_similarity":{score},'""",
            """         f'"fx_rate_present":{fx_rate_present},{rest(state)}')""",
        ]

    def is_native(self, key: str) -> bool:
        spec = self.layout.specs[key]
        numeric = spec is not None and spec.type in {EvidenceType.NUMBER, EvidenceType.INTEGER}
        return not numeric or key in self.layout.natives

    def member(self, key: str) -> str:
        """Return the piece of an f-string that writes a compared key, which is known and in its final form."""
        value, spec, name = self.local[EVIDENCE_PREFIX + key], self.layout.specs[key], self.constant(f'"{key}":')
        match spec.type if spec is not None else EvidenceType.STRING:
            case EvidenceType.NUMBER | EvidenceType.INTEGER:
                return f"{{{name}}}{{{value}!r}}"
            case EvidenceType.BOOLEAN:
                return f'{{{name}}}{{"true" if {value} else "false"}}'
            case _:
                return f"{{{name}}}{{quoted({value})}}"

    def unknown_bits(self) -> int:
        """Return the bits of a state under which some comparison of the plan is unknown."""
        bits = 0
        for condition in self.conditions:
            if condition.operator.name == "present":
                continue
            key = condition.evidence_key
            bits |= packed.ABSENCE.get(condition.fact, 0) if key is None else packed.NOT_KNOWN << self.layout.shift[key]
        return bits

    def rule(self, rule: Rule, condition: Callable[[Condition], str]) -> str:
        if rule.is_requirements_check:
            bits = sum(packed.ABSENT << shift for shift in {self.layout.shift[key] for key in self.layout.required})
            return f"state & {bits:#x}"
        return " and ".join(self.block(block, condition) for block in rule.blocks) or "True"

    def block(self, block: Block, condition: Callable[[Condition], str]) -> str:
        groups = (" and ".join(condition(entry) for entry in group) for group in block.groups)
        if block.kind is BlockKind.IF_ANY:
            return "(" + " or ".join(f"({group})" for group in groups) + ")"
        return " and ".join(groups)

    def certain(self, condition: Condition) -> str:
        """Return the test that the condition is true."""
        if condition.operator.name == "present" or condition.fact in _ALWAYS_KNOWN:
            return self.known(condition)
        return f"({self.local[condition.fact]} is not None and {self.known(condition)})"

    def possible(self, condition: Condition) -> str:
        """Return the test that the condition is true or unknown."""
        if condition.operator.name == "present" or condition.fact in _ALWAYS_KNOWN:
            return self.known(condition)
        return f"({self.local[condition.fact]} is None or {self.known(condition)})"

    def known(self, condition: Condition) -> str:
        """Return the test that the condition is true, given that its attribute is known."""
        value, name, operand = self.local[condition.fact], condition.operator.name, self.operand(condition)
        if name in _ORDERING:
            return f"{value} {_ORDERING[name]} {self.constant(operand)}"
        match name:
            case "present":
                return self.present(condition)
            case "is" | "ne":
                return f"{value} {'==' if name == 'is' else '!='} {self.constant(operand)}"
            case "in" | "not_in":
                members = frozenset(cast("tuple[object, ...]", operand))
                return f"{value} {'in' if name == 'in' else 'not in'} {self.constant(members)}"
            case "contains":
                return f"{self.constant(operand)} in {value}"
            case "contains_any":
                members = frozenset(cast("tuple[object, ...]", operand))
                return f"(not {self.constant(members)}.isdisjoint({value}))"
        raise ValueError(f"no code for operator `{name}`")

    def present(self, condition: Condition) -> str:
        key = condition.evidence_key
        if key is None:
            return f"{self.local[condition.fact]} is {'not ' if condition.operand else ''}None"
        absent = f"state & {packed.ABSENT << self.layout.shift[key]:#x}"
        return f"(not {absent})" if condition.operand else f"({absent})"

    def operand(self, condition: Condition) -> object:
        """Return the constant in the form in which the attribute's values are kept."""
        operand, key = condition.operand, condition.evidence_key
        if key is None or condition.operator.name == "present":
            return operand
        spec = self.layout.specs[key]
        if spec is None:
            raise ValueError(f"the policy compares `{key}`, which has no type")
        if isinstance(operand, tuple):
            return tuple(self.native(member, key, spec) for member in operand)
        return self.native(operand, key, spec)

    def native(self, constant: bool | Decimal | str, key: str, spec: EvidenceSpec) -> object:
        if isinstance(constant, bool) != (spec.type is EvidenceType.BOOLEAN):
            # A boolean equals a number in Python and never here; an object equals nothing but itself.
            return object()
        if isinstance(constant, Decimal) and key in self.layout.natives:
            return to_native(constant)
        return constant
