"""
Makes the pack of a stored decision; equal decisions give equal bytes, whatever was written to the store since.
Reads the store and writes nothing; must not know where a pack goes.
"""

from __future__ import annotations

from lumyn.core.records import NO_SNAPSHOT, DecisionRecord, record_from_json
from lumyn.engine.similarity import MemorySnapshot
from lumyn.errors import InvalidVectorError, StoreIntegrityError
from lumyn.packs.pack import (
    CHECKPOINT,
    INCLUSION,
    MAX_MEMORY_BYTES,
    NOWHERE,
    POLICY,
    README,
    RECORD,
    VECTOR,
    inclusion_text,
    item_line,
    memory_block,
    memory_count,
    readme_text,
    seal,
)
from lumyn.packs.reading import read_pack
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.store.journal import InspectableStore, inclusion_when_written, read_journal
from lumyn.vectors.from_record import vector_from_record
from lumyn.vectors.incident import incident_name, load_vector
from lumyn.vectors.runner import Outcome, run
from lumyn.vectors.writing import comment, yaml_text

__all__ = ["pack_decision"]


def pack_decision(store: InspectableStore, decision_id: str) -> bytes:
    """
    Return the pack of a stored decision, as the bytes of its file.

    Pure but for reading: the same decision gives the same bytes on every run and every platform. The proof is that of
    the moment the decision was written, because a later one would change with the store.

    Raises:
        NotFoundError: No such decision, or its policy is not kept.
        StoreIntegrityError: Something it rests on is not there as it was written.
        StoreUnavailableError: The store cannot be read.
        InvalidPackError: The request or the policy is too large for a pack.
    """
    row = store.decision(decision_id)
    record = record_from_json(row.record_json)
    if record.memory_snapshot == NO_SNAPSHOT:
        raise StoreIntegrityError("the record was made without memory, so it cannot have been stored")
    kept = store.policy(record.policy_hash)
    policy = parse_policy(kept.source, file=f"<policy {kept.policy_hash}>")
    memory = MemorySnapshot()
    for item in store.memory_items(row.tenant_id, row.action_type, limit=memory_count(record)):
        memory.add(item)
    if policy.policy_hash != record.policy_hash or memory.digest != record.memory_snapshot:
        raise StoreIntegrityError(
            "what this decision rests on is not in the store as it was", hint="`lumyn verify` names what changed"
        )
    proof = read_journal(store, lambda journal: inclusion_when_written(journal, decision_id))
    lines = _memory_lines(memory)
    members = {
        RECORD: row.record_json.encode(),
        POLICY: kept.source.encode(),
        VECTOR: (_vector_text(record, policy, memory) + memory_block(lines or [])).encode(),
        INCLUSION: inclusion_text(proof),
        CHECKPOINT: proof.checkpoint.text().encode(),
    }
    members[README] = readme_text(record, proof, carried=lines is not None)
    pack = seal(members)
    read_pack(pack)  # Nobody is handed a pack that is refused where it is opened.
    return pack


def _memory_lines(memory: MemorySnapshot) -> list[str] | None:
    """Return the memory, an item a line, or None when that is too much."""
    lines: list[str] = []
    size = 0
    for item in memory.items:
        lines.append(item_line(item))
        size += len(lines[-1].encode()) + len("  \n")
        if size > MAX_MEMORY_BYTES:
            return None
    return lines


def _vector_text(record: DecisionRecord, policy: Policy, memory: MemorySnapshot) -> str:
    made = vector_from_record(
        record,
        policies=(policy,),
        policy_file=POLICY,
        memory=memory,
        name=incident_name(record),
        why=f"decided {record.verdict} on {record.created_at[:10]}: decision {record.decision_id}",
    )
    document, notes = made.document, made.notes
    if problem := _unlike(yaml_text(document), policy):
        # Said where it would be run; the record itself is replayed from what it holds.
        document = {**document, "skip": f"as a vector the decision does not come out as it is recorded: {problem}"}
    return "".join(comment(f"{note[:1].upper()}{note[1:]}.") for note in notes) + yaml_text(document)


def _unlike(text: str, policy: Policy) -> str:
    """Return why a vector does not give what it expects; empty when it does."""
    try:
        vector = load_vector(text, path=NOWHERE.parent / VECTOR, root=NOWHERE, policy=policy)
    except InvalidVectorError as error:
        return error.problems[0].code
    if vector.problems:
        return vector.problems[0].code
    result = run(vector)
    if result.outcome is Outcome.PASSED:
        return ""
    return ", ".join([*(problem.code for problem in result.problems), *(drift.path for drift in result.drifts)][:3])
