"""`lumyn label`: what became of a decision, and that the next similar one is judged by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write

FIELDS = [
    *("schema", "decision_id", "memory_id", "label", "action_type", "tenant_id", "summary", "retracts", "memory"),
    *("compared", "skipped", "complete", "changes"),
]


def decide(lumyn: Lumyn, workspace: Path, **changes: object) -> str:
    """Decide a refund; return the id of the decision."""
    return lumyn("decide", write(workspace / "r.json", refund(**changes)), "--json").data["record"]["decision_id"]


@pytest.mark.parametrize(
    ("flag", "label"), [("--failure", "failure"), ("--success", "success"), ("--near-miss", "near_miss")]
)
def test_a_label_is_kept_with_its_note(lumyn: Lumyn, workspace: Path, flag: str, label: str) -> None:
    decision = lumyn("decide", write(workspace / "r.json", refund()), "--json").data["record"]["decision_id"]
    result = lumyn("label", decision, flag, "--note", "because", "--actor", "ann", "--json")
    assert 0 == result.code
    assert FIELDS == list(result.data)
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


def test_what_memory_holds_and_what_would_change_is_told(lumyn: Lumyn, workspace: Path) -> None:
    """Exactly the like decisions of the same tenant and action, before and after; then all back again."""
    like = [decide(lumyn, workspace) for _ in range(2)]
    decide(lumyn, workspace, chargeback_risk=0.99)
    result = lumyn("label", like[0], "--failure", "--json").data
    assert {"failure": 1, "near_miss": 0, "success": 0} == result["memory"]
    assert (3, 0, True) == (result["compared"], result["skipped"], result["complete"])
    assert like[::-1] == [change["decision_id"] for change in result["changes"] if change["verdict"] == "TRUST"]
    for change in result["changes"]:
        assert ("TRUST", "ESCALATE") == (change["before"]["verdict"], change["after"]["verdict"])
        assert "FAILURE_MEMORY_SIMILAR_ESCALATE" in change["after"]["reason_codes"]
    again = lumyn("label", like[1], "--failure", "--json").data
    assert ({"failure": 2, "near_miss": 0, "success": 0}, []) == (again["memory"], again["changes"])
    for decision, changes in ((like[0], 0), (like[1], 2)):
        back = lumyn("label", decision, "--retract", "--reason", "a mistake", "--json").data
        assert changes == len(back["changes"])
        assert all("TRUST" == change["after"]["verdict"] for change in back["changes"])
    assert {"failure": 0, "near_miss": 0, "success": 0} == back["memory"]


def test_an_id_is_read_from_standard_input_to_take_a_label_back_too(lumyn: Lumyn, workspace: Path) -> None:
    """A decision, an experience, or `@last`; of a line too long to be an id nothing is guessed."""
    decision = decide(lumyn, workspace)
    for given in (lambda label: decision, lambda label: label["memory_id"], lambda label: "@last"):
        label = lumyn("label", "-", "--failure", "--json", stdin=decision.encode()).data
        result = lumyn("label", "-", "--retract", "--json", stdin=f"{given(label)}\n".encode())
        assert (0, label["memory_id"]) == (result.code, result.data["retracts"])
    lumyn("label", decision, "--failure")
    for line in (b"", b"\xff" * 5000, decision.encode() + b"0" * 5000):
        assert 5 == lumyn("label", "-", "--retract", stdin=line).code


def test_the_text_names_the_decisions_that_would_change(lumyn: Lumyn, workspace: Path) -> None:
    decision = decide(lumyn, workspace)
    out = lumyn("label", "@last", "--failure").out
    assert "now counts 1 failure, 0 near misses, 0 successes" in out
    assert f"TRUST -> ESCALATE  {decision}  support.refund 12.00 USD" in out
    out = lumyn("label", "@last", "--success").out
    assert "now counts 1 failure, 0 near misses, 0 successes" in out
    assert "1 recent decision compared, none would come out otherwise" in out


def test_an_incomplete_answer_says_so(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The label is kept however long it would take to tell what it changes."""
    decide(lumyn, workspace)
    with monkeypatch.context() as patch:
        patch.setattr("lumyn.core.impact.impact_of.__kwdefaults__", {"limit": 100, "budget_s": 0.0})
        result = lumyn("label", "@last", "--failure", "--json").data
        assert (None, 0, False, []) == tuple(result[key] for key in ("memory", "compared", "complete", "changes"))
        assert "not told" in lumyn("label", "@last", "--failure").out
    assert 10 == lumyn("decide", str(workspace / "r.json")).code


@pytest.mark.parametrize("by", ["@last", "prefix", "memory", "memory prefix", "kind"])
def test_a_label_is_taken_back(lumyn: Lumyn, workspace: Path, by: str) -> None:
    """By the decision, or by the experience; the refund is trusted again, and `show` tells who and why."""
    decision = decide(lumyn, workspace)
    memory = lumyn("label", decision, "--failure", "--json").data["memory_id"]
    target = {"prefix": decision[:25].lower(), "memory": memory, "memory prefix": memory[:25].lower()}.get(by, "@last")
    kind = ["--failure"] if by == "kind" else []
    result = lumyn("label", target, "--retract", *kind, "--reason", "not a failure", "--actor", "ann", "--json")
    assert (0, memory, "failure") == (result.code, result.data["retracts"], result.data["label"])
    assert "taken back by ann: not a failure" == result.data["summary"]
    assert "retraction by ann" in lumyn("show", decision).out
    assert 0 == lumyn("decide", str(workspace / "r.json")).code


def test_what_cannot_be_taken_back(lumyn: Lumyn, workspace: Path) -> None:
    """Nothing there, twice, and several: exit 5, and each says what is the matter."""
    decide(lumyn, workspace)
    result = lumyn("label", "@last", "--retract")
    assert (5, True) == (result.code, "NOTHING_TO_RETRACT" in result.err)
    for _ in range(2):
        lumyn("label", "@last", "--failure")
    result = lumyn("label", "@last", "--retract")
    assert (5, True) == (result.code, "RETRACTION_AMBIGUOUS" in result.err)
    lumyn("label", "@last", "--success")
    assert 0 == lumyn("label", "@last", "--retract", "--success").code
    result = lumyn("label", "@last", "--retract", "--success")
    assert (5, True) == (result.code, "ALREADY_RETRACTED" in result.err)
    for text in ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "x", "\udcff", "\x1b[2J", "%", ""):
        assert 5 == lumyn("label", text, "--retract").code
    assert 5 == lumyn("label", "0", "--retract").code


@pytest.mark.parametrize(
    "flags", [["--retract", "--note", "x"], ["--failure", "--reason", "x"], ["--retract", "--failure", "--success"]]
)
def test_options_that_do_not_go_together(lumyn: Lumyn, workspace: Path, flags: list[str]) -> None:
    decide(lumyn, workspace)
    assert 2 == lumyn("label", "@last", *flags).code


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
