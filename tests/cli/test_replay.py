"""`lumyn replay`: a stored decision, or a pack, decided again and compared."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write
from packs.forging import forged, members_of
from tampering import tamper

from lumyn.packs.pack import VECTOR


@pytest.fixture
def decision(lumyn: Lumyn, workspace: Path) -> str:
    """An escalation that memory accounts for."""
    lumyn("decide", write(workspace / "r.json", refund()))
    lumyn("label", "@last", "--failure", "--note", "duplicate charge")
    data = lumyn("decide", write(workspace / "r.json", refund(ticket_id="T-2")), "--json").data
    return str(data["record"]["decision_id"])


@pytest.fixture
def pack(lumyn: Lumyn, workspace: Path, decision: str) -> Path:
    assert 0 == lumyn("export", decision, "--pack", "-o", "p.zip").code
    return workspace / "p.zip"


def test_a_stored_decision_comes_out_the_same(lumyn: Lumyn, decision: str) -> None:
    for name in (decision, decision.lower(), "@last"):
        result = lumyn("replay", name)
        assert (0, "") == (result.code, result.err)
        assert result.out.startswith("match  ESCALATE  support.refund 12.00 USD\n")
        assert "full: all of it, with the policy and the memory it saw" in result.out


def test_a_pack_needs_no_workspace(
    lumyn: Lumyn, pack: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    result = lumyn("replay", str(pack))
    assert (0, "") == (result.code, result.err)
    assert result.out.startswith("match  ESCALATE  ")
    assert "every digest in it is right" in result.out
    assert [] == list(elsewhere.iterdir())
    assert result == lumyn("replay", "-", stdin=pack.read_bytes())


def test_json_of_a_pack(lumyn: Lumyn, pack: Path, decision: str) -> None:
    data = lumyn("replay", "p.zip", "--json").data
    assert ("lumyn.cli.replay.v0", True, decision, "full", "", []) == tuple(
        data[key] for key in ("schema", "match", "decision_id", "status", "reason", "differences")
    )
    assert {"stored": "ESCALATE", "replayed": "ESCALATE"} == data["verdict"]
    assert ("passed", 5) == (data["pack"]["vector"], data["pack"]["checkpoint"]["size"])


def test_a_forged_verdict_exits_1_with_the_exact_differences(lumyn: Lumyn, pack: Path) -> None:
    vector = members_of(pack.read_bytes())[VECTOR].replace(b"verdict: ESCALATE", b"verdict: TRUST")
    data = forged(pack.read_bytes(), lambda record: record.update(verdict="TRUST"), vector__yml=vector)
    pack.write_bytes(data)
    result = lumyn("replay", "p.zip")
    assert (1, "") == (result.code, result.err)
    assert result.out.startswith("mismatch  TRUST  support.refund")
    assert 'differs     verdict\n              stored    "TRUST"\n              replayed  "ESCALATE"\n' in result.out
    told = lumyn("replay", "p.zip", "--json")
    assert (1, False) == (told.code, told.data["match"])
    assert {"path": "verdict", "stored": "TRUST", "replayed": "ESCALATE"} in told.data["differences"]


def test_a_changed_member_exits_1_and_a_damaged_file_3(lumyn: Lumyn, pack: Path) -> None:
    good = pack.read_bytes()
    pack.write_bytes(forged(good, lambda record: record.update(verdict="TRUST")))
    result = lumyn("replay", "p.zip")
    assert (1, "") == (result.code, result.out)
    assert "[PACK_DIGEST_MISMATCH]" in result.err
    for data, code in ((good[:-1], "PACK_NOT_CANONICAL"), (b"", "PACK_CORRUPT"), (good + b"\n", "PACK_NOT_CANONICAL")):
        pack.write_bytes(data)
        result = lumyn("replay", "p.zip", "--json")
        assert (3, code) == (result.code, result.data["error"]["problems"][0]["code"])


def test_a_stored_decision_that_does_not_come_out_exits_1(lumyn: Lumyn, workspace: Path, decision: str) -> None:
    """A forger with patience: the row is changed and its hashes are made to fit."""
    from packs.forging import leaf_hash

    store = workspace / ".lumyn" / "lumyn.db"
    record = lumyn("export", decision).out.strip()
    body = record.replace('"verdict":"ESCALATE"', '"verdict":"TRUST"')
    assert body != record
    leaf = leaf_hash("decision", body.encode()).hex()
    escaped = body.replace("'", "''")
    tamper(store, f"UPDATE decisions SET record = '{escaped}', leaf = x'{leaf}', verdict = 'TRUST' WHERE seq = 5")
    result = lumyn("replay", decision)
    assert 1 == result.code
    assert "mismatch  TRUST" in result.out
    assert 'replayed  "ESCALATE"' in result.out


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", 5),
        ("none.zip", 3),
        (".", 3),
        (os.devnull, 3),
        ("r.json", 3),
        ("--pack", 2),
    ],
)
def test_what_is_not_there(lumyn: Lumyn, pack: Path, argument: str, code: int) -> None:
    assert code == lumyn("replay", argument).code


def test_without_a_workspace_or_a_store(lumyn: Lumyn, tmp_path: Path) -> None:
    assert 3 == lumyn("replay", "@last").code
    assert 4 == lumyn("replay", "@last", "--store", str(tmp_path / "none.db")).code


@pytest.mark.parametrize("columns", ["40", "60", "80"])
def test_no_line_is_wider_than_the_terminal(
    lumyn: Lumyn, pack: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert max(map(len, lumyn("replay", "p.zip").out.splitlines())) <= int(columns)


def test_what_a_pack_says_cannot_steer_the_terminal(lumyn: Lumyn, pack: Path) -> None:
    def change(record: dict[str, object]) -> None:
        record["request"]["action"]["amount"]["value"] = "1.00"  # type: ignore[index]
        record["policy"]["policy_id"] = "x\u202e\x1b[2J"  # type: ignore[index]

    pack.write_bytes(forged(pack.read_bytes(), change))
    for arguments in (["p.zip"], ["p.zip", "--json"]):
        result = lumyn("replay", *arguments)
        assert {"\x1b", "\u202e"}.isdisjoint(result.out + result.err)
