"""The one form of archive: what it is, and that no byte of it may differ."""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256

import pytest

from lumyn.errors import InvalidPackError
from lumyn.packs.container import MAX_PACK_BYTES, read_archive, write_archive

NAMES = ("a.txt", "b.json")
MEMBERS = {"a.txt": b"hello\n", "b.json": b"{}\n"}
ARCHIVE = write_archive(MEMBERS)


def code_of(data: bytes) -> str:
    """Return the code with which an archive is refused."""
    with pytest.raises(InvalidPackError) as refused:
        read_archive(data, NAMES)
    (problem,) = refused.value.problems
    return problem.code


def test_what_is_written_is_read() -> None:
    assert MEMBERS == read_archive(ARCHIVE, NAMES)


def test_the_bytes_are_pinned() -> None:
    """The format is a contract: packs that were made years ago must still be what is written today."""
    assert ("504b03040a00000000000000210020303a36060000000600000005000000612e74787468656c6c6f0a") == ARCHIVE[:41].hex()
    assert "f964213a5b300f0363ca7b6f6b9069b944e2677eecbb61b0fd22834fbe058535" == sha256(ARCHIVE).hexdigest()


def test_other_programs_read_it() -> None:
    """Stored members, of 1980, readable by whoever unpacks them."""
    with zipfile.ZipFile(io.BytesIO(ARCHIVE)) as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
        assert list(MEMBERS) == [info.filename for info in infos]
        assert {(zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 0o100644)} == {
            (info.compress_type, info.date_time, info.external_attr >> 16) for info in infos
        }
        assert MEMBERS == {info.filename: archive.read(info) for info in infos}


@pytest.mark.parametrize("place", range(len(ARCHIVE)))
def test_every_byte_counts(place: int) -> None:
    """Whatever becomes of one byte, the archive is refused or the member is another."""
    for change in (0x01, 0x80, 0xFF):
        changed = bytearray(ARCHIVE)
        changed[place] ^= change
        with pytest.raises(InvalidPackError):
            read_archive(bytes(changed), NAMES)


@pytest.mark.parametrize("length", range(len(ARCHIVE)))
def test_every_truncation_is_refused(length: int) -> None:
    with pytest.raises(InvalidPackError):
        read_archive(ARCHIVE[:length], NAMES)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "PACK_CORRUPT"),
        (b"not a zip", "PACK_CORRUPT"),
        (b"\0" + ARCHIVE, "PACK_CORRUPT"),
        (ARCHIVE + b"\0", "PACK_NOT_CANONICAL"),
        (ARCHIVE[:-2] + b"\x01\x00!", "PACK_NOT_CANONICAL"),
        (write_archive({}), "PACK_CORRUPT"),
        (write_archive({"a.txt": b""}), "PACK_ENTRY_MISSING"),
        (write_archive({"b.json": b"", "a.txt": b""}), "PACK_NOT_CANONICAL"),
        (write_archive({**MEMBERS, "c": b""}), "PACK_ENTRY_NAME"),
        (write_archive({**MEMBERS, "folder/": b""}), "PACK_ENTRY_NAME"),
        (write_archive({**MEMBERS, "../../etc/passwd": b""}), "PACK_ENTRY_NAME"),
        (write_archive({**MEMBERS, "/a.txt": b""}), "PACK_ENTRY_NAME"),
        (write_archive({**MEMBERS, "A.TXT": b""}), "PACK_ENTRY_NAME"),
        (write_archive({**MEMBERS, "a.txt\0": b""}), "PACK_ENTRY_NAME"),
        (ARCHIVE[:26] + b"\xff\xff" + ARCHIVE[28:], "PACK_ENTRY_NAME"),
        (b"PK\x03\x04", "PACK_CORRUPT"),
        (bytes(MAX_PACK_BYTES + 1), "PACK_TOO_LARGE"),
    ],
)
def test_what_is_not_an_archive_of_these_members_is_refused(data: bytes, code: str) -> None:
    assert code == code_of(data)


def test_a_name_that_steers_the_terminal_is_shown_escaped() -> None:
    data = ARCHIVE.replace(b"a.txt", b"\x1b[2Jx")
    with pytest.raises(InvalidPackError) as refused:
        read_archive(data, NAMES)
    assert refused.value.problems[0].code == "PACK_ENTRY_NAME"


def test_members_are_stored_so_nothing_depends_on_a_compressor() -> None:
    assert b"hello\n" in ARCHIVE
