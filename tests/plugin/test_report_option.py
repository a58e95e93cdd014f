"""`--lumyn-report`: files in each format, what GitHub is told, and that a missing report is no green run."""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft202012Validator
from plugin.shop import POLICY, VECTORS

from lumyn.testing import Repo, Run

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "vector_report.v0.schema.json").read_text("utf-8"))
WORKERS = ("-p", "xdist", "-n2")
LOOSER = "vectors/shop/refund.yml::limit[at_limit]"


@pytest.fixture
def loose(repo: Repo) -> Repo:
    """A policy that trusts refunds up to 200 USD, where one vector at 200 USD expects a person to look."""
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    return repo


def report(repo: Repo, name: str = "report.json") -> Any:
    """Return a JSON report, checked against its schema."""
    content = json.loads(repo.read(name))
    assert [] == [error.message for error in Draft202012Validator(SCHEMA).iter_errors(content)]
    return content


def test_json_says_what_ran_and_what_drifted(loose: Repo) -> None:
    """Counts, the drift with its direction and cause, and the rules against verdicts."""
    run = loose.run_pytest("--lumyn-vectors", "--lumyn-report=report.json")
    run.assert_outcomes(passed=4, failed=1)
    run.match("lumyn: wrote report.json")
    content = report(loose)
    assert {
        "vectors": 5,
        "passed": 4,
        "failed": 1,
        "skipped": 0,
        "xfailed": 0,
        "errors": 0,
        "looser": 1,
        "tighter": 0,
        "complete": True,
        "ok": False,
    } == content["summary"]
    change = "ESCALATE -> TRUST -NO_MATCH_DEFAULT_ESCALATE +REFUND_SMALL"
    place = "policies/shop.yml:37"
    assert [{"change": change, "rule": "R050", "place": place, "direction": "looser", "vectors": [LOOSER]}] == content[
        "causes"
    ]
    failed = next(vector for vector in content["vectors"] if vector["outcome"] == "failed")
    assert (LOOSER, "TRUST", "ESCALATE", "looser") == tuple(
        failed[key] for key in ("nodeid", "verdict", "expected", "direction")
    )
    assert any("decided by" in line for line in failed["explanation"])
    (policy,) = content["policies"]
    rows = {rule["rule_id"]: (rule["line"], rule["decided"], sum(rule["fired"].values())) for rule in policy["rules"]}
    assert {
        "R010": (18, 0, 0),
        "R020": (22, 0, 0),
        "R030": (27, 1, 1),
        "R040": (32, 2, 2),
        "R050": (37, 2, 4),
        "default": (0, 0, 0),
    } == rows
    assert {"TRUST": 2, "ESCALATE": 3, "QUERY": 0, "ABSTAIN": 0} == policy["verdicts"]


def test_workers_write_the_same_report(loose: Repo) -> None:
    """One process and two give the same bytes in every format, and so do two runs."""
    names = ("r.json", "r.md", "r.html", "r.sarif")
    options = [f"--lumyn-report={name}" for name in (*names, "gitlab:gl.json")]
    loose.run_pytest("--lumyn-vectors", *options)
    once = {name: loose.read(name) for name in (*names, "gl.json")}
    run = loose.run_pytest("--lumyn-vectors", *WORKERS, *options, own_process=True, autoload=False)
    run.assert_outcomes(passed=4, failed=1)
    assert once == {name: loose.read(name) for name in once}
    assert 1 == report(loose, "r.json")["summary"]["failed"]


def test_a_selection_is_called_one(repo: Repo) -> None:
    """A report of a part never reads like one of the whole."""
    repo.run_pytest("--lumyn-vectors", "-k", "limit", "--lumyn-report=report.json", "--lumyn-report=report.md")
    assert not report(repo)["summary"]["complete"]
    assert "(not every vector ran)" in repo.read("report.md")


def test_a_file_that_cannot_be_read_is_in_the_report(repo: Repo) -> None:
    """With its line, and the run is not a success in any format."""
    repo.replace(
        "vectors/shop/refund.yml",
        "verdict: TRUST, reason_codes: [REFUND_SMALL]}\n  - name: like",
        "verdict: TRUSTED}\n  - name: like",
    )
    run = repo.run_pytest(
        "--lumyn-vectors", "--lumyn-report=report.json", "--lumyn-report=r.md", "--lumyn-report=r.sarif"
    )
    assert 2 == run.exit_code
    (error, *_) = report(repo)["errors"]
    assert ("vectors/shop/refund.yml", 15) == (error["path"], error["line"])
    assert "TRUSTED" in error["message"]
    assert repo.read("r.md").startswith("## Lumyn vectors: failed\n")
    (result, *_) = json.loads(repo.read("r.sarif"))["runs"][0]["results"]
    assert ("suite-invalid", 15) == (
        result["ruleId"],
        result["locations"][0]["physicalLocation"]["region"]["startLine"],
    )


def test_sarif_points_at_the_vector_and_the_rule(loose: Repo) -> None:
    """One result, with the deciding rule as a related location and a fingerprint that survives other edits."""
    loose.run_pytest("--lumyn-vectors", "--lumyn-report=r.sarif")
    (result,) = json.loads(loose.read("r.sarif"))["runs"][0]["results"]
    assert "vector-looser" == result["ruleId"]
    (place,), (rule,) = result["locations"], result["relatedLocations"]
    assert ("vectors/shop/refund.yml", 26) == spot(place)
    assert ("policies/shop.yml", 37) == spot(rule)
    fingerprint = result["partialFingerprints"]
    loose.write("vectors/shop/refund.yml", "# a comment\n" + loose.read("vectors/shop/refund.yml"))
    loose.run_pytest("--lumyn-vectors", "--lumyn-report=r.sarif")
    (moved,) = json.loads(loose.read("r.sarif"))["runs"][0]["results"]
    assert ("vectors/shop/refund.yml", 27) == spot(moved["locations"][0])
    assert fingerprint == moved["partialFingerprints"]


def spot(location: Any) -> tuple[str, int]:
    """Return path and line of a SARIF location."""
    physical = location["physicalLocation"]
    assert "SRCROOT" == physical["artifactLocation"]["uriBaseId"]
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


def test_gitlab_gets_code_quality(loose: Repo) -> None:
    """A looser verdict blocks."""
    loose.run_pytest("--lumyn-vectors", "--lumyn-report=gitlab:gl.json")
    (entry,) = json.loads(loose.read("gl.json"))
    assert ("blocker", {"path": "vectors/shop/refund.yml", "lines": {"begin": 26}}) == (
        entry["severity"],
        entry["location"],
    )
    assert 64 == len(entry["fingerprint"])


class Page(HTMLParser):
    """Collects what a page refers to, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "href" and value and value.startswith("#"):
                self.anchors.append(value[1:])
            elif name in ("src", "href", "action", "srcset") or name.startswith("on"):
                self.outside.append(f"{tag} {name}={value}")


def test_html_is_one_page_that_reaches_for_nothing(loose: Repo) -> None:
    """No reference leaves the page, every link within it leads somewhere, ids are unique, drift stands first."""
    loose.run_pytest("--lumyn-vectors", "--lumyn-report=r.html")
    text = loose.read("r.html")
    page = Page()
    page.feed(text)
    assert [] == page.outside
    assert "default-src 'none'" in text
    assert len(set(page.ids)) == len(page.ids)
    assert set() == set(page.anchors) - set(page.ids)
    headings = [
        text.index(f">{title}</h") for title in ("What changed", "Rules against verdicts", "Source", "Every vector")
    ]
    assert sorted(headings) == headings
    assert "never fired" in text  # R010 and R020


HOSTILE = "<img src=x onerror=alert(1)> `|` \u202e"


def test_nothing_from_data_becomes_markup(loose: Repo) -> None:
    """A message with markup and controls in it is text in every format."""
    loose.write("conftest.py", f"def pytest_lumyn_compare(expected):\n    return [{HOSTILE!r}]\n")
    run = loose.run_pytest("--lumyn-vectors", "--lumyn-report=r.html", "--lumyn-report=r.md", "--lumyn-report=r.sarif")
    assert 1 == run.exit_code
    page = Page()
    page.feed(loose.read("r.html"))
    assert "img" not in page.tags
    assert [] == page.outside
    assert "&lt;img src=x" in loose.read("r.html")
    for name in ("r.html", "r.md", "r.sarif"):
        assert "\u202e" not in loose.read(name)


def github(repo: Repo, *options: str) -> Run:
    """Run as a step of GitHub Actions."""
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(repo.path / "summary.md")}
    return repo.run_pytest("--lumyn-vectors", *options, env=env)


def test_github_is_told_within_its_actions(loose: Repo) -> None:
    """The vector's line is an error, the rule's line a notice, and the step gets a summary."""
    loose.write("summary.md", "before\n")
    run = github(loose)
    run.match(
        "::error file=vectors/shop/refund.yml,line=26,title=Lumyn%3A limit[at_limit]::verdict ESCALATE -> TRUST *",
        "::notice file=policies/shop.yml,line=37,title=Lumyn%3A rule behind drift::R050 decides 1 failing vector, *",
    )
    assert loose.read("summary.md").startswith("before\n## Lumyn vectors: failed\n")


def test_github_paths_are_relative_to_the_checkout(make_repo: Callable[..., Repo]) -> None:
    """Where pytest's rootdir is a folder of the checkout."""
    repo = make_repo()
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    env = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(repo.path.parent)}
    run = repo.run_pytest("--lumyn-vectors", env=env)
    run.match(f"::error file={repo.path.name}/vectors/shop/refund.yml,line=26,*")


ODD_NAMES = {
    "a, b": "a%2C b",
    "100%": "100%25",
    "%2C": "%252C",
    "7:1: x": "7%3A1%3A x",
    "line\nend": "line%0Aend",
    "cr\rx": "cr%0Dx",
    "::error::": "%3A%3Aerror%3A%3A",
    "seen\u202eneenu": "seen\\u202eneenu",
}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_github_reads_odd_names_back_and_no_name_is_a_command(make_repo: Callable[..., Repo], name: str) -> None:
    """In a folder of the checkout: drifts, the rule behind them, and every problem of a file at its own line."""
    folder = f"app/vectors/{name}"
    repo = make_repo(dict.fromkeys(("pytest.ini", "policies/shop.yml", "vectors/shop/refund.yml")))
    repo.write("app/pytest.ini", "[pytest]\n")
    repo.write("app/policies/a, b:1%.yml", POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 200"))
    repo.write(f"{folder}/f.yml", VECTORS.replace("policies/shop.yml", '"policies/a, b:1%.yml"'))
    env = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(repo.path)}
    options = ("--lumyn-vectors", "--lumyn-report=gitlab:gl.json", "--lumyn-report=r.sarif")
    run = repo.run_pytest(*options, env=env, cwd="app")
    place = f"app/vectors/{ODD_NAMES[name]}/f.yml"
    commands = [line for line in run.stdout.splitlines() if line.startswith("::")]
    assert 2 == len(commands)
    assert commands[0].startswith(f"::error file={place},line=26,title=Lumyn%3A limit[at_limit]::verdict ")
    assert commands[1].startswith("::notice file=app/policies/a%2C b%3A1%25.yml,line=37,title=Lumyn%3A rule behind")
    (entry,) = json.loads(repo.read("app/gl.json"))
    assert {"path": f"{folder}/f.yml", "lines": {"begin": 26}} == entry["location"]
    (result,) = json.loads(repo.read("app/r.sarif"))["runs"][0]["results"]
    assert (f"{folder}/f.yml", 26) == (unquote(spot(result["locations"][0])[0]), spot(result["locations"][0])[1])
    repo.replace(f"{folder}/f.yml", "at_limit, 200, ESCALATE", "at_limit, 200, ESCALATED")
    repo.replace(f"{folder}/f.yml", "  - name: limit\n", "  - name: limit\n    oops: 1\n")
    run = repo.run_pytest(*options, env=env, cwd="app")
    commands = [line for line in run.stdout.splitlines() if line.startswith("::")]
    assert [f"::error file={place},line={line},title=Lumyn%3A file cannot be read" for line in (21, 27)] == [
        line.partition(" read::")[0] + " read" for line in commands
    ]


def test_gitlab_fingerprints_are_unique_and_stay(make_repo: Callable[..., Repo]) -> None:
    """Also of two problems in one line and of vectors of one name, and when lines above come and go."""
    repo = make_repo({"vectors/other.yml": VECTORS})
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    repo.write("vectors/bad.yml", "oops: 1\nvectors: [{a: 1, b: 2, name: x}, {name: x}]\n")
    option, going_on = "--lumyn-report=gitlab:gl.json", "--continue-on-collection-errors"
    repo.run_pytest("--lumyn-vectors", option, going_on)
    entries = json.loads(repo.read("gl.json"))
    assert 7 <= len(entries) == len({entry["fingerprint"] for entry in entries})
    for entry in entries:
        assert {"description", "check_name", "fingerprint", "severity", "location"} == set(entry)
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert {"path": str, "lines": dict} == {key: type(value) for key, value in entry["location"].items()}
        assert 1 <= entry["location"]["lines"]["begin"]
        assert not entry["location"]["path"].startswith(("/", "./"))
    for name in ("vectors/bad.yml", "vectors/other.yml"):
        repo.write(name, f"# a line more\n{repo.read(name)}")
    repo.run_pytest("--lumyn-vectors", option, going_on)
    moved = json.loads(repo.read("gl.json"))
    assert [entry["fingerprint"] for entry in entries] == [entry["fingerprint"] for entry in moved]
    assert entries != moved


def test_nothing_is_annotated_elsewhere(loose: Repo) -> None:
    """Outside of GitHub Actions only who asks is told."""
    loose.run_pytest("--lumyn-vectors").no_match("::error*")
    loose.run_pytest("--lumyn-vectors", "--lumyn-report=github").match("::error file=vectors/shop/refund.yml,line=26,*")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("report.txt", "*cannot tell the format of 'report.txt'*"),
        ("json:", "*cannot tell the format of 'json:'*"),
        ("", "*cannot tell the format of ''*"),
        ("vectors", "*cannot tell the format of 'vectors'*"),
        ("md:vectors", "*vectors is a folder; name a file in it*"),
    ],
)
def test_a_report_that_cannot_be_is_refused_at_once(repo: Repo, option: str, said: str) -> None:
    """Before anything runs."""
    run = repo.run_pytest("--lumyn-vectors", f"--lumyn-report={option}")
    assert 4 == run.exit_code
    run.match(said)


def test_a_report_without_vectors_is_refused(repo: Repo) -> None:
    """Nobody is left with an old report that looks like a new one."""
    run = repo.run_pytest("--lumyn-report=report.json")
    assert 4 == run.exit_code
    run.match("*--lumyn-report has no effect without --lumyn-vectors*")


def test_one_file_twice_is_refused(repo: Repo) -> None:
    """The second would silently replace the first."""
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-report=r.json", "--lumyn-report=./r.json")
    assert 4 == run.exit_code


def test_a_report_that_was_not_written_is_not_green(repo: Repo) -> None:
    """The vectors pass, the report is missing, the run fails and says why."""
    repo.write("taken", "a file where a folder is due\n")
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-report=taken/report.json")
    run.assert_outcomes(passed=5)
    assert 1 == run.exit_code
    run.match("ERROR: lumyn: cannot write taken/report.json: *")


def test_collecting_writes_no_report(repo: Repo) -> None:
    """A report of nothing would read like one of everything; collecting has no outcome, so it is no error either."""
    run = repo.run_pytest("--lumyn-vectors", "--collect-only", "--lumyn-report=report.json")
    run.match("lumyn: no report was written: nothing ran")
    run.no_match("*ERROR*")
    assert 0 == run.exit_code
    assert not (repo.path / "report.json").exists()


def test_a_run_that_is_killed_leaves_no_old_report(repo: Repo) -> None:
    """It would say what an earlier run found; collecting alone leaves it."""
    options = ("--lumyn-vectors", "--lumyn-report=report.json", "--lumyn-report=r.html")
    repo.run_pytest(*options)
    repo.run_pytest(*options, "--collect-only")
    assert report(repo)["summary"]["ok"]
    repo.write("conftest.py", "import os\n\n\ndef pytest_lumyn_request(item, request):\n    os._exit(9)\n")
    assert 9 == repo.run_pytest(*options, own_process=True).exit_code
    assert [] == [name for name in ("report.json", "r.html") if (repo.path / name).exists()]


def test_an_old_report_is_replaced_whole(repo: Repo) -> None:
    """And a failed write leaves no part of a file behind."""
    repo.write("report.json", "x" * 1_000_000)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-report=report.json")
    assert ("report.json",) == run.changed
    assert 5 == report(repo)["summary"]["passed"]


NO_GOOD_NEWS = {
    "a gate": ("", ["--lumyn-mutate-fail-under=100"], 1, "shop 1.0.0: * mutants killed, wanted 100 %", True),
    "too few": ("", [*WORKERS, "--lumyn-min-vectors=50"], 4, "5 vectors found, at least 50 are due*", False),
    "stopped": (
        "def pytest_runtest_teardown(item):\n    if item.name == 'compounding':\n        raise KeyboardInterrupt\n",
        [],
        2,
        "the run was interrupted",
        False,
    ),
    "a worker died": (
        "import os\n\n\ndef pytest_lumyn_request(item, request):\n    if item.name == 'small':\n        os._exit(1)\n",
        ["-p", "xdist", "-n1"],
        1,
        "vectors/shop/refund.yml::small: worker 'gw0' crashed while running *",
        False,
    ),
}


@pytest.mark.parametrize("case", NO_GOOD_NEWS)
def test_no_format_calls_a_run_passed_that_failed(repo: Repo, case: str) -> None:
    """No vector drifted, and what failed the run is named in each of them."""
    conftest, options, code, why, complete = NO_GOOD_NEWS[case]
    repo.write("conftest.py", conftest)
    names = ("r.md", "r.html", "r.sarif", "gitlab:r.gl", "github", "report.json")
    env = {"PYTEST_ADDOPTS": "--max-worker-restart=1"} if "died" in case else {}
    run = repo.run_pytest(
        "--lumyn-vectors", *options, *(f"--lumyn-report={name}" for name in names), env=env, own_process=True
    )
    assert code == run.exit_code
    content = report(repo)
    assert (False, complete, 0) == (
        content["summary"]["ok"],
        content["summary"]["complete"],
        content["summary"]["failed"],
    )
    assert [True] == [fnmatch(failure, why) for failure in content["failures"]]
    assert repo.read("r.md").startswith("## Lumyn vectors: failed\n\nthe run failed, ")
    assert "<title>Failed: Lumyn vectors</title>" in repo.read("r.html")
    assert "status passed" not in repo.read("r.html")
    (invocation,) = json.loads(repo.read("r.sarif"))["runs"][0]["invocations"]
    assert (False, 1) == (invocation["executionSuccessful"], len(invocation["toolExecutionNotifications"]))
    assert ["lumyn-run-failed"] == [each["check_name"] for each in json.loads(repo.read("r.gl"))]
    run.match("::error title=Lumyn: the run failed::*")


@pytest.mark.parametrize("workers", [(), WORKERS], ids=["alone", "workers"])
def test_a_vector_whose_teardown_fails_did_not_pass(repo: Repo, workers: tuple[str, ...]) -> None:
    """Neither in the report nor for its hook."""
    repo.write(
        "conftest.py",
        "def pytest_runtest_teardown(item):\n"
        "    if item.name == 'compounding':\n"
        "        raise RuntimeError('left open')\n\n\n"
        "def pytest_lumyn_report(config, results):\n    print([each['outcome'] for each in results])\n",
    )
    run = repo.run_pytest("--lumyn-vectors", *workers, "--lumyn-report=report.json", own_process=True)
    assert 1 == run.exit_code
    content = report(repo)
    assert (4, 1) == (content["summary"]["passed"], content["summary"]["failed"])
    (failed,) = [each for each in content["vectors"] if each["outcome"] == "failed"]
    assert ("compounding", "after it ran: raised RuntimeError: left open") == (failed["vector"], failed["summary"])
    assert "['failed', 'passed', 'passed', 'passed', 'passed']" in run.text


def test_a_folder_that_cannot_be_collected_is_in_the_report(repo: Repo) -> None:
    """There may be vectors in it; and an error of a hook is one error, with its place."""
    repo.write("vectors/sub/conftest.py", "import no_such_module\n")
    repo.write("vectors/late.yml", "{}")
    repo.write(
        "conftest.py",
        "def pytest_lumyn_policy(path, config):\n    if path.name == 'late.yml':\n        raise RuntimeError('no')\n",
    )
    repo.run_pytest("--lumyn-vectors", "--continue-on-collection-errors", "--lumyn-report=report.json")
    content = report(repo)
    assert [
        ("vectors/late.yml", "hook pytest_lumyn_policy raised RuntimeError: no (conftest.py:3)"),
        ("vectors/sub", "ModuleNotFoundError: No module named 'no_such_module'"),
    ] == [(error["path"], error["message"]) for error in content["errors"]]
    repo.run_pytest("--lumyn-vectors", "--lumyn-report=report.json", "--lumyn-report=r.md")
    assert [] == report(repo)["failures"], "pytest calls it an interruption, under pytest-xdist it does not"
    assert "no vector ran, 2 files could not be read (not every vector ran)" in repo.read("r.md")
    assert (5, False, False) == (content["summary"]["passed"], content["summary"]["complete"], content["summary"]["ok"])
