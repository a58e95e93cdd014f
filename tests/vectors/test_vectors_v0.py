"""The golden vectors that ship pass under the plugin, and there are enough of them about every topic."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import golden
import pytest

from lumyn.vectors.loader import unused_shared_fixtures
from lumyn.vectors.runner import Outcome

TOPICS = (
    "requirements",
    "hard_blocks",
    "escalations",
    "trust_paths",
    "default",
    "money",
    "evidence_types",
    "memory",
    "precedence",
    "account",
    "billing",
    "scenarios",
    "failure_modes",
)
V0 = golden.ROOT / golden.FOLDER


def run_pytest(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in the checkout, in a process of its own, as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "--lumyn-vectors", *arguments],
        cwd=golden.ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_all_pass_under_the_plugin() -> None:
    """`pytest --lumyn-vectors vectors/v0` collects each of them as an item of its own, and is green."""
    done = run_pytest("-q", golden.FOLDER)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"{len(golden.vectors())} passed" in done.stdout


def test_the_plugin_names_them_as_the_loader_does() -> None:
    """Node ids are paths in the checkout and ids of vectors; nothing is collected twice or left out."""
    done = run_pytest("-q", "--collect-only", golden.FOLDER)
    collected = [line for line in done.stdout.splitlines() if "::" in line]
    assert sorted(vector.node_id for vector in golden.vectors()) == sorted(collected)


def test_none_is_skipped_or_expected_to_fail() -> None:
    """What ships is finished."""
    assert {Outcome.PASSED} == {result.outcome for result in golden.results()}
    assert [] == [vector.node_id for vector in golden.vectors() if vector.skip or vector.xfail]


def test_there_are_enough() -> None:
    """At least 90 cases, tables counted once, and many more items."""
    cases = {(vector.file, vector.name) for vector in golden.vectors()}
    assert 90 <= len(cases)
    assert 400 <= len(golden.vectors())


@pytest.mark.parametrize("topic", TOPICS)
def test_topic_has_vectors(topic: str) -> None:
    """Each topic is a folder with vectors in it."""
    assert [] != [vector for vector in golden.vectors() if vector.file.startswith(f"{golden.FOLDER}/{topic}/")]


def test_there_are_no_other_topics() -> None:
    """A folder that is added is added to the list above."""
    assert sorted(TOPICS) == sorted(path.name for path in V0.iterdir() if path.is_dir())


def test_no_file_is_empty() -> None:
    """Every file that looks like vectors holds some; what does not is called `_...`."""
    files = {path.relative_to(golden.ROOT).as_posix() for path in V0.rglob("*") if path.is_file()}
    support = {file for file in files if Path(file).name.startswith("_")}
    assert files - support == {vector.file for vector in golden.vectors()}


def test_names_are_unique() -> None:
    """A name says one vector, wherever it is read; so does the id of a row within its table."""
    cases = {(vector.file, vector.name) for vector in golden.vectors()}
    assert [] == [name for name, count in Counter(name for _, name in cases).items() if count > 1]
    assert [] == [name for name, count in Counter(vector.node_id for vector in golden.vectors()).items() if count > 1]


def test_every_vector_says_why() -> None:
    """In one line, for whoever finds it red."""
    assert [] == [vector.node_id for vector in golden.vectors() if not vector.why or "\n" in vector.why]


def test_every_decision_says_its_reasons_exactly() -> None:
    """A verdict and the whole list of reason codes, or the error; anything looser lets drift through."""
    loose = [
        f"{vector.node_id}#{place}"
        for vector in golden.vectors()
        for place, step in enumerate(vector.decisions)
        if step.expect.error is None and (step.expect.verdict is None or step.expect.reason_codes is None)
    ]
    assert [] == loose


def test_both_notations_are_used() -> None:
    """YAML and JSON files, and the defaults of folders inside folders."""
    suffixes = Counter(Path(suite.file).suffix for suite in golden.suites())
    assert {".yaml", ".json"} == set(suffixes)
    assert 5 <= suffixes[".json"]
    assert 2 <= len([*V0.glob("*/_defaults.yaml")])


def test_every_shared_fixture_is_used() -> None:
    """A request of a `_defaults` file that no vector uses is a leftover."""
    assert () == unused_shared_fixtures(golden.suites())
