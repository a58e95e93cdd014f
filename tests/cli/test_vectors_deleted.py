"""Half of the golden vectors are deleted from their files: suggestions, written and approved, make up for them."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterable
from pathlib import Path

import golden
import pytest
from cli.harness import Lumyn
from ruamel.yaml import YAML

from lumyn.analysis.changes import apart
from lumyn.analysis.coverage import Criterion, cover
from lumyn.analysis.mutants import Scope
from lumyn.analysis.mutation import assess
from lumyn.analysis.observations import Observation, observe
from lumyn.policy.loader import load_policy
from lumyn.vectors.discovery import discover
from lumyn.vectors.format import DecideStep, Vector
from lumyn.vectors.loader import load_suite
from lumyn.vectors.runner import Outcome, run

SEEDS = range(int(os.environ.get("LUMYN_DELETIONS", "1")))

NEEDING_MORE = {1: 3, 3: 4}
"""Seeds that leave holes which no change of one field of a kept vector reaches, so many that they are over a tenth."""


def halve(folder: Path, seed: int) -> None:
    """Take every second vector out of the files, rows of tables one by one, and what nothing uses any more."""
    chance = random.Random(seed)
    for path in sorted(folder.rglob("*.yaml")):
        if path.name.startswith("_"):
            continue
        yaml = YAML()
        yaml.preserve_quotes = True
        document = yaml.load(path)
        cases = document.get("vectors", [])
        kept = [case for case in cases if "table" in case or chance.random() < 0.5]
        for case in [case for case in kept if "table" in case]:
            rows = case["table"]["rows"]
            case["table"]["rows"] = [row for row in rows if chance.random() < 0.5]
        kept = [case for case in kept if "table" not in case or case["table"]["rows"]]
        if not kept:
            path.unlink()
            continue
        document["vectors"] = kept
        prune(document)
        with path.open("w", encoding="utf-8") as stream:
            yaml.dump(document, stream)


def prune(document: dict[str, dict[str, dict[str, object]]]) -> None:
    """Take out fixtures that nothing in a file uses: a fixture that nobody uses is an error."""
    fixtures = document.get("fixtures", {})
    for _ in range(4):
        for kind in list(fixtures):
            for name in list(fixtures[kind]):
                elsewhere = {key: value for key, value in document.items() if key != "fixtures"}
                others = {k: {n: v for n, v in held.items() if (k, n) != (kind, name)} for k, held in fixtures.items()}
                if name not in set(words([elsewhere, others])):
                    del fixtures[kind][name]
            if not fixtures[kind]:
                del fixtures[kind]
    if "fixtures" in document and not fixtures:
        del document["fixtures"]


def words(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from words(item)
    elif isinstance(value, list):
        for item in value:
            yield from words(item)


def vectors_in(root: Path) -> list[Vector]:
    suites = [load_suite(path, root=root) for path in discover(root, ["vectors"])]
    assert [] == [problem for suite in suites for problem in suite.problems]
    return [vector for suite in suites for vector in suite.vectors]


def rows_of(vectors: list[Vector], file: str, root: Path) -> list[Observation]:
    policy = load_policy(root / file)
    results = [run(vector) for vector in vectors if vector.policy_file == file and not vector.proposed]
    assert {Outcome.PASSED} == {result.outcome for result in results}
    return observe(results, policy)


def asked(vector: Vector) -> list[tuple[object, ...]]:
    return [
        (step.request, [(item.label, item.request) for item in vector.memory])
        for step in vector.steps
        if isinstance(step, DecideStep)
    ]


def is_one_field(vector: Vector, known: list[Vector]) -> bool:
    """Return whether a vector differs from one of the others in one field of the request, or in its memory alone."""
    ((request, memory),) = asked(vector)
    return any(
        len(apart(other, request)) + (held != memory) == 1  # type: ignore[arg-type]
        for each in known
        for other, held in asked(each)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_half_of_the_files_are_made_up_for(
    seed: int, lumyn: Lumyn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands alone bring coverage and mutation back to all there is; most proposals change one field."""
    for name in ("vectors", "policies"):
        shutil.copytree(golden.ROOT / name, tmp_path / name)
    (tmp_path / "lumyn.toml").write_text('[policy]\npath = "policies/lumyn-support.v0.yml"\n', encoding="utf-8")
    halve(tmp_path / "vectors", seed)
    monkeypatch.chdir(tmp_path)
    before = vectors_in(tmp_path)
    assert 4 * len(before) < 3 * len(golden.vectors())
    written = []
    for number, file in enumerate(golden.POLICY_FILES):
        assert assess(load_policy(tmp_path / file), rows_of(before, file, tmp_path), scope=Scope.FULL).survivors
        target = f"vectors/suggested/{number}.yml"
        assert 0 == lumyn("vectors", "suggest", "--full", "--policy", file, "--write", target).code
        assert 0 == lumyn("vectors", "fmt", "--check", target).code
        written.append(target)
    proposed = [vector for vector in vectors_in(tmp_path) if vector.proposed]
    one_field = sum(is_one_field(vector, before) for vector in proposed)
    assert len(proposed) - one_field <= max(len(proposed) // 10, NEEDING_MORE.get(seed, 0))
    for target in written:
        assert 0 == lumyn("vectors", "approve", target).code
    after = vectors_in(tmp_path)
    for file in golden.POLICY_FILES:
        policy, rows = load_policy(tmp_path / file), rows_of(after, file, tmp_path)
        found, covered = assess(policy, rows, scope=Scope.FULL), cover(policy, rows)
        assert ([], ()) == ([each.mutant.mutant_id for each in found.survivors], found.unknown)
        assert [] == [goal.name for criterion in Criterion for goal in covered.missing(criterion)]
