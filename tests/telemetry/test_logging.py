"""One line a decision: what it must hold, what it must never hold, and who decides where it goes."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from telemetry.conftest import POLICY, SECRET, request

from lumyn import Gate
from lumyn.telemetry import Observation
from lumyn.telemetry.logging import LOGGER, line, log_decision, log_to

Watched = Callable[..., Gate]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the logger as it was."""
    logger = logging.getLogger(LOGGER)
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def test_the_line_of_a_decision(watched: Watched) -> None:
    stream = io.StringIO()
    log_to(stream)
    gate = watched(log_decision)
    record = gate.decide(request())
    told = json.loads(stream.getvalue())
    assert told.pop("elapsed_us") >= 0
    assert {
        "event": "decision",
        "at": "2026-01-15T12:00:00.000Z",
        "decision_id": record.decision_id,
        "verdict": "TRUST",
        "reason_codes": ["REFUND_SMALL_LOW_RISK"],
        "permits": True,
        "policy_id": "watched",
        "policy_version": "1.0.0",
        "policy_hash": gate.policy.policy_hash,
        "persisted": True,
        "dry_run": False,
        "repeated": False,
    } == told


def test_nothing_that_a_request_held_is_in_it(watched: Watched) -> None:
    """Whatever may be chosen freely in a request holds the secret; the record does hold it."""
    seen: list[Observation] = []
    record = watched(seen.append).decide(request())
    assert SECRET in record.to_json()
    assert SECRET not in line(seen[0])


def test_levels_tell_what_needs_a_person(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=LOGGER)
    gate = watched(log_decision)
    for each in (request(), request(), request(request_id="dry", hints={"dry_run": True})):
        gate.decide(each)
    gate.close()
    (Path(gate.store.url.removeprefix("sqlite:///"))).unlink()
    assert not gate.decide(request()).persisted
    assert ["INFO", "DEBUG", "INFO", "ERROR"] == [each.levelname for each in caplog.records]
    assert ["STORAGE_UNAVAILABLE"] == json.loads(caplog.records[-1].getMessage())["reason_codes"]


def test_the_fields_are_on_the_log_record(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """For an application whose own formatter writes the lines."""
    caplog.set_level(logging.INFO, logger=LOGGER)
    watched(log_decision).decide(request())
    (logged,) = caplog.records
    assert json.loads(logged.getMessage()) == logged.__dict__["lumyn"]


@pytest.mark.parametrize(("log", "lines"), [("off", 0), ("logger", 0), ("stderr", 1)])
def test_configuration_says_where_lines_go(tmp_path: Path, log: str, lines: int) -> None:
    (tmp_path / "policy.yml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "lumyn.toml").write_text(f'[policy]\npath = "policy.yml"\n[telemetry]\nlog = "{log}"\n')
    code = (
        "import sys, lumyn, lumyn.discovery as d\n"
        "d.open_gate(create=True).close()\n"
        f"print(lumyn.decide({request()!r}).verdict, 'logging' in sys.modules)"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LUMYN_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "TRUST" == done.stdout.split()[0]
    assert lines == len(done.stderr.splitlines())
    assert all(json.loads(each)["verdict"] == "TRUST" for each in done.stderr.splitlines())


def test_a_stream_that_fails_fails_no_decision(watched: Watched) -> None:
    """As everywhere in the standard library's logging; the record is what counts."""
    stream = io.StringIO()
    log_to(stream)
    stream.close()
    assert watched(log_decision).decide(request()).permits


def test_a_closed_standard_error_fails_no_decision(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nowhere left to tell of the failure either."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log_to()
    stream.close()
    assert watched(log_decision).decide(request()).permits
