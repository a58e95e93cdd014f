"""`lumyn policy check`: findings in words, for machines, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.harness import Lumyn

POLICY = "policies/support.yml"


@pytest.fixture
def odd(workspace: Path) -> Path:
    """The starter policy with a threshold nobody reads and a rule that cannot fire."""
    path = workspace / POLICY
    text = path.read_text(encoding="utf-8").replace("thresholds:\n", "thresholds:\n  unread: 7\n")
    text = text.replace(
        "{ amount_usd_gt: { threshold: refund_escalate_over_usd } }", "{ amount_usd_gt: 5, amount_usd_lt: 3 }"
    )
    path.write_text(text, encoding="utf-8")
    return path


def test_the_starter_policy_has_notes_only(lumyn: Lumyn, workspace: Path) -> None:
    """Exit 0, and the requests that fall to the default are named."""
    result = lumyn("policy", "check", "--strict")
    assert 0 == result.code
    assert "note: support.refund: some requests match no rule" in result.out
    assert "every request considered" in result.out.splitlines()[-1]


def test_errors_fail(lumyn: Lumyn, odd: Path) -> None:
    """Errors come first, with their place; warnings fail where that was asked for."""
    result = lumyn("policy", "check", POLICY)
    assert 1 == result.code
    first = result.out.splitlines()[0]
    assert first.startswith(f"{POLICY}:")
    assert first.endswith("error: R210 can never fire: its conditions exclude one another [RULE_DEAD]")


def test_warnings_fail_when_strict(lumyn: Lumyn, workspace: Path) -> None:
    path = workspace / POLICY
    path.write_text(path.read_text(encoding="utf-8").replace("thresholds:\n", "thresholds:\n  unread: 7\n"))
    assert 0 == lumyn("policy", "check").code
    assert 1 == lumyn("policy", "check", "--strict").code


def test_sarif(lumyn: Lumyn, odd: Path) -> None:
    """A log that code scanning takes: rule ids, levels, the line of the policy."""
    run = json.loads(lumyn("policy", "check", POLICY, "--format", "sarif").out)["runs"][0]
    first = run["results"][0]
    assert ("RULE_DEAD", "error") == (first["ruleId"], first["level"])
    place = first["locations"][0]["physicalLocation"]
    assert (POLICY, True) == (place["artifactLocation"]["uri"], place["region"]["startLine"] > 1)
    assert {result["ruleId"] for result in run["results"]} == {rule["id"] for rule in run["tool"]["driver"]["rules"]}


def test_github(lumyn: Lumyn, odd: Path) -> None:
    """Annotations on the lines of the policy."""
    lines = lumyn("policy", "check", POLICY, "--format", "github").out.splitlines()
    assert lines[0].startswith(f"::error file={POLICY},line=")
    assert any(line.startswith("::warning ") and "`unread`" in line for line in lines)


def test_json(lumyn: Lumyn, odd: Path) -> None:
    findings = lumyn("policy", "check", POLICY, "--json").data["findings"]
    assert "RULE_DEAD" == findings[0]["code"]
    assert all({"code", "level", "message", "line", "request"} == set(finding) for finding in findings)
