"""Vectors that cannot fail, or cannot be right, are refused: code and line of each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from vector_suites import HEAD, POLICY, Root

from lumyn.errors import InvalidPolicyError, InvalidVectorError
from lumyn.vectors import load_suite

GOOD = "request: { $use: small }"


SHAPE = frozenset(
    "EXPECT_EMPTY TYPE_INVALID FIELD_UNKNOWN FIELD_MISSING FIELD_PATTERN VERDICT_UNKNOWN STAGE_UNKNOWN LABEL_UNKNOWN "
    "MODE_UNKNOWN FAULT_UNKNOWN SKIP_WITHOUT_REASON TABLE_EMPTY STEP_INVALID".split()
)
"""What the schema can say; everything else takes a policy, other files or the whole suite."""


def parted(expected: str) -> tuple[list[str], bool]:
    """
    Return the codes of a table entry, sorted, and whether the schema refuses the file too.

    It does when one of the codes is about shape, unless the entry ends in `~`; or when the entry ends in `!`.
    """
    codes = expected.replace("~", "").replace("!", "").split()
    return sorted(codes), "!" in expected or ("~" not in expected and not SHAPE.isdisjoint(codes))


def case(expect: str = "expect: { verdict: TRUST }", *, request: str = GOOD, more: str = "") -> str:
    """Return a suite of one vector; `more` is added on line 4."""
    return f"- name: one\n  {request}\n  {expect}\n" + (f"  {more}\n" if more else "")


EXPECTATIONS = {
    "expect: {}": "EXPECT_EMPTY",
    "expect: { x-note: mine }": "EXPECT_EMPTY ~",
    "expect: [TRUST]": "TYPE_INVALID",
    "expect: { verdikt: TRUST }": "FIELD_UNKNOWN",
    "expect: { verdict: TRSUT }": "VERDICT_UNKNOWN",
    "expect: { verdict: trust }": "VERDICT_UNKNOWN",
    "expect: { verdict: 1 }": "TYPE_INVALID",
    "expect: { verdict: { in: [] } }": "EXPECT_EMPTY",
    "expect: { verdict: { not: TRUST } }": "FIELD_UNKNOWN FIELD_MISSING",
    "expect: { verdict: { in: [TRUST, ESCALATE, QUERY, ABSTAIN] }, reason_codes: [ACME_SMALL] }": "EXPECT_VACUOUS",
    "expect: { verdict: ESCALATE }": "EXPECT_REASON_CODES_MISSING",
    "expect: { verdict: QUERY }": "EXPECT_REASON_CODES_MISSING",
    "expect: { verdict: ABSTAIN }": "EXPECT_REASON_CODES_MISSING",
    "expect: { verdict: { in: [TRUST, ESCALATE] } }": "EXPECT_REASON_CODES_MISSING",
    "expect: { verdict: ESCALATE, matched_rules: [R030] }": "EXPECT_REASON_CODES_MISSING",
    "expect: { verdict: ESCALATE, reason_codes: { excludes: [ACME_SMALL] } }": "EXPECT_REASON_CODES_MISSING",
    "expect: { verdict: TRUST, reason_codes: { is_empty: false } }": "EXPECT_VACUOUS",
    "expect: { verdict: TRUST, risk_signals: { uncertainty_score: { between: [0, 1] } } }": "EXPECT_VACUOUS",
    "expect: { record: { schema_version: decision_record.v0 } }": "EXPECT_VACUOUS",
    "expect: { record: { risk_signals: { uncertainty_score: { gte: 0 } } } }": "EXPECT_VACUOUS",
    "expect: { record: { verdict: ESCALATE } }": "EXPECT_REASON_CODES_MISSING",
    "expect: { verdict: TRUST, reason_codes: [] }": "VALUE_INVALID !",
    "expect: { verdict: TRUST, reason_codes: ACME_SMALL }": "TYPE_INVALID",
    "expect: { verdict: TRUST, reason_codes: {} }": "EXPECT_EMPTY",
    "expect: { verdict: TRUST, reason_codes: { contains: [] } }": "EXPECT_EMPTY",
    "expect: { verdict: TRUST, reason_codes: { excludes: [] } }": "EXPECT_EMPTY",
    "expect: { verdict: TRUST, reason_codes: { any_order: [] } }": "EXPECT_EMPTY",
    "expect: { verdict: TRUST, reason_codes: { contans: [ACME_SMALL] } }": "FIELD_UNKNOWN",
    "expect: { verdict: TRUST, reason_codes: { is_empty: 1 } }": "TYPE_INVALID",
    "expect: { verdict: TRUST, reason_codes: [acme_small] }": "FIELD_PATTERN",
    "expect: { verdict: TRUST, reason_codes: [NOPE] }": "REASON_CODE_UNKNOWN",
    "expect: { verdict: TRUST, reason_codes: { contains: [NOPE] } }": "REASON_CODE_UNKNOWN",
    "expect: { verdict: TRUST, reason_codes: { excludes: [NOPE] } }": "REASON_CODE_UNKNOWN",
    "expect: { verdict: TRUST, reason_codes_includes: [NOPE] }": "REASON_CODE_UNKNOWN",
    "expect: { verdict: TRUST, reason_codes_includes: [] }": "EXPECT_EMPTY",
    "expect: { reason_codes: [ACME_SMALL], reason_codes_includes: [ACME_SMALL] }": "EXPECT_CONFLICT",
    "expect: { verdict: TRUST, reason_codes: [ACME_CLOSED] }": "REASON_CODE_NOT_EMITTED",
    "expect: { verdict: TRUST, reason_codes: { excludes: [ACME_CLOSED] } }": "REASON_CODE_NOT_EMITTED",
    "expect: { verdict: ABSTAIN, reason_codes: [STORAGE_UNAVAILABLE] }": "REASON_CODE_NOT_EMITTED",
    "expect: { verdict: ABSTAIN, reason_codes: [FX_RATE_OUT_OF_BOUNDS] }": "REASON_CODE_NOT_EMITTED",
    "expect: { matched_rules: [R99] }": "RULE_ID_UNKNOWN",
    "expect: { matched_rules: { excludes: [R99] } }": "RULE_ID_UNKNOWN",
    "expect: { matched_rules: [{ rule_id: R99 }] }": "RULE_ID_UNKNOWN",
    "expect: { matched_rules: [R060] }": "RULE_NOT_APPLICABLE",
    "expect: { matched_rules: [LUMYN_FX_OUT_OF_BOUNDS] }": "RULE_ID_UNKNOWN",
    "expect: { matched_rules: [{ stage: TRUST_PATHS }] }": "FIELD_MISSING",
    "expect: { matched_rules: [{ rule_id: R050, stage: TRUST }] }": "STAGE_UNKNOWN",
    "expect: { matched_rules: [{ rule_id: R050, effect: GO }] }": "VERDICT_UNKNOWN",
    "expect: { matched_rules: [{ rule_id: R050, reason_codes: [NOPE] }] }": "REASON_CODE_UNKNOWN",
    "expect: { matched_rules: [{ rule_id: R050, reason_codes: [acme_small] }] }": "FIELD_PATTERN",
    "expect: { matched_rules: [{ rule_id: R050, reason_codes: { contains: [] } }] }": "EXPECT_EMPTY",
    "expect: { matched_rules: [{ rule_id: R050, when: x }] }": "FIELD_UNKNOWN",
    "expect: { matched_rules: [5] }": "TYPE_INVALID",
    "expect: { queries: [{ question: x }] }": "FIELD_MISSING",
    "expect: { queries: [{ field: x, why: z }] }": "FIELD_UNKNOWN",
    "expect: { queries: [{ field: { matches: '(' } }] }": "VALUE_INVALID",
    "expect: { obligations: [notify] }": "TYPE_INVALID",
    "expect: { obligations: [{}] }": "EXPECT_EMPTY",
    "expect: { risk_signals: {} }": "EXPECT_EMPTY",
    "expect: { risk_signals: { failure_similarity: {} } }": "EXPECT_EMPTY",
    "expect: { risk_signals: { failure_similarty: { score: 1 } } }": "FIELD_UNKNOWN",
    "expect: { risk_signals: { failure_similarity: { scor: 1 } } }": "FIELD_UNKNOWN",
    "expect: { risk_signals: { failure_similarity: { score: {} } } }": "EXPECT_EMPTY",
    "expect: { risk_signals: { failure_similarity: { score: { gtee: 0.8 } } } }": "FIELD_UNKNOWN",
    "expect: { risk_signals: { failure_similarity: { score: { gte: high } } } }": "TYPE_INVALID",
    "expect: { risk_signals: { failure_similarity: { score: { gte: true } } } }": "TYPE_INVALID",
    "expect: { risk_signals: { failure_similarity: { score: { gte: 0 } } } }": "EXPECT_VACUOUS",
    "expect: { risk_signals: { failure_similarity: { score: { gt: -0.1 } } } }": "EXPECT_VACUOUS",
    "expect: { risk_signals: { uncertainty_score: { lte: 1 } } }": "EXPECT_VACUOUS",
    "expect: { risk_signals: { uncertainty_score: { lt: 1.1 } } }": "EXPECT_VACUOUS",
    "expect: { risk_signals: { uncertainty_score: { between: [1, 0] } } }": "VALUE_INVALID",
    "expect: { risk_signals: { uncertainty_score: { between: [1] } } }": "VALUE_INVALID !",
    "expect: { risk_signals: { uncertainty_score: { between: [0.1, 0.2, 0.3] } } }": "VALUE_INVALID !",
    "expect: { risk_signals: { uncertainty_score: { between: [a, 1] } } }": "TYPE_INVALID",
    "expect: { risk_signals: { uncertainty_score: { in: [] } } }": "EXPECT_EMPTY",
    "expect: { risk_signals: { uncertainty_score: '0' } }": "TYPE_INVALID",
    "expect: { risk_signals: { failure_similarity: { top_k: [{ summry: x }] } } }": "FIELD_UNKNOWN",
    "expect: { risk_signals: { failure_similarity: { top_k: [{}] } } }": "EXPECT_EMPTY",
    "expect: { record: {} }": "EXPECT_EMPTY",
    "expect: { record: TRUST }": "TYPE_INVALID",
    "expect: { record: { decision_id: x } }": "FIELD_VOLATILE",
    "expect: { record: { created_at: x } }": "FIELD_VOLATILE",
    "expect: { record: { policy: { mode: { matches: '[' } } } }": "VALUE_INVALID",
    "expect: { record: { matched_rules: [{ rule_id: { matches: '[' } }] } }": "VALUE_INVALID",
    "expect: { record: { verdikt: TRUST } }": "FIELD_UNKNOWN ~",
    "expect: { record: { verdict: TRSUT } }": "VERDICT_UNKNOWN ~",
    "expect: { record: { reason_codes: [NOPE] } }": "REASON_CODE_UNKNOWN",
    "expect: { record: { $exact: golden.json, verdict: TRUST } }": "FIELD_UNKNOWN PATH_NOT_FOUND",
    "expect: { record: { $exact: ../golden.json } }": "PATH_OUTSIDE_ROOT",
    "expect: { record: { $exact: 7 } }": "TYPE_INVALID",
    "expect: { error: NOPE }": "REASON_CODE_UNKNOWN !",
    "expect: { error: STORAGE_UNAVAILABLE }": "REASON_CODE_UNKNOWN !",
    "expect: { error: INVALID_REQUEST_SCHEMA, verdict: TRUST }": "EXPECT_CONFLICT",
    "expect: { error: { problems: [TYPE_INVALID] } }": "FIELD_MISSING",
    "expect: { error: { reason_code: INVALID_REQUEST_SCHEMA, problems: [] } }": "",
    "expect: { error: { reason_code: INVALID_REQUEST_SCHEMA, problems: { contains: [] } } }": "EXPECT_EMPTY",
    "expect: { error: { reason_code: INVALID_REQUEST_SCHEMA, problem: [A] } }": "FIELD_UNKNOWN",
    "expect: { changed_from: { step: first, because: memory } }": "FIELD_CONFLICT",
    "expect: { changed_from: { step: first } }": "FIELD_MISSING",
    "expect: { verdict: TRUST, queries: null }": "TYPE_INVALID ~",
    "expect: null": "EXPECT_MISSING",
    "why: nothing is expected": "EXPECT_MISSING",
}


@pytest.mark.parametrize(("expect", "codes"), EXPECTATIONS.items())
def test_expectations(suite_root: Root, expect: str, codes: str) -> None:
    """Each is refused with exactly these codes, on the line of the expectation or, when there is none, of the case."""
    found = suite_root.problems(case(expect))
    assert parted(codes) == (sorted(code for code, _ in found), not suite_root.valid(case(expect)))
    assert {3 if code != "EXPECT_MISSING" else 1 for code, _ in found} >= {line for _, line in found}


VECTOR_KEYS = {
    "expcet: { verdict: TRUST }": "FIELD_UNKNOWN",
    "id: other": "FIELD_UNKNOWN",
    "skip: true": "SKIP_WITHOUT_REASON",
    "skip: ''": "SKIP_WITHOUT_REASON",
    "skip: '  '": "SKIP_WITHOUT_REASON ~",
    "xfail: true": "TYPE_INVALID",
    "xfail: {}": "SKIP_WITHOUT_REASON",
    "xfail: { until: '2026-01-01' }": "SKIP_WITHOUT_REASON",
    "xfail: { reason: '' }": "SKIP_WITHOUT_REASON",
    "xfail: { reason: x, until: tomorrow }": "VALUE_INVALID !",
    "xfail: { reason: x, untill: '2026-01-01' }": "FIELD_UNKNOWN",
    "xfail: { reason: x, strict: false }": "FIELD_UNKNOWN",
    "marks: slow": "TYPE_INVALID",
    "marks: [not a mark]": "FIELD_PATTERN",
    "marks: [skip]": "VALUE_INVALID",
    "marks: [parametrize]": "VALUE_INVALID",
    "tags: [a b]": "FIELD_PATTERN",
    "mode: enforced": "MODE_UNKNOWN",
    "clock: '2026-01-15'": "VALUE_INVALID !",
    "clock: '2026-01-15T12:00:00+01:00'": "VALUE_INVALID !",
    "clock: '2026-02-30T12:00:00Z'": "VALUE_INVALID",
    "clock: 5": "TYPE_INVALID",
    "clock: null": "CLOCK_UNPINNED",
    "policy: null": "POLICY_MISSING",
    "policy: policies/nope.yml": "PATH_NOT_FOUND",
    "policy: ../p.yml": "PATH_OUTSIDE_ROOT",
    "policy: /etc/hostname": "PATH_OUTSIDE_ROOT",
    "policy: policies": "PATH_NOT_FILE",
    "memory: fraud": "TYPE_INVALID",
    "memory: [fraud]": "FIXTURE_UNKNOWN",
    "memory: [{ label: failur, request: { $use: small } }]": "LABEL_UNKNOWN",
    "memory: [{ label: failure }]": "FIELD_MISSING",
    "memory: [{ request: { $use: small } }]": "FIELD_MISSING",
    "memory: [{ label: failure, request: { $use: smal } }]": "FIXTURE_UNKNOWN",
    "memory: [{ label: failure, request: { $use: small }, summary: '' }]": "VALUE_INVALID !",
    "memory: [{ label: failure, request: { $use: small }, note: x }]": "FIELD_UNKNOWN",
    "memory: [7]": "TYPE_INVALID",
    "steps: [{ decide: { request: { $use: small } }, expect: { verdict: TRUST } }]": "FIELD_CONFLICT FIELD_CONFLICT",
    "why: ''": "VALUE_INVALID !",
}


@pytest.mark.parametrize(("key", "codes"), VECTOR_KEYS.items())
def test_keys_of_a_vector(suite_root: Root, key: str, codes: str) -> None:
    """Each is refused with exactly these codes, on its own line; what is missing, on that of the case."""
    found = suite_root.problems(case(more=key))
    assert parted(codes) == (sorted(code for code, _ in found), not suite_root.valid(case(more=key)))
    missing = {"CLOCK_UNPINNED", "POLICY_MISSING"}
    on_request = {"FIELD_CONFLICT"}
    lines = {1 if code in missing else 4 for code, _ in found if code not in on_request}
    assert lines == {line for code, line in found if code not in on_request}


REQUESTS = {
    "request: { $use: smal }": ("FIXTURE_UNKNOWN", "did you mean `small`"),
    "request: { $use: 7 }": ("TYPE_INVALID", "must name a request fixture"),
    "request: { $with: { a: 1 } }": ("FIELD_MISSING", "must name a request fixture"),
    "request: { $use: small, evidence: { risk: 1 } }": ("FIELD_UNKNOWN", "write it as `$with: {evidence: ...}`"),
    "request: { $use: small, $with: [] }": ("TYPE_INVALID", "`$with` must be an object"),
    "request: { $use: small, $with: { 'a..b': 1 } }": ("PATH_INVALID", "cannot be set"),
    "request: { $use: small, $with: { action.type.x: 1 } }": ("PATH_INVALID", "is not an object"),
    "request: { action: { $use: small } }": ("FIELD_UNKNOWN", "stands for a whole request"),
    "request: { action: { amount: { $use: small } } }": ("FIELD_UNKNOWN", "stands for a whole request"),
    "request: { context: { inline: { turns: [{ $use: small }] } } }": ("FIELD_UNKNOWN", "stands for a whole request"),
    "request: { $use: small, $with: { action: { $use: small } } }": ("FIELD_UNKNOWN", "stands for a whole request"),
    "request: { $use: small, $with: { context.inline.turns: [[{ $use: small }]] } }": (
        "FIELD_UNKNOWN",
        "stands for a whole request",
    ),
    "request: small": ("TYPE_INVALID", "a request must be an object"),
}


@pytest.mark.parametrize(("request_text", "expected"), REQUESTS.items())
def test_requests(suite_root: Root, request_text: str, expected: tuple[str, str]) -> None:
    """A request that means nothing is not sent as it stands."""
    code, part = expected
    text = case(request=request_text) + f"- name: uses_the_fixture\n  {GOOD}\n  expect: {{ verdict: TRUST }}\n"
    assert [(code, 2)] == suite_root.problems(text)
    assert part in suite_root.texts(text)[0]


def test_a_use_that_is_data_says_so(suite_root: Root) -> None:
    """What stands under `$value` is sent as it is written."""
    inline = "context.inline: { $value: { turns: [{ $use: small }] } }"
    assert suite_root.valid(case(request=f"request: {{ $use: small, $with: {{ {inline} }} }}"))


def test_a_vector_without_a_request(suite_root: Root) -> None:
    """It has nothing to decide."""
    text = f"- name: one\n  expect: {{ verdict: TRUST }}\n- name: two\n  {GOOD}\n  expect: {{ verdict: TRUST }}\n"
    assert [("FIELD_MISSING", 1)] == suite_root.problems(text)


def test_fixtures_in_a_circle(suite_root: Root) -> None:
    """The circle is named."""
    head = HEAD + "    a: { $use: b }\n    b: { $use: c }\n    c: { $use: a }\n"
    text = case(request="request: { $use: a }") + f"- name: two\n  {GOOD}\n  expect: {{ verdict: TRUST }}\n"
    (message,) = [each for each in suite_root.texts(text, head=head) if "FIXTURE_CYCLE" in each]
    assert "`a` -> `b` -> `c` -> `a`" in message


@pytest.mark.parametrize(
    ("fixtures", "code", "line"),
    [
        ("requests: { spare: {} }", "FIXTURE_UNUSED", 5),
        ("memory: { spare: { label: failure, request: {} } }", "FIXTURE_UNUSED", 5),
        ("request: { spare: {} }", "FIELD_UNKNOWN", 5),
        ("requests: [spare]", "TYPE_INVALID", 5),
        ("requests: { 'a b': {} }", "FIELD_PATTERN", 5),
        ("[]", "TYPE_INVALID", 4),
    ],
)
def test_fixtures(suite_root: Root, fixtures: str, code: str, line: int) -> None:
    """One that nobody uses, or that is misspelt, is a problem of the file."""
    inner = fixtures if fixtures == "[]" else f"\n  {fixtures}"
    text = (
        f'schema_version: vector.v0\npolicy: policies/p.yml\nclock: "2026-01-15T12:00:00Z"\nfixtures: {inner}\n'
        "vectors:\n  - name: one\n    request: { action: { type: acme.refund, intent: x } }\n"
        "    expect: { verdict: TRUST }\n"
    )
    assert (code, line) in suite_root.problems(text, head="")
    with pytest.raises(InvalidVectorError):
        suite_root.suite(text, head="")


TABLES = {
    "table: []": "TYPE_INVALID",
    "table: { rows: [[a]] }": "FIELD_MISSING",
    "table: { columns: [id] }": "FIELD_MISSING",
    "table: { columns: [id], rows: [] }": "TABLE_EMPTY",
    "table: { columns: [], rows: [[]] }": "TABLE_EMPTY",
    "table: { columns: [id], row: [[a]], rows: [[a]] }": "FIELD_UNKNOWN",
    "table: { columns: [expect.verdict], rows: [[TRUST]] }": "TABLE_ID_MISSING",
    "table: { columns: [id, 7], rows: [[a, 1]] }": "TYPE_INVALID",
    "table: { columns: [id, 'a b'], rows: [[a, 1]] }": "PATH_INVALID",
    "table: { columns: [id, requst.action], rows: [[a, 1]] }": "COLUMN_UNUSED",
    "table: { columns: [id, name], rows: [[a, 1]] }": "COLUMN_UNUSED",
    "table: { columns: [id, evidence.risk], rows: [[a, 1]] }": "COLUMN_UNUSED",
    "table: { columns: [id, request.evidence.rsik], rows: [[a, 0.5], [b, 0.6]] }": "COLUMN_UNUSED",
    "table: { columns: [id, id], rows: [[a, b]] }": "COLUMN_CONFLICT",
    "table: { columns: [id, request.evidence, request.evidence.risk], rows: [[a, {}, 1]] }": "COLUMN_CONFLICT",
    "table: { columns: [id, expect.verdict], rows: [[a, TRUST], [a, TRUST]] }": "CASE_ID_DUPLICATE",
    "table: { columns: [id, expect.verdict], rows: [[a]] }": "TABLE_ROW_LENGTH",
    "table: { columns: [id, expect.verdict], rows: [[a, TRUST, 1]] }": "TABLE_ROW_LENGTH",
    "table: { columns: [id, expect.verdict], rows: [a] }": "TABLE_ROW_LENGTH !",
    "table: { columns: [id, expect.verdict], rows: [[5, TRUST]] }": "TYPE_INVALID ~",
    "table: { columns: [id, expect.verdict], rows: [['a b', TRUST]] }": "FIELD_PATTERN ~",
    "table: { columns: [id, expect.verdict], rows: [['a::b', TRUST]] }": "FIELD_PATTERN ~",
    "table: { columns: [id, expect.verdict], rows: [[a, TRSUT]] }": "VERDICT_UNKNOWN ~",
    "table: { columns: [id, expect.verdict.x], rows: [[a, 1]] }": "PATH_INVALID",
    "table: { columns: [id, expect.verdict], rows: [[a, null]] }": "EXPECT_EMPTY ~",
    "table: { columns: [id, request], rows: [[a, 7]] }": "TYPE_INVALID ~",
    "table: null": "TYPE_INVALID",
}


@pytest.mark.parametrize(("table", "codes"), TABLES.items())
def test_tables(suite_root: Root, table: str, codes: str) -> None:
    """Each is refused with exactly this code, on the line of the table."""
    found = suite_root.problems(case(more=table))
    assert parted(codes) == (sorted(code for code, _ in found), not suite_root.valid(case(more=table)))
    assert {3 if "EXPECT_EMPTY" in codes else 4} == {line for _, line in found}


def test_a_step_that_a_column_spoils_is_not_left_out(suite_root: Root) -> None:
    """A scenario must not pass because a decision of it vanished."""
    text = """\
    - name: story
      steps:
        - decide: { request: { $use: small } }
          expect: { verdict: TRUST }
      table: { columns: [id, steps.0.decide.request], rows: [[a, 7]] }
    """
    assert [("TYPE_INVALID", 5)] == suite_root.problems(text)


def test_a_table_without_rows_hides_no_other_problem(suite_root: Root) -> None:
    """All of them come out at once."""
    text = case(request="request: { $use: smal }", more="table: { columns: [id], rows: [] }")
    text += f"- name: uses_the_fixture\n  {GOOD}\n  expect: {{ verdict: TRUST }}\n"
    assert [("FIXTURE_UNKNOWN", 2), ("TABLE_EMPTY", 4)] == suite_root.problems(text)


def test_a_column_of_evidence_is_used_when_any_row_reads_it(suite_root: Root) -> None:
    """Rows can be about different actions."""
    text = """\
    - name: mixed
      request: { $use: small }
      expect: { reason_codes: { excludes: [NO_MATCH_DEFAULT_ESCALATE] } }
      table:
        columns: [id, request.action.type, request.evidence.done]
        rows: [[a, acme.refund, null], [b, acme.close, true]]
    """
    assert [] == suite_root.problems(text)


def test_a_column_is_used_when_only_a_later_policy_reads_it(suite_root: Root) -> None:
    """A scenario can be about what another policy makes of a request."""
    rule = """\
  - id: R070
    stage: HARD_BLOCKS
    when: { action_type: acme.refund }
    if: { evidence.frozen_is: true }
    then: { verdict: ABSTAIN, reason_codes: [ACME_RISKY] }
"""
    suite_root.write("policies/next.yml", POLICY + rule)
    text = """\
    - name: story
      steps:
        - { decide: { request: { $use: small } }, expect: { verdict: TRUST } }
        - policy: policies/SWAP.yml
        - { decide: { request: { $use: small } }, expect: { reason_codes: [ACME_RISKY] } }
      table: { columns: [id, steps.2.decide.request.evidence.frozen], rows: [[a, true]] }
    """
    assert [] == suite_root.problems(text.replace("SWAP", "next"))
    assert [("COLUMN_UNUSED", 6)] == suite_root.problems(text.replace("SWAP", "p"))


def test_a_later_policy_says_which_codes_can_come_out(suite_root: Root) -> None:
    """A code that only the policy before it emits is a mistake, and one that only it emits is none."""
    suite_root.write("policies/next.yml", POLICY.replace("ACME_SMALL", "ACME_TINY"))
    text = """\
    - name: story
      steps:
        - { decide: { request: { $use: small } }, expect: { verdict: TRUST, reason_codes: [ACME_SMALL] } }
        - policy: policies/next.yml
        - { decide: { request: { $use: small } }, expect: { verdict: TRUST, reason_codes: [CODE] } }
    """
    assert [] == suite_root.problems(text.replace("CODE", "ACME_TINY"))
    assert [("REASON_CODE_UNKNOWN", 5)] == suite_root.problems(text.replace("CODE", "ACME_SMALL"))


STEPS = {
    "[]": "EXPECT_MISSING !",
    "{}": "TYPE_INVALID",
    "[{ advance: P1D }]": "EXPECT_MISSING",
    "[decide]": "TYPE_INVALID EXPECT_MISSING",
    "[{ decid: {} }]": "FIELD_UNKNOWN STEP_INVALID EXPECT_MISSING",
    "[{ $D, expect: { verdict: TRUST }, advance: P1D }]": "STEP_INVALID",
    "[{ $D }]": "EXPECT_MISSING",
    "[{ $D, expect: {} }]": "EXPECT_EMPTY",
    "[{ $D, expect: { verdict: ESCALATE } }]": "EXPECT_REASON_CODES_MISSING",
    "[{ decide: {}, expect: { verdict: TRUST } }]": "FIELD_MISSING ~",
    "[{ decide: { request: small }, expect: { verdict: TRUST } }]": "TYPE_INVALID",
    "[{ decide: { id: 'a b', request: { $use: small } }, expect: { verdict: TRUST } }]": "FIELD_PATTERN",
    "[{ decide: { name: a, request: { $use: small } }, expect: { verdict: TRUST } }]": "FIELD_UNKNOWN",
    "[$A, $A]": "STEP_ID_DUPLICATE",
    "[$A, { label: { decision: b, label: failure } }]": "STEP_UNKNOWN",
    "[{ label: { decision: a, label: failure } }, $A]": "STEP_UNKNOWN",
    "[$A, { label: { decision: a, label: failur } }]": "LABEL_UNKNOWN",
    "[$A, { label: { decision: a } }]": "FIELD_MISSING",
    "[$A, { label: { decision: a, label: failure, reason: x } }]": "FIELD_UNKNOWN",
    "[$A, { label: { decision: a, label: failure, note: '' } }]": "VALUE_INVALID !",
    "[$A, { retract: { decision: a } }]": "NOTHING_TO_RETRACT",
    "[$A, $L, { retract: { decision: a, label: success } }]": "NOTHING_TO_RETRACT",
    "[$A, $L, { retract: { decision: b } }]": "STEP_UNKNOWN",
    "[$A, $L, { retract: { decision: a, label: failur } }]": "LABEL_UNKNOWN",
    "[$A, $L, { retract: { label: failure } }]": "FIELD_MISSING",
    "[$A, $L, { retract: { decision: a, note: x } }]": "FIELD_UNKNOWN",
    "[$A, $L, { retract: { decision: a, reason: '' } }]": "VALUE_INVALID !",
    "[$A, { advance: 1 day }]": "VALUE_INVALID !",
    "[$A, { advance: 5 }]": "TYPE_INVALID",
    "[$A, { restart: true }]": "TYPE_INVALID",
    "[$A, { restart: { hard: true } }]": "FIELD_UNKNOWN",
    "[$A, { replay: { decision: a } }]": "EXPECT_MISSING !",
    "[$A, { replay: { decision: a, expect: same } }]": "VALUE_INVALID !",
    "[$A, { replay: { decision: b, expect: identical } }]": "STEP_UNKNOWN",
    "[$A, { replay: { expect: identical } }]": "FIELD_MISSING",
    "[$A, { policy: policies/nope.yml }]": "PATH_NOT_FOUND",
    "[$A, { fault: { storage: down } }]": "FAULT_UNKNOWN",
    "[$A, { fault: {} }]": "FIELD_MISSING",
    "[$A, { fault: { disk: full } }]": "FIELD_UNKNOWN FIELD_MISSING",
    "[$A, { advance: P1D, expect: { verdict: TRUST } }]": "FIELD_UNKNOWN",
    "[$A, { $D, expect: { changed_from: { step: b, because: memory } } }]": "STEP_UNKNOWN",
    "[{ $I, expect: { changed_from: { step: a, because: memory } } }]": "STEP_UNKNOWN",
    "[$A, { $D, expect: { changed_from: { step: a, because: luck } } }]": "VALUE_INVALID !",
    "[$A, { $D, expect: { verdict: ABSTAIN, reason_codes: [STORAGE_UNAVAILABLE] } }]": "REASON_CODE_NOT_EMITTED",
}


@pytest.mark.parametrize(("steps", "codes"), STEPS.items())
def test_steps(suite_root: Root, steps: str, codes: str) -> None:
    """Each is refused with exactly these codes, on the line of the steps."""
    decide = "decide: { request: { $use: small } }"
    identified = "decide: { id: a, request: { $use: small } }"
    named = "{ $I, expect: { verdict: TRUST } }"
    steps = (
        steps.replace("$L", "{ label: { decision: a, label: failure } }")
        .replace("$A", named)
        .replace("$I", identified)
        .replace("$D", decide)
    )
    text = f"- name: story\n  steps: {steps}\n"
    text += f"- name: uses_the_fixture\n  {GOOD}\n  expect: {{ verdict: TRUST }}\n"
    found = suite_root.problems(text)
    assert parted(codes) == (sorted(code for code, _ in found), not suite_root.valid(text))
    assert {2} == {line for _, line in found}


NAMES = {
    "- { request: {}, expect: {} }": "FIELD_MISSING",
    "- { name: 7, request: {}, expect: {} }": "TYPE_INVALID",
    "- { name: 'a::b', request: {}, expect: {} }": "FIELD_PATTERN",
    "- { name: '-a', request: {}, expect: {} }": "FIELD_PATTERN",
    "- { name: 'a[b]', request: {}, expect: {} }": "FIELD_PATTERN",
    f"- {{ name: {'a' * 81}, request: {{}}, expect: {{}} }}": "FIELD_PATTERN",
    "- one": "TYPE_INVALID",
}


@pytest.mark.parametrize(("text", "code"), NAMES.items())
def test_names(suite_root: Root, text: str, code: str) -> None:
    """A vector that cannot be named cannot be reported either: the file is refused."""
    with pytest.raises(InvalidVectorError):
        suite_root.suite(text)
    assert (code, 1) in suite_root.problems(text)


def test_duplicate_names_say_where_the_first_is(suite_root: Root) -> None:
    """Names stand in node ids."""
    (message,) = [each for each in suite_root.texts(case() + case()) if "CASE_ID_DUPLICATE" in each]
    assert "two vectors are called `one`; the first is on line 10" in message


FILES = {
    "[]": "VECTORS_NOT_OBJECT",
    "null": "VECTORS_NOT_OBJECT",
    "vectors: []": "SCHEMA_VERSION_UNSUPPORTED VECTORS_EMPTY",
    "schema_version: vector.v1": "SCHEMA_VERSION_UNSUPPORTED",
    "schema_version: vector.v0": "VECTORS_EMPTY",
    "schema_version: vector.v0\nvectors: {}": "TYPE_INVALID",
    "schema_version: vector.v0\nvectors: []": "VECTORS_EMPTY",
    "schema_version: vector.v0\nvektors: []": "FIELD_UNKNOWN VECTORS_EMPTY",
    "schema_version: vector.v0\nvectors: []\nrequest: {}": "FIELD_UNKNOWN VECTORS_EMPTY",
    "schema_version: vector.v0\nsuite: 7\nvectors: []": "TYPE_INVALID VECTORS_EMPTY",
    "schema_version: vector.v0\nsuite: '  '\nvectors: []": "TYPE_INVALID VECTORS_EMPTY",
    f"schema_version: vector.v0\nvectors: {'[' * 33}{']' * 33}": "YAML_TOO_DEEP",
    "a: 1\na: 2": "YAML_DUPLICATE_KEY",
    "a: {": "YAML_SYNTAX",
    "schema_version: vector.v0\nrequest: {country: NO}": "YAML_AMBIGUOUS_SCALAR",
    "schema_version: vector.v0\nclock: 2026-01-15T12:00:00Z": "YAML_AMBIGUOUS_SCALAR",
    "schema_version: vector.v0\nrequest: &a {}\nexpect: *a": "YAML_ALIAS",
}


@pytest.mark.parametrize(("text", "codes"), FILES.items())
def test_files(suite_root: Root, text: str, codes: str) -> None:
    """A file that holds no vectors, or is no document of ours, is an error and never an empty suite."""
    with pytest.raises(InvalidVectorError):
        suite_root.suite(text, head="")
    assert set(codes.split()) <= {code for code, _ in suite_root.problems(text, head="")}


def test_a_json_file_with_duplicate_keys(suite_root: Root) -> None:
    """The last one must not win in silence."""
    found = suite_root.problems('{"expect": {},\n "expect": {}}', head="", name="vectors/a.json")
    assert ("JSON_DUPLICATE_KEY", 2) in found


def test_a_clock_nobody_pinned(suite_root: Root) -> None:
    """A vector does not depend on the day it is run."""
    head = HEAD.replace('clock: "2026-01-15T12:00:00Z"\n', "")
    (message,) = suite_root.texts(case(), head=head)
    assert "CLOCK_UNPINNED" in message


def test_a_policy_nobody_named(suite_root: Root) -> None:
    """Unless another one is put in its place."""
    head = HEAD.replace("policy: policies/p.yml\n", "")
    (message,) = suite_root.texts(case(), head=head)
    assert "POLICY_MISSING" in message
    assert [] == suite_root.texts(case(), head=head, policy_override=suite_root.path / "policies/p.yml")


def test_a_policy_that_cannot_be_used_is_a_problem_of_the_file(suite_root: Root) -> None:
    """It is named once, with its own positions, however many vectors rest on it."""
    suite_root.write("policies/p.yml", "schema_version: policy.v0\n")
    with pytest.raises(InvalidVectorError) as raised:
        suite_root.suite(case() + case().replace("one", "two"))
    assert {"policies/p.yml"} == {problem.span.file for problem in raised.value.problems if problem.span}
    assert len(set(raised.value.problems)) == len(raised.value.problems)


def test_an_override_that_cannot_be_used(suite_root: Root) -> None:
    """The caller's own mistake, not the file's."""
    bad = suite_root.write("bad.yml", "schema_version: policy.v0\n")
    with pytest.raises(InvalidPolicyError):
        suite_root.suite(case(), policy_override=bad)


class TestDefaultsFiles:
    """Mistakes in `_defaults` files are mistakes in the suites below."""

    TEXT = f"{HEAD}vectors:\n  - {{ name: one, {GOOD}, expect: {{ verdict: TRUST }} }}\n"

    @pytest.mark.parametrize(
        ("defaults", "code"),
        [
            ("[]", "TYPE_INVALID"),
            ("schema_version: vector.v1", "SCHEMA_VERSION_UNSUPPORTED"),
            ("tags: [a]", "SCHEMA_VERSION_UNSUPPORTED"),
            ("schema_version: vector.v0\ntgas: [a]", "FIELD_UNKNOWN"),
            ("schema_version: vector.v0\nname: a", "FIELD_UNKNOWN"),
            ("schema_version: vector.v0\nvectors: []", "FIELD_UNKNOWN"),
            ("schema_version: vector.v0\nsteps: []", "FIELD_UNKNOWN"),
            ("schema_version: vector.v0\nrequest: { $use: nope }", "FIXTURE_UNKNOWN"),
            ("schema_version: vector.v0\nfixtures: { requests: { a: { $use: nope } } }", "FIXTURE_UNKNOWN"),
            ("a: {", "YAML_SYNTAX"),
        ],
    )
    def test_mistakes(self, suite_root: Root, defaults: str, code: str) -> None:
        """They are refused where they stand."""
        suite_root.write("vectors/_defaults.yaml", defaults)
        with pytest.raises(InvalidVectorError) as raised:
            suite_root.suite(self.TEXT, head="")
        assert code in {problem.code for problem in raised.value.problems}
        assert {"vectors/_defaults.yaml"} == {each.span.file for each in raised.value.problems if each.span}

    def test_two_in_one_folder(self, suite_root: Root) -> None:
        """Which one wins would be anybody's guess."""
        suite_root.write("vectors/_defaults.yaml", "schema_version: vector.v0\n")
        suite_root.write("vectors/_defaults.json", '{"schema_version": "vector.v0"}')
        with pytest.raises(InvalidVectorError) as raised:
            suite_root.suite(self.TEXT, head="")
        assert ["DEFAULTS_AMBIGUOUS"] == [problem.code for problem in raised.value.problems]

    def test_a_value_of_the_defaults_is_reported_where_it_was_written(self, suite_root: Root) -> None:
        """Not in the file that inherits it."""
        suite_root.write("vectors/_defaults.yaml", "schema_version: vector.v0\nmode: enforced\n")
        suite = suite_root.suite(self.TEXT, head="")
        assert ["vectors/_defaults.yaml:2:7"] == [str(problem.span) for problem in suite.problems]


class TestPaths:
    """Nothing outside the suite root is read."""

    TEXT = f"{HEAD}vectors:\n  - {{ name: one, {GOOD}, expect: {{ verdict: TRUST }} }}\n"

    def code(self, path: Path, root: Path) -> str:
        """Return the code with which loading is refused."""
        with pytest.raises(InvalidVectorError) as raised:
            load_suite(path, root=root)
        (problem,) = raised.value.problems
        return problem.code

    def test_a_file_outside(self, suite_root: Root, tmp_path_factory: pytest.TempPathFactory) -> None:
        """By path and by symbolic link."""
        outside = tmp_path_factory.mktemp("outside") / "x.yaml"
        outside.write_text(self.TEXT, encoding="utf-8")
        assert "PATH_OUTSIDE_ROOT" == self.code(outside, suite_root.path)
        link = suite_root.path / "vectors" / "x.yaml"
        link.parent.mkdir()
        link.symlink_to(outside)
        assert "PATH_OUTSIDE_ROOT" == self.code(link, suite_root.path)

    def test_defaults_outside(self, suite_root: Root, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A link to somebody else's defaults is refused too."""
        outside = tmp_path_factory.mktemp("outside") / "d.yaml"
        outside.write_text("schema_version: vector.v0\n", encoding="utf-8")
        path = suite_root.write("vectors/a.yaml", self.TEXT)
        (suite_root.path / "vectors" / "_defaults.yaml").symlink_to(outside)
        assert "PATH_OUTSIDE_ROOT" == self.code(path, suite_root.path)

    def test_no_such_file_and_no_file(self, suite_root: Root) -> None:
        """A pipe must not be waited for."""
        assert "PATH_NOT_FOUND" == self.code(suite_root.path / "vectors/a.yaml", suite_root.path)
        pipe = suite_root.path / "pipe.yaml"
        os.mkfifo(pipe)
        assert "PATH_NOT_FILE" == self.code(pipe, suite_root.path)

    def test_a_file_that_is_too_large(self, suite_root: Root) -> None:
        """A limit, never a crash for want of memory."""
        path = suite_root.write("vectors/a.yaml", self.TEXT + "#" * (9 * 1024 * 1024))
        assert "TOO_LARGE" == self.code(path, suite_root.path)


def test_golden_records_must_be_records(suite_root: Root) -> None:
    """A file that is no record would compare with anything but itself."""
    suite_root.write("golden.json", '{"a": 1}')
    assert [("VALUE_INVALID", 3)] == suite_root.problems(case("expect: { record: { $exact: golden.json } }"))


def test_unused_fixtures_are_named(suite_root: Root) -> None:
    """By kind and name."""
    head = f"{HEAD}    spare: {{}}\n  memory: {{ idle: {{ label: failure, request: {{ $use: small }} }} }}\n"
    request, memory = suite_root.texts(case(), head=head)
    assert "nothing uses the request fixture `spare`" in request
    assert "nothing uses the memory fixture `idle`" in memory


def test_a_key_of_vectors_at_the_top_of_a_suite(suite_root: Root) -> None:
    """The hint says where it belongs."""
    (message,) = suite_root.texts(case(), head=f"{HEAD}request: {{}}\n")
    assert "`request` belongs into a vector" in message


def test_another_version_is_not_held_to_the_rules_of_this_one(suite_root: Root) -> None:
    """All of it would look wrong."""
    (message,) = suite_root.texts("schema_version: vector.v1\nanything: 1\nvectors: 7\n", head="")
    assert "`schema_version` must be `vector.v0`, not `vector.v1`" in message


def test_unknown_names_come_with_a_suggestion(suite_root: Root) -> None:
    """Of what could have been meant."""
    text = case("expect: { verdict: TRUST, reason_codes: [ACME_SMAL], matched_rules: [R05], mached_rules: [] }")
    found = suite_root.texts(text)
    assert any("unknown reason code `ACME_SMAL`" in each and "did you mean `ACME_SMALL`?" in each for each in found)
    assert any("no rule is called `R05`" in each and "did you mean `R050`?" in each for each in found)
    assert any("unknown key `mached_rules` in `expect`" in each and "`matched_rules`" in each for each in found)


def test_messages_never_write_control_characters(suite_root: Root) -> None:
    """What stands in a file must not drive a terminal."""
    text = case('expect: { verdict: "TRUST\\e[31m", reason_codes: ["A\\u202eB"] }')
    for message in suite_root.texts(text):
        assert message.isprintable()
