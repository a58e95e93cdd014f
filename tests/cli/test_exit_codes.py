"""Every exit code is reached by a command, in a process of its own, and a shell acts on `decide` only when it may."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.harness import Lumyn, refund, write

from lumyn.cli.exit_codes import ExitCode

LUMYN = [sys.executable, "-m", "lumyn"]

REFUSED: dict[ExitCode, dict[str, Any]] = {
    ExitCode.ESCALATE: refund(chargeback_risk=0.5),
    ExitCode.QUERY: refund(order_id=None),
    ExitCode.ABSTAIN: refund(chargeback_risk=0.9),
    ExitCode.INVALID: refund() | {"subject": "nobody"},
}

REACHED: dict[ExitCode, list[str]] = {
    ExitCode.OK: ["decide", "trusted.json"],
    ExitCode.FAILED: ["vectors", "run", "drifts.yml"],
    ExitCode.USAGE: ["decide"],
    ExitCode.INVALID: ["decide", "INVALID.json"],
    ExitCode.STORAGE: ["show"],
    ExitCode.NOTHING_TO_DO: ["init"],
    ExitCode.ESCALATE: ["decide", "ESCALATE.json"],
    ExitCode.QUERY: ["decide", "QUERY.json"],
    ExitCode.ABSTAIN: ["decide", "ABSTAIN.json"],
    ExitCode.INTERNAL: ["show"],
    ExitCode.INTERRUPTED: ["decide", "-"],
    ExitCode.PIPE_CLOSED: ["decide", "trusted.json"],
}


@pytest.fixture
def requests(workspace: Path) -> Path:
    """A workspace with one request for each way `decide` can end, and a vector that drifts."""
    write(workspace / "trusted.json", refund())
    for code, request in REFUSED.items():
        write(workspace / f"{code.name}.json", request)
    text = (workspace / "vectors" / "support.yml").read_text()
    (workspace / "drifts.yml").write_text(text.replace("past_trust_limit, 25.01", "past_trust_limit, 25.00"))
    return workspace


def test_every_code_is_here() -> None:
    assert set(ExitCode) == set(REACHED)


@pytest.mark.parametrize("code", REACHED, ids=lambda code: code.name)
def test_it_is_reached(requests: Path, code: ExitCode) -> None:
    environ = dict(os.environ)
    line = REACHED[code]
    if code is ExitCode.STORAGE:
        environ["LUMYN_STORE_URL"] = "sqlite:///nothing.db"
    if code is ExitCode.INTERNAL:
        done = subprocess.run([sys.executable, "-c", BROKEN], cwd=requests, capture_output=True, check=False)
        assert ExitCode.INTERNAL == done.returncode
        return
    reader, writer = os.pipe()
    if code is ExitCode.PIPE_CLOSED:
        os.close(reader)
    process = subprocess.Popen(
        [*LUMYN, *line], cwd=requests, env=environ, stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    if code is ExitCode.INTERRUPTED:
        assert process.stdin is not None
        # More than a pipe holds: when this returns, the command is reading.
        process.stdin.write(b" " * 200_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if code is not ExitCode.PIPE_CLOSED:
        os.close(reader)
    assert code == process.returncode, err
    assert b"Traceback" not in err


BROKEN = """
import sys
import lumyn.cli.workspace
from lumyn.cli.entry import run

def broken(*_, **__):
    raise KeyError("a bug")

lumyn.cli.workspace.load_config = broken
sys.exit(run(["show"]))
"""


@pytest.mark.parametrize("flags", ["", " --json", " --json >/dev/null", " >&-"])
def test_a_shell_acts_only_on_trust(requests: Path, flags: str) -> None:
    """`lumyn decide r.json && act`: the promise the exit codes are made for."""
    acted = []
    for file in ("trusted.json", *(f"{code.name}.json" for code in REFUSED), "missing.json"):
        line = f"'{sys.executable}' -m lumyn decide {file}{flags} && echo acted >> {file}.acted"
        subprocess.run(["sh", "-c", line], cwd=requests, capture_output=True, check=False)
        if (requests / f"{file}.acted").exists():
            acted.append(file)
    assert ["trusted.json"] == acted


def test_a_dry_run_and_a_lost_store_permit_nothing(lumyn: Lumyn, requests: Path) -> None:
    """Whatever the verdict would have been."""
    dry = write(requests / "dry.json", refund() | {"hints": {"dry_run": True}})
    assert ExitCode.OK != lumyn("decide", dry).code
    for path in (requests / ".lumyn").glob("lumyn.db*"):
        path.unlink()
    result = lumyn("decide", "trusted.json", "--json")
    assert (ExitCode.ABSTAIN, False) == (result.code, json.loads(result.out)["permits"])
