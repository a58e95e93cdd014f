"""Packs as somebody would forge them: a member is changed, and everything that vouches for it is made to fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from lumyn.core.records import record_from_json
from lumyn.digest import canonical_text, digest, freeze
from lumyn.packs.container import read_archive, write_archive
from lumyn.packs.pack import (
    CHECKPOINT,
    INCLUSION,
    MANIFEST,
    MEMBERS,
    README,
    RECORD,
    inclusion_text,
    manifest_text,
    memory_count,
    readme_text,
)
from lumyn.store.base import leaf_hash
from lumyn.store.checkpoint import Checkpoint
from lumyn.store.journal import Inclusion
from lumyn.store.merkle import root_of

Document = dict[str, Any]


def members_of(pack: bytes) -> dict[str, bytes]:
    """Return the members of a good pack."""
    return read_archive(pack, MEMBERS)


def sealed(members: Mapping[str, bytes]) -> bytes:
    """Return a pack of members that need not agree, under a manifest that vouches for them."""
    whole = {**members, MANIFEST: manifest_text(members)}
    return write_archive({name: whole[name] for name in MEMBERS})


def forged(pack: bytes, change: Callable[[Document], None], *, carried: bool = True, **more: bytes) -> bytes:
    """
    Return a pack whose record was changed, with a journal of one row made up for it and a page that says so.

    Args:
        more: Further members to replace; dots in their names are written as `__`.
    """
    members = members_of(pack) | {name.replace("__", "."): data for name, data in more.items()}
    record = json.loads(members[RECORD])
    change(record)
    body = canonical_text(freeze(record))
    leaf = leaf_hash("decision", body.encode())
    origin = members[CHECKPOINT].decode().splitlines()[0]
    proof = Inclusion(leaf=leaf, index=0, proof=(), checkpoint=Checkpoint(origin=origin, size=1, root=root_of([leaf])))
    members |= {RECORD: body.encode(), INCLUSION: inclusion_text(proof), CHECKPOINT: proof.checkpoint.text().encode()}
    try:
        stored = record_from_json(body)
        memory_count(stored)
    except Exception:  # noqa: BLE001 - what is forged need not be a record
        return sealed(members)
    members[README] = readme_text(stored, proof, carried=carried)
    return sealed(members)


def set_at(record: Document, path: str, value: object) -> None:
    """Set the value at a dotted path of a record."""
    *above, last = path.split(".")
    for name in above:
        record = record[int(name)] if isinstance(record, list) else record[name]
    record[int(last) if isinstance(record, list) else last] = value


__all__ = ["Document", "digest", "forged", "members_of", "sealed", "set_at"]
