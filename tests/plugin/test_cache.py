"""What is kept from run to run: it saves the parsing, and no entry can make a red vector green."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from plugin.shop import PASSING, POLICY, VECTORS

from lumyn.policy.loader import parse_policy
from lumyn.testing import Repo, Run
from pytest_lumyn.cache import Cache
from pytest_lumyn.shelf import Shelf

FILE = "vectors/shop/refund.yml"
KEPT = ".pytest_cache/d/lumyn"
RED = "expect: {verdict: ESCALATE, reason_codes: [REFUND_SMALL]}"
GREEN = "expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}"

NO_PARSER = """
import pytest
from lumyn.documents import strict_yaml

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    def refuse(self):
        raise AssertionError("a file was parsed")
    strict_yaml._Builder.build, config.kept = refuse, strict_yaml._Builder.build

def pytest_unconfigure(config):
    strict_yaml._Builder.build = config.kept
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder."""
    path = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    monkeypatch.setenv("LOCALAPPDATA", str(path))
    return path


def entries(repo: Repo) -> list[Path]:
    return sorted((repo.path / KEPT).iterdir()) if (repo.path / KEPT).is_dir() else []


def vectors(repo: Repo, *options: str) -> Run:
    return repo.run_pytest("--lumyn-vectors", *options)


def make_red(repo: Repo) -> None:
    first = f"  - name: small\n    tags: [refund, quick]\n    request: {{$use: refund}}\n    {GREEN}"
    repo.replace(FILE, first, first.replace(GREEN, RED))


def test_a_second_run_parses_no_file(make_repo: Callable[..., Repo], home: Path) -> None:
    """Kept are the suite, its document, and the policy's."""
    repo = make_repo({"policies/shop.json": None})
    vectors(repo).assert_outcomes(passed=PASSING)
    assert 3 == len(entries(repo))
    document = repo.run_pytest("--lumyn-vectors", "--collect-only", "-q")
    repo.write("conftest.py", NO_PARSER)
    again = repo.run_pytest("--lumyn-vectors", "--collect-only", "-q")
    assert 0 == again.exit_code, again.text
    assert document.lines[:PASSING] == again.lines[:PASSING]


def test_without_an_entry_the_file_is_parsed(repo: Repo, home: Path) -> None:
    """The test above can fail."""
    repo.write("conftest.py", NO_PARSER)
    assert 0 != repo.run_pytest("--lumyn-vectors", "--collect-only").exit_code


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(make_red, id="the file"),
        pytest.param(
            lambda repo: repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 5"), id="its policy"
        ),
        pytest.param(
            lambda repo: repo.write("vectors/_defaults.yaml", "schema_version: vector.v0\nmode: nonsense\n"),
            id="new defaults above it",
        ),
        pytest.param(lambda repo: repo.replace("vectors/shop/_defaults.yaml", "ZD-1", ""), id="the defaults beside it"),
        pytest.param(lambda repo: (repo.path / "policies/shop.yml").unlink(), id="its policy is gone"),
        pytest.param(lambda repo: (repo.path / "vectors/shop/_defaults.yaml").unlink(), id="its defaults are gone"),
    ],
)
def test_any_change_of_what_a_vector_rests_on_is_seen(
    make_repo: Callable[..., Repo], home: Path, change: Callable[[Repo], object]
) -> None:
    defaults = "schema_version: vector.v0\nrequest: {evidence: {ticket_id: ZD-1}}\n"
    repo = make_repo(
        {FILE: VECTORS.replace("{ticket_id: ZD-1, risk: 0.1}", "{risk: 0.1}"), "vectors/shop/_defaults.yaml": defaults}
    )
    vectors(repo).assert_outcomes(passed=PASSING)
    vectors(repo).assert_outcomes(passed=PASSING)
    change(repo)
    run = vectors(repo)
    assert run.exit_code in {1, 2}, run.text


def test_a_change_of_the_golden_record_is_seen(repo: Repo, home: Path) -> None:
    test = f"""
import json
from pathlib import Path

import lumyn.vectors

def test_record(lumyn_vector):
    result = lumyn.vectors.run(lumyn_vector("{FILE}::small"))
    Path("golden.json").write_text(json.dumps(result.record.normalised()))
"""
    repo.write("test_record.py", test)
    repo.run_pytest("test_record.py").assert_outcomes(passed=1)
    (repo.path / "test_record.py").unlink()
    repo.replace(
        FILE,
        f"request: {{$use: refund}}\n    {GREEN}",
        "request: {$use: refund}\n    expect: {record: {$exact: golden.json}}",
    )
    vectors(repo).assert_outcomes(passed=PASSING)
    golden = json.loads(repo.read("golden.json"))
    repo.write("golden.json", json.dumps(golden | {"verdict": "ABSTAIN"}))
    vectors(repo).assert_outcomes(passed=PASSING - 1, failed=1)


def test_another_policy_is_not_confused_with_the_one_named(repo: Repo, home: Path) -> None:
    repo.write("strict.yml", POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 5"))
    repo.write("same.yml", POLICY)
    for policy, failed in (("same.yml", 0), ("strict.yml", 3), ("same.yml", 0), ("strict.yml", 3)):
        run = vectors(repo, f"--lumyn-policy={policy}")
        assert failed == run.outcomes.get("failed", 0), run.text
        vectors(repo).assert_outcomes(passed=PASSING)


def test_an_entry_made_for_one_policy_is_not_read_for_another(repo: Repo, home: Path) -> None:
    vectors(repo)
    cache = Cache(repo.path / KEPT, (home / "lumyn/vectors.key").read_bytes())
    path = repo.path / FILE
    one, other = (parse_policy(POLICY.replace("1.0.0", version), file="p.yml") for version in ("1.0.0", "2.0.0"))
    shelf = Shelf(repo.path, cache)
    shelf.read(path, one)
    entry = shelf._entry(path, one)
    assert None is not shelf._kept(entry, path, one)
    assert None is shelf._kept(entry, path, other)


def test_no_vector_that_passes_is_read_whole(repo: Repo, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither collecting nor reporting asks for more than was kept in short."""
    vectors(repo).assert_outcomes(passed=PASSING)
    monkeypatch.setattr(Shelf, "whole", None)
    vectors(repo, "--lumyn-report=r.json", "--lumyn-coverage").assert_outcomes(passed=PASSING)


def test_the_outcomes_and_texts_are_those_of_a_run_without(repo: Repo, home: Path) -> None:
    """A vector that drifts is read from its file, so every place is there."""
    make_red(repo)
    vectors(repo)
    kept, fresh = vectors(repo, "-v"), vectors(repo, "-v", "-p", "no:cacheprovider")
    assert 1 == kept.exit_code

    def text(run: Run) -> list[str]:
        return [line.partition(" in ")[0] for line in run.lines if not line.startswith("cachedir")]

    assert text(fresh) == text(kept)


def harm(content: bytes, how: str) -> bytes:
    if how == "cut":
        return content[: len(content) // 2]
    if how == "emptied":
        return b""
    if how == "sealed by nobody":
        return content[64:]
    return content.replace(b"TRUST", b"QUERY", 1) if how == "reworded" else content[:-1] + b"\xff"


@pytest.mark.parametrize("how", ["cut", "emptied", "sealed by nobody", "reworded", "one byte"])
def test_a_damaged_entry_is_passed_over(repo: Repo, home: Path, how: str) -> None:
    vectors(repo)
    for entry in entries(repo):
        entry.write_bytes(harm(entry.read_bytes(), how))
    vectors(repo).assert_outcomes(passed=PASSING)
    make_red(repo)
    vectors(repo)
    for entry in entries(repo):
        entry.write_bytes(harm(entry.read_bytes(), how))
    vectors(repo).assert_outcomes(passed=PASSING - 1, failed=1)


def forge(repo: Repo, home: Path) -> None:
    """Rewrite every entry so that it expects what comes out, and seal it with the key below `home`."""
    key = (home / "lumyn/vectors.key").read_bytes()
    cache = Cache(repo.path / KEPT, key)
    for name in (f"suite:named:{FILE}", f"document:{FILE}"):
        lines = cache.get(name)
        assert lines is not None
        cache.put(name, [line.replace("ESCALATE", "TRUST", 2) if "small" in line else line for line in lines])


def test_an_entry_from_elsewhere_makes_no_red_vector_green(repo: Repo, home: Path, tmp_path: Path) -> None:
    """Whoever can write into the cache, by a pull request or a shared build cache, does not have the key."""
    make_red(repo)
    elsewhere = tmp_path / "elsewhere"
    repo.run_pytest("--lumyn-vectors", env={"XDG_CACHE_HOME": str(elsewhere), "LOCALAPPDATA": str(elsewhere)})
    forge(repo, elsewhere)
    vectors(repo).assert_outcomes(passed=PASSING - 1, failed=1)
    forge(repo, home)
    vectors(repo).assert_outcomes(passed=PASSING)  # it was a forgery indeed: the seal is what held


def test_an_entry_of_another_file_makes_no_red_vector_green(repo: Repo, home: Path) -> None:
    """An entry that this user sealed counts for its own name only."""
    vectors(repo)
    mine = Cache(repo.path / KEPT, (home / "lumyn/vectors.key").read_bytes())
    other = mine._path("suite:named:vectors/shop/other.yml")
    mine._path(f"suite:named:{FILE}").replace(other)
    assert None is mine.get("suite:named:vectors/shop/other.yml")


def test_what_fails_is_what_the_file_says(repo: Repo, home: Path) -> None:
    """Even an entry sealed with the right key cannot make up a drift: it is decided again from the file."""
    vectors(repo)
    key = (home / "lumyn/vectors.key").read_bytes()
    cache = Cache(repo.path / KEPT, key)
    lines = cache.get(f"suite:named:{FILE}")
    assert lines is not None
    cache.put(f"suite:named:{FILE}", [line.replace('"TRUST"', '"QUERY"') for line in lines])
    vectors(repo).assert_outcomes(passed=PASSING)


def test_the_key_is_private(repo: Repo, home: Path) -> None:
    vectors(repo)
    key = home / "lumyn/vectors.key"
    assert 32 == key.stat().st_size
    if hasattr(os, "getuid"):
        assert 0o600 == stat.S_IMODE(key.stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="modes say nothing here")
@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_key_that_others_could_know_or_choose_is_not_used(repo: Repo, home: Path, mode: int) -> None:
    key = home / "lumyn/vectors.key"
    key.parent.mkdir(parents=True)
    key.write_bytes(b"k" * 32)
    key.chmod(mode)
    vectors(repo).assert_outcomes(passed=PASSING)
    assert [] == entries(repo)


@pytest.mark.parametrize("content", [b"", b"short", b"k" * 33])
def test_a_key_of_the_wrong_length_is_not_used(repo: Repo, home: Path, content: bytes) -> None:
    key = home / "lumyn/vectors.key"
    key.parent.mkdir(parents=True)
    key.write_bytes(content)
    key.chmod(0o600)
    vectors(repo).assert_outcomes(passed=PASSING)
    assert [] == entries(repo)


def test_without_a_place_for_the_key_nothing_is_kept(repo: Repo, home: Path) -> None:
    home.write_text("a file where a folder should be")
    vectors(repo).assert_outcomes(passed=PASSING)
    assert [] == entries(repo)


def test_without_pytests_cache_nothing_is_kept(repo: Repo, home: Path) -> None:
    vectors(repo, "-p", "no:cacheprovider").assert_outcomes(passed=PASSING)
    assert [] == entries(repo)
    assert not home.exists()


def test_a_cache_that_cannot_be_written_is_done_without(repo: Repo, home: Path) -> None:
    repo.write(KEPT, "a file where a folder should be")
    vectors(repo).assert_outcomes(passed=PASSING)


def test_entries_are_replaced_not_piled_up(repo: Repo, home: Path) -> None:
    vectors(repo)
    before = entries(repo)
    make_red(repo)
    vectors(repo)
    assert before == entries(repo)


def test_clearing_pytests_cache_clears_it(repo: Repo, home: Path) -> None:
    vectors(repo)
    assert entries(repo)
    repo.run_pytest("--cache-clear", "--co", "-q")
    assert [] == entries(repo)


def test_a_file_that_changes_while_it_is_run_is_told(make_repo: Callable[..., Repo], home: Path) -> None:
    edit = f"""
import pytest
from pathlib import Path

def pytest_collection_finish(session):
    path = Path("{FILE}")
    path.write_text(path.read_text() + "# edited\\n")
"""
    repo = make_repo({"conftest.py": edit})
    make_red(repo)
    run = vectors(repo)
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    run.match("*the file was changed while its vectors were being run*")


def test_results_that_passed_are_let_go(make_repo: Callable[..., Repo], home: Path) -> None:
    """Ten thousand records are not kept until the end of the run; those of failures are."""
    conftest = """
def pytest_sessionfinish(session):
    print("KEPT", sum(item.result is not None for item in session.items))
"""
    repo = make_repo({"conftest.py": conftest})
    assert "KEPT 0" in vectors(repo, "-s").text
    make_red(repo)
    assert "KEPT 1" in vectors(repo, "-s").text
