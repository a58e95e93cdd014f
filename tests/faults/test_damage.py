"""
The store file is damaged. A decision then abstains, or it is stored whole and can be read back; what damage could
loosen a verdict without being noticed by the decision is at least noticed by the chain or by SQLite's own check.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.support import FLIPS, assert_unavailable, make_store, open_gate, policy, refund, storage_error
from faults.walker import Found, read

from lumyn import DecisionRecord, Gate, IdempotencyConflictError, LumynError, Verdict

pytestmark = pytest.mark.faults

DECISIONS = 8
FAILURES = 3


@dataclass(frozen=True)
class Template:
    """A sound store, closed or as it is while it is open, whose memory keeps the policy from trusting `refund()`."""

    path: Path
    found: Found
    page_size: int
    roots: dict[str, int]

    def copy(self, to: Path) -> None:
        """Put a copy at `to`, with its log where there is one."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{to}{suffix}").unlink(missing_ok=True)
            source = Path(f"{self.path}{suffix}")
            if suffix != "-shm" and source.exists():
                shutil.copyfile(source, Path(f"{to}{suffix}"))

    @property
    def subject(self) -> str:
        return self.found.keys["acme", "seed-0"]


def make_template(path: Path, *, with_log: bool) -> Template:
    """Make a store; with a log, most of it is in the log."""
    make_store(path, decisions=0 if with_log else DECISIONS, failures=FAILURES)
    if with_log:
        with open_gate(path) as gate:
            for number in range(DECISIONS):
                record = gate.decide(refund(f"seed-{number}"))
                if number < FAILURES:
                    gate.label(record.decision_id, "failure", note="INC-1", actor="ops")
            for suffix in ("", "-wal"):
                shutil.copyfile(f"{path}{suffix}", f"{path}.open{suffix}")
        path = Path(f"{path}.open")
    sound = path.with_name("sound.db")
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(f"{path}{suffix}", f"{sound}{suffix}")
    found = read(sound)
    assert (True, DECISIONS, FAILURES) == (found.sound, len(found.records), len(found.memory))
    with closing(sqlite3.connect(sound)) as connection:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0"))
    return Template(path, found, page_size, roots)


@pytest.fixture
def closed(scratch: Path) -> Template:
    return make_template(scratch / "closed.db", with_log=False)


@pytest.fixture
def with_log(scratch: Path) -> Template:
    return make_template(scratch / "open.db", with_log=True)


class Trial:
    """What a gate makes of one damaged copy."""

    def __init__(self, template: Template, path: Path, *, log_may_end_early: bool = False) -> None:
        self.template = template
        self.path = path
        self.log_may_end_early = log_may_end_early
        self.outcomes: Counter[str] = Counter()

    def run(self, damage: Callable[[Path], object]) -> DecisionRecord:
        """Damage a copy, use it in every way there is, and check what was said; return the new decision."""
        self.template.copy(self.path)
        damage(self.path)
        with open_gate(self.path, busy_timeout_s=0.2) as gate:
            new = gate.decide(refund("new"))
            again = self._retry(gate)
            self._use(gate)
        found = read(self.path)
        self._check_new(new, found)
        if again is not None:
            self._check_retried(again, found)
        return new

    def _retry(self, gate: Gate) -> DecisionRecord | None:
        try:
            return gate.decide(refund("seed-0"))
        except IdempotencyConflictError:
            # A damaged digest: the request is refused, which is safe.
            return None

    def _use(self, gate: Gate) -> None:
        """Read and label; whatever is wrong, it is said in Lumyn's own words."""
        subject = self.template.subject
        uses: tuple[Callable[[], object], ...] = (
            lambda: gate.record(subject),
            lambda: gate.events(subject),
            lambda: gate.records(limit=100),
            lambda: gate.records(limit=100, reason_code="NONE"),
            lambda: gate.replay(subject, policy=policy()),
            lambda: gate.store.decision_ids("0", limit=10),
            lambda: gate.label(subject, "near_miss"),
            lambda: gate.append_event(subject, "note"),
        )
        for use in uses:
            with suppress(LumynError):
                use()

    def _check_new(self, record: DecisionRecord, found: Found) -> None:
        if not record.persisted:
            assert_unavailable(record)
            self.outcomes[str(storage_error(record))] += 1
            return
        self._check_durable(record, found)
        self.outcomes["decided"] += 1
        if record.verdict is Verdict.TRUST and not self.log_may_end_early:
            # The memory that forbids it was lost to the damage; that must show.
            assert not found.sound
            self.outcomes["trusted, and the damage shows"] += 1

    def _check_retried(self, record: DecisionRecord, found: Found) -> None:
        if not record.persisted:
            assert_unavailable(record)
            return
        if record.decision_id == self.template.subject:
            assert record.to_json() == self.template.found.records[record.decision_id]
            return
        self._check_durable(record, found)
        assert self.log_may_end_early or not found.sound, "decided anew although the key was there"

    def _check_durable(self, record: DecisionRecord, found: Found) -> None:
        """A record that says it is stored is in the table, byte for byte, and comes back unless damage is reported."""
        kept = [found.records.get(record.decision_id)]
        with open_gate(self.path) as gate:
            try:
                kept.append(gate.record(record.decision_id).to_json())
            except LumynError:
                assert not found.sound
        if found.sound:
            assert [record.to_json()] * 2 == kept
        else:
            assert record.to_json() in kept


def flip(file: Path, place: int, mask: int) -> None:
    """Change one byte of a file."""
    with file.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ mask]))


def test_single_bytes_of_the_database_are_changed(closed: Template, scratch: Path) -> None:
    """Anywhere, one at a time: no error but Lumyn's, and no trust that is not stored."""
    chance = random.Random(1)
    size = closed.path.stat().st_size
    trial = Trial(closed, scratch / "trial.db")
    for _ in range(FLIPS):
        place, mask = chance.randrange(size), chance.randrange(1, 256)
        try:
            trial.run(lambda path, place=place, mask=mask: flip(path, place, mask))
        except BaseException:
            print(f"byte {place} (page {place // closed.page_size + 1}) changed by {mask:#x}")
            raise
    print(dict(trial.outcomes))
    assert trial.outcomes["decided"] < FLIPS


def test_single_bytes_of_the_log_are_changed(with_log: Template, scratch: Path) -> None:
    """SQLite reads a log up to the first frame that fails its checksum: an earlier store, sound in itself."""
    chance = random.Random(2)
    size = Path(f"{with_log.path}-wal").stat().st_size
    trial = Trial(with_log, scratch / "trial.db", log_may_end_early=True)
    for _ in range(FLIPS):
        place, mask = chance.randrange(size), chance.randrange(1, 256)
        try:
            trial.run(lambda path, place=place, mask=mask: flip(Path(f"{path}-wal"), place, mask))
            found = read(trial.path)
            assert found.sound
        except BaseException:
            print(f"byte {place} of the log changed by {mask:#x}")
            raise
    print(dict(trial.outcomes))
    assert {"decided": FLIPS} == trial.outcomes


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decisions SET chain = x'00' WHERE seq = (SELECT max(seq) FROM decisions)",
        "UPDATE decisions SET chain = 'text' WHERE seq = (SELECT max(seq) FROM decisions)",
        "UPDATE decisions SET chain = 7 WHERE seq = (SELECT max(seq) FROM decisions)",
    ],
)
def test_last_row_that_cannot_be_linked_to_abstains(closed: Template, scratch: Path, statement: str) -> None:
    """The next row would be linked to something that is no hash; a value of another type is damage, not a crash."""
    assert_unavailable(Trial(closed, scratch / "trial.db").run(tampering(statement)), "STORE_INTEGRITY_FAILED")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = 'no hash' WHERE key = 'genesis'",
        "UPDATE meta SET value = 'abcd' WHERE key = 'genesis'",
        "DELETE FROM meta WHERE key = 'genesis'",
    ],
)
def test_first_row_that_cannot_be_linked_abstains(scratch: Path, statement: str) -> None:
    """An empty store whose beginning is damaged does not begin."""
    path = scratch / "lumyn.db"
    make_store(path)
    tampering(statement)(path)
    with open_gate(path) as gate:
        assert_unavailable(gate.decide(refund("r")), "STORE_INTEGRITY_FAILED")


def tampering(statement: str) -> Callable[[Path], None]:
    """Return what runs a statement that triggers and types would refuse."""

    def tamper(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'decisions'")
            connection.execute("DELETE FROM sqlite_schema WHERE type = 'trigger'")
            connection.execute("PRAGMA writable_schema = RESET")
            connection.execute(statement)

    return tamper


def overwrite_page(path: Path, template: Template, page: int, content: bytes) -> None:
    """Replace one page of a database, counted from 1."""
    with path.open("r+b") as stream:
        stream.seek((page - 1) * template.page_size)
        stream.write(content[: template.page_size].ljust(template.page_size, b"\0"))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 65_536, random.Random(3).randbytes(65_536), b"\x05" + bytes(65_535)],
    ids=["zeros", "ones", "noise", "an interior page"],
)
@pytest.mark.parametrize(
    "table", ["decisions", "memory_items", "memory_items_of", "policy_snapshots", "idempotency_keys", "meta"]
)
def test_overwritten_root_page_abstains(closed: Template, scratch: Path, table: str, content: bytes) -> None:
    """A table that cannot be read is not an empty table: not memory that has nothing to say, nor a key not used yet."""
    path = scratch / "trial.db"
    trial = Trial(closed, path)
    record = trial.run(lambda path: overwrite_page(path, closed, closed.roots[table], content))
    assert record.verdict is not Verdict.TRUST
    if table != "policy_snapshots":
        # Policies are read only by a gate that has not kept this one before; nothing else touches their page.
        assert_unavailable(record, "STORE_CORRUPT", "STORE_INTEGRITY_FAILED", "STORAGE_UNAVAILABLE")


@pytest.mark.parametrize("opened", [False, True], ids=["before opening", "while open"])
def test_root_page_of_memory_overwritten_never_trusts(closed: Template, scratch: Path, opened: bool) -> None:
    """The experience that forbids a refund is on that page; a gate that has read it before still remembers."""
    path = scratch / "trial.db"
    closed.copy(path)
    with open_gate(path, busy_timeout_s=0.2) as gate:
        if opened:
            assert Verdict.ESCALATE is gate.decide(refund("before")).verdict
            gate.close()
        overwrite_page(path, closed, closed.roots["memory_items"], b"")
        overwrite_page(path, closed, closed.roots["memory_items_of"], b"")
        assert gate.decide(refund("after")).verdict in {Verdict.ESCALATE, Verdict.ABSTAIN}


def test_truncated_database_abstains_wherever_it_ends(closed: Template, scratch: Path) -> None:
    """At every page and within every page; an end within the last page is damage to that page, like any other."""
    trial = Trial(closed, scratch / "trial.db")
    size = closed.path.stat().st_size
    for length in range(1, size, closed.page_size // 2):
        record = trial.run(lambda path, length=length: os.truncate(path, length))
        assert record.verdict is not Verdict.TRUST
        if length <= size - closed.page_size:
            assert_unavailable(record)


def test_truncated_log_is_an_earlier_store(with_log: Template, scratch: Path) -> None:
    """
    What is left of the log is read, and nothing of a half-written transaction.

    That the store is behind cannot be told from the inside; a checkpoint that was kept elsewhere tells it.
    """
    trial = Trial(with_log, scratch / "trial.db", log_may_end_early=True)
    size = Path(f"{with_log.path}-wal").stat().st_size
    lengths = [0, 1, 31, 32, 33, *range(2_000, size, size // 60), size - 1]
    history = list(with_log.found.records)
    behind = 0
    for length in lengths:
        trial.run(lambda path, length=length: os.truncate(f"{path}-wal", length))
        found = read(trial.path)
        assert found.sound
        kept = [key for key in found.records if key in history]
        assert history[: len(kept)] == kept
        behind += len(kept) < len(history)
    assert behind >= len(lengths) - 2


def test_copy_without_its_log_is_an_earlier_store(with_log: Template, scratch: Path) -> None:
    """A backup that forgot the log opens, and is sound; only a checkpoint shows what is missing."""
    trial = Trial(with_log, scratch / "trial.db", log_may_end_early=True)
    record = trial.run(lambda path: Path(f"{path}-wal").unlink())
    assert record.persisted
    assert read(trial.path).sound


def test_log_removed_from_under_an_open_gate_loses_nothing_after_it(scratch: Path) -> None:
    """An open connection would go on writing to a file without a name, and all of it would be gone with the process."""
    path = scratch / "lumyn.db"
    make_store(path)
    with open_gate(path) as gate:
        before = gate.decide(refund("before"))
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink()
        records = [gate.decide(refund(f"after-{number}")) for number in range(3)]
        assert all(record.persisted for record in records)
        # As another process sees it, while the gate is open.
        copy = scratch / "copy.db"
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        found = read(copy)
    assert found.sound
    assert {before.decision_id, *(record.decision_id for record in records)} == set(found.records)


@pytest.mark.parametrize("restored", [False, True], ids=["stays", "comes back"])
@pytest.mark.parametrize("how", ["missing", "emptied", "another kind of file", "half"])
def test_store_that_is_taken_away_between_decisions_abstains(
    closed: Template, scratch: Path, how: str, restored: bool
) -> None:
    """Nothing is made in its place; when it is back, so are its memory and its answers."""
    path = scratch / "trial.db"
    closed.copy(path)
    with open_gate(path, busy_timeout_s=0.2) as gate:
        before = gate.decide(refund("before"))
        gate.close()
        shutil.copyfile(path, scratch / "kept.db")
        content = path.read_bytes()
        path.unlink()
        if how == "emptied":
            path.touch()
        elif how == "another kind of file":
            os.mkfifo(path)
        elif how == "half":
            path.write_bytes(content[: len(content) // 2])
        assert_unavailable(gate.decide(refund("during")))
        assert (how == "missing") == (not path.exists())
        if restored:
            path.unlink(missing_ok=True)
            shutil.move(scratch / "kept.db", path)
            assert before == gate.decide(refund("before"))
            assert Verdict.ESCALATE is gate.decide(refund("during")).verdict
