"""`lumyn vectors fmt`: one layout; what a file says, its comments and its cases stay."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from cli.harness import Lumyn

from lumyn.vectors import load_suite

ROOT = Path(__file__).resolve().parents[2]
MESSY = """\
# about refunds
schema_version:   vector.v0
policy: policies/support.yml
clock: "2026-01-15T12:00:00Z"


vectors:
- name: messy   # why
  request: {action: {type: support.update_ticket,intent: x}, evidence: {ticket_id: T-1}}
  expect:
      verdict: TRUST
      reason_codes: [ UPDATE_TICKET_TICKET_GIVEN ]
"""
TIDY = """\
# about refunds
schema_version: vector.v0
policy: policies/support.yml
clock: "2026-01-15T12:00:00Z"

vectors:
  - name: messy  # why
    request: { action: { type: support.update_ticket, intent: x }, evidence: { ticket_id: T-1 } }
    expect:
      verdict: TRUST
      reason_codes: [UPDATE_TICKET_TICKET_GIVEN]
"""


@pytest.fixture
def messy(workspace: Path) -> Path:
    path = workspace / "vectors" / "messy.yml"
    path.write_text(MESSY)
    return path


def test_a_file_is_laid_out(lumyn: Lumyn, workspace: Path, messy: Path) -> None:
    before = load_suite(messy, root=workspace).vectors
    result = lumyn("vectors", "fmt", "vectors/messy.yml")
    assert (0, "vectors/messy.yml\nchanged 1 file of 1\n", "") == (result.code, result.out, result.err)
    assert TIDY == messy.read_text()
    after = load_suite(messy, root=workspace).vectors
    assert [vector.document for vector in before] == [vector.document for vector in after]
    assert "changed 0 files of 1\n" == lumyn("vectors", "fmt", "vectors/messy.yml").out


def test_check_prints_a_diff_and_changes_nothing(lumyn: Lumyn, messy: Path) -> None:
    result = lumyn("vectors", "fmt", "--check", "vectors")
    assert 1 == result.code
    assert "-schema_version:   vector.v0\n+schema_version: vector.v0\n" in result.out
    assert "would change 1 file of " in result.out
    assert MESSY == messy.read_text()


def test_what_init_writes_is_laid_out(lumyn: Lumyn, workspace: Path) -> None:
    assert 0 == lumyn("vectors", "fmt", "--check").code


def test_defaults_are_laid_out_too(lumyn: Lumyn, workspace: Path) -> None:
    defaults = workspace / "vectors" / "_defaults.yaml"
    defaults.write_text("schema_version:   vector.v0\ntags: [ a ]\n")
    assert 0 == lumyn("vectors", "fmt").code
    assert "schema_version: vector.v0\ntags: [a]\n" == defaults.read_text()


def test_other_documents_are_passed_over(lumyn: Lumyn, workspace: Path) -> None:
    other = workspace / "vectors" / "_golden.json"
    other.write_text('{"verdict":"TRUST"}')
    result = lumyn("vectors", "fmt", "vectors/_golden.json")
    assert (0, "changed 0 files of 1\n", '{"verdict":"TRUST"}') == (result.code, result.out, other.read_text())


def test_what_cannot_be_read_is_said_and_the_rest_goes_on(lumyn: Lumyn, workspace: Path, messy: Path) -> None:
    broken = workspace / "vectors" / "broken.yml"
    broken.write_text("a: [1\n")
    result = lumyn("vectors", "fmt", "vectors/broken.yml", "vectors/messy.yml")
    assert 3 == result.code
    assert "error: vectors/broken.yml: vectors/broken.yml:" in result.out.replace("\n  ", " ")
    assert TIDY == messy.read_text()


def test_json(lumyn: Lumyn, messy: Path) -> None:
    result = lumyn("vectors", "fmt", "--check", "--json", "vectors/messy.yml")
    assert 1 == result.code
    assert [{"file": "vectors/messy.yml", "state": "changed", "problem": ""}] == result.data["files"]


def test_a_path_that_is_not_there_is_an_error(lumyn: Lumyn, workspace: Path) -> None:
    assert 5 == lumyn("vectors", "fmt", "vectors/nothing.yml").code


def test_line_ends_are_those_of_the_first_line(lumyn: Lumyn, messy: Path) -> None:
    """Where git checks files out with CRLF, a tidy file is tidy; a file of two kinds of line ends is not."""
    tidy = TIDY.replace("\n", "\r\n").encode()
    messy.write_bytes(tidy)
    assert 0 == lumyn("vectors", "fmt", "--check").code
    messy.write_bytes(tidy.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n", 1))
    result = lumyn("vectors", "fmt", "--check")
    assert (1, "vectors/messy.yml: only its line ends would change") == (result.code, result.out.partition(",")[0])
    assert 0 == lumyn("vectors", "fmt").code
    assert tidy == messy.read_bytes()


def test_mode_and_byte_order_mark_stay(lumyn: Lumyn, messy: Path) -> None:
    messy.write_bytes(b"\xef\xbb\xbf" + MESSY.replace("\n", "\r\n").encode())
    messy.chmod(0o640)
    assert 0 == lumyn("vectors", "fmt", "vectors/messy.yml").code
    assert b"\xef\xbb\xbf" + TIDY.replace("\n", "\r\n").encode() == messy.read_bytes()
    assert 0o640 == stat.S_IMODE(messy.stat().st_mode)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_file_is_left_alone(lumyn: Lumyn, messy: Path) -> None:
    messy.chmod(0o444)
    assert (3, MESSY) == (lumyn("vectors", "fmt", "vectors/messy.yml").code, messy.read_text())


def test_a_link_is_left_alone(lumyn: Lumyn, workspace: Path, messy: Path) -> None:
    link = workspace / "vectors" / "link.yml"
    link.symlink_to("messy.yml")
    result = lumyn("vectors", "fmt", "vectors/link.yml")
    assert (3, MESSY) == (result.code, messy.read_text())
    assert "a symbolic link leads to its file" in result.out


@pytest.mark.parametrize("folder", [".", "examples/app"])
def test_the_vectors_of_this_project_are_laid_out(lumyn: Lumyn, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.chdir(ROOT / folder)
    assert 0 == lumyn("vectors", "fmt", "--check").code
