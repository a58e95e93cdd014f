"""`lumyn vectors add`: an incident becomes a vector that says what happened, or what should have."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write

FOLDER = Path("vectors", "incidents")


@pytest.fixture
def decision(lumyn: Lumyn, workspace: Path) -> str:
    """A refund that was trusted."""
    return str(lumyn("decide", write(workspace / "r.json", refund()), "--json").data["record"]["decision_id"])


def written(workspace: Path) -> Path:
    """Return the one incident there is."""
    (path,) = (workspace / FOLDER).iterdir()
    return path


def test_an_incident_passes_as_it_was(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    result = lumyn("vectors", "add", "@last")
    path = written(workspace)
    assert (0, "") == (result.code, result.err)
    assert f"support_refund_{decision[-10:].lower()}.yml" == path.name
    assert f"wrote vectors/incidents/{path.name}\n" in result.out
    assert "passes      TRUST (REFUND_SMALL_LOW_RISK) comes out, as it expects" in result.out
    assert "1 vector: 1 passed\n" == lumyn("vectors", "run", str(path)).out


def test_it_reads_as_if_a_person_had_written_it(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    lumyn("vectors", "add", decision)
    text = written(workspace).read_text(encoding="utf-8")
    at = text.split('clock: "', 1)[1][:24]
    head, body = text.split("schema_version", 1)
    assert head.startswith("# yaml-language-server: $schema=../../.lumyn-schemas/vector.v0.schema.json\n# Decision ")
    assert (
        f"""schema_version: vector.v0
name: support_refund_{decision[-10:].lower()}
why: "decided TRUST on {at[:10]}: decision {decision}"
policy: policies/support.yml
clock: "{at}"
request:
  subject: {{ type: agent, id: support-agent }}
  action:
    type: support.refund
    intent: Refund
    amount: {{ value: "12.00", currency: USD }}
  evidence:
    chargeback_risk: 0.05
    customer_age_days: 400
    customer_id: C-1
    order_id: O-1
    payment_instrument_risk: low
    previous_refund_count_90d: 0
    ticket_id: T-1
expect: {{ verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK] }}
"""
        == f"schema_version{body}"
    )


def test_the_formatter_has_nothing_to_say(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    lumyn("label", decision, "--failure", "--note", "duplicate charge: see `#1`")
    lumyn("decide", write(workspace / "r.json", refund(ticket_id="T-2")))
    lumyn("vectors", "add", "@last")
    assert 0 == lumyn("vectors", "fmt", "--check", str(written(workspace))).code


def test_expecting_another_verdict_is_red_until_the_policy_is_fixed(
    lumyn: Lumyn, workspace: Path, decision: str
) -> None:
    result = lumyn("vectors", "add", decision, "--expect", "ESCALATE", "--reason", "REFUND_OVER_ESCALATION_LIMIT")
    assert 0 == result.code
    assert "fails       TRUST (REFUND_SMALL_LOW_RISK) comes out: it fails until policies/support.yml is changed" in (
        result.out
    )
    path = str(written(workspace))
    assert 1 == lumyn("vectors", "run", path).code
    policy = workspace / "policies" / "support.yml"
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace("refund_escalate_over_usd: 200", "refund_escalate_over_usd: 10"), encoding="utf-8")
    assert 0 == lumyn("vectors", "run", path).code


@pytest.mark.parametrize("verdict", ["ESCALATE", "QUERY", "ABSTAIN"])
def test_without_a_reason_the_nearest_rule_gives_it_and_the_file_says_so(
    lumyn: Lumyn, workspace: Path, decision: str, verdict: str
) -> None:
    result = lumyn("vectors", "add", decision, "--expect", verdict)
    assert 0 == result.code
    assert "note        the reason code is that of R" in result.out
    path = written(workspace)
    assert "# The reason code is that of R" in path.read_text(encoding="utf-8")
    run = lumyn("vectors", "run", str(path), "--json")
    assert (1, {"failed": 1}) == (run.code, {key: n for key, n in run.data["counts"].items() if n})


def test_the_memory_it_saw_is_in_it(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    """Later labels are not, nor is what had no part in the decision."""
    lumyn("label", decision, "--failure", "--note", "duplicate charge")
    similar = lumyn("decide", write(workspace / "r.json", refund(ticket_id="T-2")), "--json").data["record"]
    lumyn("label", decision, "--success", "--note", "later")
    data = lumyn("vectors", "add", similar["decision_id"], "--json").data
    assert ("lumyn.cli.vectors_add.v0", "passed", "ESCALATE") == (data["schema"], data["outcome"], data["verdict"])
    assert similar["reason_codes"] == data["reason_codes"] == data["expected"]["reason_codes"]
    assert "summary: duplicate charge" in data["text"]
    assert "later" not in data["text"]
    without = data["text"][: data["text"].index("memory:")] + data["text"][data["text"].index("expect:") :]
    (workspace / "without.yml").write_text(without, encoding="utf-8")
    assert 1 == lumyn("vectors", "run", "without.yml").code


def test_nothing_is_ever_written_over(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    lumyn("vectors", "add", decision)
    before = written(workspace).read_bytes()
    result = lumyn("vectors", "add", decision, "--expect", "ESCALATE")
    assert (3, "") == (result.code, result.out)
    assert "never written over" in result.err
    assert before == written(workspace).read_bytes()
    assert 3 == lumyn("vectors", "add", decision, "-o", "vectors/support.yml").code


def test_another_file_or_standard_output(
    lumyn: Lumyn, workspace: Path, decision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # a vector file that is folded is none
    assert 0 == lumyn("vectors", "add", decision, "-o", "vectors/mine.yaml").code
    assert "1 vector: 1 passed\n" == lumyn("vectors", "run", "vectors/mine.yaml").out
    printed = lumyn("vectors", "add", decision, "-o", "-")
    (workspace / "vectors" / "piped.yml").write_text(printed.out, encoding="utf-8")
    assert "1 vector: 1 passed\n" == lumyn("vectors", "run", "vectors/piped.yml").out
    assert not (workspace / FOLDER).exists()
    assert 2 == lumyn("vectors", "add", decision, "-o", "vectors/mine.txt").code


def test_a_file_that_leads_out_of_the_workspace_is_refused(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    result = lumyn("vectors", "add", decision, "-o", "../outside.yml")
    assert 3 == result.code
    assert "PATH_OUTSIDE_ROOT" in result.err
    assert not (workspace.parent / "outside.yml").exists()


def test_defaults_of_the_folder_change_nothing(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    """What they would merge into it is taken out again, or the vector would not be the incident."""
    (workspace / FOLDER).mkdir()
    (workspace / FOLDER / "_defaults.yaml").write_text(
        """schema_version: vector.v0
skip: not today
tags: [x]
request:
  tenant: { tenant_id: acme }
  evidence: { chargeback_risk: 0.9, manual_approval: true }
expect: { queries: [ticket_id] }
""",
        encoding="utf-8",
    )
    assert 0 == lumyn("vectors", "add", decision, "-o", "vectors/incidents/one.yml").code
    assert "1 vector: 1 passed\n" == lumyn("vectors", "run", "vectors/incidents/one.yml").out
    shown = lumyn("vectors", "show", "vectors/incidents/one.yml", "--json").data["vectors"][0]["vector"]
    assert "tenant" not in shown["request"]
    assert "manual_approval" not in shown["request"]["evidence"]


def test_what_redaction_took_is_said_not_invented(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMYN_REDACTION_PROFILE", "strict")
    assert 0 == lumyn("decide", write(workspace / "r.json", refund(note="secret"))).code
    result = lumyn("vectors", "add", "@last")
    assert "redacted before it was stored, so not in here: /evidence/note" in " ".join(result.out.split())
    text = written(workspace).read_text(encoding="utf-8")
    assert "/evidence/note" in text
    assert "secret" not in text
    assert 0 == lumyn("vectors", "run", str(written(workspace))).code


def test_a_decision_that_does_not_come_out_is_refused(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    """A vector would not show what happened, so none is written."""
    from tampering import tamper

    from lumyn.store.base import leaf_hash

    body = lumyn("export", decision).out.strip().replace('"verdict":"TRUST"', '"verdict":"QUERY"')
    leaf = leaf_hash("decision", body.encode())
    change = "UPDATE decisions SET record = ?, leaf = ?, verdict = 'QUERY'"
    tamper(workspace / ".lumyn" / "lumyn.db", change, body, leaf)
    result = lumyn("vectors", "add", decision)
    assert 3 == result.code
    assert "[VECTOR_NOT_REPRODUCED]" in result.err
    assert not (workspace / FOLDER).exists()


def test_a_policy_that_changed_since_is_told(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    """The vector says what was decided then; that it fails now is said, and not hidden."""
    policy = workspace / "policies" / "support.yml"
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace("refund_trust_max_usd: 25", "refund_trust_max_usd: 5"), encoding="utf-8")
    result = lumyn("vectors", "add", decision)
    assert 0 == result.code
    assert "fails       ESCALATE (NO_MATCH_DEFAULT_ESCALATE) comes out" in result.out


def test_unknown_codes_verdicts_and_ids(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    assert 2 == lumyn("vectors", "add", decision, "--expect", "MAYBE").code
    assert 2 == lumyn("vectors", "add").code
    assert 5 == lumyn("vectors", "add", "01ARZ3NDEKTSV4RRFFQ69G5FAV").code
    result = lumyn("vectors", "add", decision, "--expect", "ESCALATE", "--reason", "NOT_A_CODE")
    assert 3 == result.code
    assert "[REASON_CODE_UNKNOWN]" in result.err
    assert not (workspace / FOLDER).exists()


def test_no_workspace(lumyn: Lumyn) -> None:
    assert 3 == lumyn("vectors", "add", "@last").code
