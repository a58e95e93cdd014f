"""The hooks offered to other repositories: their entries are commands there are, and their patterns fit real names."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lumyn.documents import load_yaml
from lumyn.testing import Repo

ROOT = Path(__file__).resolve().parents[1]


def hooks() -> dict[str, dict[str, Any]]:
    """Return the hooks by id."""
    value: Any = load_yaml((ROOT / ".pre-commit-hooks.yaml").read_bytes(), file=".pre-commit-hooks.yaml").value
    return {hook["id"]: hook for hook in value}


def test_the_three_hooks_are_there() -> None:
    assert {"lumyn-policy-validate", "lumyn-vectors-fmt", "lumyn-vectors"} == set(hooks())
    for hook in hooks().values():
        assert {"id", "name", "description", "entry", "language"} <= set(hook)
        assert ("files" in hook) is not hook.get("always_run", False)
        assert "python" == hook["language"]


@pytest.mark.parametrize(
    ("hook", "name", "due"),
    [
        ("lumyn-policy-validate", "policies/refunds.yml", True),
        ("lumyn-policy-validate", "app/policies/packs/a.json", True),
        ("lumyn-policy-validate", "vectors/refunds.yml", False),
        ("lumyn-vectors-fmt", "vectors/v0/refunds.yaml", True),
        ("lumyn-vectors-fmt", "tests/refunds.lumyn.json", True),
        ("lumyn-vectors-fmt", "policies/refunds.yml", False),
        ("lumyn-vectors-fmt", "myvectors/refunds.yml", False),
    ],
)
def test_patterns(hook: str, name: str, due: bool) -> None:
    assert due is bool(re.search(hooks()[hook]["files"], name))


def run(repo: Repo, hook: dict[str, Any], *, changed: Sequence[str] | None = None) -> int | None:
    """
    Run a hook's entry as pre-commit would; None where it would skip the hook, as no file fits.

    Args:
        changed: The files it is told of, never one that a commit deletes; every file of the repository unless given.
    """
    names = changed
    if names is None:
        names = sorted(path.relative_to(repo.path).as_posix() for path in repo.path.rglob("*") if path.is_file())
    fitting = [name for name in names if re.search(hook.get("files", ""), name)]
    if not fitting and not hook.get("always_run", False):
        return None
    files = fitting if hook.get("pass_filenames", True) else []
    command = shlex.split(hook["entry"])
    assert "lumyn" == command[0]
    done = subprocess.run([sys.executable, "-m", *command, *files], cwd=repo.path, capture_output=True, check=False)
    return done.returncode


def test_entries_pass_a_fresh_workspace_and_fail_a_broken_one() -> None:
    repo = Repo()
    subprocess.run([sys.executable, "-m", "lumyn", "init"], cwd=repo.path, capture_output=True, check=True)
    assert {0} == {run(repo, hook) for hook in hooks().values()}
    policy = next((repo.path / "policies").glob("*.yml"))
    policy.write_text(policy.read_text() + "surprise: true\n")
    assert 3 == run(repo, hooks()["lumyn-policy-validate"])
    assert 0 != run(repo, hooks()["lumyn-vectors"])


def test_what_a_commit_may_bring_in_is_stopped() -> None:
    """A looser limit, a key that nobody reads, and a layout of one's own: the last is mended and then passes."""
    repo = Repo()
    subprocess.run([sys.executable, "-m", "lumyn", "init"], cwd=repo.path, capture_output=True, check=True)
    policy, vectors = "policies/support.yml", "vectors/support.yml"
    as_they_were = {name: repo.read(name) for name in (policy, vectors)}
    repo.replace(policy, "refund_trust_max_usd: 25", "refund_trust_max_usd: 199")
    assert (0, 1) == (run(repo, hooks()["lumyn-policy-validate"]), run(repo, hooks()["lumyn-vectors"]))
    repo.write(policy, as_they_were[policy])
    repo.write(vectors, as_they_were[vectors].replace("expect:", "expext:", 1))
    assert 3 == run(repo, hooks()["lumyn-vectors"])
    repo.write(vectors, as_they_were[vectors].replace("schema_version: ", "schema_version:    ", 1))
    run(repo, hooks()["lumyn-vectors-fmt"])  # pre-commit fails a hook that changes files, whatever it returns
    assert as_they_were[vectors] == repo.read(vectors)
    assert {0} == {run(repo, hook) for hook in hooks().values()}
    assert as_they_were == {name: repo.read(name) for name in as_they_were}


@pytest.mark.parametrize(("deleted", "code"), [("policies/support.yml", 3), ("vectors/support.yml", 5)])
def test_a_commit_that_only_deletes_is_stopped_too(deleted: str, code: int) -> None:
    """Pre-commit names no deleted file, and skips a hook that no file fits."""
    repo = Repo()
    subprocess.run([sys.executable, "-m", "lumyn", "init"], cwd=repo.path, capture_output=True, check=True)
    (repo.path / deleted).unlink()
    assert code == run(repo, hooks()["lumyn-vectors"], changed=[])
