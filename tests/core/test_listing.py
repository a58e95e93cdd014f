"""Pages of stored decisions: they go on where the last one ended, and none takes long or much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.harness import refund

from lumyn import Gate
from lumyn.core import listing
from lumyn.core.listing import Wanted, page
from lumyn.errors import NotFoundError

POLICY = Path(__file__).resolve().parents[1] / "api" / "policy.yml"


@pytest.fixture
def gate(tmp_path: Path) -> Any:
    with Gate.open(policy=POLICY, store=tmp_path / "lumyn.db", create=True) as opened:
        yield opened


def listed(gate: Gate, wanted: Wanted, *, limit: int) -> tuple[list[str], int]:
    """Return the ids of all pages, and how many pages there were."""
    found: list[str] = []
    after, pages = None, 0
    while True:
        part = page(gate.store, wanted, limit=limit, after=after)
        found += [record.decision_id for record in part.records]
        pages += 1
        if part.next is None:
            return found, pages
        after = part.next


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_pages_together_are_the_list(gate: Gate, limit: int) -> None:
    made = [gate.decide(refund()).decision_id for _ in range(6)]
    assert made[::-1] == listed(gate, Wanted(), limit=limit)[0]


def test_a_rare_reason_code_is_looked_for_in_several_pages(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of them empty: nobody waits for a search of the whole store."""
    monkeypatch.setattr(listing, "_MOST_LOOKED_AT", 3)
    rare = refund()
    del rare["evidence"]["order_id"]
    wanted = gate.decide(rare)
    for _ in range(8):
        gate.decide(refund())
    found, pages = listed(gate, Wanted(reason_code=wanted.reason_codes[0]), limit=5)
    assert ([wanted.decision_id], True) == (found, pages >= 3)


def test_a_page_of_large_records_is_short(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_LARGE_BYTES", 5_000)
    made = [gate.decide(refund()).decision_id for _ in range(9)]
    assert len(page(gate.store, Wanted(), limit=9).records) < 9
    assert made[::-1] == listed(gate, Wanted(), limit=9)[0]


def test_a_page_after_no_decision(gate: Gate) -> None:
    with pytest.raises(NotFoundError):
        page(gate.store, Wanted(), limit=1, after="01ARZ3NDEKTSV4RRFFQ69G5FAV")
