"""`lumyn vectors suggest` and `approve`: proposed vectors are written, skipped, approved, and then count."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.harness import Lumyn

FILE = "vectors/suggested.yml"


def test_what_is_written_is_skipped_until_it_is_approved(lumyn: Lumyn, workspace: Path) -> None:
    """The new file passes once it counts, and only the status goes."""
    before = lumyn("vectors", "run", "--json").data["counts"]
    result = lumyn("vectors", "suggest", "--max", "3", "--write", FILE)
    assert (0, f"wrote {FILE}" in result.out) == (result.code, True)
    text = (workspace / FILE).read_text(encoding="utf-8")
    assert 3 == text.count("    status: proposed\n")
    proposed = lumyn("vectors", "run", "--json").data["counts"]
    assert (before["passed"], before["skipped"] + 3) == (proposed["passed"], proposed["skipped"])
    assert 0 == lumyn("vectors", "approve", FILE).code
    assert text.replace("    status: proposed\n", "") == (workspace / FILE).read_text(encoding="utf-8")
    after = lumyn("vectors", "run", "--json").data["counts"]
    assert (before["passed"] + 3, before["failed"]) == (after["passed"], after["failed"])


def test_one_is_approved_by_its_id(lumyn: Lumyn, workspace: Path) -> None:
    found = lumyn("vectors", "suggest", "--max", "2", "--write", FILE, "--json").data
    name = found["suggestions"][1]["name"]
    assert [f"{FILE}::{name}"] == lumyn("vectors", "approve", f"{FILE}::{name}", "--json").data["approved"]
    assert 1 == (workspace / FILE).read_text(encoding="utf-8").count("status: proposed")


def test_suggestions_never_replace_a_file(lumyn: Lumyn, workspace: Path) -> None:
    kept = (workspace / "vectors/support.yml").read_bytes()
    assert 0 != lumyn("vectors", "suggest", "--max", "1", "--write", "vectors/support.yml").code
    assert kept == (workspace / "vectors/support.yml").read_bytes()


def test_an_expectation_that_is_not_so_is_not_approved(lumyn: Lumyn, workspace: Path) -> None:
    """Somebody corrected the question: the policy has to change first, and no file does."""
    assert 0 == lumyn("vectors", "suggest", "--max", "1", "--write", FILE).code
    path = workspace / FILE
    text = path.read_text(encoding="utf-8")
    verdict = "ABSTAIN" if "verdict: ABSTAIN" not in text else "QUERY"
    head, _, tail = text.rpartition("verdict: ")
    path.write_text(f"{head}verdict: {verdict}{tail[tail.index(chr(10)) :]}", encoding="utf-8")
    wrong = path.read_bytes()
    assert 3 == lumyn("vectors", "approve", FILE).code
    assert wrong == path.read_bytes()


def test_what_is_not_proposed_cannot_be_approved(lumyn: Lumyn, workspace: Path) -> None:
    assert 5 == lumyn("vectors", "approve", "vectors/support.yml").code
    assert 5 == lumyn("vectors", "approve", "vectors/support.yml::nobody").code


@pytest.mark.parametrize("place", ["../suggested.yml", "vectors/../../suggested.yml", "link/suggested.yml"])
def test_nothing_is_written_outside_the_workspace(lumyn: Lumyn, workspace: Path, place: str) -> None:
    """No run would find such vectors, and what is there is none of the workspace's."""
    (workspace / "link").symlink_to(workspace.parent, target_is_directory=True)
    result = lumyn("vectors", "suggest", "--write", place)
    assert 3 == result.code
    assert "PATH_OUTSIDE_ROOT" in result.err
    assert not (workspace.parent / "suggested.yml").exists()
