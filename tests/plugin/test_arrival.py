"""Workers report in whatever order they come to it: what a run prints and writes follows from what came out alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from plugin.shop import POLICY, VECTORS

from lumyn.testing import Repo, Run
from pytest_lumyn.mass import Curtain
from pytest_lumyn.report import Reporter

HEAD = VECTORS.partition("  memory:")[0] + "vectors:\n"
REPORTS = ("r.json", "r.md", "r.html", "r.sarif", "gitlab:r.gitlab.json")
ORDERS = ("", "def pytest_collection_modifyitems(items):\n    items.reverse()\n")
"""A run alone in which the last vector comes first: its reports arrive as if a worker had been faster."""
COPIES = ("b.yml", "c.yml", "a.yml")


def suite(policy: str, *, rows: str = "") -> str:
    return HEAD.replace("policies/shop.yml", policy) + "".join(
        f"  - name: v{amount}\n"
        f"    request: {{$use: refund, $with: {{action.amount.value: {amount}}}}}\n"
        "    expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n" + rows
        for amount in (8, 4, 6)
    )


@pytest.fixture
def copies(make_repo: Callable[..., Repo]) -> Repo:
    """Three files of vectors, each under a copy of the policy of its own; the lines of no two of them agree."""
    files = {
        name: text
        for place, copy in enumerate(COPIES)
        for name, text in (
            (f"policies/{copy}", "# a copy\n" * place + POLICY),
            (f"vectors/{'zyx'[place]}.yml", suite(f"policies/{copy}")),
        )
    }
    return make_repo({"vectors/shop/refund.yml": None} | files)


def stricter(repo: Repo) -> None:
    for copy in COPIES:
        repo.replace(f"policies/{copy}", "trust_up_to_usd: 25", "trust_up_to_usd: 1")


def ended(run: Run) -> str:
    """Return what was printed once everything had run, without the time it took."""
    return run.text.partition("[100%]")[2].rpartition(" in ")[0]


def in_both_orders(repo: Repo, *arguments: str, conftest: str = "") -> Run:
    """Run twice, the second time from the last vector to the first; all that comes of it must be the same."""
    seen: list[dict[str, str]] = []
    before = {path: path.read_bytes() for path in repo.path.rglob("*.yml")}
    for order in ORDERS:
        for path, data in before.items():
            path.write_bytes(data)
        repo.write("conftest.py", conftest + order)
        reports = [f"--lumyn-report={name}" for name in REPORTS]
        run = repo.run_pytest("--lumyn-vectors", *reports, *arguments)
        written = {name: repo.read(name.rpartition(":")[2]) for name in REPORTS}
        seen.append({"printed": ended(run), **written})
    assert seen[0].keys() == seen[1].keys()
    for name, text in seen[0].items():
        assert text == seen[1][name], name
    return run


@pytest.mark.parametrize("limit", [3, 100])
def test_failures_are_shown_in_the_order_of_the_files(copies: Repo, limit: int) -> None:
    stricter(copies)
    run = in_both_orders(copies, f"--lumyn-max-diffs={limit}")
    run.assert_outcomes(failed=9)
    shown = [line.split()[1].partition("::")[::2] for line in run.lines if line.startswith("FAILED ")]
    assert shown == sorted(shown, key=lambda each: (each[0], ["v8", "v4", "v6"].index(each[1])))
    assert min(limit, 9) == len(shown)


def test_what_hooks_raised_is_told_in_one_order(copies: Repo) -> None:
    stricter(copies)
    hook = "def pytest_lumyn_drift(item):\n    raise ValueError(item.name)\n"
    run = in_both_orders(copies, conftest=hook)
    said = [
        line.partition("ValueError: ")[2].replace(" (conftest.py:2)", "")
        for line in run.lines
        if line.startswith("ERROR: lumyn: ")
    ]
    assert ["v4, 3 times", "v6, 3 times", "v8, 3 times"] == said


def test_strength_names_one_of_several_copies_of_a_policy(copies: Repo) -> None:
    """Always the same one, and the lines are those of that file."""
    in_both_orders(copies, "--lumyn-coverage")
    report = json.loads(copies.read("r.json"))
    (policy,) = report["policies"]
    (coverage,) = report["extra"]["coverage"].values()
    assert "policies/a.yml" == policy["path"]
    assert {"policies/a.yml"} == {goal["file"] for goal in coverage["goals"]} - {None}
    lines = copies.read("policies/a.yml").splitlines()
    (fired,) = [goal for goal in coverage["goals"] if (goal["criterion"], goal["name"]) == ("fired", "R050")]
    assert "R050" in lines[fired["line"] - 1]


@pytest.mark.parametrize("options", [(), ("--lumyn-policy=policies/c.yml",)], ids=["as named", "chosen"])
def test_workers_name_the_policy_that_a_run_alone_names(copies: Repo, options: tuple[str, ...]) -> None:
    """Also where a worker comes to the copies in another order."""
    pytest.importorskip("xdist")
    reports = []
    for order, workers in zip(ORDERS, ((), ("-p", "xdist", "-n1")), strict=True):
        copies.write("conftest.py", order)
        arguments = ("--lumyn-vectors", "--lumyn-coverage", "--lumyn-report=r.json", *options, *workers)
        assert 0 == copies.run_pytest(*arguments, own_process=bool(workers)).exit_code
        reports.append(copies.read("r.json"))
    assert reports[0] == reports[1]
    assert f'"file": "policies/{"c" if options else "a"}.yml"' in reports[0]


def test_updates_that_come_to_nothing_fail_in_the_order_of_the_files(copies: Repo) -> None:
    """They are told to other plugins in that order too: a JUnit file ends with them."""
    stricter(copies)
    rows = "    table: {columns: [id, request.action.amount.value], rows: [[one, 1], [more, 9]]}\n"
    for name in "xyz":
        copies.write(f"vectors/{name}.yml", suite("policies/a.yml", rows=rows))
    run = in_both_orders(copies, "--lumyn-update=failing", "--junitxml=junit.xml")
    run.assert_outcomes(passed=9, failed=9)
    run.match("*stands for all 2 rows of a table, and 1 came out this way)")
    cases = ET.fromstring(copies.read("junit.xml")).findall(".//testcase")
    expected = [(f"vectors.{name}.yml", f"v{amount}[more]") for name in "xyz" for amount in (8, 4, 6)]
    assert expected == [(case.get("classname"), case.get("name")) for case in cases[-9:]]


def told(line: int, said: str = "", *, when: str = "call") -> SimpleNamespace:
    data = {"nodeid": f"a.yml::v{line}", "file": "a.yml", "line": line, "outcome": "failed", "summary": "s"}
    data |= {"complaint": said} if said else {}
    return SimpleNamespace(nodeid=data["nodeid"], lumyn=data, failed=True, longrepr="", when=when)


def reporter(arriving: list[Any]) -> Reporter:
    found = Reporter(SimpleNamespace(), SimpleNamespace(), None)  # type: ignore[arg-type]
    for report in arriving:
        found.pytest_runtest_logreport(report)
    return found


def test_a_controller_sorts_what_workers_complain_of() -> None:
    arriving = [told(1, "b failed"), told(2, "a failed"), told(3, "b failed")]
    assert ["a failed", "b failed, 2 times"] == reporter(arriving).complaints


@pytest.mark.parametrize("limit", [0, 1, 2, 5])
def test_what_failed_before_it_ran_is_shown_among_the_errors_alone(limit: int) -> None:
    """A terminal keeps it in another list, and Python tests that failed keep their place before the vectors."""
    drifted = [told(3), told(1, when="setup"), told(2)]
    python = SimpleNamespace(nodeid="test_a.py::test")
    stats = {"failed": [drifted[0], python, drifted[2]], "error": [drifted[1]]}
    terminal: Any = SimpleNamespace(stats=dict(stats))
    curtain = Curtain(reporter(drifted), limit)
    curtain.close(terminal)
    assert [python, *[drifted[2], drifted[0]][:limit]] == terminal.stats["failed"]
    curtain.open(terminal)
    assert stats == terminal.stats
