"""`lumyn policy diff`: what is printed, what fails, and policies out of git."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cli.harness import Lumyn

from lumyn.analysis.witness import Case, evaluate
from lumyn.model import Evaluation
from lumyn.policy.spec import Policy

POLICY = "policies/support.yml"
VECTORS = "vectors/support.yml"


@pytest.fixture
def changed(workspace: Path) -> Path:
    """A workspace with a second policy beside the first, its refund limit raised."""
    text = (workspace / POLICY).read_text(encoding="utf-8")
    assert 1 == text.count("refund_trust_max_usd: 25")
    (workspace / "new.yml").write_text(text.replace("refund_trust_max_usd: 25", "refund_trust_max_usd: 40"))
    return workspace


def test_a_higher_limit_is_shown(lumyn: Lumyn, changed: Path) -> None:
    """The kind of change, the rule, a request and its verdicts; new paths to TRUST first."""
    result = lumyn("policy", "diff", POLICY, "new.yml")
    lines = result.out.splitlines()
    assert 0 == result.code
    assert "kinds of requests are decided differently, 7 actions compared" in lines[0]
    assert lines[1].startswith("new TRUST         R310  support.refund ")
    assert lines[1].endswith(": ESCALATE -> TRUST")


def test_the_same_policy_is_no_change(lumyn: Lumyn, workspace: Path) -> None:
    """And the answer says that this holds for every request."""
    result = lumyn("policy", "diff", POLICY, POLICY, "--fail-on", "any")
    assert (0, True) == (result.code, result.out.startswith("no change: every request is decided alike"))


@pytest.mark.parametrize("kind", ["new-trust", "looser", "any"])
def test_fail_on(lumyn: Lumyn, changed: Path, kind: str) -> None:
    """Each gate fails on what it names; nothing fails a policy that became stricter but `any` and `uncovered`."""
    assert 1 == lumyn("policy", "diff", POLICY, "new.yml", "--fail-on", kind).code
    stricter = lumyn("policy", "diff", "new.yml", POLICY, "--fail-on", kind)
    assert (1 if kind == "any" else 0) == stricter.code


def test_fail_on_what_no_vector_sees(lumyn: Lumyn, changed: Path) -> None:
    """Vectors that see every change satisfy the gate; without them it fails."""
    (changed / "all.yml").write_text(
        (changed / POLICY).read_text().replace("code: NO_MATCH_DEFAULT_ESCALATE", "code: x")
    )
    assert 1 == lumyn("policy", "diff", POLICY, "new.yml", "--fail-on", "uncovered").code
    seen = lumyn("policy", "diff", POLICY, "new.yml", "--json").data["changes"]
    assert {True, False} >= {bool(change["seen_by"]) for change in seen}


def git(folder: Path, *arguments: str) -> None:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *arguments], cwd=folder, env=env, check=True)


def commit(folder: Path) -> None:
    """Make the workspace a repository whose one commit holds the policy."""
    git(folder, "init", "-q")
    git(folder, "add", POLICY)
    git(folder, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "x")


def test_a_repository_of_another_user_is_told_how_to_be_read(
    lumyn: Lumyn, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that the revision could be missing: git does not look."""
    git(changed, "init", "-q")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    result = lumyn("policy", "diff", f"git:HEAD:{POLICY}", POLICY)
    assert (5, True) == (result.code, "safe.directory" in result.err)
    assert "fetched" not in result.err


def test_git(lumyn: Lumyn, changed: Path) -> None:
    """A revision is read without touching the working tree, also from a folder below."""
    commit(changed)
    assert lumyn("policy", "diff", f"git:HEAD:{POLICY}", POLICY).out.startswith("no change")
    assert 1 == lumyn("policy", "diff", f"git:HEAD:{POLICY}", "new.yml", "--fail-on", "new-trust").code
    missing = lumyn("policy", "diff", "git:HEAD:nope.yml", POLICY)
    assert (5, True) == (missing.code, "`git:HEAD:nope.yml` cannot be read" in missing.err)
    for odd in ("git:HEAD", "git::x", "git:--output=x:y", "git:"):
        assert 3 == lumyn("policy", "diff", odd, POLICY).code


def test_git_without_a_work_tree(lumyn: Lumyn, changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hooks of servers run: paths start from the root of the repository."""
    commit(changed)
    git(changed, "clone", "--quiet", "--bare", str(changed), str(changed / "bare.git"))
    monkeypatch.chdir(changed / "bare.git")
    result = lumyn("policy", "diff", f"git:HEAD:{POLICY}", "../new.yml", "--fail-on", "new-trust")
    assert (1, "R310") == (result.code, result.out.split("new TRUST")[1].split()[0])


def test_markdown(lumyn: Lumyn, changed: Path) -> None:
    """A table for a pull request; what no vector sees is marked."""
    lines = lumyn("policy", "diff", POLICY, "new.yml", "--markdown").out.splitlines()
    assert "### Policy: `policies/support.yml` to `new.yml`" == lines[0]
    assert any(line.startswith("| **new TRUST** | `R310` | `support.refund ") for line in lines)


def test_json(lumyn: Lumyn, changed: Path) -> None:
    """Each change carries a whole request that anybody can decide."""
    data = lumyn("policy", "diff", POLICY, "new.yml", "--json").data
    first = data["changes"][0]
    assert ("new_trust", "support.refund", "R310") == (first["kind"], first["action"], first["rule"])
    assert ("ESCALATE", "TRUST") == (first["before"]["verdict"], first["after"]["verdict"])
    assert "decision_request.v0" == first["request"]["schema_version"]
    assert (False, []) == (data["empty"], data["unknown"])


def edit(workspace: Path, name: str, *edits: tuple[str, str]) -> str:
    """Write an edited copy of the policy and return its name."""
    text = (workspace / POLICY).read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (workspace / name).write_text(text, encoding="utf-8")
    return name


def test_a_mode_that_permits_everything_is_new_trust(lumyn: Lumyn, workspace: Path) -> None:
    """No rule differs, and yet whatever was stopped proceeds."""
    advisory = edit(workspace, "new.yml", ("mode: enforce", "mode: advisory"))
    for kind in ("new-trust", "uncovered"):
        result = lumyn("policy", "diff", POLICY, advisory, "--fail-on", kind)
        assert 1 == result.code
        assert "new TRUST         mode  enforce -> advisory" in result.out
        assert "no change" not in result.out
    assert [1, 0] == [lumyn("policy", "diff", advisory, POLICY, "--fail-on", kind).code for kind in ("any", "looser")]
    data = lumyn("policy", "diff", POLICY, advisory, "--json").data
    expected = {"what": "mode", "before": "enforce", "after": "advisory", "kind": "new_trust"}
    assert (False, [expected]) == (data["empty"], data["beside"])


def test_other_memory_settings_are_unknown(lumyn: Lumyn, workspace: Path) -> None:
    """What resembles a failure changes, in ways that are not looked into: every gate fails."""
    memory = edit(workspace, "new.yml", ("rules:\n", "memory: { features: [currency] }\nrules:\n"))
    assert 1 == lumyn("policy", "diff", POLICY, memory, "--fail-on", "new-trust").code
    assert "unknown           memory" in lumyn("policy", "diff", POLICY, memory).out
    shown = edit(workspace, "shown.yml", ("rules:\n", "memory: { top_k: 3 }\nrules:\n"))
    assert lumyn("policy", "diff", POLICY, shown, "--fail-on", "any").out.startswith("no change")


def test_names_thresholds_and_promises_are_told_and_fail_nothing(lumyn: Lumyn, workspace: Path) -> None:
    """What changed in the text though every request is decided alike."""
    promise = (
        "invariants:\n  - { name: plans, never: { verdict: TRUST, when: { action_type: support.change_plan } } }\n"
    )
    new = edit(
        workspace,
        "new.yml",
        ('policy_version: "0.1.0"', 'policy_version: "0.2.0"'),
        ("thresholds:\n", "thresholds:\n  unread: 7\n"),
        ("rules:\n", f"{promise}rules:\n"),
    )
    result = lumyn("policy", "diff", POLICY, new, "--fail-on", "any")
    lines = [line.split(None, 1)[1] for line in result.out.splitlines()[1:]]
    assert (0, "no change") == (result.code, result.out[:9])
    assert ["policy_version  0.1.0 -> 0.2.0", "threshold unread  new  7"] == lines[:2]
    assert lines[2].startswith('invariant plans  new  {"name":"plans"')
    dropped = lumyn("policy", "diff", new, POLICY).out
    assert "invariant plans  dropped" in dropped
    assert "- also: `policy_version  0.1.0 -> 0.2.0`" in lumyn("policy", "diff", POLICY, new, "--markdown").out


def test_an_action_that_goes_is_told(lumyn: Lumyn, workspace: Path) -> None:
    """Its requests fall to the default, and those of a new name are decided for the first time."""
    new = edit(workspace, "new.yml", ("support.close_ticket", "support.shut_ticket"))
    out = lumyn("policy", "diff", POLICY, new).out
    assert "also              action support.close_ticket  dropped" in out
    assert "also              action support.shut_ticket  new" in out
    assert "tighter           R330  support.close_ticket, resolution A-1: TRUST -> ESCALATE" in out


def test_every_request_is_decided_by_a_gate_under_both(
    lumyn: Lumyn, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And if one comes out otherwise, the command fails loudly and prints nothing."""
    changes = lumyn("policy", "diff", POLICY, "new.yml", "--json").data["changes"]
    assert all(change["by_gate"] for change in changes)

    def otherwise(policy: Policy, case: Case) -> Evaluation:
        return replace(evaluate(policy, case), reason_codes=(policy.policy_hash[:12].upper(),))

    monkeypatch.setattr("lumyn.analysis.pairs.evaluate", otherwise)
    result = lumyn("policy", "diff", POLICY, "new.yml")
    assert (70, "") == (result.code, result.out)


def test_markdown_shows_data_as_text(lumyn: Lumyn, workspace: Path) -> None:
    """A pipe in a file's name or a constant ends no cell, and no table is there without rows."""
    enum = ("values: [low, medium, high]", 'values: [low, medium, high, "a|b"]')
    new = edit(
        workspace,
        "n|w`.yml",
        enum,
        ("payment_instrument_risk_in: [low, medium]", 'payment_instrument_risk_in: [low, medium, "a|b"]'),
    )
    lines = lumyn("policy", "diff", POLICY, new, "--markdown").out.splitlines()
    assert "### Policy: `policies/support.yml` to ``n|w`.yml``" == lines[0]
    rows = [line for line in lines if line.startswith("|")]
    assert any("a\\|b" in row for row in rows)
    assert {5} == {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    version = edit(workspace, "v.yml", ("mode: enforce", "mode: advisory"))
    assert not [line for line in lumyn("policy", "diff", POLICY, version, "--markdown").out.splitlines() if "|" in line]


def test_git_says_what_to_do(lumyn: Lumyn, changed: Path) -> None:
    """A file that was renamed since, a revision nobody fetched, a folder without git."""
    commit(changed)
    (changed / POLICY).rename(changed / "policies/shop.yml")
    git(changed, "add", "-A")
    renamed = lumyn("policy", "diff", "git:HEAD:policies/shop.yml", "policies/shop.yml")
    assert (5, True) == (renamed.code, f"it was renamed since: `git:HEAD:{POLICY}`" in renamed.err)
    unknown = lumyn("policy", "diff", f"git:v9:{POLICY}", "new.yml")
    assert (5, True) == (unknown.code, "is the revision fetched" in unknown.err)


def test_an_invalid_policy_is_no_diff(lumyn: Lumyn, workspace: Path) -> None:
    """Exit 3, and nothing on standard output that could be taken for an answer."""
    (workspace / "bad.yml").write_text("schema_version: policy.v0\n")
    result = lumyn("policy", "diff", POLICY, "bad.yml")
    assert (3, "") == (result.code, result.out)


MONEY = """\
schema_version: policy.v0
policy_id: money
policy_version: "1"
reason_codes: { AN_ODD_AMOUNT: An amount that only some rates make., SMALL: A small amount. }
fx_bounds: { EUR: [0.9, 1.3] }
rules:
  - id: odd
    stage: ESCALATIONS
    if: { amount_usd_gte: 12345.67, amount_usd_lte: 12345.67, evidence.fx_rate_to_usd_lt: 1.2999 }
    then: { verdict: ESCALATE, reason_codes: [AN_ODD_AMOUNT] }
  - id: small
    stage: TRUST_PATHS
    when: { action_type: pay.out }
    if: { amount_usd_lte: 25 }
    then: { verdict: TRUST, reason_codes: [SMALL] }
"""


def test_amounts_that_could_not_be_told_are_not_called_too_many_steps(lumyn: Lumyn, workspace: Path) -> None:
    """What is open is named, in both forms, and fails a gate."""
    between = "evidence.fx_rate_to_usd_gt: 1.1001, evidence.fx_rate_to_usd_lt: 1.1999"
    old = MONEY.replace("fx_bounds: { EUR: [0.9, 1.3] }\n", "").replace("evidence.fx_rate_to_usd_lt: 1.2999", between)
    (workspace / "old.yml").write_text(old, encoding="utf-8")
    (workspace / "new.yml").write_text(old.replace("12345.67, evidence", "12345.68, evidence"), encoding="utf-8")
    result = lumyn("policy", "diff", "old.yml", "new.yml", "--fail-on", "new-trust")
    assert 1 == result.code
    assert "unknown           pay.out: some amounts at some exchange rates" in result.out
    markdown = lumyn("policy", "diff", "old.yml", "new.yml", "--markdown").out
    assert "- **unknown**: `pay.out`: some amounts at some exchange rates" in markdown


def test_an_amount_in_another_currency_is_shown_with_its_rate(lumyn: Lumyn, workspace: Path) -> None:
    """Wider bounds are about nothing else; and what a question asks for is told beside it."""
    (workspace / "old.yml").write_text(MONEY, encoding="utf-8")
    (workspace / "new.yml").write_text(MONEY.replace("0.9, 1.3", "0.8, 1.6"), encoding="utf-8")
    out = lumyn("policy", "diff", "old.yml", "new.yml").out
    found = [line for line in out.splitlines() if line.startswith("new TRUST")]
    assert found
    assert [] == [line for line in found if not re.search(r" EUR at [0-9.]+: ABSTAIN -> TRUST", line)]


def test_a_change_to_a_question_says_what_is_asked_for(lumyn: Lumyn, workspace: Path) -> None:
    """Else it looks like the request of another line, with another outcome."""
    guarded = MONEY.replace("evidence.fx_rate_to_usd_lt: 1.2999", "evidence.risk_gt: 0.5")
    (workspace / "old.yml").write_text(guarded, encoding="utf-8")
    (workspace / "new.yml").write_text(guarded.replace("_lte: 25", "_lte: 20000"), encoding="utf-8")
    told = [line for line in lumyn("policy", "diff", "old.yml", "new.yml").out.splitlines() if "-> QUERY" in line]
    assert told
    assert [] == [line for line in told if not line.endswith("-> QUERY for risk")]


def test_markdown_of_a_great_change_fits_into_a_comment(lumyn: Lumyn, workspace: Path) -> None:
    """The gravest hundred, and how many of which kind are left out; the terminal and JSON hold all."""
    rule = (
        "  - {{ id: R{0}, stage: TRUST_PATHS, when: {{ action_type: act.n{0} }}, "
        "if: {{ amount_usd_lte: 25 }}, then: {{ verdict: TRUST, reason_codes: [SMALL] }} }}\n"
    )
    head = MONEY[: MONEY.index("  - id: odd")]
    text = head + "".join(rule.format(number) for number in range(130))
    (workspace / "old.yml").write_text(text, encoding="utf-8")
    (workspace / "new.yml").write_text(text.replace("_lte: 25", "_lte: 250"), encoding="utf-8")
    markdown = lumyn("policy", "diff", "old.yml", "new.yml", "--markdown").out
    assert 100 == markdown.count("| **new TRUST** |")
    assert "and 160 more (new TRUST 30, reason codes only 130); without `--markdown` all are printed" in markdown
    assert 260 == len(lumyn("policy", "diff", "old.yml", "new.yml", "--json").data["changes"])


def test_a_record_that_differs_beside_its_codes_says_where(lumyn: Lumyn, workspace: Path) -> None:
    """A rule renamed, the stage of another one, an obligation: what a reader of records would find."""
    renamed = lumyn("policy", "diff", POLICY, edit(workspace, "renamed.yml", ("id: R210", "id: LARGE"))).out
    assert ": ESCALATE, matched rules -R210 +LARGE" in renamed
    old, new = ("id: R210\n    stage: ESCALATIONS", "id: R210\n    stage: HARD_BLOCKS")
    moved = lumyn("policy", "diff", POLICY, edit(workspace, "moved.yml", (old, new))).out
    assert "ESCALATE, a matched rule of another stage, verdict or code" in moved or "in another order" in moved
    code = "reason_codes: [REFUND_OVER_ESCALATION_LIMIT]"
    more = edit(workspace, "more.yml", (code, f"{code}, obligations: [{{ type: review }}]"))
    assert ": ESCALATE, other obligations" in lumyn("policy", "diff", POLICY, more).out


def test_what_did_not_change_of_a_rule_is_told_beside_what_did(lumyn: Lumyn, workspace: Path) -> None:
    """A block that moved from one environment to another: where, and with which value of the other condition."""
    block = """  - id: FROZEN
    stage: HARD_BLOCKS
    if: { evidence.freeze_is: soft, tenant.environment_is: prod }
    then: { verdict: ABSTAIN, reason_codes: [CHARGEBACK_RISK_BLOCK] }

  - id: R210
"""
    edit(workspace, "old.yml", ("  - id: R210\n", block))
    edit(workspace, "new.yml", ("  - id: R210\n", block.replace("_is: prod", "_is: staging")))
    said = lumyn("policy", "diff", "old.yml", "new.yml")
    assert ", environment prod, freeze soft: ABSTAIN -> TRUST" in said.out, said.err
