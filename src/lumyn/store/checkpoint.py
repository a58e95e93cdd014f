"""
Checkpoints: how long a journal was and what it held then, as a text to keep outside the store.
C2SP tlog-checkpoint without signatures; must not know how a journal is read.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from lumyn.errors import InvalidDocumentError, Problem
from lumyn.store.merkle import EMPTY_ROOT, HASH_BYTES

__all__ = ["CHECKPOINT_BYTES", "Checkpoint", "InvalidCheckpointError", "origin_of", "parse_checkpoint"]

CHECKPOINT_BYTES: Final = 65_536
"""Largest checkpoint that is read; one without signatures has about 110 bytes."""

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_LINES: Final = 3


class InvalidCheckpointError(InvalidDocumentError):
    """A checkpoint cannot be read."""

    reason_code = "INVALID_CHECKPOINT"
    noun = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """
    How long a journal was and what it held then, to be kept outside the store.

    Attributes:
        origin: `lumyn/<store_id>`.
        size: Number of rows.
        root: Merkle root over their leaf hashes in `seq` order, 32 bytes (RFC 6962).
    """

    origin: str
    size: int
    root: bytes

    @property
    def root_text(self) -> str:
        """The root in base64."""
        return base64.b64encode(self.root).decode("ascii")

    def text(self) -> str:
        """Return it in the form of C2SP tlog-checkpoint, without signatures."""
        return f"{self.origin}\n{self.size}\n{self.root_text}\n"


def origin_of(store_id: str) -> str:
    """Return the first line of a store's checkpoints."""
    return f"lumyn/{store_id}"


def parse_checkpoint(data: bytes) -> Checkpoint:
    """
    Return the checkpoint that a C2SP tlog-checkpoint text holds; further lines and signatures are not looked at.

    Raises:
        InvalidCheckpointError: `TOO_LARGE`, or `CHECKPOINT_INVALID` for anything that is not one.
    """
    if len(data) > CHECKPOINT_BYTES:
        raise InvalidCheckpointError([Problem(code="TOO_LARGE", message=f"larger than {CHECKPOINT_BYTES} bytes")])
    try:
        # Shells of some systems end lines with CR LF, and editors may take the last line end away.
        lines = data.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise _invalid("not UTF-8 text") from None
    if len(lines) < _LINES or not all(lines[:_LINES]):
        raise _invalid("three lines are due: origin, size and root")
    origin, size, root_text = lines[:_LINES]
    if not origin.isprintable():
        raise _invalid("the first line, the origin, holds control characters")
    if _SIZE.fullmatch(size) is None:
        raise _invalid("the second line, the size, is not a decimal number")
    try:
        root = base64.b64decode(root_text, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("the third line, the root, is not base64") from None
    found = Checkpoint(origin=origin, size=int(size), root=root)
    if len(root) != HASH_BYTES or found.root_text != root_text:
        raise _invalid("the third line, the root, is not 32 bytes in base64")
    if found.size == 0 and root != EMPTY_ROOT:
        raise _invalid("the root is not that of an empty journal")
    return found


def _invalid(message: str) -> InvalidCheckpointError:
    hint = "`lumyn checkpoint` prints one; keep it as it is"
    return InvalidCheckpointError([Problem(code="CHECKPOINT_INVALID", message=message, hint=hint)])
