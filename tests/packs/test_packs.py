"""Packs: the same bytes each time, every byte covered, and no forgery that is not found."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cli.harness import refund
from packs.conftest import new_gate, packed
from packs.forging import Document, forged, members_of, sealed, set_at

from lumyn import DecisionRecord, Gate, NotFoundError, Policy, Verdict
from lumyn.core.replay import ReplayStatus
from lumyn.errors import InvalidPackError, StoreIntegrityError
from lumyn.packs import MEMBERS, pack_decision, read_pack, replay_pack
from lumyn.packs import making as making_module
from lumyn.packs.container import write_archive
from lumyn.packs.pack import CHECKPOINT, INCLUSION, MANIFEST, POLICY, README, RECORD, VECTOR
from lumyn.store import open_store
from lumyn.store.journal import checkpoint, inclusion_when_written, read_journal
from lumyn.vectors.runner import Outcome

DATA = Path(__file__).resolve().parents[1] / "data"


def refusal(data: bytes) -> InvalidPackError:
    """Return the error with which a pack is refused, by reading it or by deciding it again."""
    with pytest.raises(InvalidPackError) as refused:
        replay_pack(read_pack(data)).check()
    return refused.value


def codes_of(data: bytes) -> set[str]:
    return {problem.code for problem in refusal(data).problems}


# ---------------------------------------------------------------------------------------------------------------------
# Good packs


def test_a_pack_comes_out_as_it_says(pack: bytes, escalated: DecisionRecord) -> None:
    opened = read_pack(pack)
    found = replay_pack(opened)
    assert (Verdict.ESCALATE, escalated.to_json()) == (escalated.verdict, opened.record.to_json())
    assert (True, ReplayStatus.FULL, ()) == (found.matches, found.replay.status, found.differences)
    assert found.vector is not None
    assert Outcome.PASSED is found.vector.outcome
    found.check()


def test_two_packs_of_one_decision_are_byte_identical(pack: bytes, gate: Gate, escalated: DecisionRecord) -> None:
    """Whatever was written to the store in between: its journal and its memory have grown."""
    assert pack == packed(gate, escalated.decision_id)
    for number in range(5):
        later = gate.decide(refund(ticket_id=f"L-{number}"))
        gate.label(later.decision_id, "near_miss")
    gate.label(escalated.decision_id, "success")
    assert pack == packed(gate, escalated.decision_id)


def test_the_proof_is_that_of_the_moment_the_record_was_written(
    pack: bytes, gate: Gate, escalated: DecisionRecord
) -> None:
    """Its checkpoint is one that `lumyn checkpoint` would have printed then."""
    opened = read_pack(pack)
    assert opened.inclusion.holds()
    assert opened.inclusion.checkpoint == read_journal(gate.store, checkpoint)  # type: ignore[arg-type]
    gate.decide(refund(ticket_id="later"))
    proof = read_journal(
        gate.store,  # type: ignore[arg-type]
        lambda journal: inclusion_when_written(journal, escalated.decision_id),
    )
    assert opened.inclusion == proof


def test_every_decision_of_a_journal_can_be_proved_when_written(gate: Gate) -> None:
    """Trees of every size up to 20, so that the path has every shape."""
    for number in range(19):
        record = gate.decide(refund(ticket_id=f"T-{number}"))
        proof = read_journal(
            gate.store,  # type: ignore[arg-type]
            lambda journal, wanted=record.decision_id: inclusion_when_written(journal, wanted),
        )
        assert proof.holds()
        assert proof.checkpoint == read_journal(gate.store, checkpoint)  # type: ignore[arg-type]


def test_members_are_the_fixed_ones_and_vouched_for(pack: bytes) -> None:
    with zipfile.ZipFile(BytesIO(pack)) as archive:
        assert list(MEMBERS) == archive.namelist()
    manifest = json.loads(members_of(pack)[MANIFEST])
    assert set(MEMBERS) - {MANIFEST} == set(manifest["members"])
    assert "pack.v0" == manifest["schema_version"]


def test_unpacked_the_vector_passes_beside_the_policy(pack: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(BytesIO(pack)) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "lumyn.toml").write_text('[policy]\npath = "policy.yml"\n', encoding="utf-8")
    run = [sys.executable, "-m", "lumyn", "vectors", "run", "vector.yml"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (0, "1 vector: 1 passed\n") == (done.returncode, done.stdout)


def test_a_decision_without_memory_is_carried_whole(gate: Gate) -> None:
    found = replay_pack(read_pack(packed(gate, gate.decide(refund()).decision_id)))
    assert (True, ReplayStatus.FULL) == (found.matches, found.replay.status)
    assert b"x-memory" not in found.pack.members[VECTOR]


@pytest.mark.parametrize("redaction", ["off", "default", "strict"])
def test_redacted_decisions_replay_in_full(policy: Policy, redaction: str) -> None:
    """What is removed is never what the policy reads; the vector says what is not in it."""
    request = refund(note="from the chat") | {"context": {"mode": "inline", "inline": {"card": "4111"}}}
    with new_gate(policy, redaction) as gate:
        record = gate.decide(request)
        found = replay_pack(read_pack(packed(gate, record.decision_id)))
    assert (True, ReplayStatus.FULL) == (found.matches, found.replay.status)
    assert found.vector is not None
    assert ("strict" == redaction) == (b"/evidence/note" in found.pack.members[VECTOR])


@pytest.mark.parametrize(
    "text", ["a\u202eb", "a\x9bb", "a\u2028b", "line\nline", "\ufeff", "\U0001f600", "'\"\\{}#: -"]
)
def test_any_text_survives_the_way_through_yaml(gate: Gate, text: str) -> None:
    first = gate.decide(refund(order_id=text, note=text))
    gate.label(first.decision_id, "failure", note=text)
    second = gate.decide(refund(order_id="O-2", note=text))
    found = replay_pack(read_pack(packed(gate, second.decision_id)))
    assert (True, ReplayStatus.FULL) == (found.matches, found.replay.status)
    assert found.vector is not None
    assert "\u202e" not in found.pack.members[VECTOR].decode()


def test_corrections_of_labels_are_carried(gate: Gate) -> None:
    """The pack holds every item, the superseded ones too: only then is the memory the one the decision saw."""
    first = gate.decide(refund(ticket_id="T-1"))
    for label in ("failure", "success", "near_miss"):
        gate.label(first.decision_id, label)
    second = gate.decide(refund(ticket_id="T-2"))
    found = replay_pack(read_pack(packed(gate, second.decision_id)))
    assert (True, Verdict.ESCALATE) == (found.matches, found.pack.record.verdict)
    assert found.pack.memory is not None
    assert 3 == found.pack.memory.n


def test_memory_that_is_too_large_is_left_out_and_the_status_says_so(
    gate: Gate, escalated: DecisionRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resemblance then is that of the record; the rest is decided again."""
    monkeypatch.setattr(making_module, "MAX_MEMORY_BYTES", 100)
    found = replay_pack(read_pack(packed(gate, escalated.decision_id)))
    assert found.pack.memory is None
    assert (True, ReplayStatus.FACTS) == (found.matches, found.replay.status)
    assert b"too many to be carried" in found.pack.members[README]
    assert found.vector is not None
    assert Outcome.PASSED is found.vector.outcome


def test_what_cannot_be_proved_is_not_packed(gate: Gate) -> None:
    with pytest.raises(NotFoundError):
        packed(gate, "01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_a_broken_store_makes_no_pack(tmp_path: Path, policy: Policy) -> None:
    from tampering import tamper

    store = tmp_path / "lumyn.db"
    with Gate.open(policy=policy, store=store, create=True) as gate:
        first, second = gate.decide(refund(ticket_id="T-1")), gate.decide(refund(ticket_id="T-2"))
    tamper(store, "UPDATE decisions SET chain = zeroblob(32) WHERE seq = 2")
    for record in (first, second):
        with pytest.raises(StoreIntegrityError):
            pack_decision(open_store(str(store)), record.decision_id)


def test_a_pack_of_earlier_is_read_for_ever() -> None:
    """Made with Python 3.13 when the format was new. Nothing in a pack may be written otherwise within `pack.v0`."""
    found = replay_pack(read_pack((DATA / "packs" / "pack.v0.zip").read_bytes()))
    assert (True, ReplayStatus.FULL, Verdict.ESCALATE) == (
        found.matches,
        found.replay.status,
        found.pack.record.verdict,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Every byte


def test_changing_any_byte_is_found(pack: bytes) -> None:
    """Every byte of the file, members and what is around them, each changed in one way."""
    shuffled = random.Random(7)
    for place in range(len(pack)):
        changed = bytearray(pack)
        changed[place] ^= shuffled.randrange(1, 256)
        with pytest.raises(InvalidPackError):
            read_pack(bytes(changed))


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != MANIFEST])
def test_a_member_that_the_manifest_does_not_vouch_for_is_named(pack: bytes, name: str) -> None:
    """Checksums and sizes of the archive made to fit, as a packing program would."""
    members = members_of(pack)
    changed = bytes([members[name][0] ^ 1]) + members[name][1:]
    error = refusal(write_archive({**members, name: changed}))
    assert ["PACK_DIGEST_MISMATCH"] == [problem.code for problem in error.problems]
    assert f"`{name}` is not what `manifest.json` vouches for" in str(error)


def test_a_manifest_that_says_something_else_is_refused(pack: bytes) -> None:
    members = members_of(pack)
    for manifest in (b"{}\n", b"[]", b"", b"\xff", members[MANIFEST].replace(b"pack.v0", b"pack.v1"), b"[" * 9999):
        assert {"PACK_DIGEST_MISMATCH"} == codes_of(write_archive({**members, MANIFEST: manifest}))


# ---------------------------------------------------------------------------------------------------------------------
# Forgeries: all digests made to fit


UNCOVERED = ("created_at", "decision_id", "determinism.engine_version", "request.context.redaction")


def verdict(record: Document) -> None:
    record["verdict"] = "TRUST"


def codes(record: Document) -> None:
    record["reason_codes"] = ["REFUND_SMALL_LOW_RISK"]


def amount(record: Document) -> None:
    record["request"]["action"]["amount"]["value"] = "1.00"


def score(record: Document) -> None:
    record["risk_signals"]["failure_similarity"]["score"] = 0.1


def explanation(record: Document) -> None:
    record["explanation"]["summary"] = "TRUST by R310"


def inputs(record: Document) -> None:
    record["determinism"]["inputs_digest"] = f"sha256:{'0' * 64}"


@pytest.mark.parametrize("change", [verdict, codes, amount, score, explanation, inputs], ids=lambda each: each.__name__)
def test_a_forged_record_is_found(pack: bytes, change: Callable[[Document], None]) -> None:
    """Manifest, leaf, proof, checkpoint and page fit the forgery; what it says does not come out."""
    assert codes_of(forged(pack, change)) <= {"PACK_REPLAY_MISMATCH", "PACK_DIGEST_MISMATCH"}


def test_a_forged_verdict_is_found_by_deciding_again(pack: bytes) -> None:
    """The vector is made to fit too, so nothing but the evaluation tells."""
    vector = members_of(pack)[VECTOR].replace(b"verdict: ESCALATE", b"verdict: TRUST")
    found = replay_pack(read_pack(forged(pack, verdict, vector__yml=vector)))
    assert not found.matches
    assert [("verdict", "TRUST", "ESCALATE"), ("vector.yml: verdict", "TRUST", "ESCALATE")] == [
        (each.path, each.stored, each.replayed) for each in found.differences
    ]
    with pytest.raises(InvalidPackError, match="PACK_REPLAY_MISMATCH"):
        found.check()


def test_the_unchanged_record_under_a_made_up_journal_comes_out(pack: bytes) -> None:
    """What only a checkpoint kept elsewhere can tell; the page in the pack says so."""
    assert replay_pack(read_pack(forged(pack, lambda record: None))).matches
    assert b"a checkpoint that was kept elsewhere" in members_of(pack)[README]


@pytest.mark.parametrize(
    ("name", "old", "new", "code"),
    [
        (POLICY, b"failure_similarity_escalate: 0.8", b"failure_similarity_escalate: 1.0", "PACK_DIGEST_MISMATCH"),
        (POLICY, b"rules:", b"rulez:", "PACK_MEMBER_INVALID"),
        (POLICY, b"schema_version", b"\xffchema_version", "PACK_MEMBER_INVALID"),
        (VECTOR, b'"label":"failure"', b'"label":"success"', "PACK_DIGEST_MISMATCH"),
        (VECTOR, b'"label":"failure"', b'"label":"disaster"', "PACK_MEMBER_INVALID"),
        (VECTOR, b'"currency":"USD"', b'"currency":["USD"]', "PACK_MEMBER_INVALID"),
        (VECTOR, b'"amount_usd":"12"', b'"amount_usd":"NaN"', "PACK_MEMBER_INVALID"),
        (VECTOR, b'"summary":', b'"zummary":', "PACK_MEMBER_INVALID"),
        (VECTOR, b'  {"action_type"', b'   {"action_type"', "PACK_MEMBER_INVALID"),
        (VECTOR, b"x-memory: |\n", b"x-memory: |2\n", "PACK_DIGEST_MISMATCH"),
        (VECTOR, b"verdict: ESCALATE", b"verdict: TRUST", "PACK_DIGEST_MISMATCH"),
        (VECTOR, b"ticket_id: T-3", b"ticket_id: T-4", "PACK_DIGEST_MISMATCH"),
        (VECTOR, b"2026-01-15T12:00:00.000Z", b"2026-01-15T12:00:01.000Z", "PACK_DIGEST_MISMATCH"),
        (VECTOR, b"policy: policy.yml", b"policy: /etc/passwd", "PACK_DIGEST_MISMATCH"),
        (VECTOR, b"schema_version: vector.v0", b"schema_version: vector.v9", "PACK_MEMBER_INVALID"),
        (VECTOR, b"label: failure", b"label: success", "PACK_REPLAY_MISMATCH"),
        (README, b"ESCALATE", b"TRUST", "PACK_DIGEST_MISMATCH"),
        (INCLUSION, b'"index": ', b'"index": 1', "PACK_DIGEST_MISMATCH"),
        (INCLUSION, b'"leaf": "', b'"leaf": "0', "PACK_MEMBER_INVALID"),
        (INCLUSION, b"{", b"{ ", "PACK_MEMBER_INVALID"),
        (CHECKPOINT, b"lumyn/", b"other/", "PACK_MEMBER_INVALID"),
        (CHECKPOINT, b"=\n", b"=\nmore\n", "PACK_MEMBER_INVALID"),
        (CHECKPOINT, b"=\n", b"\n", "PACK_MEMBER_INVALID"),
        (RECORD, b'{"created_at"', b'{ "created_at"', "PACK_MEMBER_INVALID"),
        (RECORD, b'"verdict":"ESCALATE"', b'"verdict":"ALLOW"', "PACK_MEMBER_INVALID"),
        (RECORD, b'"verdict":', b'"verdict":"TRUST","verdict":', "PACK_MEMBER_INVALID"),
        (RECORD, b'"verdict":"ESCALATE"', b'"verdict":"TRUST"', "PACK_DIGEST_MISMATCH"),
    ],
)
def test_a_member_forged_under_a_fresh_manifest_is_found(
    pack: bytes, name: str, old: bytes, new: bytes, code: str
) -> None:
    members = members_of(pack)
    assert old in members[name]
    assert {code} == codes_of(sealed({**members, name: members[name].replace(old, new, 1)}))


@pytest.mark.parametrize("value", [None, True, 0, -1, 1.5, 2**53 - 1, "", 'x"}', "\u202e", [], [None], {}, {"a": {}}])
def test_no_value_anywhere_in_a_record_surprises(pack: bytes, value: object) -> None:
    """Each leaf and each object of the record replaced, everything else made to fit: a coded refusal or a mismatch."""

    def paths(node: Any, at: str = "") -> list[str]:
        below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        found = [at] if at else []
        for key, item in below:
            found += paths(item, f"{at}.{key}" if at else str(key))
        return found

    record = json.loads(members_of(pack)[RECORD])
    for path in paths(record):
        data = forged(pack, lambda each, path=path: set_at(each, path, value))
        try:
            found = replay_pack(read_pack(data))
        except InvalidPackError:
            continue
        if found.matches and json.loads(found.pack.members[RECORD]) != record:
            # What no verdict is computed from and no digest but the leaf covers.
            assert path.startswith(UNCOVERED), path
