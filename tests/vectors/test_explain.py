"""Why a vector drifted: the deciding rule with its operands, and the rule one comparison away."""

from __future__ import annotations

from decimal import Decimal

import pytest
from vector_suites import Root

from lumyn.core.alternatives import WhatIf
from lumyn.engine.nearest import NearMiss
from lumyn.model import Stage, Verdict
from lumyn.vectors import explain, run
from lumyn.vectors.explain import Explanation

HEAD = """\
schema_version: policy.v0
policy_id: acme
policy_version: "1"
reason_codes: { ACME_ONE: One., ACME_TWO: Two., ACME_TRUST: Fine. }
evidence:
  risk: { type: number, min: 0, max: 1 }
  count: { type: integer, min: 0 }
  tier: { type: enum, values: [low, high] }
  vip: { type: boolean }
rules:
  - { id: T, stage: TRUST_PATHS, if: { evidence.vip_is: true }, then: { verdict: TRUST, reason_codes: [ACME_TRUST] } }
"""
REQUEST = (
    "action: { type: acme.pay, intent: pay, amount: { value: 20, currency: USD }, tags: [x] }, "
    "subject: { type: agent, id: a, roles: [clerk] }, tenant: { tenant_id: t, environment: dev }, "
    "evidence: { risk: 0.5, count: 3, tier: low, vip: false }"
)


def explained(root: Root, *rules: str, request: str = REQUEST, expect: str = "verdict: TRUST") -> Explanation:
    """Return the explanation of a request under a policy with these rules besides `T`."""
    root.write("policies/p.yml", HEAD + "".join(f"  - {rule}\n" for rule in rules))
    text = f"- {{ name: one, request: {{ {request} }}, expect: {{ {expect} }} }}\n"
    head = 'schema_version: vector.v0\npolicy: policies/p.yml\nclock: "2026-01-15T12:00:00Z"\n'
    vector = root.suite(text, head=head).vectors[0]
    assert () == vector.problems
    found = explain(run(vector))
    assert found is not None
    return found


def escalates(condition: str, *, rule_id: str = "E", code: str = "ACME_ONE") -> str:
    """Return an escalation."""
    return (
        f"{{ id: {rule_id}, stage: ESCALATIONS, {condition}, then: {{ verdict: ESCALATE, reason_codes: [{code}] }} }}"
    )


def miss(root: Root, condition: str, **options: str) -> NearMiss | None:
    """Return the nearest miss among `T`, put out of reach, and one escalation."""
    request = options.pop("request", REQUEST).replace("vip: false", "vip: true")
    return explained(root, escalates(condition), request=request, **options).nearest


CHANGES = [
    ("amount_usd_gt: 20", "amount_usd 20 > 20", "more than 20"),
    ("amount_usd_gte: 25.5", "amount_usd 20 >= 25.5", "25.5"),
    ("amount_usd_lt: 20", "amount_usd 20 < 20", "less than 20"),
    ("amount_usd_lte: 19.99", "amount_usd 20 <= 19.99", "19.99"),
    ("amount_usd_present: false", "amount_usd present is false", "no value"),
    ("amount_currency_is: EUR", "amount_currency USD is EUR", "EUR"),
    ("amount_currency_in: [EUR, GBP]", "amount_currency USD in [EUR, GBP]", "one of [EUR, GBP]"),
    ("amount_currency_in: [EUR]", "amount_currency USD in [EUR]", "EUR"),
    ("amount_currency_not_in: [USD]", "amount_currency USD not in [USD]", "none of [USD]"),
    ("evidence.risk_gt: 0.5", "risk 0.5 > 0.5", "more than 0.5"),
    ("evidence.risk_gte: 1", "risk 0.5 >= 1", "1"),
    ("evidence.risk_lte: 0", "risk 0.5 <= 0", "0"),
    ("evidence.risk_lt: 0.5", "risk 0.5 < 0.5", "less than 0.5"),
    ("evidence.count_gt: 3", "count 3 > 3", "more than 3"),
    ("evidence.tier_ne: low", "tier low is not low", "anything but low"),
    ("evidence.tier_is: high", "tier low is high", "high"),
    ("evidence.ticket_present: true", "ticket present is true", "a value"),
    ("action.tags_contains: z", "action.tags [x] contains z", "with z"),
    ("subject.roles_contains_any: [boss, chief]", "subject.roles [clerk] contains any of [boss, chief]", "with one of"),
    ("tenant.environment_is: prod", "tenant.environment dev is prod", "prod"),
    ("risk.failure_similarity_gte: 0.8", "risk.failure_similarity 0 >= 0.8", "0.8"),
]


@pytest.mark.parametrize(("condition", "comparison", "change"), CHANGES)
def test_the_value_that_would_do_it(suite_root: Root, condition: str, comparison: str, change: str) -> None:
    """For every operator; a strict bound is named as one."""
    explanation = explained(
        suite_root, escalates(f"if: {{ {condition} }}"), request=REQUEST.replace("vip: false", "vip: true")
    )
    found = explanation.nearest
    assert found is not None
    assert ("E", Stage.ESCALATIONS, comparison, True) == (found.rule_id, found.stage, found.comparison, found.known)
    assert found.change.startswith(change)
    assert "policies/p.yml" == found.span.file
    # In another currency the amount would be another one.
    would = None if "currency" in condition else WhatIf(words="", verdict=Verdict.ESCALATE, fires=True)
    assert would == explanation.what_if


@pytest.mark.parametrize(
    "condition",
    [
        "amount_usd_lt: 0",
        "amount_usd_lte: -1",
        "evidence.risk_gt: 1",
        "evidence.risk_lt: 0",
        "evidence.count_lt: 0",
        "risk.failure_similarity_gt: 1",
        "risk.uncertainty_lt: 0",
    ],
)
def test_a_value_that_cannot_be_is_no_near_miss(suite_root: Root, condition: str) -> None:
    """Bounds outside the range of the attribute are out of reach."""
    assert miss(suite_root, f"if: {{ {condition} }}") is None


def test_two_comparisons_short_is_not_near(suite_root: Root) -> None:
    """Only one more may be needed; those that hold already do not count."""
    assert miss(suite_root, "if: { amount_usd_gt: 30, evidence.risk_gt: 0.6 }") is None
    found = miss(suite_root, "if: { amount_usd_gt: 10, evidence.risk_gt: 0.6 }")
    assert found is not None
    assert "risk 0.5 > 0.6" == found.comparison


def test_any_and_all_blocks(suite_root: Root) -> None:
    """Of alternatives the nearest counts; of blocks that are and-ed all count."""
    either = "if_any: [{ amount_usd_gt: 30, evidence.risk_gt: 0.6 }, { evidence.count_gt: 5 }]"
    found = miss(suite_root, either)
    assert found is not None
    assert "count 3 > 5" == found.comparison
    assert miss(suite_root, f"if: {{ evidence.tier_is: high }}, {either}") is None
    met = miss(suite_root, "if: { evidence.tier_is: high }, if_any: [{ amount_usd_gt: 30 }, { amount_usd_gt: 5 }]")
    assert met is not None
    assert "tier low is high" == met.comparison
    both = miss(suite_root, "if_all: [{ amount_usd_gt: 5 }, { evidence.count_gt: 5 }]")
    assert both is not None
    assert "count 3 > 5" == both.comparison


def test_a_missing_fact_is_unknown_not_false(suite_root: Root) -> None:
    """The comparison had nothing to compare."""
    request = REQUEST.replace("risk: 0.5, ", "")
    explanation = explained(
        suite_root,
        escalates("if: { evidence.risk_gte: 0.7 }"),
        request=request.replace("vip: false", "vip: true"),
        expect="reason_codes: [ACME_ONE]",
    )
    found = explanation.nearest
    assert found is not None
    assert ("risk missing >= 0.7", False, "0.7") == (found.comparison, found.known, found.change)
    assert WhatIf(words="", verdict=Verdict.ESCALATE, fires=True) == explanation.what_if


class TestWhatWouldComeOfIt:
    """What the engine answers when the one comparison holds; never the sum of rules that were traced."""

    def test_a_stricter_rule_would_stay(self, suite_root: Root) -> None:
        """A trust path that nearly fired does not make the verdict looser by itself."""
        found = explained(suite_root, escalates("if: { amount_usd_gt: 10 }"))
        assert found.nearest is not None
        assert ("T", Verdict.TRUST) == (found.nearest.rule_id, found.nearest.effect)
        assert WhatIf(words="", verdict=Verdict.ESCALATE, fires=True) == found.what_if

    def test_a_rule_that_reads_the_same_value_lets_go_of_it(self, suite_root: Root) -> None:
        """The value that fires the one does not fire the other any more."""
        near = escalates("if: { evidence.risk_lt: 0.4 }", rule_id="U").replace("ESCALATIONS", "TRUST_PATHS")
        near = near.replace("verdict: ESCALATE", "verdict: TRUST")
        found = explained(
            suite_root,
            escalates("if: { evidence.risk_gte: 0.4 }", code="ACME_TWO"),
            near,
            expect="verdict: TRUST, reason_codes: [ACME_ONE]",
        )
        assert found.nearest is not None
        assert ("U", "less than 0.4") == (found.nearest.rule_id, found.nearest.change)
        assert WhatIf(words="", verdict=Verdict.TRUST, fires=True) == found.what_if

    def test_further_away_something_else_comes_out(self, suite_root: Root) -> None:
        """The nearest outcome, and the values that it is true of."""
        block = escalates("if: { evidence.count_gte: 9 }", rule_id="B", code="ACME_TWO")
        block = block.replace("ESCALATIONS", "HARD_BLOCKS").replace("verdict: ESCALATE", "verdict: ABSTAIN")
        found = explained(
            suite_root,
            escalates("if: { evidence.count_gt: 3 }"),
            block,
            request=REQUEST.replace("vip: false", "vip: true"),
            expect="verdict: ESCALATE, reason_codes: [ACME_ONE]",
        )
        assert found.nearest is not None
        assert ("E", "more than 3") == (found.nearest.rule_id, found.nearest.change)
        assert WhatIf(words="with count from 4 to 8", verdict=Verdict.ESCALATE, fires=True) == found.what_if
        # A value that is named stands for itself.
        found = explained(
            suite_root,
            escalates("if: { evidence.count_gte: 4 }"),
            block,
            request=REQUEST.replace("vip: false", "vip: true"),
            expect="verdict: ESCALATE, reason_codes: [ACME_ONE]",
        )
        assert WhatIf(words="", verdict=Verdict.ESCALATE, fires=True) == found.what_if

    def test_memory_is_asked_again(self, suite_root: Root) -> None:
        """Another value resembles other experience; the rule that nearly fired is not the one that decides then."""
        text = """\
        - name: one
          memory: [{ label: failure, request: { $use: other }, summary: INC-42 }]
          request: { $use: small }
          expect: { verdict: ABSTAIN, reason_codes: [ACME_ONE] }
        """
        rules = [
            escalates("if: { evidence.tier_is: high }"),
            escalates("if: { risk.failure_similarity_gt: 0.9 }", rule_id="S", code="ACME_TWO")
            .replace("ESCALATIONS", "HARD_BLOCKS")
            .replace("verdict: ESCALATE", "verdict: ABSTAIN"),
        ]
        suite_root.write("policies/p.yml", HEAD + "".join(f"  - {rule}\n" for rule in rules))
        small = REQUEST.replace("vip: false", "vip: true")
        head = (
            'schema_version: vector.v0\npolicy: policies/p.yml\nclock: "2026-01-15T12:00:00Z"\nfixtures:\n  requests:\n'
            f"    small: {{ {small} }}\n    other: {{ {small.replace('tier: low', 'tier: high')} }}\n"
        )
        vector = suite_root.suite(text, head=head).vectors[0]
        assert () == vector.problems
        found = explain(run(vector))
        assert found is not None
        assert found.nearest is not None
        assert ("E", Verdict.ESCALATE) == (found.nearest.rule_id, found.nearest.effect)
        assert WhatIf(words="", verdict=Verdict.ABSTAIN, fires=True) == found.what_if


def test_which_of_several(suite_root: Root) -> None:
    """First the rule that emits what was lost, then one with the wanted effect, then the relatively nearest."""
    near = escalates("if: { evidence.risk_gt: 0.51 }", rule_id="NEAR")
    far = escalates("if: { amount_usd_gt: 1000 }", rule_id="FAR", code="ACME_TWO")
    lost = explained(suite_root, near, far, expect="verdict: ESCALATE, reason_codes: [ACME_TWO]")
    assert lost.nearest is not None
    assert "FAR" == lost.nearest.rule_id
    wanted = explained(suite_root, near, far, expect="verdict: TRUST")
    assert wanted.nearest is not None
    assert "T" == wanted.nearest.rule_id
    nearest = explained(suite_root, far, near, expect="matched_rules: [NEAR]")
    assert nearest.nearest is not None
    assert "NEAR" == nearest.nearest.rule_id


class TestDeciding:
    """The rules whose effect is the verdict."""

    def test_a_rule_with_its_operands_and_place(self, suite_root: Root) -> None:
        """Only comparisons that hold; every rule that decides."""
        rules = [
            escalates("if: { amount_usd_gt: 10, evidence.risk_gt: 0.4 }", rule_id="A"),
            escalates("if_any: [{ evidence.count_gte: 3 }, { evidence.count_gt: 100 }]", rule_id="B", code="ACME_TWO"),
        ]
        found = explained(suite_root, *rules)
        first, second = found.deciding
        assert ("A", Stage.ESCALATIONS, Verdict.ESCALATE) == (first.rule_id, first.stage, first.effect)
        assert ("amount_usd 20 > 10", "risk 0.5 > 0.4") == first.operands
        assert ("count 3 >= 3",) == second.operands
        assert first.span is not None
        assert ("policies/p.yml", 12) == (first.span.file, first.span.line)

    def test_the_default(self, suite_root: Root) -> None:
        """No rule fired, and that is said."""
        (rule,) = explained(suite_root).deciding
        assert ("default", Stage.DEFAULT, ("no rule fired",)) == (rule.rule_id, rule.stage, rule.operands)
        assert rule.span is None

    def test_the_default_has_a_place_where_it_is_written(self, suite_root: Root) -> None:
        """The policy's `default_verdict`, else its `defaults`."""
        head = HEAD.replace("rules:", "defaults: { default_verdict: ABSTAIN }\nrules:")
        suite_root.write("policies/p.yml", head)
        text = f"- {{ name: one, request: {{ {REQUEST} }}, expect: {{ verdict: TRUST }} }}\n"
        file = 'schema_version: vector.v0\npolicy: policies/p.yml\nclock: "2026-01-15T12:00:00Z"\n'
        found = explain(run(suite_root.suite(text, head=file).vectors[0]))
        assert found is not None
        assert "policies/p.yml:10:13" == str(found.deciding[0].span)

    def test_unusable_evidence(self, suite_root: Root) -> None:
        """The engine's block names key and code, never the value."""
        request = REQUEST.replace("risk: 0.5", "risk: '0.5'").replace("tier: low", "tier: middling")
        rules = [escalates("if: { evidence.risk_gt: 0.9 }"), escalates("if: { evidence.tier_is: high }", rule_id="F")]
        (rule,) = explained(suite_root, *rules, request=request).deciding
        assert ("LUMYN_EVIDENCE_INVALID", None) == (rule.rule_id, rule.span)
        assert ("risk EVIDENCE_TYPE_INVALID", "tier EVIDENCE_VALUE_UNKNOWN") == rule.operands

    def test_unknown_evidence(self, suite_root: Root) -> None:
        """The engine's requirement names the rules that could not be settled."""
        request = REQUEST.replace("risk: 0.5, ", "").replace("vip: false", "vip: true")
        settled = escalates("if: { evidence.count_gt: 9 }", rule_id="F", code="ACME_TWO")
        trusting = settled.replace("id: F, stage: ESCALATIONS", "id: G, stage: TRUST_PATHS").replace(
            "count_gt", "risk_lt"
        )
        trusting = trusting.replace("verdict: ESCALATE", "verdict: TRUST").replace(" 9 ", " 1 ")
        rules = [escalates("if: { evidence.risk_gt: 0.9 }"), settled, trusting]
        (rule,) = explained(suite_root, *rules, request=request, expect="reason_codes: [ACME_TRUST]").deciding
        assert ("LUMYN_EVIDENCE_UNKNOWN", ("E needs evidence.risk",)) == (rule.rule_id, rule.operands)

    def test_missing_requirements(self, suite_root: Root) -> None:
        """The requirements check names the missing keys."""
        request = "{ $use: small, $with: { evidence.ticket_id: ' ' } }"
        text = f"- {{ name: one, request: {request}, expect: {{ verdict: TRUST }} }}\n"
        found = explain(suite_root.run(text))
        assert found is not None
        assert ("missing ticket_id",) == found.deciding[0].operands


def test_verdict_codes_and_memory(suite_root: Root) -> None:
    """What was expected, what came out, and the experience that was consulted."""
    text = """\
    - name: one
      request: { $use: small }
      memory: [{ label: failure, request: { $use: small }, summary: INC-42 }]
      expect: { verdict: TRUST, reason_codes: [ACME_SMALL, ACME_LARGE] }
    """
    found = explain(suite_root.run(text))
    assert found is not None
    assert ("TRUST", "ESCALATE") == (found.expected, found.got)
    assert (("ACME_LARGE",), ("ACME_SIMILAR",)) == (found.lost, found.gained)
    assert found.memory is not None
    assert (1, Decimal(1)) == (found.memory.items, found.memory.failure_similarity)
    assert ["INC-42"] == [match.summary for match in found.memory.matches]
    assert 'pytest "vectors/a.yaml::one" --lumyn-vectors' == found.rerun


def test_an_error_has_nothing_to_explain_but_itself(suite_root: Root) -> None:
    """No rule was evaluated."""
    text = "- { name: one, request: { $use: small, $with: { action.amount.value: -1 } }, expect: { verdict: TRUST } }\n"
    found = explain(suite_root.run(text))
    assert found is not None
    assert ("INVALID_REQUEST_SCHEMA", (), None, None) == (found.got, found.deciding, found.nearest, found.memory)


def test_an_error_for_another_reason_is_still_the_error(suite_root: Root) -> None:
    """Its code is as expected, its problems are not."""
    text = """\
    - name: one
      request: { $use: small, $with: { action.amount.value: -1 } }
      expect: { error: { reason_code: INVALID_REQUEST_SCHEMA, problems: [FIELD_UNKNOWN] } }
    """
    found = explain(suite_root.run(text))
    assert found is not None
    assert ("", "INVALID_REQUEST_SCHEMA") == (found.expected, found.got)


def test_a_storage_failure_is_not_explained_by_rules(suite_root: Root) -> None:
    """The policy was not asked."""
    text = """\
    - name: story
      steps:
        - fault: { storage: unavailable }
        - decide: { request: { $use: small } }
          expect: { verdict: TRUST }
    """
    found = explain(suite_root.run(text))
    assert found is not None
    assert found.nearest is None
    assert ("LUMYN_STORAGE_UNAVAILABLE", ()) == (found.deciding[0].rule_id, found.deciding[0].operands)
    assert found.memory is not None
    assert found.memory.items is None
