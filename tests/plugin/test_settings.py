"""The plugin beside what else a run may have: workers, strict pytest, missing parts of pytest, `python -O`."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from plugin.shop import PASSING, POLICY

from lumyn.testing import Repo, Run

FILE = "vectors/shop/refund.yml"


@pytest.fixture
def looser(repo: Repo) -> Repo:
    repo.write("policies/shop.yml", POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 200"))
    return repo


def block(run: Run) -> list[str]:
    """The failures as printed, without the lines of workers."""
    text = run.text.partition("= FAILURES =")[2].partition("= short test summary")[0]
    return [line for line in text.splitlines()[1:] if not line.startswith("[gw")]


@pytest.mark.parametrize("distribution", ["load", "loadfile"])
def test_workers_give_the_same_results_and_texts(looser: Repo, distribution: str) -> None:
    pytest.importorskip("xdist")
    alone = looser.run_pytest("--lumyn-vectors", "--color=yes")
    options = ("-p", "xdist", "-n2", f"--dist={distribution}", "--color=yes")
    spread = looser.run_pytest("--lumyn-vectors", *options, own_process=True)
    assert alone.outcomes == spread.outcomes == {"passed": PASSING - 1, "failed": 1}
    assert block(alone) == block(spread)
    assert "\x1b[32m\x1b[1mTRUST\x1b[0m" in spread.stdout
    spread.match(f"FAILED {FILE}::limit[at_limit] - verdict ESCALATE -> TRUST *")


def test_workers_are_told_how_wide_the_terminal_is(looser: Repo) -> None:
    """They have none of their own: here one believes in 200 columns."""
    pytest.importorskip("xdist")
    alone = looser.run_pytest("--lumyn-vectors", env={"COLUMNS": "60"})
    looser.write(
        "conftest.py",
        """
import os
import pytest

def pytest_sessionstart(session):
    os.environ["COLUMNS"] = "200"

@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_configure_node(node):
    os.environ["COLUMNS"] = "60"
""",
    )
    spread = looser.run_pytest("--lumyn-vectors", "-p", "xdist", "-n1", own_process=True)
    assert block(alone) == block(spread)


def test_workers_write_the_same_junit_file(looser: Repo) -> None:
    pytest.importorskip("xdist")

    def written(*options: str, own_process: bool) -> list[tuple[str | None, dict[str, str], list[str]]]:
        looser.run_pytest("--lumyn-vectors", "--junitxml=junit.xml", *options, own_process=own_process)
        cases = ET.fromstring(looser.read("junit.xml")).iter("testcase")
        return sorted(
            (
                case.get("name"),
                {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")},
                [f"{each.get('message')}: {each.text}" for each in case.iter("failure")],
            )
            for case in cases
        )

    alone = written(own_process=False)
    assert PASSING == len(alone)
    assert 1 == sum(len(failures) for _, _, failures in alone)
    assert alone == written("-p", "xdist", "-n2", own_process=True)


def test_strict_pytest_accepts_it(repo: Repo) -> None:
    if pytest.version_tuple >= (9, 0):
        repo.write("pytest.ini", "[pytest]\nstrict = true\nlumyn_vectors = true\nlumyn_min_vectors = 5\n")
    else:
        repo.write("pytest.ini", "[pytest]\naddopts = --strict-config --strict-markers\nlumyn_vectors = true\n")
    repo.run_pytest("-W", "error").assert_outcomes(passed=PASSING)


@pytest.mark.parametrize(
    "options",
    [
        ("-p", "no:cacheprovider"),
        ("-p", "no:logging"),
        ("-s",),
        ("-p", "no:junitxml"),
        ("-p", "no:skipping"),
        ("--assert=plain",),
        ("--import-mode=importlib",),
        ("--no-header", "--no-summary"),
    ],
    ids=" ".join,
)
def test_parts_of_pytest_may_be_missing(looser: Repo, options: tuple[str, ...]) -> None:
    run = looser.run_pytest("--lumyn-vectors", *options)
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    run.no_match("*INTERNALERROR*")


def test_a_plan_runs_nothing(looser: Repo) -> None:
    assert 0 == looser.run_pytest("--lumyn-vectors", "--setup-plan").exit_code


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["alone", "workers"])
def test_without_a_terminal_the_exit_code_tells(looser: Repo, workers: tuple[str, ...]) -> None:
    run = looser.run_pytest("--lumyn-vectors", "-p", "no:terminal", *workers, own_process=True)
    assert 1 == run.exit_code, run.text
    run.no_match("*INTERNALERROR*", "*Traceback*")


def test_an_optimised_interpreter_finds_the_same_drift(looser: Repo) -> None:
    """Nothing rests on `assert`."""
    run = looser.run_pytest("--lumyn-vectors", python=("-O",))
    run.assert_outcomes(passed=PASSING - 1, failed=1)


def test_warnings_may_be_errors(looser: Repo) -> None:
    run = looser.run_pytest("--lumyn-vectors", python=("-W", "error"))
    run.assert_outcomes(passed=PASSING - 1, failed=1)


def test_vectors_leave_nothing_behind(repo: Repo) -> None:
    """No store, no report, no compiled file: a run reads."""
    run = repo.run_pytest("--lumyn-vectors", own_process=True)
    assert () == run.changed


def test_two_runs_in_one_process_do_not_know_of_each_other(looser: Repo) -> None:
    first = looser.run_pytest("--lumyn-vectors")
    looser.write("policies/shop.yml", POLICY)
    second = looser.run_pytest("--lumyn-vectors")
    assert (1, 0) == (first.exit_code, second.exit_code)


def test_results_are_on_the_reports(repo: Repo) -> None:
    """Other plugins read them there; plain JSON, so that workers can send them."""
    repo.write(
        "conftest.py",
        "import json\n\ndef pytest_runtest_logreport(report):\n"
        "    if report.when == 'call':\n        print('REPORT', json.dumps(report.lumyn))\n",
    )
    run = repo.run_pytest("--lumyn-vectors", "-s", "-p", "no:terminal", "-k", "small")
    (line,) = [line for line in run.lines if "REPORT" in line]
    result = json.loads(line.partition("REPORT")[2])
    assert (f"{FILE}::small", "TRUST") == (result["nodeid"], result["verdict"])
