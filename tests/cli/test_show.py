"""`lumyn show`: one decision or the recent ones, found by id, by its beginning, or as the last one."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write


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
    ],
)
def test_filters(lumyn: Lumyn, decisions: list[str], options: list[str], expected: list[int]) -> None:
    result = lumyn("show", "--json", *options)
    assert "lumyn.cli.show_recent.v0" == result.data["schema"]
    assert [decisions[place] for place in expected] == [record["decision_id"] for record in result.data["records"]]


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
