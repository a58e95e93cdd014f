"""`lumyn show`: one decision or the recent ones, found by id, by its beginning, or as the last one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write

from lumyn.cli.times import since_text


@pytest.fixture
def decisions(lumyn: Lumyn, workspace: Path) -> list[str]:
    """Four decisions, oldest first: TRUST, QUERY, ABSTAIN, TRUST of another tenant."""
    requests = [
        refund(),
        refund(order_id=None),
        refund(payment_instrument_risk="high"),
        refund() | {"tenant": {"tenant_id": "acme"}},
    ]
    return [
        lumyn("decide", write(workspace / "r.json", request), "--json").data["record"]["decision_id"]
        for request in requests
    ]


def test_the_list_is_newest_first_and_says_what_and_why(lumyn: Lumyn, decisions: list[str]) -> None:
    result = lumyn("show")
    assert (0, "") == (result.code, result.err)
    header, *rows = result.out.splitlines()
    assert list(reversed(decisions)) == [row.split()[0] for row in rows]
    assert "decision" == header.split()[0]
    assert "ABSTAIN" in rows[1]
    assert "PAYMENT_INSTRUMENT_HIGH_RISK" in rows[1]
    assert "support.refund 12.00 USD" in rows[1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--limit", "2"], [3, 2]),
        (["--verdict", "QUERY"], [1]),
        (["--verdict", "ESCALATE"], []),
        (["--reason", "EVIDENCE_MISSING"], [1]),
        (["--reason", "REFUND_SMALL_LOW_RISK", "--limit", "1"], [3]),
        (["--tenant", "acme"], [3]),
        (["--action", "support.refund", "-n", "1"], [3]),
        (["--action", "support.other"], []),
        (["--reason-code", "EVIDENCE_MISSING", "--verdict", "query"], [1]),
        (["--verdict", "TRUST", "--tenant", "acme", "--action", "support.refund"], [3]),
        (["--verdict", "QUERY", "--tenant", "acme"], []),
        (["--since", "2h"], [3, 2, 1, 0]),
        (["--since", "P1D", "--verdict", "TRUST"], [3, 0]),
        (["--since", "2020-01-01"], [3, 2, 1, 0]),
        (["--since", "2999-01-01T00:00:00+02:00"], []),
    ],
)
def test_filters(lumyn: Lumyn, decisions: list[str], options: list[str], expected: list[int]) -> None:
    result = lumyn("show", "--json", *options)
    assert "lumyn.cli.show_recent.v0" == result.data["schema"]
    assert [decisions[place] for place in expected] == [record["decision_id"] for record in result.data["records"]]


@pytest.mark.parametrize("option", ["--tenant", "--action"])
@pytest.mark.parametrize("command", [["show"], ["export", "--jsonl"], ["backtest", "policies/support.yml"]])
def test_a_filter_that_is_no_text_is_bad_input(
    lumyn: Lumyn, decisions: list[str], command: list[str], option: str
) -> None:
    """Undecodable bytes of an argument arrive as lone surrogates: the store is not to blame."""
    result = lumyn(*command, option, "\udcff")
    assert (3, True) == (result.code, "[UNICODE_INVALID]" in result.err)


def test_one_decision_by_id_by_its_beginning_in_any_case_and_as_the_last(lumyn: Lumyn, decisions: list[str]) -> None:
    whole = decisions[1]
    beginning = whole[: next(n for n in range(1, 27) if 1 == sum(each.startswith(whole[:n]) for each in decisions))]
    for text in (whole, whole.lower(), beginning):
        result = lumyn("show", text)
        assert 0 == result.code
        assert f"decision    {whole}" in result.out
    assert decisions[-1] in lumyn("show", "@last").out


def test_json_of_one_decision_holds_the_record_and_its_events(lumyn: Lumyn, decisions: list[str]) -> None:
    lumyn("label", decisions[0], "--failure", "--note", "refunded twice", "--actor", "ann")
    data = lumyn("show", decisions[0], "--json").data
    assert ["schema", "record", "events"] == list(data)
    assert ("lumyn.cli.show.v0", decisions[0]) == (data["schema"], data["record"]["decision_id"])
    (event,) = data["events"]
    assert ("label", "ann", "failure") == (event["type"], event["actor"], event["data"]["label"])
    text = lumyn("show", decisions[0]).out
    assert "label by ann" in text
    assert "refunded twice" in text


@pytest.mark.parametrize("text", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "x", "not-an-id", "@first", "\x1b[2J", "0" * 200, "ı"])
def test_an_unknown_id_is_exit_5(lumyn: Lumyn, decisions: list[str], text: str) -> None:
    result = lumyn("show", text)
    assert (5, "") == (result.code, result.out)
    assert "NOT_FOUND" in result.err
    assert "\x1b" not in result.err


def test_an_id_copied_with_spaces_and_a_line_end_is_found(lumyn: Lumyn, decisions: list[str]) -> None:
    result = lumyn("show", f" {decisions[0]}\n", "--json")
    assert decisions[0] == result.data["record"]["decision_id"]


def test_an_ambiguous_beginning_lists_candidates(lumyn: Lumyn, decisions: list[str]) -> None:
    result = lumyn("show", "0")
    assert 5 == result.code
    assert "several" in result.err
    assert decisions[0] in result.err


def test_an_empty_store_is_not_an_error(lumyn: Lumyn, workspace: Path) -> None:
    assert (0, "no decisions here\n") == (lumyn("show").code, lumyn("show").out)
    assert [] == lumyn("show", "--json").data["records"]
    assert 5 == lumyn("show", "@last").code


def test_without_a_workspace_it_says_how_to_make_one(lumyn: Lumyn) -> None:
    result = lumyn("show")
    assert 3 == result.code
    assert "`lumyn init`" in result.err


@pytest.mark.parametrize("arguments", [["show"], ["show", "@last"], ["show", "--json"]])
def test_a_store_that_is_gone_is_exit_4(lumyn: Lumyn, workspace: Path, arguments: list[str]) -> None:
    for path in (workspace / ".lumyn").glob("lumyn.db*"):
        path.unlink()
    result = lumyn(*arguments)
    assert 4 == result.code
    assert "STORAGE_UNAVAILABLE" in result.err
    assert not (workspace / ".lumyn" / "lumyn.db").exists()


def test_a_workspace_is_found_from_below(
    lumyn: Lumyn, decisions: list[str], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = workspace / "src" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert decisions[0] in lumyn("show").out


def test_a_configuration_can_be_named(
    lumyn: Lumyn, decisions: list[str], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert decisions[0] in lumyn("--config", str(workspace / "lumyn.toml"), "show").out
    result = lumyn("--config", str(workspace / "nope.toml"), "show")
    assert 3 == result.code
    assert "CONFIG_NOT_FOUND" in result.err


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_no_line_is_wider_than_the_terminal(
    lumyn: Lumyn, decisions: list[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for arguments in (["show"], ["show", "@last"]):
        out = lumyn(*arguments).out
        assert max(map(len, out.splitlines())) <= int(columns)
        assert decisions[-1] in out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", "2026-01-15T11:58:30.000Z"),
        ("2h", "2026-01-15T10:00:00.000Z"),
        ("7d", "2026-01-08T12:00:00.000Z"),
        ("1w", "2026-01-08T12:00:00.000Z"),
        ("P1DT1H", "2026-01-14T11:00:00.000Z"),
        ("PT30M", "2026-01-15T11:30:00.000Z"),
        ("2026-01-15", "2026-01-15T00:00:00.000Z"),
        ("2026-01-15T12:00:00", "2026-01-15T12:00:00.000Z"),
        ("2026-01-15T12:00:00.5+01:00", "2026-01-15T11:00:00.500Z"),
        ("999999w", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_times_as_people_type_them(text: str, expected: str) -> None:
    """A moment, in UTC where it names no offset, or how long before now."""
    assert expected == since_text(text, now_ms=1_768_478_400_000)


@pytest.mark.parametrize(
    "text", ["", "2", "h", "-2h", "yesterday", "2026-13-01", "\x1b[2J", "P", "9" * 400 + "h", "P1Y"]
)
def test_a_time_that_is_none_is_a_usage_error(lumyn: Lumyn, workspace: Path, text: str) -> None:
    result = lumyn("show", "--since", text)
    assert 2 == result.code
    assert "such as 2h or P1D" in result.err
    assert "\x1b" not in result.err


def test_nothing_found_is_said_and_is_no_error(lumyn: Lumyn, decisions: list[str]) -> None:
    result = lumyn("show", "--tenant", "nobody")
    assert (0, "no decision is like that\n") == (result.code, result.out)


@pytest.mark.parametrize(
    "options", [["@last", "--verdict", "TRUST"], ["@last", "--follow"], ["--limit", "0"], ["-n", "x"]]
)
def test_options_that_do_not_go_together(lumyn: Lumyn, decisions: list[str], options: list[str]) -> None:
    assert 2 == lumyn("show", *options).code


def test_an_empty_id_is_told_what_to_give(lumyn: Lumyn, decisions: list[str]) -> None:
    result = lumyn("show", "")
    assert 5 == result.code
    assert "an empty id names no decision" in result.err
    assert "@last" in result.err


def test_an_id_from_standard_input(lumyn: Lumyn, decisions: list[str]) -> None:
    assert decisions[1] in lumyn("show", "-", stdin=f"{decisions[1]}\n".encode()).out
    assert decisions[-1] in lumyn("show", "-", stdin=b"@last").out
    assert 5 == lumyn("show", "-", stdin=b"").code
    assert 5 == lumyn("show", "-", stdin=b"\xff" * 1000).code


def test_a_broken_policy_file_is_no_obstacle(lumyn: Lumyn, decisions: list[str], workspace: Path) -> None:
    """What was decided can be looked at whatever the policy file holds today, or when it is gone."""
    policy = workspace / "policies" / "support.yml"
    policy.write_text("not a policy")
    assert decisions[0] in lumyn("show").out
    assert 0 == lumyn("show", "@last").code
    assert "holds another text today" in lumyn("explain", "@last").out
    policy.unlink()
    assert "is not there any more" in lumyn("explain", "@last").out


class Following:
    """`lumyn show --follow` as a process of its own, its lines read as they come."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lumyn", "show", "--follow", *options],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def line(self) -> str:
        """Return the next line; the test runner's time limit is the only one."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit code and what went to standard error."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


def test_follow_lists_what_is_there_and_then_what_comes(lumyn: Lumyn, decisions: list[str], workspace: Path) -> None:
    """Oldest first, each line as soon as it is decided, also into a pipe; Ctrl-C ends it quietly."""
    following = Following(workspace, "--limit", "2")
    try:
        assert [decisions[2], decisions[3]] == [following.line().split()[2] for _ in range(2)]
        for request in (refund(), refund(order_id=None)):
            new = lumyn("decide", write(workspace / "r.json", request), "--json").data["record"]
            words = following.line().split()
            assert (new["verdict"], new["decision_id"]) == (words[1], words[2])
    finally:
        ended = following.interrupt()
    assert (130, "") == ended


def test_follow_keeps_to_the_filters_and_writes_lines_of_json(
    lumyn: Lumyn, decisions: list[str], workspace: Path
) -> None:
    following = Following(workspace, "--json", "--verdict", "QUERY", "-n", "1")
    try:
        assert decisions[1] == json.loads(following.line())["record"]["decision_id"]
        lumyn("label", decisions[1], "--failure")
        lumyn("decide", write(workspace / "r.json", refund()))
        lumyn("decide", write(workspace / "r.json", refund(order_id=None)))
        document = json.loads(following.line())
    finally:
        ended = following.interrupt()
    assert ("lumyn.cli.show_follow.v0", "QUERY") == (document["schema"], document["record"]["verdict"])
    assert (130, "") == ended


def test_follow_ends_when_nobody_reads(lumyn: Lumyn, decisions: list[str], workspace: Path) -> None:
    """As in `lumyn show --follow | head -1`, also while nothing new is decided."""
    following = Following(workspace)
    following.line()
    assert following.process.stdout is not None
    assert following.process.stderr is not None
    following.process.stdout.close()
    assert 141 == following.process.wait(timeout=30)
    assert "" == following.process.stderr.read()
    following.process.stderr.close()


@pytest.mark.parametrize("form", [[], ["--json"], ["@last"], ["@last", "--json"]])
def test_nothing_from_data_reaches_the_terminal_raw(lumyn: Lumyn, workspace: Path, form: list[str]) -> None:
    hostile = "\x1b[2J\x9b\u202egnp.exe\u2066\r\n\x07"
    request = refund(ticket_id=hostile)
    request["action"]["intent"] = hostile
    decision = lumyn("decide", write(workspace / "r.json", request), "--json").data["record"]["decision_id"]
    lumyn("label", decision, "--failure", "--note", hostile, "--actor", hostile)
    out = lumyn("show", *form).out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)


def test_a_closed_pipe_is_quiet(lumyn: Lumyn, decisions: list[str], workspace: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "lumyn", "show"], cwd=workspace, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (141, b"") == (done.returncode, done.stderr)


def test_colours_only_where_they_are_wanted(
    lumyn: Lumyn, decisions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in lumyn("show").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in lumyn("show").out


def test_a_read_only_folder_is_enough(lumyn: Lumyn, decisions: list[str], workspace: Path) -> None:
    """Looking changes no file."""
    files = [path for path in workspace.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal"))]
    before = {path: path.read_bytes() for path in files}
    for arguments in (["show"], ["show", "@last"], ["show", "--since", "1h"]):
        assert 0 == lumyn(*arguments).code
    assert before == {path: path.read_bytes() for path in before}
