"""`lumyn backtest`: history under another policy, from the store or from lines, with limits that fail a build."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write


@pytest.fixture
def candidate(lumyn: Lumyn, workspace: Path) -> str:
    """Three decisions, at 12, 30 and 201 USD; and a policy that would trust up to 35."""
    for amount in ("12", "30", "201"):
        request = refund()
        request["action"]["amount"]["value"] = amount
        lumyn("decide", write(workspace / "r.json", request))
    text = (workspace / "policies" / "support.yml").read_text(encoding="utf-8")
    path = workspace / "candidate.yml"
    path.write_text(text.replace("refund_trust_max_usd: 25", "refund_trust_max_usd: 35"), encoding="utf-8")
    return str(path)


def test_the_policy_in_force_changes_nothing(lumyn: Lumyn, candidate: str) -> None:
    result = lumyn("backtest", "policies/support.yml")
    assert (0, "") == (result.code, result.err)
    assert "no change: 3 come out as they did" in result.out


def test_what_changes_is_counted_with_examples(lumyn: Lumyn, candidate: str) -> None:
    ids = [each["decision_id"] for each in lumyn("show", "--json").data["records"]]
    result = lumyn("backtest", candidate)
    assert 0 == result.code
    lines = result.out.splitlines()
    assert "3 decisions under lumyn-support 0.1.0, with the experience that each saw" == lines[0]
    assert "same               2" == lines[1]
    assert (
        "new TRUST          1  ESCALATE -> TRUST  -NO_MATCH_DEFAULT_ESCALATE +REFUND_SMALL_LOW_RISK".split()
        == " ".join(lines[2:-1]).split()
    )
    assert ids[1] == lines[-1].strip()


@pytest.mark.parametrize(
    ("limits", "code", "words"),
    [
        ([], 0, ""),
        (["--max-looser", "1"], 0, ""),
        (["--max-looser", "0"], 1, "1 decision would have come out looser, 0 allowed by --max-looser"),
        (["--max-changed", "0"], 1, "1 decision would have come out otherwise, 0 allowed by --max-changed"),
        (["--max-changed", "1"], 0, ""),
    ],
)
def test_limits_fail_the_command(lumyn: Lumyn, candidate: str, limits: list[str], code: int, words: str) -> None:
    result = lumyn("backtest", candidate, *limits)
    assert code == result.code
    assert words in " ".join(result.out.split())
    assert ("failed" in result.out) == bool(code)


def test_what_cannot_be_told_does_not_pass_a_limit(lumyn: Lumyn, candidate: str, workspace: Path) -> None:
    """Lines hold no experience: what saw some is not replayable under a policy that compares otherwise."""
    lumyn("label", "@last", "--failure")
    lumyn("decide", "r.json")
    lumyn("export", "--jsonl", "-o", "all.jsonl")
    line = ["backtest", candidate, "--records", "all.jsonl"]
    assert 0 == lumyn(*line).code
    refused = lumyn(*line, "--max-looser", "9")
    assert 1 == refused.code
    assert "1 decision could not be decided again, 0 allowed by --max-not-replayable" in " ".join(refused.out.split())
    assert 0 == lumyn(*line, "--max-looser", "9", "--max-not-replayable", "1").code
    assert 0 == lumyn(*line, "--max-looser", "9", "--memory", "none").code
    counts = lumyn("backtest", candidate, "--json").data["counts"]
    assert (1, 3, 0) == (counts["new_trust"], counts["same"], counts["not_replayable"])


@pytest.mark.parametrize(
    ("chosen", "decisions"),
    [
        (["-n", "2"], 2),
        (["--verdict", "TRUST"], 1),
        (["--action", "support.refund"], 3),
        (["--action", "support.issue_credit"], 0),
        (["--tenant", "nobody"], 0),
        (["--since", "1h"], 3),
        (["--since", "0s"], 0),
    ],
)
@pytest.mark.parametrize("lines", [False, True])
def test_decisions_are_chosen(
    lumyn: Lumyn, candidate: str, workspace: Path, chosen: list[str], decisions: int, lines: bool
) -> None:
    """From lines as from the store; none at all is exit 5."""
    if lines:
        if "-n" in chosen:
            return
        lumyn("export", "--jsonl", "-o", "all.jsonl")
        chosen = [*chosen, "--records", "all.jsonl"]
    result = lumyn("backtest", candidate, *chosen, "--json")
    assert (0 if decisions else 5, decisions) == (result.code, result.data["decisions"])


@pytest.mark.parametrize("member", ["tenant", "subject"])
def test_a_tenant_is_found_wherever_the_request_names_it(
    lumyn: Lumyn, candidate: str, workspace: Path, member: str
) -> None:
    """In lines as in the store, where both places mean the same."""
    request = refund()
    request[member] = {**request.get(member, {}), "tenant_id": "acme"}
    lumyn("decide", write(workspace / "r.json", request))
    lumyn("export", "--jsonl", "-o", "all.jsonl")
    for source in ([], ["--records", "all.jsonl"]):
        assert 1 == lumyn("backtest", candidate, "--tenant", "acme", *source, "--json").data["decisions"]


def test_an_advisory_policy_is_said_to_be_one(lumyn: Lumyn, candidate: str) -> None:
    path = Path(candidate)
    path.write_text(path.read_text(encoding="utf-8").replace("mode: enforce", "mode: advisory"), encoding="utf-8")
    assert "advisory: by itself it holds no action back" in lumyn("backtest", candidate).out
    assert "advisory" == lumyn("backtest", candidate, "--json").data["policy"]["mode"]


def test_a_policy_that_becomes_advisory_does_not_pass_a_limit(lumyn: Lumyn, workspace: Path, candidate: str) -> None:
    """It lets through what was held back, though no verdict is another one."""
    text = (workspace / "policies" / "support.yml").read_text(encoding="utf-8")
    path = str(workspace / "advisory.yml")
    Path(path).write_text(text.replace("mode: enforce", "mode: advisory"), encoding="utf-8")
    for limit in ("--max-looser", "--max-changed"):
        result = lumyn("backtest", path, limit, "1")
        assert 1 == result.code
        assert "2 decisions held an action back, and this policy is advisory" in " ".join(result.out.split())
        assert 0 == lumyn("backtest", path, limit, "2").code
    assert 0 == lumyn("backtest", path).code


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (["missing.yml"], 3, "missing.yml"),
        (["git:HEAD"], 3, "git:REV:PATH"),
        (["candidate.yml", "--records", "missing.jsonl"], 3, "missing.jsonl"),
        (["candidate.yml", "--records", "."], 3, "PATH_NOT_READABLE"),
        (["candidate.yml", "--records", "candidate.yml"], 3, "candidate.yml:1:1"),
        (["candidate.yml", "--records", "-", "--memory", "now"], 2, "hold no experience"),
        (["candidate.yml", "--records", "-", "-n", "1"], 2, "--limit"),
        (["candidate.yml", "--since", "yesterday"], 2, "--since"),
        (["candidate.yml", "--memory", "all"], 2, "as-of"),
    ],
)
def test_what_is_wrong_is_said(lumyn: Lumyn, candidate: str, line: list[str], code: int, words: str) -> None:
    result = lumyn("backtest", *line)
    assert code == result.code
    assert words in result.err


def test_nothing_is_written(lumyn: Lumyn, candidate: str, workspace: Path) -> None:
    before = lumyn("export", "--jsonl").out, lumyn("verify", "--json").data["rows"]
    lumyn("backtest", candidate, "--memory", "now")
    assert before == (lumyn("export", "--jsonl").out, lumyn("verify", "--json").data["rows"])
