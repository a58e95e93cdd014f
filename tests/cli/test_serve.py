"""`lumyn serve` before it listens: each mistake of the operator is one clear line, and the exit code of its kind."""

from __future__ import annotations

import builtins
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.harness import Lumyn

KEYS = json.dumps([{"id": "a", "secret": "canary-0123456789abcdef0", "scopes": ["read"]}])


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens at."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_port_in_use(lumyn: Lumyn, workspace: Path, taken: int) -> None:
    result = lumyn("serve", "--port", str(taken))
    assert (3, "") == (result.code, result.out)
    assert "[ADDRESS_IN_USE]" in result.err
    assert "--port 0" in result.err


def test_others_are_let_in_with_keys_only(lumyn: Lumyn, workspace: Path) -> None:
    for host in ("0.0.0.0", "::"):
        result = lumyn("serve", "--host", host, "--port", "0")
        if "ADDRESS_UNKNOWN" in result.err:  # a machine without IPv6
            continue
        assert (3, True) == (result.code, "[SERVICE_UNSIGNED]" in result.err), result


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "x" * 300, "\x1b[2J"])
def test_an_interface_there_is_not(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("LUMYN_SERVICE_KEYS", KEYS)
    result = lumyn("serve", "--host", host, "--port", "0")
    assert 3 == result.code
    assert "ADDRESS_UNKNOWN" in result.err or "VALUE_INVALID" in result.err
    assert "\x1b" not in result.err


def test_a_port_that_takes_rights(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    result = lumyn("serve", "--port", "80")
    assert (3, True) == (result.code, "[ADDRESS_FORBIDDEN]" in result.err)


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_what_is_no_port(lumyn: Lumyn, workspace: Path, port: str) -> None:
    assert 2 == lumyn("serve", "--port", port).code


def test_a_store_that_cannot_keep_anything(lumyn: Lumyn, workspace: Path) -> None:
    (workspace / ".lumyn" / "lumyn.db").unlink()
    result = lumyn("serve", "--port", "0")
    assert (4, True) == (result.code, "STORAGE_UNAVAILABLE" in result.err)
    assert not (workspace / ".lumyn" / "lumyn.db").exists()


def test_a_store_that_is_read_only(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    real = sqlite3.connect

    def read_only(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*arguments, **options)
        connection.execute("PRAGMA query_only = ON")
        return connection

    monkeypatch.setattr(sqlite3, "connect", read_only)
    result = lumyn("serve", "--port", "0")
    assert 4 == result.code, result


@pytest.mark.parametrize("text", ["", "rules: ["])
def test_a_policy_that_cannot_be_used(lumyn: Lumyn, workspace: Path, text: str) -> None:
    (workspace / "bad.yml").write_text(text, encoding="utf-8")
    result = lumyn("serve", "--port", "0", "--policy", "bad.yml")
    assert (3, True) == (result.code, "bad.yml" in result.err)


def test_without_a_workspace(lumyn: Lumyn, tmp_path: Path) -> None:
    result = lumyn("serve")
    assert (3, True) == (result.code, "CONFIG_NOT_FOUND" in result.err)
    assert [] == list(tmp_path.iterdir())


def test_keys_that_protect_nothing(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMYN_SERVICE_KEYS", KEYS.replace("canary-0123456789abcdef0", "canary"))
    result = lumyn("serve", "--json")
    assert (3, "VALUE_INVALID") == (result.code, result.data["error"]["problems"][0]["code"])
    assert "canary" not in result.out + result.err


def test_doctor_masks_the_keys(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMYN_SERVICE_KEYS", KEYS)
    found = lumyn("doctor", "--json")
    (setting,) = [each for each in found.data["settings"] if each["key"] == "service.keys"]
    assert ("***", "LUMYN_SERVICE_KEYS") == (setting["value"], setting["origin"])
    assert "canary" not in found.out + lumyn("doctor").out


def test_without_the_extra(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what to install; every other command works."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.split(".")[0] in {"fastapi", "uvicorn", "prometheus_client"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **options)

    for name in [name for name in sys.modules if name.startswith("lumyn.api")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    result = lumyn("serve")
    assert (70, True) == (result.code, "[EXTRA_NOT_INSTALLED]" in result.err)
    assert "lumyn[service]" in result.err


def test_nothing_of_the_service_is_loaded_for_other_commands(workspace: Path) -> None:
    script = (
        "import sys; from lumyn.cli.entry import run; run(['show']); "
        "print([name for name in sys.modules if name.split('.')[0] in ('fastapi', 'uvicorn', 'starlette')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=workspace, capture_output=True, text=True, check=True, env=os.environ.copy()
    )
    assert "[]" == done.stdout.splitlines()[-1]
