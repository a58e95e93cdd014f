"""
The one form of ZIP archive that a pack has: stored members in a fixed order, without dates, comments or room to spare.
Written and read byte for byte, so that a pack is the same everywhere; must not know what the members say.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn
from zlib import crc32

from lumyn.errors import InvalidPackError, Problem

__all__ = ["MAX_PACK_BYTES", "invalid_pack", "read_archive", "write_archive"]

MAX_PACK_BYTES: Final = 16 * 1024 * 1024
"""Largest pack that is written or read; nothing in it is compressed, so it never holds more than it weighs."""

# PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_LOCAL_MAGIC: Final = b"PK\x03\x04"
_CENTRAL_MAGIC: Final = b"PK\x01\x02"
_END_MAGIC: Final = b"PK\x05\x06"

_VERSION: Final = 10
_MADE_ON_UNIX: Final = 3 << 8 | _VERSION
_STORED: Final = 0
_ENCRYPTED: Final = 1
_MIDNIGHT: Final = 0
_FIRST_OF_1980: Final = 1 << 5 | 1
_PLAIN_FILE: Final = 0o100644 << 16
_NAME_BYTES: Final = 256

_REPACKED: Final = "a pack that was unpacked and packed again is another file: use the original, or export it anew"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One local header as it is written."""

    name: bytes
    flags: int
    method: int
    packed: int
    unpacked: int
    crc: int
    data_at: int


def write_archive(members: Mapping[str, bytes]) -> bytes:
    """
    Return the archive that holds `members` in their order. Equal members give equal bytes, everywhere and always.

    Members are stored, not compressed: what a compressor makes of them depends on its version.
    """
    bodies = bytearray()
    directory = bytearray()
    for text, data in members.items():
        name, crc, size = text.encode("ascii"), crc32(data), len(data)
        shared = (_VERSION, 0, _STORED, _MIDNIGHT, _FIRST_OF_1980, crc, size, size, len(name), 0)
        directory += _CENTRAL.pack(_CENTRAL_MAGIC, _MADE_ON_UNIX, *shared, 0, 0, 0, _PLAIN_FILE, len(bodies)) + name
        bodies += _LOCAL.pack(_LOCAL_MAGIC, *shared) + name + data
    count = len(members)
    end = _END.pack(_END_MAGIC, 0, 0, count, count, len(directory), len(bodies), 0)
    return bytes(bodies + directory + end)


def read_archive(data: bytes, names: Sequence[str]) -> dict[str, bytes]:
    """
    Return the members of an archive that `write_archive` made of exactly `names`, in that order.

    Nothing is decompressed, and nothing is believed: the archive is made again from the members, and every byte of it
    must come out as it was given.

    Raises:
        InvalidPackError: `PACK_TOO_LARGE`, `PACK_CORRUPT`, `PACK_ENTRY_NAME`, `PACK_ENTRY_DUPLICATE`,
            `PACK_ENTRY_MISSING` or `PACK_NOT_CANONICAL`.
    """
    if len(data) > MAX_PACK_BYTES:
        invalid_pack("PACK_TOO_LARGE", f"larger than {MAX_PACK_BYTES} bytes")
    if not data.startswith(_LOCAL_MAGIC):
        empty = "the file is empty" if not data else "the file is not a ZIP archive that begins with a member"
        invalid_pack("PACK_CORRUPT", empty, hint="`lumyn export ID --pack` makes one")
    members: dict[str, bytes] = {}
    at = 0
    while data.startswith(_LOCAL_MAGIC, at):
        entry = _entry(data, at)
        name = _known_name(entry.name, names)
        if name in members:
            invalid_pack("PACK_ENTRY_DUPLICATE", f"`{name}` stands twice in the pack")
        _check(entry, name)
        at = entry.data_at + entry.packed
        if at > len(data):
            invalid_pack("PACK_CORRUPT", f"the file ends within `{name}`", hint="it was cut off on its way")
        members[name] = data[entry.data_at : at]
        if crc32(members[name]) != entry.crc:
            invalid_pack("PACK_CORRUPT", f"`{name}` does not have its checksum", hint="it was damaged on its way")
    for name in names:
        if name not in members:
            invalid_pack("PACK_ENTRY_MISSING", f"there is no `{name}` in the pack")
    if write_archive({name: members[name] for name in names}) != data:
        invalid_pack("PACK_NOT_CANONICAL", "the archive is not written as a pack is", hint=_REPACKED)
    return members


def invalid_pack(code: str, message: str, *, hint: str | None = None) -> NoReturn:
    """Raise an `InvalidPackError` of one problem."""
    raise InvalidPackError([Problem(code=code, message=message, hint=hint)])


def _entry(data: bytes, at: int) -> _Entry:
    name_at = at + _LOCAL.size
    if name_at > len(data):
        invalid_pack("PACK_CORRUPT", "the file ends within the header of a member", hint="it was cut off on its way")
    _, _, flags, method, _, _, crc, packed, unpacked, name_size, extra_size = _LOCAL.unpack_from(data, at)
    data_at = name_at + name_size + extra_size
    return _Entry(data[name_at : name_at + name_size], flags, method, packed, unpacked, crc, data_at)


def _known_name(raw: bytes, names: Sequence[str]) -> str:
    name = raw[:_NAME_BYTES].decode("ascii", "backslashreplace")
    if len(raw) <= _NAME_BYTES and name in names:
        return name
    invalid_pack(
        "PACK_ENTRY_NAME",
        f"`{name[:80]}` is not a member of a pack",
        hint="nothing was written: members are never extracted",
    )


def _check(entry: _Entry, name: str) -> None:
    if max(entry.packed, entry.unpacked) > MAX_PACK_BYTES:
        invalid_pack("PACK_TOO_LARGE", f"`{name}` says that it is larger than {MAX_PACK_BYTES} bytes")
    if entry.flags & _ENCRYPTED:
        invalid_pack("PACK_NOT_CANONICAL", f"`{name}` is encrypted", hint=_REPACKED)
    if entry.method != _STORED:
        invalid_pack("PACK_NOT_CANONICAL", f"`{name}` is compressed", hint=_REPACKED)
    if entry.flags or entry.packed != entry.unpacked:
        invalid_pack("PACK_NOT_CANONICAL", "the archive is not written as a pack is", hint=_REPACKED)
