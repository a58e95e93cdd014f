"""Which gate is opened: the configured one, once for a process, and never by a policy nobody chose."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.harness import refund

from lumyn.discovery import close_default_gate, default_gate, open_gate
from lumyn.errors import InvalidConfigError, InvalidPolicyError
from lumyn.model import Mode


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    close_default_gate()
    yield
    close_default_gate()


@pytest.fixture
def workspace(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configured folder without a store; the working directory."""
    policy = root / "policies" / "lumyn-support.v0.yml"
    (tmp_path / "lumyn.toml").write_text(f'[policy]\npath = "{policy}"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_configured_gate_is_opened(workspace: Path) -> None:
    with open_gate(create=True) as gate:
        assert "TRUST" == gate.decide(refund()).verdict
    assert (workspace / ".lumyn" / "lumyn.db").is_file()


def test_a_missing_store_is_not_created_and_every_decision_abstains(workspace: Path) -> None:
    with open_gate() as gate:
        record = gate.decide(refund())
    assert ("ABSTAIN", ("STORAGE_UNAVAILABLE",), False) == (record.verdict, record.reason_codes, record.persisted)
    assert not (workspace / ".lumyn").exists()


def test_arguments_go_before_the_configuration(workspace: Path, root: Path, tmp_path: Path) -> None:
    policy = root / "policies" / "packs" / "lumyn-billing.v0.yml"
    with open_gate(create=True, policy=policy, store=str(tmp_path / "other.db"), mode="advisory") as gate:
        assert ("lumyn-billing", Mode.ADVISORY) == (gate.policy.policy_id, gate.mode)
    assert (tmp_path / "other.db").is_file()


@pytest.mark.parametrize("text", [None, "", '[store]\nurl = "x.db"\n'])
def test_no_policy_is_ever_assumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "lumyn.toml").write_text(text)
    with pytest.raises(InvalidConfigError) as caught:
        open_gate(create=True)
    assert ("CONFIG_NOT_FOUND" if text is None else "FIELD_MISSING") == caught.value.problems[0].code
    assert not (tmp_path / ".lumyn").exists()


def test_a_missing_policy_is_an_invalid_policy(workspace: Path) -> None:
    (workspace / "lumyn.toml").write_text('[policy]\npath = "gone.yml"\n')
    with pytest.raises(InvalidPolicyError):
        open_gate()


def test_a_process_has_one_gate_until_it_is_closed(workspace: Path) -> None:
    first = default_gate()
    assert first is default_gate()
    close_default_gate()
    assert first is not default_gate()


def test_a_failed_opening_is_not_kept(tmp_path: Path, workspace: Path) -> None:
    config = workspace / "lumyn.toml"
    text = config.read_text()
    config.unlink()
    with pytest.raises(InvalidConfigError):
        default_gate()
    config.write_text(text)
    assert "lumyn-support" == default_gate().policy.policy_id


def test_decide_of_the_package_uses_the_configured_gate(workspace: Path) -> None:
    import lumyn

    open_gate(create=True).close()
    request: dict[str, Any] = refund()
    record = lumyn.decide(request)
    assert "TRUST" == record.verdict
    with open_gate() as gate:
        assert record.to_json() == gate.record(record.decision_id).to_json()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_of_a_fork_decides_even_when_the_parent_was_opening_its_gate(workspace: Path) -> None:
    from lumyn import discovery

    open_gate(create=True).close()
    with discovery._DEFAULT.lock:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if default_gate().decide(refund()).verdict == "TRUST" else 2
            finally:
                os._exit(code)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
