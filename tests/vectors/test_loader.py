"""Vector files that are right: fixtures, tables, scenarios, defaults, and where each value came from."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from vector_suites import HEAD, HEAD_LINES, Root

from lumyn.errors import InvalidVectorError
from lumyn.model import Label, Mode, Verdict
from lumyn.policy.loader import load_policy
from lumyn.vectors import (
    AdvanceStep,
    DecideStep,
    FaultStep,
    LabelStep,
    PolicyStep,
    ReplayStep,
    RestartStep,
    RetractStep,
    StorageFault,
    load_suite,
    unused_shared_fixtures,
)

TRUST = "expect: {verdict: TRUST, reason_codes: [ACME_SMALL]}"


def test_a_plain_vector(suite_root: Root) -> None:
    """A request, what is expected, and everything the file says for it."""
    vector = suite_root.vector(f"- name: one\n  why: because\n  request: {{$use: small}}\n  {TRUST}\n")
    (step,) = vector.steps
    assert isinstance(step, DecideStep)
    assert ("one", "one", None, "a", "because") == (
        vector.vector_id,
        vector.name,
        vector.row,
        vector.suite,
        vector.why,
    )
    assert "vectors/a.yaml::one" == vector.node_id
    assert ("vectors/a.yaml", HEAD_LINES + 2) == (vector.span.file, vector.span.line)
    assert "2026-01-15T12:00:00Z" == vector.clock
    assert vector.policy is not None
    assert "acme-refunds" == vector.policy.policy_id
    assert Verdict.TRUST is step.expect.verdict
    assert ("ACME_SMALL",) == step.expect.reason_codes
    assert not vector.is_scenario


def test_built_in_defaults_fill_only_what_no_rule_can_miss(suite_root: Root) -> None:
    """Version, subject and context are filled in as wholes; nothing else is."""
    request = suite_root.vector(f"- name: one\n  request: {{$use: small}}\n  {TRUST}\n").document["request"]
    assert isinstance(request, dict)
    assert {"action", "evidence", "schema_version", "subject", "context"} == set(request)
    assert {"type": "service", "id": "lumyn-vectors"} == request["subject"]


def test_a_part_of_a_built_in_default_is_not_completed(suite_root: Root) -> None:
    """A subject without a type stays without: a fact that rules read must not appear by itself."""
    text = """\
    - name: one
      request: { $use: small, $with: { subject: { id: u-1 } } }
      expect: { error: INVALID_REQUEST_SCHEMA }
    """
    request = suite_root.vector(text).document["request"]
    assert isinstance(request, dict)
    assert {"id": "u-1"} == request["subject"]


@pytest.mark.parametrize("how", ["$with: {subject: null}", "$with: {context: null, subject: null}"])
def test_null_takes_a_built_in_default_away(suite_root: Root, how: str) -> None:
    """And it does not come back."""
    text = f"- name: one\n  request: {{$use: small, {how}}}\n  expect: {{error: INVALID_REQUEST_SCHEMA}}\n"
    request = suite_root.vector(text).document["request"]
    assert isinstance(request, dict)
    assert "subject" not in request


def test_null_in_a_column_takes_a_built_in_default_away(suite_root: Root) -> None:
    """As `$with` does: the row that asks what a request without a subject gets is not given one."""
    text = """\
    - name: one
      request: { $use: small }
      expect: { error: INVALID_REQUEST_SCHEMA }
      table: { columns: [id, request.subject], rows: [[nobody, null]] }
    """
    request = suite_root.vector(text).document["request"]
    assert isinstance(request, dict)
    assert "subject" not in request


def test_with_sets_and_deletes(suite_root: Root) -> None:
    """Dotted paths, null deletes, `$value` is literal; the fixture itself does not change."""
    text = """\
    - name: one
      request:
        $use: small
        $with:
          action.amount.value: 13
          evidence.risk: null
          evidence.ticket_id: { $value: null }
          tenant.tenant_id: acme
      expect: {verdict: QUERY, reason_codes: [ACME_ASK]}
    - name: two
      request: {$use: small}
      expect: {verdict: TRUST}
    """
    one, two = suite_root.suite(text).vectors
    request = one.document["request"]
    assert isinstance(request, dict)
    assert {"value": 13, "currency": "USD"} == request["action"]["amount"]
    assert {"ticket_id": None} == request["evidence"]
    assert {"tenant_id": "acme"} == request["tenant"]
    other = two.document["request"]
    assert isinstance(other, dict)
    assert {"ticket_id": "T-1", "risk": 0.1} == other["evidence"]


def test_a_null_written_in_a_request_is_data(suite_root: Root) -> None:
    """Where there is nothing to delete, the request is sent with the null."""
    text = """\
    - name: one
      request:
        action: { type: acme.refund, intent: refund, amount: { value: 12, currency: USD } }
        evidence: { ticket_id: null }
      expect: { verdict: QUERY, reason_codes: [ACME_ASK] }
    """
    head = 'schema_version: vector.v0\npolicy: policies/p.yml\nclock: "2026-01-15T12:00:00Z"\n'
    request = suite_root.vector(text, head=head).document["request"]
    assert isinstance(request, dict)
    assert {"ticket_id": None} == request["evidence"]


def test_fixtures_use_fixtures(suite_root: Root) -> None:
    """A request fixture can build on another; memory items use request fixtures."""
    head = """\
schema_version: vector.v0
policy: policies/p.yml
clock: "2026-01-15T12:00:00Z"
fixtures:
  requests:
    big: { $use: small, $with: { action.amount.value: 500 } }
    small:
      action: { type: acme.refund, intent: refund, amount: { value: 12, currency: USD } }
      evidence: { ticket_id: T, risk: 0.1 }
  memory:
    fraud: { label: failure, request: { $use: big, $with: { evidence.risk: 0.2 } }, summary: INC-1 }
    plain: { label: near_miss, request: { $use: small } }
"""
    text = """\
    - name: one
      request: { $use: big }
      memory: [fraud, plain, fraud]
      expect: { verdict: ESCALATE, reason_codes: [ACME_LARGE] }
    """
    vector = suite_root.vector(text, head=head)
    assert [(Label.FAILURE, "INC-1"), (Label.NEAR_MISS, "plain"), (Label.FAILURE, "INC-1")] == [
        (item.label, item.summary) for item in vector.memory
    ]
    assert {"ticket_id": "T", "risk": 0.2} == vector.memory[0].request["evidence"]
    assert ["fraud", "plain", "fraud"] == [item.name for item in vector.memory]
    assert 11 == vector.memory[0].span.line


def test_memory_items_can_be_written_in_place(suite_root: Root) -> None:
    """Without a fixture there is no name, and the label stands in for a summary."""
    memory = "memory: [{ label: success, request: { $use: small } }]"
    text = f"- name: one\n  request: {{$use: small}}\n  {memory}\n  {TRUST}\n"
    (item,) = suite_root.vector(text).memory
    assert (None, "success") == (item.name, item.summary)
    assert "decision_request.v0" == item.request["schema_version"]


def test_a_table_makes_one_vector_a_row(suite_root: Root) -> None:
    """Columns are paths into the vector, ids name the rows, lines are those of the rows."""
    text = """\
    - name: limit
      request: { $use: small }
      table:
        columns: [id, request.action.amount.value, request.evidence.risk, expect.verdict, expect.reason_codes]
        rows:
          - [at, 25, 0.1, TRUST, { contains: [ACME_SMALL] }]
          - [over, 25.01, 0.1, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]
          - [unknown, 25, null, QUERY, [EVIDENCE_MISSING]]
    """
    vectors = suite_root.suite(text).vectors
    assert ["limit[at]", "limit[over]", "limit[unknown]"] == [vector.vector_id for vector in vectors]
    assert [HEAD_LINES + 7, HEAD_LINES + 8, HEAD_LINES + 9] == [vector.span.line for vector in vectors]
    amounts = [vector.document["request"]["action"]["amount"]["value"] for vector in vectors]
    assert [25, 25.01, 25] == amounts
    assert "risk" not in vectors[2].document["request"]["evidence"]
    assert [(), (), ()] == [vector.problems for vector in vectors]


def test_a_table_can_change_whole_requests_skips_and_steps(suite_root: Root) -> None:
    """Any path into the vector is a column."""
    text = """\
    - name: whole
      table:
        columns: [id, request, skip, expect.verdict, x-note]
        rows:
          - [a, { $use: small, $with: { action.amount.value: 3 } }, null, TRUST, mine]
          - [b, { $use: small }, later, TRUST, mine]
    - name: stepped
      steps:
        - decide: { request: { $use: small } }
          expect: { verdict: TRUST }
      table:
        columns: [id, steps.0.decide.request.action.amount.value]
        rows: [[a, 7], [b, 8]]
    """
    a, b, first, second = suite_root.suite(text).vectors
    assert [3, 12] == [each.document["request"]["action"]["amount"]["value"] for each in (a, b)]
    assert [None, "later"] == [a.skip, b.skip]
    values = [next(each.decisions).request["action"]["amount"]["value"] for each in (first, second)]
    assert [7, 8] == values


def test_a_scenario(suite_root: Root) -> None:
    """Every verb, in order, each with its line."""
    suite_root.write("policies/next.yml", (suite_root.path / "policies/p.yml").read_text().replace("25", "5"))
    text = """\
    - name: story
      steps:
        - decide: { id: first, request: { $use: small } }
          expect: { verdict: TRUST }
        - label: { decision: first, label: failure, note: wrong, actor: ops }
        - retract: { decision: first, label: failure, reason: right, actor: dev }
        - advance: P1DT2H
        - restart: {}
        - replay: { decision: first, expect: identical }
        - policy: policies/next.yml
        - fault: { storage: unavailable }
        - decide: { request: { $use: small } }
          expect: { verdict: ABSTAIN, reason_codes: [STORAGE_UNAVAILABLE] }
    """
    vector = suite_root.vector(text)
    kinds = [
        DecideStep,
        LabelStep,
        RetractStep,
        AdvanceStep,
        RestartStep,
        ReplayStep,
        PolicyStep,
        FaultStep,
        DecideStep,
    ]
    assert kinds == [type(step) for step in vector.steps]
    lines = [step.span.line - HEAD_LINES - 1 for step in vector.steps]
    assert [3, 5, 6, 7, 8, 9, 10, 11, 12] == lines
    label, back, advance, swap, fault = (vector.steps[place] for place in (1, 2, 3, 6, 7))
    assert isinstance(back, RetractStep)
    assert ("first", Label.FAILURE, "right", "dev") == (back.decision, back.label, back.reason, back.actor)
    assert isinstance(label, LabelStep)
    assert isinstance(advance, AdvanceStep)
    assert isinstance(swap, PolicyStep)
    assert isinstance(fault, FaultStep)
    assert (Label.FAILURE, "wrong", "ops") == (label.label, label.note, label.actor)
    assert timedelta(days=1, hours=2) == advance.by
    assert "policies/next.yml" == swap.policy_file
    assert StorageFault.UNAVAILABLE is fault.storage
    assert vector.is_scenario


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P1D", timedelta(days=1)),
        ("P2W", timedelta(weeks=2)),
        ("PT90M", timedelta(minutes=90)),
        ("PT0.5S", timedelta(milliseconds=500)),
        ("P1DT1H1M1.001S", timedelta(days=1, hours=1, minutes=1, seconds=1, milliseconds=1)),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("P0D", None),
        ("P1Y", None),
        ("P1M", None),
        ("1D", None),
        ("-P1D", None),
        ("P1.5D", None),
        ("P99999D", None),
        ("P9999999999999999D", None),
        ("p1d", None),
        ("P1D\n", None),
        ("P١D", None),
    ],
)
def test_durations(text: str, expected: timedelta | None) -> None:
    """ISO 8601 without years and months, whose length nobody can say; always forward."""
    from lumyn.vectors.reading import duration

    assert expected == duration(text)


def test_a_file_can_be_one_vector(suite_root: Root) -> None:
    """It is called like the file, unless it has a name."""
    text = """\
    schema_version: vector.v0
    policy: policies/p.yml
    clock: "2026-01-15T12:00:00Z"
    suite: refunds
    request:
      action: { type: acme.refund, intent: refund, amount: { value: 12, currency: USD } }
      evidence: { ticket_id: T, risk: 0.1 }
    expect: { verdict: TRUST }
    """
    vector = suite_root.vector(text, head="", name="vectors/small_one.lumyn.yaml")
    assert ("small_one", "refunds") == (vector.vector_id, vector.suite)
    named = suite_root.vector(text.rstrip(" ") + "    name: other\n", head="")
    assert "other" == named.vector_id


def test_json_files_mean_the_same(suite_root: Root) -> None:
    """One schema for YAML and JSON."""
    request = {
        "action": {"type": "acme.refund", "intent": "refund", "amount": {"value": 12, "currency": "USD"}},
        "evidence": {"ticket_id": "T", "risk": 0.1},
    }
    file = {
        "schema_version": "vector.v0",
        "policy": "policies/p.yml",
        "clock": "2026-01-15T12:00:00Z",
        "vectors": [{"name": "one", "request": request, "expect": {"verdict": "TRUST"}}],
    }
    text = json.dumps(file, indent=1)
    vector = suite_root.vector(text, head="", name="vectors/a.json")
    assert "one" == vector.vector_id
    line = 1 + next(index for index, each in enumerate(text.splitlines()) if '"one"' in each) - 1
    assert line == vector.span.line


def test_keys_of_the_file_are_defaults_of_its_vectors(suite_root: Root) -> None:
    """The nearer key wins; lists replace; null deletes."""
    head = """\
schema_version: vector.v0
policy: policies/p.yml
clock: "2026-01-15T12:00:00Z"
mode: advisory
marks: [slow]
tags: [money, refund]
fixtures:
  requests:
    small:
      action: { type: acme.refund, intent: refund, amount: { value: 12, currency: USD } }
      evidence: { ticket_id: T, risk: 0.1 }
"""
    text = """\
    - name: one
      request: { $use: small }
      expect: { verdict: TRUST }
    - name: two
      clock: "2027-01-15T12:00:00.123Z"
      mode: null
      marks: [quick, net]
      tags: [other]
      request: { $use: small }
      expect: { verdict: TRUST }
    """
    one, two = suite_root.suite(text, head=head).vectors
    assert (Mode.ADVISORY, ("slow",), ("money", "refund")) == (one.mode, one.marks, one.tags)
    assert (None, ("quick", "net"), ("other",)) == (two.mode, two.marks, two.tags)
    assert "2027-01-15T12:00:00.123Z" == two.clock


def test_skip_and_xfail(suite_root: Root) -> None:
    """Reasons are kept; a day is the last on which it may fail."""
    text = f"""\
    - name: one
      skip: waits for finance
      request: {{ $use: small }}
      {TRUST}
    - name: two
      xfail: {{ reason: ACME-7, until: "2026-02-01" }}
      request: {{ $use: small }}
      {TRUST}
    """
    one, two = suite_root.suite(text).vectors
    assert "waits for finance" == one.skip
    assert two.xfail is not None
    assert ("ACME-7", date(2026, 2, 1)) == (two.xfail.reason, two.xfail.until)
    assert not two.xfail.expired(date(2026, 2, 1))
    assert two.xfail.expired(date(2026, 2, 2))


class TestDefaults:
    """`_defaults` files: deep merge along the folders, nearer wins."""

    OUTER = """\
    schema_version: vector.v0
    policy: policies/p.yml
    clock: "2026-01-15T12:00:00Z"
    tags: [outer]
    request:
      tenant: { tenant_id: acme, environment: prod }
      action: { type: acme.refund, intent: refund, amount: { value: 12, currency: USD } }
    """
    INNER = """\
    schema_version: vector.v0
    tags: [inner]
    request:
      tenant: { environment: dev }
      evidence: { ticket_id: T-9, risk: 0.1 }
    expect: { verdict: TRUST }
    """
    FILE = """\
    schema_version: vector.v0
    vectors:
      - name: one
        request: { action: { amount: { value: 5 } }, evidence: { risk: null } }
        expect: { reason_codes: { excludes: [ACME_LARGE] } }
      - name: two
        tags: null
        steps:
          - decide: { request: { evidence: { risk: 0.2 } } }
          - decide: {}
            expect: { reason_codes: [ACME_SMALL] }
    """

    def load(self, suite_root: Root) -> tuple[dict, dict]:
        """Return the two merged vectors."""
        suite_root.write("vectors/_defaults.yaml", self.OUTER)
        suite_root.write("vectors/refund/_defaults.yml", self.INNER)
        suite = suite_root.suite(self.FILE, head="", name="vectors/refund/deep/a.yaml")
        assert () == suite.problems
        one, two = suite.vectors
        return one.document, two.document

    def test_they_merge(self, suite_root: Root) -> None:
        """Maps merge, lists replace, null deletes, the nearest wins."""
        one, _ = self.load(suite_root)
        assert ["inner"] == one["tags"]
        assert {"tenant_id": "acme", "environment": "dev"} == one["request"]["tenant"]
        assert {"value": 5, "currency": "USD"} == one["request"]["action"]["amount"]
        assert {"ticket_id": "T-9"} == one["request"]["evidence"]
        assert {"verdict": "TRUST", "reason_codes": {"excludes": ["ACME_LARGE"]}} == one["expect"]

    def test_expectations_of_two_folders_merge(self, suite_root: Root) -> None:
        """What an outer folder expects of every vector is not lost where an inner one expects more."""
        suite_root.write("vectors/_defaults.yaml", self.OUTER.rstrip(" ") + "    expect: { verdict: TRUST }\n")
        inner = self.INNER.replace("{ verdict: TRUST }", "{ reason_codes: { contains: [ACME_SMALL] } }")
        suite_root.write("vectors/refund/_defaults.yml", inner)
        text = "schema_version: vector.v0\nrequest: { action: { amount: { value: 5 } } }\n"
        vector = suite_root.vector(text, head="", name="vectors/refund/a.yaml")
        assert {"verdict": "TRUST", "reason_codes": {"contains": ["ACME_SMALL"]}} == vector.document["expect"]

    def test_they_reach_every_decision_of_a_scenario(self, suite_root: Root) -> None:
        """Request and expectation defaults are those of each decide step."""
        _, two = self.load(suite_root)
        assert "tags" not in two
        assert [0.2, 0.1] == [step["decide"]["request"]["evidence"]["risk"] for step in two["steps"]]
        assert [{"verdict": "TRUST"}, {"verdict": "TRUST", "reason_codes": ["ACME_SMALL"]}] == [
            step["expect"] for step in two["steps"]
        ]

    def test_they_reach_memory(self, suite_root: Root) -> None:
        """An experience of another tenant than the request's would never be consulted."""
        suite_root.write("vectors/_defaults.yaml", self.OUTER)
        suite_root.write("vectors/refund/_defaults.yml", self.INNER)
        text = """\
        schema_version: vector.v0
        fixtures: { memory: { fraud: { label: failure, request: { evidence: { risk: 0.3 } } } } }
        vectors:
          - { name: one, memory: [fraud], request: {}, expect: { verdict: ESCALATE, reason_codes: [ACME_SIMILAR] } }
        """
        (item,) = suite_root.vector(text, head="", name="vectors/refund/a.yaml").memory
        assert {"tenant_id": "acme", "environment": "dev"} == item.request["tenant"]
        assert {"ticket_id": "T-9", "risk": 0.3} == item.request["evidence"]

    def test_positions_lead_into_the_file_a_value_was_written_in(self, suite_root: Root) -> None:
        """Also for what was merged."""
        self.load(suite_root)
        suite = load_suite(suite_root.path / "vectors/refund/deep/a.yaml", root=suite_root.path)
        origins = suite.vectors[0].origins
        assert "vectors/_defaults.yaml:6:24" == str(origins.span(("request", "tenant", "tenant_id")))
        assert "vectors/refund/_defaults.yml:4:26" == str(origins.span(("request", "tenant", "environment")))
        assert "vectors/refund/deep/a.yaml:4:43" == str(origins.span(("request", "action", "amount", "value")))
        assert "vectors/refund/_defaults.yml:6:20" == str(origins.span(("expect", "verdict")))
        assert "vectors/refund/deep/a.yaml:5:29" == str(origins.span(("expect", "reason_codes")))
        scenario = suite.vectors[1].origins
        where = ("steps", 1, "decide", "request", "evidence", "risk")
        assert "vectors/refund/_defaults.yml:5:37" == str(scenario.span(where))
        assert "vectors/refund/_defaults.yml:6:20" == str(scenario.span(("steps", 0, "expect", "verdict")))

    def test_shared_fixtures(self, suite_root: Root) -> None:
        """Nearer names win; whether one is used can be told over all files only."""
        request = "action: { type: acme.refund, intent: inner, amount: { value: 1, currency: USD } }"
        request += ", evidence: { ticket_id: T, risk: 0 }"
        shared = f"schema_version: vector.v0\nfixtures:\n  requests:\n    base: {{ {request} }}\n    spare: {{}}\n"
        suite_root.write(
            "vectors/_defaults.yaml", self.OUTER.rstrip(" ") + "    fixtures: { requests: { idle: {}, base: {} } }\n"
        )
        suite_root.write("vectors/refund/_defaults.yml", shared)
        text = "schema_version: vector.v0\nrequest: { $use: base }\nexpect: { verdict: TRUST }\n"
        suite = suite_root.suite(text, head="", name="vectors/refund/a.yaml")
        assert "inner" == suite.vectors[0].document["request"]["action"]["intent"]
        assert frozenset({("vectors/refund/_defaults.yml", "requests", "base")}) == suite.shared_used
        found = unused_shared_fixtures([suite])
        assert [
            ("FIXTURE_UNUSED", "vectors/_defaults.yaml:8:25"),
            ("FIXTURE_UNUSED", "vectors/refund/_defaults.yml:5:5"),
        ] == [(problem.code, str(problem.span)) for problem in found]
        other = text.replace("base", "spare")
        second = suite_root.suite(other, head="", name="vectors/refund/b.yaml")
        assert ["vectors/_defaults.yaml:8:25"] == [str(each.span) for each in unused_shared_fixtures([suite, second])]


class TestOrigins:
    """Where a value was written, for messages now and for updates later."""

    def test_cells_fixtures_and_with(self, suite_root: Root) -> None:
        """Document and JSON Pointer of each kind of place."""
        text = """\
        - name: limit
          request: { $use: small, $with: { evidence.risk: 0.2 } }
          expect: { verdict: TRUST }
          table: { columns: [id, expect.reason_codes], rows: [[a, [ACME_SMALL]]] }
        """
        (vector,) = suite_root.suite(text).vectors
        origins = vector.origins
        assert "/vectors/0/table/rows/0/1/0" == origins.find(("expect", "reason_codes", 0))[1]
        assert "/vectors/0/expect/verdict" == origins.find(("expect", "verdict"))[1]
        assert "/vectors/0/request/$with/evidence.risk" == origins.find(("request", "evidence", "risk"))[1]
        small = "/fixtures/requests/small"
        assert f"{small}/evidence/ticket_id" == origins.find(("request", "evidence", "ticket_id"))[1]
        assert "/policy" == origins.find(("policy",))[1]

    def test_what_nobody_wrote_is_reported_at_its_object(self, suite_root: Root) -> None:
        """A missing key has no place of its own."""
        vector = suite_root.vector(f"- name: one\n  request: {{$use: small}}\n  {TRUST}\n")
        assert "/vectors/0/expect" == vector.origins.find(("expect", "queries"))[1]
        assert "/vectors/0" == vector.origins.find(("xfail", "reason"))[1]


def test_another_policy_can_be_put_in_place(suite_root: Root) -> None:
    """As a policy or a path; the policy the file names need not even exist."""
    other = suite_root.write(
        "candidate.yml", (suite_root.path / "policies/p.yml").read_text().replace("acme-refunds", "other")
    )
    text = f"- name: one\n  request: {{$use: small}}\n  {TRUST}\n"
    assert "other" == suite_root.vector(text, policy_override=other).policy.policy_id
    loaded = load_policy(other)
    assert loaded is suite_root.vector(text, policy_override=loaded).policy
    (suite_root.path / "policies/p.yml").unlink()
    assert loaded is suite_root.vector(text, policy_override=loaded).policy


def test_against_another_policy_a_code_out_of_reach_is_drift(suite_root: Root) -> None:
    """The vector is not wrong because a candidate policy dropped a rule."""
    text = (suite_root.path / "policies/p.yml").read_text().replace("[ACME_SMALL] }", "[ACME_LARGE] }")
    other = suite_root.write("candidate.yml", text)
    assert [] == suite_root.problems(f"- name: one\n  request: {{$use: small}}\n  {TRUST}\n", policy_override=other)


def test_policies_are_loaded_once(suite_root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy of known content is not parsed again, however many files name it."""
    from lumyn.vectors import sources

    calls: list[str] = []
    real = sources.read_policy
    monkeypatch.setattr(sources, "read_policy", lambda read: calls.append(read.file) or real(read))
    path = suite_root.path / "policies/p.yml"
    path.write_text(path.read_text() + "# fresh content\n")
    text = f"- name: one\n  request: {{$use: small}}\n  {TRUST}\n"
    first = suite_root.vector(text, name="vectors/a.yaml").policy
    assert first is suite_root.vector(text, name="vectors/b.yaml").policy
    assert ["policies/p.yml"] == calls
    path.write_text(path.read_text().replace("trust_max: 25", "trust_max: 26"))
    assert first is not suite_root.vector(text).policy


def test_a_parser_can_be_put_in_place(suite_root: Root) -> None:
    """A cache of parsed files needs no other way in."""
    from lumyn.documents import load

    seen: list[str] = []

    def parse(data: bytes, *, file: str, error: type, limits: object) -> object:
        seen.append(file)
        return load(data, file=file, error=error)

    suite_root.write("vectors/_defaults.yaml", "schema_version: vector.v0\ntags: [a]\n")
    vector = suite_root.vector(f"- name: one\n  request: {{$use: small}}\n  {TRUST}\n", parse=parse)
    assert ["vectors/a.yaml", "vectors/_defaults.yaml", "policies/p.yml"] == seen
    assert ("a",) == vector.tags


def test_the_file_can_be_called_otherwise(suite_root: Root) -> None:
    """For tools whose paths are relative to something else."""
    vector = suite_root.vector(f"- name: one\n  request: {{$use: small}}\n  {TRUST}\n", file="x/y.yaml")
    assert ("x/y.yaml::one", "x/y.yaml") == (vector.node_id, vector.span.file)


def test_all_problems_at_once_and_good_vectors_survive_bad_ones(suite_root: Root) -> None:
    """A vector that is wrong by itself does not take the others with it."""
    text = f"""\
    - name: good
      request: {{$use: small}}
      {TRUST}
    - name: bad
      request: {{$use: small}}
      expcet: {{verdict: TRUST}}
      skip: ""
    - name: worse
      request: {{$use: smal}}
      expect: {{verdict: TRUST, reason_codes: [NOPE]}}
    """
    suite = suite_root.suite(text)
    good, bad, worse = suite.vectors
    assert () == good.problems
    assert {"FIELD_UNKNOWN", "SKIP_WITHOUT_REASON", "EXPECT_MISSING"} == {problem.code for problem in bad.problems}
    assert {"FIXTURE_UNKNOWN", "REASON_CODE_UNKNOWN"} == {problem.code for problem in worse.problems}
    assert len(bad.problems) + len(worse.problems) == len(suite.problems)


def test_problems_of_the_file_come_with_those_of_its_vectors(suite_root: Root) -> None:
    """Nobody wants to fix a file one error a run."""
    text = f"""\
    - name: same
      request: {{$use: small}}
      {TRUST}
    - name: same
      request: {{$use: small}}
      {TRUST}
    - name: bad
      request: {{$use: small}}
      expect: {{}}
    """
    with pytest.raises(InvalidVectorError) as raised:
        suite_root.suite(text)
    assert ["CASE_ID_DUPLICATE", "EXPECT_EMPTY"] == [problem.code for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("name: small is trusted", "FIELD_PATTERN"),
        ("name: 3", "TYPE_INVALID"),
        ("name: same", "CASE_ID_DUPLICATE"),
        ("why: it has none", "FIELD_MISSING"),
    ],
)
def test_a_vector_without_a_usable_name_is_read_all_the_same(suite_root: Root, name: str, code: str) -> None:
    """What else is wrong with it is told, and a fixture that it uses is used."""
    text = f"""\
    - name: same
      request: {{$use: small}}
      {TRUST}
    - {name}
      request: {{$use: other}}
      expect: {{verdict: TRUST, reason_code: [ACME_SMALL]}}
    """
    with pytest.raises(InvalidVectorError) as raised:
        suite_root.suite(text, head=HEAD + "    other: {$use: small, $with: {action.amount.value: 11}}\n")
    assert [code, "FIELD_UNKNOWN"] == [problem.code for problem in raised.value.problems]


def test_a_name_with_blanks_is_told_what_would_do(suite_root: Root) -> None:
    """The commonest first mistake."""
    with pytest.raises(InvalidVectorError) as raised:
        suite_root.suite(f"- name: A refund (small) is trusted!\n  request: {{$use: small}}\n  {TRUST}\n")
    (problem,) = raised.value.problems
    assert "for example `A_refund_small_is_trusted`" == problem.hint


@pytest.mark.parametrize(
    ("row", "code"), [("at limit", "FIELD_PATTERN"), ("7", "TYPE_INVALID"), ("a", "CASE_ID_DUPLICATE")]
)
def test_a_row_without_a_usable_id_is_read_all_the_same(suite_root: Root, row: str, code: str) -> None:
    """As a vector without a usable name is."""
    text = f"""\
    - name: t
      table:
        columns: [id, request, expect.verdict]
        rows:
          - [a, {{$use: small}}, TRUST]
          - [{row}, {{$use: other}}, TRSUT]
    """
    with pytest.raises(InvalidVectorError) as raised:
        suite_root.suite(text, head=HEAD + "    other: {$use: small, $with: {action.amount.value: 11}}\n")
    assert [code, "VERDICT_UNKNOWN"] == [problem.code for problem in raised.value.problems]


def test_documents_are_not_changed(suite_root: Root) -> None:
    """Loading twice gives equal vectors: nothing of a shared document was altered."""
    suite_root.write("vectors/_defaults.yaml", "schema_version: vector.v0\nrequest: { tenant: { tenant_id: a } }\n")
    text = """\
    - name: limit
      request: { $use: small }
      table: { columns: [id, request.evidence.risk, expect.verdict], rows: [[a, 0.2, TRUST], [b, null, TRUST]] }
    """
    first = [vector.document for vector in suite_root.suite(text).vectors]
    second = [vector.document for vector in suite_root.suite(text).vectors]
    assert first == second
    assert first[0] != first[1]


def test_suite_digest_is_that_of_the_bytes(suite_root: Root) -> None:
    """To notice that a file changed since it was read."""
    import hashlib

    suite = suite_root.suite(f"- name: one\n  request: {{$use: small}}\n  {TRUST}\n")
    assert f"sha256:{hashlib.sha256(Path(suite.path).read_bytes()).hexdigest()}" == suite.digest
