"""
What a pack holds, and the members that follow from others: manifest, proof and the page for people.
Writes them byte for byte alike each time; must not know how an archive or a store is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lumyn.core.records import DecisionRecord
from lumyn.digest import canonical_text
from lumyn.documents.text import CONTROL
from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import JsonObject, JsonValue, MemoryItem
from lumyn.packs.container import write_archive
from lumyn.policy.spec import Policy
from lumyn.store.journal import Inclusion
from lumyn.store.rows import memory_body

if TYPE_CHECKING:
    from lumyn.vectors.format import Vector

__all__ = [
    "CHECKPOINT",
    "INCLUSION",
    "MANIFEST",
    "MAX_MEMORY_BYTES",
    "MAX_VECTOR_CHARS",
    "MEMBERS",
    "MEMORY_KEY",
    "NOWHERE",
    "PACK_VERSION",
    "POLICY",
    "README",
    "RECORD",
    "VECTOR",
    "Pack",
    "inclusion_text",
    "item_line",
    "manifest_text",
    "memory_block",
    "memory_count",
    "readme_text",
    "seal",
]

PACK_VERSION: Final = "pack.v0"

README: Final = "README.txt"
MANIFEST: Final = "manifest.json"
RECORD: Final = "decision_record.json"
POLICY: Final = "policy.yml"
VECTOR: Final = "vector.yml"
INCLUSION: Final = "inclusion.json"
CHECKPOINT: Final = "checkpoint.txt"

MEMBERS: Final = (README, MANIFEST, RECORD, POLICY, VECTOR, INCLUSION, CHECKPOINT)
"""Every member of a pack, in their order; each is there once, and nothing else is."""

MEMORY_KEY: Final = "x-memory"
"""The key of `vector.yml` that holds the memory the decision saw, as it is stored: one item a line, canonical JSON."""

MAX_MEMORY_BYTES: Final = 4 * 1024 * 1024
"""Most memory that a pack carries, as text; of an item of usual size that is about twelve thousand."""

MAX_VECTOR_CHARS: Final = 2 * 1024 * 1024
"""Longest `vector.yml`, its memory aside: reading YAML takes its time."""

NOWHERE: Final = Path("/", "lumyn-pack", "nowhere")
"""The suite root of a pack's vector: no file is there, and the vector stands beside it, so that no file is read."""

_UNSEEN: Final = frozenset("\u0085\u2028\u2029\ufeff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """
    A pack that agrees with itself: each digest in it is that of what it stands for.

    Attributes:
        record: The record, exactly as it is stored.
        policy: The policy that decided.
        memory: The memory that the decision saw; None when it was too large to be carried.
        inclusion: That the record is in the journal of its store, under the checkpoint of the moment it was written.
        vector: The decision as a golden vector.
        members: Name -> content, in the order of `MEMBERS`.
    """

    record: DecisionRecord
    policy: Policy = field(repr=False)
    memory: MemorySnapshot | None = field(repr=False)
    inclusion: Inclusion
    vector: Vector = field(repr=False)
    members: Mapping[str, bytes] = field(repr=False)

    @property
    def digest(self) -> str:
        """`sha256:` + hex of the pack's file."""
        return f"sha256:{sha256(write_archive(self.members)).hexdigest()}"


def seal(members: Mapping[str, bytes]) -> bytes:
    """Return the file of a pack: `members` (all but the manifest) with their manifest, in order."""
    whole = {**members, MANIFEST: manifest_text(members)}
    return write_archive({name: whole[name] for name in MEMBERS})


def manifest_text(members: Mapping[str, bytes]) -> bytes:
    """Return the manifest of all other members: their sizes and SHA-256."""
    rest = {name: members[name] for name in MEMBERS if name != MANIFEST}
    listed: JsonObject = {name: {"bytes": len(data), "sha256": sha256(data).hexdigest()} for name, data in rest.items()}
    return _json({"members": listed, "schema_version": PACK_VERSION})


def inclusion_text(inclusion: Inclusion) -> bytes:
    """Return leaf, place and audit path as JSON; hashes in hex, the nearest sibling first."""
    path: list[JsonValue] = [each.hex() for each in inclusion.proof]
    return _json({"index": inclusion.index, "leaf": inclusion.leaf.hex(), "proof": path})


def readme_text(record: DecisionRecord, inclusion: Inclusion, *, carried: bool) -> bytes:
    """
    Return the page for people. It is a part of the format: `read_pack` makes it again and compares.

    Args:
        carried: Whether the memory is in the pack.
    """
    count = memory_count(record)
    memory = f"{count} items, in vector.yml"
    if not carried:
        memory = f"{count} items, too many to be carried: the resemblance in the record is taken as given"
    elif not count:
        memory = "empty"
    policy = record.policy
    text = _README.format(
        decision_id=record.decision_id,
        verdict=record.verdict.value,
        codes=", ".join(record.reason_codes),
        created_at=record.created_at,
        policy_hash=policy.policy_hash,
        memory=memory,
        origin=inclusion.checkpoint.origin,
        seq=inclusion.index + 1,
    )
    return text.encode()


def memory_count(record: DecisionRecord) -> int:
    """Return how many items of memory a stored decision saw."""
    return int(record.memory_snapshot.split(":")[1])


def item_line(item: MemoryItem) -> str:
    """Return an item as it is stored, in one line of printable JSON that has the same canonical form."""
    body = memory_body(item)
    return (
        "".join(f"\\u{ord(each):04x}" if CONTROL.match(each) or each in _UNSEEN else each for each in body)
        if not body.isprintable()
        else body
    )


def memory_block(lines: list[str]) -> str:
    """Return the end of `vector.yml`: the memory as a block of text; empty for no lines."""
    return "".join([f"{MEMORY_KEY}: |\n", *(f"  {line}\n" for line in lines)]) if lines else ""


def _json(document: JsonObject) -> bytes:
    # Canonical order and numbers, laid out for people.
    return (json.dumps(json.loads(canonical_text(document)), indent=2) + "\n").encode("ascii")


_README: Final = """\
Decision {decision_id}

  verdict    {verdict}
  reasons    {codes}
  at         {created_at}
  policy     {policy_hash}
  memory     {memory}
  journal    {origin}, row {seq}

To check every digest in this pack and decide the request again, with the policy and the memory it was decided with:

  lumyn replay FILE.zip

Nothing has to be unpacked, and a pack that was unpacked and packed again is refused.

  decision_record.json  the record as it is stored: canonical JSON (RFC 8785)
  policy.yml            the policy that decided; its hash is in the record
  vector.yml            the decision as a golden vector, for `lumyn vectors run` beside policy.yml
  inclusion.json        the record's leaf hash and its path to the root of the journal (RFC 6962)
  checkpoint.txt        that root, when the record had just been written (C2SP tlog-checkpoint)
  manifest.json         the size and SHA-256 of every other member

Whoever makes a pack can make all of it. What it says is vouched for by a checkpoint that was kept elsewhere: hold
checkpoint.txt against the store with `lumyn verify --against checkpoint.txt`.
"""
