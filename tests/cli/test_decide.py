"""`lumyn decide`: exit 0 only when the action may proceed, whatever else happens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cli.harness import Lumyn, refund, write

from lumyn.core.records import DecisionRecord, record_from_json


def amount(value: object) -> dict[str, Any]:
    """Return a refund request over that amount."""
    request = refund()
    request["action"]["amount"]["value"] = value
    return request


@pytest.mark.parametrize(
    ("request_", "code", "verdict"),
    [
        (refund(), 0, "TRUST"),
        (amount("240.00"), 10, "ESCALATE"),
        (refund(order_id=None), 11, "QUERY"),
        (refund(payment_instrument_risk="high"), 12, "ABSTAIN"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_the_exit_code_is_the_verdict(
    lumyn: Lumyn, workspace: Path, request_: dict[str, Any], code: int, verdict: str, as_json: bool
) -> None:
    path = write(workspace / "r.json", request_)
    result = lumyn("decide", path, *(["--json"] if as_json else []))
    assert (code, "") == (result.code, result.err)
    if as_json:
        assert ["schema", "permits", "persisted", "record"] == list(result.data)
        assert ("lumyn.cli.decide.v0", code == 0, True) == (
            result.data["schema"],
            result.data["permits"],
            result.data["persisted"],
        )
        assert verdict == result.data["record"]["verdict"]
        assert isinstance(record_from_json(json.dumps(result.data["record"])), DecisionRecord)
    else:
        assert result.out.startswith(verdict)


def test_text_says_why_what_is_missing_and_how_to_refer_to_it(lumyn: Lumyn, workspace: Path) -> None:
    result = lumyn("decide", write(workspace / "r.json", refund(order_id=None)))
    assert "QUERY  support.refund 12.00 USD" == result.out.splitlines()[0]
    for piece in ("EVIDENCE_MISSING", "R010 (REQUIREMENTS: QUERY)", "order_id: Which order", "lumyn-support 0.1.0"):
        assert piece in result.out
    assert result.out.splitlines()[-1].split()[-1] in lumyn("show").out


def test_a_default_verdict_says_that_no_rule_fired(lumyn: Lumyn, workspace: Path) -> None:
    assert "none fired" in lumyn("decide", write(workspace / "r.json", amount("30"))).out


def test_a_request_from_standard_input(lumyn: Lumyn, workspace: Path) -> None:
    assert 0 == lumyn("decide", "-", stdin=json.dumps(refund()).encode()).code
    assert 12 == lumyn("decide", "-", stdin=json.dumps(refund(chargeback_risk="0.9")).encode()).code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "JSON_INVALID"),
        (b"{", "JSON_INVALID"),
        (b"\xff", "JSON_INVALID"),
        (b'{"a": 1, "a": 2}', "JSON_DUPLICATE_KEY"),
        (b"[" * 100_000, "JSON_TOO_DEEP"),
        (b'{"a": NaN}', "JSON_INVALID"),
        (b"{}", "FIELD_MISSING"),
        (b'{"schema_version": "decision_request.v0", "\\u001b[2J": 1}', "FIELD_UNKNOWN"),
        (b" " * 1_048_577, "REQUEST_TOO_LARGE"),
    ],
)
@pytest.mark.parametrize("by", ["file", "stdin"])
def test_a_malformed_request_is_exit_3_with_its_code(
    lumyn: Lumyn, workspace: Path, text: bytes, code: str, by: str
) -> None:
    (workspace / "r.json").write_bytes(text)
    result = lumyn("decide", "r.json") if by == "file" else lumyn("decide", "-", stdin=text)
    assert (3, "") == (result.code, result.out)
    assert code in result.err or (code == "REQUEST_TOO_LARGE" and "TOO_LARGE" in result.err)
    assert "\x1b" not in result.err
    assert "no decisions" in lumyn("show").out


def test_no_value_of_a_request_is_echoed(lumyn: Lumyn, workspace: Path) -> None:
    request = refund(ticket_id={"nested": "secret-4711"})
    result = lumyn("decide", write(workspace / "r.json", request))
    assert 3 == result.code
    assert "secret-4711" not in result.err
    assert "ticket_id" in result.err


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="needs /dev/fd")
def test_process_substitution_is_told_where_pipes_go(lumyn: Lumyn, workspace: Path) -> None:
    """`lumyn decide <(make-request)`: bash passes the name of a pipe."""
    ends = os.pipe()
    try:
        result = lumyn("decide", f"/dev/fd/{ends[0]}")
    finally:
        for end in ends:
            os.close(end)
    assert (3, True) == (result.code, "`COMMAND | lumyn decide -`" in result.err)


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_a_file_that_is_none_is_exit_3_and_never_waits(lumyn: Lumyn, workspace: Path, kind: str) -> None:
    path = workspace / "r.json"
    if kind == "folder":
        path.mkdir()
    if kind == "fifo":
        os.mkfifo(path)
    result = lumyn("decide", "r.json")
    assert 3 == result.code
    assert "PATH_NOT_" in result.err
    assert (kind == "fifo") == ("`COMMAND | lumyn decide -`" in result.err)


def test_the_size_limit_is_the_configured_one(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(workspace / "r.json", refund())
    monkeypatch.setenv("LUMYN_LIMITS_REQUEST_BYTES", "100")
    assert 3 == lumyn("decide", path).code


def test_without_a_workspace_it_says_how_to_make_one(lumyn: Lumyn, tmp_path: Path) -> None:
    result = lumyn("decide", write(tmp_path / "r.json", refund()))
    assert 3 == result.code
    assert "CONFIG_NOT_FOUND" in result.err
    assert "`lumyn init`" in result.err


def test_the_demo_workspace_never_decides(lumyn: Lumyn, tmp_path: Path) -> None:
    """An application whose configuration is missing must not be judged by the demo's policy."""
    assert 0 == lumyn("demo").code
    assert 3 == lumyn("decide", write(tmp_path / "r.json", refund())).code


@pytest.mark.parametrize("what", ["missing", "empty", "garbage", "folder"])
def test_without_its_store_it_abstains_and_shows_the_record(lumyn: Lumyn, workspace: Path, what: str) -> None:
    store = workspace / ".lumyn" / "lumyn.db"
    for path in store.parent.glob("lumyn.db*"):
        path.unlink()
    if what == "empty":
        store.touch()
    if what == "garbage":
        store.write_bytes(b"not a database, " * 1_000)
    if what == "folder":
        store.mkdir()
    path = write(workspace / "r.json", refund())
    result = lumyn("decide", path)
    assert 12 == result.code
    assert "ABSTAIN" in result.out
    assert "STORAGE_UNAVAILABLE" in result.out
    assert "not stored: STORE_" in result.out
    assert "`lumyn doctor` says what to do" in result.out
    result = lumyn("decide", path, "--json")
    assert (12, False, False) == (result.code, result.data["permits"], result.data["persisted"])


def test_another_store_than_the_pinned_one_is_not_used(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMYN_STORE_ID", "0" * 32)
    assert 12 == lumyn("decide", write(workspace / "r.json", refund())).code


def test_an_invalid_policy_is_exit_3_and_nothing_is_decided(lumyn: Lumyn, workspace: Path) -> None:
    policy = workspace / "policies" / "support.yml"
    policy.write_text(policy.read_text().replace("chargeback_risk_gte", "chargeback_risk_gtee", 1))
    result = lumyn("decide", write(workspace / "r.json", refund()))
    assert (3, "") == (result.code, result.out)
    assert "OPERATOR_UNKNOWN" in result.err
    assert "support.yml:" in result.err


def test_the_same_request_id_gives_the_same_record_and_another_request_conflicts(lumyn: Lumyn, workspace: Path) -> None:
    first = write(workspace / "a.json", refund() | {"request_id": "r-1"})
    other = write(workspace / "b.json", refund(ticket_id="T-2") | {"request_id": "r-1"})
    assert lumyn("decide", first, "--json").data == lumyn("decide", first, "--json").data
    result = lumyn("decide", other)
    assert 3 == result.code
    assert "IDEMPOTENCY_CONFLICT" in result.err


def test_a_dry_run_never_permits(lumyn: Lumyn, workspace: Path) -> None:
    result = lumyn("decide", write(workspace / "r.json", refund() | {"hints": {"dry_run": True}}))
    assert 5 == result.code
    assert "permits nothing" in result.out
    assert "no decisions" in lumyn("show").out


def test_an_advisory_mode_lets_the_action_proceed_and_says_so(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMYN_POLICY_MODE", "advisory")
    result = lumyn("decide", write(workspace / "r.json", amount("240")))
    assert 0 == result.code
    assert "ESCALATE" in result.out
    assert "advisory" in result.out


@pytest.mark.parametrize("columns", ["60", "80"])
def test_no_line_is_wider_than_the_terminal(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    path = write(workspace / "r.json", refund(order_id=None))
    monkeypatch.setenv("COLUMNS", columns)
    out = lumyn("decide", path).out
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "EVIDENCE_MISSING" in out


def test_what_a_request_holds_never_reaches_the_terminal_raw(lumyn: Lumyn, workspace: Path) -> None:
    """cli-003."""
    request = refund(ticket_id="\x1b[2J\u202e")
    request["subject"]["id"] = "\x1b[2J"
    request["action"]["intent"] = "\x1b]0;title\x07"
    path = write(workspace / "r.json", request)
    for arguments in (["decide", path], ["decide", path, "--json"], ["show"], ["show", "@last"], ["show", "--json"]):
        out = lumyn(*arguments).out
        assert not {"\x1b", "\x07", "\u202e"} & set(out)
