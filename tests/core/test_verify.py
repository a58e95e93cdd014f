"""What verification finds: every change in every row, what only a checkpoint can show, and nothing where nothing is."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tampering
from tampering import build, copy, listing, payload_bytes, rechain, request, tamper, thorough

from lumyn import Gate
from lumyn.core.verify import Verification, verify
from lumyn.engine.redaction import RedactionPolicy, RedactionProfile
from lumyn.errors import StoreUnavailableError
from lumyn.policy.loader import parse_policy
from lumyn.store import open_store
from lumyn.store.checkpoint import Checkpoint
from lumyn.store.journal import TABLES, Finding, checkpoint, read_journal

CHANGES = 2000 if thorough() else 150
DECISIONS = 24


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that nobody may change; tests copy it."""
    return build(tmp_path_factory.mktemp("original") / "lumyn.db", decisions=DECISIONS)


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    return copy(original, tmp_path / "lumyn.db")


@pytest.fixture(scope="module")
def anchor(original: Path) -> Checkpoint:
    return checkpoint_of(original)


def verified(path: Path, **options: Any) -> Verification:
    return verify(open_store(str(path)), **options)


def checkpoint_of(path: Path) -> Checkpoint:
    return read_journal(open_store(str(path)), checkpoint)


def codes(found: Verification) -> set[str]:
    return set(found.counts)


def value_of(path: Path, sql: str, *values: object) -> Any:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql, values).fetchone()[0]


# ---------------------------------------------------------------------------------------------------------------------
# Nothing is wrong


def test_an_untouched_store_is_clean_and_says_what_it_cannot_know(path: Path) -> None:
    found = verified(path)
    assert ((), {}, True) == (found.findings, found.counts, found.ok)
    assert ["UNANCHORED"] == [note.code for note in found.notes]
    assert {"decision": 25, "event": 10, "memory": 7, "policy": 2} == found.rows
    assert value_of(path, "SELECT value FROM meta WHERE key = 'store_id'") == found.store_id


def test_with_a_checkpoint_nothing_is_left_open(path: Path, anchor: Checkpoint) -> None:
    assert ((), ()) == (verified(path, against=anchor).findings, verified(path, against=anchor).notes)


def test_an_older_checkpoint_holds_for_a_store_that_grew(path: Path, anchor: Checkpoint) -> None:
    """What came after it does not matter to it, and is verified all the same."""
    with Gate.open(policy=parse_policy(tampering.POLICY.format(version=3, limit=1)), store=path) as gate:
        gate.decide(request(1000))
    assert verified(path, against=anchor).ok
    tamper(path, "UPDATE decisions SET verdict = 'TRUST' WHERE seq = (SELECT max(seq) FROM decisions)")
    assert {"PROJECTION_MISMATCH"} == codes(verified(path, against=anchor))


def test_an_empty_store_is_clean(tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path / "new.db"), create=True)) as store:
        first = read_journal(store, checkpoint)
        assert 0 == first.size
        assert verify(store, against=first).ok


def test_full_decides_every_decision_again(path: Path) -> None:
    found = verified(path, full=True)
    assert (True, DECISIONS + 1, 0) == (found.ok, found.replayed, found.not_replayable)
    assert verified(path).replayed is None


@pytest.mark.parametrize(
    "redaction",
    [
        "default",
        "strict",
        RedactionPolicy(
            profile=RedactionProfile.OFF,
            remove=("/context/inline/n", "/subject/id", "/action/intent", "/evidence/note"),
        ),
        RedactionPolicy(profile=RedactionProfile.OFF, remove=("/context/inline",)),
    ],
    ids=["default", "strict", "some", "inline"],
)
def test_redacted_records_are_clean_too(tmp_path: Path, redaction: str | RedactionPolicy) -> None:
    found = verified(build(tmp_path / "x.db", redaction=redaction), full=True)
    assert (True, DECISIONS + 1) == (found.ok, found.replayed)


def test_a_store_in_memory_can_be_verified() -> None:
    policy = parse_policy(tampering.POLICY.format(version=1, limit=1))
    with Gate.open(policy=policy, store="sqlite:///:memory:", create=True) as gate:
        gate.decide(request(1))
        assert verify(gate.store, full=True).ok  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------------
# Reading only


def test_verifying_leaves_no_trace(path: Path, anchor: Checkpoint) -> None:
    """Not in the file, nor beside it: content, modes, times and names are as they were."""
    before = listing(path.parent)
    verified(path, full=True, against=anchor)
    assert before == listing(path.parent)


def test_a_store_in_use_is_read_through_its_log(path: Path) -> None:
    """Rows that are only in the write-ahead log count, and writers are neither stopped nor touched."""
    policy = parse_policy(tampering.POLICY.format(version=3, limit=1))
    with Gate.open(policy=policy, store=path) as gate:
        gate.decide(request(1000))
        before = listing(path.parent)
        assert DECISIONS + 2 == verified(path).rows["decision"]
        assert before["lumyn.db"] == listing(path.parent)["lumyn.db"]
        assert before["lumyn.db-wal"] == listing(path.parent)["lumyn.db-wal"]
        assert gate.decide(request(1001)).persisted


def test_a_store_that_was_not_closed_is_read_with_its_log(path: Path, tmp_path: Path) -> None:
    """What a killed process leaves: file and log stay as they are, and rows that are in the log only count."""
    left = tmp_path / "left"
    left.mkdir()
    with Gate.open(policy=parse_policy(tampering.POLICY.format(version=3, limit=1)), store=path) as gate:
        gate.decide(request(1000))
        for name in ("lumyn.db", "lumyn.db-wal"):
            copy(path.with_name(name), left / name)
    before = listing(left)
    found = verified(left / "lumyn.db")
    assert (True, DECISIONS + 2) == (found.ok, found.rows["decision"])
    assert before == {name: file for name, file in listing(left).items() if name in before}


def test_a_store_that_is_written_meanwhile_is_clean(path: Path) -> None:
    """One moment of it is read, whoever writes, opens and closes it."""
    policy = parse_policy(tampering.POLICY.format(version=3, limit=1))
    stop = threading.Event()

    def write() -> None:
        number = 2000
        while not stop.is_set():
            with Gate.open(policy=policy, store=path, synchronous="NORMAL") as gate:
                for number in range(number, number + 3):  # noqa: B020
                    gate.decide(request(number))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [verified(path) for _ in range(20)]
    finally:
        stop.set()
        writer.join()
    assert [] == [finding for each in found for finding in each.findings]
    assert found[-1].rows["decision"] > found[0].rows["decision"]


# ---------------------------------------------------------------------------------------------------------------------
# Single changes, each with the code and the row it must name

ROW = {
    "decisions": ("decision_id", "record", "decision"),
    "decision_events": ("event_id", "body", "event"),
    "memory_items": ("memory_id", "body", "memory"),
    "policy_snapshots": ("policy_hash", "body", "policy"),
}


def second(path: Path, table: str) -> tuple[int, str]:
    """Return `seq` and id of the second row of a table."""
    with closing(sqlite3.connect(path)) as db:
        (row,) = db.execute(f"SELECT seq, {ROW[table][0]} FROM {table} ORDER BY seq LIMIT 1 OFFSET 1")
    return row


def depends_on_memory(table: str, finding: Finding) -> bool:
    """A leaf that was made to fit is not the one that later decisions saw: they say so as well."""
    return table == "memory_items" and (finding.code, finding.table) == ("DIGEST_MISMATCH", "decisions")


@pytest.mark.parametrize("table", ROW)
def test_an_edited_body_is_named(path: Path, table: str) -> None:
    seq, row_id = second(path, table)
    tamper(path, f"UPDATE {table} SET {ROW[table][1]} = replace({ROW[table][1]}, ':', ': ') WHERE seq = ?", seq)
    found = verified(path)
    assert {"LEAF_MISMATCH"} == codes(found)
    (first,) = found.findings
    assert (table, seq, row_id) == (first.table, first.seq, first.row_id)


@pytest.mark.parametrize("table", ROW)
def test_an_edited_body_with_its_leaf_made_to_fit_breaks_the_chain(path: Path, table: str) -> None:
    seq, row_id = second(path, table)
    body = value_of(path, f"SELECT {ROW[table][1]} FROM {table} WHERE seq = ?", seq).replace(":", ": ", 1)
    leaf = tampering.leaf_hash(ROW[table][2], body.encode())
    tamper(path, f"UPDATE {table} SET {ROW[table][1]} = ?, leaf = ? WHERE seq = ?", body, leaf, seq)
    found = [each for each in verified(path).findings if not depends_on_memory(table, each)]
    assert [("CHAIN_MISMATCH", table, seq, row_id)] == [
        (each.code, each.table, each.seq, each.row_id) for each in found
    ]


@pytest.mark.parametrize("table", ROW)
def test_an_edited_row_with_leaf_and_chain_made_to_fit_breaks_the_next_link(path: Path, table: str) -> None:
    seq, _ = second(path, table)
    body = value_of(path, f"SELECT {ROW[table][1]} FROM {table} WHERE seq = ?", seq).replace(":", ": ", 1)
    leaf = tampering.leaf_hash(ROW[table][2], body.encode())
    every = " UNION ALL ".join(f"SELECT seq, chain FROM {name}" for name in ROW)
    previous = value_of(path, f"SELECT chain FROM ({every}) WHERE seq = ?", seq - 1)
    chain = tampering.chain_hash(seq, previous, leaf)
    tamper(path, f"UPDATE {table} SET {ROW[table][1]} = ?, leaf = ?, chain = ? WHERE seq = ?", body, leaf, chain, seq)
    found = [each for each in verified(path).findings if not depends_on_memory(table, each)]
    assert [("CHAIN_MISMATCH", seq + 1)] == [(each.code, each.seq) for each in found]


@pytest.mark.parametrize("column", ["leaf", "chain"])
@pytest.mark.parametrize("table", ROW)
def test_an_edited_hash_is_reported_once(path: Path, table: str, column: str) -> None:
    """The rows around the one that was changed are not accused."""
    seq, row_id = second(path, table)
    tamper(path, f"UPDATE {table} SET {column} = randomblob(32) WHERE seq = ?", seq)
    expected = [("LEAF_MISMATCH" if column == "leaf" else "CHAIN_MISMATCH", table, seq, row_id)]
    found = verified(path).findings
    assert expected == [(each.code, each.table, each.seq, each.row_id) for each in found]


COLUMNS = [
    (table.name, column) for table in TABLES.values() for column in table.projections if column != "decision_id"
] + [("decisions", "decision_id"), ("decision_events", "decision_id")]


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_that_does_not_repeat_its_body_is_named(path: Path, table: str, column: str) -> None:
    seq, _ = second(path, table)
    tamper(path, f"UPDATE {table} SET {column} = {column} || 'x' WHERE seq = ?", seq)
    (found,) = verified(path).findings
    assert ("PROJECTION_MISMATCH", table, seq) == (found.code, found.table, found.seq)
    assert f"`{column}`" in found.message


@pytest.mark.parametrize("value", ["NULL", "''"])
def test_no_tenant_is_not_an_empty_tenant(path: Path, value: str) -> None:
    tamper(path, f"UPDATE decisions SET tenant_id = {value} WHERE tenant_id = 'acme'")
    tamper(path, "UPDATE decisions SET tenant_id = '' WHERE tenant_id IS NULL")
    assert {"PROJECTION_MISMATCH": DECISIONS + 1} == verified(path).counts


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE idempotency_keys SET request_digest = 'sha256:' || hex(zeroblob(32)) WHERE request_id = 'request-5'",
        "UPDATE idempotency_keys SET request_id = 'request-5x' WHERE request_id = 'request-5'",
        "UPDATE idempotency_keys SET tenant_key = 'acmf' WHERE request_id = 'request-5'",
        "UPDATE idempotency_keys SET decision_seq = decision_seq + 1 WHERE request_id = 'request-5'",
        "UPDATE idempotency_keys SET decision_seq = 1000 WHERE request_id = 'request-5'",
        "DELETE FROM idempotency_keys WHERE request_id = 'request-5'",
        "DELETE FROM idempotency_keys",
        "INSERT INTO idempotency_keys SELECT tenant_key, 'more', '', decision_seq FROM idempotency_keys LIMIT 1",
        "INSERT INTO idempotency_keys SELECT 'acme', 'other', 'sha256:', seq FROM decisions LIMIT 1 OFFSET 3",
        "INSERT INTO idempotency_keys VALUES ('acme', 'other', 'sha256:', 1000)",
    ],
)
def test_keys_are_those_of_the_records(path: Path, change: str) -> None:
    """Changed, moved, taken away, added: a key decides which record answers a request."""
    tamper(path, change)
    found = verified(path)
    assert {"PROJECTION_MISMATCH"} == codes(found) - {"DB_CORRUPT"}
    assert {"idempotency_keys"} == {each.table for each in found.findings if each.code == "PROJECTION_MISMATCH"}


@pytest.mark.parametrize("table", ROW)
def test_a_deleted_row_leaves_a_gap(path: Path, table: str) -> None:
    seq, _ = second(path, table)
    tamper(path, f"DELETE FROM {table} WHERE seq = ?", seq)
    gaps = [each for each in verified(path).findings if each.code == "SEQ_GAP"]
    assert [seq + 1] == [each.seq for each in gaps]
    assert f"`seq` {seq} is missing" in gaps[0].message


@pytest.mark.parametrize("table", ROW)
def test_an_emptied_table_is_found(path: Path, table: str) -> None:
    tamper(path, f"DELETE FROM {table}")
    assert "SEQ_GAP" in codes(verified(path))


def test_swapped_rows_are_found(path: Path) -> None:
    """Two bodies in each other's place, each with its own leaf."""

    def swap(db: sqlite3.Connection) -> None:
        (one, two) = db.execute("SELECT seq, decision_id, record, leaf FROM decisions LIMIT 2 OFFSET 4").fetchall()
        db.execute("UPDATE decisions SET decision_id = 'x' WHERE seq = ?", (one[0],))
        for seq, row in ((two[0], one), (one[0], two)):
            db.execute("UPDATE decisions SET decision_id = ?, record = ?, leaf = ? WHERE seq = ?", (*row[1:], seq))

    assert "CHAIN_MISMATCH" in codes(verified(tamper(path, swap)))


def test_a_moved_row_is_found(path: Path) -> None:
    """The same row at another place in the sequence."""
    found = verified(tamper(path, "UPDATE decisions SET seq = 1000 WHERE seq = (SELECT max(seq) FROM decisions)"))
    assert "SEQ_GAP" in codes(found)


def test_an_inserted_row_is_found(path: Path) -> None:
    sql = (
        "INSERT INTO decision_events SELECT seq + 1000, 'E', decision_id, body, leaf, chain "
        "FROM decision_events ORDER BY seq DESC LIMIT 1"
    )
    assert {"SEQ_GAP"} <= codes(verified(tamper(path, sql)))


def test_findings_are_counted_and_only_the_first_of_each_code_kept(tmp_path: Path) -> None:
    path = tamper(build(tmp_path / "x.db", decisions=40), "UPDATE decisions SET verdict = lower(verdict)")
    found = verified(path)
    assert ({"PROJECTION_MISMATCH": 41}, 20) == (found.counts, len(found.findings))
    assert sorted(each.seq or 0 for each in found.findings) == [each.seq for each in found.findings]


# ---------------------------------------------------------------------------------------------------------------------
# Any byte of any row


@pytest.mark.property
def test_any_changed_byte_of_any_column_is_found(original: Path, tmp_path: Path) -> None:
    """Random single-byte changes through SQL: every table, every column, every one found."""
    columns = [
        *((table, column) for table in ROW for column in ("seq", ROW[table][1], "leaf", "chain")),
        *((table.name, column) for table in TABLES.values() for column in table.projections),
        *(("idempotency_keys", c) for c in ("tenant_key", "request_id", "request_digest", "decision_seq")),
    ]
    chance = random.Random(7)
    missed = []
    for number in range(CHANGES):
        table, column = columns[number % len(columns)]
        path = copy(original, tmp_path / "changed.db")
        change = tamper(path, lambda db, t=table, c=column: change_one_byte(db, t, c, chance))
        if verified(change).ok:
            missed.append((number, table, column))
    assert [] == missed


def change_one_byte(db: sqlite3.Connection, table: str, column: str, chance: random.Random) -> None:
    """Change one byte of one value, to a value that the table takes; an integer by one bit."""
    db.text_factory = bytes
    key, kind_of_key = ("request_id", "TEXT") if table == "idempotency_keys" else ("seq", "INTEGER")
    rows = db.execute(f"SELECT {key}, {column}, typeof({column}) FROM {table} WHERE length({column}) > 0").fetchall()
    chance.shuffle(rows)
    for row_key, value, kind in rows:
        if isinstance(value, int):
            changed: object = value ^ (1 << chance.randrange(12))
        else:
            place = chance.randrange(len(value))
            changed = value[:place] + bytes([value[place] ^ chance.randrange(1, 256)]) + value[place + 1 :]
        new = "CAST(? AS TEXT)" if kind == b"text" else "?"
        sql = f"UPDATE {table} SET {column} = {new} WHERE {key} = CAST(? AS {kind_of_key})"
        try:
            if db.execute(sql, (changed, row_key)).rowcount == 1:
                return
        except sqlite3.IntegrityError:
            continue  # another row has that value
    raise AssertionError(f"nothing to change in {table}.{column}")


@pytest.mark.property
def test_any_changed_byte_in_the_file_of_any_row_is_found(original: Path, tmp_path: Path) -> None:
    """Random single-byte changes of the file, inside the payload of journal rows and keys: every one found."""
    by_table: dict[str, list[int]] = {}
    for place, table in payload_bytes(original):
        by_table.setdefault(table, []).append(place)
    data = original.read_bytes()
    path = tmp_path / "changed.db"
    chance = random.Random(11)
    missed = []
    for number in range(CHANGES):
        table = sorted(by_table)[number % len(by_table)]
        place = chance.choice(by_table[table])
        flipped = data[place] ^ (1 << chance.randrange(8) if number % 2 else chance.randrange(1, 256))
        path.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        path.chmod(0o600)
        if verified(path).ok:
            missed.append((table, place, data[place], flipped))
    assert [] == missed


# ---------------------------------------------------------------------------------------------------------------------
# What only a checkpoint shows


def cut(path: Path, rows: int) -> Path:
    """Take the last rows away, and the keys that go with them."""

    def change(db: sqlite3.Connection) -> None:
        every = " UNION ALL ".join(f"SELECT seq FROM {name}" for name in ROW)
        (last,) = db.execute(f"SELECT max(seq) - ? FROM ({every})", (rows,)).fetchone()
        db.execute("DELETE FROM idempotency_keys WHERE decision_seq > ?", (last,))
        for name in ROW:
            db.execute(f"DELETE FROM {name} WHERE seq > ?", (last,))

    return tamper(path, change)


@pytest.mark.parametrize("rows", [1, 7, 43, 44])
def test_a_cut_tail_is_found_against_a_checkpoint_only(path: Path, anchor: Checkpoint, rows: int) -> None:
    """Without one, what is left looks whole: hence the note."""
    assert 44 == anchor.size
    cut(path, rows)
    assert (True, ["UNANCHORED"]) == (verified(path).ok, [note.code for note in verified(path).notes])
    assert {"TRUNCATED"} == codes(verified(path, against=anchor))


def edit_decision(
    db: sqlite3.Connection, edit: Callable[[dict[str, Any]], object], *, verdict: str | None = None
) -> None:
    """Edit the record of the fifth decision and make everything that repeats it fit."""
    ((seq, text),) = db.execute("SELECT seq, record FROM decisions ORDER BY seq LIMIT 1 OFFSET 4").fetchall()
    record = json.loads(text)
    edit(record)
    db.execute(
        "UPDATE decisions SET record = ?, verdict = coalesce(?, verdict) WHERE seq = ?",
        (json.dumps(record, separators=(",", ":"), sort_keys=True, ensure_ascii=False), verdict, seq),
    )
    rechain(db)


def to_trust(db: sqlite3.Connection) -> None:
    edit_decision(db, lambda record: record.update(verdict="TRUST"), verdict="TRUST")


def test_history_written_anew_is_found_against_a_checkpoint(path: Path, anchor: Checkpoint) -> None:
    """A verdict changed and every hash made to fit: only what is kept outside, or deciding again, tells."""
    tamper(path, to_trust)
    assert verified(path).ok
    assert {"ROOT_MISMATCH"} == codes(verified(path, against=anchor))


def test_history_written_anew_and_longer_is_found(path: Path, anchor: Checkpoint) -> None:
    """More rows than the checkpoint saw do not hide that the first ones are others."""
    tamper(path, to_trust)
    with Gate.open(policy=parse_policy(tampering.POLICY.format(version=3, limit=1)), store=path) as gate:
        gate.decide(request(1000))
    assert {"ROOT_MISMATCH"} == codes(verified(path, against=anchor))


def test_a_missing_row_is_found_against_a_checkpoint_as_well(path: Path, anchor: Checkpoint) -> None:
    seq, _ = second(path, "decision_events")
    tamper(path, "DELETE FROM decision_events WHERE seq = ?", seq)
    assert {"SEQ_GAP", "ROOT_MISMATCH"} == codes(verified(path, against=anchor))


def test_a_checkpoint_of_another_store_is_refused(path: Path, anchor: Checkpoint) -> None:
    other = Checkpoint(origin="lumyn/" + "0" * 32, size=anchor.size, root=anchor.root)
    assert {"STORE_IDENTITY_MISMATCH"} == codes(verified(path, against=other))


def test_a_swapped_file_is_found(path: Path, anchor: Checkpoint, tmp_path: Path) -> None:
    """Another store with the same content in place of this one."""
    other = build(tmp_path / "other.db")
    other.replace(path)
    assert {"STORE_IDENTITY_MISMATCH"} == codes(verified(path, against=anchor))
    pinned = anchor.origin.removeprefix("lumyn/")
    assert {"STORE_IDENTITY_MISMATCH"} == codes(verified(path, store_id=pinned))


# ---------------------------------------------------------------------------------------------------------------------
# History written anew in ways that records themselves contradict


def test_experience_taken_away_is_found_by_the_decisions_that_saw_it(path: Path) -> None:
    """A deleted failure, with every row renumbered and every hash made to fit."""

    def change(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM memory_items WHERE seq = (SELECT min(seq) FROM memory_items)")
        rechain(db)

    found = verified(tamper(path, change))
    assert {"DIGEST_MISMATCH"} == codes(found)
    assert 1 == found.counts["DIGEST_MISMATCH"], "every later decision differs in the same way"
    assert "memory" in found.findings[0].message


def test_inline_content_has_its_digest(path: Path) -> None:
    tamper(path, lambda db: edit_decision(db, lambda record: record["request"]["context"].update(inline={"n": 6})))
    assert {"DIGEST_MISMATCH"} == codes(verified(path))


def test_a_policy_text_has_its_hash(path: Path) -> None:
    """A looser policy under the hash of the one that decided."""

    def change(db: sqlite3.Connection) -> None:
        db.execute("UPDATE policy_snapshots SET body = replace(body, 'amount_usd_lte: 20', 'amount_usd_lte: 90')")
        rechain(db)

    assert {"POLICY_SNAPSHOT_MISMATCH"} == codes(verified(tamper(path, change)))


def test_a_policy_that_decided_is_kept(path: Path) -> None:
    def change(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM policy_snapshots WHERE seq = 1")
        rechain(db)

    found = verified(tamper(path, change))
    assert {"POLICY_SNAPSHOT_MISMATCH": 1} == found.counts
    assert 1 == found.findings[0].seq


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"decision_id":1}', '{"decision_id":"x"} {}', "\ud800"])
def test_a_body_that_cannot_be_read_is_named(path: Path, text: str) -> None:
    def change(db: sqlite3.Connection) -> None:
        raw = text.encode("utf-8", "surrogatepass")
        db.execute("UPDATE decision_events SET body = CAST(? AS TEXT) WHERE event_id = ?", (raw, row_id))
        db.text_factory = lambda value: value.decode("utf-8", "surrogateescape")

    seq, row_id = second(path, "decision_events")
    found = verified(tamper(path, change))
    assert [("LEAF_MISMATCH", seq)] == [(each.code, each.seq) for each in found.findings]

    if not text.startswith("\ud800"):

        def fit(db: sqlite3.Connection) -> None:
            rechain(db)

        found = verified(tamper(path, fit))
        assert [("PROJECTION_MISMATCH", seq)] == [(each.code, each.seq) for each in found.findings]


def test_a_body_with_something_after_it_is_named(path: Path) -> None:
    def change(db: sqlite3.Connection) -> None:
        db.execute("UPDATE decision_events SET body = body || ' {}' WHERE event_id = ?", (row_id,))
        rechain(db)

    seq, row_id = second(path, "decision_events")
    found = verified(tamper(path, change))
    assert [("PROJECTION_MISMATCH", seq)] == [(each.code, each.seq) for each in found.findings]


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda record: record.update(verdict="TRUST"), "REPLAY_MISMATCH"),
        (lambda record: record.update(reason_codes=["SMALL"]), "REPLAY_MISMATCH"),
        (lambda record: record["request"]["evidence"].update(risk=0.1), "REPLAY_MISMATCH"),
        (lambda record: record["determinism"].update(inputs_digest="sha256:" + "0" * 64), "DIGEST_MISMATCH"),
        (lambda record: record.update(explanation={"summary": "fine", "details": "fine"}), "REPLAY_MISMATCH"),
        (lambda record: record["risk_signals"].update(uncertainty_score=2), "REPLAY_MISMATCH"),
    ],
)
def test_full_finds_records_that_do_not_follow_from_their_inputs(
    path: Path, edit: Callable[[dict[str, Any]], object], code: str
) -> None:
    """Everything made to fit, and still not what the policy says of the request."""
    tamper(path, lambda db: edit_decision(db, edit))
    with closing(sqlite3.connect(path)) as db:
        record = json.loads(db.execute("SELECT record FROM decisions ORDER BY seq LIMIT 1 OFFSET 4").fetchone()[0])
    tamper(path, "UPDATE decisions SET verdict = ? WHERE decision_id = ?", record["verdict"], record["decision_id"])
    assert set() == codes(verified(path))
    found = verified(path, full=True)
    assert [(code, record["decision_id"])] == [(each.code, each.row_id) for each in found.findings]


# ---------------------------------------------------------------------------------------------------------------------
# Below the rows


def test_a_missing_trigger_is_named(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER decisions_no_update")
    (found,) = verified(path).findings
    assert ("TRIGGER_MISSING", "decisions") == (found.code, found.table)
    assert "`decisions_no_update`" in found.message


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE decisions ADD COLUMN note TEXT",
        "DROP INDEX memory_items_of",
        "CREATE INDEX more ON decisions (created_at)",
        "CREATE VIEW seen AS SELECT * FROM decisions",
        "CREATE TABLE more (x)",
        "CREATE TRIGGER more AFTER INSERT ON decisions BEGIN DELETE FROM decision_events; END",
        "DROP TRIGGER keys_no_delete; CREATE TRIGGER keys_no_delete BEFORE DELETE ON meta BEGIN SELECT 1; END",
        "DROP TABLE idempotency_keys",
    ],
)
def test_another_schema_is_named(path: Path, change: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(change)
    found = verified(path)
    assert "SCHEMA_CHANGED" in codes(found)


def test_statistics_of_the_database_are_not_a_change(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("ANALYZE")
    assert verified(path).ok


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("PRAGMA application_id = 7", "STORE_IDENTITY_MISMATCH"),
        ("PRAGMA user_version = 99", "STORE_SCHEMA_UNSUPPORTED"),
        ("PRAGMA user_version = 0", "STORE_SCHEMA_UNSUPPORTED"),
        ("UPDATE meta SET value = '0' WHERE key = 'store_id'", "STORE_IDENTITY_MISMATCH"),
        ("UPDATE meta SET value = upper(value) WHERE key = 'store_id'", "STORE_IDENTITY_MISMATCH"),
        ("UPDATE meta SET value = 'x' WHERE key = 'genesis'", "STORE_IDENTITY_MISMATCH"),
        ("DELETE FROM meta", "STORE_IDENTITY_MISMATCH"),
        ("INSERT INTO meta VALUES ('more', '')", "STORE_IDENTITY_MISMATCH"),
    ],
)
def test_another_identity_is_named(path: Path, change: str, code: str) -> None:
    assert code in codes(verified(tamper(path, change)))


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_weak_modes_are_named(path: Path) -> None:
    path.chmod(0o640)
    path.parent.chmod(0o777)
    found = verified(path).findings
    assert ["FILE_MODE_WEAK", "FILE_MODE_WEAK"] == [each.code for each in found]
    assert "0640" in found[0].message
    path.chmod(0o600)
    path.parent.chmod(0o755)
    assert verified(path).ok


def damaged(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    size = 4096
    if how == "root pages":
        data[size : 4 * size] = bytes(3 * size)
    elif how == "half the file":
        del data[len(data) // 2 :]
    elif how == "one page":
        del data[-size:]
    elif how == "a page in the middle":
        middle = len(data) // size // 2 * size
        data[middle : middle + size] = os.urandom(size)
    elif how == "the header":
        data[:100] = bytes(100)
    elif how == "the schema":
        data[100:size] = os.urandom(size - 100)
    else:
        data[16:24] = os.urandom(8)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "how", ["root pages", "half the file", "one page", "a page in the middle", "the header", "the schema", "page size"]
)
def test_a_damaged_file_is_reported_not_raised(path: Path, how: str, anchor: Checkpoint) -> None:
    damaged(path, how)
    found = verified(path, against=anchor)
    assert not found.ok
    assert codes(found) & {"DB_CORRUPT", "STORE_IDENTITY_MISMATCH", "SCHEMA_CHANGED"}


def test_a_value_of_another_type_with_the_same_bytes_is_damage(path: Path) -> None:
    """A leaf hash that became text: every byte of it is right, and only the database itself can tell."""
    data = bytearray(path.read_bytes())
    hashes = b"\x4c\x4c"  # two values of 32 bytes, as the header of a record says it (sqlite.org/fileformat2.html, 2.1)
    place = next(
        place for place, table in payload_bytes(path) if table == "decisions" and data[place : place + 2] == hashes
    )
    data[place] += 1
    path.write_bytes(data)
    assert {"DB_CORRUPT"} == codes(verified(path))


@pytest.mark.property
def test_any_damage_is_reported_not_raised(original: Path, tmp_path: Path, anchor: Checkpoint) -> None:
    """Random bytes anywhere in the file: findings or a clean bill, never an exception of another kind."""
    data = original.read_bytes()
    chance = random.Random(13)
    path = tmp_path / "changed.db"
    for _ in range(CHANGES):
        changed = bytearray(data)
        for _ in range(chance.choice([1, 1, 8, 64])):
            changed[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(changed)
        path.chmod(0o600)
        verified(path, against=anchor, full=chance.random() < 0.2)


@pytest.mark.parametrize("what", ["missing", "empty", "folder", "missing folder"])
def test_what_cannot_be_opened_is_unavailable(tmp_path: Path, what: str) -> None:
    path = tmp_path / "lumyn.db"
    if what == "empty":
        path.touch()
    elif what == "folder":
        path.mkdir()
    elif what == "missing folder":
        path = tmp_path / "none" / "lumyn.db"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreUnavailableError):
        verified(path)
    assert before == sorted(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "lumyn.db"
    path.write_bytes(b"not a database at all, but long enough to have a header" * 100)
    path.chmod(0o600)
    assert {"DB_CORRUPT"} == codes(verified(path))


def test_progress_is_told(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumyn.core.verify._PROGRESS_STEP", 10)
    told: list[tuple[int, int]] = []
    verified(path, progress=lambda done, total: told.append((done, total)))
    assert [(10, 44), (20, 44), (30, 44), (40, 44)] == told
