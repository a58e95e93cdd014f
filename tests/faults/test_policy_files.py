"""The policy file is replaced, cut short or a pipe, while a gate is open and when one is opened."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from faults.support import POLICY_FILE, make_store, open_gate, refund

from lumyn import Gate, InvalidPolicyError, SystemClock, load_policy
from lumyn.documents import load

pytestmark = pytest.mark.faults


class Meddler(SystemClock):
    """A clock that does something to a file whenever it is asked the time, which is in the middle of a decision."""

    def __init__(self, file: Path, content: bytes | None) -> None:
        self._file = file
        self._content = content

    def now_ms(self) -> int:
        if self._content is None:
            self._file.unlink(missing_ok=True)
        else:
            self._file.write_bytes(self._content)
        return super().now_ms()


WHOLE = POLICY_FILE.read_bytes()


@pytest.mark.parametrize(
    "content",
    [WHOLE.replace(b"lumyn-support", b"other-policy"), WHOLE[: len(WHOLE) // 2], b"", b"\0" * 100, None],
    ids=["another", "half", "empty", "zeros", "deleted"],
)
def test_gate_keeps_the_policy_it_loaded(scratch: Path, content: bytes | None) -> None:
    """The file is read once; what it holds later decides nothing, and the text that decided is in the store."""
    file = scratch / "policy.yml"
    file.write_bytes(WHOLE)
    loaded = load_policy(file)
    make_store(scratch / "lumyn.db")
    with Gate.open(policy=file, store=scratch / "lumyn.db", clock=Meddler(file, content)) as gate:
        records = [gate.decide(refund(f"r{number}")) for number in range(3)]
        assert {loaded.policy_hash} == {record.policy_hash for record in records}
        assert all(record.permits for record in records)
        assert loaded.source == gate.store.policy(loaded.policy_hash).source
        assert gate.replay(records[0].decision_id).identical


def test_half_a_policy_is_refused_or_is_another_policy() -> None:
    """
    A file that is cut short inside a rule is refused. Cut between two rules, YAML cannot tell it from a whole one.

    It then has another hash, which every record carries; that is why a policy is replaced by renaming, and never
    written in place.
    """
    whole = load_policy(POLICY_FILE)
    borders = [place + 1 for place, byte in enumerate(WHOLE) if byte == ord("\n")]
    accepted = 0
    for length in [0, 1, *borders[::9], *(border + 11 for border in borders[4::9])]:
        try:
            part = parse(WHOLE[:length], str(POLICY_FILE))
        except InvalidPolicyError:
            continue
        accepted += 1
        if part.policy_hash != whole.policy_hash:
            assert part.rules == whole.rules[: len(part.rules)]
            assert len(part.rules) < len(whole.rules)
    assert accepted < len(borders) // 9


def test_half_a_policy_in_json_is_always_refused() -> None:
    """Its last character is the one that ends it."""
    document = load(WHOLE, file="policy.yml").value
    text = json.dumps(document).encode()
    assert load_policy(POLICY_FILE).policy_hash == parse(text, "policy.json").policy_hash
    for length in [*range(0, len(text), 97), len(text) - 1]:
        with pytest.raises(InvalidPolicyError):
            parse(text[:length], "policy.json")


def parse(data: bytes, name: str) -> object:
    from lumyn.policy.loader import parse_policy

    return parse_policy(data, file=name)


@pytest.mark.parametrize("content", [WHOLE[: len(WHOLE) // 2 - 7], b"", b"rules: [", b"\xff\xfe"], ids=range(4))
def test_new_gate_refuses_what_is_no_policy_and_creates_no_store(scratch: Path, content: bytes) -> None:
    """A gate without a policy would have nothing to say; the error comes before anything is made on the disk."""
    file = scratch / "policy.yml"
    file.write_bytes(content)
    with pytest.raises(InvalidPolicyError):
        Gate.open(policy=file, store=scratch / "lumyn.db", create=True)
    assert not (scratch / "lumyn.db").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_in_the_place_of_a_policy_does_not_hang(scratch: Path) -> None:
    """Nobody writes to it; opening it must not wait for somebody who does."""
    pipe = scratch / "policy.yml"
    os.mkfifo(pipe)
    raised: list[InvalidPolicyError] = []

    def open_it() -> None:
        with pytest.raises(InvalidPolicyError) as caught:
            Gate.open(policy=pipe, store=scratch / "lumyn.db")
        raised.append(caught.value)

    thread = threading.Thread(target=open_it, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert ["PATH_NOT_FILE"] == [problem.code for error in raised for problem in error.problems]


def test_policy_replaced_by_renaming_is_found_whole_by_every_gate(scratch: Path) -> None:
    """Readers race with a writer that renames; each finds the one or the other, never a part."""
    file = scratch / "policy.json"
    documents = []
    for version in ("1.0.0", "2.0.0"):
        document = load(WHOLE, file="policy.yml").value
        assert isinstance(document, dict)
        documents.append(json.dumps({**document, "policy_version": version}).encode())
    file.write_bytes(documents[0])
    over = threading.Event()

    def replace() -> None:
        number = 0
        while not over.is_set():
            number += 1
            draft = scratch / "draft.json"
            draft.write_bytes(documents[number % 2])
            draft.replace(file)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        versions = {load_policy(file).policy_version for _ in range(20)}
    finally:
        over.set()
        thread.join()
    assert {"1.0.0", "2.0.0"} >= versions
    with open_gate(scratch / "lumyn.db", create=True) as gate:
        assert gate.decide(refund("r")).persisted
