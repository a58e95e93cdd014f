"""`lumyn export`: a record as it is stored, a pack that is always the same, many records as lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write

from lumyn.packs import read_pack
from lumyn.store import open_store


@pytest.fixture
def ids(lumyn: Lumyn, workspace: Path) -> list[str]:
    """Three decisions, oldest first: trusted, asked about, blocked."""
    requests = [refund(), refund(order_id=None), refund(chargeback_risk=0.9)]
    made = [lumyn("decide", write(workspace / "r.json", request), "--json").data for request in requests]
    return [each["record"]["decision_id"] for each in made]


def stored(workspace: Path, decision_id: str) -> str:
    return open_store(str(workspace / ".lumyn" / "lumyn.db")).decision(decision_id).record_json


def test_a_record_is_printed_as_it_is_stored(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    for name in (ids[2], ids[2].lower(), "@last"):
        result = lumyn("export", name)
        assert (0, f"{stored(workspace, ids[2])}\n", "") == (result.code, result.out, result.err)


def test_a_record_goes_to_a_file_and_never_over_one(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    assert 0 == lumyn("export", ids[0], "-o", "records/one.json").code
    path = workspace / "records" / "one.json"
    assert f"{stored(workspace, ids[0])}\n" == path.read_text(encoding="utf-8")
    result = lumyn("export", ids[1], "-o", "records/one.json")
    assert (4, "") == (result.code, result.out)
    assert "is there already" in result.err
    assert "--force" in result.err
    assert f"{stored(workspace, ids[0])}\n" == path.read_text(encoding="utf-8")
    assert 0 == lumyn("export", ids[1], "-o", "records/one.json", "--force").code
    assert f"{stored(workspace, ids[1])}\n" == path.read_text(encoding="utf-8")
    assert [path] == list(path.parent.iterdir())


def test_a_pack_has_a_name_of_its_own(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    result = lumyn("export", "@last", "--pack")
    path = workspace / f"lumyn-{ids[2]}.zip"
    assert (0, "") == (result.code, result.err)
    digest = sha256(path.read_bytes()).hexdigest()
    assert f"wrote {path.name}\n  sha256:{digest}\n" == result.out
    assert ids[2] == read_pack(path.read_bytes()).record.decision_id
    assert 4 == lumyn("export", "@last", "--pack").code


def test_two_exports_are_byte_identical(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    """Whatever happened in between, and in another process with other hash seeds and another time zone."""
    lumyn("export", ids[0], "--pack", "-o", "one.zip")
    lumyn("label", ids[0], "--failure")
    lumyn("decide", write(workspace / "r.json", refund(ticket_id="T-9")))
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    command = [sys.executable, "-m", "lumyn", "export", ids[0], "--pack", "-o", "-"]
    done = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, check=False)
    assert (0, b"") == (done.returncode, done.stderr)
    assert (workspace / "one.zip").read_bytes() == done.stdout


def test_json_tells_about_the_file(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    data = lumyn("export", ids[0], "--pack", "-o", "p.zip", "--json").data
    raw = (workspace / "p.zip").read_bytes()
    assert {
        "schema": "lumyn.cli.export.v0",
        "kind": "pack",
        "decision_id": ids[0],
        "path": "p.zip",
        "count": 1,
        "bytes": len(raw),
        "sha256": sha256(raw).hexdigest(),
        "record": None,
    } == data


def test_json_of_a_record_holds_it(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    data = lumyn("export", ids[0], "--json").data
    assert ("lumyn.cli.export.v0", "record", ids[0]) == (data["schema"], data["kind"], data["decision_id"])
    assert json.loads(stored(workspace, ids[0])) == data["record"]


@pytest.mark.parametrize(
    ("filters", "places"),
    [
        ([], [2, 1, 0]),
        (["--limit", "2"], [2, 1]),
        (["--verdict", "QUERY"], [1]),
        (["--reason", "EVIDENCE_MISSING"], [1]),
        (["--reason", "REFUND_SMALL_LOW_RISK", "-n", "1"], [1]),
        (["--action", "support.refund", "--since", "2026-01-01"], [2, 1, 0]),
        (["--action", "support.issue_credit"], []),
        (["--tenant", "nobody"], []),
        (["--since", "9999-01-01"], []),
        (["--since", "20000w"], [2, 1, 0]),
    ],
)
def test_many_records_are_lines(
    lumyn: Lumyn, workspace: Path, ids: list[str], filters: list[str], places: list[int]
) -> None:
    result = lumyn("export", "--jsonl", *filters)
    expected = [stored(workspace, ids[place]) for place in places]
    assert (0, expected, "") == (result.code, result.out.splitlines(), result.err)
    assert 0 == lumyn("export", "--jsonl", *filters, "-o", "all.jsonl").code
    assert expected == (workspace / "all.jsonl").read_text(encoding="utf-8").splitlines()


def test_many_records_are_read_as_they_are_written(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    """One record is at hand at a time, so memory stays what it is however many there are."""
    from lumyn.cli.commands import export as module

    rows = open_store(str(workspace / ".lumyn" / "lumyn.db")).decisions(limit=10)
    lines = module._lines(rows, None, None)
    assert stored(workspace, ids[2]).encode() + b"\n" == next(lines)
    assert ids[1] == next(rows).decision_id


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--pack"],
        ["@last", "--jsonl"],
        ["--pack", "--jsonl"],
        ["@last", "--verdict", "TRUST"],
        ["@last", "--pack", "-o", "-", "--json"],
        ["--jsonl", "--json"],
        ["--jsonl", "--verdict", "MAYBE"],
        ["--jsonl", "--limit", "0"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(lumyn: Lumyn, ids: list[str], arguments: list[str]) -> None:
    assert 2 == lumyn("export", *arguments).code


def test_unknown_ids_and_missing_stores(lumyn: Lumyn, ids: list[str], tmp_path: Path) -> None:
    assert 5 == lumyn("export", "01ARZ3NDEKTSV4RRFFQ69G5FAV").code
    assert 5 == lumyn("export", "nonsense", "--pack").code
    assert 4 == lumyn("export", "@last", "--store", str(tmp_path / "none.db")).code
    assert [] == list(tmp_path.glob("*.zip"))


def test_a_broken_store_makes_no_pack_and_leaves_no_file(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    from tampering import tamper

    before = sorted(workspace.iterdir())
    tamper(workspace / ".lumyn" / "lumyn.db", "UPDATE policy_snapshots SET chain = zeroblob(32)")
    result = lumyn("export", ids[0], "--pack")
    assert 4 == result.code
    assert "`lumyn verify`" in result.err
    assert before == sorted(workspace.iterdir())


def test_a_folder_that_cannot_be_written(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    (workspace / "file").write_text("", encoding="utf-8")
    result = lumyn("export", "@last", "--pack", "-o", "file/p.zip")
    assert (4, "") == (result.code, result.out)
    assert "cannot write" in result.err


def test_no_policy_is_needed(lumyn: Lumyn, workspace: Path, ids: list[str]) -> None:
    """In an incident, the policy file may be what is broken."""
    (workspace / "policies" / "support.yml").write_text("rules: [", encoding="utf-8")
    assert 0 == lumyn("export", "@last", "--pack").code
    assert 0 == lumyn("replay", "@last").code


def test_a_closed_pipe_is_quiet(workspace: Path, ids: list[str]) -> None:
    command = f"{sys.executable} -m lumyn export --jsonl | true"
    done = subprocess.run(command, shell=True, cwd=workspace, capture_output=True, text=True, check=False)
    assert "" == done.stderr
