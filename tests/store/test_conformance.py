"""Each store that ships is put through the checks that every store must pass, and the checks are put to the test."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lumyn.errors import NotFoundError
from lumyn.store import conformance, open_store
from lumyn.store.base import StoredDecision
from lumyn.store.conformance import CHECKS, Check, NonConformanceError, Provider
from lumyn.store.journal import InspectableStore
from lumyn.store.samples import decision, fill
from lumyn.store.scratch import ScratchStore


class MemoryProvider:
    """SQLite in memory: no second connection can reach it."""

    def __init__(self) -> None:
        self._opened: list[InspectableStore] = []

    def new(self) -> InspectableStore:
        return self._open("sqlite:///:memory:")

    def again(self, store: InspectableStore) -> InspectableStore | None:
        return None

    def close(self) -> None:
        for store in self._opened:
            store.close()

    def _open(self, url: str) -> InspectableStore:
        self._opened.append(open_store(url, create=True))
        return self._opened[-1]


class FileProvider(MemoryProvider):
    """SQLite files."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def new(self) -> InspectableStore:
        return self._open(f"sqlite:///{self._folder}/{len(self._opened)}.db")

    def again(self, store: InspectableStore) -> InspectableStore | None:
        return self._open(store.url)


class ScratchProvider(MemoryProvider):
    """Stores in memory that are thrown away, each on a connection that another one has used."""

    def new(self) -> InspectableStore:
        used = ScratchStore()
        fill(used)
        used.close()
        self._opened.append(ScratchStore())
        return self._opened[-1]


@pytest.fixture(params=["file", "memory", "scratch"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Provider]:
    kinds = {"file": lambda: FileProvider(tmp_path), "memory": MemoryProvider, "scratch": ScratchProvider}
    with closing(kinds[request.param]()) as made:
        yield made


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_store_conforms(check: Check, provider: Provider) -> None:
    """Every check holds for every store."""
    check(provider)


def test_every_check_is_listed_and_says_what_it_checks() -> None:
    """A check that is written is run."""
    written = {
        name
        for name, value in vars(conformance).items()
        if getattr(value, "__annotations__", {}) == {"provider": "Provider", "return": "None"}
    }
    assert written == {check.__name__ for check in CHECKS}
    assert all(check.__doc__ for check in CHECKS)


class Wrapped:
    """A store that does one thing wrong: `changes` replace methods of the store or of its transactions."""

    def __init__(self, store: Any, changes: dict[str, Any]) -> None:
        self._store = store
        self._changes = changes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name == "write" and "write" not in self._changes:
            return self._write
        change = self._changes.get(name)
        if not callable(change):
            return found if change is None else change
        return lambda *args, **options: change(found, *args, **options)

    @contextmanager
    def _write(self) -> Any:
        with self._store.write() as transaction:
            yield Wrapped(transaction, self._changes)


class WrongProvider(MemoryProvider):
    """Stores that do one thing wrong."""

    def __init__(self, changes: dict[str, Any]) -> None:
        super().__init__()
        self._changes = changes

    def new(self) -> InspectableStore:
        return Wrapped(super().new(), self._changes)  # type: ignore[return-value]


def shifted(found: Any, *args: Any, **options: Any) -> int:
    return found(*args, **options) + 1


def without_tenant(found: Any, tenant_id: str | None, *rest: Any, **options: Any) -> Any:
    return found("acme", *rest, **options)


def swallowed(found: Any, decision_id: str) -> Any:
    try:
        return found(decision_id)
    except NotFoundError:
        return found("D0001")


def normalised(found: Any, decision: StoredDecision, **options: Any) -> int:
    return found(replace(decision, record_json=unicodedata.normalize("NFC", decision.record_json)), **options)


def leaving_something(found: Any) -> None:
    found()
    store = found.__self__
    with store.write() as transaction:
        transaction.append_decision(decision(100 + len(store.decision_ids("", limit=99))))


WRONG: dict[str, dict[str, Any]] = {
    "seq": {"append_decision": shifted},
    "tenants share memory": {"memory_items": without_tenant},
    "tenants share keys": {"find_key": without_tenant},
    "oldest first": {"decisions": lambda found, **options: reversed(list(found(**options)))},
    "filter left out": {"decisions": lambda found, **options: found(limit=options["limit"])},
    "pattern instead of prefix": {
        "decision_ids": lambda found, prefix, *, limit: found("A" if prefix == "A_" else prefix, limit=limit)
    },
    "unknown decision is another": {"decision": swallowed},
    "key forgotten": {"append_decision": lambda found, decision, **options: found(decision)},
    "event forgotten": {"append_event": lambda found, event: 3},
    "policy known too soon": {"knows_policy": lambda found, policy_hash: True},
    "memory version stays": {"memory_version": 7},
    "probe leaves something": {"probe": leaving_something},
    "probe looks at nothing": {"probe": lambda _: None},
    "limit left out": {"memory_items": lambda found, *args, limit=None, **options: found(*args, **options)},
    "text changed": {"append_decision": normalised},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_store_that_does_one_thing_wrong_fails_a_check(name: str) -> None:
    """Each promise is held by some check."""
    failed = []
    for check in CHECKS:
        with closing(WrongProvider(WRONG[name])) as provider:
            try:
                check(provider)
            except NonConformanceError:
                failed.append(check.__name__)
    assert failed
