"""Packs from somebody who means harm, or that were damaged on their way: each refused with its code, none extracted."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_inputs.catalogue import case
from bad_inputs.requests import REFUND
from packs.forging import forged, members_of, sealed

from lumyn import Gate
from lumyn.errors import InvalidPackError
from lumyn.packs import MEMBERS, pack_decision, read_pack, replay_pack
from lumyn.packs.container import MAX_PACK_BYTES, write_archive
from lumyn.packs.pack import POLICY, RECORD, VECTOR

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def pack(stored_gate: Gate) -> bytes:
    """A refund that is escalated because it resembles a failure."""
    stored_gate.label(stored_gate.decide(REFUND).decision_id, "failure")
    record = stored_gate.decide({**REFUND, "request_id": "second"})
    return pack_decision(stored_gate.store, record.decision_id)  # type: ignore[arg-type]


def refused(lumyn: Call, folder: Path, data: bytes) -> tuple[int, set[str]]:
    """Return exit code and problem codes, and see that nothing was written."""
    with pytest.raises(InvalidPackError) as error:
        replay_pack(read_pack(data)).check()
    path = folder / "hostile.zip"
    path.write_bytes(data)
    before = sorted(folder.rglob("*"))
    code, said = lumyn("replay", "hostile.zip")
    codes = {problem.code for problem in error.value.problems}
    assert before == sorted(folder.rglob("*"))
    assert codes == {"PACK_REPLAY_MISMATCH"} or any(f"[{each}]" in said for each in codes)
    return code, codes


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive as another program makes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


@case("pck-001")
def test_a_forged_verdict_is_refused(case: str, lumyn: Call, tmp_path: Path, pack: bytes) -> None:
    """Left as it is, changed under its manifest, and with everything else made to fit."""
    members = members_of(pack)
    body = members[RECORD].replace(b'"verdict":"ESCALATE"', b'"verdict":"TRUST"')
    assert body != members[RECORD]
    assert (1, {"PACK_DIGEST_MISMATCH"}) == refused(lumyn, tmp_path, write_archive({**members, RECORD: body}))
    assert (1, {"PACK_DIGEST_MISMATCH"}) == refused(lumyn, tmp_path, sealed({**members, RECORD: body}))
    vector = members[VECTOR].replace(b"verdict: ESCALATE", b"verdict: TRUST")
    whole = forged(pack, lambda record: record.update(verdict="TRUST"), vector__yml=vector)
    assert (1, {"PACK_REPLAY_MISMATCH"}) == refused(lumyn, tmp_path, whole)


@case("pck-004")
def test_a_changed_request_is_refused(case: str, lumyn: Call, tmp_path: Path, pack: bytes) -> None:
    members = members_of(pack)
    changed = members[RECORD].replace(b'"request_id":"second"', b'"request_id":"other!"')
    assert changed != members[RECORD]
    assert (1, {"PACK_DIGEST_MISMATCH"}) == refused(lumyn, tmp_path, sealed({**members, RECORD: changed}))


@case("pck-005")
def test_a_changed_policy_is_refused(case: str, lumyn: Call, tmp_path: Path, pack: bytes) -> None:
    members = members_of(pack)
    changed = members[POLICY].replace(b"ESCALATE", b"ABSTAIN ", 1)
    for data in (write_archive({**members, POLICY: changed}), sealed({**members, POLICY: changed})):
        code, codes = refused(lumyn, tmp_path, data)
        assert codes <= {"PACK_DIGEST_MISMATCH", "PACK_MEMBER_INVALID"}
        assert code in (1, 3)


@case("pck-009")
def test_a_bomb_is_refused_before_it_goes_off(case: str, lumyn: Call, tmp_path: Path, pack: bytes) -> None:
    """It declares 400 MB, or lies about it; nothing is ever decompressed."""
    small = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = small.compress(bytes(400_000_000)) + small.flush()
    name = RECORD.encode()
    bombs = {}
    for told in (400_000_000, 1_000):
        head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 33, 0, len(data), told, len(name), 0)
        bombs[told] = head + name + data
    tracemalloc.start()
    assert (3, {"PACK_TOO_LARGE"}) == refused(lumyn, tmp_path, bombs[400_000_000])
    assert (3, {"PACK_NOT_CANONICAL"}) == refused(lumyn, tmp_path, bombs[1_000])
    assert (3, {"PACK_TOO_LARGE"}) == refused(lumyn, tmp_path, bytes(MAX_PACK_BYTES + 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000


@case("pck-010")
def test_what_is_damaged_is_refused(case: str, lumyn: Call, tmp_path: Path, pack: bytes) -> None:
    text = b"Dear customer,\n"
    flipped = bytearray(pack)
    flipped[200] ^= 1
    for data in (text, b"", pack[: len(pack) // 2], bytes(flipped), b"MZ" + pack):
        assert (3, {"PACK_CORRUPT"}) == refused(lumyn, tmp_path, data)
    for data in (pack[:-1], pack + b"\0", pack[:-2] + b"\1\0x"):
        assert (3, {"PACK_NOT_CANONICAL"}) == refused(lumyn, tmp_path, data)


@case("pck-012")
def test_members_that_a_pack_does_not_have_are_refused(case: str, lumyn: Call, tmp_path: Path, pack: bytes) -> None:
    """Another file, a way out of the folder, a folder, an archive inside: whatever it is called."""
    members = members_of(pack)
    names = ("x.txt", "../../.ssh/authorized_keys", "/etc/passwd", "folder/", "..\\x", "inner.zip", "policy.yml/", "")
    for name in names:
        assert (3, {"PACK_ENTRY_NAME"}) == refused(lumyn, tmp_path, write_archive({**members, name: b"x"}))
    assert not (tmp_path.parent.parent / ".ssh").exists()


@case("pck-012")
def test_members_twice_missing_linked_compressed_or_locked_are_refused(
    case: str, lumyn: Call, tmp_path: Path, pack: bytes
) -> None:
    members = members_of(pack)
    end = write_archive({POLICY: members[POLICY]})
    first = end[: end.index(b"PK\1\2")]
    assert (3, {"PACK_ENTRY_DUPLICATE"}) == refused(lumyn, tmp_path, first + first + pack)
    for name in MEMBERS:
        rest = {each: data for each, data in members.items() if each != name}
        assert (3, {"PACK_ENTRY_MISSING"}) == refused(lumyn, tmp_path, write_archive(rest))
    assert (3, {"PACK_NOT_CANONICAL"}) == refused(lumyn, tmp_path, zipped(members))
    assert (3, {"PACK_NOT_CANONICAL"}) == refused(lumyn, tmp_path, zipped(members, zipfile.ZIP_DEFLATED))
    locked = bytearray(pack)
    locked[6] |= 1
    assert (3, {"PACK_NOT_CANONICAL"}) == refused(lumyn, tmp_path, bytes(locked))
    linked = bytearray(pack)
    at = pack.index(b"PK\1\2") + 38
    linked[at : at + 4] = (0o120777 << 16).to_bytes(4, "little")
    assert (3, {"PACK_NOT_CANONICAL"}) == refused(lumyn, tmp_path, bytes(linked))
    assert (3, {"PACK_ENTRY_NAME"}) == refused(lumyn, tmp_path, zipped({"pack.zip": pack}))


@case("pck-014")
def test_a_pack_is_the_same_each_time(case: str, pack: bytes, stored_gate: Gate) -> None:
    decision_id = read_pack(pack).record.decision_id
    stored_gate.label(decision_id, "success")
    assert pack == pack_decision(stored_gate.store, decision_id)  # type: ignore[arg-type]
