"""What a policy must not say, and what is told about it: code, place and hint, all of them at once."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from lumyn.errors import InvalidPolicyError, Problem
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import EvidenceType

BASE = """\
schema_version: policy.v0
policy_id: acme
policy_version: "1.2.0"
thresholds: { limit: 200, word: low, flag: true }
required_evidence: { support.refund: [ticket_id] }
evidence:
  grade: { type: enum, values: [low, medium, high] }
  score: { type: number, min: 0, max: 1, step: 0.01 }
  count: { type: integer, min: 0 }
  approved: { type: boolean }
rules:
  - id: R010
    stage: REQUIREMENTS
    then: { verdict: QUERY, reason_codes: [EVIDENCE_MISSING] }
  - id: R110
    stage: HARD_BLOCKS
    when: { action_type: support.refund }
    if: { evidence.grade_is: high }
    then: { verdict: ABSTAIN, reason_codes: [PAYMENT_INSTRUMENT_HIGH_RISK] }
  - id: R310
    stage: TRUST_PATHS
    if: { amount_usd_lte: 25 }
    then: { verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK] }
"""

IF = "if: { evidence.grade_is: high }"
WHEN = "when: { action_type: support.refund }"
BLOCK = "then: { verdict: ABSTAIN, reason_codes: [PAYMENT_INSTRUMENT_HIGH_RISK] }"
QUERY = "then: { verdict: QUERY, reason_codes: [EVIDENCE_MISSING] }"
TRUST = "then: { verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK] }"
GRADE = "grade: { type: enum, values: [low, medium, high] }"
HEAD = 'policy_version: "1.2.0"'


class Bad(NamedTuple):
    """`old` is replaced by `new`; the problem stands on the line of `new` that ends in `#!`, its first otherwise."""

    name: str
    old: str
    new: str
    code: str
    hint: str | None = None


def also(text: str) -> str:
    """Return the head of the base policy with a block added."""
    return f"{HEAD}\n{text}"


DOCUMENT = [
    Bad("unknown top-level key", HEAD, also("threshold: {}  #!"), "FIELD_UNKNOWN", "did you mean `thresholds`?"),
    Bad("extension key", HEAD, also("x-note: hello  #!"), "FIELD_UNKNOWN"),
    Bad("no id", "policy_id: acme\n", "", "FIELD_MISSING"),
    Bad("id with a space", "policy_id: acme", "policy_id: acme refunds", "FIELD_PATTERN"),
    Bad("version is a number", HEAD, "policy_version: 1.2", "TYPE_INVALID", "quote it"),
    Bad("unknown default", HEAD, also("defaults: { verdict: ESCALATE }  #!"), "FIELD_UNKNOWN", "`default_verdict`"),
    Bad("unknown mode", HEAD, also("defaults: { mode: enforced }  #!"), "MODE_UNKNOWN", "did you mean `enforce`?"),
    Bad("default trusts", HEAD, also("defaults: { default_verdict: TRUST }  #!"), "DEFAULT_VERDICT_FORBIDDEN"),
    Bad("default allows", HEAD, also("defaults: { default_verdict: ALLOW }  #!"), "VERDICT_UNKNOWN", "one of"),
    Bad(
        "unknown default code",
        HEAD,
        also("defaults: { default_reason_code: NO_MATCH_DEFAULT }  #!"),
        "REASON_CODE_UNKNOWN",
        "did you mean `NO_MATCH_DEFAULT_ESCALATE`?",
    ),
    Bad("empty section", HEAD, also("defaults:  #!"), "TYPE_INVALID"),
    Bad("code in lower case", HEAD, also("reason_codes: { own_code: Ours. }  #!"), "FIELD_PATTERN"),
    Bad("code without meaning", HEAD, also('reason_codes: { OWN_CODE: " " }  #!'), "VALUE_INVALID"),
    Bad("engine code", HEAD, also("reason_codes: { EVIDENCE_MISSING: Ours. }  #!"), "REASON_CODE_RESERVED"),
    Bad("threshold is a list", "flag: true", "flag: [1]", "TYPE_INVALID"),
    Bad("threshold is null", "flag: true", "flag: null", "TYPE_INVALID"),
    Bad("threshold is blank", "flag: true", 'flag: ""', "VALUE_INVALID"),
    Bad("threshold name", "flag: true", "fl-ag: true", "FIELD_PATTERN"),
    Bad("invariants is an object", HEAD, also("invariants: { never: {} }  #!"), "TYPE_INVALID"),
    Bad("invariant is a text", HEAD, also("invariants: [never]  #!"), "TYPE_INVALID"),
    Bad("bidi override", "policy_id: acme", 'policy_id: "\\u202Eacme"', "CONTROL_CHARACTER"),
]

EVIDENCE = [
    Bad("required is a scalar", "[ticket_id]", "ticket_id", "TYPE_INVALID", "write it in brackets"),
    Bad("required twice", "[ticket_id]", "[ticket_id, ticket_id]", "VALUE_DUPLICATE"),
    Bad("required number", "[ticket_id]", "[ticket_id, 5]", "TYPE_INVALID"),
    Bad("required key pattern", "[ticket_id]", "[ticket-id]", "FIELD_PATTERN"),
    Bad("required similarity", "[ticket_id]", "[failure_similarity_score]", "EVIDENCE_KEY_RESERVED", "risk.failure"),
    Bad("required engine key", "[ticket_id]", "[lumyn_x]", "EVIDENCE_KEY_RESERVED"),
    Bad("action pattern", "{ support.refund: [ticket_id]", "{ refund: [ticket_id]", "FIELD_PATTERN"),
    Bad("reserved key declared", GRADE, f"lumyn_a: {{ type: string }}  #!\n  {GRADE}", "EVIDENCE_KEY_RESERVED"),
    Bad("key pattern", GRADE, f"a-b: {{ type: string }}  #!\n  {GRADE}", "FIELD_PATTERN"),
    Bad("no type", "approved: { type: boolean }", "approved: {}", "FIELD_MISSING"),
    Bad(
        "unknown type", "approved: { type: boolean }", "approved: { type: bool }", "EVIDENCE_TYPE_UNKNOWN", "`boolean`"
    ),
    Bad("unknown field", "{ type: boolean }", "{ type: boolean, defalt: true }", "FIELD_UNKNOWN", "`default`"),
    Bad("range of a text", "{ type: boolean }", "{ type: string, min: 1 }", "FIELD_UNKNOWN"),
    Bad("values of a text", "{ type: boolean }", "{ type: string, values: [a] }", "FIELD_UNKNOWN", "`type: enum`"),
    Bad("enum without values", "{ type: boolean }", "{ type: enum }", "FIELD_MISSING"),
    Bad("enum without a value", "{ type: boolean }", "{ type: enum, values: [] }", "VALUE_INVALID"),
    Bad("enum value twice", "{ type: boolean }", "{ type: enum, values: [a, a] }", "VALUE_DUPLICATE"),
    Bad("enum of numbers", "{ type: boolean }", "{ type: enum, values: [1] }", "TYPE_INVALID"),
    Bad("range upside down", "max: 1,", "max: -1,", "VALUE_INVALID"),
    Bad("step zero", "step: 0.01", "step: 0", "VALUE_INVALID"),
    Bad("min is a text", "min: 0, max", 'min: "0", max', "TYPE_INVALID", "without quotes"),
    Bad("fraction in an integer", "{ type: integer, min: 0 }", "{ type: integer, min: 0.5 }", "VALUE_INVALID"),
    Bad("default of another type", "{ type: boolean }", "{ type: boolean, default: 0 }", "TYPE_INVALID"),
    Bad("default out of range", "step: 0.01", "default: 1.01", "VALUE_INVALID"),
    Bad("default not listed", "high] }", "high], default: hihg }", "VALUE_INVALID", "did you mean `high`?"),
    Bad("default is a fraction", "{ type: integer, min: 0 }", "{ type: integer, default: 0.5 }", "VALUE_INVALID"),
    Bad("default is blank", "{ type: boolean }", '{ type: string, default: " " }', "VALUE_INVALID"),
    Bad("rate is a text", GRADE, f"fx_rate_to_usd: {{ type: string }}  #!\n  {GRADE}", "EVIDENCE_TYPE_CONFLICT"),
    Bad("rate has a default", GRADE, f"fx_rate_to_usd: {{ type: number, default: 1 }}  #!\n  {GRADE}", "VALUE_INVALID"),
    Bad("rate never above 0", GRADE, f"fx_rate_to_usd: {{ type: number, max: 0 }}  #!\n  {GRADE}", "VALUE_INVALID"),
    Bad("bounds of dollars", HEAD, also("fx_bounds: { USD: [1, 1] }  #!"), "VALUE_INVALID"),
    Bad("bounds upside down", HEAD, also("fx_bounds: { EUR: [1.6, 0.8] }  #!"), "VALUE_INVALID"),
    Bad("bound of 0", HEAD, also("fx_bounds: { EUR: [0, 1] }  #!"), "VALUE_INVALID"),
    Bad("one bound", HEAD, also("fx_bounds: { EUR: [1] }  #!"), "VALUE_INVALID"),
    Bad("bound is a text", HEAD, also('fx_bounds: { EUR: ["0.8", 1.6] }  #!'), "TYPE_INVALID"),
    Bad("currency pattern", HEAD, also("fx_bounds: { eur: [0.8, 1.6] }  #!"), "FIELD_PATTERN"),
    Bad("unknown feature", HEAD, also("memory: { features: [currencyy] }  #!"), "FEATURE_UNKNOWN", "`currency`"),
    Bad("no feature", HEAD, also("memory: { features: [] }  #!"), "VALUE_INVALID"),
    Bad("weight of 0", HEAD, also("memory: { weights: { tags: 0 } }  #!"), "VALUE_INVALID"),
    Bad("weight is a fraction", HEAD, also("memory: { weights: { tags: 1.5 } }  #!"), "TYPE_INVALID"),
    Bad("weight of nothing", HEAD, also("memory: { weights: { tag: 1 } }  #!"), "FEATURE_UNKNOWN", "`tags`"),
    Bad("feature no rule compares", HEAD, also("memory: { features: [count] }  #!"), "FEATURE_UNKNOWN", "compares"),
    Bad("weight no rule compares", HEAD, also("memory: { weights: { score: 2 } }  #!"), "FEATURE_UNKNOWN"),
    Bad("bands descend", HEAD, also("memory: { bands: { amount_usd: [0.5, 0.5] } }  #!"), "VALUE_INVALID"),
    Bad("bands no rule compares", HEAD, also("memory: { bands: { score: [0.5] } }  #!"), "FEATURE_UNKNOWN"),
    Bad("bands of an enum", HEAD, also("memory: { bands: { grade: [1] } }  #!"), "FEATURE_UNKNOWN"),
    Bad("bands without a cut", HEAD, also("memory: { bands: { amount_usd: [] } }  #!"), "VALUE_INVALID"),
    Bad("top_k of 101", HEAD, also("memory: { top_k: 101 }  #!"), "VALUE_INVALID"),
    Bad("min_score of 2", HEAD, also("memory: { min_score: 2 }  #!"), "VALUE_INVALID"),
]

RULES = [
    Bad("unknown rule key", WHEN, f"{WHEN}\n    unless: {{}}  #!", "FIELD_UNKNOWN"),
    Bad("misspelt block", IF, f"{IF}\n    if_anny: []  #!", "FIELD_UNKNOWN", "did you mean `if_any`?"),
    Bad("rule is a text", "  - id: R110", "  - nothing  #!\n  - id: R110", "TYPE_INVALID"),
    Bad("id pattern", "id: R110", "id: 1R", "FIELD_PATTERN"),
    Bad("id of the engine", "id: R110", "id: LUMYN_EVIDENCE_INVALID", "RULE_ID_RESERVED"),
    Bad("id twice", "id: R110", "id: R010", "RULE_ID_DUPLICATE"),
    Bad("misspelt stage", "stage: HARD_BLOCKS", "stage: HARD_BLOCK", "STAGE_UNKNOWN", "did you mean `HARD_BLOCKS`?"),
    Bad("stage in lower case", "stage: HARD_BLOCKS", "stage: hard_blocks", "STAGE_UNKNOWN", "`HARD_BLOCKS`"),
    Bad("stage is a number", "stage: HARD_BLOCKS", "stage: 2", "TYPE_INVALID"),
    Bad("default stage", "stage: HARD_BLOCKS", "stage: DEFAULT", "STAGE_FORBIDDEN", "defaults.default_verdict"),
    Bad("unknown verdict", "verdict: ABSTAIN", "verdict: ALLOW", "VERDICT_UNKNOWN", "one of `ABSTAIN`"),
    Bad("block trusts", "verdict: ABSTAIN", "verdict: TRUST", "STAGE_VERDICT_FORBIDDEN"),
    Bad("trust path escalates", "verdict: TRUST", "verdict: ESCALATE", "STAGE_VERDICT_FORBIDDEN"),
    Bad("unknown code", "[PAYMENT_INSTRUMENT_HIGH_RISK]", "[MADE_UP]", "REASON_CODE_UNKNOWN", "declare it"),
    Bad("misspelt code", "[EVIDENCE_MISSING]", "[EVIDENCE_MISING]", "REASON_CODE_UNKNOWN", "`EVIDENCE_MISSING`"),
    Bad("no code", "[PAYMENT_INSTRUMENT_HIGH_RISK]", "[]", "VALUE_INVALID"),
    Bad("code twice", "[EVIDENCE_MISSING]", "[EVIDENCE_MISSING, EVIDENCE_MISSING]", "VALUE_DUPLICATE"),
    Bad("code is a scalar", "[PAYMENT_INSTRUMENT_HIGH_RISK]", "PAYMENT_INSTRUMENT_HIGH_RISK", "TYPE_INVALID"),
    Bad("codes left out", BLOCK, "then: { verdict: ABSTAIN }", "FIELD_MISSING"),
    Bad("unknown answer", "verdict: ABSTAIN,", "verdict: ABSTAIN, reason: x,", "FIELD_UNKNOWN"),
    Bad("scope of null", WHEN, "when: { action_type: }", "TYPE_INVALID"),
    Bad("scope of nothing", WHEN, "when: {}", "CONDITION_EMPTY"),
    Bad("scope of no action", WHEN, "when: { action_type_in: [] }", "CONDITION_EMPTY"),
    Bad("scope is a scalar", WHEN, "when: { action_type_in: support.refund }", "TYPE_INVALID"),
    Bad("scope is a list", WHEN, "when: { action_type: [support.refund] }", "TYPE_INVALID"),
    Bad("action twice", WHEN, "when: { action_type_in: [a.b, a.b] }", "VALUE_DUPLICATE"),
    Bad("action without a dot", WHEN, "when: { action_type: refund }", "FIELD_PATTERN"),
    Bad("action with capitals", WHEN, "when: { action_type_in: [a.b, Support.refund] }", "FIELD_PATTERN"),
    Bad("misspelt scope", WHEN, "when: { action_typ: a.b }", "FIELD_UNKNOWN", "did you mean `action_type`?"),
    Bad("both scopes", WHEN, "when: { action_type: a.b, action_type_in: [a.c] }", "FIELD_CONFLICT"),
    Bad("queries of a block", "verdict: ABSTAIN,", "verdict: ABSTAIN, queries: [],", "QUERIES_FORBIDDEN"),
    Bad("query without question", QUERY, f"{QUERY[:-1]}, queries: [{{ field: a }}] }}", "FIELD_MISSING"),
    Bad("query key", QUERY, f"{QUERY[:-1]}, queries: [{{ field: a, question: b, text: c }}] }}", "FIELD_UNKNOWN"),
    Bad("query field", QUERY, f"{QUERY[:-1]}, queries: [{{ field: a b, question: c }}] }}", "FIELD_PATTERN"),
    Bad("query of blanks", QUERY, f'{QUERY[:-1]}, queries: [{{ field: a, question: " " }}] }}', "VALUE_INVALID"),
    Bad(
        "field asked twice",
        QUERY,
        f"{QUERY[:-1]}, queries: [{{ field: a, question: b }}, {{ field: a, question: c }}] }}",
        "VALUE_DUPLICATE",
    ),
    Bad("obligation is a text", "verdict: ABSTAIN,", "verdict: ABSTAIN, obligations: [notify],", "TYPE_INVALID"),
    Bad("obligation of nothing", "verdict: ABSTAIN,", "verdict: ABSTAIN, obligations: [{}],", "VALUE_INVALID"),
    Bad("obligation source", "verdict: ABSTAIN,", "verdict: ABSTAIN, obligations: [{ source: x }],", "FIELD_RESERVED"),
]

CONDITIONS = [
    Bad("empty if", IF, "if: {}", "CONDITION_EMPTY"),
    Bad("empty if_any", IF, "if_any: []", "CONDITION_EMPTY"),
    Bad("empty if_all", IF, "if_all: []", "CONDITION_EMPTY"),
    Bad("empty group", IF, "if_any: [{}]", "CONDITION_EMPTY"),
    Bad("trust path without a condition", "if: { amount_usd_lte: 25 }", "if: {}", "CONDITION_EMPTY"),
    Bad("null if", IF, "if:", "TYPE_INVALID"),
    Bad("if is a list", IF, "if: [{ evidence.grade_is: high }]", "TYPE_INVALID"),
    Bad("if_any is an object", IF, "if_any: { evidence.grade_is: high }", "TYPE_INVALID"),
    Bad("misspelt operator", IF, "if: { evidence.score_gtee: 0.7 }", "OPERATOR_UNKNOWN", "did you mean `gte`?"),
    Bad(
        "misspelt operator, no prefix",
        IF,
        "if: { chargeback_risk_gtee: 0.7 }",
        "OPERATOR_UNKNOWN",
        "did you mean `gte`, as in `evidence.chargeback_risk_gte`?",
    ),
    Bad("no operator", IF, "if: { amount_usd: 12 }", "OPERATOR_UNKNOWN", "`amount_usd` takes `_gt`"),
    Bad("no operator on text", IF, "if: { amount_currency: USD }", "OPERATOR_UNKNOWN", "`_is`"),
    Bad("no operator on evidence", IF, "if: { evidence.grade: high }", "OPERATOR_UNKNOWN", "`evidence.grade` takes"),
    Bad("no operator, no prefix", IF, "if: { grade: high }", "OPERATOR_UNKNOWN", "`evidence.grade` takes"),
    Bad("operator of another kind", IF, "if: { subject.roles_is: x }", "OPERATOR_UNKNOWN", "`_contains`"),
    Bad("equality of amounts", IF, "if: { amount_usd_is: 5 }", "OPERATOR_UNKNOWN", "`_gte`"),
    Bad("no prefix", IF, "if: { score_gte: 0.7 }", "SUBJECT_UNKNOWN", "did you mean `evidence.score_gte`?"),
    Bad(
        "no prefix, not declared",
        IF,
        "if: { chargeback_risk_gte: 0.7 }",
        "SUBJECT_UNKNOWN",
        "did you mean `evidence.chargeback_risk_gte`?",
    ),
    Bad("misspelt subject", IF, "if: { amount_us_gt: 5 }", "SUBJECT_UNKNOWN", "did you mean `amount_usd_gt`?"),
    Bad("misspelt risk", IF, "if: { risk.failure_similar_gt: 0 }", "SUBJECT_UNKNOWN", "`risk.failure_similarity_gt`"),
    Bad("key with a dot", IF, "if: { evidence.a.b_gt: 5 }", "SUBJECT_UNKNOWN", "letters, digits"),
    Bad("key of nothing", IF, "if: { evidence._gt: 5 }", "SUBJECT_UNKNOWN"),
    Bad("key of the engine", IF, "if: { evidence.lumyn_x_is: 5 }", "EVIDENCE_KEY_RESERVED"),
    Bad(
        "caller's own similarity",
        IF,
        "if: { evidence.failure_similarity_score_gte: 0.8 }",
        "EVIDENCE_KEY_RESERVED",
        "`risk.failure_similarity`",
    ),
    Bad("text for a number", IF, 'if: { amount_usd_gte: "0.01" }', "TYPE_INVALID", "without quotes"),
    Bad("boolean for a number", IF, "if: { amount_usd_gt: true }", "TYPE_INVALID"),
    Bad("null for a number", IF, "if: { amount_usd_gt: }", "TYPE_INVALID"),
    Bad("list for a number", IF, "if: { amount_usd_gt: [5] }", "TYPE_INVALID"),
    Bad("scalar for a list", IF, "if: { evidence.grade_in: low }", "TYPE_INVALID", "write it in brackets"),
    Bad("empty list", IF, "if: { evidence.grade_not_in: [] }", "OPERAND_INVALID"),
    Bad("member twice", IF, "if: { evidence.count_in: [2, 2.0] }", "OPERAND_INVALID"),
    Bad("mixed list", IF, "if: { evidence.grade_in: [low, 1] }", "TYPE_INVALID", "either strings or numbers"),
    Bad("boolean in a list", IF, "if: { evidence.grade_in: [true] }", "TYPE_INVALID"),
    Bad("numbers for roles", IF, "if: { subject.roles_contains_any: [1] }", "TYPE_INVALID"),
    Bad("number for a currency", IF, "if: { amount_currency_is: 5 }", "TYPE_INVALID"),
    Bad("currency in lower case", IF, "if: { amount_currency_is: usd }", "OPERAND_INVALID"),
    Bad("currency too long", IF, "if: { amount_currency_in: [USD, EURO] }", "OPERAND_INVALID"),
    Bad("subject type", IF, "if: { subject.type_is: agnet }", "OPERAND_INVALID", "did you mean `agent`?"),
    Bad("environment", IF, "if: { tenant.environment_in: [prod, production] }", "OPERAND_INVALID", "`prod`"),
    Bad("presence of a text", IF, 'if: { evidence.x_present: "true" }', "TYPE_INVALID"),
    Bad("blank constant", IF, 'if: { evidence.x_is: " " }', "OPERAND_INVALID", "_present: false"),
    Bad("percent for a fraction", IF, "if: { risk.failure_similarity_gte: 80 }", "OPERAND_INVALID"),
    Bad("out of the declared range", IF, "if: { evidence.score_gte: 70 }", "OPERAND_INVALID"),
    Bad("never a whole number", IF, "if: { evidence.count_is: 2.5 }", "OPERAND_INVALID"),
    Bad("not a declared value", IF, "if: { evidence.grade_is: hgih }", "OPERAND_INVALID", "did you mean `high`?"),
    Bad("member not declared", IF, "if: { evidence.grade_in: [low, midium] }", "OPERAND_INVALID", "`medium`"),
    Bad("threshold not declared", IF, "if: { evidence.grade_is: { threshold: word2 } }", "THRESHOLD_UNKNOWN", "`word`"),
    Bad("threshold of another type", IF, "if: { amount_usd_gt: { threshold: word } }", "TYPE_INVALID"),
    Bad("threshold for a list", IF, "if: { evidence.grade_in: { threshold: word } }", "TYPE_INVALID"),
    Bad("threshold in a list", IF, "if: { evidence.grade_in: [{ threshold: word }] }", "TYPE_INVALID"),
    Bad("misspelt reference", IF, "if: { amount_usd_gt: { treshold: limit, threshold: limit } }", "FIELD_UNKNOWN"),
    Bad("empty reference", IF, "if: { amount_usd_gt: {} }", "FIELD_MISSING"),
    Bad("number as a flag", IF, "if: { evidence.approved_is: 1 }", "EVIDENCE_TYPE_CONFLICT"),
    Bad("flag as a number", IF, "if: { evidence.score_is: true }", "EVIDENCE_TYPE_CONFLICT"),
    Bad("text as a number", IF, 'if: { evidence.score_is: "0.5" }', "EVIDENCE_TYPE_CONFLICT"),
    Bad("threshold against a type", IF, "if: { evidence.score_is: { threshold: word } }", "EVIDENCE_TYPE_CONFLICT"),
    Bad("two implied types", IF, "if: { evidence.x_gt: 1, evidence.x_is: a }", "EVIDENCE_TYPE_CONFLICT"),
    Bad("rate as a text", IF, "if: { evidence.fx_rate_to_usd_is: low }", "EVIDENCE_TYPE_CONFLICT"),
    Bad(
        "repeated as a threshold",
        IF,
        "if_all: [{ amount_usd_gt: 200 }, { amount_usd_gt: { threshold: limit } }]",
        "CONDITION_DUPLICATE",
    ),
    Bad("repeated across blocks", IF, f"{IF}\n    if_any: [{{ evidence.grade_is: high }}]  #!", "CONDITION_DUPLICATE"),
    Bad("repeated with 5.0", IF, "if_any: [{ amount_usd_gt: 5 }, { amount_usd_gt: 5.0 }]", "CONDITION_DUPLICATE"),
    Bad(
        "repeated in another order",
        IF,
        "if_any: [{ evidence.grade_in: [low, high] }, { evidence.grade_in: [high, low] }]",
        "CONDITION_DUPLICATE",
    ),
]


def refused(text: str | bytes, *, file: str = "policy.yml") -> tuple[Problem, ...]:
    """Return the problems of a policy that must not load."""
    with pytest.raises(InvalidPolicyError) as caught:
        parse_policy(text, file=file)
    assert "INVALID_POLICY" == caught.value.reason_code
    return caught.value.problems


def test_base_policy_is_valid() -> None:
    """The policy that every case below breaks is fine to begin with."""
    assert 3 == len(parse_policy(BASE).rules)


@pytest.mark.parametrize("bad", [*DOCUMENT, *EVIDENCE, *RULES, *CONDITIONS], ids=lambda bad: bad.name)
def test_bad_policy_is_refused_with_code_line_and_hint(bad: Bad) -> None:
    """Each mistake gives exactly one problem, on its own line."""
    assert 1 == BASE.count(bad.old), "a case must change one place"
    start = BASE.index(bad.old)
    marked = bad.new.index("#!") if "#!" in bad.new else 0
    line = 1 + (BASE[:start] + bad.new[:marked]).count("\n")
    problems = refused(BASE.replace(bad.old, bad.new))
    found = [(problem.code, problem.span.line if problem.span else 0) for problem in problems]
    # What is missing from the file as a whole has no line of its own.
    assert [(bad.code, 1 if not bad.new else line)] == found, problems
    assert (bad.hint or "") in (problems[0].hint or ""), problems[0]
    assert problems[0].pointer.startswith("/")


@pytest.mark.parametrize("version", ["", "schema_version: 1\n", "schema_version: policy.v9\n", "schema_version:\n"])
def test_only_this_version_of_the_language_is_read(version: str) -> None:
    """A file without a version, or of another one, is refused for that and nothing else."""
    problems = refused(BASE.replace("schema_version: policy.v0\n", version))
    assert ["SCHEMA_VERSION_UNSUPPORTED"] == [problem.code for problem in problems]


def test_later_version_is_not_held_to_the_rules_of_this_one() -> None:
    """What a later language adds is not reported as a mistake."""
    problems = refused("schema_version: policy.v1\nnovelties: [1]\n")
    assert ["SCHEMA_VERSION_UNSUPPORTED"] == [problem.code for problem in problems]


@pytest.mark.parametrize("text", ["", "---\n", "null\n", "[]\n", "policy\n"])
def test_policy_is_an_object(text: str) -> None:
    """An empty file is not a policy without rules."""
    assert ["POLICY_NOT_OBJECT"] == [problem.code for problem in refused(text)]


@pytest.mark.parametrize(
    "rule",
    [
        f"if: {{ amount_usd_gt: 1 }}\n    {QUERY}",
        f"when: {{ action_type: other.thing }}\n    {QUERY}",
        f"when: {{ action_type_in: [other.thing] }}\n    {QUERY}",
    ],
)
def test_required_evidence_needs_a_rule_that_asks_for_it(rule: str) -> None:
    """A rule with conditions, or for another action, asks for nothing; the action is named where it is required."""
    (problem,) = refused(BASE.replace(QUERY, rule))
    assert ("REQUIREMENTS_RULE_MISSING", 5, "/required_evidence/support.refund") == place(problem)


def test_required_key_must_not_have_a_default() -> None:
    """A default would fill in for the missing key, so nobody would ever be asked."""
    declared = f"ticket_id: {{ type: string, default: none }}\n  {GRADE}"
    (problem,) = refused(BASE.replace(GRADE, declared))
    assert ("DEFAULT_FORBIDDEN", 5, "/required_evidence/support.refund/0") == place(problem)


def test_too_many_rules_are_refused() -> None:
    """A policy has a bounded size."""
    rules = [{"id": f"R{n}", "stage": "ESCALATIONS", "then": THEN} for n in range(2001)]
    assert ["POLICY_TOO_LARGE"] == [problem.code for problem in refused_document({**HEADER, "rules": rules})]


def test_as_many_rules_as_allowed_load() -> None:
    """The bound itself is allowed."""
    rules = [{"id": f"R{n}", "stage": "ESCALATIONS", "then": THEN} for n in range(2000)]
    assert 2000 == len(parse_policy(json.dumps({**HEADER, "rules": rules}), file="p.json").rules)


def test_type_conflict_names_both_places() -> None:
    """Two rules that disagree about a key are both found."""
    conditions = "if: { evidence.x_gt: 1, evidence.x_is: a }"
    (problem,) = refused(BASE.replace(IF, conditions))
    assert "`evidence.x_is` makes `x` a string, and policy.yml:18:11 makes it a number" == problem.message


def test_type_conflict_with_a_declaration_names_the_declaration() -> None:
    """A rule that contradicts the evidence block is told where the block says otherwise."""
    (problem,) = refused(BASE.replace(IF, "if: { evidence.count_is: many }"))
    assert "`evidence.count_is` makes `count` a string, and policy.yml:9:3 declares it an integer" == problem.message
    assert ("EVIDENCE_TYPE_CONFLICT", 18, "/rules/1/if/evidence.count_is") == place(problem)


def test_threshold_of_the_wrong_type_names_its_definition() -> None:
    """A named constant is looked up for the reader."""
    (problem,) = refused(BASE.replace(IF, "if: { amount_usd_gt: { threshold: word } }"))
    assert "`amount_usd_gt` takes a number, and threshold `word` (policy.yml:4:27) is a string" == problem.message


def test_ambiguous_key_is_refused() -> None:
    """`stock_not` in a list and `stock` not in a list are written alike; the reader decides which was meant."""
    declared = f"stock_not: {{ type: string }}\n  {GRADE}"
    text = BASE.replace(GRADE, declared).replace(IF, "if: { evidence.stock_not_in: [none] }")
    assert ["SUBJECT_UNKNOWN"] == [problem.code for problem in refused(text)]


def test_column_is_that_of_the_mistake() -> None:
    """Editors put the cursor on the token itself."""
    (problem,) = refused(BASE.replace(IF, "if: { evidence.score_gtee: 0.7 }"))
    assert "policy.yml:18:11" == str(problem.span)
    assert "unknown operator `gtee` in rule `R110`" == problem.message


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    """Nobody repairs a policy one error message at a time."""
    text = BASE.replace("word: low", "word: null").replace("stage: HARD_BLOCKS", "stage: BLOCKS")
    text = text.replace("verdict: ABSTAIN", "verdict: DENY").replace("amount_usd_lte: 25", "amount_usd_lte: low")
    codes = [problem.code for problem in refused(text)]
    assert ["TYPE_INVALID", "STAGE_UNKNOWN", "VERDICT_UNKNOWN", "TYPE_INVALID"] == codes


def test_broken_definition_is_reported_once() -> None:
    """A threshold, evidence key or code that is declared wrongly is not also unknown wherever it is used."""
    text = BASE.replace("limit: 200", "limit: [200]").replace(
        "{ amount_usd_lte: 25 }", "{ amount_usd_lte: { threshold: limit } }"
    )
    text = text.replace("type: enum, values", "type: enumm, values")
    assert ["TYPE_INVALID", "EVIDENCE_TYPE_UNKNOWN"] == [problem.code for problem in refused(text)]


def test_names_are_shown_without_control_characters() -> None:
    """A key cannot write to the terminal of whoever reads the message."""
    document = {**HEADER, "rules": [], "\u001b[2J" + "x" * 500: 1}
    for problem in refused_document(document):
        assert problem.message.isprintable()
        assert len(problem.message) < 200


def test_control_characters_are_found_in_json_as_well() -> None:
    """Escapes hide a character from the reader of the file, not from the reader of the record."""
    codes = [problem.code for problem in refused_document({**HEADER, "rules": [], "reason_codes": {"ABC": "a\u202eb"}})]
    assert ["CONTROL_CHARACTER"] == codes


def test_thousands_of_mistakes_are_told_in_time() -> None:
    """Looking for near misses does not make a broken file expensive."""
    codes = {f"CODE_{n:04}": "x" for n in range(2000)}
    then = {"verdict": "ESCALATE", "reason_codes": ["CODE_X"]}
    rules = [{"id": f"R{n}", "stage": "ESCALATIONS", "then": then} for n in range(2000)]
    problems = refused_document({**HEADER, "reason_codes": codes, "rules": rules})
    assert 2000 == len(problems)
    assert 0 < sum("did you mean" in (problem.hint or "") for problem in problems) < 100


HEADER: dict[str, Any] = {"schema_version": "policy.v0", "policy_id": "acme", "policy_version": "1"}
THEN = {"verdict": "ESCALATE", "reason_codes": ["MANUAL_APPROVAL_REQUESTED"]}


def refused_document(document: dict[str, Any]) -> tuple[Problem, ...]:
    """Return the problems of a JSON policy that must not load."""
    return refused(json.dumps(document), file="policy.json")


def place(problem: Problem) -> tuple[str, int, str]:
    """Return code, line and pointer of a problem."""
    return problem.code, problem.span.line if problem.span else 0, problem.pointer


# ---------------------------------------------------------------------------------------------------------------------
# What a valid policy becomes.


def test_numbers_are_exact_decimals_and_thresholds_are_substituted() -> None:
    """0.1 is a tenth, and a named constant is one constant."""
    text = BASE.replace(IF, "if: { evidence.score_gt: 0.1, amount_usd_gte: { threshold: limit } }")
    score, amount = parse_policy(text).rules[1].conditions
    assert (Decimal("0.1"), None) == (score.operand, score.threshold)
    assert (Decimal(200), "limit") == (amount.operand, amount.threshold)
    assert {"limit": Decimal(200), "word": "low", "flag": True} == parse_policy(text).thresholds


def test_blocks_keep_their_groups_in_file_order() -> None:
    """`if`, `if_all` and `if_any` stay apart, whatever order the file has them in."""
    blocks = """if_any: [{ amount_usd_gt: 1 }, { amount_usd_gt: 2, amount_usd_lt: 3 }]
    if: { subject.type_is: agent }
    if_all: [{ action.tags_contains: a }, { action.tags_contains: b }]"""
    rule = parse_policy(BASE.replace(IF, blocks)).rules[1]
    found = {str(block.kind): [[c.text for c in group] for group in block.groups] for block in rule.blocks}
    assert {
        "if": [["subject.type_is"]],
        "if_all": [["action.tags_contains"], ["action.tags_contains"]],
        "if_any": [["amount_usd_gt"], ["amount_usd_gt", "amount_usd_lt"]],
    } == found


def test_operators_give_undeclared_keys_their_type() -> None:
    """Ordering makes a number, `true` a boolean, a text a string; presence makes nothing."""
    conditions = "if: { evidence.a_gt: 1, evidence.b_is: true, evidence.c_in: [x], evidence.d_present: true }"
    evidence = parse_policy(BASE.replace(IF, conditions)).evidence
    assert (EvidenceType.NUMBER, False) == (evidence["a"].type, evidence["a"].declared)
    assert (EvidenceType.BOOLEAN, False) == (evidence["b"].type, evidence["b"].declared)
    assert (EvidenceType.STRING, False) == (evidence["c"].type, evidence["c"].declared)
    assert "d" not in evidence


def test_declared_types_hold_range_values_and_default() -> None:
    """The evidence block reaches the engine in full."""
    text = BASE.replace("approved: { type: boolean }", "approved: { type: boolean, default: false }")
    evidence = parse_policy(text).evidence
    assert (Decimal(0), Decimal(1), Decimal("0.01")) == (
        evidence["score"].minimum,
        evidence["score"].maximum,
        evidence["score"].step,
    )
    assert ("low", "medium", "high") == evidence["grade"].values
    assert evidence["approved"].default is False
    assert evidence["grade"].default is None
    assert "policy.yml:7:3" == str(evidence["grade"].span).replace("<policy>", "policy.yml")


def test_rate_is_a_number_above_zero_declared_or_not() -> None:
    """A rate of 0 would make every amount small."""
    rate = parse_policy(BASE).evidence["fx_rate_to_usd"]
    assert (EvidenceType.NUMBER, Decimal(0), True, False) == (
        rate.type,
        rate.minimum,
        rate.exclusive_minimum,
        rate.declared,
    )
    declared = f"fx_rate_to_usd: {{ type: number, min: 0, max: 5 }}\n  {GRADE}"
    rate = parse_policy(BASE.replace(GRADE, declared)).evidence["fx_rate_to_usd"]
    assert (Decimal(0), True, Decimal(5), True) == (rate.minimum, rate.exclusive_minimum, rate.maximum, rate.declared)
    declared = f"fx_rate_to_usd: {{ type: number, min: 0.5 }}\n  {GRADE}"
    rate = parse_policy(BASE.replace(GRADE, declared)).evidence["fx_rate_to_usd"]
    assert (Decimal("0.5"), False) == (rate.minimum, rate.exclusive_minimum)


def test_defaults_are_the_safe_ones() -> None:
    """Without a word about it, a policy enforces and escalates what no rule knows."""
    policy = parse_policy(BASE)
    assert ("enforce", "ESCALATE", "NO_MATCH_DEFAULT_ESCALATE") == (
        policy.mode,
        policy.default_verdict,
        policy.default_reason_code,
    )
    assert policy.fx_bounds is None


def test_scope_is_kept_as_written() -> None:
    """A scope that the validator takes is a scope that the engine sees."""
    text = BASE.replace(WHEN, "when: { action_type_in: [other.thing, support.refund] }")
    rules = parse_policy(text).rules
    assert [None, ("other.thing", "support.refund"), None] == [rule.actions for rule in rules]


def test_optional_blocks_reach_the_policy() -> None:
    """Bounds, memory, invariants, queries and obligations are read, not just accepted."""
    more = """reason_codes: { OWN_CODE: Ours. }
fx_bounds: { EUR: [0.8, 1.6] }
memory: { features: [tags, grade], weights: { grade: 2.0 }, bands: { amount_usd: [1, 20.5] }, top_k: 3, min_score: 0.5 }
invariants: [{ never: { verdict: TRUST } }]"""
    text = BASE.replace(HEAD, also(more))
    text = text.replace(QUERY, f"{QUERY[:-1]}, queries: [{{ field: action.amount, question: How much? }}] }}")
    text = text.replace("verdict: ABSTAIN,", "verdict: ABSTAIN, obligations: [{ type: notify, within_h: 2.0 }],")
    policy = parse_policy(text)
    assert {"OWN_CODE": "Ours."} == policy.reason_codes
    assert {"EUR": (Decimal("0.8"), Decimal("1.6"))} == policy.fx_bounds
    assert (("tags", "grade"), {"grade": 2}, 3) == (policy.memory.features, policy.memory.weights, policy.memory.top_k)
    assert {"amount_usd": (Decimal(1), Decimal("20.5"))} == policy.memory.bands
    assert Decimal("0.5") == policy.memory.min_score
    assert ({"never": {"verdict": "TRUST"}},) == policy.invariants
    assert [("action.amount", "How much?")] == [(query.field, query.question) for query in policy.rules[0].queries]
    assert ({"type": "notify", "within_h": 2},) == policy.rules[1].obligations
    assert isinstance(policy.rules[1].obligations[0]["within_h"], int)


def test_rules_conditions_and_sections_know_their_place() -> None:
    """Reports point into the file."""
    policy = parse_policy(BASE, file="policy.yml")
    assert "policy.yml:15:5" == str(policy.rules[1].span)
    assert "policy.yml:18:11" == str(policy.rules[1].conditions[0].span)
    assert "policy.yml:18:5" == str(policy.rules[1].blocks[0].span)
    assert "policy.yml:4:15" == str(policy.spans["/thresholds/limit"])
    assert "policy.yml:5:39" == str(policy.spans["/required_evidence/support.refund/0"])
