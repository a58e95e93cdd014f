"""What examples and documentation show of the service is what the service does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from api.harness import KEYS, ROOT, SECRET, configured, serving

from lumyn.api.signing import signature

CURL = ROOT / "examples" / "curl"
PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
TOOLS = pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "openssl", "sh"))), reason="needs curl, openssl and a shell"
)


def lines(info: str) -> list[str]:
    """Return the commands of one block of the page beside the requests."""
    text = (CURL / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```console {info}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return found.splitlines()


@TOOLS
@pytest.mark.parametrize("info", ["service", "signed"])
def test_the_commands_for_a_terminal_work(tmp_path: Path, info: str) -> None:
    shutil.copy(ROOT / "policies" / "lumyn-support.v0.yml", tmp_path / "policy.yml")
    with serving(tmp_path, keys=KEYS if info == "signed" else None) as server:
        for line in lines(info):
            command = line.replace("http://127.0.0.1:8350", f"http://127.0.0.1:{server.port}")
            done = subprocess.run(
                command,
                shell=True,
                cwd=CURL,
                env={**os.environ, "GATE_URL": f"http://127.0.0.1:{server.port}", "no_proxy": "*"},
                capture_output=True,
                text=True,
                check=False,
                encoding="utf-8",
            )
            assert 0 == done.returncode, done
            if "metrics" in line:
                assert 'lumyn_decisions_total{verdict="TRUST"} 1.0' in done.stdout
                continue
            answer = json.loads(done.stdout)
            assert "reason_code" not in answer, answer
            if "decide" in line:
                assert "TRUST" == answer["verdict"]
            if "decisions?" in line:
                assert 1 == len(answer["decisions"])
        if info == "signed":
            wrong = lines(info)[0].replace(SECRET, "x" * 32)
            done = subprocess.run(
                wrong,
                shell=True,
                cwd=CURL,
                env={**os.environ, "GATE_URL": f"http://127.0.0.1:{server.port}", "no_proxy": "*"},
                capture_output=True,
                check=False,
            )
            assert (22, b"AUTH_INVALID_SIGNATURE" in done.stdout) == (done.returncode, True)


def test_the_signature_on_the_page_is_right() -> None:
    (text,) = re.findall(r"^```text\n(lumyn\.v1\n.*?)\n```", PAGE, flags=re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"`v1=([0-9a-f]{64})`", PAGE)
    assert shown == signature(SECRET.encode(), text.encode()).hex()
    assert SECRET in PAGE


def test_the_configuration_on_the_page_is_one(tmp_path: Path) -> None:
    from lumyn.config import load_config

    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "lumyn.toml").write_text(text.replace('"..."', f'"{SECRET}"'), encoding="utf-8")
    service = load_config(start=tmp_path, environ={}).service
    assert ("0.0.0.0", ["checkout-2026-01"]) == (service.bind_host, [key.id for key in service.keys])


def test_every_route_and_metric_is_on_the_page(tmp_path: Path) -> None:
    from lumyn.api.openapi import openapi_document
    from lumyn.api.service import Service

    for path, item in openapi_document()["paths"].items():
        for method in item:
            assert f"| `{method.upper()} {path.replace('{decision_id}', '{id}')}` |" in PAGE
    service = Service(configured(tmp_path))
    names = re.findall(r"^# TYPE (lumyn_\w+)", service.metrics.text().decode(), flags=re.MULTILINE)
    service.close()
    told = set(re.findall(r"`(lumyn_[a-z_]+)", PAGE))
    assert told == {name for name in names if not name.endswith(("_created", "_build_info"))}
