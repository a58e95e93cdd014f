"""The policy of a running service: replaced as a whole, kept when the new one cannot be used, never mixed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from api.harness import POLICY, Client, configured, request_document

from lumyn.api.desk import BusyError
from lumyn.api.reload import PolicyFile
from lumyn.api.service import WATCHED
from lumyn.errors import InvalidPolicyError, Problem
from lumyn.model import Mode


def rewrite(folder: Path, **changes: str) -> None:
    """Put a policy with other words in it in the place of the one there is, in one step."""
    text = POLICY.read_text(encoding="utf-8")
    for old, new in changes.items():
        text = text.replace(*{"trust": ("lte: 25", f"lte: {new}"), "mode": ("enforce", new)}[old])
    (folder / "next").write_text(text, encoding="utf-8")
    (folder / "next").replace(folder / "policy.yml")


def test_a_new_policy_decides_the_next_request(client: Client, tmp_path: Path) -> None:
    before = client.decide().data
    rewrite(tmp_path, trust="5")
    assert client.service.reload(because="test")
    after = client.decide().data
    assert ("TRUST", "ESCALATE") == (before["verdict"], after["verdict"])
    assert after["policy"]["policy_hash"] == client.call("GET", "/v0/policy").data["policy_hash"]
    counted = client.call("GET", "/metrics").body.decode()
    assert 1 == counted.count("lumyn_policy_info{")
    assert after["policy"]["policy_hash"] in counted


@pytest.mark.parametrize("broken", ["", "rules: [", "schema_version: policy.v0\n", "a: &a b\n", "\x00"])
def test_the_last_good_policy_stays(
    client: Client, tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And says so wherever anybody looks."""
    caplog.set_level("INFO")
    before = client.decide().data
    (tmp_path / "policy.yml").write_text(broken, encoding="utf-8")
    assert not client.service.reload(because="test")
    assert before["policy"] == client.decide().data["policy"]
    told = client.call("GET", "/v0/policy").data
    assert before["policy"]["policy_hash"] == told["policy_hash"]
    assert ("failed", "INVALID_POLICY") == (told["reload"]["status"], told["reload"]["error"]["reason_code"])
    ready = client.call("GET", "/readyz")
    assert (200, "failed") == (ready.status, ready.data["policy"]["reload"])
    assert "lumyn_policy_stale 1.0" in client.call("GET", "/metrics").body.decode()
    line = next(json.loads(each.message) for each in caplog.records if "policy_not_reloaded" in each.message)
    assert ("error", before["policy"]["policy_hash"]) == (line["level"], line["in_force"])
    rewrite(tmp_path)
    assert client.service.reload(because="test")
    assert "ok" == client.call("GET", "/readyz").data["policy"]["reload"]
    assert "lumyn_policy_stale 0.0" in client.call("GET", "/metrics").body.decode()


def test_a_policy_that_is_gone_stays_in_force(client: Client, tmp_path: Path) -> None:
    (tmp_path / "policy.yml").unlink()
    assert not client.service.reload(because="test")
    assert 200 == client.decide().status


def test_the_mode_of_a_new_policy_holds(client: Client, tmp_path: Path) -> None:
    """From advice to enforcement above all: unless the operator set a mode, it is the policy's."""
    rewrite(tmp_path, mode="advisory")
    assert client.service.reload(because="test")
    assert "advisory" == client.decide().data["policy"]["mode"]
    rewrite(tmp_path)
    assert client.service.reload(because="test")
    assert "enforce" == client.decide().data["policy"]["mode"]


def test_a_new_policy_does_not_loosen_the_mode_that_the_operator_set(client: Client, tmp_path: Path) -> None:
    from dataclasses import replace

    config = client.service.config
    client.service.config = replace(config, policy=replace(config.policy, mode=Mode.ENFORCE))
    rewrite(tmp_path, mode="advisory")
    assert client.service.reload(because="test")
    assert "enforce" == client.decide().data["policy"]["mode"]


class Raising(logging.Handler):
    """A handler of an application that does not hold to what handlers promise."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("no room for the line")


def test_what_was_done_stays_done_when_its_line_cannot_be_written(
    client: Client, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A policy that is in force is not called unusable, nor a stored decision a failure."""
    logger = logging.getLogger("lumyn.service")
    handler, level = Raising(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    request.addfinalizer(lambda: (logger.removeHandler(handler), logger.setLevel(level)))
    rewrite(tmp_path, trust="5")
    assert client.service.reload(because="test")
    assert "ok" == client.service.file.state()["status"]
    assert (200, "ESCALATE") == (client.decide().status, client.decide().data["verdict"])
    (tmp_path / "policy.yml").write_text("", encoding="utf-8")
    assert not client.service.reload(because="test")
    assert "failed" == client.service.file.state()["status"]


def test_probes_keep_no_policy_from_being_reloaded(tmp_path: Path) -> None:
    """They are not signed: whoever asks all the time must not hold back a stricter policy."""
    with Client(configured(tmp_path, watch_s=0.05)) as client:
        busy = threading.Event()

        async def reloads() -> str:
            probes = client.service.probes
            waiting = [asyncio.ensure_future(probes.run(busy.wait)) for _ in range(17)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError):
                await probes.run(busy.wait)
            before = client.service.gate.policy.policy_hash
            rewrite(tmp_path, trust="5")
            for _ in range(200):
                await asyncio.sleep(0.05)
                if client.service.gate.policy.policy_hash != before:
                    break
            busy.set()
            await asyncio.gather(*waiting)
            return client.service.gate.policy.policy_hash

        assert client.run(reloads()) == client.decide().data["policy"]["policy_hash"]
        assert "ESCALATE" == client.decide(request_id="other").data["verdict"]


def test_no_decision_mixes_two_policies(client: Client, tmp_path: Path) -> None:
    """Under load, each record is of one policy: its verdict is that of the hash it names."""

    async def load() -> list[Any]:
        async def reloads() -> None:
            for number in range(12):
                rewrite(tmp_path, trust="5" if number % 2 else "25")
                await asyncio.to_thread(client.service.reload, because="test")

        calls = [client.send("POST", "/v0/decide", request_document()) for _ in range(150)]
        return (await asyncio.gather(reloads(), *calls))[1:]

    verdicts: dict[str, set[str]] = {}
    for reply in client.run(load()):
        assert 200 == reply.status
        verdicts.setdefault(reply.data["policy"]["policy_hash"], set()).add(reply.data["verdict"])
    assert {("TRUST",), ("ESCALATE",)} >= {tuple(found) for found in verdicts.values()}
    from lumyn.core.replay import replay_decision

    for row in client.service.gate.store.decisions(limit=1_000):
        assert replay_decision(client.service.gate.store, row.decision_id, policy=None).identical


def test_a_file_is_let_be_while_it_is_written(tmp_path: Path) -> None:
    """Half of a policy may be a valid one, and a looser one."""
    path = tmp_path / "policy.yml"
    path.write_text("a", encoding="utf-8")
    file = PolicyFile(path)
    assert [False, False] == [file.changed(), file.changed()]
    for text in ("ab", "abc", "abcd"):
        path.write_text(text, encoding="utf-8")
        assert not file.changed()
    assert file.changed()
    assert file.changed(), "it stays another file until it is read"


def test_a_failure_is_told_once(tmp_path: Path) -> None:
    """Not every two seconds for as long as it lasts."""
    with Client(configured(tmp_path)) as client:
        file = client.service.file
        (tmp_path / "policy.yml").unlink()
        assert [False, True] == [file.changed(), file.changed()]
        assert not client.service.reload(because="test")
        assert [False, False] == [file.changed(), file.changed()]


def test_a_file_that_could_not_be_read_is_read_again(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as while too many files were open: a stricter policy must not wait until somebody touches it."""
    caplog.set_level("INFO")
    service = client.service

    def no_descriptor(*arguments: Any, **options: Any) -> bytes:
        problem = Problem(code="PATH_NOT_READABLE", message="too many open files")
        raise InvalidPolicyError([problem])

    def told() -> int:
        return sum("policy_not_reloaded" in each.message for each in caplog.records)

    rewrite(tmp_path, trust="5")
    service.changed()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumyn.api.reload.read_bytes", no_descriptor)
        for _ in range(3):
            assert service.changed()
            assert not service.reload(because=WATCHED)
        assert 1 == told(), "once, however long it lasts"
        assert not service.reload(because="SIGHUP")
        assert 2 == told(), "whoever asks is answered"
    assert "TRUST" == client.decide().data["verdict"]
    assert service.changed()
    assert service.reload(because=WATCHED)
    assert "ESCALATE" == client.decide().data["verdict"]
    assert not service.changed()


def test_nothing_a_policy_does_ends_the_watch(tmp_path: Path) -> None:
    """What nobody expected is told as well, and the policy after it comes into force."""
    with Client(configured(tmp_path, watch_s=0.02)) as client:
        service = client.service

        def breaks(*arguments: Any, **options: Any) -> None:
            raise RecursionError

        async def until(status: str) -> None:
            for _ in range(500):
                await asyncio.sleep(0.02)
                if status == service.file.state()["status"]:
                    return
            raise AssertionError(service.file.state())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lumyn.api.reload.parse_policy", breaks)
            rewrite(tmp_path, trust="5")
            client.run(until("failed"))
        assert "INTERNAL_ERROR" == service.file.state()["error"]["reason_code"]  # type: ignore[index]
        assert "TRUST" == client.decide().data["verdict"]
        rewrite(tmp_path, trust="4")
        client.run(until("ok"))
        assert "ESCALATE" == client.decide().data["verdict"]


def test_a_file_that_changes_while_it_is_read_is_read_again(client: Client, tmp_path: Path) -> None:
    from lumyn.documents import read_bytes

    path = tmp_path / "policy.yml"

    def slowly(*arguments: Any, **options: Any) -> bytes:
        data = read_bytes(*arguments, **options)
        path.write_text(path.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumyn.api.reload.read_bytes", slowly)
        assert not client.service.reload(because="test")
    assert "POLICY_CHANGING" == client.call("GET", "/v0/policy").data["reload"]["error"]["problems"][0]["code"]
    client.service.file.changed()
    assert client.service.file.changed()
    assert client.service.reload(because="test")


def test_the_file_is_watched(tmp_path: Path) -> None:
    with Client(configured(tmp_path, watch_s=0.02)) as client:

        async def until(verdict: str) -> None:
            for _ in range(500):
                await asyncio.sleep(0.02)
                if verdict == (await client.send("POST", "/v0/decide", request_document())).data["verdict"]:
                    return
            raise AssertionError(verdict)

        rewrite(tmp_path, trust="5")
        client.run(until("ESCALATE"))
        os.utime(tmp_path / "policy.yml")
        rewrite(tmp_path)
        client.run(until("TRUST"))
