"""`lumyn checkpoint`: a text to keep outside the store, and none for a store that is broken."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write
from tampering import tamper

from lumyn.store.checkpoint import parse_checkpoint


@pytest.fixture
def store(lumyn: Lumyn, workspace: Path) -> Path:
    lumyn("decide", write(workspace / "r.json", refund()))
    return workspace / ".lumyn" / "lumyn.db"


def test_three_lines_and_nothing_else(lumyn: Lumyn, store: Path) -> None:
    """Origin, size, root: what goes into a file can be given back as it is."""
    result = lumyn("checkpoint")
    assert (0, "") == (result.code, result.err)
    origin, size, root = result.out.splitlines()
    assert ("lumyn/", 38, "2") == (origin[:6], len(origin), size)
    assert 32 == len(base64.b64decode(root, validate=True))
    assert result.out == parse_checkpoint(result.out.encode()).text()


def test_it_is_the_same_until_something_is_written(lumyn: Lumyn, store: Path, workspace: Path) -> None:
    first = lumyn("checkpoint").out
    assert first == lumyn("checkpoint").out
    lumyn("decide", write(workspace / "r.json", refund(ticket_id="T-2")))
    second = lumyn("checkpoint").out
    assert (first.splitlines()[0], "3") == tuple(second.splitlines()[:2])
    assert first.splitlines()[2] != second.splitlines()[2]


def test_json_holds_the_text_as_well(lumyn: Lumyn, store: Path) -> None:
    data = lumyn("checkpoint", "--json").data
    assert ["schema", "origin", "size", "root", "text"] == list(data)
    assert "lumyn.cli.checkpoint.v0" == data["schema"]
    assert lumyn("checkpoint").out == data["text"] == f"{data['origin']}\n{data['size']}\n{data['root']}\n"


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_nothing_vouches_for_a_broken_journal(lumyn: Lumyn, store: Path, arguments: list[str]) -> None:
    tamper(store, "UPDATE decisions SET chain = zeroblob(32)")
    result = lumyn("checkpoint", *arguments)
    assert 1 == result.code
    assert "STORE_INTEGRITY_FAILED" in result.err
    assert "`seq` 2 of `decisions`: CHAIN_MISMATCH" in result.err
    assert (result.data["schema"] if arguments else result.out) == ("lumyn.cli.error.v0" if arguments else "")


def test_another_store_can_be_named(lumyn: Lumyn, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = lumyn("checkpoint").out
    monkeypatch.chdir("/")
    assert here == lumyn("checkpoint", "--store", str(store)).out


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_nothing_vouches_for_another_store_than_the_configured_one(
    lumyn: Lumyn, store: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    identity = lumyn("checkpoint").out.splitlines()[0].removeprefix("lumyn/")
    monkeypatch.setenv("LUMYN_STORE_ID", identity)
    assert 0 == lumyn("checkpoint", *arguments).code
    monkeypatch.setenv("LUMYN_STORE_ID", "0" * 32)
    result = lumyn("checkpoint", *arguments)
    assert 1 == result.code
    assert identity not in result.out
    assert "not the one that the configuration names" in result.err
    assert 0 == lumyn("checkpoint", "--store", f"sqlite:///{store}").code
