"""`lumyn verify`: what it prints of a store that is whole, and of one that is not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli.harness import Lumyn, refund, write
from tampering import listing, tamper


@pytest.fixture
def decisions(lumyn: Lumyn, workspace: Path) -> list[str]:
    """Three decisions, the first of them labelled: six rows, the policy among them."""
    made = [lumyn("decide", write(workspace / "r.json", refund(ticket_id=f"T-{n}")), "--json").data for n in range(3)]
    ids = [each["record"]["decision_id"] for each in made]
    assert 0 == lumyn("label", ids[0], "--failure").code
    return ids


@pytest.fixture
def store(workspace: Path, decisions: list[str]) -> Path:
    return workspace / ".lumyn" / "lumyn.db"


def test_a_whole_store_is_ok_and_unanchored(lumyn: Lumyn, store: Path) -> None:
    """It says plainly what it cannot know, and what to do about that."""
    result = lumyn("verify")
    assert (0, "") == (result.code, result.err)
    assert "UNANCHORED  no checkpoint was given, so rows cut from the end" in result.out
    assert "`lumyn verify --against FILE`" in result.out
    assert "ok  3 decisions, 1 event, 1 memory item, 1 policy text" == result.out.splitlines()[-1]


def test_against_a_checkpoint_nothing_is_left_open(lumyn: Lumyn, store: Path, workspace: Path) -> None:
    (workspace / "kept").write_text(lumyn("checkpoint").out, encoding="utf-8")
    result = lumyn("verify", "--against", "kept")
    assert (0, "") == (result.code, result.err)
    assert "UNANCHORED" not in result.out
    assert "begins with the 6 rows of the checkpoint" in result.out
    piped = lumyn("verify", "--against", "-", stdin=(workspace / "kept").read_bytes())
    assert result == piped


def test_full_decides_again(lumyn: Lumyn, store: Path) -> None:
    assert "3 decisions decided again\n" in lumyn("verify", "--full").out


def test_a_broken_row_is_named(lumyn: Lumyn, store: Path, decisions: list[str]) -> None:
    tamper(store, "UPDATE decisions SET record = replace(record, '\"TRUST\"', '\"QUERY\"') WHERE seq = 3")
    result = lumyn("verify")
    assert (1, "") == (result.code, result.err)
    assert f"LEAF_MISMATCH  decisions seq 3 {decisions[1]}: the row is not what was written" in result.out
    assert "1 finding  3 decisions" in result.out


def test_a_cut_tail_is_found_against_a_checkpoint(lumyn: Lumyn, store: Path, workspace: Path) -> None:
    (workspace / "kept").write_text(lumyn("checkpoint").out, encoding="utf-8")
    tamper(store, "DELETE FROM memory_items WHERE seq = 6")
    assert 0 == lumyn("verify").code
    result = lumyn("verify", "--against", "kept")
    assert 1 == result.code
    assert "TRUNCATED  the journal ends at `seq` 5; when the checkpoint was made it had 6 rows" in result.out


def test_json_of_a_whole_store(lumyn: Lumyn, store: Path, workspace: Path) -> None:
    checkpoint = lumyn("checkpoint", "--json").data
    (workspace / "kept").write_text(checkpoint["text"], encoding="utf-8")
    data = lumyn("verify", "--json", "--full", "--against", "kept").data
    assert {
        "schema": "lumyn.cli.verify.v0",
        "ok": True,
        "store_id": checkpoint["origin"].removeprefix("lumyn/"),
        "rows": {"decision": 3, "event": 1, "memory": 1, "policy": 1},
        "against": {key: checkpoint[key] for key in ("origin", "size", "root")},
        "replayed": 3,
        "not_replayable": 0,
        "counts": {},
        "findings": [],
        "notes": [],
    } == data


def test_json_has_one_object_for_each_finding(lumyn: Lumyn, store: Path, decisions: list[str]) -> None:
    tamper(store, "UPDATE decisions SET chain = zeroblob(32) WHERE seq = 3")
    tamper(store, "UPDATE memory_items SET memory_id = 'x'")
    result = lumyn("verify", "--json")
    assert 1 == result.code
    data: dict[str, Any] = result.data
    assert (False, None, {"CHAIN_MISMATCH": 1, "PROJECTION_MISMATCH": 1}) == (
        data["ok"],
        data["replayed"],
        data["counts"],
    )
    assert [
        {
            "code": "CHAIN_MISMATCH",
            "message": "the row is not linked to the one before it",
            "table": "decisions",
            "seq": 3,
            "id": decisions[1],
            "hint": None,
        },
        {
            "code": "PROJECTION_MISMATCH",
            "message": "columns that do not repeat what the body says: `memory_id`",
            "table": "memory_items",
            "seq": 6,
            "id": "x",
            "hint": None,
        },
    ] == data["findings"]
    assert ["UNANCHORED"] == [note["code"] for note in data["notes"]]


def test_many_findings_are_counted(lumyn: Lumyn, workspace: Path) -> None:
    for number in range(22):
        lumyn("decide", write(workspace / "r.json", refund(ticket_id=f"T-{number}")))
    tamper(workspace / ".lumyn" / "lumyn.db", "UPDATE decisions SET verdict = 'x'")
    result = lumyn("verify")
    assert 20 == result.out.count("PROJECTION_MISMATCH")
    assert "and 2 more" in result.out
    assert "22 findings  22 decisions" in result.out


def test_verifying_changes_nothing(lumyn: Lumyn, store: Path) -> None:
    before = listing(store.parent)
    lumyn("verify", "--full")
    lumyn("checkpoint")
    assert before == listing(store.parent)


def test_what_stands_in_a_damaged_row_cannot_steer_the_terminal(lumyn: Lumyn, store: Path) -> None:
    tamper(store, "UPDATE decisions SET decision_id = char(27) || '[2J' || char(8238) WHERE seq = 3")
    for arguments in (["verify"], ["verify", "--json"]):
        out = lumyn(*arguments).out
        assert "\x1b" not in out
        assert "\u202e" not in out
    assert "\\x1b[2J" in lumyn("verify").out


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_no_line_is_wider_than_the_terminal(
    lumyn: Lumyn, store: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    tamper(store, "UPDATE decisions SET verdict = 'x' WHERE seq = 3")
    monkeypatch.setenv("COLUMNS", columns)
    assert max(map(len, lumyn("verify", "--full").out.splitlines())) <= int(columns)


def test_another_store_can_be_named_anywhere(
    lumyn: Lumyn, store: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy, in a folder without a workspace; no policy is needed."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert 0 == lumyn("verify", "--store", str(store)).code
    assert 0 == lumyn("verify", "--store", f"sqlite:///{store}").code
    assert 4 == lumyn("verify").code
    assert 3 == lumyn("verify", "--store", "postgres://x").code


def test_the_identity_that_the_configuration_names_is_held_against_it(
    lumyn: Lumyn, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMYN_STORE_ID", "0" * 32)
    result = lumyn("verify")
    assert 1 == result.code
    assert "STORE_IDENTITY_MISMATCH" in result.out


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "PATH_NOT_FOUND"),
        (b"", "CHECKPOINT_INVALID"),
        (b"lumyn/x\n1\n", "CHECKPOINT_INVALID"),
        (b"x" * 70_000, "TOO_LARGE"),
    ],
)
def test_a_checkpoint_that_cannot_be_read_is_exit_3(
    lumyn: Lumyn, store: Path, workspace: Path, content: bytes | None, code: str
) -> None:
    """A verification that was asked to be anchored is not done without its anchor."""
    if content is not None:
        (workspace / "kept").write_bytes(content)
    result = lumyn("verify", "--against", "kept")
    assert (3, "") == (result.code, result.out)
    assert code in result.err


@pytest.mark.parametrize("arguments", [["verify"], ["verify", "--json"], ["checkpoint"], ["checkpoint", "--json"]])
@pytest.mark.parametrize("what", ["missing", "empty"])
def test_a_store_that_cannot_be_opened_is_exit_4(
    lumyn: Lumyn, workspace: Path, arguments: list[str], what: str
) -> None:
    path = workspace / ".lumyn" / "lumyn.db"
    path.unlink()
    if what == "empty":
        path.touch()
    result = lumyn(*arguments)
    assert 4 == result.code
    assert "STORAGE_UNAVAILABLE" in result.err
    assert path.exists() == (what == "empty")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("DROP TRIGGER decisions_no_update", "TRIGGER_MISSING"),
        ("ALTER TABLE meta ADD COLUMN x TEXT", "SCHEMA_CHANGED"),
        ("PRAGMA user_version = 99", "STORE_SCHEMA_UNSUPPORTED"),
        ("PRAGMA application_id = 1", "STORE_IDENTITY_MISMATCH"),
    ],
)
def test_what_is_wrong_below_the_rows_is_found(lumyn: Lumyn, store: Path, change: str, code: str) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute(change)
    result = lumyn("verify")
    assert 1 == result.code
    assert code in result.out


def test_a_damaged_file_is_a_finding(lumyn: Lumyn, store: Path) -> None:
    store.write_bytes(b"no database" * 1000)
    result = lumyn("verify")
    assert (1, "") == (result.code, result.err)
    assert "DB_CORRUPT" in result.out
