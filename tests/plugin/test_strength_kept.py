"""What coverage and mutation came to is kept from run to run: nothing is made twice, and every run says the same."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from plugin.shop import POLICY

from lumyn import _resources
from lumyn.analysis import redecide
from lumyn.analysis.judge import Judge
from lumyn.analysis.knowledge import Answer, Knowledge
from lumyn.testing import Repo, Run
from pytest_lumyn import cache as caches
from pytest_lumyn import measuring
from pytest_lumyn.cache import Cache

FILE = "vectors/shop/refund.yml"
KEPT = ".pytest_cache/d/lumyn"
WITHOUT = ("-p", "no:cacheprovider")
GATES = ("--lumyn-coverage-fail-under=fired:60,boundaries:25", "--lumyn-mutate-max-new-trust=8")
"""Just met by the vectors of the shop."""
FORMATS = ("json", "md", "html", "sarif")

ANALYSIS_LOADED = """
import sys

def pytest_unconfigure():
    print("ANALYSIS", sorted(name for name in sys.modules if name.startswith("lumyn.analysis.")))
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder."""
    path = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    monkeypatch.setenv("LOCALAPPDATA", str(path))
    return path


@pytest.fixture
def unmade(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let whatever is made from now on fail the run."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was made again")

    return lambda: monkeypatch.setattr(measuring, "measure", refuse)


def measured(repo: Repo, *options: str, gates: tuple[str, ...] = GATES) -> Run:
    return repo.run_pytest("--lumyn-vectors", "--lumyn-coverage", *gates, *options)


def said(run: Run) -> tuple[int, list[str]]:
    """Return the exit code and all that was printed, but for empty lines, times and where the cache is."""
    return run.exit_code, [line for line in run.lines if line and not re.search(r"^cachedir|\d (passed|failed)", line)]


def told(repo: Repo, *options: str, formats: tuple[str, ...] = FORMATS) -> tuple[int, list[str], list[str]]:
    """Return what a run says, with its reports."""
    run = measured(repo, *options, *(f"--lumyn-report=out/r.{name}" for name in formats))
    return *said(run), [repo.read(f"out/r.{name}") for name in formats]


def of_strength(repo: Repo, *options: str) -> tuple[list[str], object]:
    """Return what a run says of strength, and what its JSON report holds of it."""
    _, lines, (report,) = told(repo, *options, formats=("json",))
    first = next(place for place, line in enumerate(lines) if "policy coverage" in line)
    return lines[first:], json.loads(report)["extra"]


def entries(repo: Repo) -> dict[Path, bytes]:
    folder = repo.path / KEPT
    return {path: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def strength_cache(repo: Repo, home: Path) -> Cache:
    return Cache(repo.path / KEPT, (home / "lumyn/vectors.key").read_bytes()).for_strength()


def test_what_is_kept_is_not_made_again_and_says_the_same(repo: Repo, unmade: Callable[[], None]) -> None:
    """Text, reports and exit code are those of a run that keeps nothing."""
    fresh, shown = told(repo, *WITHOUT), said(measured(repo, *WITHOUT))
    assert (0, {}) == (fresh[0], entries(repo))
    assert (fresh, shown) == (told(repo), said(measured(repo)))
    unmade()
    assert (fresh, shown) == (told(repo), said(measured(repo)))
    with pytest.raises(AssertionError, match="made again"):  # the test can fail
        measured(repo, *WITHOUT)


def test_a_run_that_finds_all_of_it_loads_no_analysis(make_repo: Callable[..., Repo]) -> None:
    """Importing it is much of what is spared."""
    repo = make_repo({"conftest.py": ANALYSIS_LOADED})
    options = ("--lumyn-vectors", "--lumyn-coverage", "-s")
    first, second = (repo.run_pytest(*options, own_process=True) for _ in range(2))
    assert "lumyn.analysis.judge" in first.text
    assert "ANALYSIS ['lumyn.analysis.scale']" in second.text


@pytest.mark.parametrize("frozen", [False, True], ids=["seen", "out of sight"])
def test_the_collector_is_as_it_was_once_it_is_measured(repo: Repo, frozen: bool) -> None:
    """What was there is not walked while strength is measured, and whoever took it out of sight keeps it there."""
    outside = gc.get_freeze_count() > 0
    gc.freeze() if frozen else gc.unfreeze()
    try:
        measured(repo)
        assert (frozen, True) == (gc.get_freeze_count() > 0, gc.isenabled())
    finally:
        gc.freeze() if outside else gc.unfreeze()


def test_workers_find_what_was_kept_and_keep_for_others(repo: Repo) -> None:
    """A run spread over workers and one that is not serve each other, to the letter."""
    pytest.importorskip("xdist")

    first = of_strength(repo, "-p", "xdist", "-n2")
    kept = entries(repo)
    assert first == of_strength(repo, "-p", "xdist", "-n2")
    assert first == of_strength(repo)
    assert kept == entries(repo)


POLICY_FILE = "policies/shop.yml"
OVER_LIMIT = "[over_limit, 200.01, ESCALATE, [REFUND_OVER_LIMIT]]"
FURTHER = "[over_limit, 201, ESCALATE, [REFUND_OVER_LIMIT]]"
ACCEPTED = "schema_version: mutants.v0\naccepted:\n  shop:\n    R020/rule: never seen a risk\n"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param(FILE, OVER_LIMIT, FURTHER, id="another request"),
        pytest.param(FILE, "200.01, ESCALATE", "200.01, {in: [ESCALATE, ABSTAIN]}", id="less is expected"),
        pytest.param(POLICY_FILE, "schema_version", "# moved\nschema_version", id="the lines of the policy moved"),
        pytest.param(POLICY_FILE, "risk_gte: 0.7", "risk_gt: 0.7", id="another operator in the policy"),
        pytest.param("mutants.yml", "never seen", "never met", id="accepted for another reason"),
        pytest.param("pytest.ini", "[pytest]", "[pytest]\naddopts=--lumyn-mutate=full", id="other operators"),
        pytest.param("pytest.ini", "[pytest]", "[pytest]\nlumyn_policy=other.yml", id="another policy in its place"),
    ],
)
def test_whatever_changes_is_seen(make_repo: Callable[..., Repo], file: str, old: str, new: str) -> None:
    """After any change, a run with what was kept says what one without says, and not what was said before."""
    ini = "[pytest]\nlumyn_mutants = mutants.yml\n"
    other = POLICY.replace("risk_gte: 0.7", "risk_gte: 0.6")
    repo = make_repo({"pytest.ini": ini, "mutants.yml": ACCEPTED, "other.yml": other})
    before = of_strength(repo)
    repo.replace(file, old, new)
    after = of_strength(repo)
    assert of_strength(repo, *WITHOUT) == after
    assert after != before


ASKED = ("intent: refund a customer", "intent: refund the customer")
"""An edit of every request that changes no decision."""

ORDERED = "{escalate_over_usd: 200, trust_up_to_usd: 25}"

EDITS = (
    (FILE, *ASKED),
    (FILE, "[at_limit, 200,", "[at_limit, 199,"),
    (FILE, "name: small", "name: tiny"),
    (FILE, "reason_codes: [REFUND_SMALL]}\n  - name: like", "matched_rules: [R050]}\n  - name: like"),
    (FILE, "ESCALATE, [REFUND_OVER_LIMIT]]", "ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]"),  # which fails
    (POLICY_FILE, "evidence.risk_gte", "evidence.risk_gt"),
    (POLICY_FILE, "trust_up_to_usd: 25", "trust_up_to_usd: 30"),
    (POLICY_FILE, "failure_similarity_gte: 0.8", "failure_similarity_gte: 0.9"),
    (POLICY_FILE, "max: 1, step: 0.01", "max: 1, step: 0.1"),
    (POLICY_FILE, "schema_version", "# one line more\nschema_version"),
    ("mutants.yml", "R020/rule", "R030/rule"),
    ("pytest.ini", "[pytest]\n", "[pytest]\naddopts = --lumyn-mutate=full\n"),
)


def test_however_edits_follow_each_other_nothing_stale_is_said(make_repo: Callable[..., Repo]) -> None:
    """Made and taken back in any order: what a run says with all that was kept is what one without it says."""
    chance = Random(0)
    repo = make_repo({"pytest.ini": "[pytest]\nlumyn_mutants = mutants.yml\n", "mutants.yml": ACCEPTED})
    made: set[int] = set()
    seen: dict[frozenset[int], object] = {frozenset(): of_strength(repo)}
    for place in chance.choices(range(len(EDITS)), k=12):
        file, *texts = EDITS[place]
        repo.replace(file, *(reversed(texts) if place in made else texts))
        made ^= {place}
        said = of_strength(repo)
        assert of_strength(repo, *WITHOUT) == said, sorted(made)
        assert seen.setdefault(frozenset(made), said) == said


HOOK = """
import os

def pytest_lumyn_request(item, request):
    if item.name == "small":
        request["action"]["amount"]["value"] = float(os.environ["AMOUNT"])
"""


def test_what_a_hook_asks_otherwise_is_seen(make_repo: Callable[..., Repo], monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the request that was decided, not the file it began in, which is the same."""
    repo = make_repo({"conftest.py": HOOK})
    seen = []
    for amount in ("12", "25", "12"):
        monkeypatch.setenv("AMOUNT", amount)
        seen.append(of_strength(repo))
        assert of_strength(repo, *WITHOUT) == seen[-1]
    assert seen[0] == seen[2] != seen[1]


def test_a_gate_that_fails_when_made_fails_when_kept(repo: Repo, unmade: Callable[[], None]) -> None:
    """Thresholds are held against what was kept at every run; what they were then is of no concern."""
    assert 0 == measured(repo).exit_code
    unmade()
    strict = ("--lumyn-coverage-fail-under=fired:67,boundaries:26", "--lumyn-mutate-max-new-trust=7")
    run = measured(repo, gates=strict)
    assert 1 == run.exit_code
    run.match(
        "FAILED lumyn gate: shop 1.0.0: rules fired 4 of 6 goals, wanted 67 %",
        "FAILED lumyn gate: shop 1.0.0: boundaries 2 of 8 goals, wanted 26 %",
        "FAILED lumyn gate: shop 1.0.0: 8 edits open a new path to TRUST unnoticed, at most 7 may",
    )


def test_what_is_asked_for_later_is_made_then(repo: Repo) -> None:
    """Coverage after mutation alone, and reports after none."""
    mutation = repo.run_pytest("--lumyn-vectors", "--lumyn-mutate=core")
    mutation.no_match("*policy coverage*")
    assert said(measured(repo, *WITHOUT)) == said(measured(repo))
    assert told(repo, *WITHOUT) == told(repo)


def harm(content: bytes, how: str) -> bytes:
    if how == "cut":
        return content[: len(content) // 2]
    if how == "sealed by nobody":
        return content[64:]
    return re.sub(rb"\[[0-9]", b"[7", content, count=1) + (b"" if how == "reworded" else b" ")


@pytest.mark.parametrize("how", ["cut", "sealed by nobody", "reworded", "longer"])
def test_a_damaged_entry_is_passed_over(repo: Repo, how: str) -> None:
    fresh = told(repo)
    for path, content in entries(repo).items():
        path.write_bytes(harm(content, how))
    assert fresh == told(repo)


def test_a_cache_that_cannot_be_written_is_done_without(repo: Repo) -> None:
    fresh = said(measured(repo, *WITHOUT))
    repo.write(KEPT, "a file where a folder should be")
    assert fresh == said(measured(repo))


def rosy(lines: list[str]) -> list[str]:
    """Return an entry that says every edit was noticed and every goal met."""
    coverage, _, _, goals, *_ = json.loads(lines[1])
    met = {name: [words, total, total] for name, (words, _, total) in goals.items()}
    return [lines[0], json.dumps([coverage, ["every edit fails a vector"], False, met, 45, 45, 0, [], False])]


def test_an_entry_from_elsewhere_passes_no_gate(repo: Repo, home: Path, tmp_path: Path) -> None:
    """Whoever can write into the cache does not have the key; with the key, it would have passed."""
    gate = ("--lumyn-mutate-max-new-trust=0", "--lumyn-coverage-fail-under=fired:100")
    elsewhere = tmp_path / "elsewhere"
    env = {"XDG_CACHE_HOME": str(elsewhere), "LOCALAPPDATA": str(elsewhere)}
    name = "measured:core:coverage:policies/shop.yml"
    assert 1 == repo.run_pytest("--lumyn-vectors", *gate, env=env).exit_code
    for folder, code in ((elsewhere, 1), (home, 0)):
        cache = strength_cache(repo, folder)
        lines = cache.get(name)
        assert lines is not None
        cache.put(name, rosy(lines))
        assert code == measured(repo, gates=gate).exit_code, folder


def test_other_code_does_not_believe_what_was_kept(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing outlives a change of the analysis."""
    made: list[object] = []
    make = measuring.measure
    monkeypatch.setattr(measuring, "measure", lambda *a, **k: made.append(k["known"]) or make(*a, **k))
    fresh = told(repo)
    assert fresh == told(repo)
    assert [None] == made
    monkeypatch.setattr(caches, "_code_of_strength", lambda: b"another")
    assert fresh == told(repo)
    assert [None, None] == made


LOADED = """
import sys

def pytest_unconfigure():
    print("LOADED", *sorted(m.__file__ for name, m in sys.modules.items() if name.partition(".")[0] == "lumyn"))
"""


def test_all_code_and_contracts_that_have_a_say_are_sealed(
    make_repo: Callable[..., Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever of Lumyn a run loads that measures, and every schema: an edit of any of it, and nothing is believed."""
    sealed: set[Path] = set()
    digest = caches._digest
    monkeypatch.setattr(caches, "_digest", lambda *paths, more: sealed.update(paths) or digest(*paths, more=more))
    caches._code_of_vectors.__wrapped__()
    vectors = {path.resolve() for path in sealed}
    caches._code_of_strength.__wrapped__()
    repo = make_repo({"conftest.py": LOADED})
    report = "--lumyn-report=out/r.json"
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-coverage", "--lumyn-mutate=full", report, "-s", own_process=True)
    loaded = {Path(each).resolve() for each in run.text.partition("LOADED ")[2].splitlines()[0].split(" ")}
    assert any(path.name == "judge.py" for path in loaded)
    assert not loaded - {path.resolve() for path in sealed}
    assert {path.resolve() for path in (_resources.data_root() / "schemas").iterdir()} <= vectors


def test_what_is_known_of_a_policy_outlives_its_vectors(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other vectors, and hardly a mutant is judged again: what tells it from the policy is the same."""
    judged: list[str] = []
    find = Judge.finding
    monkeypatch.setattr(Judge, "finding", lambda judge, mutant: judged.append(mutant.mutant_id) or find(judge, mutant))
    told(repo)
    assert 45 == len(set(judged))
    repo.replace(FILE, OVER_LIMIT, FURTHER)
    judged.clear()
    after = told(repo)
    assert 0 < len(judged) < 5  # those that survive now, for the request that is shown
    assert told(repo, *WITHOUT) == after


def test_what_a_gate_decided_is_shown_for_other_vectors_too(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the same policy it comes out the same, and is not decided again."""
    decided: list[object] = []
    confirm = redecide.confirmed
    monkeypatch.setattr(redecide, "confirmed", lambda *parts: decided.append(parts) or confirm(*parts))
    told(repo)
    assert decided
    decided.clear()
    repo.replace(FILE, *ASKED)
    after = told(repo)
    assert not decided
    assert after == told(repo, *WITHOUT)
    assert decided  # the test can fail


def test_a_run_with_an_edited_vector_loads_nothing_that_searches(make_repo: Callable[..., Repo]) -> None:
    """All there is to find out about the policy is known: vectors are edited far more often than policies."""
    repo = make_repo({"conftest.py": ANALYSIS_LOADED})
    options = ("--lumyn-vectors", "--lumyn-coverage", "-s")
    repo.run_pytest(*options)
    repo.replace(FILE, *ASKED)
    text = repo.run_pytest(*options, own_process=True).text
    assert "lumyn.analysis.mutation" in text
    for name in ("boxes", "cells", "grid", "judge", "pairs", "redecide", "regions"):
        assert (f"lumyn.analysis.{name}'" in text) == (name == "boxes"), name


@pytest.mark.parametrize(
    ("old", "new", "anew"),
    [
        pytest.param("schema_version", "# moved\nschema_version", False, id="a comment"),
        pytest.param("{evidence.risk_gte: 0.7}", "{ evidence.risk_gte: 0.70 }", False, id="spelt otherwise"),
        pytest.param("amount_usd_lte", "amount_usd_lt", True, id="another operator"),
        pytest.param("{trust_up_to_usd: 25, escalate_over_usd: 200}", ORDERED, True, id="another order"),
        pytest.param('policy_version: "1.0.0"', 'policy_version: "1.0.1"', True, id="another version"),
    ],
)
def test_what_is_known_counts_as_long_as_the_policy_says_the_same(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, old: str, new: str, anew: bool
) -> None:
    """In the same order, which decides what is shown first; the places of its rules are those of now."""
    judged: list[str] = []
    find = Judge.finding
    monkeypatch.setattr(Judge, "finding", lambda judge, mutant: judged.append(mutant.mutant_id) or find(judge, mutant))
    told(repo)
    judged.clear()
    repo.replace(POLICY_FILE, old, new)
    after = told(repo)
    assert anew == bool(judged)
    assert told(repo, *WITHOUT) == after


@pytest.mark.parametrize("mutant", ["R050/rule", "R020/rule"], ids=["killed", "surviving"])
def test_what_is_known_and_cannot_be_stops_the_run(repo: Repo, home: Path, mutant: str) -> None:
    """That a mutant a vector notices is proved equivalent, or that a request shows another kind of change."""
    told(repo)
    cache, name = strength_cache(repo, home), "known:core:policies/shop.yml"
    lines = cache.get(name)
    assert lines is not None
    known = Knowledge.unpack(json.loads(lines[1]))
    assert 45 == len(known.mutants)
    if mutant == "R050/rule":
        known.mutants[mutant] = Answer.NONE
    else:
        known.shown[mutant] = next(each for each in known.shown.values() if each.severity != known.mutants[mutant])
    cache.put(name, [lines[0], json.dumps(known.pack())])
    repo.replace(FILE, OVER_LIMIT, FURTHER)
    run = measured(repo)
    assert 3 == run.exit_code, run.text
    run.match(f"ERROR lumyn: a defect of Lumyn, nothing was measured: mutant {mutant}*")
