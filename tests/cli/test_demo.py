"""`lumyn demo`: four verdicts in an empty folder, at once, without a network, and a story of a failure remembered."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write

VERDICTS = ["TRUST", "ESCALATE", "QUERY", "ABSTAIN"]


def test_it_shows_the_four_verdicts_with_their_reasons(lumyn: Lumyn) -> None:
    result = lumyn("demo")
    assert (0, "") == (result.code, result.err)
    for piece in (*VERDICTS, "REFUND_SMALL_LOW_RISK", "REFUND_OVER_ESCALATION_LIMIT", "EVIDENCE_MISSING"):
        assert piece in result.out
    assert "story" not in result.out
    assert VERDICTS == [entry["record"]["verdict"] for entry in lumyn("demo", "--json").data["decisions"]]


def test_the_story_turns_trust_into_escalate_by_a_labelled_failure(lumyn: Lumyn) -> None:
    result = lumyn("demo", "--story")
    assert 0 == result.code
    story = result.out.split("story of a refund")[1]
    assert story.index("TRUST") < story.index("failure") < story.index("ESCALATE")
    assert "FAILURE_MEMORY_SIMILAR_ESCALATE" in story
    assert "memory: " in story
    data = lumyn("demo", "--story", "--json").data
    after = data["story"]["after"]["record"]
    assert "ESCALATE" == after["verdict"]
    assert data["story"]["label"]["memory_id"] in str(after["risk_signals"])
    assert data["decisions"][0]["record"]["decision_id"] == data["story"]["before"]
    assert "TRUST" == data["decisions"][0]["record"]["verdict"]


def test_it_can_be_run_again_and_again(lumyn: Lumyn) -> None:
    """The failures of one run must not change the verdicts of the next."""
    for _ in range(3):
        data = lumyn("demo", "--story", "--json").data
        assert VERDICTS == [entry["record"]["verdict"] for entry in data["decisions"]]
    assert 15 == len(lumyn("show", "--json").data["records"])


def test_the_three_commands_it_ends_with_work_as_printed(lumyn: Lumyn, tmp_path: Path) -> None:
    lines = lumyn("demo", "--story").out.splitlines()
    commands = [line.strip() for line in lines[lines.index("next:") + 1 :]]
    assert 3 == len(commands)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in commands:
        done = subprocess.run(
            shlex.split(command), cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert 0 == done.returncode, f"{command}\n{done.stdout}\n{done.stderr}"


def test_beside_a_workspace_it_touches_nothing_and_its_commands_name_the_demo(lumyn: Lumyn, workspace: Path) -> None:
    result = lumyn("demo", "--json")
    assert 0 == result.code
    assert 3 == len(result.data["next"])
    assert result.data["next"][0].startswith("lumyn --config .lumyn/demo/lumyn.toml explain ")
    assert "no decisions here\n" == lumyn("show").out
    for command in result.data["next"]:
        assert 0 == lumyn(*shlex.split(command)[1:]).code, command


def test_on_a_terminal_it_says_nothing_beside_its_story(
    lumyn: Lumyn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which workspace is used is a note of the commands that look, not of this one."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert "" == lumyn("demo").err


def test_a_broken_configuration_beside_it_does_not_matter(lumyn: Lumyn, tmp_path: Path) -> None:
    (tmp_path / "lumyn.toml").write_text("broken")
    result = lumyn("demo", "--json")
    assert 0 == result.code
    assert 0 == lumyn(*shlex.split(result.data["next"][0])[1:]).code


def test_it_leaves_a_workspace_that_show_and_label_accept(lumyn: Lumyn, tmp_path: Path) -> None:
    assert 0 == lumyn("demo").code
    assert 4 == len(lumyn("show", "--json").data["records"])
    assert 0 == lumyn("label", "@last", "--success").code
    assert not (tmp_path / "lumyn.toml").exists()


def test_after_init_the_demo_is_out_of_the_way(lumyn: Lumyn, tmp_path: Path) -> None:
    lumyn("demo", "--story")
    assert 0 == lumyn("init").code
    assert [] == lumyn("show", "--json").data["records"]
    assert 0 == lumyn("decide", write(tmp_path / "r.json", refund())).code


def test_after_init_an_id_the_demo_printed_is_still_found(lumyn: Lumyn) -> None:
    """Who runs the commands in another order is told where the demo's decisions are."""
    decision_id = lumyn("demo", "--json").data["decisions"][0]["record"]["decision_id"]
    lumyn("init")
    missed = lumyn("explain", decision_id)
    assert 5 == missed.code
    command = f"lumyn --config {Path('.lumyn/demo/lumyn.toml')} show"
    assert f"`{command}`" in missed.err
    assert decision_id in lumyn(*shlex.split(command)[1:]).out


def test_the_users_settings_do_not_reach_it(lumyn: Lumyn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMYN_STORE_URL", f"sqlite:///{tmp_path}/production.db")
    monkeypatch.setenv("LUMYN_POLICY_MODE", "advisory")
    result = lumyn("demo", "--json")
    assert "enforce" == result.data["decisions"][0]["record"]["policy"]["mode"]
    assert not (tmp_path / "production.db").exists()


def test_it_needs_no_network(tmp_path: Path) -> None:
    script = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from lumyn.cli.entry import run\nsys.exit(run(['demo', '--story']))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert (0, b"") == (done.returncode, done.stderr)


def test_a_file_in_its_way_is_exit_4(lumyn: Lumyn, tmp_path: Path) -> None:
    (tmp_path / ".lumyn").write_text("x")
    result = lumyn("demo")
    assert 4 == result.code
    assert "cannot write" in result.err


@pytest.mark.parametrize("columns", ["60", "80"])
def test_no_line_is_wider_than_the_terminal(lumyn: Lumyn, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = lumyn("demo", "--story").out
    assert max(map(len, out.splitlines())) <= int(columns)
    assert all(verdict in out for verdict in VERDICTS)
