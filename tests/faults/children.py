"""
What fault tests do in processes of their own: fork, be killed, run out of space, be another user.
Run as `children.py FUNCTION ARGUMENTS`, arguments and result being JSON; see `support.run_child`.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import resource
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from faults import seam
from faults.acts import ACTS, KEY, Stage
from faults.crashes import drain, in_child
from faults.support import assert_unavailable, make_store, open_gate, refund, storage_error
from faults.walker import read

import lumyn
from lumyn import DecisionRecord, Gate, IdempotencyConflictError, LumynError, StoreUnavailableError, UlidSource
from lumyn._resources import schema_path
from lumyn.documents.schema import problems
from lumyn.store import open_store

RECORD_SCHEMA = "decision_record.v0.schema.json"

# ---------------------------------------------------------------------------------------------------------------------
# Killed


def kill_at_every_statement(name: str, folder: str) -> dict[str, int]:
    """Kill a child before and after each statement of an act; return how often the act was stored and absent."""
    act = next(act for act in ACTS if act.name == name)
    stage = Stage(act, Path(folder) / "stage")
    report = {"points": 0, "stored": 0, "absent": 0}
    for nth in range(1, 200):
        for after in (False, True):
            path = stage.copy()
            if not _killed(stage, path, seam.Plan(nth=nth, after=after, failure=seam.die)):
                return report
            found = read(path)
            assert found.sound, (nth, after, found)
            changed = len(found.records) + len(found.memory) + len(found.events) > _size(stage)
            report["points"] += 1
            report["stored" if changed else "absent"] += 1
            decided = found.keys.get(KEY)
            assert not act.decides or changed == (decided is not None)
            with open_gate(path) as gate:
                again = stage.perform(gate)
                assert not isinstance(again, StoreUnavailableError)
                assert decided is None or decided == again.decision_id  # type: ignore[union-attr]
            assert read(path).sound
    raise AssertionError("the act never came to its end")


def _size(stage: Stage) -> int:
    return len(stage.before.records) + len(stage.before.memory) + len(stage.before.events)


def _killed(stage: Stage, path: Path, plan: seam.Plan) -> bool:
    """Return whether the child was killed; it was not when the act has fewer statements than that."""
    child = os.fork()
    if child == 0:
        code = 1
        with suppress(BaseException), seam.statements(plan):
            gate = stage.gate(path)
            plan.armed = True
            stage.perform(gate)
            code = 0
        os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


# ---------------------------------------------------------------------------------------------------------------------
# Out of space, out of descriptors, not allowed to write


def decide_until_refused(gate: Gate) -> list[DecisionRecord]:
    """Return the records of refunds decided one after the other, up to the first that is not stored."""
    records = []
    for number in range(2_000):
        records.append(gate.decide(refund(f"more-{number}")))
        if not records[-1].persisted:
            return records
    raise AssertionError("the fault never came")


def fill(path: str, act: str) -> dict[str, Any]:
    """Decide until the disk is full, then label, read, and make room; return what was seen."""
    store = Path(path)
    make_store(store, decisions=3, failures=1)
    before = read(store)
    errors: set[Any] = set()
    with open_gate(store) as gate:
        kept = gate.decide(refund("kept"))
        assert kept.persisted
        make_room = {"rlimit": limit_file_size, "tmpfs": fill_file_system}[act](store)
        gate.store.probe()
        records = decide_until_refused(gate)
        # A small record may still find room in a page that is there already.
        records += [gate.decide(refund(f"again-{number}")) for number in range(20)]
        for record in records:
            if not record.persisted:
                assert_unavailable(record)
                errors.add(storage_error(record))
        try:
            gate.label(kept.decision_id, "failure")
            labelled = True
        except StoreUnavailableError:
            labelled = False
        stored = {record.decision_id for record in records if record.persisted} | {kept.decision_id, *before.records}
        with gate.store.write():
            pass  # what is taken back needs no room, and tells nothing of it
        try:
            gate.store.probe()
            raise AssertionError("a probe found room where there is none")
        except StoreUnavailableError as error:
            errors.add(error.detail)
        make_room()
        gate.store.probe()
        after = gate.decide(refund("after"))
        assert after.persisted, storage_error(after)
        stored.add(after.decision_id)
    found = read(store)
    assert found.sound, found
    assert stored == set(found.records), "rows are the decisions that were acknowledged, no more and no fewer"
    assert len(found.keys) == len(found.records)
    assert len(found.memory) == len(before.memory) + labelled
    unstored = sum(not record.persisted for record in records)
    return {"stored": len(stored), "unstored": unstored, "errors": sorted(map(str, errors))}


def limit_file_size(store: Path) -> Callable[[], None]:
    """Let no file grow beyond the size of the log and a little more; Python ignores SIGXFSZ, so writes fail."""
    size = Path(f"{store}-wal").stat().st_size
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 70_000, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def fill_file_system(store: Path) -> Callable[[], None]:
    """Take what room the file system has, but for a little."""
    ballast = store.with_name("ballast")
    free = os.statvfs(store.parent)
    with ballast.open("wb") as stream:
        stream.write(b"x" * max(0, free.f_bavail * free.f_frsize - 80_000))
    return ballast.unlink


def create_on_small_file_systems(folder: str) -> dict[str, Any]:
    """Create a store on file systems of more and more kilobytes; each is then given room, and it is created again."""
    import subprocess

    place, failed, damaged, whole = Path(folder), 0, list[str](), False
    for kilobytes in range(40, 400, 10):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], check=True)
        url = f"sqlite:///{place / 'lumyn.db'}"
        try:
            open_store(url, create=True).close()
            whole = True
        except StoreUnavailableError:
            failed += 1
        subprocess.run(["mount", "-o", "remount,size=4m", str(place)], check=True)
        try:
            store = open_store(url, create=True)
            store.check()
            store.close()
        except StoreUnavailableError as error:
            damaged.append(f"{kilobytes} {error.detail}")
        subprocess.run(["umount", str(place)], check=True)
        if whole:
            break
    return {"failed": failed, "damaged": damaged, "whole": whole}


def fill_small_file_system(folder: str) -> dict[str, Any]:
    """Mount a small file system in memory, visible to this process alone, and fill it."""
    import subprocess

    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    return fill(f"{folder}/lumyn.db", "tmpfs")


def run_out_of_descriptors(path: str) -> dict[str, Any]:
    """Leave no file descriptor, before the store is opened and again after; return what was seen."""
    store = Path(path)
    make_store(store, decisions=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gate = open_gate(store)
    gate.decide(refund("warm"))
    gate.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    without = gate.decide(refund("without"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert_unavailable(without)
    assert gate.decide(refund("with")).persisted
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    # An open store needs no new descriptor.
    assert gate.decide(refund("open")).persisted
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    gate.close()
    assert read(store).sound
    return {"error": storage_error(without)}


def decide_unprivileged(path: str, mode: int, folder_mode: int) -> dict[str, Any]:
    """Decide, label and read as a user who may not write; return what was seen."""
    store = Path(path)
    make_store(store, decisions=2, failures=1)
    before = read(store)
    store.chmod(mode)
    store.parent.chmod(folder_mode)
    if os.getuid() == 0:
        _load_everything()  # the other user need not be able to read the installation
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    with open_gate(store) as gate:
        record = gate.decide(refund("new"))
        assert_unavailable(record)
        again = gate.decide(refund("seed-0"))
        if again.persisted:
            # What is stored may be said again, where it can be read.
            assert again.to_json() == before.records[again.decision_id]
        else:
            assert_unavailable(again)
        try:
            gate.seed("failure", refund(), summary="x")
            raise AssertionError("written without permission")
        except StoreUnavailableError:
            pass
    return {"error": storage_error(record), "retried": again.persisted}


def _load_everything() -> None:
    for module in pkgutil.walk_packages(lumyn.__path__, "lumyn."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for path in schema_path(RECORD_SCHEMA).parent.glob("*.schema.json"):
        problems(path.name, {})


# ---------------------------------------------------------------------------------------------------------------------
# Forked


def decide_across_forks(path: str, children: int, each: int) -> dict[str, Any]:
    """
    Fork children from a process whose gate is open; all decide at once, and the parent closes first.

    SQLite keeps a table of the locks its process holds. A child that inherited it without the locks would write to a
    log that the parent, closing, has removed.
    """
    store = Path(path)
    gate = open_gate(store, create=True, synchronous="FULL")
    acknowledged = [gate.decide(refund("parent")).decision_id]
    reader, writer = os.pipe()
    parent_closed, tell = os.pipe()
    pids = []
    for number in range(children):
        pid = os.fork()
        if pid == 0:
            try:
                os.close(tell)
                _acknowledge(gate, writer, f"first-{number}", each)
                os.read(parent_closed, 1)
                _acknowledge(gate, writer, f"second-{number}", each)
            finally:
                os._exit(0)
        pids.append(pid)
    acknowledged += [gate.decide(refund(f"parent-{n}")).decision_id for n in range(each)]
    gate.close()
    os.close(tell)
    os.close(writer)
    lines = drain(reader).decode().split()
    for pid in pids:
        os.waitpid(pid, 0)
    acknowledged += [line for line in lines if line != "unavailable"]
    found = in_child(lambda: [read(store).broken, read(store).torn, sorted(read(store).records)])
    return {
        "acknowledged": len(acknowledged),
        "unavailable": lines.count("unavailable"),
        "lost": len(set(acknowledged) - set(found[2])),
        "broken": found[0],
        "torn": found[1],
    }


def _acknowledge(gate: Gate, writer: int, name: str, count: int) -> None:
    for number in range(count):
        record = gate.decide(refund(f"{name}-{number}"))
        os.write(writer, f"{record.decision_id if record.persisted else 'unavailable'}\n".encode())


def fork_under_load(path: str, forks: int) -> dict[str, Any]:
    """Fork again and again while threads decide; every child decides once and ends as an interpreter does."""
    gate = open_gate(Path(path), create=True)
    over = threading.Event()
    decided: list[bool] = []

    def work(name: int) -> None:
        number = 0
        while not over.is_set():
            decided.append(gate.decide(refund(f"thread-{name}-{number}")).persisted)
            number += 1

    threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    stuck = failed = 0
    for number in range(forks):
        pid = os.fork()
        if pid == 0:
            persisted = gate.decide(refund(f"child-{number}")).persisted
            gate.close()
            os._exit(0 if persisted else 3)
        status = _ended(pid, within_s=20)
        if status is None:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            stuck += 1
        elif status != 0:
            failed += 1
    over.set()
    for thread in threads:
        thread.join()
    gate.close()
    found = read(Path(path))
    return {
        "stuck": stuck,
        "failed": failed,
        "abstained": decided.count(False),
        "lost": len(decided) + forks - len(found.records),
        "sound": found.sound,
    }


def _ended(pid: int, *, within_s: float) -> int | None:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.002)
    return None


def fork_while_an_id_is_made() -> bool:
    """Fork while another thread is inside the source of ids; return whether the child can still make one."""
    source = UlidSource()
    lock = source._lock
    with lock:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if len(source.new(0)) == 26 else 1)
        status = _ended(pid, within_s=10)
        if status is None:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    return status == 0


def leave_by_the_front_door(path: str) -> dict[str, Any]:
    """Fork, and let the child end as an interpreter ends, closing what it holds, while the parent goes on."""
    store = Path(path)
    gate = open_gate(store, create=True)
    gate.decide(refund("before"))
    pid = os.fork()
    if pid == 0:
        gate.decide(refund("child"))
        sys.exit(0)
    _, status = os.waitpid(pid, 0)
    persisted = gate.decide(refund("after")).persisted
    log_inode = Path(f"{store}-wal").stat().st_ino
    gate.close()
    return {"status": status, "persisted": persisted, "records": len(read(store).records), "log": log_inode > 0}


# ---------------------------------------------------------------------------------------------------------------------
# At the same moment


def wait_for_the_start() -> None:
    """Say that this process is ready, and wait until all are."""
    print("ready", flush=True)
    sys.stdin.readline()


def ask_at_once(path: str, request_id: str, amounts: list[float]) -> list[list[str]]:
    """Decide one request id with each amount, each in a thread; return decision and record, or the refusal."""
    answers: list[list[str]] = []
    with open_gate(Path(path), synchronous="FULL") as gate:
        barrier = threading.Barrier(len(amounts) + 1)

        def ask(amount: float) -> None:
            barrier.wait()
            try:
                record = gate.decide(refund(request_id, amount=amount))
                answers.append([record.decision_id, record.to_json()])
            except IdempotencyConflictError as error:
                answers.append([error.reason_code, ""])

        threads = [threading.Thread(target=ask, args=(amount,)) for amount in amounts]
        for thread in threads:
            thread.start()
        wait_for_the_start()
        barrier.wait()
        for thread in threads:
            thread.join()
    return answers


def decide_and_label(path: str, name: str, count: int) -> dict[str, Any]:
    """Decide `count` refunds, labelling some; return what was acknowledged, what was not, and the longest wait."""
    with open_gate(Path(path), synchronous="FULL") as gate:
        gate.store.check()
        wait_for_the_start()
        acknowledged, labelled, errors, longest = [], [], [], 0.0
        for number in range(count):
            started = time.monotonic()
            record = gate.decide(refund(f"{name}-{number}"))
            longest = max(longest, time.monotonic() - started)
            if not record.persisted:
                errors.append(str(storage_error(record)))
                continue
            acknowledged.append(record.decision_id)
            if number % 5 == 0:
                try:
                    labelled.append(gate.label(record.decision_id, "near_miss").memory_id)
                except LumynError as error:
                    errors.append(str(error))
    return {"acknowledged": acknowledged, "labelled": labelled, "errors": errors, "longest_s": longest}


def main() -> None:
    """Run one function of this module."""
    name, arguments = sys.argv[1:]
    print(json.dumps(globals()[name](*json.loads(arguments))))


if __name__ == "__main__":
    main()
