"""
Reads a pack that may come from anybody: nothing is extracted, believed or decided before every digest in it agrees.
Turns bytes into a `Pack` or one coded refusal; must not decide anything again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, NoReturn, cast

from lumyn.core.records import NO_SNAPSHOT, DecisionRecord, record_from_json
from lumyn.digest import FreezeError, canonical_text, freeze
from lumyn.documents import Limits, parse_json
from lumyn.documents.schema import check
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import InvalidDocumentError, InvalidPackError, InvalidVectorError, StoreIntegrityError
from lumyn.model import JsonObject, JsonValue, MemoryItem
from lumyn.packs.container import invalid_pack, read_archive
from lumyn.packs.pack import (
    CHECKPOINT,
    INCLUSION,
    MANIFEST,
    MAX_MEMORY_BYTES,
    MAX_VECTOR_CHARS,
    MEMBERS,
    MEMORY_KEY,
    NOWHERE,
    POLICY,
    README,
    RECORD,
    VECTOR,
    Pack,
    inclusion_text,
    item_line,
    manifest_text,
    memory_block,
    memory_count,
    readme_text,
)
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.store.base import leaf_hash
from lumyn.store.checkpoint import parse_checkpoint
from lumyn.store.journal import Inclusion
from lumyn.store.rows import memory_body, memory_from_row
from lumyn.vectors.fixtures import finish_request
from lumyn.vectors.format import Vector
from lumyn.vectors.from_record import expectation_of, request_of
from lumyn.vectors.incident import load_vector

__all__ = ["read_pack"]

_RECORD_SCHEMA: Final = "decision_record.v0.schema.json"
_RECORD_LIMITS: Final = Limits(max_bytes=4 * 1024 * 1024)
_ITEM_LIMITS: Final = Limits(max_bytes=MAX_MEMORY_BYTES)
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_ORIGIN: Final = re.compile(r"lumyn/[0-9a-f]{32}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MEMORY_START: Final = f"\n{MEMORY_KEY}: |\n"
_PATH_LONGEST: Final = 64


def read_pack(data: bytes) -> Pack:
    """
    Return the pack in `data`, every digest in it checked.

    What it does not tell is whether the decision comes out the same; `replay_pack` does.

    Raises:
        InvalidPackError: For the archive, what `read_archive` raises. `PACK_MEMBER_INVALID`: a member is not what its
            name says. `PACK_DIGEST_MISMATCH`: a member is not what another one vouches for.
    """
    members = read_archive(data, MEMBERS)
    if members[MANIFEST] != manifest_text(members):
        _mismatch(_changed_member(members))
    record = _record(members[RECORD])
    policy = _policy(members[POLICY], record)
    inclusion = _inclusion(members)
    vector_text, memory = _memory(members[VECTOR], record)
    vector = _vector(vector_text, record, policy)
    if members[README] != readme_text(record, inclusion, carried=memory is not None):
        _mismatch(f"`{README}` does not say what is in the pack")
    return Pack(record=record, policy=policy, memory=memory, inclusion=inclusion, vector=vector, members=members)


def _changed_member(members: Mapping[str, bytes]) -> str:
    """Return which member the manifest does not vouch for."""
    true = json.loads(manifest_text(members))["members"]
    try:
        told = _parsed(members[MANIFEST], MANIFEST, Limits()).get("members")
    except InvalidPackError:
        told = None
    for name, entry in true.items():
        if isinstance(told, dict) and told.get(name) != entry:
            return f"`{name}` is not what `{MANIFEST}` vouches for"
    return f"`{MANIFEST}` is not the manifest of this pack"


def _record(data: bytes) -> DecisionRecord:
    document = _parsed(data, RECORD, _RECORD_LIMITS)
    if not check(_RECORD_SCHEMA, document):
        _member(RECORD, "it does not meet its schema")
    text = data.decode("utf-8")
    if canonical_text(document) != text:
        _member(RECORD, "it is not canonical JSON")
    try:
        record = record_from_json(text)
    except StoreIntegrityError:
        _member(RECORD, "it is not a record that Lumyn writes")
    if (
        record.memory_snapshot == NO_SNAPSHOT
        or not record.persisted
        or _DIGEST.fullmatch(record.request_digest) is None
    ):
        _member(RECORD, "it is not a record that was stored")
    return record


def _policy(data: bytes, record: DecisionRecord) -> Policy:
    try:
        policy = parse_policy(data, file="<pack>")
    except InvalidDocumentError as error:
        _member(POLICY, f"it is not a valid policy: {error.problems[0].code}")
    if policy.policy_hash != record.policy_hash:
        _mismatch(f"`{POLICY}` is not the policy that decided: its hash is another")
    return policy


def _inclusion(members: Mapping[str, bytes]) -> Inclusion:
    """Return the proof that the record is in its journal, after checking that it is one."""
    document = _parsed(members[INCLUSION], INCLUSION, Limits(max_bytes=65_536))
    leaf, index, path = document.get("leaf"), document.get("index"), document.get("proof")
    hashes = path if isinstance(path, list) and len(path) <= _PATH_LONGEST else [None]
    if not isinstance(index, int) or isinstance(index, bool) or not all(map(_is_hash, [leaf, *hashes])):
        _member(INCLUSION, "leaf, index and proof are due")
    try:
        checkpoint = parse_checkpoint(members[CHECKPOINT])
    except InvalidDocumentError as error:
        _member(CHECKPOINT, error.problems[0].message)
    found = Inclusion(
        leaf=bytes.fromhex(str(leaf)),
        index=index,
        proof=tuple(bytes.fromhex(str(each)) for each in hashes),
        checkpoint=checkpoint,
    )
    if inclusion_text(found) != members[INCLUSION]:
        _member(INCLUSION, "it is not written as a pack writes it")
    if checkpoint.text().encode() != members[CHECKPOINT] or _ORIGIN.fullmatch(checkpoint.origin) is None:
        _member(CHECKPOINT, "it is not written as a pack writes it")
    if found.leaf != leaf_hash("decision", members[RECORD]):
        _mismatch(f"the leaf in `{INCLUSION}` is not that of the record")
    if checkpoint.size != index + 1 or not found.holds():
        _mismatch(f"`{INCLUSION}` does not prove that the record is in the journal of `{CHECKPOINT}`")
    return found


def _memory(data: bytes, record: DecisionRecord) -> tuple[str, MemorySnapshot | None]:
    """Return `vector.yml` without the memory in it, and the memory that the decision saw; None when it is left out."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        _member(VECTOR, "it is not UTF-8 text")
    head, found, block = text.rpartition(_MEMORY_START)
    if not found:
        left_out = memory_count(record) > 0
        return text, None if left_out else _same_memory(MemorySnapshot(), record)
    if len(block) > MAX_MEMORY_BYTES:
        _member(VECTOR, "it holds more memory than a pack carries")
    memory = MemorySnapshot()
    lines: list[str] = []
    action = cast("JsonObject", cast("JsonObject", record.to_dict()["request"])["action"])["type"]
    for seq, line in enumerate(block.split("\n")[:-1], 1):
        item = _item(line, seq)
        if item.action_type != action:
            _member(VECTOR, f"item {seq} of its memory is of another action")
        memory.add(item)
        lines.append(item_line(item))
    if memory_block(lines) != f"{_MEMORY_START[1:]}{block}":
        _member(VECTOR, "its memory is not written as a pack writes it")
    return f"{head}\n", _same_memory(memory, record)


def _same_memory(memory: MemorySnapshot, record: DecisionRecord) -> MemorySnapshot:
    if memory.digest != record.memory_snapshot:
        _mismatch(f"the memory in `{VECTOR}` is not what the decision saw")
    return memory


def _item(line: str, seq: int) -> MemoryItem:
    document = _parsed(line.encode(), VECTOR, _ITEM_LIMITS)
    body = canonical_text(document).encode()
    try:
        item = memory_from_row(seq, body.decode(), leaf_hash("memory", body))
    except StoreIntegrityError:
        _member(VECTOR, f"item {seq} of its memory is none")
    if memory_body(item).encode() != body or not _are_features(item.features):
        _member(VECTOR, f"item {seq} of its memory is none")
    return item


def _are_features(features: JsonObject) -> bool:
    """Return whether features have the types that the engine writes, so that nothing it reads surprises it."""
    texts = [value for key, value in features.items() if key not in {"tags", "evidence"}]
    tags, evidence = features.get("tags", []), features.get("evidence", {})
    amount = features.get("amount_usd", "0")
    return (
        all(isinstance(each, str) for each in texts)
        and isinstance(amount, str)
        and _AMOUNT.fullmatch(amount) is not None
        and isinstance(tags, list)
        and all(isinstance(each, str) for each in tags)
        and isinstance(evidence, dict)
        and all(isinstance(each, (bool, int, float, str, type(None))) for each in evidence.values())
    )


_AMOUNT: Final = re.compile(r"-?[0-9]{1,60}(?:\.[0-9]{1,60})?")


def _vector(text: str, record: DecisionRecord, policy: Policy) -> Vector:
    """Return the vector, which must be of the record: its request, and what came out."""
    if len(text) > MAX_VECTOR_CHARS:
        _member(VECTOR, "it is longer than that of a pack")
    try:
        vector = load_vector(text, path=NOWHERE.parent / VECTOR, root=NOWHERE, policy=policy)
    except InvalidVectorError as error:
        _member(VECTOR, f"it is not a vector file: {error.problems[0].code}")
    if vector.problems and vector.skip is None:
        _member(VECTOR, f"its vector cannot be run: {vector.problems[0].code}")
    document = vector.document
    same = (
        not vector.is_scenario
        and vector.clock == record.created_at
        and document.get("policy") == POLICY
        and document.get("request") == finish_request(request_of(record)[0])
        and document.get("expect") == expectation_of(record.verdict, record.reason_codes, exact=True)
    )
    if not same:
        _mismatch(f"`{VECTOR}` is not the vector of the record")
    return vector


def _parsed(data: bytes, name: str, limits: Limits) -> JsonObject:
    try:
        value = freeze(parse_json(data, error=InvalidPackError, limits=limits))
    except (InvalidPackError, FreezeError) as error:
        _member(name, f"it is not JSON: {error.problems[0].code}")
    if not isinstance(value, dict):
        _member(name, "it is not a JSON object")
    return value


def _is_hash(value: JsonValue) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def _member(name: str, message: str) -> NoReturn:
    invalid_pack("PACK_MEMBER_INVALID", f"`{name}`: {message}")


def _mismatch(message: str) -> NoReturn:
    hint = "the pack was changed, or damaged on its way; export it anew"
    invalid_pack("PACK_DIGEST_MISMATCH", message, hint=hint)
