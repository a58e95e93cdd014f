"""
Moving a store to another schema: all of a step or none of it, forward only, and never a change of history.
There is one schema so far, so a synthetic step from it stands for those to come.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tampering import POLICY, build, copy, request

from lumyn import Gate
from lumyn.core.verify import verify
from lumyn.errors import StoreIntegrityError, StoreUnavailableError
from lumyn.policy.loader import parse_policy
from lumyn.store import files, inspection, migrations, open_store
from lumyn.store.files import SCHEMA_VERSION
from lumyn.store.inspection import schema_of
from lumyn.store.journal import checkpoint, read_journal
from lumyn.store.migrations import MIGRATIONS, Migration, can_migrate, migrate

EVENTS = """\
CREATE TABLE events (
  seq         INTEGER PRIMARY KEY,
  event_id    TEXT NOT NULL UNIQUE,
  decision_id TEXT NOT NULL,
  body        TEXT NOT NULL,
  leaf        BLOB NOT NULL,
  chain       BLOB NOT NULL
) STRICT"""

TRIGGER = "CREATE TRIGGER {name} BEFORE {what} ON {table} BEGIN SELECT RAISE(ABORT, 'append-only'); END"

# A column with an index, filled from what is there; and a table made anew, with other columns, under the same name.
STEP = Migration(
    summary="the type of an event gets a column of its own",
    statements=(
        "ALTER TABLE decisions ADD COLUMN mode TEXT",
        "DROP TRIGGER decisions_no_update",
        "UPDATE decisions SET mode = record ->> '$.policy.mode'",
        TRIGGER.format(name="decisions_no_update", what="UPDATE", table="decisions"),
        "CREATE INDEX decisions_by_mode ON decisions (mode, seq)",
        EVENTS.replace("decision_id TEXT NOT NULL,", "decision_id TEXT NOT NULL, type TEXT NOT NULL,"),
        "INSERT INTO events SELECT seq, event_id, decision_id, body ->> 'type', body, leaf, chain FROM decision_events",
        "DROP TABLE decision_events",
        "ALTER TABLE events RENAME TO decision_events",
        "CREATE INDEX decision_events_of ON decision_events (decision_id, seq)",
        TRIGGER.format(name="events_no_update", what="UPDATE", table="decision_events"),
        TRIGGER.format(name="events_no_delete", what="DELETE", table="decision_events"),
    ),
)
STEPS = {SCHEMA_VERSION: STEP}
NEXT = SCHEMA_VERSION + 1


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("original") / "lumyn.db", decisions=3)


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    return copy(original, tmp_path / "lumyn.db")


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connected(path)) as connection:
        yield connection


def connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=1)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def content(db: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return the version, the schema and every row."""
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    return {
        "version": db.execute("PRAGMA user_version").fetchall(),
        "schema": sorted(schema_of(db).items()),
        **{table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables},
    }


def test_every_schema_since_the_first_can_be_left() -> None:
    """The registry has a step for each version below the current one, and no other."""
    assert list(range(1, SCHEMA_VERSION)) == sorted(MIGRATIONS)


def test_a_step_moves_a_populated_store(db: sqlite3.Connection) -> None:
    before = content(db)
    assert (SCHEMA_VERSION,) == migrate(db, NEXT, migrations=STEPS)
    after = content(db)
    assert [(NEXT,)] == after["version"]
    assert {"enforce"} == {mode for (mode,) in db.execute("SELECT mode FROM decisions")}
    assert {"label", "override"} == {kind for (kind,) in db.execute("SELECT type FROM decision_events")}
    assert before["decisions"] == [row[:-1] for row in after["decisions"]]
    assert before["memory_items"] == after["memory_items"]
    assert before["idempotency_keys"] == after["idempotency_keys"]
    assert 1 == db.execute("PRAGMA foreign_keys").fetchone()[0]


def test_nothing_is_left_to_do_the_second_time(db: sqlite3.Connection) -> None:
    migrate(db, NEXT, migrations=STEPS)
    after = content(db)
    assert () == migrate(db, NEXT, migrations=STEPS)
    assert after == content(db)


def test_several_steps_are_several_transactions(db: sqlite3.Connection) -> None:
    """A failure in the second leaves what the first made."""
    second = Migration(summary="", statements=("CREATE TABLE more (x) STRICT",))
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, NEXT + 1, migrations={**STEPS, NEXT: second})
    assert [(NEXT,)] == content(db)["version"]
    second = Migration(summary="", statements=("CREATE TABLE more (x TEXT) STRICT",))
    assert (NEXT,) == migrate(db, NEXT + 1, migrations={**STEPS, NEXT: second})


def test_interrupted_at_any_step_a_store_is_old_or_new(path: Path) -> None:
    """
    The progress handler of SQLite stops the virtual machine after each of its steps in turn, rollback included.

    Whatever it stopped, a new connection finds the old store or the new one, whole, and can go on.
    """
    with closing(connected(path)) as db:
        old = content(db)
    outcomes: list[str] = []
    steps = 0
    while not outcomes or outcomes[-1] != "done":
        steps += 1
        left = steps

        def stop() -> bool:
            nonlocal left
            left -= 1
            return left < 0

        with closing(connected(path)) as db:
            db.set_progress_handler(stop, 1)
            try:
                migrate(db, NEXT, migrations=STEPS)
                outcome = "done"
            except sqlite3.OperationalError:
                outcome = "stopped"
        with closing(connected(path)) as db:
            found = content(db)
            assert [("ok",)] == db.execute("PRAGMA integrity_check").fetchall()
        if found["version"] == [(NEXT,)]:
            outcome = "done"  # stopped or not: the transaction was complete
        else:
            assert ("stopped", old) == (outcome, found)
        outcomes.append(outcome)
    assert steps > 500
    with closing(connected(path)) as db:
        found = content(db)
        assert [row[:-1] for row in found["decisions"]] == old["decisions"]
        assert {"enforce"} == {mode for (mode,) in db.execute("SELECT mode FROM decisions")}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decisions SET mode = 'x', chain = zeroblob(32) WHERE seq = (SELECT max(seq) FROM decisions)",
        "DELETE FROM decisions WHERE seq = (SELECT min(seq) FROM decisions)",
        "DELETE FROM memory_items",
        "UPDATE decisions SET seq = seq + 100000",
    ],
)
def test_a_step_that_would_change_history_is_taken_back(db: sqlite3.Connection, statement: str) -> None:
    before = content(db)
    tables = ("decisions_no_update", "decisions_no_delete", "memory_no_delete")
    step = Migration(
        summary="",
        statements=(
            *(f"DROP TRIGGER {name}" for name in tables),
            "ALTER TABLE decisions ADD COLUMN mode TEXT",
            statement,
        ),
    )
    with pytest.raises(StoreIntegrityError):
        migrate(db, NEXT, migrations={SCHEMA_VERSION: step})
    assert not db.in_transaction
    assert before == content(db)


@pytest.mark.parametrize("statement", ["COMMIT", " commit;", "\nEND TRANSACTION", "ROLLBACK", "BEGIN", "SAVEPOINT a"])
def test_a_step_is_one_transaction(statement: str) -> None:
    with pytest.raises(ValueError, match="transaction"):
        Migration(summary="", statements=("CREATE TABLE more (x TEXT) STRICT", statement))


def test_a_step_that_leaves_dangling_references_is_taken_back(db: sqlite3.Connection) -> None:
    before = content(db)
    step = Migration(
        summary="", statements=("DROP TRIGGER keys_no_update", "UPDATE idempotency_keys SET decision_seq = 100000")
    )
    with pytest.raises(StoreIntegrityError):
        migrate(db, NEXT, migrations={SCHEMA_VERSION: step})
    assert before == content(db)


def test_a_store_in_use_is_left_alone(db: sqlite3.Connection, path: Path) -> None:
    before = content(db)
    with closing(connected(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError):
            migrate(db, NEXT, migrations=STEPS)
    assert before == content(db)


def test_what_another_process_did_meanwhile_is_not_done_again(db: sqlite3.Connection, path: Path) -> None:
    """Both saw the old version; the second to get the lock finds the new one."""
    calls = []

    class Slow(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql.startswith("BEGIN") and not calls:
                calls.append(migrate(db, NEXT, migrations=STEPS))
            return super().execute(sql, *parameters)

    with closing(sqlite3.connect(path, isolation_level=None, factory=Slow)) as slow:
        assert () == migrate(slow, NEXT, migrations=STEPS)
    assert [(SCHEMA_VERSION,)] == calls


@pytest.mark.parametrize(
    ("version", "target", "expected"), [(1, 2, True), (1, 3, False), (0, 2, False), (2, 2, False), (3, 2, False)]
)
def test_only_a_whole_way_forward_counts(version: int, target: int, expected: bool) -> None:
    assert expected is can_migrate(version, target, migrations={1: STEP})


# ---------------------------------------------------------------------------------------------------------------------
# Opening


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this the version of Lumyn after the one that wrote the store."""
    monkeypatch.setattr(files, "SCHEMA_VERSION", NEXT)
    monkeypatch.setattr(inspection, "SCHEMA_VERSION", NEXT)
    step = Migration(summary="", statements=("CREATE INDEX decisions_by_time ON decisions (created_at)",))
    steps = {SCHEMA_VERSION: step}
    monkeypatch.setattr(migrations, "can_migrate", lambda *arguments: can_migrate(*arguments, migrations=steps))
    monkeypatch.setattr(migrations, "migrate", lambda *arguments: migrate(*arguments, migrations=steps))


@pytest.mark.usefixtures("next_version")
def test_opening_moves_an_older_store_and_loses_nothing(path: Path) -> None:
    """History, experience and keys are those of before, and deciding goes on where it stopped."""
    with closing(connected(path)) as db:
        old = content(db)
    policy = parse_policy(POLICY.format(version=2, limit=40))
    with Gate.open(policy=policy, store=path) as gate:
        assert gate.decide(request(1000)).persisted
        assert gate.decide(request(1)).to_json() == old["decisions"][0][7]
    with closing(connected(path)) as db:
        new = content(db)
    assert [(NEXT,)] == new["version"]
    assert old["decisions"] == new["decisions"][:-1]
    assert read_journal(open_store(str(path)), checkpoint).size > len(old["decisions"])
    found = verify(open_store(str(path)))
    assert {"SCHEMA_CHANGED"} == set(found.counts), "the index, which `schema.sql` does not have yet, and nothing else"


@pytest.mark.usefixtures("next_version")
def test_reading_for_verification_moves_nothing(path: Path) -> None:
    before = path.read_bytes()
    assert {"STORE_SCHEMA_UNSUPPORTED"} == set(verify(open_store(str(path))).counts)
    assert before == path.read_bytes()


@pytest.mark.parametrize("version", [0, -1, NEXT, 2**31 - 1])
def test_a_version_without_a_way_here_is_refused_and_not_touched(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(StoreUnavailableError) as caught:
        open_store(str(path)).check()
    assert "STORE_SCHEMA_UNSUPPORTED" == caught.value.detail
    policy = parse_policy(POLICY.format(version=2, limit=40))
    with Gate.open(policy=policy, store=path) as gate:
        record = gate.decide(request(1000))
    assert (False, ("STORAGE_UNAVAILABLE",)) == (record.persisted, record.reason_codes)
    assert before == path.read_bytes()
