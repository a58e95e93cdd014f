"""`lumyn policy`: every problem of a policy with its place, and a policy in words."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli.harness import Lumyn, refund, write

from lumyn.cli.exit_codes import ExitCode
from lumyn.store import open_store
from lumyn.store.base import StoredPolicy


def test_the_configured_policy_is_valid(lumyn: Lumyn, workspace: Path) -> None:
    result = lumyn("policy", "validate")
    assert (0, "") == (result.code, result.err)
    assert "lumyn-support 0.1.0" in result.out
    assert "sha256:" in result.out


def test_every_problem_is_listed_with_file_line_and_column(lumyn: Lumyn, workspace: Path) -> None:
    policy = workspace / "policies" / "support.yml"
    text = policy.read_text().replace("chargeback_risk_gte:", "chargeback_risk_gtee:")
    policy.write_text(text.replace("stage: TRUST_PATHS", "stage: TRUST_PATH"))
    result = lumyn("policy", "validate", "policies/support.yml")
    assert 3 == result.code
    problems = [line for line in result.out.splitlines() if ": error: " in line]
    assert 6 == len(problems)
    for line in problems:
        file, row, column, _ = line.split(":", 3)
        assert "policies/support.yml" == file
        named = text.splitlines()[int(row) - 1][int(column) - 1 :]
        assert named.startswith(("evidence.chargeback_risk_gtee", "TRUST_PATHS"))
    assert "hint: did you mean `gte`?" in result.out
    assert "6 problems" in result.out


def test_valid_and_invalid_policies_together_are_exit_3(lumyn: Lumyn, workspace: Path) -> None:
    (workspace / "bad.yml").write_text("schema_version: policy.v0\n")
    result = lumyn("policy", "validate", "policies/support.yml", "bad.yml", "missing.yml", "--json")
    assert 3 == result.code
    assert "lumyn.cli.policy_validate.v0" == result.data["schema"]
    assert [True, False, False] == [report["valid"] for report in result.data["policies"]]
    good, bad, missing = result.data["policies"]
    assert {"file", "valid", "problems", "policy_id", "policy_version", "policy_hash", "rules", "actions"} == set(good)
    assert {"code", "pointer", "message", "file", "line", "column"} <= set(bad["problems"][0])
    assert ["PATH_NOT_FOUND"] == [problem["code"] for problem in missing["problems"]]


def test_a_policy_from_standard_input(lumyn: Lumyn, workspace: Path) -> None:
    data = (workspace / "policies" / "support.yml").read_bytes()
    assert 0 == lumyn("policy", "validate", "-", stdin=data).code
    result = lumyn("policy", "validate", "-", stdin=data + b"x: 1\n")
    assert 3 == result.code
    assert "<stdin>:" in result.out


@pytest.mark.parametrize("command", ["validate", "show", "fmt"])
def test_standard_input_without_an_end_fills_no_memory(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    asked: list[int] = []

    class Endless:
        def read(self, size: int = -1) -> bytes:
            asked.append(size)
            return b"#" * max(0, size)

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=Endless()))
    result = lumyn("policy", command, "-")
    assert ExitCode.INVALID == result.code
    assert "TOO_LARGE" in result.out + result.err
    assert all(0 < size < 10_000_000 for size in asked)


def test_without_a_workspace_a_path_is_enough(lumyn: Lumyn, root: Path) -> None:
    assert 3 == lumyn("policy", "validate").code
    assert 0 == lumyn("policy", "validate", str(root / "policies" / "lumyn-support.v0.yml")).code


def test_show_reads_like_the_policy(lumyn: Lumyn, workspace: Path) -> None:
    """Stages in order, each rule as a sentence."""
    result = lumyn("policy", "show")
    assert 0 == result.code
    assert (
        "R120        ABSTAIN support.refund, when chargeback_risk is 0.7 or more (chargeback_risk_block)" in result.out
    )
    assert "R010        QUERY support.refund, when something required is missing" in result.out
    assert re.search(r"support.refund +ticket_id, order_id, customer_id", result.out)
    assert re.search(r"payment_instrument_risk +one of low, medium, high", result.out)
    assert re.search(r"manual_approval +boolean; false when missing", result.out)
    assert re.search(r"refund_trust_max_usd +25\n", result.out)
    assert "amount_currency is none of USD, AUD, CAD, CHF, EUR, GBP or JPY" in result.out
    titles = [line for line in result.out.splitlines() if re.match(r"\d\. ", line)]
    assert ["1. REQUIREMENTS", "2. HARD_BLOCKS", "3. ESCALATIONS", "4. TRUST_PATHS", "5. DEFAULT"] == [
        title.split(":")[0] for title in titles
    ]


def test_show_as_json(lumyn: Lumyn, workspace: Path) -> None:
    data = lumyn("policy", "show", "--json").data
    assert ("lumyn.cli.policy_show.v0", "lumyn-support") == (data["schema"], data["document"]["policy_id"])
    assert data["rules"] == sum(len(stage["rules"]) for stage in data["stages"])
    rule = data["stages"][1]["rules"][1]
    assert {
        "rule_id": "R120",
        "verdict": "ABSTAIN",
        "sentence": "support.refund, when chargeback_risk is 0.7 or more (chargeback_risk_block)",
        "reason_codes": ["CHARGEBACK_RISK_BLOCK"],
        "line": rule["line"],
    } == rule


def test_every_block_and_operator_in_words(lumyn: Lumyn, workspace: Path) -> None:
    """Brackets only where the sentence would be ambiguous without them."""
    policy = workspace / "words.yml"
    policy.write_text(WORDS)
    out = lumyn("policy", "show", str(policy)).out
    assert (
        "any action, when a is more than 1 and ((b is less than 2 and c is not x) or subject.roles contains boss)"
        in out
    )
    assert "any action, when d is given and action.tags contains p or q and a is 3 or less" in out


WORDS = """\
schema_version: policy.v0
policy_id: words
policy_version: "1"
rules:
  - id: A
    stage: ESCALATIONS
    if: { evidence.a_gt: 1 }
    if_any: [{ evidence.b_lt: 2, evidence.c_ne: x }, { subject.roles_contains: boss }]
    then: { verdict: ESCALATE, reason_codes: [MANUAL_APPROVAL_REQUESTED] }
  - id: B
    stage: ESCALATIONS
    if_all: [{ evidence.d_present: true }, { action.tags_contains_any: [p, q] }, { evidence.a_lte: 3 }]
    then: { verdict: ESCALATE, reason_codes: [MANUAL_APPROVAL_REQUESTED] }
"""


def test_show_of_a_policy_that_decided(lumyn: Lumyn, workspace: Path) -> None:
    """By its hash, from the store, whatever the file holds today; and its text, to the letter."""
    lumyn("decide", write(workspace / "r.json", refund()))
    policy = workspace / "policies" / "support.yml"
    text, digest = policy.read_text(), lumyn("policy", "show", "--json").data["policy_hash"]
    policy.write_text(text.replace("refund_trust_max_usd: 25", "refund_trust_max_usd: 26"))
    for name in (digest, digest.removeprefix("sha256:")):
        assert re.search(r"refund_trust_max_usd +25\n", lumyn("policy", "show", name).out)
    for name in (digest[:19], digest.removeprefix("sha256:")[:12]):
        assert text == lumyn("policy", "show", name, "--source").out
    assert text == lumyn("policy", "show", digest, "--source").out
    assert None is lumyn("policy", "show", digest, "--json").data["file"]
    unknown = lumyn("policy", "show", "sha256:" + "0" * 64)
    assert 5 == unknown.code
    assert "POLICY_NOT_FOUND" in unknown.err


def test_show_of_a_file_whose_name_is_like_a_hash(lumyn: Lumyn, workspace: Path) -> None:
    """Who has such a file means it; with `sha256:` in front the store is meant."""
    (workspace / "deadbeef").mkdir()
    assert 3 == lumyn("policy", "show", "deadbeef").code
    assert 5 == lumyn("policy", "show", "sha256:deadbeef").code


def test_show_of_the_beginning_of_several_hashes(lumyn: Lumyn, workspace: Path) -> None:
    """Nothing is guessed: both are named."""
    same = [f"sha256:{'a' * 8}{digit * 56}" for digit in "01"]
    with closing(open_store(str(workspace / ".lumyn" / "lumyn.db"))) as store, store.write() as transaction:
        for policy_hash in same:
            transaction.append_policy(
                StoredPolicy(
                    policy_hash=policy_hash,
                    policy_id="p",
                    policy_version="1",
                    source="",
                    saved_at="2026-01-15T00:00:00Z",
                )
            )
    several = lumyn("policy", "show", "a" * 8)
    assert 5 == several.code
    assert all(each in several.err for each in same)


@pytest.mark.parametrize("name", ["missing.yml", "policies", "lumyn.toml"])
def test_show_of_what_is_no_policy_is_exit_3(lumyn: Lumyn, workspace: Path, name: str) -> None:
    assert 3 == lumyn("policy", "show", name).code


@pytest.mark.parametrize("columns", ["60", "80"])
def test_no_line_is_wider_than_the_terminal(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for command in ("show", "validate"):
        out = lumyn("policy", command).out
        # A hash is one word that nobody wants folded into two.
        assert max(len(line) for line in out.splitlines() if "sha256:" not in line) <= int(columns)


def test_what_a_policy_says_never_reaches_the_terminal_raw(lumyn: Lumyn, workspace: Path) -> None:
    result = lumyn("policy", "validate", "-", stdin=b'schema_version: policy.v0\n"a\\u001b[2J": 1\n')
    assert 3 == result.code
    assert "\x1b" not in result.out
