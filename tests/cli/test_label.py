"""`lumyn label`: what became of a decision, and that the next similar one is judged by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write


@pytest.mark.parametrize(
    ("flag", "label"), [("--failure", "failure"), ("--success", "success"), ("--near-miss", "near_miss")]
)
def test_a_label_is_kept_with_its_note(lumyn: Lumyn, workspace: Path, flag: str, label: str) -> None:
    decision = lumyn("decide", write(workspace / "r.json", refund()), "--json").data["record"]["decision_id"]
    result = lumyn("label", decision, flag, "--note", "because", "--actor", "ann", "--json")
    assert 0 == result.code
    assert ["schema", "decision_id", "memory_id", "label", "action_type", "tenant_id", "summary"] == list(result.data)
    assert ("lumyn.cli.label.v0", decision, label, "because") == tuple(
        result.data[key] for key in ("schema", "decision_id", "label", "summary")
    )


def test_a_labelled_failure_turns_the_next_similar_refund_over_to_a_person(lumyn: Lumyn, workspace: Path) -> None:
    path = write(workspace / "r.json", refund())
    assert 0 == lumyn("decide", path).code
    result = lumyn("label", "@last", "--failure", "--note", "refunded twice")
    assert (0, "") == (result.code, result.err)
    assert "failure" in result.out
    result = lumyn("decide", path)
    assert 10 == result.code
    assert "FAILURE_MEMORY_SIMILAR_ESCALATE" in result.out
    assert "refunded twice" in result.out


@pytest.mark.parametrize("flags", [[], ["--failure", "--success"], ["--failure", "--near-miss", "--success"]])
def test_exactly_one_label_is_asked_for(lumyn: Lumyn, workspace: Path, flags: list[str]) -> None:
    lumyn("decide", write(workspace / "r.json", refund()))
    result = lumyn("label", "@last", *flags)
    assert 2 == result.code
    assert "exactly one" in result.err


@pytest.mark.parametrize("text", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "x", "@last"])
def test_an_unknown_decision_is_exit_5(lumyn: Lumyn, workspace: Path, text: str) -> None:
    assert 5 == lumyn("label", text, "--failure").code


def test_without_a_workspace_or_its_store(lumyn: Lumyn, tmp_path: Path) -> None:
    assert 3 == lumyn("label", "@last", "--failure").code
    assert 0 == lumyn("init").code
    for path in (tmp_path / ".lumyn").glob("lumyn.db*"):
        path.unlink()
    assert 4 == lumyn("label", "@last", "--failure").code


def test_a_note_never_reaches_the_terminal_raw(lumyn: Lumyn, workspace: Path) -> None:
    path = write(workspace / "r.json", refund())
    lumyn("decide", path)
    outputs = [
        lumyn("label", "@last", "--failure", "--note", "a\x1b[2J\nb\u202e", "--actor", "\x1b[2J").out,
        lumyn("show", "@last").out,
        lumyn("decide", path).out,
    ]
    assert all("\\x1b[2J" in out for out in outputs)
    assert not {"\x1b", "\u202e"} & set("".join(outputs))


@pytest.mark.parametrize("option", ["--note", "--actor"])
def test_text_that_is_not_unicode_is_refused(lumyn: Lumyn, workspace: Path, option: str) -> None:
    """Undecodable bytes of an argument arrive as lone surrogates, which no JSON can carry."""
    lumyn("decide", write(workspace / "r.json", refund()))
    result = lumyn("label", "@last", "--failure", option, "\udcff")
    assert 3 == result.code
    assert "UNICODE_INVALID" in result.err
