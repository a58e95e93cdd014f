"""`--lumyn-review` asks about each failure in a terminal, and writes what was accepted when it is over."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from plugin.shop import PASSING, VECTORS

from lumyn.testing import Repo

pty = pytest.importorskip("pty")

FILE = "vectors/shop/refund.yml"
POLICY_FILE = "policies/shop.yml"
ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "100", "PATH": os.environ["PATH"]}


def review(repo: Repo, answers: str, *arguments: str) -> tuple[int, str]:
    """Answer the questions of a run in a pseudo-terminal; return its exit code and what it printed."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", "-p", "lumyn", "--lumyn-vectors", "--lumyn-review", *arguments]
    with subprocess.Popen(
        command, cwd=repo.path, env=ENVIRONMENT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        os.write(ours, answers.encode())
        printed, _ = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    return process.returncode, printed.decode()


@pytest.fixture
def drifting(repo: Repo) -> Repo:
    """`small`, `like_a_known_fraud` and `compounding` drift, in this order."""
    repo.replace(POLICY_FILE, "trust_up_to_usd: 25", "trust_up_to_usd: 1")
    return repo


def test_each_failure_is_asked_about(drifting: Repo) -> None:
    code, printed = review(drifting, "a\ns\nx\nINC-7: until the limit is back\n")
    text = drifting.read(FILE)
    assert "1 of 3" in printed
    assert "verdict TRUST -> ESCALATE" in printed
    assert "accepting: TRUST -> ESCALATE" in printed
    assert "expect: {verdict: ESCALATE, reason_codes: [NO_MATCH_DEFAULT_ESCALATE]}\n  - name: like" in text
    assert 'xfail: {reason: "INC-7: until the limit is back"}' in text
    assert 1 == code
    run = drifting.run_pytest("--lumyn-vectors")
    run.assert_outcomes(passed=PASSING - 2, failed=1, xfailed=1)


def test_what_is_asked_about_stands_above_the_question(drifting: Repo) -> None:
    """Nobody answers blind: the run's own lines and each failure are on the terminal before its question."""
    _, printed = review(drifting, "s\ns\ns\n")
    shown = ["test session starts", "1 of 3", "[a]ccept", "2 of 3", "[a]ccept", "3 of 3", "[a]ccept", "= FAILURES ="]
    places = [0]
    for text in shown:
        assert text in printed[places[-1] :], printed
        places.append(printed.index(text, places[-1]) + len(text))
    assert "[a]ccept" not in printed[: printed.index("1 of 3")]
    assert "Captured stdout" not in printed


def test_the_order_is_that_of_the_file(drifting: Repo) -> None:
    """Workers report in whatever order they come to it; here the last vector runs first."""
    drifting.write("conftest.py", "def pytest_collection_modifyitems(items):\n    items.reverse()\n")
    _, printed = review(drifting, "s\ns\ns\n")
    asked = [line.split()[4] for line in printed.splitlines() if " of 3: " in line]
    assert [f"{FILE}::{name}" for name in ("small", "like_a_known_fraud", "compounding")] == asked


def test_everything_accepted_is_a_run_that_passed(drifting: Repo) -> None:
    code, printed = review(drifting, "a\na\na\n")
    assert 0 == code
    assert "3 updated" in printed
    assert f"1 file changed: {FILE}" in printed
    drifting.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)


def test_a_run_that_was_stopped_has_not_passed(drifting: Repo) -> None:
    """After `-x` all that failed was accepted, and two vectors that drift did not run."""
    code, printed = review(drifting, "a\n", "-x")
    assert 1 == code
    assert f"updated {FILE}::small" in printed
    assert "stopped before its end, so the run has not passed: run it again" in printed
    drifting.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING - 2, failed=2)


def test_what_is_accepted_does_not_excuse_a_teardown(drifting: Repo) -> None:
    drifting.write(
        "conftest.py",
        "def pytest_runtest_teardown(item):\n"
        "    if item.name == 'compounding':\n"
        "        raise RuntimeError('left open')\n",
    )
    code, printed = review(drifting, "a\na\na\n", "--lumyn-report=report.json")
    assert 1 == code
    assert "1 error, 3 updated" in printed
    report = json.loads(drifting.read("report.json"))
    assert (False, [f"{FILE}::compounding: raised RuntimeError: left open"]) == (
        report["summary"]["ok"],
        report["failures"],
    )


def test_quitting_keeps_what_was_accepted(drifting: Repo) -> None:
    code, _ = review(drifting, "a\nq\n")
    assert 1 == code
    drifting.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING - 2, failed=2)


def test_the_end_of_the_input_changes_nothing(drifting: Repo) -> None:
    code, printed = review(drifting, "a\n\x04")
    assert (1, VECTORS) == (code, drifting.read(FILE))
    assert "interrupted: nothing was changed" in printed


@pytest.mark.parametrize("reason", ["", "\\x1b[2Jcleared"], ids=["none", "not to be printed"])
def test_a_failure_is_expected_for_a_reason(drifting: Repo, reason: str) -> None:
    """One that could be read in a report."""
    drifting.write(
        "conftest.py", f"import builtins\nANSWERS = ['x', '{reason}', 'q']\nbuiltins.input = lambda _: ANSWERS.pop(0)\n"
    )
    code, printed = review(drifting, "")
    assert (1, VECTORS) == (code, drifting.read(FILE))
    assert "a reason is due" in printed


def test_ctrl_c_at_a_question_changes_nothing(drifting: Repo) -> None:
    drifting.write(
        "conftest.py",
        "import builtins\nANSWERS = ['a']\n\n\ndef ask(_):\n    if ANSWERS:\n        return ANSWERS.pop()\n"
        "    raise KeyboardInterrupt\n\n\nbuiltins.input = ask\n",
    )
    code, printed = review(drifting, "")
    assert (1, VECTORS) == (code, drifting.read(FILE))
    assert "interrupted: nothing was changed" in printed


def test_a_run_that_was_interrupted_asks_nothing(drifting: Repo) -> None:
    """Whoever pressed Ctrl-C wants to leave."""
    drifting.write(
        "conftest.py",
        "def pytest_runtest_setup(item):\n    if item.name == 'compounding':\n        raise KeyboardInterrupt\n",
    )
    code, printed = review(drifting, "a\na\n")
    assert (2, VECTORS) == (code, drifting.read(FILE))
    assert "[a]ccept" not in printed


def test_a_looser_outcome_takes_the_whole_word(repo: Repo) -> None:
    repo.replace(POLICY_FILE, "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    code, printed = review(repo, "a\ns\n")
    assert (1, VECTORS) == (code, repo.read(FILE))
    assert "looser: TRUST is more permissive than ESCALATE; to accept that, type `accept` in full" in printed
    code, _ = review(repo, "accept\n")
    assert 0 == code
    assert "[at_limit, 200, TRUST, [REFUND_SMALL]]" in repo.read(FILE)


def test_a_row_cannot_be_marked_and_a_condition_not_accepted(repo: Repo) -> None:
    repo.replace(POLICY_FILE, "escalate_over_usd: 200", "escalate_over_usd: 100")
    repo.replace(
        FILE, "200, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]", "200, ESCALATE, {contains: [NO_MATCH_DEFAULT_ESCALATE]}"
    )
    before = repo.read(FILE)
    code, printed = review(repo, "a\nx\ns\n")
    assert (1, before) == (code, repo.read(FILE))
    assert "cannot be accepted: `reason_codes.contains` states a condition" in printed
    assert "rows of a table share one `xfail`" in printed


def test_workers_propose_and_the_controller_asks(drifting: Repo) -> None:
    code, printed = review(drifting, "a\na\na\n", "-p", "xdist", "-n2")
    assert 0 == code, printed
    drifting.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)


def test_without_a_terminal_it_is_refused(drifting: Repo) -> None:
    run = drifting.run_pytest("--lumyn-vectors", "--lumyn-review", own_process=True)
    assert (4, ()) == (run.exit_code, run.changed)
    run.match("ERROR: lumyn: --lumyn-review asks questions: run it in a terminal")


def test_it_excludes_the_update_option(drifting: Repo) -> None:
    run = drifting.run_pytest("--lumyn-vectors", "--lumyn-review", "--lumyn-update=all")
    assert 4 == run.exit_code
    run.match("*choose one")
