"""A vector that is run more than once, as plugins do with tests that fail now and then: its last run is what counts."""

from __future__ import annotations

import json

import pytest
from plugin.shop import PASSING, VECTORS

from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"
TWICE = """
from _pytest.runner import runtestprotocol

RUNS = []


def pytest_runtest_protocol(item, nextitem):
    for _ in range(2):
        RUNS.append(item)
        runtestprotocol(item, nextitem=nextitem)
    return True


def pytest_lumyn_request(item, request):
    if item.name == "small" and RUNS.count(item) == %d:
        request["action"]["amount"]["value"] = %d
"""
"""Changes what `small` asks for in the first or in the second run."""
TIGHTER = 150


@pytest.mark.parametrize("option", ["--lumyn-update=failing", "--lumyn-update=all"])
def test_what_passes_in_the_end_is_not_updated(repo: Repo, option: str) -> None:
    """What it would have taken to make the first run pass would break the second."""
    repo.write("conftest.py", TWICE % (1, TIGHTER))
    run = repo.run_pytest("--lumyn-vectors", option)
    assert (0, VECTORS) == (run.exit_code, repo.read(FILE))
    run.no_match("*lumyn update*")


def test_what_drifts_in_the_end_is_updated(repo: Repo) -> None:
    repo.write("conftest.py", TWICE % (2, TIGHTER))
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-update=failing")
    assert (0, (FILE,)) == (run.exit_code, run.changed)
    assert "expect: {verdict: ESCALATE, reason_codes: [NO_MATCH_DEFAULT_ESCALATE]}\n  - name: like" in repo.read(FILE)


def test_what_was_refused_and_passes_in_the_end_is_not_told_as_refused(repo: Repo) -> None:
    text = VECTORS.replace("{verdict: TRUST, reason_codes: [REFUND_SMALL]}\n  - name: like", "%s\n  - name: like", 1)
    repo.write(FILE, text % "{verdict: ESCALATE, reason_codes: [NO_MATCH_DEFAULT_ESCALATE]}")
    repo.write("conftest.py", TWICE % (2, TIGHTER))
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-update=failing")
    run.no_match("*lumyn update*")
    assert () == run.changed


def test_a_report_holds_one_result_of_each(repo: Repo) -> None:
    repo.write("conftest.py", TWICE % (1, TIGHTER))
    repo.run_pytest("--lumyn-vectors", "--lumyn-report=r.json")
    vectors = json.loads(repo.read("r.json"))["vectors"]
    assert [PASSING, {"passed"}] == [len(vectors), {vector["outcome"] for vector in vectors}]
