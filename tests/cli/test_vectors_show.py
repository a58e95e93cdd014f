"""`lumyn vectors show`: a vector as it is run, and where each of its values was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.harness import Lumyn

SUITE = """schema_version: vector.v0
policy: policies/support.yml
clock: "2026-01-15T12:00:00Z"
fixtures:
  requests:
    close: { action: { type: support.close_ticket, intent: close }, evidence: { ticket_id: T-1, resolution: done } }
vectors:
  - name: closed
    why: the everyday case
    request: { $use: close, $with: { evidence.ticket_id: T-2 } }
    expect: { verdict: TRUST, reason_codes: [CLOSE_TICKET_RESOLUTION_GIVEN] }
  - name: rows
    request: { $use: close }
    table:
      columns: [id, request.evidence.resolution, expect.verdict, expect.reason_codes]
      rows:
        - [none, null, QUERY, [EVIDENCE_MISSING]]
"""


@pytest.fixture
def suite(workspace: Path) -> Path:
    path = workspace / "vectors" / "close.yml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def test_each_value_has_the_place_where_it_was_written(lumyn: Lumyn, suite: Path) -> None:
    (shown,) = lumyn("vectors", "show", "vectors/close.yml::closed", "--json").data["vectors"]
    assert ("vectors/close.yml::closed", 8, []) == (shown["id"], shown["line"], shown["problems"])
    assert {"ticket_id": "T-2", "resolution": "done"} == shown["vector"]["request"]["evidence"]
    origins = shown["origins"]
    assert "vectors/close.yml:10:58" == origins["/request/evidence/ticket_id"]
    assert origins["/request/evidence/resolution"].startswith("vectors/close.yml:6:")
    assert "vectors/close.yml:3:8" == origins["/clock"]
    assert origins["/request/subject/id"] is None


def test_text_is_a_table_of_paths(lumyn: Lumyn, suite: Path) -> None:
    result = lumyn("vectors", "show", "closed")
    assert (0, "") == (result.code, result.err)
    lines = {line.split()[0]: line.split()[1:] for line in result.out.splitlines() if line.startswith("request.")}
    assert ["T-2", "vectors/close.yml:10:58"] == lines["request.evidence.ticket_id"]
    assert ["built", "in"] == lines["request.schema_version"][-2:]


def test_a_row_is_merged(lumyn: Lumyn, suite: Path) -> None:
    (shown,) = lumyn("vectors", "show", "rows[none]", "--json").data["vectors"]
    assert {"ticket_id": "T-1"} == shown["vector"]["request"]["evidence"]
    assert "vectors/close.yml:17:24" == shown["origins"]["/expect/verdict"]
    assert lumyn("vectors", "show", "rows", "--json").data["vectors"] == [shown]


def test_without_an_argument_all_are_listed(lumyn: Lumyn, suite: Path) -> None:
    result = lumyn("vectors", "show")
    assert 0 == result.code
    assert "vectors/close.yml::closed  the everyday case" in result.out
    assert "21 vectors" == result.out.splitlines()[-1]


def test_an_invalid_vector_is_shown_with_its_problems(lumyn: Lumyn, suite: Path) -> None:
    suite.write_text(SUITE.replace("CLOSE_TICKET_RESOLUTION_GIVEN", "NOT_A_CODE"), encoding="utf-8")
    result = lumyn("vectors", "show", "closed")
    assert 3 == result.code
    assert "[REASON_CODE_UNKNOWN]" in result.out


def test_what_is_not_there(lumyn: Lumyn, suite: Path) -> None:
    result = lumyn("vectors", "show", "closd")
    assert 5 == result.code
    assert "did you mean `closed`?" in result.err
    assert 5 == lumyn("vectors", "show", "vectors/none.yml::x").code


@pytest.mark.parametrize("columns", ["40", "60"])
def test_no_line_is_wider_than_the_terminal(
    lumyn: Lumyn, suite: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert max(map(len, lumyn("vectors", "show", "closed").out.splitlines())) <= int(columns)
