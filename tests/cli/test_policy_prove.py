"""`lumyn policy prove`: what is proved, what is broken and by which request, and the exit code."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from cli.harness import Lumyn, write

from lumyn.analysis.witness import Case, evaluate
from lumyn.model import Evaluation
from lumyn.policy.spec import Policy

POLICY = "policies/support.yml"
HOLDS = "  - never: { verdict: TRUST, when: { action_type: support.change_plan } }\n"
BROKEN = "  - never: { verdict: TRUST, where: { amount_usd_gt: 500 } }\n"
TWO = "  - monotone: evidence.customer_age_days\n"


@pytest.fixture
def promise(workspace: Path) -> Path:
    path = workspace / POLICY
    path.write_text(path.read_text(encoding="utf-8") + "invariants:\n", encoding="utf-8")
    return path


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_what_holds_is_proved(lumyn: Lumyn, promise: Path) -> None:
    """Exit 0; by default the configured policy."""
    add(promise, HOLDS)
    result = lumyn("policy", "prove")
    assert 0 == result.code
    assert result.out.startswith("proved    never TRUST for support.change_plan\n1 of 1 invariant")


def test_what_is_broken_comes_with_a_request_that_lumyn_decides_so(lumyn: Lumyn, promise: Path) -> None:
    """The request in the JSON, handed to `lumyn decide`, gets the verdict that must never be."""
    add(promise, BROKEN)
    result = lumyn("policy", "prove", POLICY, "--json")
    (found,) = result.data["invariants"]
    assert (1, "violated", "TRUST") == (result.code, found["status"], found["verdict"])
    decided = lumyn("decide", write(promise.parent / "r.json", found["request"]), "--json")
    assert (0, "TRUST") == (decided.code, decided.data["record"]["verdict"])


def test_two_requests_that_are_compared_are_both_named(lumyn: Lumyn, promise: Path) -> None:
    """Older customers are trusted more: the promise that age never loosens anything is broken by a pair."""
    add(promise, TWO)
    out = lumyn("policy", "prove").out
    assert re.search(r"TRUST with customer_age_days [1-9]\d*; ESCALATE with customer_age_days 0, all else alike", out)
    assert "- name: monotone_evidence_customer_age_days" in out


ASKING = """\
schema_version: policy.v0
policy_id: asking
policy_version: "1"
reason_codes: { RISKY: A risk is known., SMALL: A small amount. }
rules:
  - id: risk
    stage: ESCALATIONS
    if: { evidence.risk_gt: 0.5 }
    then: { verdict: ESCALATE, reason_codes: [RISKY] }
  - id: small
    stage: TRUST_PATHS
    when: { action_type: pay.out }
    if: { amount_usd_lte: 25 }
    then: { verdict: TRUST, reason_codes: [SMALL] }
invariants:
  - monotone: amount_usd
"""


def test_a_question_that_becomes_an_escalation_says_why_it_is_looser(lumyn: Lumyn, workspace: Path) -> None:
    """A question is stricter; whoever did not know that would take the pair for a mistake."""
    (workspace / "asking.yml").write_text(ASKING, encoding="utf-8")
    out = " ".join(lumyn("policy", "prove", "asking.yml").out.split())
    assert (
        "ESCALATE with amount 26 USD; QUERY with amount 25 USD, all else alike from QUERY to ESCALATE is looser" in out
    )


def test_a_policy_without_invariants(lumyn: Lumyn, workspace: Path) -> None:
    """Nothing was proved, and the exit code says so."""
    result = lumyn("policy", "prove")
    assert (5, True) == (result.code, "has no `invariants`" in result.out)


def test_what_is_printed_is_a_file_of_vectors_that_run(
    lumyn: Lumyn, promise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved as it is, every vector passes: the counter-example is what a gate decides, memory included."""
    similar = "  - never: { verdict: ESCALATE, where: { risk.failure_similarity_gte: 0.85 } }\n"
    add(promise, BROKEN + TWO + similar)
    shown = lumyn("policy", "prove", "--json").data["invariants"]
    assert ["violated"] * 3 == [each["status"] for each in shown]
    assert "memory" in shown[2]["vectors"]
    monkeypatch.setenv("COLUMNS", "40")  # copied from a narrow terminal too
    printed = lumyn("policy", "prove").out
    for number, each in enumerate(shown):
        assert textwrap.indent(each["vectors"], " " * 10) in printed
        file = promise.parents[1] / "vectors" / f"broken_{number}.yml"
        file.write_text(each["vectors"], encoding="utf-8")
        run = lumyn("vectors", "run", str(file), "--json")
        assert (0, {"passed": 2 if number == 1 else 1}) == (
            run.code,
            {k: v for k, v in run.data["counts"].items() if v},
        )


def test_a_promise_about_nothing_is_no_proof(lumyn: Lumyn, promise: Path) -> None:
    """Nothing could break it, so it fails, and says why."""
    add(promise, "  - never: { verdict: TRUST, where: { amount_usd_gt: 5, amount_usd_lt: 3 } }\n")
    result = lumyn("policy", "prove")
    assert (1, True) == (result.code, "promises nothing: no request meets its conditions" in result.out)
    (found,) = lumyn("policy", "prove", "--json").data["invariants"]
    assert ("vacuous", "no request meets its conditions") == (found["status"], found["reason"])


def test_a_request_that_a_gate_decides_otherwise_is_a_defect(
    lumyn: Lumyn, promise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loudly: exit 70, and nothing on standard output."""

    def otherwise(policy: Policy, case: Case) -> Evaluation:
        return replace(evaluate(policy, case), reason_codes=("MADE_UP",))

    monkeypatch.setattr("lumyn.analysis.prove.evaluate", otherwise)
    add(promise, BROKEN)
    result = lumyn("policy", "prove")
    assert (70, "") == (result.code, result.out)
