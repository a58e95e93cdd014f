"""Bad policy files: none is ever decided by, and what is wrong is said with its place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_inputs.catalogue import case
from bad_inputs.requests import POLICY_FILE, REFUND

from lumyn import Gate, InvalidPolicyError, Policy, Verdict, load_policy
from lumyn.cli.exit_codes import ExitCode
from lumyn.policy.loader import parse_policy

TEXT = POLICY_FILE.read_text(encoding="utf-8")
HEAD = 'schema_version: policy.v0\npolicy_id: p\npolicy_version: "1"\nrules:\n'
BLOCK = "{ verdict: ABSTAIN, reason_codes: [CHARGEBACK_RISK_BLOCK] }"
TRUST = "{ verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK] }"


def block(condition: str) -> str:
    """Return a policy whose one hard block has this condition."""
    return f"{HEAD}  - id: R1\n    stage: HARD_BLOCKS\n    if: {{ {condition} }}\n    then: {BLOCK}\n"


def trust(blocks: str) -> str:
    """Return a policy whose one trust path has these lines."""
    return f"{HEAD}  - id: R1\n    stage: TRUST_PATHS\n    {blocks}\n    then: {TRUST}\n"


def bomb(levels: int) -> str:
    """Return a policy with aliases that multiply ninefold at each level."""
    lines = ["x0: &x0 lol"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, levels + 1)]
    return HEAD + "  []\n" + "\n".join(lines)


GOOD = block("evidence.chargeback_risk_gte: 0.7")
RULE = GOOD.removeprefix(HEAD)

REFUSED: dict[str, tuple[str | bytes | list[str], str]] = {
    "pol-002": (block("evidence.flag_is: on"), "YAML_AMBIGUOUS_SCALAR"),
    "pol-003": (block("evidence.chargeback_risk_is: 012"), "YAML_AMBIGUOUS_SCALAR"),
    "pol-004": (block("evidence.chargeback_risk_gte: 1_000"), "YAML_AMBIGUOUS_SCALAR"),
    "pol-013": (block('evidence.chargeback_risk_gte: "0.01"'), "TYPE_INVALID"),
    "pol-015": (block("evidence.payment_instrument_risk_in: low"), "TYPE_INVALID"),
    "pol-017": (block("evidence.chargeback_risk_gtee: 0.7"), "OPERATOR_UNKNOWN"),
    "pol-018": ([block("amount_usd: 12"), block("amount_currency: USD")], "OPERATOR_UNKNOWN"),
    "pol-020": (trust("when: { action_type: }\n    if: { amount_usd_lte: 25 }"), "TYPE_INVALID"),
    "pol-021": (trust("if_any: []"), "CONDITION_EMPTY"),
    "pol-022": (trust("if_all: []"), "CONDITION_EMPTY"),
    "pol-023": (trust("if: {}"), "CONDITION_EMPTY"),
    "pol-024": (GOOD.replace(BLOCK, TRUST), "STAGE_VERDICT_FORBIDDEN"),
    "pol-027": (GOOD + RULE, "RULE_ID_DUPLICATE"),
    "pol-028": (GOOD.replace("    then", "    if: { amount_usd_gt: 1 }\n    then"), "YAML_DUPLICATE_KEY"),
    "pol-029": (GOOD + "rules:\n" + trust("if: { amount_usd_lte: 25 }").removeprefix(HEAD), "YAML_DUPLICATE_KEY"),
    "pol-030": (GOOD.replace("HARD_BLOCKS", "HARD_BLOCK"), "STAGE_UNKNOWN"),
    "pol-031": (GOOD.replace("verdict: ABSTAIN", "verdict: ALLOW"), "VERDICT_UNKNOWN"),
    "pol-032": (GOOD.replace("CHARGEBACK_RISK_BLOCK", "MADE_UP"), "REASON_CODE_UNKNOWN"),
    "pol-034": (["", "---\n", "null", "[]", "# nothing\n", '"policy.v0"'], "POLICY_NOT_OBJECT"),
    "pol-035": (GOOD + "---\n" + GOOD, "YAML_MULTI_DOCUMENT"),
    "pol-038": (
        [GOOD.encode("utf-16"), GOOD.encode("utf-16-le"), GOOD.replace("p\n", "é\n").encode("latin-1")],
        "YAML_ENCODING",
    ),
    "pol-040": (GOOD.replace("  - id", "  - <<: { stage: TRUST_PATHS }\n    id"), "YAML_MERGE_KEY"),
    "pol-041": (GOOD + "x-a: &x 1\nx-b: *x\n", "YAML_ALIAS"),
    "pol-042": ([bomb(7), bomb(9)], "YAML_ALIAS"),
    "pol-043": (GOOD + "x-a: &a [*a]\n", "YAML_ALIAS"),
    "pol-045": ([GOOD + f"x-a: {tagged}\n" for tagged in ("!!set { a }", "!!binary aGk=", "!foo 1")], "YAML_TAG"),
    "pol-047": (["[" * 2_000, GOOD + "x-a: " + "[" * 2_000], "YAML_TOO_DEEP"),
    "pol-048": (HEAD + "\t- id: R1\n", "YAML_SYNTAX"),
    "pol-050": (
        [GOOD.replace("policy_id: p", 'policy_id: "\\u202Epwn"'), GOOD.replace("policy_id: p", "policy_id: \u202epwn")],
        "CONTROL_CHARACTER",
    ),
    "pol-051": (
        [
            GOOD.replace("schema_version: policy.v0\n", version)
            for version in ("", "schema_version: 1\n", "schema_version: policy.v9\n")
        ],
        "SCHEMA_VERSION_UNSUPPORTED",
    ),
}
ROWS = [pytest.param(case, files, code, id=case) for case, (files, code) in REFUSED.items()]
HINTS = {"pol-017": "did you mean `gte`?", "pol-030": "did you mean `HARD_BLOCKS`?"}


def test_the_policy_that_is_spoilt_is_good() -> None:
    assert 1 == len(parse_policy(GOOD).rules)


@pytest.mark.parametrize(("case", "files", "code"), ROWS)
def test_policy_is_refused(case: str, files: Any, code: str) -> None:
    """At once, with its code, a line and a column, and no more of the file than the word in question."""
    for content in files if isinstance(files, list) else [files]:
        start = time.process_time()
        with pytest.raises(InvalidPolicyError) as caught:
            parse_policy(content, file="p.yml")
        assert time.process_time() - start < 2
        assert "INVALID_POLICY" == caught.value.reason_code
        (problem, *_) = [each for each in caught.value.problems if each.code == code]
        assert problem.span is not None
        assert ("p.yml", True, True) == (problem.span.file, problem.span.line >= 1, problem.span.column >= 1)
        assert problem.hint == HINTS[case] if case in HINTS else True
        assert len(str(problem)) < 300


@pytest.mark.parametrize(("case", "files", "code"), ROWS)
def test_policy_is_refused_on_the_command_line(
    lumyn: Callable[..., tuple[int, str]], tmp_path: Path, case: str, files: Any, code: str
) -> None:
    """`lumyn policy validate` exits 3 and says the same."""
    content = files[-1] if isinstance(files, list) else files
    (tmp_path / "p.yml").write_bytes(content if isinstance(content, bytes) else content.encode())
    exit_code, output = lumyn("policy", "validate", "p.yml")
    assert ExitCode.INVALID == exit_code
    assert code in output


@case("pol-019")
def test_scope_is_never_widened(case: str) -> None:
    """A trust path for another action does not trust this one."""
    content = trust("when: { action_type_in: [other.thing] }\n    if: { amount_usd_lte: 25 }")
    with Gate.open(policy=parse_policy(content), store="sqlite:///:memory:", create=True) as gate:
        assert Verdict.ESCALATE is gate.decide(REFUND).verdict
        other = {**REFUND, "request_id": "r-2", "action": {**REFUND["action"], "type": "other.thing"}}
        assert Verdict.TRUST is gate.decide(other).verdict


@case("pol-036", "pol-037", "pol-061")
def test_layout_does_not_change_the_hash(policy: Policy, case: str) -> None:
    """A byte order mark, other line ends, comments, white space, quotes and order of keys mean nothing."""
    same: dict[str, list[bytes]] = {
        "pol-036": [b"\xef\xbb\xbf" + TEXT.encode()],
        "pol-037": [TEXT.replace("\n", "\r\n").encode()],
        "pol-061": [
            ("# a comment\n\n" + TEXT.replace("policy_id: bad-inputs\n", "")).encode()
            + b"\npolicy_id:   'bad-inputs' # so\n",
            TEXT.replace(
                "{ verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK] }",
                "\n      reason_codes:\n        - REFUND_SMALL_LOW_RISK\n      verdict: TRUST",
            ).encode(),
        ],
    }
    for content in same[case]:
        assert content != TEXT.encode()
        assert policy.policy_hash == parse_policy(content).policy_hash
    assert policy.policy_hash != parse_policy(TEXT.replace("amount_usd_gt: 200", "amount_usd_gt: 201")).policy_hash


@case("pol-053")
def test_many_rules_are_decided_fast_or_refused(case: str) -> None:
    """2,000 rules load and decide in bounded time; beyond that the file is refused."""

    def rules(count: int) -> str:
        return HEAD + "".join(
            f"  - {{ id: R{n}, stage: ESCALATIONS, if: {{ amount_usd_gt: {n} }},"
            " then: { verdict: ESCALATE, reason_codes: [REFUND_OVER_ESCALATION_LIMIT] } }\n"
            for n in range(count)
        )

    with pytest.raises(InvalidPolicyError) as caught:
        parse_policy(rules(5_000))
    assert {"POLICY_TOO_LARGE"} == {problem.code for problem in caught.value.problems}
    largest = parse_policy(rules(2_000))
    start = time.process_time()
    with Gate.open(policy=largest, store="sqlite:///:memory:", create=True) as gate:
        assert 12 == len(gate.decide(REFUND).matched_rules)
        first = time.process_time() - start
        for number in range(20):
            gate.decide({**REFUND, "request_id": f"r-{number}"})
    assert first < 5
    assert time.process_time() - start - first < 1


@case("pol-056")
def test_path_that_is_no_file_is_refused_at_once(tmp_path: Path, case: str) -> None:
    """A pipe would hang the gate, a device would never end."""
    os.mkfifo(tmp_path / "policy.yml")
    (tmp_path / "folder.yml").mkdir()
    (tmp_path / "link.yml").symlink_to(tmp_path / "policy.yml")
    for path in (tmp_path / "policy.yml", tmp_path / "folder.yml", tmp_path / "link.yml", Path("/dev/zero")):
        start = time.monotonic()
        with pytest.raises(InvalidPolicyError) as caught:
            load_policy(path)
        assert ["PATH_NOT_FILE"] == [problem.code for problem in caught.value.problems]
        assert time.monotonic() - start < 1


@case("pol-057")
def test_without_its_policy_nothing_starts(lumyn: Callable[..., tuple[int, str]], workspace: Path, case: str) -> None:
    """There is no policy to fall back to: not for a gate, not for the command line."""
    with pytest.raises(InvalidPolicyError) as caught:
        Gate.open(policy=workspace / "gone.yml", store=workspace / ".lumyn" / "lumyn.db")
    assert ["PATH_NOT_FOUND"] == [problem.code for problem in caught.value.problems]
    (workspace / "lumyn.toml").write_text('[policy]\npath = "gone.yml"\n', encoding="utf-8")
    code, output = lumyn("decide", "-", stdin=b"{}")
    assert ExitCode.INVALID == code
    assert "PATH_NOT_FOUND" in output


@case("pol-059", "pol-060")
def test_policy_in_force_outlives_its_file(tmp_path: Path, case: str) -> None:
    """What became of the file is the next load's concern; a gate that is open decides as before."""
    path = tmp_path / "policy.yml"
    path.write_text(TEXT, encoding="utf-8")
    with Gate.open(policy=path, store=tmp_path / "lumyn.db", create=True) as gate:
        hash_before = gate.decide(REFUND).policy_hash
        if case == "pol-059":
            path.unlink()
        else:
            path.write_text(TEXT.replace("HARD_BLOCKS", "HARD_BLOCK"), encoding="utf-8")
        record = gate.decide({**REFUND, "request_id": "case-2"})
        assert (Verdict.TRUST, True, hash_before) == (record.verdict, record.persisted, record.policy_hash)
        assert gate.replay(record.decision_id).identical
        with pytest.raises(InvalidPolicyError):
            gate.with_policy(load_policy(path))
        assert gate.policy.policy_hash == hash_before
