"""`--lumyn-base=git:REV`: vectors that were deleted or weakened since a revision are named."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from plugin.shop import PASSING, POLICY, VECTORS

from lumyn.testing import Repo, Run

FILE = "vectors/shop/refund.yml"
BASE = "--lumyn-base=git:HEAD"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(repo: Repo) -> None:
    git(repo.path, "add", "-A")
    git(repo.path, "commit", "-qm", "vectors")


@pytest.fixture
def tracked(make_repo: Callable[..., Repo]) -> Repo:
    """A repository with one commit."""
    repo = make_repo({".gitignore": ".pytest_cache\n"})
    git(repo.path, "init", "-q", "-b", "main")
    commit(repo)
    return repo


def strict(repo: Repo, *options: str, **how: object) -> Run:
    return repo.run_pytest("--lumyn-vectors", "--lumyn-strict", BASE, *options, **how)  # type: ignore[arg-type]


def without(text: str, name: str) -> str:
    """Return the suite without one vector."""
    before, _, rest = text.partition(f"  - name: {name}\n")
    _, separator, after = rest.partition("  - name: ")
    return before + separator + after


def test_nothing_lost_says_nothing(tracked: Repo) -> None:
    tracked.write("vectors/shop/more.yml", VECTORS)
    run = strict(tracked)
    run.assert_outcomes(passed=2 * PASSING)
    assert 0 == run.exit_code, run.text
    run.no_match("*lumyn: since*")


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2")], ids=["alone", "workers"])
def test_a_deleted_vector_is_named(tracked: Repo, workers: tuple[str, ...]) -> None:
    tracked.write(FILE, without(VECTORS, "compounding"))
    run = strict(tracked, *workers, own_process=bool(workers))
    assert 1 == run.exit_code
    run.match(
        "*lumyn: since git:HEAD*",
        f"deleted     {FILE}::compounding",
        "FAILED lumyn gate: 1 vector deleted since git:HEAD",
    )


def test_without_strict_it_is_told_and_nothing_fails(tracked: Repo) -> None:
    tracked.write(FILE, without(VECTORS, "compounding"))
    run = tracked.run_pytest("--lumyn-vectors", BASE)
    assert 0 == run.exit_code
    run.match(f"deleted     {FILE}::compounding")
    run.no_match("FAILED*")


def test_a_deleted_row_and_a_deleted_file_are_named(tracked: Repo) -> None:
    tracked.write("vectors/shop/more.yml", VECTORS.replace("known_fraud", "fraud"))
    commit(tracked)
    tracked.replace(FILE, "        - [over_limit, 200.01, ESCALATE, [REFUND_OVER_LIMIT]]\n", "")
    (tracked.path / "vectors/shop/more.yml").unlink()
    run = strict(tracked)
    run.match("deleted     vectors/shop/more.yml::compounding", f"deleted     {FILE}::limit[over_limit]")
    run.match(f"FAILED lumyn gate: {PASSING + 1} vectors deleted since git:HEAD")


def test_many_losses_end_in_a_count(tracked: Repo) -> None:
    rows = "".join(f"        - [row{number}, 200.01, ESCALATE, [REFUND_OVER_LIMIT]]\n" for number in range(53))
    tracked.replace(FILE, "        - [at_limit,", rows + "        - [at_limit,")
    commit(tracked)
    tracked.replace(FILE, rows, "")
    run = strict(tracked)
    assert 50 == sum(line.startswith("deleted     ") for line in run.lines)
    run.match("and 3 more", "FAILED lumyn gate: 53 vectors deleted since git:HEAD")


def test_a_moved_vector_is_not_lost(tracked: Repo) -> None:
    git(tracked.path, "mv", FILE, "vectors/moved.yml")
    run = strict(tracked)
    assert 0 == run.exit_code, run.text


def test_a_moved_vector_that_expects_less_is_weakened(tracked: Repo) -> None:
    git(tracked.path, "mv", FILE, "vectors/moved.yml")
    tracked.replace("vectors/moved.yml", "  - name: small\n", "  - name: small\n    skip: later\n")
    strict(tracked).match(f"weakened    {FILE}::small  is skipped")


SMALL = "    request: {$use: refund}\n    expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n  - name: like"
FRAUD = "expect: {verdict: ESCALATE, reason_codes: [REFUND_LIKE_A_FAILURE, REFUND_SMALL]}\n  - name: limit"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (
            SMALL,
            SMALL.replace("{verdict: TRUST, reason_codes", "{reason_codes"),
            "{small}  no longer expects `verdict`",
        ),
        (
            FRAUD,
            FRAUD.replace("verdict: ESCALATE", "verdict: {in: [TRUST, ESCALATE]}"),
            "{fraud}  accepts TRUST or ESCALATE where it accepted ESCALATE",
        ),
        (
            FRAUD,
            FRAUD.replace("[REFUND_LIKE_A_FAILURE, REFUND_SMALL]", "{contains: [REFUND_SMALL]}"),
            "{fraud}  no longer expects `reason_codes` exactly",
        ),
        ("  - name: small\n", "  - name: small\n    skip: later\n", "{small}  is skipped"),
        ("  - name: small\n", "  - name: small\n    status: proposed\n", "{small}  is proposed only"),
        (
            (
                "      - decide: {request: {$use: refund}}\n"
                "        expect: {verdict: ESCALATE, reason_codes: [REFUND_LIKE_A_FAILURE, REFUND_SMALL]}\n"
            ),
            "",
            "{story}  decides less",
        ),
    ],
)
def test_a_weakened_vector_is_named(tracked: Repo, old: str, new: str, what: str) -> None:
    tracked.replace(FILE, old, new)
    run = strict(tracked)
    assert 1 == run.exit_code
    names = {"small": f"{FILE}::small", "fraud": f"{FILE}::like_a_known_fraud", "story": f"{FILE}::compounding"}
    run.match(f"weakened    {what.format(**names)}", "FAILED lumyn gate: 1 vector weakened since git:HEAD")


def test_a_looser_verdict_is_named(tracked: Repo) -> None:
    """Even where the policy was changed to match."""
    tracked.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    row = "[at_limit, 200, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]"
    tracked.replace(FILE, row, "[at_limit, 200, TRUST, [REFUND_SMALL]]")
    run = strict(tracked)
    run.assert_outcomes(passed=PASSING)
    assert 1 == run.exit_code
    run.match(f"weakened    {FILE}::limit[at_limit]  accepts TRUST where it accepted ESCALATE")


def test_a_stricter_expectation_is_no_loss(tracked: Repo) -> None:
    tracked.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 12")
    tracked.replace(FILE, SMALL, SMALL.replace("{verdict", "{matched_rules: [R050], verdict"))
    run = strict(tracked)
    assert 0 == run.exit_code, run.text


def test_the_policy_of_the_base_is_the_one_of_then(tracked: Repo) -> None:
    """A policy that was renamed since does not make the base unreadable, nor do its reason codes."""
    git(tracked.path, "mv", "policies/shop.yml", "policies/new.yml")
    tracked.write("policies/new.yml", POLICY.replace("REFUND_SMALL", "REFUND_TINY"))
    text = VECTORS.replace("REFUND_SMALL", "REFUND_TINY").replace("policies/shop.yml", "policies/new.yml")
    tracked.write(FILE, without(text, "small"))
    run = strict(tracked)
    run.match(f"deleted     {FILE}::small", "FAILED lumyn gate: 1 vector deleted since git:HEAD")
    run.no_match("*unreadable*", "weakened*")


def test_a_base_that_cannot_be_read_fails_a_strict_run(tracked: Repo) -> None:
    tracked.write("vectors/shop/broken.yml", "schema_version: vector.v9\n")
    commit(tracked)
    (tracked.path / "vectors/shop/broken.yml").unlink()
    run = strict(tracked)
    assert 1 == run.exit_code
    run.match("unreadable  vectors/shop/broken.yml *", "FAILED lumyn gate: 1 file of git:HEAD cannot be compared")


def test_a_format_that_a_plugin_reads_is_not_looked_for_in_the_base(tracked: Repo) -> None:
    """It is read from where it is, so nothing can be said of what it was."""
    tracked.write("pytest.ini", "[pytest]\nlumyn_patterns = *.refunds\n")
    tracked.write("team/late.refunds", "small\n")
    tracked.write(
        "conftest.py",
        "import yaml_of_shop\n\n\ndef pytest_lumyn_load_suite(path):\n"
        "    return yaml_of_shop.SUITE if path.suffix == '.refunds' else None\n",
    )
    request = {
        "action": {"type": "support.refund", "intent": "refund", "amount": {"value": 20, "currency": "USD"}},
        "evidence": {"ticket_id": "ZD-1", "risk": 0.1},
    }
    vector = {"name": "a", "request": request, "expect": {"verdict": "TRUST", "reason_codes": ["REFUND_SMALL"]}}
    head = {"schema_version": "vector.v0", "policy": "policies/shop.yml", "clock": "2026-01-15T12:00:00Z"}
    tracked.write("yaml_of_shop.py", f"SUITE = { ({**head, 'vectors': [vector]})!r}\n")
    commit(tracked)
    run = strict(tracked)
    run.assert_outcomes(passed=PASSING + 1)
    assert 0 == run.exit_code, run.text
    run.no_match("unreadable *")


def test_a_suite_below_the_top_of_the_repository_is_found(make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({"outside.yml": "x: 1\n"})
    top = repo.path.parent
    git(top, "init", "-q", "-b", "main")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "vectors")
    repo.write(FILE, without(VECTORS, "small"))
    strict(repo).match(f"deleted     {FILE}::small")


def test_part_of_a_suite_is_not_compared(tracked: Repo) -> None:
    tracked.write(FILE, without(VECTORS, "small"))
    run = strict(tracked, "vectors/shop")
    assert 0 == run.exit_code
    run.match("lumyn: suite not judged: part of the files was asked for")


def test_the_folder_by_its_name_is_the_whole_suite(tracked: Repo) -> None:
    """A scenario file elsewhere that is still there was not asked for; it is not lost."""
    tracked.write("tests/refund.lumyn.yml", VECTORS)
    commit(tracked)
    assert 0 == strict(tracked, "vectors").exit_code
    tracked.write(FILE, without(VECTORS, "small"))
    run = strict(tracked, "vectors")
    assert 1 == run.exit_code
    run.match(f"deleted     {FILE}::small", "FAILED lumyn gate: 1 vector deleted since git:HEAD")


def test_a_selection_by_name_hides_no_deletion(tracked: Repo) -> None:
    """Files are compared, not what `-k` left of them."""
    tracked.write(FILE, without(VECTORS, "small"))
    run = strict(tracked, "-k", "compounding")
    assert 1 == run.exit_code
    run.match("FAILED lumyn gate: 1 vector deleted since git:HEAD")


def test_a_symbolic_link_of_the_base_is_not_followed(tracked: Repo) -> None:
    (tracked.path / "vectors/link.yml").symlink_to("shop/refund.yml")
    commit(tracked)
    (tracked.path / "vectors/link.yml").unlink()
    assert 0 == strict(tracked).exit_code


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("git:nowhere", "git knows no commit `nowhere`; name a branch*"),
        ("git:--output=pwned", "*is not a revision"),
        ("git:-n1", "*is not a revision"),
        ("git:$(touch pwned)", "*is not a revision"),
        ("git:HEAD;touch pwned", "*is not a revision"),
        ("git:HEAD:vectors", "git knows no commit `HEAD:vectors`*"),
        ("git:", "name a revision as in git:origin/main, not 'git:'"),
        ("main", "name a revision as in git:origin/main, not 'main'"),
        ("", "name a revision as in git:origin/main, not ''"),
    ],
)
def test_what_is_no_revision_is_a_usage_error(tracked: Repo, value: str, message: str) -> None:
    run = tracked.run_pytest("--lumyn-vectors", f"--lumyn-base={value}")
    assert 4 == run.exit_code, run.text
    run.match(f"ERROR: lumyn: --lumyn-base: {message}")
    assert () == run.changed
    assert not (tracked.path / "pwned").exists()


def test_outside_a_repository_is_a_usage_error(repo: Repo) -> None:
    run = repo.run_pytest("--lumyn-vectors", BASE, env={"GIT_CEILING_DIRECTORIES": str(repo.path.parent)})
    assert 4 == run.exit_code, run.text
    run.match("ERROR: lumyn: --lumyn-base: git cannot tell: not a git repository*")


def test_a_repository_of_another_user_is_told_how_to_be_read(tracked: Repo) -> None:
    """In a container the checkout often belongs to somebody else, and git refuses to look at it."""
    says = "fatal: detected dubious ownership in repository at '/src'"
    fake = tracked.path / "bin" / "git"
    tracked.write("bin/git", f'#!/bin/sh\necho "{says}" >&2\nexit 128\n')
    fake.chmod(0o755)
    run = tracked.run_pytest("--lumyn-vectors", BASE, env={"PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}"})
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: --lumyn-base: git cannot tell: detected dubious ownership*; *safe.directory*")


def test_without_git_is_a_usage_error(tracked: Repo) -> None:
    run = tracked.run_pytest("--lumyn-vectors", BASE, env={"PATH": ""})
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: --lumyn-base: git did not answer; is git installed?")


def test_a_shallow_clone_says_what_to_do(tracked: Repo, tmp_path: Path) -> None:
    tracked.write("more.txt", "more")
    commit(tracked)
    clone = Repo(path=tmp_path / "clone")
    git(tmp_path, "clone", "-q", "--depth=1", tracked.path.as_uri(), "clone")
    run = clone.run_pytest("--lumyn-vectors", "--lumyn-base=git:HEAD~1")
    assert 4 == run.exit_code
    run.match("*a shallow clone has no history: fetch it*")


def test_the_ini_key_names_the_base_too(tracked: Repo) -> None:
    tracked.write("pytest.ini", "[pytest]\nlumyn_base = git:HEAD\n")
    tracked.write(FILE, without(VECTORS, "small"))
    tracked.run_pytest("--lumyn-vectors").match(f"deleted     {FILE}::small")
    tracked.write("pytest.ini", "[pytest]\nlumyn_base = main\n")
    tracked.run_pytest("--lumyn-vectors").match("ERROR: lumyn: ini lumyn_base: name a revision*")


def test_the_repository_stays_as_it_is(tracked: Repo) -> None:
    before = git(tracked.path, "status", "--porcelain"), git(tracked.path, "worktree", "list")
    strict(tracked)
    assert before == (git(tracked.path, "status", "--porcelain"), git(tracked.path, "worktree", "list"))
