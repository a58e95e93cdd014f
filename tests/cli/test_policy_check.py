"""`lumyn policy check`: findings in words, for machines, and the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cli.harness import Lumyn, write

from lumyn.analysis.witness import Case, evaluate
from lumyn.model import Evaluation
from lumyn.policy.spec import Policy

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
    assert first.endswith(
        "error: R210 can never fire: `amount_usd > 5` and `amount_usd < 3` exclude one another [RULE_DEAD]"
    )


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


def test_code_hosts_get_places_in_the_repository(
    lumyn: Lumyn, odd: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the folder and the way the policy was named; people get a path from where they are."""
    (workspace / ".git").mkdir()
    for arguments in ((), (str(odd),)):
        assert f"::error file={POLICY},line=" in lumyn("policy", "check", *arguments, "--format", "github").out
    assert lumyn("policy", "check").out.startswith(f"{POLICY}:")
    monkeypatch.chdir(workspace / "policies")
    assert f"::error file={POLICY},line=" in lumyn("policy", "check", "support.yml", "--format", "github").out
    log = json.loads(lumyn("policy", "check", "support.yml", "--format", "sarif").out)
    artifact = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert {"uri": POLICY} == artifact


def test_names_cannot_break_an_annotation(lumyn: Lumyn, odd: Path, workspace: Path) -> None:
    """A comma, a colon, a percent sign or a line end in a file's name ends no property and begins no command."""
    name = "a,b%:\n::error::x.yml"
    (workspace / name).write_text(odd.read_text(encoding="utf-8"), encoding="utf-8")
    commands = [
        line
        for line in lumyn("policy", "check", name, "--format", "github").out.splitlines()
        if not line.startswith("GitHub marks no more of a step")
    ]
    assert {"error", "warning", "notice"} == {line.split(" ")[0].strip(":") for line in commands}
    assert all(line.split(" ", 1)[1].startswith("file=a%2Cb%25%3A") for line in commands)
    assert all("%3A%3Aerror%3A%3Ax.yml,line=" in line for line in commands)


def test_json(lumyn: Lumyn, odd: Path) -> None:
    findings = lumyn("policy", "check", POLICY, "--json").data["findings"]
    assert "RULE_DEAD" == findings[0]["code"]
    keys = {"code", "level", "message", "advice", "line", "column", "request", "examples", "accepted"}
    assert all(keys == set(finding) for finding in findings)
    examples = [example for finding in findings for example in finding["examples"]]
    assert {"verdict", "reason_codes", "request", "failure_similarity", "by_gate"} == set(examples[0])
    assert all(example["by_gate"] for example in examples)


def test_every_example_is_decided_by_a_gate_as_it_says(lumyn: Lumyn, workspace: Path) -> None:
    """Handed to `lumyn decide`, the request gets the verdict and the codes that were printed."""
    findings = lumyn("policy", "check", POLICY, "--json").data["findings"]
    for example in [example for finding in findings for example in finding["examples"]]:
        record = lumyn("decide", write(workspace / "r.json", example["request"]), "--json").data["record"]
        assert (example["verdict"], example["reason_codes"]) == (record["verdict"], record["reason_codes"])


def test_an_example_that_a_gate_decides_otherwise_is_a_defect(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loudly: exit 70, and no finding on standard output."""

    def otherwise(policy: Policy, case: Case) -> Evaluation:
        return replace(evaluate(policy, case), reason_codes=("MADE_UP",))

    monkeypatch.setattr("lumyn.analysis.finding.evaluate", otherwise)
    result = lumyn("policy", "check", POLICY)
    assert (70, "") == (result.code, result.out)


def test_an_accepted_finding_fails_nothing(lumyn: Lumyn, odd: Path) -> None:
    """It is still shown, with the reason; SARIF has it as suppressed in the source, GitHub does not mark it."""
    rule = "  - id: R210\n"
    assert 1 == odd.read_text(encoding="utf-8").count(rule)
    text = odd.read_text(encoding="utf-8").replace("thresholds:\n  unread: 7\n", "thresholds:\n")
    text = text.replace(
        "    if: { amount_usd_gt: 5, amount_usd_lt: 3 }",
        "    # lumyn: accept RULE_DEAD: switched off until March\n    if: { amount_usd_gt: 5, amount_usd_lt: 3 }",
    )
    odd.write_text(text.replace("  refund_escalate_over_usd: 200\n", ""), encoding="utf-8")
    result = lumyn("policy", "check", POLICY, "--strict")
    assert (0, True) == (result.code, "  accepted: switched off until March" in result.out)
    assert ", 1 accepted: " in result.out.splitlines()[-1]
    results = json.loads(lumyn("policy", "check", POLICY, "--format", "sarif").out)["runs"][0]["results"]
    justified = [each["suppressions"] for each in results if each["ruleId"] == "RULE_DEAD"]
    assert [[{"kind": "inSource", "justification": "switched off until March"}]] == justified
    assert "RULE_DEAD" not in lumyn("policy", "check", POLICY, "--format", "github").out


def test_a_policy_that_is_not_there_or_empty(lumyn: Lumyn, workspace: Path) -> None:
    """An error in the words of the loader, and nothing that reads like a result."""
    (workspace / "empty.yml").write_text("", encoding="utf-8")
    for name, code in (("nope.yml", 3), ("empty.yml", 3), ("git:HEAD:nope.yml", 5)):
        for command in ("check", "prove"):
            result = lumyn("policy", command, name)
            assert (code, "") == (result.code, result.out)
