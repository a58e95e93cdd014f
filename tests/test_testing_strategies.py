"""Requests drawn for a policy: valid, varied, and at the edges where its verdict changes."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from plugin.shop import POLICY

from lumyn import Gate, Verdict, _resources
from lumyn.errors import InstallationError
from lumyn.policy.loader import load_policy, parse_policy
from lumyn.testing import strategies
from lumyn.testing.strategies import boundaries, evidence, requests

STARTERS = sorted(_resources.policies_dir().glob("*.yml"))
SHOP = parse_policy(POLICY, file="shop.yml")
ENGINE_BLOCKS = {"EVIDENCE_TYPE_INVALID", "EVIDENCE_OUT_OF_RANGE", "EVIDENCE_VALUE_UNKNOWN", "FX_RATE_OUT_OF_BOUNDS"}


def gate(policy):
    return Gate.open(policy=policy, store="sqlite:///:memory:", create=True)


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.stem)
def test_every_request_is_valid_evidence_for_its_policy(path: Path) -> None:
    policy = load_policy(path)
    with gate(policy) as opened:

        @given(requests(policy))
        def check(request: dict) -> None:
            record = opened.decide(request)
            assert not ENGINE_BLOCKS & set(record.reason_codes)

        check()


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.stem)
def test_all_four_verdicts_are_met(path: Path) -> None:
    policy = load_policy(path)
    seen = set()
    with gate(policy) as opened:

        @settings(max_examples=400)
        @given(requests(policy))
        def collect(request: dict) -> None:
            seen.add(opened.decide(request).verdict)

        collect()
    assert seen >= {Verdict.TRUST, Verdict.ESCALATE, Verdict.QUERY} or seen == set(Verdict)


def test_a_complete_request_leaves_nothing_out() -> None:
    @given(requests(SHOP, action_type="support.refund", complete=True))
    def check(request: dict) -> None:
        assert {"ticket_id", "risk"} == set(request["evidence"]) - {"fx_rate_to_usd"}
        assert "amount" in request["action"]

    check()


def test_the_edges_are_the_constants_and_a_step_to_either_side() -> None:
    expected = ["24.99", "25", "25.01", "199.99", "200", "200.01"]
    assert expected == [str(each) for each in boundaries(SHOP, "amount_usd", action_type="support.refund")]
    risk = boundaries(SHOP, "evidence.risk", action_type="support.refund")
    assert [Decimal(each) for each in ("0", "0.69", "0.7", "0.71", "1")] == list(risk)


@pytest.mark.parametrize("amount", [25, 25.01, 200, 200.01])
def test_the_edges_are_drawn(amount: float) -> None:
    """A mutant that moves a limit by one step is met."""
    drawn = find(requests(SHOP, complete=True), lambda request: request["action"]["amount"]["value"] == amount)
    assert amount == drawn["action"]["amount"]["value"]


def test_evidence_stays_in_its_range() -> None:
    values = evidence(SHOP, "risk", action_type="support.refund")
    for outside in (lambda value: value < 0, lambda value: value > 1, lambda value: isinstance(value, bool)):
        with pytest.raises(NoSuchExample):
            find(values, outside)
    assert find(values, lambda value: value not in (0, 1)) is not None


def test_a_wrong_limit_is_found_by_a_property() -> None:
    """What the strategies are for."""
    wrong = parse_policy(POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 25.01"), file="shop.yml")
    with gate(wrong) as opened, pytest.raises(AssertionError):

        @settings(max_examples=500)
        @given(requests(SHOP, action_type="support.refund", complete=True))
        def check(request: dict) -> None:
            amount = request["action"]["amount"]
            if amount["currency"] == "USD" and amount["value"] > 25:
                assert opened.decide(request).verdict is not Verdict.TRUST

        check()


def test_a_policy_without_actions_needs_one() -> None:
    bare = "schema_version: policy.v0\npolicy_id: p\npolicy_version: '1'\n"
    bare += "defaults: {mode: enforce, default_verdict: ESCALATE, default_reason_code: NO_MATCH_DEFAULT_ESCALATE}\n"
    bare += "rules:\n  - {id: R1, stage: ESCALATIONS, if: {amount_usd_gt: 5}, then: {verdict: ESCALATE, "
    bare += "reason_codes: [NO_MATCH_DEFAULT_ESCALATE]}}\n"
    policy = parse_policy(bare, file="p.yml")
    with pytest.raises(ValueError, match="names no action type"):
        requests(policy)
    assert isinstance(requests(policy, action_type="a.b"), st.SearchStrategy)


def test_hypothesis_is_imported_when_a_strategy_is_asked_for() -> None:
    code = "import sys, lumyn.testing.strategies; sys.exit('hypothesis' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_without_hypothesis_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(InstallationError, match="strategies need Hypothesis"):
        strategies.requests(SHOP)
