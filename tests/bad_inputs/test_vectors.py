"""Vectors that could not fail, files that are not what they seem, and runs that must not depend on where they run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bad_inputs.catalogue import case
from bad_inputs.requests import POLICY_FILE

from lumyn import InvalidVectorError
from lumyn.testing import Repo
from lumyn.vectors import Outcome, discover, load_suite, run

HEAD = """\
schema_version: vector.v0
policy: policy.yml
clock: "2026-01-15T12:00:00Z"
"""
REQUEST = """\
    request:
      action: { type: support.refund, intent: refund, amount: { value: 12, currency: USD }, tags: [duplicate_charge] }
      evidence: { ticket_id: T-1, order_id: O-1, customer_id: C-1, customer_age_days: 180,
                  previous_refund_count_90d: 0, chargeback_risk: 0.05, payment_instrument_risk: low }
"""
EXPECT = "    expect: { verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK] }\n"


def vector(name: str = "small", request: str = REQUEST, expect: str = EXPECT, more: str = "") -> str:
    return f"  - name: {name}\n    why: everyday\n{more}{request}{expect}"


MEMORY = """\
    memory: [{ label: failure, summary: charged back, request: {
      action: { type: support.refund, intent: refund, amount: { value: 12, currency: USD } },
      evidence: { payment_instrument_risk: low, chargeback_risk: 0.05, customer_age_days: 180 } } }]
"""
EXPECT_SIMILAR = "    expect: { verdict: ESCALATE, reason_codes: { contains: [FAILURE_MEMORY_SIMILAR_ESCALATE] } }\n"

GOOD = f"{HEAD}vectors:\n{vector()}"

REFUSED: dict[str, tuple[str, str, str]] = {
    "vec-003": ("v.yml", GOOD.replace("expect:", "expcet:"), "FIELD_UNKNOWN"),
    "vec-004": ("v.yml", GOOD.replace(EXPECT, "    expect: {}\n"), "EXPECT_EMPTY"),
    "vec-006": ("v.yml", GOOD.replace("REFUND_SMALL_LOW_RISK", "NOPE"), "REASON_CODE_UNKNOWN"),
    "vec-007": ("v.yml", GOOD + vector(), "CASE_ID_DUPLICATE"),
    "vec-010": ("v.yml", GOOD.replace("ticket_id: T-1", "country: NO"), "YAML_AMBIGUOUS_SCALAR"),
    "vec-011": ("v.json", '{"schema_version": "vector.v0", "expect":{},"expect":{}}', "JSON_DUPLICATE_KEY"),
    "vec-015": (
        "v.yml",
        GOOD.replace(REQUEST, f"    memory: [{{ label: failur, request: {{}}, summary: x }}]\n{REQUEST}"),
        "LABEL_UNKNOWN",
    ),
    "vec-017": ("v.yml", GOOD.replace(REQUEST, f"    skip: true\n{REQUEST}"), "SKIP_WITHOUT_REASON"),
}
ROWS = [pytest.param(case, *row, id=case) for case, row in REFUSED.items()]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo({"policy.yml": POLICY_FILE.read_text(encoding="utf-8")}, path=tmp_path)


def problems_of(repo: Repo, name: str) -> list[tuple[str, bool]]:
    """Return the codes of what is wrong with a file or with its vectors, each with whether it has a place."""
    try:
        suite = load_suite(repo.path / name, root=repo.path)
    except InvalidVectorError as error:
        found = list(error.problems)
    else:
        found = [problem for each in suite.vectors for problem in each.problems]
        for each in suite.vectors:
            assert not each.problems or run(each).outcome is not Outcome.PASSED
    return [(problem.code, problem.span is not None) for problem in found]


def test_unspoilt_vector_passes(repo: Repo) -> None:
    """So that what comes out below is the doing of what was spoilt."""
    repo.write("vectors/v.yml", GOOD)
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=1)


@pytest.mark.parametrize(("case", "name", "content", "code"), ROWS)
def test_vector_is_refused(repo: Repo, case: str, name: str, content: str, code: str) -> None:
    """With its place in the file; and a run of pytest is red."""
    repo.write(f"vectors/{name}", content)
    assert (code, True) in problems_of(repo, f"vectors/{name}")
    done = repo.run_pytest("--lumyn-vectors")
    assert done.exit_code in {1, 2}, done.text
    assert code in done.text
    assert 0 == done.outcomes.get("passed", 0)


@case("vec-001")
def test_folder_without_a_vector_is_red(repo: Repo, case: str) -> None:
    """Empty, or with files that are none."""
    (repo.path / "vectors").mkdir()
    for extra in (None, "vectors/_defaults.yml", "vectors/notes.txt"):
        if extra:
            repo.write(extra, "schema_version: vector.v0\n")
        with pytest.raises(InvalidVectorError) as caught:
            discover(repo.path, ["vectors"])
        assert ["VECTORS_EMPTY"] == [problem.code for problem in caught.value.problems]
        assert 0 != repo.run_pytest("--lumyn-vectors").exit_code
    repo.write("vectors/v.yml", f"{HEAD}vectors: []\n")
    assert [("VECTORS_EMPTY", True)] == problems_of(repo, "vectors/v.yml")


@case("vec-009")
def test_link_out_of_the_repository_is_refused(repo: Repo, tmp_path_factory: pytest.TempPathFactory, case: str) -> None:
    """Not read, and nothing of it shown, be it a file or a folder."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.yml").write_text("secret: zq7canary5f\n", encoding="utf-8")
    repo.write("vectors/v.yml", GOOD)
    (repo.path / "vectors" / "x.yml").symlink_to(outside / "x.yml")
    with pytest.raises(InvalidVectorError) as caught:
        load_suite(repo.path / "vectors" / "x.yml", root=repo.path)
    assert ["PATH_OUTSIDE_ROOT"] == [problem.code for problem in caught.value.problems]
    done = repo.run_pytest("--lumyn-vectors")
    assert 0 != done.exit_code
    assert "PATH_OUTSIDE_ROOT" in done.text
    assert "zq7canary5f" not in done.text


ELSEWHERE = """
import sys
from pathlib import Path
from lumyn.vectors import load_suite, run

suite = load_suite(Path("vectors/v.yml"), root=Path.cwd())
for vector in suite.vectors:
    for step in run(vector).steps:
        sys.stdout.buffer.write(step.record.to_json().encode() + b"\\n")
"""


@case("vec-013")
def test_place_and_time_of_a_run_change_nothing(repo: Repo, case: str) -> None:
    """Byte for byte the same records, whatever the time zone, the hash seed and the locale."""
    repo.write("vectors/v.yml", GOOD + vector("with_memory", more=MEMORY, expect=EXPECT_SIMILAR))
    outputs = set()
    for zone, seed, locale in (
        ("UTC", "0", "C"),
        ("Pacific/Kiritimati", "1", "C.UTF-8"),
        ("America/Caracas", "99", "C"),
    ):
        environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": locale}
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE], cwd=repo.path, env=environment, capture_output=True, check=True
        )
        outputs.add(done.stdout)
    assert 1 == len(outputs)
    assert 2 == len(outputs.pop().splitlines())


@case("vec-014")
def test_order_workers_and_repetition_change_nothing(repo: Repo, case: str) -> None:
    """Each vector has a store of its own: a failure that one seeds is not seen by its neighbours."""
    names = [vector(f"v{number}") for number in range(6)]
    seeded = [vector(f"m{number}", more=MEMORY, expect=EXPECT_SIMILAR) for number in range(6)]
    mixed = [each for pair in zip(seeded, names, strict=True) for each in pair]
    repo.write("vectors/forwards.yml", f"{HEAD}vectors:\n{''.join(mixed)}")
    repo.write("vectors/backwards.yml", f"{HEAD}vectors:\n{''.join(reversed(mixed))}")
    for _ in range(2):
        repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=24)
    repo.run_pytest("--lumyn-vectors", "-p", "xdist", "-n", "2", own_process=True).assert_outcomes(passed=24)


@case("vec-016")
def test_ties_are_ordered_by_identity(repo: Repo, case: str) -> None:
    """By memory id, which the order of seeding gives here; two runs agree."""
    first, second = (MEMORY.strip().removeprefix("memory: [").removesuffix("]") for _ in range(2))
    first, second = first.replace("charged back", "first"), second.replace("charged back", "second")
    more = f"    memory: [{first}, {second}]\n"
    repo.write("vectors/v.yml", f"{HEAD}vectors:\n{vector(more=more, expect=EXPECT_SIMILAR)}")
    suite = load_suite(repo.path / "vectors" / "v.yml", root=repo.path)
    found = []
    for _ in range(2):
        (step,) = run(suite.vectors[0]).steps
        assert step.record is not None
        matches = step.record.top_k
        assert matches[0].score == matches[1].score
        assert sorted(match.memory_id for match in matches) == [match.memory_id for match in matches]
        found.append([match.summary for match in matches])
    assert [["first", "second"]] * 2 == found


@case("vec-018")
def test_vectors_without_the_plugin_are_an_error(repo: Repo, case: str) -> None:
    """The gate cannot be turned off by taking its plugin away."""
    repo.write("vectors/v.yml", GOOD)
    done = repo.run_pytest("--lumyn-vectors", "-p", "no:lumyn", own_process=True, autoload=True)
    assert 4 == done.exit_code, done.text
    assert "--lumyn-vectors" in done.text


LIMITED = """
import sys
from pathlib import Path
from lumyn import InvalidVectorError
from lumyn.vectors import load_suite

try:
    suite = load_suite(Path(sys.argv[1]), root=Path.cwd())
    print(len(suite.vectors))
except InvalidVectorError as error:
    print(error.problems[0].code)
# Of this program alone: the maximum that getrusage tells begins at what the process that started it held.
high = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(int(high.split()[1]) // 1024)
"""


def loaded_apart(repo: Repo, name: str) -> tuple[str, int, float]:
    """Load a file in a process of its own: what came of it, the memory it took in MiB, the time in seconds."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, name], cwd=repo.path, capture_output=True, text=True, check=True
    )
    result, memory = done.stdout.split()
    return result, int(memory), time.monotonic() - start


@case("vec-019")
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
def test_huge_file_is_refused_in_little_memory(repo: Repo, case: str) -> None:
    """By its size, before it is parsed; the largest file that is accepted takes bounded memory."""
    repo.write("vectors/huge.yml", GOOD + "# " + "x" * 50 * 2**20)
    result, memory, seconds = loaded_apart(repo, "vectors/huge.yml")
    assert ("TOO_LARGE", True, True) == (result, memory < 300, seconds < 10)
    rows = ", ".join(f"[r{number}, {number % 25}]" for number in range(5_000))
    table = f"    table: {{ columns: [id, request.action.amount.value], rows: [{rows}] }}\n"
    repo.write("vectors/many.yml", f"{HEAD}vectors:\n{vector(more=table)}")
    result, memory, seconds = loaded_apart(repo, "vectors/many.yml")
    assert ("5000", True, True) == (result, memory < 300, seconds < 30), (result, memory, seconds)


@case("vec-020")
@pytest.mark.parametrize("which", ["failing", "all"])
def test_golden_files_are_not_rewritten_by_continuous_integration(repo: Repo, case: str, which: str) -> None:
    """A drift must not be approved by the machine that found it: a usage error, and no file is touched."""
    repo.write(
        "vectors/v.yml", GOOD.replace("TRUST", "ESCALATE").replace("REFUND_SMALL_LOW_RISK", "CURRENCY_UNSUPPORTED")
    )
    done = repo.run_pytest("--lumyn-vectors", f"--lumyn-update={which}", own_process=True, env={"CI": "true"})
    assert (4, ()) == (done.exit_code, done.changed), done.text
