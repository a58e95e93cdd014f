"""
A throw-away suite root with a policy of its own, and short ways to load and run vectors in it.
Used by the tests of vectors and of their reports.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumyn.documents import load
from lumyn.documents.schema import check
from lumyn.errors import InvalidVectorError
from lumyn.vectors import Suite, Vector, VectorResult, load_suite, run

__all__ = ["HEAD", "HEAD_LINES", "POLICY", "Root"]

POLICY = """\
schema_version: policy.v0
policy_id: acme-refunds
policy_version: "1.0.0"
defaults: { mode: enforce, default_verdict: ESCALATE, default_reason_code: NO_MATCH_DEFAULT_ESCALATE }
reason_codes:
  ACME_SMALL: Small refund.
  ACME_LARGE: Large refund.
  ACME_RISKY: Risky refund.
  ACME_SIMILAR: Like a known failure.
  ACME_CLOSED: A ticket can be closed.
  ACME_ASK: The ticket is missing.
thresholds: { trust_max: 25, escalate_over: 200 }
required_evidence: { acme.refund: [ticket_id] }
evidence:
  ticket_id: { type: string }
  risk: { type: number, min: 0, max: 1 }
rules:
  - id: R010
    stage: REQUIREMENTS
    when: { action_type: acme.refund }
    then:
      verdict: QUERY
      reason_codes: [ACME_ASK]
      queries: [{ field: ticket_id, question: "Which ticket?" }]
  - id: R020
    stage: HARD_BLOCKS
    when: { action_type: acme.refund }
    if: { evidence.risk_gte: 0.7 }
    then: { verdict: ABSTAIN, reason_codes: [ACME_RISKY] }
  - id: R030
    stage: ESCALATIONS
    when: { action_type: acme.refund }
    if: { amount_usd_gt: { threshold: escalate_over } }
    then: { verdict: ESCALATE, reason_codes: [ACME_LARGE], obligations: [{ type: notify, to: finance }] }
  - id: R040
    stage: ESCALATIONS
    when: { action_type: acme.refund }
    if: { risk.failure_similarity_gte: 0.8 }
    then: { verdict: ESCALATE, reason_codes: [ACME_SIMILAR] }
  - id: R050
    stage: TRUST_PATHS
    when: { action_type: acme.refund }
    if: { amount_usd_lte: { threshold: trust_max } }
    then: { verdict: TRUST, reason_codes: [ACME_SMALL] }
  - id: R060
    stage: TRUST_PATHS
    when: { action_type: acme.close }
    if: { evidence.done_is: true }
    then: { verdict: TRUST, reason_codes: [ACME_CLOSED] }
"""

HEAD = """\
schema_version: vector.v0
policy: policies/p.yml
clock: "2026-01-15T12:00:00Z"
fixtures:
  requests:
    small:
      action: { type: acme.refund, intent: refund, amount: { value: 12, currency: USD } }
      evidence: { ticket_id: T-1, risk: 0.1 }
"""
HEAD_LINES = HEAD.count("\n")


@dataclass
class Root:
    """
    A suite root.

    Attributes:
        path: The folder; `policies/p.yml` is there.
    """

    path: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file, its folders too, dedented."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def suite(self, text: str, *, name: str = "vectors/a.yaml", head: str = HEAD, **options: Any) -> Suite:
        """Load a suite; `text` is the list under `vectors`, or with `head=""` the whole file."""
        body = textwrap.dedent(text)
        if head:
            body = f"{head}vectors:\n{textwrap.indent(body, '  ')}"
        return load_suite(self.write(name, body), root=self.path, **options)

    def vector(self, text: str, **options: Any) -> Vector:
        """Load a suite of one vector that has no problems."""
        (vector,) = self.suite(text, **options).vectors
        assert () == vector.problems
        return vector

    def run(self, text: str, **options: Any) -> VectorResult:
        """Load and run a suite of one vector."""
        return run(self.vector(text, **options))

    def problems(self, text: str, **options: Any) -> list[tuple[str, int]]:
        """Return code and line of everything wrong; lines count from the first line of `text`."""
        first = HEAD_LINES + 1 if options.get("head", HEAD) else 0
        try:
            found = self.suite(text, **options).problems
        except InvalidVectorError as error:
            found = error.problems
        assert all(problem.span is not None for problem in found)
        return [(problem.code, problem.span.line - first) for problem in found if problem.span is not None]

    def valid(self, text: str, *, head: str = HEAD) -> bool:
        """Return whether the published schema accepts the file."""
        body = textwrap.dedent(text)
        whole = f"{head}vectors:\n{textwrap.indent(body, '  ')}" if head else body
        return check("vector.v0.schema.json", load(whole.encode(), file="a.yaml").value)

    def texts(self, text: str, **options: Any) -> list[str]:
        """Return everything wrong as messages."""
        try:
            return [str(problem) for problem in self.suite(text, **options).problems]
        except InvalidVectorError as error:
            return [str(problem) for problem in error.problems]
