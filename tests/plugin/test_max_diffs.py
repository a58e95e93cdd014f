"""One edit of a policy makes hundreds of vectors drift: the first few in full, all of them by cause."""

from __future__ import annotations

import random
import re
from types import SimpleNamespace

import pytest
from plugin.shop import VECTORS

from lumyn.testing import Repo
from pytest_lumyn.mass import Groups, in_full

COUNT = 30
WORKERS = ("-p", "xdist", "-n2")
HEAD = VECTORS.partition("  memory:")[0] + "vectors:\n"


@pytest.fixture
def many(repo: Repo) -> Repo:
    """Thirty trusted refunds, five of them with a ticket that is missing, under a policy that trusts none."""
    repo.write(
        "vectors/many.yml",
        HEAD
        + "".join(
            f"  - name: v{place:02}\n"
            f"    request: {{$use: refund, $with: {{action.amount.value: {place % 20 + 1}}}}}\n"
            "    expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n"
            for place in range(COUNT)
        ),
    )
    (repo.path / "vectors/shop/refund.yml").unlink()
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 0")
    repo.replace("policies/shop.yml", "evidence.risk_gte: 0.7", "amount_usd_lte: 2")
    return repo


def failures(text: str) -> int:
    return text.partition("= FAILURES =")[2].partition("= lumyn:")[0].count("decided by")


def test_many_drifts_are_grouped_by_cause(many: Repo) -> None:
    """Each cause once, the largest first, with its count, the rule that now decides, and examples."""
    run = many.run_pytest("--lumyn-vectors", "--lumyn-max-diffs=4")
    run.assert_outcomes(failed=COUNT)
    assert 1 == run.exit_code
    assert 4 == failures(run.text)
    run.match(
        "*= lumyn: 30 vectors failed, 2 causes =*",
        "26  TRUST -> ESCALATE -REFUND_SMALL +NO_MATCH_DEFAULT_ESCALATE",
        "decided by default policies/shop.yml:4",
        "vectors/many.yml::v02",
        "and 23 more",
        "4  TRUST -> ABSTAIN -REFUND_SMALL +RISK_TOO_HIGH",
        "decided by R020 policies/shop.yml:22",
        "vectors/many.yml::v00",
        "and 1 more",
        "4 shown in full, at most 2 of a cause; --lumyn-max-diffs=30 shows all",
        "*= short test summary info =*",
    )
    assert 4 == sum(line.startswith("FAILED ") for line in run.lines)


def test_two_of_each_cause_are_shown_in_full(many: Repo) -> None:
    """Page after page of the same would hide the causes; all are shown where they are no more than the limit."""
    run = many.run_pytest("--lumyn-vectors")
    assert 4 == failures(run.text)
    run.match("FAILED vectors/many.yml::v00 *", "FAILED vectors/many.yml::v01 *", "FAILED vectors/many.yml::v02 *")
    run.match("FAILED vectors/many.yml::v03 *")
    run.no_match("FAILED vectors/many.yml::v04 *")
    assert COUNT == failures(many.run_pytest("--lumyn-vectors", f"--lumyn-max-diffs={COUNT}").text)


def test_no_more_than_the_limit_are_shown(many: Repo) -> None:
    assert 3 == failures(many.run_pytest("--lumyn-vectors", "--lumyn-max-diffs=3").text)


def test_none_may_be_shown(many: Repo) -> None:
    """The totals, their colour and the exit code stay those of a failed run."""
    run = many.run_pytest("--lumyn-vectors", "--lumyn-max-diffs=0", "--color=yes")
    run.assert_outcomes(failed=COUNT)
    assert 1 == run.exit_code
    assert 0 == failures(run.text)
    assert f"\x1b[31m\x1b[1m{COUNT} failed\x1b[0m" in run.stdout
    run.match("none shown in full, *")


def test_few_drifts_are_not_grouped(many: Repo) -> None:
    run = many.run_pytest("--lumyn-vectors", f"--lumyn-max-diffs={COUNT}")
    assert COUNT == failures(run.text)
    run.no_match("*= lumyn: *")


def test_python_failures_are_never_hidden(many: Repo) -> None:
    """Only what vectors print is capped."""
    many.write("tests/test_app.py", "def test_python():\n    assert 1 == 2\n")
    run = many.run_pytest("--lumyn-vectors", "--lumyn-max-diffs=1")
    run.assert_outcomes(failed=COUNT + 1)
    run.match("E *assert 1 == 2", "FAILED tests/test_app.py::test_python - *")


def test_summaries_of_other_plugins_see_every_failure(many: Repo) -> None:
    many.write(
        "conftest.py",
        "def pytest_terminal_summary(terminalreporter):\n"
        "    terminalreporter.write_line(f'OTHERS SEE {len(terminalreporter.stats[\"failed\"])}')\n",
    )
    many.run_pytest("--lumyn-vectors", "--lumyn-max-diffs=1").match(f"OTHERS SEE {COUNT}")


SHUFFLED = """
def pytest_collection_modifyitems(items):
    items.reverse()
"""


@pytest.mark.parametrize("conftest", ["", SHUFFLED], ids=["in order", "last first"])
def test_workers_send_enough_to_show(many: Repo, conftest: str) -> None:
    """Whichever worker runs a vector, and in whatever order, the page is the same, in the same colours."""
    pytest.importorskip("xdist")
    many.write("conftest.py", conftest)
    run = many.run_pytest("--lumyn-vectors", "--lumyn-max-diffs=4", "--color=yes", *WORKERS, own_process=True)
    run.assert_outcomes(failed=COUNT)
    assert 4 == failures(run.text)
    assert 4 == run.stdout.count("  decided by    \x1b[1m")
    run.match("FAILED vectors/many.yml::v00 *", "FAILED vectors/many.yml::v01 *", "FAILED vectors/many.yml::v02 *")
    run.match("26  TRUST -> ESCALATE *", "decided by default policies/shop.yml:4", "vectors/many.yml::v02")


@pytest.mark.parametrize("value", ["-1", "few", "1.5", ""])
def test_a_limit_that_is_none_is_a_usage_error(repo: Repo, value: str) -> None:
    run = repo.run_pytest("--lumyn-vectors", f"--lumyn-max-diffs={value}")
    assert 4 == run.exit_code
    run.match(f"*argument --lumyn-max-diffs: not a whole number:*{value}")


class Paper:
    """Stands in for pytest's terminal reporter."""

    def __init__(self) -> None:
        self.text = ""

    def section(self, title: str, **markup: bool) -> None:
        self.text += f"= {title} =\n"

    def write(self, text: str, **markup: bool) -> None:
        self.text += text

    def write_line(self, text: str, **markup: bool) -> None:
        self.text += f"{text}\n"


def arrived(line: int, summary: str) -> SimpleNamespace:
    result = {"nodeid": f"a.yml::v{line}", "file": "a.yml", "line": line, "summary": summary}
    return SimpleNamespace(lumyn=result, when="call")


@pytest.mark.parametrize("seed", range(5))
def test_what_is_shown_does_not_depend_on_who_reports_first(seed: int) -> None:
    """Of each cause the first two in the file, the first of every cause before the second of any."""
    drifted = [arrived(line, "often" if line < 20 else "now and then" if line < 26 else "once") for line in range(27)]
    random.Random(seed).shuffle(drifted)
    assert [0, 1, 20, 21, 26] == [report.lumyn["line"] for report in in_full(drifted, 20)]
    assert [0, 1, 20, 26] == [report.lumyn["line"] for report in in_full(drifted, 4)]
    assert [0, 20] == [report.lumyn["line"] for report in in_full(drifted, 2)]


def test_many_causes_end_in_a_count() -> None:
    """Also when everything changed for a reason of its own, the page ends."""
    reporter = SimpleNamespace(drifted=[arrived(place, f"raised Error{place}") for place in range(25)])
    paper = Paper()
    Groups(reporter, 0).pytest_terminal_summary(paper)
    lines = paper.text.splitlines()
    assert "= lumyn: 25 vectors failed, 25 causes =" == lines[0]
    assert 20 == sum("raised Error" in line for line in lines)
    assert not [line for line in lines if "decided by" in line or re.search("and -?[0-9]+ more", line)]
    assert [
        "        and 5 causes more",
        "none shown in full, at most 2 of a cause; --lumyn-max-diffs=25 shows all",
    ] == lines[-2:]


def test_control_characters_in_a_cause_are_made_visible() -> None:
    result = {"nodeid": "a\x1b[2J", "file": "a\x1b[2J", "line": 1, "summary": "b\x1b[2J"}
    reporter = SimpleNamespace(drifted=[SimpleNamespace(lumyn=result, when="call")])
    paper = Paper()
    Groups(reporter, 0).pytest_terminal_summary(paper)
    assert "\x1b" not in paper.text
