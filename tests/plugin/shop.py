"""A small repository with a policy and vectors, as an application would have it."""

from __future__ import annotations

POLICY = """\
schema_version: policy.v0
policy_id: shop
policy_version: "1.0.0"
defaults: {mode: enforce, default_verdict: ESCALATE, default_reason_code: NO_MATCH_DEFAULT_ESCALATE}
reason_codes:
  TICKET_MISSING: The ticket is not named.
  RISK_TOO_HIGH: The instrument is too risky.
  REFUND_OVER_LIMIT: The refund is above the limit.
  REFUND_LIKE_A_FAILURE: The refund resembles one that went wrong.
  REFUND_SMALL: A small refund with low risk.
thresholds: {trust_up_to_usd: 25, escalate_over_usd: 200}
required_evidence:
  support.refund: [ticket_id]
evidence:
  ticket_id: {type: string}
  risk: {type: number, min: 0, max: 1, step: 0.01}
rules:
  - id: R010
    stage: REQUIREMENTS
    when: {action_type: support.refund}
    then: {verdict: QUERY, reason_codes: [TICKET_MISSING]}
  - id: R020
    stage: HARD_BLOCKS
    when: {action_type: support.refund}
    if: {evidence.risk_gte: 0.7}
    then: {verdict: ABSTAIN, reason_codes: [RISK_TOO_HIGH]}
  - id: R030
    stage: ESCALATIONS
    when: {action_type: support.refund}
    if: {amount_usd_gt: {threshold: escalate_over_usd}}
    then: {verdict: ESCALATE, reason_codes: [REFUND_OVER_LIMIT]}
  - id: R040
    stage: ESCALATIONS
    when: {action_type: support.refund}
    if: {risk.failure_similarity_gte: 0.8}
    then: {verdict: ESCALATE, reason_codes: [REFUND_LIKE_A_FAILURE]}
  - id: R050
    stage: TRUST_PATHS
    when: {action_type: support.refund}
    if: {amount_usd_lte: {threshold: trust_up_to_usd}}
    then: {verdict: TRUST, reason_codes: [REFUND_SMALL]}
"""

VECTORS = """\
schema_version: vector.v0
policy: policies/shop.yml
clock: "2026-01-15T12:00:00Z"
fixtures:
  requests:
    refund:
      action: {type: support.refund, intent: refund a customer, amount: {value: 12, currency: USD}}
      evidence: {ticket_id: ZD-1, risk: 0.1}
  memory:
    known_fraud: {label: failure, request: {$use: refund}, summary: INC-42}
vectors:
  - name: small
    tags: [refund, quick]
    request: {$use: refund}
    expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}
  - name: like_a_known_fraud
    request: {$use: refund}
    memory: [known_fraud]
    expect: {verdict: ESCALATE, reason_codes: [REFUND_LIKE_A_FAILURE, REFUND_SMALL]}
  - name: limit
    tags: [refund]
    request: {$use: refund}
    table:
      columns: [id, request.action.amount.value, expect.verdict, expect.reason_codes]
      rows:
        - [at_limit, 200, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]
        - [over_limit, 200.01, ESCALATE, [REFUND_OVER_LIMIT]]
  - name: compounding
    steps:
      - decide: {id: first, request: {$use: refund}}
        expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}
      - label: {decision: first, label: failure, note: duplicate charge}
      - decide: {request: {$use: refund}}
        expect: {verdict: ESCALATE, reason_codes: [REFUND_LIKE_A_FAILURE, REFUND_SMALL]}
"""

PASSING = 5
"""How many items VECTORS makes; all pass under POLICY."""

PYTHON_TEST = "def test_python():\n    assert True\n"
