"""`lumyn policy prove`: what is proved, what is broken and by which request, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.harness import Lumyn, write

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
    assert "TRUST, and ESCALATE with customer_age_days 0" in out
    assert "- name: monotone_evidence_customer_age_days" in out


def test_a_policy_without_invariants(lumyn: Lumyn, workspace: Path) -> None:
    """Nothing was proved, and the exit code says so."""
    result = lumyn("policy", "prove")
    assert (5, True) == (result.code, "has no `invariants`" in result.out)
