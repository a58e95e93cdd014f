"""`lumyn policy fmt`: one layout for policy files, and nothing lost on the way to it."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli.harness import Lumyn

from lumyn.policy.loader import load_policy

NEAT = """\
schema_version: policy.v0
policy_id: neat
policy_version: "1"
rules:
  - id: A  # the only one
    stage: ESCALATIONS
    if: { amount_usd_gt: 10 }
    then: { verdict: ESCALATE, reason_codes: [MANUAL_APPROVAL_REQUESTED] }
"""
MESSY = NEAT.replace("{ amount_usd_gt: 10 }", "{amount_usd_gt:   10}").replace("id: A  #", "id:    A #")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A valid policy in another layout."""
    path = tmp_path / "p.yml"
    path.write_text(MESSY)
    return path


def test_a_file_is_laid_out_and_keeps_its_hash(lumyn: Lumyn, policy: Path) -> None:
    before = load_policy(policy).policy_hash
    result = lumyn("policy", "fmt", "p.yml")
    assert (0, "formatted p.yml\n", "") == (result.code, result.out, result.err)
    assert NEAT == policy.read_text()
    assert before == load_policy(policy).policy_hash
    again = lumyn("policy", "fmt", "p.yml")
    assert (0, "") == (again.code, again.out)


def test_check_prints_what_would_change_and_changes_nothing(lumyn: Lumyn, policy: Path) -> None:
    result = lumyn("policy", "fmt", "--check", "p.yml")
    assert 1 == result.code
    assert "-    if: {amount_usd_gt:   10}\n+    if: { amount_usd_gt: 10 }\n" in result.out
    assert MESSY == policy.read_text()
    policy.write_text(NEAT)
    assert (0, "") == (lumyn("policy", "fmt", "--check", "p.yml").code, lumyn("policy", "fmt", "--check", "p.yml").out)


def test_line_ends_are_those_of_the_first_line(lumyn: Lumyn, policy: Path) -> None:
    """Where git checks files out with CRLF, a neat file is neat; a file of two kinds of line ends is not."""
    neat = NEAT.replace("\n", "\r\n").encode()
    policy.write_bytes(neat)
    assert 0 == lumyn("policy", "fmt", "--check", "p.yml").code
    policy.write_bytes(MESSY.replace("\n", "\r\n").encode())
    assert 0 == lumyn("policy", "fmt", "p.yml").code
    assert neat == policy.read_bytes()
    policy.write_bytes(neat.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n", 3))
    result = lumyn("policy", "fmt", "--check", "p.yml")
    assert (1, "p.yml: only its line ends would change, to one kind of them\n") == (result.code, result.out)
    assert 0 == lumyn("policy", "fmt", "p.yml").code
    assert neat == policy.read_bytes()


def test_several_files_each_told(lumyn: Lumyn, policy: Path, tmp_path: Path) -> None:
    (tmp_path / "neat.yml").write_text(NEAT)
    (tmp_path / "bad.yml").write_text("schema_version: policy.v0\n")
    result = lumyn("policy", "fmt", "--json", "p.yml", "neat.yml", "bad.yml", "missing.yml")
    assert 3 == result.code
    assert "lumyn.cli.policy_fmt.v0" == result.data["schema"]
    assert ["formatted", "unchanged", "invalid", "invalid"] == [each["status"] for each in result.data["files"]]
    assert "PATH_NOT_FOUND" == result.data["files"][3]["problems"][0]["code"]
    assert {"file", "status", "diff", "problems"} == set(result.data["files"][0])
    assert NEAT == policy.read_text()


def test_an_invalid_policy_is_refused_with_the_usual_problems(lumyn: Lumyn, policy: Path) -> None:
    text = MESSY.replace("amount_usd_gt", "amount_usd_gtt")
    policy.write_text(text)
    result = lumyn("policy", "fmt", "p.yml")
    assert 3 == result.code
    assert re.search(r"p.yml:7:\d+: error: .*\[OPERATOR_UNKNOWN\]", result.out)
    assert text == policy.read_text()


def test_standard_input_goes_to_standard_output(lumyn: Lumyn, tmp_path: Path) -> None:
    result = lumyn("policy", "fmt", "-", stdin=MESSY.encode())
    assert (0, NEAT, "") == (result.code, result.out, result.err)
    bad = lumyn("policy", "fmt", "-", stdin=b"a: [")
    assert (3, "") == (bad.code, bad.out)
    assert 1 == lumyn("policy", "fmt", "-", "--check", stdin=MESSY.encode()).code
    assert 2 == lumyn("policy", "fmt", "-", "p.yml").code


@pytest.mark.parametrize("arguments", [[], ["--check"], ["--json"]])
def test_without_a_file_it_is_a_usage_error(lumyn: Lumyn, arguments: list[str]) -> None:
    assert 2 == lumyn("policy", "fmt", *arguments).code


@pytest.mark.parametrize("name", [".", "nope/p.yml", "\x1b[2J.yml"])
def test_what_is_no_file_is_exit_3(lumyn: Lumyn, name: str) -> None:
    result = lumyn("policy", "fmt", name)
    assert 3 == result.code
    assert "\x1b" not in result.out + result.err


def test_permissions_stay(lumyn: Lumyn, policy: Path) -> None:
    policy.chmod(0o600)
    assert 0 == lumyn("policy", "fmt", "p.yml").code
    assert 0o600 == stat.S_IMODE(policy.stat().st_mode)


def test_a_link_stays_one_and_its_file_is_laid_out(lumyn: Lumyn, policy: Path, tmp_path: Path) -> None:
    (tmp_path / "link.yml").symlink_to(policy)
    assert 0 == lumyn("policy", "fmt", "link.yml").code
    assert (tmp_path / "link.yml").is_symlink()
    assert NEAT == policy.read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_exit_4(lumyn: Lumyn, policy: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert 4 == lumyn("policy", "fmt", "p.yml").code
        assert MESSY == policy.read_text()
    finally:
        tmp_path.chmod(0o700)


def test_a_file_that_cannot_be_replaced_is_exit_4_and_left_whole(
    lumyn: Lumyn, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("lumyn._files.replace_file", refuse)
    result = lumyn("policy", "fmt", "p.yml")
    assert 4 == result.code
    assert "PATH_NOT_WRITABLE" in result.err or "cannot write" in result.err
    assert MESSY == policy.read_text()


def test_the_diff_is_not_folded_and_holds_nothing_raw(
    lumyn: Lumyn, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy.write_text(MESSY.replace("the only one", "the only one " + "x" * 80 + " \u200d"))
    monkeypatch.setenv("COLUMNS", "60")
    lines = lumyn("policy", "fmt", "--check", "p.yml").out.splitlines()
    assert any("x" * 80 in line for line in lines)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in lumyn("policy", "fmt", "--check", "p.yml").out


def test_a_closed_pipe_is_quiet(policy: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "lumyn", "policy", "fmt", "--check", "p.yml"],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (141, b"") == (done.returncode, done.stderr)
