"""
Which surviving edits a terminal names, in what words: the widest first, each with the facts that its request turns on.
Where no vector stands, every edit survives, so the choice is all there is.
"""

from __future__ import annotations

from typing import Any, Final

from strategies import build_policy

from lumyn.analysis.check import check
from lumyn.analysis.mutants import mutants, reach_of
from lumyn.analysis.mutation import assess
from lumyn.policy.spec import Policy
from lumyn.report.findings import request_words
from lumyn.report.strength import mutation_lines, survivor_text

ACTION: Final = {"action_type": "account.credit"}
_LACKING: Final = {"roles", "account_id"}
"""Facts about which no value tells: a list without a member, and a key that has to be there."""
BOTH: Final = {"action_type_in": ["account.credit", "account.close"]}


def rule(name: str, stage: str, verdict: str, conditions: dict[str, Any], when: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "stage": stage, "when": when, "if": conditions, "then": _then(verdict)}


def _then(verdict: str) -> dict[str, Any]:
    return {"verdict": verdict, "reason_codes": [f"C_{verdict}"]}


def policy(*rules: dict[str, Any]) -> Policy:
    """Return a policy of some rules, or of three about credits."""
    asks: dict[str, Any] = {"id": "ASK", "stage": "REQUIREMENTS", "when": ACTION, "then": _then("QUERY")}
    limit = {"amount_usd_lte": 50, "subject.roles_contains": "billing"}
    own = [
        asks,
        rule("UNPAID", "ESCALATIONS", "ESCALATE", {"evidence.open_invoices_gt": 0}, BOTH),
        rule("SMALL", "TRUST_PATHS", "TRUST", limit, ACTION),
    ]
    return build_policy(
        {
            "schema_version": "policy.v0",
            "policy_id": "p",
            "policy_version": "1",
            "defaults": {"default_verdict": "ESCALATE", "default_reason_code": "NOTHING_MATCHED"},
            "required_evidence": {} if rules else {"account.credit": ["account_id"]},
            "rules": [*(rules or own)],
        }
    )


def test_the_widest_edits_are_named_first_and_limits_of_money_before_others() -> None:
    """A rule that goes, then a condition, then an action or a limit of money, then required keys, then other limits."""
    limits = sorted(mutants(policy()), key=reach_of)
    at = [each.mutant_id for each in limits].index
    assert at("SMALL/step/amount_usd_lte/up") < at("required/account.credit/drop/account_id")
    assert at("required/account.credit/drop/account_id") < at("UNPAID/step/open_invoices_gt/up")
    edits = [line for line in mutation_lines(assess(policy(), [])) if line.startswith("  ") and "USD:" not in line]
    shown = [line.strip() for line in edits if not line.startswith("      ")]
    assert shown == [
        "ASK dropped",
        "UNPAID dropped | not for account.credit",
        "SMALL amount_usd <= 50 dropped | -> 50.01",
        "SMALL subject.roles contains billing dropped",
        "account.credit requires account_id dropped",
        "and 1 place more",
    ]


def test_a_request_is_shown_with_what_the_edit_turns_on() -> None:
    """A list that the dropped condition reads, the keys of a rule that goes, a required key that is let go."""
    report = assess(policy(), [], accepted={})
    lines = [*mutation_lines(report)]
    at = next(place for place, line in enumerate(lines) if "roles contains" in line)
    assert lines[at + 1].endswith(", roles missing: ESCALATE -> TRUST")
    at = next(place for place, line in enumerate(lines) if "UNPAID dropped" in line)
    assert ", open_invoices 0.01" in lines[at + 1]
    assert lines[at + 1].endswith(": ESCALATE -> TRUST")
    at = next(place for place, line in enumerate(lines) if "amount_usd <= 50 dropped" in line)
    assert lines[at + 1].endswith("account.credit 50.01 USD: ESCALATE -> TRUST")


def test_where_and_by_whom_is_named_when_the_edit_turns_on_it() -> None:
    """An environment, a subject, values as a policy spells them; a verdict that no missing fact brought about."""
    where = {"tenant.environment_is": "prod", "subject.type_is": "job", "evidence.backup_is": False}
    never = rule("NEVER", "HARD_BLOCKS", "ABSTAIN", where, ACTION)
    dollars = rule("DOLLARS", "ESCALATIONS", "ESCALATE", {"amount_currency_ne": "USD"}, ACTION)
    small = rule("SMALL", "TRUST_PATHS", "TRUST", {"evidence.hosts_lte": 3}, ACTION)
    found = {each.mutant.mutant_id: survivor_text(each) for each in assess(policy(never, dollars, small), []).survivors}
    assert found["NEVER/constant/tenant.environment_is/dev"].endswith(", environment prod: ABSTAIN -> TRUST")
    assert found["NEVER/constant/subject.type_is/agent"].endswith(", subject job: ABSTAIN -> TRUST")
    assert found["NEVER/constant/backup_is/true"].endswith(", backup false: ABSTAIN -> TRUST")
    assert found["NEVER/rule"].endswith(", environment prod, subject job: ABSTAIN -> TRUST")
    assert found["DOLLARS/rule"].endswith("credit 1 SEK: ESCALATE -> TRUST")


def test_a_request_is_shown_in_which_the_facts_of_the_edit_are_known() -> None:
    """A value beyond the limit says more than a missing one; where only a missing fact tells, it is shown."""
    found = {each.mutant.mutant_id: survivor_text(each) for each in assess(policy(), []).survivors}
    assert [] == [
        text
        for name, text in found.items()
        if "missing" in text and not _LACKING.intersection(text.replace(",", "").split())
    ]


def test_examples_of_findings_name_the_keys_they_need_and_nobody_in_particular() -> None:
    """Whoever decides the example by hand gets what is said, and is told of no subject the policy does not look at."""
    examples = [request_words(each.case) for finding in check(policy()) for each in finding.examples]
    named = [each for each in examples if each.startswith("account.credit")]
    assert named
    assert all("with account_id" in each for each in named)
    assert not any("subject" in each for each in examples)
