"""`--lumyn-coverage`, `--lumyn-mutate` and their gates: what is shown, what fails a run, and that workers agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from plugin.shop import PASSING, POLICY, VECTORS

from lumyn.analysis.boxes import BudgetExceededError
from lumyn.analysis.judge import Judge
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.witness import AnalysisDefectError
from lumyn.testing import Repo, Run

FILE = "vectors/shop/refund.yml"
CLOSING = "close them  lumyn vectors suggest --max 10 --policy policies/shop.yml"
WORKERS = ("-p", "xdist", "-n2")

MORE = """\
  - name: trust_limit
    request: {$use: refund}
    table:
      columns: [id, request.action.amount.value, expect.verdict, expect.reason_codes]
      rows:
        - [at_limit, 25, TRUST, [REFUND_SMALL]]
        - [over_limit, 25.01, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]
  - name: risk
    request: {$use: refund}
    table:
      columns: [id, request.evidence.risk, expect.verdict, expect.reason_codes]
      rows:
        - [below, 0.69, TRUST, [REFUND_SMALL]]
        - [at, 0.7, ABSTAIN, [RISK_TOO_HIGH, REFUND_SMALL]]
  - name: without_ticket
    request: {$use: refund, $with: {evidence.ticket_id: null}}
    expect: {verdict: QUERY, reason_codes: [TICKET_MISSING, REFUND_SMALL]}
"""


def summary(run: Run) -> list[str]:
    """Return the lines of the two sections, without the line of counts and seconds."""
    begin = next(place for place, line in enumerate(run.lines) if "lumyn policy coverage" in line)
    return [line for line in run.lines[begin:] if line and not re.search(r"\d passed|\d failed", line)]


@pytest.mark.parametrize("options", [(), ("-q",), ("-v",)])
def test_the_title_stands_right_above_its_lines(repo: Repo, options: tuple[str, ...]) -> None:
    """And apart from the progress of the run, where pytest shows any."""
    lines = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage", *options).lines
    title = next(place for place, line in enumerate(lines) if "lumyn policy coverage" in line)
    assert "covered" in lines[title + 1]


def test_coverage_and_mutation_are_shown_together(repo: Repo) -> None:
    """Five lines and what is missing, then the edits that would ship green, new paths to TRUST first."""
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage")
    run.assert_outcomes(passed=PASSING)
    assert 0 == run.exit_code
    run.match(
        "*lumyn policy coverage: shop 1.0.0 (sha256:*",
        "*covered*goals*infeasible*",
        "rules fired * 4 * 6 * 0",
        "missing: R010, R020",
        "rules that decide * 3 * 5 * 0",
        "required keys * 0 * 1 * 0",
        "missing: support.refund: ticket_id never missing alone",
        "boundaries * 2 * 8 * 0",
        "*lumyn mutation: shop 1.0.0*",
        "* mutants, 0 equivalent (proved), */* killed",
        "new TRUST * survive: these edits would ship green",
        "threshold trust_up_to_usd 25 -> 25.01",
        "support.refund 25.01 USD: ESCALATE -> TRUST",
        "also *looser *, tighter *, reason codes only *",
        CLOSING,
    )


def test_nothing_is_measured_unasked(repo: Repo) -> None:
    """A run with vectors alone says nothing of either."""
    repo.run_pytest("--lumyn-vectors").no_match("*coverage*", "*mutation*")


def test_mutation_alone(repo: Repo) -> None:
    """It can be asked for by itself."""
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-mutate=full")
    run.match("*lumyn mutation: shop*")
    run.no_match("*coverage*")


def test_workers_agree(repo: Repo) -> None:
    """Spread over workers, the run says the same to the letter."""
    pytest.importorskip("xdist")
    alone = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage", own_process=True)
    spread = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage", *WORKERS, own_process=True)
    assert summary(alone) == summary(spread)


@pytest.mark.parametrize("workers", [(), WORKERS], ids=["alone", "workers"])
def test_a_missed_gate_fails_the_run(repo: Repo, workers: tuple[str, ...]) -> None:
    """Each threshold that is not reached is named with its counts, and the run is red."""
    if workers:
        pytest.importorskip("xdist")
    run = repo.run_pytest(
        "--lumyn-vectors",
        "--lumyn-coverage-fail-under=fired:100,boundaries:50,codes:10",
        "--lumyn-mutate-fail-under=90",
        "--lumyn-mutate-max-new-trust=0",
        *workers,
        own_process=bool(workers),
    )
    assert 1 == run.exit_code
    run.match(
        "FAILED lumyn gate: shop 1.0.0: rules fired 4 of 6 goals, wanted 100 %",
        "FAILED lumyn gate: shop 1.0.0: boundaries 2 of 8 goals, wanted 50 %",
        "FAILED lumyn gate: shop 1.0.0: * of * mutants killed, wanted 90 %",
        "FAILED lumyn gate: shop 1.0.0: * edits open a new path to TRUST unnoticed, at most 0 may",
    )
    run.no_match("*reason codes * goals, wanted*")


def test_gates_that_are_met_pass(repo: Repo) -> None:
    """More vectors, and the same gates are green: counts are compared, not rounded shares."""
    repo.write(FILE, VECTORS + MORE)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage-fail-under=fired:100,decides:100,codes:100,required:100")
    assert 0 == run.exit_code, run.text
    run.no_match("*FAILED lumyn gate*")


def test_the_command_that_is_printed_closes_what_is_open(repo: Repo) -> None:
    """Run as it stands, with every suggestion taken over, until it says why none closes the rest; drift gets none."""
    said = subprocess.CompletedProcess[str]([], 0)
    for number in range(9):
        run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage")
        assert 0 == run.exit_code, run.text
        command = next(line.removeprefix("close them").split() for line in run.lines if "close them" in line)
        assert command[0] == "lumyn"
        written = repo.path / f"vectors/suggested_{number}.yml"
        said = subprocess.run(
            [sys.executable, "-m", *command, "--write", str(written)],
            cwd=repo.path, check=False, capture_output=True, text=True,
        )  # fmt: skip
        if said.returncode != 0:
            break
        written.write_text(written.read_text(encoding="utf-8").replace("status: proposed", ""), encoding="utf-8")
    assert (5, "2 left open: no single experience") == (said.returncode, said.stdout[:33])
    run.match("45 mutants, 0 equivalent (proved), 44/45 killed", "looser * 1  survives: this edit would ship green")
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 1")
    repo.run_pytest("--lumyn-vectors", "--lumyn-coverage").no_match("close them*")


def test_of_several_policies_each_command_names_its_own(repo: Repo) -> None:
    """Without a name the command would take the configured policy, or refuse to choose."""
    repo.write("policies/second one.yml", POLICY.replace("policy_id: shop", "policy_id: second"))
    repo.write("vectors/second.yml", VECTORS.replace("policies/shop.yml", "policies/second one.yml"))
    repo.run_pytest("--lumyn-vectors", "--lumyn-mutate=full").match(
        "close them  lumyn vectors suggest --max 10 --full --policy 'policies/second one.yml'",
        "close them  lumyn vectors suggest --max 10 --full --policy policies/shop.yml",
    )


def test_the_command_is_about_the_vectors_and_the_policy_of_the_run(repo: Repo) -> None:
    """From another folder, with vectors elsewhere, beside a configuration that names another policy."""
    repo.write("lumyn.toml", '[policy]\npath = "policies/other.yml"\n')
    repo.write("policies/other.yml", POLICY.replace("policy_id: shop", "policy_id: other"))
    (repo.path / "vectors").rename(repo.path / "golden")
    (repo.path / "below").mkdir()
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage", "--lumyn-path=golden")
    command = "lumyn vectors suggest --max 10 --policy policies/shop.yml --vectors golden"
    run.match(f"close them  {command}")
    said = subprocess.run(
        [sys.executable, "-m", *command.split(), "--json"],
        cwd=repo.path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(said.stdout)
    assert ("policies/shop.yml", []) == (found["policy"], found["others"])
    assert all(each["base"] is not None for each in found["suggestions"])
    words = ["--rootdir=..", "--lumyn-vectors", "--lumyn-coverage", "--lumyn-path=../golden", "../golden"]
    elsewhere = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=repo.path / "below", check=False, capture_output=True, text=True
    )
    assert f"close them  cd .. && {command}" in elsewhere.stdout.splitlines(), elsewhere.stdout


def test_part_of_the_vectors_is_not_judged(repo: Repo) -> None:
    """Thresholds on a selection would say nothing, so a selection neither passes nor fails them."""
    for selection in (["-k", "small"], [f"{FILE}::small"], [FILE]):
        run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage-fail-under=fired:100", *selection)
        assert 0 == run.exit_code
        run.match("lumyn: gates not judged: not every vector ran")
    failing = repo
    failing.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 1")
    run = failing.run_pytest("--lumyn-vectors", "--lumyn-coverage-fail-under=fired:100")
    assert 1 == run.exit_code
    run.match("lumyn: gates not judged: vectors failed")


def test_a_skipped_vector_covers_nothing(repo: Repo) -> None:
    """What did not run did not exercise the policy."""
    repo.replace(FILE, "  - name: like_a_known_fraud\n", "  - name: like_a_known_fraud\n    skip: not today\n")
    repo.replace(FILE, "  - name: compounding\n", "  - name: compounding\n    skip: not today\n")
    repo.run_pytest("--lumyn-vectors", "--lumyn-coverage").match("missing: R010, R020, R040")


def test_a_gate_over_nothing_measured_is_not_met(repo: Repo) -> None:
    """Where every vector is skipped there is no policy whose goals could be missed."""
    repo.write(
        "conftest.py",
        "def pytest_collection_modifyitems(items):\n    for item in items:\n        item.add_marker('skip')\n",
    )
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage-fail-under=fired:1")
    assert 1 == run.exit_code
    run.match("FAILED lumyn gate: shop 1.0.0: no vector decided anything, so nothing was measured")


def test_a_vector_that_failed_covers_nothing(repo: Repo) -> None:
    """It exercised a rule, and pins nothing of what came out."""
    repo.replace(
        FILE, "[over_limit, 200.01, ESCALATE, [REFUND_OVER_LIMIT]]", "[over_limit, 201, QUERY, [TICKET_MISSING]]"
    )
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage")
    assert 1 == run.exit_code
    run.match("missing: R010, R020, R030")


@pytest.mark.parametrize(
    "text", ["", ",", "fired", "fired:101", "fired:-1", "fired:9.5", "lines:100", "fired:", ":100", "fired=100"]
)
def test_a_threshold_that_cannot_be_read_is_refused(repo: Repo, text: str) -> None:
    """Exit 4 and what it should look like, rather than a gate that is not there."""
    run = repo.run_pytest("--lumyn-vectors", f"--lumyn-coverage-fail-under={text}")
    assert 4 == run.exit_code
    run.match("*is not a criterion with a percentage, as in fired:100*")


def test_a_threshold_given_twice_is_refused(repo: Repo) -> None:
    """The later and lower one would take the place of the first without a word."""
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage-fail-under=fired:100,fired:1")
    assert 4 == run.exit_code
    run.match("*coverage-fail-under: fired is given twice*")


SECOND = """\
schema_version: vector.v0
policy: policies/second.yml
clock: "2026-01-15T12:00:00Z"
vectors:
  - name: only
    skip: not today
    request: {action: {type: support.refund, intent: refund a customer}, evidence: {ticket_id: ZD-1}}
    expect: {verdict: ESCALATE, reason_codes: [NO_MATCH_DEFAULT_ESCALATE]}
"""


@pytest.mark.parametrize("workers", [(), WORKERS], ids=["alone", "workers"])
def test_a_policy_under_which_nothing_was_decided_fails_a_gate(repo: Repo, workers: tuple[str, ...]) -> None:
    """All of its vectors are skipped: that must not read as a policy that was measured and is fine."""
    if workers:
        pytest.importorskip("xdist")
    repo.write(FILE, VECTORS + MORE)
    repo.write("policies/second.yml", POLICY.replace("policy_id: shop", "policy_id: second"))
    repo.write("vectors/second.yml", SECOND)
    run = repo.run_pytest(
        "--lumyn-vectors", "--lumyn-coverage-fail-under=fired:100", *workers, own_process=bool(workers)
    )
    assert 1 == run.exit_code
    run.match("FAILED lumyn gate: second 1.0.0: no vector decided anything, so nothing was measured")
    assert 0 == repo.run_pytest("--lumyn-vectors", "--lumyn-coverage").exit_code


def test_an_expected_failure_covers_nothing_and_does_not_stop_the_gates(repo: Repo) -> None:
    """The run is green, so the gates are judged; the vector that fails as expected is not counted."""
    text = (VECTORS + MORE).replace("  - name: risk\n", "  - name: risk\n    xfail: {reason: INC-7}\n")
    repo.write(
        FILE,
        text.replace("[below, 0.69, TRUST", "[below, 0.69, ABSTAIN").replace("[at, 0.7, ABSTAIN", "[at, 0.7, TRUST"),
    )
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage-fail-under=fired:100")
    run.assert_outcomes(passed=PASSING + 3, xfailed=2)
    assert 1 == run.exit_code
    run.match("FAILED lumyn gate: shop 1.0.0: rules fired 5 of 6 goals, wanted 100 %")


def test_what_was_given_up_counts_as_a_path_to_trust(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that was not found fails the gate like a survivor of the worst kind."""

    def give_up(judge: Judge, mutant: Mutant) -> None:
        raise BudgetExceededError

    monkeypatch.setattr(Judge, "finding", give_up)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-mutate-max-new-trust=0")
    assert 1 == run.exit_code
    run.match(
        "unknown * given up over budget, counted as surviving: *",
        "FAILED lumyn gate: shop 1.0.0: 25 edits open a new path to TRUST unnoticed, at most 0 may",
    )


def test_a_contradiction_is_named_and_fails_the_run(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where engine and analysis disagree nothing that was measured can be relied on, gates or none."""

    def contradict(judge: Judge, mutant: Mutant) -> None:
        raise AnalysisDefectError("the engine does not see what the analysis said")

    monkeypatch.setattr(Judge, "finding", contradict)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage")
    assert 3 == run.exit_code
    run.match("ERROR lumyn: a defect of Lumyn, nothing was measured: the engine does not see what the analysis said")
    run.no_match("*Traceback*")


@pytest.mark.parametrize(
    "option",
    ["--lumyn-coverage", "--lumyn-mutate=core", "--lumyn-mutate-max-new-trust=0", "--lumyn-mutate-fail-under=0"],
)
def test_options_without_vectors_are_refused(repo: Repo, option: str) -> None:
    """A gate on nothing would be green for ever."""
    run = repo.run_pytest(option)
    assert 4 == run.exit_code
    run.match(f"*{option.partition('=')[0]} has no effect without --lumyn-vectors*")


def test_ini_asks_too(repo: Repo) -> None:
    """A team writes its thresholds down once."""
    repo.write("pytest.ini", "[pytest]\nlumyn_vectors = true\nlumyn_coverage_fail_under = fired:100\n")
    run = repo.run_pytest()
    assert 1 == run.exit_code
    run.match("FAILED lumyn gate: shop 1.0.0: rules fired 4 of 6 goals, wanted 100 %")


def test_an_accepted_survivor_needs_a_reason_and_a_survivor(repo: Repo) -> None:
    """The baseline takes edits out of the list; an entry that is no longer needed fails a gated run."""
    repo.write("pytest.ini", "[pytest]\nlumyn_mutants = mutants.yml\n")
    accepted = "schema_version: mutants.v0\naccepted:\n  shop:\n    R020/rule: never seen a risk\n"
    repo.write("mutants.yml", accepted)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-mutate=core")
    run.match("accepted * 1 *by the baseline*")
    repo.write("mutants.yml", accepted + "    R050/rule: this one is noticed\n")
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-mutate-max-new-trust=1000")
    assert 1 == run.exit_code
    run.match("FAILED lumyn gate: shop 1.0.0: the baseline accepts R050/rule, which *")


def test_a_baseline_of_a_policy_nobody_decided_under_fails_a_gate(repo: Repo) -> None:
    """A misspelt policy id accepts nothing, and says so; with another policy in its place it is of no concern."""
    repo.write("pytest.ini", "[pytest]\nlumyn_mutants = mutants.yml\n")
    repo.write("mutants.yml", "schema_version: mutants.v0\naccepted:\n  shopp:\n    R020/rule: never seen a risk\n")
    gate = "--lumyn-mutate-max-new-trust=1000"
    run = repo.run_pytest("--lumyn-vectors", gate)
    assert 1 == run.exit_code
    run.match("FAILED lumyn gate: the baseline accepts edits of shopp, under which no vector decided")
    assert 0 == repo.run_pytest("--lumyn-vectors", gate, "--lumyn-policy=policies/shop.yml").exit_code


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("schema_version: mutants.v1\n", 1),
        ("schema_version: mutants.v0\nacepted: {}\n", 2),
        ("schema_version: mutants.v0\naccepted: [R020/rule]\n", 2),
        ("schema_version: mutants.v0\naccepted:\n  shop:\n    R020/rule: ''\n", 4),
        ("schema_version: mutants.v0\naccepted:\n  shop: R020/rule\n", 3),
    ],
)
def test_a_baseline_that_cannot_be_used_is_refused(repo: Repo, text: str, line: int) -> None:
    """With its place: a baseline read wrongly would hide survivors."""
    repo.write("pytest.ini", "[pytest]\nlumyn_mutants = mutants.yml\n")
    repo.write("mutants.yml", text)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage")
    assert 4 == run.exit_code
    run.match(f"*mutants.yml:{line}:*")


def test_reports_carry_both(repo: Repo) -> None:
    """The JSON report holds every goal and survivor; the others show them as tables."""
    run = repo.run_pytest(
        "--lumyn-vectors", "--lumyn-coverage", *(f"--lumyn-report=out/r.{name}" for name in ("json", "md", "html"))
    )
    assert 0 == run.exit_code, run.text
    extra = json.loads(repo.read("out/r.json"))["extra"]
    (coverage,) = extra["coverage"].values()
    (mutation,) = extra["mutation"].values()
    assert {"covered": 4, "goals": 6, "infeasible": 0} == coverage["criteria"]["fired"]
    assert "new_trust" == mutation["survivors"][0]["severity"]
    assert "Policy coverage" in repo.read("out/r.md")
    assert "thresholds/trust_up_to_usd/up" in repo.read("out/r.md")
    page = repo.read("out/r.html")
    assert "open</b> risk &gt;= 0.7 at 0.69" in page
    assert "such as support.refund, risk 0.69" in page
    assert "threshold trust_up_to_usd 25 -&gt; 25.01" in re.sub("<[^>]*>", "", page)
    assert re.search(r'<b>met</b> <a href="#vector-\d+">fires</a>', page)


def test_measuring_that_is_interrupted_says_so(repo: Repo) -> None:
    """Ctrl-C while a large policy is looked at for the first time: a line, a failed run, and a report that says it."""
    stop = (
        "import pytest_lumyn.measuring as there",
        "def stop(*a, **k): raise KeyboardInterrupt",
        "there.cover = stop",
    )
    repo.write("conftest.py", "\n".join(stop) + "\n")
    words = ("--lumyn-vectors", "--lumyn-coverage", "--lumyn-mutate-max-new-trust=1000", "--lumyn-report=r.json")
    run = repo.run_pytest(*words, own_process=True)
    assert 2 == run.exit_code
    run.match("ERROR lumyn: interrupted, nothing was measured")
    run.no_match("*Traceback*", "*FAILED lumyn gate*", "*mutants*")
    report = json.loads((repo.path / "r.json").read_text(encoding="utf-8"))
    assert (False, ["the run was interrupted"]) == (report["summary"]["ok"], report["failures"])
