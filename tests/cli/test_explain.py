"""`lumyn explain`: what decided, what would have changed it, every rule, and honesty about what is not known."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.harness import Lumyn, refund, write

HOSTILE = "\x1b[2J\x9b31m\u202egnp.exe\u2066\r\nDecided by\n\x07`@all` <b>"


def decide(lumyn: Lumyn, folder: Path, request: dict[str, Any]) -> str:
    """Decide a request and return its id."""
    return lumyn("decide", write(folder / "r.json", request), "--json").data["record"]["decision_id"]


def amount(value: str, currency: str = "USD", **evidence: object) -> dict[str, Any]:
    """Return a refund of this amount."""
    request = refund(**evidence)
    request["action"]["amount"] = {"value": value, "currency": currency}
    return request


def test_the_verdict_the_deciding_rule_and_what_it_compared(lumyn: Lumyn, workspace: Path) -> None:
    """With the place of the rule in the file that decided."""
    decide(lumyn, workspace, refund(chargeback_risk=0.8))
    result = lumyn("explain", "@last")
    assert (0, "") == (result.code, result.err)
    assert result.out.startswith("ABSTAIN  support.refund 12.00 USD\n")
    line = next(
        number
        for number, text in enumerate((workspace / "policies" / "support.yml").read_text().splitlines(), start=1)
        if "id: R120" in text
    )
    assert f"R120        HARD_BLOCKS policies/support.yml:{line}:5\n" in result.out
    assert "chargeback_risk 0.8 >= 0.7" in result.out
    assert "CHARGEBACK_RISK_BLOCK: The chargeback risk is so high" in result.out
    assert "policies/support.yml is the text that decided" in result.out
    assert "came out the same" in result.out


NEAREST = [
    (amount("30.00"), "at 25.00 USD or less this would have been TRUST"),
    (amount("30.00", "EUR", fx_rate_to_usd=1.08), "at 23.14 EUR (24.9912 USD) or less this would have been TRUST"),
    (amount("5000", "JPY", fx_rate_to_usd=0.0066), "at 3787 JPY (24.9942 USD) or less this would have been TRUST"),
    (amount("25.00"), "at 25.01 USD or more this would have been ESCALATE"),
    (refund(chargeback_risk=0.9), "with chargeback_risk less than 0.35 this would have been TRUST"),
    (refund(previous_refund_count_90d=4), "with previous_refund_count_90d 1 or less this would have been TRUST"),
    (refund(payment_instrument_risk="high"), "with payment_instrument_risk low or medium this would have been TRUST"),
    (refund(order_id=None), "with order_id given this would have been TRUST"),
    (
        amount("300.00", chargeback_risk=0.5),
        "at 25.00 USD or less and with chargeback_risk less than 0.35 this would have been TRUST",
    ),
]


@pytest.mark.parametrize(("request_", "words"), NEAREST, ids=[words.split(" this")[0] for _, words in NEAREST])
def test_the_nearest_miss(lumyn: Lumyn, workspace: Path, request_: dict[str, Any], words: str) -> None:
    """In the currency of the amount, converted as it was; two changes only where one is not enough."""
    decide(lumyn, workspace, request_)
    shown = lumyn("explain", "@last").out
    both = words.split(" this")[0].split(" and ")
    assert words in shown or f"{both[-1]} and {both[0]} this" in shown


def test_where_nothing_helps_it_says_so(lumyn: Lumyn, workspace: Path) -> None:
    """Three things at once would be needed here."""
    decide(lumyn, workspace, refund(chargeback_risk=0.9, payment_instrument_risk="high", order_id=7, ticket_id=True))
    out = lumyn("explain", "@last").out
    assert "nothing that was tried, one value or two together, would have loosened this verdict" in out
    assert "would have been" not in out


def test_the_nearest_miss_is_true(lumyn: Lumyn, workspace: Path) -> None:
    """Sent with the value that is named, the request gets the verdict that is named."""
    request = amount("30.00", "EUR", fx_rate_to_usd=1.08)
    decide(lumyn, workspace, request)
    alternatives = lumyn("explain", "@last", "--json").data["alternatives"]
    assert "TRUST" == alternatives[0]["verdict"]
    for found in alternatives:
        if any(not change["pointer"] for change in found["changes"]):
            continue
        other = json.loads(json.dumps(request))
        for change in found["changes"]:
            *parents, name = change["pointer"].split("/")[1:]
            below = other
            for parent in parents:
                below = below[parent]
            below[name] = change["value"]
        record = lumyn("decide", write(workspace / "other.json", other), "--json").data["record"]
        assert (found["verdict"], found["reason_codes"]) == (record["verdict"], record["reason_codes"])


def test_every_rule_that_applies_and_why(lumyn: Lumyn, workspace: Path) -> None:
    decide(lumyn, workspace, refund(customer_age_days=None, chargeback_risk=0.4))
    out = lumyn("explain", "@last").out
    assert re.search(r"R230 +fired +ESCALATIONS: ESCALATE, line \d+\n +chargeback_risk 0.4 >= 0.35 \(chargeback_", out)
    assert re.search(r"R240 +unknown +ESCALATIONS: .*\n +customer_age_days missing < 14 \(new_.*\): unknown", out)
    assert re.search(r"R210 +no .*\n +amount_usd 12 > 200 \(refund_escalate_over_usd\): false", out)
    assert re.search(r"R010 +no .*\n +nothing that is required is missing", out)
    assert "missing     customer_age_days" in out
    assert "R130" not in out


def test_mistyped_evidence_and_what_is_not_stored(lumyn: Lumyn, workspace: Path) -> None:
    decide(lumyn, workspace, refund(chargeback_risk="high"))
    out = lumyn("explain", "@last").out
    assert "unusable    chargeback_risk: EVIDENCE_TYPE_INVALID" in out
    assert "LUMYN_EVIDENCE_INVALID HARD_BLOCKS by the engine itself" in out
    assert "not stored  /context/inline" in out


def test_a_request_that_was_not_kept_whole_is_explained_and_says_so(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no rule reads is not stored; every operand is, so the explanation is whole."""
    monkeypatch.setenv("LUMYN_REDACTION_PROFILE", "strict")
    monkeypatch.setenv("LUMYN_REDACTION_REMOVE", '["/action/intent"]')
    request = refund(favourite_colour="mauve", chargeback_risk=0.5)
    request["subject"]["ip"] = "192.0.2.1"
    decide(lumyn, workspace, request)
    out = lumyn("explain", "@last").out
    for pointer in ("/action/intent", "/evidence/favourite_colour", "/subject/ip"):
        assert f"not stored  {pointer}\n" in out
    assert "mauve" not in out
    assert "with chargeback_risk less than 0.35 this would have been TRUST" in out
    assert "came out the same" in out


def test_an_id_from_standard_input(lumyn: Lumyn, workspace: Path) -> None:
    decision = decide(lumyn, workspace, refund())
    assert decision == lumyn("explain", "-", "--json", stdin=f"{decision}\n".encode()).data["decision_id"]


def test_memory_with_what_is_shared(lumyn: Lumyn, workspace: Path) -> None:
    first = decide(lumyn, workspace, refund())
    lumyn("label", first, "--failure", "--note", "refunded twice")
    decide(lumyn, workspace, refund(chargeback_risk=0.3, customer_age_days=3))
    out = lumyn("explain", "@last").out
    assert "1 experience of this action and tenant" in out
    assert re.search(r"like the failure 01\w{24}: refunded twice", out)
    assert f"of decision {first}, labelled" in out
    assert "shared: action_type support.refund, currency USD" in out
    assert "different: customer_age_days >= 14 there, < 14 here" in out
    (match,) = lumyn("explain", "@last", "--json").data["memory"]["matches"]
    assert first == match["source_decision_id"]
    assert "chargeback_risk < 0.35" in match["shared"]


def test_what_happened_since_is_told(lumyn: Lumyn, workspace: Path) -> None:
    decision = decide(lumyn, workspace, refund())
    lumyn("label", decision, "--failure", "--note", "refunded twice", "--actor", "ann")
    out = lumyn("explain", decision).out
    assert "by ann" in out
    assert "refunded twice" in out


def test_the_policy_explained_is_the_one_that_decided(lumyn: Lumyn, workspace: Path) -> None:
    """Whatever the file holds today, which it says."""
    decide(lumyn, workspace, amount("30.00"))
    policy = workspace / "policies" / "support.yml"
    text = policy.read_text()
    policy.write_text("# moved down\n" + text.replace("refund_trust_max_usd: 25", "refund_trust_max_usd: 100"))
    out = lumyn("explain", "@last").out
    assert "at 25.00 USD or less this would have been TRUST" in out
    assert "policies/support.yml holds another text today; lines are those of the stored text" in out
    assert "stored policy:" in out
    data = lumyn("explain", "@last", "--json").data
    assert False is data["policy"]["file_is_same"]
    place = next(rule["line"] for rule in data["rules"] if "R310" == rule["rule_id"])
    assert "id: R310" in text.splitlines()[place - 1]
    shown = lumyn("policy", "show", data["policy"]["policy_hash"])
    assert 0 == shown.code


def test_a_policy_that_is_not_in_the_store_is_said_to_be_missing(lumyn: Lumyn, workspace: Path) -> None:
    """Then there is nothing to evaluate, and nothing is guessed."""
    decide(lumyn, workspace, amount("30.00"))
    with sqlite3.connect(workspace / ".lumyn" / "lumyn.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("PRAGMA foreign_keys = OFF")
        table = next(
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name.startswith("polic")
        )
        database.execute(f"DELETE FROM {table}")
    result = lumyn("explain", "@last")
    assert 0 == result.code
    assert "the policy that decided is not in the store" in result.out
    assert "not looked for" in result.out
    assert "would have been" not in result.out
    assert "cannot be decided again" in result.out
    data = lumyn("explain", "@last", "--json").data
    assert (None, []) == (data["rules"], data["alternatives"])


def test_json_holds_all_of_it(lumyn: Lumyn, workspace: Path) -> None:
    decision = decide(lumyn, workspace, amount("30.00"))
    data = lumyn("explain", decision[:-2], "--json").data
    assert "lumyn.cli.explain.v0" == data["schema"]
    assert (decision, "ESCALATE", ["NO_MATCH_DEFAULT_ESCALATE"]) == (
        data["decision_id"],
        data["verdict"],
        data["reason_codes"],
    )
    assert "default" == data["deciding"][0]["rule_id"]
    assert {"fired", "not_fired"} >= {rule["outcome"] for rule in data["rules"]}
    condition = next(rule for rule in data["rules"] if "R310" == rule["rule_id"])["conditions"][0]
    assert {
        "fact": "amount_usd",
        "operator": "lte",
        "operand": "25",
        "threshold": "refund_trust_max_usd",
        "value": "30",
        "outcome": "false",
    } == condition
    assert ("full", None, []) == tuple(data["replay"].values())
    assert data["digests"].keys() == {"inputs", "request", "policy", "memory"}


def test_markdown_for_a_ticket(lumyn: Lumyn, workspace: Path) -> None:
    decision = decide(lumyn, workspace, amount("30.00"))
    out = lumyn("explain", decision, "--markdown").out
    assert out.startswith("## ESCALATE `support.refund 30.00 USD`\n")
    assert "### Nearest miss\n\n- `at 25.00 USD or less this would have been` **TRUST**\n" in out
    assert f"- decision `{decision}`" in out


def test_json_and_markdown_exclude_each_other(lumyn: Lumyn, workspace: Path) -> None:
    assert 2 == lumyn("explain", "@last", "--json", "--markdown").code


@pytest.mark.parametrize("form", [[], ["--markdown"], ["--json"]])
def test_nothing_from_data_reaches_the_terminal_raw(lumyn: Lumyn, workspace: Path, form: list[str]) -> None:
    """Whatever a request, a label or an event held; and no line of it can pass for one of ours."""
    first = decide(lumyn, workspace, refund(ticket_id=HOSTILE, order_id=HOSTILE))
    assert 0 == lumyn("label", first, "--failure", "--note", HOSTILE, "--actor", HOSTILE).code
    decide(lumyn, workspace, refund(customer_id=HOSTILE, payment_instrument_risk="low"))
    for decision in (first, "@last"):
        out = lumyn("explain", decision, *form).out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", out)
        if form != ["--json"]:
            assert 1 == len([line for line in out.splitlines() if line.endswith("Decided by")])


def test_data_stays_inside_code_spans_of_markdown(lumyn: Lumyn, workspace: Path) -> None:
    """No mention, link, heading or tag can come from a note."""
    first = decide(lumyn, workspace, refund())
    lumyn("label", first, "--failure", "--note", "``` @all [x](http://example.test) <img src=x>")
    decide(lumyn, workspace, refund())
    for line in lumyn("explain", "@last", "--markdown").out.splitlines():
        outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
        assert not re.search(r"[@<>\[]", outside), line


@pytest.mark.parametrize("text", ["", "x", "@first", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "\x1b[2J", "0" * 300])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_unknown_id_is_exit_5(lumyn: Lumyn, workspace: Path, text: str, form: list[str]) -> None:
    decide(lumyn, workspace, refund())
    result = lumyn("explain", text, *form)
    assert 5 == result.code
    assert "\x1b" not in result.err
    assert result.err.startswith("error: ")


def test_without_a_workspace_or_a_store(lumyn: Lumyn, tmp_path: Path) -> None:
    assert 3 == lumyn("explain", "@last").code
    assert 0 == lumyn("init").code
    assert 5 == lumyn("explain", "@last").code
    for path in (tmp_path / ".lumyn").glob("lumyn.db*"):
        path.unlink()
    assert 4 == lumyn("explain", "@last").code


def test_a_record_that_cannot_be_read_is_said_to_be_broken(lumyn: Lumyn, workspace: Path) -> None:
    decide(lumyn, workspace, refund())
    with sqlite3.connect(workspace / ".lumyn" / "lumyn.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = next(name for name in tables if name.startswith("decision"))
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        column = next(name for name in columns if "record" in name or "json" in name or name == "body")
        database.execute(f"UPDATE {table} SET {column} = '{{}}'")
    result = lumyn("explain", "@last")
    assert 4 == result.code
    assert "STORE_INTEGRITY_FAILED" in result.err


def test_a_read_only_folder_is_enough(lumyn: Lumyn, workspace: Path) -> None:
    """Explaining writes nothing."""
    decide(lumyn, workspace, refund())
    files = [path for path in workspace.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal"))]
    before = {path: path.read_bytes() for path in files}
    assert 0 == lumyn("explain", "@last").code
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("columns", ["60", "80"])
def test_no_line_is_wider_than_the_terminal(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    decide(lumyn, workspace, amount("30.00", "EUR", fx_rate_to_usd=1.08))
    monkeypatch.setenv("COLUMNS", columns)
    lines = lumyn("explain", "@last").out.splitlines()
    assert max(map(len, lines)) <= int(columns)


def test_colours_only_where_they_are_wanted(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decide(lumyn, workspace, refund())
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in lumyn("explain", "@last").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in lumyn("explain", "@last").out


def test_a_closed_pipe_is_quiet(lumyn: Lumyn, workspace: Path) -> None:
    decide(lumyn, workspace, refund())
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "lumyn", "explain", "@last"],
        cwd=workspace,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (141, b"") == (done.returncode, done.stderr)
